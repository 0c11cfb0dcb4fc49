//! Before a data key is wrapped anew: whether the file is what its creation rule says.
//!
//! The keys in a file's metadata are no more than what somebody wrote there. As long as they wrap
//! an old data key they can do no harm; a new one is theirs.

use std::path::Path;
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::creation_rule::{self, RuleFor};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::crypt::data_key::DataKey;
use crate::file::{DecryptedFile, LeafPlaces};
use crate::keys::{MasterKey, WrapError, WrappedKey, wrap_all, wrap_new};
use crate::metadata::Metadata;
use crate::policy::{self, Policy, Recipient};

/// A file whose data key is about to be wrapped anew.
#[derive(Clone, Copy)]
pub struct Rekeyed<'a> {
    /// The file, as the user names it.
    pub path: &'a Path,
    /// What it is called for its creation rule.
    pub name: &'a Path,
    /// Its metadata as they are going to be.
    pub metadata: &'a Metadata,
    /// The keys that the user has just named, who need no rule.
    pub named: &'a [Arc<dyn MasterKey>],
    /// Its values, if they are sealed anew too.
    pub values: Option<&'a DecryptedFile>,
}

/// Refuses a file that is weaker than its creation rule, unless that is `accepted`. Where there is
/// no rule, it says who the recipients are.
///
/// # Errors
/// If the file is weaker, or the config is not usable.
pub fn check(
    context: &Context,
    config: Option<&Path>,
    file: Rekeyed<'_>,
    accepted: bool,
) -> Result<(), CliError> {
    if accepted {
        return Ok(());
    }
    let (rule, origin) = match creation_rule::of_file(context, config, file.name)? {
        RuleFor::Rule(rule, origin) => (rule, origin),
        RuleFor::NoConfig | RuleFor::NoRules(_) | RuleFor::NoMatch(_, _) => {
            tell_recipients(context, file);
            return Ok(());
        }
    };
    let found = weaknesses(context, file, &Policy::of(&rule));
    if found.is_empty() {
        return Ok(());
    }
    if !context.personality.refuses_weaker_than_rule() {
        for line in found {
            context.ui.warn(format_args!("{}: {line}", file.path.display()));
        }
        return Ok(());
    }
    Err(refusal(file.path, &origin, found))
}

/// Wraps the data key of a file for the keys of `metadata` that have not wrapped it yet: what those
/// of `before` wrapped stays. The parts of a data key that is split belong together, so that they
/// are all made anew. Nothing is changed on an error.
///
/// # Errors
/// If a group is empty, the threshold cannot be met, or a key fails.
pub fn wrap_added(
    context: &Context,
    before: &Metadata,
    metadata: &mut Metadata,
    data_key: &DataKey,
) -> Result<(), WrapError> {
    let threshold = metadata.shamir_threshold;
    match (&before.groups[..], &mut metadata.groups[..]) {
        ([before], [only]) => {
            for key in &mut only.keys {
                let same = |old: &WrappedKey| {
                    old.key.kind() == key.key.kind()
                        && old.key.fields() == key.key.fields()
                        && old.wrapped == key.wrapped
                };
                if !before.keys.iter().any(same) {
                    key.wrapped = None;
                }
            }
            wrap_new(only, data_key, &context.credentials)
        }
        (_, groups) => wrap_all(groups, threshold, data_key, &context.credentials),
    }
}

fn refusal(path: &Path, origin: &Path, found: Vec<String>) -> CliError {
    let message = "the file is open to more than its creation rule says";
    let report = CliError::new(Exit::Generic, "weaker-than-rule", message).in_file(path);
    let report = found.into_iter().fold(report, |report, line| report.detail(format!("  {line}")));
    report.help(format!(
        "if it should not be: encfile updatekeys {}\n\
         if it should: write it into the rule in {}, or accept it once with --accept-recipients",
        shell_words::quote(&path.to_string_lossy()),
        origin.display()
    ))
}

/// Says whom the file is for, where nothing says whom it should be for.
fn tell_recipients(context: &Context, file: Rekeyed<'_>) {
    let recipients: Vec<&str> = file.metadata.keys().map(|key| key.key.identity()).collect();
    if recipients.is_empty() {
        // That nobody is left is an error, which follows.
        return;
    }
    context.ui.note(format_args!(
        "{}: there is no creation rule to compare the recipients with: {}",
        file.path.display(),
        recipients.join(", ")
    ));
}

/// Returns in what a file is weaker than its rule, a line each.
fn weaknesses(context: &Context, file: Rekeyed<'_>, policy: &Policy) -> Vec<String> {
    let whole = file.values.is_none_or(|values| values.format().container().is_some());
    let found = policy::weaknesses(file.metadata, policy, whole);
    let mut lines = Vec::new();
    let named = |recipient: &Recipient| {
        file.named.iter().any(|key| recipient.is(key.kind(), key.identity()))
    };
    let owners = creation_rule::owners(context, file.name);
    for (number, recipient) in found.strangers.iter().filter(|(_, recipient)| !named(recipient)) {
        let Recipient { kind, identity } = recipient.clone();
        let owner = owners.get(&(kind, identity)).map(|name| format!(" ({name})"));
        let place = match file.metadata.groups.len() {
            1 => String::new(),
            _ => format!(" in group {}", number + 1),
        };
        lines.push(format!(
            "{}{} is a recipient{place} of the file, and not of its creation rule",
            recipient.identity,
            owner.unwrap_or_default()
        ));
    }
    if let Some((ours, theirs)) = found.threshold {
        lines.push(format!(
            "{ours} of the key groups can decrypt it; by its creation rule it takes {theirs}"
        ));
    }
    if found.mac_only_encrypted {
        lines.push("its MAC is over encrypted values only; by its creation rule over all".into());
    }
    if let (Some((ours, theirs)), Some(values)) = (found.selector, file.values) {
        let LeafPlaces { leaves, others } = values.in_clear_by(&theirs).values;
        let count = leaves.len() + others;
        if let Some(first) = leaves.first() {
            let field = |(name, value): (&str, &str)| format!("`{name}: {value}`");
            let more = match count {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            lines.push(format!(
                "its rule {} leaves `{}`{more} in clear; its creation rule {} covers that",
                field(ours.field()),
                first.path,
                field(theirs.field()),
            ));
        }
    }
    lines
}
