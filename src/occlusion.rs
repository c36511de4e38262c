//! Occlusion sensitivity: how the score of a class changes when a mask hides a part of the image.
//!
//! Semantics and defaults are those of MATLAB's `occlusionSensitivity`; the idea is Zeiler and Fergus, "Visualizing and
//! understanding convolutional networks" (2014), section 4.2. The value at a mask position is
//! `score(unoccluded) - score(occluded)`: positive where the image holds evidence for the class.

use crate::googlenet::{Activations, Classification, GoogLeNet};
use crate::group::{Group, Scratch};
use crate::kernels::COLUMNS;
use crate::network::{CLASSES, INPUT_SIDE, MEAN_BGR};
use crate::profile::{Cost, Profile, sum};
use crate::rect::Rect;
use crate::resize::{Upsampling, upsample};
use crate::{Error, Input, Result};
use rayon::ThreadPoolBuilder;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// What the mask is filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum MaskValue {
    /// The mean of each channel of the image that is explained. The default.
    #[default]
    Auto,
    /// The mean of the training images: 0 in network space.
    TrainingMean,
    /// Red, green, blue, on the scale 0..=255 of the image; values beyond are allowed if finite.
    Rgb([f32; 3]),
}

/// Which number of the network a map follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Score {
    /// The class's probability after softmax, 0..=1. The default.
    #[default]
    Probability,
    /// The class's logit, before softmax, unbounded.
    Logit,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Score::Probability => "probability",
            Score::Logit => "logit",
        })
    }
}

/// Chooses classes by what the network says about the unoccluded image.
pub type Choose<'a> = dyn Fn(&Classification) -> Vec<usize> + Sync + 'a;

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Mask positions done.
    pub done: usize,
    /// Mask positions in all.
    pub total: usize,
}

/// An occlusion sweep to be run on a network: options, then [`run`](OcclusionSensitivity::run).
#[derive(Clone)]
pub struct OcclusionSensitivity<'a> {
    net: &'a GoogLeNet,
    mask_size: [usize; 2],
    stride: [usize; 2],
    mask_value: MaskValue,
    mask_clipping: bool,
    classes: Vec<usize>,
    choose: Option<&'a Choose<'a>>,
    score: Score,
    exhaustive: bool,
    threads: usize,
}

/// The result of a sweep. Grids are row by row: element (row, column) of class `k` is
/// `[(k * ny + row) * nx + column]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OcclusionMaps {
    /// Height and width of the mask in pixels.
    pub mask_size: [usize; 2],
    /// Step down and across in pixels.
    pub stride: [usize; 2],
    /// What the mask was filled with: red, green, blue, 0..=255.
    pub mask_rgb: [f32; 3],
    /// Whether masks are centred on the grid and clipped at the border.
    pub mask_clipping: bool,
    /// Which number the scores are.
    pub score: Score,
    /// Rows and columns of mask positions, `[ny, nx]`.
    pub grid: [usize; 2],
    /// The classes asked for.
    pub classes: Vec<usize>,
    /// Their scores on the unoccluded image, one a class.
    pub base_scores: Vec<f32>,
    /// Their scores on the occluded image, `[class][ny][nx]`.
    pub scores: Vec<f32>,
    /// The most probable class at each position, `[ny][nx]`.
    pub argmax: Vec<usize>,
    /// Its score, `[ny][nx]`.
    pub argmax_scores: Vec<f32>,
    /// What the network says about the unoccluded image.
    pub classification: Classification,
}

impl<'a> OcclusionSensitivity<'a> {
    /// The default sweep: mask 45 x 45 (20 % of the image) filled with the image's mean, every 22 pixels, clipped at
    /// the border, for the predicted class's probability.
    pub fn new(net: &'a GoogLeNet) -> Self {
        OcclusionSensitivity {
            net,
            mask_size: [45, 45],
            stride: [22, 22],
            mask_value: MaskValue::Auto,
            mask_clipping: true,
            classes: Vec::new(),
            choose: None,
            score: Score::Probability,
            exhaustive: false,
            threads: 0,
        }
    }

    /// Height and width of the mask in pixels, each 1..=224.
    pub fn mask_size(self, mask_size: [usize; 2]) -> Self {
        OcclusionSensitivity { mask_size, ..self }
    }

    /// Step between masks, down and across, in pixels, each 1..=224.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        OcclusionSensitivity { stride, ..self }
    }

    /// What the mask is filled with.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        OcclusionSensitivity { mask_value, ..self }
    }

    /// On (the default): masks centred at 0, stride, 2 stride, ..., clipped at the border. Off: the first mask in
    /// the image's corner, every mask whole.
    pub fn mask_clipping(self, mask_clipping: bool) -> Self {
        OcclusionSensitivity { mask_clipping, ..self }
    }

    /// The classes to follow, each below 1000; none (the default) for the predicted one. More cost nothing.
    pub fn classes(self, classes: impl Into<Vec<usize>>) -> Self {
        OcclusionSensitivity { classes: classes.into(), choose: None, ..self }
    }

    /// Chooses the classes to follow, as [`classes`](Self::classes) has them, when the unoccluded image has been classified:
    /// `&|classification| classification.top(3)`.
    pub fn choose_classes(self, choose: &'a Choose<'a>) -> Self {
        OcclusionSensitivity { choose: Some(choose), ..self }
    }

    /// Which number to follow.
    pub fn score(self, score: Score) -> Self {
        OcclusionSensitivity { score, ..self }
    }

    /// Recompute the whole network at each position instead of what the mask can have changed: the same bits, slower.
    pub fn exhaustive(self, exhaustive: bool) -> Self {
        OcclusionSensitivity { exhaustive, ..self }
    }

    /// Number of threads, in a pool of the sweep's own; 0 (the default) for the current rayon pool.
    pub fn threads(self, threads: usize) -> Self {
        OcclusionSensitivity { threads, ..self }
    }

    /// Runs the sweep.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside its range, before anything is computed.
    pub fn run(&self, input: &Input) -> Result<OcclusionMaps> {
        self.run_with_progress(input, &|_| ControlFlow::Continue(()))
    }

    /// Runs the sweep and calls `progress` from its threads after every few positions; `ControlFlow::Break` stops it.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Cancelled`] after a `Break`.
    pub fn run_with_progress(
        &self,
        input: &Input,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<OcclusionMaps> {
        self.check()?;
        on_threads(self.threads, || Ok(self.sweep(input, progress)?.0))
    }

    /// Runs the sweep for what each layer costs in it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&self, input: &Input) -> Result<Profile> {
        self.check()?;
        let start = Instant::now();
        let go_on = |_| ControlFlow::Continue(());
        let (maps, costs) = on_threads(self.threads, || self.sweep(input, &go_on))?;
        let positions = maps.grid[0] * maps.grid[1];
        Ok(Profile::new(self.net.network(), positions, start.elapsed().as_secs_f64(), costs))
    }

    fn check(&self) -> Result<()> {
        let refuse = |name, found: String, expected: &str| {
            Err(Error::Option { name, found, expected: expected.to_string() })
        };
        for (name, [h, w]) in [("mask size", self.mask_size), ("stride", self.stride)] {
            if !(1..=INPUT_SIDE).contains(&h) || !(1..=INPUT_SIDE).contains(&w) {
                return refuse(name, format!("{h}x{w}"), "height and width of 1 to 224 pixels");
            }
        }
        if let MaskValue::Rgb(rgb) = self.mask_value
            && !rgb.iter().all(|v| v.is_finite())
        {
            return refuse("mask value", format!("{rgb:?}"), "finite numbers, usually 0 to 255");
        }
        check_classes(&self.classes)
    }

    fn sweep(
        &self,
        input: &Input,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<(OcclusionMaps, Vec<Cost>)> {
        let base = self.net.forward(input);
        let classification = base.classification();
        let mut classes = self.choose.map_or_else(|| self.classes.clone(), |choose| choose(&classification));
        check_classes(&classes)?;
        if classes.is_empty() {
            classes.push(classification.best());
        }
        let mask_rgb = match self.mask_value {
            MaskValue::Auto => mean_rgb(input),
            MaskValue::TrainingMean => [MEAN_BGR[2], MEAN_BGR[1], MEAN_BGR[0]],
            MaskValue::Rgb(rgb) => rgb,
        };
        let mut maps = OcclusionMaps {
            mask_size: self.mask_size,
            stride: self.stride,
            mask_rgb,
            mask_clipping: self.mask_clipping,
            score: self.score,
            grid: self.grid(),
            base_scores: classes.iter().map(|&c| self.score_of(&classification)[c]).collect(),
            scores: Vec::new(),
            argmax: Vec::new(),
            argmax_scores: Vec::new(),
            classes,
            classification,
        };
        let count = maps.grid[0] * maps.grid[1];
        maps.scores = vec![0.0; maps.classes.len() * count];
        maps.argmax = vec![0; count];
        maps.argmax_scores = vec![0.0; count];
        let costs = self.fill(&base, &mut maps, progress)?;
        Ok((maps, costs))
    }

    /// Rows and columns of mask positions.
    fn grid(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            // With clipping the centres are 0, s, 2s, ... < 224; without, the corners leave every mask inside.
            let room = if self.mask_clipping { INPUT_SIDE } else { INPUT_SIDE - self.mask_size[axis] + 1 };
            room.div_ceil(self.stride[axis])
        })
    }

    /// Runs all positions and writes their scores into the maps; what each layer has cost.
    fn fill(
        &self,
        base: &Activations,
        maps: &mut OcclusionMaps,
        progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<Cost>> {
        let fill: [f32; 3] = std::array::from_fn(|c| maps.mask_rgb[2 - c] - MEAN_BGR[c]);
        let order = serpentine(maps.grid);
        let groups = groups(&order, rayon::current_num_threads());
        let total = order.len();
        let (next, done, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Mutex::new(maps);
        // One loop a thread, so that each allocates its scratch memory once; groups go to whoever is free.
        let costs = rayon::broadcast(|_| {
            let mut scratch = Scratch::new(self.net.network(), base);
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= groups.len() || stop.load(Ordering::Relaxed) {
                    return scratch.costs;
                }
                let nx = shared.lock().expect("no panic while it is held").grid[1];
                let masks: Vec<Rect> = groups[at]
                    .iter()
                    .map(|&i| mask_rect(self.mask_size, self.stride, self.mask_clipping, i / nx, i % nx))
                    .collect();
                let group = Group { net: self.net, base, masks: &masks, fill, exhaustive: self.exhaustive };
                let results = group.run(&mut scratch);
                let results: Vec<Classification> = results.into_iter().map(Classification::new).collect();
                let mut maps = shared.lock().expect("no panic while it is held");
                for (&i, result) in groups[at].iter().zip(&results) {
                    maps.record(i, result);
                }
                drop(maps);
                let done = done.fetch_add(results.len(), Ordering::Relaxed) + results.len();
                if progress(Progress { done, total }).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        if stop.into_inner() { Err(Error::Cancelled) } else { Ok(sum(costs)) }
    }

    fn score_of<'c>(&self, classification: &'c Classification) -> &'c [f32] {
        scores_of(self.score, classification)
    }
}

fn check_classes(classes: &[usize]) -> Result<()> {
    match classes.iter().find(|&&class| class >= CLASSES) {
        Some(class) => Err(Error::Option {
            name: "class",
            found: class.to_string(),
            expected: "an index of 0 to 999".to_string(),
        }),
        None => Ok(()),
    }
}

/// Runs something in a pool of `threads` threads of its own, or in the current one if that is 0.
fn on_threads<T: Send>(threads: usize, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if threads == 0 {
        return run();
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| Error::Option {
        name: "number of threads",
        found: threads.to_string(),
        expected: format!("as many as the system can start ({e})"),
    })?;
    pool.install(run)
}

fn scores_of(score: Score, classification: &Classification) -> &[f32] {
    match score {
        Score::Probability => &classification.probabilities,
        Score::Logit => &classification.logits,
    }
}

/// Pixels that the mask at a grid position covers.
fn mask_rect(size: [usize; 2], stride: [usize; 2], clipping: bool, row: usize, column: usize) -> Rect {
    let range = |axis: usize, i: usize| {
        let at = i * stride[axis];
        if !clipping {
            return (at, at + size[axis]);
        }
        let half = size[axis] / 2;
        (at.saturating_sub(half), (at + size[axis] - half).min(INPUT_SIDE))
    };
    let ((y0, y1), (x0, x1)) = (range(0, row), range(1, column));
    Rect { y0, x0, y1, x1 }
}

/// Indices of a grid's positions in an order that keeps neighbours together: bands of two rows, there and back, column
/// by column, so that any eight in a row are (nearly) a block of two by four.
fn serpentine([ny, nx]: [usize; 2]) -> Vec<usize> {
    let mut order = Vec::with_capacity(ny * nx);
    for (band, y0) in (0..ny).step_by(2).enumerate() {
        for i in 0..nx {
            let x = if band % 2 == 0 { i } else { nx - 1 - i };
            order.extend((y0..ny.min(y0 + 2)).map(|y| y * nx + x));
        }
    }
    order
}

/// The positions in groups for the kernels' columns. The last few groups are half as large, so that no thread waits long
/// for another in the end.
fn groups(order: &[usize], threads: usize) -> Vec<&[usize]> {
    let (last, few) = if threads > 1 { (threads * COLUMNS, COLUMNS / 2) } else { (0, COLUMNS) };
    let whole = order.len().saturating_sub(last) / COLUMNS * COLUMNS;
    order[..whole].chunks(COLUMNS).chain(order[whole..].chunks(few)).collect()
}

/// The mean of each channel of the image, red, green, blue, 0..=255.
fn mean_rgb(input: &Input) -> [f32; 3] {
    std::array::from_fn(|c| {
        let channel = 2 - c;
        let sum: f64 = input.values().iter().skip(channel).step_by(3).map(|&v| f64::from(v)).sum();
        (sum / (INPUT_SIDE * INPUT_SIDE) as f64 + f64::from(MEAN_BGR[channel])) as f32
    })
}

impl OcclusionMaps {
    fn record(&mut self, position: usize, result: &Classification) {
        let count = self.grid[0] * self.grid[1];
        let all = scores_of(self.score, result);
        for (k, &class) in self.classes.iter().enumerate() {
            self.scores[k * count + position] = all[class];
        }
        let best = result.best();
        self.argmax[position] = best;
        self.argmax_scores[position] = all[best];
    }

    /// The map of the `k`-th class asked for, `[ny][nx]`: `score(unoccluded) - score(occluded)`.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn map(&self, k: usize) -> Vec<f32> {
        let count = self.grid[0] * self.grid[1];
        self.scores[k * count..(k + 1) * count].iter().map(|s| self.base_scores[k] - s).collect()
    }

    /// The map of the `k`-th class asked for, enlarged to the image: `[224][224]`, or the grid itself,
    /// `[ny][nx]`, for [`Upsampling::None`].
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn upsampled(&self, k: usize, upsampling: Upsampling) -> Vec<f32> {
        let [ny, nx] = self.grid;
        upsample(&self.map(k), ny, nx, INPUT_SIDE, INPUT_SIDE, upsampling)
    }

    /// Row and column of the pixel that the mask at a grid position is centred on: `floor(size / 2)` from its first
    /// row and column, clipped or not.
    pub fn centre(&self, row: usize, column: usize) -> [usize; 2] {
        let at = [row * self.stride[0], column * self.stride[1]];
        match self.mask_clipping {
            true => at,
            false => [at[0] + self.mask_size[0] / 2, at[1] + self.mask_size[1] / 2],
        }
    }

    /// Pixels of the image that the mask at a grid position covered.
    pub fn mask_rect(&self, row: usize, column: usize) -> Rect {
        mask_rect(self.mask_size, self.stride, self.mask_clipping, row, column)
    }
}
