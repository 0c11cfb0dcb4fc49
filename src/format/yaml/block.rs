//! The metadata block of an encrypted text: the root entry `sops`, in every document of a stream.
//!
//! Whole lines are cut out and put in, so that the rest of the text is not touched. In a flow root
//! (`{...}`, JSON above all) it is the entry with its comma.

use super::Yaml;
use super::block_scalar::BlockScalar;
use super::emit::{FlowQuotes, emit, write_flow, write_flow_key};
use super::text::{
    found_indent, indent_step, line_break, line_end, line_start, newline_of, shift_lines,
};
use crate::edits::Edits;
use crate::format::{Block, Detached, DuplicateMetadata, EmitError, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{KeyType, NodeId, Style, Tree};

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

/// Cuts the metadata out of every document; the block is that of the first.
pub(super) fn detach(tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
    let source = tree.source();
    let mut edits = Edits::new();
    let mut first: Option<(SecretBytes, Option<usize>)> = None;
    for (number, root) in tree.documents().enumerate() {
        let Some((position, id)) = find(tree, root)? else {
            if number == 0 {
                return Ok(None);
            }
            continue;
        };
        let entries = entries(tree, root).count();
        let (text, removed) = if tree.node(root).site.style == Style::Flow {
            let entry = flow_entry(tree, id);
            let mut text = SecretBytes::from("{");
            text.extend_from_slice(&source[entry.range()]);
            text.extend_from_slice(b"}\n");
            (text, flow_removal(source, entry))
        } else {
            let lines = entry_lines(tree, root, id);
            let mut text = SecretBytes::from(&source[lines.range()]);
            if !text.ends_with(b"\n") {
                text.extend_from_slice(newline_of(source));
            }
            (text, lines)
        };
        let left = [&source[..removed.start as usize], after(tree, root, removed)];
        let extent_start = tree.node(root).span.map_or(0, |span| span.start as usize);
        let in_front = source.get(extent_start..removed.start as usize).unwrap_or_default();
        let bare = number == 0 && left.iter().all(|text| is_bare(text));
        if bare
            || (entries == 1 && tree.node(root).site.style != Style::Flow && is_tagged(in_front))
        {
            // Without any entry and without a marker there would be no document, and a tag alone
            // is no map.
            let mut empty = SecretBytes::from("{}");
            empty.extend_from_slice(newline_of(source));
            edits.replace(removed, &empty);
        } else {
            edits.remove(removed);
        }
        untab(source, removed.end as usize, &mut edits);
        if first.is_none() {
            first = Some((text, Some(position).filter(|_| position + 1 < entries)));
        }
    }
    Ok(first.map(|(block, position)| Detached { edits, block, position }))
}

/// Makes spaces of the tabs that begin the blank lines and comments at `start`: behind a comment
/// they are skipped with it, behind the value before the metadata they may be refused.
fn untab(source: &[u8], start: usize, edits: &mut Edits) {
    if start > 0 && !is_line_start(source, start) {
        return;
    }
    let mut at = start;
    while at < source.len() {
        let end = line_end(source, at);
        let text = at + source[at..end].iter().take_while(|byte| is_blank(**byte)).count();
        if text < end && source[text] != b'#' {
            return;
        }
        for tab in memchr::memchr_iter(b'\t', &source[at..text]) {
            edits.replace(Span::new(at + tab, at + tab + 1), b" ");
        }
        at = end + line_break(source, end);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns the text of a document behind `removed`.
fn after(tree: &Tree, root: NodeId, removed: Span) -> &[u8] {
    let source = tree.source();
    let end = tree.node(root).span.map_or(source.len(), |span| span.end as usize);
    source.get(removed.end as usize..end).unwrap_or_default()
}

/// Returns whether a text has nothing but blanks and comments.
fn is_bare(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii_start)
        .all(|line| line.is_empty() || line.starts_with(b"#"))
}

/// Returns whether there is a tag in what stands in front of the first entry of a block map: a
/// marker, the properties of the map, and comments.
fn is_tagged(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.starts_with(b"%")).any(
        |line| {
            line.split(|byte| matches!(byte, b' ' | b'\t'))
                .take_while(|word| !word.starts_with(b"#"))
                .any(|word| word.len() > 1 && word.starts_with(b"!"))
        },
    )
}

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

/// Returns where the lines end that hold the text up to `last`, and those of comments below in
/// `column` or farther right.
pub(super) fn lines_end(source: &[u8], last: usize, limit: usize, column: usize) -> usize {
    let mut end = if is_line_start(source, last) {
        last
    } else {
        let end = line_end(source, last);
        end + line_break(source, end)
    };
    let mut at = end;
    while at < limit {
        let line_end = line_end(source, at);
        let line = &source[at..line_end];
        at = line_end + line_break(source, line_end);
        let text = line.trim_ascii_start();
        if text.starts_with(b"#") && line.len() - text.len() >= column {
            end = at;
        } else if !text.is_empty() {
            break;
        }
    }
    end
}

/// Returns whether a line begins at `at`, behind another one.
pub(super) fn is_line_start(source: &[u8], at: usize) -> bool {
    matches!(source[..at].last(), Some(b'\n' | b'\r'))
}

/// Returns the offset after the last byte of a value, which may have many parts; the blank lines
/// behind a block scalar are not counted.
pub(super) fn value_end(tree: &Tree, id: NodeId) -> usize {
    let mut end = 0;
    for node in &tree.nodes()[id.index()..tree.node(id).end()] {
        if node.kind.is_comment() {
            continue;
        }
        let key = node.key.and_then(|key| key.span);
        for span in [key, node.site.properties].into_iter().flatten() {
            end = end.max(span.end as usize);
        }
        let Some(span) = node.span else {
            continue;
        };
        let here = match node.site.style {
            Style::Block if node.kind.is_container() => continue,
            Style::Literal | Style::Folded => {
                let scalar = BlockScalar::read(tree.source(), span);
                if scalar.content.is_empty() { scalar.header.end } else { scalar.content.end }
            }
            _ => span.end,
        };
        end = end.max(here as usize);
    }
    end
}

/// Returns the place of an entry of a flow map, without commas.
pub(super) fn flow_entry(tree: &Tree, id: NodeId) -> Span {
    let node = tree.node(id);
    let end = value_end(tree, id);
    let start = node.key.and_then(|key| key.span).map_or(end, |span| span.start as usize);
    let before = tree.source()[..start].trim_ascii_end();
    let start = if before.ends_with(b"?") { before.len() - 1 } else { start };
    Span::new(start.min(end), end)
}

/// Returns what to remove so that a flow map has no longer the entry at `entry`.
pub(super) fn flow_removal(source: &[u8], entry: Span) -> Span {
    let (start, end) = (entry.start as usize, entry.end as usize);
    let before = source[..start].trim_ascii_end();
    let skip = |from: usize| {
        let rest = &source[from..];
        from + rest.len() - rest.trim_ascii_start().len()
    };
    let after = skip(end);
    // Not one that may be part of a comment: a comma too many before the end is right as well.
    let line = &before[line_start(before, before.len())..];
    let comma_before = before.ends_with(b",") && memchr::memchr(b'#', line).is_none();
    let token = next_token(source, after);
    if token > after && source.get(token) == Some(&b',') {
        // The comments in front of its comma are the entry's.
        return Span::new(start, token + 1);
    }
    if source.get(after) == Some(&b',') {
        let next = skip(after + 1);
        if comma_before && matches!(source.get(next), Some(b'}' | b'#')) {
            return Span::new(start, after + 1);
        }
        return Span::new(start, next);
    }
    if comma_before {
        return Span::new(before.len() - 1, end);
    }
    entry
}

/// Returns where the next thing stands that is neither blank nor a comment.
fn next_token(source: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = source.get(at) {
        match byte {
            b'#' => at = line_end(source, at),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => break,
        }
    }
    at
}

/// Puts `block` into every document of the text.
pub(super) fn attach(tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
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
pub(super) fn close_last_line(tree: &Tree, root: NodeId, edits: &mut Edits) -> bool {
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

/// Looks through what stands between the last entry of a flow map and its `}`: returns the offset
/// of a comma, and whether there are comments.
pub(super) fn commas_and_comments(text: &[u8]) -> (Option<usize>, bool) {
    let mut at = 0;
    let mut comment = false;
    let mut comma = None;
    while at < text.len() {
        match text[at] {
            b'#' => {
                comment = true;
                at = line_end(text, at);
            }
            b',' if comma.is_none() => comma = Some(at),
            _ => {}
        }
        at += 1;
    }
    (comma, comment)
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

#[cfg(test)]
mod tests {
    use super::super::testing::{parse, text_of};
    use super::*;

    const BLOCK: &str = "sops:\n  mac: x\n  age:\n    - enc: |\n        y\n";

    fn attached(source: &str, position: Option<usize>) -> String {
        let tree = parse(source);
        let block = Block { text: BLOCK.as_bytes(), position };
        let edits = attach(&tree, &block).unwrap();
        let text = text_of(&edits.apply(tree.source()));
        let with = parse(&text);
        for root in with.documents() {
            assert!(with.entry(root, KEY).is_some(), "{text}");
        }
        text
    }

    /// Returns the text without the metadata, the metadata, and its position.
    fn detached(source: &str) -> (String, String, Option<usize>) {
        let tree = parse(source);
        let found = detach(&tree).unwrap().unwrap();
        let block = text_of(&found.block);
        assert!(parse(&block).documents().count() == 1);
        (text_of(&found.edits.apply(tree.source())), block, found.position)
    }

    #[test]
    fn a_block_goes_to_the_end_of_each_document() {
        for (source, expected) in [
            ("a: 1\n", "a: 1\n<>"),
            ("a: 1", "a: 1\n<>"),
            ("a: 1\n# end\n", "a: 1\n# end\n<>"),
            ("a: 1\n---\nb: 2\n...\n", "a: 1\n<>---\nb: 2\n<>...\n"),
            ("---\n", "---\n<>"),
            ("---", "---\n<>"),
            ("--- # c\n...\n", "--- # c\n<>...\n"),
            ("~\n", "\n<>"),
            ("# x\n--- null # y\n", "# x\n---  # y\n<>"),
            ("--- !!null ~\n...\n", "--- \n<>...\n"),
            ("---\n~", "---\n\n<>"),
            ("{}\n", "<>"),
            ("# c\n{}\n", "# c\n<>"),
            ("a: |\n  x", "a: |-\n  x\n<>"),
            ("a: |+\n  x\n\n", "a: |+\n  x\n\n<>"),
            ("a: |+\n  x\n  ", "a: |+\n  x\n<>"),
            ("a: >-\n  x", "a: >-\n  x\n<>"),
        ] {
            let ours = attached(source, None);
            assert_eq!(ours.replace(BLOCK, "<>"), expected, "{source:?}");
        }
        assert_eq!(
            attached("  a: 1\n", None),
            "  a: 1\n  sops:\n    mac: x\n    age:\n      - enc: |\n          y\n"
        );
        assert_eq!(attached("a: 1\r\n", None), format!("a: 1\n{BLOCK}").replace('\n', "\r\n"));
    }

    #[test]
    fn a_block_in_braces_is_a_flow_map() {
        let flow = "\"sops\": {\"mac\": \"x\", \"age\": [{\"enc\": \"y\\n\"}]}";
        for (source, position, expected) in [
            ("{\"a\": 1}\n", None, "{\"a\": 1, <>}\n"),
            ("{a: 1,}\n", None, "{a: 1,<>,}\n"),
            ("{a: 1 # c\n}\n", None, "{a: 1 # c\n, <>}\n"),
            ("{\n  \"a\": 1\n}\n", None, "{\n  \"a\": 1, <>\n}\n"),
            ("--- {}\n", None, "--- {<>}\n"),
            ("{a: 1, b: 2}\n", Some(1), "{a: 1, <>, b: 2}\n"),
            ("{a: 1, b: 2}\n", Some(0), "{<>, a: 1, b: 2}\n"),
        ] {
            let ours = attached(source, position);
            assert_eq!(ours.replace(flow, "<>"), expected, "{source:?}");
            let (text, block, found) = detached(&ours);
            assert_eq!(text, source);
            assert_eq!(block, format!("{{{flow}}}\n"));
            assert_eq!(found, position);
        }
    }

    #[test]
    fn a_block_keeps_its_position() {
        for (source, position) in [
            ("<># c\na: 1\n", Some(0)),
            ("a: 1 # c\n<># d\nb: 2\n", Some(1)),
            ("a:\n  - 1\n  # c\n<>b: 2\n", Some(1)),
            ("a: 1\n<>", None),
            ("a: 1\n<># end\n", None),
        ] {
            let text = source.replace("<>", BLOCK);
            let (rest, block, found) = detached(&text);
            assert_eq!(rest, source.replace("<>", ""), "{source:?}");
            assert_eq!(block, BLOCK);
            assert_eq!(found, position, "{source:?}");
            if position != Some(0) && !source.ends_with("end\n") {
                assert_eq!(attached(&rest, found), text);
            }
        }
    }

    #[test]
    fn comments_of_the_block_go_with_it() {
        let (rest, block, _) = detached("a: 1\nsops: # x\n  # y\n  mac: x\n\n  # z\n# end\n");
        assert_eq!(rest, "a: 1\n# end\n");
        assert_eq!(block, "sops: # x\n  # y\n  mac: x\n\n  # z\n");
    }

    #[test]
    fn what_is_left_parses_whatever_blanks_follow() {
        let pieces = ["\n", "\r", "\t", "#c", "   #d"];
        for front in ["", "a: x\n", "a:\n  b: \"x\"\n", "a:\n- x\n"] {
            for number in 0..pieces.len().pow(5) {
                let chosen =
                    (0..5).map(|place| pieces[number / pieces.len().pow(place) % pieces.len()]);
                let blanks: String = chosen.collect();
                let text = format!("{front}sops:\n{blanks}\rb: 1\n");
                let Ok(tree) = Yaml.parse(SecretBytes::from(&*text)) else { continue };
                let Some(found) = detach(&tree).unwrap() else { continue };
                let rest = found.edits.apply(tree.source());
                assert!(Yaml.parse(rest).is_ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_left_in_braces_parses_whatever_stands_around_it() {
        let pieces = ["", " # c\n", "\r# d,\n", ","];
        for front in ["", "a: 1", "a: 1,", "a: 1 # e,\n,", "a: 1, # e\n"] {
            for entry in ["sops:", "sops: {mac: x}", "? sops\n"] {
                for number in 0..pieces.len().pow(4) {
                    let piece = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
                    let (before, behind, comma, last) = (piece(0), piece(1), piece(2), piece(3));
                    for rest in ["", "b: 2"] {
                        let text =
                            format!("{{{front}{before}{entry}{behind}{comma}{last}{rest}}}\n");
                        let Ok(tree) = Yaml.parse(SecretBytes::from(&*text)) else { continue };
                        let Some(found) = detach(&tree).unwrap() else { continue };
                        let rest = found.edits.apply(tree.source());
                        assert!(Yaml.parse(rest).is_ok(), "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_document_of_metadata_alone_becomes_empty() {
        assert_eq!(detached(BLOCK).0, "{}\n");
        assert_eq!(detached(&format!("---\n{BLOCK}")).0, "---\n");
        assert_eq!(detached(&format!("# c\n{BLOCK}---\n{BLOCK}")).0, "# c\n{}\n---\n");
    }

    #[test]
    fn a_tag_in_front_of_metadata_alone_keeps_a_map() {
        for front in ["!+\n", "--- !x # !c\n", "%TAG ! !x\n---\n!y &a\n# c\n", "\u{FEFF}!<x>\n"] {
            let (rest, _, _) = detached(&format!("{front}{BLOCK}"));
            assert_eq!(rest, format!("{front}{{}}\n"));
            assert_eq!(detached(&attached(&rest, None)).0, rest);
        }
        for front in ["!\n", "&a\n", "# !c\n---\n", "--- # !c\n", "%TAG ! !x\n---\n"] {
            assert_eq!(detached(&format!("{front}{BLOCK}")).0, front);
        }
    }

    #[test]
    fn what_stands_in_front_of_metadata_alone_is_a_document_without_it() {
        for marker in ["", "---\n", "--- ", "# c\n---\t", "%TAG ! !x\n--- "] {
            for properties in ["", "!", "!x", "!!map", "&a", "! &a", "!x &a", "&a\t!x", "&a\n!x"] {
                for comment in ["\n", " # !c\n", "\n# !c\n\n"] {
                    for behind in ["", "  # !d\n", "...\n", "---\na: !x 1\n"] {
                        let front = format!("{marker}{properties}{comment}");
                        for before in ["", &format!("{BLOCK}---\nb: 1\n...\n")] {
                            let text = format!("{before}{front}{BLOCK}{behind}");
                            if Yaml.parse(SecretBytes::from(&*text)).is_err() {
                                continue;
                            }
                            let count = parse(&text).documents().count();
                            let (rest, _, _) = detached(&text);
                            assert_eq!(parse(&rest).documents().count(), count, "{text}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn texts_without_metadata_are_told_apart() {
        assert!(detach(&parse("a: {sops: 1}\n")).unwrap().is_none());
        assert!(detach(&parse("")).unwrap().is_none());
        let block = Block { text: BLOCK.as_bytes(), position: None };
        assert!(attach(&parse(""), &block).is_err());
    }

    #[test]
    fn only_texts_with_a_root_entry_are_sniffed() {
        for (text, expected) in [
            ("a: 1\nsops:\n  mac: x\n", true),
            ("\u{FEFF}sops: {}\n", true),
            ("\"sops\" : {}\n", true),
            ("'sops': {}\r\n", true),
            ("# c\n--- {a: 1, sops: {}}\n", true),
            ("{\"sops\":{}}", true),
            ("a:\n  sops: 1\n", false),
            ("sops_age: 1\n", false),
            ("sops\n", false),
            ("\"sops: x\n", false),
            ("", false),
        ] {
            assert_eq!(sniff(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn the_layout_is_that_of_the_text() {
        let layout = |text| layout_of(&parse(text), &Layout::default());
        assert_eq!(layout("a:\n  b: 1\n").indent, Some(2));
        assert_eq!(layout("a:\n- b:\n     c: 1\n").indent, Some(3));
        assert_eq!(layout("a: 1\n").indent, None);
        assert!(layout("a: 1\r\n").crlf);
    }
}
