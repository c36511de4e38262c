//! The most probable classes, a line each, with which what several commands print begins.

use std::fmt::Write;

use occlude::{Classification, Labels};

/// Classes in the lists that the other commands' results begin with.
pub const LISTED: usize = 5;

/// One class a line: probability, index, names.
pub fn table(classification: &Classification, classes: &[usize], labels: &Labels) -> String {
    let mut text = String::new();
    for &class in classes {
        let words = labels.words(class);
        let probability = classification.probabilities[class];
        writeln!(text, "{probability:.4}  {class:>3}  {words}").expect("writing to a string");
    }
    text
}
