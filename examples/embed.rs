//! The library in twenty lines: it takes a picture from memory, classifies it, and maps the evidence for the class.
//!
//! `cargo run --release --example embed`

use occlude::{GoogLeNet, OcclusionSensitivity, Picture, Resize, Upsampling, Weights, weights};

fn main() -> occlude::Result<()> {
    let weights = weights::find(None).and_then(|source| source.load()).unwrap_or_else(|error| {
        eprintln!("{error}\n\nSo the weights are random: everything works, and means nothing.");
        Weights::seeded(1)
    });
    let net = GoogLeNet::new(&weights)?;
    // Pixels in the usual order of decoders and cameras, [height][width][red, green, blue]: a disc before a gradient.
    let pixel = |y: usize, x: usize| {
        if y.abs_diff(60).pow(2) + x.abs_diff(90).pow(2) < 1600 {
            [250, 200, 30]
        } else {
            [(x / 2) as u8, y as u8, 120]
        }
    };
    let rgb: Vec<u8> = (0..150 * 200).flat_map(|i| pixel(i / 200, i % 200)).collect();
    let input = Picture::from_rgb(150, 200, &rgb, Resize::Stretch)?.input();

    let maps = OcclusionSensitivity::new(&net).stride([44, 44]).run(&input)?;
    let map = maps.upsampled(0, Upsampling::Bicubic); // [224][224], row by row
    let at = (0..map.len()).max_by(|&a, &b| map[a].total_cmp(&map[b])).unwrap_or_default();
    println!("class {}: probability {:.4}", maps.classes[0], maps.base_scores[0]);
    println!("the mask costs most at row {}, column {}: {:+.5}", at / 224, at % 224, map[at]);
    Ok(())
}
