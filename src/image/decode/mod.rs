//! Decoding of picture files to upright 8-bit RGB (`docs/01-pixel-to-tensor.md`), with the feature
//! `image`.
//!
//! `signature.rs` recognises formats, `jpeg.rs` and `tiff.rs` decode two of them, and the crate
//! `image` decodes the others; `png.rs` and `gif.rs` read what it does not tell. All limits on the
//! memory that a hostile file can request are here.

#[cfg(feature = "all-formats")]
mod gif;
mod jpeg;
mod orientation;
mod png;
mod signature;
#[cfg(feature = "all-formats")]
mod tiff;

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::iter;
use std::panic;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use self::signature::{FORMATS, HEAD, recognise, title};
use super::{Photograph, Picture, Resize};
use crate::error::{Error, Result};
use crate::memory;

/// Largest number of pixels that is accepted. It bounds the memory that a small file can request,
/// and is twice that of the largest cameras.
const MAX_PIXELS: u64 = 100_000_000;
/// Longest side that is accepted, in pixels; the limit of JPEG and GIF.
const MAX_SIDE: u32 = 65_535;
/// Largest size in bytes of a file and of a decoded picture: [`MAX_PIXELS`] with four 16-bit
/// channels.
const MAX_BYTES: u64 = 8 * MAX_PIXELS;
/// Largest size in bytes of a colour profile, EXIF data and texts after unpacking; programs write
/// far less.
const MAX_BYTES_BEFORE_PIXELS: u64 = 1 << 26;

/// The reason why a picture cannot be decoded.
enum Problem {
    /// Data is missing or contradictory.
    Damaged(String),
    /// The file is valid, but of a kind that is not decoded.
    Unsupported(String),
    /// The picture is larger than the limits.
    TooLarge { width: u32, height: u32 },
    /// Memory is not available; how much is needed.
    Memory(String),
}

/// A decoded picture as it is stored.
struct Decoded {
    height: usize,
    width: usize,
    /// The pixels, `[height][width][3]`.
    rgb: Vec<u8>,
    orientation: Orientation,
}

impl Photograph {
    /// Decodes a PNG or JPEG file, and with the feature `all-formats` also a WebP, BMP, GIF or TIFF
    /// file. The content of the file determines the format, not its name.
    ///
    /// - The pixels of a JPEG are those of libjpeg-turbo with its standard settings, to the bit, and
    ///   so those of Pillow.
    /// - The picture is turned upright by the orientation in its EXIF data (in PNG files also in the text
    ///   of ImageMagick), TIFF tags or else XMP data, as by PIL's `exif_transpose`.
    /// - Transparency is dropped, not blended: a pixel keeps its own colour, as PIL's
    ///   `convert("RGB")` does. (A TIFF file may store colours multiplied by their opacity; they are
    ///   divided by it.)
    /// - 16-bit levels are divided by 257 and rounded (65535 becomes 255), as MATLAB's `im2uint8`
    ///   does. Floating-point levels are multiplied by 255 and rounded.
    /// - Grey becomes three equal channels, palettes are looked up, CMYK is converted by
    ///   multiplication. Colour profiles are ignored.
    /// - The first picture of an animation or of a TIFF file is used. If it is smaller than the canvas of
    ///   a GIF file, it is surrounded by the transparent colour, else by the first of its palette, as in
    ///   PIL.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Image`] if it
    /// - is a directory, or not in one of these formats; the message names many others (HEIC, raw
    ///   photographs, web pages);
    /// - is damaged or truncated; pixels are never filled in;
    /// - is of a kind that is not decoded, among them: JPEG with 12 bits per level, lossless, with
    ///   colour finer than brightness, with inks (CMYK) of different resolutions, with a scan of two of
    ///   three components, or progressive without its last bits; TIFF with JPEG, ZSTD or Fax3
    ///   compression, YCbCr or Lab colour, bits in reverse order, 32-bit integers, floating-point levels
    ///   outside 0..=1, tiles of one channel each, or only a preview;
    /// - has no pixels, more than 100 megapixels or a side above 65535;
    /// - needs memory that is not available. Sizes are checked before memory for pixels is allocated.
    ///
    /// A panic of a format's decoder is caught and becomes an error, unless the program is built with
    /// `panic = "abort"`.
    ///
    /// # Memory
    /// The file, the decoded picture and its 8-bit copy are in memory at the same time. A picture
    /// of 100 megapixels takes 0.3 GB (PNG), 0.45 GB (JPEG), 0.6 GB (any of them if it is turned by
    /// 90 degrees), up to 1.2 GB (progressive JPEG with full colour) or 1.1 GB (PNG of 16 bits with
    /// transparency), and no file takes more than 2 GB. Colour profiles and texts take at most 64 MB.
    pub fn open(path: impl AsRef<Path>) -> Result<Photograph> {
        let path = path.as_ref();
        Photograph::from_bytes(&path.display().to_string(), &Photograph::read(path)?)
    }

    /// Decodes the bytes of a file as [`Photograph::open`] does; `name` is used in error messages
    /// only.
    ///
    /// # Errors
    /// [`Error::Image`] as for [`Photograph::open`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Photograph> {
        let format = recognise(name, bytes)?;
        // Decoders of other crates may panic for an unusual file.
        let decoded = panic::catch_unwind(|| decode(format, bytes));
        let decoded = decoded.unwrap_or_else(|_| Err(Problem::Damaged("its decoder failed".to_string())));
        decoded.and_then(upright).map_err(|problem| problem.explain(name, format))
    }

    /// Reads the bytes of a picture file, for [`Photograph::from_bytes`] and for other uses such as
    /// a checksum. The file is read once from start to end, so it may be a pipe. Files that do not
    /// begin as a picture (`/dev/zero`, a film) are refused after 512 bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Image`] if it is a directory, does not
    /// begin as one of the formats of [`Photograph::open`], or is larger than 800 MB.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let name = &*path.display().to_string();
        let io = |error| Error::io(path, "read")(error);
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(Error::image(
                name,
                format!("is a directory, expected {FORMATS}; name one file in it"),
            ));
        }
        read_picture(name, file, metadata.len())
    }

    /// Checks the size of a file in bytes, for a program that knows it before it receives the file; `name`
    /// is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Image`] if it is larger than 800 MB.
    pub fn check_file_size(name: &str, bytes: u64) -> Result<()> {
        if bytes <= MAX_BYTES {
            return Ok(());
        }
        Err(Error::image(name, format!("is larger than {MAX_BYTES} bytes; save a smaller picture")))
    }

    /// Reads the bytes of a picture as [`Photograph::read`] does, from standard input or another
    /// source; `name` is used in error messages only.
    ///
    /// # Errors
    /// As [`Photograph::read`].
    pub fn read_from(name: &str, source: impl Read) -> Result<Vec<u8>> {
        read_picture(name, source, 0)
    }
}

/// Reads a picture from a source that announces its length in bytes, or 0.
fn read_picture(name: &str, mut source: impl Read, announced: u64) -> Result<Vec<u8>> {
    let io = |error| Error::io(name, "read")(error);
    let mut bytes = Vec::new();
    source.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(io)?;
    recognise(name, &bytes)?;
    Photograph::check_file_size(name, announced)?;
    source.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Photograph::check_file_size(name, bytes.len() as u64)?;
    Ok(bytes)
}

impl Picture {
    /// Decodes a file as [`Photograph::open`] does and resizes it to 224x224 pixels: antialiased
    /// bicubic, as PIL's `BICUBIC`.
    ///
    /// # Errors
    /// As for [`Photograph::open`].
    pub fn open(path: impl AsRef<Path>, resize: Resize) -> Result<Picture> {
        Ok(Photograph::open(path)?.picture(resize))
    }
}

/// Decodes a file. The size in its header is checked before memory for pixels is allocated.
fn decode(format: ImageFormat, bytes: &[u8]) -> std::result::Result<Decoded, Problem> {
    match format {
        ImageFormat::Jpeg => jpeg::decode(bytes),
        #[cfg(feature = "all-formats")]
        ImageFormat::Tiff => tiff::decode(bytes),
        #[cfg(feature = "all-formats")]
        ImageFormat::Gif => gif::decode(bytes),
        ImageFormat::WebP => {
            let cut = || Problem::Damaged("its end is missing".to_string());
            decode_with_image(format, whole_webp(bytes).ok_or_else(cut)?)
        }
        _ => decode_with_image(format, bytes),
    }
}

/// Decodes a file with the crate `image`.
fn decode_with_image(format: ImageFormat, bytes: &[u8]) -> std::result::Result<Decoded, Problem> {
    if let Some([width, height]) = size_in_header(format, bytes) {
        check_size(width, height)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Data before the pixels, such as the colour profile of a PNG, is unpacked at once.
    reader.limits(limits(MAX_BYTES_BEFORE_PIXELS));
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = check_size(width, height)?;
    if decoder.total_bytes() > MAX_BYTES {
        return Err(Problem::TooLarge { width, height });
    }
    // The decoder's own copy of the pixels, the decoded pixels and the RGB pixels.
    require_memory(2 * decoder.total_bytes() + 3 * pixels)?;
    let orientation = match format {
        // The decoder does not know yet what stands after the pixels.
        ImageFormat::Png => {
            let png::Metadata { exif, xmp } = png::metadata(bytes);
            orientation::stored_in(exif.as_deref(), xmp.as_deref())
        }
        ImageFormat::WebP => {
            let exif = decoder.exif_metadata()?;
            orientation::stored_in(exif.as_deref(), decoder.xmp_metadata()?.as_deref())
        }
        _ => Orientation::NoTransforms,
    };
    decoder.set_limits(limits(MAX_BYTES))?;
    let rgb = DynamicImage::from_decoder(decoder)?.into_rgb8().into_raw();
    Ok(Decoded { height: height as usize, width: width as usize, orientation, rgb })
}

/// The size in the header of a PNG or BMP file, whose decoders do not tell it if it is too large.
fn size_in_header(format: ImageFormat, bytes: &[u8]) -> Option<[u32; 2]> {
    let word = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
    match format {
        ImageFormat::Png => Some([u32::from_be_bytes(word(16)?), u32::from_be_bytes(word(20)?)]),
        // The oldest header has 12 bytes, and 16 bits for a side. A negative height turns the rows round.
        ImageFormat::Bmp if word(14)? != [12, 0, 0, 0] => {
            Some([word(18)?, word(22)?].map(|side| i32::from_le_bytes(side).unsigned_abs()))
        }
        _ => None,
    }
}

/// Turns a picture upright.
fn upright(decoded: Decoded) -> std::result::Result<Photograph, Problem> {
    let Decoded { height, width, rgb, orientation } = decoded;
    if orientation == Orientation::NoTransforms {
        return Ok(Photograph { height, width, rgb });
    }
    require_memory(rgb.len() as u64)?;
    let image = RgbImage::from_raw(width as u32, height as u32, rgb).expect("3 bytes per pixel");
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    Ok(Photograph { height: image.height() as usize, width: image.width() as usize, rgb: image.into_raw() })
}

/// Checks a picture's size in pixels and returns the number of pixels.
fn check_size(width: u32, height: u32) -> std::result::Result<u64, Problem> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Problem::Damaged(format!("it has no pixels: its size is {width}x{height}")));
    }
    if pixels > MAX_PIXELS || width.max(height) > MAX_SIDE {
        return Err(Problem::TooLarge { width, height });
    }
    Ok(pixels)
}

/// Allocates room for `bytes` bytes.
fn reserved(bytes: u64) -> std::result::Result<Vec<u8>, Problem> {
    memory::room(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(Problem::Memory)
}

/// Checks that a decoder can allocate this many bytes. Its own allocations would end the program if
/// they failed.
fn require_memory(bytes: u64) -> std::result::Result<(), Problem> {
    reserved(bytes).map(drop)
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(bytes);
    limits
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Problem {
        match error {
            ImageError::Limits(_) => {
                Problem::Unsupported("a colour profile or texts of more than 64 MB".to_string())
            }
            ImageError::Unsupported(what) => Problem::Unsupported(what.to_string()),
            // Its cause would be that of the system's error.
            ImageError::IoError(error) => Problem::found_by_decoder(&error),
            other => Problem::found_by_decoder(&other),
        }
    }
}

impl Problem {
    /// The problem that the decoder of another crate has found, in its words. Values in the notation of
    /// Rust are left out.
    fn found_by_decoder(error: &(dyn std::error::Error + 'static)) -> Problem {
        let causes = iter::successors(Some(error), |error| error.source());
        let cause = causes.last().unwrap_or(error);
        let is_cut = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        if cause.downcast_ref().is_some_and(is_cut) {
            return Problem::Damaged("its end is missing".to_string());
        }
        let text = cause.to_string();
        // "CRC error: expected 0x12 have 0x34 while decoding ChunkType { type: IDAT, .. }"
        let words = match text.find(['{', '[']) {
            Some(value) => text[..value].rsplit_once(':').map_or("", |(words, _)| words),
            None => &text,
        };
        // "Corrupt deflate stream. DistanceTooFarBack"
        let sentence = words.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let sentence = if sentence.is_empty() { "its data is contradictory" } else { sentence };
        Problem::Damaged(sentence.to_string())
    }

    fn explain(self, name: &str, format: ImageFormat) -> Error {
        let title = title(format);
        Error::image(
            name,
            match self {
                Problem::Damaged(why) => {
                    format!("is a damaged or truncated {title} picture ({why}); copy or download it again")
                }
                Problem::Unsupported(what) => format!(
                    "is a {title} picture of an unsupported kind ({what}); save it again as an 8-bit RGB picture in PNG or JPEG format"
                ),
                Problem::TooLarge { width, height } => {
                    let megapixels = MAX_PIXELS / 1_000_000;
                    format!(
                        "announces {width}x{height} pixels, expected at most {megapixels} megapixels and {MAX_SIDE} a side; reduce it first"
                    )
                }
                Problem::Memory(problem) => format!("{problem}, or reduce the picture"),
            },
        )
    }
}

/// Returns the bytes of a WebP file up to the end that its RIFF header announces, if the file and
/// each of its chunks have as many bytes as announced. (The decoder allocates the size that a chunk
/// of EXIF data or of a colour profile announces.)
fn whole_webp(bytes: &[u8]) -> Option<&[u8]> {
    let announced =
        |header: &[u8; 8]| u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let (riff, rest) = bytes.split_first_chunk()?;
    let mut chunks = rest.get(..announced(riff))?.strip_prefix(b"WEBP")?;
    while let Some((header, rest)) = chunks.split_first_chunk() {
        let after = rest.get(announced(header)..)?;
        // Chunks begin at even offsets.
        chunks = after.get(announced(header) % 2..).unwrap_or_default();
    }
    bytes.get(..8 + announced(riff))
}
