//! A sweep that reports its progress and shows a coarse map first, and a second sweep that is cancelled half way, as in a
//! program with a window.
//!
//! `cargo run --release --example progress_and_cancel`

use occlude::{
    Error, GoogLeNet, OcclusionSensitivity, Picture, Progress, Refinement, Resize, Weights, weights,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn main() -> occlude::Result<()> {
    let weights = weights::find(None).and_then(|source| source.load()).unwrap_or_else(|error| {
        eprintln!("{error}\n\nSo the weights are random: everything works, and means nothing.");
        Weights::seeded(1)
    });
    let net = GoogLeNet::new(&weights)?;
    let rgb: Vec<u8> = (0..100 * 100 * 3).map(|i| (i * i % 251) as u8).collect();
    let input = Picture::from_rgb(100, 100, &rgb, Resize::Stretch)?.input();
    let sweep = OcclusionSensitivity::new(&net).mask_size([60, 60]).stride([32, 32]);

    // Callbacks run on the sweep's threads and should be quick. They capture shared data by reference.
    let most = AtomicUsize::new(0);
    let on_progress = |progress: Progress| {
        most.fetch_max(progress.done * 100 / progress.total, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let on_refinement = |refinement: &Refinement| {
        println!(
            "every {} rows and columns ({} of {} positions): largest drop so far {:+.5}",
            refinement.step,
            refinement.progress.done,
            refinement.progress.total,
            refinement.maps.map(0).max()
        );
        ControlFlow::Continue(())
    };
    let maps = sweep.clone().on_progress(&on_progress).on_refinement(&on_refinement).run(&input)?;
    println!("all {} positions, {} %", maps.argmax.len(), most.into_inner());

    // Other code, such as a button, can set the flag at any time; the sweep stops within a few milliseconds.
    let stop = AtomicBool::new(false);
    let press = |progress: Progress| {
        if progress.done * 2 >= progress.total {
            stop.store(true, Ordering::Relaxed);
        }
        ControlFlow::Continue(())
    };
    let stopped = sweep.cancel(&stop).on_progress(&press).run(&input);
    match stopped {
        Err(Error::Cancelled) => println!("stopped half way, as asked"),
        Err(other) => return Err(other),
        Ok(_) => println!("was faster than the button"),
    }
    Ok(())
}
