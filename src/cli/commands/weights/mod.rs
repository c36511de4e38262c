//! `occlude weights`: verifies, downloads and converts weights files.

mod download;
mod fetch;
mod import;
mod manifest;

use std::fmt::Write;
use std::process::ExitCode;

use occlude::Result;
use occlude::weights::Source;

use crate::cli::args::{self, Common, WeightsAction};
use crate::cli::checksum::load_and_hash;
use crate::cli::terminal::console;
use crate::cli::weights::describe::{describe, form};
use crate::cli::weights::named;
use manifest::Manifest;

pub fn run(common: &Common, args: &args::Weights) -> Result<ExitCode> {
    match &args.action {
        None | Some(WeightsAction::Verify { file: None }) => {
            verify(common, &occlude::weights::find(common.weights.as_deref())?)
        }
        Some(WeightsAction::Verify { file: Some(file) }) => verify(common, &named(file)?),
        Some(WeightsAction::Import(args)) => import::run(common, args),
        Some(WeightsAction::Fetch(args)) => fetch::run(common, args),
    }
}

fn verify(common: &Common, source: &Source) -> Result<ExitCode> {
    let manifest = Manifest::published();
    let Source::File(path) = source else {
        return verify_builtin(common, source, &manifest);
    };
    let form = form(path)?;
    let (weights, sha256) = load_and_hash(source, common.transform_input)?;
    // Another published network is recognized by its checksum.
    let other =
        manifest.sources.iter().find(|source| source.file.is_some() && source.checksum.is_begun_by(&sha256));
    if let Some(other) = other {
        let network = describe(&weights);
        let path = console::shown_path(path);
        console::print(&format!(
            "file      {path}, {form}\nsha256    {sha256} (matches {}'s published file)\nnetwork   {network}\n",
            other.name
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let differing = manifest.differing(&weights);

    let mut text = String::new();
    let mut line =
        |name: &str, value: &str| writeln!(text, "{name:<9} {value}").expect("writing to a string");
    line("file", &format!("{}, {form}", console::shown_path(path)));
    let same_file = sha256 == manifest.sha256;
    line(
        "sha256",
        &format!("{sha256} ({})", if same_file { "matches" } else { "differs from the published network's" }),
    );
    line("network", &describe(&weights));
    line("tensors", &manifest.compared(&differing));
    if !same_file && differing.is_empty() {
        line("", "the network is the published one, stored in a different file format");
    }
    let origin = &manifest.origin;
    line("published", &format!("{}, {} bytes, sha256 {}", origin.network, manifest.size, manifest.sha256));
    line("origin", &format!("{} from {}, sha1 {}", origin.file, origin.url, origin.sha1));
    line("licence", &manifest.licence);
    console::print(&text)?;
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares the checksum of the network inside this program with the manifest.
fn verify_builtin(common: &Common, source: &Source, manifest: &Manifest) -> Result<ExitCode> {
    let (weights, sha256) = load_and_hash(source, common.transform_input)?;
    let same = sha256 == manifest.builtin.sha256;
    let labels = weights.labels();
    let names: Vec<&str> = (0..labels.count()).map(|class| labels.short(class)).collect();
    console::print(&format!(
        "network   {}, inside this program\nsha256    {sha256} ({})\nclasses   {}\nlicence   {}\n\
         published `occlude weights fetch` downloads the published network of 1000 classes\n",
        describe(&weights),
        if same { "matches" } else { "differs from the manifest: this program is damaged; install it again" },
        names.join(", "),
        manifest.builtin.licence,
    ))?;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
