//! Fuzzes the library's options with arbitrary numbers: they are refused before any computation, or
//! the sweep starts.
#![no_main]

use std::ops::ControlFlow;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use occlude::network::geometry::Rect;
use occlude::{Error, Faithfulness, Feature, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Photograph, Resize, Score, Weights};

#[derive(Arbitrary, Debug)]
struct Options {
    mask_size: [Length; 2],
    stride: [Length; 2],
    mask_value: Value,
    mask_clipping: bool,
    region: Option<[Length; 4]>,
    classes: Vec<Length>,
    features: Vec<(Layer, Option<Length>)>,
    logit: bool,
    exhaustive: bool,
    steps: Length,
    raw: (Length, Length, Vec<u8>),
    side: u8,
}

/// A number that is valid in most cases.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Length {
    Small(u8),
    Any(usize),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Auto,
    TrainingMean,
    Rgb([f32; 3]),
    Blur(f32),
    Noise(u64),
}

#[derive(Arbitrary, Debug)]
enum Layer {
    Named(u8),
    Any(String),
}

impl From<Length> for usize {
    fn from(length: Length) -> usize {
        match length {
            Length::Small(length) => length.into(),
            Length::Any(length) => length,
        }
    }
}

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(1)).expect("its own weights"));
static INPUT: LazyLock<Input> =
    LazyLock::new(|| Input::from_nhwc_bgr(vec![1.0; 224 * 224 * 3]).expect("finite values"));

fuzz_target!(|options: Options| {
    let layers = &NET.network().layers;
    let features: Vec<Feature> = options
        .features
        .into_iter()
        .map(|(layer, channel)| {
            let layer = match layer {
                Layer::Named(at) => layers[usize::from(at) % layers.len()].name.clone(),
                Layer::Any(name) => name,
            };
            Feature { layer, channel: channel.map(usize::from) }
        })
        .collect();
    let mask_value = match options.mask_value {
        Value::Auto => MaskValue::Auto,
        Value::TrainingMean => MaskValue::TrainingMean,
        Value::Rgb(rgb) => MaskValue::Rgb(rgb),
        Value::Blur(sigma) => MaskValue::Blur(sigma),
        Value::Noise(seed) => MaskValue::Noise(seed),
    };
    let score = if options.logit { Score::Logit } else { Score::Probability };
    let classes: Vec<usize> = options.classes.into_iter().map(usize::from).collect();
    let mut sweep = OcclusionSensitivity::new(&NET)
        .mask_size(options.mask_size.map(usize::from))
        .stride(options.stride.map(usize::from))
        .mask_value(mask_value)
        .mask_clipping(options.mask_clipping)
        .classes(classes.clone())
        .features(features)
        .score(score.clone())
        .exhaustive(options.exhaustive);
    if let Some(region) = options.region {
        let [y0, x0, y1, x1] = region.map(usize::from);
        sweep = sweep.region(Rect { y0, x0, y1, x1 });
    }
    // A sweep that can be stopped has started.
    match sweep.on_progress(&|_| ControlFlow::Break(())).run(&INPUT) {
        Ok(maps) => assert!(maps.grid[0] * maps.grid[1] > 0),
        Err(Error::Cancelled) => {}
        Err(error) => assert!(matches!(error, Error::Option { .. }), "{error}"),
    }
    let map = vec![0.0; 224 * 224];
    let rankings: Vec<(usize, &[f32])> = classes.iter().map(|&class| (class, &map[..])).collect();
    let test = Faithfulness::new(&NET).mask_value(mask_value).score(score).steps(options.steps.into());
    let _ = test.on_progress(&|_| ControlFlow::Break(())).run(&INPUT, &rankings[..rankings.len().min(2)]);

    let (height, width, rgb) = options.raw;
    if let Ok(photograph) = Photograph::from_rgb(height.into(), width.into(), &rgb) {
        for resize in [Resize::Stretch, Resize::CenterCrop, Resize::Pad] {
            let side = usize::from(options.side);
            assert_eq!(photograph.square(side, resize).len(), side * side * 3);
        }
    }
});
