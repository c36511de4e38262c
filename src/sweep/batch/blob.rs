//! Blobs of a batch: the values that were computed, and how layers read them.

use std::ops::Range;

use crate::forward::activations::BlobView;
use crate::kernels::{SparseActivations, pitch};
use crate::network::geometry::{Rect, Window};
use crate::network::{Blob, BlobId};

/// A blob without its zeros, small enough for the second-level cache.
/// [`SparseInput`](super::input::SparseInput) puts the branches of a pixel together.
#[derive(Default)]
pub(super) struct SparseBlob {
    pub(super) blob: Option<BlobId>,
    pub(super) branches: Vec<Branch>,
    /// For each branch, all pixels of the blob's rectangle in row order; a pixel that was not computed is
    /// empty.
    pub(super) activations: SparseActivations,
}

/// A channel range of a sparse blob, written by one layer.
pub(super) struct Branch {
    pub(super) channels: Range<usize>,
    /// For each pixel of the plane, a bit for each position for which it was computed.
    pub(super) computed: Vec<u8>,
    /// The index in [`SparseBlob::activations`] of the rectangle's first pixel.
    pub(super) first_pixel: usize,
}

impl SparseBlob {
    pub(super) fn start(&mut self, blob: BlobId, positions: usize) {
        self.blob = Some(blob);
        self.branches.clear();
        self.activations.clear(positions);
    }

    pub(super) fn add(&mut self, branch: Branch) {
        let at = self.branches.partition_point(|b| b.channels.start < branch.channels.start);
        self.branches.insert(at, branch);
    }
}

/// A blob as layers read it: for each position the values that were computed, elsewhere the
/// unoccluded image's.
pub(super) struct BlobReader<'w> {
    pub(super) blob: BlobId,
    pub(super) shape: &'w Blob,
    pub(super) unoccluded: BlobView<'w>,
    pub(super) rect: Rect,
    pub(super) changed: &'w [u8],
    pub(super) values: Values<'w>,
    /// Number of positions of the batch.
    pub(super) positions: usize,
    /// True if every position counts as changed everywhere.
    pub(super) exhaustive: bool,
}

/// The computed values of a blob.
pub(super) enum Values<'w> {
    /// `[pixel of the rectangle][position][channel]`, a position every `pitch(channels)` values.
    Dense(&'w [f32]),
    Sparse(&'w SparseBlob),
}

impl<'w> BlobReader<'w> {
    /// The values of a pixel of a dense blob at a position.
    pub(super) fn pixel(&self, y: usize, x: usize, position: usize) -> &'w [f32] {
        if self.changed[y * self.shape.side + x] >> position & 1 == 0 {
            return self.unoccluded.at(y, x);
        }
        let Values::Dense(values) = self.values else { unreachable!("sparse blobs are read by SparseInput") };
        let start = (self.rect.index(y, x) * self.positions + position) * pitch(self.shape.channels);
        &values[start..start + self.shape.channels]
    }

    /// The positions for which an output pixel has to be computed, as bits: those that differ
    /// somewhere in its window.
    pub(super) fn affected(&self, window: Window, y: usize, x: usize) -> u8 {
        if self.exhaustive {
            return ((1u32 << self.positions) - 1) as u8;
        }
        let mut bits = 0;
        window.taps(y, x, self.shape.side, |y, x| bits |= self.changed[y * self.shape.side + x]);
        bits
    }
}
