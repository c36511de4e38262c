//! Tests of the book in `docs/`: its commands run and print the output that it shows, its figures
//! are those that the commands draw, and every number in its text appears in a command or its
//! output. The Rust code of the book is compiled and run as documentation tests. `links` tests its
//! links.
//!
//! A `console` block contains commands (`$ occlude ...`, also followed by `| head -N`, `| tail -N`
//! or `| grep -e A -e B`; a line ends in `\` if the next continues it) and their exact output, with `... s` in place of times: a time says
//! something only together with its machine. In a `console measured` block, whose machine the text
//! names, numbers may differ, except for shares of multiply-adds. A figure
//! `figures/05-NAME.jpg` of a chapter is a smaller copy of the picture `out/NAME.png` that the
//! chapter's commands write.
//!
//! `OCCLUDE_BOOK=write cargo test --test repository book::` updates the output and the figures in
//! the book.

use std::collections::HashSet;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use crate::common::command::{occlude, read_picture, succeed};
use crate::common::shared;
use crate::drawings::draw;
use image::imageops::{FilterType, resize};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use tempfile::TempDir;

pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// True if this run of the tests updates the book.
pub fn is_written() -> bool {
    std::env::var("OCCLUDE_BOOK").is_ok_and(|what| what == "write")
}

/// The pages that `SUMMARY.md` lists.
pub fn pages() -> Vec<String> {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let page = |line: &str| Some(line.split_once("](")?.1.strip_suffix(')')?.to_string());
    summary.lines().filter_map(page).collect()
}

/// The name and the text of the introduction, of each chapter and of the appendix. The test checks
/// their numbers; the other pages have measurements from elsewhere.
pub fn chapters() -> Vec<(String, String)> {
    let is_chapter = |name: &String| {
        ["README", "appendix"].iter().any(|start| name.starts_with(start))
            || name.starts_with(|c: char| c.is_ascii_digit())
    };
    let chapters = pages().into_iter().filter(is_chapter);
    chapters.map(|name| (name.clone(), fs::read_to_string(docs().join(&name)).unwrap())).collect()
}

/// A part of a chapter.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// Lines outside blocks.
    Prose(Vec<String>),
    /// The text after the opening fence, and the lines of the block.
    Block(String, Vec<String>),
}

pub fn parts(text: &str) -> Vec<Part> {
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

/// A folder with the files that the commands name, in the same layout as the repository, and with the
/// published network if it is available. The last value is its file.
fn workplace() -> (TempDir, Option<PathBuf>) {
    let place = tempfile::tempdir().unwrap();
    let published = shared("weights/bvlc_googlenet.safetensors");
    if let Some(weights) = &published {
        fs::create_dir(place.path().join("weights")).unwrap();
        let link = place.path().join("weights").join(weights.file_name().unwrap());
        std::os::unix::fs::symlink(weights, link).unwrap();
    }
    let data = place.path().join("tests/data");
    fs::create_dir_all(&data).unwrap();
    for photograph in ["chelsea.png", "camera.png"] {
        fs::copy(docs().join("../tests/data").join(photograph), data.join(photograph)).unwrap();
    }
    (place, published)
}

/// The output of a console line: the command's output after its filters.
fn run(place: &TempDir, line: &str) -> Vec<String> {
    let mut commands = line.split(" | ").map(words);
    let command = commands.next().unwrap();
    assert_eq!(command[0], "occlude", "{line}");
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let printed = succeed(occlude(place, &arguments));
    let mut lines: Vec<String> = printed.lines().map(|line| without_time(line.trim_end())).collect();
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

/// A line of output with `... s` in place of the time at its end.
fn without_time(line: &str) -> String {
    let is_time = |end: &str| end.strip_suffix(" s").is_some_and(|time| time.parse::<f64>().is_ok());
    match line.rsplit_once("; ") {
        Some((rest, end)) if is_time(end) => format!("{rest}; ... s"),
        _ => line.to_string(),
    }
}

/// True if two lines of a measured block agree: all numbers may differ except the first two
/// percentages, which are shares of multiply-adds. These shares depend slightly on the number of
/// threads that share the masks, and may differ by [`SHARE`].
fn agree(found: &str, shown: &str) -> bool {
    let is_number = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<String>>();
    let (found, shown) = (words(found), words(shown));
    let shares: Vec<usize> = (1..shown.len()).filter(|&i| shown[i] == "%").map(|i| i - 1).take(2).collect();
    let may_differ = |i: usize| {
        let both = is_number(&found[i]) && is_number(&shown[i]);
        let value = |words: &[String]| words[i].parse::<f64>().unwrap_or(f64::NAN);
        let is_near = || (value(&found) - value(&shown)).abs() <= SHARE;
        both && (!shares.contains(&i) || is_near())
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
        let first = line.strip_prefix("$ ");
        let mut command = first.unwrap_or_else(|| panic!("{name}: {line}: no command prints it")).to_string();
        now.push(line.clone());
        while let Some(begun) = command.strip_suffix('\\') {
            let more = lines.next().unwrap_or_else(|| panic!("{name}: {line}: the command does not end"));
            command = begun.trim_end().to_string() + " " + more.trim_start();
            now.push(more.clone());
        }
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(line.clone());
        }
        let found = run(place, &command);
        let is_same = |(found, shown): (&String, &String)| found == shown || measured && agree(found, shown);
        let same = found.len() == shown.len() && found.iter().zip(&shown).all(is_same);
        assert!(
            same || writes,
            "{name}: $ {command}\nprints\n{}\nnot\n{}",
            found.join("\n"),
            shown.join("\n")
        );
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
    let writes = is_written();
    let (place, published) = workplace();
    let mut commands = 0;
    for (name, chapter) in chapters() {
        let mut parts = parts(&chapter);
        assert_eq!(
            text(&parts),
            chapter,
            "{name}: a fence is not closed, or the last line does not end in a newline"
        );
        let mut is_complete = true;
        for part in &mut parts {
            if let Part::Block(info, lines) = part
                && let Some(how) = info.strip_prefix("console")
            {
                assert!(["", " measured"].contains(&how), "{name}: {info}");
                let mut asked = lines.iter().filter(|line| line.starts_with("$ "));
                if published.is_none() && asked.any(|command| !command.contains(BUILTIN)) {
                    is_complete = false;
                    continue;
                }
                *lines = console(&place, lines, how == " measured", &name, writes);
                commands += lines.iter().filter(|line| line.starts_with("$ ")).count();
            }
        }
        if !is_complete {
            continue;
        }
        if writes {
            fs::write(docs().join(&name), text(&parts)).unwrap();
        }
        draw(&name, &place.path().join("out"), published.as_deref());
        figures(&place, &name, &chapter, writes);
        // The next chapter starts without these pictures.
        let _ = fs::remove_dir_all(place.path().join("out"));
    }
    assert!(
        commands >= if published.is_some() { 40 } else { 10 },
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
    let words = claims.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let mut kept: Vec<&str> = Vec::new();
    for word in words.filter(|word| !word.is_empty() && !is_year(word)) {
        // The name of an example, "Example 6.1", is no number.
        if kept.last().is_none_or(|before| !before.ends_with("xample")) {
            kept.push(word);
        } else {
            *kept.last_mut().unwrap() = "";
        }
    }
    kept.join(" ")
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
fn what_is_checked_is_told_from_what_is_not() {
    let parts = parts("a\n```console measured\n$ occlude x\n1 2\n```\nb\n");
    assert_eq!(parts.len(), 3);
    assert_eq!(text(&parts), "a\n```console measured\n$ occlude x\n1 2\n```\nb\n");
    assert_eq!(words("occlude  explain 'a b' c"), ["occlude", "explain", "a b", "c"]);
    assert_eq!(without_time("9 masks, blur:10; 0.45 s"), "9 masks, blur:10; ... s");
    assert_eq!(without_time("red; 3 s; 4 masks"), "red; 3 s; 4 masks");
    assert!(!agree("a  b", "a b") && agree("drop 0.1", "drop 22") && !agree("drop 0.1", "rise 0.1"));
    let total = |affected: f64, peak: f64| format!("total {affected} % 14.0 % 1.5 {peak} %");
    assert!(agree(&total(36.7, 70.0), &total(36.9, 30.0)));
    assert!(!agree(&total(36.7, 70.0), &total(46.7, 70.0)));
    assert_eq!(numbers("224x224, 1_582.7 and 3."), ["224", "224", "1582.7", "3"]);
    assert_eq!(claims("see `x 17` [there 18](19.md) (Zeiler, 2014) 20 (2015)"), "see [there 18 Zeiler, 20");
    assert_eq!(claims("By **Example 6.1.** it is 17."), "By  it is 17.");
}
