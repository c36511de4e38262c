//! Tests of the command with the real binary: its output and its files, and its behaviour after
//! failures around it.
#![cfg(feature = "cli")]

#[path = "../common/browser.rs"]
mod browser;
#[path = "../common/mod.rs"]
mod common;

mod arrays;
mod basics;
mod batch;
#[cfg(feature = "builtin")]
mod batch_page;
mod cases;
mod compare;
#[cfg(unix)]
mod faults;
mod features;
mod figures;
mod inputs;
mod jobs;
#[cfg(feature = "builtin")]
mod learn;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(feature = "builtin")]
mod metrics;
mod page;
mod questions;
mod region;
mod report;
mod report_masks;
#[cfg(all(unix, feature = "serve"))]
mod serve;
#[cfg(all(unix, feature = "serve"))]
mod served;
#[cfg(all(unix, feature = "serve"))]
mod served_page;
mod shared_scale;
mod trace;
#[cfg(feature = "builtin")]
mod trust;
