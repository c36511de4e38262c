//! The command: which subcommand runs, and what its end is to the caller: exit code 0 done, 1 refused or failed, 2 not a
//! valid command line, 130 and 143 interrupted. What subcommands share stands in the modules; none of them calls this one.

pub mod args;
mod arrays;
mod batch;
mod canvas;
mod checksum;
pub mod classes;
mod classify;
mod colours;
mod compare;
mod console;
mod contrast;
mod explain;
mod explanation;
mod features;
mod figure;
mod gradcam;
mod interrupt;
mod json;
mod layers;
mod names;
mod output;
mod pictures;
mod preview;
mod profile;
mod progress;
mod report;
mod results;
mod shard;
mod strip;
mod table;
mod text;
mod threads;
mod trace;
mod weights;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use occlude::Error;

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
            console::complain("interrupted");
            interrupt::exit_code()
        }
        Err(error) => {
            console::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
