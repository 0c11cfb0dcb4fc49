//! Yaml (in work).

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError,
};
use crate::secret::SecretBytes;
use crate::span::MAX_SOURCE;
use crate::tree::Tree;

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

/// The longest text. Escapes make a text half as long again at most, and base64 is decoded beside
/// that: all of it fits into a tree's pool.
const MAX_TEXT: usize = MAX_SOURCE / 3;

/// Yaml.
#[derive(Debug)]
pub struct Yaml;

impl FileFormat for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }
    fn endings(&self) -> &'static [&'static str] {
        &[".yaml", ".yml"]
    }
    fn sniff(&self, _text: &[u8]) -> bool {
        false
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
        build::build(source, &stream)
    }
    fn splice(&self, _tree: &Tree, _changes: &[Change]) -> Result<Edits, EmitError> {
        todo!()
    }
    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Nested
    }
    fn detach(&self, _tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        todo!()
    }
    fn attach(&self, _tree: &Tree, _block: &Block<'_>) -> Result<Edits, EmitError> {
        todo!()
    }
    fn emit(&self, _tree: &Tree, _layout: &Layout) -> Result<SecretBytes, EmitError> {
        todo!()
    }
    fn template(&self) -> &'static str {
        ""
    }
}
