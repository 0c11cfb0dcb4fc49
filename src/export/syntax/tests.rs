//! Each syntax against a reader that does what the documentation, and the source, of the real one
//! says.

use proptest::prelude::*;

use super::*;
use crate::export::{Only, Reading};
use crate::format::FileFormat as _;
use crate::format::json::Json;

fn variables(pairs: &[(&str, &[u8])]) -> Variables {
    let mut variables = Variables::default();
    for (name, value) in pairs {
        variables.set(name, SecretBytes::from(*value));
    }
    variables
}

fn written(syntax: Syntax, name: &str, value: &[u8]) -> Result<Vec<u8>, String> {
    let text = syntax.write(&variables(&[(name, value)]));
    text.map(|text| text.to_vec()).map_err(|error| error.to_string())
}

/// Reads as GitHub's runner does.
fn read_by_runner(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut next_line = || {
        let (line, behind) = rest.split_once('\n')?;
        rest = behind;
        Some(line)
    };
    while let Some(line) = next_line() {
        if line.is_empty() {
            continue;
        }
        let heredoc = line.find("<<").expect("a delimiter");
        assert!(line.find('=').is_none_or(|equals| equals > heredoc));
        let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
        assert!(!name.is_empty() && !delimiter.is_empty());
        let mut lines = Vec::new();
        loop {
            match next_line().expect("the delimiter comes again") {
                line if line == delimiter => break,
                line => lines.push(line),
            }
        }
        found.push((name.to_owned(), lines.join("\n")));
    }
    found
}

/// Reads as `docker run --env-file` does.
fn read_by_docker(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in text.split_terminator('\n') {
        assert!(line.len() < 64 * 1024);
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').expect("a value");
        assert!(!name.is_empty() && !name.contains(char::is_whitespace));
        found.push((name.to_owned(), value.to_owned()));
    }
    found
}

/// Reads as systemd does, for texts in which every value is in double quotes.
fn read_by_systemd(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut letters = behind.char_indices();
        let end = loop {
            match letters.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => match letters.next().expect("an escaped letter").1 {
                    letter @ ('"' | '\\' | '`' | '$') => value.push(letter),
                    '\n' => {}
                    other => value.extend(['\\', other]),
                },
                (_, letter) => value.push(letter),
            }
        };
        found.push((name.to_owned(), value));
        rest = behind[end + 1..].strip_prefix('\n').expect("a line break");
    }
    assert!(rest.is_empty());
    found
}

/// A reader of a syntax, and whether a value can be written in it at all.
type Peer = (Syntax, fn(&str) -> Vec<(String, String)>, fn(&str) -> bool);

const PEERS: [Peer; 3] = [
    (Syntax::Github, read_by_runner, |_| true),
    (Syntax::Docker, read_by_docker, |value| !value.contains('\n') && !value.ends_with('\r')),
    (Syntax::Systemd, read_by_systemd, |value| {
        !value.contains(|letter: char| letter.is_ascii_control() && !"\t\n".contains(letter))
    }),
];

proptest! {
    #[test]
    fn readers_get_the_value_or_it_is_refused(value in "[\\x01-\\x7f\u{85}\u{a0}é]{0,12}") {
        for (syntax, read, can_be_written) in PEERS {
            let text = syntax.write(&variables(&[("A", value.as_bytes()), ("B", b"2")]));
            prop_assert_eq!(text.is_ok(), can_be_written(&value));
            if let Ok(text) = text {
                let found = read(std::str::from_utf8(&text).unwrap());
                prop_assert_eq!(found, [("A".to_owned(), value.clone()), ("B".into(), "2".into())]);
            }
        }
    }
}

#[test]
fn each_syntax_looks_as_its_readers_know_it() {
    let value = b"it's \"$HOME\"\\";
    assert_eq!(written(Syntax::Shell, "A", value).unwrap(), b"export A='it'\\''s \"$HOME\"\\'\n");
    assert_eq!(written(Syntax::Docker, "A", value).unwrap(), b"A=it's \"$HOME\"\\\n");
    assert_eq!(written(Syntax::Systemd, "A", value).unwrap(), b"A=\"it's \\\"\\$HOME\\\"\\\\\"\n");
    let github = String::from_utf8(written(Syntax::Github, "A", b"a\nb").unwrap()).unwrap();
    let delimiter = github.lines().last().unwrap();
    assert_eq!(delimiter.len(), "ENCFILE_".len() + 32);
    assert_eq!(github, format!("A<<{delimiter}\na\nb\n{delimiter}\n"));
}

#[test]
fn every_value_has_a_delimiter_of_its_own() {
    let text = Syntax::Github.write(&variables(&[("A", b"1"), ("B", b"2")])).unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    let mut delimiters: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once("<<")?.1)).collect();
    delimiters.dedup();
    assert_eq!(delimiters.len(), 2);
}

#[test]
fn names_must_be_identifiers_but_for_docker() {
    for name in ["a-b", "a.b", "1a", "a b", "é", "a;reboot", "A<<B"] {
        for syntax in [Syntax::Shell, Syntax::Github, Syntax::Systemd] {
            assert_eq!(
                written(syntax, name, b"x").unwrap_err(),
                format!(
                    "`{name}` cannot be the name of a variable: only letters, digits and `_` may \
                     be in it, and no digit may come first"
                )
            );
        }
    }
    assert_eq!(written(Syntax::Docker, "a-b.c", b"x").unwrap(), b"a-b.c=x\n");
    assert!(written(Syntax::Docker, "#a", b"x").is_err());
}

#[test]
fn what_cannot_be_written_is_named_and_not_shown() {
    let long = vec![b'c'; 1 << 16];
    for (syntax, value, reason) in [
        (Syntax::Docker, &b"canary\nb"[..], "has a line break, which docker's format cannot hold"),
        (Syntax::Docker, b"canary\r", "ends with a CR, which docker would cut off"),
        (Syntax::Docker, long.as_slice(), "is longer than docker reads, 64 KiB"),
        (Syntax::Docker, b"canary\xff", "is not UTF-8, as its reader wants it"),
        (Syntax::Github, b"canary\xff", "is not UTF-8, as its reader wants it"),
        (Syntax::Systemd, b"canary\xff", "is not UTF-8, as its reader wants it"),
        (Syntax::Systemd, b"canary\x1b", "has a control character, for which systemd drops it"),
    ] {
        let error = written(syntax, "A", value).unwrap_err();
        assert_eq!(error, format!("the value of `A` {reason}"));
    }
    assert_eq!(written(Syntax::Shell, "A", b"\xff").unwrap(), b"export A='\xff'\n");
}

#[test]
fn each_line_of_a_value_is_masked() {
    let tree = Json.parse(SecretBytes::from(r#"{"a": "one\r\n\n two%0A\n \n", "b": ""}"#)).unwrap();
    let mut variables = Variables::default();
    variables.add(&tree, &Reading::default(), &mut Only::default()).unwrap();
    let masks = github_masks(&variables);
    assert_eq!(masks.as_slice(), b"::add-mask::one\n::add-mask:: two%250A\n");
}
