//! The files that are read: photographs, and weights in each form, from a file, from a server and from the program itself.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "cli")]
mod builtin;
#[cfg(feature = "all-formats")]
mod picture;
#[cfg(feature = "cli")]
mod weights;
