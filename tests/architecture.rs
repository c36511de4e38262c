//! ARCHITECTURE.md's picture against the sources: which module imports which, and that none imports, even by way of others,
//! one that imports it.
//!
//! An import is any path to something of these crates, be it after `use` or in the midst of code, and the `mod` of a child. It counts
//! for the module that defines what the path leads to, through all re-exports. Code that only tests have does not count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

/// The text of each Rust file, by its path in `src`.
type Files = BTreeMap<String, String>;

/// Which modules each module imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Absolute, its crate first: `occlude`, which is the library, or `command`.
type ModulePath = Vec<String>;

/// A piece of code. Comments and literals are none.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        if let Token::Word(word) = self { Some(word) } else { None }
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Token::Word(word) => word == text,
            Token::Colons => text == "::",
            Token::Sign(sign) => text.len() == 1 && text.starts_with(*sign),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => i += chars[i..].iter().take_while(|&&c| c != '\n').count(),
            '/' if at(i + 1) == '*' => i = after_comment(&chars, i),
            '"' => i = after_string(&chars, i),
            // A character, or else a lifetime, which is a sign and a word.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                i += chars[i..].iter().take_while(|&&c| c != '\'').count() + 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                tokens.push(Token::Colons);
                i += 2;
            }
            c if is_word(c) => {
                let word: String = chars[i..].iter().take_while(|&&c| is_word(c)).collect();
                i += word.chars().count();
                let hashes = chars[i..].iter().take_while(|&&c| c == '#').count();
                if ["r", "br", "cr"].contains(&word.as_str()) && at(i + hashes) == '"' {
                    i = after_raw_string(&chars, i, hashes);
                } else if !(["b", "c"].contains(&word.as_str()) && at(i) == '"') {
                    tokens.push(Token::Word(word));
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                i += 1;
            }
        }
    }
    tokens
}

/// Comments nest.
fn after_comment(chars: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    loop {
        match chars.get(i..i + 2).expect("a comment ends") {
            ['/', '*'] => (i, depth) = (i + 2, depth + 1),
            ['*', '/'] => (i, depth) = (i + 2, depth - 1),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
}

fn after_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// `start` is where the `#` begin.
fn after_raw_string(chars: &[char], start: usize, hashes: usize) -> usize {
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let inside = start + hashes + 1;
    let length = chars[inside..].windows(end.len()).position(|window| window == end);
    inside + length.expect("a string ends") + end.len()
}

/// The index after the bracket that closes the one at `open`.
fn after_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    panic!("a bracket is not closed");
}

/// The tokens without items that only tests have.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let is_attribute = |i: usize| tokens[i].is("#") && tokens.get(i + 1).is_some_and(|t| t.is("["));
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if !is_attribute(i) {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let end = after_bracket(tokens, i + 1);
        let words: Vec<&str> = tokens[i..end].iter().filter_map(Token::word).collect();
        i = end;
        let only_tests = match words[..] {
            ["cfg", "test"] => true,
            ["cfg", "all", ref conditions @ ..] => {
                conditions.contains(&"test") && !conditions.contains(&"not") && !conditions.contains(&"any")
            }
            _ => false,
        };
        if !only_tests {
            continue;
        }
        while is_attribute(i) {
            i = after_bracket(tokens, i + 1);
        }
        i = after_item(tokens, i);
    }
    kept
}

fn after_item(tokens: &[Token], start: usize) -> usize {
    let keywords = tokens[start..].iter().filter_map(Token::word);
    let first = keywords.into_iter().find(|word| !["pub", "crate", "super", "in"].contains(word));
    let has_block = !["use", "const", "static", "type", "let", "extern"].contains(&first.unwrap_or_default());
    let mut i = start;
    loop {
        match tokens[i] {
            Token::Sign(';') => return i + 1,
            Token::Sign('{') if has_block => return after_bracket(tokens, i),
            Token::Sign('(' | '[' | '{') => i = after_bracket(tokens, i),
            _ => i += 1,
        }
    }
}

/// A path that code mentions.
#[derive(Clone)]
struct Mention {
    /// The module that it is in, which may be one inside a file.
    base: ModulePath,
    path: Vec<String>,
}

#[derive(Default)]
struct Sources {
    /// The name in the picture of each module with a file of its own: the file's in `src`, without its ending.
    files: BTreeMap<ModulePath, String>,
    /// All modules, also those inside a file.
    modules: HashSet<ModulePath>,
    /// (module, name) of what is defined.
    items: HashSet<(ModulePath, String)>,
    /// What `use` calls it, in which module.
    aliases: HashMap<(ModulePath, String), Mention>,
    /// `use path::*`
    globs: HashMap<ModulePath, Vec<Mention>>,
    mentions: Vec<Mention>,
}

impl Sources {
    fn of(files: &Files) -> Sources {
        let mut sources = Sources::default();
        for (file, name) in [("lib.rs", "occlude"), ("main.rs", "command")] {
            if files.contains_key(file) {
                sources.read(files, file, vec![name.to_string()]);
            }
        }
        sources
    }

    /// Reads a file, which is the module's, and those of its children.
    fn read(&mut self, files: &Files, file: &str, module: ModulePath) {
        let name = file.trim_end_matches(".rs").trim_end_matches("/mod");
        self.files.insert(module.clone(), name.to_string());
        let folder = if module.len() == 1 { String::new() } else { format!("{name}/") };
        for child in self.scan(&without_tests(&tokens(&files[file])), &module) {
            let candidates = [format!("{folder}{child}.rs"), format!("{folder}{child}/mod.rs")];
            let found = candidates.iter().find(|candidate| files.contains_key(*candidate));
            let found = found.unwrap_or_else(|| panic!("{file}: the module {child} has no file"));
            self.read(files, found, joined(&module, &[child]));
        }
    }

    /// Takes what a file says. Returns which modules it has in files of their own.
    fn scan(&mut self, tokens: &[Token], module: &ModulePath) -> Vec<String> {
        self.modules.insert(module.clone());
        let mut children = Vec::new();
        let mut base = module.clone();
        // How deep in brackets each module is that is inside the file.
        let mut inside: Vec<usize> = Vec::new();
        let mut depth = 0;
        let mut i = 0;
        while i < tokens.len() {
            let next = |k: usize| tokens.get(i + k);
            match &tokens[i] {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') => {
                    depth -= 1;
                    if inside.last() == Some(&depth) {
                        inside.pop();
                        base.pop();
                    }
                }
                Token::Word(word) if word == "use" && !next(1).is_some_and(|t| t.is("<")) => {
                    i = self.scan_use(tokens, i + 1, &base, &[]);
                    continue;
                }
                Token::Word(word) if word == "mod" => {
                    let name = next(1).and_then(Token::word).expect("a module has a name").to_string();
                    if next(2).is_some_and(|t| t.is("{")) {
                        base.push(name);
                        self.modules.insert(base.clone());
                        inside.push(depth);
                        depth += 1;
                    } else {
                        self.mentions
                            .push(Mention { base: base.clone(), path: vec!["self".into(), name.clone()] });
                        children.push(name);
                    }
                    i += 3;
                    continue;
                }
                Token::Word(word) => {
                    let name = match word.as_str() {
                        "fn" | "struct" | "enum" | "union" | "trait" | "const" | "static" | "type" => next(1),
                        "macro_rules" => next(2),
                        _ => None,
                    };
                    if let Some(name) = name.and_then(Token::word) {
                        self.items.insert((base.clone(), name.to_string()));
                    }
                    let mut path = vec![word.clone()];
                    while let (Some(Token::Colons), Some(Token::Word(part))) =
                        (tokens.get(i + 1), tokens.get(i + 2))
                    {
                        path.push(part.clone());
                        i += 2;
                    }
                    if path.len() > 1 {
                        self.mentions.push(Mention { base: base.clone(), path });
                    }
                }
                _ => {}
            }
            i += 1;
        }
        children
    }

    /// Takes the tree of a `use` that begins at `start`. Returns the index after it.
    fn scan_use(&mut self, tokens: &[Token], start: usize, base: &ModulePath, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        let mut name = prefix.last().cloned().unwrap_or_default();
        let mut i = start;
        loop {
            match &tokens[i] {
                Token::Word(word) if word == "as" => {
                    name = tokens[i + 1].word().expect("a name").to_string();
                    i += 1;
                }
                // `{self}` is what is before it.
                Token::Word(word) if word == "self" && !path.is_empty() => {}
                Token::Word(word) => {
                    path.push(word.clone());
                    name = word.clone();
                }
                Token::Sign('*') => {
                    let mention = Mention { base: base.clone(), path };
                    self.globs.entry(base.clone()).or_default().push(mention.clone());
                    self.mentions.push(mention);
                    return i + 1;
                }
                Token::Sign('{') => {
                    i += 1;
                    while !tokens[i].is("}") {
                        i = self.scan_use(tokens, i, base, &path);
                        if tokens[i].is(",") {
                            i += 1;
                        }
                    }
                    return i + 1;
                }
                Token::Sign(',' | '}' | ';') => {
                    let mention = Mention { base: base.clone(), path };
                    self.mentions.push(mention.clone());
                    self.aliases.insert((base.clone(), name), mention);
                    return i;
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// The absolute path that is mentioned; nothing when it is not of these crates.
    fn absolute(&self, mention: &Mention) -> Option<ModulePath> {
        let Mention { base, path } = mention;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(joined(&base[..1], rest)),
            "self" => Some(joined(base, rest)),
            "super" => {
                let above = Mention { base: base[..base.len() - 1].to_vec(), path: rest.to_vec() };
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(&above),
                    _ => Some(joined(&above.base, rest)),
                }
            }
            "occlude" if base[0] == "command" => Some(path.clone()),
            _ if self.modules.contains(&joined(base, &path[..1])) => Some(joined(base, path)),
            _ => match self.aliases.get(&(base.clone(), first.clone())) {
                // Itself, as `use serde_json` has it.
                Some(alias) if alias.path[0] == *first => None,
                Some(alias) => Some(joined(&self.absolute(alias)?, rest)),
                None => None,
            },
        }
    }

    /// The module that defines what an absolute path leads to, through all re-exports.
    fn definer(&self, path: &[String]) -> Option<ModulePath> {
        let mut module = path[..1].to_vec();
        for (i, part) in path.iter().enumerate().skip(1) {
            let deeper = joined(&module, &path[i..=i]);
            if self.modules.contains(&deeper) {
                module = deeper;
                continue;
            }
            let key = (module.clone(), part.clone());
            if self.items.contains(&key) {
                break;
            }
            if let Some(alias) = self.aliases.get(&key) {
                // From another crate: its own module is the nearest that these sources have.
                let Some(absolute) = self.absolute(alias) else { break };
                return self.definer(&joined(&absolute, &path[i + 1..]));
            }
            let globs = self.globs.get(&module).into_iter().flatten();
            let through = globs.filter_map(|glob| self.absolute(glob));
            let mut found = through.filter_map(|glob| self.definer(&joined(&glob, &path[i..])));
            return found.next();
        }
        Some(module)
    }

    /// The names of the modules with files, each with those that it imports.
    ///
    /// # Panics
    /// When a path leads nowhere: then this does not read the sources as the compiler does.
    fn imports(&self) -> Imports {
        let mut imports: Imports = self.files.values().map(|name| (name.clone(), BTreeSet::new())).collect();
        for mention in &self.mentions {
            let Some(absolute) = self.absolute(mention) else { continue };
            let definer = self.definer(&absolute);
            let definer = definer.unwrap_or_else(|| {
                panic!("{}: not found: {}", self.file(&mention.base), absolute.join("::"))
            });
            let (from, to) = (self.file(&mention.base), self.file(&definer));
            if from != to {
                imports.get_mut(from).expect("all are there").insert(to.to_string());
            }
        }
        imports
    }

    /// The name of the file that has the module.
    fn file(&self, module: &[String]) -> &str {
        let lengths = (1..=module.len()).rev();
        lengths.filter_map(|length| self.files.get(&module[..length])).next().expect("the root has a file")
    }
}

fn joined(path: &[String], rest: &[String]) -> ModulePath {
    [path, rest].concat()
}

/// Modules that import each other in a circle, the first again at the end; nothing if there are none.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    /// Goes on from the last module of `way`; those in `done` are in no circle.
    fn search(imports: &Imports, way: &mut Vec<String>, done: &mut HashSet<String>) -> bool {
        let last = way.last().expect("it begins somewhere").clone();
        for next in &imports[&last] {
            if let Some(start) = way.iter().position(|module| module == next) {
                way.drain(..start);
                way.push(next.clone());
                return true;
            }
            way.push(next.clone());
            if !done.contains(next) && search(imports, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(last);
        false
    }
    let mut done = HashSet::new();
    imports.keys().find_map(|module| {
        let mut way = vec![module.clone()];
        search(imports, &mut way, &mut done).then_some(way)
    })
}

/// The rows of the picture, the uppermost first: the chains in each, and the modules in each chain.
type Rows = Vec<Vec<Vec<String>>>;

/// The picture is the first block of text: lines of three columns, which are the folder (where there is none, that of the line
/// above), the modules, and what they are.
fn rows(document: &str) -> Rows {
    let block = document.split("```").nth(1).expect("a picture");
    let mut folder = String::new();
    let mut rows = Vec::new();
    for line in block.lines() {
        let columns: Vec<&str> = line.split('│').map(str::trim).collect();
        let [named, modules, _] = columns[..] else { continue };
        if !named.is_empty() {
            folder = named.trim_start_matches("src/").to_string();
        }
        // Two spaces lie between chains, " > " between the modules of one.
        let chains = modules.split("  ").map(str::trim).filter(|chain| !chain.is_empty());
        let chain = |chain: &str| chain.split(" > ").map(|module| format!("{folder}{module}")).collect();
        rows.push(chains.map(chain).collect());
    }
    rows
}

/// What is wrong with the picture, in words.
fn problems(imports: &Imports, rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    let mut places = HashMap::new();
    for (y, row) in rows.iter().enumerate() {
        for (x, chain) in row.iter().enumerate() {
            for (at, module) in chain.iter().enumerate() {
                if places.insert(module, (y, x, at)).is_some() {
                    problems.push(format!("{module} stands in it twice"));
                }
                if !imports.contains_key(module) {
                    problems.push(format!("{module} is no module"));
                }
            }
            for pair in chain.windows(2) {
                if imports.get(&pair[0]).is_some_and(|imported| !imported.contains(&pair[1])) {
                    problems.push(format!("{} does not import {}, which stands after it", pair[0], pair[1]));
                }
            }
        }
    }
    for (module, imported) in imports {
        let Some(&(y, x, at)) = places.get(module) else {
            problems.push(format!("{module} is missing"));
            continue;
        };
        for other in imported {
            let Some(&(other_y, other_x, other_at)) = places.get(other) else { continue };
            let is_below = other_y > y;
            let is_after = (other_y, other_x) == (y, x) && other_at > at;
            if !is_below && !is_after {
                problems.push(format!("{module} imports {other}, which does not stand below it"));
            }
        }
    }
    problems
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files in a folder of `src`; `name` is its path there, with a slash at the end, or nothing.
fn read_all(name: &str) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(root().join("src").join(name)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{name}{}", entry.file_name().to_str().expect("a plain name"));
        if entry.file_type().unwrap().is_dir() {
            files.append(&mut read_all(&format!("{path}/")));
        } else if path.ends_with(".rs") {
            files.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn no_module_imports_one_that_imports_it() {
    let files = read_all("");
    let sources = Sources::of(&files);
    assert_eq!(sources.files.len(), files.len(), "not all files are modules of the two crates");
    let imports = sources.imports();
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 300, "only {count} imports found: this test no longer sees what it looks for");
    assert_eq!(cycle(&imports), None);
}

#[test]
fn the_picture_shows_each_module_above_those_that_it_imports() {
    let imports = Sources::of(&read_all("")).imports();
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let problems = problems(&imports, &rows(&document));
    assert!(problems.is_empty(), "ARCHITECTURE.md's picture: {problems:#?}");
}

/// What ARCHITECTURE.md says must not know what: the modules whose names begin so, and all that these may import besides one
/// another, by the beginnings of their names.
const KNOWLEDGE: [(&str, &[&str]); 6] = [
    ("kernels", &["error", "network"]),
    ("reference", &["kernels/gemm", "network", "rect", "weights"]),
    ("weights", &["error", "labels", "network"]),
    ("cli/figure", &["cli/canvas", "cli/colours", "cli/text", "network", "rect", "resize"]),
    ("cli/canvas", &["cli/text"]),
    ("cli/output", &["cli/interrupt", "error"]),
];

#[test]
fn modules_know_only_what_they_may() {
    let imports = Sources::of(&read_all("")).imports();
    for (name, known) in KNOWLEDGE {
        let begins = |module: &str, name: &str| {
            module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let group = imports.iter().filter(|(module, _)| begins(module, name));
        let imported: BTreeSet<_> = group.flat_map(|(_, imported)| imported).collect();
        assert!(!imported.is_empty(), "{name} imports nothing: this test no longer sees what it looks for");
        for other in imported {
            assert!(
                begins(other, name) || known.iter().any(|known| begins(other, known)),
                "{name} must not know of {other}"
            );
        }
    }
}

/// The imports of made-up sources, as text: `module: imported imported`, a line a module that imports any.
fn imports_of(files: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(file, text)| (file.to_string(), text.to_string())).collect();
    let imports = Sources::of(&files).imports();
    let some = imports.into_iter().filter(|(_, imported)| !imported.is_empty());
    let lines = some.map(|(module, imported)| format!("{module}: {}", Vec::from_iter(imported).join(" ")));
    Vec::from_iter(lines).join("\n")
}

#[test]
fn imports_are_seen_wherever_they_stand() {
    let children = |code| imports_of(&[("lib.rs", "mod a;"), ("a.rs", code), ("a/b.rs", "pub struct B;")]);
    assert_eq!(children("mod b;"), "a: a/b\nlib: a");
    let of = |code| {
        let others = "mod a; mod b; mod c; pub use c::C; const X: u8 = 0;";
        let c = "pub struct C; pub mod inner { pub fn f() {} } macro_rules! m { () => {} }";
        let all = imports_of(&[("lib.rs", others), ("a.rs", code), ("b.rs", "pub fn b() {}"), ("c.rs", c)]);
        let of_a = all.lines().find_map(|line| line.strip_prefix("a: "));
        of_a.unwrap_or_default().to_string()
    };
    assert_eq!(of("use crate::b::b;"), "b");
    assert_eq!(of("use super::{b::{self, b as other}, C};"), "b c");
    assert_eq!(of("use super::*;"), "lib");
    assert_eq!(of("use crate::c::inner::*;"), "c");
    assert_eq!(of("use crate::X;"), "lib");
    assert_eq!(of("fn f() -> crate::C { crate::c::inner::f() }"), "c");
    assert_eq!(of("fn f() { use super::b; b::b() }"), "b");
    assert_eq!(of("mod inner { use super::super::b; fn f() { super::f() } } fn f() {}"), "b");
    assert_eq!(of("use crate::c; use c::inner; fn f() { inner::f() }"), "c");
    assert_eq!(of("macro_rules! m { () => { $crate::b::b() } }"), "b");
    assert_eq!(
        of("const C: char = '\"'; use crate::b; const D: &str = \"\\\"\"; fn f<'a>(_: &'a u8) {}"),
        "b"
    );
    assert_eq!(of("const C: char = '\\''; const D: u8 = b'\\\\'; use crate::b;"), "b");
    assert_eq!(of("#[cfg(feature = \"x\")] use crate::b;"), "b");
    assert_eq!(of("#[cfg(any(feature = \"x\", test))] use crate::b;"), "b");
    assert_eq!(of("#[cfg(not(test))] use crate::b;"), "b");
    assert_eq!(of("#[cfg(test)] mod tests { use super::*; } use crate::b;"), "b");
}

#[test]
fn what_is_no_import_is_not_taken_for_one() {
    for code in [
        "// use crate::b;",
        "//! [`crate::b`]",
        "/* use crate::b; /* nested */ use crate::b; */",
        "const C: &str = \"use crate::b; \\\" crate::b\";",
        "const C: &str = r#\"\" use crate::b;\"#;",
        "use std::fmt; fn f() -> fmt::Result { Ok(()) }",
        "#[cfg(test)] mod tests { use crate::b; }",
        "#[cfg(test)] #[allow(unused)] use crate::{b, b::b};",
        "#[cfg(all(test, unix))] fn f() { crate::b::b() }",
        "pub(crate) fn f() {} fn g() { self::f() }",
    ] {
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", code), ("b.rs", "pub fn b() {}")];
        assert_eq!(imports_of(&files), "lib: a b", "{code}");
    }
}

#[test]
fn the_command_imports_the_modules_of_the_library() {
    let files = [
        ("lib.rs", "mod a; pub mod b; pub use a::A;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "pub fn b() {}"),
        ("main.rs", "mod cli;"),
        ("cli/mod.rs", "mod c; use c::f;"),
        ("cli/c.rs", "use occlude::A; pub fn f() { occlude::b::b(); crate::cli::c::g() } fn g() {}"),
    ];
    assert_eq!(imports_of(&files), "cli: cli/c\ncli/c: a b\nlib: a b\nmain: cli");
}

#[test]
#[should_panic(expected = "a: not found: occlude::b::absent")]
fn a_path_that_leads_nowhere_is_not_passed_over() {
    imports_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::absent;"), ("b.rs", "")]);
}

fn imports(pairs: &[(&str, &[&str])]) -> Imports {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    pairs.iter().map(|(module, imported)| (module.to_string(), owned(imported))).collect()
}

#[test]
fn a_cycle_is_seen() {
    assert_eq!(cycle(&imports(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    let circle = cycle(&imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["d"]), ("d", &["b"])]));
    assert_eq!(circle, Some(["b", "c", "d", "b"].map(String::from).to_vec()));
}

#[test]
fn a_wrong_picture_is_seen() {
    let imports = imports(&[("a", &["x/b", "c"]), ("x/b", &["c"]), ("c", &[]), ("d", &["c"])]);
    let problems = |picture: &str| problems(&imports, &rows(&format!("```text\n{picture}\n```"))).join("; ");
    assert_eq!(problems("src/ │ a > x/b  d │ what\n──┼──┼──\n │ c │"), "");
    assert_eq!(problems("src/ │ a  d │\nsrc/x/ │ b │\nsrc/ │ c │"), "");
    assert_eq!(problems("src/ │ a > x/b > c │"), "d is missing");
    assert_eq!(
        problems("src/ │ a > x/b  d │\n │ c  d │"),
        "d stands in it twice; d imports c, which does not stand below it"
    );
    assert_eq!(problems("src/ │ a > x/b  d  e │\n │ c │"), "e is no module");
    assert_eq!(problems("src/ │ a > d > x/b │\n │ c │").split(';').count(), 2);
    assert_eq!(problems("src/ │ a  x/b  d │\n │ c │"), "a imports x/b, which does not stand below it");
    assert_eq!(problems("src/ │ x/b  d │\n │ a > c │"), "a imports x/b, which does not stand below it");
}
