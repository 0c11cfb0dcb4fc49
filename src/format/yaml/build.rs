//! SOPS' tree of the documents: aliases are followed, types resolved, comments put in their place.
//!
//! The order of a map is: the comments above and behind an entry's key, those above and behind its
//! scalar value, the entry, those below the value, those below the key. A collection has its own
//! comments inside, at its beginning and end, except for the member of a list, whose comments are
//! in the list. This is what SOPS' YAML store makes of yaml.v3's nodes.
//!
//! An alias of a collection becomes a copy. Copies have no spans: there is nothing to replace.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::comments::{Chain, Remarks};
use super::raw::{Document, Raw, Shape, Stream, Tag};
use super::resolve::{Resolved, may_be_typed, resolve_plain};
use super::scan::{MAX_DEPTH, TOO_DEEP};
use crate::format::SyntaxError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Key, KeyType, NodeKind, Site, Style, TextRef, Tree, TreeBuilder};

/// Go's base64 decoder: padding is needed, left-over bits may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Up to this many nodes, yaml.v3 lets 99 % of a document be copies made for aliases, ...
const SMALL: f64 = 400_000.0;
/// ... from this many nodes on 10 %, and in between what lies in between.
const LARGE: f64 = 4_000_000.0;

/// Builds the tree of `stream`, which was read from `source`.
pub(super) fn build(source: SecretBytes, mut stream: Stream) -> Result<Tree, SyntaxError> {
    // It begins with the scanner's pool, so that the references to that stay valid.
    let pool = std::mem::take(&mut stream.decoded);
    let builder = TreeBuilder::with_pool(source, pool)?;
    let stream = &stream;
    let mut build = Build {
        builder,
        stream,
        used: vec![false; stream.comments.all().len()],
        open: Vec::new(),
        visited: 0,
        copied: 0,
        binaries: HashMap::new(),
    };
    for document in &stream.documents {
        build.document(document)?;
    }
    for (comment, used) in stream.comments.all().iter().zip(&build.used) {
        if !used {
            let text = comment_text(comment.span);
            build.builder.stray(text, comment.span);
        }
    }
    Ok(build.builder.finish())
}

/// A collection that is being built.
struct Level {
    /// The number of the next member, and that after the last one.
    next: u32,
    end: u32,
    is_map: bool,
    /// Whether it is a copy made for an alias.
    copy: bool,
    /// The column of its members' block collection, and whether they are in a flow collection.
    site: Site,
    /// The comments behind the member that was built last, which came before those of `end`.
    below: [Chain; 2],
    /// The comments at its end.
    foot: Chain,
}

struct Build<'t> {
    builder: TreeBuilder,
    stream: &'t Stream,
    /// Which comments are in the tree.
    used: Vec<bool>,
    open: Vec<Level>,
    /// How many keys and values were built, and how many of them in copies.
    visited: u64,
    copied: u64,
    /// The bytes of the `!!binary` scalars: aliases of one share them.
    binaries: HashMap<u32, TextRef>,
}

impl Build<'_> {
    fn raw(&self, id: u32) -> Raw {
        self.stream.nodes[id as usize]
    }

    fn remarks(&self, raw: &Raw) -> Remarks {
        self.stream.remarks.get(raw.remarks)
    }

    fn error(&self, raw: &Raw, message: &'static str) -> SyntaxError {
        SyntaxError::at(self.builder.source(), raw.span.start as usize, message)
    }

    fn document(&mut self, document: &Document) -> Result<(), SyntaxError> {
        let root = self.raw(document.root);
        let (target, copy) = match root.shape {
            Shape::Alias(target) => (target, true),
            _ => (document.root, false),
        };
        let map = self.raw(target);
        let site = Site {
            style: if map.style == Style::Flow { Style::Flow } else { Style::Block },
            flow: false,
            indent: 0,
            properties: (map.shape == Shape::Map).then_some(root.span),
        };
        self.builder.open(None, NodeKind::Map, Some(document.span), site);
        let inner = Site {
            flow: site.style == Style::Flow,
            indent: self.members_indent(target),
            ..Site::default()
        };
        self.comments(document.head, false, false, inner);
        match map.shape {
            Shape::Map => {
                self.comments(self.remarks(&map).head, false, copy, inner);
                self.comments(self.remarks(&map).line, false, copy, inner);
                self.visit(&root, copy)?;
                self.open.push(Level {
                    next: target + 1,
                    end: map.end,
                    is_map: true,
                    copy,
                    site: inner,
                    below: [Chain::default(); 2],
                    foot: self.remarks(&map).foot,
                });
                self.members()?;
            }
            Shape::Scalar(text) if self.scalar(target, text)? == NodeKind::Null => {}
            _ => return Err(self.error(&root, "a document must be a map")),
        }
        self.comments(document.foot, false, false, inner);
        self.builder.close(None);
        Ok(())
    }

    /// Returns the column of the block collection in which the members of `id` are.
    fn members_indent(&self, id: u32) -> u32 {
        let raw = self.raw(id);
        match self.stream.nodes.get(id as usize + 1) {
            Some(member) if raw.end > id + 1 => member.indent,
            _ => raw.indent,
        }
    }

    /// Builds everything in the open collections.
    fn members(&mut self) -> Result<(), SyntaxError> {
        while let Some(level) = self.open.last_mut() {
            let (copy, site, is_map) = (level.copy, level.site, level.is_map);
            let [first, second] = std::mem::take(&mut level.below);
            let next = level.next;
            let ends = next >= level.end;
            let foot = level.foot;
            self.comments(first, false, copy, site);
            self.comments(second, false, copy, site);
            if ends {
                self.comments(foot, false, copy, site);
                self.open.pop();
                // The root is closed with its document.
                if !self.open.is_empty() {
                    self.builder.close(None);
                }
            } else if is_map {
                self.entry(next, copy, site)?;
            } else {
                self.member(next, copy, site)?;
            }
        }
        Ok(())
    }

    /// Builds the entry of a map whose key is `id`.
    fn entry(&mut self, id: u32, copy: bool, site: Site) -> Result<(), SyntaxError> {
        let key_raw = self.raw(id);
        let value_id = key_raw.end;
        let value = self.raw(value_id);
        self.comments(self.remarks(&key_raw).head, false, copy, site);
        self.comments(self.remarks(&key_raw).line, false, copy, site);
        self.visit(&key_raw, copy)?;
        let key = self.key(&key_raw, copy)?;
        let mut below = [Chain::default(), self.remarks(&key_raw).foot];
        let own = matches!(value.shape, Shape::Scalar(_) | Shape::Alias(_));
        if own {
            self.comments(self.remarks(&value).head, false, copy, site);
            self.comments(self.remarks(&value).line, true, copy, site);
            below[0] = self.remarks(&value).foot;
        }
        self.step_over(value.end, below);
        self.value(value_id, Some(key), copy, own)
    }

    /// Builds the member `id` of a list.
    fn member(&mut self, id: u32, copy: bool, site: Site) -> Result<(), SyntaxError> {
        let raw = self.raw(id);
        self.comments(self.remarks(&raw).head, false, copy, site);
        self.comments(self.remarks(&raw).line, true, copy, site);
        self.step_over(raw.end, [self.remarks(&raw).foot, Chain::default()]);
        self.value(id, None, copy, true)
    }

    /// Goes on behind a member, with the comments behind it.
    fn step_over(&mut self, next: u32, below: [Chain; 2]) {
        if let Some(level) = self.open.last_mut() {
            level.next = next;
            level.below = below;
        }
    }

    /// Builds a value; `handled` tells that its comments are in the collection around it.
    fn value(
        &mut self,
        id: u32,
        key: Option<Key>,
        copy: bool,
        handled: bool,
    ) -> Result<(), SyntaxError> {
        let raw = self.raw(id);
        self.visit(&raw, copy)?;
        let span = (!copy).then_some(raw.span);
        let mut site = Site {
            style: raw.style,
            flow: raw.flow,
            indent: raw.indent,
            properties: raw.properties.filter(|_| !copy),
        };
        let (target, copies, handled) = match raw.shape {
            Shape::Alias(target) => (target, true, false),
            _ => (id, copy, handled),
        };
        let target_raw = self.raw(target);
        if target != id {
            self.visit(&target_raw, true)?;
            if copy {
                site.style = target_raw.style;
            }
        }
        let kind = match target_raw.shape {
            Shape::Map => NodeKind::Map,
            Shape::List => NodeKind::List,
            Shape::Scalar(text) => {
                let kind = self.scalar(target, text)?;
                self.builder.leaf(key, kind, span, site);
                return Ok(());
            }
            Shape::Alias(_) => return Err(self.error(&raw, "an alias of an alias")),
        };
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(&raw, TOO_DEEP));
        }
        self.builder.open(key, kind, span, site);
        let inner = Site {
            flow: target_raw.style == Style::Flow,
            indent: self.members_indent(target),
            ..Site::default()
        };
        let mut foot = Chain::default();
        if !handled {
            self.comments(self.remarks(&target_raw).head, false, copies, inner);
            self.comments(self.remarks(&target_raw).line, false, copies, inner);
            foot = self.remarks(&target_raw).foot;
        }
        self.open.push(Level {
            next: target + 1,
            end: target_raw.end,
            is_map: kind == NodeKind::Map,
            copy: copies,
            site: inner,
            below: [Chain::default(); 2],
            foot,
        });
        Ok(())
    }

    /// Counts a node, and refuses documents of which too much is copies: a few lines of aliases of
    /// aliases can stand for more nodes than there is memory.
    fn visit(&mut self, raw: &Raw, copy: bool) -> Result<(), SyntaxError> {
        self.visited += 1;
        self.copied += u64::from(copy);
        if self.copied <= 100 || self.visited <= 1000 {
            return Ok(());
        }
        #[allow(clippy::cast_precision_loss)] // no document has 2^52 nodes
        let (visited, copied) = (self.visited as f64, self.copied as f64);
        let size = ((visited - SMALL) / (LARGE - SMALL)).clamp(0.0, 1.0);
        if copied / visited > 0.99 - 0.89 * size {
            return Err(self.error(raw, "the document is made of aliases above all"));
        }
        Ok(())
    }

    fn key(&self, raw: &Raw, copy: bool) -> Result<Key, SyntaxError> {
        let target = match raw.shape {
            Shape::Alias(target) => self.raw(target),
            _ => *raw,
        };
        let Shape::Scalar(text) = target.shape else {
            return Err(self.error(raw, "a key cannot be a map or a list"));
        };
        let mut key = Key { text, kind: KeyType::Text, span: (!copy).then_some(raw.span) };
        key.kind = match self.resolve(&target, text)? {
            Resolved::Text => KeyType::Text,
            Resolved::Null => KeyType::Null,
            Resolved::Boolean(_) => KeyType::Boolean,
            Resolved::Integer(_) | Resolved::Unsigned(_) => KeyType::Integer,
            Resolved::Float(_) => KeyType::Float,
            Resolved::Time(_) => KeyType::Time,
        };
        Ok(key)
    }

    /// Returns the value of the scalar `id` with that text.
    fn scalar(&mut self, id: u32, text: TextRef) -> Result<NodeKind, SyntaxError> {
        let raw = &self.raw(id);
        if raw.tag == Tag::Binary {
            if let Some(&bytes) = self.binaries.get(&id) {
                return Ok(NodeKind::Text(bytes));
            }
            let Some(bytes) = decode_base64(self.builder.text(text)) else {
                return Err(self.error(raw, "the text behind `!!binary` is not base64"));
            };
            let bytes = self.builder.intern(&bytes);
            self.binaries.insert(id, bytes);
            return Ok(NodeKind::Text(bytes));
        }
        Ok(match self.resolve(raw, text)? {
            Resolved::Text => NodeKind::Text(text),
            Resolved::Null => NodeKind::Null,
            Resolved::Boolean(flag) => NodeKind::Boolean(flag),
            Resolved::Integer(number) => NodeKind::Integer(number),
            Resolved::Unsigned(number) => NodeKind::Unsigned(number),
            Resolved::Float(number) => NodeKind::Float(number),
            Resolved::Time(time) => NodeKind::Time(time),
        })
    }

    /// Resolves the type of a scalar by its tag, its style and its text.
    fn resolve(&self, raw: &Raw, text: TextRef) -> Result<Resolved, SyntaxError> {
        match (raw.tag, raw.style) {
            (Tag::None, Style::Plain) => {}
            (Tag::None | Tag::Text | Tag::Binary | Tag::Merge | Tag::Other, _) => {
                return Ok(Resolved::Text);
            }
            _ => {}
        }
        let bytes = self.builder.text(text);
        // Most texts are told by their first letter.
        if raw.tag == Tag::None && !may_be_typed(bytes) {
            return Ok(Resolved::Text);
        }
        let plain = std::str::from_utf8(bytes).map_or(Resolved::Text, resolve_plain);
        let fits = match (raw.tag, plain) {
            (Tag::Float, Resolved::Integer(number)) => {
                #[allow(clippy::cast_precision_loss)] // as SOPS does
                return Ok(Resolved::Float(number as f64));
            }
            (Tag::Integer, Resolved::Integer(_) | Resolved::Unsigned(_))
            | (Tag::Float, Resolved::Float(_))
            | (Tag::Boolean, Resolved::Boolean(_))
            | (Tag::Null, Resolved::Null)
            | (Tag::Time, Resolved::Time(_)) => true,
            (tag, _) => tag == Tag::None,
        };
        if fits {
            Ok(plain)
        } else {
            Err(self.error(raw, "the value is not of the type that its tag says"))
        }
    }

    /// Adds comments, each a node of its own.
    fn comments(&mut self, chain: Chain, inline: bool, copy: bool, site: Site) {
        for (id, span) in self.stream.comments.iter(chain) {
            let text = comment_text(span);
            let kind = NodeKind::Comment { text, inline };
            let span = (!copy).then_some(span);
            self.builder.leaf(None, kind, span, site);
            if !copy {
                self.used[id as usize] = true;
            }
        }
    }
}

/// Returns the text of the comment at `span`.
fn comment_text(span: Span) -> TextRef {
    TextRef::Source(Span { start: span.start + 1, end: span.end })
}

/// Decodes base64 as Go does, which skips line breaks.
fn decode_base64(text: &[u8]) -> Option<SecretBytes> {
    let mut compact = SecretBytes::with_capacity(text.len());
    for part in text.split(|&byte| matches!(byte, b'\n' | b'\r')) {
        compact.extend_from_slice(part);
    }
    let mut bytes = SecretBytes::new();
    bytes.resize(base64::decoded_len_estimate(compact.len()));
    let length = BASE64.decode_slice(&*compact, bytes.as_mut_slice()).ok()?;
    bytes.resize(length);
    Some(bytes)
}
