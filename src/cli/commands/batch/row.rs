//! The row of one photograph in the summary of a batch. It is also stored in the record.

use std::collections::BTreeMap;

use occlude::Error;
use serde::{Deserialize, Serialize};

use crate::cli::explanation::Explanation;
use crate::cli::output::subject::Subjects;
use crate::cli::photographs::PhotographFile;

/// The measures of the maps of a class, by their names as columns.
pub type Measures = BTreeMap<String, f32>;

/// The number of most probable classes in a row.
pub const LISTED: usize = 3;

/// The results of one photograph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    pub path: String,
    /// The name of the folder of results; `None` if the photograph failed. The same holds for the
    /// following fields.
    pub folder: Option<String>,
    pub status: Status,
    /// The error message if the photograph failed.
    pub error: Option<String>,
    pub sha256: Option<String>,
    /// The most probable classes in descending order.
    pub top: Vec<Ranked>,
    /// The share of mask positions, 0..=1, at which the most probable class is not `top[0]`.
    pub changed_share: Option<f32>,
    /// The mapped classes.
    pub classes: Vec<Mapped>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    pub index: usize,
    pub label: String,
    pub probability: f32,
}

/// Statistics of the map of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapped {
    /// None if the score has no class.
    pub index: Option<usize>,
    pub label: String,
    pub base_score: f32,
    pub min: f32,
    pub max: f32,
    pub mean: f32,
    /// The centre of the mask at the largest value of the map, `[x, y]` in pixels of the 224x224
    /// picture; `None` if no value is positive.
    pub strongest: Option<[usize; 2]>,
    /// The measures of `--metrics` and `--boxes`.
    #[serde(default, skip_serializing_if = "Measures::is_empty")]
    pub measures: Measures,
}

impl SummaryRow {
    /// `measures` are those of each mapped class.
    pub fn done(file: &PhotographFile, explanation: &Explanation, measures: &[Measures]) -> SummaryRow {
        let maps = &explanation.maps;
        let top = maps.classification.top(LISTED);
        let changed = maps.argmax.iter().filter(|&&class| class != top[0]).count();
        let ranked = |&index: &usize| Ranked {
            index,
            label: explanation.labels.words(index).to_string(),
            probability: maps.classification.probabilities[index],
        };
        SummaryRow {
            path: file.shown.clone(),
            folder: Some(file.folder.clone()),
            status: Status::Done,
            error: None,
            sha256: Some(explanation.image_sha256.clone()),
            top: top.iter().map(ranked).collect(),
            changed_share: Some(changed as f32 / maps.argmax.len() as f32),
            classes: (0..maps.classes.len())
                .map(|k| Mapped { measures: measures[k].clone(), ..mapped(explanation, k) })
                .collect(),
        }
    }

    /// True if a row has results, or an error message, and the status says which.
    pub fn is_consistent(&self) -> bool {
        let has_results = self.folder.is_some() && self.sha256.is_some() && !self.top.is_empty();
        match self.status {
            Status::Done => has_results && self.error.is_none(),
            Status::Failed => self.error.is_some() && self.top.is_empty() && self.classes.is_empty(),
        }
    }

    /// True if both rows have the same results. They do if both photographs have the same contents.
    pub fn has_results_of(&self, other: &SummaryRow) -> bool {
        self.top == other.top && self.changed_share == other.changed_share && self.classes == other.classes
    }

    pub fn failed(file: &PhotographFile, error: &Error) -> SummaryRow {
        SummaryRow {
            path: file.shown.clone(),
            folder: None,
            status: Status::Failed,
            error: Some(error.to_string()),
            sha256: None,
            top: Vec::new(),
            changed_share: None,
            classes: Vec::new(),
        }
    }
}

fn mapped(explanation: &Explanation, k: usize) -> Mapped {
    let maps = &explanation.maps;
    let map = maps.map(k);
    let sum: f64 = map.iter().map(|&value| f64::from(value)).sum();
    let [row, column] = map.max_position();
    Mapped {
        index: maps.score.is_of_class().then_some(maps.classes[k]),
        label: explanation.subject(k),
        base_score: maps.base_scores[k],
        min: map.min(),
        max: map.max(),
        mean: (sum / map.values().len() as f64) as f32,
        strongest: (map.max() > 0.0).then(|| {
            let [y, x] = maps.centre(row, column);
            [x, y]
        }),
        measures: Measures::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records and the summaries of shards are read and written again with the same bytes.
    #[test]
    fn a_row_is_read_back_unchanged() {
        // The step reaches all exponents.
        let mut bits = 1u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_add(0x9e37_79b9);
            let value = f32::from_bits(bits);
            if !value.is_finite() {
                continue;
            }
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<f32>(&text).unwrap().to_bits(), bits, "{text}");
        }
        let failed = r#"{"path":"a\u0001\"é,\n","folder":null,"status":"failed","error":"x","sha256":null,"top":[],"changed_share":null,"classes":[]}"#;
        let row: SummaryRow = serde_json::from_str(failed).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), failed);
    }
}
