//! Which config, which rule: what a new file is encrypted with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::args::{KeyArgs, RuleArgs};
use crate::cli::config_file::{self, Found};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::config::{Config, CreationRule, KeyGroupSpec, KeySpec};
use crate::format::{FileFormat, Layout};
use crate::keys::age::Identities;
use crate::keys::{self, KeyError, KeyGroup, MasterKey, WrapError, WrappedKey};
use crate::policy::Recipient;
use crate::selector::{BadPattern, Selector};

/// What a new file is encrypted with.
#[derive(Debug)]
pub struct NewFile {
    /// Who can decrypt it; nothing is wrapped yet.
    pub groups: Vec<KeyGroup>,
    /// How many groups are needed; 0 for all.
    pub threshold: usize,
    /// Which leaves are encrypted; `None` for all of a binary file.
    pub selector: Option<Selector>,
    /// Whether only encrypted values are in the MAC.
    pub mac_only_encrypted: bool,
    /// The layout that the config asks for.
    pub layout: Layout,
}

/// Returns what the file called `name` is to be encrypted with.
///
/// # Errors
/// If the config is not usable, no rule matches, or there is no key.
pub fn for_file(
    context: &Context,
    config: Option<&Path>,
    name: &Path,
    format: &'static dyn FileFormat,
    (keys, rule): (&KeyArgs, &RuleArgs),
) -> Result<NewFile, CliError> {
    let file = context.env.absolute(name);
    let found = config_file::find(context, config, &file)?;
    let matching = match &found {
        Some(found) if found.config.creation_rules.is_some() => {
            Some(found.rule(&file).ok_or_else(|| no_rule(found, name))?)
        }
        _ => None,
    };
    let asked = asked_keys(context, keys)?;
    let groups = match (asked, matching) {
        (Some(group), _) => vec![group],
        (None, Some(rule)) => self::groups(context, &with_options(rule, keys)?, &[])?,
        (None, None) => return Err(no_keys(context, name)),
    };
    let binary = format.container().is_some();
    let selector = selector(context, rule, matching, binary)?;
    let mac_only = rule.mac_only_encrypted || matching.is_some_and(|rule| rule.mac_only_encrypted);
    let threshold = keys
        .shamir_secret_sharing_threshold
        .filter(|&threshold| threshold > 0)
        .or_else(|| matching?.shamir_threshold.map(|threshold| threshold as usize))
        .unwrap_or(0);
    // SOPS stores the number of groups where several have no threshold of their own.
    let threshold = if threshold == 0 && groups.len() > 1 { groups.len() } else { threshold };
    let stores = found.as_ref().map(|found| found.config.stores).unwrap_or_default();
    let indent = match format.name() {
        "json" => stores.json,
        "binary" => stores.json_binary,
        "yaml" => stores.yaml,
        _ => None,
    };
    Ok(NewFile {
        groups,
        threshold,
        selector,
        mac_only_encrypted: mac_only && !binary,
        layout: Layout { indent, ..Layout::default() },
    })
}

/// The creation rule of a file that is encrypted already.
#[derive(Debug)]
pub enum RuleFor {
    /// There is no config.
    NoConfig,
    /// The config at this path has no creation rules.
    NoRules(PathBuf),
    /// No rule of the config at this path matches the file.
    NoMatch(CliError, PathBuf),
    /// The rule, in the config at this path.
    Rule(Box<CreationRule>, PathBuf),
}

/// Returns the creation rule of the file called `name`.
///
/// # Errors
/// If the config is not usable.
pub fn of_file(context: &Context, config: Option<&Path>, name: &Path) -> Result<RuleFor, CliError> {
    let file = context.env.absolute(name);
    let Some(found) = config_file::find(context, config, &file)? else {
        return Ok(RuleFor::NoConfig);
    };
    if found.config.creation_rules.is_none() {
        return Ok(RuleFor::NoRules(found.path));
    }
    Ok(match found.rule(&file) {
        Some(rule) => RuleFor::Rule(Box::new(rule.clone()), found.path.clone()),
        None => RuleFor::NoMatch(no_rule(&found, name), found.path.clone()),
    })
}

/// Returns the key groups that a rule asks for. A key that is in `present` already is taken from
/// there, with what it wrapped; so are keys of kinds that are not built in.
///
/// # Errors
/// If a key is not usable, or a group is empty.
pub fn groups(
    context: &Context,
    rule: &CreationRule,
    present: &[KeyGroup],
) -> Result<Vec<KeyGroup>, CliError> {
    rule.groups.iter().map(|spec| group(context, spec, present)).collect()
}

/// Returns the default file of the config that is found from the working directory, if one is
/// set.
///
/// # Errors
/// If the config is not usable: it decides which file is meant.
pub fn default_file(context: &Context, config: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    let found = match config {
        Some(path) => Some(config_file::load(context, path)?),
        None => config_file::nearest(context, context.env.directory())?,
    };
    let Some(Found { config, path }) = found else { return Ok(None) };
    Ok(config.encfile.default_file.map(|file| match path.parent() {
        Some(directory) => directory.join(file),
        None => PathBuf::from(file),
    }))
}

/// Returns a rule whose keys have what the flags say about keys of their kinds, in place of what the
/// rule says.
fn with_options(rule: &CreationRule, flags: &KeyArgs) -> Result<CreationRule, KeyError> {
    let mut rule = rule.clone();
    for key in rule.groups.iter_mut().flat_map(|group| &mut group.keys) {
        let options = flags.keys.options_of(key.kind)?;
        key.options.retain(|(name, _)| options.iter().all(|(other, _)| other != name));
        key.options.extend(options);
    }
    Ok(rule)
}

/// Returns the keys of flags and environment; they replace those of the config.
fn asked_keys(context: &Context, keys: &KeyArgs) -> Result<Option<KeyGroup>, CliError> {
    let keys = keys.keys.keys()?;
    Ok((!keys.is_empty()).then(|| new_group(context, keys)))
}

fn group(
    context: &Context,
    spec: &KeyGroupSpec,
    present: &[KeyGroup],
) -> Result<KeyGroup, CliError> {
    let key = |key: &KeySpec| {
        let recipient = Recipient::of_rule(key);
        let mut keys = present.iter().flat_map(|group| &group.keys);
        match keys.find(|key| recipient.is(key.key.kind(), key.key.identity())) {
            Some(present) => Ok(present.clone()),
            None => keys::parse(key.kind, &key.text, &key.options)
                .map(|key| WrappedKey::new(key, context.env.now())),
        }
    };
    let keys = spec.keys.iter().map(key).collect::<Result<Vec<_>, KeyError>>()?;
    if keys.is_empty() {
        return Err(WrapError::EmptyGroup.into());
    }
    Ok(KeyGroup { keys })
}

/// Returns a group of keys that have not wrapped anything yet.
fn new_group(context: &Context, keys: Vec<Arc<dyn MasterKey>>) -> KeyGroup {
    let now = context.env.now();
    KeyGroup { keys: keys.into_iter().map(|key| WrappedKey::new(key, now)).collect() }
}

/// Takes keys that need the user's word before they wrap anything from the creation rule of the file
/// called `name`, as far as it names them. What the file alone names stays as it is.
pub fn adopt_keys(context: &Context, config: Option<&Path>, name: &Path, groups: &mut [KeyGroup]) {
    if !groups.iter().flat_map(|group| &group.keys).any(|key| key.key.needs_user()) {
        return;
    }
    // Without a usable rule nobody vouches for the keys; what wraps says so.
    let Ok(RuleFor::Rule(rule, _)) = of_file(context, config, name) else { return };
    let named: Vec<Arc<dyn MasterKey>> = rule
        .groups
        .iter()
        .flat_map(|group| &group.keys)
        .filter_map(|key| keys::parse(key.kind, &key.text, &key.options).ok())
        .collect();
    keys::adopt(groups, &named);
}

/// Returns who keys belong to, as the comments of the config for the file called `name` say: each
/// kind and identity with its owner. A config that is missing or broken says nothing.
pub fn owners(context: &Context, name: &Path) -> HashMap<(String, String), String> {
    let context = context.without_voice();
    let file = context.env.absolute(name);
    let found = match &context.config {
        Some(path) => config_file::load(&context, path).map(Some),
        None => config_file::nearest(&context, file.parent().unwrap_or(Path::new("/"))),
    };
    found.ok().flatten().map(|found| owners_of(&found.config)).unwrap_or_default()
}

/// Returns who keys belong to, as the comments of a config say: each kind and identity with its
/// owner.
pub fn owners_of(config: &Config) -> HashMap<(String, String), String> {
    let mut owners = HashMap::new();
    let rules = config.creation_rules.iter().flatten();
    let keys = rules.flat_map(|rule| &rule.groups).flat_map(|group| &group.keys);
    for key in keys {
        let Some(owner) = &key.comment else { continue };
        let identity = match keys::parse(key.kind, &key.text, &key.options) {
            Ok(key) => key.identity().to_owned(),
            Err(_) => key.text.clone(),
        };
        owners.entry((key.kind.name.to_owned(), identity)).or_insert_with(|| owner.clone());
    }
    owners
}

/// Returns the rule: that of the flags, which replace the same field of the config.
fn selector(
    context: &Context,
    flags: &RuleArgs,
    rule: Option<&CreationRule>,
    binary: bool,
) -> Result<Option<Selector>, CliError> {
    let mut fields: Vec<(&str, &str)> = flags.fields().collect();
    if let Some(selector) = rule.and_then(|rule| rule.selector.as_ref()) {
        let (field, value) = selector.field();
        if fields.iter().all(|&(flag, _)| flag != field) {
            fields.push((field, value));
        }
    }
    let selector = Selector::from_fields(fields, BadPattern::Refuse)?;
    if !binary {
        return Ok(Some(selector.unwrap_or_default()));
    }
    if let Some(selector) = selector {
        context.ui.warn(format_args!(
            "`{}` makes no sense for a binary file, which is encrypted as a whole, and is ignored",
            selector.field().0
        ));
    }
    Ok(None)
}

fn no_rule(found: &Found, name: &Path) -> CliError {
    let message = "error loading config: no matching creation rules found";
    CliError::new(Exit::Generic, "no-rule", message)
        .in_file(name)
        .help(format!("add a rule whose `path_regex` matches to {}", found.path.display()))
}

fn no_keys(context: &Context, name: &Path) -> CliError {
    let message = "config file not found, or has no creation rules, and no keys provided \
                   through command line options";
    let recipients = context.credentials.own::<Identities>().recipients();
    let (recipient, whose) = match recipients.first() {
        Some(own) => (own.as_str(), "your recipient"),
        None => ("age1...", "make one with: age-keygen"),
    };
    CliError::new(Exit::Generic, "no-keys", message).in_file(name).help(format!(
        "put a file called `.sops.yaml` at the top of the project:\n\
         creation_rules:\n  - age: {recipient}  # {whose}\n\
         or name recipients with --age or SOPS_AGE_RECIPIENTS"
    ))
}
