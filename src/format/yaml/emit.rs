//! A tree as new YAML text, in SOPS' layout; and the same values in flow style ([`flow`]).
//!
//! Comments stay in the container that holds them: where SOPS would move one out of a list member
//! or behind an empty collection, it is written where a reader attaches it to the same container.

mod flow;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::style::{
    Escapes, chomping, indentation_digit, sops_style, write_double, write_lines, write_single,
    write_spaces,
};
use crate::format::{EmitError, Layout};
use crate::number::{rfc3339, yaml_float};
use crate::secret::SecretBytes;
use crate::tree::{KeyType, NodeId, NodeKind, Step, Style, Tree, Value};

pub(super) use self::flow::{
    FlowLines, FlowQuotes, write_flow, write_flow_comment, write_flow_key, write_flow_lines,
    write_flow_text,
};

/// Spaces a level where nothing else is asked for.
pub(super) const DEFAULT_INDENT: usize = 4;

/// The longest key in bytes that is written in front of a `:` on its line.
const LONGEST_SIMPLE_KEY: usize = 128;

/// Writes all documents of `tree`.
pub(super) fn emit(tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
    let mut writer = Writer {
        tree,
        out: SecretBytes::with_capacity(tree.source().len()),
        indent: step_of(layout.indent),
        newline: if layout.crlf { b"\r\n" } else { b"\n" },
        column: 0,
        open: Vec::new(),
        inline: Vec::new(),
        on_line: false,
        is_copy: false,
        hoisted: 0,
    };
    for (number, root) in tree.documents().enumerate() {
        if number > 0 {
            writer.line(b"---");
        }
        writer.document(root)?;
    }
    Ok(writer.out)
}

/// Returns the members of a collection that is a copy, with its comments, as lines of a block in
/// `column`. The first one begins where it is put, and the last one has no line break. What is to
/// be hoisted is not in it.
pub(super) fn emit_block(
    tree: &Tree,
    root: NodeId,
    (column, indent): (usize, usize),
    newline: &'static [u8],
) -> Result<SecretBytes, EmitError> {
    let mut writer = Writer {
        tree,
        out: SecretBytes::new(),
        indent,
        newline,
        column,
        open: Vec::new(),
        inline: Vec::new(),
        on_line: true,
        is_copy: true,
        hoisted: comments_to_hoist(tree, root),
    };
    writer.document(root)?;
    let length = writer.out.len() - newline.len();
    writer.out.resize(length);
    Ok(writer.out)
}

/// Returns how many comments at the beginning of the list member `id` of a copy are written above
/// it, in the list: SOPS loses a comment above a map that begins with another.
pub(super) fn comments_to_hoist(tree: &Tree, id: NodeId) -> usize {
    let node = tree.node(id);
    let is_comment = |id: NodeId| tree.node(id).kind.is_comment();
    let before = id.index().checked_sub(1).and_then(|before| tree.id_at(before));
    if node.key.is_some() || node.kind != NodeKind::Map || !before.is_some_and(is_comment) {
        return 0;
    }
    // Of an empty map nothing would be left to be above.
    let first = tree.children(id).position(|child| !is_comment(child));
    first.unwrap_or_default()
}

/// Returns how many spaces a level has, as SOPS understands the number.
fn step_of(asked: Option<u32>) -> usize {
    match asked {
        None | Some(0) => DEFAULT_INDENT,
        Some(count @ 2..=9) => count as usize,
        Some(_) => 2,
    }
}

/// A container that is being written.
struct Level {
    list: bool,
    /// It has no members but comments.
    hollow: bool,
    /// The column of its keys or dashes.
    column: usize,
}

struct Writer<'t> {
    tree: &'t Tree,
    out: SecretBytes,
    indent: usize,
    newline: &'static [u8],
    /// The column of the top level.
    column: usize,
    open: Vec<Level>,
    /// Inline comments that wait for their value.
    inline: Vec<NodeId>,
    /// The next member stands on the current line, at its column already.
    on_line: bool,
    /// What is written stands for an alias, so that comments may move.
    is_copy: bool,
    /// How many of the next comments are written already.
    hoisted: usize,
}

impl<'t> Writer<'t> {
    fn document(&mut self, root: NodeId) -> Result<(), EmitError> {
        if !self.tree.node(root).kind.is_container() {
            // What `--extract` takes out of a document.
            write_scalar(&mut self.out, self.tree, root);
            self.out.extend_from_slice(self.newline);
            return Ok(());
        }
        for step in self.tree.walk(Some(root)) {
            match step {
                Step::Enter(id) => self.enter(id)?,
                Step::Leave(_) => self.leave()?,
                Step::Leaf(id) => self.leaf(id)?,
            }
        }
        Ok(())
    }

    fn enter(&mut self, id: NodeId) -> Result<(), EmitError> {
        let list = self.tree.node(id).kind == NodeKind::List;
        if !list {
            refuse_duplicates(self.tree, id)?;
        }
        let hollow = self.tree.children(id).all(|child| self.tree.node(child).kind.is_comment());
        let Some(&Level { list: in_list, column: outside, .. }) = self.open.last() else {
            self.open.push(Level { list, hollow, column: self.column });
            return if hollow { self.hollow(id, 0) } else { Ok(()) };
        };
        // Behind the key of a container a comment would move into it; it goes above. Behind an
        // empty list member it stays in the list.
        let beside = match self.tree.node(id).end() - id.index() {
            1 if in_list => self.inline.pop(),
            _ => None,
        };
        self.comments_above(self.inline.len())?;
        if self.is_copy {
            let hoisted = comments_to_hoist(self.tree, id);
            for comment in self.tree.children(id).take(hoisted) {
                self.comment_block(comment, outside)?;
            }
            self.hoisted = hoisted;
        }
        let explicit = self.begin(id)?;
        let column = self.inner_column(in_list, outside);
        self.open.push(Level { list, hollow, column });
        if hollow {
            if !in_list {
                self.out.push(b' ');
            }
            self.inline.extend(beside);
            return self.hollow(id, outside);
        }
        if explicit {
            write_spaces(&mut self.out, column - outside - 1);
        }
        self.on_line = in_list || explicit;
        if !self.on_line {
            self.end_line();
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), EmitError> {
        self.comments_above(self.inline.len())?;
        self.open.pop();
        Ok(())
    }

    fn leaf(&mut self, id: NodeId) -> Result<(), EmitError> {
        let Some(&Level { list, hollow, column }) = self.open.last() else {
            return Ok(());
        };
        if let NodeKind::Comment { inline, .. } = self.tree.node(id).kind {
            if self.hoisted > 0 {
                self.hoisted -= 1;
                return Ok(());
            }
            // Those of a hollow container are written with its brackets.
            if !hollow {
                self.inline.push(id);
                if !inline || comment_text(self.tree, id)?.contains('\n') {
                    self.comments_above(self.inline.len())?;
                }
            }
            return Ok(());
        }
        self.comments_above(self.inline.len().saturating_sub(1))?;
        let beside = self.inline.pop();
        self.begin(id)?;
        if !list {
            self.out.push(b' ');
        }
        let lines = self.value(id);
        if let Some(comment) = beside {
            self.out.push(b' ');
            self.comment_line(comment_text(self.tree, comment)?);
        }
        if let Some(text) = lines {
            let inner = self.inner_column(list, column);
            write_lines(&mut self.out, text, inner, self.newline);
        }
        self.end_line();
        Ok(())
    }

    /// Writes an empty container; its comments go behind the brackets and, where there are more,
    /// on the lines below.
    fn hollow(&mut self, id: NodeId, column: usize) -> Result<(), EmitError> {
        let brackets: &[u8] = match self.tree.node(id).kind {
            NodeKind::List => b"[]",
            _ => b"{}",
        };
        if self.open.len() == 1 {
            // On the top level there is no line that they could stand behind.
            for comment in self.tree.children(id) {
                self.comment_block(comment, column)?;
            }
            self.line(brackets);
            return Ok(());
        }
        self.out.extend_from_slice(brackets);
        let mut first = true;
        let beside = self.inline.pop();
        for comment in beside.into_iter().chain(self.tree.children(id)) {
            for line in comment_text(self.tree, comment)?.split('\n') {
                if std::mem::take(&mut first) {
                    self.out.push(b' ');
                } else {
                    self.end_line();
                    write_spaces(&mut self.out, column);
                }
                self.comment_line(line);
            }
        }
        self.end_line();
        Ok(())
    }

    /// Writes what stands in front of a member's value; returns whether its key stands on a line
    /// of its own, with a `?`.
    fn begin(&mut self, id: NodeId) -> Result<bool, EmitError> {
        let Some(&Level { list, column, .. }) = self.open.last() else {
            return Ok(false);
        };
        self.start_line(column);
        if list {
            self.out.extend_from_slice(b"- ");
            return Ok(false);
        }
        let Some(key) = self.tree.node(id).key else {
            return Err(EmitError::at(self.tree, id, "a map entry has no key"));
        };
        let bytes = self.tree.text(key.text);
        let Some(text) = key_text(bytes, key.kind) else {
            self.out.extend_from_slice(b"!!binary ");
            write_base64(&mut self.out, bytes);
            self.out.push(b':');
            return Ok(false);
        };
        if key.kind != KeyType::Text {
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b':');
            return Ok(false);
        }
        if text == "<<" && self.tree.node(id).kind.is_container() {
            self.out.extend_from_slice(b"!!merge <<:");
            return Ok(false);
        }
        let explicit = text.len() > LONGEST_SIMPLE_KEY
            || text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        if !explicit {
            write_one_line(&mut self.out, text, sops_style(text));
            self.out.push(b':');
            return Ok(false);
        }
        self.out.extend_from_slice(b"? ");
        let inner = self.inner_column(false, column);
        if let Some(lines) = self.text(text) {
            write_lines(&mut self.out, lines, inner, self.newline);
        }
        self.end_line();
        write_spaces(&mut self.out, column);
        self.out.push(b':');
        Ok(true)
    }

    /// Returns the column of what is inside a member of a container at `column`.
    fn inner_column(&self, list: bool, column: usize) -> usize {
        if list { column + 2 } else { (column + self.indent) / self.indent * self.indent }
    }

    /// Writes a value; returns the text of a literal block whose lines are still to be written.
    fn value(&mut self, id: NodeId) -> Option<&'t str> {
        let tree = self.tree;
        match tree.value(id) {
            Some(Value::Text(bytes)) if let Ok(text) = std::str::from_utf8(bytes) => {
                self.text(text)
            }
            _ => {
                write_scalar(&mut self.out, tree, id);
                None
            }
        }
    }

    /// As [`Writer::value`], for a text.
    fn text<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let style = sops_style(text);
        let digit = self.open.last().and_then(|&Level { list, column, .. }| {
            indentation_digit(text, self.inner_column(list, column) - column, self.indent)
        });
        if style == Style::Literal || digit.is_some() {
            self.out.push(b'|');
            if let Some(digit) = digit {
                self.out.extend_from_slice(digit.to_string().as_bytes());
            }
            self.out.extend_from_slice(chomping(text).as_bytes());
            return Some(text);
        }
        write_one_line(&mut self.out, text, style);
        None
    }

    /// Writes the first `count` waiting comments on lines of their own.
    fn comments_above(&mut self, count: usize) -> Result<(), EmitError> {
        let column = self.open.last().map_or(0, |level| level.column);
        for number in 0..count {
            self.comment_block(self.inline[number], column)?;
        }
        self.inline.drain(..count);
        Ok(())
    }

    fn comment_block(&mut self, id: NodeId, column: usize) -> Result<(), EmitError> {
        for line in comment_text(self.tree, id)?.split('\n') {
            self.start_line(column);
            self.comment_line(line);
            self.end_line();
        }
        Ok(())
    }

    fn comment_line(&mut self, line: &str) {
        self.out.push(b'#');
        let line = line.strip_suffix('\r').unwrap_or(line);
        self.out.extend_from_slice(line.as_bytes());
    }

    fn start_line(&mut self, column: usize) {
        if !std::mem::take(&mut self.on_line) {
            write_spaces(&mut self.out, column);
        }
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(self.newline);
    }

    fn line(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.end_line();
    }
}

/// Refuses a map in which two entries have the same key: no reader takes it.
fn refuse_duplicates(tree: &Tree, map: NodeId) -> Result<(), EmitError> {
    let mut keys = HashSet::new();
    for child in tree.children(map) {
        // A null that is written as nothing becomes `null`.
        let key = tree.node(child).key.map(|key| match (tree.text(key.text), key.kind) {
            (b"", KeyType::Null) => b"null",
            (text, _) => text,
        });
        if key.is_some_and(|key| !keys.insert(key)) {
            return Err(EmitError::at(tree, child, "the key stands there twice"));
        }
    }
    Ok(())
}

/// Returns the text of a comment; its lines end in LF or CRLF.
pub(super) fn comment_text(tree: &Tree, id: NodeId) -> Result<&str, EmitError> {
    let bytes = tree.comment(id).unwrap_or_default();
    let text = std::str::from_utf8(bytes).ok();
    text.filter(|text| text.split('\n').all(is_comment_line))
        .ok_or_else(|| EmitError::at(tree, id, "a comment has characters that YAML does not allow"))
}

/// Returns whether `line` can stand behind a `#`: a control character would be refused, and a
/// line break would let the rest of the comment become content.
fn is_comment_line(line: &str) -> bool {
    let line = line.strip_suffix('\r').unwrap_or(line);
    !line.chars().any(|character| {
        (character.is_control() && character != '\t')
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}')
    })
}

/// Returns the text of a key that is not binary; a key of another type as it is read again.
fn key_text(bytes: &[u8], kind: KeyType) -> Option<&str> {
    match (bytes, kind) {
        (b"", KeyType::Null) => Some("null"),
        _ => std::str::from_utf8(bytes).ok(),
    }
}

/// Appends a text that is not a literal block.
pub(super) fn write_one_line(out: &mut SecretBytes, text: &str, style: Style) {
    match style {
        Style::Plain => out.extend_from_slice(text.as_bytes()),
        Style::SingleQuoted => write_single(out, text),
        _ => write_double(out, text, Escapes::Sops),
    }
}

/// Appends a scalar that is not a text, or a text that is not UTF-8, with its tag.
pub(super) fn write_scalar(out: &mut SecretBytes, tree: &Tree, id: NodeId) {
    // The texts of numbers are wiped, as all copies of values are.
    let text = Zeroizing::new(match tree.node(id).kind {
        NodeKind::Integer(number) => number.to_string(),
        NodeKind::Unsigned(number) => number.to_string(),
        NodeKind::Float(number) => yaml_float(number),
        NodeKind::Boolean(flag) => flag.to_string(),
        NodeKind::Time(time) => rfc3339(time),
        NodeKind::Text(text) => {
            out.extend_from_slice(b"!!binary ");
            write_base64(out, tree.text(text));
            return;
        }
        NodeKind::Null | NodeKind::Map | NodeKind::List | NodeKind::Comment { .. } => {
            "null".to_owned()
        }
    });
    out.extend_from_slice(text.as_bytes());
}

fn write_base64(out: &mut SecretBytes, bytes: &[u8]) {
    out.extend_from_slice(Zeroizing::new(STANDARD.encode(bytes)).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tree_of};
    use super::*;

    fn emitted(tree: &Tree) -> Result<String, EmitError> {
        let text = emit(tree, &Layout::default())?;
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    /// Returns the words of a text without its comments.
    fn words(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(|line| line.split(" #").next().unwrap().split_whitespace())
            .collect()
    }

    /// Compares with SOPS' output; returns the number of texts that are the same, of those that
    /// differ in the places of comments only, and the names of the others.
    fn compare(file: &str, keep_inline: bool) -> (usize, usize, Vec<String>) {
        let (mut same, mut moved, mut names) = (0, 0, Vec::new());
        for mut row in rows(file) {
            if !keep_inline {
                // SOPS forgets the mark when it decrypts.
                let text = row["tree"].to_string();
                let text = text.replace("\"inline\":true", "\"inline\":false");
                row["tree"] = serde_json::from_str(&text).unwrap();
            }
            let ours = emitted(&tree_of(&row["tree"])).unwrap_or_default();
            let theirs = row["out"].as_array().unwrap();
            let mut theirs = theirs.iter().map(|text| text.as_str().unwrap());
            if theirs.clone().any(|text| text == ours) {
                same += 1;
            } else if theirs.any(|text| words(text) == words(&ours)) {
                moved += 1;
            } else {
                names.push(row["name"].as_str().unwrap().to_owned());
            }
        }
        (same, moved, names)
    }

    #[test]
    fn decrypted_documents_are_laid_out_as_by_sops() {
        let (same, moved, others) = compare("decrypted.jsonl", false);
        assert_eq!(
            others,
            [
                // Duplicate keys, which we refuse; a text that SOPS prints as null, or with an
                // indentation digit.
                "y-dup-2nd-doc",
                "y-strings",
                "y-tab-newline"
            ]
        );
        assert_eq!((same, moved), (60, 7));
    }

    #[test]
    fn plain_documents_are_laid_out_as_by_sops() {
        let (same, moved, others) = compare("plain.jsonl", true);
        // Comments within braces, which SOPS cannot read again, and `!!merge <<` as a value.
        assert_eq!(others, ["018", "048", "070", "184", "scalars1"]);
        // SOPS moves comments out of list members and loses those of empty collections.
        assert_eq!((same, moved), (203, 44));
    }
}
