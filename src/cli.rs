//! The command line.

pub mod editor;
pub mod io;
pub mod os;

use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
