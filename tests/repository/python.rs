//! Checks that the manifest of the Python package has what it takes over from the crate's.

use std::collections::BTreeMap;
use std::fs;

use super::unsafe_code::root;

/// The text of a file after a line end, so that every section begins after one.
fn read(file: &str) -> String {
    format!("\n{}", fs::read_to_string(root().join(file)).unwrap())
}

/// The lines `key = value` of a section of a manifest.
fn section<'m>(manifest: &'m str, name: &str) -> BTreeMap<&'m str, &'m str> {
    let start = format!("\n[{name}]\n");
    let (_, rest) = manifest.split_once(&start).unwrap_or_else(|| panic!("no section {name}"));
    let lines = rest.lines().take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).collect()
}

/// The packages of `src/cli`, which is a part of the extension module.
#[test]
fn the_packages_of_the_command_are_the_crates() {
    let (ours, theirs) = (read("Cargo.toml"), read("python/Cargo.toml"));
    let (ours, mut theirs) = (section(&ours, "dependencies"), section(&theirs, "dependencies"));
    for own in ["occlude", "pyo3"] {
        assert!(theirs.remove(own).is_some(), "{own} is missing");
    }
    assert!(theirs.len() > 15, "only {}: this test no longer finds what it checks", theirs.len());
    for (name, found) in theirs {
        let expected = ours[name].replace(", optional = true", "");
        let version = expected.strip_prefix("{ version = ").and_then(|rest| rest.strip_suffix(" }"));
        let expected = version.filter(|version| !version.contains(',')).unwrap_or(&expected);
        assert_eq!(found, expected, "{name} in python/Cargo.toml (left) and in Cargo.toml");
    }
}

/// Equal versions and profiles let a build take over what the other has built.
#[test]
fn versions_and_profiles_are_the_crates() {
    let (ours, theirs) = (read("Cargo.toml"), read("python/Cargo.toml"));
    let package = |manifest| -> Vec<_> {
        let package = section(manifest, "package");
        ["version", "edition", "rust-version", "license"].map(|key| package[key].to_string()).to_vec()
    };
    assert_eq!(package(&theirs), package(&ours));
    for (name, level) in section(&theirs, "profile.release.package") {
        assert_eq!(section(&ours, "profile.release.package")[name], level, "{name}");
    }
    let locked = |lock: &str| -> Vec<(String, String)> {
        let packages = lock.split("[[package]]").skip(1);
        let field = |package: &str, key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
            line.unwrap().to_string()
        };
        packages.map(|package| (field(package, "name"), field(package, "version"))).collect()
    };
    let (ours, theirs) = (locked(&read("Cargo.lock")), locked(&read("python/Cargo.lock")));
    for package in &theirs {
        let is_known = ours.iter().any(|(name, _)| *name == package.0);
        assert!(!is_known || ours.contains(package), "{package:?} has another version in Cargo.lock");
    }
}
