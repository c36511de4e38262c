//! Locks between processes. The system releases a lock when its process ends, however it ends.

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use occlude::{Error, Result};

/// A locked file. When it is dropped, it removes the file, and the folders that were created for it
/// if they are empty.
pub struct FileLock {
    path: PathBuf,
    /// Closing this file after its removal unlocks it.
    _locked: File,
    _made: MadeFolders,
}

/// Created folders, each before its parent.
struct MadeFolders(Vec<PathBuf>);

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // This removes only empty folders.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl FileLock {
    /// Creates and locks a file, and its folder if needed. Returns `None` if another process has the
    /// lock.
    ///
    /// # Errors
    /// [`Error::Io`]; its action is "lock" if the file system has no locks.
    pub fn take(path: &Path) -> Result<Option<FileLock>> {
        let folders = path.ancestors().skip(1);
        let missing = folders.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = MadeFolders(missing.map(Path::to_path_buf).collect());
        if let Some(folder) = made.0.first() {
            fs::create_dir_all(folder).map_err(failed("write to", folder))?;
        }
        loop {
            let file = open_own(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => {
                    let _ = fs::remove_file(path);
                    return Err(failed("lock", path)(source));
                }
            }
            // Another process may have removed the file between opening and locking; then try
            // again.
            let lies = fs::symlink_metadata(path);
            if lies.is_ok_and(|lies| file.metadata().is_ok_and(|opened| is_same(&lies, &opened))) {
                return Ok(Some(FileLock { path: path.to_path_buf(), _locked: file, _made: made }));
            }
        }
    }

    /// True if another process has locked this file. Removes the file of a process that was killed.
    pub fn is_taken(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Error(_)) => {}
            Ok(()) => {
                let _ = fs::remove_file(path);
            }
        }
        false
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { path: path.to_path_buf(), action, source }
}

/// Opens a file for reading and writing, and creates it if needed. Does not follow symbolic links.
pub fn open_own(path: &Path) -> Result<File> {
    let failed = failed("write to", path);
    let mut options = File::options();
    options.read(true).write(true);
    // Repeated if another process replaces the file between the steps.
    for _ in 0..100 {
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map_err(&failed),
        }
        let lies = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lies => lies.map_err(&failed)?,
        };
        if !lies.is_file() {
            let what = if lies.is_symlink() { "a symbolic link" } else { "not a regular file" };
            let problem = format!("it is {what}, expected a regular file; remove it");
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(file) if !is_same(&lies, &file.metadata().map_err(&failed)?) => {}
            opened => return opened.map_err(&failed),
        }
    }
    Err(failed(io::Error::other("other programs keep replacing it; try again")))
}

/// True if both are the same file according to the system.
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.file_type() == b.file_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_locked_once_and_released() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/lock");
        let lock = FileLock::take(&path).unwrap().expect("free");
        assert!(FileLock::take(&path).unwrap().is_none() && FileLock::is_taken(&path));
        drop(lock);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // The file of a killed process does not lock others out.
        let path = root.path().join("lock");
        fs::write(&path, b"").unwrap();
        assert!(FileLock::take(&path).unwrap().is_some());
        fs::write(&path, b"").unwrap();
        assert!(!FileLock::is_taken(&path));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
