//! The arguments of `set` and `unset`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{OpenArgs, ServiceArgs, TypeArgs};

/// The arguments of `set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The encrypted file
    #[arg(index = 1, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Where to set it: `database.users[0]`, or as SOPS `["database"]["users"][0]`
    #[arg(index = 2, value_name = "PATH")]
    pub path: Option<String>,

    /// The value as JSON: '"text"', 5, true, null, '{"key": "value"}'
    ///
    /// Other users of the machine may see it; --value-stdin does not show it to them.
    #[arg(index = 3, value_name = "VALUE", allow_negative_numbers = true)]
    pub value: Option<String>,

    #[arg(index = 4, hide = true, allow_negative_numbers = true)]
    #[allow(missing_docs)]
    pub rest: Vec<String>,

    /// Read the value from standard input
    #[arg(long)]
    pub value_stdin: bool,

    /// Read the value from the file that VALUE names
    #[arg(long)]
    pub value_file: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeArgs,

    /// Store the value even if the file's rule leaves it in clear and the config's would encrypt it
    #[arg(long)]
    pub allow_unencrypted: bool,
}

/// The arguments of `unset`.
#[derive(Debug, Args)]
pub struct UnsetArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The encrypted file
    #[arg(index = 1, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// What to remove: `database.users[0]`, or as SOPS `["database"]["users"][0]`
    #[arg(index = 2, value_name = "PATH")]
    pub path: Option<String>,

    #[arg(index = 3, hide = true)]
    #[allow(missing_docs)]
    pub rest: Vec<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeArgs,
}

/// How a file is changed.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Succeed, and write nothing, if there is nothing to change
    #[arg(long)]
    pub idempotent: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub types: TypeArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub opening: OpenArgs,

    /// As SOPS, which takes it and does nothing with it.
    #[arg(long, hide = true)]
    pub shamir_secret_sharing_threshold: Option<usize>,
}
