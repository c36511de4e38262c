//! `occlude weights`: whether a weights file is the published network's; get it, convert another form of it. The other commands
//! take from here only [`find`].

mod described;
mod download;
mod fetch;
mod find;
mod import;
mod manifest;

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use occlude::Result;

use super::args::{self, Common, WeightsAction};
use super::checksum::load_and_hash;
use super::console;
use described::{form, network};
pub use find::find;
use manifest::Manifest;

pub fn run(common: &Common, args: &args::Weights) -> Result<ExitCode> {
    match &args.action {
        None => verify(&find(common)?),
        Some(WeightsAction::Verify { file: None }) => verify(&find(common)?),
        Some(WeightsAction::Verify { file: Some(file) }) => verify(file),
        Some(WeightsAction::Import(args)) => import::run(args),
        Some(WeightsAction::Fetch(args)) => fetch::run(args),
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
    console::print(&text)?;
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
