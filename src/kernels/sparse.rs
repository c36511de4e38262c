//! What a convolution reads: columns of channels side by side, with the channels left out that are zero in all of them.

use std::ops::Range;

use super::isa::{Isa, for_each_isa};
use super::simd::{BATCH, BatchValues, Simd};

/// A list of sites. A site is a place that a kernel window can read at: up to eight columns (the same pixel for
/// eight mask positions, or a part of the classifier's input) of channels, of which those are kept that are
/// non-zero in at least one column. Leaving the others out changes no bit of a sum.
///
/// The kept values are copied, channel by channel, the columns side by side: every place of a window and every block of outputs then
/// reads them from one short run of memory. Neighbouring sites follow each other there, so that a whole row of a window is
/// one run of entries, which matters where sites keep few channels each.
///
/// Invariants, which the kernels rely on: site `i` has the entries `ends[i - 1]..ends[i]`, as many values, and the bytes
/// `kept_ends[i - 1]..kept_ends[i]` of `kept`.
#[derive(Default)]
pub(crate) struct SparseActivations {
    columns: usize,
    ends: Vec<usize>,
    /// What is kept: a number that says channel and place, ascending from site to site of a row of the plane.
    entries: Vec<u32>,
    values: Vec<BatchValues>,
    /// For each site, a bit a channel: whether it is kept.
    kept: Vec<u8>,
    kept_ends: Vec<usize>,
    /// Memory for [`push_maximum`](SparseActivations::push_maximum), zero between calls.
    most: Vec<BatchValues>,
}

/// A row of a window that lies in the plane: consecutive sites, and which weights they meet.
#[derive(Clone, Debug)]
pub(crate) struct WindowRow {
    pub(crate) sites: Range<usize>,
    /// Entry `e` is multiplied with the weight of product `e + shift` (see [`PackedWeights`](crate::kernels::PackedWeights)).
    pub(crate) shift: isize,
}

impl SparseActivations {
    /// Forgets all sites, but not their memory; the next ones have `columns` columns.
    pub(crate) fn clear(&mut self, columns: usize) {
        assert!((1..=BATCH).contains(&columns));
        self.columns = columns;
        self.ends.clear();
        self.entries.clear();
        self.values.clear();
        self.kept.clear();
        self.kept_ends.clear();
    }

    /// Makes room for `entries` in all, and not for more: lists that grow as they are filled take up to three times as much.
    /// Memory that is never written to costs nothing.
    pub(crate) fn reserve(&mut self, entries: usize) {
        let entries = entries + MOST_CHANNELS + 8;
        self.entries.reserve_exact(entries.saturating_sub(self.entries.len()));
        self.values.reserve_exact(entries.saturating_sub(self.values.len()));
    }

    /// Bytes that room for so many entries takes.
    pub(crate) fn bytes_for(entries: usize) -> usize {
        (entries + MOST_CHANNELS + 8) * (size_of::<u32>() + size_of::<BatchValues>())
    }

    /// Adds a site without its zeros; its channels are the entries from `first` on.
    pub(crate) fn push_pixel(&mut self, isa: Isa, first: usize, columns: &[&[f32]]) {
        self.append(isa, first, columns);
        self.finish_pixel();
    }

    /// Adds channels, without their zeros, to a site that [`finish_pixel`](SparseActivations::finish_pixel) completes. But for the last, a multiple of eight.
    pub(crate) fn append(&mut self, isa: Isa, first: usize, columns: &[&[f32]]) {
        begin(isa, self, first, columns);
    }

    /// Adds what another list keeps of some sites, whose channels ascend, to the one that [`finish_pixel`](SparseActivations::finish_pixel) completes; their
    /// entries count from `first`.
    pub(crate) fn append_from(
        &mut self,
        isa: Isa,
        from: &SparseActivations,
        sites: impl Iterator<Item = usize>,
        first: usize,
    ) {
        assert_eq!(from.columns, self.columns);
        for site in sites {
            append(isa, self, from, site, first);
        }
    }

    /// Completes a site.
    pub(crate) fn finish_pixel(&mut self) {
        self.ends.push(self.entries.len());
        self.kept_ends.push(self.kept.len());
    }

    /// Adds a site that no window will read, to keep the numbering of a plane.
    pub(crate) fn push_empty(&mut self) {
        self.finish_pixel();
    }

    /// SparseActivations so far.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds the site that has the largest value in a window for each channel and column: max pooling. The window's sites are
    /// those of the runs, and their entries begin at multiples of `channels`. Its own begin at 0.
    pub(crate) fn push_maximum(
        &mut self,
        isa: Isa,
        from: &SparseActivations,
        window: &[WindowRow],
        channels: usize,
    ) {
        maximum_of_sites(isa, self, from, window, channels);
    }

    /// The columns, as bits, in which a site whose entries begin at 0 differs from `pixel` in any bit.
    pub(crate) fn differing(&self, isa: Isa, site: usize, pixel: &[f32]) -> u8 {
        let mut columns = 0;
        differing(isa, self, site, pixel, &mut columns);
        columns
    }

    /// The mean of all sites, summed in their order, `[channel][column]`. Their entries begin at multiples of `channels`.
    pub(crate) fn mean(&self, isa: Isa, channels: usize, means: &mut Vec<[f32; BATCH]>) {
        average_of_sites(isa, self, channels, means);
    }

    /// The value of an entry of a site in a column; zero if it is not kept.
    pub(crate) fn value(&self, site: usize, entry: usize, column: usize) -> f32 {
        let (entries, values) = self.run(&(site..site + 1));
        entries.binary_search(&(entry as u32)).map_or(0.0, |at| values[at].0[column])
    }

    /// Multiply-adds that the runs cost each column and output channel.
    pub(crate) fn macs(&self, runs: &[WindowRow]) -> usize {
        runs.iter().map(|run| self.entries_of(&run.sites).len()).sum()
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The entries of consecutive sites, and their values.
    #[inline(always)]
    pub(crate) fn run(&self, sites: &Range<usize>) -> (&[u32], &[BatchValues]) {
        let range = self.entries_of(sites);
        (&self.entries[range.clone()], &self.values[range])
    }

    #[inline(always)]
    fn entries_of(&self, sites: &Range<usize>) -> Range<usize> {
        between(&self.ends, sites)
    }

    #[inline(always)]
    fn kept_of(&self, site: usize) -> &[u8] {
        &self.kept[between(&self.kept_ends, &(site..site + 1))]
    }
}

/// What lies between the end of the site before and that of the last one.
#[inline(always)]
fn between(ends: &[usize], sites: &Range<usize>) -> Range<usize> {
    if sites.is_empty() {
        return 0..0;
    }
    (if sites.start == 0 { 0 } else { ends[sites.start - 1] })..ends[sites.end - 1]
}

/// As many as any blob of the network has.
const MOST_CHANNELS: usize = 1024;

static ZEROS: [f32; MOST_CHANNELS] = [0.0; MOST_CHANNELS];

/// A column of `channels` zeros: what a window reads outside the plane.
pub(crate) fn zeros(channels: usize) -> &'static [f32] {
    &ZEROS[..channels]
}

for_each_isa! {
    /// [`SparseActivations::append`].
    fn begin(sites: &mut SparseActivations, first: usize, columns: &[&[f32]]) => begin_generic
}

for_each_isa! {
    /// [`SparseActivations::begin_with`].
    fn append(into: &mut SparseActivations, from: &SparseActivations, site: usize, first: usize) => append_generic
}

for_each_isa! {
    /// [`SparseActivations::push_maximum`].
    fn maximum_of_sites(into: &mut SparseActivations, from: &SparseActivations, window: &[WindowRow], channels: usize) => maximum_generic
}

for_each_isa! {
    /// [`SparseActivations::mean`].
    fn average_of_sites(sites: &SparseActivations, channels: usize, means: &mut Vec<[f32; BATCH]>) => average_generic
}

for_each_isa! {
    /// [`SparseActivations::differing`].
    fn differing(sites: &SparseActivations, site: usize, pixel: &[f32], columns: &mut u8) => differing_generic
}

/// # Safety
/// The machine has the instruction set of `S` (this and those below).
#[inline(always)]
unsafe fn begin_generic<S: Simd>(sites: &mut SparseActivations, first: usize, columns: &[&[f32]]) {
    let channels = columns[0].len();
    assert!(columns.len() == sites.columns && columns.iter().all(|column| column.len() == channels));
    assert!(channels <= MOST_CHANNELS);
    assert!(first + channels <= u32::MAX as usize);
    let mut column: [*const f32; BATCH] =
        std::array::from_fn(|i| columns.get(i).map_or(ZEROS.as_ptr(), |column| column.as_ptr()));
    // The last channels, if fewer than eight, are read from a copy.
    let whole = channels / 8 * 8;
    let mut rest = [[0.0; 8]; BATCH];
    let mut kept = [0u8; MOST_CHANNELS / 8];
    let mut count = 0;
    // WorkspaceSize for all, and for what the last step writes beyond.
    sites.entries.reserve(channels + 8);
    sites.values.reserve(channels + 8);
    // SAFETY: all columns hold `channels` values. A step writes eight entries, of which `count` grows by those kept: room
    // for all and eight more is reserved.
    unsafe {
        let entries = sites.entries.as_mut_ptr().add(sites.entries.len());
        let values = sites.values.as_mut_ptr().add(sites.values.len());
        for (kept, channel) in kept.iter_mut().zip((0..channels).step_by(8)) {
            if channel == whole {
                for (rest, column) in rest.iter_mut().zip(columns) {
                    rest[..channels - whole].copy_from_slice(&column[whole..channels]);
                }
                column = std::array::from_fn(|i| rest[i].as_ptr().wrapping_sub(whole));
            }
            debug_assert!(count <= channel);
            let at = column.map(|column| column.wrapping_add(channel));
            *kept = S::keep(&at, (first + channel) as u32, entries.add(count), values.add(count));
            count += kept.count_ones() as usize;
        }
        sites.entries.set_len(sites.entries.len() + count);
        sites.values.set_len(sites.values.len() + count);
    }
    sites.kept.extend_from_slice(&kept[..channels.div_ceil(8)]);
}

#[inline(always)]
unsafe fn append_generic<S: Simd>(
    into: &mut SparseActivations,
    from: &SparseActivations,
    site: usize,
    first: usize,
) {
    let (entries, values) = from.run(&(site..site + 1));
    let (start, count) = (into.entries.len(), entries.len());
    debug_assert!(start == into.values.len() && count == values.len());
    into.entries.reserve(count);
    into.values.reserve(count);
    // A dozen entries each: loops that the compiler unrolls are faster than two calls of `memcpy`.
    // SAFETY: `count` more of both are reserved, and then written.
    unsafe {
        let (to_entries, to_values) =
            (into.entries.as_mut_ptr().add(start), into.values.as_mut_ptr().add(start));
        for (i, (&entry, &value)) in entries.iter().zip(values).enumerate() {
            to_entries.add(i).write(entry + first as u32);
            to_values.add(i).write(value);
        }
        into.entries.set_len(start + count);
        into.values.set_len(start + count);
    }
    into.kept.extend_from_slice(from.kept_of(site));
}

#[inline(always)]
unsafe fn maximum_generic<S: Simd>(
    into: &mut SparseActivations,
    from: &SparseActivations,
    window: &[WindowRow],
    channels: usize,
) {
    assert!(into.columns == from.columns && channels <= MOST_CHANNELS);
    let bytes = channels.div_ceil(8);
    // A channel is kept if it is in any site: values are not negative, so that a maximum with one that is not zero is not.
    let mut kept = [0u8; MOST_CHANNELS / 8];
    for site in window.iter().flat_map(|run| run.sites.clone()) {
        for (all, site) in kept[..bytes].iter_mut().zip(from.kept_of(site)) {
            *all |= site;
        }
    }
    let start = into.entries.len();
    into.entries.reserve(channels + 8);
    let mut count = 0;
    for (first, &bits) in (0u32..).step_by(8).zip(&kept[..bytes]) {
        // SAFETY: `count` is at most the channels seen, and room for all and eight more is reserved.
        unsafe { S::places(bits, first, into.entries.as_mut_ptr().add(start + count)) };
        count += bits.count_ones() as usize;
    }
    // SAFETY: `count` more have been written.
    unsafe { into.entries.set_len(start + count) };
    into.most.resize(channels, BatchValues::default());
    let most = &mut into.most[..];
    for site in window.iter().flat_map(|run| run.sites.clone()) {
        let (entries, values) = from.run(&(site..site + 1));
        // The place of the site in its row.
        let place = entries.first().map_or(0, |&entry| entry as usize / channels * channels);
        let Some(&last) = entries.last() else { continue };
        assert!(last as usize - place < channels);
        for (&entry, values) in entries.iter().zip(values) {
            debug_assert!((entry as usize - place) < channels);
            // SAFETY: entries of a site ascend, so that all are below the last; the instruction set is the caller's promise.
            unsafe { S::raise(most.get_unchecked_mut(entry as usize - place), values) };
        }
    }
    into.values
        .extend(into.entries[start..].iter().map(|&channel| std::mem::take(&mut most[channel as usize])));
    into.kept.extend(&kept[..bytes]);
    into.finish_pixel();
}

#[inline(always)]
unsafe fn average_generic<S: Simd>(
    sites: &SparseActivations,
    channels: usize,
    means: &mut Vec<[f32; BATCH]>,
) {
    means.clear();
    means.resize(channels, [0.0; BATCH]);
    // Adding the zeros that are left out would change nothing.
    for site in 0..sites.len() {
        let (entries, values) = sites.run(&(site..site + 1));
        let place = entries.first().map_or(0, |&entry| entry as usize / channels * channels);
        for (entry, values) in entries.iter().zip(values) {
            for (mean, value) in means[*entry as usize - place].iter_mut().zip(values.0) {
                *mean += value;
            }
        }
    }
    let count = sites.len() as f32;
    means.iter_mut().flatten().for_each(|mean| *mean /= count);
}

#[inline(always)]
unsafe fn differing_generic<S: Simd>(
    sites: &SparseActivations,
    site: usize,
    pixel: &[f32],
    columns: &mut u8,
) {
    let (entries, values) = sites.run(&(site..site + 1));
    let all = (0xffu16 >> (8 - sites.columns)) as u8;
    let mut bits = [0u32; BATCH];
    let mut nonzero = 0;
    for (entries, values) in entries.chunks(16).zip(values.chunks(16)) {
        for (&channel, values) in entries.iter().zip(values) {
            let unoccluded = pixel[channel as usize].to_bits();
            nonzero += usize::from(unoccluded != 0);
            for (bits, value) in bits.iter_mut().zip(values.0) {
                *bits |= value.to_bits() ^ unoccluded;
            }
        }
        // Most differ at once.
        *columns = bits.iter().rev().fold(0, |mask, &bits| mask << 1 | u8::from(bits != 0)) & all;
        if *columns == all {
            return;
        }
    }
    // Channels that are left out are zero in all columns.
    if pixel.iter().filter(|x| x.to_bits() != 0).count() != nonzero {
        *columns = all;
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::test;
    use proptest::prelude::*;

    type Row = Vec<Vec<Vec<f32>>>;

    /// SparseActivations of a row, `[site][column][channel]`: most values are zero, as activations are.
    fn row(channels: usize, columns: usize, sites: usize, seed: u32) -> Row {
        let mut values = test::values(seed);
        let mut value = || if values() < 0.66 { 0.0 } else { values() + 1.01 };
        let mut column = || (0..channels).map(|_| value()).collect();
        let mut site = || (0..columns).map(|_| column()).collect();
        (0..sites).map(|_| site()).collect()
    }

    fn rows() -> impl Strategy<Value = (usize, Row)> {
        (1usize..100, 1usize..=8, 1usize..5, any::<u32>())
            .prop_map(|(channels, columns, sites, seed)| (channels, row(channels, columns, sites, seed)))
    }

    fn fill(isa: Isa, channels: usize, row: &[Vec<Vec<f32>>]) -> SparseActivations {
        let mut sites = SparseActivations::default();
        sites.clear(row[0].len());
        sites.push_empty();
        for (place, site) in row.iter().enumerate() {
            let columns: Vec<&[f32]> = site.iter().map(|c| c.as_slice()).collect();
            sites.push_pixel(isa, place * channels, &columns);
        }
        sites
    }

    fn assert_keeps_what_is_not_zero_in_all_columns(channels: usize, row: &Row) {
        for isa in Isa::all_available() {
            let sites = fill(isa, channels, row);
            assert!(sites.run(&(0..1)).0.is_empty());
            let (entries, values) = sites.run(&(0..row.len() + 1));
            let mut at = 0;
            for (place, site) in row.iter().enumerate() {
                for channel in 0..channels {
                    let is_kept = site.iter().any(|column| column[channel] != 0.0);
                    let byte = sites.kept_of(place + 1)[channel / 8];
                    assert_eq!(byte >> (channel % 8) & 1 != 0, is_kept, "{}", isa);
                    if is_kept {
                        assert_eq!(entries[at] as usize, place * channels + channel, "{}", isa);
                        for (c, column) in site.iter().enumerate() {
                            assert_eq!(values[at].0[c], column[channel], "{}", isa);
                        }
                        at += 1;
                    }
                }
            }
            assert_eq!((at, at), (entries.len(), values.len()));
        }
    }

    fn assert_a_site_may_be_added_in_parts(channels: usize, row: &Row) {
        let columns: Vec<&[f32]> = row[0].iter().map(|c| c.as_slice()).collect();
        let split = channels / 2 / 8 * 8;
        let parts =
            [0..split, split..channels].map(|range| columns.iter().map(|c| &c[range.clone()]).collect());
        let [low, high]: [Vec<&[f32]>; 2] = parts;
        for isa in Isa::all_available() {
            let whole = fill(isa, channels, &row[..1]);
            let mut store = SparseActivations::default();
            store.clear(columns.len());
            store.push_pixel(isa, split, &high);
            let mut sites = SparseActivations::default();
            sites.clear(columns.len());
            sites.append(isa, 100, &low);
            sites.append_from(isa, &store, [0].into_iter(), 100);
            sites.finish_pixel();
            let ((got, got_values), (want, want_values)) = (sites.run(&(0..1)), whole.run(&(1..2)));
            assert!(got.iter().eq(want.iter().map(|entry| entry + 100).collect::<Vec<_>>().iter()));
            assert_eq!(got_values, want_values);
            assert_eq!(sites.kept_of(0), whole.kept_of(1));
        }
    }

    fn assert_the_maximum_of_sites_is_that_of_their_pixels(channels: usize, row: &Row) {
        let columns: Vec<Vec<f32>> = (0..row[0].len())
            .map(|c| (0..channels).map(|k| row.iter().map(|site| site[c][k]).fold(0.0, f32::max)).collect())
            .collect();
        for isa in Isa::all_available() {
            let from = fill(isa, channels, row);
            let expected = fill(isa, channels, std::slice::from_ref(&columns));
            let mut into = SparseActivations::default();
            into.clear(columns.len());
            let split = row.len() / 2 + 1;
            into.push_maximum(
                isa,
                &from,
                &[0..split, split..row.len() + 1].map(|sites| WindowRow { sites, shift: 0 }),
                channels,
            );
            let ((got, got_values), (want, want_values)) = (into.run(&(0..1)), expected.run(&(1..2)));
            assert_eq!(got, want, "{}", isa);
            assert_eq!(got_values, want_values, "{}", isa);
            assert_eq!(into.kept_of(0), expected.kept_of(1));
        }
    }

    fn assert_columns_differ_where_their_bits_do(channels: usize, row: &Row, like: usize, at: usize) {
        let site = &row[0];
        let mut pixel = site[like % site.len()].clone();
        for change in [None, Some(0.0), Some(3.0)] {
            if let Some(value) = change {
                pixel[at % channels] = value;
            }
            let expected = site.iter().rev().fold(0, |bits, column| bits << 1 | u8::from(*column != pixel));
            for isa in Isa::all_available() {
                let sites = fill(isa, channels, std::slice::from_ref(site));
                assert_eq!(sites.differing(isa, 1, &pixel), expected, "{}", isa);
            }
        }
    }

    // Miri would interpret them for hours; the edges below have each path of the kernels in small.
    #[cfg(not(miri))]
    proptest! {
        #[test]
        fn keeps_what_is_not_zero_in_all_columns((channels, row) in rows()) {
            assert_keeps_what_is_not_zero_in_all_columns(channels, &row);
        }

        #[test]
        fn a_site_may_be_added_in_parts((channels, row) in rows()) {
            assert_a_site_may_be_added_in_parts(channels, &row);
        }

        #[test]
        fn the_maximum_of_sites_is_that_of_their_pixels((channels, row) in rows()) {
            assert_the_maximum_of_sites_is_that_of_their_pixels(channels, &row);
        }

        #[test]
        fn columns_differ_where_their_bits_do((channels, row) in rows(), like in 0usize..8, at in 0usize..100) {
            assert_columns_differ_where_their_bits_do(channels, &row, like, at);
        }
    }

    /// Channels around the eight that are looked at together, and each number of columns.
    #[test]
    fn sites_are_right_at_the_edges_of_eight_channels_and_columns() {
        for (columns, channels) in (1..=BATCH).zip([1, 7, 8, 9, 15, 16, 17, 33]) {
            let row = row(channels, columns, 3, 5);
            assert_keeps_what_is_not_zero_in_all_columns(channels, &row);
            assert_a_site_may_be_added_in_parts(channels, &row);
            assert_the_maximum_of_sites_is_that_of_their_pixels(channels, &row);
            assert_columns_differ_where_their_bits_do(channels, &row, 1, channels - 1);
        }
    }
}
