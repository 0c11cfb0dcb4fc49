//! The arguments of `agent`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

/// The arguments of `agent`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentArgs {
    /// What to do with the agent that runs.
    #[command(subcommand)]
    pub command: Option<AgentCommand>,

    /// How long a key is remembered: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub ttl: Duration,

    /// The socket [default: in a directory of the user's own]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// Stay in the foreground
    #[arg(long)]
    pub foreground: bool,

    /// Leave the session: how the agent starts itself.
    #[arg(long, hide = true, requires = "foreground")]
    pub detached: bool,

    /// A command to run, with its arguments; the agent ends when it does
    #[arg(last = true, value_name = "COMMAND")]
    pub program: Vec<OsString>,
}

/// What can be done with the agent that runs.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AgentCommand {
    /// Let the agent forget all keys
    Lock,
    /// Show how many keys the agent remembers
    Status,
    /// End the agent
    Stop,
}

/// The longest time that a key is remembered.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Reads a time.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("the unit is none of s, m, h and d".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "it is no whole number".to_owned())?;
    match count.checked_mul(unit).map(Duration::from_secs) {
        Some(Duration::ZERO) => Err("nothing would be remembered".to_owned()),
        Some(time) if time <= LONGEST => Ok(time),
        _ => Err("keys are remembered for seven days at most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28800), ("7d", 604_800)]
        {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1w", "1.5h", "-1h", "0", "8d", "99999999999999999999h", "1 h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
