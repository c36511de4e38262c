//! The subcommands. They do not use each other; shared code is in `args`, `explanation`, `output`,
//! `render` and `weights`.

pub mod batch;
pub mod check;
pub mod classify;
pub mod compare;
pub mod completions;
pub mod evaluate;
pub mod explain;
pub mod features;
pub mod gradcam;
pub mod layers;
pub mod learn;
pub mod man;
pub mod profile;
pub mod region;
pub mod rise;
#[cfg(feature = "serve")]
pub mod serve;
pub mod trace;
pub mod weights;
