//! The words of a report that depend on what is covered at a position of the sweep: a mask, a part of the
//! picture, or everything except one of them.

use occlude::{OcclusionMaps, Score};
use serde::Serialize;

/// The words for one way of covering the picture. The script of the page has those that are serialized.
#[derive(Serialize)]
pub struct Words {
    /// A sentence about the way in which the map was made.
    #[serde(skip)]
    pub done: &'static str,
    /// The cause of the changes of the score.
    #[serde(skip)]
    pub cause: &'static str,
    /// The heading of the numbers of a position.
    #[serde(skip)]
    pub heading: &'static str,
    /// The facts about a position: the id of the element, the name.
    #[serde(skip)]
    pub place: &'static [(&'static str, &'static str)],
    /// The thing that covers the picture, or that is not covered.
    pub mask: &'static str,
    /// Several of the places that a map has one value for each.
    pub positions: &'static str,
    /// The difference of two scores that a map shows.
    pub change: &'static str,
    /// The columns of the scores: the two of the difference, and the difference.
    pub columns: [&'static str; 3],
    /// The effects of a part with a positive value, and with a negative one.
    pub effects: [&'static str; 2],
    /// The names of a part with a positive value and of one with a negative value.
    pub evidence: [String; 2],
    /// The names of several such parts, at the ends of the colour bar.
    pub ends: [&'static str; 2],
    /// The name of the map of the most probable classes.
    pub classes: &'static str,
    /// The end of a sentence about the answer: at any position, and at the one that is chosen.
    pub answers: [&'static str; 2],
    /// The reason why there is no choice of upsampling for the most probable classes.
    pub tiles: &'static str,
    /// Help for the mouse and the keyboard.
    pub how: &'static str,
    pub keys: String,
}

impl Words {
    pub fn of(maps: &OcclusionMaps) -> Words {
        const PART: &[(&str, &str)] = &[("part", "Part"), ("size", "Size"), ("covered", "Box")];
        let [rows, columns] = maps.grid;
        let over_grid = |mask: &str| {
            format!(
                "Arrow keys move the {mask} over {rows} rows and {columns} columns, Home and End move it to the ends of a \
                 row, Page Up and Page Down to the ends of a column, Escape removes it."
            )
        };
        let over_parts = || {
            format!(
                "The left and right arrow keys lead to the part with the previous or next of {columns} numbers, Home and End \
                 to the first and the last, Escape to none."
            )
        };
        let (evidence, ends) = evidence(&maps.score);
        match (maps.segments.is_some(), maps.inverse) {
            (false, false) => Words {
                done: "A mask was moved over the picture, and the score was computed at each position.",
                cause: "masks of this size and content",
                heading: "Scores at the mask position",
                place: &[
                    ("row", "Row"),
                    ("column", "Column"),
                    ("centre", "Centre of the mask"),
                    ("covered", "Covered pixels"),
                ],
                mask: "mask",
                positions: "positions",
                change: "drop",
                columns: ["Uncovered", "Masked", "Drop"],
                effects: ["the score falls under the mask", "the score rises under the mask"],
                evidence,
                ends,
                classes: "Most probable class at each position",
                answers: ["with the mask at that position", "with this mask"],
                tiles: "Each position is a tile.",
                how: "To place the mask, point at the map, touch it, or focus it and use the arrow keys. Escape removes \
                      the mask.",
                keys: over_grid("mask"),
            },
            (false, true) => Words {
                done: "Everything except a window was covered, the window was moved over the picture, and the score was \
                       computed at each position. A high value is what the window alone gives, without the rest \
                       of the picture.",
                cause: "windows of this size",
                heading: "Scores with only the window shown",
                place: &[
                    ("row", "Row"),
                    ("column", "Column"),
                    ("centre", "Centre of the window"),
                    ("covered", "Shown pixels"),
                ],
                mask: "window",
                positions: "positions",
                change: "gain",
                columns: ["Nothing shown", "Window shown", "Gain"],
                effects: [
                    "the window alone raises the score above that of a wholly covered picture",
                    "the window alone lowers the score below that of a wholly covered picture",
                ],
                evidence,
                ends,
                classes: "Most probable class with only each window shown",
                answers: ["with only the window at that position shown", "with only this window shown"],
                tiles: "Each position is a tile.",
                how: "To place the window, point at the map, touch it, or focus it and use the arrow keys. The network saw \
                      the window alone; the page covers the rest half, so that the map stays visible. Escape removes the \
                      window.",
                keys: over_grid("window"),
            },
            (true, false) => Words {
                done: "The parts of the picture were covered one after the other, and the score was computed without each.",
                cause: "covering these parts with this content",
                heading: "Scores without the part",
                place: PART,
                mask: "part",
                positions: "parts",
                change: "drop",
                columns: ["Uncovered", "Without", "Drop"],
                effects: ["the score falls without the part", "the score rises without the part"],
                evidence,
                ends,
                classes: "Most probable class without each part",
                answers: ["without that part", "without this part"],
                tiles: "Each part has one value.",
                how: "To cover a part, point at it, touch it, or focus the map and use the left and right arrow keys. \
                      Escape uncovers it.",
                keys: over_parts(),
            },
            (true, true) => Words {
                done: "The parts of the picture were shown one after the other, with everything else covered, and the score \
                       was computed for each. A high value is what the part alone gives, without the rest of \
                       the picture.",
                cause: "these parts",
                heading: "Scores with only the part shown",
                place: PART,
                mask: "part",
                positions: "parts",
                change: "gain",
                columns: ["Nothing shown", "Part shown", "Gain"],
                effects: [
                    "the part alone raises the score above that of a wholly covered picture",
                    "the part alone lowers the score below that of a wholly covered picture",
                ],
                evidence,
                ends,
                classes: "Most probable class with only each part shown",
                answers: ["with only that part shown", "with only this part shown"],
                tiles: "Each part has one value.",
                how: "To show a part alone, point at it, touch it, or focus the map and use the left and right arrow keys. \
                      The network saw the part alone; the page covers the rest half, so that the map stays visible. Escape \
                      shows everything.",
                keys: over_parts(),
            },
        }
    }
}

/// The words for parts with a positive and with a negative value, of one and of several.
fn evidence(score: &Score) -> ([String; 2], [&'static str; 2]) {
    let of = |subject: &str| [format!("evidence for {subject}"), format!("evidence against {subject}")];
    match score {
        Score::Entropy => (
            ["a reason for doubt", "a reason for certainty"].map(String::from),
            ["reasons for doubt", "reasons for certainty"],
        ),
        Score::Group { name, .. } => (of(name), ["evidence for", "evidence against"]),
        _ => (of("the class"), ["evidence for", "evidence against"]),
    }
}
