//! Tests of the memory of the whole process, as the system counts it.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::common::command::{occlude, write_png};
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
