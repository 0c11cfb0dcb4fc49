//! JSON text as SOPS writes it.

use crate::format::{EmitError, Layout, find};
use crate::number;
use crate::secret::SecretBytes;
use crate::tree::{Node, NodeId, NodeKind, Step, Tree, Value};

/// Writes the value of a leaf.
pub(super) fn scalar(tree: &Tree, id: NodeId, out: &mut SecretBytes) -> Result<(), EmitError> {
    match tree.value(id) {
        Some(Value::Text(text)) => {
            let Ok(text) = std::str::from_utf8(text) else {
                return Err(EmitError::at(tree, id, "JSON cannot hold bytes that are not UTF-8"));
            };
            string(text, out);
        }
        Some(Value::Integer(number)) => out.extend_from_slice(number.to_string().as_bytes()),
        Some(Value::Float(number)) => match number::json_float(number) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return Err(EmitError::at(tree, id, "JSON has no infinity and no NaN")),
        },
        Some(Value::Boolean(flag)) => out.extend_from_slice(flag.to_string().as_bytes()),
        Some(Value::Time(time)) => string(&number::rfc3339(time), out),
        None => match tree.node(id).kind {
            NodeKind::Unsigned(number) => out.extend_from_slice(number.to_string().as_bytes()),
            _ => out.extend_from_slice(b"null"),
        },
    }
    Ok(())
}

/// Writes a string with the escapes of Go's encoder: `<`, `>`, `&` and the two Unicode line
/// separators too.
#[allow(clippy::needless_bitwise_bool, reason = "no branches, as `find::first` wants it")]
pub(super) fn string(text: &str, out: &mut SecretBytes) {
    let special = |byte: u8| {
        (byte < 0x20)
            | (byte == b'"')
            | (byte == b'\\')
            | (byte == b'<')
            | (byte == b'>')
            | (byte == b'&')
            | (byte == 0xe2)
    };
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let (mut done, mut next) = (0, 0);
    loop {
        let at = next + find::first(&bytes[next..], special);
        let Some(&byte) = bytes.get(at) else { break };
        next = at + 1;
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            b'<' => b"\\u003c",
            b'>' => b"\\u003e",
            b'&' => b"\\u0026",
            0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => b"\\u2028",
            0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => b"\\u2029",
            0..0x20 => &[
                b'\\',
                b'u',
                b'0',
                b'0',
                b'0' + (byte >> 4),
                b"0123456789abcdef"[usize::from(byte & 15)],
            ],
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(escape);
        done = at + if byte == 0xe2 { 3 } else { 1 };
        next = done;
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Writes a whole tree.
pub(super) fn document(tree: &Tree, layout: &Layout) -> Result<SecretBytes, EmitError> {
    let mut documents = tree.documents();
    let root = documents.next();
    if documents.next().is_some() {
        return Err(EmitError::whole("JSON holds one document, and the file has several"));
    }
    let mut out = SecretBytes::with_capacity(tree.source().len());
    let Some(root) = root else {
        return Err(EmitError::whole("there is no document to write"));
    };
    let place = Place {
        indentation: b"",
        colon: if layout.compact { b":" } else { b": " },
        comma: b",",
        spelled: false,
    };
    value(tree, root, (layout, &place), &mut out)?;
    // As SOPS: what `--extract` takes out of a document ends without a line break unless it is a map.
    if !layout.compact && tree.node(root).kind == NodeKind::Map {
        out.extend_from_slice(if layout.crlf { b"\r\n" } else { b"\n" });
    }
    Ok(out)
}

/// What is around a value that is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// What the line begins with on which the value stands.
    pub(super) indentation: &'a [u8],
    /// The colon with its blanks.
    pub(super) colon: &'a [u8],
    /// The comma, with the blank behind it where all stands on one line.
    pub(super) comma: &'a [u8],
    /// Whether floats are spelled as in the source of the tree, which is JSON.
    pub(super) spelled: bool,
}

/// Writes the value at `root`, without its key.
pub(super) fn value(
    tree: &Tree,
    root: NodeId,
    (layout, place): (&Layout, &Place<'_>),
    out: &mut SecretBytes,
) -> Result<(), EmitError> {
    let mut writer = Writer { out, layout, place, depth: 0, first: true };
    for step in tree.walk(Some(root)) {
        match step {
            Step::Leaf(id) if tree.node(id).kind.is_comment() => {}
            Step::Leaf(id) => {
                writer.start(tree, id)?;
                match *tree.node(id) {
                    Node { kind: NodeKind::Float(_), span: Some(span), .. } if place.spelled => {
                        writer.out.extend_from_slice(&tree.source()[span.range()]);
                    }
                    _ => scalar(tree, id, writer.out)?,
                }
            }
            Step::Enter(id) => {
                writer.start(tree, id)?;
                let map = tree.node(id).kind == NodeKind::Map;
                writer.out.push(if map { b'{' } else { b'[' });
                writer.depth += 1;
                writer.first = true;
            }
            Step::Leave(id) => {
                writer.depth -= 1;
                if !writer.first {
                    writer.line();
                }
                let map = tree.node(id).kind == NodeKind::Map;
                writer.out.push(if map { b'}' } else { b']' });
                writer.first = false;
            }
        }
    }
    Ok(())
}

fn utf8<'t>(tree: &Tree, id: NodeId, key: &'t [u8]) -> Result<&'t str, EmitError> {
    std::str::from_utf8(key)
        .map_err(|_| EmitError::at(tree, id, "JSON cannot hold a key that is not UTF-8"))
}

struct Writer<'o> {
    out: &'o mut SecretBytes,
    layout: &'o Layout,
    place: &'o Place<'o>,
    depth: usize,
    first: bool,
}

impl Writer<'_> {
    /// Starts a member: the comma behind the last one, the line, the key. What is written has none.
    fn start(&mut self, tree: &Tree, id: NodeId) -> Result<(), EmitError> {
        if self.depth == 0 {
            return Ok(());
        }
        if !self.first {
            self.out.extend_from_slice(self.place.comma);
        }
        self.line();
        self.first = false;
        if let Some(key) = tree.key(id) {
            string(utf8(tree, id, key)?, self.out);
            self.out.extend_from_slice(self.place.colon);
        }
        Ok(())
    }

    fn line(&mut self) {
        if self.layout.compact {
            return;
        }
        self.out.extend_from_slice(if self.layout.crlf { b"\r\n" } else { b"\n" });
        self.out.extend_from_slice(self.place.indentation);
        for _ in 0..self.depth {
            match self.layout.indent {
                None => self.out.push(b'\t'),
                Some(width) => (0..width).for_each(|_| self.out.push(b' ')),
            }
        }
    }
}
