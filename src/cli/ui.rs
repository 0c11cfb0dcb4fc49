//! What is said besides the result: on standard error, never with a value.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::Write as _;

use crate::cli::personality::Personality;

/// The voice of the program.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    personality: Personality,
    is_muted: bool,
}

impl Ui {
    /// Returns the voice of a personality.
    pub fn new(personality: Personality) -> Ui {
        Ui { personality, is_muted: false }
    }

    /// Returns a voice that says nothing.
    #[must_use]
    pub fn muted(self) -> Ui {
        Ui { is_muted: true, ..self }
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

    /// Asks something, without a line break behind it.
    pub fn prompt(self, question: &str) {
        let text = visible(question, |character| character != '\n');
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Writes a line, or several. That standard error is closed is no reason to fail.
    ///
    /// What a terminal would take as a command is shown as `\u{1b}`: names of files, keys and
    /// recipients come from whoever wrote the repository.
    pub fn line(self, message: impl Display) {
        if self.is_muted {
            return;
        }
        let text = message.to_string();
        let mut text = visible(&text, |character| character != '\n').into_owned();
        text.push('\n');
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Returns a text of somebody else's for one line of a message: control characters, also line
/// breaks, are escaped.
pub fn one_line(text: &str) -> Cow<'_, str> {
    visible(text, |_| true)
}

/// Escapes the control characters for which `escaped` is true.
fn visible(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Besides C0 and C1: the marks that turn the direction of writing.
    let hidden = |character: char| {
        (character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            && character != '\t'
            && escaped(character)
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if hidden(character) {
            // Writing to a `String` cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_the_terminal_are_shown_not_sent() {
        assert_eq!(
            one_line("a\u{1b}[31mb\nc\u{9b}\u{202e}\r\té"),
            "a\\u{1b}[31mb\\nc\\u{9b}\\u{202e}\\r\té"
        );
        assert!(matches!(one_line("plain \"é\""), Cow::Borrowed(_)));
        assert_eq!(visible("a\n\u{7}", |character| character != '\n'), "a\n\\u{7}");
    }
}
