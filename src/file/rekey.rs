//! Other keys for a file: other master keys for its data key, or another data key for its values.
//!
//! Both replace the ciphertexts and the metadata in the encrypted text itself, so that its layout
//! stays as it is, whoever wrote it.

use memchr::memmem;

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::data_key::DataKey;
use crate::crypt::mac::Mac;
use crate::crypt::value::Sealer;
use crate::edits::Edits;
use crate::file::encrypt::{seal_mac, seal_text};
use crate::file::leaves::Leaves;
use crate::file::spelling::LAYOUT_PATH;
use crate::file::{DecryptedFile, EncryptedFile, FileError, OpenedLeaf, ROOT_PATH, position};
use crate::format::{Block, Change, Detached, FileFormat, Layout};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{NodeKind, TextRef, Tree};

/// Returns the text of a file with other metadata for the same data key. Nothing but its block is
/// changed.
pub(super) fn with_metadata(
    file: &EncryptedFile,
    metadata: &Metadata,
) -> Result<SecretBytes, FileError> {
    let EncryptedFile { tree, format, metadata: old, detached } = file;
    let container = format.container().unwrap_or(*format);
    let text = match in_place(tree.source(), *format, old, metadata)? {
        Some(edits) => edits.apply(tree.source()),
        None => with_block(file.body(), container, metadata, detached)?,
    };
    let again = EncryptedFile::parse(*format, SecretBytes::from(&*text))?;
    if *again.body() != *file.body() {
        return Err(FileError::Unstable { path: None });
    }
    Ok(text)
}

/// Seals a file with another data key, which `metadata` wraps. Every value, comment and the layout
/// get a new ciphertext, and nothing else changes but the metadata.
pub(super) fn reseal(
    file: DecryptedFile,
    mut metadata: Metadata,
    data_key: &DataKey,
) -> Result<SecretBytes, FileError> {
    let meant = file.text()?;
    let unreadable = file.unreadable.len();
    let cipher = data_key.cipher();
    let DecryptedFile {
        mut tree, format, metadata: old, detached, opened, strays, spellings, ..
    } = file;
    let mut sealer = Sealer::new(&cipher);
    let selector = metadata.selector();
    let mut leaves =
        if format.container().is_some() { Leaves::selecting_all() } else { Leaves::new(&selector) };
    let mut mac = Mac::new(metadata.mac_only_encrypted);
    let mut edits = Edits::new();
    let mut changes = Vec::new();
    let (mut plain, mut sealed) = (SecretBytes::new(), SecretBytes::new());
    let mut opened = opened.iter().peekable();
    while let Some(id) = leaves.next(&tree) {
        let old = opened.next_if(|leaf| leaf.id == id);
        plain.resize(0);
        let kind = if let Some(comment) = tree.comment(id) {
            // A reader sees the ciphertext when it asks whether a comment is selected.
            leaves.selects_comment(old.map_or(comment, |leaf| tree.text(leaf.sealed)));
            plain.extend_from_slice(comment);
            ValueType::Comment
        } else {
            let selected = leaves.selects_value(&tree, id);
            let Some(value) = tree.value(id) else { continue };
            canonical::write(&value, &mut plain);
            if selected || !metadata.mac_only_encrypted {
                mac.update(&plain);
            }
            ValueType::of(&value)
        };
        let Some(old) = old else { continue };
        sealed.resize(0);
        sealer.seal(kind, &plain, leaves.path(), &mut sealed).map_err(|error| {
            FileError::Value { path: tree.path(id), position: position(&tree, id), error }
        })?;
        if let Some(place) = ciphertext(&tree, old) {
            // A ciphertext has no character that would be written in another way than the old one.
            edits.replace(place, &sealed);
            continue;
        }
        let text = tree.intern(&sealed);
        let kind = match tree.node(id).kind {
            NodeKind::Comment { inline, .. } => NodeKind::Comment { text, inline },
            _ => NodeKind::Text(text),
        };
        tree.set(id, kind);
        changes.push(Change { id, verbatim: None });
    }
    for stray in &strays {
        let TextRef::Source(place) = stray.sealed else { continue };
        sealed.resize(0);
        sealer
            .seal(ValueType::Comment, tree.text(stray.plain), ROOT_PATH, &mut sealed)
            .map_err(|error| FileError::Value { path: String::new(), position: None, error })?;
        edits.replace(place, &sealed);
    }
    metadata.mac = Some(seal_mac(&cipher, mac, &metadata)?);
    metadata.layout = match &spellings {
        Some(spellings) => Some(seal_text(&cipher, &spellings.write(), LAYOUT_PATH)?),
        // One that did not open is of no use to anybody with the new data key.
        None => None,
    };

    let container = format.container().unwrap_or(format);
    edits.append(&container.splice(&tree, &changes)?);
    let block = in_place(tree.source(), format, &old, &metadata)?;
    edits.append(block.as_ref().unwrap_or(&detached.edits));
    let unstable = || FileError::Unstable { path: None };
    let mut text = edits.try_apply(tree.source()).ok_or_else(unstable)?;
    if block.is_none() {
        text = with_block(text, container, &metadata, &detached)?;
    }

    // Nobody has the old text any more once the new one is written: it must decrypt to the same.
    let again = EncryptedFile::parse(format, SecretBytes::from(&*text))?
        .decrypt(data_key)
        .map_err(|_| unstable())?;
    if *again.text()? != *meant || again.unreadable.len() != unreadable {
        return Err(unstable());
    }
    Ok(text)
}

/// Returns where the ciphertext of a leaf stands in the source, if it is not spelled with escapes or
/// on several lines.
fn ciphertext(tree: &Tree, leaf: &OpenedLeaf) -> Option<Span> {
    // The text of a block scalar has the line break behind the ciphertext.
    let sealed = tree.text(leaf.sealed).trim_ascii_end();
    let start = if let TextRef::Source(place) = leaf.sealed {
        place.start as usize
    } else {
        let span = tree.node(leaf.id).span?;
        span.start as usize + memmem::find(&tree.source()[span.range()], sealed)?
    };
    Some(Span::new(start, start + sealed.len()))
}

/// Returns the edits that write `metadata` over the block in `text`, if only texts change in it.
fn in_place(
    text: &[u8],
    format: &'static dyn FileFormat,
    old: &Metadata,
    metadata: &Metadata,
) -> Result<Option<Edits>, FileError> {
    let container = format.container().unwrap_or(format);
    let mut tree = container.parse(SecretBytes::from(text))?;
    Ok(metadata.patch(&mut tree, old, container)?)
}

/// Puts a block with `metadata` into a text of the format `container` from which `old` was cut.
fn with_block(
    body: SecretBytes,
    container: &'static dyn FileFormat,
    metadata: &Metadata,
    old: &Detached,
) -> Result<SecretBytes, FileError> {
    let body = container.parse(body)?;
    let layout = container.layout_of(&body, &Layout::default());
    let block = metadata.update(&old.block, container, &layout)?;
    let block = Block { text: &block, position: old.position };
    Ok(container.attach(&body, &block)?.apply(body.source()))
}

impl EncryptedFile {
    /// Returns the text without its metadata.
    fn body(&self) -> SecretBytes {
        self.detached.edits.apply(self.tree.source())
    }
}
