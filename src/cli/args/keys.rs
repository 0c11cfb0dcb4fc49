//! Who can decrypt what is encrypted: flags that follow from the table of key kinds.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::keys::{self, Fields, KINDS, KeyError, KeyKind, KeyOption, MasterKey};

/// Who can decrypt what is encrypted.
#[derive(Debug, Default, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyFlags<Only>,

    /// How many key groups are needed to decrypt [default: all]
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,
}

/// What the keys of a set of flags are for, which decides how the flags look.
pub trait Form: Debug + Send + Sync + 'static {
    /// What stands in front of the name of the kind: nothing, `add-` or `rm-`.
    const PREFIX: &'static str;
    /// Whether the letter of the kind and its environment variable count too.
    const HAS_SHORTCUTS: bool;
    /// Whether a flag may be given several times.
    const REPEATS: bool;
    /// Whether the options of the kinds are flags beside these. If not, they belong to another
    /// form of the same command, and count for these keys too.
    const HAS_OPTIONS: bool;

    /// Returns the help of a flag for `keys`: `age recipients`.
    fn help(keys: &str) -> String;
}

/// `--age`: the keys of a new file, in place of the config's.
#[derive(Debug)]
pub struct Only;

impl Form for Only {
    const PREFIX: &'static str = "";
    const HAS_SHORTCUTS: bool = true;
    const REPEATS: bool = false;
    const HAS_OPTIONS: bool = true;

    fn help(keys: &str) -> String {
        format!("The {keys}, separated by commas; the config's keys are not used then")
    }
}

/// `--add-age`: keys to add to a file. It comes with `--aws-profile` and the like.
#[derive(Debug)]
pub struct Add;

impl Form for Add {
    const PREFIX: &'static str = "add-";
    const HAS_SHORTCUTS: bool = false;
    const REPEATS: bool = true;
    const HAS_OPTIONS: bool = true;

    fn help(keys: &str) -> String {
        format!("Add {keys}, separated by commas")
    }
}

/// `--rm-age`: keys to take out of a file. It stands beside [`Add`].
#[derive(Debug)]
pub struct Remove;

impl Form for Remove {
    const PREFIX: &'static str = "rm-";
    const HAS_SHORTCUTS: bool = false;
    const REPEATS: bool = true;
    const HAS_OPTIONS: bool = false;

    fn help(keys: &str) -> String {
        format!("Take {keys} out, separated by commas")
    }
}

/// `--age`, as often as one likes: the keys of a new group.
#[derive(Debug)]
pub struct Group;

impl Form for Group {
    const PREFIX: &'static str = "";
    const HAS_SHORTCUTS: bool = false;
    const REPEATS: bool = true;
    const HAS_OPTIONS: bool = true;

    fn help(keys: &str) -> String {
        format!("The {keys} of the group, separated by commas")
    }
}

/// A flag for each kind of keys, and for what can be said about keys of a kind.
#[derive(Debug)]
pub struct KeyFlags<F: Form> {
    /// The kinds that were asked for, each with what was asked for, not empty.
    texts: Vec<(&'static KeyKind, Vec<String>)>,
    options: Vec<(&'static KeyKind, &'static KeyOption, String)>,
    form: PhantomData<F>,
}

impl<F: Form> Default for KeyFlags<F> {
    fn default() -> KeyFlags<F> {
        KeyFlags { texts: Vec::new(), options: Vec::new(), form: PhantomData }
    }
}

impl<F: Form> KeyFlags<F> {
    /// Returns whether no key is asked for.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns the keys that are asked for, in SOPS' order.
    ///
    /// # Errors
    /// If a text names no key, or an option is not as it should be.
    pub fn keys(&self) -> Result<Vec<Arc<dyn MasterKey>>, KeyError> {
        let mut keys = Vec::new();
        for (kind, option, text) in &self.options {
            kind.code()?;
            (option.read)(text)?;
        }
        for (kind, texts) in &self.texts {
            let options = self.options_of(kind)?;
            for text in texts.iter().flat_map(|text| text.split(',')) {
                keys.push(keys::parse(kind, text, &options)?);
            }
        }
        Ok(keys)
    }

    /// Returns what is said about keys of a kind, as fields of their entries.
    ///
    /// # Errors
    /// If an option is not as it should be.
    pub fn options_of(&self, kind: &KeyKind) -> Result<Fields, KeyError> {
        self.options
            .iter()
            .filter(|(of, ..)| *of == kind)
            .map(|(_, option, text)| Ok((option.field.to_owned(), (option.read)(text)?)))
            .collect()
    }
}

impl<F: Form> FromArgMatches for KeyFlags<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<KeyFlags<F>, clap::Error> {
        let mut flags = KeyFlags { texts: Vec::new(), options: Vec::new(), form: PhantomData };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = |id: &str| -> Vec<String> {
            let values = matches.try_get_many::<String>(id).ok().flatten().unwrap_or_default();
            values.filter(|text| !text.is_empty()).cloned().collect()
        };
        self.texts = KINDS
            .iter()
            .map(|kind| (*kind, given(&format!("{}{}", F::PREFIX, kind.flag.long))))
            .filter(|(_, texts)| !texts.is_empty())
            .collect();
        self.options = KINDS
            .iter()
            .flat_map(|kind| kind.options.iter().map(move |option| (*kind, option)))
            .filter_map(|(kind, option)| Some((kind, option, given(option.long).pop()?)))
            .collect();
        Ok(())
    }
}

impl<F: Form> Args for KeyFlags<F> {
    fn augment_args(mut command: Command) -> Command {
        for kind in KeyKind::in_config_order() {
            let is_hidden = kind.code.is_none();
            let name = format!("{}{}", F::PREFIX, kind.flag.long);
            let mut flag = Arg::new(name.clone())
                .long(name)
                .value_name(kind.flag.value)
                .help(F::help(kind.flag.keys))
                .action(if F::REPEATS { ArgAction::Append } else { ArgAction::Set })
                .hide(is_hidden);
            if F::HAS_SHORTCUTS {
                flag = flag.env(kind.env).hide_env_values(true);
                flag = match kind.flag.short {
                    Some(letter) => flag.short(letter),
                    None => flag,
                };
            }
            command = command.arg(flag);
            for option in kind.options.iter().filter(|_| F::HAS_OPTIONS) {
                let flag = Arg::new(option.long)
                    .long(option.long)
                    .value_name(option.value)
                    .help(option.help)
                    .hide(is_hidden);
                command = command.arg(flag);
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        KeyFlags::<F>::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    const ALICE: &str = "age1lcd05y8qq7256hxlxfzj0u2vuphtdxdhz0e5hgyv9fppcpjs83zsxq4cja";
    const BOB: &str = "age1p425dg54alxas5ngyta05t8vms4gqs7ps52cfjd72wytc3q32awsh3mzqa";

    #[derive(Debug, Parser)]
    struct Change {
        #[command(flatten)]
        add: KeyFlags<Add>,
        #[command(flatten)]
        remove: KeyFlags<Remove>,
    }

    fn identities<F: Form>(flags: &KeyFlags<F>) -> Vec<String> {
        flags.keys().unwrap().iter().map(|key| key.identity().to_owned()).collect()
    }

    #[test]
    fn keys_are_added_and_removed_by_flags_of_their_kind() {
        let both = format!("{ALICE},{BOB}");
        let change = Change::parse_from(["x", "--add-age", &both, "--rm-age", BOB]);
        assert_eq!(identities(&change.add), [ALICE, BOB]);
        assert_eq!(identities(&change.remove), [BOB]);
    }

    #[test]
    fn empty_flags_ask_for_nothing() {
        let change = Change::parse_from(["x", "--add-age", ""]);
        assert!(change.add.is_empty() && change.remove.is_empty());
    }

    #[test]
    fn each_kind_of_sops_has_its_flag_and_is_refused_by_name() {
        for kind in KINDS.iter().filter(|kind| kind.code.is_none()) {
            let change = Change::parse_from(["x", &format!("--add-{}", kind.flag.long), "x"]);
            let error = change.add.keys().unwrap_err().to_string();
            assert!(error.starts_with(kind.title), "{error}");
        }
    }

    #[cfg(not(feature = "aws"))]
    #[test]
    fn an_option_of_a_kind_that_is_not_built_in_is_refused() {
        let change = Change::parse_from(["x", "--aws-profile", "ops"]);
        assert!(change.add.keys().unwrap_err().to_string().starts_with("AWS KMS"));
    }
}
