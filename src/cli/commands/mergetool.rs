//! `mergetool`: resolve what the merge driver could not, in the editor.

use std::path::Path;

use crate::cli::args::MergetoolArgs;
use crate::cli::change::replace;
use crate::cli::commands::for_each;
use crate::cli::context::Context;
use crate::cli::editing;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::git::Repository;
use crate::cli::merging::{Macs, Merging, Obstacle};
use crate::document::Document;
use crate::file;
use crate::merge;
use crate::secret::SecretBytes;

/// The names behind the markers.
const NAMES: [&str; 2] = ["ours", "theirs"];

/// Runs the command.
pub fn run(context: &Context, arguments: &MergetoolArgs) -> Result<Exit, CliError> {
    for_each(context, &arguments.files, |path| resolve(context, path))
}

fn resolve(context: &Context, path: &Path) -> Result<(), CliError> {
    let (text, stamp) = context.read_with_stamp(path)?;
    let (versions, macs) = versions(context, path, &text)?;
    if macs == Macs::Ignored {
        context.ui.note("the versions are taken from the conflict markers: no MAC covers them");
    }
    let mut merging =
        Merging::new(context, path, &versions, macs).map_err(|obstacle| match obstacle {
            Obstacle::Plain => failed("no version of the file is encrypted")
                .in_file(path)
                .help("resolve the conflict as in any other file"),
            Obstacle::Error(failure) => failure,
        })?;
    let sealed = match merging.merged.theirs.take() {
        None => {
            let merged = SecretBytes::from(&*merging.merged.text);
            merging.seal(context, path, &merged)?
        }
        Some(theirs) => edited(context, path, &mut merging, &theirs)?,
    };
    replace(context, path, &sealed, &stamp)?;
    context.ui.note(format_args!("{}: resolved; now: git add", path.display()));
    Ok(())
}

/// Finds base, ours and theirs: in the index, where git has put them, else in the markers.
fn versions(
    context: &Context,
    path: &Path,
    text: &[u8],
) -> Result<([SecretBytes; 3], Macs), CliError> {
    let absolute = context.env.absolute(path);
    let directory = absolute.parent().unwrap_or(&absolute);
    if let Some(repository) = Repository::find(&context.env, directory)?
        && let Some(inside) = repository.inside(&absolute)
    {
        match repository.stages(&inside)? {
            [None, None, None] => {}
            [base, Some(ours), Some(theirs)] => {
                let mut objects = repository.objects()?;
                let mut read = |blob: &str| -> Result<SecretBytes, CliError> {
                    let gone = || failed("git does not have a version of the file any more");
                    objects.read(blob.as_bytes())?.ok_or_else(|| gone().in_file(path))
                };
                let base = match base {
                    Some(base) => read(&base)?,
                    None => SecretBytes::new(),
                };
                return Ok(([base, read(&ours)?, read(&theirs)?], Macs::Checked));
            }
            _ => {
                return Err(failed("one side removed the file, and the other changed it")
                    .in_file(path)
                    .help("to keep it: git add; to remove it: git rm"));
            }
        }
    }
    let versions = merge::versions(text).ok_or_else(|| {
        failed("there is no conflict: none in the index, and no markers in the file").in_file(path)
    })?;
    let base = versions.base.unwrap_or_default();
    Ok(([base, versions.ours, versions.theirs], Macs::Ignored))
}

/// Lets the user resolve the conflicts; returns the encrypted text.
fn edited(
    context: &Context,
    path: &Path,
    merging: &mut Merging,
    theirs: &[u8],
) -> Result<SecretBytes, CliError> {
    for conflict in &merging.merged.conflicts {
        let what = if conflict.is_empty() { "the whole file" } else { conflict };
        context.ui.note(format_args!("{}: conflict: {what}", path.display()));
    }
    let ours = &merging.merged.text;
    let marked = merge::with_markers(ours, theirs, NAMES);
    let mut session = editing::start(context, &marked, path)?;
    let accept = |text: &[u8]| {
        if has_new_marker(text, [ours, theirs]) {
            return Err(failed("there still are conflict markers in the text").in_file(path));
        }
        let document = Document::parse(merging.format, SecretBytes::from(text))
            .map_err(|failure| error::syntax(path, &failure))?;
        if file::has_metadata(&document) {
            let message = "the text has an entry called `sops`, where the metadata goes";
            return Err(CliError::new(Exit::AlreadyEncrypted, "sops-entry", message).in_file(path));
        }
        Ok(SecretBytes::from(text))
    };
    let keep = |text: Option<SecretBytes>, report| {
        let text = text.filter(|text| **text != *marked);
        editing::keep(context, path, merging.keys(), text, report)
    };
    let text = match editing::until_accepted(context, &mut session, accept) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let message = "nothing was resolved; the file is as it was";
            return Err(CliError::new(Exit::Unchanged, "unchanged", message).in_file(path));
        }
        Err(failure) => {
            let saved = session.take_unsaved();
            drop(session);
            let (report, text) = failure.report(context);
            return Err(keep(text.or(saved), report));
        }
    };
    // From here on Ctrl-C ends the program again, and the private file is gone.
    drop(session);
    merging
        .seal(context, path, &text)
        .map_err(|report| editing::keep(context, path, merging.keys(), Some(text), report))
}

/// Returns whether a text has a marker line that neither side has.
fn has_new_marker(text: &[u8], sides: [&[u8]; 2]) -> bool {
    let [start, end] = [format!("<<<<<<< {}", NAMES[0]), format!(">>>>>>> {}", NAMES[1])];
    [start.as_bytes(), b"=======", end.as_bytes()].into_iter().any(|marker| {
        let has = |text: &[u8]| {
            text.split(|&byte| byte == b'\n').any(|line| line.trim_ascii_end() == marker)
        };
        has(text) && !sides.into_iter().any(has)
    })
}

fn failed(message: &str) -> CliError {
    CliError::new(Exit::Generic, "conflict", message)
}

#[cfg(test)]
mod tests {
    use super::has_new_marker;

    #[test]
    fn a_marker_that_a_side_has_too_is_none() {
        assert!(has_new_marker(b"a\n=======\r\nb\n", [b"a\nb\n", b"b\n"]));
        assert!(has_new_marker(b">>>>>>> theirs", [b"", b""]));
        assert!(!has_new_marker(b"a\n=======\nb\n", [b"a\n=======\n", b"b\n"]));
        assert!(!has_new_marker(b"a: <<<<<<< ours\n", [b"", b""]));
    }
}
