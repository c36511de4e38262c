//! Decoding of picture files to upright 8-bit RGB (`docs/01-pixel-to-tensor.md`), with the feature
//! `image`.
//!
//! All knowledge of picture formats is here, and all limits on the memory that a hostile file can
//! request.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::LimitErrorKind;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{Photograph, Picture, Resize};
use crate::error::{Error, Result};

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
/// Number of bytes at the beginning of a file in which every format has its signature.
const SIGNATURE_BYTES: usize = 16;
#[cfg(feature = "all-formats")]
const FORMATS: &str = "a PNG, JPEG, WebP, BMP, GIF or TIFF picture";
#[cfg(not(feature = "all-formats"))]
const FORMATS: &str = "a PNG or JPEG picture";

impl Photograph {
    /// Decodes a PNG or JPEG file, and with the feature `all-formats` also a WebP, BMP, GIF or TIFF
    /// file. The content of the file determines the format, not its name.
    ///
    /// - The picture is turned upright by its EXIF or TIFF orientation.
    /// - Transparency is dropped, not blended: a pixel keeps its stored colour, as PIL's
    ///   `convert("RGB")` does.
    /// - 16-bit levels are divided by 257 and rounded (65535 becomes 255), as MATLAB's `im2uint8`
    ///   does. Floating-point levels are first clipped to 0..=1.
    /// - Grey becomes three equal channels, palettes are looked up, CMYK is converted by
    ///   multiplication. Colour profiles are ignored.
    /// - The first picture of an animation is used.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Image`] if it is a directory, is not in
    /// one of these formats, is damaged or truncated, or has no pixels, more than 100 megapixels or
    /// a side above 65535. Sizes are checked before memory for pixels is allocated.
    ///
    /// # Memory
    /// The file, the decoded picture and its 8-bit copy are in memory at the same time. A picture
    /// of 100 megapixels takes 0.3 GB (JPEG, PNG), 0.7 GB (progressive JPEG) or 1.1 GB (PNG of 16
    /// bits with transparency), and no file takes more than 2 GB. Colour profiles and texts take at
    /// most 64 MB.
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
        let image = decode(name, bytes)?.into_rgb8();
        Ok(Photograph {
            height: image.height() as usize,
            width: image.width() as usize,
            rgb: image.into_raw(),
        })
    }

    /// Reads the bytes of a picture file, for [`Photograph::from_bytes`] and for other uses such as
    /// a checksum. The file is read once from start to end, so it may be a pipe. Files that do not
    /// begin as a picture (`/dev/zero`, a film) are refused after 16 bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Image`] if it is a directory, does not
    /// begin as one of the formats of [`Photograph::open`], or is larger than 800 MB.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let name = &*path.display().to_string();
        let io = |error| Error::io(path, "read")(error);
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(Error::image(
                name,
                format!("is a directory, expected {FORMATS}; name one file in it"),
            ));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(SIGNATURE_BYTES as u64).read_to_end(&mut bytes).map_err(io)?;
        format(name, &bytes)?;
        if metadata.len() <= MAX_BYTES {
            file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
        }
        if metadata.len().max(bytes.len() as u64) > MAX_BYTES {
            return Err(Error::image(
                name,
                format!("is larger than {MAX_BYTES} bytes; save a smaller picture"),
            ));
        }
        Ok(bytes)
    }
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

/// Recognises the format by the first bytes of a file.
fn format(name: &str, bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(Error::image(
            name,
            format!("is empty (0 bytes), expected {FORMATS}; copy or download it again"),
        ));
    }
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => {
            Err(Error::image(name, format!("is in {format:?} format, expected {FORMATS}; convert it to PNG")))
        }
        Err(_) => {
            let shown = bytes.len().min(SIGNATURE_BYTES);
            let found = bytes[..shown].escape_ascii();
            Err(Error::image(
                name,
                format!("is not a picture: expected {FORMATS}, found a file that begins \"{found}\""),
            ))
        }
    }
}

/// Decodes a file and turns the picture upright. The size in the header is checked before any pixel
/// is decoded.
fn decode(name: &str, bytes: &[u8]) -> Result<DynamicImage> {
    let format = format(name, bytes)?;
    // The JPEG and WebP decoders fill in what a truncated file lacks and report success; those of
    // the other formats fail.
    let whole = match format {
        ImageFormat::Jpeg => jpeg_reaches_its_end(bytes).then_some(bytes),
        ImageFormat::WebP => whole_webp(bytes),
        _ => Some(bytes),
    };
    let Some(bytes) = whole else {
        return Err(damaged(name, format, "its end is missing"));
    };
    let refused = |error| explain(name, format, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Data before the pixels, such as the colour profile of a PNG, is unpacked at once.
    reader.limits(limits(MAX_BYTES_BEFORE_PIXELS));
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::image(
            name,
            format!("has no pixels: its size is {width}x{height}; save it again"),
        ));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(too_large(name, &format!("{width}x{height} pixels")));
    }
    let orientation = decoder.orientation().map_err(refused)?;
    decoder.set_limits(limits(MAX_BYTES)).map_err(refused)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(bytes);
    limits
}

fn explain(name: &str, format: ImageFormat, error: ImageError) -> Error {
    match error {
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => Error::image(
            name,
            "has a colour profile or texts of more than 64 MB; save it without them".to_string(),
        ),
        ImageError::Limits(_) => too_large(name, "a larger size"),
        ImageError::Unsupported(what) => Error::image(
            name,
            format!("is a {format:?} picture of an unsupported kind ({what}); convert it to 8-bit PNG"),
        ),
        other => damaged(name, format, &other.to_string()),
    }
}

fn too_large(name: &str, found: &str) -> Error {
    let megapixels = MAX_PIXELS / 1_000_000;
    let problem = format!(
        "announces {found}, expected at most {megapixels} megapixels and {MAX_SIDE} a side; reduce it first"
    );
    Error::image(name, problem)
}

fn damaged(name: &str, format: ImageFormat, why: &str) -> Error {
    Error::image(
        name,
        format!("is a damaged or truncated {format:?} picture ({why}); copy or download it again"),
    )
}

/// True if the markers of a JPEG lead to its end-of-image marker. The end marker of a thumbnail
/// lies inside a segment and is skipped with it. Within the compressed data, 0xFF is always
/// followed by 0 or a restart marker.
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
