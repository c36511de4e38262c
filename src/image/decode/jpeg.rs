//! JPEG files. Their pixels are those of libjpeg-turbo with its standard settings, to the bit.

use image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use super::{Decoded, MAX_BYTES, Problem, check_size, orientation, require_memory};

/// Decodes a JPEG file.
///
/// # Errors
/// [`Problem`].
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Problem> {
    let frame = survey(bytes)?;
    let pixels = check_size(frame.width.into(), frame.height.into())?;
    let components = frame.sampling.len() as u64;
    // The RGB pixels, the planes, and the 16-bit coefficients of a progressive file.
    let planes = if frame.progressive { 3 } else { 1 } * components;
    require_memory((3 + planes) * pixels)?;
    let limits = DecodeLimits {
        max_width: frame.width.into(),
        max_height: frame.height.into(),
        max_memory: Some(2 * MAX_BYTES),
        ..DecodeLimits::default()
    };
    let decoder = Decoder::new_with_limits(bytes, limits).map_err(problem)?;
    let image = decoder.with_output_format(PixelFormat::Rgb).decode_image().map_err(problem)?;
    Ok(Decoded {
        height: image.height,
        width: image.width,
        orientation: image.exif_data.map_or(Orientation::NoTransforms, |exif| orientation::from_exif(&exif)),
        rgb: image.data,
    })
}

fn problem(error: JpegError) -> Problem {
    match error {
        JpegError::Unsupported(what) => Problem::Unsupported(what),
        JpegError::AllocationFailed { bytes, .. } => Problem::Memory(bytes),
        JpegError::UnexpectedEof => Problem::Damaged("compressed data is missing".to_string()),
        other => Problem::Damaged(other.to_string()),
    }
}

/// The header of a JPEG's picture.
struct Frame {
    height: u16,
    width: u16,
    progressive: bool,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<[u8; 2]>,
}

/// Walks over the markers up to the end of the image, and returns its header.
///
/// # Errors
/// [`Problem`] if the end is missing, or if the file is of a kind that the decoder does not decode
/// correctly.
fn survey(bytes: &[u8]) -> Result<Frame, Problem> {
    let cut = || Problem::Damaged("its end is missing".to_string());
    let mut rest = bytes;
    let mut frame = None;
    // Within the compressed data, 0xFF is always followed by 0 or a restart marker. The end marker
    // of a thumbnail lies inside a segment and is skipped with it.
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)) {
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match marker {
            // The end of the image.
            0xD9 => return frame.ok_or_else(|| Problem::Damaged("it has no picture".to_string())),
            // Start of image, restarts and TEM stand alone.
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let length = rest.first_chunk::<2>().map(|length| u16::from_be_bytes(*length).into());
        let (segment, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(cut)?;
        rest = after;
        let segment = segment.get(2..).unwrap_or_default();
        match (marker, &frame) {
            // Huffman tables, an extension, and the conditions of the arithmetic coder.
            (0xC4 | 0xC8 | 0xCC, _) => {}
            (0xC0..=0xCF, None) => frame = Some(Frame::read(marker, segment)?),
            (0xC0..=0xCF, Some(_)) => return Err(Problem::Unsupported("several frames".to_string())),
            (0xDA, Some(frame)) => frame.check_scan(segment)?,
            _ => {}
        }
    }
    Err(cut())
}

impl Frame {
    /// Reads the segment of a start-of-frame marker.
    fn read(marker: u8, segment: &[u8]) -> Result<Frame, Problem> {
        let unsupported = |what: String| Err(Problem::Unsupported(what));
        let progressive = match marker {
            0xC0 | 0xC1 | 0xC9 => false,
            0xC2 | 0xCA => true,
            0xC3 | 0xCB => return unsupported("lossless".to_string()),
            _ => return unsupported("hierarchical".to_string()),
        };
        let [precision, h1, h0, w1, w0, count, components @ ..] = segment else {
            return Err(Problem::Damaged("its header is too short".to_string()));
        };
        if *precision != 8 {
            return unsupported(format!("{precision} bits per level"));
        }
        let (components, _) = components.as_chunks::<3>();
        if components.len() < usize::from(*count) {
            return Err(Problem::Damaged("its header is too short".to_string()));
        }
        let sampling: Vec<[u8; 2]> = components[..usize::from(*count)]
            .iter()
            .map(|[_, factors, _]| [factors >> 4, factors & 15])
            .collect();
        if !matches!(count, 1 | 3 | 4) {
            return unsupported(format!("{count} components"));
        }
        for axis in [0, 1] {
            let factors: Vec<u8> = sampling.iter().map(|sampling| sampling[axis]).collect();
            if factors.iter().any(|factor| !(1..=4).contains(factor)) {
                return Err(Problem::Damaged("its sampling factors are not in 1 to 4".to_string()));
            }
            if factors.iter().any(|&factor| factor > factors[0] || !factors[0].is_multiple_of(factor)) {
                return unsupported(format!("colour is sampled more finely than brightness: {sampling:?}"));
            }
        }
        Ok(Frame {
            height: u16::from_be_bytes([*h1, *h0]),
            width: u16::from_be_bytes([*w1, *w0]),
            progressive,
            sampling,
        })
    }

    /// Checks the segment of a start-of-scan marker.
    fn check_scan(&self, segment: &[u8]) -> Result<(), Problem> {
        let components = self.sampling.len();
        match segment.first().map(|&count| usize::from(count)) {
            Some(count) if count == 1 || count == components || self.progressive => Ok(()),
            Some(count) => Err(Problem::Unsupported(format!("a scan of {count} of {components} components"))),
            None => Err(Problem::Damaged("the header of a scan is too short".to_string())),
        }
    }
}
