//! Changed values written over their own bytes.
//!
//! A value keeps the style it has in the text as far as its new content allows; nothing around it
//! moves. What is *not* local: an alias stands for the text of its anchor, so that it is written
//! out when either of the two changes; and a comment that stands as a list member (the way in
//! which SOPS writes encrypted comments of lists) becomes a real comment.

mod aliases;
mod comments;
mod copies;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use super::emit::{comment_text, write_one_line, write_scalar};
use super::properties::{Tag, tag_of};
use super::style::{Escapes, Shape, looks_typed, style_of, write_double, write_single};
use super::text::{indent_step, line_break, line_end, newline_of};
use crate::edits::Edits;
use crate::format::{Change, EmitError};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Node, NodeId, NodeKind, Style, Tree, Value};

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
    /// The last members of the lists that have nothing but comments, once they are needed.
    hollow_list_ends: Option<HashSet<NodeId>>,
    /// The comments that are written elsewhere already.
    moved: HashSet<NodeId>,
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
            moved: HashSet::new(),
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), EmitError> {
        let node = self.tree.node(change.id);
        // Copies made for an alias are written with the alias.
        let Some(span) = node.span else {
            return Ok(());
        };
        if self.moved.contains(&change.id) {
            return Ok(());
        }
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
            && (style_of(text, shape) == Style::Literal
                || self.literal_digit(node, span, text).is_some())
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
