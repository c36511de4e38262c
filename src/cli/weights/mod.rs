//! The weights that a command uses, and the message on standard error that names them.

pub mod describe;
pub mod write;

use std::path::Path;

use occlude::weights::Source;
use occlude::{Error, Labels, Result, Weights};

use crate::cli::args::{Common, RESIZES};
use crate::cli::checksum::load_and_hash;
use crate::cli::source;
use crate::cli::terminal::console;
pub use describe::describe;

/// The number of bytes of labels that are read, more than [`Labels::parse`] accepts.
const LABELS_BYTES: u64 = 1 << 25;

/// Finds, reads and checks the weights. Prints the name of the network on standard error.
pub fn open(common: &Common) -> Result<Weights> {
    // Hashing takes 20 ms for the published file, so the common case does without it.
    open_by(common, |source| match common.transform_input {
        None => Ok((source.load()?, ())),
        Some(_) => Ok((load_and_hash(source, common.transform_input)?.0, ())),
    })
    .map(|(weights, ())| weights)
}

/// Opens the weights as [`open`] does, and also returns where they were found, and the SHA-256 of the
/// file in hexadecimal. This takes about 20 ms more.
pub fn open_and_hash(common: &Common) -> Result<(Weights, (Source, String))> {
    open_by(common, |source| {
        let (weights, sha256) = load_and_hash(source, common.transform_input)?;
        Ok((weights, (source.clone(), sha256)))
    })
}

fn open_by<T>(common: &Common, load: impl Fn(&Source) -> Result<(Weights, T)>) -> Result<(Weights, T)> {
    let source = find(common)?;
    let (weights, more) = load(&source).map_err(|error| match source {
        Source::File(_) => with_advice(common, error),
        _ => error,
    })?;
    announce(common, &source, &weights);
    Ok((with_labels(common, weights)?, more))
}

/// Finds the weights that the command line names, or the first ones in the default locations.
///
/// # Errors
/// Those of [`named`] and [`occlude::weights::find`].
pub fn find(common: &Common) -> Result<Source> {
    common.weights.as_deref().map_or_else(|| occlude::weights::find(None), named)
}

/// Adds advice to an error in a file that the user has not named.
pub fn with_advice(common: &Common, mut error: Error) -> Error {
    let is_named =
        common.weights.is_some() || std::env::var_os("OCCLUDE_WEIGHTS").is_some_and(|file| !file.is_empty());
    if let Error::Weights { problem, .. } = &mut error
        && !is_named
    {
        *problem +=
            "; this file was found in a default location: remove it, or ignore it with --weights builtin";
    }
    error
}

fn announce(common: &Common, source: &Source, weights: &Weights) {
    let from = match source {
        Source::File(path) => format!(", {}", console::shown_path(path)),
        // A user who named the built-in network needs no advice.
        _ if common.weights.is_some() => String::new(),
        _ => "; `occlude weights fetch` downloads the published network of 1000 classes".to_string(),
    };
    console::print_note(&format!("network: {}{from}", describe(weights)));
    let is_known = |name: &&str| RESIZES.iter().any(|(resize, _)| resize == name);
    if let Some(resize) = weights.resize().filter(is_known)
        && resize != common.resize.to_string()
    {
        console::print_note(&format!(
            "this network has learned from photographs prepared with --resize {resize}, not {}; its answers are better \
             with that option",
            common.resize
        ));
    }
}

/// Replaces the names of the classes by those of `--labels`, if that option is given.
///
/// # Errors
/// [`Error::Io`]; the errors of [`Labels::parse`]; [`Error::Labels`] if the number of names differs from the number
/// of classes.
pub fn with_labels(common: &Common, weights: Weights) -> Result<Weights> {
    let Some(path) = &common.labels else {
        return Ok(weights);
    };
    let shown = source::shown(path);
    let labels = Labels::parse(&shown, &source::read_text(path, LABELS_BYTES)?)?;
    weights.with_labels(labels).map_err(|mut error| {
        if let Error::Labels { name, .. } = &mut error {
            *name = shown;
        }
        error
    })
}

/// The weights that an argument names: a file, or "builtin".
///
/// # Errors
/// Those of [`occlude::weights::find`]; [`Error::Weights`] for standard input and addresses.
pub fn named(path: &Path) -> Result<Source> {
    let refuse = |name: String, problem: &str| Err(Error::Weights { name, problem: problem.to_string() });
    if source::is_standard_input(path) {
        let problem = "weights are not read from standard input: name a file, or a file \"-\" as ./-";
        return refuse(source::shown(path), problem);
    }
    if let Some((name, _)) = source::address(path) {
        let problem = "is an address, expected a file: `occlude weights fetch --from ADDRESS` downloads it";
        return refuse(name, problem);
    }
    occlude::weights::find(Some(path))
}
