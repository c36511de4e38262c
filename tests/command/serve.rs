//! Tests of `occlude serve` over HTTP, without a browser: what it refuses, what it answers, and how it ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::command::{floats, folder, occlude, refuse, seeded, succeed, with_default_signals};
use crate::common::shared;
use crate::served::{Served, parsed, received, refused, status};

/// Numbers of an `explain` with masks of 45 pixels, and of one that takes very long.
const DEFAULTS: &str = "45,22,0,0,0,-1,0,11";
const LONG: &str = "224,1,0,0,0,-1,0,224";

fn picture(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join("picture.png")).unwrap()
}

#[test]
fn requests_that_are_not_the_page_s_are_refused() {
    let served = Served::start(folder(), &[]);
    let end = "\r\nConnection: close\r\n\r\n";
    for (expected, request) in [
        (200, "GET /TOKEN/ HTTP/1.1\r\nHost: HOST"),
        (200, "GET /TOKEN/ HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST"),
        (200, "GET /TOKEN/sample HTTP/1.1\r\nHost: HOST"),
        // Without the token, from another site, under another name.
        (404, "GET / HTTP/1.1\r\nHost: HOST"),
        (404, "GET /TOKEN HTTP/1.1\r\nHost: HOST"),
        (404, "GET /0TOKEN/ HTTP/1.1\r\nHost: HOST"),
        (404, "GET /00000000000000000000000000000000/ HTTP/1.1\r\nHost: HOST"),
        (403, "GET /TOKEN/ HTTP/1.1\r\nHost: rebound.example"),
        (403, "GET /TOKEN/ HTTP/1.1\r\nHost: HOST\r\nHost: HOST"),
        (403, "GET /TOKEN/ HTTP/1.1\r\nHost:"),
        (403, "GET /TOKEN/ HTTP/1.1"),
        (403, "GET /TOKEN/ HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example"),
        (403, "POST /TOKEN/pixels HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\nContent-Length: 0"),
        // What is not there.
        (404, "GET /TOKEN/first HTTP/1.1\r\nHost: HOST"),
        (404, "GET /TOKEN/../../etc/passwd HTTP/1.1\r\nHost: HOST"),
        (404, "GET /TOKEN//etc/passwd HTTP/1.1\r\nHost: HOST"),
        (404, "POST /TOKEN/network HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (404, "CONNECT HOST HTTP/1.1\r\nHost: HOST"),
        (404, "OPTIONS * HTTP/1.1\r\nHost: HOST"),
        (405, "POST /TOKEN/ HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (405, "PUT /TOKEN/sample HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (405, "GET /TOKEN/explain HTTP/1.1\r\nHost: HOST"),
        (405, "DELETE /TOKEN/photograph HTTP/1.1\r\nHost: HOST"),
        // Bodies whose length is not known, is none, or is too large. None of them is sent.
        (411, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST"),
        (411, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked"),
        (413, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 800000001"),
        (413, "POST /TOKEN/paint?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 200705"),
        (413, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999999999999"),
        (400, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1"),
        (400, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: some"),
        (400, "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2"),
        // Arguments.
        (400, "POST /TOKEN/pixels HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (400, "POST /TOKEN/pixels?id=-1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (400, "POST /TOKEN/pixels?id=99999999999999999999 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (400, "POST /TOKEN/pixels?id=1&numbers=1,x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        (410, "POST /TOKEN/pixels?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0"),
        // No HTTP.
        (400, "\u{0}\u{1}\u{2}"),
        (400, "GET /TOKEN/ HTTP/9.9\r\nHost: HOST"),
        (400, "GET\r\n\r\n"),
        (400, "GET /TOKEN/ HTTP/1.1\r\nHost HOST"),
    ] {
        let answer = served.send(&format!("{request}{end}"));
        assert_eq!(status(&answer), expected, "{request}: {}", String::from_utf8_lossy(&answer));
    }
    let large = "POST /TOKEN/photograph?id=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 800000001";
    let answer = served.send(&format!("{large}{end}"));
    let words = "the photograph: is larger than 800000000 bytes; save a smaller picture\n";
    assert!(answer.ends_with(words.as_bytes()), "{}", String::from_utf8_lossy(&answer));
    let long = format!("GET /TOKEN/ HTTP/1.1\r\nHost: HOST\r\nX: {}", "x".repeat(100_000));
    let answer = served.send(&format!("{long}{end}"));
    assert!([431, 0].contains(&status(&answer)), "{}", String::from_utf8_lossy(&answer));
    // The page is still there, and may not be put into a frame, kept, or named to others.
    let page = served.send(&format!("GET /TOKEN/ HTTP/1.1\r\nHost: HOST{end}"));
    let page = String::from_utf8(page).unwrap().to_lowercase();
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "content-security-policy: frame-ancestors 'none'",
        "connect-src 'self'",
    ] {
        assert!(page.contains(header), "{header}");
    }
    assert!(!page.contains("access-control"), "other sites may read it");
    assert_eq!(served.errors(), "");
}

/// Asserts that the numbers over HTTP are those of the command.
fn assert_the_command_s_numbers(served: &Served, weights: &str) {
    let folder = folder();
    let command = |arguments: &[&str]| -> Value {
        let explain = ["explain", "picture.png", "--weights", weights, "--classes", "top5", "--out", "out"];
        succeed(occlude(&folder, &[&explain, arguments].concat()));
        serde_json::from_str(&fs::read_to_string(folder.path().join("out/map.json")).unwrap()).unwrap()
    };
    let flat = |map: &Value, positions: usize| -> Vec<f32> {
        let grid = floats(&map["grid"]);
        let classes = map["classes"].as_array().unwrap();
        let bases = classes.iter().flat_map(|class| [&class["index"], &class["base_score"]]).flat_map(floats);
        let head = [grid[0], grid[1], classes.len() as f32].into_iter().chain(bases);
        let numbers =
            head.chain(["scores", "argmax", "argmax_scores"].iter().flat_map(|name| floats(&map[*name])));
        let numbers: Vec<f32> = numbers.collect();
        assert_eq!(numbers.len(), 3 + 2 * classes.len() + (classes.len() + 2) * positions);
        numbers
    };
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    let picture = picture(&folder);
    let opened = served.call("photograph", 1, "0,0,0", &picture).unwrap();
    let map = command(&[]);
    assert_eq!(opened[0].numbers[..2], [120.0, 80.0]);
    let best = ["index", "base_score"].map(|name| floats(&map["classes"][0][name])[0]);
    assert_eq!(opened[0].numbers[2..4], best);
    assert_eq!(String::from_utf8_lossy(&opened[0].bytes), map["image_sha256"].as_str().unwrap());

    let parts = served.call("explain", 1, DEFAULTS, &[]).unwrap();
    let (last, refined) = parts.split_last().unwrap();
    assert_eq!((last.kind, bits(&last.numbers)), (0, bits(&flat(&map, 121))));
    assert!(refined.len() >= 2, "no maps on the way");
    for part in refined {
        assert_eq!((part.kind, part.progress[1], part.numbers.len()), (1, 121, last.numbers.len()));
    }
    assert!(refined.windows(2).all(|two| two[0].progress[0] < two[1].progress[0]));

    // A part of the rows, other options, a class of one's own.
    let parts = served.call("explain", 1, "60,56,2,12,1,20,1,3", &[]).unwrap();
    let options = "--mask-size 60 --stride 56 --mask-value blur:12 --score logit --region 56,0,113,224";
    let classes = ["--classes", "top5,20"];
    let map = command(&[&options.split(' ').collect::<Vec<_>>()[..], &classes].concat());
    assert_eq!(bits(&parts.last().unwrap().numbers), bits(&flat(&map, 8)));

    let covered = served.call("cover", 1, "40,60,45,0,0,0,-1", &[]).unwrap();
    let map = command(&["--stride", "1", "--region", "112,112,113,113"]);
    let expected = flat(&map, 1);
    assert_eq!(bits(&covered[0].numbers[..expected.len()]), bits(&expected));
}

#[test]
fn numbers_are_those_of_the_command() {
    assert_the_command_s_numbers(&Served::start(folder(), &["--threads", "2"]), "builtin");
    let Some(weights) = shared("weights/bvlc_googlenet.safetensors") else { return };
    let weights = weights.to_str().unwrap();
    let folder = folder();
    let command = with_default_signals(&occlude(&folder, &["serve", "--weights", weights]));
    assert_the_command_s_numbers(&Served::run(folder, command), weights);
}

#[test]
fn wrong_numbers_are_errors_and_the_next_ones_are_answered() {
    let served = Served::start(folder(), &[]);
    served.open(1, &picture(&served.folder));
    let positions = vec![0; 4 * 121];
    for (name, numbers, data, message) in [
        (
            "explain",
            "0,22,0,0,0,-1,0,11",
            &[][..],
            "mask size 0x0 is not possible: expected height and width",
        ),
        ("explain", "225,22,0,0,0,-1,0,11", &[], "mask size 225x225 is not possible"),
        ("explain", "45,0,0,0,0,-1,0,11", &[], "stride 0x0 is not possible"),
        ("explain", "1.5,22,0,0,0,-1,0,11", &[], "mask size 1.5 is not possible: expected a whole number"),
        ("explain", "NaN,22,0,0,0,-1,0,11", &[], "mask size NaN is not possible: expected a finite number"),
        ("explain", "1e300,22,0,0,0,-1,0,11", &[], "expected a whole number"),
        ("explain", "-45,22,0,0,0,-1,0,11", &[], "mask size -45 is not possible"),
        ("explain", "45,22,4,0,0,-1,0,11", &[], "mask value 4 is not possible"),
        ("explain", "45,22,2,0,0,-1,0,11", &[], "expected a standard deviation of 0.5 to 100 pixels"),
        ("explain", "45,22,0,0,2,-1,0,11", &[], "score 2 is not possible"),
        ("explain", "45,22,0,0,0,-2,0,11", &[], "class -2 is not possible"),
        ("explain", "45,22,0,0,0,28,0,11", &[], "class 28"),
        ("explain", "45,22,0,0,0,-1,5,5", &[], "region"),
        ("explain", "45,22,0,0,0,-1,11,99", &[], "region"),
        (
            "explain",
            "45,22,0,0,0,-1,0,4294967295,7",
            &[],
            "argument 7 is not possible: expected no more numbers",
        ),
        ("explain", "45,22,0,0,0", &[], "class nothing is not possible: expected a number"),
        ("explain", "", &[], "mask size nothing is not possible"),
        ("cover", "inf,0,45,0,0,0,-1", &[], "y inf is not possible"),
        ("paint", "45,22,100,100,1,0,1", &[], "map of 0 values is not possible: expected 121"),
        ("paint", "45,22,0,100,1,0,1", &positions, "width 0 is not possible"),
        ("paint", "45,22,100,4097,1,0,1", &positions, "height 4097 is not possible"),
        ("paint", "45,22,100,100,1,4,1", &positions, "colours 4 is not possible"),
        ("paint", "45,0,100,100,1,0,1", &positions, "stride 0x0 is not possible"),
        ("colour_bar", "9", &[], "colours 9 is not possible"),
        ("pixels", "1", &[], "argument 1 is not possible"),
        ("photograph", "0,0,4", &[], "part of the photograph 4 is not possible"),
        ("photograph", "0,0,0", b"no picture", "the photograph: "),
        ("photograph", "0,0,0", &[], "the photograph: "),
        ("photograph", "4294967295,4294967295,0", &[0; 16], "RGB pixels: "),
        ("photograph", "3,0,0", &[0; 16], "RGB pixels: "),
    ] {
        let (status, text) = refused(served.call(name, 1, numbers, data));
        assert!(status == 400 && text.contains(message), "{name} {numbers}: {status} {text}");
    }
    // Extreme values that are possible.
    let far = served.call("cover", 1, "-1e308,1e308,224,3,4294967295,1,27", &[]).unwrap();
    assert_eq!(far[0].numbers.len(), 3 + 12 + 6 + 2 + 9);
    let painted = served.call("paint", 1, "1,22,4096,1,-1e300,3,0", &vec![0xff; 4 * 121]).unwrap();
    assert_eq!(painted[0].bytes.len(), 4 * 4096);
    assert_eq!(served.call("pixels", 1, "", &[]).unwrap()[0].bytes.len(), 4 * 120 * 80);
    // Pixels instead of a file.
    let opened = served.call("photograph", 1, "2,1,3", &[200; 8]).unwrap();
    assert_eq!(opened[0].numbers[..2], [2.0, 1.0]);
    assert_eq!(served.errors(), "");
}

#[test]
fn the_last_four_photographs_are_kept() {
    let served = Served::start(folder(), &[]);
    let picture = picture(&served.folder);
    (1..=4).for_each(|id| served.open(id, &picture));
    assert!(served.call("pixels", 1, "", &[]).is_ok());
    served.open(5, &picture);
    let kept = |id| served.call("pixels", id, "", &[]).is_ok();
    assert_eq!([1, 2, 3, 4, 5].map(kept), [true, false, true, true, true]);
    let (status, text) = refused(served.call("explain", 2, DEFAULTS, &[]));
    assert!(status == 410 && text.contains("open it again"), "{status} {text}");
}

#[test]
fn clients_that_do_not_finish_hold_up_nobody() {
    let served = Served::start(folder(), &["--threads", "1"]);
    let picture = picture(&served.folder);
    // Half of a head, half of a body, and nothing at all.
    let head = served.head("photograph", 9, "0,0,0", picture.len());
    let mut unfinished: Vec<TcpStream> = (0..30).map(|_| served.connect()).collect();
    for (i, stream) in unfinished.iter_mut().enumerate() {
        match i % 3 {
            0 => stream.write_all(&head.as_bytes()[..20]).unwrap(),
            1 => stream.write_all(&[head.as_bytes(), &picture[..100]].concat()).unwrap(),
            _ => {}
        }
    }
    served.open(1, &picture);
    assert_eq!(served.call("explain", 1, DEFAULTS, &[]).unwrap().last().unwrap().kind, 0);
    drop(unfinished);
    assert_eq!(refused(served.call("pixels", 9, "", &[])).0, 410);
    assert_eq!(served.errors(), "");
}

#[test]
fn a_sweep_ends_when_the_next_one_begins_or_its_client_goes() {
    let served = Served::start(folder(), &["--threads", "1"]);
    let picture = picture(&served.folder);
    (1..=3).for_each(|id| served.open(id, &picture));
    let cover = || served.call("cover", 1, "40,60,45,0,0,0,-1", &[]).unwrap();
    let first = served.begin("explain", 1, LONG, &[]);
    // A mask is answered while a sweep takes all threads.
    cover();
    let second = served.begin("explain", 1, LONG, &[]);
    let (status, text) = refused(parsed(&received(first)));
    assert_eq!((status, text.as_str()), (400, "cancelled\n"));
    // One waits for its turn. Then both clients go.
    let waiting = served.begin("explain", 2, LONG, &[]);
    cover();
    drop((waiting, second));
    // One that has sent a map says that it has been stopped.
    let mut first = served.begin("explain", 1, "224,4,0,0,0,-1,0,56", &[]);
    let mut begun = [0; 12];
    first.read_exact(&mut begun).unwrap();
    let second = served.begin("explain", 1, LONG, &[]);
    let parts = parsed(&[&begun[..], &received(first)].concat()).unwrap();
    let kinds: Vec<u32> = parts.iter().map(|part| part.kind).collect();
    assert!(matches!(kinds[..], [1, .., 2]), "{kinds:?}");
    assert_eq!(parts.last().unwrap().bytes, b"cancelled");
    drop(second);
    assert_eq!(served.call("explain", 3, DEFAULTS, &[]).unwrap().last().unwrap().kind, 0);
    assert_eq!(served.errors(), "");
}

#[test]
fn signals_are_the_usual_end() {
    for name in ["INT", "TERM"] {
        let mut served = Served::start(folder(), &["picture.png"]);
        let picture = picture(&served.folder);
        let first = served.send("GET /TOKEN/first HTTP/1.0\r\nHost: HOST\r\n\r\n");
        assert!(first.ends_with(&picture));
        served.open(1, &picture);
        // Also during a sweep.
        let sweep = served.begin("explain", 1, LONG, &[]);
        served.call("cover", 1, "40,60,45,0,0,0,-1", &[]).unwrap();
        served.signal(name);
        assert_eq!(served.end(), Some(0), "{name}");
        drop(sweep);
        let mut rest = String::new();
        served.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), served.errors().as_str()), ("", ""));
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("none.png"), "no picture").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serve = |arguments: &[&str]| seeded(&folder, &[&["serve"], arguments].concat());
    let name = format!("error: cannot listen on 127.0.0.1:{port}: ");
    refuse(&folder, serve(&["--port", &port]), 1, &[&name, "name another --port"]);
    // An address for documentation, which no machine has.
    let elsewhere = ["cannot listen on 192.0.2.1:0: ", "--address must be an address of this machine"];
    refuse(&folder, serve(&["--address", "192.0.2.1"]), 1, &elsewhere);
    refuse(&folder, serve(&["none.png"]), 1, &["none.png: "]);
    refuse(&folder, serve(&["absent.png"]), 1, &["absent.png"]);
    refuse(&folder, serve(&["--weights", "none.png"]), 1, &["none.png: "]);
    for (arguments, message) in [
        (["--port", "65536"], "whole number from 0 to 65535"),
        (["--port", "-1"], "whole number from 0 to 65535"),
        (["--address", "localhost"], "invalid IP address"),
        (["--threads", "0"], "1 to 1024"),
    ] {
        refuse(&folder, serve(&arguments), 2, &[message]);
    }
}

#[test]
fn an_address_that_others_reach_is_told() {
    let served = Served::start(folder(), &["--address", "0.0.0.0"]);
    // It is not known under which names others reach it.
    let page = served.send("GET /TOKEN/ HTTP/1.0\r\nHost: box.example\r\n\r\n");
    assert_eq!(status(&page), 200);
    let foreign = "GET /TOKEN/ HTTP/1.0\r\nHost: box.example\r\nOrigin: http://evil.example\r\n\r\n";
    assert_eq!(status(&served.send(foreign)), 403);
    assert!(
        served.errors().starts_with("warning: everyone who can reach this address"),
        "{}",
        served.errors()
    );
}
