//! The lock on the target of a download, and the partial file beside it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use occlude::{Error, Result};

use super::{CHUNK, Failure, blame, failed};
use crate::cli::checksum::{Checksum, Hasher};
use crate::cli::output::lock::{FileLock, open_own};

/// Takes the exclusive right of this process to download the target `out`. Creates its folder if
/// needed.
///
/// # Errors
/// [`Error::Io`]; [`Error::Weights`] if another process has the right.
pub fn lock_target(out: &Path) -> Result<FileLock> {
    FileLock::take(&beside(out, "lock"))?.ok_or_else(|| Error::Weights {
        name: out.display().to_string(),
        problem: "another `occlude weights fetch` is downloading this file: wait until it has ended, \
                  or name another file with --out"
            .to_string(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_locked_once() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("w.st");
        let _lock = lock_target(&out).unwrap();
        let second = lock_target(&out).err().expect("refused").to_string();
        assert!(second.contains("another `occlude weights fetch`"), "{second}");
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
