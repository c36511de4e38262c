//! What the command says on standard output and standard error, with what could move a terminal's cursor made visible. What
//! is redrawn in place, `progress.rs` and `preview.rs` write themselves.

use std::borrow::Cow;
use std::io::{self, Write};

use occlude::{Error, Result};

/// Prints to standard output. A reader that has seen enough (`occlude ... | head -1`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(printable(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), action: "write to", source })
        }
        _ => Ok(()),
    }
}

/// Prints to standard error why the program ends.
pub fn print_error(message: &str) {
    print_note(&format!("error: {message}"));
}

/// Prints a line to standard error.
pub fn print_note(message: &str) {
    // Nothing is left to be done when that is closed, too.
    let _ = writeln!(io::stderr(), "{}", printable(message));
}

/// The text without control characters but for ends of lines: a file's name must not move a terminal's cursor, or worse.
fn printable(text: &str) -> Cow<'_, str> {
    let controls = |c: char| c.is_control() && c != '\n';
    if !text.contains(controls) {
        return text.into();
    }
    let escaped = |c: char| if controls(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
