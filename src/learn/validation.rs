//! Cross-validation: the regularisation that does best on photographs that were left out.

use super::classifier::Rows;
use super::{Fit, LinearClassifier};
use crate::error::{Error, Result};
use crate::forward::log_sum_exp;

/// The strengths of regularisation that are tried, strongest first, so that each training starts from
/// the one before. Beyond both ends the accuracy on photographs does not change.
const STRENGTHS: [f64; 6] = [1.0, 0.2, 0.04, 0.008, 0.0016, 0.0003];

/// A strength of regularisation, and the mean loss on photographs that were left out.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// See [`Fit::l2`].
    pub l2: f64,
    /// The mean of `-ln(probability of the target)` over the photographs that were left out.
    pub loss: f64,
}

/// The loss of each training exceeds its minimum by about this much at most. Neighbouring strengths
/// differ by more.
const GAP: f64 = 1e-3;
/// The search ends after this number of strengths in a row that are worse than the best one.
const ENOUGH: usize = 2;

/// The result of [`cross_validate`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CrossValidation {
    /// The strengths that were tried, in descending order.
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
    let rows = |fold: usize| {
        let photographs = (0..folds.len()).filter(|&photograph| folds[photograph] != fold);
        let rows = photographs.flat_map(|photograph| photograph * views..(photograph + 1) * views);
        Fit { l2: STRENGTHS[0], ..*fit }.rows(rows.collect())
    };
    let rows = (0..count).map(rows).collect::<Result<Vec<Rows>>>()?;
    let mut starts: Vec<Option<LinearClassifier>> = vec![None; count];
    let mut found = CrossValidation { tried: Vec::new(), l2: 0.0, logits: Vec::new() };
    let mut best = f64::INFINITY;
    let mut worse = 0;
    for (at, l2) in STRENGTHS.into_iter().enumerate() {
        let mut loss = 0.0;
        let mut logits = vec![Vec::new(); folds.len()];
        for (fold, start) in starts.iter_mut().enumerate() {
            on_training(at * count + fold, STRENGTHS.len() * count)?;
            let classifier = Fit { l2, ..*fit }.from(&rows[fold], start.as_ref(), GAP)?;
            for photograph in (0..folds.len()).filter(|&photograph| folds[photograph] == fold) {
                let row = photograph * views;
                let found = classifier.logits(fit.features.row(row));
                let mut all = found.clone();
                all.extend(fit.fixed.map(|fixed| fixed[row]));
                loss += log_sum_exp(&all) - all[fit.targets[row]];
                logits[photograph] = found;
            }
            *start = Some(classifier);
        }
        loss /= folds.len() as f64;
        found.tried.push(Tried { l2, loss });
        if loss < best {
            (best, worse) = (loss, 0);
            (found.l2, found.logits) = (l2, logits);
        } else {
            worse += 1;
            if worse == ENOUGH {
                break;
            }
        }
    }
    Ok(found)
}

/// The largest number of folds of [`stratified_folds`].
const FOLDS: usize = 5;

/// Folds for [`cross_validate`]: divides the photographs of each target evenly, in their order. There
/// are five folds, or as many as the rarest target has photographs, at least two. `targets` has the
/// target of each photograph, `0..count`; targets without photographs do not count.
pub fn stratified_folds(targets: &[usize]) -> Vec<usize> {
    let mut sizes = vec![0; targets.iter().max().map_or(0, |last| last + 1)];
    let ranks: Vec<usize> = targets.iter().map(|&target| (sizes[target], sizes[target] += 1).0).collect();
    let least = sizes.into_iter().filter(|&size| size > 0).min().unwrap_or(0);
    let count = least.clamp(2, FOLDS);
    ranks.iter().zip(targets).map(|(rank, target)| (rank + target) % count).collect()
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
