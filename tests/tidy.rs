//! Rules for the source that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::files::{below, repository, short};

/// The layers of `ARCHITECTURE.md`, lowest first. A module uses only modules of lower layers;
/// inside a module, anything.
const LAYERS: &[&[&str]] = &[
    &["span", "secret", "diagnostic"],
    &["tree", "edits"],
    &["number"],
    &["format", "crypt", "selector", "export"],
    &["document", "keys"],
    &["metadata", "config"],
    &["file", "policy", "publish", "audit", "service"],
    &["check", "merge", "diff", "scan", "remote"],
    &["cli"],
];

/// Lines of a file without its tests.
const LONGEST_FILE: usize = 600;

/// A Rust file, split into what the rules look at.
struct Source {
    path: PathBuf,
    /// The code in front of the tests, comments removed; as many lines as the file has there.
    code: String,
    /// The comments that document the file as a whole.
    module_doc: String,
}

fn rust_files(folder: &str) -> Vec<Source> {
    let files = below(folder);
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    files.map(Source::read).collect()
}

impl Source {
    fn read(path: PathBuf) -> Source {
        let text = fs::read_to_string(&path).unwrap();
        let tests = text.find("\n#[cfg(test)]\n");
        let shipped = match tests {
            Some(at) => &text[..=at],
            None if is_test(&path) => "",
            None => &text,
        };
        let module_doc = text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
        let code = shipped.lines().fold(String::new(), |mut code, line| {
            code.push_str(without_comment(line));
            code.push('\n');
            code
        });
        Source { path, code, module_doc }
    }

    /// Returns the top-level module of a file below `src`; `None` for `lib.rs` and `main.rs`.
    fn module(&self) -> Option<String> {
        let inside = self.path.strip_prefix(repository().join("src")).unwrap();
        let first = Path::new(inside.components().next()?.as_os_str());
        let name = first.file_stem()?.to_str()?;
        (!matches!(name, "lib" | "main")).then(|| name.to_owned())
    }

    /// Returns each match of `pattern` in the code as `file:line: text`.
    fn places(&self, pattern: &Regex) -> Vec<String> {
        self.code
            .lines()
            .enumerate()
            .filter(|(_, line)| pattern.is_match(line))
            .map(|(number, line)| format!("{}:{}: {}", short(&self.path), number + 1, line.trim()))
            .collect()
    }
}

/// Returns whether a file below `src` is a module of tests.
fn is_test(path: &Path) -> bool {
    let names = ["tests", "testing", "laws", "vectors"].map(std::ffi::OsStr::new);
    path.strip_prefix(repository().join("src")).is_ok_and(|inside| {
        inside.with_extension("").components().any(|part| names.contains(&part.as_os_str()))
    })
}

/// Cuts a line at `//`, but for that of a URL.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| from + at) {
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// Returns the top-level modules that `code` names with `crate::`, also in `crate::{a, b::c}`.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        // `$crate::` and `pub(in crate::a)` name modules like any other path.
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (offset, letter) in group.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    _ if start && depth == 0 && !letter.is_whitespace() => {
                        used.push(identifier(&group[offset..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            used.push(identifier(rest));
        }
    }
    used
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|&letter| letter.is_alphanumeric() || letter == '_').collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[track_caller]
fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn modules_use_only_lower_layers() {
    let mut wrong = Vec::new();
    for source in rust_files("src") {
        let Some(module) = source.module() else {
            continue;
        };
        let Some(own) = layer(&module) else {
            wrong.push(format!("{}: `{module}` has no layer", short(&source.path)));
            continue;
        };
        for used in used_modules(&source.code) {
            let allowed = used == module || layer(&used).is_some_and(|other| other < own);
            if !allowed {
                wrong.push(format!("{}: `crate::{used}`", short(&source.path)));
            }
        }
    }
    assert_none(&wrong, "a module uses another of its own or a higher layer");
}

#[test]
fn used_modules_are_understood() {
    assert_eq!(
        used_modules("use crate::a::B; use crate::{c, d::{E, F},\n g}; let h = crate::i();"),
        ["a", "c", "d", "g", "i"]
    );
    assert_eq!(without_comment("x(\"https://y\"); // crate::z"), "x(\"https://y\"); ");
}

#[test]
fn commands_forget_no_audit_log() {
    // The methods of `Context` write down what they give out; what they are made of does not.
    let below = Regex::new(concat!(
        r"\bunwrap_(any|ahead)\b|\.unwrap\([^)]|\.data_key\([^,)]*credentials|\bdata_key_to_wrap\b",
        r"|\bfile::encrypt\b|\bfile::\{[^}]*\bencrypt\b|\.reseal\(",
    ))
    .unwrap();
    // Each with why nothing is given out there.
    let exceptions = [
        ("src/cli/context.rs", ""),
        // It asks for keys, and `Context` takes the answers.
        ("src/cli/ahead.rs", "unwrap_ahead"),
        // What an editor leaves behind is kept for its owner even if there is no log.
        ("src/cli/editing.rs", "file::encrypt("),
        // The values stay encrypted.
        ("src/cli/commands/groups.rs", "data_key_to_wrap"),
        ("src/cli/commands/updatekeys.rs", "data_key_to_wrap"),
    ];
    let mut found = Vec::new();
    for source in rust_files("src/cli") {
        let file = short(&source.path);
        let is_exception = |place: &String| {
            exceptions.iter().any(|(name, what)| file == *name && place.contains(what))
        };
        found.extend(source.places(&below).into_iter().filter(|place| !is_exception(place)));
    }
    assert_none(
        &found,
        "not in the audit log: use `Context::{open, data_key, data_key_or_report, encrypt, encrypt_anew}`",
    );
}

#[test]
fn no_unwrap_outside_tests() {
    let pattern = Regex::new(r"\.unwrap\(\)|\.unwrap_err\(\)|\b(todo|unimplemented|dbg)!").unwrap();
    let found: Vec<String> =
        rust_files("src").iter().flat_map(|source| source.places(&pattern)).collect();
    assert_none(&found, "may panic");
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut long = Vec::new();
    for source in ["src", "tests", "fuzz"].into_iter().flat_map(rust_files) {
        let lines = source.code.lines().count();
        if lines > LONGEST_FILE && !source.module_doc.contains("long because") {
            long.push(format!("{}: {lines} lines", short(&source.path)));
        }
    }
    assert_none(
        &long,
        "split it, or write in the module documentation that it is `long because` ...",
    );
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|source| source.module_doc.trim().is_empty())
        .map(|source| short(&source.path))
        .collect();
    assert_none(&silent, "no `//!` at the top");
}

#[test]
fn nothing_is_left_to_do() {
    // In two pieces, so that this file does not have the words.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut found = Vec::new();
    for folder in ["src", "tests", "fuzz", ".ci"] {
        for path in below(folder) {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            for (number, line) in text.lines().enumerate() {
                if words.iter().any(|word| line.contains(word)) {
                    found.push(format!("{}:{}", short(&path), number + 1));
                }
            }
        }
    }
    assert_none(&found, "an issue is the place for this");
}

#[test]
fn all_testdata_is_used() {
    let mut sources = String::new();
    for folder in ["src", "tests", "fuzz", ".ci"] {
        for path in below(folder) {
            sources.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
    let mut unused = Vec::new();
    for folder in ["testdata", "testdata/vectors", "testdata/corpus"] {
        let Ok(entries) = fs::read_dir(repository().join(folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let full = format!("{folder}/{name}");
            // The corpus is found by the name of its folders, the rest by its path.
            let used = match folder {
                "testdata/corpus" => sources.contains(&format!("\"{name}\"")),
                _ => sources.contains(&full),
            };
            if entry.file_type().unwrap().is_dir() && !used {
                unused.push(full);
            }
        }
    }
    assert_none(&unused, "no test uses this directory");
}

#[test]
fn the_documents_are_short() {
    for (name, most) in [("README.md", 290), ("ARCHITECTURE.md", 260)] {
        let text = fs::read_to_string(repository().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = text.lines().count();
        assert!(lines <= most, "{name} has {lines} lines, more than {most}");
    }
}

#[test]
fn scripts_can_be_run_and_stop_at_the_first_error() {
    use std::os::unix::fs::PermissionsExt;
    for name in [".ci/run", "tests/peers.sh", "tests/run.sh"] {
        let path = repository().join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name} is not executable");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("set -euo pipefail"), "{name}");
    }
}
