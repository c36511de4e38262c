//! Where the weights are that a command uses: in the places where the library looks.

use std::path::PathBuf;

use occlude::Result;

use crate::cli::args::Common;

/// The weights file to use.
pub fn find(common: &Common) -> Result<PathBuf> {
    occlude::weights::find(common.weights.as_deref())
}
