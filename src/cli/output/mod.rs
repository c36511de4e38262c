//! The files that the command writes: figures, numbers, arrays and the HTML report.

pub mod arrays;
pub mod confusion;
pub mod contrast;
pub mod earlier;
pub mod figures;
pub mod files;
pub mod json;
pub mod lock;
pub mod names;
pub mod pairs;
pub mod report;
pub mod results;
pub mod robust;
pub mod subject;
pub mod table;
