//! Key services.

use clap::Args;

use crate::cli::env::{self, Env};
use crate::crypt::canonical::read_boolean;

/// Who wraps and unwraps data keys.
#[derive(Debug, Default, Args)]
pub struct ServiceArgs {
    /// A key service to ask for what this program cannot do itself: `tcp://host:port` or
    /// `unix:///path`; several are asked in their order
    #[arg(long, value_name = "URI", env = env::KEYSERVICE, hide_env_values = true)]
    keyservice: Vec<String>,

    /// Whether this program uses keys itself [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = env::ENABLE_LOCAL_KEYSERVICE,
        hide_env_values = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    enable_local_keyservice: Option<String>,
}

impl ServiceArgs {
    /// Returns what the environment says, for the commands that have no such flags.
    pub fn of_env(env: &Env) -> ServiceArgs {
        let text = |name| env.raw(name).map(|value| value.to_string_lossy().into_owned());
        ServiceArgs {
            keyservice: text(env::KEYSERVICE).into_iter().collect(),
            enable_local_keyservice: text(env::ENABLE_LOCAL_KEYSERVICE),
        }
    }

    /// Returns the addresses of key services. The variable has several, with commas between them,
    /// which no address has.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let addresses = self.keyservice.iter().flat_map(|text| text.split(','));
        addresses.map(str::trim).filter(|address| !address.is_empty())
    }

    /// Returns whether this program uses keys itself.
    ///
    /// # Errors
    /// The text that is no answer to that.
    pub fn is_local(&self) -> Result<bool, &str> {
        match self.enable_local_keyservice.as_deref() {
            None => Ok(true),
            // As SOPS reads an empty variable.
            Some("") => Ok(false),
            Some(text) => read_boolean(text.as_bytes()).ok_or(text),
        }
    }
}
