//! What became of one picture of a batch, as its record and the summary have it.

use occlude::{Error, Labels, OcclusionMaps};
use serde::{Deserialize, Serialize};

use super::photograph::PhotographFile;
use crate::cli::explanation::Explanation;

/// Most probable classes that are listed for each picture.
pub const LISTED: usize = 3;

/// What the summary says about one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    pub path: String,
    /// Name of its folder of results; none if it failed, as with all that follows.
    pub folder: Option<String>,
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    pub sha256: Option<String>,
    /// The most probable classes, the most probable first.
    pub top: Vec<Ranked>,
    /// Share of mask positions, 0..=1, at which another class than `top[0]` is the most probable.
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

/// One class's map in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapped {
    pub index: usize,
    pub label: String,
    pub base_score: f32,
    pub min: f32,
    pub max: f32,
    pub mean: f32,
    /// Centre of the mask at the map's largest value, `[x, y]` in pixels of the 224x224 picture; none where no value is
    /// above zero.
    pub strongest: Option<[usize; 2]>,
}

impl SummaryRow {
    pub fn done(picture: &PhotographFile, explanation: &Explanation) -> SummaryRow {
        let maps = &explanation.maps;
        let top = maps.classification.top(LISTED);
        let changed = maps.argmax.iter().filter(|&&class| class != top[0]).count();
        let ranked = |&index: &usize| Ranked {
            index,
            label: explanation.labels.words(index).to_string(),
            probability: maps.classification.probabilities[index],
        };
        SummaryRow {
            path: picture.shown.clone(),
            folder: Some(picture.folder.clone()),
            status: Status::Done,
            error: None,
            sha256: Some(explanation.image_sha256.clone()),
            top: top.iter().map(ranked).collect(),
            changed_share: Some(changed as f32 / maps.argmax.len() as f32),
            classes: (0..maps.classes.len()).map(|k| mapped(maps, k, &explanation.labels)).collect(),
        }
    }

    pub fn failed(picture: &PhotographFile, error: &Error) -> SummaryRow {
        SummaryRow {
            path: picture.shown.clone(),
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

fn mapped(maps: &OcclusionMaps, k: usize, labels: &Labels) -> Mapped {
    let map = maps.map(k);
    let sum: f64 = map.iter().map(|&value| f64::from(value)).sum();
    let [row, column] = map.max_position();
    Mapped {
        index: maps.classes[k],
        label: labels.words(maps.classes[k]).to_string(),
        base_score: maps.base_scores[k],
        min: map.min(),
        max: map.max(),
        mean: (sum / map.values().len() as f64) as f32,
        strongest: (map.max() > 0.0).then(|| {
            let [y, x] = maps.centre(row, column);
            [x, y]
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records and shards' summaries are read back, and what is made of them has to have the same bytes.
    #[test]
    fn a_row_comes_back_as_it_was() {
        // Steps that visit all exponents.
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
