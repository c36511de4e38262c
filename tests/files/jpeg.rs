//! A differential test of JPEG files. Files of every kind are made of known coefficients. Each has
//! the pixels of these coefficients or is refused; cut files are refused. Files of libjpeg-turbo
//! have exactly its pixels.

#[path = "../common/jpeg/mod.rs"]
mod coefficients;

use std::path::Path;

use coefficients::{Colours, Factors, File, Jpeg, Restart, Scan, progressive, sequential};
use occlude::{Error, Photograph};
use rayon::prelude::*;

use crate::picture::png_crc;

/// Largest difference from a computed level. A decoder's samples may be off by 1, and blue is the
/// sum of Y and 1.772 Cb.
const MOST: u8 = 3;
/// Largest mean difference in a picture of some size. Decoders also round interpolated samples.
const MEAN: f64 = 0.3;

const RESTARTS: [Restart; 4] = [Restart::Never, Restart::Every(1), Restart::Every(3), Restart::EachRow];

/// A way to store a picture.
#[derive(Debug)]
struct Form<'f> {
    groups: &'f [Vec<usize>],
    is_progressive: bool,
    restart: Restart,
}

impl Form<'_> {
    fn scans(&self) -> Vec<Scan> {
        if self.is_progressive { progressive(self.groups) } else { sequential(self.groups) }
    }

    fn file(&self, jpeg: &Jpeg) -> File {
        jpeg.file(&self.scans(), self.restart)
    }

    /// True if the components are together or each is alone, as in the files of usual programs.
    fn is_usual(&self) -> bool {
        self.groups.len() == 1 || self.groups.iter().all(|group| group.len() == 1)
    }
}

/// All ways to divide components into groups, in every order.
fn divisions(components: usize) -> Vec<Vec<Vec<usize>>> {
    let mut divisions = Vec::new();
    // The digits of a number are the groups of the components.
    for number in 0..components.pow(components as u32) {
        let mut groups = vec![Vec::new(); components];
        for component in 0..components {
            groups[number / components.pow(component as u32) % components].push(component);
        }
        let used = groups.iter().filter(|group| !group.is_empty()).count();
        if groups[..used].iter().all(|group| !group.is_empty()) {
            groups.truncate(used);
            divisions.push(groups);
        }
    }
    divisions
}

/// All sampling factors of a component.
fn factors() -> Vec<Factors> {
    (1..=4).flat_map(|across| (1..=4).map(move |down| (across, down))).collect()
}

/// The sampling factors of three components for which `accepts` is true.
fn samplings(accepts: impl Fn(&[Factors; 3]) -> bool) -> Vec<[Factors; 3]> {
    let all = factors();
    let pairs = all.iter().flat_map(|&first| all.iter().map(move |&second| (first, second)));
    let triples = pairs.flat_map(|(first, second)| all.iter().map(move |&third| [first, second, third]));
    triples.filter(accepts).collect()
}

/// True if the first component is the finest, and the samples of each component divide its samples
/// into equal parts.
fn is_usual(factors: &[Factors; 3]) -> bool {
    factors.iter().all(|other| factors[0].0.is_multiple_of(other.0) && factors[0].1.is_multiple_of(other.1))
}

/// Decodes a picture in every form with these restart intervals, and returns the number of files
/// that are decoded. If `is_required`, these include all usual forms.
fn check(jpeg: &Jpeg, restarts: &[Restart], is_required: bool) -> usize {
    let expected = jpeg.pixels();
    let mut decoded = 0;
    for groups in &divisions(jpeg.colours.components()) {
        for is_progressive in [false, true] {
            for &restart in restarts {
                let form = Form { groups, is_progressive, restart };
                if form.scans().iter().all(|scan| jpeg.allows(scan)) {
                    let is_decoded = is_decoded(jpeg, expected.as_deref(), &form);
                    assert!(is_decoded || !is_required || !form.is_usual(), "refused: {jpeg} in {form:?}");
                    decoded += usize::from(is_decoded);
                }
            }
        }
    }
    decoded
}

/// True if the file is decoded; then it has the expected pixels. Otherwise it must be refused as an
/// unsupported kind.
fn is_decoded(jpeg: &Jpeg, expected: Option<&[u8]>, form: &Form) -> bool {
    let what = || format!("{jpeg} in {form:?}");
    let photo = match Photograph::from_bytes("holiday.jpg", &form.file(jpeg).bytes) {
        Ok(photo) => photo,
        Err(error) => {
            assert_refused(&error, "unsupported kind", what);
            return false;
        }
    };
    let Some(expected) = expected else { panic!("decoded: {}", what()) };
    assert_eq!((photo.width(), photo.height()), (jpeg.width, jpeg.height), "{}", what());
    assert_eq!(photo.rgb().len(), expected.len(), "{}", what());
    let off = || photo.rgb().iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let most = off().max().unwrap();
    assert!(most <= MOST, "off by {most}: {}", what());
    let mean = off().map(f64::from).sum::<f64>() / expected.len() as f64;
    assert!(mean <= MEAN || expected.len() < 100, "off by {mean} on average: {}", what());
    true
}

fn assert_refused(error: &Error, why: &str, what: impl Fn() -> String) {
    let message = error.to_string();
    assert!(message.starts_with("holiday.jpg: ") && message.contains(why), "{message}: {}", what());
}

/// `tests/data/pictures/jpeg/make.py` wrote the files and printed the numbers.
#[test]
fn files_of_libjpeg_turbo_have_its_pixels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures/jpeg");
    for (name, crc) in [
        ("444.jpg", 0x4CA1C752),
        ("422.jpg", 0x8496465F),
        ("440.jpg", 0xF3B1808F),
        ("420.jpg", 0x454926DD),
        ("411.jpg", 0xAC1EF36D),
        ("410.jpg", 0x2DBB138C),
        ("grey.jpg", 0x252A30F9),
        ("rgb.jpg", 0xBB57BA78),
        ("restart.jpg", 0x454926DD),
        ("scans.jpg", 0x454926DD),
        ("progressive.jpg", 0x454926DD),
        ("arithmetic.jpg", 0x454926DD),
        ("cmyk.jpg", 0xA1B232E7),
    ] {
        let photo = Photograph::open(folder.join(name)).unwrap();
        assert_eq!((photo.width(), photo.height()), (45, 31), "{name}");
        assert_eq!(png_crc(photo.rgb()), crc, "{name}");
    }
}

#[test]
fn usual_samplings_have_the_right_pixels() {
    samplings(is_usual).par_iter().for_each(|factors| {
        check(&Jpeg::random(Colours::YCbCr, (23, 17), factors), &RESTARTS, true);
        for size in [(1, 1), (3, 5), (33, 9)] {
            check(&Jpeg::random(Colours::YCbCr, size, factors), &[Restart::EachRow], true);
        }
    });
}

#[test]
fn other_samplings_have_the_right_pixels_or_are_refused() {
    let decoded: usize = samplings(|factors| !is_usual(factors))
        .par_iter()
        .map(|factors| check(&Jpeg::random(Colours::YCbCr, (23, 17), factors), &[Restart::Every(3)], false))
        .sum();
    println!("{decoded} files are decoded");
}

#[test]
fn grey_rgb_and_inks_have_the_right_pixels() {
    for colours in [Colours::Grey, Colours::Rgb, Colours::Cmyk, Colours::Ycck] {
        let mut decoded = 0;
        for finest in factors() {
            for other in [finest, (1, 1)] {
                let mut factors = vec![other; colours.components()];
                factors[0] = finest;
                if colours == Colours::Ycck {
                    factors[3] = finest;
                }
                for size in [(23, 17), (67, 45)] {
                    let jpeg = Jpeg::random(colours, size, &factors);
                    decoded += check(&jpeg, &[Restart::Every(3)], other == finest);
                }
            }
        }
        println!("{colours:?}: {decoded} files are decoded");
    }
}

/// The data of a scan is cut anywhere, and followed by the scans after it or by an end-of-image
/// marker. A file without an MCU is refused. If only a part of the last MCU is missing, the file is
/// refused or has the same pixels.
#[test]
fn cut_files_are_refused() {
    for (groups, is_progressive) in [
        (&[vec![0, 1, 2]][..], false),
        (&[vec![0, 1, 2]], true),
        (&[vec![0], vec![1], vec![2]], false),
        (&[vec![0], vec![1], vec![2]], true),
    ] {
        for restart in RESTARTS {
            for finest in [(1, 1), (2, 2)] {
                let jpeg = Jpeg::random(Colours::YCbCr, (23, 17), &[finest, (1, 1), (1, 1)]);
                let form = Form { groups, is_progressive, restart };
                let File { bytes, data } = form.file(&jpeg);
                let whole = Photograph::from_bytes("holiday.jpg", &bytes).unwrap();
                for [start, last, end] in data {
                    for (at, after) in (start..end).flat_map(|at| [(at, &bytes[end..]), (at, &[0xFF, 0xD9])])
                    {
                        let what = || {
                            format!(
                                "{jpeg} in {form:?}, {start}..{end} cut at {at}, then {} bytes",
                                after.len()
                            )
                        };
                        match Photograph::from_bytes("holiday.jpg", &[&bytes[..at], after].concat()) {
                            Err(error) => assert_refused(&error, "damaged or truncated", what),
                            Ok(photo) => {
                                assert!(at > last, "lacks an MCU: {}", what());
                                assert!(photo == whole, "other pixels: {}", what());
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Restart intervals are numbered. One is missing, or a number is wrong.
#[test]
fn restart_intervals_out_of_order_are_refused() {
    for is_progressive in [false, true] {
        let jpeg = Jpeg::random(Colours::YCbCr, (33, 30), &[(2, 1), (1, 1), (1, 1)]);
        let form = Form { groups: &[vec![0, 1, 2]], is_progressive, restart: Restart::Every(2) };
        let File { bytes, data } = form.file(&jpeg);
        for [start, _, end] in data {
            let is_restart = |&at: &usize| bytes[at] == 0xFF && (0xD0..0xD8).contains(&bytes[at + 1]);
            let markers: Vec<usize> = (start..end).filter(is_restart).collect();
            for pair in markers.windows(2) {
                let what = || format!("{jpeg} in {form:?}, {pair:?} of {start}..{end}");
                let short = [&bytes[..pair[0]], &bytes[pair[1]..]].concat();
                let mut wrong = bytes.clone();
                wrong[pair[0] + 1] ^= 1;
                for bytes in [short, wrong] {
                    let error = Photograph::from_bytes("holiday.jpg", &bytes).expect_err(&what());
                    assert_refused(&error, "damaged or truncated", what);
                }
            }
        }
    }
}

/// One of the scans is missing, wherever it is.
#[test]
fn files_without_a_scan_are_refused() {
    let jpeg = Jpeg::random(Colours::YCbCr, (23, 17), &[(2, 2), (1, 1), (1, 1)]);
    for groups in [&[vec![0, 1, 2]][..], &[vec![0], vec![1], vec![2]], &[vec![2], vec![0], vec![1]]] {
        for is_progressive in [false, true] {
            let form = Form { groups, is_progressive, restart: Restart::Never };
            for missing in 0..form.scans().len() {
                let what = || format!("{jpeg} in {form:?} without scan {missing}");
                let mut scans = form.scans();
                scans.remove(missing);
                let error = Photograph::from_bytes("holiday.jpg", &jpeg.file(&scans, form.restart).bytes);
                assert_refused(&error.expect_err(&what()), "damaged or truncated", what);
            }
        }
    }
}
