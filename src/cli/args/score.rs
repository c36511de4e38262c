//! The option `--score`.

use std::path::{Path, PathBuf};

use clap::Args;
use occlude::network::groups::Groups;
use occlude::{Against, Error, Labels, Result, Score};

/// The score and the groups that it may name.
#[derive(Clone, Args)]
pub struct ScoreOption {
    /// Score of a class: probability (after softmax, 0 to 1) or logit (before softmax, unbounded);
    /// contrast:CLASS, its probability minus that of another class (why this class and not that one?);
    /// contrast:nearest:K, minus the mean of the K classes that are nearest to it in the answer for the
    /// uncovered picture (nearest is nearest:1); margin, minus that of the best other class under each
    /// mask; logit-contrast and logit-margin, the same of logits. Two scores have one map, whatever
    /// the class: group:NAME, the probability of all classes below a node of WordNet, such as dog,
    /// bird or vehicle; entropy, the uncertainty of the whole answer in nats
    #[arg(id = "score", long = "score", value_name = "SCORE", default_value = "probability", value_parser = score)]
    pub choice: ScoreChoice,

    /// Groups for --score group:NAME in place of WordNet's: a text file with a line such as "pets: tabby,
    /// Persian cat, 151-268" for each group
    #[arg(long, value_name = "FILE")]
    pub groups: Option<PathBuf>,
}

/// A score whose classes are named. The names are resolved when the network's labels are known.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreChoice {
    /// A score that names no class.
    Known(Score),
    /// The contrast with this class, of logits or of probabilities.
    Contrast { class: String, logits: bool },
    /// The group with this name.
    Group(String),
}

const EXPECTED: &str = "expected probability, logit, contrast:CLASS, contrast:nearest, contrast:nearest:K, margin, \
                        logit-contrast:... or logit-margin, group:NAME, or entropy";

pub fn score(text: &str) -> std::result::Result<ScoreChoice, String> {
    let known = match text {
        "probability" => Some(Score::Probability),
        "logit" => Some(Score::Logit),
        "margin" => Some(Score::Margin),
        "logit-margin" => Some(Score::LogitMargin),
        "entropy" => Some(Score::Entropy),
        _ => None,
    };
    if let Some(score) = known {
        return Ok(ScoreChoice::Known(score));
    }
    match text.split_once(':').map(|(kind, name)| (kind, name.trim())) {
        Some((_, "")) => Err(EXPECTED.to_string()),
        Some(("group", name)) => Ok(ScoreChoice::Group(name.to_string())),
        Some((kind @ ("contrast" | "logit-contrast"), name)) => {
            let logits = kind == "logit-contrast";
            let contrast = |count| {
                let against = Against::Nearest(count);
                ScoreChoice::Known(if logits {
                    Score::LogitContrast(against)
                } else {
                    Score::Contrast(against)
                })
            };
            match name.strip_prefix("nearest") {
                Some("") => Ok(contrast(1)),
                Some(rest) if rest.starts_with(':') => {
                    let count = rest[1..].parse().ok().filter(|count| *count > 0);
                    count
                        .map(contrast)
                        .ok_or_else(|| "expected nearest:K with a number of classes K".to_string())
                }
                _ => Ok(ScoreChoice::Contrast { class: name.to_string(), logits }),
            }
        }
        _ => Err(EXPECTED.to_string()),
    }
}

impl ScoreChoice {
    /// True if the score is the same for all classes.
    pub fn is_of_no_class(&self) -> bool {
        matches!(self, ScoreChoice::Group(_) | ScoreChoice::Known(Score::Entropy))
    }

    /// The score for a network with these labels; `groups` is a file of groups in place of WordNet's.
    ///
    /// # Errors
    /// The errors of [`Labels::find`], [`Groups::open`] and [`Groups::find`]; [`Error::Option`] for a file
    /// of groups with another score.
    pub fn resolve(&self, labels: &Labels, groups: Option<&Path>) -> Result<Score> {
        if let (Some(file), false) = (groups, matches!(self, ScoreChoice::Group(_))) {
            return Err(Error::Option {
                name: "--groups",
                found: file.display().to_string(),
                expected: "--score group:NAME beside it".to_string(),
            });
        }
        Ok(match self {
            ScoreChoice::Known(score) => score.clone(),
            ScoreChoice::Contrast { class, logits } => {
                let against = Against::Class(labels.find(class)?);
                if *logits { Score::LogitContrast(against) } else { Score::Contrast(against) }
            }
            ScoreChoice::Group(name) => {
                let groups = match groups {
                    Some(file) => Groups::open(file, labels)?,
                    None => Groups::wordnet(labels),
                };
                let group = groups.find(name)?;
                Score::Group { name: group.label.short().to_string(), classes: group.classes.clone() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_and_resolved() {
        let resolved = |text: &str| score(text).unwrap().resolve(Labels::imagenet(), None);
        for (text, written) in [
            ("probability", "probability"),
            ("logit", "logit"),
            ("margin", "margin"),
            ("logit-margin", "logit-margin"),
            ("entropy", "entropy"),
            ("contrast:nearest", "contrast:nearest"),
            ("contrast:nearest:1", "contrast:nearest"),
            ("logit-contrast:nearest:5", "logit-contrast:nearest:5"),
            ("contrast:tabby, tabby cat", "contrast:281"),
            ("logit-contrast:n02123045", "logit-contrast:281"),
            ("group:Dog", "group:dog"),
            ("group:n02084071", "group:dog"),
        ] {
            let found = resolved(text).unwrap().to_string();
            assert_eq!(found, written, "{text}");
            // The form that is written is read as the same score.
            assert_eq!(resolved(&found).unwrap(), resolved(text).unwrap(), "{text}");
        }
        for wrong in [
            "",
            "Probability",
            "contrast",
            "contrast:",
            "group:",
            "nearest",
            "margin:3",
            "contrast:nearest:0",
        ] {
            assert!(score(wrong).is_err(), "{wrong}");
        }
        for (wrong, problem) in [("contrast:tabbi", "did you mean tabby"), ("group:doge", "did you mean dog")]
        {
            assert!(resolved(wrong).unwrap_err().to_string().contains(problem), "{wrong}");
        }
        let file = score("logit").unwrap().resolve(Labels::imagenet(), Some(Path::new("pets.txt")));
        let message = "--groups pets.txt is not possible: expected --score group:NAME beside it";
        assert_eq!(file.unwrap_err().to_string(), message);
    }
}
