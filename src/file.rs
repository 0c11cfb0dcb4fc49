//! The product: an [`EncryptedFile`] becomes a [`DecryptedFile`] with its data key, and a plain
//! [`Document`] becomes an encrypted text by a [`Plan`].
//!
//! Both directions replace spans of the text and leave the rest alone. They walk the leaves in the
//! same way (`leaves`): the key path that is a value's additional data, and the selection rule.

mod encrypt;
mod inspect;
mod leaves;
mod open;
mod rekey;
mod reuse;
mod seal;
mod spelling;
mod verify;

use std::fmt;
use std::sync::Arc;

use crate::crypt::data_key::DataKey;
use crate::crypt::value::{ValueError, looks_sealed};
use crate::document::Document;
use crate::edits::Edits;
use crate::format::{
    Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, SyntaxError,
};
use crate::keys::{self, Credentials, MasterKey, UnwrapError};
use crate::metadata::{self, Metadata, MetadataError, PatchError};
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::span::{Position, Span};
use crate::tree::path::TreePath;
use crate::tree::{KeyType, NodeId, NodeKind, TextRef, Tree};

pub use encrypt::{Plan, encrypt};
pub use inspect::{InClear, LeafPlace, LeafPlaces, left_in_clear};
pub use reuse::Previous;

/// An encrypted file, read but not opened.
pub struct EncryptedFile {
    tree: Tree,
    format: &'static dyn FileFormat,
    metadata: Metadata,
    detached: Detached,
}

impl EncryptedFile {
    /// Reads the text of an encrypted file. `format` may be one whose encrypted form is another
    /// format, as binary.
    ///
    /// # Errors
    /// If the text is not of the format, or has no usable metadata.
    pub fn parse(
        format: &'static dyn FileFormat,
        text: SecretBytes,
    ) -> Result<EncryptedFile, FileError> {
        let container = format.container().unwrap_or(format);
        let tree = container.parse(text)?;
        let detached = container.detach(&tree)?.ok_or(FileError::NotEncrypted)?;
        let block = container.parse(SecretBytes::from(&*detached.block))?;
        let metadata = Metadata::read(&block, container.metadata_layout())?;
        let nodes = metadata::nodes(&tree, container.metadata_layout());
        Ok(EncryptedFile { tree: tree.without(&nodes), format, metadata, detached })
    }

    /// Returns the metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the format of the plain file.
    pub fn format(&self) -> &'static dyn FileFormat {
        self.format
    }

    /// Recovers the data key, trying in each group the kinds of `order` first.
    ///
    /// # Errors
    /// If too few groups could be recovered.
    pub fn data_key(&self, with: &Credentials, order: &[&str]) -> Result<DataKey, FileError> {
        let metadata = &self.metadata;
        Ok(keys::unwrap_any(&metadata.groups, metadata.shamir_threshold, order, with)?)
    }

    /// Takes keys that the user has named in place of the same ones that the file names, so that
    /// they are asked whatever they are.
    pub fn adopt(&mut self, named: &[Arc<dyn MasterKey>]) {
        keys::adopt(&mut self.metadata.groups, named);
    }

    /// Returns whether any value is encrypted; the metadata does not count.
    pub fn has_sealed_values(&self) -> bool {
        self.tree.nodes().iter().any(|node| match node.kind {
            NodeKind::Text(text) => looks_sealed(self.tree.text(text)),
            _ => false,
        })
    }

    /// Returns the tree of the encrypted text, without the metadata.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns what the file's rule covers and that stands in clear. It needs no key.
    pub fn in_clear(&self) -> InClear {
        self.in_clear_by(Some(&self.metadata.selector()))
    }

    /// Returns what another rule covers and that stands in clear; `None` covers everything.
    pub fn in_clear_by(&self, selector: Option<&Selector>) -> InClear {
        inspect::in_clear(&self.tree, selector, self.format, |id| {
            inspect::looks_sealed_at(&self.tree, id)
        })
    }

    /// Returns the values and comments that begin as a ciphertext does and are none.
    pub fn malformed(&self) -> LeafPlaces {
        inspect::malformed(&self.tree)
    }

    /// Decrypts the file and checks its MAC.
    ///
    /// # Errors
    /// If a value does not open, or the MAC is not right.
    pub fn decrypt(self, data_key: &DataKey) -> Result<DecryptedFile, FileError> {
        open::decrypt(self, data_key, true)
    }

    /// Decrypts the file whatever its MAC says: values that were exchanged, removed or added are
    /// not noticed.
    ///
    /// # Errors
    /// If a value does not open.
    pub fn decrypt_ignoring_mac(self, data_key: &DataKey) -> Result<DecryptedFile, FileError> {
        open::decrypt(self, data_key, false)
    }

    /// Decrypts the values that authenticate, whatever the MAC says, and leaves the others as they
    /// are. What comes out may be the work of anybody who can write the file: it is for the eyes of
    /// its owner, to repair it.
    ///
    /// # Errors
    /// None is known, besides those of the values' types.
    pub fn decrypt_what_authenticates(self, data_key: &DataKey) -> Result<Salvaged, FileError> {
        open::salvage(self, data_key)
    }

    /// Returns the text of the file with other metadata, which wraps the same data key. Everything
    /// but the block stays byte for byte. It needs no key.
    ///
    /// # Errors
    /// If the metadata cannot be written into the text.
    pub fn with_metadata(&self, metadata: &Metadata) -> Result<SecretBytes, FileError> {
        rekey::with_metadata(self, metadata)
    }
}

impl fmt::Debug for EncryptedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedFile({}, {:?})", self.format.name(), self.tree)
    }
}

/// What could be had of a damaged file.
#[derive(Debug)]
pub struct Salvaged {
    /// The file, with those values in clear that authenticate; the others stand as they were.
    pub file: DecryptedFile,
    /// The first values that look encrypted and do not authenticate.
    pub unreadable: Vec<UnreadableValue>,
    /// How many more there are.
    pub others: usize,
    /// Whether the MAC is right, for the values as they are now.
    pub mac: Result<(), FileError>,
}

/// A value that looks encrypted and does not authenticate.
#[derive(Debug)]
pub struct UnreadableValue {
    /// Where it is in its document.
    pub path: TreePath,
    /// Where it stands.
    pub position: Option<Position>,
    /// Why.
    pub error: ValueError,
}

impl DecryptedFile {
    /// Returns how many values and comments were decrypted.
    pub fn opened_count(&self) -> usize {
        self.opened.len()
    }
}

/// A file with its values in clear.
pub struct DecryptedFile {
    /// The tree of the encrypted text, with the values in place of the ciphertexts and without
    /// the metadata.
    tree: Tree,
    format: &'static dyn FileFormat,
    metadata: Metadata,
    detached: Detached,
    /// What was decrypted, in tree order.
    opened: Vec<OpenedLeaf>,
    strays: Vec<OpenedStray>,
    /// The spellings that go into the text.
    spellings: Option<spelling::Spellings>,
    unreadable: Vec<UnreadableComment>,
}

/// The additional data of comments of the whole document, and of those that SOPS does not see.
const ROOT_PATH: &[u8] = b":";

/// A comment outside the tree that was decrypted.
#[derive(Clone, Copy, Debug)]
struct OpenedStray {
    sealed: TextRef,
    plain: TextRef,
}

/// A leaf that was decrypted.
#[derive(Clone, Copy, Debug)]
struct OpenedLeaf {
    id: NodeId,
    /// The ciphertext.
    sealed: TextRef,
    /// Whether it may stand for the same value again.
    reusable: bool,
}

/// A comment that looks encrypted and did not open. It is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableComment {
    /// Where it stands; `None` if that is not known, or there are many.
    pub position: Option<Position>,
}

impl DecryptedFile {
    /// Returns the values.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns the values alone.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Returns the metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the format of the plain file.
    pub fn format(&self) -> &'static dyn FileFormat {
        self.format
    }

    /// Returns the values that were encrypted, in tree order.
    pub fn opened_values(&self) -> Vec<NodeId> {
        let ids = self.opened.iter().map(|leaf| leaf.id);
        ids.filter(|&id| !self.tree.node(id).kind.is_comment()).collect()
    }

    /// Returns the comments that look encrypted and did not open.
    pub fn unreadable_comments(&self) -> &[UnreadableComment] {
        &self.unreadable
    }

    /// Returns the plain text, in the file's own layout.
    ///
    /// # Errors
    /// If the format cannot hold a value.
    pub fn text(&self) -> Result<SecretBytes, EmitError> {
        let text = self.text_of_values()?;
        Ok(match &self.spellings {
            Some(spellings) => spellings.restore(text, self.format),
            None => text,
        })
    }

    /// Returns the plain text as type and value alone give it.
    fn text_of_values(&self) -> Result<SecretBytes, EmitError> {
        if self.format.container().is_some() {
            return self.format.emit(&self.tree, &Layout::default());
        }
        self.edits_of_values()?.try_apply(self.tree.source()).ok_or_else(shared_place)
    }

    /// Returns the edits of the encrypted text that give the plain one.
    fn edits_of_values(&self) -> Result<Edits, EmitError> {
        let changes: Vec<Change> =
            self.opened.iter().map(|leaf| Change { id: leaf.id, verbatim: None }).collect();
        let mut edits = self.format.splice(&self.tree, &changes)?;
        for stray in &self.strays {
            if let TextRef::Source(sealed) = stray.sealed {
                edits.replace(sealed, self.tree.text(stray.plain));
            }
        }
        edits.append(&self.detached.edits);
        Ok(edits)
    }

    /// Returns the values as new text of another format.
    ///
    /// # Errors
    /// If the format cannot hold them.
    pub fn emit(
        &self,
        format: &'static dyn FileFormat,
        layout: &Layout,
    ) -> Result<SecretBytes, EmitError> {
        format.emit(&self.tree, layout)
    }

    /// Returns what another rule covers and that the file has in clear.
    pub fn in_clear_by(&self, selector: &Selector) -> InClear {
        inspect::in_clear(&self.tree, Some(selector), self.format, |id| {
            self.opened.binary_search_by_key(&id, |leaf| leaf.id).is_ok()
        })
    }

    /// Returns what encrypting the changed text needs: the metadata, and what may be used again.
    ///
    /// # Errors
    /// If the plain text of the file does not parse, which would be an error of the format.
    pub fn into_previous(self) -> Result<(Metadata, Previous), FileError> {
        reuse::previous(self)
    }

    /// Returns the text of the file, sealed with another data key, which `metadata` wraps; the MAC
    /// is filled in. Only ciphertexts and metadata change.
    ///
    /// # Errors
    /// If what was written would not decrypt to the same text.
    pub fn reseal(self, metadata: Metadata, data_key: &DataKey) -> Result<SecretBytes, FileError> {
        rekey::reseal(self, metadata, data_key)
    }
}

impl fmt::Debug for DecryptedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptedFile({}, {:?})", self.format.name(), self.tree)
    }
}

/// Takes the metadata block out of a text whose values are in clear, as `edit` shows it on demand.
/// Returns the plain text, the metadata and the block.
///
/// # Errors
/// If there is no usable block.
pub fn split_metadata(
    format: &'static dyn FileFormat,
    text: SecretBytes,
) -> Result<(SecretBytes, Metadata, SecretBytes), FileError> {
    let tree = format.parse(text)?;
    let detached = format.detach(&tree)?.ok_or(FileError::NotEncrypted)?;
    let block = format.parse(SecretBytes::from(&*detached.block))?;
    let metadata = Metadata::read(&block, format.metadata_layout())?;
    Ok((detached.edits.apply(tree.source()), metadata, detached.block))
}

/// Returns what `selector` covers in a plain text, or all there is: what encrypting it would hide.
pub fn covered(document: &Document, selector: Option<&Selector>) -> InClear {
    let tree = document.tree();
    inspect::in_clear(tree, selector, document.format(), |id| inspect::looks_sealed_at(tree, id))
}

/// Returns where the metadata stand in a text; nothing if it has none or does not parse.
pub fn metadata_spans(format: &'static dyn FileFormat, text: SecretBytes) -> Vec<Span> {
    let container = format.container().unwrap_or(format);
    let Ok(tree) = container.parse(text) else { return Vec::new() };
    let nodes = metadata::nodes(&tree, container.metadata_layout());
    let span = |id: NodeId| {
        let node = tree.node(id);
        let value = node.span?;
        let key = node.key.and_then(|key| key.span).unwrap_or(value);
        Some(Span { start: key.start.min(value.start), end: key.end.max(value.end) })
    };
    nodes.into_iter().filter_map(span).collect()
}

/// Returns whether a text has metadata of SOPS' kind, so that it is encrypted already.
pub fn has_metadata(document: &Document) -> bool {
    let layout = document.format().metadata_layout();
    document.format().container().is_none() && !metadata::nodes(document.tree(), layout).is_empty()
}

/// Why a file could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The text is not of its format.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// There is no metadata.
    #[error("sops metadata not found")]
    NotEncrypted,
    /// There is more than one metadata block.
    #[error(transparent)]
    Duplicate(#[from] DuplicateMetadata),
    /// The metadata is not usable.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The data key could not be recovered.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
    /// The data key is there, and the surroundings do not let it be used.
    #[error("{reason}")]
    Withheld {
        /// Why not.
        reason: String,
    },
    /// A value could not be opened or sealed.
    #[error("{error}")]
    Value {
        /// The tree path of the value.
        path: String,
        /// Where it stands.
        position: Option<Position>,
        /// Why.
        error: ValueError,
    },
    /// A value that should be encrypted is of a type that no encrypted value has.
    #[error("expected an encrypted value, but the value is a {found}")]
    ClearValue {
        /// The tree path of the value.
        path: String,
        /// Where it stands.
        position: Option<Position>,
        /// Its type.
        found: &'static str,
    },
    /// The file has no MAC.
    #[error("MAC mismatch: the file has no MAC")]
    MacMissing,
    /// The MAC does not open.
    #[error("Cannot decrypt MAC: {0}")]
    MacUnreadable(ValueError),
    /// The MAC is that of other values.
    #[error("MAC mismatch: the values are not those that the file was encrypted with")]
    MacMismatch,
    /// The tree has a key that is no text.
    #[error("only text keys can be encrypted; the key of `{path}` is {}", key_type(*kind))]
    KeyType {
        /// The tree path.
        path: String,
        /// Where it stands.
        position: Option<Position>,
        /// What the key is.
        kind: KeyType,
    },
    /// An integer that SOPS has no type for.
    #[error("the integer at `{path}` does not fit into 64 bits with sign")]
    Unsigned {
        /// The tree path.
        path: String,
        /// Where it stands.
        position: Option<Position>,
    },
    /// A time whose offset RFC 3339, in which SOPS seals times, cannot hold.
    #[error("the time at `{path}` is 24 hours or more off UTC")]
    FarOffset {
        /// The tree path.
        path: String,
        /// Where it stands.
        position: Option<Position>,
    },
    /// The format cannot hold the tree.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The text is encrypted already.
    #[error("the file is encrypted already")]
    AlreadyEncrypted,
    /// The text has nothing in it.
    #[error("File cannot be completely empty, it must contain at least one document")]
    NoDocument,
    /// The rule selects none of the file's values.
    #[error("the rule `{field}: {value}` covers none of the file's values")]
    NothingSelected {
        /// The rule's field.
        field: &'static str,
        /// The rule.
        value: String,
    },
    /// What was written does not read back as what was meant: nothing is written.
    #[error("the encrypted file would not read back as it should{}", place(path.as_deref()))]
    Unstable {
        /// The tree path where it differs, if there is one.
        path: Option<String>,
    },
    /// A comment rule that would see its own ciphertext.
    #[error("an encrypted comment would itself match `unencrypted_comment_regex`")]
    MisledRule,
    /// The metadata could not be changed in place.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// Returns the error of edits that overlap.
fn shared_place() -> EmitError {
    EmitError::whole("the metadata and a value share a place in the text")
}

fn key_type(kind: KeyType) -> &'static str {
    match kind {
        KeyType::Text => "a text",
        KeyType::Integer => "an integer",
        KeyType::Float => "a number",
        KeyType::Boolean => "a boolean",
        KeyType::Null => "null",
        KeyType::Time => "a date or time",
    }
}

fn place(path: Option<&str>) -> String {
    path.map(|path| format!(" at `{path}`")).unwrap_or_default()
}

/// Returns where a node begins.
fn position(tree: &Tree, id: NodeId) -> Option<Position> {
    let node = tree.node(id);
    let span = node.key.and_then(|key| key.span).or(node.span)?;
    Some(Position::of(tree.source(), span.start as usize))
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
