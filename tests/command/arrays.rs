//! Tests of `occlude explain --arrays`: the files contain map.json's numbers, bit for bit, and
//! NumPy reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::Command;

use crate::common::command::{floats, folder, listing, refuse, seeded, shape, succeed};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

/// The type, the shape and the bytes of each array, by its name.
type Arrays = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

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

/// Reads the format of `numpy.lib.format`, as far as these tests need it.
fn npy(file: &[u8]) -> (Dtype, Vec<usize>, Vec<u8>) {
    assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
    let values = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert!(values.is_multiple_of(64));
    let header = std::str::from_utf8(&file[10..values]).unwrap();
    let (head, shape) = header.split_once("'shape': (").unwrap();
    let dtype = match head {
        "{'descr': '<f4', 'fortran_order': False, " => Dtype::F32,
        "{'descr': '<i8', 'fortran_order': False, " => Dtype::I64,
        other => panic!("{other}"),
    };
    let (shape, rest) = shape.split_once(')').unwrap();
    assert!(rest.starts_with(", }") && rest.ends_with('\n') && rest[3..].trim().is_empty(), "{rest:?}");
    assert!(shape.contains(','), "a tuple with one element has a comma too: {shape}");
    let shape = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    (dtype, shape.map(|length| length.parse().unwrap()).collect(), file[values..].to_vec())
}

fn npz(file: Vec<u8>) -> Arrays {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let mut arrays = Arrays::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        arrays.insert(entry.name().unwrap().strip_suffix(".npy").unwrap().to_string(), npy(&contents));
    }
    arrays
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
    assert_eq!(expected["maps"].1, [2, 3, 2]);
    assert_eq!(expected["attributions"].1, [2, 224, 224]);

    // `assert_eq!` would print the values.
    assert!(npz(read(&folder, "out/maps.npz")) == expected);
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
    let names: Vec<String> = npz(read(&folder, "out/maps.npz")).into_keys().collect();
    assert_eq!(names, ["argmax", "argmax_scores", "base_scores", "classes", "maps", "scores"]);

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
maps = numpy.load("maps.npy", allow_pickle=False)
assert maps.tobytes() == arrays["maps"].tobytes() and maps.shape == arrays["maps"].shape
"#;
    let output = run(program, &folder.path().join("out")).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
