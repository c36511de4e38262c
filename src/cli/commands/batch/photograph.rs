//! A photograph of a batch.

use std::path::PathBuf;

/// The file of a photograph, and the name of its folder of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotographFile {
    pub path: PathBuf,
    /// The path in UTF-8, as in the summary. Other bytes are written as `\xff`.
    pub shown: String,
    /// The name of the folder of results.
    pub folder: String,
}
