//! Pages as text with places for their parts.

/// Replaces each `{{name}}` of a template by the part of this name. Parts are not searched for further
/// names.
///
/// # Panics
/// If a part is missing.
pub fn filled(template: &str, parts: &[(&str, impl AsRef<str>)]) -> String {
    let mut pieces = template.split("{{");
    let mut html = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (name, after) = piece.split_once("}}").expect("each place is closed");
        let (_, part) = parts.iter().find(|part| part.0 == name).unwrap_or_else(|| panic!("no part {name}"));
        html += part.as_ref();
        html += after;
    }
    html
}
