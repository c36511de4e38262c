//! Tests of what the command offers to judge how far a map can be trusted: interactions of places.

use std::fs;

use crate::common::command::{floats, folder, listing, occlude, refuse, succeed};
use occlude::network::geometry::Rect;
use occlude::{GoogLeNet, Interactions, Picture, Resize, Score, Weights};
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
}
