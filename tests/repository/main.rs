//! Tests of the repository itself: its modules, packages, `unsafe` blocks and examples, and the
//! book.

// The folder for the book's commands contains a symbolic link.
#[cfg(all(feature = "cli", unix))]
mod book;
#[cfg(all(feature = "cli", unix))]
#[path = "../common/browser.rs"]
mod browser;
#[cfg(all(feature = "cli", unix))]
#[path = "../common/mod.rs"]
mod common;
#[cfg(all(feature = "cli", unix))]
mod drawings;
#[cfg(all(feature = "cli", unix))]
mod exercises;
#[cfg(all(feature = "cli", unix))]
mod links;
#[cfg(all(feature = "cli", unix))]
mod terms;

mod architecture;
mod dependencies;
mod disassembly;
mod examples;
mod installation;
mod policy;
mod python;
mod unsafe_code;
