//! What can be wrong with a configuration file.

use crate::selector::{RegexError, SelectorError};

/// A configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{}: {problem}", position(*line, *column))]
pub struct ConfigError {
    /// The file, as the caller called it.
    pub origin: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The column, from 1, in characters, where it is known.
    pub column: Option<usize>,
    /// The number, from 1, of the creation or destination rule that it is in.
    pub rule: Option<usize>,
    /// What is wrong.
    pub problem: Box<ConfigProblem>,
}

fn position(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(":{line}:{column}"),
        (Some(line), None) => format!(":{line}"),
        (None, _) => String::new(),
    }
}

/// Something about a configuration file that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigWarning(pub ConfigError);

/// What is wrong with a configuration file. The texts are parts of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It is longer than [`super::MAX_SIZE`].
    #[error("the configuration is larger than 1 MiB")]
    TooLarge,
    /// It is not UTF-8.
    #[error("the configuration is not UTF-8")]
    NotUtf8,
    /// It has more brackets or directives than any configuration needs.
    #[error("the configuration has too many brackets or directives")]
    TooComplex,
    /// Its maps and lists are nested deeper than 64 levels.
    #[error("the configuration is nested too deep")]
    TooDeep,
    /// It has more values than any configuration needs, with its aliases replaced.
    #[error("the configuration has too many values, counting aliases as what they stand for")]
    TooManyValues,
    /// It has more than 2000 rules of one kind, each of which may have a pattern to compile.
    #[error("`{0}` has more than 2000 rules")]
    TooManyRules(String),
    /// It is not YAML.
    #[error("invalid YAML: {0}")]
    Syntax(String),
    /// A map has a key twice.
    #[error("duplicate key `{0}`")]
    DuplicateKey(String),
    /// A map has a key that is a map or list.
    #[error("a key is not a text")]
    ComplexKey,
    /// A value has a tag of its own.
    #[error("tags are not supported")]
    Tag,
    /// `<<` has something else than maps.
    #[error("`<<` takes a map, or a list of maps")]
    Merge,
    /// A field that does not exist there.
    #[error("unknown field `{field}` in {within}{}", did_you_mean(suggestion.as_deref()))]
    UnknownField {
        /// The field.
        field: String,
        /// What it stands in.
        within: String,
        /// A field with a similar name.
        suggestion: Option<&'static str>,
    },
    /// A field that SOPS ignores at the top level, with a name that is nearly one that counts.
    #[error("top-level key `{field}` is ignored{}", did_you_mean(Some(suggestion)))]
    IgnoredKey {
        /// The key.
        field: String,
        /// The key that was probably meant.
        suggestion: &'static str,
    },
    /// A field with a value of the wrong type.
    #[error("`{field}` in {within} must be {expected}, not {found}")]
    Type {
        /// The field.
        field: String,
        /// What it stands in.
        within: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// Something that should be a map is none.
    #[error("{within} must be a map, not {found}")]
    NotMap {
        /// What it is in the configuration.
        within: String,
        /// What it is instead of a map.
        found: &'static str,
    },
    /// A field that is necessary is not there.
    #[error("{within} has no `{field}`")]
    MissingField {
        /// The field.
        field: &'static str,
        /// What it should stand in.
        within: String,
    },
    /// Keys beside `key_groups`.
    #[error("`{field}` in {within} is ignored, because there are `key_groups`")]
    IgnoredKeys {
        /// The field.
        field: &'static str,
        /// What it stands in.
        within: String,
    },
    /// The rule that selects what is encrypted cannot be used.
    #[error("{within}: {error}")]
    Selector {
        /// What it stands in.
        within: String,
        /// What is wrong with it.
        error: SelectorError,
    },
    /// A `path_regex` cannot be used.
    #[error("`path_regex` in {within}: {error}")]
    PathRegex {
        /// What it stands in.
        within: String,
        /// What is wrong with it.
        error: RegexError,
    },
    /// A destination rule names more than one destination.
    #[error("{within} has more than one destination: `{first}` and `{second}`")]
    SeveralDestinations {
        /// The destination rule.
        within: String,
        /// A field that names a destination.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A recreation rule says how to encrypt, and for nobody.
    #[error("{within} has no keys")]
    NoKeys {
        /// The rule.
        within: String,
    },
    /// A creation rule that is never used.
    #[error("creation rule {rule} is never used, because rule {by} matches the same files")]
    Unreachable {
        /// The rule.
        rule: usize,
        /// The rule before it that takes all its files.
        by: usize,
    },
    /// A pattern that also matches in the middle of a path.
    #[error("`path_regex` in creation rule {rule} matches any part of a path: `{pattern}`")]
    Unanchored {
        /// The rule.
        rule: usize,
        /// The pattern.
        pattern: String,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(suggestion) => format!(", did you mean `{suggestion}`?"),
        None => String::new(),
    }
}

impl ConfigProblem {
    /// Returns the field name that was probably meant, if the problem is a wrong one.
    pub fn suggestion(&self) -> Option<&'static str> {
        match self {
            ConfigProblem::UnknownField { suggestion, .. } => *suggestion,
            ConfigProblem::IgnoredKey { suggestion, .. } => Some(suggestion),
            _ => None,
        }
    }
}
