//! `encrypt`: plain files, and those that are encrypted already and in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::conflict_marker;
use crate::cli::args::EncryptArgs;
use crate::cli::commands::{both_outputs, checked_files, for_each};
use crate::cli::context::Context;
use crate::cli::creation_rule::{self, NewFile};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io::{self, Mode, Stamp};
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{self, EncryptedFile, FileError, Plan, Previous};
use crate::format::{self, FileFormat};
use crate::keys::{self, DEFAULT_DECRYPTION_ORDER, KeyGroup, WrapError};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &EncryptArgs,
) -> Result<Exit, CliError> {
    if arguments.writing.in_place && arguments.writing.output.is_some() {
        return Err(both_outputs());
    }
    let files = checked_files(context, &arguments.files, Some(arguments.writing.in_place))?;
    if !files.is_empty() {
        return for_each(context, &files, |path| {
            let name = arguments.filename_override.as_deref().unwrap_or(path);
            let (text, target) = if arguments.writing.in_place {
                let (text, stamp) = context.read_with_stamp(path)?;
                (text, Some((context.env.absolute(path), stamp)))
            } else {
                (context.read(path)?, None)
            };
            one(context, config, arguments, Input { text, path, name, target })
        });
    }
    if arguments.writing.in_place {
        let message = "cannot use --in-place when reading from stdin";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    let Some(name) = arguments.filename_override.as_deref() else {
        let message = "must specify --filename-override when reading from stdin";
        return Err(CliError::new(Exit::Conflict, "conflict", message)
            .help("the name tells the format and the creation rule"));
    };
    let text = io::read_stdin()?;
    one(context, config, arguments, Input { text, path: Path::new("-"), name, target: None })?;
    Ok(Exit::Success)
}

/// Encrypts a file in place, with nothing but what its config says.
///
/// # Errors
/// If it cannot be encrypted; it is as it was then.
pub fn in_place(context: &Context, config: Option<&Path>, path: &Path) -> Result<(), CliError> {
    let (text, stamp) = context.read_with_stamp(path)?;
    let target = Some((context.env.absolute(path), stamp));
    let arguments = EncryptArgs::default();
    one(context, config, &arguments, Input { text, path, name: path, target })
}

/// A text to encrypt.
struct Input<'a> {
    text: SecretBytes,
    path: &'a Path,
    /// What the file is called for format and rule.
    name: &'a Path,
    /// Where it is replaced, and what it was.
    target: Option<(PathBuf, Stamp)>,
}

fn one(
    context: &Context,
    config: Option<&Path>,
    arguments: &EncryptArgs,
    input: Input<'_>,
) -> Result<(), CliError> {
    let Input { text, path, name, target } = input;
    if context.personality.accepts_encrypted_input()
        && let Some(text) = in_order(context, arguments, path, name, &text)?
    {
        context.ui.note(format_args!("{} is encrypted already, and in order", path.display()));
        return match (&target, &arguments.writing.output) {
            (Some(_), _) => Ok(()),
            (None, output) => write(context, output.as_deref(), text),
        };
    }
    let format = arguments.types.input().unwrap_or_else(|| context.format_by_name(name));
    let output = arguments.types.output().unwrap_or_else(|| output_format(context, name, format));
    let new =
        creation_rule::for_file(context, config, name, format, (&arguments.keys, &arguments.rule))?;
    let conflict = conflict_marker(&text);
    let document = Document::parse(format, text)
        .map_err(|failure| error::syntax(path, &failure).in_conflict(conflict))?;
    if file::has_metadata(&document) {
        return Err(error::encrypt(path, FileError::AlreadyEncrypted));
    }
    for warning in format.warnings(document.tree()) {
        let place = warning.position.map(|p| format!(":{}:{}", p.line, p.column));
        let place = place.unwrap_or_default();
        context.ui.warn(format_args!("{}{place}: {}", path.display(), warning.message));
    }
    let layout = arguments.types.indent.layout(output, new.layout.indent)?;
    let allow = arguments.allow_unencrypted || !context.personality.refuses_empty_selection();

    let existing = arguments
        .writing
        .output
        .as_deref()
        .filter(|_| context.personality.reuses_output() && !arguments.new_data_key);
    let previous = match existing {
        Some(target) => existing_output(context, target, &new)?.map(|found| (target, found)),
        None => None,
    };
    if let Some((target, existing)) = previous {
        let Existing { metadata, data_key, mut previous, stamp } = existing;
        if previous.text() == document.text() {
            context.ui.note(format_args!("{} holds the same already", target.display()));
            return Ok(());
        }
        let metadata = Metadata { last_modified: context.env.now(), ..metadata };
        let plan = Plan {
            metadata,
            data_key: &data_key,
            output,
            layout,
            previous: Some(&mut previous),
            allow_nothing_selected: allow,
        };
        let sealed = context.encrypt(path, document, plan)?;
        let target = context.env.absolute(target);
        context.tell(&io::write_atomic_if_unchanged(&target, &sealed, Mode::Keep, &stamp)?);
        return Ok(());
    }

    let data_key = DataKey::generate().map_err(WrapError::from)?;
    let metadata = wrapped(context, new, &data_key)?;
    let selector = metadata.selector();
    let plan = Plan {
        metadata,
        data_key: &data_key,
        output,
        layout,
        previous: None,
        allow_nothing_selected: allow,
    };
    let sealed = context.encrypt(path, document, plan)?;
    if !context.personality.refuses_empty_selection() && !has_sealed_values(output, &sealed) {
        let (field, value) = selector.field();
        context.ui.warn(format_args!(
            "{}: the rule `{field}: {value}` covers none of the file's values; nothing is encrypted",
            path.display()
        ));
    }
    match target {
        Some((target, stamp)) => {
            context.tell(&io::write_atomic_if_unchanged(&target, &sealed, Mode::Keep, &stamp)?);
            Ok(())
        }
        None => write(context, arguments.writing.output.as_deref(), &sealed),
    }
}

fn write(context: &Context, output: Option<&Path>, text: &[u8]) -> Result<(), CliError> {
    match output {
        Some(path) => context.tell(&io::write_atomic(path, text, Mode::Keep)?),
        None => io::write_stdout(text)?,
    }
    Ok(())
}

/// Returns the format of the output where none is given: that of the name, as in SOPS, or that of
/// the input.
fn output_format(
    context: &Context,
    name: &Path,
    input: &'static dyn FileFormat,
) -> &'static dyn FileFormat {
    if context.personality.understands_names() { input } else { context.format_by_name(name) }
}

/// Looks at a text that may be encrypted already. Returns it if it is, with nothing in clear; no
/// key is needed for that.
fn in_order<'t>(
    context: &Context,
    arguments: &EncryptArgs,
    path: &Path,
    name: &Path,
    text: &'t SecretBytes,
) -> Result<Option<&'t [u8]>, CliError> {
    let format = match arguments.types.input() {
        Some(format) => {
            Some(format).filter(|format| format.container().unwrap_or(*format).sniff(text))
        }
        None => format::by_content(text, &name.to_string_lossy()),
    };
    let Some(format) = format else { return Ok(None) };
    let encrypted = match EncryptedFile::parse(format, SecretBytes::from(&**text)) {
        Ok(encrypted) => encrypted,
        // It only looked like one: parsing it as plain text says what is wrong.
        Err(FileError::Syntax(_) | FileError::NotEncrypted) => return Ok(None),
        Err(failure) => return Err(error::decrypt(path, failure, &context.credentials)),
    };
    let clear = encrypted.in_clear().values;
    if clear.is_empty() {
        return Ok(Some(text));
    }
    let message = "the file is encrypted, but values that its rule covers stand in clear; \
                   its MAC does not cover them";
    let mut report = CliError::new(Exit::Generic, "clear-values", message).in_file(path);
    for leaf in clear.leaves {
        let place = leaf.position.map(|p| format!(" (line {}, column {})", p.line, p.column));
        report = report.detail(format!("  {}{}", leaf.path, place.unwrap_or_default()));
    }
    if clear.others > 0 {
        report = report.detail(format!("  and {} more", clear.others));
    }
    let edit = "take them out of the file, and put them in with: encfile edit";
    Err(report.help(format!("{edit} {}", path.display())))
}

/// An encrypted file that is to be written again.
struct Existing {
    metadata: Metadata,
    data_key: DataKey,
    previous: Previous,
    stamp: Stamp,
}

/// Opens the encrypted file that is at the output already, if there is one.
fn existing_output(
    context: &Context,
    path: &Path,
    new: &NewFile,
) -> Result<Option<Existing>, CliError> {
    let target = context.env.absolute(path);
    if !target.is_file() {
        return Ok(None);
    }
    let (text, stamp) = io::read_with_stamp(&target)?;
    let Some(format) = format::by_content(&text, &path.to_string_lossy()) else {
        return Ok(None);
    };
    let advice = "to replace the file and its data key: --new-data-key";
    let mut file = match EncryptedFile::parse(format, text) {
        Ok(file) => file,
        Err(FileError::Syntax(_) | FileError::NotEncrypted) => return Ok(None),
        Err(failure) => {
            return Err(error::decrypt(path, failure, &context.credentials).help(advice));
        }
    };
    if !same_policy(file.metadata(), new) {
        let message = "the encrypted output is for other keys, or under another rule, than the \
                       new one would be";
        return Err(CliError::new(Exit::Generic, "other-policy", message)
            .in_file(path)
            .help(advice));
    }
    let named = new.groups.iter().flat_map(|group| &group.keys).map(|key| Arc::clone(&key.key));
    file.adopt(&named.collect::<Vec<_>>());
    let (opened, data_key) = context
        .open(file, (path, path), false, DEFAULT_DECRYPTION_ORDER)
        .map_err(|report| report.help(advice))?;
    let (metadata, previous) =
        opened.into_previous().map_err(|failure| error::encrypt(path, failure))?;
    Ok(Some(Existing { metadata, data_key, previous, stamp }))
}

/// Returns whether a file is encrypted for the same keys and by the same rule as a new one.
fn same_policy(metadata: &Metadata, new: &NewFile) -> bool {
    let identities = |groups: &[KeyGroup]| -> Vec<Vec<(String, String)>> {
        groups
            .iter()
            .map(|group| {
                let key = |key: &keys::WrappedKey| {
                    (key.key.kind().to_owned(), key.key.identity().to_owned())
                };
                let mut keys: Vec<_> = group.keys.iter().map(key).collect();
                keys.sort();
                keys
            })
            .collect()
    };
    let needed = |groups: &[KeyGroup], threshold| keys::needed_groups(groups.len(), threshold);
    let (old, wanted) = (identities(&metadata.groups), identities(&new.groups));
    let is_same = |old: &(String, String), new: &(String, String)| {
        old.0 == new.0 && keys::is_same_key(&old.0, &old.1, &new.1)
    };
    old.len() == wanted.len()
        && old.iter().zip(&wanted).all(|(old, new)| {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        })
        && needed(&metadata.groups, metadata.shamir_threshold) == needed(&new.groups, new.threshold)
        && metadata.selector() == new.selector.clone().unwrap_or_default()
        && metadata.mac_only_encrypted == new.mac_only_encrypted
}

/// Wraps a data key for the keys of a new file.
///
/// # Errors
/// If a key fails.
pub(super) fn wrapped(
    context: &Context,
    new: NewFile,
    data_key: &DataKey,
) -> Result<Metadata, CliError> {
    let mut metadata = Metadata::new(new.groups, context.env.now());
    metadata.shamir_threshold = new.threshold;
    metadata.selector = new.selector;
    metadata.mac_only_encrypted = new.mac_only_encrypted;
    keys::wrap_all(
        &mut metadata.groups,
        metadata.shamir_threshold,
        data_key,
        &context.credentials,
    )?;
    Ok(metadata)
}

/// Returns whether an encrypted text has any encrypted value.
fn has_sealed_values(format: &'static dyn FileFormat, text: &[u8]) -> bool {
    EncryptedFile::parse(format, SecretBytes::from(text)).is_ok_and(|file| file.has_sealed_values())
}
