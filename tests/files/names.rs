//! Names that files bring along: of tensors, layers, nodes and classes, and of the files themselves. In
//! no message and no output do they begin a line, control a terminal, hide text, become a formula or
//! fill the screen; and JSON holds them as they are.

use std::fs;
use std::path::Path;

use crate::common::command::{folder, occlude, stderr, succeed, write_png};
use crate::common::{SEED, Tensor, safetensors};
use crate::weights::encode::{self, Layer};
use occlude::network::Network;
use occlude::text::{escaped, is_control, shown};
use occlude::{Labels, Weights};
use safetensors::Dtype;
use serde_json::Value;
use tempfile::TempDir;

/// Names that do harm where they are printed as they are. Each begins with "a" or a formula.
const NAMES: [&str; 9] = [
    "a\nerror: all is well, exit code 0",
    "a\r\nb\u{b}c\u{85}d\u{2028}e\u{2029}f",
    "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}",
    "a\u{202e}gnp.exe\u{2066}b\u{2069}\u{200f}\u{61c}",
    "a\u{200b}b\u{feff}\u{2060}",
    "=HYPERLINK(\"http://a.b\")",
    "@SUM(1)|'a'",
    "<script>alert(1)</script>&quot;]]>-->",
    "a\tb\\n%s{}{0}$(x)`y`",
];

/// A message about a name: in one line, of readable length, with the name as text.
fn check_message(message: &str, name: &str) {
    assert!(!message.contains(is_control), "{message}");
    assert!(message.contains(&*shown(name)), "no \"{}\" in {message}", shown(name));
    assert!(message.len() < 5000, "{} bytes", message.len());
}

/// The message about a weights file with a name somewhere; the same each time.
fn refusal(bytes: &[u8]) -> String {
    let message = || Weights::from_bytes("w", bytes).expect_err("accepted").to_string();
    let first = message();
    assert_eq!(first, message());
    first
}

/// The names of the table and one of 100,000 characters.
fn names() -> Vec<String> {
    NAMES.iter().map(|name| name.to_string()).chain([format!("a{}b", "\u{202e}x".repeat(50_000))]).collect()
}

fn tensor(name: &str, dtype: Dtype) -> Tensor {
    Tensor { name: name.to_string(), dtype, shape: vec![1], bytes: vec![0; 4] }
}

#[test]
fn names_in_weights_files_are_text() {
    let layers = encode::layers(2);
    let with = |edit: &dyn Fn(&mut Vec<Layer>)| {
        let mut layers = layers.clone();
        edit(&mut layers);
        encode::PUBLISHED.file(&layers)
    };
    for name in names() {
        let one = |name: &str, dtype| refusal(&safetensors(&[tensor(name, dtype)]));
        check_message(&one(&name, Dtype::F32), &name);
        check_message(&one(&format!("{name}.conv1.weight"), Dtype::F32), &name);
        check_message(&one(&format!("fc.{name}"), Dtype::F32), &format!("fc.{name}"));
        let sequential = [tensor("conv1.weight", Dtype::F32), tensor(&format!("fc.{name}"), Dtype::F32)];
        check_message(&refusal(&safetensors(&sequential)), &format!("fc.{name}"));

        // Caffe: an unknown layer, two of the same name, and two fully connected ones.
        let named = |at: usize| Layer { name: name.clone(), ..layers[at].clone() };
        // The reader keeps the first 256 bytes of a layer's name.
        let cut = String::from_utf8_lossy(&name.as_bytes()[..name.len().min(256)]).into_owned();
        check_message(&refusal(&with(&|layers| layers.push(named(3)))), &cut);
        check_message(&refusal(&with(&|layers| layers.extend([named(3), named(3)]))), &cut);
        check_message(&refusal(&with(&|layers| layers.push(named(57)))), &cut);

        // ONNX: the type, the output and an input of the classifier's node.
        let edits: [&dyn Fn(&mut encode::Node); 2] =
            [&|node| node.inputs[1] = name.clone(), &|node| node.inputs[0] = name.clone()];
        for edit in edits {
            let file = encode::ZOO.file_with(&layers, |nodes| {
                edit(nodes.iter_mut().find(|node| node.op == "Gemm").unwrap());
            });
            check_message(&refusal(&file), &name);
        }
        let file = encode::ZOO.file_with(&layers, |nodes| {
            let node = nodes.iter_mut().find(|node| node.op == "Gemm").unwrap();
            (node.output, node.inputs[1]) = (name.clone(), "none".to_string());
        });
        check_message(&refusal(&file), &name);
    }
}

/// A folder with a network of three classes of hostile names, and the names.
fn network() -> (TempDir, Vec<String>) {
    let folder = folder();
    let weights = Weights::seeded_for(Network::torchvision_half(3), SEED);
    let tensors = weights.tensors().map(|(name, shape, values)| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::F32, shape, bytes }
    });
    fs::write(folder.path().join("w.st"), safetensors(&tensors.collect::<Vec<_>>())).unwrap();
    let labels = [
        "=a\u{202e}\u{1b}[2J\r\u{2028}\u{85}b".to_string(),
        format!("@<b>\"&\u{200b}{}", "x ".repeat(50_000)),
        format!("+{}", "\u{feff}y".repeat(50_000)),
    ];
    fs::write(folder.path().join("labels.txt"), labels.join("\n")).unwrap();
    let labels: Vec<String> = labels.iter().map(|label| label.trim().to_string()).collect();
    (folder, labels)
}

fn read(folder: &TempDir, file: &str) -> String {
    fs::read_to_string(folder.path().join(file)).unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.200}"))
}

/// All strings in a JSON value.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// Checks what a command printed: no character that controls a terminal, and short lines.
fn check_printed(printed: &str) {
    assert!(!printed.contains(|c| c != '\n' && is_control(c)), "{printed:.2000}");
    assert!(printed.lines().all(|line| line.len() < 3000), "{printed:.5000}");
}

#[test]
fn names_of_classes_are_text() {
    let (folder, labels) = network();
    let run = |arguments: &[&str]| {
        let common = ["--weights", "w.st", "--labels", "labels.txt"];
        let mut command = occlude(&folder, &[arguments, &common].concat());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
        check_printed(&String::from_utf8(output.stderr).unwrap());
        String::from_utf8(output.stdout).unwrap()
    };
    let sweep = ["--classes", "top3", "--mask-size", "100", "--stride", "112", "--out"];
    let commands: [&[&str]; 6] = [
        &["classify", "picture.png"],
        &[&["explain", "picture.png"], &sweep[..], &["png", "--report", "report.html", "--faithfulness"]]
            .concat(),
        &[&["explain", "picture.png"], &sweep[..], &["svg", "--format", "svg"]].concat(),
        &[&["compare", "picture.png"], &sweep[..], &["compare", "--format", "svg"]].concat(),
        &["gradcam", "picture.png", "--classes", "top3", "--out", "gradcam"],
        &["trace", "picture.png", "--at", "112,112"],
    ];
    for command in commands {
        let printed = run(command);
        check_printed(&printed);
        assert!(printed.contains("@<b>\"&\\u{200b}x") || printed.contains("+\\u{feff}y"), "{printed:.3000}");
    }
    for command in [
        &["classify", "picture.png", "--json"][..],
        &[&["explain", "picture.png", "--json"], &sweep[..], &["j"]].concat(),
    ] {
        let printed = run(command);
        assert!(!printed.trim_end().contains(is_control));
        let found = strings(&parse(&printed));
        assert!(labels.iter().all(|label| found.contains(label)));
    }
    for entry in ["svg", "compare"].iter().flat_map(|name| fs::read_dir(folder.path().join(name)).unwrap()) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.contains(is_control) && name.len() < 255, "{name}");
        if name.ends_with(".svg") {
            let svg = fs::read_to_string(&path).unwrap();
            assert!(!svg.contains(|c| c != '\n' && is_control(c)) && !svg.contains("<b>"), "{name}");
        }
    }
    let report = read(&folder, "report.html");
    assert!(!report.contains("<b>\"") && !report.contains(|c| c != '\n' && is_control(c)));
    // In a batch: the log, the table, and its text in JSON.
    let printed = run(&[&["batch", "picture.png"], &sweep[..], &["batch"]].concat());
    check_printed(&printed);
    assert_eq!(printed.lines().count(), 3, "{printed:.3000}");
    let mut table = csv::Reader::from_path(folder.path().join("batch/summary.csv")).unwrap();
    let column = table.headers().unwrap().iter().position(|name| name == "class_label").unwrap();
    let cells: Vec<String> = table.records().map(|row| row.unwrap()[column].to_string()).collect();
    let mut expected: Vec<String> = labels.iter().map(|label| format!("'{label}")).collect();
    expected.sort();
    let mut found = cells.clone();
    found.sort();
    assert_eq!(found, expected);
    let found = strings(&parse(&read(&folder, "batch/summary.json")));
    assert!(labels.iter().all(|label| found.contains(label)));
    // An unknown class, and one that is suggested.
    for (class, name) in [("nobody\nerror: x", "nobody\nerror: x"), ("=a\u{202e}", "=a\u{202e}")] {
        let explain =
            ["explain", "picture.png", "--classes", class, "--weights", "w.st", "--labels", "labels.txt"];
        let output = occlude(&folder, &explain).output().unwrap();
        let told = stderr(&output);
        let error = told.lines().find(|line| line.starts_with("error: ")).unwrap();
        check_message(error, name);
        check_printed(&told);
        assert!(!told.lines().any(|line| line.starts_with("error: x")), "{told}");
    }
    assert!(Labels::open(folder.path().join("labels.txt")).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_files_are_text() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("photos")).unwrap();
    let lines = |arguments: &[&str]| {
        let printed = succeed(occlude(&folder, arguments));
        check_printed(&printed);
        printed.lines().count()
    };
    let sweep = ["--stride", "224", "--out"];
    let picture = image::RgbImage::from_fn(30, 20, |x, y| image::Rgb([x as u8 * 8, y as u8 * 12, 99]));
    for name in NAMES {
        let name = format!("{}.png", name.replace('/', ":"));
        write_png(&at.join(&name), &picture);
        write_png(&at.join("photos").join(&name), &picture);
        let file = format!("./{name}");
        let page = format!("{file}.html");
        let figure = [&["explain", &file], &sweep[..], &["out", "--report", &page]].concat();
        let plain = [&["explain", "picture.png"], &sweep[..], &["plain", "--report", "plain.html"]].concat();
        assert_eq!(lines(&figure), lines(&plain), "{name:?}");
        let html = read(&folder, &page);
        assert!(
            !html.contains(|c| c != '\n' && is_control(c)) && !html.contains("<script>alert"),
            "{name:?}"
        );
        let json = [&["explain", &file, "--json"], &sweep[..], &["out"]].concat();
        assert_eq!(parse(&succeed(occlude(&folder, &json)))["image"], file.as_str());
        lines(&["gradcam", &file, "--out", "out"]);
        lines(&["compare", &file, "picture.png", "--stride", "224", "--out", "out"]);
        lines(&["trace", &file, "--at", "112,112", "--out", "out"]);
        // The file is missing, damaged, or no weights; an option has this value.
        fs::write(at.join(&name), "no picture").unwrap();
        let none = format!("none{name}");
        for arguments in [
            &["classify", &none][..],
            &["classify", &file],
            &["classify", "picture.png", "--weights", &file],
            &["classify", "picture.png", "--labels", &none],
            &["explain", "picture.png", "--mask-size", &none],
            &["explain", "picture.png", &format!("--mask-size={none}")],
            &["explain", "picture.png", "--activation", &format!("{none}:1")],
            &["merge", &none],
            &["merge", &file],
            &["batch", &none, "--out", "out"],
            &["weights", "fetch", "--from", &none, "--out", "out/w"],
            &["weights", "import", &none],
            &["features", "picture.png", "--layer", &none],
        ] {
            let output = occlude(&folder, arguments).output().unwrap();
            let told = stderr(&output);
            assert!(!output.status.success(), "{arguments:?}");
            check_printed(&told);
            let errors = told.lines().filter(|line| line.starts_with("error"));
            assert_eq!(errors.count(), 1, "{arguments:?}: {told}");
            let shown = escaped(&none[4..]);
            assert!(told.contains(&*shown), "{arguments:?}: no {shown} in {told}");
        }
        fs::remove_file(at.join(&name)).unwrap();
    }
    // The log of a batch has a line for each picture, and the summaries have the names.
    fs::write(at.join("photos/a\nerror: damaged.png"), "no picture").unwrap();
    let output = occlude(&folder, &[&["batch", "photos"], &sweep[..], &["whole"]].concat()).output().unwrap();
    let (log, told) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
    check_printed(&log);
    check_printed(&told);
    assert_eq!(log.lines().filter(|line| line.starts_with('[')).count(), NAMES.len(), "{log}");
    assert_eq!((log.lines().count(), told.lines().count()), (NAMES.len() + 2, 2), "{log}{told}");
    assert!(told.starts_with("error: photos/a\\nerror: damaged.png: is not a picture"), "{told}");
    let names = |summary: &str| -> Vec<String> {
        let rows = parse(&read(&folder, summary));
        rows["pictures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["path"].as_str().unwrap().to_string())
            .collect()
    };
    let found = names("whole/summary.json");
    for name in NAMES {
        let path = format!("photos/{}.png", name.replace('/', ":"));
        assert!(found.contains(&path), "{path:?}");
    }
    // Shards that are merged have the same bytes.
    for shard in ["0/2", "1/2"] {
        let batch = [&["batch", "photos", "--shard", shard], &sweep[..], &["shards"]].concat();
        occlude(&folder, &batch).output().unwrap();
    }
    check_printed(&succeed(occlude(&folder, &["merge", "shards"])));
    for file in ["summary.csv", "summary.json"] {
        let at = |folder: &str| fs::read(Path::new(at).join(folder).join(file)).unwrap();
        assert_eq!(at("whole"), at("shards"), "{file}");
    }
}
