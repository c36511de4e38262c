//! The comparison of two maps of a check, and what follows from it.

use serde::{Serialize, Serializer};

use crate::cli::output::contrast::{correlation, rank_correlation};

/// A map that should change has changed if the magnitude of its correlation is below this.
pub const CHANGED: f32 = 0.5;
/// A map with at least this correlation has not changed. A map with less has not stayed.
pub const ALIKE: f32 = 0.8;
/// A map that should stay has stayed if its correlation is at least this.
pub const SAME: f32 = 0.95;

/// Drops of a smaller magnitude may be rounding errors of probabilities.
const FLAT: f32 = 1e-6;

/// The expectation of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// That it has no relation to the first map, of either sign.
    Unrelated,
    /// That it is not like the first map. It may be its opposite.
    Other,
    /// That it is nearly the first map.
    Same,
    /// That it has the same bits.
    Identical,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Passed,
    NotPassed,
    Inconclusive,
}

impl Verdict {
    pub fn in_words(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::NotPassed => "not passed",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.in_words())
    }
}

/// The relation of two maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relation {
    /// Spearman's and Pearson's correlation; `None` if one of the maps is constant.
    pub spearman: Option<f32>,
    pub pearson: Option<f32>,
    /// True if all bits are equal.
    pub identical: bool,
}

impl Relation {
    pub fn of(before: &[f32], after: &[f32]) -> Relation {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        Relation {
            spearman: rank_correlation(before, after),
            pearson: correlation(before, after),
            identical: bits(before) == bits(after),
        }
    }

    pub fn verdict(&self, expected: Expected) -> Verdict {
        let by = |passed: bool, not_passed: bool| match (passed, not_passed) {
            (true, _) => Verdict::Passed,
            (_, true) => Verdict::NotPassed,
            _ => Verdict::Inconclusive,
        };
        match (expected, self.spearman) {
            (Expected::Identical, _) => by(self.identical, !self.identical),
            // A constant map that stays the same has no correlation, but has stayed.
            (Expected::Same, None) => by(self.identical, false),
            (_, None) => Verdict::Inconclusive,
            (Expected::Unrelated, Some(found)) => by(found.abs() < CHANGED, found.abs() >= ALIKE),
            (Expected::Other, Some(found)) => by(found < CHANGED, found >= ALIKE),
            (Expected::Same, Some(found)) => by(found >= SAME, found < ALIKE),
        }
    }
}

/// True if the values of a map are too small or too equal for a correlation.
pub fn is_flat(map: &[f32]) -> bool {
    map.iter().all(|drop| drop.abs() < FLAT) || map.iter().all(|drop| *drop == map[0])
}

/// The rule in words.
pub fn rule(expected: Expected) -> String {
    match expected {
        Expected::Unrelated => format!("between -{CHANGED} and {CHANGED}"),
        Expected::Other => format!("below {CHANGED}"),
        Expected::Same => format!("at least {SAME}"),
        Expected::Identical => "the same bits".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_from_the_thresholds() {
        let with =
            |spearman, expected| Relation { spearman, pearson: None, identical: false }.verdict(expected);
        use Expected::*;
        use Verdict::*;
        for (found, unrelated, other, same) in [
            (0.0, Passed, Passed, NotPassed),
            (0.49, Passed, Passed, NotPassed),
            (0.5, Inconclusive, Inconclusive, NotPassed),
            (0.8, NotPassed, NotPassed, Inconclusive),
            (0.95, NotPassed, NotPassed, Passed),
            (-0.6, Inconclusive, Passed, NotPassed),
            (-0.9, NotPassed, Passed, NotPassed),
        ] {
            let verdicts = [Unrelated, Other, Same].map(|expected| with(Some(found), expected));
            assert_eq!(verdicts, [unrelated, other, same], "{found}");
        }
        assert_eq!([Unrelated, Other, Same].map(|expected| with(None, expected)), [Inconclusive; 3]);
        let zeros = Relation::of(&[0.0, 1.0], &[-0.0, 1.0]);
        assert_eq!((zeros.pearson, zeros.verdict(Identical)), (Some(1.0), NotPassed));
        assert_eq!(Relation::of(&[0.5; 2], &[0.5; 2]).verdict(Same), Passed);
        assert!(is_flat(&[1e-7, -5e-7]) && is_flat(&[0.5; 3]) && !is_flat(&[0.0, 1e-3]));
    }
}
