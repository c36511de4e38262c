//! Measures of a map that are compared over many photographs, and intervals of their means.
//!
//! [`Faithfulness`](crate::Faithfulness) has two more measures, the areas of deletion and insertion.

use crate::error::{Error, Result};
use crate::image::Input;
use crate::network::{INPUT_SIDE, MEAN_BGR};
use crate::weights::splitmix64;

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
    if map.len() != INPUT_SIDE * INPUT_SIDE || map.iter().any(|value| !value.is_finite()) {
        let found = format!("of {} values", map.len());
        return Err(Error::option("map", found, "[224][224] finite values"));
    }
    let most = map.iter().copied().fold(0.0, f32::max);
    let pixels = input.values().as_chunks::<3>().0.iter().zip(map);
    let values = pixels.flat_map(|(levels, value)| {
        let share = if most > 0.0 { value.max(0.0) / most } else { 0.0 };
        std::array::from_fn::<f32, 3, _>(|c| (levels[c] + MEAN_BGR[c]) * share - MEAN_BGR[c])
    });
    Input::from_nhwc_bgr(values.collect())
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
