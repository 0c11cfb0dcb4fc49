//! TOML, laid out as rops writes it: SOPS has none, and takes a `.toml` file for a binary one.
//!
//! What defines the format is what rops 0.1 reads and writes. Dates and times are sealed as texts.
//! The metadata is the table `[sops]`, at the end. rops does not see comments; they are sealed as in
//! SOPS' other formats. `parse` says where they stand in the tree, and in which order values are.

mod amend;
mod parse;
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
use crate::tree::{Node, NodeId, NodeKind, Style, Tree};

/// The key of the metadata.
const METADATA: &[u8] = b"sops";

/// The TOML format.
#[derive(Clone, Copy, Debug)]
pub struct Toml;

impl FileFormat for Toml {
    fn name(&self) -> &'static str {
        "toml"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".toml"]
    }

    fn is_known_to_sops(&self) -> bool {
        false
    }

    /// rops reads no text in clear where the rule covers it.
    fn seals_empty_texts(&self) -> bool {
        true
    }

    /// The quotes around the MAC tell it from INI.
    fn sniff(&self, text: &[u8]) -> bool {
        memchr::memmem::find(text, METADATA).is_some()
            && memchr::memmem::find_iter(text, b"ENC[").any(|at| {
                let front = text[..at].strip_suffix(b"\"").or(text[..at].strip_suffix(b"'"));
                front
                    .and_then(|front| front.trim_ascii_end().strip_suffix(b"="))
                    .is_some_and(|front| front.trim_ascii_end().ends_with(b"mac"))
            })
    }

    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        parse::parse(source)
    }

    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        let crlf = has_crlf(tree.source());
        let mut edits = Edits::new();
        for change in changes {
            let node = tree.node(change.id);
            let Some(span) = node.span else { continue };
            let mut result = Ok(());
            edits.replace_with(span, |out| match (change.verbatim, tree.comment(change.id)) {
                (Some(text), _) => out.extend_from_slice(tree.text(text)),
                (None, Some(text)) => result = write::comment(tree, change.id, text, out),
                (None, None) => {
                    result = write::scalar(tree, change.id, node.site.style, crlf, out);
                }
            });
            result?;
        }
        Ok(edits)
    }

    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Nested
    }

    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        let regions = metadata(tree).map(|id| lines_of(tree, id)).unwrap_or_default();
        let (Some(first), Some(last)) = (regions.first(), regions.last()) else {
            return Ok(None);
        };
        let source = tree.source();
        let is_last = source[last.end as usize..].trim_ascii().is_empty();
        let position = headers(tree).take_while(|header| header.start < first.start).count();
        let mut edits = Edits::new();
        let mut block = SecretBytes::new();
        for region in &regions {
            block.extend_from_slice(&source[region.range()]);
            let mut cut = *region;
            if region == last && is_last {
                cut.start = without_blank_line(&source[..cut.start as usize]).len() as u32;
                cut.end = source.len() as u32;
            } else if region == last {
                cut.end =
                    line_start(source, cut.end as usize + leading_blank(source, cut.end)) as u32;
            }
            edits.remove(cut);
        }
        Ok(Some(Detached { edits, block, position: (!is_last).then_some(position) }))
    }

    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
        let source = tree.source();
        let line_break: &[u8] = if has_crlf(source) { b"\r\n" } else { b"\n" };
        let mut text = SecretBytes::with_capacity(block.text.len() + 6);
        let next = match block.position {
            _ if !starts_with_header(block.text) => Some(end_of_entries(tree, None)),
            Some(position) => {
                let next = headers(tree).nth(position);
                next.map(|header| start_with_comments(source, header.start as usize))
            }
            None => None,
        };
        let at = next.unwrap_or(source.len());
        if at > start_of_text(source) && !source[..at].ends_with(b"\n") {
            text.extend_from_slice(line_break);
        }
        if next.is_none() && start_of_text(source) < at {
            text.extend_from_slice(line_break);
        }
        text.extend_from_slice(block.text);
        if !block.text.ends_with(b"\n") {
            text.extend_from_slice(line_break);
        }
        if next.is_some() && starts_with_header(block.text) {
            text.extend_from_slice(line_break);
        }
        let mut edits = Edits::new();
        edits.insert(at, &text);
        Ok(edits)
    }

    fn append(&self, tree: &Tree, map: NodeId, key: &str, value: &str) -> Result<Edits, EmitError> {
        let mut text = SecretBytes::new();
        write::string(value, Style::DoubleQuoted, has_crlf(tree.source()), &mut text);
        append(tree, map, key, &text)
    }

    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        amend::amend(tree, operation)
    }

    /// What is added to a table stands in front of the tables in it that have headers.
    fn keeps_order(&self) -> bool {
        false
    }

    fn emit(&self, tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
        write::document(tree, layout)
    }

    fn layout_of(&self, tree: &Tree, asked: &Layout) -> Layout {
        let source = tree.source();
        let crlf = if source.contains(&b'\n') { has_crlf(source) } else { asked.crlf };
        Layout { crlf, ..asked.clone() }
    }

    fn template(&self) -> &'static str {
        "# Replace this example; every value is encrypted when you save.\n\
         [database]\n\
         user = \"app\"\n\
         password = \"change me\"\n"
    }

    fn warnings(&self, tree: &Tree) -> Vec<Warning> {
        warn::warnings(tree)
    }
}

/// Returns the edits that add an entry, whose value is given as it is spelled, to a map.
fn append(tree: &Tree, map: NodeId, key: &str, value: &[u8]) -> Result<Edits, EmitError> {
    let source = tree.source();
    let node = tree.node(map);
    let crlf = has_crlf(source);
    let mut entry = SecretBytes::from(write::key(key).as_bytes());
    entry.extend_from_slice(b" = ");
    entry.extend_from_slice(value);
    let mut edits = Edits::new();
    if let (Style::Flow, Some(span)) = (node.site.style, node.span) {
        let members = tree.children(map).filter(|&id| !tree.node(id).kind.is_comment());
        let last = members.filter_map(|id| end_of_entry(tree, id)).max();
        let (at, front, back) = match last {
            Some(end) => (end, ", ", ""),
            None => (span.end as usize - 1, " ", " "),
        };
        edits.replace_with(Span::new(at, at), |out| {
            for part in [front.as_bytes(), &entry, back.as_bytes()] {
                out.extend_from_slice(part);
            }
        });
        return Ok(edits);
    }
    let is_root = tree.documents().next() == Some(map);
    let header = node.span.filter(|_| node.site.style == Style::Block);
    if !is_root && header.is_none() {
        return Err(EmitError::at(tree, map, "nothing can be added to a table without a header"));
    }
    let at = end_of_entries(tree, header);
    let line_break: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    edits.replace_with(Span::new(at, at), |out| {
        if at > start_of_text(source) && !source[..at].ends_with(b"\n") {
            out.extend_from_slice(line_break);
        }
        let indent = first_entry(tree, header).map_or(&b""[..], |key| blank_before(source, key));
        for part in [indent, &entry, line_break] {
            out.extend_from_slice(part);
        }
    });
    Ok(edits)
}

/// Returns whether the lines end in CRLF, judged by the first.
fn has_crlf(source: &[u8]) -> bool {
    memchr::memchr(b'\n', source).is_some_and(|end| source[..end].ends_with(b"\r"))
}

/// Returns where the text starts: behind a byte order mark.
fn start_of_text(source: &[u8]) -> usize {
    if source.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// Returns where the line of the byte at `at` starts.
fn line_start(source: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &source[..at]).map_or(start_of_text(source), |end| end + 1)
}

/// Returns where the line behind that of the byte at `at` starts.
fn line_end(source: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &source[at..]).map_or(source.len(), |end| at + end + 1)
}

/// Returns the number of bytes of white space from `at` on.
fn leading_blank(source: &[u8], at: u32) -> usize {
    let rest = &source[at as usize..];
    rest.len() - rest.trim_ascii_start().len()
}

/// Returns the white space between the start of the line and `at`.
fn blank_before(source: &[u8], at: usize) -> &[u8] {
    let line = &source[line_start(source, at)..at];
    &line[..line.len() - line.trim_ascii_start().len()]
}

/// Returns a text without the last line if that is a blank one.
fn without_blank_line(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_suffix(b"\n") else { return text };
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    if rest.len() <= start_of_text(text) || rest.ends_with(b"\n") { rest } else { text }
}

/// Returns the places of the headers that are not of the metadata, in the order of the text.
fn headers(tree: &Tree) -> impl Iterator<Item = Span> {
    let metadata = metadata(tree).map(|id| id.index()..tree.node(id).end());
    let mut headers: Vec<Span> = (0..)
        .zip(tree.nodes())
        .filter(|(index, _)| !metadata.as_ref().is_some_and(|metadata| metadata.contains(index)))
        .filter_map(|(_, node)| header(node))
        .collect();
    headers.sort_unstable();
    headers.into_iter()
}

/// Returns the header of a table.
fn header(node: &Node) -> Option<Span> {
    node.span.filter(|_| node.kind == NodeKind::Map && node.site.style == Style::Block)
}

fn metadata(tree: &Tree) -> Option<NodeId> {
    tree.entry(tree.documents().next()?, METADATA)
}

/// Returns the lines of a value outside of arrays and inline tables: if it is a table, in all the
/// places of the text where it is.
fn lines_of(tree: &Tree, id: NodeId) -> Vec<Span> {
    let source = tree.source();
    let mut lines: Vec<Span> = tree.nodes()[id.index()..tree.node(id).end()]
        .iter()
        .flat_map(|node| [node.key.and_then(|key| key.span), node.span])
        .flatten()
        .map(|span| {
            let (start, end) = (span.start as usize, span.end as usize);
            Span::new(line_start(source, start), line_end(source, end))
        })
        .collect();
    lines.sort_unstable();
    let mut regions: Vec<Span> = Vec::new();
    for line in lines {
        match regions.last_mut() {
            Some(last)
                if line.start <= last.end
                    || source[last.end as usize..line.start as usize].trim_ascii().is_empty() =>
            {
                last.end = last.end.max(line.end);
            }
            _ => regions.push(line),
        }
    }
    regions
}

/// Returns whether a block is a table with a header, which may stand behind other tables.
fn starts_with_header(block: &[u8]) -> bool {
    block
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
        .is_some_and(|line| line.starts_with(b"["))
}

/// Returns the start of the line at `at`, or of the first of the comments right above it.
fn start_with_comments(source: &[u8], at: usize) -> usize {
    let mut start = line_start(source, at);
    while start > start_of_text(source) {
        let above = line_start(source, start - 1);
        if !source[above..start].trim_ascii_start().starts_with(b"#") {
            break;
        }
        start = above;
    }
    start
}

/// Returns the nodes between a header, or the start of the text, and the next header.
fn section(tree: &Tree, header: Option<Span>) -> impl Iterator<Item = &Node> {
    let start = header.map_or(0, |header| header.end);
    let next = tree.nodes().iter().filter_map(self::header).map(|span| span.start);
    let end = next.filter(|&next| next >= start).min().unwrap_or(u32::MAX);
    tree.nodes().iter().filter(move |node| {
        let place = node.key.and_then(|key| key.span).or(node.span);
        !node.kind.is_comment() && place.is_some_and(|place| (start..end).contains(&place.start))
    })
}

/// Returns where the line behind the last entry of a section starts.
fn end_of_entries(tree: &Tree, header: Option<Span>) -> usize {
    let source = tree.source();
    let last = section(tree, header).filter_map(|node| node.span).map(|span| span.end).max();
    match last.or(header.map(|header| header.end)) {
        Some(end) => line_end(source, end as usize),
        None => start_of_text(source),
    }
}

/// Returns where the first key of a section stands.
fn first_entry(tree: &Tree, header: Option<Span>) -> Option<usize> {
    let keys = section(tree, header).filter_map(|node| node.key?.span);
    keys.map(|key| key.start as usize).min()
}

/// Returns where the text of an entry of an inline table ends.
fn end_of_entry(tree: &Tree, id: NodeId) -> Option<usize> {
    let nodes = &tree.nodes()[id.index()..tree.node(id).end()];
    nodes.iter().filter_map(|node| node.span).map(|span| span.end as usize).max()
}

#[cfg(test)]
mod tests;
