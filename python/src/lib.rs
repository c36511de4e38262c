//! The extension module `occlude._occlude`: the library and the command for Python. The package's
//! modules in `python/occlude` make Python's values of it: arrays, names, options.
//!
//! A call is given the words of a command line, which the command's own definition reads. So every
//! option has the name, the range, the default and the message that it has there.

#![deny(unsafe_code)]

mod array;
#[path = "../../src/cli/mod.rs"]
mod cli;
mod errors;
mod explanation;
mod network;
mod photograph;
mod tensor;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use cli::args::Arguments;
use occlude::network::{INPUT_SIDE, MEAN_BGR};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Reads a command line without the program's name.
///
/// # Errors
/// `ValueError` with the text of the command's message.
fn parse(words: &[OsString]) -> PyResult<Arguments> {
    let program = OsString::from("occlude");
    // An option of a call replaces that of the network.
    let command = Arguments::command().args_override_self(true);
    let matches = command.try_get_matches_from([&program].into_iter().chain(words));
    matches.and_then(|matches| Arguments::from_arg_matches(&matches)).map_err(|error| {
        let message = error.render().to_string();
        // The hints after the first paragraph are about the command line.
        let problem = message.split("\n\n").next().unwrap_or_default();
        PyValueError::new_err(problem.trim_start_matches("error: ").trim_end().to_string())
    })
}

/// Runs the command in this process and returns its exit code. An invalid command line and a signal
/// end the process.
#[pyfunction]
fn main(py: Python<'_>, command_line: Vec<OsString>) -> u8 {
    let code = py.detach(|| cli::run(command_line));
    // The standard library does not tell the number.
    (0..u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap_or(u8::MAX)
}

#[pymodule]
fn _occlude(module: &Bound<'_, PyModule>) -> PyResult<()> {
    cli::terminal::panics::install();
    errors::add(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("INPUT_SIDE", INPUT_SIDE)?;
    module.add("MEAN_BGR", MEAN_BGR)?;
    module.add_class::<photograph::Source>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<explanation::Explanation>()?;
    module.add_function(wrap_pyfunction!(main, module)?)
}
