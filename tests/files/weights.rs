//! Tests of `occlude weights import` and `fetch`: every format in which weights are published, and
//! downloads from a server on loopback. The downloads succeed, stop half way, or return something
//! else or nothing. There is no TLS here; a unit test of `download.rs` covers redirects from https.

#[path = "../common/encode.rs"]
#[allow(dead_code, reason = "the unit tests of the readers use the rest")]
pub mod encode;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::command::{folder, listing, occlude, refuse, stderr, succeed, with_default_signals};
use crate::common::{SEED, Tensor, safetensors, seeded_tensors, seeded_weights, shared};
use occlude::Weights;
use occlude::network::Network;
use safetensors::{Dtype, SafeTensors};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

/// The server's way of answering.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Sends all of the requested data, including parts of the file.
    Whole,
    /// Sends half of the data the first time, then cuts the connection.
    HalfOnce,
    /// Sends half of the data the first time, then nothing more, but keeps the connection open.
    HangsOnce,
    NotFound,
    /// Accepts the connection and sends nothing.
    Silent,
    /// Announces no length and never stops.
    Endless,
    /// Sends two bytes at a time.
    Trickle,
    /// Sends the whole file, whatever part is requested, and does not announce its length.
    Unannounced,
    /// Sends another part than the requested one.
    WrongPart,
    /// Redirects to another address.
    Redirect(&'static str),
}

/// A server of one file: its address and the requests that it has received.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

fn serve(content: Vec<u8>, manner: Manner) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/googlenet.caffemodel", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let asked = requests.clone();
    let content = Arc::new(content);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = request(&stream);
            let start = range_start(&request);
            let is_first = {
                let mut asked = asked.lock().unwrap();
                asked.push(request);
                asked.len() == 1
            };
            let content = content.clone();
            // An error of a client that hangs up does not matter here.
            thread::spawn(move || answer(&mut stream, &content, start, is_first, manner));
        }
    });
    Server { url, requests }
}

/// An address on which no server listens.
///
/// The port is below those that the system hands out. A port that was free a moment ago may meanwhile
/// belong to the server of another test.
fn closed() -> String {
    "http://127.0.0.1:1/x".to_string()
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

/// The start of the requested part, if the request names one.
fn range_start(request: &str) -> Option<usize> {
    let line = request.lines().find(|line| line.to_lowercase().starts_with("range:"))?;
    line.split_once("bytes=")?.1.split('-').next()?.parse().ok()
}

fn answer(
    stream: &mut TcpStream,
    content: &[u8],
    start: Option<usize>,
    is_first: bool,
    manner: Manner,
) -> std::io::Result<()> {
    let unannounced = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    match manner {
        Manner::NotFound => {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        // Waits until the client hangs up.
        Manner::Silent => return stream.read(&mut [0]).map(drop),
        Manner::Redirect(to) => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Manner::Unannounced => {
            stream.write_all(unannounced.as_bytes())?;
            return stream.write_all(content);
        }
        Manner::Endless => {
            stream.write_all(unannounced.as_bytes())?;
            loop {
                stream.write_all(&[1; 1 << 14])?;
            }
        }
        Manner::Trickle => {
            stream.write_all(unannounced.as_bytes())?;
            loop {
                stream.write_all(b"ab")?;
                thread::sleep(Duration::from_millis(10));
            }
        }
        Manner::WrongPart if start.is_some() => {
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{}/{1}\r\nContent-Length: {1}\r\n\r\n",
                content.len() - 1,
                content.len()
            )?;
            return stream.write_all(content);
        }
        Manner::Whole | Manner::WrongPart | Manner::HalfOnce | Manner::HangsOnce => {}
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
    let half = is_first && [Manner::HalfOnce, Manner::HangsOnce].contains(&manner);
    let end = if half { content.len() / 2 } else { content.len() };
    stream.write_all(&content[from.min(end)..end])?;
    if half && manner == Manner::HangsOnce {
        return stream.read(&mut [0]).map(drop);
    }
    Ok(())
}

/// True if curl, which downloads the files, is installed.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("OCCLUDE_REQUIRE_CURL").is_none(), "curl is required here");
    if !found {
        let _ = writeln!(std::io::stderr(), "SKIPPED: this test needs curl");
    }
    found
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The weights in the format of Berkeley's published file and in that of the ONNX model zoo.
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
            // The file can be read directly too.
            assert_same(&folder.path().join(name), &weights);
            fs::remove_dir_all(folder.path().join("new")).unwrap();
        }
    }
    // The second import has nothing to do. Other weights are replaced only with `--force`.
    let import = |more: &[&str]| occlude(&folder, &[&["weights", "import", "a.caffemodel"], more].concat());
    assert!(succeed(import(&[])).contains("wrote"));
    assert!(succeed(import(&[])).contains("unchanged"));
    fs::write(folder.path().join("weights/a.safetensors"), b"mine").unwrap();
    refuse(
        &folder,
        import(&[]),
        1,
        &["a.safetensors: a different file exists already: replace it with --force"],
    );
    assert!(succeed(import(&["--force"])).contains("wrote"));
}

/// The published network in Caffe's format becomes the published file, byte for byte.
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
    // The other commands look for the file in this place.
    assert!(succeed(occlude(&folder, &["weights", "verify"])).contains("matches"));
}

/// A file of sources: the name, the address and the expected file of each source.
fn sources(folder: &TempDir, sources: &[(&str, &str, &[u8])]) -> PathBuf {
    let source = |(name, url, file): &(&str, &str, &[u8])| serde_json::json!({"name": name, "url": url, "size": file.len(), "sha1": sha1(file)});
    let path = folder.path().join("sources.json");
    fs::write(&path, serde_json::to_string(&sources.iter().map(source).collect::<Vec<_>>()).unwrap())
        .unwrap();
    path
}

/// Limits that a test can wait for: seconds of slow transfer, seconds in total, bytes of a file of
/// unknown size.
const SOON: &str = "0.4,60,300000";

fn fetch_from(folder: &TempDir, url: &str, more: &[&str]) -> Command {
    occlude(folder, &[&["weights", "fetch", "--from", url, "--out", "new/w.st"], more].concat())
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
    // Other weights are not written to the place of the published ones.
    let sum = sha1(&model);
    let fetch = ["weights", "fetch", "--from", &server.url, "--checksum", &sum];
    refuse(&folder, occlude(&folder, &fetch), 1, &["--out without a value is not possible"]);
    let list = sources(&folder, &[("only", &server.url, &model)]);
    let fetch = ["weights", "fetch", "--sources", list.to_str().unwrap()];
    assert!(succeed(occlude(&folder, &fetch)).contains("wrote"));
    // The file is in the cache directory, where every command looks.
    succeed(occlude(&folder, &["classify", "picture.png"]));
    let cached: Vec<_> =
        listing(&folder.path().join("cache")).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(cached.len(), 1, "{cached:?}");
    assert_same(&cached[0], &weights);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    refuse(&folder, occlude(&folder, &fetch), 1, &["the file exists already: replace it with --force"]);
}

/// Uses dead sources, sources with the wrong file, and good sources. The command asks no source
/// after a good one.
#[test]
fn sources_are_tried_in_turn() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = onnx(&Weights::seeded(SEED));
    let mut damaged = model.clone();
    damaged[model.len() / 3] ^= 1;
    let closed = closed();
    let servers = [damaged, model.clone(), model.clone()].map(|file| serve(file, Manner::Whole));
    let list = sources(
        &folder,
        &[
            ("dead", &closed, &model),
            ("damaged", &servers[0].url, &model),
            ("good", &servers[1].url, &model),
            ("last", &servers[2].url, &model),
        ],
    );
    let list = list.to_str().unwrap();
    let fetch = |more: &[&str]| {
        occlude(&folder, &[&["weights", "fetch", "--out", "new/w.st", "--sources", list], more].concat())
    };
    let output = fetch(&[]).output().unwrap();
    let told = stderr(&output);
    let lines: Vec<&str> = told.lines().collect();
    assert!(output.status.success(), "{told}");
    assert_eq!(lines.len(), 2, "{told}");
    let dead = format!("dead ({closed}): the connection to the server failed");
    assert!(lines[0].starts_with(&dead), "{told}");
    assert!(lines[0].ends_with("trying damaged") && lines[1].ends_with("trying good"), "{told}");
    let damaged = format!("damaged ({}): the file has checksum ", servers[0].url);
    assert!(lines[1].starts_with(&damaged), "{told}");
    assert_same(&folder.path().join("new/w.st"), &Weights::seeded(SEED));
    assert_eq!(listing(&folder.path().join("new")), [folder.path().join("new/w.st")]);
    assert!(servers[2].requests.lock().unwrap().is_empty());

    // The user selects one source by its name.
    fs::remove_dir_all(folder.path().join("new")).unwrap();
    refuse(
        &folder,
        fetch(&["--from", "dead"]),
        1,
        &["dead (", "the connection to the server failed", "import FILE"],
    );
    refuse(&folder, fetch(&["--from", "none"]), 1, &["--from none", "dead, damaged, good, last"]);
    let sum = ["--from", "last", "--checksum", &"a".repeat(40)];
    refuse(&folder, fetch(&sum), 1, &["the checksums of the sources are known"]);
    succeed(fetch(&["--from", "last"]));
    assert_eq!(servers[2].requests.lock().unwrap().len(), 1);
    fs::remove_dir_all(folder.path().join("new")).unwrap();

    // If no source is good, the command reports all of them.
    let not_found = serve(Vec::new(), Manner::NotFound);
    let list = [("dead", &*closed, &*model), ("gone", &*not_found.url, &*model)];
    sources(&folder, &list);
    let output = fetch(&[]).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    for expected in [
        "error: the published weights: all 2 sources failed, for the reasons above",
        &format!("dead ({closed}): the connection to the server failed"),
        &format!("gone ({}): the server answers with status 404", not_found.url),
        "occlude weights import FILE",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    assert!(!folder.path().join("new").exists());
}

#[test]
fn another_network_goes_beside_the_published_one() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let weights = Weights::seeded_for(Network::torchvision(1000), SEED);
    let tensors = weights.tensors().map(|(name, shape, values)| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::F32, shape, bytes }
    });
    let file = safetensors(&tensors.collect::<Vec<_>>());
    let server = serve(file.clone(), Manner::Whole);
    let list = serde_json::json!([
        {"name": "torchvision", "url": server.url, "sha1": &sha1(&file)[..8], "file": "torchvision_googlenet.safetensors"},
    ]);
    fs::write(folder.path().join("sources.json"), list.to_string()).unwrap();
    let fetch = occlude(&folder, &["weights", "fetch", "--torchvision", "--sources", "sources.json"]);
    let text = succeed(fetch);
    let files: Vec<_> = listing(folder.path())
        .into_iter()
        .filter(|path| path.ends_with("torchvision_googlenet.safetensors"))
        .collect();
    assert_eq!(files.len(), 1, "{text}");
    assert!(text.contains(&format!("--weights {}", files[0].display())), "{text}");
    assert_same(&files[0], &weights);
    // The commands do not take it for the published network.
    assert!(succeed(occlude(&folder, &["weights"])).contains("built-in network"));
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
    let fetch = || {
        occlude(&folder, &["weights", "fetch", "--from", &server.url, "--checksum", &sum, "--out", "w.st"])
    };
    let output = fetch().output().unwrap();
    let half = model.len() / 2;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("{half} bytes are kept")), "{}", stderr(&output));
    let partial = folder.path().join(format!("w.st.{}.partial", &sum[..8]));
    assert_eq!(fs::metadata(&partial).unwrap().len(), half as u64);
    assert!(!folder.path().join("w.st").exists());
    assert!(succeed(fetch()).contains("wrote"));
    assert_eq!(range_start(&server.requests.lock().unwrap()[1]), Some(half));
    assert_same(&folder.path().join("w.st"), &weights);
    assert!(!partial.exists());

    // The download also continues from another server with another name. After a source has sent
    // the file, the partial files of other sources are gone.
    let list = sources(&folder, &[("other", &closed(), b"other"), ("good", &server.url, &model)]);
    fs::write(&partial, &model[..half]).unwrap();
    fs::write(folder.path().join(format!("w.st.{}.partial", &sha1(b"other")[..8])), b"oth").unwrap();
    let fetch = ["weights", "fetch", "--sources", list.to_str().unwrap(), "--force", "--out", "w.st"];
    let output = occlude(&folder, &fetch).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 bytes are kept"), "{}", stderr(&output));
    assert_eq!(range_start(&server.requests.lock().unwrap()[2]), Some(half));
    let left = listing(folder.path()).into_iter().filter(|path| path.extension() == Some("partial".as_ref()));
    assert_eq!(left.count(), 0);
}

/// The kept part may be the beginning of another file or too long, or the server may not send
/// parts.
#[test]
fn what_cannot_be_continued_begins_anew_once() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let sum = sha1(&model);
    let partial = folder.path().join(format!("w.st.{}.partial", &sum[..8]));
    for (manner, kept, requests) in [
        (Manner::Whole, vec![1; 100], 2),
        (Manner::Whole, vec![1; model.len() + 1], 1),
        (Manner::Unannounced, model[..100].to_vec(), 1),
        (Manner::WrongPart, model[..100].to_vec(), 2),
        (Manner::Whole, model.clone(), 0),
    ] {
        let server = serve(model.clone(), manner);
        let list = sources(&folder, &[("good", &server.url, &model)]);
        fs::write(&partial, &kept).unwrap();
        let list = list.to_str().unwrap();
        succeed(occlude(&folder, &["weights", "fetch", "--sources", list, "--out", "w.st", "--force"]));
        assert_eq!(server.requests.lock().unwrap().len(), requests);
        assert!(!partial.exists());
    }
    // Without a known size, the server's status 416 shows that the kept part is too long.
    let server = serve(model.clone(), Manner::Whole);
    fs::write(&partial, vec![1; model.len() + 1]).unwrap();
    let fetch = ["weights", "fetch", "--from", &server.url, "--checksum", &sum, "--out", "w.st", "--force"];
    succeed(occlude(&folder, &fetch));
    assert_eq!(server.requests.lock().unwrap().len(), 2);
    // The second attempt is the last one.
    fs::remove_file(folder.path().join("w.st")).unwrap();
    let mut damaged = model.clone();
    damaged[model.len() / 3] ^= 1;
    let server = serve(damaged, Manner::Whole);
    fs::write(&partial, &model[..100]).unwrap();
    let fetch = ["weights", "fetch", "--from", &server.url, "--checksum", &sum, "--out", "w.st"];
    let output = occlude(&folder, &fetch).output().unwrap();
    assert!(stderr(&output).contains("it is damaged, or it is another file"), "{}", stderr(&output));
    assert_eq!(server.requests.lock().unwrap().len(), 2);
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
    let server = serve(damaged, Manner::Whole);
    let expected = format!("expected SHA-1 {sum}: it is damaged");
    refuse(&folder, fetch_from(&folder, &server.url, &["--checksum", &sum]), 1, &[&server.url, &expected]);
    // The checksum is right, but the file does not contain weights.
    let file = b"{\"error\": \"moved\"}".to_vec();
    let server = serve(file.clone(), Manner::Whole);
    let fetch = fetch_from(&folder, &server.url, &["--checksum", &sha1(&file)]);
    refuse(&folder, fetch, 1, &[&server.url, "JSON, not weights"]);
    // Another network than the published one, without an option that requests it.
    let server = serve(model, Manner::Whole);
    let fetch = fetch_from(&folder, &server.url, &[]);
    refuse(&folder, fetch, 1, &["is not the published network", "--checksum"]);
}

/// Each download ends soon, with a message that names the source, and leaves no file behind.
#[test]
fn servers_that_do_not_send_the_file_are_given_up() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let page = b"\n<!doctype html><title>Log in</title>".to_vec();
    let long = vec![1; 400_000];
    for (content, manner, limits, expected) in [
        (page.clone(), Manner::Whole, SOON, "the server sent a web page instead of the file"),
        (b"<HTML>".to_vec(), Manner::Unannounced, SOON, "the server sent a web page instead of the file"),
        (long.clone(), Manner::Whole, SOON, "larger than 300000 bytes"),
        (Vec::new(), Manner::Endless, SOON, "larger than 300000 bytes"),
        (Vec::new(), Manner::Endless, "9,0.3,99999999999", "not complete after 0.3 seconds"),
        (Vec::new(), Manner::Trickle, SOON, "fewer than 1000 bytes per second for 0.4 seconds"),
        (Vec::new(), Manner::Silent, SOON, "fewer than 1000 bytes per second for 0.4 seconds"),
        (Vec::new(), Manner::Unannounced, SOON, "the file has 0 bytes"),
        (Vec::new(), Manner::NotFound, SOON, "the server answers with status 404"),
        (
            Vec::new(),
            Manner::Redirect("file:///etc/passwd"),
            SOON,
            "to file:///etc/passwd is not followed: it has the scheme file",
        ),
        (
            Vec::new(),
            Manner::Redirect("ftp://me:secret@a.b/c"),
            SOON,
            "to ftp://***@a.b/c is not followed: it has the scheme ftp",
        ),
        (Vec::new(), Manner::Redirect("/again"), SOON, "redirects more than 10 times"),
    ] {
        let server = serve(content, manner);
        let messages = [&server.url, expected, "weights import FILE"];
        let started = Instant::now();
        refuse(&folder, fetch_from(&folder, &server.url, &["--limits", limits]), 1, &messages);
        assert!(started.elapsed() < Duration::from_secs(20), "{expected}");
    }
    // A server that announces more than it has is not promised another attempt, and nothing is kept.
    let (model, sum) = (vec![1; 1000], sha1(&[1; 1000]));
    for announced in ["--limits=9,60,900", "--limits=9,60,1000"] {
        let server = serve(model.clone(), Manner::Whole);
        let kept = folder.path().join(format!("w.st.{}.partial", &sum[..8]));
        fs::write(&kept, &model[..100]).unwrap();
        let fetch =
            ["weights", "fetch", "--from", &server.url, "--checksum", &sum, "--out", "w.st", announced];
        let output = occlude(&folder, &fetch).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!kept.exists() && !stderr(&output).contains("kept"), "{}", stderr(&output));
    }
    // The command enforces a known size.
    let list = |url: &str, size: usize| sources(&folder, &[("it", url, &vec![0; size])]);
    for (manner, size, expected) in [
        (Manner::Whole, 999, "the file has 1000 bytes, expected 999"),
        (Manner::Whole, 1001, "the file has 1000 bytes, expected 1001"),
        (Manner::Unannounced, 999, "the file has more than the expected 999 bytes"),
        (Manner::Unannounced, 1001, "the file has 1000 bytes, expected 1001"),
        (Manner::Endless, 100_000, "the file has more than the expected 100000 bytes"),
    ] {
        let server = serve(model.clone(), manner);
        let list = list(&server.url, size);
        let fetch = ["weights", "fetch", "--sources", list.to_str().unwrap(), "--out", "new/w.st"];
        refuse(&folder, occlude(&folder, &fetch), 1, &["it (", &server.url, expected]);
    }
}

/// A list of sources is a file from someone else too.
#[test]
fn a_list_of_sources_does_not_lift_the_limits() {
    let folder = folder();
    let server = serve(Vec::new(), Manner::Endless);
    let list =
        serde_json::json!([{"name": "it", "url": server.url, "size": u64::MAX, "sha1": "a".repeat(40)}]);
    fs::write(folder.path().join("list.json"), list.to_string()).unwrap();
    let fetch = |list: &str| occlude(&folder, &["weights", "fetch", "--sources", list, "--out", "new/w.st"]);
    refuse(&folder, fetch("list.json"), 1, &[&server.url, "larger than 268435456 bytes, the limit"]);
    assert!(server.requests.lock().unwrap().is_empty());
    fs::write(folder.path().join("long.json"), " ".repeat(2 << 20)).unwrap();
    refuse(&folder, fetch("long.json"), 1, &["long.json: larger than 1048576 bytes, expected a list"]);
    #[cfg(target_os = "linux")]
    refuse(&folder, fetch("/dev/zero"), 1, &["/dev/zero: larger than 1048576 bytes"]);
}

/// No other source could solve this problem.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_it() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let server = serve(Vec::new(), Manner::Endless);
    let fetch = fetch_from(&folder, &server.url, &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]);
    limited.arg(fetch.get_program()).args(fetch.get_args()).current_dir(folder.path());
    refuse(&folder, limited, 1, &["cannot write to new/w.st:"]);
}

#[test]
fn redirects_within_the_web_are_followed() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let target = serve(model.clone(), Manner::Whole);
    let server = serve(Vec::new(), Manner::Redirect(target.url.clone().leak()));
    succeed(fetch_from(&folder, &server.url, &["--checksum", &sha1(&model)]));
    assert_same(&folder.path().join("new/w.st"), &Weights::seeded(SEED));
}

#[test]
fn a_server_that_has_it_not_and_one_that_is_not_there_are_told_apart() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let server = serve(Vec::new(), Manner::NotFound);
    let fetch = |url: &str| fetch_from(&folder, url, &[]);
    refuse(&folder, fetch(&server.url), 1, &["the server answers with status 404", "weights import FILE"]);
    refuse(&folder, fetch(&closed()), 1, &["the connection to the server failed", "--from"]);
    refuse(
        &folder,
        fetch("http://no-such-host.invalid/x"),
        1,
        &["the address of the server cannot be resolved; check the network"],
    );
    let scheme = "expected an address that begins with http:// or https://";
    refuse(&folder, fetch("file:///etc/passwd"), 1, &["file:///etc/passwd", scheme]);
    let mut without = fetch(&server.url);
    without.env("PATH", folder.path());
    refuse(&folder, without, 1, &["the program curl, which is required for the download, is not installed"]);
    let wrong = occlude(&folder, &["weights", "fetch", "--from", &server.url, "--checksum", "abc"]);
    refuse(&folder, wrong, 2, &["--checksum", "SHA-384"]);
    // The messages do not show the name and the password.
    for userinfo in ["me:secret@", "me:a/secret@", "me:a#secret?@", "me:a\\secret@", "me:a secret\n@"] {
        for url in [&server.url, &closed()] {
            let url = url.replace("http://", &format!("http://{userinfo}"));
            let output = fetch(&url).output().unwrap();
            let told = stderr(&output);
            assert!(told.contains("http://***@127.0.0.1:") && !told.contains("secret"), "{told}");
        }
    }
}

/// Waits for a condition that must become true soon.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what}: this did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The arguments of each running curl whose working directory is this folder.
#[cfg(target_os = "linux")]
fn curls(folder: &TempDir) -> Vec<String> {
    let folder = folder.path().canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let here = processes.filter(|process| process.join("cwd").read_link().is_ok_and(|cwd| cwd == folder));
    let arguments = here.filter_map(|process| fs::read_to_string(process.join("cmdline")).ok());
    arguments.filter(|arguments| arguments.starts_with("curl")).collect()
}

/// Ctrl-C, SIGTERM and SIGHUP end curl too. The command keeps only the file that it can continue. During
/// the download it refuses a second one.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_download_with_its_curl() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let half = model.len() / 2;
    let sum = sha1(&model);
    for (signal, code, checksum) in [
        ("INT", 130, None),
        ("TERM", 143, None),
        ("HUP", 129, None),
        ("TERM", 143, Some(["--checksum", sum.as_str()])),
    ] {
        let server = serve(model.clone(), Manner::HangsOnce);
        let fetch = || fetch_from(&folder, &server.url, checksum.as_ref().map_or(&[], |sum| &sum[..]));
        let name = checksum.map_or("w.st.partial".to_string(), |_| format!("w.st.{}.partial", &sum[..8]));
        let partial = folder.path().join("new").join(name);
        let before = listing(folder.path());
        let mut child = with_default_signals(&fetch());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("half of the file is there", || {
            fs::metadata(&partial).is_ok_and(|file| file.len() == half as u64)
        });
        refuse(&folder, fetch(), 1, &["another `occlude weights fetch` is downloading this file"]);
        #[cfg(target_os = "linux")]
        let [arguments] = &curls(&folder)[..] else { panic!("one curl") };
        // Every user of the machine can read the arguments, so they contain no address.
        #[cfg(target_os = "linux")]
        assert!(!arguments.contains(&server.url), "{arguments}");
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let mut status = None;
        wait_for("the command ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(code));
        #[cfg(target_os = "linux")]
        assert_eq!(curls(&folder), [""; 0]);
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(told, "error: interrupted\n");
        if checksum.is_none() {
            assert_eq!(listing(folder.path()), before);
            continue;
        }
        assert_eq!(listing(&folder.path().join("new")), [partial]);
        succeed(fetch());
        assert_eq!(range_start(&server.requests.lock().unwrap()[1]), Some(half));
        assert_eq!(listing(&folder.path().join("new")), [folder.path().join("new/w.st")]);
    }
}

/// If the command is killed, a pipe without a reader ends curl, or, if the server sends nothing, a
/// limit of its own. The next download replaces what was left.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_download_takes_curl_with_it_and_does_not_spoil_the_next() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let sum = sha1(&model);
    for (manner, checksum) in [
        (Manner::Endless, None),
        (Manner::HangsOnce, None),
        (Manner::HangsOnce, Some(["--checksum", sum.as_str()])),
    ] {
        let server = serve(model.clone(), manner);
        let checksum = checksum.as_ref().map_or(&[][..], |sum| &sum[..]);
        let begun = |more: &[&str]| {
            let mut fetch = fetch_from(&folder, &server.url, &[checksum, more].concat());
            fetch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut child = begun(&["--limits", "0.9,60,99999999999"]);
        let is_partial = |path: &PathBuf| path.extension() == Some("partial".as_ref());
        wait_for("a part of the file is there", || {
            let partial = listing(folder.path()).into_iter().find(is_partial);
            partial.is_some_and(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
        });
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for("curl ends", || curls(&folder).is_empty());
        // The lock and the partial file are left, and nothing else.
        let left = listing(&folder.path().join("new"));
        assert_eq!(left.len(), 2, "{left:?}");
        let kept = fs::metadata(left.iter().find(|path| is_partial(path)).unwrap()).unwrap().len();
        let server = serve(model.clone(), Manner::Whole);
        succeed(fetch_from(&folder, &server.url, &["--checksum", &sum]));
        assert_same(&folder.path().join("new/w.st"), &Weights::seeded(SEED));
        let start = range_start(&server.requests.lock().unwrap()[0]);
        assert_eq!(start, (!checksum.is_empty()).then_some(kept as usize));
        fs::remove_dir_all(folder.path().join("new")).unwrap();
    }
}

/// `nohup` starts programs in this way.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let server = serve(caffemodel(&Weights::seeded(SEED)), Manner::HangsOnce);
    let fetch = fetch_from(&folder, &server.url, &["--limits", "3,60,99999999"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""]);
    shell.arg(fetch.get_program()).args(fetch.get_args()).current_dir(folder.path());
    let mut child = shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("curl runs", || curls(&folder).len() == 1);
    for signal in ["-HUP", "-INT"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("fewer than 1000 bytes per second for 3 seconds"), "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_in_the_place_of_a_download_is_not_followed() {
    if !has_curl() {
        return;
    }
    let folder = folder();
    let model = caffemodel(&Weights::seeded(SEED));
    let sum = sha1(&model);
    let server = serve(model, Manner::Whole);
    fs::write(folder.path().join("mine"), b"precious").unwrap();
    for (name, more) in [
        (format!("w.st.{}.partial", &sum[..8]), vec!["--checksum", &sum]),
        ("w.st.partial".to_string(), Vec::new()),
        ("w.st.lock".to_string(), Vec::new()),
    ] {
        let link = folder.path().join(&name);
        for target in ["mine", "absent"] {
            std::os::unix::fs::symlink(folder.path().join(target), &link).unwrap();
            let fetch = ["weights", "fetch", "--from", &server.url, "--out", "w.st"];
            let output = occlude(&folder, &[&fetch[..], &more].concat()).output().unwrap();
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(1));
            assert!(
                told.contains(&name) && told.contains("a symbolic link, expected a regular file"),
                "{told}"
            );
            assert_eq!(fs::read(folder.path().join("mine")).unwrap(), b"precious");
            assert!(!folder.path().join("absent").exists());
            fs::remove_file(&link).unwrap();
        }
    }
    assert!(server.requests.lock().unwrap().is_empty());
}

#[test]
fn what_import_cannot_take_is_refused_by_what_it_is() {
    let folder = folder();
    fs::write(folder.path().join("a.pth"), b"PK\x03\x04 a pickle in a ZIP archive").unwrap();
    let import = |file: &str| occlude(&folder, &["weights", "import", file]);
    refuse(&folder, import("a.pth"), 1, &["a.pth", "ZIP archive"]);
    refuse(&folder, import("none"), 1, &["none: no such file"]);
    let mut cut = caffemodel(&Weights::seeded(SEED));
    cut.truncate(cut.len() / 2);
    fs::write(folder.path().join("cut.caffemodel"), cut).unwrap();
    refuse(&folder, import("cut.caffemodel"), 1, &["cut.caffemodel: "]);
    // safetensors' own reader reads the file that the command wrote.
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

#[test]
fn import_keeps_the_labels_and_goes_nowhere_where_it_would_be_taken_for_the_published_network() {
    let folder = folder();
    let weights = Weights::seeded_for(Network::torchvision_half(3), SEED);
    let tensors = weights.tensors().map(|(name, shape, values)| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::F32, shape, bytes }
    });
    fs::write(folder.path().join("bvlc_googlenet.st"), safetensors(&tensors.collect::<Vec<_>>())).unwrap();
    fs::write(folder.path().join("names.txt"), "daisy\nrose\ntulip\n").unwrap();
    let import =
        |more: &[&str]| occlude(&folder, &[&["weights", "import", "bvlc_googlenet.st"], more].concat());
    refuse(&folder, import(&[]), 1, &["--out weights/bvlc_googlenet.safetensors is not possible"]);
    refuse(&folder, import(&["--out", "a.st", "--labels", "none"]), 1, &["cannot read none"]);
    succeed(import(&["--out", "a.st", "--labels", "names.txt"]));
    let classify = ["classify", "picture.png", "--weights", "a.st", "--top", "3"];
    let text = succeed(occlude(&folder, &classify));
    assert!(["daisy", "rose", "tulip"].iter().all(|name| text.contains(name)), "{text}");
    // The network has three classes, so the default prints no more than three.
    assert_eq!(succeed(occlude(&folder, &classify[..4])).lines().count(), 3);
    refuse(&folder, occlude(&folder, &["weights", "import", "builtin"]), 1, &["needs no import"]);
}

#[test]
fn a_file_that_nobody_named_is_refused_with_the_way_around_it() {
    let folder = folder();
    let hub = folder.path().join("cache/torch/hub/checkpoints");
    fs::create_dir_all(&hub).unwrap();
    fs::write(hub.join("googlenet-1378be20.pth"), b"PK\x03\x04").unwrap();
    let classify = ["classify", "picture.png"];
    refuse(&folder, occlude(&folder, &classify), 1, &["googlenet-1378be20.pth: ", "with --weights builtin"]);
    succeed(occlude(&folder, &[&classify[..], &["--weights", "builtin"]].concat()));
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_no_weights_files() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in ["/dev/zero", "pipe"] {
        for command in [&["classify", "picture.png", "--weights", file][..], &["weights", "verify", file]] {
            refuse(
                &folder,
                occlude(&folder, command),
                1,
                &["it is a device or a pipe, expected a regular file"],
            );
        }
    }
    fs::copy(seeded_weights(), folder.path().join("a.st")).unwrap();
    for out in ["/dev/full", "pipe"] {
        let import = occlude(&folder, &["weights", "import", "a.st", "--out", out]);
        refuse(&folder, import, 1, &["it is a device or a pipe, expected a regular file"]);
    }
}
