//! Yaml (in work).

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError,
};
use crate::secret::SecretBytes;
use crate::tree::Tree;

mod emit;
mod resolve;
mod style;
#[cfg(test)]
mod testing;

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
    fn parse(&self, _source: SecretBytes) -> Result<Tree, SyntaxError> {
        todo!()
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
    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        emit::emit(tree, layout)
    }
    fn template(&self) -> &'static str {
        ""
    }
}
