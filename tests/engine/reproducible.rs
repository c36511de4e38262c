//! Tests of the claim of equal bits, for the whole path from a picture to its maps: with any
//! instruction set, any number of threads, incremental or not. The bits equal those that this file
//! contains, which every other machine and every later version must reproduce.

use std::ops::RangeInclusive;

use crate::common::{SEED, picture};
use occlude::{
    Faithfulness, Feature, GoogLeNet, Isa, MaskValue, OcclusionSensitivity, Picture, Resize, Score,
    Upsampling, Weights,
};

/// FNV-1a of the bits, with the low byte first.
fn hash(values: impl IntoIterator<Item = u32>) -> u64 {
    let bytes = values.into_iter().flat_map(u32::to_le_bytes);
    bytes.fold(0xcbf29ce484222325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3))
}

fn of_floats(values: &[f32]) -> u64 {
    hash(values.iter().map(|value| value.to_bits()))
}

/// The seeded network's results for the formula picture, which is shrunk from 300x260 so that the
/// results include resampling. Each part has its own hash, so that a difference shows the first
/// part that changed.
///
/// The hashes are the same on every machine. No step uses a mathematical library, whose functions
/// may round differently (`f32::mul_add` and `sqrt` have one correct result). A change of a hash is
/// a change of the results' bits and needs a new major version (see the crate's documentation).
const GOLDEN: [(&str, u64); 10] = [
    ("resized picture", 0x7fe0952793e7f009),
    ("logits", 0x98137693e96b3f65),
    ("probabilities", 0x33c813989b38301c),
    ("scores under grey masks", 0x915ec35082165be7),
    ("scores under a blur", 0xa468cc50bc468b02),
    ("total activations", 0x75eba9432be65986),
    ("enlarged map", 0x97eda319b39e1825),
    ("window means", 0xef46c870a7c2ec55),
    ("Grad-CAM", 0xb026e50d920091c5),
    ("deletion and insertion", 0x658a7bf420d37f58),
];

/// The numbers of threads that are compared. WebAssembly has one.
const THREADS: RangeInclusive<usize> = if cfg!(target_family = "wasm") { 1..=1 } else { 1..=3 };

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    if *THREADS.end() == 1 {
        return work();
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn results(net: &GoogLeNet, threads: usize, exhaustive: bool) -> Vec<(&'static str, u64)> {
    let rgb: Vec<u8> = picture().into_iter().cycle().take(260 * 300 * 3).collect();
    let picture = Picture::from_rgb(260, 300, &rgb, Resize::CenterCrop).unwrap();
    let input = picture.input();
    on_threads(threads, || {
        let activations = net.forward(&input);
        let classification = activations.classification();
        assert_eq!(net.classify(&input), classification);
        let sweep = OcclusionSensitivity::new(net)
            .mask_size([100, 90])
            .stride([224, 112])
            .classes(classification.top(2))
            .features([Feature { layer: "inception_4c/output".to_string(), channel: None }])
            .exhaustive(exhaustive);
        let grey = sweep.run(&input).unwrap();
        assert_eq!(grey.grid, [1, 2]);
        let blurred = sweep.clone().mask_value(MaskValue::Blur(8.0)).score(Score::Logit).run(&input).unwrap();
        let cam = net.grad_cam(&activations, &grey.classes).unwrap();
        let ranking = grey.attributions(0);
        let curves = Faithfulness::new(net).steps(2).exhaustive(exhaustive);
        let curves = curves.run(&input, &[(grey.classes[0], &ranking)]).unwrap();
        let most_probable = grey.argmax.iter().map(|&class| class as u32);
        let scores = grey.scores.iter().chain(&grey.argmax_scores).map(|score| score.to_bits());
        let totals = &grey.features[0].totals;
        vec![
            ("resized picture", hash(picture.rgb().iter().map(|&level| level.into()))),
            ("logits", of_floats(&classification.logits)),
            ("probabilities", of_floats(&classification.probabilities)),
            ("scores under grey masks", hash(scores.chain(most_probable))),
            ("scores under a blur", of_floats(&[&blurred.base_scores[..], &blurred.scores].concat())),
            ("total activations", of_floats(&[&[grey.features[0].base_total], &totals[..]].concat())),
            ("enlarged map", of_floats(&grey.upsampled(0, Upsampling::Bicubic))),
            ("window means", of_floats(&ranking)),
            ("Grad-CAM", of_floats(&cam.maps)),
            ("deletion and insertion", of_floats(&[&curves[0].deletion[..], &curves[0].insertion].concat())),
        ]
    })
}

fn assert_golden(isa: Isa, threads: usize, exhaustive: bool) {
    let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap().with_isa(isa);
    let found = results(&net, threads, exhaustive);
    let differ: Vec<_> = found.iter().zip(&GOLDEN).filter(|(found, golden)| found != golden).collect();
    assert!(
        differ.is_empty(),
        "{isa}, {threads} threads, exhaustive {exhaustive}: found, golden: {differ:x?}"
    );
}

fn fast() -> impl Iterator<Item = Isa> {
    Isa::all_available().into_iter().filter(|isa| *isa != Isa::SCALAR)
}

/// Also run where each sweep takes long: under an emulator.
#[test]
fn the_fast_kernels_have_the_golden_bits() {
    fast().for_each(|isa| assert_golden(isa, 2, false));
}

#[test]
fn any_number_of_threads_and_the_exhaustive_sweep_have_the_golden_bits() {
    for isa in fast() {
        THREADS.for_each(|threads| assert_golden(isa, threads, false));
        assert_golden(isa, 2, true);
    }
}

/// Tests the code that a machine without fast kernels runs. A pass takes a second where fused
/// multiply-adds are emulated, so the test makes one sweep.
#[test]
fn the_scalar_kernels_have_the_golden_bits() {
    assert_golden(Isa::SCALAR, 3, false);
}

/// Tests of the files that the command writes.
#[cfg(feature = "cli")]
mod command {
    use crate::common::command::{folder, seeded, succeed};
    use occlude::Isa;
    use serde_json::Value;
    use std::fs;
    use std::path::Path;

    const SWEEP: [&str; 6] = ["--mask-size", "120", "--stride", "224x120", "--classes", "top2"];

    /// The fast kernels on one, two and three threads, and the slow scalar kernels on two threads.
    fn machines() -> impl Iterator<Item = (String, &'static str)> {
        let threads = |isa: Isa| if isa == Isa::SCALAR { &["2"][..] } else { &["1", "2", "3"] };
        Isa::all_available()
            .into_iter()
            .flat_map(move |isa| threads(isa).iter().map(move |&n| (isa.to_string(), n)))
    }

    /// `map.json` records the machine and the time of the run. All its other contents are the
    /// result.
    #[test]
    fn explain_writes_the_same_results_on_each() {
        let folder = folder();
        let mut results = Vec::new();
        for (isa, threads) in machines() {
            let out = format!("{isa}-{threads}");
            let mut command =
                seeded(&folder, &["explain", "picture.png", "--out", &out, "--threads", threads]);
            command
                .args(SWEEP)
                .args(["--activation", "inception_5a/output:strongest"])
                .env("OCCLUDE_ISA", &isa);
            succeed(command);
            let file = folder.path().join(&out).join("map.json");
            let mut map: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            assert_eq!(map["isa"], isa.as_str());
            assert_eq!(map["threads"].to_string(), threads);
            for what_it_ran_on in ["isa", "threads", "elapsed_seconds"] {
                assert!(map.as_object_mut().unwrap().remove(what_it_ran_on).is_some(), "{what_it_ran_on}");
            }
            results.push((out, map.to_string()));
        }
        for (out, map) in &results[1..] {
            assert_eq!(*map, results[0].1, "{out} and {}", results[0].0);
        }
    }

    /// Compares all files, including pictures.
    #[test]
    fn batch_writes_the_same_bytes_on_each() {
        let folder = folder();
        let mut results = Vec::new();
        for (isa, threads) in machines() {
            let out = format!("{isa}-{threads}");
            let mut command = seeded(&folder, &["batch", "picture.png", "--out", &out, "--threads", threads]);
            command.args(SWEEP).env("OCCLUDE_ISA", &isa);
            assert!(command.status().unwrap().success());
            let files = files(&folder.path().join(&out));
            assert!(files.len() > 3, "{files:?}");
            results.push((out, files));
        }
        for (out, files) in &results[1..] {
            for ((name, bytes), (first_name, first)) in files.iter().zip(&results[0].1) {
                assert_eq!(name, first_name);
                assert!(bytes == first, "{name} of {out} and {} differ", results[0].0);
            }
            assert_eq!(files.len(), results[0].1.len());
        }
    }

    /// The paths below a folder, with the bytes of each file.
    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let all = crate::common::command::listing(folder).into_iter().filter(|path| path.is_file());
        let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
        all.map(|path| (name(&path), fs::read(path).unwrap())).collect()
    }
}
