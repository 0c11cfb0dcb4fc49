//! Tests of the JSON format.

use super::*;
use crate::tree::{NodeKind, Step, TextRef};

fn parse(text: &str) -> Result<Tree, SyntaxError> {
    Json.parse(SecretBytes::from(text))
}

fn tree(text: &str) -> Tree {
    parse(text).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn emitted(source: &str, layout: &Layout) -> String {
    text(&Json.emit(&tree(source), layout).unwrap()).to_owned()
}

#[test]
fn a_document_is_written_as_sops_writes_it() {
    let source = r#"{"a":[1, {"b":"<\u2028\u0001/"}, [], {}],"n":null,"f":1.10,"t":true}"#;
    let expected = "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": \"\\u003c\\u2028\\u0001/\"\n\t\t},\n\
                    \t\t[],\n\t\t{}\n\t],\n\t\"n\": null,\n\t\"f\": 1.1,\n\t\"t\": true\n}\n";
    assert_eq!(emitted(source, &Layout::default()), expected);
    let spaces = Layout { indent: Some(2), ..Layout::default() };
    assert_eq!(emitted(r#"{"a":{"b":1}}"#, &spaces), "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
    let compact = Layout { compact: true, ..Layout::default() };
    assert_eq!(emitted(r#"{"a": [1, 2] }"#, &compact), r#"{"a":[1,2]}"#);
}

#[test]
fn numbers_are_integers_where_they_fit() {
    for (number, kind) in [
        ("0", NodeKind::Integer(0)),
        ("-0", NodeKind::Integer(0)),
        ("-9223372036854775808", NodeKind::Integer(i64::MIN)),
        ("9223372036854775808", NodeKind::Float(9_223_372_036_854_775_808.0)),
        ("1.0", NodeKind::Float(1.0)),
        ("1e3", NodeKind::Float(1000.0)),
    ] {
        let tree = tree(&format!("{{\"a\":{number}}}"));
        assert_eq!(tree.nodes()[1].kind, kind, "{number}");
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (source, place) in [
        ("", "1:1"),
        (" \n", "2:1"),
        ("[1]", "1:1"),
        ("\u{feff}{}", "1:1"),
        ("{\"a\":", "1:6"),
        ("{\"a\":[1", "1:8"),
        ("{\"a\":1", "1:7"),
        ("{\"a\":1}{}", "1:8"),
        ("{\"a\":1} x", "1:9"),
        ("{\"a\":1,}", "1:8"),
        ("{\"a\":[1,]}", "1:9"),
        ("{\"a\":01}", "1:7"),
        ("{\"a\":1.}", "1:8"),
        ("{\"a\":+1}", "1:6"),
        ("{\"a\":NaN}", "1:6"),
        ("{\"a\":1e400}", "1:6"),
        ("{\"a\":\"\\ud800\"}", "1:7"),
        ("{\"a\":\"\\ud800\\u0041\"}", "1:7"),
        ("{\"a\":\"\\x\"}", "1:7"),
        ("{\"a\":\"x\ny\"}", "1:8"),
        ("{\"a\":\"x", "1:6"),
        ("{a:1}", "1:2"),
        ("{\"a\" 1}", "1:6"),
        ("{\"a\":1 \"b\":2}", "1:8"),
        ("// x\n{}", "1:1"),
    ] {
        let error = parse(source).unwrap_err();
        let at = error.position.unwrap();
        assert_eq!(format!("{}:{}", at.line, at.column), place, "{source}: {error}");
    }
    let bytes = Json.parse(SecretBytes::from(&b"{\"a\":\"\xff\"}"[..])).unwrap_err();
    assert_eq!(bytes.to_string(), "the text is not valid UTF-8");
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&deep(parse::MAX_DEPTH - 1)).is_ok());
    assert!(parse(&deep(parse::MAX_DEPTH)).is_err());
    assert!(parse(&"{\"a\":".repeat(100_000)).is_err());
}

#[test]
fn splice_changes_the_value_alone() {
    let mut tree = tree("{ \"a\" : \"x\",\r\n  \"b\":[ 1 ,\"\\u0041\"] }");
    let ids: Vec<NodeId> = tree
        .walk(None)
        .filter_map(|step| match step {
            Step::Leaf(id) => Some(id),
            _ => None,
        })
        .collect();
    let new = tree.intern(b"q\"<");
    tree.set(ids[0], NodeKind::Text(new));
    tree.set(ids[1], NodeKind::Boolean(false));
    let verbatim = tree.intern(b"\"\\u0042\"");
    let changes = [
        Change { id: ids[0], verbatim: None },
        Change { id: ids[1], verbatim: None },
        Change { id: ids[2], verbatim: Some(verbatim) },
    ];
    let edits = Json.splice(&tree, &changes).unwrap();
    assert_eq!(
        text(&edits.apply(tree.source())),
        "{ \"a\" : \"q\\\"\\u003c\",\r\n  \"b\":[ false ,\"\\u0042\"] }"
    );
}

#[test]
fn comments_of_another_format_leave_the_list() {
    for (source, members, expected) in [
        ("{\"l\":[1, 2, 3]}", &[0][..], "{\"l\":[2, 3]}"),
        ("{\"l\":[1, 2, 3]}", &[0, 1], "{\"l\":[3]}"),
        ("{\"l\":[1, 2, 3]}", &[2], "{\"l\":[1, 2]}"),
        ("{\"l\":[1, 2, 3]}", &[1, 2], "{\"l\":[1]}"),
        ("{\"l\":[1, 2, 3]}", &[0, 1, 2], "{\"l\":[]}"),
        ("{\"l\":[1],\"m\":[2]}", &[0, 2], "{\"l\":[],\"m\":[]}"),
    ] {
        let mut tree = tree(source);
        let leaves: Vec<NodeId> = tree
            .walk(None)
            .filter_map(|step| match step {
                Step::Leaf(id) => Some(id),
                Step::Enter(_) | Step::Leave(_) => None,
            })
            .collect();
        let mut changes = Vec::new();
        for &member in members {
            let id = if leaves.len() == 2 { leaves[member / 2] } else { leaves[member] };
            let text = TextRef::Source(crate::span::Span::new(0, 0));
            tree.set(id, NodeKind::Comment { text, inline: false });
            changes.push(Change { id, verbatim: None });
        }
        let edits = Json.splice(&tree, &changes).unwrap();
        assert_eq!(text(&edits.apply(tree.source())), expected, "{source} {members:?}");
    }
}

#[test]
fn a_block_goes_in_and_comes_out_again() {
    for source in [
        "{\n\t\"a\": 1\n}\n",
        "{\n  \"a\": 1,\n  \"b\": {}\n}",
        "{\"a\":1}",
        "{}",
        "{ \"a\" : 1 }\r\n",
        "{\r\n\t\"a\": 1\r\n}\r\n",
    ] {
        let plain = tree(source);
        let block = "{\"sops\": {\"mac\": \"x\"}}";
        for position in [None, Some(0)] {
            let edits = Json.attach(&plain, &Block { text: block.as_bytes(), position }).unwrap();
            let with = edits.apply(plain.source());
            let with = tree(text(&with));
            let detached = Json.detach(&with).unwrap().unwrap();
            assert_eq!(text(&detached.block), block);
            let expected = position.filter(|_| source != "{}");
            assert_eq!(detached.position, expected, "{source}");
            assert_eq!(text(&detached.edits.apply(with.source())), source);
        }
    }
    assert!(Json.detach(&tree("{\"a\":1}")).unwrap().is_none());
    assert!(Json.detach(&tree("{\"sops\":1,\"sops\":2}")).is_err());
}

#[test]
fn the_block_takes_the_indentation_of_the_file() {
    let layout = |source: &str| Json.layout_of(&tree(source), &Layout::default());
    assert_eq!(layout("{\n    \"a\": 1\n}").indent, Some(4));
    assert_eq!(layout("{\n\t\"a\": 1\n}").indent, None);
    assert!(layout("{\"a\": 1}").compact);
    assert!(layout("{\r\n  \"a\": 1}").crlf);
}

#[test]
fn duplicate_keys_are_kept_with_a_warning() {
    let warnings = Json.warnings(&tree("{\"a\":1,\n\"a\":{\"b\":1,\"b\":2},\"b\":3}"));
    let places: Vec<_> = warnings.iter().map(|warning| warning.position.unwrap().line).collect();
    assert_eq!(places, [2, 2]);
    assert_eq!(warnings[1].message, "the key at `[\"a\"][\"b\"]` stands there twice");
}
