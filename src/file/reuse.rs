//! What a decrypted file leaves for its own re-encryption: ciphertexts of values that did not
//! change, with the exact text that they had in the file.
//!
//! A ciphertext is used again only for the same canonical text under the same key path, each once.
//! Where the plain text at a leaf is, byte for byte, what decryption wrote there, the text of the
//! encrypted leaf is put back as it was, so that an unchanged value is an unchanged line.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;

use crate::crypt::canonical::{self, ValueType};
use crate::file::leaves::{Leaves, has_content};
use crate::file::{DecryptedFile, FileError, ROOT_PATH};
use crate::format::{Block, FileFormat};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::span::Span;
use crate::tree::{NodeId, Site, TextRef, Tree, Value};

/// What can be used again.
pub struct Previous {
    /// The encrypted tree, with the decrypted values.
    tree: Tree,
    /// The plain text, parsed, if it is a text of the same format.
    plain: Option<Tree>,
    entries: Vec<Entry>,
    paths: SecretBytes,
    /// Whether leaves may be put back as they were, not only their ciphertexts.
    verbatim: bool,
    hashers: (RandomState, RandomState),
    /// How many nodes the old and the new text have in common at the start and at the end.
    alike: (usize, usize),
    /// The metadata block, unless it is to be written anew, and where it stood.
    pub(super) block: Option<SecretBytes>,
    pub(super) position: Option<usize>,
    /// The plain text.
    text: SecretBytes,
    /// Ciphertexts of another file with the same data key, for what is not in this one.
    other: Option<Box<Previous>>,
}

#[derive(Clone, Copy)]
struct Entry {
    key: (u64, u64),
    /// The leaf in the encrypted tree; `None` for a comment that is not in the tree.
    leaf: Option<NodeId>,
    sealed: TextRef,
    /// The leaf in the plain tree.
    plain: Option<NodeId>,
    /// The key path that it was sealed with, in `paths`.
    path: Span,
    used: bool,
    /// For the first entry of a key: how many of the key's entries are known to be used.
    passed: u32,
}

/// A ciphertext that fits.
pub(super) struct Reuse<'p> {
    /// `ENC[...]`.
    pub(super) sealed: &'p [u8],
    /// The key path that it was sealed with.
    pub(super) path: &'p [u8],
    /// The text of the whole leaf, if it may be put back as it was.
    pub(super) verbatim: Option<&'p [u8]>,
}

impl Previous {
    /// Returns the plain text that the file had.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the plain text with the metadata block in it.
    ///
    /// # Errors
    /// If the text has no place for it.
    pub fn text_with_metadata(&self, format: &dyn FileFormat) -> Result<SecretBytes, FileError> {
        let plain = format.parse(SecretBytes::from(&*self.text))?;
        let block = self.block.as_deref().unwrap_or_default();
        let block = Block { text: block, position: self.position };
        Ok(format.attach(&plain, &block)?.apply(plain.source()))
    }

    /// Returns the metadata block.
    pub fn block(&self) -> &[u8] {
        self.block.as_deref().unwrap_or_default()
    }

    /// Replaces the metadata block; `None` for one that is written anew.
    pub fn set_block(&mut self, block: Option<SecretBytes>) {
        self.block = block;
    }

    /// Takes the ciphertext of a value, if there is one. `leaf` is where the value stands now.
    pub(super) fn take(
        &mut self,
        kind: ValueType,
        text: &[u8],
        path: &[u8],
        leaf: Option<(&Tree, NodeId)>,
    ) -> Option<Reuse<'_>> {
        let key = self.key(kind, text, path);
        let from = self.entries.partition_point(|entry| entry.key < key);
        let candidates = from..self.entries.partition_point(|entry| entry.key <= key);
        let free = if candidates.is_empty() {
            None
        } else {
            self.free_at_place(&candidates, leaf).or_else(|| self.next_free(&candidates))
        };
        let Some(free) = free else {
            return self.other.as_mut()?.take(kind, text, path, leaf);
        };
        let entry = self.entries[free];
        self.entries[free].used = true;
        let verbatim = match entry.leaf {
            Some(old) if self.verbatim && self.is_as_decrypted(&entry, leaf) => {
                spelling(&self.tree, old)
            }
            _ => None,
        };
        let path = &self.paths[entry.path.range()];
        Some(Reuse { sealed: self.tree.text(entry.sealed), path, verbatim })
    }

    /// Returns whether a leaf is spelled as decryption spelled the one of `entry`, in the same
    /// surroundings.
    fn is_as_decrypted(&self, entry: &Entry, leaf: Option<(&Tree, NodeId)>) -> bool {
        let (Some(old), Some(plain), Some((tree, new))) = (entry.plain, &self.plain, leaf) else {
            return false;
        };
        spelling(plain, old) == spelling(tree, new)
            && surroundings(plain.node(old).site) == surroundings(tree.node(new).site)
    }

    /// Starts anew, without putting leaves back as they were: for a text that would not read back
    /// with them.
    pub(super) fn forget_spellings(&mut self) {
        self.verbatim = false;
        for entry in &mut self.entries {
            entry.used = false;
            entry.passed = 0;
        }
        if let Some(other) = &mut self.other {
            other.forget_spellings();
        }
    }

    /// Adds what another version of the file leaves, which must have the same data key. Its
    /// ciphertexts are used for values that this one does not have.
    pub fn also(&mut self, other: Previous) {
        match &mut self.other {
            Some(next) => next.also(other),
            None => self.other = Some(Box::new(other)),
        }
    }

    /// Compares the text that was with the one that will be encrypted: as far as both begin alike,
    /// and end alike, equal values of a list keep their own ciphertexts.
    pub(super) fn align(&mut self, tree: &Tree) {
        let Some(plain) = &self.plain else { return };
        let all = |tree: &Tree| {
            (0..tree.nodes().len()).filter_map(|index| tree.id_at(index)).collect::<Vec<_>>()
        };
        let (old, new) = (all(plain), all(tree));
        let same = |(&old, &new): (&NodeId, &NodeId)| {
            plain.key(old) == tree.key(new)
                && plain.value(old) == tree.value(new)
                && plain.comment(old) == tree.comment(new)
        };
        let prefix = old.iter().zip(&new).take_while(|&pair| same(pair)).count();
        let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|&pair| same(pair)).count();
        self.alike = (prefix, suffix);
    }

    /// Equal values of one list share the key. In the parts that both texts have in common, the
    /// one at the same place is meant.
    fn free_at_place(
        &self,
        candidates: &Range<usize>,
        leaf: Option<(&Tree, NodeId)>,
    ) -> Option<usize> {
        let (tree, new) = leaf?;
        let plain = self.plain.as_ref()?;
        let (prefix, suffix) = self.alike;
        let place = if new.index() < prefix {
            new.index()
        } else if new.index() + suffix >= tree.nodes().len() {
            (new.index() + plain.nodes().len()).checked_sub(tree.nodes().len())?
        } else {
            return None;
        };
        // The entries of one key are in the order of the plain tree.
        let entries = &self.entries[candidates.clone()];
        let at = entries.binary_search_by_key(&Some(place), |entry| Some(entry.plain?.index()));
        at.ok().filter(|&at| !entries[at].used).map(|at| candidates.start + at)
    }

    /// Returns the first of the candidates that is not used yet.
    fn next_free(&mut self, candidates: &Range<usize>) -> Option<usize> {
        let mut at = candidates.start + self.entries.get(candidates.start)?.passed as usize;
        while at < candidates.end && self.entries[at].used {
            at += 1;
        }
        // What was passed once need not be looked at again.
        self.entries[candidates.start].passed = (at - candidates.start) as u32;
        (at < candidates.end).then_some(at)
    }

    fn key(&self, kind: ValueType, text: &[u8], path: &[u8]) -> (u64, u64) {
        // Two hashes with keys of their own: a wrong match would give an unreadable value.
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(kind.name().as_bytes());
            hasher.write_usize(path.len());
            hasher.write(path);
            hasher.write(text);
            hasher.finish()
        };
        (hash(&self.hashers.0), hash(&self.hashers.1))
    }
}

impl std::fmt::Debug for Previous {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Previous({} values)", self.entries.len())
    }
}

fn spelling(tree: &Tree, id: NodeId) -> Option<&[u8]> {
    tree.node(id).span.map(|span| &tree.source()[span.range()])
}

/// The part of a site that decides how a value can be spelled there.
fn surroundings(site: Site) -> (crate::tree::Style, bool) {
    (site.style, site.flow)
}

/// Prepares the re-encryption of a file.
pub(super) fn previous(file: DecryptedFile) -> Result<(Metadata, Previous), FileError> {
    let text = file.text()?;
    let plain = match file.format.container() {
        Some(_) => None,
        None => Some(file.format.parse(SecretBytes::from(&*text))?),
    };
    let DecryptedFile { tree, format, metadata, detached, opened, strays, .. } = file;
    let mut previous = Previous {
        tree,
        plain,
        entries: Vec::with_capacity(opened.len()),
        paths: SecretBytes::new(),
        verbatim: true,
        hashers: (RandomState::new(), RandomState::new()),
        alike: (0, 0),
        block: Some(detached.block),
        position: detached.position,
        text,
        other: None,
    };
    let selector = metadata.selector();
    let mut leaves =
        if format.container().is_some() { Leaves::selecting_all() } else { Leaves::new(&selector) };
    let counterparts = counterparts(&previous.tree, previous.plain.as_ref(), &selector);
    let mut opened = opened.iter().peekable();
    let mut canonical = SecretBytes::new();
    while let Some(id) = leaves.next(&previous.tree) {
        let Some(leaf) = opened.next_if(|leaf| leaf.id == id) else { continue };
        if !leaf.reusable {
            continue;
        }
        canonical.resize(0);
        let kind = match previous.tree.comment(id) {
            Some(text) => {
                canonical.extend_from_slice(text);
                ValueType::Comment
            }
            None => match previous.tree.value(id) {
                Some(value) => {
                    canonical::write(&value, &mut canonical);
                    ValueType::of(&value)
                }
                None => continue,
            },
        };
        // A comment may be in another map or list of the plain text, by which it is looked for.
        let counterpart = counterparts.as_ref().and_then(|found| found.of(id));
        let path = counterpart.map_or(leaves.path(), |(_, path)| path);
        let key = previous.key(kind, &canonical, path);
        let start = previous.paths.len();
        previous.paths.extend_from_slice(leaves.path());
        previous.entries.push(Entry {
            key,
            leaf: Some(id),
            sealed: leaf.sealed,
            plain: counterpart.and_then(|(id, _)| id),
            path: Span::new(start, previous.paths.len()),
            used: false,
            passed: 0,
        });
    }
    let start = previous.paths.len();
    previous.paths.extend_from_slice(ROOT_PATH);
    let stray_path = Span::new(start, previous.paths.len());
    for stray in strays {
        let text = previous.tree.text(stray.plain);
        let counterpart = counterparts.as_ref().and_then(|found| found.of_stray(stray.sealed));
        let path = counterpart.map_or(ROOT_PATH, |(_, path)| path);
        let key = previous.key(ValueType::Comment, text, path);
        previous.entries.push(Entry {
            key,
            leaf: None,
            sealed: stray.sealed,
            plain: counterpart.and_then(|(id, _)| id),
            path: stray_path,
            used: false,
            passed: 0,
        });
    }
    previous.entries.sort_by_key(|entry| (entry.key, entry.plain, entry.leaf));
    Ok((metadata, previous))
}

/// A leaf of the plain tree, or a comment that is not in it, and its key path.
type Counterpart = (Option<NodeId>, Span);

/// Where the leaves of a decrypted tree stand in the plain text.
#[derive(Default)]
struct Counterparts {
    /// By the index of the leaf.
    leaves: HashMap<usize, Counterpart>,
    /// By where the text of the comment begins.
    strays: HashMap<u32, Counterpart>,
    paths: SecretBytes,
}

impl Counterparts {
    fn of(&self, id: NodeId) -> Option<(Option<NodeId>, &[u8])> {
        let &(id, path) = self.leaves.get(&id.index())?;
        Some((id, &self.paths[path.range()]))
    }

    fn of_stray(&self, sealed: TextRef) -> Option<(Option<NodeId>, &[u8])> {
        let TextRef::Source(span) = sealed else { return None };
        let &(id, path) = self.strays.get(&span.start)?;
        Some((id, &self.paths[path.range()]))
    }

    fn add_path(&mut self, path: &[u8]) -> Span {
        let start = self.paths.len();
        self.paths.extend_from_slice(path);
        Span::new(start, self.paths.len())
    }
}

/// Finds the leaves of the decrypted tree in the plain one, if the two have the same leaves: values
/// in tree order, comments in that of the text, since they may be in other collections.
fn counterparts(tree: &Tree, plain: Option<&Tree>, selector: &Selector) -> Option<Counterparts> {
    let plain = plain?;
    let mut found = Counterparts::default();
    let (mut values, mut comments) = (Vec::new(), Vec::new());
    let mut leaves = Leaves::new(selector);
    while let Some(id) = leaves.next(plain) {
        let leaf = (Some(id), found.add_path(leaves.path()));
        match plain.node(id) {
            node if !node.kind.is_comment() => values.push((id, leaf)),
            node => comments.extend(node.span.map(|span| (span, leaf))),
        }
    }
    let stray = (None, found.add_path(ROOT_PATH));
    comments.extend(plain.strays().iter().map(|comment| (comment.span, stray)));
    comments.sort_by_key(|&(span, _)| span);

    let (mut values, mut comments) = (values.into_iter(), comments.into_iter());
    let mut own = Vec::new();
    let leaves = (0..tree.nodes().len()).filter_map(|index| tree.id_at(index));
    for id in leaves.filter(|&id| !tree.node(id).kind.is_container()) {
        if tree.node(id).kind.is_comment() {
            own.extend(tree.node(id).span.map(|span| (span, Ok(id))));
            continue;
        }
        let (other, leaf) = values.next()?;
        let alike = tree.key(id) == plain.key(other)
            && has_content(tree, id) == has_content(plain, other)
            && match (tree.value(id), plain.value(other)) {
                (Some(Value::Text(ours)), Some(Value::Text(theirs))) => ours == theirs,
                _ => true,
            };
        if !alike {
            return None;
        }
        found.leaves.insert(id.index(), leaf);
    }
    own.extend(tree.strays().iter().map(|comment| (comment.span, Err(comment.text))));
    own.sort_by_key(|&(span, _)| span);
    for (_, comment) in own {
        let (_, counterpart) = comments.next()?;
        match comment {
            Ok(id) => found.leaves.insert(id.index(), counterpart),
            Err(TextRef::Source(text)) => found.strays.insert(text.start, counterpart),
            Err(TextRef::Pool(_)) => None,
        };
    }
    (values.next().is_none() && comments.next().is_none()).then_some(found)
}
