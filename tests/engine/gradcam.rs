//! Tests of Grad-CAM on the seeded network: it agrees with PyTorch's gradients and with numerical
//! derivatives, and has the same bits everywhere. They need no weights file.

use crate::common::{Reference, SEED, picture_input};
use occlude::network::{CLASSES, INPUT_SIDE};
use occlude::{Activations, GoogLeNet, Input, Isa, Weights};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use std::sync::LazyLock;

const CHANNELS: usize = 1024;
const PLACES: usize = 49;

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::seeded(SEED));
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());

fn input() -> Input {
    Input::from_nhwc_bgr(picture_input()).unwrap()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

#[test]
fn maps_agree_with_pytorchs_gradients() {
    let reference = Reference::seeded();
    let found = NET.grad_cam(&NET.forward(&input()), &reference.classes[..2]).unwrap();
    assert_eq!((found.grid, &found.classes[..]), ([7, 7], &reference.classes[..2]));
    assert_eq!(found.maps.len(), reference.gradcam.len());
    for (k, want) in reference.gradcam.chunks(PLACES).enumerate() {
        assert!(want.contains(&0.0) && largest(want) > 0.0, "the map must contain zeros and positive values");
        for (found, want_value) in found.map(k).iter().zip(want) {
            let error = (found - want_value).abs() / largest(want);
            assert!(error <= 1e-5, "class {k}: {found}, not {want_value}: {error:e}");
        }
    }
}

/// Computes the definition with numerical derivatives. Each channel of the blob moves up and down a
/// little at all its places. This changes the probability by the step times the sum of the
/// gradients. Returns the map, and the largest sum of a place without regard to signs: products of both
/// signs cancel, but their rounding errors do not.
fn numerical(activations: &Activations, class: usize) -> (Vec<f64>, f64) {
    let blob: Vec<f64> =
        activations.blob("inception_5b/output").unwrap().into_iter().map(f64::from).collect();
    let (weight, bias) = (WEIGHTS.weight("loss3/classifier"), WEIGHTS.bias("loss3/classifier"));
    let mean = |channel: usize, moved: f64| -> f64 {
        blob.iter().skip(channel).step_by(CHANNELS).map(|a| a + moved).sum::<f64>() / PLACES as f64
    };
    let means: Vec<f64> = (0..CHANNELS).map(|channel| mean(channel, 0.0)).collect();
    let logits: Vec<f64> = (0..CLASSES)
        .map(|j| {
            let row = &weight[j * CHANNELS..(j + 1) * CHANNELS];
            row.iter().zip(&means).map(|(&w, m)| f64::from(w) * m).sum::<f64>() + f64::from(bias[j])
        })
        .collect();
    // The probability after the mean of one channel has moved.
    let probability = |channel: usize, moved: f64| -> f64 {
        let by = mean(channel, moved) - means[channel];
        let logit = |j: usize| logits[j] + f64::from(weight[j * CHANNELS + channel]) * by;
        1.0 / (0..CLASSES).map(|j| (logit(j) - logit(class)).exp()).sum::<f64>()
    };
    const STEP: f64 = 1e-3;
    let alpha: Vec<f64> = (0..CHANNELS)
        .map(|channel| {
            let sum = (probability(channel, STEP) - probability(channel, -STEP)) / (2.0 * STEP);
            sum / PLACES as f64
        })
        .collect();
    let products =
        |pixel: &[f64]| -> Vec<f64> { pixel.iter().zip(&alpha).map(|(a, alpha)| a * alpha).collect() };
    let places: Vec<Vec<f64>> = blob.chunks(CHANNELS).map(products).collect();
    let magnitude = |place: &Vec<f64>| place.iter().map(|product| product.abs()).sum::<f64>();
    let map = places.iter().map(|place| place.iter().sum::<f64>().max(0.0)).collect();
    (map, places.iter().map(magnitude).fold(0.0, f64::max))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn maps_agree_with_numerical_derivatives(
        waves in prop::array::uniform3((-0.5f32..0.5, -0.5f32..0.5, 0.0f32..120.0)),
        rank in 0usize..4,
        any_class in 0usize..CLASSES,
    ) {
        let value = |at: usize| {
            let (y, x, (down, across, height)) = (at / 3 / INPUT_SIDE, at / 3 % INPUT_SIDE, waves[at % 3]);
            (y as f32 * down + x as f32 * across).sin() * height
        };
        let values: Vec<f32> = (0..INPUT_SIDE * INPUT_SIDE * 3).map(value).collect();
        let activations = NET.forward(&Input::from_nhwc_bgr(values).unwrap());
        let classes = [activations.classification().top(4)[rank], any_class];
        let maps = NET.grad_cam(&activations, &classes).unwrap();
        for (k, &class) in classes.iter().enumerate() {
            let (want, magnitude) = numerical(&activations, class);
            for (found, want) in maps.map(k).iter().zip(&want) {
                let error = (f64::from(*found) - want).abs();
                prop_assert!(error <= 1e-5 * magnitude, "class {}: {} is not {}", class, found, want);
            }
        }
    }
}

#[test]
fn threads_instruction_sets_and_company_change_no_bits() {
    let classes: Vec<usize> = (0..CLASSES).step_by(37).collect();
    let bits = |isa: Isa, threads: usize, classes: &[usize]| -> Vec<u32> {
        let net = GoogLeNet::new(&WEIGHTS).unwrap().with_isa(isa);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let maps = pool.install(|| net.grad_cam(&net.forward(&input()), classes).unwrap().maps);
        maps.into_iter().map(f32::to_bits).collect()
    };
    let expected = bits(NET.isa(), 1, &classes);
    assert_eq!(expected.len(), classes.len() * PLACES);
    for isa in Isa::all_available() {
        assert_eq!(bits(isa, 3, &classes), expected, "{isa}");
    }
    // The other requested classes do not affect the map of a class.
    assert_eq!(bits(NET.isa(), 2, &classes[5..6]), expected[5 * PLACES..6 * PLACES]);
}

#[test]
fn a_class_that_does_not_exist_is_refused() {
    let activations = NET.forward(&input());
    let error = NET.grad_cam(&activations, &[7, 1000]).unwrap_err().to_string();
    assert_eq!(error, "class 1000 is not possible: expected an index of 0 to 999");
    assert!(NET.grad_cam(&activations, &[]).unwrap().maps.is_empty());
}
