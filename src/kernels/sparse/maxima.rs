//! Max pooling of a sweep.

use super::{MOST_CHANNELS, SparseActivations, WindowRow, zeroth_entry};
use crate::kernels::isa::{Isa, for_each_isa};
use crate::kernels::simd::{BatchValues, Eights, PANEL, Simd};

/// The most columns of a window.
const MOST_COLUMNS: usize = 3;

/// Computes the largest value in a window for each channel and position: first over each column of the
/// window, then over its columns. Neighbouring windows share columns, whose maxima are computed once.
/// Values are not negative, so a channel that a pixel does not keep changes no maximum.
#[derive(Default)]
pub(crate) struct WindowMaxima {
    /// The column that begins with pixel `i` has the place `i % MOST_COLUMNS`.
    columns: [ColumnMaxima; MOST_COLUMNS],
}

/// The maxima of a column of a window.
#[derive(Default)]
struct ColumnMaxima {
    /// The first and the last of its pixels.
    pixels: Option<[usize; 2]>,
    /// For each channel, zero where no pixel keeps it.
    most: Vec<BatchValues>,
    /// A bit for each channel: whether any pixel keeps it.
    kept: Vec<u8>,
}

impl WindowMaxima {
    /// Forgets all columns, because the windows that follow read other pixels.
    pub(crate) fn start(&mut self) {
        self.columns.iter_mut().for_each(|column| column.pixels = None);
    }

    /// Adds to `into` a pixel with the maxima of a window of `from`, whose rows have the same columns. The
    /// columns of each pixel of the window begin at a multiple of `channels`, those of the new pixel begin
    /// at 0.
    ///
    /// # Panics
    /// If the window has no row or no column, or more than three columns.
    pub(crate) fn push(
        &mut self,
        isa: Isa,
        from: &SparseActivations,
        window: &[WindowRow],
        channels: usize,
        into: &mut SparseActivations,
    ) {
        push(isa, self, from, window, channels, into);
    }
}

for_each_isa! {
    /// Does the work of [`WindowMaxima::push`].
    fn push(
        maxima: &mut WindowMaxima,
        from: &SparseActivations,
        window: &[WindowRow],
        channels: usize,
        into: &mut SparseActivations,
    ) => push_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn push_generic<S: Simd>(
    maxima: &mut WindowMaxima,
    from: &SparseActivations,
    window: &[WindowRow],
    channels: usize,
    into: &mut SparseActivations,
) {
    assert!(into.positions == from.positions && channels <= MOST_CHANNELS);
    let (first, last) = (window[0].pixels.clone(), window[window.len() - 1].pixels.start);
    assert!((1..=MOST_COLUMNS).contains(&first.len()));
    let columns = first.len();
    for column in 0..columns {
        let pixels = [first.start + column, last + column];
        let maxima = &mut maxima.columns[pixels[0] % MOST_COLUMNS];
        if maxima.pixels != Some(pixels) {
            maxima.pixels = Some(pixels);
            // SAFETY: the caller vouches for the instruction set.
            unsafe { column_generic::<S>(maxima, from, window, column, channels) };
        }
    }
    // A window with fewer columns takes the last one again.
    let columns: [&ColumnMaxima; MOST_COLUMNS] =
        std::array::from_fn(|column| &maxima.columns[(first.start + column.min(columns - 1)) % MOST_COLUMNS]);
    let bytes = channels.div_ceil(8);
    let start = into.entries.len();
    debug_assert!(start == into.values.len());
    into.entries.reserve(channels + 8);
    into.values.reserve(channels);
    let most = columns.map(|column| {
        assert!(column.most.len() == 8 * bytes && column.kept.len() == bytes);
        column.most.as_ptr()
    });
    let mut count = 0;
    for byte in 0..bytes {
        let bits = columns.iter().fold(0, |bits, column| bits | column.kept[byte]);
        into.kept.push(bits);
        debug_assert!(count <= 8 * byte);
        // SAFETY: `count` is at most the number of channels seen, and room for all channels and eight
        // more is reserved. The caller vouches for the instruction set.
        unsafe {
            let to = into.entries.as_mut_ptr().add(start + count);
            S::Eights::bit_entries(bits, (8 * byte * PANEL) as u32, to);
        };
        count += bits.count_ones() as usize;
    }
    debug_assert!(count <= channels);
    // SAFETY: `count` entries have been written, each `PANEL` times the index of a bit in `bytes` bytes, so
    // each column has a value for it; there is room for as many values.
    unsafe {
        let entries = into.entries.as_ptr().add(start);
        let values = into.values.as_mut_ptr().add(start);
        for i in 0..count {
            let channel = *entries.add(i) as usize / PANEL;
            let mut largest = *most[0].add(channel);
            S::Eights::raise(&mut largest, &*most[1].add(channel));
            S::Eights::raise(&mut largest, &*most[2].add(channel));
            values.add(i).write(largest);
        }
        into.entries.set_len(start + count);
        into.values.set_len(start + count);
    }
    into.finish_pixel();
}

/// Computes the maxima of a column of a window.
///
/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn column_generic<S: Simd>(
    maxima: &mut ColumnMaxima,
    from: &SparseActivations,
    window: &[WindowRow],
    column: usize,
    channels: usize,
) {
    let bytes = channels.div_ceil(8);
    maxima.kept.clear();
    maxima.kept.resize(bytes, 0);
    // Each entry is below eight times the bytes.
    maxima.most.clear();
    maxima.most.resize(8 * bytes, BatchValues::default());
    let most = maxima.most.as_mut_ptr();
    for row in window {
        debug_assert!(row.pixels.len() > column);
        let pixel = row.pixels.start + column;
        for (all, pixel) in maxima.kept.iter_mut().zip(from.kept_of(pixel)) {
            *all |= pixel;
        }
        let (entries, values) = from.run(&(pixel..pixel + 1));
        let (Some(&first), Some(&last)) = (entries.first(), entries.last()) else { continue };
        let zeroth = zeroth_entry(first, channels);
        assert!(last as usize - zeroth < channels * PANEL);
        let most = most.wrapping_sub(zeroth / PANEL);
        for (&entry, values) in entries.iter().zip(values) {
            debug_assert!((entry as usize - zeroth) < channels * PANEL);
            // SAFETY: the entries of a pixel ascend, so all are at most the last, and `most` has
            // `channels` elements or more. The caller vouches for the instruction set.
            unsafe { S::Eights::raise(&mut *most.wrapping_add(entry as usize / PANEL), values) };
        }
    }
}
