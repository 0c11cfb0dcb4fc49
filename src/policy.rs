//! What a file says about its encryption, against what its creation rule asks for.
//!
//! The metadata of a file is not authenticated: whoever can write to the repository can put a
//! recipient of their own into it, lower the threshold, or take another selector, and gets what is
//! encrypted anew by it. What the rule does not have is found here; what to do about it, and where
//! the rule comes from, is not known here.

use crate::config::{CreationRule, KeySpec};
use crate::keys::{self, KeyGroup, MasterKey};
use crate::metadata::Metadata;
use crate::selector::Selector;

/// What a creation rule asks for.
///
/// ```
/// use encfile::config::{Config, Strictness};
/// use encfile::policy::Policy;
///
/// let text = b"creation_rules:\n  - pgp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4\n";
/// let (config, _) = Config::parse(text, ".sops.yaml", Strictness::Strict).unwrap();
/// let policy = Policy::of(config.rule_for("db.yaml").unwrap());
/// assert_eq!(policy.groups[0][0].kind, "pgp");
/// assert_eq!(policy.needed, 1);
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    /// The recipients of each key group.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed to decrypt.
    pub needed: usize,
    /// Which values are encrypted.
    pub selector: Selector,
    /// Whether only encrypted values are in the MAC.
    pub mac_only_encrypted: bool,
}

impl Policy {
    /// Returns what a rule asks for.
    pub fn of(rule: &CreationRule) -> Policy {
        let groups: Vec<Vec<Recipient>> = rule
            .groups
            .iter()
            .map(|group| group.keys.iter().map(Recipient::of_rule).collect())
            .collect();
        let threshold = rule.shamir_threshold.map_or(0, |threshold| threshold as usize);
        Policy {
            needed: keys::needed_groups(groups.len(), threshold),
            groups,
            selector: rule.selector.clone().unwrap_or_default(),
            mac_only_encrypted: rule.mac_only_encrypted,
        }
    }

    /// Returns what a file says of itself, to compare another with it.
    pub fn of_file(file: &Metadata) -> Policy {
        let recipients =
            |group: &KeyGroup| group.keys.iter().map(|key| Recipient::of_key(&*key.key)).collect();
        Policy {
            groups: file.groups.iter().map(recipients).collect(),
            needed: keys::needed_groups(file.groups.len(), file.shamir_threshold),
            selector: file.selector(),
            mac_only_encrypted: file.mac_only_encrypted,
        }
    }
}

/// Somebody who can decrypt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// The kind of the key.
    pub kind: String,
    /// The key.
    pub identity: String,
}

impl Recipient {
    /// Returns the recipient that a rule names. A key that cannot be made is its own text.
    pub fn of_rule(spec: &KeySpec) -> Recipient {
        let identity = match keys::parse(spec.kind, &spec.text, &spec.options) {
            Ok(key) => key.identity().to_owned(),
            Err(_) => spec.text.trim().to_owned(),
        };
        Recipient { kind: spec.kind.name.to_owned(), identity }
    }

    /// Returns the recipient that a key in a file is.
    pub fn of_key(key: &dyn MasterKey) -> Recipient {
        let (kind, identity) = (key.kind().to_owned(), key.identity().to_owned());
        Recipient { kind, identity }
    }

    /// Returns whether it is this key.
    pub fn is(&self, kind: &str, identity: &str) -> bool {
        self.kind == kind && keys::is_same_key(kind, &self.identity, identity)
    }

    fn is_in(&self, group: &[Recipient]) -> bool {
        group.iter().any(|other| other.is(&self.kind, &self.identity))
    }
}

/// What a key group would become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChanges {
    /// Recipients that stay, in the order of the rule.
    pub kept: Vec<Recipient>,
    /// Recipients that the rule has and the file does not, in the order of the rule.
    pub added: Vec<Recipient>,
    /// Recipients that the file has and the rule does not, in the order of the file.
    pub removed: Vec<Recipient>,
}

/// Returns what becomes of each group when a file gets the groups of a policy, place by place.
pub fn group_changes(file: &[KeyGroup], policy: &Policy) -> Vec<GroupChanges> {
    let count = file.len().max(policy.groups.len());
    (0..count)
        .map(|number| {
            let keys = file.get(number).map(|group| &group.keys[..]).unwrap_or_default();
            let has: Vec<Recipient> = keys.iter().map(|key| Recipient::of_key(&*key.key)).collect();
            let wants = policy.groups.get(number).map(Vec::as_slice).unwrap_or_default();
            let (kept, added) = wants.iter().cloned().partition(|recipient| recipient.is_in(&has));
            let removed = has.into_iter().filter(|recipient| !recipient.is_in(wants)).collect();
            GroupChanges { kept, added, removed }
        })
        .collect()
}

/// In what a file is weaker than its creation rule. That the rule has more recipients is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weaknesses {
    /// Recipients that the rule does not have, or not in that group: the number of the file's
    /// group, from 0, with each.
    pub strangers: Vec<(usize, Recipient)>,
    /// The file needs fewer groups than the rule: how many, and how many the rule needs.
    pub threshold: Option<(usize, usize)>,
    /// The MAC is over encrypted values only, and by the rule over all.
    pub mac_only_encrypted: bool,
    /// The file selects by another selector: its own, and that of the rule. Whether it covers less
    /// depends on the values.
    pub selector: Option<(Selector, Selector)>,
}

/// Compares a file with its creation rule. A file `without_selector` is encrypted as a whole.
///
/// Groups are compared place by place. A rule with a single group gives each of its recipients all
/// of the data key, so that they may be in any group of the file.
pub fn weaknesses(file: &Metadata, policy: &Policy, without_selector: bool) -> Weaknesses {
    let mut strangers = Vec::new();
    let names_keys = policy.groups.iter().any(|group| !group.is_empty());
    for (number, group) in file.groups.iter().enumerate().filter(|_| names_keys) {
        let allowed = match &policy.groups[..] {
            [only] => only,
            groups => groups.get(number).map(Vec::as_slice).unwrap_or_default(),
        };
        let recipients = group.keys.iter().map(|key| Recipient::of_key(&*key.key));
        strangers.extend(
            recipients
                .filter(|recipient| !recipient.is_in(allowed))
                .map(|recipient| (number, recipient)),
        );
    }
    let needed = keys::needed_groups(file.groups.len(), file.shamir_threshold);
    let (ours, theirs) = (file.selector(), &policy.selector);
    Weaknesses {
        strangers,
        threshold: (needed < policy.needed).then_some((needed, policy.needed)),
        mac_only_encrypted: file.mac_only_encrypted
            && !policy.mac_only_encrypted
            && !without_selector,
        selector: (!without_selector && ours != *theirs).then(|| (ours, theirs.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Strictness};
    use crate::keys::{FieldValue, WrappedKey};
    use crate::tree::Timestamp;

    fn policy(rule: &str) -> Policy {
        let text = format!("creation_rules:\n  - {}\n", rule.replace('\n', "\n    "));
        let (config, _) = Config::parse(text.as_bytes(), "c", Strictness::Strict).unwrap();
        Policy::of(config.rule_for("f").unwrap())
    }

    fn file(groups: &[&[&str]], threshold: usize) -> Metadata {
        let key = |recipient: &&str| {
            let fields = vec![("recipient".to_owned(), FieldValue::Text((*recipient).to_owned()))];
            WrappedKey::new(keys::from_fields("age", fields), Timestamp::UNIX_EPOCH)
        };
        let groups =
            groups.iter().map(|keys| KeyGroup { keys: keys.iter().map(key).collect() }).collect();
        let mut metadata = Metadata::new(groups, Timestamp::UNIX_EPOCH);
        metadata.shamir_threshold = threshold;
        metadata
    }

    fn strangers(file: &Metadata, policy: &Policy) -> Vec<(usize, String)> {
        let found = weaknesses(file, policy, false).strangers;
        found.into_iter().map(|(number, recipient)| (number, recipient.identity)).collect()
    }

    #[test]
    fn a_recipient_that_the_rule_does_not_have_is_a_stranger() {
        let policy = policy("age: a,b # us");
        assert_eq!(weaknesses(&file(&[&["b", "a"]], 0), &policy, false), Weaknesses::default());
        assert_eq!(weaknesses(&file(&[&["a"]], 0), &policy, false), Weaknesses::default());
        assert_eq!(strangers(&file(&[&["a", "x", "b"]], 0), &policy), [(0, "x".to_owned())]);
        // Any recipient of the rule may decrypt alone: more groups only make it harder.
        assert_eq!(strangers(&file(&[&["b"], &["a", "x"]], 2), &policy), [(1, "x".to_owned())]);
    }

    #[test]
    fn a_recipient_in_another_group_is_a_stranger_there() {
        let policy = policy("key_groups:\n- age: [a]\n- age: [b]");
        assert_eq!(strangers(&file(&[&["a"], &["b"]], 2), &policy), []);
        assert_eq!(
            strangers(&file(&[&["a"], &["b", "a"], &["a"]], 2), &policy),
            [(1, "a".to_owned()), (2, "a".to_owned())]
        );
    }

    #[test]
    fn fewer_groups_than_the_rule_needs_are_a_weakness() {
        let all = policy("key_groups:\n- age: [a]\n- age: [b]\n- age: [c]");
        let two = policy("shamir_threshold: 2\nkey_groups:\n- age: [a]\n- age: [b]\n- age: [c]");
        let groups: &[&[&str]] = &[&["a"], &["b"], &["c"]];
        let threshold = |file, policy| weaknesses(&file, policy, false).threshold;
        assert_eq!(threshold(file(groups, 2), &all), Some((2, 3)));
        assert_eq!(threshold(file(groups, 0), &all), None);
        assert_eq!(threshold(file(groups, 2), &two), None);
        assert_eq!(threshold(file(&[&["a"]], 0), &two), Some((1, 2)));
    }

    #[test]
    fn another_selector_is_named_unless_the_file_has_none() {
        let policy = policy("age: a\nencrypted_regex: ^x");
        let found = weaknesses(&file(&[&["a"]], 0), &policy, false).selector;
        assert_eq!(found, Some((Selector::default(), policy.selector.clone())));
        assert_eq!(weaknesses(&file(&[&["a"]], 0), &policy, true).selector, None);
    }

    #[test]
    fn the_changes_of_groups_are_in_the_order_of_rule_and_file() {
        let policy = policy("key_groups:\n- age: [a, b, c]\n- age: [d]");
        let changes = group_changes(&file(&[&["x", "c", "a", "y"]], 0).groups, &policy);
        let shown: Vec<[String; 3]> = changes
            .iter()
            .map(|group| {
                [&group.kept, &group.added, &group.removed]
                    .map(|list| list.iter().map(|recipient| recipient.identity.as_str()).collect())
            })
            .collect();
        assert_eq!(shown, [["ac", "b", "xy"], ["", "d", ""]].map(|group| group.map(str::to_owned)));
    }
}
