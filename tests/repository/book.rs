//! Tests of the book in `docs/`: its commands run and print the output that it shows, its figures
//! are those that the commands draw, every number in its text appears in a command or its output,
//! and its links have targets. The Rust code of the book is compiled and run as documentation
//! tests.
//!
//! A `console` block contains commands (`$ occlude ...`, also followed by `| head -N`, `| tail -N`
//! or `| grep -e A -e B`) and their exact output, except for times (`0.45 s`). In a
//! `console measured` block numbers may differ, except for shares of multiply-adds. A figure
//! `figures/05-NAME.jpg` of a chapter is a smaller copy of the picture `out/NAME.png` that the
//! chapter's commands write.
//!
//! `OCCLUDE_BOOK=write cargo test --test repository book::` updates the output and the figures in
//! the book.

use std::collections::HashSet;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use crate::common::command::{listing, occlude, read_picture, succeed};
use crate::common::shared;
use image::imageops::{FilterType, resize};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use tempfile::TempDir;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The pages that `SUMMARY.md` lists.
fn pages() -> Vec<String> {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let page = |line: &str| Some(line.split_once("](")?.1.strip_suffix(')')?.to_string());
    summary.lines().filter_map(page).collect()
}

/// The name and the text of the introduction and of each chapter. The test checks their numbers;
/// the other pages have measurements from elsewhere.
fn chapters() -> Vec<(String, String)> {
    let is_chapter = |name: &String| name == "README.md" || name.starts_with(|c: char| c.is_ascii_digit());
    let chapters = pages().into_iter().filter(is_chapter);
    chapters.map(|name| (name.clone(), fs::read_to_string(docs().join(&name)).unwrap())).collect()
}

/// A part of a chapter.
#[derive(Debug, PartialEq)]
enum Part {
    /// Lines outside blocks.
    Prose(Vec<String>),
    /// The text after the opening fence, and the lines of the block.
    Block(String, Vec<String>),
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![Part::Prose(Vec::new())];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```").map(str::to_string).collect();
            parts.push(Part::Block(info.to_string(), block));
            parts.push(Part::Prose(Vec::new()));
        } else if let Some(Part::Prose(prose)) = parts.last_mut() {
            prose.push(line.to_string());
        }
    }
    parts
}

fn text(parts: &[Part]) -> String {
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Part::Prose(prose) => lines.extend(prose.iter().cloned()),
            Part::Block(info, block) => {
                lines.push(format!("```{info}"));
                lines.extend(block.iter().cloned());
                lines.push("```".to_string());
            }
        }
    }
    lines.join("\n") + "\n"
}

/// The words of a command line. Quotes '...' enclose words that contain blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A folder with the files that the commands name, in the same layout as the repository: beside
/// `shared`, and with the published network if it is available. The last value is true if it is
/// available.
fn workplace() -> (TempDir, TempDir, bool) {
    let root = tempfile::tempdir().unwrap();
    let place = tempfile::Builder::new().prefix("occlude").tempdir_in(root.path()).unwrap();
    let published = shared("weights/bvlc_googlenet.safetensors").zip(shared("images/miniature_poodle.jpg"));
    if let Some((weights, photograph)) = &published {
        let link = |from: &Path, to: PathBuf| std::os::unix::fs::symlink(from, to).unwrap();
        fs::create_dir(place.path().join("weights")).unwrap();
        link(weights, place.path().join("weights").join(weights.file_name().unwrap()));
        link(photograph.parent().unwrap().parent().unwrap(), root.path().join("shared"));
    }
    let data = place.path().join("tests/data");
    fs::create_dir_all(&data).unwrap();
    fs::copy(docs().join("../tests/data/chelsea.png"), data.join("chelsea.png")).unwrap();
    (root, place, published.is_some())
}

/// The output of a console line: the command's output after its filters.
fn run(place: &TempDir, line: &str) -> Vec<String> {
    let mut commands = line.split(" | ").map(words);
    let command = commands.next().unwrap();
    assert_eq!(command[0], "occlude", "{line}");
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let printed = succeed(occlude(place, &arguments));
    let mut lines: Vec<String> = printed.lines().map(|line| line.trim_end().to_string()).collect();
    for filter in commands {
        let count = || filter[1].strip_prefix('-').and_then(|n| n.parse::<usize>().ok()).expect(line);
        match filter[0].as_str() {
            "head" => lines.truncate(count()),
            "tail" => drop(lines.drain(..lines.len().saturating_sub(count()))),
            "grep" => {
                let patterns: Vec<&String> = filter[1..].iter().filter(|word| *word != "-e").collect();
                lines.retain(|line| patterns.iter().any(|pattern| line.contains(*pattern)));
            }
            other => panic!("{line}: the filter {other} is unknown"),
        }
    }
    lines
}

/// True if two lines are equal except for times. With `measured`, all numbers may differ except the
/// first two percentages, which are shares of multiply-adds. These shares depend slightly on the
/// number of threads that share the masks, and may differ by [`SHARE`].
fn agree(found: &str, shown: &str, measured: bool) -> bool {
    let is_number = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<String>>();
    let is_time = |words: &[String], i: usize| {
        words.get(i + 1).is_some_and(|unit| ["s", "ms"].contains(&unit.trim_matches(',')))
    };
    let (found, shown) = (words(found), words(shown));
    let shares: Vec<usize> = (1..shown.len()).filter(|&i| shown[i] == "%").map(|i| i - 1).take(2).collect();
    let may_differ = |i: usize| {
        let both = is_number(&found[i]) && is_number(&shown[i]);
        let value = |words: &[String]| words[i].parse::<f64>().unwrap_or(f64::NAN);
        let is_near = || (value(&found) - value(&shown)).abs() <= SHARE;
        let is_measured = measured && (!shares.contains(&i) || is_near());
        both && (is_measured || is_time(&found, i) && is_time(&shown, i))
    };
    // The number of blanks may differ only beside a number whose width has changed.
    found.len() == shown.len()
        && (0..found.len()).any(|i| found[i] != shown[i])
        && (0..found.len()).all(|i| found[i] == shown[i] || may_differ(i))
}

/// In percentage points.
const SHARE: f64 = 3.0;

/// Runs the commands of a block and inserts their output.
fn console(place: &TempDir, lines: &[String], measured: bool, name: &str, writes: bool) -> Vec<String> {
    let mut now = Vec::new();
    let mut lines: Peekable<_> = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let command =
            line.strip_prefix("$ ").unwrap_or_else(|| panic!("{name}: {line}: no command prints this line"));
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(line.clone());
        }
        let found = run(place, command);
        let same = found.len() == shown.len()
            && found.iter().zip(&shown).all(|(found, shown)| found == shown || agree(found, shown, measured));
        assert!(
            same || writes,
            "{name}: $ {command}\nprints\n{}\nnot\n{}",
            found.join("\n"),
            shown.join("\n")
        );
        now.push(line.clone());
        // The times of one run belong together, so all of them are replaced if one is.
        now.extend(if same && !(measured && writes) { shown } else { found });
    }
    now
}

/// The width of the widest figure, in pixels.
const WIDTH: u32 = 1200;

/// Compares each figure of a chapter with the picture that the chapter's commands have drawn.
fn figures(place: &TempDir, name: &str, text: &str, writes: bool) {
    for figure in text.split("](figures/").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let path = docs().join("figures").join(figure);
        let (stem, ending) = figure[3..].rsplit_once('.').unwrap();
        let source = if ending == "jpg" { format!("{stem}.png") } else { format!("{stem}.{ending}") };
        // The figure comes from this folder, because a chapter may draw a class several times.
        let source = place.path().join("out").join(source);
        assert!(source.exists(), "{name}: no command draws {figure}");
        if ending == "svg" {
            if writes {
                fs::copy(&source, &path).unwrap();
            }
            assert!(
                fs::read(&source).unwrap() == fs::read(&path).unwrap(),
                "{name}: the command now draws a different {figure}"
            );
            continue;
        }
        let large = read_picture(&source);
        let width = large.width().min(WIDTH);
        let small = resize(&large, width, large.height() * width / large.width(), FilterType::Lanczos3);
        if writes {
            let (width, height) = (small.width() as usize, small.height() as usize);
            let bytes = compress(&small, width, height, PixelFormat::Rgb, 88, Subsampling::S444).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        let shown = read_picture(&path);
        assert_eq!(shown.dimensions(), small.dimensions(), "{name}: {figure}");
        let difference: u64 =
            shown.as_raw().iter().zip(small.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = difference as f64 / shown.as_raw().len() as f64;
        // JPEG compression alone causes a difference of up to 2 levels.
        assert!(mean < 3.0, "{name}: the command now draws a different {figure}: {mean:.2} levels");
    }
}

#[test]
fn commands_print_and_draw_what_the_book_shows() {
    let writes = std::env::var("OCCLUDE_BOOK").is_ok_and(|what| what == "write");
    let (_root, place, is_published) = workplace();
    let mut commands = 0;
    for (name, chapter) in chapters() {
        let mut parts = parts(&chapter);
        assert_eq!(
            text(&parts),
            chapter,
            "{name}: a fence is not closed, or the last line does not end in a newline"
        );
        for part in &mut parts {
            if let Part::Block(info, lines) = part
                && let Some(how) = info.strip_prefix("console")
            {
                assert!(["", " measured"].contains(&how), "{name}: {info}");
                let mut asked = lines.iter().filter(|line| line.starts_with("$ "));
                if !is_published && asked.any(|command| !command.contains(BUILTIN)) {
                    continue;
                }
                *lines = console(&place, lines, how == " measured", &name, writes);
                commands += lines.iter().filter(|line| line.starts_with("$ ")).count();
            }
        }
        if !is_published {
            continue;
        }
        if writes {
            fs::write(docs().join(&name), text(&parts)).unwrap();
        }
        figures(&place, &name, &chapter, writes);
        // The next chapter starts without these pictures.
        let _ = fs::remove_dir_all(place.path().join("out"));
    }
    assert!(
        commands >= if is_published { 20 } else { 2 },
        "only {commands} commands found: this may not be the book"
    );
}

/// The option of a command that needs no weights file.
const BUILTIN: &str = "--weights builtin";

/// The numbers of a text, independent of their notation: `1_582.70` is 1582.7.
fn numbers(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'));
    let number = |word: &str| word.trim_matches(['.', '_']).replace('_', "").parse::<f64>().ok();
    words.filter_map(number).map(|number| number.to_string()).collect()
}

/// The prose without the parts that make no claim: inline code, link targets, and years in
/// citations.
fn claims(prose: &str) -> String {
    let mut kept = String::new();
    for (i, piece) in prose.split('`').enumerate() {
        kept += if i % 2 == 0 { piece } else { " " };
    }
    let mut claims = String::new();
    for (i, piece) in kept.split("](").enumerate() {
        claims += if i == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) };
    }
    claims
        .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
        .filter(|word| !word.is_empty() && !is_year(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_year(word: &str) -> bool {
    let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
    digits.len() == 4 && word.len() <= 6 && ["19", "20"].iter().any(|century| digits.starts_with(century))
}

#[test]
fn numbers_in_the_text_stand_in_what_was_run() {
    let mut checked = 0;
    for (name, chapter) in chapters() {
        let parts = parts(&chapter);
        let mut run = HashSet::new();
        for part in &parts {
            if let Part::Block(info, lines) = part
                && (info.starts_with("console") || info.starts_with("rust"))
            {
                run.extend(numbers(&lines.join("\n")));
            }
        }
        for part in &parts {
            let Part::Prose(lines) = part else { continue };
            // Headings and exercises make no claim.
            let is_claim = |line: &&String| !line.starts_with('#') && !line.starts_with("- **");
            let prose: Vec<&str> = lines.iter().filter(is_claim).map(String::as_str).collect();
            for number in numbers(&claims(&prose.join("\n"))) {
                // Numbers with one digit and chapter numbers count as words.
                let is_chapter = pages().iter().any(|page| page.starts_with(&format!("{number}-")));
                if number.len() > 1 && !is_chapter {
                    assert!(run.contains(&number), "{name}: no command contains or prints {number}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 60, "only {checked} numbers found: this may not be the book");
}

#[test]
fn links_lead_somewhere() {
    let root = docs().join("..");
    let mut files: Vec<PathBuf> = listing(&docs());
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page)));
    for page in files.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            let slug = |line: &str| -> String {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                title
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                    .collect::<String>()
                    .replace(' ', "-")
            };
            if !anchor.is_empty() {
                let target = fs::read_to_string(target).unwrap();
                let found = target.lines().any(|line| line.starts_with('#') && slug(line) == anchor);
                assert!(found, "{}: {link}: no such heading", page.display());
            }
        }
    }
    // The table of contents lists every page of the book.
    let named: HashSet<String> = pages().into_iter().collect();
    for page in listing(&docs()).iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let name = page.strip_prefix(docs()).unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || named.contains(name), "{name} is not in SUMMARY.md");
    }
}

#[test]
fn each_exercise_has_a_solution_and_each_solution_an_exercise() {
    let solutions = fs::read_to_string(docs().join("../tests/engine/exercises.rs")).unwrap();
    let number = |name: &str| name.split('_').take(2).collect::<Vec<_>>().join(".");
    let solved: Vec<String> = solutions.split("fn exercise_").skip(1).map(number).collect();
    let mut asked = Vec::new();
    for (_, chapter) in chapters() {
        let exercises = chapter.split_once("## Exercises").map_or("", |(_, exercises)| exercises);
        let numbers = exercises.split("- **").skip(1).map(|exercise| exercise.split("**").next().unwrap());
        asked.extend(numbers.map(str::to_string));
    }
    assert_eq!(asked, solved);
    assert!(asked.len() > 20);
}

#[test]
fn what_is_checked_is_told_from_what_is_not() {
    let parts = parts("a\n```console measured\n$ occlude x\n1 2\n```\nb\n");
    assert_eq!(parts.len(), 3);
    assert_eq!(text(&parts), "a\n```console measured\n$ occlude x\n1 2\n```\nb\n");
    assert_eq!(words("occlude  explain 'a b' c"), ["occlude", "explain", "a b", "c"]);
    assert!(!agree("a  b", "a b", false) && !agree("a  b", "a b", true));
    assert!(agree("9 masks; 0.45 s", "9 masks; 11.4 s", false));
    assert!(!agree("9 masks; 0.45 s", "8 masks; 0.45 s", false));
    assert!(!agree("drop +0.1", "drop +0.2", false) && agree("drop 0.1", "drop 22", true));
    assert!(!agree("drop 0.1", "rise 0.1", true));
    let total = |affected: f64, peak: f64| format!("total {affected} % 14.0 % 1.5 {peak} %");
    assert!(agree(&total(36.7, 70.0), &total(36.9, 30.0), true));
    assert!(!agree(&total(36.7, 70.0), &total(46.7, 70.0), true));
    assert_eq!(numbers("224x224, 1_582.7 and 3."), ["224", "224", "1582.7", "3"]);
    assert_eq!(claims("see `x 17` [there 18](19.md) (Zeiler, 2014) 20 (2015)"), "see [there 18 Zeiler, 20");
}
