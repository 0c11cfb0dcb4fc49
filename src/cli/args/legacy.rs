//! SOPS' command line of old, which has flags for commands.

use std::ffi::OsString;

use crate::cli::personality::Personality;

/// The words that begin a command: also those of SOPS that are not built in, which are an error
/// and never the name of a file to edit.
const COMMANDS: &[&str] = &[
    "encrypt",
    "decrypt",
    "edit",
    "help",
    "rotate",
    "set",
    "unset",
    "updatekeys",
    "groups",
    "exec-env",
    "exec-file",
    "publish",
    "keyservice",
    "filestatus",
    "completion",
];

/// Turns SOPS' old form without a command into a command: `-d FILE`, `-e FILE`, `FILE`.
pub fn normalise(arguments: Vec<OsString>, personality: Personality) -> Vec<OsString> {
    let is = |argument: &OsString, words: &[&str]| {
        argument.to_str().is_some_and(|argument| words.contains(&argument))
    };
    let command_words = [COMMANDS, &["-h", "--help", "-V", "--version"]].concat();
    if personality != Personality::Sops
        || arguments.len() < 2
        || arguments.iter().skip(1).any(|argument| is(argument, &command_words))
    {
        return arguments;
    }
    let (decrypt, encrypt) = (["-d", "--decrypt"], ["-e", "--encrypt"]);
    let command = match () {
        () if arguments.iter().any(|argument| is(argument, &decrypt)) => "decrypt",
        () if arguments.iter().any(|argument| is(argument, &encrypt)) => "encrypt",
        () => "edit",
    };
    let mut normal: Vec<OsString> = arguments;
    normal.retain(|argument| !is(argument, &decrypt) && !is(argument, &encrypt));
    normal.insert(1, command.into());
    normal
}
