//! Trees whose nodes can be compared as wholes, each in one step.

use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};

use crate::tree::{NodeId, NodeKind, Tree, Value};

/// Two hashes with keys of their own: equal ones are taken for equal data.
pub type Hash128 = [u64; 2];

/// Hashes trees that are to be compared with one another.
#[derive(Debug)]
pub struct TreeHasher([RandomState; 2]);

/// A tree with a hash of the data below each node. Comments and the order of entries are no data.
pub struct Hashed<'t> {
    tree: &'t Tree,
    hashes: Vec<Hash128>,
}

impl TreeHasher {
    /// Makes a hasher, with keys that nobody can foresee.
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> TreeHasher {
        TreeHasher([RandomState::new(), RandomState::new()])
    }

    /// Hashes a tree.
    pub fn hash<'t>(&self, tree: &'t Tree) -> Hashed<'t> {
        let mut hashes = vec![[0; 2]; tree.nodes().len()];
        // In pre-order, what is in a container comes behind it.
        for index in (0..tree.nodes().len()).rev() {
            let Some(id) = tree.id_at(index) else { continue };
            hashes[index] = [0, 1].map(|at| hash(tree, id, &hashes, at, &self.0[at]));
        }
        Hashed { tree, hashes }
    }
}

impl std::fmt::Debug for Hashed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hashed({:?})", self.tree)
    }
}

impl<'t> Hashed<'t> {
    /// Returns the tree.
    pub fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// Returns the hash of a node with all that is in it, without its key.
    pub fn hash(&self, id: NodeId) -> Hash128 {
        self.hashes[id.index()]
    }

    /// Returns the members of a list, without comments.
    pub fn members(&self, list: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.tree.children(list).filter(|&id| !self.tree.node(id).kind.is_comment())
    }
}

fn hash(tree: &Tree, id: NodeId, below: &[Hash128], at: usize, state: &RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    let kind = tree.node(id).kind;
    std::mem::discriminant(&kind).hash(&mut hasher);
    match kind {
        // The order of entries is no data.
        NodeKind::Map => {
            let mut sum = 0_u64;
            for child in tree.children(id) {
                let Some(key) = tree.key(child) else { continue };
                let mut entry = state.build_hasher();
                key.hash(&mut entry);
                entry.write_u64(below[child.index()][at]);
                sum = sum.wrapping_add(entry.finish());
            }
            hasher.write_u64(sum);
        }
        NodeKind::List => {
            for child in tree.children(id).filter(|&id| !tree.node(id).kind.is_comment()) {
                hasher.write_u64(below[child.index()][at]);
            }
        }
        NodeKind::Comment { .. } => {}
        NodeKind::Unsigned(number) => number.hash(&mut hasher),
        _ => match tree.value(id) {
            Some(Value::Text(text)) => text.hash(&mut hasher),
            Some(Value::Integer(number)) => number.hash(&mut hasher),
            Some(Value::Float(number)) => number.to_bits().hash(&mut hasher),
            Some(Value::Boolean(yes)) => yes.hash(&mut hasher),
            Some(Value::Time(time)) => time.hash(&mut hasher),
            None => {}
        },
    }
    hasher.finish()
}
