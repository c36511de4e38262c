//! The files that the command writes: numbers, arrays, the HTML report, and how they reach the disk.

pub mod arrays;
pub mod contrast;
pub mod figures;
pub mod files;
pub mod json;
pub mod names;
pub mod report;
pub mod results;
pub mod table;
