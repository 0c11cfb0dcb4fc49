//! The metadata of an encrypted file: its `sops` block.
//!
//! [`Metadata::read`] takes a block as the format cut it out, in whichever spelling SOPS or an
//! older release wrote it. A block is never written anew when it need not be: [`Metadata::update`]
//! changes the fields that an edit changes in the block's own text, so that fields that are not
//! known, their order and comments stay. [`Metadata::to_tree`] makes the tree of a new block, with
//! the fields sorted as SOPS 3.13 does.

mod fields;
mod flat;
mod rewrite;
mod write;

use crate::crypt::canonical;
use crate::format::MetadataLayout;
use crate::keys::{self, FieldValue, KINDS, KeyGroup, KeyKind, WrappedKey};
use crate::number;
use crate::selector::{BadPattern, Selector, SelectorError};
use crate::tree::{NodeId, Timestamp, Tree};

pub use write::{PatchError, set_layout};

/// The version of SOPS whose format is written, and which stands in new files.
pub const SOPS_VERSION: &str = "3.13.2";

/// The name of the block, and with `_` the start of its keys where they are flattened.
const BLOCK: &[u8] = b"sops";
const FLAT_START: &[u8] = b"sops_";

/// Our own field with the spellings that type and value cannot restore. SOPS ignores it, and drops
/// it when it writes the file.
pub const LAYOUT_FIELD: &str = "encfile_layout";

/// The fields that are neither keys nor rules and that have a meaning here.
const OTHER_FIELDS: &[&str] = &[
    "shamir_threshold",
    "key_groups",
    "lastmodified",
    "mac",
    "mac_only_encrypted",
    "version",
    LAYOUT_FIELD,
];

/// What a file says about how it is encrypted.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Who can decrypt it.
    pub groups: Vec<KeyGroup>,
    /// How many groups are needed; 0 if the file does not say.
    pub shamir_threshold: usize,
    /// Which leaves are encrypted; `None` if the file does not say, which means
    /// [`Selector::default`].
    pub selector: Option<Selector>,
    /// Whether only encrypted values are in the MAC.
    pub mac_only_encrypted: bool,
    /// The sealed MAC; `None` if the file has none.
    pub mac: Option<String>,
    /// The sealed layout; `None` if the file has none.
    pub layout: Option<String>,
    /// When the values were last changed.
    pub last_modified: Timestamp,
    /// The version of SOPS that wrote the file, as it says.
    pub version: String,
}

impl Metadata {
    /// Returns the metadata of a file that is yet to be encrypted.
    pub fn new(groups: Vec<KeyGroup>, now: Timestamp) -> Metadata {
        Metadata {
            groups,
            shamir_threshold: 0,
            selector: None,
            mac_only_encrypted: false,
            mac: None,
            layout: None,
            last_modified: now,
            version: SOPS_VERSION.to_owned(),
        }
    }

    /// Returns the metadata for a binary file with the same data key.
    pub fn for_binary(&self, now: Timestamp) -> Metadata {
        Metadata {
            shamir_threshold: self.shamir_threshold,
            ..Metadata::new(self.groups.clone(), now)
        }
    }

    /// Reads a block: a tree whose only entries are the metadata.
    ///
    /// # Errors
    /// If the block is not one of SOPS'.
    pub fn read(block: &Tree, layout: MetadataLayout) -> Result<Metadata, MetadataError> {
        let fields = match layout {
            MetadataLayout::Nested => fields::nested(block)?,
            MetadataLayout::Flat | MetadataLayout::Section => flat::read(block, layout)?,
        };
        from_fields(&fields)
    }

    /// Returns the rule that selects what is encrypted.
    pub fn selector(&self) -> Selector {
        self.selector.clone().unwrap_or_default()
    }

    /// Returns the time of the last change as it is additional data of the MAC: RFC 3339 without
    /// fraction.
    pub fn mac_path(&self) -> String {
        number::rfc3339_seconds(self.last_modified)
    }

    /// Returns all keys, group by group.
    pub fn keys(&self) -> impl Iterator<Item = &WrappedKey> {
        self.groups.iter().flat_map(|group| &group.keys)
    }
}

/// Returns the root entries of each document that are metadata.
pub fn nodes(tree: &Tree, layout: MetadataLayout) -> Vec<NodeId> {
    tree.documents()
        .flat_map(|root| tree.children(root))
        .filter(|&id| {
            tree.key(id).is_some_and(|key| match layout {
                MetadataLayout::Nested | MetadataLayout::Section => key == BLOCK,
                MetadataLayout::Flat => key.starts_with(FLAT_START),
            })
        })
        .collect()
}

type Fields = [(String, FieldValue)];

fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f FieldValue> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
}

fn text<'f>(fields: &'f Fields, name: &'static str) -> Result<Option<&'f str>, MetadataError> {
    match field(fields, name) {
        None | Some(FieldValue::Null) => Ok(None),
        Some(FieldValue::Text(text)) => Ok(Some(text)),
        Some(_) => Err(MetadataError::WrongType { field: name, expected: "a text" }),
    }
}

fn from_fields(fields: &Fields) -> Result<Metadata, MetadataError> {
    let last_modified =
        text(fields, "lastmodified")?.and_then(read_time).ok_or(MetadataError::LastModified)?;
    let threshold = match text(fields, "shamir_threshold")? {
        None | Some("") => 0,
        // Some releases wrote `2.000000` where the metadata is flattened.
        Some(text) => {
            let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
                if fraction.bytes().all(|digit| digit == b'0') { whole } else { text }
            });
            whole.parse().map_err(|_| MetadataError::WrongType {
                field: "shamir_threshold",
                expected: "a number of key groups",
            })?
        }
    };
    let mac_only_encrypted = match text(fields, "mac_only_encrypted")? {
        None | Some("") => false,
        Some(text) => canonical::read_boolean(text.as_bytes()).ok_or(MetadataError::WrongType {
            field: "mac_only_encrypted",
            expected: "`true` or `false`",
        })?,
    };
    let mut rules = Vec::new();
    for name in Selector::FIELDS {
        rules.push((name, text(fields, name)?.unwrap_or_default()));
    }
    Ok(Metadata {
        groups: groups(fields)?,
        shamir_threshold: threshold,
        selector: Selector::from_fields(rules, BadPattern::NeverMatches)?,
        mac_only_encrypted,
        mac: text(fields, "mac")?.filter(|mac| !mac.is_empty()).map(str::to_owned),
        layout: text(fields, LAYOUT_FIELD)?.filter(|text| !text.is_empty()).map(str::to_owned),
        last_modified,
        version: text(fields, "version")?.unwrap_or_default().to_owned(),
    })
}

/// Reads the time of the last change; old YAML files have it without quotes, where a blank may
/// stand for the `T`.
fn read_time(text: &str) -> Option<Timestamp> {
    canonical::read_time(text.trim().as_bytes())
}

/// Returns the key groups: the keys at the top, or else those of `key_groups`.
fn groups(fields: &Fields) -> Result<Vec<KeyGroup>, MetadataError> {
    let flat = group(fields)?;
    if !flat.keys.is_empty() {
        return Ok(vec![flat]);
    }
    let groups = match field(fields, "key_groups") {
        None | Some(FieldValue::Null) => Vec::new(),
        Some(FieldValue::List(groups)) => groups
            .iter()
            .map(|fields| match fields {
                FieldValue::Map(fields) => group(fields),
                _ => Err(MetadataError::WrongType { field: "key_groups", expected: "maps" }),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => {
            return Err(MetadataError::WrongType { field: "key_groups", expected: "a list" });
        }
    };
    if groups.iter().all(|group: &KeyGroup| group.keys.is_empty()) {
        return Err(MetadataError::NoKeys);
    }
    Ok(groups)
}

/// Reads the keys that stand in `fields`: first of the kinds that SOPS has, in its order, then of
/// any other that looks like one.
fn group(fields: &Fields) -> Result<KeyGroup, MetadataError> {
    let mut keys = Vec::new();
    let known = KINDS.iter().filter_map(|kind| Some((kind.name, field(fields, kind.name)?)));
    let others = fields.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let known = KeyKind::named(name).is_some()
            || OTHER_FIELDS.contains(&name)
            || Selector::FIELDS.contains(&name);
        (!known && is_key_list(value)).then_some((name, value))
    });
    for (kind, value) in known.chain(others) {
        match value {
            FieldValue::Null => {}
            FieldValue::List(entries) => {
                for entry in entries {
                    let FieldValue::Map(fields) = entry else {
                        return Err(MetadataError::KeyEntry { kind: kind.to_owned() });
                    };
                    keys.push(key(kind, fields)?);
                }
            }
            _ => return Err(MetadataError::KeyEntry { kind: kind.to_owned() }),
        }
    }
    Ok(KeyGroup { keys })
}

/// Returns whether a field that is not known holds keys: a list of maps with `enc`.
fn is_key_list(value: &FieldValue) -> bool {
    match value {
        FieldValue::List(entries) => !entries.is_empty()
            && entries.iter().all(
                |entry| matches!(entry, FieldValue::Map(fields) if field(fields, "enc").is_some()),
            ),
        _ => false,
    }
}

fn key(kind: &str, fields: &Fields) -> Result<WrappedKey, MetadataError> {
    let created_at = text(fields, "created_at")?.map(str::to_owned);
    // SOPS demands a time that it can read.
    if KeyKind::named(kind).is_some_and(|kind| kind.is_dated)
        && created_at.as_deref().is_none_or(|text| read_time(text).is_none())
    {
        return Err(MetadataError::CreatedAt { kind: kind.to_owned() });
    }
    let own =
        fields.iter().filter(|(name, _)| name != "enc" && name != "created_at").cloned().collect();
    Ok(WrappedKey {
        key: keys::from_fields(kind, own),
        wrapped: text(fields, "enc")?.map(str::to_owned),
        created_at,
    })
}

/// Why a block is not one of SOPS'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The entry called `sops` is not a map.
    #[error("the `sops` entry is not a map")]
    NotAMap,
    /// The same field twice.
    #[error("the field `{field}` stands in the `sops` block twice")]
    Duplicate {
        /// The field.
        field: String,
    },
    /// The block is nested deeper than any that SOPS writes.
    #[error("the `sops` block is nested too deep")]
    TooDeep,
    /// Flattened keys that contradict each other, or a list with holes.
    #[error("the flattened field `{field}` does not fit with the others")]
    Flattened {
        /// The flattened key.
        field: String,
    },
    /// A field of another type than it should be.
    #[error("the field `{field}` of the `sops` block is not {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// `lastmodified` is missing or no time.
    #[error("the field `lastmodified` of the `sops` block is not a time")]
    LastModified,
    /// `created_at` of a key is missing or no time.
    #[error("the field `created_at` of an entry under `{kind}` is not a time")]
    CreatedAt {
        /// The kind.
        kind: String,
    },
    /// A key that is not a map.
    #[error("an entry under `{kind}` of the `sops` block is not a map")]
    KeyEntry {
        /// The kind.
        kind: String,
    },
    /// There is nobody who could decrypt the file.
    #[error("No keys found in file")]
    NoKeys,
    /// Rules that exclude each other.
    #[error("cannot use more than one rule in the `sops` block: {0}")]
    Selector(#[from] SelectorError),
}

#[cfg(test)]
mod tests;
