//! Tests of links: those between the pages of the repository, and those of the web pages that mdBook
//! makes of the book.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::book::{docs, pages};
use crate::browser::Browser;
use crate::common::command::listing;

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// The anchor of a heading.
fn slug(line: &str) -> String {
    let title = line.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

/// The reason why a link of a page leads nowhere.
fn fault(page: &Path, link: &str) -> Option<&'static str> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_path_buf() } else { page.parent()?.join(file) };
    if !target.exists() {
        return Some("no such file");
    }
    let has_anchor = || {
        let text = fs::read_to_string(&target).unwrap();
        text.lines().any(|line| line.starts_with('#') && slug(line) == anchor)
    };
    (!anchor.is_empty() && !has_anchor()).then_some("no such heading")
}

/// The targets of a page's links, without web addresses.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    targets.filter(|link| !link.contains("://"))
}

#[test]
fn links_of_pages_lead_somewhere() {
    let root = docs().join("..");
    let mut files: Vec<PathBuf> = listing(&docs());
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page)));
    let mut checked = 0;
    for page in files.iter().filter(|page| has_ending(page, "md")) {
        for link in links(&fs::read_to_string(page).unwrap()) {
            assert_eq!(fault(page, link), None, "{}: {link}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} links: this test no longer finds what it checks");
    assert_eq!(fault(&docs().join("README.md"), "no-such.md"), Some("no such file"));
    assert_eq!(fault(&docs().join("README.md"), "glossary.md#mas"), Some("no such heading"));
}

#[test]
fn the_book_names_what_is_outside_instead_of_linking_to_it() {
    // mdBook copies the folder of the book alone, and documentation tests show the chapters in a
    // third place. A path of the repository is therefore text between backquotes.
    const FOLDERS: [&str; 8] =
        ["src/", "tests/", "tools/", "examples/", "benches/", "docs/", ".ci/", "weights/README"];
    let root = docs().join("..");
    let is_in_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let mut checked = 0;
    for name in pages() {
        let text = fs::read_to_string(docs().join(&name)).unwrap();
        for link in links(&text) {
            assert!(!link.starts_with("../"), "{name}: {link}: write the path between backquotes");
            // mdBook makes index.html of README.md, but leaves links to it as they are.
            assert!(!link.starts_with("README.md"), "{name}: {link}: mdBook breaks this link");
        }
        // Every second piece of a line is between backquotes.
        for code in text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            if FOLDERS.iter().any(|folder| code.starts_with(folder)) && code.chars().all(is_in_path) {
                assert!(root.join(code).exists(), "{name}: {code}: no such file");
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} paths: this test no longer finds what it checks");
}

#[test]
fn the_table_of_contents_lists_every_page() {
    let named: HashSet<String> = pages().into_iter().collect();
    for page in listing(&docs()).iter().filter(|page| has_ending(page, "md")) {
        let name = page.strip_prefix(docs()).unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || named.contains(name), "{name} is not in SUMMARY.md");
    }
}

/// The values of an attribute in a web page.
fn attributes<'t>(html: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let before = format!(" {name}=\"");
    let parts: Vec<&str> = html.split(&before).skip(1).collect();
    parts.into_iter().map(|rest| rest.split('"').next().unwrap())
}

/// The book as web pages, or nothing if mdBook is not installed. `$MDBOOK` names the program.
fn web_pages(to: &Path) -> Option<Vec<PathBuf>> {
    let program = env::var_os("MDBOOK").unwrap_or("mdbook".into());
    let built = Command::new(&program).arg("build").arg(docs()).arg("--dest-dir").arg(to).output();
    let Ok(output) = built else {
        // The test harness hides the output of `eprintln!` while tests pass.
        let _ = writeln!(io::stderr(), "SKIPPED: this test needs mdBook, which is not in the path");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("WARN"), "{said}");
    Some(listing(to).into_iter().filter(|file| has_ending(file, "html")).collect())
}

#[test]
fn mdbook_makes_pages_that_fit_and_whose_links_lead_somewhere() {
    let place = tempfile::tempdir().unwrap();
    let Some(files) = web_pages(place.path()) else { return };
    let pages: HashMap<PathBuf, String> =
        files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    let mut checked = 0;
    for (page, html) in &pages {
        for link in attributes(html, "href").chain(attributes(html, "src")) {
            // 404.html is for a server, and its links begin at the server's root.
            if link.contains(':') || page.ends_with("404.html") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { place.path().join(file) };
            assert!(target.exists(), "{}: {link}: no such file", page.display());
            let found = anchor.is_empty() || attributes(&pages[&target], "id").any(|id| id == anchor);
            assert!(found, "{}: {link}: no such anchor", page.display());
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} links: this test no longer finds what it checks");

    let Some(mut browser) = Browser::start() else { return };
    // Blocks and tables that are cut off at the right, where the reader would have to scroll.
    const CUT: &str = "[...document.querySelectorAll('main pre code, main .table-wrapper, main')]
        .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 60))";
    for page in pages.keys().filter(|page| !page.ends_with("toc.html") && !page.ends_with("print.html")) {
        for width in [1280, 390] {
            browser.resize(width, 900, 1.0);
            browser.open(page, "document.readyState == 'complete'");
            let wide = browser.evaluate("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{}: {wide} at {width}", page.display());
            let cut = browser.evaluate(CUT);
            assert!(width < 1280 || cut == serde_json::json!([]), "{}: cut off: {cut}", page.display());
        }
        let buttons = browser.evaluate("document.querySelectorAll('.play-button').length");
        assert_eq!(buttons, 0, "{}: a button runs code that cannot run there", page.display());
    }
}
