//! Fuzzes the command line, with one argument per line: every accepted value is within the limits
//! in the help.
#![no_main]
#![allow(dead_code, reason = "only the arguments are used")]

#[path = "../../../src/cli/mod.rs"]
mod cli;

use clap::Parser;
use cli::args::classes::Classes;
use cli::args::{Arguments, Command, Drawing, Size, Sweep};
use libfuzzer_sys::fuzz_target;
use occlude::{Labels, MaskValue};

fuzz_target!(|text: &str| {
    let arguments = std::iter::once("occlude").chain(text.split('\n'));
    let Ok(arguments) = Arguments::try_parse_from(arguments) else { return };
    match &arguments.command {
        Command::Classify(classify) => assert!(classify.top != Some(0)),
        Command::Explain(explain) => {
            check_sweep(&explain.sweep);
            check_drawing(&explain.figures.drawing);
            assert!(!explain.figures.show.0.is_empty());
            check_threads(explain.pool.threads);
            check_classes(&explain.classes);
        }
        Command::Compare(compare) => {
            check_sweep(&compare.sweep);
            check_drawing(&compare.drawing);
            check_threads(compare.pool.threads);
            check_classes(&compare.classes);
        }
        Command::Gradcam(gradcam) => {
            check_threads(gradcam.pool.threads);
            check_classes(&gradcam.classes);
        }
        Command::Rise(rise) => {
            check_threads(rise.pool.threads);
            check_classes(&rise.classes);
        }
        Command::Region(region) => {
            check_sweep(&region.sweep);
            check_threads(region.pool.threads);
            check_classes(&region.classes);
            assert!((4..=224).contains(&region.tile) && region.threshold.level(&[1.0]).is_ok());
        }
        Command::Check(check) => {
            check_sweep(&check.sweep);
            check_threads(check.pool.threads);
            check_classes(&check.classes);
        }
        Command::Batch(batch) => {
            check_sweep(&batch.sweep);
            check_drawing(&batch.figures.drawing);
            check_threads(batch.threads);
            check_classes(&batch.classes);
            if let Some(shard) = batch.shard {
                assert!(shard.index < shard.of);
            }
        }
        Command::Features(features) => check_threads(features.pool.threads),
        Command::Trace(trace) => check_threads(trace.pool.threads),
        Command::Profile(profile) => {
            check_threads(profile.threads);
            assert!((1..=1000).contains(&profile.runs));
        }
        _ => {}
    }
});

fn check_threads(threads: Option<usize>) {
    assert!(threads.is_none_or(|threads| (1..=1024).contains(&threads)));
}

fn check_sweep(sweep: &Sweep) {
    for size in [sweep.mask_size, sweep.stride] {
        if let Size::Pixels(size) = size {
            assert!(size.iter().all(|length| (1..=224).contains(length)));
        }
    }
    if let Some(region) = sweep.region {
        assert!(region.y0 < region.y1 && region.y1 <= 224 && region.x0 < region.x1 && region.x1 <= 224);
    }
    match sweep.mask_value {
        MaskValue::Rgb(rgb) => assert!(rgb.iter().all(|level| (0.0..=255.0).contains(level))),
        MaskValue::Blur(sigma) => assert!((0.5..=100.0).contains(&sigma)),
        _ => {}
    }
    assert!(sweep.activation.iter().all(|feature| !feature.layer.is_empty()));
}

fn check_drawing(drawing: &Drawing) {
    assert!((0.0..=1.0).contains(&drawing.opacity));
}

/// Checks that the text of a parsed list parses to the same list again. (Without any list, a
/// command chooses the classes itself.)
fn check_classes(lists: &[String]) {
    if lists.is_empty() {
        return;
    }
    if let Ok(classes) = Classes::parse(lists, Labels::imagenet()) {
        assert_eq!(Classes::parse(&[classes.to_string()], Labels::imagenet()).ok(), Some(classes));
    }
}
