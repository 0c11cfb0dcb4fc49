//! TOML: trees, places, texts.

use std::fmt::Write as _;

use super::*;
use crate::document::Document;
use crate::format::{by_content, by_name};
use crate::span::Position;
use crate::tree::path::TreePath;
use crate::tree::{Step, Value};

fn parse(text: &str) -> Tree {
    Toml.parse(SecretBytes::from(text)).unwrap()
}

/// Shows a tree on one line: maps in braces, lists in brackets, comments with their marker, those
/// on the line of a value with two.
fn shown(tree: &Tree) -> String {
    let mut out = String::new();
    for step in tree.walk(None) {
        let id = match step {
            Step::Leave(id) => {
                out.push(if tree.node(id).kind == NodeKind::Map { '}' } else { ']' });
                continue;
            }
            Step::Enter(id) | Step::Leaf(id) => id,
        };
        if !out.is_empty() && !out.ends_with(['{', '[']) {
            out.push(' ');
        }
        if let Some(key) = tree.key(id) {
            write!(out, "{}=", String::from_utf8_lossy(key)).unwrap();
        }
        match (tree.node(id).kind, tree.value(id)) {
            (NodeKind::Map, _) => out.push('{'),
            (NodeKind::List, _) => out.push('['),
            (NodeKind::Comment { inline, .. }, _) => {
                out.push_str(if inline { "##" } else { "#" });
                out.push_str(String::from_utf8_lossy(tree.comment(id).unwrap()).trim());
            }
            (_, Some(Value::Text(text))) => {
                write!(out, "{:?}", String::from_utf8_lossy(text)).unwrap();
            }
            (_, Some(Value::Integer(number))) => write!(out, "{number}").unwrap(),
            (_, Some(Value::Float(number))) => write!(out, "{number:?}").unwrap(),
            (_, Some(Value::Boolean(flag))) => write!(out, "{flag}").unwrap(),
            (_, other) => panic!("{other:?}"),
        }
    }
    out
}

#[track_caller]
fn reads(text: &str, expected: &str) {
    assert_eq!(shown(&parse(text)), expected, "{text}");
}

#[track_caller]
fn refuses(text: &str, message: &str, (line, column): (usize, usize)) {
    let error = Toml.parse(SecretBytes::from(text)).unwrap_err();
    assert_eq!(error.message, message, "{text}");
    assert_eq!(error.position, Some(Position { line, column }), "{text}");
}

#[test]
fn values_have_their_types() {
    reads("", "{}");
    reads("a = 1_000\nb = 0xFf\nc = 0o17\nd = 0b101\ne = +7", "{a=1000 b=255 c=15 d=5 e=7}");
    reads("a = 1.5\nb = 5e+2\nc = -inf\nd = 1_0.0", "{a=1.5 b=500.0 c=-inf d=10.0}");
    reads("a = true\nb = false", "{a=true b=false}");
    reads("a = 9223372036854775807", "{a=9223372036854775807}");
}

#[test]
fn texts_are_unescaped() {
    reads(r#"a = "x\ty\u00e9\"" "#, "{a=\"x\\tyé\\\"\"}");
    reads(r"a = 'C:\x'", "{a=\"C:\\\\x\"}");
    reads("a = \"\"\"\nx \\\n   y\n\"\"\"", "{a=\"x y\\n\"}");
    reads("a = '''\nx\n'y'\n'''", "{a=\"x\\n'y'\\n\"}");
    reads("'k.1' = 1\n\"k\\t2\" = 2\n\"\" = 3", "{k.1=1 k\t2=2 =3}");
}

#[test]
fn line_breaks_in_texts_are_lf_unless_they_are_escaped() {
    reads("a = \"\"\"\r\nx\r\ny\r\n\"\"\"\r\n", "{a=\"x\\ny\\n\"}");
    reads("a = '''x\r\ny'''", "{a=\"x\\ny\"}");
    reads("a = \"\"\"x\\r\ny\\r\\n\"\"\"", "{a=\"x\\r\\ny\\r\\n\"}");
}

#[test]
fn dates_are_texts_in_one_spelling() {
    reads("a = 1979-05-27 07:32:00z", "{a=\"1979-05-27T07:32:00Z\"}");
    reads("a = 1979-05-27t00:32:00.500-07:00", "{a=\"1979-05-27T00:32:00.5-07:00\"}");
    reads("a = 1979-05-27\nb = 07:32:00", "{a=\"1979-05-27\" b=\"07:32:00\"}");
    refuses("a = 1979-02-30", "invalid date or time", (1, 5));
}

#[test]
fn tables_and_arrays_are_maps_and_lists() {
    reads("[a]\nx = 1\n[a.b]\ny = 2\n[c]", "{a={x=1 b={y=2}} c={}}");
    reads("[[a]]\nx = 1\n[[a]]\n[a.b]\ny = 2\n[[a.c]]", "{a=[{x=1} {b={y=2} c=[{}]}]}");
    reads("a.b.c = 1\na.b.d = 2\n'e'.f = 3", "{a={b={c=1 d=2}} e={f=3}}");
    reads("a = {x = 1, y.z = [2, {}]}\nb = [[], [1]]", "{a={x=1 y={z=[2 {}]}} b=[[] [1]]}");
}

#[test]
fn an_entry_stands_where_its_key_is_first_seen() {
    reads("a.x = 1\nb = 2\na.y = 3", "{a={x=1 y=3} b=2}");
    reads("[a]\nx = 1\n[b]\ny = 2\n[a.c]\nz = 3", "{a={x=1 c={z=3}} b={y=2}}");
    reads("[[a]]\n[b]\n[[a]]", "{a=[{} {}] b={}}");
}

#[test]
fn a_table_with_its_header_behind_those_in_it_stands_where_the_header_is() {
    reads("[a.b]\nx = 1\n[c]\ny = 2\n[a]\nz = 3", "{c={y=2} a={b={x=1} z=3}}");
    reads("[a.b.c]\n[d]\n[a.b]\n[e]\n[a]", "{d={} e={} a={b={c={}}}}");
}

#[test]
fn nothing_is_defined_twice() {
    for (text, place) in [
        ("a = 1\na = 2", (2, 5)),
        ("a = 1\n\"a\" = 2", (2, 7)),
        ("[a]\n[a]", (2, 3)),
        ("[a]\n[[a]]", (2, 4)),
        ("[[a]]\n[a]", (2, 3)),
        ("a = [{}]\n[[a]]", (2, 4)),
        ("a = {}\n[a]", (2, 3)),
        ("a = {}\n[a.b]", (2, 5)),
        ("a = {}\na.b = 1", (2, 7)),
        ("a = {b = {}, b.c = 1}", (1, 20)),
        ("a.b = 1\n[a]", (2, 3)),
        ("a.b = 1\na = 2", (2, 5)),
        ("[a.b]\n[a]\nb.c = 1", (3, 7)),
        ("[a.b.c]\n[a]\nb.d = 1", (3, 7)),
        ("[[a.b]]\n[a]\nb.c = 1", (3, 7)),
    ] {
        refuses(text, "the key or table is defined twice", place);
    }
    reads("a.b = 1\n[a.c]\nd = 2", "{a={b=1 c={d=2}}}");
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    refuses("a = 1\nb", "key with no value", (2, 2));
    refuses("a = [1, 2", "unclosed array", (1, 10));
    refuses("a = 9223372036854775808", "the integer does not fit into 64 bits with sign", (1, 5));
    refuses("é = 1", "invalid unquoted key", (1, 1));
    refuses("a = 1e999", "the number does not fit into a float of 64 bits", (1, 5));
    let error = Toml.parse(SecretBytes::from(&b"a = '\xff'"[..])).unwrap_err();
    assert_eq!(error.position, Some(Position { line: 1, column: 6 }));
}

#[test]
fn nesting_ends_where_that_of_rops_does() {
    let lists = |depth: usize| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
    let tables = |depth: usize| format!("a = {}1{}", "{a = ".repeat(depth), "}".repeat(depth));
    let keys = |depth: usize| format!("{} = 1", vec!["a"; depth].join("."));
    let headers = |depth: usize| format!("[{}]", vec!["a"; depth].join("."));
    for text in [lists(79), tables(79), keys(79), headers(79)] {
        parse(&text);
    }
    for text in [lists(80), tables(80), keys(80), headers(80), lists(1_000_000), keys(1_000_000)] {
        let error = Toml.parse(SecretBytes::from(&*text)).unwrap_err();
        assert_eq!(error.message, "the text is nested too deep");
    }
}

#[test]
fn a_comment_stands_in_front_of_what_follows_it() {
    reads("# a\n# b\nx = 1\n# c\n", "{#a #b x=1 #c}");
    reads("x = 1\n# c\n[a]\n# d\ny = 2", "{x=1 #c a={#d y=2}}");
    reads("[a]\nx = 1\n# c\n[a.b]\n# d\n[[e]]\n# f\n[[e]]", "{a={x=1 #c b={}} e=[#d {} #f {}]}");
    reads("# c\na.b = 1", "{a={#c b=1}}");
}

#[test]
fn a_comment_with_a_blank_line_below_belongs_to_the_table_above() {
    reads("[a]\nx = 1\n# c\n\n# d\n[b]", "{a={x=1 #c} #d b={}}");
    reads("[a]\n# c\n  \n[b]\n# d", "{a={#c} b={#d}}");
    reads("# c\n\n[a]", "{#c a={}}");
}

#[test]
fn a_comment_on_the_line_stands_in_front() {
    reads("x = 1 # c\ny = 2", "{##c x=1 y=2}");
    reads("[a] # c\nx = 1", "{##c a={x=1}}");
    reads("[[a]] # c\n[[a]] # d", "{a=[##c {} ##d {}]}");
    reads("a.b = [ # c\n 1, # d\n # e\n 2 # f\n # g\n] # h", "{a={##h b=[#c ##d 1 #e ##f 2 #g]}}");
}

#[test]
fn a_comment_behind_the_metadata_is_a_part_of_it() {
    reads("[sops] # c\nmac = ''", "{sops={##c mac=\"\"}}");
    reads("sops = {mac = ''} # c", "{sops={mac=\"\" ##c}}");
    reads("[a.sops] # c", "{a={##c sops={}}}");
}

/// Sets each leaf of a tree to a text, and returns the text of the whole with those.
fn with_texts(text: &str, value: &str) -> String {
    let mut tree = parse(text);
    let mut changes = Vec::new();
    for index in 0..tree.nodes().len() {
        let id = tree.id_at(index).unwrap();
        let kind = tree.node(id).kind;
        if kind.is_container() {
            continue;
        }
        let text = tree.intern(value.as_bytes());
        tree.set(
            id,
            match kind {
                NodeKind::Comment { inline, .. } => NodeKind::Comment { text, inline },
                _ => NodeKind::Text(text),
            },
        );
        changes.push(Change { id, verbatim: None });
    }
    let edits = Toml.splice(&tree, &changes).unwrap();
    String::from_utf8(edits.apply(tree.source()).to_vec()).unwrap()
}

#[test]
fn values_are_written_over_their_own_bytes() {
    assert_eq!(
        with_texts("a =  1 # c\nb = [ 2.5,true ]\n\n[ c ]\n  'd' = {x=1979-05-27}\n", "T"),
        "a =  \"T\" #T\nb = [ \"T\",\"T\" ]\n\n[ c ]\n  'd' = {x=\"T\"}\n"
    );
}

#[test]
fn a_text_keeps_its_quotes_where_they_can_hold_it() {
    let all = "a = \"\"\nb = ''\nc = \"\"\"\n\"\"\"\nd = '''\n'''\n";
    assert_eq!(with_texts(all, "T"), "a = \"T\"\nb = 'T'\nc = \"\"\"T\"\"\"\nd = '''T'''\n");
    assert_eq!(
        with_texts(all, "it's"),
        "a = \"it's\"\nb = \"it's\"\nc = \"\"\"it's\"\"\"\nd = '''it's'''\n"
    );
    assert_eq!(
        with_texts("a = \"\"\nb = ''", "\\ \u{1}"),
        "a = \"\\\\ \\u0001\"\nb = \"\\\\ \\u0001\""
    );
    assert_eq!(
        with_texts("a = \"\"\nb = ''", "x\ny\n"),
        "a = \"\"\"\nx\ny\n\"\"\"\nb = \"\"\"\nx\ny\n\"\"\""
    );
    assert_eq!(with_texts("a = ''\r\n", "x\ny"), "a = \"\"\"\r\nx\r\ny\"\"\"\r\n");
}

#[test]
fn a_comment_cannot_go_over_several_lines() {
    let mut tree = parse("# c");
    let id = tree.id_at(1).unwrap();
    let text = tree.intern(b"x\ny");
    tree.set(id, NodeKind::Comment { text, inline: false });
    let error = Toml.splice(&tree, &[Change { id, verbatim: None }]).unwrap_err();
    assert_eq!(
        error.message,
        "TOML cannot hold a comment with control characters or another encoding"
    );
}

const BLOCK: &str = "[sops]\nmac = \"m\"\n\n[[sops.age]]\nenc = '''\ne\n'''\n";

/// Puts the block into a text, takes it out again, and returns the text with it.
#[track_caller]
fn attached(text: &str, position: Option<usize>) -> String {
    let tree = parse(text);
    let edits = Toml.attach(&tree, &Block { text: BLOCK.as_bytes(), position }).unwrap();
    let with = String::from_utf8(edits.apply(tree.source()).to_vec()).unwrap();
    let detached = Toml.detach(&parse(&with)).unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&detached.block), BLOCK);
    assert_eq!(detached.position, position);
    let without = detached.edits.apply(with.as_bytes());
    assert_eq!(String::from_utf8_lossy(&without), text);
    with
}

#[test]
fn the_metadata_comes_last_behind_a_blank_line() {
    assert_eq!(attached("a = 1\n", None), format!("a = 1\n\n{BLOCK}"));
    assert_eq!(attached("[a]\n\n# c\n\n\n", None), format!("[a]\n\n# c\n\n\n\n{BLOCK}"));
    assert_eq!(attached("", None), BLOCK);
    assert_eq!(attached("\u{feff}", None), format!("\u{feff}{BLOCK}"));
    assert_eq!(attached("a = 1\r\n", None), format!("a = 1\r\n\r\n{BLOCK}"));
}

#[test]
fn the_metadata_goes_back_between_other_tables() {
    assert_eq!(
        attached("a = 1\n\n[b]\n\n# c\n[d]\n", Some(1)),
        format!("a = 1\n\n[b]\n\n{BLOCK}\n# c\n[d]\n")
    );
    assert_eq!(attached("[b]\n", Some(0)), format!("{BLOCK}\n[b]\n"));
}

#[test]
fn the_metadata_is_found_in_every_form() {
    for (text, rest, block) in [
        ("sops = {mac = 'm'} # c\na = 1\n", "a = 1\n", "sops = {mac = 'm'} # c\n"),
        ("sops.mac = 'm'\na = 1\nsops.age = []\n", "a = 1\n", "sops.mac = 'm'\nsops.age = []\n"),
        ("a = 1\n[[sops.age]]\nenc = 'e'\n", "a = 1\n", "[[sops.age]]\nenc = 'e'\n"),
        (
            "[sops]\nx = 1\n[a]\n[[sops.age]]\ny = 2\n\n[b]\n",
            "[a]\n[b]\n",
            "[sops]\nx = 1\n[[sops.age]]\ny = 2\n",
        ),
        ("[a]\nsops = 1\n", "", ""),
    ] {
        let Some(detached) = Toml.detach(&parse(text)).unwrap() else {
            assert_eq!(block, "", "{text}");
            continue;
        };
        let without = detached.edits.apply(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&without), rest, "{text}");
        assert_eq!(String::from_utf8_lossy(&detached.block), block, "{text}");
        parse(block);
    }
}

#[test]
fn inline_metadata_goes_in_front_of_the_first_header() {
    let tree = parse("a = 1\n# c\n[b]\n");
    let block = Block { text: b"sops = {mac = 'm'}\n", position: None };
    let text = Toml.attach(&tree, &block).unwrap().apply(tree.source());
    assert_eq!(&*text, b"a = 1\nsops = {mac = 'm'}\n# c\n[b]\n");
}

#[track_caller]
fn appended(text: &str, path: &[&str], expected: &str) {
    let tree = parse(text);
    let root = tree.documents().next().unwrap();
    let map = path.iter().fold(root, |map, key| tree.entry(map, key.as_bytes()).unwrap());
    let text = Toml.append(&tree, map, "k.1", "v").unwrap().apply(tree.source());
    assert_eq!(String::from_utf8_lossy(&text), expected);
}

#[test]
fn an_entry_goes_behind_the_last_of_its_table() {
    appended("", &[], "\"k.1\" = \"v\"\n");
    appended("a = 1", &[], "a = 1\n\"k.1\" = \"v\"\n");
    appended(
        "a = [\n1\n] # c\n\n[b]\n  x.y = 1\n\n[c]\n",
        &[],
        "a = [\n1\n] # c\n\"k.1\" = \"v\"\n\n[b]\n  x.y = 1\n\n[c]\n",
    );
    appended(
        "[b]\r\n  x.y = 1\r\n[b.c]\r\n",
        &["b"],
        "[b]\r\n  x.y = 1\r\n  \"k.1\" = \"v\"\r\n[b.c]\r\n",
    );
    appended("[b]\n[c]\n", &["b"], "[b]\n\"k.1\" = \"v\"\n[c]\n");
    appended("b = {}", &["b"], "b = { \"k.1\" = \"v\" }");
    appended("b = { x = { y = 1 } }", &["b"], "b = { x = { y = 1 }, \"k.1\" = \"v\" }");
}

/// Converts YAML to TOML, checks that it reads back in the same order, and returns it.
fn from_yaml(text: &str) -> String {
    let tree = by_name("yaml").unwrap().parse(SecretBytes::from(text)).unwrap();
    let text = Toml.emit(&tree, &Layout::default()).unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert_eq!(shown(&parse(&text)), shown(&tree), "{text}");
    text
}

#[test]
fn maps_at_the_end_get_headers() {
    assert_eq!(
        from_yaml("a: 1\nb:\n  c: x\n  d:\n    e: [1, 2]\nf: {}\n"),
        "a = 1\n\n[b]\nc = \"x\"\n\n[b.d]\ne = [\n    1,\n    2,\n]\n\n[f]\n"
    );
    assert_eq!(
        from_yaml("a:\n  b:\n    c: 1\nd:\n- e: 1\n- e: 2\n  f:\n    g: 3\n"),
        "\n[a.b]\nc = 1\n\n[[d]]\ne = 1\n\n[[d]]\ne = 2\n\n[d.f]\ng = 3\n".trim_start()
    );
}

#[test]
fn maps_with_a_value_behind_them_get_keys_with_dots() {
    assert_eq!(
        from_yaml("a:\n  b: {c: 1, d: {}}\n  e: [{f: 1, g: [2, 3]}, 4]\nh: 5\n"),
        "a.b.c = 1\na.b.d = {}\na.e = [\n    { f = 1, g = [2, 3] },\n    4,\n]\nh = 5\n"
    );
}

#[test]
fn comments_are_written_where_they_read_back() {
    assert_eq!(
        from_yaml("# a\nb: 1 # c\n# d\ne:\n  # f\n  g: [1, 2] # h\n"),
        "# a\nb = 1 # c\n\n# d\n[e]\n# f\ng = [\n    # h\n    1,\n    2,\n]\n"
    );
}

#[test]
fn texts_take_the_quotes_that_suit_them() {
    assert_eq!(
        from_yaml("a: C:\\x\nb: say \"hi\"\nc: |\n  x\n  y\n'd e': ''\n"),
        "a = 'C:\\x'\nb = 'say \"hi\"'\nc = \"\"\"\nx\ny\n\"\"\"\n\"d e\" = \"\"\n"
    );
}

#[test]
fn what_toml_cannot_hold_is_refused() {
    for (text, message) in [
        ("a: null", "TOML has no null at `[\"a\"]`"),
        (
            "a: 18446744073709551615",
            "TOML has no integers of more than 64 bits with sign at `[\"a\"]`",
        ),
        ("a: 1\n---\nb: 2", "TOML holds one document, and the file has several"),
    ] {
        let tree = by_name("yaml").unwrap().parse(SecretBytes::from(text)).unwrap();
        assert_eq!(Toml.emit(&tree, &Layout::default()).unwrap_err().to_string(), message);
    }
    let deep = format!("a: {}{}", "[".repeat(80), "]".repeat(80));
    let tree = by_name("yaml").unwrap().parse(SecretBytes::from(&*deep)).unwrap();
    let error = Toml.emit(&tree, &Layout::default()).unwrap_err();
    assert_eq!(error.message, "TOML cannot be nested as deep");
}

#[test]
fn a_part_of_a_document_is_a_value_alone() {
    for (key, text) in [("a", "[1]"), ("b", "[\n    2,\n    { c = 3.0 },\n]"), ("d", "4")] {
        let tree = parse("a = [1]\nb = [2, {c = 3.0}]\nd = 0x4\n");
        let root = tree.documents().next().unwrap();
        let part = tree.entry(root, key.as_bytes()).unwrap();
        let written = Toml.emit(&tree.into_subtree(part), &Layout::default()).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), text);
    }
}

#[test]
fn encrypted_toml_is_known_by_its_content() {
    let toml = b"a = \"x\"\n[sops]\nmac = \"ENC[AES256_GCM,data:x\"\n";
    let ini = b"[a]\nx = y\n[sops]\nmac = ENC[AES256_GCM,data:x\n";
    assert_eq!(by_content(toml, "secrets").unwrap().name(), "toml");
    assert_eq!(by_content(ini, "secrets").unwrap().name(), "ini");
    assert_eq!(by_content(b"mac = \"ENC[\"\n", "a.toml"), None);
}

#[test]
fn what_rops_refuses_is_warned_of() {
    let warnings = |text: &str| -> Vec<usize> {
        let places = Toml.warnings(&parse(text)).into_iter();
        places.map(|warning| warning.position.unwrap().line).collect()
    };
    assert_eq!(warnings("a = {\n x = 1 }\nb = { x = 1, }\nc = {\n}\n"), [1, 3, 4]);
    assert_eq!(warnings("a = [\n{ x = [\n1\n], y.z = '''\n''' }\n]\nb = {}\n"), [0; 0]);
    assert_eq!(warnings("a = nan\nb = [-inf]\n"), [2]);
}

/// Sets what is at a path to a JSON value, or removes it, in the text alone.
#[track_caller]
fn amended(text: &str, path: &str, value: Option<&str>, expected: &str) {
    let document = Document::parse(&Toml, SecretBytes::from(text)).unwrap();
    let path = TreePath::parse(path).unwrap();
    let changed = match value {
        Some(value) => {
            // JSON itself holds a map alone.
            let value = SecretBytes::from(&*format!("{{\"v\":{value}}}"));
            let value = by_name("json").unwrap().parse(value).unwrap();
            let root = value.documents().next().unwrap();
            let value_at = value.entry(root, b"v").unwrap();
            document.set(&path, &value.into_subtree(value_at)).unwrap()
        }
        None => document.unset(&path).unwrap(),
    };
    assert_eq!(String::from_utf8_lossy(changed.document.text()), expected);
    assert!(changed.in_place, "{expected}");
}

#[test]
fn a_value_is_replaced_in_its_place() {
    amended("a = 'x' # c\nb = 1\n", "a", Some("\"y\""), "a = 'y' # c\nb = 1\n");
    amended("a = 0x1F\n", "a", Some("[1, {\"b\": 2.0}]"), "a = [1, { b = 2.0 }]\n");
    amended("a = {b = [ 1, 2 ]}", "a.b[0]", Some("true"), "a = {b = [ true, 2 ]}");
}

#[test]
fn a_new_entry_goes_behind_those_of_its_table() {
    amended(
        "a = 1\n\n[b]\nc = 2\n\n[b.d]\n",
        "b.e",
        Some("3"),
        "a = 1\n\n[b]\nc = 2\ne = 3\n\n[b.d]\n",
    );
    amended("a = 1\r\n\r\n[b]\r\n", "c", Some("\"x\""), "a = 1\r\nc = \"x\"\r\n\r\n[b]\r\n");
    amended("a = {b = 1}", "a.c", Some("{}"), "a = {b = 1, c = {}}");
}

#[test]
fn a_new_table_of_the_root_gets_a_header() {
    amended("a = 1\n", "b.c", Some("{\"d\": 2}"), "a = 1\n\n[b.c]\nd = 2\n");
    amended("[a]", "b", Some("{\"c\": 2}"), "[a]\n\n[b]\nc = 2\n");
}

#[test]
fn a_new_member_goes_to_the_end_of_its_array() {
    amended("a = []", "a[0]", Some("1"), "a = [1]");
    amended("a = [1]", "a[1]", Some("2"), "a = [1, 2]");
    amended("a = [1, ]", "a[1]", Some("2"), "a = [1, 2, ]");
    amended("a = [\n  1, # one\n]", "a[1]", Some("2"), "a = [\n  1, # one\n  2,\n]");
    amended("a = [\n  1 # one\n]", "a[1]", Some("2"), "a = [\n  1, # one\n  2\n]");
}

#[test]
fn what_is_removed_goes_with_its_lines() {
    amended("a = 1\n# b\nb = [\n 2\n] # c\nd = 3\n", "b", None, "a = 1\n# b\nd = 3\n");
    amended("a = 1\n\n[b]\nc = 2\n\n[b.d]\n\n[e]\n", "b", None, "a = 1\n\n[e]\n");
    amended("[[a]]\nb = 1\n\n[[a]]\nb = 2\n", "a[0]", None, "[[a]]\nb = 2\n");
    amended("a = [1, 2]\nb = {c = 1, d = 2}", "a[0]", None, "a = [2]\nb = {c = 1, d = 2}");
    amended("a = [1, 2]\nb = {c = 1, d = 2}", "b.d", None, "a = [1, 2]\nb = {c = 1}");
    amended("a = [\n  1, # one\n  2, # two\n]", "a[0]", None, "a = [\n  2, # two\n]");
}
