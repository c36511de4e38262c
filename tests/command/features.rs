//! Tests of `occlude features` from the user's side: its numbers agree with the library's
//! activations, and its pictures and refusals are correct.

use std::sync::LazyLock;

use crate::common::command::{bits, floats, folder, listing, occlude, read_picture, refuse, seeded, succeed};
use crate::common::{safetensors, seeded_tensors};
use occlude::network::Network;
use occlude::{Activations, Feature, GoogLeNet, OcclusionSensitivity, Picture, Resize, Weights};
use serde_json::{Value, json};
use tempfile::TempDir;

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(1)).unwrap());

fn picture(folder: &TempDir) -> Picture {
    Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap()
}

fn features(folder: &TempDir, layer: &str, more: &[&str]) -> String {
    succeed(seeded(folder, &[&["features", "picture.png", "--layer", layer], more].concat()))
}

/// A layer's maps, from the blob that contains the layer's output.
fn maps(activations: &Activations, layer: &str) -> (usize, Vec<Vec<f32>>) {
    let network = Network::googlenet();
    let (blob, channels) = match network.layers.iter().find(|l| l.name == layer) {
        Some(l) => (l.output, l.channel..l.channel + l.channels),
        None => (network.find(layer).unwrap(), 0..network.blobs[network.find(layer).unwrap()].channels),
    };
    let blob = &network.blobs[blob];
    let values = activations.blob(&blob.name).unwrap();
    let pixels: Vec<&[f32]> = values.chunks(blob.channels).collect();
    assert_eq!(pixels.len(), blob.side * blob.side);
    (blob.side, channels.map(|c| pixels.iter().map(|pixel| pixel[c]).collect()).collect())
}

#[test]
fn the_numbers_are_those_of_the_librarys_activations() {
    let folder = folder();
    let activations = NET.forward(&picture(&folder).input());
    for layer in
        ["conv1/7x7_s2", "inception_3a/5x5", "inception_4c/output", "pool5/7x7_s1", "loss3/classifier"]
    {
        let object: Value = serde_json::from_str(&features(&folder, layer, &["--json"])).unwrap();
        let (side, maps) = maps(&activations, layer);
        assert_eq!(object["layer"], layer);
        assert_eq!(object["shape"], json!([side, side, maps.len()]));
        let channels = object["channels"].as_array().unwrap();
        assert_eq!(channels.len(), maps.len());
        for (number, (channel, map)) in channels.iter().zip(&maps).enumerate() {
            let largest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let nonzero = map.iter().filter(|&&value| value != 0.0).count();
            let total = map.iter().map(|&value| f64::from(value)).sum::<f64>() as f32;
            assert_eq!(channel["channel"], number);
            assert_eq!(
                bits(&floats(&json!([channel["total"], channel["maximum"], channel["nonzero_share"]]))),
                bits(&[total, largest, nonzero as f32 / map.len() as f32]),
                "{layer} {number}"
            );
            if nonzero == 0 {
                assert!(channel["maximum_at"].is_null() && channel["maximum_depends_on"].is_null());
            } else {
                let first = map.iter().position(|&value| value == largest).unwrap();
                assert_eq!(channel["maximum_at"], json!([first / side, first % side]), "{layer} {number}");
            }
        }
    }
}

/// If only pixels outside the reported pixels change, the activation stays the same, bit for bit.
/// If all reported pixels change, the activation changes.
#[test]
fn a_maximum_depends_on_the_pixels_that_are_named() {
    let folder = folder();
    let picture = picture(&folder);
    for (layer, number) in [("conv2/3x3", 7), ("inception_3a/output", 3), ("inception_3a/output", 150)] {
        let object: Value = serde_json::from_str(&features(&folder, layer, &["--json"])).unwrap();
        let channel = &object["channels"][number];
        let indices = |field: &str| -> Vec<usize> {
            floats(&channel[field]).into_iter().map(|index| index as usize).collect()
        };
        let (at, depends_on) = (indices("maximum_at"), indices("maximum_depends_on"));
        let [y0, x0, y1, x1] = depends_on[..] else { panic!("{channel}") };
        assert!(y1 - y0 < 224 && x1 - x0 < 224, "some pixels must lie outside: {channel}");
        let value = |change: &dyn Fn(usize, usize) -> bool| {
            let mut values = picture.input().values().to_vec();
            for (i, value) in values.iter_mut().enumerate() {
                if change(i / 3 / 224, i / 3 % 224) {
                    *value = 100.0 - *value;
                }
            }
            let input = occlude::Input::from_nhwc_bgr(values).unwrap();
            let (side, maps) = maps(&NET.forward(&input), layer);
            maps[number][at[0] * side + at[1]]
        };
        let inside = |y, x| (y0..y1).contains(&y) && (x0..x1).contains(&x);
        let maximum = floats(&channel["maximum"])[0];
        assert_eq!(value(&|y, x| !inside(y, x)).to_bits(), maximum.to_bits(), "{layer} {number}");
        assert_ne!(value(&inside), maximum, "{layer} {number}");
    }
}

#[test]
fn the_strongest_are_those_that_a_sweep_follows() {
    let folder = folder();
    let layer = "inception_3a/output";
    let all: Value = serde_json::from_str(&features(&folder, layer, &["--json"])).unwrap();
    let few: Value =
        serde_json::from_str(&features(&folder, layer, &["--strongest", "9", "--json"])).unwrap();
    let few = few["channels"].as_array().unwrap();
    let mut expected = all["channels"].as_array().unwrap().clone();
    expected.sort_by(|a, b| b["total"].as_f64().unwrap().total_cmp(&a["total"].as_f64().unwrap()));
    assert_eq!(few[..], expected[..9]);

    let feature = Feature { layer: layer.to_string(), channel: None };
    let sweep = OcclusionSensitivity::new(&NET).stride([224, 224]).features([feature]);
    let maps = sweep.run(&picture(&folder).input()).unwrap();
    let followed = &maps.features[0];
    assert_eq!(few[0]["channel"], followed.channel);
    assert_eq!(bits(&floats(&few[0]["total"])), bits(&[followed.base_total]));
}

#[test]
fn the_sheet_has_a_tile_for_each_channel_in_the_colours_of_the_scale() {
    let folder = folder();
    let layer = "inception_3a/output";
    // Square tiles, in which all values have the same number of pixels.
    let text = features(&folder, layer, &["--out", "a/b", "--threads", "1", "--canvas", "network"]);
    assert!(text.starts_with("inception_3a/output: 28x28x256\n"), "{text}");
    let file = folder.path().join("a/b/picture-inception_3a-output-features.png");
    assert!(
        text.ends_with("wrote a/b/picture-inception_3a-output-features.png\n") && file.exists(),
        "{text}"
    );
    assert_eq!(listing(&folder.path().join("a")).len(), 2);
    let sheet = read_picture(&file);

    let (side, maps) = maps(&NET.forward(&picture(&folder).input()), layer);
    // Of the values that are not 0, one in a hundred exceeds the colour scale.
    let mut values: Vec<f32> = maps.iter().flatten().copied().filter(|value| *value > 0.0).collect();
    values.sort_by(f32::total_cmp);
    let end = values[values.len() - 1 - values.len() / 100];
    // A row has 16 tiles of 56 pixels with a spacing of 61 pixels, and a margin of 24 pixels.
    assert_eq!(sheet.width(), 24 + 16 * 61 - 5 + 24);
    // The rows of tiles have a spacing of 75 pixels. The last row, with its number, ends at the
    // margin.
    let top = sheet.height() - 24 - 16 * 75 + 5;
    for (number, map) in maps.iter().enumerate() {
        let (left, top) = (24 + number as u32 % 16 * 61, top + number as u32 / 16 * 75);
        for (i, &value) in map.iter().enumerate() {
            let (x, y) = (left + 2 * (i % side) as u32, top + 2 * (i / side) as u32);
            let pixel = *sheet.get_pixel(x, y);
            assert_eq!(pixel, *sheet.get_pixel(x + 1, y + 1), "{number}: {i}");
            // The published end colours of viridis.
            if value == 0.0 {
                assert_eq!(pixel.0, [68, 1, 84], "{number}: {i}");
            } else if value >= end {
                assert_eq!(pixel.0, [253, 231, 37], "{number}: {i}");
            } else if value < 0.9 * end {
                assert!(pixel.0[0] < 230, "{number}: {i}: {pixel:?} is too near the end of the scale");
            }
        }
    }
}

#[test]
fn negative_values_are_on_the_other_side_of_white() {
    let folder = folder();
    let layer = "loss3/classifier";
    features(&folder, layer, &[]);
    let file = folder.path().join("out/picture-loss3-classifier-features.png");
    let sheet = read_picture(&file);
    let (_, maps) = maps(&NET.forward(&picture(&folder).input()), layer);
    // A row has 32 tiles of 28 pixels with a spacing of 33 pixels. There are 32 rows of 47 pixels
    // each.
    assert_eq!(sheet.width(), 24 + 32 * 33 - 5 + 24);
    let top = sheet.height() - 24 - 32 * 47 + 5;
    let largest = maps.iter().map(|map| map[0].abs()).fold(0.0, f32::max);
    let (mut above, mut below) = (0, 0);
    for (number, map) in maps.iter().enumerate() {
        let [red, _, blue] =
            sheet.get_pixel(24 + number as u32 % 32 * 33 + 9, top + number as u32 / 32 * 47 + 9).0;
        if map[0] > 0.1 * largest {
            assert!(red > blue, "{number}");
            above += 1;
        } else if map[0] < -0.1 * largest {
            assert!(blue > red, "{number}");
            below += 1;
        }
    }
    assert!(above > 10 && below > 10, "{above} {below}");
}

#[test]
fn colours_and_number_of_tiles_are_as_asked_for() {
    let folder = folder();
    let draw = |more: &[&str]| {
        features(&folder, "inception_5b/output", more);
        let file = folder.path().join("out/picture-inception_5b-output-features.png");
        read_picture(&file)
    };
    let (all, few) = (draw(&[]), draw(&["--strongest", "3"]));
    assert!(few.height() < all.height() / 3, "{:?} {:?}", few.dimensions(), all.dimensions());
    // Four rows of tiles have the shape of the photograph, 80 rows of 120 columns. They are 182 pixels
    // wide, 26 for each of the 7 values.
    let tiles = |canvas: &str| draw(&["--strongest", "16", "--canvas", canvas]).height();
    assert_eq!(tiles("network") - tiles("photo"), 4 * 182 - 4 * 121);
    let jet = draw(&["--strongest", "3", "--colours", "jet"]);
    assert_eq!(jet.dimensions(), few.dimensions());
    assert_ne!(jet, few);
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let folder = folder();
    let command = |arguments: &[&str]| seeded(&folder, &[&["features", "picture.png"], arguments].concat());
    refuse(
        &folder,
        command(&["--layer", "inception_4c/ouput"]),
        1,
        &[
            "no layer is called \"inception_4c/ouput\"; did you mean inception_4c/output",
            "one of conv1/7x7_s2, ",
        ],
    );
    refuse(&folder, command(&["--layer", "data"]), 1, &["no layer is called \"data\""]);
    refuse(
        &folder,
        command(&["--layer", "conv1/7x7_s2", "--strongest", "65"]),
        1,
        &["--strongest 65 is not possible: expected at most 64, the number of channels of conv1/7x7_s2"],
    );
    refuse(&folder, command(&[]), 2, &["--layer <LAYER>"]);
    refuse(&folder, command(&["--layer", "conv1/7x7_s2", "--strongest", "0"]), 2, &["from 1 to"]);
    let on_a_file = ["--layer", "conv1/7x7_s2", "--out", "picture.png"];
    refuse(&folder, command(&on_a_file), 1, &["picture.png"]);
    let absent = seeded(&folder, &["features", "absent.png", "--layer", "conv1/7x7_s2"]);
    refuse(&folder, absent, 1, &["absent.png"]);
}

/// Each value is a finite number, but their sum is not.
#[test]
fn totals_that_overflow_are_refused_because_json_has_no_infinity() {
    let folder = folder();
    let mut tensors = seeded_tensors();
    let bias = tensors.iter_mut().find(|tensor| tensor.name == "conv1/7x7_s2.bias").unwrap();
    bias.bytes.chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&1e38f32.to_le_bytes()));
    std::fs::write(folder.path().join("huge.safetensors"), safetensors(&tensors)).unwrap();
    let arguments = ["features", "picture.png", "--layer", "conv1/7x7_s2", "--weights", "huge.safetensors"];
    refuse(&folder, occlude(&folder, &arguments), 1, &["overflow"]);
}

#[test]
fn the_trained_networks_strongest_logit_is_the_class() {
    let folder = tempfile::tempdir().unwrap();
    let chelsea = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");
    let json = |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--json", "--weights", "builtin"]].concat();
        serde_json::from_str(&succeed(occlude(&folder, &arguments))).unwrap()
    };
    let strongest = json(&["features", chelsea, "--layer", "fc", "--strongest", "1"]);
    let said = json(&["classify", chelsea]);
    assert_eq!(strongest["channels"][0]["channel"], said["classes"][0]["index"]);
}

#[test]
fn the_help_has_examples() {
    let folder = folder();
    let text = succeed(occlude(&folder, &["features", "--help"]));
    assert!(text.contains("Examples:\n  occlude features cat.jpg --layer conv1/7x7_s2\n"), "{text}");
    assert!(succeed(occlude(&folder, &["--help"])).contains("  occlude features cat.jpg --layer "));
}
