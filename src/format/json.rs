//! JSON: one object, read strictly, kept byte for byte.
//!
//! SOPS reads some texts that are not JSON (truncated ones, a second value behind the first) and
//! loses data by it; here they are refused. Duplicate keys are kept, as SOPS does, with a warning.

mod amend;
mod parse;
mod write;

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError, Warning, duplicate_warnings,
};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::Operation;
use crate::tree::{NodeId, Tree, Value};

/// The key of the metadata.
const METADATA: &[u8] = b"sops";

/// The JSON format.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl FileFormat for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".json"]
    }

    fn sniff(&self, text: &[u8]) -> bool {
        text.trim_ascii_start().starts_with(b"{")
            && memchr::memmem::find(text, b"\"sops\"").is_some()
    }

    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        parse::parse(source)
    }

    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        let room = changes.iter().map(|change| match tree.value(change.id) {
            Some(Value::Text(text)) => text.len() + 2,
            _ => 8,
        });
        let mut edits = Edits::with_capacity(changes.len(), room.sum());
        let mut rest = changes;
        while let Some((change, after)) = rest.split_first() {
            let Some(span) = tree.node(change.id).span else {
                rest = after;
                continue;
            };
            if let Some(text) = change.verbatim {
                edits.replace(span, tree.text(text));
            } else if tree.node(change.id).kind.is_comment() {
                // An encrypted comment of another format's list: JSON has none, it goes.
                let run = adjacent_comments(tree, rest);
                let last = tree.node(rest[run - 1].id).span.unwrap_or(span);
                edits.remove(with_comma(tree.source(), Span { start: span.start, end: last.end }));
                rest = &rest[run..];
                continue;
            } else {
                let mut result = Ok(());
                edits.replace_with(span, |out| result = write::scalar(tree, change.id, out));
                result?;
            }
            rest = after;
        }
        Ok(edits)
    }

    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Nested
    }

    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        let Some(root) = tree.documents().next() else {
            return Ok(None);
        };
        let entries: Vec<NodeId> = tree.children(root).collect();
        let mut found =
            entries.iter().enumerate().filter(|&(_, &id)| tree.key(id) == Some(METADATA));
        let Some((position, &id)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(DuplicateMetadata);
        }
        let place = entry_span(tree, id);
        let mut edits = Edits::new();
        let last = position + 1 == entries.len();
        if !last {
            let next = entry_span(tree, entries[position + 1]);
            edits.remove(Span { start: place.start, end: next.start });
        } else if position > 0 {
            let before = entry_span(tree, entries[position - 1]);
            edits.remove(Span { start: before.end, end: place.end });
        } else if let Some(root) = tree.node(root).span {
            edits.remove(Span { start: root.start + 1, end: root.end - 1 });
        }
        let mut block = SecretBytes::with_capacity(place.len() + 2);
        block.push(b'{');
        block.extend_from_slice(&tree.source()[place.range()]);
        block.push(b'}');
        Ok(Some(Detached { edits, block, position: (!last).then_some(position) }))
    }

    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
        let (Some(root), Some(text)) = (tree.documents().next(), inner(block.text)) else {
            return Err(EmitError::whole("there is no object to put the metadata into"));
        };
        let mut edits = Edits::new();
        let entries: Vec<NodeId> = tree.children(root).collect();
        let Some(&last) = entries.last() else {
            let Some(span) = tree.node(root).span else {
                return Ok(edits);
            };
            let source = tree.source();
            let crlf = memchr::memmem::find(source, b"\r\n").is_some();
            let line = if crlf { "\r\n" } else { "\n" };
            let text = String::from_utf8_lossy(text);
            let whole = format!("{{{line}\t{text}{line}}}");
            edits.replace(span, whole.as_bytes());
            return Ok(edits);
        };
        if let Some(&next) = block.position.and_then(|position| entries.get(position)) {
            let start = entry_span(tree, next).start as usize;
            let mut entry = SecretBytes::from(text);
            entry.push(b',');
            entry.extend_from_slice(blank_before(tree.source(), start));
            edits.insert(start, &entry);
        } else {
            let place = entry_span(tree, last);
            let mut entry = SecretBytes::from(&b","[..]);
            entry.extend_from_slice(blank_before(tree.source(), place.start as usize));
            entry.extend_from_slice(text);
            edits.insert(place.end as usize, &entry);
        }
        Ok(edits)
    }

    fn append(&self, tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError> {
        let Some(last) = tree.children(map).last() else {
            return Err(EmitError::at(tree, map, "nothing can be added to an empty object"));
        };
        let place = entry_span(tree, last);
        let mut edits = Edits::new();
        edits.replace_with(Span::new(place.end as usize, place.end as usize), |out| {
            out.push(b',');
            out.extend_from_slice(blank_before(tree.source(), place.start as usize));
            write::string(key, out);
            out.extend_from_slice(b": ");
            write::string(value, out);
        });
        Ok(edits)
    }

    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        amend::amend(tree, operation)
    }

    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        write::document(tree, layout)
    }

    /// Takes the indentation of the first entry.
    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        let mut layout = asked.clone();
        let Some(first) = tree.documents().next().and_then(|root| tree.children(root).next())
        else {
            return layout;
        };
        let blank = blank_before(tree.source(), entry_span(tree, first).start as usize);
        layout.crlf = blank.contains(&b'\r');
        match blank.iter().rposition(|&byte| byte == b'\n') {
            None => layout.compact = true,
            Some(at) => {
                let indent = &blank[at + 1..];
                if !indent.contains(&b'\t') {
                    layout.indent = Some(indent.len() as u32);
                }
            }
        }
        layout
    }

    fn template(&self) -> &'static str {
        concat!(
            "{\n",
            "\t\"note\": \"Replace this example; every value is encrypted when you save.\",\n",
            "\t\"database\": {\n",
            "\t\t\"user\": \"app\",\n",
            "\t\t\"password\": \"change me\"\n",
            "\t}\n",
            "}\n",
        )
    }

    fn warnings(&self, tree: &Tree) -> Vec<Warning> {
        duplicate_warnings(tree)
    }
}

/// Reads a text that is any JSON value, not only an object.
///
/// # Errors
/// If it is none.
pub fn parse_value(text: SecretBytes) -> Result<Tree, SyntaxError> {
    parse::parse_value(text)
}

/// Returns the span of an entry: from its key to the end of its value.
fn entry_span(tree: &Tree, id: NodeId) -> Span {
    let node = tree.node(id);
    let value = node.span.unwrap_or_default();
    let start = node.key.and_then(|key| key.span).map_or(value.start, |key| key.start);
    Span { start, end: value.end }
}

/// Returns the white space in front of `offset`.
fn blank_before(source: &[u8], offset: usize) -> &[u8] {
    let kept = source[..offset].trim_ascii_end().len();
    &source[kept..offset]
}

/// Returns what stands between the braces of a block.
fn inner(block: &[u8]) -> Option<&[u8]> {
    Some(block.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii())
}

/// Returns how many of the first changes are comments that follow each other in one list.
fn adjacent_comments(tree: &Tree, changes: &[Change]) -> usize {
    let mut run = 1;
    while let Some(next) = changes.get(run)
        && tree.node(next.id).kind.is_comment()
        && next.verbatim.is_none()
        && next.id.index() == changes[run - 1].id.index() + 1
        && only_comma_between(tree, changes[run - 1].id, next.id)
    {
        run += 1;
    }
    run
}

fn only_comma_between(tree: &Tree, first: NodeId, second: NodeId) -> bool {
    let (Some(first), Some(second)) = (tree.node(first).span, tree.node(second).span) else {
        return false;
    };
    tree.source()[first.end as usize..second.start as usize].trim_ascii() == b","
}

/// Widens the span of list members by the comma that goes with them.
pub(in crate::format) fn with_comma(source: &[u8], span: Span) -> Span {
    let after = &source[span.end as usize..];
    let blank = after.len() - after.trim_ascii_start().len();
    if after.get(blank) == Some(&b',') {
        let rest = &after[blank + 1..];
        let next = blank + 1 + rest.len() - rest.trim_ascii_start().len();
        return Span { start: span.start, end: span.end + next as u32 };
    }
    let before = source[..span.start as usize].trim_ascii_end();
    match before.last() {
        Some(b',') => Span { start: before.len() as u32 - 1, end: span.end },
        _ => span,
    }
}

#[cfg(test)]
mod tests;
