//! Writes the outputs of a layer, dense or sparse, and finds out which differ from the unoccluded
//! image's.

use std::ops::Range;

use super::MaskBatch;
use super::blob::{Branch, SparseBlob};
use super::input::SparseInput;
use crate::forward::activations::BlobView;
use crate::kernels::{AlignedBuf, BATCH, Isa, WindowRow, pitch, positions};
use crate::network::Layer;
use crate::network::geometry::Rect;

/// The output of a layer except its values: its shape, and the bits that say where it has changed.
pub(super) struct Target<'w> {
    pub(super) rect: Rect,
    /// Side of the output's plane.
    pub(super) side: usize,
    /// The layer's channels in the blob.
    pub(super) channels: Range<usize>,
    /// Channels of the blob.
    blob_channels: usize,
    /// The unoccluded image's values, unless everything counts as changed.
    pub(super) unoccluded: Option<BlobView<'w>>,
    /// For each pixel of the plane, a bit for each position whose values differ.
    pub(super) changed: &'w mut [u8],
    positions: usize,
    isa: Isa,
    /// Multiply-adds so far.
    pub(super) macs: u64,
}

/// Takes the outputs of a convolution, a band of pixels at a time, in row order.
pub(super) trait Writer {
    /// The memory for the outputs of a band, and the values between neighbouring positions.
    fn memory(&mut self) -> (&mut [f32], usize);

    /// The index in that memory of position 0's outputs for the `i`-th pixel of a band.
    fn start(&self, i: usize, y: usize, x: usize) -> usize;

    /// Compares and keeps the outputs of the `i`-th pixel of a band, which have been computed for the
    /// positions in `bits`.
    fn keep(&mut self, i: usize, y: usize, x: usize, bits: u8);

    fn add_macs(&mut self, macs: u64);

    fn target(&self) -> &Target<'_>;
}

impl<'w> Target<'w> {
    pub(super) fn new(batch: &MaskBatch<'w>, layer: &Layer, rect: Rect, changed: &'w mut [u8]) -> Target<'w> {
        let blob = &batch.net.network.blobs[layer.output];
        Target {
            rect,
            side: blob.side,
            channels: layer.channel..layer.channel + layer.channels,
            blob_channels: blob.channels,
            unoccluded: (!batch.exhaustive).then(|| batch.base.plane(layer.output)),
            changed,
            positions: batch.masks.len(),
            isa: batch.net.isa,
            macs: 0,
        }
    }

    /// Sets the bit of a computed pixel if its values differ from the unoccluded image's. To be called
    /// while the values are in a near cache: later they come from farther away.
    fn compare(&mut self, y: usize, x: usize, position: usize, values: &[f32]) {
        let bits = &mut self.changed[y * self.side + x];
        if *bits >> position & 1 != 0 {
            return;
        }
        let channels = self.channels.clone();
        let differs = self.unoccluded.is_none_or(|unoccluded| differ(values, &unoccluded.at(y, x)[channels]));
        *bits |= u8::from(differs) << position;
    }
}

/// Writes all values of a blob, `[pixel of the rectangle][position][channel]`.
pub(super) struct DenseWriter<'w> {
    pub(super) target: Target<'w>,
    values: &'w mut AlignedBuf,
    /// Values between neighbouring pixels, and between positions.
    pixel: usize,
    position: usize,
}

impl<'w> DenseWriter<'w> {
    pub(super) fn new(target: Target<'w>, values: &'w mut AlignedBuf) -> DenseWriter<'w> {
        let position = pitch(target.blob_channels);
        let pixel = position * target.positions;
        debug_assert!(target.rect.area() * pixel <= values.len());
        DenseWriter { target, values, pixel, position }
    }

    /// Lets `compute` write the outputs of a pixel at a position, and compares them.
    pub(super) fn write(&mut self, y: usize, x: usize, position: usize, compute: impl FnOnce(&mut [f32])) {
        let start = self.target.rect.index(y, x) * self.pixel + position * self.position;
        let values = &mut self.values[start..start + self.target.channels.len()];
        compute(values);
        self.target.compare(y, x, position, values);
    }

    /// Lets `compute` write a row of pixels at a position: it gets all values, where the first
    /// pixel begins, and the values between neighbouring pixels.
    pub(super) fn write_row(
        &mut self,
        y: usize,
        columns: Range<usize>,
        position: usize,
        compute: impl FnOnce(&mut [f32], [usize; 2]),
    ) {
        let start = self.target.rect.index(y, columns.start) * self.pixel + position * self.position;
        compute(self.values, [start, self.pixel]);
        let channels = self.target.channels.len();
        for (i, x) in columns.enumerate() {
            let start = start + i * self.pixel;
            self.target.compare(y, x, position, &self.values[start..start + channels]);
        }
    }
}

impl Writer for DenseWriter<'_> {
    fn memory(&mut self) -> (&mut [f32], usize) {
        (self.values, self.position)
    }

    fn start(&self, _: usize, y: usize, x: usize) -> usize {
        self.target.rect.index(y, x) * self.pixel
    }

    fn keep(&mut self, i: usize, y: usize, x: usize, bits: u8) {
        let (start, channels) = (self.start(i, y, x), self.target.channels.len());
        for p in positions(bits) {
            let start = start + p * self.position;
            self.target.compare(y, x, p, &self.values[start..start + channels]);
        }
    }

    fn add_macs(&mut self, macs: u64) {
        self.target.macs += macs;
    }

    fn target(&self) -> &Target<'_> {
        &self.target
    }
}

/// Writes a branch of a sparse blob.
pub(super) struct SparseWriter<'w> {
    pub(super) target: Target<'w>,
    blob: &'w mut SparseBlob,
    /// The outputs of a band, `[pixel][position][channel]`.
    band: &'w mut AlignedBuf,
    /// The index in the blob of the rectangle's first pixel.
    first_pixel: usize,
}

impl<'w> SparseWriter<'w> {
    pub(super) fn new(
        target: Target<'w>,
        blob: &'w mut SparseBlob,
        band: &'w mut AlignedBuf,
    ) -> SparseWriter<'w> {
        let first_pixel = blob.activations.len();
        SparseWriter { target, blob, band, first_pixel }
    }

    /// Adds a pixel that is the maximum of a window: max pooling.
    pub(super) fn push_maximum(
        &mut self,
        y: usize,
        x: usize,
        computed: u8,
        input: &mut SparseInput,
        rows: &[WindowRow],
    ) {
        let activations = &mut self.blob.activations;
        if computed == 0 {
            return activations.push_empty();
        }
        let Target { isa, ref channels, unoccluded, .. } = self.target;
        // A position that need not be computed comes out like the unoccluded image, because all
        // that it reads is like it.
        input.push_maximum(isa, rows, channels.len(), activations);
        self.target.changed[y * self.target.side + x] = match unoccluded {
            Some(unoccluded) => activations.differing(isa, activations.len() - 1, unoccluded.at(y, x)),
            None => computed,
        };
    }

    /// Completes the branch.
    pub(super) fn finish(self, computed: Vec<u8>) {
        let SparseWriter { target, blob, first_pixel, .. } = self;
        blob.add(Branch { channels: target.channels, computed, first_pixel });
    }
}

impl Writer for SparseWriter<'_> {
    fn memory(&mut self) -> (&mut [f32], usize) {
        let step = pitch(self.target.channels.len());
        self.band.grow(band_pixels(self.target.channels.len()) * BATCH * step);
        (self.band, step)
    }

    fn start(&self, i: usize, _: usize, _: usize) -> usize {
        i * BATCH * pitch(self.target.channels.len())
    }

    fn keep(&mut self, i: usize, y: usize, x: usize, bits: u8) {
        if bits == 0 {
            return self.blob.activations.push_empty();
        }
        let (start, step) = (self.start(i, y, x), pitch(self.target.channels.len()));
        let channels = self.target.channels.clone();
        let mut copies = [&[][..]; BATCH];
        for (p, copy) in copies[..self.target.positions].iter_mut().enumerate() {
            if bits >> p & 1 != 0 {
                *copy = &self.band[start + p * step..][..channels.len()];
                self.target.compare(y, x, p, copy);
            } else {
                let unoccluded = self.target.unoccluded.expect("without it, every position is computed");
                *copy = &unoccluded.at(y, x)[channels.clone()];
            }
        }
        let copies = &copies[..self.target.positions];
        self.blob.activations.push_pixel(self.target.isa, channels.start, copies);
    }

    fn add_macs(&mut self, macs: u64) {
        self.target.macs += macs;
    }

    fn target(&self) -> &Target<'_> {
        &self.target
    }
}

/// The pixels of a band for a layer with so many channels. A longer band reads the layer's weights
/// less often, but its outputs no longer fit a second-level cache.
pub(super) fn band_pixels(channels: usize) -> usize {
    const VALUES: usize = 128 * 1024;
    (VALUES / (BATCH * pitch(channels))).clamp(1, 64)
}

/// True if any value differs in any bit.
fn differ(a: &[f32], b: &[f32]) -> bool {
    // In chunks without a branch inside, which the compiler turns into vectors: most values are
    // equal zeros.
    a.chunks(16)
        .zip(b.chunks(16))
        .any(|(a, b)| a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.to_bits() ^ b.to_bits())) != 0)
}
