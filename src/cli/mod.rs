//! The `occlude` command. This module starts the subcommand and sets the exit code: 0 for success,
//! 1 for a failure, 2 for an invalid command line, 129, 130 and 143 for an interruption.

mod address;
pub mod args;
pub mod checks;
pub mod checksum;
mod commands;
pub mod explanation;
mod masks;
pub mod output;
#[cfg(feature = "serve")]
mod page;
mod photographs;
mod render;
pub mod repeats;
mod source;
pub mod terminal;
pub mod weights;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{CommandFactory, FromArgMatches};
use occlude::Error;
use occlude::text::shown;

use args::{Arguments, Command};
use terminal::{console, interrupt, panics};

/// Runs a command line, whose first word is the program's name.
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command_line: Vec<OsString> = command_line.into_iter().collect();
    // If this fails, signals have their default effect.
    let _ = interrupt::watch();
    panics::install();
    let matches = Arguments::command().try_get_matches_from(&command_line);
    let matches = matches.unwrap_or_else(|error| refuse(error, &command_line));
    let arguments = Arguments::from_arg_matches(&matches);
    let arguments = arguments.unwrap_or_else(|error| refuse(error, &command_line));
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Classify(args) => commands::classify::run(common, args),
        Command::Compare(args) => commands::compare::run(common, args),
        Command::Evaluate(args) => commands::evaluate::run(common, args),
        Command::Explain(args) => commands::explain::run(common, args),
        Command::Features(args) => commands::features::run(common, args),
        Command::Gradcam(args) => commands::gradcam::run(common, args),
        Command::Rise(args) => commands::rise::run(common, args),
        Command::Region(args) => commands::region::run(common, args),
        Command::Check(args) => commands::check::run(common, args),
        Command::Batch(args) => commands::batch::run(common, args, &matches),
        Command::Merge(args) => commands::batch::merge::run(args),
        Command::Learn(args) => commands::learn::run(common, args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => commands::serve::run(common, args),
        Command::Profile(args) => commands::profile::run(common, args),
        Command::Layers(args) => commands::layers::run(common, args),
        Command::Trace(args) => commands::trace::run(common, args),
        Command::Weights(args) => commands::weights::run(common, args),
        Command::Completions(args) => commands::completions::run(args),
        Command::Man(_) => commands::man::run(),
    };
    match result {
        Ok(code) => code,
        Err(Error::Cancelled) => {
            console::print_error("interrupted");
            interrupt::exit_code()
        }
        Err(error) => {
            console::print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Prints the message about an invalid command line, or the help, and exits. The message contains the
/// argument, which can be any file name.
fn refuse(error: clap::Error, command_line: &[OsString]) -> ! {
    let arguments: Vec<String> =
        command_line.iter().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let values = arguments.iter().filter_map(|argument| Some(argument.split_once('=')?.1));
    let parts = arguments.iter().map(String::as_str).chain(values);
    // The message holds an argument without its terminal sequences.
    let in_message = |part: &str| StyledStr::from(part.to_string()).to_string();
    let changed: Vec<(String, String)> = parts
        .filter(|part| shown(part) != *part)
        .map(|part| (in_message(part), shown(part).into_owned()))
        .filter(|(part, _)| !part.is_empty())
        .collect();
    if !error.use_stderr() {
        let code = match console::finish(error.print()) {
            Ok(()) => error.exit_code(),
            Err(error) => {
                console::print_error(&error.to_string());
                1
            }
        };
        std::process::exit(code);
    }
    if changed.is_empty() {
        error.exit();
    }
    let message = error.render().to_string();
    let message = changed.iter().fold(message, |message, (part, shown)| message.replace(part, shown));
    console::print_note(message.trim_end());
    std::process::exit(error.exit_code())
}
