//! Tests of the network and the sweep: they compute the same bits on every machine, and the numbers
//! of PyTorch and of plain formulas.

#[path = "../common/mod.rs"]
mod common;

mod exercises;
mod gradcam;
mod learn;
mod masks;
mod pairs;
mod places;
#[cfg(all(feature = "builtin", feature = "image"))]
mod regions;
mod reproducible;
#[cfg(feature = "builtin")]
mod rise;
mod scores;
mod seeded;
mod sweep;
mod trained;
mod variants;
