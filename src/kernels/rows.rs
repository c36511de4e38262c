//! Convolution of one image, a pixel at a time: each has its own list of non-zero channels, so that no product with a zero is
//! carried out at all.
//!
//! One pixel uses a weight once, and neither the second-level cache nor the next can deliver a vector of weights for
//! each multiply-add. So the weights are taken in blocks that fit the first-level cache ([`BLOCK`]): a block meets all
//! pixels before the next one does, and the sums wait in the output in between. Storing and loading them again takes no bit
//! away, and each output still sums its products in the same order as everywhere (see [`convolve_tile`](super::convolve_tile)).

use super::convolution::{PackedWeights, Panel};
use super::isa::{Isa, for_each_isa};
use super::pitch;
use super::simd::Simd;
use std::ops::Range;

/// The non-zero values in a row of pixels.
///
/// Invariants, which the kernel relies on: `starts` ascends from 0 to the number of values, and the entries from `starts[i]` to
/// `starts[i + 1]` are at least `8 * i` and below `8 * i + 8`.
#[derive(Default)]
pub(crate) struct Row {
    /// The number of values before each eight channels of the row, and of all.
    starts: Vec<u32>,
    /// Where in the row each value is: `x * channels + channel`, ascending.
    entries: Vec<u32>,
    values: Vec<f32>,
}

impl Row {
    /// Takes the values that are not zero from a row of pixels, `channels` of every `step` values.
    pub(crate) fn fill(&mut self, isa: Isa, pixels: &[f32], step: usize, channels: usize) {
        assert!(channels.is_multiple_of(8) && channels <= step && pixels.len().is_multiple_of(step));
        fill(isa, self, pixels, step, channels);
    }
}

/// A convolution with stride 1 of one image.
#[derive(Clone, Copy)]
pub(crate) struct Image<'i> {
    /// Its input, row by row ..
    pub(crate) rows: &'i [Row],
    /// .. of this many pixels and channels.
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// The window, as many rows as columns.
    pub(crate) window: usize,
    pub(crate) padding: usize,
    pub(crate) weights: &'i PackedWeights,
}

/// Weights of a block: three quarters of a first-level cache of 32 kB.
const BLOCK: usize = 6 * 1024;

impl Image<'_> {
    /// Computes some output pixels, numbered row by row; each has `step` values in `out`, of which its channels begin at `channel`.
    /// Says how many multiply-adds it took.
    pub(crate) fn convolve(
        &self,
        isa: Isa,
        pixels: Range<usize>,
        out: &mut [f32],
        step: usize,
        channel: usize,
    ) -> u64 {
        let row_products = self.window * self.channels;
        assert!(self.weights.products() == self.window * row_products && self.channels.is_multiple_of(8));
        assert!(self.rows.iter().all(|row| row.starts.len() == self.width * self.channels / 8 + 1));
        assert!(pixels.end <= self.rows.len() * self.width && out.len() >= pixels.len() * step);
        assert!(channel + pitch(self.weights.outputs()) <= step);
        for panels in self.weights.sets() {
            let width: usize = panels.iter().map(|&panel| self.weights.panel(panel).width).sum();
            let blocks = row_products.div_ceil((BLOCK / width).next_multiple_of(8));
            let length = row_products.div_ceil(blocks).next_multiple_of(8);
            for row in 0..self.window {
                for first in (0..row_products).step_by(length) {
                    let end = row_products.min(first + length);
                    let block = Block {
                        row,
                        products: first..end,
                        is_first: row == 0 && first == 0,
                        is_last: row + 1 == self.window && end == row_products,
                    };
                    convolve_block(isa, self, &panels, &block, pixels.clone(), out, step, channel);
                }
            }
        }
        let whole = 0..row_products;
        let products: usize = pixels
            .flat_map(|pixel| (0..self.window).map(move |row| (pixel, row)))
            .map(|(pixel, row)| {
                let (_, range, _) = self.run(pixel / self.width, pixel % self.width, row, &whole);
                range.len()
            })
            .sum();
        (products * self.weights.outputs()) as u64
    }

    /// The values that a part of a window's row meets at an output pixel: the input row, which of its values, and what to
    /// add to an entry for the product. Products that the plane does not reach are left out.
    #[inline(always)]
    fn run(&self, y: usize, x: usize, row: usize, products: &Range<usize>) -> (&Row, Range<usize>, isize) {
        let in_y = (y + row).wrapping_sub(self.padding);
        if in_y >= self.rows.len() {
            return (&self.rows[0], 0..0, 0);
        }
        let input = &self.rows[in_y];
        // All in eights of channels. The window's first place in the row; left of the plane if there is padding.
        let channels = (self.channels / 8) as isize;
        let first = (x as isize - self.padding as isize) * channels;
        let clip = |at: usize| (first + (at / 8) as isize).clamp(0, self.width as isize * channels) as usize;
        let range = input.starts[clip(products.start)] as usize..input.starts[clip(products.end)] as usize;
        (input, range, (row * self.window) as isize * self.channels as isize - 8 * first)
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
    /// [`Row::fill`].
    fn fill(row: &mut Row, pixels: &[f32], step: usize, channels: usize) => fill_generic
}

for_each_isa! {
    /// Adds the products of a block to the sums of some pixels.
    fn convolve_block(
        image: &Image,
        panels: &[usize],
        block: &Block,
        pixels: Range<usize>,
        out: &mut [f32],
        step: usize,
        channel: usize,
    ) => convolve_block_generic
}

/// # Safety
/// The machine has the instruction set of `S` (this and those below).
#[inline(always)]
unsafe fn fill_generic<S: Simd>(row: &mut Row, pixels: &[f32], step: usize, channels: usize) {
    let size = pixels.len() / step * channels;
    row.starts.clear();
    row.starts.reserve(size / 8 + 1);
    // Room for all, and for what the last step writes beyond.
    row.entries.clear();
    row.entries.reserve(size + 8);
    row.values.clear();
    row.values.reserve(size + 8);
    let mut count = 0;
    let mut at = 0;
    // SAFETY: a step reads eight values of a pixel, for `channels` is a multiple of eight, and writes eight entries, of which
    // `count` grows by those kept: room for all and eight more is reserved, and for a start a step and one more.
    unsafe {
        let (starts, entries, values) =
            (row.starts.as_mut_ptr(), row.entries.as_mut_ptr(), row.values.as_mut_ptr());
        for pixel in pixels.chunks_exact(step) {
            for channel in (0..channels).step_by(8) {
                debug_assert!(count <= at && at < size);
                starts.add(at / 8).write(count as u32);
                let from = pixel.as_ptr().add(channel);
                count += S::keep_one(from, at as u32, entries.add(count), values.add(count));
                at += 8;
            }
        }
        starts.add(at / 8).write(count as u32);
        row.starts.set_len(size / 8 + 1);
        row.entries.set_len(count);
        row.values.set_len(count);
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn convolve_block_generic<S: Simd>(
    image: &Image,
    panels: &[usize],
    block: &Block,
    pixels: Range<usize>,
    out: &mut [f32],
    step: usize,
    channel: usize,
) {
    // Sums of three panels fit the registers of AVX-512 only.
    let at_once = if S::LANES == 16 { 3 } else { 2 };
    for panels in panels.chunks(at_once) {
        let vectors = |i: usize| panels.get(i).map_or(0, |&panel| image.weights.panel(panel).width / S::LANES);
        // SAFETY: passed on.
        unsafe {
            match (vectors(0), vectors(1), vectors(2)) {
                (1, 0, 0) => sums::<S, 1, 0, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (2, 0, 0) => sums::<S, 2, 0, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 0, 0) => sums::<S, 3, 0, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (4, 0, 0) => sums::<S, 4, 0, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (6, 0, 0) => sums::<S, 6, 0, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (2, 2, 0) => sums::<S, 2, 2, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 2, 0) => sums::<S, 3, 2, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 3, 0) => sums::<S, 3, 3, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (4, 4, 0) => sums::<S, 4, 4, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (6, 4, 0) => sums::<S, 6, 4, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (6, 6, 0) => sums::<S, 6, 6, 0>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 2, 2) => sums::<S, 3, 2, 2>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 3, 2) => sums::<S, 3, 3, 2>(image, panels, block, pixels.clone(), out, step, channel),
                (3, 3, 3) => sums::<S, 3, 3, 3>(image, panels, block, pixels.clone(), out, step, channel),
                other => unreachable!("no set has panels of {other:?} vectors"),
            }
        }
    }
}

/// `A`, `B` and `C` vectors of output channels, in as many panels.
///
/// # Safety
/// The machine has the instruction set of `S`; `out` has `step` values for each pixel.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
#[allow(clippy::needless_range_loop)] // loops over constant bounds, which the compiler unrolls into registers
unsafe fn sums<S: Simd, const A: usize, const B: usize, const C: usize>(
    image: &Image,
    panels: &[usize],
    block: &Block,
    pixels: Range<usize>,
    out: &mut [f32],
    step: usize,
    channel: usize,
) {
    assert!(out.len() >= pixels.len() * step);
    let weights = image.weights;
    // Where the panels' weights, biases and outputs begin; those of panels that are not there are never touched.
    let panel = |i: usize| weights.panel(panels[i.min(panels.len() - 1)]);
    let (data, bias) = weights.data_and_bias();
    let (a, b, c) = (panel(0), panel(1), panel(2));
    for panel in [a, b, c] {
        assert!(channel + panel.first + panel.width <= step);
    }
    let [data_a, data_b, data_c] = [a, b, c].map(|panel| data[panel.start..].as_ptr());
    assert!(block.products.end <= image.window * image.channels && block.row < image.window);
    let (mut y, mut x) = (pixels.start / image.width, pixels.start % image.width);
    for i in 0..pixels.len() {
        let (row, range, shift) = image.run(y, x, block.row, &block.products);
        x += 1;
        if x == image.width {
            (y, x) = (y + 1, 0);
        }
        // SAFETY: `starts` counts values, so that the range is one of entries and of values. Those entries are products of the
        // block (`Image::run`, invariants of `Row`), which are asserted to exist; outputs lie in the pixel's `step` values, as
        // asserted above.
        unsafe {
            debug_assert!(range.start <= range.end && range.end <= row.entries.len());
            let entries = row.entries.get_unchecked(range.clone());
            let values = row.values.get_unchecked(range);
            let out = out.as_mut_ptr().add(i * step + channel);
            let from = |panel: Panel, r: usize| {
                let start = if block.is_first { bias.as_ptr() } else { out.cast_const() };
                start.add(panel.first + r * S::LANES)
            };
            let mut sum_a: [S::V; A] = [S::splat(0.0); A];
            let mut sum_b: [S::V; B] = [S::splat(0.0); B];
            let mut sum_c: [S::V; C] = [S::splat(0.0); C];
            for r in 0..A {
                sum_a[r] = S::load(from(a, r));
            }
            for r in 0..B {
                sum_b[r] = S::load(from(b, r));
            }
            for r in 0..C {
                sum_c[r] = S::load(from(c, r));
            }
            for (&entry, value) in entries.iter().zip(values) {
                let at = (entry as usize).wrapping_add_signed(shift);
                debug_assert!(at < weights.products());
                let value = S::splat(*value);
                for r in 0..A {
                    sum_a[r] = S::fma(value, S::load(data_a.add((at * A + r) * S::LANES)), sum_a[r]);
                }
                for r in 0..B {
                    sum_b[r] = S::fma(value, S::load(data_b.add((at * B + r) * S::LANES)), sum_b[r]);
                }
                for r in 0..C {
                    sum_c[r] = S::fma(value, S::load(data_c.add((at * C + r) * S::LANES)), sum_c[r]);
                }
            }
            for r in 0..A {
                let sum = if block.is_last { S::relu(sum_a[r]) } else { sum_a[r] };
                S::store(sum, out.add(a.first + r * S::LANES));
            }
            for r in 0..B {
                let sum = if block.is_last { S::relu(sum_b[r]) } else { sum_b[r] };
                S::store(sum, out.add(b.first + r * S::LANES));
            }
            for r in 0..C {
                let sum = if block.is_last { S::relu(sum_c[r]) } else { sum_c[r] };
                S::store(sum, out.add(c.first + r * S::LANES));
            }
        }
    }
}
