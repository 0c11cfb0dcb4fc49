//! Reading back what was written: the encrypted text must parse to the leaves that were meant, with
//! the same ones selected, and decrypt to their values with the right MAC.
//!
//! A comment's additional data is the path of the map or list that a reader finds it in. That is
//! decided by the *encrypted* layout: where it is another than in the plain text, the comment is
//! sealed again for it.

use std::collections::{HashMap, HashSet};

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::data_key::DataKey;
use crate::crypt::gcm::Cipher;
use crate::crypt::value::{Sealed, Sealer};
use crate::edits::Edits;
use crate::file::leaves::{Leaves, has_content};
use crate::file::seal::{PlainComment, PlainLeaves};
use crate::file::{DecryptedFile, EncryptedFile, FileError, ROOT_PATH};
use crate::format::{FileFormat, MovedComment};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{NodeId, NodeKind, TextRef, Tree, Value};

/// What a text was meant to be.
pub(super) struct Meant<'a> {
    /// The plain tree.
    pub(super) tree: &'a Tree,
    /// Which of its leaves were sealed, and how.
    pub(super) leaves: &'a PlainLeaves,
    /// Whether the text is that of the plain file with replaced spans.
    pub(super) in_place: bool,
}

/// A comment as a reader finds it.
struct FoundComment {
    /// Its text alone.
    span: Span,
    text: TextRef,
    path: Span,
    selected: bool,
}

/// Reads an encrypted text back, which is all that is left of the writing, and decrypts it.
pub(super) fn read_back(
    text: SecretBytes,
    format: &'static dyn FileFormat,
    meant: &Meant<'_>,
    data_key: &DataKey,
) -> Result<DecryptedFile, FileError> {
    let parse = |text| {
        EncryptedFile::parse(format, text).map_err(|error| match error {
            FileError::Syntax(_) => unstable(),
            error => error,
        })
    };
    let cipher = data_key.cipher();
    let mut file = parse(text)?;
    let mut moved = Vec::new();
    let mut edits = compare_places(&file, meant, &cipher, &mut moved);
    let held = format.hold_comments(&file.tree, &moved);
    if !held.is_empty()
        && let Some(text) = held.try_apply(file.tree.source())
        && let Ok(again) = parse(text)
    {
        moved.clear();
        let compared = compare_places(&again, meant, &cipher, &mut moved);
        if moved.is_empty() && compared.is_ok() {
            (file, edits) = (again, compared);
        }
    }
    let edits = edits?;
    if !edits.is_empty() {
        let text = edits.try_apply(file.tree.source()).ok_or_else(unstable)?;
        drop(file);
        file = parse(text)?;
    }
    let opened = file.decrypt(data_key).map_err(|_| unstable())?;
    compare_values(&opened.tree, meant)?;
    Ok(opened)
}

fn unstable() -> FileError {
    FileError::Unstable { path: None }
}

fn unstable_at(tree: &Tree, id: NodeId) -> FileError {
    FileError::Unstable { path: Some(tree.path(id)) }
}

/// Compares the places of the leaves and what the comments hold. Returns the edits that seal some
/// comments for where they are now, and notes those in `moved`.
fn compare_places(
    file: &EncryptedFile,
    meant_file: &Meant<'_>,
    cipher: &Cipher,
    moved: &mut Vec<MovedComment>,
) -> Result<Edits, FileError> {
    let tree = &file.tree;
    let meant = meant_file.tree;
    let selector = file.metadata.selector();
    let everything = file.format.container().is_some();
    let mut leaves = if everything { Leaves::selecting_all() } else { Leaves::new(&selector) };
    let mut meant_leaves = Leaves::selecting_all();
    let mut found = Vec::new();
    let mut paths = SecretBytes::new();
    let mut flags = meant_file.leaves.selected.iter();
    while let Some(id) = leaves.next(tree) {
        if leaves.is_comment(tree, id) {
            let (NodeKind::Comment { text, .. } | NodeKind::Text(text)) = tree.node(id).kind else {
                continue;
            };
            let selected = leaves.selects_comment(tree.text(text));
            let start = paths.len();
            paths.extend_from_slice(leaves.path());
            let path = Span::new(start, paths.len());
            // One in a copy made for an alias stands at the anchor, where it was found already.
            if tree.node(id).span.is_none() {
                continue;
            }
            // A text that was joined from several lines stands in clear: only its order counts.
            let span = match text {
                TextRef::Source(span) => Some(span),
                TextRef::Pool(_) => tree.node(id).span,
            };
            if let Some(span) = span {
                found.push(FoundComment { span, text, path, selected });
            }
            continue;
        }
        let Some(other) = next_value(&mut meant_leaves, meant) else {
            return Err(unstable_at(tree, id));
        };
        let selects = leaves.selects_value(tree, id);
        if flags.next() != Some(&selects) || leaves.path() != meant_leaves.path() {
            return Err(unstable_at(meant, other));
        }
    }
    if let Some(other) = next_value(&mut meant_leaves, meant) {
        return Err(unstable_at(meant, other));
    }
    for stray in tree.strays() {
        if let TextRef::Source(span) = stray.text {
            let start = paths.len();
            paths.extend_from_slice(ROOT_PATH);
            let path = Span::new(start, paths.len());
            // Whether anything covers it cannot be said; it was sealed all the same.
            found.push(FoundComment { span, text: stray.text, path, selected: true });
        }
    }
    compare_comments(tree, found, &paths, (meant_file, cipher), moved)
}

fn next_value(leaves: &mut Leaves<'_>, tree: &Tree) -> Option<NodeId> {
    loop {
        let id = leaves.next(tree)?;
        if !tree.node(id).kind.is_comment() {
            return Some(id);
        }
    }
}

/// Compares the comments, and returns the edits that seal some of them for their place.
fn compare_comments(
    tree: &Tree,
    mut found: Vec<FoundComment>,
    paths: &[u8],
    (meant_file, cipher): (&Meant<'_>, &Cipher),
    moved: &mut Vec<MovedComment>,
) -> Result<Edits, FileError> {
    let &Meant { tree: meant, leaves, in_place } = meant_file;
    let mut planned: Vec<&PlainComment> = leaves.comments.iter().collect();
    if in_place {
        found.sort_by_key(|comment| comment.span);
        planned = in_written_order(planned, meant, tree);
        if found.len() != planned.len() {
            return Err(unstable());
        }
    }
    let mut clear = HashSet::new();
    if !in_place {
        let clear_texts = planned.iter().filter(|comment| !comment.sealed);
        clear.extend(clear_texts.flat_map(|comment| lines(meant.text(comment.text))));
    }
    let mut edits = Edits::new();
    let mut misplaced = false;
    let mut sealer = Sealer::new(cipher);
    let mut opened = SecretBytes::new();
    let mut planned = planned.into_iter();
    for found in found {
        let text = tree.text(found.text);
        // Another format may join those in clear, and drop any: as SOPS, without a word.
        if !in_place && lines(text).all(|line| clear.contains(line)) {
            continue;
        }
        let mut is_found = |planned: &&PlainComment| {
            let plain = meant.text(planned.text);
            if !planned.sealed {
                return text == plain;
            }
            let path = &leaves.paths[planned.path.range()];
            opened.resize(0);
            let kind = Sealed::parse(text).and_then(|text| text.open(cipher, path, &mut opened));
            kind.is_ok_and(|kind| kind.kind == ValueType::Comment) && *opened == *plain
        };
        let planned = if in_place {
            planned.next().filter(&mut is_found)
        } else {
            planned.by_ref().filter(|comment| comment.sealed).find(&mut is_found)
        };
        let planned = planned.ok_or_else(unstable)?;
        let (path, planned_path) =
            (&paths[found.path.range()], &leaves.paths[planned.path.range()]);
        let elsewhere = path != planned_path && (planned.sealed || !text.is_empty());
        // One in clear may have come to stand among those that are sealed.
        if elsewhere && planned.id.is_some() && (planned.sealed || found.selected) {
            let of_document = planned_path == ROOT_PATH;
            moved.push(MovedComment { text: found.span, of_document });
        }
        if planned.sealed && !found.selected {
            // Beside the metadata SOPS may see a comment that it does not see in the plain text. It
            // stays sealed, even if the rule leaves others there in clear.
            misplaced |= planned_path != ROOT_PATH;
        } else if elsewhere && found.selected {
            let mut again = SecretBytes::new();
            sealer
                .seal(ValueType::Comment, meant.text(planned.text), path, &mut again)
                .map_err(|error| FileError::Value { path: String::new(), position: None, error })?;
            edits.replace(found.span, &again);
        }
    }
    if misplaced { Err(unstable()) } else { Ok(edits) }
}

/// Returns those of the comments that `written` has, in its order: it has a copy's only where the
/// alias is written out with them.
fn in_written_order<'a>(
    planned: Vec<&'a PlainComment>,
    meant: &Tree,
    written: &Tree,
) -> Vec<&'a PlainComment> {
    let places: HashMap<NodeId, Span> =
        meant.comments_written_in(written).into_iter().map(|(place, id)| (id, place)).collect();
    let place = |comment: &PlainComment| match (comment.id, comment.text) {
        (Some(id), _) => places.get(&id).copied(),
        (None, TextRef::Source(span) | TextRef::Pool(span)) => Some(span),
    };
    let mut placed: Vec<_> =
        planned.into_iter().filter_map(|comment| Some((place(comment)?, comment))).collect();
    // The order of the tree stays among those of a copy, which are all in one place.
    placed.sort_by_key(|&(place, _)| place);
    placed.into_iter().map(|(_, comment)| comment).collect()
}

/// Returns the lines of a comment without what formats write differently.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let marker = |byte: &u8| matches!(byte, b'#' | b';' | b' ' | b'\t');
    text.split(|&byte| byte == b'\n').map(move |line| {
        let start = line.iter().position(|byte| !marker(byte)).unwrap_or(line.len());
        line[start..].trim_ascii_end()
    })
}

/// Compares the decrypted values with those that were meant.
fn compare_values(opened: &Tree, meant_file: &Meant<'_>) -> Result<(), FileError> {
    let &Meant { tree: meant, leaves, in_place } = meant_file;
    let mut values = values(opened);
    let mut buffers = (SecretBytes::new(), SecretBytes::new());
    for (other, &sealed) in self::values(meant).zip(&leaves.selected) {
        let same = values.next().is_some_and(|id| {
            same_value((opened, id), (meant, other), &mut buffers, in_place, sealed)
        });
        if !same {
            return Err(unstable_at(meant, other));
        }
    }
    Ok(())
}

fn values(tree: &Tree) -> impl Iterator<Item = NodeId> + '_ {
    (0..tree.nodes().len()).filter_map(|index| tree.id_at(index)).filter(|&id| {
        let kind = tree.node(id).kind;
        !kind.is_container() && !kind.is_comment()
    })
}

/// Compares two values by what enters the MAC, and of sealed ones the types.
fn same_value(
    (read, id): (&Tree, NodeId),
    (meant, other): (&Tree, NodeId),
    (buffer, other_buffer): &mut (SecretBytes, SecretBytes),
    in_place: bool,
    sealed: bool,
) -> bool {
    match (read.value(id), meant.value(other)) {
        (Some(Value::Text(text)), Some(Value::Text(meant))) => text == meant,
        (Some(value), Some(meant)) => {
            (!sealed || ValueType::of(&value) == ValueType::of(&meant))
                && canonical::bytes(&value, buffer) == canonical::bytes(&meant, other_buffer)
        }
        (None, None) => true,
        // Null and the empty text are the same to the MAC; another format may have one only.
        (None, Some(_)) => !in_place && !has_content(meant, other),
        (Some(_), None) => !in_place && !has_content(read, id),
    }
}
