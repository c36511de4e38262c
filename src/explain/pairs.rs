//! Interactions of places: how much of the effect of covering two places together is missing from the
//! effects of covering each alone.
//!
//! An occlusion map covers one place at a time. If an eye and an ear each suffice for a class, covering
//! either does little, and the map shows little at both. This module covers every combination of a few
//! places and computes two numbers for each pair. The first is the drop with both covered minus the two
//! single drops. It describes the pair in the otherwise uncovered image. The second is the interaction
//! index of order 2 of Sundararajan, Dhamdhere and Agarwal, "The Shapley Taylor interaction index"
//! (2020), the mean of the same difference over all sets of other places that are covered already, each
//! size of a set with the same total weight as it has in random orders of the places. The single drops
//! and the indices of all pairs add up to the drop with all places covered. The chapter is
//! `docs/08-reading-a-map.md`.
//!
//! A set of places is called a coalition. It is a number here, whose bit `i` is set if place `i` is
//! covered. `src/sweep/runner.rs` runs the copies of the image, one for each coalition; each has the
//! bits of the plainly masked image.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::forward::GoogLeNet;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;
use crate::sweep::mask::Mask;
use crate::sweep::runner::BatchRunner;
use crate::sweep::{MaskValue, OcclusionMaps, OnProgress, Progress, Score, check_classes};
use crate::{Error, Input, Result};

/// The smallest and the largest number of places; ten have 1024 coalitions.
const PLACES: [usize; 2] = [2, 10];

/// The options of a measurement of interactions on a network, and [`run`](Interactions::run).
///
/// ```
/// use occlude::network::geometry::Rect;
/// use occlude::{GoogLeNet, Input, Interactions, Score, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let places = [10, 90, 170].map(|x0| Rect { y0: 100, x0, y1: 140, x1: x0 + 40 });
/// let asked = [(7, &places[..])];
/// let found = &Interactions::new(&net).score(Score::Logit).run(&Input::from_nhwc_bgr(values)?, &asked)?[0];
/// // The eight coalitions of three places; in number 5, the first and the third are covered.
/// assert_eq!(found.scores.len(), 8);
/// assert_eq!(found.drop(5), f64::from(found.scores[0]) - f64::from(found.scores[5]));
/// assert_eq!(found.missed(0, 2), found.drop(5) - found.drop(1) - found.drop(4));
/// // The single drops and the indices add up to the drop with everything covered.
/// let singles = found.drop(1) + found.drop(2) + found.drop(4);
/// let indices = found.index(0, 1) + found.index(0, 2) + found.index(1, 2);
/// assert!((singles + indices - found.drop(7)).abs() < 1e-9);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct Interactions<'a> {
    net: &'a GoogLeNet,
    mask_value: MaskValue,
    score: Score,
    exhaustive: bool,
    on_progress: Option<&'a OnProgress<'a>>,
}

/// A class and the places to cover: 2 to 10 rectangles within the image of 224x224 pixels.
pub type Places<'p> = (usize, &'p [Rect]);

/// The scores of one class for each coalition of places.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassInteractions {
    /// The class.
    pub class: usize,
    /// The places, in pixels of the 224x224 image.
    pub places: Vec<Rect>,
    /// The class's score for each coalition, `[2^places]`: element `t` is the score of the image in
    /// which place `i` is covered if bit `i` of `t` is set. The first element is the score of the
    /// uncovered image. The kind of the scores is that of [`Interactions::score`].
    pub scores: Vec<f32>,
}

impl ClassInteractions {
    /// The drop of the score when the places of a coalition are covered.
    ///
    /// # Panics
    /// If the coalition has a place that does not exist.
    pub fn drop(&self, coalition: usize) -> f64 {
        f64::from(self.scores[0]) - f64::from(self.scores[coalition])
    }

    /// The drop with two places covered minus the two single drops. It is positive if the image loses
    /// more than the map says, because each of the two can stand in for the other; it is negative if
    /// covering one of them already loses what both together contribute.
    ///
    /// # Panics
    /// If a place does not exist.
    pub fn missed(&self, i: usize, j: usize) -> f64 {
        self.joint(0, i, j)
    }

    /// The Shapley-Taylor interaction index of order 2 of two different places among all, with the drop
    /// as the value of a coalition. Its sign has the meaning of [`missed`](Self::missed).
    ///
    /// # Panics
    /// If a place does not exist.
    pub fn index(&self, i: usize, j: usize) -> f64 {
        let n = self.places.len();
        let pair = 1 << i | 1 << j;
        let others = (0..1 << n).filter(|coalition| coalition & pair == 0);
        let shares = others.map(|coalition: usize| {
            self.joint(coalition, i, j) / binomial(n - 1, coalition.count_ones() as usize)
        });
        2.0 / n as f64 * shares.sum::<f64>()
    }

    /// The drop that covering two places adds to that of a coalition, beyond what each of them adds.
    fn joint(&self, coalition: usize, i: usize, j: usize) -> f64 {
        let [i, j] = [1 << i, 1 << j];
        self.drop(coalition | i | j) - self.drop(coalition | i) - self.drop(coalition | j)
            + self.drop(coalition)
    }
}

/// The number of ways to choose `k` of `n`, at most 10 of 10.
fn binomial(n: usize, k: usize) -> f64 {
    (1..=k).fold(1, |ways, i| ways * (n - k + i) / i) as f64
}

impl OcclusionMaps {
    /// The strongest places of the `k`-th class's map, as rows and columns of the grid: at most `count`
    /// positions with a positive drop whose rectangles do not overlap. They are chosen greedily, the largest
    /// drop first, of equal ones the first in reading order; a position whose rectangle overlaps that of
    /// one chosen before is left out.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn strongest_places(&self, k: usize, count: usize) -> Vec<[usize; 2]> {
        let map = self.map(k);
        let columns = self.grid[1];
        let mut order: Vec<usize> = (0..map.values().len()).filter(|&i| map.values()[i] > 0.0).collect();
        // The sort is stable.
        order.sort_by(|&a, &b| map.values()[b].total_cmp(&map.values()[a]));
        let mut chosen: Vec<[usize; 2]> = Vec::new();
        for position in order.into_iter().map(|i| [i / columns, i % columns]) {
            if chosen.len() == count {
                break;
            }
            let rect = |[row, column]: [usize; 2]| self.mask_rect(row, column);
            if chosen.iter().all(|&before| !overlap(rect(before), rect(position))) {
                chosen.push(position);
            }
        }
        chosen
    }
}

fn overlap(a: Rect, b: Rect) -> bool {
    a.y0 < b.y1 && b.y0 < a.y1 && a.x0 < b.x1 && b.x0 < a.x1
}

impl fmt::Debug for Interactions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interactions")
            .field("mask_value", &self.mask_value)
            .field("score", &self.score)
            .field("exhaustive", &self.exhaustive)
            .finish_non_exhaustive()
    }
}

impl<'a> Interactions<'a> {
    /// The default measurement: places covered with the image's mean, for the class's probability.
    pub fn new(net: &'a GoogLeNet) -> Self {
        Interactions {
            net,
            mask_value: MaskValue::Auto,
            score: Score::Probability,
            exhaustive: false,
            on_progress: None,
        }
    }

    /// Fill of covered places: the image's mean (the default), or another that is the same for all
    /// masks.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        Interactions { mask_value, ..self }
    }

    /// The score whose drops interact: the probability (the default), the logit, or a number made of
    /// several classes.
    pub fn score(self, score: Score) -> Self {
        Interactions { score, ..self }
    }

    /// Recomputes the whole network for each coalition instead of what has changed: the same bits,
    /// slower.
    pub fn exhaustive(self, exhaustive: bool) -> Self {
        Interactions { exhaustive, ..self }
    }

    /// Calls `f` after every few coalitions, from several threads; `ControlFlow::Break` stops the
    /// measurement.
    pub fn on_progress(self, f: &'a OnProgress<'a>) -> Self {
        Interactions { on_progress: Some(f), ..self }
    }

    /// Computes the scores of all coalitions for each class and its places, on the threads of the
    /// current rayon pool: `2^places - 1` masked copies for each. The bits do not depend on the number
    /// of threads.
    ///
    /// # Errors
    /// [`Error::Option`] for an option, a class, a number of places or a place outside its range;
    /// [`Error::Cancelled`] when the callback stops the measurement; [`Error::Memory`].
    pub fn run(&self, input: &Input, asked: &[Places]) -> Result<Vec<ClassInteractions>> {
        self.mask_value.check_fixed()?;
        asked.iter().try_for_each(|(_, places)| check_places(places))?;
        let classes: Vec<usize> = asked.iter().map(|&(class, _)| class).collect();
        check_classes(&classes, self.net.network())?;
        self.score.check(self.net.network())?;
        self.net.check_memory()?;
        let base = self.net.forward(input);
        let whole = base.classification();
        let targets = self.score.targets(&classes, &whole);
        let mut found: Vec<ClassInteractions> = asked
            .iter()
            .zip(&targets)
            .map(|(&(class, places), target)| ClassInteractions {
                class,
                places: places.to_vec(),
                scores: vec![target.of(&whole); 1 << places.len()],
            })
            .collect();
        // All copies, as the class and the coalition. Coalitions with neighbouring numbers share most
        // of their places.
        let copies: Vec<(usize, usize)> = (0..found.len())
            .flat_map(|k| (1..found[k].scores.len()).map(move |coalition| (k, coalition)))
            .collect();
        let covered = |i: usize| {
            let (k, coalition) = copies[i];
            let places = asked[k].1.iter().enumerate();
            places.filter(move |(place, _)| coalition >> place & 1 == 1).map(|(_, rect)| rect)
        };
        let cover = self.mask_value.cover(self.net.network(), input);
        let runner = BatchRunner { exhaustive: self.exhaustive, ..BatchRunner::new(self.net, &base, &cover) };
        let progress = self.on_progress.unwrap_or(&|_| ControlFlow::Continue(()));
        let done = AtomicUsize::new(0);
        let shared = Mutex::new(&mut found);
        runner.run(
            &Vec::from_iter(0..copies.len()),
            |i| covered(i).fold(Rect::default(), |bounds, rect| bounds.union(rect)),
            |i| Mask::rectangles(covered(i)),
            |numbers, answers| {
                let mut found = shared.lock().expect("no panic while it is held");
                for (&i, (answer, _)) in numbers.iter().zip(&answers) {
                    let (k, coalition) = copies[i];
                    found[k].scores[coalition] = targets[k].of(answer);
                }
                drop(found);
                let done = done.fetch_add(numbers.len(), Ordering::Relaxed) + numbers.len();
                progress(Progress { done, total: copies.len() })
            },
        )?;
        Ok(found)
    }
}

fn check_places(places: &[Rect]) -> Result<()> {
    let [least, most] = PLACES;
    if !(least..=most).contains(&places.len()) {
        let expected = format!("{least} to {most} places");
        return Err(Error::option("number of places", places.len().to_string(), expected));
    }
    match places.iter().find(|rect| rect.is_empty() || rect.y1 > INPUT_SIDE || rect.x1 > INPUT_SIDE) {
        Some(Rect { y0, x0, y1, x1 }) => Err(Error::option(
            "place",
            format!("{y0},{x0},{y1},{x1}"),
            "y0,x0,y1,x1 within 0 to 224, with y0 < y1 and x0 < x1",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interactions(scores: Vec<f32>) -> ClassInteractions {
        let n = scores.len().ilog2() as usize;
        ClassInteractions { class: 0, places: vec![Rect::default(); n], scores }
    }

    /// All orders of `0..n`.
    fn orders(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let shorter = orders(n - 1);
        let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..n).map(|at| [&order[..at], &[n - 1], &order[at..]].concat()).collect()
        };
        shorter.iter().flat_map(longer).collect()
    }

    /// The definition by random orders: the mean of the joint effect over all orders of the places, after
    /// the places that precede both.
    fn plain_index(scores: &[f32], i: usize, j: usize) -> f64 {
        let drop = |coalition: usize| f64::from(scores[0]) - f64::from(scores[coalition]);
        let all = orders(scores.len().ilog2() as usize);
        let joint = all.iter().map(|order| {
            let before = order.iter().take_while(|&&place| place != i && place != j);
            let before: usize = before.map(|place| 1 << place).sum();
            drop(before + (1 << i) + (1 << j)) - drop(before + (1 << i)) - drop(before + (1 << j))
                + drop(before)
        });
        joint.sum::<f64>() / all.len() as f64
    }

    proptest! {
        #[test]
        fn the_index_is_that_of_random_orders_and_adds_up(
            n in 2usize..=6,
            scores in prop::collection::vec(-9.0f32..9.0, 64),
            swapped in (0usize..6, 0usize..6),
        ) {
            let scores = &scores[..1 << n];
            let found = interactions(scores.to_vec());
            let mut sum: f64 = (0..n).map(|i| found.drop(1 << i)).sum();
            for i in 0..n {
                for j in i + 1..n {
                    let index = found.index(i, j);
                    prop_assert!((index - plain_index(scores, i, j)).abs() < 1e-9);
                    prop_assert_eq!(index, found.index(j, i));
                    sum += index;
                }
            }
            prop_assert!((sum - found.drop(scores.len() - 1)).abs() < 1e-9, "efficiency");
            // Symmetry: exchanging the names of two places exchanges their indices.
            let (a, b) = (swapped.0 % n, swapped.1 % n);
            let name = |place: usize| if place == a { b } else if place == b { a } else { place };
            let renamed = |coalition: usize| {
                (0..n).filter(|place| coalition >> place & 1 == 1).map(|place| 1 << name(place)).sum::<usize>()
            };
            let other = interactions((0..1 << n).map(|coalition| scores[renamed(coalition)]).collect());
            for i in 0..n {
                for j in i + 1..n {
                    prop_assert!((other.index(i, j) - found.index(name(i), name(j))).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn two_places_that_stand_in_for_each_other_have_a_positive_index() {
        // The score is lost only if both are covered; a third place does not matter.
        let redundant = interactions(vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!([redundant.missed(0, 1), redundant.missed(0, 2)], [1.0, 0.0]);
        assert_eq!([redundant.index(0, 1), redundant.index(0, 2), redundant.index(1, 2)], [1.0, 0.0, 0.0]);
        // Either loses it.
        let needed = interactions(vec![1.0, 0.0, 0.0, 0.0]);
        assert_eq!([needed.missed(0, 1), needed.index(0, 1)], [-1.0, -1.0]);
    }
}
