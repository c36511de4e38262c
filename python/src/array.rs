//! Numbers that NumPy reads where they are.

use std::any::Any;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Numbers of this module as an array of any shape, row by row. `numpy.asarray` makes a view of it,
/// which cannot be written to and keeps it alive.
#[pyclass(frozen)]
pub struct Array {
    #[expect(dead_code, reason = "holds the numbers at the address")]
    owner: Box<dyn Any + Send + Sync>,
    address: usize,
    dtype: String,
    shape: Vec<usize>,
}

/// A type of numbers, and NumPy's letter for it.
pub trait Number: Send + Sync + 'static {
    const KIND: char;
}

impl Number for f32 {
    const KIND: char = 'f';
}

impl Number for u8 {
    const KIND: char = 'u';
}

/// Indices are far below the largest signed number, so they are read as signed ones, as in the files
/// that the command writes.
impl Number for usize {
    const KIND: char = 'i';
}

impl Array {
    /// Numbers that belong to `owner`, which does not move or change them.
    fn of<O: Any + Send + Sync, T: Number>(
        owner: O,
        values: impl FnOnce(&O) -> &[T],
        shape: &[usize],
    ) -> Array {
        let owner = Box::new(owner);
        let values = values(&owner);
        assert_eq!(values.len(), shape.iter().product::<usize>(), "as many values as the shape says");
        let address = values.as_ptr() as usize;
        Array { owner, address, dtype: format!("<{}{}", T::KIND, size_of::<T>()), shape: shape.to_vec() }
    }

    /// Numbers of this array alone.
    pub fn new<T: Number>(values: Vec<T>, shape: &[usize]) -> Array {
        Array::of(values, |values| values, shape)
    }

    /// A part of a value that several arrays share.
    pub fn part<O: Send + Sync + 'static, T: Number>(
        owner: &Arc<O>,
        values: impl FnOnce(&O) -> &[T],
        shape: &[usize],
    ) -> Array {
        Array::of(owner.clone(), |owner| values(owner), shape)
    }
}

#[pymethods]
impl Array {
    /// NumPy's protocol for arrays of other programs.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", &self.dtype)?;
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("data", (self.address, true))?;
        Ok(interface)
    }
}
