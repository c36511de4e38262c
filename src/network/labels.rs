//! The names of the classes, and the search for a class by name (`docs/04-scores.md`). The rest of
//! the library refers to classes by index.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use super::MAX_CLASSES;
use super::suggest::suggest;
use crate::error::{Error, Result};

/// Largest size of a labels file in bytes. ImageNet's labels take 32 kB.
const MAX_BYTES: u64 = 1 << 24;

/// The name of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The WordNet id, for example "n02124075"; empty if the class has none.
    pub synset: String,
    /// All names of the class, separated by ", ": "tabby, tabby cat".
    pub words: String,
}

impl Label {
    /// Parses one line of a labels file: an optional WordNet id, then the names.
    pub(super) fn parse(line: &str) -> Label {
        let is_synset = |word: &str| {
            word.len() == 9 && word.starts_with('n') && word[1..].bytes().all(|b| b.is_ascii_digit())
        };
        let (synset, words) = line.split_once(' ').filter(|(word, _)| is_synset(word)).unwrap_or(("", line));
        Label { synset: synset.to_string(), words: words.trim().to_string() }
    }

    /// The first name: "tabby".
    pub fn short(&self) -> &str {
        self.names().next().unwrap_or(&self.words)
    }

    /// Iterates over the names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.words.split(", ")
    }
}

/// The names of the classes of a network, in the order of its outputs.
///
/// ```
/// use occlude::Labels;
///
/// let labels = Labels::imagenet();
/// assert_eq!(labels.find("egyptian cat")?, 285);
/// assert_eq!(labels.words(281), "tabby, tabby cat");
/// let error = labels.find("egyptain cat").unwrap_err();
/// assert!(error.to_string().contains("did you mean Egyptian cat"));
///
/// let own = Labels::parse("flowers.txt", b"daisy\nrose, roses\n")?;
/// assert_eq!((own.count(), own.short(1)), (2, "rose"));
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    labels: Vec<Label>,
}

/// Source: Caffe's `synset_words.txt`; torchvision has the same order.
static IMAGENET: LazyLock<Labels> = LazyLock::new(|| Labels {
    labels: include_str!("../../weights/synset_words.txt").lines().map(Label::parse).collect(),
});

impl Labels {
    /// The 1000 labels of ImageNet, which the published networks use.
    pub fn imagenet() -> &'static Labels {
        &IMAGENET
    }

    /// The labels "class 0", "class 1" and so on, for a network without known names.
    pub fn numbered(classes: usize) -> Labels {
        let label = |class| Label { synset: String::new(), words: format!("class {class}") };
        Labels { labels: (0..classes).map(label).collect() }
    }

    /// The default labels of a network: ImageNet's if it has 1000 classes, else numbers.
    pub(crate) fn of_classes(classes: usize) -> Labels {
        let imagenet = Labels::imagenet();
        if imagenet.count() == classes { imagenet.clone() } else { Labels::numbered(classes) }
    }

    /// Reads a text file with one line for each class, in the order of the network's outputs. A
    /// line holds the WordNet id of the class, which is optional, and its names, separated by ", ".
    /// Lines end with LF, CR LF or CR. Empty lines at the end are ignored, and so is a byte order mark.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Labels`] if it is not UTF-8, is JSON or a
    /// list of Python, is larger than 16 MB, has no line or more than [`MAX_CLASSES`], or has an empty
    /// line before the last name.
    pub fn open(path: impl AsRef<Path>) -> Result<Labels> {
        let path = path.as_ref();
        Labels::parse(&path.display().to_string(), &read(path)?)
    }

    /// Reads the contents of a labels file; `name` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Labels`] as for [`Labels::open`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Labels> {
        let refuse = |problem: String| Error::labels(name, problem);
        let text = text(name, bytes, "class")?;
        if is_list(text) {
            let problem = "is a list in JSON or Python, expected text with the name of a class in each line, in the \
                           order of their indices; write the names as lines";
            return Err(refuse(problem.to_string()));
        }
        // Old programs of the Macintosh end lines with CR alone.
        let end = if text.contains('\n') { '\n' } else { '\r' };
        let text = text.trim_end();
        let lines = text.split_terminator(end).count();
        if lines > MAX_CLASSES {
            return Err(refuse(format!(
                "has {lines} lines, expected at most {MAX_CLASSES}, one for each class"
            )));
        }
        let labels: Vec<Label> = text.split_terminator(end).map(|line| Label::parse(line.trim())).collect();
        if let Some(at) = labels.iter().position(|label| label.words.is_empty()) {
            return Err(refuse(format!("line {} is empty, expected the name of class {at}", at + 1)));
        }
        if labels.is_empty() {
            return Err(refuse("is empty, expected a line of text for each class".to_string()));
        }
        Ok(Labels { labels })
    }

    /// The labels as text, in the form that [`Labels::parse`] reads.
    pub fn lines(&self) -> String {
        let line = |label: &Label| match label.synset.as_str() {
            "" => label.words.clone(),
            synset => format!("{synset} {}", label.words),
        };
        self.labels.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Number of classes.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Checks that there is a name for each class of a network.
    ///
    /// # Errors
    /// [`Error::Labels`].
    pub(crate) fn check_count(&self, classes: usize) -> Result<()> {
        let found = self.count();
        if found == classes {
            return Ok(());
        }
        let problem = format!("has {found} names, expected one for each of the network's {classes} classes");
        Err(Error::labels("the labels", problem))
    }

    /// The label of a class, or `None` if the index is too large.
    pub fn get(&self, class: usize) -> Option<&Label> {
        self.labels.get(class)
    }

    /// All names of a class, separated by ", "; empty if the index is too large.
    pub fn words(&self, class: usize) -> &str {
        self.get(class).map_or("", |label| &label.words)
    }

    /// The first name of a class; empty if the index is too large.
    pub fn short(&self, class: usize) -> &str {
        self.get(class).map_or("", Label::short)
    }

    /// Finds a class by its index, its WordNet id, one of its names, or all of its names as in
    /// [`Label::words`]. The id may stand before the names: "n02123159 tiger cat". Case and
    /// surrounding spaces are ignored.
    ///
    /// # Errors
    /// [`Error::UnknownClass`], with the most similar names, if no class matches. [`Error::Option`]
    /// if an index is too large, or if several classes have the name ("crane" is a bird and a
    /// machine).
    pub fn find(&self, text: &str) -> Result<usize> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text
                .parse()
                .ok()
                .filter(|&index| index < self.count())
                .ok_or_else(|| Error::option("class index", text, format!("0 to {}", self.count() - 1)));
        }
        let wanted = text.to_lowercase();
        let matching = |accept: &dyn Fn(&Label) -> bool| -> Vec<usize> {
            (0..self.count()).filter(|&index| accept(&self.labels[index])).collect()
        };
        // A WordNet id may stand before the names, as in a labels file: "n02123159 tiger cat".
        let Label { synset, words } = Label::parse(&wanted);
        let is_of = |label: &Label| synset.is_empty() || label.synset == synset;
        let mut found = matching(&|label| {
            label.words.to_lowercase() == words && is_of(label)
                || label.synset == wanted && !wanted.is_empty()
        });
        if found.is_empty() {
            found = matching(&|label| is_of(label) && label.names().any(|name| name.to_lowercase() == words));
        }
        match found[..] {
            [index] => Ok(index),
            [] => Err(Error::UnknownClass {
                name: text.to_string(),
                similar: suggest(&wanted, self.labels.iter().flat_map(Label::names)),
                elsewhere: None,
            }),
            _ => {
                let names: Vec<_> = found.iter().map(|&class| self.numbered_name(class)).collect();
                let expected =
                    format!("an index, because several classes have this name: {}", names.join(", "));
                Err(Error::option("class name", format!("\"{text}\""), expected))
            }
        }
    }

    /// "134 (n02012849)".
    fn numbered_name(&self, class: usize) -> String {
        match self.labels[class].synset.as_str() {
            "" => class.to_string(),
            synset => format!("{class} ({synset})"),
        }
    }
}

/// Reads a text file of at most [`MAX_BYTES`], and one byte more of a larger one.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Error::io(path, "read"))?;
    Ok(bytes)
}

/// The bytes of a file as text with a line for each `item`, without a byte order mark.
///
/// # Errors
/// [`Error::Labels`] if it is larger than [`MAX_BYTES`] or not UTF-8.
pub(super) fn text<'b>(name: &str, bytes: &'b [u8], item: &str) -> Result<&'b str> {
    let refuse = |problem: String| Error::labels(name, problem);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refuse(format!(
            "larger than {MAX_BYTES} bytes, expected a line of text for each {item}"
        )));
    }
    // Windows programs put a byte order mark before the text.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // Without a byte order mark, UTF-16 has zero bytes in most letters.
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") || bytes.contains(&0) {
        let problem = "is text in UTF-16 or UTF-32, or no text, expected UTF-8; save it as UTF-8";
        return Err(refuse(problem.to_string()));
    }
    str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        refuse(format!("line {line} is not UTF-8, expected a line of text for each {item}"))
    })
}

/// True for an array or an object of JSON, and a list or a dictionary of Python.
fn is_list(text: &str) -> bool {
    let mut signs = text.chars().filter(|c| !c.is_whitespace());
    match (signs.next(), signs.next(), signs.next_back()) {
        (Some('['), Some('"' | '\'' | '[' | '{'), Some(']')) => true,
        (Some('{'), Some(second), Some('}')) => second.is_ascii_digit() || matches!(second, '"' | '\''),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::CLASSES;

    fn find(text: &str) -> Result<usize> {
        Labels::imagenet().find(text)
    }

    #[test]
    fn there_are_1000_and_each_is_found_by_all_of_its_text() {
        assert_eq!(Labels::imagenet().count(), CLASSES);
        assert_eq!(Labels::imagenet().get(CLASSES), None);
        for index in 0..CLASSES {
            let label = Labels::imagenet().get(index).unwrap();
            assert_eq!(find(&label.synset).unwrap(), index);
            assert_eq!(find(&index.to_string()).unwrap(), index);
            match find(&label.words) {
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
        assert_eq!(Labels::imagenet().short(281), "tabby");
        assert_eq!(find("n02123159 tiger cat").unwrap(), 282);
        assert_eq!(find("N02123045 tabby, tabby cat").unwrap(), 281);
        assert_eq!(find("n02123045 Tabby Cat").unwrap(), 281);
        // The name is not this class's.
        assert!(matches!(find("n02123045 tiger cat"), Err(Error::UnknownClass { .. })));
        assert_eq!(find("n03126707 crane").unwrap(), 517);
    }

    #[test]
    fn an_unknown_name_suggests_similar_ones() {
        let similar = |text: &str| match find(text) {
            Err(Error::UnknownClass { similar, .. }) => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(similar("egyptain cat")[0], "Egyptian cat");
        assert_eq!(similar("poodle"), ["toy poodle", "standard poodle", "miniature poodle"]);
        assert_eq!(similar("poddle")[..2], ["paddle", "toy poodle"]);
        assert_eq!(similar("retriev").len(), 3);
        assert_eq!(similar("qqqqqqqqqqqq"), Vec::<String>::new());
        assert_eq!(similar(""), Vec::<String>::new());
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
    fn a_file_of_ones_own_has_a_line_for_each_class() {
        let text = "daisy\nn12345678 rose, roses\r\nd\u{e9}j\u{e0} vu\n\n";
        let labels = Labels::parse("f", text.as_bytes()).unwrap();
        assert_eq!((labels.count(), labels.words(1), labels.short(1)), (3, "rose, roses", "rose"));
        assert_eq!((labels.find("N12345678").unwrap(), labels.find("D\u{c9}J\u{c0} VU").unwrap()), (1, 2));
        assert_eq!(labels.find("").unwrap_err().to_string(), "no class is called \"\"");
        assert_eq!(
            labels.find("3").unwrap_err().to_string(),
            "class index 3 is not possible: expected 0 to 2"
        );
        let twice = Labels::parse("f", b"a\nb\na").unwrap();
        assert!(twice.find("a").unwrap_err().to_string().contains("several classes have this name: 0, 2"));
        assert_eq!(Labels::parse("f", b"\xEF\xBB\xBFdaisy\n").unwrap().find("daisy").unwrap(), 0);
        let message = |bytes: &[u8]| Labels::parse("f", bytes).unwrap_err().to_string();
        assert_eq!(message(b"a\n\nb"), "f: line 2 is empty, expected the name of class 1");
        assert_eq!(message(b"a\r\rb"), "f: line 2 is empty, expected the name of class 1");
        let cr = Labels::parse("f", b"daisy\rrose, roses\r").unwrap();
        assert_eq!((cr.count(), cr.words(0), cr.words(1)), (2, "daisy", "rose, roses"));
        assert!(message(b"a\nb\xff").contains("line 2 is not UTF-8"));
        let text = "daisy\nrose\n";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for bytes in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            assert!(message(&bytes).contains("is text in UTF-16 or UTF-32, or no text, expected UTF-8"));
        }
        assert!(message(b"\xFF\xFE\x2A\x4E").contains("is text in UTF-16"));
        for list in [
            "[\"daisy\", \"rose\"]",
            " [\n  'daisy',\n  'rose'\n]\n",
            "{\"0\": \"daisy\"}",
            "{0: 'daisy',\n 1: 'rose'}\n",
            "{\n \"0\": [\"n1\", \"daisy\"]\n}",
            "[{\"name\": \"daisy\"}]",
        ] {
            assert!(
                message(list.as_bytes()).contains("is a list in JSON or Python, expected text"),
                "{list}"
            );
        }
        for names in ["[PAD]\n[UNK]", "{x}", "[", "{", "[]"] {
            assert!(Labels::parse("f", names.as_bytes()).is_ok(), "{names}");
        }
        assert!(message(b"\n \n").contains("is empty"), "{}", message(b"\n \n"));
        assert_eq!(Labels::numbered(3).find("class 2").unwrap(), 2);
    }
}
