//! What is wrong with a file that should be encrypted, as far as that can be said without a key.
//!
//! [`inspect`] takes a text, what its name and its creation rule say, and returns findings. It
//! needs no key, no network and no disk: hooks and CI run it over the blobs of a commit. Whether
//! values authenticate is [`crate::file`]'s business.

mod conflict;
mod finding;

use crate::config::CreationRule;
use crate::crypt::value::{Sealed, looks_sealed};
use crate::document::Document;
use crate::file::{self, EncryptedFile, FileError, InClear, LeafPlace, LeafPlaces};
use crate::format::{self, FileFormat, SyntaxError};
use crate::keys::needed_groups;
use crate::metadata::{Metadata, MetadataError};
use crate::policy::{self, Policy, Recipient};
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::span::Position;
use crate::tree::NodeKind;

pub use self::conflict::conflict_marker;
pub use self::finding::{Code, Finding, Severity};

/// What is known of a file besides its text.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its path, for the format and for whether the name says that it should be encrypted.
    pub path: &'a str,
    /// The creation rule for it, if there is one.
    pub rule: Option<&'a CreationRule>,
}

/// What a file is, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether it has SOPS' metadata.
    pub encrypted: bool,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Looks at a file. A plain file that no rule asks to be encrypted has no findings.
pub fn inspect(subject: &Subject<'_>, text: SecretBytes) -> Report {
    let by_content = format::by_content(&text, subject.path);
    // Before parsing: a text with markers is of no format.
    let asks = asks_for_encryption(subject);
    let concerns = by_content.is_some() || asks;
    if concerns && let Some(position) = conflict_marker(&text) {
        let finding = Finding::new(Code::ConflictMarkers, "the text has conflict markers of git");
        let findings = vec![finding.at(Some(position))];
        return Report { encrypted: by_content.is_some(), findings };
    }
    if let Some(format) = by_content {
        match EncryptedFile::parse(format, SecretBytes::from(&*text)) {
            Ok(file) => return Report { encrypted: true, findings: encrypted(subject, &file) },
            // It only looked like one.
            Err(FileError::NotEncrypted) => {}
            Err(FileError::Syntax(_)) if !is_certain(format, subject) => {}
            Err(FileError::Metadata(_)) if !asks && !has_ciphertext(&text) => {}
            Err(error) => return Report { encrypted: true, findings: vec![broken(&error)] },
        }
    }
    if !asks {
        return Report::default();
    }
    Report { encrypted: false, findings: plain(subject, text) }
}

/// Whether a text that looks encrypted and does not parse is a broken encrypted file, rather than
/// a text that has the look by accident.
fn is_certain(format: &'static dyn FileFormat, subject: &Subject<'_>) -> bool {
    subject.rule.is_some() || format == format::by_file_name(subject.path)
}

/// Returns whether anything in a text is sealed: another program may have an entry `sops` too.
fn has_ciphertext(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"ENC[AES256_GCM,").is_some()
}

/// Returns whether the rule, or with a rule for everything the name, says that the file is to be
/// encrypted.
///
/// A rule without `path_regex` says with what to encrypt, not which files: a repository with one
/// has its plain sources too. There a name has to tell: `*.enc.*`, `*.sops.*`, `.env*`, or one with
/// the word `secret`.
pub fn asks_for_encryption(subject: &Subject<'_>) -> bool {
    let Some(rule) = subject.rule else { return false };
    let name = subject.path.rsplit('/').next().unwrap_or(subject.path).to_ascii_lowercase();
    if matches!(name.as_str(), ".sops.yaml" | ".sops.yml" | ".gitattributes" | ".gitignore") {
        return false;
    }
    if rule.path_regex.is_some() && !rule.matches_everything() {
        return true;
    }
    let mut parts = name.split('.');
    parts.clone().any(|part| matches!(part, "enc" | "sops" | "encrypted"))
        || parts.any(|part| part == "env")
        || name.contains("secret")
}

/// Looks at an encrypted file.
fn encrypted(subject: &Subject<'_>, file: &EncryptedFile) -> Vec<Finding> {
    let mut found = Vec::new();
    let metadata = file.metadata();
    mac(metadata, &mut found);
    keys(metadata, &mut found);
    let InClear { values, comments } = file.in_clear();
    leaves(&mut found, Code::PlaintextValue, &values, "is not encrypted");
    leaves(&mut found, Code::PlaintextComment, &comments, "has a comment that is not encrypted");
    leaves(&mut found, Code::MalformedValue, &file.malformed(), "is no whole ciphertext");
    if nothing_is_encrypted(file) {
        let selector = metadata.selector();
        let (field, value) = selector.field();
        let message = format!(
            "nothing is encrypted: the file's `{field}: {value}` covers none of its values"
        );
        found.push(Finding::new(Code::NothingEncrypted, message));
    }
    for warning in format::duplicate_warnings(file.tree()) {
        found.push(Finding::new(Code::DuplicateKey, warning.message).at(warning.position));
    }
    if let Some(rule) = subject.rule {
        against_rule(rule, file, &values, &mut found);
    }
    found
}

/// Returns whether a file has values, and none of them is encrypted nor meant to be.
fn nothing_is_encrypted(file: &EncryptedFile) -> bool {
    !file.has_sealed_values()
        && file.in_clear().values.is_empty()
        && !file.in_clear_by(None).values.is_empty()
}

fn mac(metadata: &Metadata, found: &mut Vec<Finding>) {
    match &metadata.mac {
        None => found.push(Finding::new(Code::MissingMac, "the `sops` block has no `mac`")),
        Some(mac) if !Sealed::parse(mac.as_bytes()).is_ok_and(|mac| mac.is_well_formed()) => {
            found.push(Finding::new(Code::MalformedMac, "the `mac` is no whole ciphertext"));
        }
        Some(_) => {}
    }
}

fn keys(metadata: &Metadata, found: &mut Vec<Finding>) {
    for key in metadata.keys() {
        if key.wrapped.as_deref().is_none_or(|wrapped| wrapped.trim().is_empty()) {
            let message = format!(
                "the {} key `{}` has no encrypted data key",
                key.key.kind(),
                key.key.identity()
            );
            found.push(Finding::new(Code::MalformedKey, message));
        }
    }
    if metadata.groups.is_empty() || metadata.groups.iter().any(|group| group.keys.is_empty()) {
        found.push(Finding::new(Code::NoRecipients, "a group of keys has nobody in it"));
    }
}

/// Compares a file with the rule that it would be encrypted by now.
fn against_rule(
    rule: &CreationRule,
    file: &EncryptedFile,
    known: &LeafPlaces,
    found: &mut Vec<Finding>,
) {
    let metadata = file.metadata();
    let policy = Policy::of(rule);
    let binary = file.format().container().is_some();
    if !binary {
        let more = file.in_clear_by(Some(&policy.selector)).values;
        let leaves = more.leaves.into_iter().filter(|leaf| !known.leaves.contains(leaf)).collect();
        let more = LeafPlaces { leaves, others: more.others };
        leaves_of_rule(found, &more, &policy.selector);
    }
    recipients(metadata, &policy, found);
    settings(metadata, &policy, binary, found);
}

/// Compares who can decrypt a file with whom its rule names. A rule that names nobody leaves that to
/// the command line.
fn recipients(metadata: &Metadata, policy: &Policy, found: &mut Vec<Finding>) {
    if policy.groups.iter().all(Vec::is_empty) {
        return;
    }
    let (has, wants) = (metadata.groups.len(), policy.groups.len());
    if has != wants {
        let message = format!("the file has key groups: {has}, and its creation rule: {wants}");
        found.push(Finding::new(Code::RecipientsDiffer, message));
        let strangers = policy::weaknesses(metadata, policy, true).strangers;
        found.extend(strangers.iter().map(|(_, recipient)| stranger(recipient)));
        return;
    }
    for changes in policy::group_changes(&metadata.groups, policy) {
        found.extend(changes.removed.iter().map(stranger));
        found.extend(changes.added.iter().map(|Recipient { kind, identity }| {
            let message = format!(
                "the file is not encrypted for the {kind} key `{identity}`, which its creation \
                 rule names"
            );
            Finding::new(Code::RecipientsDiffer, message)
        }));
    }
}

fn stranger(Recipient { kind, identity }: &Recipient) -> Finding {
    let message = format!(
        "the file is encrypted for the {kind} key `{identity}`, which its creation rule does not \
         name"
    );
    Finding::new(Code::RecipientsDiffer, message)
}

/// Compares the threshold and the selection of a file with those of its rule.
fn settings(metadata: &Metadata, policy: &Policy, binary: bool, found: &mut Vec<Finding>) {
    let mut differs = |message| found.push(Finding::new(Code::RuleDiffers, message));
    let needed = needed_groups(metadata.groups.len(), metadata.shamir_threshold);
    if needed != policy.needed && metadata.groups.len() == policy.groups.len() {
        differs(format!(
            "the file needs {needed} groups of keys to decrypt, and its creation rule {}",
            policy.needed
        ));
    }
    if binary {
        return;
    }
    if metadata.mac_only_encrypted != policy.mac_only_encrypted {
        differs(format!(
            "the file has `mac_only_encrypted: {}`, and its creation rule `{}`",
            metadata.mac_only_encrypted, policy.mac_only_encrypted
        ));
    }
    let selector = metadata.selector();
    if selector != policy.selector {
        let ((field, value), (wanted, by)) = (selector.field(), policy.selector.field());
        differs(format!(
            "the file is encrypted by `{field}: {value}`, and its creation rule has `{wanted}: \
             {by}`"
        ));
    }
}

fn leaves_of_rule(found: &mut Vec<Finding>, places: &LeafPlaces, selector: &Selector) {
    let (field, value) = selector.field();
    let what = format!("is not encrypted, although the config's `{field}: {value}` covers it");
    leaves(found, Code::UncoveredValue, places, &what);
}

fn leaves(found: &mut Vec<Finding>, code: Code, places: &LeafPlaces, what: &str) {
    for leaf in &places.leaves {
        let message = format!("`{}` {what}", leaf.path);
        found.push(of_leaf(code, message, leaf));
    }
    if places.others > 0 {
        found.push(Finding::new(code, format!("{} more: each {what}", places.others)));
    }
}

fn of_leaf(code: Code, message: String, leaf: &LeafPlace) -> Finding {
    Finding::new(code, message).at(leaf.position).about(&leaf.path).showing(leaf.masked.clone())
}

/// Looks at a plain file that should be encrypted. One in which the rule covers nothing, such as a
/// manifest without secrets, is fine.
fn plain(subject: &Subject<'_>, text: SecretBytes) -> Vec<Finding> {
    let format = format::by_file_name(subject.path);
    if text.trim_ascii().is_empty() || is_pointer(&text) {
        return Vec::new();
    }
    if format.container().is_some() {
        let message = "the file is not encrypted, although a creation rule matches it";
        let start = Position { line: 1, column: 1 };
        return vec![Finding::new(Code::PlaintextFile, message).at(Some(start))];
    }
    let document = match Document::parse(format, text) {
        Ok(document) => document,
        Err(error) => return vec![unreadable(&error)],
    };
    let selector = subject.rule.and_then(|rule| rule.selector.clone()).unwrap_or_default();
    let InClear { values, comments } = file::covered(&document, Some(&selector));
    let sealed = document.tree().nodes().iter().any(|node| match node.kind {
        NodeKind::Text(text) => looks_sealed(document.tree().text(text)),
        _ => false,
    });
    if sealed {
        let message = "the file has encrypted values, and no `sops` block to decrypt them with";
        return vec![Finding::new(Code::MissingMetadata, message)];
    }
    let Some(first) = values.leaves.first() else {
        // Of values that are empty, the comments may be what is secret.
        let mut found = Vec::new();
        leaves(
            &mut found,
            Code::PlaintextComment,
            &comments,
            "has a comment that is not encrypted",
        );
        return found;
    };
    let count = values.leaves.len() + values.others;
    let message = format!(
        "the file is not encrypted, although a creation rule matches it: {}",
        match count {
            1 => "1 value stands in clear".to_owned(),
            count => format!("{count} values stand in clear"),
        }
    );
    vec![of_leaf(Code::PlaintextFile, message, first)]
}

/// Returns whether a text stands for a file that is kept elsewhere (Git LFS).
fn is_pointer(text: &[u8]) -> bool {
    text.len() < 1024 && text.starts_with(b"version https://git-lfs.github.com/spec/")
}

fn unreadable(error: &SyntaxError) -> Finding {
    let message = format!(
        "the file is not encrypted, although a creation rule matches it, and it does not parse: {}",
        error.message
    );
    Finding::new(Code::PlaintextFile, message).at(error.position)
}

/// Returns the finding for an encrypted file that cannot be read.
fn broken(error: &FileError) -> Finding {
    match error {
        FileError::Syntax(error) => {
            Finding::new(Code::Unreadable, error.message.clone()).at(error.position)
        }
        FileError::Metadata(MetadataError::NoKeys) => {
            Finding::new(Code::NoRecipients, "the `sops` block names nobody who could decrypt")
        }
        error => Finding::new(Code::MalformedMetadata, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
