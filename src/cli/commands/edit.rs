//! `edit`: decrypt into private memory, let the user edit, encrypt what changed.

use std::fs;
use std::path::Path;

use crate::cli::args::EditArgs;
use crate::cli::change::Subject;
use crate::cli::commands::encrypt::wrapped;
use crate::cli::commands::{checked_files, no_file};
use crate::cli::context::Context;
use crate::cli::creation_rule;
use crate::cli::editing;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io::Stamp;
use crate::cli::rekey::{self, Rekeyed};
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{self, FileError, Previous};
use crate::format::{FileFormat, SyntaxError};
use crate::keys::{WrapError, WrappedKey};
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::tree::{NodeKind, Tree};

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &EditArgs,
) -> Result<Exit, CliError> {
    let files = checked_files(context, &arguments.files, None)?;
    let Some(path) = files.first() else { return Err(no_file()) };
    let target = context.env.absolute(path);
    let mut editing = if fs::metadata(&target).is_ok() {
        existing(context, arguments, path)?
    } else {
        new(context, config, arguments, path)?
    };
    let mut session = editing::start(context, &editing.text, path)?;
    let Accepted { document, block } =
        match editing::until_accepted(context, &mut session, |text| {
            parse(context, &editing, text).map_err(|problem| problem.report(path))
        }) {
            Ok(Some(edited)) => edited,
            Ok(None) => return unchanged(context),
            Err(failure) => {
                let saved = session.take_unsaved();
                drop(session);
                let (report, text) = failure.report(context);
                return Err(keep(context, &editing, text.or(saved), report));
            }
        };
    // From here on Ctrl-C ends the program again, and the private file is gone.
    drop(session);
    let text = SecretBytes::from(document.text());
    let accepted = arguments.accepting.accept_recipients;
    let saved = adopt(context, &mut editing.file, block, accepted)
        .and_then(|()| seal(context, &mut editing.file, arguments, document))
        .and_then(|sealed| editing.file.write(context, &sealed));
    match saved {
        Ok(()) => Ok(Exit::Success),
        Err(report) => Err(keep(context, &editing, Some(text), report)),
    }
}

/// What is edited.
struct Editing {
    file: Subject,
    /// What the editor begins with.
    text: SecretBytes,
    /// Whether the metadata is shown, and may be changed.
    shows_metadata: bool,
}

/// A text that can be encrypted.
struct Accepted {
    document: Document,
    /// The metadata and its block, if they were changed.
    block: Option<(Metadata, SecretBytes)>,
}

fn existing(context: &Context, arguments: &EditArgs, path: &Path) -> Result<Editing, CliError> {
    let mut file = Subject::open(context, path, &arguments.types, &arguments.opening)?;
    if context.personality.raises_version() {
        file.raise_version();
    }
    let shows_metadata = shows_metadata(arguments, file.format)?;
    let text = match &file.previous {
        Some(previous) if shows_metadata => previous
            .text_with_metadata(file.format)
            .map_err(|failure| error::encrypt(path, failure))?,
        _ => SecretBytes::from(file.text()),
    };
    Ok(Editing { file, text, shows_metadata })
}

fn new(
    context: &Context,
    config: Option<&Path>,
    arguments: &EditArgs,
    path: &Path,
) -> Result<Editing, CliError> {
    let format = arguments.types.input().unwrap_or_else(|| context.format_by_name(path));
    let asked = (&arguments.keys, &arguments.rule);
    let new = creation_rule::for_file(context, config, path, format, asked)?;
    let data_key = DataKey::generate().map_err(WrapError::from)?;
    let output = arguments.types.output().unwrap_or(format);
    let layout = arguments.types.indent.layout(output, new.layout.indent)?;
    let metadata = wrapped(context, new, &data_key)?;
    let file = Subject {
        path: path.to_owned(),
        format,
        output,
        layout,
        metadata,
        data_key,
        previous: None,
        stamp: Stamp::absent(),
    };
    // There is no metadata to show yet but what the rule says.
    Ok(Editing { file, text: SecretBytes::from(format.template()), shows_metadata: false })
}

fn shows_metadata(arguments: &EditArgs, format: &'static dyn FileFormat) -> Result<bool, CliError> {
    if arguments.show_master_keys && format.container().is_some() {
        let message = "a binary file has no place to show its metadata in";
        return Err(CliError::new(Exit::Conflict, "conflict", message));
    }
    Ok(arguments.show_master_keys)
}

/// Takes over metadata that was changed in the editor. Keys that are new there are wrapped for.
fn adopt(
    context: &Context,
    file: &mut Subject,
    changed: Option<(Metadata, SecretBytes)>,
    accepted: bool,
) -> Result<(), CliError> {
    let Some((mut metadata, block)) = changed else { return Ok(()) };
    let keys = |metadata: &Metadata| -> Vec<Vec<(String, Option<String>)>> {
        let key = |key: &WrappedKey| (key.key.identity().to_owned(), key.wrapped.clone());
        metadata.groups.iter().map(|group| group.keys.iter().map(key).collect()).collect()
    };
    let same = keys(&metadata) == keys(&file.metadata)
        && metadata.shamir_threshold == file.metadata.shamir_threshold;
    if !same {
        let config = context.config.as_deref();
        creation_rule::adopt_keys(context, config, &file.path, &mut metadata.groups);
        let rekeyed = Rekeyed {
            path: &file.path,
            name: &file.path,
            metadata: &metadata,
            named: &[],
            values: None,
        };
        rekey::check(context, config, rekeyed, accepted)?;
        rekey::wrap_added(context, &file.metadata, &mut metadata, &file.data_key)?;
    }
    if let Some(previous) = &mut file.previous {
        previous.set_block(same.then_some(block));
    }
    file.metadata = metadata;
    Ok(())
}

/// What is wrong with an edited text.
enum Problem {
    Syntax(SyntaxError),
    /// An entry where the metadata goes.
    Metadata,
    /// The metadata, which is shown, is not usable any more.
    Unusable(FileError),
    Empty,
}

impl Problem {
    fn report(&self, path: &Path) -> CliError {
        match self {
            Problem::Syntax(failure) => error::syntax(path, failure),
            Problem::Metadata => {
                let message = "the text has an entry called `sops`, where the metadata goes";
                CliError::new(Exit::AlreadyEncrypted, "sops-entry", message).in_file(path)
            }
            Problem::Unusable(failure) => {
                let message = format!("SOPS metadata is invalid: {failure}");
                CliError::new(Exit::Generic, "metadata", message).in_file(path)
            }
            Problem::Empty => {
                let message = "the text has no value; an empty file is not written";
                CliError::new(Exit::Generic, "empty", message).in_file(path)
            }
        }
    }
}

fn parse(context: &Context, editing: &Editing, text: &[u8]) -> Result<Accepted, Problem> {
    let (plain, block) = if editing.shows_metadata {
        let text = SecretBytes::from(text);
        let (plain, metadata, block) =
            file::split_metadata(editing.file.format, text).map_err(|failure| match failure {
                FileError::Syntax(failure) => Problem::Syntax(failure),
                failure => Problem::Unusable(failure),
            })?;
        let old = editing.file.previous.as_ref().map(Previous::block);
        (plain, (old != Some(&*block)).then_some((metadata, block)))
    } else {
        (SecretBytes::from(text), None)
    };
    let document = Document::parse(editing.file.format, plain).map_err(Problem::Syntax)?;
    if file::has_metadata(&document) {
        return Err(Problem::Metadata);
    }
    if context.personality.refuses_empty_edit() && !has_value(document.tree()) {
        return Err(Problem::Empty);
    }
    Ok(Accepted { document, block })
}

/// Returns whether there is anything that could be a secret.
fn has_value(tree: &Tree) -> bool {
    tree.nodes().iter().any(|node| match node.kind {
        NodeKind::Text(text) => !tree.text(text).is_empty(),
        NodeKind::Map | NodeKind::List | NodeKind::Null | NodeKind::Comment { .. } => false,
        _ => true,
    })
}

fn seal(
    context: &Context,
    file: &mut Subject,
    arguments: &EditArgs,
    document: Document,
) -> Result<SecretBytes, CliError> {
    let refuses = file.previous.is_none() && context.personality.refuses_empty_selection();
    file.seal(context, document, arguments.allow_unencrypted || !refuses)
}

fn unchanged(context: &Context) -> Result<Exit, CliError> {
    let message = "File has not changed, exiting.";
    if context.personality.accepts_unchanged_edit() {
        context.ui.note(message);
        return Ok(Exit::Success);
    }
    Err(CliError::new(Exit::Unchanged, "unchanged", message))
}

/// Keeps a text that could not be saved.
fn keep(
    context: &Context,
    editing: &Editing,
    text: Option<SecretBytes>,
    report: CliError,
) -> CliError {
    let text = text.filter(|text| **text != *editing.text);
    let file = &editing.file;
    editing::keep(context, &file.path, (&file.metadata, &file.data_key), text, report)
}
