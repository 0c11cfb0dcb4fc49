//! Passphrases from `gpg-agent`, as SOPS has them: it remembers them, and asks for those that it does
//! not know by its own program, which may have a window.
//!
//! Assuan, the protocol, is a line for a line:
//! <https://www.gnupg.org/documentation/manuals/gnupg/Agent-GET_005fPASSPHRASE.html>.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::keys::Host;
use crate::secret::SecretBytes;

/// The longest line of an answer, in bytes; Assuan's limit is 1,000.
const MAX_LINE: usize = 4096;

/// The numbers of the errors by which the user says no: `GPG_ERR_CANCELED` and
/// `GPG_ERR_FULLY_CANCELED`. The upper bits of a code say who reports it.
const CANCELLED: [u32; 2] = [99, 198];

/// The letters of Base32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Under which name the agent remembers the passphrase of a file: that of SOPS.
#[derive(Debug)]
pub(super) struct CacheId(String);

/// Why the agent has given no passphrase.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no agent.
    NoAgent,
    /// The user does not want to say it.
    Cancelled,
    /// Something else.
    Other(String),
}

impl CacheId {
    /// Returns the name for a file with this content.
    pub(super) fn of_content(content: &[u8]) -> CacheId {
        let digest = Sha256::digest(content);
        // 25 bytes are 40 letters, without padding.
        let letters = digest[..25].chunks_exact(5).flat_map(|five| {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8).rev().map(move |place| BASE32[(bits >> (5 * place) & 31) as usize])
        });
        CacheId("SopsAge".chars().chain(letters.map(char::from)).collect())
    }
}

/// Asks the agent of the user of `host` for a passphrase.
///
/// # Errors
/// If there is none.
pub(super) fn passphrase(
    host: &dyn Host,
    id: &CacheId,
    question: &str,
) -> Result<SecretBytes, Failure> {
    let mut options: Vec<(&str, String)> = Vec::new();
    options.extend(host.terminal().map(|name| ("ttyname", name)));
    for (option, name) in [("ttytype", "TERM"), ("display", "DISPLAY")] {
        let value = host.variable(name).and_then(|value| value.into_string().ok());
        options.extend(value.filter(|value| !value.is_empty()).map(|value| (option, value)));
    }
    let ask = format!("GET_PASSPHRASE {} X Passphrase {}", id.0, escaped(question));
    let mut said = Err(Failure::NoAgent);
    host.talk_to_gpg_agent(&mut |input, output| {
        said = converse(input, output, &options, &ask);
    });
    said
}

/// Makes the agent forget a passphrase that was wrong. Whether it does is its own business.
pub(super) fn forget(host: &dyn Host, id: &CacheId) {
    let clear = format!("CLEAR_PASSPHRASE {}", id.0);
    host.talk_to_gpg_agent(&mut |input, output| {
        let _ = answer(output).and_then(|_| tell(input, &clear)).and_then(|()| answer(output));
    });
}

fn converse(
    input: &mut dyn Write,
    output: &mut dyn Read,
    options: &[(&str, String)],
    ask: &str,
) -> Result<SecretBytes, Failure> {
    answer(output)?;
    for (name, value) in options {
        // What it does not want to know it says; the question can do without.
        tell(input, &format!("OPTION {name}={value}"))?;
        match answer(output) {
            Ok(_) | Err(Failure::Cancelled | Failure::NoAgent) => {}
            Err(Failure::Other(why)) if why.starts_with(REFUSED) => {}
            Err(failure) => return Err(failure),
        }
    }
    tell(input, ask)?;
    decoded(&answer(output)?).ok_or_else(|| no_agent("it is not the hexadecimal text of one"))
}

/// How the messages of the agent itself begin.
const REFUSED: &str = "gpg-agent: ";

fn no_agent(why: &str) -> Failure {
    Failure::Other(format!("what answers is not as gpg-agent does: {why}"))
}

fn tell(input: &mut dyn Write, line: &str) -> Result<(), Failure> {
    let line = format!("{}\n", line.replace(['\r', '\n'], " "));
    let sent = input.write_all(line.as_bytes()).and_then(|()| input.flush());
    sent.map_err(|error| Failure::Other(error.to_string()))
}

/// Returns what stands behind the `OK` that ends an answer.
fn answer(output: &mut dyn Read) -> Result<SecretBytes, Failure> {
    loop {
        let line = line(output).map_err(|error| Failure::Other(error.to_string()))?;
        let (word, rest) = match line.iter().position(|&byte| byte == b' ') {
            Some(blank) => (&line[..blank], &line[blank + 1..]),
            None => (&*line, &line[line.len()..]),
        };
        match word {
            b"OK" => return Ok(SecretBytes::from(rest)),
            b"ERR" => {
                let text = String::from_utf8_lossy(rest);
                let (code, said) = text.split_once(' ').unwrap_or((&text, ""));
                let code: u32 = code.parse().unwrap_or_default();
                if CANCELLED.contains(&(code & 0xffff)) {
                    return Err(Failure::Cancelled);
                }
                let said = said.chars().filter(|letter| !letter.is_control());
                return Err(Failure::Other(REFUSED.chars().chain(said).collect()));
            }
            // Its progress, and comments.
            b"S" => {}
            word if word.starts_with(b"#") => {}
            _ => return Err(no_agent("its line is none of Assuan's")),
        }
    }
}

/// Reads a line.
fn line(output: &mut dyn Read) -> io::Result<SecretBytes> {
    let mut line = SecretBytes::with_capacity(MAX_LINE);
    let mut byte = [0];
    while line.len() < MAX_LINE {
        if output.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte {
            [b'\n'] => return Ok(line),
            [byte] => line.push(byte),
        }
    }
    Err(io::Error::other("its line has no end"))
}

/// Returns the bytes of a hexadecimal text that is not empty.
fn decoded(text: &[u8]) -> Option<SecretBytes> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = SecretBytes::with_capacity(text.len() / 2);
    for pair in text.chunks(2) {
        let [high, low] = pair else { return None };
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Returns a text as an argument: one word, with a plus sign for a blank.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b' ' => escaped.push('+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::keys::Talk;

    /// A machine whose agent says these lines, whatever it is asked.
    struct Machine {
        says: Option<&'static str>,
        heard: Mutex<Vec<u8>>,
    }

    impl Host for Machine {
        fn read_file(&self, _: &Path, _: usize) -> io::Result<SecretBytes> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn variable(&self, name: &str) -> Option<std::ffi::OsString> {
            (name == "DISPLAY").then(|| ":7".into())
        }

        fn terminal(&self) -> Option<String> {
            Some("/dev/pts/3".to_owned())
        }

        fn talk_to_gpg_agent(&self, talk: &mut Talk<'_>) {
            if let Some(says) = self.says {
                talk(&mut *self.heard.lock().unwrap(), &mut says.as_bytes());
            }
        }
    }

    fn machine(says: Option<&'static str>) -> Machine {
        Machine { says, heard: Mutex::default() }
    }

    fn asked(says: Option<&'static str>) -> (Result<String, Failure>, String) {
        let machine = machine(says);
        let id = CacheId("id".to_owned());
        let answer = passphrase(&machine, &id, "Enter passphrase for identity '/a b':");
        let heard = String::from_utf8(machine.heard.into_inner().unwrap()).unwrap();
        (answer.map(|text| String::from_utf8(text.to_vec()).unwrap()), heard)
    }

    #[test]
    fn the_agent_is_asked_as_sops_does() {
        let (answer, heard) = asked(Some("OK Pleased\nOK\nS x\n# y\nOK\nOK 6f70656E2073\n"));
        assert_eq!(answer, Ok("open s".to_owned()));
        assert_eq!(
            heard,
            "OPTION ttyname=/dev/pts/3\nOPTION display=:7\nGET_PASSPHRASE id X Passphrase \
             Enter+passphrase+for+identity+%27%2Fa+b%27%3A\n"
        );
    }

    #[test]
    fn options_that_the_agent_does_not_want_change_nothing() {
        let (answer, _) = asked(Some("OK\nERR 67109115 Forbidden <GPG Agent>\nOK\nOK 61\n"));
        assert_eq!(answer, Ok("a".to_owned()));
    }

    #[test]
    fn what_the_agent_does_not_say_is_told_apart() {
        let other = |why: &str| Err(Failure::Other(why.to_owned()));
        let strange = |why| other(&format!("what answers is not as gpg-agent does: {why}"));
        for (says, expected) in [
            (None, Err(Failure::NoAgent)),
            (
                Some("OK\nOK\nOK\nERR 83886179 Operation cancelled <Pinentry>\n"),
                Err(Failure::Cancelled),
            ),
            (
                Some("OK\nOK\nOK\nERR 67108922 No data <GPG Agent>\n"),
                other("gpg-agent: No data <GPG Agent>"),
            ),
            (Some("OK\nOK\nOK\nOK\n"), strange("it is not the hexadecimal text of one")),
            (Some("OK\nOK\nOK\nOK 616\n"), strange("it is not the hexadecimal text of one")),
            (Some("OK\nOK\nOK\nOK canary\n"), strange("it is not the hexadecimal text of one")),
            (Some("HTTP/1.1 400 Bad Request\n"), strange("its line is none of Assuan's")),
            (Some("OK\nOK"), other("unexpected end of file")),
            (Some(""), other("unexpected end of file")),
        ] {
            assert_eq!(asked(says).0, expected, "{says:?}");
        }
    }

    #[test]
    fn a_passphrase_is_forgotten_by_its_name() {
        let machine = machine(Some("OK\nOK\n"));
        forget(&machine, &CacheId("id".to_owned()));
        assert_eq!(*machine.heard.lock().unwrap(), b"CLEAR_PASSPHRASE id\n");
    }

    #[test]
    fn the_name_is_that_of_the_content() {
        // `printf content | sha256sum | xxd -r -p | head -c 25 | base32`
        let id = CacheId::of_content(b"content");
        assert_eq!(id.0, "SopsAge5VYAFNBZ5GWIIXZCGV6YEK5MCRCHGD55WYAW2PWJ");
    }
}
