//! Builds the page: compiles the engine twice, with and without relaxed SIMD, and puts it into one HTML
//! file with the built-in network and a photograph.
//!
//! `cargo run --release --manifest-path web/Cargo.toml [FILE]`

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> Result<(), Box<dyn Error>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| web.join("target"), PathBuf::from);
    let page = env::args_os().nth(1).map_or_else(|| target.join("occlude.html"), PathBuf::from);
    let read = |path: &str| fs::read(web.join(path)).map_err(|error| format!("{path}: {error}"));
    let text = |path: &str| Ok::<_, Box<dyn Error>>(String::from_utf8(read(path)?)?);
    let style = text("../src/cli/output/report/report.css")? + &text("page/page.css")?;
    let parts = [
        ("style", style),
        ("worker", text("page/worker.js")?),
        ("script", text("../src/cli/output/report/common.js")? + &text("page/page.js")?),
        ("engine-relaxed", packed(&engine(web, &target, "+simd128,+relaxed-simd")?)?),
        ("engine-simd", packed(&engine(web, &target, "+simd128")?)?),
        ("network", packed(&read("../weights/builtin.safetensors")?)?),
        ("photograph", BASE64_STANDARD.encode(read("../tests/data/chelsea.png")?)),
    ];
    let html = filled(&text("page/page.html")?, &parts)?;
    fs::write(&page, &html).map_err(|error| format!("{}: {error}", page.display()))?;
    println!("{}: {:.1} MB", page.display(), html.len() as f64 / 1e6);
    Ok(())
}

/// Compiles the engine with some features of WebAssembly.
fn engine(web: &Path, target: &Path, features: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let folder = target.join(features.replace(['+', ','], ""));
    let status = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--lib", "--target", TARGET, "--target-dir"])
        .arg(&folder)
        .arg("--manifest-path")
        .arg(web.join("Cargo.toml"))
        .env("RUSTFLAGS", format!("-C target-feature={features}"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()?;
    if !status.success() {
        return Err(format!(
            "the engine could not be compiled; is the target there? rustup target add {TARGET}"
        )
        .into());
    }
    Ok(fs::read(folder.join(TARGET).join("release/engine.wasm"))?)
}

/// Compresses bytes and makes text of them.
fn packed(bytes: &[u8]) -> std::io::Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(BASE64_STANDARD.encode(encoder.finish()?))
}

/// Fills the places `{{name}}` of a page.
fn filled(page: &str, parts: &[(&str, String)]) -> Result<String, Box<dyn Error>> {
    let mut pieces = page.split("{{");
    let mut html = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (name, after) = piece.split_once("}}").ok_or("a place of the page is not closed")?;
        let (_, part) =
            parts.iter().find(|part| part.0 == name).ok_or_else(|| format!("nothing is named {name}"))?;
        html += part;
        html += after;
    }
    Ok(html)
}
