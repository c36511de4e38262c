//! The error type of the library.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a function of this crate failed.
///
/// The [`Display`](fmt::Display) text is complete: it names the input and says what was found, what
/// was expected and what to do. It includes the operating system's message of an [`Error::Io`], so
/// [`source`](std::error::Error::source) continues with the cause of that one, and a report that
/// prints the whole chain repeats nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The verb of "cannot {action} {path}": "read" or "write".
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file, or pixels in memory, cannot be used as a picture.
    Image {
        /// The file, or a description of the bytes in memory.
        name: String,
        /// The problem, the expectation, and the remedy.
        problem: String,
    },
    /// A weights file does not hold a network of this crate, or is damaged.
    Weights {
        /// The file, or a description of the bytes in memory.
        name: String,
        /// The tensor or part of the file, what was found and what was expected.
        problem: String,
    },
    /// A file of class names cannot be used.
    Labels {
        /// The file.
        name: String,
        /// The line, what was found and what was expected.
        problem: String,
    },
    /// No weights file was found.
    WeightsNotFound {
        /// The paths that were searched, in order.
        tried: Vec<PathBuf>,
    },
    /// An option has a value outside its range.
    Option {
        /// The option's name, as in "mask size".
        name: &'static str,
        /// The value that was given.
        found: String,
        /// The values that are accepted.
        expected: String,
    },
    /// No class has this name.
    UnknownClass {
        /// The requested name.
        name: String,
        /// Labels with a similar spelling, the most similar first.
        similar: Vec<String>,
        /// A hint to another network that has such a class.
        elsewhere: Option<String>,
    },
    /// No layer has this name.
    UnknownLayer {
        /// The requested name.
        name: String,
        /// Names of this network with a similar spelling, the most similar first.
        similar: Vec<String>,
        /// All layer names of this network.
        all: Vec<String>,
    },
    /// The caller cancelled the work, by the progress callback or the cancel flag.
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
            // The text of `source` itself is part of `Display`.
            Error::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl Error {
    /// Makes [`Error::Io`] from the operating system's error, for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { path: path.into(), action, source }
    }

    pub(crate) fn image(name: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Image { name: name.into(), problem: problem.into() }
    }

    pub(crate) fn weights(name: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Weights { name: name.into(), problem: problem.into() }
    }

    pub(crate) fn labels(name: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Labels { name: name.into(), problem: problem.into() }
    }

    pub(crate) fn option(name: &'static str, found: impl ToString, expected: impl Into<String>) -> Error {
        Error::Option { name, found: found.to_string(), expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn a_chain_of_causes_repeats_no_text() {
        let denied = Error::io("cat.jpg", "read")(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.to_string(), "cannot read cat.jpg: permission denied");
        assert!(denied.source().is_none());
        let cause = io::Error::new(io::ErrorKind::InvalidData, Error::option("size", 0, "1 to 224"));
        let nested = Error::io("cat.jpg", "read")(cause);
        assert_eq!(nested.to_string(), "cannot read cat.jpg: size 0 is not possible: expected 1 to 224");
        assert!(nested.source().is_none());
    }
}
