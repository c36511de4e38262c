//! Tests of the rules for the packages that this crate is built from. Every package of the resolved
//! graph has an accepted licence, comes from crates.io with a checksum, and appears once. No
//! package runs code during the build that nobody has read. The tests work offline with cargo's
//! metadata. A package that breaks a rule is either not used or is in a list below, with the
//! reason.
//!
//! The last tests check the repository's own files: the commands for contributors, and the contents
//! of the published crate.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

use super::unsafe_code::root;

/// Licences that allow a binary with this code to be distributed under our own licence with only a
/// notice.
const LICENCES: [&str; 4] = ["Apache-2.0", "MIT", "Unicode-3.0", "Zlib"];

/// Packages that appear in several versions, and the reason why that is accepted.
const DUPLICATES: [(&str, &str); 3] = [
    ("hashbrown", "safetensors uses 0.16, and zip's indexmap uses 0.17"),
    ("miniz_oxide", "flate2 uses 0.9, and png still uses 0.8"),
    ("syn", "only macros during the build: serde's and clap's use 3, and others use 2"),
];

/// Packages that must not be added unnoticed as dependencies of other packages.
const REFUSED: [(&str, &str); 14] = [
    ("openssl-sys", "C code, and nothing here uses TLS"),
    ("native-tls", "C code, and nothing here uses TLS"),
    ("curl-sys", "C code"),
    ("libz-sys", "C code; miniz_oxide does the same"),
    ("zstd-sys", "C code; nothing here needs it"),
    ("turbojpeg-sys", "C code; decoders of untrusted files are in safe Rust here"),
    ("cc", "it would need a C compiler"),
    ("cmake", "it would need a C compiler"),
    ("bindgen", "it would need a C compiler"),
    ("ort", "an ML runtime; this crate implements the network itself"),
    ("tract-core", "an ML runtime; this crate implements the network itself"),
    ("candle-core", "an ML runtime; this crate implements the network itself"),
    ("tch", "an ML runtime; this crate implements the network itself"),
    ("burn-core", "an ML runtime; this crate implements the network itself"),
];

const ASKS_THE_COMPILER: &str = "asks the compiler for its version and sets cfgs";
const LOOKS_AT_THE_TARGET: &str = "sets cfgs according to the target, and runs no program";
const ASKS_THE_PYTHON: &str = "asks the Python that the module is for about its version and its library";
const IS_A_MACRO: &str = "a procedural macro: generates code for the item below it";

/// Packages that run code during the build (build scripts and procedural macros), and a description
/// of this code.
const RUNS_WHILE_BUILDING: [(&str, &str); 43] = [
    ("borsh", LOOKS_AT_THE_TARGET),
    ("borsh-derive", IS_A_MACRO),
    ("clap_derive", IS_A_MACRO),
    ("constant_time_eq", LOOKS_AT_THE_TARGET),
    ("crc32fast", ASKS_THE_COMPILER),
    ("crossbeam-deque", LOOKS_AT_THE_TARGET),
    ("crossbeam-epoch", LOOKS_AT_THE_TARGET),
    ("crossbeam-utils", LOOKS_AT_THE_TARGET),
    ("crunchy", "writes a macro for unrolled loops into its own output folder"),
    ("getrandom", LOOKS_AT_THE_TARGET),
    ("httparse", ASKS_THE_COMPILER),
    ("indoc", IS_A_MACRO),
    ("libc", ASKS_THE_COMPILER),
    ("matrixmultiply", "compiles a line to see whether the compiler knows AVX-512"),
    ("memoffset", ASKS_THE_COMPILER),
    ("nix", LOOKS_AT_THE_TARGET),
    ("num-traits", "compiles a line to see what the compiler knows"),
    ("portable-atomic", ASKS_THE_COMPILER),
    ("proc-macro2", "compiles a file of its own to see what the compiler knows"),
    ("pyo3", ASKS_THE_PYTHON),
    ("pyo3-build-config", ASKS_THE_PYTHON),
    ("pyo3-ffi", ASKS_THE_PYTHON),
    ("pyo3-macros", IS_A_MACRO),
    ("pyo3-macros-backend", ASKS_THE_COMPILER),
    ("quote", ASKS_THE_COMPILER),
    ("rayon-core", "nothing: the script exists for the `links` key, so that there is only one pool"),
    ("rustix", "compiles a line to see what the compiler knows"),
    ("rustversion", "asks the compiler for its version; a procedural macro"),
    ("serde", "asks the compiler for its version, writes a module name into its own output folder"),
    ("serde_core", "asks the compiler for its version, writes a module name into its own output folder"),
    ("serde_derive", IS_A_MACRO),
    ("serde_json", LOOKS_AT_THE_TARGET),
    ("signal-hook", "nothing: it compiles C only for a feature that is off here"),
    (
        "thiserror",
        "asks the compiler for its version, compiles a file of its own, writes a module name into its own output folder",
    ),
    ("target-lexicon", "writes the name of the target into its own output folder"),
    ("thiserror-impl", IS_A_MACRO),
    ("wasm-bindgen", LOOKS_AT_THE_TARGET),
    ("wasm-bindgen-macro", IS_A_MACRO),
    ("wasm-bindgen-shared", "asks git for its own revision, if it is a checkout; not for this platform"),
    ("zerocopy", ASKS_THE_COMPILER),
    ("zerocopy-derive", IS_A_MACRO),
    ("zeroize_derive", IS_A_MACRO),
    ("zmij", ASKS_THE_COMPILER),
];

/// Packages with the `links` key. The key usually names a C library. These packages use it only to
/// exclude a second version of themselves; `pyo3-ffi` names the Python that loads the module.
const LINKS: [&str; 3] = ["pyo3-ffi", "rayon-core", "wasm-bindgen-shared"];

/// The manifests whose packages the tests check: that of the crate and that of the Python package.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "python/Cargo.toml"];

fn metadata(manifest: &str, filter: &[&str]) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path", manifest])
        .args(filter)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// The packages of the graph, and whether they include those of all platforms. A build fetches only
/// the packages of its own platform. In that case the tests check these packages, and check the
/// others only by their names and checksums in the lock file. The result is `None` where the packages of the
/// Python package have not been fetched.
fn packages_of(manifest: &str) -> Option<(Vec<Value>, bool)> {
    let all = metadata(manifest, &[]);
    let complete = all.status.success();
    let output = if complete {
        all
    } else {
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        // The test harness hides the output of `eprintln!` while tests pass.
        let _ = writeln!(
            io::stderr(),
            "policy: {manifest}: packages for other platforms than {host} are not on this machine: run cargo fetch"
        );
        metadata(manifest, &["--filter-platform", host])
    };
    let is_fetched = output.status.success() || manifest == MANIFESTS[0];
    if !is_fetched && !String::from_utf8_lossy(&output.stderr).contains("lock file") {
        let _ = writeln!(io::stderr(), "policy: {manifest}: its packages are not on this machine");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let resolved: BTreeSet<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages.filter(|package| resolved.contains(package["id"].as_str().unwrap()));
    Some((packages.cloned().collect(), complete))
}

/// The packages of all manifests, and whether they include those of all platforms.
fn packages() -> (Vec<Value>, bool) {
    let found: Vec<_> = MANIFESTS.iter().map(|manifest| packages_of(manifest)).collect();
    let complete = found.iter().all(|packages| packages.as_ref().is_some_and(|(_, complete)| *complete));
    (found.into_iter().flatten().flat_map(|(packages, _)| packages).collect(), complete)
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// The names, versions, sources and checksums of the lock files, which contain the packages of all
/// platforms; those of this repository are left out.
fn locked() -> Vec<BTreeMap<String, String>> {
    let unquoted = |value: &str| value.trim_matches('"').to_string();
    let fields = |package: &str| -> BTreeMap<String, String> {
        let pairs = package.lines().filter_map(|line| line.split_once(" = "));
        pairs.map(|(key, value)| (key.to_string(), unquoted(value))).collect()
    };
    let mut packages = BTreeSet::new();
    for manifest in MANIFESTS {
        let text = fs::read_to_string(root().join(manifest.replace(".toml", ".lock"))).unwrap();
        packages.extend(text.split("[[package]]").skip(1).map(fields));
    }
    let is_ours = |package: &BTreeMap<String, String>| package["name"].starts_with(env!("CARGO_PKG_NAME"));
    packages.into_iter().filter(|package| !is_ours(package)).collect()
}

/// True if the licences in the list satisfy an SPDX expression.
fn is_accepted(expression: &str) -> bool {
    // An older notation uses "/" for "OR".
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (accepted, rest) = either(&words);
    accepted && rest.is_empty()
}

/// `a OR b OR ..`, and the words after it.
fn either<'w, 's>(words: &'w [&'s str]) -> (bool, &'w [&'s str]) {
    let (mut accepted, mut rest) = both(words);
    while let ["OR", more @ ..] = rest {
        let (other, after) = both(more);
        (accepted, rest) = (accepted || other, after);
    }
    (accepted, rest)
}

/// `a AND b AND ..`, where each is a licence or an expression in brackets, and the words after it.
fn both<'w, 's>(words: &'w [&'s str]) -> (bool, &'w [&'s str]) {
    let (mut accepted, mut rest) = match words {
        ["(", inner @ ..] => match either(inner) {
            (accepted, [")", after @ ..]) => (accepted, after),
            (_, rest) => (false, rest),
        },
        // An exception only adds permissions.
        [licence, "WITH", _, after @ ..] | [licence, after @ ..] => (LICENCES.contains(licence), after),
        [] => (false, words),
    };
    while let ["AND", more @ ..] = rest {
        let (other, after) = both(more);
        (accepted, rest) = (accepted && other, after);
    }
    (accepted, rest)
}

#[test]
fn licences_are_read_as_spdx_says() {
    for accepted in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT AND (GPL-3.0-only OR Zlib)",
    ] {
        assert!(is_accepted(accepted), "{accepted}");
    }
    for refused in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "MIT AND (", "MIT Apache-2.0", "(MIT", "mit"]
    {
        assert!(!is_accepted(refused), "{refused}");
    }
    // AND has a higher precedence than OR.
    assert!(is_accepted("MIT OR GPL-3.0-only AND GPL-2.0-only"));
    assert!(!is_accepted("GPL-3.0-only AND MIT OR GPL-2.0-only"));
}

#[test]
fn every_licence_is_one_that_we_accept() {
    let (packages, _) = packages();
    assert!(packages.len() > 50, "only {}: this test no longer finds what it checks", packages.len());
    for package in &packages {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(
            is_accepted(licence),
            "{} has the licence \"{licence}\", which needs more than {LICENCES:?}: take another package, or add the licence",
            name(package)
        );
    }
}

#[test]
fn everything_comes_from_crates_io_with_a_checksum() {
    let locked = locked();
    assert!(locked.len() > 50, "only {}: this test no longer finds what it checks", locked.len());
    for package in &locked {
        let field = |key: &str| package.get(key).map_or("", String::as_str);
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert_eq!(field("source"), registry, "{} comes from another registry", field("name"));
        assert_eq!(field("checksum").len(), 64, "{} has no checksum", field("name"));
    }
}

#[test]
fn no_package_is_there_twice_or_refused() {
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for package in locked() {
        *versions.entry(package["name"].clone()).or_default() += 1;
    }
    let duplicates: Vec<&str> =
        versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name.as_str()).collect();
    let borne: Vec<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    // The lists must be equal, so that an entry is removed when its reason no longer exists.
    assert_eq!(duplicates, borne, "packages in several versions (left) and the accepted ones (right)");
    for (refused, why) in REFUSED {
        assert!(
            !versions.contains_key(refused),
            "{refused} is a new dependency: {why}; `cargo tree -i {refused}` shows which package needs it"
        );
    }
}

#[test]
fn code_that_runs_while_building_is_known() {
    let (packages, complete) = packages();
    let runs = |package: &&Value| {
        let targets = package["targets"].as_array().unwrap();
        let kinds = targets.iter().flat_map(|target| target["kind"].as_array().unwrap());
        kinds.into_iter().any(|kind| kind == "custom-build" || kind == "proc-macro")
    };
    let found: BTreeSet<&str> = packages.iter().filter(runs).map(name).collect();
    let known: BTreeSet<&str> = RUNS_WHILE_BUILDING.iter().map(|(name, _)| *name).collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} run code during the build: read it, then add a description");
    if complete {
        let gone: Vec<_> = known.difference(&found).collect();
        assert!(gone.is_empty(), "{gone:?} no longer run code during the build: remove them from the list");
    }
    for package in packages.iter().filter(|package| !package["links"].is_null()) {
        assert!(LINKS.contains(&name(package)), "{} links the library {}", name(package), package["links"]);
    }
}

/// The contents of the ```sh blocks of a page: one command per line, without the comments at the
/// end.
fn commands_of(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in page.split("```sh\n").skip(1) {
        let lines = block.split("```").next().unwrap_or_default().lines();
        commands.extend(lines.map(|line| line.split("  #").next().unwrap_or_default().trim().to_string()));
    }
    commands
}

/// The commands of a justfile, one per line, with parameters in the notation of CONTRIBUTING.md.
fn recipes(justfile: &str) -> Vec<String> {
    let indented = justfile.lines().filter_map(|line| line.strip_prefix("    "));
    // The default recipe only lists the others.
    let commands = indented.filter(|line| *line != "just --list");
    commands.map(|line| line.replace("{{", "").replace("}}", "")).collect()
}

#[test]
fn the_justfile_has_the_commands_of_contributing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let recipes = recipes(&fs::read_to_string(root.join(".justfile")).unwrap());
    assert!(recipes.len() > 10, "only {}: this test no longer finds what it checks", recipes.len());
    let in_blocks = commands_of(&page);
    for command in &recipes {
        let is_known = in_blocks.iter().any(|line| line.split(" # ").next().unwrap_or_default() == command)
            || page.contains(&format!("`{command}`"))
            || page.contains(&format!("[{command}]"));
        assert!(is_known, ".justfile has `{command}`, CONTRIBUTING.md does not: change one of them");
    }
    let is_cargo = |line: &&String| {
        let mut words = line.split(' ').skip_while(|word| word.contains('='));
        words.next() == Some("cargo")
    };
    for command in in_blocks.iter().filter(is_cargo) {
        assert!(
            recipes.contains(command),
            "CONTRIBUTING.md has `{command}`, .justfile does not: add a recipe, or remove it from the page"
        );
    }
}

/// The files that `cargo package` puts into the published crate.
fn packaged() -> BTreeSet<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["package", "--list", "--allow-dirty", "--offline", "--quiet"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // On Windows, cargo prints paths with Windows separators.
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.replace('\\', "/")).collect()
}

/// The files that a source includes by `include_str!`, `include_bytes!` and `#[path]`, as paths from the root.
fn included(source: &Path, text: &str) -> Vec<String> {
    let folder = source.parent().unwrap();
    let mut files = Vec::new();
    let starts = ["include_str!(\"", "include_bytes!(\"", "#[path = \""];
    for quoted in starts.iter().flat_map(|start| text.split(start).skip(1)) {
        let path = quoted.split('"').next().unwrap_or_default();
        let mut parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
        for part in path.split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        files.push(parts.join("/"));
    }
    files
}

#[test]
fn the_published_crate_has_what_it_is_built_from_and_not_much_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packaged = packaged();
    let sources = packaged.iter().filter(|file| file.ends_with(".rs"));
    let (mut checked, mut needed) = (0, BTreeSet::new());
    for source in sources {
        for file in included(Path::new(source), &fs::read_to_string(root.join(source)).unwrap()) {
            assert!(packaged.contains(&file), "{source} includes {file}: add it to `include` in Cargo.toml");
            checked += 1;
            needed.insert(file);
        }
    }
    assert!(checked > 15, "only {checked}: this test no longer finds what it checks");
    // Unit tests, benchmarks and examples of the package read files too.
    let mut read = 0;
    for source in packaged.iter().filter(|file| file.ends_with(".rs")) {
        let text = fs::read_to_string(root.join(source)).unwrap();
        for piece in text.split("tests/data/").skip(1) {
            let name = piece.split(['"', '`', ')', ' ', '\n']).next().unwrap();
            let file = format!("tests/data/{}", name.trim_start_matches("./"));
            assert!(packaged.contains(&file), "{source} reads {file}: add it to `include` in Cargo.toml");
            read += 1;
        }
    }
    assert!(read > 8, "only {read}: this test no longer finds what it checks");
    for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md", "src/capi/occlude.h"] {
        assert!(packaged.contains(file), "{file} is missing: add it to `include` in Cargo.toml");
    }
    for file in &packaged {
        let is_kept_out = file.starts_with("tools/")
            || file.starts_with("tests/") && file.ends_with(".rs") && !needed.contains(file);
        assert!(!is_kept_out, "{file} would be published: see `include` in Cargo.toml");
    }
    // Registries accept at most 10 MB, compressed. The built-in network has 3 MB and cannot be
    // compressed.
    let size = |file: &String| fs::metadata(root.join(file)).map_or(0, |metadata| metadata.len());
    let total: u64 = packaged.iter().map(size).sum();
    assert!(total < 6_500_000, "{total} bytes would be published");
}
