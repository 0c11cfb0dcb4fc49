//! Who can decrypt what is encrypted.

use clap::Args;

use crate::cli::env;

/// Who can decrypt what is encrypted.
#[derive(Debug, Default, Args)]
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
