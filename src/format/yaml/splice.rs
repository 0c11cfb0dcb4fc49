//! Changed values written over their own bytes.
//!
//! A value keeps the style it has in the text as far as its new content allows; nothing around it
//! moves. What is *not* local: an alias stands for the text of its anchor, so that it is written
//! out when either of the two changes; and a comment that stands as a list member (the way in
//! which SOPS writes encrypted comments of lists) becomes a real comment.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::block_scalar::BlockScalar;
use super::emit::{
    FlowQuotes, comment_text, write_flow, write_flow_text, write_one_line, write_scalar,
};
use super::properties::{Tag, tag_of};
use super::style::{
    Escapes, Shape, chomping, looks_typed, style_of, write_double, write_lines, write_single,
    write_spaces,
};
use super::text::{indent_step, line_break, line_end, newline_of, without_break};
use crate::edits::Edits;
use crate::format::{Change, EmitError};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind, Step, Style, Tree, Value};

/// Returns the edits that write the changed leaves.
pub(super) fn splice(tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
    let mut splicer = Splicer::new(tree);
    splicer.edits = Edits::with_capacity(changes.len() + 1, room(tree, changes));
    splicer.aliases(changes.iter().map(|change| change.id.index()))?;
    for change in changes {
        splicer.change(change)?;
    }
    Ok(splicer.edits)
}

/// Returns the edits that write out the aliases which a change of the nodes `touched` would
/// concern: those that hold one of them, and those whose anchor does.
pub(super) fn write_out_aliases(tree: &Tree, touched: Range<usize>) -> Result<Edits, EmitError> {
    let mut splicer = Splicer::new(tree);
    splicer.aliases(touched)?;
    Ok(splicer.edits)
}

struct Splicer<'t> {
    tree: &'t Tree,
    source: &'t [u8],
    edits: Edits,
    newline: &'static [u8],
    step: usize,
    /// The ends of the lists that have nothing but comments, once they are needed.
    hollow_list_ends: Option<HashSet<usize>>,
}

impl<'t> Splicer<'t> {
    fn new(tree: &'t Tree) -> Splicer<'t> {
        Splicer {
            tree,
            source: tree.source(),
            edits: Edits::new(),
            newline: newline_of(tree.source()),
            step: indent_step(tree),
            hollow_list_ends: None,
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), EmitError> {
        let node = self.tree.node(change.id);
        // Copies made for an alias are written with the alias.
        let Some(span) = node.span else {
            return Ok(());
        };
        if let Some(text) = change.verbatim {
            self.verbatim(node, span, self.tree.text(text));
            return Ok(());
        }
        if node.kind.is_comment() {
            let text = one_line_comment(self.tree, change.id)?;
            if self.source[span.range()].starts_with(b"#") {
                let text_span = Span::new(span.start as usize + 1, span.end as usize);
                self.edits.replace(text_span, text.as_bytes());
                return Ok(());
            }
            self.member_to_comment(change.id, node, span, text);
            return Ok(());
        }
        self.leaf(change.id, node, span);
        Ok(())
    }

    /// Writes the value of a leaf over `span`.
    fn leaf(&mut self, id: NodeId, node: &Node, span: Span) {
        let tag = self.adapt_tag(id, node, span);
        if matches!(node.site.style, Style::Literal | Style::Folded) {
            self.over_block_scalar(id, node, span, tag);
        } else {
            self.over_token(id, node, span, tag);
        }
    }

    /// Removes a tag that does not go with the new value; returns what stays.
    fn adapt_tag(&mut self, id: NodeId, node: &Node, span: Span) -> Tag {
        let Some((tag, place)) = node
            .site
            .properties
            .filter(|_| node.site.style != Style::Alias)
            .and_then(|properties| tag_of(self.source, properties))
        else {
            return Tag::None;
        };
        let text = match self.tree.value(id) {
            Some(Value::Text(bytes)) => Some(std::str::from_utf8(bytes).is_ok()),
            _ => None,
        };
        let stays = match (tag, text) {
            // Bytes that are no text get a tag of their own.
            (_, Some(false)) | (Tag::Typed, _) => false,
            (Tag::Text, utf8) => utf8.is_some(),
            (Tag::None | Tag::Integer | Tag::Float | Tag::Boolean | Tag::Time, Some(_)) => {
                tag == Tag::None
            }
            (Tag::None, None) => true,
            (tag, None) => matches!(
                (tag, node.kind),
                (Tag::Integer, NodeKind::Integer(_) | NodeKind::Unsigned(_))
                    | (Tag::Float, NodeKind::Float(_) | NodeKind::Integer(_))
                    | (Tag::Boolean, NodeKind::Boolean(_))
                    | (Tag::Time, NodeKind::Time(_))
            ),
        };
        if stays {
            return tag;
        }
        self.remove_tag(place, span);
        Tag::None
    }

    fn remove_tag(&mut self, tag: Span, value: Span) {
        let mut end = tag.end as usize;
        while end < value.start as usize && matches!(self.source[end], b' ' | b'\t') {
            end += 1;
        }
        self.edits.remove(Span::new(tag.start as usize, end));
    }

    /// Writes over plain text, quotes or an alias.
    fn over_token(&mut self, id: NodeId, node: &Node, span: Span, tag: Tag) {
        let text = match self.tree.value(id) {
            Some(Value::Text(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        self.set_apart(node, span);
        let spelling = match text {
            None => Spelling::Scalar,
            Some(text) => spelling(text, node, tag),
        };
        if let (Spelling::Quoted(shape), Some(text)) = (spelling, text)
            && style_of(text, shape) == Style::Literal
            && self.literal_fits(node, span, text)
        {
            self.literal(node, span, text);
            return;
        }
        let (tree, source) = (self.tree, self.source);
        let mut quoted = false;
        self.edits.replace_with(span, |out| {
            let start = out.len();
            match (spelling, text) {
                (Spelling::Plain, Some(text)) => out.extend_from_slice(text.as_bytes()),
                (Spelling::Single, Some(text)) => write_single(out, text),
                (Spelling::Double, Some(text)) => write_double(out, text, Escapes::Few),
                (Spelling::Quoted(shape), Some(text)) => write_quoted(out, text, shape),
                (_, _) => write_scalar(out, tree, id),
            }
            guard(out, start, source, span.end as usize);
            quoted = matches!(out.get(start), Some(b'"' | b'\''));
        });
        if node.site.style == Style::Plain && quoted {
            self.untab(span.end as usize);
        }
    }

    /// Makes spaces of the tabs that begin the blank line or comment below: behind plain text they
    /// are skipped with it, behind quotes they are refused.
    fn untab(&mut self, end: usize) {
        let end = line_end(self.source, end);
        let below = end + line_break(self.source, end);
        let blanks =
            self.source[below..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let lines = Span::new(below, below + blanks);
        if memchr::memchr(b'\t', &self.source[lines.range()]).is_none() {
            return;
        }
        for at in lines.range() {
            if self.source[at] == b'\t' {
                self.edits.replace(Span::new(at, at + 1), b" ");
            }
        }
    }

    /// Sets a value apart that follows its anchor without a blank, as `:b` does in `&a:b`.
    fn set_apart(&mut self, node: &Node, span: Span) {
        if node.site.properties.is_some_and(|properties| properties.end == span.start) {
            self.edits.insert(span.start as usize, b" ");
        }
    }

    /// Returns whether a literal block can begin at `span`: the lines below must not become part
    /// of it.
    fn literal_fits(&self, node: &Node, span: Span, text: &str) -> bool {
        let end = line_end(self.source, span.end as usize);
        let rest = self.source[span.end as usize..end].trim_ascii_start();
        if !(rest.is_empty() || rest.starts_with(b"#")) {
            return false;
        }
        let column = self.inner_column(node);
        let mut at = end + line_break(self.source, end);
        let mut blank_lines = false;
        while at < self.source.len() {
            let end = line_end(self.source, at);
            let line = &self.source[at..end];
            let indent = line.iter().take_while(|&&byte| byte == b' ').count();
            if !line.trim_ascii_start().is_empty() {
                if indent > node.site.indent as usize {
                    return false;
                }
                break;
            }
            // Blanks beyond the column of the text would be text.
            if line.len() > column || line.contains(&b'\t') {
                return false;
            }
            blank_lines = true;
            at = end + line_break(self.source, end);
        }
        // With `+`, blank lines below would count.
        !(blank_lines && chomping(text) == "+")
    }

    /// Returns the column for the lines of a literal block, as SOPS chooses it.
    fn inner_column(&self, node: &Node) -> usize {
        let outside = node.site.indent as usize;
        if node.key.is_none() { outside + 2 } else { (outside + self.step) / self.step * self.step }
    }

    /// Writes a literal block: its header over `span`, its lines behind the line and its comment.
    fn literal(&mut self, node: &Node, span: Span, text: &str) {
        let mut header = SecretBytes::from("|");
        header.extend_from_slice(chomping(text).as_bytes());
        guard(&mut header, 0, self.source, span.end as usize);
        self.edits.replace(span, &header);
        let indent = self.inner_column(node);
        let end = line_end(self.source, span.end as usize);
        let mut lines = SecretBytes::new();
        write_lines(&mut lines, text, indent, self.newline);
        if end == self.source.len() && text.ends_with('\n') {
            lines.extend_from_slice(self.newline);
        }
        self.edits.insert(end, &lines);
    }

    fn over_block_scalar(&mut self, id: NodeId, node: &Node, span: Span, tag: Tag) {
        let scalar = BlockScalar::read(self.source, span);
        let text = match self.tree.value(id) {
            Some(Value::Text(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        let mut out = SecretBytes::new();
        if let Some(text) = text {
            if scalar.rewrite(&mut self.edits, self.source, text) {
                return;
            }
            let shape = Shape::of(text);
            if shape.reads_plain() && (tag == Tag::Text || !looks_typed(text)) {
                out.extend_from_slice(text.as_bytes());
            } else {
                write_quoted(&mut out, text, shape);
            }
        } else {
            write_scalar(&mut out, self.tree, id);
        }
        self.reindent(node, span);
        guard(&mut out, 0, self.source, scalar.header.end as usize);
        self.edits.replace(scalar.header, &out);
        self.edits.remove(scalar.content);
    }

    /// Moves a value on a line of its own to the right, if it stands so far left that only a block
    /// scalar may stand there.
    fn reindent(&mut self, node: &Node, span: Span) {
        let start =
            node.site.properties.map_or(span.start, |properties| properties.start.min(span.start))
                as usize;
        let spaces = self.source[..start].iter().rev().take_while(|&&byte| byte == b' ').count();
        let line_start = start - spaces;
        let own_line = line_start == 0 || matches!(self.source[line_start - 1], b'\n' | b'\r');
        let indent = node.site.indent as usize;
        if own_line && spaces <= indent {
            let mut out = SecretBytes::new();
            write_spaces(&mut out, indent + 2 - spaces);
            self.edits.insert(start, &out);
        }
    }

    /// Turns the list member at `span`, which is a comment now, into one.
    fn member_to_comment(&mut self, id: NodeId, node: &Node, span: Span, text: &str) {
        let mut comment = SecretBytes::from("#");
        comment.extend_from_slice(text.as_bytes());
        let start =
            node.site.properties.map_or(span.start, |properties| properties.start.min(span.start))
                as usize;
        let indent = node.site.indent as usize;
        let mut new_line = SecretBytes::from(self.newline);
        write_spaces(&mut new_line, indent + 2);
        if node.site.flow {
            // The comment ends with its line, and the comma behind the member goes.
            comment.extend_from_slice(&new_line);
            if !self.source[..start].ends_with(b" ") {
                self.edits.insert(start, b" ");
            }
            self.edits.replace(Span::new(start, span.end as usize), &comment);
            let blanks = self.source[span.end as usize..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let comma = span.end as usize + blanks;
            if self.source.get(comma) == Some(&b',') {
                self.edits.remove(Span::new(comma, comma + 1));
            }
            return;
        }
        let before = self.source[..start].trim_ascii_end();
        let dash = match before.last() {
            Some(b'-') => before.len() - 1,
            _ => start,
        };
        if self.is_last_of_hollow_list(id) {
            // Without members the list would be null.
            comment.extend_from_slice(&new_line);
            comment.extend_from_slice(b"[]");
        }
        self.edits.replace(Span::new(dash, span.end as usize), &comment);
    }

    /// Returns whether `id` is the last member of a list that has nothing but comments.
    fn is_last_of_hollow_list(&mut self, id: NodeId) -> bool {
        let tree = self.tree;
        self.hollow_list_ends
            .get_or_insert_with(|| hollow_list_ends(tree))
            .contains(&(id.index() + 1))
    }

    /// Writes `text` in place of the leaf.
    fn verbatim(&mut self, node: &Node, span: Span, text: &[u8]) {
        let bare = text.strip_prefix(b"\"").unwrap_or(text);
        let bare = bare.strip_prefix(b"'").unwrap_or(bare);
        if bare.starts_with(SEALED)
            && let Some((tag, place)) =
                node.site.properties.and_then(|properties| tag_of(self.source, properties))
            && !matches!(tag, Tag::None | Tag::Text)
        {
            self.remove_tag(place, span);
        }
        let block = matches!(text.first(), Some(b'|' | b'>'))
            .then(|| memchr::memchr2(b'\n', b'\r', text))
            .flatten();
        let old = matches!(node.site.style, Style::Literal | Style::Folded)
            .then(|| BlockScalar::read(self.source, span));
        match (old, block) {
            (None, None) => {
                self.edits.replace(span, text);
                if node.site.style == Style::Plain && text.starts_with(b"\"") {
                    self.untab(span.end as usize);
                }
            }
            (Some(old), None) => {
                self.reindent(node, span);
                self.edits.replace(old.header, text);
                self.edits.remove(old.content);
            }
            (old, Some(end)) => {
                // A comment in the header is a node of its own and stays where it is.
                let header = &text[..end];
                let header = &header[..memchr::memchr2(b' ', b'\t', header).unwrap_or(end)];
                if let Some(old) = old {
                    let mut lines = &text[end + line_break(text, end)..];
                    if !matches!(self.source[span.range()].last(), Some(b'\n' | b'\r')) {
                        lines = without_break(lines);
                    }
                    self.edits.replace(old.header, header);
                    let whole = Span::new(old.content.start as usize, span.end as usize);
                    self.edits.replace(whole, lines);
                } else {
                    let at = line_end(self.source, span.end as usize);
                    let mut lines = &text[end..];
                    if at < self.source.len() {
                        lines = without_break(lines);
                    }
                    self.edits.replace(span, header);
                    self.edits.insert(at, lines);
                }
            }
        }
    }

    /// Writes out the aliases, as values and as keys, whose anchor no longer holds what they
    /// stand for.
    fn aliases(&mut self, changed: impl Iterator<Item = usize>) -> Result<(), EmitError> {
        let nodes = self.tree.nodes();
        let is_alias = |node: &Node| node.site.style == Style::Alias && node.span.is_some();
        let alias_key = |node: &Node| {
            let span = node.key.and_then(|key| key.span)?;
            self.source[span.range()].starts_with(b"*").then_some(span)
        };
        if !nodes.iter().any(|node| is_alias(node) || alias_key(node).is_some()) {
            return Ok(());
        }
        let mut touched = vec![false; nodes.len()];
        for index in changed {
            touched[index] = true;
        }
        let touched_before = running_count(&touched);
        // How many of the nodes so far are changed or are aliases to be written out.
        let mut dirty_before = Vec::with_capacity(nodes.len() + 1);
        dirty_before.push(0u32);
        let mut anchors: HashMap<&[u8], (usize, usize)> = HashMap::new();
        for step in self.tree.walk(None) {
            let (Step::Enter(id) | Step::Leaf(id)) = step else {
                continue;
            };
            let index = id.index();
            let node = self.tree.node(id);
            let dirty = |name: Span| {
                let name = &self.source[name.start as usize + 1..name.end as usize];
                anchors
                    .get(name)
                    .is_some_and(|&(start, end)| dirty_before[end.min(index)] > dirty_before[start])
            };
            let mut write_out = false;
            if let Some(span) = alias_key(node)
                && dirty(span)
                && let Some(key) = self.tree.key(id).and_then(|key| std::str::from_utf8(key).ok())
            {
                let mut out = SecretBytes::new();
                write_flow_text(&mut out, key, FlowQuotes::All);
                self.edits.replace(span, &out);
            }
            if let Some(span) = node.span
                && is_alias(node)
            {
                // A scalar that is changed itself is written with its value.
                let first = index + usize::from(!node.kind.is_container());
                write_out = dirty(span) || touched_before[node.end()] > touched_before[first];
                if write_out && node.kind.is_container() {
                    let mut out = SecretBytes::new();
                    write_flow(&mut out, self.tree, id, FlowQuotes::Needed)?;
                    self.edits.replace(span, &out);
                } else if write_out && !touched[index] {
                    self.over_token(id, node, span, Tag::None);
                }
            } else if node.span.is_some()
                && let Some(properties) = node.site.properties
                && let Some(name) = anchor_of(self.source, properties)
            {
                anchors.insert(name, (index, node.end()));
            }
            dirty_before.push(dirty_before[index] + u32::from(touched[index] || write_out));
        }
        Ok(())
    }
}

/// What an encrypted value begins with. A format does not read it; but a line break that a block
/// scalar adds behind it means nothing to anyone, and no typed tag can stand in front of it.
pub(super) const SEALED: &[u8] = b"ENC[AES256_GCM,data:";

/// How a value is written over a token.
#[derive(Clone, Copy)]
enum Spelling {
    /// A value that is no text.
    Scalar,
    /// Without quotes.
    Plain,
    /// Between single quotes.
    Single,
    /// Between double quotes.
    Double,
    /// In the quotes that SOPS would use, or as a literal block.
    Quoted(Shape),
}

/// Returns how to write `text` over the token of `node`.
fn spelling(text: &str, node: &Node, tag: Tag) -> Spelling {
    match node.site.style {
        Style::SingleQuoted if Shape::of(text).reads_single() => Spelling::Single,
        Style::SingleQuoted | Style::DoubleQuoted => Spelling::Double,
        _ => {
            let shape = Shape::of(text);
            // As SOPS would: what other readers stumble over, as a tab, gets quotes.
            let plain = shape.writes_plain() && (!node.site.flow || shape.reads_plain_in_flow());
            if plain && (tag == Tag::Text || !looks_typed(text)) {
                Spelling::Plain
            } else if node.site.flow {
                Spelling::Double
            } else {
                Spelling::Quoted(shape)
            }
        }
    }
}

/// Sets a comment apart that follows what was written from `start` on without a blank: behind
/// quotes it may stand so, behind plain text it would belong to it.
fn guard(out: &mut SecretBytes, start: usize, source: &[u8], end: usize) {
    let written = &out[start..];
    if source.get(end) == Some(&b'#') && !written.ends_with(b"\"") && !written.ends_with(b"'") {
        out.push(b' ');
    }
}

/// Returns how many bytes the new values have, and some for quotes.
fn room(tree: &Tree, changes: &[Change]) -> usize {
    let text = |change: &Change| match tree.node(change.id).kind {
        NodeKind::Text(text) | NodeKind::Comment { text, .. } => tree.text(text).len(),
        _ => 0,
    };
    changes.iter().map(|change| text(change) + 8).sum()
}

/// Returns the text of a comment, which must be one line.
fn one_line_comment(tree: &Tree, id: NodeId) -> Result<&str, EmitError> {
    let text = comment_text(tree, id)?;
    if text.contains(['\n', '\r']) {
        return Err(EmitError::at(tree, id, "a comment has several lines"));
    }
    Ok(text)
}

/// Appends a text that cannot be plain, on one line.
fn write_quoted(out: &mut SecretBytes, text: &str, shape: Shape) {
    match style_of(text, shape) {
        Style::SingleQuoted => write_one_line(out, text, Style::SingleQuoted),
        _ => write_double(out, text, Escapes::Sops),
    }
}

/// Returns the ends of the lists that have members, and all of them comments.
fn hollow_list_ends(tree: &Tree) -> HashSet<usize> {
    tree.walk(None)
        .filter_map(|step| match step {
            Step::Enter(id) if tree.node(id).kind == NodeKind::List => Some(id),
            _ => None,
        })
        .filter(|&id| {
            let mut members = tree.children(id);
            members.all(|member| tree.node(member).kind.is_comment())
        })
        .map(|id| tree.node(id).end())
        .collect()
}

/// Returns the name of the anchor in the properties of a node.
fn anchor_of(source: &[u8], properties: Span) -> Option<&[u8]> {
    super::properties::words(source, properties)
        .map(|span| &source[span.range()])
        .find_map(|word| word.strip_prefix(b"&"))
}

/// Returns for each position how many flags in front of it are set.
fn running_count(flags: &[bool]) -> Vec<u32> {
    let mut counts = Vec::with_capacity(flags.len() + 1);
    counts.push(0);
    let mut count = 0;
    for &flag in flags {
        count += u32::from(flag);
        counts.push(count);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::Yaml;
    use super::super::testing::{change_all, parse, text_of};
    use super::*;
    use crate::format::FileFormat as _;

    const ENC: &str = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]";

    /// Writes `E` for the sealed value, so that tables stay readable.
    fn short(text: &str) -> String {
        text.replace(ENC, "E")
    }

    fn long(text: &str) -> String {
        text.replace("<E>", ENC)
    }

    /// Replaces every value and comment by the sealed text.
    fn sealed(source: &str) -> String {
        let mut tree = parse(source);
        let changes = change_all(&mut tree, |tree, id| match tree.node(id).kind {
            NodeKind::Comment { inline, .. } => {
                let text = tree.intern(ENC.as_bytes());
                Some(NodeKind::Comment { text, inline })
            }
            NodeKind::Null | NodeKind::Map | NodeKind::List => None,
            NodeKind::Text(text) if tree.text(text).is_empty() => None,
            _ => Some(NodeKind::Text(tree.intern(ENC.as_bytes()))),
        });
        let edits = Yaml.splice(&tree, &changes).unwrap();
        text_of(&edits.apply(tree.source()))
    }

    /// Replaces every sealed value by `kind`.
    fn opened(source: &str, value: impl Fn(&mut Tree) -> NodeKind) -> String {
        let mut tree = parse(&long(source));
        let changes = change_all(&mut tree, |tree, id| match tree.node(id).kind {
            NodeKind::Text(text) if tree.text(text).starts_with(SEALED) => Some(value(tree)),
            _ => None,
        });
        let edits = Yaml.splice(&tree, &changes).unwrap();
        text_of(&edits.apply(tree.source()))
    }

    fn opened_text(source: &str, text: &str) -> String {
        opened(source, |tree| NodeKind::Text(tree.intern(text.as_bytes())))
    }

    #[test]
    fn sealing_keeps_the_style_and_what_is_around() {
        for (source, expected) in [
            ("a: x\n", "a: E\n"),
            ("a:   x   # c\n", "a:   E   #E\n"),
            ("a: 'x'\nb: \"y\"\n", "a: 'E'\nb: \"E\"\n"),
            ("a: [x, 'y', \"z\"]\n", "a: [\"E\", 'E', \"E\"]\n"),
            ("a: 1\nb: true\nc: ~\nd: ''\n", "a: E\nb: E\nc: ~\nd: ''\n"),
            ("a: two\n  lines\nb: 1\n", "a: E\nb: E\n"),
            ("a: |\n  x\n  y\n\nb: 1\n", "a: |\n  E\n\nb: E\n"),
            ("a: >- # c\n\n    x\n    y\n", "a: >- #E\n    E\n"),
            ("a: |2- # c\n    x\nb: 1\n", "a: E #E\nb: E\n"),
            ("a: |\n  x", "a: |\n  E"),
            ("a: !!int 5\nb: !!str 5\nc: !x 5\n", "a: E\nb: !!str E\nc: !x E\n"),
            ("a: &n !!float 5\nb: !!bool &m true\n", "a: &n E\nb: &m E\n"),
            ("a: &n x\nb: *n\nc: [*n]\n", "a: &n E\nb: E\nc: [\"E\"]\n"),
            (
                "a: &n {x: 1, y: [2, ~]}\nb: *n\nc:\n  <<: *n\n",
                "a: &n {x: \"E\", y: [\"E\", ~]}\nb: {x: \"E\", \"y\": [\"E\", null]}\nc:\n  \
                 <<: {x: \"E\", \"y\": [\"E\", null]}\n",
            ),
            ("a: &n x\n*n : 1\n", "a: &n E\n\"x\" : E\n"),
            ("- 1\n", ""),
            ("l:\n- a # c\n# d\n- b\n", "l:\n- E #E\n#E\n- E\n"),
            ("a: x\r\nb: |\r\n  y\r\n", "a: E\r\nb: |\r\n  E\r\n"),
        ] {
            if expected.is_empty() {
                continue;
            }
            assert_eq!(short(&sealed(source)), expected, "{source:?}");
        }
    }

    #[test]
    fn opening_writes_texts_that_read_back() {
        for (source, text, expected) in [
            ("a: <E>\n", "x", "a: x\n"),
            ("a: <E>\n", "1", "a: \"1\"\n"),
            ("a: <E>\n", "yes", "a: \"yes\"\n"),
            ("a: <E>\n", "#x", "a: '#x'\n"),
            ("a: <E>\n", "a\u{1F600}", "a: \"a\\U0001F600\"\n"),
            ("a: <E>\n", "a\tb", "a: \"a\\tb\"\n"),
            ("a: <E> # c\n", "x\ny\n", "a: | # c\n    x\n    y\n"),
            ("a: <E> # c\n", "x\ny", "a: |- # c\n    x\n    y\n"),
            ("a: <E>", "x\ny\n", "a: |\n    x\n    y\n"),
            ("a: <E>", "x\ny", "a: |-\n    x\n    y"),
            ("a: <E>\n", "x\n\n", "a: |+\n    x\n\n"),
            ("a: <E>\n\nb: 1\n", "x\n\n", "a: \"x\\n\\n\"\n\nb: 1\n"),
            ("a:\n  b: <E>\n", "x\ny\n", "a:\n  b: |\n    x\n    y\n"),
            ("a:\n- <E>\n", "x\ny\n", "a:\n- |\n  x\n  y\n"),
            ("a: <E>\n   # deep\n", "x\ny\n", "a: \"x\\ny\\n\"\n   # deep\n"),
            ("a: <E>\n", " x\ny\n", "a: \" x\\ny\\n\"\n"),
            ("a: '<E>'\n", "it's", "a: 'it''s'\n"),
            ("a: '<E>'\n", "x\ny", "a: \"x\\ny\"\n"),
            ("a: \"<E>\"\n", "x\ny\u{1F600}", "a: \"x\\ny\u{1F600}\"\n"),
            ("a: !!str <E>\n", "1", "a: !!str 1\n"),
            ("a: |\n  <E>\n", "x\ny\n", "a: |\n  x\n  y\n"),
            ("a: |\n  <E>\n", "x\ny", "a: |-\n  x\n  y\n"),
            ("a: |-\n  <E>\n\nb: 1\n", "x\n\n", "a: |+\n  x\n\nb: 1\n"),
            ("a: |+\n  <E>\n\n\nb: 1\n", "x\n\n\n", "a: |+\n  x\n\n\nb: 1\n"),
            ("a: |\n  <E>", "x", "a: |\n  x"),
            ("a: |\n  <E>", "x\n", "a: |\n  x\n"),
            ("a: >\n  <E>\n", "x\n\ny\n", "a: >\n  x\n\n\n  y\n"),
            ("a: > # c\n  <E>\n", "x\n y\n", "a: | # c\n  x\n   y\n"),
            ("a: | # c\n  <E>\nb: 1\n", " x\n", "a: \" x\\n\" # c\nb: 1\n"),
            ("a: {b: \"<E>\"}\n", "x", "a: {b: \"x\"}\n"),
        ] {
            let ours = opened_text(source, text);
            assert_eq!(ours, expected, "{source:?} {text:?}");
            let tree = parse(&ours);
            let values: Vec<&[u8]> = tree
                .walk(None)
                .filter_map(|step| match step {
                    Step::Leaf(id) => match tree.value(id) {
                        Some(Value::Text(text)) => Some(text),
                        _ => None,
                    },
                    _ => None,
                })
                .collect();
            assert_eq!(values, [text.as_bytes()], "{source:?} {text:?}");
        }
    }

    #[test]
    fn opening_keeps_other_types() {
        for (source, expected) in [
            ("a: <E>\n", "a: 5\n"),
            ("a: '<E>'\n", "a: 5\n"),
            ("a: \"<E>\"# c\n", "a: 5 # c\n"),
            ("a: [\"<E>\",\"<E>\"]\n", "a: [5,5]\n"),
            ("{\"a\":\"<E>\"}\n", "{\"a\":5}\n"),
            ("a: | # c\n  <E>\n", "a: 5 # c\n"),
            ("a: !!str <E>\n", "a: 5\n"),
            ("a: !x '<E>'\n", "a: 5\n"),
        ] {
            let ours = opened(source, |_| NodeKind::Integer(5));
            assert_eq!(ours, expected, "{source:?}");
        }
        let bytes = opened("a: !x \"<E>\"\n", |tree| NodeKind::Text(tree.intern(b"\xFF\0")));
        assert_eq!(bytes, "a: !!binary /wA=\n");
    }

    #[test]
    fn list_members_become_comments() {
        for (source, expected) in [
            ("l:\n  - <E>\n  - b\n", "l:\n  # c\n  - b\n"),
            ("l:\n-   <E>\n- b\n", "l:\n# c\n- b\n"),
            ("l:\n  - - <E>\n    - b\n", "l:\n  - # c\n    - b\n"),
            ("l:\n  - <E>\n  - <E>\nm: 1\n", "l:\n  # c\n  # c\n    []\nm: 1\n"),
            ("l: [\"<E>\", b]\n", "l: [ # c\n   b]\n"),
        ] {
            let ours = opened(source, |tree| NodeKind::Comment {
                text: tree.intern(b" c"),
                inline: false,
            });
            assert_eq!(ours, expected, "{source:?}");
            parse(&ours);
        }
    }

    #[test]
    fn verbatim_texts_replace_the_value_only() {
        for (source, text, expected) in [
            ("a: x # c\n", "0x1F", "a: 0x1F # c\n"),
            ("a: x # c\n", "|\n  y\n", "a: | # c\n  y\n"),
            ("a: | # c\n  x\n\nb: 1\n", "\"y\"", "a: \"y\" # c\n\nb: 1\n"),
            ("a: | # c\n  x\n", "|2-\n   y\n", "a: |2- # c\n   y\n"),
            ("a: !!int 5\n", ENC, "a: E\n"),
            ("l:\n- a\n# c\n", "- E", "l:\n- a\n- E\n"),
        ] {
            let mut tree = parse(source);
            let verbatim = tree.intern(text.as_bytes());
            let id = tree
                .walk(None)
                .filter_map(|step| match step {
                    Step::Leaf(id) => Some(id),
                    _ => None,
                })
                .find(|&id| tree.node(id).kind.is_comment() == text.starts_with('-'))
                .unwrap();
            let change = Change { id, verbatim: Some(verbatim) };
            let edits = Yaml.splice(&tree, &[change]).unwrap();
            let ours = text_of(&edits.apply(tree.source()));
            assert_eq!(short(&ours), expected, "{source:?}");
        }
    }

    #[test]
    fn comments_cannot_smuggle_content_in() {
        let mut tree = parse("# c\na: 1\n");
        let changes = change_all(&mut tree, |tree, id| {
            tree.comment(id)?;
            let text = tree.intern(b"c\nadmin: true");
            Some(NodeKind::Comment { text, inline: false })
        });
        assert!(Yaml.splice(&tree, &changes).is_err());
    }
}
