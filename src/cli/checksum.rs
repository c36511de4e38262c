//! Checksums in hexadecimal: of bytes, of files, and of weights while they are read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use occlude::weights::{BUILTIN, Source};
use occlude::{Error, Result, Weights};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384};

/// The expected checksum of a file, in hexadecimal. If only its first digits are published, only
/// these are compared.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    Sha1(String),
    Sha256(String),
    Sha384(String),
}

impl Checksum {
    /// Parses a checksum. The number of digits determines the algorithm.
    ///
    /// # Errors
    /// A message with the accepted numbers of digits.
    pub fn parse(text: &str) -> std::result::Result<Checksum, String> {
        let digits = text.to_lowercase();
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match digits.len() {
            40 if hexadecimal => Ok(Checksum::Sha1(digits)),
            64 if hexadecimal => Ok(Checksum::Sha256(digits)),
            96 if hexadecimal => Ok(Checksum::Sha384(digits)),
            _ => {
                Err("expected hexadecimal digits: 40 for SHA-1, 64 for SHA-256 or 96 for SHA-384".to_string())
            }
        }
    }

    pub fn digits(&self) -> &str {
        let (Checksum::Sha1(digits) | Checksum::Sha256(digits) | Checksum::Sha384(digits)) = self;
        digits
    }

    /// True if this is a SHA-256 and `sha256` begins with its known digits.
    pub fn is_begun_by(&self, sha256: &str) -> bool {
        matches!(self, Checksum::Sha256(digits) if sha256.starts_with(digits))
    }

    pub fn hasher(&self) -> Hasher {
        match self {
            Checksum::Sha1(_) => Hasher::Sha1(Sha1::new()),
            Checksum::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Checksum::Sha384(_) => Hasher::Sha384(Sha384::new()),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Checksum::Sha1(_) => "SHA-1",
            Checksum::Sha256(_) => "SHA-256",
            Checksum::Sha384(_) => "SHA-384",
        };
        write!(f, "{kind} {}", self.digits())
    }
}

/// Computes a checksum from consecutive chunks of bytes.
#[derive(Clone)]
pub enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(digest) => digest.update(bytes),
            Hasher::Sha256(digest) => digest.update(bytes),
            Hasher::Sha384(digest) => digest.update(bytes),
        }
    }

    /// The checksum in hexadecimal.
    pub fn finish(self) -> String {
        match self {
            Hasher::Sha1(digest) => hex(digest),
            Hasher::Sha256(digest) => hex(digest),
            Hasher::Sha384(digest) => hex(digest),
        }
    }
}

/// A reader that hashes the bytes that are read through it.
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

/// Loads weights. Returns them with the SHA-256 of their file in hexadecimal. `transform_input` has
/// the meaning of the argument of [`Weights::from_reader`].
pub fn load_and_hash(source: &Source, transform_input: Option<bool>) -> Result<(Weights, String)> {
    match source {
        Source::File(path) => {
            let (file, size) = occlude::weights::open(path)?;
            read_and_hash(&path.to_string_lossy(), size, file, transform_input)
        }
        _ => read_and_hash("the built-in network", BUILTIN.len() as u64, BUILTIN, transform_input),
    }
}

/// Loads weights from a stream of `size` bytes, as [`load_and_hash`] does. `name` is for messages.
pub fn read_and_hash(
    name: &str,
    size: u64,
    reader: impl Read,
    transform_input: Option<bool>,
) -> Result<(Weights, String)> {
    let mut hashing = Hashing { inner: reader, digest: Sha256::new() };
    let weights = Weights::from_reader(name, size, &mut hashing, transform_input)?;
    Ok((weights, hex(hashing.digest)))
}

/// SHA-256 of a file in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut hashing = Hashing { inner: File::open(path).map_err(failed)?, digest: Sha256::new() };
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
    fn hashing_covers_exactly_the_bytes_read() {
        let mut hashing = Hashing { inner: &b"abc"[..], digest: Sha256::new() };
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hex(hashing.digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_number_of_digits_determines_the_algorithm() {
        for (text, kind) in [
            ("a9993e364706816aba3e25717850c26c9cd0d89d", "SHA-1"),
            ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256"),
            (
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
                "SHA-384",
            ),
        ] {
            let checksum = Checksum::parse(&text.to_uppercase()).unwrap();
            assert_eq!(checksum.to_string(), format!("{kind} {text}"));
            let mut hasher = checksum.hasher();
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), text);
        }
        for wrong in ["", "abc", "g9993e364706816aba3e25717850c26c9cd0d89d", "sha1:abc"] {
            assert!(Checksum::parse(wrong).is_err(), "{wrong}");
        }
    }
}
