//! The picture under a map: the photograph in its own shape, or the network's square, and the place
//! of the network's pixels on it.

use occlude::image::Framing;
use occlude::image::lattice::middles;
use occlude::image::resize::resize_rgb;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Photograph, Resize};

use super::canvas::Area;
use super::text::mix;

/// The shape of the picture under a map; the value of `--canvas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanvasShape {
    Photo,
    Network,
}

/// The picture on which a map is drawn.
pub struct Backdrop {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// `[height][width][3]`.
    pub pixels: Vec<u8>,
    framing: Framing,
}

/// The longest side of the picture on a figure of one photograph: that of the photograph within
/// these limits. A smaller photograph is enlarged, so that the figure is legible.
const LONGEST: [usize; 2] = [3 * INPUT_SIDE, 1024];

/// Side of a square photograph on a figure of several photographs.
const PANEL: usize = 3 * INPUT_SIDE / 2;

/// Opacity of the black over the part of a photograph that the network does not see.
const DIMMED: f32 = 0.6;

impl Backdrop {
    /// The picture for a figure of one photograph.
    pub fn large(photograph: &Photograph, resize: Resize, shape: CanvasShape) -> Backdrop {
        let longest = |[height, width]: [usize; 2]| height.max(width).clamp(LONGEST[0], LONGEST[1]);
        Backdrop::new(photograph, resize, shape, |size| within(size, longest(size)))
    }

    /// The picture for a figure of several photographs, of about the area of a square one, so that
    /// an oblong photograph does not become tiny.
    pub fn panel(photograph: &Photograph, resize: Resize, shape: CanvasShape) -> Backdrop {
        let longest = |[height, width]: [usize; 2]| {
            let [least, most] = [height.min(width), height.max(width)].map(|length| length as f64);
            (PANEL as f64 * (most / least).sqrt().min(2.0)).round() as usize
        };
        Backdrop::new(photograph, resize, shape, |size| within(size, longest(size)))
    }

    /// The picture whose longest side has `longest` pixels.
    pub fn of_longest(
        photograph: &Photograph,
        resize: Resize,
        shape: CanvasShape,
        longest: usize,
    ) -> Backdrop {
        Backdrop::new(photograph, resize, shape, |size| within(size, longest))
    }

    fn new(
        photograph: &Photograph,
        resize: Resize,
        shape: CanvasShape,
        fit: impl Fn([usize; 2]) -> [usize; 2],
    ) -> Backdrop {
        match shape {
            CanvasShape::Network => {
                let size = fit([INPUT_SIDE; 2]);
                let pixels = photograph.square(size[0], resize);
                Backdrop { size, pixels, framing: Framing::new(size, Resize::Stretch) }
            }
            CanvasShape::Photo => {
                let size = fit([photograph.height(), photograph.width()]);
                Backdrop::of_size(photograph, resize, size)
            }
        }
    }

    /// The photograph in `[height, width]` pixels. The part that the network does not see is darker.
    pub fn of_size(photograph: &Photograph, resize: Resize, size: [usize; 2]) -> Backdrop {
        let whole = Rect { y0: 0, x0: 0, y1: size[0], x1: size[1] };
        let pixels = resize_rgb(photograph.rgb(), photograph.height(), photograph.width(), size, whole);
        let mut backdrop = Backdrop { size, pixels, framing: photograph.framing(resize).at_size(size) };
        backdrop.dim();
        backdrop
    }

    /// Darkens the part that the network does not see.
    fn dim(&mut self) {
        let [x, y, width, height] = self.seen().map(|length| length as usize);
        let columns = self.size[1];
        for (i, pixel) in self.pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let (row, column) = (i / columns, i % columns);
            if !(y..y + height).contains(&row) || !(x..x + width).contains(&column) {
                *pixel = mix(*pixel, [0; 3], DIMMED);
            }
        }
    }

    /// The places of the middles of the rows (axis 0) or columns (axis 1) on the network's 224x224
    /// picture.
    pub fn places(&self, axis: usize) -> Vec<f64> {
        middles(0, self.size[axis]).into_iter().map(|at| self.framing.to_network(axis, at)).collect()
    }

    /// For each row (axis 0) or column (axis 1), the row or column of a plane of `side` that covers the
    /// network's picture; none outside of it.
    pub fn cells(&self, axis: usize, side: usize) -> Vec<Option<usize>> {
        let cell = |at: f64| {
            let inside = (0.0..INPUT_SIDE as f64).contains(&at);
            inside.then(|| (at * side as f64 / INPUT_SIDE as f64) as usize)
        };
        self.places(axis).into_iter().map(cell).collect()
    }

    /// The pixels whose middles lie between the edges `[y0, x0, y1, x1]` on the network's picture.
    pub fn area(&self, [y0, x0, y1, x1]: [f64; 4]) -> Area {
        let first = |axis: usize, edge: f64| {
            let at = self.framing.to_photograph(axis, edge) - 0.5;
            at.ceil().clamp(0.0, self.size[axis] as f64) as u32
        };
        let [(top, bottom), (left, right)] = [(0, y0, y1), (1, x0, x1)].map(|(axis, start, end)| {
            let start = first(axis, start);
            (start, first(axis, end).max(start))
        });
        [left, top, right - left, bottom - top]
    }

    /// The pixels of a part of the network's picture.
    pub fn area_of(&self, Rect { y0, x0, y1, x1 }: Rect) -> Area {
        self.area([y0, x0, y1, x1].map(|edge| edge as f64))
    }

    /// The size on this picture of a part of the network's picture, height and width.
    pub fn size_of(&self, size: [usize; 2]) -> [u32; 2] {
        std::array::from_fn(|axis| {
            let at = |edge: f64| self.framing.to_photograph(axis, edge);
            (at(size[axis] as f64) - at(0.0)).round() as u32
        })
    }

    /// The pixels that the network sees.
    pub fn seen(&self) -> Area {
        self.area_of(Rect::plane(INPUT_SIDE))
    }

    /// The meaning of the darkened part, if the network does not see the whole photograph.
    pub fn dark_in_words(&self) -> Option<&'static str> {
        let [x, y, width, height] = self.seen();
        let [rows, columns] = self.on_page();
        ([x, y, width, height] != [0, 0, columns, rows]).then_some("dark: not seen by the network")
    }

    /// The places on this picture of the edges of the network's picture: top and bottom (axis 0), or
    /// left and right (axis 1).
    pub fn edges(&self, axis: usize) -> [f64; 2] {
        [0.0, INPUT_SIDE as f64].map(|edge| self.framing.to_photograph(axis, edge))
    }

    /// Height and width of the picture on a page.
    pub fn on_page(&self) -> [u32; 2] {
        self.size.map(|length| length as u32)
    }
}

/// The grey of the same lightness as a colour.
pub fn grey([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let luma = (u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1000;
    [luma as u8; 3]
}

/// The size in the same proportion with a given longest side. Every side has at least one pixel.
pub fn within(size: [usize; 2], longest: usize) -> [usize; 2] {
    let most = size[0].max(size[1]);
    size.map(|length| ((2 * length * longest + most) / (2 * most)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(height: usize, width: usize) -> Photograph {
        Photograph::from_rgb(height, width, &vec![100; height * width * 3]).unwrap()
    }

    #[test]
    fn the_photograph_keeps_its_shape_and_its_resolution_within_limits() {
        let large =
            |height, width| Backdrop::large(&grey(height, width), Resize::Stretch, CanvasShape::Photo).size;
        assert_eq!([large(900, 300), large(300, 451)], [[900, 300], [447, 672]]);
        assert_eq!([large(3000, 2000), large(1, 5000), large(1, 1)], [[1024, 683], [1, 1024], [672, 672]]);
        let panel =
            |height, width| Backdrop::panel(&grey(height, width), Resize::Stretch, CanvasShape::Photo).size;
        assert_eq!([panel(50, 50), panel(400, 1200), panel(9000, 10)], [[336, 336], [194, 582], [672, 1]]);
        let square = Backdrop::large(&grey(400, 1200), Resize::Stretch, CanvasShape::Network);
        assert_eq!((square.size, square.seen()), ([672; 2], [0, 0, 672, 672]));
    }

    /// The network's picture on a photograph of 300 rows of 400 pixels, which a figure shows with 504
    /// rows of 672.
    #[test]
    fn places_are_those_of_the_network() {
        let photograph = grey(300, 400);
        let backdrop = |resize| Backdrop::large(&photograph, resize, CanvasShape::Photo);
        let half = Rect { y0: 0, x0: 112, y1: 224, x1: 224 };
        let stretched = backdrop(Resize::Stretch);
        assert_eq!((stretched.seen(), stretched.area_of(half)), ([0, 0, 672, 504], [336, 0, 336, 504]));
        assert_eq!(stretched.places(1)[0], 224.0 / 672.0 / 2.0);
        // 256 rows of 341 columns are cut at row 16 and column 58: at 31.5 of 504 rows and 114.3 of
        // 672 columns.
        let cropped = backdrop(Resize::CenterCrop);
        assert_eq!(cropped.seen(), [114, 31, 442, 441]);
        let dimmed = mix([100; 3], [0; 3], DIMMED)[0];
        let at = |y: usize, x: usize| cropped.pixels[(y * 672 + x) * 3];
        assert_eq!([at(31, 114), at(30, 114), at(31, 113), at(471, 555)], [100, dimmed, dimmed, 100]);
        assert_eq!([at(472, 555), at(471, 556)], [dimmed; 2]);
        // 168 rows of 224 columns in the middle of the square.
        let padded = backdrop(Resize::Pad);
        assert_eq!(padded.seen(), [0, 0, 672, 504]);
        assert_eq!(padded.area([28.0, 0.0, 112.0, 112.0]), [0, 0, 336, 252]);
        assert!(padded.pixels.iter().all(|&level| level == 100));
    }
}
