//! `git install`: the hooks, the drivers in git's config, and `.gitattributes`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::args::git::InstallArgs;
use crate::cli::commands::git::attributes::{globs, with_block};
use crate::cli::commands::git::hook::{HOOKS, Hook, State};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::git::{EntryKind, Repository};
use crate::cli::io::{self, Mode};
use crate::cli::os;
use crate::config::{Config, FILE_NAME, Strictness, relative};
use crate::format;
use crate::selector::GoRegex;

/// Runs the command.
pub(super) fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: InstallArgs,
) -> Result<Exit, CliError> {
    let Some(repository) = Repository::find(&context.env, context.env.directory())? else {
        return Err(CliError::new(Exit::Generic, "git", "this is no git repository")
            .help("make one with: git init"));
    };
    let program = program(context);
    let mut steps = Vec::new();
    steps.extend(hooks(&repository, &program, arguments)?);
    steps.extend(drivers(&repository, &program, arguments));
    steps.extend(attributes(context, &repository, config, arguments)?);
    if steps.is_empty() {
        context.ui.note("everything is in place already");
    }
    for step in steps {
        let verb = if arguments.dry_run { "would " } else { "" };
        context.ui.note(format_args!("{verb}{}", step.says));
        if !arguments.dry_run {
            (step.run)()?;
        }
    }
    Ok(Exit::Success)
}

/// Something to be done.
struct Step<'s> {
    says: String,
    run: Box<dyn FnOnce() -> Result<(), CliError> + 's>,
}

impl<'s> Step<'s> {
    fn new(says: String, run: impl FnOnce() -> Result<(), CliError> + 's) -> Step<'s> {
        Step { says, run: Box::new(run) }
    }
}

/// Returns how git and the hook call this program: by its name where `PATH` has it.
fn program(context: &Context) -> String {
    let found = os::resolve_program(OsStr::new("encfile"), context.env.raw("PATH").as_deref());
    if found.is_some() {
        return "encfile".to_owned();
    }
    std::env::current_exe()
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .map_or_else(|| "encfile".to_owned(), |path| shell_words::quote(&path).into_owned())
}

fn hooks<'s>(
    repository: &'s Repository,
    program: &str,
    arguments: InstallArgs,
) -> Result<Vec<Step<'s>>, CliError> {
    let answer = repository.ask(&["rev-parse", "--git-path", "hooks"])?;
    let directory = String::from_utf8_lossy(&answer).trim_end_matches('\n').to_owned();
    let directory = repository.root().join(directory);
    let hooks = HOOKS.map(|name| Hook::new(&directory, name, program, arguments.scan));
    Ok(hooks.into_iter().filter_map(|hook| step(hook, arguments)).collect())
}

/// Returns what is to be done for a hook, if anything is.
fn step<'s>(hook: Hook, arguments: InstallArgs) -> Option<Step<'s>> {
    let path = hook.path().display().to_string();
    match (arguments.uninstall, hook.state()) {
        (true, State::Ours | State::Outdated) => {
            Some(Step::new(format!("remove the hook {path}"), move || hook.uninstall()))
        }
        (true, _) | (false, State::Ours) => None,
        (false, State::None | State::Outdated) => {
            Some(Step::new(format!("write the hook {path}"), move || hook.install()))
        }
        (false, State::Foreign) => {
            let says = format!("write the hook {path}, which runs the one that is there after it");
            Some(Step::new(says, move || hook.install()))
        }
    }
}

/// The entries in the repository's own git config.
fn drivers<'s>(repository: &'s Repository, program: &str, arguments: InstallArgs) -> Vec<Step<'s>> {
    let wanted = [
        ("diff.encfile.textconv", format!("{program} git textconv")),
        // Git would keep plain text in the repository, as notes.
        ("diff.encfile.cachetextconv", "false".to_owned()),
        ("merge.encfile.name", "values of encrypted files, by their paths".to_owned()),
        ("merge.encfile.driver", format!("{program} git merge %O %A %B %P")),
    ];
    let mut steps = Vec::new();
    for (name, value) in wanted {
        let current = repository.ask(&["config", "--local", "--get", name]).ok();
        let current = current.map(|value| String::from_utf8_lossy(&value).trim_end().to_owned());
        if arguments.uninstall {
            if current.is_some() {
                steps.push(Step::new(
                    format!("unset {name} in the repository's config"),
                    move || {
                        repository.ask(&["config", "--local", "--unset-all", name])?;
                        Ok(())
                    },
                ));
            }
        } else if current.as_ref() != Some(&value) {
            let says = format!("set {name} in the repository's config to `{value}`");
            steps.push(Step::new(says, move || {
                repository.ask(&["config", "--local", "--replace-all", name, &value])?;
                Ok(())
            }));
        }
    }
    steps
}

fn attributes<'s>(
    context: &'s Context,
    repository: &Repository,
    config: Option<&Path>,
    arguments: InstallArgs,
) -> Result<Option<Step<'s>>, CliError> {
    let path = repository.root().join(".gitattributes");
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io::read_error(&path, error).into()),
    };
    let globs = if arguments.uninstall { Vec::new() } else { wanted(context, repository, config)? };
    let new = with_block(&old, &globs);
    if new == old {
        return Ok(None);
    }
    let says = format!("write {}: {} patterns", path.display(), globs.len());
    Ok(Some(Step::new(says, move || {
        if new.is_empty() {
            return fs::remove_file(&path)
                .map_err(|source| io::IoError::Write { path: path.clone(), source }.into());
        }
        context.tell(&io::write_atomic(&path, new.as_bytes(), Mode::Keep)?);
        Ok(())
    })))
}

/// Returns the globs for all rules of all configs of the repository. A rule that has none is said,
/// and its files, as far as they are there, are named one by one.
fn wanted(
    context: &Context,
    repository: &Repository,
    config: Option<&Path>,
) -> Result<Vec<String>, CliError> {
    let tracked = repository.tracked(&[])?;
    let files = || tracked.iter().filter(|entry| entry.kind == EntryKind::File);
    let mut configs: Vec<PathBuf> = match config {
        Some(path) => vec![context.env.absolute(path)],
        None => files()
            .map(|entry| repository.root().join(&entry.path))
            .filter(|path| path.file_name() == Some(OsStr::new(FILE_NAME)))
            .collect(),
    };
    let top = repository.root().join(FILE_NAME);
    if config.is_none() && top.exists() && !configs.contains(&top) {
        configs.push(top);
    }
    let mut wanted: Vec<String> = Vec::new();
    for path in configs {
        let Ok(text) = io::read_file(&path) else { continue };
        let (config, _) = Config::parse(&text, &path.display().to_string(), Strictness::Lenient)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let prefix = match directory.strip_prefix(repository.root()) {
            Ok(inside) if !inside.as_os_str().is_empty() => format!("{}/", inside.display()),
            _ => String::new(),
        };
        for rule in config.creation_rules.iter().flatten() {
            let pattern = rule.path_regex.as_ref().map(GoRegex::pattern);
            let found = pattern.and_then(|pattern| globs(pattern, &prefix));
            let named = found.is_none();
            let globs = found.unwrap_or_else(|| {
                files()
                    .map(|entry| repository.root().join(&entry.path))
                    .filter(|file| rule.matches(&relative(directory, file)))
                    .filter(|file| is_encrypted(file))
                    .filter_map(|file| literal(&file, repository.root()))
                    .collect()
            });
            if named && pattern.is_some() {
                context.ui.warn(format_args!(
                    "the `path_regex` of rule {} in {} has no form in .gitattributes: its {} \
                     encrypted files are named there; run this again when there are more",
                    rule.number,
                    path.display(),
                    globs.len()
                ));
            }
            wanted.extend(globs);
        }
    }
    let mut seen = std::collections::HashSet::new();
    wanted.retain(|glob| seen.insert(glob.clone()));
    Ok(wanted)
}

fn is_encrypted(path: &Path) -> bool {
    io::read_file(path)
        .is_ok_and(|text| format::by_content(&text, &path.to_string_lossy()).is_some())
}

/// Returns the glob for one file; `None` for a name that has none.
fn literal(path: &Path, root: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok()?.to_str()?;
    let plain = !inside.contains(['*', '?', '[', '\\', ' ', '"', '\t', '\n']);
    plain.then(|| format!("/{inside}"))
}
