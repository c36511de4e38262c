//! Tests of RISE against the published formula in a plain loop.

use crate::common::{integers, picture_input};
use occlude::{Against, Error, GoogLeNet, Input, MaskValue, Rise, Score, Weights};
use std::ops::ControlFlow;
use std::sync::LazyLock;

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::builtin()).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

/// The outputs of splitmix64.
fn splitmix64(seed: u64, count: usize) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..count).map(|_| next()).collect()
}

/// The `i`-th mask by the steps of the authors' program: a random grid of zeros and ones, enlarged to one
/// cell more in each direction by linear interpolation of its mirror image, and cut out at a random place.
fn plain_mask(seed: u64, i: usize, [rows, columns]: [usize; 2], probability: f64) -> Vec<f64> {
    let own = splitmix64(seed, i + 1)[i];
    let random = splitmix64(own, rows * columns + 2);
    let share = |bits: u64| (bits >> 40) as f64 / f64::from(1 << 24);
    let grid: Vec<f64> = random[..rows * columns]
        .iter()
        .map(|&bits| if share(bits) < probability { 1.0 } else { 0.0 })
        .collect();
    let cell = [rows, columns].map(|count| (224.0 / count as f64).ceil() as usize);
    let shift = [0, 1].map(|axis| {
        let random = u128::from(random[rows * columns + axis]);
        (random * cell[axis] as u128 / (1 << 64)) as usize
    });
    let mirrored = |at: i64, count: usize| {
        let last = count as i64 - 1;
        let at = at.abs();
        (if at > last { 2 * last - at } else { at }).max(0) as usize
    };
    let mut mask = Vec::new();
    for y in 0..224 {
        for x in 0..224 {
            let place = |pixel: usize, axis: usize, count: usize| {
                let enlarged = ((count + 1) * cell[axis]) as f64;
                ((pixel + shift[axis]) as f64 + 0.5) * count as f64 / enlarged - 0.5
            };
            let (down, across) = (place(y, 0, rows), place(x, 1, columns));
            let mut value = 0.0;
            for row in [down.floor(), down.floor() + 1.0] {
                for column in [across.floor(), across.floor() + 1.0] {
                    let weight = (1.0 - (down - row).abs()) * (1.0 - (across - column).abs());
                    let at = mirrored(row as i64, rows) * columns + mirrored(column as i64, columns);
                    value += weight * grid[at];
                }
            }
            mask.push(value);
        }
    }
    mask
}

#[test]
fn masks_are_those_of_the_authors_program() {
    // The generator is that of the weights.
    assert_eq!((splitmix64(9, 1)[0] >> 40) as i64 - (1 << 23), integers(9, 1)[0]);
    let mut visible = 0.0;
    for (grid, probability) in [([7, 7], 0.5), ([1, 5], 0.3), ([112, 2], 0.9), ([10, 3], 0.5)] {
        let rise = Rise::new(&NET).grid(grid).probability(probability).seed(u64::MAX);
        for i in [0, 1, 40] {
            let (found, expected) = (rise.mask(i), plain_mask(u64::MAX, i, grid, f64::from(probability)));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{grid:?}: {found}, {expected}");
            }
        }
    }
    let rise = Rise::new(&NET);
    for i in 0..300 {
        visible +=
            rise.mask(i).iter().map(|&weight| f64::from(weight)).sum::<f64>() / (300.0 * 224.0 * 224.0);
    }
    assert!((visible - 0.5).abs() < 0.02, "{visible}");
}

/// The output of `tools/rise_masks.py`, which enlarges the grids with scikit-image as the authors do.
#[test]
fn masks_are_those_of_scikit_image() {
    let places = [[0, 0], [0, 223], [223, 0], [223, 223], [100, 37], [150, 201]];
    for (seed, i, grid, probability, expected) in [
        (1, 0, [7, 7], 0.5, [0.762234, 0.090809, 0.568733, 0.403728, 0.027958, 0.540905]),
        (1, 3, [7, 7], 0.5, [0.931057, 0.337887, 0.445793, 0.994141, 0.914478, 0.513847]),
        (9, 2, [4, 11], 0.3, [0.763393, 0.320791, 0.099901, 0.0, 0.108064, 0.006732]),
    ] {
        let mask = Rise::new(&NET).seed(seed).grid(grid).probability(probability).mask(i);
        for ([y, x], expected) in places.into_iter().zip(expected) {
            let found = mask[y * 224 + x];
            assert!((found - expected as f32).abs() < 1e-6, "{grid:?} {y} {x}: {found}, {expected}");
        }
    }
}

#[test]
fn maps_are_the_published_formula() {
    const N: usize = 5;
    for (fill, score) in [(MaskValue::TrainingMean, Score::Probability), (MaskValue::Blur(4.0), Score::Logit)]
    {
        let rise =
            Rise::new(&NET).masks(N).grid([4, 3]).probability(0.4).mask_value(fill).score(score.clone());
        let classes = [3, 17];
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| rise.run(&INPUT, &classes).unwrap())
        };
        let (found, again) = (run(2), run(1));
        assert_eq!(found.masks, N);
        let covered = fill.covered(&INPUT).unwrap();
        let mut products = [(); 2].map(|()| Vec::new());
        for i in 0..N {
            let mask = rise.mask(i);
            let value = |at: usize| {
                let [own, fill] = [INPUT.values()[at], covered.values()[at]].map(f64::from);
                (own + (fill - own) * f64::from(1.0 - mask[at / 3])) as f32
            };
            let masked = Input::from_nhwc_bgr((0..224 * 224 * 3).map(value).collect()).unwrap();
            let answer = NET.classify(&masked);
            let all = if score == Score::Logit { &answer.logits } else { &answer.probabilities };
            for (products, class) in products.iter_mut().zip(classes) {
                let weighted = mask.iter().map(|&visible| f64::from(all[class]) * f64::from(visible));
                products.push(weighted.collect::<Vec<f64>>());
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let variance = |values: &[f64]| {
            let mean = mean(values);
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
        };
        // The square of the standard error of the mean of values.
        let error_of_mean = |values: &[f64]| variance(values) / (N - 1) as f64;
        for (k, products) in products.iter().enumerate() {
            let (mut map, mut squares) = (Vec::new(), 0.0);
            for pixel in 0..224 * 224 {
                let values: Vec<f64> = products.iter().map(|of_mask| of_mask[pixel]).collect();
                let sum: f64 = values.iter().sum();
                let expected = sum / N as f64 / f64::from(0.4f32);
                assert_eq!(found.maps[k][pixel].to_bits(), (expected as f32).to_bits(), "{pixel}");
                let error = error_of_mean(&values).sqrt() / 0.4;
                assert!((f64::from(found.standard_errors[k][pixel]) - error).abs() < 1e-4 * error.max(1e-3));
                map.push(expected);
                squares += error * error / (224.0 * 224.0);
            }
            // The variance over the pixels that is not due to errors, apart from the error of the mean level. The
            // margin is that of 4x3 cells.
            let levels: Vec<f64> = products.iter().map(|of_mask| mean(of_mask)).collect();
            let noise = squares - error_of_mean(&levels) / 0.4 / 0.4;
            let evidence = variance(&map) - noise * (1.0 + 3.0 * f64::sqrt(2.0 / 12.0));
            let [least, most] = [f64::min, f64::max].map(|end| map.iter().copied().reduce(end).unwrap());
            let range = (most - least) * (evidence / variance(&map)).sqrt();
            if range > 0.0 {
                let precision = squares.sqrt() / range;
                assert!((f64::from(found.precisions[k]) - precision).abs() < 1e-3 * precision);
            } else {
                assert_eq!(found.precisions[k], f32::INFINITY);
            }
        }
        assert_eq!((&found.maps, &found.standard_errors), (&again.maps, &again.standard_errors));
        // Every mask changes the whole image: nothing is saved but zeros.
        let total = found.profile.total();
        assert!(total.affected as f64 > 0.95 * total.dense as f64 && total.executed < total.affected);
    }
}

#[test]
fn a_run_stops_at_its_precision() {
    let rise = Rise::new(&NET).score(Score::LogitMargin);
    let all: Vec<usize> = (0..28).collect();
    // A class and a seed whose map is more than noise after 64 masks.
    let clear = (1..30).find_map(|seed| {
        let found = rise.clone().seed(seed).masks(64).run(&INPUT, &all).unwrap();
        let class = found.precisions.iter().position(|precision| precision.is_finite())?;
        Some((seed, class, found.precisions[class]))
    });
    let (seed, class, precision) = clear.expect("one of many");
    assert!(precision > 0.0);
    // The masks of a longer run begin with those of a shorter one. The error is estimated after every 64 masks.
    let at = |precision: f32, masks: usize| {
        let rise = rise.clone().seed(seed).precision(Some(precision)).masks(masks);
        rise.run(&INPUT, &[class]).unwrap().masks
    };
    assert_eq!([at(precision, 80), at(1e-6, 70)], [64, 70]);
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let rise = Rise::new(&NET);
    for (bad, name) in [
        (rise.clone().grid([0, 7]), "grid 0x7"),
        (rise.clone().grid([7, 113]), "grid 7x113"),
        (rise.clone().probability(1.0), "probability 1"),
        (rise.clone().probability(f32::NAN), "probability NaN"),
        (rise.clone().masks(0), "number of masks 0"),
        (rise.clone().masks(1_000_001), "number of masks 1000001"),
        (rise.clone().precision(Some(0.0)), "precision 0"),
        (rise.clone().mask_value(MaskValue::Patch), "mask value patch"),
    ] {
        let error = bad.check().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
        assert_eq!(bad.run(&INPUT, &[3]).unwrap_err().to_string(), error);
    }
    assert!(rise.run(&INPUT, &[28]).unwrap_err().to_string().starts_with("class 28"));
    let contrast = rise.clone().score(Score::Contrast(Against::Class(3)));
    assert!(contrast.run(&INPUT, &[2, 3]).unwrap_err().to_string().starts_with("classes 3"));
    let entropy = rise.clone().score(Score::Entropy);
    assert!(entropy.run(&INPUT, &[2, 3]).unwrap_err().to_string().starts_with("classes 2 of them"));
    let stopped = rise.on_progress(&|_| ControlFlow::Break(())).run(&INPUT, &[3]);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}
