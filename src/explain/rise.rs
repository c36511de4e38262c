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
use crate::sweep::{MaskValue, OnProgress, Progress, Score, Target, check_classes};
use crate::weights::{splitmix64, splitmix64_at};
use crate::{Error, Input, Result, memory, parallel};

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

/// The number of masks between two estimates of the error. It is fixed, so that the number of masks of a
/// result does not depend on the threads. It is a multiple of all numbers of positions in a batch.
const ROUND: usize = 64;

/// Bytes for each pixel of a class: two sums in f64, a map and its errors, and those of an estimate.
const CLASS_BYTES: usize = 2 * 8 + 4 * 4;

/// Bytes for each pixel of the masks of a round.
const ROUND_BYTES: usize = ROUND * 4;

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
    /// For each class, its score with the classes that it compares with.
    pub targets: Vec<Target>,
    /// For each class, its score for the whole image.
    pub base_scores: Vec<f32>,
    /// For each class, the value of each pixel, `[224][224]`, in the unit of the score.
    pub maps: Vec<Vec<f32>>,
    /// The estimated standard error of each of these values.
    pub standard_errors: Vec<Vec<f32>>,
    /// For each class, the root mean square of the standard errors, as a share of the range of the map, above
    /// 0. The range is the distance between the smallest and the largest value, without the part that noise may
    /// explain: it is multiplied by the root of the share of the map's variance over the pixels that this noise
    /// leaves. Infinite where it leaves nothing, as in a constant map, and for a single mask.
    pub precisions: Vec<f32>,
    /// The number of masks.
    pub masks: usize,
    /// The fill; a mean is given as the colour that it was.
    pub mask_value: MaskValue,
    /// The score that the maps follow.
    pub score: Score,
    /// The classification of the whole image.
    pub classification: Classification,
    /// The multiply-adds of the masked copies.
    pub profile: Profile,
}

/// The sums of a class over masks.
struct Sums {
    /// For each pixel, the sum of the scores times its visibility, and that of their squares.
    values: Vec<f64>,
    squares: Vec<f64>,
    /// The same for the mean visibility of all pixels.
    level: f64,
    level_squares: f64,
}

/// The map of a class with its errors after some masks.
struct Estimate {
    map: Vec<f32>,
    errors: Vec<f32>,
    precision: f32,
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
        let mut random = splitmix64(splitmix64_at(self.seed, i as u64));
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

    /// Runs RISE for some classes, none for the predicted one, on the threads of the current rayon pool. All
    /// classes share the masks. The bits do not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Option`] for an option or a class outside its range, for a class that the score compares
    /// with, and for several classes with a score that depends on none; [`Error::Cancelled`] when the callback
    /// stops the run; [`Error::Memory`].
    pub fn run(&self, input: &Input, classes: &[usize]) -> Result<RiseMaps> {
        self.check()?;
        check_classes(classes, self.net.network())?;
        self.score.check_mapped(classes)?;
        let bytes = classes.len().max(1).saturating_mul(CLASS_BYTES).saturating_add(ROUND_BYTES);
        memory::require("the sums, maps and masks of RISE", bytes.saturating_mul(PIXELS))?;
        let start = Stopwatch::start();
        self.net.check_memory()?;
        let base = self.net.forward(input);
        let classification = base.classification();
        let classes = if classes.is_empty() { vec![classification.best()] } else { classes.to_vec() };
        self.score.check_mapped(&classes)?;
        let targets = self.score.targets(&classes, &classification);
        let masks = Masks::new(self.net.network(), input, self.mask_value, None, None);
        let cover = masks.cover(self.net.network());
        let runner = BatchRunner::new(self.net, &base, &cover);
        let bounds = Rect::plane(INPUT_SIDE);
        let progress = self.on_progress.unwrap_or(&|_| ControlFlow::Continue(()));
        let done = AtomicUsize::new(0);
        let mut sums: Vec<Sums> = classes.iter().map(|_| Sums::new()).collect();
        let mut costs = Vec::new();
        let mut used = 0;
        while used < self.masks {
            let round: Vec<usize> = (used..self.masks.min(used + ROUND)).collect();
            let visible = parallel::map(round.len(), |i| self.mask(used + i));
            let mask = |i: usize| {
                let weights = visible[i - used].iter().map(|visible| 1.0 - visible).collect();
                masks.mask(&Coverage { bounds, weights })
            };
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
            for (mask, scores) in visible.iter().zip(scores) {
                sums.iter_mut().zip(scores).for_each(|(sums, score)| sums.add(f64::from(score), mask));
            }
            used += round.len();
            let is_precise =
                |precision| sums.iter().all(|sums| self.estimate(sums, used).precision <= precision);
            if self.precision.is_some_and(is_precise) {
                break;
            }
        }
        let (mut maps, mut standard_errors, mut precisions) = (Vec::new(), Vec::new(), Vec::new());
        for Estimate { map, errors, precision } in sums.iter().map(|sums| self.estimate(sums, used)) {
            maps.push(map);
            standard_errors.push(errors);
            precisions.push(precision);
        }
        Ok(RiseMaps {
            base_scores: targets.iter().map(|target| target.of(&classification)).collect(),
            classes,
            targets,
            maps,
            standard_errors,
            precisions,
            masks: used,
            mask_value: self.mask_value.resolve(input),
            score: self.score.clone(),
            classification,
            profile: Profile::new(self.net.network(), used, start.seconds(), costs),
        })
    }

    /// The map, its standard errors and its precision after `count` masks.
    fn estimate(&self, sums: &Sums, count: usize) -> Estimate {
        let (count, probability) = (count as f64, f64::from(self.probability));
        let error = |sum: f64, squares: f64| {
            // A single mask says nothing about the spread.
            if count < 2.0 {
                return f64::INFINITY;
            }
            let variance = ((squares - sum * sum / count) / (count - 1.0)).max(0.0);
            (variance / count).sqrt() / probability
        };
        let map: Vec<f32> = sums.values.iter().map(|sum| (sum / count / probability) as f32).collect();
        let errors = sums.values.iter().zip(&sums.squares);
        let errors: Vec<f32> = errors.map(|(&sum, &squares)| error(sum, squares) as f32).collect();
        let cells = self.grid[0] * self.grid[1];
        let precision = precision(&map, &errors, error(sums.level, sums.level_squares), cells);
        Estimate { map, errors, precision }
    }
}

impl Sums {
    fn new() -> Sums {
        Sums { values: vec![0.0; PIXELS], squares: vec![0.0; PIXELS], level: 0.0, level_squares: 0.0 }
    }

    fn add(&mut self, score: f64, mask: &[f32]) {
        for ((sum, square), &visible) in self.values.iter_mut().zip(&mut self.squares).zip(mask) {
            let value = score * f64::from(visible);
            *sum += value;
            *square += value * value;
        }
        let visible = mask.iter().map(|&visible| f64::from(visible)).sum::<f64>() / PIXELS as f64;
        self.level += score * visible;
        self.level_squares += (score * visible).powi(2);
    }
}

/// The root mean square of the errors as a share of the range of the map ([`RiseMaps::precisions`]).
/// `level_error` is the standard error of the mean of the map.
///
/// The variance over the pixels of an estimated map is, on average, that of the true map, plus the mean
/// square of the errors, minus the square of the error that all pixels have in common, which shifts the map and
/// does not spread it. A map of noise alone has about as many independent values as a mask has cells, so that
/// its variance itself has a standard deviation of the root of 2 / cells. Three of these are taken away, too:
/// otherwise one of many looks would find a range in noise, and end the run.
fn precision(map: &[f32], errors: &[f32], level_error: f64, cells: usize) -> f32 {
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / PIXELS as f64;
    let level = mean(&mut map.iter().map(|&value| f64::from(value)));
    let variance = mean(&mut map.iter().map(|&value| (f64::from(value) - level).powi(2)));
    let square = mean(&mut errors.iter().map(|&error| f64::from(error).powi(2)));
    let noise = square - level_error * level_error;
    let evidence = variance - noise * (1.0 + 3.0 * (2.0 / cells as f64).sqrt());
    let [least, most] = [
        map.iter().copied().fold(f32::INFINITY, f32::min),
        map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ];
    let range = (f64::from(most) - f64::from(least)) * (evidence / variance).sqrt();
    // Not a number if noise explains all of the variance.
    if range > 0.0 { (square.sqrt() / range) as f32 } else { f32::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;

    /// Runs RISE with a function of the mask in place of a network, until the precision is reached.
    fn run(rise: &Rise, score: fn(&[f32]) -> f64, most: usize) -> (usize, Estimate) {
        let mut sums = Sums::new();
        let mut used = 0;
        loop {
            for mask in parallel::map(ROUND, |i| rise.mask(used + i)) {
                sums.add(score(&mask), &mask);
            }
            used += ROUND;
            let found = rise.estimate(&sums, used);
            if used >= most || rise.precision.is_some_and(|wanted| found.precision <= wanted) {
                return (used, found);
            }
        }
    }

    /// Evidence in one place: the mean visibility of a window.
    fn window(mask: &[f32]) -> f64 {
        let rows = mask.chunks(INPUT_SIDE).skip(80).take(60);
        rows.flat_map(|row| &row[80..140]).map(|&visible| f64::from(visible)).sum::<f64>() / 3600.0
    }

    /// Ten runs that stop by themselves are as far from the map of a long run as they promise.
    #[test]
    fn the_promised_precision_is_the_distance_from_a_long_run() {
        let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
        let (_, long) = run(&Rise::new(&net).seed(1000), window, 12_800);
        let end = |end: fn(f32, f32) -> f32| f64::from(long.map.iter().copied().reduce(end).unwrap());
        let range = end(f32::max) - end(f32::min);
        for wanted in [0.2, 0.15] {
            let mut squares = 0.0;
            for seed in 1..=10 {
                let rise = Rise::new(&net).seed(seed).precision(Some(wanted));
                let (used, found) = run(&rise, window, 4096);
                assert!(used < 4096 && found.precision <= wanted, "{used}: {}", found.precision);
                let distances = found.map.iter().zip(&long.map).map(|(a, b)| f64::from(a - b).powi(2));
                squares += distances.sum::<f64>() / PIXELS as f64;
            }
            let share = (squares / 10.0).sqrt() / range / f64::from(wanted);
            assert!((0.8..1.1).contains(&share), "{wanted}: {share}");
        }
    }

    /// The distance between the ends of a map of noise is about five times its error, however many masks there
    /// are, and is no evidence.
    #[test]
    fn noise_has_no_precision() {
        let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
        for seed in 1..=10 {
            let rise = Rise::new(&net).seed(seed).precision(Some(0.3));
            let (used, found) = run(&rise, |_| 0.9, 1024);
            assert_eq!(used, 1024, "{}", found.precision);
        }
    }
}
