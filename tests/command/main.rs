//! The command, by the real binary: what it prints and writes, and what it does when something goes wrong around it.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod arrays;
mod basics;
mod batch;
mod compare;
#[cfg(unix)]
mod faults;
mod features;
mod report;
mod trace;
