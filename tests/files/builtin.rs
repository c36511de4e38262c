//! Tests of the built-in network: against PyTorch in float64 (`tools/torchvision_reference.py`),
//! its sweeps against exhaustive sweeps on photographs, and the command in an environment with no
//! other files.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::common::command::{folder, occlude, read_picture, refuse, stderr, succeed};
use crate::common::{Reference, shared};
use occlude::network::geometry::Rect;
use occlude::{
    GoogLeNet, Input, Isa, MaskValue, OcclusionSensitivity, Photograph, Picture, Resize, Score, Weights,
};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

const CHELSEA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");

static WEIGHTS: LazyLock<Weights> = LazyLock::new(Weights::builtin);
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());

/// The middle 224x224 pixels of the photograph, unchanged.
fn middle() -> Input {
    let photograph = Photograph::open(CHELSEA).unwrap();
    let (top, left) = ((photograph.height() - 224) / 2, (photograph.width() - 224) / 2);
    let rows = photograph.rgb().chunks(3 * photograph.width()).skip(top).take(224);
    let rgb: Vec<u8> = rows.flat_map(|row| &row[3 * left..][..3 * 224]).copied().collect();
    Picture::from_rgb(224, 224, &rgb, Resize::Stretch).unwrap().input()
}

#[test]
fn blobs_scores_sweep_and_gradcam_are_pytorchs() {
    let expected = Reference::read("builtin.safetensors");
    expected.check_blobs(&WEIGHTS, &NET, &middle());
    expected.check_scores(&NET, &middle());
}

/// The photograph, upside down or not, complete or only its middle.
fn photograph() -> impl Strategy<Value = Input> {
    (any::<bool>(), any::<bool>()).prop_map(|(turned, cropped)| {
        let photograph = Photograph::open(CHELSEA).unwrap();
        let mut rgb = photograph.rgb().to_vec();
        if turned {
            let pixels: &[[u8; 3]] = rgb.as_chunks().0;
            rgb = pixels.iter().rev().flatten().copied().collect();
        }
        let resize = if cropped { Resize::CenterCrop } else { Resize::Stretch };
        Picture::from_rgb(photograph.height(), photograph.width(), &rgb, resize).unwrap().input()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_sweep_is_the_exhaustive_one(
        input in photograph(),
        mask in [1..120usize, 1..120],
        stride in [20..80usize, 20..80],
        y in 0..150usize,
        x in 0..150usize,
        clipped in any::<bool>(),
    ) {
        let sweep = OcclusionSensitivity::new(&NET)
            .mask_size(mask)
            .stride(stride)
            .mask_clipping(clipped)
            .score(Score::Logit)
            .region(Rect { y0: y, x0: x, y1: y + 74, x1: x + 74 })
            .classes((0..NET.network().classes()).collect::<Vec<_>>());
        // A region may lie between two mask centres.
        let Ok(maps) = sweep.run(&input) else { return Ok(()) };
        prop_assert_eq!(&maps, &sweep.clone().threads(1).run(&input).unwrap());
        prop_assert_eq!(&maps, &sweep.exhaustive(true).run(&input).unwrap());
    }
}

#[test]
fn every_instruction_set_has_the_same_bits() {
    let scores = |isa: Isa| {
        let net = GoogLeNet::new(&WEIGHTS).unwrap().with_isa(isa);
        let region = Rect { y0: 80, x0: 80, y1: 130, x1: 130 };
        let maps = OcclusionSensitivity::new(&net).region(region).run(&middle()).unwrap();
        (maps.classification.logits, maps.scores, maps.argmax)
    };
    let scalar = scores(Isa::SCALAR);
    for isa in Isa::all_available() {
        assert!(scores(isa) == scalar, "{isa}");
    }
}

fn json(command: Command) -> Value {
    serde_json::from_str(&succeed(command)).unwrap()
}

/// The command in an environment without weights, caches and variables.
fn bare(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = occlude(folder, arguments);
    for name in ["HOME", "XDG_CACHE_HOME", "TORCH_HOME", "LOCALAPPDATA", "USERPROFILE"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn the_first_command_maps_a_cat() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("tests/data")).unwrap();
    std::fs::copy(CHELSEA, folder.path().join("tests/data/chelsea.png")).unwrap();
    let output = bare(&folder, &["explain", "tests/data/chelsea.png", "--out", "out"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    let network = format!("built-in network of {} classes", NET.network().classes());
    assert_eq!(
        said,
        format!(
            "network: {network}; `occlude weights fetch` downloads the published network of 1000 classes\n"
        )
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().next().unwrap().ends_with("  cat"), "{text}");
    // The output in the README, except for the time.
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let shown = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let without_time = |text: &str| -> Vec<String> {
        let line = |line: &str| match line.rsplit_once("; ") {
            Some((rest, time)) if time.ends_with(" s") => rest.to_string(),
            _ => line.to_string(),
        };
        text.lines().map(line).collect()
    };
    assert_eq!(without_time(&text), without_time(shown));

    let map: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/map.json")).unwrap()).unwrap();
    assert_eq!((&map["network"], &map["classes"][0]["label"]), (&network.into(), &"cat".into()));
    assert_eq!(map["grid"], serde_json::json!([11, 11]));
    // The masks change the score, by different amounts at different positions.
    let drops = crate::common::command::floats(&map["maps"]);
    let score = map["classes"][0]["base_score"].as_f64().unwrap() as f32;
    let strongest = drops.iter().copied().fold(0.0, f32::max);
    let weakest = drops.iter().copied().fold(f32::MAX, f32::min);
    assert!(score > 0.8 && strongest > 0.02 && weakest < 0.0, "{score} {strongest} {weakest}");
    let picture = read_picture(&folder.path().join("out/chelsea-cat.png"));
    assert!(picture.width() > 400 && picture.height() > 300);
}

#[test]
fn every_json_says_which_network_answered() {
    let folder = folder();
    let expected = Value::from(format!("built-in network of {} classes", NET.network().classes()));
    let mask = ["--mask-size", "224", "--stride", "224"];
    let commands: [&[&str]; 6] = [
        &["classify", CHELSEA, "--json"],
        &["explain", CHELSEA, "--json", "--out", "a"],
        &["gradcam", CHELSEA, "--json", "--out", "b"],
        &["features", CHELSEA, "--layer", "conv1", "--json", "--out", "c"],
        &["profile", CHELSEA, "--json"],
        &["trace", CHELSEA, "--at", "100,100", "--json", "--out", "d"],
    ];
    for arguments in commands {
        let is_sweep = arguments[0] == "explain";
        let arguments = [arguments, if is_sweep { &mask } else { &[] }].concat();
        assert_eq!(json(bare(&folder, &arguments))["network"], expected, "{arguments:?}");
    }
    let compared =
        [&["compare", CHELSEA, "--classes", "cat,dog", "--json", "--out", "e"], &mask[..]].concat();
    assert_eq!(json(bare(&folder, &compared))["images"][0]["network"], expected);
}

#[test]
fn a_class_that_only_another_network_has_is_answered_with_a_hint() {
    let folder = folder();
    let explain = |class: &'static str| ["explain", "picture.png", "--out", "out", "--classes", class];
    let message = ["error: no class is called \"Egyptian cat\"", "download it with `occlude weights fetch`"];
    refuse(&folder, bare(&folder, &explain("Egyptian cat")), 1, &message);
    let seeded = crate::common::command::seeded(&folder, &explain("parachuter"));
    refuse(&folder, seeded, 1, &["error: no class is called \"parachuter\""]);
    let message = [
        "error: no class is called \"house\"",
        "the built-in network has this class; use it with --weights builtin",
    ];
    refuse(&folder, crate::common::command::seeded(&folder, &explain("house")), 1, &message);
}

#[test]
fn the_built_in_network_is_asked_for_by_name() {
    let folder = folder();
    let mut by_variable = bare(&folder, &["classify", CHELSEA, "--json"]);
    by_variable.env("OCCLUDE_WEIGHTS", "builtin");
    let by_option =
        crate::common::command::seeded(&folder, &["classify", CHELSEA, "--json", "--weights", "builtin"]);
    assert_eq!(json(by_variable), json(by_option));
    let text = succeed(bare(&folder, &["weights"]));
    assert!(text.starts_with("network   built-in network of ") && text.contains("(matches)"), "{text}");
    assert!(text.contains("classes   cat, dog, "), "{text}");
}

/// Tests with photographs that this repository does not contain.
#[test]
fn it_knows_the_projects_photographs() {
    let said = |image: &str| {
        let path = shared(&format!("images/{image}"))?;
        let said = NET.classify(&Picture::open(path, Resize::Stretch).unwrap().input());
        Some(WEIGHTS.labels().words(said.top(1)[0]).to_string())
    };
    // weights/README.md lists the photographs that the network classifies wrongly.
    let photographs = [
        ("chelsea.png", "cat"),
        ("miniature_poodle.jpg", "dog"),
        ("tibetan_terrier.jpg", "dog"),
        ("golden_retriever.jpg", "dog"),
        ("coffee.png", "cup"),
    ];
    for (image, class) in photographs {
        let Some(said) = said(image) else { return };
        assert_eq!(said, class, "{image}");
    }
}

#[test]
fn its_maps_tell_a_cat_from_a_dog_beside_it() {
    let Some(path) = shared("images/cat_dog.png") else { return };
    let input = Picture::open(path, Resize::Stretch).unwrap().input();
    let sweep = OcclusionSensitivity::new(&NET).mask_value(MaskValue::Auto).classes(vec![0, 1]);
    let maps = sweep.run(&input).unwrap();
    let (cat, dog) = (maps.map(0), maps.map(1));
    let mean = |map: &[f32]| map.iter().sum::<f32>() / map.len() as f32;
    let (of_cat, of_dog) = (mean(cat.values()), mean(dog.values()));
    let covariance: f32 = cat.iter().zip(&dog).map(|(cat, dog)| (cat - of_cat) * (dog - of_dog)).sum();
    assert!(covariance < 0.0, "{covariance}");
}

#[test]
fn the_manifest_and_the_documentation_name_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(root.join("weights/manifest.json")).unwrap()).unwrap();
    let file = manifest["builtin"]["file"].as_str().unwrap();
    let size = std::fs::metadata(root.join("weights").join(file)).unwrap().len();
    assert_eq!(manifest["builtin"]["size"], size);
}
