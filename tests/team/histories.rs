//! Random three-way histories in all formats: what merges here is what git's merge of the lines
//! is, wherever that is clean and has no key twice.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use encfile::document::Document;
use encfile::format::{by_name, duplicate_warnings};
use encfile::merge::three_way;
use encfile::secret::SecretBytes;

use crate::chance::Random;
use crate::files::ALICE;
use crate::peers;
use crate::sandbox::Sandbox;

const FORMATS: [&str; 6] = ["yaml", "json", "dotenv", "ini", "toml", "binary"];

const HISTORIES: u64 = 504;

/// Every so many histories go through the merge driver, encrypted. It has no divisor in common with
/// the number of formats, so that each comes up.
const SAMPLE: usize = 25;

/// A group of entries: the top of a file, a section or a nested map.
#[derive(Clone, Default)]
struct Group {
    name: String,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    key: String,
    values: Vec<String>,
    comment: Option<String>,
}

/// What a version of a file says, in any format.
#[derive(Clone, Default)]
struct Version(Vec<Group>);

impl Version {
    fn random(chance: &mut Random) -> Version {
        let mut version = Version(vec![Group::default()]);
        for number in 0..=chance.below(3) {
            if number > 0 {
                version.0.push(Group { name: format!("s{number}"), entries: Vec::new() });
            }
            for _ in 0..2 + chance.below(5) {
                version.add(chance, number);
            }
        }
        version
    }

    /// Returns the version with one to four changes.
    fn changed(&self, chance: &mut Random) -> Version {
        let mut version = self.clone();
        for _ in 0..=chance.below(4) {
            version.change(chance);
        }
        version
    }

    fn change(&mut self, chance: &mut Random) {
        let group = chance.below(self.0.len());
        let count = self.0[group].entries.len();
        match chance.below(10) {
            0..=3 if count > 0 => {
                let entry = chance.below(count);
                let values = &mut self.0[group].entries[entry].values;
                let value = chance.below(values.len());
                values[value] = secret(chance);
            }
            4 if count > 1 => {
                self.0[group].entries.remove(chance.below(count));
            }
            5 if count > 0 => {
                let entry = chance.below(count);
                let values = &mut self.0[group].entries[entry].values;
                if values.len() > 1 {
                    values.insert(chance.below(values.len() + 1), secret(chance));
                }
            }
            6 if count > 0 => {
                let entry = chance.below(count);
                self.0[group].entries[entry].comment = Some(secret(chance));
            }
            7 if self.0.len() > 1 && chance.percent(40) => {
                self.0.remove(1 + chance.below(self.0.len() - 1));
            }
            _ => self.add(chance, group),
        }
    }

    fn add(&mut self, chance: &mut Random, group: usize) {
        let key = format!("k{}", chance.below(30));
        let entries = &mut self.0[group].entries;
        if entries.iter().any(|entry| entry.key == key) {
            return;
        }
        let count = if chance.percent(20) { 2 + chance.below(3) } else { 1 };
        let values = (0..count).map(|_| secret(chance)).collect();
        let comment = chance.percent(20).then(|| secret(chance));
        entries.insert(chance.below(entries.len() + 1), Entry { key, values, comment });
    }

    fn text(&self, format: &str) -> String {
        match format {
            "json" => return self.json(),
            "yaml" => return self.yaml(),
            _ => {}
        }
        let mut text = String::new();
        for group in &self.0 {
            if !group.name.is_empty() && format != "dotenv" {
                let _ = writeln!(text, "[{}]", group.name);
            } else if format == "ini" {
                text.push_str("[top]\n");
            }
            for Entry { key, values, comment } in &group.entries {
                if let Some(comment) = comment {
                    let _ = writeln!(text, "# {comment}");
                }
                let joined = values.join(",");
                let _ = match format {
                    "dotenv" => writeln!(text, "{}{key}={joined}", group.name),
                    "toml" if values.len() > 1 => writeln!(text, "{key} = {values:?}"),
                    "toml" => writeln!(text, "{key} = {joined:?}"),
                    _ => writeln!(text, "{key} = {joined}"),
                };
            }
        }
        text
    }

    fn yaml(&self) -> String {
        let mut text = String::new();
        for group in &self.0 {
            let indent = if group.name.is_empty() {
                ""
            } else {
                let _ = writeln!(text, "{}:", group.name);
                "    "
            };
            for Entry { key, values, comment } in &group.entries {
                if let Some(comment) = comment {
                    let _ = writeln!(text, "{indent}# {comment}");
                }
                match &values[..] {
                    [value] => {
                        let _ = writeln!(text, "{indent}{key}: {value}");
                    }
                    values => {
                        let _ = writeln!(text, "{indent}{key}:");
                        for value in values {
                            let _ = writeln!(text, "{indent}    - {value}");
                        }
                    }
                }
            }
        }
        text
    }

    fn json(&self) -> String {
        let mut members = Vec::new();
        for group in &self.0 {
            let (outer, inner) =
                if group.name.is_empty() { ("", "    ") } else { ("    ", "        ") };
            let entries: Vec<String> = group
                .entries
                .iter()
                .map(|entry| match &entry.values[..] {
                    [value] => format!("{inner}\"{}\": {value:?}", entry.key),
                    values => {
                        let rows: Vec<String> =
                            values.iter().map(|value| format!("{inner}    {value:?}")).collect();
                        format!("{inner}\"{}\": [\n{}\n{inner}]", entry.key, rows.join(",\n"))
                    }
                })
                .collect();
            if group.name.is_empty() {
                members.extend(entries);
            } else {
                members.push(format!(
                    "{outer}\"{}\": {{\n{}\n{outer}}}",
                    group.name,
                    entries.join(",\n")
                ));
            }
        }
        format!("{{\n{}\n}}\n", members.join(",\n"))
    }
}

fn secret(chance: &mut Random) -> String {
    format!("canary{}", chance.below(100_000))
}

/// One history: the texts of the base and the two sides.
struct History {
    format: &'static str,
    texts: [String; 3],
}

fn history(seed: u64) -> History {
    let mut chance = Random::new(seed);
    let format = FORMATS[usize::try_from(seed).unwrap() % FORMATS.len()];
    let base = Version::random(&mut chance);
    let sides = [base.changed(&mut chance), base.changed(&mut chance)];
    History { format, texts: [&base, &sides[0], &sides[1]].map(|version| version.text(format)) }
}

fn parsed(format: &str, text: &str) -> Option<Document> {
    let format = by_name(format).unwrap();
    let document = Document::parse(format, SecretBytes::from(text.as_bytes())).ok()?;
    duplicate_warnings(document.tree()).is_empty().then_some(document)
}

/// Returns what git makes of the lines, if it finds no conflict.
fn merged_by_git(directory: &Path, texts: &[String; 3]) -> Option<String> {
    let names = ["base", "ours", "theirs"];
    for (name, text) in names.iter().zip(texts) {
        fs::write(directory.join(name), text).unwrap();
    }
    let output = Command::new(peers::system("git"))
        .args(["merge-file", "-p", "-q", "ours", "base", "theirs"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn random_histories_merge_as_git_merges_their_lines() {
    let sandbox = Sandbox::new();
    let mut compared = 0;
    let mut more_than_git = 0;
    for seed in 0..HISTORIES {
        let History { format, texts } = history(seed);
        let [base, ours, theirs] = [0, 1, 2].map(|side| {
            parsed(format, &texts[side]).unwrap_or_else(|| panic!("{seed}: {}", texts[side]))
        });
        let merged = three_way(Some(&base), &ours, &theirs);
        let by_git = merged_by_git(sandbox.runtime(), &texts).and_then(|text| {
            let document = parsed(format, &text)?;
            Some((text, document))
        });
        let shown = |git: &str| {
            let merged = String::from_utf8_lossy(&merged.text);
            format!(
                "history {seed}, {format}\n{}\n== git\n{git}\n== merged\n{merged}",
                texts.join("\n==\n")
            )
        };
        match by_git {
            // What is in a file without a structure belongs together.
            Some(_) if format == "binary" && !merged.conflicts.is_empty() => {
                assert_eq!(merged.conflicts.len(), 1);
            }
            Some((text, document)) => {
                assert_eq!(merged.conflicts, Vec::<String>::new(), "{}", shown(&text));
                let own = std::str::from_utf8(&merged.text).unwrap();
                let own = parsed(format, own).unwrap_or_else(|| panic!("{}", shown(&text)));
                assert!(own.tree().has_same_values(document.tree()), "{}", shown(&text));
                compared += 1;
            }
            None => more_than_git += usize::from(merged.conflicts.is_empty()),
        }
    }
    for name in ["base", "ours", "theirs"] {
        fs::remove_file(sandbox.runtime().join(name)).unwrap();
    }
    // A generator that makes conflicts alone would show nothing.
    assert!(compared > 100, "{compared}");
    assert!(more_than_git > 50, "{more_than_git}");
}

#[test]
fn the_driver_merges_encrypted_files_as_their_plain_texts() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    let editor = sandbox.editor(&format!("cat '{}' > \"$1\"", sandbox.path("wanted").display()));
    for seed in (0..HISTORIES).step_by(SAMPLE) {
        let History { format, texts } = history(seed);
        let ending = match format {
            "dotenv" => "env",
            "binary" => "bin",
            format => format,
        };
        let [base, ours, theirs] =
            ["base", "ours", "theirs"].map(|name| format!("{name}.{ending}"));
        sandbox.write(&base, &texts[0]);
        sandbox.encfile(["encrypt", "-i", &base]).go().success();
        for (name, text) in [(&ours, &texts[1]), (&theirs, &texts[2])] {
            fs::copy(sandbox.path(&base), sandbox.path(name)).unwrap();
            sandbox.write("wanted", text);
            sandbox.encfile(["edit", name]).env("EDITOR", &editor).go();
        }
        let [plain_base, plain_ours, plain_theirs] =
            [0, 1, 2].map(|side| parsed(format, &texts[side]).unwrap());
        let merged = three_way(Some(&plain_base), &plain_ours, &plain_theirs);
        let outcome = sandbox.encfile(["git", "merge", &base, &ours, &theirs, &ours]).go();
        if merged.conflicts.is_empty() {
            outcome.success();
            peers::assert_valid(&[sandbox.path(&ours)]);
            let outcome = sandbox.encfile(["decrypt", &ours]).go().success();
            let text = String::from_utf8(outcome.into_stdout()).unwrap();
            assert_eq!(text.as_bytes(), &merged.text[..], "history {seed}, {format}");
        } else {
            outcome.code(1);
            let text = sandbox.read(&ours);
            assert!(
                text.contains("<<<<<<< ") && !text.contains("canary"),
                "history {seed}\n{text}"
            );
        }
    }
}
