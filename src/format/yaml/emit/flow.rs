//! Values in flow style, for where a block cannot stand.

use super::super::style::{Escapes, Shape, style_of, write_double, write_spaces};
use super::{comment_text, comments_to_hoist, key_text, refuse_duplicates, write_scalar};
use crate::format::EmitError;
use crate::secret::SecretBytes;
use crate::tree::{KeyType, NodeId, NodeKind, Step, Style, Tree, Value};

/// How keys and texts are quoted in a flow collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format::yaml) enum FlowQuotes {
    /// Where they must be.
    Needed,
    /// Always, as in JSON.
    All,
}

/// How lines begin and end that stand within braces.
#[derive(Clone, Copy, Debug)]
pub(in crate::format::yaml) struct FlowLines {
    /// The column, which is beyond that of the block around it.
    pub(in crate::format::yaml) column: usize,
    /// The line break.
    pub(in crate::format::yaml) newline: &'static [u8],
}

/// Appends a map or list in flow style, on one line and without its comments.
pub(in crate::format::yaml) fn write_flow(
    out: &mut SecretBytes,
    tree: &Tree,
    root: NodeId,
    quotes: FlowQuotes,
) -> Result<(), EmitError> {
    write_flow_lines(out, tree, root, quotes, None)
}

/// As [`write_flow`], but where there are `lines`, each comment gets one.
pub(in crate::format::yaml) fn write_flow_lines(
    out: &mut SecretBytes,
    tree: &Tree,
    root: NodeId,
    quotes: FlowQuotes,
    lines: Option<FlowLines>,
) -> Result<(), EmitError> {
    // What the next member needs in front of it.
    let mut comma: &[u8] = b"";
    let mut hoisted = 0;
    for step in tree.walk(Some(root)) {
        let (Step::Enter(id) | Step::Leaf(id) | Step::Leave(id)) = step;
        let node = tree.node(id);
        if let Step::Leave(_) = step {
            out.push(if node.kind == NodeKind::List { b']' } else { b'}' });
            comma = b", ";
            continue;
        }
        if node.kind.is_comment() {
            if hoisted > 0 {
                hoisted -= 1;
            } else if let Some(lines) = lines {
                out.extend_from_slice(comma.trim_ascii_end());
                comma = b"";
                write_flow_comment(out, comment_text(tree, id)?, lines);
            }
            continue;
        }
        if let Some(lines) = lines {
            hoisted = comments_to_hoist(tree, id);
            for comment in tree.children(id).take(hoisted) {
                out.extend_from_slice(comma.trim_ascii_end());
                comma = b"";
                write_flow_comment(out, comment_text(tree, comment)?, lines);
            }
        }
        if id != root {
            out.extend_from_slice(comma);
            write_flow_key(out, tree, id, quotes)?;
        }
        match node.kind {
            NodeKind::List => out.push(b'['),
            NodeKind::Map => {
                refuse_duplicates(tree, id)?;
                out.push(b'{');
            }
            _ => write_flow_scalar(out, tree, id, quotes),
        }
        comma = if node.kind.is_container() { b"" } else { b", " };
    }
    Ok(())
}

/// Appends a comment on lines of its own.
pub(in crate::format::yaml) fn write_flow_comment(
    out: &mut SecretBytes,
    text: &str,
    FlowLines { column, newline }: FlowLines,
) {
    if newline == b"\r\n" && matches!(out.last(), None | Some(b'{' | b'[')) {
        // SOPS takes the line behind each comment line for empty here, and with it the comment
        // for one below the bracket, which it loses: but not where another empty line is above.
        out.extend_from_slice(newline);
    }
    for line in text.split('\n') {
        flow_line(out, column, newline);
        out.push(b'#');
        out.extend_from_slice(line.strip_suffix('\r').unwrap_or(line).as_bytes());
    }
    flow_line(out, column, newline);
}

/// Begins a line; what stands there already is one that is empty so far.
fn flow_line(out: &mut SecretBytes, column: usize, newline: &[u8]) {
    let blanks = out.iter().rev().take_while(|&&byte| byte == b' ').count();
    if blanks != column || !out[..out.len() - blanks].ends_with(newline) {
        out.extend_from_slice(newline);
        write_spaces(out, column);
    }
}

/// Appends the key of a flow map entry with its colon; nothing for a list member.
pub(in crate::format::yaml) fn write_flow_key(
    out: &mut SecretBytes,
    tree: &Tree,
    id: NodeId,
    quotes: FlowQuotes,
) -> Result<(), EmitError> {
    /// A reader looks for the colon of a key this far, in characters, and no further.
    const REACH: usize = 900;
    let Some(key) = tree.node(id).key else {
        return Ok(());
    };
    let Some(text) = key_text(tree.text(key.text), key.kind) else {
        return Err(EmitError::at(tree, id, "a key is not UTF-8"));
    };
    let mut rendered = SecretBytes::new();
    if key.kind == KeyType::Text && text != "<<" {
        write_flow_text(&mut rendered, text, quotes);
    } else {
        rendered.extend_from_slice(text.as_bytes());
    }
    if rendered.len() > REACH {
        out.extend_from_slice(b"? ");
    }
    out.extend_from_slice(&rendered);
    out.extend_from_slice(b": ");
    Ok(())
}

/// Appends a scalar in a flow collection.
fn write_flow_scalar(out: &mut SecretBytes, tree: &Tree, id: NodeId, quotes: FlowQuotes) {
    if let Some(Value::Text(bytes)) = tree.value(id)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        write_flow_text(out, text, quotes);
    } else {
        write_scalar(out, tree, id);
    }
}

/// Appends a text in a flow collection.
pub(in crate::format::yaml) fn write_flow_text(
    out: &mut SecretBytes,
    text: &str,
    quotes: FlowQuotes,
) {
    let shape = Shape::of(text);
    let plain = quotes == FlowQuotes::Needed
        && shape.reads_plain_in_flow()
        && style_of(text, shape) == Style::Plain;
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_double(out, text, Escapes::Few);
    }
}
