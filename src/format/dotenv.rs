//! dotenv as SOPS reads it: lines `key=value`, split at the first `=`, nothing trimmed, unquoted
//! or expanded. `\n` in a value stands for a line break; a CR belongs to the value.

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError, Warning, duplicate_warnings,
};
use crate::number;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::Operation;
use crate::tree::{Key, KeyType, NodeId, NodeKind, Site, TextRef, Tree, TreeBuilder, Value};

/// What the keys of the metadata start with.
const METADATA: &[u8] = b"sops_";

/// The dotenv format.
#[derive(Clone, Copy, Debug)]
pub struct Dotenv;

impl FileFormat for Dotenv {
    fn name(&self) -> &'static str {
        "dotenv"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".env"]
    }

    fn sniff(&self, text: &[u8]) -> bool {
        // The value of `version` follows `=` at once; in YAML and INI it does not.
        lines(text).any(|span| {
            let line = &text[span.range()];
            line.starts_with(b"sops_version=") || line.starts_with(b"sops_mac=")
        })
    }

    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        let mut builder = TreeBuilder::new(source)?;
        let source = builder.shared_source();
        let root = Some(Span::new(0, source.len()));
        builder.open(None, NodeKind::Map, root, Site::default());
        for line in lines(&source) {
            let text = &source[line.range()];
            if text.is_empty() {
                continue;
            }
            let start = line.start as usize;
            if text[0] == b'#' {
                let text = TextRef::Source(Span { start: line.start + 1, end: line.end });
                let kind = NodeKind::Comment { text, inline: false };
                builder.leaf(None, kind, Some(line), Site::default());
                continue;
            }
            let Some(equals) = memchr::memchr(b'=', text) else {
                let message = "a line is `KEY=value`, a comment that starts with `#`, or empty; \
                               this one has no `=`";
                return Err(SyntaxError::at(&source, start, message));
            };
            let key = Span::new(start, start + equals);
            let span = Span { start: key.end + 1, end: line.end };
            let value = match unescape(&text[equals + 1..]) {
                Some(text) => builder.intern(&text),
                None => TextRef::Source(span),
            };
            let key = Key { text: TextRef::Source(key), kind: KeyType::Text, span: Some(key) };
            builder.leaf(Some(key), NodeKind::Text(value), Some(span), Site::default());
        }
        builder.close(None);
        Ok(builder.finish())
    }

    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        let mut edits = Edits::new();
        for change in changes {
            let node = tree.node(change.id);
            let Some(span) = node.span else { continue };
            if let Some(text) = change.verbatim {
                edits.replace(span, tree.text(text));
            } else if let Some(text) = tree.comment(change.id) {
                check_comment(tree, change.id, text)?;
                edits.replace_with(span, |out| {
                    out.push(b'#');
                    out.extend_from_slice(text);
                });
            } else {
                let mut result = Ok(());
                edits.replace_with(span, |out| result = value(tree, change.id, out));
                result?;
            }
        }
        Ok(edits)
    }

    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Flat
    }

    fn detach(&self, tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        let Some(root) = tree.documents().next() else {
            return Ok(None);
        };
        let source = tree.source();
        let (mut edits, mut block) = (Edits::new(), SecretBytes::new());
        let (mut before, mut position, mut last) = (0, None, false);
        for id in tree.children(root) {
            let node = tree.node(id);
            let metadata = tree.key(id).is_some_and(|key| key.starts_with(METADATA));
            if node.kind.is_comment() {
                continue;
            }
            if !metadata {
                before += 1;
                last = false;
                continue;
            }
            position.get_or_insert(before);
            last = true;
            if let (Some(key), Some(value)) = (node.key.and_then(|key| key.span), node.span) {
                let end = (value.end as usize + 1).min(source.len());
                let line = Span::new(key.start as usize, end);
                block.extend_from_slice(&source[line.range()]);
                edits.remove(line);
            }
        }
        let Some(position) = position else {
            return Ok(None);
        };
        let at_end = last && position == before;
        Ok(Some(Detached { edits, block, position: (!at_end).then_some(position) }))
    }

    fn attach(&self, tree: &Tree, block: &Block<'_>) -> Result<Edits, EmitError> {
        let source = tree.source();
        let next = tree.documents().next().and_then(|root| {
            let position = block.position?;
            tree.children(root).filter(|&id| !tree.node(id).kind.is_comment()).nth(position)
        });
        let place = next.and_then(|id| tree.node(id).key?.span);
        let mut text = SecretBytes::with_capacity(block.text.len() + 2);
        let offset = if let Some(span) = place {
            span.start as usize
        } else {
            if !source.is_empty() && !source.ends_with(b"\n") {
                text.push(b'\n');
            }
            source.len()
        };
        text.extend_from_slice(block.text);
        if !block.text.ends_with(b"\n") {
            text.push(b'\n');
        }
        let mut edits = Edits::new();
        edits.insert(offset, &text);
        Ok(edits)
    }

    fn append(
        &self,
        tree: &Tree,
        _map: NodeId,
        key: &str,
        value: &str,
    ) -> Result<Edits, EmitError> {
        let mut edits = Edits::new();
        let source = tree.source();
        edits.replace_with(Span::new(source.len(), source.len()), |out| {
            if !source.is_empty() && !source.ends_with(b"\n") {
                out.push(b'\n');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
            out.push(b'\n');
        });
        Ok(edits)
    }

    fn emit(&self, tree: &Tree, _layout: &Layout) -> Result<SecretBytes, EmitError> {
        let mut documents = tree.documents();
        let root = documents.next();
        if documents.next().is_some() {
            return Err(EmitError::whole("dotenv holds one document, and the file has several"));
        }
        if root.is_some_and(|root| !matches!(tree.node(root).kind, NodeKind::Map)) {
            return Err(EmitError::whole(
                "dotenv holds variables, which only a map can be written as",
            ));
        }
        let mut out = SecretBytes::with_capacity(tree.source().len());
        for id in root.into_iter().flat_map(|root| tree.children(root)) {
            if let Some(text) = tree.comment(id) {
                check_comment(tree, id, text)?;
                out.push(b'#');
                out.extend_from_slice(text);
            } else {
                let key = tree.key(id).unwrap_or_default();
                check_key(tree, id, key)?;
                check_flat(tree, id)?;
                out.extend_from_slice(key);
                out.push(b'=');
                value(tree, id, &mut out)?;
            }
            out.push(b'\n');
        }
        Ok(out)
    }

    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        let source = tree.source();
        let mut edits = Edits::new();
        match *operation {
            Operation::Replace { id, value } => {
                let (Some(span), Some(root)) = (tree.node(id).span, value.documents().next())
                else {
                    return Ok(None);
                };
                check_flat(value, root)?;
                let mut result = Ok(());
                edits.replace_with(span, |out| result = self::value(value, root, out));
                result?;
            }
            Operation::Append { key, value, .. } => {
                let (Some(key), Some(root)) = (key, value.documents().next()) else {
                    return Ok(None);
                };
                let mut line = SecretBytes::new();
                let closed = source.is_empty() || source.ends_with(b"\n");
                if !closed {
                    line.push(b'\n');
                }
                check_key(value, root, key.as_bytes())?;
                check_flat(value, root)?;
                line.extend_from_slice(key.as_bytes());
                line.push(b'=');
                self::value(value, root, &mut line)?;
                if closed {
                    line.push(b'\n');
                }
                edits.insert(source.len(), &line);
            }
            Operation::Remove { id } => {
                let node = tree.node(id);
                let (Some(key), Some(value)) = (node.key.and_then(|key| key.span), node.span)
                else {
                    return Ok(None);
                };
                let (start, end) = (key.start as usize, value.end as usize);
                // The last line goes with the break in front of it, if it has none of its own.
                let is_open = end == source.len();
                let from = if is_open { start.saturating_sub(1) } else { start };
                edits.remove(Span::new(from, if is_open { end } else { end + 1 }));
            }
        }
        Ok(Some(edits))
    }

    fn is_typed(&self) -> bool {
        false
    }

    fn template(&self) -> &'static str {
        "# Replace this example; every value is encrypted when you save.\n\
         DATABASE_USER=app\n\
         DATABASE_PASSWORD=change me\n"
    }

    fn warnings(&self, tree: &Tree) -> Vec<Warning> {
        duplicate_warnings(tree)
    }
}

/// Returns the lines of a text without their LF.
fn lines(text: &[u8]) -> impl Iterator<Item = Span> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at);
        let line = Span::new(start, end);
        start = end + 1;
        Some(line)
    })
}

/// Replaces each `\n` by a line break; `None` if there is none.
fn unescape(value: &[u8]) -> Option<SecretBytes> {
    let first = memchr::memmem::find(value, b"\\n")?;
    let mut text = SecretBytes::with_capacity(value.len());
    text.extend_from_slice(&value[..first]);
    let mut rest = &value[first..];
    while let Some(at) = memchr::memmem::find(rest, b"\\n") {
        text.extend_from_slice(&rest[..at]);
        text.push(b'\n');
        rest = &rest[at + 2..];
    }
    text.extend_from_slice(rest);
    Some(text)
}

/// Writes a value.
fn value(tree: &Tree, id: NodeId, out: &mut SecretBytes) -> Result<(), EmitError> {
    match tree.value(id) {
        Some(Value::Text(text)) => {
            let mut rest = text;
            while let Some(at) = memchr::memchr(b'\n', rest) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(b"\\n");
                rest = &rest[at + 1..];
            }
            out.extend_from_slice(rest);
        }
        Some(value) => out.extend_from_slice(&number::flat_text(value)),
        None => {
            return Err(EmitError::at(tree, id, "dotenv has no way to write a null"));
        }
    }
    Ok(())
}

fn check_key(tree: &Tree, id: NodeId, key: &[u8]) -> Result<(), EmitError> {
    if key.iter().any(|byte| matches!(byte, b'=' | b'\n')) || key.starts_with(b"#") {
        return Err(EmitError::at(tree, id, "dotenv cannot hold this key"));
    }
    Ok(())
}

fn check_flat(tree: &Tree, id: NodeId) -> Result<(), EmitError> {
    if tree.node(id).kind.is_container() {
        return Err(EmitError::at(tree, id, "dotenv is flat: it cannot hold a map or list"));
    }
    Ok(())
}

fn check_comment(tree: &Tree, id: NodeId, text: &[u8]) -> Result<(), EmitError> {
    if memchr::memchr(b'\n', text).is_some() {
        return Err(EmitError::at(tree, id, "a dotenv comment cannot hold a line break"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Step;

    fn tree(text: &str) -> Tree {
        Dotenv.parse(SecretBytes::from(text)).unwrap()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// Shows keys, values and comments.
    fn shown(tree: &Tree) -> Vec<String> {
        tree.walk(None)
            .filter_map(|step| match step {
                Step::Leaf(id) => Some(match (tree.key(id), tree.value(id), tree.comment(id)) {
                    (Some(key), Some(Value::Text(value)), _) => {
                        format!("{}={}", text(key), text(value))
                    }
                    (_, _, Some(comment)) => format!("#{}", text(comment)),
                    _ => String::new(),
                }),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn nothing_is_trimmed_or_unquoted() {
        let tree =
            tree("A=1\nB=\"q u\" # x\nexport D=x\n E = y \n#c1\n\n\nF=a=b=c\n=v\nG=a\\nb\r\n");
        assert_eq!(
            shown(&tree),
            ["A=1", "B=\"q u\" # x", "export D=x", " E = y ", "#c1", "F=a=b=c", "=v", "G=a\nb\r"]
        );
    }

    #[test]
    fn a_line_without_equals_is_refused_without_showing_it() {
        for source in ["A=1\nCANARY", "A=1\n # CANARY", "A=1\n \n"] {
            let error = Dotenv.parse(SecretBytes::from(source)).unwrap_err();
            assert_eq!(error.position.unwrap().line, 2);
            assert!(!error.to_string().contains("CANARY"));
        }
    }

    #[test]
    fn emission_follows_sops() {
        let source = "#c\nA=x\\ny\nB=\n";
        assert_eq!(text(&Dotenv.emit(&tree(source), &Layout::default()).unwrap()), source);
    }

    #[test]
    fn a_block_goes_in_and_comes_out_again() {
        let block = "sops_mac=x\nsops_version=1\n";
        for (source, position) in [
            ("A=1\nB=2\n", None),
            ("A=1\nB=2\n", Some(0)),
            ("#c\nA=1\n\n#d\nB=2\n#e\n", Some(1)),
            ("A=1\r\n", None),
            ("", None),
            ("#c\n\n", None),
        ] {
            let plain = tree(source);
            let edits = Dotenv.attach(&plain, &Block { text: block.as_bytes(), position });
            let with = edits.unwrap().apply(plain.source());
            assert!(Dotenv.sniff(&with));
            let with = tree(text(&with));
            let detached = Dotenv.detach(&with).unwrap().unwrap();
            assert_eq!(text(&detached.block), block);
            assert_eq!(detached.position, position);
            assert_eq!(text(&detached.edits.apply(with.source())), source);
        }
        assert!(Dotenv.detach(&tree("A=1\n")).unwrap().is_none());
    }
}
