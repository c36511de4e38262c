//! `occlude`: GoogLeNet from scratch that explains its own classifications by occlusion sensitivity.

pub mod error;
mod googlenet;
mod group;
mod kernels;
pub mod labels;
pub mod network;
pub mod occlusion;
pub mod picture;
mod plane;
pub mod profile;
pub mod rect;
pub mod reference;
pub mod resize;
mod schedule;
mod softmax;
pub mod weights;

pub use error::{Error, Result};
pub use googlenet::{Activations, Classification, GoogLeNet};
pub use kernels::Isa;
pub use occlusion::{MaskValue, OcclusionMaps, OcclusionSensitivity, Progress, Score};
pub use picture::{Input, Photograph, Picture, Resize};
pub use profile::{LayerProfile, Profile};
pub use resize::Upsampling;
pub use softmax::softmax;
pub use weights::Weights;
