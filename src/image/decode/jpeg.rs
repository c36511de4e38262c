//! JPEG files. Their pixels are those of libjpeg-turbo with its standard settings, to the bit.

use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use crate::memory;

use super::{Decoded, MAX_BYTES, Problem, check_size, orientation, require_memory};

/// Decodes a JPEG file.
///
/// # Errors
/// [`Problem`].
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Problem> {
    let frame = survey(bytes)?;
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let components = frame.components.len() as u64;
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
        orientation: orientation::stored_in(image.exif_data.as_deref(), image.xmp_data.as_deref()),
        rgb: image.data,
    })
}

fn problem(error: JpegError) -> Problem {
    match error {
        JpegError::Unsupported(what) => Problem::Unsupported(what),
        JpegError::AllocationFailed { bytes, .. } => Problem::Memory(memory::missing(bytes as usize)),
        JpegError::UnexpectedEof => Problem::Damaged("compressed data is missing".to_string()),
        other => Problem::found_by_decoder(&other),
    }
}

/// The header of a JPEG's picture, and what the scans so far contained.
struct Frame {
    height: u16,
    width: u16,
    progressive: bool,
    components: Vec<Component>,
    /// Number of the next restart marker of the scan.
    restart: u8,
}

struct Component {
    number: u8,
    /// Number of low bits of each coefficient that no scan contained so far, or [`UNSEEN`].
    missing_bits: [u8; 64],
}

/// No scan contained any bit. The largest number of bits in a scan's header is 15.
const UNSEEN: u8 = u8::MAX;

/// Walks over the markers up to the end of the image, and returns its header.
///
/// # Errors
/// [`Problem`] if the end or a scan is missing, or if the file is of a kind that the decoder does
/// not decode correctly.
fn survey(bytes: &[u8]) -> Result<Frame, Problem> {
    let cut = || Problem::Damaged("its end is missing".to_string());
    let mut rest = bytes;
    let mut frame: Option<Frame> = None;
    // Within the compressed data, 0xFF is always followed by 0 or a restart marker. The end marker
    // of a thumbnail lies inside a segment and is skipped with it.
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)) {
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        // These markers stand alone: the end of the image, restarts, its start, and TEM.
        match marker {
            0xD9 => {
                let frame = frame.ok_or_else(|| Problem::Damaged("it has no picture".to_string()))?;
                return frame.check_end();
            }
            0xD0..=0xD7 => {
                frame.as_mut().map_or(Ok(()), |frame| frame.check_restart(marker))?;
                continue;
            }
            0x01 | 0xD8 => continue,
            _ => {}
        }
        let length = rest.first_chunk::<2>().map(|length| u16::from_be_bytes(*length).into());
        let (segment, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(cut)?;
        rest = after;
        let segment = segment.get(2..).unwrap_or_default();
        match (marker, &mut frame) {
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
        let components = &components[..usize::from(*count)];
        let [height, width] = [[*h1, *h0], [*w1, *w0]].map(u16::from_be_bytes);
        check_size(width.into(), height.into())?;
        if !matches!(count, 1 | 3 | 4) {
            return unsupported(format!("{count} components"));
        }
        let sampling: Vec<[u8; 2]> =
            components.iter().map(|[_, factors, _]| [factors >> 4, factors & 15]).collect();
        for axis in [0, 1] {
            let factors: Vec<u8> = sampling.iter().map(|sampling| sampling[axis]).collect();
            if factors.iter().any(|factor| !(1..=4).contains(factor)) {
                return Err(Problem::Damaged("its sampling factors are not in 1 to 4".to_string()));
            }
            if factors.iter().any(|&factor| factor > factors[0] || !factors[0].is_multiple_of(factor)) {
                return unsupported(format!(
                    "colour is not sampled at a whole fraction of brightness: {sampling:?}"
                ));
            }
            // The decoder interpolates at the edges with blocks outside of the picture, or panics.
            if *count == 4 && factors.iter().any(|&factor| factor != factors[0]) {
                return unsupported(format!("inks are sampled differently: {sampling:?}"));
            }
        }
        let component = |&[number, _, _]: &[u8; 3]| Component { number, missing_bits: [UNSEEN; 64] };
        Ok(Frame {
            height,
            width,
            progressive,
            components: components.iter().map(component).collect(),
            restart: 0,
        })
    }

    /// Checks the segment of a start-of-scan marker.
    fn check_scan(&mut self, segment: &[u8]) -> Result<(), Problem> {
        self.restart = 0;
        let all = self.components.len();
        let Some((numbers, &[first, last, bits])) =
            segment.split_first().and_then(|(&count, rest)| rest.split_at_checked(2 * usize::from(count)))
        else {
            return Err(Problem::Damaged("the header of a scan has a wrong length".to_string()));
        };
        let (numbers, _) = numbers.as_chunks::<2>();
        if numbers.len() != 1 && numbers.len() != all && !self.progressive {
            return Err(Problem::Unsupported(format!("a scan of {} of {all} components", numbers.len())));
        }
        let (band, before, after) = match self.progressive {
            true => (first.into()..=last.into(), bits >> 4, bits & 15),
            false => (0..=63, 0, 0),
        };
        let before = if before == 0 { UNSEEN } else { before };
        for component in &mut self.components {
            if numbers.iter().any(|[number, _]| *number == component.number) {
                for missing in component.missing_bits.get_mut(band.clone()).unwrap_or_default() {
                    if *missing != before {
                        return Err(Problem::Damaged("a scan is missing".to_string()));
                    }
                    *missing = after;
                }
            }
        }
        Ok(())
    }

    /// Checks that no restart interval is missing: their markers have the numbers 0 to 7 in turn.
    fn check_restart(&mut self, marker: u8) -> Result<(), Problem> {
        if marker & 7 != self.restart {
            return Err(Problem::Damaged("a restart interval is missing".to_string()));
        }
        self.restart = (self.restart + 1) % 8;
        Ok(())
    }

    /// Checks that all bits of all coefficients were there. The standard allows progressive files
    /// without the last bits, but then libjpeg smooths the picture, and this decoder does not.
    fn check_end(self) -> Result<Frame, Problem> {
        let is_complete = |component: &Component| component.missing_bits == [0; 64];
        if self.components.iter().all(is_complete) {
            return Ok(self);
        }
        Err(Problem::Damaged("its last scans are missing".to_string()))
    }
}
