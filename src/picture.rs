//! From a picture file to what the network reads: decode, upright, 224x224, blue-green-red minus the mean.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::{Error, Result};
use crate::network::{INPUT_SIDE, MEAN_BGR};
use crate::rect::Rect;
use crate::resize::resize_rgb;

/// Most pixels that are accepted: twice the largest cameras', and a bound on the memory that a small file can ask for.
const MAX_PIXELS: u64 = 100_000_000;
/// Longest side accepted, which is also JPEG's and GIF's.
const MAX_SIDE: u32 = 65_535;
/// Most bytes of a file, and of a decoded picture: [`MAX_PIXELS`] of four 16-bit channels.
const MAX_BYTES: u64 = 8 * MAX_PIXELS;
/// Enough of a file's beginning for every format's signature.
const SIGNATURE_BYTES: usize = 16;
const FORMATS: &str = "a PNG, JPEG, WebP, BMP, GIF or TIFF picture";

/// How a photograph of any shape becomes a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resize {
    /// The whole photograph, its sides scaled independently.
    #[default]
    Stretch,
    /// The shorter side becomes 256 pixels, the longer one in proportion (rounded down); of that the central 224x224.
    CenterCrop,
}

/// A decoded photograph of any size: upright, 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photograph {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

impl Photograph {
    /// Decodes a PNG, JPEG, WebP, BMP, GIF or TIFF file; its content decides which, not its name.
    ///
    /// - Turned upright by its EXIF (or TIFF) orientation.
    /// - Transparency is dropped, not blended: a pixel keeps its stored colour, as PIL's `convert("RGB")` does.
    /// - 16-bit levels are divided by 257 and rounded (65535 becomes 255), as MATLAB's `im2uint8` does; floating-point
    ///   ones are clipped to 0..=1 first.
    /// - Grey becomes three equal channels, palettes are looked up, CMYK is multiplied out. Colour profiles are ignored.
    /// - Of an animation, the first picture.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read. [`Error::Image`] when it is not one of these formats, is damaged or
    /// cut short, is a directory, or has more than 100 megapixels, a side above 65535, or no pixel at all. Sizes are
    /// checked before memory is taken for pixels.
    pub fn open(path: impl AsRef<Path>) -> Result<Photograph> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = read(path, &name)?;
        let image = decode(&name, &bytes)?.into_rgb8();
        Ok(Photograph {
            height: image.height() as usize,
            width: image.width() as usize,
            rgb: image.into_raw(),
        })
    }

    /// Takes raw pixels, `[height][width][3]`, red first.
    ///
    /// # Errors
    /// [`Error::Image`] when there are no pixels, or another number of bytes than `height * width * 3`.
    pub fn from_rgb(height: usize, width: usize, rgb: &[u8]) -> Result<Photograph> {
        let expected = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(3));
        if rgb.is_empty() || expected != Some(rgb.len()) {
            let found = rgb.len();
            return Err(refuse(
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    rgb: Vec<u8>,
}

impl Picture {
    /// Decodes a file as [`Photograph::open`] does, and resizes it: antialiased bicubic, as PIL's `BICUBIC`.
    ///
    /// # Errors
    /// Those of [`Photograph::open`].
    pub fn open(path: impl AsRef<Path>, resize: Resize) -> Result<Picture> {
        Ok(Photograph::open(path)?.picture(resize))
    }

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

/// What the network reads: `[224][224][3]`, channels blue, green, red, minus the training mean.
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
            return Err(refuse("network input", problem));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("expected finite values, found {} at index {at}", values[at]);
            return Err(refuse("network input", problem));
        }
        Ok(Input { values })
    }

    /// `[224][224][3]`, blue first, minus the mean.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

fn refuse(name: &str, problem: String) -> Error {
    Error::Image { name: name.to_owned(), problem }
}

/// The file's bytes, once its beginning looks like a picture: `/dev/zero` or a film is refused before it is read.
fn read(path: &Path, name: &str) -> Result<Vec<u8>> {
    let io = |source| Error::Io { path: path.to_owned(), action: "read", source };
    let mut file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(refuse(name, format!("is a directory, expected {FORMATS}; name one file in it")));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(SIGNATURE_BYTES as u64).read_to_end(&mut bytes).map_err(io)?;
    format(name, &bytes)?;
    if metadata.len() <= MAX_BYTES {
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    }
    if metadata.len().max(bytes.len() as u64) > MAX_BYTES {
        return Err(refuse(name, format!("is larger than {MAX_BYTES} bytes; save a smaller picture")));
    }
    Ok(bytes)
}

/// Which of the accepted formats the bytes begin as.
fn format(name: &str, bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(refuse(
            name,
            format!("is empty (0 bytes), expected {FORMATS}; copy or download it again"),
        ));
    }
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => {
            Err(refuse(name, format!("is in {format:?} format, expected {FORMATS}; convert it to PNG")))
        }
        Err(_) => {
            let shown = bytes.len().min(SIGNATURE_BYTES);
            let found = bytes[..shown].escape_ascii();
            Err(refuse(
                name,
                format!("is not a picture: expected {FORMATS}, found a file that begins \"{found}\""),
            ))
        }
    }
}

/// Decodes a whole file, upright. The size in its header is checked before any pixel is decoded.
fn decode(name: &str, bytes: &[u8]) -> Result<DynamicImage> {
    let format = format(name, bytes)?;
    // These two decoders fill what a cut file lacks and report success. (The other formats' refuse.)
    let whole = match format {
        ImageFormat::Jpeg => jpeg_reaches_its_end(bytes),
        ImageFormat::WebP => webp_reaches_its_end(bytes),
        _ => true,
    };
    if !whole {
        return Err(damaged(name, format, "its end is missing"));
    }
    let refused = |error| explain(name, format, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(refuse(name, format!("has no pixels: its size is {width}x{height}; save it again")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(too_large(name, &format!("{width}x{height} pixels")));
    }
    let orientation = decoder.orientation().map_err(refused)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    limits
}

fn explain(name: &str, format: ImageFormat, error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => too_large(name, "a larger size"),
        ImageError::Unsupported(what) => refuse(
            name,
            format!("is a kind of {format:?} picture that cannot be read ({what}); convert it to 8-bit PNG"),
        ),
        other => damaged(name, format, &other.to_string()),
    }
}

fn too_large(name: &str, found: &str) -> Error {
    let megapixels = MAX_PIXELS / 1_000_000;
    let problem = format!(
        "announces {found}, expected at most {megapixels} megapixels and {MAX_SIDE} a side; reduce it first"
    );
    refuse(name, problem)
}

fn damaged(name: &str, format: ImageFormat, why: &str) -> Error {
    refuse(name, format!("is a damaged or truncated {format:?} picture ({why}); copy or download it again"))
}

/// Whether a JPEG's markers lead to its end-of-image marker. (A thumbnail's end marker lies inside a segment and is
/// passed over with it; within the compressed data 0xFF is always followed by 0 or a restart marker.)
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)) {
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match (marker, rest) {
            (END_OF_IMAGE, _) => return true,
            // Start of image, restarts and TEM stand alone.
            (0x01 | 0xD0..=0xD8, _) => {}
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(after) = rest.get(length..) else {
                    return false;
                };
                rest = after;
            }
            _ => return false,
        }
    }
    false
}

/// Whether a WebP file holds as many bytes as its RIFF header announces after itself.
fn webp_reaches_its_end(bytes: &[u8]) -> bool {
    bytes
        .split_first_chunk::<8>()
        .is_some_and(|([.., a, b, c, d], rest)| u32::from_le_bytes([*a, *b, *c, *d]) as usize <= rest.len())
}
