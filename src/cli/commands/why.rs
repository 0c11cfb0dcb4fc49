//! `why`: what decides how a file is encrypted: config, rule, format, selector, keys. The file need
//! not be there yet.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::cli::args::AboutArgs;
use crate::cli::commands::status::json;
use crate::cli::context::Context;
use crate::cli::creation_rule::{self, RuleFor};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::ui::one_line;
use crate::config::CreationRule;
use crate::format;
use crate::keys::needed_groups;
use crate::policy::Policy;
use crate::selector::GoRegex;

/// The version of the JSON that is printed. Fields may be added within one.
const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    version: u32,
    files: Vec<Why>,
}

#[derive(Serialize)]
struct Why {
    file: String,
    exists: bool,
    encrypted: bool,
    format: &'static str,
    format_because: &'static str,
    config: Option<String>,
    rule: Option<Rule>,
    /// Why there is no rule.
    no_rule: Option<String>,
}

#[derive(Serialize)]
struct Rule {
    number: usize,
    line: Option<usize>,
    path_regex: Option<String>,
    /// The field of the selector and its value; `None` for a file that is encrypted as a whole.
    selector: Option<(String, String)>,
    /// Whether the rule has no selector of its own.
    is_default_selector: bool,
    mac_only_encrypted: bool,
    needed_groups: usize,
    groups: Vec<Vec<Key>>,
}

#[derive(Serialize)]
struct Key {
    kind: &'static str,
    #[serde(rename = "key")]
    text: String,
    name: Option<String>,
}

/// Runs the command.
pub fn run(
    context: &Context,
    config: Option<&Path>,
    arguments: &AboutArgs,
) -> Result<Exit, CliError> {
    let files: Vec<Why> = arguments.files.iter().map(|file| why(context, config, file)).collect();
    let text = if arguments.json {
        json(&Document { version: JSON_VERSION, files })
    } else {
        files.iter().map(text).collect()
    };
    io::write_stdout(text.as_bytes())?;
    Ok(Exit::Success)
}

fn why(context: &Context, config: Option<&Path>, path: &Path) -> Why {
    let name = path.to_string_lossy();
    let content = context.read(path).ok();
    let by_content = content.as_ref().and_then(|text| format::by_content(text, &name));
    let by_name = context.format_by_name(path);
    let (format, format_because) = match by_content {
        Some(format) => (format, "its content is encrypted in that format"),
        None if by_name.container().is_some() => (by_name, "its name says nothing else"),
        None => (by_name, "its name says so"),
    };
    let whole = format.container().is_some();
    let (config, rule, no_rule) = match creation_rule::of_file(context, config, path) {
        Ok(RuleFor::Rule(found, config)) => {
            (Some(config.display().to_string()), Some(rule(&found, whole)), None)
        }
        Ok(RuleFor::NoConfig) => (None, None, Some("there is no config above the file".to_owned())),
        Ok(RuleFor::NoRules(config)) => {
            let why = "the config has no creation rules".to_owned();
            (Some(config.display().to_string()), None, Some(why))
        }
        Ok(RuleFor::NoMatch(_, config)) => {
            let why = "no creation rule matches the file".to_owned();
            (Some(config.display().to_string()), None, Some(why))
        }
        Err(error) => (None, None, Some(error.message().to_owned())),
    };
    Why {
        file: name.into_owned(),
        exists: content.is_some(),
        encrypted: by_content.is_some(),
        format: format.name(),
        format_because,
        config,
        rule,
        no_rule,
    }
}

fn rule(rule: &CreationRule, whole: bool) -> Rule {
    let policy = Policy::of(rule);
    let (field, value) = policy.selector.field();
    let threshold = rule.shamir_threshold.map_or(0, |threshold| threshold as usize);
    let key = |key: &crate::config::KeySpec| Key {
        kind: key.kind.name,
        text: key.text.clone(),
        name: key.comment.clone(),
    };
    Rule {
        number: rule.number,
        line: rule.line,
        path_regex: rule.path_regex.as_ref().map(GoRegex::pattern).map(str::to_owned),
        selector: (!whole).then(|| (field.to_owned(), value.to_owned())),
        is_default_selector: rule.selector.is_none(),
        mac_only_encrypted: rule.mac_only_encrypted,
        needed_groups: needed_groups(rule.groups.len(), threshold),
        groups: rule.groups.iter().map(|group| group.keys.iter().map(key).collect()).collect(),
    }
}

fn text(why: &Why) -> String {
    let mut text = String::new();
    let state = match (why.exists, why.encrypted) {
        (false, _) => "not there yet",
        (true, true) => "encrypted",
        (true, false) => "not encrypted",
    };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{}: {state}", one_line(&why.file));
    let _ = writeln!(text, "  format:   {}: {}", why.format, why.format_because);
    let _ = writeln!(text, "  config:   {}", one_line(why.config.as_deref().unwrap_or("none")));
    let Some(rule) = &why.rule else {
        let _ =
            writeln!(text, "  rule:     none: {}", one_line(why.no_rule.as_deref().unwrap_or("")));
        return text;
    };
    let line = rule.line.map(|line| format!(" in line {line}")).unwrap_or_default();
    let matches = match &rule.path_regex {
        Some(pattern) => format!("path_regex: {}", one_line(pattern)),
        None => "for all files".to_owned(),
    };
    let _ = writeln!(text, "  rule:     {}{line}, {matches}", rule.number);
    let selector = match &rule.selector {
        None => "everything, as one".to_owned(),
        Some((field, value)) => {
            let default = if rule.is_default_selector { " (the default)" } else { "" };
            format!("{field}: {}{default}", one_line(value))
        }
    };
    let _ = writeln!(text, "  selector: {selector}");
    for (number, group) in rule.groups.iter().enumerate() {
        if rule.groups.len() > 1 {
            let count = rule.groups.len();
            let needed = rule.needed_groups;
            let _ = writeln!(text, "  group {} of {count}, {needed} needed:", number + 1);
        } else {
            let _ = writeln!(text, "  keys:");
        }
        for key in group {
            let _ = write!(text, "    {} {}", key.kind, one_line(&key.text));
            if let Some(name) = &key.name {
                let _ = write!(text, "  # {}", one_line(name));
            }
            text.push('\n');
        }
    }
    text
}
