//! List members that are comments, as SOPS writes encrypted ones, and become real ones.

use std::collections::HashSet;

use super::super::style::write_spaces;
use super::Splicer;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind, Step, Tree};

impl Splicer<'_> {
    /// Turns the list member at `span`, which is a comment now, into one.
    pub(super) fn member_to_comment(&mut self, id: NodeId, node: &Node, span: Span, text: &str) {
        let mut comment = SecretBytes::from("#");
        comment.extend_from_slice(text.as_bytes());
        let start =
            node.site.properties.map_or(span.start, |properties| properties.start.min(span.start))
                as usize;
        let indent = node.site.indent as usize;
        let mut new_line = SecretBytes::from(self.newline);
        write_spaces(&mut new_line, indent + 2);
        if node.site.flow {
            // The comment ends with its line, and the comma behind the member goes.
            comment.extend_from_slice(&new_line);
            if !self.source[..start].ends_with(b" ") {
                self.edits.insert(start, b" ");
            }
            self.edits.replace(Span::new(start, span.end as usize), &comment);
            let blanks = self.source[span.end as usize..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let comma = span.end as usize + blanks;
            if self.source.get(comma) == Some(&b',') {
                self.edits.remove(Span::new(comma, comma + 1));
            }
            return;
        }
        let before = self.source[..start].trim_ascii_end();
        let dash = match before.last() {
            Some(b'-') => before.len() - 1,
            _ => start,
        };
        if self.is_last_of_hollow_list(id) {
            // Without members the list would be null.
            comment.extend_from_slice(&new_line);
            comment.extend_from_slice(b"[]");
        }
        self.edits.replace(Span::new(dash, span.end as usize), &comment);
    }

    /// Returns whether `id` is the last member of a list that has nothing but comments.
    fn is_last_of_hollow_list(&mut self, id: NodeId) -> bool {
        let tree = self.tree;
        self.hollow_list_ends.get_or_insert_with(|| hollow_list_ends(tree)).contains(&id)
    }
}

/// Returns the last members of the lists that have members, and all of them comments. A comment
/// below them may belong to the list as well.
fn hollow_list_ends(tree: &Tree) -> HashSet<NodeId> {
    let is_member = |id: &NodeId| {
        let span = tree.node(*id).span.unwrap_or_default();
        !tree.source()[span.range()].starts_with(b"#")
    };
    tree.walk(None)
        .filter_map(|step| match step {
            Step::Enter(id) if tree.node(id).kind == NodeKind::List => Some(id),
            _ => None,
        })
        .filter(|&id| {
            let mut members = tree.children(id);
            members.all(|member| tree.node(member).kind.is_comment())
        })
        .filter_map(|id| tree.children(id).filter(is_member).last())
        .collect()
}
