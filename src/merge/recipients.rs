//! Who can read a merged file, and with which data key.

use crate::keys::{KeyGroup, WrappedKey};
use crate::metadata::Metadata;

/// Who can read a merged file.
#[derive(Clone, Debug)]
pub struct Recipients {
    /// The groups. A key without a wrapped data key has yet to wrap it.
    pub groups: Vec<KeyGroup>,
    /// The threshold.
    pub threshold: usize,
    /// Whether the data key is that of their side.
    pub data_key_is_theirs: bool,
    /// Whether the rule that says what is encrypted is that of their side.
    pub rule_is_theirs: bool,
}

/// Recipients that cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientsError {
    /// Both sides changed the groups.
    #[error("both sides changed the key groups")]
    Groups,
    /// Both sides changed the threshold.
    #[error("both sides changed the threshold of the key groups")]
    Threshold,
    /// Both sides changed the rule.
    #[error("both sides changed which values are encrypted")]
    Rule,
    /// Nobody is left.
    #[error("nobody could read the merged file")]
    Nobody,
}

/// Merges recipients as sets: who was added on a side is there, who was removed on a side is not.
///
/// `base` is `None` if both sides added the file: everybody that is on a side is there then.
/// `data_keys` are those of base, ours and theirs. A side that has another than the base has rotated
/// it: its key is taken, since the other may be known to who must not read any more.
///
/// # Errors
/// If both sides changed the groups as such, the threshold or the rule, and differently.
pub fn recipients(
    base: Option<&Metadata>,
    [ours, theirs]: [&Metadata; 2],
    data_keys: [Option<&[u8]>; 3],
) -> Result<Recipients, RecipientsError> {
    let none;
    let base = if let Some(base) = base {
        base
    } else {
        let groups = ours.groups.iter().map(|_| KeyGroup::default()).collect();
        none = Metadata { groups, ..ours.clone() };
        &none
    };
    let threshold =
        three_way(&base.shamir_threshold, ours.shamir_threshold, theirs.shamir_threshold)
            .ok_or(RecipientsError::Threshold)?;
    let rule = |metadata: &Metadata| {
        let selector = metadata.selector();
        let (field, value) = selector.field();
        (field, value.to_owned(), metadata.mac_only_encrypted)
    };
    let merged = three_way(&rule(base), rule(ours), rule(theirs)).ok_or(RecipientsError::Rule)?;
    let rule_is_theirs = merged != rule(ours);
    let same_key = data_keys[1] == data_keys[2];
    let data_key_is_theirs = !same_key && data_keys[1] == data_keys[0];
    let counts = [base, ours, theirs].map(|metadata| metadata.groups.len());
    let groups = if counts[0] == counts[1] && counts[1] == counts[2] {
        let groups = base.groups.iter().zip(&ours.groups).zip(&theirs.groups);
        groups.map(|((base, ours), theirs)| group(base, ours, theirs)).collect()
    } else if names(ours) == names(base) {
        theirs.groups.clone()
    } else if names(theirs) == names(base) || names(theirs) == names(ours) {
        ours.groups.clone()
    } else {
        return Err(RecipientsError::Groups);
    };
    let mut groups: Vec<KeyGroup> = groups;
    if groups.is_empty() || groups.iter().any(|group| group.keys.is_empty()) {
        return Err(RecipientsError::Nobody);
    }
    // What was wrapped is of use only if it is the chosen data key. Parts of one that is split
    // belong together: all are made anew if any is.
    let chosen = if data_key_is_theirs { theirs } else { ours };
    let single = groups.len() == 1;
    let mut missing = false;
    for (at, group) in groups.iter_mut().enumerate() {
        for key in &mut group.keys {
            let own = chosen.groups.get(at).and_then(|group| find(group, key));
            let wrapped = match own {
                Some(own) => Some(own),
                None if same_key && single => Some(&*key),
                None => None,
            };
            let wrapped = wrapped.map(|key| (key.wrapped.clone(), key.created_at.clone()));
            (key.wrapped, key.created_at) = wrapped.unwrap_or_default();
            missing |= key.wrapped.is_none();
        }
    }
    if missing && !single {
        for key in groups.iter_mut().flat_map(|group| &mut group.keys) {
            (key.wrapped, key.created_at) = (None, None);
        }
    }
    Ok(Recipients { groups, threshold, data_key_is_theirs, rule_is_theirs })
}

/// Merges a value of which one side has another.
fn three_way<T: PartialEq>(base: &T, ours: T, theirs: T) -> Option<T> {
    match () {
        () if ours == theirs || theirs == *base => Some(ours),
        () if ours == *base => Some(theirs),
        () => None,
    }
}

fn group(base: &KeyGroup, ours: &KeyGroup, theirs: &KeyGroup) -> KeyGroup {
    let kept =
        ours.keys.iter().filter(|key| find(theirs, key).is_some() || find(base, key).is_none());
    let added =
        theirs.keys.iter().filter(|key| find(ours, key).is_none() && find(base, key).is_none());
    KeyGroup { keys: kept.chain(added).cloned().collect() }
}

fn find<'g>(group: &'g KeyGroup, wanted: &WrappedKey) -> Option<&'g WrappedKey> {
    let name = |key: &WrappedKey| (key.key.kind().to_owned(), key.key.identity().to_owned());
    let wanted = name(wanted);
    group.keys.iter().find(|key| name(key) == wanted)
}

/// Returns the groups by what they name.
fn names(metadata: &Metadata) -> Vec<Vec<(&str, &str)>> {
    metadata
        .groups
        .iter()
        .map(|group| group.keys.iter().map(|key| (key.key.kind(), key.key.identity())).collect())
        .collect()
}
