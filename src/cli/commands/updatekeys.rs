//! `updatekeys`: files get the recipients of their creation rule.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cli::ahead::Ahead;
use crate::cli::args::UpdatekeysArgs;
use crate::cli::change;
use crate::cli::commands::{confirm, for_each, no_file};
use crate::cli::context::{Context, decryption_order};
use crate::cli::creation_rule::{self, RuleFor};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::rekey;
use crate::cli::ui::one_line;
use crate::config::CreationRule;
use crate::crypt::data_key::DataKey;
use crate::keys::{WrapError, needed_groups, wrap_all};
use crate::metadata::Metadata;
use crate::policy::{GroupChanges, Policy, Recipient, group_changes};

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &UpdatekeysArgs,
) -> Result<Exit, CliError> {
    let files: Vec<PathBuf> =
        arguments.files.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect();
    if files.is_empty() {
        return Err(no_file());
    }
    ask_ahead(context, config, arguments, &files);
    let mut failures = 0;
    let exit = for_each(context, &files, |path| {
        one(context, config, arguments, path).inspect_err(|_| failures += 1)
    })?;
    if failures > 0 && !context.personality.exits_as_first_failure() {
        let message = format!("failed updating {failures} key(s)");
        return Err(CliError::new(Exit::Generic, "updatekeys", message));
    }
    Ok(exit)
}

/// Asks for the data keys of the files that will be changed. Where the user is asked about each of
/// them, that is known too late.
fn ask_ahead(
    context: &Context,
    config: Option<&Path>,
    arguments: &UpdatekeysArgs,
    files: &[PathBuf],
) {
    let order = arguments.opening.order.decryption_order.as_deref();
    let Ok(order) = decryption_order(context.personality, order) else { return };
    if files.len() < 2 || !arguments.yes {
        return;
    }
    let mut ahead = Ahead::new(context);
    for path in files.iter().filter(|path| context.env.absolute(path).is_file()) {
        let silent = ahead.silent();
        let Ok(rule) = rule(silent, config, path) else { continue };
        let Ok(text) = silent.read(path) else { continue };
        let file = silent.parse_encrypted(text, path, path, arguments.types.input());
        let Ok(file) = file else { continue };
        let change = Change::new(silent, file.metadata(), &rule, arguments);
        if !change.is_none() || arguments.rotate {
            ahead.add(file.metadata(), path);
        }
    }
    ahead.ask(&order);
}

fn one(
    context: &Context,
    config: Option<&Path>,
    arguments: &UpdatekeysArgs,
    path: &Path,
) -> Result<(), CliError> {
    let order =
        decryption_order(context.personality, arguments.opening.order.decryption_order.as_deref())?;
    let target = context.env.absolute(path);
    let name = target.display();
    if target.is_dir() {
        let message = "can't operate on a directory";
        return Err(CliError::new(Exit::Generic, "directory", message).in_file(path));
    }
    if !target.exists() {
        let message = format!("stat {name}: no such file or directory");
        return Err(CliError::new(Exit::Generic, "no-file", message));
    }
    let rule = rule(context, config, path)?;
    let (text, stamp) = context.read_with_stamp(path)?;
    let file = context.parse_encrypted(text, path, path, arguments.types.input())?;
    let change = Change::new(context, file.metadata(), &rule, arguments);
    if change.is_none() && !arguments.rotate {
        context.ui.line(format_args!("File {name} already up to date"));
        return Ok(());
    }
    if !change.is_none() {
        io::write_stdout(change.show(context, path).as_bytes())?;
        if !arguments.yes && !confirm("Is this okay? (y/n):")? {
            context.ui.line(format_args!("File {name} left unchanged"));
            return Ok(());
        }
    }
    let revokes = change.revokes() && context.personality.rotates_on_removal();
    let rotates = arguments.rotate || (revokes && !arguments.no_rotate);
    let mut metadata = file.metadata().clone();
    metadata.groups = creation_rule::groups(context, &rule, &metadata.groups)?;
    metadata.shamir_threshold = change.threshold.1;
    let text = if rotates {
        let (opened, _) = context.open(file, (path, path), arguments.opening.ignore_mac, &order)?;
        let data_key = DataKey::generate().map_err(WrapError::from)?;
        metadata.last_modified = context.env.now();
        adopt_keys(context, path, &mut metadata);
        let threshold = metadata.shamir_threshold;
        wrap_all(&mut metadata.groups, threshold, &data_key, &context.credentials)
            .map_err(|failure| not_wrapped(path, &failure))?;
        context.encrypt_anew(path, opened, metadata, &data_key)?
    } else {
        let data_key = context.data_key_to_wrap(&file, path, &order)?;
        adopt_keys(context, path, &mut metadata);
        rekey::wrap_added(context, file.metadata(), &mut metadata, &data_key)
            .map_err(|failure| not_wrapped(path, &failure))?;
        file.with_metadata(&metadata).map_err(|failure| error::encrypt(path, failure))?
    };
    change::replace(context, path, &text, &stamp)?;
    context.ui.line(format_args!("File {name} synced with new keys"));
    if revokes {
        context.ui.note(told_of_removal(rotates));
    }
    Ok(())
}

/// Returns what follows from a removal.
fn told_of_removal(rotates: bool) -> &'static str {
    if rotates {
        "its data key is new, because who could decrypt the file may know the old one; they also \
         know its values, so change those at their source"
    } else {
        "its data key is still the one that who was removed may know: they can read what is \
         encrypted later, too"
    }
}

/// Returns the creation rule of a file.
fn rule(
    context: &Context,
    config: Option<&Path>,
    path: &Path,
) -> Result<Box<CreationRule>, CliError> {
    let failed = |message| CliError::new(Exit::Generic, "no-rule", message).in_file(path);
    match creation_rule::of_file(context, config, path)? {
        RuleFor::Rule(rule, _) => Ok(rule),
        RuleFor::NoMatch(error, _) => Err(error),
        RuleFor::NoRules(config) => Err(failed(format!(
            "The config file {} does not contain any creation rule",
            config.display()
        ))),
        RuleFor::NoConfig => Err(failed("config file not found".to_owned())),
    }
}

fn adopt_keys(context: &Context, path: &Path, metadata: &mut Metadata) {
    creation_rule::adopt_keys(context, context.config.as_deref(), path, &mut metadata.groups);
}

fn not_wrapped(path: &Path, failure: &WrapError) -> CliError {
    let message = format!("error updating one or more master keys: {failure}");
    CliError::new(Exit::Generic, "wrap", message).in_file(path)
}

/// What becomes of a file's keys.
struct Change {
    groups: Vec<GroupChanges>,
    /// The threshold as it stands in the file, before and after.
    threshold: (usize, usize),
    /// How many groups are needed, before and after.
    needed: (usize, usize),
}

impl Change {
    fn new(
        context: &Context,
        file: &Metadata,
        rule: &CreationRule,
        arguments: &UpdatekeysArgs,
    ) -> Change {
        let count = rule.groups.len();
        let asked = arguments.shamir_secret_sharing_threshold.filter(|&threshold| threshold > 0);
        let of_rule = rule.shamir_threshold.map_or(0, |threshold| threshold as usize);
        let threshold = match asked {
            Some(threshold) => threshold,
            None if count > 1 && context.personality.takes_threshold_of_rule() => of_rule,
            // That of a single group may be none for several.
            None if file.groups.len() == 1 && count > 1 => 0,
            None => file.shamir_threshold.min(count),
        };
        let threshold = if threshold == 0 && count > 1 { count } else { threshold };
        Change {
            groups: group_changes(&file.groups, &Policy::of(rule)),
            threshold: (file.shamir_threshold, threshold),
            needed: (
                needed_groups(file.groups.len(), file.shamir_threshold),
                needed_groups(count, threshold),
            ),
        }
    }

    fn is_none(&self) -> bool {
        let same = |group: &GroupChanges| group.added.is_empty() && group.removed.is_empty();
        self.groups.iter().all(same) && self.needed.0 == self.needed.1
    }

    /// Returns whether somebody could decrypt the file who cannot any more, or not alone.
    fn revokes(&self) -> bool {
        self.groups.iter().any(|group| !group.removed.is_empty()) || self.needed.1 > self.needed.0
    }

    /// Returns the change in SOPS' words, for standard output.
    fn show(&self, context: &Context, path: &Path) -> String {
        let mut lines = vec!["The following changes will be made to the file's groups:".to_owned()];
        match self.threshold {
            (0, 0) => {}
            (before, after) if before == after => lines.push(format!("shamir_threshold: {after}")),
            (before, after) => {
                lines.push(format!("+++ shamir_threshold: {after}"));
                if before > 0 {
                    lines.push(format!("--- shamir_threshold: {before}"));
                }
            }
        }
        lines.extend(show_groups(context, path, &self.groups));
        lines.join("\n") + "\n"
    }
}

/// Returns the changes of groups in SOPS' words.
pub(super) fn show_groups(context: &Context, path: &Path, groups: &[GroupChanges]) -> Vec<String> {
    let owners = if context.personality.names_recipients() {
        creation_rule::owners(context, path)
    } else {
        HashMap::new()
    };
    let mut lines = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        lines.push(format!("Group {}", number + 1));
        for (mark, recipients) in
            [("   ", &group.kept), ("+++", &group.added), ("---", &group.removed)]
        {
            lines.extend(recipients.iter().map(|recipient| line(mark, recipient, &owners)));
        }
    }
    lines
}

fn line(mark: &str, key: &Recipient, owners: &HashMap<(String, String), String>) -> String {
    let identity = one_line(&key.identity);
    match owners.get(&(key.kind.clone(), key.identity.clone())) {
        Some(owner) => format!("{mark} {identity} ({})", one_line(owner)),
        None => format!("{mark} {identity}"),
    }
}
