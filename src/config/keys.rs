//! The keys that a rule names, in SOPS' order.

use std::collections::HashSet;

use super::error::ConfigError;
use super::raw::Raw;
use super::reader::{At, Field, Fields, Node, Reader};
use crate::keys::{self, FieldValue, KINDS, KeyKind, KeyOption, Member, MemberField};

/// The keys that a data key, or a share of it, is encrypted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGroupSpec {
    /// The keys, in the order in which SOPS writes them.
    pub keys: Vec<KeySpec>,
}

/// A key as a configuration names it. Nothing about it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// The kind.
    pub kind: &'static KeyKind,
    /// The key as the flag for its kind takes it: an age recipient, `arn+role`, a URL.
    pub text: String,
    /// What the text does not hold, as fields of the key's entry in the metadata.
    pub options: keys::Fields,
    /// What names the owner, as people write it: the comment behind the key, or on the line above;
    /// without one, that of the same text elsewhere, or the name of its anchor.
    pub comment: Option<String>,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
}

/// Returns the fields of a rule that are about keys.
pub(super) fn rule_fields() -> impl Iterator<Item = &'static str> {
    let options = KINDS.iter().flat_map(|kind| kind.options.iter().filter(|o| o.is_rule_field));
    flat_fields().chain(options.map(|option| option.field))
}

/// Returns the fields of a rule that name keys.
pub(super) fn flat_fields() -> impl Iterator<Item = &'static str> {
    KeyKind::in_config_order().map(|kind| kind.config.rule)
}

/// Reads the keys that stand in a rule without a group: texts with commas, or lists of texts.
pub(super) fn flat(reader: &Reader<'_>, rule: &Fields<'_>) -> Result<KeyGroupSpec, ConfigError> {
    let mut group = KeyGroupSpec::default();
    for kind in KeyKind::in_config_order() {
        let options = rule_options(reader, rule, kind.options)?;
        let Some(field) = rule.get(reader, kind.config.rule) else {
            continue;
        };
        let texts = match field.node.raw {
            Raw::List(_) => field.list(reader)?,
            _ if kind.config.rule_takes_list_only => {
                return Err(field.mismatch(reader, "a list of texts"));
            }
            Raw::Text(_) => vec![field],
            _ => return Err(field.mismatch(reader, "a text or a list of texts")),
        };
        let first = group.keys.len();
        for text in texts {
            texts_of(reader, kind, text, &mut group.keys)?;
        }
        for key in &mut group.keys[first..] {
            key.options.clone_from(&options);
        }
    }
    Ok(group)
}

/// Returns what a rule says about all keys of a kind.
fn rule_options(
    reader: &Reader<'_>,
    rule: &Fields<'_>,
    options: &[KeyOption],
) -> Result<keys::Fields, ConfigError> {
    let mut found = Vec::new();
    for option in options.iter().filter(|option| option.is_rule_field) {
        if let Some(text) = rule.text(reader, option.field)? {
            found.push((option.field.to_owned(), FieldValue::Text(text)));
        }
    }
    Ok(found)
}

/// Reads a key group. `merge` makes this recursive, as deep as the text may be nested (64).
pub(super) fn group(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    within: String,
) -> Result<KeyGroupSpec, ConfigError> {
    let known: Vec<&str> =
        KeyKind::in_config_order().map(|kind| kind.config.group).chain(["merge"]).collect();
    let fields = Fields::new(reader, node, within, &known)?;
    let mut keys = Vec::new();
    if let Some(merge) = fields.get(reader, "merge") {
        for member in merge.list(reader)? {
            let within = format!("`merge` of {}", outermost(&fields.within));
            keys.extend(group(reader, member.node, within)?.keys);
        }
    }
    for kind in KeyKind::in_config_order() {
        let Some(field) = fields.get(reader, kind.config.group) else {
            continue;
        };
        for member in field.list(reader)? {
            match kind.config.member {
                Member::Text => texts_of(reader, kind, member, &mut keys)?,
                Member::Map(parts) => keys.push(key_of_map(reader, kind, member, parts)?),
            }
        }
    }

    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(identity(key)));
    Ok(KeyGroupSpec { keys })
}

/// Returns what a key group is in, without the `merge`s on the way.
fn outermost(within: &str) -> &str {
    within.strip_prefix("`merge` of ").unwrap_or(within)
}

/// Returns what makes two keys the same.
fn identity(key: &KeySpec) -> (&'static str, String, keys::Fields) {
    let mut options = key.options.clone();
    options.sort_by(|(a, _), (b, _)| a.cmp(b));
    (key.kind.name, key.text.clone(), options)
}

/// Reads one or more keys from a text in which commas separate them.
fn texts_of(
    reader: &Reader<'_>,
    kind: &'static KeyKind,
    field: Field<'_>,
    keys: &mut Vec<KeySpec>,
) -> Result<(), ConfigError> {
    let Raw::Text(text) = field.node.raw else {
        return Err(field.mismatch(reader, "a list of texts"));
    };
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let mut key = key(reader, field, kind, kind.clean(item));
        if item.len() < text.trim().len() {
            // One comment for several keys does not tell who owns which.
            key.comment = reader.comment(At::default(), item);
        }
        keys.push(key);
    }
    Ok(())
}

/// Reads a key that is a map.
fn key_of_map(
    reader: &mut Reader<'_>,
    kind: &'static KeyKind,
    member: Field<'_>,
    parts: &[MemberField],
) -> Result<KeySpec, ConfigError> {
    let known: Vec<&str> = parts.iter().map(MemberField::name).collect();
    let within = format!("`{}` of {}", member.name, member.within);
    let fields = Fields::new(reader, member.node, within, &known)?;
    let mut text = String::new();
    let mut options = Vec::new();
    for part in parts {
        match part {
            MemberField::Part { name, behind, is_required } => {
                let part = if *is_required {
                    Some(fields.required(reader, name)?)
                } else {
                    fields.text(reader, name)?
                };
                let Some(part) = part else { continue };
                if behind.starts_with('/') {
                    text.truncate(text.trim_end_matches('/').len());
                }
                text.push_str(behind);
                text.push_str(&kind.clean(&part));
            }
            MemberField::Text(name) => {
                if let Some(text) = fields.text(reader, name)? {
                    options.push(((*name).to_owned(), FieldValue::Text(text)));
                }
            }
            MemberField::Map(name) => {
                if let Some(map) = fields.get(reader, name) {
                    let within = format!("`{name}` of {}", fields.within);
                    let map = Fields::open(reader, map.node, within)?;
                    let entries = map.all(&reader.outline).map(|entry| {
                        Ok((entry.name.to_owned(), FieldValue::Text(entry.text(reader)?)))
                    });
                    let entries = entries.collect::<Result<_, ConfigError>>()?;
                    options.push(((*name).to_owned(), FieldValue::Map(entries)));
                }
            }
        }
    }
    let mut key = key(reader, member, kind, text);
    key.options = options;
    Ok(key)
}

fn key(reader: &Reader<'_>, field: Field<'_>, kind: &'static KeyKind, text: String) -> KeySpec {
    KeySpec {
        kind,
        comment: reader.comment(field.node.at, &text),
        text,
        options: Vec::new(),
        line: reader.line(field.node.at),
    }
}
