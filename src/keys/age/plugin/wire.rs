//! How a plugin is talked with: stanzas over its standard input and output, as
//! [C2SP](https://c2sp.org/age-plugin) has it.

use std::io::{self, BufRead, BufReader, Read, Write};

use age_core::format::Stanza;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// Letters of a line of a body.
const LINE: usize = 64;
/// The longest first line and the longest body that are read, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;

/// Writes a stanza.
pub(super) fn write(
    output: &mut dyn Write,
    tag: &str,
    args: &[&str],
    body: &[u8],
) -> io::Result<()> {
    let mut text = Zeroizing::new(format!("-> {tag}"));
    for arg in args {
        text.push(' ');
        text.push_str(arg);
    }
    text.push('\n');
    let body = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(body));
    // The last line is shorter than the others, and may be empty.
    let mut rest = body.as_str();
    loop {
        let (line, behind) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        if line.len() < LINE {
            break;
        }
        rest = behind;
    }
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Reads stanzas.
pub(super) struct Reader<'r> {
    input: BufReader<&'r mut dyn Read>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(input: &'r mut dyn Read) -> Reader<'r> {
        Reader { input: BufReader::new(input) }
    }

    /// Reads a stanza.
    pub(super) fn stanza(&mut self) -> io::Result<Stanza> {
        let first = self.line()?;
        let mut words = first.strip_prefix("-> ").ok_or_else(malformed)?.split(' ');
        let tag = words.next().filter(|tag| !tag.is_empty()).ok_or_else(malformed)?.to_owned();
        let args: Vec<String> = words.map(str::to_owned).collect();
        if args.iter().any(|arg| !age_core::format::is_arbitrary_string(arg)) {
            return Err(malformed());
        }
        let mut body = Zeroizing::new(String::new());
        loop {
            let line = self.line()?;
            body.push_str(&line);
            match line.len() {
                LINE if body.len() as u64 > MAX_LENGTH => return Err(malformed()),
                LINE => {}
                0..LINE => break,
                _ => return Err(malformed()),
            }
        }
        let body = BASE64_STANDARD_NO_PAD.decode(body.as_bytes()).map_err(|_| malformed())?;
        Ok(Stanza { tag, args, body })
    }

    fn line(&mut self) -> io::Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(String::new());
        (&mut self.input).take(MAX_LENGTH).read_line(&mut line)?;
        if line.pop() != Some('\n') {
            let message = "it ended in the middle of the conversation";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        Ok(line)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it does not speak the plugins' protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_read_as_they_are_written() {
        for length in [0, 1, 47, 48, 49, 95, 96, 1000] {
            let body = vec![7; length];
            let mut text = Vec::new();
            write(&mut text, "recipient-stanza", &["0", "demo"], &body).unwrap();
            let mut input: &[u8] = &text;
            let stanza = Reader::new(&mut input).stanza().unwrap();
            assert_eq!(stanza.tag, "recipient-stanza");
            assert_eq!(stanza.args, ["0", "demo"]);
            assert_eq!(stanza.body, body);
        }
    }

    #[test]
    fn what_is_no_stanza_is_an_error() {
        let endless = format!("-> a\n{}\n", "A".repeat(100));
        for text in
            ["", "-> a", "-> a\n", "-> \n\n", "hello\n\n", "-> a  b\n\n", "-> a\n=\n", &endless]
        {
            let mut input = text.as_bytes();
            assert!(Reader::new(&mut input).stanza().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_endless_line_or_body_is_not_read_to_its_end() {
        let body = format!("-> a\n{}", format!("{}\n", "A".repeat(64)).repeat(2000));
        for text in [format!("-> {}", "a".repeat(1 << 20)), body] {
            let mut input = text.as_bytes();
            assert!(Reader::new(&mut input).stanza().is_err());
        }
    }
}
