//! Sealing: every selected leaf gets its ciphertext, and the MAC is taken over all of them.

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::gcm::Cipher;
use crate::crypt::mac::Mac;
use crate::crypt::value::{Sealer, ValueError};
use crate::file::leaves::{Leaves, has_content};
use crate::file::{FileError, Previous, ROOT_PATH, position};
use crate::format::Change;
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::span::{Position, Span};
use crate::tree::{NodeId, NodeKind, TextRef, Timestamp, Tree, Value};

/// A tree whose leaves hold ciphertexts, until [`SealedLeaves::restore`].
pub(super) struct SealedLeaves {
    /// The leaves that were sealed.
    pub(super) changes: Vec<Change>,
    /// The comments that SOPS does not see, and their ciphertexts.
    pub(super) strays: Vec<(Span, TextRef)>,
    /// The number of values that were sealed.
    pub(super) count: usize,
    /// Whether there is any value with content.
    pub(super) content: bool,
    /// What the leaves of `changes` held.
    plain: Vec<NodeKind>,
    /// The length of the pool without ciphertexts.
    pool: usize,
    leaves: PlainLeaves,
    mac: Mac,
}

/// What the leaves were sealed as.
pub(super) struct PlainLeaves {
    /// For each value in tree order, whether it is selected.
    pub(super) selected: Vec<bool>,
    /// The comments, those that SOPS does not see last.
    pub(super) comments: Vec<PlainComment>,
    /// The key paths of the comments.
    pub(super) paths: SecretBytes,
}

/// A comment of the document.
#[derive(Clone, Copy)]
pub(super) struct PlainComment {
    /// Its node; `None` for one that SOPS does not see.
    pub(super) id: Option<NodeId>,
    /// Its text.
    pub(super) text: TextRef,
    /// Whether it is sealed.
    pub(super) sealed: bool,
    /// Its key path.
    pub(super) path: Span,
}

impl SealedLeaves {
    /// Gives `tree` its plain values back, and the memory of the ciphertexts free.
    pub(super) fn restore(self, tree: &mut Tree) -> (PlainLeaves, Mac) {
        for (change, &kind) in self.changes.iter().zip(&self.plain) {
            tree.set(change.id, kind);
        }
        tree.truncate_pool(self.pool);
        (self.leaves, self.mac)
    }
}

/// What is sealed of what there is.
#[derive(Clone, Copy)]
pub(super) struct What {
    /// Every value and comment, whatever the rule says.
    pub(super) everything: bool,
    /// Empty texts, too.
    pub(super) empty_texts: bool,
}

/// Seals what the rule of `metadata` selects, or everything.
pub(super) fn leaves(
    tree: &mut Tree,
    metadata: &Metadata,
    what: What,
    cipher: &Cipher,
    previous: Option<&mut Previous>,
) -> Result<SealedLeaves, FileError> {
    let What { everything, empty_texts } = what;
    let selector = metadata.selector();
    let mut leaves = if everything { Leaves::selecting_all() } else { Leaves::new(&selector) };
    let only_encrypted = metadata.mac_only_encrypted && !everything;
    // In a list, SOPS makes an empty text of an empty comment: one blank is sealed there.
    let blank = tree.intern(b" ");
    let mut sealing = Sealing {
        sealer: Sealer::new(cipher),
        previous,
        out: SecretBytes::new(),
        verbatim: SecretBytes::new(),
        blank,
        sealed: SealedLeaves {
            changes: Vec::new(),
            strays: Vec::new(),
            count: 0,
            content: false,
            plain: Vec::new(),
            pool: tree.pool_len(),
            leaves: PlainLeaves {
                selected: Vec::new(),
                comments: Vec::new(),
                paths: SecretBytes::new(),
            },
            mac: Mac::new(only_encrypted),
        },
    };
    let mut scratch = SecretBytes::new();
    let mut misled = false;
    // A sealed value is about 150 bytes longer than its text in base64.
    tree.reserve(tree.source().len() * 2 + tree.nodes().len() * 150);
    while let Some(id) = leaves.next(tree) {
        if let Some(text) = tree.comment(id) {
            let selected = leaves.selects_comment(text);
            let in_list = leaves.in_list(tree);
            sealing
                .comment(tree, id, Selected { yes: selected, in_list }, leaves.path())
                .map_err(|error| value_error(tree, id, error))?;
            misled |= selected && tree.comment(id).is_some_and(|text| selector.is_misled_by(text));
            continue;
        }
        let selected = leaves.selects_value(tree, id);
        sealing.sealed.leaves.selected.push(selected);
        let Some(value) = tree.value(id) else { continue };
        let text = canonical::bytes(&value, &mut scratch);
        if selected || !only_encrypted {
            if matches!(value, Value::Time(time) if is_far_off_utc(time)) {
                let (path, position) = (tree.path(id), position(tree, id));
                return Err(FileError::FarOffset { path, position });
            }
            sealing.sealed.mac.update(text);
        }
        let has_content = has_content(tree, id);
        sealing.sealed.content |= has_content;
        if selected && (has_content || empty_texts) {
            let found = sealing
                .seal(ValueType::of(&value), text, leaves.path(), Some((tree, id)))
                .map_err(|error| value_error(tree, id, error))?;
            let text = tree.intern(&sealing.out);
            sealing.change(tree, id, NodeKind::Text(text), found.verbatim);
            sealing.sealed.count += 1;
        }
    }
    for stray in tree.strays().to_vec() {
        let text = sealing.stray(tree, stray.text).map_err(|error| FileError::Value {
            path: String::new(),
            position: Some(Position::of(tree.source(), stray.span.start as usize)),
            error,
        })?;
        misled |= text.is_some_and(|text| selector.is_misled_by(tree.text(text)));
    }
    if misled {
        return Err(FileError::MisledRule);
    }
    Ok(sealing.sealed)
}

struct Sealing<'a> {
    sealer: Sealer<'a>,
    previous: Option<&'a mut Previous>,
    /// The ciphertext that was made or found last.
    out: SecretBytes,
    /// The text of the whole leaf that belongs to it.
    verbatim: SecretBytes,
    blank: TextRef,
    sealed: SealedLeaves,
}

/// What belongs to a ciphertext that was used again.
#[derive(Default)]
struct Found {
    /// Whether the text of the whole leaf may be put back as it was.
    verbatim: bool,
    /// The key path that it was sealed with.
    path: Option<Span>,
}

/// Whether a comment is selected, and where it stands.
#[derive(Clone, Copy)]
struct Selected {
    yes: bool,
    in_list: bool,
}

impl Sealing<'_> {
    /// Seals `text`, or finds the ciphertext that it had.
    fn seal(
        &mut self,
        kind: ValueType,
        text: &[u8],
        path: &[u8],
        leaf: Option<(&Tree, NodeId)>,
    ) -> Result<Found, ValueError> {
        self.out.resize(0);
        if let Some(previous) = self.previous.as_deref_mut()
            && let Some(reuse) = previous.take(kind, text, path, leaf)
        {
            self.out.extend_from_slice(reuse.sealed);
            self.verbatim.resize(0);
            self.verbatim.extend_from_slice(reuse.verbatim.unwrap_or_default());
            let verbatim = reuse.verbatim.is_some();
            let path = append(&mut self.sealed.leaves.paths, reuse.path);
            return Ok(Found { verbatim, path: Some(path) });
        }
        self.sealer.seal(kind, text, path, &mut self.out)?;
        Ok(Found::default())
    }

    /// Puts the ciphertext into a leaf.
    fn change(&mut self, tree: &mut Tree, id: NodeId, kind: NodeKind, verbatim: bool) {
        let verbatim = verbatim.then(|| tree.intern(&self.verbatim));
        self.sealed.plain.push(tree.node(id).kind);
        self.sealed.changes.push(Change { id, verbatim });
        tree.set(id, kind);
    }

    fn comment(
        &mut self,
        tree: &mut Tree,
        id: NodeId,
        selected: Selected,
        path: &[u8],
    ) -> Result<(), ValueError> {
        let NodeKind::Comment { mut text, inline } = tree.node(id).kind else { return Ok(()) };
        let mut path_span = append(&mut self.sealed.leaves.paths, path);
        // Elsewhere SOPS leaves an empty comment as it is.
        if selected.yes && selected.in_list && tree.text(text).is_empty() {
            text = self.blank;
        }
        let sealed = selected.yes && !tree.text(text).is_empty();
        if sealed {
            let found = self.seal(ValueType::Comment, tree.text(text), path, Some((tree, id)))?;
            let new = tree.intern(&self.out);
            self.change(tree, id, NodeKind::Comment { text: new, inline }, found.verbatim);
            path_span = found.path.unwrap_or(path_span);
        }
        let comment = PlainComment { id: Some(id), text, sealed, path: path_span };
        self.sealed.leaves.comments.push(comment);
        Ok(())
    }

    /// Seals a comment that SOPS does not see: whoever wrote it did not mean it to be public.
    /// Returns the ciphertext, unless it is empty.
    fn stray(&mut self, tree: &mut Tree, text: TextRef) -> Result<Option<TextRef>, ValueError> {
        let TextRef::Source(span) = text else { return Ok(None) };
        let path = append(&mut self.sealed.leaves.paths, ROOT_PATH);
        let sealed = !span.is_empty();
        let mut comment = PlainComment { id: None, text, sealed, path };
        if !comment.sealed {
            self.sealed.leaves.comments.push(comment);
            return Ok(None);
        }
        let found = self.seal(ValueType::Comment, tree.text(text), ROOT_PATH, None)?;
        comment.path = found.path.unwrap_or(path);
        self.sealed.leaves.comments.push(comment);
        let text = tree.intern(&self.out);
        self.sealed.strays.push((span, text));
        Ok(Some(text))
    }
}

/// Appends `bytes` to `buffer` and returns where they stand.
fn append(buffer: &mut SecretBytes, bytes: &[u8]) -> Span {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    Span::new(start, buffer.len())
}

/// Returns whether a time has an offset that YAML's readers take, and RFC 3339 does not have.
fn is_far_off_utc(time: Timestamp) -> bool {
    time.offset().whole_hours().abs() >= 24
}

fn value_error(tree: &Tree, id: NodeId, error: ValueError) -> FileError {
    FileError::Value { path: tree.path(id), position: position(tree, id), error }
}
