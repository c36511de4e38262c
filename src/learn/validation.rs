//! Cross-validation: the regularisation that does best on photographs that were left out.

use super::{Fit, LinearClassifier};
use crate::error::{Error, Result};
use crate::forward::log_sum_exp;

/// The strengths of regularisation that are tried, strongest first, so that each training starts from
/// the one before. Beyond both ends the accuracy on photographs does not change.
const STRENGTHS: [f64; 7] = [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// A strength of regularisation, and the mean loss on photographs that were left out.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// See [`Fit::l2`].
    pub l2: f64,
    /// The mean of `-ln(probability of the target)` over the photographs that were left out.
    pub loss: f64,
}

/// The result of [`cross_validate`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CrossValidation {
    /// All strengths that were tried.
    pub tried: Vec<Tried>,
    /// The strength with the smallest loss.
    pub l2: f64,
    /// For each photograph, its logits by the classifier that was trained without it, with the best
    /// strength, `[photographs][classes]`.
    pub logits: Vec<Vec<f64>>,
}

/// Trains without the photographs of each fold in turn, and classifies these. `fit` has `views` rows
/// for each photograph, one after the other, of which the first is the photograph as it is; `folds` has
/// the fold of each photograph, `0..count`. The strength in `fit` is ignored.
/// `on_training` is called before each training with the number of trainings that are done and the
/// number of all.
///
/// # Errors
/// As [`Fit::run`]; [`Error::Option`] if the number of rows is not `views` for each photograph, or if
/// all photographs are in one fold. Those of `on_training`.
pub fn cross_validate(
    fit: &Fit,
    views: usize,
    folds: &[usize],
    on_training: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<CrossValidation> {
    let count = folds.iter().max().map_or(0, |last| last + 1);
    if count < 2 {
        return Err(Error::option("number of folds", count, "at least 2"));
    }
    if views == 0 || folds.len() * views != fit.features.count() {
        let expected = format!("{} photographs of {views} views", folds.len());
        return Err(Error::option("number of rows", fit.features.count(), expected));
    }
    let mut losses = [0.0; STRENGTHS.len()];
    let mut logits = vec![Vec::new(); folds.len()];
    for fold in 0..count {
        let photographs = |is_out: bool| (0..folds.len()).filter(move |&i| (folds[i] == fold) == is_out);
        let rows: Vec<usize> =
            photographs(false).flat_map(|photograph| photograph * views..(photograph + 1) * views).collect();
        let mut start: Option<LinearClassifier> = None;
        for (at, &l2) in STRENGTHS.iter().enumerate() {
            on_training(fold * STRENGTHS.len() + at, count * STRENGTHS.len())?;
            let classifier = Fit { l2, ..*fit }.from(&rows, start.as_ref(), 1e-4)?;
            for photograph in photographs(true) {
                let row = photograph * views;
                let found = classifier.logits(fit.features.row(row));
                let mut all = found.clone();
                all.extend(fit.fixed.map(|fixed| fixed[row]));
                losses[at] += log_sum_exp(&all) - all[fit.targets[row]];
                logits[photograph].push(found);
            }
            start = Some(classifier);
        }
    }
    let tried: Vec<Tried> = STRENGTHS
        .iter()
        .zip(losses)
        .map(|(&l2, loss)| Tried { l2, loss: loss / folds.len() as f64 })
        .collect();
    let best = (0..tried.len()).fold(0, |best, at| if tried[at].loss < tried[best].loss { at } else { best });
    let logits = logits.into_iter().map(|mut of_strengths| of_strengths.swap_remove(best)).collect();
    Ok(CrossValidation { l2: tried[best].l2, tried, logits })
}

/// The interval that contains the true share with a probability of 95 %, where `hits` of `count` trials
/// were hits (Wilson, 1927). From 0 to 1 if there were no trials.
pub fn wilson_interval(hits: usize, count: usize) -> [f64; 2] {
    /// The quantile of the normal distribution for 95 % on both sides.
    const Z: f64 = 1.959_963_984_540_054;
    if count == 0 {
        return [0.0, 1.0];
    }
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)]
}
