//! A blob without its zeros, as convolutions and pools read it.

use super::blob::{BlobReader, Values};
use crate::kernels::{BATCH, Isa, SparseActivations, WindowMaxima, WindowRow, zeros};
use crate::network::geometry::Window;
use crate::network::{Blob, BlobId};

/// The input of a layer as a CSR matrix: row `y * side + x` of the matrix is pixel (`y`, `x`) of
/// the plane, because the rows of the plane are appended in order, without gaps. Pixels that no
/// window reads are empty rows.
///
/// Several layers may use what one of them has prepared: the 1x1 convolutions of an inception
/// block, and the pool that runs before them ([`Plan`](crate::sweep::plan::Plan)). That is right
/// because they need no pixel that is missing. A 1x1 convolution needs the changed pixels. The pool
/// needs all pixels of the windows that hold a changed one, and its window holds its own centre
/// (3x3, stride 1, padding 1), so that every changed pixel is among them.
#[derive(Default)]
pub(super) struct SparseInput {
    blob: Option<BlobId>,
    /// Rows of the plane that have been appended.
    rows: usize,
    pub(super) activations: SparseActivations,
    maxima: WindowMaxima,
    /// The pixels that are present, to check reuse by.
    #[cfg(debug_assertions)]
    present: Vec<bool>,
}

impl SparseInput {
    pub(super) fn reserve(&mut self, entries: usize) {
        self.activations.clear(1);
        self.activations.reserve(entries);
    }

    /// Makes sure that the next layer does not take the values of another batch for its own.
    pub(super) fn forget(&mut self) {
        self.blob = None;
    }

    /// Begins a blob, of which [`append`](SparseInput::append) adds the rows.
    pub(super) fn start(&mut self, blob: BlobId, positions: usize) {
        self.blob = Some(blob);
        self.rows = 0;
        self.activations.clear(positions);
        self.maxima.start();
        #[cfg(debug_assertions)]
        self.present.clear();
    }

    /// Takes a blob, of which only the pixels that are `wanted`, by their index in the plane, can
    /// then be read.
    pub(super) fn fill(&mut self, isa: Isa, reader: &BlobReader, wanted: &[bool]) {
        self.start(reader.blob, reader.positions);
        self.append(isa, reader, reader.shape.side, wanted);
    }

    /// The same, except where a layer before has already taken the blob.
    pub(super) fn reuse_or_fill(&mut self, isa: Isa, reader: &BlobReader, wanted: &[bool]) {
        if self.blob != Some(reader.blob) {
            return self.fill(isa, reader, wanted);
        }
        debug_assert_eq!(self.rows, reader.shape.side);
        #[cfg(debug_assertions)]
        assert!(wanted.iter().zip(&self.present).all(|(wanted, present)| !wanted || *present));
    }

    /// Appends the plane's next rows, up to row `end`.
    pub(super) fn append(&mut self, isa: Isa, reader: &BlobReader, end: usize, wanted: &[bool]) {
        debug_assert_eq!(self.blob, Some(reader.blob));
        let side = reader.shape.side;
        for (y, x) in (self.rows..end).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let at = y * side + x;
            debug_assert_eq!(self.activations.len(), at);
            match &reader.values {
                _ if !wanted[at] => self.activations.push_empty(),
                Values::Sparse(_) if reader.changed[at] != 0 => self.append_branches(isa, reader, y, x),
                _ => {
                    let mut copies = [zeros(0); BATCH];
                    let copies = &mut copies[..reader.positions];
                    copies.iter_mut().enumerate().for_each(|(p, copy)| *copy = reader.pixel(y, x, p));
                    self.activations.push_pixel(isa, x * reader.shape.channels, copies);
                }
            }
        }
        #[cfg(debug_assertions)]
        self.present.extend_from_slice(&wanted[self.rows.min(end) * side..end * side]);
        self.rows = self.rows.max(end);
    }

    /// Adds to `into` the maxima of a window, whose pixels have been appended.
    pub(super) fn push_maximum(
        &mut self,
        isa: Isa,
        window: &[WindowRow],
        channels: usize,
        into: &mut SparseActivations,
    ) {
        self.maxima.push(isa, &self.activations, window, channels, into);
    }

    /// Puts the branches of one pixel of a sparse blob together.
    fn append_branches(&mut self, isa: Isa, reader: &BlobReader, y: usize, x: usize) {
        let Values::Sparse(sparse) = &reader.values else { unreachable!("called for sparse blobs") };
        let (at, pixel) = (y * reader.shape.side + x, reader.rect.index(y, x));
        let first = x * reader.shape.channels;
        for branch in &sparse.branches {
            if branch.computed[at] != 0 {
                self.activations.append_from(isa, &sparse.activations, branch.first_pixel + pixel, first);
            } else {
                let same = [&reader.unoccluded.at(y, x)[branch.channels.clone()]; BATCH];
                self.activations.append(isa, first + branch.channels.start, &same[..reader.positions]);
            }
        }
        self.activations.finish_pixel();
    }
}

/// Lists the rows of a window that lie in the plane: in each, consecutive pixels of a
/// [`SparseInput`] meet consecutive weights.
pub(super) fn window_rows(window: Window, y: usize, x: usize, plane: &Blob, rows: &mut Vec<WindowRow>) {
    rows.clear();
    // The window's first tap would be at (y0, x0) if there were no padding.
    let (y0, x0) = (y * window.stride, x * window.stride);
    let columns = x0.saturating_sub(window.padding)..(x0 + window.size - window.padding).min(plane.side);
    for row in 0..window.size {
        let in_y = (y0 + row).wrapping_sub(window.padding);
        if in_y < plane.side {
            let first = in_y * plane.side;
            let taps = (row * window.size + window.padding) as isize - x0 as isize;
            rows.push(WindowRow {
                row,
                pixels: first + columns.start..first + columns.end,
                k_shift: taps * plane.channels as isize,
            });
        }
    }
}
