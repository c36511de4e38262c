//! Tests of `occlude learn`, `occlude evaluate` and `occlude compare --before --after`: their numbers
//! are the library's, and what cannot be learned is refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use occlude::learn::{Features, Fit, wilson_interval};
use occlude::{GoogLeNet, Isa, Labels, Photograph, Resize, Weights, parallel};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::command::{folder, listing, occlude, refuse, stderr, write_png};

/// The kinds of pictures.
const KINDS: [&str; 3] = ["rings", "stripes", "squares"];

/// Writes a picture of a kind. Pictures of one kind differ.
fn picture(path: &Path, kind: &str, number: u32) {
    let level = |x: u32, y: u32| -> u32 {
        let (x, y) = (x + 3 * number, y + 5 * number);
        match kind {
            "rings" => (x.abs_diff(50).pow(2) + y.abs_diff(50).pow(2)) / (20 + number),
            "stripes" => (x + y / 4) * (9 + number),
            _ => ((x / 16 + y / 16) % 2) * 200 + number,
        }
    };
    let pixel = |x, y| image::Rgb([0, 60, 120].map(|shift| ((level(x, y) + shift) % 256) as u8));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_png(path, &image::RgbImage::from_fn(100, 90, pixel));
}

/// A folder with `photos/<kind>/<number>.png` and some more in `test`.
fn photos() -> TempDir {
    let folder = folder();
    for kind in KINDS {
        for number in 0..6 {
            let part = if number < 4 { "photos" } else { "test" };
            picture(&folder.path().join(format!("{part}/{kind}/{number}.png")), kind, number);
        }
    }
    folder
}

fn builtin(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = occlude(folder, arguments);
    command.env("OCCLUDE_WEIGHTS", "builtin");
    command
}

/// Runs the command and returns its standard output and standard error.
fn run(mut command: Command) -> [String; 2] {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    let error = stderr(&output);
    [String::from_utf8(output.stdout).unwrap(), error]
}

fn json_file(folder: &TempDir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
}

/// The features of the views of some photographs of each kind.
fn features(folder: &TempDir, net: &GoogLeNet, kinds: &[&str]) -> (Features, Vec<usize>) {
    let (mut features, mut targets) = (Features::new(net.features_len()).unwrap(), Vec::new());
    for (class, kind) in kinds.iter().enumerate() {
        for number in 0..4 {
            let path = folder.path().join(format!("photos/{kind}/{number}.png"));
            let views = Photograph::open(path).unwrap().views(Resize::Stretch);
            let rows = parallel::each(views.len(), |view| net.features(&views[view].input()));
            rows.iter().for_each(|row| features.push(row).unwrap());
            targets.extend([class; Photograph::VIEWS]);
        }
    }
    (features, targets)
}

#[test]
fn a_network_learns_the_classes_of_a_folder() {
    let folder = photos();
    let [text, error] = run(builtin(&folder, &["learn", "photos", "--out", "new/taught.safetensors"]));
    assert_eq!(error, "");
    for part in [
        "12 photographs of 3 classes\n",
        "(4-fold cross-validation): ",
        "  squares B ",
        "\nwrote new/taught-learn.json\nwrote new/taught.safetensors\nto use it: --weights new/taught.safetensors\n",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }

    // The last layer is that of a training on the features of the views, in the order of the classes.
    let kinds = ["rings", "squares", "stripes"];
    let path = folder.path().join("new/taught.safetensors");
    let taught = Weights::load(&path).unwrap();
    assert_eq!(taught.labels(), Labels::parse("names", kinds.join("\n").as_bytes()).unwrap());
    assert_eq!(taught.name(), "taught built-in network");
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let (features, targets) = features(&folder, &net, &kinds);
    let record = json_file(&folder, "new/taught-learn.json");
    let l2 = record["l2"].as_f64().unwrap();
    let fit = Fit { features: &features, targets: &targets, classes: 3, fixed: None, l2 };
    let trained = fit.run(&(0..targets.len()).collect::<Vec<_>>()).unwrap();
    let wanted: Vec<f32> = trained.weights.iter().map(|&weight| weight as f32).collect();
    let biases: Vec<f32> = trained.biases.iter().map(|&bias| bias as f32).collect();
    assert_eq!(taught.last_layer(), (&wanted[..], &biases[..]));
    assert_eq!(record["objective"].as_f64().unwrap(), trained.objective);

    // The record describes the photographs and the answers to them.
    let photographs = record["photographs"].as_array().unwrap();
    assert_eq!(photographs.len(), 12);
    assert_eq!(
        (&photographs[4]["path"], &photographs[4]["class"]),
        (&json!("photos/squares/0.png"), &json!("squares"))
    );
    let right = photographs.iter().filter(|photograph| photograph["is_right"] == true).count();
    let accuracy = &record["cross_validation"]["accuracy"];
    assert_eq!((&accuracy["hits"], &accuracy["of"]), (&json!(right), &json!(12)));
    assert_eq!(accuracy["interval"], json!(wilson_interval(right, 12)));
    assert!(right >= 9, "{right} of 12: {text}");
    let folds = |class: &str| {
        let of = photographs.iter().filter(|photograph| photograph["class"] == class);
        let mut folds: Vec<u64> = of.map(|photograph| photograph["fold"].as_u64().unwrap()).collect();
        folds.sort_unstable();
        folds
    };
    assert!(kinds.iter().all(|kind| folds(kind) == [0, 1, 2, 3]));

    // The file works as any other.
    let [text, _] =
        run(occlude(&folder, &["classify", "test/rings/4.png", "--weights", "new/taught.safetensors"]));
    assert!(text.lines().next().unwrap().ends_with("  rings"), "{text}");

    // The bytes do not depend on the number of threads and the instruction set.
    let mut again = builtin(
        &folder,
        &["learn", "photos", "--out", "again/taught.safetensors", "--threads", "1", "--json"],
    );
    let mut isas = Isa::all_available().into_iter().map(|isa| isa.to_string());
    let isa = isas.find(|isa| isa == "avx2").unwrap_or("scalar".to_string());
    let [printed, _] = run({
        again.env("OCCLUDE_ISA", isa);
        again
    });
    for name in ["taught.safetensors", "taught-learn.json"] {
        let bytes = |part: &str| fs::read(folder.path().join(part).join(name)).unwrap();
        assert!(bytes("new") == bytes("again"), "{name}");
    }
    assert_eq!(printed.as_bytes(), fs::read(folder.path().join("new/taught-learn.json")).unwrap());
}

#[test]
fn new_classes_join_those_of_the_network() {
    let folder = photos();
    // "cat" is a class of the built-in network, and its photographs here are squares.
    fs::rename(folder.path().join("photos/squares"), folder.path().join("photos/cat")).unwrap();
    fs::rename(folder.path().join("photos/stripes"), folder.path().join("others")).unwrap();
    let arguments = ["learn", "photos", "--keep", "--others", "others", "--out", "more.safetensors"];
    let [text, error] = run(builtin(&folder, &arguments));
    assert_eq!(error, "");
    assert!(text.contains("12 photographs of 3 classes\n") && text.contains("\n  (others) "), "{text}");
    let (before, after) =
        (Weights::builtin(), Weights::load(folder.path().join("more.safetensors")).unwrap());
    let count = before.network().classes();
    assert_eq!(after.network().classes(), count + 1);
    assert_eq!(after.labels().short(count), "rings");
    let (weights, biases) = after.last_layer();
    let (old_weights, old_biases) = before.last_layer();
    assert_eq!((&weights[..old_weights.len()], &biases[..count]), (old_weights, old_biases));
    for (name, label) in [("test/rings/4.png", "rings"), ("test/rings/5.png", "rings")] {
        let [text, _] = run(occlude(&folder, &["classify", name, "--weights", "more.safetensors"]));
        assert!(text.lines().next().unwrap().ends_with(label), "{text}");
    }
    let record = json_file(&folder, "more-learn.json");
    assert_eq!(record["keeps_classes"], true);
    let right = |photograph: &Value| {
        let index = photograph["answer"]["index"].as_u64().unwrap() as usize;
        match photograph["class"].as_str().unwrap() {
            "rings" => index == count,
            "cat" => index == 0,
            _ => index < count,
        }
    };
    for photograph in record["photographs"].as_array().unwrap() {
        assert_eq!(photograph["is_right"], right(photograph), "{photograph}");
        let probability = photograph["answer"]["probability"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&probability));
    }
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let folder = photos();
    let root = folder.path();
    let path = |name: &str| root.join(name);
    fs::create_dir_all(path("one/rings")).unwrap();
    (0..3).for_each(|i| picture(&path(&format!("one/rings/{i}.png")), "rings", i));
    fs::create_dir_all(path("few/stripes")).unwrap();
    (0..3).for_each(|i| picture(&path(&format!("few/rings/{i}.png")), "rings", i));
    (0..2).for_each(|i| picture(&path(&format!("few/stripes/{i}.png")), "stripes", i));
    for class in ["a", "b"] {
        (0..3).for_each(|i| {
            picture(&path(&format!("twice/{class}/{i}.png")), class, u32::from(class == "a") + i)
        });
    }
    fs::copy(path("photos/rings/0.png"), path("photos/rings/copy.png")).unwrap();
    (0..3).for_each(|i| picture(&path(&format!("known/cat/{i}.png")), "rings", i));
    (0..3).for_each(|i| picture(&path(&format!("numbers/7/{i}.png")), "rings", i));
    (0..3).for_each(|i| picture(&path(&format!("numbers/x/{i}.png")), "stripes", i));
    (0..3).for_each(|i| picture(&path(&format!("alike/cat/{i}.png")), "rings", i));
    (0..3).for_each(|i| picture(&path(&format!("alike/Cat/{i}.png")), "stripes", i));
    (0..3).for_each(|i| picture(&path(&format!("options/top3/{i}.png")), "rings", i));
    (0..3).for_each(|i| picture(&path(&format!("options/x/{i}.png")), "stripes", i));
    fs::create_dir(path("there")).unwrap();
    fs::write(path("there/net-learn.json"), b"a record").unwrap();
    fs::write(path("photos.csv"), "photos/rings/0.png,a\nphotos/rings/1.png,b\n").unwrap();
    fs::write(path("there.safetensors"), b"something").unwrap();
    fs::write(path("list.csv"), "photos/rings/0.png,a,b\n").unwrap();
    let learn = |photographs: &str, more: &[&str]| {
        builtin(&folder, &[&["learn", photographs, "--out", "new/net.safetensors"], more].concat())
    };
    for (command, messages) in [
        (learn("one", &[]), &["one: has photographs of 1 class, \"rings\": expected at least 2 classes"][..]),
        (
            learn("few", &[]),
            &["few: \"stripes\" has 2: expected at least 3 different photographs of each class"],
        ),
        (learn("twice", &[]), &["is the same photograph as twice/a/", "which is in class \"a\"", "in \"b\""]),
        (learn("one", &["--keep"]), &["has only new classes", "--others"]),
        (learn("known", &["--keep"]), &["has only classes that the network has"]),
        (
            learn("numbers", &[]),
            &["numbers: has the class \"7\", which is a number, expected a name: rename the folder"],
        ),
        (
            learn("photos/rings", &[]),
            &["no classes found: expected a folder with a subfolder of photographs"],
        ),
        (learn("absent", &[]), &["cannot read absent"]),
        (learn("list.csv", &[]), &["list.csv: line 1 is not a path and a class"]),
        (learn("https://a.example/photos", &[]), &["it is an address, expected a file"]),
        (
            builtin(&folder, &["learn", "photos", "--out", "there.safetensors"]),
            &["there.safetensors: exists already: replace it with --force"],
        ),
        (
            builtin(&folder, &["learn", "photos", "--out", "photos"]),
            &["cannot write to photos: it is a directory"],
        ),
    ] {
        refuse(&folder, command, 1, messages);
    }
    refuse(&folder, learn("photos", &["--others", "one"]), 2, &["--keep"]);
    refuse(&folder, learn("photos", &["--labels", "names.txt"]), 2, &["--keep"]);
    refuse(&folder, builtin(&folder, &["learn", "photos"]), 2, &["--out"]);
}

#[test]
fn photographs_that_cannot_be_read_are_left_out() {
    let folder = photos();
    fs::copy(folder.path().join("photos/rings/0.png"), folder.path().join("photos/rings/copy.png")).unwrap();
    fs::write(folder.path().join("photos/rings/bad.png"), b"no picture").unwrap();
    let list: String = KINDS
        .iter()
        .flat_map(|kind| (0..4).map(move |i| format!("photos/{kind}/{i}.png,{kind}\n")))
        .chain(
            ["photos/rings/copy.png,rings\n", "photos/rings/bad.png,rings\n", "absent.png,rings\n"]
                .map(String::from),
        )
        .collect();
    fs::write(folder.path().join("list.csv"), "path,class\n".to_string() + &list).unwrap();
    let output = builtin(&folder, &["learn", "list.csv", "--out", "taught.safetensors"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (text, error) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
    for part in [
        "error: cannot read absent.png",
        "error: photos/rings/bad.png: ",
        "1 photograph is a copy of another one in the same class and not counted",
        "error: 2 of 15 photographs could not be read; the network has learned from the others",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(text.contains("12 photographs of 3 classes\n"), "{text}");
    // An existing network is replaced on request only.
    fs::remove_file(folder.path().join("photos/rings/bad.png")).unwrap();
    let again = ["learn", "photos", "--out", "taught.safetensors", "--force", "--resize", "pad"];
    let [text, _] = run(builtin(&folder, &again));
    assert!(text.contains("to use it: --weights taught.safetensors --resize pad\n"), "{text}");
}

#[test]
fn an_evaluation_counts_the_networks_answers() {
    let folder = photos();
    run(builtin(&folder, &["learn", "photos", "--out", "taught.safetensors"]));
    // A photograph of the wrong class, so that there is a wrong answer.
    fs::rename(folder.path().join("test/rings/5.png"), folder.path().join("test/stripes/wrong.png")).unwrap();
    let arguments = [
        "evaluate",
        "test",
        "--weights",
        "taught.safetensors",
        "--out",
        "out",
        "--explain-wrong",
        "--stride",
        "112",
    ];
    let [text, error] = run(occlude(&folder, &arguments));
    assert_eq!(error, "");
    let found = json_file(&folder, "out/evaluate.json");
    let net = GoogLeNet::new(&Weights::load(folder.path().join("taught.safetensors")).unwrap()).unwrap();
    let classes = ["rings", "squares", "stripes"];
    let (mut hits, mut wrong, mut loss) = (0, Vec::new(), 0.0);
    let photographs = found["photographs"].as_array().unwrap();
    for photograph in photographs {
        let path = photograph["path"].as_str().unwrap();
        let class = classes.iter().position(|class| path.split('/').nth(1) == Some(class)).unwrap();
        let said = net
            .classify(&Photograph::open(folder.path().join(path)).unwrap().picture(Resize::Stretch).input());
        assert_eq!(photograph["class"], class);
        assert_eq!(photograph["answer"]["index"], said.best());
        assert_eq!(photograph["probability"].as_f64().unwrap() as f32, said.probabilities[class]);
        assert_eq!(photograph["is_right"], said.best() == class);
        loss -= f64::from(said.probabilities[class]).ln() / photographs.len() as f64;
        match said.best() == class {
            true => hits += 1,
            false => wrong.push(photograph["folder"].as_str().unwrap().to_string()),
        }
    }
    assert!(!wrong.is_empty() && (found["loss"].as_f64().unwrap() - loss).abs() < 1e-5);
    assert_eq!((&found["right"]["hits"], &found["right"]["of"]), (&json!(hits), &json!(6)));
    assert_eq!((&found["top"], &found["right_among_top"]["hits"]), (&json!(3), &json!(6)));
    assert!(
        text.starts_with(&format!("right answers                {:.3} ", f64::from(hits) / 6.0)),
        "{text}"
    );
    // Each wrong answer is explained: the right class, then the answer.
    for name in &wrong {
        let map = json_file(&folder, &format!("out/{name}/map.json"));
        let photograph = photographs.iter().find(|photograph| photograph["folder"] == name.as_str()).unwrap();
        let classes = [&photograph["class"], &photograph["answer"]["index"]];
        assert_eq!([&map["classes"][0]["index"], &map["classes"][1]["index"]], classes);
    }
    let folders = fs::read_dir(folder.path().join("out"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), wrong.len());

    for (arguments, message) in [
        (&["evaluate", "photos"][..], "no class is called \"rings\""),
        (
            &[
                "evaluate",
                "photos",
                "--weights",
                "taught.safetensors",
                "--scale",
                "shared",
                "--explain-wrong",
            ],
            "--scale shared is not possible",
        ),
        (&["evaluate", "picture.png"], "picture.png: line 1 is not"),
        (&["evaluate", ".", "--weights", "taught.safetensors"], "it is inside the folder of the photographs"),
    ] {
        refuse(&folder, builtin(&folder, arguments), 1, &[message]);
    }
    // Without maps, options of maps have no effect.
    for option in
        ["--score=logit", "--stride=9", "--inverse", "--scale=1", "--canvas=network", "--show=class"]
    {
        refuse(&folder, builtin(&folder, &["evaluate", "photos", option]), 2, &["--explain-wrong"]);
    }
}

#[test]
fn a_trained_network_tells_how_its_photographs_were_prepared() {
    let folder = photos();
    run(builtin(&folder, &["learn", "photos", "--out", "padded.safetensors", "--resize", "pad"]));
    let path = folder.path().join("padded.safetensors");
    assert_eq!(Weights::load(&path).unwrap().resize(), Some("pad"));
    let note = |resize: &str| {
        let photograph = "test/rings/4.png";
        let arguments = ["classify", photograph, "--weights", "padded.safetensors", "--resize", resize];
        let [_, error] = run(occlude(&folder, &arguments));
        error
    };
    assert!(
        note("stretch").contains("has learned from photographs prepared with --resize pad, not stretch"),
        "{}",
        note("stretch")
    );
    assert!(!note("pad").contains("--resize"));
}

#[test]
fn two_networks_are_compared_on_one_photograph() {
    let folder = photos();
    fs::rename(folder.path().join("photos/squares"), folder.path().join("photos/cat")).unwrap();
    run(builtin(&folder, &["learn", "photos", "--out", "taught.safetensors"]));
    let quick = ["--stride", "75"];
    let arguments =
        ["compare", "test/rings/4.png", "--before", "builtin", "--after", "taught.safetensors", "--classes"];
    let arguments = [&arguments[..], &["cat", "--classes", "rings"], &quick].concat();
    let mut command = occlude(&folder, &arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("the network before has no class rings"), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\ncat: correlation of the maps before and after "), "{text}");
    assert!(text.contains("wrote out/4-before-after.png\nwrote out/compare.json\n"), "{text}");
    let found = json_file(&folder, "out/compare.json");
    // The maps are those of `explain` with each network; a network maps the classes that it has.
    for (time, weights, classes) in
        [("before", "builtin", "cat"), ("after", "taught.safetensors", "cat,rings")]
    {
        let arguments = [
            "explain",
            "test/rings/4.png",
            "--weights",
            weights,
            "--classes",
            classes,
            "--json",
            "--out",
            "map",
        ];
        let [map, _] = run(occlude(&folder, &[&arguments[..], &quick].concat()));
        let map: Value = serde_json::from_str(&map).unwrap();
        for field in ["maps", "classes", "base_scores", "scores", "weights_sha256"] {
            assert_eq!(found[time][field], map[field], "{time} {field}");
        }
    }
    let moved = &found["moved"];
    assert_eq!(
        (moved.as_array().unwrap().len(), &moved[0]["label"], &moved[0]["classes"]),
        (1, &json!("cat"), &json!([0, 0]))
    );

    let compare = |more: &[&str]| occlude(&folder, &[&["compare", "picture.png"], more].concat());
    refuse(&folder, compare(&["--before", "builtin"]), 2, &["--after"]);
    let both = ["--before", "builtin", "--after", "taught.safetensors"];
    refuse(&folder, compare(&[&both[..], &["--weights", "builtin"]].concat()), 2, &["--weights"]);
    refuse(
        &folder,
        compare(&[&["picture.png"], &both[..]].concat()),
        1,
        &["expected one photograph with --before"],
    );
    let before = listing(folder.path());
    let output = compare(&[&both[..], &["--classes", "lynx"]].concat()).output().unwrap();
    let error = stderr(&output);
    assert!(
        error.contains("--classes lynx is not possible: expected classes of one of the two")
            && output.status.code() == Some(1),
        "{error}"
    );
    assert_eq!(listing(folder.path()), before);
}
