//! Messages on standard output and standard error. Control characters in them are escaped.
//!
//! `progress.rs` and `preview.rs` write to the terminal directly.

use std::borrow::Cow;
use std::io::{self, Write};

use occlude::{Error, Result};

/// Prints to standard output. A closed pipe (`occlude ... | head -1`) is not an error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(printable(text).as_bytes()).and_then(|()| stdout.flush()) {
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
    let _ = writeln!(io::stderr(), "{}", printable(message));
}

/// Escapes control characters except line ends. File names with escape sequences must not control
/// the terminal.
fn printable(text: &str) -> Cow<'_, str> {
    let controls = |c: char| c.is_control() && c != '\n';
    if !text.contains(controls) {
        return text.into();
    }
    let escaped = |c: char| if controls(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
