//! Checksums in hexadecimal: of bytes, of files, and of weights while they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use occlude::weights::{BUILTIN, Source};
use occlude::{Error, Result, Weights};
use sha2::{Digest, Sha256};

/// Passes bytes through and hashes them, so that the checksum is of exactly the bytes that were used.
struct Hashing<R, D> {
    inner: R,
    digest: D,
}

impl<R: Read, D: Digest> Read for Hashing<R, D> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }
}

/// Loads weights; also the SHA-256 of their file in hexadecimal. `transform_input` is that of [`Weights::from_reader`].
pub fn load_and_hash(source: &Source, transform_input: Option<bool>) -> Result<(Weights, String)> {
    let path = match source {
        Source::File(path) => path,
        _ => {
            let size = BUILTIN.len() as u64;
            let weights = Weights::from_reader("the built-in network", size, BUILTIN, transform_input)?;
            return Ok((weights, sha256(BUILTIN)));
        }
    };
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut hashing = Hashing { inner: file, digest: Sha256::new() };
    let weights = Weights::from_reader(&path.to_string_lossy(), size, &mut hashing, transform_input)?;
    Ok((weights, hex(hashing.digest)))
}

/// SHA-256 of a file in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String> {
    checksum(path, Sha256::new())
}

/// A file's checksum of this kind in hexadecimal.
pub fn checksum(path: &Path, digest: impl Digest) -> Result<String> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut hashing = Hashing { inner: File::open(path).map_err(failed)?, digest };
    io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
    Ok(hex(hashing.digest))
}

/// SHA-256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

/// A digest in hexadecimal.
pub fn hex(digest: impl Digest) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_is_what_is_read() {
        let mut hashing = Hashing { inner: &b"abc"[..], digest: Sha256::new() };
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hex(hashing.digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
