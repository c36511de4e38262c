//! Convolution that skips zeros, of up to eight columns: the kernel to which most of a sweep's time goes.
//!
//! A tile is up to eight columns (see [`SparseActivations`]) times a few vectors of output channels, all in registers. For each
//! place of the window and each channel that is non-zero in some column, the weights of the tile's output channels are
//! loaded once and multiplied with each column's value: with 8 columns and 48 output channels, 3 loads and 8
//! broadcasts feed 24 fused multiply-adds. Each output sums `bias + place 0 (channel 0, 1, ..) + place 1 ..` one product
//! after the other, so tile shape and skipped zeros leave no trace in the bits.
//!
//! The places of a row of the window are one loop: their sites lie side by side (see [`SparseActivations`]), as their weights do.

use std::ops::Range;

use super::aligned::{AlignedBuf, pitch};
use super::isa::for_each_isa;
use super::simd::{self, BATCH, BatchValues, Simd};
use super::sparse::{SparseActivations, WindowRow};

/// The most output channels whose weights lie together: what a tile of eight columns holds in AVX-512 registers.
const PANEL: usize = 48;

/// A convolution's weights, packed once for the kernel: panel by panel `[product][width]`, missing outputs zero. An output's
/// products are numbered by row of the window, column, input channel.
pub(crate) struct PackedWeights {
    outputs: usize,
    k: usize,
    panels: Vec<Panel>,
    data: AlignedBuf,
    bias: AlignedBuf,
}

/// Output channels whose weights lie together.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// The first output channel.
    pub(super) first: usize,
    /// How many: [`PANEL`], then maybe one of 32 or 16 or two of 32.
    pub(super) width: usize,
    /// Where its weights begin.
    pub(super) start: usize,
}

impl PackedWeights {
    /// Packs `[outputs][inputs][size][size]` weights.
    pub(crate) fn new(weights: &[f32], bias: &[f32], inputs: usize, size: usize) -> PackedWeights {
        let outputs = bias.len();
        let area = size * size;
        let products = inputs * area;
        assert_eq!(weights.len(), outputs * products);
        let panels = panels(outputs, products);
        let mut data = AlignedBuf::zeros(pitch(outputs) * products);
        for panel in &panels {
            for output in panel.first..outputs.min(panel.first + panel.width) {
                let kernel = &weights[output * products..(output + 1) * products];
                for (input, plane) in kernel.chunks_exact(area).enumerate() {
                    for (place, &w) in plane.iter().enumerate() {
                        let product = place * inputs + input;
                        data[panel.start + product * panel.width + output - panel.first] = w;
                    }
                }
            }
        }
        let mut padded = AlignedBuf::zeros(outputs);
        padded[..outputs].copy_from_slice(bias);
        PackedWeights { outputs, k: products, panels, data, bias: padded }
    }

    /// Output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.panels.len()
    }

    /// The output channels of some panels.
    pub(crate) fn channels(&self, panels: Range<usize>) -> Range<usize> {
        let Panel { first, width, .. } = self.panels[panels.end - 1];
        self.panels[panels.start].first..self.outputs.min(first + width)
    }

    /// Multiply-adds of an output.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The weights of one output, unpacked: product after product.
    pub(crate) fn weights_of(&self, output: usize) -> impl Iterator<Item = f32> {
        let panel = self.panels.iter().rfind(|panel| panel.first <= output).expect("the first begins at 0");
        let column = panel.start + output - panel.first;
        (0..self.k).map(move |product| self.data[column + product * panel.width])
    }

    pub(super) fn panel(&self, panel: usize) -> Panel {
        self.panels[panel]
    }

    pub(super) fn data_and_bias(&self) -> (&[f32], &[f32]) {
        (&self.data, &self.bias)
    }

    /// All panels, in sets of up to three whose sums fit AVX-512 registers for two columns: two of the full width and what is
    /// left over, for few sums at a time wait for each other.
    pub(crate) fn sets(&self) -> Vec<Range<usize>> {
        let full = self.panels.iter().take_while(|panel| panel.width == PANEL).count();
        let all = self.panels.len();
        let mut starts: Vec<usize> = (0..full).step_by(2).collect();
        match all - full {
            // A full one alone goes with the two before.
            0 if full % 2 == 1 && full > 1 => drop(starts.pop()),
            2 if full.is_multiple_of(2) => starts.push(full),
            _ if full == 0 => starts.push(0),
            _ => {}
        }
        let ends = starts[1..].iter().copied().chain([all]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Ranges of panels whose weights stay in a core's second-level cache while all pixels are visited.
    pub(crate) fn cached_panels(&self) -> impl Iterator<Item = Range<usize>> {
        const CACHED_FLOATS: usize = 64 * 1024; // 256 kB of typically 1 MB: the next panels and the activations want the rest
        let panels = self.panels();
        let step = (CACHED_FLOATS / (self.k * PANEL)).clamp(1, 4);
        (0..panels).step_by(step).map(move |p| p..(p + step).min(panels))
    }

    /// Asks for a part of the weights of `panels` to be brought into the second-level cache: part `part` of `parts`. Called
    /// all along the work on the panels before, it hides that all weights together do not fit any nearby cache.
    pub(crate) fn prefetch(&self, panels: Range<usize>, part: usize, parts: usize) {
        let start_of = |panel: usize| self.panels.get(panel).map_or(self.data.len(), |panel| panel.start);
        self.prefetch_data(start_of(panels.start)..start_of(panels.end), part, parts);
    }

    /// The same for some products of a panel.
    #[inline(always)]
    pub(super) fn prefetch_products(&self, panel: Panel, products: Range<usize>, part: usize, parts: usize) {
        let at = |product: usize| panel.start + product * panel.width;
        self.prefetch_data(at(products.start)..at(products.end), part, parts);
    }

    #[inline(always)]
    fn prefetch_data(&self, range: Range<usize>, part: usize, parts: usize) {
        let lines = range.len() / 16;
        for line in lines * part / parts..lines * (part + 1) / parts {
            simd::prefetch(&self.data[range.start + 16 * line]);
        }
    }
}

/// Panels of [`PANEL`] channels, as many as there are vectors of 16 for. One vector left over would be a tile with few
/// sums to work on at a time, half as fast: rather two panels of two vectors.
fn panels(outputs: usize, products: usize) -> Vec<Panel> {
    let vectors = outputs.div_ceil(16);
    let mut widths = vec![3; vectors / 3];
    match vectors % 3 {
        1 if vectors > 3 => widths.splice(vectors / 3 - 1.., [2, 2]).for_each(drop),
        0 => {}
        rest => widths.push(rest),
    }
    let mut first = 0;
    let panel = |vectors: usize| {
        let panel = Panel { first, width: 16 * vectors, start: first * products };
        first += panel.width;
        panel
    };
    widths.into_iter().map(panel).collect()
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
    /// The rows of the window that lie in the plane, ascending.
    pub(crate) runs: &'t [WindowRow],
    /// Which of the sites' columns to compute.
    pub(crate) columns: &'t [usize],
    /// For each of them, where in `out` its first output channel goes.
    pub(crate) out: &'t [usize],
}

for_each_isa! {
    /// Computes the outputs in `panels` of a tile's columns: the sum over the window's non-zero channels, as `sum` says.
    /// Whole vectors are written: up to `pitch(outputs)` values a column.
    fn convolve_tile(
        sites: &SparseActivations,
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
    sites: &SparseActivations,
    weights: &PackedWeights,
    panels: Range<usize>,
    tile: &Tile<'_>,
    sum: Sum,
    out: &mut [f32],
) {
    let outputs = pitch(weights.outputs);
    assert!(panels.end <= weights.panels());
    assert!(tile.columns.len() == tile.out.len() && tile.columns.len() <= BATCH);
    for (&column, &start) in tile.columns.iter().zip(tile.out) {
        assert!(column < sites.columns() && start + outputs <= out.len());
    }
    let panels = &weights.panels[panels];
    let out = out.as_mut_ptr();
    let mut at = 0;
    while at < tile.columns.len() {
        let count = (tile.columns.len() - at).min(S::TILE_POSITIONS);
        let (columns, starts) = (&tile.columns[at..at + count], &tile.out[at..at + count]);
        // SAFETY: asserted above: columns exist, output channels up to `outputs` fit behind each start.
        unsafe {
            match count {
                1 => run::<S, 1>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                2 => run::<S, 2>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                3 => run::<S, 3>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                4 => run::<S, 4>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                5 => run::<S, 5>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                6 => run::<S, 6>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                7 => run::<S, 7>(sites, weights, tile.runs, columns, starts, panels, sum, out),
                _ => run::<S, 8>(sites, weights, tile.runs, columns, starts, panels, sum, out),
            }
        }
        at += count;
    }
}

/// Covers the panels with tiles of as many vectors as the registers hold beside `P` columns.
///
/// # Safety
/// As [`tile`], for all channels of the panels.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn run<S: Simd, const P: usize>(
    sites: &SparseActivations,
    weights: &PackedWeights,
    runs: &[WindowRow],
    columns: &[usize],
    starts: &[usize],
    panels: &[Panel],
    sum: Sum,
    out: *mut f32,
) {
    // Panels of the full width come first.
    let full = panels.iter().take_while(|panel| panel.width == PANEL).count();
    let block = 3 * S::LANES;
    let mut first = panels[0].first;
    let end = first + full * PANEL;
    // SAFETY: passed on; each call stays below `end`, or in the panel.
    unsafe {
        if S::TILE_POSITIONS / P >= 4 {
            while first + 4 * block <= end {
                tile::<S, P, 4, 3, PANEL>(sites, weights, runs, columns, starts, first, sum, out);
                first += 4 * block;
            }
        }
        if S::TILE_POSITIONS / P >= 2 {
            while first + 2 * block <= end {
                tile::<S, P, 2, 3, PANEL>(sites, weights, runs, columns, starts, first, sum, out);
                first += 2 * block;
            }
        }
        while first < end {
            tile::<S, P, 1, 3, PANEL>(sites, weights, runs, columns, starts, first, sum, out);
            first += block;
        }
        for panel in &panels[full..] {
            let mut first = panel.first;
            if panel.width == 16 && S::LANES == 16 {
                tile::<S, P, 1, 1, 16>(sites, weights, runs, columns, starts, first, sum, out);
            } else if panel.width == 16 {
                tile::<S, P, 1, 2, 16>(sites, weights, runs, columns, starts, first, sum, out);
            } else {
                while first < panel.first + panel.width {
                    tile::<S, P, 1, 2, 32>(sites, weights, runs, columns, starts, first, sum, out);
                    first += 2 * S::LANES;
                }
            }
        }
    }
}

/// `P` columns times `B` blocks of `R` vectors of output channels from channel `first` on, in registers; `W` is the width of
/// their panels.
///
/// # Safety
/// The machine has the instruction set of `S`; `columns` and `starts` have `P` elements, columns of the sites and with
/// room in `out` for all channels; channels `first ..` for `B * R` vectors lie in panels of width `W`, blocks not across two.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // loops over constant bounds, which the compiler unrolls into registers
unsafe fn tile<S: Simd, const P: usize, const B: usize, const R: usize, const W: usize>(
    sites: &SparseActivations,
    weights: &PackedWeights,
    runs: &[WindowRow],
    columns: &[usize],
    starts: &[usize],
    first: usize,
    sum: Sum,
    out: *mut f32,
) {
    debug_assert!(columns.len() == P && starts.len() == P);
    debug_assert!(first + B * R * S::LANES <= pitch(weights.outputs));
    let block = R * S::LANES;
    // All panels before this one have the full width, or the same as this one.
    let panel =
        weights.panels.iter().rfind(|panel| panel.first <= first).expect("the first panel begins at 0");
    debug_assert!(panel.width == W && W.is_multiple_of(block) && (first - panel.first).is_multiple_of(block));
    // SAFETY: all offsets lie in `data` and `bias`, which hold whole panels, for the products of each run are asserted to
    // exist: entries ascend (invariant of `SparseActivations`), so that the first and the last speak for all. `out` as the caller vouches.
    unsafe {
        let base: [*const f32; B] = std::array::from_fn(|b| {
            let channel = first - panel.first + b * block;
            weights.data.as_ptr().add(panel.start + channel / W * W * weights.k + channel % W)
        });
        let mut acc: [[[S::V; R]; B]; P] = [std::array::from_fn(|b| {
            std::array::from_fn(|r| match sum {
                Sum::Continue => S::splat(0.0),
                _ => S::load(weights.bias.as_ptr().add(first + b * block + r * S::LANES)),
            })
        }); P];
        for run in runs {
            let (entries, values) = sites.run(&run.sites);
            let (Some(&least), Some(&most)) = (entries.first(), entries.last()) else { continue };
            let product = |entry: u32| (entry as usize).wrapping_add_signed(run.shift);
            assert!(product(least) <= product(most) && product(most) < weights.k);
            let x: [*const BatchValues; P] =
                std::array::from_fn(|p| values.as_ptr().cast::<f32>().add(*columns.get_unchecked(p)).cast());
            for (i, &entry) in entries.iter().enumerate() {
                debug_assert!(product(entry) < weights.k);
                let at = product(entry) * W;
                // Whichever of weights and values are fewer stay in registers while the others pass by.
                if P >= B * R {
                    let w: [[S::V; R]; B] = std::array::from_fn(|b| {
                        std::array::from_fn(|r| S::load(base[b].add(at + r * S::LANES)))
                    });
                    for p in 0..P {
                        let value = S::splat(*x[p].add(i).cast());
                        for b in 0..B {
                            for r in 0..R {
                                acc[p][b][r] = S::fma(value, w[b][r], acc[p][b][r]);
                            }
                        }
                    }
                } else {
                    let value: [S::V; P] = std::array::from_fn(|p| S::splat(*x[p].add(i).cast()));
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
        /// Rows of the window, sites in each, channels.
        rows: usize,
        width: usize,
        channels: usize,
        outputs: usize,
        columns: Vec<usize>,
        /// Where in its row the window begins.
        first_place: usize,
        seed: u32,
    }

    fn case() -> impl Strategy<Value = Case> {
        // Outputs around the panel and vector widths.
        let shape = (1usize..200, 1usize..40, 1usize..4, 1usize..4);
        let columns = prop::sample::subsequence((0..BATCH).collect::<Vec<_>>(), 1..=BATCH);
        (shape, columns, 0usize..3, any::<u32>()).prop_map(
            |((outputs, channels, rows, width), columns, first_place, seed)| Case {
                rows,
                width,
                channels,
                outputs,
                columns,
                first_place,
                seed,
            },
        )
    }

    /// Against the definition: one fused multiply-add after the other, zeros included.
    fn assert_sums_all_products_in_order(case: &Case, sum: Sum) {
        let Case { rows, width, channels, outputs, first_place, .. } = *case;
        let mut values = test::values(case.seed);
        let products = rows * width * channels;
        // [row][site][column][channel], most of them zero, as activations are.
        let activations: Vec<f32> =
            (0..products * BATCH).map(|_| if values() < 0.3 { 0.0 } else { values() + 1.01 }).collect();
        let activations =
            |site: usize, column: usize| &activations[(site * BATCH + column) * channels..][..channels];
        // The products are in the kernel's order already, which is that of a 1x1 window with as many inputs.
        let weights: Vec<f32> = (0..outputs * products).map(|_| values()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| values()).collect();
        let packed = PackedWeights::new(&weights, &bias, products, 1);
        let step = pitch(outputs);
        let starts: Vec<usize> = (0..case.columns.len()).map(|i| i * step).collect();
        // Windows need not begin where their row does.
        let runs: Vec<WindowRow> = (0..rows)
            .map(|row| WindowRow {
                sites: row * width..(row + 1) * width,
                shift: (row * width) as isize * channels as isize - (first_place * channels) as isize,
            })
            .collect();
        for isa in Isa::all_available() {
            let mut sites = SparseActivations::default();
            sites.clear(BATCH);
            for site in 0..rows * width {
                let columns: [&[f32]; BATCH] = std::array::from_fn(|c| activations(site, c));
                sites.push_pixel(isa, (first_place + site % width) * channels, &columns);
            }
            let tile = Tile { runs: &runs, columns: &case.columns, out: &starts };
            let mut out = vec![7.0; step * case.columns.len()];
            for panels in packed.cached_panels() {
                convolve_tile(isa, &sites, &packed, panels, &tile, sum, &mut out);
            }
            for (i, &column) in case.columns.iter().enumerate() {
                for output in 0..outputs {
                    let start = if sum == Sum::Continue { 0.0 } else { bias[output] };
                    let inputs = (0..rows * width).flat_map(|site| activations(site, column));
                    let pairs = inputs.zip(&weights[output * products..]);
                    let all = pairs.fold(start, |sum, (x, &w)| x.mul_add(w, sum));
                    let want = match sum {
                        Sum::Relu => all.max(0.0),
                        Sum::Start => all,
                        Sum::Continue => 7.0 + all,
                    };
                    let got = out[i * step + output];
                    assert_eq!(got.to_bits(), want.to_bits(), "{isa} {column} {output} of {case:?}");
                }
            }
        }
    }

    // Miri would interpret them for hours; the edges below have each path of the kernel in small.
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

    /// Panels of each width, full and with room left over; each number of columns; channels around the eight that are looked
    /// at together.
    #[test]
    fn sums_are_right_at_the_edges_of_vectors_panels_and_columns() {
        for (i, outputs) in [1, 15, 16, 17, 33, 48, 49, 64, 97, 192].into_iter().enumerate() {
            // All numbers of columns with each; under Miri, which takes a thousand times as long, two.
            for count in (1..=BATCH).filter(|count| !cfg!(miri) || (count + 3 * i).is_multiple_of(4)) {
                let i = i + count;
                let sum = [Sum::Relu, Sum::Start, Sum::Continue][i % 3];
                let (channels, columns) = ([1, 7, 8, 9][i % 4], (BATCH - count..BATCH).collect());
                let shape = Case {
                    rows: 1 + i % 2,
                    width: 2,
                    channels,
                    outputs,
                    columns,
                    first_place: i % 3,
                    seed: 9,
                };
                assert_sums_all_products_in_order(&shape, sum);
            }
        }
    }

    #[test]
    fn packed_weights_are_read_back() {
        // Panels of each width, some with room left over.
        for outputs in [1, 20, 48, 64, 80, 112, 1000] {
            let weights: Vec<f32> = (0..outputs * 3).map(|i| i as f32).collect();
            let packed = PackedWeights::new(&weights, &vec![0.0; outputs], 3, 1);
            for (output, row) in weights.chunks(3).enumerate() {
                assert_eq!(packed.weights_of(output).collect::<Vec<_>>(), row, "{output} of {outputs}");
            }
        }
    }

    #[cfg(not(miri))] // no unsafe code
    proptest! {
        #[test]
        fn panels_and_sets_cover_all_outputs_once(outputs in 1usize..1100) {
            let weights = PackedWeights::new(&vec![0.0; outputs], &vec![0.0; outputs], 1, 1);
            let mut end = 0;
            for panel in &weights.panels {
                prop_assert!(panel.first == end && panel.start == end && [16, 32, PANEL].contains(&panel.width));
                end += panel.width;
            }
            prop_assert_eq!(end, pitch(outputs));
            prop_assert_eq!(weights.channels(0..weights.panels()), 0..outputs);
            let mut next = 0;
            for set in weights.sets() {
                prop_assert!(set.start == next && (1..=3).contains(&set.len()));
                next = set.end;
            }
            prop_assert_eq!(next, weights.panels());
        }
    }

    /// Four ones in one column, and a window over them.
    fn ones() -> (SparseActivations, WindowRow) {
        let mut sites = SparseActivations::default();
        sites.clear(1);
        sites.push_pixel(Isa::Scalar, 0, &[&[1.0; 4]]);
        (sites, WindowRow { sites: 0..1, shift: 0 })
    }

    #[test]
    fn only_the_asked_panels_are_written() {
        let packed = PackedWeights::new(&[1.0; 100 * 4], &[1.0; 100], 4, 1);
        let (sites, run) = ones();
        for isa in Isa::all_available() {
            let mut out = vec![-1.0; 3 + pitch(100) + 5];
            let tile = Tile { runs: std::slice::from_ref(&run), columns: &[0], out: &[3] };
            convolve_tile(isa, &sites, &packed, 1..2, &tile, Sum::Relu, &mut out);
            assert_eq!(packed.channels(1..2), 48..80);
            assert!(out[..3 + 48].iter().chain(&out[3 + 80..]).all(|&v| v == -1.0), "{isa}");
            assert!(out[3 + 48..3 + 80].iter().all(|&v| v == 5.0), "{isa}");
        }
    }

    #[test]
    #[should_panic]
    fn a_column_that_does_not_fit_is_refused() {
        let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
        let (sites, run) = ones();
        let tile = Tile { runs: &[run], columns: &[0], out: &[1] };
        convolve_tile(Isa::detect(), &sites, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 32]);
    }

    #[test]
    #[should_panic]
    fn products_that_do_not_exist_are_refused() {
        let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
        let (sites, run) = ones();
        let tile = Tile { runs: &[WindowRow { shift: 1, ..run }], columns: &[0], out: &[0] };
        convolve_tile(Isa::detect(), &sites, &packed, 0..1, &tile, Sum::Relu, &mut [0.0; 64]);
    }
}
