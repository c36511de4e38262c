//! `occlude`: GoogLeNet from scratch that explains its own classifications by occlusion sensitivity.

pub mod error;
pub mod network;
pub mod rect;

pub use error::{Error, Result};
