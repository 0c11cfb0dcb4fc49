//! The tokens that the scanner hands to the parser.

use crate::span::Span;
use crate::tree::{Style, TextRef};

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: TokenKind,
    /// Its bytes. A token that YAML implies is empty and lies where it takes effect.
    pub(super) span: Span,
    /// The column where it starts.
    pub(super) column: u32,
    /// The number of flow collections around it.
    pub(super) level: u32,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// The start of the text.
    StreamStart,
    /// The end of the text.
    StreamEnd,
    /// `%YAML major.minor`
    VersionDirective(u32, u32),
    /// `%TAG handle prefix`
    TagDirective {
        /// What tags begin with.
        handle: Span,
        /// What it stands for.
        prefix: TextRef,
    },
    /// `---`
    DocumentStart,
    /// `...`
    DocumentEnd,
    /// A block list starts (implied).
    BlockListStart,
    /// A block map starts (implied).
    BlockMapStart,
    /// A block collection ends (implied).
    BlockEnd,
    /// `[`
    FlowListStart,
    /// `]`
    FlowListEnd,
    /// `{`
    FlowMapStart,
    /// `}`
    FlowMapEnd,
    /// `- `
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `? `, or implied before the key of `key: value`
    Key,
    /// `: `
    Value,
    /// `*name`
    Alias,
    /// `&name`
    Anchor,
    /// `!`, `!suffix`, `!handle!suffix` or `!<suffix>`
    Tag {
        /// The handle with its exclamation marks; empty where there is none.
        handle: Span,
        /// The rest, unescaped.
        suffix: TextRef,
    },
    /// A scalar in any style.
    Scalar {
        /// Its text.
        text: TextRef,
        /// How it is spelled.
        style: Style,
    },
}
