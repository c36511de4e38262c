//! The process and its terminal: messages, progress bars, signals and threads.

pub mod console;
pub mod interrupt;
pub mod panics;
pub mod progress;
pub mod threads;
