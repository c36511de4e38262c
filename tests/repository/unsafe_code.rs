//! Checks that an auditor would otherwise do manually: the locations of `unsafe`, the justification
//! of each use, and that the core depends only on the crates that it is known for.

use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A line without its comment and without string literals.
pub fn code(line: &str) -> String {
    let unquoted: String = line.split('"').step_by(2).collect();
    unquoted.split("//").next().unwrap_or_default().to_string()
}

/// True if a line of code contains the word itself, not only as part of a longer word
/// (`unsafe_code`).
fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// The numbers, from 1, of lines that open an unsafe block or implementation without a `SAFETY:`
/// comment directly above.
fn unexplained(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let opens = |line: &str| {
        let code = code(line);
        // An `unsafe fn` states its requirements under `# Safety`, and the block that calls it
        // justifies that they hold. The test of the C interface checks that no other function has
        // the same exported name.
        has_word(&code, "unsafe") && !has_word(&code, "fn") && code.trim() != "#[unsafe(no_mangle)]"
    };
    let explained = |at: usize| {
        let above = lines[..at].iter().rev().map(|line| line.trim_start());
        above
            .take_while(|line| line.starts_with("//") || line.starts_with("#["))
            .any(|line| line.contains("SAFETY: "))
    };
    (0..lines.len()).filter(|&at| opens(lines[at]) && !explained(at)).map(|at| at + 1).collect()
}

#[test]
fn unsafe_code_is_in_the_kernels_and_the_c_interface_only_and_each_block_says_why_it_is_sound() {
    let (kernels, interface) = (root().join("src/kernels"), root().join("src/capi"));
    let mut uses = 0;
    for file in ["src", "python/src"].iter().flat_map(|folder| sources(&root().join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        let found = text.lines().filter(|line| has_word(&code(line), "unsafe")).count();
        let expected = file.starts_with(&kernels) || file.starts_with(&interface);
        assert!(found == 0 || expected, "{} has unsafe code", file.display());
        let allowed = file == kernels.join("mod.rs") || file == interface.join("mod.rs");
        assert!(allowed || !text.contains("allow(unsafe_code)"), "{} allows unsafe code", file.display());
        assert_eq!(
            unexplained(&text),
            [0usize; 0],
            "{}: these lines have no SAFETY comment above them",
            file.display()
        );
        uses += found;
    }
    assert!(uses > 10, "only {uses} found: this test no longer finds what it checks");
}

#[test]
fn a_missing_explanation_is_seen() {
    assert_eq!(unexplained("// SAFETY: none.\nlet x = 1;\nlet y = unsafe { *p };\n"), [3]);
    assert_eq!(unexplained("// SAFETY: it is.\n#[cfg(x)]\nunsafe impl Send for X {}\n"), [0usize; 0]);
    assert_eq!(unexplained("// SAFETY: it\n// really is.\nunsafe {\n"), [0usize; 0]);
    assert_eq!(unexplained("unsafe impl Send for X {}\n"), [1]);
    assert_eq!(unexplained("#[unsafe(no_mangle)]\npub extern \"C\" fn f() {\n    unsafe { g() }\n"), [3]);
    assert_eq!(
        unexplained("unsafe fn f() {} // unsafe {\nlet s = \"unsafe {\";\n#![allow(unsafe_code)]\n"),
        [0usize; 0]
    );
}
