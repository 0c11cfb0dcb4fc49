//! Flags as SOPS reads them, which is as Go's `flag` package does: one dash or two for any name,
//! values behind `=` or as the next argument, switches with `=true` and `=false`, no bundles of
//! short names.
//!
//! The names of the flags are those of the commands in [`crate::cli::args`]; there is no second
//! list of them.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};
use clap_lex::OsStrExt as _;

/// What stands behind a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true` and the like; it is not there if that is false.
    Switch,
    /// The same, where false differs from not being there.
    Boolean,
    /// A value; the last one counts.
    Value,
    /// A value each time.
    Values,
}

/// A flag that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// The long name, without dashes.
    pub(super) name: String,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    /// Whether an environment variable stands in for it, so that an empty value says something.
    pub(super) has_variable: bool,
}

impl Flag {
    fn of(argument: &Arg) -> Option<Flag> {
        let takes = match argument.get_action() {
            _ if argument.is_require_equals_set() => Takes::Boolean,
            ArgAction::Append => Takes::Values,
            ArgAction::Set => Takes::Value,
            _ => Takes::Switch,
        };
        Some(Flag {
            name: argument.get_long()?.to_owned(),
            short: argument.get_short(),
            takes,
            has_variable: argument.get_env().is_some(),
        })
    }

    /// Returns a flag that no command has.
    pub(super) fn new(name: &str, short: Option<char>, takes: Takes) -> Flag {
        Flag { name: name.to_owned(), short, takes, has_variable: false }
    }
}

/// The flags that are known in one place.
#[derive(Debug)]
pub(super) struct Flags<'c> {
    /// The commands whose flags they are.
    pub(super) commands: Vec<&'c Command>,
    /// Flags besides theirs, which come first.
    pub(super) others: Vec<Flag>,
}

impl Flags<'_> {
    /// Finds a flag by its name without dashes: a letter, or a long name or alias.
    pub(super) fn find(&self, name: &str) -> Option<Flag> {
        let mut letters = name.chars();
        let letter = letters.next().filter(|_| letters.next().is_none());
        let is =
            |long: &str, short: Option<char>| long == name || (letter.is_some() && letter == short);
        if let Some(flag) = self.others.iter().find(|flag| is(&flag.name, flag.short)) {
            return Some(flag.clone());
        }
        let matches = |argument: &&Arg| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            let shorts = argument.get_all_short_aliases().unwrap_or_default();
            is(argument.get_long().unwrap_or_default(), argument.get_short())
                || aliases.contains(&name)
                || letter.is_some_and(|letter| shorts.contains(&letter))
        };
        let arguments = self.commands.iter().flat_map(|command| command.get_arguments());
        arguments.filter(|argument| !argument.is_positional()).find(matches).and_then(Flag::of)
    }
}

/// A flag as it was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) flag: Flag,
    /// The name that was used.
    spelling: String,
    /// The value; of switches, whether they are on.
    pub(super) value: Value,
}

/// What was given with a flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A switch, on or off.
    Switch(bool),
    /// A text.
    Text(OsString),
}

/// A command line that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The flags, each once unless it takes several values.
    pub(super) flags: Vec<Given>,
    /// The rest.
    pub(super) positionals: Vec<OsString>,
}

impl Parsed {
    /// Returns whether a switch is on, or a text is given that is not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|given| {
            given.flag.name == name
                && match &given.value {
                    Value::Switch(on) => *on,
                    Value::Text(text) => !text.is_empty(),
                }
        })
    }
}

/// Where flags may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In front of the first argument that is none.
    Front,
    /// Anywhere; what is not known counts as an argument behind the first one.
    Anywhere,
}

/// Splits an argument into the name of a flag and the value behind `=`.
pub(super) fn split(argument: &OsStr) -> Option<(&str, Option<&OsStr>)> {
    let rest = argument.strip_prefix("-").filter(|rest| !rest.is_empty())?;
    let rest = rest.strip_prefix("-").unwrap_or(rest);
    match rest.split_once("=") {
        Some((name, value)) => Some((name.to_str()?, Some(value))),
        None => Some((rest.to_str()?, None)),
    }
}

/// Reads a switch's value: Go's spellings.
pub(super) fn boolean(text: &OsStr) -> Option<bool> {
    match text.to_str()? {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads arguments.
///
/// # Errors
/// With SOPS' message, if a flag is not known, has no value or one that is not a boolean, or
/// comes under two names.
pub(super) fn parse(
    arguments: &[OsString],
    known: &Flags<'_>,
    place: Place,
) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.positionals.extend(rest.cloned());
            break;
        }
        let flag = split(argument).map(|(name, value)| (name, value, known.find(name)));
        let (name, value, flag) = match flag {
            Some((name, value, Some(flag))) => (name, value, flag),
            Some((name, _, None)) if parsed.positionals.is_empty() => {
                if name.is_empty() || name.starts_with('-') {
                    return Err(format!("bad flag syntax: {}", argument.display()));
                }
                return Err(format!("flag provided but not defined: -{name}"));
            }
            _ => {
                parsed.positionals.push(argument.clone());
                if place == Place::Front {
                    parsed.positionals.extend(rest.cloned());
                    break;
                }
                continue;
            }
        };
        let value = given_value(&flag, name, value, &mut rest)?;
        let before = parsed.flags.iter().position(|given| given.flag == flag);
        if let Some(before) = before {
            if parsed.flags[before].spelling != name {
                let short = flag.short.map(String::from).unwrap_or_default();
                let long = flag.name;
                return Err(format!("Cannot use two forms of the same flag: {short} {long}"));
            }
            if flag.takes != Takes::Values {
                parsed.flags.remove(before);
            }
        }
        parsed.flags.push(Given { flag, spelling: name.to_owned(), value });
    }
    Ok(parsed)
}

/// Returns what is given with a flag: behind `=`, or in the next argument.
fn given_value<'a>(
    flag: &Flag,
    name: &str,
    behind: Option<&OsStr>,
    rest: &mut impl Iterator<Item = &'a OsString>,
) -> Result<Value, String> {
    if let Takes::Value | Takes::Values = flag.takes {
        let value = behind.map(OsStr::to_owned).or_else(|| rest.next().cloned());
        return value.map(Value::Text).ok_or_else(|| format!("flag needs an argument: -{name}"));
    }
    let Some(text) = behind else { return Ok(Value::Switch(true)) };
    boolean(text).map(Value::Switch).ok_or_else(|| {
        format!("invalid boolean value \"{}\" for -{name}: parse error", text.display())
    })
}
