//! Which config, which rule: where a file is published to.

use std::path::Path;

use crate::cli::config_file::{self, Found};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::config::{Destination, DestinationRule, relative};

/// Returns the destination rule of the file called `name`, and its destination.
///
/// # Errors
/// If there is no config, or it is not usable, or has no destination for the file.
pub fn of_file(
    context: &Context,
    config: Option<&Path>,
    name: &Path,
) -> Result<(DestinationRule, Destination), CliError> {
    let file = context.env.absolute(name);
    let failed = |code, message: &str| CliError::new(Exit::Generic, code, message).in_file(name);
    let Some(Found { config, path }) = config_file::find(context, config, &file)? else {
        return Err(failed("no-config", "config file not found").help(
            "put a file called `.sops.yaml` with `destination_rules` at the top of the project",
        ));
    };
    let known_as = if context.personality.matches_destinations_from_config() {
        relative(path.parent().unwrap_or(Path::new("")), &file)
    } else {
        name.to_string_lossy().into_owned()
    };
    let rule = config.destination_rules.into_iter().find(|rule| rule.matches(&known_as));
    let Some(mut rule) = rule else {
        let message = "error loading config: no matching destination found in config";
        return Err(failed("no-rule", message).help(format!(
            "add a destination rule whose `path_regex` matches `{known_as}` to {}",
            path.display()
        )));
    };
    match rule.destination.take() {
        Some(destination) => Ok((rule, destination)),
        None => Err(failed("no-destination", "no destination configured for this file").help(
            format!(
                "name an `s3_bucket`, a `gcs_bucket` or a `vault_path` in destination rule {} of {}",
                rule.number,
                path.display()
            ),
        )),
    }
}
