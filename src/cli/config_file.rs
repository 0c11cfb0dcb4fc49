//! Which config: the one that is named, or the nearest above a file, unless somebody may have planted
//! it there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::os::attributes;
use crate::config::{
    Config, CreationRule, IGNORED_FILE_NAME, MAX_SIZE, Strictness, candidates, relative,
};
use crate::keys::error_text;
use crate::selector::Selector;

/// A config that was found.
pub struct Found {
    /// What it says.
    pub config: Config,
    /// Where it is.
    pub path: PathBuf,
}

impl Found {
    /// Returns the rule for the file at the absolute path `file`.
    pub fn rule(&self, file: &Path) -> Option<&CreationRule> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        self.config.rule_for(&relative(directory, file))
    }
}

/// Finds the config for the file at the absolute path `file`.
///
/// # Errors
/// If it is not usable, or not surely the one that is meant.
pub fn find(
    context: &Context,
    config: Option<&Path>,
    file: &Path,
) -> Result<Option<Found>, CliError> {
    if let Some(path) = config {
        return load(context, path).map(Some);
    }
    let from_file = context.personality.searches_config_from_file();
    let working = first(context, context.env.directory(), !from_file);
    if !from_file {
        let Some(working) = working else { return Ok(None) };
        trusted(context, &working, file)?;
        return load_found(context, &working).map(Some);
    }
    let own = file.parent().and_then(|directory| first(context, directory, true));
    let Some(own) = own else {
        if let Some(other) = working {
            let message = format!(
                "the config `{}` is not above the file, and would be used by sops",
                other.display()
            );
            return Err(CliError::new(Exit::Generic, "config", message)
                .in_file(file)
                .help(format!("if it is the right one: --config {}", other.display())));
        }
        return Ok(None);
    };
    trusted(context, &own, file)?;
    let found = load_found(context, &own)?;
    if let Some(other) = working.filter(|other| *other != own) {
        // SOPS starts at the working directory: whoever uses both must get the same file.
        let disagrees = load_found(context, &other).is_ok_and(|other| {
            let (ours, theirs) = (found.rule(file), other.rule(file));
            theirs.is_some() && ours.map(effect) != theirs.map(effect)
        });
        if disagrees {
            let message = format!(
                "two configs differ for this file: `{}`, the nearest above it, and `{}`, which \
                 sops finds from the working directory",
                own.display(),
                other.display()
            );
            return Err(CliError::new(Exit::Generic, "config", message)
                .in_file(file)
                .help(format!("say which one is meant: --config {}", own.display())));
        }
    }
    Ok(Some(found))
}

/// What a rule decides: for whom, and what.
#[derive(PartialEq)]
struct Effect<'r> {
    /// Kind and text of each key, group by group.
    groups: Vec<Vec<(&'r str, &'r str)>>,
    selector: Option<&'r Selector>,
    mac_only_encrypted: bool,
    shamir_threshold: Option<u32>,
}

fn effect(rule: &CreationRule) -> Effect<'_> {
    let groups = rule
        .groups
        .iter()
        .map(|group| group.keys.iter().map(|key| (key.kind.name, key.text.as_str())).collect())
        .collect();
    Effect {
        groups,
        selector: rule.selector.as_ref(),
        mac_only_encrypted: rule.mac_only_encrypted,
        shamir_threshold: rule.shamir_threshold,
    }
}

/// Returns the nearest config from `directory` upwards.
fn first(context: &Context, directory: &Path, warns: bool) -> Option<PathBuf> {
    let mut ignored = None;
    for path in candidates(directory) {
        if fs::symlink_metadata(&path).is_ok() {
            return Some(path);
        }
        let other = path.with_file_name(IGNORED_FILE_NAME);
        if ignored.is_none() && other.exists() {
            ignored = Some(other);
        }
    }
    if let Some(ignored) = ignored.filter(|_| warns) {
        context.ui.warn(format_args!(
            "ignoring \"{}\"; the config file must be called \".sops.yaml\"",
            ignored.display()
        ));
    }
    None
}

/// Refuses a config that somebody else may have put above the file, to be among its recipients.
///
/// # Errors
/// If it is such a one.
pub fn trusted(context: &Context, config: &Path, file: &Path) -> Result<(), CliError> {
    let directory = config.parent().unwrap_or(Path::new("/"));
    let beside = file.parent().unwrap_or(Path::new("/"));
    let why = if attributes::is_shared_directory(directory) {
        "stands in a directory where every user can put one"
    } else if attributes::is_of_another_user(config, beside) {
        "belongs to another user"
    } else {
        return Ok(());
    };
    let message = format!("the config `{}` {why}", config.display());
    if !context.personality.refuses_planted_config() {
        context.ui.warn(message);
        return Ok(());
    }
    Err(CliError::new(Exit::Generic, "config", message)
        .in_file(file)
        .help(format!("if it is the right one: --config {}", config.display())))
}

/// Checks that a config that the user names is there. Also commands that need none do, so that a
/// wrong name does not stay unnoticed.
///
/// # Errors
/// If there is none.
pub fn check_named(context: &Context, config: &Path) -> Result<(), CliError> {
    match fs::metadata(context.env.absolute(config)) {
        Ok(metadata) if metadata.is_dir() => {
            Err(unreadable(config, &io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(config, &error)),
    }
}

/// Returns the error of a config that cannot be read, in SOPS' words.
fn unreadable(config: &Path, error: &io::Error) -> CliError {
    let operation = if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
    let (name, problem) = (config.display(), error_text(error));
    let message = format!("could not read config file: {operation} {name}: {problem}");
    CliError::new(Exit::Generic, "config", message)
}

/// Returns the nearest config from `directory` upwards, loaded.
///
/// # Errors
/// If it is not usable.
pub fn nearest(context: &Context, directory: &Path) -> Result<Option<Found>, CliError> {
    first(context, directory, false).map(|path| load_found(context, &path)).transpose()
}

/// Loads a config that was found: a regular file, so that a planted pipe does not stop the search.
fn load_found(context: &Context, path: &Path) -> Result<Found, CliError> {
    parse(context, path, &read_found(path)?)
}

/// Loads a config that the user names.
///
/// # Errors
/// If it is not usable.
pub fn load(context: &Context, path: &Path) -> Result<Found, CliError> {
    let path = context.env.absolute(path);
    parse(context, &path, &read(&path)?)
}

fn parse(context: &Context, path: &Path, text: &[u8]) -> Result<Found, CliError> {
    let strictness = if context.personality.refuses_unknown_fields() {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    let (config, warnings) = Config::parse(text, &path.display().to_string(), strictness)?;
    for warning in warnings {
        context.ui.warn(warning);
    }
    Ok(Found { config, path: path.to_owned() })
}

/// Reads the text of a config that was found, which must be a regular file.
///
/// # Errors
/// If it is none, or cannot be read.
pub fn read_found(path: &Path) -> Result<Vec<u8>, CliError> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return Err(unreadable(path, &io::Error::other("not a regular file")));
    }
    read(path)
}

/// Reads the text of a config.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    // One byte more than is accepted: what follows is not read, and a device has no end.
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE as u64 + 1).read_to_end(&mut text))
        .map_err(|error| unreadable(path, &error))?;
    Ok(text)
}
