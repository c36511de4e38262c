//! `occlude weights import`: converts a weights file to safetensors.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use occlude::weights::{FILE_NAME, Source};
use occlude::{Error, Result, Weights};

use super::manifest::Manifest;
use crate::cli::args::{Common, Import};
use crate::cli::checksum::{file_sha256, load_and_hash, sha256};
use crate::cli::output::files;
use crate::cli::terminal::console;
use crate::cli::weights::describe::{describe, form};
use crate::cli::weights::write::{safetensors, safetensors_with};
use crate::cli::weights::{named, with_labels};

pub fn run(common: &Common, args: &Import) -> Result<ExitCode> {
    let source = named(&args.file)?;
    let Source::File(file) = &source else {
        return Err(Error::Option {
            name: "FILE",
            found: args.file.display().to_string(),
            expected: "a file; the built-in network needs no import".to_string(),
        });
    };
    let form = form(file)?;
    let (weights, source_sha256) = load_and_hash(&source, common.transform_input)?;
    let weights = with_labels(common, weights)?;
    let manifest = Manifest::published();
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_place(&args.file, manifest.differing(&weights).is_empty())?,
    };
    let from = format!("{}, {form}, sha256 {source_sha256}", console::shown_path(&args.file));
    console::print(&install(&weights, &from, &out, args.force)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The default path of the converted file. Only the published network is written to the path where
/// commands search for it.
fn default_place(file: &Path, published: bool) -> Result<PathBuf> {
    let own = Path::new(file.file_name().unwrap_or_default()).with_extension("safetensors");
    if published {
        return Ok(Path::new("weights").join(FILE_NAME));
    }
    if own.as_os_str() == FILE_NAME {
        return Err(Error::Option {
            name: "--out",
            found: format!("weights/{FILE_NAME}"),
            expected: "another file, because commands expect the published network there, and FILE holds another network"
                .to_string(),
        });
    }
    Ok(Path::new("weights").join(own))
}

/// Writes weights to a safetensors file. Does not replace another file unless `force` is true.
/// Returns the text for standard output. `from` is the origin of the weights, in words.
pub fn install(weights: &Weights, from: &str, out: &Path, force: bool) -> Result<String> {
    files::check_apart(out)?;
    let manifest = Manifest::published();
    let differing = manifest.differing(weights);
    // With its metadata, the published network has the bytes of the published file.
    let bytes = match differing.is_empty() {
        true => safetensors_with(weights, &manifest.metadata),
        false => safetensors(weights),
    };
    let sha = sha256(&bytes);
    let already = out.exists() && file_sha256(out)? == sha;
    if out.exists() && !already && !force {
        return Err(Error::Weights {
            name: out.display().to_string(),
            problem:
                "a different file exists already: replace it with --force, or name another file with --out"
                    .to_string(),
        });
    }
    if !already {
        files::write_apart(out, &bytes)?;
    }

    let mut text = String::new();
    let mut line =
        |name: &str, value: &str| writeln!(text, "{name:<9} {value}").expect("writing to a string");
    line("from", from);
    line("network", &describe(weights));
    line("tensors", &manifest.compared(&differing));
    let what = if already { "unchanged" } else { "wrote" };
    let published = if sha == manifest.sha256 { " (the published one)" } else { "" };
    let path = console::shown_path(out);
    line(what, &format!("{path}, {} bytes, sha256 {sha}{published}", bytes.len()));
    if !differing.is_empty() {
        line("to use it", &format!("--weights {path}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use occlude::network::Network;

    #[test]
    fn written_weights_are_read_back_unchanged() {
        for network in [Network::googlenet(), Network::bvlc(3), Network::torchvision(7)] {
            let weights = Weights::seeded_for(network, 5);
            let bytes = safetensors(&weights);
            let read = Weights::from_bytes("w", &bytes).unwrap();
            assert_eq!(read.network().name, weights.network().name);
            assert_eq!(read.network().classes(), weights.network().classes());
            assert!(read.tensors().eq(weights.tensors()));
        }
    }

    #[test]
    fn the_published_file_has_its_tensors_in_this_order_and_this_size() {
        let manifest = Manifest::published();
        assert!(manifest.tensors.is_sorted_by(|a, b| a.name < b.name));
        let bytes = safetensors_with(&Weights::seeded(1), &manifest.metadata);
        assert_eq!(bytes.len() as u64, manifest.size);
    }

    #[test]
    fn only_the_published_network_has_the_default_path() {
        let place = |file: &str, published| default_place(Path::new(file), published).unwrap();
        assert!(default_place(Path::new("a/bvlc_googlenet.pth"), false).is_err());
        assert_eq!(place("a/b.caffemodel", true), Path::new("weights/bvlc_googlenet.safetensors"));
        assert_eq!(place("a/flowers.caffemodel", false), Path::new("weights/flowers.safetensors"));
    }
}
