//! Masks that are made for each photograph: segments by numbers in a PNG file, and superpixels.

use std::fmt;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat};
use occlude::network::INPUT_SIDE;
use occlude::{Error, Photograph, Resize, Result, Segments};

use crate::cli::checksum::sha256;
use crate::cli::source;

/// Largest size of a PNG file of segments, in bytes and in pixels.
const MAX_BYTES: u64 = 1 << 28;
const MAX_PIXELS: u64 = 100_000_000;

/// The value of `--segments`.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentsChoice {
    /// About this number of superpixels.
    Slic(usize),
    File(PathBuf),
}

impl fmt::Display for SegmentsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SegmentsChoice::Slic(count) => write!(f, "slic:{count}"),
            SegmentsChoice::File(file) => f.write_str(&file.to_string_lossy()),
        }
    }
}

/// The way to divide photographs into segments.
pub enum Segmentation {
    Slic(usize),
    Numbers(SegmentNumbers),
}

/// A number for each pixel of a picture.
pub struct SegmentNumbers {
    /// The file.
    name: String,
    /// Height and width.
    size: [usize; 2],
    numbers: Vec<u32>,
}

impl Segmentation {
    /// # Errors
    /// [`Error::Io`] and [`Error::Image`] for a file that cannot be read or is no PNG of numbers.
    pub fn open(choice: &SegmentsChoice) -> Result<Segmentation> {
        Ok(match choice {
            SegmentsChoice::Slic(count) => Segmentation::Slic(*count),
            SegmentsChoice::File(file) => Segmentation::Numbers(SegmentNumbers::open(file)?),
        })
    }

    /// The segments of the network's picture of a photograph.
    ///
    /// # Errors
    /// [`Error::Image`] if the file is for a photograph of another size.
    pub fn segments(&self, photograph: &Photograph, resize: Resize) -> Result<Segments> {
        match self {
            Segmentation::Slic(count) => Segments::slic(&photograph.picture(resize), *count),
            Segmentation::Numbers(numbers) => numbers.segments(photograph, resize),
        }
    }
}

impl SegmentNumbers {
    fn open(file: &Path) -> Result<SegmentNumbers> {
        let name = source::shown(file);
        let bytes = source::read_text(file, MAX_BYTES)?;
        let refuse = |problem: String| Error::Image { name: name.clone(), problem };
        let expected = "expected a PNG with a number for each pixel: its grey level, or its colour";
        let damaged = |error: image::ImageError| refuse(format!("{error}, {expected}"));
        if image::guess_format(&bytes).ok() != Some(ImageFormat::Png) {
            return Err(refuse(format!("is no PNG, {expected}")));
        }
        let decoder = PngDecoder::new(Cursor::new(&bytes)).map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(refuse(format!("has {width}x{height} pixels, expected at most {MAX_PIXELS}")));
        }
        let packed = |rgb: &[u8]| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]);
        let numbers: Vec<u32> = match DynamicImage::from_decoder(decoder).map_err(damaged)? {
            DynamicImage::ImageLuma8(grey) => grey.into_raw().into_iter().map(u32::from).collect(),
            DynamicImage::ImageLuma16(grey) => grey.into_raw().into_iter().map(u32::from).collect(),
            DynamicImage::ImageRgb8(rgb) => rgb.as_raw().chunks_exact(3).map(packed).collect(),
            other => {
                let problem =
                    format!("has pixels of {:?}, {expected} of 8 bits, without transparency", other.color());
                return Err(refuse(problem));
            }
        };
        Ok(SegmentNumbers { size: [height as usize, width as usize], numbers, name })
    }

    /// The checksum of the size and the numbers.
    pub fn checksum(&self) -> String {
        let size = self.size.iter().flat_map(|side| (*side as u64).to_le_bytes());
        let bytes: Vec<u8> =
            size.chain(self.numbers.iter().flat_map(|number| number.to_le_bytes())).collect();
        sha256(&bytes)
    }

    /// The numbers at the middles of the picture's pixels; none where the photograph does not reach.
    fn segments(&self, photograph: &Photograph, resize: Resize) -> Result<Segments> {
        let [height, width] = self.size;
        let photo = [photograph.height(), photograph.width()];
        let framing = photograph.framing(resize);
        // Of each row and column of the picture, that of the file.
        let places = |axis: usize| -> Vec<Option<usize>> {
            let place = |at: usize| {
                let place = match self.size == photo {
                    true => framing.to_photograph(axis, at as f64 + 0.5).floor(),
                    false => at as f64,
                };
                (place >= 0.0 && place < self.size[axis] as f64).then_some(place as usize)
            };
            (0..INPUT_SIDE).map(place).collect()
        };
        if self.size != photo && self.size != [INPUT_SIDE; 2] {
            let expected = match photo == [INPUT_SIDE; 2] {
                true => String::new(),
                false => format!("{}x{}, the size of the photograph, or ", photo[1], photo[0]),
            };
            let problem = format!(
                "has {width}x{height} pixels, expected {expected}{INPUT_SIDE}x{INPUT_SIDE}, the size of the network's \
                 picture"
            );
            return Err(Error::Image { name: self.name.clone(), problem });
        }
        let columns = places(1);
        let numbers =
            places(0).into_iter().flat_map(|y| columns.iter().map(move |x| Some(y? * width + (*x)?)));
        let numbers: Vec<Option<u32>> = numbers.map(|at| at.map(|at| self.numbers[at])).collect();
        Segments::new(&numbers).map_err(|error| match error {
            Error::Image { problem, .. } => {
                Error::Image { name: format!("{}: the segments", self.name), problem }
            }
            other => other,
        })
    }
}
