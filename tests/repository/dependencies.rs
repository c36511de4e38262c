//! The complete list of the library's dependencies, by name. A new dependency must be added here
//! too.

use std::collections::BTreeSet;
use std::process::Command;

/// The packages of the library without features: its three dependencies and their dependencies.
/// serde_json belongs to safetensors (the header is JSON), and so do tempfile and its dependencies.
const BARE: &str = "
    matrixmultiply rawpointer
    safetensors hashbrown allocator-api2 equivalent foldhash serde serde_core serde_json itoa memchr zmij
    serde_derive proc-macro2 quote syn unicode-ident
    tempfile bitflags cfg-if fastrand getrandom libc linux-raw-sys once_cell rustix
    wide bytemuck safe_arch";

const RAYON: &str = "rayon rayon-core crossbeam-deque crossbeam-epoch crossbeam-utils either";

/// The packages for PNG and JPEG.
const IMAGE: &str = "
    image byteorder-lite moxcms num-traits pxfm
    libjpeg-turbo-rs thiserror thiserror-impl
    png crc32fast fdeflate flate2 miniz_oxide adler2 simd-adler32";

/// The packages for the archives that PyTorch writes.
const ZIP: &str = "zip constant_time_eq crc32fast indexmap typed-path zeroize zeroize_derive";

/// The names of the packages that the library with these features contains on this machine.
fn packages(features: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-default-features",
    ]);
    let output = cargo.args(["--features", features]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "occlude").map(str::to_string).collect()
}

// The system packages of tempfile and getrandom differ between systems.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_library_depends_on_these_packages_and_no_others() {
    for (features, expected) in [
        ("", vec![BARE]),
        ("rayon", vec![BARE, RAYON]),
        ("image", vec![BARE, IMAGE]),
        ("rayon,image", vec![BARE, RAYON, IMAGE]),
        ("rayon,capi", vec![BARE, RAYON]),
        ("pth", vec![BARE, ZIP]),
    ] {
        let expected: BTreeSet<String> =
            expected.iter().flat_map(|names| names.split_whitespace()).map(str::to_string).collect();
        let found = packages(features);
        let added: Vec<_> = found.difference(&expected).collect();
        let gone: Vec<_> = expected.difference(&found).collect();
        assert!(
            added.is_empty() && gone.is_empty(),
            "features \"{features}\": added {added:?}, gone {gone:?}"
        );
    }
}
