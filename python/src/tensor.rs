//! Classification and sweeps of prepared inputs, for the call shapes of other packages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Error, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Result, Score};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::array::Array;
use crate::cli::explanation::require_finite;
use crate::cli::terminal::threads::on_threads;
use crate::watch::cancellable;

/// The shape of an input: rows, columns, and blue, green, red.
pub const SHAPE: [usize; 3] = [INPUT_SIDE, INPUT_SIDE, 3];

/// Inputs one after the other, as the bytes of floats.
pub type Bytes = PyBackedBytes;

fn inputs(bytes: &Bytes) -> impl Iterator<Item = Result<Input>> {
    let length = SHAPE.iter().product::<usize>() * size_of::<f32>();
    bytes.chunks(length).map(|bytes| {
        Input::from_nhwc_bgr(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    })
}

/// The logits and the probabilities, `[n][classes]`.
pub fn predict(py: Python<'_>, net: &Arc<GoogLeNet>, bytes: Bytes) -> PyResult<(Array, Array)> {
    let net = net.clone();
    let classes = net.network().classes();
    let (logits, probabilities) = cancellable(py, move |is_cancelled| {
        on_threads(None, || {
            net.check_memory()?;
            let (mut logits, mut probabilities) = (Vec::new(), Vec::new());
            for input in inputs(&bytes) {
                if is_cancelled.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                let found = net.classify(&input?);
                logits.extend(found.logits);
                probabilities.extend(found.probabilities);
            }
            require_finite(&logits)?;
            Ok((logits, probabilities))
        })
    })?;
    let shape = [logits.len() / classes, classes];
    Ok((Array::new(logits, &shape), Array::new(probabilities, &shape)))
}

#[expect(clippy::too_many_arguments, reason = "the options of a sweep")]
pub fn sweep(
    py: Python<'_>,
    net: &Arc<GoogLeNet>,
    bytes: Bytes,
    class: usize,
    mask_size: [usize; 2],
    stride: [usize; 2],
    rgb: [f32; 3],
    [y0, x0, y1, x1]: [usize; 4],
    score: &str,
) -> PyResult<(f32, Array, Array)> {
    let net = net.clone();
    let score = if score == "logit" { Score::Logit } else { Score::Probability };
    let maps = cancellable(py, move |is_cancelled| {
        on_threads(None, || {
            let input = inputs(&bytes).next().unwrap_or_else(|| Input::from_nhwc_bgr(Vec::new()))?;
            let maps = OcclusionSensitivity::new(&net)
                .classes([class])
                .mask_size(mask_size)
                .stride(stride)
                .mask_value(MaskValue::Rgb(rgb))
                .mask_clipping(false)
                .region(Rect { y0, x0, y1, x1 })
                .score(score)
                .cancel(is_cancelled)
                .run(&input)?;
            require_finite(&maps.scores)?;
            Ok(maps)
        })
    })?;
    let [rows, columns] = maps.grid;
    let positions = (0..rows * columns).map(|i| maps.mask_rect(i / columns, i % columns));
    let rects = positions.flat_map(|Rect { y0, x0, y1, x1 }| [y0, x0, y1, x1]).collect();
    Ok((
        maps.base_scores[0],
        Array::new(maps.scores, &[rows * columns]),
        Array::new(rects, &[rows * columns, 4]),
    ))
}
