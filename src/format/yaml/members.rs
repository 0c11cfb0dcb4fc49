//! The members of collections: what may stand where, in block and in flow collections.
//!
//! Each function here is one step of the innermost open collection. It either adds a scalar, or
//! opens a collection, or closes the one it is about.

use super::comments::Remarks;
use super::parse::{Awaits, Kind, Parser, Properties};
use super::raw::Shape;
use super::token::{Token, TokenKind};
use crate::format::SyntaxError;

impl Parser<'_> {
    pub(super) fn block_key(&mut self) -> Result<(), SyntaxError> {
        self.settle_value();
        let token = self.peek()?;
        match token.kind {
            TokenKind::Key => {
                self.set(Awaits::Value);
                self.skip(&token);
                let next = self.peek()?;
                if ends_block_value(next.kind) {
                    self.implied_key(token.span.end);
                    return Ok(());
                }
                self.key_node(true)
            }
            TokenKind::BlockEnd => {
                let remarks = self.scanner.comments.take();
                self.skip_virtual();
                self.close(remarks);
                Ok(())
            }
            // `: value` has no key.
            _ => {
                Err(self.error(&token, "there is a key expected here, at the column of the others"))
            }
        }
    }

    pub(super) fn block_value(&mut self) -> Result<(), SyntaxError> {
        self.set(Awaits::Next);
        let token = self.peek()?;
        if token.kind != TokenKind::Value {
            self.implied_value(self.content_end);
            return Ok(());
        }
        self.skip(&token);
        let next = self.peek()?;
        if ends_block_value(next.kind) {
            self.implied_value(token.span.end);
            return Ok(());
        }
        self.value_node(true)
    }

    /// Steps over a `-`. Comments above it are set aside if a collection begins behind it.
    fn dash(&mut self, token: &Token) -> Result<Token, SyntaxError> {
        let above = self.scanner.comments.pending_head();
        self.skip(token);
        let next = self.peek()?;
        if matches!(next.kind, TokenKind::BlockListStart | TokenKind::BlockMapStart) {
            self.scanner.comments.set_stem(above);
        }
        Ok(next)
    }

    pub(super) fn block_member(&mut self) -> Result<(), SyntaxError> {
        let token = self.peek()?;
        match token.kind {
            TokenKind::BlockEntry => {
                let next = self.dash(&token)?;
                if matches!(next.kind, TokenKind::BlockEntry | TokenKind::BlockEnd) {
                    self.implied(token.span.end, Properties::default());
                } else {
                    self.node(true, false)?;
                }
                Ok(())
            }
            TokenKind::BlockEnd => {
                self.skip_virtual();
                self.close(Remarks::default());
                Ok(())
            }
            _ => {
                Err(self.error(&token, "there is a `-` expected here, at the column of the others"))
            }
        }
    }

    pub(super) fn dash_member(&mut self) -> Result<(), SyntaxError> {
        let token = self.peek()?;
        if token.kind != TokenKind::BlockEntry {
            self.close(Remarks::default());
            return Ok(());
        }
        let next = self.dash(&token)?;
        if next.kind == TokenKind::BlockEntry || ends_block_value(next.kind) {
            self.implied(token.span.end, Properties::default());
        } else {
            self.node(true, false)?;
        }
        Ok(())
    }

    /// Steps over the `,` that must stand between two members of a flow collection, which ends
    /// with `end`.
    fn comma(&mut self, end: TokenKind, message: &'static str) -> Result<Token, SyntaxError> {
        let token = self.peek()?;
        let first = self.frames.last().is_some_and(|frame| frame.awaits == Awaits::First);
        if first || token.kind == end {
            return Ok(token);
        }
        if token.kind != TokenKind::FlowEntry {
            return Err(self.error(&token, message));
        }
        self.skip(&token);
        self.peek()
    }

    pub(super) fn flow_member(&mut self) -> Result<(), SyntaxError> {
        let message = "there is a `,` or a `]` expected here";
        let token = self.comma(TokenKind::FlowListEnd, message)?;
        self.set(Awaits::Next);
        match token.kind {
            TokenKind::FlowListEnd => self.flow_end(&token),
            TokenKind::Key => {
                self.open(Kind::Pair, &token, Properties::default(), Remarks::default())?;
            }
            _ => {
                self.node(false, false)?;
            }
        }
        Ok(())
    }

    fn flow_end(&mut self, token: &Token) {
        let remarks = self.scanner.comments.take();
        self.skip(token);
        self.close(remarks);
    }

    pub(super) fn flow_key(&mut self) -> Result<(), SyntaxError> {
        self.settle_value();
        let message = "there is a `,` or a `}` expected here";
        let token = self.comma(TokenKind::FlowMapEnd, message)?;
        match token.kind {
            TokenKind::FlowMapEnd => {
                self.flow_end(&token);
                Ok(())
            }
            TokenKind::Key => {
                self.set(Awaits::Value);
                self.skip(&token);
                let next = self.peek()?;
                if matches!(
                    next.kind,
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMapEnd
                ) {
                    self.implied_key(next.span.start);
                    return Ok(());
                }
                self.key_node(false)
            }
            _ => {
                self.set(Awaits::NoValue);
                self.key_node(false)
            }
        }
    }

    pub(super) fn flow_value(&mut self) -> Result<(), SyntaxError> {
        let token = self.peek()?;
        let expected = self.frames.last().is_some_and(|frame| frame.awaits == Awaits::Value);
        self.set(Awaits::Next);
        if !expected || token.kind != TokenKind::Value {
            self.implied_value(self.content_end);
            return Ok(());
        }
        self.skip(&token);
        let next = self.peek()?;
        if matches!(next.kind, TokenKind::FlowEntry | TokenKind::FlowMapEnd) {
            self.implied_value(token.span.end);
            return Ok(());
        }
        self.value_node(false)
    }

    pub(super) fn pair_key(&mut self) -> Result<(), SyntaxError> {
        self.set(Awaits::Value);
        let token = self.peek()?;
        if matches!(token.kind, TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowListEnd) {
            // libyaml loses the token here, so that `[? : x]` is an error to SOPS.
            self.skip(&token);
            self.implied_key(token.span.end);
            return Ok(());
        }
        self.key_node(false)
    }

    pub(super) fn pair_value(&mut self) -> Result<(), SyntaxError> {
        self.set(Awaits::Next);
        let token = self.peek()?;
        if token.kind != TokenKind::Value {
            self.implied_value(self.content_end);
            return Ok(());
        }
        self.skip(&token);
        let next = self.peek()?;
        if matches!(next.kind, TokenKind::FlowEntry | TokenKind::FlowListEnd) {
            self.implied_value(token.span.end);
            return Ok(());
        }
        self.value_node(false)
    }

    /// Parses the key of the innermost map.
    fn key_node(&mut self, block: bool) -> Result<(), SyntaxError> {
        let token = self.peek()?;
        let depth = self.frames.len();
        let id = self.node(block, block)?;
        let target = match self.nodes[id as usize].shape {
            Shape::Alias(target) => self.nodes[target as usize].shape,
            shape => shape,
        };
        if self.frames.len() > depth || !matches!(target, Shape::Scalar(_)) {
            return Err(self.error(&token, "a key cannot be a map or a list"));
        }
        self.set_key(id);
        Ok(())
    }

    fn implied_key(&mut self, place: u32) {
        let id = self.implied(place, Properties::default());
        self.set_key(id);
    }

    fn set_key(&mut self, id: u32) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        frame.key_before = frame.key.replace(id);
        // What is below the entry before was still pending if a collection ended there.
        if frame.kind == Kind::BlockMap
            && let Some(before) = frame.key_before
        {
            let foot = self.take_foot(id);
            if !foot.is_empty() {
                self.set_foot(before, foot);
            }
        }
    }

    /// Parses the value of the innermost map's key.
    fn value_node(&mut self, block: bool) -> Result<(), SyntaxError> {
        // The value may open a collection of its own.
        let map = self.frames.len().saturating_sub(1);
        let id = self.node(block, block)?;
        if let Some(frame) = self.frames.get_mut(map) {
            frame.value = Some(id);
        }
        Ok(())
    }

    fn implied_value(&mut self, place: u32) {
        let id = self.implied(place, Properties::default());
        if let Some(frame) = self.frames.last_mut() {
            frame.value = Some(id);
        }
    }

    /// Makes the remark below the value that was parsed last one below its entry.
    pub(super) fn settle_value(&mut self) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if let (Some(key), Some(value)) = (frame.key, frame.value.take())
            && self.foot(key).is_empty()
        {
            let foot = self.take_foot(value);
            self.set_foot(key, foot);
        }
    }
}

/// Returns whether a key or value in a block map ends in front of this token.
fn ends_block_value(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd)
}
