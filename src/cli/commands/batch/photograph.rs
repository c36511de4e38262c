//! One of the pictures that a batch is about.

use std::path::PathBuf;

/// One picture of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotographFile {
    pub path: PathBuf,
    /// The path as the summary shows it: what is not UTF-8 in it as `\xff`.
    pub shown: String,
    /// Name of its folder of results.
    pub folder: String,
}
