//! Decryption: every selected leaf gets its value, and the MAC is checked.

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::data_key::DataKey;
use crate::crypt::gcm::Cipher;
use crate::crypt::mac::Mac;
use crate::crypt::value::{self, Sealed, ValueError};
use crate::file::leaves::{Leaves, has_content};
use crate::file::spelling::{LAYOUT_PATH, Spellings};
use crate::file::{
    DecryptedFile, EncryptedFile, FileError, OpenedLeaf, OpenedStray, ROOT_PATH, Salvaged,
    UnreadableComment, UnreadableValue, inspect, position,
};
use crate::format::MetadataLayout;
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::span::{Position, Span};
use crate::tree::{NodeId, NodeKind, TextRef, Tree, Value};

/// How many bytes are tried in all for comments that do not open where they stand: each try reads
/// the whole comment, and has some cost of its own.
const COMMENT_BUDGET: usize = 32 << 20;
const COST_OF_TRY: usize = 256;

/// How many comments that do not open get their place.
const COMMENTS_PLACED: usize = 20;

/// How many values that do not authenticate are named.
const SALVAGE_NAMED: usize = 500;

/// Decrypts a file.
pub(super) fn decrypt(
    file: EncryptedFile,
    data_key: &DataKey,
    check_mac: bool,
) -> Result<DecryptedFile, FileError> {
    let (file, mac) = open(file, data_key, |tree, id, failure| Err(failure.of(tree, id)))?;
    if check_mac {
        mac?;
    }
    Ok(file)
}

/// Decrypts the values that authenticate, and leaves the others as they are.
pub(super) fn salvage(file: EncryptedFile, data_key: &DataKey) -> Result<Salvaged, FileError> {
    let mut unreadable = Vec::new();
    let mut others = 0;
    let (file, mac) = open(file, data_key, |tree, id, failure| {
        if let Failure::Value(error) = failure
            && inspect::looks_sealed_at(tree, id)
        {
            if unreadable.len() < SALVAGE_NAMED {
                let (path, position) = (tree.tree_path(id), position(tree, id));
                unreadable.push(UnreadableValue { path, position, error });
            } else {
                others += 1;
            }
        }
        Ok(())
    })?;
    Ok(Salvaged { file, unreadable, others, mac })
}

/// Opens what there is; `failed` says what happens to the value that does not open. The second
/// result is whether the MAC is right.
fn open(
    file: EncryptedFile,
    data_key: &DataKey,
    failed: impl FnMut(&Tree, NodeId, Failure) -> Result<(), FileError>,
) -> Result<(DecryptedFile, Result<(), FileError>), FileError> {
    let EncryptedFile { mut tree, format, metadata, detached } = file;
    let cipher = data_key.cipher();
    let everything = format.container().is_some();
    let opener = open_leaves(&mut tree, &metadata, &cipher, everything, failed)?;
    let Opener { opened, raw, mac, lost, uncovered, .. } = opener;
    let flat = format.metadata_layout() == MetadataLayout::Flat;
    let right = stored_mac(&metadata, &cipher).and_then(|stored| {
        let right = *mac.finish() == *stored
            || older_macs(&tree, &metadata, &raw, flat).any(|mac| *mac == *stored);
        right.then_some(()).ok_or(FileError::MacMismatch)
    });
    let spellings = metadata.layout.as_deref().and_then(|sealed| open_layout(sealed, &cipher));
    let mut file = DecryptedFile {
        tree,
        format,
        metadata,
        detached,
        opened,
        strays: Vec::new(),
        spellings,
        unreadable: Vec::new(),
    };
    for text in uncovered {
        // One that opens was sealed outside of the plain tree; what does not is no comment of ours.
        open_stray(&mut file, &cipher, text);
    }
    open_strays(&mut file, &cipher);
    recover_comments(&mut file, &cipher, &lost);
    Ok((file, right))
}

/// Why a value does not open.
enum Failure {
    /// It is no ciphertext, or not one of this place.
    Value(ValueError),
    /// It is of a type that no ciphertext has.
    Clear,
}

impl Failure {
    fn of(self, tree: &Tree, id: NodeId) -> FileError {
        let (path, position) = (tree.path(id), position(tree, id));
        match self {
            Failure::Value(error) => FileError::Value { path, position, error },
            Failure::Clear => FileError::ClearValue { path, position, found: type_name(tree, id) },
        }
    }
}

/// Opens the layout. One that does not open is of no use, and nothing depends on it.
fn open_layout(sealed: &str, cipher: &Cipher) -> Option<Spellings> {
    let mut text = SecretBytes::new();
    Sealed::parse(sealed.as_bytes()).ok()?.open(cipher, LAYOUT_PATH, &mut text).ok()?;
    Spellings::read(&text).filter(|spellings| !spellings.is_empty())
}

/// Opens a comment that was sealed as one that SOPS does not see; returns whether it was.
fn open_stray(file: &mut DecryptedFile, cipher: &Cipher, sealed: TextRef) -> bool {
    let mut plain = SecretBytes::new();
    let opened = Sealed::parse(file.tree.text(sealed))
        .and_then(|text| text.open(cipher, ROOT_PATH, &mut plain))
        .is_ok();
    if opened {
        let plain = file.tree.intern(&plain);
        file.strays.push(OpenedStray { sealed, plain });
    }
    opened
}

/// Opens the comments that SOPS does not see.
fn open_strays(file: &mut DecryptedFile, cipher: &Cipher) {
    let mut lost = Vec::new();
    for stray in file.tree.strays().to_vec() {
        if value::looks_sealed(file.tree.text(stray.text)) && !open_stray(file, cipher, stray.text)
        {
            lost.push(stray);
        }
    }
    if lost.is_empty() {
        return;
    }
    // SOPS writes a comment into an empty map, where it cannot find it again.
    let places = Places::of(&file.tree, &file.metadata);
    let mut budget = COMMENT_BUDGET;
    for stray in lost {
        // The first node behind the comment, as far as the tree follows the text.
        let here = file
            .tree
            .nodes()
            .partition_point(|node| node.span.is_some_and(|span| span.start <= stray.span.start));
        if let Some(plain) = places.open(file, cipher, stray.text, here, &mut budget) {
            file.strays.push(OpenedStray { sealed: stray.text, plain });
        } else {
            file.note_unreadable(Some(stray.span));
        }
    }
}

struct Opener {
    opened: Vec<OpenedLeaf>,
    /// For each opened value whose text was not canonical: the leaf and its text.
    raw: Vec<(NodeId, TextRef)>,
    mac: Mac,
    /// Comments that did not open, and the number of containers entered before each.
    lost: Vec<NodeId>,
    /// The texts of comments that look sealed where the rule does not cover them.
    uncovered: Vec<TextRef>,
    scratch: SecretBytes,
}

fn open_leaves(
    tree: &mut Tree,
    metadata: &Metadata,
    cipher: &Cipher,
    everything: bool,
    mut failed: impl FnMut(&Tree, NodeId, Failure) -> Result<(), FileError>,
) -> Result<Opener, FileError> {
    let selector = metadata.selector();
    let mut leaves = if everything { Leaves::selecting_all() } else { Leaves::new(&selector) };
    let mut opener = Opener {
        opened: Vec::new(),
        raw: Vec::new(),
        mac: Mac::new(metadata.mac_only_encrypted),
        lost: Vec::new(),
        uncovered: Vec::new(),
        scratch: SecretBytes::new(),
    };
    tree.reserve(tree.source().len() / 2);
    while let Some(id) = leaves.next(tree) {
        if leaves.is_comment(tree, id) {
            let (NodeKind::Comment { text, .. } | NodeKind::Text(text)) = tree.node(id).kind else {
                continue;
            };
            let selected = leaves.selects_comment(tree.text(text));
            if !value::looks_sealed(tree.text(text)) {
                continue;
            }
            if selected {
                match opener.open(tree, cipher, leaves.path(), text) {
                    Ok((plain, kind, reusable)) => {
                        let reusable = reusable && kind == ValueType::Comment;
                        let inline =
                            matches!(tree.node(id).kind, NodeKind::Comment { inline: true, .. });
                        tree.set(id, NodeKind::Comment { text: plain, inline });
                        opener.opened.push(OpenedLeaf { id, sealed: text, reusable });
                    }
                    Err(_) => opener.lost.push(id),
                }
            } else {
                opener.uncovered.push(text);
            }
            continue;
        }
        let selected = leaves.selects_value(tree, id);
        if selected && has_content(tree, id) {
            match opener.open_value(tree, cipher, leaves.path(), id) {
                Ok(leaf) => opener.opened.push(leaf),
                Err(failure) => failed(tree, id, failure)?,
            }
        }
        if selected || !metadata.mac_only_encrypted {
            opener.add_to_mac(tree, id);
        }
    }
    Ok(opener)
}

impl Opener {
    /// Opens a sealed text and puts what it holds into the tree's pool.
    fn open(
        &mut self,
        tree: &mut Tree,
        cipher: &Cipher,
        path: &[u8],
        sealed: TextRef,
    ) -> Result<(TextRef, ValueType, bool), ValueError> {
        self.scratch.resize(0);
        let opened = Sealed::parse(tree.text(sealed))?.open(cipher, path, &mut self.scratch)?;
        Ok((tree.intern(&self.scratch[opened.text.range()]), opened.kind, opened.reusable))
    }

    /// Opens a value and puts it into the tree.
    fn open_value(
        &mut self,
        tree: &mut Tree,
        cipher: &Cipher,
        path: &[u8],
        id: NodeId,
    ) -> Result<OpenedLeaf, Failure> {
        let NodeKind::Text(sealed) = tree.node(id).kind else { return Err(Failure::Clear) };
        let (plain, kind, reusable) =
            self.open(tree, cipher, path, sealed).map_err(Failure::Value)?;
        let new = match canonical::read(kind, tree.text(plain)) {
            Some(Value::Integer(number)) => NodeKind::Integer(number),
            Some(Value::Float(number)) => NodeKind::Float(number),
            Some(Value::Boolean(flag)) => NodeKind::Boolean(flag),
            Some(Value::Time(time)) => NodeKind::Time(time),
            Some(Value::Text(_)) | None => NodeKind::Text(plain),
        };
        if !reusable {
            self.raw.push((id, plain));
        }
        tree.set(id, new);
        Ok(OpenedLeaf { id, sealed, reusable })
    }

    fn add_to_mac(&mut self, tree: &Tree, id: NodeId) {
        match tree.value(id) {
            Some(Value::Text(text)) => self.mac.update(text),
            Some(value) => {
                self.scratch.resize(0);
                canonical::write(&value, &mut self.scratch);
                self.mac.update(&self.scratch);
            }
            None => {}
        }
    }
}

fn type_name(tree: &Tree, id: NodeId) -> &'static str {
    match tree.node(id).kind {
        NodeKind::Integer(_) | NodeKind::Unsigned(_) => "int",
        NodeKind::Float(_) => "float",
        NodeKind::Boolean(_) => "bool",
        NodeKind::Time(_) => "time",
        _ => "text",
    }
}

/// Opens the MAC that the file has.
fn stored_mac(metadata: &Metadata, cipher: &Cipher) -> Result<SecretBytes, FileError> {
    let mac = metadata.mac.as_deref().ok_or(FileError::MacMissing)?;
    let mut text = SecretBytes::new();
    Sealed::parse(mac.as_bytes())
        .and_then(|sealed| sealed.open(cipher, metadata.mac_path().as_bytes(), &mut text))
        .map_err(FileError::MacUnreadable)?;
    Ok(text)
}

/// Returns the MACs that older releases would have written for the same file: over the decrypted
/// texts as they were (the Python version wrote `1e-07`), and over unencrypted dates and times, and
/// dotenv values, as they are spelled (before 3.7 the former were strings, before 3.5.1 `\n` was no
/// line break).
fn older_macs<'a>(
    tree: &'a Tree,
    metadata: &'a Metadata,
    raw: &'a [(NodeId, TextRef)],
    flat: bool,
) -> impl Iterator<Item = SecretBytes> + 'a {
    [(true, false), (false, true), (true, true)].into_iter().map(move |(raw_texts, spelled)| {
        let selector = metadata.selector();
        let mut leaves = Leaves::new(&selector);
        let mut mac = Mac::new(metadata.mac_only_encrypted);
        let mut raw = raw.iter().peekable();
        let mut text = SecretBytes::new();
        while let Some(id) = leaves.next(tree) {
            if let Some(comment) = tree.comment(id) {
                leaves.selects_comment(comment);
                continue;
            }
            let selected = leaves.selects_value(tree, id);
            let own = raw.next_if(|(leaf, _)| *leaf == id).map(|&(_, text)| text);
            if !selected && metadata.mac_only_encrypted {
                continue;
            }
            match (own, tree.value(id), tree.node(id).span) {
                (Some(own), ..) if raw_texts => mac.update(tree.text(own)),
                (None, Some(Value::Time(_)), Some(span)) if spelled && !selected => {
                    mac.update(&tree.source()[span.range()]);
                }
                (None, Some(Value::Text(_)), Some(span)) if spelled && !selected && flat => {
                    mac.update(&tree.source()[span.range()]);
                }
                (_, Some(value), _) => {
                    text.resize(0);
                    canonical::write(&value, &mut text);
                    mac.update(&text);
                }
                (_, None, _) => {}
            }
        }
        mac.finish()
    })
}

/// Tries comments that did not open in other places of the document: rewriting a YAML file, SOPS
/// moves some to another map or list. What opens nowhere stays as it is.
fn recover_comments(file: &mut DecryptedFile, cipher: &Cipher, lost: &[NodeId]) {
    if lost.is_empty() {
        return;
    }
    let places = Places::of(&file.tree, &file.metadata);
    let mut budget = COMMENT_BUDGET;
    for &id in lost {
        let (NodeKind::Comment { text: sealed, .. } | NodeKind::Text(sealed)) =
            file.tree.node(id).kind
        else {
            continue;
        };
        let inline = matches!(file.tree.node(id).kind, NodeKind::Comment { inline: true, .. });
        let opened = places.open(file, cipher, sealed, id.index(), &mut budget);
        if let Some(text) = opened {
            file.tree.set(id, NodeKind::Comment { text, inline });
            file.opened.push(OpenedLeaf { id, sealed, reusable: false });
        } else {
            file.note_unreadable(file.tree.node(id).span);
        }
    }
    file.opened.sort_by_key(|leaf| leaf.id);
}

impl DecryptedFile {
    /// Notes a comment that looks encrypted and did not open. The first ones get their place,
    /// which takes a walk over the text.
    fn note_unreadable(&mut self, span: Option<Span>) {
        let position = span
            .filter(|_| self.unreadable.len() < COMMENTS_PLACED)
            .map(|span| Position::of(self.tree.source(), span.start as usize));
        self.unreadable.push(UnreadableComment { position });
    }
}

/// The key paths of all maps and lists of a file.
struct Places {
    /// All paths in one buffer.
    paths: SecretBytes,
    /// Each container, and its path.
    containers: Vec<(NodeId, Span)>,
}

impl Places {
    fn of(tree: &Tree, metadata: &Metadata) -> Places {
        let selector = metadata.selector();
        let mut leaves = Leaves::new(&selector);
        let mut places = Places { paths: SecretBytes::new(), containers: Vec::new() };
        while leaves
            .step(tree, |(id, path)| {
                let start = places.paths.len();
                places.paths.extend_from_slice(path);
                places.containers.push((id, Span::new(start, places.paths.len())));
            })
            .is_some()
        {}
        places
    }

    /// Opens a comment with the path of some container, the nearest to the node number `near`
    /// first, going outwards on both sides.
    fn open(
        &self,
        file: &mut DecryptedFile,
        cipher: &Cipher,
        sealed: TextRef,
        near: usize,
        budget: &mut usize,
    ) -> Option<TextRef> {
        let here = self.containers.partition_point(|(container, _)| container.index() < near);
        let before = self.containers[..here].iter().rev();
        let after = self.containers[here..].iter();
        let mut plain = SecretBytes::new();
        for &(_, path) in interleave(before, after) {
            *budget = budget.checked_sub(COST_OF_TRY + file.tree.text(sealed).len())?;
            let opened = Sealed::parse(file.tree.text(sealed))
                .and_then(|sealed| sealed.open(cipher, &self.paths[path.range()], &mut plain));
            if opened.is_ok() {
                return Some(file.tree.intern(&plain));
            }
        }
        None
    }
}

fn interleave<T>(
    mut first: impl Iterator<Item = T>,
    mut second: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn {
            first.next().or_else(|| second.next())
        } else {
            second.next().or_else(|| first.next())
        }
    })
}
