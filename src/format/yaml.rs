//! Yaml (in work).

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError,
};
use crate::secret::SecretBytes;
use crate::tree::Tree;

mod block;
mod block_scalar;
mod emit;
mod properties;
mod resolve;
mod splice;
mod style;
#[cfg(test)]
mod testing;
mod text;

/// What a new file starts with.
const TEMPLATE: &str = "\
# All values of this file are encrypted, and comments like this one too;
# keys are not. Replace what is here by your own.
database:
    user: app
    password: change me
ports:
    - 5432
";

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
    fn sniff(&self, text: &[u8]) -> bool {
        block::sniff(text)
    }
    fn parse(&self, _source: SecretBytes) -> Result<Tree, SyntaxError> {
        todo!()
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
    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        emit::emit(tree, layout)
    }
    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        block::layout_of(tree, asked)
    }
    fn template(&self) -> &'static str {
        TEMPLATE
    }
}
