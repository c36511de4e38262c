//! The summary of a batch: `summary.csv` and `summary.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use occlude::{Error, Result};
use serde::{Deserialize, Serialize};

use super::measures::{self, Mean};
use super::record::Recipe;
use super::row::{LISTED, Mapped, Status, SummaryRow};
use crate::cli::args::shard::Shard;
use crate::cli::checksum::sha256;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json;
use crate::cli::photographs::PassedOver;

/// The contents of `summary.json`.
#[derive(Serialize, Deserialize)]
pub struct Summary {
    #[serde(flatten)]
    pub recipe: Recipe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The files that are no photographs of the whole batch.
    #[serde(default)]
    pub passed_over: PassedOver,
    /// The rows of the photographs, in the order of their paths.
    pub pictures: Vec<SummaryRow>,
    /// The means of the measures, of a whole batch only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub means: BTreeMap<String, Mean>,
}

/// The part of a batch that the summary of a shard describes.
#[derive(Serialize, Deserialize)]
pub struct Part {
    pub shard: Shard,
    #[serde(flatten)]
    pub all: AllPhotographs,
}

/// The photographs of all shards together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllPhotographs {
    pub pictures_of_all_shards: usize,
    /// The SHA-256 of their paths, one per line.
    pub paths_sha256: String,
}

impl AllPhotographs {
    /// `paths` are in the order of the summary.
    pub fn new<'p>(paths: impl ExactSizeIterator<Item = &'p str>) -> AllPhotographs {
        let pictures_of_all_shards = paths.len();
        let lines: String = paths.map(|path| format!("{path}\n")).collect();
        AllPhotographs { pictures_of_all_shards, paths_sha256: sha256(lines.as_bytes()) }
    }
}

/// The names of the files of the summary of a batch or of a shard.
pub fn names(part: Option<&Part>) -> [String; 2] {
    let stem = match part {
        Some(Part { shard: Shard { index, of }, .. }) => format!("summary-{index}-of-{of}"),
        None => "summary".to_string(),
    };
    ["csv", "json"].map(|ending| format!("{stem}.{ending}"))
}

/// The names of the summaries in a folder that a batch or shard replaces: its own, that of a whole
/// batch, and those of shards that divide the batch into another number of parts.
///
/// # Errors
/// [`Error::Io`].
pub fn earlier(folder: &Path, part: Option<&Part>) -> Result<Vec<String>> {
    let unreadable = |source| Error::Io { path: folder.to_path_buf(), action: "read", source };
    let of = part.map(|part| part.shard.of);
    let mut earlier = [names(part), names(None)].concat();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if shard_count(&name).is_some_and(|other| Some(other) != of) {
            earlier.push(name);
        }
    }
    Ok(earlier)
}

/// The number of shards in the name of a shard's summary.
fn shard_count(name: &str) -> Option<usize> {
    let (shard, ending) = name.strip_prefix("summary-")?.split_once('.')?;
    let (index, of) = shard.split_once("-of-")?;
    index.parse::<usize>().ok().filter(|_| matches!(ending, "csv" | "json"))?;
    of.parse().ok()
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
    pub fn new(
        recipe: Recipe,
        part: Option<Part>,
        passed_over: PassedOver,
        pictures: Vec<SummaryRow>,
    ) -> Summary {
        let means = match part {
            None => measures::means(&recipe.options, &pictures),
            Some(_) => BTreeMap::new(),
        };
        Summary { recipe, part, passed_over, pictures, means }
    }

    /// The number of photographs that failed.
    pub fn failed(&self) -> usize {
        self.pictures.iter().filter(|row| row.status == Status::Failed).count()
    }

    /// Writes both files and returns their paths.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, output: &OutputFolder) -> Result<[PathBuf; 2]> {
        let [csv, json] = names(self.part.as_ref());
        Ok([output.write_file(&csv, &self.csv())?, output.write_file(&json, json::line(self).as_bytes())?])
    }

    /// One line for each photograph and mapped class; one line for a photograph that failed.
    fn csv(&self) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let measures = measures::columns(&self.recipe.options);
        let columns = COLUMNS.iter().copied().chain(measures.iter().map(String::as_str));
        csv.write_record(columns).expect(INTO_MEMORY);
        for row in &self.pictures {
            for class in row.classes.iter().map(Some).chain(row.classes.is_empty().then_some(None)) {
                csv.write_record(fields(row, class, &measures)).expect(INTO_MEMORY);
            }
        }
        csv.into_inner().expect(INTO_MEMORY)
    }
}

const INTO_MEMORY: &str = "records of one length, written to memory";

/// Text of other origin in a cell. Spreadsheets compute a cell that begins with one of these
/// characters as a formula, so an apostrophe is put before it, as their users do; also before an
/// apostrophe, so that the text is always the cell without its first apostrophe.
fn cell(text: &str) -> String {
    let apostrophe = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'']) { "'" } else { "" };
    format!("{apostrophe}{text}")
}

/// The values of [`COLUMNS`] and of some measures. Missing values are empty.
fn fields(row: &SummaryRow, class: Option<&Mapped>, measures: &[String]) -> Vec<String> {
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let text = |value: Option<&String>| value.map_or_else(String::new, |value| cell(value));
    let status = match row.status {
        Status::Done => "done",
        Status::Failed => "failed",
    };
    let mut fields = vec![
        cell(&row.path),
        text(row.folder.as_ref()),
        status.to_string(),
        text(row.error.as_ref()),
        text(row.sha256.as_ref()),
    ];
    for rank in 0..LISTED {
        let ranked = row.top.get(rank);
        fields.extend([
            number(ranked.map(|r| r.index)),
            text(ranked.map(|r| &r.label)),
            number(ranked.map(|r| r.probability)),
        ]);
    }
    fields.extend([
        number(row.changed_share),
        number(class.and_then(|c| c.index)),
        text(class.map(|c| &c.label)),
        number(class.map(|c| c.base_score)),
        number(class.map(|c| c.min)),
        number(class.map(|c| c.max)),
        number(class.map(|c| c.mean)),
        number(class.and_then(|c| c.strongest).map(|[x, _]| x)),
        number(class.and_then(|c| c.strongest).map(|[_, y]| y)),
    ]);
    fields.extend(measures.iter().map(|name| number(class.and_then(|class| class.measures.get(name)))));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_can_be_read_back() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in ["", "a=1", " =1", "n\n=1", "folder/-1.png", "\"=1"] {
            assert_eq!(cell(text), text);
        }
    }
}
