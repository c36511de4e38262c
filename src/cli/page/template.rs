//! The text of the page.

/// The style of the page: that of the command's report, and its own.
pub const STYLE: &str = concat!(include_str!("../output/report/report.css"), include_str!("page.css"));

/// The beginning of the script, for each kind of engine; the script of the engine follows.
pub const SCRIPT: &str = concat!(include_str!("../output/report/common.js"), include_str!("page.js"));

/// The page with these parts in its places `{{name}}`.
///
/// # Panics
/// If a part is missing.
pub fn filled(parts: &[(&str, &str)]) -> String {
    let mut pieces = include_str!("page.html").split("{{");
    let mut html = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (name, after) = piece.split_once("}}").expect("each place is closed");
        let (_, part) = parts.iter().find(|part| part.0 == name).unwrap_or_else(|| panic!("no part {name}"));
        html += part;
        html += after;
    }
    html
}
