//! Reading back what was written: the encrypted text must parse to the tree that was meant, with
//! the same leaves selected, so that SOPS and encfile decrypt it with the right MAC.
//!
//! A comment's additional data is the path of the map or list that a reader finds it in. That is
//! decided by the *encrypted* layout: where it is another than in the plain text, the comment is
//! sealed again for it.

use crate::crypt::canonical::{self, ValueType};
use crate::crypt::gcm::Cipher;
use crate::crypt::value::Sealer;
use crate::edits::Edits;
use crate::file::leaves::{Leaves, has_content};
use crate::file::seal::CommentPlan;
use crate::file::{FileError, STRAY_PATH};
use crate::format::FileFormat;
use crate::metadata;
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::span::Span;
use crate::tree::{NodeId, NodeKind, TextRef, Tree, Value};

/// A text that was written and is yet to be read back.
pub(super) struct Written<'a> {
    pub(super) text: SecretBytes,
    pub(super) format: &'static dyn FileFormat,
    pub(super) selector: &'a Selector,
    /// Whether a reader takes every leaf as selected.
    pub(super) everything: bool,
}

/// What it was meant to be.
pub(super) struct Meant<'a> {
    /// The tree with the ciphertexts.
    pub(super) tree: &'a Tree,
    /// For each value in tree order, whether it is selected.
    pub(super) selected: &'a [bool],
    pub(super) comments: &'a [CommentPlan],
    /// The key paths of the comments.
    pub(super) paths: &'a [u8],
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

/// Reads `written` back, compares it with `meant`, and returns the text.
pub(super) fn read_back(
    written: Written<'_>,
    meant_file: &Meant<'_>,
    cipher: &Cipher,
) -> Result<SecretBytes, FileError> {
    let &Meant { tree: meant, selected, in_place, .. } = meant_file;
    let Written { text, format, selector, everything } = written;
    let unstable = |path: Option<String>| FileError::Unstable { path };
    let tree = format.parse(text).map_err(|_| unstable(None))?;
    let nodes = metadata::nodes(&tree, format.metadata_layout());
    let tree = tree.without(&nodes);
    let mut leaves = if everything { Leaves::selecting_all() } else { Leaves::new(selector) };
    let mut meant_leaves = Leaves::new(selector);
    let mut found = Vec::new();
    let mut paths = SecretBytes::new();
    let mut flags = selected.iter();
    let mut buffers = (SecretBytes::new(), SecretBytes::new());
    while let Some(id) = leaves.next(&tree) {
        if leaves.is_comment(&tree, id) {
            let (NodeKind::Comment { text, .. } | NodeKind::Text(text)) = tree.node(id).kind else {
                continue;
            };
            let selected = leaves.selects_comment(tree.text(text));
            let start = paths.len();
            paths.extend_from_slice(leaves.path());
            let path = Span::new(start, paths.len());
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
            return Err(unstable(Some(tree.path(id))));
        };
        let selects = leaves.selects_value(&tree, id);
        let same = flags.next() == Some(&selects)
            && leaves.path() == meant_leaves.path()
            && same_value((&tree, id), (meant, other), &mut buffers, in_place);
        if !same {
            return Err(unstable(Some(meant.path(other))));
        }
    }
    if let Some(other) = next_value(&mut meant_leaves, meant) {
        return Err(unstable(Some(meant.path(other))));
    }
    for stray in tree.strays() {
        if let TextRef::Source(span) = stray.text {
            let start = paths.len();
            paths.extend_from_slice(STRAY_PATH);
            let path = Span::new(start, paths.len());
            // Whether anything covers it cannot be said; it was sealed all the same.
            found.push(FoundComment { span, text: stray.text, path, selected: true });
        }
    }
    let edits = comments(&tree, found, &paths, meant_file, cipher)?;
    Ok(if edits.is_empty() { tree.into_source() } else { edits.apply(tree.source()) })
}

fn next_value(leaves: &mut Leaves<'_>, tree: &Tree) -> Option<NodeId> {
    loop {
        let id = leaves.next(tree)?;
        if !tree.node(id).kind.is_comment() {
            return Some(id);
        }
    }
}

/// Compares two values by what enters the MAC. A sealed value may have line breaks behind it.
fn same_value(
    (read, id): (&Tree, NodeId),
    (meant, other): (&Tree, NodeId),
    (buffer, other_buffer): &mut (SecretBytes, SecretBytes),
    in_place: bool,
) -> bool {
    match (read.value(id), meant.value(other)) {
        (Some(Value::Text(text)), Some(Value::Text(meant))) => {
            text == meant
                || (meant.starts_with(b"ENC[")
                    && text.strip_prefix(meant).is_some_and(|rest| {
                        rest.iter().all(|&byte| byte == b'\n' || byte == b'\r')
                    }))
        }
        (Some(value), Some(meant)) => {
            buffer.resize(0);
            other_buffer.resize(0);
            canonical::write(&value, buffer);
            canonical::write(&meant, other_buffer);
            **buffer == **other_buffer
        }
        (None, None) => true,
        // Null and the empty text are the same to the MAC; another format may have one only.
        (None, Some(_)) => !in_place && !has_content(meant, other),
        (Some(_), None) => !in_place && !has_content(read, id),
    }
}

/// Compares the comments, and returns the edits that seal some of them for their place.
fn comments(
    tree: &Tree,
    mut found: Vec<FoundComment>,
    paths: &[u8],
    meant_file: &Meant<'_>,
    cipher: &Cipher,
) -> Result<Edits, FileError> {
    let &Meant { tree: meant, comments: planned, paths: planned_paths, in_place, .. } = meant_file;
    let unstable = || FileError::Unstable { path: None };
    let mut planned: Vec<&CommentPlan> = planned.iter().collect();
    if in_place {
        found.sort_by_key(|comment| comment.span);
        planned.sort_by_key(|comment| comment.span);
    } else if found.is_empty() {
        // The other format has no comments.
        return Ok(Edits::new());
    }
    if found.len() != planned.len() {
        return Err(unstable());
    }
    let mut edits = Edits::new();
    let mut sealer = Sealer::new(cipher);
    for (found, planned) in found.iter().zip(planned) {
        let text = tree.text(found.text);
        let Some(sealed) = planned.sealed else {
            if text != meant.text(planned.plain) {
                return Err(unstable());
            }
            continue;
        };
        if text != meant.text(sealed) {
            return Err(unstable());
        }
        let path = &paths[found.path.range()];
        if path != &planned_paths[planned.path.range()] {
            let mut again = SecretBytes::new();
            sealer
                .seal(ValueType::Comment, meant.text(planned.plain), path, &mut again)
                .map_err(|error| FileError::Value { path: String::new(), position: None, error })?;
            edits.replace(found.span, &again);
        }
        if !found.selected {
            return Err(unstable());
        }
    }
    Ok(edits)
}
