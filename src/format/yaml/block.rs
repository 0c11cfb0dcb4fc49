//! The metadata block of an encrypted text: the root entry `sops`, in every document of a stream.
//!
//! Whole lines are cut out and put in, so that the rest of the text is not touched. In a flow root
//! (`{...}`, JSON above all) it is the entry with its comma. Here is how it is found; `detach` cuts it
//! out, and `attach` puts it in.

mod attach;
mod detach;
#[cfg(test)]
mod tests;

use super::extent::{lines_end, value_end};
use super::text::{found_indent, line_end, line_start, newline_of};
use crate::format::{DuplicateMetadata, Layout};
use crate::span::Span;
use crate::tree::{KeyType, NodeId, Tree};

pub(super) use self::attach::{attach, close_last_line, hold_comments};
pub(super) use self::detach::detach;

/// The key of the metadata.
const KEY: &[u8] = b"sops";

/// What a new file starts with.
pub(super) const TEMPLATE: &str = "\
# All values of this file are encrypted, and comments like this one too;
# keys are not. Replace what is here by your own.
database:
    user: app
    password: change me
ports:
    - 5432
";

/// Returns the number of the metadata among the entries of a document, and its node.
fn find(tree: &Tree, root: NodeId) -> Result<Option<(usize, NodeId)>, DuplicateMetadata> {
    let mut found = entries(tree, root).enumerate().filter(|&(_, id)| {
        tree.key(id) == Some(KEY) && tree.node(id).key.is_some_and(|key| key.kind == KeyType::Text)
    });
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(DuplicateMetadata),
        (first, None) => Ok(first),
    }
}

fn entries(tree: &Tree, root: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    tree.children(root).filter(|&id| !tree.node(id).kind.is_comment())
}

/// Returns the lines of a root entry: those of its key and value, and the comments below that
/// stand farther right than the key.
fn entry_lines(tree: &Tree, root: NodeId, id: NodeId) -> Span {
    let source = tree.source();
    let extent = tree.node(root).span.unwrap_or(Span::new(0, source.len()));
    let key = tree.node(id).key.and_then(|key| key.span);
    let key_start = key.map_or(extent.start, |span| span.start) as usize;
    let start = line_start(source, key_start).max(extent.start as usize);
    let last = value_end(tree, id).max(start);
    let column = tree.node(id).site.indent as usize;
    let end = lines_end(source, last, extent.end as usize, column + 1);
    Span::new(start, end)
}

/// Returns the text of a document behind `removed`.
fn after(tree: &Tree, root: NodeId, removed: Span) -> &[u8] {
    let source = tree.source();
    let end = tree.node(root).span.map_or(source.len(), |span| span.end as usize);
    source.get(removed.end as usize..end).unwrap_or_default()
}

/// Returns the layout for a block that is to be put into the text of `tree`.
pub(super) fn layout_of(tree: &Tree, asked: &Layout) -> Layout {
    Layout {
        indent: asked.indent.or_else(|| found_indent(tree).map(|step| step as u32)),
        compact: asked.compact,
        crlf: asked.crlf || newline_of(tree.source()) == b"\r\n",
    }
}

/// Returns whether the text may have a metadata block.
pub(super) fn sniff(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut flow = None;
    memchr::memmem::find_iter(text, KEY).any(|at| {
        let quoted = at > 0 && matches!(text[at - 1], b'"' | b'\'');
        let after = &text[at + KEY.len()..];
        let after = if quoted {
            match after.strip_prefix(&text[at - 1..at]) {
                Some(after) => after,
                None => return false,
            }
        } else {
            after
        };
        if !after.trim_ascii_start().starts_with(b":") {
            return false;
        }
        let start = at - usize::from(quoted);
        start == 0
            || matches!(text[start - 1], b'\n' | b'\r')
            || *flow.get_or_insert_with(|| has_flow_root(text))
    })
}

/// Returns whether the first document is a flow map.
fn has_flow_root(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [b'{', ..] => return true,
            [b'#' | b'%', ..] => rest = &rest[line_end(rest, 0)..],
            [b'-', b'-', b'-', after @ ..] => rest = after,
            _ => return false,
        }
    }
}
