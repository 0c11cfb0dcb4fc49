//! One change of a JSON text, laid out as what is around it.

use crate::edits::Edits;
use crate::format::json::write::{self, Place};
use crate::format::json::{Json, blank_before, entry_span, with_comma};
use crate::format::{EmitError, FileFormat as _, Layout};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::Operation;
use crate::tree::{NodeId, Tree};

/// Returns the edits that make `operation`; `None` for one that has no place.
pub(super) fn amend(tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
    let style = Style::of(tree);
    let mut edits = Edits::new();
    match *operation {
        Operation::Replace { id, value } => {
            let Some(span) = tree.node(id).span else { return Ok(None) };
            let mut result = Ok(());
            edits.replace_with(span, |out| {
                result = style.value(value, line_before(tree, id), out);
            });
            result?;
        }
        Operation::Append { container, key, value } => {
            let Some(span) = tree.node(container).span else { return Ok(None) };
            let last = tree.children(container).last();
            let mut new = SecretBytes::new();
            if let Some(last) = last {
                let place = entry_span(tree, last);
                new.push(b',');
                let line = line_before(tree, last);
                match line {
                    Some(_) => style.line(line, 0, &mut new),
                    None if tree.children(container).count() > 1 => {
                        new.extend_from_slice(blank_before(tree.source(), place.start as usize));
                    }
                    None => new.extend_from_slice(&style.comma()[1..]),
                }
                style.entry(key, value, line, &mut new)?;
                edits.insert(place.end as usize, &new);
            } else {
                let line = line_before(tree, container).filter(|_| !style.layout.compact);
                let inner = line.map(|line| style.deeper(line));
                new.push(tree.source()[span.start as usize]);
                style.line(line, 1, &mut new);
                style.entry(key, value, inner.as_deref(), &mut new)?;
                style.line(line, 0, &mut new);
                new.push(tree.source()[span.end as usize - 1]);
                edits.replace(span, &new);
            }
        }
        Operation::Remove { id } => {
            let entry = entry_span(tree, id);
            let removed = with_comma(tree.source(), entry);
            edits.remove(if removed == entry { between_brackets(tree, id) } else { removed });
        }
    }
    Ok(Some(edits))
}

/// How a text is laid out.
struct Style {
    layout: Layout,
    /// Whether a blank stands behind a colon.
    spaced: bool,
}

impl Style {
    fn of(tree: &Tree) -> Style {
        let layout = Json.layout_of(tree, &Layout::default());
        let first = tree.nodes().iter().find_map(|node| Some((node.key?.span?, node.span?)));
        let spaced = first.is_none_or(|(key, value)| {
            tree.source()[key.end as usize..value.start as usize].ends_with(b" ")
        });
        Style { layout, spaced }
    }

    fn colon(&self) -> &'static [u8] {
        if self.spaced { b": " } else { b":" }
    }

    /// Returns what stands between two members on one line.
    fn comma(&self) -> &'static [u8] {
        if self.spaced { b", " } else { b"," }
    }

    /// Begins a line `depth` levels deeper than one with that indentation, or none.
    fn line(&self, indentation: Option<&[u8]>, depth: usize, out: &mut SecretBytes) {
        let Some(indentation) = indentation else { return };
        out.extend_from_slice(if self.layout.crlf { b"\r\n" } else { b"\n" });
        out.extend_from_slice(indentation);
        (0..depth).for_each(|_| out.extend_from_slice(&self.step()));
    }

    fn step(&self) -> Vec<u8> {
        self.layout.indent.map_or_else(|| b"\t".to_vec(), |width| vec![b' '; width as usize])
    }

    fn deeper(&self, indentation: &[u8]) -> Vec<u8> {
        [indentation, &self.step()].concat()
    }

    fn entry(
        &self,
        key: Option<&str>,
        value: &Tree,
        indentation: Option<&[u8]>,
        out: &mut SecretBytes,
    ) -> Result<(), EmitError> {
        if let Some(key) = key {
            write::string(key, out);
            out.extend_from_slice(self.colon());
        }
        self.value(value, indentation, out)
    }

    /// Writes a value on a line with that indentation, or all of it on one line.
    fn value(
        &self,
        value: &Tree,
        indentation: Option<&[u8]>,
        out: &mut SecretBytes,
    ) -> Result<(), EmitError> {
        let compact = indentation.is_none();
        let place = Place {
            indentation: indentation.unwrap_or_default(),
            colon: self.colon(),
            comma: if compact { self.comma() } else { b"," },
            spelled: true,
        };
        let layout = Layout { compact, ..self.layout.clone() };
        let Some(root) = value.documents().next() else { return Ok(()) };
        write::value(value, root, (&layout, &place), out)
    }
}

/// Returns the indentation of the line that begins with the entry or member; `None` if it stands
/// behind something else. The root begins its line.
fn line_before(tree: &Tree, id: NodeId) -> Option<&[u8]> {
    let start = entry_span(tree, id).start as usize;
    let blank = blank_before(tree.source(), start);
    if blank.len() == start {
        return Some(b"");
    }
    let line = memchr::memrchr(b'\n', blank)?;
    Some(&blank[line + 1..])
}

/// Returns what stands between the brackets of the container of `id`, its only member.
fn between_brackets(tree: &Tree, id: NodeId) -> Span {
    let source = tree.source();
    let entry = entry_span(tree, id);
    let before = source[..entry.start as usize].trim_ascii_end().len();
    let after = &source[entry.end as usize..];
    let blank = after.len() - after.trim_ascii_start().len();
    Span::new(before, entry.end as usize + blank)
}
