//! Rows of pairs of pixels without their zeros: the input of convolutions in a single pass.
//!
//! The fewer pixels share a list of non-zero channels, the fewer products with zero are carried out,
//! and two neighbours have few zeros that are not common.

use super::aligned::pitch;
use super::convolution::{Convolution, tiles};
use super::isa::{Isa, for_each_isa};
use super::packed_weights::PackedWeights;
use super::simd::{Eights, PANEL, Simd};

/// The non-zero activations of a row of pairs of pixels. A channel of a pair is kept where it is not
/// zero in either pixel.
///
/// Invariants, on which the kernel relies: `starts` ascends from 0 to the number of entries. The
/// entries from `starts[i]` to `starts[i + 1]` are multiples of [`PANEL`], at least `8 * i * PANEL` and
/// below `(8 * i + 8) * PANEL`. There are as many values as entries.
#[derive(Default)]
pub(crate) struct PairRow {
    /// For each eight channels of the row, the number of entries before them; then the number of all
    /// entries.
    starts: Vec<u32>,
    /// For each value [`PANEL`] times its index in the row, `pair * channels + channel`, ascending.
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

/// Two neighbouring output pixels.
#[derive(Clone, Copy)]
pub(crate) struct OutputPair {
    /// The row and the pair at which the window begins. Taps outside the rows read zeros.
    pub(crate) y: isize,
    pub(crate) pair: isize,
    /// The index of the first pixel among those of the output.
    pub(crate) pixel: usize,
    /// True if there is a second pixel.
    pub(crate) both: bool,
}

/// The number of weights in a chunk: three quarters of a first-level cache of 32 kB. Two pixels use a
/// weight only twice, and the second-level cache cannot deliver a vector of weights for every two
/// multiply-adds.
const CHUNK: usize = 6 * 1024;

/// Rows of pairs as a convolution with stride 1 reads them.
pub(crate) struct PairRows<'i> {
    pub(crate) rows: &'i [PairRow],
    /// The number of pairs in each row.
    pub(crate) pairs: usize,
    /// The number of channels of a pixel, a multiple of eight.
    pub(crate) channels: usize,
}

impl<'i> Convolution<'i, 2> {
    /// Begins a convolution of pairs with a window of some rows. The output's pixels lie `step` values
    /// apart.
    pub(crate) fn of_pairs(
        isa: Isa,
        weights: &'i PackedWeights,
        input: &PairRows<'i>,
        rows: usize,
        step: usize,
    ) -> Self {
        let starts = input.pairs * input.channels / 8 + 1;
        assert!(pitch(weights.outputs()) <= step);
        assert!(input.channels.is_multiple_of(8) && input.rows.iter().all(|row| row.starts.len() == starts));
        let lists = input.rows.iter().map(|row| (&row.entries[..], &row.values[..])).collect();
        Convolution::with_chunks(isa, weights, lists, rows, step, CHUNK / (tiles(isa).panels[2] * PANEL))
    }

    /// Adds a pair, which reads the `input` that the convolution has begun with.
    ///
    /// # Panics
    /// If the window has not the channels of the rows.
    pub(crate) fn push(&mut self, input: &PairRows, output: &OutputPair) {
        // The unit of these indices is eight channels.
        let channels = (input.channels / 8) as isize;
        let first = output.pair * channels;
        let clip = |at: usize| (first + (at / 8) as isize).clamp(0, input.pairs as isize * channels) as usize;
        for row in 0..self.rows() {
            let y = usize::try_from(output.y + row as isize).ok().filter(|&y| y < input.rows.len());
            let row_k = self.chunk(self.chunks_of(row).start).start;
            for chunk in self.chunks_of(row) {
                let Some(y) = y else {
                    self.push_run(0, 0..0, 0);
                    continue;
                };
                // A product whose tap lies outside the row has no entry.
                let (k, starts) = (self.chunk(chunk), &input.rows[y].starts);
                let start = starts[clip(k.start - row_k)] as usize;
                let end = starts[clip(k.end - row_k)] as usize;
                self.push_run(y, start..end, row_k as isize - 8 * first);
            }
        }
        self.finish_pixel(if output.both { 0b11 } else { 0b1 }, output.pixel * self.step());
    }
}

for_each_isa! {
    /// Does the work of [`PairRow::push`].
    fn push(row: &mut PairRow, pixels: [&[f32]; 2]) => push_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn push_generic<S: Simd>(row: &mut PairRow, pixels: [&[f32]; 2]) {
    let channels = pixels[0].len();
    assert!(channels.is_multiple_of(8) && pixels[1].len() == channels);
    let mut entry = (row.starts.len() - 1) * 8 * PANEL;
    assert!(entry + channels * PANEL <= u32::MAX as usize);
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
            count += S::Eights::keep_pair(at, entry as u32, entries.add(count), values.add(count));
            starts.add(step).write(count as u32);
            entry += 8 * PANEL;
        }
        row.starts.set_len(row.starts.len() + channels / 8);
        row.entries.set_len(count);
        row.values.set_len(count);
    }
}

#[cfg(test)]
mod tests;
