//! What merges, and what is a conflict.

use proptest::prelude::*;

use super::*;
use crate::format::by_name;

fn document(format: &str, text: &str) -> Document {
    Document::parse(by_name(format).unwrap(), SecretBytes::from(text.as_bytes())).unwrap()
}

fn merged(format: &str, [base, ours, theirs]: [&str; 3]) -> (String, Vec<String>) {
    let [base, ours, theirs] = [base, ours, theirs].map(|text| document(format, text));
    let merged = three_way(Some(&base), &ours, &theirs);
    (String::from_utf8(merged.text.to_vec()).unwrap(), merged.conflicts)
}

fn clean(format: &str, texts: [&str; 3]) -> String {
    let (text, conflicts) = merged(format, texts);
    assert_eq!(conflicts, Vec::<String>::new(), "{text}");
    text
}

#[test]
fn changes_of_adjacent_lines_are_both_kept() {
    let texts = ["a: 1\nb: 2\n", "a: 9 # c\nb: 2\n", "a: 1\nb: 8\n"];
    assert_eq!(clean("yaml", texts), "a: 9 # c\nb: 8\n");
    let texts = ["A=1\nB=2\n", "A=9\nB=2\n", "A=1\nB=8\n"];
    assert_eq!(clean("dotenv", texts), "A=9\nB=8\n");
    let texts = ["[s]\na = 1\nb = 2\n", "[s]\na = 9\nb = 2\n", "[s]\na = 1\nb = 8\n"];
    assert_eq!(clean("ini", texts), "[s]\na = 9\nb = 8\n");
}

#[test]
fn changes_on_one_line_are_both_kept() {
    let texts = [r#"{"a":1,"b":2}"#, r#"{"a":9,"b":2}"#, r#"{"a":1,"b":8,"c":3}"#];
    assert_eq!(clean("json", texts), r#"{"a":9,"b":8,"c":3}"#);
    let texts = ["x: {a: 1, b: 2}\n", "x: {a: 9, b: 2}\n", "x: {a: 1, b: 8}\n"];
    assert_eq!(clean("yaml", texts), "x: {a: 9, b: 8}\n");
}

#[test]
fn entries_that_both_add_at_one_place_are_all_there() {
    let texts = ["a: 1\n", "a: 1\n# ours\nb: 2\n", "a: 1\n# theirs\nc: 3\n"];
    assert_eq!(clean("yaml", texts), "a: 1\n# ours\nb: 2\n# theirs\nc: 3\n");
    let texts = [
        "{\n  \"a\": 1\n}\n",
        "{\n  \"a\": 1,\n  \"b\": 2\n}\n",
        "{\n  \"a\": 1,\n  \"c\": 3\n}\n",
    ];
    let text = clean("json", texts);
    assert_eq!(text, "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n");
}

#[test]
fn equal_changes_are_no_conflict() {
    let texts = ["a: 1\nb: 1\n", "a: 2\nb: 1\nc: 1\n", "a: 2\nb: 3\nc: 1\n"];
    assert_eq!(clean("yaml", texts), "a: 2\nb: 3\nc: 1\n");
}

#[test]
fn a_value_that_both_changed_is_a_conflict_and_the_rest_is_merged() {
    let [base, ours, theirs] = ["a: 1\nb: 1\nc: 1\n", "a: 2\nb: 1\nc: 7\n", "a: 3\nb: 4\nc: 1\n"]
        .map(|text| document("yaml", text));
    let merged = three_way(Some(&base), &ours, &theirs);
    assert_eq!(merged.conflicts, ["[\"a\"]"]);
    assert_eq!(&merged.text[..], b"a: 2\nb: 4\nc: 7\n");
    assert_eq!(&merged.theirs.unwrap()[..], b"a: 3\nb: 4\nc: 7\n");
}

#[test]
fn a_text_that_both_changed_in_different_lines_is_a_conflict() {
    let texts = [
        "k: |\n  one\n  two\n  three\n  four\n",
        "k: |\n  ONE\n  two\n  three\n  four\n",
        "k: |\n  one\n  two\n  three\n  FOUR\n",
    ];
    let (text, conflicts) = merged("yaml", texts);
    assert_eq!(conflicts, ["[\"k\"]"]);
    assert_eq!(text, texts[1]);
}

#[test]
fn a_value_that_one_side_removed_and_the_other_changed_is_a_conflict() {
    let (_, conflicts) = merged("yaml", ["a: 1\nb: 1\n", "b: 1\n", "a: 2\nb: 1\n"]);
    assert_eq!(conflicts, ["[\"a\"]"]);
}

#[test]
fn members_of_lists_are_merged() {
    let texts = ["l:\n- a\n- b\n- c\n", "l:\n- x\n- a\n- b\n- c\n", "l:\n- a\n- b\n- c\n- y\n"];
    assert_eq!(clean("yaml", texts), "l:\n- x\n- a\n- b\n- c\n- y\n");
    let texts = ["l:\n- n: 1\n- n: 2\n", "l:\n- n: 9\n- n: 2\n", "l:\n- n: 1\n- n: 8\n"];
    assert_eq!(clean("yaml", texts), "l:\n- n: 9\n- n: 8\n");
    let (_, conflicts) = merged("yaml", ["l: [1, 2]\n", "l: [1, 3]\n", "l: [1, 4]\n"]);
    assert_eq!(conflicts.len(), 1);
}

#[test]
fn a_file_that_both_added_has_what_both_have() {
    let [ours, theirs] = ["a: 1\nb: 2\n", "a: 1\nc: 3\n"].map(|text| document("yaml", text));
    let merged = three_way(None, &ours, &theirs);
    assert_eq!((&merged.text[..], merged.conflicts.len()), (&b"a: 1\nb: 2\nc: 3\n"[..], 0));
    let theirs = document("yaml", "a: 2\n");
    assert_eq!(three_way(None, &ours, &theirs).conflicts, ["[\"a\"]"]);
}

#[test]
fn lines_that_would_move_a_value_to_another_place_are_not_merged_as_lines() {
    // Their new entry stands behind a map that ours has removed: by lines it would be in `x`.
    let texts = ["x:\n  a: 1\ny:\n  b: 1\n", "x:\n  a: 1\n", "x:\n  a: 1\ny:\n  b: 1\n  c: 1\n"];
    let (_, conflicts) = merged("yaml", texts);
    assert_eq!(conflicts, ["[\"y\"]"]);
}

#[test]
fn binary_files_conflict_as_a_whole() {
    let (text, conflicts) = merged("binary", ["a\nb\nc", "x\nb\nc", "a\nb\ny"]);
    assert_eq!((text.as_str(), conflicts.len()), ("x\nb\nc", 1));
}

/// Texts of lines `key: value` and comments.
fn map() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        (0..4_u8).prop_map(|n| format!("{n}")),
        Just("{p: 1, q: 2}".to_owned()),
        Just("[1, 2]".to_owned()),
        Just("\n  p: 1\n  # c\n  q: 2".to_owned()),
        Just("\n- 1\n- 2".to_owned()),
    ];
    let entry = (0..6_u8, value, any::<bool>());
    prop::collection::vec(entry, 1..7).prop_map(|entries| {
        let mut seen = std::collections::HashSet::new();
        let mut text = String::new();
        for (key, value, comment) in entries.into_iter().filter(|entry| seen.insert(entry.0)) {
            if comment {
                text.push_str("# note\n");
            }
            text.push_str(&format!(
                "k{key}:{}{value}\n",
                if value.starts_with('\n') { "" } else { " " }
            ));
        }
        text
    })
}

proptest! {
    #[test]
    fn a_side_that_changed_nothing_takes_the_other(base in map(), other in map()) {
        prop_assert_eq!(clean("yaml", [&base, &other, &base]), other.clone());
        prop_assert_eq!(clean("yaml", [&base, &base, &other]), other.clone());
        prop_assert_eq!(clean("yaml", [&base, &other, &other]), other);
    }

    #[test]
    fn the_sides_can_change_places(base in map(), ours in map(), theirs in map()) {
        let (one, conflicts) = merged("yaml", [&base, &ours, &theirs]);
        let (other, same) = merged("yaml", [&base, &theirs, &ours]);
        prop_assert_eq!(conflicts.is_empty(), same.is_empty());
        if conflicts.is_empty() {
            let (one, other) = (document("yaml", &one), document("yaml", &other));
            let same = Comparison::new(None, one.tree(), other.tree()).changes().unwrap();
            prop_assert!(same.conflicts.is_empty() && same.theirs.is_empty());
        }
    }
}
