//! `occlude`: GoogLeNet from scratch that explains its own classifications by occlusion sensitivity.

pub mod error;
mod gemm;
pub mod labels;
pub mod network;
pub mod picture;
pub mod rect;
pub mod reference;
pub mod resize;
pub mod weights;

pub use error::{Error, Result};
pub use picture::{Input, Photograph, Picture, Resize};
pub use resize::Upsampling;
pub use weights::Weights;
