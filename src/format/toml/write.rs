//! TOML text: single values for places that are there, and whole documents.
//!
//! A document keeps the order of the tree, because the MAC depends on it. TOML has two ways for a
//! map: a table with a header, behind which nothing of the map around it can follow, or keys with
//! dots. So the maps (and lists of maps) at the end of a map get headers, and those with a value
//! behind them do not.

use std::fmt;

use toml_writer::{TomlKeyBuilder, TomlStringBuilder, WriteTomlKey as _, WriteTomlValue as _};

use crate::format::toml::METADATA;
use crate::format::toml::parse::MAX_DEPTH;
use crate::format::{EmitError, Layout, repeated_keys};
use crate::number;
use crate::secret::SecretBytes;
use crate::tree::{NodeId, NodeKind, Step, Style, Tree, Value};

/// Writes the value of a leaf, a text in its style if that can hold it.
pub(super) fn scalar(
    tree: &Tree,
    id: NodeId,
    style: Style,
    crlf: bool,
    out: &mut SecretBytes,
) -> Result<(), EmitError> {
    let text = match tree.value(id) {
        Some(Value::Text(text)) => {
            let Ok(text) = std::str::from_utf8(text) else {
                return Err(EmitError::at(tree, id, "TOML cannot hold bytes that are not UTF-8"));
            };
            string(text, style, crlf, out);
            return Ok(());
        }
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Float(number)) => number::toml_float(number),
        Some(Value::Boolean(flag)) => flag.to_string(),
        Some(Value::Time(time)) => number::rfc3339(time),
        None => {
            let message = match tree.node(id).kind {
                NodeKind::Unsigned(_) => "TOML has no integers of more than 64 bits with sign",
                _ => "TOML has no null",
            };
            return Err(EmitError::at(tree, id, message));
        }
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Writes a text as a string.
pub(super) fn string(text: &str, style: Style, crlf: bool, out: &mut SecretBytes) {
    let builder = TomlStringBuilder::new(text);
    let in_style = match style {
        Style::SingleQuoted => builder.as_literal(),
        Style::TripleSingleQuoted => builder.as_ml_literal(),
        Style::TripleQuoted => Some(builder.as_ml_basic()),
        Style::DoubleQuoted if !text.contains('\n') => Some(builder.as_basic()),
        _ => None,
    };
    let string = in_style.unwrap_or_else(|| builder.as_default());
    // Writing to memory cannot fail.
    let _ = string.write_toml_value(&mut Text { out, crlf });
}

/// Returns a key with quotes where it needs them.
pub(super) fn key(name: &str) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = TomlKeyBuilder::new(name).as_default().write_toml_key(&mut text);
    text
}

/// Writes a comment of one line.
pub(super) fn comment(
    tree: &Tree,
    id: NodeId,
    text: &[u8],
    out: &mut SecretBytes,
) -> Result<(), EmitError> {
    let is_control = |&byte: &u8| (byte < 0x20 && byte != b'\t') || byte == 0x7f;
    if text.iter().any(is_control) || std::str::from_utf8(text).is_err() {
        let message = "TOML cannot hold a comment with control characters or another encoding";
        return Err(EmitError::at(tree, id, message));
    }
    out.push(b'#');
    out.extend_from_slice(text);
    Ok(())
}

/// Text that takes the line breaks of its file: inside of `"""` and `'''` both kinds are the same.
struct Text<'o> {
    out: &'o mut SecretBytes,
    crlf: bool,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) if self.crlf => {
                    self.out.extend_from_slice(line.as_bytes());
                    self.out.extend_from_slice(b"\r\n");
                }
                _ => self.out.extend_from_slice(line.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Returns a value on one line, a text in its style if that can hold it.
pub(super) fn value(tree: &Tree, style: Style, crlf: bool) -> Result<SecretBytes, EmitError> {
    check_depth(tree)?;
    let mut writer = Writer::new(tree, crlf);
    let Some(root) = tree.documents().next() else { return Ok(writer.out) };
    if tree.node(root).kind.is_container() {
        writer.open.push(Place::Short { is_empty: true });
        writer.entry(root)?;
    } else {
        scalar(tree, root, style, crlf, &mut writer.out)?;
    }
    Ok(writer.out)
}

/// Writes a whole tree.
pub(super) fn document(tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
    let mut documents = tree.documents();
    let Some(root) = documents.next() else {
        return Err(EmitError::whole("there is no document to write"));
    };
    if documents.next().is_some() {
        return Err(EmitError::whole("TOML holds one document, and the file has several"));
    }
    if let Some(&id) = repeated_keys(tree, 1).first() {
        return Err(EmitError::at(tree, id, "a TOML table cannot hold the same key twice"));
    }
    check_depth(tree)?;
    let mut writer = Writer::new(tree, layout.crlf);
    if tree.node(root).kind == NodeKind::Map {
        writer.document(root)?;
    } else {
        // No document, but a part of one: what `--extract` takes out.
        writer.entry(root)?;
        let length = writer.out.len() - writer.line_break().len();
        writer.out.resize(length);
    }
    Ok(writer.out)
}

/// Refuses what nobody could read back.
fn check_depth(tree: &Tree) -> Result<(), EmitError> {
    let mut depth = 0;
    for step in tree.walk(None) {
        match step {
            Step::Enter(id) if depth == MAX_DEPTH => {
                return Err(EmitError::at(tree, id, "TOML cannot be nested as deep"));
            }
            Step::Enter(_) => depth += 1,
            Step::Leave(_) => depth -= 1,
            Step::Leaf(_) => {}
        }
    }
    Ok(())
}

struct Writer<'t> {
    tree: &'t Tree,
    crlf: bool,
    out: SecretBytes,
    /// The keys of the header that is next.
    header: Vec<String>,
    /// The comments in front of it.
    above: Vec<NodeId>,
    /// What stands in front of the key of an entry: keys, each with a dot.
    prefix: String,
    /// The maps and lists of the entry that is being written.
    open: Vec<Place>,
    /// The comment that goes behind the next value, on its line.
    beside: Option<NodeId>,
}

/// How a map or list without a header is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// By keys with dots; the length of the prefix outside.
    Dotted(usize),
    /// `{ ... }`; whether nothing is in it yet.
    Inline { is_empty: bool },
    /// `[...]` on one line.
    Short { is_empty: bool },
    /// `[...]` with a line for each member.
    Long,
}

/// Members of a map or list that are tables with headers, and the comments between them.
struct Tables {
    members: std::vec::IntoIter<NodeId>,
    /// How many keys the header above has.
    depth: usize,
    /// Whether they are the tables of one array.
    in_array: bool,
}

impl<'t> Writer<'t> {
    fn new(tree: &'t Tree, crlf: bool) -> Writer<'t> {
        Writer {
            tree,
            crlf,
            out: SecretBytes::with_capacity(tree.source().len()),
            header: Vec::new(),
            above: Vec::new(),
            prefix: String::new(),
            open: Vec::new(),
            beside: None,
        }
    }

    fn document(&mut self, root: NodeId) -> Result<(), EmitError> {
        let tree = self.tree;
        let mut open = vec![self.section(root)?];
        while let Some(Tables { members, depth, in_array }) = open.last_mut() {
            let (depth, in_array) = (*depth, *in_array);
            self.header.truncate(depth);
            let Some(id) = members.next() else {
                open.pop();
                continue;
            };
            if tree.node(id).kind.is_comment() {
                self.above.push(id);
                continue;
            }
            if !in_array {
                self.header.push(key(utf8_key(tree, id)?));
            }
            if tree.node(id).kind == NodeKind::List {
                let members: Vec<NodeId> = tree.children(id).collect();
                let depth = self.header.len();
                open.push(Tables { members: members.into_iter(), depth, in_array: true });
                continue;
            }
            // The header of a table in it says that it is there.
            let is_implied = !in_array && self.above.is_empty() && self.split(id).0.is_empty();
            if !is_implied || tree.children(id).next().is_none() {
                self.write_header(in_array)?;
            }
            open.push(self.section(id)?);
        }
        if self.above.is_empty() { Ok(()) } else { self.write_above() }
    }

    /// Writes the entries of a map that have no header, and returns those that have one.
    fn section(&mut self, map: NodeId) -> Result<Tables, EmitError> {
        let (entries, tables) = self.split(map);
        for entry in entries {
            self.entry(entry)?;
        }
        self.flush_beside()?;
        Ok(Tables { members: tables.into_iter(), depth: self.header.len(), in_array: false })
    }

    /// Splits the members of a map into those that have no header and those that have one.
    fn split(&self, map: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
        let tree = self.tree;
        let mut members: Vec<NodeId> = tree.children(map).collect();
        if tree.key(map) == Some(METADATA) && self.header.len() == 1 {
            // No MAC depends on the order of the metadata.
            members.sort_by_key(|&id| is_table(tree, id));
        }
        let goes_last = |&&id: &&NodeId| tree.node(id).kind.is_comment() || is_table(tree, id);
        let last = members.iter().rev().take_while(goes_last).count();
        let tables = members.split_off(members.len() - last);
        if tables.iter().all(|&id| tree.node(id).kind.is_comment()) {
            members.extend(tables);
            return (members, Vec::new());
        }
        (members, tables)
    }

    fn write_header(&mut self, in_array: bool) -> Result<(), EmitError> {
        self.write_above()?;
        let (open, close) = if in_array { ("[[", "]]") } else { ("[", "]") };
        for part in [open, &self.header.join("."), close] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.end_line();
        Ok(())
    }

    /// Ends the section with a blank line, and writes the comments that wait.
    fn write_above(&mut self) -> Result<(), EmitError> {
        if !self.out.is_empty() {
            self.end_line();
        }
        for id in std::mem::take(&mut self.above) {
            self.comment_lines(id)?;
        }
        Ok(())
    }

    /// Writes a member of a section that has no header.
    fn entry(&mut self, id: NodeId) -> Result<(), EmitError> {
        let tree = self.tree;
        for step in tree.walk(Some(id)) {
            match step {
                Step::Enter(id) => self.enter(id)?,
                Step::Leave(_) => self.leave()?,
                Step::Leaf(id) if tree.node(id).kind.is_comment() => self.comment(id)?,
                Step::Leaf(id) => {
                    self.start(id)?;
                    scalar(tree, id, Style::Plain, self.crlf, &mut self.out)?;
                    self.finish()?;
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, id: NodeId) -> Result<(), EmitError> {
        let tree = self.tree;
        let is_map = tree.node(id).kind == NodeKind::Map;
        let outer = self.open.last().copied();
        let on_one_line = matches!(outer, Some(Place::Inline { .. } | Place::Short { .. }));
        if !on_one_line {
            self.flush_beside()?;
        }
        let place = match outer {
            None | Some(Place::Dotted(_)) if is_map => {
                if tree.children(id).all(|child| tree.node(child).kind.is_comment()) {
                    self.start(id)?;
                    self.out.extend_from_slice(b"{}");
                    self.finish()?;
                }
                let place = Place::Dotted(self.prefix.len());
                self.prefix.push_str(&key(utf8_key(tree, id)?));
                self.prefix.push('.');
                self.open.push(place);
                return Ok(());
            }
            _ if is_map => Place::Inline { is_empty: true },
            _ if on_one_line || !is_long(tree, id) => Place::Short { is_empty: true },
            _ => Place::Long,
        };
        if !on_one_line && place != Place::Long {
            // Nothing on one line can hold a comment.
            let inside = tree.walk(Some(id)).filter_map(|step| match step {
                Step::Leaf(id) if tree.node(id).kind.is_comment() => Some(id),
                _ => None,
            });
            for comment in inside {
                self.comment_lines(comment)?;
            }
        }
        self.start(id)?;
        self.out.push(if is_map { b'{' } else { b'[' });
        self.open.push(place);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), EmitError> {
        match self.open.last() {
            Some(&Place::Dotted(outside)) => {
                self.flush_beside()?;
                self.prefix.truncate(outside);
                self.open.pop();
                return Ok(());
            }
            Some(Place::Inline { is_empty: true }) => self.out.push(b'}'),
            Some(Place::Inline { is_empty: false }) => self.out.extend_from_slice(b" }"),
            Some(Place::Short { .. }) | None => self.out.push(b']'),
            Some(Place::Long) => {
                self.flush_beside()?;
                self.open.pop();
                self.start_line();
                self.out.push(b']');
                return self.finish();
            }
        }
        self.open.pop();
        self.finish()
    }

    /// Writes what stands in front of a value.
    fn start(&mut self, id: NodeId) -> Result<(), EmitError> {
        match self.open.last_mut() {
            None | Some(Place::Dotted(_)) => self.out.extend_from_slice(self.prefix.as_bytes()),
            Some(Place::Long) => self.start_line(),
            Some(Place::Inline { is_empty }) => {
                let before: &[u8] = if *is_empty { b" " } else { b", " };
                self.out.extend_from_slice(before);
                *is_empty = false;
            }
            Some(Place::Short { is_empty }) => {
                if !*is_empty {
                    self.out.extend_from_slice(b", ");
                }
                *is_empty = false;
            }
        }
        if self.tree.key(id).is_some() {
            self.out.extend_from_slice(key(utf8_key(self.tree, id)?).as_bytes());
            self.out.extend_from_slice(b" = ");
        }
        Ok(())
    }

    /// Writes what stands behind a value.
    fn finish(&mut self) -> Result<(), EmitError> {
        let place = self.open.last().copied();
        match place {
            Some(Place::Inline { .. } | Place::Short { .. }) => return Ok(()),
            Some(Place::Long) => self.out.push(b','),
            None | Some(Place::Dotted(_)) => {}
        }
        if let Some(id) = self.beside.take() {
            self.out.push(b' ');
            let text = self.tree.comment(id).unwrap_or_default();
            comment(self.tree, id, text, &mut self.out)?;
        }
        if place != Some(Place::Long) {
            self.end_line();
        }
        Ok(())
    }

    fn comment(&mut self, id: NodeId) -> Result<(), EmitError> {
        if matches!(self.open.last(), Some(Place::Inline { .. } | Place::Short { .. })) {
            // It stands in front of that already.
            return Ok(());
        }
        self.flush_beside()?;
        let text = self.tree.comment(id).unwrap_or_default();
        let is_inline = matches!(self.tree.node(id).kind, NodeKind::Comment { inline: true, .. });
        if is_inline && !text.contains(&b'\n') {
            self.beside = Some(id);
            return Ok(());
        }
        self.comment_lines(id)
    }

    /// Gives the comment that waits for a value lines of its own.
    fn flush_beside(&mut self) -> Result<(), EmitError> {
        self.beside.take().map_or(Ok(()), |id| self.comment_lines(id))
    }

    fn comment_lines(&mut self, id: NodeId) -> Result<(), EmitError> {
        let text = self.tree.comment(id).unwrap_or_default();
        let in_list = self.open.last() == Some(&Place::Long);
        for line in text.split(|&byte| byte == b'\n') {
            if in_list {
                self.start_line();
            }
            comment(self.tree, id, line.strip_suffix(b"\r").unwrap_or(line), &mut self.out)?;
            if !in_list {
                self.end_line();
            }
        }
        Ok(())
    }

    /// Starts a line inside of lists.
    fn start_line(&mut self) {
        self.end_line();
        for _ in self.open.iter().filter(|&&place| place == Place::Long) {
            self.out.extend_from_slice(b"    ");
        }
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(self.line_break());
    }

    fn line_break(&self) -> &'static [u8] {
        if self.crlf { b"\r\n" } else { b"\n" }
    }
}

/// Returns whether a member can be written with headers.
fn is_table(tree: &Tree, id: NodeId) -> bool {
    match tree.node(id).kind {
        NodeKind::Map => true,
        NodeKind::List => {
            let mut members =
                tree.children(id).filter(|&child| !tree.node(child).kind.is_comment()).peekable();
            members.peek().is_some() && members.all(|child| tree.node(child).kind == NodeKind::Map)
        }
        _ => false,
    }
}

/// Returns whether a list has a line for each member.
fn is_long(tree: &Tree, list: NodeId) -> bool {
    let mut members = tree.children(list).map(|id| tree.node(id).kind);
    members.clone().nth(1).is_some() || members.any(|kind| kind.is_container() || kind.is_comment())
}

fn utf8_key(tree: &Tree, id: NodeId) -> Result<&str, EmitError> {
    std::str::from_utf8(tree.key(id).unwrap_or_default())
        .map_err(|_| EmitError::at(tree, id, "TOML cannot hold a key that is not UTF-8"))
}
