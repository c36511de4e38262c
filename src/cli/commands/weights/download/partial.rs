//! The lock on the target of a download, and the partial file beside it.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use occlude::{Error, Result};

use super::{CHUNK, Failure, blame, failed};
use crate::cli::checksum::{Checksum, Hasher};

/// The exclusive right of this process to write a target file. When it is dropped, it removes the
/// lock file and the folders that it has created, if they are empty.
pub struct TargetLock {
    lock: PathBuf,
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

impl TargetLock {
    /// Locks the target `out`. Creates its folder if needed.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Weights`] if another process has the lock.
    pub fn take(out: &Path) -> Result<TargetLock> {
        let folders = out.ancestors().skip(1);
        let missing = folders.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = MadeFolders(missing.map(Path::to_path_buf).collect());
        if let Some(folder) = made.0.first() {
            fs::create_dir_all(folder).map_err(failed("write to", folder))?;
        }
        let lock = beside(out, "lock");
        loop {
            let file = open_own(&lock)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Weights {
                        name: out.display().to_string(),
                        problem: "another `occlude weights fetch` is downloading this file: wait until it has ended, \
                                  or name another file with --out"
                            .to_string(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &lock)(source)),
            }
            // Another process may have removed the file between opening and locking; then try
            // again.
            let lies = fs::symlink_metadata(&lock);
            if lies.is_ok_and(|lies| file.metadata().is_ok_and(|opened| is_same(&lies, &opened))) {
                return Ok(TargetLock { lock, _locked: file, _made: made });
            }
        }
    }
}

impl Drop for TargetLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

/// The downloaded part of a file, in a file beside the target.
pub struct Partial<'a> {
    path: PathBuf,
    /// The target, for messages.
    place: PathBuf,
    file: File,
    length: u64,
    /// The first bytes.
    pub head: Vec<u8>,
    checksum: Option<&'a Checksum>,
    hasher: Option<Hasher>,
    /// True if the file is kept for a later download.
    kept: bool,
}

impl<'a> Partial<'a> {
    /// Opens the partial file of an earlier download with this checksum, or an empty file.
    ///
    /// The checksum is part of the name, so parts of different files are never combined. Without a
    /// checksum the download starts from the beginning and is not kept.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(out: &Path, checksum: Option<&'a Checksum>) -> Result<Partial<'a>> {
        let path = partial_path(out, checksum);
        let file = open_own(&path)?;
        let mut partial = Partial {
            path,
            place: out.to_path_buf(),
            file,
            length: 0,
            head: Vec::new(),
            checksum,
            hasher: None,
            kept: checksum.is_some(),
        };
        if partial.kept {
            partial.hasher = checksum.map(Checksum::hasher);
            partial.read_again().map_err(failed("read", &partial.place))?;
        } else {
            partial.clear()?;
        }
        Ok(partial)
    }

    fn read_again(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = self.file.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            self.count(&chunk[..count]);
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.head.extend(&bytes[..bytes.len().min(64 - self.head.len())]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(failed("write to", &self.place))?;
        self.count(bytes);
        Ok(())
    }

    pub fn clear(&mut self) -> Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.map_err(failed("write to", &self.place))?;
        self.length = 0;
        self.head.clear();
        self.hasher = self.checksum.map(Checksum::hasher);
        Ok(())
    }

    /// Compares the checksum of the data with the expected one, if that is known.
    pub fn check(&self) -> std::result::Result<(), Failure> {
        let (Some(expected), Some(hasher)) = (self.checksum, &self.hasher) else { return Ok(()) };
        let found = hasher.clone().finish();
        if found.starts_with(expected.digits()) {
            return Ok(());
        }
        Err(blame(format!(
            "the file has checksum {found}, expected {expected}: it is damaged, or it is another file"
        )))
    }

    /// Marks the file for removal, because it is complete or is not the expected file.
    pub fn discard(&mut self) {
        self.kept = false;
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the file, positioned at its start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rewound(&mut self) -> Result<&mut File> {
        self.file.seek(SeekFrom::Start(0)).map_err(failed("read", &self.place))?;
        Ok(&mut self.file)
    }

    /// The addition to an error message if the file is kept.
    pub fn in_words(&self) -> String {
        match self.length {
            0 => String::new(),
            _ if !self.kept => String::new(),
            length => format!("; {length} bytes are kept, run the same command again to continue"),
        }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.kept || self.length == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn partial_path(out: &Path, checksum: Option<&Checksum>) -> PathBuf {
    match checksum {
        Some(checksum) => beside(out, &format!("{:.8}.partial", checksum.digits())),
        None => beside(out, "partial"),
    }
}

/// Removes the partial file of a download that is no longer needed.
pub fn remove_partial(out: &Path, checksum: &Checksum) {
    let _ = fs::remove_file(partial_path(out, Some(checksum)));
}

/// The path of `out` with a further extension.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{ending}"));
    out.with_file_name(name)
}

/// Opens a file for reading and writing, and creates it if needed. Does not follow symbolic links.
fn open_own(path: &Path) -> Result<File> {
    let failed = |source| failed("write to", path)(source);
    let mut options = File::options();
    options.read(true).write(true);
    // Repeated if another process replaces the file between the steps.
    for _ in 0..100 {
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map_err(failed),
        }
        let lies = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lies => lies.map_err(failed)?,
        };
        if !lies.is_file() {
            let what = if lies.is_symlink() { "a symbolic link" } else { "not a regular file" };
            let problem = format!("it is {what}, expected a regular file; remove it");
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(file) if !is_same(&lies, &file.metadata().map_err(failed)?) => {}
            opened => return opened.map_err(failed),
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
    fn a_target_is_locked_once_and_released() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("a/b/w.st");
        let place = TargetLock::take(&out).unwrap();
        let second = TargetLock::take(&out).err().expect("refused").to_string();
        assert!(second.contains("another `occlude weights fetch`"), "{second}");
        drop(place);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // The lock file of a killed process does not lock other processes out.
        let out = root.path().join("w.st");
        fs::write(beside(&out, "lock"), b"").unwrap();
        drop(TargetLock::take(&out).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn parts_of_different_files_are_not_combined() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("w.st");
        let sums = ["a", "b"].map(|digit| Checksum::parse(&digit.repeat(40)).unwrap());
        let mut first = Partial::open(&out, Some(&sums[0])).unwrap();
        first.write(b"one").unwrap();
        drop(first);
        assert_eq!(Partial::open(&out, Some(&sums[1])).unwrap().length(), 0);
        let mut first = Partial::open(&out, Some(&sums[0])).unwrap();
        assert_eq!(first.length(), 3);
        first.write(b"two").unwrap();
        first.discard();
        drop(first);
        // Without a checksum, nothing is kept.
        Partial::open(&out, None).unwrap().write(b"three").unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
