//! The `occlude` command.

fn main() {}
