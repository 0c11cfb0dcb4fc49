//! `check`: what is wrong with encrypted files, and which files should be encrypted; for hooks and
//! CI, without a key.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::check::{self, Code, Finding, Report, Severity, Subject};
use crate::cli::ahead::Ahead;
use crate::cli::args::check::CheckArgs;
use crate::cli::configs::{Configs, Found};
use crate::cli::context::{Context, decryption_order};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::report::{Located, Summary, print};
use crate::cli::targets::{Targets, Wanted};
use crate::file::{EncryptedFile, FileError};
use crate::format;
use crate::secret::SecretBytes;

/// A text to be looked at.
struct Job {
    number: usize,
    path: String,
    text: SecretBytes,
    config: Option<Found>,
}

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &CheckArgs,
) -> Result<Exit, CliError> {
    // 1 says that something was found: what cannot be looked at is 2.
    checked(context, config, arguments).map_err(|error| error.with_exit(Exit::Input))
}

fn checked(
    context: &Context,
    config: Option<&Path>,
    arguments: &CheckArgs,
) -> Result<Exit, CliError> {
    let mut targets = Targets::find(
        context,
        &Wanted {
            paths: &arguments.paths,
            staged: arguments.staged,
            rev: arguments.rev.as_deref(),
            untracked: false,
            command: "check",
        },
    )?;
    let mut configs = Configs::new(context, config, &targets)?;
    let mut found = inspect_all(context, arguments, &mut targets, &mut configs)?;
    for (path, finding) in configs.findings() {
        found.push((usize::MAX, path, Report { encrypted: false, findings: vec![finding] }));
    }
    found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    if arguments.fix {
        found = fix(context, config, &targets, found);
    }
    let mut summary = Summary { files: targets.len(), ..Summary::default() };
    let mut located = Vec::new();
    for (_, path, report) in found {
        summary.encrypted += usize::from(report.encrypted);
        for finding in report.findings {
            if let Some(severity) = severity(arguments, finding.code) {
                located.push(Located { path: path.clone(), commit: None, finding, severity });
            }
        }
    }
    print(context, arguments.format, &located, &summary)?;
    Ok(exit(&located))
}

/// Returns how bad a finding is for this call; `None` if it is allowed.
fn severity(arguments: &CheckArgs, code: Code) -> Option<Severity> {
    let named = |codes: &[String]| codes.iter().any(|name| name == code.name());
    match () {
        () if named(&arguments.deny) => Some(Severity::Error),
        () if named(&arguments.allow) => None,
        () => Some(code.severity()),
    }
}

/// 0 clean, 1 findings, 2 what could not be checked.
fn exit(found: &[Located]) -> Exit {
    let errors = || found.iter().filter(|located| located.severity == Severity::Error);
    if errors().any(|located| located.finding.code != Code::NotVerified) {
        Exit::Generic
    } else if errors().next().is_some() {
        Exit::Input
    } else {
        Exit::Success
    }
}

/// Looks at all files, on as many threads as the machine has. A file is read when there is room for
/// it, so that memory does not grow with their number.
fn inspect_all(
    context: &Context,
    arguments: &CheckArgs,
    targets: &mut Targets,
    configs: &mut Configs,
) -> Result<Vec<(usize, String, Report)>, CliError> {
    let order =
        decryption_order(context.personality, arguments.opening.order.decryption_order.as_deref())?;
    if arguments.verify {
        let mut ahead = Ahead::new(context);
        for number in 0..targets.len() {
            if let (target, Some(text)) = targets.read(number)? {
                ahead.add_text(&text, &target.path, None);
            }
        }
        ahead.ask(&order);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from).min(16);
    let (sender, receiver) = sync_channel::<Job>(threads * 2);
    let receiver = Mutex::new(receiver);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let job = receiver.lock().ok().and_then(|jobs| jobs.recv().ok());
                    let Some(job) = job else { break };
                    let (number, path) = (job.number, job.path.clone());
                    let report = inspect(context, arguments, &order, job);
                    if (report.encrypted || !report.findings.is_empty())
                        && let Ok(mut results) = results.lock()
                    {
                        results.push((number, path, report));
                    }
                }
            });
        }
        // The sender is dropped with this closure, which ends the threads.
        let sender = sender;
        for number in 0..targets.len() {
            let (target, text) = targets.read(number)?;
            let Some(text) = text else { continue };
            let config = configs.find(context, &target)?;
            // Nothing says that it is, or should be, encrypted.
            if config.as_ref().is_none_or(|found| found.rule().is_none()) && !may_be_sops(&text) {
                continue;
            }
            let job = Job { number, path: target.shown(), text, config };
            if sender.send(job).is_err() {
                break;
            }
        }
        Ok::<(), CliError>(())
    })?;
    Ok(results.into_inner().unwrap_or_default())
}

/// Returns whether a text can have SOPS' metadata: its key stands in it.
fn may_be_sops(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"sops").is_some()
}

fn inspect(context: &Context, arguments: &CheckArgs, order: &[&str], job: Job) -> Report {
    let rule = job.config.as_ref().and_then(Found::rule);
    let subject = Subject { path: &job.path, rule };
    let copy = arguments.verify.then(|| SecretBytes::from(&*job.text));
    let mut report = check::inspect(&subject, job.text);
    if let Some(text) = copy.filter(|_| report.encrypted)
        && let Err(error) = verify(context, order, &job.path, text)
    {
        report.findings.extend(unverified(error));
    }
    report
}

/// Opens a file and drops what is in it.
fn verify(
    context: &Context,
    order: &[&str],
    path: &str,
    text: SecretBytes,
) -> Result<(), FileError> {
    let format = format::by_content(&text, path).unwrap_or_else(|| format::by_file_name(path));
    let file = EncryptedFile::parse(format, text)?;
    let key = context.data_key(&file, Path::new(path), order)?;
    file.decrypt(&key).map(drop)
}

/// Returns the finding for a file that does not open; nothing for what was found without a key.
fn unverified(error: FileError) -> Option<Finding> {
    match error {
        FileError::Unwrap(_) => {
            let message = "the data key could not be recovered with the keys at hand: nothing was \
                           verified";
            Some(Finding::new(Code::NotVerified, message))
        }
        FileError::Value { path, position, error } => {
            let message = format!("`{path}` does not authenticate: {error}");
            Some(Finding::new(Code::Unauthentic, message).at(position).about(&path))
        }
        FileError::MacMismatch | FileError::MacUnreadable(_) => {
            Some(Finding::new(Code::MacMismatch, error.to_string()))
        }
        _ => None,
    }
}

/// Encrypts the plain files in place, and returns what is left.
fn fix(
    context: &Context,
    config: Option<&Path>,
    targets: &Targets,
    found: Vec<(usize, String, Report)>,
) -> Vec<(usize, String, Report)> {
    let mut left = Vec::new();
    for (number, path, mut report) in found {
        let plain = report.findings.iter().any(|finding| finding.code == Code::PlaintextFile);
        if let Some(file) = targets.on_disk(number).filter(|_| plain) {
            match crate::cli::commands::encrypt::in_place(context, config, &file) {
                Ok(()) => {
                    context.ui.note(format_args!("encrypted {path}"));
                    report = Report { encrypted: true, findings: Vec::new() };
                }
                Err(error) => context.ui.line(error.render(context.personality)),
            }
        }
        left.push((number, path, report));
    }
    left
}
