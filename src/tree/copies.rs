//! The comments of copies: an alias has those of its anchor, if it is written out with them.

use std::ops::Range;

use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind, Style, Tree};

impl Tree {
    /// Returns the comments in the order of the text, each with its place. A comment of a copy is
    /// among them if `written` has its alias written out with comments: it stands where that does, but
    /// behind the comment on the line of the alias.
    ///
    /// Both trees have the same values; in `written` some aliases are written out.
    pub fn comments_written_in(&self, written: &Tree) -> Vec<(Span, NodeId)> {
        let mut copies = self.copies_written_in(written).into_iter().peekable();
        let mut found = Vec::new();
        for (index, node) in self.nodes().iter().enumerate() {
            let Some(id) = self.id_at(index).filter(|_| node.kind.is_comment()) else { continue };
            while copies.next_if(|(copy, _)| copy.end <= index).is_some() {}
            let copy = copies.peek().filter(|(copy, _)| copy.contains(&index));
            let place = node.span.or(copy.map(|&(_, place)| place));
            found.extend(place.map(|place| (place, id)));
        }
        // The order of the tree stays among comments in one place.
        found.sort_by_key(|&(place, _)| place);
        found
    }

    /// Returns the nodes of each alias of a collection that `written` has with comments, and the
    /// place of the alias.
    fn copies_written_in(&self, written: &Tree) -> Vec<(Range<usize>, Span)> {
        let mut theirs =
            written.nodes().iter().enumerate().filter(|(_, node)| !node.kind.is_comment());
        let mut copies = Vec::new();
        let mut before: Option<&Node> = None;
        for (index, node) in self.nodes().iter().enumerate() {
            if !node.kind.is_comment() {
                let Some((start, other)) = theirs.next() else { break };
                if let Some(span) = node.span
                    && node.kind.is_container()
                    && node.site.style == Style::Alias
                    && (written.may_have_comments(start, other)
                        || written.has_comment_in_front(start) && self.has_values(index))
                {
                    let beside = before.and_then(|comment| behind(comment, span));
                    copies.push((index..node.end(), beside.unwrap_or(span)));
                }
            }
            before = Some(node);
        }
        copies
    }

    /// Returns whether comments that belong to a collection that is no alias are in the text: those
    /// of a block may stand behind it, but those within braces are in it.
    fn may_have_comments(&self, start: usize, node: &Node) -> bool {
        match node.site.style {
            Style::Block => true,
            Style::Flow => {
                self.nodes()[start..node.end()].iter().any(|node| node.kind.is_comment())
            }
            _ => false,
        }
    }

    /// Returns whether there is a comment in front of what stands within braces: the first ones of
    /// a collection may have to be there.
    fn has_comment_in_front(&self, start: usize) -> bool {
        let nodes = self.nodes();
        nodes[start].site.style == Style::Flow && start > 0 && nodes[start - 1].kind.is_comment()
    }

    /// Returns whether a collection has more than comments.
    fn has_values(&self, index: usize) -> bool {
        let inside = &self.nodes()[index + 1..self.nodes()[index].end()];
        inside.iter().any(|node| !node.kind.is_comment())
    }
}

/// Returns the place of a comment that stands on the line of the alias at `span`.
fn behind(comment: &Node, span: Span) -> Option<Span> {
    let is_inline = matches!(comment.kind, NodeKind::Comment { inline: true, .. });
    comment.span.filter(|place| is_inline && place.start >= span.end)
}
