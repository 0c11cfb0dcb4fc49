//! Regular expressions in Go's dialect.

use std::borrow::Cow;
use std::fmt;

use super::translate::translate;

/// The longest pattern in bytes. SOPS has no limit; nobody comes near this one.
const MAX_PATTERN: usize = 64 * 1024;

/// A regular expression as Go understands it, which is what SOPS' rules are written in.
///
/// A text matches if any part of it does. A pattern that Go refuses is refused here; a pattern
/// that cannot be used but must be kept, because it stands in a file, is [`GoRegex::never`].
///
/// ```
/// use encfile::selector::GoRegex;
///
/// let pattern = GoRegex::new("^(data|stringData)$").unwrap();
/// assert!(pattern.is_match(b"data"));
/// assert!(!pattern.is_match(b"metadata"));
/// assert!(GoRegex::new("(?=a)").is_err());
/// ```
#[derive(Clone)]
pub struct GoRegex {
    pattern: Box<str>,
    /// `None` in one that never matches.
    compiled: Option<regex::Regex>,
}

impl GoRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// If Go refuses the pattern, or if it is unreasonably large: longer than 64 KiB, nested
    /// deeper than about 250 groups, or more than 10 MiB when compiled.
    pub fn new(pattern: &str) -> Result<GoRegex, RegexError> {
        let error = |problem| RegexError { pattern: pattern.into(), problem };
        if pattern.len() > MAX_PATTERN {
            return Err(RegexError { pattern: Box::default(), problem: RegexProblem::TooLarge });
        }
        let translated = translate(pattern).map_err(error)?;
        let compiled = regex::Regex::new(&translated).map_err(|refused| {
            // The translation has only syntax that the crate knows, so that a limit is left.
            error(match refused {
                regex::Error::CompiledTooBig(_) => RegexProblem::TooLarge,
                _ => RegexProblem::TooDeep,
            })
        })?;
        Ok(GoRegex { pattern: pattern.into(), compiled: Some(compiled) })
    }

    /// Returns an expression that matches nothing and shows as `pattern`.
    ///
    /// SOPS ignores that a pattern in a file does not compile: it never matches.
    pub fn never(pattern: &str) -> GoRegex {
        GoRegex { pattern: pattern.into(), compiled: None }
    }

    /// Compiles `pattern`, or returns one that never matches, as SOPS does when it reads a file.
    pub fn new_or_never(pattern: &str) -> GoRegex {
        GoRegex::new(pattern).unwrap_or_else(|_| GoRegex::never(pattern))
    }

    /// Returns whether this is one that never matches because its pattern is not valid.
    pub fn is_never(&self) -> bool {
        self.compiled.is_none()
    }

    /// Returns the pattern.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Returns whether any part of `text` matches. Each byte of it that is not UTF-8 counts as
    /// the character U+FFFD, as in Go.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let Some(compiled) = &self.compiled else {
            return false;
        };
        compiled.is_match(&as_go_reads(text))
    }
}

impl PartialEq for GoRegex {
    fn eq(&self, other: &GoRegex) -> bool {
        self.pattern == other.pattern && self.is_never() == other.is_never()
    }
}

impl Eq for GoRegex {}

impl fmt::Display for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl fmt::Debug for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_never() { "GoRegex::never" } else { "GoRegex" };
        f.debug_tuple(name).field(&self.pattern).finish()
    }
}

/// `String::from_utf8_lossy` makes one U+FFFD of several bytes; Go makes one of each.
fn as_go_reads(text: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Cow::Borrowed(text);
    }
    let mut read = String::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        read.push_str(chunk.valid());
        read.extend(chunk.invalid().iter().map(|_| '\u{FFFD}'));
    }
    Cow::Owned(read)
}

/// A pattern that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression{}: {problem}", shown(pattern))]
pub struct RegexError {
    /// The pattern; empty if it was too long.
    pub pattern: Box<str>,
    /// What is wrong with it.
    pub problem: RegexProblem,
}

fn shown(pattern: &str) -> String {
    if pattern.is_empty() { String::new() } else { format!(" `{pattern}`") }
}

/// What is wrong with a pattern. The texts are the parts of the pattern that are to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegexProblem {
    /// A group is not closed.
    #[error("missing `)`")]
    MissingParen,
    /// A group is closed that was not opened.
    #[error("unexpected `)`")]
    UnexpectedParen,
    /// A class is not closed.
    #[error("missing `]`")]
    MissingBracket,
    /// A backslash ends the pattern.
    #[error("trailing backslash")]
    TrailingBackslash,
    /// An escape that Go does not have.
    #[error("unknown escape `{0}`")]
    Escape(String),
    /// `\1` and its like.
    #[error("`{0}` is a back reference, which SOPS' dialect does not have")]
    BackReference(String),
    /// `(?=`, `(?!`, `(?<=`, `(?<!`.
    #[error("`{0}` is a look-around, which SOPS' dialect does not have")]
    LookAround(String),
    /// Anything else after `(?` that Go does not have.
    #[error("unknown group or flag `{0}`")]
    GroupSyntax(String),
    /// A group name that is empty, not closed or has other characters than letters, digits, `_`.
    #[error("invalid group name `{0}`")]
    GroupName(String),
    /// A range of characters that is upside down.
    #[error("invalid range `{0}`")]
    Range(String),
    /// A named class that Go does not have.
    #[error("unknown character class `{0}`")]
    UnknownClass(String),
    /// A repetition without anything before it.
    #[error("nothing before `{0}` to repeat")]
    RepeatOfNothing(String),
    /// A repetition of a repetition.
    #[error("`{0}` repeats a repetition")]
    NestedRepeat(String),
    /// A repetition of more than 1000 times, also in total, or of at most less than at least.
    #[error("invalid number of repetitions `{0}`: the most is 1000, nested ones together")]
    RepeatSize(String),
    /// The groups are nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// The pattern, or what it compiles to, is too large.
    #[error("too large")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each file in `testdata/regex` has a first line with texts, then lines with a pattern and
    /// what Go made of it: the numbers of the texts that it matches, or `error: ...`.
    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/regex");
        let mut wrong = Vec::new();
        let mut checked = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let table = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut lines = table.lines();
            let texts: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
            for line in lines {
                let (pattern, expected): (String, serde_json::Value) =
                    serde_json::from_str(line).unwrap();
                let found = match GoRegex::new(&pattern) {
                    Ok(regex) => serde_json::to_value(
                        (0..texts.len())
                            .filter(|&at| regex.is_match(texts[at].as_bytes()))
                            .collect::<Vec<_>>(),
                    )
                    .unwrap(),
                    Err(error) => serde_json::Value::String(format!("error: {}", error.problem)),
                };
                checked += 1;
                if found != expected && !(found.is_string() && expected.is_string()) {
                    wrong.push(format!("{line}\n  found {found}"));
                }
            }
        }
        assert!(checked > 1000, "the tables are there");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn errors_name_the_part_to_blame() {
        for (pattern, message) in [
            ("(", "invalid regular expression `(`: missing `)`"),
            ("a)", "invalid regular expression `a)`: unexpected `)`"),
            ("[a", "invalid regular expression `[a`: missing `]`"),
            ("a\\", "invalid regular expression `a\\`: trailing backslash"),
            ("a\\Z", "invalid regular expression `a\\Z`: unknown escape `\\Z`"),
            (
                "(a)\\1",
                "invalid regular expression `(a)\\1`: \
                 `\\1` is a back reference, which SOPS' dialect does not have",
            ),
            (
                "(?<!a)b",
                "invalid regular expression `(?<!a)b`: \
                 `(?<!` is a look-around, which SOPS' dialect does not have",
            ),
            ("(?x)", "invalid regular expression `(?x)`: unknown group or flag `(?x`"),
            (
                "(?P<a b>c)",
                "invalid regular expression `(?P<a b>c)`: invalid group name `(?P<a b>`",
            ),
            ("[z-a]", "invalid regular expression `[z-a]`: invalid range `z-a`"),
            (
                "\\p{Foo}",
                "invalid regular expression `\\p{Foo}`: unknown character class `\\p{Foo}`",
            ),
            ("*a", "invalid regular expression `*a`: nothing before `*` to repeat"),
            ("a**", "invalid regular expression `a**`: `**` repeats a repetition"),
            (
                "a{1001}",
                "invalid regular expression `a{1001}`: invalid number of repetitions `{1001}`: \
                 the most is 1000, nested ones together",
            ),
        ] {
            assert_eq!(GoRegex::new(pattern).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn every_byte_that_is_not_utf8_is_one_character() {
        let matches = |pattern: &str, text: &[u8]| GoRegex::new(pattern).unwrap().is_match(text);
        assert!(matches("^.$", b"\xFF"));
        assert!(matches("^..$", b"\xE2\x82"));
        assert!(matches("^a\u{FFFD}b$", b"a\x80b"));
        assert!(!matches("^.$", b"\xE2\x82"));
        assert!(matches("^.$", "é".as_bytes()));
    }

    #[test]
    fn limits_are_errors() {
        let problem = |pattern: &str| GoRegex::new(pattern).unwrap_err().problem;
        let deep = format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000));
        assert_eq!(problem(&deep), RegexProblem::TooDeep);
        assert_eq!(problem("\\pL{1000}\\pL{1000}"), RegexProblem::TooLarge);
        assert_eq!(problem(&"a".repeat(70_000)), RegexProblem::TooLarge);
        assert_eq!(problem(&"[:".repeat(30_000)), RegexProblem::MissingBracket);
    }

    #[test]
    fn one_that_never_matches_shows_its_pattern() {
        let never = GoRegex::new_or_never("(");
        assert!(never.is_never());
        assert!(!never.is_match(b"("));
        assert_eq!(never.to_string(), "(");
        assert_eq!(format!("{never:?}"), "GoRegex::never(\"(\")");
        assert_eq!(format!("{:?}", GoRegex::new("a").unwrap()), "GoRegex(\"a\")");
    }
}
