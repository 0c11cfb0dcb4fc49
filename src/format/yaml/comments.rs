//! Comments on their way from the text to a node.
//!
//! The scanner sees each comment before it knows what the comment is about. It queues it as a
//! [`Waiting`] piece with the offset of the token that it belongs to; when the parser looks at a
//! token at or behind that offset, the piece joins the pending [`Remarks`], and the next node that
//! is made takes them. What goes to which node follows yaml.v3, on which SOPS' tree order depends;
//! it is not always what a reader of the file would expect.
//!
//! All comments are in one table, and a group of them is a chain through it ([`Chain`]), so that
//! joining two groups and splitting one copies nothing. A comment is in one chain at most. One
//! that ends up in no node's chain is a stray of the tree.

use std::collections::VecDeque;

use super::token::{Token, TokenKind};
use crate::span::Span;

/// A comment of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment {
    /// Its bytes, from the `#` on.
    pub(super) span: Span,
    /// Whether an empty line stands between it and the next one of its chain.
    before_blank: bool,
    next: Option<u32>,
}

/// Some comments, in order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain(Option<(u32, u32)>);

impl Chain {
    /// Returns whether there are none.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_none()
    }
}

/// Where a comment stands, seen from what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On the lines above.
    Head,
    /// Behind it on its line.
    Line,
    /// On the lines below.
    Foot,
}

/// The comments about one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Remarks {
    /// Above it.
    pub(super) head: Chain,
    /// Behind it.
    pub(super) line: Chain,
    /// Below it.
    pub(super) foot: Chain,
}

impl Remarks {
    /// Returns whether there are none.
    pub(super) fn is_empty(self) -> bool {
        self.head.is_empty() && self.line.is_empty() && self.foot.is_empty()
    }
}

/// A piece of comment that no token has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// The comments.
    pub(super) chain: Chain,
    /// Where they stand.
    pub(super) place: Place,
    /// The first token that may take them is at or behind this offset.
    pub(super) owner: u32,
}

/// All comments of a text.
#[derive(Debug, Default)]
pub(super) struct Comments {
    table: Vec<Comment>,
    waiting: VecDeque<Waiting>,
    pending: Remarks,
    stem: Chain,
}

impl Comments {
    /// Enters a comment into the table; it is in no chain yet.
    pub(super) fn note(&mut self, span: Span) -> Chain {
        let id = self.table.len() as u32;
        self.table.push(Comment { span, before_blank: false, next: None });
        Chain(Some((id, id)))
    }

    /// Queues a piece.
    pub(super) fn wait(&mut self, piece: Waiting) {
        self.waiting.push_back(piece);
    }

    /// Appends `more` to `chain`.
    pub(super) fn join(&mut self, chain: Chain, more: Chain) -> Chain {
        let (Some((first, last)), Some((next, end))) = (chain.0, more.0) else {
            return if chain.is_empty() { more } else { chain };
        };
        self.table[last as usize].next = Some(next);
        Chain(Some((first, end)))
    }

    /// Notes that an empty line follows the last comment of `chain`.
    pub(super) fn set_blank_after(&mut self, chain: Chain) {
        if let Some((_, last)) = chain.0 {
            self.table[last as usize].before_blank = true;
        }
    }

    /// Moves the pieces that belong to `token`, or to something before it, to the pending ones.
    pub(super) fn reach(&mut self, token: &Token) {
        while let Some(&piece) = self.waiting.front()
            && piece.owner <= token.span.start
        {
            // The end of a block has nothing below it to be a headline of.
            if piece.place == Place::Head && token.kind == TokenKind::BlockEnd {
                return;
            }
            self.waiting.pop_front();
            let pending = self.pending;
            match piece.place {
                Place::Head => self.pending.head = self.join(pending.head, piece.chain),
                Place::Line => self.pending.line = self.join(pending.line, piece.chain),
                Place::Foot => self.pending.foot = self.join(pending.foot, piece.chain),
            }
        }
    }

    /// Takes all pending comments, for the node that is made now.
    pub(super) fn take(&mut self) -> Remarks {
        std::mem::take(&mut self.pending)
    }

    /// Returns the comments that are pending above what comes.
    pub(super) fn pending_head(&self) -> Chain {
        self.pending.head
    }

    /// Sets the pending comments `stem`, which stood above a `-`, aside for the collection that
    /// begins behind it, so that they do not become a remark about its first member.
    pub(super) fn set_stem(&mut self, stem: Chain) {
        let (Some((_, last)), Some((_, end))) = (stem.0, self.pending.head.0) else {
            return;
        };
        let rest = self.table[last as usize].next.take();
        self.pending.head = Chain(rest.map(|first| (first, end)));
        self.stem = stem;
    }

    /// Takes what [`Comments::set_stem`] set aside.
    pub(super) fn take_stem(&mut self) -> Chain {
        std::mem::take(&mut self.stem)
    }

    /// Takes the pending headlines above the last empty line among them: those are about the
    /// document, not about its first key.
    pub(super) fn take_document_head(&mut self) -> Chain {
        let Some((first, last)) = self.pending.head.0 else {
            return Chain::default();
        };
        let mut split = None;
        let mut next = Some(first);
        while let Some(id) = next {
            let comment = &self.table[id as usize];
            if comment.before_blank {
                split = Some(id);
            }
            next = comment.next;
        }
        let Some(split) = split else {
            return Chain::default();
        };
        let rest = self.table[split as usize].next.take();
        self.pending.head = Chain(rest.map(|first| (first, last)));
        Chain(Some((first, split)))
    }

    /// Returns the comments of a chain with their numbers.
    pub(super) fn iter(&self, chain: Chain) -> impl Iterator<Item = (u32, Span)> + '_ {
        let mut next = chain.0.map(|(first, _)| first);
        std::iter::from_fn(move || {
            let id = next?;
            let comment = &self.table[id as usize];
            next = comment.next;
            Some((id, comment.span))
        })
    }

    /// Returns all comments, in the order of the text.
    pub(super) fn all(&self) -> &[Comment] {
        &self.table
    }
}
