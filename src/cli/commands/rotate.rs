//! `rotate`: a new data key, for more or fewer keys if asked.

use std::path::Path;
use std::sync::Arc;

use crate::cli::ahead;
use crate::cli::args::RotateArgs;
use crate::cli::audit::Action;
use crate::cli::change;
use crate::cli::commands::{both_outputs, checked_files, for_each, no_file};
use crate::cli::context::{Context, decryption_order};
use crate::cli::creation_rule;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::rekey::{self, Rekeyed};
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{DecryptedFile, Plan};
use crate::format::FileFormat;
use crate::keys::{self, MasterKey, WrapError, WrappedKey, wrap_all};
use crate::metadata::Metadata;

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &RotateArgs,
) -> Result<Exit, CliError> {
    if arguments.writing.in_place && arguments.writing.output.is_some() {
        return Err(both_outputs());
    }
    let files = checked_files(context, &arguments.files, Some(arguments.writing.in_place))?;
    if files.is_empty() {
        return Err(no_file());
    }
    let changes = Changes { added: arguments.add.keys()?, removed: arguments.remove.keys()? };
    let order = arguments.opening.order.decryption_order.as_deref();
    if arguments.filename_override.is_none() {
        ahead::of_files(context, &files, order, arguments.types.input());
    }
    for_each(context, &files, |path| one(context, config, arguments, &changes, path))
}

/// The keys to add and to remove.
struct Changes {
    added: Vec<Arc<dyn MasterKey>>,
    removed: Vec<Arc<dyn MasterKey>>,
}

fn one(
    context: &Context,
    config: Option<&Path>,
    arguments: &RotateArgs,
    changes: &Changes,
    path: &Path,
) -> Result<(), CliError> {
    let name = arguments.filename_override.as_deref().unwrap_or(path);
    if !context.env.absolute(path).exists() {
        return Err(missing(context, path, changes));
    }
    let order =
        decryption_order(context.personality, arguments.opening.order.decryption_order.as_deref())?;
    let (text, stamp) = context.read_with_stamp(path)?;
    let mut file = context.parse_encrypted(text, path, name, arguments.types.input())?;
    file.adopt(&changes.added);
    file.adopt(&changes.removed);
    context.record(Action::Rotate, path)?;
    let (opened, _) = context.open(file, (path, name), arguments.opening.ignore_mac, &order)?;

    let mut metadata = opened.metadata().clone();
    remove(context, path, &changes.removed, &mut metadata)?;
    add(context, &changes.added, &mut metadata);
    let (named, values) = (&changes.added[..], Some(&opened));
    let file = Rekeyed { path, name, metadata: &metadata, named, values };
    rekey::check(context, config, file, arguments.accepting.accept_recipients)?;
    metadata.last_modified = context.env.now();

    let data_key = DataKey::generate().map_err(WrapError::from)?;
    let threshold = metadata.shamir_threshold;
    creation_rule::adopt_keys(context, config, name, &mut metadata.groups);
    wrap_all(&mut metadata.groups, threshold, &data_key, &context.credentials)
        .map_err(|error| CliError::from(error).in_file(path))?;
    let output = arguments.types.output().unwrap_or_else(|| output_format(context, name, &opened));
    let sealed = if output == opened.format() {
        context.encrypt_anew(path, opened, metadata, &data_key)?
    } else {
        let layout = arguments.types.indent.layout(output, None)?;
        let failed = |failure| error::encrypt(path, failure);
        let text = opened.text().map_err(|failure| failed(failure.into()))?;
        let document = Document::parse(opened.format(), text);
        let plan = Plan {
            metadata: Metadata { layout: None, ..metadata },
            data_key: &data_key,
            output,
            layout,
            previous: None,
            allow_nothing_selected: true,
        };
        context.encrypt(path, document.map_err(|failure| failed(failure.into()))?, plan)?
    };
    let in_place = arguments.writing.in_place.then_some((path, &stamp));
    change::put(context, &sealed, in_place, arguments.writing.output.as_deref())
}

/// Returns the error of a file that does not exist, for which SOPS has two exit codes.
fn missing(context: &Context, path: &Path, changes: &Changes) -> CliError {
    let path = context.env.absolute(path);
    if changes.added.is_empty() && changes.removed.is_empty() {
        let message = format!("Error reading file: open {}: no such file", path.display());
        return CliError::new(Exit::Input, "no-file", message);
    }
    let message = format!(
        "cannot add or remove keys on non-existent file \"{}\", use the `edit` subcommand instead.",
        path.display()
    );
    CliError::new(Exit::KeysOfNoFile, "no-file", message)
}

/// Returns the format of the output where none is given: that of the name, as in SOPS, or that of
/// the input.
fn output_format(
    context: &Context,
    name: &Path,
    opened: &DecryptedFile,
) -> &'static dyn FileFormat {
    if context.personality.understands_names() {
        opened.format()
    } else {
        context.format_by_name(name)
    }
}

/// Removes keys from all groups.
fn remove(
    context: &Context,
    path: &Path,
    removed: &[Arc<dyn MasterKey>],
    metadata: &mut Metadata,
) -> Result<(), CliError> {
    for key in removed {
        let before = metadata.keys().count();
        for group in &mut metadata.groups {
            group.keys.retain(|other| !same(&*other.key, &**key));
        }
        if metadata.keys().count() == before && context.personality.refuses_unknown_removal() {
            let message = format!("{} is no recipient of the file", key.identity());
            return Err(CliError::new(Exit::Generic, "no-recipient", message).in_file(path));
        }
    }
    Ok(())
}

/// Adds keys to the first group, as SOPS does; those that it has stay as they are.
fn add(context: &Context, added: &[Arc<dyn MasterKey>], metadata: &mut Metadata) {
    let Some(group) = metadata.groups.first_mut() else { return };
    for key in added {
        if !group.keys.iter().any(|other| same(&*other.key, &**key)) {
            group.keys.push(WrappedKey::new(Arc::clone(key), context.env.now()));
        }
    }
}

fn same(a: &dyn MasterKey, b: &dyn MasterKey) -> bool {
    a.kind() == b.kind() && keys::is_same_key(a.kind(), a.identity(), b.identity())
}
