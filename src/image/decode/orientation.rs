//! The orientation of a photograph in EXIF data.

use image::metadata::Orientation;

/// The tag of the orientation in EXIF and TIFF directories.
const TAG: u16 = 0x0112;
/// Types of a tag's value: integers of 16 and of 32 bits, without and with a sign.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const SIGNED_SHORT: u16 = 8;
const SIGNED_LONG: u16 = 9;

/// Reads the orientation from EXIF data, if there is any, with or without the prefix `Exif\0\0`. Data
/// that is not valid has no orientation, as in Pillow: the pixels do not depend on it.
pub(super) fn from_exif(exif: Option<&[u8]>) -> Orientation {
    exif.and_then(stored).map_or(Orientation::NoTransforms, from_value)
}

/// Finds the EXIF data of a PNG file. It may stand before or after the pixels.
pub(super) fn exif_of_png(png: &[u8]) -> Option<&[u8]> {
    let mut chunks = png.get(8..)?;
    loop {
        let (header, rest) = chunks.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let data = rest.get(..length)?;
        if header.ends_with(b"eXIf") {
            return Some(data);
        }
        // A checksum of 4 bytes follows.
        chunks = rest.get(length.checked_add(4)?..)?;
    }
}

/// Returns the orientation of a tag's value. Values outside 1 to 8 mean that the picture is upright.
pub(super) fn from_value(value: u32) -> Orientation {
    u8::try_from(value).ok().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// The value of the orientation in the first directory.
fn stored(exif: &[u8]) -> Option<u32> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.first_chunk::<4>()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk::<2>()?;
        Some(if little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    };
    let long = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk::<4>()?;
        Some(if little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries)
        .filter_map(|i| directory.checked_add(2 + 12 * i))
        .find(|&entry| short(entry) == Some(TAG))?;
    match (short(entry + 2)?, long(entry + 4)?) {
        (SHORT | SIGNED_SHORT, 1) => short(entry + 8).map(u32::from),
        (LONG | SIGNED_LONG, 1) => long(entry + 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_not_exif_has_no_orientation() {
        let valid = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(from_exif(Some(valid)), Orientation::Rotate90);
        // Every cut before the end of the value, and every changed byte, is handled.
        for length in 0..valid.len() {
            let found = from_exif(Some(&valid[..length]));
            assert_eq!(found == Orientation::Rotate90, length >= 20, "{length}");
        }
        for at in 0..valid.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = valid.to_vec();
                changed[at] = byte;
                let _ = from_exif(Some(&changed));
            }
        }
        for value in [0, 9, 255, 256, 65542] {
            assert_eq!(from_value(value), Orientation::NoTransforms, "{value}");
        }
    }
}
