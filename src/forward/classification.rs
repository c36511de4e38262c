//! What the network says about one image: logits and probabilities.

use super::softmax::softmax;

/// What the network says about one image.
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
    /// One unbounded score a class, before softmax.
    pub logits: Vec<f32>,
    /// One a class, each in 0..=1, together 1.
    pub probabilities: Vec<f32>,
}

impl Classification {
    /// What logits mean: any number of classes, at least one, each logit finite.
    pub fn new(logits: Vec<f32>) -> Classification {
        let probabilities = softmax(&logits);
        Classification { logits, probabilities }
    }

    /// The most probable class; of equal ones, the first.
    pub fn best(&self) -> usize {
        let better = |best: usize, class: usize| {
            if self.logits[class].total_cmp(&self.logits[best]).is_gt() { class } else { best }
        };
        (0..self.logits.len()).fold(0, better)
    }

    /// The `k` most probable classes, the most probable first, equal ones by index; all of them if there are fewer.
    pub fn top(&self, k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b)));
        order.truncate(k);
        order
    }
}
