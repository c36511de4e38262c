//! The first convolution, which reads an image. An image has three channels, hardly a zero, and its
//! padding stored, so this kernel has no lists of non-zero channels: it takes neighbouring pixels side
//! by side, and a row of the window is one run of values.

use super::aligned::pitch;
use super::isa::{Isa, for_each_isa};
use super::packed_weights::PackedWeights;
use super::simd::Simd;

/// Windows side by side in a row of an image.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Index of the first window's first value.
    pub(crate) start: usize,
    /// The number of values between neighbouring windows.
    pub(crate) step: usize,
    /// The number of values between rows of the image.
    pub(crate) row: usize,
    /// The number of values in a row of a window.
    pub(crate) width: usize,
    /// The number of windows.
    pub(crate) count: usize,
}

/// The width of all panels of a first layer's weights. The published networks have 64 outputs there,
/// those at half the width have 32.
const WIDTH: usize = 32;

/// Computes convolution and ReLU of some windows. The outputs of the first window go to
/// `out[start..]`, those of each further window `step` values on. They sum their products in the same
/// order as [`convolve_tile`](crate::kernels::convolve_tile).
///
/// # Panics
/// If the windows reach beyond the image, if the outputs do not fit, or if a panel of weights is not
/// [`WIDTH`] wide.
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
    assert!(weights.all_panels().iter().all(|panel| panel.width == WIDTH), "panels are {WIDTH} wide");
    let last = (count - 1) * windows.step + (weights.k() / width - 1) * windows.row + width;
    assert!(windows.start + last <= image.len(), "the windows reach beyond the image");
    assert!(start + (count - 1) * step + pitch(weights.outputs()) <= out.len());
    convolve_windows(isa, &image[windows.start..], windows, weights, &mut out[start..], step);
}

for_each_isa! {
    /// Does the work of [`convolve_image`], from the first window and output on.
    fn convolve_windows(
        image: &[f32],
        windows: Windows,
        weights: &PackedWeights,
        out: &mut [f32],
        step: usize,
    ) => convolve_windows_generic
}

/// # Safety
/// The machine has the instruction set of `S`, and `convolve_image` has asserted that windows and
/// outputs exist and that panels are [`WIDTH`] wide.
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
            // With 2 vectors of outputs, 14 windows fill the registers of AVX-512; with 4 vectors, 3
            // windows fill those of AVX2. The conditions on `S` are constants, so no code is
            // generated for the other tiles.
            // SAFETY: the caller vouches for `tile`'s requirements; at most `rest` windows are taken.
            unsafe {
                if const { S::LANES == 16 } {
                    at += match rest {
                        14.. => tile::<S, 14, 2>(image, windows, weights, panel, at, out, step),
                        7.. => tile::<S, 7, 2>(image, windows, weights, panel, at, out, step),
                        3.. => tile::<S, 3, 2>(image, windows, weights, panel, at, out, step),
                        2 => tile::<S, 2, 2>(image, windows, weights, panel, at, out, step),
                        _ => tile::<S, 1, 2>(image, windows, weights, panel, at, out, step),
                    }
                } else {
                    at += match rest {
                        3.. => tile::<S, 3, 4>(image, windows, weights, panel, at, out, step),
                        2 if const { !S::FEW_SHAPES } => {
                            tile::<S, 2, 4>(image, windows, weights, panel, at, out, step)
                        }
                        _ => tile::<S, 1, 4>(image, windows, weights, panel, at, out, step),
                    }
                }
            }
        }
    }
}

/// Computes `P` windows, from the `first` one on, times the `R` vectors of outputs of a panel. Returns
/// `P`.
///
/// # Safety
/// As [`convolve_windows_generic`], for these windows; `R` vectors are a panel.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // The compiler unrolls loops over constant bounds into registers.
unsafe fn tile<S: Simd, const P: usize, const R: usize>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    panel: usize,
    first: usize,
    out: &mut [f32],
    step: usize,
) -> usize {
    let panel = weights.panel(panel);
    let (data, bias) = weights.data_and_bias();
    debug_assert!(panel.width == WIDTH && WIDTH == R * S::LANES);
    debug_assert!(first + P <= windows.count);
    debug_assert!((first + P - 1) * step + panel.first + WIDTH <= out.len());
    // SAFETY: the caller vouches for windows and outputs; a panel has `WIDTH` weights for each `k`,
    // and as many biases.
    unsafe {
        let mut weight = data.as_ptr().add(panel.start);
        let mut start = [S::splat(0.0); R];
        for r in 0..R {
            start[r] = S::load(bias.as_ptr().add(panel.first + r * S::LANES));
        }
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
                weight = weight.add(WIDTH);
            }
        }
        for p in 0..P {
            let to = out.as_mut_ptr().add((first + p) * step + panel.first);
            for r in 0..R {
                S::store(S::relu(sums[p][r]), to.add(r * S::LANES));
            }
        }
    }
    P
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::test;
    use proptest::prelude::*;

    /// Rows of a window, values in a row of a window, outputs, values between windows, windows.
    type Shape = (usize, usize, usize, usize, usize);

    fn assert_agrees_with_the_definition((rows, width, outputs, step, count): Shape, seed: u32) {
        let mut value = test::values(seed);
        let k = rows * width;
        let row = (count - 1) * step + width;
        // The image has not a value more than the windows read.
        let image: Vec<f32> = (0..2 + rows * row).map(|_| value()).collect();
        let filters: Vec<f32> = (0..outputs * k).map(|_| value()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| value()).collect();
        let weights = PackedWeights::new(&filters, &bias, k, 1);
        let windows = Windows { start: 2, step, row, width, count };
        let out_step = pitch(outputs) + 5;
        for isa in Isa::all_available() {
            let mut out = vec![-7.0; 3 + count * out_step - 5];
            convolve_image(isa, &image, windows, &weights, &mut out, [3, out_step]);
            assert!(out[..3].iter().all(|&v| v == -7.0));
            for window in 0..count {
                for output in 0..outputs {
                    let mut sum = bias[output];
                    for k_of in 0..k {
                        let x = image[2 + window * step + k_of / width * row + k_of % width];
                        sum = x.mul_add(filters[output * k + k_of], sum);
                    }
                    let got = out[3 + window * out_step + output];
                    assert_eq!(got.to_bits(), sum.max(0.0).to_bits(), "{isa}");
                }
                let between = out[3 + window * out_step + pitch(outputs)..].iter().take(5);
                assert!(between.into_iter().all(|&v| v == -7.0));
            }
        }
    }

    // Miri would interpret the property for hours; the edges below take each path of the kernel on
    // small shapes.
    #[cfg(not(miri))]
    proptest! {
        #[test]
        fn every_instruction_set_agrees_with_the_definition(
            // One panel of 32, or two.
            shape in (1usize..5, 1usize..12, prop_oneof![17usize..33, 49usize..65], 1usize..8, 1usize..40),
            seed in any::<u32>(),
        ) {
            assert_agrees_with_the_definition(shape, seed);
        }
    }

    /// Takes one panel and two, full and with room left over, and each number of windows of a tile.
    #[test]
    fn windows_are_right_at_the_edges_of_panels_and_tiles() {
        for (i, outputs) in [17, 32, 49, 64].into_iter().enumerate() {
            let counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 21, 23, 24, 28];
            for count in counts.into_iter().skip(i).step_by(if cfg!(miri) { 4 } else { 1 }) {
                assert_agrees_with_the_definition((1 + i % 2, 3, outputs, 2, count), 5);
            }
        }
    }

    #[test]
    #[should_panic = "beyond the image"]
    fn windows_beyond_the_image_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4 * 32], &[1.0; 32], 4, 1);
        let windows = Windows { start: 1, step: 1, row: 4, width: 2, count: 3 };
        convolve_image(Isa::SCALAR, &[0.0; 8], windows, &weights, &mut [0.0; 128], [0, 32]);
    }

    #[test]
    #[should_panic]
    fn outputs_that_do_not_fit_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4 * 32], &[1.0; 32], 4, 1);
        let windows = Windows { start: 0, step: 1, row: 4, width: 2, count: 3 };
        convolve_image(Isa::SCALAR, &[0.0; 8], windows, &weights, &mut [0.0; 95], [0, 32]);
    }

    #[test]
    #[should_panic = "32 wide"]
    fn panels_of_another_width_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4 * 48], &[1.0; 48], 4, 1);
        let windows = Windows { start: 0, step: 1, row: 4, width: 2, count: 1 };
        convolve_image(Isa::SCALAR, &[0.0; 8], windows, &weights, &mut [0.0; 48], [0, 48]);
    }
}
