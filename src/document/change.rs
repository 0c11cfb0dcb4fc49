//! Setting and removing one value of a document, as SOPS' `set` and `unset` do it.
//!
//! The format edits the text. What it made is parsed and compared with what was meant; where it is
//! something else, or the format knows no way, the changed tree is written as new text, and that is
//! compared too.

use crate::document::Document;
use crate::format::{EmitError, Layout};
use crate::secret::SecretBytes;
use crate::span::SourceTooLong;
use crate::tree::operation::{Operation, nested};
use crate::tree::path::{Component, TreePath, TreePathError};
use crate::tree::{NodeId, NodeKind, Step, TextRef, Tree};

/// A document with a change.
#[derive(Debug)]
pub struct Changed {
    /// The document as it is now.
    pub document: Document,
    /// Where the value stands that was set; the path that was removed.
    pub path: TreePath,
    /// Whether the rest of the text is as it was; else all of it was written anew.
    pub in_place: bool,
}

impl Document {
    /// Sets the value at `path` in the first document, as SOPS does: what is missing on the way is
    /// made, a scalar on the way is replaced, and an index behind the end of a list appends to it.
    ///
    /// # Errors
    /// If the path leads nowhere, or the format cannot hold the result.
    pub fn set(&self, path: &TreePath, value: &Tree) -> Result<Changed, ChangeError> {
        let as_text;
        let value = if self.format.is_typed() {
            value
        } else {
            as_text = as_texts(value)?;
            &as_text
        };
        if path.components().len() + depth_of(value) > MAX_DEPTH {
            return Err(ChangeError::TooDeep);
        }
        let Place { node, depth } = self.place(path)?;
        let steps = &path.components()[depth..];
        let mut actual = path.components().to_vec();
        // What is made on the way has one member.
        for component in actual.iter_mut().skip(depth) {
            if let Component::Index(index) = component {
                *index = 0;
            }
        }
        let key = match (steps.first(), self.tree.node(node).kind) {
            (Some(Component::Key(key)), NodeKind::Map) => Some(Some(key.as_str())),
            (Some(Component::Index(_)), NodeKind::List) => {
                actual[depth] = Component::Index(self.members(node).count());
                Some(None)
            }
            (Some(Component::Key(key)), NodeKind::List) => {
                return Err(TreePathError::NotAMap { component: format!("['{key}']") }.into());
            }
            (Some(&Component::Index(index)), NodeKind::Map) => {
                return Err(TreePathError::NotAList { index }.into());
            }
            _ => None,
        };
        let path = TreePath::new(actual);
        if let Some(key) = key {
            let value = nested(&steps[1..], value)?;
            return self.changed(&Operation::Append { container: node, key, value: &value }, path);
        }
        let value = nested(steps, value)?;
        self.changed(&Operation::Replace { id: node, value: &value }, path)
    }

    /// Removes the entry or list member at `path` from the first document.
    ///
    /// # Errors
    /// If there is none, or the format cannot hold the result.
    pub fn unset(&self, path: &TreePath) -> Result<Changed, ChangeError> {
        if path.is_root() {
            return Err(TreePathError::Root.into());
        }
        let root = self.tree.documents().next().ok_or(ChangeError::NoDocument)?;
        let id = path.find(&self.tree, root)?;
        self.changed(&Operation::Remove { id }, path.clone())
    }

    /// Follows a path as far as it leads.
    fn place(&self, path: &TreePath) -> Result<Place, ChangeError> {
        if path.is_root() {
            return Err(TreePathError::Root.into());
        }
        let mut node = self.tree.documents().next().ok_or(ChangeError::NoDocument)?;
        for (depth, component) in path.components().iter().enumerate() {
            let next = match (component, self.tree.node(node).kind) {
                (Component::Key(key), NodeKind::Map) => self.tree.entry(node, key.as_bytes()),
                (&Component::Index(index), NodeKind::List) => self.members(node).nth(index),
                _ => None,
            };
            let Some(next) = next else { return Ok(Place { node, depth }) };
            node = next;
        }
        Ok(Place { node, depth: path.components().len() })
    }

    fn members(&self, container: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.tree.children(container).filter(|&id| !self.tree.node(id).kind.is_comment())
    }

    fn changed(&self, operation: &Operation<'_>, path: TreePath) -> Result<Changed, ChangeError> {
        let meant = operation.apply(&self.tree)?;
        // A value alone has no path of its own.
        let named = |error: EmitError| EmitError {
            path: error.path.filter(|path| !path.is_empty()),
            message: error.message,
        };
        let edits = self.format.amend(&self.tree, operation).map_err(named)?;
        let text = edits.and_then(|edits| edits.try_apply(self.text()));
        if let Some(document) = text.and_then(|text| self.reads_as(text, &meant)) {
            return Ok(Changed { document, path, in_place: true });
        }
        let layout = self.format.layout_of(&self.tree, &Layout::default());
        let text = self.format.emit(&meant, &layout)?;
        let document = self.reads_as(text, &meant).ok_or(ChangeError::Unstable)?;
        Ok(Changed { document, path, in_place: false })
    }

    /// Parses a text, if it has the values of `meant`.
    fn reads_as(&self, text: SecretBytes, meant: &Tree) -> Option<Document> {
        let document = Document::parse(self.format, text).ok()?;
        let same = document.tree.has_same_values(meant)
            || (!self.format.keeps_order() && document.tree.has_same_entries(meant));
        same.then_some(document)
    }
}

/// How deep a value can be set, in levels of its path and its own: a text may be indented by all.
const MAX_DEPTH: usize = 1000;

/// Returns how deep a value is nested.
fn depth_of(value: &Tree) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for step in value.walk(None) {
        match step {
            Step::Enter(_) => depth += 1,
            Step::Leave(_) => depth -= 1,
            Step::Leaf(_) => {}
        }
        most = most.max(depth);
    }
    most
}

/// How far a path leads.
struct Place {
    node: NodeId,
    /// The number of steps to there.
    depth: usize,
}

/// Returns a value with texts for all its scalars, each as it is spelled.
fn as_texts(value: &Tree) -> Result<Tree, SourceTooLong> {
    let mut tree = nested(&[], value)?;
    for index in 0..value.nodes().len() {
        let Some(id) = value.id_at(index) else { break };
        let node = value.node(id);
        let is_typed = !matches!(
            node.kind,
            NodeKind::Map | NodeKind::List | NodeKind::Text(_) | NodeKind::Null
        );
        if let Some(span) = node.span.filter(|_| is_typed) {
            tree.set(id, NodeKind::Text(TextRef::Source(span)));
        }
    }
    Ok(tree)
}

/// Why a document could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The path leads nowhere.
    #[error(transparent)]
    Path(#[from] TreePathError),
    /// The format cannot hold the result.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// There is no document.
    #[error("there is no document")]
    NoDocument,
    /// The value would be nested too deep.
    #[error("the value would be nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The result is too long.
    #[error(transparent)]
    TooLong(#[from] SourceTooLong),
    /// The changed text would not read back as it should.
    #[error("the changed text would not read back as it should")]
    Unstable,
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
