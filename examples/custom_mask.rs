//! Sweeps with different masks. The map depends on the size, the colour and the content of the mask. The example also limits a
//! sweep to a region, follows a feature inside the network, and classifies copies with masks at positions of its own.
//!
//! `cargo run --release --example custom_mask [PICTURE]`

use occlude::network::geometry::Rect;
use occlude::{
    Feature, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Picture, Resize, Score, Weights, weights,
};

fn main() -> occlude::Result<()> {
    let weights = weights::find(None).and_then(|source| source.load()).unwrap_or_else(|error| {
        eprintln!("{error}\n\nSo the weights are random: everything works, and means nothing.");
        Weights::seeded(1)
    });
    let net = GoogLeNet::new(&weights)?;
    let picture = std::env::args().nth(1).unwrap_or("tests/data/chelsea.png".to_string());
    let input = Picture::open(picture, Resize::Stretch)?.input();

    // One sweep for each mask value. A sweep is a plain value: clone it and set the remaining options.
    let upper = Rect { y0: 0, x0: 0, y1: 112, x1: 224 };
    let sweep = OcclusionSensitivity::new(&net)
        .mask_size([90, 60])
        .stride([56, 56])
        .region(upper)
        .score(Score::Logit)
        .features([Feature { layer: "inception_4c/output".to_string(), channel: None }]);
    for value in
        [MaskValue::Auto, MaskValue::Rgb([255.0, 0.0, 0.0]), MaskValue::Blur(12.0), MaskValue::Noise(7)]
    {
        let maps = sweep.clone().mask_value(value).run(&input)?;
        let (drops, [rows, columns]) = (maps.map(0), maps.grid);
        let feature = &maps.features[0];
        println!(
            "{:<9} {rows}x{columns} positions, class {}: drops {:+.3} to {:+.3}; channel {} of {}: {:+.1} at most",
            value.to_string(),
            maps.classes[0],
            drops.min(),
            drops.max(),
            feature.channel,
            feature.layer,
            maps.feature_map(0).max(),
        );
    }

    // Options can be checked before there is a picture.
    if let Err(error) = sweep.clone().mask_size([90, 500]).check() {
        println!("refused: {error}");
    }

    // Masks of any shape at any position: cover the pixels and classify the copy. The library's sweep is faster, because it
    // computes only the activations that change, but for a few positions a complete pass is fast enough.
    let class = net.classify(&input).best();
    let whole = net.classify(&input).logits[class];
    for (name, centre) in [("left", 60), ("middle", 112), ("right", 164)] {
        let disc = |y: usize, x: usize| y.abs_diff(112).pow(2) + x.abs_diff(centre).pow(2) < 50 * 50;
        let mut values = input.values().to_vec(); // [224][224][3]; 0 is the training mean
        for (i, pixel) in values.chunks_exact_mut(3).enumerate() {
            if disc(i / 224, i % 224) {
                pixel.fill(0.0);
            }
        }
        let logit = net.classify(&Input::from_nhwc_bgr(values)?).logits[class];
        println!("a disc in the {name}: {:+.3}", whole - logit);
    }
    Ok(())
}
