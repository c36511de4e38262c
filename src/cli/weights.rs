//! `occlude weights`, and what the other commands need: where the weights are, and their checksum.

mod fetch;
mod import;

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use occlude::network::Network;
use occlude::weights::Form;
use occlude::{Error, Result, Weights};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::args::{self, Common, WeightsAction};

/// `weights/manifest.json`, as far as it is used here.
#[derive(Deserialize)]
struct Manifest {
    size: u64,
    sha256: String,
    origin: Origin,
    licence: String,
    metadata: Metadata,
    tensors: Vec<Tensor>,
}

/// The published file's, in its order.
#[derive(Deserialize, Serialize)]
struct Metadata {
    license: String,
    input: String,
    model: String,
    layout: String,
    format: String,
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

/// Loads a weights file; also its SHA-256 in hexadecimal, which takes some 20 ms on top.
pub fn load_and_hash(path: &Path) -> Result<(Weights, String)> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut hashing = Hashing { inner: file, digest: Sha256::new() };
    let weights = Weights::from_reader(&path.to_string_lossy(), size, &mut hashing)?;
    Ok((weights, hex(hashing.digest)))
}

/// SHA-256 of a file in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String> {
    checksum(path, Sha256::new())
}

/// A file's checksum of this kind in hexadecimal.
fn checksum(path: &Path, digest: impl Digest) -> Result<String> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut hashing = Hashing { inner: File::open(path).map_err(failed)?, digest };
    io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
    Ok(hex(hashing.digest))
}

/// SHA-256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

pub fn run(common: &Common, args: &args::Weights) -> Result<ExitCode> {
    match &args.action {
        None => verify(&find(common)?),
        Some(WeightsAction::Verify { file: None }) => verify(&find(common)?),
        Some(WeightsAction::Verify { file: Some(file) }) => verify(file),
        Some(WeightsAction::Import(args)) => import::run(args),
        Some(WeightsAction::Fetch(args)) => fetch::run(args),
    }
}

/// The weights file to use. Where there is none, a person is asked whether to download it.
pub fn find(common: &Common) -> Result<PathBuf> {
    match occlude::weights::find(common.weights.as_deref()) {
        Err(Error::WeightsNotFound { tried }) => match fetch::offer()? {
            true => occlude::weights::find(None),
            false => Err(Error::WeightsNotFound { tried }),
        },
        found => found,
    }
}

fn verify(path: &Path) -> Result<ExitCode> {
    let form = form(path)?;
    let (weights, sha256) = load_and_hash(path)?;
    let manifest = Manifest::published();
    let differing = manifest.differing(&weights);

    let mut text = String::new();
    let mut line =
        |name: &str, value: &str| writeln!(text, "{name:<9} {value}").expect("writing to a string");
    line("file", &format!("{}, {form}", path.display()));
    let same_file = sha256 == manifest.sha256;
    line(
        "sha256",
        &format!("{sha256} ({})", if same_file { "matches" } else { "differs from the published network's" }),
    );
    line("network", &network(&weights));
    line("tensors", &manifest.compared(&differing));
    if !same_file && differing.is_empty() {
        line("", "the same network, packed into a file in another way");
    }
    let origin = &manifest.origin;
    line("published", &format!("{}, {} bytes, sha256 {}", origin.network, manifest.size, manifest.sha256));
    line("origin", &format!("{} from {}, sha1 {}", origin.file, origin.url, origin.sha1));
    line("licence", &manifest.licence);
    super::print(&text)?;
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whose network it is, and for how many classes.
fn network(weights: &Weights) -> String {
    let network = weights.network();
    format!("{}, {} classes", network.name, network.classes())
}

/// Which form a file has, by its first bytes.
fn form(path: &Path) -> Result<Form> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut head = Vec::new();
    File::open(path).map_err(failed)?.take(32).read_to_end(&mut head).map_err(failed)?;
    Form::of(&head).map_err(|problem| Error::Weights { name: path.display().to_string(), problem })
}

impl Manifest {
    fn published() -> Manifest {
        serde_json::from_str(include_str!("../../weights/manifest.json"))
            .expect("the manifest is this build's own")
    }

    /// The published tensors that these are not.
    fn differing(&self, weights: &Weights) -> Vec<&str> {
        let same_table = weights.network().name == Network::googlenet().name;
        let differs = |tensor: &&Tensor| !same_table || tensor_sha256(weights, &tensor.name) != tensor.sha256;
        self.tensors.iter().filter(differs).map(|tensor| tensor.name.as_str()).collect()
    }

    /// That in words.
    fn compared(&self, differing: &[&str]) -> String {
        let count = self.tensors.len();
        match differing.len() {
            0 => format!("all {count} match the published network's"),
            n if n == count => format!("all {count} differ from the published network's"),
            n => format!("{n} of {count} differ from the published network's: {}", differing.join(", ")),
        }
    }
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

fn hex(digest: impl Digest) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_describes_the_table() {
        let manifest = Manifest::published();
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
        let mut hashing = Hashing { inner: &b"abc"[..], digest: Sha256::new() };
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hex(hashing.digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
