//! The scanner: text to tokens.
//!
//! The design is libyaml's, which is public and which yaml.v3, SOPS' reader, shares; YAML as SOPS
//! reads it is what this design accepts, more than what any version of the specification says.
//!
//! - *Indentation.* `indent` is the column of the innermost block collection. A line that starts
//!   further left closes collections with [`TokenKind::BlockEnd`].
//! - *Simple keys.* In `key: value` nothing says that `key` is one until the `:`. Each place where
//!   a key may start is remembered, one for each level of flow collections, and when the `:` comes
//!   on the same line and within 1,024 characters, the tokens that should have stood there are
//!   inserted. Tokens are handed out only when no pending key could still get in front of them.
//! - *Comments* are queued in [`Comments`] while the gaps between tokens are read, see
//!   [`super::scan_comment`]. For that the scanner is always two tokens ahead of the parser.
//!
//! Scalars are in [`super::scan_scalar`], tags and directives in [`super::scan_tag`].

use std::collections::VecDeque;

use super::comments::Comments;
use super::cursor::{Cursor, Mark, characters, is_word};
use super::token::{Token, TokenKind};
use crate::format::SyntaxError;
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::Style;

/// The most collections that may be nested in one another.
pub(super) const MAX_DEPTH: usize = 1000;

/// What a deeper document is told.
pub(super) const TOO_DEEP: &str = "more than 1000 collections are nested in one another";

/// The most characters between the start of a key without `?` and its `:`.
const MAX_KEY: usize = 1024;

/// A place where a key without `?` may have started.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// Whether nothing but a key can stand there.
    required: bool,
    /// The number of its first token.
    number: usize,
    mark: Mark,
}

/// Turns a text into tokens.
pub(super) struct Scanner<'s> {
    pub(super) cursor: Cursor<'s>,
    /// The text of scalars that do not stand in the source as they are.
    pub(super) decoded: SecretBytes,
    pub(super) comments: Comments,
    /// The pieces of comment in the gap that was read last: column from 1, and offset.
    pub(super) gap: Vec<(u32, u32)>,
    /// The offset up to which that gap was looked through for comments.
    pub(super) gap_end: u32,
    queue: VecDeque<Token>,
    /// How many tokens have been handed out.
    taken: usize,
    /// Whether the head of the queue is known to be final.
    ready: bool,
    indent: i64,
    indents: Vec<i64>,
    keys: Vec<SimpleKey>,
    key_allowed: bool,
}

impl<'s> Scanner<'s> {
    /// Returns a scanner of `source`, which was checked, from the byte `start`.
    pub(super) fn new(source: &'s [u8], start: usize) -> Scanner<'s> {
        let first = Token {
            kind: TokenKind::StreamStart,
            span: Span::new(start, start),
            column: 0,
            level: 0,
        };
        Scanner {
            cursor: Cursor::new(source, start),
            decoded: SecretBytes::new(),
            comments: Comments::default(),
            gap: Vec::new(),
            gap_end: 0,
            queue: VecDeque::from([first]),
            taken: 0,
            ready: false,
            indent: -1,
            indents: Vec::new(),
            keys: vec![SimpleKey::default()],
            key_allowed: true,
        }
    }

    /// Returns the next token and lets it have its comments.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<Token, SyntaxError> {
        if !self.ready {
            self.prepare()?;
        }
        let token = self.queue[0];
        self.comments.reach(&token);
        Ok(token)
    }

    /// Reads on until the head of the queue is final. A function of its own, so that looking at
    /// the same token again, which the parser does all the time, is a few instructions.
    #[inline(never)]
    fn prepare(&mut self) -> Result<(), SyntaxError> {
        while self.queue.len() <= 2 || self.head_may_become_key()? {
            self.fetch()?;
        }
        self.ready = true;
        Ok(())
    }

    /// Steps over the token that was peeked.
    pub(super) fn skip(&mut self) {
        self.queue.pop_front();
        self.taken += 1;
        self.ready = false;
    }

    /// Returns the error `message` at the byte `offset`.
    pub(super) fn error_at(&self, offset: usize, message: &'static str) -> SyntaxError {
        SyntaxError::at(self.cursor.source(), offset, message)
    }

    /// Returns the error `message` at the next character.
    pub(super) fn error(&self, message: &'static str) -> SyntaxError {
        self.error_at(self.cursor.at(), message)
    }

    /// Returns how many flow collections are open.
    pub(super) fn flow(&self) -> usize {
        self.keys.len() - 1
    }

    /// Returns the column of the innermost block collection; -1 outside all.
    pub(super) fn indent(&self) -> i64 {
        self.indent
    }

    /// Allows or forbids that a simple key starts here.
    pub(super) fn allow_key(&mut self, allowed: bool) {
        self.key_allowed = allowed;
    }

    /// Returns whether tabs may stand here: not where they could pass for indentation.
    pub(super) fn allows_tabs(&self) -> bool {
        self.flow() > 0 || !self.key_allowed
    }

    /// Returns the last token but `back`.
    pub(super) fn token_from_end(&self, back: usize) -> Option<&Token> {
        self.queue.iter().rev().nth(back)
    }

    /// Returns a token from `start` to here.
    pub(super) fn token(&self, kind: TokenKind, start: Mark) -> Token {
        Token {
            kind,
            span: Span { start: start.offset, end: self.cursor.at() as u32 },
            column: start.column,
            level: self.flow() as u32,
        }
    }

    /// Returns whether the first token may yet turn out to be, or to start, a key.
    fn head_may_become_key(&mut self) -> Result<bool, SyntaxError> {
        let level = self.queue[0].level as usize;
        match self.keys.get(level) {
            Some(key) if key.possible && key.number == self.taken => self.key_is_valid(level),
            _ => Ok(false),
        }
    }

    /// Returns whether a key that was pending at `level` can still be one here.
    fn key_is_valid(&mut self, level: usize) -> Result<bool, SyntaxError> {
        let key = self.keys[level];
        if !key.possible {
            return Ok(false);
        }
        let start = key.mark.offset as usize;
        let length = self.cursor.at() - start;
        let near = length <= MAX_KEY
            || (length <= 4 * MAX_KEY
                && characters(&self.cursor.source()[start..self.cursor.at()]) <= MAX_KEY);
        if key.mark.line == self.cursor.line() && near {
            return Ok(true);
        }
        self.drop_key_at(level)?;
        Ok(false)
    }

    fn drop_key_at(&mut self, level: usize) -> Result<(), SyntaxError> {
        let key = self.keys[level];
        self.keys[level].possible = false;
        if key.possible && key.required {
            let message = "there is no `:` behind this key";
            return Err(self.error_at(key.mark.offset as usize, message));
        }
        Ok(())
    }

    /// Gives up the key that is pending on this level.
    fn drop_key(&mut self) -> Result<(), SyntaxError> {
        self.drop_key_at(self.flow())
    }

    /// Notes that a key may start here.
    fn save_key(&mut self) -> Result<(), SyntaxError> {
        if !self.key_allowed {
            return Ok(());
        }
        self.drop_key()?;
        let level = self.flow();
        self.keys[level] = SimpleKey {
            possible: true,
            required: level == 0 && self.indent == i64::from(self.cursor.column()),
            number: self.taken + self.queue.len(),
            mark: self.cursor.mark(),
        };
        Ok(())
    }

    /// Reads the gap and the next token.
    fn fetch(&mut self) -> Result<(), SyntaxError> {
        let gap = self.cursor.mark();
        self.skip_gap(gap)?;
        let behind_content = gap.offset.saturating_sub(1);
        self.close_blocks(i64::from(self.cursor.column()), behind_content);
        if self.cursor.is_end() {
            return self.stream_end();
        }
        let first = self.cursor.byte(0);
        if self.cursor.column() == 0 && first == b'%' {
            return self.directive();
        }
        if self.cursor.is_document_marker() {
            return self.document_marker(first);
        }
        // What stands behind `key:` is about the key, and what stands behind `value,` about the
        // value.
        let flow = self.flow() > 0;
        let owner = match self.token_from_end(0) {
            Some(last) if first == b':' && !flow || first == b',' && flow => last.span.start,
            _ => self.cursor.at() as u32,
        };
        self.indicator(first)?;
        // What stands behind a `-` is a headline of the member.
        if self.token_from_end(0).map(|token| token.kind) != Some(TokenKind::BlockEntry) {
            self.line_comment(owner);
        }
        Ok(())
    }

    /// Reads the token that starts with the byte `first`.
    fn indicator(&mut self, first: u8) -> Result<(), SyntaxError> {
        let flow = self.flow() > 0;
        let alone = self.cursor.is_gap(1);
        match first {
            b'[' => self.flow_start(TokenKind::FlowListStart),
            b'{' => self.flow_start(TokenKind::FlowMapStart),
            b']' => self.flow_end(TokenKind::FlowListEnd),
            b'}' => self.flow_end(TokenKind::FlowMapEnd),
            b',' => self.flow_entry(),
            b'-' if alone => self.block_entry(),
            b'?' if flow || alone => self.key(),
            b':' if flow || alone => self.value(),
            b'*' => self.name(TokenKind::Alias),
            b'&' => self.name(TokenKind::Anchor),
            b'!' => {
                self.save_key()?;
                self.key_allowed = false;
                let token = self.scan_tag()?;
                self.push(token);
                Ok(())
            }
            b'|' if !flow => self.block_scalar(Style::Literal),
            b'>' if !flow => self.block_scalar(Style::Folded),
            b'\'' => self.flow_scalar(Style::SingleQuoted),
            b'"' => self.flow_scalar(Style::DoubleQuoted),
            b'#' | b'%' | b'@' | b'`' | b'|' | b'>' | b'\t' => {
                Err(self.error("no token can start with this character"))
            }
            _ => self.flow_scalar(Style::Plain),
        }
    }

    fn push(&mut self, token: Token) {
        self.queue.push_back(token);
    }

    /// Reads `length` bytes as a token.
    fn push_indicator(&mut self, kind: TokenKind, length: usize) {
        let start = self.cursor.mark();
        self.cursor.skip_to(self.cursor.at() + length);
        let token = self.token(kind, start);
        self.push(token);
    }

    /// Opens a block collection at the column of `mark`, if that is further right than what is
    /// open. The token goes in front of the token `number`, or behind all.
    fn open_block(
        &mut self,
        kind: TokenKind,
        mark: Mark,
        number: Option<usize>,
    ) -> Result<(), SyntaxError> {
        let column = i64::from(mark.column);
        if self.flow() > 0 || self.indent >= column {
            return Ok(());
        }
        if self.indents.len() >= MAX_DEPTH {
            return Err(self.error_at(mark.offset as usize, TOO_DEEP));
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.insert(kind, mark, number);
        Ok(())
    }

    /// Inserts an implied token in front of the token `number`, or behind all.
    fn insert(&mut self, kind: TokenKind, mark: Mark, number: Option<usize>) {
        let token = Token {
            kind,
            span: Span { start: mark.offset, end: mark.offset },
            column: mark.column,
            level: self.flow() as u32,
        };
        let place = number.map_or(self.queue.len(), |number| number - self.taken);
        self.queue.insert(place, token);
    }

    /// Closes the block collections that are further right than `column`.
    ///
    /// Each ends at `end`, or in front of the comments that stand in its own column, which makes
    /// them part of what follows the collection's last member.
    fn close_blocks(&mut self, column: i64, end: u32) {
        if self.flow() > 0 || self.indent <= column {
            return;
        }
        let mut pieces = Vec::new();
        if self.gap_end >= end {
            pieces.clone_from(&self.gap);
            pieces.sort_by_key(|&(column, _)| column);
        }
        let mut end = end;
        while self.indent > column {
            let at = pieces.partition_point(|&(column, _)| i64::from(column) <= self.indent);
            if let Some(&(column, offset)) = pieces.get(at)
                && i64::from(column) == self.indent + 1
            {
                end = offset;
            }
            let mark = Mark { offset: end, ..Mark::default() };
            self.insert(TokenKind::BlockEnd, mark, None);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Closes everything, as the end of a document does.
    fn close_document(&mut self) -> Result<(), SyntaxError> {
        self.close_blocks(-1, (self.cursor.at() as u32).saturating_sub(1));
        self.drop_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn stream_end(&mut self) -> Result<(), SyntaxError> {
        self.cursor.end_line();
        self.close_document()?;
        self.push_indicator(TokenKind::StreamEnd, 0);
        Ok(())
    }

    fn directive(&mut self) -> Result<(), SyntaxError> {
        self.close_document()?;
        let token = self.scan_directive()?;
        self.push(token);
        Ok(())
    }

    fn document_marker(&mut self, first: u8) -> Result<(), SyntaxError> {
        self.close_document()?;
        let kind = if first == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd };
        self.push_indicator(kind, 3);
        Ok(())
    }

    fn flow_start(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.save_key()?;
        if self.flow() + self.indents.len() >= MAX_DEPTH {
            return Err(self.error(TOO_DEEP));
        }
        self.push_indicator(kind, 1);
        self.keys.push(SimpleKey::default());
        self.key_allowed = true;
        Ok(())
    }

    fn flow_end(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.drop_key()?;
        if self.flow() > 0 {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn flow_entry(&mut self) -> Result<(), SyntaxError> {
        self.drop_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::FlowEntry, 1);
        Ok(())
    }

    fn block_entry(&mut self) -> Result<(), SyntaxError> {
        // In a flow collection the parser will refuse the token.
        if self.flow() == 0 {
            if !self.key_allowed {
                return Err(self.error("a list member cannot start here"));
            }
            let mark = self.cursor.mark();
            self.open_block(TokenKind::BlockListStart, mark, None)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        let block = self.flow() == 0;
        if block {
            if !self.key_allowed {
                return Err(self.error("a key cannot start here"));
            }
            let mark = self.cursor.mark();
            self.open_block(TokenKind::BlockMapStart, mark, None)?;
        }
        self.drop_key()?;
        self.key_allowed = block;
        self.push_indicator(TokenKind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        let level = self.flow();
        if self.key_is_valid(level)? {
            let key = self.keys[level];
            self.insert(TokenKind::Key, key.mark, Some(key.number));
            self.open_block(TokenKind::BlockMapStart, key.mark, Some(key.number))?;
            self.keys[level].possible = false;
            // `a: b: c` is no map in a map.
            self.key_allowed = false;
        } else {
            if level == 0 {
                if !self.key_allowed {
                    return Err(self.error("a `:` cannot stand here"));
                }
                let mark = self.cursor.mark();
                self.open_block(TokenKind::BlockMapStart, mark, None)?;
            }
            self.key_allowed = level == 0;
        }
        self.push_indicator(TokenKind::Value, 1);
        Ok(())
    }

    /// Reads an alias or an anchor.
    fn name(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.key_allowed = false;
        let mut length = 1;
        while is_word(self.cursor.byte(length)) {
            length += 1;
        }
        let ends = self.cursor.is_gap(length)
            || matches!(
                self.cursor.byte(length),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if length == 1 || !ends {
            return Err(self.error("the name of an anchor is made of letters and digits"));
        }
        self.push_indicator(kind, length);
        Ok(())
    }

    fn block_scalar(&mut self, style: Style) -> Result<(), SyntaxError> {
        self.drop_key()?;
        self.key_allowed = true;
        let token = self.scan_block_scalar(style)?;
        self.push(token);
        Ok(())
    }

    fn flow_scalar(&mut self, style: Style) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.key_allowed = false;
        let token = match style {
            Style::Plain => self.scan_plain()?,
            _ => self.scan_quoted(style)?,
        };
        self.push(token);
        Ok(())
    }
}
