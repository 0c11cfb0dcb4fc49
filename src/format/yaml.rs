//! YAML, as yaml.v3 and SOPS read and write it.
//!
//! Reading: `cursor` checks the characters, `scan` makes tokens, `parse` a stream of nodes,
//! `comments` finds the node of each comment, `resolve` the types of plain scalars, `build` the
//! tree. Writing: `splice` writes changed values over their own bytes, `block` moves the metadata
//! out and in, `emit` makes new text; `style` knows how texts are spelled. `laws` is what holds
//! between the two.

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    MovedComment, SyntaxError, repeated_key, repeated_keys,
};
use crate::secret::SecretBytes;
use crate::span::MAX_SOURCE;
use crate::tree::operation::Operation;
use crate::tree::{Node, NodeId, Tree};

mod build;
mod check;
mod comments;
mod cursor;
mod members;
mod parse;
mod raw;
mod resolve;
mod scan;
mod scan_comment;
mod scan_scalar;
mod scan_tag;
#[cfg(test)]
mod tests;
mod token;

// The writer.
mod amend;
mod append;
mod block;
mod block_scalar;
mod emit;
mod extent;
#[cfg(test)]
mod laws;
mod properties;
mod splice;
mod style;
#[cfg(test)]
pub(crate) mod testing;
mod text;

/// The longest text. Escapes make a text half as long again at most, and base64 is decoded beside
/// that: all of it fits into a tree's pool.
const MAX_TEXT: usize = MAX_SOURCE / 3;

/// YAML.
#[derive(Debug)]
pub struct Yaml;

impl FileFormat for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }
    fn endings(&self) -> &'static [&'static str] {
        &[".yaml", ".yml"]
    }
    fn sniff(&self, text: &[u8]) -> bool {
        block::sniff(text)
    }
    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        if source.len() > MAX_TEXT {
            return Err(SyntaxError {
                message: "a YAML text can be 1.3 GiB long at most".into(),
                position: None,
            });
        }
        let start = cursor::check(&source)?;
        let stream = parse::parse(&source, start)?;
        // SOPS, too, tells a file of comments, which it refuses, from an empty one.
        if stream.documents.is_empty() && !source.is_empty() {
            let message = "the file holds no document, only blanks and comments";
            return Err(SyntaxError::at(&source, source.len(), message));
        }
        check::check(&source, &stream)?;
        build::build(source, stream)
    }
    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        splice::splice(tree, changes)
    }
    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Nested
    }
    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        block::detach(tree)
    }
    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
        block::attach(tree, block)
    }
    fn hold_comments(&self, tree: &Tree, moved: &[MovedComment]) -> Edits {
        block::hold_comments(tree.source(), moved)
    }
    fn append(&self, tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError> {
        append::append(tree, map, key, value)
    }
    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        amend::amend(tree, operation)
    }
    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        emit::emit(tree, layout)
    }
    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        block::layout_of(tree, asked)
    }
    fn refusal(&self, tree: &Tree) -> Option<SyntaxError> {
        // Parsing has looked at the first document, but not behind the aliases that are keys.
        let source = tree.source();
        let is_alias = |node: &Node| {
            let span = node.key.and_then(|key| key.span);
            span.is_some_and(|span| source[span.range()].starts_with(b"*"))
        };
        if tree.documents().nth(1).is_none() && !tree.nodes().iter().any(is_alias) {
            return None;
        }
        repeated_keys(tree, 1).first().map(|&id| repeated_key(tree, id))
    }
    fn template(&self) -> &'static str {
        block::TEMPLATE
    }
}
