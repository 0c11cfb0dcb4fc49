//! The arguments of `keyservice`.

use clap::Args;

/// The arguments of `keyservice`.
#[derive(Debug, Args)]
pub struct KeyserviceArgs {
    /// `tcp`, `tcp4`, `tcp6` or `unix`
    #[arg(long, visible_alias = "net", value_name = "NETWORK", default_value = "tcp")]
    pub network: String,

    /// Where to listen: `host:port`, or the path of a socket
    #[arg(long, visible_alias = "addr", value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub address: String,

    /// Ask before each request is answered
    #[arg(long)]
    pub prompt: bool,
}
