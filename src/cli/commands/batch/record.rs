//! What a finished picture's folder says about itself, so that the next run can tell whether it may be kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{ArgMatches, CommandFactory};
use serde::{Deserialize, Serialize};

use super::photograph::PhotographFile;
use super::row::SummaryRow;
use crate::cli::args::Arguments;
use crate::cli::checksum::{file_sha256, sha256};
use crate::cli::explanation::Session;
use crate::cli::output::json;

/// Its name. Not one that other programs are likely to use: pictures beside it are taken for results.
pub const FILE: &str = "occlude-done.json";

/// All that a result depends on but the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// This program's version.
    pub version: String,
    /// In words; the checksum identifies it.
    pub network: String,
    pub weights_sha256: String,
    /// By their names without dashes, as they were given or as they are by default.
    pub options: BTreeMap<String, String>,
}

/// Options that say which pictures, where to, or how fast, and change no byte of a picture's results. What is not among
/// them is taken to matter, options that come later included.
const WITHOUT_EFFECT: [&str; 7] = ["weights", "labels", "recursive", "out", "shard", "threads", "exhaustive"];

impl Recipe {
    /// `matches` are those of `occlude batch`; a file of class names counts by its contents.
    pub fn new(session: &Session, labels_sha256: Option<String>, matches: &ArgMatches) -> Recipe {
        let command = Arguments::command();
        let batch = command.find_subcommand("batch").expect("this command");
        let mut options = BTreeMap::new();
        for argument in command.get_arguments().chain(batch.get_arguments()) {
            let Some(name) = argument.get_long().filter(|name| !WITHOUT_EFFECT.contains(name)) else {
                continue;
            };
            let values = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
            if let Some(values) = values {
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                options.insert(name.to_string(), values.join(","));
            }
        }
        options.extend(labels_sha256.map(|sha256| ("labels".to_string(), sha256)));
        Recipe {
            version: env!("CARGO_PKG_VERSION").to_string(),
            network: session.network.clone(),
            weights_sha256: session.weights_sha256.clone(),
            options,
        }
    }
}

/// The contents of [`FILE`].
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Of the record as it stands here.
    sha256: String,
    record: Record,
}

/// How a folder's results came about, and what they are.
#[derive(Serialize, Deserialize)]
pub struct Record {
    #[serde(flatten)]
    pub recipe: Recipe,
    /// The checksum of each file, by its name.
    files: BTreeMap<String, String>,
    /// What the summary says about the picture.
    pub row: SummaryRow,
}

impl Record {
    pub fn new(recipe: &Recipe, files: &[(String, Vec<u8>)], row: &SummaryRow) -> Record {
        let files = files.iter().map(|(name, contents)| (name.clone(), sha256(contents))).collect();
        Record { recipe: recipe.clone(), files, row: row.clone() }
    }

    /// The record of a folder of results, if it has a sound one.
    pub fn read(folder: &Path) -> Option<Record> {
        let Sealed { sha256, record } = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
        (sha256 == record.sha256()).then_some(record)
    }

    /// Name and contents of its file.
    pub fn into_file(self) -> (String, Vec<u8>) {
        let sealed = Sealed { sha256: self.sha256(), record: self };
        (FILE.to_string(), json::line(&sealed).into_bytes())
    }

    fn sha256(&self) -> String {
        sha256(json::line(self).as_bytes())
    }

    /// Whether a run by `recipe` over the picture would write just what is in the folder.
    pub fn holds(&self, recipe: &Recipe, picture: &PhotographFile, folder: &Path) -> bool {
        let row = &self.row;
        let same = |path: &Path, sha256: &str| file_sha256(path).is_ok_and(|found| found == sha256);
        self.recipe == *recipe
            && row.path == picture.shown
            && row.folder.as_ref() == Some(&picture.folder)
            && row.sha256.as_ref().is_some_and(|sha256| same(&picture.path, sha256))
            && self.files.iter().all(|(name, sha256)| same(&folder.join(name), sha256))
    }

    /// The names of all files that were written.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }
}
