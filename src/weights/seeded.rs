//! Random weights from a seed, for tests and examples that run without the trained file.
//!
//! The seeded network does not recognise anything, but it resembles a trained network in the
//! properties that the code depends on: activations keep their range from the first layer to the
//! last, about half of the outputs of a ReLU are zero, a mask changes every layer, and the class
//! scores are neither flat nor saturated.
//!
//! The generator uses integers and single roundings only, so that other languages can produce the
//! same bits. `tools/seeded.py` does so for the committed reference outputs.
//!
//! - The n-th output of `splitmix64(seed)` is the seed of the n-th tensor. Layers are in the order
//!   of [`Network::layers`], and a layer's weight comes before its bias.
//! - The upper 24 bits of each output of `splitmix64(tensor seed)`, minus 2^23, are the elements in
//!   storage order: integers in -2^23 .. 2^23.
//! - Half of its mean, rounded down to an integer, is subtracted from each filter (the weights of
//!   one output channel).
//! - The integers, which are below 2^24 and thus exact in `f32`, are multiplied by `bound / 2^23`.

use super::Tensor;
use crate::network::{Layer, Network, Op};

/// Factor for the bound `sqrt(6 / fan_in)`, which keeps the second moment through a ReLU (He et
/// al., 2015). It is larger than 1 because a filter with half its mean passes on less of the mean
/// of its input.
const GAIN: f64 = 1.1;
/// [`GAIN`] for the classifier. It gives logits with a standard deviation of about 3, and thus a
/// few probable classes among many improbable ones.
const CLASSIFIER_GAIN: f64 = 0.06;
/// Bound of the biases. They are small against activations, which are in the tens, but a missing
/// bias still exceeds every tolerance by far.
const BIAS_BOUND: f32 = 1.0;

/// Generates all tensors of a seeded network, in the order of the generator. A seed gives the same
/// bits on every machine.
pub(super) fn seeded_tensors(net: &Network, seed: u64) -> Vec<Tensor> {
    let mut tensor_seeds = splitmix64(seed);
    let mut integers = |count| -> Vec<i64> {
        let tensor_seed = tensor_seeds.next().expect("endless");
        splitmix64(tensor_seed).take(count).map(|bits| (bits >> 40) as i64 - (1 << 23)).collect()
    };
    let mut tensors = Vec::new();
    for layer in &net.layers {
        let Some(shape) = net.weight_shape(layer) else {
            continue;
        };
        let fan_in: usize = shape[1..].iter().product();
        let mut filters = integers(layer.channels * fan_in);
        filters.chunks_mut(fan_in).for_each(halve_mean);
        let values = scale(&filters, weight_bound(layer, fan_in));
        tensors.push(Tensor { name: format!("{}.weight", layer.name), shape, values });
        let (shape, values) = (vec![layer.channels], scale(&integers(layer.channels), BIAS_BOUND));
        tensors.push(Tensor { name: format!("{}.bias", layer.name), shape, values });
    }
    tensors
}

/// Halves the mean of a filter. Activations are not negative, so a random filter with its mean
/// would respond mainly to that: its output would be constant on or off, and after a few layers
/// independent of the picture. A filter without any mean would amplify rounding errors in every
/// block (measured: tenfold at the logits), and the tests would need larger tolerances than for the
/// trained network.
fn halve_mean(filter: &mut [i64]) {
    let half_mean = filter.iter().sum::<i64>().div_euclid(2 * filter.len() as i64);
    filter.iter_mut().for_each(|weight| *weight -= half_mean);
}

fn weight_bound(layer: &Layer, fan_in: usize) -> f32 {
    let gain = if layer.op == Op::Classifier { CLASSIFIER_GAIN } else { GAIN };
    (gain * (6.0 / fan_in as f64).sqrt()) as f32
}

/// Converts integers in -2^23 .. 2^23 to floats in -bound .. bound.
fn scale(integers: &[i64], bound: f32) -> Vec<f32> {
    let step = bound / (1 << 23) as f32;
    integers.iter().map(|&n| n as f32 * step).collect()
}

/// The splitmix64 generator (Steele, Lea and Flood, 2014).
pub(crate) fn splitmix64(seed: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |i| splitmix64_at(seed, i))
}

/// The `i`-th output of [`splitmix64`], from 0 on, without those before it.
pub(crate) fn splitmix64_at(seed: u64, i: u64) -> u64 {
    let z = seed.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as published with the reference implementation.
        let published = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        assert!(splitmix64(1234567).take(3).eq(published));
    }

    #[test]
    fn every_tensor_once_in_bounds_and_with_both_signs() {
        let net = Network::googlenet();
        let tensors = seeded_tensors(&net, 1);
        assert_eq!(tensors.len(), 116);
        for (layer, pair) in
            net.layers.iter().filter(|l| net.weight_shape(l).is_some()).zip(tensors.chunks(2))
        {
            let [weight, bias] = pair else { unreachable!() };
            assert_eq!(weight.name, format!("{}.weight", layer.name));
            assert_eq!(bias.name, format!("{}.bias", layer.name));
            assert_eq!(weight.shape, net.weight_shape(layer).unwrap());
            assert_eq!(bias.shape, [layer.channels]);
            let (weight_name, bias_name) = (&weight.name, &bias.name);
            let (weight, bias) = (&weight.values, &bias.values);
            assert_eq!(weight.len(), net.weight_shape(layer).unwrap().iter().product::<usize>());
            let fan_in = weight.len() / layer.channels;
            let bound = weight_bound(layer, fan_in);
            assert!(weight.iter().all(|w| w.abs() < 1.5 * bound), "{weight_name}");
            assert_eq!(bias.len(), layer.channels);
            assert!(bias.iter().any(|&b| b < 0.0) && bias.iter().any(|&b| b > 0.0), "{bias_name}");
        }
    }

    #[test]
    fn half_the_mean_goes_rounded_down() {
        let mut filters = [[5, -2, 4], [-5, 2, -4]];
        filters.iter_mut().for_each(|filter| halve_mean(filter));
        assert_eq!(filters, [[4, -3, 3], [-3, 4, -2]]);
    }

    #[test]
    fn the_bits_are_those_of_tools_seeded_py() {
        let sum = |seed| {
            let bits = seeded_tensors(&Network::googlenet(), seed)
                .into_iter()
                .flat_map(|tensor| tensor.values)
                .map(f32::to_bits);
            bits.zip(1u64..)
                .fold(0u64, |sum, (bits, place)| sum.wrapping_add(place.wrapping_mul(bits.into())))
        };
        assert_eq!(sum(1), 6710347075161372824);
        assert_eq!(sum(u64::MAX), 14932555659154748976);
    }
}
