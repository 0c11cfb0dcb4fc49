//! INI as SOPS reads it, with the rules of the Go library that it uses: sections of keys with text
//! values, `#` and `;` for comments wherever they stand outside of backquotes, lines that go on
//! after a backslash, and a section `DEFAULT` for keys without one.
//!
//! SOPS reads some of that as few people would, which [`FileFormat::warnings`] tells. What it
//! cannot read back itself (keys named `-`) or loses (all but one value of a key) is refused.

mod amend;
mod blank;
mod comments;
mod parse;
mod scan;
mod warn;
mod write;

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError, Warning,
};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::Operation;
use crate::tree::{NodeId, Tree, Value};

/// The name of the section with the metadata.
const METADATA: &[u8] = b"sops";

/// The INI format.
#[derive(Clone, Copy, Debug)]
pub struct Ini;

impl FileFormat for Ini {
    fn name(&self) -> &'static str {
        "ini"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".ini"]
    }

    fn sniff(&self, text: &[u8]) -> bool {
        let text = &text[scan::start_of_text(text)..];
        memchr::memmem::find_iter(text, b"[sops]").any(|at| {
            let start = line_start(text, at);
            start == 0 || text[start - 1] == b'\n'
        })
    }

    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        parse::parse(source)
    }

    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        if let Some(id) = comment_that_crashes_sops(tree, changes) {
            let message = "SOPS crashes on an unencrypted comment whose first line is only a \
                           marker; give that line a text or remove it";
            return Err(EmitError::at(tree, id, message));
        }
        let mut edits = Edits::new();
        for change in changes {
            let node = tree.node(change.id);
            let Some(span) = node.span else { continue };
            if node.kind.is_comment() {
                comments::splice(tree, change.id, change.verbatim, &mut edits)?;
            } else if let Some(text) = change.verbatim {
                edits.replace(span, tree.text(text));
            } else {
                let mut result = Ok(());
                let followed = is_followed(tree.source(), span);
                edits.replace_with(span, |out| {
                    result = write::value(tree, change.id, followed, out);
                });
                result?;
            }
        }
        Ok(edits)
    }

    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Section
    }

    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        let Some(root) = tree.documents().next() else {
            return Ok(None);
        };
        let mut found = tree.children(root).enumerate().filter(|&(_, id)| is_metadata(tree, id));
        let Some((position, id)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(DuplicateMetadata);
        }
        let (source, node) = (tree.source(), tree.node(id));
        let span = node.span.unwrap_or_default();
        let is_last = tree.node(root).end() == node.end();
        let start = line_start(source, span.start as usize);
        let end = scan::line_end(source, span.end as usize);
        let mut edits = Edits::new();
        if is_last {
            // The line break in front is the one that `attach` puts there.
            let before = &source[..start];
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            edits.remove(Span::new(before.len(), end));
        } else {
            let next = scan::line_end(source, end);
            let blank = source[end..next].iter().all(u8::is_ascii_whitespace);
            edits.remove(Span::new(start, if blank { next } else { end }));
        }
        let block = SecretBytes::from(&source[start..end]);
        Ok(Some(Detached { edits, block, position: (!is_last).then_some(position) }))
    }

    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
        let source = tree.source();
        let crlf =
            memchr::memchr(b'\n', block.text).is_some_and(|end| block.text[..end].ends_with(b"\r"));
        let next = tree.documents().next().and_then(|root| {
            let id = tree.children(root).nth(block.position?)?;
            section_start(tree, id)
        });
        let mut text = SecretBytes::with_capacity(block.text.len() + 4);
        // A CR at the end of the text would be taken for a part of the line break.
        let line_break: &[u8] =
            if crlf || next.is_none() && source.ends_with(b"\r") { b"\r\n" } else { b"\n" };
        if next.is_none() && scan::start_of_text(source) < source.len() {
            text.extend_from_slice(line_break);
        }
        text.extend_from_slice(block.text);
        if !block.text.ends_with(b"\n") {
            text.extend_from_slice(line_break);
        }
        if next.is_some() {
            text.extend_from_slice(line_break);
        }
        let mut edits = Edits::new();
        edits.insert(next.unwrap_or(source.len()), &text);
        Ok(edits)
    }

    /// The value is one that needs no quotes: a ciphertext.
    fn append(&self, tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError> {
        let source = tree.source();
        let Some(last) =
            tree.children(map).filter_map(|id| tree.node(id).span).map(|s| s.end).max()
        else {
            return Err(EmitError::at(tree, map, "nothing can be added to an empty section"));
        };
        let last = last as usize;
        let end = memchr::memchr(b'\n', &source[last..]).map_or(source.len(), |at| last + at);
        let crlf = source[..end].ends_with(b"\r");
        let end = end - usize::from(crlf);
        let newline = if crlf { "\r\n" } else { "\n" };
        let mut edits = Edits::new();
        edits.insert(end, format!("{newline}{key} = {value}").as_bytes());
        Ok(edits)
    }

    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        write::document(tree, layout)
    }

    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        let source = tree.source();
        let crlf = match memchr::memchr(b'\n', source) {
            Some(end) => source[..end].ends_with(b"\r"),
            None => asked.crlf,
        };
        Layout { crlf, ..asked.clone() }
    }

    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        amend::amend(tree, operation)
    }

    fn is_typed(&self) -> bool {
        false
    }

    fn template(&self) -> &'static str {
        "; Replace this example; every value is encrypted when you save.\n\
         [database]\n\
         user     = app\n\
         password = change me\n"
    }

    fn warnings(&self, tree: &Tree) -> Vec<Warning> {
        warn::warnings(tree)
    }
}

fn is_metadata(tree: &Tree, id: NodeId) -> bool {
    tree.key(id) == Some(METADATA)
}

/// Returns a comment that stays in clear in a text that is being encrypted, and that SOPS could not
/// read there.
fn comment_that_crashes_sops(tree: &Tree, changes: &[Change]) -> Option<NodeId> {
    let seals = |change: &Change| match tree.value(change.id) {
        Some(Value::Text(text)) => comments::is_ciphertext(text),
        _ => false,
    };
    if !changes.iter().any(seals) {
        return None;
    }
    let mut changes = changes.iter().map(|change| change.id).peekable();
    (0..tree.nodes().len()).filter_map(|index| tree.id_at(index)).find(|&id| {
        let is_changed = changes.next_if_eq(&id).is_some();
        !is_changed && tree.node(id).kind.is_comment() && comments::crashes_sops(tree, id)
    })
}

/// Returns whether a comment stands behind the value at `span`.
fn is_followed(source: &[u8], span: Span) -> bool {
    let line = &source[span.end as usize..scan::line_end(source, span.end as usize)];
    matches!(blank::trim_start(line).first(), Some(b'#' | b';'))
}

/// Returns where the line of what stands at `at`, behind blanks only, starts.
fn line_start(source: &[u8], at: usize) -> usize {
    let blanks = source[..at].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    at - blanks
}

/// Returns where a section starts, with the comment above it.
fn section_start(tree: &Tree, id: NodeId) -> Option<usize> {
    let node = tree.node(id);
    let comment = tree.children(id).next().map(|child| tree.node(child));
    let comment = comment.filter(|child| child.kind.is_comment() && !child.site.flow);
    node.key?.span?;
    let start = comment.and_then(|comment| comment.span).or(node.span)?.start as usize;
    Some(line_start(tree.source(), start))
}

#[cfg(test)]
#[expect(clippy::format_push_string, reason = "tests may allocate")]
mod tests;
