//! One change of a tree, as `set` and `unset` make it, whatever the format: what the result must
//! be. How it is made in a text is [`crate::format::FileFormat::amend`]'s business.

use std::ops::Range;

use crate::span::{MAX_SOURCE, SourceTooLong, Span};
use crate::tree::path::Component;
use crate::tree::{Key, KeyType, Node, NodeId, NodeKind, Site, TextRef, Tree};

/// A change of one place. `value` is a tree of its own, whose root is the value; its numbers are
/// spelled in its source, if they have a place there.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'v> {
    /// Another value for a map entry or list member. Its key stays.
    Replace {
        /// The old value.
        id: NodeId,
        /// The new one.
        value: &'v Tree,
    },
    /// A new entry at the end of a map, or member at the end of a list.
    Append {
        /// The map or list.
        container: NodeId,
        /// The key, in a map.
        key: Option<&'v str>,
        /// The value.
        value: &'v Tree,
    },
    /// No entry or member any more. The comments around it stay in the tree.
    Remove {
        /// The value.
        id: NodeId,
    },
}

impl Operation<'_> {
    /// Returns the tree that the operation makes of `tree`.
    ///
    /// # Errors
    /// If it would hold more text than a tree can.
    pub fn apply(&self, tree: &Tree) -> Result<Tree, SourceTooLong> {
        match *self {
            Operation::Replace { id, value } => {
                let key = tree.node(id).key;
                let mut result =
                    graft(tree, span(tree, id), id.index(), Some((value, |_: &mut Tree| key)))?;
                let (old, new) = (tree.node(id), &mut result.nodes[id.index()]);
                if !old.kind.is_container() && !new.kind.is_container() {
                    // A scalar stands where the old one did.
                    *new = Node { span: old.span, site: old.site, ..*new };
                }
                Ok(result)
            }
            Operation::Append { container, key, value } => {
                let end = tree.node(container).end();
                let key = |tree: &mut Tree| key.map(|key| text_key(tree, key));
                graft(tree, end..end, container.index() + 1, Some((value, key)))
            }
            Operation::Remove { id } => {
                graft(tree, span(tree, id), id.index(), None::<(&Tree, fn(&mut Tree) -> _)>)
            }
        }
    }
}

fn span(tree: &Tree, id: NodeId) -> Range<usize> {
    id.index()..tree.node(id).end()
}

/// Returns `value` inside the maps and lists that lead to it: each step is a container of which
/// what follows is the only member.
///
/// # Errors
/// If it would hold more text than a tree can.
pub fn nested(steps: &[Component], value: &Tree) -> Result<Tree, SourceTooLong> {
    let mut tree = value.without_nodes();
    let keys = steps.iter().map(|step| if let Component::Key(key) = step { key.len() } else { 0 });
    if tree.pool.len() + keys.sum::<usize>() > MAX_SOURCE {
        return Err(SourceTooLong);
    }
    let mut nodes = Vec::with_capacity(steps.len() + value.nodes.len());
    let end = (steps.len() + value.nodes.len()) as u32;
    let mut key = None;
    for step in steps {
        let (kind, next) = match step {
            Component::Key(key) => (NodeKind::Map, Some(text_key(&mut tree, key))),
            Component::Index(_) => (NodeKind::List, None),
        };
        nodes.push(Node { key, kind, span: None, site: Site::default(), end });
        key = next;
    }
    for (number, node) in value.nodes.iter().enumerate() {
        let key = if number == 0 { key } else { node.key };
        let end = node.end + steps.len() as u32;
        nodes.push(Node { key, end, site: Site::default(), ..*node });
    }
    tree.nodes = nodes;
    Ok(tree)
}

fn text_key(tree: &mut Tree, key: &str) -> Key {
    Key { text: tree.intern(key.as_bytes()), kind: KeyType::Text, span: None }
}

/// Returns `tree` with the nodes of `new`, or none, in place of those in `range`. The nodes before
/// `within` that reach beyond it are the containers of the place.
fn graft(
    tree: &Tree,
    range: Range<usize>,
    within: usize,
    new: Option<(&Tree, impl FnOnce(&mut Tree) -> Option<Key>)>,
) -> Result<Tree, SourceTooLong> {
    let mut result = tree.without_nodes();
    let count = new.as_ref().map_or(0, |(value, _)| value.nodes.len());
    let moved = |end: u32| (end as usize - range.len() + count) as u32;
    let mut nodes = Vec::with_capacity(tree.nodes.len() - range.len() + count);
    for node in &tree.nodes[..within] {
        let end =
            if node.end as usize >= within.max(range.end) { moved(node.end) } else { node.end };
        nodes.push(Node { end, ..*node });
    }
    nodes.extend_from_slice(&tree.nodes[within..range.start]);
    if let Some((value, key)) = new {
        let before = nodes.len() as u32;
        let key = key(&mut result);
        // The text of the value moves into the pool as it is, so that its places only shift.
        let shift = result.pool.len();
        if shift + value.source.len() + value.pool.len() > MAX_SOURCE {
            return Err(SourceTooLong);
        }
        result.pool.extend_from_slice(&value.source);
        result.pool.extend_from_slice(&value.pool);
        let text = |text: TextRef| {
            let (span, shift) = match text {
                TextRef::Source(span) => (span, shift),
                TextRef::Pool(span) => (span, shift + value.source.len()),
            };
            TextRef::Pool(Span::new(span.start as usize + shift, span.end as usize + shift))
        };
        for (number, node) in value.nodes.iter().enumerate() {
            let own_key = node.key.map(|key| Key { text: text(key.text), span: None, ..key });
            let kind = match node.kind {
                NodeKind::Text(value) => NodeKind::Text(text(value)),
                NodeKind::Comment { text: value, inline } => {
                    NodeKind::Comment { text: text(value), inline }
                }
                kind => kind,
            };
            nodes.push(Node {
                key: if number == 0 { key } else { own_key },
                kind,
                span: None,
                site: Site::default(),
                end: node.end + before,
            });
        }
    }
    for node in &tree.nodes[range.end..] {
        nodes.push(Node { end: moved(node.end), ..*node });
    }
    result.nodes = nodes;
    Ok(result)
}
