//! Tests of `occlude compare` and of the pictures of `occlude explain`: the files that they write,
//! and the effect of each option.

use std::collections::HashSet;
use std::fs;

use crate::common::command::{floats, folder, listing, occlude, refuse, seeded, shape, succeed, write_png};
use crate::common::shared;
use occlude::{GoogLeNet, OcclusionSensitivity, Picture, Resize, Weights};
use serde_json::Value;
use tempfile::TempDir;

fn names(folder: &TempDir, below: &str) -> HashSet<String> {
    let files = listing(&folder.path().join(below));
    files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// A folder with a second picture beside `picture.png`.
fn two() -> TempDir {
    let folder = folder();
    let other = image::RgbImage::from_fn(90, 70, |x, y| image::Rgb([(x * 2) as u8, 60, (y * 3) as u8]));
    write_png(&folder.path().join("other.png"), &other);
    folder
}

#[test]
fn one_picture_has_the_maps_of_its_classes_and_their_difference() {
    let folder = folder();
    let printed = succeed(seeded(&folder, &["compare", "picture.png", "--stride", "75", "--json"]));
    assert_eq!(printed, fs::read_to_string(folder.path().join("out/compare.json")).unwrap());
    assert_eq!(names(&folder, "out"), HashSet::from(["compare.json".into(), "picture-compare.png".into()]));
    let json: Value = serde_json::from_str(&printed).unwrap();

    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let choose = |c: &occlude::Classification| c.top(3);
    let expected =
        OcclusionSensitivity::new(&net).stride([75, 75]).choose_classes(&choose).run(&input).unwrap();
    assert_eq!(json["images"].as_array().unwrap().len(), 1);
    assert_eq!(floats(&json["images"][0]["scores"]), expected.scores);
    let contrast = &json["contrasts"][0];
    assert_eq!(contrast["classes"], serde_json::json!(expected.classes[..2]));
    let (first, second) = (expected.map(0), expected.map(1));
    let difference: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a - b).collect();
    assert_eq!(shape(&contrast["difference"]), [3, 3]);
    assert_eq!(floats(&contrast["difference"]), difference);
    let larger = difference.iter().filter(|d| **d > 0.0).count();
    assert_eq!(floats(&contrast["share"]), [larger as f32 / 9.0]);
}

/// A mask of the picture's mean changes nothing in a picture of one colour.
#[test]
fn maps_that_are_constant_have_no_evidence_and_no_correlation() {
    let folder = folder();
    let picture = image::RgbImage::from_pixel(20, 20, image::Rgb([250, 130, 20]));
    write_png(&folder.path().join("orange.png"), &picture);
    let compare = ["compare", "orange.png", "--classes", "0,1", "--mask-size", "60", "--stride", "60"];
    let printed = succeed(seeded(&folder, &compare));
    assert_eq!(printed.matches("no evidence for the class at any position").count(), 2, "{printed}");
    assert!(printed.contains("correlation of the maps not defined, because a map is constant"), "{printed}");
    assert!(!printed.contains("strongest evidence"), "{printed}");
    let json = fs::read(folder.path().join("out/compare.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["contrasts"][0]["correlation"], Value::Null);
}

#[test]
fn two_pictures_share_their_classes() {
    let folder = two();
    let run = |more: &[&str]| -> Value {
        let arguments =
            [&["compare", "picture.png", "other.png", "--stride", "112", "--json", "--out", "a"], more]
                .concat();
        serde_json::from_str(&succeed(seeded(&folder, &arguments))).unwrap()
    };
    let classes = |json: &Value, image: usize| -> Vec<u64> {
        let classes = json["images"][image]["classes"].as_array().unwrap();
        classes.iter().map(|class| class["index"].as_u64().unwrap()).collect()
    };
    let json = run(&[]);
    assert_eq!(
        (&json["images"][0]["image"], &json["images"][1]["image"]),
        (&"picture.png".into(), &"other.png".into())
    );
    assert_eq!((classes(&json, 0).len(), classes(&json, 1)), (2, classes(&json, 0)));
    assert_eq!(json["contrasts"].as_array().unwrap().len(), 2);
    assert!(names(&folder, "a").contains("picture-other-compare.png"));
    let json = run(&["--classes", "7,3,top1"]);
    assert_eq!((&classes(&json, 1)[..2], classes(&json, 1).len()), (&[7, 3][..], 3));
    // A single class has no other class to compare with.
    assert_eq!(run(&["--classes", "7"])["contrasts"], serde_json::json!([]));
}

/// The width and the height of the page and of each picture of a figure in SVG.
fn sizes(figure: &str) -> Vec<[f64; 2]> {
    let tags = figure.split('<').filter(|tag| tag.starts_with("svg ") || tag.starts_with("image "));
    let number = |tag: &str, name: &str| {
        tag.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    tags.map(|tag| ["width", "height"].map(|name| number(tag, name))).collect()
}

#[test]
fn a_figure_has_one_bar_for_its_maps_and_is_not_half_empty() {
    let folder = folder();
    for (name, height, width) in [("wide.png", 60, 240), ("tall.png", 240, 60)] {
        let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
        write_png(&folder.path().join(name), &picture);
    }
    let run = |images: &[&str], classes: &str| {
        let options = ["--stride", "112", "--format", "svg", "--classes", classes, "--out", "figure"];
        succeed(seeded(&folder, &[&["compare"], images, &options].concat()));
        let files = listing(&folder.path().join("figure"));
        let figure = files.iter().find(|file| file.extension().unwrap() == "svg").unwrap();
        let found = sizes(&fs::read_to_string(figure).unwrap());
        fs::remove_dir_all(folder.path().join("figure")).unwrap();
        found
    };
    for (images, classes, maps) in [
        (&["picture.png"][..], "top2", 2),
        (&["picture.png"], "top6", 6),
        (&["wide.png", "tall.png"], "top2", 4),
        (&["tall.png", "wide.png"], "top3", 6),
    ] {
        let found = run(images, classes);
        let bars = found.iter().filter(|[width, _]| *width == 24.0).count();
        assert_eq!(bars, 2, "{images:?} {classes}: one for the maps, one for the differences");
        // The page, the bars, the photographs, the maps, the differences.
        assert_eq!(found.len(), 1 + 2 + images.len() + maps + images.len(), "{images:?} {classes}");
        let area = |[width, height]: [f64; 2]| width * height;
        let used: f64 = found[1..].iter().copied().map(area).sum();
        // One row of photographs below another would use 0.2 of the page for a wide and a tall one.
        let share = used / area(found[0]);
        assert!(share > 0.28, "{images:?} {classes}: only {share} of the page");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = two();
    refuse(&folder, seeded(&folder, &["compare"]), 2, &["IMAGE"]);
    refuse(&folder, seeded(&folder, &["compare", "picture.png", "--show", "class"]), 2, &["--show"]);
    refuse(
        &folder,
        seeded(&folder, &["compare", "picture.png", "other.png", "picture.png"]),
        2,
        &["picture.png"],
    );
    refuse(
        &folder,
        seeded(&folder, &["compare", "picture.png", "missing.png"]),
        1,
        &["cannot read missing.png"],
    );
    refuse(
        &folder,
        seeded(&folder, &["compare", "picture.png", "--out", "other.png"]),
        1,
        &["cannot write to", "other.png"],
    );
    refuse(
        &folder,
        seeded(&folder, &["compare", "picture.png", "--classes", "top21"]),
        1,
        &["--classes with 21 classes is not possible: expected at most 20"],
    );
}

/// The figure of a comparison shows the effect of these sweep options.
#[test]
fn options_reach_the_compared_maps() {
    let folder = folder();
    let mut seen = HashSet::new();
    for options in [
        &[][..],
        &["--mark", "off"],
        &["--region", "0,0,224,112"],
        &["--aggregate", "windows"],
        &["--colours", "jet"],
    ] {
        let arguments = [&["compare", "picture.png", "--stride", "112", "--format", "svg"], options].concat();
        succeed(seeded(&folder, &arguments));
        let svg = fs::read_to_string(folder.path().join("out/picture-compare.svg")).unwrap();
        assert!(seen.insert(svg.clone()), "{options:?} changes nothing");
        let is_windows = options.contains(&"windows");
        assert_eq!(svg.contains(">mean drop in probability under all masks"), is_windows, "{options:?}");
        assert_eq!(svg.contains("(white outline)"), !options.contains(&"off"), "{options:?}");
    }
}

#[test]
fn each_kind_of_picture_is_written_when_it_is_asked_for() {
    let folder = folder();
    let run = |out: &str, more: &[&str]| {
        let arguments =
            [&["explain", "picture.png", "--stride", "112", "--classes", "tench", "--out", out], more]
                .concat();
        succeed(seeded(&folder, &arguments));
    };
    run("all", &["--show", "class,score,drop", "--activation", "inception_4c/output:17", "--faithfulness"]);
    let expected = [
        "map.json",
        "picture-tench.png",
        "picture-tench-score.png",
        "picture-most-probable.png",
        "picture-inception_4c-output-17.png",
        "picture-tench-faithfulness.png",
    ];
    assert_eq!(names(&folder, "all"), expected.map(String::from).into());
    run("class", &["--show", "class"]);
    assert_eq!(names(&folder, "class"), ["map.json", "picture-most-probable.png"].map(String::from).into());

    // Each option changes the picture in its own way, and no option changes the numbers.
    let numbers = |out: &str| {
        let json = fs::read(folder.path().join(out).join("map.json")).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()["scores"].clone()
    };
    let picture = |out: &str| fs::read(folder.path().join(out).join("picture-tench.png")).unwrap();
    let mut seen = HashSet::from([picture("all")]);
    for (i, options) in [
        ["--colours", "jet"],
        ["--colours", "viridis"],
        ["--opacity", "0.9"],
        ["--mark", "off"],
        ["--upsampling", "nearest"],
        ["--aggregate", "windows"],
    ]
    .iter()
    .enumerate()
    {
        let out = i.to_string();
        run(&out, options);
        assert_eq!(numbers(&out), numbers("all"));
        assert!(seen.insert(picture(&out)), "{options:?} changes nothing");
    }
    run("diverging", &["--colours", "diverging"]);
    assert_eq!(picture("diverging"), picture("all"), "diverging is the default");

    run("svg", &["--format", "svg", "--show", "drop,class"]);
    let expected = ["map.json", "picture-tench.svg", "picture-most-probable.svg"];
    assert_eq!(names(&folder, "svg"), expected.map(String::from).into());
    let svg = fs::read_to_string(folder.path().join("svg/picture-tench.svg")).unwrap();
    assert!(svg.contains(">tench, Tinca tinca</text>") && svg.contains("href=\"data:image/png;base64,"));
}

/// One photograph with two animals, the dog above and the cat below: the evidence for each class
/// lies on its own animal.
#[test]
fn the_cat_and_the_dog_are_told_apart() {
    let Some(weights) = shared("weights/bvlc_googlenet.safetensors") else { return };
    let image = shared("images/cat_dog.png").unwrap();
    let folder = folder();
    let arguments = [
        "compare",
        image.to_str().unwrap(),
        "--classes",
        "tiger cat,tabby,boxer,bull mastiff",
        "--score",
        "logit",
        "--json",
    ];
    let mut command = occlude(&folder, &arguments);
    command.env("OCCLUDE_WEIGHTS", weights);
    let json: Value = serde_json::from_str(&succeed(command)).unwrap();
    // The row of the centre of the evidence for a class, from 0 to 10.
    let centre = |class: usize| {
        let map = floats(&json["images"][0]["maps"][class]);
        let evidence = map.iter().map(|drop| drop.max(0.0));
        let weighted: f32 = evidence.clone().enumerate().map(|(i, drop)| (i / 11) as f32 * drop).sum();
        weighted / evidence.sum::<f32>()
    };
    let rows: Vec<f32> = (0..4).map(centre).collect();
    assert!(rows[..2].iter().all(|cat| *cat > 5.5) && rows[2..].iter().all(|dog| *dog < 4.5), "{rows:?}");
    assert!(
        floats(&json["contrasts"][0]["correlation"])[0] > 0.5,
        "the maps of tiger cat and tabby are similar"
    );
}
