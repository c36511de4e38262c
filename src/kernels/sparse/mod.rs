//! The input of a convolution of a sweep: the activations of the positions of a batch, side by side,
//! without the channels that are zero in all of them.

mod maxima;

use std::ops::Range;

use super::convolution::{Convolution, List};
use super::isa::{Isa, for_each_isa};
use super::packed_weights::PackedWeights;
use super::simd::{BATCH, BatchValues, Eights, PANEL, Simd};
pub(crate) use maxima::WindowMaxima;

/// A sparse matrix of activations in compressed sparse row form (CSR). Leaving zeros out changes no
/// bit of a sum (`docs/07-zeros-and-bits.md`).
///
/// * A row of the matrix is a pixel of a plane, or a part of the classifier's input.
/// * Its column index is `x * channels + channel`, where `x` is the pixel's place in its row of the
///   plane. All pixels of the plane that the matrix is read as have the same number of `channels`. An
///   entry is [`PANEL`] times this index: the distance between the weights of the products in a panel,
///   which saves the kernel a shift for each product.
/// * Its values are [`BatchValues`]: the activation of each position of the batch. An entry is kept
///   where any of them is not zero.
/// * The row pointer is `ends`.
///
/// Pixels are added row by row of the plane, so the entries of one row of the plane ascend from pixel to
/// pixel. The pixels that one row of a window reads are neighbours, so their entries and values are one
/// consecutive run. The weights of that row of the window are consecutive in `k` in the same way,
/// `channels` for each tap, so `k` is the column index plus a constant all along the run
/// ([`WindowRow`]), and a kernel takes the run in one loop. That matters where pixels keep few channels
/// each.
///
/// Invariants, on which the kernels rely: pixel `i` has the entries `ends[i - 1]..ends[i]` (from 0 for
/// the first) and as many values; the entries ascend within one row of the plane; the bytes
/// `kept_ends[i - 1]..kept_ends[i]` of `kept` have a bit for each of its channels.
#[derive(Default)]
pub(crate) struct SparseActivations {
    /// The number of positions.
    positions: usize,
    /// For each pixel, the end of its entries.
    ends: Vec<usize>,
    entries: Vec<u32>,
    values: Vec<BatchValues>,
    /// For each pixel, a bit for each channel: whether it is kept.
    kept: Vec<u8>,
    /// For each pixel, the end of its bytes in `kept`.
    kept_ends: Vec<usize>,
}

/// A row of a window, as far as it lies in the plane.
#[derive(Clone, Debug)]
pub(crate) struct WindowRow {
    /// Its number in the window.
    pub(crate) row: usize,
    /// The pixels that it reads.
    pub(crate) pixels: Range<usize>,
    /// Column `i` is multiplied by the weight with index `k = i + k_shift` (see
    /// [`PackedWeights`](crate::kernels::PackedWeights)).
    pub(crate) k_shift: isize,
}

impl SparseActivations {
    /// Removes all pixels, keeps the memory, and sets the number of positions.
    pub(crate) fn clear(&mut self, positions: usize) {
        assert!((1..=BATCH).contains(&positions));
        self.positions = positions;
        self.ends.clear();
        self.entries.clear();
        self.values.clear();
        self.kept.clear();
        self.kept_ends.clear();
    }

    /// Reserves memory for `entries` in all, and not for more: vectors that grow as they are filled take
    /// up to three times as much. Reserved memory that is never written to costs nothing.
    pub(crate) fn reserve(&mut self, entries: usize) {
        let entries = entries + MOST_CHANNELS + 8;
        self.entries.reserve_exact(entries.saturating_sub(self.entries.len()));
        self.values.reserve_exact(entries.saturating_sub(self.values.len()));
    }

    /// The bytes that [`reserve`](SparseActivations::reserve) takes for so many entries.
    pub(crate) fn bytes_for(entries: usize) -> usize {
        (entries + MOST_CHANNELS + 8) * (size_of::<u32>() + size_of::<BatchValues>())
    }

    /// Adds a pixel, given by its channels in each position. The column of its first channel is `first`.
    pub(crate) fn push_pixel(&mut self, isa: Isa, first: usize, positions: &[&[f32]]) {
        self.append(isa, first, positions);
        self.finish_pixel();
    }

    /// Adds channels to the pixel that the next [`finish_pixel`](SparseActivations::finish_pixel)
    /// completes. Their number is a multiple of eight, except in the last call for a pixel.
    pub(crate) fn append(&mut self, isa: Isa, first: usize, positions: &[&[f32]]) {
        append_dense(isa, self, first, positions);
    }

    /// Adds what another matrix keeps of a pixel to the pixel that the next
    /// [`finish_pixel`](SparseActivations::finish_pixel) completes. `first` is added to its columns.
    pub(crate) fn append_from(&mut self, isa: Isa, from: &SparseActivations, pixel: usize, first: usize) {
        assert_eq!(from.positions, self.positions);
        append_sparse(isa, self, from, pixel, first);
    }

    /// Completes a pixel.
    pub(crate) fn finish_pixel(&mut self) {
        self.ends.push(self.entries.len());
        self.kept_ends.push(self.kept.len());
    }

    /// Adds a pixel that no window will read, so that the pixels after it keep their numbers.
    pub(crate) fn push_empty(&mut self) {
        self.finish_pixel();
    }

    /// The number of pixels.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The positions, as bits, in which a pixel, whose columns begin at 0, differs from `unoccluded` in
    /// any bit.
    pub(crate) fn differing(&self, isa: Isa, pixel: usize, unoccluded: &[f32]) -> u8 {
        differing(isa, self, pixel, unoccluded)
    }

    /// Computes the mean of all pixels, summed in their order, as `[channel][position]`. The columns of
    /// each pixel begin at a multiple of `channels`.
    pub(crate) fn mean(&self, isa: Isa, channels: usize, means: &mut Vec<[f32; BATCH]>) {
        mean_of_pixels(isa, self, channels, means);
    }

    /// The value in a column of a pixel in a position: zero if the column is not kept.
    pub(crate) fn value(&self, pixel: usize, column: usize, position: usize) -> f32 {
        let (entries, values) = self.run(&(pixel..pixel + 1));
        entries.binary_search(&((column * PANEL) as u32)).map_or(0.0, |at| values[at].0[position])
    }

    /// The entries of consecutive pixels, and their values.
    #[inline(always)]
    pub(super) fn run(&self, pixels: &Range<usize>) -> (&[u32], &[BatchValues]) {
        let range = self.entries_of(pixels);
        (&self.entries[range.clone()], &self.values[range])
    }

    /// All entries, and their values.
    pub(super) fn list(&self) -> List<'_, BATCH> {
        (&self.entries, flat(&self.values))
    }

    #[inline(always)]
    fn entries_of(&self, pixels: &Range<usize>) -> Range<usize> {
        between(&self.ends, pixels)
    }

    /// A bit for each channel of a pixel: whether it is kept.
    #[inline(always)]
    fn kept_of(&self, pixel: usize) -> &[u8] {
        &self.kept[between(&self.kept_ends, &(pixel..pixel + 1))]
    }
}

/// The most products of a chunk: a panel's weights for them fill a first-level cache of 32 kB. Lists of
/// activations pass through it beside them, but chunks that are shorter do more loading and storing of
/// sums.
const CHUNK: usize = 512;

impl<'i> Convolution<'i, BATCH> {
    /// Begins a convolution of the positions of a batch, with a window of some rows. A position's
    /// outputs lie `step` values after those of the position before.
    pub(crate) fn new(
        isa: Isa,
        weights: &'i PackedWeights,
        input: &'i SparseActivations,
        rows: usize,
        step: usize,
    ) -> Self {
        Convolution::with_chunks(isa, weights, vec![input.list()], rows, step, CHUNK)
    }

    /// Begins the fully connected layer, whose sums have parts of `part` products.
    pub(crate) fn in_parts(
        isa: Isa,
        weights: &'i PackedWeights,
        input: &'i SparseActivations,
        step: usize,
        part: usize,
    ) -> Self {
        Convolution::with_chunks(isa, weights, vec![input.list()], 1, step, part)
    }

    /// Adds an output pixel, which reads the `rows` of its window, ascending, of the `input` that the
    /// convolution has begun with. It is computed for the positions in `bits`. Position 0's outputs
    /// begin at index `out` of the output.
    ///
    /// # Panics
    /// If a position or a product does not exist.
    pub(crate) fn push(&mut self, input: &SparseActivations, rows: &[WindowRow], bits: u8, out: usize) {
        assert!(u32::from(bits) < 1 << input.positions, "there are {} positions", input.positions);
        let entries = self.list(0).0;
        debug_assert!(std::ptr::eq(entries, &input.entries[..]));
        let mut rows = rows.iter().peekable();
        for row in 0..self.rows() {
            let window = rows.next_if(|next| next.row == row);
            let mut range = window.map_or(0..0, |window| input.entries_of(&window.pixels));
            let k_shift = window.map_or(0, |window| window.k_shift);
            for chunk in self.chunks_of(row) {
                let next = if chunk + 1 == self.chunks_of(row).end {
                    range.end
                } else {
                    let end = self.chunk(chunk).end;
                    let is_here = |&entry: &u32| (entry as usize / PANEL).wrapping_add_signed(k_shift) < end;
                    range.start + entries[range.clone()].partition_point(is_here)
                };
                self.push_run(0, range.start..next, k_shift);
                range.start = next;
            }
        }
        assert!(rows.next().is_none(), "the window has {} rows", self.rows());
        self.finish_pixel(bits, out);
    }
}

/// The values without the type that aligns them.
#[inline(always)]
fn flat(values: &[BatchValues]) -> &[[f32; BATCH]] {
    const { assert!(size_of::<BatchValues>() == size_of::<[f32; BATCH]>()) };
    // SAFETY: `BatchValues` has the layout of its only field, and no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// The range from the end of the pixel before `pixels` to the end of the last of them.
#[inline(always)]
fn between(ends: &[usize], pixels: &Range<usize>) -> Range<usize> {
    if pixels.is_empty() {
        return 0..0;
    }
    (if pixels.start == 0 { 0 } else { ends[pixels.start - 1] })..ends[pixels.end - 1]
}

/// The entry of channel 0 of a pixel that has some entry.
#[inline(always)]
fn zeroth_entry(entry: u32, channels: usize) -> usize {
    entry as usize / (channels * PANEL) * (channels * PANEL)
}

/// The most channels of any blob of the network.
const MOST_CHANNELS: usize = 1024;

static ZEROS: [f32; MOST_CHANNELS] = [0.0; MOST_CHANNELS];

/// A pixel of `channels` zeros, which a window reads outside the plane.
pub(crate) fn zeros(channels: usize) -> &'static [f32] {
    &ZEROS[..channels]
}

for_each_isa! {
    /// Does the work of [`SparseActivations::append`].
    fn append_dense(
        into: &mut SparseActivations,
        first: usize,
        positions: &[&[f32]],
    ) => append_dense_generic
}

for_each_isa! {
    /// Does the work of [`SparseActivations::append_from`] for one pixel.
    fn append_sparse(
        into: &mut SparseActivations,
        from: &SparseActivations,
        pixel: usize,
        first: usize,
    ) => append_sparse_generic
}

for_each_isa! {
    /// Does the work of [`SparseActivations::mean`].
    fn mean_of_pixels(
        input: &SparseActivations,
        channels: usize,
        means: &mut Vec<[f32; BATCH]>,
    ) => mean_generic
}

for_each_isa! {
    /// Does the work of [`SparseActivations::differing`].
    fn differing(
        input: &SparseActivations,
        pixel: usize,
        unoccluded: &[f32],
    ) -> u8 => differing_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn append_dense_generic<S: Simd>(into: &mut SparseActivations, first: usize, positions: &[&[f32]]) {
    let channels = positions[0].len();
    assert!(positions.len() == into.positions && positions.iter().all(|values| values.len() == channels));
    assert!(channels <= MOST_CHANNELS);
    assert!((first + channels) * PANEL <= u32::MAX as usize);
    let mut pointers: [*const f32; BATCH] =
        std::array::from_fn(|p| positions.get(p).map_or(ZEROS.as_ptr(), |values| values.as_ptr()));
    // The last channels, if they are fewer than eight, are read from a copy.
    let whole = channels / 8 * 8;
    let mut rest = [[0.0; 8]; BATCH];
    let mut kept = [0u8; MOST_CHANNELS / 8];
    let mut count = 0;
    // The last step writes up to eight elements beyond those that it keeps.
    into.entries.reserve(channels + 8);
    into.values.reserve(channels + 8);
    // SAFETY: all positions hold `channels` values, and eight are read at a time of `whole`, the rest of
    // the copy. A step writes eight elements, of which `count` grows by those kept: room for all and
    // eight more is reserved. The lengths set are those of what has been written.
    unsafe {
        let entries = into.entries.as_mut_ptr().add(into.entries.len());
        let values = into.values.as_mut_ptr().add(into.values.len());
        for (kept, channel) in kept.iter_mut().zip((0..channels).step_by(8)) {
            if channel == whole {
                for (rest, values) in rest.iter_mut().zip(positions) {
                    rest[..channels - whole].copy_from_slice(&values[whole..channels]);
                }
                pointers = std::array::from_fn(|p| rest[p].as_ptr().wrapping_sub(whole));
            }
            debug_assert!(count <= channel);
            let at = pointers.map(|pointer| pointer.wrapping_add(channel));
            let entry = ((first + channel) * PANEL) as u32;
            *kept = S::Eights::keep(&at, entry, entries.add(count), values.add(count));
            count += kept.count_ones() as usize;
        }
        into.entries.set_len(into.entries.len() + count);
        into.values.set_len(into.values.len() + count);
    }
    into.kept.extend_from_slice(&kept[..channels.div_ceil(8)]);
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn append_sparse_generic<S: Simd>(
    into: &mut SparseActivations,
    from: &SparseActivations,
    pixel: usize,
    first: usize,
) {
    let (entries, values) = from.run(&(pixel..pixel + 1));
    let first = u32::try_from(first * PANEL).expect("a row of a plane has fewer activations");
    let (start, count) = (into.entries.len(), entries.len());
    debug_assert!(start == into.values.len() && count == values.len());
    into.entries.reserve(count);
    into.values.reserve(count);
    // A pixel keeps about a dozen entries: loops that the compiler unrolls are faster than two calls of
    // `memcpy`.
    // SAFETY: room for `count` more of both is reserved, and as many are written.
    unsafe {
        let (to_entries, to_values) =
            (into.entries.as_mut_ptr().add(start), into.values.as_mut_ptr().add(start));
        for (i, (&entry, &value)) in entries.iter().zip(values).enumerate() {
            to_entries.add(i).write(entry + first);
            to_values.add(i).write(value);
        }
        into.entries.set_len(start + count);
        into.values.set_len(start + count);
    }
    into.kept.extend_from_slice(from.kept_of(pixel));
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn mean_generic<S: Simd>(input: &SparseActivations, channels: usize, means: &mut Vec<[f32; BATCH]>) {
    means.clear();
    means.resize(channels, [0.0; BATCH]);
    // Adding the zeros that are left out would change nothing.
    for pixel in 0..input.len() {
        let (entries, values) = input.run(&(pixel..pixel + 1));
        let zeroth = entries.first().map_or(0, |&entry| zeroth_entry(entry, channels));
        for (entry, values) in entries.iter().zip(values) {
            for (mean, value) in means[(*entry as usize - zeroth) / PANEL].iter_mut().zip(values.0) {
                *mean += value;
            }
        }
    }
    let count = input.len() as f32;
    means.iter_mut().flatten().for_each(|mean| *mean /= count);
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn differing_generic<S: Simd>(input: &SparseActivations, pixel: usize, unoccluded: &[f32]) -> u8 {
    let (entries, values) = input.run(&(pixel..pixel + 1));
    let all = (0xffu16 >> (8 - input.positions)) as u8;
    let mut bits = [0u32; BATCH];
    let (mut positions, mut nonzero) = (0, 0);
    for (entries, values) in entries.chunks(16).zip(values.chunks(16)) {
        for (&entry, values) in entries.iter().zip(values) {
            let unoccluded = unoccluded[entry as usize / PANEL].to_bits();
            nonzero += usize::from(unoccluded != 0);
            for (bits, value) in bits.iter_mut().zip(values.0) {
                *bits |= value.to_bits() ^ unoccluded;
            }
        }
        // Most pixels differ in all positions within the first chunk.
        positions = bits.iter().rev().fold(0, |mask, &bits| mask << 1 | u8::from(bits != 0)) & all;
        if positions == all {
            return all;
        }
    }
    // Channels that are left out are zero in all positions.
    if unoccluded.iter().filter(|x| x.to_bits() != 0).count() != nonzero {
        return all;
    }
    positions
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests;
