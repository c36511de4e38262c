//! A weights file in words: whose network, in which form.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use occlude::weights::Form;
use occlude::{Error, Result, Weights};

/// The network's name and number of classes: "built-in network of 30 classes".
pub fn network(weights: &Weights) -> String {
    format!("{} of {} classes", weights.name(), weights.network().classes())
}

/// Which form a file has, by its first bytes.
pub fn form(path: &Path) -> Result<Form> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    form_of(&path.display().to_string(), File::open(path).map_err(failed)?)
}

/// The same of a stream; `name` serves only for messages.
pub fn form_of(name: &str, reader: impl Read) -> Result<Form> {
    let failed = |source| Error::Io { path: name.into(), action: "read", source };
    let mut head = Vec::new();
    reader.take(32).read_to_end(&mut head).map_err(failed)?;
    Form::of(&head).map_err(|problem| Error::Weights { name: name.to_string(), problem })
}
