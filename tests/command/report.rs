//! Tests of the page that `explain --report` writes, from the reader's side: in a real browser,
//! with mouse, touch and keyboard.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::Browser;
use crate::common::command::{floats, folder, refuse, seeded, succeed, write_png};
use crate::common::seeded_weights;
use occlude::image::lattice::{Lattice, middles};
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{GoogLeNet, Photograph, Resize, Upsampling, Weights};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An expression that is true when the script has finished.
const READY: &str =
    "document.readyState === 'complete' && document.getElementById('row')?.textContent === '–'";

/// `occlude explain` with the seeded weights.
pub fn explain(folder: &TempDir, arguments: &[&str]) -> Command {
    seeded(folder, &[&["explain"], arguments].concat())
}

/// Writes a report, and returns it and the map.json of the same run.
pub fn report(folder: &TempDir, arguments: &[&str]) -> (PathBuf, Value) {
    succeed(explain(folder, &[arguments, &["--report", "report.html"]].concat()));
    written(folder)
}

/// The report and the map.json that exist in the folder.
pub fn written(folder: &TempDir) -> (PathBuf, Value) {
    let json = fs::read_to_string(folder.path().join("out/map.json")).unwrap();
    (folder.path().join("report.html"), serde_json::from_str(&json).unwrap())
}

/// The text of an element.
pub fn text(browser: &mut Browser, id: &str) -> String {
    browser.evaluate(&format!("document.getElementById('{id}').textContent")).as_str().unwrap().to_string()
}

/// The point in the window of a place on the network's picture, row and column, for a photograph
/// that was stretched.
pub fn window(browser: &mut Browser, [y, x]: [f64; 2]) -> [f64; 2] {
    let box_of = "(() => { const canvas = document.getElementById('canvas'); canvas.scrollIntoView({block: 'center'}); \
                  const box = canvas.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()";
    let numbers: Vec<f64> = serde_json::from_value(browser.evaluate(box_of)).unwrap();
    // Not on the edge of the canvas, where the browser may see another element.
    let share = |at: f64| at.clamp(1.0, 223.0) / INPUT_SIDE as f64;
    [numbers[0] + share(x) * numbers[2], numbers[1] + share(y) * numbers[3]]
}

/// The centre of a mask: row and column. This is the definition in README and `--help`, not the
/// program's own function.
fn centre(map: &Value, at: [usize; 2]) -> [usize; 2] {
    let size = |name: &str, axis: usize| map[name][axis].as_u64().unwrap() as usize;
    let inside = |axis| if map["mask_clipping"] == true { 0 } else { size("mask_size", axis) / 2 };
    std::array::from_fn(|axis| at[axis] * size("stride", axis) + inside(axis))
}

/// The centre of a mask in the window, for a map of the whole picture.
fn middle(browser: &mut Browser, map: &Value, at: [usize; 2]) -> [f64; 2] {
    window(browser, centre(map, at).map(|pixel| pixel as f64 + 0.5))
}

/// Width and height of a canvas.
pub fn canvas_size(browser: &mut Browser, id: &str) -> [usize; 2] {
    let size = format!("(({{width, height}}) => [width, height])(document.getElementById('{id}'))");
    serde_json::from_value(browser.evaluate(&size)).unwrap()
}

/// Defines `pixels(selector, x, y, width, height)`, which returns red, green, blue and alpha of a
/// part of a canvas. It reads from a copy that is made for reading, because the browser prints
/// warnings about reading other canvases.
pub const PIXELS: &str = "const pixels = (selector, ...part) => {
    const canvas = document.querySelector(selector);
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(...part).data;
};";

/// The red, green and blue values of a pixel of a canvas.
pub fn pixel(browser: &mut Browser, id: &str, x: usize, y: usize) -> [i64; 3] {
    let read = format!("{{ {PIXELS} [...pixels('#{id}', {x}, {y}, 1, 1)].slice(0, 3) }}");
    serde_json::from_value(browser.evaluate(&read)).unwrap()
}

/// A value that differs for different contents of a canvas.
pub fn drawn(browser: &mut Browser, selector: &str) -> String {
    let read = format!("document.querySelector('{selector}').toDataURL()");
    browser.evaluate(&read).as_str().unwrap().to_string()
}

/// Moves the focus with the Tab key until an element has it.
fn tab_to(browser: &mut Browser, selector: &str) {
    for _ in 0..30 {
        browser.key("Tab");
        if browser.evaluate(&format!("document.activeElement.matches('{selector}')")) == true {
            return;
        }
    }
    panic!("Tab does not lead to {selector}");
}

/// Asserts that the page shows the same facts about a position as map.json, to the last digit, and
/// that the page covers the pixels of the mask.
fn assert_position(browser: &mut Browser, map: &Value, [row, column]: [usize; 2]) {
    let size = |name: &str, axis: usize| map[name][axis].as_u64().unwrap() as usize;
    let centre = centre(map, [row, column]);
    let covered: [[usize; 2]; 2] = std::array::from_fn(|axis| {
        let first = centre[axis] as i64 - size("mask_size", axis) as i64 / 2;
        [first.max(0) as usize, (first as usize).wrapping_add(size("mask_size", axis)).min(INPUT_SIDE)]
    });
    let [[y0, y1], [x0, x1]] = covered;
    let context = format!("row {row}, column {column}");
    assert_eq!(text(browser, "row"), format!("{} of {}", row + 1, size("grid", 0)), "{context}");
    assert_eq!(text(browser, "column"), format!("{} of {}", column + 1, size("grid", 1)), "{context}");
    assert_eq!(text(browser, "centre"), format!("x {}, y {}", centre[1], centre[0]), "{context}");
    let pixels = format!("{} pixels wide and {} high, from x {x0} and y {y0} on", x1 - x0, y1 - y0);
    assert_eq!(text(browser, "covered"), pixels, "{context}");

    let values = "[...document.querySelectorAll('#scores tr')].map((row) => [...row.querySelectorAll('data')]\
                  .map((data) => [Number(data.value), Number(data.textContent.replaceAll('−', '-'))]))";
    let expected: Vec<Value> = (0..map["classes"].as_array().unwrap().len())
        .map(|k| {
            let both = |value: &Value| json!([value, value]);
            json!([
                both(&map["classes"][k]["base_score"]),
                both(&map["scores"][k][row][column]),
                both(&map["maps"][k][row][column])
            ])
        })
        .collect();
    let numbers = |value: Value| -> Vec<Vec<[f64; 2]>> { serde_json::from_value(value).unwrap() };
    assert_eq!(numbers(browser.evaluate(values)), numbers(json!(expected)), "{context}");

    let index = map["argmax"][row][column].as_u64().unwrap() as usize;
    let is_builtin = map["network"].as_str().unwrap().starts_with("built-in");
    let labels =
        if is_builtin { occlude::Weights::builtin().labels() } else { occlude::Labels::imagenet().clone() };
    let label = labels.get(index).unwrap();
    let answer = text(browser, "answer");
    assert!(answer.contains(&label.words), "{context}: {answer}");
    // The announcement follows when the pointer rests.
    let start = format!("Row {} of {}, column {} of", row + 1, size("grid", 0), column + 1);
    browser.wait_for(&format!("document.getElementById('status').textContent.startsWith('{start}')"));
    assert!(text(browser, "status").contains(label.short()), "{context}");

    let Ok(fill) = serde_json::from_value::<[f64; 3]>(map["mask_value"].clone()) else { return };
    let fill = fill.map(|level| level.round() as i64);
    let [width, height] = canvas_size(browser, "canvas");
    let on_page =
        |edge: usize, length: usize| (edge as f64 * length as f64 / INPUT_SIDE as f64).round() as usize;
    let ([left, right], [top, bottom]) =
        ([x0, x1].map(|edge| on_page(edge, width)), [y0, y1].map(|edge| on_page(edge, height)));
    let same = format!(
        "{{ {PIXELS} const fill = {fill:?}; \
         pixels('#canvas', {left}, {top}, {}, {}).every((level, i) => i % 4 === 3 || level === fill[i % 4]) }}",
        right - left,
        bottom - top
    );
    assert_eq!(browser.evaluate(&same), true, "{context}: some covered pixels do not have the mask's colour");
    let (middle_x, middle_y) = ((left + right) / 2, (top + bottom) / 2);
    for (inside, x, y) in [
        (x0 > 0, left.wrapping_sub(1), middle_y),
        (x1 < INPUT_SIDE, right, middle_y),
        (y0 > 0, middle_x, top.wrapping_sub(1)),
        (y1 < INPUT_SIDE, middle_x, bottom),
    ] {
        if inside {
            assert_eq!(
                pixel(browser, "canvas", x, y),
                [0; 3],
                "{context}: the outline must lie around the mask"
            );
        }
    }
}

pub fn assert_no_complaints(browser: &mut Browser, page: &Path) {
    let complaints = browser.complaints(page);
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(browser.has_asked_for(page), "the browser does not report requests");
}

#[test]
fn mouse_touch_and_keys_show_what_map_json_says() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let options =
        ["picture.png", "--classes", "top3,285", "--mask-size", "61x40", "--mask-value", "200,30,99.6"];
    for more in
        [["--stride", "50x45", "--mask-clipping", "on"], ["--stride", "60x70", "--mask-clipping", "off"]]
    {
        let (page, map) = report(&folder, &[&options[..], &more].concat());
        let grid: [usize; 2] = serde_json::from_value(map["grid"].clone()).unwrap();
        let [rows, columns] = grid;
        browser.resize(1280, 900, 1.0);
        browser.open(&page, READY);
        let uncovered = drawn(&mut browser, "#canvas");

        for at in [[0, 0], [1, 2], [rows - 1, columns - 1], [2, 0]] {
            let [x, y] = middle(&mut browser, &map, at);
            browser.hover(x, y);
            assert_position(&mut browser, &map, at);
        }
        // The position disappears with the mouse, unless the user clicked it.
        browser.hover(2.0, 2.0);
        assert_eq!(text(&mut browser, "row"), "–");
        assert_eq!(drawn(&mut browser, "#canvas"), uncovered);
        let [x, y] = middle(&mut browser, &map, [1, 1]);
        browser.click(x, y);
        browser.hover(2.0, 2.0);
        assert_position(&mut browser, &map, [1, 1]);

        for (key, at) in [
            ("ArrowRight", [1, 2]),
            ("ArrowUp", [0, 2]),
            ("ArrowUp", [0, 2]),
            ("ArrowLeft", [0, 1]),
            ("PageDown", [rows - 1, 1]),
            ("ArrowDown", [rows - 1, 1]),
            ("End", [rows - 1, columns - 1]),
            ("ArrowRight", [rows - 1, columns - 1]),
            ("PageUp", [0, columns - 1]),
            ("ArrowDown", [1, columns - 1]),
            ("Home", [1, 0]),
            ("ArrowLeft", [1, 0]),
        ] {
            browser.key(key);
            assert_position(&mut browser, &map, at);
        }
        browser.key("Escape");
        assert_eq!(text(&mut browser, "row"), "–");
        assert_eq!(drawn(&mut browser, "#canvas"), uncovered);

        browser.resize(390, 844, 2.0);
        let [x, y] = middle(&mut browser, &map, [2, 1]);
        browser.touch(x, y);
        assert_position(&mut browser, &map, [2, 1]);
        assert_no_complaints(&mut browser, &page);
    }
}

#[test]
fn a_changed_answer_is_marked() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, map) =
        report(&folder, &["picture.png", "--mask-size", "180", "--stride", "56", "--mask-value", "255"]);
    browser.open(&page, READY);
    let predicted = map["classes"][0]["index"].clone();
    let grid: [usize; 2] = serde_json::from_value(map["grid"].clone()).unwrap();
    let mut found = [0, 0];
    for row in 0..grid[0] {
        for column in 0..grid[1] {
            let [x, y] = middle(&mut browser, &map, [row, column]);
            browser.hover(x, y);
            let marked = browser.evaluate("document.querySelector('#answer .changed') !== null");
            let changed = map["argmax"][row][column] != predicted;
            assert_eq!(marked, changed, "row {row}, column {column}");
            found[usize::from(changed)] += 1;
        }
    }
    assert!(found[0] > 0 && found[1] > 0, "both cases must occur: {found:?}");
}

/// The colour of MATLAB's `jet(256)` at a step of 0..=255.
pub fn jet(step: i64) -> [i64; 3] {
    [96, 32, -32].map(|begin| {
        let at = step + 1 - begin;
        (at.min(192 - at).clamp(0, 64) as f64 / 64.0 * 255.0).round() as i64
    })
}

/// Asserts that an opaque map covers a canvas in jet colours, symmetric around zero, where the map is
/// interpolated.
fn assert_jet(browser: &mut Browser, id: &str, map: &[f32], lattice: Lattice, upsampling: Upsampling) {
    let [width, height] = canvas_size(browser, id);
    let limit = map.iter().fold(0.0f32, |limit, value| limit.max(value.abs()));
    assert!(limit > 0.0, "{id} is all zero");
    let places = |length: usize| -> Vec<f64> {
        middles(0, length).iter().map(|at| at * INPUT_SIDE as f64 / length as f64).collect()
    };
    let (rows, columns) = (places(height), places(width));
    let values = lattice.values(map, &rows, &columns, upsampling);
    let mut checked = 0;
    for (x, y) in (0..height).step_by(41).flat_map(|y| (0..width).step_by(67).map(move |x| (x, y))) {
        if !lattice.spans(0, rows[y]) || !lattice.spans(1, columns[x]) {
            continue;
        }
        let step = ((values[y * width + x] / limit + 1.0) * 128.0).floor().clamp(0.0, 255.0) as i64;
        let found = pixel(browser, id, x, y);
        // Accepts one step of difference: the page computes in f64, and this test in f32.
        let near = (step - 1..=step + 1).any(|step| jet(step.clamp(0, 255)) == found);
        assert!(near, "{id}, x {x}, y {y}: {found:?} is not step {step} of jet");
        checked += 1;
    }
    assert!(checked > 20, "{id}: only {checked} pixels");
}

/// The choice of upsampling: whether "smooth" is disabled and chosen, the same for "tiles", and the reason.
fn upsampling(browser: &mut Browser) -> Value {
    browser.evaluate(
        "[...['smooth', 'tiles'].map((how) => document.querySelector(`[value=${how}]`)).map(({disabled, checked}) => \
         [disabled, checked]), document.getElementById('upsampling-note').textContent]",
    )
}

/// Values that fill cells of the whole picture.
fn cells(grid: [usize; 2]) -> Lattice {
    Lattice::cells(grid, Rect::plane(INPUT_SIDE))
}

#[test]
fn the_colours_are_those_of_the_enlarged_map() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let options = ["picture.png", "--stride", "56x80", "--colours", "jet"];
    let (page, map) = report(&folder, &[&options[..], &["--placement", "stretch"]].concat());
    let values: Vec<f32> = serde_json::from_value::<Vec<Vec<f32>>>(map["maps"][0].clone()).unwrap().concat();
    let opaque = "document.getElementById('opacity').value = 100; document.getElementById('opacity').dispatchEvent(new Event('input'))";
    browser.open(&page, READY);
    browser.evaluate(opaque);
    for (how, upsampling) in [("smooth", Upsampling::Bicubic), ("tiles", Upsampling::Nearest)] {
        browser.evaluate(&format!("document.querySelector('[value={how}]').click()"));
        assert_jet(&mut browser, "canvas", &values, cells([4, 3]), upsampling);
    }
    let (page, same) = report(&folder, &options);
    assert_eq!(same["maps"], map["maps"]);
    browser.open(&page, READY);
    browser.evaluate(opaque);
    // The masks of 45 pixels are centred in the middle of their central pixels.
    let centres = Lattice::points([4, 3], [0.5; 2], [56, 80], Rect::plane(INPUT_SIDE));
    for (how, upsampling) in [("tiles", Upsampling::Nearest), ("smooth", Upsampling::Bicubic)] {
        browser.evaluate(&format!("document.querySelector('[value={how}]').click()"));
        assert_jet(&mut browser, "canvas", &values, centres, upsampling);
    }
    let picture = Photograph::open(folder.path().join("picture.png")).unwrap().picture(Resize::Stretch);
    let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
    let class = map["classes"][0]["index"].as_u64().unwrap() as usize;
    let cam = net.grad_cam(&net.forward(&picture.input()), &[class]).unwrap();
    assert_eq!(canvas_size(&mut browser, "pair-gradcam"), [448, 299]);
    assert_jet(&mut browser, "pair-gradcam", cam.map(0).values(), cells([7, 7]), Upsampling::Bicubic);
    assert_jet(&mut browser, "pair-occlusion", &values, centres, Upsampling::Bicubic);
    // The middle of the symmetric colour scales is zero. Viridis ranges from the smallest value to
    // the largest.
    for (name, ends, middle) in [
        ("jet", [[0, 0, 131], [128, 0, 0]], Some([130, 255, 126])),
        ("diverging", [[5, 48, 97], [103, 0, 31]], Some([247, 247, 247])),
        ("viridis", [[68, 1, 84], [253, 231, 37]], None),
    ] {
        browser.evaluate(&format!("document.getElementById('colours').value = '{name}'; document.getElementById('colours').dispatchEvent(new Event('change'))"));
        let bar = format!(
            "{{ {PIXELS} [0, 128, 255].map((i) => [...pixels('#bar canvas', i, 0, 1, 1)].slice(0, 3)) }}"
        );
        let bar: Vec<Vec<i64>> = serde_json::from_value(browser.evaluate(&bar)).unwrap();
        assert_eq!([&bar[0][..], &bar[2][..]], [&ends[0][..], &ends[1][..]], "{name}");
        if let Some(middle) = middle {
            assert!(bar[1].iter().zip(middle).all(|(a, b)| (a - b).abs() <= 4), "{name}: {bar:?}");
        }
        let zero = browser.evaluate("[...document.querySelectorAll('#bar span')].find((mark) => mark.textContent === '0')?.style.left");
        if name != "viridis" {
            assert_eq!(zero, "50%", "{name}");
        }
    }
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn every_control_is_reached_and_works_by_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, map) = report(&folder, &["picture.png", "--classes", "top3", "--stride", "75"]);
    browser.resize(1280, 900, 1.0);
    browser.open(&page, READY);

    let mut order = Vec::new();
    loop {
        browser.key("Tab");
        let name = browser.evaluate(
            "document.activeElement.id || document.activeElement.value || document.activeElement.textContent",
        );
        let name = name.as_str().unwrap().to_string();
        if browser.evaluate("document.activeElement === document.body") == true || order.contains(&name) {
            break;
        }
        order.push(name);
    }
    let label = |k: usize| map["classes"][k]["label"].as_str().unwrap();
    assert_eq!(order[..5], ["view", "canvas", "colours", "opacity", "smooth"]);
    assert_eq!(order.len(), 8, "{order:?}");
    for k in 0..3 {
        assert!(order[5 + k].starts_with(label(k)), "{order:?}");
    }

    browser.open(&page, READY);
    let mut seen = vec![drawn(&mut browser, "#canvas")];
    let mut changes = |browser: &mut Browser, what: &str| {
        let now = drawn(browser, "#canvas");
        assert!(!seen.contains(&now), "{what} changes nothing");
        seen.push(now);
    };
    let shown = "['scale', 'legend'].map((id) => document.getElementById(id).checkVisibility())";
    assert_eq!(browser.evaluate(shown), json!([true, false]));
    tab_to(&mut browser, "#view");
    browser.key("ArrowDown");
    changes(&mut browser, "the second class");
    browser.key("End");
    assert_eq!(browser.evaluate("document.getElementById('view').value"), "classes");
    changes(&mut browser, "the classes' view");
    assert_eq!(upsampling(&mut browser), json!([[true, false], [true, true], "Each position is a tile."]));
    assert_eq!(browser.evaluate(shown), json!([false, true]));
    let legend = text(&mut browser, "legend");
    let counted = map["argmax"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let same = counted.filter(|&index| *index == map["argmax"][0][0]).count();
    assert!(legend.contains(&format!("{same} of 9 positions")), "{legend}");
    browser.key("ArrowUp");
    changes(&mut browser, "the third class");
    assert_eq!(upsampling(&mut browser), json!([[false, true], [false, false], ""]));
    tab_to(&mut browser, "#colours");
    browser.key("ArrowDown");
    changes(&mut browser, "viridis");
    browser.key("ArrowDown");
    changes(&mut browser, "jet");
    tab_to(&mut browser, "#opacity");
    browser.key("ArrowRight");
    assert_eq!(text(&mut browser, "opacity-value"), "55 %");
    changes(&mut browser, "opacity");
    browser.key("Home");
    changes(&mut browser, "no opacity");
    browser.key("End");
    changes(&mut browser, "full opacity");
    tab_to(&mut browser, "[value=smooth]");
    browser.key("ArrowRight");
    assert_eq!(browser.evaluate("document.querySelector('[value=tiles]').checked"), true);
    changes(&mut browser, "tiles");

    // The small maps share one scale, and they select the large map.
    let small: Vec<String> =
        (1..=3).map(|k| drawn(&mut browser, &format!("#multiples button:nth-child({k}) canvas"))).collect();
    assert!(small[0] != small[1] && small[1] != small[2] && small[0] != small[2]);
    let third = browser.evaluate("document.getElementById('view').value");
    browser.evaluate("document.querySelector('#multiples button').click()");
    assert_eq!((third, browser.evaluate("document.getElementById('view').value")), (json!("2"), json!("0")));
    assert_eq!(
        browser.evaluate("document.querySelector('#multiples button').getAttribute('aria-pressed')"),
        "true"
    );
    changes(&mut browser, "the first class again, in these colours");
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn every_control_has_a_name() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, _) = report(&folder, &["picture.png", "--classes", "top2", "--stride", "112"]);
    browser.open(&page, READY);
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let mut roles = Vec::new();
    for node in tree["nodes"].as_array().unwrap() {
        let (role, name) = (&node["role"]["value"], &node["name"]["value"]);
        let focusable = node["properties"].as_array().is_some_and(|properties| {
            properties.iter().any(|p| p["name"] == "focusable" && p["value"]["value"] == true)
        });
        if (focusable && role != "RootWebArea") || role == "image" || role == "img" {
            assert!(name.as_str().is_some_and(|name| !name.is_empty()), "{node}");
            roles.push(role.as_str().unwrap().to_string());
        }
    }
    for role in ["application", "combobox", "slider", "radio", "button"] {
        assert!(roles.contains(&role.to_string()), "{roles:?}");
    }
    let live = browser.evaluate("document.querySelector('[role=status]').getAttribute('aria-live')");
    assert_eq!(live, "polite");
}

#[test]
fn it_is_legible_light_and_dark_wide_and_narrow() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, _) = report(&folder, &["picture.png", "--classes", "top4", "--stride", "56"]);
    // The contrast of each text with the nearest background behind it, by the definition of WCAG 2.
    // The result is the lowest contrast and its text.
    let contrast = "(() => {
        const parse = (text) => text.match(/[\\d.]+/g).map(Number);
        const luminance = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, c) => {
            const share = rgb[c] / 255;
            return sum + weight * (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
        }, 0);
        const behind = (element) => {
            for (; element; element = element.parentElement) {
                const found = parse(getComputedStyle(element).backgroundColor);
                if (found[3] !== 0) return found;
            }
        };
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        let worst = [Infinity, ''];
        let count = 0;
        while (texts.nextNode()) {
            const element = texts.currentNode.parentElement;
            if (!texts.currentNode.textContent.trim() || !element.checkVisibility()) continue;
            const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            count++;
            if (ratio < worst[0]) worst = [ratio, texts.currentNode.textContent];
        }
        return [...worst, count, getComputedStyle(document.documentElement).backgroundColor];
    })()";
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.media("prefers-color-scheme", scheme);
        for width in [320, 390, 768, 1280] {
            browser.resize(width, 844, 1.0);
            browser.open(&page, READY);
            browser.evaluate("document.getElementById('canvas').focus()");
            let context = format!("{scheme}, {width} pixels wide");
            let wide = browser.evaluate("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{context}: the page is {wide} pixels wide");
            // No element extends beyond the page, not even a part that would be clipped.
            let outside = browser.evaluate(
                "[...document.querySelectorAll('body *:not(.hidden, script, option)')].filter((element) => {
                    const box = element.getBoundingClientRect();
                    return box.width > 0 && (box.left < -0.5 || box.right > innerWidth + 0.5);
                }).map((element) => element.outerHTML.slice(0, 80))",
            );
            assert_eq!(outside, json!([]), "{context}");
            let found = browser.evaluate(contrast);
            assert!(found[0].as_f64().unwrap() >= 4.5, "{context}: {found}");
            assert!(found[2].as_u64().unwrap() > 60, "{context}: {found}");
            backgrounds.push(found[3].clone());
            let small = browser.evaluate(
                "Math.min(...[...document.querySelectorAll('select, input, button, fieldset label')]\
                 .map((element) => element.closest('label')?.offsetHeight ?? Math.max(element.offsetHeight, 16)))",
            );
            assert!(small.as_f64().unwrap() >= 16.0, "{context}: a control is only {small} pixels high");
        }
    }
    assert_ne!(backgrounds[0], backgrounds[7], "the dark background must differ from the light one");
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn without_scripts_the_photograph_and_the_numbers_of_the_whole_picture_remain() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, map) = report(&folder, &["picture.png", "--stride", "112"]);
    // Opens the page once before, because the first opened file gets a process of its own, which
    // might not have the setting yet.
    browser.open(&page, READY);
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&page, "document.readyState === 'complete'");
    let visible = |browser: &mut Browser, selector: &str| {
        let root = browser.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let node = browser.call("DOM.querySelector", json!({"nodeId": root, "selector": selector}));
        browser.try_call("DOM.getBoxModel", json!({"nodeId": node["nodeId"]}))["error"].is_null()
    };
    for selector in ["#photograph", "noscript p", ".top table", ".facts"] {
        assert!(visible(&mut browser, selector), "{selector}");
    }
    for selector in ["#canvas", "#view", "#opacity", "#row"] {
        assert!(!visible(&mut browser, selector), "{selector}");
    }
    let source = fs::read_to_string(&page).unwrap();
    assert!(source.contains(&format!("<dd>{}</dd>", map["image_sha256"].as_str().unwrap())));
    assert!(source.contains(&format!("<dd>{}</dd>", map["weights_sha256"].as_str().unwrap())));
}

/// A path that would end the script, the attribute and the placeholder that contain it.
#[test]
fn a_file_name_stays_a_file_name() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (odd, name) = ("it's a \"<", "script><img src=x onerror=alert(1)>&amp; {{more}} $(touch made) `.png");
    fs::create_dir(folder.path().join(odd)).unwrap();
    let image = format!("{odd}/{name}");
    fs::rename(folder.path().join("picture.png"), folder.path().join(&image)).unwrap();
    let options = [&image, "--stride", "112", "--mask-value", "9,8,7", "--out", "results/a b"];
    succeed(explain(&folder, &[&options[..], &["--report", "report.html"]].concat()));
    let read = || fs::read_to_string(folder.path().join("results/a b/map.json")).unwrap();
    let (page, json) = (folder.path().join("report.html"), read());
    let map: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(map["image"], image);
    browser.open(&page, READY);
    let same = format!(
        "JSON.stringify(JSON.parse(document.getElementById('map').textContent)) === JSON.stringify({json})"
    );
    assert_eq!(browser.evaluate(&same), true, "the page must contain the object of map.json itself");
    assert!(browser.evaluate("document.title").as_str().unwrap().contains(name));
    assert_eq!(browser.evaluate("document.querySelector('.facts dd').textContent"), image.as_str());
    assert_eq!(browser.evaluate("document.images.length"), 1);
    assert_no_complaints(&mut browser, &page);

    // The command on the page, run in a shell, gives the same numbers.
    let command = browser.evaluate("document.querySelector('pre code').textContent");
    let program = Path::new(env!("CARGO_BIN_EXE_occlude")).parent().unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", command.as_str().unwrap()]);
    // It names the network.
    shell.env_remove("OCCLUDE_WEIGHTS");
    shell.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
    // It names no folder of this machine, and writes to the same folder.
    assert!(!command.as_str().unwrap().contains(folder.path().to_str().unwrap()), "{command}");
    fs::remove_dir_all(folder.path().join("results")).unwrap();
    succeed(shell);
    let again: Value = serde_json::from_str(&read()).unwrap();
    for field in ["image_sha256", "mask_value", "stride", "classes", "scores", "argmax"] {
        assert_eq!(again[field], map[field], "{field}");
    }
    assert!(!folder.path().join("made").exists());

    // If somebody injected a script, it would not run and would load nothing.
    let injected = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'})), \
                    typeof window.ran";
    assert_eq!(browser.evaluate(injected), "undefined");
    fs::copy(folder.path().join(&image), folder.path().join("beside.png")).unwrap();
    let loaded = "new Promise((done) => { const image = new Image(); image.onload = () => done('loaded'); \
                  image.onerror = () => done('refused'); image.src = 'beside.png'; })";
    assert_eq!(browser.evaluate(loaded), "refused");
}

/// The ends of the colour bar say what they are, and which of them values lie beyond.
#[test]
fn the_ends_of_the_colour_bar_have_their_meaning() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    browser.resize(390, 844, 1.0);
    let ends = |browser: &mut Browser, options: &[&str]| {
        let (page, map) = report(&folder, &[&["picture.png", "--stride", "75"], options].concat());
        browser.open(&page, READY);
        let words = ["low-end", "high-end"].map(|id| text(browser, id));
        let marks =
            browser.evaluate("[...document.querySelectorAll('#bar span')].map((mark) => mark.textContent)");
        let marks: Vec<String> = serde_json::from_value(marks).unwrap();
        let beyond: Vec<String> = marks.into_iter().filter(|mark| mark.starts_with(['≤', '≥'])).collect();
        let values: Vec<f32> =
            serde_json::from_value::<Vec<Vec<f32>>>(map["maps"][0].clone()).unwrap().concat();
        (words, beyond, values)
    };
    let (words, beyond, values) = ends(&mut browser, &["--score", "logit"]);
    assert_eq!(words, ["evidence against", "evidence for"]);
    assert!(beyond.is_empty() && values.iter().any(|value| *value != 0.0), "{beyond:?}");
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    // From the smallest to the largest value, whatever their signs are.
    let (words, beyond, _) = ends(&mut browser, &["--score", "logit", "--colour-range", "minmax"]);
    let word = |value: f32| value < 0.0;
    assert_eq!(
        words.clone().map(|end| end.contains("against")),
        [word(low), word(high)],
        "{words:?} {low} {high}"
    );
    assert!(beyond.is_empty());
    // From 0 on, there is no evidence against the class, and smaller values are cut off.
    let limit = (high / 2.0).to_string();
    let (words, beyond, _) =
        ends(&mut browser, &["--score", "logit", "--colour-range", "minmax", "--scale", &limit]);
    assert_eq!(words, ["no effect", "evidence for"]);
    let inside = browser.evaluate("document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(inside, true, "the numbers at the ends stay inside the page");
    assert_eq!(beyond.len(), 1 + usize::from(low < 0.0), "{beyond:?} {low} {high}");
    // A map of zeros has one sentence; its fixed scale has numbers with one exponent.
    let folder = tempfile::tempdir().unwrap();
    let flat = image::RgbImage::from_pixel(20, 20, image::Rgb([250, 130, 20]));
    write_png(&folder.path().join("flat.png"), &flat);
    let same = ["flat.png", "--stride", "75", "--mask-value", "250,130,20"];
    let (page, _) = report(&folder, &same);
    browser.open(&page, READY);
    assert_eq!(
        ["low-end", "high-end"].map(|id| text(&mut browser, id)),
        ["no mask changes the probability", ""]
    );
    let (page, _) = report(&folder, &[&same[..], &["--scale", "1e-7"]].concat());
    browser.open(&page, READY);
    let marks =
        browser.evaluate("[...document.querySelectorAll('#bar span')].map((mark) => mark.textContent)");
    assert_eq!(marks, json!(["−1.0e−7", "−0.5e−7", "0", "0.5e−7", "1.0e−7"]));
}

/// It has the network, although the environment names it, and the options of figures.
#[test]
fn the_command_reproduces_the_results() {
    let folder = folder();
    let options =
        ["--colours", "jet", "--scale", "0.2", "--show", "class,drop", "--arrays", "npz", "--mark", "off"];
    let (page, _) = report(&folder, &[&["picture.png", "--stride", "112"], &options[..]].concat());
    let command = |page: &Path| {
        let page = fs::read_to_string(page).unwrap();
        page.split_once("<pre><code>").unwrap().1.split_once("</code>").unwrap().0.to_string()
    };
    let found = command(&page);
    assert!(found.contains(&format!(" --weights {} ", seeded_weights().display())), "{found}");
    let words = " --show class,drop --colours jet --scale 0.2 --mark off --arrays npz ";
    assert!(found.contains(words), "{found}");
    let (page, _) = report(&folder, &["picture.png", "--stride", "112", "--weights", "builtin"]);
    assert!(command(&page).contains(" --weights builtin --resize"), "{}", command(&page));
}

#[test]
fn the_report_has_the_curves_of_faithfulness_and_cautions() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let options = ["picture.png", "--stride", "112", "--classes", "top2", "--faithfulness"];
    let (page, _) = report(&folder, &options);
    browser.open(&page, READY);
    let curves = "[...document.querySelectorAll('.curves img')].map(({alt, naturalWidth}) => [alt, naturalWidth > 300])";
    let curves: Vec<(String, bool)> = serde_json::from_value(browser.evaluate(curves)).unwrap();
    assert_eq!(curves.len(), 4);
    assert!(curves.iter().all(|(_, is_drawn)| *is_drawn), "{curves:?}");
    assert!(
        curves[0].0.starts_with("deletion curves of ") && curves[3].0.starts_with("insertion curves of ")
    );
    assert_no_complaints(&mut browser, &page);
    let (page, map) =
        report(&folder, &["picture.png", "--stride", "112", "--classes", "top20", "--weights", "builtin"]);
    browser.open(&page, READY);
    let mut cautions = 0;
    for (k, drops) in map["maps"].as_array().unwrap().iter().enumerate() {
        browser.evaluate(&format!("document.getElementById('view').value = '{k}'; document.getElementById('view').dispatchEvent(new Event('change'))"));
        let is_tiny = floats(drops).iter().all(|drop| drop.abs() < 1e-3);
        assert_eq!(text(&mut browser, "caution").contains("--score logit"), is_tiny, "{k}");
        cautions += usize::from(is_tiny);
    }
    assert!((1..20).contains(&cautions), "both cases must occur: {cautions}");
    assert_eq!(browser.evaluate("document.querySelector('.curves')"), Value::Null);
}

#[test]
fn a_mask_without_one_colour_is_hatched() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, map) = report(&folder, &["picture.png", "--stride", "112", "--mask-value", "blur:7"]);
    assert_eq!(map["mask_value"], "blur:7");
    browser.open(&page, READY);
    let [x, y] = middle(&mut browser, &map, [1, 1]);
    browser.hover(x, y);
    assert_position(&mut browser, &map, [1, 1]);
    // The mask covered 45 rows from 90 on and the same columns.
    let colours = format!(
        "{{ {PIXELS} const data = pixels('#canvas', 270, 180, 135, 90); const seen = new Set(); \
         for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join()); \
         [seen.has('0,0,0'), seen.has('255,255,255'), seen.size > 20] }}"
    );
    assert_eq!(
        browser.evaluate(&colours),
        json!([true, true, true]),
        "the pixels must be black, white, and parts of the photograph"
    );
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn a_region_lies_where_it_belongs_and_window_means_are_drawn() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let region = ["picture.png", "--mask-size", "20", "--stride", "30", "--region", "60,60,150,180"];
    let (page, map) = report(&folder, &region);
    assert_eq!(map["grid"], json!([3, 4]));
    browser.open(&page, READY);
    for at in [[0, 0], [1, 2], [2, 3]] {
        // The region begins at the third row and the third column of the whole grid.
        let [x, y] = middle(&mut browser, &map, [at[0] + 2, at[1] + 2]);
        browser.hover(x, y);
        assert_eq!(text(&mut browser, "centre"), format!("x {}, y {}", 60 + 30 * at[1], 60 + 30 * at[0]));
        assert_eq!(
            browser.evaluate("Number(document.querySelector('#scores td:last-child data').value)"),
            map["maps"][0][at[0]][at[1]]
        );
    }
    let [x, y] = middle(&mut browser, &map, [1, 2]);
    browser.hover(x, y);
    assert_eq!(text(&mut browser, "row"), "–");
    let positions = drawn(&mut browser, "#canvas");

    let (page, map) =
        report(&folder, &[&region[..], &["--aggregate", "windows", "--colours", "jet"]].concat());
    browser.open(&page, READY);
    // Each pixel has its value, so there is nothing to choose.
    assert_eq!(
        upsampling(&mut browser),
        json!([[true, true], [true, false], "Each pixel has a value of its own."])
    );
    assert_ne!(drawn(&mut browser, "#canvas"), positions);
    browser.evaluate("document.getElementById('opacity').value = 100; document.getElementById('opacity').dispatchEvent(new Event('input'))");
    let values = serde_json::from_value::<Vec<Vec<f32>>>(map["attributions"][0].clone()).unwrap().concat();
    assert_jet(&mut browser, "canvas", &values, cells([INPUT_SIDE; 2]), Upsampling::Bicubic);
    assert_no_complaints(&mut browser, &page);
}

/// The mask and the map lie on the part of the photograph that the network sees, and the page gives
/// the rest no position.
#[test]
fn a_cropped_photograph_has_its_map_on_the_crop() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let options = ["picture.png", "--resize", "center-crop", "--stride", "112", "--mask-size", "112"];
    let (page, _) = report(&folder, &[&options[..], &["--mask-value", "9,99,199"]].concat());
    browser.open(&page, READY);
    // 80 rows of 120 columns become 256 of 384, cut at row 16 and column 80, and 448 of 672 pixels on
    // the page: a pixel of the network has 1.75 of them.
    assert_eq!(canvas_size(&mut browser, "canvas"), [672, 448]);
    let point = |browser: &mut Browser, x: f64, y: f64| {
        let [left, top] = window(browser, [1e-9, 1e-9]);
        let [right, bottom] = window(browser, [224.0, 224.0]);
        let at = |start: f64, end: f64, share: f64| start + (end - start) * (share * 224.0 - 1.0) / 222.0;
        [at(left, right, x / 672.0), at(top, bottom, y / 448.0)]
    };
    // The second mask covers columns 56 to 167, and the first row of masks rows 0 to 55.
    let [x, y] = point(&mut browser, 140.0 + 1.75 * 112.0, 30.0 + 1.75 * 10.0);
    browser.hover(x, y);
    assert_eq!(text(&mut browser, "covered"), "112 pixels wide and 56 high, from x 56 and y 0 on");
    let (left, top, right, bottom) = (140 + 98, 28, 140 + 294, 28 + 98);
    for (x, y) in [(left, top), (right - 1, bottom - 1), (left, bottom - 1)] {
        assert_eq!(pixel(&mut browser, "canvas", x, y), [9, 99, 199], "x {x}, y {y}");
    }
    for (x, y) in [(left - 1, 60), (right, 60), (300, bottom), (300, top - 1)] {
        assert_eq!(pixel(&mut browser, "canvas", x, y), [0; 3], "x {x}, y {y}");
    }
    let [x, y] = point(&mut browser, 100.0, 200.0);
    browser.hover(x, y);
    assert_eq!(text(&mut browser, "row"), "–");
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn a_report_holds_twenty_classes_and_says_what_it_leaves_out() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = folder();
    let (page, map) = report(&folder, &["picture.png", "--classes", "top25", "--stride", "150"]);
    assert_eq!(map["classes"].as_array().unwrap().len(), 25);
    browser.open(&page, READY);
    assert_eq!(browser.evaluate("document.querySelectorAll('#scores tr').length"), 20);
    assert_eq!(browser.evaluate("document.querySelectorAll('#multiples canvas').length"), 20);
    let embedded = browser.evaluate("JSON.parse(document.getElementById('map').textContent)");
    for field in ["classes", "scores", "maps"] {
        assert_eq!(embedded[field].as_array().unwrap()[..], map[field].as_array().unwrap()[..20], "{field}");
    }
    assert!(
        text(&mut browser, "multiples-note")
            .contains("holds the 20 most probable of 25 classes; map.json has all.")
    );
    assert_no_complaints(&mut browser, &page);

    // Of all classes the report holds the most probable ones, not the first.
    let (page, all) = report(&folder, &["picture.png", "--classes", "all", "--stride", "150"]);
    browser.open(&page, READY);
    let held = browser.evaluate("JSON.parse(document.getElementById('map').textContent)");
    let index = |class: &Value| class["index"].as_u64().unwrap() as usize;
    let classes = held["classes"].as_array().unwrap();
    let most_probable: Vec<usize> = map["classes"].as_array().unwrap()[..20].iter().map(index).collect();
    assert_eq!(classes.iter().map(index).collect::<Vec<_>>(), most_probable);
    assert_ne!(most_probable, (0..20).collect::<Vec<_>>());
    for (k, &class) in most_probable.iter().enumerate() {
        assert_eq!(index(&all["classes"][class]), class);
        for field in ["scores", "maps"] {
            assert_eq!(held[field][k], all[field][class], "{field} of {class}");
        }
    }
    assert_eq!(text(&mut browser, "subject"), classes[0]["label"].as_str().unwrap());

    // The controls are below the map, not below the longer table, whose columns all fit.
    let [x, y] = middle(&mut browser, &all, [0, 0]);
    browser.hover(x, y);
    assert_eq!(text(&mut browser, "row"), "1 of 2");
    let edge = "(selector, edge) => document.querySelector(selector).getBoundingClientRect()[edge]";
    let gap =
        browser.evaluate(&format!("(edge => edge('.controls', 'top') - edge('.figure', 'bottom'))({edge})"));
    assert!((0.0..40.0).contains(&gap.as_f64().unwrap()), "{gap}");
    let hidden = "(table => table.scrollWidth - table.clientWidth)(document.querySelector('.panel .scroll'))";
    assert_eq!(browser.evaluate(hidden), 0);
    assert_no_complaints(&mut browser, &page);
}

#[test]
fn what_cannot_be_written_is_refused_before_the_sweep() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    for (report, message) in [
        ("directory", "cannot write to directory"),
        ("file/below.html", "cannot write to file/below.html"),
        ("picture.png", "expected a file other than the photograph"),
        ("directory/../picture.png", "expected a file other than the photograph"),
    ] {
        // The command has no weights. If it prepared the sweep first, the missing weights would be
        // the error.
        let mut command = explain(&folder, &["picture.png", "--report", report]);
        command.env("OCCLUDE_WEIGHTS", "absent");
        refuse(&folder, command, 1, &[message]);
    }
    // The command detects this at the end. Then it leaves no file in either place.
    let options = ["picture.png", "--stride", "224", "--out", "a", "--report", "a/map.json"];
    refuse(&folder, explain(&folder, &options), 1, &["a/map.json", "two output files have this name"]);
    fs::create_dir_all(folder.path().join("b/map.json")).unwrap();
    let options = ["picture.png", "--stride", "224", "--out", "b", "--report", "c/report.html"];
    refuse(&folder, explain(&folder, &options), 1, &["b/map.json"]);
    let text = succeed(explain(&folder, &["picture.png", "--stride", "224", "--report", "c/report.html"]));
    assert!(text.contains("wrote c/report.html"), "{text}");
    assert!(fs::read_to_string(folder.path().join("c/report.html")).unwrap().starts_with("<!DOCTYPE html>"));
}

#[test]
fn chelsea_is_explained_by_the_built_in_network() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chelsea.png");
    let arguments =
        [image.to_str().unwrap(), "--classes", "top3", "--stride", "32", "--report", "report.html"];
    let mut command = explain(&folder, &arguments);
    command.env("OCCLUDE_WEIGHTS", "builtin");
    succeed(command);
    let (page, map) = written(&folder);
    browser.open(&page, READY);
    let label = map["classes"][0]["label"].as_str().unwrap();
    let title = browser.evaluate("document.querySelector('h1').textContent");
    assert!(title.as_str().unwrap().contains(label), "{title}");
    assert!(browser.evaluate("document.body.textContent").as_str().unwrap().contains("built-in network"));
    for at in [[2, 3], [6, 0]] {
        let [x, y] = middle(&mut browser, &map, at);
        browser.hover(x, y);
        assert_position(&mut browser, &map, at);
    }
    // The keyboard starts at the position where the viewed class loses most.
    browser.hover(1.0, 1.0);
    browser.evaluate("document.getElementById('canvas').focus()");
    let best = serde_json::from_value::<Vec<Vec<f64>>>(map["maps"][0].clone()).unwrap().concat();
    let best = (0..49).max_by(|&a, &b| best[a].total_cmp(&best[b])).unwrap();
    assert_position(&mut browser, &map, [best / 7, best % 7]);
    assert_no_complaints(&mut browser, &page);
}

/// This is not a test of a claim but a tool for inspection: if `OCCLUDE_SCREENSHOTS` names a
/// folder, it writes there screenshots of the pages for some photographs, in phone and desktop
/// width, in light and dark colours.
#[test]
fn screenshots_for_a_person_who_asks_for_them() {
    let Some(shots) = std::env::var_os("OCCLUDE_SCREENSHOTS").map(PathBuf::from) else { return };
    let weights = crate::common::shared("weights/bvlc_googlenet.safetensors").expect("the trained weights");
    let shoot = |browser: &mut Browser, name: &str| {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let shot = browser.call("Page.captureScreenshot", whole);
        fs::write(shots.join(format!("{name}.png")), decode_base64(shot["data"].as_str().unwrap())).unwrap();
    };
    for (image, options) in [
        ("miniature_poodle.jpg", &["--classes", "top3"][..]),
        ("tibetan_terrier.jpg", &["--mask-size", "15", "--stride", "10"]),
        ("cat_dog.png", &["--classes", "top2,tench", "--mask-value", "noise", "--faithfulness"]),
        ("golden_retriever.jpg", &["--aggregate", "windows", "--scale", "0.01", "--resize", "center-crop"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let image = crate::common::shared(&format!("images/{image}")).unwrap().canonicalize().unwrap();
        let stem = image.file_stem().unwrap().to_str().unwrap();
        let page = folder.path().join("report.html");
        let arguments = [&[image.to_str().unwrap(), "--report", "report.html"], options].concat();
        let mut command = explain(&folder, &arguments);
        command.env("OCCLUDE_WEIGHTS", weights.canonicalize().unwrap());
        succeed(command);
        let mut browser = Browser::start().expect("a browser");
        for (device, width, height, scale) in [("phone", 390, 844, 2.0), ("desktop", 1280, 900, 1.0)] {
            browser.resize(width, height, scale);
            for scheme in ["light", "dark"] {
                browser.media("prefers-color-scheme", scheme);
                browser.open(&page, READY);
                let name = format!("{stem}-{device}-{scheme}");
                shoot(&mut browser, &name);
                browser.evaluate("document.getElementById('canvas').focus()");
                browser.evaluate("document.getElementById('colours').value = 'jet'; document.getElementById('colours').dispatchEvent(new Event('change'))");
                shoot(&mut browser, &format!("{name}-covered"));
                browser.evaluate("document.getElementById('view').value = 'classes'; document.getElementById('view').dispatchEvent(new Event('change'))");
                shoot(&mut browser, &format!("{name}-classes"));
            }
        }
        // The size of A4 paper.
        browser.resize(794, 1123, 1.0);
        browser.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
        browser.open(&page, READY);
        shoot(&mut browser, &format!("{stem}-print"));
    }
}

pub fn decode_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::new();
    for four in text.chunks(4) {
        let bits = four.iter().enumerate().fold(0, |bits, (i, &byte)| bits | digit(byte) << (18 - 6 * i));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

/// The heading, and Grad-CAM beside the map, belong to what is mapped, which need not be the answer.
#[test]
fn a_report_is_about_what_it_maps() {
    let folder = folder();
    for (score, subject) in [
        ("probability", "Evidence for “<span id=\"subject\">tiger shark"),
        ("margin", "Evidence for “<span id=\"subject\">tiger shark"),
        ("group:dog", "Evidence for “<span id=\"subject\">dog (118 classes)</span>”"),
        ("entropy", "Uncertainty of the whole answer"),
    ] {
        let is_of_class = ["probability", "margin"].contains(&score);
        let mut arguments = vec!["explain", "picture.png", "--stride", "112", "--score", score];
        arguments.extend(["--report", "page.html"]);
        arguments.extend(if is_of_class { &["--classes", "3"][..] } else { &[] });
        succeed(seeded(&folder, &arguments));
        let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
        assert!(
            page.contains(&format!("<h1>{subject}")),
            "{score}: {}",
            &page[page.find("<h1>").unwrap()..][..200]
        );
        assert!(page.contains("picture.png: GoogLeNet’s answer is “"), "{score}");
        assert_eq!(page.contains("Comparison with Grad-CAM"), is_of_class, "{score}");
        assert_eq!(page.contains("\"gradcam\":[]"), !is_of_class, "{score}");
        assert_eq!(page.contains("The map beside it is of another score"), score == "margin");
    }
}
