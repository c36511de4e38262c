//! The answers of a network to photographs of known classes: accuracy, and the classes that are mistaken
//! for each other.

use std::fmt::Write;

use occlude::learn::wilson_interval;
use occlude::text::{escaped, shown};
use serde::Serialize;

/// The largest number of classes of a table in the terminal.
const MOST_COLUMNS: usize = 12;
/// The longest name in a table, in characters.
const LONGEST: usize = 20;
/// The largest number of photographs with wrong answers in a list.
const MOST_WRONG: usize = 20;
/// The number of pairs of classes in a list.
const MOST_PAIRS: usize = 10;

/// A share of photographs, and the interval that holds the true share with a probability of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    pub hits: usize,
    pub of: usize,
    pub share: f64,
    pub interval: [f64; 2],
}

impl Share {
    pub fn new(hits: usize, of: usize) -> Share {
        let share = if of == 0 { 0.0 } else { hits as f64 / of as f64 };
        Share { hits, of, share, interval: wilson_interval(hits, of) }
    }

    /// "0.953 (95 % interval 0.923 to 0.972; 286 of 300)".
    pub fn in_words(&self) -> String {
        let [low, high] = self.interval;
        format!("{:.3} (95 % interval {low:.3} to {high:.3}; {} of {})", self.share, self.hits, self.of)
    }
}

/// The number of photographs of each class that got each answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// The classes of the photographs.
    pub classes: Vec<String>,
    /// `[class][answer]`; the last answer is any other class.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// `answers` has the class of each photograph and the answer, `None` for any other class.
    pub fn new(classes: Vec<String>, answers: impl Iterator<Item = (usize, Option<usize>)>) -> Confusion {
        let mut counts = vec![vec![0; classes.len() + 1]; classes.len()];
        for (class, answer) in answers {
            counts[class][answer.unwrap_or(classes.len())] += 1;
        }
        Confusion { classes, counts }
    }

    pub fn right(&self) -> Share {
        let hits = (0..self.classes.len()).map(|class| self.counts[class][class]).sum();
        Share::new(hits, self.counts.iter().flatten().sum())
    }

    pub fn right_of(&self, class: usize) -> Share {
        Share::new(self.counts[class][class], self.counts[class].iter().sum())
    }

    /// A table of few classes, with a row for each class and a column for each answer; for more classes,
    /// the pairs that are mistaken most often.
    pub fn in_words(&self) -> String {
        if self.classes.len() > MOST_COLUMNS { self.pairs() } else { self.table() }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{}", line.trim_end()).expect("writing to a string");
        let names: Vec<String> =
            self.classes.iter().map(|name| shown(name).chars().take(LONGEST).collect()).collect();
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let others = self.counts.iter().any(|row| row[names.len()] > 0);
        let answers = names.len() + usize::from(others);
        line("a row for each class, a column for each answer:".to_string());
        let mut heads: Vec<String> = (0..names.len()).map(|at| format!("{:>5}", letter(at))).collect();
        heads.extend(others.then(|| " other".to_string()));
        line(format!("  {:widest$}   {}  right", "", heads.concat()));
        for (class, row) in self.counts.iter().enumerate() {
            let cells: String = row[..answers]
                .iter()
                .enumerate()
                .map(|(answer, count)| {
                    let cell = if *count == 0 { ".".to_string() } else { count.to_string() };
                    let width = if answer == names.len() { 6 } else { 5 };
                    format!("{cell:>width$}")
                })
                .collect();
            let right = self.right_of(class).share;
            line(format!("  {:widest$} {} {cells}  {right:.3}", names[class], letter(class)));
        }
        text
    }

    fn pairs(&self) -> String {
        let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
        for (class, row) in self.counts.iter().enumerate() {
            let wrong = row.iter().enumerate().filter(|(answer, count)| *answer != class && **count > 0);
            pairs.extend(wrong.map(|(answer, &count)| (count, class, answer)));
        }
        pairs.sort_by_key(|&(count, class, answer)| (std::cmp::Reverse(count), class, answer));
        if pairs.is_empty() {
            return String::new();
        }
        let mut text = "mistaken most often:\n".to_string();
        for &(count, class, answer) in pairs.iter().take(MOST_PAIRS) {
            let answer = self.classes.get(answer).map_or("another class", |name| name);
            let (class, answer) = (shown(&self.classes[class]), shown(answer));
            writeln!(text, "  {count:>5}  {class} for {answer}").expect("writing to a string");
        }
        text
    }
}

/// The photographs with wrong answers, each with the answer and its probability; `all` is the file that
/// lists them all. Empty if there are none.
pub fn wrong_in_words(wrong: Vec<(&str, &str, f64)>, all: &str) -> String {
    if wrong.is_empty() {
        return String::new();
    }
    let mut text = "\nwrong answers:\n".to_string();
    for (photograph, answer, probability) in wrong.iter().take(MOST_WRONG) {
        writeln!(text, "  {}: {} {probability:.4}", escaped(photograph), shown(answer))
            .expect("writing to a string");
    }
    if wrong.len() > MOST_WRONG {
        writeln!(text, "  and {} more; {all} lists all", wrong.len() - MOST_WRONG)
            .expect("writing to a string");
    }
    text
}

/// The letter of a column: A, B and so on.
fn letter(at: usize) -> char {
    char::from(b'A' + at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted() {
        let names = |count: usize| (0..count).map(|i| format!("class {i}")).collect::<Vec<_>>();
        let answers = [(0, Some(0)), (0, Some(1)), (1, Some(1)), (1, None)];
        let confusion = Confusion::new(names(2), answers.into_iter());
        assert_eq!(confusion.counts, [[1, 1, 0], [0, 1, 1]]);
        assert_eq!((confusion.right().hits, confusion.right().of), (2, 4));
        assert_eq!(confusion.right_of(1).share, 0.5);
        assert_eq!(
            confusion.in_words(),
            "a row for each class, a column for each answer:\n                A    B other  right\n  class 0 A     1    1     .  0.500\n  class 1 B     .    1     1  0.500\n"
        );
        let many = Confusion::new(names(13), answers.into_iter().chain([(0, Some(1))]));
        assert_eq!(
            many.in_words(),
            "mistaken most often:\n      2  class 0 for class 1\n      1  class 1 for another class\n"
        );
        assert_eq!(Confusion::new(names(13), [(0, Some(0))].into_iter()).in_words(), "");
    }
}
