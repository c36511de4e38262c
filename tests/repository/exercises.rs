//! Tests of the book's exercises: each chapter states those that `tests/engine/exercises.rs` solves,
//! and `examples/exercises.rs`, which readers fill in, has the same programs with blanks.

use std::fs;
use std::path::Path;

use crate::book::{chapters, is_written};

/// The first lines of the file that readers fill in.
const HEAD: &str = "\
//! Exercises for the chapters of `docs/`. Replace each `todo!()` of an exercise by your answer. The
//! lines after it compare the answer with the library. This command checks exercise 1.1:
//! `cargo test --release --example exercises exercise_1_1`. Most exercises use the random network
//! of `Weights::seeded`. Solutions are in `tests/engine/exercises.rs`.
#![allow(unused, unreachable_code, clippy::diverging_sub_expression, reason = \"the blanks\")]

use occlude";

/// The solutions with a blank in place of each answer.
fn with_blanks(solutions: &str) -> String {
    let (_, programs) = solutions.split_once("\nuse occlude").unwrap();
    let mut answers = programs.split("answer!(");
    let mut blank = HEAD.to_string() + answers.next().unwrap();
    for answer in answers {
        let mut open = 1;
        let end = answer.find(|c| {
            open += i32::from(c == '(') - i32::from(c == ')');
            open == 0
        });
        blank += "todo!(";
        blank += &answer[end.unwrap()..];
    }
    blank + "\nfn main() {\n    println!(\"cargo test --release --example exercises exercise_1_1\");\n}\n"
}

#[test]
fn the_exercises_are_the_solutions_with_blanks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let solutions = fs::read_to_string(root.join("tests/engine/exercises.rs")).unwrap();
    let (file, expected) = (root.join("examples/exercises.rs"), with_blanks(&solutions));
    if is_written() {
        fs::write(&file, &expected).unwrap();
    }
    // The reader's own answers are no fault: this test asks for the file as it is delivered.
    assert!(
        fs::read_to_string(file).unwrap() == expected,
        "examples/exercises.rs differs from the solutions: OCCLUDE_BOOK=write cargo test --release --test repository exercises"
    );
    let blanks = |exercise: &str| exercise.matches("todo!()").count();
    assert!(blanks(&expected) > 25 && !expected.contains("answer!"));
    assert_eq!(
        with_blanks("//!\n\nuse occlude::A;\nlet a = answer!((1 + 2) * 3);").matches("todo!();").count(),
        1
    );
}

#[test]
fn each_exercise_has_a_solution_and_each_solution_an_exercise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let solutions = fs::read_to_string(root.join("tests/engine/exercises.rs")).unwrap();
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
