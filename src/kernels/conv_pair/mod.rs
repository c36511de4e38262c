//! Convolution of two neighbouring pixels side by side, with weights from the first-level cache: the
//! kernel of a single pass.
//!
//! The fewer pixels share a list of non-zero channels, the fewer products with zero are carried out,
//! and two neighbours have few zeros that are not common. But two pixels use a weight only twice, and
//! the second-level cache cannot deliver a vector of weights for every two multiply-adds. So the
//! weights are taken in blocks that fit the first-level cache ([`BLOCK`]): a block meets all pixels
//! before the next block does, and the sums wait in the output in between. Storing a sum and loading it
//! again keeps its bits, and each output still sums its products in the same order as everywhere else
//! (see [`convolve_tile`](crate::kernels::convolve_tile)).

use std::ops::Range;

use super::aligned::pitch;
use super::isa::{Isa, for_each_isa};
use super::packed_weights::{PackedWeights, Panel};
use super::simd::Simd;

/// The non-zero activations of a row of pairs of pixels. A channel of a pair is kept where it is not
/// zero in either pixel.
///
/// Invariants, on which the kernel relies: `starts` ascends from 0 to the number of entries. The
/// entries from `starts[i]` to `starts[i + 1]` are at least `8 * i` and below `8 * i + 8`. There are as
/// many values as entries.
#[derive(Default)]
pub(crate) struct PairRow {
    /// For each eight channels of the row, the number of entries before them; then the number of all
    /// entries.
    starts: Vec<u32>,
    /// The index in the row of each value, `pair * channels + channel`, ascending.
    entries: Vec<u32>,
    values: Vec<[f32; 2]>,
}

impl PairRow {
    /// Removes all pairs and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.entries.clear();
        self.values.clear();
    }

    /// Adds a pair of pixels, whose number of channels is a multiple of eight.
    pub(crate) fn push(&mut self, isa: Isa, pixels: [&[f32]; 2]) {
        push(isa, self, pixels);
    }
}

/// A convolution with stride 1 over rows of pairs.
#[derive(Clone, Copy)]
pub(crate) struct PairConvolution<'i> {
    pub(crate) rows: &'i [PairRow],
    /// The number of pairs in each row.
    pub(crate) pairs: usize,
    /// The number of channels of a pixel.
    pub(crate) channels: usize,
    /// The side of the window.
    pub(crate) window: usize,
    pub(crate) weights: &'i PackedWeights,
}

/// Two neighbouring output pixels.
#[derive(Clone, Copy)]
pub(crate) struct OutputPair {
    /// The row and the pair at which the window begins. Taps outside the rows read zeros.
    pub(crate) y: isize,
    pub(crate) pair: isize,
    /// The index in the output of the first pixel's first channel.
    pub(crate) first: usize,
    /// The same of the second pixel, if there is one.
    pub(crate) second: Option<usize>,
}

/// The number of weights in a block: three quarters of a first-level cache of 32 kB.
const BLOCK: usize = 6 * 1024;

impl PairConvolution<'_> {
    /// Computes the output channels in `panels` (a set of [`PackedWeights::sets`]) of some pixels.
    pub(crate) fn convolve(&self, isa: Isa, panels: Range<usize>, outputs: &[OutputPair], out: &mut [f32]) {
        let row_k = self.window * self.channels;
        assert!(self.weights.k() == self.window * row_k && self.channels.is_multiple_of(8));
        assert!(self.rows.iter().all(|row| row.starts.len() == self.pairs * self.channels / 8 + 1));
        let end = pitch(self.weights.channels(panels.clone()).end);
        let fits = |output: &OutputPair| output.first.max(output.second.unwrap_or(0)) + end <= out.len();
        assert!(outputs.iter().all(fits), "an output does not fit");
        let width: usize = panels.clone().map(|panel| self.weights.panel(panel).width).sum();
        let blocks = row_k.div_ceil((BLOCK / width).next_multiple_of(8));
        let length = row_k.div_ceil(blocks).next_multiple_of(8);
        for row in 0..self.window {
            for start in (0..row_k).step_by(length) {
                let end = row_k.min(start + length);
                let block = WeightBlock {
                    row,
                    k: start..end,
                    is_first: row == 0 && start == 0,
                    is_last: row + 1 == self.window && end == row_k,
                };
                let next = row * row_k + end;
                let next_k = next..(next + length).min(self.weights.k());
                convolve_block(isa, self, panels.clone(), &block, outputs, out, next_k);
            }
        }
    }

    /// The multiply-adds of all output channels of some pixels.
    pub(crate) fn macs(&self, outputs: &[OutputPair]) -> u64 {
        let whole = 0..self.window * self.channels;
        let mut macs = 0;
        for output in outputs {
            let pixels = 1 + usize::from(output.second.is_some());
            for row in 0..self.window {
                macs += pixels * self.run(output, row, &whole).1.len();
            }
        }
        (macs * self.weights.outputs()) as u64
    }

    /// The activations that a part of a window's row reads: their row of pairs, the range of their
    /// entries, and what is added to an entry for its index `k` in the weights. A `k` whose tap lies
    /// outside the row has no entry.
    #[inline(always)]
    fn run(&self, output: &OutputPair, row: usize, k: &Range<usize>) -> (&PairRow, Range<usize>, isize) {
        let y = output.y + row as isize;
        if y < 0 || y >= self.rows.len() as isize {
            return (&self.rows[0], 0..0, 0);
        }
        let list = &self.rows[y as usize];
        // The unit of these indices is eight channels.
        let channels = (self.channels / 8) as isize;
        let first = output.pair * channels;
        let clip = |at: usize| (first + (at / 8) as isize).clamp(0, self.pairs as isize * channels) as usize;
        let range = list.starts[clip(k.start)] as usize..list.starts[clip(k.end)] as usize;
        (list, range, (row * self.window) as isize * self.channels as isize - 8 * first)
    }
}

/// A part of a window's row for some panels.
pub(crate) struct WeightBlock {
    /// The row of the window.
    row: usize,
    /// The part of the row, in which `k` counts from the row's beginning.
    k: Range<usize>,
    /// True if the sums begin with this block, at the bias.
    is_first: bool,
    /// True if the sums end with this block, with ReLU.
    is_last: bool,
}

for_each_isa! {
    /// Does the work of [`PairRow::push`].
    fn push(row: &mut PairRow, pixels: [&[f32]; 2]) => push_generic
}

for_each_isa! {
    /// Adds the products of a block to the sums of some pixels and prefetches the weights of `next_k`.
    fn convolve_block(
        input: &PairConvolution,
        panels: Range<usize>,
        block: &WeightBlock,
        outputs: &[OutputPair],
        out: &mut [f32],
        next_k: Range<usize>,
    ) => convolve_block_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn push_generic<S: Simd>(row: &mut PairRow, pixels: [&[f32]; 2]) {
    let channels = pixels[0].len();
    assert!(channels.is_multiple_of(8) && pixels[1].len() == channels);
    let mut entry = (row.starts.len() - 1) * 8;
    assert!(entry + channels <= u32::MAX as usize);
    row.starts.reserve(channels / 8);
    // The last step writes up to eight elements beyond those that it keeps.
    row.entries.reserve(channels + 8);
    row.values.reserve(channels + 8);
    let mut count = row.entries.len();
    debug_assert!(count == row.values.len());
    // SAFETY: a step reads eight values of each pixel and writes eight entries and values, of which
    // `count` grows by those kept: room for all and eight more is reserved. It writes one start, for
    // which room is reserved, too. The lengths set are those of what has been written.
    unsafe {
        let starts = row.starts.as_mut_ptr().add(row.starts.len());
        let (entries, values) = (row.entries.as_mut_ptr(), row.values.as_mut_ptr());
        for step in 0..channels / 8 {
            debug_assert!(count + 8 <= row.entries.capacity().min(row.values.capacity()));
            let at = pixels.map(|pixel| pixel.as_ptr().add(8 * step));
            count += S::keep_pair(at, entry as u32, entries.add(count), values.add(count));
            starts.add(step).write(count as u32);
            entry += 8;
        }
        row.starts.set_len(row.starts.len() + channels / 8);
        row.entries.set_len(count);
        row.values.set_len(count);
    }
}

/// # Safety
/// The machine has the instruction set of `S`, and `PairConvolution::convolve` has asserted that `k`
/// and outputs exist.
#[inline(always)]
unsafe fn convolve_block_generic<S: Simd>(
    input: &PairConvolution,
    panels: Range<usize>,
    block: &WeightBlock,
    outputs: &[OutputPair],
    out: &mut [f32],
    next_k: Range<usize>,
) {
    // The sums of a set of panels fit the registers of AVX-512, those of one panel fit the others'.
    let at_once = if const { S::LANES == 16 } { 3 } else { 1 };
    for start in panels.clone().step_by(at_once) {
        let panels = start..panels.end.min(start + at_once);
        let vectors =
            |i: usize| panels.clone().nth(i).map_or(0, |panel| input.weights.panel(panel).width / S::LANES);
        // The condition on `S` is a constant, so no code is generated for the other combinations.
        // SAFETY: the caller vouches for what `each` requires.
        unsafe {
            if const { S::LANES == 16 } {
                match (vectors(0), vectors(1), vectors(2)) {
                    (1, 0, 0) => each::<S, 1, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (2, 0, 0) => each::<S, 2, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 0, 0) => each::<S, 3, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (2, 2, 0) => each::<S, 2, 2, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 2, 0) => each::<S, 3, 2, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 3, 0) => each::<S, 3, 3, 0>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 2, 2) => each::<S, 3, 2, 2>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 3, 2) => each::<S, 3, 3, 2>(input, panels, block, outputs, out, next_k.clone()),
                    (3, 3, 3) => each::<S, 3, 3, 3>(input, panels, block, outputs, out, next_k.clone()),
                    other => unreachable!("no set has panels of {other:?} vectors"),
                }
            } else {
                match vectors(0) {
                    2 => each::<S, 2, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    4 => each::<S, 4, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    6 => each::<S, 6, 0, 0>(input, panels, block, outputs, out, next_k.clone()),
                    other => unreachable!("no panel has {other} vectors"),
                }
            }
        }
    }
}

/// Takes the output pixels one pair after the other, with `A`, `B` and `C` vectors of output channels
/// in as many panels.
///
/// # Safety
/// As [`convolve_block_generic`]; the panels have `A`, `B` and `C` vectors.
#[inline(always)]
unsafe fn each<S: Simd, const A: usize, const B: usize, const C: usize>(
    input: &PairConvolution,
    panels: Range<usize>,
    block: &WeightBlock,
    outputs: &[OutputPair],
    out: &mut [f32],
    next_k: Range<usize>,
) {
    let panel = |i: usize| input.weights.panel((panels.start + i).min(panels.end - 1));
    let there = panels.len();
    let panels = [panel(0), panel(1), panel(2)];
    for (i, output) in outputs.iter().enumerate() {
        // Each pair prefetches a part of the weights that come next, because all weights together do
        // not fit the second-level cache.
        for panel in &panels[..there] {
            input.weights.prefetch_k(*panel, next_k.clone(), i, outputs.len());
        }
        let (row, range, k_shift) = input.run(output, block.row, &block.k);
        debug_assert!(range.start <= range.end && range.end <= row.entries.len().min(row.values.len()));
        debug_assert!(output.first.max(output.second.unwrap_or(0)) < out.len());
        // SAFETY: `starts` counts entries, and there are as many values, so the range is one of both.
        // The caller vouches for the rest.
        unsafe {
            let entries = row.entries.get_unchecked(range.clone());
            let values = row.values.as_ptr().add(range.start).cast::<f32>();
            let out = out.as_mut_ptr();
            match output.second {
                Some(second) => {
                    let out = [out.add(output.first), out.add(second)];
                    sums::<S, 2, A, B, C>(input.weights, panels, block, entries, k_shift, values, out);
                }
                None => {
                    let out = [out.add(output.first)];
                    sums::<S, 1, A, B, C>(input.weights, panels, block, entries, k_shift, values, out);
                }
            }
        }
    }
}

/// Adds a block's products to the sums of `P` pixels, whose activations are the first `P` of each two
/// `values`.
///
/// # Safety
/// As [`each`]. There are two values for each entry, and `entry + k_shift` is an index `k` of the
/// weights.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // The compiler unrolls loops over constant bounds into registers.
unsafe fn sums<S: Simd, const P: usize, const A: usize, const B: usize, const C: usize>(
    weights: &PackedWeights,
    panels: [Panel; 3],
    block: &WeightBlock,
    entries: &[u32],
    k_shift: isize,
    values: *const f32,
    out: [*mut f32; P],
) {
    let (data, bias) = weights.data_and_bias();
    debug_assert!(
        [A, B, C]
            .iter()
            .zip(panels)
            .all(|(&vectors, panel)| [0, panel.width].contains(&(vectors * S::LANES)))
    );
    // SAFETY: the caller vouches for `k` and outputs. A panel that does not exist has no vectors.
    unsafe {
        let channels = [panels[0].first, panels[1].first, panels[2].first];
        let mut a = [[S::splat(0.0); A]; P];
        let mut b = [[S::splat(0.0); B]; P];
        let mut c = [[S::splat(0.0); C]; P];
        for p in 0..P {
            let from = if block.is_first { bias.as_ptr() } else { out[p].cast_const() };
            for r in 0..A {
                a[p][r] = S::load(from.add(channels[0] + r * S::LANES));
            }
            for r in 0..B {
                b[p][r] = S::load(from.add(channels[1] + r * S::LANES));
            }
            for r in 0..C {
                c[p][r] = S::load(from.add(channels[2] + r * S::LANES));
            }
        }
        let data_a = data.as_ptr().add(panels[0].start);
        let data_b = data.as_ptr().add(panels[1].start);
        let data_c = data.as_ptr().add(panels[2].start);
        for (i, &entry) in entries.iter().enumerate() {
            let k = (entry as usize).wrapping_add_signed(k_shift);
            debug_assert!(k < weights.k());
            let mut value = [S::splat(0.0); P];
            for p in 0..P {
                value[p] = S::splat(*values.add(2 * i + p));
            }
            for r in 0..A {
                let w = S::load(data_a.add((k * A + r) * S::LANES));
                for p in 0..P {
                    a[p][r] = S::fma(value[p], w, a[p][r]);
                }
            }
            for r in 0..B {
                let w = S::load(data_b.add((k * B + r) * S::LANES));
                for p in 0..P {
                    b[p][r] = S::fma(value[p], w, b[p][r]);
                }
            }
            for r in 0..C {
                let w = S::load(data_c.add((k * C + r) * S::LANES));
                for p in 0..P {
                    c[p][r] = S::fma(value[p], w, c[p][r]);
                }
            }
        }
        for p in 0..P {
            for r in 0..A {
                let sum = if block.is_last { S::relu(a[p][r]) } else { a[p][r] };
                S::store(sum, out[p].add(channels[0] + r * S::LANES));
            }
            for r in 0..B {
                let sum = if block.is_last { S::relu(b[p][r]) } else { b[p][r] };
                S::store(sum, out[p].add(channels[1] + r * S::LANES));
            }
            for r in 0..C {
                let sum = if block.is_last { S::relu(c[p][r]) } else { c[p][r] };
                S::store(sum, out[p].add(channels[2] + r * S::LANES));
            }
        }
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests;
