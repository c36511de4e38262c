//! The orientation of a photograph in EXIF and XMP data.

use image::metadata::Orientation;

/// The tag of the orientation in EXIF and TIFF directories.
const TAG: u16 = 0x0112;
/// Types of a tag's value: integers of 16 and of 32 bits, without and with a sign.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const SIGNED_SHORT: u16 = 8;
const SIGNED_LONG: u16 = 9;

/// Reads the orientation from EXIF data, with or without the prefix `Exif\0\0`, and if they have none,
/// from XMP data, as Pillow does. Data that is not valid has no orientation: the pixels do not depend
/// on it.
pub(super) fn stored_in(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    from_value(exif.and_then(in_exif).or_else(|| xmp.and_then(in_xmp)).unwrap_or(1))
}

/// Returns the orientation of a tag's value. Values outside 1 to 8 mean that the picture is upright.
pub(super) fn from_value(value: u32) -> Orientation {
    u8::try_from(value).ok().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// The value of `tiff:Orientation`, an element or an attribute.
pub(super) fn in_xmp(xmp: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    let places = xmp.windows(NAME.len()).zip(NAME.len()..).filter(|(text, _)| *text == NAME);
    places.map(|(_, end)| &xmp[end..]).find_map(|rest| {
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        value.first().filter(|digit| digit.is_ascii_digit()).map(|digit| u32::from(digit - b'0'))
    })
}

/// The value of the orientation in the first directory.
fn in_exif(exif: &[u8]) -> Option<u32> {
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
        let from_exif = |exif: &[u8]| stored_in(Some(exif), None);
        let valid = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(from_exif(valid), Orientation::Rotate90);
        // Every cut before the end of the value, and every changed byte, is handled.
        for length in 0..valid.len() {
            let found = from_exif(&valid[..length]);
            assert_eq!(found == Orientation::Rotate90, length >= 20, "{length}");
        }
        for at in 0..valid.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = valid.to_vec();
                changed[at] = byte;
                let _ = from_exif(&changed);
            }
        }
        for value in [0, 9, 255, 256, 65542] {
            assert_eq!(from_value(value), Orientation::NoTransforms, "{value}");
        }
    }

    /// The cases of Pillow's regular expression `tiff:Orientation(="|>)([0-9])`.
    #[test]
    fn the_first_orientation_of_xmp_counts() {
        for (xmp, value) in [
            (&b"<x tiff:Orientation=\"6\"/>"[..], Some(6)),
            (b"<tiff:Orientation>8</tiff:Orientation>", Some(8)),
            (b"tiff:Orientation='6' tiff:Orientation=\"3\"", Some(3)),
            (b"tiff:Orientation>12<", Some(1)),
            (b"tiff:Orientation=\"", None),
            (b"tiff:Orientation", None),
            (b"exif:Orientation=\"6\"", None),
            (b"", None),
        ] {
            assert_eq!(in_xmp(xmp), value, "{}", String::from_utf8_lossy(xmp));
        }
    }
}
