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
    /// Its comments, in [`AllRemarks`]: most nodes have none.
    pub(super) remarks: RemarksId,
}

/// A place in [`AllRemarks`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemarksId(u32);

/// The comments of the nodes that have any.
#[derive(Debug)]
pub(super) struct AllRemarks(Vec<Remarks>);

impl Default for AllRemarks {
    fn default() -> AllRemarks {
        AllRemarks(vec![Remarks::default()])
    }
}

impl AllRemarks {
    /// Returns the comments at `id`.
    pub(super) fn get(&self, id: RemarksId) -> Remarks {
        self.0[id.0 as usize]
    }

    /// Sets the comments at `id`.
    pub(super) fn set(&mut self, id: &mut RemarksId, remarks: Remarks) {
        if id.0 > 0 {
            self.0[id.0 as usize] = remarks;
        } else if !remarks.is_empty() {
            *id = RemarksId(self.0.len() as u32);
            self.0.push(remarks);
        }
    }
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
    /// Which of them are about which node.
    pub(super) remarks: AllRemarks,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_small() {
        assert_eq!(size_of::<Raw>(), 48);
    }
}
