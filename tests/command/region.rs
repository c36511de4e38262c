//! Tests of `occlude region`: its files hold the library's regions, in pixels of the photograph.

use std::fs;

use crate::common::command::{
    bits, floats, folder, listing, occlude, read_picture, refuse, seeded, stderr, succeed, write_png,
};
use occlude::image::resize::resize_rgb;
use occlude::network::geometry::Rect;
use occlude::{
    GoogLeNet, OcclusionSensitivity, Photograph, Region, RegionPart, Resize, SmallestParts, Threshold,
    Upsampling, Weights,
};
use serde_json::{Value, json};

/// Options with which a search takes little time.
const QUICK: [&str; 4] = ["--stride", "45", "--tile", "56"];

fn parts_as_json(region: &Region) -> Value {
    // As the text of the f32 reads as f64.
    let share = |area: usize| -> Value {
        let share = (area as f64 / region.pixels().len() as f64) as f32;
        serde_json::from_str(&share.to_string()).unwrap()
    };
    let part = |part: &RegionPart| {
        let bounds = part.bounds;
        json!({
            "share": share(part.area),
            "box": [bounds.y0, bounds.x0, bounds.y1, bounds.x1],
            "contours": part.contours,
        })
    };
    region.parts().iter().map(part).collect()
}

#[test]
fn the_files_hold_the_librarys_regions() {
    let folder = folder();
    let arguments = ["region", "picture.png", "--classes", "top2", "--out", "maps", "--threads", "2"];
    let arguments = [&arguments[..], &QUICK].concat();
    let text = succeed(seeded(&folder, &arguments));
    let json = fs::read_to_string(folder.path().join("maps/region.json")).unwrap();
    let printed = succeed(seeded(&folder, &[&arguments[..], &["--json"]].concat()));
    let without_time = |text: &str| text[..text.find("\"elapsed_seconds\"").unwrap()].to_string();
    assert_eq!(without_time(&printed), without_time(&json));
    let json: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["image", "image_sha256", "network", "weights_sha256", "mask_size", "stride", "resize", "isa"]
    {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(json["photograph_size"], json!([80, 120]));
    assert_eq!(
        (&json["threshold"], &json["tile"], &json["score"]),
        (&json!(0.5), &json!(56), &"probability".into())
    );

    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let photograph = Photograph::open(folder.path().join("picture.png")).unwrap();
    let input = photograph.picture(Resize::Stretch).input();
    let classes = net.classify(&input).top(2);
    let maps = OcclusionSensitivity::new(&net).classes(classes.clone()).stride([45, 45]).run(&input).unwrap();
    let pixels = |file: &str| -> Vec<bool> {
        let picture = read_picture(&folder.path().join("maps").join(file));
        assert_eq!(picture.dimensions(), (120, 80), "{file}");
        picture.pixels().map(|pixel| pixel.0 == [255; 3]).collect()
    };
    let mut expected_files = vec!["region.json".to_string()];
    for (k, &class) in classes.iter().enumerate() {
        let found = &json["classes"][k];
        assert_eq!(found["index"], class);
        assert_eq!(floats(&found["base_score"]), [maps.base_scores[k]]);
        let slug =
            found["label"].as_str().unwrap().split(',').next().unwrap().replace(' ', "-").to_lowercase();
        let name = |kind: &str| format!("picture-{slug}-{kind}.png");
        expected_files.push(name("region"));
        let map = maps.upsampled(k, Upsampling::Bicubic);
        // Half of the largest measured drop, although cubic interpolation exceeds it.
        let most = maps.map(k).max();
        let level = Threshold::Share(0.5).level(&[most]).unwrap();
        assert_eq!(level.is_some(), most > 0.0);
        assert_eq!(found["evidence"]["level"].as_f64().map(|level| level as f32), level);
        let evidence = photograph.framing(Resize::Stretch).region_above(&map, level.unwrap_or(f32::INFINITY));
        assert_eq!(found["evidence"]["parts"], parts_as_json(&evidence));
        assert_eq!(floats(&found["evidence"]["share"]), [evidence.share()]);
        if let Some(part) = evidence.parts().first() {
            assert_eq!(pixels(&name("evidence")), evidence.pixels());
            let bounds = part.bounds;
            let (left, top) = (bounds.x0 as u32, bounds.y0 as u32);
            let (width, height) = (bounds.width() as u32, bounds.height() as u32);
            let whole = read_picture(&folder.path().join("picture.png"));
            let crop = image::imageops::crop_imm(&whole, left, top, width, height).to_image();
            assert_eq!(read_picture(&folder.path().join("maps").join(name("crop"))), crop);
            expected_files.extend([name("evidence"), name("crop")]);
        }
        let parts = SmallestParts::new(&net).tile(56).run(&input, &[(class, &map)]).unwrap().remove(0);
        for (kind, part, count) in [
            ("keeping", &parts.keeping, parts.classifications[0]),
            ("losing", &parts.losing, parts.classifications[1]),
        ] {
            let found = &found[kind];
            assert_eq!((&found["found"], &found["classifications"]), (&part.is_some().into(), &count.into()));
            let Some(part) = part else {
                assert_eq!(found.as_object().unwrap().len(), 2, "{found}");
                continue;
            };
            let region = photograph.framing(Resize::Stretch).region_of(&part.pixels);
            assert_eq!(found["parts"], parts_as_json(&region));
            for (with, said) in [("alone", &part.alone), ("without", &part.without)] {
                let (scores, best) = (&said.probabilities, said.best());
                assert_eq!(bits(&floats(&found[with]["score"])), [scores[class].to_bits()]);
                assert_eq!(found[with]["predicted"], best);
                assert_eq!(bits(&floats(&found[with]["predicted_score"])), [scores[best].to_bits()]);
            }
            if region.area() > 0 {
                assert_eq!(pixels(&name(kind)), region.pixels());
                expected_files.push(name(kind));
            }
        }
    }
    let mut written: Vec<String> = listing(&folder.path().join("maps"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    written.sort();
    expected_files.sort();
    assert_eq!(written, expected_files);
    assert!(written.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_crop_of_the_photograph_moves_the_regions() {
    let folder = folder();
    // The central square of 80 rows of 120 pixels: 70 of 80 rows and columns, from row 5 and column 25.
    let run = |more: &[&str]| -> Value {
        let arguments = [&["region", "picture.png", "--json", "--resize", "center-crop"][..], &QUICK, more];
        serde_json::from_str(&succeed(seeded(&folder, &arguments.concat()))).unwrap()
    };
    // A share of 1 is the maximum, also where it lies between the middles of the photograph's pixels.
    let (all, most) = (run(&["--threshold", "0.5"]), run(&["--threshold", "1"]));
    let evidence = |json: &Value| json["classes"][0]["evidence"].clone();
    assert!(!evidence(&most)["parts"].as_array().unwrap().is_empty(), "{most}");
    assert!(evidence(&most)["share"].as_f64() < evidence(&all)["share"].as_f64(), "{most}");
    let json = run(&["--threshold", "0.01"]);
    let boxes = |found: &Value| -> Vec<Vec<u64>> {
        let parts = found["parts"].as_array().unwrap().iter();
        parts
            .map(|part| part["box"].as_array().unwrap().iter().map(|edge| edge.as_u64().unwrap()).collect())
            .collect()
    };
    let found = &json["classes"][0];
    let all = [boxes(&found["evidence"]), boxes(&found["keeping"])].concat();
    assert!(!all.is_empty());
    for edges in all {
        assert!(edges[0] >= 5 && edges[1] >= 25 && edges[2] <= 75 && edges[3] <= 95, "{edges:?}");
    }
    assert_eq!(run(&["--threshold", "otsu"])["threshold"], "otsu");
    assert_eq!(run(&["--score", "logit", "--aggregate", "windows"])["score"], "logit");
}

#[test]
fn an_improbable_class_has_a_caution() {
    let folder = folder();
    let arguments = ["region", "picture.png", "--weights", "builtin", "--classes", "top20"];
    let text = succeed(occlude(&folder, &[&arguments[..], &QUICK].concat()));
    assert!(text.contains("  improbable class, differences of at most "), "{text}");
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn wrong_options_are_refused() {
    let folder = folder();
    for (option, value, message) in [
        ("--threshold", "0", "expected a share of the maximum, above 0 and at most 1, or otsu"),
        ("--threshold", "otzu", "or otsu"),
        ("--tile", "3", "expected a whole number from 4 to 224"),
        ("--tile", "225", "expected a whole number from 4 to 224"),
    ] {
        refuse(&folder, seeded(&folder, &["region", "picture.png", option, value]), 2, &[message]);
    }
    let activation = ["region", "picture.png", "--activation", "conv1/7x7_s2:3"];
    let message = "'--activation <LAYER:CHANNEL>': this command maps classes only";
    refuse(&folder, seeded(&folder, &activation), 2, &[message]);
    let many = ["region", "picture.png", "--classes", "top21"];
    refuse(&folder, seeded(&folder, &many), 1, &["--classes with 21 classes", "at most 20 classes"]);
    refuse(
        &folder,
        occlude(&folder, &["region", "picture.png", "--out", "picture.png"]),
        1,
        &["cannot write"],
    );
    refuse(&folder, seeded(&folder, &["region", "missing.png"]), 1, &["cannot read missing.png"]);
}

#[test]
fn a_picture_of_one_colour_has_no_evidence() {
    let folder = folder();
    let picture = image::RgbImage::from_pixel(1, 3, image::Rgb([90, 120, 130]));
    crate::common::command::write_png(&folder.path().join("flat.png"), &picture);
    let arguments = ["region", "flat.png", "--out", "flat", "--stride", "112", "--tile", "112"];
    let command = seeded(&folder, &arguments).output().unwrap();
    assert!(command.status.success(), "{}", stderr(&command));
    let text = String::from_utf8(command.stdout).unwrap();
    assert!(text.contains("evidence  none"), "{text}");
    let probability = text.split_once("): probability ").unwrap().1.lines().next().unwrap();
    assert!(probability.contains(|c| matches!(c, '1'..='9')), "a probability is not shown as 0: {text}");
    assert!(text.contains("keeping   predicted for the covered picture"), "{text}");
    assert!(text.contains("losing    predicted whatever is covered"), "{text}");
    let written = listing(&folder.path().join("flat"));
    assert_eq!(written.len(), 2, "only the figure and region.json: {written:?}");
}

/// The tiles of a part may lie between the middles of a small photograph's pixels. It is not said that
/// nothing needs to be covered.
#[test]
fn a_part_may_be_smaller_than_a_pixel() {
    let folder = folder();
    let chelsea = Photograph::open("tests/data/chelsea.png").unwrap();
    let small = Rect { y0: 0, x0: 0, y1: 4, x1: 5 };
    let rgb = resize_rgb(chelsea.rgb(), chelsea.height(), chelsea.width(), [4, 5], small);
    write_png(&folder.path().join("small.png"), &image::RgbImage::from_raw(5, 4, rgb).unwrap());
    let told = succeed(occlude(&folder, &["region", "small.png", "--weights", "builtin", "--stride", "56"]));
    assert!(told.contains("losing    less than a pixel of the photograph; alone: "), "{told}");
    let json: Value =
        serde_json::from_slice(&fs::read(folder.path().join("out/region.json")).unwrap()).unwrap();
    let [losing, keeping] = ["losing", "keeping"].map(|part| &json["classes"][0][part]);
    assert_eq!((&losing["share"], &losing["parts"]), (&json!(0.0), &json!([])));
    assert!(losing["picture_share"].as_f64().unwrap() > 0.0, "{losing}");
    // The covered picture has the class.
    assert_eq!(keeping["picture_share"], 0.0);
}
