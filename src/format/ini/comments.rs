//! The comment of a key or section: the lines above it and the one behind it, which are one
//! comment to SOPS, with one ciphertext.
//!
//! SOPS joins the lines and takes the first marker away. What it encrypts is the whole; what it
//! reads is one `; ENC[...]`, of which it ignores everything behind the bracket. So the lines of an
//! encrypted comment keep their place and their marker, and nothing else:
//!
//! ```ini
//! ; the database              ; ENC[...]
//!
//! # of the shop               #
//! user = app ; not root       user = ENC[...] ;
//! ```
//!
//! Decryption gives each line back its text, and all that is between the lines was never gone.
//! That is why this one place in the formats knows what a ciphertext looks like.
//!
//! Behind a section name no ciphertext can stand, as the name goes on to the last `]` of the line,
//! and none behind a quoted value, as SOPS drops it there once the value is on one line. It gets a
//! line of its own above, with one blank more behind the marker, by which decryption knows it.

use crate::edits::Edits;
use crate::format::EmitError;
use crate::format::ini::blank;
use crate::format::ini::scan::line_end;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{NodeId, NodeKind, Style, TextRef, Tree};

/// Returns whether a text is a ciphertext.
pub(super) fn is_ciphertext(text: &[u8]) -> bool {
    text.starts_with(b"ENC[AES256_GCM,")
        && text.ends_with(b"]")
        && memchr::memchr(b'\n', text).is_none()
}

/// The lines of a comment, each from its marker to its last visible character.
#[derive(Debug, Default)]
pub(super) struct Comments {
    /// The lines in front of the key or section.
    pub(super) above: Vec<Span>,
    /// What stands behind it.
    pub(super) inline: Option<Span>,
}

impl Comments {
    /// Returns where the comment stands: the lines above, or else what stands behind.
    pub(super) fn span(&self) -> Option<Span> {
        match (self.above.first(), self.above.last()) {
            (Some(first), Some(last)) => Some(Span { start: first.start, end: last.end }),
            _ => self.inline,
        }
    }

    /// Removes all lines.
    pub(super) fn clear(&mut self) {
        self.above.clear();
        self.inline = None;
    }

    /// Returns the lines of a comment of a tree.
    fn of(tree: &Tree, id: NodeId, span: Span) -> Comments {
        let site = tree.node(id).site;
        if site.flow {
            return Comments { above: Vec::new(), inline: Some(span) };
        }
        let source = &tree.source()[..span.end as usize];
        let mut above = Vec::new();
        let mut at = span.start as usize;
        while at < source.len() {
            let end = line_end(source, at);
            let line = &source[at..end];
            let start = at + blank::leading(line);
            if start < end {
                above.push(Span::new(start, at + blank::trim_end(line).len()));
            }
            at = end;
        }
        Comments { above, inline: site.properties }
    }

    fn len(&self) -> usize {
        self.above.len() + usize::from(self.inline.is_some())
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = Span> + '_ {
        self.above.iter().copied().chain(self.inline)
    }
}

/// The text of a comment.
pub(super) enum Joined {
    /// It stands in the source.
    Source(Span),
    /// It is made of several lines.
    Made(SecretBytes),
}

/// Returns what stands behind the marker of a line, as SOPS cuts it off: with all markers of the
/// same kind and blanks that follow.
pub(super) fn content(source: &[u8], line: Span) -> Span {
    let text = &source[line.range()];
    let marker = text.iter().take_while(|&&byte| byte == text[0] || byte == b' ').count();
    Span::new(line.start as usize + marker, line.end as usize)
}

/// Returns the text of a comment that has at least one line.
pub(super) fn text(source: &[u8], comments: &Comments) -> Joined {
    if let Some(sealed) = sealed(source, comments) {
        return Joined::Source(sealed);
    }
    let count = comments.len();
    let skipped = empty_start(source, comments);
    let mut lines = comments.iter().skip(skipped);
    let Some(first) = lines.next() else { return Joined::Source(Span::default()) };
    // With the first marker gone, an empty line would be the first, and SOPS crashes on that when
    // it writes the comment.
    let mut start = if skipped == 0 { content(source, first).start } else { first.start };
    if skipped == 0 && start == first.end && count > 1 {
        // Blanks at the end of an empty line are cut off, too.
        let behind = &source[start as usize..];
        start += behind.iter().take_while(|&&byte| byte == b' ').count() as u32;
    }
    if skipped + 1 == count {
        return Joined::Source(Span { start, end: first.end });
    }
    let mut text = SecretBytes::new();
    let mut contiguous = comments.inline.is_none();
    let (mut from, mut end) = (start as usize, first.end as usize);
    for line in lines {
        let next = line_end(source, end);
        text.extend_from_slice(&source[from..next]);
        contiguous &= next == line.start as usize;
        (from, end) = (line.start as usize, line.end as usize);
    }
    text.extend_from_slice(&source[from..end]);
    if contiguous { Joined::Source(Span::new(start as usize, end)) } else { Joined::Made(text) }
}

/// Returns how many lines at the start have nothing but their marker. The last line never counts.
fn empty_start(source: &[u8], comments: &Comments) -> usize {
    let is_empty = |line: &Span| {
        let rest = &source[line.end as usize..];
        content(source, *line).is_empty() && rest.iter().find(|&&byte| byte != b' ') == Some(&b'\n')
    };
    comments.iter().take(comments.len() - 1).take_while(is_empty).count()
}

/// Returns the ciphertext of an encrypted comment: the first line has it, the others nothing.
fn sealed(source: &[u8], comments: &Comments) -> Option<Span> {
    let mut lines = comments.iter();
    let text = content(source, lines.next()?);
    let is_sealed = is_ciphertext(&source[text.range()]);
    (is_sealed && lines.all(|line| content(source, line).is_empty())).then_some(text)
}

/// Returns whether SOPS crashes on a comment that stands there in clear: its first line is only a
/// marker, and more follow.
pub(super) fn crashes_sops(tree: &Tree, id: NodeId) -> bool {
    let Some(span) = tree.node(id).span else { return false };
    empty_start(tree.source(), &Comments::of(tree, id, span)) > 0
}

/// Writes the text of the comment `id` over its lines.
pub(super) fn splice(
    tree: &Tree,
    id: NodeId,
    verbatim: Option<TextRef>,
    edits: &mut Edits,
) -> Result<(), EmitError> {
    let node = tree.node(id);
    let (Some(span), Some(text)) = (node.span, tree.comment(id)) else { return Ok(()) };
    let writer = Writer { tree, id, comments: Comments::of(tree, id, span), source: tree.source() };
    if let Some(verbatim) = verbatim
        && (!node.site.flow || writer.may_stand_behind())
    {
        edits.replace(span, tree.text(verbatim));
        if let (Some(inline), false) = (writer.comments.inline, node.site.flow) {
            empty_line(inline, edits);
        }
        return Ok(());
    }
    if is_ciphertext(text) {
        writer.seal(text, edits);
        Ok(())
    } else {
        writer.open(text, edits)
    }
}

struct Writer<'t> {
    tree: &'t Tree,
    id: NodeId,
    comments: Comments,
    source: &'t [u8],
}

impl Writer<'_> {
    /// Writes a ciphertext into the first line and empties the others.
    fn seal(&self, text: &[u8], edits: &mut Edits) {
        let mut lines = self.comments.iter();
        let Some(first) = lines.next() else { return };
        if self.comments.above.is_empty() && !self.may_stand_behind() {
            let mut line = SecretBytes::from(self.marker(first));
            line.push(b' ');
            empty_line(first, edits);
            line.extend_from_slice(text);
            self.line_above(&line, edits);
            return;
        }
        edits.replace(content(self.source, first), text);
        if sealed(self.source, &self.comments).is_some() {
            return;
        }
        // Lines that were empty before the text starts stay as they are.
        for line in lines.skip(empty_start(self.source, &self.comments).saturating_sub(1)) {
            empty_line(line, edits);
        }
    }

    /// Writes the lines of a text into the lines that are there.
    fn open(&self, text: &[u8], edits: &mut Edits) -> Result<(), EmitError> {
        let texts: Vec<&[u8]> = text.split(|&byte| byte == b'\n').map(blank::trim_end).collect();
        let Comments { above, inline } = &self.comments;
        let inline = &inline.or_else(|| self.place_behind_lines());
        if let (&[first], Some(inline), [text]) = (&above[..], *inline, &texts[..])
            && self.was_moved_up(first)
        {
            let marker = self.marker(first);
            let mut line = SecretBytes::from(&marker[..marker.len() - 1]);
            line.extend_from_slice(text);
            edits.remove(Span { start: first.start, end: self.target() as u32 });
            return self.behind(inline, &line, edits);
        }
        // Lines at the start that were empty are not in the text.
        let there = above.len() + usize::from(inline.is_some());
        let empty = there.saturating_sub(texts.len());
        for (at, &line) in above[..empty.min(above.len())].iter().enumerate() {
            if at == 0 {
                edits.remove(content(self.source, line));
            } else {
                empty_line(line, edits);
            }
        }
        let mut texts = texts.into_iter().enumerate().map(|(at, text)| (at + empty == 0, text));
        let behind = inline.and_then(|inline| Some((inline, texts.next_back()?)));
        let mut more = SecretBytes::new();
        let mut lines = above[empty.min(above.len())..].iter();
        let last = above.last();
        for (is_first, text) in texts {
            match (lines.next(), last) {
                (Some(&line), _) => {
                    edits.replace(line, &self.line(line, is_first, text));
                }
                (None, Some(&last)) => {
                    more.extend_from_slice(self.line_break(last));
                    more.extend_from_slice(self.indent(last.start as usize));
                    more.extend_from_slice(&as_sops_writes(text));
                }
                (None, None) => {
                    let line = inline.map(|inline| self.line(inline, is_first, text));
                    self.line_above(&line.unwrap_or_default(), edits);
                }
            }
        }
        if let (false, Some(last)) = (more.is_empty(), last) {
            edits.insert(last.end as usize, &more);
        }
        match behind {
            Some((inline, (is_first, text))) => {
                self.behind(inline, &self.line(inline, is_first, text), edits)
            }
            None => Ok(()),
        }
    }

    /// Returns a line of text with its marker, which the first one takes from the line that is
    /// there.
    fn line(&self, there: Span, is_first: bool, text: &[u8]) -> SecretBytes {
        if !is_first {
            return marked(text);
        }
        let mut line = SecretBytes::from(self.marker(there));
        // Only a comment of another format starts with blanks. SOPS keeps them above a section.
        let blanks = text.iter().take_while(|&&byte| byte == b' ').count();
        line.extend_from_slice(if self.is_of_section() { text } else { &text[blanks..] });
        line
    }

    /// Writes a comment behind the key or section.
    fn behind(&self, inline: Span, line: &[u8], edits: &mut Edits) -> Result<(), EmitError> {
        let bad = if self.is_of_section() { line.contains(&b']') } else { line.ends_with(b"\\") };
        if bad {
            let message = "the comment cannot stand where it would be read as part of something \
                           else";
            return Err(EmitError::at(self.tree, self.id, message));
        }
        edits.replace(inline, line);
        Ok(())
    }

    /// Puts a line in front of the one with the key or section.
    fn line_above(&self, line: &[u8], edits: &mut Edits) {
        let target = self.target();
        edits.replace_with(Span::new(target, target + 1), |out| {
            out.extend_from_slice(line);
            out.extend_from_slice(self.line_break(Span::new(target, target)));
            out.extend_from_slice(self.indent(target));
            out.push(self.source[target]);
        });
    }

    /// Returns whether the line was put there by [`Writer::seal`] for a comment behind a section.
    fn was_moved_up(&self, first: Span) -> bool {
        !self.may_stand_behind()
            && self.marker(first).ends_with(b" ")
            && is_ciphertext(&self.source[content(self.source, first).range()])
    }

    /// Returns the marker that [`Writer::seal`] left behind a value of several lines, which has
    /// been on one line since then.
    fn place_behind_lines(&self) -> Option<Span> {
        let node = self.tree.node(self.owner()?);
        let NodeKind::Text(text) = node.kind else { return None };
        if self.may_stand_behind() || memchr::memchr(b'\n', self.tree.text(text)).is_none() {
            return None;
        }
        let end = node.span?.end as usize;
        let behind = &self.source[end..line_end(self.source, end)];
        let start = end + blank::leading(behind);
        matches!(blank::trim(behind), b";" | b"#").then(|| Span::new(start, start + 1))
    }

    /// Returns the marker of a line with what belongs to it.
    fn marker(&self, line: Span) -> &[u8] {
        &self.source[line.start as usize..content(self.source, line).start as usize]
    }

    /// Returns where the key or section starts.
    fn target(&self) -> usize {
        let owner = self.owner();
        let key = owner.and_then(|id| self.tree.node(id).key?.span).unwrap_or_default();
        key.start as usize - usize::from(self.is_of_section())
    }

    fn is_of_section(&self) -> bool {
        self.owner().is_some_and(|id| self.tree.node(id).kind.is_container())
    }

    /// Returns whether a ciphertext can stand behind the key or section: not where SOPS would take
    /// it for a part of the name, or drop it once the value in front of it is on one line.
    fn may_stand_behind(&self) -> bool {
        let Some(id) = self.owner() else { return false };
        let node = self.tree.node(id);
        !node.kind.is_container()
            && !matches!(node.site.style, Style::TripleQuoted | Style::BackQuoted)
    }

    /// Returns the key or section: the comment is the first node behind it.
    fn owner(&self) -> Option<NodeId> {
        self.tree.id_at(self.id.index().checked_sub(1)?)
    }

    /// Returns the line break at the end of the line.
    fn line_break(&self, line: Span) -> &[u8] {
        let end = line_end(self.source, line.end as usize);
        if self.source[..end].ends_with(b"\r\n") { b"\r\n" } else { b"\n" }
    }

    /// Returns the white space in front of what starts at `start`.
    fn indent(&self, start: usize) -> &[u8] {
        let before = &self.source[..start];
        let width = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        &before[start - width..]
    }
}

/// Removes the text of a line, but not its marker.
fn empty_line(line: Span, edits: &mut Edits) {
    if line.len() > 1 {
        edits.remove(Span { start: line.start + 1, end: line.end });
    }
}

/// Returns a line with a marker, which it has already unless it is not from an INI file.
fn marked(text: &[u8]) -> SecretBytes {
    let mut line = SecretBytes::new();
    match text.first() {
        Some(b'#' | b';') => {}
        Some(_) => line.extend_from_slice(b"; "),
        None => line.push(b';'),
    }
    line.extend_from_slice(text);
    line
}

/// Returns a line with a marker and one blank behind it.
pub(super) fn as_sops_writes(text: &[u8]) -> SecretBytes {
    let (marker, rest) = match text {
        [marker @ (b'#' | b';'), rest @ ..] => (*marker, rest),
        _ => (b';', text),
    };
    let mut line = SecretBytes::from(&[marker, b' '][..]);
    line.extend_from_slice(blank::trim(rest));
    line
}
