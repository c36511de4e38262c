//! Recognises the format of a file by its first bytes.

use image::ImageFormat;

use crate::error::{Error, Result};

/// Number of bytes at the beginning of a file in which every format has its signature.
pub(super) const HEAD: usize = 512;
/// Number of bytes that messages about unknown files show.
const SHOWN: usize = 16;

#[cfg(feature = "all-formats")]
pub(super) const FORMATS: &str = "a PNG, JPEG, WebP, BMP, GIF or TIFF picture";
#[cfg(not(feature = "all-formats"))]
pub(super) const FORMATS: &str = "a PNG or JPEG picture";

/// Signatures of the formats that this crate can decode: offset, bytes, format.
const PICTURES: [(usize, &[u8], ImageFormat); 10] = [
    (0, b"\x89PNG\r\n\x1a\n", ImageFormat::Png),
    (0, b"\xff\xd8\xff", ImageFormat::Jpeg),
    (8, b"WEBP", ImageFormat::WebP),
    (0, b"BM", ImageFormat::Bmp),
    (0, b"GIF87a", ImageFormat::Gif),
    (0, b"GIF89a", ImageFormat::Gif),
    (0, b"II*\0", ImageFormat::Tiff),
    (0, b"MM\0*", ImageFormat::Tiff),
    // BigTIFF, with 64-bit offsets.
    (0, b"II+\0", ImageFormat::Tiff),
    (0, b"MM\0+", ImageFormat::Tiff),
];

const CONVERT: &str = "convert it to PNG or JPEG, for example with ImageMagick: magick FILE FILE.png";
const DEVELOP: &str = "export a JPEG or TIFF from a program for raw photographs";
const FRAME: &str = "save one frame as PNG or JPEG";
const UNPACK: &str = "unpack it";

/// Signatures of files that are often given in place of a picture: offset, bytes, name, remedy.
/// They come before [`PICTURES`], because some raw photographs have the signature of TIFF.
const OTHERS: [(usize, &[u8], &str, &str); 51] = [
    (4, b"ftyphei", "an HEIC picture, the format of iPhones", CONVERT),
    (4, b"ftyphev", "an HEIC picture, the format of iPhones", CONVERT),
    (4, b"ftypmif1", "an HEIF picture (HEIC or AVIF)", CONVERT),
    (4, b"ftypmsf1", "an HEIF picture (HEIC or AVIF)", CONVERT),
    (4, b"ftypavi", "an AVIF picture", CONVERT),
    (4, b"ftypcrx", "a raw photograph (Canon CR3)", DEVELOP),
    (4, b"ftyp", "a film (MP4 or QuickTime)", FRAME),
    (4, b"moov", "a film (QuickTime)", FRAME),
    (4, b"mdat", "a film (QuickTime)", FRAME),
    (8, b"AVI ", "a film (AVI)", FRAME),
    (0, b"\x1a\x45\xdf\xa3", "a film (Matroska or WebM)", FRAME),
    (0, b"\xff\x0a", "a JPEG XL picture", CONVERT),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", CONVERT),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture", CONVERT),
    (0, b"II\xbc\x01", "a JPEG XR picture", CONVERT),
    (0, b"8BPS", "a Photoshop document (PSD)", "export it as PNG"),
    (0, b"gimp xcf", "a GIMP document (XCF)", "export it as PNG"),
    (12, b"CgBI", "a PNG picture in the form of iOS programs (CgBI)", CONVERT),
    (8, b"CR\x02", "a raw photograph (Canon CR2)", DEVELOP),
    (0, b"IIRO", "a raw photograph (Olympus)", DEVELOP),
    (0, b"IIRS", "a raw photograph (Olympus)", DEVELOP),
    (0, b"MMOR", "a raw photograph (Olympus)", DEVELOP),
    (0, b"IIU\0", "a raw photograph (Panasonic)", DEVELOP),
    (0, b"FUJIFILMCCD-RAW", "a raw photograph (Fujifilm)", DEVELOP),
    (0, b"FOVb", "a raw photograph (Sigma)", DEVELOP),
    (128, b"DICM", "a DICOM file", "export the picture as PNG from a DICOM viewer"),
    (0, b"SIMPLE  =", "a FITS file", "export the picture as PNG"),
    (0, b"%PDF", "a PDF document", "export the page as PNG, for example with: pdftoppm -png FILE PAGE"),
    (0, b"%!PS", "a PostScript document", "export the page as PNG"),
    (0, b"v/1\x01", "an OpenEXR picture", CONVERT),
    (0, b"#?RADIANCE", "a Radiance HDR picture", CONVERT),
    (0, b"DDS ", "a DDS texture", CONVERT),
    (0, b"qoif", "a QOI picture", CONVERT),
    (0, b"farbfeld", "a farbfeld picture", CONVERT),
    (0, b"\0\0\x01\0", "an icon (ICO)", CONVERT),
    (0, b"P1", "a Netpbm picture", CONVERT),
    (0, b"P2", "a Netpbm picture", CONVERT),
    (0, b"P3", "a Netpbm picture", CONVERT),
    (0, b"P4", "a Netpbm picture", CONVERT),
    (0, b"P5", "a Netpbm picture", CONVERT),
    (0, b"P6", "a Netpbm picture", CONVERT),
    (0, b"P7", "a Netpbm picture", CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive, or a document in one", UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\x93NUMPY", "a NumPy array", "save it as a PNG picture"),
    (0, b"\x89HDF", "an HDF5 file", "save the picture as PNG"),
    (0, b"\0\x05\x16\x07", "a macOS companion file", "name the file without the leading \"._\""),
    (0, b"\xd0\xcf\x11\xe0", "a document of Microsoft Office", "save the picture in it as a file"),
];

/// Beginnings of text files, without regard to upper and lower case: bytes, name, remedy.
const TEXTS: [(&str, &str, &str); 6] = [
    ("version https://git-lfs", "a Git LFS pointer, not the picture it stands for", "run: git lfs pull"),
    ("<!doctype html", "a web page", "download the picture itself"),
    ("<html", "a web page", "download the picture itself"),
    ("<head", "a web page", "download the picture itself"),
    ("<svg", "an SVG drawing", "export it as PNG"),
    ("<?xml", "an XML document", "name a photograph"),
];

/// Recognises a picture that this crate can decode.
///
/// # Errors
/// [`Error::Image`] if the file is empty, or is something else. The message says what the file is,
/// if that is known, and what to do.
pub(super) fn recognise(name: &str, bytes: &[u8]) -> Result<ImageFormat> {
    let begins =
        |&(at, signature): &(usize, &[u8])| bytes.get(at..).is_some_and(|b| b.starts_with(signature));
    let refuse = |problem: String| Err(Error::image(name, problem));
    if bytes.is_empty() {
        return refuse(format!("is empty (0 bytes), expected {FORMATS}; copy or download it again"));
    }
    if let Some((.., what, remedy)) = OTHERS.iter().find(|(at, signature, ..)| begins(&(*at, signature))) {
        return refuse(format!("is {what}, expected {FORMATS}; {remedy}"));
    }
    if let Some((.., format)) = PICTURES.iter().find(|(at, signature, _)| begins(&(*at, signature))) {
        if *format == ImageFormat::Png || *format == ImageFormat::Jpeg || cfg!(feature = "all-formats") {
            return Ok(*format);
        }
        return refuse(format!("is a {} picture, expected {FORMATS}; {CONVERT}", title(*format)));
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    if let Some((_, what, remedy)) = TEXTS.iter().find(|(begin, ..)| text.starts_with(begin)) {
        // An SVG drawing often begins with an XML declaration and comments.
        let drawing = TEXTS.iter().find(|(begin, ..)| *begin == "<svg" && text.contains(begin));
        let (what, remedy) = drawing.map_or((what, remedy), |(_, what, remedy)| (what, remedy));
        return refuse(format!("is {what}, expected {FORMATS}; {remedy}"));
    }
    let found = head[..head.len().min(SHOWN)].escape_ascii();
    refuse(format!("is not a picture: expected {FORMATS}, found a file that begins \"{found}\""))
}

/// The name of a format in messages.
pub(super) fn title(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Tiff => "TIFF",
        _ => "WebP",
    }
}
