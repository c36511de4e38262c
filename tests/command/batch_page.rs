//! Tests of the page that `occlude batch --report` writes, from the reader's side: in a real browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::batch::{occlude, refuse, run, succeed, write_picture};
use crate::browser::{Browser, FITS};
use crate::common::command::stderr;

/// An expression that is true when the script has finished.
const READY: &str =
    "document.readyState === 'complete' && document.getElementById('status')?.textContent !== ''";

/// A number of a row of the summary.
type Number = fn(&Value) -> f64;

fn photos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in [("a b", 1), ("d", 90), ("é&<i>", 200)] {
        write_picture(&folder.path().join(format!("photos/{name}.png")), seed);
    }
    let chelsea = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chelsea.png");
    fs::copy(chelsea, folder.path().join("photos/chelsea.png")).unwrap();
    folder
}

fn batch(folder: &TempDir, out: &str, more: &[&str]) -> Command {
    let page = format!("{out}/index.html");
    let arguments = ["batch", "photos", "--out", out, "--stride", "112", "--report", &page];
    let mut command = occlude(folder.path(), &[&arguments[..], more].concat());
    command.env("OCCLUDE_WEIGHTS", "builtin");
    command
}

/// Chooses an option of a select, as a reader does, and returns the paths on the cards that are shown.
fn choose(browser: &mut Browser, select: &str, value: &str) -> Vec<String> {
    browser.evaluate(&format!(
        "{{ const select = document.getElementById('{select}'); select.value = '{value}'; \
         select.dispatchEvent(new Event('change')); }}"
    ));
    shown(browser)
}

fn shown(browser: &mut Browser) -> Vec<String> {
    let names =
        "[...document.querySelectorAll('#cards > li:not([hidden]) .name')].map((name) => name.textContent)";
    serde_json::from_value(browser.evaluate(names)).unwrap()
}

fn text(browser: &mut Browser, expression: &str) -> String {
    browser.evaluate(expression).as_str().unwrap().to_string()
}

/// The page with its cards and rows repeated, `count` of them.
fn repeated(page: &str, count: usize) -> String {
    let (head, rest) = page.split_once("<ol id=\"cards\" class=\"cards\">\n").unwrap();
    let (cards, rest) = rest.split_once("</ol>").unwrap();
    let (middle, rest) = rest.split_once("\"rows\":[").unwrap();
    let (rows, rest) = rest.split_once("]}</script>").unwrap();
    let cards: Vec<&str> = cards.split_inclusive("</li>\n").collect();
    let rows: Vec<Value> = serde_json::from_str(&format!("[{rows}]")).unwrap();
    assert_eq!(cards.len(), rows.len());
    let (mut all_cards, mut all_rows) = (String::new(), Vec::new());
    for i in 0..count {
        all_cards += cards[i % cards.len()];
        let mut row = rows[i % rows.len()].clone();
        row["values"][0] = ((i * 7919 % count) as f64).into();
        all_rows.push(row.to_string());
    }
    format!(
        "{head}<ol id=\"cards\" class=\"cards\">\n{all_cards}</ol>{middle}\"rows\":[{}]}}</script>{rest}",
        all_rows.join(",")
    )
}

#[test]
fn photographs_are_sorted_and_filtered_and_open_their_reports() {
    let folder = photos();
    fs::write(folder.path().join("photos/bad.png"), "no picture").unwrap();
    let lists = "path,class\nphotos/a b.png,cup\nphotos/d.png,cup\nphotos/é&<i>.png,cup\nphotos/chelsea.png,cat\nbad.png,cup\n";
    fs::write(folder.path().join("classes.csv"), lists).unwrap();
    let output = run(batch(&folder, "out", &["--classes-from", "classes.csv"]));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        printed.ends_with("wrote out/summary.csv\nwrote out/summary.json\nwrote out/index.html\n"),
        "{printed}"
    );
    let summary: Value =
        serde_json::from_slice(&fs::read(folder.path().join("out/summary.json")).unwrap()).unwrap();
    let rows: Vec<&Value> =
        summary["pictures"].as_array().unwrap().iter().filter(|row| row["status"] == "done").collect();
    let page = folder.path().join("out/index.html");
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page, READY);

    // The order of the paths at first, then that of the numbers, in both directions.
    let path = |row: &&Value| row["path"].as_str().unwrap().to_string();
    let paths: Vec<String> = rows.iter().map(path).collect();
    assert_eq!(paths, ["photos/a b.png", "photos/chelsea.png", "photos/d.png", "photos/é&<i>.png"]);
    assert_eq!(shown(&mut browser), paths);
    let keys: [(&str, Number); 3] = [
        ("0", |row| row["classes"][0]["max"].as_f64().unwrap()),
        ("1", |row| row["top"][0]["probability"].as_f64().unwrap()),
        ("2", |row| row["changed_share"].as_f64().unwrap()),
    ];
    for (key, value) in keys {
        let mut order = rows.clone();
        order.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let expected: Vec<String> = order.iter().map(path).collect();
        assert_eq!(choose(&mut browser, "sort", key), expected, "{key}");
    }
    assert_eq!(text(&mut browser, "document.getElementById('direction').textContent"), "largest first");
    browser.evaluate("document.getElementById('direction').click()");
    let mut order = rows.clone();
    order.sort_by(|a, b| keys[2].1(a).total_cmp(&keys[2].1(b)));
    assert_eq!(shown(&mut browser), order.iter().map(path).collect::<Vec<_>>());

    // A class, the wrong answers, and the failures.
    choose(&mut browser, "sort", "");
    let label = |row: &Value| row["top"][0]["label"].as_str().unwrap().to_string();
    let of_class: Vec<String> = rows.iter().filter(|row| label(row) == label(rows[1])).map(path).collect();
    assert_eq!(choose(&mut browser, "filter", &format!("={}", label(rows[1]))), of_class);
    let is_wrong = |row: &&&Value| row["classes"][0]["index"] != row["top"][0]["index"];
    let wrong: Vec<String> = rows.iter().filter(is_wrong).map(path).collect();
    assert!(!wrong.is_empty());
    assert_eq!(choose(&mut browser, "filter", "wrong"), wrong);
    let status = text(&mut browser, "document.getElementById('status').textContent");
    assert_eq!(status, format!("{} of 4 photographs", wrong.len()));
    let marked = "document.querySelectorAll('#cards > li:not([hidden]) .answer.wrong').length";
    assert_eq!(browser.evaluate(marked), wrong.len());
    choose(&mut browser, "filter", "");
    let failed = text(&mut browser, "document.querySelector('main > section:last-child').textContent");
    assert!(failed.contains("photos/bad.png: "), "{failed}");

    // The keyboard reaches the order, the choice, and the first photograph. Each picture is one scale's.
    let mut reached = Vec::new();
    for _ in 0..3 {
        browser.key("Tab");
        reached.push(text(&mut browser, "document.activeElement.id || document.activeElement.tagName"));
    }
    assert_eq!(reached, ["sort", "filter", "A"]);
    let sizes = "[...document.querySelectorAll('#cards img')].every((picture) => picture.complete && \
        picture.naturalWidth === Number(picture.getAttribute('width')) && \
        Math.max(picture.naturalWidth, picture.naturalHeight) <= 168)";
    browser.wait_for(sizes);
    let paper = "getComputedStyle(document.documentElement).backgroundColor";
    let light = text(&mut browser, paper);
    browser.media("prefers-color-scheme", "dark");
    assert_ne!(text(&mut browser, paper), light);
    for width in [320, 1280] {
        browser.resize(width, 900, 1.0);
        browser.wait_for(FITS);
    }
    assert_eq!(browser.complaints(&page), Vec::<Value>::new());

    // A click opens the photograph's own report.
    browser.evaluate("document.querySelectorAll('#cards a')[3].click()");
    browser.wait_for(
        "location.pathname.endsWith('/report.html') && document.getElementById('row')?.textContent === '–'",
    );
    assert!(text(&mut browser, "document.querySelector('.file').textContent").starts_with("é&<i>.png: "));
}

#[test]
fn a_thousand_photographs_are_sorted_at_once() {
    let folder = photos();
    succeed(batch(&folder, "out", &[]));
    let page = folder.path().join("out/index.html");
    let many = repeated(&fs::read_to_string(&page).unwrap(), 1000);
    // Noise, which no picture compresses worse, is among the photographs.
    assert!(many.len() < 10_000_000, "{} bytes", many.len());
    let large: PathBuf = folder.path().join("out/many.html");
    fs::write(&large, many).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&large, READY);
    let milliseconds = browser.evaluate(
        "(() => { const select = document.getElementById('sort'); select.value = '0'; const start = performance.now(); \
         select.dispatchEvent(new Event('change')); document.body.offsetHeight; return performance.now() - start; })()",
    );
    assert!(milliseconds.as_f64().unwrap() < 500.0, "{milliseconds}");
    assert_eq!(
        text(&mut browser, "document.getElementById('status').textContent"),
        "1000 of 1000 photographs"
    );
    assert_eq!(browser.complaints(&large), Vec::<Value>::new());
}

#[test]
fn shards_leave_the_page_to_a_run_without_shards() {
    let folder = photos();
    succeed(batch(&folder, "out", &[]));
    let files = |out: &str| {
        let page = fs::read(folder.path().join(out).join("index.html")).unwrap();
        (page, fs::read(folder.path().join(out).join("d/report.html")).unwrap())
    };
    let before = files("out");
    for shard in ["0/2", "1/2"] {
        let output = run(batch(&folder, "shards", &["--shard", shard]));
        assert!(
            output.status.success() && stderr(&output).contains("the page is not written yet"),
            "{}",
            stderr(&output)
        );
    }
    assert!(
        !folder.path().join("shards/index.html").exists()
            && !folder.path().join("shards/d/report.html").exists()
    );
    let printed = succeed(batch(&folder, "shards", &[]));
    assert_eq!(printed.matches("already complete").count(), 4, "{printed}");
    assert!(files("shards").0 == before.0, "the pages differ");
    // Nothing changes in another run, and nothing is swept for the page of an earlier batch.
    let printed = succeed(batch(&folder, "out", &[]));
    assert_eq!(printed.matches("already complete").count(), 4, "{printed}");
    assert!(files("out") == before);
    // On a shared scale, all reports have it.
    succeed(batch(&folder, "out", &["--scale", "shared"]));
    assert!(files("out").1 != before.1);

    let photograph = ["batch", "photos", "--out", "out", "--report", "photos/d.png"];
    refuse(folder.path(), occlude(folder.path(), &photograph), 1, &["--report photos/d.png is not possible"]);
    let missing = ["batch", "photos", "--out", "out", "--report", "photos"];
    refuse(folder.path(), occlude(folder.path(), &missing), 1, &["photos"]);
}
