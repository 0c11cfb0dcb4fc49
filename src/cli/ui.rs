//! What is said besides the result: on standard error, never with a value.

use std::fmt::Display;
use std::io::Write as _;

use crate::cli::personality::Personality;

/// The voice of the program.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    personality: Personality,
}

impl Ui {
    /// Returns the voice of a personality.
    pub fn new(personality: Personality) -> Ui {
        Ui { personality }
    }

    /// Says something that the user should know, and that stops nothing.
    pub fn warn(self, message: impl Display) {
        self.line(format_args!("warning: {message}"));
    }

    /// Says what was done, or not done. SOPS is silent there.
    pub fn note(self, message: impl Display) {
        if self.personality == Personality::Encfile {
            self.line(message);
        }
    }

    /// Writes a line. That standard error is closed is no reason to fail.
    pub fn line(self, message: impl Display) {
        let text = format!("{message}\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
