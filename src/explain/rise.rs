//! RISE: a map from the scores of many randomly masked copies of the image.
//!
//! After Petsiuk, Das and Saenko, "RISE: Randomized input sampling for explanation of black-box models"
//! (2018). A small grid of cells, each visible with a probability, is enlarged bilinearly to a little more
//! than the image and cut out at a random place. The image is mixed with a fill by this mask. The value of a
//! pixel is the mean of the scores times the mask at this pixel, divided by the probability: about the mean
//! score of the copies that show the pixel.
//!
//! Every mask changes the whole image, so computing only what a mask changes saves next to nothing here;
//! [`RiseMaps::profile`] has the numbers. `src/sweep/runner.rs` runs the copies.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::forward::{Classification, GoogLeNet};
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;
use crate::profile::Profile;
use crate::stopwatch::Stopwatch;
use crate::sweep::coverage::Coverage;
use crate::sweep::mask::Masks;
use crate::sweep::runner::BatchRunner;
use crate::sweep::{MaskValue, OnProgress, Progress, Score, check_classes};
use crate::weights::splitmix64;
use crate::{Error, Input, Result, memory};

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

/// The number of masks between two estimates of the error. It is fixed, so that the number of masks of a
/// result does not depend on the threads. It is a multiple of all numbers of positions in a batch.
const ROUND: usize = 64;

/// Bytes for each pixel of a class: two sums in f64, a map and its errors, and those of an estimate.
const CLASS_BYTES: usize = 2 * 8 + 4 * 4;

/// The largest number of masks.
pub const MAX_MASKS: usize = 1_000_000;

/// The options of RISE on a network, and [`run`](Rise::run).
///
/// ```
/// use occlude::{GoogLeNet, Input, Rise, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let rise = Rise::new(&net).masks(4).seed(7);
/// let found = rise.run(&Input::from_nhwc_bgr(values)?, &[285])?;
/// assert_eq!((found.masks, found.maps[0].len()), (4, 224 * 224));
/// // The mask shows each pixel with a weight of 0 (covered) to 1 (visible).
/// assert!(rise.mask(0).iter().all(|weight| (0.0..=1.0).contains(weight)));
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct Rise<'a> {
    net: &'a GoogLeNet,
    grid: [usize; 2],
    probability: f32,
    masks: usize,
    precision: Option<f32>,
    seed: u64,
    mask_value: MaskValue,
    score: Score,
    on_progress: Option<&'a OnProgress<'a>>,
}

/// The result of RISE.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RiseMaps {
    /// The classes, in the order in which they were asked for.
    pub classes: Vec<usize>,
    /// For each class, its score for the whole image.
    pub base_scores: Vec<f32>,
    /// For each class, the value of each pixel, `[224][224]`, in the unit of the score.
    pub maps: Vec<Vec<f32>>,
    /// The estimated standard error of each of these values.
    pub standard_errors: Vec<Vec<f32>>,
    /// For each class, the root mean square of the standard errors, as a share of the distance between the
    /// smallest and the largest value of the map; infinite for a constant map and for a single mask.
    pub precisions: Vec<f32>,
    /// The number of masks.
    pub masks: usize,
    /// The fill; a mean is given as the colour that it was.
    pub mask_value: MaskValue,
    /// The classification of the whole image.
    pub classification: Classification,
    /// The multiply-adds of the masked copies.
    pub profile: Profile,
}

/// The sums of a class over masks, for each pixel.
struct Sums {
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl fmt::Debug for Rise<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rise")
            .field("grid", &self.grid)
            .field("probability", &self.probability)
            .field("masks", &self.masks)
            .field("precision", &self.precision)
            .field("seed", &self.seed)
            .field("mask_value", &self.mask_value)
            .field("score", &self.score)
            .finish_non_exhaustive()
    }
}

impl<'a> Rise<'a> {
    /// The default: 1000 masks from grids of 7x7 cells, each visible with a probability of 0.5, over the
    /// mean of the training images, for the class's probability. Grid and probability are the paper's, the
    /// fill is that of the authors' program.
    pub fn new(net: &'a GoogLeNet) -> Self {
        Rise {
            net,
            grid: [7, 7],
            probability: 0.5,
            masks: 1000,
            precision: None,
            seed: 1,
            mask_value: MaskValue::TrainingMean,
            score: Score::Probability,
            on_progress: None,
        }
    }

    /// Rows and columns of cells, each 1..=112.
    pub fn grid(self, grid: [usize; 2]) -> Self {
        Rise { grid, ..self }
    }

    /// The probability that a cell is visible, above 0 and below 1.
    pub fn probability(self, probability: f32) -> Self {
        Rise { probability, ..self }
    }

    /// The largest number of masks, 1..=[`MAX_MASKS`].
    pub fn masks(self, masks: usize) -> Self {
        Rise { masks, ..self }
    }

    /// Stops before the last mask when [`RiseMaps::precisions`] of all classes are at most this, above 0;
    /// `None` (the default) runs all masks. It is looked at after every 64 masks.
    pub fn precision(self, precision: Option<f32>) -> Self {
        Rise { precision, ..self }
    }

    /// The seed of the masks.
    pub fn seed(self, seed: u64) -> Self {
        Rise { seed, ..self }
    }

    /// Sets the fill, which shows where a mask is 0: the mean of the training images (the default), or
    /// another that is the same for all masks.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        Rise { mask_value, ..self }
    }

    /// The score: the probability (the default), the logit, or a number made of several classes.
    pub fn score(self, score: Score) -> Self {
        Rise { score, ..self }
    }

    /// Calls `f` after every few masks, from several threads; `ControlFlow::Break` stops the run.
    pub fn on_progress(self, f: &'a OnProgress<'a>) -> Self {
        Rise { on_progress: Some(f), ..self }
    }

    /// Checks the options without an image; [`run`](Self::run) begins with it.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option outside its range.
    pub fn check(&self) -> Result<()> {
        self.mask_value.check_fixed()?;
        let [height, width] = self.grid;
        let sides = 1..=INPUT_SIDE / 2;
        if !sides.contains(&height) || !sides.contains(&width) {
            return Err(Error::option("grid", format!("{height}x{width}"), "1 to 112 rows and columns"));
        }
        if !(self.probability > 0.0 && self.probability < 1.0) {
            return Err(Error::option("probability", self.probability, "above 0 and below 1"));
        }
        if !(1..=MAX_MASKS).contains(&self.masks) {
            return Err(Error::option("number of masks", self.masks, format!("1 to {MAX_MASKS}")));
        }
        match self.precision {
            Some(precision) if !(precision > 0.0 && precision.is_finite()) => {
                Err(Error::option("precision", precision, "a number above 0"))
            }
            _ => self.score.check(self.net.network()),
        }
    }

    /// The `i`-th mask: how far each pixel is visible, 0..=1, `[224][224]`.
    ///
    /// The `i`-th output of splitmix64 with the run's seed is the seed of the mask. The upper 24 bits of
    /// this generator's outputs, divided by 2^24, are compared with the probability, cell by cell; the next
    /// two outputs are the shifts down and across.
    pub fn mask(&self, i: usize) -> Vec<f32> {
        let seed = splitmix64(self.seed).nth(i).expect("endless");
        let mut random = splitmix64(seed);
        let mut next = || random.next().expect("endless");
        let [rows, columns] = self.grid;
        // Numbers of 24 bits are exact.
        let cells: Vec<f64> = (0..rows * columns)
            .map(|_| f64::from(u8::from(((next() >> 40) as f32 / (1 << 24) as f32) < self.probability)))
            .collect();
        let taps = self.grid.map(|cells| {
            let cell = INPUT_SIDE.div_ceil(cells);
            let shift = ((u128::from(next()) * cell as u128) >> 64) as usize;
            let share = cells as f64 / ((cells + 1) * cell) as f64;
            let tap = |pixel: usize| {
                let at = ((shift + pixel) as f64 + 0.5) * share - 0.5;
                // The grid continues as its mirror image, without repeating the outermost cells.
                let last = (cells - 1) as f64;
                let at = at.abs().min((2.0 * last - at).abs()).clamp(0.0, last);
                let before = (at as usize).min(cells.saturating_sub(2));
                (before, (before + 1).min(cells - 1), at - before as f64)
            };
            (0..INPUT_SIDE).map(tap).collect::<Vec<_>>()
        });
        let mut mask = Vec::with_capacity(PIXELS);
        for &(above, below, down) in &taps[0] {
            for &(left, right, across) in &taps[1] {
                let row = |y: usize| {
                    let [a, b] = [cells[y * columns + left], cells[y * columns + right]];
                    a + (b - a) * across
                };
                let [a, b] = [row(above), row(below)];
                mask.push((a + (b - a) * down) as f32);
            }
        }
        mask
    }

    /// Runs RISE for some classes, on the threads of the current rayon pool. All classes share the masks.
    /// The bits do not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Option`] for an option or a class outside its range; [`Error::Cancelled`] when the callback
    /// stops the run; [`Error::Memory`].
    pub fn run(&self, input: &Input, classes: &[usize]) -> Result<RiseMaps> {
        self.check()?;
        check_classes(classes, self.net.network())?;
        memory::require("the sums and maps of RISE", classes.len().saturating_mul(PIXELS * CLASS_BYTES))?;
        let start = Stopwatch::start();
        self.net.check_memory()?;
        let base = self.net.forward(input);
        let classification = base.classification();
        let targets = self.score.targets(classes, &classification);
        let masks = Masks::new(self.net.network(), input, self.mask_value, None, None);
        let cover = masks.cover(self.net.network());
        let runner = BatchRunner::new(self.net, &base, &cover);
        let bounds = Rect::plane(INPUT_SIDE);
        let mask = |i: usize| {
            let weights = self.mask(i).into_iter().map(|visible| 1.0 - visible).collect();
            masks.mask(&Coverage { bounds, weights })
        };
        let progress = self.on_progress.unwrap_or(&|_| ControlFlow::Continue(()));
        let done = AtomicUsize::new(0);
        let empty = || Sums { values: vec![0.0; PIXELS], squares: vec![0.0; PIXELS] };
        let mut sums: Vec<Sums> = classes.iter().map(|_| empty()).collect();
        let mut costs = Vec::new();
        let mut used = 0;
        while used < self.masks {
            let round: Vec<usize> = (used..self.masks.min(used + ROUND)).collect();
            let scores = Mutex::new(vec![vec![0.0f32; classes.len()]; round.len()]);
            costs = runner.run(
                &round,
                |_| bounds,
                mask,
                |numbers, answers| {
                    let mut scores = scores.lock().expect("no panic while it is held");
                    for (&i, (answer, _)) in numbers.iter().zip(&answers) {
                        scores[i - used] = targets.iter().map(|target| target.of(answer)).collect();
                    }
                    drop(scores);
                    let done = done.fetch_add(numbers.len(), Ordering::Relaxed) + numbers.len();
                    progress(Progress { done, total: self.masks })
                },
            )?;
            // The batches have ended in any order. The sums are in that of the masks.
            let scores = scores.into_inner().expect("no panic while it was held");
            for (&i, scores) in round.iter().zip(scores) {
                let mask = self.mask(i);
                sums.iter_mut().zip(scores).for_each(|(sums, score)| sums.add(f64::from(score), &mask));
            }
            used += round.len();
            let precise = |sums: &Sums| {
                let (map, errors) = self.estimate(sums, used);
                self.precision.is_some_and(|precision| relative(&map, &errors) <= precision)
            };
            if self.precision.is_some() && sums.iter().all(precise) {
                break;
            }
        }
        let (maps, standard_errors): (Vec<_>, Vec<_>) =
            sums.iter().map(|sums| self.estimate(sums, used)).unzip();
        Ok(RiseMaps {
            classes: classes.to_vec(),
            base_scores: targets.iter().map(|target| target.of(&classification)).collect(),
            precisions: maps
                .iter()
                .zip(&standard_errors)
                .map(|(map, errors)| relative(map, errors))
                .collect(),
            maps,
            standard_errors,
            masks: used,
            mask_value: self.mask_value.resolve(input),
            classification,
            profile: Profile::new(self.net.network(), used, start.seconds(), costs),
        })
    }

    /// The map and its standard errors after `count` masks.
    fn estimate(&self, sums: &Sums, count: usize) -> (Vec<f32>, Vec<f32>) {
        let (count, probability) = (count as f64, f64::from(self.probability));
        let map = sums.values.iter().map(|sum| (sum / count / probability) as f32);
        let error = |(sum, squares): (&f64, &f64)| {
            let variance = ((squares - sum * sum / count) / (count - 1.0)).max(0.0);
            ((variance / count).sqrt() / probability) as f32
        };
        let errors = sums.values.iter().zip(&sums.squares).map(error);
        // A single mask says nothing about the spread.
        let errors = if count < 2.0 { vec![f32::INFINITY; PIXELS] } else { errors.collect() };
        (map.collect(), errors)
    }
}

impl Sums {
    fn add(&mut self, score: f64, mask: &[f32]) {
        for ((sum, square), &visible) in self.values.iter_mut().zip(&mut self.squares).zip(mask) {
            let value = score * f64::from(visible);
            *sum += value;
            *square += value * value;
        }
    }
}

/// The root mean square of the errors as a share of the distance between the ends of the map.
fn relative(map: &[f32], errors: &[f32]) -> f32 {
    let square = errors.iter().map(|&error| f64::from(error).powi(2)).sum::<f64>() / errors.len() as f64;
    let [least, most] = [
        map.iter().copied().fold(f32::INFINITY, f32::min),
        map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ];
    let width = f64::from(most) - f64::from(least);
    if width > 0.0 { (square.sqrt() / width) as f32 } else { f32::INFINITY }
}
