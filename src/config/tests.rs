//! Every `testdata/config/NAME.yaml` against what `NAME.expected` says of it.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::keys::FieldValue;

/// Returns everything that was read from `text`, or what is wrong with it.
fn shown(text: &[u8], strictness: Strictness) -> String {
    let (config, warnings) = match Config::parse(text, ".sops.yaml", strictness) {
        Ok(read) => read,
        Err(error) => return format!("error: {error}\n"),
    };
    let mut out = String::new();
    for warning in warnings {
        writeln!(out, "warning: {warning}").unwrap();
    }
    for lint in config.lints() {
        writeln!(out, "lint: {lint}").unwrap();
    }
    match &config.creation_rules {
        None => out.push_str("no creation rules\n"),
        Some(rules) => {
            writeln!(out, "{} creation rules", rules.len()).unwrap();
            for rule in rules {
                show_rule(&mut out, "rule", rule);
            }
        }
    }
    for rule in &config.destination_rules {
        writeln!(
            out,
            "destination {} line {:?}: path {:?} to {:?}, omit_extensions {}",
            rule.number, rule.line, rule.path_regex, rule.destination, rule.omit_extensions
        )
        .unwrap();
        if let Some(rule) = &rule.recreation_rule {
            show_rule(&mut out, "  recreation", rule);
        }
    }
    if config.stores != Stores::default() {
        writeln!(out, "{:?}", config.stores).unwrap();
    }
    if config.encfile != Settings::default() {
        writeln!(out, "{:?}", config.encfile).unwrap();
    }
    out
}

fn show_rule(out: &mut String, name: &str, rule: &CreationRule) {
    writeln!(
        out,
        "{name} {} line {:?}: path {:?}, {:?}, threshold {:?}, mac_only_encrypted {}",
        rule.number,
        rule.line,
        rule.path_regex,
        rule.selector,
        rule.shamir_threshold,
        rule.mac_only_encrypted,
    )
    .unwrap();
    for group in &rule.groups {
        out.push_str("  group\n");
        for key in &group.keys {
            write!(out, "    {} {}", key.kind.name, key.text).unwrap();
            for (name, value) in &key.options {
                match value {
                    FieldValue::Text(text) => write!(out, " {name}={text}").unwrap(),
                    FieldValue::Map(fields) => {
                        for (field, value) in fields {
                            let value = value.as_text().unwrap();
                            write!(out, " {name}.{field}={value}").unwrap();
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            if let Some(line) = key.line {
                write!(out, " line {line}").unwrap();
            }
            if let Some(comment) = &key.comment {
                write!(out, " # {comment}").unwrap();
            }
            out.push('\n');
        }
    }
}

#[test]
fn files_give_what_is_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config");
    let mut wrong = String::new();
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = std::fs::read(&path).unwrap();
        let mut found = shown(&text, Strictness::Strict);
        let lenient = shown(&text, Strictness::Lenient);
        if lenient != found {
            write!(found, "--- lenient\n{lenient}").unwrap();
        }
        let expected = path.with_extension("expected");
        let expected = std::fs::read_to_string(expected).unwrap_or("no such file".into());
        if found != expected {
            writeln!(wrong, "=== {}\n{found}", path.display()).unwrap();
        }
        checked += 1;
    }
    assert!(checked > 20, "the files are there");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_first_rule_that_matches_wins() {
    let text = b"creation_rules:\n- path_regex: a\n- path_regex: ab\n- {}\n";
    let (config, _) = Config::parse(text, "x", Strictness::Strict).unwrap();
    let number = |path| config.rule_for(path).map(|rule| rule.number);
    assert_eq!(number("x/ab"), Some(1));
    assert_eq!(number("b"), Some(3));
    let (config, _) = Config::parse(b"creation_rules: []", "x", Strictness::Strict).unwrap();
    assert!(config.rule_for("a").is_none());
    assert_eq!(config.creation_rules, Some(vec![]));
    let (config, _) = Config::parse(b"", "x", Strictness::Strict).unwrap();
    assert_eq!(config.creation_rules, None);
}

#[test]
fn errors_hold_what_they_are_about() {
    let text = b"creation_rules:\n- age: x\n- age: y\n  encrypted_regx: z\n";
    let error = Config::parse(text, "x", Strictness::Strict).unwrap_err();
    assert_eq!((error.line, error.column, error.rule), (Some(4), Some(3), Some(2)));
    assert_eq!(error.problem.suggestion(), Some("encrypted_regex"));
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let error = Config::parse(b"a: \xFF", "x", Strictness::Strict).unwrap_err();
    assert_eq!(error.to_string(), "x: the configuration is not UTF-8");
}

fn numbered(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

#[test]
fn no_text_takes_long_or_panics() {
    // An eighth of what is allowed, to be quick; what grows with the square shows.
    let size = MAX_SIZE / 8;
    let many = |part: &str| part.repeat(size / part.len());
    for text in [
        many("- "),
        many("? "),
        many("a: "),
        many("-\n"),
        many("x"),
        many("x\n"),
        many("#\n"),
        many("\"\n"),
        format!("{}: 1", many("x")),
        format!("[{}", many("a,")),
        format!("- &a x\n{}", many("- *a\n")),
        format!("creation_rules:\n{}", many("- age: x\n")),
        format!("creation_rules:\n- age:\n{}", many("  - x\n")),
        numbered(size / 12, |n| format!("k{n}: 1\n")),
        numbered(size / 24, |n| format!("creation_rule_{n}: 1\n")),
        format!("creation_rules:\n- age: x\n{}", numbered(size / 16, |n| format!("  ag{n}: 1\n"))),
        numbered(500, |n| " ".repeat(n) + "a:\n"),
    ] {
        let text = &text.as_bytes()[..text.len().min(size)];
        let start = std::time::Instant::now();
        if let Ok((config, warnings)) = Config::parse(text, "x", Strictness::Lenient) {
            config.lints();
            assert!(warnings.len() <= 100);
        }
        let what = String::from_utf8_lossy(&text[..text.len().min(30)]);
        assert!(start.elapsed().as_secs() < 10, "{what:?}");
    }
}
