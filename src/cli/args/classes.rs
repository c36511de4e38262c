//! The value of `--classes`.

use std::fmt;

use occlude::{Classification, Error, Labels, Result};

use super::values::EMPTY_NAME;

/// The classes of all `--classes` options. `topK` is resolved to classes when the classification is
/// known.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes(Vec<ClassChoice>);

/// The largest number of classes of a command that draws or searches something for each.
const MOST_CLASSES: usize = 20;

/// # Errors
/// [`Error::Option`] if there are more than 20 classes.
pub fn check_count(classes: &[usize]) -> Result<()> {
    if classes.len() <= MOST_CLASSES {
        return Ok(());
    }
    Err(Error::Option {
        name: "--classes",
        found: format!("with {} classes", classes.len()),
        expected: format!("at most {MOST_CLASSES} classes"),
    })
}

/// The largest number of names of one class; no class of ImageNet has more.
const MOST_NAMES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq)]
enum ClassChoice {
    All,
    /// This number of the most probable classes.
    Top(usize),
    /// The class with this index.
    Index(usize),
}

impl fmt::Display for Classes {
    /// Writes a list that [`Classes::parse`] reads as the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match item {
                ClassChoice::All => write!(f, "all")?,
                ClassChoice::Top(count) => write!(f, "top{count}")?,
                ClassChoice::Index(index) => write!(f, "{index}")?,
            }
        }
        Ok(())
    }
}

impl Classes {
    /// Makes a list of given indices.
    pub fn of(classes: Vec<usize>) -> Classes {
        Classes(classes.into_iter().map(ClassChoice::Index).collect())
    }

    /// Parses lists separated by commas. Names may contain commas ("tabby, tabby cat"), so an item
    /// is the longest sequence of parts that names a class. A comma at the end is ignored.
    ///
    /// # Errors
    /// The errors of [`Labels::find`]; [`Error::Option`] if K in `topK` is 0 or larger than the
    /// number of classes, or if there is nothing between two commas.
    pub fn parse(lists: &[String], labels: &Labels) -> Result<Classes> {
        let (classes, unknown) = Classes::parse_known(lists, labels)?;
        match unknown.first() {
            Some(name) => item(name, labels).map(|_| classes),
            None => Ok(classes),
        }
    }

    /// [`Classes::parse`] for one of several networks: also returns the names that this one does not
    /// have.
    ///
    /// # Errors
    /// As [`Classes::parse`] for items that are no names.
    pub fn parse_known(lists: &[String], labels: &Labels) -> Result<(Classes, Vec<String>)> {
        let (mut items, mut unknown) = (Vec::new(), Vec::new());
        for list in lists {
            let list = list.trim_end();
            let list = list.strip_suffix(',').unwrap_or(list);
            let mut parts: Vec<&str> = list.split(',').map(str::trim).collect();
            if parts.len() > 1 && parts.contains(&"") {
                return Err(Error::Option {
                    name: "--classes",
                    found: format!("\"{list}\""),
                    expected: format!("names separated by commas, but {EMPTY_NAME}"),
                });
            }
            while !parts.is_empty() {
                let longest = (1..=parts.len().min(MOST_NAMES))
                    .rev()
                    .find_map(|n| Some((n, item(&parts[..n].join(", "), labels).ok()?)));
                match longest {
                    Some((n, item)) => {
                        items.push(item);
                        parts.drain(..n);
                    }
                    None => match item(parts[0], labels) {
                        // A number of classes, not a name.
                        Err(error @ Error::Option { name: "--classes", .. }) => return Err(error),
                        _ => unknown.push(parts.remove(0).to_string()),
                    },
                }
            }
        }
        Ok((Classes(items), unknown))
    }

    /// True if no class was named, or the most probable one, as by default.
    pub fn is_default(&self) -> bool {
        self.0.is_empty() || self.0 == [ClassChoice::Top(1)]
    }

    /// The classes in the given order, each once.
    pub fn resolve(&self, classification: &Classification) -> Vec<usize> {
        let mut chosen = Vec::new();
        for item in &self.0 {
            let classes = match *item {
                ClassChoice::All => (0..classification.logits.len()).collect(),
                ClassChoice::Top(count) => classification.top(count),
                ClassChoice::Index(index) => vec![index],
            };
            for class in classes {
                if !chosen.contains(&class) {
                    chosen.push(class);
                }
            }
        }
        chosen
    }
}

fn item(text: &str, labels: &Labels) -> Result<ClassChoice> {
    let word = text.to_ascii_lowercase();
    if word == "all" && labels.find(text).is_err() {
        return Ok(ClassChoice::All);
    }
    if let Some(count) = word.strip_prefix("top").filter(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        let count = count.parse().ok().filter(|count| (1..=labels.count()).contains(count));
        return count.map(ClassChoice::Top).ok_or_else(|| Error::Option {
            name: "--classes",
            found: text.to_string(),
            expected: format!("top1 to top{}", labels.count()),
        });
    }
    labels.find(text).map(ClassChoice::Index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClassChoice::{All, Index, Top};

    fn parse(text: &str) -> Result<Classes> {
        Classes::parse(&[text.to_string()], Labels::imagenet())
    }

    #[test]
    fn names_may_hold_commas() {
        let items = |text: &str| parse(text).unwrap().0;
        assert_eq!(items("top3"), [Top(3)]);
        assert_eq!(items("285"), [Index(285)]);
        assert_eq!(items("TOP3, Top1,"), [Top(3), Top(1)]);
        assert_eq!(items("All"), [All]);
        assert_eq!(
            items("n02123159 tiger cat, n02123045 tabby, tabby cat,7, "),
            [Index(282), Index(281), Index(7)]
        );
        assert_eq!(items("tabby, tabby cat"), [Index(281)]);
        assert_eq!(items("Egyptian cat,tabby,tabby cat,top2, 7"), [Index(285), Index(281), Top(2), Index(7)]);
        assert_eq!(items("tabby,Egyptian cat"), [Index(281), Index(285)]);
    }

    #[test]
    fn a_list_is_written_in_the_syntax_that_is_read() {
        let list = parse("Egyptian cat,tabby, tabby cat,top2,all").unwrap();
        assert_eq!(list.to_string(), "285,281,top2,all");
        assert_eq!(parse(&list.to_string()).unwrap(), list);
    }

    #[test]
    fn every_class_is_found_by_all_its_names() {
        for index in 0..Labels::imagenet().count() {
            let words = Labels::imagenet().words(index);
            assert!(words.split(", ").count() <= MOST_NAMES, "{words}");
            // Two names belong to two classes each. They give an error, not the wrong class.
            assert!(parse(words).is_ok_and(|list| list == Classes::of(vec![index])) || parse(words).is_err());
        }
    }

    #[test]
    fn messages_name_the_wrong_part() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("tabby, egyptain cat").contains("\"egyptain cat\"; did you mean Egyptian cat"));
        assert!(message("top3,1000").contains("class index 1000 is not possible: expected 0 to 999"));
        assert_eq!(message("top0"), "--classes top0 is not possible: expected top1 to top1000");
        assert!(message("top").contains("expected top1 to top1000"));
        assert!(message("").contains("no class is called \"\""));
        let between =
            "is not possible: expected names separated by commas, but a name between commas is empty";
        assert_eq!(message("285,,7"), format!("--classes \"285,,7\" {between}"));
        for nothing in [",,", "285,,", " , 7", "285, ,7", "tabby, tabby cat,,7"] {
            assert!(message(nothing).ends_with(between), "{nothing}");
        }
        let few = Classes::parse(&["top3".to_string()], &Labels::numbered(2)).unwrap_err().to_string();
        assert!(few.contains("expected top1 to top2"), "{few}");
    }

    #[test]
    fn each_class_once_in_the_given_order() {
        let mut logits = vec![0.0; 1000];
        (logits[7], logits[285]) = (0.6, 0.4);
        let classification = Classification::new(logits);
        let lists = ["285,top2", "7,3"].map(str::to_string);
        let chosen = Classes::parse(&lists, Labels::imagenet()).unwrap().resolve(&classification);
        assert_eq!(chosen, [285, 7, 3]);
        let all = parse("3,all").unwrap().resolve(&classification);
        assert_eq!((all.len(), &all[..4]), (1000, &[3, 0, 1, 2][..]));
    }
}
