//! Tests of the report for masks that do not slide or show the picture instead of covering it, and of its
//! sections about pairs of places and other masks.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::codecs::png::PngEncoder;
use image::{GrayImage, Luma};
use occlude::Photograph;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::report::{
    PIXELS, assert_no_complaints, canvas_size, decode_base64, drawn, explain, jet, pixel, report, text,
    window,
};
use crate::browser::{Browser, FITS};
use crate::common::command::{floats, folder, read_picture, seeded, succeed};

/// An expression that is true when the script has finished, for a report of parts.
const READY: &str =
    "document.readyState === 'complete' && document.getElementById('part')?.textContent === '–'";
/// The same for a report of a grid.
const READY_GRID: &str =
    "document.readyState === 'complete' && document.getElementById('row')?.textContent === '–'";

/// The colour of masks in these tests.
const FILL: [i64; 3] = [200, 30, 100];

/// The number of a pixel's part in `parts.png`: a corner in the form of an L around a square, a column of two
/// pieces with the same number, and the rest.
fn number(y: usize, x: usize) -> usize {
    match (y, x) {
        (20..60, 20..60) => 9,
        (0..100, 0..100) => 5,
        (10..50, 200..210) | (120..180, 200..210) => 200,
        _ => 77,
    }
}

fn write_parts(folder: &TempDir) {
    let parts = GrayImage::from_fn(224, 224, |x, y| Luma([number(y as usize, x as usize) as u8]));
    let mut bytes = Vec::new();
    parts.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
    fs::write(folder.path().join("parts.png"), bytes).unwrap();
}

const PARTS: [&str; 5] = ["picture.png", "--segments", "parts.png", "--mask-value", "200,30,99.6"];

/// The object of a script element.
fn embedded(page: &Path, id: &str) -> Value {
    let page = fs::read_to_string(page).unwrap();
    let start = format!("<script type=\"application/json\" id=\"{id}\">");
    let data = page.split_once(&start).unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(data).unwrap()
}

/// The exact numbers of the `data` elements within the elements of a selector, row by row.
fn numbers(browser: &mut Browser, rows: &str) -> Vec<Vec<f64>> {
    let read = format!(
        "[...document.querySelectorAll('{rows}')].map((row) => [...row.querySelectorAll('data')].map((data) => Number(data.value)))"
    );
    serde_json::from_value(browser.evaluate(&read)).unwrap()
}

/// Asserts that numbers of 64 bits are equal apart from their last bits, which the parser of JSON does not
/// keep.
fn assert_near(found: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(is_near),
            "{found:?} {expected:?}"
        );
    }
}

/// The texts of the elements of a selector.
fn texts(browser: &mut Browser, selector: &str) -> Vec<String> {
    let read = format!("[...document.querySelectorAll('{selector}')].map((found) => found.textContent)");
    serde_json::from_value(browser.evaluate(&read)).unwrap()
}

/// The red, green, blue and opacity of all pixels of the large canvas, row by row.
fn all_pixels(browser: &mut Browser, [width, height]: [usize; 2]) -> Vec<i64> {
    let read = format!("{{ {PIXELS} [...pixels('#canvas', 0, 0, {width}, {height})] }}");
    serde_json::from_value(browser.evaluate(&read)).unwrap()
}

fn choose(browser: &mut Browser, select: &str, value: &str) {
    browser.evaluate(&format!(
        "{{ const select = document.getElementById('{select}'); select.value = '{value}'; \
         select.dispatchEvent(new Event('change')); }}"
    ));
}

fn set_opacity(browser: &mut Browser, percent: usize) {
    browser.evaluate(&format!(
        "{{ const opacity = document.getElementById('opacity'); opacity.value = {percent}; \
         opacity.dispatchEvent(new Event('input')); }}"
    ));
}

/// Moves the mouse to the middle of a pixel of the network's picture.
fn hover(browser: &mut Browser, [y, x]: [usize; 2]) {
    let [x, y] = window(browser, [y as f64 + 0.5, x as f64 + 0.5]);
    browser.hover(x, y);
}

/// The step of `jet` for a value on a symmetric scale.
fn step(value: f32, limit: f32) -> i64 {
    (((value / limit + 1.0) * 128.0).floor() as i64).clamp(0, 255)
}

#[test]
fn parts_have_their_numbers_their_place_and_their_scores() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    write_parts(&folder);
    let (page, map) = report(&folder, &[&PARTS[..], &["--classes", "top2"]].concat());
    browser.resize(1280, 900, 1.0);
    browser.open(&page, READY);
    let found = embedded(&page, "map");
    for field in ["segments", "classes", "scores", "maps", "argmax", "argmax_scores"] {
        assert_eq!(found[field], map[field], "{field}");
    }
    assert_eq!(found["attributions"], Value::Null, "the values of parts say the same");
    assert_eq!(texts(&mut browser, ".panel thead th"), ["Class", "Uncovered", "Without", "Drop"]);
    let lead = texts(&mut browser, ".lead").concat();
    assert!(lead.contains("The parts of the picture were covered one after the other"), "{lead}");
    assert!(lead.contains("the score falls without the part"), "{lead}");
    let facts = texts(&mut browser, ".facts").concat();
    assert!(facts.contains("4, by the numbers of parts.png") && !facts.contains("Stride"), "{facts}");

    let segments = map["segments"].as_array().unwrap();
    let [width, height] = canvas_size(&mut browser, "canvas");
    let uncovered = drawn(&mut browser, "#canvas");
    for (i, at) in [[30, 30], [5, 90], [150, 205], [215, 100], [20, 205]].into_iter().enumerate() {
        hover(&mut browser, at);
        let name = number(at[0], at[1]);
        let part = segments.iter().position(|segment| segment["number"] == name).unwrap();
        assert_eq!(text(&mut browser, "part"), name.to_string());
        let pixels = (0..224 * 224).filter(|i| number(i / 224, i % 224) == name).count();
        assert!(text(&mut browser, "size").starts_with(&format!("{pixels} pixels, ")), "{i}");
        let [y0, x0, y1, x1] = serde_json::from_value::<[usize; 4]>(segments[part]["box"].clone()).unwrap();
        let words = format!("{} pixels wide and {} high, from x {x0} and y {y0} on", x1 - x0, y1 - y0);
        assert_eq!(text(&mut browser, "covered"), words);
        let expected: Vec<Vec<f64>> = (0..2)
            .map(|k| {
                let numbers =
                    [&map["classes"][k]["base_score"], &map["scores"][k][0][part], &map["maps"][k][0][part]];
                numbers.map(|number| number.as_f64().unwrap()).to_vec()
            })
            .collect();
        assert_eq!(numbers(&mut browser, "#scores tr"), expected);
        assert!(text(&mut browser, "answer").starts_with("Predicted class without this part: "));
        browser
            .wait_for(&format!("document.getElementById('status').textContent.startsWith('Part {name}, ')"));

        // All pixels of the part have the colour of the mask; the pixels around it are its dark edge, and those
        // far from it are as before.
        let drawn = all_pixels(&mut browser, [width, height]);
        let at_pixel = |y: usize, x: usize| {
            let at = (y * width + x) * 4;
            [drawn[at], drawn[at + 1], drawn[at + 2]]
        };
        let inside = |y: i64, x: i64| {
            (0..height as i64).contains(&y)
                && (0..width as i64).contains(&x)
                && number(
                    (y as f64 + 0.5).mul_add(224.0 / height as f64, 0.0) as usize,
                    (x as f64 + 0.5).mul_add(224.0 / width as f64, 0.0) as usize,
                ) == name
        };
        let mut edges = 0;
        for y in 0..height as i64 {
            for x in 0..width as i64 {
                let beside = [[y - 1, x], [y + 1, x], [y, x - 1], [y, x + 1]];
                if inside(y, x) {
                    assert_eq!(at_pixel(y as usize, x as usize), FILL, "{name}: y {y}, x {x}");
                } else if beside.iter().any(|[y, x]| inside(*y, *x)) {
                    assert_eq!(at_pixel(y as usize, x as usize), [0; 3], "{name}: y {y}, x {x}");
                    edges += 1;
                }
            }
        }
        assert!(edges > 200, "{name}: only {edges} pixels of the edge");
    }
    browser.hover(2.0, 2.0);
    assert_eq!(text(&mut browser, "part"), "–");
    assert_eq!(drawn(&mut browser, "#canvas"), uncovered);

    // The keys lead through the numbers.
    browser.evaluate("document.getElementById('canvas').focus()");
    for (key, name) in
        [("Home", "5"), ("ArrowRight", "9"), ("End", "200"), ("ArrowRight", "200"), ("ArrowLeft", "77")]
    {
        browser.key(key);
        assert_eq!(text(&mut browser, "part"), name, "{key}");
    }
    browser.key("Escape");
    assert_eq!(text(&mut browser, "part"), "–");

    // Each part is filled with the colour of its value, and the list has the strongest first.
    choose(&mut browser, "colours", "jet");
    set_opacity(&mut browser, 100);
    for k in 0..2 {
        choose(&mut browser, "view", &k.to_string());
        let drops = floats(&map["maps"][k]);
        let limit = drops.iter().fold(0.0f32, |limit, drop| limit.max(drop.abs()));
        for [y, x] in [[30, 30], [5, 90], [150, 205], [215, 100]] {
            let part = segments.iter().position(|segment| segment["number"] == number(y, x)).unwrap();
            let at = [x * width / 224 + 1, y * height / 224 + 1];
            let [found, expected] =
                [pixel(&mut browser, "canvas", at[0], at[1]), jet(step(drops[part], limit))];
            assert_eq!(found, expected, "class {k}, y {y}, x {x}");
        }
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by(|&a, &b| drops[b].abs().total_cmp(&drops[a].abs()));
        let names: Vec<String> = order.iter().map(|&part| segments[part]["number"].to_string()).collect();
        assert_eq!(texts(&mut browser, "#strongest button"), names);
        let row = |&part: &usize| -> Vec<f64> {
            let values = [&segments[part]["pixels"], &map["scores"][k][0][part], &map["maps"][k][0][part]];
            values.map(|value| value.as_f64().unwrap()).to_vec()
        };
        assert_eq!(numbers(&mut browser, "#strongest tr"), order.iter().map(row).collect::<Vec<_>>());
        browser.evaluate("document.querySelectorAll('#strongest button')[2].click()");
        assert_eq!(text(&mut browser, "part"), names[2]);
        browser.evaluate("document.getElementById('canvas').focus()");
        browser.key("Escape");
    }
    choose(&mut browser, "view", "classes");
    let legend = text(&mut browser, "legend");
    assert!(legend.contains(" of 4 parts"), "{legend}");
    assert_eq!(text(&mut browser, "upsampling-note"), "Each part has one value.");
    assert_no_complaints(&mut browser, &page);
}

/// The report says that the score is that of the window alone, and its numbers are those of `map.json`.
#[test]
fn a_window_alone_is_shown_as_such() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let grid = ["picture.png", "--stride", "75", "--mask-size", "60", "--mask-value", "200,30,99.6"];
    let (page, map) = report(&folder, &[&grid[..], &["--inverse", "--classes", "top2"]].concat());
    browser.open(&page, READY_GRID);
    assert_eq!(texts(&mut browser, ".panel thead th"), ["Class", "Nothing shown", "Window shown", "Gain"]);
    let lead = texts(&mut browser, ".lead").concat();
    assert!(lead.contains("A high value is what the window alone gives"), "{lead}");
    assert!(
        lead.contains("Red: the window alone raises the score above that of a wholly covered picture"),
        "{lead}"
    );
    assert!(!lead.contains("under the mask"), "{lead}");
    assert!(texts(&mut browser, ".ends").concat().contains("gain in probability"));
    assert!(texts(&mut browser, ".facts").concat().contains("everything except the mask"));

    set_opacity(&mut browser, 0);
    let before = drawn(&mut browser, "#canvas");
    let [width, height] = canvas_size(&mut browser, "canvas");
    let plain = all_pixels(&mut browser, [width, height]);
    hover(&mut browser, [75, 150]);
    assert_eq!(text(&mut browser, "row"), "2 of 3");
    assert_eq!(text(&mut browser, "covered"), "60 pixels wide and 60 high, from x 120 and y 45 on");
    let expected: Vec<Vec<f64>> = (0..2)
        .map(|k| {
            let numbers = [&map["covered_scores"][k], &map["scores"][k][1][2], &map["maps"][k][1][2]];
            numbers.map(|number| number.as_f64().unwrap()).to_vec()
        })
        .collect();
    assert!((expected[0][1] - expected[0][0] - expected[0][2]).abs() < 1e-7);
    assert_eq!(numbers(&mut browser, "#scores tr"), expected);
    assert!(text(&mut browser, "answer").starts_with("Predicted class with only this window shown: "));
    browser.wait_for("document.getElementById('status').textContent.includes('nothing shown')");
    // The window is as without a mask; the rest, except the edge, is half covered.
    let shown = all_pixels(&mut browser, [width, height]);
    let place = |edge: usize, length: usize| (edge as f64 * length as f64 / 224.0).round() as usize;
    let ([x0, x1], [y0, y1]) =
        ([120, 180].map(|edge| place(edge, width)), [45, 105].map(|edge| place(edge, height)));
    for y in 0..height {
        for x in 0..width {
            let at = (y * width + x) * 4;
            let far = x + 8 < x0 || x >= x1 + 8 || y + 8 < y0 || y >= y1 + 8;
            let level = |c: usize| (plain[at + c] + FILL[c]) / 2;
            if (x0..x1).contains(&x) && (y0..y1).contains(&y) {
                assert_eq!(shown[at..at + 3], plain[at..at + 3], "y {y}, x {x}");
            } else if far {
                assert!((0..3).all(|c| (shown[at + c] - level(c)).abs() <= 1), "y {y}, x {x}");
            }
        }
    }
    browser.hover(2.0, 2.0);
    assert_eq!(drawn(&mut browser, "#canvas"), before);
    assert_no_complaints(&mut browser, &page);

    write_parts(&folder);
    let (page, map) = report(&folder, &[&PARTS[..], &["--inverse"]].concat());
    browser.open(&page, READY);
    assert_eq!(texts(&mut browser, ".panel thead th"), ["Class", "Nothing shown", "Part shown", "Gain"]);
    hover(&mut browser, [30, 30]);
    let numbers = numbers(&mut browser, "#scores tr");
    let part = map["segments"].as_array().unwrap().iter().position(|part| part["number"] == 9).unwrap();
    let expected = [&map["covered_scores"][0], &map["scores"][0][0][part], &map["maps"][0][0][part]];
    assert_eq!(numbers, [expected.map(|number| number.as_f64().unwrap()).to_vec()]);
    assert!(text(&mut browser, "answer").starts_with("Predicted class with only this part shown: "));
    assert_no_complaints(&mut browser, &page);
}

/// Masks that are no rectangles are drawn as the pixels that they cover by half or more, also at the border,
/// which cuts them. The formulas are those of the options' help, not the program's own function.
#[test]
fn masks_of_other_forms_are_drawn_in_their_form() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (height, width) = (100, 61);
    // The middle of a side of the ellipse is half a pixel before the central pixel if the side is even.
    let ellipse = |[y, x]: [f64; 2]| {
        let share = |at: f64, side: usize| (at + 0.5 - side as f64 / 2.0) / (side as f64 / 2.0);
        share(y, height).powi(2) + share(x, width).powi(2) <= 1.0
    };
    let gaussian = |[y, x]: [f64; 2]| {
        let share = |at: f64, side: usize| (at - (side / 2) as f64) / (side as f64 / 4.0);
        let of = |y: f64, x: f64| (-0.5 * (share(y, height).powi(2) + share(x, width).powi(2))).exp();
        (of(y, x) - of(0.0, 0.0)) / (1.0 - of(0.0, 0.0)) >= 0.5
    };
    for (shape, is_covered) in [("ellipse", &ellipse as &dyn Fn([f64; 2]) -> bool), ("gaussian", &gaussian)] {
        let options =
            ["picture.png", "--mask-size", "100x61", "--stride", "112", "--mask-value", "200,30,100"];
        let (page, map) =
            report(&folder, &[&options[..], &["--mask-shape", shape, "--mask-clipping", "on"]].concat());
        assert_eq!(map["mask_shape"], shape);
        browser.open(&page, READY_GRID);
        set_opacity(&mut browser, 0);
        let [canvas_width, canvas_height] = canvas_size(&mut browser, "canvas");
        for [row, column] in [[0, 0], [1, 1], [1, 0]] {
            let centre = [row * 112, column * 112];
            hover(&mut browser, centre);
            assert_eq!(text(&mut browser, "row"), format!("{} of 2", row + 1));
            let place = text(&mut browser, "covered");
            assert!(place.starts_with("in a box "), "{place}");
            assert_eq!(place.ends_with("covered by half or more"), shape == "gaussian", "{place}");
            let drawn = all_pixels(&mut browser, [canvas_width, canvas_height]);
            let mut covered = 0;
            for [y, x] in (0..224).step_by(5).flat_map(|y| (0..224).step_by(5).map(move |x| [y, x])) {
                // The pixel of the canvas in the middle of that of the network's picture.
                let on = |at: usize, side: usize| (2 * at + 1) * side / 448;
                let at = (on(y, canvas_height) * canvas_width + on(x, canvas_width)) * 4;
                let offset =
                    |at: usize, centre: usize, side: usize| at as f64 - centre as f64 + (side / 2) as f64;
                let place = [offset(y, centre[0], height), offset(x, centre[1], width)];
                let is_within =
                    (0.0..height as f64).contains(&place[0]) && (0.0..width as f64).contains(&place[1]);
                let covers = is_within && is_covered(place);
                covered += usize::from(covers);
                assert_eq!(drawn[at..at + 3] == FILL, covers, "{shape} at {centre:?}: y {y}, x {x}");
            }
            assert!(covered > 10, "{covered} are covered");
        }
        assert_no_complaints(&mut browser, &page);
    }
}

/// The command on the page, run in a shell, gives the same numbers.
#[test]
fn the_command_of_parts_and_windows_reproduces_them() {
    let folder = folder();
    write_parts(&folder);
    let parts = [&PARTS[..], &["--mask-channel", "red"]].concat();
    let superpixels = ["picture.png", "--segments", "slic:6", "--inverse"];
    let window = ["picture.png", "--inverse", "--stride", "112", "--mask-shape", "ellipse"];
    for (options, words) in [
        (&parts[..], " --segments parts.png "),
        (&superpixels, " --segments slic:6 "),
        (&window, " --mask-shape ellipse "),
    ] {
        let (page, map) = report(&folder, options);
        let source = fs::read_to_string(page).unwrap();
        let command = source.split_once("<pre><code>").unwrap().1.split_once("</code>").unwrap().0;
        assert!(command.contains(words), "{command}");
        let program = Path::new(env!("CARGO_BIN_EXE_occlude")).parent().unwrap();
        let mut shell = Command::new("sh");
        shell.current_dir(folder.path()).args(["-c", command]).env_remove("OCCLUDE_WEIGHTS");
        shell.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
        fs::remove_dir_all(folder.path().join("out")).unwrap();
        succeed(shell);
        let again: Value =
            serde_json::from_slice(&fs::read(folder.path().join("out/map.json")).unwrap()).unwrap();
        for field in ["segments", "inverse", "mask_channel", "mask_shape", "scores", "maps", "argmax"] {
            assert_eq!(again[field], map[field], "{field}");
        }
    }
}

#[test]
fn pairs_have_the_numbers_of_map_json_and_the_links_of_the_figure() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let options = ["picture.png", "--classes", "3,7", "--stride", "56", "--pairs", "3", "--score", "logit"];
    let (page, map) = report(&folder, &options);
    browser.open(&page, READY_GRID);
    let found = map["pairs"].as_array().unwrap();
    let (mut places, mut pairs, mut centres) = (Vec::new(), Vec::new(), Vec::new());
    for found in found {
        let scores = floats(&found["scores"]);
        let drop = |coalition: usize| f64::from(scores[0]) - f64::from(scores[coalition]);
        for (i, place) in found["places"].as_array().unwrap().iter().enumerate() {
            centres.push(format!("x {}, y {}", place["x"], place["y"]));
            places.push(vec![drop(1 << i)]);
        }
        for pair in found["pairs"].as_array().unwrap() {
            let [i, j] = [0, 1].map(|end| pair["places"][end].as_u64().unwrap());
            let [missed, index] = ["missed", "index"].map(|name| pair[name].as_f64().unwrap());
            pairs.push(vec![drop(1 << i | 1 << j), missed, index]);
        }
    }
    assert!(places.len() >= 4, "{found:?}");
    assert_near(&numbers(&mut browser, ".places tbody tr"), &places);
    assert_eq!(texts(&mut browser, ".places tbody td:nth-child(2)"), centres);
    assert_near(&numbers(&mut browser, ".pairs tbody tr"), &pairs);
    let shown = texts(&mut browser, ".pairs tbody tr:first-child data");
    assert_eq!(shown.len(), 6);
    for (text, value) in shown.iter().zip(pairs[0].iter()) {
        assert!(
            (text.replace('−', "-").parse::<f64>().unwrap() - value).abs() <= 0.5001e-4,
            "{text} {value}"
        );
    }
    let section = texts(&mut browser, "section[aria-labelledby=pairs-title]").concat();
    assert!(section.contains("Red: more is lost together than alone"), "{section}");
    assert!(section.contains("The single drops add up to "), "{section}");

    // The photograph with its links is that of the figure, which has it below its title.
    let sources = "[...document.querySelectorAll('.linked img')].map((picture) => picture.src)";
    let sources: Vec<String> = serde_json::from_value(browser.evaluate(sources)).unwrap();
    let figures: Vec<_> =
        fs::read_dir(folder.path().join("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut figures: Vec<_> =
        figures.into_iter().filter(|path| path.to_string_lossy().ends_with("-pairs.png")).collect();
    figures.sort();
    assert_eq!((sources.len(), figures.len()), (2, 2));
    let figures: Vec<_> = figures.iter().map(|figure| read_picture(figure)).collect();
    let mut nearest = Vec::new();
    for source in &sources {
        let bytes = decode_base64(source.strip_prefix("data:image/jpeg;base64,").unwrap());
        let picture = Photograph::from_bytes("links", &bytes).unwrap();
        assert_eq!([picture.height(), picture.width()], [448, 672]);
        let distance = |figure: &image::RgbImage, top: usize| -> f64 {
            let rows = (0..448).step_by(5).flat_map(|y| (0..672).map(move |x| (y, x)));
            let sum: i64 = rows
                .map(|(y, x)| {
                    let pixel = figure.get_pixel(24 + x as u32, (top + y) as u32).0;
                    (0..3)
                        .map(|c| {
                            (i64::from(pixel[c]) - i64::from(picture.rgb()[(y * 672 + x) * 3 + c])).abs()
                        })
                        .sum::<i64>()
                })
                .sum();
            sum as f64 / (90.0 * 672.0 * 3.0)
        };
        let best = |figure: &image::RgbImage| {
            (60..160).map(|top| distance(figure, top)).fold(f64::INFINITY, f64::min)
        };
        nearest.push(figures.iter().map(best).collect::<Vec<f64>>());
    }
    // The picture of a class is like its figure, and unlike that of the other one.
    let is_near = |class: usize| nearest[class].iter().any(|distance| *distance < 2.0);
    assert!(is_near(0) && is_near(1), "{nearest:?}");
    assert!(nearest[0][0] != nearest[1][0], "{nearest:?}");
    for width in [390, 1280] {
        browser.resize(width, 844, 1.0);
        browser.wait_for(FITS);
    }
    assert_no_complaints(&mut browser, &page);
    // A class without a pair says so.
    let (page, _) =
        report(&folder, &["picture.png", "--stride", "112", "--mask-size", "224", "--pairs", "2"]);
    let source = fs::read_to_string(page).unwrap();
    assert!(source.contains("No pairs: ") && !source.contains("class=\"linked\""), "{source}");
}

#[test]
fn other_masks_have_their_mean_its_hatching_and_their_list() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let masks =
        ["--robust-size", "30", "--robust-size", "45", "--robust-fill", "auto", "--robust-fill", "noise:5"];
    let options = ["picture.png", "--classes", "3,7", "--stride", "56", "--robust", "--colours", "jet"];
    let (page, map) = report(&folder, &[&options[..], &masks].concat());
    let summary = succeed(explain(&folder, &[&options[..], &masks].concat()));
    browser.open(&page, READY_GRID);
    set_opacity(&mut browser, 100);
    browser.evaluate("document.querySelector('[value=tiles]').click()");
    for k in [1, 0] {
        choose(&mut browser, "view", &k.to_string());
        let found = &map["robust"][k];
        let maps = found["maps"].as_array().unwrap();
        let rows = numbers(&mut browser, "#robust-maps figcaption");
        let expected: Vec<Vec<f64>> = maps
            .iter()
            .map(|map| ["largest", "correlation"].map(|name| map[name].as_f64().unwrap()).to_vec())
            .collect();
        assert_eq!(rows, expected);
        let captions = texts(&mut browser, "#robust-maps figcaption");
        assert!(
            captions[0].starts_with("30×30, colour ") && captions[3].starts_with("45×45, noise:5; "),
            "{captions:?}"
        );
        // The sentence of the summary, in which it has three lines.
        let said = text(&mut browser, "survivors").replace('−', "-");
        let lines: Vec<&str> = said.split("; ").collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(lines.iter().all(|line| summary.contains(&line[1..])), "{said} {summary}");

        // A cell has lines of the hatching exactly if too few maps have the sign of the mean.
        let (mean, agreeing) = (floats(&found["mean"]), floats(&found["agreeing"]));
        let limit = mean.iter().fold(0.0f32, |limit, value| limit.max(value.abs()));
        let [width, height] = canvas_size(&mut browser, "robust-mean");
        let mut cells = [0, 0];
        for (i, mean) in mean.iter().enumerate() {
            let [row, column] = [i / 4, i % 4];
            // Within the cell, and within the outermost centres, beyond which the map is paler.
            let at =
                |index: usize, length: usize| (if index == 3 { 152 } else { index * 56 + 4 }) * length / 224;
            let [x, y] = [at(column, width), at(row, height)];
            let read = format!("{{ {PIXELS} [...pixels('#robust-mean', {x}, {y}, 20, 20)] }}");
            let colours: Vec<i64> = serde_json::from_value(browser.evaluate(&read)).unwrap();
            let plain = jet(step(*mean, limit));
            let same =
                colours.chunks(4).filter(|colour| (0..3).all(|c| (colour[c] - plain[c]).abs() <= 4)).count();
            let needed = found["needed"].as_f64().unwrap() as f32;
            if agreeing[i] < needed {
                // Two of fourteen diagonals.
                assert!((300..380).contains(&same), "class {k}, cell {i}: {same} of 400 pixels");
            } else {
                assert_eq!(same, 400, "class {k}, cell {i}");
            }
            cells[usize::from(agreeing[i] < needed)] += 1;
        }
        assert!(cells[0] > 0 && cells[1] > 0, "both cases must occur: {cells:?}");
    }
    let note = texts(&mut browser, "#robust-section .pair figcaption").concat();
    assert!(note.contains("hatched: less than 4 of 4 maps have the sign of the mean"), "{note}");
    for width in [390, 1280] {
        browser.resize(width, 844, 1.0);
        browser.wait_for(FITS);
    }
    assert_no_complaints(&mut browser, &page);
}

/// The reports of a batch are made from stored results: their numbers are those of `map.json`, also the most
/// probable classes, and the page names what was covered.
#[test]
fn a_batch_has_reports_of_parts_and_windows() {
    let folder = folder();
    write_parts(&folder);
    for (options, change, share) in [
        (&["--stride", "75", "--mask-size", "120"][..], "drop ", " of the masks change"),
        (&["--segments", "parts.png"], "drop ", " of the parts change"),
        (&["--inverse", "--stride", "112"], "gain ", " of the masks change"),
        (&["--segments", "slic:4", "--inverse"], "gain ", " of the parts change"),
    ] {
        let arguments = ["batch", "picture.png", "--out", "maps", "--report", "maps/index.html"];
        succeed(seeded(&folder, &[&arguments[..], options].concat()));
        let page = fs::read_to_string(folder.path().join("maps/index.html")).unwrap();
        assert!(
            page.contains(&format!("<span class=\"value\">{change}")) && page.contains(share),
            "{options:?}"
        );
        let link = page.split_once("<li><a href=\"").unwrap().1.split_once('"').unwrap().0;
        let place = folder.path().join("maps").join(link);
        let found = embedded(&place, "map");
        let map: Value =
            serde_json::from_slice(&fs::read(place.with_file_name("map.json")).unwrap()).unwrap();
        for field in ["segments", "inverse", "covered_scores", "scores", "maps", "argmax", "argmax_scores"] {
            assert_eq!(found[field], map[field], "{options:?}: {field}");
        }
        let more = embedded(&place, "more");
        assert_eq!(more["words"]["change"], json!(change.trim()));
        fs::remove_dir_all(folder.path().join("maps")).unwrap();
    }
}
