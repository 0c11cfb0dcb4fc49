//! `status` and `who`: which files are encrypted, by which rule, for whom, and whether I can open
//! them. Nothing is decrypted, and nobody is asked.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::check::{Subject, asks_for_encryption};
use crate::cli::args::{AboutArgs, StatusArgs};
use crate::cli::configs::{Configs, Found};
use crate::cli::context::Context;
use crate::cli::creation_rule;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::recipients::{Mine, Owners, Readers};
use crate::cli::targets::{Targets, Wanted};
use crate::cli::ui::one_line;
use crate::crypt::canonical;
use crate::file::{EncryptedFile, FileError};
use crate::format;
use crate::metadata::Metadata;
use crate::number;
use crate::secret::SecretBytes;
use crate::tree::Timestamp;

/// The version of the JSON that is printed. Fields may be added within one.
const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    files: &'a [FileStatus],
}

/// How a file stands.
#[derive(Debug, Serialize)]
struct FileStatus {
    file: String,
    encrypted: bool,
    /// Why nothing more is said, or what is wrong.
    problem: Option<String>,
    format: Option<&'static str>,
    config: Option<String>,
    rule: Option<usize>,
    rule_line: Option<usize>,
    #[serde(flatten)]
    readers: Option<Readers>,
    /// When the values were last changed.
    last_modified: Option<String>,
    last_modified_days: Option<i64>,
    /// When the oldest of the keys was added, which is not before the data key was made.
    key_created_at: Option<String>,
    key_days: Option<i64>,
}

impl FileStatus {
    fn plain(file: String, problem: &str) -> FileStatus {
        FileStatus {
            file,
            encrypted: false,
            problem: Some(problem.to_owned()),
            format: None,
            config: None,
            rule: None,
            rule_line: None,
            readers: None,
            last_modified: None,
            last_modified_days: None,
            key_created_at: None,
            key_days: None,
        }
    }

    fn encrypted(
        file: String,
        metadata: &Metadata,
        readers: Readers,
        now: Timestamp,
    ) -> FileStatus {
        let created = metadata.keys().filter_map(|key| key.created_at.as_deref());
        let oldest = created.filter_map(|text| canonical::read_time(text.as_bytes())).min();
        FileStatus {
            encrypted: true,
            problem: None,
            readers: Some(readers),
            last_modified: Some(number::rfc3339_seconds(metadata.last_modified)),
            last_modified_days: Some((now - metadata.last_modified).whole_days()),
            key_created_at: oldest.map(number::rfc3339_seconds),
            key_days: oldest.map(|time| (now - time).whole_days()),
            ..FileStatus::plain(file, "")
        }
    }

    fn under(mut self, found: Option<&Found>) -> FileStatus {
        if let Some(found) = found {
            self.config = Some(found.shown().to_owned());
            self.rule = found.rule().map(|rule| rule.number);
            self.rule_line = found.rule().and_then(|rule| rule.line);
        }
        self
    }
}

/// Runs `status`.
pub fn status(
    context: &Context,
    config: Option<&Path>,
    arguments: &StatusArgs,
) -> Result<Exit, CliError> {
    let wanted = Wanted {
        paths: &arguments.paths,
        staged: false,
        rev: None,
        untracked: true,
        command: "status",
    };
    let mut targets = Targets::find(context, &wanted)?;
    let mut configs = Configs::new(context, config, &targets)?;
    let mine = Mine::read(context);
    let mut owners: HashMap<String, Owners> = HashMap::new();
    let mut files = Vec::new();
    for number in 0..targets.len() {
        let (target, text) = match targets.read(number) {
            Ok((target, Some(text))) => (target, text),
            Ok((_, None)) => continue,
            Err(error) => {
                let file = targets.files()[number].shown();
                files.push(FileStatus::plain(file, error.message()));
                continue;
            }
        };
        let found = configs.find(context, &target)?;
        let owners = match found.as_ref().and_then(|found| Some((found, found.config()?))) {
            Some((found, config)) => owners
                .entry(found.shown().to_owned())
                .or_insert_with(|| creation_rule::owners_of(config)),
            None => &mut Owners::new(),
        };
        let path = target.shown();
        let rule = found.as_ref().and_then(Found::rule);
        match parse(&path, text) {
            Ok(file) => {
                let metadata = file.metadata();
                let readers =
                    Readers::of(&metadata.groups, metadata.shamir_threshold, owners, &mine);
                let status = FileStatus::encrypted(path, metadata, readers, context.env.now());
                let format = Some(file.format().name());
                files.push(FileStatus { format, ..status }.under(found.as_ref()));
            }
            Err(FileError::NotEncrypted) => {
                if asks_for_encryption(&Subject { path: &path, rule }) {
                    let status = FileStatus::plain(path, "not encrypted, although a rule matches");
                    files.push(status.under(found.as_ref()));
                }
            }
            Err(error) => {
                let status = FileStatus::plain(path, &error.to_string());
                files.push(FileStatus { encrypted: true, ..status }.under(found.as_ref()));
            }
        }
    }
    print(&files, arguments.json, table)?;
    if files.is_empty() && !arguments.json {
        context.ui.note("no file is encrypted, or should be");
    }
    Ok(Exit::Success)
}

/// Runs `who`.
pub fn who(context: &Context, arguments: &AboutArgs) -> Result<Exit, CliError> {
    let mine = Mine::read(context);
    let mut files = Vec::new();
    for path in &arguments.files {
        let shown = path.display().to_string();
        let text = match context.read(path) {
            Ok(text) => text,
            Err(error) => {
                let is_missing = error.exit() == Exit::NoFile;
                let problem = if is_missing { "there is no such file" } else { error.message() };
                files.push(FileStatus::plain(shown, problem));
                continue;
            }
        };
        files.push(match parse(&shown, text) {
            Ok(file) => {
                let metadata = file.metadata();
                let owners = creation_rule::owners(context, path);
                let readers =
                    Readers::of(&metadata.groups, metadata.shamir_threshold, &owners, &mine);
                let status = FileStatus::encrypted(shown, metadata, readers, context.env.now());
                FileStatus { format: Some(file.format().name()), ..status }
            }
            Err(FileError::NotEncrypted) => FileStatus::plain(shown, "not encrypted"),
            Err(error) => {
                let status = FileStatus::plain(shown, &error.to_string());
                FileStatus { encrypted: true, ..status }
            }
        });
    }
    print(&files, arguments.json, details)?;
    Ok(Exit::Success)
}

/// Reads an encrypted file.
fn parse(path: &str, text: SecretBytes) -> Result<EncryptedFile, FileError> {
    let format = format::by_content(&text, path).ok_or(FileError::NotEncrypted)?;
    match EncryptedFile::parse(format, text) {
        // It only has the look of another format's file.
        Err(FileError::Syntax(_)) if format != format::by_file_name(path) => {
            Err(FileError::NotEncrypted)
        }
        parsed => parsed,
    }
}

fn print(
    files: &[FileStatus],
    json: bool,
    text: fn(&[FileStatus]) -> String,
) -> Result<(), CliError> {
    let text =
        if json { self::json(&Document { version: JSON_VERSION, files }) } else { text(files) };
    Ok(io::write_stdout(text.as_bytes())?)
}

/// Returns a document of texts, numbers and lists as JSON.
pub(super) fn json(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

fn table(files: &[FileStatus]) -> String {
    let head = ["FILE", "RULE", "FOR", "YOU", "CHANGED", "KEY"].map(str::to_owned);
    let mut rows = Vec::new();
    for file in files {
        let rule = match (&file.config, file.rule) {
            (None, _) => "no config".to_owned(),
            (Some(_), None) => "none".to_owned(),
            (Some(config), Some(rule)) => match file.rule_line {
                Some(line) => format!("{}:{line} #{rule}", one_line(config)),
                None => format!("{} #{rule}", one_line(config)),
            },
        };
        let (whom, you) = match (&file.readers, &file.problem) {
            (Some(readers), _) => (readers.names(), readers.readable.name().to_owned()),
            (None, problem) => {
                (one_line(problem.as_deref().unwrap_or_default()).into(), "-".into())
            }
        };
        let days = |days: Option<i64>| match days {
            Some(1) => "1 day".to_owned(),
            Some(days) => format!("{days} days"),
            None => "-".to_owned(),
        };
        let file_name = one_line(&file.file).into_owned();
        rows.push([file_name, rule, whom, you, days(file.last_modified_days), days(file.key_days)]);
    }
    if rows.is_empty() {
        return String::new();
    }
    rows.insert(0, head);
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn details(files: &[FileStatus]) -> String {
    let mut text = String::new();
    for file in files {
        let name = one_line(&file.file);
        let Some(readers) = &file.readers else {
            let problem = one_line(file.problem.as_deref().unwrap_or_default());
            let _ = writeln!(text, "{name}: {problem}");
            continue;
        };
        let needed = match readers.groups.len() {
            1 => "any of these keys opens it".to_owned(),
            count => format!("{} of {count} groups are needed", readers.needed_groups),
        };
        let you = match readers.mine() {
            Some(_) if readers.readable.name() == "yes" => "; you can open it",
            Some(_) => "; you can open a part",
            None if readers.readable.name() == "no" => "; you cannot open it",
            None => "; whether you can open it is not known without asking",
        };
        let _ = writeln!(text, "{name}: {needed}{you}");
        text.push_str(&readers.lines());
    }
    text
}
