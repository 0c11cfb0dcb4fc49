//! Key services.

use clap::Args;

use crate::cli::env;
use crate::crypt::canonical::read_boolean;

/// Key services, which are not built in: refused by name rather than unknown.
#[derive(Debug, Default, Args)]
pub struct ServiceArgs {
    #[arg(long, hide = true, env = env::KEYSERVICE, hide_env_values = true)]
    keyservice: Vec<String>,
    #[arg(long, hide = true, env = env::ENABLE_LOCAL_KEYSERVICE, default_missing_value = "true", num_args = 0..=1, require_equals = true)]
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
