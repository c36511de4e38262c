//! The same question with other masks: what covers the picture changes what the map says. Sizes, colours, a region, a feature
//! inside the network, and positions of one's own.
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

    // One sweep for each thing to cover with: options are values, and a half-configured sweep can be cloned.
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

    // What can be wrong is said before there is a picture.
    if let Err(error) = sweep.clone().mask_size([90, 500]).check() {
        println!("refused: {error}");
    }

    // Masks that are no rectangles on a grid, and a schedule of one's own: cover what you like and classify. The library's sweep
    // is faster, because it computes only what changes; a handful of positions does not need that.
    let class = net.classify(&input).best();
    let whole = net.classify(&input).logits[class];
    for (name, centre) in [("left", 60), ("middle", 112), ("right", 164)] {
        let disc = |y: usize, x: usize| y.abs_diff(112).pow(2) + x.abs_diff(centre).pow(2) < 50 * 50;
        let mut values = input.values().to_vec(); // [224][224][3], the training mean is 0
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
