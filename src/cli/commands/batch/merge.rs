//! `occlude merge`: combines the summaries of shards.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use occlude::{Error, Result};

use super::measures;
use super::row::SummaryRow;
use super::summary::{self, AllPhotographs, Part, Summary};
use crate::cli::args::Merge;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::names::RECORD;
use crate::cli::terminal::console;

/// The largest number of missing shards in a message.
const NAMED: usize = 20;

pub fn run(args: &Merge) -> Result<ExitCode> {
    let files = files(&args.summaries)?;
    let output = OutputFolder::check(&match &args.out {
        Some(out) => out.clone(),
        None => folder(&files)?,
    })?;
    let shards = files.iter().map(|file| Ok((file.as_path(), read(file)?))).collect::<Result<Vec<_>>>()?;
    let count = shards.len();
    let merged = merge(shards)?;
    let [csv, json] = merged.write(&output)?;
    console::print(&measures::in_words(&merged.recipe.options, &merged.means))?;
    console::print(&format!(
        "{count} shards, {} photographs, {} of them failed\nwrote {}\nwrote {}\n",
        merged.pictures.len(),
        merged.failed(),
        console::shown_path(&csv),
        console::shown_path(&json)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The files of the shards' summaries: the named files, and those in the named folders.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |source| Error::Io { path: path.clone(), action: "read", source };
        let before = files.len();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let shard = name.strip_prefix("summary-").and_then(|rest| rest.strip_suffix(".json"));
            if shard.is_some_and(|shard| shard.contains("-of-")) && !entry.path().is_dir() {
                files.push(entry.path());
            }
        }
        if files.len() == before {
            return Err(refuse(path, without_shards(path).to_string()));
        }
    }
    files.sort();
    Ok(files)
}

/// The reason why a folder holds no summary of a shard, as its other files show it.
fn without_shards(folder: &Path) -> &'static str {
    let [csv, json] = summary::names(None).map(|name| folder.join(name));
    if csv.is_file() && read_summary(&json).is_ok_and(|summary| summary.part.is_none()) {
        return "holds the complete summary.csv and summary.json of a whole batch, and no summary of a shard: there is \
                nothing to merge";
    }
    let is_finished =
        |entry: io::Result<DirEntry>| entry.is_ok_and(|entry| entry.path().join(RECORD).is_file());
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.any(is_finished)) {
        return "holds results of photographs, but no summary of a shard, which each shard writes at its end: run \
                `occlude batch` again with the same options, once for each shard; it skips what is finished";
    }
    "holds no summary of a shard: expected files summary-i-of-n.json, which `occlude batch --shard i/n` writes"
}

/// The common folder of all files.
fn folder(files: &[PathBuf]) -> Result<PathBuf> {
    let folder = files[0].parent().unwrap_or(Path::new(""));
    match files.iter().find(|file| file.parent() != files[0].parent()) {
        None if folder.as_os_str().is_empty() => Ok(PathBuf::from(".")),
        None => Ok(folder.to_path_buf()),
        Some(other) => {
            let problem =
                format!("is not in the folder of {}: name the output folder with --out", files[0].display());
            Err(refuse(other, problem))
        }
    }
}

fn read(file: &Path) -> Result<(Summary, Part)> {
    let mut summary = read_summary(file)?;
    match summary.part.take() {
        Some(part) => Ok((summary, part)),
        None => {
            Err(refuse(file, "is the summary of a whole batch: expected the summary of a shard".to_string()))
        }
    }
}

/// Reads the summary of a shard or of a whole batch.
fn read_summary(file: &Path) -> Result<Summary> {
    let unreadable = |source| Error::Io { path: file.to_path_buf(), action: "read", source };
    // A device or a pipe may never end.
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file, expected a JSON summary")));
    }
    let bytes = fs::read(file).map_err(unreadable)?;
    let summary: Summary = serde_json::from_slice(&bytes).map_err(|error| {
        let problem = in_words(&error.to_string());
        refuse(file, format!("is not a JSON summary written by `occlude batch --shard`: {problem}"))
    })?;
    if let Some(row) = summary.pictures.iter().find(|row| !row.is_consistent()) {
        let problem = format!(
            "its row of {} has a status that contradicts its results; run `occlude batch --shard` again",
            row.path
        );
        return Err(refuse(file, problem));
    }
    Ok(summary)
}

/// A problem in a JSON file as serde describes it, without the names of Rust's types.
fn in_words(problem: &str) -> String {
    let mut words = problem.replace("EOF while parsing", "the file ends in");
    for (name, plain) in [("usize", "a whole number"), ("f32", "a number"), ("a sequence", "a list")] {
        words = words.replace(&format!("expected {name}"), &format!("expected {plain}"));
    }
    const STRUCT: &str = "expected struct ";
    if let Some(at) = words.find(STRUCT) {
        let name = &words[at + STRUCT.len()..];
        let length = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        words.replace_range(at..at + STRUCT.len() + length, "expected an object");
    }
    words
}

/// The summary of a run without shards.
fn merge(shards: Vec<(&Path, (Summary, Part))>) -> Result<Summary> {
    let first = shards[0].0;
    let mut found = BTreeMap::new();
    for (file, shard) in &shards {
        require_same_batch((file, shard), (first, &shards[0].1))?;
        if let Some(other) = found.insert(shard.1.shard.index, file) {
            return Err(refuse(
                file,
                format!("is the same shard as {}: name each shard once", other.display()),
            ));
        }
    }
    let (like, Part { shard, all }) = &shards[0].1;
    let (of, all, recipe, passed_over) =
        (shard.of, all.clone(), like.recipe.clone(), like.passed_over.clone());
    let folder = first.parent().unwrap_or(first);
    // Each index in `found` is below `of`.
    let missing = of - found.len();
    if missing > 0 {
        let more = if missing > NAMED { ", ..." } else { "" };
        let named = (0..of).filter(|index| !found.contains_key(index)).take(NAMED);
        let named: Vec<String> = named.map(|index| format!("{index}/{of}")).collect();
        let problem = format!(
            "{missing} of {of} shards are missing: {}{more}; run `occlude batch --shard` for them",
            named.join(", ")
        );
        return Err(refuse(folder, problem));
    }
    // Copies of a photograph may have different annotations.
    let has_annotations = ["classes-from", "boxes"].iter().any(|name| recipe.options.contains_key(*name));
    let pictures = rows(shards, !has_annotations)?;
    let found = AllPhotographs::new(pictures.iter().map(|row| &*row.path));
    if found != all {
        let (count, expected) = (found.pictures_of_all_shards, all.pictures_of_all_shards);
        let others = if count == expected { ", but with other paths" } else { "" };
        let problem = format!(
            "the shards hold {count} photographs{others}: expected {expected}, those of the whole batch; run \
             `occlude batch --shard` again"
        );
        return Err(refuse(folder, problem));
    }
    Ok(Summary::new(recipe, None, passed_over, pictures))
}

/// Checks that a shard belongs to the same batch as the first one.
fn require_same_batch(
    (file, (summary, part)): (&Path, &(Summary, Part)),
    (first, (like, first_part)): (&Path, &(Summary, Part)),
) -> Result<()> {
    let (of, all, recipe) = (first_part.shard.of, &first_part.all, &like.recipe);
    let differs = |what: &str, theirs: &str, ours: &str| {
        let problem = format!(
            "{what} {theirs}, but {} {ours}: merge only shards of one batch, and remove the \
                 summaries of another",
            first.display()
        );
        let problem = problem.trim_start().to_string();
        Err(refuse(file, problem))
    };
    if part.shard.of != of {
        return differs("has shard count", &part.shard.of.to_string(), &format!("has {of}"));
    }
    if summary.recipe.version != recipe.version {
        return differs(
            "was written by version",
            &summary.recipe.version,
            &format!("was written by {}", recipe.version),
        );
    }
    if summary.recipe.weights_sha256 != recipe.weights_sha256 {
        let ours = format!("has {}", recipe.weights_sha256);
        return differs("has weights with sha256", &summary.recipe.weights_sha256, &ours);
    }
    let (theirs, ours) = (&summary.recipe.options, &recipe.options);
    if let Some(name) = theirs.keys().chain(ours.keys()).find(|name| theirs.get(*name) != ours.get(*name)) {
        let value = |options: &BTreeMap<String, String>| match options.get(name) {
            Some(value) => format!("has --{name} {value}"),
            None => format!("does not have --{name}"),
        };
        return differs("", &value(theirs), &value(ours));
    }
    if part.all != *all {
        let photographs = |count: usize| format!("{count} photographs");
        let theirs = photographs(part.all.pictures_of_all_shards);
        let ours = format!("belongs to one of {}, with other paths", photographs(all.pictures_of_all_shards));
        return differs("belongs to a batch of", &theirs, &ours);
    }
    Ok(())
}

/// The rows of all shards, in the order of their paths.
///
/// # Errors
/// [`Error::Image`] if a photograph is there twice, or, if copies have the `same_results`, two copies of
/// one have different results.
fn rows(shards: Vec<(&Path, (Summary, Part))>, same_results: bool) -> Result<Vec<SummaryRow>> {
    let mut rows = Vec::new();
    for (file, (summary, _)) in shards {
        rows.extend(summary.pictures.into_iter().map(|row| (row, file)));
    }
    rows.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    if let Some([(row, file), (_, other)]) = rows.windows(2).find(|pair| pair[0].0.path == pair[1].0.path) {
        let problem = format!("the photograph {} is also in {}", row.path, other.display());
        return Err(refuse(file, problem));
    }
    let mut of_contents = HashMap::new();
    for (row, file) in rows.iter().filter(|(row, _)| same_results && row.sha256.is_some()) {
        let (other, other_file) = of_contents.entry(&row.sha256).or_insert((row, file));
        if !row.has_results_of(other) {
            let problem = format!(
                "the photograph {} has other results than {} in {}, but the same contents; run \
                 `occlude batch --shard` again",
                row.path,
                other.path,
                other_file.display()
            );
            return Err(refuse(file, problem));
        }
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

fn refuse(path: &Path, problem: String) -> Error {
    Error::Image { name: path.display().to_string(), problem }
}
