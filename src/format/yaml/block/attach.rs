//! Putting the metadata block into a text, and keeping comments in their place in front of it.

use super::super::Yaml;
use super::super::block_scalar::BlockScalar;
use super::super::cursor::is_blank;
use super::super::emit::{FlowQuotes, emit, write_flow, write_flow_key};
use super::super::extent::{commas_and_comments, flow_entry, lines_end};
use super::super::text::{
    indent_step, is_bare, line_break, line_end, line_start, newline_of, shift_lines,
};
use super::{after, entries, entry_lines};
use crate::edits::Edits;
use crate::format::{Block, EmitError, FileFormat as _, Layout, MovedComment};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{NodeId, Style, Tree};

/// Puts `block` into every document of the text.
pub(in crate::format::yaml) fn attach(tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
    let parsed = Yaml
        .parse(SecretBytes::from(block.text))
        .map_err(|_| EmitError::whole("the metadata block is not YAML"))?;
    let entry = parsed
        .documents()
        .next()
        .and_then(|root| entries(&parsed, root).next())
        .ok_or_else(|| EmitError::whole("the metadata block has no entry"))?;
    let mut edits = Edits::new();
    let mut any = false;
    for root in tree.documents() {
        let number_one = !std::mem::replace(&mut any, true);
        let flow = tree.node(root).site.style == Style::Flow;
        if flow
            && number_one
            && let Some(line) = line_of_braces(tree, root)
            && !is_flow(&parsed)
        {
            let newline = newline_of(tree.source());
            edits.replace(line, &lines_of(&parsed, entry, 0, tree, newline)?);
        } else if flow {
            attach_flow(tree, root, &parsed, entry, block.position, &mut edits)?;
        } else {
            attach_lines(tree, root, &parsed, entry, block.position, &mut edits)?;
        }
    }
    if any { Ok(edits) } else { Err(EmitError::whole("the text has no document")) }
}

/// Returns the line with the braces of a document that is nothing but `{}` and comments.
fn line_of_braces(tree: &Tree, root: NodeId) -> Option<Span> {
    let source = tree.source();
    let braces = tree.node(root).site.properties?;
    let (start, end) = (braces.start as usize, braces.end as usize);
    let line_end = line_end(source, end);
    let line = Span::new(start, line_end + line_break(source, line_end));
    let alone = &source[braces.range()] == b"{}"
        && line_start(source, start) == start
        && source[end..line_end].is_empty()
        && is_bare(&source[..start])
        && is_bare(after(tree, root, line));
    alone.then_some(line)
}

/// Returns whether the first document of `tree` is a flow map.
fn is_flow(tree: &Tree) -> bool {
    tree.documents().next().is_some_and(|root| tree.node(root).site.style == Style::Flow)
}

fn attach_lines(
    tree: &Tree,
    root: NodeId,
    block: &Tree,
    entry: NodeId,
    position: Option<usize>,
    edits: &mut Edits,
) -> Result<(), EmitError> {
    let source = tree.source();
    let newline = newline_of(source);
    let extent = tree.node(root).span.unwrap_or(Span::new(0, source.len()));
    let first = entries(tree, root).next();
    let column = first.map_or(0, |id| tree.node(id).site.indent as usize);
    let lines = lines_of(block, entry, column, tree, newline)?;
    let place = match position {
        Some(0) => first.map(|id| entry_lines(tree, root, id).start as usize),
        Some(number) if entries(tree, root).count() > number => {
            entries(tree, root).nth(number - 1).map(|id| entry_lines(tree, root, id).end as usize)
        }
        _ => None,
    };
    if let Some(place) = place {
        edits.insert(place, &lines);
        return Ok(());
    }
    if first.is_none() {
        remove_null(source, extent, edits);
    }
    let end = extent.end as usize;
    let mut out = SecretBytes::new();
    let closed = end == 0 || matches!(source[end - 1], b'\n' | b'\r');
    if !closed && !close_last_line(tree, root, edits) {
        out.extend_from_slice(newline);
    }
    out.extend_from_slice(&lines);
    edits.insert(end, &out);
    Ok(())
}

/// Removes the null that a document without entries may consist of (`--- ~`), so that a map can
/// take its place.
fn remove_null(source: &[u8], document: Span, edits: &mut Edits) {
    let mut at = document.start as usize;
    while at < document.end as usize {
        let end = line_end(source, at).min(document.end as usize);
        let line = &source[at..end];
        let start = line.len() - line.trim_ascii_start().len();
        let comment = memchr::memchr_iter(b'#', line)
            .find(|&hash| hash == start || matches!(line[hash - 1], b' ' | b'\t'))
            .unwrap_or(line.len());
        let content = line[..comment].trim_ascii();
        // A bare `!` may stand in front of a map as well.
        if !content.is_empty() && content != b"!" && content != b"\xEF\xBB\xBF" {
            edits.remove(Span::new(at + start, at + start + content.len()));
        }
        at = end + line_break(source, end).max(1);
    }
}

/// Returns the lines of the block at `column`, with the line breaks of the text.
fn lines_of(
    block: &Tree,
    entry: NodeId,
    column: usize,
    tree: &Tree,
    newline: &[u8],
) -> Result<SecretBytes, EmitError> {
    let own_column = block.node(entry).site.indent as usize;
    let root = block.documents().next();
    let emitted;
    let (text, shift) = if is_flow(block) || own_column > column {
        let layout = Layout { indent: Some(indent_step(tree) as u32), ..Layout::default() };
        emitted = emit(block, &layout)?;
        (&emitted[..], column)
    } else {
        let lines = root.map_or(Span::default(), |root| entry_lines(block, root, entry));
        (&block.source()[lines.range()], column - own_column)
    };
    Ok(shift_lines(text, shift, newline))
}

/// Keeps the value of a block scalar that ends the text without a line break, because one will
/// follow; returns whether none needs to be added.
pub(in crate::format::yaml) fn close_last_line(
    tree: &Tree,
    root: NodeId,
    edits: &mut Edits,
) -> bool {
    let source = tree.source();
    let nodes = &tree.nodes()[root.index()..tree.node(root).end()];
    let last = nodes
        .iter()
        .rev()
        .filter(|node| !node.kind.is_container() && !node.kind.is_comment())
        .find_map(|node| node.span.map(|span| (span, node.site.style)));
    let Some((span, Style::Literal | Style::Folded)) = last else {
        return false;
    };
    let scalar = BlockScalar::read(source, span);
    if (span.end as usize) < source.trim_ascii_end().len() {
        return false;
    }
    let header = &source[scalar.header.range()];
    if matches!(source[scalar.content.range()], [.., 0xC2, 0x85] | [.., 0xE2, 0x80, 0xA8 | 0xA9]) {
        // These end the line as well: one more line break would count for `+` only.
        return header.contains(&b'+');
    }
    let open = !matches!(source[scalar.content.range()].last(), None | Some(b'\n' | b'\r'));
    if open {
        if !header.contains(&b'-') {
            let mut new: Vec<u8> = header.to_vec();
            new.retain(|&byte| byte != b'+');
            new.push(b'-');
            edits.replace(scalar.header, &new);
        }
        return false;
    }
    // A line of blanks behind the text: a line break behind it would count for `+`.
    let start = line_start(source, source.len());
    if start > scalar.header.end as usize && source[start..].iter().all(|&byte| byte == b' ') {
        edits.remove(Span::new(start, source.len()));
        return true;
    }
    false
}

fn attach_flow(
    tree: &Tree,
    root: NodeId,
    block: &Tree,
    entry: NodeId,
    position: Option<usize>,
    edits: &mut Edits,
) -> Result<(), EmitError> {
    let source = tree.source();
    let no_place = || EmitError::whole("the text has no place for the metadata");
    let braces = tree.node(root).site.properties.ok_or_else(no_place)?;
    let close = (braces.end as usize).checked_sub(1).ok_or_else(no_place)?;
    if source.get(close) != Some(&b'}') {
        return Err(no_place());
    }
    let mut text = SecretBytes::new();
    if is_flow(block) {
        text.extend_from_slice(&block.source()[flow_entry(block, entry).range()]);
    } else {
        write_flow_key(&mut text, block, entry, FlowQuotes::All)?;
        write_flow(&mut text, block, entry, FlowQuotes::All)?;
    }
    if let Some(next) = position.and_then(|number| entries(tree, root).nth(number)) {
        text.extend_from_slice(b", ");
        edits.insert(flow_entry(tree, next).start as usize, &text);
        return Ok(());
    }
    let Some(last) = entries(tree, root).last() else {
        edits.insert(braces.start as usize + 1, &text);
        return Ok(());
    };
    let end = flow_entry(tree, last).end as usize;
    let (comma, comment) = commas_and_comments(&source[end..close]);
    match (comma, comment) {
        (Some(comma), _) => {
            text.push(b',');
            edits.insert(end + comma + 1, &text);
        }
        // Behind the comment, which belongs to the entry before.
        (None, true) => {
            let mut out = SecretBytes::from(", ");
            out.extend_from_slice(&text);
            edits.insert(close, &out);
        }
        (None, false) => {
            let mut out = SecretBytes::from(", ");
            out.extend_from_slice(&text);
            edits.insert(end, &out);
        }
    }
    Ok(())
}

/// Moves comments of the whole document to the first column, and sets the others apart from what
/// follows: a blank line ends what comments are about.
pub(in crate::format::yaml) fn hold_comments(source: &[u8], moved: &[MovedComment]) -> Edits {
    let mut edits = Edits::new();
    let mut apart = None;
    for comment in moved {
        let marker = comment.text.start as usize - 1;
        let start = line_start(source, marker);
        if source[marker] != b'#' || !source[start..marker].iter().copied().all(is_blank) {
            continue;
        }
        if comment.of_document {
            edits.remove(Span::new(start, marker));
            continue;
        }
        let end = lines_end(source, marker, source.len(), 0);
        if apart.replace(end) != Some(end) {
            edits.insert(end, newline_of(source));
        }
    }
    edits
}
