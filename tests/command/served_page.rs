//! Tests of the page of `occlude serve` in a real browser.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{Browser, FITS};
use crate::common::command::folder;
use crate::page::{
    assert_same_map, choose, command, complete, covers_as_the_command, drag_the_mask, numbers, set,
};
use crate::served::Served;

const CAMERA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/camera.png");

/// The program, and a browser that has opened its page.
fn page(arguments: &[&str]) -> Option<(Served, Browser)> {
    let mut browser = Browser::start()?;
    let served = Served::start(folder(), arguments);
    browser.open(Path::new(&served.url), &complete(121));
    Some((served, browser))
}

/// Asserts that the page has asked nobody but its own program, and that nothing has gone wrong.
fn assert_no_complaints(browser: &mut Browser, served: &Served) {
    let page = Path::new(&served.url);
    let is_own = |event: &Value| {
        let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
        url.starts_with(&served.url) || url.starts_with("blob:")
    };
    let complaints: Vec<Value> =
        browser.complaints(page).into_iter().filter(|event| !is_own(event)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(browser.evaluate("element('problem').textContent"), "");
    assert!(browser.has_asked_for(page));
    assert_eq!(served.errors(), "");
}

#[test]
fn the_served_page_has_the_numbers_of_the_command() {
    let Some((served, mut browser)) = page(&["--threads", "2"]) else { return };
    let map = command(&[]);
    assert_same_map(&mut browser, &map, true);
    let page = numbers(&mut browser);
    for name in ["network", "isa", "image_sha256", "weights_sha256", "input_size", "resize"] {
        assert_eq!(page[name], map[name], "{name}");
    }
    let words = browser.evaluate("[element('isa').textContent, element('speed').textContent]");
    let expected = format!("instruction set {}, 2 threads", map["isa"].as_str().unwrap());
    assert!(words[0].as_str().unwrap().contains(&expected), "{words}");
    assert!(words[1].as_str().unwrap().ends_with(", 2 threads"), "{words}");
    set(&mut browser, "mask-size", "60");
    set(&mut browser, "stride", "56");
    set(&mut browser, "score", "1");
    set(&mut browser, "resize", "3");
    browser.wait_for("state.maps?.complete && state.maps.rows === 4 && state.maps.options.resize === 3");
    let same = "--mask-size 60 --stride 56 --score logit --resize matlab";
    assert_same_map(&mut browser, &command(&same.split(' ').collect::<Vec<_>>()), true);
    assert_no_complaints(&mut browser, &served);
}

#[test]
fn a_mask_is_dragged_over_a_photograph_that_is_dropped() {
    let Some((served, mut browser)) = page(&["picture.png", "--resize", "pad"]) else { return };
    assert_eq!(
        browser.evaluate("[state.photograph.name, state.maps.options.resize]"),
        json!(["picture.png", 2])
    );
    set(&mut browser, "resize", "0");
    browser.evaluate("element('sample').click()");
    browser.wait_for("state.photograph?.name === 'chelsea.png' && state.maps?.complete === true");
    drag_the_mask(&mut browser);
    covers_as_the_command(&mut browser);
    // The program has forgotten the photograph meanwhile: the page opens it again.
    let camera = fs::read(CAMERA).unwrap();
    (1..=4).for_each(|id| served.open(id, &camera));
    browser.key("ArrowDown");
    browser.wait_for("state.covered.centre[0] > 90");
    covers_as_the_command(&mut browser);
    (1..=4).for_each(|id| served.open(id, &camera));
    set(&mut browser, "stride", "112");
    browser.wait_for("state.maps?.complete && state.maps.rows === 2");
    assert_same_map(&mut browser, &command(&["--stride", "112"]), true);
    choose(&mut browser, "file", Path::new(CAMERA));
    browser.wait_for("state.photograph?.name === 'camera.png' && state.maps?.complete === true");
    // What is no photograph is refused, and what was there stays.
    let folder = folder();
    let none = folder.path().join("none.png");
    fs::write(&none, "no picture").unwrap();
    choose(&mut browser, "file", &none);
    browser.wait_for("element('problem').textContent.startsWith('none.png: ')");
    assert_eq!(browser.evaluate("[state.photograph.name, state.maps.complete]"), json!(["camera.png", true]));
}

#[test]
fn what_a_sweep_is_asked_last_counts_and_a_program_that_has_ended_is_told() {
    let Some((served, mut browser)) = page(&[]) else { return };
    for stride in ["4", "5", "6", "56"] {
        set(&mut browser, "stride", stride);
        browser.evaluate("sweep().catch(failed)");
    }
    browser.wait_for("state.maps?.complete && state.maps.rows === 4");
    assert_same_map(&mut browser, &command(&["--stride", "56"]), true);
    // None begins while a photograph is being opened.
    browser.evaluate("[state.photograph, state.kept] = [null, state.photograph]; sweep()");
    browser.evaluate("state.photograph = state.kept; 1");
    // One that would take minutes makes way for that of another photograph.
    browser.evaluate("element('stride').min = 1");
    set(&mut browser, "mask-size", "150");
    set(&mut browser, "stride", "1");
    browser.evaluate("sweep().catch(failed)");
    browser.evaluate("state.front.call('pixels', null, []).then(() => 1)");
    choose(&mut browser, "file", Path::new(CAMERA));
    browser.wait_for("state.photograph?.name === 'camera.png'");
    set(&mut browser, "stride", "56");
    browser
        .wait_for("state.photograph?.name === 'camera.png' && state.maps?.complete && state.maps.rows === 4");
    for (width, height) in [(320, 640), (390, 844), (1280, 800)] {
        browser.resize(width, height, 1.0);
        browser.wait_for(FITS);
    }
    assert_eq!(served.errors(), "");
    drop(served);
    set(&mut browser, "stride", "112");
    browser.wait_for(
        "element('problem').textContent.startsWith('The program that serves this page does not answer')",
    );
}
