//! Photographs, the square picture made from one, and the network's input: 224x224 pixels, blue,
//! green, red, minus the mean (`docs/01-pixel-to-tensor.md`).
//!
//! `src/image/resize.rs` scales pixels and `src/image/decode` opens files.

#[cfg(feature = "image")]
mod decode;
pub mod resize;

use std::fmt;

use crate::error::{Error, Result};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, MEAN_BGR};
use resize::resize_rgb;

/// The way in which a photograph of any shape becomes a square. Both variants interpolate as
/// Pillow's `BICUBIC` ([`resize_rgb`]).
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
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// Scales the whole photograph to 224x224, each axis on its own, as MATLAB's `imresize(image,
    /// [224 224])` does.
    #[default]
    Stretch,
    /// Scales the shorter side to 256 pixels and the longer one in proportion, rounded down, and
    /// cuts out the central 224x224 pixels. Sizes and offsets are those of torchvision's
    /// `Resize(256)` and `CenterCrop(224)`.
    CenterCrop,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resize::Stretch => "stretch",
            Resize::CenterCrop => "center-crop",
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
        let (size, part) = match resize {
            Resize::Stretch => ([side, side], Rect::plane(side)),
            Resize::CenterCrop => self.center_crop(side),
        };
        resize_rgb(&self.rgb, self.height, self.width, size, part)
    }

    /// The size to which [`Resize::CenterCrop`] scales the photograph, and the rectangle of `side`
    /// x `side` pixels that it cuts out.
    fn center_crop(&self, side: usize) -> ([usize; 2], Rect) {
        // The proportion of 256 to 224 at every `side`. Sizes and offsets round as torchvision's
        // `Resize` and `CenterCrop`.
        let shorter = side * 256 / 224;
        let least = self.height.min(self.width);
        let size = [self.height * shorter / least, self.width * shorter / least];
        let [y0, x0] = size.map(|length| ((length - side) as f64 / 2.0).round_ties_even() as usize);
        (size, Rect { y0, x0, y1: y0 + side, x1: x0 + side })
    }
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
    rgb: Vec<u8>,
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
        let (pixels, _) = self.rgb.as_chunks::<3>();
        // The sums are integers below 2^53, so they are exact in any order.
        std::array::from_fn(|c| {
            let sum: f64 = pixels.iter().map(|pixel| f64::from(pixel[c])).sum();
            (sum / pixels.len() as f64) as f32
        })
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
