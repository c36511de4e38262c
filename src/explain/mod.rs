//! Other explanations to hold an occlusion map against, a measure of which is better, and regions:
//! the place of a map's evidence.

pub mod faithfulness;
pub mod gradcam;
pub mod region;
