//! Times a sweep in a crate that depends on the library, for several profiles of that crate:
//! `cargo bench --bench host_profiles`. A dependency is compiled with the profile of the crate that uses it, and the
//! kernels must not depend on it. The bench builds the crate once for each profile in a temporary folder, which takes some
//! minutes, and runs it on one thread, without features but for the built-in network.

use std::fs;
use std::path::Path;
use std::process::Command;

use occlude::{Isa, Picture, Resize};

/// Runs of each program; the median counts.
const RUNS: usize = 5;

/// Names of profiles and their settings. The first is the measure of the others.
const PROFILES: [(&str, &str); 5] = [
    ("usual", ""),
    ("lto-off", "lto = \"off\""),
    ("opt-level-1", "opt-level = 1"),
    ("opt-level-s", "opt-level = \"s\""),
    ("opt-level-s-lto-off", "opt-level = \"s\"\nlto = \"off\""),
];

const PROGRAM: &str = r#"
fn main() -> occlude::Result<()> {
    let rgb = std::fs::read("picture.rgb").expect("the file of the bench");
    let input = occlude::Picture::from_rgb(224, 224, &rgb, occlude::Resize::Stretch)?.input();
    let net = occlude::GoogLeNet::new(&occlude::Weights::builtin())?;
    let sweep = occlude::OcclusionSensitivity::new(&net).mask_size([45, 45]).stride([22, 22]);
    let start = std::time::Instant::now();
    sweep.run(&input)?;
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}
"#;

fn main() {
    let library = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let host = folder.path();
    let picture = Picture::open(format!("{library}/tests/data/chelsea.png"), Resize::Stretch);
    fs::write(host.join("picture.rgb"), picture.expect("the committed photograph").rgb()).expect("a file");
    fs::create_dir(host.join("src")).expect("a folder");
    fs::write(host.join("src/main.rs"), PROGRAM).expect("a file");
    // The same versions of all packages, which are there already.
    fs::copy(format!("{library}/Cargo.lock"), host.join("Cargo.lock")).expect("a file");
    let mut manifest = format!(
        "[package]\nname = \"host\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies.occlude]\npath = {library:?}\n\
         default-features = false\nfeatures = [\"builtin\"]\n[profile.dev.package.occlude]\nopt-level = 2\n"
    );
    for (name, settings) in PROFILES {
        manifest += &format!("[profile.{name}]\ninherits = \"release\"\n{settings}\n");
    }
    fs::write(host.join("Cargo.toml"), manifest).expect("a file");

    let mut names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
    names.push("dev");
    for name in &names {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--offline", "--profile", name]);
        build.current_dir(host).env("CARGO_TARGET_DIR", "target");
        assert!(build.status().expect("cargo starts").success(), "{name}");
    }
    for isa in Isa::all_available().into_iter().filter(|isa| *isa != Isa::SCALAR) {
        println!("\n{isa}, one thread, 121 positions");
        let times = measure(host, &names, isa);
        for (name, time) in names.iter().zip(&times) {
            let note = if *name == "dev" { " (the library with opt-level = 2)" } else { "" };
            println!("{name:<20} {time:7.3} s {:6.2} x{note}", time / times[0]);
        }
    }
}

/// The median times of the programs of all profiles, which run in turns.
fn measure(host: &Path, names: &[&str], isa: Isa) -> Vec<f64> {
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..RUNS {
        for (name, times) in names.iter().zip(&mut times) {
            let folder = if *name == "dev" { "debug" } else { name };
            let mut program = Command::new(host.join("target").join(folder).join("host"));
            let output = program.current_dir(host).env("OCCLUDE_ISA", isa.to_string()).output();
            let output = output.expect("the program starts");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            times.push(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("seconds"));
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 2]
    };
    times.iter_mut().map(median).collect()
}
