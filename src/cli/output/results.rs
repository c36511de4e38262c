//! All files that one explanation comes to, for `explain` and for each picture of a batch.

use super::arrays;
use crate::cli::args::{ArrayFile, Figures};
use crate::cli::explanation::Explanation;

/// (name, contents) of all that is written: the pictures, the arrays, and `json` as `map.json`.
pub fn files(
    explanation: &Explanation,
    pictures: &Figures,
    arrays: &[ArrayFile],
    json: &str,
) -> Vec<(String, Vec<u8>)> {
    let mut files = explanation.figures(pictures);
    files.extend(arrays::files(explanation, arrays));
    files.push(("map.json".to_string(), json.as_bytes().to_vec()));
    files
}
