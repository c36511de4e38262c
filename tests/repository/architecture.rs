//! Checks ARCHITECTURE.md's picture against the sources: a folder imports only from folders in
//! lower rows of the picture, and the files of one folder do not import each other in a cycle.
//!
//! An import is any path that begins with `crate::`, `super::` or `occlude::`, in a `use` or in the
//! middle of code. A name that the root of the library re-exports counts for the module that
//! defines it. Test modules do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use super::unsafe_code::{code, root, sources};

/// The text of each Rust file, by its module path: `sweep/batch/writer`, `cli/args` for
/// `src/cli/args/mod.rs`.
type Files = BTreeMap<String, String>;

/// Reads all Rust files below `src`, without the files of tests.
fn read_all() -> Files {
    let src = root().join("src");
    let is_module = |file: &PathBuf| !file.ends_with("tests.rs");
    let read = |file: PathBuf| {
        let path = file.strip_prefix(&src).unwrap().to_str().expect("a plain name");
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod").to_string();
        (module, module_code(&fs::read_to_string(&file).unwrap()))
    };
    sources(&src).into_iter().filter(is_module).map(read).collect()
}

/// The text without comments, string literals and the test module, which is at the end.
fn module_code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// All paths in the code that begin with `start`, without that beginning. Groups in braces are
/// expanded.
fn paths(code: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(start) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if !(before.is_alphanumeric() || before == '_' || before == ':') {
            take_path(&code[at + start.len()..], "", &mut found);
        }
    }
    found
}

/// Adds the path or the group at the beginning of `code` to `found`, with `prefix` before each
/// path. Returns the rest.
fn take_path<'a>(code: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = take_path(rest.trim_start(), prefix, found).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            assert!(!rest.is_empty() && !rest.starts_with(';'), "the group after {prefix} does not end");
        }
    }
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    let path = format!("{prefix}{}", &code[..end]);
    match code[end..].strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '{' || c == '_') => {
            take_path(rest, &format!("{path}/"), found)
        }
        _ => {
            found.push(path);
            // Skips `as name` and `*`.
            let rest = code[end..].trim_start();
            let rest = rest
                .strip_prefix("as ")
                .map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
            rest.strip_prefix("::*").or(rest.strip_prefix('*')).unwrap_or(rest)
        }
    }
}

/// The defining module of each name in the root of the library.
fn root_names(lib: &str) -> BTreeMap<String, String> {
    let uses = lib.split(';').filter_map(|item| item.trim().strip_prefix("pub use "));
    let mut found = Vec::new();
    uses.for_each(|item| {
        take_path(item, "", &mut found);
    });
    let split =
        |path: String| path.rsplit_once('/').map(|(module, name)| (name.to_string(), module.to_string()));
    found.into_iter().filter_map(split).collect()
}

/// The modules that each module imports from.
fn imports(files: &Files) -> BTreeMap<String, BTreeSet<String>> {
    let names = root_names(&files["lib"]);
    // The longest beginning of the path that names a file.
    let file = |path: &str| {
        let full = match path.split_once('/') {
            None => names.get(path).cloned().unwrap_or_else(|| path.to_string()),
            Some(_) => path.to_string(),
        };
        let mut prefix = full.as_str();
        loop {
            if files.contains_key(prefix) {
                return Some(prefix.to_string());
            }
            prefix = prefix.rsplit_once('/')?.0;
        }
    };
    let imports_of = |(module, code): (&String, &String)| {
        let parent = module.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut found: Vec<String> = paths(code, "crate::");
        found.extend(paths(code, "occlude::"));
        for path in paths(code, "super::") {
            assert!(
                !path.starts_with("super"),
                "{module}: super::super; write the path from the crate's root"
            );
            found.push(if parent.is_empty() { path } else { format!("{parent}/{path}") });
        }
        let imported = found.iter().filter_map(|path| file(path)).filter(|other| other != module).collect();
        (module.clone(), imported)
    };
    files.iter().filter(|(module, _)| !["lib", "main"].contains(&module.as_str())).map(imports_of).collect()
}

/// The folder of a module in the picture: `sweep`, `cli/render`, or the file itself for files at
/// the top of `src` or `src/cli`.
fn folder(module: &str) -> String {
    let depth = if module.starts_with("cli/") { 2 } else { 1 };
    module.split('/').take(depth).collect::<Vec<_>>().join("/")
}

/// The rows of the picture from top to bottom: the first column of the first block of
/// ARCHITECTURE.md. `commands/` below the row `cli/` is `cli/commands`.
fn rows(document: &str) -> Vec<Vec<String>> {
    let block = document.split("```").nth(1).expect("a picture");
    let mut crate_folder = "";
    let mut rows = Vec::new();
    for line in block.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let names: Vec<&str> = line.split("  ").next().expect("a name").split(", ").collect();
        match names[..] {
            ["src/cli/"] => crate_folder = "cli/",
            ["src/"] => crate_folder = "",
            _ => {
                let name = |name: &&str| {
                    format!("{crate_folder}{}", name.trim_end_matches('/').trim_end_matches(".rs"))
                };
                rows.push(names.iter().map(name).collect());
            }
        }
    }
    rows
}

/// Descriptions of imports from folders that are not in a lower row, and of folders that are
/// missing from the picture.
fn problems(imports: &BTreeMap<String, BTreeSet<String>>, rows: &[Vec<String>]) -> Vec<String> {
    let row = |folder: &str| rows.iter().position(|row| row.iter().any(|name| name == folder));
    let mut problems = BTreeSet::new();
    for (module, imported) in imports {
        let from = folder(module);
        if module == "cli" {
            continue; // It starts the subcommands.
        }
        let Some(from_row) = row(&from) else {
            problems.insert(format!("{from} is missing"));
            continue;
        };
        for other in imported {
            let to = folder(other);
            if to != from && row(&to).is_none_or(|to_row| to_row <= from_row) {
                problems.insert(format!("{module} imports {other}, which is not below it"));
            }
        }
    }
    let modules: BTreeSet<String> = imports.keys().map(|module| folder(module)).collect();
    let absent = rows.iter().flatten().filter(|name| !modules.contains(*name));
    problems.extend(absent.map(|name| format!("{name} does not exist")));
    problems.into_iter().collect()
}

/// A cycle of imports between files, with the first file again at the end. A `mod.rs` re-exports
/// its children, so imports between it and them do not count.
fn cycle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn search(
        imports: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        let last = way.last().expect("a beginning").clone();
        for next in imports.get(&last).into_iter().flatten() {
            let is_family = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
            if is_family(next, &last) || is_family(&last, next) || done.contains(next) {
                continue;
            }
            if let Some(start) = way.iter().position(|module| module == next) {
                way.drain(..start);
                way.push(next.clone());
                return true;
            }
            way.push(next.clone());
            if search(imports, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| {
        let mut way = vec![module.clone()];
        search(imports, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn folders_import_only_from_folders_below_them() {
    let imports = imports(&read_all());
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 300, "only {count} imports found: this test no longer finds what it checks");
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let problems = problems(&imports, &rows(&document));
    assert!(problems.is_empty(), "ARCHITECTURE.md's picture: {problems:#?}");
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    assert_eq!(cycle(&imports(&read_all())), None);
}

/// The restrictions that ARCHITECTURE.md describes: a prefix of module paths, and all modules that
/// these modules may import besides each other.
const KNOWLEDGE: [(&str, &[&str]); 10] = [
    ("kernels", &["error", "network", "stopwatch"]),
    ("reference", &["kernels/gemm", "kernels", "network", "weights"]),
    ("weights", &["error", "memory", "network", "text"]),
    ("cli/render/map", &["cli/render", "image/lattice", "image/resize", "network"]),
    ("cli/render/page", &["cli/render", "network"]),
    ("cli/render/panels", &["cli/render", "network"]),
    ("cli/render/plots", &["cli/render"]),
    ("cli/render/scale", &["cli/render"]),
    ("cli/render/canvas", &["cli/render/text", "text"]),
    ("cli/output/files", &["cli/terminal/interrupt", "error"]),
];

fn begins(module: &str, name: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn modules_know_only_what_they_may() {
    let imports = imports(&read_all());
    for (name, known) in KNOWLEDGE {
        let group = imports.iter().filter(|(module, _)| begins(module, name));
        let imported: BTreeSet<_> = group.flat_map(|(_, imported)| imported).collect();
        assert!(!imported.is_empty(), "{name} imports nothing: this test no longer finds what it checks");
        for other in imported {
            let is_known = begins(other, name) || known.iter().any(|known| begins(other, known));
            assert!(is_known, "{name} must not import {other}");
        }
    }
}

/// The imports of example sources as text: `module: imported imported`, with a line for each module
/// that has imports.
fn imports_of(files: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(module, text)| (module.to_string(), module_code(text))).collect();
    let some = imports(&files).into_iter().filter(|(_, imported)| !imported.is_empty());
    let lines = some.map(|(module, imported)| format!("{module}: {}", Vec::from_iter(imported).join(" ")));
    Vec::from_iter(lines).join("\n")
}

#[test]
fn imports_are_seen_wherever_they_stand() {
    let of = |code| {
        let all = imports_of(&[
            ("lib", "pub use c::{C, d::D};"),
            ("x/a", code),
            ("x/b", ""),
            ("c", ""),
            ("c/d", ""),
        ]);
        all.strip_prefix("x/a: ").unwrap_or_default().to_string()
    };
    assert_eq!(of("use crate::x::b::B;"), "x/b");
    assert_eq!(of("use super::{b::{self, B as Other}, Y};"), "x/b");
    assert_eq!(of("use crate::{C, D,\n x::b};"), "c c/d x/b");
    assert_eq!(of("fn f() -> crate::C { occlude::c::d::g() }"), "c c/d");
    assert_eq!(of("pub(crate) use crate::c::*; use super::b;"), "c x/b");
    assert_eq!(of("macro_rules! m { () => { $crate::c::b() } }"), "c");
    for code in [
        "// use crate::c;",
        "const C: &str = \"use crate::c\";",
        "use std::fmt; use other_crate::c; fn f() { self::c() }",
        "#[cfg(test)]\nmod tests { use crate::c; }",
    ] {
        assert_eq!(of(code), "", "{code}");
    }
}

#[test]
#[should_panic(expected = "x/a: super::super")]
fn a_path_through_two_parents_is_refused() {
    imports_of(&[("lib", ""), ("x/a", "use super::super::b;")]);
}

#[test]
fn a_wrong_picture_and_a_cycle_are_seen() {
    let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, BTreeSet<String>> {
        pairs
            .iter()
            .map(|(module, imported)| {
                (module.to_string(), imported.split_whitespace().map(String::from).collect())
            })
            .collect()
    };
    let graph = of(&[("cli/a", "cli/b/c x/y"), ("cli/b/c", ""), ("x/y", "z x/w"), ("x/w", ""), ("z", "")]);
    let problems = |picture: &str| problems(&graph, &rows(&format!("```text\n{picture}\n```"))).join("; ");
    assert_eq!(problems("src/cli/\na  what\nb/\nsrc/\nx/  what\nz.rs"), "");
    assert_eq!(problems("src/cli/\na  what\nb/\nsrc/\nx/, z.rs"), "x/y imports z, which is not below it");
    assert_eq!(problems("src/cli/\nb/\na\nsrc/\nx/\nz.rs"), "cli/a imports cli/b/c, which is not below it");
    assert_eq!(problems("src/cli/\na\nb/\nsrc/\nx/\nz.rs\nv/"), "v does not exist");
    assert_eq!(
        problems("src/cli/\na\nb/\nsrc/\nz.rs"),
        "cli/a imports x/y, which is not below it; x is missing"
    );
    assert_eq!(cycle(&graph), None);
    let circle = cycle(&of(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    assert_eq!(circle, Some(["b", "c", "d", "b"].map(String::from).to_vec()));
    assert_eq!(cycle(&of(&[("a", "a/b"), ("a/b", "a")])), None);
}
