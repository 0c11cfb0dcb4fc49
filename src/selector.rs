//! Which leaves are encrypted: SOPS' six rules.
//!
//! A file has one [`Selector`]. A [`Selection`] applies it on a walk over the tree. The module
//! knows keys and the texts of comments; it knows no values, no ciphertext and no files.

mod classes;
mod regex;
mod selection;
mod translate;

pub use self::regex::{GoRegex, RegexError, RegexProblem};
pub use self::selection::Selection;

/// The rule by which leaves are selected for encryption.
///
/// Suffixes and patterns of keys look at every key on the path of a leaf: a match on a map covers
/// everything in it. Suffixes compare bytes; patterns match any part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Everything, except below keys that end like this.
    UnencryptedSuffix(String),
    /// Only what is below keys that end like this.
    EncryptedSuffix(String),
    /// Everything, except below keys that match.
    UnencryptedRegex(GoRegex),
    /// Only what is below keys that match.
    EncryptedRegex(GoRegex),
    /// Everything, except what follows a comment that matches, and that comment.
    UnencryptedCommentRegex(GoRegex),
    /// Only what follows a comment that matches.
    EncryptedCommentRegex(GoRegex),
}

impl Default for Selector {
    /// Returns SOPS' default: everything, except below keys that end with `_unencrypted`.
    fn default() -> Selector {
        Selector::UnencryptedSuffix(DEFAULT_SUFFIX.into())
    }
}

const DEFAULT_SUFFIX: &str = "_unencrypted";

/// How to take a pattern that Go refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPattern {
    /// It is an error: for rules that somebody asks for.
    Refuse,
    /// It never matches, as in SOPS: for rules in a file that was encrypted with them.
    NeverMatches,
}

impl Selector {
    /// The names of the six rules in metadata, configuration and, with `-` for `_`, as options.
    pub const FIELDS: [&'static str; 6] = [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ];

    /// Returns the rule that the field called `name` with `value` is; `None` if the value is
    /// empty, which means that the field is not set.
    ///
    /// # Errors
    /// - If no rule is called `name`.
    /// - If the value is a pattern that Go refuses.
    pub fn from_field(name: &str, value: &str) -> Result<Option<Selector>, SelectorError> {
        Selector::from_fields([(name, value)], BadPattern::Refuse)
    }

    /// Returns the one rule that is set in `fields`, which are pairs of name and value; `None` if
    /// all values are empty.
    ///
    /// # Errors
    /// - If a name is not that of a rule.
    /// - If more than one rule is set.
    /// - If a value is a pattern that Go refuses, unless `bad` allows it.
    pub fn from_fields<'f>(
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
        bad: BadPattern,
    ) -> Result<Option<Selector>, SelectorError> {
        let mut found: Option<(&'static str, &str)> = None;
        for (name, value) in fields {
            let Some(field) = Selector::FIELDS.into_iter().find(|&field| field == name) else {
                return Err(SelectorError::UnknownField(name.into()));
            };
            if value.is_empty() {
                continue;
            }
            if let Some((first, _)) = found {
                return Err(SelectorError::Several { first, second: field });
            }
            found = Some((field, value));
        }
        let Some((field, value)) = found else {
            return Ok(None);
        };
        let regex = || match bad {
            BadPattern::NeverMatches => Ok(GoRegex::new_or_never(value)),
            BadPattern::Refuse => {
                GoRegex::new(value).map_err(|error| SelectorError::Regex { field, error })
            }
        };
        Ok(Some(match field {
            "unencrypted_suffix" => Selector::UnencryptedSuffix(value.into()),
            "encrypted_suffix" => Selector::EncryptedSuffix(value.into()),
            "unencrypted_regex" => Selector::UnencryptedRegex(regex()?),
            "encrypted_regex" => Selector::EncryptedRegex(regex()?),
            "unencrypted_comment_regex" => Selector::UnencryptedCommentRegex(regex()?),
            _ => Selector::EncryptedCommentRegex(regex()?),
        }))
    }

    /// Returns the name and the value that the rule has in metadata and configuration.
    pub fn field(&self) -> (&'static str, &str) {
        match self {
            Selector::UnencryptedSuffix(suffix) => ("unencrypted_suffix", suffix),
            Selector::EncryptedSuffix(suffix) => ("encrypted_suffix", suffix),
            Selector::UnencryptedRegex(regex) => ("unencrypted_regex", regex.pattern()),
            Selector::EncryptedRegex(regex) => ("encrypted_regex", regex.pattern()),
            Selector::UnencryptedCommentRegex(regex) => {
                ("unencrypted_comment_regex", regex.pattern())
            }
            Selector::EncryptedCommentRegex(regex) => ("encrypted_comment_regex", regex.pattern()),
        }
    }

    /// Returns the pattern, if the rule has one.
    pub fn regex(&self) -> Option<&GoRegex> {
        match self {
            Selector::UnencryptedSuffix(_) | Selector::EncryptedSuffix(_) => None,
            Selector::UnencryptedRegex(regex)
            | Selector::EncryptedRegex(regex)
            | Selector::UnencryptedCommentRegex(regex)
            | Selector::EncryptedCommentRegex(regex) => Some(regex),
        }
    }

    /// Returns whether `ciphertext`, as the text of an encrypted comment, would itself match the
    /// rule and so change what is selected when the file is read. SOPS refuses to write it.
    pub fn is_misled_by(&self, ciphertext: &[u8]) -> bool {
        match self {
            Selector::UnencryptedCommentRegex(regex) => regex.is_match(ciphertext),
            _ => false,
        }
    }

    /// Returns whether a match selects a leaf (else it exempts it).
    fn selects_matches(&self) -> bool {
        match self {
            Selector::EncryptedSuffix(_)
            | Selector::EncryptedRegex(_)
            | Selector::EncryptedCommentRegex(_) => true,
            Selector::UnencryptedSuffix(_)
            | Selector::UnencryptedRegex(_)
            | Selector::UnencryptedCommentRegex(_) => false,
        }
    }

    fn matches_key(&self, key: &[u8]) -> bool {
        match self {
            // An empty suffix is one that is not set.
            Selector::UnencryptedSuffix(suffix) | Selector::EncryptedSuffix(suffix) => {
                !suffix.is_empty() && key.ends_with(suffix.as_bytes())
            }
            Selector::UnencryptedRegex(regex) | Selector::EncryptedRegex(regex) => {
                regex.is_match(key)
            }
            Selector::UnencryptedCommentRegex(_) | Selector::EncryptedCommentRegex(_) => false,
        }
    }
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// No rule has that name.
    #[error("`{0}` is not a rule that selects what is encrypted")]
    UnknownField(String),
    /// A file or creation rule has one selector at most.
    #[error("`{first}` and `{second}` exclude each other")]
    Several {
        /// The field that came first.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// The pattern is not valid.
    #[error("`{field}`: {error}")]
    Regex {
        /// The field.
        field: &'static str,
        /// What is wrong with its pattern.
        error: RegexError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_gives_its_rule_and_back() {
        for field in Selector::FIELDS {
            let selector = Selector::from_field(field, "a.b").unwrap().unwrap();
            assert_eq!(selector.field(), (field, "a.b"));
            assert_eq!(selector.regex().is_some(), field.ends_with("regex"));
            assert_eq!(Selector::from_field(field, ""), Ok(None));
        }
        assert_eq!(Selector::default().field(), ("unencrypted_suffix", "_unencrypted"));
    }

    #[test]
    fn rules_exclude_each_other() {
        let fields =
            [("encrypted_suffix", ""), ("encrypted_regex", "a"), ("unencrypted_suffix", "b")];
        let error = Selector::from_fields(fields, BadPattern::Refuse).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`encrypted_regex` and `unencrypted_suffix` exclude each other"
        );
        assert_eq!(
            Selector::from_field("mac", "x").unwrap_err().to_string(),
            "`mac` is not a rule that selects what is encrypted"
        );
    }

    #[test]
    fn a_bad_pattern_is_refused_or_never_matches() {
        let error = Selector::from_field("encrypted_regex", "(").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`encrypted_regex`: invalid regular expression `(`: missing `)`"
        );
        let selector = Selector::from_fields([("encrypted_regex", "(")], BadPattern::NeverMatches)
            .unwrap()
            .unwrap();
        assert_eq!(selector.field(), ("encrypted_regex", "("));
        assert!(!selector.matches_key(b"("));
        assert!(selector.regex().unwrap().is_never());
    }

    #[test]
    fn ciphertext_that_matches_an_unencrypted_comment_regex_misleads() {
        let misled = |field| {
            Selector::from_field(field, "ENC")
                .unwrap()
                .unwrap()
                .is_misled_by(b"ENC[AES256_GCM,data:x]")
        };
        assert!(misled("unencrypted_comment_regex"));
        assert!(!misled("encrypted_comment_regex"));
        assert!(!misled("encrypted_regex"));
    }
}
