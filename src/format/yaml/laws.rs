//! Laws of the YAML writer, tried on all documents of the test data.
//!
//! Sealing (every value and comment replaced by one marker) and opening (the values put back) must
//! give the trees that they ought to give; what is put in with `attach` must come out with
//! `detach`, and leave the text as it was.

use std::collections::HashSet;

use super::Yaml;
use super::testing::{change_all, describe, documents, listed};
use crate::edits::Edits;
use crate::format::{Block, Change, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Key, KeyType, NodeId, NodeKind, Step, Style, Tree};

const ENC: &str = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]";

const BLOCK: &str = "sops:\n    mac: x\n    age:\n        - enc: |\n            line\n";

fn parse(text: &[u8]) -> Result<Tree, String> {
    Yaml.parse(SecretBytes::from(text)).map_err(|error| format!("{error:?}"))
}

/// Seals every value and comment of `tree`.
fn seal(tree: &mut Tree) -> Result<Edits, String> {
    let marker = tree.intern(ENC.as_bytes());
    let changes = change_all(tree, |tree, id| match tree.node(id).kind {
        NodeKind::Comment { inline, .. } => Some(NodeKind::Comment { text: marker, inline }),
        NodeKind::Null | NodeKind::Map | NodeKind::List => None,
        NodeKind::Text(text) if tree.text(text).is_empty() => None,
        _ => Some(NodeKind::Text(marker)),
    });
    Yaml.splice(tree, &changes).map_err(|error| error.to_string())
}

/// Returns the leaves that have a place, or stand in the copy for an alias, but not the comments
/// of such copies that `written` has no place for.
fn lasting(tree: &Tree, written: &Tree) -> Vec<NodeId> {
    let comments: HashSet<NodeId> =
        tree.comments_written_in(written).into_iter().map(|(_, id)| id).collect();
    tree.walk(None)
        .filter_map(|step| match step {
            Step::Leaf(id) => Some(id),
            _ => None,
        })
        .filter(|&id| !tree.node(id).kind.is_comment() || comments.contains(&id))
        .collect()
}

/// Describes a tree in which line breaks behind a marker and the difference between a whole float
/// and an integer do not count, which are not in the text.
fn shape(tree: &Tree, written: &Tree) -> String {
    describe(tree, written)
        .lines()
        .map(|line| {
            let line = match line.find(ENC) {
                Some(at) => &line[..at + ENC.len()],
                None => line,
            };
            line.replace("float ", "number ").replace("int ", "number ") + "\n"
        })
        .collect()
}

/// Puts the values of `original` back into a sealed tree, whose leaves are the same, one by one.
fn open(sealed: &mut Tree, original: &Tree) -> Result<Edits, String> {
    let (from, to) = (lasting(original, sealed), lasting(sealed, original));
    if from.len() != to.len() {
        return Err("other leaves".to_owned());
    }
    let mut changes = Vec::new();
    for (&source, &target) in from.iter().zip(&to) {
        let is_sealed = match sealed.node(target).kind {
            NodeKind::Text(text) | NodeKind::Comment { text, .. } => {
                sealed.text(text).starts_with(ENC.as_bytes())
            }
            _ => false,
        };
        if !is_sealed {
            continue;
        }
        let kind = match original.node(source).kind {
            NodeKind::Text(text) => NodeKind::Text(sealed.intern(original.text(text))),
            NodeKind::Comment { text, inline } => {
                NodeKind::Comment { text: sealed.intern(original.text(text)), inline }
            }
            kind => kind,
        };
        sealed.set(target, kind);
        changes.push(Change { id: target, verbatim: None });
    }
    Yaml.splice(sealed, &changes).map_err(|error| error.to_string())
}

/// Encrypts and decrypts as a whole: the edits of values and metadata are made at once.
fn check_both(text: &[u8]) -> Result<(), String> {
    let mut tree = parse(text)?;
    let original = parse(text)?;
    let has_metadata = |root| tree.entry(root, b"sops").is_some();
    if tree.documents().next().is_none() || tree.documents().any(has_metadata) {
        return Ok(());
    }
    let block = Block { text: BLOCK.as_bytes(), position: None };
    let edits = seal(&mut tree)?;
    let attach = |tree: &Tree| Yaml.attach(tree, &block).map_err(|error| error.to_string());
    let sealed = if let Some(sealed) = edits.try_apply_with(&attach(&tree)?, text) {
        sealed
    } else {
        // The last value is a block scalar that both change.
        let sealed = edits.apply(text);
        attach(&parse(&sealed)?)?.apply(&sealed)
    };
    let show = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let mut again = parse(&sealed).map_err(|error| format!("{error}\n{}", show(&sealed)))?;
    let detached = Yaml.detach(&again).map_err(|error| error.to_string())?;
    let detached = detached.ok_or("no metadata")?;
    // The leaves of the metadata are not among those of the original.
    let rest = parse(&detached.edits.apply(&sealed))?;
    if values(&rest) != values(&tree) {
        return Err(format!("{}\n{}", show(&sealed), values(&rest)));
    }
    let ours: Vec<NodeId> = values_of(&original);
    let theirs: Vec<NodeId> = values_of(&again);
    let mut changes = Vec::new();
    for (&source, &target) in ours.iter().zip(&theirs) {
        let kind = match original.node(source).kind {
            NodeKind::Text(text) => NodeKind::Text(again.intern(original.text(text))),
            kind => kind,
        };
        if kind != NodeKind::Null && again.node(target).kind != kind {
            again.set(target, kind);
            changes.push(Change { id: target, verbatim: None });
        }
    }
    let mut edits = detached.edits;
    let splice = Yaml.splice(&again, &changes);
    edits.append(&splice.map_err(|error| error.to_string())?);
    let opened = edits.apply(&sealed);
    let back = parse(&opened).map_err(|error| format!("{error}\n{}", show(&opened)))?;
    if values(&back) != values(&original) {
        return Err(format!(
            "{}\n-- opened\n{}\n-- expected\n{}-- found\n{}",
            show(&sealed),
            show(&opened),
            values(&original),
            values(&back)
        ));
    }
    Ok(())
}

/// Returns the scalars that are not metadata.
fn values_of(tree: &Tree) -> Vec<NodeId> {
    let metadata: Vec<_> = tree
        .documents()
        .filter_map(|root| tree.entry(root, b"sops"))
        .map(|id| id.index()..tree.node(id).end())
        .collect();
    tree.walk(None)
        .filter_map(|step| match step {
            Step::Leaf(id) => Some(id),
            _ => None,
        })
        .filter(|id| !tree.node(*id).kind.is_comment())
        .filter(|id| !metadata.iter().any(|range| range.contains(&id.index())))
        .collect()
}

/// Checks that nothing is edited but values, comments, tags and keys that are aliases.
fn stays_within(tree: &Tree, edits: &Edits) -> Result<(), String> {
    let mut places: Vec<Span> = Vec::new();
    for node in tree.nodes() {
        let key = node.key.and_then(|key| key.span);
        places.extend(key.filter(|key| tree.source()[key.range()].starts_with(b"*")));
        if let Some(span) = node.span
            && (!node.kind.is_container() || node.site.style == Style::Alias)
        {
            // A tag goes with the blanks behind it.
            let start = node.site.properties.map_or(span, |properties| properties).start;
            places.push(Span::new(start.min(span.start) as usize, span.end as usize));
        }
    }
    places.sort_unstable();
    for edit in edits.spans() {
        let next = places.partition_point(|place| place.start <= edit.start);
        // A comment in the header of a block scalar is a place within a place.
        let within = places[..next].iter().rev().take(3).any(|place| place.contains(edit));
        let blanks = tree.source()[edit.range()].iter().all(u8::is_ascii_whitespace);
        if !within && !blanks {
            return Err(format!("edit at {edit:?}"));
        }
    }
    Ok(())
}

fn check_sealing(text: &[u8]) -> Result<(), String> {
    let original = parse(text)?;
    let mut tree = parse(text)?;
    let edits = seal(&mut tree)?;
    stays_within(&original, &edits)?;
    let sealed = edits.apply(text);
    let mut again = parse(&sealed)?;
    let show = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    if shape(&tree, &again) != shape(&again, &tree) {
        return Err(format!(
            "sealed\n{}\n-- expected\n{}-- found\n{}",
            show(&sealed),
            shape(&tree, &again),
            shape(&again, &tree)
        ));
    }
    let edits = open(&mut again, &original)?;
    let opened = edits.apply(&sealed);
    let back = parse(&opened).map_err(|error| format!("{error}\n{}", show(&opened)))?;
    if shape(&original, &back) != shape(&back, &original) {
        return Err(format!(
            "sealed\n{}\n-- opened\n{}\n-- expected\n{}-- found\n{}",
            show(&sealed),
            show(&opened),
            shape(&original, &back),
            shape(&back, &original)
        ));
    }
    Ok(())
}

fn check_metadata(text: &[u8]) -> Result<(), String> {
    let tree = parse(text)?;
    let has_metadata = |root| tree.entry(root, b"sops").is_some();
    if tree.documents().next().is_none() || tree.documents().any(has_metadata) {
        return Ok(());
    }
    let block = Block { text: BLOCK.as_bytes(), position: None };
    let edits = Yaml.attach(&tree, &block).map_err(|error| error.to_string())?;
    let attached = edits.apply(text);
    let show = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let with = parse(&attached).map_err(|error| format!("{error}\n{}", show(&attached)))?;
    for root in with.documents() {
        let entry = with.entry(root, b"sops").ok_or("no metadata")?;
        if with.entry(entry, b"mac").is_none() {
            return Err(format!("not a block\n{}", show(&attached)));
        }
    }
    let detached =
        Yaml.detach(&with).map_err(|error| error.to_string())?.ok_or("nothing to detach")?;
    parse(&detached.block).map_err(|error| format!("block: {error}"))?;
    let after = detached.edits.apply(&attached);
    if *after == *text {
        return Ok(());
    }
    let back = parse(&after).map_err(|error| format!("detached: {error}\n{}", show(&after)))?;
    // A last line without a line break gets one, and a block scalar there a header that takes it
    // away again; comments at the end may then belong to another container.
    let close = !text.ends_with(b"\n") && after.len() <= text.len() + 3;
    if close && values(&back) == values(&tree) {
        return Ok(());
    }
    if shape(&back, &tree) != shape(&tree, &back) {
        return Err(format!(
            "attached\n{}\n-- detached\n{}\n-- expected\n{}-- found\n{}",
            show(&attached),
            show(&after),
            shape(&tree, &back),
            shape(&back, &tree)
        ));
    }
    Err(format!("bytes: {:?} {:?} {:?}", show(text), show(&attached), show(&after)))
}

/// Values that are hard to spell.
const HARD: &[&str] = &[
    "x",
    "1",
    "0x1F",
    "1.5",
    "true",
    "no",
    "null",
    "~",
    "2001-01-01",
    "1:30",
    "<<",
    "=",
    "-",
    "- x",
    "?",
    ": x",
    ":x",
    "a: b",
    "a:",
    "a #b",
    "a#b",
    "#x",
    "*x",
    "&x",
    "!x",
    "%x",
    "@x",
    "`x",
    "|",
    ">x",
    "[x",
    "x]",
    "{x}",
    "x, y",
    "---",
    "--- x",
    "...",
    "'x",
    "it's",
    "\"x\"",
    "\\n",
    " x",
    "x ",
    "\tx",
    "x\ty",
    "x\t",
    "\n",
    "\n\n",
    "x\n",
    "x\n\n",
    "x\n\n\n",
    "\nx",
    "x\ny",
    "x\ny\n",
    "x\n\ny\n\n",
    "x\n y\n",
    " x\ny",
    "\tx\ny",
    "x \ny",
    "x\n ",
    "x\n  \ny",
    "x\n\t",
    "x\n# y\n",
    "x\n---\ny\n",
    "# x\ny",
    "- x\n- y\n",
    "a: b\nc: d\n",
    "x\r\ny\r\n",
    "x\ry",
    "\0\u{7}\u{1b}",
    "\u{7f}",
    "\u{85}x",
    "x\u{2028}y\n",
    "\u{2029}",
    "\u{a0}x\u{a0}",
    "\u{feff}x",
    "\u{e9}\u{1F600}",
    "\u{1F600}\nx\n",
    "\u{fffe}\u{ffff}",
];

fn hard_value(tree: &mut Tree, number: usize) -> NodeKind {
    let others = [
        NodeKind::Integer(-5),
        NodeKind::Integer(i64::MIN),
        NodeKind::Boolean(true),
        NodeKind::Float(1.5e300),
        NodeKind::Float(f64::NEG_INFINITY),
        NodeKind::Time(crate::tree::Timestamp::from_unix_timestamp(1_000_000_000).unwrap()),
    ];
    let number = number % (HARD.len() + others.len() + 1);
    if let Some(text) = HARD.get(number) {
        NodeKind::Text(tree.intern(text.as_bytes()))
    } else if let Some(&kind) = others.get(number - HARD.len()) {
        kind
    } else {
        NodeKind::Text(tree.intern(b"x\xFF\n"))
    }
}

/// Describes a tree without its comments, which a value of another length may move.
fn values(tree: &Tree) -> String {
    let shape = shape(tree, tree);
    shape
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .fold(String::new(), |text, line| text + line + "\n")
}

fn check_values(text: &[u8]) -> Result<(), String> {
    let seed = text.iter().map(|&byte| usize::from(byte)).sum::<usize>();
    for round in 0..2 {
        let mut tree = parse(text)?;
        let changes = change_all(&mut tree, |tree, id| {
            let node = *tree.node(id);
            if node.kind.is_comment() || node.kind == NodeKind::Null {
                return None;
            }
            if matches!(node.kind, NodeKind::Text(text) if tree.text(text).is_empty()) {
                return None;
            }
            // Every third value stays.
            let number = seed + round * 29 + id.index() * 7;
            (number % 3 > 0).then(|| hard_value(tree, number / 3))
        });
        let edits = Yaml.splice(&tree, &changes).map_err(|error| error.to_string())?;
        let spliced = edits.apply(text);
        let show = String::from_utf8_lossy(&spliced).into_owned();
        let back = parse(&spliced).map_err(|error| format!("{error}\n{show}"))?;
        if values(&tree) != values(&back) {
            return Err(format!(
                "{show}\n{}\n-- expected\n{}-- found\n{}",
                spliced.escape_ascii(),
                values(&tree),
                values(&back)
            ));
        }
    }
    Ok(())
}

fn check_emission(text: &[u8]) -> Result<(), String> {
    let tree = parse(text)?;
    // A key without any text is written as `null`.
    let null_key = |key: Key| key.kind == KeyType::Null;
    let refused = Yaml.refusal(&tree).is_some();
    if refused || tree.nodes().iter().any(|node| node.key.is_some_and(null_key)) {
        return Ok(());
    }
    for crlf in [false, true] {
        let layout = Layout { crlf, indent: crlf.then_some(2), ..Layout::default() };
        let emitted = Yaml.emit(&tree, &layout).map_err(|error| error.to_string())?;
        let show = String::from_utf8_lossy(&emitted).into_owned();
        let back = parse(&emitted).map_err(|error| format!("{error}\n{show}"))?;
        if values(&tree) != values(&back) {
            return Err(format!(
                "{show}\n-- expected\n{}-- found\n{}",
                values(&tree),
                values(&back)
            ));
        }
    }
    Ok(())
}

/// Runs a check on all documents that can be read; returns the names of those that fail.
#[expect(clippy::print_stdout, reason = "a failing test shows the documents")]
fn failures(check: impl Fn(&[u8]) -> Result<(), String>) -> Vec<String> {
    let mut count = 0;
    let mut failed = Vec::new();
    for (name, text) in documents() {
        if parse(&text).is_err() {
            continue;
        }
        count += 1;
        if let Err(message) = check(&text) {
            println!("== {name}\n{}\n-- {message}", String::from_utf8_lossy(&text));
            failed.push(name);
        }
    }
    println!("{count} documents, {} fail", failed.len());
    failed
}

#[test]
fn sealed_and_opened_documents_keep_their_shape() {
    assert_eq!(failures(check_sealing), listed("sealing.txt"));
}

#[test]
fn values_and_metadata_are_edited_at_once() {
    assert_eq!(failures(check_both), [""; 0]);
}

#[test]
fn metadata_comes_out_as_it_went_in() {
    assert_eq!(failures(check_metadata), [""; 0]);
}

#[test]
fn hard_values_are_read_back() {
    assert_eq!(failures(check_values), [""; 0]);
}

#[test]
fn emitted_documents_are_read_back() {
    assert_eq!(failures(check_emission), [""; 0]);
}

/// An encrypted file of SOPS' own gives its metadata and takes it back.
#[test]
fn metadata_of_sops_is_detached_and_attached() {
    let folder = format!("{}/testdata/yaml_emit/encrypted", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for path in std::fs::read_dir(folder).unwrap() {
        let path = path.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        assert!(Yaml.sniff(&text), "{path:?}");
        let tree = parse(&text).unwrap();
        let detached = Yaml.detach(&tree).unwrap().unwrap();
        let rest = detached.edits.apply(&text);
        let clear = parse(&rest).unwrap();
        let block = Block { text: &detached.block, position: detached.position };
        let back = Yaml.attach(&clear, &block).unwrap().apply(&rest);
        assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(&text), "{path:?}");
        // What we write as new is what SOPS wrote.
        let metadata = parse(&detached.block).unwrap();
        let emitted = Yaml.emit(&metadata, &Yaml.layout_of(&tree, &Layout::default()));
        assert_eq!(
            String::from_utf8_lossy(&emitted.unwrap()),
            String::from_utf8_lossy(&detached.block),
            "{path:?}"
        );
        count += 1;
    }
    assert!(count > 60);
}

proptest::proptest! {
    /// Any text comes back from any place.
    #[test]
    fn any_text_is_read_back(
        text in "([a-z0-9.:#,?&*!|>'\"%@`{}\\[\\]=~<_+-]|[ \n\t\r]|\\PC|.){1,12}",
        place in 0..PLACES.len(),
    ) {
        let source = PLACES[place].replace('@', ENC);
        let mut tree = parse(source.as_bytes()).unwrap();
        let changes = change_all(&mut tree, |tree, id| match tree.node(id).kind {
            NodeKind::Text(old) if tree.text(old).starts_with(ENC.as_bytes()) => {
                Some(NodeKind::Text(tree.intern(text.as_bytes())))
            }
            _ => None,
        });
        let edits = Yaml.splice(&tree, &changes).unwrap();
        let back = parse(&edits.apply(tree.source())).unwrap();
        proptest::prop_assert_eq!(shape(&back, &tree), shape(&tree, &back));
        let emitted = Yaml.emit(&tree, &Layout::default()).unwrap();
        proptest::prop_assert_eq!(values(&parse(&emitted).unwrap()), values(&tree));
    }
}

const PLACES: &[&str] = &[
    "a: @\n",
    "a: @",
    "a: @ # c\nb: 1\n",
    "a:\n  b:\n    - @\n    - @\n# c\n",
    "a: '@'\nb: \"@\"\n",
    "a: [\"@\", {b: '@'}, \"@\"]\n",
    "a: |\n  @\nb: 1\n",
    "a: |- # c\n  @\n\n\nb: 1\n",
    "a:\n- |+\n @\n\n- 1\n",
    "a: >\n    @\n\nb: 1\n",
    "a: >+\r\n  @\r\nb: @\r\n",
    "a: |\n  @",
    "a: !!str @\nb: !x &y @\nc: &z |\n  @\n",
    "a: &x @\nb: *x\nc: [*x]\n",
    "a:\n  @\nb: 1\n",
];
