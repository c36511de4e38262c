//! The place of a file that is being downloaded, and the part of it that has come.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use occlude::{Error, Result};

use super::{CHUNK, Failure, blame, failed};
use crate::cli::checksum::{Checksum, Hasher};

/// The place of one file, in the hands of this process alone. Dropped, it is as it was: no lock file, and no folder that was
/// made for a file that has not come.
pub struct TargetLock {
    lock: PathBuf,
    /// Closed, and with that unlocked, after the file is removed.
    _locked: File,
    _made: MadeFolders,
}

/// Folders made, each before the one that it lies in.
struct MadeFolders(Vec<PathBuf>);

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Only if empty.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl TargetLock {
    /// Makes the folder for `out` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Weights`] when another process has the place.
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
                        problem: "another `occlude weights fetch` is downloading it: wait until that has ended, or \
                                  name another file with --out"
                            .to_string(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &lock)(source)),
            }
            // Another process may have removed the file between the two, and then holds none.
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

/// The part of a file that has been downloaded, in a file beside its final place.
pub struct Partial<'a> {
    path: PathBuf,
    /// The name for messages: the partial file may be gone by then.
    place: PathBuf,
    file: File,
    length: u64,
    /// Its first bytes.
    pub head: Vec<u8>,
    checksum: Option<&'a Checksum>,
    hasher: Option<Hasher>,
    /// True if a later download may continue from here.
    kept: bool,
}

impl<'a> Partial<'a> {
    /// Opens what an earlier download left of a file with this checksum, or an empty file. Without a checksum nobody could tell
    /// whether the parts belong together, so it begins anew and is not kept. The checksum is part of the name: no other file's
    /// bytes are taken for this one's.
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

    /// Compares its checksum, if one is known, with what has come.
    pub fn check(&self) -> std::result::Result<(), Failure> {
        let (Some(expected), Some(hasher)) = (self.checksum, &self.hasher) else { return Ok(()) };
        let found = hasher.clone().finish();
        if found.starts_with(expected.digits()) {
            return Ok(());
        }
        Err(blame(format!(
            "its checksum is {found}, expected {expected}: damaged on its way, or another file"
        )))
    }

    /// It is of no use to a later download: it has been used, or is not what it should be.
    pub fn discard(&mut self) {
        self.kept = false;
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file from its start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rewound(&mut self) -> Result<&mut File> {
        self.file.seek(SeekFrom::Start(0)).map_err(failed("read", &self.place))?;
        Ok(&mut self.file)
    }

    /// Tells after a failure whether the part is kept.
    pub fn in_words(&self) -> String {
        match self.length {
            0 => String::new(),
            _ if !self.kept => String::new(),
            length => format!("; {length} bytes are kept, and the same command goes on from there"),
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

/// Removes what an earlier download has brought of a file that is no longer needed.
pub fn remove_partial(out: &Path, checksum: &Checksum) {
    let _ = fs::remove_file(partial_path(out, Some(checksum)));
}

/// A file named after another one, in the same folder.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{ending}"));
    out.with_file_name(name)
}

/// Opens a file to read and write, and makes it if it is not there. Never what a symbolic link leads to.
fn open_own(path: &Path) -> Result<File> {
    let failed = |source| failed("write to", path)(source);
    let mut options = File::options();
    options.read(true).write(true);
    // Again if someone puts another file there between the steps.
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
            let what = if lies.is_symlink() { "a symbolic link" } else { "no ordinary file" };
            let problem = format!("it is {what}, which is not followed; remove it");
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(file) if !is_same(&lies, &file.metadata().map_err(failed)?) => {}
            opened => return opened.map_err(failed),
        }
    }
    Err(failed(io::Error::other("it is another file each time")))
}

/// True if both are the same file, as far as the system tells.
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
    fn a_place_is_taken_once_and_given_back() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("a/b/w.st");
        let place = TargetLock::take(&out).unwrap();
        let second = TargetLock::take(&out).err().expect("refused").to_string();
        assert!(second.contains("another `occlude weights fetch`"), "{second}");
        drop(place);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // What a killed process has left locks nobody out.
        let out = root.path().join("w.st");
        fs::write(beside(&out, "lock"), b"").unwrap();
        drop(TargetLock::take(&out).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn parts_of_different_files_do_not_meet() {
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
        // Without a checksum nothing is kept.
        Partial::open(&out, None).unwrap().write(b"three").unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
