//! `repair`: make a file right again that was merged by hand, or changed by a program that knows
//! nothing of encryption.

use std::fmt::Write as _;
use std::path::Path;

use crate::check::conflict_marker;
use crate::cli::ahead;
use crate::cli::args::RepairArgs;
use crate::cli::change::replace;
use crate::cli::commands::{confirm, for_each};
use crate::cli::context::{Context, decryption_order};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::os;
use crate::cli::ui::one_line;
use crate::crypt::data_key::DataKey;
use crate::document::Document;
use crate::file::{InClear, LeafPlaces, Plan, Salvaged, UnreadableValue};
use crate::format::Layout;
use crate::metadata::Metadata;
use crate::secret::SecretBytes;
use crate::span::Position;

/// Runs the command. It ends with 1 where a file is left as it is and should not be.
pub fn run(context: &Context, arguments: &RepairArgs) -> Result<Exit, CliError> {
    let order = decryption_order(context.personality, arguments.order.decryption_order.as_deref())?;
    ahead::of_files(context, &arguments.files, arguments.order.decryption_order.as_deref(), None);
    let mut left = false;
    let exit = for_each(context, &arguments.files, |path| {
        left |= !repair(context, arguments, &order, path)?;
        Ok(())
    })?;
    Ok(if left && exit == Exit::Success { Exit::Generic } else { exit })
}

/// Repairs a file; returns whether it is right now.
fn repair(
    context: &Context,
    arguments: &RepairArgs,
    order: &[&str],
    path: &Path,
) -> Result<bool, CliError> {
    let (text, stamp) = context.read_with_stamp(path)?;
    if let Some(Position { line, .. }) = conflict_marker(&text) {
        let message = format!("git has left a conflict in line {line}");
        let quoted = path.to_string_lossy();
        return Err(CliError::new(Exit::Generic, "conflict", message)
            .in_file(path)
            .help(format!("to resolve it: encfile mergetool {}", shell_words::quote(&quoted))));
    }
    let file = context.parse_encrypted(text, path, path, None)?;
    let failed = |failure| error::decrypt(path, failure, &context.credentials);
    let data_key = context.data_key_or_report(&file, (path, path), order)?;
    let in_clear = file.in_clear();
    let salvaged = file.decrypt_what_authenticates(&data_key).map_err(failed)?;
    let shown = path.display().to_string();
    if is_right(&salvaged, &in_clear) {
        context.ui.note(format_args!("{shown}: nothing to repair"));
        return Ok(true);
    }
    io::write_stdout(findings(&shown, &salvaged, &in_clear).as_bytes())?;
    let count = salvaged.unreadable.len() + salvaged.others;
    if count > 0 && !arguments.drop_unreadable {
        let message = format!("{count} values do not authenticate; nothing was changed");
        return Err(CliError::new(Exit::DecryptTree, "unreadable", message).in_file(path).help(
            "take them from an older version of the file, or remove them: --drop-unreadable",
        ));
    }
    if !arguments.yes {
        if !os::stdin_is_terminal() {
            context.ui.note(format_args!("{shown}: left as it is; to re-seal it: --yes"));
            return Ok(false);
        }
        let question = "Re-seal the file, with the values that it has now? (y/n):";
        if !confirm(question)? {
            context.ui.note(format_args!("{shown}: left as it is"));
            return Ok(false);
        }
    }
    let sealed = reseal(context, path, salvaged, &data_key)?;
    replace(context, path, &sealed, &stamp)?;
    context.ui.note(format_args!("{shown}: re-sealed"));
    Ok(true)
}

fn is_right(salvaged: &Salvaged, in_clear: &InClear) -> bool {
    salvaged.mac.is_ok()
        && salvaged.unreadable.is_empty()
        && in_clear.values.leaves.is_empty()
        && in_clear.comments.leaves.is_empty()
}

/// Returns what is wrong, without a value.
fn findings(path: &str, salvaged: &Salvaged, in_clear: &InClear) -> String {
    let path = one_line(path);
    let place = |position: Option<Position>| match position {
        Some(Position { line, .. }) => format!("{path}:{line}"),
        None => path.to_string(),
    };
    let mut text = String::new();
    let mut line = |place: String, what: String| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{place}: {what}");
    };
    for UnreadableValue { path, position, error } in &salvaged.unreadable {
        let path = path.to_string();
        line(place(*position), format!("{} does not authenticate: {error}", one_line(&path)));
    }
    if salvaged.others > 0 {
        line(place(None), format!("{} more values do not authenticate", salvaged.others));
    }
    let LeafPlaces { leaves, others } = &in_clear.values;
    for leaf in leaves {
        let what = format!("{} stands in clear and should be encrypted", one_line(&leaf.path));
        line(place(leaf.position), what);
    }
    if *others > 0 {
        line(place(None), format!("{others} more values stand in clear"));
    }
    for leaf in &in_clear.comments.leaves {
        line(place(leaf.position), "a comment stands in clear and should be encrypted".to_owned());
    }
    if in_clear.comments.others > 0 {
        line(place(None), format!("{} more comments stand in clear", in_clear.comments.others));
    }
    for comment in salvaged.file.unreadable_comments() {
        let what = "a comment does not authenticate; it is left as it is";
        line(place(comment.position), what.to_owned());
    }
    match &salvaged.mac {
        Ok(()) => line(place(None), "the MAC is right".to_owned()),
        Err(failure) => line(place(None), failure.to_string()),
    }
    line(place(None), format!("{} values and comments authenticate", salvaged.file.opened_count()));
    text
}

/// Encrypts what there is: values that authenticate keep their ciphertexts.
fn reseal(
    context: &Context,
    path: &Path,
    salvaged: Salvaged,
    data_key: &DataKey,
) -> Result<SecretBytes, CliError> {
    let Salvaged { file, unreadable, others, .. } = salvaged;
    let format = file.format();
    let failed = |failure| error::encrypt(path, failure);
    let (metadata, mut previous) = file.into_previous().map_err(failed)?;
    let mut document = Document::parse(format, SecretBytes::from(previous.text()))
        .map_err(|failure| error::syntax(path, &failure))?;
    let several = document.tree().documents().nth(1).is_some();
    if others > 0 || (several && !unreadable.is_empty()) {
        let message = if several {
            "values of a file with several documents cannot be removed one by one"
        } else {
            "too many values do not authenticate: not much would be left of the file"
        };
        return Err(CliError::new(Exit::DecryptTree, "unreadable", message).in_file(path));
    }
    // From the end, so that the members of a list that are still to be removed keep their numbers.
    for UnreadableValue { path: place, .. } in unreadable.iter().rev() {
        document = document
            .unset(place)
            .map_err(|failure| {
                let message = format!("{place} cannot be removed: {failure}");
                CliError::new(Exit::EncryptTree, "unreadable", message).in_file(path)
            })?
            .document;
    }
    let plan = Plan {
        metadata: Metadata { last_modified: context.env.now(), ..metadata },
        data_key,
        output: format,
        layout: Layout::default(),
        previous: Some(&mut previous),
        allow_nothing_selected: true,
    };
    context.encrypt(path, document, plan)
}
