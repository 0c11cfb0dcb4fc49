//! `completion`: the script that makes a shell ask the program for candidates, and the answers.
//!
//! The answers know commands, flags and files, and the tree paths of the file on the command line.
//! Keys are not encrypted, so reading them needs no key.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::cli::args::CompletionArgs;
use crate::cli::context::Context;
use crate::cli::env::{COMPLETE, Env};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::personality::Personality;
use crate::file::EncryptedFile;
use crate::format;
use crate::tree::{NodeId, NodeKind, Tree};

/// The arguments that are tree paths, by command.
const TREE_PATHS: &[(&str, &str)] = &[("decrypt", "extract"), ("set", "path"), ("unset", "path")];

/// So many candidates are offered at most.
const MOST: usize = 500;

/// Runs the command: prints the script.
pub fn run(context: &Context, arguments: &CompletionArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    let name = context.personality.program();
    match Shells::builtins().completer(&arguments.shell) {
        Some(shell) => shell.write_registration(COMPLETE, name, name, name, &mut script),
        None => return Err(unknown(&arguments.shell)),
    }
    .map_err(|error| failed(&error))?;
    io::write_stdout(&script)?;
    Ok(Exit::Success)
}

/// Answers a script: `arguments` are the program, `--` and the words of the command line.
///
/// # Errors
/// If the shell is not known.
pub fn complete(
    program: Command,
    shell: &str,
    arguments: Vec<OsString>,
    personality: Personality,
) -> Result<Exit, CliError> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell).ok_or_else(|| unknown(shell))?;
    let words: Vec<OsString> = arguments.into_iter().skip(2).collect();
    if words.is_empty() {
        return Ok(Exit::Success);
    }
    let env = Env::read().map_err(|error| failed(&error))?;
    let style = Style {
        short: personality.reads_short_tree_paths(),
        // The other shells quote what they insert.
        quotes: shell.name() == "bash",
    };
    let mut program = program.name(personality.program());
    for &(command, argument) in TREE_PATHS {
        let has =
            |command: &Command| command.get_arguments().any(|found| found.get_id() == argument);
        if program.find_subcommand(command).is_some_and(has) {
            let words = words.clone();
            let completer = move |current: &OsStr| tree_paths(&words, current, style);
            program = program.mut_subcommand(command, |command| {
                command.mut_arg(argument, |found| found.add(ArgValueCompleter::new(completer)))
            });
        }
    }
    let mut answer = Vec::new();
    shell
        .write_complete(&mut program, words, Some(env.directory()), &mut answer)
        .map_err(|error| failed(&error))?;
    io::write_stdout(&answer)?;
    Ok(Exit::Success)
}

/// The argument with which SOPS' own scripts ask.
pub const SOPS_REQUEST: &str = "--generate-bash-completion";

/// Answers a script of SOPS: `words` are the program and those in front of [`SOPS_REQUEST`].
/// Prints the flags of the command if the last word is one, else the commands.
///
/// # Errors
/// If it cannot be printed.
pub fn complete_as_sops(program: &Command, words: &[OsString]) -> Result<Exit, CliError> {
    let command = words
        .iter()
        .skip(1)
        .fold(program, |command, word| command.find_subcommand(word).unwrap_or(command));
    let last = words.last().is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let mut answer: Vec<String> = Vec::new();
    if last {
        for argument in command.get_arguments() {
            answer.extend(argument.get_long().map(|long| format!("--{long}")));
            answer.extend(argument.get_short().map(|short| format!("-{short}")));
        }
    } else {
        answer.extend(command.get_subcommands().map(|found| found.get_name().to_owned()));
    }
    answer.push(String::new());
    io::write_stdout(answer.join("\n").as_bytes())?;
    Ok(Exit::Success)
}

fn unknown(shell: &str) -> CliError {
    let message = format!("there is no completion for the shell `{shell}`");
    CliError::new(Exit::Generic, "completion", message)
}

fn failed(error: &std::io::Error) -> CliError {
    CliError::new(Exit::Generic, "completion", format!("completion: {error}"))
}

/// How tree paths are offered.
#[derive(Clone, Copy)]
struct Style {
    /// In the short form, where a path can have it.
    short: bool,
    /// In quotes for a shell.
    quotes: bool,
}

/// Returns the tree paths of the first encrypted file among `words` that go on from `current`.
fn tree_paths(words: &[OsString], current: &OsStr, style: Style) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let files = words.iter().skip(1).filter(|word| !word.as_encoded_bytes().starts_with(b"-"));
    let Some(file) = files.map(PathBuf::from).find_map(|path| {
        let text = path.is_file().then(|| io::read_file(&path).ok()).flatten()?;
        let format = format::by_content(&text, &path.to_string_lossy())?;
        EncryptedFile::parse(format, text).ok()
    }) else {
        return Vec::new();
    };
    // A quote that was opened already is the shell's; the candidate only has to go on from it.
    let opened = current.starts_with('[');
    below(file.tree(), current, style.short && !opened)
        .into_iter()
        .map(|path| {
            let plain = !style.quotes || opened || !path.contains(['[', '"', '\'', ' ']);
            CompletionCandidate::new(if plain {
                path
            } else {
                format!("'{}'", path.replace('\'', r"'\''"))
            })
        })
        .collect()
}

/// Returns the tree paths of the first document that begin with `current`, in the order of the
/// text. What cannot begin so is not gone into.
fn below(tree: &Tree, current: &str, short: bool) -> Vec<String> {
    let mut found = Vec::new();
    let Some(root) = tree.documents().next() else { return found };
    let mut open = vec![(String::new(), tree.children(root), root, 0)];
    while let Some((path, children, parent, position)) = open.last_mut() {
        let Some(id) = children.next() else {
            open.pop();
            continue;
        };
        let kind = tree.node(id).kind;
        if kind.is_comment() {
            continue;
        }
        let is_list = matches!(tree.node(*parent).kind, NodeKind::List);
        let index = std::mem::replace(position, *position + 1);
        let Some(path) = step(tree, path, id, is_list.then_some(index), short) else { continue };
        if path.starts_with(current) {
            found.push(path.clone());
            if found.len() == MOST {
                break;
            }
        } else if !current.starts_with(&path) {
            continue;
        }
        if kind.is_container() {
            open.push((path, tree.children(id), id, 0));
        }
    }
    found
}

/// Returns the path one step further; `None` for a key that no path can have.
fn step(tree: &Tree, path: &str, id: NodeId, index: Option<usize>, short: bool) -> Option<String> {
    let mut path = path.to_owned();
    if let Some(index) = index {
        // Writing to a `String` cannot fail.
        let _ = write!(path, "[{index}]");
        return Some(path);
    }
    let key = std::str::from_utf8(tree.key(id)?).ok()?;
    if key.contains("\"]") || key.chars().any(char::is_control) {
        return None;
    }
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
    // What begins with a bracket is in SOPS' form to its end.
    if short && !key.is_empty() && key.chars().all(is_word) && !path.starts_with("[\"") {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        let _ = write!(path, "[\"{key}\"]");
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FileFormat as _, yaml::Yaml};
    use crate::secret::SecretBytes;

    const TEXT: &str = "a:\n  # c\n  b: 1\n  list: [x, {k: y}]\n\"x y\": {z: 1}\nab: 2\n";

    fn paths(current: &str, short: bool) -> Vec<String> {
        below(&Yaml.parse(SecretBytes::from(TEXT.as_bytes())).unwrap(), current, short)
    }

    #[test]
    fn paths_go_on_from_what_is_typed() {
        assert_eq!(
            paths("", true),
            [
                "a",
                "a.b",
                "a.list",
                "a.list[0]",
                "a.list[1]",
                "a.list[1].k",
                "[\"x y\"]",
                "[\"x y\"][\"z\"]",
                "ab"
            ]
        );
        assert_eq!(paths("a.l", true).len(), 4);
        assert_eq!(paths("a.list[1]", true), ["a.list[1]", "a.list[1].k"]);
        assert_eq!(
            paths("[\"a\"][\"list\"][", false),
            ["[\"a\"][\"list\"][0]", "[\"a\"][\"list\"][1]", "[\"a\"][\"list\"][1][\"k\"]"]
        );
        assert_eq!(paths("c", true), [""; 0]);
    }

    #[test]
    fn what_is_offered_can_be_read() {
        use crate::tree::path::TreePath;
        let tree = Yaml.parse(SecretBytes::from(TEXT.as_bytes())).unwrap();
        let root = tree.documents().next().unwrap();
        for short in [false, true] {
            for path in paths("", short) {
                let read = if short { TreePath::parse } else { TreePath::parse_bracketed };
                assert!(read(&path).unwrap().find(&tree, root).is_ok(), "{path}");
            }
        }
    }
}
