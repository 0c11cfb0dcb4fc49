//! The arguments of `publish`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{OrderArgs, ServiceArgs};

/// The arguments of `publish`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first of the config's `destination_rules` whose `path_regex` matches says \
                  where a file goes. S3 (`s3_bucket`) and Google Cloud Storage (`gcs_bucket`) get \
                  the encrypted file, encrypted anew if the rule has a `recreation_rule`; Vault \
                  (`vault_path`) gets the decrypted values, unless it has the same already."
)]
pub struct PublishArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub services: ServiceArgs,

    /// The encrypted files, or directories of them
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    /// Leave the last ending out of the names at the destination: `db.yaml` becomes `db`
    #[arg(long)]
    pub omit_extensions: bool,

    /// Publish all files of a directory, by their paths below it
    #[arg(long)]
    pub recursive: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub order: OrderArgs,
}
