//! The reference implementation: the complete forward pass in plain, safe Rust, against which the
//! tests check the fast kernels. It follows the order of the book: convolution
//! (`docs/02-convolution.md`), then pooling, normalisation and the loop over the layers,
//! [`forward`] (`docs/03-pooling-lrn-inception.md`).
//!
//! Activations are NHWC: a blob holds `side` rows of `side` pixels of `channels` values, and the
//! channels of a pixel are contiguous. A convolution is im2col and one matrix product. The products
//! sum in the block order of `matrixmultiply`, so results agree with those of the kernels within
//! rounding (about 1e-6 of the largest value of a blob), not bit for bit.
//!
//! The module shares with the fast path only the table of layers and the weights as they are in the
//! file. It computes every multiply-add, including those with zero, and has no masks.
//!
//! The crates `matrixmultiply` (the matrix product) and `wide` (bias, ReLU, pooling and LRN on
//! eight channels at a time) serve this module alone. They make it fast enough for tests on whole
//! images.

use wide::f32x8;

use crate::kernels::multiply_transposed;
use crate::network::geometry::Window;
use crate::network::{Blob, LRN_ALPHA, LRN_SIZE, Layer, Op};
use crate::weights::Weights;

// Convolution. Each output pixel and channel is a sum over the window and the input channels. With
// the values of each window in a row of a matrix, all sums together are one product of two
// matrices.

/// Returns the patches of a convolution, one row for each output pixel: `[side *
/// side][channels][height][width]`, in the order of a filter's weights. Values outside the plane
/// are zero, which is the padding.
fn im2col(x: &[f32], from: &Blob, window: Window, side: usize) -> Vec<f32> {
    let taps = window.size * window.size;
    let k = from.channels * taps;
    let mut patches = vec![0.0; side * side * k];
    for (pixel, patch) in patches.chunks_exact_mut(k).enumerate() {
        let rows = inside(window, pixel / side, from.side);
        let columns = inside(window, pixel % side, from.side);
        for (ky, iy) in rows {
            for (kx, ix) in columns.clone() {
                let tap = ky * window.size + kx;
                let values = &x[(iy * from.side + ix) * from.channels..][..from.channels];
                for (entry, value) in patch[tap..].iter_mut().step_by(taps).zip(values) {
                    *entry = *value;
                }
            }
        }
    }
    patches
}

/// Returns, along one axis, the pairs (position in the window, position in the plane) that output
/// `o` reads inside the plane.
fn inside(window: Window, o: usize, side: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..window.size)
        .map(move |k| (k, o * window.stride + k))
        .filter_map(move |(k, padded)| Some((k, padded.checked_sub(window.padding)?)))
        .filter(move |&(_, i)| i < side)
}

/// Computes `y = W x + bias` for each row `x` of `patches` and writes it to the layer's channels of
/// each pixel of `y`. A row of `W` is a filter: the weights of one output channel. The classifier
/// has one patch, the pooled activations.
fn linear(layer: &Layer, (weight, bias): (&[f32], &[f32]), patches: &[f32], to: &Blob, y: &mut [f32]) {
    let pixels = to.side * to.side;
    let shape = [pixels, layer.channels, patches.len() / pixels];
    multiply_transposed(shape, patches, weight, &mut y[layer.channel..], to.channels);
    for pixel in y.chunks_exact_mut(to.channels) {
        let channels = &mut pixel[layer.channel..][..layer.channels];
        // The number of logits need not be a multiple of 8.
        let (eights, rest) = channels.split_at_mut(layer.channels / 8 * 8);
        let (bias_eights, bias_rest) = bias.split_at(eights.len());
        for (value, bias) in lanes_mut(eights).iter_mut().zip(lanes(bias_eights)) {
            *value = (f32x8::from(*value) + f32x8::from(*bias)).to_array();
        }
        for (value, bias) in rest.iter_mut().zip(bias_rest) {
            *value += bias;
        }
    }
}

/// Replaces the layer's channels by `max(y, 0)`.
fn relu(layer: &Layer, to: &Blob, y: &mut [f32]) {
    for pixel in y.chunks_exact_mut(to.channels) {
        for value in lanes_mut(&mut pixel[layer.channel..][..layer.channels]) {
            *value = f32x8::from(*value).fast_max(f32x8::splat(0.0)).to_array();
        }
    }
}

// Pooling: each channel of a window is reduced to one value.

/// Computes the maximum of each channel over the part of the window that lies in the plane.
fn max_pool(x: &[f32], from: &Blob, window: Window, side: usize, y: &mut [f32]) {
    for (pixel, output) in y.chunks_exact_mut(from.channels).enumerate() {
        output.fill(f32::NEG_INFINITY);
        for (_, iy) in inside(window, pixel / side, from.side) {
            for (_, ix) in inside(window, pixel % side, from.side) {
                let values = &x[(iy * from.side + ix) * from.channels..][..from.channels];
                for (largest, value) in lanes_mut(output).iter_mut().zip(lanes(values)) {
                    *largest = f32x8::from(*largest).fast_max(f32x8::from(*value)).to_array();
                }
            }
        }
    }
}

/// Computes the mean of each channel over the whole plane.
fn average_pool(x: &[f32], channels: usize, y: &mut [f32]) {
    y.fill(0.0);
    for pixel in x.chunks_exact(channels) {
        for (sum, value) in lanes_mut(y).iter_mut().zip(lanes(pixel)) {
            *sum = (f32x8::from(*sum) + f32x8::from(*value)).to_array();
        }
    }
    let pixels = f32x8::splat((x.len() / channels) as f32);
    for sum in lanes_mut(y) {
        *sum = (f32x8::from(*sum) / pixels).to_array();
    }
}

// Normalisation: each value is divided by a function of the values in neighbouring channels.

/// Divides each value by `t^0.75`, where `t = 1 + alpha / size * (sum of squares over the `size`
/// channels around it)`. The power is computed as `sqrt(t) * sqrt(sqrt(t))`, which rounds the same
/// on every machine.
fn lrn(x: &[f32], channels: usize, y: &mut [f32]) {
    const REACH: usize = LRN_SIZE / 2;
    // The squares of a pixel, with zeros on both ends for channels that do not exist.
    let mut squares = vec![0.0; channels + 2 * REACH];
    for (input, output) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        for (square, value) in squares[REACH..].iter_mut().zip(input) {
            *square = value * value;
        }
        for (first, (value, result)) in lanes(input).iter().zip(lanes_mut(output)).enumerate() {
            let around = (0..LRN_SIZE).map(|k| f32x8::from(&squares[first * 8 + k..][..8]));
            let sum = around.fold(f32x8::splat(0.0), |sum, square| sum + square);
            let t = sum * f32x8::splat(LRN_ALPHA / LRN_SIZE as f32) + f32x8::splat(1.0);
            let power = f32x8::splat(1.0) / (t.sqrt() * t.sqrt().sqrt());
            *result = (f32x8::from(*value) * power).to_array();
        }
    }
}

// The loop over the layers. The branches of an inception block write to different channels of one
// blob, so no concatenation is needed.

/// Runs the network on one image and returns every blob, indexed by
/// [`BlobId`](crate::network::BlobId), each `[side][side][channels]`. The last blob holds the
/// logits.
///
/// `input` is `[224][224][3]`: blue, green, red in 0..=255, minus
/// [`MEAN_BGR`](crate::network::MEAN_BGR).
///
/// # Panics
/// If the length of `input` is not 224 * 224 * 3.
///
/// ```
/// use occlude::{Weights, reference};
///
/// let weights = Weights::seeded(1);
/// let blobs = reference::forward(&weights, &vec![20.0; 224 * 224 * 3]);
/// // The output of conv1: [112][112][64].
/// assert_eq!(blobs[1].len(), 112 * 112 * 64);
/// assert_eq!(blobs.last().unwrap().len(), weights.network().classes());
/// ```
pub fn forward(weights: &Weights, input: &[f32]) -> Vec<Vec<f32>> {
    let net = weights.network();
    let mut blobs: Vec<Vec<f32>> =
        net.blobs.iter().map(|blob| vec![0.0; blob.side * blob.side * blob.channels]).collect();
    blobs[0].copy_from_slice(input);
    let shift = net.input_shift();
    for pixel in blobs[0].chunks_exact_mut(3) {
        pixel.iter_mut().zip(shift).for_each(|(value, shift)| *value += shift);
    }
    for layer in &net.layers {
        // Taken out of `blobs` while it is written, because `blobs` is read at the same time.
        let mut output = std::mem::take(&mut blobs[layer.output]);
        let (from, to) = (&net.blobs[layer.input], &net.blobs[layer.output]);
        run(layer, weights, (from, &blobs[layer.input]), (to, &mut output));
        blobs[layer.output] = output;
    }
    blobs
}

/// Computes one layer from its input blob to its channels of the output blob.
fn run(layer: &Layer, weights: &Weights, (from, x): (&Blob, &[f32]), (to, y): (&Blob, &mut [f32])) {
    let parameters = || (weights.weight(&layer.name), weights.bias(&layer.name));
    match layer.op {
        Op::Convolution(window) => {
            let patches = im2col(x, from, window, to.side);
            linear(layer, parameters(), &patches, to, y);
            relu(layer, to, y);
        }
        Op::MaxPool(window) => max_pool(x, from, window, to.side, y),
        Op::Lrn => lrn(x, from.channels, y),
        Op::AveragePool => average_pool(x, from.channels, y),
        Op::Classifier => linear(layer, parameters(), x, to, y),
    }
}

/// Divides channels into groups of eight. All blobs have a multiple of eight channels, except the
/// image, which only `im2col` reads, and the logits.
fn lanes(channels: &[f32]) -> &[[f32; 8]] {
    let (lanes, rest) = channels.as_chunks();
    assert!(rest.is_empty(), "{} channels are not a multiple of 8", channels.len());
    lanes
}

/// [`lanes`] of a mutable slice.
fn lanes_mut(channels: &mut [f32]) -> &mut [[f32; 8]] {
    assert!(channels.len().is_multiple_of(8), "{} channels are not a multiple of 8", channels.len());
    channels.as_chunks_mut().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{BlobId, Network};
    use proptest::prelude::*;

    fn blob(side: usize, channels: usize) -> Blob {
        Blob { name: String::new(), side, channels }
    }

    /// Values in -100 .. 100 that differ from element to element.
    fn plane(blob: &Blob, salt: u64) -> Vec<f32> {
        let values = 0..(blob.side * blob.side * blob.channels) as u64;
        values
            .map(|i| ((i + 1).wrapping_mul(2 * salt + 7919).wrapping_mul(0x9E37_79B9) >> 8) as u16)
            .map(|bits| f32::from(bits) / 32768.0 * 100.0 - 100.0)
            .collect()
    }

    /// Returns a channel at a position of the plane, or `outside` in the padding.
    fn at(x: &[f32], blob: &Blob, y: isize, column: isize, channel: usize, outside: f32) -> f32 {
        let inside = 0..blob.side as isize;
        if inside.contains(&y) && inside.contains(&column) {
            x[(y as usize * blob.side + column as usize) * blob.channels + channel]
        } else {
            outside
        }
    }

    /// The window geometries of the network.
    fn window() -> impl Strategy<Value = Window> {
        prop_oneof![
            Just(Window::convolution(7, 2, 3)),
            Just(Window::convolution(5, 1, 2)),
            Just(Window::convolution(3, 1, 1)),
            Just(Window::pool(3, 2, 0)),
            Just(Window::pool(2, 2, 0)),
            Just(Window::convolution(1, 1, 0)),
        ]
    }

    /// Returns the top left corner of the window of an output pixel.
    fn corner(window: Window, oy: usize, ox: usize) -> (isize, isize) {
        let start = |o: usize| (o * window.stride) as isize - window.padding as isize;
        (start(oy), start(ox))
    }

    proptest! {
        #[test]
        fn convolution_is_the_direct_sum(
            window in window(), side in 4usize..12, inputs in 1usize..5, eights in 1usize..4, salt: u32,
        ) {
            let from = blob(side, inputs);
            // Eight channels on each side belong to another layer.
            let to = blob(window.output_side(side), 8 * eights + 16);
            let layer = Layer {
                name: "c".to_string(), op: Op::Convolution(window), input: BlobId(0), output: BlobId(1), channel: 8, channels: 8 * eights,
            };
            let depth = inputs * window.size * window.size;
            let x = plane(&from, salt.into());
            let filters: Vec<f32> = plane(&blob(1, layer.channels * depth), 1).iter().map(|v| v / 100.0).collect();
            let bias = plane(&blob(1, layer.channels), 2);
            let mut y = vec![-7.0; to.side * to.side * to.channels];
            linear(&layer, (&filters, &bias), &im2col(&x, &from, window, to.side), &to, &mut y);
            relu(&layer, &to, &mut y);

            for (index, &found) in y.iter().enumerate() {
                let (pixel, channel) = (index / to.channels, index % to.channels);
                if !(8..8 + layer.channels).contains(&channel) {
                    prop_assert_eq!(found, -7.0, "wrote channel {}", channel);
                    continue;
                }
                let filter = &filters[(channel - 8) * depth..][..depth];
                let (y0, x0) = corner(window, pixel / to.side, pixel % to.side);
                let mut sum = f64::from(bias[channel - 8]);
                for (k, &weight) in filter.iter().enumerate() {
                    let (ci, ky, kx) = (
                        k / (window.size * window.size),
                        (k / window.size % window.size) as isize,
                        (k % window.size) as isize,
                    );
                    sum += f64::from(weight) * f64::from(at(&x, &from, y0 + ky, x0 + kx, ci, 0.0));
                }
                // At most 245 terms below 100; each addition rounds to 2^-24 of a sum below 24500.
                prop_assert!((f64::from(found) - sum.max(0.0)).abs() < 0.02, "{} for {}", found, sum);
            }
        }

        #[test]
        fn max_pool_is_the_direct_maximum(
            padded: bool, side in 3usize..15, eights in 1usize..3, salt: u32,
        ) {
            let window = if padded {
                Window::pool(3, 1, 1)
            } else {
                Window::pool(3, 2, 0)
            };
            let from = blob(side, 8 * eights);
            let to = blob(window.output_side(side), 8 * eights);
            let x = plane(&from, salt.into());
            let mut y = vec![0.0; to.side * to.side * to.channels];
            max_pool(&x, &from, window, to.side, &mut y);
            for (index, &found) in y.iter().enumerate() {
                let (pixel, channel) = (index / to.channels, index % to.channels);
                let (y0, x0) = corner(window, pixel / to.side, pixel % to.side);
                let direct = (0..9)
                    .map(|k| at(&x, &from, y0 + k / 3, x0 + k % 3, channel, f32::NEG_INFINITY))
                    .fold(f32::NEG_INFINITY, f32::max);
                prop_assert_eq!(found, direct);
            }
        }

        #[test]
        fn lrn_is_the_formula(eights in 1usize..4, salt: u32, magnitude in 0.1f32..10.0) {
            let one = blob(2, 8 * eights);
            let x: Vec<f32> = plane(&one, salt.into()).iter().map(|v| v * magnitude).collect();
            let mut y = vec![0.0; x.len()];
            lrn(&x, one.channels, &mut y);
            for (index, &found) in y.iter().enumerate() {
                let (pixel, channel) = (index / one.channels, index % one.channels);
                let around = channel.saturating_sub(2)..(channel + 3).min(one.channels);
                let squares: f64 = around.map(|c| f64::from(x[pixel * one.channels + c]).powi(2)).sum();
                let expected = f64::from(x[index]) / (1.0 + 1e-4 / 5.0 * squares).powf(0.75);
                prop_assert!((f64::from(found) - expected).abs() <= 1e-6 * expected.abs(), "{} for {}", found, expected);
            }
        }

        #[test]
        fn average_pool_is_the_mean(side in 1usize..9, eights in 1usize..4, salt: u32) {
            let from = blob(side, 8 * eights);
            let x = plane(&from, salt.into());
            let mut y = vec![9.0; from.channels];
            average_pool(&x, from.channels, &mut y);
            for (channel, &found) in y.iter().enumerate() {
                let sum: f64 = x.iter().skip(channel).step_by(from.channels).map(|&v| f64::from(v)).sum();
                let expected = sum / (side * side) as f64;
                prop_assert!((f64::from(found) - expected).abs() < 1e-4, "{} for {}", found, expected);
            }
        }
    }

    #[test]
    fn channels_come_in_eights() {
        for net in [Network::googlenet(), Network::torchvision(1000)] {
            assert!(net.blobs[1..].iter().all(|blob| blob.channels % 8 == 0));
            assert!(net.layers.iter().all(|layer| layer.channel % 8 == 0 && layer.channels % 8 == 0));
        }
    }
}
