//! The name of a network and the format of a weights file, in words.

use std::io::Read;
use std::path::Path;

use occlude::weights::Form;
use occlude::{Error, Result, Weights};

/// The network's name and number of classes: "built-in network of 30 classes".
pub fn describe(weights: &Weights) -> String {
    let classes = match weights.network().classes() {
        1 => "1 class".to_string(),
        classes => format!("{classes} classes"),
    };
    // The default is not mentioned.
    let prepared = if weights.transform_input() == Some(false) { " with transform_input off" } else { "" };
    format!("{} of {classes}{prepared}", weights.name())
}

/// The format of a weights file, recognized by its first bytes.
pub fn form(path: &Path) -> Result<Form> {
    form_of(&path.display().to_string(), occlude::weights::open(path)?.0)
}

/// The format of a stream, as in [`form`]. `name` is for messages.
pub fn form_of(name: &str, reader: impl Read) -> Result<Form> {
    let failed = |source| Error::Io { path: name.into(), action: "read", source };
    let mut head = Vec::new();
    reader.take(32).read_to_end(&mut head).map_err(failed)?;
    Form::of(name, &head)
}
