//! Convolution that skips zeros: the kernel in which nearly all time goes.
//!
//! A tile is up to eight columns (see [`Sites`]) times a few vectors of output channels, all in registers. For each
//! tap of the window and each channel that is non-zero in some column, the weights of the tile's output channels are
//! loaded once and multiplied with each column's value: with 8 columns and 48 output channels, 3 loads and 8
//! broadcasts feed 24 fused multiply-adds. Each output sums `bias + tap 0 (channel 0, 1, ..) + tap 1 ..` one product
//! after the other, so tile shape and skipped zeros leave no trace in the bits.

use super::isa::for_each_isa;
use super::simd::Simd;
use super::{COLUMNS, Sites, pitch, simd};
use std::ops::Range;

/// Output channels whose weights lie together: the most that a tile of eight columns holds in AVX-512 registers.
pub(crate) const PANEL: usize = 48;

/// A convolution's weights, packed once for the kernel: `[panel][tap][channel][PANEL]`, missing outputs zero.
pub(crate) struct PackedWeights {
    outputs: usize,
    taps: usize,
    channels: usize,
    data: Vec<f32>,
    bias: Vec<f32>,
}

impl PackedWeights {
    /// Packs `[outputs][inputs][size][size]` weights into `taps` taps of `size * size * inputs / taps` channels each,
    /// numbered by row, column, input channel.
    pub(crate) fn new(
        weights: &[f32],
        bias: &[f32],
        inputs: usize,
        size: usize,
        taps: usize,
    ) -> PackedWeights {
        let outputs = bias.len();
        let products = inputs * size * size;
        assert_eq!(weights.len(), outputs * products);
        assert_eq!(products % taps, 0);
        let panels = outputs.div_ceil(PANEL);
        let mut data = vec![0.0; panels * products * PANEL];
        let area = size * size;
        for (panel, packed) in data.chunks_exact_mut(products * PANEL).enumerate() {
            for (lane, output) in (panel * PANEL..outputs.min((panel + 1) * PANEL)).enumerate() {
                let kernel = &weights[output * products..(output + 1) * products];
                for (input, plane) in kernel.chunks_exact(area).enumerate() {
                    for (place, &w) in plane.iter().enumerate() {
                        packed[(place * inputs + input) * PANEL + lane] = w;
                    }
                }
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(panels * PANEL, 0.0);
        PackedWeights { outputs, taps, channels: products / taps, data, bias: padded }
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of panels of [`PANEL`] output channels, the last one maybe narrower.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Ranges of panels whose weights stay in a core's second-level cache while all pixels are visited.
    pub(crate) fn cached_panels(&self) -> impl Iterator<Item = Range<usize>> {
        const CACHED_FLOATS: usize = 64 * 1024; // 256 kB of typically 1 MB: the next panels and the activations want the rest
        let panels = self.panels();
        let step = (CACHED_FLOATS / (self.taps * self.channels * PANEL)).clamp(1, 4);
        (0..panels).step_by(step).map(move |p| p..(p + step).min(panels))
    }
}

impl PackedWeights {
    /// Asks for a part of the weights of `panels` to be brought into the second-level cache: part `part` of `parts`. Called
    /// all along the work on the panels before, it hides that all weights together do not fit any nearby cache.
    pub(crate) fn prefetch(&self, panels: Range<usize>, part: usize, parts: usize) {
        let panel = self.taps * self.channels * PANEL;
        let end = panels.end.min(self.panels()) * panel;
        let start = panels.start * panel;
        if start >= end {
            return;
        }
        let lines = (end - start).div_ceil(16);
        for line in lines * part / parts..lines * (part + 1) / parts {
            simd::prefetch(&self.data[start + 16 * line]);
        }
    }
}

/// One place of the window that lies in the plane.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tap {
    /// Which tap of the weights.
    pub(crate) index: usize,
    /// Which site it reads.
    pub(crate) site: usize,
}

/// Where a sum starts and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// Starts at the bias; ReLU at the end.
    Relu,
    /// Starts at the bias.
    Start,
    /// Starts at 0 and is added to what is already there: the next part of a long sum.
    Continue,
}

/// What one call computes: the outputs of up to eight columns at the same place of the window.
pub(crate) struct Tile<'t> {
    /// The taps that lie in the plane, ascending.
    pub(crate) taps: &'t [Tap],
    /// Which of the sites' columns to compute.
    pub(crate) columns: &'t [usize],
    /// For each of them, where in `out` its first output channel goes.
    pub(crate) out: &'t [usize],
}

for_each_isa! {
    /// Computes the outputs in `panels` of a tile's columns: the sum over taps and non-zero channels, as `sum` says.
    /// Whole vectors are written: up to `pitch(outputs)` values a column.
    fn convolve_tile(
        sites: &Sites,
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
    sites: &Sites,
    weights: &PackedWeights,
    panels: Range<usize>,
    tile: &Tile<'_>,
    sum: Sum,
    out: &mut [f32],
) {
    let outputs = pitch(weights.outputs);
    assert!(panels.end <= weights.panels() && sites.channels() == weights.channels);
    assert!(tile.columns.len() == tile.out.len() && tile.columns.len() <= COLUMNS);
    for (&column, &start) in tile.columns.iter().zip(tile.out) {
        assert!(column < sites.columns() && start + outputs <= out.len());
    }
    let span = Span { first: panels.start * PANEL, end: outputs.min(panels.end * PANEL) };
    let out = out.as_mut_ptr();
    let mut at = 0;
    while at < tile.columns.len() {
        let count = (tile.columns.len() - at).min(S::TILE_COLUMNS);
        let (columns, starts) = (&tile.columns[at..at + count], &tile.out[at..at + count]);
        // SAFETY: asserted above: columns exist, output channels up to `outputs` fit behind each start.
        unsafe {
            match count {
                1 => run::<S, 1>(sites, weights, tile.taps, columns, starts, span, sum, out),
                2 => run::<S, 2>(sites, weights, tile.taps, columns, starts, span, sum, out),
                3 => run::<S, 3>(sites, weights, tile.taps, columns, starts, span, sum, out),
                4 => run::<S, 4>(sites, weights, tile.taps, columns, starts, span, sum, out),
                5 => run::<S, 5>(sites, weights, tile.taps, columns, starts, span, sum, out),
                6 => run::<S, 6>(sites, weights, tile.taps, columns, starts, span, sum, out),
                7 => run::<S, 7>(sites, weights, tile.taps, columns, starts, span, sum, out),
                _ => run::<S, 8>(sites, weights, tile.taps, columns, starts, span, sum, out),
            }
        }
        at += count;
    }
}

/// Output channels to compute, both multiples of 16.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    end: usize,
}

/// Covers the span with tiles of as many vectors as the registers hold beside `P` columns.
///
/// # Safety
/// As [`tile`], for all channels of the span.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn run<S: Simd, const P: usize>(
    sites: &Sites,
    weights: &PackedWeights,
    taps: &[Tap],
    columns: &[usize],
    starts: &[usize],
    span: Span,
    sum: Sum,
    out: *mut f32,
) {
    let block = 3 * S::LANES;
    let mut first = span.first;
    // SAFETY: passed on; each call stays below `span.end`.
    unsafe {
        if S::TILE_COLUMNS / P >= 4 {
            while first + 4 * block <= span.end {
                tile::<S, P, 4, 3>(sites, weights, taps, columns, starts, first, sum, out);
                first += 4 * block;
            }
        }
        if S::TILE_COLUMNS / P >= 2 {
            while first + 2 * block <= span.end {
                tile::<S, P, 2, 3>(sites, weights, taps, columns, starts, first, sum, out);
                first += 2 * block;
            }
        }
        while first + block <= span.end {
            tile::<S, P, 1, 3>(sites, weights, taps, columns, starts, first, sum, out);
            first += block;
        }
        match (span.end - first) / S::LANES {
            2 => tile::<S, P, 1, 2>(sites, weights, taps, columns, starts, first, sum, out),
            1 => tile::<S, P, 1, 1>(sites, weights, taps, columns, starts, first, sum, out),
            _ => {}
        }
    }
}

/// `P` columns times `B` blocks of `R` vectors of output channels from channel `first` on, in registers.
///
/// # Safety
/// The machine has the instruction set of `S`; `columns` and `starts` have `P` elements, columns of the sites and with
/// room in `out` for all channels; channels `first ..` for `B * R` vectors exist in the weights; if `B > 1`, `R` is 3.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // loops over constant bounds, which the compiler unrolls into registers
unsafe fn tile<S: Simd, const P: usize, const B: usize, const R: usize>(
    sites: &Sites,
    weights: &PackedWeights,
    taps: &[Tap],
    columns: &[usize],
    starts: &[usize],
    first: usize,
    sum: Sum,
    out: *mut f32,
) {
    debug_assert!(columns.len() == P && starts.len() == P && (B == 1 || R == 3));
    debug_assert!(first + B * R * S::LANES <= pitch(weights.outputs));
    let tap_stride = weights.channels * PANEL;
    let panel_stride = weights.taps * tap_stride;
    let block = 3 * S::LANES;
    // A block never straddles panels: PANEL is a multiple of `block` for 8 and 16 lanes, and `first` of `block`.
    debug_assert!(PANEL.is_multiple_of(block) && (first % PANEL).is_multiple_of(block));
    // SAFETY: all offsets lie in `data` and `bias`, which hold whole panels; kept channels are below `channels`, and each
    // column holds a value for each of them (invariants of `Sites`); `out` as the caller vouches.
    unsafe {
        let base: [*const f32; B] = std::array::from_fn(|b| {
            let channel = first + b * block;
            weights.data.as_ptr().add(channel / PANEL * panel_stride + channel % PANEL)
        });
        let mut acc: [[[S::V; R]; B]; P] = [std::array::from_fn(|b| {
            std::array::from_fn(|r| match sum {
                Sum::Continue => S::splat(0.0),
                _ => S::load(weights.bias.as_ptr().add(first + b * block + r * S::LANES)),
            })
        }); P];
        for tap in taps {
            debug_assert!(tap.index < weights.taps);
            let site = sites.site(tap.site);
            let x: [*const f32; P] = std::array::from_fn(|p| {
                site.values.as_ptr().add(*columns.get_unchecked(p) * site.kept.len())
            });
            let w: [*const f32; B] = std::array::from_fn(|b| base[b].add(tap.index * tap_stride));
            for (i, &channel) in site.kept.iter().enumerate() {
                let channel = channel as usize;
                debug_assert!(channel < weights.channels);
                let at = channel * PANEL;
                // Whichever of weights and values are fewer stay in registers while the others pass by.
                if P >= B * R {
                    let w: [[S::V; R]; B] = std::array::from_fn(|b| {
                        std::array::from_fn(|r| S::load(w[b].add(at + r * S::LANES)))
                    });
                    for p in 0..P {
                        let value = S::splat(*x[p].add(i));
                        for b in 0..B {
                            for r in 0..R {
                                acc[p][b][r] = S::fma(value, w[b][r], acc[p][b][r]);
                            }
                        }
                    }
                } else {
                    let value: [S::V; P] = std::array::from_fn(|p| S::splat(*x[p].add(i)));
                    for b in 0..B {
                        for r in 0..R {
                            let w = S::load(w[b].add(at + r * S::LANES));
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
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use proptest::prelude::*;

    /// A value generator of which most are zero, as activations are.
    fn activation() -> impl Strategy<Value = f32> + Clone {
        prop_oneof![2 => Just(0.0f32), 1 => 0.01f32..3.0]
    }

    #[derive(Clone, Debug)]
    struct Case {
        outputs: usize,
        channels: usize,
        taps: usize,
        /// `[tap][column][channel]`
        values: Vec<f32>,
        /// `[output][tap][channel]`
        weights: Vec<f32>,
        bias: Vec<f32>,
        columns: Vec<usize>,
    }

    fn case() -> impl Strategy<Value = Case> {
        // A window of `size` x `size` that is cut into `taps` taps; outputs around the panel and vector widths.
        let shape =
            (1usize..200, 1usize..40, prop_oneof![Just((1, 1)), Just((3, 9)), Just((3, 3)), Just((2, 1))]);
        shape.prop_flat_map(|(outputs, channels, (size, taps))| {
            let products = size * size * channels;
            (
                Just((outputs, products / taps, taps)),
                prop::collection::vec(activation(), products * COLUMNS),
                prop::collection::vec(-2.0f32..2.0, outputs * products),
                prop::collection::vec(-1.0f32..1.0, outputs),
                prop::sample::subsequence((0..COLUMNS).collect::<Vec<_>>(), 1..=COLUMNS),
            )
                .prop_map(|((outputs, channels, taps), values, weights, bias, columns)| Case {
                    outputs,
                    channels,
                    taps,
                    values,
                    weights,
                    bias,
                    columns,
                })
        })
    }

    impl Case {
        fn value(&self, tap: usize, column: usize) -> &[f32] {
            &self.values[(tap * COLUMNS + column) * self.channels..][..self.channels]
        }

        /// The definition: one fused multiply-add after the other, zeros included.
        fn expected(&self, column: usize, output: usize, sum: Sum) -> f32 {
            let mut acc = if sum == Sum::Continue { 0.0 } else { self.bias[output] };
            for tap in 0..self.taps {
                for (channel, &x) in self.value(tap, column).iter().enumerate() {
                    let w = self.weights[(output * self.taps + tap) * self.channels + channel];
                    acc = x.mul_add(w, acc);
                }
            }
            match sum {
                Sum::Relu => acc.max(0.0),
                Sum::Start => acc,
                Sum::Continue => 7.0 + acc,
            }
        }

        fn packed(&self) -> PackedWeights {
            // Taps and channels are already in the kernel's order, which is that of one input "pixel" a product.
            PackedWeights::new(&self.weights, &self.bias, self.taps * self.channels, 1, self.taps)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_instruction_set_sums_all_products_in_order(case in case(), sum in prop::sample::select(vec![Sum::Relu, Sum::Start, Sum::Continue])) {
            let packed = case.packed();
            let step = pitch(case.outputs);
            let starts: Vec<usize> = (0..case.columns.len()).map(|i| i * step).collect();
            let taps: Vec<Tap> = (0..case.taps).map(|i| Tap { index: i, site: i }).collect();
            for isa in Isa::all_available() {
                for dense in [false, true] {
                    let mut sites = Sites::default();
                    sites.clear(case.channels, COLUMNS);
                    for tap in 0..case.taps {
                        let columns: [&[f32]; COLUMNS] = std::array::from_fn(|c| case.value(tap, c));
                        if dense { sites.push_dense(&columns) } else { sites.push(isa, &columns) }
                    }
                    let tile = Tile { taps: &taps, columns: &case.columns, out: &starts };
                    let mut out = vec![7.0; step * case.columns.len()];
                    for panels in packed.cached_panels() {
                        convolve_tile(isa, &sites, &packed, panels, &tile, sum, &mut out);
                    }
                    for (i, &column) in case.columns.iter().enumerate() {
                        for output in 0..case.outputs {
                            let (got, want) = (out[i * step + output], case.expected(column, output, sum));
                            prop_assert_eq!(got.to_bits(), want.to_bits(), "{} {} {}", isa, column, output);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_the_asked_panels_are_written() {
        let packed = PackedWeights::new(&[1.0; 100 * 4], &[1.0; 100], 4, 1, 1);
        let column: &[f32] = &[1.0; 4];
        for isa in Isa::all_available() {
            let mut sites = Sites::default();
            sites.clear(4, 1);
            sites.push(isa, &[column]);
            let mut out = vec![-1.0; 3 + pitch(100) + 5];
            let tile = Tile { taps: &[Tap::default()], columns: &[0], out: &[3] };
            convolve_tile(isa, &sites, &packed, 1..2, &tile, Sum::Relu, &mut out);
            assert!(out[..3 + 48].iter().chain(&out[3 + 96..]).all(|&v| v == -1.0), "{isa}");
            assert!(out[3 + 48..3 + 96].iter().all(|&v| v == 5.0), "{isa}");
        }
    }

    #[test]
    #[should_panic]
    fn a_column_that_does_not_fit_is_refused() {
        let packed = PackedWeights::new(&[1.0; 20], &[1.0; 20], 1, 1, 1);
        let mut sites = Sites::default();
        sites.clear(1, 1);
        sites.push_dense(&[&[1.0]]);
        let tile = Tile { taps: &[Tap::default()], columns: &[0], out: &[1] };
        convolve_tile(Isa::detect(), &sites, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 32]);
    }
}
