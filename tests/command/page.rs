//! Tests of the page in `web/` from its user's side, in a real browser. `$OCCLUDE_PAGE` is the file that
//! `cargo run --release --manifest-path web/Cargo.toml` has written. Without it the tests are skipped,
//! unless `OCCLUDE_REQUIRE_PAGE=1` is set.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::browser::{Browser, FITS};
use crate::common::command::{folder, occlude, succeed};
use serde_json::{Value, json};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");

/// The page, and a browser in which it has answered.
fn page() -> Option<(PathBuf, Browser)> {
    let page = file()?;
    let mut browser = Browser::start()?;
    browser.open(&page, &complete(121));
    Some((page, browser))
}

/// The file of the page.
fn file() -> Option<PathBuf> {
    let Some(page) = env::var_os("OCCLUDE_PAGE") else {
        let required = env::var("OCCLUDE_REQUIRE_PAGE").is_ok_and(|value| value == "1");
        assert!(!required, "the page is required here: set $OCCLUDE_PAGE");
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: this test needs the page of web/; set $OCCLUDE_PAGE to its file"
        );
        return None;
    };
    Some(PathBuf::from(page))
}

/// True when a sweep over so many positions is complete and painted.
pub fn complete(positions: usize) -> String {
    format!("document.documentElement?.dataset.complete === '{positions}'")
}

/// The numbers that the page saves.
pub fn numbers(browser: &mut Browser) -> Value {
    browser.evaluate("numbersOf(state.maps)")
}

/// The command's map.json for the sample and five classes.
pub fn command(arguments: &[&str]) -> Value {
    let folder = folder();
    let explain = ["explain", SAMPLE, "--weights", "builtin", "--classes", "top5", "--out", "out"];
    succeed(occlude(&folder, &[&explain, arguments].concat()));
    serde_json::from_str(&fs::read_to_string(folder.path().join("out/map.json")).unwrap()).unwrap()
}

/// True if the browser's machine has fused multiply-adds, or the command computes.
fn is_exact(browser: &mut Browser) -> bool {
    numbers(browser)["isa"] != "wasm-unfused"
}

/// Asserts that two values have the same numbers: to the bit, or with differences of less than 1e-5.
fn assert_same(page: &Value, command: &Value, exact: bool) {
    match (page, command) {
        (Value::Array(page), Value::Array(command)) => {
            assert_eq!(page.len(), command.len());
            page.iter().zip(command).for_each(|(page, command)| assert_same(page, command, exact));
        }
        _ => {
            let [page, command] = [page, command].map(|value| value.as_f64().unwrap() as f32);
            let same =
                if exact { page.to_bits() == command.to_bits() } else { (page - command).abs() < 1e-5 };
            assert!(same, "{page} is not {command}");
        }
    }
}

pub fn assert_same_map(browser: &mut Browser, command: &Value, exact: bool) {
    let page = numbers(browser);
    for name in ["grid", "mask_size", "stride"] {
        assert_eq!(page[name], command[name], "{name}");
    }
    for name in ["maps", "scores", "argmax", "argmax_scores"] {
        assert_same(&page[name], &command[name], exact);
    }
    let classes = |map: &Value, name: &str| -> Value {
        map["classes"].as_array().unwrap().iter().map(|class| class[name].clone()).collect()
    };
    for name in ["index", "label"] {
        assert_eq!(classes(&page, name), classes(command, name));
    }
    assert_same(&classes(&page, "base_score"), &classes(command, "base_score"), exact);
}

fn assert_no_complaints(browser: &mut Browser, page: &Path) {
    let is_blob = |event: &Value| {
        event["params"]["request"]["url"].as_str().is_some_and(|url| url.starts_with("blob:"))
    };
    let complaints: Vec<Value> =
        browser.complaints(page).into_iter().filter(|event| !is_blob(event)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(browser.evaluate("document.getElementById('problem').textContent"), "");
    assert!(browser.has_asked_for(page));
}

/// Sets the value of a control, as its user does.
pub fn set(browser: &mut Browser, id: &str, value: &str) {
    browser.evaluate(&format!(
        "(() => {{ const control = document.getElementById('{id}'); control.value = '{value}'; \
         for (const name of ['input', 'change']) control.dispatchEvent(new Event(name)); }})()"
    ));
}

/// Gives a file to a file input.
pub fn choose(browser: &mut Browser, id: &str, file: &Path) {
    let document = browser.call("DOM.getDocument", json!({}));
    let query = json!({"nodeId": document["root"]["nodeId"], "selector": format!("#{id}")});
    let node = browser.call("DOM.querySelector", query);
    browser.call("DOM.setFileInputFiles", json!({"nodeId": node["nodeId"], "files": [file]}));
}

#[test]
fn the_page_has_the_numbers_of_the_command() {
    let Some((page, mut browser)) = page() else { return };
    let exact = is_exact(&mut browser);
    let map = command(&[]);
    assert_same_map(&mut browser, &map, exact);
    let page_numbers = numbers(&mut browser);
    for name in ["image_sha256", "weights_sha256"] {
        assert_eq!(page_numbers[name], map[name], "{name}");
    }
    // Other settings, one after the other.
    set(&mut browser, "mask-size", "60");
    set(&mut browser, "stride", "56");
    set(&mut browser, "score", "1");
    browser.wait_for(&complete(16));
    assert_same_map(
        &mut browser,
        &command(&["--mask-size", "60", "--stride", "56", "--score", "logit"]),
        exact,
    );
    for (fill, value) in [("1,0", "mean"), ("2,12", "blur:12"), ("3,1", "noise:1")] {
        set(&mut browser, "fill", fill);
        browser.wait_for(&format!("state.maps?.complete && state.maps.options.kind === {}", &fill[..1]));
        let same = ["--mask-size", "60", "--stride", "56", "--score", "logit", "--mask-value", value];
        assert_same_map(&mut browser, &command(&same), exact);
    }
    for (resize, value) in [("1", "center-crop"), ("2", "pad")] {
        set(&mut browser, "resize", resize);
        browser.wait_for(&format!("state.maps?.complete && state.maps.options.resize === {resize}"));
        let same = ["--mask-size", "60", "--stride", "56", "--score", "logit", "--mask-value", "noise:1"];
        assert_same_map(&mut browser, &command(&[&same[..], &["--resize", value]].concat()), exact);
    }
    assert_no_complaints(&mut browser, &page);
}

/// Drags the mask over the photograph, to about two fifths from the top and three fifths from the left.
pub fn drag_the_mask(browser: &mut Browser) {
    let canvas = "(() => { const box = document.getElementById('canvas').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()";
    let [left, top, width, height]: [f64; 4] = serde_json::from_value(browser.evaluate(canvas)).unwrap();
    browser.drag([left + 0.2 * width, top + 0.3 * height], [left + 0.6 * width, top + 0.4 * height]);
}

/// Asserts that the scores with the mask at its place are the command's, and returns y and x.
pub fn covers_as_the_command(browser: &mut Browser) -> [u64; 2] {
    browser.wait_for("!moving && state.covered !== null");
    let covered = browser.evaluate("state.covered");
    let [y, x] = [0, 1].map(|axis| covered["centre"][axis].as_u64().unwrap());
    let region = format!("{y},{x},{},{}", y + 1, x + 1);
    let map = command(&["--stride", "1", "--region", &region]);
    let exact = is_exact(browser);
    for (k, score) in covered["scores"].as_array().unwrap().iter().enumerate() {
        assert_eq!(score[0], map["classes"][k]["index"]);
        assert_same(&score[1], &map["scores"][k][0][0], exact);
    }
    assert_eq!(covered["argmax"], map["argmax"][0][0]);
    [y, x]
}

#[test]
fn a_mask_is_dragged_and_its_scores_are_the_command_s() {
    let Some((page, mut browser)) = page() else { return };
    drag_the_mask(&mut browser);
    let [y, x] = covers_as_the_command(&mut browser);
    assert!(y.abs_diff(89) <= 2 && x.abs_diff(134) <= 2, "{y} {x}");
    // The keys move it from there.
    browser.evaluate("document.getElementById('canvas').focus()");
    browser.key("ArrowDown");
    browser.wait_for(&format!("state.covered.centre[0] === {}", y + 8));
    assert_eq!(covers_as_the_command(&mut browser), [y + 8, x]);
    browser.key("Home");
    browser.wait_for("state.covered.centre[1] === 0");
    covers_as_the_command(&mut browser);
    browser.key("Escape");
    assert_eq!(browser.evaluate("state.mask"), Value::Null);
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn a_browser_without_relaxed_simd_says_what_its_numbers_are() {
    let Some(page) = file() else { return };
    // Such a browser finds the first engine invalid and takes the second.
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once("id=\"engine-relaxed\">").unwrap();
    let (_, after) = rest.split_once('<').unwrap();
    let folder = folder();
    let page = folder.path().join("page.html");
    // Eight bytes that are no WebAssembly, compressed.
    let invalid = "H4sIAAAAAAACAzM0MjYxNTO3AACv2uCaCAAAAA==";
    fs::write(&page, format!("{before}id=\"engine-relaxed\">{invalid}<{after}")).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page, &complete(121));
    let isa = |browser: &mut Browser| {
        (numbers(browser)["isa"].clone(), browser.evaluate("element('isa').textContent"))
    };
    let (name, words) = isa(&mut browser);
    assert_eq!(name, "wasm-unfused");
    assert!(words.as_str().unwrap().contains("differ from the command's by less than 0.00001"), "{words}");
    let map = command(&["--mask-size", "90", "--stride", "112"]);
    set(&mut browser, "mask-size", "90");
    set(&mut browser, "stride", "112");
    browser.wait_for(&complete(4));
    assert_same_map(&mut browser, &map, false);
    assert_ne!(numbers(&mut browser)["scores"], map["scores"]);
    // With emulated multiply-adds, if asked for.
    browser.evaluate("document.querySelector('#isa button').click()");
    browser.wait_for("state.isa === 'wasm' && state.maps?.complete === true");
    assert_same_map(&mut browser, &map, true);
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn photographs_are_opened_and_what_is_none_is_refused() {
    let Some((page, mut browser)) = page() else { return };
    let folder = folder();
    let [wide, none] = ["wide.png", "none.png"].map(|name| folder.path().join(name));
    let pixels: Vec<u8> = (0..90 * 300 * 3).map(|i| (i * 7 % 251) as u8).collect();
    image::save_buffer(&wide, &pixels, 300, 90, image::ColorType::Rgb8).unwrap();
    fs::write(&none, "no picture").unwrap();
    choose(&mut browser, "file", &wide);
    browser.wait_for("state.photograph?.name === 'wide.png' && state.maps?.complete === true");
    assert_eq!(browser.evaluate("[canvas.width, canvas.height]"), json!([672, 202]));
    assert_no_complaints(&mut browser, &page);
    choose(&mut browser, "file", &none);
    browser.wait_for("!document.getElementById('problem').hidden");
    let problem = browser.evaluate("document.getElementById('problem').textContent");
    assert!(problem.as_str().unwrap().starts_with("none.png: "), "{problem}");
    // What was there stays.
    assert_eq!(browser.evaluate("[state.photograph.name, state.maps.complete]"), json!(["wide.png", true]));
    // A file that is no network leaves the one that was there.
    choose(&mut browser, "weights", &none);
    browser.wait_for("document.getElementById('problem').textContent.includes('safetensors')");
    assert_eq!(browser.evaluate("element('network-name').textContent"), "built-in network of 28 classes");
    browser.evaluate("document.getElementById('sample').click()");
    browser.wait_for("state.photograph?.name === 'chelsea.png' && state.maps?.complete === true");
    let exact = is_exact(&mut browser);
    assert_same_map(&mut browser, &command(&[]), exact);
}

#[test]
fn what_happens_at_the_same_time_happens_one_after_the_other() {
    let Some((page, mut browser)) = page() else { return };
    let exact = is_exact(&mut browser);
    let folder = folder();
    let [camera, none] = ["camera.png", "none.png"].map(|name| folder.path().join(name));
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/camera.png"), &camera).unwrap();
    fs::write(&none, "neither a picture nor a network").unwrap();
    // A photograph and what is none: the page, its engine and its map have the photograph.
    choose(&mut browser, "file", &camera);
    choose(&mut browser, "file", &none);
    browser.wait_for("!document.getElementById('problem').hidden && state.maps?.complete === true");
    assert_eq!(browser.evaluate("state.photograph.name"), "camera.png");
    // Another network, while a mask moves: the mask goes on with the network that stays.
    choose(&mut browser, "weights", &none);
    browser.evaluate("canvas.focus()");
    browser.key("ArrowDown");
    browser.wait_for(
        "element('problem').textContent.startsWith('none.png') && state.covered !== null && !moving",
    );
    // The same network in new engines, while a map is computed and another photograph comes.
    set(&mut browser, "stride", "12");
    browser.evaluate("queued(restart)");
    browser.key("ArrowUp");
    set(&mut browser, "colours", "1");
    browser.evaluate("element('sample').click()");
    set(&mut browser, "stride", "22");
    browser.wait_for(
        "state.photograph?.name === 'chelsea.png' && state.maps?.complete === true && state.maps.rows === 11",
    );
    assert_same_map(&mut browser, &command(&[]), exact);
    browser.key("ArrowUp");
    browser.wait_for("state.covered !== null && !moving");
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn nothing_is_wider_than_the_window() {
    let Some((page, mut browser)) = page() else { return };
    for (width, height) in [(320, 640), (390, 844), (768, 1024), (980, 700), (1000, 700), (1280, 800)] {
        browser.resize(width, height, 1.0);
        browser.wait_for(FITS);
    }
    assert_no_complaints(&mut browser, &page);
}
