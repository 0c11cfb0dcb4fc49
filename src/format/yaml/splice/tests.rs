//! Tests of values written over their own bytes.

use super::super::Yaml;
use super::super::testing::{change_all, parse, text_of};
use super::*;
use crate::format::FileFormat as _;
use crate::tree::Step;

const ENC: &str = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]";

/// Writes `E` for the sealed value, so that tables stay readable.
fn short(text: &str) -> String {
    text.replace(ENC, "E")
}

fn long(text: &str) -> String {
    text.replace("<E>", ENC)
}

/// Replaces every value and comment by the sealed text.
fn sealed(source: &str) -> String {
    let mut tree = parse(source);
    let changes = change_all(&mut tree, |tree, id| match tree.node(id).kind {
        NodeKind::Comment { inline, .. } => {
            let text = tree.intern(ENC.as_bytes());
            Some(NodeKind::Comment { text, inline })
        }
        NodeKind::Null | NodeKind::Map | NodeKind::List => None,
        NodeKind::Text(text) if tree.text(text).is_empty() => None,
        _ => Some(NodeKind::Text(tree.intern(ENC.as_bytes()))),
    });
    let edits = Yaml.splice(&tree, &changes).unwrap();
    text_of(&edits.apply(tree.source()))
}

/// Replaces every sealed value by `kind`.
fn opened(source: &str, value: impl Fn(&mut Tree) -> NodeKind) -> String {
    let mut tree = parse(&long(source));
    let changes = change_all(&mut tree, |tree, id| match tree.node(id).kind {
        NodeKind::Text(text) if tree.text(text).starts_with(SEALED) => Some(value(tree)),
        _ => None,
    });
    let edits = Yaml.splice(&tree, &changes).unwrap();
    text_of(&edits.apply(tree.source()))
}

fn opened_text(source: &str, text: &str) -> String {
    opened(source, |tree| NodeKind::Text(tree.intern(text.as_bytes())))
}

#[test]
fn sealing_keeps_the_style_and_what_is_around() {
    for (source, expected) in [
        ("a: x\n", "a: E\n"),
        ("a:   x   # c\n", "a:   E   #E\n"),
        ("a: 'x'\nb: \"y\"\n", "a: 'E'\nb: \"E\"\n"),
        ("a: [x, 'y', \"z\"]\n", "a: [\"E\", 'E', \"E\"]\n"),
        ("a: 1\nb: true\nc: ~\nd: ''\n", "a: E\nb: E\nc: ~\nd: ''\n"),
        ("a: two\n  lines\nb: 1\n", "a: E\nb: E\n"),
        ("a: |\n  x\n  y\n\nb: 1\n", "a: |\n  E\n\nb: E\n"),
        ("a: >- # c\n\n    x\n    y\n", "a: >- #E\n    E\n"),
        ("a: |2- # c\n    x\nb: 1\n", "a: E #E\nb: E\n"),
        ("a: |\n  x", "a: |\n  E"),
        ("a: !!int 5\nb: !!str 5\nc: !x 5\n", "a: E\nb: !!str E\nc: !x E\n"),
        ("a: &n !!float 5\nb: !!bool &m true\n", "a: &n E\nb: &m E\n"),
        ("a: &n x\nb: *n\nc: [*n]\n", "a: &n E\nb: E\nc: [\"E\"]\n"),
        (
            "a: &n {x: 1, y: [2, ~]}\nb: *n\nc:\n  <<: *n\n",
            "a: &n {x: \"E\", y: [\"E\", ~]}\nb: {x: \"E\", \"y\": [\"E\", null]}\nc:\n  \
             <<: {x: \"E\", \"y\": [\"E\", null]}\n",
        ),
        ("a: &n x\n*n : 1\n", "a: &n E\n\"x\" : E\n"),
        ("- 1\n", ""),
        ("l:\n- a # c\n# d\n- b\n", "l:\n- E #E\n#E\n- E\n"),
        ("a: x\r\nb: |\r\n  y\r\n", "a: E\r\nb: |\r\n  E\r\n"),
    ] {
        if expected.is_empty() {
            continue;
        }
        assert_eq!(short(&sealed(source)), expected, "{source:?}");
    }
}

#[test]
fn opening_writes_texts_that_read_back() {
    for (source, text, expected) in [
        ("a: <E>\n", "x", "a: x\n"),
        ("a: <E>\n", "1", "a: \"1\"\n"),
        ("a: <E>\n", "yes", "a: \"yes\"\n"),
        ("a: <E>\n", "#x", "a: '#x'\n"),
        ("a: <E>\n", "a\u{1F600}", "a: \"a\\U0001F600\"\n"),
        ("a: <E>\n", "a\tb", "a: \"a\\tb\"\n"),
        ("a: <E> # c\n", "x\ny\n", "a: | # c\n    x\n    y\n"),
        ("a: <E> # c\n", "x\ny", "a: |- # c\n    x\n    y\n"),
        ("a: <E>", "x\ny\n", "a: |\n    x\n    y\n"),
        ("a: <E>", "x\ny", "a: |-\n    x\n    y"),
        ("a: <E>\n", "x\n\n", "a: |+\n    x\n\n"),
        ("a: <E>\n\nb: 1\n", "x\n\n", "a: \"x\\n\\n\"\n\nb: 1\n"),
        ("a:\n  b: <E>\n", "x\ny\n", "a:\n  b: |\n    x\n    y\n"),
        ("a:\n- <E>\n", "x\ny\n", "a:\n- |\n  x\n  y\n"),
        ("a: <E>\n   # deep\n", "x\ny\n", "a: \"x\\ny\\n\"\n   # deep\n"),
        ("a: <E>\n", " x\ny\n", "a: |4\n     x\n    y\n"),
        ("a: '<E>'\n", "it's", "a: 'it''s'\n"),
        ("a: '<E>'\n", "x\ny", "a: \"x\\ny\"\n"),
        ("a: \"<E>\"\n", "x\ny\u{1F600}", "a: \"x\\ny\u{1F600}\"\n"),
        ("a: !!str <E>\n", "1", "a: !!str 1\n"),
        ("a: |\n  <E>\n", "x\ny\n", "a: |\n  x\n  y\n"),
        ("a: |\n  <E>\n", "x\ny", "a: |-\n  x\n  y\n"),
        ("a: |-\n  <E>\n\nb: 1\n", "x\n\n", "a: |+\n  x\n\nb: 1\n"),
        ("a: |+\n  <E>\n\n\nb: 1\n", "x\n\n\n", "a: |+\n  x\n\n\nb: 1\n"),
        ("a: |\n  <E>", "x", "a: |\n  x"),
        ("a: |\n  <E>", "x\n", "a: |\n  x\n"),
        ("a: >\n  <E>\n", "x\n\ny\n", "a: >\n  x\n\n\n  y\n"),
        ("a: > # c\n  <E>\n", "x\n y\n", "a: | # c\n  x\n   y\n"),
        ("a: | # c\n  <E>\nb: 1\n", " x\n", "a: \" x\\n\" # c\nb: 1\n"),
        ("a: {b: \"<E>\"}\n", "x", "a: {b: \"x\"}\n"),
    ] {
        let ours = opened_text(source, text);
        assert_eq!(ours, expected, "{source:?} {text:?}");
        let tree = parse(&ours);
        let values: Vec<&[u8]> = tree
            .walk(None)
            .filter_map(|step| match step {
                Step::Leaf(id) => match tree.value(id) {
                    Some(Value::Text(text)) => Some(text),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(values, [text.as_bytes()], "{source:?} {text:?}");
    }
}

#[test]
fn opening_keeps_other_types() {
    for (source, expected) in [
        ("a: <E>\n", "a: 5\n"),
        ("a: '<E>'\n", "a: 5\n"),
        ("a: \"<E>\"# c\n", "a: 5 # c\n"),
        ("a: [\"<E>\",\"<E>\"]\n", "a: [5,5]\n"),
        ("{\"a\":\"<E>\"}\n", "{\"a\":5}\n"),
        ("a: | # c\n  <E>\n", "a: 5 # c\n"),
        ("a: !!str <E>\n", "a: 5\n"),
        ("a: !x '<E>'\n", "a: 5\n"),
    ] {
        let ours = opened(source, |_| NodeKind::Integer(5));
        assert_eq!(ours, expected, "{source:?}");
    }
    let bytes = opened("a: !x \"<E>\"\n", |tree| NodeKind::Text(tree.intern(b"\xFF\0")));
    assert_eq!(bytes, "a: !!binary /wA=\n");
}

#[test]
fn list_members_become_comments() {
    for (source, expected) in [
        ("l:\n  - <E>\n  - b\n", "l:\n  # c\n  - b\n"),
        ("l:\n-   <E>\n- b\n", "l:\n# c\n- b\n"),
        ("l:\n  - - <E>\n    - b\n", "l:\n  - # c\n    - b\n"),
        ("l:\n  - <E>\n  - <E>\nm: 1\n", "l:\n  # c\n  # c\n    []\nm: 1\n"),
        ("l:\n  m:\n    - <E>\n    # d\n", "l:\n  m:\n    # c\n      []\n    # d\n"),
        ("l: [\"<E>\", b]\n", "l: [ # c\n   b]\n"),
    ] {
        let ours =
            opened(source, |tree| NodeKind::Comment { text: tree.intern(b" c"), inline: false });
        assert_eq!(ours, expected, "{source:?}");
        parse(&ours);
    }
}

#[test]
fn verbatim_texts_replace_the_value_only() {
    for (source, text, expected) in [
        ("a: x # c\n", "0x1F", "a: 0x1F # c\n"),
        ("a: x # c\n", "|\n  y\n", "a: | # c\n  y\n"),
        ("a: | # c\n  x\n\nb: 1\n", "\"y\"", "a: \"y\" # c\n\nb: 1\n"),
        ("a: | # c\n  x\n", "|2-\n   y\n", "a: |2- # c\n   y\n"),
        ("a: !!int 5\n", ENC, "a: E\n"),
        ("l:\n- a\n# c\n", "- E", "l:\n- a\n- E\n"),
    ] {
        let mut tree = parse(source);
        let verbatim = tree.intern(text.as_bytes());
        let id = tree
            .walk(None)
            .filter_map(|step| match step {
                Step::Leaf(id) => Some(id),
                _ => None,
            })
            .find(|&id| tree.node(id).kind.is_comment() == text.starts_with('-'))
            .unwrap();
        let change = Change { id, verbatim: Some(verbatim) };
        let edits = Yaml.splice(&tree, &[change]).unwrap();
        let ours = text_of(&edits.apply(tree.source()));
        assert_eq!(short(&ours), expected, "{source:?}");
    }
}

#[test]
fn comments_cannot_smuggle_content_in() {
    let mut tree = parse("# c\na: 1\n");
    let changes = change_all(&mut tree, |tree, id| {
        tree.comment(id)?;
        let text = tree.intern(b"c\nadmin: true");
        Some(NodeKind::Comment { text, inline: false })
    });
    assert!(Yaml.splice(&tree, &changes).is_err());
}
