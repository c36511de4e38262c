//! A tensor of a weights file, whatever the file's form.

/// Values in C order, named and shaped as the network's table has it (`<layer>.weight`, `<layer>.bias`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}
