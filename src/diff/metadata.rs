//! The differences between the metadata of two files: who can decrypt, and what is encrypted.

use crate::metadata::Metadata;
use crate::policy::{Policy, Recipient, group_changes};
use crate::selector::Selector;

/// A difference between the metadata of two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataChange {
    /// The file was not encrypted and is.
    Encrypted,
    /// The file was encrypted and is not any more.
    Decrypted,
    /// Somebody can decrypt it who could not: the number of the key group, from 0, and who.
    RecipientAdded(usize, Recipient),
    /// Somebody cannot decrypt it any more.
    RecipientRemoved(usize, Recipient),
    /// How many groups are needed, before and after.
    Threshold(usize, usize),
    /// Which values are encrypted, before and after.
    Rule(String, String),
    /// Whether only encrypted values are in the MAC now.
    MacOnlyEncrypted(bool),
}

/// Compares what two files say about their encryption; `None` for one that is not encrypted.
pub fn metadata_changes(old: Option<&Metadata>, new: Option<&Metadata>) -> Vec<MetadataChange> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return vec![MetadataChange::Decrypted],
        (None, Some(_)) => return vec![MetadataChange::Encrypted],
        (None, None) => return Vec::new(),
    };
    let (before, after) = (Policy::of_file(old), Policy::of_file(new));
    let mut changes = Vec::new();
    for (number, group) in group_changes(&old.groups, &after).into_iter().enumerate() {
        let removed = group.removed.into_iter();
        changes.extend(removed.map(|who| MetadataChange::RecipientRemoved(number, who)));
        let added = group.added.into_iter();
        changes.extend(added.map(|who| MetadataChange::RecipientAdded(number, who)));
    }
    if before.needed != after.needed {
        changes.push(MetadataChange::Threshold(before.needed, after.needed));
    }
    if before.selector != after.selector {
        changes.push(MetadataChange::Rule(rule(&before.selector), rule(&after.selector)));
    }
    if before.mac_only_encrypted != after.mac_only_encrypted {
        changes.push(MetadataChange::MacOnlyEncrypted(after.mac_only_encrypted));
    }
    changes
}

fn rule(selector: &Selector) -> String {
    let (field, value) = selector.field();
    format!("{field}: {value}")
}
