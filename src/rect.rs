//! Which outputs of a layer can change when a rectangle of its inputs changes: receptive fields, forwards.

/// A square sliding window: a convolution's or a pooling's geometry. Output pixel `o` reads the input pixels
/// `o * stride - padding .. o * stride - padding + size`, as far as they lie in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width in pixels.
    pub size: usize,
    /// Step in pixels.
    pub stride: usize,
    /// Rows and columns of padding on each side.
    pub padding: usize,
}

/// A rectangle of pixels, `y0..y1` by `x0..x1`; empty when `y0 >= y1` or `x0 >= x1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rect {
    /// First row.
    pub y0: usize,
    /// First column.
    pub x0: usize,
    /// One past the last row.
    pub y1: usize,
    /// One past the last column.
    pub x1: usize,
}

impl Window {
    /// Output size for a plane of `side` pixels. Rounded up (ceil), as Caffe's pooling does; for the network's
    /// convolutions the division is such that rounding down gives the same, except with padding: see below.
    pub fn output_side(&self, side: usize) -> usize {
        // Caffe: convolution floors, pooling ceils. conv1 (224 + 6 - 7) / 2 = 111.5 must floor to 111 (+1 = 112);
        // the 3x3/2 pools have no padding and must ceil. Padded windows floor, unpadded ones ceil.
        let span = side + 2 * self.padding - self.size;
        if self.padding > 0 { span / self.stride + 1 } else { span.div_ceil(self.stride) + 1 }
    }

    /// Calls `f(y, x)` for the input pixels, in a plane of `side`, that output pixel (`y`, `x`) reads, row by row.
    pub(crate) fn places(&self, y: usize, x: usize, side: usize, mut f: impl FnMut(usize, usize)) {
        let range = |o: usize| {
            let start = o * self.stride;
            start.saturating_sub(self.padding)..(start + self.size).saturating_sub(self.padding).min(side)
        };
        for in_y in range(y) {
            for in_x in range(x) {
                f(in_y, in_x);
            }
        }
    }

    /// The outputs, in a plane of `output_side`, whose window overlaps `start..end` of the input.
    fn reached(&self, start: usize, end: usize, output_side: usize) -> (usize, usize) {
        if start >= end {
            return (0, 0);
        }
        // o * stride - padding + size > start  <=>  o > (start + padding - size) / stride
        let first = (start + self.padding + 1).saturating_sub(self.size).div_ceil(self.stride);
        // o * stride - padding <= end - 1
        let last = (end - 1 + self.padding) / self.stride;
        (first.min(output_side), (last + 1).min(output_side))
    }
}

impl Rect {
    /// All pixels of a square plane.
    pub fn plane(side: usize) -> Rect {
        Rect { y0: 0, x0: 0, y1: side, x1: side }
    }

    /// Whether it holds no pixel.
    pub fn is_empty(&self) -> bool {
        self.y0 >= self.y1 || self.x0 >= self.x1
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.y1.saturating_sub(self.y0)
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.x1.saturating_sub(self.x0)
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.height() * self.width()
    }

    /// Its pixels, (y, x), row by row.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Rect { y0, x0, y1, x1 } = *self;
        (y0..y1).flat_map(move |y| (x0..x1).map(move |x| (y, x)))
    }

    /// The smallest rectangle that holds both.
    pub fn union(&self, other: &Rect) -> Rect {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Rect {
            y0: self.y0.min(other.y0),
            x0: self.x0.min(other.x0),
            y1: self.y1.max(other.y1),
            x1: self.x1.max(other.x1),
        }
    }

    /// The outputs, in a square plane of `output_side`, whose window overlaps this rectangle of the input.
    pub fn through(&self, window: Window, output_side: usize) -> Rect {
        if self.is_empty() {
            return Rect::default();
        }
        let (y0, y1) = window.reached(self.y0, self.y1, output_side);
        let (x0, x1) = window.reached(self.x0, self.x1, output_side);
        Rect { y0, x0, y1, x1 }
    }
}
