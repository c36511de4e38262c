//! The form of masks: which pixels of the image they cover, and how far.

use std::fmt;

use crate::forward::exp;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;

/// The form of a mask within its rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// All pixels of the rectangle. The default.
    #[default]
    Rectangle,
    /// The pixels whose middle lies in the ellipse that fills the rectangle.
    Ellipse,
    /// A Gaussian, whose standard deviations are a quarter of the mask's height and width. It covers the
    /// central pixel wholly, and the corner least, by 0. A soft border adds no edge to the picture. After
    /// MONAI's mode `gaussian`, which integrates over each pixel.
    Gaussian,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Rectangle => "rectangle",
            Shape::Ellipse => "ellipse",
            Shape::Gaussian => "gaussian",
        })
    }
}

impl Shape {
    /// Returns how far a mask of this height and width covers each of its pixels, from 0 (not) to 1 (wholly),
    /// row by row.
    ///
    /// # Panics
    /// If a side is longer than that of the network's picture, 224.
    pub fn weights(self, [height, width]: [usize; 2]) -> Vec<f32> {
        assert!(
            height.max(width) <= INPUT_SIDE,
            "a mask of {height} x {width} pixels is larger than the picture"
        );
        let weight = |y: usize, x: usize| match self {
            Shape::Rectangle => 1.0,
            Shape::Ellipse => {
                // Twice the distance of the pixel's middle from that of the mask, as a share of a side.
                let offset = |at: usize, side: usize| (2.0 * at as f64 + 1.0 - side as f64) / side as f64;
                let (y, x) = (offset(y, height), offset(x, width));
                if y * y + x * x <= 1.0 { 1.0 } else { 0.0 }
            }
            Shape::Gaussian => {
                let gaussian = |y: usize, x: usize| {
                    let distance =
                        |at: usize, side: usize| (at as f64 - (side / 2) as f64) / (side as f64 / 4.0);
                    exp(-0.5 * (distance(y, height).powi(2) + distance(x, width).powi(2)))
                };
                // The first corner is the farthest pixel from the central one.
                let least = if height * width == 1 { 0.0 } else { gaussian(0, 0) };
                ((gaussian(y, x) - least) / (1.0 - least)) as f32
            }
        };
        (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| weight(y, x)).collect()
    }
}

/// The pixels of a rectangle, and how far each of them is covered.
pub(crate) struct Coverage {
    pub(crate) bounds: Rect,
    /// 0 (not covered) to 1 (covered by the fill alone) for each pixel of `bounds`, row by row.
    pub(crate) weights: Vec<f32>,
}

impl Coverage {
    /// A mask of this shape around a pixel, clipped at the image's border.
    pub(crate) fn centred(shape: Shape, size: [usize; 2], centre: [usize; 2]) -> Coverage {
        let bounds = Rect::centred(centre, size, INPUT_SIDE);
        let all = shape.weights(size);
        // The first row and column of the whole mask, which may lie outside.
        let [top, left] = [0, 1].map(|axis| centre[axis] as i64 - (size[axis] / 2) as i64);
        let weights = bounds
            .pixels()
            .map(|(y, x)| all[((y as i64 - top) as usize) * size[1] + (x as i64 - left) as usize]);
        Coverage { bounds, weights: weights.collect() }
    }

    /// Everything that this leaves uncovered.
    pub(crate) fn inverse(&self) -> Coverage {
        let bounds = Rect::plane(INPUT_SIDE);
        let mut weights = vec![1.0; bounds.area()];
        for ((y, x), weight) in self.bounds.pixels().zip(&self.weights) {
            weights[y * INPUT_SIDE + x] = 1.0 - weight;
        }
        Coverage { bounds, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_their_formulas() {
        assert_eq!(Shape::Rectangle.weights([2, 3]), [1.0; 6]);
        #[rustfmt::skip]
        assert_eq!(Shape::Ellipse.weights([4, 5]), [
            0.0, 1.0, 1.0, 1.0, 0.0,
            1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 1.0,
            0.0, 1.0, 1.0, 1.0, 0.0,
        ]);
        for [height, width] in [[1, 1], [8, 8], [45, 45], [7, 30]] {
            let weights = Shape::Gaussian.weights([height, width]);
            assert_eq!(weights[height / 2 * width + width / 2], 1.0);
            let g = |y: usize, x: usize| {
                let off = |at: usize, side: usize| (at as f64 - (side / 2) as f64) * 4.0 / side as f64;
                (-(off(y, height).powi(2) + off(x, width).powi(2)) / 2.0).exp()
            };
            for (i, weight) in weights.iter().enumerate().filter(|_| height * width > 1) {
                let wanted = (g(i / width, i % width) - g(0, 0)) / (1.0 - g(0, 0));
                assert!((f64::from(*weight) - wanted).abs() < 1e-6, "{i}: {weight}, {wanted}");
            }
        }
        // Clipped at the border, a mask keeps the part that lies inside.
        let corner = Coverage::centred(Shape::Gaussian, [8, 6], [1, 223]);
        assert_eq!((corner.bounds.height(), corner.bounds.width()), (5, 4));
        assert_eq!(corner.weights[4 + 3], 1.0);
    }
}
