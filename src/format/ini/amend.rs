//! One change of an INI text: a line of a section, or a section.

use crate::edits::Edits;
use crate::format::ini::scan::{self, start_of_text};
use crate::format::ini::{Ini, line_start, write};
use crate::format::{EmitError, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::{Operation, nested};
use crate::tree::path::Component;
use crate::tree::{Node, NodeId, NodeKind, Style, Tree};

/// Returns the edits that make `operation`; `None` for one that has no place.
pub(super) fn amend(tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
    let text = Text { tree, source: tree.source(), line_break: line_break(tree) };
    match *operation {
        Operation::Replace { id, value } if is_section(tree, id) => text.replace_section(id, value),
        Operation::Replace { id, value } => text.replace(id, value),
        Operation::Append { container, key: Some(key), value } if is_section(tree, container) => {
            text.append(container, key, value)
        }
        Operation::Append { key: Some(key), value, .. } => text.append_section(key, value),
        Operation::Append { key: None, .. } => Ok(None),
        Operation::Remove { id } if is_section(tree, id) => text.remove_section(id),
        Operation::Remove { id } => Ok(text.remove(id)),
    }
}

fn is_section(tree: &Tree, id: NodeId) -> bool {
    tree.node(id).kind == NodeKind::Map && tree.node(id).key.is_some()
}

fn line_break(tree: &Tree) -> &'static [u8] {
    if Ini.layout_of(tree, &Layout::default()).crlf { b"\r\n" } else { b"\n" }
}

struct Text<'t> {
    tree: &'t Tree,
    source: &'t [u8],
    line_break: &'static [u8],
}

impl Text<'_> {
    fn replace(&self, id: NodeId, value: &Tree) -> Result<Option<Edits>, EmitError> {
        let (Some(span), Some(root)) = (self.tree.node(id).span, value.documents().next()) else {
            return Ok(None);
        };
        if value.node(root).kind.is_container() {
            return Ok(None);
        }
        let mut edits = Edits::new();
        let mut result = Ok(());
        let style = self.tree.node(id).site.style;
        let followed = super::is_followed(self.source, span);
        edits.replace_with(span, |out| {
            result = write::value_as(value, root, (style, followed), out);
        });
        result?;
        Ok(Some(edits))
    }

    /// Adds a line behind the last entry of a section, or behind its header.
    fn append(&self, section: NodeId, key: &str, value: &Tree) -> Result<Option<Edits>, EmitError> {
        let Some(root) = value.documents().next() else { return Ok(None) };
        let Some(line) = self.line(section, key, value, root)? else { return Ok(None) };
        Ok(self.insert_lines(self.end_of_section(section), &line))
    }

    fn append_section(&self, name: &str, value: &Tree) -> Result<Option<Edits>, EmitError> {
        let layout = Layout { crlf: self.line_break == b"\r\n", ..Layout::default() };
        let tree = nested(&[Component::Key(name.to_owned())], value)
            .map_err(|error| EmitError::whole(error.to_string()))?;
        let section = write::section(&tree, &layout)?;
        let mut lines = SecretBytes::new();
        if start_of_text(self.source) < self.source.len() {
            lines.extend_from_slice(self.line_break);
        }
        lines.extend_from_slice(&section);
        Ok(self.insert_lines(self.source.len(), &lines))
    }

    /// Puts other entries in place of all of a section's, and of the comments between them.
    fn replace_section(&self, section: NodeId, value: &Tree) -> Result<Option<Edits>, EmitError> {
        let Some(root) = value.documents().next() else { return Ok(None) };
        let Some(header) = self.header_end(section) else { return Ok(None) };
        if value.node(root).kind != NodeKind::Map {
            return Ok(None);
        }
        let mut lines = SecretBytes::new();
        for id in value.children(root) {
            let key = String::from_utf8_lossy(value.key(id).unwrap_or_default());
            let Some(line) = self.line(section, &key, value, id)? else { return Ok(None) };
            lines.extend_from_slice(&line);
        }
        let mut edits = self.insert_lines(header, &lines).unwrap_or_default();
        edits.remove(Span::new(header, self.end_of_section(section).max(header)));
        Ok(Some(edits))
    }

    /// Removes an entry with its lines.
    fn remove(&self, id: NodeId) -> Option<Edits> {
        let node = self.tree.node(id);
        let start = line_start(self.source, node.key?.span?.start as usize);
        let end = scan::line_end(self.source, node.span?.end as usize);
        let mut edits = Edits::new();
        edits.remove(self.lines(start, end));
        Some(edits)
    }

    /// Removes a section with its header, its comments and a blank line.
    fn remove_section(&self, section: NodeId) -> Result<Option<Edits>, EmitError> {
        let Some(name) = self.tree.node(section).key.and_then(|key| key.span) else {
            let message = "the keys in front of the first section are in no section that could be \
                           removed; remove each of them";
            return Err(EmitError::at(self.tree, section, message));
        };
        let start = line_start(self.source, name.start as usize - 1);
        let end = self.end_of_section(section);
        let behind = scan::line_end(self.source, end);
        let before = &self.source[..start];
        let above = before.strip_suffix(b"\n").unwrap_or(before);
        let above = above.strip_suffix(b"\r").unwrap_or(above);
        let lines = if end < behind && self.source[end..behind].iter().all(u8::is_ascii_whitespace)
        {
            Span::new(start, behind)
        } else if end == self.source.len() && (above.is_empty() || above.ends_with(b"\n")) {
            self.lines(above.len(), end)
        } else {
            self.lines(start, end)
        };
        let mut edits = Edits::new();
        edits.remove(lines);
        Ok(Some(edits))
    }

    /// Returns the place of whole lines: with the break in front of them, if the last has none.
    fn lines(&self, start: usize, end: usize) -> Span {
        let is_open = end == self.source.len() && !self.source.ends_with(b"\n");
        let before = &self.source[..start];
        let cut = before.strip_suffix(b"\n").filter(|_| is_open).unwrap_or(before);
        let cut = cut.strip_suffix(b"\r").filter(|_| is_open).unwrap_or(cut);
        Span::new(cut.len(), end)
    }

    /// Inserts whole lines, which end in a break, where a line begins or the text ends.
    fn insert_lines(&self, at: usize, lines: &[u8]) -> Option<Edits> {
        let mut edits = Edits::new();
        let before = &self.source[..at];
        let is_open = at > start_of_text(self.source) && !before.ends_with(b"\n");
        if is_open {
            let mut text = SecretBytes::from(self.line_break);
            text.extend_from_slice(lines.strip_suffix(self.line_break)?);
            edits.insert(at, &text);
        } else {
            edits.insert(at, lines);
        }
        Some(edits)
    }

    /// Returns where the lines of a section's header end; `None` without a header.
    fn header_end(&self, section: NodeId) -> Option<usize> {
        let name = self.tree.node(section).key?.span?;
        Some(scan::line_end(self.source, name.end as usize))
    }

    /// Returns where the lines of a section end.
    fn end_of_section(&self, section: NodeId) -> usize {
        match (self.entries(section).last(), self.header_end(section)) {
            (Some(last), _) => {
                scan::line_end(self.source, last.span.map_or(0, |span| span.end as usize))
            }
            (None, Some(header)) => header,
            (None, None) => start_of_text(self.source),
        }
    }

    fn entries(&self, section: NodeId) -> impl Iterator<Item = &Node> + '_ {
        let ids = self.tree.children(section).map(|id| self.tree.node(id));
        ids.filter(|node| node.key.is_some() && node.span.is_some())
    }

    /// Returns the line of a new entry, laid out as the last one of its section, or as any.
    fn line(
        &self,
        section: NodeId,
        key: &str,
        value: &Tree,
        id: NodeId,
    ) -> Result<Option<SecretBytes>, EmitError> {
        let Some(key) = write::key(key.as_bytes()) else { return Ok(None) };
        if value.node(id).kind.is_container() {
            return Ok(None);
        }
        let any = || self.tree.nodes().iter().find(|node| is_entry(node));
        let (indentation, gap, delimiter) = self
            .entries(section)
            .last()
            .or_else(any)
            .and_then(|model| self.layout_like(section, model, key.len()))
            .unwrap_or((b"", 1, b"= "));
        let mut line = SecretBytes::from(indentation);
        line.extend_from_slice(&key);
        (0..gap).for_each(|_| line.push(b' '));
        line.extend_from_slice(delimiter);
        write::value_as(value, id, (Style::default(), false), &mut line)?;
        line.extend_from_slice(self.line_break);
        Ok(Some(line))
    }

    /// Returns what stands around the key of `model`: the indentation, the number of spaces behind
    /// a key of `length` bytes, and the delimiter with what follows it.
    fn layout_like(
        &self,
        section: NodeId,
        model: &Node,
        length: usize,
    ) -> Option<(&[u8], usize, &[u8])> {
        let gap = |node: &Node| {
            let (key, value) = (node.key?.span?, node.span?);
            let between = &self.source[key.end as usize..value.start as usize];
            let blanks = between.iter().take_while(|&&byte| byte == b' ').count();
            Some((key, blanks, &between[blanks..]))
        };
        let (place, blanks, delimiter) = gap(model)?;
        if !matches!(delimiter.trim_ascii(), b"=" | b":") || delimiter.contains(&b'\n') {
            return None;
        }
        let start = line_start(self.source, place.start as usize);
        // The delimiters of a section may stand below each other.
        let aligned = self.entries(section).filter_map(gap).any(|(_, blanks, _)| blanks > 1);
        let blanks =
            if aligned { (place.len() + blanks).saturating_sub(length).max(1) } else { blanks };
        Some((&self.source[start..place.start as usize], blanks, delimiter))
    }
}

fn is_entry(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Text(_)) && node.key.is_some() && node.span.is_some()
}
