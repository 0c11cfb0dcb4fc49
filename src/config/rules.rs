//! Creation and destination rules.

use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, KeyGroupSpec};
use super::reader::{Field, Fields, Node, Reader};
use crate::selector::{BadPattern, GoRegex, Selector, SelectorError};

/// What new files that match are encrypted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreationRule {
    /// Which paths the rule is for; `None` for all.
    pub path_regex: Option<GoRegex>,
    /// The groups of keys. Without `key_groups` it is one, which may be empty.
    pub groups: Vec<KeyGroupSpec>,
    /// How many groups it takes to decrypt; `None` for all.
    pub shamir_threshold: Option<u32>,
    /// Which values are encrypted; `None` if the rule does not say.
    pub selector: Option<Selector>,
    /// Whether the MAC is over the encrypted values only.
    pub mac_only_encrypted: bool,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The number of the rule, from 1.
    pub number: usize,
}

impl CreationRule {
    /// Returns whether the rule is for the file at `path`, as [`super::relative`] gives it.
    pub fn matches(&self, path: &str) -> bool {
        self.path_regex.as_ref().is_none_or(|regex| regex.is_match(path.as_bytes()))
    }

    /// Returns whether the rule is for files of any name, so that it says with what to encrypt and
    /// not which files.
    pub fn matches_everything(&self) -> bool {
        // Names that no pattern for some files would let through.
        ["\u{1}", "z", "z/z.z"].iter().all(|path| self.matches(path))
    }
}

/// Where files that match are published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRule {
    /// Which paths the rule is for; `None` for all.
    pub path_regex: Option<GoRegex>,
    /// The place; `None` if the rule names none.
    pub destination: Option<Destination>,
    /// What files are encrypted with at the destination; `None` if they stay as they are. Its
    /// `path_regex` does not count.
    pub recreation_rule: Option<CreationRule>,
    /// Whether the names at the destination have no ending.
    pub omit_extensions: bool,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The number of the rule, from 1.
    pub number: usize,
}

impl DestinationRule {
    /// Returns whether the rule is for the file at `path`.
    pub fn matches(&self, path: &str) -> bool {
        self.path_regex.as_ref().is_none_or(|regex| regex.is_match(path.as_bytes()))
    }
}

/// A place to publish to. Prefixes are as in the configuration, `None` if empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An S3 bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What goes in front of the names.
        prefix: Option<String>,
    },
    /// A Google Cloud Storage bucket.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What goes in front of the names.
        prefix: Option<String>,
    },
    /// The key-value store of a Vault server.
    Vault {
        /// The path in the store.
        path: String,
        /// The server; `None` for the environment's.
        address: Option<String>,
        /// Where the store is mounted: `secret/` if the rule does not say.
        mount: String,
        /// The version of the store's interface: 1 or 2.
        version: u8,
    },
    /// The rule names several places, which is an error unless reading is lenient: then it is one
    /// when the rule is used.
    Several,
}

/// The fields of a creation rule besides those that are about keys.
const RULE_FIELDS: [&str; 4] =
    ["path_regex", "key_groups", "shamir_threshold", "mac_only_encrypted"];

const DESTINATION_FIELDS: [&str; 11] = [
    "path_regex",
    "s3_bucket",
    "s3_prefix",
    "gcs_bucket",
    "gcs_prefix",
    "vault_path",
    "vault_address",
    "vault_kv_mount_name",
    "vault_kv_version",
    "recreation_rule",
    "omit_extensions",
];

/// The most rules of one kind: a pattern can take tens of milliseconds to compile.
const MAX_RULES: usize = 2000;

/// Reads `creation_rules`; `None` if it is missing or null.
pub(super) fn creation_rules(
    reader: &mut Reader<'_>,
    top: &Fields<'_>,
) -> Result<Option<Vec<CreationRule>>, ConfigError> {
    let Some(field) = top.get(reader, "creation_rules") else {
        return Ok(None);
    };
    let mut rules = Vec::new();
    for (index, member) in members(reader, field)?.into_iter().enumerate() {
        reader.rule = Some(index + 1);
        let within = format!("creation rule {}", index + 1);
        rules.push(creation_rule(reader, member.node, within, index + 1)?);
    }
    reader.rule = None;
    Ok(Some(rules))
}

fn members<'f>(reader: &Reader<'_>, field: Field<'f>) -> Result<Vec<Field<'f>>, ConfigError> {
    let members = field.list(reader)?;
    if members.len() > MAX_RULES {
        let problem = ConfigProblem::TooManyRules(field.name.to_owned());
        return Err(reader.error(field.node.at, problem));
    }
    Ok(members)
}

fn creation_rule(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    within: String,
    number: usize,
) -> Result<CreationRule, ConfigError> {
    let known: Vec<&str> =
        RULE_FIELDS.into_iter().chain(Selector::FIELDS).chain(keys::rule_fields()).collect();
    let fields = Fields::new(reader, node, within, &known)?;
    Ok(CreationRule {
        path_regex: path_regex(reader, &fields)?,
        groups: key_groups(reader, &fields)?,
        shamir_threshold: threshold(reader, &fields)?,
        selector: selector(reader, &fields)?,
        mac_only_encrypted: fields.flag(reader, "mac_only_encrypted")?,
        line: reader.line(fields.at),
        number,
    })
}

fn path_regex(reader: &Reader<'_>, fields: &Fields<'_>) -> Result<Option<GoRegex>, ConfigError> {
    let Some(pattern) = fields.text(reader, "path_regex")? else {
        return Ok(None);
    };
    GoRegex::new(&pattern).map(Some).map_err(|error| {
        let within = fields.within.clone();
        let at = fields.place_of(reader, "path_regex");
        reader.error(at, ConfigProblem::PathRegex { within, error })
    })
}

fn key_groups(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
) -> Result<Vec<KeyGroupSpec>, ConfigError> {
    let mut groups = Vec::new();
    if let Some(field) = fields.get(reader, "key_groups") {
        for (index, member) in field.list(reader)?.into_iter().enumerate() {
            let within = format!("key group {} of {}", index + 1, fields.within);
            groups.push(keys::group(reader, member.node, within)?);
        }
    }
    // Read in any case: they should be right even where they do not count.
    let flat = keys::flat(reader, fields)?;
    if groups.is_empty() {
        return Ok(vec![flat]);
    }
    for field in keys::flat_fields() {
        if fields.get(reader, field).is_some() {
            let within = fields.within.clone();
            let at = fields.place_of(reader, field);
            reader.warn(at, ConfigProblem::IgnoredKeys { field, within });
        }
    }
    Ok(groups)
}

fn threshold(reader: &Reader<'_>, fields: &Fields<'_>) -> Result<Option<u32>, ConfigError> {
    let Some(field) = fields.get(reader, "shamir_threshold") else {
        return Ok(None);
    };
    let number = field.number(reader, 0, 255, "a number from 0 to 255")?;
    Ok(u32::try_from(number).ok().filter(|&number| number != 0))
}

fn selector(reader: &Reader<'_>, fields: &Fields<'_>) -> Result<Option<Selector>, ConfigError> {
    let mut set = Vec::new();
    for field in fields.all(&reader.outline) {
        if Selector::FIELDS.contains(&field.name)
            && let Some(value) = fields.text(reader, field.name)?
        {
            set.push((field.name, value));
        }
    }
    let set = set.iter().map(|(name, value)| (*name, value.as_str()));
    Selector::from_fields(set, BadPattern::Refuse).map_err(|error| {
        let at = match &error {
            SelectorError::Several { second: name, .. }
            | SelectorError::Regex { field: name, .. } => fields.place_of(reader, name),
            SelectorError::UnknownField(_) => fields.at,
        };
        let within = fields.within.clone();
        reader.error(at, ConfigProblem::Selector { within, error })
    })
}

/// Reads `destination_rules`.
pub(super) fn destination_rules(
    reader: &mut Reader<'_>,
    top: &Fields<'_>,
) -> Result<Vec<DestinationRule>, ConfigError> {
    let mut rules = Vec::new();
    let Some(field) = top.get(reader, "destination_rules") else {
        return Ok(rules);
    };
    for (index, member) in members(reader, field)?.into_iter().enumerate() {
        reader.rule = Some(index + 1);
        rules.extend(destination_rule(reader, member.node, index + 1)?);
    }
    reader.rule = None;
    Ok(rules)
}

/// Reads a destination rule; `None` if its pattern is not valid and reading is lenient: it matches
/// nothing then.
fn destination_rule(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    number: usize,
) -> Result<Option<DestinationRule>, ConfigError> {
    let within = format!("destination rule {number}");
    let fields = Fields::new(reader, node, within, &DESTINATION_FIELDS)?;
    let recreation_rule = match fields.get(reader, "recreation_rule") {
        Some(field) => {
            let within = format!("`recreation_rule` of {}", fields.within);
            recreation_rule(reader, field, within, number)?
        }
        None => None,
    };
    let path_regex = match path_regex(reader, &fields) {
        Ok(path_regex) => path_regex,
        Err(error) => {
            reader.tolerate(fields.place_of(reader, "path_regex"), *error.problem)?;
            return Ok(None);
        }
    };
    Ok(Some(DestinationRule {
        path_regex,
        destination: destination(reader, &fields)?,
        recreation_rule,
        omit_extensions: fields.flag(reader, "omit_extensions")?,
        line: reader.line(fields.at),
        number,
    }))
}

/// Reads what files are encrypted with at their destination. Without keys SOPS leaves them as they
/// are, whatever else the rule says.
fn recreation_rule(
    reader: &mut Reader<'_>,
    field: Field<'_>,
    within: String,
    number: usize,
) -> Result<Option<CreationRule>, ConfigError> {
    let rule = creation_rule(reader, field.node, within.clone(), number)?;
    if rule.groups.iter().any(|group| !group.keys.is_empty()) {
        return Ok(Some(rule));
    }
    reader.tolerate(field.node.at, ConfigProblem::NoKeys { within })?;
    Ok(None)
}

fn destination(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
) -> Result<Option<Destination>, ConfigError> {
    let mut found: Option<(&'static str, Destination)> = None;
    for name in ["s3_bucket", "gcs_bucket", "vault_path"] {
        let Some(target) = fields.text(reader, name)? else {
            continue;
        };
        let destination = match name {
            "s3_bucket" => {
                Destination::S3 { bucket: target, prefix: fields.text(reader, "s3_prefix")? }
            }
            "gcs_bucket" => {
                Destination::Gcs { bucket: target, prefix: fields.text(reader, "gcs_prefix")? }
            }
            _ => vault(reader, fields, target)?,
        };
        if let Some((first, _)) = found {
            let problem = ConfigProblem::SeveralDestinations {
                within: fields.within.clone(),
                first,
                second: name,
            };
            reader.tolerate(fields.place_of(reader, name), problem)?;
            return Ok(Some(Destination::Several));
        }
        found = Some((name, destination));
    }
    Ok(found.map(|(_, destination)| destination))
}

fn vault(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    path: String,
) -> Result<Destination, ConfigError> {
    let version = match fields.get(reader, "vault_kv_version") {
        Some(field) => match field.number(reader, 0, 2, "the number 1 or 2") {
            Ok(version) => version,
            Err(error) => {
                reader.tolerate(field.node.at, *error.problem)?;
                2
            }
        },
        None => 2,
    };
    Ok(Destination::Vault {
        path,
        address: fields.text(reader, "vault_address")?,
        mount: fields.text(reader, "vault_kv_mount_name")?.unwrap_or_else(|| "secret/".into()),
        version: if version == 1 { 1 } else { 2 },
    })
}
