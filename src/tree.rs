//! The typed tree of a document: maps, lists, scalars and comments, in SOPS' order.
//!
//! A [`Tree`] owns its source text and keeps its nodes in one vector in *pre-order*: a container
//! is followed by everything inside it, and [`Node::end`] says where that stops. There is no
//! recursion anywhere, so neither the depth nor the size of a document can exhaust the stack, and
//! a walk is one pass over a vector. The order is SOPS' tree order, which is not always the order
//! of the text: an INI comment stands behind its key, a YAML comment after `}` stands before what
//! is inside. Whatever edits the text sorts by span.
//!
//! The tree knows no syntax (that is [`crate::format`]) and no cryptography.

mod build;
mod compare;
mod copies;
pub mod hashed;
pub mod operation;
pub mod path;

use std::fmt;
use std::sync::Arc;

use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::path::{Component, TreePath};

pub use build::TreeBuilder;

/// A date and time with an offset, as YAML and SOPS' `type:time` have them.
pub type Timestamp = time::OffsetDateTime;

/// The address of a node in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Returns the position in pre-order, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A text that stands in the source as it is, or in the tree's pool when it had to be unescaped,
/// decrypted or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRef {
    /// A range of the source text.
    Source(Span),
    /// A range of the tree's pool.
    Pool(Span),
}

/// The key of a map entry.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key's text, unescaped.
    pub text: TextRef,
    /// What type the key has; everything but [`KeyType::Text`] is refused before encryption.
    pub kind: KeyType,
    /// The bytes of the key in the source with its quotes; `None` in a copy made for an alias.
    pub span: Option<Span>,
}

/// The type of a map key. SOPS encrypts under text keys only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// A string.
    Text,
    /// An integer (YAML).
    Integer,
    /// A floating-point number (YAML).
    Float,
    /// A boolean (YAML).
    Boolean,
    /// A null (YAML).
    Null,
    /// A timestamp (YAML).
    Time,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeKind {
    /// An ordered list of entries; duplicate keys are possible.
    Map,
    /// A list.
    List,
    /// A string of bytes, normally UTF-8.
    Text(TextRef),
    /// A 64-bit integer.
    Integer(i64),
    /// An integer above `i64::MAX`, which SOPS cannot encrypt.
    Unsigned(u64),
    /// A 64-bit floating-point number.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A point in time.
    Time(Timestamp),
    /// Nothing. Never encrypted.
    Null,
    /// A comment, at its place in the order of its container.
    Comment {
        /// What stands after the marker, nothing trimmed.
        text: TextRef,
        /// Whether it stands behind a value on the same line.
        inline: bool,
    },
}

impl NodeKind {
    /// Returns whether the node holds others.
    pub fn is_container(self) -> bool {
        matches!(self, NodeKind::Map | NodeKind::List)
    }

    /// Returns whether the node is a comment.
    pub fn is_comment(self) -> bool {
        matches!(self, NodeKind::Comment { .. })
    }
}

/// How a value is spelled in the source, as far as replacing it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// The format's one way, or text without quotes.
    #[default]
    Plain,
    /// `'...'`.
    SingleQuoted,
    /// `"..."`.
    DoubleQuoted,
    /// A YAML block scalar that keeps its line breaks (`|`).
    Literal,
    /// A YAML block scalar that folds its line breaks (`>`).
    Folded,
    /// A YAML alias (`*name`); the node is a copy of what the anchor holds.
    Alias,
    /// `` `...` `` (INI).
    BackQuoted,
    /// `"""..."""` (INI, TOML).
    TripleQuoted,
    /// `'''...'''` (TOML).
    TripleSingleQuoted,
    /// A block collection (YAML), a table with a header or an array of those (TOML); the only style
    /// of a collection elsewhere.
    Block,
    /// A flow collection (YAML), an array or inline table (TOML): `[...]`, `{...}`.
    Flow,
}

/// The surroundings of a value in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// How the value is spelled.
    pub style: Style,
    /// Whether it stands inside a flow collection (YAML), or is a comment with no line of its own
    /// (INI).
    pub flow: bool,
    /// The column, from 0, of the block collection that holds the value (YAML), or of the value's
    /// line (other formats).
    pub indent: u32,
    /// The tag and anchor in front of the value, where there are any (YAML). Of a comment above a
    /// key or section: the part of it that stands behind that (INI).
    pub properties: Option<Span>,
}

/// One node of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The key, if the node is the value of a map entry.
    pub key: Option<Key>,
    /// What the node is.
    pub kind: NodeKind,
    /// The bytes of the value in the source: with quotes, without tag or anchor; a comment's with
    /// its marker. `None` for what has no place of its own: a copy made for an alias.
    pub span: Option<Span>,
    /// How it is spelled.
    pub site: Site,
    end: u32,
}

impl Node {
    /// Returns the position after the node's last descendant.
    pub fn end(&self) -> usize {
        self.end as usize
    }
}

/// A value as it is read from a tree.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'t> {
    /// A string of bytes.
    Text(&'t [u8]),
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit floating-point number.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A point in time.
    Time(Timestamp),
}

impl fmt::Debug for Value<'_> {
    /// Shows the type, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Text(_) => "Text",
            Value::Integer(_) => "Integer",
            Value::Float(_) => "Float",
            Value::Boolean(_) => "Boolean",
            Value::Time(_) => "Time",
        })
    }
}

/// A step of a walk over a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The walk enters a map or list; its members follow.
    Enter(NodeId),
    /// A scalar, null or comment.
    Leaf(NodeId),
    /// The walk has left the map or list.
    Leave(NodeId),
}

/// A comment that SOPS' reader drops: not part of the tree, but it may hold a secret, so that
/// encfile encrypts it all the same.
#[derive(Clone, Copy, Debug)]
pub struct StrayComment {
    /// What stands after the marker.
    pub text: TextRef,
    /// The comment with its marker.
    pub span: Span,
}

/// A document, or a stream of documents, as a tree over its source text.
#[derive(Default)]
pub struct Tree {
    source: Arc<SecretBytes>,
    pool: SecretBytes,
    nodes: Vec<Node>,
    strays: Vec<StrayComment>,
}

impl Tree {
    /// Returns the text that the tree was read from.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Returns the text that the tree was read from, alone.
    pub fn into_source(self) -> SecretBytes {
        // Nobody else holds it once the tree is built, so that this copies nothing.
        Arc::try_unwrap(self.source).unwrap_or_else(|shared| SecretBytes::from(&**shared))
    }

    /// Returns all nodes, in pre-order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node at `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Returns the address of the node at `index` in pre-order.
    pub fn id_at(&self, index: usize) -> Option<NodeId> {
        (index < self.nodes.len()).then_some(NodeId(index as u32))
    }

    /// Returns the bytes of `text`.
    pub fn text(&self, text: TextRef) -> &[u8] {
        match text {
            TextRef::Source(span) => &self.source[span.range()],
            TextRef::Pool(span) => &self.pool[span.range()],
        }
    }

    /// Returns the key of a node as bytes, if it is the value of a map entry.
    pub fn key(&self, id: NodeId) -> Option<&[u8]> {
        self.node(id).key.map(|key| self.text(key.text))
    }

    /// Returns the value of a scalar; `None` for null, containers, comments and integers that
    /// SOPS has no type for.
    pub fn value(&self, id: NodeId) -> Option<Value<'_>> {
        Some(match self.node(id).kind {
            NodeKind::Text(text) => Value::Text(self.text(text)),
            NodeKind::Integer(number) => Value::Integer(number),
            NodeKind::Float(number) => Value::Float(number),
            NodeKind::Boolean(flag) => Value::Boolean(flag),
            NodeKind::Time(time) => Value::Time(time),
            NodeKind::Unsigned(_)
            | NodeKind::Null
            | NodeKind::Map
            | NodeKind::List
            | NodeKind::Comment { .. } => return None,
        })
    }

    /// Returns the text of a comment.
    pub fn comment(&self, id: NodeId) -> Option<&[u8]> {
        match self.node(id).kind {
            NodeKind::Comment { text, .. } => Some(self.text(text)),
            _ => None,
        }
    }

    /// Returns the comments that are not in the tree, in the order of the text.
    pub fn strays(&self) -> &[StrayComment] {
        &self.strays
    }

    /// Returns the root of each document.
    pub fn documents(&self) -> Siblings<'_> {
        Siblings { tree: self, next: 0, end: self.nodes.len() }
    }

    /// Returns the members of a container: comments and values in their order.
    pub fn children(&self, id: NodeId) -> Siblings<'_> {
        Siblings { tree: self, next: id.index() + 1, end: self.node(id).end() }
    }

    /// Returns the value of the first entry of map `id` with that key.
    pub fn entry(&self, id: NodeId, key: &[u8]) -> Option<NodeId> {
        self.children(id).find(|&child| self.key(child) == Some(key))
    }

    /// Walks all documents, or the part below `root` with `root` itself.
    pub fn walk(&self, root: Option<NodeId>) -> Walk<'_> {
        let (next, end) = match root {
            Some(id) => (id.index(), self.node(id).end()),
            None => (0, self.nodes.len()),
        };
        Walk { nodes: &self.nodes, next, end, open: Vec::new() }
    }

    /// Adds `bytes` to the pool.
    pub fn intern(&mut self, bytes: &[u8]) -> TextRef {
        let start = self.pool.len();
        self.pool.extend_from_slice(bytes);
        TextRef::Pool(Span::new(start, self.pool.len()))
    }

    /// Makes room in the pool, so that interning `bytes` more bytes moves nothing.
    pub fn reserve(&mut self, bytes: usize) {
        self.pool.reserve(bytes);
    }

    /// Returns the length of the pool in bytes.
    pub fn pool_len(&self) -> usize {
        self.pool.len()
    }

    /// Cuts the pool off, so that its memory is free again. Nothing may refer to what goes.
    pub fn truncate_pool(&mut self, length: usize) {
        let kept = SecretBytes::from(&self.pool[..length]);
        self.pool = kept;
    }

    /// Replaces the value of a scalar or comment; key, span and site stay.
    ///
    /// # Panics
    /// If the old or the new kind is a container.
    pub fn set(&mut self, id: NodeId, kind: NodeKind) {
        let node = &mut self.nodes[id.index()];
        assert!(!node.kind.is_container() && !kind.is_container(), "only leaves are replaced");
        node.kind = kind;
    }

    /// Returns the tree without some nodes and everything inside them; `removed` is in order. The
    /// source stays whole.
    pub fn without(mut self, removed: &[NodeId]) -> Tree {
        if removed.is_empty() {
            return self;
        }
        // `gone[i]` is the number of nodes before `i` that go.
        let mut gone = vec![0u32; self.nodes.len() + 1];
        let mut keep = vec![true; self.nodes.len()];
        for &id in removed {
            keep[id.index()..self.node(id).end()].fill(false);
        }
        for (index, &kept) in keep.iter().enumerate() {
            gone[index + 1] = gone[index] + u32::from(!kept);
        }
        for node in &mut self.nodes {
            node.end -= gone[node.end as usize];
        }
        let mut kept = keep.into_iter();
        self.nodes.retain(|_| kept.next().unwrap_or(true));
        self
    }

    /// Returns a tree with the same texts and without any node.
    fn without_nodes(&self) -> Tree {
        Tree {
            source: Arc::clone(&self.source),
            pool: SecretBytes::from(&*self.pool),
            nodes: Vec::new(),
            strays: self.strays.clone(),
        }
    }

    /// Returns the part of the tree at `id` as a tree of its own, over the whole source.
    pub fn into_subtree(mut self, id: NodeId) -> Tree {
        let (start, end) = (id.index(), self.node(id).end());
        self.nodes.truncate(end);
        self.nodes.drain(..start);
        for node in &mut self.nodes {
            node.end -= start as u32;
        }
        if let Some(root) = self.nodes.first_mut() {
            root.key = None;
        }
        self
    }

    /// Returns a description of where `id` stands, as SOPS' `--extract` takes it:
    /// `["a"][0]["b"]`. It holds keys, never values.
    pub fn path(&self, id: NodeId) -> String {
        self.tree_path(id).to_string()
    }

    /// Returns where `id` stands in its document.
    pub fn tree_path(&self, id: NodeId) -> TreePath {
        let mut path = Vec::new();
        let mut level = None;
        // Going down from the root: at each level the one member that holds the node.
        let mut siblings = self.documents();
        loop {
            let mut position = 0;
            let Some(member) = siblings.find(|&member| {
                let holds = self.node(member).end() > id.index();
                position += usize::from(!holds && !self.node(member).kind.is_comment());
                holds
            }) else {
                return TreePath::new(path);
            };
            match (self.key(member), level) {
                (Some(key), _) => {
                    path.push(Component::Key(String::from_utf8_lossy(key).into_owned()));
                }
                (None, Some(NodeKind::List)) => path.push(Component::Index(position)),
                (None, _) => {}
            }
            if member == id {
                return TreePath::new(path);
            }
            level = Some(self.node(member).kind);
            siblings = self.children(member);
        }
    }
}

impl fmt::Debug for Tree {
    /// Shows sizes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({} nodes over {} bytes)", self.nodes.len(), self.source.len())
    }
}

/// The nodes of one level, as [`Tree::children`] and [`Tree::documents`] give them.
#[derive(Clone, Debug)]
pub struct Siblings<'t> {
    tree: &'t Tree,
    next: usize,
    end: usize,
}

impl Iterator for Siblings<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        if self.next >= self.end {
            return None;
        }
        let id = NodeId(self.next as u32);
        self.next = self.tree.nodes[self.next].end();
        Some(id)
    }
}

/// The walk that [`Tree::walk`] starts.
#[derive(Clone, Debug)]
pub struct Walk<'t> {
    nodes: &'t [Node],
    next: usize,
    end: usize,
    open: Vec<NodeId>,
}

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(&container) = self.open.last()
            && self.nodes[container.index()].end() == self.next
        {
            self.open.pop();
            return Some(Step::Leave(container));
        }
        if self.next >= self.end {
            return None;
        }
        let id = NodeId(self.next as u32);
        self.next += 1;
        if self.nodes[id.index()].kind.is_container() {
            self.open.push(id);
            Some(Step::Enter(id))
        } else {
            Some(Step::Leaf(id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        // a: {b: x, c: [y, #z, null]}
        let mut builder = TreeBuilder::new(SecretBytes::new()).unwrap();
        let key = |builder: &mut TreeBuilder, text: &str| {
            Some(Key { text: builder.intern(text.as_bytes()), kind: KeyType::Text, span: None })
        };
        let site = Site::default();
        builder.open(None, NodeKind::Map, None, site);
        let a = key(&mut builder, "a");
        builder.open(a, NodeKind::Map, None, site);
        let b = key(&mut builder, "b");
        let x = builder.intern(b"x");
        builder.leaf(b, NodeKind::Text(x), None, site);
        let c = key(&mut builder, "c");
        builder.open(c, NodeKind::List, None, site);
        let y = builder.intern(b"y");
        builder.leaf(None, NodeKind::Text(y), None, site);
        let z = builder.intern(b"z");
        builder.leaf(None, NodeKind::Comment { text: z, inline: false }, None, site);
        builder.leaf(None, NodeKind::Null, None, site);
        builder.finish()
    }

    #[test]
    fn nodes_are_small() {
        assert_eq!(size_of::<Node>(), 88);
    }

    #[test]
    fn walk_enters_and_leaves_in_order() {
        let tree = sample();
        let steps: String = tree
            .walk(None)
            .map(|step| match step {
                Step::Enter(_) => '(',
                Step::Leaf(_) => '.',
                Step::Leave(_) => ')',
            })
            .collect();
        assert_eq!(steps, "((.(...)))");
    }

    #[test]
    fn path_counts_list_members_without_comments() {
        let tree = sample();
        let paths: Vec<String> = tree
            .walk(None)
            .filter_map(|step| match step {
                Step::Leaf(id) => Some(tree.path(id)),
                _ => None,
            })
            .collect();
        assert_eq!(
            paths,
            ["[\"a\"][\"b\"]", "[\"a\"][\"c\"][0]", "[\"a\"][\"c\"][1]", "[\"a\"][\"c\"][1]"]
        );
    }

    #[test]
    fn debug_shows_no_values() {
        let tree = sample();
        assert_eq!(format!("{tree:?}"), "Tree(7 nodes over 0 bytes)");
        let value = tree.value(NodeId(2)).unwrap();
        assert_eq!(format!("{value:?}"), "Text");
    }
}
