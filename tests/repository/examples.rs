//! Runs the examples as a new user does, with only the repository, and checks their output.

use std::env;
use std::process::Command;

/// The output of an example.
fn run(name: &str, arguments: &[&str]) -> String {
    // This program is target/release/deps/repository-0123. `cargo test` builds the examples in this
    // target folder too, but `cargo test --test repository` does not.
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_path_buf();
    let mut build = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    build.args(["build", "--quiet", "--locked", "--example", name, "--target-dir"]).arg(&target);
    let mut profile = "debug";
    if !cfg!(debug_assertions) {
        build.arg("--release");
        profile = "release";
    }
    if !cfg!(feature = "cli") {
        build.arg("--no-default-features");
    }
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "{build:?}");

    let file = target.join(profile).join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    let mut command = Command::new(file);
    // No trained weights are used, so the output does not depend on the machine.
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("OCCLUDE_WEIGHTS", "no-such-file");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    assert!(
        errors.starts_with("cannot read no-such-file: no such file") && errors.contains("weights are random"),
        "{errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The number that follows a text.
fn number_after(text: &str, before: &str) -> f32 {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no \"{before}\" in {text}")).1;
    let digits = rest.trim_start().split([' ', ':', ',', ';', '\n', '%']).next().unwrap();
    digits.parse().unwrap_or_else(|_| panic!("\"{digits}\" after \"{before}\" in {text}"))
}

#[test]
fn embed_maps_a_picture_in_memory() {
    let text = run("embed", &[]);
    assert!((0.0..=1.0).contains(&number_after(&text, "probability")), "{text}");
    assert!((0.0..224.0).contains(&number_after(&text, "at row")), "{text}");
}

#[test]
fn progress_and_cancel_shows_coarse_maps_and_stops() {
    let text = run("progress_and_cancel", &[]);
    assert!(text.contains("every 4 rows and columns (4 of 49 positions)"), "{text}");
    assert!(
        text.contains("all 49 positions, 100 %") && text.contains("stopped half way, as asked"),
        "{text}"
    );
}

#[cfg(feature = "image")]
#[test]
fn custom_mask_covers_in_four_ways_and_refuses_nonsense() {
    let text = run("custom_mask", &[]);
    for part in ["255,0,0", "blur:12", "noise:7", "a disc in the middle: "] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains("refused: mask size 90x500 is not possible"), "{text}");
}

#[cfg(all(feature = "image", feature = "rayon"))]
#[test]
fn many_images_reports_what_fails_and_does_the_rest() {
    let text = run("many_images", &[]);
    assert!(text.contains("failed: tests/data/README.md: ") && text.contains("2 of 3 pictures"), "{text}");
}
