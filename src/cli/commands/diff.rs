//! `diff`: which values of encrypted files differ, by their tree paths.
//!
//! What can be opened on both sides is compared in clear. Where a side cannot be opened, both are
//! compared by their ciphertexts: that says which values changed, and not how.

mod report;
mod sides;

use std::path::Path;

use crate::check::conflict_marker;
use crate::cli::ahead::Ahead;
use crate::cli::args::DiffArgs;
use crate::cli::commands::diff::report::{How, Report};
use crate::cli::commands::diff::sides::{Pair, Sides, Version};
use crate::cli::context::{Context, decryption_order};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::crypt::data_key::DataKey;
use crate::diff::Differences;
use crate::diff::metadata::{MetadataChange, metadata_changes};
use crate::document::Document;
use crate::file::{EncryptedFile, FileError};
use crate::format::{self, FileFormat};
use crate::secret::SecretBytes;
use crate::tree::Tree;

/// Runs the command. As other programs of that name it ends with 0 where nothing differs, with 1
/// where something does, and with 2 where that could not be found out.
pub fn run(context: &Context, arguments: &DiffArgs) -> Result<Exit, CliError> {
    compare_all(context, arguments).map_err(|error| error.with_exit(Exit::Input))
}

fn compare_all(context: &Context, arguments: &DiffArgs) -> Result<Exit, CliError> {
    let order = arguments.order.decryption_order.as_deref();
    let order = decryption_order(context.personality, order)?;
    let mut sides = Sides::find(context, arguments)?;
    ask_ahead(context, &order, &mut sides);
    let mut report = Report::new(context, arguments);
    let mut exit = Exit::Success;
    for pair in std::mem::take(&mut sides.pairs) {
        match compare(context, &order, &mut sides, &mut report, &pair) {
            Ok(true) if exit == Exit::Success => exit = Exit::Generic,
            Ok(_) => {}
            Err(failure) => {
                context.ui.line(failure.render(context.personality));
                exit = Exit::Input;
            }
        }
    }
    report.finish()?;
    Ok(exit)
}

/// Asks for the data keys of all versions, if there are several files.
fn ask_ahead(context: &Context, order: &[&str], sides: &mut Sides) {
    if sides.pairs.len() < 2 {
        return;
    }
    let mut ahead = Ahead::new(context);
    let pairs = std::mem::take(&mut sides.pairs);
    for version in pairs.iter().flat_map(|pair| [&pair.old, &pair.new]) {
        if let Ok(Some(text)) = sides.read(version) {
            ahead.add_text(&text, &version.path, None);
        }
    }
    sides.pairs = pairs;
    ahead.ask(order);
}

/// Compares two versions; returns whether they differ.
fn compare(
    context: &Context,
    order: &[&str],
    sides: &mut Sides,
    report: &mut Report,
    pair: &Pair,
) -> Result<bool, CliError> {
    let texts = [sides.read(&pair.old)?, sides.read(&pair.new)?];
    let versions = [&pair.old, &pair.new];
    let formats = [0, 1].map(|at| {
        let text: &[u8] = texts[at].as_deref().unwrap_or_default();
        format::by_content(text, &versions[at].path.to_string_lossy())
    });
    let known = formats[0].or(formats[1]);
    if known.is_none() && !pair.is_named {
        return Ok(false);
    }
    let mut read = [None, None];
    for at in [0, 1] {
        let Some(text) = &texts[at] else { continue };
        let own = formats[at].or(known);
        let format = own.unwrap_or_else(|| context.format_by_name(&versions[at].path));
        read[at] = side(versions[at], format, text, context)?;
    }
    let keys = [0, 1].map(|at| key(context, order, versions[at], read[at].as_ref()));
    let mut opened = [None, None];
    let mut obstacle = None;
    for at in [0, 1] {
        let (Some(side), Some(text)) = (&read[at], &texts[at]) else { continue };
        match (side, &keys[at]) {
            (Side::Sealed(file), Ok(Some(key))) => {
                match plain(context, versions[at], file.format(), text, key) {
                    Ok(document) => opened[at] = Some(document),
                    Err(failure) => obstacle = Some((versions[at], failure)),
                }
            }
            (Side::Sealed(_), Err(failure)) => {
                obstacle = Some((versions[at], failure.to_string()));
            }
            _ => {}
        }
    }
    if let Some((version, reason)) = &obstacle {
        context.ui.note(format_args!(
            "{}: compared by ciphertexts, since its values cannot be decrypted: {reason}",
            version.label
        ));
        opened = [None, None];
    }
    let empty = Tree::default();
    let trees = [0, 1].map(|at| match (&opened[at], &read[at]) {
        (Some(document), _) | (None, Some(Side::Plain(document))) => document.tree(),
        (None, Some(Side::Sealed(file))) => file.tree(),
        (None, None) => &empty,
    });
    let values = Differences::between(trees[0], trees[1]);
    let metadata = changes_of_metadata(&read);
    let differ =
        !values.is_empty() || !metadata.is_empty() || texts[0].is_some() != texts[1].is_some();
    if differ {
        let binary = known.is_some_and(|format| format.container().is_some());
        let how = How { by_ciphertext: obstacle.is_some(), binary };
        let exist = texts.each_ref().map(Option::is_some);
        report.add(pair, how, exist, &values, &metadata);
    }
    Ok(differ)
}

/// A version as it was read.
enum Side {
    Plain(Document),
    Sealed(Box<EncryptedFile>),
}

/// Reads a version; `None` for a text without anything in it.
fn side(
    version: &Version,
    format: &'static dyn FileFormat,
    text: &[u8],
    context: &Context,
) -> Result<Option<Side>, CliError> {
    let path = Path::new(&version.label);
    let failed = |failure| {
        let conflict = conflict_marker(text);
        let report = error::decrypt(path, failure, &context.credentials);
        if conflict.is_some() {
            return report.help(format!("to resolve it: encfile mergetool {}", version.label));
        }
        report
    };
    match EncryptedFile::parse(format, SecretBytes::from(text)) {
        Ok(file) => Ok(Some(Side::Sealed(Box::new(file)))),
        Err(FileError::NotEncrypted) => Document::parse(format, SecretBytes::from(text))
            .map(|document| Some(Side::Plain(document)))
            .map_err(|failure| failed(failure.into())),
        Err(FileError::NoDocument) => Ok(None),
        // What is not encrypted may be of another format than its name says.
        Err(FileError::Syntax(failure)) => match format.container() {
            Some(_) => Document::parse(format, SecretBytes::from(text))
                .map(|document| Some(Side::Plain(document)))
                .map_err(|failure| failed(failure.into())),
            None => Err(failed(failure.into())),
        },
        Err(failure) => Err(failed(failure)),
    }
}

/// Returns the data key of a version; `None` if it has none.
fn key(
    context: &Context,
    order: &[&str],
    version: &Version,
    side: Option<&Side>,
) -> Result<Option<DataKey>, FileError> {
    match side {
        Some(Side::Sealed(file)) => context.data_key(file, &version.path, order).map(Some),
        _ => Ok(None),
    }
}

/// Decrypts a version. That its MAC is not right is said, and no reason not to compare it.
fn plain(
    context: &Context,
    version: &Version,
    format: &'static dyn FileFormat,
    text: &[u8],
    key: &DataKey,
) -> Result<Document, String> {
    let parse = || EncryptedFile::parse(format, SecretBytes::from(text));
    let opened = match parse().and_then(|file| file.decrypt(key)) {
        Err(
            failure
            @ (FileError::MacMismatch | FileError::MacMissing | FileError::MacUnreadable(_)),
        ) => {
            context.ui.warn(format_args!("{}: {failure}", version.label));
            parse().and_then(|file| file.decrypt_ignoring_mac(key))
        }
        opened => opened,
    };
    let text = opened.map_err(|failure| reason(&failure))?.text().map_err(|e| e.to_string())?;
    Document::parse(format, text).map_err(|failure| failure.to_string())
}

fn reason(failure: &FileError) -> String {
    match failure {
        FileError::Value { path, error, .. } => format!("{path}: {error}"),
        failure => failure.to_string(),
    }
}

fn changes_of_metadata(sides: &[Option<Side>; 2]) -> Vec<MetadataChange> {
    let metadata = sides.each_ref().map(|side| match side {
        Some(Side::Sealed(file)) => Some(file.metadata()),
        _ => None,
    });
    match (&sides[0], &sides[1]) {
        (Some(_), Some(_)) => metadata_changes(metadata[0], metadata[1]),
        // A file that is new, or gone, has no other recipients than before.
        _ => Vec::new(),
    }
}
