//! Occlusion sensitivity: how the score of a class changes when a mask hides a part of the image.
//!
//! Semantics and defaults are those of MATLAB's `occlusionSensitivity`; the idea is Zeiler and Fergus, "Visualizing and
//! understanding convolutional networks" (2014), section 4.2. The value at a mask position is
//! `score(unoccluded) - score(occluded)`: positive where the image holds evidence for the class. The chapter is
//! `docs/05-occlusion-map.md`.
//!
//! It holds the options, the grid of positions and their order, and the maps. It has `src/sweep/runner.rs` run the positions;
//! how a score is computed, and that most of the work is left out, is not known here.

pub(crate) mod batch;
pub(crate) mod channel_sum;
pub(crate) mod mask;
pub(crate) mod plan;
pub(crate) mod runner;

pub use channel_sum::Feature;
pub use mask::MaskValue;

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::forward::{Activations, Classification, GoogLeNet};
use crate::image::resize::{Upsampling, upsample};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, Network};
use crate::parallel;
use crate::profile::{Cost, Profile};
use crate::{Error, Input, Result};
use channel_sum::ChannelSum;
use mask::Mask;
use runner::BatchRunner;

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

/// Called from a sweep's threads.
pub type OnProgress<'a> = dyn Fn(Progress) -> ControlFlow<()> + Sync + 'a;

/// Called between a sweep's refinements.
pub type OnRefinement<'a> = dyn Fn(&Refinement) -> ControlFlow<()> + Sync + 'a;

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Mask positions done.
    pub done: usize,
    /// Mask positions in all.
    pub total: usize,
}

/// An occlusion sweep to be run on a network: options, then [`run`](OcclusionSensitivity::run). Options that are outside their
/// range are refused when it runs, or earlier by [`check`](OcclusionSensitivity::check).
///
/// ```
/// use occlude::{GoogLeNet, OcclusionSensitivity, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let sweep = OcclusionSensitivity::new(&net).mask_size([30, 30]).stride([15, 15]);
/// assert!(sweep.check().is_ok());
/// let error = sweep.stride([0, 15]).check().unwrap_err();
/// assert_eq!(error.to_string(), "stride 0x15 is not possible: expected height and width of 1 to 224 pixels");
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
pub struct OcclusionSensitivity<'a> {
    net: &'a GoogLeNet,
    mask_size: [usize; 2],
    stride: [usize; 2],
    mask_value: MaskValue,
    mask_clipping: bool,
    region: Rect,
    classes: Vec<usize>,
    choose: Option<&'a Choose<'a>>,
    features: Vec<Feature>,
    score: Score,
    exhaustive: bool,
    threads: usize,
    cancel: Option<&'a AtomicBool>,
    max_memory: usize,
}

/// The result of a sweep. Grids are row by row: element (row, column) of class `k` is
/// `[(k * ny + row) * nx + column]`.
///
/// ```
/// use occlude::network::geometry::Rect;
/// use occlude::{GoogLeNet, Input, OcclusionSensitivity, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let maps = OcclusionSensitivity::new(&net)
///     .classes([285, 7])
///     .mask_size([60, 60])
///     .stride([112, 112])
///     .run(&Input::from_nhwc_bgr(values)?)?;
/// let [ny, nx] = maps.grid;
/// assert_eq!([ny, nx], [2, 2]);
/// // The second class, with the mask at the second row and the first column of the grid.
/// let (k, row, column) = (1, 1, 0);
/// assert_eq!(maps.mask_rect(row, column), Rect { y0: 82, x0: 0, y1: 142, x1: 30 });
/// let score = maps.scores[(k * ny + row) * nx + column];
/// assert_eq!(maps.map(k)[row * nx + column], maps.base_scores[k] - score);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OcclusionMaps {
    /// Height and width of the mask in pixels.
    pub mask_size: [usize; 2],
    /// Step down and across in pixels.
    pub stride: [usize; 2],
    /// What the mask was filled with; a mean is the colour that it came to.
    pub mask_value: MaskValue,
    /// Whether masks are centred on the grid and clipped at the border.
    pub mask_clipping: bool,
    /// The part of the image, in pixels, that the sweep was restricted to.
    pub region: Rect,
    /// Which number the scores are.
    pub score: Score,
    /// Rows and columns of mask positions, `[ny, nx]`.
    pub grid: [usize; 2],
    /// Row and column of the first position among those of a sweep over the whole image: `[0, 0]` without a region.
    pub first: [usize; 2],
    /// The classes asked for, in that order; the predicted one if none was.
    pub classes: Vec<usize>,
    /// Their scores on the unoccluded image, one a class.
    pub base_scores: Vec<f32>,
    /// Their scores on the occluded image, `[class][ny][nx]`.
    pub scores: Vec<f32>,
    /// The most probable class at each position, `[ny][nx]`.
    pub argmax: Vec<usize>,
    /// Its score, `[ny][nx]`.
    pub argmax_scores: Vec<f32>,
    /// The features asked for, in that order.
    pub features: Vec<FeatureMap>,
    /// What the network says about the unoccluded image.
    pub classification: Classification,
}

/// A feature's total activation at each position.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureMap {
    /// The layer, as it was named.
    pub layer: String,
    /// The channel; the strongest one, if none was named.
    pub channel: usize,
    /// The channel's activations on the unoccluded image, summed over the plane: 0 or more, but for logits.
    pub base_total: f32,
    /// The same on the occluded image, `[ny][nx]`.
    pub totals: Vec<f32>,
}

impl FeatureMap {
    /// `total(unoccluded) - total(occluded)` at each position, `[ny][nx]`.
    pub fn map(&self) -> Vec<f32> {
        self.totals.iter().map(|total| self.base_total - total).collect()
    }
}

/// A sweep that is still running: a map of the whole grid, some of it by the values of neighbours.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refinement<'m> {
    /// Positions that have not been computed have the values of the nearest that has.
    pub maps: &'m OcclusionMaps,
    /// Every so many rows and columns of the grid have been computed.
    pub step: usize,
    /// How far the sweep is.
    pub progress: Progress,
}

/// Height and width of the mask unless another size is asked for: a fifth of the image.
pub const MASK_SIZE: [usize; 2] = [45, 45];

/// Steps through the grid, coarse to fine; each visits what those before have left out. The first visits a sixteenth.
const REFINEMENTS: [usize; 3] = [4, 2, 1];

impl<'a> OcclusionSensitivity<'a> {
    /// The default sweep: mask 45 x 45 (20 % of the image) filled with the image's mean, every 22 pixels, clipped at
    /// the border, for the predicted class's probability.
    pub fn new(net: &'a GoogLeNet) -> Self {
        OcclusionSensitivity {
            net,
            mask_size: MASK_SIZE,
            stride: [22, 22],
            mask_value: MaskValue::Auto,
            mask_clipping: true,
            region: Rect::plane(INPUT_SIDE),
            classes: Vec::new(),
            choose: None,
            features: Vec::new(),
            score: Score::Probability,
            exhaustive: false,
            threads: 0,
            cancel: None,
            max_memory: usize::MAX,
        }
    }

    /// Height and width of the mask in pixels, each 1..=224; MATLAB's `MaskSize`.
    pub fn mask_size(self, mask_size: [usize; 2]) -> Self {
        OcclusionSensitivity { mask_size, ..self }
    }

    /// Step between masks, down and across, in pixels, each 1..=224; MATLAB's `Stride`.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        OcclusionSensitivity { stride, ..self }
    }

    /// What the mask is filled with; [`MaskValue`] has the ranges.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        OcclusionSensitivity { mask_value, ..self }
    }

    /// On (the default): masks centred at 0, stride, 2 stride, ..., clipped at the border. Off: the first mask in
    /// the image's corner, every mask whole. MATLAB's `MaskClipping`.
    pub fn mask_clipping(self, mask_clipping: bool) -> Self {
        OcclusionSensitivity { mask_clipping, ..self }
    }

    /// Only the masks whose centre lies in this part of the image, in pixels, at most 224x224 (the default). Their results are
    /// those that the whole sweep has there. MONAI calls it `b_box`.
    pub fn region(self, region: Rect) -> Self {
        OcclusionSensitivity { region, ..self }
    }

    /// The classes to follow, each below the network's number of them; none (the default) for the predicted one. More cost
    /// nothing.
    pub fn classes(self, classes: impl Into<Vec<usize>>) -> Self {
        OcclusionSensitivity { classes: classes.into(), choose: None, ..self }
    }

    /// Chooses the classes to follow, as [`classes`](Self::classes) has them, when the unoccluded image has been classified:
    /// `&|classification| classification.top(3)`.
    pub fn choose_classes(self, choose: &'a Choose<'a>) -> Self {
        OcclusionSensitivity { choose: Some(choose), ..self }
    }

    /// Features to follow beside the classes: their total activations.
    pub fn features(self, features: impl Into<Vec<Feature>>) -> Self {
        OcclusionSensitivity { features: features.into(), ..self }
    }

    /// Which number to follow: the probability (the default), or the logit.
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

    /// A flag that stops the sweep when it is set, from any thread: within a few milliseconds, but not during the pass
    /// over the unoccluded image. [`run`](Self::run) then returns [`Error::Cancelled`].
    pub fn cancel(self, cancel: &'a AtomicBool) -> Self {
        OcclusionSensitivity { cancel: Some(cancel), ..self }
    }

    /// The most memory that the sweep may take while it runs, in bytes: fewer positions go side by side, and fewer threads work,
    /// where it would take more. Counted is what the sweep itself needs: activations of the unoccluded image and each thread's
    /// work. Not counted are the network (28 MB of weights for 1000 classes) and the result. The numbers do not depend on it.
    pub fn max_memory(self, max_memory: usize) -> Self {
        OcclusionSensitivity { max_memory, ..self }
    }

    /// Runs the sweep.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside its range, before anything is computed, and for a class that was chosen and does
    /// not exist; [`Error::Cancelled`] when the flag of [`cancel`](Self::cancel) was set.
    pub fn run(&self, input: &Input) -> Result<OcclusionMaps> {
        self.run_with_progress(input, &|_| ControlFlow::Continue(()))
    }

    /// Runs the sweep and calls `progress` from its threads after every few positions; `ControlFlow::Break` stops it.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Cancelled`] after a `Break`.
    pub fn run_with_progress(&self, input: &Input, progress: &OnProgress) -> Result<OcclusionMaps> {
        self.check()?;
        parallel::in_pool(self.threads, || Ok(self.sweep(input, progress, None)?.0))
    }

    /// Runs the sweep coarse to fine and calls `refined` when every fourth row and column of the grid has been computed, which
    /// takes about a tenth of the time, and again at every second one. The result is that of [`run`](Self::run), bit for bit.
    ///
    /// # Errors
    /// As [`run_with_progress`](Self::run_with_progress); `refined` may stop it, too.
    pub fn run_progressively(
        &self,
        input: &Input,
        progress: &OnProgress,
        refined: &OnRefinement,
    ) -> Result<OcclusionMaps> {
        self.check()?;
        parallel::in_pool(self.threads, || Ok(self.sweep(input, progress, Some(refined))?.0))
    }

    /// Runs the sweep for what each layer costs in it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&self, input: &Input) -> Result<Profile> {
        self.check()?;
        let start = Instant::now();
        let go_on = |_| ControlFlow::Continue(());
        let (maps, costs) = parallel::in_pool(self.threads, || self.sweep(input, &go_on, None))?;
        let positions = maps.grid[0] * maps.grid[1];
        Ok(Profile::new(self.net.network(), positions, start.elapsed().as_secs_f64(), costs))
    }

    /// Checks the options without an image: what a program that builds them from its own input asks before the photograph
    /// is there. Each way of running begins with it.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option outside its range. What [`choose_classes`](Self::choose_classes) will choose
    /// and whether the system can start so many [`threads`](Self::threads) is known when the sweep runs.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, found: String, expected: &str| {
            Err(Error::Option { name, found, expected: expected.to_string() })
        };
        for (name, [h, w]) in [("mask size", self.mask_size), ("stride", self.stride)] {
            if !(1..=INPUT_SIDE).contains(&h) || !(1..=INPUT_SIDE).contains(&w) {
                return refuse(name, format!("{h}x{w}"), "height and width of 1 to 224 pixels");
            }
        }
        self.mask_value.check()?;
        let Rect { y0, x0, y1, x1 } = self.region;
        let found = format!("{y0},{x0},{y1},{x1}");
        if self.region.is_empty() || y1 > INPUT_SIDE || x1 > INPUT_SIDE {
            return refuse(
                "region",
                found,
                "first row, first column and the ends of both, in 0 to 224, not empty",
            );
        }
        if (0..2).any(|axis| self.positions(axis).is_empty()) {
            return refuse("region", found, "a part of the image in which a mask has its centre");
        }
        self.features.iter().try_for_each(|feature| feature.check(self.net.network()))?;
        check_classes(&self.classes, self.net.network())
    }

    fn sweep(
        &self,
        input: &Input,
        progress: &OnProgress,
        refined: Option<&OnRefinement>,
    ) -> Result<(OcclusionMaps, Vec<Cost>)> {
        let fixed_memory = self.net.pass_memory();
        if fixed_memory > self.max_memory {
            return Err(Error::Option {
                name: "max memory",
                found: format!("{} bytes", self.max_memory),
                expected: format!("more than {fixed_memory} bytes, which the unoccluded image takes alone"),
            });
        }
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Error::Cancelled);
        }
        let base = self.net.forward(input);
        let classification = base.classification();
        let mut classes = self.choose.map_or_else(|| self.classes.clone(), |choose| choose(&classification));
        check_classes(&classes, self.net.network())?;
        if classes.is_empty() {
            classes.push(classification.best());
        }
        let channel_sums: Vec<ChannelSum> =
            self.features.iter().map(|f| ChannelSum::new(self.net, &base, f)).collect::<Result<_>>()?;
        let copies = BatchRunner {
            net: self.net,
            base: &base,
            cover: &self.mask_value.cover(self.net.network(), input),
            channel_sums: &channel_sums,
            exhaustive: self.exhaustive,
            cancel: self.cancel,
            max_memory: self.max_memory,
            fixed_memory,
            spare: Mutex::default(),
        };
        let mut maps = self.maps_before(input, &base, classification, classes, &channel_sums);
        let costs = match refined {
            None => {
                let order = serpentine(maps.grid, 1, None);
                fill(&mut maps, &copies, &order, 0, progress)?
            }
            Some(refined) => fill_coarse_to_fine(&mut maps, &copies, progress, refined)?,
        };
        Ok((maps, costs))
    }

    /// The maps before any position has been run.
    fn maps_before(
        &self,
        input: &Input,
        base: &Activations,
        classification: Classification,
        classes: Vec<usize>,
        channel_sums: &[ChannelSum],
    ) -> OcclusionMaps {
        let (rows, columns) = (self.positions(0), self.positions(1));
        let count = rows.len() * columns.len();
        let feature_map = |(feature, watch): (&Feature, &ChannelSum)| FeatureMap {
            layer: feature.layer.clone(),
            channel: watch.named_channel(),
            base_total: watch.unoccluded(base),
            totals: vec![0.0; count],
        };
        OcclusionMaps {
            mask_size: self.mask_size,
            stride: self.stride,
            mask_value: self.mask_value.resolve(input),
            mask_clipping: self.mask_clipping,
            region: self.region,
            score: self.score,
            grid: [rows.len(), columns.len()],
            first: [rows.start, columns.start],
            base_scores: classes.iter().map(|&c| scores_of(self.score, &classification)[c]).collect(),
            scores: vec![0.0; classes.len() * count],
            argmax: vec![0; count],
            argmax_scores: vec![0.0; count],
            features: self.features.iter().zip(channel_sums).map(feature_map).collect(),
            classes,
            classification,
        }
    }

    /// Along an axis, which of the whole image's mask positions lie in the region.
    fn positions(&self, axis: usize) -> Range<usize> {
        let all = whole_grid(self.mask_size, self.stride, self.mask_clipping)[axis];
        let (start, end) = [(self.region.y0, self.region.y1), (self.region.x0, self.region.x1)][axis];
        let before = |limit: usize| {
            (0..all)
                .filter(|&i| centre(self.mask_size, self.stride, self.mask_clipping, axis, i) < limit)
                .count()
        };
        before(start)..before(end)
    }
}

impl OcclusionMaps {
    /// The map of the `k`-th class asked for, `[ny][nx]`: `score(unoccluded) - score(occluded)`.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn map(&self, k: usize) -> Vec<f32> {
        let count = self.grid[0] * self.grid[1];
        self.scores[k * count..(k + 1) * count].iter().map(|s| self.base_scores[k] - s).collect()
    }

    /// The map of the `k`-th class asked for, enlarged to its [`area`](Self::area), `[height][width]`: 224x224 without a
    /// region. Or the grid itself, `[ny][nx]`, for [`Upsampling::None`].
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn upsampled(&self, k: usize, upsampling: Upsampling) -> Vec<f32> {
        let ([ny, nx], area) = (self.grid, self.area());
        upsample(&self.map(k), ny, nx, area.height(), area.width(), upsampling)
    }

    /// The part of the image that the grid stands for: its share of the 224x224 pixels, as that of the whole grid is all.
    pub fn area(&self) -> Rect {
        let whole = whole_grid(self.mask_size, self.stride, self.mask_clipping);
        // The first pixel whose middle lies in the cell or after it.
        let pixel = |axis: usize, cell: usize| (2 * cell * INPUT_SIDE).div_ceil(whole[axis]) / 2;
        let edges = |axis: usize| {
            let (first, count) = (self.first[axis], self.grid[axis]);
            (pixel(axis, first), pixel(axis, first + count))
        };
        let ((y0, y1), (x0, x1)) = (edges(0), edges(1));
        Rect { y0, x0, y1, x1 }
    }

    /// The drops of the `k`-th class spread over the pixels, `[224][224]`: a pixel has the mean of the map's values at
    /// all positions whose mask covers it, and 0 if none does. Captum's `Occlusion`, whose windows are those of
    /// [`mask_clipping`](OcclusionSensitivity::mask_clipping) off where the stride divides 224 minus the mask's size.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn attributions(&self, k: usize) -> Vec<f32> {
        let mut sums = vec![(0.0f64, 0u32); INPUT_SIDE * INPUT_SIDE];
        for (i, drop) in self.map(k).into_iter().enumerate() {
            let rect = self.mask_rect(i / self.grid[1], i % self.grid[1]);
            for y in rect.y0..rect.y1 {
                for (sum, count) in &mut sums[y * INPUT_SIDE..][rect.x0..rect.x1] {
                    *sum += f64::from(drop);
                    *count += 1;
                }
            }
        }
        sums.into_iter().map(|(sum, count)| (sum / f64::from(count.max(1))) as f32).collect()
    }

    /// Row and column of the pixel that the mask at a grid position is centred on: `floor(size / 2)` from its first
    /// row and column, clipped or not.
    pub fn centre(&self, row: usize, column: usize) -> [usize; 2] {
        let at = [row, column];
        std::array::from_fn(|axis| {
            centre(self.mask_size, self.stride, self.mask_clipping, axis, self.first[axis] + at[axis])
        })
    }

    /// Pixels of the image that the mask at a grid position covered.
    pub fn mask_rect(&self, row: usize, column: usize) -> Rect {
        Rect::centred(self.centre(row, column), self.mask_size, INPUT_SIDE)
    }

    fn record(&mut self, position: usize, result: &Classification, totals: &[f32]) {
        let count = self.grid[0] * self.grid[1];
        let all = scores_of(self.score, result);
        for (k, &class) in self.classes.iter().enumerate() {
            self.scores[k * count + position] = all[class];
        }
        let best = result.best();
        self.argmax[position] = best;
        self.argmax_scores[position] = all[best];
        for (feature, &total) in self.features.iter_mut().zip(totals) {
            feature.totals[position] = total;
        }
    }

    /// The maps with each position's values replaced by those of the nearest among every `step`-th row and column.
    fn with_neighbours(&self, step: usize) -> OcclusionMaps {
        let [ny, nx] = self.grid;
        let nearest = |at: usize, n: usize| ((at + step / 2) / step).min((n - 1) / step) * step;
        let from = |i: usize| nearest(i / nx, ny) * nx + nearest(i % nx, nx);
        let count = ny * nx;
        let spread =
            |values: &[f32]| (0..values.len()).map(|i| values[i / count * count + from(i % count)]).collect();
        let mut maps = self.clone();
        maps.scores = spread(&self.scores);
        maps.argmax = (0..count).map(|i| self.argmax[from(i)]).collect();
        maps.argmax_scores = spread(&self.argmax_scores);
        for feature in &mut maps.features {
            feature.totals = spread(&feature.totals);
        }
        maps
    }
}

/// Runs some positions and writes their scores into the maps; `before` positions have been run already. Returns what each layer
/// has cost since the first of them.
fn fill(
    maps: &mut OcclusionMaps,
    copies: &BatchRunner,
    order: &[usize],
    before: usize,
    progress: &OnProgress,
) -> Result<Vec<Cost>> {
    let [ny, nx] = maps.grid;
    let rects: Vec<Rect> = (0..ny * nx).map(|i| maps.mask_rect(i / nx, i % nx)).collect();
    let done = AtomicUsize::new(before);
    let shared = Mutex::new(maps);
    copies.run(
        order,
        |i| rects[i],
        |i| Mask::rectangle(rects[i]),
        |positions, answers| {
            let mut maps = shared.lock().expect("no panic while it is held");
            for (&i, (classification, totals)) in positions.iter().zip(&answers) {
                maps.record(i, classification, totals);
            }
            drop(maps);
            let done = done.fetch_add(positions.len(), Ordering::Relaxed) + positions.len();
            progress(Progress { done, total: ny * nx })
        },
    )
}

/// [`fill`] for all positions, those of the coarsest grid first; after each but the last step, the maps so far go to `refined`.
fn fill_coarse_to_fine(
    maps: &mut OcclusionMaps,
    copies: &BatchRunner,
    progress: &OnProgress,
    refined: &OnRefinement,
) -> Result<Vec<Cost>> {
    let total = maps.grid[0] * maps.grid[1];
    let (mut done, mut costs) = (0, Vec::new());
    for (i, &step) in REFINEMENTS.iter().enumerate() {
        let order = serpentine(maps.grid, step, i.checked_sub(1).map(|before| REFINEMENTS[before]));
        costs = fill(maps, copies, &order, done, progress)?;
        done += order.len();
        if step > 1 {
            let maps = &maps.with_neighbours(step);
            let progress = Progress { done, total };
            if refined(&Refinement { maps, step, progress }).is_break() {
                return Err(Error::Cancelled);
            }
        }
    }
    Ok(costs)
}

pub(crate) fn check_classes(classes: &[usize], network: &Network) -> Result<()> {
    match classes.iter().find(|&&class| class >= network.classes()) {
        Some(class) => Err(Error::Option {
            name: "class",
            found: class.to_string(),
            expected: format!("an index of 0 to {}", network.classes() - 1),
        }),
        None => Ok(()),
    }
}

pub(crate) fn scores_of(score: Score, classification: &Classification) -> &[f32] {
    match score {
        Score::Probability => &classification.probabilities,
        Score::Logit => &classification.logits,
    }
}

/// Rows and columns of mask positions over the whole image.
fn whole_grid(size: [usize; 2], stride: [usize; 2], clipping: bool) -> [usize; 2] {
    std::array::from_fn(|axis| {
        // With clipping the centres are 0, s, 2s, ... < 224; without, the corners leave every mask inside.
        let room = if clipping { INPUT_SIDE } else { INPUT_SIDE - size[axis] + 1 };
        room.div_ceil(stride[axis])
    })
}

/// The pixel, along an axis, that the `i`-th mask is centred on: `floor(size / 2)` from its first one, clipped or not.
fn centre(size: [usize; 2], stride: [usize; 2], clipping: bool, axis: usize, i: usize) -> usize {
    i * stride[axis] + if clipping { 0 } else { size[axis] / 2 }
}

/// Indices of the positions at every `step`-th row and column of a grid, without those at every `coarser`-th, in an order
/// that keeps neighbours together: bands of two rows, there and back, column by column, so that any eight in a row
/// are (nearly) a block of two by four.
fn serpentine([ny, nx]: [usize; 2], step: usize, coarser: Option<usize>) -> Vec<usize> {
    let is_new = |y: usize, x: usize| coarser.is_none_or(|c| !y.is_multiple_of(c) || !x.is_multiple_of(c));
    let mut order = Vec::with_capacity(ny.div_ceil(step) * nx.div_ceil(step));
    for (band, y0) in (0..ny).step_by(2 * step).enumerate() {
        let columns = (0..nx).step_by(step);
        let mut visit = |x: usize| {
            let rows = (y0..ny.min(y0 + 2 * step)).step_by(step);
            order.extend(rows.filter(|&y| is_new(y, x)).map(|y| y * nx + x));
        };
        if band % 2 == 0 { columns.for_each(&mut visit) } else { columns.rev().for_each(&mut visit) }
    }
    order
}
