//! The result of classifying one image: logits, probabilities and their order.

use super::softmax::softmax;

/// The logits and probabilities of one image.
///
/// ```
/// use occlude::Classification;
///
/// let classification = Classification::new(vec![0.5, 3.0, -1.0, 3.0]);
/// assert_eq!(classification.best(), 1);
/// assert_eq!(classification.top(3), [1, 3, 0]);
/// assert!((classification.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classification {
    /// The unbounded score of each class before softmax, in the order of the network's outputs.
    pub logits: Vec<f32>,
    /// The probability of each class, in 0..=1; their sum is 1 within rounding.
    pub probabilities: Vec<f32>,
}

impl Classification {
    /// Computes probabilities from logits: one finite value for each class, at least one class.
    pub fn new(logits: Vec<f32>) -> Classification {
        let probabilities = softmax(&logits);
        Classification { logits, probabilities }
    }

    /// The class with the largest logit; the first of several equal ones.
    pub fn best(&self) -> usize {
        let better = |best: usize, class: usize| {
            if self.logits[class].total_cmp(&self.logits[best]).is_gt() { class } else { best }
        };
        (0..self.logits.len()).fold(0, better)
    }

    /// The `k` most probable classes, or all classes if there are fewer, in descending order of
    /// their logits. Equal ones are in ascending order of their index.
    pub fn top(&self, k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b)));
        order.truncate(k);
        order
    }
}
