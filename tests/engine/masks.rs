//! Every form, fill and channel of a mask, and segments, against a plain loop: cover the picture, classify
//! it, subtract.

use std::sync::LazyLock;

use occlude::network::geometry::Rect;
use occlude::{
    Channel, Error, GoogLeNet, Input, MaskValue, OcclusionMaps, OcclusionSensitivity, Score, Segments, Shape,
    Weights,
};
use proptest::prelude::*;

use crate::common::{SEED, integers, picture_input};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());
/// Another picture.
static OTHER: LazyLock<Input> = LazyLock::new(|| {
    Input::from_nhwc_bgr(integers(77, 224 * 224 * 3).into_iter().map(|n| (n % 120) as f32).collect()).unwrap()
});

/// The weight of a pixel in a mask by its formula.
fn weight(shape: Shape, [h, w]: [usize; 2], [cy, cx]: [usize; 2], y: usize, x: usize) -> f32 {
    let (top, left) = (cy as i64 - (h / 2) as i64, cx as i64 - (w / 2) as i64);
    let (y, x) = (y as i64 - top, x as i64 - left);
    if y < 0 || x < 0 || y >= h as i64 || x >= w as i64 {
        return 0.0;
    }
    let (y, x, h, w) = (y as f64, x as f64, h as f64, w as f64);
    match shape {
        Shape::Rectangle => 1.0,
        Shape::Ellipse => {
            let inside = ((2.0 * y + 1.0 - h) / h).powi(2) + ((2.0 * x + 1.0 - w) / w).powi(2) <= 1.0;
            f32::from(u8::from(inside))
        }
        _ => {
            let (my, mx) = ((h / 2.0).floor(), (w / 2.0).floor());
            let g = |y: f64, x: f64| {
                occlude::forward::exp(
                    -0.5 * (((y - my) / (h / 4.0)).powi(2) + ((x - mx) / (w / 4.0)).powi(2)),
                )
            };
            let least = if h * w == 1.0 { 0.0 } else { g(0.0, 0.0) };
            ((g(y, x) - least) / (1.0 - least)) as f32
        }
    }
}

/// The picture with the pixels of these weights covered.
fn masked(weights: &[f32], fill: MaskValue, channel: Option<Channel>) -> Vec<f32> {
    let image = INPUT.values();
    let cover = match fill {
        MaskValue::Picture => OTHER.values().to_vec(),
        MaskValue::Patch => {
            let mut mean = [0.0f32; 3];
            for (c, mean) in mean.iter_mut().enumerate() {
                let of = |at: usize| f64::from(image[at * 3 + c]) * f64::from(weights[at]);
                let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
                *mean = ((0..weights.len()).map(of).sum::<f64>() / total) as f32;
            }
            mean.repeat(weights.len())
        }
        fill => fill.covered(&INPUT).unwrap().values().to_vec(),
    };
    let only = channel.map(|channel| match channel {
        Channel::Blue => 0,
        Channel::Green => 1,
        _ => 2,
    });
    (0..image.len())
        .map(|i| match weights[i / 3] {
            _ if only.is_some_and(|only| only != i % 3) => image[i],
            1.0 => cover[i],
            0.0 => image[i],
            w => (f64::from(image[i]) + (f64::from(cover[i]) - f64::from(image[i])) * f64::from(w)) as f32,
        })
        .collect()
}

fn logits(values: &[f32], class: usize) -> f32 {
    NET.classify(&Input::from_nhwc_bgr(values.to_vec()).unwrap()).logits[class]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn masks_are_those_of_a_plain_loop(
        size in [1usize..=120, 1usize..=120],
        stride in 112usize..=224,
        clipping: bool,
        shape in prop_oneof![Just(Shape::Rectangle), Just(Shape::Ellipse), Just(Shape::Gaussian)],
        fill in prop_oneof![
            Just(MaskValue::Auto), Just(MaskValue::Patch), Just(MaskValue::Inpaint), Just(MaskValue::Noise(3)),
            Just(MaskValue::Picture)
        ],
        channel in prop_oneof![
            2 => Just(None), 1 => Just(Some(Channel::Red)), 1 => Just(Some(Channel::Green)),
            1 => Just(Some(Channel::Blue))
        ],
        inverse in prop_oneof![3 => Just(false), 1 => Just(true)],
    ) {
        let sweep = OcclusionSensitivity::new(&NET).mask_size(size).stride([stride; 2]).mask_clipping(clipping);
        let sweep = match fill {
            MaskValue::Picture => sweep.mask_picture(&OTHER),
            fill => sweep.mask_value(fill),
        };
        let sweep = sweep.shape(shape).channel(channel).inverse(inverse).classes([7]).score(Score::Logit);
        let maps = sweep.run(&INPUT).unwrap();
        let [ny, nx] = maps.grid;
        for i in 0..ny * nx {
            let (row, column) = (i / nx, i % nx);
            let centre = maps.centre(row, column);
            let weights: Vec<f32> = (0..224 * 224)
                .map(|at| weight(shape, size, centre, at / 224, at % 224))
                .map(|weight| if inverse { 1.0 - weight } else { weight })
                .collect();
            let seen = sweep.masked(&INPUT, [row, column]).unwrap();
            if fill != MaskValue::Inpaint {
                prop_assert_eq!(bits(seen.values()), bits(&masked(&weights, fill, channel)));
            }
            // What is not covered stays; the unit tests have the solution of the equation.
            let kept = |at: usize| weights[at] == 0.0;
            let changed = (0..224 * 224).filter(|&at| {
                kept(at) && seen.values()[at * 3..at * 3 + 3] != INPUT.values()[at * 3..at * 3 + 3]
            });
            prop_assert_eq!(changed.count(), 0);
            prop_assert_eq!(maps.scores[i].to_bits(), logits(seen.values(), 7).to_bits());
            let base = match inverse {
                true => maps.scores[i] - maps.covered_scores[0],
                false => maps.base_scores[0] - maps.scores[i],
            };
            prop_assert_eq!(maps.map(0).get(row, column).to_bits(), base.to_bits());
        }
        let exhaustive = sweep.exhaustive(true).run(&INPUT).unwrap();
        prop_assert_eq!(exhaustive, maps);
    }
}

/// Captum's feature ablation: one mask for each number.
#[test]
fn segments_are_covered_one_by_one() {
    let number = |at: usize| match (at / 224, at % 224) {
        (y, x) if y < 30 && x < 30 => None,
        (y, x) => Some(((y / 75) * 10 + (x + y / 9) / 90) as u32),
    };
    let segments = Segments::new(&Vec::from_iter((0..224 * 224).map(number))).unwrap();
    let sweep = OcclusionSensitivity::new(&NET).segments(&segments).classes([7, 3]).score(Score::Logit);
    let maps = sweep.run(&INPUT).unwrap();
    assert_eq!(maps.grid, [1, segments.count()]);
    let mean = MaskValue::Auto.covered(&INPUT).unwrap();
    for (i, &wanted) in segments.numbers().iter().enumerate() {
        let mut values = INPUT.values().to_vec();
        for at in (0..224 * 224).filter(|&at| number(at) == Some(wanted)) {
            values[at * 3..at * 3 + 3].copy_from_slice(&mean.values()[at * 3..at * 3 + 3]);
        }
        for (k, class) in [7, 3].into_iter().enumerate() {
            let score = maps.scores[k * segments.count() + i];
            assert_eq!(score.to_bits(), logits(&values, class).to_bits(), "segment {wanted}");
        }
    }
    let pixels = maps.attributions(1);
    for at in (0..224 * 224).step_by(97) {
        let wanted = segments.of_pixel()[at].map_or(0.0, |segment| maps.map(1).get(0, usize::from(segment)));
        assert_eq!(pixels[at].to_bits(), wanted.to_bits());
    }
    let same =
        |maps: &OcclusionMaps| assert_eq!(bits(&maps.scores), bits(&sweep.run(&INPUT).unwrap().scores));
    same(&sweep.clone().threads(3).run(&INPUT).unwrap());
    same(&sweep.clone().exhaustive(true).run(&INPUT).unwrap());
    assert_eq!(maps.mask_rect(0, 0), Rect { y0: 0, x0: 0, y1: 75, x1: 90 });
}

#[test]
fn masks_are_refused_by_name() {
    let message = |result: Result<OcclusionMaps, Error>| result.unwrap_err().to_string();
    let sweep = OcclusionSensitivity::new(&NET);
    assert!(message(sweep.clone().mask_value(MaskValue::Picture).run(&INPUT)).contains("mask value picture"));
    let position = sweep.masked(&INPUT, [11, 0]).unwrap_err().to_string();
    assert_eq!(position, "position 11,0 is not possible: expected a row below 11 and a column below 11");
    let segments = |numbers: &[Option<u32>]| Segments::new(numbers).unwrap_err().to_string();
    assert!(segments(&[Some(1)]).contains("have 1 pixels, expected 224x224"));
    assert!(segments(&vec![None; 224 * 224]).contains("are 0, expected 1 to 5000"));
    let many: Vec<Option<u32>> = (0..224 * 224).map(|at| Some(at / 10)).collect();
    assert!(segments(&many).contains("are 5018, expected 1 to 5000"));
    let curves = occlude::Faithfulness::new(&NET).mask_value(MaskValue::Patch).check();
    assert!(curves.unwrap_err().to_string().contains("mask value patch is not possible"));
}
