//! `git merge`: the merge driver. Git calls it with files that it made for the three sides, and
//! takes the result from the second.
//!
//! Values are merged in clear, in memory. What cannot be merged is written as conflict markers around
//! *encrypted* lines; what cannot be opened is merged by git itself, as the text that it is.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::args::git::MergeArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::git::Repository;
use crate::cli::io::{self, Mode};
use crate::cli::merging::{Macs, Merging, Obstacle, Outcome};

/// Runs the command. It ends with 1 where something is left to be done.
pub(super) fn run(context: &Context, arguments: &MergeArgs) -> Result<Exit, CliError> {
    let read = |path: &Path| context.read(path);
    let texts = [read(&arguments.base)?, read(&arguments.ours)?, read(&arguments.theirs)?];
    let path = arguments.path.as_deref().unwrap_or(&arguments.ours);
    let merging = Merging::new(context, path, &texts, Macs::Checked);
    match merging.and_then(|merging| merging.encrypted(context, path)) {
        Ok(Outcome::Clean(text)) => {
            write(context, &arguments.ours, &text)?;
            Ok(Exit::Success)
        }
        Ok(Outcome::Conflict { text, paths }) => {
            write(context, &arguments.ours, &text)?;
            for conflict in &paths {
                let what = if conflict.is_empty() { "the whole file" } else { conflict };
                context.ui.line(format_args!("CONFLICT (values): {}: {what}", path.display()));
            }
            context.ui.line(format_args!("resolve with: encfile mergetool {}", path.display()));
            Ok(Exit::Generic)
        }
        Err(Obstacle::Plain) => as_text(context, arguments),
        Err(Obstacle::Error(failure)) => {
            context.ui.line(failure.render(context.personality));
            context.ui.note("merged as text: what is between conflict markers stays encrypted");
            // Even without a conflict in the text the MAC is that of one side.
            as_text(context, arguments).map(|_| Exit::Generic)
        }
    }
}

fn write(context: &Context, path: &Path, text: &[u8]) -> Result<(), CliError> {
    io::write_atomic(&context.env.absolute(path), text, Mode::Keep)?;
    Ok(())
}

/// Lets git merge the files as they are.
fn as_text(context: &Context, arguments: &MergeArgs) -> Result<Exit, CliError> {
    let Some(repository) = Repository::find(&context.env, context.env.directory())? else {
        return Err(CliError::new(Exit::Generic, "git", "this is no git repository"));
    };
    let absolute = |path: &Path| OsString::from(context.env.absolute(path));
    let mut words: Vec<OsString> =
        ["merge-file", "-L", "ours", "-L", "base", "-L", "theirs"].map(OsString::from).to_vec();
    words.extend([&arguments.ours, &arguments.base, &arguments.theirs].map(|path| absolute(path)));
    Ok(match repository.ask(&words) {
        Ok(_) => Exit::Success,
        // It ends with the number of conflicts.
        Err(_) => Exit::Generic,
    })
}
