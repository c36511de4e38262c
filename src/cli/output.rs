//! Where `occlude explain` puts its files: all of them or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use occlude::{Error, Result};

/// A folder that can be written to, though it need not exist yet.
pub struct Output {
    folder: PathBuf,
}

impl Output {
    /// Tries whether files can be made in `folder`, or in the nearest folder above it that exists. Leaves no trace, so that
    /// whatever ends the program before [`Output::write`] leaves none either.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not a folder or cannot be written to.
    pub fn check(folder: &Path) -> Result<Output> {
        let full = std::path::absolute(folder).map_err(failed(folder))?;
        let existing = full.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(&full);
        tempfile::tempfile_in(existing).map_err(failed(folder))?;
        Ok(Output { folder: folder.to_path_buf() })
    }

    /// Writes (name, contents) of each file beside its place, then moves all of them there. Files of the same name are
    /// replaced. Returns their paths.
    ///
    /// # Errors
    /// [`Error::Io`]; then what was there before is as it was, and folders made for the files are gone.
    pub fn write(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>> {
        let missing: Vec<&Path> = self
            .folder
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        let written = self.write_all(files);
        if written.is_err() {
            for made in missing {
                // Only if empty, which it is unless someone else has put a file there.
                let _ = fs::remove_dir(made);
            }
        }
        written
    }

    fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        // In the same folder, because only within a file system a move replaces a file at one stroke.
        let staging = tempfile::Builder::new().prefix(".occlude-").tempdir_in(&self.folder);
        let staging = staging.map_err(failed(&self.folder))?;
        let mut moves = Vec::new();
        for (name, contents) in files {
            let (from, to) = (staging.path().join(name), self.folder.join(name));
            if to.is_dir() {
                return Err(failed(&to)(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")));
            }
            fs::write(&from, contents).map_err(failed(&to))?;
            moves.push((from, to));
        }
        for (from, to) in &moves {
            fs::rename(from, to).map_err(failed(to))?;
        }
        Ok(moves.into_iter().map(|(_, to)| to).collect())
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source: io::Error| Error::Io { path: path.to_path_buf(), action: "write to", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
        names.iter().map(|name| (name.to_string(), name.as_bytes().to_vec())).collect()
    }

    #[test]
    fn checking_leaves_no_trace_and_writing_makes_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let output = Output::check(&folder).unwrap();
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
        assert_eq!(output.write(&files(&["x", "y"])).unwrap(), [folder.join("x"), folder.join("y")]);
        assert_eq!(fs::read(folder.join("y")).unwrap(), b"y");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("x"), b"old").unwrap();
        fs::create_dir(root.path().join("y")).unwrap();
        let output = Output::check(root.path()).unwrap();
        assert!(output.write(&files(&["x", "y"])).unwrap_err().to_string().contains("it is a directory"));
        assert_eq!(fs::read(root.path().join("x")).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn folders_made_for_a_failed_write_are_gone() {
        let root = tempfile::tempdir().unwrap();
        let output = Output::check(&root.path().join("a/b")).unwrap();
        // A name that no file can have.
        assert!(output.write(&files(&["x", "no/such/folder"])).is_err());
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_is_not_a_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        for folder in [file.clone(), file.join("below")] {
            let error = Output::check(&folder).err().expect("refused").to_string();
            assert!(error.contains(&folder.display().to_string()), "{error}");
        }
    }
}
