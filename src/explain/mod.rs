//! Other explanations to hold an occlusion map against, measures of which is better, the interactions
//! of a map's places, and regions: where a map's evidence lies, and the smallest parts that keep or lose
//! a class.

pub mod faithfulness;
pub mod gradcam;
pub mod metrics;
pub mod pairs;
pub mod region;
pub mod rise;
pub mod smallest;
