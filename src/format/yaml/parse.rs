//! The parser: tokens to documents.
//!
//! A document becomes a run of [`Raw`] nodes in the order of the text: a collection is followed by
//! its members, and a map has a key and a value in turn. Aliases are nodes of their own here, types
//! are not resolved, and each node has the comments that yaml.v3 would give it;
//! [`super::build`] makes SOPS' tree of that.
//!
//! The collections that are open are a stack of [`Frame`]s, each with what it waits for. Nothing
//! calls itself.

use std::borrow::Cow;
use std::collections::HashMap;

use super::comments::{Chain, Remarks};
use super::raw::{AllRemarks, Document, Raw, RemarksId, Shape, Stream, Tag};
use super::scan::{MAX_DEPTH, Scanner, TOO_DEEP};
use super::token::{Token, TokenKind};
use crate::format::SyntaxError;
use crate::span::Span;
use crate::tree::{Style, TextRef};

/// What an open collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BlockMap,
    BlockList,
    /// A list under a key whose `-` are in the key's column.
    DashList,
    FlowMap,
    FlowList,
    /// `key: value` as a member of a flow list.
    Pair,
}

/// What an open collection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// Its first member.
    First,
    /// Another member or its end.
    Next,
    /// A value.
    Value,
    /// The value of a flow map's key that has no `:`, which is null.
    NoValue,
}

/// A collection that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) awaits: Awaits,
    /// The collection.
    pub(super) node: u32,
    /// The column of the innermost block collection.
    pub(super) column: u32,
    /// The last key, and the one before.
    pub(super) key: Option<u32>,
    pub(super) key_before: Option<u32>,
    /// The last value, until its comments are settled.
    pub(super) value: Option<u32>,
}

impl Frame {
    fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::FlowMap | Kind::FlowList | Kind::Pair)
    }
}

/// Tag and anchor of the node that comes.
#[derive(Clone, Copy, Default)]
pub(super) struct Properties {
    tag: Option<Tag>,
    anchor: Option<Span>,
    span: Option<Span>,
}

/// Parses `source`, which was checked, from the byte `start`.
pub(super) fn parse(source: &[u8], start: usize) -> Result<Stream, SyntaxError> {
    let mut parser = Parser {
        scanner: Scanner::new(source, start),
        nodes: Vec::new(),
        remarks: AllRemarks::default(),
        frames: Vec::new(),
        anchors: HashMap::new(),
        handles: HashMap::new(),
        content_end: start as u32,
    };
    parser.peek()?;
    parser.skip_virtual();
    let mut documents = Vec::new();
    while let Some(document) = parser.document(start, documents.is_empty())? {
        documents.push(document);
    }
    Ok(Stream {
        nodes: parser.nodes,
        documents,
        comments: parser.scanner.comments,
        remarks: parser.remarks,
        decoded: parser.scanner.decoded,
    })
}

/// Turns tokens into nodes.
pub(super) struct Parser<'s> {
    pub(super) scanner: Scanner<'s>,
    pub(super) nodes: Vec<Raw>,
    remarks: AllRemarks,
    pub(super) frames: Vec<Frame>,
    /// The last node with each anchor, also of the documents before.
    anchors: HashMap<&'s [u8], u32>,
    /// The tag handles of the document with what they stand for.
    handles: HashMap<&'s [u8], TextRef>,
    /// The end of the last token that has bytes.
    pub(super) content_end: u32,
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&mut self) -> Result<Token, SyntaxError> {
        self.scanner.peek()
    }

    /// Steps over `token`, which was peeked.
    pub(super) fn skip(&mut self, token: &Token) {
        self.content_end = token.span.end;
        self.scanner.skip();
    }

    /// Steps over a token that was implied.
    pub(super) fn skip_virtual(&mut self) {
        self.scanner.skip();
    }

    pub(super) fn error(&self, token: &Token, message: &'static str) -> SyntaxError {
        self.scanner.error_at(token.span.start as usize, message)
    }

    fn source(&self) -> &'s [u8] {
        self.scanner.cursor.source()
    }

    /// Parses a document, if there is one more.
    fn document(&mut self, start: usize, first: bool) -> Result<Option<Document>, SyntaxError> {
        let mut token = self.peek()?;
        while !first && token.kind == TokenKind::DocumentEnd {
            self.skip(&token);
            token = self.peek()?;
        }
        let explicit = !first || starts_document(token.kind);
        let (from, head) = match token.kind {
            TokenKind::StreamEnd => return Ok(None),
            _ if explicit => (self.document_start()?, Chain::default()),
            _ => (start as u32, self.scanner.comments.take_document_head()),
        };
        token = self.peek()?;
        let empty = explicit
            && (starts_document(token.kind)
                || matches!(token.kind, TokenKind::DocumentEnd | TokenKind::StreamEnd));
        let root = if empty {
            self.implied(token.span.start, Properties::default())
        } else {
            self.content()?
        };
        token = self.peek()?;
        let to = if token.kind == TokenKind::StreamEnd {
            self.source().len() as u32
        } else {
            token.span.start
        };
        if token.kind == TokenKind::DocumentEnd {
            self.skip(&token);
        }
        self.handles.clear();
        let remarks = self.scanner.comments.take();
        Ok(Some(Document {
            root,
            span: Span { start: from, end: to },
            head,
            foot: if remarks.foot.is_empty() { remarks.head } else { remarks.foot },
        }))
    }

    /// Parses directives and `---`; returns where the latter ends.
    fn document_start(&mut self) -> Result<u32, SyntaxError> {
        let mut version = false;
        loop {
            let token = self.peek()?;
            match token.kind {
                TokenKind::VersionDirective(..) if version => {
                    return Err(self.error(&token, "a second `%YAML` directive"));
                }
                TokenKind::VersionDirective(1, 1) => version = true,
                TokenKind::VersionDirective(..) => {
                    return Err(self.error(&token, "the only version that SOPS reads is 1.1"));
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let handle = &self.source()[handle.range()];
                    if self.handles.insert(handle, prefix).is_some() {
                        return Err(self.error(&token, "a second directive for this tag handle"));
                    }
                }
                TokenKind::DocumentStart => {
                    self.skip(&token);
                    return Ok(token.span.end);
                }
                _ => return Err(self.error(&token, "another document starts with `---`")),
            }
            self.skip(&token);
        }
    }

    /// Parses the root node of a document and everything in it.
    fn content(&mut self) -> Result<u32, SyntaxError> {
        let root = self.node(true, false)?;
        while let Some(frame) = self.frames.last() {
            match (frame.kind, frame.awaits) {
                (Kind::BlockMap, Awaits::Value) => self.block_value()?,
                (Kind::BlockMap, _) => self.block_key()?,
                (Kind::BlockList, _) => self.block_member()?,
                (Kind::DashList, _) => self.dash_member()?,
                (Kind::FlowMap, Awaits::Value | Awaits::NoValue) => self.flow_value()?,
                (Kind::FlowMap, _) => self.flow_key()?,
                (Kind::FlowList, _) => self.flow_member()?,
                (Kind::Pair, Awaits::First) => self.pair_key()?,
                (Kind::Pair, Awaits::Value) => self.pair_value()?,
                (Kind::Pair, _) => {
                    self.settle_value();
                    self.close(Remarks::default());
                }
            }
        }
        Ok(root)
    }

    /// Parses a node, or the beginning of a collection: `block` ones are allowed or not, and so is
    /// a list whose dashes are in the column of the key.
    pub(super) fn node(&mut self, block: bool, dashes: bool) -> Result<u32, SyntaxError> {
        let mut token = self.peek()?;
        let place = token.span.start;
        if token.kind == TokenKind::Alias {
            let name = &self.source()[token.span.range()][1..];
            let Some(&target) = self.anchors.get(name) else {
                return Err(self.error(&token, "there is no anchor of this name"));
            };
            if self.nodes[target as usize].end == 0 {
                return Err(self.error(&token, "this alias stands inside its own anchor"));
            }
            let remarks = self.scanner.comments.take();
            self.skip(&token);
            let properties = Properties::default();
            return Ok(self.leaf(
                Shape::Alias(target),
                Style::Alias,
                token.span,
                properties,
                remarks,
            ));
        }
        let properties = self.properties()?;
        token = self.peek()?;
        match token.kind {
            TokenKind::BlockEntry if dashes => {
                self.open(Kind::DashList, &token, properties, Remarks::default())
            }
            TokenKind::Scalar { text, style } => {
                let remarks = self.scanner.comments.take();
                self.skip(&token);
                Ok(self.leaf(Shape::Scalar(text), style, token.span, properties, remarks))
            }
            TokenKind::FlowListStart => {
                let remarks = self.scanner.comments.take();
                self.open(Kind::FlowList, &token, properties, remarks)
            }
            TokenKind::FlowMapStart => {
                let remarks = self.scanner.comments.take();
                self.open(Kind::FlowMap, &token, properties, remarks)
            }
            TokenKind::BlockListStart | TokenKind::BlockMapStart if block => {
                let kind = if token.kind == TokenKind::BlockListStart {
                    Kind::BlockList
                } else {
                    Kind::BlockMap
                };
                let remarks =
                    Remarks { head: self.scanner.comments.take_stem(), ..Remarks::default() };
                self.open(kind, &token, properties, remarks)
            }
            _ if properties.span.is_some() => Ok(self.implied(place, properties)),
            _ => Err(self.error(&token, "there is a value expected here")),
        }
    }

    /// Parses tag and anchor, in any order.
    fn properties(&mut self) -> Result<Properties, SyntaxError> {
        let mut properties = Properties::default();
        loop {
            let token = self.peek()?;
            match token.kind {
                TokenKind::Anchor if properties.anchor.is_none() => {
                    properties.anchor = Some(token.span);
                }
                TokenKind::Tag { handle, suffix } if properties.tag.is_none() => {
                    let Some(tag) = self.tag(handle, suffix) else {
                        return Err(self.error(&token, "this tag handle is not declared"));
                    };
                    properties.tag = Some(tag);
                }
                _ => return Ok(properties),
            }
            let start = properties.span.map_or(token.span.start, |span| span.start);
            properties.span = Some(Span { start, end: token.span.end });
            self.skip(&token);
        }
    }

    /// Returns which tag it is; `None` if its handle is not declared.
    fn tag(&self, handle: Span, suffix: TextRef) -> Option<Tag> {
        let handle = &self.source()[handle.range()];
        let prefix: Cow<'_, [u8]> = match (handle, self.handles.get(handle)) {
            (b"", _) => Cow::Borrowed(b""),
            (_, Some(&prefix)) => Cow::Borrowed(self.text(prefix)),
            (b"!", _) => Cow::Borrowed(b"!"),
            (b"!!", _) => Cow::Borrowed(STANDARD),
            _ => return None,
        };
        let mut name = prefix.into_owned();
        name.extend_from_slice(self.text(suffix));
        let short = match name.strip_prefix(STANDARD) {
            Some(short) => short,
            None => match name.strip_prefix(b"!!") {
                Some(short) => short,
                None if name.is_empty() || name == b"!" => return Some(Tag::None),
                None => return Some(Tag::Other),
            },
        };
        Some(match short {
            b"str" => Tag::Text,
            b"int" => Tag::Integer,
            b"float" => Tag::Float,
            b"bool" => Tag::Boolean,
            b"null" => Tag::Null,
            b"timestamp" => Tag::Time,
            b"binary" => Tag::Binary,
            b"merge" => Tag::Merge,
            _ => Tag::Other,
        })
    }

    fn text(&self, text: TextRef) -> &[u8] {
        match text {
            TextRef::Source(span) => &self.source()[span.range()],
            TextRef::Pool(span) => &self.scanner.decoded[span.range()],
        }
    }

    fn push(
        &mut self,
        shape: Shape,
        style: Style,
        span: Span,
        properties: Properties,
        remarks: Remarks,
    ) -> u32 {
        let id = self.nodes.len() as u32;
        let around = self.frames.last();
        self.nodes.push(Raw {
            shape,
            end: 0,
            style,
            tag: properties.tag.unwrap_or_default(),
            span,
            properties: properties.span,
            flow: around.is_some_and(Frame::is_flow),
            indent: around.map_or(0, |frame| frame.column),
            remarks: RemarksId::default(),
        });
        self.set_remarks(id, remarks);
        if let Some(anchor) = properties.anchor {
            let name = &self.source()[anchor.range()][1..];
            self.anchors.insert(name, id);
        }
        id
    }

    /// Adds a node that holds no others.
    fn leaf(
        &mut self,
        shape: Shape,
        style: Style,
        span: Span,
        properties: Properties,
        remarks: Remarks,
    ) -> u32 {
        let id = self.push(shape, style, span, properties, remarks);
        self.nodes[id as usize].end = id + 1;
        id
    }

    /// Adds a null that is not spelled: at `place`, or behind its properties.
    pub(super) fn implied(&mut self, place: u32, properties: Properties) -> u32 {
        let at = match properties.span {
            Some(span) => span.end,
            None => place,
        };
        let span = Span { start: at, end: at };
        let text = Shape::Scalar(TextRef::Source(span));
        self.leaf(text, Style::Plain, span, properties, Remarks::default())
    }

    /// Opens the collection that starts with `token`, and steps over that.
    pub(super) fn open(
        &mut self,
        kind: Kind,
        token: &Token,
        properties: Properties,
        remarks: Remarks,
    ) -> Result<u32, SyntaxError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.error(token, TOO_DEEP));
        }
        let (shape, style) = match kind {
            Kind::BlockMap => (Shape::Map, Style::Block),
            Kind::BlockList | Kind::DashList => (Shape::List, Style::Block),
            Kind::FlowMap | Kind::Pair => (Shape::Map, Style::Flow),
            Kind::FlowList => (Shape::List, Style::Flow),
        };
        let outer = self.frames.last().map_or(0, |frame| frame.column);
        let node = self.push(shape, style, token.span, properties, remarks);
        let column = match kind {
            Kind::BlockMap | Kind::BlockList => {
                self.skip_virtual();
                token.column
            }
            Kind::DashList => token.column,
            Kind::FlowMap | Kind::FlowList | Kind::Pair => {
                self.skip(token);
                outer
            }
        };
        self.frames.push(Frame {
            kind,
            awaits: Awaits::First,
            node,
            column,
            key: None,
            key_before: None,
            value: None,
        });
        Ok(node)
    }

    /// Closes the innermost collection; `remarks` are what stands at its end.
    pub(super) fn close(&mut self, remarks: Remarks) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let end = self.nodes.len() as u32;
        let node = &mut self.nodes[frame.node as usize];
        node.end = end;
        node.span.end = self.content_end.max(node.span.end);
        // What stood behind the opening bracket is gone now, as in SOPS.
        let Remarks { line, foot, .. } = remarks;
        let mut own = Remarks { line, foot, ..self.remarks(frame.node) };
        if frame.kind == Kind::BlockMap
            && !foot.is_empty()
            && let Some(key) = frame.key
        {
            own.foot = Chain::default();
            self.set_foot(key, foot);
        }
        self.set_remarks(frame.node, own);
    }

    fn remarks(&self, id: u32) -> Remarks {
        self.remarks.get(self.nodes[id as usize].remarks)
    }

    fn set_remarks(&mut self, id: u32, remarks: Remarks) {
        self.remarks.set(&mut self.nodes[id as usize].remarks, remarks);
    }

    /// Returns the comments below the node `id`.
    pub(super) fn foot(&self, id: u32) -> Chain {
        self.remarks(id).foot
    }

    /// Sets the comments below the node `id`.
    pub(super) fn set_foot(&mut self, id: u32, foot: Chain) {
        self.set_remarks(id, Remarks { foot, ..self.remarks(id) });
    }

    /// Takes the comments below the node `id`.
    pub(super) fn take_foot(&mut self, id: u32) -> Chain {
        let foot = self.foot(id);
        self.set_foot(id, Chain::default());
        foot
    }

    pub(super) fn set(&mut self, awaits: Awaits) {
        if let Some(frame) = self.frames.last_mut() {
            frame.awaits = awaits;
        }
    }
}

/// What `!!` stands for.
const STANDARD: &[u8] = b"tag:yaml.org,2002:";

/// Returns whether a token can only stand in front of a document.
fn starts_document(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::VersionDirective(..) | TokenKind::TagDirective { .. } | TokenKind::DocumentStart
    )
}
