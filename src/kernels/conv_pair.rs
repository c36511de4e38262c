//! Convolution of two columns side by side, with weights from the first-level cache.
//!
//! The fewer columns share a list of channels, the fewer products with a zero are carried out: two neighbouring pixels, or
//! the same pixel of two mask positions, have few zeros that are not common. But two columns use a weight only
//! twice, and the second-level cache cannot deliver a vector of weights for every two multiply-adds. So the weights are
//! taken in blocks that fit the first-level cache ([`BLOCK`]): a block meets all items before the next one does, and the
//! sums wait in the output in between. Storing and loading them again takes no bit away, and each output still sums
//! its products in the same order as everywhere (see [`convolve_tile`](crate::kernels::convolve_tile)).

use std::ops::Range;

use super::aligned::pitch;
use super::conv_batch::{PackedWeights, Panel};
use super::isa::{Isa, for_each_isa};
use super::simd::Simd;

/// The non-zero values of a row of sites, each a pair of columns; a channel is kept where either is not zero.
///
/// Invariants, which the kernel relies on: `starts` ascends from 0 to the number of values, and the entries from `starts[i]` to
/// `starts[i + 1]` are at least `8 * i` and below `8 * i + 8`.
#[derive(Default)]
pub(crate) struct PairRow {
    /// The number of values before each eight channels of the row, and of all.
    starts: Vec<u32>,
    /// Where in the row each value is: `site * channels + channel`, ascending.
    entries: Vec<u32>,
    values: Vec<[f32; 2]>,
}

impl PairRow {
    /// Forgets all sites, but not their memory.
    pub(crate) fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.entries.clear();
        self.values.clear();
    }

    /// Adds a site; a multiple of eight channels.
    pub(crate) fn push(&mut self, isa: Isa, columns: [&[f32]; 2]) {
        push(isa, self, columns);
    }
}

/// A convolution with stride 1.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'i> {
    pub(crate) rows: &'i [PairRow],
    /// SparseActivations in each row, and channels of each.
    pub(crate) sites: usize,
    pub(crate) channels: usize,
    /// The window, as many rows as sites.
    pub(crate) window: usize,
    pub(crate) weights: &'i PackedWeights,
}

/// Where a window reads and where its sums go.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    /// The window's first row and site; places outside the rows are zero.
    pub(crate) y: isize,
    pub(crate) site: isize,
    /// Where the outputs of the first column go ..
    pub(crate) out: usize,
    /// .. and of the second, if it is asked for.
    pub(crate) second: Option<usize>,
}

/// Weights of a block: three quarters of a first-level cache of 32 kB.
const BLOCK: usize = 6 * 1024;

impl Pairs<'_> {
    /// Computes the output channels in `panels` (a set of [`PackedWeights::sets`]) of some items.
    pub(crate) fn convolve(&self, isa: Isa, panels: Range<usize>, items: &[Item], out: &mut [f32]) {
        let row_products = self.window * self.channels;
        assert!(self.weights.k() == self.window * row_products && self.channels.is_multiple_of(8));
        assert!(self.rows.iter().all(|row| row.starts.len() == self.sites * self.channels / 8 + 1));
        let end = pitch(self.weights.channels(panels.clone()).end);
        let fits = |item: &Item| item.out.max(item.second.unwrap_or(0)) + end <= out.len();
        assert!(items.iter().all(fits), "an output does not fit");
        let width: usize = panels.clone().map(|panel| self.weights.panel(panel).width).sum();
        let blocks = row_products.div_ceil((BLOCK / width).next_multiple_of(8));
        let length = row_products.div_ceil(blocks).next_multiple_of(8);
        for row in 0..self.window {
            for start in (0..row_products).step_by(length) {
                let end = row_products.min(start + length);
                let block = Block {
                    row,
                    products: start..end,
                    is_first: row == 0 && start == 0,
                    is_last: row + 1 == self.window && end == row_products,
                };
                // The products of the block that follows.
                let next = row * row_products + end;
                let next = next..(next + length).min(self.weights.k());
                convolve_block(isa, self, panels.clone(), &block, items, out, next);
            }
        }
    }

    /// Multiply-adds of all output channels of some items.
    pub(crate) fn macs(&self, items: &[Item]) -> u64 {
        let whole = 0..self.window * self.channels;
        let mut products = 0;
        for item in items {
            let columns = 1 + usize::from(item.second.is_some());
            for row in 0..self.window {
                products += columns * self.run(item, row, &whole).1.len();
            }
        }
        (products * self.weights.outputs()) as u64
    }

    /// The values that a part of a window's row meets: the row, which of its values, and what to add to an entry for the
    /// product. Products that the list does not reach are left out.
    #[inline(always)]
    fn run(&self, item: &Item, row: usize, products: &Range<usize>) -> (&PairRow, Range<usize>, isize) {
        let y = item.y + row as isize;
        if y < 0 || y >= self.rows.len() as isize {
            return (&self.rows[0], 0..0, 0);
        }
        let list = &self.rows[y as usize];
        // All in eights of channels.
        let channels = (self.channels / 8) as isize;
        let first = item.site * channels;
        let clip = |at: usize| (first + (at / 8) as isize).clamp(0, self.sites as isize * channels) as usize;
        let range = list.starts[clip(products.start)] as usize..list.starts[clip(products.end)] as usize;
        (list, range, (row * self.window) as isize * self.channels as isize - 8 * first)
    }
}

/// A part of the products of some panels.
pub(crate) struct Block {
    row: usize,
    /// Products of the window's row.
    products: Range<usize>,
    /// Whether sums begin here, at the bias, and whether they end, with ReLU.
    is_first: bool,
    is_last: bool,
}

for_each_isa! {
    /// [`PairRow::push`].
    fn push(row: &mut PairRow, columns: [&[f32]; 2]) => push_generic
}

for_each_isa! {
    /// Adds the products of a block to the sums of some items, and asks for the weights of the `next` products.
    fn convolve_block(
        pairs: &Pairs,
        panels: Range<usize>,
        block: &Block,
        items: &[Item],
        out: &mut [f32],
        next: Range<usize>,
    ) => convolve_block_generic
}

/// # Safety
/// The machine has the instruction set of `S` (this and those below).
#[inline(always)]
unsafe fn push_generic<S: Simd>(row: &mut PairRow, columns: [&[f32]; 2]) {
    let channels = columns[0].len();
    assert!(channels.is_multiple_of(8) && columns[1].len() == channels);
    let mut entry = (row.starts.len() - 1) * 8;
    assert!(entry + channels <= u32::MAX as usize);
    row.starts.reserve(channels / 8);
    // WorkspaceSize for all, and for what the last step writes beyond.
    row.entries.reserve(channels + 8);
    row.values.reserve(channels + 8);
    let mut count = row.entries.len();
    // SAFETY: a step reads eight values of each column and writes eight entries, of which `count` grows by those kept: room for
    // all and eight more is reserved, and for a start a step.
    unsafe {
        let starts = row.starts.as_mut_ptr().add(row.starts.len());
        let (entries, values) = (row.entries.as_mut_ptr(), row.values.as_mut_ptr());
        for step in 0..channels / 8 {
            let at = columns.map(|column| column.as_ptr().add(8 * step));
            count += S::keep_pair(at, entry as u32, entries.add(count), values.add(count));
            starts.add(step).write(count as u32);
            entry += 8;
        }
        row.starts.set_len(row.starts.len() + channels / 8);
        row.entries.set_len(count);
        row.values.set_len(count);
    }
}

#[inline(always)]
unsafe fn convolve_block_generic<S: Simd>(
    pairs: &Pairs,
    panels: Range<usize>,
    block: &Block,
    items: &[Item],
    out: &mut [f32],
    next: Range<usize>,
) {
    // Sums of a set of panels fit the registers of AVX-512, those of one panel the others'.
    let at_once = if S::LANES == 16 { 3 } else { 1 };
    for start in panels.clone().step_by(at_once) {
        let panels = start..panels.end.min(start + at_once);
        let vectors =
            |i: usize| panels.clone().nth(i).map_or(0, |panel| pairs.weights.panel(panel).width / S::LANES);
        // SAFETY: passed on.
        unsafe {
            match (vectors(0), vectors(1), vectors(2)) {
                (1, 0, 0) => each::<S, 1, 0, 0>(pairs, panels, block, items, out, next.clone()),
                (2, 0, 0) => each::<S, 2, 0, 0>(pairs, panels, block, items, out, next.clone()),
                (3, 0, 0) => each::<S, 3, 0, 0>(pairs, panels, block, items, out, next.clone()),
                (4, 0, 0) => each::<S, 4, 0, 0>(pairs, panels, block, items, out, next.clone()),
                (6, 0, 0) => each::<S, 6, 0, 0>(pairs, panels, block, items, out, next.clone()),
                (2, 2, 0) => each::<S, 2, 2, 0>(pairs, panels, block, items, out, next.clone()),
                (3, 2, 0) => each::<S, 3, 2, 0>(pairs, panels, block, items, out, next.clone()),
                (3, 3, 0) => each::<S, 3, 3, 0>(pairs, panels, block, items, out, next.clone()),
                (3, 2, 2) => each::<S, 3, 2, 2>(pairs, panels, block, items, out, next.clone()),
                (3, 3, 2) => each::<S, 3, 3, 2>(pairs, panels, block, items, out, next.clone()),
                (3, 3, 3) => each::<S, 3, 3, 3>(pairs, panels, block, items, out, next.clone()),
                other => unreachable!("no set has panels of {other:?} vectors"),
            }
        }
    }
}

/// The items one after the other, with `A`, `B` and `C` vectors of output channels in as many panels.
///
/// # Safety
/// The machine has the instruction set of `S`, and `Pairs::convolve` has asserted that items, products and outputs exist.
#[inline(always)]
unsafe fn each<S: Simd, const A: usize, const B: usize, const C: usize>(
    pairs: &Pairs,
    panels: Range<usize>,
    block: &Block,
    items: &[Item],
    out: &mut [f32],
    next: Range<usize>,
) {
    let panel = |i: usize| pairs.weights.panel((panels.start + i).min(panels.end - 1));
    let there = panels.len();
    let panels = [panel(0), panel(1), panel(2)];
    for (i, item) in items.iter().enumerate() {
        // Along the way, a part of the weights that come next: all weights together do not fit the second-level cache.
        for panel in &panels[..there] {
            pairs.weights.prefetch_products(*panel, next.clone(), i, items.len());
        }
        let (row, range, shift) = pairs.run(item, block.row, &block.products);
        // SAFETY: `starts` counts values, so that the range is one of entries and of values; the rest is passed on.
        unsafe {
            debug_assert!(range.start <= range.end && range.end <= row.entries.len());
            let entries = row.entries.get_unchecked(range.clone());
            let values = row.values.as_ptr().add(range.start).cast::<f32>();
            let out = out.as_mut_ptr();
            match item.second {
                Some(second) => {
                    let out = [out.add(item.out), out.add(second)];
                    sums::<S, 2, A, B, C>(pairs.weights, panels, block, entries, shift, values, out);
                }
                None => {
                    let out = [out.add(item.out)];
                    sums::<S, 1, A, B, C>(pairs.weights, panels, block, entries, shift, values, out);
                }
            }
        }
    }
}

/// Adds a block's products to the sums of `P` columns, whose values are the first `P` of each two.
///
/// # Safety
/// As [`each`]; there are two values for each entry, and `entry + shift` is a product.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // loops over constant bounds, which the compiler unrolls into registers
unsafe fn sums<S: Simd, const P: usize, const A: usize, const B: usize, const C: usize>(
    weights: &PackedWeights,
    panels: [Panel; 3],
    block: &Block,
    entries: &[u32],
    shift: isize,
    values: *const f32,
    out: [*mut f32; P],
) {
    let (data, bias) = weights.data_and_bias();
    // SAFETY: the caller vouches for products and outputs. Panels that are not there have no vectors.
    unsafe {
        let places = panels.map(|panel| panel.first);
        let mut a = [[S::splat(0.0); A]; P];
        let mut b = [[S::splat(0.0); B]; P];
        let mut c = [[S::splat(0.0); C]; P];
        for p in 0..P {
            let from = if block.is_first { bias.as_ptr() } else { out[p].cast_const() };
            for r in 0..A {
                a[p][r] = S::load(from.add(places[0] + r * S::LANES));
            }
            for r in 0..B {
                b[p][r] = S::load(from.add(places[1] + r * S::LANES));
            }
            for r in 0..C {
                c[p][r] = S::load(from.add(places[2] + r * S::LANES));
            }
        }
        let [data_a, data_b, data_c] = panels.map(|panel| data.as_ptr().add(panel.start));
        for (i, &entry) in entries.iter().enumerate() {
            let at = (entry as usize).wrapping_add_signed(shift);
            debug_assert!(at < weights.k());
            let mut value = [S::splat(0.0); P];
            for p in 0..P {
                value[p] = S::splat(*values.add(2 * i + p));
            }
            for r in 0..A {
                let w = S::load(data_a.add((at * A + r) * S::LANES));
                for p in 0..P {
                    a[p][r] = S::fma(value[p], w, a[p][r]);
                }
            }
            for r in 0..B {
                let w = S::load(data_b.add((at * B + r) * S::LANES));
                for p in 0..P {
                    b[p][r] = S::fma(value[p], w, b[p][r]);
                }
            }
            for r in 0..C {
                let w = S::load(data_c.add((at * C + r) * S::LANES));
                for p in 0..P {
                    c[p][r] = S::fma(value[p], w, c[p][r]);
                }
            }
        }
        for p in 0..P {
            for r in 0..A {
                let sum = if block.is_last { S::relu(a[p][r]) } else { a[p][r] };
                S::store(sum, out[p].add(places[0] + r * S::LANES));
            }
            for r in 0..B {
                let sum = if block.is_last { S::relu(b[p][r]) } else { b[p][r] };
                S::store(sum, out[p].add(places[1] + r * S::LANES));
            }
            for r in 0..C {
                let sum = if block.is_last { S::relu(c[p][r]) } else { c[p][r] };
                S::store(sum, out[p].add(places[2] + r * S::LANES));
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

    #[derive(Clone, Debug)]
    struct Case {
        /// Rows, sites of each row, channels of each site.
        shape: [usize; 3],
        window: usize,
        outputs: usize,
        seed: u32,
        /// Row, site, whether the second column is asked for.
        items: Vec<(isize, isize, bool)>,
    }

    fn case() -> impl Strategy<Value = Case> {
        let shape = (1usize..5, 1usize..6, 1usize..12);
        (shape, 1usize..4, 1usize..300, any::<u32>()).prop_flat_map(
            |((rows, sites, eighths), window, outputs, seed)| {
                let item = (-2isize..=rows as isize + 1, -2isize..=sites as isize + 1, any::<bool>());
                let shape = [rows, sites, 8 * eighths];
                prop::collection::vec(item, 0..12).prop_map(move |items| Case {
                    shape,
                    window,
                    outputs,
                    seed,
                    items,
                })
            },
        )
    }

    fn assert_sums_all_products_in_order(case: &Case) {
        let [height, sites, channels] = case.shape;
        let mut value = test::values(case.seed);
        // [row][site][column][channel]
        let values: Vec<f32> =
            (0..height * sites * 2 * channels).map(|_| if value() < 0.3 { 0.0 } else { value() }).collect();
        let column = |y: usize, site: usize, column: usize| {
            &values[((y * sites + site) * 2 + column) * channels..][..channels]
        };
        let products = case.window * case.window * channels;
        // In the kernel's order, which is that of a 1x1 window with as many inputs.
        let kernels: Vec<f32> = (0..case.outputs * products).map(|_| value()).collect();
        let bias: Vec<f32> = (0..case.outputs).map(|_| value()).collect();
        let weights = PackedWeights::new(&kernels, &bias, products, 1);
        let step = pitch(case.outputs) + 3;
        let items: Vec<Item> = case
            .items
            .iter()
            .enumerate()
            .map(|(i, &(y, site, both))| Item {
                y,
                site,
                out: 2 * i * step,
                second: both.then_some((2 * i + 1) * step),
            })
            .collect();
        for isa in Isa::all_available() {
            let mut rows: Vec<PairRow> = Vec::new();
            for y in 0..height {
                let mut row = PairRow::default();
                row.clear();
                for site in 0..sites {
                    row.push(isa, [column(y, site, 0), column(y, site, 1)]);
                }
                rows.push(row);
            }
            let pairs = Pairs { rows: &rows, sites, channels, window: case.window, weights: &weights };
            let mut out = vec![-7.0; 2 * items.len() * step];
            for panels in weights.sets() {
                pairs.convolve(isa, panels, &items, &mut out);
            }
            let mut nonzero = 0;
            for (i, item) in items.iter().enumerate() {
                for c in 0..2 {
                    let out = &out[(2 * i + c) * step..][..step];
                    if c == 1 && item.second.is_none() {
                        assert!(out.iter().all(|&v| v == -7.0), "{}", isa);
                        continue;
                    }
                    assert!(out[pitch(case.outputs)..].iter().all(|&v| v == -7.0), "{}", isa);
                    let mut expected = bias.clone();
                    for row in 0..case.window {
                        for place in 0..case.window {
                            let (y, site) = (item.y + row as isize, item.site + place as isize);
                            if !(0..height as isize).contains(&y) || !(0..sites as isize).contains(&site) {
                                continue;
                            }
                            let (y, site) = (y as usize, site as usize);
                            for channel in 0..channels {
                                let pair = [0, 1].map(|c| column(y, site, c)[channel]);
                                nonzero += u64::from(pair != [0.0, 0.0]);
                                let product = (row * case.window + place) * channels + channel;
                                for (output, sum) in expected.iter_mut().enumerate() {
                                    *sum = pair[c].mul_add(kernels[output * products + product], *sum);
                                }
                            }
                        }
                    }
                    for (got, want) in out.iter().zip(&expected) {
                        assert_eq!(got.to_bits(), want.max(0.0).to_bits(), "{}", isa);
                    }
                }
            }
            assert_eq!(pairs.macs(&items), nonzero * case.outputs as u64);
        }
    }

    // Miri would interpret them for hours; the edges below have each path of the kernel in small.
    #[cfg(not(miri))]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn every_instruction_set_sums_all_products_in_order(case in case()) {
            assert_sums_all_products_in_order(&case);
        }
    }

    /// Each set of panels that there is, windows that begin before the rows and end after them.
    #[test]
    fn sums_are_right_at_the_edges_of_vectors_panels_and_rows() {
        let outputs = [1, 15, 16, 17, 33, 48, 49, 64, 80, 96, 97, 112, 128, 144, 160, 208];
        for (i, outputs) in outputs.into_iter().enumerate() {
            // Miri takes a thousand times as long: the larger window with a few.
            let window = if cfg!(miri) { 1 + usize::from(i % 5 == 2) } else { 1 + i % 2 };
            let items = vec![(-1, -1, true), (0, 0, false), (0, 1, true), (1, 1, false), (2, 2, true)];
            assert_sums_all_products_in_order(&Case { shape: [2, 2, 8], window, outputs, seed: 3, items });
        }
    }

    #[test]
    #[should_panic = "an output does not fit"]
    fn an_output_that_does_not_fit_is_refused() {
        let weights = PackedWeights::new(&[1.0; 20 * 8], &[1.0; 20], 8, 1);
        let mut row = PairRow::default();
        row.clear();
        row.push(Isa::Scalar, [&[1.0; 8], &[1.0; 8]]);
        let rows = [row];
        let pairs = Pairs { rows: &rows, sites: 1, channels: 8, window: 1, weights: &weights };
        let item = Item { y: 0, site: 0, out: 1, second: None };
        pairs.convolve(Isa::detect(), 0..1, &[item], &mut [0.0; 32]);
    }
}
