//! Letting the user edit a text until it can be saved, and keeping what could not be: what `edit`
//! and `mergetool` have in common.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::editor::{EditSession, Edited, EditorCommand, EditorError};
use crate::cli::env;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Mode};
use crate::cli::os;
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{self, FileError, Plan};
use crate::format::{Layout, binary::Binary};
use crate::metadata::Metadata;
use crate::number;
use crate::secret::SecretBytes;

/// Puts `text` into private memory for the user's editor, under the name of `path`.
///
/// # Errors
/// If there is no editor, or no place for the text.
pub fn start(context: &Context, text: &[u8], path: &Path) -> Result<EditSession, CliError> {
    let command = EditorCommand::from_env(
        context.env.raw(env::SOPS_EDITOR).as_deref(),
        context.env.raw(env::EDITOR).as_deref(),
        context.env.raw("PATH").as_deref(),
    )?;
    let session = EditSession::new(
        command,
        text,
        path,
        context.env.path("XDG_RUNTIME_DIR").as_deref(),
        &context.env.temporary_directory(),
    )?;
    if session.on_disk() {
        context
            .ui
            .warn("there is no memory-backed directory; the text is on a disk while you edit");
    }
    Ok(session)
}

/// Why editing ended without a text that can be saved.
#[derive(Debug)]
pub enum Failure {
    /// The editor failed.
    Editor(EditorError),
    /// A text that was not accepted.
    Text(CliError, SecretBytes),
}

impl Failure {
    /// Returns what to say, and the text, if there is one.
    pub fn report(self, context: &Context) -> (CliError, Option<SecretBytes>) {
        match self {
            Failure::Text(report, text) => (report, Some(text)),
            Failure::Editor(EditorError::Interrupted { signal }) => {
                let exit = if context.personality.exits_with_signal() {
                    Exit::Signal(u8::try_from(signal).unwrap_or(0))
                } else {
                    Exit::Generic
                };
                (CliError::new(exit, "interrupted", "User canceled operation"), None)
            }
            Failure::Editor(error) => (error.into(), None),
        }
    }
}

/// Lets the user edit until `accept` takes the text; `None` if it is unchanged.
///
/// # Errors
/// If the editor fails, or nobody is there to edit again a text that is not accepted.
pub fn until_accepted<T>(
    context: &Context,
    session: &mut EditSession,
    accept: impl Fn(&[u8]) -> Result<T, CliError>,
) -> Result<Option<T>, Failure> {
    loop {
        let text = match session.run().map_err(Failure::Editor)? {
            Edited::Unchanged => return Ok(None),
            Edited::Changed(text) => text,
        };
        let report = match accept(&text) {
            Ok(accepted) => return Ok(Some(accepted)),
            Err(report) => report,
        };
        if !os::stdin_is_terminal() {
            return Err(Failure::Text(report, text));
        }
        context.ui.line(report.render(context.personality));
        context.ui.line("Press enter to return to the editor, or Ctrl+C to exit.");
        if !session.wait_for_enter().map_err(Failure::Editor)? {
            return Err(Failure::Text(report, text));
        }
    }
}

/// Keeps a text that could not be saved: encrypted as a binary file, for the keys of the file.
pub fn keep(
    context: &Context,
    path: &Path,
    keys: (&Metadata, &DataKey),
    text: Option<SecretBytes>,
    report: CliError,
) -> CliError {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return report };
    match try_keep(context, path, keys, text) {
        Ok(kept) => report.help(format!(
            "your text was kept, encrypted, as an unsaved file; to see it: encfile decrypt {}",
            shell_words::quote(&kept.to_string_lossy())
        )),
        Err(failure) => report
            .detail(format!("the text could not be kept: {}", failure.render(context.personality))),
    }
}

fn try_keep(
    context: &Context,
    path: &Path,
    (metadata, data_key): (&Metadata, &DataKey),
    text: SecretBytes,
) -> Result<PathBuf, CliError> {
    let failed = |message: String| CliError::new(Exit::Output, "unsaved", message);
    let Some(directory) = context.env.unsaved_directory() else {
        return Err(failed("there is no home directory".to_owned()));
    };
    os::create_private_directories(&directory)
        .map_err(|error| failed(format!("{}: {error}", directory.display())))?;
    let now = context.env.now();
    let document = Document::parse(&Binary, text).map_err(|error| failed(error.to_string()))?;
    let plan = Plan {
        metadata: metadata.for_binary(now),
        data_key,
        output: &Binary,
        layout: Layout::default(),
        previous: None,
        allow_nothing_selected: true,
    };
    let sealed = file::encrypt(document, plan).map_err(|e: FileError| failed(e.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let time = number::rfc3339_seconds(now).replace([':', '-'], "");
    let kept = directory.join(format!("{name}.{time}.{}", std::process::id()));
    io::write_atomic(&kept, &sealed, Mode::Private)?;
    Ok(kept)
}
