//! TIFF files. The `tiff` crate unpacks strips and tiles; this module converts their samples to RGB.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::decoder::{Decoder, Limits, TiffCodingUnit};
use tiff::tags::{SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use super::{Decoded, MAX_BYTES, MAX_BYTES_BEFORE_PIXELS, Problem, check_size, orientation, reserved};

/// The tag of the set of inks: 1 is cyan, magenta, yellow and black.
const INK_SET: Tag = Tag::Unknown(332);
/// The tag of XMP data, bytes.
const XMP: Tag = Tag::Unknown(700);
/// The value of [`Tag::PhotometricInterpretation`] for grey levels whose 0 is black.
const BLACK_IS_ZERO: u16 = 1;
/// The value of [`Tag::PhotometricInterpretation`] for indices of a palette.
const PALETTE: u16 = 3;
const PLANAR: u16 = 2;
/// The value of [`Tag::ExtraSamples`] for opacity by which the colours are multiplied.
const ASSOCIATED_ALPHA: u32 = 1;

type File<'b> = Decoder<Cursor<Cow<'b, [u8]>>>;

/// Decodes the first picture of a TIFF file.
///
/// # Errors
/// [`Problem`].
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Problem> {
    let mut file = open(bytes.into())?;
    let (width, height) = file.dimensions()?;
    let pixels = check_size(width, height)?;
    check_tags(&mut file)?;
    let orientation = orientation::from_value(stored_orientation(&mut file)?.unwrap_or(1));
    let mut palette = None;
    if tag(&mut file, Tag::PhotometricInterpretation)? == Some(PALETTE.into()) {
        let levels = file.find_tag_unsigned_vec::<u16>(Tag::ColorMap)?;
        palette = Some(levels.ok_or_else(|| Problem::Damaged("it has no palette".to_string()))?);
        file = open(indices_as_grey(bytes, &mut file)?.into())?;
    }
    let colour = Colour::of(&mut file, palette)?;
    let mut rgb = reserved(3 * pixels)?;
    rgb.resize(rgb.capacity(), 0);
    read(&mut file, &colour, [width, height].map(|side| side as usize), &mut rgb)?;
    Ok(Decoded { height: height as usize, width: width as usize, orientation, rgb })
}

fn open(bytes: Cow<[u8]>) -> Result<File, Problem> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_BYTES as usize;
    limits.intermediate_buffer_size = MAX_BYTES as usize;
    limits.ifd_value_size = MAX_BYTES_BEFORE_PIXELS as usize;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

/// The orientation, if it is one number without or with a sign. Without the tag, it is that of the XMP
/// data.
fn stored_orientation(file: &mut File) -> Result<Option<u32>, Problem> {
    let Some(value) = file.find_tag(Tag::Orientation)? else {
        let xmp = file.find_tag(XMP)?.and_then(|xmp| xmp.into_u8_vec().ok());
        return Ok(xmp.as_deref().and_then(orientation::in_xmp));
    };
    let signed = value.clone().into_i64().ok().and_then(|value| value.try_into().ok());
    Ok(value.into_u32().ok().or(signed))
}

/// The value of a tag that has one number.
fn tag(file: &mut File, tag: Tag) -> Result<Option<u32>, Problem> {
    Ok(file.find_tag_unsigned(tag)?)
}

/// Refuses pictures that the `tiff` crate would decode wrongly, and pictures that are not the
/// photograph.
fn check_tags(file: &mut File) -> Result<(), Problem> {
    let kind = tag(file, Tag::NewSubfileType)?.unwrap_or(0);
    let tiled = file.find_tag(Tag::TileOffsets)?.is_some();
    let planar = tag(file, Tag::PlanarConfiguration)? == Some(PLANAR.into());
    let samples = tag(file, Tag::SamplesPerPixel)?.unwrap_or(1);
    let extra = file.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.map_or(0, |kinds| kinds.len());
    let what = if extra > 1 {
        &format!("{extra} extra samples in a pixel beside its colour, expected at most one, the opacity")
    } else if kind & 1 != 0 {
        "only a preview, as in the raw photographs of cameras"
    } else if kind & 4 != 0 {
        "a transparency mask"
    } else if tag(file, Tag::FillOrder)?.is_some_and(|order| order != 1) {
        "bits in reverse order: FillOrder 2"
    } else if tag(file, INK_SET)?.is_some_and(|inks| inks != 1) {
        "inks other than cyan, magenta, yellow and black"
    } else if tiled && planar && samples > 1 {
        "tiles of one channel each"
    } else {
        return Ok(());
    };
    Err(Problem::Unsupported(what.to_string()))
}

/// Returns a copy of the file in which the picture has grey levels instead of indices of a palette.
/// The `tiff` crate does not read indices.
fn indices_as_grey(bytes: &[u8], file: &mut File) -> Result<Vec<u8>, Problem> {
    let directory = file.ifd_pointer().map_or(0, |pointer| pointer.0 as usize);
    let little = bytes.starts_with(b"II");
    let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let big = bytes.get(2..4) == Some(&short(43));
    // The number of entries comes first: 2 bytes, or 8 in a BigTIFF.
    let (first, length, value) = if big { (8, 20, 12) } else { (2, 12, 8) };
    let entries = bytes.get(directory..).and_then(|bytes| bytes.get(first..)).unwrap_or_default();
    let searched = short(Tag::PhotometricInterpretation.to_u16());
    let index = entries.chunks_exact(length).position(|entry| entry.starts_with(&searched));
    let at = index.map(|index| directory + first + index * length + value);
    let mut copy = reserved(bytes.len() as u64)?;
    copy.extend_from_slice(bytes);
    match at.and_then(|at| copy.get_mut(at..at + 2)) {
        Some(value) => value.copy_from_slice(&short(BLACK_IS_ZERO)),
        None => return Err(Problem::Damaged("its directory is not complete".to_string())),
    }
    Ok(copy)
}

/// The format of one sample.
#[derive(Clone, Copy)]
enum Sample {
    /// An integer of 1, 2, 4 or 8 bits.
    Bits(usize),
    U16,
    F32,
    F64,
}

impl Sample {
    /// An integer of at most 8 bits as it is stored.
    fn stored(bits: usize, row: &[u8], at: usize) -> u8 {
        let bit = at * bits;
        row[bit / 8] << (bit % 8) >> (8 - bits)
    }

    /// The level of the sample with number `at` in a row, 0 to 255.
    fn level(self, row: &[u8], at: usize) -> u8 {
        match self {
            Sample::Bits(bits) => (u32::from(Sample::stored(bits, row, at)) * 255 / ((1 << bits) - 1)) as u8,
            Sample::U16 => ((u32::from(u16::from_ne_bytes(bytes(row, at))) + 128) / 257) as u8,
            Sample::F32 => level_of(f32::from_ne_bytes(bytes(row, at)).into()),
            Sample::F64 => level_of(f64::from_ne_bytes(bytes(row, at))),
        }
    }

    /// Refuses floating-point samples that are not in 0 to 1. Programs also store levels of 0 to 255
    /// in them, and measurements in any unit.
    fn check(self, samples: &[u8]) -> Result<(), Problem> {
        // NaN is outside, too.
        let is_outside = |value: &f64| !(-0.001..=1.001).contains(value);
        let found = match self {
            Sample::F32 => {
                samples.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes).into()).find(is_outside)
            }
            Sample::F64 => {
                samples.as_chunks().0.iter().map(|&bytes| f64::from_ne_bytes(bytes)).find(is_outside)
            }
            Sample::Bits(_) | Sample::U16 => None,
        };
        match found {
            Some(value) => Err(Problem::Unsupported(format!(
                "a floating-point level of {value}, expected 0 for black to 1 for white"
            ))),
            None => Ok(()),
        }
    }
}

/// The bytes of the sample with number `at` in a row.
fn bytes<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    row.as_chunks().0[at]
}

/// The level of a value in 0 to 1.
fn level_of(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The samples of a pixel.
struct Colour {
    sample: Sample,
    /// Samples in a pixel, with transparency.
    samples: usize,
    kind: Kind,
    /// The sample with the opacity, if the colours are multiplied by it.
    opacity: Option<usize>,
}

enum Kind {
    Grey,
    Rgb,
    Cmyk,
    Palette(Vec<[u8; 3]>),
}

impl Colour {
    /// The colour of the pixels. `palette` is the tag `ColorMap`: all reds, all greens, all blues.
    fn of(file: &mut File, palette: Option<Vec<u16>>) -> Result<Colour, Problem> {
        let found = file.colortype()?;
        let format = file.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.unwrap_or_default();
        let format =
            format.first().map_or(SampleFormat::Uint, |&format| SampleFormat::from_u16_exhaustive(format));
        let (bits, samples, kind) = match (found, palette) {
            (ColorType::Gray(bits @ (1 | 2 | 4 | 8)), Some(levels)) => {
                let colours = 1 << bits;
                if levels.len() != 3 * colours {
                    let expected = 3 * colours;
                    let problem = format!("its palette has {} levels, expected {expected}", levels.len());
                    return Err(Problem::Damaged(problem));
                }
                // The high byte, as in libtiff: programs store a level of 8 bits as a multiple of 256 or of
                // 257.
                let level = |at: usize| (levels[at] >> 8) as u8;
                let colour = |i| [0, 1, 2].map(|channel| level(channel * colours + i));
                (bits, 1, Kind::Palette((0..colours).map(colour).collect()))
            }
            (ColorType::Gray(bits), None) => (bits, 1, Kind::Grey),
            (ColorType::Multiband { bit_depth, num_samples: 2 }, None) => (bit_depth, 2, Kind::Grey),
            (ColorType::RGB(bits), None) => (bits, 3, Kind::Rgb),
            (ColorType::RGBA(bits), None) => (bits, 4, Kind::Rgb),
            (ColorType::CMYK(bits), None) => (bits, 4, Kind::Cmyk),
            (ColorType::CMYKA(bits), None) => (bits, 5, Kind::Cmyk),
            (other, _) => return Err(Problem::Unsupported(format!("pixels of type {other:?}"))),
        };
        let sample = match (format, bits) {
            (SampleFormat::Uint, 1 | 2 | 4) if samples == 1 => Sample::Bits(bits.into()),
            (SampleFormat::Uint, 8) => Sample::Bits(8),
            (SampleFormat::Uint, 16) => Sample::U16,
            (SampleFormat::IEEEFP, 32) => Sample::F32,
            (SampleFormat::IEEEFP, 64) => Sample::F64,
            _ => return Err(Problem::Unsupported(format!("{bits}-bit levels of format {format:?}"))),
        };
        let multiplied = tag(file, Tag::ExtraSamples)? == Some(ASSOCIATED_ALPHA);
        let opacity = match kind {
            Kind::Grey if multiplied => Some(1),
            Kind::Rgb if multiplied => Some(3),
            _ => None,
        };
        Ok(Colour { sample, samples, kind, opacity: opacity.filter(|&at| at < samples) })
    }

    /// The colour of a pixel. `level` returns the level of one of its samples.
    fn rgb(&self, level: impl Fn(usize) -> u8) -> [u8; 3] {
        let stored = self.stored_rgb(&level);
        match self.opacity.map(&level) {
            // Rounded down, as in Pillow.
            Some(opacity @ 1..) => stored.map(|c| (u32::from(c) * 255 / u32::from(opacity)).min(255) as u8),
            _ => stored,
        }
    }

    /// The colour before the division by the opacity.
    fn stored_rgb(&self, level: impl Fn(usize) -> u8) -> [u8; 3] {
        match &self.kind {
            Kind::Grey => [level(0); 3],
            Kind::Rgb => [0, 1, 2].map(level),
            Kind::Cmyk => {
                let light = u32::from(255 - level(3));
                [0, 1, 2].map(|i| (light - (u32::from(level(i)) * light + 127) / 255) as u8)
            }
            Kind::Palette(colours) => colours[usize::from(level(0))],
        }
    }
}

/// Reads all strips or tiles and writes their pixels to `rgb`, `[height][width][3]`.
fn read(
    file: &mut File,
    colour: &Colour,
    [width, height]: [usize; 2],
    rgb: &mut [u8],
) -> Result<(), Problem> {
    let (unit_width, unit_height) = file.chunk_dimensions();
    let [across, down] =
        [(width, unit_width), (height, unit_height)].map(|(all, one)| all.div_ceil(one as usize));
    let mut buffer = Vec::new();
    for unit in 0..across * down {
        let [x0, y0] = [unit % across * unit_width as usize, unit / across * unit_height as usize];
        let [columns, rows] =
            [(width - x0).min(unit_width as usize), (height - y0).min(unit_height as usize)];
        let coded = TiffCodingUnit(unit as u32);
        let layout = file.image_coding_unit_layout(coded)?;
        let (row, plane) = (layout.row_stride, layout.plane_stride);
        let (Some(row), Some(plane)) = (row.map(usize::from), plane.map(usize::from)) else {
            return Err(Problem::Damaged("a strip or tile has no pixels".to_string()));
        };
        if buffer.len() < layout.complete_len {
            buffer = reserved(layout.complete_len as u64)?;
            buffer.resize(layout.complete_len, 0);
        }
        let unpacked = &mut buffer[..layout.complete_len];
        file.read_coding_unit_bytes(coded, unpacked)?;
        colour.sample.check(unpacked)?;
        for y in 0..rows {
            let start = ((y0 + y) * width + x0) * 3;
            let (pixels, _) = rgb[start..start + 3 * columns].as_chunks_mut::<3>();
            for (x, pixel) in pixels.iter_mut().enumerate() {
                *pixel = colour.rgb(|i| {
                    let (row, at) = if layout.planes > 1 {
                        (&buffer[i * plane + y * row..][..row], x)
                    } else {
                        (&buffer[y * row..][..row], x * colour.samples + i)
                    };
                    match (&colour.kind, colour.sample) {
                        (Kind::Palette(_), Sample::Bits(bits)) => Sample::stored(bits, row, at),
                        (_, sample) => sample.level(row, at),
                    }
                });
            }
        }
    }
    Ok(())
}

impl From<TiffError> for Problem {
    fn from(error: TiffError) -> Problem {
        match error {
            TiffError::UnsupportedError(what) => Problem::Unsupported(what.to_string()),
            TiffError::LimitsExceeded => {
                Problem::Unsupported("a strip, a tile or a tag is too large".to_string())
            }
            TiffError::IoError(error) => Problem::found_by_decoder(&error),
            other => Problem::found_by_decoder(&other),
        }
    }
}
