//! Encryption of a document: the leaves are sealed (`seal`), the text is put together, and what was
//! written is read back and decrypted (`verify`) before anybody gets to see it.

use crate::crypt::canonical::ValueType;
use crate::crypt::data_key::DataKey;
use crate::crypt::gcm::Cipher;
use crate::crypt::mac::Mac;
use crate::crypt::value::Sealer;
use crate::document::Document;
use crate::edits::Edits;
use crate::file::seal::{self, SealedLeaves, What};
use crate::file::spelling::{LAYOUT_PATH, Spellings, same_data};
use crate::file::{DecryptedFile, FileError, Previous, position, shared_place, verify};
use crate::format::{Block, FileFormat, Layout};
use crate::metadata::{self, Metadata};
use crate::secret::SecretBytes;
use crate::tree::{KeyType, NodeKind, Tree};

/// How to encrypt a document.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The metadata, with the keys wrapped and the time set; the MAC is filled in.
    pub metadata: Metadata,
    /// The data key that the metadata wraps.
    pub data_key: &'a DataKey,
    /// The format of the file to write.
    pub output: &'static dyn FileFormat,
    /// The layout of text that is new.
    pub layout: Layout,
    /// The encrypted file that the document was, if there was one.
    pub previous: Option<&'a mut Previous>,
    /// Whether it is fine that the rule selects none of the values.
    pub allow_nothing_selected: bool,
}

/// Encrypts a document and returns the text of the file.
///
/// # Errors
/// If the document cannot be encrypted, or would not read back as it should.
pub fn encrypt(document: Document, plan: Plan<'_>) -> Result<SecretBytes, FileError> {
    let input = document.format();
    let mut tree = document.into_tree();
    if tree.documents().next().is_none() {
        return Err(FileError::NoDocument);
    }
    if let Some(refusal) = input.refusal(&tree) {
        return Err(refusal.into());
    }
    check_types(&tree)?;
    let Plan { metadata, data_key, output, layout, mut previous, allow_nothing_selected } = plan;
    if let Some(previous) = previous.as_deref_mut() {
        previous.align(&tree);
    }
    let cipher = data_key.cipher();
    let cipher = &cipher;
    let mut way = Way { input, output, layout, data_key, cipher, metadata, allow_nothing_selected };
    let mut result = way.encrypt(&mut tree, previous.as_deref_mut(), None);
    if let (Err(FileError::Unstable { .. }), Some(previous)) = (&result, previous.as_deref_mut()) {
        // A leaf as it was may not fit what is around it now.
        previous.forget_spellings();
        result = way.encrypt(&mut tree, Some(previous), None);
    }
    match result {
        Err(FileError::Unstable { .. } | FileError::Emit(_)) if way.is_in_place() => {
            let Some(mut canonical) = way.canonical(&tree) else { return result };
            if let Some(previous) = previous.as_deref_mut() {
                previous.forget_spellings();
                previous.align(&canonical);
            }
            way.encrypt(&mut canonical, previous, Some(&tree)).or(result)
        }
        result => result,
    }
}

/// From a format to a format, with what a plan says.
struct Way<'a> {
    input: &'static dyn FileFormat,
    output: &'static dyn FileFormat,
    layout: Layout,
    data_key: &'a DataKey,
    cipher: &'a Cipher,
    metadata: Metadata,
    allow_nothing_selected: bool,
}

impl Way<'_> {
    /// Returns whether the text of the document is kept, with replaced spans.
    fn is_in_place(&self) -> bool {
        self.input.name() == self.output.name() && self.input.container().is_none()
    }

    /// Returns the document as new text, for one whose own text cannot be kept; `None` if that has
    /// other data.
    fn canonical(&self, tree: &Tree) -> Option<Tree> {
        let layout = self.output.layout_of(tree, &self.layout);
        let text = self.output.emit(tree, &layout).ok()?;
        self.output.parse(text).ok().filter(|canonical| same_data(tree, canonical))
    }

    /// Encrypts `tree`, which is as it was afterwards. What decryption shows is `original`, if that
    /// is another text of the same data.
    fn encrypt(
        &mut self,
        tree: &mut Tree,
        mut previous: Option<&mut Previous>,
        original: Option<&Tree>,
    ) -> Result<SecretBytes, FileError> {
        let in_place = self.is_in_place();
        let everything = self.input.container().is_some();
        let what = What { everything, empty_texts: self.output.seals_empty_texts() };
        let selector = self.metadata.selector();
        let sealed =
            seal::leaves(tree, &self.metadata, what, self.cipher, previous.as_deref_mut())?;
        if sealed.count == 0 && sealed.content && !self.allow_nothing_selected {
            let (field, value) = selector.field();
            return Err(FileError::NothingSelected { field, value: value.to_owned() });
        }
        let body = self.body(tree, &sealed, in_place);
        // What is in memory now is the text, and the text with ciphertexts or their edits.
        let (leaves, mac) = sealed.restore(tree);
        let body = body?;
        self.metadata.mac = Some(seal_mac(self.cipher, mac, &self.metadata)?);
        let text = self.put_together(tree, &body, previous.as_deref())?;
        drop(body);

        let meant = verify::Meant { tree, leaves: &leaves, in_place };
        let opened = verify::read_back(text, self.output, &meant, self.data_key)?;
        with_layout(opened, self.output, self.cipher, in_place.then_some(original.unwrap_or(tree)))
    }

    /// Makes the text without metadata: that of `tree` with the ciphertexts put in, or new text of
    /// another format.
    fn body(&self, tree: &Tree, sealed: &SealedLeaves, in_place: bool) -> Result<Body, FileError> {
        if !in_place {
            let container = self.output.container().unwrap_or(self.output);
            return Ok(Body::New(container.parse(container.emit(tree, &self.layout)?)?));
        }
        let mut edits = self.input.splice(tree, &sealed.changes)?;
        for &(place, text) in &sealed.strays {
            edits.replace(place, tree.text(text));
        }
        Ok(Body::Edits(edits))
    }

    /// Puts the metadata into the body.
    fn put_together(
        &mut self,
        tree: &Tree,
        body: &Body,
        previous: Option<&Previous>,
    ) -> Result<SecretBytes, FileError> {
        let container = self.output.container().unwrap_or(self.output);
        let (body, edits) = match body {
            Body::Edits(edits) => (tree, edits),
            Body::New(body) => (body, &Edits::new()),
        };
        let layout = container.layout_of(body, &self.layout);
        let block = if let Some(Previous { block: Some(block), .. }) = previous {
            self.metadata.update(block, container, &layout)?
        } else {
            let block = self.metadata.to_tree(container.metadata_layout())?;
            container.emit(&block, &layout)?
        };
        let position = previous.and_then(|previous| previous.position);
        attach(container, body, edits, &Block { text: &block, position })
    }
}

/// An encrypted text without its metadata.
enum Body {
    /// The text of the document with edits.
    Edits(Edits),
    /// A text of its own.
    New(Tree),
}

/// Makes the edits of the values and puts the block in: at once where the two do not touch the same
/// bytes, else one after the other.
fn attach(
    format: &dyn FileFormat,
    body: &Tree,
    values: &Edits,
    block: &Block<'_>,
) -> Result<SecretBytes, FileError> {
    if let Ok(attached) = format.attach(body, block)
        && let Some(text) = values.try_apply_with(&attached, body.source())
    {
        return Ok(text);
    }
    let unstable = FileError::Unstable { path: None };
    let sealed = values.try_apply(body.source()).ok_or(unstable)?;
    let sealed = format.parse(sealed).map_err(|_| FileError::Unstable { path: None })?;
    Ok(format.attach(&sealed, block)?.apply(sealed.source()))
}

/// Adds to an encrypted text, which was decrypted to `opened`, what is needed for the exact text of
/// `original` to come back.
fn with_layout(
    opened: DecryptedFile,
    format: &'static dyn FileFormat,
    cipher: &Cipher,
    original: Option<&Tree>,
) -> Result<SecretBytes, FileError> {
    let Some(original) = original else { return Ok(opened.tree.into_source()) };
    let edits = opened.edits_of_values()?;
    let same = edits.make(opened.tree.source(), original.source());
    if same && opened.spellings.is_none() {
        return Ok(opened.tree.into_source());
    }
    let shown = if same {
        None
    } else {
        Some(edits.try_apply(opened.tree.source()).ok_or_else(shared_place)?)
    };
    drop(edits);
    let old = opened.spellings;
    let text = opened.tree.into_source();
    let spellings = match shown {
        Some(shown) => Spellings::between(original, &format.parse(shown)?),
        None => Spellings::default(),
    };
    let unchanged = match &old {
        Some(old) => *old == spellings,
        None => spellings.is_empty(),
    };
    if unchanged {
        return Ok(text);
    }
    let sealed = seal_text(cipher, &spellings.write(), LAYOUT_PATH)?;
    let mut tree = format.parse(text)?;
    Ok(metadata::set_layout(&mut tree, format, &sealed)?)
}

/// Seals the MAC for the time of the last change.
pub(super) fn seal_mac(
    cipher: &Cipher,
    mac: Mac,
    metadata: &Metadata,
) -> Result<String, FileError> {
    seal_text(cipher, &mac.finish(), metadata.mac_path().as_bytes())
}

/// Seals a text of the metadata.
pub(super) fn seal_text(cipher: &Cipher, text: &[u8], path: &[u8]) -> Result<String, FileError> {
    let mut out = SecretBytes::new();
    Sealer::new(cipher)
        .seal(ValueType::Text, text, path, &mut out)
        .map_err(|error| FileError::Value { path: String::new(), position: None, error })?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Refuses what SOPS has no form for.
fn check_types(tree: &Tree) -> Result<(), FileError> {
    for index in 0..tree.nodes().len() {
        let Some(id) = tree.id_at(index) else { break };
        let node = tree.node(id);
        if let Some(key) = node.key
            && key.kind != KeyType::Text
        {
            let (path, position) = (tree.path(id), position(tree, id));
            return Err(FileError::KeyType { path, position, kind: key.kind });
        }
        if matches!(node.kind, NodeKind::Unsigned(_)) {
            return Err(FileError::Unsigned { path: tree.path(id), position: position(tree, id) });
        }
    }
    Ok(())
}
