//! Tests of the repository itself: its modules, packages, `unsafe` blocks and examples, and the
//! book.

// The folder for the book's commands contains a symbolic link.
#[cfg(all(feature = "cli", unix))]
mod book;
#[cfg(all(feature = "cli", unix))]
#[path = "../common/mod.rs"]
mod common;

mod architecture;
mod dependencies;
mod disassembly;
mod examples;
mod policy;
mod unsafe_code;
