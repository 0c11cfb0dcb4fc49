//! The keys that a rule names, in SOPS' order.

use std::collections::HashSet;

use super::error::ConfigError;
use super::raw::Raw;
use super::reader::{At, Field, Fields, Node, Reader};

/// The keys that a data key, or a share of it, is encrypted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGroupSpec {
    /// The keys, in the order in which SOPS writes them.
    pub keys: Vec<KeySpec>,
}

/// A key as a configuration names it. Nothing about it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// The kind: `age`, `pgp`, `kms`, `gcp_kms`, `hckms`, `azure_kv` or `hc_vault`.
    pub kind: &'static str,
    /// The key as the option for its kind takes it: an age recipient, `arn+role`, a URL.
    pub text: String,
    /// What the text does not hold, or holds in one piece: `arn`, `role`, `aws_profile` and
    /// `context.NAME` for `kms`; `vaultUrl`, `key` and `version` for `azure_kv`.
    pub fields: Vec<(String, String)>,
    /// What names the owner, as people write it: the comment behind the key, or on the line above;
    /// without one, that of the same text elsewhere, or the name of its anchor.
    pub comment: Option<String>,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
}

/// The fields of a rule that name keys, with the kinds of the keys, in SOPS' order.
pub(super) const FLAT: [(&str, &str); 7] = [
    ("age", "age"),
    ("pgp", "pgp"),
    ("kms", "kms"),
    ("gcp_kms", "gcp_kms"),
    ("hckms", "hckms"),
    ("azure_keyvault", "azure_kv"),
    ("hc_vault_transit_uri", "hc_vault"),
];

const GROUP_FIELDS: [&str; 8] =
    ["merge", "age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault"];

/// Reads the keys that stand in a rule without a group: texts with commas, or lists of texts.
pub(super) fn flat(reader: &Reader<'_>, rule: &Fields<'_>) -> Result<KeyGroupSpec, ConfigError> {
    let profile = rule.text(reader, "aws_profile")?;
    let mut group = KeyGroupSpec::default();
    for (name, kind) in FLAT {
        let Some(field) = rule.get(reader, name) else {
            continue;
        };
        let texts = match field.node.raw {
            Raw::List(_) => field.list(reader)?,
            // SOPS takes nothing but a list there.
            _ if kind == "hckms" => return Err(field.mismatch(reader, "a list of texts")),
            Raw::Text(_) => vec![field],
            _ => return Err(field.mismatch(reader, "a text or a list of texts")),
        };
        for text in texts {
            let first = group.keys.len();
            texts_of(reader, kind, text, &mut group.keys)?;
            if let (Some(profile), "kms") = (&profile, kind) {
                for key in &mut group.keys[first..] {
                    key.fields.push(("aws_profile".into(), profile.clone()));
                }
            }
        }
    }
    Ok(group)
}

/// Reads a key group. `merge` makes this recursive, as deep as the text may be nested (64).
pub(super) fn group(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    within: String,
) -> Result<KeyGroupSpec, ConfigError> {
    let fields = Fields::new(reader, node, within, &GROUP_FIELDS)?;
    let mut keys = Vec::new();
    if let Some(merge) = fields.get(reader, "merge") {
        for member in merge.list(reader)? {
            let within = format!("`merge` of {}", outermost(&fields.within));
            keys.extend(group(reader, member.node, within)?.keys);
        }
    }
    for (name, kind) in [("age", "age"), ("pgp", "pgp")] {
        texts(reader, &fields, name, kind, &mut keys)?;
    }
    for member in members(reader, &fields, "kms")? {
        keys.push(kms(reader, member)?);
    }
    for member in members(reader, &fields, "gcp_kms")? {
        let text = one_field(reader, member, "resource_id")?;
        keys.push(key(reader, member, "gcp_kms", without_blanks(&text)));
    }
    for member in members(reader, &fields, "hckms")? {
        let text = one_field(reader, member, "key_id")?;
        keys.push(key(reader, member, "hckms", text));
    }
    for member in members(reader, &fields, "azure_keyvault")? {
        keys.push(azure(reader, member)?);
    }
    texts(reader, &fields, "hc_vault", "hc_vault", &mut keys)?;

    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(identity(key)));
    Ok(KeyGroupSpec { keys })
}

/// Returns what a key group is in, without the `merge`s on the way.
fn outermost(within: &str) -> &str {
    within.strip_prefix("`merge` of ").unwrap_or(within)
}

/// Returns what makes two keys the same.
fn identity(key: &KeySpec) -> (&'static str, String, Vec<(String, String)>) {
    let mut fields = key.fields.clone();
    fields.sort();
    (key.kind, key.text.clone(), fields)
}

fn texts(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    kind: &'static str,
    keys: &mut Vec<KeySpec>,
) -> Result<(), ConfigError> {
    for member in members(reader, fields, name)? {
        texts_of(reader, kind, member, keys)?;
    }
    Ok(())
}

fn members<'f>(
    reader: &Reader<'_>,
    fields: &'f Fields<'_>,
    name: &'f str,
) -> Result<Vec<Field<'f>>, ConfigError> {
    fields.get(reader, name).map_or(Ok(Vec::new()), |field| field.list(reader))
}

/// Reads one or more keys from a text in which commas separate them.
fn texts_of(
    reader: &Reader<'_>,
    kind: &'static str,
    field: Field<'_>,
    keys: &mut Vec<KeySpec>,
) -> Result<(), ConfigError> {
    let Raw::Text(text) = field.node.raw else {
        return Err(field.mismatch(reader, "a list of texts"));
    };
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let plain = match kind {
            "pgp" | "kms" | "gcp_kms" => without_blanks(item),
            _ => item.to_owned(),
        };
        let mut key = key(reader, field, kind, plain);
        if item.len() < text.trim().len() {
            // One comment for several keys does not tell who owns which.
            key.comment = reader.comment(At::default(), item);
        }
        keys.push(key);
    }
    Ok(())
}

fn key(reader: &Reader<'_>, field: Field<'_>, kind: &'static str, text: String) -> KeySpec {
    KeySpec {
        kind,
        comment: reader.comment(field.node.at, &text),
        text,
        fields: Vec::new(),
        line: reader.line(field.node.at),
    }
}

fn without_blanks(text: &str) -> String {
    text.replace(' ', "")
}

/// Reads a map of which one field is the key.
fn one_field(
    reader: &mut Reader<'_>,
    member: Field<'_>,
    name: &'static str,
) -> Result<String, ConfigError> {
    let fields = key_fields(reader, member, &[name])?;
    fields.required(reader, name)
}

fn key_fields<'f>(
    reader: &mut Reader<'_>,
    member: Field<'f>,
    known: &[&'static str],
) -> Result<Fields<'f>, ConfigError> {
    let within = format!("`{}` of {}", member.name, member.within);
    Fields::new(reader, member.node, within, known)
}

fn kms(reader: &mut Reader<'_>, member: Field<'_>) -> Result<KeySpec, ConfigError> {
    let fields = key_fields(reader, member, &["arn", "role", "context", "aws_profile"])?;
    let arn = without_blanks(&fields.required(reader, "arn")?);
    let role = fields.text(reader, "role")?.map(|role| without_blanks(&role));
    let profile = fields.text(reader, "aws_profile")?;
    let mut parts = vec![("arn".to_owned(), arn.clone())];
    let mut text = arn;
    if let Some(role) = role {
        text.push('+');
        text.push_str(&role);
        parts.push(("role".into(), role));
    }
    if let Some(context) = fields.get(reader, "context") {
        let within = format!("`context` of {}", fields.within);
        let context = Fields::open(reader, context.node, within)?;
        for entry in context.all(&reader.outline) {
            parts.push((format!("context.{}", entry.name), entry.text(reader)?));
        }
    }
    if let Some(profile) = profile {
        parts.push(("aws_profile".into(), profile));
    }
    let mut key = key(reader, member, "kms", text);
    key.fields = parts;
    Ok(key)
}

fn azure(reader: &mut Reader<'_>, member: Field<'_>) -> Result<KeySpec, ConfigError> {
    let fields = key_fields(reader, member, &["vaultUrl", "key", "version"])?;
    let vault = fields.required(reader, "vaultUrl")?;
    let name = fields.required(reader, "key")?;
    let version = fields.text(reader, "version")?;
    let mut text = format!("{}/keys/{name}", vault.trim_end_matches('/'));
    let mut parts = vec![("vaultUrl".to_owned(), vault), ("key".to_owned(), name)];
    if let Some(version) = version {
        text.push('/');
        text.push_str(&version);
        parts.push(("version".into(), version));
    }
    let mut key = key(reader, member, "azure_kv", text);
    key.fields = parts;
    Ok(key)
}
