//! The text of the page.

pub const TEMPLATE: &str = include_str!("page.html");

/// The style of the page: that of the command's report, and its own.
pub const STYLE: &str = concat!(include_str!("../output/report/report.css"), include_str!("page.css"));

/// The beginning of the script, for each kind of engine; the script of the engine follows.
pub const SCRIPT: &str = concat!(include_str!("../output/report/common.js"), include_str!("page.js"));
