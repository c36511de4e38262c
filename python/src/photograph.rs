//! The photographs that Python passes: a file, the contents of one, or pixels.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use occlude::{Photograph, Result};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::cli::checksum::sha256;
use crate::cli::explanation::LoadedPhotograph;
use crate::cli::terminal::panics;

/// A photograph that is not decoded yet.
#[pyclass(frozen)]
#[derive(Clone)]
pub struct Source(Arc<Origin>);

enum Origin {
    File(PathBuf),
    Bytes(PyBackedBytes),
    /// Rows of pixels of three bytes, red first.
    Pixels {
        height: usize,
        width: usize,
        rgb: PyBackedBytes,
    },
}

#[pymethods]
impl Source {
    #[staticmethod]
    fn file(path: PathBuf) -> Source {
        Source(Arc::new(Origin::File(path)))
    }

    #[staticmethod]
    fn contents(bytes: PyBackedBytes) -> Source {
        Source(Arc::new(Origin::Bytes(bytes)))
    }

    #[staticmethod]
    fn pixels(height: usize, width: usize, rgb: PyBackedBytes) -> Source {
        Source(Arc::new(Origin::Pixels { height, width, rgb }))
    }
}

impl Source {
    /// The file, or the name of the photograph in the results.
    pub fn name(&self) -> OsString {
        match &*self.0 {
            Origin::File(path) => path.into(),
            Origin::Bytes(_) => "bytes".into(),
            Origin::Pixels { .. } => "array".into(),
        }
    }

    /// Reads and decodes the photograph.
    pub fn load(&self) -> Result<LoadedPhotograph> {
        let (photograph, sha256) = match &*self.0 {
            Origin::File(path) => return LoadedPhotograph::read(path),
            Origin::Bytes(bytes) => {
                let decode = || Photograph::from_bytes("the bytes", bytes);
                (panics::without_message(decode)?, sha256(bytes))
            }
            Origin::Pixels { height, width, rgb } => {
                (Photograph::from_rgb(*height, *width, rgb)?, sha256(rgb))
            }
        };
        let image = Path::new(&self.name()).to_path_buf();
        Ok(LoadedPhotograph { image, sha256, photograph: Arc::new(photograph) })
    }
}
