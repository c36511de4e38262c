//! Tests of the book's words: the first chapter that uses a term of the glossary explains it, and each
//! measured table names its machine.

use std::fs;

use crate::book::{Part, chapters, docs, parts};

/// The text of a chapter outside its blocks, in lower case, without inline code, the targets of links,
/// and the name of the next chapter.
fn plain(parts: &[Part]) -> String {
    let prose = |part: &Part| if let Part::Prose(lines) = part { lines.join(" ") } else { String::new() };
    let text: String = parts.iter().map(prose).collect::<Vec<String>>().join(" ").to_lowercase();
    let code_free: String = text.split('`').step_by(2).collect::<Vec<&str>>().join("code");
    let mut plain = String::new();
    for (i, piece) in code_free.split("](").enumerate() {
        plain += if i == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) };
    }
    plain.split("next: ").next().unwrap().to_string()
}

/// True if a text contains a word, also in the plural.
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let after = after.strip_prefix("es").or(after.strip_prefix('s')).unwrap_or(after);
        !is_letter(before.chars().next_back()) && !is_letter(after.chars().next())
    })
}

#[test]
fn the_first_chapter_that_uses_a_term_explains_it() {
    let glossary = fs::read_to_string(docs().join("glossary.md")).unwrap();
    let chapters: Vec<(String, String, String)> = chapters()
        .into_iter()
        .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_digit()))
        .map(|(name, text)| (name, plain(&parts(&text)), text))
        .collect();
    let (mut checked, mut unexplained) = (0, Vec::new());
    for heading in glossary.lines().filter_map(|line| line.strip_prefix("## ")) {
        let words = heading.split('(').next().unwrap().trim().to_lowercase();
        let anchor = heading.to_lowercase().replace(['(', ')', ','], "").replace(' ', "-");
        for word in words.split(", ") {
            let first = chapters.iter().find(|(_, plain, _)| has_word(plain, word));
            let Some((name, _, text)) = first else { continue };
            if !text.contains(&format!("](glossary.md#{anchor})")) {
                unexplained.push(format!("{name}: {word}"));
            }
            checked += 1;
        }
    }
    assert!(unexplained.is_empty(), "without a link to the glossary where first used: {unexplained:?}");
    assert!(checked > 30, "only {checked} terms: this test no longer finds what it checks");
    assert!(
        has_word("two masks.", "mask") && !has_word("unmasked", "mask") && has_word("a (class)", "class")
    );
}

#[test]
fn each_measured_table_names_its_machine() {
    let mut checked = 0;
    for (name, text) in chapters() {
        let parts = parts(&text);
        for pair in parts.windows(2) {
            if let [Part::Prose(before), Part::Block(info, _)] = pair
                && info == "console measured"
            {
                let names = before
                    .iter()
                    .any(|line| line.contains("machine](glossary.md#machines-of-the-measurements)"));
                assert!(
                    names,
                    "{name}: a measured table without a link to glossary.md#machines-of-the-measurements before it"
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "only {checked} tables: this test no longer finds what it checks");
}
