//! `groups add` and `groups delete`: other key groups for the same data key.

use std::path::Path;
use std::sync::Arc;

use crate::cli::args::groups::GroupsArgs;
use crate::cli::args::{GroupsAddArgs, GroupsDeleteArgs};
use crate::cli::change;
use crate::cli::context::Context;
use crate::cli::creation_rule;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::rekey::{self, Rekeyed};
use crate::keys::{DEFAULT_DECRYPTION_ORDER, KeyGroup, MasterKey, WrapError, WrappedKey, wrap_all};
use crate::metadata::Metadata;

/// Runs `groups add`.
pub fn add(
    context: &Context,
    config: Option<&Path>,
    arguments: &GroupsAddArgs,
) -> Result<Exit, CliError> {
    let keys = arguments.keys.keys()?;
    if keys.is_empty() {
        return Err(WrapError::EmptyGroup.into());
    }
    change(context, config, &arguments.groups, &keys, |metadata| {
        let now = context.env.now();
        let keys = keys.iter().map(|key| WrappedKey::new(Arc::clone(key), now)).collect();
        metadata.groups.push(KeyGroup { keys });
        Ok(())
    })
}

/// Runs `groups delete`.
pub fn delete(
    context: &Context,
    config: Option<&Path>,
    arguments: &GroupsDeleteArgs,
) -> Result<Exit, CliError> {
    let threshold = arguments.groups.shamir_secret_sharing_threshold;
    change(context, config, &arguments.groups, &[], |metadata| {
        let groups = metadata.groups.len();
        let refused = |message| Err(CliError::new(Exit::Generic, "group", message));
        if arguments.index >= groups {
            return refused(format!(
                "there is no key group {}: the file has {groups}, counted from 0",
                arguments.index
            ));
        }
        if groups == 1 {
            return refused("the last key group cannot be deleted".to_owned());
        }
        metadata.groups.remove(arguments.index);
        let left = metadata.groups.len();
        let threshold =
            threshold.filter(|&threshold| threshold > 0).unwrap_or(metadata.shamir_threshold);
        if left < threshold {
            return refused(format!(
                "removing this key group will make the Shamir threshold impossible to satisfy: \
                 Shamir threshold is {threshold}, but we only have {left} key groups"
            ));
        }
        Ok(())
    })?;
    context.ui.note(
        "the data key is the same, and recipients of the deleted group may know it; \
         for a new one: encfile rotate",
    );
    Ok(Exit::Success)
}

/// Changes the groups of a file and wraps its data key for them.
fn change(
    context: &Context,
    config: Option<&Path>,
    arguments: &GroupsArgs,
    named: &[Arc<dyn MasterKey>],
    change: impl FnOnce(&mut Metadata) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    let Some(path) = arguments.file.as_deref() else {
        let message = "Error reading file: no file specified";
        return Err(CliError::new(Exit::Input, "no-file", message).help("name it with --file"));
    };
    if !context.env.absolute(path).exists() {
        let message = format!("Error reading file: open {}: no such file", path.display());
        return Err(CliError::new(Exit::Input, "no-file", message));
    }
    let (text, stamp) = context.read_with_stamp(path)?;
    let file = context.parse_encrypted(text, path, path, arguments.types.input())?;
    let mut metadata = file.metadata().clone();
    change(&mut metadata).map_err(|error| error.in_file(path))?;
    let groups = metadata.groups.len();
    match arguments.shamir_secret_sharing_threshold {
        Some(threshold) if threshold > 0 => metadata.shamir_threshold = threshold,
        // SOPS stores the number of groups where several have no threshold of their own. A single
        // group may have one that is none for several.
        _ if metadata.shamir_threshold < 2 && groups > 1 => metadata.shamir_threshold = groups,
        _ => {}
    }
    if groups > 1 && metadata.shamir_threshold > groups {
        let message = format!(
            "the Shamir threshold is {}, and there are {groups} key groups",
            metadata.shamir_threshold
        );
        return Err(CliError::new(Exit::Generic, "group", message).in_file(path));
    }
    let rekeyed = Rekeyed { path, name: path, metadata: &metadata, named, values: None };
    rekey::check(context, config, rekeyed, arguments.accepting.accept_recipients)?;
    let data_key = context.data_key_to_wrap(&file, path, DEFAULT_DECRYPTION_ORDER)?;
    let threshold = metadata.shamir_threshold;
    creation_rule::adopt_keys(context, config, path, &mut metadata.groups);
    wrap_all(&mut metadata.groups, threshold, &data_key, &context.credentials)
        .map_err(|error| CliError::from(error).in_file(path))?;
    let text = file.with_metadata(&metadata).map_err(|failure| error::encrypt(path, failure))?;
    change::put(context, &text, arguments.in_place.then_some((path, &stamp)), None)?;
    Ok(Exit::Success)
}
