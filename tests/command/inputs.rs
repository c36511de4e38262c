//! Tests of what a user names as an input: files, folders, pipes, standard input, addresses.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::command::{folder, occlude, refuse, seeded, stderr, succeed, write_png};
use serde_json::Value;
use tempfile::TempDir;

/// Options for a sweep of one position.
const QUICK: [&str; 4] = ["--mask-size", "224", "--stride", "224"];

fn quick(folder: &TempDir, arguments: &[&str]) -> Command {
    seeded(folder, &[arguments, &QUICK].concat())
}

/// The command with a file as its standard input.
fn with_input(mut command: Command, file: &Path) -> Command {
    command.stdin(File::open(file).unwrap());
    command
}

fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

#[test]
fn a_hyphen_is_standard_input_for_every_command() {
    let folder = folder();
    let picture = folder.path().join("picture.png");
    for (arguments, file) in [
        (&["classify", "--json"][..], None),
        (&["explain", "--stride", "224"], Some("map.json")),
        (&["compare", "--stride", "224"], Some("compare.json")),
        (&["gradcam"], Some("gradcam.json")),
        (&["rise", "--masks", "2"], Some("rise.json")),
        (&["check", "--stride", "224"], Some("check.json")),
        (&["region", "--stride", "224", "--tile", "224"], Some("region.json")),
        (&["features", "--layer", "conv1/7x7_s2"], Some("standard-input-conv1-7x7_s2-features.png")),
        (&["trace", "--at", "9,9"], Some("trace.json")),
        (&["profile", "--runs", "1"], None),
    ] {
        let read = |input: &str| {
            let stdout = succeed(with_input(seeded(&folder, &[arguments, &[input]].concat()), &picture));
            let out = folder.path().join("out");
            let text = file.map(|file| {
                let file = if input == "-" { file } else { &file.replace("standard-input", "picture") };
                fs::read(out.join(file)).unwrap_or_else(|error| panic!("{arguments:?}: {file}: {error}"))
            });
            let _ = fs::remove_dir_all(out);
            (stdout, String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
        };
        let (stdout, text) = read("-");
        let (named_stdout, named) = read("picture.png");
        // Times differ between two runs, the results do not.
        let without_times = |text: &str| -> Option<String> {
            let ends = ["\"positions\"", "\"elapsed_seconds\"", "\"threads\""].map(|field| text.find(field));
            let end = ends.into_iter().flatten().min().unwrap_or(text.len());
            Some(text[..end].replace("standard input", "picture.png"))
        };
        assert_eq!(without_times(&text), without_times(&named), "{arguments:?}");
        if file.is_none() && arguments[0] == "classify" {
            assert_eq!(stdout.replace("standard input", "picture.png"), named_stdout);
        }
    }
    let explain = with_input(quick(&folder, &["explain", "-", "--report", "page.html"]), &picture);
    let written = succeed(explain);
    assert!(written.contains("out/standard-input-") && written.contains("out/map.json"), "{written}");
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("<dd>standard input</dd>") && page.contains("occlude explain - "), "report");
    let empty = folder.path().join("empty");
    fs::write(&empty, b"").unwrap();
    let command = with_input(seeded(&folder, &["classify", "-"]), &empty);
    refuse(&folder, command, 1, &["standard input: is empty (0 bytes)"]);
}

#[test]
fn a_batch_reads_a_photograph_or_a_list_from_standard_input() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::copy(path("picture.png"), path("other.png")).unwrap();
    fs::write(path("list"), "picture.png\nother.png\n").unwrap();
    let batch = |input: &str, out: &str, file: &str| {
        succeed(with_input(quick(&folder, &["batch", input, "--out", out]), &path(file)))
    };
    let told = batch("@-", "lists", "list");
    assert!(told.contains("[1/2] other.png") && told.contains("[2/2] picture.png"), "{told}");
    let told = batch("-", "one", "picture.png");
    assert!(told.contains("[1/1] standard input: "), "{told}");
    assert!(path("one/standard-input/map.json").exists());
    let summary: Value = serde_json::from_slice(&fs::read(path("one/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["pictures"][0]["path"], "standard input");
    // Standard input may hold another photograph now, so nothing is "already complete".
    assert!(!batch("-", "one", "picture.png").contains("already complete"));
    for (list, message) in [
        (&b"a\n\xff"[..], "error: standard input: line 2 is not UTF-8"),
        (b"a\nb\0", "error: standard input: line 2 contains a NUL byte"),
        (b"# nothing\n", "error: standard input: no photographs found"),
    ] {
        fs::write(path("list"), list).unwrap();
        let command = with_input(quick(&folder, &["batch", "@-", "--out", "none"]), &path("list"));
        refuse(&folder, command, 1, &[message]);
    }
}

/// Each name of classes is read from a pipe once, also by a batch.
#[cfg(unix)]
#[test]
fn names_of_classes_may_come_from_a_pipe() {
    let folder = folder();
    let names: String = (0..1000).map(|class| format!("name{class}\n")).collect();
    fs::write(folder.path().join("names"), format!("\u{FEFF}{names}")).unwrap();
    let batch = |more: &[&str]| {
        let arguments = [&["batch", "picture.png", "--out", "out", "--classes", "name0"], more].concat();
        succeed(with_input(quick(&folder, &arguments), &folder.path().join("names")))
    };
    assert!(!batch(&["--labels", "-"]).contains("already complete"));
    assert!(batch(&["--labels", "names"]).contains("already complete"), "the same names");
    fs::write(folder.path().join("names"), names.replace("name7\n", "seven\n")).unwrap();
    assert!(!batch(&["--labels", "-"]).contains("already complete"), "other names");
}

#[test]
fn addresses_are_refused_with_advice() {
    let folder = folder();
    fs::write(folder.path().join("list"), "picture.png\nhttps://example.org/a/b.jpg\n").unwrap();
    for (arguments, messages) in [
        (&["classify", "https://example.org/cat.jpg"][..], &["https://example.org/cat.jpg", "curl -LO"][..]),
        (&["explain", "file:///home/me/cat.jpg"], &["name it as /home/me/cat.jpg"]),
        (&["compare", "picture.png", "s3://bucket/cat.jpg"], &["s3://bucket/cat.jpg", "aws s3 cp"]),
        (
            &["batch", "http://me:secret@example.org/?a", "--out", "out"],
            &["http://***@example.org/:", "curl -LO"],
        ),
        (&["batch", "@https://example.org/list.txt", "--out", "out"], &["list.txt", "curl -LO"]),
        (&["classify", "picture.png", "--labels", "https://example.org/names"], &["names", "curl -LO"]),
        (
            &["classify", "picture.png", "--weights", "https://a.org/w"],
            &["https://a.org/w", "weights fetch --from"],
        ),
        (&["classify", "picture.png", "--weights", "-"], &["weights are not read from standard input"]),
        (&["weights", "import", "-"], &["weights are not read from standard input"]),
    ] {
        refuse(&folder, occlude(&folder, arguments), 1, messages);
    }
    // In a list, an address is one photograph that fails.
    let output = quick(&folder, &["batch", "@list", "--out", "out"]).output().unwrap();
    let message = stderr(&output);
    assert!(output.status.code() == Some(1) && message.contains("1 of 2 photographs failed"), "{message}");
    assert!(message.contains("cannot read https://example.org/a/b.jpg: it is an address"), "{message}");
}

#[test]
fn what_a_folder_holds_is_read_or_counted() {
    let folder = folder();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for name in ["a.jpg", "b.jfif", "c.jpe", "notes.txt"] {
        fs::copy(folder.path().join("picture.png"), photos.join(name)).unwrap();
    }
    fs::write(photos.join("d.HEIC"), b"\0\0\0\x18ftypheic").unwrap();
    let output = run(quick(&folder, &["batch", "photos", "--out", "out"]));
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    for name in ["[1/3] photos/a.jpg", "[2/3] photos/b.jfif", "[3/3] photos/c.jpe"] {
        assert!(told.contains(name), "{told}");
    }
    let line = "passed over: 1 heic (pictures in other formats: convert them to PNG or JPEG), 1 other file\n";
    assert_eq!(stderr(&output), line);
    // The summary has the same numbers, and so has one that is merged from shards.
    let passed_over = |out: &str| {
        let summary = fs::read(folder.path().join(out).join("summary.json")).unwrap();
        serde_json::from_slice::<Value>(&summary).unwrap()["passed_over"].clone()
    };
    let counts = serde_json::json!({"pictures": {"heic": 1}, "streams": 0, "others": 1});
    assert_eq!(passed_over("out"), counts);
    for shard in ["0/2", "1/2"] {
        run(quick(&folder, &["batch", "photos", "--out", "shards", "--shard", shard]));
    }
    run(occlude(&folder, &["merge", "shards"]));
    assert_eq!(passed_over("shards"), counts);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_folder_is_no_photograph() {
    let folder = folder();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::copy(folder.path().join("picture.png"), photos.join("a.png")).unwrap();
    let made = Command::new("mkfifo").arg(photos.join("x.jpg")).status().unwrap();
    assert!(made.success());
    let output = run(quick(&folder, &["batch", "photos", "--out", "out"]));
    assert_eq!(stderr(&output), "passed over: 1 pipe, socket or device\n");
    assert!(folder.path().join("out/a/map.json").exists() && folder.path().join("out/summary.csv").exists());
}

#[test]
fn results_of_another_photograph_are_not_replaced_silently() {
    let folder = folder();
    for (from, to) in [("a", 9), ("b", 200)] {
        fs::create_dir(folder.path().join(from)).unwrap();
        let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([to; 3]));
        write_png(&folder.path().join(from).join("cat.png"), &picture);
    }
    for (arguments, file) in [
        (&["explain", "--stride", "224"][..], "map.json"),
        (&["compare", "--stride", "224"], "compare.json"),
        (&["gradcam"], "gradcam.json"),
        (&["rise", "--masks", "2"], "rise.json"),
        (&["region", "--stride", "224", "--tile", "224"], "region.json"),
        (&["trace", "--at", "9,9"], "trace.json"),
    ] {
        let told = |image: &str| stderr(&run(seeded(&folder, &[arguments, &[image]].concat())));
        assert_eq!(told("a/cat.png"), "", "{arguments:?}");
        assert_eq!(told("a/cat.png"), "", "{arguments:?}: the same photograph again");
        let message = told("b/cat.png");
        let expected =
            format!("out/{file} has the results of another photograph, a/cat.png, and will be replaced");
        assert!(message.contains(&expected) && message.lines().count() == 1, "{arguments:?}: {message}");
    }
    // The same bytes under another name are the same photograph.
    fs::copy(folder.path().join("b/cat.png"), folder.path().join("c.png")).unwrap();
    assert_eq!(stderr(&run(seeded(&folder, &["gradcam", "c.png"]))), "");
}
