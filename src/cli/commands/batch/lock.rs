//! The lock on a folder of results: two batches must not write to it at the same time, because the
//! second would remove the temporary folders of the first as leftovers.

use std::fs;
use std::io;
use std::path::Path;

use occlude::{Error, Result};

use super::summary::Part;
use crate::cli::args::shard::Shard;
use crate::cli::output::lock::FileLock;
use crate::cli::terminal::console;

/// The beginning of the names of lock files. They are not temporary files of [`super`], whose names
/// begin with ".occlude-".
const PREFIX: &str = ".occlude.lock";

/// The part of a batch that a lock file stands for, in its name: "-0-of-4" and the batch, so that the
/// shards of one batch can share a folder. Empty for a whole batch.
struct LockName {
    shard: String,
    batch: String,
}

impl LockName {
    fn of(part: Option<&Part>) -> LockName {
        match part {
            None => LockName { shard: String::new(), batch: String::new() },
            Some(Part { shard: Shard { index, of }, all }) => {
                LockName { shard: format!("-{index}"), batch: format!("-of-{of}-{:.8}", all.paths_sha256) }
            }
        }
    }

    fn file(&self) -> String {
        format!("{PREFIX}{}{}", self.shard, self.batch)
    }

    /// True if a lock file is another one and not that of a shard of the same batch.
    fn forbids(&self, file: &str) -> bool {
        let is_shard_of_same = !self.batch.is_empty() && file.ends_with(&self.batch);
        file.starts_with(PREFIX) && file != self.file() && !is_shard_of_same
    }
}

/// Locks the folder until the result is dropped. On a file system without locks it warns the user
/// instead and returns `None`.
///
/// # Errors
/// [`Error::Io`] if another batch that is not a shard of the same one is writing to the folder.
pub fn take(out: &Path, part: Option<&Part>) -> Result<Option<FileLock>> {
    let name = LockName::of(part);
    let lock = match FileLock::take(&out.join(name.file())) {
        Ok(lock) => lock.ok_or_else(|| busy(out))?,
        Err(error @ Error::Io { action: "lock", .. }) => {
            console::print_note(&format!(
                "{error}: start no second batch into this folder while this one runs"
            ));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // Each batch first takes its own lock and then looks for others, so at least one of two sees the
    // other.
    let unreadable = |source| Error::Io { path: out.to_path_buf(), action: "read", source };
    for entry in fs::read_dir(out).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if name.forbids(&entry.file_name().to_string_lossy()) && FileLock::is_taken(&entry.path()) {
            return Err(busy(out));
        }
    }
    Ok(Some(lock))
}

fn busy(out: &Path) -> Error {
    let problem = "another `occlude batch` is writing to this folder: wait until it has ended, or name another folder \
                   with --out (only different shards of one batch, with the same photographs, can share a folder)";
    Error::Io {
        path: out.to_path_buf(),
        action: "write to",
        source: io::Error::new(io::ErrorKind::ResourceBusy, problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::batch::summary::AllPhotographs;

    fn part(index: usize, of: usize, paths_sha256: &str) -> Part {
        let all = AllPhotographs { pictures_of_all_shards: 9, paths_sha256: paths_sha256.to_string() };
        Part { shard: Shard { index, of }, all }
    }

    #[test]
    fn only_different_shards_of_one_batch_share_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let is_free = |part: Option<&Part>| take(&out, part).is_ok();
        let first = take(&out, Some(&part(0, 3, "0123456789"))).unwrap();
        assert!(is_free(Some(&part(1, 3, "0123456789"))) && is_free(Some(&part(2, 3, "0123456789"))));
        for other in [part(0, 3, "0123456789"), part(1, 2, "0123456789"), part(1, 3, "9876543210")] {
            assert!(!is_free(Some(&other)), "{}", LockName::of(Some(&other)).file());
        }
        assert!(!is_free(None));
        drop(first);
        let whole = take(&out, None).unwrap();
        assert!(!is_free(None) && !is_free(Some(&part(0, 3, "0123456789"))));
        drop(whole);
        assert!(!out.exists(), "nothing is left");
    }
}
