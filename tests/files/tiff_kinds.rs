//! Tests of TIFF files: each kind of pixel, in strips and tiles, against a plain conversion of the
//! same samples.

use occlude::Photograph;
use proptest::prelude::*;

/// The kinds of pixel that are decoded, with the value of the tag `PhotometricInterpretation` and
/// the number of samples in a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    WhiteIsZero,
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Palette,
    Cmyk,
}

impl Kind {
    fn photometric(self) -> u64 {
        match self {
            Kind::WhiteIsZero => 0,
            Kind::Grey | Kind::GreyAlpha => 1,
            Kind::Rgb | Kind::Rgba => 2,
            Kind::Palette => 3,
            Kind::Cmyk => 5,
        }
    }

    fn samples(self) -> usize {
        match self {
            Kind::WhiteIsZero | Kind::Grey | Kind::Palette => 1,
            Kind::GreyAlpha => 2,
            Kind::Rgb => 3,
            Kind::Rgba | Kind::Cmyk => 4,
        }
    }
}

/// The format of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sample {
    Bits(u32),
    F32,
    F64,
}

impl Sample {
    fn bits(self) -> u32 {
        match self {
            Sample::Bits(bits) => bits,
            Sample::F32 => 32,
            Sample::F64 => 64,
        }
    }

    /// The stored number of a value in 0..=1. Integers are rounded.
    fn store(self, value: f64) -> u64 {
        match self {
            Sample::Bits(bits) => (value * ((1u64 << bits) - 1) as f64).round() as u64,
            Sample::F32 => (value as f32).to_bits().into(),
            Sample::F64 => value.to_bits(),
        }
    }

    /// The level of a stored number, 0 to 255.
    fn level(self, stored: u64) -> f64 {
        let value = match self {
            Sample::Bits(bits) => stored as f64 / ((1u64 << bits) - 1) as f64,
            Sample::F32 => f32::from_bits(stored as u32).into(),
            Sample::F64 => f64::from_bits(stored),
        };
        (value.clamp(0.0, 1.0) * 255.0).round()
    }
}

/// The way in which a file stores its numbers and pixels.
#[derive(Clone, Copy, Debug)]
struct Form {
    little: bool,
    big: bool,
    planar: bool,
    /// Rows in a strip, or 0 for tiles of 16 x 16 pixels.
    strip: usize,
}

impl Form {
    fn number(self, value: u64, bytes: usize) -> Vec<u8> {
        if self.little {
            value.to_le_bytes()[..bytes].to_vec()
        } else {
            value.to_be_bytes()[8 - bytes..].to_vec()
        }
    }

    /// Packs the samples of a row.
    fn row(self, sample: Sample, stored: impl Iterator<Item = u64>) -> Vec<u8> {
        let bits = sample.bits();
        if bits >= 8 {
            return stored.flat_map(|value| self.number(value, bits as usize / 8)).collect();
        }
        let mut row = Vec::new();
        for (at, value) in stored.enumerate() {
            let bit = at as u32 * bits;
            if bit.is_multiple_of(8) {
                row.push(0);
            }
            *row.last_mut().unwrap() |= (value as u8) << (8 - bits - bit % 8);
        }
        row
    }
}

/// A tag with several numbers, and the size of each.
type List = (u16, usize, Vec<u64>);

/// Writes a TIFF file. `tags` are those with one number of type SHORT.
fn file(form: Form, tags: &[(u16, u64)], lists: &[List], units: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = if form.little { b"II".to_vec() } else { b"MM".to_vec() };
    let width = if form.big { 8 } else { 4 };
    bytes.extend(form.number(if form.big { 43 } else { 42 }, 2));
    if form.big {
        bytes.extend([form.number(8, 2), form.number(0, 2)].concat());
    }
    let pointer = bytes.len();
    bytes.extend(form.number(0, width));
    let offsets: Vec<u64> = units
        .iter()
        .map(|unit| {
            let offset = bytes.len() as u64;
            bytes.extend(unit);
            offset
        })
        .collect();
    let (offset, length) = if form.strip > 0 { (273, 279) } else { (324, 325) };
    let mut entries: Vec<List> = tags.iter().map(|&(tag, value)| (tag, 2, vec![value])).collect();
    entries.extend(lists.iter().cloned());
    entries.push((offset, 4, offsets));
    entries.push((length, 4, units.iter().map(|unit| unit.len() as u64).collect()));
    entries.sort();
    let mut directory = form.number(entries.len() as u64, if form.big { 8 } else { 2 });
    for (tag, size, values) in entries {
        let kind = if size == 2 { 3 } else { 4 };
        directory.extend([form.number(tag.into(), 2), form.number(kind, 2)].concat());
        directory.extend(form.number(values.len() as u64, width));
        let mut stored: Vec<u8> = values.iter().flat_map(|&value| form.number(value, size)).collect();
        if stored.len() > width {
            let offset = bytes.len() as u64;
            bytes.extend(&stored);
            stored = form.number(offset, width);
        }
        stored.resize(width, 0);
        directory.extend(stored);
    }
    directory.extend(form.number(0, width));
    let start = form.number(bytes.len() as u64, width);
    bytes.splice(pointer..pointer + width, start);
    bytes.extend(directory);
    bytes
}

/// A picture's stored samples, `[height][width][samples]`.
#[derive(Clone, Debug)]
struct Stored {
    height: usize,
    width: usize,
    kind: Kind,
    sample: Sample,
    samples: Vec<u64>,
    palette: Vec<u64>,
}

impl Stored {
    /// Makes a picture from values in 0..=1.
    fn new([height, width]: [usize; 2], kind: Kind, sample: Sample, values: impl Fn(usize) -> f64) -> Stored {
        let samples = (0..height * width * kind.samples()).map(|i| sample.store(values(i))).collect();
        let colours = if kind == Kind::Palette { 3 << sample.bits() } else { 0 };
        let palette = (0..colours).map(|i| (values(i * 7 + 3) * 255.0) as u64 * 257).collect();
        Stored { height, width, kind, sample, samples, palette }
    }

    /// The samples of a rectangle, or those of one channel. Outside the picture they are 0.
    fn unit(
        &self,
        form: Form,
        [y0, x0]: [usize; 2],
        [rows, columns]: [usize; 2],
        channel: Option<usize>,
    ) -> Vec<u8> {
        let samples = self.kind.samples();
        let channels: Vec<usize> = channel.map_or((0..samples).collect(), |channel| vec![channel]);
        let mut bytes = Vec::new();
        for y in y0..y0 + rows {
            let row = (x0..x0 + columns).flat_map(|x| channels.iter().map(move |&channel| (x, channel)));
            let stored = row.map(|(x, channel)| {
                if y >= self.height || x >= self.width {
                    return 0;
                }
                self.samples[(y * self.width + x) * samples + channel]
            });
            bytes.extend(form.row(self.sample, stored));
        }
        bytes
    }

    fn encoded(&self, form: Form, extra: &[(u16, u64)]) -> Vec<u8> {
        let (rows, columns) = if form.strip > 0 { (form.strip, self.width) } else { (16, 16) };
        let mut units = Vec::new();
        for channel in 0..if form.planar { self.kind.samples() } else { 1 } {
            for y in (0..self.height).step_by(rows) {
                let rows = if form.strip > 0 { rows.min(self.height - y) } else { rows };
                for x in (0..self.width).step_by(columns) {
                    units.push(self.unit(form, [y, x], [rows, columns], form.planar.then_some(channel)));
                }
            }
        }
        let float = !matches!(self.sample, Sample::Bits(_));
        let mut tags = vec![
            (256, self.width as u64),
            (257, self.height as u64),
            (258, self.sample.bits().into()),
            (259, 1),
            (262, self.kind.photometric()),
            (277, self.kind.samples() as u64),
            (284, if form.planar { 2 } else { 1 }),
            (339, if float { 3 } else { 1 }),
        ];
        tags.extend(if form.strip > 0 { vec![(278, form.strip as u64)] } else { vec![(322, 16), (323, 16)] });
        if matches!(self.kind, Kind::GreyAlpha | Kind::Rgba) {
            tags.push((338, 2));
        }
        tags.retain(|(tag, _)| extra.iter().all(|(other, _)| other != tag));
        tags.extend(extra);
        let palette = (!self.palette.is_empty()).then(|| (320, 2, self.palette.clone()));
        file(form, &tags, palette.as_slice(), &units)
    }

    /// The pixels by the definition of the format.
    fn rgb(&self) -> Vec<f64> {
        let pixel = |stored: &[u64]| -> [f64; 3] {
            let level = |i: usize| self.sample.level(stored[i]);
            match self.kind {
                Kind::WhiteIsZero => [255.0 - level(0); 3],
                Kind::Grey | Kind::GreyAlpha => [level(0); 3],
                Kind::Rgb | Kind::Rgba => [level(0), level(1), level(2)],
                Kind::Palette => {
                    let colours = self.palette.len() / 3;
                    [0, 1, 2]
                        .map(|channel| (self.palette[channel * colours + stored[0] as usize] / 257) as f64)
                }
                Kind::Cmyk => [0, 1, 2].map(|i| ((255.0 - level(i)) * (255.0 - level(3)) / 255.0).round()),
            }
        };
        self.samples.chunks(self.kind.samples()).flat_map(pixel).collect()
    }
}

const KINDS: [(Kind, &[Sample]); 7] = {
    use Sample::{Bits, F32, F64};
    [
        (Kind::WhiteIsZero, &[Bits(1), Bits(2), Bits(4), Bits(8), Bits(16)]),
        (Kind::Grey, &[Bits(1), Bits(2), Bits(4), Bits(8), Bits(16), F32, F64]),
        (Kind::GreyAlpha, &[Bits(8), Bits(16), F32]),
        (Kind::Rgb, &[Bits(8), Bits(16), F32, F64]),
        (Kind::Rgba, &[Bits(8), Bits(16), F32]),
        (Kind::Palette, &[Bits(1), Bits(2), Bits(4), Bits(8)]),
        (Kind::Cmyk, &[Bits(8), Bits(16)]),
    ]
};

const PLAIN: Form = Form { little: true, big: false, planar: false, strip: 5 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_of_pixel_is_converted_as_defined(
        (height, width) in (1usize..40, 1usize..40),
        (little, big, planar, strip) in (any::<bool>(), any::<bool>(), any::<bool>(), 0usize..12),
        seed in any::<u32>(),
    ) {
        let values = |i: usize| f64::from((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) / f64::from(1 << 24);
        for (kind, samples) in KINDS {
            for &sample in samples {
                // Rows of tiles that do not end at a byte are not decoded.
                let strip = if sample.bits() < 8 { strip.max(1) } else { strip };
                let form = Form { little, big, planar, strip };
                let stored = Stored::new([height, width], kind, sample, values);
                let bytes = stored.encoded(form, &[]);
                let found = Photograph::from_bytes("picture.tif", &bytes);
                if planar && strip == 0 && kind.samples() > 1 {
                    let message = found.unwrap_err().to_string();
                    prop_assert!(message.contains("picture.tif: is a TIFF picture of an unsupported kind"), "{message}");
                    continue;
                }
                let found = found.map_err(|error| TestCaseError::fail(format!("{kind:?} {sample:?} {form:?}: {error}")))?;
                prop_assert_eq!((found.height(), found.width()), (height, width));
                for (at, (found, expected)) in found.rgb().iter().zip(stored.rgb()).enumerate() {
                    // The product of two rounded levels may be rounded differently.
                    let most = if kind == Kind::Cmyk { 1.0 } else { 0.0 };
                    prop_assert!((f64::from(*found) - expected).abs() <= most,
                        "{kind:?} {sample:?} {form:?}: {found} is not {expected} at {at}");
                }
            }
        }
    }
}

/// Decoding these would give wrong pixels, or those of another picture.
#[test]
fn other_kinds_are_refused_by_name() {
    let stored = Stored::new([9, 21], Kind::Rgb, Sample::Bits(8), |i| (i % 10) as f64 / 9.0);
    for (extra, word) in [
        ((266, 2), "FillOrder 2"),
        ((254, 1), "only a preview"),
        ((254, 4), "transparency mask"),
        ((262, 8), "CIELab"),
        ((262, 6), "YCbCr"),
        ((259, 7), "JPEG"),
        ((259, 50000), "ZSTD"),
        ((339, 2), "format Int"),
    ] {
        let message =
            Photograph::from_bytes("scan.tif", &stored.encoded(PLAIN, &[extra])).unwrap_err().to_string();
        assert!(message.contains("scan.tif: is a TIFF picture of an unsupported kind ("), "{message}");
        assert!(message.contains(word) && message.contains("save it again"), "{message}");
    }
    for (extra, samples) in [((332, 2), Kind::Cmyk), ((258, 32), Kind::Rgb)] {
        let stored = Stored::new([9, 24], samples, Sample::Bits(8), |i| (i % 10) as f64 / 9.0);
        let message =
            Photograph::from_bytes("scan.tif", &stored.encoded(PLAIN, &[extra])).unwrap_err().to_string();
        assert!(message.contains("unsupported kind"), "{message}");
    }
}

#[test]
fn a_palette_of_another_length_is_damaged() {
    let mut stored = Stored::new([9, 21], Kind::Palette, Sample::Bits(4), |i| (i % 10) as f64 / 9.0);
    for length in [0, 3, 47, 49] {
        stored.palette.resize(length, 0);
        let message =
            Photograph::from_bytes("scan.tif", &stored.encoded(PLAIN, &[])).unwrap_err().to_string();
        assert!(message.contains("scan.tif: is a damaged or truncated TIFF picture"), "{length}: {message}");
    }
}

#[test]
fn floats_outside_0_to_1_are_refused() {
    let mut stored = Stored::new([1, 3], Kind::Grey, Sample::F32, |_| 0.0);
    let mut open = |value: f32| {
        stored.samples = [0.5, value, 1.0].iter().map(|value| value.to_bits().into()).collect();
        Photograph::from_bytes("float.tif", &stored.encoded(PLAIN, &[]))
    };
    // Rounding errors of other programs.
    for (value, level) in [(0.25, 64), (1.0001, 255), (-0.0001, 0)] {
        let levels: Vec<u8> = open(value).unwrap().rgb().iter().step_by(3).copied().collect();
        assert_eq!(levels, [128, level, 255]);
    }
    for value in [-1.0, 2.5, 255.0, f32::INFINITY, f32::NAN] {
        let message = open(value).unwrap_err().to_string();
        assert!(message.contains(&format!("a floating-point level of {value}, expected 0")), "{message}");
    }
}

/// A sample of unknown meaning is passed over; several are refused, because one may be the opacity.
#[test]
fn extra_samples_are_counted() {
    let stored = Stored::new([9, 21], Kind::Rgba, Sample::Bits(8), |i| (i % 10) as f64 / 9.0);
    let found = Photograph::from_bytes("scan.tif", &stored.encoded(PLAIN, &[(338, 0)])).unwrap();
    assert_eq!(found.rgb().iter().map(|&level| f64::from(level)).collect::<Vec<_>>(), stored.rgb());
    for (kind, extra) in [(Kind::Rgb, vec![2, 0]), (Kind::Rgb, vec![0, 0, 0]), (Kind::Grey, vec![0, 2])] {
        let count = extra.len();
        let samples = (kind.samples() + count) as u64;
        let tags =
            [(256, 3), (257, 2), (258, 8), (259, 1), (262, kind.photometric()), (277, samples), (278, 2)];
        let bytes = file(PLAIN, &tags, &[(338, 2, extra)], &[vec![77; 6 * samples as usize]]);
        let message = Photograph::from_bytes("scan.tif", &bytes).unwrap_err().to_string();
        let expected = format!(
            "scan.tif: is a TIFF picture of an unsupported kind ({count} extra samples in a pixel beside its colour, \
             expected at most one, the opacity)"
        );
        assert!(message.starts_with(&expected), "{message}");
    }
}

/// The colours are divided by the opacity, as Pillow does.
#[test]
fn multiplied_colours_are_divided() {
    let mut stored = Stored::new([1, 4], Kind::Rgba, Sample::Bits(8), |_| 0.0);
    stored.samples = vec![50, 30, 0, 100, 50, 30, 0, 255, 50, 30, 0, 0, 50, 30, 0, 25];
    let found = Photograph::from_bytes("alpha.tif", &stored.encoded(PLAIN, &[(338, 1)])).unwrap();
    assert_eq!(found.rgb(), [127, 76, 0, 50, 30, 0, 50, 30, 0, 255, 255, 0]);
}
