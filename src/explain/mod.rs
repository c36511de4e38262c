//! Other explanations to hold an occlusion map against, and a measure of which is better.

pub mod faithfulness;
pub mod gradcam;
