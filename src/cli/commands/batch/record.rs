//! The record in each folder of results. With it, the next run decides whether the results are
//! still valid.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{ArgMatches, CommandFactory};
use serde::{Deserialize, Serialize};

use super::annotations::Annotations;
use super::row::SummaryRow;
use crate::cli::args::Arguments;
use crate::cli::checksum::{file_sha256, sha256};
use crate::cli::explanation::{Question, Session};
use crate::cli::output::json;
use crate::cli::output::names::RECORD;
use crate::cli::photographs::PhotographFile;
use crate::cli::source;

/// All data on which the results of a photograph depend, except the photograph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// This program's version.
    pub version: String,
    /// The name of the network. The checksum identifies it.
    pub network: String,
    pub weights_sha256: String,
    /// The values of the options by name without dashes, as given or by default.
    pub options: BTreeMap<String, String>,
}

/// Options that do not change the results of a photograph: they select photographs, the output
/// folder or the speed. All other options, also future ones, are part of the recipe.
const WITHOUT_EFFECT: [&str; 9] =
    ["weights", "labels", "recursive", "out", "shard", "threads", "exhaustive", "max-memory", "report"];

impl Recipe {
    /// Makes a recipe. `matches` are those of `occlude batch`. Names of classes, if they are
    /// `given`, are identified by their text: their file may be a pipe.
    pub fn new(
        session: &Session,
        question: &Question,
        given: bool,
        annotations: &Annotations,
        matches: &ArgMatches,
    ) -> Recipe {
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
        if given {
            options.insert("labels".to_string(), sha256(session.labels.lines().as_bytes()));
        }
        question.identify(&mut options);
        annotations.identify(&mut options);
        Recipe {
            version: env!("CARGO_PKG_VERSION").to_string(),
            network: session.network.clone(),
            weights_sha256: session.weights_sha256.clone(),
            options,
        }
    }
}

/// The contents of [`RECORD`].
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// The checksum of the record in this file.
    sha256: String,
    record: Record,
}

/// The recipe of the results in a folder, and the checksums of the files.
#[derive(Serialize, Deserialize)]
pub struct Record {
    #[serde(flatten)]
    pub recipe: Recipe,
    /// The checksum of each file, by its name.
    files: BTreeMap<String, String>,
    /// The row of the summary for the photograph.
    pub row: SummaryRow,
    /// The state of the figures of drops, if all photographs share their scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedScale>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct SharedScale {
    /// The smallest and the largest drop of this photograph.
    pub drops: [f32; 2],
    pub drawn: Option<Drawn>,
}

/// The figures that have been drawn on a shared scale.
#[derive(Clone, Serialize, Deserialize)]
pub struct Drawn {
    /// The smallest and the largest drop of all photographs.
    pub scale: [f32; 2],
    /// The names of the figures.
    pub figures: Vec<String>,
}

impl Record {
    pub fn new(
        recipe: &Recipe,
        files: &[(String, Vec<u8>)],
        row: &SummaryRow,
        shared: Option<SharedScale>,
    ) -> Record {
        let files = files.iter().map(|(name, contents)| (name.clone(), sha256(contents))).collect();
        Record { recipe: recipe.clone(), files, row: row.clone(), shared }
    }

    /// The files of the folder except some, as (name, contents). Returns `None` if one of them is
    /// missing or has changed.
    pub fn contents(&self, folder: &Path, except: &[String]) -> Option<Vec<(String, Vec<u8>)>> {
        let files = self.files.iter().filter(|(name, _)| !except.contains(name));
        files
            .map(|(name, written)| {
                let contents = fs::read(folder.join(name)).ok()?;
                (sha256(&contents) == *written).then_some((name.clone(), contents))
            })
            .collect()
    }

    /// Reads the record of a folder of results. Returns `None` if it is missing or damaged.
    pub fn read(folder: &Path) -> Option<Record> {
        let Sealed { sha256, record } = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
        (sha256 == record.sha256()).then_some(record)
    }

    /// The name and contents of the file of the record.
    pub fn into_file(self) -> (String, Vec<u8>) {
        let sealed = Sealed { sha256: self.sha256(), record: self };
        (RECORD.to_string(), json::line(&sealed).into_bytes())
    }

    fn sha256(&self) -> String {
        sha256(json::line(self).as_bytes())
    }

    /// True if a run with `recipe` for the photograph `file` would write the same files as are in
    /// the folder.
    pub fn holds(&self, recipe: &Recipe, file: &PhotographFile, folder: &Path) -> bool {
        let row = &self.row;
        // A pipe or a device may never end.
        let same = |path: &Path, sha256: &str| {
            path.is_file() && file_sha256(path).is_ok_and(|found| found == sha256)
        };
        self.recipe == *recipe
            && row.path == file.shown
            && row.folder.as_ref() == Some(&file.folder)
            // A pipe cannot be read twice.
            && source::is_regular(&file.path)
            && row.sha256.as_ref().is_some_and(|sha256| same(&file.path, sha256))
            && self.files.iter().all(|(name, sha256)| same(&folder.join(name), sha256))
    }

    /// The names of all files that were written.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }
}
