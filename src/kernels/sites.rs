//! What a convolution reads: columns of channels side by side, and which channels are not zero in any of them.

use super::isa::{Isa, for_each_isa};
use super::simd::Simd;
use super::{COLUMNS, Tap};

/// A list of sites. A site is a place that a kernel window can read at: up to eight columns (the same pixel for
/// eight mask positions, or neighbouring pixels of one image), each `channels` values, and the list of those
/// channels that are non-zero in at least one column. Leaving the others out changes no bit of a sum.
///
/// Invariants, which the kernels rely on: every column holds at least `channels` values, and every listed channel is
/// below `channels`.
pub(crate) struct Sites<'a> {
    channels: usize,
    columns: Vec<[&'a [f32]; COLUMNS]>,
    /// Listed channels of site `i`: `nonzero[ends[i - 1]..ends[i]]`, ascending.
    ends: Vec<u32>,
    nonzero: Vec<u32>,
}

impl<'a> Sites<'a> {
    /// No sites yet; room for `sites` of them.
    pub(crate) fn new(channels: usize, sites: usize) -> Sites<'a> {
        Sites {
            channels,
            columns: Vec::with_capacity(sites),
            ends: Vec::with_capacity(sites),
            nonzero: Vec::with_capacity(sites * channels / 2),
        }
    }

    /// Adds a site of up to eight columns and lists its non-zero channels.
    pub(crate) fn push(&mut self, isa: Isa, columns: &[&'a [f32]]) {
        let first = columns[0];
        let row = std::array::from_fn(|i| &columns.get(i).unwrap_or(&first)[..self.channels]);
        list_nonzero(isa, &columns[..columns.len().min(COLUMNS)], self.channels, &mut self.nonzero);
        self.columns.push(row);
        self.ends.push(self.nonzero.len() as u32);
    }

    /// Adds a site that no window will read, to keep the numbering of a plane.
    pub(crate) fn skip(&mut self) {
        self.columns.push([zeros(self.channels); COLUMNS]);
        self.ends.push(self.nonzero.len() as u32);
    }

    /// Adds a site of up to eight columns with all channels listed: for inputs without zeros.
    pub(crate) fn push_dense(&mut self, columns: &[&'a [f32]]) {
        let first = columns[0];
        self.columns.push(std::array::from_fn(|i| &columns.get(i).unwrap_or(&first)[..self.channels]));
        self.nonzero.extend(0..self.channels as u32);
        self.ends.push(self.nonzero.len() as u32);
    }

    /// Multiply-adds that the taps cost each column and output channel.
    pub(crate) fn products(&self, taps: &[Tap]) -> usize {
        taps.iter().map(|tap| self.nonzero(tap.site).len()).sum()
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn columns(&self, site: usize) -> &[&'a [f32]; COLUMNS] {
        &self.columns[site]
    }

    pub(super) fn nonzero(&self, site: usize) -> &[u32] {
        let start = if site == 0 { 0 } else { self.ends[site - 1] };
        &self.nonzero[start as usize..self.ends[site] as usize]
    }
}

static ZEROS: [f32; MOST_CHANNELS] = [0.0; MOST_CHANNELS];

/// As many as any blob of the network has.
const MOST_CHANNELS: usize = 1024;

/// A column of `channels` zeros: what a window reads outside the plane.
pub(crate) fn zeros(channels: usize) -> &'static [f32] {
    &ZEROS[..channels]
}

for_each_isa! {
    /// Appends the channels below `channels` that are not zero in at least one of `columns`, ascending.
    fn list_nonzero(columns: &[&[f32]], channels: usize, list: &mut Vec<u32>) => list_nonzero_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn list_nonzero_generic<S: Simd>(columns: &[&[f32]], channels: usize, list: &mut Vec<u32>) {
    // Column by column, as they lie in memory: most come from beyond the second-level cache, and the processor's
    // prefetcher follows one run at a time better than eight.
    let mut any = [0u32; MOST_CHANNELS];
    let any = &mut any[..channels.next_multiple_of(S::LANES)];
    for column in columns {
        for (any, x) in any.iter_mut().zip(&column[..channels]) {
            *any |= x.to_bits();
        }
    }
    list.reserve(any.len());
    let mut len = list.len();
    for first in (0..any.len()).step_by(S::LANES) {
        debug_assert!(len + S::LANES <= list.capacity());
        // SAFETY: `any` holds whole vectors; `len` grows by at most the lanes seen, and room for all is reserved.
        len += unsafe {
            S::compress(S::load(any.as_ptr().add(first).cast()), first as u32, list.as_mut_ptr().add(len))
        };
    }
    // SAFETY: `len` values were written; lanes past `channels` are zero and so not listed.
    unsafe { list.set_len(len) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_the_union_of_non_zeros(
            (channels, columns) in (1usize..100).prop_flat_map(|c| (
                Just(c),
                prop::collection::vec(prop::collection::vec(prop_oneof![3 => Just(0.0f32), 1 => 0.1f32..2.0], c), 1..=8),
            ))
        ) {
            let expected: Vec<u32> =
                (0..channels as u32).filter(|&c| columns.iter().any(|col| col[c as usize] != 0.0)).collect();
            let slices: Vec<&[f32]> = columns.iter().map(|c| c.as_slice()).collect();
            for isa in Isa::all_available() {
                let mut list = vec![7];
                list_nonzero(isa, &slices, channels, &mut list);
                prop_assert_eq!(&list[1..], &expected[..], "{}", isa);
            }
        }
    }
}
