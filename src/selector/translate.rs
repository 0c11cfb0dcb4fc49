//! Go's regular expression syntax, rewritten for the `regex` crate.
//!
//! Go's `regexp` is RE2's dialect. It differs from the `regex` crate in what it accepts (`\Q..\E`,
//! octal escapes, a literal `{`; no nested repetition, no set operations) and in what it means
//! (`\d`, `\w`, `\s` and `\b` know ASCII only). The translation reads the pattern by Go's grammar
//! and writes every element in a form that has one meaning: characters as numbers, classes as
//! ranges, groups without capture. Only whether a text matches is kept, not what part of it does,
//! so that laziness is dropped.
//!
//! The grammar: <https://pkg.go.dev/regexp/syntax>. Version: Go 1.25, which SOPS is built with.

use std::fmt::Write as _;

use super::classes;
use super::regex::RegexProblem;

/// The most that repetitions may multiply to, those inside of each other together.
const MAX_REPEAT: u32 = 1000;

/// Returns `pattern` in the syntax of the `regex` crate.
pub(super) fn translate(pattern: &str) -> Result<String, RegexProblem> {
    let mut translator = Translator {
        input: Input { text: pattern },
        out: String::with_capacity(pattern.len() * 2),
        level: Level::default(),
        outer: Vec::new(),
        last_posix_end: pattern.rfind(":]").map(|at| pattern.len() - at),
    };
    translator.run()?;
    Ok(translator.out)
}

/// The flags that change what matches; `U` only changes what part does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_all: bool,
}

impl Flags {
    fn set(&mut self, flag: char, on: bool) -> bool {
        match flag {
            'i' => self.fold_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_all = on,
            'U' => {}
            _ => return false,
        }
        true
    }
}

/// What is known of one open group.
#[derive(Clone, Copy, Default)]
struct Level {
    flags: Flags,
    /// The flags that the output is under, which follow `flags` when something is written.
    written: Flags,
    /// The repetition weight of everything before the last operand.
    weight: u32,
    /// The repetition weight of the last operand, if the branch has one.
    last: Option<u32>,
}

impl Level {
    fn total(&self) -> u32 {
        self.weight.max(self.last.unwrap_or(0))
    }
}

/// The rest of the pattern.
#[derive(Clone, Copy)]
struct Input<'p> {
    text: &'p str,
}

impl<'p> Input<'p> {
    fn peek(&self) -> Option<char> {
        self.text.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.text = &self.text[next.len_utf8()..];
        Some(next)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.text.strip_prefix(prefix) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    /// Returns what was read between `self` and `later`.
    fn until(&self, later: Input<'_>) -> &'p str {
        &self.text[..self.text.len() - later.text.len()]
    }
}

struct Translator<'p> {
    input: Input<'p>,
    out: String,
    level: Level,
    outer: Vec<Level>,
    /// How far from the end of the pattern the last `:]` starts: without it, looking for one
    /// would read the rest of the pattern again at every `[:`.
    last_posix_end: Option<usize>,
}

impl<'p> Translator<'p> {
    fn run(&mut self) -> Result<(), RegexProblem> {
        let mut last_repeat: Option<Input<'p>> = None;
        while let Some(next) = self.input.peek() {
            let before = self.input;
            let mut repeat = None;
            match next {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.input.next();
                    self.out.push('|');
                    self.level.weight = self.level.total();
                    self.level.last = None;
                }
                '^' | '$' | '.' => {
                    self.input.next();
                    self.operand(|out| out.push(next));
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.input.next();
                    let (least, most) = match next {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(least, most, false, before, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => {
                    if let Some((least, most)) = self.bounds()? {
                        self.repeat(least, most, true, before, last_repeat)?;
                        repeat = Some(before);
                    } else {
                        self.input.next();
                        self.literal('{'.into());
                    }
                }
                '\\' => self.escape()?,
                _ => {
                    self.input.next();
                    self.literal(next.into());
                }
            }
            last_repeat = repeat;
        }
        if self.outer.is_empty() { Ok(()) } else { Err(RegexProblem::MissingParen) }
    }

    /// Writes something that a repetition can follow.
    fn operand(&mut self, write: impl FnOnce(&mut String)) {
        self.write_flags();
        write(&mut self.out);
        self.push_weight(0);
    }

    fn push_weight(&mut self, weight: u32) {
        self.level.weight = self.level.total();
        self.level.last = Some(weight);
    }

    fn write_flags(&mut self) {
        let flags = self.level.flags;
        if flags == self.level.written {
            return;
        }
        self.level.written = flags;
        let all = [(flags.fold_case, 'i'), (flags.multi_line, 'm'), (flags.dot_all, 's')];
        self.out.push_str("(?");
        self.out.extend(all.iter().filter(|(on, _)| *on).map(|(_, name)| name));
        if all.iter().any(|(on, _)| !on) {
            self.out.push('-');
            self.out.extend(all.iter().filter(|(on, _)| !on).map(|(_, name)| name));
        }
        self.out.push(')');
    }

    fn literal(&mut self, code: u32) {
        self.operand(|out| match char::from_u32(code) {
            Some(_) => write_char(out, code),
            // A surrogate: no text has one.
            None => out.push_str(NOTHING),
        });
    }

    fn open(&mut self) -> Result<(), RegexProblem> {
        let before = self.input;
        self.input.eat("(");
        let mut flags = self.level.flags;
        if self.input.eat("?") {
            let named = self.input.text.len() > 2 && self.input.eat("P<") || self.input.eat("<");
            if named && !self.input.text.starts_with(['=', '!']) {
                self.group_name(before)?;
            } else if self.flags(before, &mut flags)? == ')' {
                self.level.flags = flags;
                return Ok(());
            }
        }
        self.write_flags();
        self.out.push_str("(?:");
        let inner = Level { flags, written: self.level.written, ..Level::default() };
        self.outer.push(std::mem::replace(&mut self.level, inner));
        Ok(())
    }

    fn group_name(&mut self, before: Input<'p>) -> Result<(), RegexProblem> {
        let wrong = |end: Input<'_>| RegexProblem::GroupName(before.until(end).into());
        let Some(end) = self.input.text.find('>') else {
            return Err(wrong(Input { text: "" }));
        };
        let name = &self.input.text[..end];
        self.input.text = &self.input.text[end + 1..];
        let fits = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if name.is_empty() || !name.chars().all(fits) {
            return Err(wrong(self.input));
        }
        Ok(())
    }

    /// Reads flags up to `:` or `)`, and returns which.
    fn flags(&mut self, before: Input<'p>, flags: &mut Flags) -> Result<char, RegexProblem> {
        let mut on = true;
        let mut any = false;
        loop {
            let Some(next) = self.input.next() else {
                return Err(RegexProblem::MissingParen);
            };
            match next {
                '-' if on => {
                    on = false;
                    any = false;
                }
                ':' | ')' if on || any => return Ok(next),
                _ if flags.set(next, on) => any = true,
                _ => {
                    let part = before.until(self.input);
                    return Err(match part {
                        "(?=" | "(?!" | "(?<=" | "(?<!" => RegexProblem::LookAround(part.into()),
                        _ => RegexProblem::GroupSyntax(part.into()),
                    });
                }
            }
        }
    }

    fn close(&mut self) -> Result<(), RegexProblem> {
        let Some(outer) = self.outer.pop() else {
            return Err(RegexProblem::UnexpectedParen);
        };
        self.input.next();
        self.out.push(')');
        let weight = self.level.total();
        self.level = outer;
        self.push_weight(weight);
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; anything else is a literal brace.
    fn bounds(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexProblem> {
        let mut rest = self.input;
        rest.eat("{");
        let Some(least) = number(&mut rest) else {
            return Ok(None);
        };
        let mut most = Some(least);
        if rest.eat(",") {
            most = None;
            if !rest.text.starts_with('}') {
                most = number(&mut rest);
                if most.is_none() {
                    return Ok(None);
                }
            }
        }
        if !rest.eat("}") {
            return Ok(None);
        }
        let highest = most.unwrap_or(least);
        if least > MAX_REPEAT || highest > MAX_REPEAT || least > highest {
            return Err(RegexProblem::RepeatSize(self.input.until(rest).into()));
        }
        self.input = rest;
        Ok(Some((least, most)))
    }

    fn repeat(
        &mut self,
        least: u32,
        most: Option<u32>,
        counted: bool,
        before: Input<'p>,
        last_repeat: Option<Input<'p>>,
    ) -> Result<(), RegexProblem> {
        self.input.eat("?");
        if let Some(first) = last_repeat {
            let part = first.until(self.input);
            return Err(RegexProblem::NestedRepeat(part.into()));
        }
        let part = before.until(self.input);
        let Some(weight) = self.level.last else {
            return Err(RegexProblem::RepeatOfNothing(part.into()));
        };
        let times = most.unwrap_or(least);
        if counted {
            // Go checks that a repetition inside another fits into the limit divided by the
            // outer count; seen from the inside that is this product.
            let weight = match (times, most) {
                (0, Some(_)) => 0,
                (0, None) => weight,
                _ => weight.max(1).saturating_mul(times),
            };
            if times >= 2 && weight > MAX_REPEAT {
                return Err(RegexProblem::RepeatSize(part.into()));
            }
            self.level.last = Some(weight);
        }
        // Never `?`, which could be read as the laziness of a repetition in front of it.
        // Writing to a `String` cannot fail, here and below.
        let _ = match most {
            Some(most) => write!(self.out, "{{{least},{most}}}"),
            None => write!(self.out, "{{{least},}}"),
        };
        Ok(())
    }

    /// Reads an escape outside of a class.
    fn escape(&mut self) -> Result<(), RegexProblem> {
        let assertion = match self.input.text.as_bytes().get(1) {
            Some(b'A') => Some(r"\A"),
            Some(b'z') => Some(r"\z"),
            Some(b'b') => Some(r"(?-u:\b)"),
            Some(b'B') => Some(r"(?-u:\B)"),
            _ => None,
        };
        if let Some(assertion) = assertion {
            self.input.text = &self.input.text[2..];
            self.operand(|out| out.push_str(assertion));
            return Ok(());
        }
        if self.input.eat(r"\Q") {
            let (quoted, rest) = match self.input.text.split_once(r"\E") {
                Some(parts) => parts,
                None => (self.input.text, ""),
            };
            self.input.text = rest;
            for next in quoted.chars() {
                self.literal(next.into());
            }
            return Ok(());
        }
        if let Some(class) = self.class_escape()? {
            self.operand(|out| out.push_str(&class));
            return Ok(());
        }
        let code = self.escaped_char()?;
        self.literal(code);
        Ok(())
    }

    /// Reads `\d` and its like, or `\p`, if the input starts with one.
    fn class_escape(&mut self) -> Result<Option<String>, RegexProblem> {
        let Some(letter) = self.input.text.strip_prefix('\\').and_then(first) else {
            return Ok(None);
        };
        if let Some(set) = classes::perl(letter) {
            self.input.text = &self.input.text[2..];
            return Ok(Some(bracketed(set, letter.is_ascii_uppercase())));
        }
        if letter != 'p' && letter != 'P' {
            return Ok(None);
        }
        let before = self.input;
        self.input.text = &self.input.text[2..];
        let wrong = |end: Input<'_>| RegexProblem::UnknownClass(before.until(end).into());
        let name = if self.input.eat("{") {
            let Some(end) = self.input.text.find('}') else {
                return Err(wrong(Input { text: "" }));
            };
            let name = &self.input.text[..end];
            self.input.text = &self.input.text[end + 1..];
            name
        } else {
            let rest = self.input;
            self.input.next();
            rest.until(self.input)
        };
        let (name, inverted) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        match classes::unicode(name) {
            Some(set) => Ok(Some(bracketed(&set, inverted != (letter == 'P')))),
            None => Err(wrong(self.input)),
        }
    }

    /// Reads an escape that stands for one character.
    fn escaped_char(&mut self) -> Result<u32, RegexProblem> {
        let before = self.input;
        self.input.eat("\\");
        let Some(next) = self.input.next() else {
            return Err(RegexProblem::TrailingBackslash);
        };
        let code = match next {
            '0'..='7' => self.octal(next),
            'x' => self.hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0C),
            'n' => Some(0x0A),
            'r' => Some(0x0D),
            't' => Some(0x09),
            'v' => Some(0x0B),
            _ if next.is_ascii() && !next.is_ascii_alphanumeric() => Some(next.into()),
            _ => None,
        };
        code.ok_or_else(|| {
            let part = before.until(self.input);
            match next {
                '1'..='9' => RegexProblem::BackReference(part.into()),
                _ => RegexProblem::Escape(part.into()),
            }
        })
    }

    fn octal(&mut self, first: char) -> Option<u32> {
        let mut code = first.to_digit(8)?;
        let mut digits = 1;
        while digits < 3
            && let Some(digit) = self.input.peek().and_then(|c| c.to_digit(8))
        {
            self.input.next();
            code = code * 8 + digit;
            digits += 1;
        }
        // A single digit other than zero is a back reference in Perl.
        (digits > 1 || first == '0').then_some(code)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        if !self.input.eat("{") {
            let high = self.input.next()?.to_digit(16)?;
            let low = self.input.next()?.to_digit(16)?;
            return Some(high * 16 + low);
        }
        let mut code = None;
        loop {
            let next = self.input.next()?;
            if next == '}' {
                return code;
            }
            let value = code.unwrap_or(0) * 16 + next.to_digit(16)?;
            if value > u32::from(char::MAX) {
                return None;
            }
            code = Some(value);
        }
    }

    /// Reads `[...]`.
    fn class(&mut self) -> Result<(), RegexProblem> {
        self.input.next();
        let mut set = String::from("[");
        if self.input.eat("^") {
            set.push('^');
        }
        let empty = set.len();
        let mut first = true;
        while first || !self.input.text.starts_with(']') {
            first = false;
            if let Some(posix) = self.posix_class()? {
                set.push_str(&posix);
                continue;
            }
            if let Some(class) = self.class_escape()? {
                set.push_str(&class);
                continue;
            }
            let before = self.input;
            let low = self.class_char()?;
            let mut high = low;
            let after_dash = self.input.text.strip_prefix('-');
            if after_dash.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(']')) {
                self.input.eat("-");
                high = self.class_char()?;
                if high < low {
                    return Err(RegexProblem::Range(before.until(self.input).into()));
                }
            }
            write_range(&mut set, low, high);
        }
        self.input.eat("]");
        if set.len() == empty {
            set.push_str(NOTHING);
        }
        set.push(']');
        self.operand(|out| out.push_str(&set));
        Ok(())
    }

    fn class_char(&mut self) -> Result<u32, RegexProblem> {
        match self.input.peek() {
            None => Err(RegexProblem::MissingBracket),
            Some('\\') => self.escaped_char(),
            Some(next) => {
                self.input.next();
                Ok(next.into())
            }
        }
    }

    /// Reads `[:name:]`, if the input starts with one.
    fn posix_class(&mut self) -> Result<Option<String>, RegexProblem> {
        let ahead = self.last_posix_end;
        let Some(rest) = self.input.text.strip_prefix("[:") else {
            return Ok(None);
        };
        if ahead.is_none_or(|end| rest.len() < end) {
            return Ok(None);
        }
        let Some((name, rest)) = rest.split_once(":]") else {
            return Ok(None);
        };
        let before = self.input;
        self.input.text = rest;
        let (plain, inverted) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        match classes::posix(plain) {
            Some(set) => Ok(Some(bracketed(set, inverted))),
            None => Err(RegexProblem::UnknownClass(before.until(self.input).to_owned())),
        }
    }
}

/// A class without members.
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

fn first(text: &str) -> Option<char> {
    text.chars().next()
}

fn bracketed(set: &str, inverted: bool) -> String {
    format!("[{}{set}]", if inverted { "^" } else { "" })
}

/// Reads a number as Go's repetition has it: without leading zeros. What is too large stays so.
fn number(input: &mut Input<'_>) -> Option<u32> {
    let digits = input.text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = input.text.split_at(digits);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    input.text = rest;
    Some(digits.parse().unwrap_or(u32::MAX))
}

fn write_char(out: &mut String, code: u32) {
    match char::from_u32(code) {
        Some(c) if c.is_ascii_alphanumeric() || !c.is_ascii() => out.push(c),
        _ => {
            let _ = write!(out, "\\x{{{code:X}}}");
        }
    }
}

/// Writes a range of a class, without the surrogates, which no text has.
fn write_range(out: &mut String, low: u32, high: u32) {
    const SURROGATES: std::ops::RangeInclusive<u32> = 0xD800..=0xDFFF;
    let low = if SURROGATES.contains(&low) { 0xE000 } else { low };
    let high = if SURROGATES.contains(&high) { 0xD7FF } else { high };
    if low <= high {
        write_char(out, low);
        out.push('-');
        write_char(out, high);
    }
}
