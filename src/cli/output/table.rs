//! The list of the most probable classes, scores and boxes as text, printed by several commands.

use std::fmt::Write;

use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::{Classification, Error, Labels, OcclusionMaps, Result, Score};

/// Number of classes in the list, unless the user gives another number.
pub const LISTED: usize = 5;

/// The number of classes in the list of a network of `classes` classes, if the user has asked for `top`.
///
/// # Errors
/// [`Error::Option`] if the network has fewer.
pub fn count(top: Option<usize>, classes: usize) -> Result<usize> {
    match top {
        Some(top) if top > classes => Err(Error::Option {
            name: "--top",
            found: top.to_string(),
            expected: format!("at most {classes}, the number of classes of the network"),
        }),
        top => Ok(top.unwrap_or(LISTED.min(classes))),
    }
}

/// A number of things with their name, which takes an "s" unless there is one of them.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One line per class: probability, index, names.
pub fn table(classification: &Classification, classes: &[usize], labels: &Labels) -> String {
    let mut text = String::new();
    for &class in classes {
        let words = shown(labels.words(class));
        let probability = classification.probabilities[class];
        writeln!(text, "{probability:.4}  {class:>3}  {words}").expect("writing to a string");
    }
    text
}

/// A score with four decimals; a tiny one that is not 0 with an exponent.
pub fn score(value: f32) -> String {
    let text = format!("{value:.4}");
    if value != 0.0 && !text.contains(|c| matches!(c, '1'..='9')) { format!("{value:.1e}") } else { text }
}

/// The drop of a score, like [`score`], with its sign.
pub fn drop(value: f32) -> String {
    let sign = if value.is_sign_negative() { "" } else { "+" };
    format!("{sign}{}", score(value))
}

/// The strongest evidence for and against the `k`-th class, in two lines.
pub fn strongest(maps: &OcclusionMaps, k: usize) -> [String; 2] {
    let map = maps.map(k);
    let under = |[row, column]: [usize; 2]| {
        let [y, x] = maps.centre(row, column);
        let place = match (&maps.segments, maps.inverse) {
            (Some(segments), _) => {
                let Rect { y0, x0, y1, x1 } = segments.bounds(column);
                let [number, shown] =
                    [segments.numbers()[column].to_string(), box_in_cell(Rect { y0, x0, y1, x1 })];
                format!("{} part {number}, {shown}", if maps.inverse { "with only" } else { "without" })
            }
            (None, true) => format!("with only the mask at x {x}, y {y}"),
            (None, false) => format!("with the mask at x {x}, y {y}"),
        };
        format!("{} {place}", drop(map.get(row, column)))
    };
    let [strongest_for, strongest_against, none_for, none_against] = match maps.score {
        Score::Entropy if maps.inverse => ["largest rise", "largest fall", "no rise", "no fall"],
        Score::Entropy => ["largest fall", "largest rise", "no fall", "no rise"],
        Score::Group { .. } => [
            "strongest evidence for    ",
            "strongest evidence against",
            "no evidence for the group",
            "no evidence against the group",
        ],
        _ => [
            "strongest evidence for    ",
            "strongest evidence against",
            "no evidence for the class",
            "no evidence against the class",
        ],
    };
    let largest = match map.max() > 0.0 {
        true => format!("{strongest_for}  {}", under(map.max_position())),
        false => format!("{none_for} at any position"),
    };
    let least = match map.min() < 0.0 {
        true => format!("{strongest_against}  {}", under(map.min_position())),
        false => format!("{none_against} at any position"),
    };
    [largest, least]
}

/// A box of pixels in words, which leave no doubt about its last row and column.
pub fn box_in_words(Rect { y0, x0, y1, x1 }: Rect) -> String {
    format!("{} pixels wide and {} high, from x {x0} and y {y0} on", x1 - x0, y1 - y0)
}

/// The same, width first, for a cell of a table.
pub fn box_in_cell(Rect { y0, x0, y1, x1 }: Rect) -> String {
    format!("{}x{} from x {x0}, y {y0}", x1 - x0, y1 - y0)
}

/// A text of a figure with the minus sign of the terminal.
pub fn ascii(text: &str) -> String {
    text.replace('−', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_values_keep_a_digit() {
        assert_eq!([0.5743, 0.000_06, 0.000_049, 0.0].map(score), ["0.5743", "0.0001", "4.9e-5", "0.0000"]);
        assert_eq!([0.2082, -1.6e-7, 1.6e-7].map(drop), ["+0.2082", "-1.6e-7", "+1.6e-7"]);
        assert_eq!(ascii("at most 2.0e−7"), "at most 2.0e-7");
    }
}
