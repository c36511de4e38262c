//! Tests of `occlude batch --scale shared`: the figures are those of one `occlude explain` of all
//! photographs, whatever happened in between, and figures on different scales never lie beside each
//! other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::batch::{occlude, photos, refuse, rows, run, succeed, tree};
use crate::common::command::stderr;

const SWEEP: [&str; 4] = ["--stride", "112", "--scale", "shared"];

/// A batch of `photos` on a shared scale, with its results in `out`.
fn batch(folder: &TempDir, out: &str, more: &[&str]) -> Command {
    occlude(folder.path(), &[&["batch", "photos", "--out", out], &SWEEP[..], more].concat())
}

/// The contents of the figures below a folder of results, by their paths.
fn figures(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = tree(out);
    files.retain(|name, _| name.extension().is_some_and(|ending| ending == "png"));
    files
}

/// The ends of the scale on which the figures of a photograph are drawn, if there are any.
fn scale(out: &Path, name: &str) -> Option<Value> {
    let record = fs::read(out.join(name).join("occlude-done.json")).ok()?;
    let record: Value = serde_json::from_slice(&record).unwrap();
    Some(record["record"]["shared"]["drawn"]["scale"].clone()).filter(|scale| !scale.is_null())
}

/// Moves the photograph with the largest drop, which changes the scale, away to `late.png`. Returns its
/// file. `out` holds the results of all.
fn move_away_the_largest(folder: &TempDir, out: &str) -> PathBuf {
    let rows = rows(&folder.path().join(out).join("summary.json"));
    let largest = |row: &&Value| row["classes"][0]["max"].as_f64().unwrap();
    let found = rows.iter().max_by(|a, b| largest(a).total_cmp(&largest(b))).unwrap();
    let file = folder.path().join(found["path"].as_str().unwrap());
    fs::rename(&file, folder.path().join("late.png")).unwrap();
    file
}

#[test]
fn the_figures_are_those_of_one_run_over_all_photographs() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    for options in [
        &[][..],
        &["--aggregate", "windows", "--classes", "top2"],
        &["--show", "score,drop,class", "--activation", "inception_5b/1x1:strongest", "--arrays", "npy"],
    ] {
        succeed(batch(&folder, "out", options));
        let explain = ["explain", "photos/a.png", "photos/b.png", "photos/c.png", "--out", "explained"];
        succeed(occlude(folder.path(), &[&explain, &SWEEP[..], options].concat()));
        let expected = figures(&folder.path().join("explained"));
        assert!(expected.len() >= 3 && figures(&folder.path().join("out")) == expected, "{options:?}");
        // Nothing is done again, unless a figure is damaged.
        let whole = tree(&folder.path().join("out"));
        let again = |complete: usize| {
            let printed = succeed(batch(&folder, "out", options));
            assert_eq!(printed.matches("already complete").count(), complete, "{printed}");
            assert!(tree(&folder.path().join("out")) == whole);
        };
        again(3);
        fs::write(folder.path().join("out").join(expected.keys().next().unwrap()), "damaged").unwrap();
        again(2);
        fs::remove_dir_all(folder.path().join("out")).unwrap();
        fs::remove_dir_all(folder.path().join("explained")).unwrap();
    }
    // Other figures do not wait for the scale.
    succeed(batch(&folder, "out", &["--show", "score"]));
    assert_eq!(scale(&folder.path().join("out"), "a"), None);
    assert_eq!(figures(&folder.path().join("out")).len(), 3);
}

#[test]
fn shards_leave_the_figures_to_a_run_without_shards() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    succeed(batch(&folder, "whole", &[]));
    let whole = tree(&folder.path().join("whole"));
    for shard in ["0/2", "1/2"] {
        let output = run(batch(&folder, "out", &["--shard", shard]));
        assert!(output.status.success());
        assert!(stderr(&output).contains("run the same command without --shard"), "{}", stderr(&output));
    }
    let out = folder.path().join("out");
    assert!(figures(&out).is_empty());
    // One photograph is drawn already, as after an interruption.
    for name in tree(&folder.path().join("whole/b")).keys() {
        fs::copy(folder.path().join("whole/b").join(name), out.join("b").join(name)).unwrap();
    }
    let printed = succeed(batch(&folder, "out", &[]));
    assert_eq!(printed.matches("already complete").count(), 3, "{printed}");
    assert!(tree(&out) == whole);
}

#[test]
fn a_killed_batch_has_no_figures_on_different_scales() {
    let names: Vec<String> = (0..7).map(|i| i.to_string()).collect();
    let folder = photos(&names.iter().map(|name| format!("{name}.png")).collect::<Vec<_>>());
    succeed(batch(&folder, "whole", &[]));
    let whole = folder.path().join("whole");
    let late = move_away_the_largest(&folder, "whole");
    let out = folder.path().join("out");
    let kill_when = |is_time: &dyn Fn() -> bool| {
        let mut command = batch(&folder, "out", &[]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(300);
        while !is_time() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the batch does not go on");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let drawn = || names.iter().filter_map(|name| scale(&out, name)).collect::<Vec<_>>();
    // Killed while it sweeps.
    kill_when(&|| names.iter().any(|name| out.join(name).join("occlude-done.json").exists()));
    assert!(figures(&out).is_empty() && drawn().is_empty());
    let printed = succeed(batch(&folder, "out", &[]));
    assert!(printed.contains("already complete"), "{printed}");
    let former = drawn();
    assert!(former.len() == 6 && former.iter().all(|scale| *scale == former[0]), "{former:?}");

    // One more photograph gives another scale. Killed while it draws.
    fs::rename(folder.path().join("late.png"), &late).unwrap();
    kill_when(&|| drawn().iter().any(|scale| *scale != former[0]));
    let found = drawn();
    assert!(
        !found.is_empty() && found.iter().all(|scale| *scale == found[0] && *scale != former[0]),
        "{found:?}"
    );
    let printed = succeed(batch(&folder, "out", &[]));
    assert_eq!(printed.matches("already complete").count(), 7, "no sweep runs again: {printed}");
    assert!(tree(&out) == tree(&whole));
}

#[test]
fn a_photograph_that_fails_is_no_part_of_the_scale() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    succeed(batch(&folder, "out", &[]));
    let late = move_away_the_largest(&folder, "out");
    succeed(batch(&folder, "whole", &[]));
    let [whole, out] = ["whole", "out"].map(|name| folder.path().join(name));
    // The photograph of the largest drop cannot be read.
    fs::write(&late, "no picture").unwrap();
    assert_eq!(run(batch(&folder, "out", &[])).status.code(), Some(1));
    let name = late.file_stem().unwrap();
    let mut found = figures(&out);
    found.retain(|figure, _| !figure.starts_with(name));
    assert!(found == figures(&whole) && found.len() == 2);
    // A user's own file stays, and the photograph whose figures would be drawn again fails.
    fs::rename(folder.path().join("late.png"), &late).unwrap();
    let other = if name == "a" { "b" } else { "a" };
    fs::write(out.join(other).join("notes.txt"), "mine").unwrap();
    let output = run(batch(&folder, "out", &[]));
    assert_eq!(output.status.code(), Some(1));
    let message = format!("out/{other}: the folder holds notes.txt");
    assert!(stderr(&output).contains(&message), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_twice_is_refused() {
    let folder = photos(&["a.png"]);
    let mut command = occlude(folder.path(), &[&["batch", "-", "--out", "out"], &SWEEP[..]].concat());
    command.stdin(fs::File::open(folder.path().join("photos/a.png")).unwrap());
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    let message = "standard input: is a stream: --scale shared reads each photograph twice";
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
    refuse(
        folder.path(),
        occlude(folder.path(), &["batch", "photos", "--out", "x", "--scale", "same"]),
        2,
        &["expected auto, shared or a number greater than 0"],
    );
}
