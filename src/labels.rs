//! The names of the 1000 classes, and the search for one by what a person would type.

use std::sync::LazyLock;

use crate::error::{Error, Result};
use crate::network::CLASSES;

/// One class's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The WordNet id, as in "n02124075".
    pub synset: &'static str,
    /// All its names, separated by ", ": "tabby, tabby cat".
    pub words: &'static str,
}

impl Label {
    /// The first of the names: "tabby".
    pub fn short(&self) -> &'static str {
        self.names().next().unwrap_or(self.words)
    }

    /// Each name by itself.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.words.split(", ")
    }
}

/// In the order of the network's outputs; source: Caffe's `synset_words.txt`.
static LABELS: LazyLock<Vec<Label>> = LazyLock::new(|| {
    let line = |line: &'static str| line.split_once(' ').map(|(synset, words)| Label { synset, words });
    include_str!("../weights/synset_words.txt").lines().filter_map(line).collect()
});

/// The class's name; `None` from 1000 on.
pub fn label(index: usize) -> Option<Label> {
    LABELS.get(index).copied()
}

/// The class that a text names: its index, its WordNet id, one of its names, or all of them as in
/// [`Label::words`]. Letter case and surrounding space do not matter.
///
/// # Errors
/// [`Error::UnknownClass`] with the nearest names when there is no such name, [`Error::Option`] for an index from
/// 1000 on and for a name that two classes have ("crane" is a bird and a machine).
pub fn find(text: &str) -> Result<usize> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|&index| index < CLASSES).ok_or_else(|| Error::Option {
            name: "class index",
            found: text.to_string(),
            expected: format!("0 to {}", CLASSES - 1),
        });
    }
    let wanted = text.to_lowercase();
    let matching = |accept: &dyn Fn(&Label) -> bool| -> Vec<usize> {
        (0..CLASSES).filter(|&index| accept(&LABELS[index])).collect()
    };
    let mut found = matching(&|label| label.synset == wanted || label.words.to_lowercase() == wanted);
    if found.is_empty() {
        found = matching(&|label| label.names().any(|name| name.to_lowercase() == wanted));
    }
    match found[..] {
        [index] => Ok(index),
        [] => Err(Error::UnknownClass { name: text.to_string(), near: near(&wanted) }),
        _ => Err(Error::Option {
            name: "class name",
            found: format!("\"{text}\""),
            expected: format!(
                "an index, because several classes have this name: {}",
                found.iter().map(|i| format!("{i} ({})", LABELS[*i].synset)).collect::<Vec<_>>().join(", ")
            ),
        }),
    }
}

/// At most three names that resemble `wanted` (lower case), the nearest first.
fn near(wanted: &str) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut ranked: Vec<(usize, usize, &str)> = Vec::new();
    for name in LABELS.iter().flat_map(Label::names) {
        let lower = name.to_lowercase();
        let whole = edit_distance(wanted, &lower);
        // "poddle" is meant for the poodles, too.
        let word = lower.split(' ').map(|word| edit_distance(wanted, word)).min().unwrap_or(whole);
        let edits = whole.min(word);
        // More edits than a third of the letters is another word, unless one holds the other ("retriev").
        let contains = wanted.len() >= 3 && (lower.contains(wanted) || wanted.contains(&lower));
        if contains || edits * 3 <= wanted.chars().count() {
            ranked.push((edits, whole, name));
        }
    }
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(.., name)| name.to_string()).collect()
}

/// Levenshtein distance in characters: insertions, deletions, replacements.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // row[j]: the distance from the part of `a` read so far to b[..j]
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_1000_and_each_is_found_by_all_of_its_text() {
        assert_eq!(LABELS.len(), CLASSES);
        assert_eq!(label(CLASSES), None);
        for index in 0..CLASSES {
            let label = label(index).unwrap();
            assert_eq!(find(label.synset).unwrap(), index);
            assert_eq!(find(&index.to_string()).unwrap(), index);
            match find(label.words) {
                Ok(found) => assert_eq!(found, index),
                Err(error) => assert!(error.to_string().contains(&index.to_string()), "{error}"),
            }
        }
    }

    #[test]
    fn a_name_is_found_in_any_case_and_by_any_of_its_words() {
        assert_eq!(find("Egyptian cat").unwrap(), 285);
        assert_eq!(find(" EGYPTIAN CAT ").unwrap(), 285);
        assert_eq!(find("tabby cat").unwrap(), 281);
        assert_eq!(find("tabby, tabby cat").unwrap(), 281);
        assert_eq!(label(281).unwrap().short(), "tabby");
    }

    #[test]
    fn an_unknown_name_suggests_near_ones() {
        let near = |text: &str| match find(text) {
            Err(Error::UnknownClass { near, .. }) => near,
            other => panic!("{other:?}"),
        };
        assert_eq!(near("egyptain cat")[0], "Egyptian cat");
        assert_eq!(near("poodle"), ["toy poodle", "standard poodle", "miniature poodle"]);
        assert_eq!(near("poddle")[..2], ["paddle", "toy poodle"]);
        assert_eq!(near("retriev").len(), 3);
        assert_eq!(near("qqqqqqqqqqqq"), Vec::<String>::new());
        assert_eq!(near(""), Vec::<String>::new());
    }

    #[test]
    fn an_index_past_the_last_and_a_shared_name_say_what_would_do() {
        let message = |text: &str| find(text).unwrap_err().to_string();
        assert_eq!(message("1000"), "class index 1000 is not possible: expected 0 to 999");
        assert_eq!(
            message(&"9".repeat(40)),
            format!("class index {} is not possible: expected 0 to 999", "9".repeat(40))
        );
        assert!(message("crane").contains("134 (n02012849), 517 (n03126707)"), "{}", message("crane"));
    }

    #[test]
    fn edit_distances() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(edit_distance(a, b), distance);
            assert_eq!(edit_distance(b, a), distance);
        }
    }
}
