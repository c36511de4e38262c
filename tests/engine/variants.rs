//! Tests of the network's other variants: torchvision's `googlenet` against torchvision itself
//! (`tools/torchvision_reference.py`), and classifiers with any number of classes. They need no
//! weights file.

use crate::common::{Reference, SEED, TOLERANCE, integers, picture_input};
use occlude::network::Network;
use occlude::{
    Feature, GoogLeNet, Input, Labels, MaskValue, OcclusionMaps, OcclusionSensitivity, Score, Weights,
};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use std::sync::LazyLock;

const CLASSES: usize = 37;

/// An entry of a state dict: its name, its shape, its bytes and its type.
type Entry = (String, Vec<usize>, Vec<u8>, Dtype);

/// The tensor that `tensor()` of the script makes.
fn tensor(name: &str, shape: Vec<usize>) -> Entry {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let mut numbers = integers(seed, shape.iter().product());
    let scale = 2f32.powi(-23);
    let values: Vec<f32> = if shape.len() > 1 {
        let fan_in: usize = shape[1..].iter().product();
        let gain = if name == "fc.weight" { 4.0 } else { 1.1 };
        for filter in numbers.chunks_mut(fan_in) {
            let half_mean = filter.iter().sum::<i64>().div_euclid(2 * fan_in as i64);
            filter.iter_mut().for_each(|weight| *weight -= half_mean);
        }
        let step = (gain * (6.0 / fan_in as f64).sqrt()) as f32 * scale;
        numbers.into_iter().map(|n| n as f32 * step).collect()
    } else {
        let unit = numbers.into_iter().map(|n| n as f32 * scale);
        match name.rsplit_once("bn.").map(|(_, part)| part) {
            Some("weight") => unit.map(|unit| 1.0 + unit * 0.5).collect(),
            Some("running_var") => unit.map(|unit| 1.25 + unit * 0.75).collect(),
            _ => unit.map(|unit| unit * 0.5).collect(),
        }
    };
    (name.to_string(), shape, values.iter().flat_map(|v| v.to_le_bytes()).collect(), Dtype::F32)
}

/// A state dict with torchvision's names, including those that only training uses.
fn state_dict() -> Vec<Entry> {
    let network = Network::torchvision(CLASSES);
    let mut entries = Vec::new();
    for layer in &network.layers {
        let Some(shape) = network.weight_shape(layer) else { continue };
        if layer.name == "fc" {
            entries.push(tensor("fc.bias", vec![CLASSES]));
            entries.push(tensor("fc.weight", shape));
            continue;
        }
        let outputs = vec![shape[0]];
        entries.push(tensor(&format!("{}.conv.weight", layer.name), shape));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            entries.push(tensor(&format!("{}.bn.{part}", layer.name), outputs.clone()));
        }
        let count = format!("{}.bn.num_batches_tracked", layer.name);
        entries.push((count, vec![], 7i64.to_le_bytes().to_vec(), Dtype::I64));
    }
    entries.push(tensor("aux1.fc2.weight", vec![3, 5]));
    entries
}

fn bytes(entries: &[Entry]) -> Vec<u8> {
    let views = entries
        .iter()
        .map(|(name, shape, bytes, dtype)| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

static WEIGHTS: LazyLock<Weights> =
    LazyLock::new(|| Weights::from_bytes("tv", &bytes(&state_dict())).unwrap());
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

#[test]
fn blobs_scores_sweep_and_gradcam_are_torchvisions() {
    let expected = Reference::read("torchvision.safetensors");
    expected.check_blobs(&WEIGHTS, &NET, &INPUT);
    expected.check_scores(&NET, &INPUT);
}

#[test]
fn pictures_without_transform_input_are_torchvisions() {
    let expected = Reference::read("torchvision.safetensors");
    let file = bytes(&state_dict());
    let read = |transform_input| {
        let weights = Weights::from_reader("tv", file.len() as u64, &file[..], transform_input).unwrap();
        GoogLeNet::new(&weights).unwrap().classify(&INPUT).logits
    };
    let wanted = &expected.logits_without_transform_input;
    let largest = wanted.iter().copied().fold(0.0, f32::max);
    let error = |logits: &[f32]| {
        let off = expected.classes.iter().zip(wanted).map(|(&class, wanted)| (logits[class] - wanted).abs());
        off.fold(0.0, f32::max) / largest
    };
    assert!(error(&read(Some(false))) <= TOLERANCE, "{:e}", error(&read(Some(false))));
    assert!(error(&read(Some(true))) > 0.01);
    assert_eq!(read(None), read(Some(true)));
}

fn bits(maps: &OcclusionMaps) -> Vec<u32> {
    let totals = maps.features.iter().flat_map(|f| &f.totals);
    maps.scores.iter().chain(&maps.argmax_scores).chain(totals).map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn incremental_equals_exhaustive(
        size in [1usize..=224, 1usize..=60],
        stride in [75usize..=224, 45usize..=224],
        clipping: bool,
        rgb in prop::array::uniform3(0.0f32..255.0),
        own in prop_oneof![Just(1usize), 2usize..40, 990usize..1100],
        seed: u64,
    ) {
        // torchvision's network, and Berkeley's network with its own classifier.
        let other = GoogLeNet::new(&Weights::seeded_for(Network::bvlc(own), seed)).unwrap();
        for (net, layers) in [
            (&*NET, ["maxpool4", "inception4b.branch4.0", "inception3a"]),
            (&other, ["pool4/3x3_s2", "inception_4b/pool", "inception_3a/output"]),
        ] {
            let features = layers.map(|layer| Feature { layer: layer.to_string(), channel: None });
            let sweep = OcclusionSensitivity::new(net)
                .mask_size(size)
                .stride(stride)
                .mask_clipping(clipping)
                .mask_value(MaskValue::Rgb(rgb))
                .classes([net.network().classes() - 1])
                .features(features)
                .score(Score::Logit);
            let maps = sweep.run(&INPUT).unwrap();
            let exhaustive = sweep.exhaustive(true).run(&INPUT).unwrap();
            prop_assert_eq!(bits(&maps), bits(&exhaustive));
            prop_assert_eq!(maps, exhaustive);
        }
    }
}

#[test]
fn a_class_that_a_small_network_does_not_have_is_refused() {
    let net = GoogLeNet::new(&Weights::seeded_for(Network::bvlc(3), SEED)).unwrap();
    let error = OcclusionSensitivity::new(&net).classes([3]).run(&INPUT).unwrap_err().to_string();
    assert_eq!(error, "class 3 is not possible: expected an index of 0 to 2");
    assert!(net.grad_cam(&net.forward(&INPUT), &[3]).is_err());
}

#[test]
fn a_damaged_state_dict_is_refused_by_the_tensors_name() {
    let message = |edit: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = state_dict();
        edit(&mut entries);
        Weights::from_bytes("w", &bytes(&entries)).expect_err("accepted").to_string()
    };
    let at = |entries: &[Entry], name: &str| entries.iter().position(|e| e.0 == name).unwrap();
    let without = message(&|e| drop(e.remove(at(e, "inception4c.branch3.1.bn.running_mean"))));
    assert!(without.contains("has no tensor inception4c.branch3.1.bn.running_mean"), "{without}");
    let more = message(&|e| e.push(tensor("head.weight", vec![2])));
    assert!(more.contains("tensor head.weight unknown"), "{more}");
    let wide = message(&|e| {
        let i = at(e, "inception3a.branch3.1.conv.weight");
        e[i] = tensor("inception3a.branch3.1.conv.weight", vec![32, 16, 5, 5]);
    });
    assert!(wide.contains("shape [32, 16, 5, 5], expected [32, 16, 3, 3]"), "{wide}");
    let negative = message(&|e| {
        let i = at(e, "conv2.bn.running_var");
        e[i].2[..4].copy_from_slice(&(-0.5f32).to_le_bytes());
    });
    assert!(negative.contains("conv2.bn.running_var holds -0.5"), "{negative}");
    let infinite = message(&|e| {
        let i = at(e, "conv3.bn.weight");
        e[i].2[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    assert!(infinite.contains("conv3.bn.weight holds inf at position 0"), "{infinite}");
    let whole = message(&|e| {
        let i = at(e, "fc.weight");
        e[i].3 = Dtype::I32;
    });
    assert!(whole.contains("tensor fc.weight has dtype I32, expected F32, F16, BF16 or F64"), "{whole}");
}

#[test]
fn labels_of_ones_own_name_the_classes() {
    let labels = Labels::parse("l", b"daisy\nrose\ntulip").unwrap();
    let net = GoogLeNet::new(&Weights::seeded_for(Network::torchvision(labels.count()), SEED)).unwrap();
    let best = net.classify(&INPUT).best();
    assert!(["daisy", "rose", "tulip"].contains(&labels.words(best)));
}

#[cfg(feature = "cli")]
mod commands {
    use super::*;
    use crate::common::command::{folder, listing, occlude, refuse, succeed};
    use serde_json::Value;
    use std::fs;

    /// Tests all drawings and files of the command for a state dict in the form that torchvision
    /// saves.
    #[test]
    fn the_command_takes_torchvisions_file_and_a_file_of_labels() {
        let folder = folder();
        fs::write(folder.path().join("tv.safetensors"), bytes(&state_dict())).unwrap();
        let names: Vec<String> = (0..CLASSES).map(|class| format!("thing {class}, object {class}")).collect();
        fs::write(folder.path().join("names.txt"), names.join("\n")).unwrap();
        let run = |arguments: &[&str]| {
            let common = ["--weights", "tv.safetensors", "--labels", "names.txt"];
            succeed(occlude(&folder, &[arguments, &common].concat()))
        };
        let net = &*NET;
        let picture =
            occlude::Picture::open(folder.path().join("picture.png"), occlude::Resize::Stretch).unwrap();
        let best = net.classify(&picture.input()).best();
        assert!(run(&["classify", "picture.png"]).contains(&format!("{best}  thing {best}, object {best}")));
        run(&[
            "explain",
            "picture.png",
            "--stride",
            "112",
            "--classes",
            "thing 3, object 3,top1",
            "--report",
            "r.html",
            "--faithfulness",
            "--activation",
            "inception4c.branch2.1:strongest",
            "--show",
            "drop,class",
        ]);
        let json: Value =
            serde_json::from_slice(&fs::read(folder.path().join("out/map.json")).unwrap()).unwrap();
        assert_eq!(json["classes"][0]["label"], "thing 3, object 3");
        assert_eq!(json["activations"][0]["layer"], "inception4c.branch2.1");
        assert!(folder.path().join("out/picture-thing-3.png").exists(), "{:?}", listing(folder.path()));
        let report = fs::read_to_string(folder.path().join("r.html")).unwrap();
        assert!(report.contains("torchvision googlenet") && report.contains("--labels names.txt"));
        assert!(run(&["gradcam", "picture.png", "--out", "cam"]).contains("Grad-CAM at inception5b"));
        run(&["compare", "picture.png", "--stride", "112", "--out", "cmp"]);
        run(&["batch", "picture.png", "--stride", "112", "--out", "batch"]);
        let text = run(&["batch", "picture.png", "--stride", "112", "--out", "batch"]);
        assert!(text.contains("already complete"), "{text}");
        fs::write(folder.path().join("names.txt"), names.join("\n").replace("thing", "item")).unwrap();
        let text = run(&["batch", "picture.png", "--stride", "112", "--out", "batch"]);
        assert!(!text.contains("already complete"), "other labels change the results: {text}");
    }

    #[test]
    fn classes_without_names_are_numbered_and_labels_have_to_fit() {
        let folder = folder();
        fs::write(folder.path().join("tv.safetensors"), bytes(&state_dict())).unwrap();
        let with =
            |arguments: &[&str]| occlude(&folder, &[arguments, &["--weights", "tv.safetensors"]].concat());
        assert!(succeed(with(&["classify", "picture.png", "--top", "37"])).contains("  36  class 36\n"));
        let few = ["classify", "picture.png", "--top", "38"];
        refuse(
            &folder,
            with(&few),
            1,
            &["--top 38 is not possible: expected at most 37, the number of classes of the network"],
        );
        fs::write(folder.path().join("few.txt"), "a\nb\n").unwrap();
        for command in ["classify", "explain", "gradcam"] {
            let expected = "few.txt: has 2 names, expected one for each of the network's 37 classes";
            refuse(&folder, with(&[command, "picture.png", "--labels", "few.txt"]), 1, &[expected]);
        }
        refuse(
            &folder,
            with(&["explain", "picture.png", "--labels", "none.txt"]),
            1,
            &["cannot read none.txt"],
        );
        refuse(&folder, with(&["explain", "picture.png", "--classes", "37"]), 1, &["expected 0 to 36"]);
    }
}
