//! Segments of the image, each of which is a mask: those of a list of numbers, and superpixels.

mod slic;

use super::coverage::Coverage;
use crate::image::Picture;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;
use crate::{Error, Result};

/// Largest number of segments, so that a photograph in place of a list of segments is refused.
pub const MAX_SEGMENTS: usize = 5000;

/// Pixels of the image in segments. A sweep covers one segment after the other.
///
/// ```
/// use occlude::Segments;
///
/// // A frame, which belongs to no segment, around two halves.
/// let number = |at: usize| match (at / 224, at % 224) {
///     (0..10, _) | (_, 0..10) => None,
///     (_, x) => Some(if x < 112 { 7 } else { 3 }),
/// };
/// let segments = Segments::new(&Vec::from_iter((0..224 * 224).map(number)))?;
/// assert_eq!((segments.numbers(), segments.pixels(1)), (&[3, 7][..], 102 * 214));
/// assert_eq!(segments.bounds(0).x0, 112);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    numbers: Vec<u32>,
    /// For each pixel, the index of its segment in `numbers`.
    of_pixel: Vec<Option<u16>>,
    bounds: Vec<Rect>,
    pixels: Vec<usize>,
}

impl Segments {
    /// Takes a number for each pixel, `[224][224]`. Pixels of the same number are one segment, whether
    /// they touch or not; those without a number are never covered.
    ///
    /// # Errors
    /// [`Error::Image`] for another number of pixels, without a segment, and for more than
    /// [`MAX_SEGMENTS`].
    pub fn new(number_of_pixel: &[Option<u32>]) -> Result<Segments> {
        let refuse = |problem: String| Err(Error::image("the segments", problem));
        if number_of_pixel.len() != INPUT_SIDE * INPUT_SIDE {
            return refuse(format!("have {} pixels, expected 224x224", number_of_pixel.len()));
        }
        let mut numbers: Vec<u32> = number_of_pixel.iter().copied().flatten().collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() || numbers.len() > MAX_SEGMENTS {
            return refuse(format!(
                "are {}, expected 1 to {MAX_SEGMENTS} different numbers, one for each segment",
                numbers.len()
            ));
        }
        let index = |number: &Option<u32>| number.map(|n| numbers.partition_point(|&other| other < n) as u16);
        let of_pixel: Vec<Option<u16>> = number_of_pixel.iter().map(index).collect();
        let mut bounds = vec![Rect::default(); numbers.len()];
        let mut pixels = vec![0; numbers.len()];
        for ((y, x), segment) in Rect::plane(INPUT_SIDE).pixels().zip(&of_pixel) {
            if let Some(segment) = segment.map(usize::from) {
                bounds[segment] = bounds[segment].union(&Rect { y0: y, x0: x, y1: y + 1, x1: x + 1 });
                pixels[segment] += 1;
            }
        }
        Ok(Segments { numbers, of_pixel, bounds, pixels })
    }

    /// Divides a picture into about `count` superpixels: connected parts of similar colour and size.
    ///
    /// The algorithm is SLIC (Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel
    /// methods", 2012) with a compactness of 10 and ten iterations, in CIELAB. The segments are the same on
    /// every machine.
    ///
    /// # Errors
    /// [`Error::Option`] if `count` is not 2..=1000.
    pub fn slic(picture: &Picture, count: usize) -> Result<Segments> {
        if !(2..=1000).contains(&count) {
            return Err(Error::option("number of superpixels", count, "2 to 1000"));
        }
        let labels = slic::superpixels(picture.rgb(), count);
        Segments::new(&labels.into_iter().map(Some).collect::<Vec<_>>())
    }

    /// Number of segments.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The numbers of the segments, ascending: the order of a sweep's positions.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// The index of each pixel's segment in [`numbers`](Self::numbers), `[224][224]`.
    pub fn of_pixel(&self) -> &[Option<u16>] {
        &self.of_pixel
    }

    /// The smallest rectangle around a segment, by its index.
    pub fn bounds(&self, segment: usize) -> Rect {
        self.bounds[segment]
    }

    /// Number of pixels of a segment, by its index.
    pub fn pixels(&self, segment: usize) -> usize {
        self.pixels[segment]
    }

    pub(super) fn coverage(&self, segment: usize) -> Coverage {
        let bounds = self.bounds[segment];
        let is_in = |(y, x): (usize, usize)| self.of_pixel[y * INPUT_SIDE + x] == Some(segment as u16);
        let weights = bounds.pixels().map(|pixel| f32::from(u8::from(is_in(pixel)))).collect();
        Coverage { bounds, weights }
    }

    /// One value for each segment as one for each pixel, `[224][224]`; 0 where there is no segment.
    pub(super) fn spread<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        self.of_pixel.iter().map(|segment| segment.map_or(T::default(), |s| values[usize::from(s)])).collect()
    }
}
