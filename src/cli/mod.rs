//! The `occlude` command. This module starts the subcommand and sets the exit code: 0 for success,
//! 1 for a failure, 2 for an invalid command line, 130 and 143 for an interruption.

pub mod args;
mod checksum;
mod commands;
mod explanation;
mod output;
mod render;
mod source;
mod terminal;
mod weights;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use occlude::Error;

use args::{Arguments, Command};
use terminal::{console, interrupt, panics};

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    // If this fails, signals have their default effect.
    let _ = interrupt::watch();
    panics::install();
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Classify(args) => commands::classify::run(common, args),
        Command::Compare(args) => commands::compare::run(common, args),
        Command::Explain(args) => commands::explain::run(common, args),
        Command::Features(args) => commands::features::run(common, args),
        Command::Gradcam(args) => commands::gradcam::run(common, args),
        Command::Batch(args) => commands::batch::run(common, args, &matches),
        Command::Merge(args) => commands::batch::merge::run(args),
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
