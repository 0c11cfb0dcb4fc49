//! Making a tree, node by node.

use std::sync::Arc;

use crate::secret::SecretBytes;
use crate::span::{MAX_SOURCE, SourceTooLong, Span};
use crate::tree::{Key, Node, NodeId, NodeKind, Site, StrayComment, TextRef, Tree};

/// Makes a [`Tree`] from its nodes in SOPS' order.
pub struct TreeBuilder {
    tree: Tree,
    open: Vec<NodeId>,
}

impl TreeBuilder {
    /// Starts a tree over `source`.
    ///
    /// # Errors
    /// If the source is longer than [`MAX_SOURCE`].
    pub fn new(source: SecretBytes) -> Result<TreeBuilder, SourceTooLong> {
        TreeBuilder::with_pool(source, SecretBytes::new())
    }

    /// Starts a tree over `source`, with texts in its pool already.
    ///
    /// # Errors
    /// If the source is longer than [`MAX_SOURCE`].
    pub fn with_pool(source: SecretBytes, pool: SecretBytes) -> Result<TreeBuilder, SourceTooLong> {
        if source.len() > MAX_SOURCE {
            return Err(SourceTooLong);
        }
        Ok(TreeBuilder {
            tree: Tree { source: Arc::new(source), pool, ..Tree::default() },
            open: Vec::new(),
        })
    }

    /// Returns the source text.
    pub fn source(&self) -> &[u8] {
        &self.tree.source
    }

    /// Returns the source text for reading while nodes are added.
    pub fn shared_source(&self) -> Arc<SecretBytes> {
        Arc::clone(&self.tree.source)
    }

    /// Returns the number of containers that are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Returns the number of nodes so far.
    pub fn len(&self) -> usize {
        self.tree.nodes.len()
    }

    /// Returns whether there are no nodes yet.
    pub fn is_empty(&self) -> bool {
        self.tree.nodes.is_empty()
    }

    /// Adds text that does not stand in the source as it is.
    pub fn intern(&mut self, bytes: &[u8]) -> TextRef {
        self.tree.intern(bytes)
    }

    /// Returns the bytes of a text.
    pub fn text(&self, text: TextRef) -> &[u8] {
        self.tree.text(text)
    }

    /// Opens a map or list; everything until [`TreeBuilder::close`] is inside it.
    pub fn open(
        &mut self,
        key: Option<Key>,
        kind: NodeKind,
        span: Option<Span>,
        site: Site,
    ) -> NodeId {
        debug_assert!(kind.is_container());
        let id = self.push(key, kind, span, site);
        self.open.push(id);
        id
    }

    /// Closes the innermost container, whose text ends at the byte `end` (if that is known only
    /// now).
    ///
    /// # Panics
    /// If no container is open: every parser pairs the two.
    pub fn close(&mut self, end: Option<usize>) {
        let id = self.open.pop().expect("a container was opened before");
        let after = self.tree.nodes.len() as u32;
        let node = &mut self.tree.nodes[id.index()];
        node.end = after;
        if let (Some(span), Some(end)) = (&mut node.span, end) {
            span.end = end as u32;
        }
    }

    /// Adds a scalar, null or comment.
    pub fn leaf(
        &mut self,
        key: Option<Key>,
        kind: NodeKind,
        span: Option<Span>,
        site: Site,
    ) -> NodeId {
        debug_assert!(!kind.is_container());
        self.push(key, kind, span, site)
    }

    /// Notes a comment that SOPS drops.
    pub fn stray(&mut self, text: TextRef, span: Span) {
        self.tree.strays.push(StrayComment { text, span });
    }

    /// Returns the tree; containers that are still open end with it.
    pub fn finish(mut self) -> Tree {
        while !self.open.is_empty() {
            self.close(None);
        }
        self.tree
    }

    fn push(&mut self, key: Option<Key>, kind: NodeKind, span: Option<Span>, site: Site) -> NodeId {
        let index = self.tree.nodes.len() as u32;
        self.tree.nodes.push(Node { key, kind, span, site, end: index + 1 });
        NodeId(index)
    }
}
