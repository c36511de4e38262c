//! Messages on standard output and standard error. Control characters in them are escaped, except
//! line ends. Names that can contain line ends are escaped where they enter a message.
//!
//! `progress.rs` and `preview.rs` write to the terminal directly.

use std::io::{self, Write};
use std::path::Path;

use occlude::text::{escaped, escaped_lines};
use occlude::{Error, Result};

/// Prints to standard output. A closed pipe (`occlude ... | head -1`) is not an error.
pub fn print(text: &str) -> Result<()> {
    finish(io::stdout().write_all(escaped_lines(text).as_bytes()))
}

/// Ends a print to standard output whose result is `written`, as [`print`].
pub fn finish(written: io::Result<()>) -> Result<()> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), action: "write to", source })
        }
        _ => Ok(()),
    }
}

/// Prints an error message to standard error.
pub fn print_error(message: &str) {
    print_note(&format!("error: {message}"));
}

/// Prints a line to standard error.
pub fn print_note(message: &str) {
    // An error is ignored: there is no other place to report it.
    let _ = writeln!(io::stderr(), "{}", escaped_lines(message));
}

/// A path for a message. It is not shortened, because the user looks for it.
pub fn shown_path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}
