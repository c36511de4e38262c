//! Builds the page: compiles the engine twice, with and without relaxed SIMD, and puts it into one HTML
//! file with the built-in network and a photograph.
//!
//! `cargo run --release --manifest-path web/Cargo.toml [FILE]`

#[path = "../../src/cli/output/report/template.rs"]
mod template;
#[path = "../../src/cli/page/text.rs"]
mod text;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src blob:; \
                      style-src 'unsafe-inline'; img-src data: blob:";

const WHERE: &str =
    "Everything is computed on this page. Nothing is sent anywhere, and no network connection is\nneeded.";

const NETWORKS: &str = "\
 <label class=\"button small\"><input type=\"file\" id=\"weights\" accept=\".safetensors,.caffemodel,.onnx\"> Load the published \
weights from a file</label> <button type=\"button\" class=\"small\" id=\"builtin-network\" hidden>Built-in network</button>";

const FACTS: &str = "<dt>Size of this page</dt><dd id=\"page-size\"></dd>\n";

/// An error that another thread may hand over.
type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = &env::var_os("CARGO_TARGET_DIR").map_or_else(|| web.join("target"), PathBuf::from);
    let page = env::args_os().nth(1).map_or_else(|| target.join("occlude.html"), PathBuf::from);
    let read = |path: &str| fs::read(web.join(path)).map_err(|error| format!("{path}: {error}"));
    // A build ends with one crate on one core, so two at the same time take little longer than one.
    let [relaxed, simd] = thread::scope(|scope| {
        let engines = ["+simd128,+relaxed-simd", "+simd128"];
        let builds = engines.map(|features| scope.spawn(move || engine(web, target, features)));
        builds.map(|build| build.join().expect("a build does not panic"))
    });
    let held = [
        ("engine-relaxed", packed(&relaxed?)?),
        ("engine-simd", packed(&simd?)?),
        ("builtin", packed(&read("../weights/builtin.safetensors")?)?),
        ("photograph", BASE64_STANDARD.encode(read("../tests/data/chelsea.png")?)),
        ("worker", include_str!("../../src/cli/page/worker.js").to_string()),
    ];
    let data =
        held.map(|(id, text)| format!("<script type=\"text/plain\" id=\"{id}\">{text}</script>")).join("\n");
    let html = template::filled(
        text::TEMPLATE,
        &[
            ("policy", POLICY),
            ("style", text::STYLE),
            ("where", WHERE),
            ("networks", NETWORKS),
            ("facts", FACTS),
            ("data", &data),
            ("script", &[text::SCRIPT, include_str!("../../src/cli/page/wasm.js")].concat()),
        ],
    );
    fs::write(&page, &html).map_err(|error| format!("{}: {error}", page.display()))?;
    println!("{}: {:.1} MB", page.display(), html.len() as f64 / 1e6);
    Ok(())
}

/// Compiles the engine with some features of WebAssembly.
fn engine(web: &Path, target: &Path, features: &str) -> Result<Vec<u8>, Failed> {
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
