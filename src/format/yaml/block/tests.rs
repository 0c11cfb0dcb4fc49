//! Tests of the metadata block in YAML texts.

use super::super::Yaml;
use super::super::testing::{parse, text_of};
use super::*;
use crate::format::{Block, FileFormat as _};
use crate::secret::SecretBytes;

const BLOCK: &str = "sops:\n  mac: x\n  age:\n    - enc: |\n        y\n";

fn attached(source: &str, position: Option<usize>) -> String {
    let tree = parse(source);
    let block = Block { text: BLOCK.as_bytes(), position };
    let edits = attach(&tree, &block).unwrap();
    let text = text_of(&edits.apply(tree.source()));
    let with = parse(&text);
    for root in with.documents() {
        assert!(with.entry(root, KEY).is_some(), "{text}");
    }
    text
}

/// Returns the text without the metadata, the metadata, and its position.
fn detached(source: &str) -> (String, String, Option<usize>) {
    let tree = parse(source);
    let found = detach(&tree).unwrap().unwrap();
    let block = text_of(&found.block);
    assert!(parse(&block).documents().count() == 1);
    (text_of(&found.edits.apply(tree.source())), block, found.position)
}

#[test]
fn a_block_goes_to_the_end_of_each_document() {
    for (source, expected) in [
        ("a: 1\n", "a: 1\n<>"),
        ("a: 1", "a: 1\n<>"),
        ("a: 1\n# end\n", "a: 1\n# end\n<>"),
        ("a: 1\n---\nb: 2\n...\n", "a: 1\n<>---\nb: 2\n<>...\n"),
        ("---\n", "---\n<>"),
        ("---", "---\n<>"),
        ("--- # c\n...\n", "--- # c\n<>...\n"),
        ("~\n", "\n<>"),
        ("# x\n--- null # y\n", "# x\n---  # y\n<>"),
        ("--- !!null ~\n...\n", "--- \n<>...\n"),
        ("---\n~", "---\n\n<>"),
        ("{}\n", "<>"),
        ("# c\n{}\n", "# c\n<>"),
        ("a: |\n  x", "a: |-\n  x\n<>"),
        ("a: |+\n  x\n\n", "a: |+\n  x\n\n<>"),
        ("a: |+\n  x\n  ", "a: |+\n  x\n<>"),
        ("a: >-\n  x", "a: >-\n  x\n<>"),
    ] {
        let ours = attached(source, None);
        assert_eq!(ours.replace(BLOCK, "<>"), expected, "{source:?}");
    }
    assert_eq!(
        attached("  a: 1\n", None),
        "  a: 1\n  sops:\n    mac: x\n    age:\n      - enc: |\n          y\n"
    );
    assert_eq!(attached("a: 1\r\n", None), format!("a: 1\n{BLOCK}").replace('\n', "\r\n"));
}

#[test]
fn a_block_in_braces_is_a_flow_map() {
    let flow = "\"sops\": {\"mac\": \"x\", \"age\": [{\"enc\": \"y\\n\"}]}";
    for (source, position, expected) in [
        ("{\"a\": 1}\n", None, "{\"a\": 1, <>}\n"),
        ("{a: 1,}\n", None, "{a: 1,<>,}\n"),
        ("{a: 1 # c\n}\n", None, "{a: 1 # c\n, <>}\n"),
        ("{\n  \"a\": 1\n}\n", None, "{\n  \"a\": 1, <>\n}\n"),
        ("--- {}\n", None, "--- {<>}\n"),
        ("{a: 1, b: 2}\n", Some(1), "{a: 1, <>, b: 2}\n"),
        ("{a: 1, b: 2}\n", Some(0), "{<>, a: 1, b: 2}\n"),
    ] {
        let ours = attached(source, position);
        assert_eq!(ours.replace(flow, "<>"), expected, "{source:?}");
        let (text, block, found) = detached(&ours);
        assert_eq!(text, source);
        assert_eq!(block, format!("{{{flow}}}\n"));
        assert_eq!(found, position);
    }
}

#[test]
fn a_block_keeps_its_position() {
    for (source, position) in [
        ("<># c\na: 1\n", Some(0)),
        ("a: 1 # c\n<># d\nb: 2\n", Some(1)),
        ("a:\n  - 1\n  # c\n<>b: 2\n", Some(1)),
        ("a: 1\n<>", None),
        ("a: 1\n<># end\n", None),
    ] {
        let text = source.replace("<>", BLOCK);
        let (rest, block, found) = detached(&text);
        assert_eq!(rest, source.replace("<>", ""), "{source:?}");
        assert_eq!(block, BLOCK);
        assert_eq!(found, position, "{source:?}");
        if position != Some(0) && !source.ends_with("end\n") {
            assert_eq!(attached(&rest, found), text);
        }
    }
}

#[test]
fn comments_of_the_block_go_with_it() {
    let (rest, block, _) = detached("a: 1\nsops: # x\n  # y\n  mac: x\n\n  # z\n# end\n");
    assert_eq!(rest, "a: 1\n# end\n");
    assert_eq!(block, "sops: # x\n  # y\n  mac: x\n\n  # z\n");
}

#[test]
fn what_is_left_parses_whatever_blanks_follow() {
    let pieces = ["\n", "\r", "\t", "#c", "   #d"];
    for front in ["", "a: x\n", "a:\n  b: \"x\"\n", "a:\n- x\n"] {
        for number in 0..pieces.len().pow(5) {
            let chosen =
                (0..5).map(|place| pieces[number / pieces.len().pow(place) % pieces.len()]);
            let blanks: String = chosen.collect();
            let text = format!("{front}sops:\n{blanks}\rb: 1\n");
            let Ok(tree) = Yaml.parse(SecretBytes::from(&*text)) else { continue };
            let Some(found) = detach(&tree).unwrap() else { continue };
            let rest = found.edits.apply(tree.source());
            assert!(Yaml.parse(rest).is_ok(), "{text:?}");
        }
    }
}

#[test]
fn a_document_of_metadata_alone_becomes_empty() {
    assert_eq!(detached(BLOCK).0, "{}\n");
    assert_eq!(detached(&format!("---\n{BLOCK}")).0, "---\n");
    assert_eq!(detached(&format!("# c\n{BLOCK}---\n{BLOCK}")).0, "# c\n{}\n---\n");
}

#[test]
fn a_tag_in_front_of_metadata_alone_keeps_a_map() {
    for front in ["!+\n", "--- !x # !c\n", "%TAG ! !x\n---\n!y &a\n# c\n", "\u{FEFF}!<x>\n"] {
        let (rest, _, _) = detached(&format!("{front}{BLOCK}"));
        assert_eq!(rest, format!("{front}{{}}\n"));
        assert_eq!(detached(&attached(&rest, None)).0, rest);
    }
    for front in ["!\n", "&a\n", "# !c\n---\n", "--- # !c\n", "%TAG ! !x\n---\n"] {
        assert_eq!(detached(&format!("{front}{BLOCK}")).0, front);
    }
}

#[test]
fn what_stands_in_front_of_metadata_alone_is_a_document_without_it() {
    for marker in ["", "---\n", "--- ", "# c\n---\t", "%TAG ! !x\n--- "] {
        for properties in ["", "!", "!x", "!!map", "&a", "! &a", "!x &a", "&a\t!x", "&a\n!x"] {
            for comment in ["\n", " # !c\n", "\n# !c\n\n"] {
                for behind in ["", "  # !d\n", "...\n", "---\na: !x 1\n"] {
                    let front = format!("{marker}{properties}{comment}");
                    for before in ["", &format!("{BLOCK}---\nb: 1\n...\n")] {
                        let text = format!("{before}{front}{BLOCK}{behind}");
                        if Yaml.parse(SecretBytes::from(&*text)).is_err() {
                            continue;
                        }
                        let count = parse(&text).documents().count();
                        let (rest, _, _) = detached(&text);
                        assert_eq!(parse(&rest).documents().count(), count, "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn texts_without_metadata_are_told_apart() {
    assert!(detach(&parse("a: {sops: 1}\n")).unwrap().is_none());
    assert!(detach(&parse("")).unwrap().is_none());
    let block = Block { text: BLOCK.as_bytes(), position: None };
    assert!(attach(&parse(""), &block).is_err());
}

#[test]
fn only_texts_with_a_root_entry_are_sniffed() {
    for (text, expected) in [
        ("a: 1\nsops:\n  mac: x\n", true),
        ("\u{FEFF}sops: {}\n", true),
        ("\"sops\" : {}\n", true),
        ("'sops': {}\r\n", true),
        ("# c\n--- {a: 1, sops: {}}\n", true),
        ("{\"sops\":{}}", true),
        ("a:\n  sops: 1\n", false),
        ("sops_age: 1\n", false),
        ("sops\n", false),
        ("\"sops: x\n", false),
        ("", false),
    ] {
        assert_eq!(sniff(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn the_layout_is_that_of_the_text() {
    let layout = |text| layout_of(&parse(text), &Layout::default());
    assert_eq!(layout("a:\n  b: 1\n").indent, Some(2));
    assert_eq!(layout("a:\n- b:\n     c: 1\n").indent, Some(3));
    assert_eq!(layout("a: 1\n").indent, None);
    assert!(layout("a: 1\r\n").crlf);
}

#[test]
fn line_breaks_of_yaml_1_1_are_no_content() {
    assert_eq!(detached("# a\nsops:\n  mac: x\n\u{85}  ").0, "# a\n{}\n\u{85}  ");
}

#[test]
fn a_block_in_braces_parses_whatever_it_is() {
    for value in [
        "{mac: x}", "[a]", "a", "a &b", "a !b", "a &b:", "&a", "!a", "!a &b", "&a b", "\"a &b\"",
        "",
    ] {
        for space in ["", " "] {
            for rest in ["", ", a: 1"] {
                let text = format!("{{sops: {value}{space}{rest}}}\n");
                if Yaml.parse(SecretBytes::from(&*text)).is_ok() {
                    detached(&text);
                }
            }
        }
    }
}

#[test]
fn what_is_left_in_braces_parses_whatever_stands_around_it() {
    let pieces = ["", " # c?\n", "\r# d,\n", ","];
    for front in ["", "a: 1", "a: 1,", "a: 1 # e,\n,", "a: 1, # e\n"] {
        for entry in ["sops:", "sops: {mac: x}", "? sops\n", "sops: !", "sops: &a "] {
            for number in 0..pieces.len().pow(4) {
                let piece = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
                let (before, behind, comma, last) = (piece(0), piece(1), piece(2), piece(3));
                for rest in ["", "b: 2"] {
                    let text = format!("{{{front}{before}{entry}{behind}{comma}{last}{rest}}}\n");
                    let Ok(tree) = Yaml.parse(SecretBytes::from(&*text)) else { continue };
                    let Some(found) = detach(&tree).unwrap() else { continue };
                    let rest = found.edits.apply(tree.source());
                    assert!(Yaml.parse(rest).is_ok(), "{text:?}");
                    assert!(Yaml.parse(found.block).is_ok(), "{text:?}");
                }
            }
        }
    }
}
