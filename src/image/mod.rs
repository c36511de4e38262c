//! Photographs, the square picture made from one, and the network's input: 224x224 pixels, blue,
//! green, red, minus the mean (`docs/01-pixel-to-tensor.md`).
//!
//! `src/image/resize.rs` and `src/image/imresize.rs` scale pixels, `src/image/lattice.rs` places a
//! map on the picture, and `src/image/decode` opens files.

#[cfg(feature = "image")]
mod decode;
mod imresize;
pub mod lattice;
pub mod resize;

use std::fmt;

use crate::error::{Error, Result};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, MEAN_BGR};
use imresize::imresize;
use resize::resize_rgb;

/// The way in which a photograph of any shape becomes a square. All variants interpolate as Pillow's
/// `BICUBIC` ([`resize_rgb`]), except [`Resize::Matlab`]. [`Framing`] tells where the square lies on the photograph.
///
/// ```
/// use occlude::{Photograph, Resize};
///
/// // 200 rows of 400 pixels: a black centre between two white quarters.
/// let level = |x: usize| if (100..300).contains(&x) { 0 } else { 255 };
/// let rgb: Vec<u8> = (0..200 * 400).flat_map(|i| [level(i % 400); 3]).collect();
/// let photograph = Photograph::from_rgb(200, 400, &rgb)?;
/// let corner = |resize| photograph.picture(resize).rgb()[0];
/// assert_eq!(corner(Resize::Stretch), 255);
/// assert_eq!(corner(Resize::CenterCrop), 0);
/// assert_eq!(corner(Resize::Pad), 128);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// Scales the whole photograph to 224x224, each axis on its own.
    #[default]
    Stretch,
    /// Scales the shorter side to 256 pixels and the longer one in proportion, rounded down, and
    /// cuts out the central 224x224 pixels. Sizes and offsets are those of torchvision's
    /// `Resize(256)` and `CenterCrop(224)`.
    CenterCrop,
    /// Scales the longer side to 224 pixels and the shorter one in proportion, rounded, at least 1
    /// pixel. The photograph lies in the middle; the rest of the square has the mean colour of the
    /// scaled photograph, each channel rounded to a whole level.
    Pad,
    /// As [`Resize::Stretch`], but with the levels of MATLAB's `imresize(image, [224 224])`: the picture
    /// is mirrored at its borders, the axis with the smaller ratio of sizes comes first, and each pass
    /// rounds to the nearest level. Most levels are equal to those of `Stretch` or differ by one.
    Matlab,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resize::Stretch => "stretch",
            Resize::CenterCrop => "center-crop",
            Resize::Pad => "pad",
            Resize::Matlab => "matlab",
        })
    }
}

/// A decoded photograph of any size, upright, in 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photograph {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) rgb: Vec<u8>,
}

impl Photograph {
    /// Copies raw pixels, `[height][width][3]`, red first.
    ///
    /// # Errors
    /// [`Error::Image`] if there are no pixels, or if the number of bytes is not `height * width *
    /// 3`.
    pub fn from_rgb(height: usize, width: usize, rgb: &[u8]) -> Result<Photograph> {
        let expected = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(3));
        if rgb.is_empty() || expected != Some(rgb.len()) {
            let found = rgb.len();
            return Err(Error::image(
                "RGB pixels",
                format!(
                    "{height} rows of {width} pixels need 3 bytes each and at least one pixel, found {found} bytes"
                ),
            ));
        }
        Ok(Photograph { height, width, rgb: rgb.to_vec() })
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pixels, `[height][width][3]`, red first.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Resizes the photograph to the network's 224x224 pixels.
    pub fn picture(&self, resize: Resize) -> Picture {
        Picture { rgb: self.square(INPUT_SIDE, resize) }
    }

    /// The same part of the photograph as [`Photograph::picture`], at `side` x `side` pixels, for
    /// figures: `[side][side][3]`, red first.
    ///
    /// # Panics
    /// If `side` is 0.
    pub fn square(&self, side: usize, resize: Resize) -> Vec<u8> {
        let framing = Framing::of_side([self.height, self.width], resize, side);
        if resize == Resize::Matlab {
            return imresize(&self.rgb, self.height, self.width, framing.scaled);
        }
        let part = framing.part();
        let rgb = resize_rgb(&self.rgb, self.height, self.width, framing.scaled, part);
        if [part.height(), part.width()] == [side; 2] {
            return rgb;
        }
        let (pixels, _) = rgb.as_chunks::<3>();
        let mean = mean_rgb(pixels).map(|level| level.round() as u8);
        let mut square = mean.repeat(side * side);
        let [top, left] = framing.corner.map(|corner| corner.min(0).unsigned_abs() as usize);
        for (y, row) in rgb.chunks(part.width() * 3).enumerate() {
            square[((top + y) * side + left) * 3..][..row.len()].copy_from_slice(row);
        }
        square
    }

    /// The place of the network's picture on the photograph.
    pub fn framing(&self, resize: Resize) -> Framing {
        Framing::new([self.height, self.width], resize)
    }
}

/// The place of the network's 224x224 picture on a photograph. It converts places along an axis, 0
/// down and 1 across, between the two: distances in pixels from the upper left corner, so the middle
/// of the first pixel lies at 0.5.
///
/// ```
/// use occlude::Resize;
/// use occlude::image::Framing;
///
/// // The central square of 300 rows of 400 pixels is 224/256 of 300 pixels wide.
/// let framing = Framing::new([300, 400], Resize::CenterCrop);
/// assert_eq!(framing.to_network(1, 200.0), 112.5);
/// assert_eq!(framing.to_photograph(0, 0.0), 18.75);
/// // A padded photograph begins below the upper edge of the square.
/// assert_eq!(Framing::new([200, 400], Resize::Pad).to_network(0, 0.0), 56.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Framing {
    /// Height and width of the photograph.
    pub(crate) photograph: [usize; 2],
    /// Height and width to which it is scaled.
    scaled: [usize; 2],
    /// Row and column of the square's corner on the scaled photograph.
    corner: [i64; 2],
    /// Side of the square.
    side: usize,
}

impl Framing {
    /// The framing of a photograph of `[height, width]` pixels.
    ///
    /// # Panics
    /// If a side is 0.
    pub fn new(photograph: [usize; 2], resize: Resize) -> Framing {
        Framing::of_side(photograph, resize, INPUT_SIDE)
    }

    /// The framing for a square of `side` x `side` pixels instead of 224x224.
    fn of_side(photograph: [usize; 2], resize: Resize, side: usize) -> Framing {
        let [least, most] = [photograph[0].min(photograph[1]), photograph[0].max(photograph[1])];
        assert!(least > 0 && side > 0, "a picture has pixels");
        let scaled = match resize {
            Resize::Stretch | Resize::Matlab => [side; 2],
            // The proportion of 256 to 224 at every side. Sizes and offsets round as torchvision's
            // `Resize` and `CenterCrop`.
            Resize::CenterCrop => photograph.map(|length| length * (side * 256 / 224) / least),
            Resize::Pad => photograph.map(|length| ((2 * length * side + most) / (2 * most)).max(1)),
        };
        let half = |length: usize| (length as f64 - side as f64) / 2.0;
        let corner = match resize {
            Resize::Stretch | Resize::Matlab => [0; 2],
            Resize::CenterCrop => scaled.map(|length| half(length).round_ties_even() as i64),
            Resize::Pad => scaled.map(|length| half(length).ceil() as i64),
        };
        Framing { photograph, scaled, corner, side }
    }

    /// The same framing of the photograph enlarged or reduced to `[height, width]` pixels.
    pub fn at_size(self, photograph: [usize; 2]) -> Framing {
        Framing { photograph, ..self }
    }

    /// The place on the network's picture, 0 to 224 within it, of a place on the photograph.
    pub fn to_network(&self, axis: usize, at: f64) -> f64 {
        let scaled = at * self.scaled[axis] as f64 / self.photograph[axis] as f64;
        (scaled - self.corner[axis] as f64) * (INPUT_SIDE as f64 / self.side as f64)
    }

    /// The place on the photograph of a place on the network's picture. It may lie outside the
    /// photograph if that was padded.
    pub fn to_photograph(&self, axis: usize, at: f64) -> f64 {
        let scaled = at * (self.side as f64 / INPUT_SIDE as f64) + self.corner[axis] as f64;
        scaled * self.photograph[axis] as f64 / self.scaled[axis] as f64
    }

    /// The part of the scaled photograph that lies in the square.
    fn part(&self) -> Rect {
        let [(y0, y1), (x0, x1)] = [0, 1].map(|axis| {
            let end = self.corner[axis] + self.side as i64;
            (self.corner[axis].max(0) as usize, self.scaled[axis].min(end as usize))
        });
        Rect { y0, x0, y1, x1 }
    }
}

/// The mean of red, green and blue over pixels, each in 0..=255.
fn mean_rgb(pixels: &[[u8; 3]]) -> [f32; 3] {
    // The sums are integers below 2^53, so they are exact in any order.
    std::array::from_fn(|c| {
        let sum: f64 = pixels.iter().map(|pixel| f64::from(pixel[c])).sum();
        (sum / pixels.len() as f64) as f32
    })
}

/// A picture of 224x224 pixels in 8-bit RGB, the size of the network's input.
///
/// ```
/// use occlude::{Picture, Resize};
///
/// let orange = [255, 128, 0].repeat(50 * 80);
/// let picture = Picture::from_rgb(50, 80, &orange, Resize::Stretch)?;
/// assert_eq!(picture.rgb().len(), 224 * 224 * 3);
/// assert_eq!(picture.mean_rgb(), [255.0, 128.0, 0.0]);
/// // Blue, green, red, each minus the ImageNet mean of its channel.
/// assert_eq!(picture.input().values()[..3], [0.0 - 104.0, 128.0 - 117.0, 255.0 - 123.0]);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub(crate) rgb: Vec<u8>,
}

impl Picture {
    /// Resizes raw pixels, `[height][width][3]`, red first.
    ///
    /// # Errors
    /// As for [`Photograph::from_rgb`].
    pub fn from_rgb(height: usize, width: usize, rgb: &[u8], resize: Resize) -> Result<Picture> {
        Ok(Photograph::from_rgb(height, width, rgb)?.picture(resize))
    }

    /// The pixels, `[224][224][3]`, red first.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The network's input: blue, green, red, minus the mean of each channel ([`MEAN_BGR`]).
    pub fn input(&self) -> Input {
        let [blue, green, red] = MEAN_BGR;
        let values = self
            .rgb
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [f32::from(b) - blue, f32::from(g) - green, f32::from(r) - red])
            .collect();
        Input { values }
    }

    /// The mean of red, green and blue over all pixels, each in 0..=255.
    pub fn mean_rgb(&self) -> [f32; 3] {
        mean_rgb(self.rgb.as_chunks::<3>().0)
    }
}

/// The network's input: `[224][224][3]` values, channels blue, green, red, minus the ImageNet mean
/// ([`MEAN_BGR`]). A level of 0..=255 becomes a value in -123..=151. [`Picture::input`] makes one.
///
/// ```
/// use occlude::Input;
///
/// // Every pixel has the mean colour.
/// let input = Input::from_nhwc_bgr(vec![0.0; 224 * 224 * 3])?;
/// assert_eq!(input.values().len(), 224 * 224 * 3);
/// assert!(Input::from_nhwc_bgr(vec![0.0; 224 * 224]).is_err());
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    values: Vec<f32>,
}

impl Input {
    /// Takes prepared values: `[224][224][3]`, blue first, with the mean already subtracted.
    ///
    /// # Errors
    /// [`Error::Image`] if the number of values is not 224 * 224 * 3, or if a value is infinite or
    /// NaN.
    pub fn from_nhwc_bgr(values: Vec<f32>) -> Result<Input> {
        let expected = INPUT_SIDE * INPUT_SIDE * 3;
        if values.len() != expected {
            let problem = format!("expected {expected} values ([224][224][3]), found {}", values.len());
            return Err(Error::image("network input", problem));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("expected finite values, found {} at index {at}", values[at]);
            return Err(Error::image("network input", problem));
        }
        Ok(Input { values })
    }

    /// The values, `[224][224][3]`, blue first, minus the mean.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
