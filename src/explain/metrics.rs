//! Measures of a map that are compared over many photographs, and intervals of their means.
//!
//! [`Faithfulness`](crate::Faithfulness) has two more measures, the areas of deletion and insertion.
//!
//! A box is the left, top, right and bottom edge of an object, `[x0, y0, x1, y1]`, in pixels of the
//! photograph from its upper left corner.

use super::faithfulness::Ranking;
use super::region::Threshold;
use crate::error::{Error, Result};
use crate::forward::{Classification, GoogLeNet};
use crate::image::{Framing, Input};
use crate::memory;
use crate::network::{INPUT_SIDE, MEAN_BGR};
use crate::sweep::check_classes;
use crate::weights::splitmix64;

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

/// Computes how unevenly the magnitudes of a map are distributed: their Gini index, from 0 (all are the same)
/// to nearly 1 (all but one are 0). With the `n` magnitudes in ascending order `a_1` to `a_n` it is
/// `sum over i of (2 i - n - 1) a_i / (n sum over i of a_i)`; 0 for a map of zeros. After Chalasani et
/// al., "Concise explanations of neural networks using adversarial training" (2020); Quantus calls it
/// Sparseness.
///
/// ```
/// use occlude::explain::metrics::sparseness;
///
/// assert_eq!(sparseness(&[0.5, -0.5, 0.5, 0.5]), 0.0);
/// assert_eq!(sparseness(&[0.0, 0.0, 0.0, 3.0]), 0.75);
/// ```
pub fn sparseness(map: &[f32]) -> f64 {
    let mut magnitudes: Vec<f32> = map.iter().map(|value| value.abs()).collect();
    magnitudes.sort_by(f32::total_cmp);
    let count = magnitudes.len() as f64;
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (rank, magnitude) in (1..).zip(magnitudes) {
        sum += f64::from(magnitude);
        weighted += (2.0 * f64::from(rank) - count - 1.0) * f64::from(magnitude);
    }
    if sum == 0.0 { 0.0 } else { weighted / (count * sum) }
}

/// The input on which only the evidence of a map is seen: each level of the picture, 0 to 255, is
/// multiplied by the map, `[224][224]`, whose values are divided by the largest one; negative ones count
/// as 0. All is black if no value is above 0. The change of the class's probability from the picture to
/// this one gives the "average drop" and the "increase in confidence" of Chattopadhay et al.,
/// "Grad-CAM++" (2018), section 4.1.
///
/// # Errors
/// [`Error::Option`] if the map does not have 224 x 224 finite values.
pub fn dimmed(input: &Input, map: &[f32]) -> Result<Input> {
    check_map(map)?;
    let most = map.iter().copied().fold(0.0, f32::max);
    let pixels = input.values().as_chunks::<3>().0.iter().zip(map);
    let values = pixels.flat_map(|(levels, value)| {
        let share = if most > 0.0 { value.max(0.0) / most } else { 0.0 };
        std::array::from_fn::<f32, 3, _>(|c| (levels[c] + MEAN_BGR[c]) * share - MEAN_BGR[c])
    });
    Input::from_nhwc_bgr(values.collect())
}

fn check_map(map: &[f32]) -> Result<()> {
    if map.len() == PIXELS && map.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::option("map", format!("of {} values", map.len()), "[224][224] finite values"))
}

/// The change of a class's probability from a picture to the one on which only the evidence of a map is
/// seen ([`dimmed`]).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfidenceChange {
    /// The share of the probability that is lost, 0..=1; 0 if it does not fall. Its mean over photographs is
    /// the "average drop".
    pub drop: f32,
    /// True if the probability rises. The share of such photographs is the "increase in confidence".
    pub rises: bool,
}

/// Classifies the dimmed picture of a map and compares it with `unchanged`, the classification of the picture
/// itself.
///
/// ```
/// use occlude::explain::metrics::confidence_change;
/// use occlude::{GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let input = Input::from_nhwc_bgr((0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect())?;
/// let unchanged = net.classify(&input);
/// // A map that is the same everywhere leaves the picture as it is.
/// let found = confidence_change(&net, &input, &unchanged, (7, &[0.5; 224 * 224]))?;
/// assert_eq!((found.drop, found.rises), (0.0, false));
/// # Ok::<(), occlude::Error>(())
/// ```
///
/// # Errors
/// [`Error::Option`] for a class that the network does not have, and as [`dimmed`]; [`Error::Memory`].
pub fn confidence_change(
    net: &GoogLeNet,
    input: &Input,
    unchanged: &Classification,
    (class, map): Ranking,
) -> Result<ConfidenceChange> {
    check_classes(&[class], net.network())?;
    let dimmed = dimmed(input, map)?;
    net.check_memory()?;
    let [before, after] = [unchanged, &net.classify(&dimmed)].map(|answer| answer.probabilities[class]);
    let drop = if before > 0.0 { ((before - after) / before).max(0.0) } else { 0.0 };
    Ok(ConfidenceChange { drop, rises: after > before })
}

/// Refuses boxes that have no pixels.
fn check_boxes(boxes: &[[f64; 4]]) -> Result<()> {
    let has_pixels = |[x0, y0, x1, y1]: &[f64; 4]| x0 < x1 && y0 < y1;
    match boxes.iter().find(|bounds| !bounds.iter().all(|edge| edge.is_finite()) || !has_pixels(bounds)) {
        Some(wrong) => {
            Err(Error::option("box", format!("{wrong:?}"), "x0, y0, x1, y1 with x0 < x1 and y0 < y1"))
        }
        None => Ok(()),
    }
}

/// The pointing game of Zhang et al., "Top-down neural attention by excitation backprop" (2016): true if the
/// largest value of a map, `[224][224]`, the first of several, lies in one of the boxes, or at most `tolerance`
/// pixels of the photograph from it, 0 or more (15 in the paper).
///
/// ```
/// use occlude::Resize;
/// use occlude::explain::metrics::points_at;
/// use occlude::image::Framing;
///
/// // A photograph of twice the size of the network's picture.
/// let framing = Framing::new([448, 448], Resize::Stretch);
/// let mut map = [0.0; 224 * 224];
/// map[100 * 224 + 50] = 1.0;
/// assert!(points_at(&framing, &map, &[[90.0, 190.0, 110.0, 210.0]], 0.0)?);
/// assert!(!points_at(&framing, &map, &[[120.0, 190.0, 140.0, 210.0]], 15.0)?);
/// # Ok::<(), occlude::Error>(())
/// ```
///
/// # Errors
/// [`Error::Option`] if the map does not have 224 x 224 finite values, for a box without pixels, and for a
/// tolerance below 0.
pub fn points_at(framing: &Framing, map: &[f32], boxes: &[[f64; 4]], tolerance: f64) -> Result<bool> {
    check_map(map)?;
    check_boxes(boxes)?;
    if !(tolerance >= 0.0 && tolerance.is_finite()) {
        return Err(Error::option("tolerance", tolerance, "a number of pixels, 0 or more"));
    }
    let largest = (0..map.len()).fold(0, |best, i| if map[i] > map[best] { i } else { best });
    let [y, x] = [(0, largest / INPUT_SIDE), (1, largest % INPUT_SIDE)]
        .map(|(axis, at)| framing.to_photograph(axis, at as f64 + 0.5));
    Ok(boxes.iter().any(|bounds| distance([x, y], *bounds) <= tolerance))
}

/// Measures how well the evidence of a map, `[224][224]`, agrees with boxes: the area of the intersection of
/// the best of them with the box around the evidence, over the area of their union, 0..=1. The evidence
/// is the largest connected part of the photograph where the map reaches the threshold
/// ([`Framing::region_above`]); 0 if no value is above 0.
///
/// ```
/// use occlude::explain::metrics::box_overlap;
/// use occlude::image::Framing;
/// use occlude::{Resize, Threshold};
///
/// let framing = Framing::new([224, 224], Resize::Stretch);
/// let inside = |i: usize| (10..20).contains(&(i / 224)) && (30..50).contains(&(i % 224));
/// let map: Vec<f32> = (0..224 * 224).map(|i| f32::from(u8::from(inside(i)))).collect();
/// let threshold = Threshold::default();
/// assert_eq!(box_overlap(&framing, &map, &[[30.0, 10.0, 50.0, 20.0]], threshold)?, 1.0);
/// // A third of the union.
/// assert_eq!(box_overlap(&framing, &map, &[[40.0, 10.0, 60.0, 20.0]], threshold)?, 1.0 / 3.0);
/// # Ok::<(), occlude::Error>(())
/// ```
///
/// # Errors
/// [`Error::Option`] if the map does not have 224 x 224 finite values, for a box without pixels, and for a
/// threshold outside its range; [`Error::Memory`].
pub fn box_overlap(framing: &Framing, map: &[f32], boxes: &[[f64; 4]], threshold: Threshold) -> Result<f32> {
    check_map(map)?;
    check_boxes(boxes)?;
    let Some(level) = threshold.level(map)? else { return Ok(0.0) };
    let [height, width] = framing.photograph;
    memory::require("a region of the photograph", height.saturating_mul(width).saturating_mul(8))?;
    let parts = framing.region_above(map, level).parts();
    let best = parts.first().map_or(0.0, |part| {
        let around = part.bounds;
        let around = [around.x0, around.y0, around.x1, around.y1].map(|edge| edge as f64);
        boxes.iter().map(|bounds| overlap(around, *bounds)).fold(0.0, f64::max)
    });
    Ok(best as f32)
}

/// The distance of a point from a box, in pixels; 0 inside.
fn distance([x, y]: [f64; 2], [x0, y0, x1, y1]: [f64; 4]) -> f64 {
    let outside = |at: f64, start: f64, end: f64| (start - at).max(at - end).max(0.0);
    let (across, down) = (outside(x, x0, x1), outside(y, y0, y1));
    (across * across + down * down).sqrt()
}

/// The area of the intersection of two boxes over that of their union.
fn overlap(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both)
}

/// Number of resamples of [`bootstrap_interval`].
pub const RESAMPLES: usize = 2000;
/// The smallest and the largest 2.5 % of the means lie outside the interval.
const OUTSIDE: usize = RESAMPLES / 40;
/// The start of the random numbers, so that the same values have the same interval.
const SEED: u64 = 1;

/// The interval that contains the mean of the whole population with a probability of about 95 %, of
/// which `values` are a random sample: the percentile bootstrap of Efron (1979). As many values as there
/// are, are drawn from them with replacement; of the means of 2000 such draws, in ascending order, the
/// interval is from the 50th to the 1951st. `None` without values.
///
/// ```
/// use occlude::explain::metrics::bootstrap_interval;
///
/// let [low, high] = bootstrap_interval(&[0.1, 0.3, 0.3, 0.4, 0.9]).unwrap();
/// assert!(0.1 < low && low < 0.4 && 0.4 < high && high < 0.9);
/// assert_eq!(bootstrap_interval(&[0.5]), Some([0.5, 0.5]));
/// ```
pub fn bootstrap_interval(values: &[f64]) -> Option<[f64; 2]> {
    if values.is_empty() {
        return None;
    }
    let mut random = splitmix64(SEED);
    // The upper half of the product is below the number of values.
    let mut draw = || {
        let bits = random.next().unwrap_or_default();
        values[((u128::from(bits) * values.len() as u128) >> 64) as usize]
    };
    let mut mean = || (0..values.len()).map(|_| draw()).sum::<f64>() / values.len() as f64;
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| mean()).collect();
    means.sort_by(f64::total_cmp);
    Some([means[OUTSIDE - 1], means[RESAMPLES - OUTSIDE]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resize;
    use proptest::prelude::*;

    proptest! {
        /// The Gini index is half the mean difference of two values, relative to their mean.
        #[test]
        fn sparseness_is_the_mean_difference_of_two_magnitudes(
            map in prop::collection::vec(-2.0f32..5.0, 1..60),
        ) {
            let magnitudes: Vec<f64> = map.iter().map(|value| f64::from(value.abs())).collect();
            let sum: f64 = magnitudes.iter().sum();
            let mut differences = 0.0;
            for a in &magnitudes {
                for b in &magnitudes {
                    differences += (a - b).abs();
                }
            }
            let expected = differences / (2.0 * magnitudes.len() as f64 * sum);
            prop_assert!((sparseness(&map) - expected).abs() < 1e-9, "{expected}");
        }

        /// The interval is that of a plain loop with the published generator.
        #[test]
        fn the_interval_has_the_means_of_draws(values in prop::collection::vec(-1.0f64..1.0, 1..20)) {
            let mut state = 1u64;
            let mut means = Vec::new();
            for _ in 0..2000 {
                let mut sum = 0.0;
                for _ in 0..values.len() {
                    state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                    let mut z = state;
                    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                    z ^= z >> 31;
                    let index = (u128::from(z) * values.len() as u128) / (1u128 << 64);
                    sum += values[index as usize];
                }
                means.push(sum / values.len() as f64);
            }
            means.sort_by(f64::total_cmp);
            prop_assert_eq!(bootstrap_interval(&values), Some([means[49], means[1950]]));
        }
    }

    #[test]
    fn boxes_are_compared_by_distance_and_overlap() {
        let object = [10.0, 20.0, 30.0, 25.0];
        for (point, expected) in [
            ([12.0, 21.0], 0.0),
            ([30.0, 25.0], 0.0),
            ([7.0, 22.0], 3.0),
            ([34.0, 28.0], 5.0),
            ([20.0, 0.0], 20.0),
        ] {
            assert_eq!(distance(point, object), expected);
        }
        assert_eq!(overlap(object, object), 1.0);
        assert_eq!(overlap(object, [20.0, 20.0, 40.0, 25.0]), 50.0 / 150.0);
        assert_eq!(overlap(object, [30.0, 20.0, 40.0, 25.0]), 0.0);
        let (framing, nothing) = (Framing::new([9, 9], Resize::Stretch), vec![0.0; PIXELS]);
        let everywhere = [[0.0, 0.0, 9.0, 9.0]];
        assert_eq!(box_overlap(&framing, &nothing, &everywhere, Threshold::Otsu).unwrap(), 0.0);
        assert!(points_at(&framing, &nothing, &everywhere, 0.0).unwrap());
        assert!(!points_at(&framing, &nothing, &[], 0.0).unwrap());
        assert!(points_at(&framing, &[0.0], &everywhere, 0.0).is_err());
        assert!(points_at(&framing, &nothing, &[[3.0, 0.0, 3.0, 9.0]], 0.0).is_err());
        assert!(points_at(&framing, &nothing, &everywhere, f64::NAN).is_err());
        assert!(box_overlap(&framing, &[f32::NAN; PIXELS], &everywhere, Threshold::Otsu).is_err());
    }

    #[test]
    fn nothing_has_no_interval_and_no_sparseness() {
        assert_eq!(bootstrap_interval(&[]), None);
        assert_eq!((sparseness(&[]), sparseness(&[0.0; 3])), (0.0, 0.0));
    }

    #[test]
    fn a_dimmed_picture_has_the_products_of_levels() {
        let levels: Vec<f32> = (0..224 * 224 * 3).map(|i| (i * 7 % 256) as f32).collect();
        let prepared = levels.iter().enumerate().map(|(i, level)| level - MEAN_BGR[i % 3]).collect();
        let input = Input::from_nhwc_bgr(prepared).unwrap();
        let map: Vec<f32> = (0..224 * 224).map(|i| (i % 5) as f32 - 1.0).collect();
        let found = dimmed(&input, &map).unwrap();
        for (i, value) in found.values().iter().enumerate() {
            let share = [0.0, 0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0][i / 3 % 5];
            assert_eq!(*value, levels[i] * share - MEAN_BGR[i % 3], "{i}");
        }
        assert_eq!(dimmed(&input, &vec![1.0; 224 * 224]).unwrap(), input);
        let black = dimmed(&input, &vec![-1.0; 224 * 224]).unwrap();
        assert!(black.values().as_chunks::<3>().0.iter().all(|pixel| *pixel == MEAN_BGR.map(|mean| -mean)));
        assert!(dimmed(&input, &[1.0]).is_err());
    }
}
