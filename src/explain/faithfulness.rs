//! Faithfulness of a map: whether the score falls when the pixels that the map calls important are
//! covered.
//!
//! Deletion covers the image pixel by pixel, the most important first; insertion uncovers a covered
//! image in the same order. A better map makes the score fall earlier and rise earlier: it has a
//! smaller area under the deletion curve and a larger one under the insertion curve. After Petsiuk,
//! Das and Saenko, "RISE: Randomized input sampling for explanation of black-box models" (2018),
//! section 3.3; they uncover a blurred image, for which there is [`MaskValue::Blur`]. The chapter
//! is `docs/09-grad-cam.md`.
//!
//! This module ranks pixels, makes masks of them, and has `src/sweep/runner.rs` run the copies. A
//! map is one number for each pixel, whichever method made it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::forward::{Classification, GoogLeNet};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, Network};
use crate::sweep::MaskValue;
use crate::sweep::mask::Mask;
use crate::sweep::runner::BatchRunner;
use crate::sweep::{OnProgress, Progress, Score, Target, check_classes};
use crate::{Error, Input, Result};

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

/// The options of a measurement of maps on a network, and [`run`](Faithfulness::run).
///
/// ```
/// use occlude::{Faithfulness, GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// // A map for class 7 whose importance falls from the top down.
/// let map: Vec<f32> = (0..224 * 224).map(|i| -(i as f32)).collect();
/// let curves = Faithfulness::new(&net).steps(2).run(&Input::from_nhwc_bgr(values)?, &[(7, &map)])?;
/// assert_eq!(curves[0].shares, [0.0, 0.5, 1.0]);
/// // Nothing covered, and all uncovered, is the whole image.
/// assert_eq!(curves[0].deletion[0], curves[0].insertion[2]);
/// assert!((0.0..=1.0).contains(&curves[0].deletion_area()));
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct Faithfulness<'a> {
    net: &'a GoogLeNet,
    mask_value: MaskValue,
    score: Score,
    steps: usize,
    exhaustive: bool,
    cancel: Option<&'a AtomicBool>,
    on_progress: Option<&'a OnProgress<'a>>,
}

/// A map to measure: its class, and the importance of each pixel, `[224][224]`, finite.
pub type Ranking<'m> = (usize, &'m [f32]);

/// Deletion and insertion for one map. All three lists have one element more than there are steps;
/// scores are probabilities, 0..=1, or logits, as [`Faithfulness::score`] says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Curves {
    /// The class.
    pub class: usize,
    /// Share of the pixels that is covered (deletion) or uncovered (insertion), from 0 to 1.
    pub shares: Vec<f32>,
    /// The class's score with that share covered, the most important pixels first.
    pub deletion: Vec<f32>,
    /// The class's score with only that share uncovered, the most important pixels first.
    pub insertion: Vec<f32>,
}

impl Curves {
    /// Area under the deletion curve over shares of 0 to 1: the smaller, the better the map.
    pub fn deletion_area(&self) -> f32 {
        area(&self.shares, &self.deletion)
    }

    /// Area under the insertion curve over shares of 0 to 1: the larger, the better the map.
    pub fn insertion_area(&self) -> f32 {
        area(&self.shares, &self.insertion)
    }
}

/// The area under a curve, by trapezoids.
fn area(shares: &[f32], scores: &[f32]) -> f32 {
    let pairs = shares.windows(2).zip(scores.windows(2));
    let parts = pairs.map(|(x, y)| f64::from(x[1] - x[0]) * (f64::from(y[0]) + f64::from(y[1])) / 2.0);
    parts.sum::<f64>() as f32
}

/// One copy of the image on a curve.
struct Point {
    map: usize,
    step: usize,
    insertion: bool,
}

impl fmt::Debug for Faithfulness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faithfulness")
            .field("mask_value", &self.mask_value)
            .field("score", &self.score)
            .field("steps", &self.steps)
            .field("exhaustive", &self.exhaustive)
            .finish_non_exhaustive()
    }
}

impl<'a> Faithfulness<'a> {
    /// The default measurement: 50 steps of 2 % of the pixels, covered with the image's mean, for
    /// the class's probability.
    pub fn new(net: &'a GoogLeNet) -> Self {
        Faithfulness {
            net,
            mask_value: MaskValue::Auto,
            score: Score::Probability,
            steps: 50,
            exhaustive: false,
            cancel: None,
            on_progress: None,
        }
    }

    /// Fill of covered pixels: the image's mean (the default), or [`MaskValue::Blur`] as in RISE.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        Faithfulness { mask_value, ..self }
    }

    /// The score to follow: the probability (the default), the logit, or a number made of several classes.
    pub fn score(self, score: Score) -> Self {
        Faithfulness { score, ..self }
    }

    /// Number of steps in which all pixels are covered, 1..=50176; each costs two classifications
    /// for each map.
    pub fn steps(self, steps: usize) -> Self {
        Faithfulness { steps, ..self }
    }

    /// Recomputes the whole network at each step instead of what has changed: the same bits,
    /// slower.
    pub fn exhaustive(self, exhaustive: bool) -> Self {
        Faithfulness { exhaustive, ..self }
    }

    /// A flag that stops the measurement when it is set, as
    /// [`OcclusionSensitivity::cancel`](crate::OcclusionSensitivity::cancel).
    pub fn cancel(self, cancel: &'a AtomicBool) -> Self {
        Faithfulness { cancel: Some(cancel), ..self }
    }

    /// Calls `f` after every few copies of the image, from several threads; `ControlFlow::Break`
    /// stops the measurement.
    pub fn on_progress(self, f: &'a OnProgress<'a>) -> Self {
        Faithfulness { on_progress: Some(f), ..self }
    }

    /// Measures maps on the image that they explain, on the threads of the current rayon pool.
    /// Equally important pixels are covered row by row.
    ///
    /// # Errors
    /// [`Error::Option`] for an option, a class or a map outside its range; [`Error::Cancelled`]
    /// when the flag or the callback stops it; [`Error::Memory`].
    pub fn run(&self, input: &Input, maps: &[Ranking]) -> Result<Vec<Curves>> {
        self.check()?;
        check_maps(maps, self.net.network())?;
        self.score.check(self.net.network())?;
        let progress = self.on_progress.unwrap_or(&|_| ControlFlow::Continue(()));
        let cover = self.mask_value.cover(self.net.network(), input);
        self.net.check_memory()?;
        let whole = self.net.forward(input);
        self.net.check_memory()?;
        let covered = self.net.forward_padded(&cover);
        let orders: Vec<Vec<usize>> = maps.iter().map(|(_, importance)| descending(importance)).collect();
        let classification = whole.classification();
        let targets = self.score.targets(maps.iter().map(|(class, _)| class), &classification);
        let mut curves = self.curves_before(&targets, &classification, &covered.classification());
        let total = maps.len() * 2 * (self.steps - 1);
        let done = AtomicUsize::new(0);
        let shared = Mutex::new(&mut curves);
        // Each copy is computed from the image, whole or covered, of which it holds more, and
        // shares its activations.
        for (base, other, near_whole) in [(&whole, &covered, true), (&covered, &whole, false)] {
            let points = self.points(maps.len(), near_whole);
            let copies = BatchRunner {
                exhaustive: self.exhaustive,
                cancel: self.cancel,
                ..BatchRunner::new(self.net, base, &other.blobs[0])
            };
            let mask = |i: usize| {
                let Point { map, step, insertion } = points[i];
                let (first, rest) = orders[map].split_at(self.count(step));
                let mut pixels = vec![false; PIXELS];
                let other = if insertion != near_whole { first } else { rest };
                other.iter().for_each(|&pixel| pixels[pixel] = true);
                Mask::pixels(&pixels)
            };
            let order: Vec<usize> = (0..points.len()).collect();
            copies.run(
                &order,
                |_| Rect::plane(INPUT_SIDE),
                mask,
                |numbers, answers| {
                    let mut curves = shared.lock().expect("no panic while it is held");
                    for (&i, (answer, _)) in numbers.iter().zip(&answers) {
                        let Point { map, step, insertion } = points[i];
                        let curves = &mut curves[map];
                        let curve = if insertion { &mut curves.insertion } else { &mut curves.deletion };
                        curve[step] = targets[map].of(answer);
                    }
                    drop(curves);
                    let done = done.fetch_add(numbers.len(), Ordering::Relaxed) + numbers.len();
                    progress(Progress { done, total })
                },
            )?;
        }
        Ok(curves)
    }

    /// Checks the options without an image; [`run`](Self::run) begins with it.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option outside its range.
    pub fn check(&self) -> Result<()> {
        self.mask_value.check_fixed()?;
        if !(1..=PIXELS).contains(&self.steps) {
            return Err(refuse("steps", self.steps.to_string(), "1 to 50176"));
        }
        Ok(())
    }

    /// Number of pixels that are covered, or uncovered, after a step.
    fn count(&self, step: usize) -> usize {
        step * PIXELS / self.steps
    }

    /// The curves with only their ends, which are known: nothing covered and everything covered.
    fn curves_before(
        &self,
        targets: &[Target],
        whole: &Classification,
        covered: &Classification,
    ) -> Vec<Curves> {
        let shares: Vec<f32> =
            (0..=self.steps).map(|step| (self.count(step) as f64 / PIXELS as f64) as f32).collect();
        let curves = targets.iter().map(|target| {
            let [whole, covered] = [whole, covered].map(|answer| target.of(answer));
            let mut deletion = vec![whole; self.steps + 1];
            let mut insertion = vec![covered; self.steps + 1];
            (deletion[self.steps], insertion[self.steps]) = (covered, whole);
            Curves { class: target.class, shares: shares.clone(), deletion, insertion }
        });
        curves.collect()
    }

    /// The points of all curves except their ends: those that show more than half of the image
    /// (`near_whole`), or the others.
    fn points(&self, maps: usize, near_whole: bool) -> Vec<Point> {
        (0..maps)
            .flat_map(|map| [false, true].map(|insertion| (map, insertion)))
            .flat_map(|(map, insertion)| (1..self.steps).map(move |step| Point { map, step, insertion }))
            .filter(|point| (2 * self.count(point.step) < PIXELS) == (near_whole != point.insertion))
            .collect()
    }
}

pub(super) fn check_maps(maps: &[Ranking], network: &Network) -> Result<()> {
    for (_, importance) in maps {
        if importance.len() != PIXELS || !importance.iter().all(|v| v.is_finite()) {
            let found = format!("{} values", importance.len());
            return Err(refuse("map", found, "a finite value for each of 224x224 pixels"));
        }
    }
    let classes: Vec<usize> = maps.iter().map(|&(class, _)| class).collect();
    check_classes(&classes, network)
}

fn refuse(name: &'static str, found: String, expected: &str) -> Error {
    Error::Option { name, found, expected: expected.to_string() }
}

/// The indices of values, the largest value first.
pub(super) fn descending(importance: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..importance.len()).collect();
    // The sort is stable, and zeros of either sign are equal.
    order.sort_by(|&a, &b| importance[b].partial_cmp(&importance[a]).expect("checked to be finite"));
    order
}
