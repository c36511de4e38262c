//! `occlude weights`, and the weights' checksum for the other commands.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use occlude::{Error, Result, Weights};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::args::Common;

/// `weights/manifest.json`, as far as it is used here.
#[derive(Deserialize)]
struct Manifest {
    size: u64,
    sha256: String,
    origin: Origin,
    licence: String,
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Origin {
    network: String,
    file: String,
    url: String,
    sha1: String,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    sha256: String,
}

/// Passes bytes through and hashes them, so that the checksum is of exactly the bytes that were used.
struct Hashing<R> {
    inner: R,
    sha: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.sha.update(&bytes[..count]);
        Ok(count)
    }
}

/// Loads a weights file; also its SHA-256 in hexadecimal, which takes some 20 ms on top.
pub fn load_and_hash(path: &Path) -> Result<(Weights, String)> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut hashing = Hashing { inner: file, sha: Sha256::new() };
    let weights = Weights::from_reader(&path.to_string_lossy(), size, &mut hashing)?;
    Ok((weights, hex(hashing.sha)))
}

/// SHA-256 of a file in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut hashing = Hashing { inner: File::open(path).map_err(failed)?, sha: Sha256::new() };
    io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
    Ok(hex(hashing.sha))
}

/// SHA-256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

pub fn run(common: &Common) -> Result<ExitCode> {
    let path = occlude::weights::find(common.weights.as_deref())?;
    let (weights, sha256) = load_and_hash(&path)?;
    let manifest: Manifest = serde_json::from_str(include_str!("../../weights/manifest.json"))
        .expect("the manifest is this build's own");
    let differing: Vec<&str> = manifest
        .tensors
        .iter()
        .filter(|tensor| tensor_sha256(&weights, &tensor.name) != tensor.sha256)
        .map(|tensor| tensor.name.as_str())
        .collect();

    let origin = &manifest.origin;
    let mut text = String::new();
    let mut line =
        |name: &str, value: &str| writeln!(text, "{name:<9} {value}").expect("writing to a string");
    line("file", &path.display().to_string());
    let same_file = sha256 == manifest.sha256;
    line(
        "sha256",
        &format!("{sha256} ({})", if same_file { "matches" } else { "differs from the published network's" }),
    );
    match differing.len() {
        0 => line("tensors", &format!("all {} match", manifest.tensors.len())),
        n => line("tensors", &format!("{n} of {} differ: {}", manifest.tensors.len(), differing.join(", "))),
    }
    if !same_file && differing.is_empty() {
        line("", "the same network, packed into a file in another way");
    }
    line("network", &format!("{}, {} bytes, sha256 {}", origin.network, manifest.size, manifest.sha256));
    line("origin", &format!("{} from {}, sha1 {}", origin.file, origin.url, origin.sha1));
    line("licence", &manifest.licence);
    super::print(&text)?;
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// SHA-256 of a tensor's little-endian bytes. `name` is `<layer>.weight` or `<layer>.bias`.
fn tensor_sha256(weights: &Weights, name: &str) -> String {
    let values = match name.rsplit_once('.') {
        Some((layer, "weight")) => weights.weight(layer),
        Some((layer, "bias")) => weights.bias(layer),
        _ => &[],
    };
    let mut sha = Sha256::new();
    let mut bytes = Vec::new();
    for chunk in values.chunks(1 << 14) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        sha.update(&bytes);
    }
    hex(sha)
}

fn hex(sha: Sha256) -> String {
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use occlude::network::Network;

    #[test]
    fn the_manifest_describes_the_table() {
        let manifest: Manifest = serde_json::from_str(include_str!("../../weights/manifest.json")).unwrap();
        let mut names: Vec<&str> = manifest.tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort();
        let network = Network::googlenet();
        let layers = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
        let mut expected: Vec<String> =
            layers.flat_map(|l| [format!("{}.bias", l.name), format!("{}.weight", l.name)]).collect();
        expected.sort();
        assert_eq!(names, expected);
        assert!(manifest.tensors.iter().all(|t| t.sha256.len() == 64));
    }

    #[test]
    fn what_is_hashed_is_what_is_read() {
        let mut hashing = Hashing { inner: &b"abc"[..], sha: Sha256::new() };
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hex(hashing.sha), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
