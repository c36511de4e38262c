//! Tests of `occlude batch` and `occlude merge`: a batch in one run, in shards or with
//! interruptions gives the same bytes. They also test which results the command keeps, which it
//! computes again, and which failures it reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::command::{stderr, write_png};
use crate::common::{safetensors, seeded_tensors, seeded_weights};
use image::{Rgb, RgbImage};
use occlude::Isa;
use serde_json::Value;
use tempfile::TempDir;

/// The command with the seeded weights, in `folder`.
pub fn occlude(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_occlude"));
    command.current_dir(folder).args(arguments).env("OCCLUDE_WEIGHTS", seeded_weights());
    command
}

/// Options for a sweep of one position, which takes very little time.
const QUICK: [&str; 2] = ["--stride", "224"];

/// A quick batch of `photos`, with its results in `out`.
fn batch(folder: &Path, out: &str, more: &[&str]) -> Command {
    occlude(folder, &[&["batch", "photos", "--out", out], &QUICK[..], more].concat())
}

pub fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{command:?}: {}", stderr(&output));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts that the command succeeds without messages, and returns its standard output.
pub fn succeed(command: Command) -> String {
    let context = format!("{command:?}");
    let output = run(command);
    assert!(output.status.success() && stderr(&output).is_empty(), "{context}: {}", stderr(&output));
    stdout(&output)
}

/// Asserts the exit code, the messages, an empty standard output, and an unchanged folder.
pub fn refuse(folder: &Path, command: Command, code: i32, messages: &[&str]) {
    let (before, context) = (tree(folder), format!("{command:?}"));
    let output = run(command);
    assert_eq!(output.status.code(), Some(code), "{context}: {}", stderr(&output));
    for message in messages {
        assert!(stderr(&output).contains(message), "{context}: no \"{message}\" in {}", stderr(&output));
    }
    assert_eq!(stdout(&output), "", "{context}");
    assert!(tree(folder) == before, "{context} changed something");
}

/// Every file below a folder, by its relative path.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

pub fn write_picture(path: &Path, seed: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = RgbImage::from_fn(40 + seed, 30, |x, y| {
        Rgb([x * 5, y * 8, (x * y + 50 * seed) % 256].map(|level| level as u8))
    });
    write_png(path, &picture);
}

/// A folder with pictures that have these names in `photos`.
pub fn photos(names: &[impl AsRef<Path>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in names.iter().zip(0..) {
        write_picture(&folder.path().join("photos").join(name), seed);
    }
    folder
}

pub fn rows(summary: &Path) -> Vec<Value> {
    let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    summary["pictures"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// The lines of a CSV file, with each field by its column.
fn table(csv: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(csv).unwrap();
    reader.deserialize().map(|line| line.unwrap()).collect()
}

#[test]
fn results_are_those_of_explain_and_the_summary_is_of_them() {
    let folder = photos(&["dog.png", "cat.png"]);
    let options = ["--classes", "top2,285", "--mask-size", "80", "--stride", "112x80", "--score", "logit"];
    let command = [&["batch", "photos", "--out", "out"], &options[..]].concat();
    let printed = succeed(occlude(folder.path(), &command));
    assert!(printed.starts_with("[1/2] photos/cat.png: ") && printed.contains("\n[2/2] photos/dog.png: "));
    assert!(printed.contains("wrote out/summary.csv\nwrote out/summary.json\n"), "{printed}");

    let rows = rows(&folder.path().join("out/summary.json"));
    let table = table(&folder.path().join("out/summary.csv"));
    assert_eq!((rows.len(), table.len()), (2, 6));
    for (i, name) in ["cat", "dog"].iter().enumerate() {
        let path = format!("photos/{name}.png");
        let explain = [&["explain", &path, "--json", "--out", "explained"], &options[..]].concat();
        let explained: Value = serde_json::from_str(&succeed(occlude(folder.path(), &explain))).unwrap();
        let mut expected = tree(&folder.path().join("explained"));
        let mut found = tree(&folder.path().join("out").join(name));
        fs::remove_dir_all(folder.path().join("explained")).unwrap();
        let maps: Value = serde_json::from_slice(&found.remove(Path::new("map.json")).unwrap()).unwrap();
        expected.remove(Path::new("map.json")).unwrap();
        found.remove(Path::new("occlude-done.json")).unwrap();
        assert_eq!(expected.len(), 3);
        assert!(found == expected, "the pictures must be the same");
        let mut without = explained.clone();
        for run in ["elapsed_seconds", "threads", "isa"] {
            without.as_object_mut().unwrap().remove(run).unwrap();
        }
        assert_eq!(maps, without);

        let row = &rows[i];
        assert_eq!((&row["path"], &row["folder"]), (&Value::from(path.as_str()), &Value::from(*name)));
        assert_eq!((&row["status"], &row["error"]), (&Value::from("done"), &Value::Null));
        assert_eq!(row["sha256"], explained["image_sha256"]);
        let classify = ["classify", &path, "--top", "3", "--json"];
        let classified: Value = serde_json::from_str(&succeed(occlude(folder.path(), &classify))).unwrap();
        for rank in 0..3 {
            for field in ["index", "label"] {
                assert_eq!(row["top"][rank][field], classified["classes"][rank][field]);
            }
            // The kernels of a single pass and those of the sweep's base compute the same bits.
            let probability = &classified["classes"][rank]["probability"];
            assert_eq!(row["top"][rank]["probability"], *probability);
            let line = &table[3 * i];
            assert_eq!(line[&format!("top{}_index", rank + 1)], row["top"][rank]["index"].to_string());
            assert_eq!(line[&format!("top{}_label", rank + 1)], row["top"][rank]["label"]);
        }
        let predicted = row["top"][0]["index"].as_u64().unwrap() as f32;
        let changed = numbers(&maps["argmax"]).iter().filter(|&&class| class != predicted).count();
        assert_eq!(numbers(&row["changed_share"]), [changed as f32 / 6.0]);
        for k in 0..3 {
            let (class, map) = (&row["classes"][k], numbers(&maps["maps"][k]));
            assert_eq!(map.len(), 6);
            assert_eq!(class["index"], maps["classes"][k]["index"]);
            assert_eq!(class["base_score"], maps["classes"][k]["base_score"]);
            let max = map.iter().copied().fold(f32::MIN, f32::max);
            let min = map.iter().copied().fold(f32::MAX, f32::min);
            let mean = map.iter().sum::<f32>() / 6.0;
            assert_eq!((numbers(&class["min"]), numbers(&class["max"])), (vec![min], vec![max]));
            assert!((numbers(&class["mean"])[0] - mean).abs() < 1e-5);
            let line = &table[3 * i + k];
            assert_eq!(line["path"], path);
            assert_eq!(line["class_index"], class["index"].to_string());
            assert_eq!([line["map_min"].parse(), line["map_max"].parse()], [Ok(min), Ok(max)]);
            if max > 0.0 {
                let at = map.iter().rposition(|&value| value == max).unwrap();
                let [x, y] = [at % 3 * 80, at / 3 * 112];
                assert_eq!(class["strongest"], serde_json::json!([x, y]));
                assert_eq!((&line["strongest_x"], &line["strongest_y"]), (&x.to_string(), &y.to_string()));
            } else {
                assert_eq!((&class["strongest"], line["strongest_x"].as_str()), (&Value::Null, ""));
            }
        }
    }
}

#[test]
fn shards_merged_are_one_run() {
    let folder = photos(&["a.png", "b.bmp", "c.png", "more/a.png", "d.tif"]);
    fs::write(folder.path().join("photos/bad.png"), "no picture").unwrap();
    let options = ["--recursive", "--classes", "top2"];
    assert_eq!(run(batch(folder.path(), "whole", &options)).status.code(), Some(1));
    let whole = tree(&folder.path().join("whole"));
    assert_eq!(whole.len(), 5 * 4 + 2);
    // The scalar instruction set takes too long here. tests/command/basics.rs compares it with the
    // others.
    let mut fast: Vec<String> = Isa::all_available().iter().map(|isa| isa.to_string()).collect();
    fast.retain(|isa| isa != "scalar");
    for n in [1, 2, 3, 7] {
        let out = format!("out{n}");
        let mut exits = Vec::new();
        // The last shard runs first, with other numbers of threads and other instruction sets. None
        // of these may affect the result.
        for i in (0..n).rev() {
            let (shard, threads) = (format!("{i}/{n}"), format!("{}", 1 + i % 2));
            let mut command = batch(
                folder.path(),
                &out,
                &[&options[..], &["--shard", &shard, "--threads", &threads]].concat(),
            );
            if let Some(isa) = fast.get(i % fast.len().max(1)) {
                command.env("OCCLUDE_ISA", isa);
            }
            exits.push(run(command).status.code());
        }
        assert_eq!(
            exits.iter().filter(|&&code| code == Some(1)).count(),
            1,
            "one shard contains the bad picture"
        );
        assert_eq!(exits.iter().filter(|&&code| code == Some(0)).count(), n - 1);
        let printed = succeed(occlude(folder.path(), &["merge", &out]));
        assert!(
            printed.starts_with(&format!("{n} shards, 6 photographs, 1 of them failed\nwrote ")),
            "{printed}"
        );
        let mut merged = tree(&folder.path().join(&out));
        let shards: BTreeSet<PathBuf> = (0..n)
            .flat_map(|i| ["csv", "json"].map(|end| PathBuf::from(format!("summary-{i}-of-{n}.{end}"))))
            .collect();
        merged.retain(|name, _| !shards.contains(name));
        assert_eq!(merged.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{n} shards");
        assert!(merged == whole, "{n} shards");
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let names: Vec<String> = (0..6).map(|i| format!("{i}.png")).collect();
    let folder = photos(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let options = ["batch", "photos", "--stride", "50", "--out"];
    let command = |out: &str| occlude(folder.path(), &[&options[..], &[out]].concat());
    succeed(command("whole"));
    let whole = tree(&folder.path().join("whole"));

    let mut child = command("out").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // The command prints a line when the folder of its picture exists.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("[1/6] photos/0.png"), "{line}");
    let out = folder.path().join("out");
    let done = (0..6).filter(|i| out.join(i.to_string()).join("occlude-done.json").exists()).count();
    assert!((1..6).contains(&done), "{done} pictures were done when it was killed");
    assert!(!out.join("summary.csv").exists());

    // The worst remains of a killed process: half a folder, half a summary, an old folder that was
    // moved aside.
    for half in [".occlude-3-AbC123/new/map.json", ".occlude-0-xYz789/old/map.json", ".occlude-summary.csv"] {
        fs::create_dir_all(out.join(half).parent().unwrap()).unwrap();
        fs::write(out.join(half), "half").unwrap();
    }
    let printed = succeed(command("out"));
    assert_eq!(printed.matches("already complete").count(), done, "{printed}");
    assert!(tree(&out) == whole);
    assert!(!out.join(".occlude-3-AbC123").exists());
}

#[test]
fn what_is_damaged_is_done_again_and_nothing_else() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    succeed(batch(folder.path(), "out", &[]));
    let whole = tree(&folder.path().join("out"));
    let done_before = |more: &[&str]| -> Vec<String> {
        let printed = succeed(batch(folder.path(), "out", more));
        assert!(tree(&folder.path().join("out")) == whole);
        printed
            .lines()
            .filter(|line| line.contains("already complete"))
            .map(|line| line[..5].to_string())
            .collect()
    };
    let all = vec!["[1/3]", "[2/3]", "[3/3]"];
    let all_but_b = vec!["[1/3]", "[3/3]"];
    assert_eq!(done_before(&[]), all);
    assert_eq!(
        done_before(&["--threads", "1", "--exhaustive"]),
        all,
        "these options change no byte, so no picture is computed again"
    );

    let b = folder.path().join("out/b");
    let mut files = fs::read_dir(&b).unwrap().map(|entry| entry.unwrap().path());
    let figure = files.find(|path| path.extension().is_some_and(|end| end == "png")).unwrap();
    type Edit<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;
    let edits: [(&Path, Edit); 6] = [
        // Changes one bit of a picture.
        (&figure, &|mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        }),
        (Path::new("map.json"), &|bytes| bytes[..bytes.len() / 2].to_vec()),
        (Path::new("map.json"), &|_| Vec::new()),
        // Changes a number that the summary contains to another valid number.
        (Path::new("occlude-done.json"), &|bytes| {
            let text = String::from_utf8(bytes).unwrap();
            let edited = text.replacen("\"mean\":", "\"mean\":1", 1);
            let edited = edited.replacen("\"mean\":1-", "\"mean\":-1", 1);
            assert!(edited != text && serde_json::from_str::<Value>(&edited).is_ok());
            edited.into_bytes()
        }),
        (Path::new("occlude-done.json"), &|bytes| bytes[..bytes.len() / 2].to_vec()),
        (Path::new("occlude-done.json"), &|_| b"{}".to_vec()),
    ];
    for (file, edit) in edits {
        let file = b.join(file);
        let edited = edit(fs::read(&file).unwrap());
        fs::write(&file, edited).unwrap();
        assert_eq!(done_before(&[]), all_but_b, "{}", file.display());
    }
    for file in [&figure, &b.join("map.json"), &b.join("occlude-done.json")] {
        fs::remove_file(file).unwrap();
        assert_eq!(done_before(&[]), all_but_b, "{}", file.display());
    }
    fs::remove_dir_all(&b).unwrap();
    assert_eq!(done_before(&[]), all_but_b);
}

#[test]
fn what_would_come_out_differently_is_done_again() {
    let folder = photos(&["a.png", "b.png"]);
    let other = {
        let mut tensors = seeded_tensors();
        let bias = tensors.iter_mut().find(|tensor| tensor.name == "loss3/classifier.bias").unwrap();
        bias.bytes[..4].copy_from_slice(&100f32.to_le_bytes());
        fs::write(folder.path().join("other.safetensors"), safetensors(&tensors)).unwrap();
        "other.safetensors"
    };
    let out = folder.path().join("out");
    let command = |out: &str, more: &[&str]| {
        // No option may appear twice.
        let quick = if more.contains(&"--stride") { &[][..] } else { &QUICK[..] };
        occlude(folder.path(), &[&["batch", "photos", "--out", out], quick, more].concat())
    };
    let kept = |more: &[&str]| succeed(command("out", more)).matches("already complete").count();
    // The results of a run in an empty folder.
    let fresh = |more: &[&str]| {
        succeed(command("fresh", more));
        let fresh = tree(&folder.path().join("fresh"));
        fs::remove_dir_all(folder.path().join("fresh")).unwrap();
        fresh
    };
    assert_eq!(kept(&["--classes", "top2"]), 0);
    // Fewer files than before; no old file remains.
    assert_eq!(kept(&[]), 0);
    let plain = tree(&out);
    assert!(plain == fresh(&[]));
    assert_eq!(kept(&[]), 2);
    for options in [
        ["--classes", "7"],
        ["--score", "logit"],
        ["--mask-size", "30"],
        ["--stride", "200"],
        ["--mask-value", "mean"],
        ["--mask-clipping", "off"],
        ["--region", "0,0,9,9"],
        ["--activation", "conv1/7x7_s2:0"],
        ["--aggregate", "windows"],
        ["--upsampling", "nearest"],
        ["--show", "score"],
        ["--colours", "viridis"],
        ["--opacity", "0.25"],
        ["--mark", "off"],
        ["--format", "svg"],
        ["--resize", "center-crop"],
        ["--weights", other],
    ] {
        assert_eq!(kept(&options), 0, "{options:?}");
        fs::remove_dir_all(&out).unwrap();
        for (name, contents) in &plain {
            fs::create_dir_all(out.join(name).parent().unwrap()).unwrap();
            fs::write(out.join(name), contents).unwrap();
        }
    }
    write_picture(&folder.path().join("photos/a.png"), 9);
    assert_eq!(kept(&[]), 1);
    assert!(tree(&folder.path().join("out")) == fresh(&[]));
    // The same bytes in another folder: map.json contains the name of the file.
    fs::rename(folder.path().join("photos"), folder.path().join("moved")).unwrap();
    let moved = occlude(folder.path(), &[&["batch", "moved", "--out", "out"], &QUICK[..]].concat());
    assert!(!succeed(moved).contains("already complete"));
}

#[test]
fn one_bad_picture_does_not_stop_the_rest() {
    let folder = photos(&["a.png", "truncated.png", "z.png"]);
    let photos = folder.path().join("photos");
    let whole = fs::read(photos.join("truncated.png")).unwrap();
    fs::write(photos.join("truncated.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(photos.join("text.png"), "no picture").unwrap();
    fs::write(folder.path().join("list"), "photos/absent.png\nphotos\n").unwrap();
    // A user's own file is in the folder for the results: the file stays, and the picture fails.
    fs::create_dir_all(folder.path().join("out/z")).unwrap();
    fs::write(folder.path().join("out/z/notes.txt"), "mine").unwrap();

    let output = run(batch(folder.path(), "out", &["@list"]));
    assert_eq!(output.status.code(), Some(1));
    let errors = stderr(&output);
    for message in [
        "error: cannot read photos/absent.png: ",
        "error: photos/text.png: is not a picture",
        "error: photos/truncated.png: is a damaged or truncated",
        "error: photos: is a directory",
        "out/z: the folder holds notes.txt, which is not a result file",
        "error: 5 of 6 photographs failed; all others are complete",
    ] {
        assert!(errors.contains(message), "no \"{message}\" in {errors}");
    }
    assert_eq!(errors.lines().count(), 6, "{errors}");
    let rows = rows(&folder.path().join("out/summary.json"));
    let statuses: Vec<_> =
        rows.iter().map(|row| (row["path"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
    let failed = "failed";
    assert_eq!(
        statuses,
        [
            ("photos", failed),
            ("photos/a.png", "done"),
            ("photos/absent.png", failed),
            ("photos/text.png", failed),
            ("photos/truncated.png", failed),
            ("photos/z.png", failed),
        ]
    );
    assert!(rows[4]["error"].as_str().unwrap().contains("truncated"));
    let lines = table(&folder.path().join("out/summary.csv"));
    assert_eq!(lines.len(), 6);
    assert_eq!((lines[3]["status"].as_str(), lines[3]["class_index"].as_str()), (failed, ""));
    assert!(lines[3]["error"].contains("is not a picture"));
    assert_eq!(fs::read_to_string(folder.path().join("out/z/notes.txt")).unwrap(), "mine");
    let out: Vec<PathBuf> = tree(&folder.path().join("out")).into_keys().collect();
    assert_eq!(out.len(), 3 + 1 + 2, "{out:?}");

    // After their repair, the next run processes them.
    fs::write(photos.join("truncated.png"), &whole).unwrap();
    write_picture(&photos.join("text.png"), 5);
    fs::remove_file(folder.path().join("out/z/notes.txt")).unwrap();
    let printed = succeed(batch(folder.path(), "out", &[]));
    assert_eq!(printed.matches("already complete").count(), 1, "{printed}");
}

#[test]
fn namesakes_have_folders_of_their_own_whatever_the_shard() {
    let folder = photos(&["a/1.png", "b/1.png", "b/2.png", "b/2.bmp"]);
    succeed(batch(folder.path(), "out", &["--recursive"]));
    let all: Vec<Value> = rows(&folder.path().join("out/summary.json"));
    let folders: BTreeSet<&str> = all.iter().map(|row| row["folder"].as_str().unwrap()).collect();
    assert_eq!(folders.len(), 4, "{folders:?}");
    for row in &all {
        let map = folder.path().join("out").join(row["folder"].as_str().unwrap()).join("map.json");
        let map: Value = serde_json::from_slice(&fs::read(map).unwrap()).unwrap();
        assert_eq!(map["image"], row["path"]);
    }
    // One of them alone in a shard.
    succeed(batch(folder.path(), "shard", &["--recursive", "--shard", "2/4"]));
    assert_eq!(rows(&folder.path().join("shard/summary-2-of-4.json")), all[2..3]);
}

#[test]
fn odd_names_survive() {
    let names = [
        "-v.png",
        "a, b.png",
        "\"quoted\" 'twice'.png",
        "Käse 猫.PNG",
        "two\nlines.png",
        "=1+1.png",
        "@.png",
    ];
    let folder = if cfg!(unix) { photos(&names) } else { photos(&names[..2]) };
    let written = fs::read_dir(folder.path().join("photos")).unwrap().count();
    let mut command = occlude(&folder.path().join("photos"), &["batch", "--out", "../out"]);
    // Some pictures come from the folder and some from their names; each appears once.
    command.args(QUICK).args([".", "./@.png", "--", "-v.png"]);
    succeed(command);
    let mut expected: Vec<String> = names[..written].iter().map(|name| name.to_string()).collect();
    expected.sort();
    let lines = table(&folder.path().join("out/summary.csv"));
    // A spreadsheet takes no cell for a formula, and the text can be read back.
    let cells: Vec<&str> = lines.iter().map(|line| line["path"].as_str()).collect();
    assert!(!cells.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{cells:?}");
    assert!(written < 7 || cells.contains(&"'=1+1.png") && cells.contains(&"'@.png"), "{cells:?}");
    let text = |cell: &str| cell.strip_prefix('\'').unwrap_or(cell).to_string();
    assert_eq!(cells.iter().map(|cell| text(cell)).collect::<Vec<_>>(), expected);
    let rows = rows(&folder.path().join("out/summary.json"));
    for ((line, row), name) in lines.iter().zip(&rows).zip(expected) {
        assert_eq!(row["path"], name);
        assert_eq!(row["folder"], text(&line["folder"]));
        assert_eq!(row["folder"], name[..name.len() - 4].replace('\n', "_"));
        assert!(folder.path().join("out").join(text(&line["folder"])).join("map.json").exists());
    }
}

#[test]
fn results_are_no_pictures_of_the_next_run() {
    let folder = photos(&["a.png", "deep/b.png"]);
    let command = || {
        occlude(
            folder.path(),
            &["batch", ".", "**/*.png", "--recursive", "--out", "photos", QUICK[0], QUICK[1]],
        )
    };
    succeed(command());
    let before = tree(folder.path());
    assert_eq!(succeed(command()).matches("already complete").count(), 2);
    assert!(tree(folder.path()) == before);
}

#[test]
fn what_can_be_refused_is_refused_before_the_work() {
    let folder = photos(&["a.png"]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    // The command has no weights. If it prepared anything first, the missing weights would be the
    // error.
    let command = |arguments: &[&str]| {
        let mut command = occlude(folder.path(), &[&["batch"], arguments].concat());
        command.env("OCCLUDE_WEIGHTS", "absent");
        command
    };
    let cases: [(&[&str], &[&str]); 6] = [
        (&["photos", "--out", "photos/a.png"], &["error: cannot write to photos/a.png"]),
        (&["photos", "--out", "photos/a.png/below"], &["error: cannot write to photos/a.png"]),
        (&["empty", "--out", "out"], &["error: empty: no photographs", "png, jpg, jpeg", "--recursive"]),
        (&["photos", "*.gif", "--out", "out"], &["error: *.gif: no photographs"]),
        (&["absent", "--out", "out"], &["error: cannot read absent"]),
        (&["@absent", "--out", "out"], &["error: cannot read absent"]),
    ];
    for (arguments, messages) in cases {
        refuse(folder.path(), command(arguments), 1, messages);
    }
    refuse(folder.path(), command(&["photos"]), 2, &["--out <DIR>"]);
    refuse(folder.path(), command(&["--out", "out"]), 2, &["INPUT"]);
    for (shard, message) in [
        ("4/4", "shards count from 0, so the last of 4 is 3/4"),
        ("5/4", "expected i/n with n from 1 to 100000 and i from 0 to n - 1"),
        ("-1/4", "expected i/n"),
        ("0/0", "expected i/n"),
        ("1", "expected i/n"),
    ] {
        refuse(folder.path(), command(&["photos", "--out", "out", "--shard", shard]), 2, &[shard, message]);
    }
    refuse(folder.path(), command(&["photos", "--out", "out"]), 1, &["absent"]);
}

#[test]
fn an_option_that_no_picture_can_have_ends_the_batch() {
    let folder = photos(&["a.png", "b.png"]);
    let command = batch(folder.path(), "out", &["--activation", "no/such/layer:3"]);
    refuse(folder.path(), command, 1, &["no/such/layer"]);
}

#[test]
fn a_merge_that_would_not_be_one_run_is_refused() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    let at = folder.path();
    let shard = |out: &str, shard: &str, more: &[&str]| {
        succeed(batch(at, out, &[&["--shard", shard], more].concat()));
    };
    let merge = |arguments: &[&str]| occlude(at, &[&["merge"], arguments].concat());
    refuse(at, merge(&["absent"]), 1, &["cannot read absent"]);
    refuse(at, merge(&["photos"]), 1, &["photos: holds no summary of a shard", "summary-i-of-n.json"]);
    refuse(at, merge(&["photos/a.png"]), 1, &["photos/a.png: is not a JSON summary"]);

    shard("a", "0/3", &[]);
    refuse(at, merge(&["a"]), 1, &["2 of 3 shards are missing: 1/3, 2/3; run `occlude batch --shard`"]);
    shard("b", "1/3", &[]);
    shard("a", "2/3", &[]);
    let (first, second, third) = ("a/summary-0-of-3.json", "b/summary-1-of-3.json", "a/summary-2-of-3.json");
    refuse(at, merge(&[first, second, third]), 1, &["is not in the folder of", "--out"]);
    refuse(at, merge(&[first, first, second, third, "--out", "all"]), 1, &["is the same shard as"]);
    refuse(at, merge(&["a", second, "--out", "photos/a.png"]), 1, &["cannot write to photos/a.png"]);

    // A shard with different options, with different weights, with another number of shards, or
    // with different pictures.
    shard("c", "1/3", &["--score", "logit"]);
    let message = ["has --score logit, but a/summary-0-of-3.json has --score probability"];
    refuse(at, merge(&["a", "c", "--out", "all"]), 1, &message);
    shard("d", "1/3", &["--activation", "conv1/7x7_s2:1"]);
    let message = ["has --activation conv1/7x7_s2:1, but a/summary-0-of-3.json does not have --activation"];
    refuse(at, merge(&["a", "d", "--out", "all"]), 1, &message);
    shard("e", "1/2", &[]);
    refuse(
        at,
        merge(&["a", "e", "--out", "all"]),
        1,
        &["has shard count 2, but a/summary-0-of-3.json has 3"],
    );
    fs::write(at.join("zeros.safetensors"), {
        let mut tensors = seeded_tensors();
        tensors[0].bytes.fill(0);
        safetensors(&tensors)
    })
    .unwrap();
    shard("f", "1/3", &["--weights", "zeros.safetensors"]);
    refuse(at, merge(&["a", "f", "--out", "all"]), 1, &["has weights with sha256"]);
    write_picture(&at.join("photos/d.png"), 7);
    shard("g", "1/3", &[]);
    refuse(
        at,
        merge(&["a", "g", "--out", "all"]),
        1,
        &["belongs to a batch of 4 photographs, but a/summary-0-of-3.json"],
    );
    fs::remove_file(at.join("photos/d.png")).unwrap();
    let whole = occlude(at, &[&["batch", "photos", "--out", "whole"], &QUICK[..]].concat());
    succeed(whole);
    refuse(at, merge(&["a", "whole/summary.json", "--out", "all"]), 1, &["is the summary of a whole batch"]);

    // A picture that two shards contain, and a picture that no shard contains.
    let edited_summary = |edit: &dyn Fn(&mut Value)| {
        let mut summary: Value = serde_json::from_slice(&fs::read(at.join(second)).unwrap()).unwrap();
        edit(&mut summary);
        fs::create_dir_all(at.join("h")).unwrap();
        fs::write(at.join("h/summary-1-of-3.json"), summary.to_string()).unwrap();
    };
    let edited = |edit: &dyn Fn(&mut Vec<Value>)| {
        edited_summary(&|summary| edit(summary["pictures"].as_array_mut().unwrap()));
    };
    edited(&|rows| rows[0]["path"] = "photos/a.png".into());
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &["the photograph photos/a.png is also in"]);
    edited(&|rows| rows.clear());
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &["the shards hold 2 photographs: expected 3"]);
    edited(&|rows| rows[0]["path"] = "photos/other.png".into());
    let others = "the shards hold 3 photographs, but with other paths: expected 3";
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &[others]);
    edited(&|rows| rows[0]["status"] = "failed".into());
    let contradicts =
        "h/summary-1-of-3.json: its row of photos/b.png has a status that contradicts its results";
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &[contradicts]);
    // Two copies of one photograph with different results.
    let first_row = rows(&at.join(first))[0].clone();
    edited(&|rows| {
        rows[0] = first_row.clone();
        rows[0]["path"] = "photos/b.png".into();
        rows[0]["top"][0]["probability"] = 0.75.into();
    });
    let message =
        "h/summary-1-of-3.json: the photograph photos/b.png has other results than photos/a.png in a/";
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &[message]);
    // The words of the JSON reader are no types of Rust.
    edited(&|rows| rows[0]["top"][0]["index"] = "one".into());
    refuse(at, merge(&["h"]), 1, &["invalid type: string \"one\", expected a whole number"]);
    edited(&|rows| rows[0] = 7.into());
    refuse(at, merge(&["h"]), 1, &["invalid type: integer `7`, expected an object at line 1"]);
    fs::write(at.join("h/summary-1-of-3.json"), "{\"version\": \"0.1").unwrap();
    refuse(at, merge(&["h"]), 1, &["the file ends in a string at line 1"]);

    // Numbers of which the rest of the file knows nothing.
    for (index, of) in [(0, u64::MAX), (0, 100_001), (3, 3), (0, 0)] {
        edited_summary(&|summary| summary["part"]["shard"] = serde_json::json!({"index": index, "of": of}));
        refuse(
            at,
            merge(&["h"]),
            1,
            &["h/summary-1-of-3.json: ", &format!("shard {index} of {of}, expected at most")],
        );
    }
    edited_summary(&|summary| summary["part"]["shard"]["of"] = 100_000.into());
    refuse(
        at,
        merge(&["h"]),
        1,
        &["h: 99999 of 100000 shards are missing: 0/100000, 2/100000,", ", ...; run"],
    );
    edited_summary(&|summary| summary["part"]["pictures_of_all_shards"] = u64::MAX.into());
    let message = "h/summary-1-of-3.json: belongs to a batch of 18446744073709551615 photographs, but a/";
    refuse(at, merge(&["a", "h", "--out", "all"]), 1, &[message]);
    #[cfg(target_os = "linux")]
    refuse(
        at,
        merge(&["/dev/zero", "--out", "all"]),
        1,
        &["cannot read /dev/zero: it is not a regular file"],
    );

    succeed(merge(&["a", second, "--out", "all"]));
    for file in ["summary.csv", "summary.json"] {
        assert_eq!(
            fs::read(at.join("all").join(file)).unwrap(),
            fs::read(at.join("whole").join(file)).unwrap()
        );
    }
}

/// A summary describes the files that exist: the command removes the old summary at the start of a
/// new run.
#[test]
fn an_unfinished_run_has_no_summary() {
    let folder = photos(&["a.png", "b.png"]);
    succeed(batch(folder.path(), "out", &["--shard", "0/1"]));
    let mut command = batch(folder.path(), "out", &["--shard", "0/1", "--classes", "top2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("[1/2]"), "{line}");
    let merge = || occlude(folder.path(), &["merge", "out"]);
    let message =
        ["out: holds results of photographs, but no summary of a shard", "it skips what is finished"];
    refuse(folder.path(), merge(), 1, &message);
    // A shard replaces results of a whole batch.
    succeed(batch(folder.path(), "out", &[]));
    let whole = [
        "out: holds the complete summary.csv and summary.json of a whole batch",
        "there is nothing to merge",
    ];
    refuse(folder.path(), merge(), 1, &whole);
    succeed(batch(folder.path(), "out", &["--shard", "0/2", "--classes", "top2"]));
    for name in ["summary.csv", "summary.json"] {
        assert!(!folder.path().join("out").join(name).exists(), "{name}");
    }
}

#[test]
fn a_batch_goes_on_with_another_number_of_shards() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    succeed(batch(folder.path(), "whole", &[]));
    succeed(batch(folder.path(), "out", &["--shard", "1/3"]));
    // Not the summary of a shard.
    fs::write(folder.path().join("out/summary-best-of-3.csv"), "mine").unwrap();
    let printed = ["0", "1"].map(|task| {
        let mut command = batch(folder.path(), "out", &["--shard", "auto"]);
        command.env("JOB_COMPLETION_INDEX", task).env("OCCLUDE_SHARDS", "2");
        succeed(command)
    });
    assert_eq!(printed.concat().matches("already complete").count(), 1, "{printed:?}");
    succeed(occlude(folder.path(), &["merge", "out"]));
    let mut merged = tree(&folder.path().join("out"));
    assert_eq!(merged.remove(Path::new("summary-best-of-3.csv")).unwrap(), b"mine");
    merged.retain(|name, _| !name.to_string_lossy().contains("-of-2."));
    assert!(merged == tree(&folder.path().join("whole")));
    let nowhere = batch(folder.path(), "out", &["--shard", "auto"]);
    refuse(folder.path(), nowhere, 2, &["$SLURM_ARRAY_TASK_ID, $JOB_COMPLETION_INDEX, $PARALLEL_SEQ"]);
}
