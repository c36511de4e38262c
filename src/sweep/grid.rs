//! The grid of mask positions: how many there are, where their centres lie, and the order in which
//! they run.

use std::ops::Range;

use crate::image::lattice::{Lattice, Placement};
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;

/// The options that place masks on the whole image, those of MATLAB's `occlusionSensitivity`.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Height and width of a mask in pixels.
    pub(super) mask_size: [usize; 2],
    /// Step down and across in pixels.
    pub(super) stride: [usize; 2],
    /// True if masks are centred on multiples of the stride and clipped at the border, or lie
    /// wholly inside.
    pub(super) clipping: bool,
}

impl Grid {
    /// Rows and columns of mask positions over the whole image.
    pub(super) fn size(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            // With clipping the centres are 0, s, 2s, ... < 224; without, the first corners that
            // leave every mask inside.
            let starts = if self.clipping { INPUT_SIDE } else { INPUT_SIDE - self.mask_size[axis] + 1 };
            starts.div_ceil(self.stride[axis])
        })
    }

    /// The pixel, along an axis, on which the `i`-th mask is centred: `floor(size / 2)` from its
    /// first one, clipped or not.
    pub(super) fn centre(&self, axis: usize, i: usize) -> usize {
        i * self.stride[axis] + if self.clipping { 0 } else { self.mask_size[axis] / 2 }
    }

    /// The place, along an axis, of the middle of the `i`-th whole mask, in pixels from the upper
    /// left corner: the middle of its central pixel, or the edge between its two central pixels.
    pub(super) fn middle(&self, axis: usize, i: usize) -> f64 {
        let first = self.centre(axis, i) as f64 - (self.mask_size[axis] / 2) as f64;
        first + self.mask_size[axis] as f64 / 2.0
    }

    /// The places on the image of the values of `count` rows and columns of positions from `first` on.
    pub(super) fn lattice(&self, first: [usize; 2], count: [usize; 2], placement: Placement) -> Lattice {
        let whole = self.size();
        // The first pixel whose middle lies in the cell or after it.
        let pixel = |axis: usize, cell: usize| match placement {
            _ if cell == 0 => 0,
            _ if cell == whole[axis] => INPUT_SIDE,
            Placement::Centres => {
                let edge = self.middle(axis, cell) - self.stride[axis] as f64 / 2.0;
                (edge - 0.5).ceil() as usize
            }
            Placement::Stretch => (2 * cell * INPUT_SIDE).div_ceil(whole[axis]) / 2,
        };
        let [(y0, y1), (x0, x1)] =
            [0, 1].map(|axis| (pixel(axis, first[axis]), pixel(axis, first[axis] + count[axis])));
        let area = Rect { y0, x0, y1, x1 };
        match placement {
            Placement::Centres => {
                let first = [0, 1].map(|axis| self.middle(axis, first[axis]));
                Lattice::points(count, first, self.stride, area)
            }
            Placement::Stretch => Lattice::cells(count, area),
        }
    }

    /// The mask positions along an axis whose centre lies in the region.
    pub(super) fn within(&self, region: Rect, axis: usize) -> Range<usize> {
        let (start, end) = [(region.y0, region.y1), (region.x0, region.x1)][axis];
        let before = |limit: usize| (0..self.size()[axis]).filter(|&i| self.centre(axis, i) < limit).count();
        before(start)..before(end)
    }
}

/// Indices of the positions at every `step`-th row and column of a grid, without those at every
/// `coarser`-th, in an order that keeps neighbours together: bands of two rows, there and back,
/// column by column, so that any eight in a row are (nearly) a block of two by four.
pub(super) fn serpentine([ny, nx]: [usize; 2], step: usize, coarser: Option<usize>) -> Vec<usize> {
    let is_new = |y: usize, x: usize| coarser.is_none_or(|c| !y.is_multiple_of(c) || !x.is_multiple_of(c));
    let mut order = Vec::with_capacity(ny.div_ceil(step) * nx.div_ceil(step));
    for (band, y0) in (0..ny).step_by(2 * step).enumerate() {
        let columns = (0..nx).step_by(step);
        let mut visit = |x: usize| {
            let rows = (y0..ny.min(y0 + 2 * step)).step_by(step);
            order.extend(rows.filter(|&y| is_new(y, x)).map(|y| y * nx + x));
        };
        if band % 2 == 0 { columns.for_each(&mut visit) } else { columns.rev().for_each(&mut visit) }
    }
    order
}
