//! Tests of what figures show, through the command: the shape of the photograph, the places of the
//! values, and the scale of the colours.

use std::fs;
use std::path::Path;

use crate::common::command::{floats, folder, listing, read_picture, refuse, seeded, succeed, write_png};
use serde_json::Value;
use tempfile::TempDir;

/// `occlude explain` with the seeded weights and figures in SVG, into a folder of its own. Returns the
/// object of `map.json` and the figures of maps.
fn explain(folder: &TempDir, arguments: &[&str]) -> (Value, Vec<String>) {
    let out = tempfile::tempdir_in(folder.path()).unwrap();
    let out = out.path();
    let options = ["--stride", "56", "--format", "svg", "--out", out.to_str().unwrap()];
    let printed = succeed(seeded(folder, &[&["explain", "--json"], arguments, &options].concat()));
    let figures =
        listing(out).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "svg"));
    let map = serde_json::from_str(&printed).unwrap();
    let figures = figures.map(|file| fs::read_to_string(file).unwrap());
    (map, figures.filter(|figure| figure.contains("<image ")).collect())
}

/// The first picture of a figure: its width and height, and its pixels.
fn picture(figure: &str) -> ([usize; 2], &str) {
    let image = figure.split("<image ").nth(1).unwrap().split("/>").next().unwrap();
    let attribute =
        |name: &str| image.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
    (["width", "height"].map(|name| attribute(name).parse().unwrap()), attribute("href"))
}

#[test]
fn figures_have_the_shape_of_the_photograph() {
    let folder = folder();
    let size = |options: &[&str]| picture(&explain(&folder, &[&["picture.png"], options].concat()).1[0]).0;
    // 80 rows of 120 columns.
    assert_eq!(size(&[]), [672, 448]);
    for resize in ["stretch", "center-crop", "pad"] {
        assert_eq!(size(&["--resize", resize, "--show", "class"]), [672, 448], "{resize}");
        assert_eq!(size(&["--resize", resize, "--canvas", "network"]), [672, 672], "{resize}");
    }
    for command in [
        &["compare", "picture.png", "--stride", "112"][..],
        &["gradcam", "picture.png"],
        &["features", "picture.png", "--layer", "inception_5b/1x1"],
        &["trace", "picture.png", "--at", "100,100"],
    ] {
        let drawn = |canvas: &str| {
            let out = format!("{}-{canvas}", command[0]);
            succeed(seeded(&folder, &[command, &["--canvas", canvas, "--out", &out]].concat()));
            let files = listing(&folder.path().join(&out));
            let figure = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "png"));
            read_picture(figure.unwrap())
        };
        let (photo, network) = (drawn("photo"), drawn("network"));
        assert!(photo != network, "{command:?}");
        // The strip of a trace has fewer stages in a row, because they are wider.
        let lower = photo.height() < network.height();
        assert_eq!(lower, command[0] != "trace", "{command:?}");
    }
}

#[test]
fn values_lie_at_the_centres_of_masks_or_in_equal_cells() {
    let folder = folder();
    let one =
        |placement: &str| explain(&folder, &["picture.png", "--placement", placement, "--faithfulness"]);
    let ((centres, centred), (stretch, stretched)) = (one("centres"), one("stretch"));
    assert_eq!(centres["maps"], stretch["maps"]);
    assert_eq!([&centres["placement"], &stretch["placement"]], ["centres", "stretch"]);
    assert_ne!(picture(&centred[0]).1, picture(&stretched[0]).1);
    assert!(centred[0].contains("paler") && !stretched[0].contains("paler"));
    let (_, others) = explain(&folder, &["picture.png", "--show", "score,class", "--aggregate", "windows"]);
    assert!(others.len() == 2 && others.iter().all(|figure| texts(figure).contains("; paler")));
    // The order of the pixels is that of the drawn map, but not for Grad-CAM.
    let curve = |map: &Value, method: usize| map["faithfulness"][method]["deletion"].clone();
    assert_ne!(curve(&centres, 0), curve(&stretch, 0));
    assert_eq!(curve(&centres, 1), curve(&stretch, 1));
}

/// A picture with another map than `picture.png`.
fn second_photograph(folder: &TempDir, name: &str) {
    let picture = image::RgbImage::from_fn(60, 90, |x, y| image::Rgb([(x * 4) as u8, (y * 2) as u8, 77]));
    write_png(&folder.path().join(name), &picture);
}

#[test]
fn figures_have_one_scale_if_the_user_asks_for_it() {
    let folder = folder();
    second_photograph(&folder, "second.png");
    let mut limits = Vec::new();
    let mut own = Vec::new();
    for name in ["picture.png", "second.png"] {
        let (map, figures) = explain(&folder, &[name]);
        assert!(!figures[0].contains(" scale</text>"));
        limits.push(floats(&map["maps"]).into_iter().fold(0.0f32, |limit, drop| limit.max(drop.abs())));
        own.push(figures);
    }
    assert_ne!(limits[0], limits[1]);
    let limit = limits[0].max(limits[1]);
    let less = if limits[0] < limits[1] { 0 } else { 1 };

    let out = ["--stride", "56", "--format", "svg", "--scale", "shared", "--out", "shared"];
    succeed(seeded(&folder, &[&["explain", "picture.png", "second.png"], &out[..]].concat()));
    for (i, name) in ["picture", "second"].into_iter().enumerate() {
        let files = listing(&folder.path().join("shared").join(name));
        let figure =
            files.iter().find(|file| file.extension().is_some_and(|ending| ending == "svg")).unwrap();
        let shared = fs::read_to_string(figure).unwrap();
        let (_, fixed) = explain(&folder, &[&format!("{name}.png"), "--scale", &limit.to_string()]);
        assert_eq!(picture(&shared).1, picture(&fixed[0]).1, "{name}");
        assert_eq!(picture(&shared).1 == picture(&own[i][0]).1, i != less, "{name}");
        assert!(shared.contains(">shared scale</text>") && fixed[0].contains(">fixed scale</text>"));
    }

    let (_, least) = explain(&folder, &["picture.png", "--colour-range", "minmax"]);
    assert!(least[0].contains("red is the upper end of the scale") && !least[0].contains("symmetric"));
    assert_ne!(picture(&least[0]).1, picture(&own[0][0]).1);
    refuse(
        &folder,
        seeded(&folder, &["explain", "picture.png", "--scale", "0"]),
        2,
        &["a number greater than 0"],
    );
}

/// The texts of a figure in SVG.
fn texts(figure: &str) -> String {
    let texts = figure.split("<text ").skip(1).map(|text| text.split_once('>').unwrap().1);
    texts.map(|text| text.split("</text>").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn tiny_differences_have_a_caution() {
    let folder = folder();
    let all = ["picture.png", "--classes", "all", "--weights", "builtin"];
    let (map, figures) = explain(&folder, &all);
    let maps = map["maps"].as_array().unwrap();
    let tiny = maps.iter().map(floats).filter(|map| map.iter().all(|drop| drop.abs() < 1e-3)).count();
    let cautions = figures.iter().map(|figure| texts(figure)).filter(|text| text.contains("--score logit"));
    let cautions: Vec<String> = cautions.collect();
    assert!(tiny > 3 && tiny < maps.len(), "both cases must occur: {tiny} of {}", maps.len());
    assert_eq!(cautions.len(), tiny);
    assert!(cautions.iter().any(|text| text.contains("\nimprobable class, differences of at most ")));
    // A logit of an improbable class falls as far as that of another.
    let (_, logits) = explain(&folder, &[&all[..], &["--score", "logit"]].concat());
    assert!(!logits.iter().any(|figure| texts(figure).contains("at most")));
    // A value of the map is the mean of many masks.
    let (_, means) = explain(&folder, &[&all[..], &["--aggregate", "windows"]].concat());
    assert!(means.iter().any(|figure| texts(figure).contains("mean differences per pixel of at most ")));
    // Nothing changes in a picture of one colour.
    write_png(
        &folder.path().join("flat.png"),
        &image::RgbImage::from_pixel(20, 20, image::Rgb([250, 130, 20])),
    );
    let (_, flat) = explain(&folder, &["flat.png", "--mask-value", "250,130,20"]);
    assert!(texts(&flat[0]).contains("\nno mask changes the probability"), "{}", texts(&flat[0]));
    assert!(!texts(&flat[0]).contains("red is"));
    // So does the comparison, in one line, which also names maps that are flat on the common scale.
    let compare = ["compare", "picture.png", "--weights", "builtin", "--classes", "top20", "--stride", "56"];
    let text = succeed(seeded(&folder, &[&compare[..], &["--format", "svg", "--out", "compared"]].concat()));
    let figure = fs::read_to_string(folder.path().join("compared/picture-compare.svg")).unwrap();
    assert!(texts(&figure).contains("\ndifferences of at most "), "{}", texts(&figure));
    assert!(text.contains("    improbable class, differences of at most "), "{text}");
}

#[test]
fn a_scale_that_cuts_values_off_says_so() {
    let folder = folder();
    let (map, figures) = explain(&folder, &["picture.png", "--score", "logit"]);
    let drops = floats(&map["maps"][0]);
    let most = drops.iter().fold(0.0f32, |most, drop| most.max(drop.abs()));
    assert!(!texts(&figures[0]).contains(['≤', '≥']) && !texts(&figures[0]).contains("beyond"));
    for (share, expected) in [(0.9, true), (1.1, false)] {
        let limit = most * share;
        let beyond = drops.iter().filter(|drop| drop.abs() > limit).count();
        let out = [
            "explain",
            "picture.png",
            "--stride",
            "56",
            "--score",
            "logit",
            "--format",
            "svg",
            "--out",
            "cut",
        ];
        let text = succeed(seeded(&folder, &[&out[..], &["--scale", &limit.to_string()]].concat()));
        let counted = format!("  {beyond} of {} values lie beyond the scale", drops.len());
        assert_eq!(text.contains(&counted), expected, "{text}");
        let svg =
            listing(&folder.path().join("cut")).into_iter().find(|file| file.extension().unwrap() == "svg");
        let shown = texts(&fs::read_to_string(svg.unwrap()).unwrap());
        let ends = ["≥ ", "≤ −"].map(|end| shown.contains(&format!("\n{end}")));
        let cut = [drops.iter().any(|drop| *drop > limit), drops.iter().any(|drop| *drop < -limit)];
        assert_eq!(ends, cut, "{shown}");
        assert_eq!(shown.contains("; values beyond"), expected, "{shown}");
    }
    let compare = ["compare", "picture.png", "--stride", "56", "--score", "logit", "--format", "svg"];
    let limit = (most / 2.0).to_string();
    let text = succeed(seeded(&folder, &[&compare[..], &["--scale", &limit, "--out", "pair"]].concat()));
    let figure = fs::read_to_string(folder.path().join("pair/picture-compare.svg")).unwrap();
    assert!(text.contains(" values lie beyond the scale"), "{text}");
    assert!(texts(&figure).contains("; values beyond"), "{}", texts(&figure));
    assert!(text.contains("    strongest evidence against  -"), "{text}");
}

#[test]
fn figures_say_which_part_the_network_does_not_see() {
    let folder = folder();
    let dark = "dark: not seen by the network";
    for show in ["drop", "score", "class"] {
        let figure = |resize: &str| {
            explain(&folder, &["picture.png", "--show", show, "--resize", resize]).1[0].clone()
        };
        assert!(texts(&figure("center-crop")).contains(dark), "{show}");
        assert!(!texts(&figure("stretch")).contains(dark) && !texts(&figure("pad")).contains(dark), "{show}");
    }
    let compare = ["compare", "picture.png", "--stride", "112", "--format", "svg", "--resize", "center-crop"];
    succeed(seeded(&folder, &compare));
    let figure = fs::read_to_string(folder.path().join("out/picture-compare.svg")).unwrap();
    assert!(texts(&figure).contains(dark));
}

#[test]
fn classes_lie_on_grey_and_an_answer_that_never_changes_is_told() {
    let folder = folder();
    // A mask of one pixel changes nothing.
    let options = ["picture.png", "--show", "class", "--mask-size", "1"];
    let (map, figures) = explain(&folder, &options);
    let classes: Vec<u64> = serde_json::from_value::<Vec<Vec<u64>>>(map["argmax"].clone()).unwrap().concat();
    assert!(classes.iter().all(|class| *class == classes[0]));
    assert!(texts(&figures[0]).contains("the answer never changes"));
    succeed(seeded(&folder, &[&["explain", "--stride", "56", "--opacity", "0"], &options[..]].concat()));
    let drawn = read_picture(&folder.path().join("out/picture-most-probable.png"));
    // The photograph has 672 columns from the margin on.
    for (x, y) in (0..640).step_by(40).flat_map(|x| (0..400).step_by(40).map(move |y| (24 + x, 110 + y))) {
        let [red, green, blue] = drawn.get_pixel(x, y).0;
        assert!(red == green && green == blue, "{x} {y}");
    }
}

#[test]
fn the_extension_of_a_diagram_is_its_format() {
    let folder = folder();
    for name in ["network.svg", "network.PNG"] {
        succeed(seeded(&folder, &["layers", "--diagram", name]));
        let file = folder.path().join(name);
        match name.ends_with("svg") {
            true => assert!(fs::read_to_string(file).unwrap().starts_with("<svg ")),
            // Four boxes of 236 pixels with distances of 20, between margins of 24.
            false => assert_eq!(read_picture(&file).width(), 4 * 236 + 3 * 20 + 2 * 24),
        }
    }
    for name in ["network.pdf", "network"] {
        let expected = ["--diagram", name, "ends in .svg or .png"];
        refuse(&folder, seeded(&folder, &["layers", "--diagram", name]), 1, &expected);
        assert!(!folder.path().join(name).exists());
    }
}

#[test]
fn a_very_flat_photograph_has_a_hint() {
    let folder = folder();
    for (name, height, width) in [("flat.png", 8, 160), ("tall.png", 160, 8), ("usual.png", 50, 300)] {
        let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 77]));
        write_png(&folder.path().join(name), &picture);
        for canvas in ["photo", "network"] {
            let arguments = ["explain", name, "--stride", "224", "--canvas", canvas];
            let output = seeded(&folder, &arguments).output().unwrap();
            let hint = String::from_utf8(output.stderr).unwrap();
            let expected = canvas == "photo" && name != "usual.png";
            assert_eq!(hint.contains("20 times as") && hint.contains("--canvas network"), expected, "{hint}");
        }
    }
}

#[test]
fn each_of_several_photographs_has_a_folder() {
    let folder = folder();
    fs::create_dir(folder.path().join("other")).unwrap();
    second_photograph(&folder, "other/picture.png");
    second_photograph(&folder, "second.png");
    let photographs = ["picture.png", "other/picture.png", "./picture.png", "second.png"];
    let options = ["--stride", "112", "--arrays", "npy"];
    let run = |command: &str, out: &str, more: &[&str]| {
        succeed(seeded(&folder, &[&[command], &photographs[..], &options, &["--out", out], more].concat()))
    };
    let text = run("explain", "explained", &[]);
    run("batch", "batch", &[]);
    let names = |out: &str| -> Vec<String> {
        let entries = fs::read_dir(folder.path().join(out)).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("explained"), names("batch"));
    assert_eq!(names("explained").len(), 3);
    let read = |path: &Path| -> Value {
        let mut map: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for name in ["elapsed_seconds", "threads", "isa"] {
            map.as_object_mut().unwrap().remove(name);
        }
        map
    };
    for name in names("explained") {
        let [explained, batch] = ["explained", "batch"].map(|out| folder.path().join(out).join(&name));
        assert_eq!(read(&explained.join("map.json")), read(&batch.join("map.json")));
        for file in listing(&explained).iter().filter(|file| !file.ends_with("map.json")) {
            assert_eq!(fs::read(file).unwrap(), fs::read(batch.join(file.file_name().unwrap())).unwrap());
            assert!(text.contains(&format!("wrote {}", file.strip_prefix(folder.path()).unwrap().display())));
        }
    }
    assert!(!folder.path().join("explained/map.json").exists());
    let parts = ["picture.png:\n", "\nother/picture.png:\n", "\nsecond.png:\n"].map(|name| text.find(name));
    assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{text}");

    // The lines of --json are in the order of the photographs, each once.
    let lines = run("explain", "explained", &["--json"]);
    let images = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["image"].clone());
    assert_eq!(images.collect::<Vec<_>>(), ["picture.png", "other/picture.png", "second.png"]);

    // After an error nothing is written, not even for the photographs before it.
    let broken = ["explain", "picture.png", "absent.png", "--out", "broken"];
    refuse(&folder, seeded(&folder, &broken), 1, &["absent.png"]);
    let report = ["explain", "picture.png", "second.png", "--report", "a/report.html", "--out", "broken"];
    refuse(
        &folder,
        seeded(&folder, &report),
        1,
        &["--report", "2 photographs", "a file name without folders"],
    );
    assert!(!folder.path().join("broken").exists());

    // Each has its report, whose command writes to the same folder.
    let text = run("explain", "reports", &["--report", "report.html"]);
    for name in names("reports") {
        let page = fs::read_to_string(folder.path().join("reports").join(&name).join("report.html")).unwrap();
        assert!(page.contains(&format!("--out reports/{name} --report reports/{name}/report.html</code>")));
        assert!(text.contains(&format!("wrote reports/{name}/report.html\n")), "{text}");
    }
    assert!(!folder.path().join("report.html").exists());
}
