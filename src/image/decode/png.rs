//! Data about the picture in PNG files. The crate `image` decodes the pixels.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

/// Largest size in bytes of a text after unpacking, as in Pillow.
const MAX_TEXT: u64 = 1 << 20;

/// The EXIF and XMP data of a PNG file.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    pub(super) exif: Option<Cow<'a, [u8]>>,
    pub(super) xmp: Option<Cow<'a, [u8]>>,
}

/// Finds the EXIF and XMP data. They may stand before or after the pixels, and ImageMagick writes EXIF
/// data as a text.
pub(super) fn metadata(png: &[u8]) -> Metadata<'_> {
    let (mut found, mut raw_exif) = (Metadata::default(), None);
    let mut chunks = png.get(8..).unwrap_or_default();
    while let Some((header, rest)) = chunks.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some((data, after)) = rest.split_at_checked(length) else { break };
        let kind = &header[4..];
        if kind == b"eXIf" {
            found.exif = Some(data.into());
        } else if let Some(text) = text(kind, data, b"XML:com.adobe.xmp\0") {
            found.xmp = Some(text);
        } else if let Some(text) = text(kind, data, b"Raw profile type exif\0") {
            raw_exif = raw_profile(&text);
        }
        // A checksum of 4 bytes follows.
        chunks = after.get(4..).unwrap_or_default();
    }
    found.exif = found.exif.or(raw_exif.map(Cow::Owned));
    found
}

/// The text of a chunk if it has this keyword.
fn text<'a>(kind: &[u8], chunk: &'a [u8], keyword: &[u8]) -> Option<Cow<'a, [u8]>> {
    let rest = chunk.strip_prefix(keyword)?;
    match kind {
        b"tEXt" => Some(rest.into()),
        b"zTXt" => unpacked(rest.strip_prefix(b"\0")?),
        b"iTXt" => {
            let (&[is_packed, method], rest) = rest.split_first_chunk()?;
            // The language, and the keyword in it.
            let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
            match (is_packed, method) {
                (0, _) => Some(text.into()),
                (_, 0) => unpacked(text),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unpacked(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_TEXT + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MAX_TEXT).then(|| text.into())
}

/// The bytes of a profile as text: an empty line, its name, its length, and hexadecimal digits in
/// lines.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.splitn(4, |byte| *byte == b'\n').nth(3)?;
    let digits: Vec<u8> = digits.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    pairs
        .iter()
        .filter(|_| rest.is_empty())
        .map(|&[high, low]| Some(value(high)? << 4 | value(low)?))
        .collect()
}
