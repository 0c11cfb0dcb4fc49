//! The one walk over leaves that encryption, decryption, the MAC and the checks share: SOPS' tree
//! order, with the additional data and the selection of each leaf.

use crate::crypt::canonical::ValueType;
use crate::crypt::value::{KeyPath, Sealed};
use crate::selector::{Selection, Selector};
use crate::tree::{NodeId, NodeKind, Tree, Value};

/// A walk that lets its user change the leaves that it has passed.
pub(super) struct Leaves<'s> {
    next: usize,
    open: Vec<NodeId>,
    path: KeyPath,
    selection: Selection<'s>,
    /// Whether the path ends with the key of the leaf itself.
    at_leaf: bool,
}

impl<'s> Leaves<'s> {
    /// Starts a walk over all documents.
    pub(super) fn new(selector: &'s Selector) -> Leaves<'s> {
        Leaves {
            next: 0,
            open: Vec::new(),
            path: KeyPath::new(),
            selection: Selection::new(selector),
            at_leaf: false,
        }
    }

    /// Starts a walk that selects every leaf, as in binary files.
    pub(super) fn selecting_all() -> Leaves<'static> {
        Leaves {
            next: 0,
            open: Vec::new(),
            path: KeyPath::new(),
            selection: Selection::everything(),
            at_leaf: false,
        }
    }

    /// Goes to the next leaf of `tree`, which is the same tree on every call.
    pub(super) fn next(&mut self, tree: &Tree) -> Option<NodeId> {
        self.step(tree, |_| {})
    }

    /// Goes to the next leaf, and tells `visit` of the containers that are entered on the way.
    pub(super) fn step(
        &mut self,
        tree: &Tree,
        mut visit: impl FnMut((NodeId, &[u8])),
    ) -> Option<NodeId> {
        if self.at_leaf {
            self.path.leave();
            self.at_leaf = false;
        }
        loop {
            while let Some(&container) = self.open.last()
                && tree.node(container).end() == self.next
            {
                self.open.pop();
                self.path.leave();
                self.selection.leave();
            }
            let id = tree.id_at(self.next)?;
            self.next += 1;
            if tree.node(id).kind.is_container() {
                self.path.enter(tree.key(id));
                self.selection.enter(tree.key(id));
                self.open.push(id);
                visit((id, self.path.as_bytes()));
            } else {
                if let Some(key) = tree.key(id) {
                    self.path.enter(Some(key));
                    self.at_leaf = true;
                }
                return Some(id);
            }
        }
    }

    /// Returns the additional data of the leaf.
    pub(super) fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    /// Returns whether the value `id`, which the walk is at, is selected. To be asked once.
    pub(super) fn selects_value(&mut self, tree: &Tree, id: NodeId) -> bool {
        self.selection.value(tree.key(id))
    }

    /// Returns whether the comment that the walk is at is selected. To be asked once.
    pub(super) fn selects_comment(&mut self, text: &[u8]) -> bool {
        self.selection.comment(text)
    }

    /// Returns whether the walk is directly inside a list.
    pub(super) fn in_list(&self, tree: &Tree) -> bool {
        self.open.last().is_some_and(|&id| tree.node(id).kind == NodeKind::List)
    }

    /// Returns whether the leaf is a comment: one of the text, or a list member that holds an
    /// encrypted one, as SOPS writes them.
    pub(super) fn is_comment(&self, tree: &Tree, id: NodeId) -> bool {
        match tree.node(id).kind {
            NodeKind::Comment { .. } => true,
            NodeKind::Text(text) => {
                self.in_list(tree)
                    && tree.text(text).starts_with(b"ENC[")
                    && Sealed::parse(tree.text(text))
                        .is_ok_and(|sealed| sealed.kind() == ValueType::Comment)
            }
            _ => false,
        }
    }
}

/// Returns whether a value is one that SOPS ever encrypts: not null and not empty.
pub(super) fn has_content(tree: &Tree, id: NodeId) -> bool {
    match tree.value(id) {
        Some(Value::Text(text)) => !text.is_empty(),
        Some(_) => true,
        None => false,
    }
}
