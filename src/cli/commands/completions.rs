//! `occlude completions`: prints a completion script for a shell.

use std::process::ExitCode;

use clap::CommandFactory;
use occlude::Result;

use crate::cli::args::{Arguments, Completions};
use crate::cli::terminal::console;

pub fn run(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "occlude", &mut script);
    console::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
