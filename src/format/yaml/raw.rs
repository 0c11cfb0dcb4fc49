//! The nodes of a text as the parser leaves them: in the order of the text, with their comments,
//! but with aliases as nodes of their own and types not resolved.

use super::comments::{Chain, Comments, Remarks};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::{Style, TextRef};

/// What a node is before aliases are followed and types resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A map.
    Map,
    /// A list.
    List,
    /// A scalar with its text.
    Scalar(TextRef),
    /// An alias of the node with this number.
    Alias(u32),
}

/// The tag of a node, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Tag {
    /// None, or `!`.
    #[default]
    None,
    /// `!!str`
    Text,
    /// `!!int`
    Integer,
    /// `!!float`
    Float,
    /// `!!bool`
    Boolean,
    /// `!!null`
    Null,
    /// `!!timestamp`
    Time,
    /// `!!binary`
    Binary,
    /// `!!merge`
    Merge,
    /// Any other: the value is what it looks like to the application, which is text.
    Other,
}

/// A node as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    /// What it is.
    pub(super) shape: Shape,
    /// The number of the node after its last descendant; zero as long as it is open.
    pub(super) end: u32,
    /// How it is spelled.
    pub(super) style: Style,
    /// Its tag.
    pub(super) tag: Tag,
    /// Its bytes, without tag and anchor.
    pub(super) span: Span,
    /// The bytes of tag and anchor.
    pub(super) properties: Option<Span>,
    /// Whether it stands in a flow collection.
    pub(super) flow: bool,
    /// The column of the block collection that it stands in.
    pub(super) indent: u32,
    /// Its comments.
    pub(super) remarks: Remarks,
}

/// A document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document {
    /// The number of its root node.
    pub(super) root: u32,
    /// Its bytes between the markers.
    pub(super) span: Span,
    /// The comments above everything.
    pub(super) head: Chain,
    /// The comments below everything.
    pub(super) foot: Chain,
}

/// All that a text has.
pub(super) struct Stream {
    /// The nodes of all documents.
    pub(super) nodes: Vec<Raw>,
    /// The documents.
    pub(super) documents: Vec<Document>,
    /// The comments.
    pub(super) comments: Comments,
    /// What [`TextRef::Pool`] refers to.
    pub(super) decoded: SecretBytes,
}

impl Stream {
    /// Returns the bytes of `text`.
    pub(super) fn text<'t>(&'t self, source: &'t [u8], text: TextRef) -> &'t [u8] {
        match text {
            TextRef::Source(span) => &source[span.range()],
            TextRef::Pool(span) => &self.decoded[span.range()],
        }
    }
}
