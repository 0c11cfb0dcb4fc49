//! Differences, as lines of text.

use proptest::prelude::*;

use super::*;
use crate::document::Document;
use crate::format::by_name;
use crate::secret::SecretBytes;

fn document(format: &str, text: &str) -> Document {
    Document::parse(by_name(format).unwrap(), SecretBytes::from(text.as_bytes())).unwrap()
}

/// The differences, one a line: the path, and what stood and stands there.
fn differences(format: &str, old: &str, new: &str) -> Vec<String> {
    let (old, new) = (document(format, old), document(format, new));
    let found = Differences::between(old.tree(), new.tree());
    let show = |content: Option<Content<'_>>| match content {
        None => "-".to_owned(),
        Some(Content::Value(Value::Text(text)) | Content::Comment(text)) => {
            String::from_utf8(text.to_vec()).unwrap()
        }
        Some(Content::Value(Value::Integer(number))) => number.to_string(),
        Some(other) => format!("{other:?}"),
    };
    found
        .iter()
        .map(|difference| {
            let path: String = found
                .path(difference)
                .into_iter()
                .map(|component| match component {
                    Component::Key(key) => format!(".{key}"),
                    Component::Index(index) => format!("[{index}]"),
                })
                .collect();
            let mark = if difference.is_comment() { "#" } else { "" };
            let document =
                found.document(difference).map(|number| format!("{number}:")).unwrap_or_default();
            format!("{document}{path}{mark} {} {}", show(difference.old), show(difference.new))
        })
        .collect()
}

#[test]
fn values_are_compared_by_their_keys_whatever_their_order() {
    assert_eq!(differences("yaml", "a: 1\nb: {c: x}\n", "b: {c: x}\na: 1\n"), [""; 0]);
    let found =
        differences("yaml", "a: 1\nb: {c: x, d: y}\ne: 2\n", "f: 3\nb: {d: z, c: x}\na: 1\n");
    assert_eq!(found, [".b.d y z", ".e 2 -", ".f - 3"]);
}

#[test]
fn a_text_and_a_number_differ() {
    assert_eq!(differences("yaml", "a: 1\n", "a: \"1\"\n"), [".a 1 1"]);
    assert_eq!(differences("yaml", "a: null\n", "a: \"\"\n"), [".a Null "]);
}

#[test]
fn a_new_member_of_a_list_is_one_difference() {
    assert_eq!(differences("yaml", "l: [a, b, c]\n", "l: [a, n, b, c]\n"), [".l[1] - n"]);
    assert_eq!(differences("yaml", "l: [a, b, c]\n", "l: [b, c]\n"), [".l[0] a -"]);
    let found = differences("yaml", "l:\n- {a: 1, b: 2}\n- x\n", "l:\n- {a: 1, b: 3}\n- x\n- y\n");
    assert_eq!(found, [".l[0].b 2 3", ".l[2] - y"]);
}

#[test]
fn what_is_in_a_new_or_removed_collection_is_named_value_by_value() {
    let found = differences("yaml", "a: 1\n", "a: 1\nb:\n  c: [x, {d: y}]\n  e: {}\n");
    assert_eq!(found, [".b.c[0] - x", ".b.c[1].d - y", ".b.e - EmptyMap"]);
    assert_eq!(differences("yaml", "a: [x]\n", "a: y\n"), [".a[0] x -", ".a - y"]);
    assert_eq!(differences("yaml", "a: []\n", "a: [x]\n"), [".a EmptyList -", ".a[0] - x"]);
}

#[test]
fn comments_are_compared_where_they_stand() {
    let found = differences("yaml", "# one\na: 1\n", "# two\na: 1\n# new\n");
    assert_eq!(found, ["#  one  two", "#  -  new"].map(|line| line.replace("  -", " -")));
    assert_eq!(differences("dotenv", "#x\nA=1\n", "A=1\n"), ["# x -"]);
}

#[test]
fn the_document_is_named_where_there_are_several() {
    let found = differences("yaml", "a: 1\n---\nb: 1\n", "a: 1\n---\nb: 2\n---\nc: 3\n");
    assert_eq!(found, ["1:.b 1 2", "2:.c - 3"]);
}

#[test]
fn keys_that_stand_twice_are_paired_in_order() {
    assert_eq!(differences("json", r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#), [".a 2 3"]);
}

proptest! {
    #[test]
    fn a_tree_does_not_differ_from_itself_and_differences_go_both_ways(
        old in proptest::collection::vec(("[a-e]", 0_u8..3), 0..12),
        new in proptest::collection::vec(("[a-e]", 0_u8..3), 0..12),
    ) {
        let text = |entries: &[(String, u8)]| {
            let list: Vec<String> =
                entries.iter().map(|(key, value)| format!("{{{key}: {value}}}")).collect();
            format!("l: [{}]\n", list.join(", "))
        };
        let (old, new) = (text(&old), text(&new));
        prop_assert_eq!(differences("yaml", &old, &old).len(), 0);
        let there = differences("yaml", &old, &new);
        prop_assert_eq!(there.is_empty(), old == new);
        prop_assert_eq!(differences("yaml", &new, &old).is_empty(), there.is_empty());
    }
}
