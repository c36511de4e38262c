//! Small files that an earlier version decoded wrongly, refused without a reason, or could not
//! survive. Their folder, beside that of the published network, has a README with the right answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::command::{occlude, stderr};
use crate::common::shared;
use serde_json::Value;
use tempfile::TempDir;

/// Runs the command with the built-in network. `@` in an argument is the folder of the cases.
fn run(cases: &Path, folder: &TempDir, arguments: &[&str]) -> Output {
    let replaced: Vec<String> =
        arguments.iter().map(|argument| argument.replace('@', cases.to_str().unwrap())).collect();
    let arguments: Vec<&str> = replaced.iter().map(String::as_str).collect();
    let mut command: Command = occlude(folder, &arguments);
    if !arguments.contains(&"--weights") {
        command.args(["--weights", "builtin"]);
    }
    command.output().unwrap()
}

fn cases() -> Option<(PathBuf, TempDir)> {
    Some((shared("cases")?, tempfile::tempdir().unwrap()))
}

fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that the command failed with an error of one line that has these words.
fn refused(output: &Output, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: ") && text.trim_end().lines().count() == 1, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
}

#[test]
fn colours_are_those_of_other_decoders() {
    let Some((cases, folder)) = cases() else { return };
    for file in [
        "jpeg-noninterleaved-420/orange.jpg",
        "jpeg-noninterleaved-420/orange-interleaved.jpg",
        "bigtiff/orange.tif",
        "compare-constant/orange.png",
    ] {
        let options = ["--json", "--classes", "0", "--mask-size", "224", "--stride", "224", "--out", "out"];
        let explained = run(&cases, &folder, &[&["explain", &format!("@/{file}")][..], &options].concat());
        let json: Value = serde_json::from_str(&succeeded(&explained)).unwrap();
        let mean: Vec<f64> =
            json["mask_value"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        for (found, expected) in mean.iter().zip([250.0, 130.0, 20.0]) {
            assert!((found - expected).abs() < 1.5, "{file}: {mean:?}");
        }
    }
}

#[test]
fn one_picture_stored_in_two_ways_gets_one_answer() {
    let Some((cases, folder)) = cases() else { return };
    for [one, other] in [
        ["webp-exif-prefix/plain.webp", "webp-exif-prefix/prefix.webp"],
        ["exif-orientation-long/long.jpg", "exif-orientation-long/short.jpg"],
    ] {
        let answer = |file: &str| succeeded(&run(&cases, &folder, &["classify", &format!("@/{file}")]));
        assert_eq!(answer(one), answer(other), "{one}");
    }
    for file in ["grey-4bit", "grey-alpha", "grey-float", "palette"] {
        succeeded(&run(&cases, &folder, &["classify", &format!("@/tiff-kinds-refused/{file}.tif")]));
    }
}

#[test]
fn pictures_that_are_not_decoded_are_refused_by_name() {
    let Some((cases, folder)) = cases() else { return };
    for (file, words) in [
        ("jpeg-chroma-finer-than-luma/orange.jpg", &["JPEG picture of an unsupported kind"][..]),
        ("jpeg-cut-with-eoi/cut.jpg", &["damaged or truncated JPEG picture"]),
        ("tiff-tiled-planar/orange.tif", &["TIFF picture of an unsupported kind"]),
        ("tiff-fillorder2/stripe.tif", &["TIFF picture of an unsupported kind", "FillOrder 2"]),
        ("png-palette-length/palette-4.png", &["damaged or truncated PNG picture"]),
        ("png-palette-length/palette-7.png", &["damaged or truncated PNG picture"]),
        ("heic-message/IMG_0001.HEIC", &["HEIC", "convert it"]),
    ] {
        for command in ["classify", "explain", "gradcam", "compare"] {
            let refusal = run(&cases, &folder, &[command, &format!("@/{file}")]);
            refused(&refusal, &[&[file], words].concat());
        }
        let batch = run(&cases, &folder, &["batch", &format!("@/{file}"), "--out", "maps"]);
        assert_eq!(batch.status.code(), Some(1));
        assert!(
            stderr(&batch).contains(words[0]) && !stderr(&batch).contains("panicked"),
            "{}",
            stderr(&batch)
        );
        std::fs::remove_dir_all(folder.path().join("maps")).unwrap();
    }
}

#[test]
fn weights_of_other_origin_are_read_or_refused_by_name() {
    let Some((cases, folder)) = cases() else { return };
    let photo = "@/compare-constant/orange.png";
    let with =
        |weights: &str| run(&cases, &folder, &["classify", photo, "--weights", &format!("@/{weights}")]);
    refused(&with("names-control/newline-name.safetensors"), &["newline-name.safetensors", "\\n"]);
    for weights in ["module-prefix/header.safetensors", "f16-safetensors/f16.safetensors"] {
        let first = with(weights);
        for _ in 0..5 {
            assert_eq!(with(weights), first, "{weights}");
        }
        println!(
            "{weights}: {:?} {}{}",
            first.status.code(),
            stderr(&first),
            String::from_utf8_lossy(&first.stdout)
        );
    }
}

#[test]
fn habits_are_understood() {
    let Some((cases, folder)) = cases() else { return };
    let photo = "@/compare-constant/orange.png";
    let size = ["--mask-size", "60", "--stride", "60", "--out", "out"];
    let compared = run(&cases, &folder, &[&["compare", photo, "--classes", "0,1"][..], &size].concat());
    let text = succeeded(&compared);
    assert!(text.contains("not defined") && !text.contains("+0.000"), "{text}");
    let merged = run(&cases, &folder, &["merge", "@/merge-bomb"]);
    refused(&merged, &["summary-0-of-1.json"]);
    let maps = ["--out", "maps", "--mask-size", "224", "--stride", "224"];
    let batch = run(&cases, &folder, &[&["batch", "@/folder-jfif"][..], &maps].concat());
    succeeded(&batch);
    for stem in ["a", "b", "c"] {
        assert!(folder.path().join("maps").join(stem).join("map.json").exists(), "{stem}");
    }
    assert!(stderr(&batch).contains('1') && stderr(&batch).contains("passed over"), "{}", stderr(&batch));
    let labels = ["--labels", "@/labels-bom/labels.txt", "--classes", "name0"];
    let Some(published) = shared("weights/bvlc_googlenet.safetensors") else { return };
    let weights = ["--weights", published.to_str().unwrap()];
    let whole = ["--mask-size", "224", "--stride", "224", "--out", "named"];
    let explained = run(&cases, &folder, &[&["explain", photo][..], &labels, &weights, &whole].concat());
    assert!(succeeded(&explained).contains("name0 (0)"), "{explained:?}");
}
