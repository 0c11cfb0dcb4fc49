//! A text and its tree: what a file is, plain or encrypted.

mod change;

use std::fmt;

use crate::format::{FileFormat, SyntaxError};
use crate::secret::SecretBytes;
use crate::tree::Tree;

pub use change::{ChangeError, Changed};

/// A text of a format, parsed.
pub struct Document {
    tree: Tree,
    format: &'static dyn FileFormat,
}

impl Document {
    /// Parses a text.
    ///
    /// # Errors
    /// If the text is not of the format.
    pub fn parse(
        format: &'static dyn FileFormat,
        text: SecretBytes,
    ) -> Result<Document, SyntaxError> {
        Ok(Document { tree: format.parse(text)?, format })
    }

    /// Returns the text.
    pub fn text(&self) -> &[u8] {
        self.tree.source()
    }

    /// Returns the tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns the format.
    pub fn format(&self) -> &'static dyn FileFormat {
        self.format
    }

    /// Returns the tree alone.
    pub fn into_tree(self) -> Tree {
        self.tree
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {:?})", self.format.name(), self.tree)
    }
}
