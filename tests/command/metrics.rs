//! Tests of `occlude batch --metrics`, `--boxes` and `--classes-from`: the measures are those of plain
//! loops over the library's results, shards and resumed batches have the same bytes, and annotations that
//! do not fit are refused before anything is computed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use occlude::explain::metrics::{bootstrap_interval, sparseness};
use occlude::image::resize::upsample;
use occlude::network::MEAN_BGR;
use occlude::{
    Faithfulness, GoogLeNet, Input, OcclusionSensitivity, Photograph, Resize, Threshold, Upsampling, Weights,
};
use serde_json::Value;
use tempfile::TempDir;

use super::batch::{occlude, refuse, run, succeed};
use crate::common::command::stderr;

const CSV: &str = "photo,class,x0,y0,x1,y1\nchelsea.png,cat,100,50,350,250\nphotos/chelsea.png,cat,0,0,20,20.5\n\
    chelsea.png,dog,0,0,451,300.4\n";

/// A folder with two photographs in `photos`, their classes and boxes.
fn photos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("photos")).unwrap();
    for name in ["chelsea.png", "camera.png"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        fs::copy(from, folder.path().join("photos").join(name)).unwrap();
    }
    fs::write(
        folder.path().join("classes.csv"),
        "path,class\nphotos/chelsea.png,cat\n./photos/camera.png,Dog\nother,cup\n",
    )
    .unwrap();
    fs::write(folder.path().join("boxes.csv"), CSV).unwrap();
    folder
}

fn batch(folder: &TempDir, out: &str, more: &[&str]) -> Command {
    let arguments = ["batch", "photos", "--out", out, "--weights", "builtin", "--stride", "56"];
    occlude(folder.path(), &[&arguments[..], more].concat())
}

const ALL: [&str; 5] = ["--metrics", "--boxes", "boxes.csv", "--classes-from", "classes.csv"];

fn summaries(folder: &TempDir, out: &str) -> [Vec<u8>; 2] {
    ["summary.csv", "summary.json"].map(|name| fs::read(folder.path().join(out).join(name)).unwrap())
}

fn json(folder: &TempDir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
}

/// The measures of the map and of the Grad-CAM map of a class of the cat, by plain loops.
fn plain(net: &GoogLeNet, photograph: &Photograph, class: usize) -> BTreeMap<String, f32> {
    let picture = photograph.picture(Resize::Stretch);
    let input = picture.input();
    let maps = OcclusionSensitivity::new(net).stride([56, 56]).classes([class]).run(&input).unwrap();
    let cam = net.grad_cam(&net.forward(&input), &[class]).unwrap();
    let cam = upsample(cam.map(0).values(), 7, 7, 224, 224, Upsampling::Bicubic);
    let mut expected = BTreeMap::new();
    for (method, pixels) in [("occlusion", maps.upsampled(0, Upsampling::Bicubic)), ("gradcam", cam)] {
        let mut set = |name: &str, value: f32| expected.insert(format!("{method}_{name}"), value);
        let curves = Faithfulness::new(net).run(&input, &[(class, &pixels)]).unwrap().remove(0);
        set("deletion", curves.deletion_area());
        set("insertion", curves.insertion_area());
        set("sparseness", sparseness(&pixels) as f32);

        let most = pixels.iter().copied().fold(f32::MIN, f32::max);
        let mut dimmed = Vec::new();
        for (pixel, value) in picture.rgb().chunks(3).zip(&pixels) {
            for (c, level) in pixel.iter().rev().enumerate() {
                dimmed.push(f32::from(*level) * (value.max(0.0) / most) - MEAN_BGR[c]);
            }
        }
        let before = net.classify(&input).probabilities[class];
        let after = net.classify(&Input::from_nhwc_bgr(dimmed).unwrap()).probabilities[class];
        set("confidence_drop", ((before - after) / before).max(0.0));
        set("confidence_increase", if after > before { 1.0 } else { 0.0 });

        // The place of the largest pixel on the photograph, which was stretched.
        let at = pixels.iter().position(|value| *value == most).unwrap();
        let x = ((at % 224) as f64 + 0.5) * 451.0 / 224.0;
        let y = ((at / 224) as f64 + 0.5) * 300.0 / 224.0;
        let near = |[x0, y0, x1, y1]: [f64; 4]| {
            let [dx, dy] = [(x0 - x).max(x - x1).max(0.0), (y0 - y).max(y - y1).max(0.0)];
            dx * dx + dy * dy <= 15.0 * 15.0
        };
        let boxes = [[100.0, 50.0, 350.0, 250.0], [0.0, 0.0, 20.0, 20.5]];
        set("pointing", if boxes.into_iter().any(near) { 1.0 } else { 0.0 });
        let limit = if method == "occlusion" { maps.map(0).max() } else { f32::MAX };
        let evidence: Vec<f32> = pixels.iter().map(|value| value.min(limit)).collect();
        let level = Threshold::Share(0.5).level(&evidence).unwrap().unwrap();
        let around = photograph.framing(Resize::Stretch).region_above(&evidence, level).parts()[0].bounds;
        // Pixels of the larger box, which is that of whole pixels.
        let (mut both, mut either) = (0, 0);
        for (y, x) in (0..300).flat_map(|y| (0..451).map(move |x| (y, x))) {
            let is_found = (around.y0..around.y1).contains(&y) && (around.x0..around.x1).contains(&x);
            let is_object = (50..250).contains(&y) && (100..350).contains(&x);
            both += usize::from(is_found && is_object);
            either += usize::from(is_found || is_object);
        }
        set("iou", (both as f64 / either as f64) as f32);
    }
    expected.insert("boxes".to_string(), 2.0);
    expected
}

#[test]
fn measures_are_those_of_plain_loops_in_one_run_and_in_shards() {
    let folder = photos();
    let printed = succeed(batch(&folder, "out", &ALL));
    let summary = json(&folder, "out/summary.json");
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let photograph = Photograph::open(folder.path().join("photos/chelsea.png")).unwrap();
    let [camera, chelsea] = [0, 1].map(|i| summary["pictures"][i]["classes"][0].clone());
    assert_eq!((&camera["label"], &chelsea["label"]), (&"dog".into(), &"cat".into()));
    let number = |value: &Value| value.as_f64().unwrap() as f32;
    let found: BTreeMap<String, f32> = chelsea["measures"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), number(value)))
        .collect();
    assert_eq!(found, plain(&net, &photograph, 0));

    // A photograph without boxes of the class has none of their measures.
    let measures = camera["measures"].as_object().unwrap();
    assert_eq!((measures.len(), &measures["boxes"]), (11, &0.0.into()));
    let lines: Vec<BTreeMap<String, String>> = csv::Reader::from_path(folder.path().join("out/summary.csv"))
        .unwrap()
        .deserialize()
        .map(Result::unwrap)
        .collect();
    assert_eq!((lines.len(), lines[0].len()), (2, 23 + 15));
    for (line, class) in lines.iter().zip([&camera, &chelsea]) {
        for (name, value) in
            line.iter().filter(|(name, _)| name.starts_with("occlusion") || name.starts_with("gradcam"))
        {
            let expected =
                class["measures"].get(name).map_or(String::new(), |value| number(value).to_string());
            assert_eq!(*value, expected, "{name}");
        }
    }

    // The curves are those of `explain --faithfulness`, and the means those of the rows.
    let map = json(&folder, "out/chelsea/map.json");
    assert_eq!(number(&map["faithfulness"][0]["deletion_area"]), found["occlusion_deletion"]);
    assert!(folder.path().join("out/chelsea/chelsea-cat-faithfulness.png").is_file());
    let values = [&camera, &chelsea].map(|class| f64::from(number(&class["measures"]["gradcam_insertion"])));
    let mean = &summary["means"]["gradcam_insertion"];
    assert_eq!(mean["mean"].as_f64().unwrap(), (values[0] + values[1]) / 2.0);
    let interval: Vec<f64> = serde_json::from_value(mean["interval"].clone()).unwrap();
    assert_eq!(interval, bootstrap_interval(&values).unwrap());
    assert_eq!(
        (&mean["photographs"], &summary["means"]["gradcam_iou"]["photographs"]),
        (&2.into(), &1.into())
    );
    let table = "means, 95 % bootstrap intervals          occlusion                 Grad-CAM                  photographs\n\
        deletion area (low is better)            0.";
    assert!(printed.contains(table), "{printed}");

    // Shards have the same bytes; an interrupted batch goes on, also with the boxes in another form.
    for shard in ["0/2", "1/2"] {
        succeed(batch(&folder, "shards", &[&ALL[..], &["--shard", shard]].concat()));
    }
    let merged = succeed(occlude(folder.path(), &["merge", "shards"]));
    assert!(merged.contains(table), "{merged}");
    assert_eq!(summaries(&folder, "shards"), summaries(&folder, "out"));
    let before = summaries(&folder, "out");
    fs::remove_dir_all(folder.path().join("out/camera")).unwrap();
    fs::create_dir(folder.path().join("voc")).unwrap();
    let object = |class: &str, edges: [&str; 4]| {
        let named = ["xmin", "ymin", "xmax", "ymax"].iter().zip(edges);
        let edges: String = named.map(|(name, edge)| format!("<{name}>{edge}</{name}>")).collect();
        format!("<object><name>{class}</name><bndbox>{edges}</bndbox></object>")
    };
    let voc =
        "<annotation><filename>chelsea.png</filename><size><width>451</width><height>300</height></size>"
            .to_string()
            + &object("cat", ["101", "51", "350", "250"])
            + &object("cat", ["1", "1", "20", "20.5"])
            + &object("dog", ["1", "1", "451", "300.4"])
            + "</annotation>";
    fs::write(folder.path().join("voc/a.xml"), voc).unwrap();
    let other = ["--metrics", "--boxes", "voc", "--classes-from", "classes.csv"];
    let printed = succeed(batch(&folder, "out", &other));
    assert!(
        printed.contains("[2/2] photos/chelsea.png: already complete")
            && !printed.contains("[1/2] photos/camera.png: alr")
    );
    assert_eq!(summaries(&folder, "out"), before);

    // Without the options, there are no columns and no means.
    succeed(batch(&folder, "none", &[]));
    let [csv, json] = summaries(&folder, "none").map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!csv.contains("occlusion_") && !json.contains("measures") && !json.contains("\"means\""));
}

#[test]
fn annotations_that_do_not_fit_are_refused_before_anything_is_computed() {
    let folder = photos();
    let boxes = |lines: &str| {
        fs::write(folder.path().join("b.csv"), format!("photo,class,x0,y0,x1,y1\n{lines}")).unwrap();
        batch(&folder, "out", &["--boxes", "b.csv"])
    };
    for (lines, message) in [
        (
            "chelsea.png,cat,0,0,453,300\n",
            "b.csv: line 2: the box from x 0 to 453 and y 0 to 300 is not on photos/chelsea.png, which has 451x300",
        ),
        ("chelsea.png,cat,-1,0,20,30\n", "line 2: the box from x -1"),
        (
            "a.png,cat,0,0,1,1\nchelsea.png,cat,0,0,1,1\nb.png,cat,0,0,1,1",
            "b.csv: has boxes on photographs that are not in this batch: line 2: \"a.png\"; line 4: \"b.png\"",
        ),
        ("chelsea.png,lynx,0,0,1,1\nchelsea.png,ghost,0,0,1,1", "b.csv: no class is called \"ghost\""),
        ("chelsea.png,cat,0,0,0,1", "line 2 has a box from x 0 to 0"),
    ] {
        refuse(folder.path(), boxes(lines), 1, &[message]);
    }
    let classes = |lines: &str, more: &[&str]| {
        fs::write(folder.path().join("c.csv"), format!("path,class\n{lines}")).unwrap();
        batch(&folder, "out", &[&["--classes-from", "c.csv"], more].concat())
    };
    for (lines, message) in [
        ("photos/chelsea.png,cat\n", "c.csv: has no class for photos/camera.png"),
        ("photos/chelsea.png,cat\nphotos/camera.png,ghost\n", "c.csv: no class is called \"ghost\""),
        (
            "chelsea.png,cat\ncamera.png,dog\nphotos/camera.png,cat\n",
            "has photos/camera.png in two classes, ",
        ),
    ] {
        refuse(folder.path(), classes(lines, &[]), 1, &[message]);
    }
    refuse(folder.path(), classes("a,cat\n", &["--classes", "cat"]), 2, &["--classes"]);
    refuse(
        folder.path(),
        batch(&folder, "out", &["--boxes", "b.csv", "--tolerance", "-1"]),
        2,
        &["--tolerance"],
    );
    refuse(folder.path(), batch(&folder, "out", &["--boxes", "absent"]), 1, &["cannot read absent"]);

    // Folders of classes name them, too; a size that a file tells is compared.
    fs::create_dir(folder.path().join("sorted")).unwrap();
    for (class, name) in [("cat", "chelsea"), ("dog", "camera")] {
        let to = folder.path().join("sorted").join(class);
        fs::create_dir(&to).unwrap();
        fs::copy(folder.path().join(format!("photos/{name}.png")), to.join(format!("{name}.png"))).unwrap();
    }
    let arguments =
        ["batch", "sorted", "--recursive", "--out", "found", "--weights", "builtin", "--stride", "224"];
    let output = run(occlude(folder.path(), &[&arguments[..], &["--classes-from", "sorted"]].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    let summary = json(&folder, "found/summary.json");
    let label = |i: usize| summary["pictures"][i]["classes"][0]["label"].as_str().unwrap().to_string();
    assert_eq!([label(0), label(1)], ["cat", "dog"]);
    let coco = r#"{"images":[{"id":1,"file_name":"chelsea.png","width":300,"height":451}],"annotations":[{"id":4,"image_id":1,
        "category_id":1,"bbox":[0,0,1,1]}],"categories":[{"id":1,"name":"cat"}]}"#;
    fs::write(folder.path().join("coco.json"), coco).unwrap();
    let message =
        "coco.json: annotation 4: photos/chelsea.png has 451x300 pixels (width x height), expected 300x451";
    refuse(folder.path(), batch(&folder, "out", &["--boxes", "coco.json"]), 1, &[message]);
}
