//! Collections that are written out for an alias: in flow style, on one line; or with their
//! comments as a block, or within braces on as many lines as it takes.

use super::super::emit::{
    FlowLines, FlowQuotes, comments_to_hoist, emit_block, write_flow_comment, write_flow_lines,
};
use super::super::style::write_spaces;
use super::super::text::line_start;
use super::{Splicer, one_line_comment};
use crate::format::EmitError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind};

/// Where a block can stand in place of an alias.
struct Place {
    /// Where it begins: at the alias, or behind the colon of its key.
    start: usize,
    /// Whether it begins with a line of its own.
    on_next_line: bool,
    column: usize,
    /// Where the entry begins, if a comment can be put above it.
    head: Option<usize>,
}

impl Splicer<'_> {
    /// Writes the collection `id` over its alias at `span`, if it has comments and there is a place
    /// for a block; returns whether it did.
    pub(super) fn copy_as_block(
        &mut self,
        id: NodeId,
        node: &Node,
        span: Span,
    ) -> Result<bool, EmitError> {
        let tree = self.tree;
        if node.site.flow || !self.has_placed_comments(id, node) {
            return Ok(false);
        }
        let Some(place) = self.place_of_block(node, span) else { return Ok(false) };
        let beside = self.comment_beside(id, span);
        let hoisted = comments_to_hoist(tree, id);
        if (beside.is_some() || hoisted > 0) && place.head.is_none() {
            return Ok(false);
        }
        let block = emit_block(tree, id, (place.column, self.step), self.newline)?;
        if block.ends_with(b"\n") {
            // To the empty lines that end a text, those below would be added.
            return Ok(false);
        }
        let head = place.head.unwrap_or(place.start);
        if let Some((comment, at)) = beside {
            // In front of a block it would become a comment of what is inside.
            self.comment_above(comment, head)?;
            self.edits.remove(Span { start: span.end, end: at.start });
            self.edits.remove(at);
            self.moved.insert(comment);
        }
        for comment in tree.children(id).take(hoisted) {
            self.comment_above(comment, head)?;
        }
        let mut text = SecretBytes::new();
        if place.on_next_line {
            text.extend_from_slice(self.newline);
            write_spaces(&mut text, place.column);
        }
        text.extend_from_slice(&block);
        self.edits.remove(Span::new(place.start, span.start as usize));
        self.edits.replace(span, &text);
        Ok(true)
    }

    /// Writes the collection `id` over its alias at `span`, in flow style.
    pub(super) fn copy_as_flow(
        &mut self,
        id: NodeId,
        node: &Node,
        span: Span,
    ) -> Result<(), EmitError> {
        let lines = FlowLines { column: self.inner_column(node), newline: self.newline };
        let has_comments = self.has_placed_comments(id, node);
        let mut out = SecretBytes::new();
        if has_comments
            && node.site.flow
            && let Some((comment, at)) = self.comment_beside(id, span)
        {
            // It is read before those of the alias, and behind the brace it would come after them.
            let text = one_line_comment(self.tree, comment)?;
            let head = node.key.map_or(Some(span), |key| key.span).unwrap_or(span).start as usize;
            let mut above = SecretBytes::new();
            write_flow_comment(&mut above, text, lines);
            if head == span.start as usize {
                out = above;
            } else {
                self.edits.insert(head, &above);
            }
            let blanks = self.source[..at.start as usize].trim_ascii_end().len();
            self.edits.remove(Span::new(blanks.max(span.end as usize), at.end as usize));
            self.moved.insert(comment);
        }
        write_flow_lines(
            &mut out,
            self.tree,
            id,
            FlowQuotes::Needed,
            has_comments.then_some(lines),
        )?;
        self.edits.replace(span, &out);
        Ok(())
    }

    /// Returns whether a collection has comments. Those of an empty one are lost to SOPS.
    fn has_placed_comments(&self, id: NodeId, node: &Node) -> bool {
        let tree = self.tree;
        let inside = &tree.nodes()[id.index()..node.end()];
        inside.iter().any(|node| node.kind.is_comment())
            && !tree.children(id).all(|id| tree.node(id).kind.is_comment())
    }

    fn place_of_block(&self, node: &Node, span: Span) -> Option<Place> {
        let start = span.start as usize;
        let Some(key) = node.key else {
            let column = start - line_start(self.source, start);
            let head = self.source[..start].trim_ascii_end();
            let head = head.ends_with(b"-").then(|| head.len() - 1);
            let place = Place { start, on_next_line: false, column, head };
            return self.begins_line_or_member(start).then_some(place);
        };
        let key = key.span?;
        let head = key.start as usize;
        let between = &self.source[key.end as usize..start];
        // A key with a `?` has its colon on another line.
        let colon = between.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        let blanks = between[colon..].strip_prefix(b":")?;
        blanks.trim_ascii().is_empty().then(|| Place {
            start: start - blanks.len(),
            on_next_line: true,
            column: self.inner_column(node),
            head: self.begins_line_or_member(head).then_some(head),
        })
    }

    /// Returns whether nothing but spaces and dashes stands in front of `at` on its line.
    fn begins_line_or_member(&self, at: usize) -> bool {
        let before = &self.source[line_start(self.source, at)..at];
        before.iter().all(|byte| matches!(byte, b' ' | b'-'))
    }

    /// Returns the comment on the line of the alias at `span`.
    fn comment_beside(&self, id: NodeId, span: Span) -> Option<(NodeId, Span)> {
        let comment = self.tree.id_at(id.index().checked_sub(1)?)?;
        let node = self.tree.node(comment);
        let at = node.span.filter(|at| at.start >= span.end)?;
        matches!(node.kind, NodeKind::Comment { inline: true, .. }).then_some((comment, at))
    }

    /// Writes a comment on the line above `at`, and goes on in the same column.
    fn comment_above(&mut self, comment: NodeId, at: usize) -> Result<(), EmitError> {
        let mut line = SecretBytes::from("#");
        line.extend_from_slice(one_line_comment(self.tree, comment)?.as_bytes());
        line.extend_from_slice(self.newline);
        write_spaces(&mut line, at - line_start(self.source, at));
        self.edits.insert(at, &line);
        Ok(())
    }
}
