//! Parts to tree, as SOPS has it: sections with their comment first, each key followed by its
//! comment, and a section `DEFAULT` at the start for the keys that are in none.

use std::collections::HashSet;

use crate::format::SyntaxError;
use crate::format::ini::METADATA;
use crate::format::ini::comments::{self, Comments};
use crate::format::ini::scan::{Behind, Entry, Header, Item, Scanner, Text, start_of_text};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Key, KeyType, NodeKind, Site, TextRef, Tree, TreeBuilder};

/// The section of the keys in front of the first header.
pub(super) const DEFAULT: &[u8] = b"DEFAULT";

/// Parses a text.
pub(super) fn parse(source: SecretBytes) -> Result<Tree, SyntaxError> {
    let mut builder = TreeBuilder::new(source)?;
    let source = builder.shared_source();
    let map = NodeKind::Map;
    builder.open(None, map, Some(Span::new(0, source.len())), Site::default());
    let start = start_of_text(&source);
    let default = Key { text: builder.intern(DEFAULT), kind: KeyType::Text, span: None };
    builder.open(Some(default), map, Some(Span::new(start, start)), Site::default());
    let mut section_end = start;
    // The comment lines that wait for the key or section that they belong to.
    let mut comments = Comments::default();
    let mut keys: HashSet<&[u8]> = HashSet::new();
    let mut scanner = Scanner::new(&source);
    while let Some(item) = scanner.next()? {
        match item {
            Item::Comment(line) => comments.above.push(line),
            Item::Header(header) => {
                builder.close(Some(section_end));
                keys.clear();
                section_end = self::section(&mut builder, &source, header, &mut comments);
            }
            Item::Entry(entry) => {
                if !keys.insert(&source[entry.name.range()]) {
                    let message = "the key stands twice in its section; SOPS keeps only one of \
                                   the values";
                    return Err(SyntaxError::at(&source, entry.key.start as usize, message));
                }
                section_end = self::entry(&mut builder, &source, entry, &mut comments);
            }
        }
    }
    builder.close(Some(section_end));
    strays(&mut builder, &source, &mut comments);
    builder.close(None);
    Ok(builder.finish())
}

/// Opens a section. Returns where its header ends.
fn section(
    builder: &mut TreeBuilder,
    source: &[u8],
    header: Header,
    comments: &mut Comments,
) -> usize {
    let name = header.name;
    if &source[name.range()] == METADATA {
        // SOPS drops what stands above the metadata. In the plain text it is the end of the file.
        strays(builder, source, comments);
    }
    let end = header.comment.map_or(name.end + 1, |comment| comment.end);
    let span = Span { start: name.start - 1, end };
    let key = Key { text: TextRef::Source(name), kind: KeyType::Text, span: Some(name) };
    builder.open(Some(key), NodeKind::Map, Some(span), Site::default());
    comments.inline = header.comment;
    comment(builder, source, comments);
    end as usize
}

/// Adds an entry. Returns where it ends.
fn entry(builder: &mut TreeBuilder, source: &[u8], entry: Entry, comments: &mut Comments) -> usize {
    let Entry { name, key, value, .. } = entry;
    let text = match value.text {
        Text::Source(span) => TextRef::Source(span),
        Text::Joined(text) => builder.intern(&text),
    };
    let key = Key { text: TextRef::Source(name), kind: KeyType::Text, span: Some(key) };
    let site = Site { style: value.style, ..Site::default() };
    builder.leaf(Some(key), NodeKind::Text(text), Some(value.span), site);
    let end = match value.behind {
        Behind::Nothing => value.span.end,
        Behind::Comment(span) => {
            comments.inline = Some(span);
            span.end
        }
        Behind::Dropped(span) => {
            stray(builder, source, span);
            span.end
        }
    };
    comment(builder, source, comments);
    end as usize
}

/// Adds the comment of the key or section that was added last.
fn comment(builder: &mut TreeBuilder, source: &[u8], comments: &mut Comments) {
    let Some(span) = comments.span() else { return };
    let text = match comments::text(source, comments) {
        comments::Joined::Source(span) => TextRef::Source(span),
        comments::Joined::Made(text) => builder.intern(&text),
    };
    let site = Site {
        flow: comments.above.is_empty(),
        properties: comments.inline.filter(|_| !comments.above.is_empty()),
        ..Site::default()
    };
    // SOPS has no inline comments in INI files: it writes them above the key.
    builder.leaf(None, NodeKind::Comment { text, inline: false }, Some(span), site);
    comments.clear();
}

/// Notes comments that belong to nothing.
fn strays(builder: &mut TreeBuilder, source: &[u8], comments: &mut Comments) {
    for &line in &comments.above {
        stray(builder, source, line);
    }
    comments.clear();
}

fn stray(builder: &mut TreeBuilder, source: &[u8], span: Span) {
    let text = comments::content(source, span);
    builder.stray(TextRef::Source(text), span);
}
