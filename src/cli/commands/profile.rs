//! `occlude profile`: prints the multiply-adds and the time of each layer, as measured by the
//! library.

use std::fmt::Write;
use std::process::ExitCode;

use occlude::{GoogLeNet, LayerProfile, OcclusionSensitivity, Profile, Result};
use serde_json::json;

use crate::cli::args::{self, Common, Size};
use crate::cli::explanation::LoadedPhotograph;
use crate::cli::output::table::counted;
use crate::cli::terminal::console;
use crate::cli::terminal::threads::on_threads;
use crate::cli::weights;

pub fn run(common: &Common, args: &args::Profile) -> Result<ExitCode> {
    on_threads(args.threads, || profile(common, args))
}

fn profile(common: &Common, args: &args::Profile) -> Result<ExitCode> {
    let input = LoadedPhotograph::open(&args.image)?.photograph.picture(common.resize).input();
    let weights = weights::open(common)?;
    let network = weights::describe(&weights);
    let net = GoogLeNet::new(&weights)?;
    let mut sweep = OcclusionSensitivity::new(&net);
    if let Some(Size::Pixels(mask_size)) = args.mask_size {
        sweep = sweep.mask_size(mask_size);
    }
    if let Some(Size::Pixels(stride)) = args.stride {
        sweep = sweep.stride(stride);
    }
    let one_pass = args.mask_size.is_none() && args.stride.is_none();
    net.check_memory()?;
    let measure = || if one_pass { Ok(net.profile(&input)) } else { sweep.profile(&input) };
    // The first run warms up the caches. The run with the median time of the others is printed.
    let mut runs = (0..=args.runs).map(|_| measure()).collect::<Result<Vec<Profile>>>()?;
    runs.remove(0);
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let profile = &runs[runs.len() / 2];
    let peak = net.isa().measure_peak();
    let threads = rayon::current_num_threads();
    console::print(&if args.json {
        as_json(&net, &network, profile, threads, peak)
    } else {
        table(&net, profile, threads, peak)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn table(net: &GoogLeNet, profile: &Profile, threads: usize, peak: f64) -> String {
    let mut text = String::new();
    let line = "writing to a string";
    writeln!(
        text,
        "{} on {}, {}; {:.2} ms; peak rate of a core {peak:.1} GFLOP/s",
        if profile.images == 1 { "one pass".to_string() } else { format!("{} masks", profile.images) },
        counted(threads, "thread"),
        net.isa(),
        1e3 * profile.seconds,
    )
    .expect(line);
    writeln!(
        text,
        "\n{:<25} {:>13} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "layer", "output", "dense M", "affected", "executed", "core ms", "at peak", "GFLOP/s", "of peak"
    )
    .expect(line);
    for layer in profile.layers.iter().chain([&profile.total()]) {
        let [height, width, channels] = layer.shape;
        let shape = if height == 0 { String::new() } else { format!("{height}x{width}x{channels}") };
        write!(text, "{:<25} {shape:>13} ", layer.name).expect(line);
        if layer.dense == 0 {
            writeln!(text, "{:>10} {:>9} {:>9} {:>9.2}", "", "", "", 1e3 * layer.seconds).expect(line);
            continue;
        }
        let share = |part: u64| format!("{:.1} %", 100.0 * part as f64 / layer.dense as f64);
        writeln!(
            text,
            "{:>10.1} {:>9} {:>9} {:>9.2} {:>9.2} {:>9.1} {:>5.0} %",
            1e-6 * layer.dense as f64,
            share(layer.affected),
            share(layer.executed),
            1e3 * layer.seconds,
            1e3 * layer.seconds * layer.gflops() / peak,
            layer.gflops(),
            100.0 * layer.gflops() / peak,
        )
        .expect(line);
    }
    text
}

fn as_json(net: &GoogLeNet, network: &str, profile: &Profile, threads: usize, peak: f64) -> String {
    let layer = |l: &LayerProfile| {
        json!({
            "name": l.name,
            "shape": l.shape,
            "dense_multiply_adds": l.dense,
            "affected_multiply_adds": l.affected,
            "executed_multiply_adds": l.executed,
            "core_seconds": l.seconds,
            "core_seconds_at_peak": 2e-9 * l.executed as f64 / peak,
            "gflops": if l.executed == 0 { 0.0 } else { l.gflops() },
        })
    };
    let object = json!({
        "network": network,
        "images": profile.images,
        "threads": threads,
        "isa": net.isa().to_string(),
        "elapsed_seconds": profile.seconds,
        "peak_gflops_per_core": peak,
        "layers": profile.layers.iter().map(layer).collect::<Vec<_>>(),
        "total": layer(&profile.total()),
    });
    format!("{object:#}\n")
}
