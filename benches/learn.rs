//! Times the two parts of `occlude learn`: the features of many photographs, and the training on them:
//! `cargo bench --bench learn`. It prints medians and asserts nothing. The network is the built-in one, or
//! another one that is found; the features of the training are random numbers of its width.

mod common;

use common::median;
use occlude::learn::{Features, Fit, cross_validate};
use occlude::{GoogLeNet, Photograph, Resize, parallel, weights};

/// The photographs, the classes and the views of the training.
const PHOTOGRAPHS: usize = 2000;
const CLASSES: usize = 10;

/// Random features, larger where they belong to the class, mostly zero as those of photographs.
fn features(width: usize) -> (Features, Vec<usize>) {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut features = Features::new(width).expect("a width");
    let mut targets = Vec::new();
    for row in 0..PHOTOGRAPHS * Photograph::VIEWS {
        let class = row / Photograph::VIEWS % CLASSES;
        let value = |column: usize| {
            let part = (random() - 0.5).max(0.0);
            4.0 * part * part + if column % CLASSES == class { 0.04 } else { 0.0 }
        };
        features.push(&(0..width).map(value).collect::<Vec<_>>()).expect("memory");
        targets.push(class);
    }
    (features, targets)
}

fn main() {
    let weights = weights::find(None).and_then(|source| source.load()).expect("the built-in network");
    let net = GoogLeNet::new(&weights).expect("a usable instruction set");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");
    let input = Photograph::open(path).expect("the committed photograph").picture(Resize::Stretch).input();
    println!("{}, {}", weights.name(), net.isa());
    let count = 40;
    let one_by_one = median(5, || (0..count).for_each(|_| drop(net.features(&input)))) / count as f64;
    let each = median(5, || drop(parallel::each(count, |_| net.features(&input)))) / count as f64;
    println!("features: {:.2} ms each, one after the other with all threads", 1e3 * one_by_one);
    println!("features: {:.2} ms each, several at the same time", 1e3 * each);

    let (features, targets) = features(net.features_len());
    let rows: Vec<usize> = (0..features.count()).collect();
    let fit = Fit { features: &features, targets: &targets, classes: CLASSES, fixed: None, l2: 0.01 };
    let folds: Vec<usize> = (0..PHOTOGRAPHS).map(|photograph| photograph / CLASSES % 5).collect();
    let mut l2 = 0.0;
    let validation = median(3, || {
        l2 = cross_validate(&fit, Photograph::VIEWS, &folds, &mut |_, _| Ok(())).expect("in range").l2;
    });
    let training = median(3, || drop(Fit { l2, ..fit }.run(&rows).expect("in range")));
    println!(
        "{PHOTOGRAPHS} photographs of {CLASSES} classes, {} features: cross-validation {validation:.2} s, training {training:.2} s",
        features.width()
    );
}
