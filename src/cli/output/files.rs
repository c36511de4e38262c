//! Writing the files of a command. Either all files are written or none. The callers give the names
//! and contents.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use occlude::{Error, Result};
use tempfile::TempDir;

use crate::cli::terminal::interrupt::{self, DeferredSignals};

/// The prefix of the names of temporary files and folders.
const STAGING: &str = ".occlude-";

/// A folder that can be written to. It need not exist yet.
pub struct OutputFolder {
    folder: PathBuf,
}

impl OutputFolder {
    /// Checks that files can be created in `folder`, or in the nearest existing folder above it.
    /// Creates nothing, so nothing is left behind if the program ends before
    /// [`OutputFolder::write`].
    ///
    /// # Errors
    /// [`Error::Io`] if `folder` is not a folder or cannot be written to.
    pub fn check(folder: &Path) -> Result<OutputFolder> {
        check_folder(folder, folder)?;
        Ok(OutputFolder { folder: folder.to_path_buf() })
    }

    /// Writes files, each given as (name, contents), to a temporary folder and moves them to their
    /// names. Replaces files of the same names. Returns the paths.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Cancelled`] if the user has interrupted the program. After an error,
    /// existing files are unchanged, and folders created for the files are removed.
    pub fn write(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>> {
        self.write_with(files, None)
    }

    /// Writes files as [`OutputFolder::write`] does, with one more file, (path, contents), at any
    /// path.
    ///
    /// # Errors
    /// The errors of [`OutputFolder::write`].
    pub fn write_with(
        &self,
        files: &[(String, Vec<u8>)],
        apart: Option<(&Path, &[u8])>,
    ) -> Result<Vec<PathBuf>> {
        let _deferred = DeferredSignals::new();
        let inside = files.iter().map(|(name, contents)| (self.folder.join(name), &contents[..]));
        let apart = apart.map(|(path, contents)| (path.to_path_buf(), contents));
        let files: Vec<(PathBuf, &[u8])> = inside.chain(apart).collect();
        // Each folder comes before its parent.
        let missing: Vec<PathBuf> = files
            .iter()
            .flat_map(|(path, _)| folder_of(path).ancestors())
            .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_path_buf)
            .collect();
        let written = write_all(&files);
        if written.is_err() {
            for made in missing {
                // This removes only empty folders: another program may have written to the folder.
                let _ = fs::remove_dir(made);
            }
        }
        written
    }

    /// Writes a file under a temporary name and renames it. Several processes may write different
    /// files to the folder at the same time: the temporary name contains the name of the file. The
    /// temporary file of a killed run is overwritten by the next run.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        let _deferred = DeferredSignals::new();
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let (beside, to) = (self.folder.join(format!("{STAGING}{name}")), self.folder.join(name));
        let written = fs::write(&beside, contents).and_then(|()| fs::rename(&beside, &to));
        written.map_err(|source| {
            let _ = fs::remove_file(&beside);
            failed(&to)(source)
        })?;
        Ok(to)
    }

    /// Removes a file if it exists.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_file(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Creates the folder `name` with exactly these files, each given as (name, contents), in one
    /// step. An existing folder is replaced if it holds only files of these names or of `earlier`.
    ///
    /// # Errors
    /// [`Error::Io`]; also if the folder holds any other file. The folder is then unchanged.
    pub fn write_folder(&self, name: &str, files: &[(String, Vec<u8>)], earlier: &[String]) -> Result<()> {
        let _deferred = DeferredSignals::new();
        let to = self.folder.join(name);
        let held = match fs::read_dir(&to) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(failed(&to))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&to)(error)),
        };
        for entry in held {
            let found = entry.file_name();
            let written = files.iter().map(|(name, _)| name).chain(earlier).any(|name| found == **name);
            if !written || entry.path().is_dir() {
                let problem = format!(
                    "the folder holds {}, which is not a result file of this program; move it away or choose another folder",
                    found.display()
                );
                return Err(failed(&to)(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
            }
        }
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let staging = tempfile::Builder::new().prefix(&format!("{STAGING}{name}-")).tempdir_in(&self.folder);
        let staging = staging.map_err(failed(&self.folder))?;
        // The files are in a subfolder, because other users cannot read the temporary folder
        // itself.
        let (new, old) = (staging.path().join("new"), staging.path().join("old"));
        fs::create_dir(&new).map_err(failed(&to))?;
        for (name, contents) in files {
            fs::write(new.join(name), contents).map_err(failed(&to.join(name)))?;
        }
        if to.exists() {
            fs::rename(&to, &old).map_err(failed(&to))?;
        }
        fs::rename(&new, &to).map_err(|source| {
            let _ = fs::rename(&old, &to);
            failed(&to)(source)
        })
    }

    /// Removes the temporary folders that [`OutputFolder::write_folder`] leaves behind when it is
    /// killed, for the folders for which `is_ours` is true.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_leftovers(&self, is_ours: impl Fn(&str) -> bool) -> Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed(&self.folder))?,
        };
        for entry in entries {
            let path = entry.map_err(failed(&self.folder))?.path();
            let name =
                path.file_name().and_then(|name| name.to_str()?.strip_prefix(STAGING)?.rsplit_once('-'));
            if name.is_some_and(|(name, _)| is_ours(name)) {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }
}

/// Checks that a file outside the output folder can be written, as [`OutputFolder::check`] does for
/// files inside.
///
/// # Errors
/// [`Error::Io`] if `file` is a folder, or if its parent is not a folder or cannot be written to.
pub fn check_apart(file: &Path) -> Result<()> {
    if file.is_dir() || file.file_name().is_none() {
        return Err(is_a_directory(file));
    }
    if file.metadata().is_ok_and(|target| !target.is_file()) {
        return Err(refuse(file, "it is a device or a pipe, expected a regular file"));
    }
    check_folder(folder_of(file), file)
}

/// True if both paths lead to the same file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The error of an output that cannot be written, and the reason.
pub fn refuse(file: &Path, problem: &str) -> Error {
    failed(file)(io::Error::other(problem))
}

/// Writes one file at any path, as [`OutputFolder::write_with`] does.
///
/// # Errors
/// [`Error::Io`].
pub fn write_apart(file: &Path, contents: &[u8]) -> Result<()> {
    OutputFolder::check(folder_of(file))?.write_with(&[], Some((file, contents))).map(drop)
}

/// Checks that files can be created in `folder`. Errors contain the path `named`.
fn check_folder(folder: &Path, named: &Path) -> Result<()> {
    let full = std::path::absolute(folder).map_err(failed(named))?;
    let existing = full.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(&full);
    tempfile::tempfile_in(existing).map_err(failed(named))?;
    Ok(())
}

/// The folder of a file; the current folder for a name without a folder.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_all(files: &[(PathBuf, &[u8])]) -> Result<Vec<PathBuf>> {
    let mut stagings: Vec<(&Path, TempDir)> = Vec::new();
    let mut moves: Vec<(PathBuf, &Path)> = Vec::new();
    for (to, contents) in files {
        interrupt::check()?;
        let folder = folder_of(to);
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let staging = match stagings.iter().position(|(staged, _)| *staged == folder) {
            Some(at) => &stagings[at].1,
            None => {
                // In the same folder, because a move is atomic only within one file system.
                let made = tempfile::Builder::new().prefix(STAGING).tempdir_in(folder);
                stagings.push((folder, made.map_err(failed(folder))?));
                &stagings[stagings.len() - 1].1
            }
        };
        if to.is_dir() {
            return Err(is_a_directory(to));
        }
        let from = staging.path().join(to.file_name().ok_or_else(|| is_a_directory(to))?);
        if from.exists() {
            let twice = io::Error::new(io::ErrorKind::AlreadyExists, "two output files have this name");
            return Err(failed(to)(twice));
        }
        fs::write(&from, contents).map_err(failed(to))?;
        moves.push((from, to));
    }
    for (from, to) in &moves {
        fs::rename(from, to).map_err(failed(to))?;
    }
    Ok(moves.into_iter().map(|(_, to)| to.to_path_buf()).collect())
}

fn is_a_directory(path: &Path) -> Error {
    failed(path)(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"))
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
        let output = OutputFolder::check(&folder).unwrap();
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
        assert_eq!(output.write(&files(&["x", "y"])).unwrap(), [folder.join("x"), folder.join("y")]);
        assert_eq!(fs::read(folder.join("y")).unwrap(), b"y");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn a_failure_leaves_existing_files_unchanged() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("x"), b"old").unwrap();
        fs::create_dir(root.path().join("y")).unwrap();
        let output = OutputFolder::check(root.path()).unwrap();
        assert!(output.write(&files(&["x", "y"])).unwrap_err().to_string().contains("it is a directory"));
        assert_eq!(fs::read(root.path().join("x")).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn folders_made_for_a_failed_write_are_gone() {
        let root = tempfile::tempdir().unwrap();
        let output = OutputFolder::check(&root.path().join("a/b")).unwrap();
        // The name is not valid.
        assert!(output.write(&files(&["x", "no/such\0folder"])).is_err());
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_folder_is_replaced_unless_it_holds_other_files() {
        let root = tempfile::tempdir().unwrap();
        let output = OutputFolder::check(root.path()).unwrap();
        let folder = root.path().join("cat");
        let names = || {
            let entries = fs::read_dir(&folder).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        output.write_folder("cat", &files(&["x", "y"]), &[]).unwrap();
        assert_eq!(names(), ["x", "y"]);
        output.write_folder("cat", &files(&["y", "z"]), &["x".to_string()]).unwrap();
        assert_eq!(names(), ["y", "z"]);

        fs::write(folder.join("notes"), b"mine").unwrap();
        fs::write(folder.join("y"), b"old").unwrap();
        let error =
            output.write_folder("cat", &files(&["y", "z"]), &["x".to_string()]).unwrap_err().to_string();
        assert!(error.contains("cat: the folder holds notes, which is not a result file"), "{error}");
        assert_eq!(names(), ["notes", "y", "z"]);
        assert_eq!(fs::read(folder.join("y")).unwrap(), b"old");

        fs::write(root.path().join("dog"), b"a file").unwrap();
        assert!(output.write_folder("dog", &files(&["x"]), &[]).is_err());
        assert_eq!(fs::read(root.path().join("dog")).unwrap(), b"a file");
        // The name is not valid. Nothing is left behind.
        assert!(output.write_folder("bird", &files(&["no/such\0folder"]), &[]).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn only_own_leftovers_are_removed() {
        let root = tempfile::tempdir().unwrap();
        for name in [".occlude-a-cat-AbC123/new", ".occlude-dog-AbC123", ".occlude-xyz", "a-cat"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        OutputFolder::check(root.path()).unwrap().remove_leftovers(|name| name == "a-cat").unwrap();
        assert!(!root.path().join(".occlude-a-cat-AbC123").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
        OutputFolder::check(&root.path().join("absent")).unwrap().remove_leftovers(|_| true).unwrap();
    }

    #[test]
    fn a_file_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let output = OutputFolder::check(&root.path().join("a")).unwrap();
        output.write_file("x", b"old").unwrap();
        assert_eq!(output.write_file("x", b"new").unwrap(), root.path().join("a/x"));
        assert_eq!(fs::read(root.path().join("a/x")).unwrap(), b"new");
        fs::create_dir_all(root.path().join("a/y")).unwrap();
        assert!(output.write_file("y", b"new").is_err());
        assert_eq!(fs::read_dir(root.path().join("a")).unwrap().count(), 2);
    }

    #[test]
    fn a_file_apart_is_written_with_the_others_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let (folder, file) = (root.path().join("a"), root.path().join("b/c/page"));
        let output = OutputFolder::check(&folder).unwrap();
        check_apart(&file).unwrap();
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
        assert!(output.write_with(&files(&["no\0name"]), Some((&file, b""))).is_err());
        assert!(output.write_with(&files(&["x"]), Some((&root.path().join("b/no\0name"), b""))).is_err());
        assert!(
            output.write_with(&files(&["x"]), Some((&folder.join("x"), b""))).is_err(),
            "the same file twice"
        );
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
        let written = output.write_with(&files(&["x"]), Some((&file, b"page"))).unwrap();
        assert_eq!(written, [folder.join("x"), file.clone()]);
        assert_eq!(fs::read(&file).unwrap(), b"page");
        assert_eq!(fs::read_dir(root.path().join("b/c")).unwrap().count(), 1);
        // A file in the output folder itself, and a folder with the name of the file.
        let beside = folder.join("page");
        output.write_with(&files(&["x"]), Some((&beside, b"page"))).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert!(check_apart(&folder).is_err() && check_apart(&file.join("below")).is_err());
    }

    #[test]
    fn a_path_that_is_not_a_folder_is_rejected() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        for folder in [file.clone(), file.join("below")] {
            let error = OutputFolder::check(&folder).err().expect("refused").to_string();
            assert!(error.contains(&folder.display().to_string()), "{error}");
        }
    }
}
