//! All result files of one explanation, for `explain` and for each photograph of a batch.

use std::path::Path;

use super::arrays;
use crate::cli::args::{Arrays, Figures};
use crate::cli::explanation::Explanation;

/// All result files as (name, contents): the figures, the arrays, and `json` as `map.json`. `run` are
/// the smallest and the largest drop of the run.
pub fn files(
    explanation: &Explanation,
    figures: &Figures,
    run: [f32; 2],
    arrays: &Arrays,
    json: &str,
) -> Vec<(String, Vec<u8>)> {
    let mut files = explanation.figures(figures, run);
    files.extend(arrays::files(explanation, arrays));
    files.push(("map.json".to_string(), json.as_bytes().to_vec()));
    files
}

/// The files with their names in a folder.
pub fn inside(folder: &Path, files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    // The name is UTF-8, because `folders` makes it.
    let named = |name: String| folder.join(name).to_string_lossy().into_owned();
    files.into_iter().map(|(name, contents)| (named(name), contents)).collect()
}
