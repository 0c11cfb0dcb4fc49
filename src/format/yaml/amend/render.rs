//! New values and keys in the style of those beside them.

use super::super::emit::{emit, write_one_line};
use super::super::extent::lines_end;
use super::super::resolve::{Resolved, resolve_plain};
use super::super::style::{Escapes, Shape, sops_style, write_double, write_single};
use super::super::text::{indent_step, line_break, line_end, line_start, shift_lines};
use super::{Rendered, Text};
use crate::format::{EmitError, Layout};
use crate::secret::SecretBytes;
use crate::tree::operation::nested;
use crate::tree::path::Component;
use crate::tree::{NodeId, NodeKind, Style, Tree};

/// The longest key in bytes that is written on the line of its value.
const LONGEST_KEY: usize = 128;

impl Text<'_> {
    /// Returns the text of a value behind a key or dash in the column of `beside`.
    pub(super) fn rendered(
        &self,
        beside: NodeId,
        in_list: bool,
        value: &Tree,
    ) -> Result<Rendered, EmitError> {
        if let Some(text) = self.text_above_comment(beside, value) {
            let mut first = SecretBytes::from(" ");
            write_double(&mut first, text, Escapes::Sops);
            return Ok(Rendered { first, lines: SecretBytes::new() });
        }
        let step = if in_list { Component::Index(0) } else { Component::Key("k".to_owned()) };
        let whole = nested(&[step], value).map_err(|error| EmitError::whole(error.to_string()))?;
        let indent = Some(indent_step(self.tree) as u32);
        let layout = Layout { indent, ..Layout::default() };
        let text = emit(&whole, &layout)?;
        let column = self.tree.node(beside).site.indent as usize;
        let head = if in_list { 1 } else { 2 };
        let line = line_end(&text, 0);
        let first = SecretBytes::from(&text[head..line]);
        let lines = shift_lines(&text[line + line_break(&text, line)..], column, self.newline);
        Ok(Rendered { first, lines })
    }

    /// Returns the text of `value`, where it would be a block of lines and a comment stands below
    /// that would become a part of it.
    pub(super) fn text_above_comment<'v>(
        &self,
        beside: NodeId,
        value: &'v Tree,
    ) -> Option<&'v str> {
        let Some(NodeKind::Text(text)) = value.nodes().first().map(|node| node.kind) else {
            return None;
        };
        let text = std::str::from_utf8(value.text(text)).ok()?;
        let node = self.tree.node(beside);
        let end = self.end_of_value(beside);
        let below = lines_end(self.source, end, end, 0);
        let rest = &self.source[below..];
        let comment = rest.trim_ascii_start();
        let column = below + rest.len() - comment.len();
        let column = column - line_start(self.source, column);
        let is_below = comment.starts_with(b"#") && column > node.site.indent as usize;
        (is_below && sops_style(text) == Style::Literal).then_some(text)
    }

    /// Returns a key with the quotes of another; `None` for one that needs more than a line.
    pub(super) fn key_like(&self, model: NodeId, key: &str) -> Option<SecretBytes> {
        let mut out = SecretBytes::new();
        let model = self.tree.node(model).key?.span?;
        let style = sops_style(key);
        if style == Style::Literal || key.len() > LONGEST_KEY {
            return None;
        }
        match self.source[model.start as usize] {
            b'"' => write_double(&mut out, key, Escapes::Few),
            b'\'' if Shape::of(key).reads_single() => write_single(&mut out, key),
            _ => write_one_line(&mut out, key, style),
        }
        Some(out)
    }

    /// Returns a text in quotes, where all other texts of the collection have the same.
    pub(super) fn quoted_like(
        &self,
        container: NodeId,
        value: &Tree,
        root: NodeId,
    ) -> Option<SecretBytes> {
        let NodeKind::Text(text) = value.node(root).kind else { return None };
        let text = std::str::from_utf8(value.text(text)).ok()?;
        let mut styles = self
            .members(container)
            .map(|id| self.tree.node(id))
            .filter(|node| matches!(node.kind, NodeKind::Text(_)))
            .map(|node| node.site.style);
        let style = styles.next()?;
        if styles.any(|other| other != style) {
            return None;
        }
        let mut out = SecretBytes::new();
        match style {
            Style::DoubleQuoted => write_double(&mut out, text, Escapes::Few),
            Style::SingleQuoted if Shape::of(text).reads_single() => write_single(&mut out, text),
            _ => return None,
        }
        Some(out)
    }
}

/// Returns whether a number of JSON is the same in YAML as it is spelled.
pub(super) fn is_spelled(kind: NodeKind, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    match (kind, resolve_plain(text)) {
        (NodeKind::Float(number), Resolved::Float(other)) => number.to_bits() == other.to_bits(),
        _ => false,
    }
}
