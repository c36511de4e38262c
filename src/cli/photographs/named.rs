//! Photographs by the names that other files give them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use occlude::text::shown;

use super::PhotographFile;

/// The photographs of a command, found by their paths or by the ends of their paths.
pub struct ByName {
    /// The absolute path, the path as given, and the index of each photograph, by its file name.
    by_last: HashMap<OsString, Vec<(PathBuf, PathBuf, usize)>>,
}

impl ByName {
    pub fn new(photographs: &[PhotographFile]) -> ByName {
        let mut by_last: HashMap<OsString, Vec<_>> = HashMap::new();
        for (i, file) in photographs.iter().enumerate() {
            let full = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
            let last = full.file_name().unwrap_or_default().to_os_string();
            by_last.entry(last).or_default().push((full, file.path.clone(), i));
        }
        ByName { by_last }
    }

    /// The photograph with this path; or else the one whose path ends with it, by whole parts:
    /// "cats/1.jpg" means "photos/cats/1.jpg". `None` if there is none.
    ///
    /// # Errors
    /// A problem if several photographs have paths that end so.
    pub fn find(&self, name: &Path) -> Result<Option<usize>, String> {
        let plain: PathBuf = name.components().filter(|part| *part != Component::CurDir).collect();
        let Some(found) = plain.file_name().and_then(|last| self.by_last.get(last)) else {
            return Ok(None);
        };
        if let Some((.., i)) = found.iter().find(|(full, path, _)| *path == plain || *full == plain) {
            return Ok(Some(*i));
        }
        let ends: Vec<_> = found.iter().filter(|(full, ..)| full.ends_with(&plain)).collect();
        match ends[..] {
            [] => Ok(None),
            [(.., i)] => Ok(Some(*i)),
            [(_, first, _), (_, second, _), ..] => {
                let [name, first, second] =
                    [name, first, second].map(|path| shown(&path.to_string_lossy()).into_owned());
                Err(format!(
                    "\"{name}\" means several photographs, {first} and {second}: give more of the path"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_are_found_by_the_ends_of_their_paths() {
        let files = ["a.png", "x/a.png", "x/b.png", "y/x/b.png", "/z/c.png"].map(|path| PhotographFile {
            path: path.into(),
            shown: path.to_string(),
            folder: String::new(),
        });
        let names = ByName::new(&files);
        let find = |name: &str| names.find(Path::new(name));
        for (name, expected) in [
            ("a.png", Some(0)),
            ("./a.png", Some(0)),
            ("x/a.png", Some(1)),
            ("x/b.png", Some(2)),
            ("y/x/b.png", Some(3)),
            ("c.png", Some(4)),
            ("/z/c.png", Some(4)),
            ("/c.png", None),
            ("d.png", None),
            ("b", None),
            ("", None),
        ] {
            assert_eq!(find(name), Ok(expected), "{name}");
        }
        let message = find("b.png").unwrap_err();
        assert_eq!(
            message,
            "\"b.png\" means several photographs, x/b.png and y/x/b.png: give more of the path"
        );
        let here = std::path::absolute("x/a.png").unwrap();
        assert_eq!(names.find(&here), Ok(Some(1)));
    }
}
