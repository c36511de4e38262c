//! The error type of the library.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::text::{escaped, shown, shown_problem};

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a function of this crate failed.
///
/// The [`Display`](fmt::Display) text is complete: it names the input and says what was found, what
/// was expected and what to do. Every field is on one line: control characters of names in files and
/// of paths are escaped, and long texts are shortened (see [`text`](crate::text)). It includes the
/// operating system's message of an [`Error::Io`], so [`source`](std::error::Error::source) continues
/// with the cause of that one, and a report that prints the whole chain repeats nothing.
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
    /// Memory is not available.
    Memory {
        /// The work that needs it, as in "the network".
        purpose: &'static str,
        /// The amount, and the remedy.
        problem: String,
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
            Error::Io { path, action, source } => {
                write!(f, "cannot {action} {}: {}", shown_path(path), shown_problem(&source.to_string()))
            }
            Error::Image { name, problem }
            | Error::Weights { name, problem }
            | Error::Labels { name, problem } => write!(f, "{}: {}", escaped(name), shown_problem(problem)),
            Error::WeightsNotFound { tried } => {
                writeln!(f, "no weights file found; looked at:")?;
                for path in tried {
                    writeln!(f, "  {}", shown_path(path))?;
                }
                write!(f, "{HOW_TO_GET_WEIGHTS}")
            }
            Error::Option { name, found, expected } => {
                write!(f, "{name} {} is not possible: expected {}", shown(found), shown_problem(expected))
            }
            Error::UnknownClass { name, similar, elsewhere } => {
                write!(f, "no class is called \"{}\"", shown(name))?;
                write_similar(f, similar)?;
                elsewhere.iter().try_for_each(|network| write!(f, "\n{}", shown_problem(network)))
            }
            Error::UnknownLayer { name, similar, all } => {
                write!(f, "no layer is called \"{}\"", shown(name))?;
                write_similar(f, similar)?;
                write!(f, "\nexpected one of {}", escaped(&all.join(", ")))
            }
            Error::Memory { purpose, problem } => write!(f, "{purpose} {}", shown_problem(problem)),
            Error::Cancelled => write!(f, "cancelled"),
        }
    }
}

/// A path, which is never shortened: it has to be found again.
fn shown_path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

fn write_similar(f: &mut fmt::Formatter<'_>, similar: &[String]) -> fmt::Result {
    let similar: Vec<_> = similar.iter().map(|name| shown(name)).collect();
    if similar.is_empty() { Ok(()) } else { write!(f, "; did you mean {}?", similar.join(" or ")) }
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

    /// A name from a file or an argument cannot begin a second line or fill the screen, in any field
    /// of any error.
    #[test]
    fn foreign_text_stays_on_its_line() {
        let foreign = format!("a\nerror: all is well\u{202e}\u{1b}[2J{}", "z".repeat(100_000));
        let path = PathBuf::from(&foreign[..40]);
        let text = || foreign.clone();
        for (error, lines) in [
            (Error::io(&path, "read")(io::Error::other(text())), 1),
            (Error::image(path.to_string_lossy(), text()), 1),
            (Error::weights(path.to_string_lossy(), text()), 1),
            (Error::labels(path.to_string_lossy(), text()), 1),
            (Error::option("--classes", text(), text()), 1),
            (Error::WeightsNotFound { tried: vec![path.clone(); 2] }, 7),
            (Error::UnknownClass { name: text(), similar: vec![text()], elsewhere: Some(text()) }, 2),
            (Error::UnknownLayer { name: text(), similar: vec![text()], all: vec!["conv1".into()] }, 2),
        ] {
            let shown = error.to_string();
            assert!(!shown.contains(|c| c != '\n' && crate::text::is_control(c)), "{shown}");
            assert_eq!(shown.lines().count(), lines, "{shown}");
            assert!(shown.contains("a\\nerror: all is well\\u{202e}") && shown.len() < 10_000, "{shown}");
        }
    }

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
