//! Where the weights are that a command uses: in the places where the library looks, else where a person at the terminal lets
//! them be put.

use std::path::PathBuf;

use occlude::{Error, Result};

use super::fetch;
use crate::cli::args::Common;

/// The weights file to use. Where there is none, a person is asked whether to download it.
pub fn find(common: &Common) -> Result<PathBuf> {
    match occlude::weights::find(common.weights.as_deref()) {
        Err(Error::WeightsNotFound { tried }) => match fetch::offer()? {
            true => occlude::weights::find(None),
            false => Err(Error::WeightsNotFound { tried }),
        },
        found => found,
    }
}
