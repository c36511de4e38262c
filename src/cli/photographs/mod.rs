//! The photographs that a user names by folders, lists and patterns, and the names of their folders of
//! results. This module does not open photographs.

pub mod boxes;
pub mod labelled;
pub mod named;
mod passed_over;
pub mod work;

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use occlude::text::escaped;
use occlude::{Error, Result};

pub use passed_over::PassedOver;

use crate::cli::output::names::{RECORD, folders, is_summary};
use crate::cli::source;
use passed_over::ending;

/// The extensions of photographs in a folder.
const ENDINGS: [&str; 13] =
    ["png", "apng", "jpg", "jpeg", "jpe", "jif", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff"];

/// The largest size of a list in bytes, enough for millions of paths.
const MAX_LIST: u64 = 1 << 28;
/// The largest length of a path in a list, in bytes. Windows allows the longest paths, 32767
/// characters.
const MAX_PATH: usize = 1 << 17;

/// The file of a photograph, and the name of its folder of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotographFile {
    pub path: PathBuf,
    /// The path in UTF-8, as in the summary. Other bytes are written as `\xff`.
    pub shown: String,
    /// The name of the folder of results.
    pub folder: String,
}

impl PhotographFile {
    /// The text of an error, which begins with the photograph's path if it does not contain it.
    pub fn error_in_words(&self, error: &Error) -> String {
        let (message, shown) = (error.to_string(), escaped(&self.shown));
        if message.contains(&*shown) { message } else { format!("{shown}: {message}") }
    }
}

/// All photographs of the inputs, in the order of their paths in UTF-8, each once, and what was
/// passed over in folders and patterns. The paths in a list need not exist.
///
/// # Errors
/// [`Error::Io`] if an input does not exist or cannot be read; [`Error::Image`] if it is not a
/// valid pattern or gives no photographs.
pub fn photographs(inputs: &[PathBuf], recursive: bool) -> Result<(Vec<PhotographFile>, PassedOver)> {
    let mut found = Found { recursive, paths: Vec::new(), passed_over: PassedOver::default() };
    for input in inputs {
        let before = found.paths.len();
        found.add(input)?;
        if found.paths.len() == before {
            let deeper = if recursive { "" } else { "; --recursive also searches subfolders" };
            let endings = ENDINGS.join(", ");
            let passed_over =
                found.passed_over.in_words().map_or(String::new(), |words| format!("; {words}"));
            return Err(refuse(
                list(input).unwrap_or(input),
                format!(
                    "no photographs found: expected a list of paths, or a folder with files of type \
                     {endings}{deeper}{passed_over}"
                ),
            ));
        }
    }
    let Found { paths, passed_over, .. } = found;
    let mut photographs: Vec<(String, PathBuf)> = paths.into_iter().map(plain).collect();
    photographs.sort();
    let mut seen = HashSet::new();
    photographs.retain(|(_, path)| seen.insert(std::path::absolute(path).unwrap_or_else(|_| path.clone())));
    Ok((with_folders(photographs), passed_over))
}

/// A path in messages and results, and without needless parts: "./a//b" becomes "a/b".
fn plain(path: PathBuf) -> (String, PathBuf) {
    if let Some((address, _)) = source::address(&path) {
        return (address, path);
    }
    // A name that means standard input keeps its "./".
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    let path = if source::is_standard_input(&plain) { path } else { plain };
    let shown = if source::is_standard_input(&path) { source::shown(&path) } else { shown(&path) };
    (shown, path)
}

/// Adds the names of the folders of results.
fn with_folders(photographs: Vec<(String, PathBuf)>) -> Vec<PhotographFile> {
    let folders = folders(photographs.iter().map(|(_, path)| path.as_path()));
    let named = photographs.into_iter().zip(folders);
    named.map(|((shown, path), folder)| PhotographFile { path, shown, folder }).collect()
}

/// The photographs that the inputs have given so far, and the files that were passed over.
struct Found {
    recursive: bool,
    paths: Vec<PathBuf>,
    passed_over: PassedOver,
}

impl Found {
    /// Adds the paths of one input.
    fn add(&mut self, input: &Path) -> Result<()> {
        if let Some(list) = list(input) {
            return add_list(list, &mut self.paths);
        }
        source::refuse_address(input)?;
        let pattern = input.to_str().filter(|text| text.contains(['*', '?', '[']));
        match (fs::metadata(input), pattern) {
            (Ok(metadata), _) if metadata.is_dir() => self.add_folder(input),
            (Err(_), Some(pattern)) => self.add_matches(pattern),
            (Err(source), None) if !source::is_standard_input(input) => Err(unreadable(input)(source)),
            _ => {
                self.paths.push(input.to_path_buf());
                Ok(())
            }
        }
    }

    /// Adds the photographs in a folder, unless it is a folder of results.
    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        if folder.join(RECORD).exists() {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let is_folder = entry.file_type().map_err(unreadable(&path))?.is_dir();
            if is_folder && self.recursive {
                self.add_folder(&path)?;
            } else if !is_folder && !path.is_dir() {
                let is_photograph = ending(&path).is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
                self.add_file(path, is_photograph);
            }
        }
        Ok(())
    }

    /// Adds the matches of a pattern as a shell expands it, without results.
    fn add_matches(&mut self, pattern: &str) -> Result<()> {
        let as_shells = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = glob::glob_with(pattern, as_shells).map_err(|error| {
            refuse(Path::new(pattern), format!("is neither an existing file nor a valid pattern: {error}"))
        })?;
        for found in matches {
            let found =
                found.map_err(|error| unreadable(error.path())(std::io::Error::other(error.to_string())))?;
            if found.is_dir() {
                self.add_folder(&found)?;
            } else if !found.with_file_name(RECORD).exists() {
                self.add_file(found, true);
            }
        }
        Ok(())
    }

    /// Adds a file that was found, not named. Reading a pipe or a device could take for ever. A link
    /// without its file stays: it fails by its name.
    fn add_file(&mut self, path: PathBuf, is_photograph: bool) {
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            self.passed_over.add_stream();
        } else if is_photograph {
            self.paths.push(path);
        } else if !is_summary(&path) {
            self.passed_over.add_file(&path);
        }
    }
}

/// The file with the list that an input names: "@FILE".
fn list(input: &Path) -> Option<&Path> {
    Some(Path::new(input.to_str()?.strip_prefix('@')?))
}

/// Reads a list of any kind; `expected` describes it in the error of one that is too large.
fn read_list(list: &Path, expected: &str) -> Result<Vec<u8>> {
    let bytes = source::read_text(list, MAX_LIST + 1)?;
    if bytes.len() as u64 > MAX_LIST {
        return Err(refuse(list, format!("is larger than {MAX_LIST} bytes: expected {expected}")));
    }
    Ok(bytes)
}

/// Adds the paths of a list, one per line.
fn add_list(list: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let bytes = read_list(list, "a list with one path per line; split it into several lists")?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        refuse(list, format!("line {line} is not UTF-8: expected a list with one path per line"))
    })?;
    for (line, at) in text.trim_start_matches('\u{FEFF}').lines().zip(1..) {
        if line.contains('\0') {
            return Err(refuse(
                list,
                format!("line {at} contains a NUL byte: expected a list with one path per line"),
            ));
        }
        if line.len() > MAX_PATH {
            let length = line.len();
            return Err(refuse(
                list,
                format!("line {at} has {length} bytes: expected a path of at most {MAX_PATH} bytes"),
            ));
        }
        if !line.trim().is_empty() && !line.starts_with('#') {
            paths.push(line.into());
        }
    }
    Ok(())
}

/// The path in UTF-8; other bytes are written as `\xff`.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Io { path: path.to_path_buf(), action: "read", source }
}

fn refuse(path: &Path, problem: String) -> Error {
    Error::Image { name: source::shown(path), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes empty files.
    pub fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        root
    }

    /// The photographs of inputs below `root`, as paths relative to `root`.
    fn listed(root: &Path, inputs: &[&str], recursive: bool) -> Result<Vec<String>> {
        let inputs: Vec<PathBuf> = inputs
            .iter()
            .map(|input| match input.strip_prefix('@') {
                Some(list) => PathBuf::from(format!("@{}", root.join(list).display())),
                None => root.join(input),
            })
            .collect();
        let (photographs, _) = photographs(&inputs, recursive)?;
        let below =
            |file: PhotographFile| file.path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
        Ok(photographs.into_iter().map(below).collect())
    }

    const TREE: [&str; 10] = [
        "b.JPG",
        "a.png",
        "notes.txt",
        ".hidden.png",
        "more/c.tiff",
        "more/deeper/d.WebP",
        ".secret/e.png",
        "results/a/a-cat.png",
        "results/a/occlude-done.json",
        "[x].png",
    ];

    #[test]
    fn a_folder_gives_its_photographs() {
        let root = tree(&TREE);
        assert_eq!(listed(root.path(), &[""], false).unwrap(), ["[x].png", "a.png", "b.JPG"]);
        let all = ["[x].png", "a.png", "b.JPG", "more/c.tiff", "more/deeper/d.WebP"];
        assert_eq!(listed(root.path(), &[""], true).unwrap(), all);
        assert_eq!(
            listed(root.path(), &["more", "more/c.tiff", "b.JPG"], false).unwrap(),
            ["b.JPG", "more/c.tiff"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_taken_from_folders_and_patterns() {
        let root =
            tree(&["a.jfif", "b.JPE", "c.jif", "d.apng", "e.dib", "f.HEIC", "notes.txt", "summary.csv"]);
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("g.png")).unwrap();
        std::os::unix::fs::symlink("a.jfif", root.path().join("h.jpg")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.path().join("i.jpg")).unwrap();
        std::os::unix::fs::symlink("absent", root.path().join("j.jpg")).unwrap();
        let found = |input: &str| {
            let (files, passed_over) = photographs(&[root.path().join(input)], false).unwrap();
            let name = |file: &PhotographFile| file.path.file_name().unwrap().to_str().unwrap().to_string();
            (files.iter().map(name).collect::<Vec<_>>().join(" "), passed_over.in_words().unwrap())
        };
        let pictures = "a.jfif b.JPE c.jif d.apng e.dib h.jpg j.jpg";
        let passed_over = "passed over: 1 heic (pictures in other formats: convert them to PNG or JPEG), \
                           2 pipes, sockets or devices, 1 other file";
        assert_eq!(found(""), (pictures.to_string(), passed_over.to_string()));
        let (files, passed_over) = found("[g-i]*");
        assert_eq!((&*files, &*passed_over), ("h.jpg", "passed over: 2 pipes, sockets or devices"));
        let message = listed(root.path(), &["g*"], false).unwrap_err().to_string();
        assert!(
            message.contains("g*: no photographs found") && message.contains("passed over: 1"),
            "{message}"
        );
    }

    #[test]
    fn addresses_and_standard_input_are_kept_as_they_are() {
        let root = tree(&["a.png"]);
        fs::write(root.path().join("list"), "-\nhttps://example.org/b.jpg\n").unwrap();
        let list = PathBuf::from(format!("@{}", root.path().join("list").display()));
        let (files, _) = photographs(&[list, "-".into()], false).unwrap();
        let files: Vec<_> = files.iter().map(|file| (&*file.shown, &*file.folder)).collect();
        assert_eq!(files, [("https://example.org/b.jpg", "b"), ("standard input", "standard-input")]);
        let message = listed(Path::new(""), &["http://a/b?.jpg"], false).unwrap_err().to_string();
        assert!(message.contains("cannot read http://a/b: it is an address, expected a file"), "{message}");
    }

    #[test]
    fn a_pattern_is_expanded_as_by_a_shell_without_results() {
        let root = tree(&TREE);
        let list = |pattern: &str| listed(root.path(), &[pattern], false).unwrap();
        assert_eq!(list("*.png"), ["[x].png", "a.png"]);
        assert_eq!(list("**/*.png"), ["[x].png", "a.png"]);
        assert_eq!(list("*.txt"), ["notes.txt"]);
        assert_eq!(list("mor?"), ["more/c.tiff"]);
        assert_eq!(list("more/**/*"), ["more/c.tiff", "more/deeper/d.WebP"]);
        // An existing file has precedence over a pattern.
        assert_eq!(list("[x].png"), ["[x].png"]);
        let message = listed(root.path(), &["**x"], false).unwrap_err().to_string();
        assert!(message.contains("**x: is neither an existing file nor a valid pattern"), "{message}");
    }

    #[test]
    fn a_list_has_one_path_per_line() {
        let root = tree(&TREE);
        let path = |name: &str| root.path().join(name).display().to_string();
        let (a, absent) = (path("a.png"), path("absent.png"));
        let list = |text: &[u8]| {
            fs::write(root.path().join("list"), text).unwrap();
            listed(root.path(), &["@list"], false)
        };
        let text = format!("\u{FEFF}# pictures\r\n{a}\r\n\n  \n{absent}\n{a}");
        assert_eq!(list(text.as_bytes()).unwrap(), ["a.png", "absent.png"]);
        assert!(list(b"# nothing\n").unwrap_err().to_string().contains("list: no photographs"));
        assert!(list(b"one\ntwo \xff\n").unwrap_err().to_string().contains("line 2 is not UTF-8"));
        fs::remove_file(root.path().join("list")).unwrap();
        assert!(listed(root.path(), &["@list"], false).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn an_input_without_photographs_is_rejected_by_name() {
        let root = tree(&TREE);
        fs::create_dir(root.path().join("empty")).unwrap();
        for (input, message) in [
            (
                "empty",
                "empty: no photographs found: expected a list of paths, or a folder with files of type png, apng, jpg",
            ),
            ("empty", "--recursive also searches subfolders"),
            ("results", "results: no photographs"),
            ("results/a", "results/a: no photographs"),
            ("*.gif", "*.gif: no photographs"),
            ("absent", "cannot read"),
        ] {
            let found = listed(root.path(), &["a.png", input], false).unwrap_err().to_string();
            assert!(found.contains(message), "{input}: {found}");
        }
    }

    #[test]
    fn different_spellings_of_a_path_are_one_photograph() {
        let here = std::path::absolute("tests/data/chelsea.png").unwrap();
        let inputs = [here, "./tests/data/chelsea.png".into(), "tests/data/./chelsea.png".into()];
        let (listed, _) = photographs(&inputs, false).unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(photographs(&inputs[1..], false).unwrap().0[0].shown, "tests/data/chelsea.png");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf_8_are_escaped() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a/caf\xe9,\xc3\xa9.png"));
        assert_eq!(shown(path), "a/caf\\xe9,\u{e9}.png");
    }
}
