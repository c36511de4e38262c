//! The library's errors as exceptions of Python. The texts are the library's.

use std::io::ErrorKind;

use occlude::Error;
use pyo3::create_exception;
use pyo3::exceptions::{
    PyFileExistsError, PyFileNotFoundError, PyIsADirectoryError, PyMemoryError, PyNotADirectoryError,
    PyOSError, PyPermissionError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

create_exception!(occlude, ImageError, PyValueError, "A file, or bytes, cannot be used as a photograph.");
create_exception!(
    occlude,
    WeightsError,
    PyValueError,
    "A weights file does not hold a network that this package knows, or is damaged."
);
create_exception!(occlude, LabelsError, PyValueError, "Names of classes cannot be used.");

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("ImageError", py.get_type::<ImageError>())?;
    module.add("WeightsError", py.get_type::<WeightsError>())?;
    module.add("LabelsError", py.get_type::<LabelsError>())
}

pub fn exception(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
            ErrorKind::PermissionDenied => PyPermissionError::new_err(text),
            ErrorKind::AlreadyExists => PyFileExistsError::new_err(text),
            ErrorKind::IsADirectory => PyIsADirectoryError::new_err(text),
            ErrorKind::NotADirectory => PyNotADirectoryError::new_err(text),
            _ => PyOSError::new_err(text),
        },
        Error::WeightsNotFound { .. } => PyFileNotFoundError::new_err(text),
        Error::Image { .. } => ImageError::new_err(text),
        Error::Weights { .. } => WeightsError::new_err(text),
        Error::Labels { .. } => LabelsError::new_err(text),
        Error::Option { .. } | Error::UnknownClass { .. } | Error::UnknownLayer { .. } => {
            PyValueError::new_err(text)
        }
        Error::Memory { .. } => PyMemoryError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
