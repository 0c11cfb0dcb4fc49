//! What a change makes of a text, line by line.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::document::{ChangeError, Document};
use crate::format::{self, json};
use crate::secret::SecretBytes;
use crate::tree::path::TreePath;

fn document(format: &str, text: &str) -> Document {
    Document::parse(format::by_name(format).unwrap(), SecretBytes::from(text)).unwrap()
}

fn text(document: &Document) -> String {
    String::from_utf8(document.text().to_vec()).unwrap()
}

/// Sets `path=value` or removes `path`; returns the text, marked with `!` where all was written
/// anew, or the error.
fn changed(format: &str, source: &str, change: &str) -> String {
    let document = document(format, source);
    let result = match change.split_once('=') {
        Some((path, value)) => {
            let value = json::parse_value(SecretBytes::from(value)).unwrap();
            document.set(&TreePath::parse(path).unwrap(), &value)
        }
        None => document.unset(&TreePath::parse(change).unwrap()),
    };
    match result {
        Ok(changed) => text(&changed.document) + if changed.in_place { "" } else { "!" },
        Err(error) => error.to_string(),
    }
}

fn assert_changes(format: &str, changes: &[(&str, &str, &str)]) {
    for &(source, change, expected) in changes {
        assert_eq!(changed(format, source, change), expected, "{source:?} {change}");
    }
}

#[test]
fn yaml_values_keep_their_style() {
    assert_changes(
        "yaml",
        &[
            ("a: x # c\nb: 1\n", "a=\"w\"", "a: w # c\nb: 1\n"),
            ("a: 'x'\nb: \"x\"\n", "a=\"w\"", "a: 'w'\nb: \"x\"\n"),
            ("a: 'x'\nb: \"x\"\n", "b=\"w\"", "a: 'x'\nb: \"w\"\n"),
            ("a: 'x'\n", "a=5", "a: 5\n"),
            ("a: 1\n", "a=1.50", "a: 1.50\n"),
            ("a: 1\n", "a=\"1\"", "a: \"1\"\n"),
            ("a: |\n  x\nb: 1\n", "a=\"y\\nz\\n\"", "a: |\n  y\n  z\nb: 1\n"),
            ("a: x\nb: 1\n", "a=\"y\\nz\\n\"", "a: |\n    y\n    z\nb: 1\n"),
            ("a:\nb: 1\n", "a=\"x\"", "a: x\nb: 1\n"),
            ("a: # c\nb: 1\n", "a=\"x\"", "a: x # c\nb: 1\n"),
        ],
    );
}

#[test]
fn yaml_maps_and_lists_take_the_place_of_values() {
    assert_changes(
        "yaml",
        &[
            ("a: x # c\nb: 1\n", "a={\"k\": [1]}", "a: # c\n    k:\n        - 1\nb: 1\n"),
            ("a:\n  b: x\n", "a.b={\"k\": [1]}", "a:\n  b:\n    k:\n      - 1\n"),
            ("a: # c\n  b: x # d\nb: 1\n", "a=5", "a: 5 # c\nb: 1\n"),
            ("a:\n  b: x\n# c\nb: 1\n", "a=[]", "a: []\n# c\nb: 1\n"),
            ("l:\n- a: 1\n  b: 2\n- c\n", "l[0]=\"x\"", "l:\n- x\n- c\n"),
            ("l:\n- a\n- c\n", "l[0]={\"x\": 1, \"z\": 2}", "l:\n- x: 1\n  z: 2\n- c\n"),
            ("a: {b: 1, c: 2}\n", "a.b={\"k\": [1]}", "a: {b: {k: [1]}, c: 2}\n"),
            ("a: |\n  x\nb: 1\n", "a={\"k\": 1}", "a:\n    k: 1\nb: 1\n"),
            ("a: x\n", "a.b[3].c=1", "a:\n    b:\n        - c: 1\n"),
        ],
    );
}

#[test]
fn yaml_entries_follow_what_is_around_them() {
    assert_changes(
        "yaml",
        &[
            ("a: 1\n", "b=2", "a: 1\nb: 2\n"),
            ("a: 1", "b=2", "a: 1\nb: 2"),
            ("a: 1\r\n", "b=\"x\"", "a: 1\r\nb: x\r\n"),
            ("\"a\": \"x\"\n", "b=\"w\"", "\"a\": \"x\"\n\"b\": \"w\"\n"),
            ("'a': 'x'\n", "b=\"w\"", "'a': 'x'\n'b': 'w'\n"),
            (
                "m:\n   a: 1 # c\n   # d\nb: 1\n",
                "m.e=2",
                "m:\n   a: 1 # c\n   # d\n   e: 2\nb: 1\n",
            ),
            ("l:\n- a\nb: 1\n", "l[1]=\"x\"", "l:\n- a\n- x\nb: 1\n"),
            ("l:\n  - a\nb: 1\n", "l[9]=\"x\"", "l:\n  - a\n  - x\nb: 1\n"),
            ("l:\n- - a\n  - b\n", "l[0][2]=\"x\"", "l:\n- - a\n  - b\n  - x\n"),
            ("l:\n- k: a\n", "l[0].m=\"x\"", "l:\n- k: a\n  m: x\n"),
            ("a: {b: 1}\n", "a.c=\"x\"", "a: {b: 1, c: x}\n"),
            ("a: {\"b\": 1}\n", "a.c=\"x\"", "a: {\"b\": 1, \"c\": \"x\"}\n"),
            ("a: [\n  b,\n]\n", "a[1]=\"x\"", "a: [\n  b,\n  x,\n]\n"),
            ("a: {} # c\n", "a.b=1", "a: # c\n    b: 1\n"),
            ("a: []\nb: 1\n", "a[0]=1", "a:\n    - 1\nb: 1\n"),
            ("{}\n", "a=1", "a: 1\n"),
            ("# c\n---\n", "a=1", "# c\n---\na: 1\n"),
            ("a: |\n  x\n\nb: 1\n", "c=1", "a: |\n  x\n\nb: 1\nc: 1\n"),
            ("a: |\n  x", "c=1", "a: |-\n  x\nc: 1"),
            ("a: 1\n---\nb: 2\n", "c=3", "a: 1\nc: 3\n---\nb: 2\n"),
        ],
    );
}

#[test]
fn yaml_aliases_that_a_change_concerns_are_written_out() {
    assert_changes(
        "yaml",
        &[
            ("a: &x {k: 1}\nb: *x\n", "b.k=2", "a: &x {k: 1}\nb: {k: 2}\n"),
            ("a: &x {k: 1}\nb: *x\n", "a.k=2", "a: &x {k: 2}\nb: {k: 1}\n"),
            ("a: &x {k: 1}\nb: *x\n", "b=2", "a: &x {k: 1}\nb: 2\n"),
            ("a: &x {k: 1}\nb: *x\n", "a", "b: {k: 1}\n"),
            ("a: &x v\nb: *x\n", "a=\"w\"", "a: &x w\nb: v\n"),
            ("a: &x v\nb: *x\nc: 1\n", "c=2", "a: &x v\nb: *x\nc: 2\n"),
            (
                "a: &x\n  k: 1\nb:\n  <<: *x\n  l: 2\n",
                "b.l=3",
                "a: &x\n  k: 1\nb:\n  <<: *x\n  l: 3\n",
            ),
        ],
    );
}

#[test]
fn yaml_entries_are_removed_with_their_lines() {
    assert_changes(
        "yaml",
        &[
            ("a: 1\n# of b\nb: 2 # c\nc: 3\n", "b", "a: 1\n# of b\nc: 3\n"),
            ("a: 1\nb: 2", "b", "a: 1"),
            ("a: 1\r\nb: 2\r\n", "a", "b: 2\r\n"),
            ("a: |\n  x\n  y\n\nb: 1\n", "a", "\nb: 1\n"),
            ("m:\n  a: 1\n", "m.a", "m: {}\n"),
            ("m: # c\n  a: 1\n", "m.a", "m: {} # c\n"),
            ("m:\n  # c\n  a: 1\n", "m.a", "m:\n  # c\n  {}\n"),
            ("l:\n- a\n", "l[0]", "l: []\n"),
            ("l:\n# c\n- a\n", "l[0]", "l:\n# c\n  []\n"),
            ("l:\n- a: 1\n  b: 2\n", "l[0].a", "l:\n- b: 2\n"),
            ("l:\n- a: 1\n  # c\n  b: 2\n", "l[0].a", "l:\n-\n  # c\n  b: 2\n"),
            ("l:\n- - a\n  - b\n", "l[0][0]", "l:\n- - b\n"),
            ("l: [a, b, c]\n", "l[1]", "l: [a, c]\n"),
            ("l: [a, b, c]\n", "l[2]", "l: [a, b]\n"),
            ("m: {a: 1}\n", "m.a", "m: {}\n"),
            ("# c\na: 1\n", "a", "# c\n{}\n"),
            ("a: 1\n---\nb: 2\n", "a", "{}\n---\nb: 2\n"),
        ],
    );
}

#[test]
fn json_is_laid_out_as_it_is() {
    assert_changes(
        "json",
        &[
            ("{\n  \"a\": 1\n}\n", "a=\"x\"", "{\n  \"a\": \"x\"\n}\n"),
            (
                "{\n  \"a\": 1\n}\n",
                "b={\"c\": [1.50]}",
                "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      1.50\n    ]\n  }\n}\n",
            ),
            ("{\n\t\"a\": {}\n}\n", "a.b=1", "{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n"),
            ("{\"a\":1}", "b=[1,{\"c\":2}]", "{\"a\":1,\"b\":[1,{\"c\":2}]}"),
            ("{\"a\": [1, 2]}", "a[2]={\"c\":2,\"d\":3}", "{\"a\": [1, 2, {\"c\": 2, \"d\": 3}]}"),
            ("{\r\n  \"a\": 1\r\n}", "b=2", "{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}"),
            ("{}", "a=1", "{\n\t\"a\": 1\n}"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}", "a", "{\n  \"b\": 2\n}"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}", "b", "{\n  \"a\": 1\n}"),
            ("{\n  \"a\": [\n    1\n  ]\n}", "a[0]", "{\n  \"a\": []\n}"),
            ("{\"a\": 1}", "a", "{}"),
        ],
    );
}

#[test]
fn dotenv_lines_are_changed() {
    assert_changes(
        "dotenv",
        &[
            ("A=1\nB=2\n", "A=\"x y\"", "A=x y\nB=2\n"),
            ("A=1\n", "A=\"x\\ny\"", "A=x\\ny\n"),
            ("A=1\n", "A=1.10", "A=1.10\n"),
            ("A=1\n", "B=true", "A=1\nB=true\n"),
            ("A=1", "B=2", "A=1\nB=2"),
            ("# c\nA=1\nB=2", "B", "# c\nA=1"),
            ("A=1\nB=2\n", "A", "B=2\n"),
            ("export A=1\n", "[\"export A\"]=2", "export A=2\n"),
            ("A=1\n", "A.b=1", "dotenv is flat: it cannot hold a map or list"),
            ("A=1\n", "A=null", "dotenv has no way to write a null"),
            ("A=1\n", "[\"#\"]=1", "dotenv cannot hold this key"),
        ],
    );
}

#[test]
fn ini_lines_are_changed() {
    assert_changes(
        "ini",
        &[
            ("[a]\nx = 1 ; c\n", "a.x=2", "[a]\nx = 2 ; c\n"),
            ("[a]\nx=1\n[b]\ny=2\n", "a.z=\"v\"", "[a]\nx=1\nz=v\n[b]\ny=2\n"),
            (
                "[a]\n\tlong = 1\n\tx    = 2\n",
                "a.yy=3",
                "[a]\n\tlong = 1\n\tx    = 2\n\tyy   = 3\n",
            ),
            ("[a]\nx : 1", "a.y=2", "[a]\nx : 1\ny : 2"),
            ("[a]\r\nx = 1\r\n", "b.y=2", "[a]\r\nx = 1\r\n\r\n[b]\r\ny = 2\r\n"),
            ("[a]\n\n[b]\nx = 1\n", "a.y=\"p;q\"", "[a]\ny = `p;q`\n\n[b]\nx = 1\n"),
            ("[a]\nx = 1\n", "DEFAULT.y=2", "y = 2\n[a]\nx = 1\n"),
            ("[a]\nx = 1\ny = 2\n", "a={\"z\": 3}", "[a]\nz = 3\n"),
            ("[a]\n; of x\nx = 1 ; c\ny = 2\n", "a.x", "[a]\n; of x\ny = 2\n"),
            ("[a]\nx = 1\n\n[b]\ny = 2\n", "a", "[b]\ny = 2\n"),
            ("[a]\nx = 1\n\n[b]\ny = 2\n", "b", "[a]\nx = 1\n"),
            ("[a]\nx = 1\n", "a.x", "[a]\n"),
        ],
    );
}

#[test]
fn binary_content_is_one_value() {
    assert_changes("binary", &[("old\n", "data=\"new\"", "new")]);
    let document = document("binary", "x");
    let path = TreePath::parse("data").unwrap();
    assert!(matches!(document.unset(&path), Err(ChangeError::Emit(_))));
}

/// Returns documents of a few levels, with comments and blank lines.
fn yaml() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x".to_owned()),
        Just("\"q # \\n\"".to_owned()),
        Just("1.50 # c".to_owned()),
        Just("[a, {b: c}]".to_owned()),
        Just("{}".to_owned()),
        Just(String::new()),
    ];
    let entry = (0..3usize, leaf, any::<bool>(), any::<bool>());
    proptest::collection::vec(entry, 1..8).prop_map(|entries| {
        let (mut text, mut depth) = (String::new(), 0);
        for (number, (up, leaf, opens, comment)) in entries.into_iter().enumerate() {
            let spaces = " ".repeat(depth * 2);
            if comment {
                writeln!(text, "{spaces}# {number}").unwrap();
            }
            if opens {
                writeln!(text, "{spaces}k{number}:\n{spaces}  in: {leaf}").unwrap();
                depth += 1;
            } else {
                writeln!(text, "{spaces}k{number}: {leaf}").unwrap();
                depth = depth.saturating_sub(up);
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_that_is_set_is_found_and_removed_again(
        source in yaml(),
        new in "\\PC{0,12}|[ \\n\\t#:'\"{}&*!|>%@`,\\[\\]x-]{0,8}",
        key in "[a-z ]{1,6}|\\PC{1,4}",
    ) {
        let document = document("yaml", &source);
        let json = serde_json::to_string(&new).unwrap();
        let value = json::parse_value(SecretBytes::from(&*json)).unwrap();
        for container in ["", "[\"k0\"]"] {
            let path = format!("{container}[\"{key}\"]");
            let Ok(path) = TreePath::parse_bracketed(&path) else { continue };
            let changed = match document.set(&path, &value) {
                // A list in the way of a key.
                Err(ChangeError::Path(_)) => continue,
                result => result.unwrap(),
            };
            let tree = changed.document.tree();
            let root = tree.documents().next().unwrap();
            let found = path.find(tree, root).unwrap();
            prop_assert_eq!(tree.value(found), Some(crate::tree::Value::Text(new.as_bytes())));
            let is_new = path.find(document.tree(), document.tree().documents().next().unwrap()).is_err();
            let was_map = container.is_empty() || source.starts_with("k0:\n");
            if is_new && was_map && changed.in_place {
                let back = changed.document.unset(&path).unwrap();
                prop_assert_eq!(text(&back.document), source.clone());
            }
        }
    }

    #[test]
    fn no_change_of_any_text_panics(
        source in "[ab:\\-# \\n'\"{}\\[\\]&*,|>?=;x\\\\]{0,40}",
        number in 0..5usize,
        value in prop_oneof![Just("1"), Just("\"a\\nb\""), Just("{\"k\": []}")],
    ) {
        let format = ["yaml", "json", "dotenv", "ini", "binary"][number];
        let format = format::by_name(format).unwrap();
        let Ok(document) = Document::parse(format, SecretBytes::from(&*source)) else {
            return Ok(());
        };
        let value = json::parse_value(SecretBytes::from(value)).unwrap();
        for path in ["a", "b", "a.b", "a[0]", "DEFAULT.a", "data"] {
            let path = TreePath::parse(path).unwrap();
            let _ = document.set(&path, &value);
            let _ = document.unset(&path);
        }
    }
}
