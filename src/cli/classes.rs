//! The list of classes that `--classes` names.

use std::fmt;

use occlude::network::CLASSES;
use occlude::{Classification, labels};

/// One `--classes`, each item still as it was given: which classes are the most probable is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes(Vec<Item>);

impl fmt::Display for Classes {
    /// So that [`parse`] reads the same again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match item {
                Item::Top(count) => write!(f, "top{count}")?,
                Item::Index(index) => write!(f, "{index}")?,
            }
        }
        Ok(())
    }
}

impl Classes {
    /// Classes that are known already.
    pub fn of(classes: Vec<usize>) -> Classes {
        Classes(classes.into_iter().map(Item::Index).collect())
    }
}

/// All names of a class, separated by commas.
pub fn words(class: usize) -> &'static str {
    labels::label(class).map_or("", |label| label.words)
}

/// The first name of a class.
pub fn short(class: usize) -> &'static str {
    labels::label(class).map_or("", |label| label.short())
}

/// No class has more names.
const MOST_NAMES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    /// The so many most probable classes.
    Top(usize),
    /// The class with this index.
    Index(usize),
}

/// Reads a list separated by commas. Names hold commas themselves ("tabby, tabby cat"), so an item is the longest run
/// of parts that names a class.
pub fn parse(text: &str) -> Result<Classes, String> {
    let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut items = Vec::new();
    while !parts.is_empty() {
        let longest = (1..=parts.len().min(MOST_NAMES))
            .rev()
            .find_map(|n| Some((n, item(&parts[..n].join(", ")).ok()?)));
        match longest {
            Some((n, item)) => {
                items.push(item);
                parts.drain(..n);
            }
            None => item(parts[0]).map(drop)?,
        }
    }
    Ok(Classes(items))
}

fn item(text: &str) -> Result<Item, String> {
    if let Some(count) = text.strip_prefix("top").filter(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        let count = count.parse().ok().filter(|count| (1..=CLASSES).contains(count));
        return count.map(Item::Top).ok_or_else(|| format!("expected top1 to top{CLASSES}"));
    }
    labels::find(text).map(Item::Index).map_err(|error| error.to_string())
}

/// The classes of all `--classes`, in the order in which they were given, each once.
pub fn resolve(lists: &[Classes], classification: &Classification) -> Vec<usize> {
    let mut chosen = Vec::new();
    for item in lists.iter().flat_map(|list| &list.0) {
        let classes = match *item {
            Item::Top(count) => classification.top(count),
            Item::Index(index) => vec![index],
        };
        for class in classes {
            if !chosen.contains(&class) {
                chosen.push(class);
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use Item::{Index, Top};

    #[test]
    fn names_may_hold_commas() {
        let items = |text: &str| parse(text).unwrap().0;
        assert_eq!(items("top3"), [Top(3)]);
        assert_eq!(items("285"), [Index(285)]);
        assert_eq!(items("tabby, tabby cat"), [Index(281)]);
        assert_eq!(items("Egyptian cat,tabby,tabby cat,top2, 7"), [Index(285), Index(281), Top(2), Index(7)]);
        assert_eq!(items("tabby,Egyptian cat"), [Index(281), Index(285)]);
    }

    #[test]
    fn a_list_is_written_as_it_can_be_read() {
        let list = parse("Egyptian cat,tabby, tabby cat,top2").unwrap();
        assert_eq!(list.to_string(), "285,281,top2");
        assert_eq!(parse(&list.to_string()), Ok(list));
    }

    #[test]
    fn every_class_is_found_by_all_its_names() {
        for index in 0..CLASSES {
            let words = labels::label(index).unwrap().words;
            assert!(words.split(", ").count() <= MOST_NAMES, "{words}");
            // Two names are shared by two classes each: an error, not the wrong class.
            assert!(parse(words).is_err() || parse(words) == Ok(Classes(vec![Index(index)])), "{words}");
        }
    }

    #[test]
    fn the_wrong_part_is_the_one_that_is_named() {
        let message = |text: &str| parse(text).unwrap_err();
        assert!(message("tabby, egyptain cat").contains("\"egyptain cat\"; did you mean Egyptian cat"));
        assert!(message("top3,1000").contains("class index 1000 is not possible: expected 0 to 999"));
        assert_eq!(message("top0"), "expected top1 to top1000");
        assert_eq!(message("top"), "expected top1 to top1000");
        assert!(message("").contains("no class is called \"\""));
        assert!(message("285,").contains("no class is called \"\""));
    }

    #[test]
    fn each_class_once_in_the_given_order() {
        let mut probabilities = vec![0.0; CLASSES];
        (probabilities[7], probabilities[285]) = (0.6, 0.4);
        let classification = Classification { logits: probabilities.clone(), probabilities };
        let chosen = resolve(&[parse("285,top2").unwrap(), parse("7,3").unwrap()], &classification);
        assert_eq!(chosen, [285, 7, 3]);
    }
}
