//! The layout: what decryption cannot restore from types and values alone.
//!
//! Decrypting writes each value as SOPS would: `1.10` comes back as `1.1`, a folded text with
//! other line breaks, an alias as a copy. Where that is not the text that was encrypted, the
//! encrypted file gets a sealed list of spellings. It is found by doing it: the text that
//! decryption gives is compared with the text that was encrypted, node by node; what is then
//! still different, as a missing line break at the end, is one patch of the whole text.
//!
//! A spelling is used only while the text with it has the same data as the text without it, so a
//! file that somebody else changed at worst comes back in SOPS' layout.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::edits::Edits;
use crate::format::FileFormat;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind, Style, Tree};

/// The additional data of the sealed layout.
pub(super) const LAYOUT_PATH: &[u8] = b"encfile_layout:";

/// The version of the layout that is written; others are not used.
const VERSION: u32 = 1;

/// The spellings of a file.
#[derive(Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spellings {
    #[serde(rename = "v")]
    version: u32,
    /// In the order of the tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<Spelling>,
    /// What is different behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<Patch>,
}

/// The spelling of one value, alias or comment.
#[derive(PartialEq, Serialize, Deserialize)]
struct Spelling {
    /// The number of the document, from 0.
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    document: usize,
    /// The number of the node in its document, in tree order, from 0.
    #[serde(rename = "n")]
    node: usize,
    /// Its tree path.
    #[serde(rename = "p")]
    path: String,
    /// The text in the source.
    #[serde(rename = "t")]
    text: Text,
    /// Whether the text begins with the tag and anchor.
    #[serde(rename = "tag", default, skip_serializing_if = "is_false")]
    properties: bool,
}

/// A replacement in the whole text.
#[derive(PartialEq, Serialize, Deserialize)]
struct Patch {
    /// The length of the text that it is for, in bytes.
    of: usize,
    /// Where it begins.
    at: usize,
    /// How many bytes go.
    cut: usize,
    /// What comes in their place.
    #[serde(rename = "t")]
    text: Text,
}

/// A part of a text: a string where it is UTF-8.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(Zeroizing<String>),
    Bytes { base64: Zeroizing<String> },
}

impl Text {
    fn new(bytes: &[u8]) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8(Zeroizing::new(text.to_owned())),
            Err(_) => Text::Bytes { base64: Zeroizing::new(STANDARD.encode(bytes)) },
        }
    }

    /// Returns the bytes; none if they are no base64, which nobody has written.
    fn bytes(&self) -> SecretBytes {
        match self {
            Text::Utf8(text) => SecretBytes::from(text.as_bytes()),
            Text::Bytes { base64 } => STANDARD.decode(base64.as_bytes()).unwrap_or_default().into(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Spellings {
    /// Returns whether there is nothing to restore.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.patch.is_none()
    }

    /// Reads what was sealed; `None` if it is of another version.
    pub(super) fn read(text: &[u8]) -> Option<Spellings> {
        let spellings: Spellings = serde_json::from_slice(text).ok()?;
        (spellings.version == VERSION).then_some(spellings)
    }

    /// Returns the text to seal.
    pub(super) fn write(&self) -> SecretBytes {
        let mut text = SecretBytes::new();
        // Neither the writer nor these types can fail.
        let _ = serde_json::to_writer(&mut text, self);
        text
    }

    /// Compares the text that was encrypted with the one that decryption gives.
    pub(super) fn between(original: &Tree, shown: &Tree) -> Spellings {
        let mut spellings = Spellings { version: VERSION, ..Spellings::default() };
        let pairs = differences(original, shown).unwrap_or_default();
        let ids: Vec<NodeId> = pairs.iter().map(|pair| pair.shown).collect();
        for (pair, place) in pairs.iter().zip(places(shown, &ids)) {
            let Some(span) = original_region(original, pair, shown) else { continue };
            spellings.nodes.push(Spelling {
                document: place.document,
                node: place.node,
                path: place.path,
                text: Text::new(&original.source()[span.range()]),
                properties: pair.properties,
            });
        }
        let restored = spellings.apply_nodes(shown);
        spellings.patch = Patch::between(&restored, original.source());
        spellings
    }

    /// Returns the text with its spellings, or as it was where they do not fit it.
    pub(super) fn restore(&self, shown: SecretBytes, format: &dyn FileFormat) -> SecretBytes {
        let Ok(tree) = format.parse(SecretBytes::from(&*shown)) else { return shown };
        let restored = self.apply_nodes(&tree);
        let patched = self.patch.as_ref().and_then(|patch| patch.apply(&restored));
        for candidate in patched.into_iter().chain([restored]) {
            let same = format
                .parse(SecretBytes::from(&*candidate))
                .is_ok_and(|other| same_data(&tree, &other));
            if same {
                return candidate;
            }
        }
        shown
    }

    fn apply_nodes(&self, shown: &Tree) -> SecretBytes {
        let starts: Vec<usize> = shown.documents().map(NodeId::index).collect();
        let mut wanted: Vec<(NodeId, &Spelling)> = self
            .nodes
            .iter()
            .filter_map(|spelling| {
                let index = starts.get(spelling.document)?.checked_add(spelling.node)?;
                Some((shown.id_at(index)?, spelling))
            })
            .collect();
        wanted.sort_by_key(|(id, _)| *id);
        let ids: Vec<NodeId> = wanted.iter().map(|(id, _)| *id).collect();
        let mut replaced: Vec<(Span, &Spelling)> = wanted
            .iter()
            .zip(places(shown, &ids))
            .filter(|((_, spelling), place)| {
                place.path == spelling.path && place.document == spelling.document
            })
            .filter_map(|((id, spelling), _)| {
                Some((shown_region(shown, *id, spelling.properties)?, *spelling))
            })
            .collect();
        // A block scalar contains the comment of its header: the larger one has both.
        replaced.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        let mut edits = Edits::new();
        let mut end = 0;
        for (span, spelling) in replaced {
            if span.start >= end {
                edits.replace(span, &spelling.text.bytes());
                end = span.end;
            }
        }
        edits.apply(shown.source())
    }
}

impl std::fmt::Debug for Spellings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spellings({} nodes)", self.nodes.len())
    }
}

impl Patch {
    /// Returns what makes `wanted` of `text`; `None` if nothing is to be done.
    fn between(text: &[u8], wanted: &[u8]) -> Option<Patch> {
        if text == wanted {
            return None;
        }
        let alike = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| {
            pairs.take_while(|(ours, theirs)| ours == theirs).count()
        };
        let mut at = alike(&mut text.iter().zip(wanted));
        let mut end = alike(&mut text[at..].iter().rev().zip(wanted[at..].iter().rev()));
        // What comes in must not begin or end within a character.
        for _ in 0..3 {
            at -= usize::from(wanted.get(at).is_some_and(|&byte| is_inside(byte)));
            end -= usize::from(end > 0 && is_inside(wanted[wanted.len() - end]));
        }
        let cut = text.len() - end - at;
        let new = Text::new(&wanted[at..wanted.len() - end]);
        Some(Patch { of: text.len(), at, cut, text: new })
    }

    fn apply(&self, text: &[u8]) -> Option<SecretBytes> {
        let end = self.at.checked_add(self.cut)?;
        if text.len() != self.of || end > text.len() {
            return None;
        }
        let mut edits = Edits::new();
        edits.replace(Span::new(self.at, end), &self.text.bytes());
        Some(edits.apply(text))
    }
}

/// Returns whether a byte of UTF-8 is not the first of its character.
fn is_inside(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// A node that is spelled differently in two texts of the same data.
struct Pair {
    original: NodeId,
    shown: NodeId,
    /// Whether tag and anchor differ too.
    properties: bool,
}

/// Returns the nodes that are spelled differently; `None` if the trees are not alike.
fn differences(original: &Tree, shown: &Tree) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    let (mut ours, mut theirs) = (0, 0);
    loop {
        let (Some(id), Some(other)) = (original.id_at(ours), shown.id_at(theirs)) else {
            let both_done = ours == original.nodes().len() && theirs == shown.nodes().len();
            return both_done.then_some(pairs);
        };
        let (node, shown_node) = (original.node(id), shown.node(other));
        if is_alias(node) && shown_node.kind.is_comment() {
            // A comment of the copy, which is written above it.
            theirs += 1;
            continue;
        }
        if original.key(id) != shown.key(other)
            || node.kind.is_container() != shown_node.kind.is_container()
            || node.kind.is_comment() != shown_node.kind.is_comment()
        {
            return None;
        }
        if node.kind.is_container() {
            if is_alias(node) && !is_alias(shown_node) {
                pairs.push(Pair { original: id, shown: other, properties: false });
                ours = node.end();
                theirs = shown_node.end();
                continue;
            }
        } else {
            let text = |tree: &Tree, node: &Node, properties| {
                region(node, properties).map(|span| tree.source()[span.range()].to_vec())
            };
            let properties = property_text(original, node) != property_text(shown, shown_node);
            let (a, b) = (
                text(original, node, properties).map(Zeroizing::new),
                text(shown, shown_node, properties).map(Zeroizing::new),
            );
            if a != b && a.is_some() && b.is_some() {
                pairs.push(Pair { original: id, shown: other, properties });
            }
        }
        ours += 1;
        theirs += 1;
    }
}

fn is_alias(node: &Node) -> bool {
    node.kind.is_container() && node.site.style == Style::Alias
}

fn property_text<'t>(tree: &'t Tree, node: &Node) -> Option<&'t [u8]> {
    node.site.properties.map(|span| &tree.source()[span.range()])
}

/// Returns the text of a node that a spelling stands for.
fn region(node: &Node, properties: bool) -> Option<Span> {
    let span = node.span?;
    Some(match node.site.properties {
        Some(before) if properties && before.start <= span.start => {
            Span { start: before.start, end: span.end }
        }
        _ => span,
    })
}

/// Returns the text of a node in the decrypted text that a spelling stands for.
fn shown_region(shown: &Tree, id: NodeId, properties: bool) -> Option<Span> {
    let node = shown.node(id);
    if !node.kind.is_container() || node.site.style != Style::Block {
        return region(node, properties);
    }
    // A copy on lines of its own, from behind its key to its last comment.
    let inside = &shown.nodes()[id.index() + 1..node.end()];
    let parts = || {
        let is_block = |node: &Node| node.kind.is_container() && node.site.style == Style::Block;
        let values = inside.iter().filter(move |node| !is_block(node));
        let values = values.filter_map(|node| region(node, true));
        values.chain(inside.iter().filter_map(|node| node.key?.span))
    };
    let start = match node.key {
        Some(key) => key.span?.end,
        None => parts().map(|part| part.start).min()?,
    } as usize;
    let end = parts().map(|part| part.end).max()? as usize;
    let text = shown.source().get(start..end)?.trim_ascii_end();
    Some(Span::new(start, start + text.len()))
}

/// Returns the text of a node that goes to where `shown` has it.
fn original_region(original: &Tree, pair: &Pair, shown: &Tree) -> Option<Span> {
    let node = original.node(pair.original);
    let span = region(node, pair.properties)?;
    let is_alias = node.kind.is_container();
    match node.key {
        Some(key) if is_alias && shown.node(pair.shown).site.style == Style::Block => {
            Some(Span { start: key.span?.end, end: span.end })
        }
        _ => Some(span),
    }
}

/// Where a node stands.
struct Place {
    document: usize,
    node: usize,
    path: String,
}

/// Returns the places of nodes, which are in tree order, in one walk.
fn places(tree: &Tree, ids: &[NodeId]) -> Vec<Place> {
    let mut places = Vec::with_capacity(ids.len());
    let mut wanted = ids.iter().peekable();
    let (mut document, mut start) = (0, 0);
    // Each open container: its end, the length of its path, and the next position in a list.
    let mut open: Vec<(usize, usize, Option<usize>)> = Vec::new();
    let mut path = String::new();
    for index in 0..tree.nodes().len() {
        if wanted.peek().is_none() {
            break;
        }
        let Some(id) = tree.id_at(index) else { break };
        while let Some(&(end, _, _)) = open.last()
            && end == index
        {
            open.pop();
        }
        if open.is_empty() && index > 0 {
            document += 1;
            start = index;
        }
        path.truncate(open.last().map_or(0, |&(_, length, _)| length));
        let node = tree.node(id);
        if let Some(key) = tree.key(id) {
            path.push_str("[\"");
            path.push_str(&String::from_utf8_lossy(key));
            path.push_str("\"]");
        } else if let Some((_, _, Some(position))) = open.last_mut() {
            path.push('[');
            path.push_str(&position.to_string());
            path.push(']');
            *position += usize::from(!node.kind.is_comment());
        }
        if wanted.next_if(|&&wanted| wanted == id).is_some() {
            places.push(Place { document, node: index - start, path: path.clone() });
        }
        if node.kind.is_container() {
            let position = (node.kind == NodeKind::List).then_some(0);
            open.push((node.end(), path.len(), position));
        }
    }
    places
}

/// Returns whether two texts have the same data: values, keys, order, and the comments of the
/// text.
pub(super) fn same_data(a: &Tree, b: &Tree) -> bool {
    let comments = |tree: &Tree, other: &Tree| -> Vec<Zeroizing<Vec<u8>>> {
        let text = |text: &[u8]| Zeroizing::new(text.trim_ascii().to_vec());
        let mut found: Vec<(Span, Zeroizing<Vec<u8>>)> = tree
            .comments_written_in(other)
            .into_iter()
            .map(|(place, id)| (place, text(tree.comment(id).unwrap_or_default())))
            .collect();
        found.extend(tree.strays().iter().map(|stray| (stray.span, text(tree.text(stray.text)))));
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, text)| text).collect()
    };
    a.has_same_values(b) && comments(a, b) == comments(b, a)
}
