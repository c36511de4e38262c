//! Text of other origin in messages: names in files, names of files, arguments. A message shows it
//! on one line, without characters that control a terminal or hide text, and of limited length.

use std::borrow::Cow;

/// Largest number of characters of a name that is shown whole. The longest label of ImageNet has
/// 121.
const LONGEST_NAME: usize = 200;

/// Largest number of characters of the description of a problem, which can contain several names.
const LONGEST_PROBLEM: usize = 4000;

/// True for characters that messages escape: control characters, line and paragraph separators,
/// those that change the direction of text, and spaces without width. Joiners are not among them,
/// because several scripts need them.
pub fn is_control(c: char) -> bool {
    let is_invisible = matches!(
        c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    );
    is_invisible || c.is_control()
}

/// The text with each control character (see [`is_control`]) in the notation of Rust and C: `\n`,
/// `\u{1b}`. Backslashes stay as they are, so escaped text can be escaped again without a change.
///
/// ```
/// assert_eq!(occlude::text::escaped("a\nerror: b"), "a\\nerror: b");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_except(text, |_| false)
}

/// The text of a message of several lines: as [`escaped`], but line ends stay.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_except(text, |c| c == '\n')
}

/// A name of other origin for a message: as [`escaped`], and if it has more than 200 characters,
/// its begin, its end and its length.
///
/// ```
/// let long = occlude::text::shown(&"n".repeat(5000)).into_owned();
/// assert!(long.len() < 200 && long.ends_with("n (5000 characters)"));
/// ```
pub fn shown(name: &str) -> Cow<'_, str> {
    shortened(name, LONGEST_NAME)
}

/// The description of a problem, on one line and of limited length.
pub(crate) fn shown_problem(problem: &str) -> Cow<'_, str> {
    shortened(problem, LONGEST_PROBLEM)
}

fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    // No text has more characters than bytes.
    if text.len() <= most || text.chars().count() <= most {
        return escaped(text);
    }
    let count = text.chars().count();
    let at = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
    let (begin, end) = (&text[..at(most / 2)], &text[at(count - most / 4)..]);
    format!("{}...{} ({count} characters)", escaped(begin), escaped(end)).into()
}

fn escaped_except(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_control(c) && !keeps(c);
    if !text.contains(is_escaped) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_or_hides_text_is_escaped_once() {
        for (text, expected) in [
            ("a\nerror: b\r\tc", "a\\nerror: b\\r\\tc"),
            ("\u{1b}[2J\u{7f}\u{9b}31m\0", "\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{0}"),
            ("a\u{202e}gnp.exe\u{2066}\u{2069}\u{200f}", "a\\u{202e}gnp.exe\\u{2066}\\u{2069}\\u{200f}"),
            (
                "a\u{200b}b\u{feff}c\u{2060}\u{2028}\u{2029}",
                "a\\u{200b}b\\u{feff}c\\u{2060}\\u{2028}\\u{2029}",
            ),
            // Backslashes, other scripts, and joiners, which Persian and emoji need.
            ("C:\\new\\x", "C:\\new\\x"),
            ("ä \u{6a9}\u{200c}\u{627} 👩\u{200d}🔬", "ä \u{6a9}\u{200c}\u{627} 👩\u{200d}🔬"),
        ] {
            assert_eq!(escaped(text), expected);
            assert_eq!(escaped(&escaped(text)), expected);
            assert_eq!(shown(text), expected);
        }
        assert_eq!(escaped_lines("a\nb\r\n"), "a\nb\\r\n");
    }

    #[test]
    fn long_names_keep_their_begin_and_their_end() {
        let name = |count: usize| format!("begin{}end", "ä".repeat(count - 8));
        assert_eq!(shown(&name(200)), name(200));
        let long = shown(&name(201)).into_owned();
        assert!(long.starts_with("beginä") && long.ends_with("äend (201 characters)"), "{long}");
        assert_eq!(long.chars().count(), 100 + 3 + 50 + " (201 characters)".len());
        // Each control character becomes several characters.
        let controls = shown(&"\u{202e}".repeat(1 << 20)).into_owned();
        assert!(controls.len() < 2000 && controls.ends_with(" (1048576 characters)"), "{controls}");
        let problem = format!("tensor {} unknown", "n".repeat(1 << 20));
        let problem = shown_problem(&problem);
        assert!(problem.len() < 4000 && problem.starts_with("tensor n") && problem.contains("n unknown ("));
    }
}
