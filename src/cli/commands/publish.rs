//! `publish`: files go where the config's destination rules say.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::args::PublishArgs;
use crate::cli::commands::updatekeys::show_groups;
use crate::cli::commands::{checked_files, confirm, encrypt, for_each, no_file};
use crate::cli::context::{Context, decryption_order};
use crate::cli::creation_rule::{self, NewFile};
use crate::cli::destination_rule;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::ui::one_line;
use crate::config::{CreationRule, FILE_NAME};
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{EncryptedFile, Plan};
use crate::format::Layout;
use crate::keys::WrapError;
use crate::policy::{GroupChanges, Policy, group_changes};
use crate::publish::{Put, Target};
use crate::secret::SecretBytes;

/// The most keys that are named before values are published.
const MOST_NAMED: usize = 50;

/// Runs the command. What was done is said if it is `verbose`, and by encfile in any case.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &PublishArgs,
    verbose: bool,
) -> Result<Exit, CliError> {
    let files = checked_files(context, &arguments.files, Some(true))?;
    if files.is_empty() {
        return Err(no_file());
    }
    let order = decryption_order(context.personality, arguments.order.decryption_order.as_deref())?;
    let publication = Publication { context, config, arguments, order, verbose };
    let mut exit = Exit::Success;
    let named = for_each(context, &files, |path| {
        let inside = publication.path(path)?;
        if inside != Exit::Success {
            exit = inside;
        }
        Ok(())
    })?;
    Ok(if named == Exit::Success { exit } else { named })
}

/// What is asked for.
struct Publication<'a> {
    context: &'a Context,
    config: Option<&'a Path>,
    arguments: &'a PublishArgs,
    order: Vec<&'a str>,
    verbose: bool,
}

impl Publication<'_> {
    /// Publishes a file, or all of a directory.
    fn path(&self, path: &Path) -> Result<Exit, CliError> {
        let target = self.context.env.absolute(path);
        let Ok(metadata) = fs::metadata(&target) else {
            let message = format!("stat {}: no such file or directory", path.display());
            return Err(CliError::new(Exit::Generic, "no-file", message));
        };
        if !metadata.is_dir() {
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            if !self.file(path, &name)? {
                return Err(CliError::new(Exit::Generic, "canceled", canceled(&target)));
            }
            return Ok(Exit::Success);
        }
        if !self.arguments.recursive {
            let message = "can't operate on a directory without --recursive flag.";
            return Err(CliError::new(Exit::Generic, "directory", message).in_file(path));
        }
        let publish = |file: &Path| {
            let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy();
            if !self.file(file, &name)? {
                let message = canceled(&self.context.env.absolute(file));
                io::write_stdout(format!("{message}\n").as_bytes())?;
            }
            Ok(())
        };
        let files = files_below(path)?;
        if self.context.personality.publishes_carefully() {
            return for_each(self.context, &files, publish);
        }
        files.iter().try_for_each(|file| publish(file))?;
        Ok(Exit::Success)
    }

    /// Publishes the file called `name` at its destination. Returns whether the user wants that.
    fn file(&self, path: &Path, name: &str) -> Result<bool, CliError> {
        let Publication { context, .. } = self;
        let (rule, destination) = destination_rule::of_file(context, self.config, path)?;
        let omit = self.arguments.omit_extensions || rule.omit_extensions;
        let name = if omit { without_ending(name) } else { name };
        let failed = |error: crate::publish::PublishError| {
            CliError::new(Exit::Generic, "publish", error.to_string()).in_file(path)
        };
        let target = Target::new(&destination, name, &context.credentials).map_err(failed)?;
        let text = context.read(path)?;
        let file = context.parse_encrypted(SecretBytes::from(&*text), path, path, None)?;
        self.show(path, &target, &file, rule.recreation_rule.as_ref())?;
        let shown = one_line(&target.to_string()).into_owned();
        if !self.arguments.yes {
            let from = context.env.absolute(path);
            let question = format!("uploading {} to {shown} ? (y/n): ", from.display());
            if !confirm(&question)? {
                return Ok(false);
            }
        }
        let put = match &target {
            Target::Secret(secret) => {
                let (opened, _) = context.open(file, (path, path), false, &self.order)?;
                secret.put(opened.tree()).map_err(failed)?
            }
            Target::Object(object) => {
                let text = match &rule.recreation_rule {
                    Some(rule) => self.encrypted_anew(path, file, rule)?,
                    None => text,
                };
                object.put(&text, &context.credentials).map_err(failed)?;
                Put::Written
            }
        };
        if let Put::WrittenUnseen(why) = &put {
            context.ui.warn(format_args!(
                "Cannot check if destination secret already exists in {shown}: {why}"
            ));
        }
        let path = path.display();
        match put {
            Put::Unchanged => self.say(format_args!("{path}: {shown} has the same already")),
            _ => self.say(format_args!("{path} was published to {shown}")),
        }
        Ok(true)
    }

    /// Shows what becomes of the file: who can decrypt it, or which values are decrypted.
    fn show(
        &self,
        path: &Path,
        target: &Target,
        file: &EncryptedFile,
        recreation: Option<&CreationRule>,
    ) -> Result<(), CliError> {
        let mut lines = Vec::new();
        if let Target::Secret(_) = target {
            if self.context.personality.publishes_carefully() {
                lines.push("These values are decrypted, and stored in Vault:".to_owned());
                lines.extend(names(file));
            }
        } else if let Some(rule) = recreation {
            let changes = group_changes(&file.metadata().groups, &Policy::of(rule));
            let is_same = |group: &GroupChanges| group.added.is_empty() && group.removed.is_empty();
            if !changes.iter().all(is_same) {
                let words = "The following changes will be made to the file's key groups:";
                lines.push(words.to_owned());
                lines.extend(show_groups(self.context, path, &changes));
            }
        }
        if !lines.is_empty() {
            io::write_stdout((lines.join("\n") + "\n").as_bytes())?;
        }
        Ok(())
    }

    /// Returns the file as its recreation rule wants it, with a new data key.
    fn encrypted_anew(
        &self,
        path: &Path,
        file: EncryptedFile,
        rule: &CreationRule,
    ) -> Result<SecretBytes, CliError> {
        let context = self.context;
        let (opened, _) = context.open(file, (path, path), false, &self.order)?;
        let format = opened.format();
        let groups = creation_rule::groups(context, rule, &[])?;
        let binary = format.container().is_some();
        let threshold = match rule.shamir_threshold {
            Some(threshold) => threshold as usize,
            None if groups.len() > 1 => groups.len(),
            None => 0,
        };
        let new = NewFile {
            groups,
            threshold,
            selector: (!binary).then(|| rule.selector.clone().unwrap_or_default()),
            mac_only_encrypted: rule.mac_only_encrypted && !binary,
            layout: Layout::default(),
        };
        let layout = new.layout.clone();
        let data_key = DataKey::generate().map_err(WrapError::from)?;
        let metadata =
            encrypt::wrapped(context, new, &data_key).map_err(|failure| failure.in_file(path))?;
        let text = opened.text().map_err(|failure| error::emit(path, &failure))?;
        let document =
            Document::parse(format, text).map_err(|failure| error::syntax(path, &failure))?;
        let plan = Plan {
            metadata,
            data_key: &data_key,
            output: format,
            layout,
            previous: None,
            allow_nothing_selected: !context.personality.refuses_empty_selection(),
        };
        context.encrypt(path, document, plan)
    }

    fn say(&self, message: impl std::fmt::Display) {
        if self.verbose {
            self.context.ui.line(message);
        } else {
            self.context.ui.note(message);
        }
    }
}

fn canceled(path: &Path) -> String {
    format!("Publication of {} canceled", path.display())
}

/// Returns a name without its last ending.
fn without_ending(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].rfind('.') {
        Some(dot) if dot > 0 => &name[..file + dot],
        _ => name,
    }
}

/// Returns the names at the top of a file, a line each. They stand in the encrypted file, too.
fn names(file: &EncryptedFile) -> Vec<String> {
    let tree = file.tree();
    let tops = tree.documents().flat_map(|document| tree.children(document));
    let keys: Vec<&[u8]> = tops.filter_map(|id| tree.key(id)).collect();
    let line = |key: &&[u8]| format!("    {}", one_line(&String::from_utf8_lossy(key)));
    let mut lines: Vec<String> = keys.iter().take(MOST_NAMED).map(line).collect();
    if keys.len() > MOST_NAMED {
        lines.push(format!("    and {} more", keys.len() - MOST_NAMED));
    }
    lines
}

/// Returns the files of a directory and those below it, in SOPS' order. Configs and git's own
/// files are none to publish, and links to directories are not followed.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let failed = |error| CliError::from(io::read_error(&path, error));
        let is_link = fs::symlink_metadata(&path).map_err(failed)?.is_symlink();
        if !path.is_dir() || (is_link && path != folder) {
            if path.is_file() {
                files.push(path);
            }
            continue;
        }
        let mut inside = fs::read_dir(&path)
            .and_then(|entries| {
                entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        inside.sort_unstable_by(|one, other| other.cmp(one));
        let is_none = |path: &PathBuf| path.ends_with(".git") || path.ends_with(FILE_NAME);
        waiting.extend(inside.into_iter().filter(|path| !is_none(path)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ending_of_the_file_is_left_out() {
        for (name, expected) in [
            ("db.yaml", "db"),
            ("db.enc.yaml", "db.enc"),
            ("a.b/db", "a.b/db"),
            ("a.b/db.yaml", "a.b/db"),
            (".env", ".env"),
            ("a/.env", "a/.env"),
        ] {
            assert_eq!(without_ending(name), expected, "{name}");
        }
    }
}
