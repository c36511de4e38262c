//! The table over all pictures of a batch: `summary.csv` and `summary.json`.

use std::path::PathBuf;

use occlude::{Error, Labels, OcclusionMaps, Result};
use serde::{Deserialize, Serialize};

use super::inputs::Picture;
use super::record::Recipe;
use super::shard::Shard;
use crate::cli::explanation::Explanation;
use crate::cli::json;
use crate::cli::output::Output;
use crate::cli::weights::sha256;

/// Most probable classes that are listed for each picture.
const LISTED: usize = 3;

/// The contents of `summary.json`.
#[derive(Serialize, Deserialize)]
pub struct Summary {
    #[serde(flatten)]
    pub recipe: Recipe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// In the order of their paths.
    pub pictures: Vec<Row>,
}

/// Which part of a batch a shard's summary is about.
#[derive(Serialize, Deserialize)]
pub struct Part {
    pub shard: Shard,
    #[serde(flatten)]
    pub all: All,
}

/// The pictures that all shards together have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct All {
    pub pictures_of_all_shards: usize,
    /// Of their paths, a line each.
    pub paths_sha256: String,
}

impl All {
    pub fn new(pictures: &[Picture]) -> All {
        let lines: String = pictures.iter().map(|picture| format!("{}\n", picture.shown)).collect();
        All { pictures_of_all_shards: pictures.len(), paths_sha256: sha256(lines.as_bytes()) }
    }
}

/// What the summary says about one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
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

impl Row {
    pub fn done(picture: &Picture, explanation: &Explanation) -> Row {
        let maps = &explanation.maps;
        let top = maps.classification.top(LISTED);
        let changed = maps.argmax.iter().filter(|&&class| class != top[0]).count();
        let ranked = |&index: &usize| Ranked {
            index,
            label: explanation.labels.words(index).to_string(),
            probability: maps.classification.probabilities[index],
        };
        Row {
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

    pub fn failed(picture: &Picture, error: &Error) -> Row {
        Row {
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
    let columns = maps.grid[1];
    let sum: f64 = map.iter().map(|&value| f64::from(value)).sum();
    let best = (0..map.len()).max_by(|&a, &b| map[a].total_cmp(&map[b])).filter(|&at| map[at] > 0.0);
    Mapped {
        index: maps.classes[k],
        label: labels.words(maps.classes[k]).to_string(),
        base_score: maps.base_scores[k],
        min: map.iter().copied().fold(f32::INFINITY, f32::min),
        max: map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        mean: (sum / map.len() as f64) as f32,
        strongest: best.map(|at| {
            let [y, x] = maps.centre(at / columns, at % columns);
            [x, y]
        }),
    }
}

/// The files of a whole batch's summary, or of a part's.
pub fn names(part: Option<&Part>) -> [String; 2] {
    let stem = match part {
        Some(Part { shard: Shard { index, of }, .. }) => format!("summary-{index}-of-{of}"),
        None => "summary".to_string(),
    };
    ["csv", "json"].map(|ending| format!("{stem}.{ending}"))
}

const COLUMNS: [&str; 23] = [
    "path",
    "folder",
    "status",
    "error",
    "sha256",
    "top1_index",
    "top1_label",
    "top1_probability",
    "top2_index",
    "top2_label",
    "top2_probability",
    "top3_index",
    "top3_label",
    "top3_probability",
    "changed_share",
    "class_index",
    "class_label",
    "base_score",
    "map_min",
    "map_max",
    "map_mean",
    "strongest_x",
    "strongest_y",
];

impl Summary {
    /// Number of pictures that failed.
    pub fn failed(&self) -> usize {
        self.pictures.iter().filter(|row| row.status == Status::Failed).count()
    }

    /// Writes both files and returns their paths.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, output: &Output) -> Result<[PathBuf; 2]> {
        let [csv, json] = names(self.part.as_ref());
        Ok([output.write_file(&csv, &self.csv())?, output.write_file(&json, json::line(self).as_bytes())?])
    }

    /// One line for each picture and mapped class; one for a picture that failed.
    fn csv(&self) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS).expect(INTO_MEMORY);
        for row in &self.pictures {
            for class in row.classes.iter().map(Some).chain(row.classes.is_empty().then_some(None)) {
                csv.write_record(fields(row, class)).expect(INTO_MEMORY);
            }
        }
        csv.into_inner().expect(INTO_MEMORY)
    }
}

const INTO_MEMORY: &str = "records of one length, written to memory";

/// Those of [`COLUMNS`]; what there is not is empty.
fn fields(row: &Row, class: Option<&Mapped>) -> Vec<String> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let status = match row.status {
        Status::Done => "done",
        Status::Failed => "failed",
    };
    let mut fields = vec![
        row.path.clone(),
        text(row.folder.as_ref()),
        status.to_string(),
        text(row.error.as_ref()),
        text(row.sha256.as_ref()),
    ];
    for rank in 0..LISTED {
        let ranked = row.top.get(rank);
        fields.extend([
            text(ranked.map(|r| r.index)),
            text(ranked.map(|r| &r.label)),
            text(ranked.map(|r| r.probability)),
        ]);
    }
    fields.extend([
        text(row.changed_share),
        text(class.map(|c| c.index)),
        text(class.map(|c| &c.label)),
        text(class.map(|c| c.base_score)),
        text(class.map(|c| c.min)),
        text(class.map(|c| c.max)),
        text(class.map(|c| c.mean)),
        text(class.and_then(|c| c.strongest).map(|[x, _]| x)),
        text(class.and_then(|c| c.strongest).map(|[_, y]| y)),
    ]);
    fields
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
        let row: Row = serde_json::from_str(failed).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), failed);
    }
}
