//! Tests of what the command offers to judge how far a map can be trusted: interactions of places, maps with
//! other masks, checks of the literature. And of RISE, a method to hold against it.

use std::fs;

use crate::common::command::{floats, folder, listing, occlude, refuse, succeed};
use crate::common::{safetensors, seeded_tensors};
use occlude::network::geometry::Rect;
use occlude::network::{Layer, MEAN_BGR, Op};
use occlude::{
    Against, GoogLeNet, Input, Interactions, MaskValue, OcclusionSensitivity, Picture, Resize, Rise, Score,
    Weights,
};
use serde_json::Value;
use tempfile::TempDir;

/// `occlude explain` of two classes with the built-in network and few masks.
const EXPLAIN: [&str; 8] =
    ["explain", "picture.png", "--weights", "builtin", "--classes", "3,7", "--stride", "56"];

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn run(folder: &TempDir, arguments: &[&str]) -> String {
    succeed(occlude(folder, &[&EXPLAIN, arguments].concat()))
}

#[test]
fn pairs_are_those_of_the_strongest_places() {
    let folder = folder();
    let options = ["--pairs", "3", "--score", "logit", "--format", "svg"];
    let text = run(&folder, &options);
    let map = json(&fs::read_to_string(folder.path().join("out/map.json")).unwrap());
    let (net, root) = (GoogLeNet::new(&Weights::builtin()).unwrap(), folder.path());
    let input = Picture::open(root.join("picture.png"), Resize::Stretch).unwrap().input();
    let found = map["pairs"].as_array().unwrap();
    assert_eq!(found.len(), 2);
    for (k, found) in found.iter().enumerate() {
        let class = [3, 7][k];
        assert_eq!(found["class"], class);
        let places = found["places"].as_array().unwrap();
        let rects: Vec<Rect> = places
            .iter()
            .map(|place| {
                match place["covered"].as_array().unwrap().iter().map(number).collect::<Vec<_>>()[..] {
                    [y0, x0, y1, x1] => Rect { y0, x0, y1, x1 },
                    _ => panic!("{place}"),
                }
            })
            .collect();
        let plain = Interactions::new(&net).score(Score::Logit).run(&input, &[(class, &rects)]).unwrap();
        assert_eq!(floats(&found["scores"]), plain[0].scores);
        // The first place is the maximum of the map.
        let drops = floats(&map["maps"][k]);
        let most = drops.iter().fold(f32::MIN, |most, drop| most.max(*drop));
        assert_eq!(floats(&places[0]["drop"]), [most]);
        let at = drops.iter().position(|drop| *drop == most).unwrap();
        let columns = number(&map["grid"][1]);
        assert_eq!(
            [number(&places[0]["y"]), number(&places[0]["x"])],
            [at / columns * 56, at % columns * 56]
        );
        let pairs = found["pairs"].as_array().unwrap();
        assert_eq!(pairs.len(), places.len() * (places.len() - 1) / 2);
        for pair in pairs {
            let [i, j] = [0, 1].map(|end| number(&pair["places"][end]));
            assert!(i < j);
            assert_eq!(pair["missed"].as_f64().unwrap(), plain[0].missed(i, j));
            assert_eq!(pair["index"].as_f64().unwrap(), plain[0].index(i, j));
        }
    }
    let figures =
        listing(&root.join("out")).into_iter().filter(|file| file.to_string_lossy().ends_with("-pairs.svg"));
    let figures: Vec<String> = figures.map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(figures.len(), 2);
    assert!(figures.iter().all(|figure| figure.contains("Shapley-Taylor") && figure.contains("<polyline")));
    assert!(
        text.contains("3 strongest places that do not overlap") && text.contains("\n    1 and 2 "),
        "{text}"
    );
    // Nothing about pairs unless asked.
    assert_eq!(json(&run(&folder, &["--json"]))["pairs"], Value::Null);
}

#[test]
fn a_map_without_two_places_has_no_pairs() {
    let folder = folder();
    let text = run(&folder, &["--mask-size", "224", "--pairs", "2"]);
    assert!(text.contains("has room without an overlap") || text.contains("no pairs: no place"), "{text}");
    let map = json(&fs::read_to_string(folder.path().join("out/map.json")).unwrap());
    assert_eq!([shape(&map, "pairs"), shape(&map, "scores")], [Some(0); 2]);
    assert!(listing(folder.path()).iter().all(|file| !file.to_string_lossy().contains("-pairs")));
}

/// The length of a list of the first class's pairs.
fn shape(map: &Value, name: &str) -> Option<usize> {
    map["pairs"][0][name].as_array().map(Vec::len)
}

#[test]
fn numbers_of_places_outside_their_range_are_refused() {
    let folder = folder();
    for count in ["1", "11", "-2", "many"] {
        let command = occlude(&folder, &[&EXPLAIN[..], &["--pairs", count]].concat());
        refuse(&folder, command, 2, &["'--pairs <K>'", "expected a whole number from 2 to 10"]);
    }
    for other in [&["--mask-shape", "ellipse"][..], &["--mask-value", "inpaint"], &["--inverse"]] {
        let command = occlude(&folder, &[&EXPLAIN[..], &["--pairs", "2"], other].concat());
        refuse(&folder, command, 1, &[&format!("--pairs with {} is not possible", other.join(" "))]);
    }
}

/// Against a plain loop over maps of the library.
#[test]
fn robust_maps_are_combined_as_the_help_says() {
    let folder = folder();
    let masks =
        ["--robust-size", "30", "--robust-size", "auto", "--robust-fill", "auto", "--robust-fill", "noise:5"];
    let options = [&["--robust", "--format", "svg"][..], &masks].concat();
    let text = run(&folder, &options);
    let map = json(&fs::read_to_string(folder.path().join("out/map.json")).unwrap());
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let mut plain = Vec::new();
    for size in [30, 45] {
        for fill in [MaskValue::Auto, MaskValue::Noise(5)] {
            let sweep = OcclusionSensitivity::new(&net).classes([3, 7]).stride([56, 56]).mask_size([size; 2]);
            plain.push(sweep.mask_value(fill).run(&input).unwrap());
        }
    }
    for (k, found) in map["robust"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&found["class"], &found["needed"]), (&Value::from([3, 7][k]), &Value::from(4)));
        let (mean, agreeing) = (floats(&found["mean"]), floats(&found["agreeing"]));
        let maps: Vec<Vec<f32>> = plain.iter().map(|maps| maps.map(k).values().to_vec()).collect();
        let most = |map: &[f32]| map.iter().fold(0.0f32, |most, drop| most.max(drop.abs()));
        let mut agreed = 0;
        for i in 0..mean.len() {
            let expected: f32 = maps.iter().map(|map| map[i] / most(map) / 4.0).sum();
            assert!((mean[i] - expected).abs() < 1e-6);
            let same = maps.iter().filter(|map| map[i].signum() == mean[i].signum() && map[i] != 0.0).count();
            assert_eq!(agreeing[i], same as f32);
            agreed += usize::from(same == 4);
        }
        assert_eq!(floats(&found["agreement"]), [agreed as f32 / mean.len() as f32]);
        let at = (0..mean.len()).fold(0, |best, i| if mean[i] > mean[best] { i } else { best });
        let strong = |map: &&Vec<f32>| map.iter().filter(|drop| **drop > map[at]).count() * 10 < mean.len();
        let among = maps.iter().filter(strong).count();
        let [y, x] = plain[0].centre(at / plain[0].grid[1], at % plain[0].grid[1]);
        assert_eq!(found["strongest"], serde_json::json!({ "x": x, "y": y, "among": among }));
        assert!(
            text.contains(&format!("x {x}, y {y}, is among the strongest tenth in {among} of 4 maps")),
            "{text}"
        );
        for (m, repeated) in found["maps"].as_array().unwrap().iter().enumerate() {
            assert_eq!(floats(&repeated["map"]), maps[m]);
            assert_eq!(floats(&repeated["largest"]), [most(&maps[m])]);
            assert_eq!(floats(&repeated["mask_size"]), [[30.0; 2], [45.0; 2]][m / 2]);
            let correlation = repeated["correlation"].as_f64().unwrap();
            assert!((-1.0..=1.0).contains(&correlation));
        }
    }
    let figures = listing(&folder.path().join("out"))
        .into_iter()
        .filter(|file| file.to_string_lossy().ends_with("-robust.svg"));
    let figures: Vec<String> = figures.map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(figures.len(), 2);
    assert!(figures.iter().all(|figure| figure.contains("hatched: less than 4 of 4 maps")));
}

#[test]
fn masks_that_cannot_be_combined_are_refused() {
    let folder = folder();
    let refused = |arguments: &[&str], code, text: &str| {
        refuse(&folder, occlude(&folder, &[&EXPLAIN, arguments].concat()), code, &[text]);
    };
    refused(&["--robust", "--mask-clipping", "off"], 1, "--robust with --mask-clipping off is not possible");
    let one = ["--robust", "--robust-size", "45", "--robust-size", "auto", "--robust-fill", "7"];
    refused(&one, 1, "--robust with 1 different masks is not possible: expected 2 to 100");
    let superpixels = ["explain", "picture.png", "--weights", "builtin", "--robust", "--segments", "slic"];
    refuse(&folder, occlude(&folder, &superpixels), 1, &["--robust with --segments is not possible"]);
    refused(&["--robust-size", "45"], 2, "--robust");
    refused(&["--robust", "--robust-fill", "green"], 2, "'--robust-fill <FILL>'");
    refused(&["--robust", "--robust-size", "0"], 2, "'--robust-size <SIZE>'");
}

/// Every map of `check.json` against a sweep of the library over the changed network, class or picture.
#[test]
fn checks_compare_the_maps_that_they_name() {
    let folder = folder();
    let arguments = ["check", "picture.png", "--weights", "builtin", "--classes", "3,7", "--stride", "75"];
    let text = succeed(occlude(&folder, &[&arguments[..], &["--score", "logit", "--threads", "2"]].concat()));
    let found = json(&fs::read_to_string(folder.path().join("out/check.json")).unwrap());
    assert!(folder.path().join("out/picture-check.png").is_file());
    let weights = Weights::builtin();
    let net = GoogLeNet::new(&weights).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let sweep = |net: &GoogLeNet, input: &Input, class: usize| {
        let sweep = OcclusionSensitivity::new(net).classes([class]).stride([75, 75]).score(Score::Logit);
        sweep.run(input).unwrap().map(0).values().to_vec()
    };
    let own = sweep(&net, &input, 3);
    assert_eq!(floats(&found["map"]), own);
    let checks = found["checks"].as_array().unwrap();
    let mut expected = Vec::new();
    let mut shuffled = weights.clone();
    for prefix in ["", "inception5", "inception4", "inception3", "conv"] {
        let network = weights.network();
        let layers = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
        let belongs = |layer: &&Layer| match prefix {
            "" => layer.op == Op::Classifier,
            _ => layer.name.starts_with(prefix),
        };
        let named: Vec<&str> = layers.filter(belongs).map(|layer| &layer.name[..]).collect();
        assert!(!named.is_empty(), "{prefix}");
        shuffled = shuffled.shuffled(&named, 1);
        expected.push(sweep(&GoogLeNet::new(&shuffled).unwrap(), &input, 3));
    }
    assert!(weights.tensors().zip(shuffled.tensors()).all(|((_, _, before), (_, _, after))| before != after));
    expected.push(sweep(&net, &input, 7));
    let noise = MaskValue::Noise(1).covered(&input).unwrap();
    let values = (0..224 * 224 * 3).map(|i| {
        let mean = MEAN_BGR[i % 3];
        let step = if noise.values()[i] + mean < 127.5 { -1.0 } else { 1.0 };
        (input.values()[i] + mean + step).clamp(0.0, 255.0) - mean
    });
    expected.push(sweep(&net, &Input::from_nhwc_bgr(values.collect()).unwrap(), 3));
    expected.push(own.clone());
    assert_eq!(checks.len(), expected.len());
    for (check, expected) in checks.iter().zip(&expected) {
        let name = check["name"].as_str().unwrap();
        assert_eq!(floats(&check["map"]), *expected, "{name}");
        assert!(text.contains(name) && check["score"] == "logit");
        // Spearman's formula; the drops have no ties.
        let rank = |map: &[f32], i: usize| map.iter().filter(|drop| **drop < map[i]).count() as f64;
        let n = own.len() as f64;
        let squares: f64 = (0..own.len()).map(|i| (rank(&own, i) - rank(expected, i)).powi(2)).sum();
        let spearman = 1.0 - 6.0 * squares / (n * (n * n - 1.0));
        assert!((check["spearman"].as_f64().unwrap() - spearman).abs() < 1e-5, "{name}: {spearman}");
        let verdict = check["verdict"].as_str().unwrap();
        if name.contains("shuffled") {
            assert_eq!(verdict == "passed", spearman.abs() < 0.5, "{name}: {spearman}");
        }
    }
    let last = &checks[checks.len() - 1];
    assert_eq!([&last["name"], &last["verdict"]], ["again on 1 thread", "passed"]);
    assert!(text.contains(" of 8 checks passed"), "{text}");
}

/// Without a photograph in the picture, the probability of some class is certain and its map constant.
#[test]
fn a_constant_map_is_replaced_by_logits_and_said_so() {
    let folder = folder();
    let mut tensors = seeded_tensors();
    // The first class is certain, whatever the mask.
    let bias = tensors.iter_mut().find(|tensor| tensor.name == "loss3/classifier.bias").unwrap();
    bias.bytes[..4].copy_from_slice(&200f32.to_le_bytes());
    fs::write(folder.path().join("certain.safetensors"), safetensors(&tensors)).unwrap();
    let arguments = ["check", "picture.png", "--weights", "certain.safetensors", "--stride", "112"];
    let text = succeed(occlude(&folder, &arguments));
    let found = json(&fs::read_to_string(folder.path().join("out/check.json")).unwrap());
    let checks = found["checks"].as_array().unwrap();
    assert_eq!([&checks[0]["score"], &found["score"]], ["logit", "probability"]);
    assert!(
        checks[0]["spearman"].is_f64() && text.contains("is nearly constant; the logits were compared"),
        "{text}"
    );
    // The maps of another class and of noise have no correlation with a constant map.
    assert!(text.contains("undefined") && checks[5]["verdict"] == "inconclusive", "{text}");
}

#[test]
fn checks_refuse_what_they_cannot_compare() {
    let folder = folder();
    let refused = |arguments: &[&str], code, text: &str| {
        let command = ["check", "picture.png", "--weights", "builtin"];
        refuse(&folder, occlude(&folder, &[&command, arguments].concat()), code, &[text]);
    };
    refused(&["--classes", "nothing"], 1, "nothing");
    refused(&["--mask-size", "0"], 2, "--mask-size");
    refused(
        &["--score", "contrast:3", "--classes", "3"],
        1,
        "is among the classes to map, and the score is a contrast",
    );
    refused(&["--out", "picture.png"], 1, "picture.png");
    refused(
        &["--activation", "conv1/7x7_s2:3"],
        2,
        "'--activation <LAYER:CHANNEL>': this command maps classes",
    );
    refused(&["--aggregate", "windows"], 2, "'--aggregate <none|windows>': expected none");
}

#[test]
fn a_check_of_few_positions_says_so() {
    let folder = folder();
    let check = |stride: &str| {
        succeed(occlude(&folder, &["check", "picture.png", "--weights", "builtin", "--stride", stride]))
    };
    let message = "these are less than 16 positions, too few for a correlation";
    let (few, enough) = (check("75"), check("56"));
    assert!(few.contains("over 9 positions") && few.contains(message), "{few}");
    assert!(enough.contains("over 16 positions") && !enough.contains(message), "{enough}");
    let one = check("224");
    assert!(one.contains("or has one position, so that its correlation means nothing"), "{one}");
    assert!(one.contains(message), "{one}");
}

#[test]
fn rise_writes_the_librarys_maps() {
    let folder = folder();
    let arguments = ["rise", "picture.png", "--weights", "builtin", "--classes", "3,7", "--masks", "70"];
    let options =
        ["--score", "logit", "--seed", "5", "--grid", "4x3", "--probability", "0.4", "--precision", "1"];
    let text = succeed(occlude(&folder, &[&arguments[..], &options].concat()));
    let found = json(&fs::read_to_string(folder.path().join("out/rise.json")).unwrap());
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let rise = Rise::new(&net).masks(70).grid([4, 3]).probability(0.4).seed(5).score(Score::Logit);
    let plain = rise.precision(Some(1.0)).run(&input, &[3, 7]).unwrap();
    assert_eq!([&found["masks"], &found["most_masks"]], [plain.masks, 70]);
    for (k, class) in found["classes"].as_array().unwrap().iter().enumerate() {
        assert_eq!(class["index"], plain.classes[k]);
        assert_eq!(floats(&class["base_score"]), [plain.base_scores[k]]);
        let precision = class["precision"].as_f64().map_or(f32::INFINITY, |precision| precision as f32);
        assert_eq!(precision, plain.precisions[k]);
        assert!(floats(&class["map"]) == plain.maps[k]);
        assert!(floats(&class["standard_error"]) == plain.standard_errors[k]);
    }
    let total = plain.profile.total();
    assert_eq!(found["multiply_adds"]["executed"], total.executed);
    assert!(
        text.contains("so locality saves") && text.contains("of at most 70 masks of 4x3 cells"),
        "{text}"
    );
    let figures = listing(&folder.path().join("out"));
    assert_eq!(figures.iter().filter(|file| file.to_string_lossy().ends_with("-rise.png")).count(), 2);

    for (arguments, code, message) in [
        (["--masks", "1"], 2, "expected a whole number from 2 to 1000000"),
        (["--grid", "113"], 1, "grid 113x113 is not possible"),
        (["--probability", "1"], 1, "probability 1 is not possible"),
        (["--precision", "0"], 2, "'--precision <SHARE>'"),
        (["--mask-value", "patch"], 1, "mask value patch is not possible"),
        (["--seed", "x"], 2, "--seed"),
        (["--classes", "all"], 1, "--classes with 28 classes is not possible: expected at most 20"),
        (["--score", "contrast:nearest:28"], 1, "--score contrast:nearest:28 is not possible"),
        (["--score", "best"], 2, "expected probability, logit, contrast:CLASS"),
        (["--groups", "none.txt"], 1, "--groups none.txt is not possible: expected --score group:NAME"),
    ] {
        let command = ["rise", "picture.png", "--weights", "builtin"];
        refuse(&folder, occlude(&folder, &[&command[..], &arguments].concat()), code, &[message]);
    }
}

/// Every score of the sweep, against the library with the score that its name means.
#[test]
fn rise_follows_the_scores_of_a_sweep() {
    let folder = folder();
    fs::write(folder.path().join("groups.txt"), "pets: cat, dog\n").unwrap();
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let pets = Score::Group { name: "pets".to_string(), classes: vec![0, 1] };
    let nearest = Score::LogitContrast(Against::Nearest(3));
    for (options, score, figure, heading) in [
        (
            &["--score", "contrast:dog"][..],
            Score::Contrast(Against::Class(1)),
            "cat",
            "cat (0): probability minus that of dog",
        ),
        (&["--score", "logit-contrast:nearest:3"], nearest, "cat", "cat (0): logit minus the mean of the 3"),
        (&["--score", "logit-margin"], Score::LogitMargin, "cat", "cat (0): logit minus that of the best"),
        (
            &["--score", "group:pets", "--groups", "groups.txt"],
            pets,
            "group-pets",
            "pets (2 classes): probability of pets",
        ),
        (&["--score", "entropy"], Score::Entropy, "entropy", "whole answer: entropy"),
    ] {
        let arguments = ["rise", "picture.png", "--weights", "builtin", "--masks", "5"];
        let classes: &[&str] = if score.is_of_class() { &["--classes", "cat"] } else { &[] };
        let text = succeed(occlude(&folder, &[&arguments[..], classes, options].concat()));
        let found = json(&fs::read_to_string(folder.path().join("out/rise.json")).unwrap());
        let rise = Rise::new(&net).masks(5).score(score.clone());
        let plain = rise.run(&input, if score.is_of_class() { &[0] } else { &[] }).unwrap();
        let of_map = &found["classes"][0];
        assert!(floats(&of_map["map"]) == plain.maps[0], "{score}");
        assert_eq!(floats(&of_map["base_score"]), plain.base_scores, "{score}");
        assert_eq!(of_map["index"].is_null(), !score.is_of_class());
        let others = [&of_map["against"], &of_map["members"]]
            .map(|others| others.as_array().map_or(Vec::new(), |others| others.iter().map(number).collect()));
        let [against, members] = if score.is_of_class() { [0, 1] } else { [1, 0] }.map(|i: usize| &others[i]);
        assert_eq!((against, members.len()), (&plain.targets[0].against, 0), "{score}");
        assert_eq!(found["score"], score.to_string());
        assert!(folder.path().join(format!("out/picture-{figure}-rise.png")).is_file(), "{score}");
        assert!(text.contains(heading), "{text}");
        fs::remove_dir_all(folder.path().join("out")).unwrap();
    }
    for (arguments, message) in [
        (&["--score", "entropy", "--classes", "3"][..], "expected no classes, because the score entropy"),
        (&["--score", "contrast:3", "--classes", "3"], "is among the classes to map"),
    ] {
        let command = ["rise", "picture.png", "--weights", "builtin"];
        refuse(&folder, occlude(&folder, &[&command, arguments].concat()), 1, &[message]);
    }
}
