//! The command line's grammar: [`Cli`] and its commands; a command's arguments stand in a module
//! of its own, those that several share beside them.

#[cfg(all(feature = "keyservice", unix))]
pub mod agent;
pub mod check;
pub mod command;
pub mod completion;
pub mod decrypt;
pub mod diff;
pub mod edit;
pub mod encrypt;
pub mod exec_env;
pub mod exec_file;
pub mod filestatus;
pub mod git;
mod go;
pub mod groups;
pub mod keys;
#[cfg(feature = "keyservice")]
pub mod keyservice;
pub mod legacy;
pub mod man;
pub mod mergetool;
pub mod opening;
pub mod publish;
pub mod repair;
pub mod rotate;
pub mod rules;
pub mod scan;
pub mod services;
pub mod set;
pub mod status;
pub mod types;
pub mod updatekeys;
pub mod variables;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{ArgAction, Parser, Subcommand, ValueHint};

use crate::cli::env;

#[cfg(all(feature = "keyservice", unix))]
pub use self::agent::AgentArgs;
pub use self::check::CheckArgs;
pub use self::command::CommandArgs;
pub use self::completion::CompletionArgs;
pub use self::decrypt::DecryptArgs;
pub use self::diff::DiffArgs;
pub use self::edit::EditArgs;
pub use self::encrypt::EncryptArgs;
pub use self::exec_env::ExecEnvArgs;
pub use self::exec_file::ExecFileArgs;
pub use self::filestatus::FileStatusArgs;
pub use self::git::GitArgs;
pub use self::groups::{GroupsAddArgs, GroupsCommand, GroupsDeleteArgs};
pub use self::keys::KeyArgs;
#[cfg(feature = "keyservice")]
pub use self::keyservice::KeyserviceArgs;
pub use self::legacy::{Normal, normalise};
pub use self::man::ManArgs;
pub use self::mergetool::MergetoolArgs;
pub use self::opening::{OpenArgs, OrderArgs, WriteArgs};
pub use self::publish::PublishArgs;
pub use self::repair::RepairArgs;
pub use self::rotate::{AcceptArgs, RotateArgs};
pub use self::rules::RuleArgs;
pub use self::scan::ScanArgs;
pub use self::services::ServiceArgs;
pub use self::set::{ChangeArgs, SetArgs, UnsetArgs};
pub use self::status::{AboutArgs, StatusArgs};
pub use self::types::{InputTypeArgs, OutputType, PlainTypeArgs, TypeArgs};
pub use self::updatekeys::UpdatekeysArgs;
pub use self::variables::VariableArgs;

/// Encrypts the values of structured files; reads and writes the SOPS file format.
#[derive(Debug, Parser)]
#[command(version, disable_version_flag = true, max_term_width = 100)]
pub struct Cli {
    /// The config file [default: the nearest `.sops.yaml`, from the file's directory upwards]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        env = env::CONFIG,
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Say more: where `keyservice`, as `sops`, listens, and what `publish`, as `sops`, has done.
    /// Nothing else is logged besides what is said anyway.
    #[arg(long, global = true, hide = true)]
    pub verbose: bool,

    // SOPS' flags that have nothing to turn on or off here: no version is looked up anywhere.
    #[arg(long, global = true, hide = true)]
    disable_version_check: bool,
    #[arg(long, global = true, hide = true)]
    check_for_updates: bool,

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
    /// Encrypt with a new data key, and add or remove recipients
    Rotate(Box<RotateArgs>),
    /// Give files the recipients of their creation rule
    Updatekeys(Box<UpdatekeysArgs>),
    /// Add or delete a key group
    #[command(subcommand)]
    Groups(GroupsCommand),
    /// Put files into a bucket, or their values into a Vault server, by the config's rules
    Publish(Box<PublishArgs>),
    /// Run a command with the values of a file in its environment
    ExecEnv(Box<ExecEnvArgs>),
    /// Run a command with the path of a decrypted file in place of `{}`
    ExecFile(Box<ExecFileArgs>),
    /// Find files and values that should be encrypted and are not, and damaged files
    Check(Box<CheckArgs>),
    /// Find copies of the values of encrypted files that stand somewhere in clear
    Scan(Box<ScanArgs>),
    /// Show which files are encrypted, by which rule and for whom; needs no key
    Status(StatusArgs),
    /// Show who can open files, and which of your keys can; needs no key
    Who(AboutArgs),
    /// Show what decides how files are encrypted: config, rule, format, keys; needs no key
    Why(AboutArgs),
    /// Show which values differ between versions of encrypted files
    Diff(Box<DiffArgs>),
    /// Resolve a conflict of git in an encrypted file, in the editor
    Mergetool(MergetoolArgs),
    /// Make an encrypted file right again that was merged by hand, or changed by a program
    Repair(RepairArgs),
    /// Wrap and unwrap data keys for other processes
    #[cfg(feature = "keyservice")]
    Keyservice(KeyserviceArgs),
    /// Remember data keys for a while, so that a service, token or passphrase is asked once
    #[cfg(all(feature = "keyservice", unix))]
    Agent(AgentArgs),
    /// Set up a git repository: hook, diffs and merges
    Git(GitArgs),
    /// Print whether a file is encrypted, as JSON; needs no key
    Filestatus(Box<FileStatusArgs>),
    /// Print a script that completes commands, files and tree paths in a shell
    Completion(CompletionArgs),
    /// Write the manual pages
    Man(ManArgs),
    /// Set one value of an encrypted file
    Set(Box<SetArgs>),
    /// Remove one value of an encrypted file
    Unset(Box<UnsetArgs>),
}
