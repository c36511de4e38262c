//! Tests of the files that the program reads: photographs, and weights in each format, from a file,
//! from a server and from the program itself.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "cli")]
mod builtin;
#[cfg(feature = "all-formats")]
mod gif;
#[cfg(feature = "all-formats")]
mod jpeg;
#[cfg(feature = "cli")]
mod names;
#[cfg(feature = "all-formats")]
mod orientation;
#[cfg(feature = "all-formats")]
mod picture;
#[cfg(feature = "all-formats")]
mod signature;
#[cfg(feature = "all-formats")]
mod tiff_kinds;
#[cfg(feature = "cli")]
mod weights;
