//! What `decrypt` decrypts when no file is named.
//!
//! In this order: `ENCFILE_FILE`; `default_file` under `encfile:` in the config; then by what
//! standard input is. A pipe is read if it has something, a regular file if it is not empty, and
//! else the one encrypted dotenv file of the working directory is taken. The plain `.env` never
//! is: `encfile decrypt > .env` has just emptied it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::creation_rule;
use crate::cli::env;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io::{self, FirstByte, IoError, StdinKind};
use crate::format::{FileFormat as _, dotenv::Dotenv};

/// How long a pipe may be silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to decrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Finds what to decrypt.
///
/// # Errors
/// If there is nothing, or no single thing.
pub fn find(context: &Context, config: Option<&Path>) -> Result<Input, CliError> {
    if let Some(path) = context.env.path(env::FILE) {
        return existing(context, path, "the file is named by ENCFILE_FILE");
    }
    if let Some(path) = creation_rule::default_file(context, config)? {
        let why = "the file is named by `default_file` under `encfile:` in the config";
        return existing(context, path, why);
    }
    match io::stdin_kind() {
        StdinKind::Terminal | StdinKind::Closed | StdinKind::Device | StdinKind::EmptyFile => {
            search(context)
        }
        StdinKind::File => Ok(Input::Stdin),
        StdinKind::Pipe => match io::wait_for_first_byte(PATIENCE) {
            Ok(FirstByte::Data) => Ok(Input::Stdin),
            Ok(FirstByte::Eof) | Err(_) => search(context),
            Ok(FirstByte::Timeout) => Err(silent()),
        },
    }
}

/// Returns a file that something other than the command line names.
fn existing(context: &Context, path: PathBuf, why: &str) -> Result<Input, CliError> {
    if !context.env.absolute(&path).exists() {
        return Err(CliError::from(IoError::NotFound { path }).help(why));
    }
    Ok(Input::File(path))
}

fn silent() -> CliError {
    let message = "no file is named, and nothing came on standard input for 2 seconds";
    CliError::new(Exit::NoFile, "no-file", message).help(
        "name the file: encfile decrypt FILE\n\
         or set ENCFILE_FILE, or `default_file` under `encfile:` in .sops.yaml\n\
         or read standard input whatever it takes: encfile decrypt -",
    )
}

/// Looks for the one encrypted dotenv file in the working directory.
fn search(context: &Context) -> Result<Input, CliError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(context.env.directory()).into_iter().flatten().flatten() {
        let path = entry.path();
        let named = entry.file_name().to_str().is_some_and(is_candidate);
        if named && path.is_file() && io::read_file(&path).is_ok_and(|text| Dotenv.sniff(&text)) {
            found.push(PathBuf::from(entry.file_name()));
        }
    }
    found.sort();
    match &found[..] {
        [one] => Ok(Input::File(one.clone())),
        [] => {
            let message = "no file is named, and the working directory has no encrypted dotenv \
                           file (.env.*, *.env, *.env.enc, *.env.sops, *.env.encrypted, *.enc.env)";
            Err(CliError::new(Exit::NoFile, "no-file", message).help(
                "name the file: encfile decrypt FILE\n\
                 or set ENCFILE_FILE, or `default_file` under `encfile:` in .sops.yaml",
            ))
        }
        several => {
            let message = "no file is named, and several could be meant";
            let mut error = CliError::new(Exit::NoFile, "several-files", message);
            for path in several {
                error = error.detail(format!("  {}", path.display()));
            }
            Err(error.help(format!(
                "name one: encfile decrypt {}\n\
                 or set ENCFILE_FILE, or `default_file` under `encfile:` in .sops.yaml",
                several[0].display()
            )))
        }
    }
}

/// Returns whether a name is one of an encrypted dotenv file.
fn is_candidate(name: &str) -> bool {
    if name == ".env" {
        return false;
    }
    let endings = [".env", ".env.enc", ".env.sops", ".env.encrypted", ".enc.env"];
    (name.starts_with(".env.") && name.len() > 5) || endings.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_file_is_no_candidate() {
        for name in [".env.production", "prod.env", ".env.enc", "a.env.sops", "a.enc.env"] {
            assert!(is_candidate(name), "{name}");
        }
        for name in [".env", ".env.", "env", "a.env.txt", ".envrc"] {
            assert!(!is_candidate(name), "{name}");
        }
    }
}
