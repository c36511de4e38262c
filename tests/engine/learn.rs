//! Training of the last layer: the numbers of scikit-learn, and the same bits with any number of threads.

use std::fs;

use occlude::learn::{Features, Fit, LinearClassifier, cross_validate, wilson_interval};
use occlude::{GoogLeNet, Input, Labels, Weights, parallel};
use serde_json::Value;

use crate::common;

const ROWS: usize = 200;
const WIDTH: usize = 40;
const CLASSES: usize = 5;

/// The features of `tools/logistic.py`, and the class of each row.
fn features() -> (Features, Vec<usize>) {
    let mut integers = common::integers(1, ROWS * WIDTH).into_iter().map(|n| n as f64 / f64::from(1 << 23));
    let mut features = Features::new(WIDTH).unwrap();
    let targets: Vec<usize> = (0..ROWS).map(|row| row % CLASSES).collect();
    for target in &targets {
        let own = |column: usize| if column % CLASSES == *target { 0.25 } else { 0.0 };
        let row: Vec<f32> =
            (0..WIDTH).map(|column| (integers.next().unwrap().max(0.0) + own(column)) as f32).collect();
        features.push(&row).unwrap();
    }
    (features, targets)
}

fn reference() -> Value {
    serde_json::from_slice(&fs::read("tests/data/logistic.json").unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Compares the objective and the logits of the first row.
fn compare(trained: &LinearClassifier, features: &Features, wanted: &Value) {
    let objective = wanted["objective"].as_f64().unwrap();
    assert!((trained.objective - objective).abs() < 1e-6, "{} {objective}", trained.objective);
    for (logit, wanted) in trained.logits(features.row(0)).iter().zip(numbers(&wanted["logits"])) {
        assert!((logit - wanted).abs() < 5e-3, "{logit} {wanted}");
    }
}

fn best(logits: &[f64]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn the_training_has_scikit_learns_numbers() {
    let (features, targets) = features();
    let rows: Vec<usize> = (0..ROWS).collect();
    for wanted in reference()["scikit_learn"].as_array().unwrap() {
        let l2 = wanted["l2"].as_f64().unwrap();
        let fit = Fit { features: &features, targets: &targets, classes: CLASSES, fixed: None, l2 };
        let trained = fit.run(&rows).unwrap();
        compare(&trained, &features, wanted);
        let predicted: Vec<f64> =
            rows.iter().map(|&row| best(&trained.logits(features.row(row))) as f64).collect();
        assert_eq!(predicted, numbers(&wanted["predicted"]), "{l2}");
    }
}

#[test]
fn classes_that_join_others_have_scipys_numbers() {
    let (features, targets) = features();
    let rows: Vec<usize> = (0..ROWS).collect();
    let fixed = vec![(1f64.exp() + 2f64.exp()).ln(); ROWS];
    for wanted in reference()["fixed"].as_array().unwrap() {
        let classes = wanted["classes"].as_u64().unwrap() as usize;
        let targets: Vec<usize> = targets.iter().map(|&target| target.min(classes)).collect();
        let l2 = wanted["l2"].as_f64().unwrap();
        let fit = Fit { features: &features, targets: &targets, classes, fixed: Some(&fixed), l2 };
        compare(&fit.run(&rows).unwrap(), &features, wanted);
    }
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let (features, targets) = features();
    let fit = Fit { features: &features, targets: &targets, classes: CLASSES, fixed: None, l2: 0.01 };
    let folds: Vec<usize> = (0..ROWS).map(|row| row / CLASSES % 4).collect();
    let rows: Vec<usize> = (0..ROWS).collect();
    let run = || (fit.run(&rows).unwrap(), cross_validate(&fit, 1, &folds, &mut |_, _| Ok(())).unwrap());
    // WebAssembly has no threads.
    let threads = if cfg!(target_family = "wasm") { 0..0 } else { 1..4 };
    let alone = run();
    for threads in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(run) == alone, "{threads} threads");
    }
    // Golden bits, the same on every machine.
    let sum = alone.0.weights.iter().chain(&alone.0.biases).zip(1u64..);
    let sum = sum.fold(0u64, |sum, (value, place)| sum.wrapping_add(place.wrapping_mul(value.to_bits())));
    assert_eq!(sum, 8_265_313_797_017_234_016);
}

/// A cross-validation is a loop over trainings without each fold.
#[test]
fn photographs_are_judged_by_trainings_without_them() {
    let (features, targets) = features();
    // Two views of each photograph.
    let targets: Vec<usize> = targets.iter().enumerate().map(|(row, _)| targets[row / 2 * 2]).collect();
    let folds: Vec<usize> = (0..ROWS / 2).map(|photograph| photograph % 3).collect();
    let fit = Fit { features: &features, targets: &targets, classes: CLASSES, fixed: None, l2: 1.0 };
    let mut calls = Vec::new();
    let found = cross_validate(&fit, 2, &folds, &mut |done, all| {
        calls.push((done, all));
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!(calls, (0..3 * found.tried.len()).map(|done| (done, 18)).collect::<Vec<_>>());
    let least = found.tried.iter().map(|tried| tried.loss).fold(f64::INFINITY, f64::min);
    let tried = found.tried.iter().find(|tried| tried.l2 == found.l2).unwrap();
    assert_eq!(tried.loss, least);
    let mut loss = 0.0;
    for fold in 0..3 {
        let rows: Vec<usize> = (0..ROWS).filter(|row| folds[row / 2] != fold).collect();
        let trained = Fit { l2: found.l2, ..fit }.run(&rows).unwrap();
        for photograph in (0..ROWS / 2).filter(|&photograph| folds[photograph] == fold) {
            let logits = trained.logits(features.row(2 * photograph));
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            loss += sum.ln() - logits[targets[2 * photograph]];
            for (logit, wanted) in found.logits[photograph].iter().zip(&logits) {
                assert!((logit - wanted).abs() < 0.3, "{logit} {wanted}");
            }
        }
    }
    assert!((tried.loss - loss / (ROWS / 2) as f64).abs() < 5e-3, "{} {loss}", tried.loss);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let (features, targets) = features();
    let fixed = vec![0.0; ROWS];
    let fit = Fit { features: &features, targets: &targets, classes: CLASSES, fixed: None, l2: 0.1 };
    let rows = [0, 1, 2];
    let nan = vec![f64::NAN; ROWS];
    for (fit, rows, message) in [
        (Fit { classes: 1, ..fit }, &rows[..], "number of classes 1 is not possible: expected 2 to 32768"),
        (Fit { classes: 4, ..fit }, &rows, "target 4 is not possible: expected 0 to 3"),
        (Fit { classes: 3, fixed: Some(&fixed), ..fit }, &rows, "target 4 is not possible: expected 0 to 3"),
        (Fit { l2: 0.0, ..fit }, &rows, "regularisation 0 is not possible: expected a finite number above 0"),
        (Fit { l2: f64::NAN, ..fit }, &rows, "regularisation NaN is not possible"),
        (Fit { targets: &targets[1..], ..fit }, &rows, "number of targets 199 is not possible: expected 200"),
        (Fit { fixed: Some(&fixed[1..]), ..fit }, &rows, "number of fixed values 199 is not possible"),
        (Fit { fixed: Some(&nan), ..fit }, &rows, "fixed value NaN is not possible"),
        (fit, &[], "number of rows 0 is not possible: expected at least 1"),
        (fit, &[200], "row 200 is not possible: expected 0 to 199"),
    ] {
        let error = fit.run(rows).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let never = &mut |_: usize, _: usize| Ok(());
    for (views, folds, message) in [
        (1, vec![0; ROWS], "number of folds 1 is not possible: expected at least 2"),
        (2, vec![0, 1], "number of rows 200 is not possible: expected 2 photographs of 2 views"),
        (0, vec![0, 1], "number of rows 200 is not possible: expected 2 photographs of 0 views"),
    ] {
        let error = cross_validate(&fit, views, &folds, never).unwrap_err().to_string();
        assert_eq!(error, message);
    }
}

#[test]
fn intervals_are_wilsons() {
    // Published examples: Newcombe (1998), table I.
    for (hits, count, [low, high]) in [
        (81, 263, [0.2553, 0.3662]),
        (15, 148, [0.0624, 0.1605]),
        (0, 20, [0.0, 0.1611]),
        (1, 29, [0.0061, 0.1718]),
    ] {
        let found = wilson_interval(hits, count);
        assert!((found[0] - low).abs() < 5e-5 && (found[1] - high).abs() < 5e-5, "{found:?}");
    }
    assert_eq!(wilson_interval(0, 0), [0.0, 1.0]);
}

/// The last layer of a network is a linear classifier on its features, and another one takes its place.
#[test]
fn a_trained_classifier_becomes_the_last_layer() {
    let weights = Weights::seeded(1);
    let net = GoogLeNet::new(&weights).unwrap();
    let input = Input::from_nhwc_bgr(common::picture_input()).unwrap();
    let features = net.features(&input);
    assert_eq!(features, net.forward(&input).blob("pool5/7x7_s1").unwrap());
    assert_eq!(net.classify_features(&features), net.classify(&input));
    let alone = parallel::each(2, |_| (net.features(&input), net.classify(&input)));
    assert!(alone.iter().all(|(found, said)| *found == features && *said == net.classify(&input)));

    let (mut rows, targets) = (Features::new(net.features_len()).unwrap(), [0, 1, 1]);
    rows.push(&features).unwrap();
    rows.push(&vec![0.5; net.features_len()]).unwrap();
    rows.push(&vec![1.5; net.features_len()]).unwrap();
    let fit = Fit { features: &rows, targets: &targets, classes: 2, fixed: None, l2: 0.1 };
    let trained = fit.run(&[0, 1, 2]).unwrap();
    let labels = Labels::parse("names", b"laika\nanother, other").unwrap();
    let taught = trained.replace_in(weights.clone(), labels.clone(), "two classes").unwrap();
    assert_eq!(
        (taught.name(), taught.labels(), taught.network().classes()),
        ("two classes", labels.clone(), 2)
    );
    let said = GoogLeNet::new(&taught).unwrap().classify(&input);
    for (logit, wanted) in said.logits.iter().zip(trained.logits(&features)) {
        assert!((f64::from(*logit) - wanted).abs() < 1e-4, "{logit} {wanted}");
    }

    // Two more classes: the others keep their bits.
    let all = [weights.labels().lines(), labels.lines()].join("\n");
    let all = Labels::parse("names", all.as_bytes()).unwrap();
    let more =
        GoogLeNet::new(&trained.add_to(weights.clone(), all, "more").unwrap()).unwrap().classify(&input);
    assert_eq!(more.logits[..1000], net.classify(&input).logits);
    assert_eq!(more.logits[1000..], said.logits);

    let refused = [
        trained.replace_in(weights.clone(), Labels::numbered(3), "three"),
        trained.replace_in(weights.clone(), labels.clone(), "two\nlines"),
        weights.clone().with_last_layer([vec![0.0; 5], vec![0.0; 2]], labels.clone(), "few"),
        weights.clone().with_last_layer([vec![f32::NAN; 2048], vec![0.0; 2]], labels.clone(), "none"),
        weights.clone().with_last_layer([vec![], vec![]], labels, "empty"),
    ];
    let refused = refused.map(|refused| refused.unwrap_err().to_string());
    assert_eq!(
        refused,
        [
            "the labels: has 3 names, expected one for each of the network's 2 classes",
            "the network: has a name that is not one line of at most 80 bytes",
            "the last layer: has 5 numbers, expected 1024 for each of 2 classes",
            "weight NaN is not possible: expected a finite number",
            "number of classes 0 is not possible: expected 1 to 32768",
        ]
    );
}
