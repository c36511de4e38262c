//! Tests of the memory of the whole process, as the system counts it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::command::{folder, occlude, write_png};
use image::{Rgb, RgbImage};

/// The largest amount of memory that a batch of small photographs takes, in kB.
fn most(photographs: u32) -> usize {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("photos")).unwrap();
    for i in 0..photographs {
        let picture = RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16) as u8, (y * 16) as u8, (i * 37) as u8]));
        write_png(&folder.path().join(format!("photos/{i}.png")), &picture);
    }
    let options =
        ["batch", "photos", "--out", "maps", "--weights", "builtin", "--mask-size", "224", "--stride", "224"];
    let mut batch = occlude(&folder, &options);
    // With one heap for all threads, memory that cannot be used again shows soonest.
    batch.env("MALLOC_ARENA_MAX", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut batch = batch.spawn().unwrap();
    let mut most = 0;
    loop {
        // A process that has ended has no such line.
        let status = fs::read_to_string(format!("/proc/{}/status", batch.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = peak.map_or(most, |peak| peak.trim().trim_end_matches(" kB").parse().unwrap());
        if let Some(ended) = batch.try_wait().unwrap() {
            assert!(ended.success());
            return most;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A batch runs thousands of sweeps in one process. The allocator of the system must be able to use
/// the memory of one sweep for the next. (glibc before 2.38 cannot, if the memory is aligned.)
#[test]
fn many_photographs_take_no_more_memory_than_few() {
    let (few, many) = (most(20), most(120));
    assert!(many < few + 10_000, "20 photographs took {few} kB, 120 took {many} kB");
}

/// Rust ends a program where an allocation fails, with a message of its own and the exit code 134.
#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_an_error() {
    let folder = folder();
    let commands: [&[&str]; 8] = [
        &["classify", "picture.png"],
        &["explain", "picture.png", "--stride", "75", "--threads", "2"],
        &["explain", "picture.png", "--stride", "75", "--threads", "16"],
        &["batch", "picture.png", "--stride", "75"],
        &["gradcam", "picture.png"],
        &["region", "picture.png", "--stride", "75", "--tile", "75"],
        &["rise", "picture.png", "--masks", "5"],
        &["check", "picture.png", "--stride", "112"],
    ];
    for arguments in commands {
        let out = folder.path().join("out");
        let mut ends = [0, 0];
        // In kB, from too little for the network to enough for all threads. Steps of a prime number
        // meet every phase of the work.
        for limit in (26_000..130_000).step_by(5_003) {
            let mut words = [arguments, &["--weights", "builtin"]].concat();
            if arguments[0] != "classify" {
                words.extend(["--out", "out"]);
            }
            let program = occlude(&folder, &words);
            let mut limited = Command::new("sh");
            let line = format!("ulimit -c 0; ulimit -v {limit}; exec \"$@\"");
            limited.args(["-c", &line, "sh"]).arg(program.get_program()).args(program.get_args());
            limited.current_dir(folder.path());
            let output = limited.output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code().filter(|code| *code <= 1);
            let code =
                code.unwrap_or_else(|| panic!("{arguments:?} in {limit} kB: {}: {told}", output.status));
            ends[code as usize] += 1;
            if code == 1 {
                assert!(told.contains("MB of memory, which are not available"), "{arguments:?}: {told}");
                assert!(output.stdout.is_empty() || arguments[0] == "batch", "{arguments:?}: {told}");
                assert!(arguments[0] == "batch" || !out.exists(), "{arguments:?} in {limit} kB left files");
            }
            if code == 0 && arguments[0] == "check" {
                let printed = String::from_utf8_lossy(&output.stdout);
                assert!(printed.contains("again on 1 thread "), "{limit} kB: {printed}");
            }
            let _ = fs::remove_dir_all(&out);
        }
        assert!(ends[0] > 0 && ends[1] > 0, "{arguments:?}: {ends:?}");
    }
}
