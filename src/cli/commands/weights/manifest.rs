//! The manifest of the published network: its checksums and the sources of its file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use occlude::network::Network;
use occlude::{Error, Result, Weights};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::checksum::{Checksum, hex};

/// The largest size of a list of sources in bytes. One of ten sources has 3 kB.
const MAX_SOURCES: u64 = 1 << 20;

/// The fields of `weights/manifest.json` that the command uses.
#[derive(Deserialize)]
pub struct Manifest {
    pub size: u64,
    pub sha256: String,
    pub origin: PublishedFile,
    /// The sources, in the order in which they are tried.
    pub sources: Vec<DownloadSource>,
    pub licence: String,
    pub metadata: Metadata,
    pub builtin: Builtin,
    pub tensors: Vec<Tensor>,
}

/// The file of the built-in network.
#[derive(Deserialize)]
pub struct Builtin {
    pub sha256: String,
    pub licence: String,
}

/// The metadata of the published file, in its order.
#[derive(Deserialize, Serialize)]
pub struct Metadata {
    pub license: String,
    pub input: String,
    pub model: String,
    pub layout: String,
    pub format: String,
}

#[derive(Deserialize)]
pub struct PublishedFile {
    pub network: String,
    pub file: String,
    pub url: String,
    pub sha1: String,
}

/// A weights file on a server.
#[derive(Clone, Debug, Deserialize)]
pub struct DownloadSource {
    pub name: String,
    pub url: String,
    /// The size in bytes, if it is known.
    pub size: Option<u64>,
    /// The expected checksum. Its key is `sha1`, `sha256` or `sha384`.
    #[serde(flatten)]
    pub checksum: Checksum,
    /// The name of the converted file, for a network other than the published one. Such a source is
    /// used only if the user names it.
    pub file: Option<String>,
}

/// Reads a list of sources from a file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Weights`] if the file does not hold such a list.
pub fn read_sources(path: &Path) -> Result<Vec<DownloadSource>> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let refuse = |problem: String| Error::Weights { name: path.display().to_string(), problem };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_SOURCES + 1).read_to_string(&mut text)).map_err(failed)?;
    if text.len() as u64 > MAX_SOURCES {
        return Err(refuse(format!("larger than {MAX_SOURCES} bytes, expected a list of sources")));
    }
    serde_json::from_str(&text)
        .map_err(|error| refuse(format!("expected a list of sources as in weights/manifest.json: {error}")))
}

#[derive(Deserialize)]
pub struct Tensor {
    pub name: String,
    pub sha256: String,
}

impl Manifest {
    pub fn published() -> Manifest {
        serde_json::from_str(include_str!("../../../../weights/manifest.json"))
            .expect("the manifest is this build's own")
    }

    /// The names of the published tensors that differ from those of `weights`.
    pub fn differing(&self, weights: &Weights) -> Vec<&str> {
        let same_table = weights.network().name == Network::googlenet().name;
        let differs = |tensor: &&Tensor| !same_table || tensor_sha256(weights, &tensor.name) != tensor.sha256;
        self.tensors.iter().filter(differs).map(|tensor| tensor.name.as_str()).collect()
    }

    /// The result of [`Manifest::differing`] in words.
    pub fn compared(&self, differing: &[&str]) -> String {
        let count = self.tensors.len();
        match differing.len() {
            0 => format!("all {count} match the published network's"),
            n if n == count => format!("all {count} differ from the published network's"),
            n => format!("{n} of {count} differ from the published network's: {}", differing.join(", ")),
        }
    }
}

/// The SHA-256 of the little-endian bytes of a tensor. `name` is `<layer>.weight` or
/// `<layer>.bias`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_network_has_the_checksum_of_the_manifest() {
        let digest = Sha256::new().chain_update(occlude::weights::BUILTIN);
        assert_eq!(
            hex(digest),
            Manifest::published().builtin.sha256,
            "weights/builtin.safetensors is damaged"
        );
    }

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
    fn every_source_has_its_own_name_and_a_checksum() {
        let Manifest { sources, origin, .. } = Manifest::published();
        for (i, source) in sources.iter().enumerate() {
            assert!(sources[..i].iter().all(|other| other.name != source.name), "{}", source.name);
            assert!(!source.name.contains([':', '/', '@']), "{} looks like an address", source.name);
            // For torchvision's file, only the digits that PyTorch's hub compares are known.
            let whole = Checksum::parse(source.checksum.digits()).as_ref() == Ok(&source.checksum);
            assert!(whole || source.checksum == Checksum::Sha256("1378be20".into()), "{}", source.name);
            assert!(source.url.starts_with("https://") || source.url == origin.url, "{}", source.url);
        }
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let expected =
            ["openvino", "onnx-9", "onnx-12", "onnx-7", "onnx-6", "onnx-3", "berkeley", "torchvision"];
        assert_eq!(names, expected);
        let apart = sources.iter().filter(|source| source.file.is_some());
        assert_eq!(apart.map(|source| source.name.as_str()).collect::<Vec<_>>(), ["torchvision"]);
    }
}
