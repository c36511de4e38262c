//! From a photograph to what the network reads: 224x224, blue-green-red minus the mean (`docs/01-pixel-to-tensor.md`).
//!
//! It holds pixels and has `src/image/resize.rs` scale them. `src/image/decode.rs` opens files. Of the network it knows the size of
//! its image and the mean, no more.

#[cfg(feature = "image")]
mod decode;
pub mod resize;

use std::fmt;

use crate::error::{Error, Result};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, MEAN_BGR};
use resize::resize_rgb;

/// How a photograph of any shape becomes a square. Both interpolate as Pillow's `BICUBIC` ([`resize_rgb`]).
///
/// ```
/// use occlude::{Photograph, Resize};
///
/// // Half as high as wide, black but for the outer quarters on the left and on the right.
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
    /// The whole photograph, its sides scaled independently, as MATLAB's `imresize(image, [224 224])`.
    #[default]
    Stretch,
    /// The shorter side becomes 256 pixels, the longer one in proportion (rounded down); of that the central 224x224. Sizes and
    /// offsets are those of torchvision's `Resize(256)` and `CenterCrop(224)`.
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

/// A decoded photograph of any size: upright, 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photograph {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) rgb: Vec<u8>,
}

impl Photograph {
    /// Takes raw pixels, `[height][width][3]`, red first.
    ///
    /// # Errors
    /// [`Error::Image`] when there are no pixels, or another number of bytes than `height * width * 3`.
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

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[height][width][3]`, red first.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// What the network sees of it.
    pub fn picture(&self, resize: Resize) -> Picture {
        Picture { rgb: self.square(INPUT_SIDE, resize) }
    }

    /// The part that [`Photograph::picture`] shows, at `side` x `side` pixels: `[side][side][3]`, red first.
    /// For figures, where 224 pixels would be blurred.
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

    /// Size of the whole photograph when its centre fills `side` x `side`, and where that centre is.
    fn center_crop(&self, side: usize) -> ([usize; 2], Rect) {
        // 256 of 224, whatever the side. Sizes and offsets round as torchvision's Resize and CenterCrop.
        let shorter = side * 256 / 224;
        let least = self.height.min(self.width);
        let size = [self.height * shorter / least, self.width * shorter / least];
        let [y0, x0] = size.map(|length| ((length - side) as f64 / 2.0).round_ties_even() as usize);
        (size, Rect { y0, x0, y1: y0 + side, x1: x0 + side })
    }
}

/// A picture of the network's size, 224x224.
///
/// ```
/// use occlude::{Picture, Resize};
///
/// let orange = [255, 128, 0].repeat(50 * 80);
/// let picture = Picture::from_rgb(50, 80, &orange, Resize::Stretch)?;
/// assert_eq!(picture.rgb().len(), 224 * 224 * 3);
/// assert_eq!(picture.mean_rgb(), [255.0, 128.0, 0.0]);
/// // Blue, green, red, each minus its mean over ImageNet.
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
    /// Those of [`Photograph::from_rgb`].
    pub fn from_rgb(height: usize, width: usize, rgb: &[u8], resize: Resize) -> Result<Picture> {
        Ok(Photograph::from_rgb(height, width, rgb)?.picture(resize))
    }

    /// `[224][224][3]`, red first.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The network's input: blue, green, red, each minus its [`MEAN_BGR`].
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

    /// Mean red, green and blue over all pixels, each 0..=255.
    pub fn mean_rgb(&self) -> [f32; 3] {
        let (pixels, _) = self.rgb.as_chunks::<3>();
        // Sums of levels are whole numbers far below 2^53: exact in any order.
        std::array::from_fn(|c| {
            let sum: f64 = pixels.iter().map(|pixel| f64::from(pixel[c])).sum();
            (sum / pixels.len() as f64) as f32
        })
    }
}

/// What the network reads: `[224][224][3]`, channels blue, green, red, minus the training mean ([`MEAN_BGR`]): levels of 0..=255
/// come to -123..=151. [`Picture::input`] makes one.
///
/// ```
/// use occlude::Input;
///
/// // A picture of the mean colour alone.
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
    /// Takes values that were prepared elsewhere: `[224][224][3]`, blue first, mean already subtracted.
    ///
    /// # Errors
    /// [`Error::Image`] when there are not 224 * 224 * 3 of them or one is not finite.
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

    /// `[224][224][3]`, blue first, minus the mean.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
