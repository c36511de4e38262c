//! Compares the reference path on the seeded network with PyTorch's results in float64. Needs no
//! weights file.

use crate::common::{Reference, SEED, picture_input};
use occlude::network::{INPUT_SIDE, Network, Op};
use occlude::reference::forward;
use occlude::weights::Weights;
use occlude::{GoogLeNet, Input};
use proptest::prelude::*;
use std::sync::LazyLock;

/// The largest accepted error, relative to a blob's largest value.
const BLOB_TOLERANCE: f32 = 1e-5;
const PROBABILITY_TOLERANCE: f64 = 5e-6;

/// Computes softmax in float64, so that the comparison shows only the network's error.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn most_probable(probabilities: &[f64]) -> usize {
    (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap()
}

#[test]
fn every_blob_agrees() {
    let reference = Reference::seeded();
    let net = Network::googlenet();
    assert_eq!(reference.blobs.len(), net.blobs.len());
    let blobs = forward(&Weights::seeded(SEED), &picture_input());
    for expected in &reference.blobs {
        let name = &expected.name;
        let values = &blobs[net.find(name).unwrap()];
        let relative = |found: f32, expected_value: f32| (found - expected_value).abs() / expected.max_abs;
        for &(index, sample) in &expected.samples {
            let error = relative(values[index], sample);
            assert!(error <= BLOB_TOLERANCE, "{name}[{index}] is {}, not {sample}: {error:e}", values[index]);
        }
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let error = relative(mean as f32, expected.mean);
        assert!(error <= BLOB_TOLERANCE, "{name}: mean {mean}, not {}: {error:e}", expected.mean);
        let max_abs = values.iter().fold(0.0f32, |max, v| max.max(v.abs()));
        let error = relative(max_abs, expected.max_abs);
        assert!(error <= BLOB_TOLERANCE, "{name}: largest {max_abs}, not {}: {error:e}", expected.max_abs);
    }
}

/// The generator guarantees that the kernels which skip zeros find zeros, and that no layer is dead
/// or saturated.
#[test]
fn about_half_of_what_leaves_a_relu_is_zero() {
    let net = Network::googlenet();
    let blobs = forward(&Weights::seeded(SEED), &picture_input());
    for layer in net.layers.iter().filter(|layer| matches!(layer.op, Op::Convolution(_))) {
        let (blob, values) = (&net.blobs[layer.output], &blobs[layer.output]);
        let own = || values.chunks(blob.channels).flat_map(|pixel| &pixel[layer.channel..][..layer.channels]);
        let zeros = own().filter(|&&value| value == 0.0).count() as f64 / own().count() as f64;
        assert!((0.3..0.7).contains(&zeros), "{}: {zeros} zeros", layer.name);
        let largest = own().fold(0.0f32, |largest, &value| largest.max(value));
        assert!((100.0..1000.0).contains(&largest), "{}: largest {largest}", layer.name);
    }
}

#[test]
fn logits_and_probabilities_agree() {
    let reference = Reference::seeded();
    let blobs = forward(&Weights::seeded(SEED), &picture_input());
    let logits = blobs.last().unwrap();
    let largest = reference.logits[0];
    let probabilities = softmax(logits);
    for (i, &class) in reference.classes.iter().enumerate() {
        let (found, expected) = (logits[class], reference.logits[i]);
        assert!(
            (found - expected).abs() <= BLOB_TOLERANCE * largest,
            "logit {class}: {found}, not {expected}"
        );
        let (found, expected) = (probabilities[class], f64::from(reference.prob[i]));
        assert!((found - expected).abs() <= PROBABILITY_TOLERANCE, "class {class}: {found}, not {expected}");
    }
    assert_eq!(most_probable(&probabilities), reference.classes[0]);
}

#[test]
fn a_sweep_agrees() {
    const GRID: usize = 4;
    let reference = Reference::seeded();
    let weights = Weights::seeded(SEED);
    let input = picture_input();
    for position in 0..GRID * GRID {
        // Masks of 60 pixels around 0, 56, 112 and 168, clipped. A zero is the training mean.
        let covered = |centre: usize| centre.saturating_sub(30)..centre + 30;
        let (rows, columns) = (covered(position / GRID * 56), covered(position % GRID * 56));
        let mut masked = input.clone();
        for (pixel, values) in masked.chunks_exact_mut(3).enumerate() {
            if rows.contains(&(pixel / INPUT_SIDE)) && columns.contains(&(pixel % INPUT_SIDE)) {
                values.fill(0.0);
            }
        }
        let probabilities = softmax(forward(&weights, &masked).last().unwrap());
        for (k, &class) in reference.classes[..2].iter().enumerate() {
            let drop = f64::from(reference.prob[k]) - probabilities[class];
            let expected = f64::from(reference.sweep_drop[k * GRID * GRID + position]);
            let error = (drop - expected).abs();
            assert!(
                error <= PROBABILITY_TOLERANCE,
                "position {position}, class {class}: {drop}, not {expected}"
            );
        }
        assert_eq!(most_probable(&probabilities), reference.sweep_argmax[position], "position {position}");
    }
}

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::seeded(SEED));
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Compares every layer for random pictures: waves of any direction and length, with noise.
    #[test]
    fn the_kernels_agree_with_the_reference_path_in_every_blob(
        waves in prop::array::uniform3((-0.5f32..0.5, -0.5f32..0.5, 0.0f32..120.0)),
        noise in prop::collection::vec(-20.0f32..20.0, 997),
    ) {
        let value = |at: usize| {
            let (y, x, (down, across, height)) = (at / 3 / INPUT_SIDE, at / 3 % INPUT_SIDE, waves[at % 3]);
            (y as f32 * down + x as f32 * across).sin() * height + noise[at % noise.len()]
        };
        let values: Vec<f32> = (0..INPUT_SIDE * INPUT_SIDE * 3).map(value).collect();
        let expected = forward(&WEIGHTS, &values);
        let found = NET.forward(&Input::from_nhwc_bgr(values).unwrap());
        for (blob, expected) in NET.network().blobs.iter().zip(&expected) {
            let found = found.blob(&blob.name).unwrap();
            prop_assert_eq!(found.len(), expected.len(), "{}", blob.name);
            let largest = expected.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(off <= BLOB_TOLERANCE * largest, "{}: {:e}", blob.name, off / largest);
        }
    }
}
