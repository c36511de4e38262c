//! The package that `tools/install.sh` makes, and programs that are linked with it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{compiler, has, root, succeed};

/// The folder of a package, as DESTDIR, into which `tools/install.sh` has installed both libraries, with
/// the features of the tests, whose dependencies are available.
fn package() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
        let mut install = Command::new("sh");
        install.arg(root().join("tools/install.sh")).args(["--locked", "--offline"]).env("DESTDIR", &folder);
        install.env("PREFIX", PREFIX).env("FEATURES", "default,capi");
        install.env("PROFILE", if cfg!(debug_assertions) { "dev" } else { "release" });
        // CARGO_TARGET_TMPDIR is target/tmp.
        install.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
        succeed(&mut install);
        folder
    })
}

/// No folder that a compiler searches by itself.
const PREFIX: &str = "/opt/occlude";

pub fn libraries() -> PathBuf {
    package().join(&PREFIX[1..]).join("lib")
}

/// Compiles a program with these arguments for the library.
pub fn compile(source: &str, library: &[OsString], program: &Path) {
    let mut path = OsString::from("-Wl,-rpath,");
    path.push(libraries());
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    cc.arg(package().join(&PREFIX[1..]).join("include")).arg(root().join(source)).args(library).arg(path);
    succeed(cc.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(program));
}

/// The arguments for the shared library, as programs name it, and for the static one.
pub fn shared() -> Vec<OsString> {
    vec!["-L".into(), libraries().into(), "-locclude".into()]
}

pub fn fixed() -> Vec<OsString> {
    vec![libraries().join("libocclude.a").into()]
}

/// A program names the library with the number of the versions that it can run with.
#[test]
fn a_package_has_what_its_users_look_for() {
    if !compiler() {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let numbers: Vec<&str> = version.split('.').collect();
    let number = if numbers[0] == "0" { numbers[..2].join(".") } else { numbers[0].to_string() };
    let link = |name: &str| fs::read_link(libraries().join(name)).unwrap();
    assert_eq!(link("libocclude.so"), PathBuf::from(format!("libocclude.so.{number}")));
    assert_eq!(link(&format!("libocclude.so.{number}")), PathBuf::from(format!("libocclude.so.{version}")));

    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("explain");
    compile("examples/c/explain.c", &shared(), &program);
    let needed = format!("\0libocclude.so.{number}\0");
    let bytes = fs::read(&program).unwrap();
    assert!(bytes.windows(needed.len()).any(|bytes| bytes == needed.as_bytes()), "{needed:?}");

    let mut probe = Command::new("pkg-config");
    probe.arg("--version");
    if !has("pkg-config", probe, "OCCLUDE_REQUIRE_PKG_CONFIG") {
        return;
    }
    let pkg_config = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("occlude").env("PKG_CONFIG_SYSROOT_DIR", package());
        succeed(command.env("PKG_CONFIG_PATH", libraries().join("pkgconfig")))
    };
    assert_eq!(pkg_config(&["--modversion"]).trim(), version);
    let arguments = pkg_config(&["--cflags", "--libs"]);
    // Without the paths of `compile`.
    let mut cc = Command::new("cc");
    cc.arg(root().join("examples/c/explain.c")).args(arguments.split_whitespace()).arg("-o").arg(&program);
    succeed(&mut cc);
}
