//! `set` and `unset`: one value of an encrypted file, without an editor.

use std::path::Path;

use crate::cli::args::{ChangeArgs, SetArgs, UnsetArgs};
use crate::cli::change::Subject;
use crate::cli::context::Context;
use crate::cli::creation_rule::{self, RuleFor};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io::{self, IoError};
use crate::document::{ChangeError, Changed, Document};
use crate::file::{self, FileError};
use crate::format::json;
use crate::secret::SecretBytes;
use crate::tree::Tree;
use crate::tree::path::{TreePath, TreePathError};

/// Runs `set`.
///
/// # Errors
/// If an argument is not usable, or the file cannot be changed.
pub fn set(
    context: &Context,
    config: Option<&Path>,
    arguments: &SetArgs,
) -> Result<Exit, CliError> {
    if arguments.value_file && arguments.value_stdin {
        let message = "cannot use both --value-file and --value-stdin";
        return Err(CliError::new(Exit::Generic, "conflict", message).usage());
    }
    let (file, path) = match (&arguments.file, &arguments.path, &arguments.value) {
        (Some(file), Some(path), None) if arguments.value_stdin => (file, path),
        (Some(file), Some(path), Some(_))
            if arguments.rest.is_empty() && !arguments.value_stdin =>
        {
            (file, path)
        }
        _ => return Err(missing(arguments)),
    };
    let path = tree_path(context, path, "Invalid set index format")?;
    let value = json::parse_value(value(context, arguments)?).map_err(|_| {
        // Where it is wrong would tell a part of what may be a secret.
        let message = "Value for --set is not valid JSON";
        CliError::new(Exit::SetFormat, "value", message)
            .help("a text needs quotes of its own: '\"text\"'")
    })?;
    let change = |document: &Document| document.set(&path, &value);
    let check = |subject: &Subject, changed: &Changed| {
        if arguments.allow_unencrypted || !context.personality.compares_rules() {
            return Ok(());
        }
        check_rule(context, config, subject, changed)
    };
    changed(context, file, &arguments.change, change, check)
}

/// Runs `unset`.
///
/// # Errors
/// If an argument is not usable, or the file cannot be changed.
pub fn unset(context: &Context, arguments: &UnsetArgs) -> Result<Exit, CliError> {
    let (Some(file), Some(path), true) =
        (&arguments.file, &arguments.path, arguments.rest.is_empty())
    else {
        let message = "no file specified, or index is missing";
        return Err(CliError::new(Exit::NoFile, "arguments", message));
    };
    let path = tree_path(context, path, "Invalid unset index format")?;
    changed(context, file, &arguments.change, |document| document.unset(&path), |_, _| Ok(()))
}

/// Changes one value of a file and writes it back.
fn changed(
    context: &Context,
    path: &Path,
    arguments: &ChangeArgs,
    change: impl FnOnce(&Document) -> Result<Changed, ChangeError>,
    check: impl FnOnce(&Subject, &Changed) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    let mut subject = Subject::open(context, path, &arguments.types, &arguments.opening)?;
    let text = SecretBytes::from(subject.text());
    let old = Document::parse(subject.format, text).map_err(|e| error::syntax(path, &e))?;
    let changed = match change(&old) {
        Ok(changed) => changed,
        Err(ChangeError::Path(
            TreePathError::NotFound { .. } | TreePathError::OutOfBounds { .. },
        )) if arguments.idempotent => return Ok(Exit::Success),
        Err(failure) => return Err(refused(path, failure)),
    };
    let is_same = changed.document.tree().has_same_values(old.tree());
    if is_same && (arguments.idempotent || context.personality.accepts_unchanged_edit()) {
        context.ui.note(format_args!("{} is so already; nothing was written", path.display()));
        return Ok(Exit::Success);
    }
    if file::has_metadata(&changed.document) {
        return Err(error::encrypt(path, FileError::AlreadyEncrypted));
    }
    check(&subject, &changed)?;
    if !changed.in_place {
        context.ui.warn(format_args!(
            "{}: the change has no place in the text as it is laid out; all of it was laid out anew",
            path.display()
        ));
    }
    let sealed = subject.seal(context, changed.document, true)?;
    subject.write(context, &sealed)?;
    Ok(Exit::Success)
}

fn missing(arguments: &SetArgs) -> CliError {
    let message = if arguments.value_stdin {
        "file specified, or index and value are missing. Need precisely 2 positional arguments \
         since --value-stdin is used."
    } else {
        "no file specified, or index and value are missing. Need precisely 3 positional arguments."
    };
    CliError::new(Exit::NoFile, "arguments", message)
}

fn tree_path(context: &Context, text: &str, message: &str) -> Result<TreePath, CliError> {
    let read = if context.personality.reads_short_tree_paths() {
        TreePath::parse
    } else {
        TreePath::parse_bracketed
    };
    let path = match read(text) {
        Ok(path) if path.is_root() => Err(TreePathError::Root),
        path => path,
    };
    path.map_err(|failure| {
        CliError::new(Exit::SetFormat, "tree-path", message).detail(format!("  {failure}"))
    })
}

/// Returns the text of the value.
fn value(context: &Context, arguments: &SetArgs) -> Result<SecretBytes, CliError> {
    let given = arguments.value.as_deref().unwrap_or_default();
    if arguments.value_stdin {
        Ok(io::read_stdin()?)
    } else if arguments.value_file {
        context.read_argument(Path::new(given))
    } else {
        Ok(SecretBytes::from(given))
    }
}

fn refused(path: &Path, failure: ChangeError) -> CliError {
    let failed = |message: String| CliError::new(Exit::Generic, "tree-path", message).in_file(path);
    match failure {
        // SOPS' words.
        ChangeError::Path(TreePathError::NotFound { component }) => failed(format!(
            "Key not found: {}",
            component.trim_start_matches("['").trim_end_matches("']")
        )),
        ChangeError::Path(TreePathError::OutOfBounds { index }) => {
            failed(format!("Index {index} out of bounds"))
        }
        ChangeError::Path(failure) => failed(failure.to_string()),
        ChangeError::Emit(failure) => {
            let message = format!("Could not marshal tree: {failure}");
            CliError::new(Exit::Dump, "format", message).in_file(path)
        }
        ChangeError::NoDocument => error::encrypt(path, FileError::NoDocument),
        ChangeError::Unstable => error::encrypt(path, FileError::Unstable { path: None }),
        failure => failed(failure.to_string()),
    }
}

/// Refuses a value that the file's own rule leaves in clear, where the config's would encrypt it.
fn check_rule(
    context: &Context,
    config: Option<&Path>,
    subject: &Subject,
    changed: &Changed,
) -> Result<(), CliError> {
    let tree: &Tree = changed.document.tree();
    let Some(root) = tree.documents().next() else { return Ok(()) };
    let Ok(set) = changed.path.find(tree, root) else { return Ok(()) };
    let place = set.index()..tree.node(set).end();
    if changed.document.format().container().is_some() {
        return Ok(());
    }
    let rule = subject.metadata.selector();
    let mut clear = file::left_in_clear(tree, &rule);
    clear.retain(|id| place.contains(&id.index()));
    if clear.is_empty() {
        return Ok(());
    }
    let RuleFor::Rule(asked, _) = creation_rule::of_file(context, config, &subject.path)? else {
        return Ok(());
    };
    let asked = asked.selector.unwrap_or_default();
    let allowed = file::left_in_clear(tree, &asked);
    let Some(&first) = clear.iter().find(|id| allowed.binary_search(id).is_err()) else {
        return Ok(());
    };
    let message = format!(
        "the file's own rule would leave `{}` in clear, and the config's would encrypt it",
        tree.path(first)
    );
    let (field, value) = rule.field();
    let (asked_field, asked_value) = asked.field();
    let quoted = shell_words::quote(&subject.path.to_string_lossy()).into_owned();
    Err(CliError::new(Exit::Generic, "rule", message)
        .in_file(&subject.path)
        .detail(format!("  the file:   `{field}: {value}`"))
        .detail(format!("  the config: `{asked_field}: {asked_value}`"))
        .help(format!(
            "put the file under the config's rule, and try again:\n\
             encfile decrypt {quoted} | encfile encrypt --filename-override {quoted} \
             --new-data-key --output {quoted}\n\
             or store it in clear: --allow-unencrypted"
        )))
}

impl Context {
    /// Reads a file that holds a value.
    fn read_argument(&self, path: &Path) -> Result<SecretBytes, CliError> {
        io::read_file(&self.env.absolute(path)).map_err(|failure| match failure {
            IoError::NotFound { .. } => {
                let message = format!("open {}: no such file or directory", path.display());
                CliError::new(Exit::Generic, "no-file", message)
            }
            failure => failure.into(),
        })
    }
}
