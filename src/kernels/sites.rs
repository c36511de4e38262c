//! What a convolution reads: columns of channels side by side, with the channels left out that are zero in all of them.

use super::isa::{Isa, for_each_isa};
use super::simd::Simd;
use super::{COLUMNS, Tap};

/// A list of sites. A site is a place that a kernel window can read at: up to eight columns (the same pixel for
/// eight mask positions, or neighbouring pixels of one image) of `channels` values, of which those channels are kept that are
/// non-zero in at least one column. Leaving the others out changes no bit of a sum.
///
/// The kept values are copied: every tap and every block of outputs then reads them from one short run of memory,
/// instead of a value here and there from eight long ones.
///
/// Invariants, which the kernels rely on: site `i` has `n = ends[i] - ends[i - 1]` entries in `kept`, ascending and below
/// `channels`, and its column `c` has their values at `values[ends[i - 1] * columns + c * n..][..n]`.
#[derive(Default)]
pub(crate) struct Sites {
    channels: usize,
    columns: usize,
    ends: Vec<usize>,
    kept: Vec<u32>,
    values: Vec<f32>,
}

/// One site as a kernel reads it.
#[derive(Clone, Copy)]
pub(super) struct Site<'s> {
    /// The channels that are kept.
    pub(super) kept: &'s [u32],
    /// Their values, column by column.
    pub(super) values: &'s [f32],
}

impl Sites {
    /// Forgets all sites, but not their memory; the next ones have `columns` columns of `channels` values.
    pub(crate) fn clear(&mut self, channels: usize, columns: usize) {
        assert!(channels <= MOST_CHANNELS && (1..=COLUMNS).contains(&columns));
        self.channels = channels;
        self.columns = columns;
        self.ends.clear();
        self.kept.clear();
        self.values.clear();
    }

    /// Adds a site without its zeros.
    pub(crate) fn push(&mut self, isa: Isa, columns: &[&[f32]]) {
        assert_eq!(columns.len(), self.columns);
        keep_nonzero(isa, columns, self.channels, &mut self.kept, &mut self.values);
        self.ends.push(self.kept.len());
    }

    /// Adds a site with all its channels: for inputs without zeros.
    pub(crate) fn push_dense(&mut self, columns: &[&[f32]]) {
        assert_eq!(columns.len(), self.columns);
        self.kept.extend(0..self.channels as u32);
        for column in columns {
            self.values.extend_from_slice(&column[..self.channels]);
        }
        self.ends.push(self.kept.len());
    }

    /// Adds a site that no window will read, to keep the numbering of a plane.
    pub(crate) fn skip(&mut self) {
        self.ends.push(self.kept.len());
    }

    /// Multiply-adds that the taps cost each column and output channel.
    pub(crate) fn products(&self, taps: &[Tap]) -> usize {
        taps.iter().map(|tap| self.site(tap.site).kept.len()).sum()
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    #[inline(always)]
    pub(super) fn site(&self, site: usize) -> Site<'_> {
        let (start, end) = (if site == 0 { 0 } else { self.ends[site - 1] }, self.ends[site]);
        Site { kept: &self.kept[start..end], values: &self.values[start * self.columns..end * self.columns] }
    }
}

/// As many as any blob of the network has.
const MOST_CHANNELS: usize = 1024;

static ZEROS: [f32; MOST_CHANNELS] = [0.0; MOST_CHANNELS];

/// A column of `channels` zeros: what a window reads outside the plane.
pub(crate) fn zeros(channels: usize) -> &'static [f32] {
    &ZEROS[..channels]
}

for_each_isa! {
    /// Appends the channels below `channels` that are not zero in at least one of `columns`, ascending, to `kept`, and their
    /// values, column by column, to `values`.
    fn keep_nonzero(
        columns: &[&[f32]],
        channels: usize,
        kept: &mut Vec<u32>,
        values: &mut Vec<f32>,
    ) => keep_nonzero_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn keep_nonzero_generic<S: Simd>(
    columns: &[&[f32]],
    channels: usize,
    kept: &mut Vec<u32>,
    values: &mut Vec<f32>,
) {
    assert!(channels <= MOST_CHANNELS && columns.iter().all(|column| column.len() >= channels));
    // Column by column, as they lie in memory: most come from beyond the second-level cache, and the processor's
    // prefetcher follows one run at a time better than eight.
    let mut any = [0u32; MOST_CHANNELS];
    let any = &mut any[..channels.next_multiple_of(S::LANES)];
    for column in columns {
        for (any, x) in any.iter_mut().zip(&column[..channels]) {
            *any |= x.to_bits();
        }
    }
    // Room for all, and for what whole vectors write past the last.
    kept.reserve(any.len());
    values.reserve(columns.len() * channels + S::LANES);
    let mut masks = [0u32; MOST_CHANNELS / 8];
    let mut count = 0;
    // SAFETY: `any` holds whole vectors. `count` grows by at most the lanes seen, and room for all is reserved; lanes past
    // `channels` are zero and so not kept.
    unsafe {
        let to = kept.as_mut_ptr().add(kept.len());
        for (mask, first) in masks.iter_mut().zip((0..any.len()).step_by(S::LANES)) {
            *mask = S::nonzero(S::load(any.as_ptr().add(first).cast()));
            S::compress_lanes(first as u32, *mask, to.add(count));
            count += mask.count_ones() as usize;
        }
        kept.set_len(kept.len() + count);
    }
    // SAFETY: each column holds `channels` values, and the vector that reaches beyond them is read from a copy. A column writes
    // `count <= channels` values and at most one vector's lanes beyond, where the next column, or nothing, comes.
    unsafe {
        let mut to = values.as_mut_ptr().add(values.len());
        for column in columns {
            let end = to.add(count);
            for (mask, first) in masks.iter().zip((0..channels).step_by(S::LANES)) {
                let v = if first + S::LANES <= channels {
                    S::load(column.as_ptr().add(first))
                } else {
                    let mut rest = [0.0; 16];
                    rest[..channels - first].copy_from_slice(&column[first..channels]);
                    S::load(rest.as_ptr())
                };
                S::compress(v, *mask, to);
                to = to.add(mask.count_ones() as usize);
            }
            debug_assert_eq!(to, end);
        }
        values.set_len(values.len() + columns.len() * count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_is_not_zero_in_all_columns(
            (channels, columns) in (1usize..100).prop_flat_map(|c| (
                Just(c),
                prop::collection::vec(prop::collection::vec(prop_oneof![3 => Just(0.0f32), 1 => 0.1f32..2.0], c), 1..=8),
            ))
        ) {
            let expected: Vec<u32> =
                (0..channels as u32).filter(|&c| columns.iter().any(|col| col[c as usize] != 0.0)).collect();
            let slices: Vec<&[f32]> = columns.iter().map(|c| c.as_slice()).collect();
            for isa in Isa::all_available() {
                let mut sites = Sites::default();
                sites.clear(channels, slices.len());
                sites.skip();
                sites.push(isa, &slices);
                sites.push(isa, &slices);
                prop_assert!(sites.site(0).kept.is_empty());
                for site in [sites.site(1), sites.site(2)] {
                    prop_assert_eq!(site.kept, &expected[..], "{}", isa);
                    let values: Vec<f32> =
                        slices.iter().flat_map(|s| expected.iter().map(|&c| s[c as usize])).collect();
                    prop_assert_eq!(site.values, &values[..], "{}", isa);
                }
            }
        }
    }
}
