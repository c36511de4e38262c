//! Tests of the command from the user's side: the real binary, real files, exit codes, and the
//! output and the files that it writes.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::command::{
    bits, floats, folder, listing, occlude, read_picture, refuse, seeded, shape, stderr, succeed, write_png,
};
use crate::common::{Tensor, safetensors, seeded_tensors, seeded_weights};
use occlude::network::geometry::Rect;
use occlude::{
    Faithfulness, Feature, GoogLeNet, Isa, MaskValue, OcclusionSensitivity, Picture, Resize, Weights,
};
use safetensors::Dtype;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn classify_prints_what_the_library_says() {
    let folder = folder();
    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let picture = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap();
    let expected = net.classify(&picture.input());

    let text = succeed(seeded(&folder, &["classify", "picture.png"]));
    let indices: Vec<usize> =
        text.lines().map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(indices, expected.top(5));

    let json: Value =
        serde_json::from_str(&succeed(seeded(&folder, &["classify", "picture.png", "--top", "7", "--json"])))
            .unwrap();
    assert_eq!(json["image"], "picture.png");
    let classes = json["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 7);
    for (class, index) in classes.iter().zip(expected.top(7)) {
        assert_eq!(class["index"], index);
        assert_eq!(class["label"], occlude::Labels::imagenet().words(index));
        assert_eq!(class["synset"], occlude::Labels::imagenet().get(index).unwrap().synset);
        assert_eq!(floats(&class["probability"]), [expected.probabilities[index]]);
        assert_eq!(floats(&class["logit"]), [expected.logits[index]]);
    }
    assert_eq!(listing(folder.path()).len(), 1, "classify writes nothing");
}

#[test]
fn center_crop_is_another_picture() {
    let folder = folder();
    let stretched = succeed(seeded(&folder, &["classify", "picture.png", "--json"]));
    let cropped = succeed(seeded(&folder, &["classify", "picture.png", "--json", "--resize", "center-crop"]));
    assert_ne!(stretched, cropped);
}

#[test]
fn explain_writes_a_picture_a_class_and_all_numbers() {
    let folder = folder();
    let arguments = ["explain", "picture.png", "--classes", "tabby, tabby cat,top2,285", "--stride", "56x80"];
    let text = succeed(seeded(&folder, &[&arguments[..], &["--out", "a/maps", "--threads", "2"]].concat()));
    let json = fs::read_to_string(folder.path().join("a/maps/map.json")).unwrap();

    // The test includes the order of the keys, because a person reads the beginning of the file
    // first.
    let keys = [
        "image",
        "image_sha256",
        "network",
        "weights_sha256",
        "input_size",
        "mask_size",
        "stride",
        "mask_value",
        "mask_clipping",
        "region",
        "resize",
        "placement",
        "score",
        "grid",
        "classes",
        "scores",
        "maps",
        "argmax",
        "argmax_scores",
        "positions",
        "elapsed_seconds",
        "threads",
        "isa",
    ];
    let places: Vec<usize> = keys.iter().map(|key| json.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_object().unwrap().len(), keys.len());

    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let picture = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap();
    let top = net.classify(&picture.input()).top(2);
    let classes = vec![281, top[0], top[1], 285];
    let expected = OcclusionSensitivity::new(&net)
        .stride([56, 80])
        .classes(classes.clone())
        .run(&picture.input())
        .unwrap();

    assert_eq!(json["image"], "picture.png");
    assert_eq!(json["weights_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["input_size"], serde_json::json!([224, 224]));
    assert_eq!(json["mask_size"], serde_json::json!([45, 45]));
    assert_eq!(json["stride"], serde_json::json!([56, 80]));
    let MaskValue::Rgb(rgb) = expected.mask_value else { panic!("the automatic mask value is a colour") };
    assert_eq!(bits(&floats(&json["mask_value"])), bits(&rgb));
    assert_eq!(json["mask_clipping"], true);
    assert_eq!(json["score"], "probability");
    assert_eq!(json["grid"], serde_json::json!([4, 3]));
    assert_eq!(json["positions"], 12);
    assert_eq!(json["threads"], 2);
    assert_eq!(json["isa"], net.isa().to_string());
    assert!(json["elapsed_seconds"].as_f64().unwrap() > 0.0);
    for (k, &index) in classes.iter().enumerate() {
        assert_eq!(json["classes"][k]["index"], index);
        assert_eq!(json["classes"][k]["label"], occlude::Labels::imagenet().words(index));
        assert_eq!(floats(&json["classes"][k]["base_score"]), [expected.base_scores[k]]);
        assert_eq!(bits(&floats(&json["maps"][k])), bits(expected.map(k).values()));
    }
    assert_eq!(shape(&json["scores"]), [4, 4, 3]);
    assert_eq!(shape(&json["maps"]), [4, 4, 3]);
    assert_eq!(shape(&json["argmax"]), [4, 3]);
    assert_eq!(bits(&floats(&json["scores"])), bits(&expected.scores));
    let argmax: Vec<f32> = expected.argmax.iter().map(|&class| class as f32).collect();
    assert_eq!(floats(&json["argmax"]), argmax);

    let written: Vec<String> = listing(&folder.path().join("a/maps"))
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into())
        .collect();
    assert_eq!(written.len(), 5, "{written:?}");
    for name in ["map.json", "picture-tabby.png", "picture-egyptian-cat.png"] {
        assert!(written.contains(&name.to_string()), "{written:?}");
    }
    for name in written.iter().filter(|name| name.ends_with(".png")) {
        let figure = read_picture(&folder.path().join("a/maps").join(name));
        assert!(figure.width() >= 224 && figure.height() >= 224);
        assert!(text.contains(name), "{text}");
    }
    for part in ["12 masks (4 rows of 3) of 45x45 pixels", "tabby (281): probability", "strongest evidence"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn json_on_standard_output_is_map_json_and_nothing_else() {
    let folder = folder();
    let arguments =
        ["explain", "picture.png", "--stride", "100", "--score", "logit", "--mask-clipping", "off", "--json"];
    let printed = succeed(seeded(&folder, &arguments));
    assert_eq!(printed, fs::read_to_string(folder.path().join("out/map.json")).unwrap());
    assert_eq!(printed.lines().count(), 1);
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&json["score"], &json["mask_clipping"]), (&Value::from("logit"), &Value::from(false)));
}

#[test]
fn every_option_arrives() {
    let folder = folder();
    let arguments = [
        "explain",
        "picture.png",
        "--mask-size",
        "30x12",
        "--stride",
        "90x120",
        "--mask-value",
        "1.5,2,255",
        "--upsampling",
        "nearest",
        "--out",
        "maps",
        "--json",
    ];
    let json: Value = serde_json::from_str(&succeed(seeded(&folder, &arguments))).unwrap();
    assert_eq!(json["mask_size"], serde_json::json!([30, 12]));
    assert_eq!(json["stride"], serde_json::json!([90, 120]));
    assert_eq!(json["mask_value"], serde_json::json!([1.5, 2.0, 255.0]));
    assert_eq!(json["grid"], serde_json::json!([3, 2]));

    let arguments = ["explain", "picture.png", "--stride", "224", "--mask-value", "mean", "--json"];
    let json: Value = serde_json::from_str(&succeed(seeded(&folder, &arguments))).unwrap();
    assert_eq!(json["mask_value"], serde_json::json!([123.0, 117.0, 104.0]));
}

#[test]
fn what_else_can_be_mapped_is_in_map_json() {
    let folder = folder();
    let arguments = [
        "explain",
        "picture.png",
        "--mask-size",
        "56",
        "--stride",
        "56",
        "--mask-clipping",
        "off",
        "--region",
        "20,0,150,224",
        "--activation",
        "inception_4c/output:17",
        "--activation",
        "conv2/3x3:strongest",
        "--aggregate",
        "windows",
        "--mask-value",
        "noise:7",
        "--faithfulness",
        "--json",
    ];
    let json: Value = serde_json::from_str(&succeed(seeded(&folder, &arguments))).unwrap();

    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let feature = |layer: &str, channel| Feature { layer: layer.to_string(), channel };
    let expected = OcclusionSensitivity::new(&net)
        .mask_size([56, 56])
        .stride([56, 56])
        .mask_clipping(false)
        .mask_value(MaskValue::Noise(7))
        .region(Rect { y0: 20, x0: 0, y1: 150, x1: 224 })
        .features([feature("inception_4c/output", Some(17)), feature("conv2/3x3", None)])
        .run(&input)
        .unwrap();
    assert_eq!(json["grid"], serde_json::json!([3, 4]));
    assert_eq!(json["region"], serde_json::json!([20, 0, 150, 224]));
    assert_eq!(json["mask_value"], "noise:7");
    assert_eq!(bits(&floats(&json["scores"])), bits(&expected.scores));
    assert_eq!(bits(&floats(&json["argmax_scores"])), bits(&expected.argmax_scores));
    for (f, found) in json["activations"].as_array().unwrap().iter().enumerate() {
        let map = expected.feature_map(f);
        let expected = &expected.features[f];
        assert_eq!(
            (&found["layer"], &found["channel"]),
            (&Value::from(&expected.layer[..]), &expected.channel.into())
        );
        assert_eq!(floats(&found["base_total"]), [expected.base_total]);
        assert_eq!(shape(&found["totals"]), [3, 4]);
        assert_eq!(bits(&floats(&found["totals"])), bits(&expected.totals));
        assert_eq!(bits(&floats(&found["map"])), bits(map.values()));
    }
    assert_eq!(shape(&json["attributions"]), [1, 224, 224]);
    assert_eq!(bits(&floats(&json["attributions"])), bits(&expected.attributions(0)));

    // The deletion curves follow the order of those attributions, and then the order of Grad-CAM.
    let faithfulness = json["faithfulness"].as_array().unwrap();
    let methods: Vec<&Value> = faithfulness.iter().map(|f| &f["method"]).collect();
    assert_eq!(methods, ["occlusion", "grad-cam"]);
    let class = expected.classes[0];
    let curves = Faithfulness::new(&net)
        .mask_value(MaskValue::Noise(7))
        .run(&input, &[(class, &expected.attributions(0))])
        .unwrap();
    assert_eq!(bits(&floats(&faithfulness[0]["deletion"])), bits(&curves[0].deletion));
    assert_eq!(bits(&floats(&faithfulness[0]["insertion"])), bits(&curves[0].insertion));
    assert_eq!(floats(&faithfulness[0]["deletion_area"]), [curves[0].deletion_area()]);
    assert_eq!(floats(&faithfulness[0]["insertion_area"]), [curves[0].insertion_area()]);
    assert_ne!(faithfulness[0]["deletion"], faithfulness[1]["deletion"]);
}

#[test]
fn coarse_to_fine_writes_the_same_files() {
    let folder = folder();
    let files = |out: &str, more: &[&str]| {
        let arguments = [&["explain", "picture.png", "--stride", "40", "--out", out][..], more].concat();
        succeed(seeded(&folder, &arguments));
        let files = listing(&folder.path().join(out));
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_owned()).collect();
        let json: Value =
            serde_json::from_slice(&fs::read(folder.path().join(out).join("map.json")).unwrap()).unwrap();
        let pictures: Vec<_> =
            files.iter().filter(|f| f.extension().unwrap() == "png").map(|f| fs::read(f).unwrap()).collect();
        (names, json["scores"].clone(), pictures)
    };
    assert_eq!(files("fine", &["--progressive"]), files("plain", &[]));
}

/// These tests do not run in a terminal. `script` creates one if it is installed.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_shows_the_map_while_it_is_made() {
    let folder = folder();
    let explain = seeded(&folder, &["explain", "picture.png", "--stride", "40", "--progressive"]);
    let line: Vec<String> = [explain.get_program()]
        .into_iter()
        .chain(explain.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    script
        .current_dir(folder.path())
        .envs(explain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script
        .env("TERM", "xterm-256color")
        .env("COLORTERM", "truecolor")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    let Ok(output) = script.output() else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: this test needs `script`, which is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    // The command prints three maps of 16 lines, because 80 rows of 120 columns become 32 of 48. Each
    // map except the first overwrites the previous one.
    assert_eq!(text.matches("\x1b[16A").count(), 2, "{text}");
    assert_eq!(text.matches('▀').count(), 3 * 48 * 16);
    assert!(text.contains("\x1b[38;2;"));
}

#[test]
fn threads_and_exhaustive_change_no_bits() {
    let folder = folder();
    let scores = |more: &[&str]| {
        let arguments = [&["explain", "picture.png", "--stride", "75", "--json"], more].concat();
        let json: Value = serde_json::from_str(&succeed(seeded(&folder, &arguments))).unwrap();
        (bits(&floats(&json["scores"])), json["argmax"].clone())
    };
    let plain = scores(&[]);
    assert_eq!(plain.0.len(), 9);
    assert_eq!(scores(&["--threads", "1"]), plain);
    assert_eq!(scores(&["--threads", "3", "--exhaustive"]), plain);
}

#[test]
fn gradcam_writes_a_picture_a_class_and_all_numbers() {
    let folder = folder();
    let arguments = ["gradcam", "picture.png", "--classes", "top2,285", "--out", "maps"];
    let text = succeed(seeded(&folder, &[&arguments[..], &["--threads", "2"]].concat()));
    let json = fs::read_to_string(folder.path().join("maps/gradcam.json")).unwrap();
    let printed = succeed(seeded(&folder, &[&arguments[..], &["--threads", "2", "--json"]].concat()));
    assert_eq!(printed, json);

    let keys = [
        "image",
        "image_sha256",
        "network",
        "weights_sha256",
        "input_size",
        "resize",
        "layer",
        "score",
        "grid",
        "classes",
        "maps",
        "threads",
        "isa",
    ];
    let places: Vec<usize> = keys.iter().map(|key| json.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_object().unwrap().len(), keys.len());

    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let input = Picture::open(folder.path().join("picture.png"), Resize::Stretch).unwrap().input();
    let activations = net.forward(&input);
    let said = activations.classification();
    let classes = [said.top(2), vec![285]].concat();
    let expected = net.grad_cam(&activations, &classes).unwrap();
    assert_eq!((&json["layer"], &json["score"]), (&"inception_5b/output".into(), &"probability".into()));
    assert_eq!((&json["grid"], &json["threads"]), (&serde_json::json!([7, 7]), &2.into()));
    assert_eq!(shape(&json["maps"]), [3, 7, 7]);
    assert_eq!(bits(&floats(&json["maps"])), bits(&expected.maps));
    for (k, &class) in classes.iter().enumerate() {
        assert_eq!(json["classes"][k]["index"], class);
        assert_eq!(floats(&json["classes"][k]["base_score"]), [said.probabilities[class]]);
    }

    let written = listing(&folder.path().join("maps"));
    assert_eq!(written.len(), 4, "{written:?}");
    assert!(folder.path().join("maps/picture-egyptian-cat-gradcam.png").exists());
    for path in &written {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(name), "{text}");
        if name.ends_with(".png") {
            assert!(name.ends_with("-gradcam.png") && read_picture(path).width() >= 224, "{name}");
        }
    }
    // The strongest cell in the text is the strongest cell of the numbers.
    let map = expected.map(0);
    let strongest = (0..49).max_by(|&a, &b| map.values()[a].total_cmp(&map.values()[b])).unwrap();
    assert!(map.values()[strongest] > 0.0);
    let (x, y) = (strongest % 7 * 32 + 16, strongest / 7 * 32 + 16);
    assert!(text.contains(&format!("strongest at x {x}, y {y}: ")), "{text}");

    refuse(
        &folder,
        occlude(&folder, &["gradcam", "picture.png", "--out", "picture.png"]),
        1,
        &["cannot write"],
    );
    refuse(&folder, seeded(&folder, &["gradcam", "missing.png"]), 1, &["cannot read missing.png"]);
    refuse(&folder, seeded(&folder, &["gradcam", "picture.png", "--classes", "1000"]), 1, &["0 to 999"]);
}

#[test]
fn an_output_folder_keeps_what_else_is_in_it() {
    let folder = folder();
    fs::create_dir(folder.path().join("maps")).unwrap();
    fs::write(folder.path().join("maps/notes.txt"), "mine").unwrap();
    fs::write(folder.path().join("maps/map.json"), "old").unwrap();
    succeed(seeded(&folder, &["explain", "picture.png", "--stride", "224", "--out", "maps"]));
    assert_eq!(fs::read_to_string(folder.path().join("maps/notes.txt")).unwrap(), "mine");
    assert!(fs::read_to_string(folder.path().join("maps/map.json")).unwrap().starts_with('{'));
    assert_eq!(listing(&folder.path().join("maps")).len(), 3);
}

#[test]
fn a_picture_of_one_pixel_works() {
    let folder = folder();
    write_png(&folder.path().join("dot.png"), &image::RgbImage::from_pixel(1, 1, image::Rgb([9, 99, 199])));
    succeed(seeded(&folder, &["explain", "dot.png", "--stride", "224"]));
    assert!(folder.path().join("out/map.json").exists());
}

#[test]
fn an_impossible_option_names_itself_what_was_found_and_what_would_do() {
    let folder = folder();
    let cases = [
        ("--mask-size", "0", "expected auto, N or HxW, in whole pixels from 1 to 224"),
        ("--mask-size", "225", "expected auto, N or HxW, in whole pixels from 1 to 224"),
        ("--mask-size", "30x0", "expected auto, N or HxW"),
        ("--mask-size", "-3", "expected auto, N or HxW"),
        ("--stride", "0", "expected auto, N or HxW, in whole pixels from 1 to 224"),
        ("--stride", "1.5", "expected auto, N or HxW"),
        ("--mask-value", "NaN", "expected auto, mean, blur, noise, V or R,G,B, with numbers from 0 to 255"),
        ("--mask-value", "1,inf,3", "expected auto, mean, blur, noise, V or R,G,B"),
        ("--mask-value", "-1", "expected auto, mean, blur, noise, V or R,G,B"),
        ("--mask-value", "1,2", "expected auto, mean, blur, noise, V or R,G,B"),
        ("--mask-value", "blur:0", "expected blur or blur:S"),
        ("--region", "5,5,5,9", "expected y0,x0,y1,x1"),
        ("--region", "0,0,225,9", "expected y0,x0,y1,x1"),
        ("--activation", "inception_4c/output", "expected LAYER:CHANNEL"),
        ("--aggregate", "sum", "expected none or windows"),
        ("--threads", "0", "expected a whole number from 1 to 1024"),
        ("--threads", "many", "expected a whole number from 1 to 1024"),
        ("--mask-clipping", "maybe", "expected on or off"),
        ("--upsampling", "linear", "expected bicubic or nearest or none"),
        ("--score", "loss", "expected probability, logit, contrast:CLASS"),
        ("--resize", "fit", "expected stretch or center-crop"),
    ];
    for (option, value, message) in cases {
        let found = format!("invalid value '{value}' for '{option}");
        let command = seeded(&folder, &["explain", "picture.png", "--out", "maps", option, value]);
        refuse(&folder, command, 2, &[message, if value.is_empty() { option } else { &found }]);
    }
    for top in ["0", "32769", "-1", "x"] {
        let command = seeded(&folder, &["classify", "picture.png", "--top", top]);
        refuse(&folder, command, 2, &["'--top <K>'", "expected a whole number from 1 to 32768"]);
    }
    // The network determines which classes exist.
    for (classes, message) in [
        ("1000", "class index 1000 is not possible: expected 0 to 999"),
        ("Egyptain cat", "no class is called \"Egyptain cat\"; did you mean Egyptian cat"),
        ("top0", "--classes top0 is not possible: expected top1 to top1000"),
        ("crane", "134 (n02012849), 517 (n03126707)"),
        ("", "no class is called \"\""),
    ] {
        for subcommand in ["explain", "compare", "gradcam", "region"] {
            let command =
                seeded(&folder, &[subcommand, "picture.png", "--out", "maps", "--classes", classes]);
            refuse(&folder, command, 1, &[message]);
        }
    }
    refuse(&folder, seeded(&folder, &["explain"]), 2, &["IMAGE"]);
    refuse(&folder, seeded(&folder, &["illustrate"]), 2, &["illustrate"]);
}

#[test]
fn a_file_that_is_no_picture_is_refused_by_name() {
    let folder = folder();
    let whole = fs::read(folder.path().join("picture.png")).unwrap();
    fs::write(folder.path().join("truncated.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("empty.png"), b"").unwrap();
    fs::write(folder.path().join("text.png"), b"not a picture").unwrap();
    // The header of a bitmap of 60000 x 60000 pixels.
    let mut bomb = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bomb.extend([60000u32.to_le_bytes(), 60000u32.to_le_bytes(), [1, 0, 24, 0]].concat());
    bomb.resize(54, 0);
    fs::write(folder.path().join("bomb.bmp"), bomb).unwrap();
    fs::create_dir(folder.path().join("directory.png")).unwrap();
    for (image, message) in [
        ("missing.png", "cannot read missing.png: "),
        ("truncated.png", "is a damaged or truncated PNG picture"),
        ("empty.png", "is empty (0 bytes), expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture"),
        ("text.png", "is not a picture: expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture"),
        ("bomb.bmp", "announces 60000x60000 pixels, expected at most 100 megapixels"),
        ("directory.png", "is a directory, expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture"),
    ] {
        refuse(&folder, seeded(&folder, &["explain", image, "--out", "maps"]), 1, &[image, message]);
        refuse(&folder, seeded(&folder, &["classify", image]), 1, &[image, message]);
    }
}

#[test]
fn an_instruction_set_is_chosen_by_the_environment_and_changes_no_bits() {
    let folder = folder();
    let explain = |isa: &str| {
        let mut command = seeded(&folder, &["explain", "picture.png", "--stride", "224", "--json"]);
        command.env("OCCLUDE_ISA", isa);
        command
    };
    let scores = |isa: &str| {
        let json: Value = serde_json::from_str(&succeed(explain(isa))).unwrap();
        assert_eq!(json["isa"], isa);
        bits(&floats(&json["scores"]))
    };
    let scalar = scores("scalar");
    for isa in Isa::all_available() {
        assert_eq!(scores(&isa.to_string()), scalar, "{isa}");
    }
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    refuse(
        &folder,
        explain("sse9"),
        1,
        &["OCCLUDE_ISA \"sse9\"", "expected scalar, avx2, avx512, neon, wasm, wasm-fma or wasm-unfused"],
    );
    // An empty variable is like one that is not set.
    let json: Value = serde_json::from_str(&succeed(explain(""))).unwrap();
    assert_eq!(json["isa"], Isa::detect().to_string());
}

#[test]
fn the_variable_of_rayon_has_a_bound() {
    let folder = folder();
    for arguments in [&["classify", "picture.png"][..], &["explain", "picture.png"]] {
        let mut command = seeded(&folder, arguments);
        command.env("RAYON_NUM_THREADS", "99999");
        refuse(&folder, command, 1, &["RAYON_NUM_THREADS 99999", "expected at most 1024"]);
    }
}

#[test]
fn weights_that_are_not_this_networks_are_refused_by_tensor() {
    let folder = folder();
    let with = |edit: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = seeded_tensors();
        edit(&mut tensors);
        safetensors(&tensors)
    };
    let whole = fs::read(seeded_weights()).unwrap();
    let weight =
        |tensors: &mut Vec<Tensor>| tensors.iter().position(|t| t.name == "inception_4a/1x1.weight").unwrap();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "empty",
            Vec::new(),
            "an empty file; expected a safetensors file, a caffemodel, an ONNX model or a PyTorch file",
        ),
        ("text", b"these are no weights".to_vec(), "not a weights file: it begins with [74, 68, 65, 73"),
        (
            "truncated",
            whole[..whole.len() - 1000].to_vec(),
            "28004216 bytes, but its header describes another number of them: truncated",
        ),
        ("longer", [&whole[..], b"more"].concat(), "or with something after its last tensor"),
        (
            "shape",
            with(&|t| {
                let i = weight(t);
                t[i].shape = vec![480, 192, 1, 1]
            }),
            "tensor inception_4a/1x1.weight has shape [480, 192, 1, 1], expected [192, 480, 1, 1]",
        ),
        (
            "dtype",
            with(&|t| {
                let i = weight(t);
                t[i].dtype = Dtype::I32
            }),
            "tensor inception_4a/1x1.weight has dtype I32, expected F32",
        ),
        (
            "nan",
            with(&|t| {
                let i = weight(t);
                t[i].bytes[40..44].copy_from_slice(&f32::NAN.to_le_bytes())
            }),
            "tensor inception_4a/1x1.weight holds NaN at position 10",
        ),
        (
            "missing",
            with(&|t| {
                let i = weight(t);
                t.remove(i);
            }),
            "has no tensor inception_4a/1x1.weight",
        ),
        (
            "extra",
            with(&|t| {
                t.push(Tensor {
                    name: "loss4/conv.bias".into(),
                    dtype: Dtype::F32,
                    shape: vec![1],
                    bytes: vec![0; 4],
                })
            }),
            "tensor loss4/conv.bias unknown to this network",
        ),
    ];
    for (name, bytes, message) in cases {
        let file = format!("{name}.safetensors");
        fs::write(folder.path().join(&file), bytes).unwrap();
        for command in [vec!["classify", "picture.png"], vec!["explain", "picture.png"], vec!["weights"]] {
            refuse(
                &folder,
                occlude(&folder, &[&command[..], &["--weights", &file]].concat()),
                1,
                &[&file, message],
            );
        }
    }
}

#[test]
fn scores_that_overflow_are_refused_because_json_has_no_infinity() {
    let folder = folder();
    let mut tensors = seeded_tensors();
    for tensor in &mut tensors {
        let huge = f32::MAX.to_le_bytes();
        tensor.bytes.chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&huge));
    }
    fs::write(folder.path().join("huge.safetensors"), safetensors(&tensors)).unwrap();
    for command in ["classify", "explain", "gradcam"] {
        let command = occlude(&folder, &[command, "picture.png", "--weights", "huge.safetensors", "--json"]);
        refuse(&folder, command, 1, &["overflow"]);
    }
}

#[test]
fn weights_are_looked_for_where_the_help_says() {
    let folder = folder();
    // If the user names a file, the command does not use another existing file instead.
    let place = |folder_name: &str| {
        fs::create_dir_all(folder.path().join(folder_name)).unwrap();
        fs::copy(seeded_weights(), folder.path().join(folder_name).join("bvlc_googlenet.safetensors"))
            .unwrap();
    };
    place("weights");
    let absent = occlude(&folder, &["classify", "picture.png", "--weights", "absent"]);
    refuse(&folder, absent, 1, &["absent: no such file"]);
    let mut absent = occlude(&folder, &["classify", "picture.png"]);
    absent.env("OCCLUDE_WEIGHTS", "absent");
    refuse(&folder, absent, 1, &["absent: no such file", "OCCLUDE_WEIGHTS"]);
    refuse(&folder, occlude(&folder, &["classify", "picture.png", "--weights", "."]), 1, &["directory"]);

    succeed(occlude(&folder, &["classify", "picture.png"]));
    fs::remove_dir_all(folder.path().join("weights")).unwrap();
    if cfg!(all(unix, not(target_os = "macos"))) {
        place("cache/occlude");
        succeed(occlude(&folder, &["classify", "picture.png"]));
    }
}

#[test]
fn other_weights_are_used_and_reported_as_others() {
    let folder = folder();
    let output = seeded(&folder, &["weights"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("differs from the published network's"), "{text}");
    assert!(text.contains("all 116 differ from the published"), "{text}");
}

#[test]
fn an_output_folder_that_cannot_be_is_refused_before_the_sweep() {
    let folder = folder();
    for out in ["picture.png", "picture.png/below"] {
        // The command has no weights. If it prepared the sweep first, the missing weights would be
        // the error.
        refuse(
            &folder,
            occlude(&folder, &["explain", "picture.png", "--out", out]),
            1,
            &["cannot write to", out],
        );
    }
    // Nobody can create a file here, not even the superuser.
    if cfg!(target_os = "linux") {
        for out in ["/proc", "/proc/maps"] {
            let command = occlude(&folder, &["explain", "picture.png", "--out", out]);
            refuse(&folder, command, 1, &["cannot write to", out]);
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
        // The superuser can write everywhere.
        if tempfile::tempfile_in(&locked).is_err() {
            for out in ["locked", "locked/below"] {
                let command = occlude(&folder, &["explain", "picture.png", "--out", out]);
                refuse(&folder, command, 1, &["cannot write to", out]);
            }
        } else {
            eprintln!("SKIPPED: a folder without write permission does not stop this user");
        }
    }
    // The command detects only at the end that a folder has the name of an output file. Then it
    // writes nothing at all.
    fs::create_dir_all(folder.path().join("maps/map.json")).unwrap();
    let command = seeded(&folder, &["explain", "picture.png", "--stride", "224", "--out", "maps"]);
    refuse(&folder, command, 1, &["maps/map.json", "is a directory"]);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = folder();
    let mut command = seeded(&folder, &["classify", "picture.png", "--top", "1000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

#[test]
fn every_help_has_examples() {
    let folder = folder();
    for command in [&[""], &SUBCOMMANDS[..]].concat() {
        let arguments = [command, "--help"];
        let text = succeed(occlude(&folder, &arguments[usize::from(command.is_empty())..]));
        assert!(text.contains("Examples:\n  occlude "), "{text}");
        assert!(text.contains("--weights <FILE>") && text.contains("--resize <METHOD>"), "{text}");
    }
}

/// All subcommands, in the order of the help.
const SUBCOMMANDS: [&str; 19] = [
    "classify",
    "explain",
    "compare",
    "gradcam",
    "rise",
    "region",
    "check",
    "features",
    "batch",
    "merge",
    "learn",
    "evaluate",
    "serve",
    "profile",
    "layers",
    "trace",
    "weights",
    "completions",
    "man",
];

/// True if the program is installed and accepts this text on standard input.
fn accepts(program: &str, arguments: &[&str], text: &str) -> Option<bool> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    // A program that refuses the text may stop reading before its end.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    Some(output.status.success() && stderr(&output).is_empty())
}

#[test]
fn completions_know_every_subcommand_and_option() {
    let folder = folder();
    let help = succeed(occlude(&folder, &["--help"]));
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, [&SUBCOMMANDS[..], &["help"]].concat());

    for (shell, check) in [
        ("bash", &["-n"][..]),
        ("zsh", &["-n"]),
        ("fish", &["--no-execute"]),
        // These two shells cannot check a script without running it.
        ("elvish", &[]),
        ("powershell", &[]),
    ] {
        let script = succeed(occlude(&folder, &["completions", shell]));
        for word in SUBCOMMANDS.iter().chain(&["mask-size", "strongest", "transform-input"]) {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        if !check.is_empty() {
            assert_ne!(accepts(shell, check, &script), Some(false), "{shell} refuses its script");
        }
    }
    let shells = "[possible values: bash, elvish, fish, powershell, zsh]";
    refuse(&folder, occlude(&folder, &["completions", "csh"]), 2, &["'csh'", shells]);
    refuse(&folder, occlude(&folder, &["completions"]), 2, &["<SHELL>"]);
}

#[test]
fn the_manual_page_has_a_section_for_each_subcommand() {
    let folder = folder();
    let page = succeed(occlude(&folder, &["man"]));
    let title = format!(".TH occlude 1 \"\" \"occlude {}\" \"User Commands\"\n", env!("CARGO_PKG_VERSION"));
    assert!(page.contains(&title), "{page}");
    for subcommand in SUBCOMMANDS {
        let title = format!("\n.SH \"OCCLUDE {}\"\n", subcommand.to_uppercase());
        assert_eq!(page.matches(&title).count(), 1, "{title}");
    }
    // Groff prints warnings of every kind on standard error.
    assert_ne!(accepts("groff", &["-man", "-Tutf8", "-ww"], &page), Some(false), "groff warns");
    assert_ne!(accepts("mandoc", &["-T", "lint", "-W", "error"], &page), Some(false), "mandoc refuses");
}

/// The command with the published weights, for a photograph in the folder `images` beside them.
fn real(folder: &TempDir, command: &str, image: &str, more: &[&str]) -> Option<Command> {
    let weights = crate::common::shared("weights/bvlc_googlenet.safetensors")?;
    let image = crate::common::shared(&format!("images/{image}"))?;
    let mut command = occlude(folder, &[&[command, image.to_str().unwrap()], more].concat());
    command.env("OCCLUDE_WEIGHTS", weights);
    Some(command)
}

#[test]
fn chelsea_is_an_egyptian_cat() {
    let folder = folder();
    let Some(command) = real(&folder, "classify", "chelsea.png", &[]) else { return };
    // The reference value is 0.5743006.
    assert_eq!(succeed(command).lines().next(), Some("0.5743  285  Egyptian cat"));

    let command = real(&folder, "explain", "chelsea.png", &["--json"]).unwrap();
    let json: Value = serde_json::from_str(&succeed(command)).unwrap();
    assert_eq!(json["weights_sha256"], "16dfd4e9896a5fd9219896f06b4ada15408a4b7c0e7e7075061f33431699ae99");
    assert_eq!(json["grid"], serde_json::json!([11, 11]));
    assert_eq!(json["classes"][0]["index"], 285);
    assert!(folder.path().join("out/chelsea-egyptian-cat.png").exists());
}

/// Uses the pixels of the references, so this does not test decoding and resizing.
/// `tests/files/picture.rs` tests those.
#[test]
fn maps_agree_with_the_references_on_the_same_pixels() {
    for (stem, tag, options) in [
        ("chelsea", "m45_s22_auto", &[][..]),
        ("tibetan_terrier", "m45_s22_auto", &[]),
        (
            "cat_dog",
            "m30x12_s25x31_zero",
            &["--mask-size", "30x12", "--stride", "25x31", "--mask-value", "mean"],
        ),
        ("miniature_poodle", "m45_s22_auto", &[]),
    ] {
        let Some(weights) = crate::common::shared("weights/bvlc_googlenet.safetensors") else { return };
        let Some(reference) = crate::common::shared(&format!("reference/{stem}.safetensors")) else { return };
        let bytes = fs::read(reference).unwrap();
        let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |name: &str| reference.tensor(name).unwrap();
        let reals = |name: &str| -> Vec<f32> {
            let tensor = tensor(name);
            assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
            tensor.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
        };

        let folder = folder();
        let pixels = tensor("image_rgb");
        assert_eq!((pixels.dtype(), pixels.shape()), (Dtype::U8, &[224, 224, 3][..]));
        let pixels = image::RgbImage::from_raw(224, 224, pixels.data().to_vec()).unwrap();
        write_png(&folder.path().join("pixels.png"), &pixels);
        let arguments = [&["explain", "pixels.png", "--classes", "top3", "--json"], options].concat();
        let mut command = occlude(&folder, &arguments);
        command.env("OCCLUDE_WEIGHTS", weights);
        let json: Value = serde_json::from_str(&succeed(command)).unwrap();

        for (ours, theirs) in [("scores", "prob_top3"), ("maps", "drop_top3")] {
            let (ours, theirs) = (floats(&json[ours]), reals(&format!("sweep:{tag}:{theirs}")));
            assert_eq!(ours.len(), theirs.len(), "{stem}");
            let difference = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference <= 5e-6, "{stem}: {difference:e}");
        }
    }
}

#[test]
fn one_sweep_maps_three_poodles() {
    let folder = folder();
    let options = ["--classes", "top3", "--mask-size", "15", "--stride", "10", "--json"];
    let Some(command) = real(&folder, "explain", "miniature_poodle.jpg", &options) else { return };
    let json: Value = serde_json::from_str(&succeed(command)).unwrap();
    assert_eq!(json["positions"], 529);
    assert_eq!(shape(&json["maps"]), [3, 23, 23]);
    let labels: Vec<&str> =
        json["classes"].as_array().unwrap().iter().map(|class| class["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["toy poodle", "miniature poodle", "Irish water spaniel"]);
    assert_eq!(listing(&folder.path().join("out")).len(), 4);
}

#[test]
fn the_published_weights_match_the_manifest() {
    let folder = folder();
    let Some(weights) = crate::common::shared("weights/bvlc_googlenet.safetensors") else { return };
    let text = succeed(occlude(&folder, &["weights", "--weights", weights.to_str().unwrap()]));
    for part in ["(matches)", "all 116 match", "405fc5acd08a3bb12de8ee5e23a96bec22f08204", "unrestricted use"]
    {
        assert!(text.contains(part), "{text}");
    }
}
