//! Tests of failures around the program: full disks, folders that disappear, readers that close the
//! pipe, signals. No partial file remains, existing files stay unchanged, and a batch continues to
//! the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::common::command::{
    folder, listing, occlude, refuse, seeded, stderr, succeed, under, with_default_signals, without_network,
    write_png,
};
use crate::common::without_threads;
use tempfile::TempDir;

/// Options for a sweep of one position, which takes very little time.
const QUICK: [&str; 2] = ["--stride", "224"];
/// Options for a sweep of more than 3000 positions on one thread, which leaves enough time for any
/// event.
const SLOW: [&str; 4] = ["--stride", "4", "--threads", "1"];

/// Longer than any step here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn spawn(command: Command) -> Child {
    let mut command = with_default_signals(&command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    signal_to(&child.id().to_string(), name);
}

fn signal_to(process: &str, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), process]).status();
    assert!(kill.unwrap().success());
}

/// Waits for the end of the process. If it takes far too long, the process hangs and the test
/// fails.
fn end(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("the process did not end");
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

/// Waits until the command prints the name of its network. From that moment it handles signals.
fn wait_for_network(child: &mut Child) {
    let (told, mut line) = (child.stderr.as_mut().unwrap(), Vec::new());
    // Reads byte by byte and leaves the rest to [`errors`].
    while told.by_ref().take(1).read_to_end(&mut line).unwrap() > 0 && !line.ends_with(b"\n") {}
    assert!(line.starts_with(b"network: "), "{}", String::from_utf8_lossy(&line));
}

/// Waits until the command has used this much processor time or has ended. This moment does not
/// depend on the machine's other load.
fn wait_for_work(child: &mut Child, work: Duration) {
    let start = Instant::now();
    wait_for("some work", || {
        let worked = processor_time(child).unwrap_or_else(|| start.elapsed());
        worked >= work || child.try_wait().unwrap().is_some()
    });
}

/// The processor time that a running process has used, if the system provides it in a file.
fn processor_time(child: &Child) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // The name may contain blanks. After the name, the first field is the third one. The user time
    // and the system time are the 14th and the 15th field, in hundredths of a second.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// Creates a named pipe, and returns an end for writing as soon as another process has opened the
/// pipe for reading.
fn pipe(folder: &TempDir, name: &str) -> Receiver<File> {
    let path = folder.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(File::options().write(true).open(path).unwrap()));
    receiver
}

/// Every file below a folder, by its relative path.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = listing(folder).into_iter().filter(|path| !path.is_dir());
    files.map(|path| (path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap())).collect()
}

/// A folder with pictures 0.png, 1.png, .. in `photos`.
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
    let commands: [&[&str]; 9] = [
        &["explain", "picture.png"],
        &["explain", "picture.png", "--report", "page.html", "--arrays", "npz,npy,safetensors"],
        &["explain", "picture.png", "--format", "svg", "--progressive"],
        &["compare", "picture.png"],
        &["compare", "picture.png", "photos/0.png"],
        &["gradcam", "picture.png"],
        &["region", "picture.png", "--tile", "224"],
        &["rise", "picture.png", "--masks", "2"],
        &["check", "picture.png"],
    ];
    // No file may grow beyond 4 kB here (or 8 kB on systems with larger blocks). The pictures are
    // the first files that exceed the limit.
    for first in [true, false] {
        for arguments in commands {
            let mut arguments = [arguments, &["--out", "out"]].concat();
            if !["gradcam", "rise"].contains(&arguments[0]) {
                arguments.extend(QUICK);
            }
            if !first {
                // A result from an earlier run.
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

    // A batch keeps earlier results, reports each picture whose files it cannot write, and
    // processes these pictures in the next run.
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
        "the summary is written and lists the failures; nothing else is written"
    );
    succeed(batch("out"));
    assert!(tree(&folder.path().join("out")) == tree(&folder.path().join("whole")));
    // No file can be written at all.
    let whole = tree(&folder.path().join("out"));
    let output = under("ulimit -f 0; exec \"$@\"", &batch("out")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to out/summary.csv"), "{}", stderr(&output));
    let left = tree(&folder.path().join("out"));
    assert!(left.iter().all(|(path, bytes)| whole.get(path) == Some(bytes)), "{:?}", left.keys());
    assert_eq!(left.len(), whole.len() - 2, "all results exist, but no summary");

    succeed(seeded(
        &folder,
        &[&["batch", "photos", "--out", "shards", "--shard", "0/1"], &QUICK[..]].concat(),
    ));
    let command = under("ulimit -f 0; exec \"$@\"", &occlude(&folder, &["merge", "shards"]));
    refuse(&folder, command, 1, &["cannot write to shards/summary.csv", "large"]);
}

/// The same test on a file system that is really full, if this user may mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_small_file_system_fills_up() {
    let folder = folder();
    fs::create_dir(folder.path().join("small")).unwrap();
    let mounts = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !mounts.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this test must mount a file system, which this user may not");
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
    let commands: [&[&str]; 12] = [
        &["--help"],
        &["--version"],
        &["explain", "-h"],
        &["help", "batch"],
        &["classify", "picture.png", "--json"],
        &["explain", "picture.png", "--json", "--stride", "224"],
        &["gradcam", "picture.png", "--json"],
        &["region", "picture.png", "--json", "--stride", "224", "--tile", "224"],
        &["rise", "picture.png", "--json", "--masks", "2"],
        &["check", "picture.png", "--json", "--stride", "224"],
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

/// Rayon panics where its global pool cannot be started.
#[test]
fn without_threads_every_command_runs_on_one_thread() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("occlude");
    fs::copy(env!("CARGO_BIN_EXE_occlude"), &program).unwrap();
    for (arguments, written) in [
        (&["classify", "picture.png"][..], 0),
        (&["explain", "picture.png", "--stride", "224"], 2),
        (&["explain", "picture.png", "--stride", "224", "--threads", "1"], 2),
        (&["compare", "picture.png", "--stride", "224"], 2),
        (&["batch", "picture.png", "--stride", "224", "--out", "out"], 6),
        (&["profile", "picture.png", "--runs", "1"], 0),
    ] {
        let mut command = Command::new(&program);
        let Some(mut command) = without_threads(command.args(arguments).args(["--weights", "builtin"]))
        else {
            return;
        };
        let output = command.current_dir(folder.path()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {message}");
        // Who asks for one thread gets it.
        let told = message.contains("no thread can be started");
        assert_eq!(told, !arguments.contains(&"--threads"), "{arguments:?}: {message}");
        let out = folder.path().join("out");
        let found = if out.exists() { listing(&out).len() } else { 0 };
        assert_eq!(found, written, "{arguments:?}");
        let _ = fs::remove_dir_all(out);
    }
    let mut two = Command::new(&program);
    two.args(["explain", "picture.png", "--threads", "2"]);
    let mut two = without_threads(&two).expect("as above");
    let output = two.current_dir(folder.path()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && message.contains("error: --threads 2"), "{message}");
}

#[test]
fn closed_standard_streams() {
    let folder = folder();
    let explain = |out| seeded(&folder, &[&["explain", "picture.png", "--out", out], &QUICK[..]].concat());
    succeed(explain("open"));
    let pictures = |out: &str| {
        let mut files = tree(&folder.path().join(out));
        // The file contains the time of its run, so its bytes differ.
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
    // A reader that closes the pipe early.
    let mut child =
        spawn(seeded(&folder, &["explain", "picture.png", "--json", "--stride", "100", "--out", "read"]));
    drop(child.stdout.take());
    assert!(end(&mut child).success());
    assert_eq!(errors(&mut child), "");
    assert!(folder.path().join("read/map.json").exists());
}

/// The coarse pictures show that the sweep is running.
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

    // The command does not create the folder again if something else has taken its place.
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

        // At every moment, a sweep without coarse pictures leaves no file behind.
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
fn a_signal_ends_what_waits_for_a_pipe_at_once() {
    let folder = folder();
    // Each command reads its last argument: a photograph, a list, or the names of the classes.
    for (name, arguments) in [
        ("classify", &["classify"][..]),
        ("explain", &["explain"]),
        ("compare", &["compare", "picture.png"]),
        ("batch", &["batch", "picture.png", "--out", "out", "--stride", "4"]),
        ("list", &["batch", "--out", "out"]),
        ("labels", &["classify", "picture.png", "--labels"]),
    ] {
        let opened = pipe(&folder, name);
        let input = if name == "list" { "@list" } else { name };
        let mut child = spawn(seeded(&folder, &[arguments, &[input]].concat()));
        let writer = opened.recv_timeout(PATIENCE).expect("the pipe is opened");
        signal(&child, "TERM");
        assert_eq!(end(&mut child).code(), Some(143), "{name}: {}", errors(&mut child));
        drop(writer);
        assert!(!folder.path().join("out").exists(), "{name} left {:?}", listing(folder.path()));
    }
}

#[test]
fn a_second_signal_ends_anything() {
    // A batch finishes its photograph before it ends, but nobody reads its standard output, which is
    // full.
    let folder = folder();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let batch = seeded(&folder, &[&["batch", "picture.png", "--out", "out"], &QUICK[..]].concat());
    let mut command = with_default_signals(&batch);
    command.stdout(writer.try_clone().unwrap());
    thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the results", || folder.path().join("out/picture/map.json").exists());
    wait_for("the end", || {
        signal(&child, "INT");
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(end(&mut child).code(), Some(130));
    drop(reader);
}

/// An interrupted training leaves nothing behind.
#[test]
fn a_signal_during_the_training_leaves_nothing() {
    let folder = folder();
    for (class, level) in [("light", 200), ("dark", 20)] {
        for i in 0..40 {
            let path = folder.path().join(format!("photos/{class}/{i}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_png(&path, &image::RgbImage::from_pixel(40, 30, image::Rgb([level + i, level, level])));
        }
    }
    let before = listing(folder.path());
    let learn = ["learn", "photos", "--out", "new/net.safetensors", "--threads", "1"];
    let mut child = spawn(seeded(&folder, &learn));
    // The program prints the network's name after it has prepared for signals.
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("network: "), "{line}");
    signal(&child, "INT");
    assert_eq!(end(&mut child).code(), Some(130));
    assert_eq!(listing(folder.path()), before);
}

fn batch(folder: &TempDir, out: &str) -> Command {
    seeded(folder, &["batch", "photos", "--stride", "45", "--arrays", "npz", "--out", out])
}

#[test]
fn a_folder_of_results_belongs_to_one_batch_at_a_time() {
    let folder = photos(1);
    let path = |name: &str| folder.path().join(name);
    let batch = |more: &[&str]| {
        seeded(&folder, &[&["batch", "pipe", "photos", "--out", "out"], &QUICK[..], more].concat())
    };
    // The first batch has written a photograph and waits for the other, a pipe.
    let opened = pipe(&folder, "pipe");
    let mut first = spawn(batch(&[]));
    let writer = opened.recv_timeout(PATIENCE).expect("the pipe is opened");
    // This may be its temporary folder at this moment.
    fs::create_dir(path("out/.occlude-0-live")).unwrap();
    let busy = ["error: cannot write to out: another `occlude batch` is writing to this folder"];
    refuse(&folder, batch(&[]), 1, &busy);
    refuse(&folder, batch(&["--shard", "0/2"]), 1, &busy);
    first.kill().unwrap();
    first.wait().unwrap();
    drop(writer);

    // The system has released the lock. Shards share the folder.
    fs::remove_file(path("pipe")).unwrap();
    let opened = pipe(&folder, "pipe");
    let shard = ["0/2", "1/2"].map(|shard| ["--shard", shard]);
    let mut first = spawn(batch(&shard[1]));
    let writer = opened.recv_timeout(PATIENCE).expect("the pipe is opened");
    succeed(batch(&shard[0]));
    refuse(&folder, batch(&shard[1]), 1, &busy);
    refuse(&folder, batch(&["--shard", "0/3"]), 1, &busy);
    refuse(&folder, batch(&[]), 1, &busy);
    first.kill().unwrap();
    first.wait().unwrap();
    drop(writer);

    fs::remove_file(path("pipe")).unwrap();
    fs::copy(path("picture.png"), path("pipe")).unwrap();
    assert!(succeed(batch(&[])).contains("[1/2] photos/0.png: already complete"));
    // The files of the locks of killed batches are gone.
    let is_lock = |path: &PathBuf| path.display().to_string().contains(".occlude.lock");
    assert_eq!(listing(folder.path()).into_iter().find(is_lock), None);
    assert_eq!(staging(folder.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_batch_that_is_interrupted_goes_on_where_it_ended() {
    let folder = photos(4);
    succeed(batch(&folder, "whole"));
    let whole = tree(&folder.path().join("whole"));
    for (name, code, out) in [("INT", 130, "int"), ("TERM", 143, "term")] {
        let mut child = spawn(batch(&folder, out));
        // The command prints a line when the folder of its picture exists.
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
        assert!(
            left.iter().all(|(path, bytes)| whole.get(path) == Some(bytes)),
            "only complete results exist"
        );
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
    // Kills the command while it writes: as soon as a file exists that is not in its final place.
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
    // Kills the command at arbitrary moments too.
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

/// In a terminal, the command removes the bar and restores the cursor. The test sends the signal
/// when it has seen the bar.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_left_as_it_was() {
    let folder = folder();
    let explain = seeded(&folder, &[&["explain", "picture.png"], &SLOW[..]].concat());
    let explain = with_default_signals(&explain);
    let words = [explain.get_program()].into_iter().chain(explain.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let line = format!("echo $$ > process; exec {}", line.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder.path());
    script.envs(explain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("TERM", "xterm-256color").stdin(Stdio::null()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        eprintln!("SKIPPED: this test needs `script`, which is not installed");
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
