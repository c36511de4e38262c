//! A linear classifier, and its training by logistic regression.

use super::Features;
use super::lbfgs::{Minimum, minimise};
use crate::error::{Error, Result};
use crate::forward::{exp, log_sum_exp};
use crate::memory;
use crate::network::MAX_CLASSES;
use crate::parallel;

/// A classifier on features: the logit of a class is the product of its weights and the features, plus
/// its bias.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearClassifier {
    /// `[classes][width]`.
    pub weights: Vec<f64>,
    /// `[classes]`.
    pub biases: Vec<f64>,
    /// The value of the function that the training minimised; see [`Fit`].
    pub objective: f64,
    /// Number of steps of the training.
    pub steps: usize,
}

/// Training of a [`LinearClassifier`] by multinomial logistic regression: minimises the mean of
/// `-ln(probability of the target)` over the rows, plus `l2 / 2` times the sum of the squared weights.
/// Biases are free. scikit-learn's `LogisticRegression` minimises the same with `C = 1 / (l2 * rows)`.
///
/// ```
/// use occlude::learn::{Features, Fit};
///
/// let mut features = Features::new(2)?;
/// for row in [[0.0, 1.0], [0.2, 0.9], [1.0, 0.1], [0.8, 0.0]] {
///     features.push(&row)?;
/// }
/// let fit = Fit { features: &features, targets: &[0, 0, 1, 1], classes: 2, fixed: None, l2: 0.01 };
/// let classifier = fit.run(&[0, 1, 2, 3])?;
/// let logits = classifier.logits(features.row(2));
/// assert!(logits[1] > logits[0]);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// The features of all images.
    pub features: &'a Features,
    /// The class of each image, `0..classes`; or `classes` for an image that belongs to none of them,
    /// which needs `fixed`.
    pub targets: &'a [usize],
    /// Number of classes to train, at least 1, and at least 2 without `fixed`.
    pub classes: usize,
    /// For classes that join others, which stay as they are: the logarithm of the sum of the
    /// exponentials of those others' logits, for each image.
    pub fixed: Option<&'a [f64]>,
    /// The strength of the regularisation, above 0.
    pub l2: f64,
}

/// Rows that have been checked, and the mean of their features.
pub(super) struct Rows {
    rows: Vec<usize>,
    mean: Vec<f64>,
}

impl LinearClassifier {
    /// The logits of an image.
    ///
    /// # Panics
    /// If the number of features is not the width of the weights.
    pub fn logits(&self, features: &[f32]) -> Vec<f64> {
        assert_eq!(features.len() * self.biases.len(), self.weights.len(), "one weight for each feature");
        let rows = self.weights.chunks_exact(features.len()).zip(&self.biases);
        rows.map(|(weights, bias)| {
            weights.iter().zip(features).fold(0.0, |sum, (w, &x)| sum + w * f64::from(x)) + bias
        })
        .collect()
    }
}

impl Fit<'_> {
    /// Trains on some rows of the features.
    ///
    /// # Errors
    /// [`Error::Option`] if a field is outside its range, if the numbers of features, targets and fixed
    /// values differ, or if there is no row; [`Error::Memory`].
    pub fn run(&self, rows: &[usize]) -> Result<LinearClassifier> {
        self.from(&self.rows(rows.to_vec())?, None, 1e-7)
    }

    /// Checks all fields and some rows, for one or several trainings on them.
    pub(super) fn rows(&self, rows: Vec<usize>) -> Result<Rows> {
        self.check(&rows)?;
        Ok(Rows { mean: self.features.mean(&rows), rows })
    }

    /// [`Fit::run`] from the weights of another classifier, until the objective exceeds its minimum by
    /// about `gap` at most.
    pub(super) fn from(
        &self,
        Rows { rows, mean }: &Rows,
        start: Option<&LinearClassifier>,
        gap: f64,
    ) -> Result<LinearClassifier> {
        let (width, classes) = (self.features.width(), self.classes);
        let count = classes * width;
        // The vectors of the minimisation, and the factors and scores of the rows.
        let values = 32 * (count + classes) + 4 * rows.len() * (classes + 1);
        memory::require("the training", values.saturating_mul(size_of::<f64>()))?;
        // With the mean subtracted from the features, biases and weights hardly depend on each other,
        // and the minimisation takes a fraction of the steps. The weights stay the same.
        let shift = |weights: &[f64]| -> Vec<f64> {
            let products = weights.chunks_exact(width).map(|weights| weights.iter().zip(mean));
            products.map(|products| products.fold(0.0, |sum, (w, m)| sum + w * m)).collect()
        };
        let mut point = vec![0.0; count + classes];
        if let Some(start) = start {
            point[..count].copy_from_slice(&start.weights);
            let biases = point[count..].iter_mut().zip(&start.biases).zip(shift(&start.weights));
            biases.for_each(|((to, bias), shift)| *to = bias + shift);
        }
        // The objective is at least l2-convex in the weights, so it exceeds its minimum by at most the
        // squared norm of the gradient over 2 * l2.
        let objective = |point: &[f64]| {
            let (weights, biases) = point.split_at(count);
            let shift = shift(weights);
            let mut scores = self.features.scores(rows, weights);
            let mut loss = 0.0;
            let mut logits = Vec::with_capacity(classes + 1);
            for (&row, scores) in rows.iter().zip(scores.chunks_exact_mut(classes)) {
                logits.clear();
                logits.extend(scores.iter().zip(biases).zip(&shift).map(|((score, b), s)| score - s + b));
                logits.extend(self.fixed.map(|fixed| fixed[row]));
                let all = log_sum_exp(&logits);
                let target = self.targets[row];
                loss += all - logits[target];
                // The derivative of the loss by each logit.
                for (class, score) in scores.iter_mut().enumerate() {
                    *score = exp(logits[class] - all) - f64::from(class == target);
                }
            }
            let rate = 1.0 / rows.len() as f64;
            let mut gradient = self.features.weighted(rows, &scores, classes);
            let mut sums = vec![0.0; classes];
            for scores in scores.chunks_exact(classes) {
                sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
            }
            for ((gradient, weights), sum) in
                gradient.chunks_exact_mut(width).zip(weights.chunks_exact(width)).zip(&sums)
            {
                for ((gradient, weight), mean) in gradient.iter_mut().zip(weights).zip(mean) {
                    *gradient = (*gradient - sum * mean) * rate + self.l2 * weight;
                }
            }
            gradient.extend(sums.iter().map(|sum| sum * rate));
            let squares = weights.iter().fold(0.0, |sum, w| sum + w * w);
            (loss * rate + self.l2 / 2.0 * squares, gradient)
        };
        let minimum = parallel::inside(|| minimise(point, 2.0 * self.l2 * gap, objective));
        let Minimum { point: mut weights, value, steps } = minimum;
        let mut biases = weights.split_off(count);
        biases.iter_mut().zip(shift(&weights)).for_each(|(bias, shift)| *bias -= shift);
        Ok(LinearClassifier { weights, biases, objective: value, steps })
    }

    /// Checks all fields and some rows.
    pub(crate) fn check(&self, rows: &[usize]) -> Result<()> {
        let count = self.features.count();
        let least = if self.fixed.is_some() { 1 } else { 2 };
        if !(least..=MAX_CLASSES).contains(&self.classes) {
            let expected = format!("{least} to {MAX_CLASSES}");
            return Err(Error::option("number of classes", self.classes, expected));
        }
        if !(self.l2 > 0.0 && self.l2.is_finite()) {
            return Err(Error::option("regularisation", self.l2, "a finite number above 0"));
        }
        if self.targets.len() != count {
            let expected = format!("{count}, one for each row of the features");
            return Err(Error::option("number of targets", self.targets.len(), expected));
        }
        if let Some(fixed) = self.fixed {
            if fixed.len() != count {
                let expected = format!("{count}, one for each row of the features");
                return Err(Error::option("number of fixed values", fixed.len(), expected));
            }
            if let Some(value) = fixed.iter().find(|value| !value.is_finite()) {
                return Err(Error::option("fixed value", value, "a finite number"));
            }
        }
        let last = if self.fixed.is_some() { self.classes } else { self.classes - 1 };
        if let Some(target) = self.targets.iter().find(|&&target| target > last) {
            return Err(Error::option("target", target, format!("0 to {last}")));
        }
        if rows.is_empty() {
            return Err(Error::option("number of rows", 0, "at least 1"));
        }
        match rows.iter().find(|&&row| row >= count) {
            Some(row) => Err(Error::option("row", row, format!("0 to {}", count.saturating_sub(1)))),
            None => Ok(()),
        }
    }
}
