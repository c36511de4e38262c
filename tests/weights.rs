//! `occlude weights import` and `fetch`: every form that weights are published in, and downloads that go well, stop half way,
//! bring something else or nothing, from a server on loopback.
#![cfg(feature = "cli")]

mod common;
#[path = "common/encode.rs"]
#[allow(dead_code, reason = "the unit tests of the readers use the rest")]
mod encode;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::command::{folder, listing, occlude, refuse, stderr, succeed};
use common::{SEED, safetensors, seeded_tensors, seeded_weights, shared};
use occlude::Weights;
use occlude::network::Network;
use safetensors::SafeTensors;
use sha1::{Digest, Sha1};

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// All that is asked for, parts of it included.
    Whole,
    /// The first time, half of it, then the connection is cut.
    HalfOnce,
    NotFound,
}

/// A server of one file: where it is, and what has been asked of it.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

fn serve(content: Vec<u8>, manner: Manner) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/googlenet.caffemodel", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let asked = requests.clone();
    let is_first = AtomicBool::new(true);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let half = manner == Manner::HalfOnce && is_first.swap(false, Ordering::Relaxed);
            let mut stream = stream.unwrap();
            let request = request(&stream);
            let start = range_start(&request);
            asked.lock().unwrap().push(request);
            // A client that hangs up is its own business.
            let _ = answer(&mut stream, &content, start, half, manner);
        }
    });
    Server { url, requests }
}

/// The head of a request.
fn request(stream: &TcpStream) -> String {
    let mut head = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        head += &line;
        head.push('\n');
    }
    head
}

/// Where the part that is asked for begins, if one is.
fn range_start(request: &str) -> Option<usize> {
    let line = request.lines().find(|line| line.to_lowercase().starts_with("range:"))?;
    line.split_once("bytes=")?.1.split('-').next()?.parse().ok()
}

fn answer(
    stream: &mut TcpStream,
    content: &[u8],
    start: Option<usize>,
    half: bool,
    manner: Manner,
) -> std::io::Result<()> {
    if manner == Manner::NotFound {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let from = start.unwrap_or(0);
    if from > content.len() {
        return write!(stream, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let status = if start.is_some() { "206 Partial Content" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", content.len() - from)?;
    if start.is_some() {
        write!(stream, "Content-Range: bytes {from}-{}/{}\r\n", content.len().max(1) - 1, content.len())?;
    }
    stream.write_all(b"\r\n")?;
    let end = if half { content.len() / 2 } else { content.len() };
    stream.write_all(&content[from.min(end)..end])
}

/// Whether curl, which downloads, is there; it is in CI.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var("CI").is_err(), "curl is required here");
    if !found {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test that needs curl");
    }
    found
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Weights as Berkeley's published file has them, and as the ONNX model zoo's.
fn caffemodel(weights: &Weights) -> Vec<u8> {
    encode::PUBLISHED.file(&encode::layers_of(weights))
}

fn onnx(weights: &Weights) -> Vec<u8> {
    encode::ZOO.file(&encode::layers_of(weights))
}

fn assert_same(file: &Path, expected: &Weights) {
    let found = Weights::load(file).unwrap();
    assert_eq!(found.tensors().count(), expected.tensors().count());
    for (found, expected) in found.tensors().zip(expected.tensors()) {
        assert!(found == expected, "{}", expected.0);
    }
}

#[test]
fn every_form_is_imported_to_the_same_weights() {
    let folder = folder();
    for network in [Network::googlenet(), Network::bvlc(5)] {
        let weights = Weights::seeded_for(network, SEED);
        for (name, bytes) in [("a.caffemodel", caffemodel(&weights)), ("b.onnx", onnx(&weights))] {
            fs::write(folder.path().join(name), bytes).unwrap();
            let text = succeed(occlude(&folder, &["weights", "import", name, "--out", "new/w.safetensors"]));
            assert!(text.contains(&format!("{} classes", weights.network().classes())), "{text}");
            assert_same(&folder.path().join("new/w.safetensors"), &weights);
            // Straight from the file, too.
            assert_same(&folder.path().join(name), &weights);
            fs::remove_dir_all(folder.path().join("new")).unwrap();
        }
    }
    // A second time nothing is to be done; other weights are not replaced but by force.
    let import = |more: &[&str]| occlude(&folder, &[&["weights", "import", "a.caffemodel"], more].concat());
    assert!(succeed(import(&[])).contains("wrote"));
    assert!(succeed(import(&[])).contains("unchanged"));
    fs::write(folder.path().join("weights/a.safetensors"), b"mine").unwrap();
    refuse(&folder, import(&[]), 1, &["a.safetensors: holds something else already; --force"]);
    assert!(succeed(import(&["--force"])).contains("wrote"));
}

/// The published network in Caffe's form becomes the published file, byte for byte.
#[test]
fn the_published_network_becomes_the_published_file() {
    let Some(file) = shared("weights/bvlc_googlenet.safetensors") else { return };
    let folder = folder();
    let weights = Weights::load(&file).unwrap();
    fs::write(folder.path().join("official.caffemodel"), caffemodel(&weights)).unwrap();
    let text = succeed(occlude(&folder, &["weights", "import", "official.caffemodel"]));
    assert!(text.contains("all 116 match") && text.contains("(the published one)"), "{text}");
    let made = folder.path().join("weights/bvlc_googlenet.safetensors");
    assert!(fs::read(made).unwrap() == fs::read(file).unwrap());
    // Which is where the other commands look.
    assert!(succeed(occlude(&folder, &["weights", "verify"])).contains("matches"));
}

#[test]
fn a_download_is_checked_converted_and_used() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let weights = Weights::seeded(SEED);
    let model = caffemodel(&weights);
    let server = serve(model.clone(), Manner::Whole);
    let sum = sha1(&model);
    let fetch = ["weights", "fetch", "--url", &server.url, "--sha1", &sum];
    assert!(succeed(occlude(&folder, &fetch)).contains("wrote"));
    // In the cache directory, where every command looks.
    succeed(occlude(&folder, &["classify", "picture.png"]));
    let cached: Vec<_> =
        listing(&folder.path().join("cache")).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(cached.len(), 1, "{cached:?}");
    assert_same(&cached[0], &weights);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[test]
fn an_interrupted_download_goes_on_where_it_has_ended() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let weights = Weights::seeded(SEED);
    let model = caffemodel(&weights);
    let server = serve(model.clone(), Manner::HalfOnce);
    let sum = sha1(&model);
    let fetch =
        || occlude(&folder, &["weights", "fetch", "--url", &server.url, "--sha1", &sum, "--out", "w.st"]);
    let output = fetch().output().unwrap();
    let half = model.len() / 2;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("{half} bytes are kept")), "{}", stderr(&output));
    let partial = folder.path().join("googlenet.caffemodel.partial");
    assert_eq!(fs::metadata(&partial).unwrap().len(), half as u64);
    assert!(!folder.path().join("w.st").exists());
    assert!(succeed(fetch()).contains("wrote"));
    assert_eq!(range_start(&server.requests.lock().unwrap()[1]), Some(half));
    assert_same(&folder.path().join("w.st"), &weights);
    assert!(!partial.exists());
}

#[test]
fn what_is_damaged_or_something_else_is_not_installed() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let sum = sha1(&model);
    let mut damaged = model.clone();
    damaged[model.len() / 3] ^= 1;
    let fetch = |server: &Server, sum: &str| {
        occlude(&folder, &["weights", "fetch", "--url", &server.url, "--sha1", sum, "--out", "new/w.st"])
    };
    let server = serve(damaged, Manner::Whole);
    refuse(
        &folder,
        fetch(&server, &sum),
        1,
        &[&format!("expected {sum}: damaged on its way"), "nothing is installed"],
    );
    // Checked and still no weights.
    let page = b"<html>moved</html>".to_vec();
    let server = serve(page.clone(), Manner::Whole);
    refuse(&folder, fetch(&server, &sha1(&page)), 1, &["a web page or XML, not weights"]);
    // Another network than the published one, without a word that it is wanted.
    let server = serve(model, Manner::Whole);
    let fetch = occlude(&folder, &["weights", "fetch", "--url", &server.url, "--out", "new/w.st"]);
    refuse(&folder, fetch, 1, &["is not the published network", "--sha1"]);
}

#[test]
fn a_server_that_has_it_not_and_one_that_is_not_there_are_told_apart() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let server = serve(Vec::new(), Manner::NotFound);
    let fetch = |url: &str| occlude(&folder, &["weights", "fetch", "--url", url, "--out", "new/w.st"]);
    refuse(&folder, fetch(&server.url), 1, &["the server answers 404", "weights import FILE"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x", closed.local_addr().unwrap());
    drop(closed);
    refuse(&folder, fetch(&address), 1, &["no connection to the server", "--url"]);
    refuse(&folder, fetch("http://no-such-host.invalid/x"), 1, &["is there a network?"]);
    refuse(&folder, fetch("file:///etc/passwd"), 1, &["curl ended with exit code"]);
    let mut without = fetch(&server.url);
    without.env("PATH", folder.path());
    refuse(&folder, without, 1, &["curl, which downloads it, is not installed"]);
    let wrong = occlude(&folder, &["weights", "fetch", "--sha1", "abc"]);
    refuse(&folder, wrong, 2, &["--sha1"]);
}

#[test]
fn without_weights_the_message_says_how_to_get_them() {
    let folder = folder();
    refuse(
        &folder,
        occlude(&folder, &["classify", "picture.png"]),
        1,
        &["no weights file found", "occlude weights fetch"],
    );
    refuse(&folder, occlude(&folder, &["weights"]), 1, &["occlude weights fetch"]);
}

#[test]
fn what_import_cannot_take_is_refused_by_what_it_is() {
    let folder = folder();
    fs::write(folder.path().join("a.pth"), b"PK\x03\x04 a pickle in a ZIP archive").unwrap();
    let import = |file: &str| occlude(&folder, &["weights", "import", file]);
    refuse(&folder, import("a.pth"), 1, &["a.pth", "ZIP archive"]);
    refuse(&folder, import("none"), 1, &["cannot read none"]);
    let mut cut = caffemodel(&Weights::seeded(SEED));
    cut.truncate(cut.len() / 2);
    fs::write(folder.path().join("cut.caffemodel"), cut).unwrap();
    refuse(&folder, import("cut.caffemodel"), 1, &["cut.caffemodel: "]);
    // What was written once is read by others: safetensors' own reader.
    fs::copy(seeded_weights(), folder.path().join("seeded.st")).unwrap();
    succeed(occlude(&folder, &["weights", "import", "seeded.st", "--out", "again.st"]));
    let mut bytes = Vec::new();
    fs::File::open(folder.path().join("again.st")).unwrap().read_to_end(&mut bytes).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let expected = safetensors(&seeded_tensors());
    let expected = SafeTensors::deserialize(&expected).unwrap();
    assert_eq!(read.len(), 116);
    for (name, tensor) in expected.tensors() {
        assert!(read.tensor(&name).unwrap().data() == tensor.data(), "{name}");
    }
}
