//! Writes the outputs of a layer, dense or sparse, and finds out which differ from the unoccluded
//! image's.

use std::ops::Range;

use super::blob::{Branch, SparseBlob};
use super::{MaskBatch, positions};
use crate::forward::activations::BlobView;
use crate::kernels::{
    AlignedBuf, BATCH, Isa, PackedWeights, SparseActivations, Sum, Tile, WindowRow, convolve_tile, pitch,
    prefetch,
};
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

/// The operands of a convolution at one pixel: the window's rows of the input, and the weights of
/// some output channels.
pub(super) struct Operands<'o> {
    pub(super) activations: &'o SparseActivations,
    pub(super) rows: &'o [WindowRow],
    pub(super) weights: &'o PackedWeights,
    pub(super) panels: Range<usize>,
}

/// Takes the outputs of convolutions.
pub(super) trait Writer {
    /// Begins a part of the output channels. Calls of [`convolve`](Writer::convolve) for every
    /// pixel of the rectangle follow, in row order, with the same panels.
    fn begin_part(&mut self);

    /// Computes, compares and keeps the outputs of a pixel for the positions in `bits`.
    fn convolve(&mut self, y: usize, x: usize, bits: u8, operands: &Operands);

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

    /// Sets the bit of a computed pixel if `values`, those of `channels` of the layer, differ from
    /// the unoccluded image's. To be called while the values are in the first-level cache: later
    /// they come from farther away.
    fn compare(&mut self, y: usize, x: usize, position: usize, channels: Range<usize>, values: &[f32]) {
        let bits = &mut self.changed[y * self.side + x];
        if *bits >> position & 1 != 0 {
            return;
        }
        let first = self.channels.start;
        let differs = self.unoccluded.is_none_or(|unoccluded| {
            differ(values, &unoccluded.at(y, x)[first + channels.start..first + channels.end])
        });
        *bits |= u8::from(differs) << position;
    }

    /// Convolves a pixel for the positions in `bits`: position `p`'s outputs begin at
    /// `values[start(p)]`.
    #[inline(always)]
    fn convolve(
        &mut self,
        [y, x]: [usize; 2],
        bits: u8,
        operands: &Operands,
        values: &mut [f32],
        start: impl Fn(usize) -> usize,
    ) {
        let Operands { activations, rows, weights, ref panels } = *operands;
        let (mut computed, mut starts, mut count) = ([0; BATCH], [0; BATCH], 0);
        for p in positions(bits) {
            computed[count] = p;
            starts[count] = start(p);
            count += 1;
        }
        let channels = weights.channels(panels.clone());
        self.macs += (activations.macs(rows) * count * channels.len()) as u64;
        let tile = Tile { rows, positions: &computed[..count], out: &starts[..count] };
        let undecided = bits & !self.changed[y * self.side + x];
        if let (Some(unoccluded), true) = (self.unoccluded, undecided != 0) {
            prefetch(&unoccluded.at(y, x)[self.channels.start + channels.start]);
        }
        convolve_tile(self.isa, activations, weights, panels.clone(), &tile, Sum::Relu, values);
        for p in positions(undecided) {
            let start = start(p);
            self.compare(y, x, p, channels.clone(), &values[start + channels.start..start + channels.end]);
        }
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
        let channels = 0..self.target.channels.len();
        let values = &mut self.values[start..start + channels.len()];
        compute(values);
        self.target.compare(y, x, position, channels, values);
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
        let channels = 0..self.target.channels.len();
        for (i, x) in columns.enumerate() {
            let start = start + i * self.pixel;
            self.target.compare(y, x, position, channels.clone(), &self.values[start..start + channels.end]);
        }
    }
}

impl Writer for DenseWriter<'_> {
    fn begin_part(&mut self) {}

    fn convolve(&mut self, y: usize, x: usize, bits: u8, operands: &Operands) {
        if bits == 0 {
            return;
        }
        let (pixel, position) = (self.target.rect.index(y, x) * self.pixel, self.position);
        self.target.convolve([y, x], bits, operands, self.values, |p| pixel + p * position);
    }

    fn target(&self) -> &Target<'_> {
        &self.target
    }
}

/// Writes a branch of a sparse blob, one pixel at a time.
pub(super) struct SparseWriter<'w> {
    pub(super) target: Target<'w>,
    blob: &'w mut SparseBlob,
    /// One pixel's outputs, `[position][channel]`.
    pixel: &'w mut AlignedBuf,
    /// The first pixel of each part of the channels.
    parts: Vec<usize>,
}

impl<'w> SparseWriter<'w> {
    pub(super) fn new(
        target: Target<'w>,
        blob: &'w mut SparseBlob,
        pixel: &'w mut AlignedBuf,
    ) -> SparseWriter<'w> {
        pixel.grow(pitch(target.channels.len()) * BATCH);
        SparseWriter { target, blob, pixel, parts: Vec::new() }
    }

    /// Adds a pixel that is the maximum of a window: max pooling.
    pub(super) fn push_maximum(
        &mut self,
        y: usize,
        x: usize,
        computed: u8,
        input: &SparseActivations,
        rows: &[WindowRow],
    ) {
        let activations = &mut self.blob.activations;
        if computed == 0 {
            return activations.push_empty();
        }
        let Target { isa, ref channels, unoccluded, .. } = self.target;
        // A position that need not be computed comes out like the unoccluded image, because all
        // that it reads is like it.
        activations.push_maximum(isa, input, rows, channels.len());
        self.target.changed[y * self.target.side + x] = match unoccluded {
            Some(unoccluded) => activations.differing(isa, activations.len() - 1, unoccluded.at(y, x)),
            None => computed,
        };
    }

    /// Completes the branch.
    pub(super) fn finish(self, computed: Vec<u8>) {
        self.blob.add(Branch { channels: self.target.channels, computed, parts: self.parts });
    }
}

impl Writer for SparseWriter<'_> {
    fn begin_part(&mut self) {
        self.parts.push(self.blob.activations.len());
    }

    fn convolve(&mut self, y: usize, x: usize, bits: u8, operands: &Operands) {
        if bits == 0 {
            return self.blob.activations.push_empty();
        }
        let position = pitch(self.target.channels.len());
        self.target.convolve([y, x], bits, operands, self.pixel, |p| p * position);
        let channels = operands.weights.channels(operands.panels.clone());
        let first = self.target.channels.start + channels.start;
        let copies: [&[f32]; BATCH] = std::array::from_fn(|p| {
            if p < self.target.positions && bits >> p & 1 == 0 {
                let unoccluded = self.target.unoccluded.expect("without it, every position is computed");
                return &unoccluded.at(y, x)[first..first + channels.len()];
            }
            &self.pixel[p * position + channels.start..p * position + channels.end]
        });
        self.blob.activations.push_pixel(self.target.isa, first, &copies[..self.target.positions]);
    }

    fn target(&self) -> &Target<'_> {
        &self.target
    }
}

/// True if any value differs in any bit.
fn differ(a: &[f32], b: &[f32]) -> bool {
    // In chunks without a branch inside, which the compiler turns into vectors: most values are
    // equal zeros.
    a.chunks(16)
        .zip(b.chunks(16))
        .any(|(a, b)| a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.to_bits() ^ b.to_bits())) != 0)
}
