//! Tests of scores and masks with the real binary: its numbers are the library's, and what contradicts
//! itself is refused before a sweep.

use std::fs;

use crate::common::command::{
    floats, folder, listing, occlude, read_picture, refuse, seeded, succeed, write_png,
};
use crate::common::seeded_weights;
use image::codecs::png::PngEncoder;
use image::{GrayImage, Luma};
use occlude::network::groups::Groups;
use occlude::{
    Against, Channel, GoogLeNet, Labels, MaskValue, OcclusionMaps, OcclusionSensitivity, Picture, Resize,
    Score, Segments, Shape,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A group of the file `groups.txt`.
fn pets() -> Score {
    let classes = vec![1, 151, 152, 153, 281];
    Score::Group { name: "pets".to_string(), classes }
}

fn dogs() -> Score {
    let classes = Groups::wordnet(Labels::imagenet()).find("dog").unwrap().classes.clone();
    Score::Group { name: "dog".to_string(), classes }
}

fn write_grey(folder: &TempDir, name: &str, picture: &GrayImage) {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
}

#[test]
fn numbers_are_the_librarys() {
    let folder = folder();
    fs::write(folder.path().join("groups.txt"), "pets: goldfish, 151-153, tabby\n").unwrap();
    let picture = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap();
    let rgb = read_picture(&folder.path().join("picture.png"));
    let (width, height) = rgb.dimensions();
    let mirrored = image::imageops::flip_horizontal(&rgb);
    write_png(&folder.path().join("other.png"), &mirrored);
    let other = Picture::open(folder.path().join("other.png"), Resize::Stretch).unwrap().input();
    // Quarters by columns, in the size of the photograph and in that of the network's picture.
    let quarters = GrayImage::from_fn(width, height, |x, _| Luma([(4 * x / width) as u8 * 50]));
    write_grey(&folder, "quarters.png", &quarters);
    let squares = GrayImage::from_fn(224, 224, |x, y| Luma([(x / 112 + y / 112 * 2) as u8]));
    write_grey(&folder, "squares.png", &squares);
    let parts = |number: &dyn Fn(usize, usize) -> u32| {
        Segments::new(&Vec::from_iter((0..224 * 224).map(|at| Some(number(at / 224, at % 224))))).unwrap()
    };
    let column = |x: usize| ((x as f64 + 0.5) * f64::from(width) / 224.0).floor() as u32;
    let in_quarters = parts(&|_, x| (4 * column(x) / width) * 50);
    let in_squares = parts(&|y, x| (x / 112 + y / 112 * 2) as u32);
    let superpixels = Segments::slic(&picture, 9).unwrap();

    let net = GoogLeNet::load(seeded_weights()).unwrap();
    let input = picture.input();
    let sweep = OcclusionSensitivity::new(&net).stride([112, 112]);
    let of = |sweep: &OcclusionSensitivity| sweep.run(&input).unwrap();
    let scored = |score: Score| of(&sweep.clone().score(score));
    let cases: [(&[&str], OcclusionMaps, &str); 17] = [
        (&["--score", "contrast:tabby"], scored(Score::Contrast(Against::Class(281))), "contrast:281"),
        (
            &["--score", "logit-contrast:nearest:3"],
            scored(Score::LogitContrast(Against::Nearest(3))),
            "logit-contrast:nearest:3",
        ),
        (&["--score", "contrast:nearest"], scored(Score::Contrast(Against::Nearest(1))), "contrast:nearest"),
        (&["--score", "margin"], scored(Score::Margin), "margin"),
        (&["--score", "logit-margin"], scored(Score::LogitMargin), "logit-margin"),
        (&["--score", "group:dog"], scored(dogs()), "group:dog"),
        (&["--score", "group:pets", "--groups", "groups.txt"], scored(pets()), "group:pets"),
        (&["--score", "entropy"], scored(Score::Entropy), "entropy"),
        (&["--mask-value", "patch"], of(&sweep.clone().mask_value(MaskValue::Patch)), "probability"),
        (&["--mask-value", "inpaint"], of(&sweep.clone().mask_value(MaskValue::Inpaint)), "probability"),
        (&["--mask-picture", "other.png"], of(&sweep.clone().mask_picture(&other)), "probability"),
        (&["--mask-shape", "ellipse"], of(&sweep.clone().shape(Shape::Ellipse)), "probability"),
        (
            &["--mask-shape", "gaussian", "--mask-channel", "green"],
            of(&sweep.clone().shape(Shape::Gaussian).channel(Some(Channel::Green))),
            "probability",
        ),
        (&["--inverse"], of(&sweep.clone().inverse(true)), "probability"),
        (&["--segments", "quarters.png"], of(&sweep.clone().segments(&in_quarters)), "probability"),
        (&["--segments", "squares.png"], of(&sweep.clone().segments(&in_squares)), "probability"),
        (&["--segments", "slic:9"], of(&sweep.clone().segments(&superpixels)), "probability"),
    ];
    for (options, maps, score) in cases {
        let stride: &[&str] = if options[0] == "--segments" { &[] } else { &["--stride", "112"] };
        let printed =
            succeed(seeded(&folder, &[&["explain", "picture.png", "--json"], stride, options].concat()));
        let found: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(found["score"], score, "{options:?}");
        assert_eq!(found["grid"], json!(maps.grid), "{options:?}");
        assert_eq!(floats(&found["scores"]), maps.scores, "{options:?}");
        assert_eq!(floats(&found["maps"]), maps.map(0).values(), "{options:?}");
        assert_eq!(floats(&found["classes"][0]["base_score"]), maps.base_scores, "{options:?}");
        let class = &found["classes"][0];
        let key = if maps.score.is_of_class() { "against" } else { "members" };
        assert_eq!(class.get(key).unwrap_or(&json!([])), &json!(maps.targets[0].against), "{options:?}");
        let index = maps.score.is_of_class().then_some(maps.classes[0]);
        assert_eq!(class["index"], json!(index), "{options:?}");
        let numbers = found.get("segments").map_or(0, |segments| segments.as_array().unwrap().len());
        assert_eq!(numbers, maps.segments.as_ref().map_or(0, Segments::count), "{options:?}");
    }
}

/// Words for a terminal, and names of files, say what was asked.
#[test]
fn summaries_name_the_question() {
    let folder = folder();
    let run = |options: &[&str]| {
        let stride: &[&str] = if options.contains(&"--segments") { &[] } else { &["--stride", "112"] };
        succeed(seeded(&folder, &[&["explain", "picture.png"], stride, options].concat()))
    };
    let group = run(&["--score", "group:dog"]);
    assert!(group.contains("\ndog (118 classes): probability of dog 0."), "{group}");
    assert!(group.contains("picture-group-dog.png"), "{group}");
    let entropy = run(&["--score", "entropy", "--arrays", "npz"]);
    assert!(entropy.contains("\nwhole answer: entropy "), "{entropy}");
    assert!(entropy.contains("picture-entropy.png"), "{entropy}");
    let nearest = run(&["--score", "contrast:nearest:2"]);
    assert!(nearest.contains("): probability minus the mean of the 2 nearest classes "), "{nearest}");
    assert!(nearest.contains("\n  nearest: "), "{nearest}");
    let parts = run(&["--segments", "slic:9", "--show", "drop,score,class", "--arrays", "npz"]);
    assert!(parts.contains(" parts of the picture, colour "), "{parts}");
    assert!(parts.contains("without part "), "{parts}");
    let inverse = run(&["--inverse", "--mask-shape", "ellipse"]);
    assert!(inverse.contains("only one shown at a time, ellipse, colour "), "{inverse}");
    // A report has the question's command line.
    run(&[
        "--score",
        "contrast:tabby",
        "--mask-shape",
        "gaussian",
        "--mask-channel",
        "red",
        "--report",
        "r.html",
    ]);
    let report = fs::read_to_string(folder.path().join("r.html")).unwrap();
    for part in ["--score contrast:281", "--mask-shape gaussian", "--mask-channel red", "minus that of tabby"]
    {
        assert!(report.contains(part), "{part}");
    }
    let compared = succeed(seeded(
        &folder,
        &["compare", "picture.png", "--classes", "3,7", "--stride", "112", "--score", "margin"],
    ));
    assert!(compared.contains("probability minus that of the best other class"), "{compared}");
}

#[test]
fn contradictions_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("groups.txt"), "pets: goldfish\nstones: no such class\n").unwrap();
    write_grey(&folder, "small.png", &GrayImage::new(30, 20));
    fs::write(folder.path().join("text.png"), "not a picture").unwrap();
    let cases: [(&[&str], i32, &str); 17] = [
        (&["--score", "group:doge"], 1, "group \"doge\" is not possible: expected the name of a group"),
        (
            &["--score", "group:dog", "--classes", "top2"],
            1,
            "--classes top2 is not possible: expected no classes",
        ),
        (&["--score", "entropy", "--classes", "7"], 1, "expected no classes, because the score entropy"),
        (
            &["--score", "contrast:7", "--classes", "6,7"],
            1,
            "is among the classes to map, and the score is a contrast",
        ),
        (&["--score", "contrast:no such"], 1, "no class is called \"no such\""),
        (&["--score", "contrast:nearest:1000"], 1, "--score contrast:nearest:1000 is not possible"),
        (&["--score", "group:pets", "--groups", "groups.txt"], 1, "groups.txt: line 2 is wrong: no class"),
        (&["--score", "logit", "--groups", "groups.txt"], 1, "--groups groups.txt is not possible"),
        (&["--score", "best"], 2, "expected probability, logit, contrast:CLASS"),
        (&["--segments", "slic:1"], 2, "expected a whole number from 2 to 1000"),
        (&["--segments", "slic", "--stride", "9"], 2, "cannot be used with"),
        (&["--segments", "small.png"], 1, "small.png: has 30x20 pixels, expected"),
        (&["--segments", "text.png"], 1, "text.png: is no PNG"),
        (&["--segments", "picture.png"], 1, "picture.png: the segments: are "),
        (&["--mask-picture", "none.png"], 1, "cannot read none.png"),
        (
            &["--score", "entropy", "--faithfulness"],
            1,
            "--faithfulness with a score of no class is not possible",
        ),
        (&["--mask-value", "patch", "--faithfulness"], 1, "mask value patch is not possible"),
    ];
    for (options, code, message) in cases {
        refuse(&folder, seeded(&folder, &[&["explain", "picture.png"], options].concat()), code, &[message]);
    }
    refuse(
        &folder,
        occlude(&folder, &["region", "picture.png", "--mask-value", "inpaint", "--weights", "builtin"]),
        1,
        &["mask value inpaint is not possible"],
    );
    refuse(
        &folder,
        seeded(&folder, &["region", "picture.png", "--score", "group:dog"]),
        1,
        &["--score of no class is not possible"],
    );
}

/// Beside a padded photograph are pixels of no part, which are never covered: they have no class of their own.
#[test]
fn classes_without_each_part_are_drawn_beside_a_padded_photograph() {
    let folder = folder();
    let halves = GrayImage::from_fn(120, 80, |x, _| Luma([(x / 60) as u8]));
    write_grey(&folder, "halves.png", &halves);
    let options = ["explain", "picture.png", "--segments", "halves.png", "--resize", "pad"];
    let text =
        succeed(seeded(&folder, &[&options[..], &["--show", "class", "--canvas", "network"]].concat()));
    assert!(text.contains("wrote out/picture-most-probable.png"), "{text}");
}

/// The next run of a batch takes up results only if the file of segments has the same numbers.
#[test]
fn a_batch_notices_other_segments() {
    let folder = folder();
    let parts_after = |parts: u32| {
        let columns = GrayImage::from_fn(224, 224, |x, _| Luma([(x * parts / 224) as u8]));
        write_grey(&folder, "columns.png", &columns);
        let arguments = ["batch", "picture.png", "--segments", "columns.png", "--out", "maps"];
        let output = seeded(&folder, &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let maps = listing(&folder.path().join("maps"));
        let map = maps.iter().find(|file| file.ends_with("map.json")).unwrap();
        let found: Value = serde_json::from_slice(&fs::read(map).unwrap()).unwrap();
        found["grid"].clone()
    };
    assert_eq!(parts_after(3), json!([1, 3]));
    assert_eq!(parts_after(2), json!([1, 2]));
}

/// A photograph whose answer is the class of the contrast fails alone.
#[test]
fn a_batch_goes_on_after_a_photograph_without_contrast() {
    let folder = folder();
    let said = succeed(seeded(&folder, &["classify", "picture.png", "--json"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    let contrast = format!("contrast:{}", said["classes"][0]["index"]);
    let arguments = ["batch", "picture.png", "--score", &contrast, "--stride", "224", "--out", "maps"];
    let output = seeded(&folder, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = fs::read_to_string(folder.path().join("maps/summary.csv")).unwrap();
    assert!(summary.contains("is among the classes to map, and the score is a contrast"), "{summary}");
}

/// A batch draws figures on a shared scale from stored scores. Those of inverse masks are compared with the
/// wholly covered picture, as in a sweep.
#[test]
fn inverse_maps_are_drawn_again_from_their_scores() {
    let folder = folder();
    let options = ["picture.png", "--inverse", "--stride", "112", "--scale", "shared", "--out"];
    succeed(seeded(&folder, &[&["explain"][..], &options, &["one"]].concat()));
    succeed(seeded(&folder, &[&["batch"][..], &options, &["many"]].concat()));
    let figure = |place: &str| {
        let files = listing(&folder.path().join(place));
        let figure = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "png"));
        fs::read(figure.unwrap()).unwrap()
    };
    assert!(figure("one") == figure("many"));
}
