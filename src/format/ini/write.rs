//! INI text: single values for places that are there, and whole documents as SOPS writes them.

use std::collections::HashSet;

use crate::format::ini::parse::DEFAULT;
use crate::format::ini::scan::{self, Behind, Item, Scanner, Text};
use crate::format::ini::{blank, comments};
use crate::format::{EmitError, Layout};
use crate::number;
use crate::secret::SecretBytes;
use crate::tree::{NodeId, NodeKind, Style, Tree, Value};

/// Writes the value of a leaf, in its style if it can be read back from that. `followed` says that
/// a comment stands behind it.
pub(super) fn value(
    tree: &Tree,
    id: NodeId,
    followed: bool,
    out: &mut SecretBytes,
) -> Result<(), EmitError> {
    value_as(tree, id, (tree.node(id).site.style, followed), out)
}

/// As [`value`], in that style.
pub(super) fn value_as(
    tree: &Tree,
    id: NodeId,
    (style, followed): (Style, bool),
    out: &mut SecretBytes,
) -> Result<(), EmitError> {
    match tree.value(id) {
        Some(Value::Text(text)) => {
            return literal(text, style, followed, out).ok_or_else(|| {
                EmitError::at(
                    tree,
                    id,
                    "INI has no way to write this text so that SOPS reads it back",
                )
            });
        }
        Some(value) => out.extend_from_slice(&number::flat_text(value)),
        None => return Err(EmitError::at(tree, id, "INI has no way to write a null")),
    }
    Ok(())
}

/// Writes a text in the given style, or else in SOPS', or else in any in which it reads back;
/// `None` if there is none. No quotes are no style: SOPS puts some where it thinks they are needed,
/// and never has a comment behind a value.
fn literal(text: &[u8], style: Style, followed: bool, out: &mut SecretBytes) -> Option<()> {
    let styles = [
        if style == Style::Plain && !followed { sops_style(text) } else { style },
        sops_style(text),
        Style::Plain,
        Style::DoubleQuoted,
        Style::BackQuoted,
        Style::TripleQuoted,
        Style::SingleQuoted,
    ];
    if text.is_empty() && style == Style::Plain {
        return Some(());
    }
    let mut line = SecretBytes::with_capacity(text.len() + 10);
    for style in styles {
        let quote: &[u8] = match style {
            Style::DoubleQuoted => b"\"",
            Style::SingleQuoted => b"'",
            Style::BackQuoted => b"`",
            Style::TripleQuoted => b"\"\"\"",
            _ => b"",
        };
        line.resize(0);
        line.extend_from_slice(quote);
        line.extend_from_slice(text);
        line.extend_from_slice(quote);
        let length = line.len();
        line.extend_from_slice(if followed { b" ;c\n" } else { b"\n" });
        if reads_back(&line, length, text, followed) {
            out.extend_from_slice(&line[..length]);
            return Some(());
        }
    }
    None
}

/// Returns the style in which SOPS writes a text.
fn sops_style(text: &[u8]) -> Style {
    if memchr::memchr2(b'\n', b'`', text).is_some() {
        Style::TripleQuoted
    } else if memchr::memchr2(b'#', b';', text).is_some() {
        Style::BackQuoted
    } else if blank::trim(text).len() != text.len() {
        Style::DoubleQuoted
    } else {
        Style::Plain
    }
}

/// Returns whether the first `length` bytes of `line` are read as `text`, and nothing else is.
fn reads_back(line: &[u8], length: usize, text: &[u8], followed: bool) -> bool {
    let Ok(value) = scan::value(line, 0) else { return false };
    let same = match &value.text {
        Text::Source(span) => &line[span.range()] == text,
        Text::Joined(_) => false,
    };
    same && value.span.range() == (0..length)
        && value.next == line.len()
        && followed == (value.behind != Behind::Nothing)
}

/// Returns a key as SOPS writes it, or with other quotes if that would not be read back; `None` if
/// there is no way.
pub(super) fn key(name: &[u8]) -> Option<SecretBytes> {
    let sops: &[u8] = if name.iter().any(|byte| matches!(byte, b'"' | b'=' | b':')) {
        b"`"
    } else if name.contains(&b'`') {
        b"\"\"\""
    } else {
        b""
    };
    for quote in [sops, b"`", b"\""] {
        let mut line = SecretBytes::new();
        for part in [quote, name, quote] {
            line.extend_from_slice(part);
        }
        let length = line.len();
        line.extend_from_slice(b" = x\n");
        if let Ok(Some(Item::Entry(entry))) = Scanner::new(&line).next()
            && &line[entry.name.range()] == name
            && entry.key.range() == (0..length)
            && entry.value.next == line.len()
        {
            line.resize(length);
            return Some(line);
        }
    }
    None
}

/// Returns whether a section can have the name.
fn is_section_name(name: &[u8]) -> bool {
    let mut line = SecretBytes::from(&b"["[..]);
    line.extend_from_slice(name);
    line.extend_from_slice(b"]\n");
    matches!(Scanner::new(&line).next(), Ok(Some(Item::Header(header)))
        if &line[header.name.range()] == name)
}

/// Writes a whole tree.
pub(super) fn document(tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
    let mut documents = tree.documents();
    let Some(root) = documents.next() else {
        return Err(EmitError::whole("there is no document to write"));
    };
    if documents.next().is_some() {
        return Err(EmitError::whole("INI holds one document, and the file has several"));
    }
    if tree.node(root).kind != NodeKind::Map {
        return Err(EmitError::whole("INI holds sections, which only a map can be written as"));
    }
    let mut writer = Writer::new(tree, layout);
    let mut is_first = true;
    for id in tree.children(root) {
        if tree.node(id).kind.is_comment() {
            // One between the sections, which SOPS drops.
            writer.comments.push(id);
            continue;
        }
        writer.section(id, is_first)?;
        is_first = false;
    }
    writer.keep_one(None);
    writer.comments(true);
    Ok(writer.out)
}

/// Writes the one section of a tree, with its header.
pub(super) fn section(tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
    let mut writer = Writer::new(tree, layout);
    for id in tree.documents().flat_map(|root| tree.children(root)) {
        writer.section(id, false)?;
    }
    Ok(writer.out)
}

struct Writer<'t> {
    tree: &'t Tree,
    out: SecretBytes,
    line_break: &'static [u8],
    /// The comments that go in front of the next key or section.
    comments: Vec<NodeId>,
}

impl<'t> Writer<'t> {
    fn new(tree: &'t Tree, layout: &Layout) -> Writer<'t> {
        Writer {
            tree,
            out: SecretBytes::with_capacity(tree.source().len()),
            line_break: if layout.crlf { b"\r\n" } else { b"\n" },
            comments: Vec::new(),
        }
    }

    fn section(&mut self, id: NodeId, is_first: bool) -> Result<(), EmitError> {
        let tree = self.tree;
        if tree.node(id).kind != NodeKind::Map {
            let message = "INI holds sections: at the top level each value must be a map";
            return Err(EmitError::at(tree, id, message));
        }
        let name = tree.key(id).unwrap_or_default();
        if !is_section_name(name) {
            return Err(EmitError::at(tree, id, "INI cannot hold a section of this name"));
        }
        let mut members = tree.children(id).peekable();
        let comments =
            std::iter::from_fn(|| members.next_if(|&member| tree.node(member).kind.is_comment()));
        let comments: Vec<NodeId> = comments.collect();
        let first = comments.first().copied();
        self.comments.extend(comments);
        self.keep_one(first);
        let entries = self.entries(members)?;
        let has_header = !is_first || name != DEFAULT;
        if !has_header && entries.is_empty() {
            return Ok(());
        }
        if !self.out.is_empty() {
            self.end_line();
        }
        if has_header {
            self.comments(true);
            for part in [b"[", name, b"]"] {
                self.out.extend_from_slice(part);
            }
            self.end_line();
        }
        let width = entries.iter().map(|entry| entry.key.len()).max().unwrap_or(0);
        for entry in entries {
            self.comments.extend(entry.comments);
            self.keep_one(self.comments.last().copied());
            self.comments(false);
            self.out.extend_from_slice(&entry.key);
            for _ in entry.key.len()..width {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(b" = ");
            value(tree, entry.id, false, &mut self.out)?;
            self.end_line();
        }
        Ok(())
    }

    /// Collects the entries of a section, each with the comments behind it.
    fn entries(&self, members: impl Iterator<Item = NodeId>) -> Result<Vec<Entry>, EmitError> {
        let tree = self.tree;
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = HashSet::new();
        for id in members {
            let node = tree.node(id);
            if node.kind.is_comment() {
                if let Some(entry) = entries.last_mut() {
                    entry.comments.push(id);
                }
                continue;
            }
            if node.kind.is_container() {
                let message = "INI has two levels: a section cannot hold a map or list";
                return Err(EmitError::at(tree, id, message));
            }
            let name = tree.key(id).unwrap_or_default();
            if !names.insert(name) {
                let message = "an INI section cannot hold the same key twice";
                return Err(EmitError::at(tree, id, message));
            }
            let Some(key) = key(name) else {
                return Err(EmitError::at(tree, id, "INI cannot hold this key"));
            };
            entries.push(Entry { id, key, comments: Vec::new() });
        }
        Ok(entries)
    }

    /// Drops all waiting comments but `kept`, as SOPS does, where an encrypted one is among several:
    /// INI has one comment for each key and section, and those in a row would become one.
    fn keep_one(&mut self, kept: Option<NodeId>) {
        let sealed = |&id: &NodeId| self.tree.comment(id).is_some_and(comments::is_ciphertext);
        if self.comments.len() > 1 && self.comments.iter().any(sealed) {
            let kept = kept.or(self.comments.last().copied());
            self.comments.clear();
            self.comments.extend(kept);
        }
    }

    /// Writes the comments that wait, as SOPS does.
    fn comments(&mut self, of_section: bool) {
        let tree = self.tree;
        for id in std::mem::take(&mut self.comments) {
            let text = tree.comment(id).unwrap_or_default();
            for line in text.split(|&byte| byte == b'\n') {
                // Above a section SOPS keeps the blanks at the start of a line.
                if of_section && !line.starts_with(b"#") && !line.starts_with(b";") {
                    self.out.extend_from_slice(b"; ");
                    self.out.extend_from_slice(line);
                } else {
                    self.out.extend_from_slice(&comments::as_sops_writes(line));
                }
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(self.line_break);
    }
}

/// An entry of a section.
struct Entry {
    id: NodeId,
    key: SecretBytes,
    comments: Vec<NodeId>,
}
