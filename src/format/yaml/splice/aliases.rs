//! Aliases whose anchor no longer holds what they stand for: they are written out.

use std::collections::HashMap;

use super::super::emit::{FlowQuotes, write_flow_text};
use super::super::properties::{Tag, words};
use super::Splicer;
use crate::format::EmitError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, Step, Style};

impl Splicer<'_> {
    /// Writes out the aliases, as values and as keys, whose anchor no longer holds what they
    /// stand for.
    pub(super) fn aliases(
        &mut self,
        changed: impl Iterator<Item = usize>,
    ) -> Result<(), EmitError> {
        let nodes = self.tree.nodes();
        let is_alias = |node: &Node| node.site.style == Style::Alias && node.span.is_some();
        let alias_key = |node: &Node| {
            let span = node.key.and_then(|key| key.span)?;
            self.source[span.range()].starts_with(b"*").then_some(span)
        };
        if !nodes.iter().any(|node| is_alias(node) || alias_key(node).is_some()) {
            return Ok(());
        }
        let mut touched = vec![false; nodes.len()];
        for index in changed {
            touched[index] = true;
        }
        let touched_before = running_count(&touched);
        // How many of the nodes so far are changed or are aliases to be written out.
        let mut dirty_before = Vec::with_capacity(nodes.len() + 1);
        dirty_before.push(0u32);
        let mut anchors: HashMap<&[u8], (usize, usize)> = HashMap::new();
        for step in self.tree.walk(None) {
            let (Step::Enter(id) | Step::Leaf(id)) = step else {
                continue;
            };
            let index = id.index();
            let node = self.tree.node(id);
            let dirty = |name: Span| {
                let name = &self.source[name.start as usize + 1..name.end as usize];
                anchors
                    .get(name)
                    .is_some_and(|&(start, end)| dirty_before[end.min(index)] > dirty_before[start])
            };
            let mut write_out = false;
            if let Some(span) = alias_key(node)
                && dirty(span)
                && let Some(key) = self.tree.key(id).and_then(|key| std::str::from_utf8(key).ok())
            {
                let mut out = SecretBytes::new();
                write_flow_text(&mut out, key, FlowQuotes::All);
                self.edits.replace(span, &out);
            }
            if let Some(span) = node.span
                && is_alias(node)
            {
                // A scalar that is changed itself is written with its value.
                let first = index + usize::from(!node.kind.is_container());
                write_out = dirty(span) || touched_before[node.end()] > touched_before[first];
                if write_out && node.kind.is_container() {
                    if !self.copy_as_block(id, node, span)? {
                        self.copy_as_flow(id, node, span)?;
                    }
                } else if write_out && !touched[index] {
                    self.over_token(id, node, span, Tag::None);
                }
            } else if node.span.is_some()
                && let Some(properties) = node.site.properties
                && let Some(name) = anchor_of(self.source, properties)
            {
                anchors.insert(name, (index, node.end()));
            }
            dirty_before.push(dirty_before[index] + u32::from(touched[index] || write_out));
        }
        Ok(())
    }
}

/// Returns the name of the anchor in the properties of a node.
fn anchor_of(source: &[u8], properties: Span) -> Option<&[u8]> {
    words(source, properties)
        .map(|span| &source[span.range()])
        .find_map(|word| word.strip_prefix(b"&"))
}

/// Returns for each position how many flags in front of it are set.
fn running_count(flags: &[bool]) -> Vec<u32> {
    let mut counts = Vec::with_capacity(flags.len() + 1);
    counts.push(0);
    let mut count = 0;
    for &flag in flags {
        count += u32::from(flag);
        counts.push(count);
    }
    counts
}
