//! What `gpg` is asked, and what is made of its answers. With the real one: `tests/keys/pgp.rs`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::keys;

const FINGERPRINT: &str = "79B9C524987B106360C9A2D4E11EE9D209191A03";

/// A machine whose `gpg` gives an answer, and that remembers how it was asked.
#[derive(Default)]
struct Machine {
    variables: Vec<(&'static str, &'static str)>,
    terminal: Option<&'static str>,
    prints: &'static str,
    says: &'static str,
    fails: bool,
    is_missing: bool,
    asked: Mutex<Vec<Asked>>,
}

/// A program, its arguments and variables, its input.
type Asked = (String, Vec<String>, Vec<(String, String)>, Vec<u8>);

impl Host for Machine {
    fn read_file(&self, _: &Path, _: usize) -> io::Result<SecretBytes> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    }

    fn terminal(&self) -> Option<String> {
        self.terminal.map(str::to_owned)
    }

    fn run(&self, run: &Run<'_>) -> Result<Finished, String> {
        let arguments = run.arguments.iter().map(|&text| text.to_owned()).collect();
        let env = run.env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        self.asked.lock().unwrap().push((
            run.program.to_owned(),
            arguments,
            env.collect(),
            run.input.to_vec(),
        ));
        if self.is_missing {
            return Err(format!("there is no program `{}` in `PATH`", run.program));
        }
        Ok(Finished {
            output: SecretBytes::from(self.prints),
            said: self.says.to_owned(),
            failure: self.fails.then(|| "exit status: 2".to_owned()),
        })
    }
}

fn key(fingerprint: &str) -> PgpKey {
    PgpKey { fingerprint: fingerprint.to_owned() }
}

/// Asks a machine, and returns the answer with what it was asked.
fn on<T>(machine: Machine, ask: impl FnOnce(&Credentials) -> T) -> (T, Vec<Asked>) {
    let machine = Arc::new(machine);
    let answer = ask(&Credentials::of_host(Arc::clone(&machine) as Arc<dyn Host>));
    let asked = std::mem::take(&mut *machine.asked.lock().unwrap());
    (answer, asked)
}

#[test]
fn the_data_key_goes_through_the_input_and_never_into_arguments() {
    let machine = Machine {
        prints: "\n-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n\n",
        ..Machine::default()
    };
    let (wrapped, asked) = on(machine, |with| key(FINGERPRINT).wrap(b"data key", with));
    assert_eq!(wrapped.unwrap(), "-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----");
    let arguments = "--no-default-recipient --no-encrypt-to --trust-model always --yes --armor \
                     --output - --recipient 79B9C524987B106360C9A2D4E11EE9D209191A03 --encrypt";
    let arguments = arguments.split(' ').map(str::to_owned).collect();
    assert_eq!(asked, [("gpg".to_owned(), arguments, Vec::new(), b"data key".to_vec())]);
}

#[test]
fn a_message_goes_through_the_input_and_its_output_is_bounded() {
    let machine = Machine { prints: "data key", ..Machine::default() };
    let (opened, asked) = on(machine, |with| key("").unwrap("armor", with));
    assert_eq!(&*opened.unwrap().unwrap(), b"data key");
    let arguments = ["--max-output", "1024", "--output", "-", "--decrypt"];
    let arguments = arguments.map(str::to_owned).to_vec();
    assert_eq!(asked, [("gpg".to_owned(), arguments, Vec::new(), b"armor".to_vec())]);
}

#[test]
fn gpg_learns_of_the_terminal_unless_the_user_has_named_one() {
    for (variables, expected) in [
        (Vec::new(), vec![("GPG_TTY".to_owned(), "/dev/pts/7".to_owned())]),
        (vec![("GPG_TTY", "/dev/pts/1")], Vec::new()),
    ] {
        let machine = Machine { variables, terminal: Some("/dev/pts/7"), ..Machine::default() };
        let (_, asked) = on(machine, |with| key(FINGERPRINT).unwrap("armor", with));
        assert_eq!(asked[0].2, expected);
    }
}

#[test]
fn the_program_is_what_the_user_has_named() {
    for (named, program) in [("/opt/gpg2", "/opt/gpg2"), ("", "gpg")] {
        let variables = vec![("SOPS_GPG_EXEC", named)];
        let machine = Machine { variables, ..Machine::default() };
        let (_, asked) = on(machine, |with| key(FINGERPRINT).unwrap("armor", with));
        assert_eq!(asked[0].0, program);
    }
}

#[test]
fn failures_are_told_in_the_words_of_gpg() {
    let no_key = "gpg: encrypted with RSA key\ngpg: decryption failed: No secret key";
    let failing = |says, fails| Machine { says, fails, ..Machine::default() };
    for (machine, why) in [
        (failing(no_key, true), no_key),
        (failing("", true), "`gpg` failed: exit status: 2"),
        (failing("", false), "zero bytes returned"),
        (
            Machine { is_missing: true, ..Machine::default() },
            "there is no program `gpg` in `PATH`; install GnuPG, or set SOPS_GPG_EXEC to the program \
             to use in place of gpg",
        ),
    ] {
        let (opened, _) = on(machine, |with| key(FINGERPRINT).unwrap("armor", with));
        let error = opened.unwrap().map(drop).unwrap_err().to_string();
        assert_eq!(error, format!("failed to decrypt sops data key with pgp: {why}"));
    }
}

#[test]
fn what_is_no_message_is_never_taken_for_a_wrapped_key() {
    for prints in ["", "hello"] {
        let machine = Machine { prints, ..Machine::default() };
        let (wrapped, _) = on(machine, |with| key(FINGERPRINT).wrap(b"data key", with));
        assert_eq!(
            wrapped.unwrap_err().to_string(),
            "failed to encrypt sops data key with pgp: gpg printed no message"
        );
    }
}

#[test]
fn a_wrapped_key_that_is_too_long_is_not_given_to_gpg() {
    let armor = "x".repeat(keys::MAX_WRAPPED + 1);
    let (opened, asked) = on(Machine::default(), |with| key(FINGERPRINT).unwrap(&armor, with));
    assert_eq!(opened.unwrap().map(drop).unwrap_err().to_string(), "the wrapped key is too long");
    assert_eq!(asked, []);
}

#[test]
fn fingerprints_are_taken_as_gpg_and_people_write_them() {
    let v5 = "0123456789abcdef".repeat(4);
    for (typed, identity) in [
        ("79B9 C524 987B 1063 60C9  A2D4 E11E E9D2 0919 1A03", FINGERPRINT),
        (" 79b9c524987b106360c9a2d4e11ee9d209191a03 ", "79b9c524987b106360c9a2d4e11ee9d209191a03"),
        (
            "0x79B9C524987B106360C9A2D4E11EE9D209191A03",
            "0x79B9C524987B106360C9A2D4E11EE9D209191A03",
        ),
        ("E11EE9D209191A03", "E11EE9D209191A03"),
        ("595E076E1B7BC02CF3DD37A9F956177C28BCCC38!", "595E076E1B7BC02CF3DD37A9F956177C28BCCC38!"),
        (&v5, &v5),
    ] {
        assert_eq!(keys::parse(&KIND, typed, &[]).unwrap().identity(), identity);
    }
}

#[test]
fn what_could_be_an_option_or_somebody_elses_key_is_refused() {
    for text in [
        "",
        "!",
        "0x",
        "-o",
        "--output=79B9C524987B106360C9A2D4E11EE9D2",
        "alice@example.com",
        "09191A03",
        "0X79B9C524987B106360C9A2D4E11EE9D209191A03",
        "79B9C524987B106360C9A2D4E11EE9D209191A0",
        "79B9C524987B106360C9A2D4E11EE9D209191A03!!",
        "79B9C524987B106360C9A2D4E11EE9D209191A0G",
    ] {
        assert_eq!(
            keys::parse(&KIND, text, &[]).map(drop).unwrap_err().to_string(),
            format!(
                "`{text}` is no fingerprint of a PGP key: that has 40 hexadecimal digits, as `gpg \
                 --fingerprint` shows them; names, e-mail addresses and short ids can be anybody's"
            )
        );
    }
}

#[test]
fn an_entry_that_names_no_key_is_kept_and_wraps_nothing() {
    let fields = vec![("fp".to_owned(), FieldValue::Text("--output=x".to_owned()))];
    let key = keys::from_fields("pgp", fields.clone());
    assert_eq!(key.fields(), fields);
    let (wrapped, asked) = on(Machine::default(), |with| key.wrap(b"data key", with));
    assert!(matches!(wrapped, Err(KeyError::NoKey { .. })));
    assert_eq!(asked, []);
}
