//! What goes wrong around the program: disks that are full, folders that disappear, readers that leave, signals. No part of a
//! file is left, what was there before is as it was, and a batch goes on to the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::common::command::{
    folder, listing, occlude, refuse, seeded, stderr, succeed, without_network, write_png,
};
use tempfile::TempDir;

/// One position, so that it takes next to no time.
const QUICK: [&str; 2] = ["--stride", "224"];
/// More than 3000 positions on one thread: time enough for anything to happen.
const SLOW: [&str; 4] = ["--stride", "4", "--threads", "1"];

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The command after a line of shell that changes what it meets, such as `ulimit`, in which it is `"$@"`.
fn under(shell: &str, command: &Command) -> Command {
    let mut line = Command::new("sh");
    line.args(["-c", shell, "sh"]).arg(command.get_program()).args(command.get_args());
    line.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => line.env(name, value),
            None => line.env_remove(name),
        };
    }
    line
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    signal_to(&child.id().to_string(), name);
}

fn signal_to(process: &str, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), process]).status();
    assert!(kill.unwrap().success());
}

/// Waits for it; much longer than it can take means that it hangs.
fn end(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("it did not end");
            }
            None => sleep(Duration::from_millis(5)),
        }
    }
}

fn errors(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    without_network(text)
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        sleep(Duration::from_millis(1));
    }
}

/// Waits until the command says which network answers: from then on it minds signals.
fn wait_for_network(child: &mut Child) {
    let (told, mut line) = (child.stderr.as_mut().unwrap(), Vec::new());
    // Byte by byte, so that what follows is left to [`errors`].
    while told.by_ref().take(1).read_to_end(&mut line).unwrap() > 0 && !line.ends_with(b"\n") {}
    assert!(line.starts_with(b"network: "), "{}", String::from_utf8_lossy(&line));
}

/// Waits until the command has worked for so long, or has ended: a moment that does not depend on what else the machine does.
fn wait_for_work(child: &mut Child, work: Duration) {
    let start = Instant::now();
    wait_for("some work", || {
        let worked = processor_time(child).unwrap_or_else(|| start.elapsed());
        worked >= work || child.try_wait().unwrap().is_some()
    });
}

/// The processor's time that a running process has taken, where the system says so in a file.
fn processor_time(child: &Child) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // After the name, which may have blanks in it, the first field is the third; user's and system's time are the 14th and 15th,
    // in hundredths of a second.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// A pipe with a name, and an end to write to it as soon as somebody has opened it to read.
fn pipe(folder: &TempDir, name: &str) -> Receiver<File> {
    let path = folder.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(File::options().write(true).open(path).unwrap()));
    receiver
}

/// Every file below a folder, by its path in it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = listing(folder).into_iter().filter(|path| !path.is_dir());
    files.map(|path| (path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap())).collect()
}

/// Pictures 0.png, 1.png, .. in `photos`.
fn photos(count: u32) -> TempDir {
    let folder = folder();
    fs::create_dir(folder.path().join("photos")).unwrap();
    for seed in 0..count {
        let picture = image::RgbImage::from_fn(40 + seed, 30, |x, y| {
            image::Rgb([x * 5, y * 8, x * y + 50 * seed].map(|level| (level % 256) as u8))
        });
        write_png(&folder.path().join(format!("photos/{seed}.png")), &picture);
    }
    folder
}

fn staging(folder: &Path) -> Vec<PathBuf> {
    let hidden = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".occlude");
    listing(folder).into_iter().filter(hidden).collect()
}

#[test]
fn a_disk_that_is_full_leaves_what_was_there() {
    let folder = photos(2);
    let commands: [&[&str]; 6] = [
        &["explain", "picture.png"],
        &["explain", "picture.png", "--report", "page.html", "--arrays", "npz,npy,safetensors"],
        &["explain", "picture.png", "--format", "svg", "--progressive"],
        &["compare", "picture.png"],
        &["compare", "picture.png", "photos/0.png"],
        &["gradcam", "picture.png"],
    ];
    // No file may grow beyond 4 kB here (or 8, where blocks are larger): the pictures are the first that do.
    for first in [true, false] {
        for arguments in commands {
            let mut arguments = [arguments, &["--out", "out"]].concat();
            if arguments[0] != "gradcam" {
                arguments.extend(QUICK);
            }
            if !first {
                // A result of before.
                fs::create_dir_all(folder.path().join("out")).unwrap();
                fs::write(folder.path().join("out/map.json"), "earlier").unwrap();
            }
            let command = under("ulimit -f 8; exec \"$@\"", &seeded(&folder, &arguments));
            refuse(&folder, command, 1, &["cannot write to out/", "large"]);
            if !first {
                assert_eq!(fs::read_to_string(folder.path().join("out/map.json")).unwrap(), "earlier");
            }
        }
    }
    fs::remove_dir_all(folder.path().join("out")).unwrap();

    // A batch: results of before stay, what cannot be written is reported a picture, and the next run does it.
    let batch = |out| seeded(&folder, &[&["batch", "photos", "--out", out], &QUICK[..]].concat());
    succeed(batch("whole"));
    let output = under("ulimit -f 8; exec \"$@\"", &batch("out")).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for message in [
        "photos/0.png: cannot write to out/0/",
        "photos/1.png: cannot write to out/1/",
        "2 of 2 photographs failed",
    ] {
        assert!(text.contains(message), "no \"{message}\" in {text}");
    }
    assert_eq!(
        tree(&folder.path().join("out")).len(),
        2,
        "the summary says that they failed, and that is all"
    );
    succeed(batch("out"));
    assert!(tree(&folder.path().join("out")) == tree(&folder.path().join("whole")));
    // Nothing at all can be written.
    let whole = tree(&folder.path().join("out"));
    let output = under("ulimit -f 0; exec \"$@\"", &batch("out")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to out/summary.csv"), "{}", stderr(&output));
    let left = tree(&folder.path().join("out"));
    assert!(left.iter().all(|(path, bytes)| whole.get(path) == Some(bytes)), "{:?}", left.keys());
    assert_eq!(left.len(), whole.len() - 2, "without a summary, but with all results");

    succeed(seeded(
        &folder,
        &[&["batch", "photos", "--out", "shards", "--shard", "0/1"], &QUICK[..]].concat(),
    ));
    let command = under("ulimit -f 0; exec \"$@\"", &occlude(&folder, &["merge", "shards"]));
    refuse(&folder, command, 1, &["cannot write to shards/summary.csv", "large"]);
}

/// The same on a file system that really is full, where this user may mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_small_file_system_fills_up() {
    let folder = folder();
    fs::create_dir(folder.path().join("small")).unwrap();
    let mounts = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !mounts.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a test that needs to mount a file system, which this user may not");
        return;
    }
    let explain = seeded(&folder, &[&["explain", "picture.png", "--out", "small/out"], &QUICK[..]].concat());
    let script = "mount -t tmpfs -o size=32k none small && echo earlier > small/earlier || exit 9; \"$@\"; code=$?; \
                  [ \"$(ls -A small)\" = earlier ] && [ \"$(cat small/earlier)\" = earlier ] || exit 8; exit $code";
    let mut command = under("exec unshare -rm sh -c \"$SCRIPT\" sh \"$@\"", &explain);
    let output = command.env("SCRIPT", script).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write to small/out/"), "{}", stderr(&output));
    assert!(stderr(&output).contains("No space left"), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_an_error() {
    let folder = photos(1);
    let commands: [&[&str]; 5] = [
        &["classify", "picture.png", "--json"],
        &["explain", "picture.png", "--json", "--stride", "224"],
        &["gradcam", "picture.png", "--json"],
        &["batch", "photos", "--out", "out", "--stride", "224"],
        &["profile", "picture.png", "--runs", "1"],
    ];
    for arguments in commands {
        let output = under("exec \"$@\" > /dev/full", &seeded(&folder, arguments)).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains("cannot write to standard output"), "{}", stderr(&output));
    }
    assert!(staging(folder.path()).is_empty());
}

#[test]
fn closed_standard_streams() {
    let folder = folder();
    let explain = |out| seeded(&folder, &[&["explain", "picture.png", "--out", out], &QUICK[..]].concat());
    succeed(explain("open"));
    let pictures = |out: &str| {
        let mut files = tree(&folder.path().join(out));
        // Its time is in it.
        assert!(files.remove(Path::new("map.json")).unwrap().starts_with(b"{"));
        files
    };
    for (out, closed) in [("in", "<&-"), ("out", ">&-"), ("err", "2>&-"), ("all", "<&- >&- 2>&-")] {
        let output = under(&format!("exec \"$@\" {closed}"), &explain(out)).output().unwrap();
        assert!(output.status.success(), "{closed}: {}", stderr(&output));
        assert!(pictures(out) == pictures("open"), "{closed}");
    }
    let absent = under("exec \"$@\" 2>&-", &seeded(&folder, &["classify", "absent.png"])).output().unwrap();
    assert_eq!(absent.status.code(), Some(1));
    // A reader that has seen enough.
    let mut child =
        spawn(seeded(&folder, &["explain", "picture.png", "--json", "--stride", "100", "--out", "read"]));
    drop(child.stdout.take());
    assert!(end(&mut child).success());
    assert_eq!(errors(&mut child), "");
    assert!(folder.path().join("read/map.json").exists());
}

/// Coarse pictures show that the sweep is under way.
fn coarse(folder: &TempDir, stride: &str) -> Child {
    let command =
        ["explain", "picture.png", "--progressive", "--out", "out", "--threads", "1", "--stride", stride];
    let child = spawn(seeded(folder, &command));
    wait_for("the first picture", || {
        fs::read_dir(folder.path().join("out")).is_ok_and(|mut entries| {
            entries
                .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".png")))
        })
    });
    child
}

#[test]
fn an_output_folder_that_disappears_is_made_again() {
    let folder = folder();
    let out = folder.path().join("out");
    let mut child = coarse(&folder, "16");
    wait_for("its removal", || fs::remove_dir_all(&out).is_ok());
    assert!(end(&mut child).success(), "{}", errors(&mut child));
    assert!(out.join("map.json").exists() && staging(folder.path()).is_empty());

    // But not where something else has come in its place.
    fs::remove_dir_all(&out).unwrap();
    let mut child = coarse(&folder, "16");
    wait_for("its removal", || fs::remove_dir_all(&out).is_ok() && fs::write(&out, "mine").is_ok());
    assert_eq!(end(&mut child).code(), Some(1));
    assert!(errors(&mut child).contains("cannot write to out: "));
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert!(staging(folder.path()).is_empty());
}

#[test]
fn signals_end_a_sweep_without_leftovers() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let mut child = coarse(&folder, "4");
        signal(&child, name);
        assert_eq!(end(&mut child).code(), Some(code));
        assert_eq!(errors(&mut child), "error: interrupted\n");
        assert!(staging(folder.path()).is_empty());
        assert!(!folder.path().join("out/map.json").exists());
        fs::remove_dir_all(folder.path().join("out")).unwrap();

        // At any moment, a sweep that has not been asked for coarse pictures leaves nothing at all.
        for command in
            [&["explain", "picture.png", "--faithfulness"][..], &["compare", "picture.png", "photo.png"]]
        {
            fs::copy(folder.path().join("picture.png"), folder.path().join("photo.png")).unwrap();
            for work in [0, 300, 600] {
                let mut child = spawn(seeded(&folder, &[command, &SLOW[..]].concat()));
                wait_for_network(&mut child);
                wait_for_work(&mut child, Duration::from_millis(work));
                signal(&child, name);
                assert_eq!(end(&mut child).code(), Some(code), "after {work} ms: {}", errors(&mut child));
                assert!(!folder.path().join("out").exists() && staging(folder.path()).is_empty());
            }
        }
    }
}

#[test]
fn a_signal_ends_what_waits_for_a_pipe_at_once_and_a_second_one_anything() {
    let folder = folder();
    let opened = pipe(&folder, "pipe.png");
    let mut child = spawn(seeded(&folder, &["classify", "pipe.png"]));
    let writer = opened.recv_timeout(PATIENCE).expect("the pipe is opened");
    signal(&child, "INT");
    assert_eq!(end(&mut child).code(), Some(130));

    drop(writer);

    // A batch has a bar to remove and a message to give, and so waits for its picture.
    let opened = pipe(&folder, "other.png");
    let mut child = spawn(seeded(&folder, &["batch", "other.png", "--out", "out"]));
    let writer = opened.recv_timeout(PATIENCE).expect("the pipe is opened");
    signal(&child, "INT");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    assert_eq!(end(&mut child).code(), Some(130));
    drop(writer);
    assert!(staging(folder.path()).is_empty());
}

fn batch(folder: &TempDir, out: &str) -> Command {
    seeded(folder, &["batch", "photos", "--stride", "45", "--arrays", "npz", "--out", out])
}

#[test]
fn a_batch_that_is_interrupted_goes_on_where_it_ended() {
    let folder = photos(4);
    succeed(batch(&folder, "whole"));
    let whole = tree(&folder.path().join("whole"));
    for (name, code, out) in [("INT", 130, "int"), ("TERM", 143, "term")] {
        let mut child = spawn(batch(&folder, out));
        // A line is printed when its picture's folder is there.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        signal(&child, name);
        assert_eq!(end(&mut child).code(), Some(code));
        let text = errors(&mut child);
        assert_eq!(text, "error: interrupted; run the same command again to continue\n");
        let left = tree(&folder.path().join(out));
        assert!(
            left.len() < whole.len() && left.contains_key(Path::new("0/occlude-done.json")),
            "{:?}",
            left.keys()
        );
        assert!(left.iter().all(|(path, bytes)| whole.get(path) == Some(bytes)), "only whole results");
        let done = succeed(batch(&folder, out)).matches("already complete").count();
        assert!((1..4).contains(&done), "{done}");
        assert!(tree(&folder.path().join(out)) == whole);
    }
}

#[test]
fn a_batch_that_is_killed_again_and_again_comes_to_the_same_bytes() {
    let folder = photos(4);
    succeed(batch(&folder, "whole"));
    let (whole, out) = (tree(&folder.path().join("whole")), folder.path().join("out"));
    // In the middle of writing: as soon as there is anything that is not in its place yet.
    for kill in 0..3 {
        let mut child = spawn(batch(&folder, "out"));
        let start = Instant::now();
        let stage = || {
            let entries = fs::read_dir(&out).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".occlude")).count()
        };
        let before = stage();
        while stage() <= before && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < PATIENCE);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        println!("killed for the {kill}th time, {} files are not in their place", stage());
    }
    // And at moments that nobody has chosen.
    for work in [0, 30, 110, 190, 270, 350, 430] {
        let mut child = spawn(batch(&folder, "out"));
        wait_for_work(&mut child, Duration::from_millis(work));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(batch(&folder, "out"));
    assert!(tree(&out) == whole);
    assert!(staging(&out).is_empty());
}

/// In a terminal, the bar is gone and the cursor is there. The signal comes when the bar has been seen.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_left_as_it_was() {
    let folder = folder();
    let explain = seeded(&folder, &[&["explain", "picture.png"], &SLOW[..]].concat());
    let words = [explain.get_program()].into_iter().chain(explain.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let line = format!("echo $$ > process; exec {}", line.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder.path());
    script.envs(explain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("TERM", "xterm-256color").stdin(Stdio::null()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        eprintln!("SKIPPED: a test that needs `script`, which is not installed");
        return;
    };
    let (mut terminal, mut shown) = (child.stdout.take().unwrap(), Vec::new());
    let has_bar = |shown: &[u8]| String::from_utf8_lossy(shown).contains(" positions, ");
    while !has_bar(&shown) && terminal.by_ref().take(1).read_to_end(&mut shown).unwrap() > 0 {}
    signal_to(fs::read_to_string(folder.path().join("process")).unwrap().trim(), "INT");
    terminal.read_to_end(&mut shown).unwrap();
    end(&mut child);
    let text = String::from_utf8_lossy(&shown);
    assert!(text.contains(" positions, "), "no bar: {text:?}");
    assert_eq!(text.matches("\x1b[?25l").count(), text.matches("\x1b[?25h").count(), "{text:?}");
    let (_, last) = text.rsplit_once('\r').unwrap_or_default();
    let (_, after) = text.rsplit_once(" positions, ").unwrap();
    assert!(after.contains("\x1b[2K") && after.contains("error: interrupted"), "{after:?} {last:?}");
}
