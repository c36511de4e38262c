//! Windows, rectangles and receptive fields (`docs/06-receptive-fields.md`).
//!
//! [`Rect::through`] follows a rectangle of inputs forwards, to the outputs of a layer that read
//! any of them. [`ReceptiveField`] goes backwards, from an activation to the pixels of the image
//! that it depends on. The module works on positions only; it uses no activations, weights or
//! masks.

/// Rounding of [`Window::output_side`] where the stride does not divide the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Rounds down, as Caffe's and PyTorch's convolutions: every window lies inside the padded
    /// plane, and inputs at the end of a row may remain unread.
    Floor,
    /// Rounds up, as Caffe's pooling and PyTorch's with `ceil_mode=True`: every input is read, and
    /// the last window may extend past the end. A last window that would begin past the end is
    /// dropped.
    Ceil,
}

/// The geometry of a convolution or pooling with a square window: `kernel_size`, `stride` and `pad`
/// of the prototxt. Output pixel `o` reads the input pixels
/// `o * stride - padding .. o * stride - padding + size` that lie in the plane.
///
/// ```
/// use occlude::network::geometry::Window;
///
/// // conv1 of GoogLeNet: (224 + 6 - 7) / 2 + 1 = 112.5 is rounded down.
/// assert_eq!(Window::convolution(7, 2, 3).output_side(224), 112);
/// // The pooling after it: (112 - 3) / 2 + 1 = 55.5 is rounded up.
/// assert_eq!(Window::pool(3, 2, 0).output_side(112), 56);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width in pixels, at least 1.
    pub size: usize,
    /// Distance between neighbouring windows in pixels, at least 1.
    pub stride: usize,
    /// Rows and columns of padding on each side, less than `size`.
    pub padding: usize,
    /// Rounding of the number of outputs.
    pub rounding: Rounding,
}

/// A rectangle of pixels: rows `y0..y1` and columns `x0..x1`. It is empty if `y0 >= y1` or `x0 >=
/// x1`.
///
/// ```
/// use occlude::network::geometry::{Rect, Window};
///
/// // The outputs of conv1 that a mask of 45x45 pixels can change. Output o reads pixels 2o - 3 .. 2o + 4.
/// let mask = Rect { y0: 88, x0: 0, y1: 133, x1: 45 };
/// let conv1 = Window::convolution(7, 2, 3);
/// let reached = mask.through(conv1, conv1.output_side(224));
/// assert_eq!(reached, Rect { y0: 43, x0: 0, y1: 68, x1: 24 });
/// assert_eq!((mask.area(), reached.area()), (45 * 45, 25 * 24));
/// ```
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

/// The receptive field of a blob along one axis. With `first = start + o * step`, the `o`-th
/// activation depends on those of the pixels `first .. first + size` that lie in the image. It is the
/// same for rows and columns.
///
/// ```
/// use occlude::network::geometry::{ReceptiveField, Window};
///
/// let conv1 = ReceptiveField::PIXEL.then(Window::convolution(7, 2, 3));
/// assert_eq!(conv1, ReceptiveField { size: 7, step: 2, start: -3 });
/// // pool1 reads three neighbours in conv1, which are two pixels apart and read 7 pixels each.
/// let pool1 = conv1.then(Window::pool(3, 2, 0));
/// assert_eq!(pool1, ReceptiveField { size: 11, step: 4, start: -3 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceptiveField {
    /// Number of pixels, at least 1.
    pub size: usize,
    /// Distance in pixels between the fields of neighbouring activations, at least 1.
    pub step: usize,
    /// First pixel of the first activation's field; negative if the field begins in the padding.
    pub start: isize,
}

impl ReceptiveField {
    /// The field of the image itself: each pixel depends on itself.
    pub const PIXEL: ReceptiveField = ReceptiveField { size: 1, step: 1, start: 0 };

    /// The field of a layer with this window, whose inputs have the field `self`.
    #[must_use]
    pub fn then(self, window: Window) -> ReceptiveField {
        ReceptiveField {
            size: self.size + (window.size - 1) * self.step,
            step: self.step * window.stride,
            start: self.start - (window.padding * self.step) as isize,
        }
    }

    /// The pixels of a square image of `image_side` that the activation at a row and column depends
    /// on.
    pub fn pixels(self, [row, column]: [usize; 2], image_side: usize) -> Rect {
        let edge = |at: isize| at.clamp(0, image_side as isize) as usize;
        let range = |at: usize| {
            let start = self.start + (at * self.step) as isize;
            (edge(start), edge(start + self.size as isize))
        };
        let ((y0, y1), (x0, x1)) = (range(row), range(column));
        Rect { y0, x0, y1, x1 }
    }

    /// The smallest field that contains both, for branches that write to one blob. Their steps must
    /// be equal.
    #[must_use]
    pub fn union(self, other: ReceptiveField) -> ReceptiveField {
        debug_assert_eq!(self.step, other.step);
        let start = self.start.min(other.start);
        let end = (self.start + self.size as isize).max(other.start + other.size as isize);
        ReceptiveField { size: (end - start) as usize, step: self.step, start }
    }
}

impl Window {
    /// The window of a convolution; its output size is rounded down.
    #[must_use]
    pub const fn convolution(size: usize, stride: usize, padding: usize) -> Window {
        Window { size, stride, padding, rounding: Rounding::Floor }
    }

    /// The window of a pooling; its output size is rounded up.
    #[must_use]
    pub const fn pool(size: usize, stride: usize, padding: usize) -> Window {
        Window { size, stride, padding, rounding: Rounding::Ceil }
    }

    /// Height and width of the output for a square input plane of `side` pixels.
    ///
    /// # Panics
    /// If the plane with its padding is smaller than the window.
    pub fn output_side(&self, side: usize) -> usize {
        let padded = side + 2 * self.padding;
        assert!(padded >= self.size, "a window of {} pixels on a plane of {padded}", self.size);
        let span = padded - self.size;
        match self.rounding {
            Rounding::Floor => span / self.stride + 1,
            // The second bound drops a last window that begins past the plane.
            Rounding::Ceil => span.div_ceil(self.stride).min((side + self.padding - 1) / self.stride) + 1,
        }
    }

    /// Calls `f(y, x)` for each input pixel, in a plane of `side`, that output pixel (`y`, `x`)
    /// reads, row by row.
    pub(crate) fn taps(&self, y: usize, x: usize, side: usize, mut f: impl FnMut(usize, usize)) {
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

    /// The outputs along one axis, out of `output_side`, whose window overlaps the inputs
    /// `start..end`.
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
    /// All pixels of a square plane of `side`.
    pub fn plane(side: usize) -> Rect {
        Rect { y0: 0, x0: 0, y1: side, x1: side }
    }

    /// The rectangle of height `height` and width `width` around a pixel, clipped to a square plane
    /// of `side`. It begins `floor(size / 2)` pixels before the given pixel.
    pub fn centred([y, x]: [usize; 2], [height, width]: [usize; 2], side: usize) -> Rect {
        let range = |at: usize, size: usize| (at.saturating_sub(size / 2), (at + size - size / 2).min(side));
        let ((y0, y1), (x0, x1)) = (range(y, height), range(x, width));
        Rect { y0, x0, y1, x1 }
    }

    /// True if the rectangle contains no pixel.
    pub fn is_empty(&self) -> bool {
        self.y0 >= self.y1 || self.x0 >= self.x1
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.y1.saturating_sub(self.y0)
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.x1.saturating_sub(self.x0)
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.height() * self.width()
    }

    /// The index of a pixel in row order.
    pub(crate) fn index(&self, y: usize, x: usize) -> usize {
        (y - self.y0) * self.width() + (x - self.x0)
    }

    /// The pixels (y, x) in row order.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Rect { y0, x0, y1, x1 } = *self;
        (y0..y1).flat_map(move |y| (x0..x1).map(move |x| (y, x)))
    }

    /// The smallest rectangle that contains both.
    #[must_use]
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

    /// The inputs, in a square plane of `input_side`, that this rectangle of outputs reads.
    pub(crate) fn reads(&self, window: Window, input_side: usize) -> Rect {
        if self.is_empty() {
            return Rect::default();
        }
        let start = |o: usize| (o * window.stride).saturating_sub(window.padding);
        let end = |o: usize| ((o - 1) * window.stride + window.size - window.padding).min(input_side);
        Rect { y0: start(self.y0), x0: start(self.x0), y1: end(self.y1), x1: end(self.x1) }
    }

    /// The outputs, in a square plane of `output_side`, whose window overlaps this rectangle of
    /// inputs. No other output depends on the rectangle. Empty if the rectangle is empty.
    #[must_use]
    pub fn through(&self, window: Window, output_side: usize) -> Rect {
        if self.is_empty() {
            return Rect::default();
        }
        let (y0, y1) = window.reached(self.y0, self.y1, output_side);
        let (x0, x1) = window.reached(self.x0, self.x1, output_side);
        Rect { y0, x0, y1, x1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window() -> impl Strategy<Value = Window> {
        // Padding below the size, so that each window overlaps the plane.
        (1usize..8, 1usize..4)
            .prop_flat_map(|(size, stride)| (Just(size), Just(stride), 0..size, any::<bool>()))
            .prop_map(|(size, stride, padding, pool)| {
                if pool {
                    Window::pool(size, stride, padding)
                } else {
                    Window::convolution(size, stride, padding)
                }
            })
    }

    proptest! {
        /// Against the definition: a convolution has the windows that fit into the padded plane; a
        /// pooling has windows until one reaches the end, each beginning before the end of the
        /// plane.
        #[test]
        fn output_sides_are_rounded_as_defined(window in window(), side in 8usize..40) {
            let Window { size, stride, padding, rounding } = window;
            let padded = side + 2 * padding;
            let exists = |o: usize| match rounding {
                Rounding::Floor => o * stride + size <= padded,
                Rounding::Ceil => {
                    let ends_before = o == 0 || (o - 1) * stride + size < padded;
                    ends_before && o * stride < side + padding
                }
            };
            let expected = (0..).take_while(|&o| exists(o)).count();
            prop_assert_eq!(window.output_side(side), expected);
            // Every output reads at least one input.
            for o in 0..expected {
                let mut taps = 0;
                window.taps(o, o, side, |_, _| taps += 1);
                prop_assert!(taps > 0, "output {} of {}", o, expected);
            }
        }

        /// Against brute force: an output is affected if and only if one of the pixels it reads
        /// lies in the rectangle.
        #[test]
        fn a_rectangle_reaches_what_reads_from_it(
            window in window(),
            side in 8usize..30,
            (y, x) in ((0usize..30, 1usize..10), (0usize..30, 1usize..10)),
        ) {
            let within = |(at, size): (usize, usize)| (at.min(side - 1), (at + size).min(side).max(at.min(side - 1) + 1));
            let ((y0, y1), (x0, x1)) = (within(y), within(x));
            let rect = Rect { y0, x0, y1, x1 };
            let output_side = window.output_side(side);
            let reached = rect.through(window, output_side);
            for (y, x) in Rect::plane(output_side).pixels() {
                let mut reads = false;
                window.taps(y, x, side, |y, x| reads |= (y0..y1).contains(&y) && (x0..x1).contains(&x));
                let inside = (reached.y0..reached.y1).contains(&y) && (reached.x0..reached.x1).contains(&x);
                prop_assert_eq!(inside, reads, "output ({}, {}), reached {:?}", y, x, reached);
            }
            let mut read = Rect::default();
            for (y, x) in reached.pixels() {
                window.taps(y, x, side, |y, x| read = read.union(&Rect { y0: y, x0: x, y1: y + 1, x1: x + 1 }));
            }
            prop_assert_eq!(reached.reads(window, side), read);
        }

        #[test]
        fn a_window_reads_its_taps_and_no_others(window in window(), side in 8usize..20) {
            let output_side = window.output_side(side);
            for (y, x) in Rect::plane(output_side).pixels() {
                let mut got = Vec::new();
                window.taps(y, x, side, |y, x| got.push((y, x)));
                let mut want = Vec::new();
                for ky in 0..window.size {
                    for kx in 0..window.size {
                        let at = |o: usize, k: usize| (o * window.stride + k).checked_sub(window.padding);
                        if let (Some(y), Some(x)) = (at(y, ky), at(x, kx))
                            && y < side
                            && x < side
                        {
                            want.push((y, x));
                        }
                    }
                }
                prop_assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn a_rectangle_around_a_pixel_ends_at_the_border() {
        assert_eq!(Rect::centred([10, 100], [3, 4], 224), Rect { y0: 9, x0: 98, y1: 12, x1: 102 });
        assert_eq!(Rect::centred([0, 223], [5, 5], 224), Rect { y0: 0, x0: 221, y1: 3, x1: 224 });
        assert_eq!(Rect::centred([7, 7], [1, 1], 224).area(), 1);
    }

    #[test]
    fn nothing_reaches_nothing() {
        let window = Window::convolution(3, 1, 1);
        assert!(Rect::default().through(window, 10).is_empty());
        assert_eq!(Rect::default().union(&Rect::plane(3)), Rect::plane(3));
    }
}
