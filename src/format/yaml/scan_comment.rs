//! The gaps between tokens: blanks, line breaks, and above all comments.
//!
//! Whether comment lines are about what stands above them or below is decided here, by indentation
//! and empty lines, exactly as yaml.v3 decides it; that includes its short sight ([`SIGHT`]) and
//! that it sees an empty line behind each comment line that ends in CR LF.

use super::comments::{Chain, Place, Waiting};
use super::cursor::{Mark, break_length, is_blank};
use super::scan::Scanner;
use super::token::TokenKind;
use crate::format::SyntaxError;
use crate::span::Span;

/// How many bytes the search for the next comment looks ahead.
const SIGHT: usize = 512;

/// Comment lines that stand together.
#[derive(Default)]
struct Piece {
    chain: Chain,
    offset: u32,
    line: u32,
    /// The column, counted from 1 here.
    column: u32,
}

impl Scanner<'_> {
    /// Steps to the next token. The gap started at `gap`.
    pub(super) fn skip_gap(&mut self, gap: Mark) -> Result<(), SyntaxError> {
        self.gap.clear();
        self.gap_end = gap.offset;
        loop {
            while self.cursor.byte(0) == b' '
                || (self.cursor.byte(0) == b'\t' && self.allows_tabs())
            {
                self.cursor.skip();
            }
            if self.cursor.byte(0) == b'#' {
                self.comment_lines(gap);
            }
            if !self.cursor.is_break(0) {
                return Ok(());
            }
            self.cursor.skip_break();
            if self.flow() == 0 {
                self.allow_key(true);
            }
        }
    }

    /// Reads the comment behind the token that was read last, if there is one on its line. It is
    /// about the token at `owner`.
    pub(super) fn line_comment(&mut self, owner: u32) {
        if self.cursor.breaks() > 0 {
            return;
        }
        let blanks = (0..SIGHT).find(|&ahead| !self.cursor.is_blank(ahead));
        let Some(blanks) = blanks.filter(|&ahead| self.cursor.byte(ahead) == b'#') else {
            return;
        };
        self.cursor.skip_to(self.cursor.at() + blanks);
        let chain = self.comment();
        self.comments.wait(Waiting { chain, place: Place::Line, owner });
    }

    /// Reads the comment that starts here, to the end of the line.
    pub(super) fn comment(&mut self) -> Chain {
        let start = self.cursor.at();
        let end = self.cursor.skip_line();
        self.comments.note(Span::new(start, end))
    }

    /// Reads comment lines up to the next token, or to where no more comments are in sight, and
    /// divides them between what is above and what is below.
    fn comment_lines(&mut self, gap: Mark) {
        // What the first lines may be a remark below: the last token, or the member that a `,`
        // ends.
        let mut above = self.token_from_end(0);
        if let Some(token) = above
            && token.kind == TokenKind::FlowEntry
            && let Some(member) = self.token_from_end(1)
        {
            above = Some(member);
        }
        let behind_value = above.is_some_and(|token| token.kind == TokenKind::Value);
        let mut owner = above.map_or(0, |token| token.span.start);
        let flow = self.flow() > 0;
        let margin = u32::try_from(self.indent()).unwrap_or(0);
        // The line where a remark about what stands above must start. There is none about a token
        // on the first line.
        let breaks = self.cursor.breaks();
        let mut foot_line = (self.cursor.line() + 1).checked_sub(breaks);
        if breaks == 0 && self.cursor.column() > 1 {
            foot_line = foot_line.map(|line| line + 1);
        }
        if gap.line == 0 {
            foot_line = None;
        }

        let source = self.cursor.source();
        let mut piece = Piece::default();
        let mut line = self.cursor.line();
        let mut column = self.cursor.column();
        let mut no_blank_yet = breaks <= 1;
        let mut behind_blank = false;
        let mut ahead = 0;
        while ahead < SIGHT {
            column += 1;
            let at = self.cursor.at() + ahead;
            let byte = source.get(at).copied().unwrap_or(0);
            if is_blank(byte) {
                ahead += 1;
                continue;
            }
            let closes = flow && matches!(byte, b']' | b'}');
            let breaks_line = break_length(source, at) > 0;
            let dedented = piece.column <= margin;
            if closes || breaks_line || at >= source.len() {
                let below = Some(piece.line) == foot_line && !behind_value || dedented;
                if closes || (!behind_blank && no_blank_yet && below) {
                    if !piece.chain.is_empty() {
                        // Further left than what is above, it is about nothing there.
                        let about = if dedented { piece.offset } else { owner };
                        self.finish(&mut piece, Place::Foot, about, at);
                        owner = at as u32;
                    }
                } else if !behind_blank && at < source.len() {
                    self.comments.set_blank_after(piece.chain);
                }
                if !breaks_line {
                    break;
                }
                no_blank_yet = false;
                behind_blank = true;
                column = 0;
                line += 1;
                ahead += 1;
                continue;
            }
            let moved = column <= margin && column != piece.column;
            if moved && !piece.chain.is_empty() {
                self.finish(&mut piece, Place::Foot, owner, at);
                owner = at as u32;
            }
            if byte != b'#' {
                break;
            }
            if piece.chain.is_empty() {
                piece.offset = at as u32;
                piece.line = line;
                piece.column = column;
            }
            behind_blank = false;
            while self.cursor.at() < at {
                self.cursor.skip_blanks();
                self.cursor.skip_break();
            }
            let comment = self.comment();
            piece.chain = self.comments.join(piece.chain, comment);
            // The line break is not looked at, except for the LF of a CR LF.
            ahead = 1;
            column = 0;
            line = self.cursor.line();
        }
        if !piece.chain.is_empty() {
            let offset = piece.offset;
            let end = self.cursor.at() + ahead.saturating_sub(1);
            self.finish(&mut piece, Place::Head, offset, end);
        }
    }

    /// Queues what `piece` has, which was looked at up to `end`.
    fn finish(&mut self, piece: &mut Piece, place: Place, owner: u32, end: usize) {
        self.gap.push((piece.column, piece.offset));
        self.gap_end = end as u32;
        self.comments.wait(Waiting { chain: std::mem::take(&mut piece.chain), place, owner });
    }
}
