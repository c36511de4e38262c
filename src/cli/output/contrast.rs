//! The numerical comparison of the maps of two classes of one photograph.

use crate::cli::explanation::Explanation;

/// The comparison of the maps of the first two classes of one photograph.
pub struct Contrast {
    pub classes: [usize; 2],
    /// The drop of the first class minus the drop of the second, `[ny][nx]`. Positive values are
    /// evidence for the first class rather than for the second.
    pub difference: Vec<f32>,
    /// Pearson's correlation of the two maps, -1..=1; `None` if one of them is constant, because it is
    /// not defined then.
    pub correlation: Option<f32>,
    /// The share of positions where the drop of the first class is larger.
    pub share: f32,
}

impl Contrast {
    /// Returns `None` if there is only one class.
    pub fn new(explanation: &Explanation) -> Option<Contrast> {
        let maps = &explanation.maps;
        let &[first, second, ..] = &maps.classes[..] else { return None };
        let (a, b) = (maps.map(0), maps.map(1));
        let larger = a.iter().zip(b.iter()).filter(|(a, b)| a > b).count();
        Some(Contrast {
            classes: [first, second],
            difference: difference(a.values(), b.values()),
            correlation: correlation(a.values(), b.values()),
            share: larger as f32 / a.values().len() as f32,
        })
    }
}

/// The differences of the values of two maps.
pub fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Pearson's correlation of the values of two maps; `None` if one is constant.
pub fn correlation(a: &[f32], b: &[f32]) -> Option<f32> {
    let is_constant = |values: &[f32]| values.iter().all(|value| *value == values[0]);
    if is_constant(a) || is_constant(b) {
        return None;
    }
    let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |a: &[f32], mean_a: f64, b: &[f32], mean_b: f64| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - mean_a) * (f64::from(b) - mean_b)).sum()
    };
    let spread = product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b);
    (spread > 0.0).then(|| (product(a, mean_a, b, mean_b) / spread.sqrt()) as f32)
}

/// Spearman's rank correlation of the values of two maps: Pearson's of their ranks, of which equal values
/// have the mean; `None` if one is constant.
pub fn rank_correlation(a: &[f32], b: &[f32]) -> Option<f32> {
    correlation(&ranks(a), &ranks(b))
}

/// The ranks of values, from 0 on. Half numbers up to 2^23 are exact.
fn ranks(values: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    // Zeros of either sign are equal.
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        equal.iter().for_each(|&i| ranks[i] = first as f32 + (equal.len() - 1) as f32 / 2.0);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_is_spearmans() {
        assert_eq!(ranks(&[3.0, -0.0, 0.0, 7.0, 3.0, 3.0]), [3.0, 0.5, 0.5, 5.0, 3.0, 3.0]);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[1.0, 50.0, 51.0]), Some(1.0));
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[0.0, -1.0, -2.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[1.0, 2.0], &[0.0, -0.0]), None);
        // The formula without ties: 1 - 6 * (sum of squared differences of ranks) / (n (n^2 - 1)).
        let found = rank_correlation(&[1.0, 2.0, 4.0, 8.0, 9.0], &[3.0, -1.0, 2.0, 7.0, 5.0]).unwrap();
        assert!((found - (1.0 - 6.0 * 8.0 / 120.0)).abs() < 1e-6, "{found}");
    }

    #[test]
    fn correlation_is_pearsons() {
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(correlation(&[1.0, 2.0], &[5.0, 5.0]), None);
        // The mean of constant values need not equal them.
        assert_eq!(correlation(&[0.1, 0.2, 0.3], &[0.7; 3]), None);
        // numpy.corrcoef([1, 2, 4, 8], [3, -1, 2, 7])[0, 1]
        let found = correlation(&[1.0, 2.0, 4.0, 8.0], &[3.0, -1.0, 2.0, 7.0]).unwrap();
        assert!((found - 0.773_997).abs() < 1e-5);
    }
}
