//! The list of the most probable classes, printed by several commands.

use std::fmt::Write;

use occlude::text::shown;
use occlude::{Classification, Labels};

/// Number of classes in the list, unless the user gives another number.
pub const LISTED: usize = 5;

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
