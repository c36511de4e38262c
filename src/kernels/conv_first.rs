//! The first convolution. An image has three channels, hardly a zero, and its padding stored: no lists, neighbouring pixels
//! side by side, and a row of the window is one run of values.

use super::aligned::pitch;
use super::conv_batch::PackedWeights;
use super::isa::{Isa, for_each_isa};
use super::simd::Simd;

/// Windows side by side in a row of an image.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Where the first begins.
    pub(crate) start: usize,
    /// Values between neighbouring windows, between rows of the image, and in a row of a window.
    pub(crate) step: usize,
    pub(crate) row: usize,
    pub(crate) width: usize,
    /// How many.
    pub(crate) count: usize,
}

/// Convolution and ReLU of some windows. The outputs of the first go to `out[start..]`, of each further one `step` values on.
/// They sum their products as [`convolve_tile`](crate::kernels::convolve_tile) does.
pub(crate) fn convolve_image(
    isa: Isa,
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    out: &mut [f32],
    [start, step]: [usize; 2],
) {
    let Windows { width, count, .. } = windows;
    if count == 0 {
        return;
    }
    assert_eq!(weights.k() % width, 0);
    let last = (count - 1) * windows.step + (weights.k() / width - 1) * windows.row + width;
    assert!(windows.start + last <= image.len(), "the windows reach beyond the image");
    assert!(start + (count - 1) * step + pitch(weights.outputs()) <= out.len());
    convolve_windows(isa, &image[windows.start..], windows, weights, &mut out[start..], step);
}

for_each_isa! {
    /// [`convolve_image`], from the first window and output on.
    fn convolve_windows(
        image: &[f32],
        windows: Windows,
        weights: &PackedWeights,
        out: &mut [f32],
        step: usize,
    ) => convolve_windows_generic
}

/// # Safety
/// The machine has the instruction set of `S`, and `convolve_image` has asserted that windows and outputs exist.
#[inline(always)]
unsafe fn convolve_windows_generic<S: Simd>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    out: &mut [f32],
    step: usize,
) {
    for panel in 0..weights.panels() {
        let mut at = 0;
        while at < windows.count {
            let rest = windows.count - at;
            // With two vectors of outputs, 14 windows fill the registers of AVX-512; 3 with four fill the others'.
            // SAFETY: passed on; as many windows are left.
            unsafe {
                at += match (S::LANES, rest) {
                    (16, 14..) => tile::<S, 14>(image, windows, weights, panel, at, out, step),
                    (16, 7..) => tile::<S, 7>(image, windows, weights, panel, at, out, step),
                    (_, 3..) => tile::<S, 3>(image, windows, weights, panel, at, out, step),
                    (_, 2) => tile::<S, 2>(image, windows, weights, panel, at, out, step),
                    _ => tile::<S, 1>(image, windows, weights, panel, at, out, step),
                }
            }
        }
    }
}

/// `P` windows from the `first` one on times the outputs of a panel; `P`.
///
/// # Safety
/// As [`convolve_windows_generic`], for these windows.
#[inline(always)]
unsafe fn tile<S: Simd, const P: usize>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    panel: usize,
    first: usize,
    out: &mut [f32],
    step: usize,
) -> usize {
    // SAFETY: passed on.
    unsafe {
        match weights.panel(panel).width / S::LANES {
            1 => sums::<S, P, 1>(image, windows, weights, panel, first, out, step),
            2 => sums::<S, P, 2>(image, windows, weights, panel, first, out, step),
            3 => sums::<S, P, 3>(image, windows, weights, panel, first, out, step),
            4 => sums::<S, P, 4>(image, windows, weights, panel, first, out, step),
            _ => sums::<S, P, 6>(image, windows, weights, panel, first, out, step),
        }
    }
    P
}

/// `P` windows times `R` vectors of outputs, all of a panel.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
#[allow(clippy::needless_range_loop)] // loops over constant bounds, which the compiler unrolls into registers
unsafe fn sums<S: Simd, const P: usize, const R: usize>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    panel: usize,
    first: usize,
    out: &mut [f32],
    step: usize,
) {
    let panel = weights.panel(panel);
    let (data, bias) = weights.data_and_bias();
    debug_assert_eq!(panel.width, R * S::LANES);
    // SAFETY: the caller vouches for windows and outputs; a panel has weights for each product.
    unsafe {
        let mut weight = data.as_ptr().add(panel.start);
        let start: [S::V; R] =
            std::array::from_fn(|r| S::load(bias.as_ptr().add(panel.first + r * S::LANES)));
        let mut sums = [start; P];
        for row in 0..weights.k() / windows.width {
            let from = image.as_ptr().add(first * windows.step + row * windows.row);
            for i in 0..windows.width {
                debug_assert!(
                    first * windows.step + row * windows.row + (P - 1) * windows.step + i < image.len()
                );
                let mut w = [S::splat(0.0); R];
                for r in 0..R {
                    w[r] = S::load(weight.add(r * S::LANES));
                }
                for p in 0..P {
                    let value = S::splat(*from.add(p * windows.step + i));
                    for r in 0..R {
                        sums[p][r] = S::fma(value, w[r], sums[p][r]);
                    }
                }
                weight = weight.add(panel.width);
            }
        }
        for p in 0..P {
            let to = out.as_mut_ptr().add((first + p) * step + panel.first);
            for r in 0..R {
                S::store(S::relu(sums[p][r]), to.add(r * S::LANES));
            }
        }
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::test;
    use proptest::prelude::*;

    /// Rows and values in a row of a window, outputs, values between windows, windows.
    type Shape = (usize, usize, usize, usize, usize);

    fn assert_agrees_with_the_definition((rows, width, outputs, step, count): Shape, seed: u32) {
        let mut value = test::values(seed);
        let products = rows * width;
        let row = (count - 1) * step + width;
        // Not a value more than the windows read.
        let image: Vec<f32> = (0..2 + rows * row).map(|_| value()).collect();
        let kernels: Vec<f32> = (0..outputs * products).map(|_| value()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| value()).collect();
        let weights = PackedWeights::new(&kernels, &bias, products, 1);
        let windows = Windows { start: 2, step, row, width, count };
        let out_step = pitch(outputs) + 5;
        for isa in Isa::all_available() {
            let mut out = vec![-7.0; 3 + count * out_step - 5];
            convolve_image(isa, &image, windows, &weights, &mut out, [3, out_step]);
            assert!(out[..3].iter().all(|&v| v == -7.0));
            for window in 0..count {
                for output in 0..outputs {
                    let mut sum = bias[output];
                    for product in 0..products {
                        let x = image[2 + window * step + product / width * row + product % width];
                        sum = x.mul_add(kernels[output * products + product], sum);
                    }
                    let got = out[3 + window * out_step + output];
                    assert_eq!(got.to_bits(), sum.max(0.0).to_bits(), "{isa}");
                }
                let between = out[3 + window * out_step + pitch(outputs)..].iter().take(5);
                assert!(between.into_iter().all(|&v| v == -7.0));
            }
        }
    }

    // Miri would interpret them for hours; the edges below have each path of the kernel in small.
    #[cfg(not(miri))]
    proptest! {
        #[test]
        fn every_instruction_set_agrees_with_the_definition(
            shape in (1usize..5, 1usize..12, 1usize..130, 1usize..8, 1usize..40),
            seed in any::<u32>(),
        ) {
            assert_agrees_with_the_definition(shape, seed);
        }
    }

    /// Panels of each width, and each number of windows that a tile has.
    #[test]
    fn windows_are_right_at_the_edges_of_vectors_and_tiles() {
        for (i, outputs) in [1, 15, 16, 17, 32, 33, 48, 49, 64].into_iter().enumerate() {
            for count in [1, 2, 3, 6, 7, 8, 14, 15, 23].into_iter().skip(i % 3).step_by(3) {
                assert_agrees_with_the_definition((1 + i % 2, 3, outputs, 2, count), 5);
            }
        }
    }

    #[test]
    #[should_panic = "beyond the image"]
    fn windows_beyond_the_image_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4], &[1.0], 4, 1);
        let windows = Windows { start: 1, step: 1, row: 4, width: 2, count: 3 };
        convolve_image(Isa::Scalar, &[0.0; 8], windows, &weights, &mut [0.0; 64], [0, 16]);
    }
}
