//! Encryption: every selected leaf gets its ciphertext, the MAC is taken over all of them, and
//! what was written is read back before anybody gets to see it.

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::data_key::DataKey;
use crate::crypt::gcm::Cipher;
use crate::crypt::mac::Mac;
use crate::crypt::value::{Sealer, ValueError};
use crate::document::Document;
use crate::edits::Edits;
use crate::file::leaves::{Leaves, has_content};
use crate::file::spelling::{LAYOUT_PATH, Spellings};
use crate::file::{EncryptedFile, FileError, Previous, STRAY_PATH, position, verify};
use crate::format::{Block, Change, FileFormat, Layout};
use crate::metadata::{self, Metadata};
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::span::{Position, Span};
use crate::tree::{KeyType, NodeId, NodeKind, TextRef, Tree};

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
pub fn encrypt(document: Document, mut plan: Plan<'_>) -> Result<SecretBytes, FileError> {
    let Some(previous) = plan.previous.take() else { return encrypt_once(document, plan) };
    let text = SecretBytes::from(document.text());
    let format = document.format();
    let metadata = plan.metadata.clone();
    let layout = plan.layout.clone();
    let again = Plan { metadata, layout, previous: None, ..plan };
    match encrypt_once(document, Plan { previous: Some(&mut *previous), ..plan }) {
        // A leaf as it was may not fit what is around it now.
        Err(FileError::Unstable { .. }) => {
            previous.forget_spellings();
            let document = Document::parse(format, text)?;
            encrypt_once(document, Plan { previous: Some(previous), ..again })
        }
        result => result,
    }
}

fn encrypt_once(document: Document, plan: Plan<'_>) -> Result<SecretBytes, FileError> {
    let Plan { mut metadata, data_key, output, layout, mut previous, allow_nothing_selected } =
        plan;
    let input = document.format();
    let everything = input.container().is_some();
    let container = output.container().unwrap_or(output);
    let mut tree = document.into_tree();
    if tree.documents().next().is_none() {
        return Err(FileError::NoDocument);
    }
    if let Some(refusal) = input.refusal(&tree) {
        return Err(refusal.into());
    }
    check_types(&tree)?;
    if let Some(previous) = previous.as_deref_mut() {
        previous.align(&tree);
    }
    let cipher = data_key.cipher();
    let selector = metadata.selector();
    let sealing = Sealing {
        sealer: Sealer::new(&cipher),
        previous: previous.as_deref_mut(),
        scratch: SecretBytes::new(),
        out: SecretBytes::new(),
        changes: Vec::new(),
        comments: Vec::new(),
        paths: SecretBytes::new(),
        selected: Vec::new(),
        empty_texts: output.seals_empty_texts(),
    };
    let in_place = input == output && input.container().is_none();
    let sealed = sealing.leaves(&mut tree, &metadata, &selector, everything)?;
    let any_sealed = sealed.count > 0;
    if !any_sealed && sealed.content && !allow_nothing_selected {
        let (field, value) = selector.field();
        return Err(FileError::NothingSelected { field, value: value.to_owned() });
    }
    metadata.mac = Some(seal_mac(&cipher, sealed.mac, &metadata)?);

    // The body: the text as it is with the ciphertexts put in, or new text of another format.
    let mut edits = Edits::new();
    let body;
    let body = if in_place {
        edits = input.splice(&tree, &sealed.changes)?;
        for comment in &sealed.comments {
            if let (None, Some(text)) = (comment.id, comment.sealed) {
                edits.replace(comment.span, tree.text(text));
            }
        }
        &tree
    } else {
        body = container.parse(container.emit(&tree, &layout)?)?;
        &body
    };
    let layout = container.layout_of(body, &layout);
    let block = match &previous {
        Some(Previous { block: Some(block), .. }) => metadata.update(block, container, &layout)?,
        _ => container.emit(&metadata.to_tree(container.metadata_layout())?, &layout)?,
    };
    let place = previous.as_deref().and_then(|previous| previous.position);
    let block = Block { text: &block, position: place };
    let text = put_together(container, body, &edits, &block)?;

    let written = verify::Written {
        text,
        format: container,
        selector: &selector,
        everything: output.container().is_some(),
    };
    let meant = verify::Meant {
        tree: &tree,
        selected: &sealed.selected,
        comments: &sealed.comments,
        paths: &sealed.paths,
        in_place,
    };
    let text = verify::read_back(written, &meant, &cipher)?;
    with_layout(text, output, data_key, in_place.then_some(&tree))
}

/// Makes the edits of the values and puts the block in: at once where the two do not touch the same
/// bytes, else one after the other.
fn put_together(
    format: &dyn FileFormat,
    body: &Tree,
    values: &Edits,
    block: &Block<'_>,
) -> Result<SecretBytes, FileError> {
    if let Ok(attached) = format.attach(body, block) {
        let mut all = Edits::new();
        all.append(values);
        all.append(&attached);
        if let Some(text) = all.try_apply(body.source()) {
            return Ok(text);
        }
    }
    let unstable = FileError::Unstable { path: None };
    let sealed = values.try_apply(body.source()).ok_or(unstable)?;
    let sealed = format.parse(sealed).map_err(|_| FileError::Unstable { path: None })?;
    Ok(format.attach(&sealed, block)?.apply(sealed.source()))
}

/// Decrypts what was written, which must give the data back with the right MAC, and adds what is
/// needed for the exact text of `original` to come back.
fn with_layout(
    text: SecretBytes,
    format: &'static dyn FileFormat,
    data_key: &DataKey,
    original: Option<&Tree>,
) -> Result<SecretBytes, FileError> {
    let unstable = |_| FileError::Unstable { path: None };
    let opened = EncryptedFile::parse(format, SecretBytes::from(&*text))?
        .decrypt(data_key)
        .map_err(unstable)?;
    let Some(original) = original else { return Ok(text) };
    let shown = opened.text_of_values()?;
    let spellings = if *shown == *original.source() {
        Spellings::default()
    } else {
        let shown = format.parse(shown)?;
        Spellings::between(original, &shown)
    };
    let unchanged = match &opened.spellings {
        Some(old) => *old == spellings,
        None => spellings.is_empty(),
    };
    if unchanged {
        return Ok(text);
    }
    let sealed = seal_text(&data_key.cipher(), &spellings.write(), LAYOUT_PATH)?;
    let mut tree = format.parse(text)?;
    Ok(metadata::set_layout(&mut tree, format, &sealed)?)
}

/// A comment of the document.
pub(super) struct CommentPlan {
    /// The node; `None` for one that SOPS does not see.
    pub(super) id: Option<NodeId>,
    /// Its text in the source, or the whole comment.
    pub(super) span: Span,
    /// Its plain text.
    pub(super) plain: TextRef,
    /// Its ciphertext, if it is selected.
    pub(super) sealed: Option<TextRef>,
    /// Its key path, in the paths of the sealing.
    pub(super) path: Span,
}

struct Sealing<'a> {
    sealer: Sealer<'a>,
    previous: Option<&'a mut Previous>,
    scratch: SecretBytes,
    out: SecretBytes,
    changes: Vec<Change>,
    comments: Vec<CommentPlan>,
    paths: SecretBytes,
    selected: Vec<bool>,
    /// Whether empty texts are sealed, too.
    empty_texts: bool,
}

/// A ciphertext in the pool of the tree.
struct SealedText {
    text: TextRef,
    /// The text of the whole leaf as it was, if it may be put back.
    verbatim: Option<TextRef>,
    /// The key path that a ciphertext was sealed with before.
    path: Option<Span>,
}

/// Whether a comment is selected, and where it stands.
#[derive(Clone, Copy)]
struct Selected {
    yes: bool,
    in_list: bool,
}

/// What sealing the leaves gave.
struct SealedLeaves {
    mac: Mac,
    changes: Vec<Change>,
    comments: Vec<CommentPlan>,
    paths: SecretBytes,
    /// For each value in tree order, whether it is selected.
    selected: Vec<bool>,
    /// The number of values that were sealed.
    count: usize,
    /// Whether there is any value with content.
    content: bool,
}

impl Sealing<'_> {
    fn leaves(
        mut self,
        tree: &mut Tree,
        metadata: &Metadata,
        selector: &Selector,
        everything: bool,
    ) -> Result<SealedLeaves, FileError> {
        let mut leaves = if everything { Leaves::selecting_all() } else { Leaves::new(selector) };
        let only_encrypted = metadata.mac_only_encrypted && !everything;
        let mut mac = Mac::new(only_encrypted);
        let (mut count, mut content) = (0, false);
        // A sealed value is about 150 bytes longer than its text in base64.
        tree.reserve(tree.source().len() * 2 + tree.nodes().len() * 150);
        while let Some(id) = leaves.next(tree) {
            if let NodeKind::Comment { text, inline } = tree.node(id).kind {
                let selected = leaves.selects_comment(tree.text(text));
                let selected = Selected { yes: selected, in_list: leaves.in_list(tree) };
                self.comment(tree, id, (text, inline), selected, leaves.path())
                    .map_err(|error| value_error(tree, id, error))?;
                continue;
            }
            let selected = leaves.selects_value(tree, id);
            self.selected.push(selected);
            self.scratch.resize(0);
            let kind = match tree.value(id) {
                Some(value) => {
                    canonical::write(&value, &mut self.scratch);
                    ValueType::of(&value)
                }
                None => continue,
            };
            if selected || !only_encrypted {
                mac.update(&self.scratch);
            }
            let has_content = has_content(tree, id);
            content |= has_content;
            if selected && (has_content || self.empty_texts) {
                self.value(tree, id, kind, leaves.path())
                    .map_err(|error| value_error(tree, id, error))?;
                count += 1;
            }
        }
        for stray in tree.strays().to_vec() {
            self.stray(tree, stray.text, stray.span).map_err(|error| FileError::Value {
                path: String::new(),
                position: Some(Position::of(tree.source(), stray.span.start as usize)),
                error,
            })?;
        }
        if self
            .comments
            .iter()
            .filter_map(|comment| comment.sealed)
            .any(|text| selector.is_misled_by(tree.text(text)))
        {
            return Err(FileError::MisledRule);
        }
        let Sealing { changes, comments, paths, selected, .. } = self;
        Ok(SealedLeaves { mac, changes, comments, paths, selected, count, content })
    }

    /// Seals the text in `self.scratch`, or finds the ciphertext that it had.
    fn seal(
        &mut self,
        tree: &mut Tree,
        kind: ValueType,
        path: &[u8],
        leaf: Option<NodeId>,
    ) -> Result<SealedText, ValueError> {
        if let Some(previous) = self.previous.as_deref_mut()
            && let Some(reuse) =
                previous.take(kind, &self.scratch, path, leaf.map(|leaf| (&*tree, leaf)))
        {
            let start = self.paths.len();
            self.paths.extend_from_slice(reuse.path);
            let path = Some(Span::new(start, self.paths.len()));
            let text = tree.intern(reuse.sealed);
            let verbatim = reuse.verbatim.map(|text| tree.intern(text));
            return Ok(SealedText { text, verbatim, path });
        }
        self.out.resize(0);
        self.sealer.seal(kind, &self.scratch, path, &mut self.out)?;
        Ok(SealedText { text: tree.intern(&self.out), verbatim: None, path: None })
    }

    fn value(
        &mut self,
        tree: &mut Tree,
        id: NodeId,
        kind: ValueType,
        path: &[u8],
    ) -> Result<(), ValueError> {
        let SealedText { text, verbatim, .. } = self.seal(tree, kind, path, Some(id))?;
        tree.set(id, NodeKind::Text(text));
        self.changes.push(Change { id, verbatim });
        Ok(())
    }

    fn comment(
        &mut self,
        tree: &mut Tree,
        id: NodeId,
        (text, inline): (TextRef, bool),
        selected: Selected,
        path: &[u8],
    ) -> Result<(), ValueError> {
        let start = self.paths.len();
        self.paths.extend_from_slice(path);
        let mut path_span = Span::new(start, self.paths.len());
        let mut sealed = None;
        // SOPS leaves an empty comment as it is, but in a list it makes an empty text of it: there
        // one blank is sealed.
        let blank = selected.in_list && tree.text(text).is_empty();
        let text = if selected.yes && blank { tree.intern(b" ") } else { text };
        if selected.yes && !tree.text(text).is_empty() {
            self.scratch.resize(0);
            self.scratch.extend_from_slice(tree.text(text));
            let new = self.seal(tree, ValueType::Comment, path, Some(id))?;
            tree.set(id, NodeKind::Comment { text: new.text, inline });
            self.changes.push(Change { id, verbatim: new.verbatim });
            sealed = Some(new.text);
            path_span = new.path.unwrap_or(path_span);
        }
        if let Some(span) = tree.node(id).span {
            let plan = CommentPlan { id: Some(id), span, plain: text, sealed, path: path_span };
            self.comments.push(plan);
        }
        Ok(())
    }

    /// Seals a comment that SOPS does not see: whoever wrote it did not mean it to be public.
    fn stray(&mut self, tree: &mut Tree, text: TextRef, span: Span) -> Result<(), ValueError> {
        let TextRef::Source(place) = text else { return Ok(()) };
        let start = self.paths.len();
        self.paths.extend_from_slice(STRAY_PATH);
        let path = Span::new(start, self.paths.len());
        let mut sealed = None;
        if !place.is_empty() {
            self.scratch.resize(0);
            self.scratch.extend_from_slice(tree.text(text));
            sealed = Some(self.seal(tree, ValueType::Comment, STRAY_PATH, None)?.text);
        }
        debug_assert!(span.contains(place));
        self.comments.push(CommentPlan { id: None, span: place, plain: text, sealed, path });
        Ok(())
    }
}

fn value_error(tree: &Tree, id: NodeId, error: ValueError) -> FileError {
    FileError::Value { path: tree.path(id), position: position(tree, id), error }
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
