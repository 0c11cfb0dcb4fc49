//! The configuration file `.sops.yaml`: which files are encrypted for whom, and how.
//!
//! [`Config::parse`] takes a text and gives rules. Keys stay texts ([`KeySpec`]): whether they
//! are any good is not known here, and neither are metadata, the disk and the environment.
//! [`candidates`] and [`relative`] say where the file may be and how paths look from there.
//!
//! The rules are those of SOPS, but what SOPS silently ignores is an error: unknown fields, and
//! patterns that are not valid. [`Strictness::Lenient`] makes warnings of the unknown fields.

mod error;
mod keys;
mod names;
mod outline;
mod path;
mod raw;
mod reader;
mod rules;

pub use self::error::{ConfigError, ConfigProblem, ConfigWarning};
pub use self::keys::{KeyGroupSpec, KeySpec};
pub use self::path::{FILE_NAME, IGNORED_FILE_NAME, candidates, relative};
pub use self::raw::MAX_SIZE;
pub use self::rules::{CreationRule, Destination, DestinationRule};

use self::outline::Outline;
use self::reader::{At, Fields, MAX_WARNINGS, Node, Reader};
use crate::selector::GoRegex;

/// How to take what SOPS accepts and ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It is an error.
    Strict,
    /// It is a warning, as far as it cannot leave something unencrypted.
    Lenient,
}

/// A configuration file.
///
/// ```
/// use encfile::config::{Config, Strictness};
///
/// let text = b"creation_rules:\n  - path_regex: ^prod/\n    age: age1example # alice\n";
/// let (config, warnings) = Config::parse(text, ".sops.yaml", Strictness::Strict).unwrap();
/// assert!(warnings.is_empty());
/// let rule = config.rule_for("prod/db.yaml").unwrap();
/// assert_eq!(rule.groups[0].keys[0].text, "age1example");
/// assert_eq!(rule.groups[0].keys[0].comment.as_deref(), Some("alice"));
/// assert!(config.rule_for("test/db.yaml").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, as the caller called it.
    pub origin: String,
    /// The rules for new files. `None` if the file has none at all, which SOPS takes as if there
    /// were no configuration; a list that is empty matches nothing.
    pub creation_rules: Option<Vec<CreationRule>>,
    /// The rules for publishing.
    pub destination_rules: Vec<DestinationRule>,
    /// How files are written.
    pub stores: Stores,
    /// Our own settings, which SOPS ignores.
    pub encfile: Settings,
}

/// How files are written: spaces a level, where that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stores {
    /// JSON; 0 is line breaks without indentation, and SOPS' -1, a tab, is `None`.
    pub json: Option<u32>,
    /// JSON around an encrypted binary file, likewise.
    pub json_binary: Option<u32>,
    /// YAML; SOPS' 0, which is the default, is `None`.
    pub yaml: Option<u32>,
}

/// The settings under the top-level key `encfile`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file that commands take if none is named, relative to the configuration.
    pub default_file: Option<String>,
}

/// The top-level keys that count. SOPS ignores others, which people use to keep anchors in.
const TOP_LEVEL: [&str; 4] = ["creation_rules", "destination_rules", "stores", "encfile"];

/// The widest indentation that is taken for meant.
const MAX_INDENT: i64 = 64;

impl Config {
    /// Reads a configuration. `origin` names it in messages.
    ///
    /// # Errors
    /// - If the text is not YAML, or too large, too deep or too slow to read.
    /// - If a field is unknown (unless lenient), of the wrong type, or missing.
    /// - If a pattern is not valid, or a rule has two selectors.
    pub fn parse(
        text: &[u8],
        origin: &str,
        strictness: Strictness,
    ) -> Result<(Config, Vec<ConfigWarning>), ConfigError> {
        let (text, raw) = raw::read(text).map_err(|error| raw_error(text, origin, error))?;
        let mut reader = Reader {
            origin,
            strictness,
            outline: Outline::new(text),
            warnings: Vec::new(),
            rule: None,
        };
        let root = Node { raw: &raw, at: At::default() };
        let top = Fields::open(&reader, root, "the configuration".into())?;
        warn_of_slips(&mut reader, &top);
        let config = Config {
            origin: origin.to_owned(),
            creation_rules: rules::creation_rules(&mut reader, &top)?,
            destination_rules: rules::destination_rules(&mut reader, &top)?,
            stores: stores(&mut reader, &top)?,
            encfile: settings(&mut reader, &top)?,
        };
        Ok((config, reader.warnings))
    }

    /// Returns the first creation rule that matches a file. `path` is as [`relative`] gives it.
    pub fn rule_for(&self, path: &str) -> Option<&CreationRule> {
        self.creation_rules.iter().flatten().find(|rule| rule.matches(path))
    }

    /// Returns what is suspicious about the rules, although they work: rules that are never used,
    /// and patterns that match any part of a path.
    pub fn lints(&self) -> Vec<ConfigWarning> {
        let mut found = Vec::new();
        let rules = self.creation_rules.as_deref().unwrap_or_default();
        let mut seen = std::collections::HashMap::new();
        let mut all = None;
        for rule in rules {
            let pattern = rule.path_regex.as_ref().map(GoRegex::pattern);
            if let Some(&by) = all.as_ref().or_else(|| seen.get(&pattern)) {
                let problem = ConfigProblem::Unreachable { rule: rule.number, by };
                found.push(self.lint(rule, problem));
                continue;
            }
            seen.insert(pattern, rule.number);
            match pattern {
                None => all = Some(rule.number),
                Some(pattern) if !is_anchored(pattern) => {
                    let problem = ConfigProblem::Unanchored {
                        rule: rule.number,
                        pattern: pattern.to_owned(),
                    };
                    found.push(self.lint(rule, problem));
                }
                Some(_) => {}
            }
        }
        found
    }

    fn lint(&self, rule: &CreationRule, problem: ConfigProblem) -> ConfigWarning {
        ConfigWarning(ConfigError {
            origin: self.origin.clone(),
            line: rule.line,
            column: None,
            rule: Some(rule.number),
            problem: Box::new(problem),
        })
    }
}

/// Returns whether a pattern says anything about where in a path it matches.
fn is_anchored(pattern: &str) -> bool {
    ["^", "$", r"\A", r"\z"].iter().any(|anchor| pattern.contains(anchor))
}

fn raw_error(text: &[u8], origin: &str, error: raw::RawError) -> ConfigError {
    let mut at = error.at;
    if let ConfigProblem::DuplicateKey(key) = &error.problem
        && let Ok(text) = std::str::from_utf8(text)
        && let Some(place) = Outline::new(text).duplicate(key)
    {
        at = Some((place.line, place.column));
    }
    ConfigError {
        origin: origin.to_owned(),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
        rule: None,
        problem: Box::new(error.problem),
    }
}

/// Warns of top-level keys that are nearly ones that count.
fn warn_of_slips(reader: &mut Reader<'_>, top: &Fields<'_>) {
    let slips: Vec<_> = top
        .all(&reader.outline)
        .filter(|field| !TOP_LEVEL.contains(&field.name))
        .filter_map(|field| {
            let problem = ConfigProblem::IgnoredKey {
                field: field.name.to_owned(),
                suggestion: names::similar(field.name, &TOP_LEVEL)?,
            };
            Some((field.node.at, problem))
        })
        .take(MAX_WARNINGS)
        .collect();
    for (at, problem) in slips {
        reader.warn(at, problem);
    }
}

fn stores(reader: &mut Reader<'_>, top: &Fields<'_>) -> Result<Stores, ConfigError> {
    let Some(field) = top.get(reader, "stores") else {
        return Ok(Stores::default());
    };
    let known = ["json", "json_binary", "yaml", "dotenv", "ini"];
    let fields = Fields::new(reader, field.node, "`stores`".into(), &known)?;
    for name in ["dotenv", "ini"] {
        if let Some(store) = fields.get(reader, name) {
            Fields::new(reader, store.node, format!("`{name}` of `stores`"), &[])?;
        }
    }
    // SOPS' word for the default is -1 in JSON and 0 in YAML.
    Ok(Stores {
        json: indent(reader, &fields, "json", -1)?,
        json_binary: indent(reader, &fields, "json_binary", -1)?,
        yaml: indent(reader, &fields, "yaml", 0)?,
    })
}

fn indent(
    reader: &mut Reader<'_>,
    stores: &Fields<'_>,
    name: &str,
    default: i64,
) -> Result<Option<u32>, ConfigError> {
    let Some(store) = stores.get(reader, name) else {
        return Ok(None);
    };
    let within = format!("`{name}` of `stores`");
    let fields = Fields::new(reader, store.node, within, &["indent"])?;
    let Some(field) = fields.get(reader, "indent") else {
        return Ok(None);
    };
    let expected = match default {
        0 => "a number from 0 to 64",
        _ => "a number from -1 to 64",
    };
    let number = field.number(reader, default, MAX_INDENT, expected)?;
    Ok(u32::try_from(number).ok().filter(|_| number != default))
}

fn settings(reader: &mut Reader<'_>, top: &Fields<'_>) -> Result<Settings, ConfigError> {
    let Some(field) = top.get(reader, "encfile") else {
        return Ok(Settings::default());
    };
    let fields = Fields::new(reader, field.node, "`encfile`".into(), &["default_file"])?;
    Ok(Settings { default_file: fields.text(reader, "default_file")? })
}

#[cfg(test)]
mod tests;
