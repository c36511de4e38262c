//! The weights that a command uses, and the line on standard error that says which these are.

use std::path::Path;

use occlude::weights::Source;
use occlude::{Result, Weights};

use super::described::network;
use crate::cli::args::Common;
use crate::cli::checksum::load_and_hash;
use crate::cli::console;

/// Finds, reads and checks the weights, and says on standard error which network answers.
pub fn open(common: &Common) -> Result<Weights> {
    let source = occlude::weights::find(common.weights.as_deref())?;
    // Hashing costs 20 ms for the published file, so it is left out in the common case.
    let weights = match common.transform_input {
        None => source.load()?,
        Some(_) => load_and_hash(&source, common.transform_input)?.0,
    };
    announce(common, &source, &weights);
    Ok(weights)
}

/// The same, and the SHA-256 of the weights file in hexadecimal, which takes some 20 ms on top.
pub fn open_and_hash(common: &Common) -> Result<(Weights, String)> {
    let source = occlude::weights::find(common.weights.as_deref())?;
    let (weights, sha256) = load_and_hash(&source, common.transform_input)?;
    announce(common, &source, &weights);
    Ok((weights, sha256))
}

fn announce(common: &Common, source: &Source, weights: &Weights) {
    let from = match source {
        Source::File(path) => format!(", {}", path.display()),
        // Someone who asked for it knows that there are others.
        _ if common.weights.is_some() => String::new(),
        _ => "; `occlude weights fetch` gets the published one of 1000".to_string(),
    };
    console::note(&format!("network: {}{from}", network(weights)));
}

/// What `--weights` or the first argument of a command names.
pub fn named(path: &Path) -> Result<Source> {
    occlude::weights::find(Some(path))
}
