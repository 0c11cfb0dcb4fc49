//! The command line's grammar.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::cli::env;
use crate::cli::personality::Personality;
use crate::crypt::canonical::read_boolean;
use crate::format::{FORMATS, FileFormat, by_name};

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

/// Encrypts the values of structured files; reads and writes the SOPS file format.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// The config file [default: the nearest `.sops.yaml`, from the file's directory upwards]
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Encrypt files
    Encrypt(Box<EncryptArgs>),
    /// Decrypt files
    Decrypt(Box<DecryptArgs>),
    /// Edit an encrypted file, or make a new one
    Edit(Box<EditArgs>),
}

/// The arguments of `encrypt`.
#[derive(Debug, Args)]
pub struct EncryptArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files [default: standard input, with --filename-override]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Replace the files
    #[arg(short, long)]
    pub in_place: bool,

    /// Write to this file
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rule: RuleArgs,

    /// Treat the file as if it were called this: for its format and its creation rule
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    /// Make a new data key although --output is encrypted already
    #[arg(long)]
    pub new_data_key: bool,

    /// Encrypt although the rule covers none of the file's values
    #[arg(long)]
    pub allow_unencrypted: bool,
}

/// The arguments of `decrypt`.
#[derive(Debug, Args)]
pub struct DecryptArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The files; `-` is standard input [default: see the README]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Replace the files by their plain text
    #[arg(short, long)]
    pub in_place: bool,

    /// Write to this file, which only its owner may read
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Print the part at this tree path: `["a"][0]` or `a[0]`
    #[arg(long, value_name = "PATH")]
    pub extract: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    /// Treat the file as if it were called this, for its format
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,
}

/// The arguments of `edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// Show the metadata too, and let it be edited
    #[arg(short, long)]
    pub show_master_keys: bool,

    /// The file
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keys: KeyArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rule: RuleArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,

    /// Write a new file although the rule covers none of its values
    #[arg(long)]
    pub allow_unencrypted: bool,
}

/// How files are read and written.
#[derive(Debug, Args)]
pub struct TypeArgs {
    /// The format of the input [default: by its name or content]
    #[arg(long, value_name = "TYPE", value_parser = formats())]
    input_type: Option<String>,

    /// The format of the output [default: that of the input]
    #[arg(long, value_name = "TYPE", value_parser = formats())]
    output_type: Option<String>,

    /// Spaces a level in new text
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=64))]
    pub indent: Option<u32>,
}

impl TypeArgs {
    /// Returns the format of the input, if it is given.
    pub fn input(&self) -> Option<&'static dyn FileFormat> {
        self.input_type.as_deref().and_then(by_name)
    }

    /// Returns the format of the output, if it is given.
    pub fn output(&self) -> Option<&'static dyn FileFormat> {
        self.output_type.as_deref().and_then(by_name)
    }
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(FORMATS.iter().map(|format| format.name()))
}

/// Who can decrypt what is encrypted.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// age recipients, separated by commas; the config's are not used then
    #[arg(
        short,
        long,
        value_name = "RECIPIENTS",
        env = env::AGE_RECIPIENTS,
        hide_env_values = true
    )]
    pub age: Option<String>,

    /// How many key groups are needed to decrypt [default: all]
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,

    // Kinds of keys that are not built in: refused by name rather than unknown.
    #[arg(long, short = 'k', hide = true)]
    kms: Option<String>,
    #[arg(long, short = 'p', hide = true)]
    pgp: Option<String>,
    #[arg(long, hide = true)]
    gcp_kms: Option<String>,
    #[arg(long, hide = true)]
    hckms: Option<String>,
    #[arg(long, hide = true)]
    azure_kv: Option<String>,
    #[arg(long, hide = true)]
    hc_vault_transit: Option<String>,
    #[arg(long, hide = true)]
    aws_profile: Option<String>,
    #[arg(long, hide = true)]
    encryption_context: Option<String>,
}

/// Key services, which are not built in: refused by name rather than unknown.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    #[arg(long, hide = true, env = env::KEYSERVICE, hide_env_values = true)]
    keyservice: Vec<String>,
    #[arg(long, hide = true, default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    enable_local_keyservice: Option<String>,
}

impl ServiceArgs {
    /// Returns whether something is asked for that is not built in.
    pub fn is_foreign(&self) -> bool {
        let local = self.enable_local_keyservice.as_deref().map(str::as_bytes);
        self.keyservice.iter().any(|address| !address.is_empty())
            || local.is_some_and(|flag| read_boolean(flag) != Some(true))
    }
}

impl KeyArgs {
    /// Returns the kinds and texts of keys that are asked for and not built in.
    pub fn foreign(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("kms", &self.kms),
            ("pgp", &self.pgp),
            ("gcp_kms", &self.gcp_kms),
            ("hckms", &self.hckms),
            ("azure_kv", &self.azure_kv),
            ("hc_vault", &self.hc_vault_transit),
            ("kms", &self.aws_profile),
            ("kms", &self.encryption_context),
        ]
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text.as_deref()?)))
    }
}

/// What is encrypted.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// Leave values in clear below keys that end like this
    #[arg(long, value_name = "SUFFIX")]
    unencrypted_suffix: Option<String>,

    /// Encrypt only below keys that end like this
    #[arg(long, value_name = "SUFFIX")]
    encrypted_suffix: Option<String>,

    /// Leave values in clear below keys that match
    #[arg(long, value_name = "REGEX")]
    unencrypted_regex: Option<String>,

    /// Encrypt only below keys that match
    #[arg(long, value_name = "REGEX")]
    encrypted_regex: Option<String>,

    /// Leave values in clear behind comments that match
    #[arg(long, value_name = "REGEX")]
    unencrypted_comment_regex: Option<String>,

    /// Encrypt only behind comments that match
    #[arg(long, value_name = "REGEX")]
    encrypted_comment_regex: Option<String>,

    /// Take the MAC over encrypted values only
    #[arg(long)]
    pub mac_only_encrypted: bool,
}

impl RuleArgs {
    /// Returns the rules that are given: field and value.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("unencrypted_suffix", &self.unencrypted_suffix),
            ("encrypted_suffix", &self.encrypted_suffix),
            ("unencrypted_regex", &self.unencrypted_regex),
            ("encrypted_regex", &self.encrypted_regex),
            ("unencrypted_comment_regex", &self.unencrypted_comment_regex),
            ("encrypted_comment_regex", &self.encrypted_comment_regex),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.as_deref()?)))
        .filter(|(_, value)| !value.is_empty())
    }
}

/// How files are opened.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Decrypt whatever the MAC says: changes of the file are not noticed
    #[arg(long)]
    pub ignore_mac: bool,

    /// The kinds of keys to try first, separated by commas [default: age,pgp]
    #[arg(long, value_name = "KINDS", env = env::DECRYPTION_ORDER, hide_env_values = true)]
    pub decryption_order: Option<String>,
}

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
