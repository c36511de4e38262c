//! Times loading, one forward pass, each layer of the pass, the sweeps, and a cold start of the
//! command, in one run: `cargo bench --bench speed`. It prints medians of several runs and asserts nothing.
//! `baseline.txt` is the output on the machine that the file names.
//!
//! If the trained weights are in one of their places, the benchmark maps the photograph with them.
//! Otherwise it uses the seeded network. About half of that network's activations are zero, so it
//! does more work than the trained network. `occlude profile` shows the cost of each layer, and
//! `tools/compare.py` shows the speed of other engines.

mod common;

use common::median;
use occlude::{GoogLeNet, Input, Isa, OcclusionSensitivity, Picture, Profile, Resize, Weights, weights};
use std::process::Command;

/// Prints the speed of each convolution on the picture's own activations: the speed that a dense
/// engine needs for the same time, and the speed of the operations that are carried out.
fn layers(net: &GoogLeNet, input: &Input) {
    let runs: Vec<Profile> = (0..15).map(|_| net.profile(input)).collect();
    println!(
        "  {:<25} {:>11} {:>9} {:>22} {:>18}",
        "layer", "output", "ms", "GFLOP/s, dense counted", "carried out"
    );
    for (at, layer) in runs[0].layers.iter().enumerate().filter(|(_, layer)| layer.dense > 0) {
        let mut seconds: Vec<f64> = runs.iter().map(|run| run.layers[at].seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let seconds = seconds[runs.len() / 2];
        let gflops = |products: u64| 2e-9 * products as f64 / seconds;
        let [height, width, channels] = layer.shape;
        println!(
            "  {:<25} {:>11} {:>9.3} {:>22.1} {:>18.1}",
            layer.name,
            format!("{height}x{width}x{channels}"),
            1e3 * seconds,
            gflops(layer.dense),
            gflops(layer.executed)
        );
    }
}

fn main() {
    let photograph = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");
    let picture = Picture::open(photograph, Resize::Stretch).expect("the committed photograph");
    let input = picture.input();
    let weights = match weights::find(None) {
        Ok(source) => {
            let load = || source.load().expect("the weights that were found");
            let found = load();
            println!("read and check {}: {:.1} ms", found.name(), 1e3 * median(5, || drop(load())));
            found
        }
        Err(_) => {
            println!("no trained weights found: the seeded network instead");
            Weights::seeded(1)
        }
    };
    let pack = || GoogLeNet::new(&weights).expect("a usable instruction set");
    println!("pack the weights: {:.1} ms", 1e3 * median(5, || drop(pack())));
    let classify = || {
        let command = Command::new(env!("CARGO_BIN_EXE_occlude")).args(["classify", photograph]).output();
        assert!(command.expect("the command starts").status.success());
    };
    if weights::find(None).is_ok() {
        println!("`occlude classify`, cold process to printed answer: {:.1} ms", 1e3 * median(9, classify));
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    for isa in Isa::all_available() {
        let net = pack().with_isa(isa);
        println!("\n{isa}: peak of a core {:.1} GFLOP/s", isa.measure_peak());
        for threads in [1, cores] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            // If the machine has no instruction for a fused multiply-add, the scalar instance
            // takes a second per pass.
            let runs = if isa == Isa::SCALAR { 1 } else { 15 };
            let pass = pool.install(|| median(runs, || drop(net.classify(&input))));
            println!("{threads} threads: forward pass {:.2} ms", 1e3 * pass);
            if isa != Isa::SCALAR && threads == 1 {
                pool.install(|| layers(&net, &input));
            }
            if isa == Isa::SCALAR {
                continue;
            }
            for (mask, stride) in [(45, 22), (15, 10)] {
                let sweep = OcclusionSensitivity::new(&net).mask_size([mask; 2]).stride([stride; 2]);
                let mut positions = 0;
                let seconds = pool.install(|| {
                    median(3, || positions = sweep.run(&input).expect("options in range").argmax.len())
                });
                println!(
                    "{threads} threads: mask {mask}, stride {stride}, {positions} positions: {seconds:.3} s, {:.2} ms each",
                    1e3 * seconds / positions as f64
                );
            }
        }
    }
}
