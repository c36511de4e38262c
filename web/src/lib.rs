//! The engine of the page: the library, compiled to WebAssembly, with functions that take and return
//! numbers. `page/worker.js` calls them. A worker has one network, one photograph and one map.
//!
//! Arguments that are not numbers (a file, the values of a map) are written to the memory that
//! [`buffer`] returns. Results are read from the memory that the functions at the end name. A function
//! that can fail returns 0, or 1 and the reason as text.

#![cfg(target_family = "wasm")]

mod engine;
mod render;

use std::cell::RefCell;
use std::ops::ControlFlow;

use engine::{Engine, Options, Painted};
use occlude::{MaskValue, Resize, Result, Score};

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::default();
    static BUFFER: RefCell<Vec<u8>> = RefCell::default();
    static RESULT: RefCell<Answer> = RefCell::default();
}

/// The result of a function.
#[derive(Default)]
struct Answer {
    numbers: Vec<f32>,
    bytes: Vec<u8>,
}

unsafe extern "C" {
    /// Receives the map so far, as [`explain`] returns it. A value other than 0 stops the sweep.
    safe fn refined(numbers: *const f32, count: usize, done: usize, total: usize) -> u32;
}

/// Runs the body of a function with the buffer, and keeps its result or the text of its error.
fn answer(run: impl FnOnce(&mut Engine, &[u8]) -> Result<Answer>) -> u32 {
    let outcome = ENGINE.with_borrow_mut(|engine| BUFFER.with_borrow(|buffer| run(engine, buffer)));
    let (status, answer) = match outcome {
        Ok(answer) => (0, answer),
        Err(error) => (1, Answer { numbers: Vec::new(), bytes: error.to_string().into_bytes() }),
    };
    RESULT.set(answer);
    status
}

/// Returns memory for `length` bytes of an argument, in which the next function finds it.
#[unsafe(no_mangle)]
extern "C" fn buffer(length: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.resize(length, 0);
        buffer.as_mut_ptr()
    })
}

/// Takes the file of a network from the buffer. If `exact` is 0, multiply-adds may round twice where
/// the machine below has none that rounds once. Returns, as text, lines: the network's name, the
/// instruction set, and the name of each class.
#[unsafe(no_mangle)]
extern "C" fn network(exact: u32) -> u32 {
    answer(|engine, file| {
        let text = engine.load(file, exact != 0)?;
        Ok(Answer { numbers: Vec::new(), bytes: text.into_bytes() })
    })
}

/// Takes the file of a photograph from the buffer, or, if `width` is not 0, its pixels: four bytes
/// each, of which the fourth is ignored. `resize` is 0 to stretch, 1 for the centre, 2 to pad.
/// Returns numbers: width, height; for each of the most probable classes, its index and its
/// probability.
#[unsafe(no_mangle)]
extern "C" fn photograph(width: usize, height: usize, resize: u32) -> u32 {
    answer(|engine, data| {
        let resize = match resize {
            1 => Resize::CenterCrop,
            2 => Resize::Pad,
            _ => Resize::Stretch,
        };
        let size = (width > 0).then_some([height, width]);
        let numbers = engine.open(data, size, resize)?;
        Ok(Answer { numbers, bytes: Vec::new() })
    })
}

/// Returns the photograph, upright, as bytes: red, green, blue and 255 for each pixel.
#[unsafe(no_mangle)]
extern "C" fn pixels() -> u32 {
    answer(|engine, _| Ok(Answer { numbers: Vec::new(), bytes: engine.pixels()? }))
}

/// The options of a sweep. `kind` is the content of the mask: 0 the mean of the photograph, 1 the mean
/// of ImageNet, 2 the photograph blurred with a standard deviation of `detail` pixels, 3 noise with the
/// seed `detail`. `class` is a class beside the most probable ones, or less than 0.
fn options(mask_size: usize, stride: usize, kind: u32, detail: u32, logit: u32, class: i32) -> Options {
    let value = match kind {
        1 => MaskValue::TrainingMean,
        2 => MaskValue::Blur(detail as f32),
        3 => MaskValue::Noise(u64::from(detail)),
        _ => MaskValue::Auto,
    };
    let score = if logit == 0 { Score::Probability } else { Score::Logit };
    Options { mask_size, stride, value, score, class: usize::try_from(class).ok() }
}

/// Runs a sweep over the rows of positions `first_row` to `end_row - 1`, coarse to fine; the other
/// arguments are those of [`options`]. Returns numbers: rows, columns, classes; for each class its index
/// and its score; for each class its score at each position; for each position the most probable class;
/// for each position the score of that class.
#[unsafe(no_mangle)]
extern "C" fn explain(
    mask_size: usize,
    stride: usize,
    kind: u32,
    detail: u32,
    logit: u32,
    class: i32,
    first_row: usize,
    end_row: usize,
) -> u32 {
    answer(|engine, _| {
        let on_refinement = |numbers: &[f32], done: usize, total: usize| match refined(
            numbers.as_ptr(),
            numbers.len(),
            done,
            total,
        ) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let options = options(mask_size, stride, kind, detail, logit, class);
        let numbers = engine.explain(options, first_row..end_row, &on_refinement)?;
        Ok(Answer { numbers, bytes: Vec::new() })
    })
}

/// Covers the photograph with one mask, centred at the pixel of the network's picture that is nearest to
/// a place on the photograph. Returns numbers as [`explain`] does, for one position; then the edges of the
/// mask in pixels of the photograph: top, left, bottom, right; its centre on the network's picture: y, x;
/// its colour: red, green, blue, or less than 0 if it is not of one colour.
#[unsafe(no_mangle)]
extern "C" fn cover(y: f64, x: f64, mask_size: usize, kind: u32, detail: u32, logit: u32, class: i32) -> u32 {
    answer(|engine, _| {
        let numbers = engine.cover([y, x], options(mask_size, 1, kind, detail, logit, class))?;
        Ok(Answer { numbers, bytes: Vec::new() })
    })
}

/// Paints the map in the buffer, numbers of 32 bits, for the whole photograph on a canvas of
/// `width` x `height`, for the mask and stride of a sweep over all positions. `limit` is the value of
/// the last colour, and `-limit` that of the first. `colours` are 0 diverging, 1 viridis, 2 jet, or 3
/// categories, whose values are numbers of a category. `smooth` is 0 for tiles. Returns bytes: red,
/// green, blue, and the opacity of each pixel, less where no mask was centred.
#[unsafe(no_mangle)]
extern "C" fn paint(
    mask_size: usize,
    stride: usize,
    width: usize,
    height: usize,
    limit: f32,
    colours: u32,
    smooth: u32,
) -> u32 {
    answer(|engine, data| {
        let values =
            data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let painted =
            Painted { mask_size, stride, canvas: [height, width], limit, colours, smooth: smooth != 0 };
        Ok(Answer { numbers: Vec::new(), bytes: engine.paint(&values.collect::<Vec<f32>>(), &painted)? })
    })
}

/// Returns the colours of a map from its lowest to its highest value, or those of the categories from 1
/// on, as bytes like [`paint`].
#[unsafe(no_mangle)]
extern "C" fn colour_bar(colours: u32) -> u32 {
    answer(|_, _| Ok(Answer { numbers: Vec::new(), bytes: engine::colour_bar(colours) }))
}

#[unsafe(no_mangle)]
extern "C" fn numbers() -> *const f32 {
    RESULT.with_borrow(|answer| answer.numbers.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn numbers_count() -> usize {
    RESULT.with_borrow(|answer| answer.numbers.len())
}

/// The bytes of the result; a text is in UTF-8.
#[unsafe(no_mangle)]
extern "C" fn bytes() -> *const u8 {
    RESULT.with_borrow(|answer| answer.bytes.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn bytes_count() -> usize {
    RESULT.with_borrow(|answer| answer.bytes.len())
}
