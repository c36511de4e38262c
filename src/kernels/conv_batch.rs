//! Convolution of up to eight positions of a batch side by side, without the products with zero. Most
//! of a sweep's time goes into this kernel.
//!
//! A tile is up to eight positions times a few vectors of output channels, all in registers. For each
//! tap of the window and each channel that is non-zero in some position (see [`SparseActivations`]),
//! the weights of the tile's output channels are loaded once and multiplied with the activation of
//! each position: with 8 positions and 48 output channels, 3 loads and 8 broadcasts feed 24 fused
//! multiply-adds. Each output sums `bias + tap 0 (channel 0, 1, ..) + tap 1 ..`, one product after the
//! other, so the shape of a tile and the skipped zeros change no bit.
//!
//! The taps of a row of the window are one loop: their activations are one run of the CSR matrix, as
//! their weights are one run of `k`.

use std::ops::Range;

use super::aligned::pitch;
use super::isa::for_each_isa;
use super::packed_weights::{PANEL, PackedWeights, Panel};
use super::simd::{BATCH, Simd};
use super::sparse::{SparseActivations, WindowRow};

/// Beginning and end of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// The sum begins at the bias and ends with ReLU.
    Relu,
    /// The sum begins at the bias.
    Start,
    /// The sum begins at 0 and is added to the output's value: the next part of a long sum.
    Continue,
}

/// An output pixel of up to eight positions.
pub(crate) struct Tile<'t> {
    /// The rows of the window that lie in the plane, ascending.
    pub(crate) rows: &'t [WindowRow],
    /// The positions to compute.
    pub(crate) positions: &'t [usize],
    /// For each of these positions, the index in `out` of its first output channel.
    pub(crate) out: &'t [usize],
}

for_each_isa! {
    /// Computes the output channels in `panels` of a tile: the sums over the window's non-zero
    /// channels, which begin and end as `sum` says. Whole vectors are written: up to
    /// `pitch(outputs)` values for each position.
    fn convolve_tile(
        input: &SparseActivations,
        weights: &PackedWeights,
        panels: Range<usize>,
        tile: &Tile<'_>,
        sum: Sum,
        out: &mut [f32],
    ) => convolve_tile_generic
}

/// # Safety
/// The machine has the instruction set of `S`. All else is asserted.
#[inline(always)]
unsafe fn convolve_tile_generic<S: Simd>(
    input: &SparseActivations,
    weights: &PackedWeights,
    panels: Range<usize>,
    tile: &Tile<'_>,
    sum: Sum,
    out: &mut [f32],
) {
    let outputs = pitch(weights.outputs());
    assert!(panels.end <= weights.panels());
    assert!(tile.positions.len() == tile.out.len() && tile.positions.len() <= BATCH);
    for (&position, &start) in tile.positions.iter().zip(tile.out) {
        assert!(position < input.positions() && start + outputs <= out.len());
    }
    let panels = &weights.all_panels()[panels];
    let out = out.as_mut_ptr();
    let mut at = 0;
    while at < tile.positions.len() {
        let mut count = (tile.positions.len() - at).min(S::TILE_POSITIONS);
        if const { S::FEW_SHAPES } {
            count = 1 << count.ilog2();
        }
        let (positions, starts) = (&tile.positions[at..at + count], &tile.out[at..at + count]);
        // SAFETY: the assertions above hold that the positions exist and that output channels up to
        // `outputs` fit behind each start.
        unsafe {
            match count {
                1 => {
                    convolve_positions::<S, 1>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                2 => {
                    convolve_positions::<S, 2>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                3 => {
                    convolve_positions::<S, 3>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                4 => {
                    convolve_positions::<S, 4>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                5 => {
                    convolve_positions::<S, 5>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                6 => {
                    convolve_positions::<S, 6>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                7 => {
                    convolve_positions::<S, 7>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
                _ => {
                    convolve_positions::<S, 8>(input, weights, tile.rows, positions, starts, panels, sum, out)
                }
            }
        }
        at += count;
    }
}

/// Computes `P` positions in all `panels`, in tiles as large as the registers allow.
///
/// The conditions on `P` and `S` are constants, so that no code is generated for tiles that an
/// instruction set never takes: a tile is hundreds of instructions, and without the conditions there
/// would be 144 of them instead of 54.
///
/// # Safety
/// As [`tile`], for all `panels`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn convolve_positions<S: Simd, const P: usize>(
    input: &SparseActivations,
    weights: &PackedWeights,
    rows: &[WindowRow],
    positions: &[usize],
    starts: &[usize],
    panels: &[Panel],
    sum: Sum,
    out: *mut f32,
) {
    if const { P > S::TILE_POSITIONS || S::FEW_SHAPES && !P.is_power_of_two() } {
        unreachable!("`convolve_tile` takes no {P} positions at a time");
    } else {
        let full = panels.iter().take_while(|panel| panel.width == PANEL).count();
        let block = 3 * S::LANES;
        let mut first = panels[0].first;
        let end = first + full * PANEL;
        // SAFETY: the caller vouches for `tile`'s requirements; each call stays below `end`, or in
        // its panel.
        unsafe {
            if const { S::TILE_POSITIONS / P >= 4 && !S::FEW_SHAPES } {
                while first + 4 * block <= end {
                    tile::<S, P, 4, 3, PANEL>(input, weights, rows, positions, starts, first, sum, out);
                    first += 4 * block;
                }
            }
            if const { S::TILE_POSITIONS / P >= 2 && !S::FEW_SHAPES } {
                while first + 2 * block <= end {
                    tile::<S, P, 2, 3, PANEL>(input, weights, rows, positions, starts, first, sum, out);
                    first += 2 * block;
                }
            }
            while first < end {
                tile::<S, P, 1, 3, PANEL>(input, weights, rows, positions, starts, first, sum, out);
                first += block;
            }
            for panel in &panels[full..] {
                let first = panel.first;
                if panel.width == 16 {
                    if const { S::LANES == 16 } {
                        tile::<S, P, 1, 1, 16>(input, weights, rows, positions, starts, first, sum, out);
                    } else {
                        tile::<S, P, 1, 2, 16>(input, weights, rows, positions, starts, first, sum, out);
                    }
                } else {
                    for first in (first..first + panel.width).step_by(2 * S::LANES) {
                        tile::<S, P, 1, 2, 32>(input, weights, rows, positions, starts, first, sum, out);
                    }
                }
            }
        }
    }
}

/// Computes `P` positions times `B` blocks of `R` vectors of output channels, from channel `first` on,
/// in registers. `W` is the width of their panels.
///
/// # Safety
/// The machine has the instruction set of `S`. `positions` and `starts` have `P` elements: positions
/// of the input, with room in `out` for all output channels. The channels from `first` on, `B * R`
/// vectors of them, lie in panels of width `W`, and no block lies across two panels.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // The compiler unrolls loops over constant bounds into registers.
unsafe fn tile<S: Simd, const P: usize, const B: usize, const R: usize, const W: usize>(
    input: &SparseActivations,
    weights: &PackedWeights,
    rows: &[WindowRow],
    positions: &[usize],
    starts: &[usize],
    first: usize,
    sum: Sum,
    out: *mut f32,
) {
    debug_assert!(positions.len() == P && starts.len() == P);
    debug_assert!(positions.iter().all(|&position| position < input.positions()));
    debug_assert!(first + B * R * S::LANES <= pitch(weights.outputs()));
    let block = R * S::LANES;
    let (data, bias) = weights.data_and_bias();
    // All panels before this one have the full width, or the same width as this one.
    let panel = weights.panel_of(first);
    debug_assert!(panel.width == W && W.is_multiple_of(block) && (first - panel.first).is_multiple_of(block));
    // SAFETY: `data` and `bias` hold whole panels, and each `k` of a row is asserted to exist: the
    // entries of a row ascend (invariant of `SparseActivations`), so all are at most the last. The
    // caller vouches for `positions`, `starts` and `out`.
    unsafe {
        let mut base = [data.as_ptr(); B];
        for b in 0..B {
            let channel = first - panel.first + b * block;
            base[b] = base[b].add(panel.start + channel / W * W * weights.k() + channel % W);
        }
        let mut start = [[S::splat(0.0); R]; B];
        if sum != Sum::Continue {
            for b in 0..B {
                for r in 0..R {
                    start[b][r] = S::load(bias.as_ptr().add(first + b * block + r * S::LANES));
                }
            }
        }
        let mut acc = [start; P];
        for row in rows {
            let (entries, values) = input.run(&row.pixels);
            let (Some(&least), Some(&most)) = (entries.first(), entries.last()) else { continue };
            let k_of = |entry: u32| (entry as usize).wrapping_add_signed(row.k_shift);
            assert!(k_of(least) <= k_of(most) && k_of(most) < weights.k());
            let mut x = [values.as_ptr().cast::<f32>(); P];
            for p in 0..P {
                x[p] = x[p].add(*positions.get_unchecked(p));
            }
            for (i, &entry) in entries.iter().enumerate() {
                debug_assert!(k_of(entry) < weights.k());
                let at = k_of(entry) * W;
                // The fewer of weights and values stay in registers while the others are loaded.
                if const { P >= B * R } {
                    let mut w = [[S::splat(0.0); R]; B];
                    for b in 0..B {
                        for r in 0..R {
                            w[b][r] = S::load(base[b].add(at + r * S::LANES));
                        }
                    }
                    for p in 0..P {
                        let value = S::splat(*x[p].add(i * BATCH));
                        for b in 0..B {
                            for r in 0..R {
                                acc[p][b][r] = S::fma(value, w[b][r], acc[p][b][r]);
                            }
                        }
                    }
                } else {
                    let mut value = [S::splat(0.0); P];
                    for p in 0..P {
                        value[p] = S::splat(*x[p].add(i * BATCH));
                    }
                    for b in 0..B {
                        for r in 0..R {
                            let w = S::load(base[b].add(at + r * S::LANES));
                            for p in 0..P {
                                acc[p][b][r] = S::fma(value[p], w, acc[p][b][r]);
                            }
                        }
                    }
                }
            }
        }
        for p in 0..P {
            let out = out.add(*starts.get_unchecked(p) + first);
            for b in 0..B {
                for r in 0..R {
                    let to = out.add(b * block + r * S::LANES);
                    let v = match sum {
                        Sum::Relu => S::relu(acc[p][b][r]),
                        Sum::Start => acc[p][b][r],
                        Sum::Continue => S::add(S::load(to), acc[p][b][r]),
                    };
                    S::store(v, to);
                }
            }
        }
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::{Isa, test};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    struct Case {
        /// Rows of the window and taps of each row.
        rows: usize,
        width: usize,
        channels: usize,
        outputs: usize,
        positions: Vec<usize>,
        /// The pixel of its row at which the window begins.
        first_pixel: usize,
        seed: u32,
    }

    fn case() -> impl Strategy<Value = Case> {
        // The outputs are around the widths of panels and vectors.
        let shape = (1usize..200, 1usize..40, 1usize..4, 1usize..4);
        let positions = prop::sample::subsequence((0..BATCH).collect::<Vec<_>>(), 1..=BATCH);
        (shape, positions, 0usize..3, any::<u32>()).prop_map(
            |((outputs, channels, rows, width), positions, first_pixel, seed)| Case {
                rows,
                width,
                channels,
                outputs,
                positions,
                first_pixel,
                seed,
            },
        )
    }

    /// Compares with the definition: one fused multiply-add after the other, zeros included.
    fn assert_sums_all_products_in_order(case: &Case, sum: Sum) {
        let Case { rows, width, channels, outputs, first_pixel, .. } = *case;
        let mut values = test::values(case.seed);
        let k = rows * width * channels;
        // The order is [row][pixel][position][channel]. Most values are zero, as activations are.
        let activations: Vec<f32> =
            (0..k * BATCH).map(|_| if values() < 0.3 { 0.0 } else { values() + 1.01 }).collect();
        let activations =
            |pixel: usize, position: usize| &activations[(pixel * BATCH + position) * channels..][..channels];
        // These weights are in the kernel's order already, which is that of a 1x1 window with as many
        // inputs.
        let weights: Vec<f32> = (0..outputs * k).map(|_| values()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| values()).collect();
        let packed = PackedWeights::new(&weights, &bias, k, 1);
        let step = pitch(outputs);
        let starts: Vec<usize> = (0..case.positions.len()).map(|i| i * step).collect();
        // A window need not begin where its row begins.
        let window: Vec<WindowRow> = (0..rows)
            .map(|row| WindowRow {
                pixels: row * width..(row + 1) * width,
                k_shift: (row * width) as isize * channels as isize - (first_pixel * channels) as isize,
            })
            .collect();
        for isa in Isa::all_available() {
            let mut input = SparseActivations::default();
            input.clear(BATCH);
            for pixel in 0..rows * width {
                let positions: [&[f32]; BATCH] = std::array::from_fn(|p| activations(pixel, p));
                input.push_pixel(isa, (first_pixel + pixel % width) * channels, &positions);
            }
            let tile = Tile { rows: &window, positions: &case.positions, out: &starts };
            let mut out = vec![7.0; step * case.positions.len()];
            for panels in packed.cached_panels() {
                convolve_tile(isa, &input, &packed, panels, &tile, sum, &mut out);
            }
            for (i, &position) in case.positions.iter().enumerate() {
                for output in 0..outputs {
                    let start = if sum == Sum::Continue { 0.0 } else { bias[output] };
                    let inputs = (0..rows * width).flat_map(|pixel| activations(pixel, position));
                    let pairs = inputs.zip(&weights[output * k..]);
                    let all = pairs.fold(start, |sum, (x, &w)| x.mul_add(w, sum));
                    let want = match sum {
                        Sum::Relu => all.max(0.0),
                        Sum::Start => all,
                        Sum::Continue => 7.0 + all,
                    };
                    let got = out[i * step + output];
                    assert_eq!(got.to_bits(), want.to_bits(), "{isa} {position} {output} of {case:?}");
                }
            }
        }
    }

    // Miri would interpret the property for hours; the edges below take each path of the kernel on
    // small shapes.
    #[cfg(not(miri))]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_instruction_set_sums_all_products_in_order(
            case in case(),
            sum in prop::sample::select(vec![Sum::Relu, Sum::Start, Sum::Continue]),
        ) {
            assert_sums_all_products_in_order(&case, sum);
        }
    }

    /// Takes panels of each width, full and with room left over, each number of positions, and numbers
    /// of channels around the eight that are looked at together.
    #[test]
    fn sums_are_right_at_the_edges_of_vectors_panels_and_positions() {
        for (i, outputs) in [1, 15, 16, 17, 33, 48, 49, 64, 97, 192].into_iter().enumerate() {
            // Miri takes a thousand times as long and sees two numbers of positions for each.
            for count in (1..=BATCH).filter(|count| !cfg!(miri) || (count + 3 * i).is_multiple_of(4)) {
                let i = i + count;
                let sum = [Sum::Relu, Sum::Start, Sum::Continue][i % 3];
                let (channels, positions) = ([1, 7, 8, 9][i % 4], (BATCH - count..BATCH).collect());
                let shape = Case {
                    rows: 1 + i % 2,
                    width: 2,
                    channels,
                    outputs,
                    positions,
                    first_pixel: i % 3,
                    seed: 9,
                };
                assert_sums_all_products_in_order(&shape, sum);
            }
        }
    }

    /// Four ones in one position, and a window over them.
    fn ones() -> (SparseActivations, WindowRow) {
        let mut input = SparseActivations::default();
        input.clear(1);
        input.push_pixel(Isa::SCALAR, 0, &[&[1.0; 4]]);
        (input, WindowRow { pixels: 0..1, k_shift: 0 })
    }

    #[test]
    fn only_the_asked_panels_are_written() {
        let packed = PackedWeights::new(&[1.0; 100 * 4], &[1.0; 100], 4, 1);
        let (input, run) = ones();
        for isa in Isa::all_available() {
            let mut out = vec![-1.0; 3 + pitch(100) + 5];
            let tile = Tile { rows: std::slice::from_ref(&run), positions: &[0], out: &[3] };
            convolve_tile(isa, &input, &packed, 1..2, &tile, Sum::Relu, &mut out);
            assert_eq!(packed.channels(1..2), 48..80);
            assert!(out[..3 + 48].iter().chain(&out[3 + 80..]).all(|&v| v == -1.0), "{isa}");
            assert!(out[3 + 48..3 + 80].iter().all(|&v| v == 5.0), "{isa}");
        }
    }

    #[test]
    #[should_panic]
    fn a_position_whose_outputs_do_not_fit_is_refused() {
        let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
        let (input, run) = ones();
        let tile = Tile { rows: &[run], positions: &[0], out: &[1] };
        convolve_tile(Isa::detect(), &input, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 32]);
    }

    #[test]
    #[should_panic]
    fn a_position_that_does_not_exist_is_refused() {
        let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
        let (input, run) = ones();
        let tile = Tile { rows: &[run], positions: &[1], out: &[0] };
        convolve_tile(Isa::detect(), &input, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 64]);
    }

    #[test]
    #[should_panic]
    fn products_that_do_not_exist_are_refused() {
        let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
        let (input, run) = ones();
        let tile = Tile { rows: &[WindowRow { k_shift: 1, ..run }], positions: &[0], out: &[0] };
        convolve_tile(Isa::detect(), &input, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 64]);
    }
}
