//! One change of a YAML text: a value exchanged, an entry added or removed.
//!
//! An alias stands for the text of its anchor. Where the change is inside of one of the two, the
//! aliases concerned are written out first, as SOPS reads them: the others keep what they had.
//! What stands in braces is changed in [`flow`], everything else line by line here.

mod extent;
mod flow;
mod render;

use self::extent::without_break_at;
use self::render::is_spelled;
use super::Yaml;
use super::block;
use super::block_scalar::BlockScalar;
use super::emit::emit;
use super::splice::{splice, write_out_aliases};
use super::style::write_spaces;
use super::text::{is_line_start, line_end, line_start, newline_of, without_break};
use crate::edits::Edits;
use crate::format::{Block, Change, EmitError, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::{Operation, nested};
use crate::tree::path::Component;
use crate::tree::{NodeId, NodeKind, Style, Tree};

/// Returns the edits that make `operation`; `None` for one that has no place.
pub(super) fn amend(tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
    let (Operation::Replace { id, .. }
    | Operation::Append { container: id, .. }
    | Operation::Remove { id }) = *operation;
    let touched = match operation {
        Operation::Append { .. } => id.index()..id.index() + 1,
        _ => id.index()..tree.node(id).end(),
    };
    let aliases = write_out_aliases(tree, touched)?;
    if aliases.is_empty() {
        return Text::new(tree).amend(operation);
    }
    let Some(text) = aliases.try_apply(tree.source()) else { return Ok(None) };
    let Ok(again) = Yaml.parse(text) else { return Ok(None) };
    let Some(id) = same_place(tree, id, &again) else { return Ok(None) };
    let operation = match *operation {
        Operation::Replace { value, .. } => Operation::Replace { id, value },
        Operation::Append { key, value, .. } => Operation::Append { container: id, key, value },
        Operation::Remove { .. } => Operation::Remove { id },
    };
    let edits = Text::new(&again).amend(&operation)?;
    let text = edits.and_then(|edits| edits.try_apply(again.source()));
    Ok(text.map(|text| Edits::between(tree.source(), &text)))
}

/// Returns the node that stands in `other` where `id` stands in `tree`; comments do not count.
fn same_place(tree: &Tree, id: NodeId, other: &Tree) -> Option<NodeId> {
    let (mut siblings, mut theirs) = (tree.documents(), other.documents());
    loop {
        let (ours, their) = loop {
            let ours = siblings.by_ref().find(|&id| !tree.node(id).kind.is_comment())?;
            let their = theirs.by_ref().find(|&id| !other.node(id).kind.is_comment())?;
            if tree.node(ours).end() > id.index() {
                break (ours, their);
            }
        };
        if ours == id {
            return Some(their);
        }
        siblings = tree.children(ours);
        theirs = other.children(their);
    }
}

/// A text that is changed line by line.
pub(super) struct Text<'t> {
    pub(super) tree: &'t Tree,
    pub(super) source: &'t [u8],
    newline: &'static [u8],
}

/// A value behind its key or dash: what follows on the line, with the blank in front of it, and
/// the whole lines below.
struct Rendered {
    first: SecretBytes,
    /// Each ends in a line break.
    lines: SecretBytes,
}

impl<'t> Text<'t> {
    fn new(tree: &'t Tree) -> Text<'t> {
        Text { tree, source: tree.source(), newline: newline_of(tree.source()) }
    }

    fn amend(&self, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        match *operation {
            Operation::Replace { id, value } => self.replace(id, value, operation),
            Operation::Append { container, key, value } => {
                let edits = self.append(container, key, value)?;
                // An empty collection may hold comments, for which there is no place then.
                Ok(edits.filter(|edits| !self.removes_comment(edits, Span::default())))
            }
            Operation::Remove { id } => Ok(self.remove(id)),
        }
    }

    /// Returns whether a comment would be gone that does not stand in `own`.
    fn removes_comment(&self, edits: &Edits, own: Span) -> bool {
        let comments = self.tree.nodes().iter().filter(|node| node.kind.is_comment());
        let strays = self.tree.strays().iter().map(|stray| stray.span);
        let mut places = comments.filter_map(|node| node.span).chain(strays);
        places.any(|place| !own.contains(place) && edits.spans().any(|edit| edit.contains(place)))
    }

    /// Returns the entries or members of a collection, without the comments between them.
    pub(super) fn members(&self, container: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.tree.children(container).filter(|&id| !self.tree.node(id).kind.is_comment())
    }

    fn replace(
        &self,
        id: NodeId,
        value: &Tree,
        operation: &Operation<'_>,
    ) -> Result<Option<Edits>, EmitError> {
        let node = self.tree.node(id);
        let Some(root) = value.documents().next() else { return Ok(None) };
        let has_text = node.span.is_some_and(|span| !span.is_empty());
        if !node.kind.is_container() && !value.node(root).kind.is_container() && has_text {
            return self.replace_leaf(id, value, root, operation);
        }
        if node.site.flow {
            return flow::replace(self, id, value);
        }
        let rendered = self.rendered(id, node.key.is_none(), value)?;
        Ok(self.rewrite(id, rendered))
    }

    /// Writes a scalar over another, in its style.
    fn replace_leaf(
        &self,
        id: NodeId,
        value: &Tree,
        root: NodeId,
        operation: &Operation<'_>,
    ) -> Result<Option<Edits>, EmitError> {
        let Ok(mut changed) = operation.apply(self.tree) else { return Ok(None) };
        let spelled = value.node(root).span.map(|span| &value.source()[span.range()]);
        let spelled = spelled.filter(|text| {
            self.tree.node(id).site.properties.is_none() && is_spelled(value.node(root).kind, text)
        });
        let verbatim = spelled.map(|text| changed.intern(text));
        splice(&changed, &[Change { id, verbatim }]).map(Some)
    }

    /// Exchanges the value of an entry or member that stands in block style; its key or dash stays
    /// and the comment behind that.
    fn rewrite(&self, id: NodeId, rendered: Rendered) -> Option<Edits> {
        let source = self.source;
        let node = self.tree.node(id);
        let head = self.head_end(id)?;
        let Rendered { first, mut lines } = rendered;
        let mut edits = Edits::new();
        let end = self.end_of_value(id).max(head);
        let line = line_end(source, head);
        if let (Style::Literal | Style::Folded, Some(span)) = (node.site.style, node.span) {
            let scalar = BlockScalar::read(source, span);
            edits.replace(place(head, scalar.header.end as usize), &first);
            if !source[scalar.content.range()].ends_with(b"\n") {
                lines.resize(without_break(&lines).len());
            }
            edits.replace(scalar.content, &lines);
            return Some(edits);
        }
        // Up to the end of the last line of the value, with the comment behind it where that is
        // one of the old collection's own.
        let is_block = node.kind.is_container() && node.site.style == Style::Block;
        let below =
            is_block && self.members(id).next().is_some_and(|first| self.start(first) > line);
        let last = if is_line_start(source, end) && end > head {
            end - self.break_before(end)
        } else {
            line_end(source, end)
        };
        lines.resize(without_break(&lines).len());
        if !lines.is_empty() {
            let mut below = SecretBytes::from(self.newline);
            below.extend_from_slice(&lines);
            lines = below;
        }
        if below {
            let properties = node.site.properties.map_or(head, |span| span.end as usize);
            if properties > line {
                return None;
            }
            let rest = &source[properties..line];
            let comment = line - rest.trim_ascii_start().len();
            edits.replace(place(head, comment), &first);
            if comment < line {
                edits.insert(comment, b" ");
            }
            edits.replace(place(line, last.max(line)), &lines);
        } else if is_block {
            let mut text = first;
            text.extend_from_slice(&lines);
            edits.replace(place(head, last), &text);
        } else {
            edits.replace(place(head, end), &first);
            edits.insert(line_end(source, end), &lines);
        }
        Some(edits)
    }

    fn append(
        &self,
        container: NodeId,
        key: Option<&str>,
        value: &Tree,
    ) -> Result<Option<Edits>, EmitError> {
        let node = self.tree.node(container);
        let step = key.map_or(Component::Index(0), |key| Component::Key(key.to_owned()));
        let Some(last) = self.members(container).last() else {
            let is_root = self.tree.documents().any(|root| root == container);
            let Ok(whole) = nested(&[step], value) else { return Ok(None) };
            return match is_root {
                true if self.tree.documents().count() == 1 => self.fill_root(&whole),
                true => Ok(None),
                false if node.site.flow => flow::replace(self, container, &whole),
                false => {
                    let rendered = self.rendered(container, node.key.is_none(), &whole)?;
                    Ok(self.rewrite(container, rendered))
                }
            };
        };
        if node.site.style == Style::Flow {
            return flow::append(self, container, last, key, value);
        }
        let mut entry = SecretBytes::new();
        let column = self.tree.node(last).site.indent as usize;
        write_spaces(&mut entry, column);
        match key {
            None => entry.push(b'-'),
            Some(key) => {
                let Some(key) = self.key_like(last, key) else { return Ok(None) };
                entry.extend_from_slice(&key);
                entry.push(b':');
            }
        }
        let Rendered { first, lines } = self.rendered(last, key.is_none(), value)?;
        let quoted =
            value.documents().next().and_then(|root| self.quoted_like(container, value, root));
        match quoted {
            Some(quoted) if lines.is_empty() => {
                entry.push(b' ');
                entry.extend_from_slice(&quoted);
            }
            _ => entry.extend_from_slice(&first),
        }
        entry.extend_from_slice(self.newline);
        entry.extend_from_slice(&lines);
        let mut edits = Edits::new();
        let place = self.end_of_members(container, last, column);
        if is_line_start(self.source, place) {
            edits.insert(place, &entry);
        } else {
            let Some(root) = self.tree.documents().last() else { return Ok(None) };
            entry.resize(without_break(&entry).len());
            let closed = block::close_last_line(self.tree, root, &mut edits);
            let mut text = SecretBytes::from(if closed { &b""[..] } else { self.newline });
            text.extend_from_slice(&entry);
            edits.insert(place, &text);
        }
        Ok(Some(edits))
    }

    /// Gives the only document, which is empty, its first entry.
    fn fill_root(&self, whole: &Tree) -> Result<Option<Edits>, EmitError> {
        let layout = block::layout_of(self.tree, &Layout::default());
        let text = emit(whole, &layout)?;
        block::attach(self.tree, &Block { text: &text, position: None }).map(Some)
    }

    fn remove(&self, id: NodeId) -> Option<Edits> {
        let container = self.container(id)?;
        let members: Vec<NodeId> = self.members(container).collect();
        let position = members.iter().position(|&member| member == id)?;
        if self.tree.node(container).site.style == Style::Flow {
            return flow::remove(self, id);
        }
        let start = self.start(id);
        let end = self.end_of_lines(id);
        let line = line_start(self.source, start);
        let mut edits = Edits::new();
        let own_line = self.source[line..start].iter().all(|&byte| byte == b' ');
        if members.len() == 1 {
            let brackets = match self.tree.node(container).kind {
                NodeKind::List => "[]",
                _ => "{}",
            };
            let rendered = Rendered {
                first: SecretBytes::from([b" ", brackets.as_bytes()].concat()),
                lines: SecretBytes::new(),
            };
            let is_root = self.tree.documents().any(|root| root == container);
            if !is_root
                && let Some(edits) = self.rewrite(container, rendered)
                && !self.removes_comment(&edits, place(start, end))
            {
                return Some(edits);
            }
            // In its place, so that the comments above it stay where they are.
            let last = without_break_at(self.source, end);
            let outside = self.tree.node(container).site.indent as usize;
            if !is_root && own_line && start - line <= outside {
                let mut spaces = SecretBytes::new();
                write_spaces(&mut spaces, outside + 2 - (start - line));
                edits.insert(start, &spaces);
            }
            edits.replace(place(start, last), brackets.as_bytes());
            return Some(edits);
        }
        if own_line {
            edits.remove(self.whole_lines(line, end));
            return Some(edits);
        }
        // The first of a collection that begins behind a dash: the next one takes its place.
        let next = self.start(*members.get(position + 1)?);
        let between = &self.source[end.min(next)..next];
        if between.iter().all(|&byte| byte == b' ') {
            edits.remove(place(start, next));
        } else {
            let before = self.source[..start].trim_ascii_end().len();
            edits.remove(place(before, without_break_at(self.source, end)));
        }
        Some(edits)
    }
}

/// Returns the place from `start` to `end`. In a layout that was not thought of they may be the
/// other way round: whatever the edits do then, the caller reads it back.
pub(super) fn place(start: usize, end: usize) -> Span {
    Span::new(start.min(end), end)
}
