//! What is encrypted.

use clap::Args;

/// What is encrypted.
#[derive(Debug, Default, Args)]
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
