//! The contents of evaluate.json.

use occlude::forward::log_sum_exp;
use occlude::{Classification, Resize};
use serde::Serialize;

use crate::cli::explanation::Session;
use crate::cli::output::confusion::{Confusion, Share};
use crate::cli::photographs::PhotographFile;

/// Number of bins of the calibration.
const BINS: usize = 10;

/// The answer to a photograph.
pub struct Answered<'a> {
    pub file: &'a PhotographFile,
    pub sha256: String,
    /// The class of the photograph.
    pub class: usize,
    /// The answer and its probability.
    pub index: usize,
    pub probability: f32,
    /// The probability of the photograph's class.
    of_class: f32,
    is_among_top: bool,
    /// `-ln(probability of the photograph's class)`.
    loss: f64,
}

impl<'a> Answered<'a> {
    pub fn new(
        file: &'a PhotographFile,
        class: usize,
        sha256: String,
        said: &Classification,
        top: usize,
    ) -> Self {
        let index = said.best();
        let logits: Vec<f64> = said.logits.iter().map(|&logit| f64::from(logit)).collect();
        Answered {
            file,
            sha256,
            class,
            index,
            probability: said.probabilities[index],
            of_class: said.probabilities[class],
            is_among_top: said.top(top).contains(&class),
            loss: log_sum_exp(&logits) - logits[class],
        }
    }

    pub fn is_right(&self) -> bool {
        self.index == self.class
    }
}

/// The answers by their probability.
#[derive(Debug, PartialEq, Serialize)]
pub struct Calibration {
    pub bins: Vec<Bin>,
    pub expected_error: f64,
}

/// The answers with a probability from `from` to `to`.
#[derive(Debug, PartialEq, Serialize)]
pub struct Bin {
    from: f64,
    to: f64,
    photographs: usize,
    /// The mean probability, and the share of right answers; `None` without any answer.
    probability: Option<f64>,
    pub right: Option<f64>,
}

impl Calibration {
    /// `answers` has the probability of each answer, and true if it is right.
    pub fn new(answers: &[(f32, bool)]) -> Calibration {
        let mut expected_error = 0.0;
        let bin = |i: usize| {
            let is_in =
                |probability: f32| ((f64::from(probability) * BINS as f64) as usize).min(BINS - 1) == i;
            let inside: Vec<_> = answers.iter().filter(|(probability, _)| is_in(*probability)).collect();
            let count = inside.len() as f64;
            let probability =
                inside.iter().map(|(probability, _)| f64::from(*probability)).sum::<f64>() / count;
            let right = inside.iter().filter(|(_, is_right)| *is_right).count() as f64 / count;
            if !inside.is_empty() {
                expected_error += (right - probability).abs() * count / answers.len() as f64;
            }
            let some = |value: f64| (!inside.is_empty()).then_some(value);
            let [from, to] = [i, i + 1].map(|end| end as f64 / BINS as f64);
            Bin { from, to, photographs: inside.len(), probability: some(probability), right: some(right) }
        };
        let bins = (0..BINS).map(bin).collect();
        Calibration { bins, expected_error }
    }
}

/// All that evaluate.json tells.
pub struct EvaluateRecord<'a> {
    pub session: &'a Session,
    resize: Resize,
    pub answered: &'a [Answered<'a>],
    /// The network's index of each class of the photographs.
    classes: Vec<usize>,
    pub confusion: Confusion,
    pub top: usize,
    pub among_top: Share,
    /// The mean of -ln(probability of the photograph's class).
    pub loss: f64,
    pub calibration: Calibration,
    pub failed: usize,
}

#[derive(Serialize)]
pub struct Contents<'a> {
    version: &'static str,
    network: &'a str,
    weights_sha256: &'a str,
    resize: String,
    failed: usize,
    right: Share,
    right_among_top: Share,
    top: usize,
    loss: f64,
    classes: Vec<OfClass<'a>>,
    /// `[class][answer]`; the last answer is any other class.
    confusion: &'a [Vec<usize>],
    calibration: &'a Calibration,
    photographs: Vec<OfPhotograph<'a>>,
}

#[derive(Serialize)]
struct OfClass<'a> {
    index: usize,
    label: &'a str,
    right: Share,
}

#[derive(Serialize)]
struct OfPhotograph<'a> {
    path: &'a str,
    sha256: &'a str,
    folder: &'a str,
    class: usize,
    /// The probability of the class.
    probability: f32,
    is_right: bool,
    answer: OfAnswer<'a>,
}

#[derive(Serialize)]
struct OfAnswer<'a> {
    index: usize,
    label: &'a str,
    probability: f32,
}

impl<'a> EvaluateRecord<'a> {
    pub fn new(
        session: &'a Session,
        resize: Resize,
        answered: &'a [Answered],
        top: usize,
        failed: usize,
    ) -> Self {
        let mut classes: Vec<usize> = answered.iter().map(|answer| answer.class).collect();
        classes.sort_unstable();
        classes.dedup();
        let place = |class: usize| classes.binary_search(&class).ok();
        let names = classes.iter().map(|&class| session.labels.short(class).to_string()).collect();
        let places = answered.iter().map(|answer| (place(answer.class).unwrap_or(0), place(answer.index)));
        let confusion = Confusion::new(names, places);
        let among_top = answered.iter().filter(|answer| answer.is_among_top).count();
        let answers: Vec<(f32, bool)> =
            answered.iter().map(|answer| (answer.probability, answer.is_right())).collect();
        EvaluateRecord {
            session,
            resize,
            answered,
            confusion,
            top: top.min(session.labels.count()),
            among_top: Share::new(among_top, answered.len()),
            loss: answered.iter().map(|answer| answer.loss).sum::<f64>() / answered.len() as f64,
            calibration: Calibration::new(&answers),
            classes,
            failed,
        }
    }

    pub fn contents(&self) -> Contents<'_> {
        let labels = &self.session.labels;
        let classes = self.classes.iter().enumerate();
        let classes = classes.map(|(place, &index)| OfClass {
            index,
            label: labels.short(index),
            right: self.confusion.right_of(place),
        });
        let photographs = self.answered.iter().map(|answer| OfPhotograph {
            path: &answer.file.shown,
            sha256: &answer.sha256,
            folder: &answer.file.folder,
            class: answer.class,
            probability: answer.of_class,
            is_right: answer.is_right(),
            answer: OfAnswer {
                index: answer.index,
                label: labels.short(answer.index),
                probability: answer.probability,
            },
        });
        Contents {
            version: env!("CARGO_PKG_VERSION"),
            network: &self.session.network,
            weights_sha256: &self.session.weights_sha256,
            resize: self.resize.to_string(),
            failed: self.failed,
            right: self.confusion.right(),
            right_among_top: self.among_top,
            top: self.top,
            loss: self.loss,
            classes: classes.collect(),
            confusion: &self.confusion.counts,
            calibration: &self.calibration,
            photographs: photographs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_shares_and_the_error_weighs_them() {
        let found = Calibration::new(&[(0.95, true), (1.0, true), (0.91, false), (0.55, true)]);
        let filled: Vec<_> = found
            .bins
            .iter()
            .filter(|bin| bin.photographs > 0)
            .map(|bin| (bin.from, bin.photographs))
            .collect();
        assert_eq!(filled, [(0.5, 1), (0.9, 3)]);
        let last = &found.bins[9];
        assert!((last.probability.unwrap() - 2.86 / 3.0).abs() < 1e-6 && last.right == Some(2.0 / 3.0));
        let expected = 0.25 * 0.45 + 0.75 * (2.86 / 3.0 - 2.0 / 3.0);
        assert!((found.expected_error - expected).abs() < 1e-6, "{}", found.expected_error);
        assert_eq!(Calibration::new(&[]).expected_error, 0.0);
    }
}
