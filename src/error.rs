//! Every way in which the library refuses: what was wrong with which input, and what to do about it. All modules may use it; it
//! uses none.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The text of [`fmt::Display`] names the input, what was expected, what was found and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done to it, as in "cannot {action} {path}".
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not a picture that can be used.
    Image {
        /// The file, or a word for where the bytes came from.
        name: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// A weights file is not this network's.
    Weights {
        /// The file, or a word for where the bytes came from.
        name: String,
        /// Which tensor or part of it, what was expected, what was found.
        problem: String,
    },
    /// A file of class names cannot be used.
    Labels {
        /// The file.
        name: String,
        /// Which line, what was expected, what was found.
        problem: String,
    },
    /// No weights file was found.
    WeightsNotFound {
        /// The places looked at, in order.
        tried: Vec<PathBuf>,
    },
    /// An option has a value outside its range.
    Option {
        /// The option's name, as in "mask size".
        name: &'static str,
        /// The value that was given.
        found: String,
        /// What would be accepted.
        expected: String,
    },
    /// No class has this name.
    UnknownClass {
        /// The name that was asked for.
        name: String,
        /// Labels that resemble it, the nearest first.
        similar: Vec<String>,
        /// Another network that has such a class, and how to use that one.
        elsewhere: Option<String>,
    },
    /// No layer has this name.
    UnknownLayer {
        /// The name that was asked for.
        name: String,
        /// Names of the network that resemble it, the nearest first.
        similar: Vec<String>,
        /// All names of the network.
        all: Vec<String>,
    },
    /// The progress callback asked to stop.
    Cancelled,
}

const HOW_TO_GET_WEIGHTS: &str = "\
to get the file: occlude weights fetch
(downloads Berkeley's bvlc_googlenet.caffemodel, 53 MB, from the first server that has it, checks and converts it)
or, if you have that file or another form of the network: occlude weights import FILE
or, if you have bvlc_googlenet.safetensors, put it in one of these places, or name it with --weights or $OCCLUDE_WEIGHTS";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, action, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::Image { name, problem }
            | Error::Weights { name, problem }
            | Error::Labels { name, problem } => write!(f, "{name}: {problem}"),
            Error::WeightsNotFound { tried } => {
                writeln!(f, "no weights file found; looked at:")?;
                for path in tried {
                    writeln!(f, "  {}", path.display())?;
                }
                write!(f, "{HOW_TO_GET_WEIGHTS}")
            }
            Error::Option { name, found, expected } => {
                write!(f, "{name} {found} is not possible: expected {expected}")
            }
            Error::UnknownClass { name, similar, elsewhere } => {
                write!(f, "no class is called \"{name}\"")?;
                if !similar.is_empty() {
                    write!(f, "; did you mean {}?", similar.join(" or "))?;
                }
                elsewhere.iter().try_for_each(|network| write!(f, "\n{network}"))
            }
            Error::UnknownLayer { name, similar, all } => {
                write!(f, "no layer is called \"{name}\"")?;
                if !similar.is_empty() {
                    write!(f, "; did you mean {}?", similar.join(" or "))?;
                }
                write!(f, "\nexpected one of {}", all.join(", "))
            }
            Error::Cancelled => write!(f, "cancelled"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
