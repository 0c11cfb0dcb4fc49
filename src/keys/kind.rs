//! The table of key kinds: all that the rest of the program knows of a kind.
//!
//! Flags, environment variables, the fields of a config and of the metadata, the decryption order
//! and the report of a failure follow from an entry here; nothing else names a kind.

use std::sync::Arc;

use super::{Credentials, FieldValue, Fields, KeyError, MasterKey, age, foreign, pgp};

/// All kinds of master keys, in the order in which SOPS reads them from metadata.
pub static KINDS: &[&KeyKind] = &[
    &foreign::AWS_KMS,
    &foreign::GCP_KMS,
    &foreign::HCKMS,
    &foreign::AZURE_KV,
    &foreign::HC_VAULT,
    &pgp::KIND,
    &age::KIND,
];

/// The kinds that SOPS tries first where no order is given.
pub const DEFAULT_DECRYPTION_ORDER: &[&str] = &["age", "pgp"];

/// A kind of master key.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of a table, whose columns are independent"
)]
pub struct KeyKind {
    /// The field in the metadata, and the word in `--decryption-order`.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The flag that names keys of the kind.
    pub flag: KeyFlag,
    /// The environment variable that stands in for the flag.
    pub env: &'static str,
    /// What a flag or a rule can say about keys of the kind besides their texts.
    pub options: &'static [KeyOption],
    /// How a config names keys of the kind.
    pub config: ConfigNames,
    /// Whether wrapping and unwrapping ask a service over the network.
    pub is_remote: bool,
    /// Whether the text of a key may leave out a version at its end: it ends in a slash then, and
    /// stands for each version of the key.
    pub has_versions: bool,
    /// Whether entries say when the key was added: all of SOPS' kinds but age.
    pub is_dated: bool,
    /// Whether SOPS writes the field into each key group, also an empty one.
    pub is_in_every_group: bool,
    /// Whether blanks in the text of a key mean nothing.
    pub ignores_blanks: bool,
    /// How keys of the kind are made and used; `None` if that is not built into this version.
    pub code: Option<KeyCode>,
}

/// A flag that takes keys, separated by commas.
#[derive(Debug)]
pub struct KeyFlag {
    /// The name without `--`; `add-` and `rm-` stand in front of it where keys are changed.
    pub long: &'static str,
    /// The letter.
    pub short: Option<char>,
    /// What one calls the value in the help: `RECIPIENTS`.
    pub value: &'static str,
    /// What the keys are called in the help: `age recipients`.
    pub keys: &'static str,
}

/// Something that a flag, or a field of a rule, says about all keys of a kind that it names.
#[derive(Debug)]
pub struct KeyOption {
    /// The flag without `--`.
    pub long: &'static str,
    /// What one calls the value in the help.
    pub value: &'static str,
    /// What it is, for the help.
    pub help: &'static str,
    /// The field of the key's entry in the metadata, and of a rule if it may stand there.
    pub field: &'static str,
    /// Whether a rule may have the field, for the keys beside it.
    pub is_rule_field: bool,
    /// Reads the value of the flag.
    pub read: fn(&str) -> Result<FieldValue, KeyError>,
}

/// How a config names keys of a kind.
#[derive(Debug)]
pub struct ConfigNames {
    /// The field of a creation rule.
    pub rule: &'static str,
    /// Whether the field of a rule must be a list; else a text with commas will do.
    pub rule_takes_list_only: bool,
    /// The field of a key group, a list.
    pub group: &'static str,
    /// What a member of that list is.
    pub member: Member,
}

/// A member of the list of keys in a key group.
#[derive(Debug)]
pub enum Member {
    /// The text of a key, or of several with commas.
    Text,
    /// A map with these fields.
    Map(&'static [MemberField]),
}

/// A field of a key in a key group.
#[derive(Debug)]
pub enum MemberField {
    /// A part of the text that the flag takes for the key.
    Part {
        /// The field.
        name: &'static str,
        /// What stands in front of it in the text.
        behind: &'static str,
        /// Whether the field must be there.
        is_required: bool,
    },
    /// A text that goes into the field of the same name of the key's entry.
    Text(&'static str),
    /// A map of texts that goes into the field of the same name of the key's entry.
    Map(&'static str),
}

impl MemberField {
    /// Returns the name of the field.
    pub fn name(&self) -> &'static str {
        match self {
            MemberField::Part { name, .. } | MemberField::Text(name) | MemberField::Map(name) => {
                name
            }
        }
    }
}

/// Who names a key. A file can be written by anybody: what it names is no reason to start a program
/// or to call a server that nobody else has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The user, by a flag, or by the config for the file.
    User,
    /// The metadata of a file.
    File,
}

/// How keys of a kind are made and used.
#[derive(Debug)]
pub struct KeyCode {
    /// Takes the text of a flag or a config apart into the fields of an entry.
    pub split: fn(&str) -> Result<Fields, KeyError>,
    /// Makes a key from the fields of an entry, whatever they hold: what is wrong with them is the
    /// answer of [`MasterKey::check`].
    pub from_fields: fn(Fields, NamedBy) -> Arc<dyn MasterKey>,
    /// Returns what the kind's credentials were looked for in and what became of that, a line each.
    pub looked_in: fn(&Credentials) -> Vec<String>,
    /// What to do where keys of the kind did not unwrap.
    pub advice: &'static str,
}

impl KeyKind {
    /// Returns the kind called `name` in the metadata.
    pub fn named(name: &str) -> Option<&'static KeyKind> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// Returns all kinds in the order of SOPS' configs and of this program's help: the local ones
    /// first, which stand last in the metadata.
    pub fn in_config_order() -> impl Iterator<Item = &'static KeyKind> {
        let all = KINDS.iter().copied();
        let local = all.clone().rev().filter(|kind| !kind.is_remote);
        local.chain(all.filter(|kind| kind.is_remote))
    }

    /// Returns the code of the kind.
    ///
    /// # Errors
    /// If it is not built in.
    pub fn code(&self) -> Result<&KeyCode, KeyError> {
        self.code.as_ref().ok_or_else(|| KeyError::KindNotBuilt { title: self.title.to_owned() })
    }

    /// Returns the text of a key as it is compared and stored.
    pub fn clean(&self, text: &str) -> String {
        let text = text.trim();
        if self.ignores_blanks { text.replace(' ', "") } else { text.to_owned() }
    }
}

/// Returns whether two texts name the same key of a kind, so that a rule with the one is met by a file
/// with the other.
pub fn is_same_key(kind: &str, one: &str, other: &str) -> bool {
    let covers = |all: &str, version: &str| {
        all.ends_with('/') && version.strip_prefix(all).is_some_and(|rest| !rest.contains('/'))
    };
    let has_versions = || KeyKind::named(kind).is_some_and(|kind| kind.has_versions);
    one == other || (has_versions() && (covers(one, other) || covers(other, one)))
}

impl PartialEq for KeyKind {
    fn eq(&self, other: &KeyKind) -> bool {
        self.name == other.name
    }
}

impl Eq for KeyKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_order_has_the_local_kinds_as_a_config_has_them() {
        let local: Vec<&str> = KeyKind::in_config_order()
            .filter(|kind| !kind.is_remote)
            .map(|kind| kind.name)
            .collect();
        assert_eq!(local, DEFAULT_DECRYPTION_ORDER);
    }

    #[test]
    fn kinds_stand_in_configs_in_the_order_of_sops() {
        let names: Vec<&str> = KeyKind::in_config_order().map(|kind| kind.config.rule).collect();
        let sops =
            ["age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri"];
        assert_eq!(names, sops);
    }

    #[test]
    fn a_key_without_a_version_is_each_of_its_versions() {
        let (any, first, second) =
            ("https://v/keys/k/", "https://v/keys/k/1", "https://v/keys/k/2");
        assert!(is_same_key("azure_kv", any, first));
        assert!(is_same_key("azure_kv", second, any));
        assert!(!is_same_key("azure_kv", first, second));
        assert!(!is_same_key("azure_kv", any, "https://v/keys/kk/1"));
        assert!(!is_same_key("azure_kv", "https://v/", first));
        assert!(!is_same_key("hc_vault", any, first));
    }

    #[test]
    fn no_two_kinds_share_a_name() {
        for name in
            [|kind: &KeyKind| kind.name, |kind: &KeyKind| kind.flag.long, |kind: &KeyKind| kind.env]
        {
            let mut names: Vec<&str> = KINDS.iter().map(|kind| name(kind)).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), KINDS.len());
        }
    }
}
