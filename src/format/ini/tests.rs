//! Tests of the INI format.

use proptest::prelude::*;

use super::*;
use crate::tree::{Key, KeyType, Node, NodeKind, Site, Step, Style, TextRef, TreeBuilder, Value};

const ENC: &str = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]";

const BLOCK: &str = "[sops]\nmac     = x\nversion = 3.13.2\n";

fn parse(text: &[u8]) -> Result<Tree, SyntaxError> {
    Ini.parse(SecretBytes::from(text))
}

fn tree(text: &str) -> Tree {
    parse(text.as_bytes()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Describes the tree: `[section]`, `key=value`, `;comment`, each on its line, and the strays.
fn shape(tree: &Tree) -> String {
    let mut shape = String::new();
    for step in tree.walk(tree.documents().next()).skip(1) {
        let (Step::Enter(id) | Step::Leaf(id)) = step else { continue };
        let key = tree.key(id).map(text).unwrap_or_default();
        shape += &match (step, tree.comment(id), tree.value(id)) {
            (Step::Enter(_), ..) => format!("[{key}]"),
            (_, Some(comment), _) => format!(";{:?}", text(comment)),
            (_, _, Some(Value::Text(value))) => format!("{key:?}={:?}", text(value)),
            _ => "?".to_owned(),
        };
        shape.push('\n');
    }
    for stray in tree.strays() {
        shape += &format!("stray {:?}\n", text(tree.text(stray.text)));
    }
    shape
}

/// Returns the changes that give each leaf with content a new text.
fn change_all(tree: &mut Tree, new: impl Fn(&mut Tree, NodeId) -> TextRef) -> Vec<Change> {
    let mut changes = Vec::new();
    for index in 0..tree.nodes().len() {
        let id = tree.id_at(index).unwrap();
        match tree.node(id).kind {
            NodeKind::Text(old) if !tree.text(old).is_empty() => {
                let text = new(tree, id);
                tree.set(id, NodeKind::Text(text));
            }
            NodeKind::Comment { text: old, inline } if !tree.text(old).is_empty() => {
                let text = new(tree, id);
                tree.set(id, NodeKind::Comment { text, inline });
            }
            _ => continue,
        }
        changes.push(Change { id, verbatim: None });
    }
    changes
}

/// Replaces all values and comments by a ciphertext, as encryption does, and back again.
/// Returns both texts.
fn there_and_back(source: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let original = parse(source).map_err(|error| error.to_string())?;
    let mut plain = parse(source).unwrap();
    let changes = change_all(&mut plain, |tree, _| tree.intern(ENC.as_bytes()));
    let edits = Ini.splice(&plain, &changes).map_err(|error| format!("sealing: {error}"))?;
    let sealed = edits.apply(source);
    let mut again = parse(&sealed).map_err(|error| format!("sealed: {error}"))?;
    let (expected, found) = (shape(&plain), shape(&again));
    if expected != found {
        return Err(format!("{}\n-- meant\n{expected}-- read\n{found}", text(&sealed)));
    }
    let changes = change_all(&mut again, |tree, id| match original.node(id).kind {
        NodeKind::Text(old) | NodeKind::Comment { text: old, .. } => {
            tree.intern(original.text(old))
        }
        _ => unreachable!("both trees have the same nodes"),
    });
    let edits = Ini.splice(&again, &changes).map_err(|error| format!("opening: {error}"))?;
    let opened = edits.apply(&sealed);
    let reread = parse(&opened).map_err(|error| format!("opened: {error}"))?;
    if shape(&reread) != shape(&original) {
        return Err(format!("{}\n-- opened\n{}", text(&sealed), text(&opened)));
    }
    Ok((sealed.to_vec(), opened.to_vec()))
}

#[track_caller]
fn comes_back(source: &str) {
    let (sealed, opened) = there_and_back(source.as_bytes()).unwrap();
    assert_eq!(text(&opened), source, "by way of\n{}", text(&sealed));
}

#[test]
fn a_tree_is_that_of_sops() {
    for (source, expected) in [
        ("", "[DEFAULT]\n"),
        ("top = 1\n[s]\na=1\n", "[DEFAULT]\n\"top\"=\"1\"\n[s]\n\"a\"=\"1\"\n"),
        (
            "[s]\na=1\n[s]\na=2\n[DEFAULT]\n",
            "[DEFAULT]\n[s]\n\"a\"=\"1\"\n[s]\n\"a\"=\"2\"\n[DEFAULT]\n",
        ),
        // Comments: above a section, above and behind a key, at the end.
        (
            "; file\n\n # section\n[s]\n; k1\n# k2\na = 1 ; in\n; end\n[t]\nb=2\n; last\n",
            "[DEFAULT]\n[s]\n;\"file\\n# section\"\n\"a\"=\"1\"\n;\"k1\\n# k2\\n; in\"\n[t]\n;\"end\"\n\
             \"b\"=\"2\"\nstray \"last\"\n",
        ),
        (";;; ;x\n;#\na=1\n", "[DEFAULT]\n\"a\"=\"1\"\n;\"x\\n;#\"\n"),
        // The first line cannot be an empty one, which crashes SOPS.
        (";\n;;\n; x\na=1\n", "[DEFAULT]\n\"a\"=\"1\"\n;\"; x\"\n"),
        (";  \r\n; x\na=1\n", "[DEFAULT]\n\"a\"=\"1\"\n;\"\\r\\n; x\"\n"),
        ("[s] ; behind\n", "[DEFAULT]\n[s]\n;\"behind\"\n"),
        ("[s] ; see [x]\n", "[DEFAULT]\n[s] ; see [x]\n"),
        // An encrypted comment is its first line.
        (
            "; ENC[AES256_GCM,x]\n#\n\n;\na=1 ;\n",
            "[DEFAULT]\n\"a\"=\"1\"\n;\"ENC[AES256_GCM,x]\"\n",
        ),
        // Keys.
        (
            "\"q=k\" = 1\n`b` = 2\nc d : 3\n\"\"\"e\"\"\"=4\n k;e#y =5\n",
            "[DEFAULT]\n\"q=k\"=\"1\"\n\"b\"=\"2\"\n\"c d\"=\"3\"\n\"e\"=\"4\"\n\"k;e#y\"=\"5\"\n",
        ),
        // Values.
        (
            "a=\"q\"\nb='s'\nc = \"x\"y\nd=`b # t`\nf=cont \\\n  inued\ng=\nh=a=b:c\ni = \"  sp \"\n",
            "[DEFAULT]\n\"a\"=\"q\"\n\"b\"=\"s\"\n\"c\"=\"\\\"x\\\"y\"\n\"d\"=\"b # t\"\n\
             \"f\"=\"cont inued\"\n\"g\"=\"\"\n\"h\"=\"a=b:c\"\n\"i\"=\"  sp \"\n",
        ),
        ("e=\"\"\"tri\nple\"\"\"\n", "[DEFAULT]\n\"e\"=\"tri\\nple\"\n"),
        ("j=a;b\n", "[DEFAULT]\n\"j\"=\"a\"\n;\"b\"\n"),
        ("j=\"a;b\"\n", "[DEFAULT]\n\"j\"=\"\\\"a\"\n;\"b\\\"\"\n"),
        ("a=`x` ; dropped\n", "[DEFAULT]\n\"a\"=\"x\"\nstray \"dropped\"\n"),
        ("a=`x\ny` ; kept\n", "[DEFAULT]\n\"a\"=\"x\\ny\"\n;\"kept\"\n"),
        ("a=x\\\\\n\nb=1\n", "[DEFAULT]\n\"a\"=\"x\\\\\"\n\"b\"=\"1\"\n"),
        ("\u{feff}a=\u{a0}x\u{3000}\r\n", "[DEFAULT]\n\"a\"=\"x\"\n"),
        // What stands above the metadata stood at the end.
        ("; x\n[sops]\nmac=1\n", "[DEFAULT]\n[sops]\n\"mac\"=\"1\"\nstray \"x\"\n"),
    ] {
        assert_eq!(shape(&tree(source)), expected, "{source:?}");
    }
}

/// The trees as SOPS has them, in `testdata/ini/trees`.
#[test]
fn the_trees_of_sops_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/ini/trees");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "ini") {
            continue;
        }
        let json = std::fs::read(path.with_extension("json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let mut expected = String::new();
        for section in json[0]["map"].as_array().unwrap() {
            expected += &format!("[{}]\n", section[0].as_str().unwrap());
            for member in section[1]["map"].as_array().unwrap() {
                expected += &if let Some(comment) = member["comment"].as_str() {
                    format!(";{comment:?}\n")
                } else {
                    let value = member[1]["str"].as_str().unwrap();
                    format!("{:?}={value:?}\n", member[0].as_str().unwrap())
                };
            }
        }
        let found = shape(&parse(&std::fs::read(&path).unwrap()).unwrap());
        let found: String =
            found.split_inclusive('\n').filter(|line| !line.starts_with("stray")).collect();
        assert_eq!(found, expected, "{}", path.display());
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_place() {
    for (source, place) in [
        ("CANARY\n", "1:1"),
        ("[s]\n\n =CANARY\n", "3:2"),
        ("\"\"=CANARY\n", "1:1"),
        ("[]\n", "1:1"),
        ("[CANARY\n", "1:1"),
        ("[s] CANARY\n", "1:5"),
        ("\"k=CANARY\n", "1:1"),
        ("\"k\" CANARY = 1\n", "1:5"),
        ("k=\"\"\"CANARY\n", "1:3"),
        ("k=`CANARY\n", "1:3"),
        ("k=`x` CANARY\n", "1:7"),
        ("- = CANARY\n", "1:1"),
        ("`-` = CANARY\n", "1:1"),
        ("[s]\na=CANARY\nb=1\na=2\n", "4:1"),
        ("a=CANARY\\", "1:9"),
        ("a=1\\\nCANARY\\", "2:7"),
    ] {
        let error = parse(source.as_bytes()).unwrap_err();
        let position = error.position.unwrap();
        assert_eq!(format!("{}:{}", position.line, position.column), place, "{source:?}");
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
    assert!(parse(b"\xff\xfea\0=\0").unwrap_err().to_string().contains("UTF-16"));
}

#[test]
fn encryption_and_decryption_keep_the_layout() {
    for source in [
        "",
        "a=1",
        "  a   :  'x'   \r\n\r\n\tb=\"y\"\r\n",
        "; file\n\n\n# section\n  [s]   #x  \n; k1\n\n  # k2   \na = 1 ; in\n\n;;;\n[t];c\nb=2;d\n; end\n ;;e\n",
        ";\n; b\n[s]\na=1\n",
        ";;;;   \n;; x\n;\n; y ;  \n;;;;  \n  [s] ; c\na=1\n",
        ";\n;#\n;\na=1\n",
        ";\r\n; b\r\na=1\r\n",
        ";  \r\n; b\r\na=1\r\n",
        ";\t\n;\tb\na=1\n",
        "; c\n;\n#\na=1 ;\n",
        "[s] ; c\n[t];c\n[u]  ;;  c\n[v] #\n\ta=1\n",
        "; a\n;\n[s] ; \n; c\n;\nx = 1 ; \n",
        "; a\n[s] ; b\n; c\nx = 1 ; d\n",
        "; \n[s] ; b\n;\nx = 1 ; d\n",
        "a=`x` ; dropped\nb=\"\"\"x\"\"\" #\nc=`x\ny` ;\n",
        "a=\"\"\"x\n y\"\"\"\nb=`x\r\ny`\n",
        "  a=`x\ny`;c\n; d\n\n# e\nb=\"\"\"x\n\"\"\"  ;  f  \n",
        "a=x\\ ; the backslash is no line's end\n",
        "a = ;c\nb= ; \n",
        "[s];#x\na=1#;x\n",
        "; ENC[ in words\n; more\na=1\n",
    ] {
        comes_back(source);
    }
}

#[test]
fn a_comment_is_one_ciphertext_in_its_first_line() {
    let (sealed, _) = there_and_back(b"; a\n\n # b\nx = 1 ; c\n[s] ; d\n").unwrap();
    assert_eq!(text(&sealed), format!("; {ENC}\n\n #\nx = {ENC} ;\n;  {ENC}\n[s] ;\n"));
    let (sealed, _) = there_and_back(b"x = 1 ; c\n").unwrap();
    assert_eq!(text(&sealed), format!("x = {ENC} ; {ENC}\n"));
}

#[test]
fn a_comment_in_clear_that_sops_could_not_read_is_refused() {
    let mut tree = tree(";\n; x\n[s]\na=1\n");
    let id = tree.id_at(4).unwrap();
    let new = tree.intern(ENC.as_bytes());
    tree.set(id, NodeKind::Text(new));
    let error = Ini.splice(&tree, &[Change { id, verbatim: None }]).unwrap_err();
    assert!(error.to_string().contains("SOPS crashes"), "{error}");
}

#[test]
fn a_comment_that_sops_wrote_gets_its_lines() {
    let mut sealed = tree("  ; ENC[AES256_GCM,x]\r\n  a = 1\r\n");
    let changes = change_all(&mut sealed, |tree, id| {
        let comment = tree.node(id).kind.is_comment();
        tree.intern(if comment { b"one\n#two\n; three " } else { b"1" })
    });
    let opened = Ini.splice(&sealed, &changes).unwrap().apply(sealed.source());
    assert_eq!(text(&opened), "  ; one\r\n  # two\r\n  ; three\r\n  a = 1\r\n");
}

#[test]
fn a_value_takes_other_quotes_only_when_it_must() {
    for (source, value, expected) in [
        ("a=x\n", "y", "a=y\n"),
        ("a='x'\n", "y", "a='y'\n"),
        ("a='x'\n", "it's", "a=it's\n"),
        ("a=\"x\"\n", "y;z", "a=`y;z`\n"),
        ("a=x\n", " y", "a=\" y\"\n"),
        ("a=x\n", "'y'", "a=\"'y'\"\n"),
        ("a=x\n", "y\\", "a=\"y\\\"\n"),
        ("a=x ; c\n", "y\\", "a=y\\ ; c\n"),
        ("a=x\n", "y\nz", "a=\"\"\"y\nz\"\"\"\n"),
        ("a=x\n", "`", "a=\"\"\"`\"\"\"\n"),
        ("a=x\\\n  y\n", "z", "a=z\n"),
        ("a=x\n", "y\"\"\"\nz", "a=`y\"\"\"\nz`\n"),
    ] {
        let mut tree = tree(source);
        let id = tree.id_at(2).unwrap();
        let new = tree.intern(value.as_bytes());
        tree.set(id, NodeKind::Text(new));
        let edits = Ini.splice(&tree, &[Change { id, verbatim: None }]).unwrap();
        assert_eq!(text(&edits.apply(tree.source())), expected);
    }
    let mut tree = tree("a=x\n");
    let id = tree.id_at(2).unwrap();
    let new = tree.intern(b"` \"\"\"\n CANARY");
    tree.set(id, NodeKind::Text(new));
    let error = Ini.splice(&tree, &[Change { id, verbatim: None }]).unwrap_err();
    assert!(!error.to_string().contains("CANARY"));
}

#[test]
fn emission_follows_sops() {
    for (source, expected) in [
        ("", ""),
        ("[s]\na=1\nlonger = x y\n\n\n[t]\nb: 2", "[s]\na      = 1\nlonger = x y\n\n[t]\nb = 2\n"),
        ("top=1\n[s]", "top = 1\n\n[s]\n"),
        (
            "; f\n\n# c\n[s]\n;k1\n#k2\na = 1 ;in\n[t]\n;x\n",
            "; f\n# c\n[s]\n; k1\n# k2\n; in\na = 1\n\n[t]\n",
        ),
        ("[s]\n\"q=k\"=1\n`b` = 2\n", "[s]\n`q=k` = 1\nb     = 2\n"),
        (
            "\"a`b\"=`x#y`\nc=\" x \"\nd=\ne=\"\"\"f\ng\"\"\"",
            "\"\"\"a`b\"\"\" = `x#y`\nc         = \" x \"\nd         = \ne         = \"\"\"f\ng\"\"\"\n",
        ),
        ("[DEFAULT]\na=1\n", "[DEFAULT]\na = 1\n"),
    ] {
        let emitted = Ini.emit(&tree(source), &Layout::default()).unwrap();
        assert_eq!(text(&emitted), expected);
    }
    let crlf = Layout { crlf: true, ..Layout::default() };
    assert_eq!(text(&Ini.emit(&tree(";c\n[s]\na=1\n"), &crlf).unwrap()), "; c\r\n[s]\r\na = 1\r\n");
}

/// Builds a tree from `[section [key ...]]`-like steps: `+name` opens a map, `-` closes it,
/// `~name` opens a list, `#text` is a comment, `key=value` a text, `key?` a null.
fn built(steps: &[&str]) -> Tree {
    let mut builder = TreeBuilder::new(SecretBytes::new()).unwrap();
    let site = Site { style: Style::Plain, ..Site::default() };
    builder.open(None, NodeKind::Map, None, site);
    for step in steps {
        let mut key = |name: &str| {
            Some(Key { text: builder.intern(name.as_bytes()), kind: KeyType::Text, span: None })
        };
        if let Some(name) = step.strip_prefix('+') {
            let key = key(name);
            builder.open(key, NodeKind::Map, None, site);
        } else if let Some(name) = step.strip_prefix('~') {
            let key = key(name);
            builder.open(key, NodeKind::List, None, site);
        } else if *step == "-" {
            builder.close(None);
        } else if let Some(comment) = step.strip_prefix('#') {
            let text = builder.intern(comment.as_bytes());
            builder.leaf(None, NodeKind::Comment { text, inline: false }, None, site);
        } else if let Some(name) = step.strip_suffix('?') {
            let key = key(name);
            builder.leaf(key, NodeKind::Null, None, site);
        } else {
            let (name, value) = step.split_once('=').unwrap();
            let key = key(name);
            let text = builder.intern(value.as_bytes());
            builder.leaf(key, NodeKind::Text(text), None, site);
        }
    }
    builder.finish()
}

#[test]
fn a_tree_of_another_format_is_written_if_ini_can_hold_it() {
    let tree =
        built(&["# top", "+s", "# c", "a=1", "# d", "# e", "b='x'", "#", "-", "+t", "-", "# z"]);
    let emitted = Ini.emit(&tree, &Layout::default()).unwrap();
    assert_eq!(
        text(&emitted),
        ";  top\n;  c\n[s]\n; d\n; e\na = 1\n; \nb = \"'x'\"\n\n[t]\n;  z\n"
    );
    let again = parse(&emitted).unwrap();
    assert_eq!(again.strays().len(), 1);

    for (steps, message) in [
        (
            &["a=1"][..],
            "INI holds sections: at the top level each value must be a map at `[\"a\"]`",
        ),
        (&["a?"], "INI holds sections: at the top level each value must be a map at `[\"a\"]`"),
        (
            &["~a", "-"],
            "INI holds sections: at the top level each value must be a map at `[\"a\"]`",
        ),
        (
            &["+s", "+m", "-", "-"],
            "INI has two levels: a section cannot hold a map or list at `[\"s\"][\"m\"]`",
        ),
        (&["+s", "n?", "-"], "INI has no way to write a null at `[\"s\"][\"n\"]`"),
        (&["+", "-"], "INI cannot hold a section of this name at `[\"\"]`"),
        (&["+a\nb", "-"], "INI cannot hold a section of this name at `[\"a\\nb\"]`"),
        (&["+s", "-=1", "-"], "INI cannot hold this key at `[\"s\"][\"-\"]`"),
        (&["+s", "=1", "-"], "INI cannot hold this key at `[\"s\"][\"\"]`"),
        (&["+s", " a=1", "-"], "INI cannot hold this key at `[\"s\"][\" a\"]`"),
        (
            &["+s", "a=1", "a=2", "-"],
            "an INI section cannot hold the same key twice at `[\"s\"][\"a\"]`",
        ),
    ] {
        let error = Ini.emit(&built(steps), &Layout::default()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    // Of encrypted comments in a row SOPS keeps the first in front of a section, else the last.
    let (x, y) = ("#ENC[AES256_GCM,x]", "#ENC[AES256_GCM,y]");
    let tree = built(&["#top", x, "+s", x, y, "a=1", y, x, "b=2", x, y, "-", x, y]);
    assert_eq!(
        text(&Ini.emit(&tree, &Layout::default()).unwrap()),
        "; ENC[AES256_GCM,x]\n[s]\n; ENC[AES256_GCM,x]\na = 1\n; ENC[AES256_GCM,y]\nb = 2\n; \
         ENC[AES256_GCM,y]\n"
    );
    // A key that SOPS would write as a comment.
    let tree = built(&["+s", ";k=1", "-"]);
    assert_eq!(text(&Ini.emit(&tree, &Layout::default()).unwrap()), "[s]\n`;k` = 1\n");
}

#[test]
fn a_block_goes_in_and_comes_out_again() {
    for (source, position) in [
        ("a=1\n", None),
        ("a=1", None),
        ("a=1\r\n", None),
        ("a=1\r", None),
        ("", None),
        ("\n", None),
        ("\u{feff}", None),
        ("[s]\na=1\n\n\n; end\n", None),
        ("[s]\na=1\n\n; c\n\n# d\n[t]\nb=2\n", Some(2)),
        ("; c\n[s]\na=1\n", Some(1)),
        ("[s]\n  [t] ; c\n", Some(2)),
    ] {
        for block in [BLOCK.to_owned(), BLOCK.replace('\n', "\r\n")] {
            let plain = tree(source);
            let edits = Ini.attach(&plain, &Block { text: block.as_bytes(), position }).unwrap();
            let with = edits.apply(plain.source());
            assert!(Ini.sniff(&with));
            let with = parse(&with).unwrap();
            let detached = Ini.detach(&with).unwrap().unwrap();
            assert_eq!(text(&detached.block), block);
            assert_eq!(detached.position, position, "{source:?}");
            assert_eq!(text(&detached.edits.apply(with.source())), source);
        }
    }
    let with = "a = 1\n\n[sops]\nmac = x\n";
    let plain = tree("a = 1\n");
    let block = Block { text: b"[sops]\nmac = x\n", position: None };
    assert_eq!(text(&Ini.attach(&plain, &block).unwrap().apply(plain.source())), with);
    assert!(Ini.detach(&tree("a=1\n[sops.x]\nb=2\n")).unwrap().is_none());
    assert!(Ini.detach(&tree("[sops]\n[sops]\n")).is_err());
}

#[test]
fn metadata_is_seen_where_it_can_be() {
    assert!(Ini.sniff(b"[sops]\n"));
    assert!(Ini.sniff(b"a=1\r\n  [sops]\r\n"));
    assert!(!Ini.sniff(b"a=[sops]\n; [sops]\n"));
    assert!(!Ini.sniff(b"sops_mac=x\n"));
}

#[test]
fn what_is_read_otherwise_than_it_looks_is_told() {
    for (source, expected) in [
        ("pass=a#b\n", Some("1:7 up to the `#`")),
        ("[s]\np = \"x;y\"\n", Some("2:7 up to the `;`")),
        ("p = \"x ; y\"\n", Some("1:8 up to the `;`")),
        ("p = x ; y\n", None),
        ("p = ; y\n", None),
        ("p = 'x' ; y\n", None),
        ("p=`a;b`\n", None),
        ("p=a \\\n b\n", Some("1:3 SOPS prints it on one line")),
        ("p=`a`b`\n", Some("1:5 last quote")),
        ("[s] ; [x]\n", Some("1:3 last `]`")),
        ("list =\n    a==1\n", Some("2:5 `[\"DEFAULT\"][\"a\"]`")),
        ("list =\na=1\n", None),
        ("url:8080=x\n", Some("1:4 ends at the `:`")),
        ("url: 8080=x\n", None),
    ] {
        let warnings = Ini.warnings(&tree(source));
        match (expected, &warnings[..]) {
            (None, []) => {}
            (Some(expected), [warning]) => {
                let position = warning.position.unwrap();
                let (place, words) = expected.split_once(' ').unwrap();
                assert_eq!(format!("{}:{}", position.line, position.column), place, "{source:?}");
                assert!(warning.message.contains(words), "{}", warning.message);
            }
            _ => panic!("{source:?}: {warnings:?}"),
        }
    }
    assert!(Ini.warnings(&tree(Ini.template())).is_empty());
}

/// Lines of INI texts, likely and unlikely ones.
fn a_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\n"),
        Just("\r\n"),
        Just(" "),
        Just("\t"),
        Just("\u{a0}"),
        Just("="),
        Just(":"),
        Just(";"),
        Just("#"),
        Just("; c"),
        Just("# d "),
        Just(";;"),
        Just("[s]"),
        Just("["),
        Just("]"),
        Just("`"),
        Just("\""),
        Just("\"\"\""),
        Just("'"),
        Just("\\"),
        Just("\\\n"),
        Just("a=1"),
        Just("b = x y"),
        Just("\nk"),
        Just("\nl="),
        Just("\n[t]"),
        Just("ENC["),
        Just("ENC[AES256_GCM,x]"),
        Just("\n; e"),
        Just("é"),
        Just("-"),
        Just("\r"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| {
        // The same key is refused, so keys get numbers.
        let mut text = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            text += piece;
            if piece.ends_with(['k', 'l', 'a', 'b']) || piece.contains('=') && piece.len() > 2 {
                text = text.replacen("a=1", &format!("a{at}=1"), 1);
                text = text.replacen("b = x", &format!("b{at} = x"), 1);
            }
            if *piece == "\nk" || *piece == "\nl=" {
                text.insert_str(text.len() - usize::from(piece.ends_with('=')), &at.to_string());
            }
        }
        text
    })
}

/// Whether the layout of a text is kept: not that of lines joined by a backslash, nor of a marker
/// alone behind a value of several lines, nor of `"""` at the end of the text, which is a value only
/// there, nor the lack of the quotes that SOPS would put around a backquote.
fn is_kept(source: &str) -> bool {
    let tree = tree(source);
    let is_lost = |node: &Node| {
        let Some(span) = node.span else { return false };
        let behind = &source[span.end as usize..];
        let behind = behind.lines().next().unwrap_or_default().trim();
        matches!(node.kind, NodeKind::Text(TextRef::Pool(_)))
            || node.site.style == Style::Plain && source[span.range()].contains('`')
            || matches!(node.site.style, Style::TripleQuoted | Style::BackQuoted)
                && matches!(behind, ";" | "#")
    };
    !source.ends_with("\"\"\"") && !tree.nodes().iter().any(is_lost)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back(source in a_text()) {
        if parse(source.as_bytes()).is_ok() {
            match there_and_back(source.as_bytes()) {
                Ok((sealed, opened)) if is_kept(&source) => {
                    prop_assert_eq!(text(&opened), source, "by way of\n{}", text(&sealed));
                }
                Ok(_) => {}
                Err(message) => prop_assert!(false, "{source:?}: {message}"),
            }
        }
    }

    #[test]
    fn any_emitted_text_reads_back(source in a_text()) {
        if let Ok(tree) = parse(source.as_bytes())
            && let Ok(emitted) = Ini.emit(&tree, &Layout::default())
        {
            let values = |tree: &Tree| -> String {
                let is_value = |line: &&str| !line.starts_with(';') && !line.starts_with("stray");
                shape(tree).lines().filter(is_value).map(|line| line.to_owned() + "\n").collect()
            };
            let again = parse(&emitted);
            prop_assert!(again.is_ok(), "{}", text(&emitted));
            prop_assert_eq!(values(&again.unwrap()), values(&tree), "{}", text(&emitted));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Ini.sniff(&bytes);
        if let Ok(tree) = parse(&bytes) {
            let _ = Ini.warnings(&tree);
            let _ = Ini.detach(&tree);
            let _ = Ini.emit(&tree, &Layout::default());
        }
    }
}
