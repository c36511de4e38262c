//! `occlude`: GoogLeNet from scratch that explains its own classifications by occlusion sensitivity.

pub mod error;
pub mod labels;
pub mod network;
pub mod rect;
pub mod weights;

pub use error::{Error, Result};
pub use weights::Weights;
