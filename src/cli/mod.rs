//! The command: what its subcommands read, do and print.
//! Exit codes: 0 done, 1 refused or failed, 2 not a valid command line, 130 and 143 interrupted.

pub mod args;
mod arrays;
mod batch;
mod canvas;
pub mod classes;
mod classify;
mod colours;
mod compare;
mod explain;
mod explanation;
mod features;
mod figure;
mod gradcam;
mod interrupt;
mod json;
mod layers;
mod output;
mod pictures;
mod preview;
mod profile;
mod progress;
mod report;
mod strip;
mod text;
mod trace;
mod weights;

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use occlude::{Error, Result};

use args::{Arguments, Command};

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    // Where it is not possible, a signal does what it does by default.
    let _ = interrupt::watch();
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Classify(args) => classify::run(common, args),
        Command::Compare(args) => compare::run(common, args),
        Command::Explain(args) => explain::run(common, args),
        Command::Features(args) => features::run(common, args),
        Command::Gradcam(args) => gradcam::run(common, args),
        Command::Batch(args) => batch::run(common, args, &matches),
        Command::Merge(args) => batch::merge::run(args),
        Command::Profile(args) => profile::run(common, args),
        Command::Layers(args) => layers::run(common, args),
        Command::Trace(args) => trace::run(common, args),
        Command::Weights(args) => weights::run(common, args),
    };
    match result {
        Ok(code) => code,
        Err(Error::Cancelled) => {
            complain("interrupted");
            interrupt::exit_code()
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard error.
fn complain(message: &str) {
    // Nothing is left to be done when that is closed, too.
    let _ = writeln!(io::stderr(), "error: {}", printable(message));
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

/// Runs a subcommand in a pool of `threads` threads, or the default one: all of it, for new threads often share a core in
/// their first milliseconds, and loading is a better time for that than what is timed.
fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|e| Error::Option {
        name: "--threads",
        found: threads.map_or_else(|| "the default".to_string(), |threads| threads.to_string()),
        expected: format!("as many as the system can start ({e})"),
    })?;
    pool.install(run)
}

/// Prints to standard output. A reader that has seen enough (`occlude ... | head -1`) is no error.
fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(printable(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), action: "write to", source })
        }
        _ => Ok(()),
    }
}
