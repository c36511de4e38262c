//! Tests of the sweep: the incremental sweep equals the exhaustive one bit for bit, for all
//! options, threads and instruction sets. Both agree with an independent implementation.

use crate::common::{Reference, SEED, picture_input};
use occlude::network::geometry::Rect;
use occlude::network::{BlobId, Network, Op};
use occlude::parallel::MAX_THREADS;
use occlude::{
    Activations, Classification, Error, Faithfulness, Feature, GoogLeNet, Input, Isa, MaskValue,
    OcclusionMaps, OcclusionSensitivity, Prepared, Score, Weights,
};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

/// Asserts that all bits are equal. `==` on floats does not distinguish the two zeros.
fn assert_same_bits(a: &OcclusionMaps, b: &OcclusionMaps) {
    assert_eq!(a, b);
    let bits = |m: &OcclusionMaps| -> Vec<u32> {
        let totals = m.features.iter().flat_map(|f| f.totals.iter().chain([&f.base_total]));
        m.scores
            .iter()
            .chain(&m.argmax_scores)
            .chain(&m.base_scores)
            .chain(totals)
            .map(|s| s.to_bits())
            .collect()
    };
    assert_eq!(bits(a), bits(b));
}

/// One feature of each kind: a group stores it densely, as a list, as a pool's list, or not at all.
const FEATURES: [&str; 8] = [
    "conv1/7x7_s2",
    "conv2/norm2",
    "inception_3b/output",
    "inception_4b/pool",
    "inception_4c/5x5",
    "pool4/3x3_s2",
    "inception_5a/3x3_reduce",
    "loss3/classifier",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn incremental_equals_exhaustive(
        size in [1usize..=224, 1usize..=60],
        // A case has at most about 16 positions, because the exhaustive pass takes most of the
        // time.
        stride in [56usize..=224, 45usize..=224],
        value in prop_oneof![
            Just(MaskValue::Auto),
            Just(MaskValue::TrainingMean),
            (0.5f32..20.0).prop_map(MaskValue::Blur),
            any::<u64>().prop_map(MaskValue::Noise),
            [0.0f32..255.0, 0.0f32..255.0, -50.0f32..300.0].prop_map(MaskValue::Rgb),
        ],
        clipping in any::<bool>(),
        classes in prop::collection::vec(0usize..1000, 0..5),
        logit in any::<bool>(),
        feature in 0usize..FEATURES.len(),
        threads in 1usize..=3,
    ) {
        let sweep = OcclusionSensitivity::new(&NET)
            .mask_size(size)
            .stride(stride)
            .mask_value(value)
            .mask_clipping(clipping)
            .classes(classes)
            .features([Feature { layer: FEATURES[feature].to_string(), channel: None }])
            .score(if logit { Score::Logit } else { Score::Probability })
            .threads(threads);
        let maps = sweep.run(&INPUT).unwrap();
        assert_same_bits(&maps, &sweep.clone().exhaustive(true).threads(2).run(&INPUT).unwrap());
    }
}

/// Computes the grid and the masks pixel by pixel from the definition. Each score equals that of
/// the masked image in a plain pass.
#[test]
fn a_position_is_the_classification_of_the_masked_image() {
    for (size, stride, clipping) in
        [([45, 30], [70, 90], true), ([64, 51], [80, 60], false), ([150, 130], [60, 70], true)]
    {
        let sweep = OcclusionSensitivity::new(&NET)
            .mask_size(size)
            .stride(stride)
            .mask_clipping(clipping)
            .mask_value(MaskValue::Rgb([10.0, 200.0, 90.5]))
            .classes([3, 999])
            .score(Score::Logit)
            // One thread computes more than eight positions. Data that remain from one group would
            // disturb the next group.
            .threads(1);
        let maps = sweep.run(&INPUT).unwrap();
        assert!(maps.argmax.len() > 8);
        assert_same_bits(&maps, &sweep.exhaustive(true).run(&INPUT).unwrap());
        let [ny, nx] = maps.grid;
        let starts = |axis: usize| -> Vec<isize> {
            let (size, stride) = (size[axis] as isize, stride[axis] as isize);
            (0..)
                .map(|i| i * stride)
                .take_while(|at| if clipping { *at < 224 } else { at + size <= 224 })
                .map(|at| if clipping { at - size / 2 } else { at })
                .collect()
        };
        assert_eq!((starts(0).len(), starts(1).len()), (ny, nx));
        for (row, y0) in starts(0).into_iter().enumerate() {
            for (column, x0) in starts(1).into_iter().enumerate() {
                let mut values = INPUT.values().to_vec();
                for y in y0.max(0)..(y0 + size[0] as isize).min(224) {
                    for x in x0.max(0)..(x0 + size[1] as isize).min(224) {
                        let at = (y as usize * 224 + x as usize) * 3;
                        values[at..at + 3].copy_from_slice(&[90.5 - 104.0, 200.0 - 117.0, 10.0 - 123.0]);
                    }
                }
                let masked = NET.classify(&Input::from_nhwc_bgr(values).unwrap());
                let i = row * nx + column;
                assert_eq!(maps.scores[i], masked.logits[3], "({row}, {column})");
                assert_eq!(maps.scores[ny * nx + i], masked.logits[999], "({row}, {column})");
                assert_eq!(maps.argmax[i], masked.top(1)[0], "({row}, {column})");
                assert_eq!(maps.argmax_scores[i], masked.logits[maps.argmax[i]], "({row}, {column})");
            }
        }
    }
}

/// The kernels visit weights in panels of output channels. In the seeded network a pixel changes in
/// all panels or in none. Here the first half of each layer's outputs is always zero, so changes
/// occur only in the later panels.
#[test]
fn a_change_in_the_last_outputs_alone_is_seen() {
    let (seeded, network) = (Weights::seeded(SEED), Network::googlenet());
    let mut tensors = Vec::new();
    for layer in &network.layers {
        let Some(shape) = network.weight_shape(layer) else { continue };
        let dead = if layer.op == Op::Classifier { 0 } else { shape[0] / 2 };
        for (part, shape, values) in [
            ("bias", vec![shape[0]], seeded.bias(&layer.name)),
            ("weight", shape.clone(), seeded.weight(&layer.name)),
        ] {
            let dead = dead * values.len() / shape[0];
            // Half of the inputs are zero too. The other inputs get larger weights, so that
            // activations keep their range.
            let gain = if layer.input == BlobId::IMAGE { 1.0 } else { std::f32::consts::SQRT_2 };
            let values = values.iter().enumerate().map(|(i, v)| if i < dead { 0.0 } else { v * gain });
            let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            tensors.push((format!("{}.{part}", layer.name), shape, bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let weights = Weights::from_bytes("half", &safetensors::serialize(views, None).unwrap()).unwrap();
    let net = GoogLeNet::new(&weights).unwrap();
    let sweep = OcclusionSensitivity::new(&net).mask_size([20, 30]).stride([75, 75]).score(Score::Logit);
    let maps = sweep.run(&INPUT).unwrap();
    assert!(maps.map(0).iter().all(|drop| *drop != 0.0), "the masks must have an effect: {:?}", maps.map(0));
    assert_same_bits(&maps, &sweep.exhaustive(true).run(&INPUT).unwrap());
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let run = |isa: Isa, exhaustive: bool| {
        let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap().with_isa(isa);
        let sweep = OcclusionSensitivity::new(&net).mask_size([60, 20]).stride([224, 120]);
        sweep.exhaustive(exhaustive).run(&INPUT).unwrap()
    };
    let scalar = run(Isa::SCALAR, false);
    for isa in Isa::all_available() {
        assert_same_bits(&run(isa, true), &scalar);
        if isa != Isa::SCALAR {
            assert_same_bits(&run(isa, false), &scalar);
        }
    }
}

/// The one instruction set whose bits may differ, which only wasm32 has.
#[cfg(feature = "builtin")]
#[test]
fn wasm_unfused_agrees_within_1e_5() {
    let Ok(unfused) = "wasm-unfused".parse::<Isa>() else { return };
    let run = |isa: Isa, exhaustive: bool| {
        let net = GoogLeNet::new(&Weights::builtin()).unwrap().with_isa(isa);
        let sweep = OcclusionSensitivity::new(&net).mask_size([60, 20]).stride([112, 56]);
        let sweep = sweep.classes(net.classify(&INPUT).top(5)).exhaustive(exhaustive);
        (net.isa().to_string(), sweep.run(&INPUT).unwrap())
    };
    let (_, exact) = run(Isa::detect(), false);
    let (name, maps) = run(unfused, false);
    assert_eq!(name, "wasm-unfused");
    let differences = |a: &[f32], b: &[f32]| -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let of_scores = differences(&exact.scores, &maps.scores);
    let of_base = differences(&exact.base_scores, &maps.base_scores);
    // A difference of 0 would mean that the exact kernels ran.
    assert!(of_scores > 0.0 && of_scores.max(of_base) < 1e-5, "{of_scores:e} {of_base:e}");
    // Within itself it is exact, too: what a mask cannot change need not be computed again.
    assert_same_bits(&maps, &run(unfused, true).1);
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<GoogLeNet>();
    shared::<OcclusionSensitivity>();
    shared::<OcclusionMaps>();
    shared::<Weights>();
    shared::<Error>();
}

#[test]
fn the_sweep_agrees_with_pytorch_on_the_seeded_network() {
    let reference = Reference::seeded();
    let maps = OcclusionSensitivity::new(&NET)
        .mask_size([60, 60])
        .stride([56, 56])
        .mask_value(MaskValue::TrainingMean)
        .classes(&reference.classes[..2])
        .run(&INPUT)
        .unwrap();
    assert_eq!(maps.grid, [4, 4]);
    assert_eq!(maps.argmax, reference.sweep_argmax);
    let drops: Vec<f32> = (0..2).flat_map(|k| maps.map(k).values().to_vec()).collect();
    assert_eq!(drops.len(), reference.sweep_drop.len());
    for (got, want) in drops.iter().zip(&reference.sweep_drop) {
        assert!((got - want).abs() <= 5e-6, "{got} against {want}");
    }
}

#[test]
fn progress_counts_all_positions_and_can_stop_the_sweep() {
    let sweep = OcclusionSensitivity::new(&NET).mask_size([10, 10]).stride([50, 50]).threads(2);
    let most = AtomicUsize::new(0);
    let count = |p: occlude::Progress| {
        assert_eq!(p.total, 25);
        most.fetch_max(p.done, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    sweep.clone().on_progress(&count).run(&INPUT).unwrap();
    assert_eq!(most.into_inner(), 25);
    let stopped = sweep.on_progress(&|_| ControlFlow::Break(())).run(&INPUT);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let sweep = OcclusionSensitivity::new(&NET);
    for (bad, name) in [
        (sweep.clone().mask_size([0, 5]), "mask size"),
        (sweep.clone().mask_size([5, 225]), "mask size"),
        (sweep.clone().stride([0, 1]), "stride"),
        (sweep.clone().stride([1, 225]), "stride"),
        (sweep.clone().mask_value(MaskValue::Rgb([0.0, f32::NAN, 0.0])), "mask value"),
        (sweep.clone().classes([1, 1000]), "class"),
        (sweep.clone().mask_value(MaskValue::Blur(0.1)), "mask value"),
        (sweep.clone().threads(MAX_THREADS + 1), "number of threads 1025"),
        (sweep.clone().region(Rect { y0: 5, x0: 0, y1: 5, x1: 9 }), "region"),
        (sweep.clone().region(Rect { y0: 0, x0: 0, y1: 5, x1: 225 }), "region"),
        (sweep.clone().region(Rect { y0: 1, x0: 1, y1: 5, x1: 20 }), "region"),
        (sweep.clone().features([Feature { layer: "data".to_string(), channel: None }]), "no layer"),
        (
            sweep.clone().features([Feature { layer: "inception_4c/5x5".to_string(), channel: Some(64) }]),
            "activation",
        ),
    ] {
        let error = bad.check().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
        assert_eq!(bad.run(&INPUT).unwrap_err().to_string(), error);
    }
}

/// The image with some pixels replaced by those of another image.
fn covered(pixels: impl Fn(usize, usize) -> bool, cover: &[f32]) -> Input {
    let mut values = INPUT.values().to_vec();
    for (i, value) in values.iter_mut().enumerate() {
        if pixels(i / 3 / 224, i / 3 % 224) {
            *value = cover[i];
        }
    }
    Input::from_nhwc_bgr(values).unwrap()
}

/// Sums a channel of a layer directly from the definition.
fn total(pass: &Activations, feature: &Feature) -> f32 {
    let network = NET.network();
    let layer = network.layers.iter().find(|l| l.name == feature.layer);
    let (blob, first) =
        layer.map_or_else(|| (network.find(&feature.layer).unwrap(), 0), |l| (l.output, l.channel));
    let blob = &network.blobs[blob];
    let values = pass.blob(&blob.name).unwrap();
    let channel = first + feature.channel.unwrap();
    values.iter().skip(channel).step_by(blob.channels).map(|v| f64::from(*v)).sum::<f64>() as f32
}

#[test]
fn a_feature_is_the_sum_of_a_channel_of_the_masked_image() {
    let features: Vec<Feature> =
        FEATURES.iter().map(|f| Feature { layer: f.to_string(), channel: None }).collect();
    let sweep = OcclusionSensitivity::new(&NET)
        .mask_size([70, 50])
        .stride([90, 60])
        .mask_value(MaskValue::TrainingMean)
        .features(features);
    let maps = sweep.run(&INPUT).unwrap();
    assert_eq!(maps.features.len(), FEATURES.len());
    let [ny, nx] = maps.grid;
    let whole = NET.forward(&INPUT);
    for (f, map) in maps.features.iter().enumerate() {
        let feature = Feature { layer: map.layer.clone(), channel: Some(map.channel) };
        assert_eq!(map.base_total, total(&whole, &feature), "{feature:?}");
        // The map shows the strongest channel; no earlier channel is equally strong.
        for channel in (0..16).filter(|&c| c != map.channel) {
            let other = total(&whole, &Feature { layer: map.layer.clone(), channel: Some(channel) });
            assert!(if channel < map.channel { other < map.base_total } else { other <= map.base_total });
        }
        assert!(maps.feature_map(f).iter().any(|drop| *drop != 0.0), "the masks must affect {feature:?}");
        for at in [0, nx + 1, ny * nx - 1] {
            let rect = maps.mask_rect(at / nx, at % nx);
            let inside = |y, x| (rect.y0..rect.y1).contains(&y) && (rect.x0..rect.x1).contains(&x);
            let masked = covered(inside, &vec![0.0; 224 * 224 * 3]);
            assert_eq!(map.totals[at], total(&NET.forward(&masked), &feature), "{feature:?} at {at}");
        }
    }
}

#[test]
fn a_region_has_the_whole_sweeps_numbers() {
    for clipping in [true, false] {
        let sweep = OcclusionSensitivity::new(&NET)
            .mask_size([40, 40])
            .stride([50, 45])
            .mask_clipping(clipping)
            .features([Feature { layer: "inception_4c/output".to_string(), channel: Some(17) }]);
        let whole = sweep.run(&INPUT).unwrap();
        let region = Rect { y0: 50, x0: 46, y1: 121, x1: 200 };
        let part = sweep.region(region).run(&INPUT).unwrap();
        let [ny, nx] = whole.grid;
        let inside: Vec<usize> = (0..ny * nx)
            .filter(|i| {
                let [y, x] = whole.centre(i / nx, i % nx);
                (50..121).contains(&y) && (46..200).contains(&x)
            })
            .collect();
        assert_eq!(part.grid[0] * part.grid[1], inside.len());
        assert_eq!(part.first, [inside[0] / nx, inside[0] % nx]);
        for (at, &i) in inside.iter().enumerate() {
            assert_eq!(part.scores[at].to_bits(), whole.scores[i].to_bits());
            assert_eq!(
                (part.argmax[at], part.features[0].totals[at]),
                (whole.argmax[i], whole.features[0].totals[i])
            );
            let place = (at / part.grid[1], at % part.grid[1]);
            assert_eq!(part.mask_rect(place.0, place.1), whole.mask_rect(i / nx, i % nx));
        }
        // The area consists of the positions' cells in the enlarged map of all positions.
        let cells = whole.upsampled(0, occlude::Upsampling::Nearest);
        let area = part.area();
        for (i, value) in cells.iter().enumerate() {
            let inside = (area.y0..area.y1).contains(&(i / 224)) && (area.x0..area.x1).contains(&(i % 224));
            assert_eq!(inside, part.map(0).values().contains(value), "{} {}", i / 224, i % 224);
        }
        assert_eq!(part.upsampled(0, occlude::Upsampling::Nearest).len(), area.area());
        assert_eq!(whole.area(), Rect::plane(224));
    }
}

#[test]
fn coarse_to_fine_ends_in_the_same_bits() {
    let sweep = OcclusionSensitivity::new(&NET).mask_size([30, 30]).stride([32, 26]).threads(2);
    let plain = sweep.run(&INPUT).unwrap();
    let [ny, nx] = plain.grid;
    assert_eq!([ny, nx], [7, 9]);
    let seen = Mutex::new(Vec::new());
    let most = AtomicUsize::new(0);
    let progress = |p: occlude::Progress| {
        assert_eq!(p.total, 63);
        most.fetch_max(p.done, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let refined = |r: &occlude::Refinement| {
        seen.lock().unwrap().push((r.step, r.progress.done));
        for i in 0..ny * nx {
            let near = |at: usize, n: usize| {
                let known = (0..n).step_by(r.step);
                // If two positions are equally near, this takes the later one.
                known.min_by_key(|k| (k.abs_diff(at), n - k)).unwrap()
            };
            let (y, x) = (near(i / nx, ny), near(i % nx, nx));
            assert_eq!(r.maps.scores[i], plain.scores[y * nx + x], "{i} at step {}", r.step);
            assert_eq!(r.maps.argmax[i], plain.argmax[y * nx + x]);
        }
        ControlFlow::Continue(())
    };
    let fine = sweep.clone().on_progress(&progress).on_refinement(&refined).run(&INPUT).unwrap();
    assert_same_bits(&fine, &plain);
    assert_eq!(*seen.lock().unwrap(), [(4, 6), (2, 20)]);
    assert_eq!(most.load(Ordering::Relaxed), 63);
    let stopped = sweep.on_progress(&progress).on_refinement(&|_| ControlFlow::Break(())).run(&INPUT);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

/// Stored numbers of a run, put into maps without one, are the result of the run.
#[test]
fn maps_are_made_again_from_stored_numbers() {
    let picture = Prepared::new(&NET, INPUT.clone()).unwrap();
    let choose = |classification: &Classification| classification.top(2);
    let sweep = OcclusionSensitivity::new(&NET)
        .stride([75, 112])
        .region(Rect { y0: 40, x0: 0, y1: 224, x1: 224 })
        .mask_value(MaskValue::Noise(5))
        .choose_classes(&choose)
        .features([Feature { layer: "inception_5b/1x1".to_string(), channel: None }]);
    let found = sweep.run_prepared(&picture).unwrap();
    let mut again = sweep.blank_maps(&picture).unwrap();
    assert!(again.scores.iter().chain(&again.argmax_scores).all(|score| *score == 0.0));
    (again.scores, again.argmax) = (found.scores.clone(), found.argmax.clone());
    again.argmax_scores = found.argmax_scores.clone();
    again.features[0].totals = found.features[0].totals.clone();
    assert_same_bits(&again, &found);
    let other = GoogLeNet::new(&Weights::seeded(2)).unwrap();
    let message = OcclusionSensitivity::new(&other).blank_maps(&picture).unwrap_err().to_string();
    assert!(message.starts_with("prepared picture of another network"), "{message}");
}

#[test]
fn attributions_are_means_over_the_masks_that_cover_a_pixel() {
    let sweep = OcclusionSensitivity::new(&NET).mask_size([60, 90]).stride([70, 60]).mask_clipping(false);
    let maps = sweep.run(&INPUT).unwrap();
    let found = maps.attributions(0);
    let drops = maps.map(0);
    let mut uncovered = 0;
    for (i, found) in found.iter().enumerate() {
        let (y, x) = (i / 224, i % 224);
        let covers = |at: &usize| {
            let rect = maps.mask_rect(at / maps.grid[1], at % maps.grid[1]);
            (rect.y0..rect.y1).contains(&y) && (rect.x0..rect.x1).contains(&x)
        };
        let covering: Vec<f32> =
            (0..drops.values().len()).filter(covers).map(|at| drops.values()[at]).collect();
        uncovered += usize::from(covering.is_empty());
        let mean = covering.iter().sum::<f32>() / covering.len().max(1) as f32;
        assert!((found - mean).abs() <= 1e-7, "{y} {x}: {found}, {mean}");
    }
    assert!(uncovered > 0);
}

#[test]
fn deletion_and_insertion_classify_plainly_covered_images() {
    let class = NET.classify(&INPUT).best();
    // A coarse ramp, which contains ties.
    let first: Vec<f32> = (0..224 * 224).map(|i| -((i / 224 / 8) as f32) - (i % 224 / 50) as f32).collect();
    let second: Vec<f32> = first.iter().map(|v| -v).collect();
    let curves = |exhaustive: bool, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            Faithfulness::new(&NET)
                .steps(10)
                .score(Score::Logit)
                .exhaustive(exhaustive)
                .mask_value(MaskValue::Rgb([123.0, 117.0, 104.0]))
                .run(&INPUT, &[(class, &first), (7, &second)])
                .unwrap()
        })
    };
    let found = curves(false, 2);
    assert_eq!(found, curves(true, 1));
    for (curves, (class, importance)) in found.iter().zip([(class, &first), (7, &second)]) {
        let mut order: Vec<usize> = (0..224 * 224).collect();
        order.sort_by(|&a, &b| importance[b].total_cmp(&importance[a]).then(a.cmp(&b)));
        let mut rank = vec![0; 224 * 224];
        order.iter().enumerate().for_each(|(at, &pixel)| rank[pixel] = at);
        assert_eq!((curves.class, curves.shares.len(), curves.shares[10]), (class, 11, 1.0));
        for step in 0..=10 {
            let count = step * 224 * 224 / 10;
            let score = |deleted: bool| {
                let image = covered(|y, x| (rank[y * 224 + x] < count) == deleted, &vec![0.0; 224 * 224 * 3]);
                NET.classify(&image).logits[class]
            };
            assert_eq!(curves.deletion[step], score(true), "deletion at {step}");
            assert_eq!(curves.insertion[step], score(false), "insertion at {step}");
        }
        let area: f32 = curves.deletion.windows(2).map(|pair| (pair[0] + pair[1]) / 20.0).sum();
        assert!((curves.deletion_area() - area).abs() < 1e-4 * area.abs());
    }
}

#[test]
fn a_measurement_outside_its_range_is_refused_by_name() {
    let measurement = Faithfulness::new(&NET);
    for (bad, name) in [
        (measurement.clone().steps(0), "steps"),
        (measurement.clone().steps(224 * 224 + 1), "steps"),
        (measurement.clone().mask_value(MaskValue::Blur(f32::NAN)), "mask value"),
    ] {
        let error = bad.check().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
        let ran = bad.run(&INPUT, &[]);
        assert_eq!(ran.unwrap_err().to_string(), error);
    }
    let flat = vec![0.0; 224 * 224];
    let mut broken = flat.clone();
    broken[7] = f32::INFINITY;
    for (class, importance, name) in [(5, &flat[1..], "map"), (5, &broken[..], "map"), (1000, &flat, "class")]
    {
        let ran = measurement.run(&INPUT, &[(class, importance)]);
        let error = ran.unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}
