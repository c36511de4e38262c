//! The sweep: incremental equals exhaustive bit for bit, whatever the options, threads and instruction set; and both agree
//! with an independent implementation.

mod common;

use common::{Reference, SEED, picture_input};
use occlude::network::{Network, Op};
use occlude::{Error, GoogLeNet, Input, Isa, MaskValue, OcclusionMaps, OcclusionSensitivity, Score, Weights};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

/// Equal in every bit, which `==` on floats is not for zeros.
fn assert_same_bits(a: &OcclusionMaps, b: &OcclusionMaps) {
    assert_eq!(a, b);
    let bits = |m: &OcclusionMaps| -> Vec<u32> {
        m.scores.iter().chain(&m.argmax_scores).chain(&m.base_scores).map(|s| s.to_bits()).collect()
    };
    assert_eq!(bits(a), bits(b));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn incremental_equals_exhaustive(
        size in [1usize..=224, 1usize..=60],
        // At most about 16 positions a case: the exhaustive pass is what takes the time.
        stride in [56usize..=224, 45usize..=224],
        value in prop_oneof![
            Just(MaskValue::Auto),
            Just(MaskValue::TrainingMean),
            [0.0f32..255.0, 0.0f32..255.0, -50.0f32..300.0].prop_map(MaskValue::Rgb),
        ],
        clipping in any::<bool>(),
        classes in prop::collection::vec(0usize..1000, 0..5),
        logit in any::<bool>(),
        threads in 1usize..=3,
    ) {
        let sweep = OcclusionSensitivity::new(&NET)
            .mask_size(size)
            .stride(stride)
            .mask_value(value)
            .mask_clipping(clipping)
            .classes(classes)
            .score(if logit { Score::Logit } else { Score::Probability })
            .threads(threads);
        let maps = sweep.run(&INPUT).unwrap();
        assert_same_bits(&maps, &sweep.clone().exhaustive(true).threads(2).run(&INPUT).unwrap());
    }
}

/// The grid and the masks as the definition says, pixel by pixel, and each score that of the plainly masked image.
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
            // More than eight positions on one thread: what one group leaves behind would be in the next one's way.
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

/// Weights are visited in panels of output channels. In the seeded network a pixel changes in all of them or in none; here
/// the first half of each layer's outputs is always zero, so that what changes is in the later panels only.
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
            // Half of the inputs are zero, too: the others count for more, and activations keep their range.
            let gain = if layer.input == 0 { 1.0 } else { std::f32::consts::SQRT_2 };
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
    assert!(maps.map(0).iter().all(|drop| *drop != 0.0), "the masks are felt: {:?}", maps.map(0));
    assert_same_bits(&maps, &sweep.exhaustive(true).run(&INPUT).unwrap());
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let run = |isa: Isa, exhaustive: bool| {
        let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap().with_isa(isa).unwrap();
        let sweep = OcclusionSensitivity::new(&net).mask_size([60, 20]).stride([112, 120]);
        sweep.exhaustive(exhaustive).run(&INPUT).unwrap()
    };
    let scalar = run(Isa::Scalar, false);
    for isa in Isa::all_available() {
        assert_same_bits(&run(isa, false), &scalar);
        assert_same_bits(&run(isa, true), &scalar);
    }
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
    let drops: Vec<f32> = (0..2).flat_map(|k| maps.map(k)).collect();
    assert_eq!(drops.len(), reference.sweep_drop.len());
    for (got, want) in drops.iter().zip(&reference.sweep_drop) {
        assert!((got - want).abs() <= 5e-6, "{got} against {want}");
    }
}

#[test]
fn progress_counts_all_positions_and_can_stop_the_sweep() {
    let sweep = OcclusionSensitivity::new(&NET).mask_size([10, 10]).stride([50, 50]).threads(2);
    let most = AtomicUsize::new(0);
    sweep
        .run_with_progress(&INPUT, &|p| {
            assert_eq!(p.total, 25);
            most.fetch_max(p.done, Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(most.into_inner(), 25);
    let stopped = sweep.run_with_progress(&INPUT, &|_| ControlFlow::Break(()));
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
    ] {
        let error = bad.run(&INPUT).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}
