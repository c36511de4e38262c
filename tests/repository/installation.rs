//! Tests of the ways in which the README installs the command and the library: each program in it compiles with exactly the
//! features beside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// Cargo without the internet, with the packages that are built already.
fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    // This program is target/release/deps/repository-0123.
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_path_buf();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(folder).args(arguments).arg("--offline").env("CARGO_TARGET_DIR", target);
    cargo
}

fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The contents of the blocks of code with this first line.
fn blocks<'t>(text: &'t str, fence: &str) -> Vec<&'t str> {
    let start = format!("```{fence}\n");
    text.split(&start).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// A crate beside the repository, as the README says, with these dependencies.
fn program(dependencies: &str, source: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // The profiles of the repository, so that packages need not be checked again.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let profiles = manifest.split("\n\n").filter(|section| section.contains("[profile.dev"));
    let package = "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n";
    let dependencies = at_root(dependencies);
    let text = [package, &dependencies, &profiles.collect::<Vec<_>>().join("\n\n")].join("\n");
    fs::write(folder.path().join("Cargo.toml"), text).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/main.rs"), source).unwrap();
    folder
}

/// The text with the path of the repository in place of `../occlude`.
fn at_root(text: &str) -> String {
    text.replace("../occlude", &root().display().to_string().replace('\\', "/"))
}

/// The features in a line of a manifest.
fn features(manifest: &str) -> &str {
    manifest.split_once("features = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0
}

#[test]
fn each_program_compiles_with_the_features_beside_it() {
    let readme = readme();
    let mut parts = readme.split("```toml\n[dependencies]\n");
    parts.next();
    let mut count = 0;
    for part in parts {
        let dependencies = format!("[dependencies]\n{}", part.split("```").next().unwrap());
        assert!(dependencies.contains("default-features = false"), "{dependencies}");
        let folder = program(&dependencies, blocks(part, "rust,no_run")[0]);
        succeed(cargo(folder.path(), &["check", "--quiet"]));
        count += 1;
    }
    assert_eq!(count, 3, "this test no longer finds what it checks");
}

#[test]
fn cargo_adds_the_dependency_of_the_first_program() {
    let readme = readme();
    let shell = blocks(&readme, "sh");
    let line = shell.iter().find_map(|block| block.trim().strip_prefix("cargo add ")).unwrap();
    let folder = program("", "fn main() {}");
    succeed(cargo(folder.path(), &[&["add"], &at_root(line).split(' ').collect::<Vec<_>>()[..]].concat()));
    let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("default-features = false"), "{manifest}");
    assert_eq!(features(&manifest), features(blocks(&readme, "toml")[0]));
}

#[test]
fn cargo_installs_the_command() {
    assert!(readme().contains("`cargo install --path .`"));
    let folder = tempfile::tempdir().unwrap();
    let mut install = cargo(root(), &["install", "--path", ".", "--locked", "--quiet"]);
    if cfg!(debug_assertions) {
        install.arg("--debug");
    }
    install.arg("--root").arg(folder.path());
    succeed(install);
    let file: PathBuf = folder.path().join("bin/occlude").with_extension(env::consts::EXE_EXTENSION);
    let mut command = Command::new(file);
    command.arg("--version").env_clear();
    assert_eq!(succeed(command).trim(), format!("occlude {}", env!("CARGO_PKG_VERSION")));
}
