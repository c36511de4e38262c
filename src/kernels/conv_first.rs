//! The first convolution, which reads an image. An image has three channels, hardly a zero, and its
//! padding stored, so this kernel has no lists of non-zero channels: it takes neighbouring pixels side
//! by side, and a row of the window is one run of values.

use super::aligned::pitch;
use super::isa::{Isa, for_each_isa};
use super::packed_weights::PackedWeights;
use super::simd::{PANEL, Simd, unrolled};

/// The number of values between neighbouring windows: the stride of the first layer is two pixels of
/// three channels. As a constant it costs the kernel no instructions.
pub(crate) const WINDOW_STEP: usize = 2 * 3;

/// Windows side by side in a row of an image, [`WINDOW_STEP`] values apart.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// Index of the first window's first value.
    pub(crate) start: usize,
    /// The number of values between rows of the image.
    pub(crate) row: usize,
    /// The number of values in a row of a window.
    pub(crate) width: usize,
    /// The number of windows.
    pub(crate) count: usize,
}

/// Computes convolution and ReLU of some windows. The outputs of the first window go to
/// `out[start..]`, those of each further window `step` values on. They sum their products in the same
/// order as [`Convolution`](crate::kernels::Convolution).
///
/// # Panics
/// If the windows reach beyond the image, or if the outputs do not fit.
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
    let last = (count - 1) * WINDOW_STEP + (weights.k() / width - 1) * windows.row + width;
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
/// outputs exist.
#[inline(always)]
unsafe fn convolve_windows_generic<S: Simd>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    out: &mut [f32],
    step: usize,
) {
    let mut panel = 0;
    while panel < weights.panels() {
        // SAFETY: the caller vouches for the windows and outputs; the panels exist.
        unsafe {
            panel += if const { S::TILES.image[1] == 2 } && panel + 2 <= weights.panels() {
                panels::<S, 2>(image, windows, weights, panel, out, step)
            } else {
                panels::<S, 1>(image, windows, weights, panel, out, step)
            }
        }
    }
}

/// Computes all windows for the `B` panels from `panel` on, and returns `B`. The conditions on `S` are
/// constants, so no code is generated for tiles that an instruction set does not take.
///
/// # Safety
/// As [`convolve_windows_generic`]; the panels exist.
#[inline(always)]
unsafe fn panels<S: Simd, const B: usize>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    panel: usize,
    out: &mut [f32],
    step: usize,
) -> usize {
    let mut at = 0;
    while at < windows.count {
        // SAFETY: the caller vouches for `tile`'s requirements; at most the windows that are left are
        // taken.
        unsafe {
            at += match windows.count - at {
                14.. if const { S::TILES.image[0] >= 14 } => {
                    tile::<S, 14, B>(image, windows, weights, panel, at, out, step)
                }
                6.. if const { S::TILES.image[0] >= 6 } => {
                    tile::<S, 6, B>(image, windows, weights, panel, at, out, step)
                }
                3.. => tile::<S, 3, B>(image, windows, weights, panel, at, out, step),
                2 => tile::<S, 2, B>(image, windows, weights, panel, at, out, step),
                _ => tile::<S, 1, B>(image, windows, weights, panel, at, out, step),
            }
        }
    }
    B
}

/// Computes `P` windows, from the `first` one on, times `B` panels of outputs. Returns `P`.
///
/// # Safety
/// As [`convolve_windows_generic`], for these windows; the panels exist.
#[inline(always)]
unsafe fn tile<S: Simd, const P: usize, const B: usize>(
    image: &[f32],
    windows: Windows,
    weights: &PackedWeights,
    panel: usize,
    first: usize,
    out: &mut [f32],
    step: usize,
) -> usize {
    let (data, bias) = weights.panel_and_bias(panel);
    let next_panel = weights.k() * PANEL;
    debug_assert!(B * next_panel <= data.len() && B * PANEL <= bias.len());
    debug_assert!(first + P <= windows.count);
    debug_assert!((first + P - 1) * step + (panel + B) * PANEL <= out.len());
    // SAFETY: the caller vouches for windows and outputs; a panel has a vector of weights for each
    // `k`, and a vector of biases.
    unsafe {
        let mut sums = [[S::splat(0.0); B]; P];
        unrolled!(b in B => {
            let start = S::load(bias.as_ptr().add(b * PANEL));
            unrolled!(p in P => { sums[p][b] = start; });
        });
        let mut weight = data.as_ptr();
        let mut row = 0;
        while row < weights.k() / windows.width {
            let from = image.as_ptr().add(first * WINDOW_STEP + row * windows.row);
            let mut i = 0;
            while i < windows.width {
                debug_assert!((first + P - 1) * WINDOW_STEP + row * windows.row + i < image.len());
                let mut w = [S::splat(0.0); B];
                unrolled!(b in B => { w[b] = S::load(weight.add(b * next_panel)); });
                unrolled!(p in P => {
                    let value = S::splat(*from.add(p * WINDOW_STEP + i));
                    unrolled!(b in B => { sums[p][b] = S::fma(value, w[b], sums[p][b]); });
                });
                weight = weight.add(PANEL);
                i += 1;
            }
            row += 1;
        }
        unrolled!(p in P => {
            let to = out.as_mut_ptr().add((first + p) * step + panel * PANEL);
            unrolled!(b in B => { S::store(S::relu(sums[p][b]), to.add(b * PANEL)); });
        });
    }
    P
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::test;
    use proptest::prelude::*;

    /// Rows of a window, values in a row of a window, outputs, windows.
    type Shape = (usize, usize, usize, usize);

    fn assert_agrees_with_the_definition((rows, width, outputs, count): Shape, seed: u32) {
        let mut value = test::values(seed);
        let k = rows * width;
        let row = (count - 1) * WINDOW_STEP + width;
        // The image has not a value more than the windows read.
        let image: Vec<f32> = (0..2 + rows * row).map(|_| value()).collect();
        let filters: Vec<f32> = (0..outputs * k).map(|_| value()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| value()).collect();
        let weights = PackedWeights::new(&filters, &bias, k, 1);
        let windows = Windows { start: 2, row, width, count };
        let out_step = pitch(outputs) + 5;
        for isa in Isa::all_available() {
            let mut out = vec![-7.0; 3 + count * out_step - 5];
            convolve_image(isa, &image, windows, &weights, &mut out, [3, out_step]);
            assert!(out[..3].iter().all(|&v| v == -7.0));
            for window in 0..count {
                for output in 0..outputs {
                    let mut sum = bias[output];
                    for k_of in 0..k {
                        let x = image[2 + window * WINDOW_STEP + k_of / width * row + k_of % width];
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
            shape in (1usize..5, 1usize..12, 1usize..80, 1usize..40),
            seed in any::<u32>(),
        ) {
            assert_agrees_with_the_definition(shape, seed);
        }
    }

    /// Takes one to five panels, full and with room left over, and each number of windows of a tile.
    #[test]
    fn windows_are_right_at_the_edges_of_panels_and_tiles() {
        for (i, outputs) in [7, 32, 49, 64, 65].into_iter().enumerate() {
            let counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 21, 23, 24, 28];
            for count in counts.into_iter().skip(i).step_by(if cfg!(miri) { 4 } else { 1 }) {
                assert_agrees_with_the_definition((1 + i % 2, 3, outputs, count), 5);
            }
        }
    }

    #[test]
    #[should_panic = "beyond the image"]
    fn windows_beyond_the_image_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4 * 32], &[1.0; 32], 4, 1);
        let windows = Windows { start: 1, row: 14, width: 2, count: 3 };
        convolve_image(Isa::SCALAR, &[0.0; 28], windows, &weights, &mut [0.0; 128], [0, 32]);
    }

    #[test]
    #[should_panic]
    fn outputs_that_do_not_fit_are_refused() {
        let weights = PackedWeights::new(&[1.0; 4 * 32], &[1.0; 32], 4, 1);
        let windows = Windows { start: 0, row: 14, width: 2, count: 3 };
        convolve_image(Isa::SCALAR, &[0.0; 28], windows, &weights, &mut [0.0; 95], [0, 32]);
    }
}
