//! The subjects of maps and their score, in words and in file names.

use occlude::text::shown;
use occlude::{Against, Labels, RiseMaps, Score, Target};

use super::names::{slug, slugs};
use super::table;
use crate::cli::explanation::Explanation;

/// The largest number of classes that a line names.
const NAMED: usize = 8;

/// Maps of one score, each with its subject.
pub trait Subjects {
    fn score(&self) -> &Score;
    fn labels(&self) -> &Labels;
    fn targets(&self) -> &[Target];
    /// The score of each target for the unchanged picture.
    fn base_scores(&self) -> &[f32];

    /// The score that the maps follow, in words for "drop in ...".
    fn score_in_words(&self) -> String {
        let of_against = |against: &Against| match against {
            Against::Class(class) => format!("that of {}", shown(self.labels().short(*class))),
            Against::Nearest(1) => "that of the nearest class".to_string(),
            Against::Nearest(count) => format!("the mean of the {count} nearest classes"),
            other => other.to_string(),
        };
        match self.score() {
            Score::Contrast(against) => format!("probability minus {}", of_against(against)),
            Score::LogitContrast(against) => format!("logit minus {}", of_against(against)),
            Score::Margin => "probability minus that of the best other class".to_string(),
            Score::LogitMargin => "logit minus that of the best other class".to_string(),
            Score::Group { name, .. } => format!("probability of {name}"),
            other => other.to_string(),
        }
    }

    /// The score in one or two words, for its value beside a title.
    fn score_name(&self) -> &'static str {
        match self.score() {
            Score::Contrast(_) => "contrast",
            Score::LogitContrast(_) => "logit contrast",
            Score::Margin => "margin",
            Score::LogitMargin => "logit margin",
            Score::Entropy => "entropy",
            Score::Logit => "logit",
            _ => "probability",
        }
    }

    /// The names of the subject of the `k`-th map: those of its class, unless the score has none.
    fn subject(&self, k: usize) -> String {
        match self.score() {
            Score::Group { name, classes } => match classes.len() {
                1 => format!("{name} (1 class)"),
                count => format!("{name} ({count} classes)"),
            },
            Score::Entropy => "whole answer".to_string(),
            _ => self.labels().words(self.targets()[k].class).to_string(),
        }
    }

    /// The subject of the `k`-th map and its score for the uncovered picture, on one line.
    fn heading(&self, k: usize) -> String {
        let (subject, base) = (self.short_subject(k), table::score(self.base_scores()[k]));
        let subject = shown(&subject);
        match self.score().is_of_class() {
            true => format!("{subject} ({}): {} {base}", self.targets()[k].class, self.score_in_words()),
            false => format!("{subject}: {} {base}", self.score_in_words()),
        }
    }

    /// The classes of the `k`-th map's score: those that are nearest to its own, or the members of the group.
    fn compared_in_words(&self, k: usize) -> Option<String> {
        let name = match self.score() {
            Score::Contrast(Against::Nearest(_)) | Score::LogitContrast(Against::Nearest(_)) => "nearest",
            Score::Group { .. } => "members",
            _ => return None,
        };
        let classes = &self.targets()[k].against;
        let names = classes.iter().take(NAMED).map(|&class| shown(self.labels().short(class)));
        let names = names.collect::<Vec<_>>().join(", ");
        Some(match classes.len() - classes.len().min(NAMED) {
            0 => format!("{name}: {names}"),
            more => format!("{name}: {names} and {more} more"),
        })
    }

    /// The short name of the subject of the `k`-th map.
    fn short_subject(&self, k: usize) -> String {
        match self.score().is_of_class() {
            true => self.labels().short(self.targets()[k].class).to_string(),
            false => self.subject(k),
        }
    }

    /// For the maps, the names of their subjects in file names.
    fn slugs(&self) -> Vec<String> {
        match self.score() {
            Score::Group { name, .. } => vec![slug(&format!("group {name}"))],
            Score::Entropy => vec![slug("entropy")],
            _ => {
                let classes: Vec<usize> = self.targets().iter().map(|target| target.class).collect();
                slugs(&classes, self.labels())
            }
        }
    }
}

impl Subjects for Explanation {
    fn score(&self) -> &Score {
        &self.maps.score
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn targets(&self) -> &[Target] {
        &self.maps.targets
    }

    fn base_scores(&self) -> &[f32] {
        &self.maps.base_scores
    }
}

/// The maps of RISE, with the names of the classes.
pub struct NamedRise<'a> {
    pub found: &'a RiseMaps,
    pub labels: &'a Labels,
}

impl Subjects for NamedRise<'_> {
    fn score(&self) -> &Score {
        &self.found.score
    }

    fn labels(&self) -> &Labels {
        self.labels
    }

    fn targets(&self) -> &[Target] {
        &self.found.targets
    }

    fn base_scores(&self) -> &[f32] {
        &self.found.base_scores
    }
}

impl Explanation {
    /// False if it was made from stored scores by [`Session::restore`].
    pub fn was_swept(&self) -> bool {
        self.elapsed_seconds > 0.0
    }
}
