//! The weights that a command uses, and the line on standard error that says which these are.

pub mod describe;

use std::path::Path;

use occlude::weights::Source;
use occlude::{Error, Labels, Result, Weights};

use crate::cli::args::Common;
use crate::cli::checksum::load_and_hash;
use crate::cli::terminal::console;
pub use describe::describe;

/// Finds, reads and checks the weights, and says on standard error which network answers.
pub fn open(common: &Common) -> Result<Weights> {
    // Hashing costs 20 ms for the published file, so it is left out in the common case.
    open_by(common, |source| match common.transform_input {
        None => Ok((source.load()?, ())),
        Some(_) => Ok((load_and_hash(source, common.transform_input)?.0, ())),
    })
    .map(|(weights, ())| weights)
}

/// The same, and the SHA-256 of the weights file in hexadecimal, which takes some 20 ms on top.
pub fn open_and_hash(common: &Common) -> Result<(Weights, String)> {
    open_by(common, |source| load_and_hash(source, common.transform_input))
}

fn open_by<T>(common: &Common, load: impl Fn(&Source) -> Result<(Weights, T)>) -> Result<(Weights, T)> {
    let source = occlude::weights::find(common.weights.as_deref())?;
    let (weights, more) = load(&source).map_err(|error| with_advice(common, error))?;
    announce(common, &source, &weights);
    Ok((with_labels(common, weights)?, more))
}

/// Adds to the refusal of a file that nobody has named how to go on without it.
fn with_advice(common: &Common, mut error: Error) -> Error {
    let is_named =
        common.weights.is_some() || std::env::var_os("OCCLUDE_WEIGHTS").is_some_and(|file| !file.is_empty());
    if let Error::Weights { problem, .. } = &mut error
        && !is_named
    {
        *problem +=
            "\nthis file was found without being named: remove it, or go on without it by --weights builtin";
    }
    error
}

fn announce(common: &Common, source: &Source, weights: &Weights) {
    let from = match source {
        Source::File(path) => format!(", {}", path.display()),
        // Someone who asked for it knows that there are others.
        _ if common.weights.is_some() => String::new(),
        _ => "; `occlude weights fetch` gets the published one of 1000".to_string(),
    };
    console::print_note(&format!("network: {}{from}", describe(weights)));
}

/// The weights with the names of the classes that `--labels` gives, if it does.
///
/// # Errors
/// Those of [`Labels::open`], and [`Error::Labels`] when there are more or fewer than classes.
pub fn with_labels(common: &Common, weights: Weights) -> Result<Weights> {
    let Some(path) = &common.labels else {
        return Ok(weights);
    };
    weights.with_labels(Labels::open(path)?).map_err(|mut error| {
        if let Error::Labels { name, .. } = &mut error {
            *name = path.display().to_string();
        }
        error
    })
}

/// The source that an argument names: a file, or "builtin".
pub fn named(path: &Path) -> Result<Source> {
    occlude::weights::find(Some(path))
}
