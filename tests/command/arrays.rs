//! Tests of `occlude explain --arrays`: the files contain map.json's numbers, bit for bit, and
//! NumPy reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::Command;

use crate::common::command::{floats, folder, listing, refuse, seeded, shape, succeed};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The type, the shape and the bytes of each array, by its name.
type Arrays = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The shape and the texts of each array of texts, by its name.
type Texts = BTreeMap<String, (Vec<usize>, Vec<String>)>;

/// A sweep that produces all kinds of arrays: two classes, a feature, pixel by pixel.
const SWEEP: [&str; 10] = [
    "--classes",
    "top2",
    "--stride",
    "75x112",
    "--activation",
    "inception_4c/output:17",
    "--aggregate",
    "windows",
    "--arrays",
    "npy,npz,safetensors",
];

fn explain(folder: &TempDir, out: &str) -> Value {
    let arguments = [&["explain", "picture.png", "--out", out, "--json"], &SWEEP[..]].concat();
    serde_json::from_str(&succeed(seeded(folder, &arguments))).unwrap()
}

fn read(folder: &TempDir, file: &str) -> Vec<u8> {
    fs::read(folder.path().join(file)).unwrap()
}

/// Reads numbers in the format of `numpy.lib.format`, as far as these tests need it.
fn npy(file: &[u8]) -> (Dtype, Vec<usize>, Vec<u8>) {
    let (descr, shape, values) = npy_parts(file);
    let dtype = match descr.as_str() {
        "<f4" => Dtype::F32,
        "<i8" => Dtype::I64,
        other => panic!("{other}"),
    };
    (dtype, shape, values)
}

/// The texts of an array: characters of 32 bits, as many for each text, filled with zeros.
fn npy_texts(file: &[u8]) -> (Vec<usize>, Vec<String>) {
    let (descr, shape, bytes) = npy_parts(file);
    let length: usize = descr.strip_prefix("<U").unwrap().parse().unwrap();
    let characters: Vec<char> =
        bytes.as_chunks().0.iter().map(|&four| char::from_u32(u32::from_le_bytes(four)).unwrap()).collect();
    let texts = characters.chunks(length).map(|text| text.iter().filter(|&&c| c != '\0').collect());
    (shape, texts.collect())
}

/// The type in NumPy's notation, the shape, and the bytes of the values.
fn npy_parts(file: &[u8]) -> (String, Vec<usize>, Vec<u8>) {
    assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
    let values = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert!(values.is_multiple_of(64));
    let header = std::str::from_utf8(&file[10..values]).unwrap();
    let (head, shape) = header.split_once("'shape': (").unwrap();
    let descr =
        head.strip_prefix("{'descr': '").unwrap().strip_suffix("', 'fortran_order': False, ").unwrap();
    let (shape, rest) = shape.split_once(')').unwrap();
    assert!(rest.starts_with(", }") && rest.ends_with('\n') && rest[3..].trim().is_empty(), "{rest:?}");
    assert!(shape.is_empty() || shape.contains(','), "a tuple with one element has a comma too: {shape}");
    let shape = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    (descr.to_string(), shape.map(|length| length.parse().unwrap()).collect(), file[values..].to_vec())
}

/// The arrays of an archive: those of numbers, and those of texts.
fn npz(file: Vec<u8>) -> (Arrays, Texts) {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let (mut arrays, mut texts) = (Arrays::new(), Texts::new());
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        let name = entry.name().unwrap().strip_suffix(".npy").unwrap().to_string();
        if npy_parts(&contents).0.starts_with("<U") {
            texts.insert(name, npy_texts(&contents));
        } else {
            arrays.insert(name, npy(&contents));
        }
    }
    (arrays, texts)
}

fn safetensors(file: &[u8]) -> Arrays {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let array = |(name, view): (String, safetensors::tensor::TensorView)| {
        (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
    };
    tensors.tensors().into_iter().map(array).collect()
}

/// Converts nested lists to an array of this type.
fn array(dtype: Dtype, value: &Value) -> (Dtype, Vec<usize>, Vec<u8>) {
    let bytes = floats(value).into_iter().flat_map(|number| match dtype {
        Dtype::F32 => number.to_le_bytes().to_vec(),
        _ => (number as i64).to_le_bytes().to_vec(),
    });
    (dtype, shape(value), bytes.collect())
}

#[test]
fn every_file_has_the_numbers_of_map_json() {
    let folder = folder();
    let json = explain(&folder, "out");
    let each = |list: &str, field: &str| -> Value {
        json[list].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    };
    let mut expected = Arrays::new();
    for name in ["maps", "scores", "argmax_scores", "attributions"] {
        expected.insert(name.to_string(), array(Dtype::F32, &json[name]));
    }
    expected.insert("base_scores".to_string(), array(Dtype::F32, &each("classes", "base_score")));
    expected.insert("classes".to_string(), array(Dtype::I64, &each("classes", "index")));
    expected.insert("argmax".to_string(), array(Dtype::I64, &json["argmax"]));
    for (name, field, dtype) in [
        ("activations", "map", Dtype::F32),
        ("activation_totals", "totals", Dtype::F32),
        ("activation_base_totals", "base_total", Dtype::F32),
        ("activation_channels", "channel", Dtype::I64),
    ] {
        expected.insert(name.to_string(), array(dtype, &each("activations", field)));
    }
    // The photograph has 80 rows of 120 pixels. The first mask is centred on the first pixel.
    for (name, values) in
        [("mask_size", json!([45, 45])), ("stride", json!([75, 112])), ("photo_size", json!([80, 120]))]
    {
        expected.insert(name.to_string(), array(Dtype::I64, &values));
    }
    let (rows, columns) = ([0.5, 75.5, 150.5], [0.5, 112.5]);
    for (name, values) in [
        ("centres_y", json!(rows)),
        ("centres_x", json!(columns)),
        ("photo_centres_y", json!(rows.map(|y| y * 80.0 / 224.0))),
        ("photo_centres_x", json!(columns.map(|x| x * 120.0 / 224.0))),
        ("extent", json!([0, 224, 224, 0])),
        ("photo_extent", json!([0, 120, 80, 0])),
    ] {
        expected.insert(name.to_string(), array(Dtype::F32, &values));
    }
    assert_eq!(expected["maps"].1, [2, 3, 2]);
    assert_eq!(expected["attributions"].1, [2, 224, 224]);

    // `assert_eq!` would print the values.
    let (arrays, texts) = npz(read(&folder, "out/maps.npz"));
    assert_eq!(arrays.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, array) in &expected {
        assert!(arrays[name] == *array, "{name}");
    }
    let labels: Vec<String> = json["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class["label"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(texts["class_names"], (vec![2], labels));
    assert_eq!(texts["image"], (vec![], vec!["picture.png".to_string()]));
    assert_eq!(texts["score_name"], (vec![], vec!["probability".to_string()]));
    assert_eq!(texts.len(), 3);
    assert!(safetensors(&read(&folder, "out/maps.safetensors")) == expected);
    assert!(npy(&read(&folder, "out/maps.npy")) == expected["maps"]);

    let file = read(&folder, "out/maps.safetensors");
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let options: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["options"]).unwrap();
    assert!(options.as_object().unwrap().values().all(Value::is_string));
    for (option, value) in [
        ("image", "picture.png"),
        ("image_sha256", json["image_sha256"].as_str().unwrap()),
        ("mask_size", "45x45"),
        ("stride", "75x112"),
        ("mask_clipping", "on"),
        ("region", "0,0,224,224"),
        ("score", "probability"),
        ("aggregate", "windows"),
        ("activation", "inception_4c/output:17"),
    ] {
        assert_eq!(options[option], value, "{option}");
    }
}

/// A value of an upsampled map lies where the place of its mask says, also on a part of the photograph.
#[test]
fn upsampled_maps_lie_at_the_places_of_the_masks() {
    let folder = folder();
    let options =
        ["--region", "40,60,200,190", "--stride", "20", "--arrays", "npz", "--upsampled", "--out", "out"];
    let command = [&["--resize", "center-crop", "explain", "picture.png"], &options[..]].concat();
    succeed(seeded(&folder, &command));
    let (arrays, _) = npz(read(&folder, "out/maps.npz"));
    let floats = |name: &str| -> Vec<f32> {
        let (dtype, _, bytes) = &arrays[name];
        assert_eq!(*dtype, Dtype::F32);
        bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    };
    let (maps, upsampled) = (floats("maps"), floats("upsampled"));
    let [left, right, bottom, top] = floats("extent")[..] else { panic!("four edges") };
    let (rows, columns) = (floats("centres_y"), floats("centres_x"));
    let shape = &arrays["upsampled"].1;
    assert_eq!(shape[..], [1, (bottom - top) as usize, (right - left) as usize]);
    for (row, y) in rows.iter().enumerate() {
        for (column, x) in columns.iter().enumerate() {
            let pixel = (y - top) as usize * shape[2] + (x - left) as usize;
            let (found, expected) = (upsampled[pixel], maps[row * columns.len() + column]);
            assert!(
                (found - expected).abs() <= 1e-6 * expected.abs().max(1e-3),
                "{y},{x}: {found} {expected}"
            );
        }
    }
    // 256 pixels of the scaled photograph are its 80 rows; the square begins in row 16 and column 80 of them.
    let expected = [left + 80.0, right + 80.0, bottom + 16.0, top + 16.0].map(|edge| edge * 80.0 / 256.0);
    for (found, expected) in floats("photo_extent").iter().zip(expected) {
        assert!((found - expected).abs() < 0.05, "{found} {expected}");
    }
    for (found, y) in floats("photo_centres_y").iter().zip(&rows) {
        assert!((found - (y + 16.0) * 80.0 / 256.0).abs() < 0.05);
    }
    refuse(&folder, seeded(&folder, &["explain", "picture.png", "--upsampled"]), 2, &["--arrays"]);
}

#[test]
fn the_same_numbers_are_the_same_bytes() {
    let folder = folder();
    for out in ["first", "second"] {
        explain(&folder, out);
    }
    for file in ["maps.npy", "maps.npz", "maps.safetensors"] {
        assert!(
            read(&folder, &format!("first/{file}")) == read(&folder, &format!("second/{file}")),
            "{file}"
        );
    }
}

#[test]
fn only_what_is_asked_for_is_written() {
    let folder = folder();
    let explain = |more: &[&str]| {
        succeed(seeded(
            &folder,
            &[&["explain", "picture.png", "--stride", "224", "--out", "out"], more].concat(),
        ))
    };
    let arrays = || {
        let files = listing(&folder.path().join("out")).into_iter();
        let names = files.map(|path| path.file_name().unwrap().to_str().unwrap().to_string());
        names.filter(|name| name.starts_with("maps.")).collect::<Vec<_>>()
    };
    explain(&[]);
    assert!(arrays().is_empty());
    let text = explain(&["--arrays", "npz,npz"]);
    assert_eq!(arrays(), ["maps.npz"]);
    assert!(text.contains("maps.npz"), "{text}");
    let (arrays, _) = npz(read(&folder, "out/maps.npz"));
    for name in ["attributions", "activations", "upsampled"] {
        assert!(arrays.contains_key("maps") && !arrays.contains_key(name), "{name}");
    }

    let between = "a name between commas is empty: expected npy";
    for (wrong, message) in
        [("csv", "'--arrays <LIST>': expected npy"), ("npz,", between), ("npz,,npy", between)]
    {
        let command = seeded(&folder, &["explain", "picture.png", "--arrays", wrong]);
        refuse(&folder, command, 2, &["--arrays", message, "expected npy or npz or safetensors"]);
    }

    succeed(seeded(
        &folder,
        &["batch", "picture.png", "--stride", "224", "--arrays", "npz", "--out", "many"],
    ));
    assert!(read(&folder, "many/picture/maps.npz") == read(&folder, "out/maps.npz"));
}

/// Uses `$OCCLUDE_PYTHON`, or otherwise `python3`. If it has no NumPy, the test reports this and
/// passes, unless `OCCLUDE_REQUIRE_NUMPY=1` is set.
#[test]
fn numpy_reads_them() {
    let python = std::env::var("OCCLUDE_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let run =
        |program: &str, argument: &Path| Command::new(&python).args(["-c", program]).arg(argument).output();
    if !run("import numpy", Path::new("")).is_ok_and(|output| output.status.success()) {
        let required = std::env::var("OCCLUDE_REQUIRE_NUMPY").is_ok_and(|value| value == "1");
        assert!(!required, "{python} cannot import numpy, which is required here");
        // The test harness hides the output of `eprintln!` while tests pass.
        let _ = writeln!(std::io::stderr(), "SKIPPED: this test needs NumPy, which {python} does not have");
        return;
    }
    let folder = folder();
    explain(&folder, "out");
    let program = r#"
import json, numpy, os, sys
os.chdir(sys.argv[1])
facts = json.load(open("map.json"))
arrays = numpy.load("maps.npz", allow_pickle=False)
def same(name, expected, dtype):
    found = arrays[name]
    assert found.dtype == dtype and numpy.array_equal(found, numpy.array(expected, dtype)), name
for name in ["maps", "scores", "argmax_scores", "attributions"]:
    same(name, facts[name], numpy.float32)
same("argmax", facts["argmax"], numpy.int64)
same("classes", [c["index"] for c in facts["classes"]], numpy.int64)
same("base_scores", [c["base_score"] for c in facts["classes"]], numpy.float32)
same("activations", [a["map"] for a in facts["activations"]], numpy.float32)
assert arrays["image"] == facts["image"] and arrays["score_name"] == facts["score"]
assert list(arrays["class_names"]) == [c["label"] for c in facts["classes"]]
maps = numpy.load("maps.npy", allow_pickle=False)
assert maps.tobytes() == arrays["maps"].tobytes() and maps.shape == arrays["maps"].shape
"#;
    let output = run(program, &folder.path().join("out")).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
