//! Photographs of known classes: a folder with a subfolder for each class, or a list.

use std::collections::BTreeMap;
use std::fs;
use std::iter::repeat_n;
use std::path::{Path, PathBuf};

use occlude::{Error, Labels, Result};

use super::{Found, PassedOver, PhotographFile, plain, read_list, refuse, unreadable, with_folders};
use crate::cli::output::files;
use crate::cli::source;

/// The form of the input, in messages.
const EXPECTED: &str =
    "expected a folder with a subfolder of photographs for each class, or a list with lines path,class";

/// The longest name of a class, in bytes.
const LONGEST_NAME: usize = 200;

/// Photographs and the names of their classes.
pub struct LabelledPhotographs {
    /// The names, in ascending order, each once. A folder without photographs is a class, too.
    pub classes: Vec<String>,
    /// The photographs in the order of their classes, then of their paths, each with the index of its
    /// class in `classes`.
    pub photographs: Vec<(PhotographFile, usize)>,
    pub passed_over: PassedOver,
}

/// The photographs of `input`: a folder, of which each subfolder has the name and the photographs of a
/// class, at any depth; or a list, a CSV file with the columns path and class, whose paths are relative
/// to the current folder.
///
/// # Errors
/// [`Error::Io`] if something cannot be read; [`Error::Image`] if there is no class or no photograph, or
/// if a line or a name is not valid.
pub fn labelled(input: &Path) -> Result<LabelledPhotographs> {
    source::refuse_address(input)?;
    let mut passed_over = PassedOver::default();
    let is_folder =
        !source::is_standard_input(input) && fs::metadata(input).map_err(unreadable(input))?.is_dir();
    let by_class = if is_folder {
        subfolders(input, &mut passed_over)?
    } else {
        list(&read_list(input, "a list with lines path,class")?, input)?
    };
    let classes: Vec<String> = by_class.keys().cloned().collect();
    let (mut paths, mut of) = (Vec::new(), Vec::new());
    for (class, found) in by_class.into_values().enumerate() {
        of.extend(repeat_n(class, found.len()));
        paths.extend(found.into_iter().map(plain));
    }
    if paths.is_empty() {
        let words = passed_over.in_words().map_or(String::new(), |words| format!("; {words}"));
        return Err(refuse(input, format!("no photographs found: {EXPECTED}{words}")));
    }
    let photographs = with_folders(paths).into_iter().zip(of).collect();
    Ok(LabelledPhotographs { classes, photographs, passed_over })
}

/// Refuses an output inside the folder of photographs, where the next run would take it for a class.
///
/// # Errors
/// [`Error::Io`].
pub fn refuse_inside(photographs: &Path, out: &Path) -> Result<()> {
    // Of an output that does not exist yet, the nearest folder that does decides.
    let place = std::path::absolute(out).map_err(unreadable(out))?;
    let place = place.ancestors().find_map(|part| part.canonicalize().ok());
    let (Ok(folder), Some(place)) = (photographs.canonicalize(), place) else { return Ok(()) };
    if !folder.is_dir() || !place.starts_with(&folder) {
        return Ok(());
    }
    let problem = "it is inside the folder of the photographs, whose subfolders are classes: choose another place with --out";
    Err(files::refuse(out, problem))
}

/// The class of a network that the name of a folder means. Where no class has the name, its underscores
/// are read as spaces.
///
/// # Errors
/// Those of [`Labels::find`].
pub fn class_named(labels: &Labels, name: &str) -> Result<usize> {
    labels.find(name).or_else(|error| labels.find(&name.replace('_', " ")).map_err(|_| error))
}

/// The most names in a message.
const MOST_NAMED: usize = 10;

/// [`class_named`] for each of several names, which `input` has; `network` is in words.
///
/// # Errors
/// [`Error::Labels`], which tells what the network does not have.
pub fn classes_named(input: &str, names: &[String], labels: &Labels, network: &str) -> Result<Vec<usize>> {
    let known: Vec<Result<usize>> = names.iter().map(|name| class_named(labels, name)).collect();
    let problems = known.iter().filter_map(|found| Some(found.as_ref().err()?.to_string()));
    let problems: Vec<String> = problems.collect();
    if problems.is_empty() {
        return known.into_iter().collect();
    }
    let problem = format!("{}; expected names of classes of {network}", some_of(&problems));
    Err(Error::Labels { name: input.to_string(), problem })
}

/// The first problems of a list, and the number of the others.
pub fn some_of(problems: &[String]) -> String {
    let named = problems[..problems.len().min(MOST_NAMED)].join("; ");
    match problems.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

/// The photographs by the name of their class.
type ByClass = BTreeMap<String, Vec<PathBuf>>;

fn subfolders(input: &Path, passed_over: &mut PassedOver) -> Result<ByClass> {
    let mut by_class = ByClass::new();
    for entry in fs::read_dir(input).map_err(unreadable(input))? {
        let entry = entry.map_err(unreadable(input))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder may be a class.
        if !path.is_dir() {
            passed_over.add_file(&path);
            continue;
        }
        let name = entry.file_name().into_string().map_err(|_| {
            refuse(&path, "has a name that is not UTF-8, expected the name of a class".to_string())
        })?;
        check_name(&name).map_err(|problem| refuse(&path, problem))?;
        let mut found =
            Found { recursive: true, paths: Vec::new(), passed_over: std::mem::take(passed_over) };
        found.add_folder(&path)?;
        *passed_over = found.passed_over;
        found.paths.sort();
        by_class.insert(name.trim().to_string(), found.paths);
    }
    if by_class.is_empty() {
        return Err(refuse(input, format!("no classes found: {EXPECTED}")));
    }
    Ok(by_class)
}

fn list(text: &[u8], name: &Path) -> Result<ByClass> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut by_class = ByClass::new();
    // The columns of the path and of the class; a header may name others, too.
    let (mut columns, mut has_header) = ([0, 1], false);
    for (line, at) in text.split(|byte| *byte == b'\n').zip(1..) {
        if line.starts_with(b"#") {
            continue;
        }
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).trim(csv::Trim::All);
        let Some(record) = reader.from_reader(line).into_records().next() else { continue };
        let refuse = |problem: &str| refuse(name, format!("line {at} {problem}: {EXPECTED}"));
        let record = record.map_err(|_| refuse("is not text in UTF-8"))?;
        if at == 1 {
            let column = |name: &str| record.iter().position(|field| field.eq_ignore_ascii_case(name));
            if let (Some(path), Some(class)) = (column("path"), column("class")) {
                (columns, has_header) = ([path, class], true);
                continue;
            }
        }
        let [path, class] = columns.map(|column| record.get(column).unwrap_or_default());
        if (!has_header && record.len() != 2) || path.is_empty() || path.contains('\0') {
            return Err(refuse("is not a path and a class"));
        }
        check_name(class).map_err(|problem| refuse(&problem))?;
        by_class.entry(class.to_string()).or_default().push(path.into());
    }
    for paths in by_class.values_mut() {
        paths.sort();
        paths.dedup();
    }
    Ok(by_class)
}

/// Checks the name of a class, which is a line of a list of labels.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let name = name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "has a class name that is empty, longer than {LONGEST_NAME} bytes or has control characters"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    /// The photographs as "class: path", where paths are relative to the root.
    fn listed(root: &Path, input: &str) -> std::result::Result<Vec<String>, String> {
        let found = labelled(&root.join(input)).map_err(|error| error.to_string())?;
        let of = |(file, class): &(PhotographFile, usize)| {
            let path = file.path.strip_prefix(root).unwrap_or(&file.path);
            format!("{}: {}", found.classes[*class], path.display())
        };
        Ok(found.photographs.iter().map(of).collect())
    }

    #[test]
    fn subfolders_are_classes() {
        let root = tree(&[
            "a/two.png",
            "a/deep/one.jpg",
            "b, bee/x.webp",
            ".hidden/h.png",
            "notes.txt",
            "a/readme.md",
        ]);
        let found = labelled(root.path()).unwrap();
        assert_eq!(found.classes, ["a", "b, bee"]);
        assert_eq!(
            listed(root.path(), "").unwrap(),
            ["a: a/deep/one.jpg", "a: a/two.png", "b, bee: b, bee/x.webp"]
        );
        assert_eq!(found.passed_over.in_words().unwrap(), "passed over: 2 other files");
        let root = tree(&["photo.png"]);
        let message = listed(root.path(), "").unwrap_err();
        assert!(message.contains("no classes found: expected a folder with a subfolder"), "{message}");
        let root = tree(&["empty/notes.txt"]);
        let message = listed(root.path(), "").unwrap_err();
        assert!(
            message.contains("no photographs found") && message.contains("passed over: 1 other file"),
            "{message}"
        );
        assert!(listed(root.path(), "absent").unwrap_err().contains("cannot read"));
    }

    #[test]
    fn underscores_are_spaces_where_no_class_has_them() {
        let labels = Labels::parse("names", b"big cat\nsnake_case").unwrap();
        let found =
            ["big_cat", "big cat", "snake_case", "Big_Cat", "1"].map(|name| class_named(&labels, name).ok());
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(0), Some(1)]);
        let error = class_named(&labels, "big_dog").unwrap_err().to_string();
        assert!(error.contains("\"big_dog\""), "{error}");
    }

    #[test]
    fn a_list_has_paths_and_classes() {
        let root = tree(&[]);
        let list = |text: &str| {
            fs::write(root.path().join("list.csv"), text).unwrap();
            listed(root.path(), "list.csv")
        };
        let lines = ["b: x.png", "poodle, toy: y.png", "poodle, toy: z, 1.png"];
        for text in [
            "path,class\ny.png,\"poodle, toy\"\n# comment\n\n\"z, 1.png\",\"poodle, toy\"\nx.png,b\nx.png,b\n",
            "Class,fold,path\nb,1,x.png\n\"poodle, toy\",2,\"z, 1.png\"\n\"poodle, toy\",2,y.png\n",
            "\u{FEFF}x.png , b\r\n\"z, 1.png\",\"poodle, toy\"\r\ny.png,\"poodle, toy\"\r\n",
        ] {
            assert_eq!(list(text).unwrap(), lines);
        }
        for (text, message) in [
            ("x.png\n", "line 1 is not a path and a class"),
            ("x.png,a\n\ny.png,a,b\n", "line 3 is not a path and a class"),
            (",a\n", "line 1 is not a path and a class"),
            ("x.png,\n", "line 1 has a class name that is empty"),
            ("", "no photographs found"),
        ] {
            let found = list(text).unwrap_err();
            assert!(found.contains(message), "{text:?}: {found}");
        }
        fs::write(root.path().join("list.csv"), b"x.png,a\ny\xff.png,a\n").unwrap();
        let found = listed(root.path(), "list.csv").unwrap_err();
        assert!(found.contains("line 2 is not text in UTF-8"), "{found}");
    }
}
