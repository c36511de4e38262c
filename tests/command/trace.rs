//! Tests of `occlude trace` with the real binary: its output agrees with the library's trace.

use std::fs;
use std::io::Cursor;

use crate::common::command::{floats, folder, read_picture, refuse, seeded, succeed, write_png};
use crate::common::seeded_weights;
use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{GoogLeNet, MaskValue, Picture, Resize};
use serde_json::{Value, json};

#[test]
fn files_are_the_librarys_trace() {
    let folder = folder();
    let arguments =
        ["trace", "picture.png", "--at", "100,5", "--mask-size", "20x30", "--mask-value", "9", "--json"];
    let printed = succeed(seeded(&folder, &arguments));
    assert_eq!(fs::read_to_string(folder.path().join("out/trace.json")).unwrap(), printed);
    let found: Value = serde_json::from_str(&printed).unwrap();

    let net = GoogLeNet::load(seeded_weights()).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let mask = Rect { y0: 90, x0: 0, y1: 110, x1: 20 };
    assert_eq!(mask, Rect::centred([100, 5], [20, 30], INPUT_SIDE));
    let trace = net.trace(&input, mask, MaskValue::Rgb([9.0; 3])).unwrap();
    assert_eq!((&found["at"], &found["mask_size"]), (&json!([100, 5]), &json!([20, 30])));
    assert_eq!((&found["mask"], &found["mask_value"]), (&json!([90, 0, 110, 20]), &json!([9.0, 9.0, 9.0])));
    assert_eq!(found["whole"][0]["index"], trace.whole.best());
    let class = trace.whole.best();
    for (key, said) in [("whole", &trace.whole), ("covered", &trace.covered)] {
        let probability = found[key][0]["probability"].as_f64().unwrap() as f32;
        assert_eq!(probability.to_bits(), said.probabilities[class].to_bits());
    }
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), trace.layers.len());
    for (found, layer) in layers.iter().zip(&trace.layers) {
        let Rect { y0, x0, y1, x1 } = layer.reached;
        assert_eq!((&found["name"], &found["shape"]), (&json!(layer.name), &json!(layer.shape)));
        assert_eq!(found["reached"], json!([y0, x0, y1, x1]));
        let counts = [
            layer.computed_pixels() as u64,
            layer.changed_pixels() as u64,
            layer.dense,
            layer.affected,
            layer.executed,
        ];
        let names = [
            "computed",
            "changed",
            "dense_multiply_adds",
            "affected_multiply_adds",
            "executed_multiply_adds",
        ];
        assert_eq!(names.map(|name| found[name].as_u64().unwrap()), counts);
        assert_eq!(floats(&found["difference"]), layer.difference);
    }

    let strip = read_picture(&folder.path().join("out/picture-trace.png"));
    assert!(strip.width() > 1000 && strip.height() > 600, "the strip has three rows of seven");
    let gif = fs::read(folder.path().join("out/picture-trace.gif")).unwrap();
    let frames = GifDecoder::new(Cursor::new(gif)).unwrap().into_frames().collect_frames().unwrap();
    // The picture, 7 stages before the first block, 9 blocks, and 2 pools between the blocks.
    assert_eq!(frames.len(), 1 + 7 + 9 + 2);
    assert!(frames.windows(2).all(|pair| pair[0].buffer() != pair[1].buffer()));
}

#[test]
fn the_story_has_a_line_a_layer_and_what_they_come_to() {
    let folder = folder();
    let story = succeed(seeded(&folder, &["trace", "picture.png", "--at", "112,112", "--out", "a/b"]));
    let net = GoogLeNet::load(seeded_weights()).unwrap();
    for layer in &net.network().layers {
        assert_eq!(
            story.lines().filter(|line| line.starts_with(&format!("{} ", layer.name))).count(),
            1,
            "{story}"
        );
    }
    assert!(
        story.starts_with(
            "The mask is 45 pixels wide and 45 high, from x 90 and y 90 on, and covers 4.0 % of"
        ),
        "{story}"
    );
    assert!(story.contains("Multiply-adds of a complete pass: 1582.7 M\n"), "{story}");
    // Row y of conv1 reads rows 2y - 3 to 2y + 3, so the 25 rows from 44 on change.
    let first = story.lines().find(|line| line.starts_with("conv1/7x7_s2")).unwrap();
    let columns: Vec<&str> = first.split_whitespace().collect();
    assert_eq!(columns[..10].join(" "), "conv1/7x7_s2 112x112x64 25x25 from x 44, y 44 5.0 %");
    assert!(
        story.contains("wrote a/b/picture-trace.png\nwrote a/b/picture-trace.gif\nwrote a/b/trace.json\n")
    );

    // The numbers do not depend on the number of threads. A mask with the picture's own colour
    // changes nothing.
    let json = |arguments: &[&str]| {
        succeed(seeded(&folder, &[&["trace", "picture.png", "--json"], arguments].concat()))
    };
    let at = ["--at", "0,223", "--mask-value", "noise:4"];
    assert_eq!(
        json(&[&at[..], &["--threads", "1"]].concat()),
        json(&[&at[..], &["--threads", "3"]].concat())
    );
    let grey = image::RgbImage::from_pixel(30, 30, image::Rgb([77; 3]));
    write_png(&folder.path().join("grey.png"), &grey);
    let story = succeed(seeded(&folder, &["trace", "grey.png", "--at", "50,50", "--out", "grey"]));
    let shares = |layer: &str| {
        let line = story.lines().find(|line| line.starts_with(layer)).unwrap();
        let shares: Vec<&str> = line.split_whitespace().skip(8).step_by(2).take(2).collect();
        shares.join(" ")
    };
    assert_eq!(
        shares("conv1/7x7_s2"),
        "5.0 0.0",
        "the layer is computed, because the sweep does not compare pictures"
    );
    assert_eq!(shares("conv2/3x3 "), "0.0 0.0", "the input of the layer has not changed");
    assert!(story.contains("drop +0.0000\nThe mask does not change the predicted class.\n"), "{story}");
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = folder();
    let refused = |arguments: &[&str], code, messages: &[&str]| {
        refuse(&folder, seeded(&folder, &[&["trace"], arguments].concat()), code, messages);
    };
    refused(&["picture.png"], 2, &["--at <Y,X>"]);
    refused(&["picture.png", "--at", "224,0"], 2, &["224,0", "whole numbers from 0 to 223"]);
    refused(&["picture.png", "--at", "-1,0"], 2, &["from 0 to 223"]);
    refused(&["absent.png", "--at", "1,1"], 1, &["absent.png"]);
    refused(&["picture.png", "--at", "1,1", "--out", "picture.png"], 1, &["picture.png"]);
}
