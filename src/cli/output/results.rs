//! All result files of one explanation, for `explain` and for each photograph of a batch.

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
