//! Groups of classes: the nodes of WordNet above a network's classes, or those of a file. A score can
//! follow the probability of a whole group ([`Score::Group`](crate::Score::Group)).

use std::path::Path;

use super::labels::{self, Label, Labels};
use super::suggest::suggest;
use crate::error::{Error, Result};

/// The nodes of WordNet 3.0 that lie above ImageNet's classes, written by
/// `tools/groups.py`.
const WORDNET: &str = include_str!("wordnet.txt");

/// The largest number of groups that an error lists.
const LISTED: usize = 20;

/// The expectation in errors of a file of groups.
const FORM: &str = "a line such as \"pets: tabby, Persian cat, 151-268\" for each group";

/// A named set of classes of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The names of the group, and its WordNet id if it has one.
    pub label: Label,
    /// The classes in it, ascending, each once.
    pub classes: Vec<usize>,
}

/// The groups that the classes of a network belong to.
///
/// ```
/// use occlude::Labels;
/// use occlude::network::groups::Groups;
///
/// let labels = Labels::imagenet();
/// let groups = Groups::wordnet(labels);
/// let dogs = groups.find("dog")?;
/// assert_eq!((dogs.label.synset.as_str(), dogs.classes.len()), ("n02084071", 118));
///
/// let own = Groups::parse("pets.txt", b"pets: tabby, goldfish, 151-268\n", labels)?;
/// assert_eq!(own.find("pets")?.classes.len(), 120);
/// assert!(groups.find("doge").unwrap_err().to_string().contains("did you mean dog"));
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    groups: Vec<Group>,
}

impl Groups {
    /// The nodes of WordNet 3.0 that lie above ImageNet's classes ("dog", "vehicle", "animal"), with the network's classes in each. A class belongs to a node by its WordNet id. A
    /// class without one belongs to the nodes above the ImageNet class or the node that has its name.
    /// Source: the hypernyms in WordNet's database of nouns.
    pub fn wordnet(labels: &Labels) -> Groups {
        let imagenet = Labels::imagenet();
        let mut nodes = Groups::parse("wordnet.txt", WORDNET.as_bytes(), imagenet)
            .expect("a test reads the table")
            .groups;
        if labels != imagenet {
            let meant: Vec<Vec<usize>> =
                (0..labels.count()).map(|class| meant(&nodes, labels.get(class))).collect();
            for node in &mut nodes {
                let is_in = |class: &usize| {
                    !meant[*class].is_empty()
                        && meant[*class].iter().all(|known| node.classes.binary_search(known).is_ok())
                };
                let classes = (0..labels.count()).filter(is_in).collect();
                node.classes = classes;
            }
        }
        Groups { groups: nodes }
    }

    /// Reads a text file with one line for each group: its names, separated by ", ", a colon, and its
    /// classes, separated by commas. A class is an index, a range of indices ("151-268"), a WordNet id
    /// or one of its names. Empty lines and those that begin with # are ignored.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Labels`] as for [`Labels::open`], for a line
    /// of another form, for a class that the network does not have, and for a file without groups.
    pub fn open(path: impl AsRef<Path>, labels: &Labels) -> Result<Groups> {
        let path = path.as_ref();
        Groups::parse(&path.display().to_string(), &labels::read(path)?, labels)
    }

    /// Reads the contents of a file of groups; `name` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Labels`] as for [`Groups::open`].
    pub fn parse(name: &str, bytes: &[u8], labels: &Labels) -> Result<Groups> {
        let mut groups: Vec<Group> = Vec::new();
        for (number, line) in (1..).zip(labels::text(name, bytes, "group")?.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |problem: String| Error::labels(name, format!("line {number} {problem}"));
            let (names, members) = line
                .split_once(':')
                .filter(|(names, _)| !names.trim().is_empty())
                .ok_or_else(|| refuse(format!("has no name and colon, expected {FORM}")))?;
            let label = Label::parse(names.trim());
            if let Some(before) = groups.iter().find(|group| group.label == label) {
                return Err(refuse(format!("repeats the group \"{}\"", before.label.words)));
            }
            if members.trim().is_empty() {
                return Err(refuse(format!("has no class after the colon, expected {FORM}")));
            }
            let mut classes = Vec::new();
            for member in members.split(',').map(str::trim) {
                classes.extend(
                    members_of(member, labels).map_err(|error| refuse(format!("is wrong: {error}")))?,
                );
            }
            classes.sort_unstable();
            classes.dedup();
            groups.push(Group { label, classes });
        }
        if groups.is_empty() {
            return Err(Error::labels(name, format!("has no group, expected {FORM}")));
        }
        Ok(Groups { groups })
    }

    /// All groups, in the order of the table or the file.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// Finds a group by its WordNet id or one of its names. Case and surrounding spaces are ignored. The
    /// first name of a group has precedence over a further name of another.
    ///
    /// # Errors
    /// [`Error::Option`] if there is none, if several have the name, or if no class of the network is
    /// in it.
    pub fn find(&self, text: &str) -> Result<&Group> {
        let wanted = text.trim().to_lowercase();
        let refuse = |expected: String| Error::option("group", format!("\"{}\"", text.trim()), expected);
        let matching = |accept: &dyn Fn(&Label) -> bool| -> Vec<&Group> {
            self.groups.iter().filter(|group| accept(&group.label)).collect()
        };
        let ways: [&dyn Fn(&Label) -> bool; 3] = [
            &|label| label.synset == wanted && !wanted.is_empty() || label.words.to_lowercase() == wanted,
            &|label| label.short().to_lowercase() == wanted,
            &|label| label.names().any(|name| name.to_lowercase() == wanted),
        ];
        let found = ways.iter().map(|way| matching(way)).find(|found| !found.is_empty()).unwrap_or_default();
        match found[..] {
            [group] if group.classes.is_empty() => {
                Err(refuse("a group with at least one of the network's classes; it has none of them".into()))
            }
            [group] => Ok(group),
            [] => {
                let with_classes = self.groups.iter().filter(|group| !group.classes.is_empty());
                let names = suggest(&wanted, with_classes.flat_map(|group| group.label.names()));
                let first = self.groups.iter().take(LISTED).map(|group| group.label.short());
                let first = first.collect::<Vec<_>>().join(", ");
                Err(refuse(match names[..] {
                    [] if self.groups.len() > LISTED => {
                        "the name of a group of classes, such as dog, bird, vehicle or food".to_string()
                    }
                    [] => format!("the name of a group of classes: {first}"),
                    _ => format!("the name of a group of classes; did you mean {}?", names.join(" or ")),
                }))
            }
            _ => {
                let named = |group: &&Group| format!("{} ({})", group.label.synset, group.label.words);
                let ids: Vec<String> = found.iter().map(named).collect();
                Err(refuse(format!(
                    "a WordNet id, because several groups have this name: {}",
                    ids.join(", ")
                )))
            }
        }
    }
}

/// The classes of one item of a line.
fn members_of(member: &str, labels: &Labels) -> Result<std::ops::RangeInclusive<usize>> {
    let is_index = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match member.split_once('-').filter(|(first, last)| is_index(first) && is_index(last)) {
        Some((first, last)) => {
            let (first, last) = (labels.find(first)?, labels.find(last)?);
            if first > last {
                return Err(Error::option("range", member, "the smaller index first"));
            }
            Ok(first..=last)
        }
        None => labels.find(member).map(|class| class..=class),
    }
}

/// The ImageNet classes that a label means: its own by the WordNet id, else those under the node, or the
/// class, that has one of its names. Of several nodes with the name, the one with most classes is meant.
fn meant(nodes: &[Group], label: Option<&Label>) -> Vec<usize> {
    let imagenet = Labels::imagenet();
    let Some(label) = label else { return Vec::new() };
    if !label.synset.is_empty() {
        let node = nodes.iter().find(|node| node.label.synset == label.synset);
        return match node {
            Some(node) => node.classes.clone(),
            None => imagenet.find(&label.synset).into_iter().collect(),
        };
    }
    for name in label.names().map(str::to_lowercase) {
        let named = nodes.iter().filter(|node| node.label.names().any(|known| known.to_lowercase() == name));
        if let Some(node) = named.max_by_key(|node| node.classes.len()) {
            return node.classes.clone();
        }
        if let Ok(class) = imagenet.find(&name) {
            return vec![class];
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_wordnet_hold_classes_by_their_ids_and_names() {
        let imagenet = Groups::wordnet(Labels::imagenet());
        for (name, count) in
            [("dog", 118), ("bird", 59), ("domestic cat", 5), ("n04524313", 67), ("Animal", 398)]
        {
            assert_eq!(imagenet.find(name).unwrap().classes.len(), count, "{name}");
        }
        // "cat" is the first name of one node and a further name of another.
        assert_eq!(imagenet.find("cat").unwrap().classes, Vec::from_iter(281..=287));
        assert!(imagenet.iter().all(|group| !group.classes.is_empty()));

        // Without ids, classes are found by name: a node, a class of ImageNet, and neither.
        let labels = Labels::parse("own", b"dog\ntabby\nmy house\nbird, fowl\n").unwrap();
        let own = Groups::wordnet(&labels);
        assert_eq!(own.find("animal").unwrap().classes, [0, 1, 3]);
        assert_eq!(own.find("canine").unwrap().classes, [0]);
        assert_eq!(own.find("feline").unwrap().classes, [1]);
        let none = own.find("vehicle").unwrap_err().to_string();
        assert!(none.contains("it has none of them"), "{none}");
    }

    #[test]
    fn lines_of_a_file_are_refused_by_number() {
        let parse = |text: &str| Groups::parse("groups.txt", text.as_bytes(), Labels::imagenet());
        let message = |text: &str| parse(text).unwrap_err().to_string();
        let groups = parse("# mine\n\npets, my pets: 281-285, goldfish, n02085620,281\n").unwrap();
        assert_eq!(groups.find("My Pets").unwrap().classes, [1, 151, 281, 282, 283, 284, 285]);
        for (text, problem) in [
            ("", "has no group, expected a line"),
            ("pets: tabby\npets 5", "line 2 has no name and colon"),
            (": tabby", "line 1 has no name and colon"),
            (
                "pets: tabby, egyptain cat",
                "line 1 is wrong: no class is called \"egyptain cat\"; did you mean Egyptian cat",
            ),
            ("pets: 7-1000", "class index 1000 is not possible: expected 0 to 999"),
            ("pets: 9-7", "range 9-7 is not possible: expected the smaller index first"),
            ("pets: ", "line 1 has no class after the colon"),
            ("pets: 1\npets: 2", "line 2 repeats the group \"pets\""),
        ] {
            assert!(message(text).contains(problem), "{text}: {}", message(text));
        }
        let unknown = parse("pets: 1").unwrap().find("dog").unwrap_err().to_string();
        assert_eq!(unknown, "group \"dog\" is not possible: expected the name of a group of classes: pets");
    }
}
