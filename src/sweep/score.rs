//! The number of a class that a map follows, computed from the answer for one picture. All are functions
//! of the same logits, so that none costs a further pass (`docs/05-occlusion-map.md`).

use std::fmt;

use super::check_classes;
use crate::forward::{Classification, exp, log_sum_exp};
use crate::network::Network;
use crate::{Error, Result};

/// The number of a class that a map follows.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Score {
    /// The class's probability after softmax, 0..=1. The default.
    #[default]
    Probability,
    /// The class's logit, before softmax, unbounded.
    Logit,
    /// The class's probability minus that of other classes, -1..=1: why this class, and not those?
    Contrast(Against),
    /// The same of logits, unbounded.
    LogitContrast(Against),
    /// The class's probability minus that of the most probable other class, -1..=1: positive where the
    /// class is the answer.
    Margin,
    /// The same of logits, unbounded.
    LogitMargin,
    /// The sum of the probabilities of a group of classes, 0..=1, whatever the class is: is it a dog at
    /// all?
    Group {
        /// The name of the group, for [`Display`](fmt::Display).
        name: String,
        /// Its classes, ascending, each once.
        classes: Vec<usize>,
    },
    /// The entropy of all probabilities in nats, 0..=ln(number of classes), whatever the class is: how
    /// uncertain is the answer?
    Entropy,
}

/// The classes that a [`Score::Contrast`] compares with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Against {
    /// One class.
    Class(usize),
    /// The mean of this number of classes, at least 1: those with the largest logits for the unoccluded
    /// image, apart from the class itself.
    Nearest(usize),
}

/// A score for one class of one image, with the classes that it compares with.
///
/// ```
/// use occlude::{Against, Classification, Score};
///
/// let whole = Classification::new(vec![3.0, 1.0, 2.5, 0.0]);
/// let target = Score::LogitContrast(Against::Nearest(2)).target(0, &whole);
/// assert_eq!(target.against, [2, 1]);
/// assert_eq!(target.of(&whole), 3.0 - (2.5 + 1.0) / 2.0);
/// // The classes stay those of the unoccluded image.
/// let masked = Classification::new(vec![1.0, 2.0, 4.0, 9.0]);
/// assert_eq!(target.of(&masked), 1.0 - (4.0 + 2.0) / 2.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The class.
    pub class: usize,
    /// The classes whose mean is subtracted, or that belong to the group; empty for other scores.
    pub against: Vec<usize>,
    score: Score,
}

impl Score {
    /// The score for a class of an image, whose unoccluded classification decides which classes are
    /// nearest.
    pub fn target(&self, class: usize, unoccluded: &Classification) -> Target {
        let against = match self {
            Score::Contrast(against) | Score::LogitContrast(against) => match *against {
                Against::Class(other) => vec![other],
                Against::Nearest(count) => {
                    let order = unoccluded.top(count + 1).into_iter();
                    order.filter(|&other| other != class).take(count).collect()
                }
            },
            Score::Group { classes, .. } => classes.clone(),
            _ => Vec::new(),
        };
        Target { class, against, score: self.clone() }
    }

    /// The score for each of several classes, as [`target`](Self::target).
    pub(crate) fn targets<'c>(
        &self,
        classes: impl IntoIterator<Item = &'c usize>,
        unoccluded: &Classification,
    ) -> Vec<Target> {
        classes.into_iter().map(|&class| self.target(class, unoccluded)).collect()
    }

    /// The numbers of all classes that the score is made of: their logits or their probabilities.
    pub fn outputs<'c>(&self, answer: &'c Classification) -> &'c [f32] {
        if self.is_of_logits() { &answer.logits } else { &answer.probabilities }
    }

    /// True if the score is made of logits, not of probabilities.
    pub fn is_of_logits(&self) -> bool {
        matches!(self, Score::Logit | Score::LogitContrast(_) | Score::LogitMargin)
    }

    /// True if the score depends on a class: there is one map for each.
    pub fn is_of_class(&self) -> bool {
        !matches!(self, Score::Group { .. } | Score::Entropy)
    }

    /// Checks the score against a network.
    pub(crate) fn check(&self, network: &Network) -> Result<()> {
        let classes = network.classes();
        let refuse = |found: String, expected: String| Err(Error::Option { name: "score", found, expected });
        match self {
            Score::Contrast(Against::Class(other)) | Score::LogitContrast(Against::Class(other)) => {
                check_classes(&[*other], network)
            }
            Score::Contrast(Against::Nearest(count)) | Score::LogitContrast(Against::Nearest(count)) => {
                if (1..classes).contains(count) {
                    return Ok(());
                }
                refuse(self.to_string(), format!("1 to {} other classes", classes - 1))
            }
            Score::Margin | Score::LogitMargin if classes < 2 => {
                refuse(self.to_string(), "a network of at least two classes".to_string())
            }
            Score::Group { classes: members, .. } => {
                if members.is_empty() || !members.is_sorted_by(|a, b| a < b) {
                    let expected = "at least one class, ascending, each once";
                    return refuse(format!("{self} with classes {members:?}"), expected.to_string());
                }
                check_classes(members, network)
            }
            _ => Ok(()),
        }
    }

    /// Checks the classes of the maps: one for a score that depends on none, and none that a contrast
    /// compares with.
    pub(crate) fn check_mapped(&self, classes: &[usize]) -> Result<()> {
        let refuse =
            |found: String, expected: String| Err(Error::Option { name: "classes", found, expected });
        if let Score::Contrast(Against::Class(other)) | Score::LogitContrast(Against::Class(other)) = self
            && classes.contains(other)
        {
            return refuse(other.to_string(), format!("other classes than that of the score {self}"));
        }
        if !self.is_of_class() && classes.len() > 1 {
            let expected = format!("at most one, because the score {self} is the same for all classes");
            return refuse(format!("{} of them", classes.len()), expected);
        }
        Ok(())
    }
}

impl Target {
    /// The score of an answer.
    pub fn of(&self, answer: &Classification) -> f32 {
        let all = self.score.outputs(answer);
        let sum = |classes: &[usize]| classes.iter().map(|&class| f64::from(all[class])).sum::<f64>();
        match self.score {
            Score::Probability | Score::Logit => all[self.class],
            Score::Contrast(_) | Score::LogitContrast(_) => {
                let mean = sum(&self.against) / self.against.len() as f64;
                (f64::from(all[self.class]) - mean) as f32
            }
            Score::Margin | Score::LogitMargin => {
                let others = (0..all.len()).filter(|&class| class != self.class);
                let best = others.map(|class| all[class]).fold(f32::NEG_INFINITY, f32::max);
                (f64::from(all[self.class]) - f64::from(best)) as f32
            }
            // Rounding may exceed 1 by a little.
            Score::Group { .. } => sum(&self.against).min(1.0) as f32,
            Score::Entropy => entropy(&answer.logits),
        }
    }
}

/// The entropy of the probabilities of these logits, in nats: `log(sum(exp(l))) - sum(p l)`, in f64.
fn entropy(logits: &[f32]) -> f32 {
    let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    let all = log_sum_exp(&logits);
    // Each term is the product of two numbers that are not negative. Where a probability is 0, so is it.
    let terms = logits.iter().map(|logit| {
        let distance = (all - logit).max(0.0);
        exp(-distance) * if distance.is_finite() { distance } else { 0.0 }
    });
    terms.sum::<f64>() as f32
}

impl fmt::Display for Score {
    /// Writes the score as the command reads it, with classes as indices.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Score::Probability => f.write_str("probability"),
            Score::Logit => f.write_str("logit"),
            Score::Contrast(against) => write!(f, "contrast:{against}"),
            Score::LogitContrast(against) => write!(f, "logit-contrast:{against}"),
            Score::Margin => f.write_str("margin"),
            Score::LogitMargin => f.write_str("logit-margin"),
            Score::Group { name, .. } => write!(f, "group:{name}"),
            Score::Entropy => f.write_str("entropy"),
        }
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Against::Class(class) => write!(f, "{class}"),
            Against::Nearest(1) => f.write_str("nearest"),
            Against::Nearest(count) => write!(f, "nearest:{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(classes: &[usize]) -> Score {
        Score::Group { name: "some".to_string(), classes: classes.to_vec() }
    }

    proptest! {
        /// Every score against its definition, written out with the standard library's functions.
        #[test]
        fn scores_are_their_definitions(
            logits in prop::collection::vec(-20f32..20.0, 12),
            masked in prop::collection::vec(-20f32..20.0, 12),
            class in 0usize..12,
            count in 1usize..11,
        ) {
            let (whole, masked) = (Classification::new(logits), Classification::new(masked));
            let of = |score: Score| f64::from(score.target(class, &whole).of(&masked));
            let (p, l) = (&masked.probabilities, &masked.logits);
            let mut order: Vec<usize> = (0..12).filter(|&other| other != class).collect();
            order.sort_by(|&a, &b| whole.logits[b].total_cmp(&whole.logits[a]));
            let mean = |values: &[f32]| {
                order[..count].iter().map(|&c| f64::from(values[c])).sum::<f64>() / count as f64
            };
            let other = (class + 3) % 12;
            let best = |values: &[f32]| order.iter().map(|&c| f64::from(values[c])).fold(f64::MIN, f64::max);
            let exact: Vec<f64> = l.iter().map(|&x| f64::from(x)).collect();
            let sum: f64 = exact.iter().map(|x| x.exp()).sum();
            let entropy: f64 = exact.iter().map(|x| -(x.exp() / sum) * (x.exp() / sum).ln()).sum();
            let wanted = [
                (Score::Probability, f64::from(p[class])),
                (Score::Logit, f64::from(l[class])),
                (Score::Contrast(Against::Class(other)), f64::from(p[class] - p[other])),
                (Score::LogitContrast(Against::Class(other)), f64::from(l[class] - l[other])),
                (Score::Contrast(Against::Nearest(count)), f64::from(p[class]) - mean(p)),
                (Score::LogitContrast(Against::Nearest(count)), f64::from(l[class]) - mean(l)),
                (Score::Margin, f64::from(p[class]) - best(p)),
                (Score::LogitMargin, f64::from(l[class]) - best(l)),
                (group(&[2, 5, 9]), f64::from(p[2]) + f64::from(p[5]) + f64::from(p[9])),
                (Score::Entropy, entropy),
            ];
            for (score, wanted) in wanted {
                let found = of(score.clone());
                prop_assert!((found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0), "{score}: {found}, {wanted}");
            }
        }
    }

    #[test]
    fn extreme_answers_have_scores() {
        let certain = Classification::new(vec![1e30, 0.0, -1e30]);
        assert_eq!(Score::Entropy.target(0, &certain).of(&certain), 0.0);
        assert_eq!(Score::Margin.target(0, &certain).of(&certain), 1.0);
        assert_eq!(group(&[0, 1, 2]).target(0, &certain).of(&certain), 1.0);
        let even = Classification::new(vec![0.5; 8]);
        assert!((Score::Entropy.target(0, &even).of(&even) - 8f32.ln()).abs() < 1e-6);
        assert_eq!(Score::LogitMargin.target(3, &even).of(&even), 0.0);
    }

    #[test]
    fn scores_are_refused_by_name() {
        let network = Network::googlenet();
        let message = |score: Score| score.check(&network).unwrap_err().to_string();
        let nearest = message(Score::Contrast(Against::Nearest(0)));
        assert_eq!(nearest, "score contrast:nearest:0 is not possible: expected 1 to 999 other classes");
        assert!(message(Score::LogitContrast(Against::Class(1000))).contains("class 1000 is not possible"));
        assert!(message(group(&[])).contains("expected at least one class"));
        assert!(message(group(&[3, 3])).contains("each once"));
        assert!(message(group(&[1000])).contains("class 1000 is not possible"));
        let of = |score: Score, classes: &[usize]| score.check_mapped(classes).map_err(|e| e.to_string());
        assert_eq!(of(Score::Margin, &[1, 2]), Ok(()));
        assert!(of(Score::Contrast(Against::Class(7)), &[6, 7]).unwrap_err().contains("classes 7"));
        assert!(of(Score::Entropy, &[6, 7]).unwrap_err().contains("2 of them"));
    }
}
