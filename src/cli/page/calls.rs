//! The functions of the page by their names. Arguments are numbers and bytes, and so are answers, so that
//! they can be called from a worker of the page and over HTTP.

use std::array;
use std::sync::atomic::AtomicBool;

use super::colours::Colours;
use super::engine::{Opened, Options, Painted, Refined, colour_bar};
use super::sha256;
use occlude::{Error, GoogLeNet, MaskValue, Resize, Result, Score, Upsampling};

/// The longest side of a painted map in pixels, several times that of the page.
const MAX_CANVAS: usize = 4096;

/// The parts of the photograph that the network sees, by their numbers on the page.
pub const RESIZES: [Resize; 4] = [Resize::Stretch, Resize::CenterCrop, Resize::Pad, Resize::Matlab];

/// The colours of a map by their numbers on the page; the last are those of categories.
const COLOURS: [Option<Colours>; 4] =
    [Some(Colours::Diverging), Some(Colours::Viridis), Some(Colours::Jet), None];

/// The names of the functions.
pub const NAMES: [&str; 6] = ["photograph", "pixels", "explain", "cover", "paint", "colour_bar"];

/// The result of a function. Its bytes may be text in UTF-8.
#[derive(Default)]
pub struct Answer {
    pub numbers: Vec<f32>,
    pub bytes: Vec<u8>,
}

/// The numbers of a call that have not been read.
struct Numbers<'a>(&'a [f64]);

impl Numbers<'_> {
    fn real(&mut self, name: &'static str) -> Result<f64> {
        match self.0 {
            [number, rest @ ..] if number.is_finite() => {
                self.0 = rest;
                Ok(*number)
            }
            [other, ..] => Err(wrong(name, other, "a finite number")),
            [] => Err(wrong(name, "nothing", "a number")),
        }
    }

    fn between(&mut self, name: &'static str, least: usize, most: usize) -> Result<usize> {
        let number = self.real(name)?;
        let is_in = number.fract() == 0.0 && (least as f64..=most as f64).contains(&number);
        if is_in {
            Ok(number as usize)
        } else {
            Err(wrong(name, number, format!("a whole number from {least} to {most}")))
        }
    }

    fn whole(&mut self, name: &'static str) -> Result<usize> {
        self.between(name, 0, u32::MAX as usize)
    }

    fn one_of<T: Copy>(&mut self, name: &'static str, choices: &[T]) -> Result<T> {
        Ok(choices[self.between(name, 0, choices.len() - 1)?])
    }

    /// The options of a sweep: the size of the mask; its stride, where `stride` is none; its content,
    /// 0 the mean of the photograph, 1 the mean of ImageNet, 2 the photograph blurred with a standard
    /// deviation of so many pixels as the next number says, 3 noise with the seed that the next number is;
    /// the score, 0 the probability, 1 the logit; a class beside the most probable ones, or -1.
    fn options(&mut self, stride: Option<usize>) -> Result<Options> {
        let mask_size = self.whole("mask size")?;
        let stride = stride.map_or_else(|| self.whole("stride"), Ok)?;
        let contents: [fn(u32) -> MaskValue; 4] = [
            |_| MaskValue::Auto,
            |_| MaskValue::TrainingMean,
            |deviation| MaskValue::Blur(deviation as f32),
            |seed| MaskValue::Noise(seed.into()),
        ];
        let content = self.one_of("mask value", &contents)?;
        let value = content(self.whole("detail of the mask value")? as u32);
        let score: fn() -> Score = self.one_of("score", &[|| Score::Probability, || Score::Logit])?;
        let class = match self.0.first() {
            Some(-1.0) => self.real("class").map(|_| None)?,
            _ => Some(self.whole("class")?),
        };
        Ok(Options { mask_size, stride, value, score: score(), class })
    }

    fn end(&self) -> Result<()> {
        match self.0 {
            [] => Ok(()),
            [number, ..] => Err(wrong("argument", number, "no more numbers")),
        }
    }
}

fn wrong(name: &'static str, found: impl ToString, expected: impl Into<String>) -> Error {
    Error::Option { name, found: found.to_string(), expected: expected.into() }
}

/// Opens a photograph: a file, or, if the numbers begin with a width and a height other than 0, pixels of
/// four bytes. The third number is an index of [`RESIZES`]. The answer has width, height, and the index
/// and the probability of each of the most probable classes; its text is the SHA-256 of the data.
pub fn photograph(net: &'static GoogLeNet, numbers: &[f64], data: &[u8]) -> Result<(Opened, Answer)> {
    let mut numbers = Numbers(numbers);
    let [width, height] = [numbers.whole("width")?, numbers.whole("height")?];
    let resize = numbers.one_of("part of the photograph", &RESIZES)?;
    numbers.end()?;
    let size = (width > 0).then_some([height, width]);
    let opened = Opened::new(net, data, size, resize)?;
    let answer = Answer { numbers: opened.answer(), bytes: sha256(data).into_bytes() };
    Ok((opened, answer))
}

/// Calls a function other than [`photograph`]; the methods of [`Opened`] describe the answers.
///
/// | name | numbers | data |
/// |---|---|---|
/// | `pixels` | | |
/// | `explain` | those of the options; the first row of positions, and the row after the last | |
/// | `cover` | y, x; those of the options without the stride | |
/// | `paint` | size of the mask, stride, width, height, limit, an index of `COLOURS`, 1 to interpolate | the values of the map, 32 bits each |
/// | `colour_bar` | an index of `COLOURS` | |
pub fn call(
    opened: Option<&Opened>,
    name: &str,
    numbers: &[f64],
    data: &[u8],
    cancel: &AtomicBool,
    refined: &Refined,
) -> Result<Answer> {
    let with_numbers = |numbers| Answer { numbers, bytes: Vec::new() };
    let with_bytes = |bytes| Answer { numbers: Vec::new(), bytes };
    let mut numbers = Numbers(numbers);
    if name == "colour_bar" {
        let colours = numbers.one_of("colours", &COLOURS)?;
        numbers.end()?;
        return Ok(with_bytes(colour_bar(colours)));
    }
    let opened =
        opened.ok_or_else(|| wrong("photograph", "nothing", "a photograph that was opened before"))?;
    match name {
        "pixels" => {
            numbers.end()?;
            opened.pixels().map(with_bytes)
        }
        "explain" => {
            let options = numbers.options(None)?;
            let rows = numbers.whole("first row")?..numbers.whole("row after the last")?;
            numbers.end()?;
            opened.explain(options, rows, cancel, refined).map(with_numbers)
        }
        "cover" => {
            let at = [numbers.real("y")?, numbers.real("x")?];
            let options = numbers.options(Some(1))?;
            numbers.end()?;
            opened.cover(at, options).map(with_numbers)
        }
        "paint" => {
            let painted = Painted {
                mask_size: numbers.whole("mask size")?,
                stride: numbers.whole("stride")?,
                canvas: {
                    let width = numbers.between("width", 1, MAX_CANVAS)?;
                    [numbers.between("height", 1, MAX_CANVAS)?, width]
                },
                limit: numbers.real("limit")? as f32,
                colours: numbers.one_of("colours", &COLOURS)?,
                upsampling: numbers.one_of("smooth", &[Upsampling::Nearest, Upsampling::Bicubic])?,
            };
            numbers.end()?;
            let values: Vec<f32> =
                data.chunks_exact(4).map(|four| f32::from_le_bytes(array::from_fn(|i| four[i]))).collect();
            opened.paint(&values, &painted).map(with_bytes)
        }
        _ => Err(wrong("function", name, format!("one of {}", NAMES.join(", ")))),
    }
}
