//! The `encfile` program: see [`encfile::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    encfile::cli::main()
}
