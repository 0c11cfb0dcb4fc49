//! PGP keys, by the user's own `gpg`: with its key rings, its agent, its cards and its settings.
//!
//! The data key goes through pipes. `gpg` may ask for a passphrase, or wait for a card, as long as the
//! user takes. It inherits the environment, so that `GNUPGHOME` counts. SOPS' reading of the key rings
//! of `GnuPG` 1 without `gpg` is not copied.

use std::sync::Arc;

use super::kind::{ConfigNames, KeyCode, KeyFlag, KeyKind, Member};
use super::{
    Credentials, FieldValue, Fields, Finished, Host, KeyError, MasterKey, Run, text_field,
};
use crate::secret::SecretBytes;

/// The program in place of `gpg`.
const PROGRAM: &str = "SOPS_GPG_EXEC";
/// Where `gpg` has its key rings.
const HOME: &str = "GNUPGHOME";
/// The terminal that a passphrase is asked for at.
const TERMINAL: &str = "GPG_TTY";

/// The kind of PGP keys.
pub static KIND: KeyKind = KeyKind {
    name: "pgp",
    title: "PGP",
    flag: KeyFlag {
        long: "pgp",
        short: Some('p'),
        value: "FINGERPRINTS",
        keys: "fingerprints of PGP keys",
    },
    env: "SOPS_PGP_FP",
    options: &[],
    config: ConfigNames {
        rule: "pgp",
        rule_takes_list_only: false,
        group: "pgp",
        member: Member::Text,
    },
    is_remote: false,
    has_versions: false,
    is_dated: true,
    is_in_every_group: false,
    ignores_blanks: true,
    code: Some(KeyCode {
        split: |text| Ok(vec![("fp".to_owned(), FieldValue::Text(text.to_owned()))]),
        from_fields: |fields, _| Arc::new(PgpKey::from_fields(&fields)),
        looked_in: |with| vec![looked_in(&**with.host())],
        advice: "import your secret key into gpg, or set GNUPGHOME to where gpg has it; \
                 `gpg --list-secret-keys` shows what is there",
    }),
};

/// The most that `gpg` may print of a message, in bytes: a data key, or a part of one, is far below,
/// and a compressed message can be far above.
const MAX_PLAIN: &str = "1024";

/// How an armored message begins.
const ARMOR: &str = "-----BEGIN PGP MESSAGE-----";

/// A PGP key.
#[derive(Debug)]
pub struct PgpKey {
    fingerprint: String,
}

impl PgpKey {
    /// Takes a fingerprint from an entry: whatever stands there is kept, and complained about only
    /// when it is to wrap something.
    fn from_fields(fields: &[(String, FieldValue)]) -> PgpKey {
        PgpKey { fingerprint: text_field(fields, "fp").unwrap_or_default().to_owned() }
    }
}

impl MasterKey for PgpKey {
    fn kind(&self) -> &str {
        KIND.name
    }

    fn identity(&self) -> &str {
        &self.fingerprint
    }

    fn check(&self) -> Result<(), KeyError> {
        if is_fingerprint(&self.fingerprint) {
            return Ok(());
        }
        let message = format!(
            "`{}` is no fingerprint of a PGP key: that has 40 hexadecimal digits, as \
             `gpg --fingerprint` shows them; names, e-mail addresses and short ids can be anybody's",
            self.fingerprint
        );
        Err(KeyError::NoKey { message })
    }

    fn wrap(&self, key: &[u8], with: &Credentials) -> Result<String, KeyError> {
        self.check()?;
        let failed = |why: &str| KeyError::Wrap {
            message: format!("failed to encrypt sops data key with pgp: {why}"),
        };
        // The fingerprint is the trust. SOPS' `--trusted-key` would make the key one that vouches for
        // others, for good.
        let arguments = [
            "--no-default-recipient",
            "--no-encrypt-to",
            "--trust-model",
            "always",
            "--yes",
            "--armor",
            "--output",
            "-",
            "--recipient",
            &self.fingerprint,
            "--encrypt",
        ];
        let finished = gpg(&**with.host(), &arguments, key).map_err(|why| failed(&why))?;
        let text = String::from_utf8_lossy(&finished.output);
        let armor = text.trim();
        if !armor.starts_with(ARMOR) {
            return Err(failed("gpg printed no message"));
        }
        Ok(armor.to_owned())
    }

    fn open(&self, wrapped: &str, with: &Credentials) -> Option<Result<SecretBytes, KeyError>> {
        let failed = |why: &str| KeyError::Unwrap {
            message: format!("failed to decrypt sops data key with pgp: {why}"),
        };
        // Whoever wrote the file may have put a file name into the message: `--output` keeps gpg
        // from using it, whatever its settings are.
        let arguments = ["--max-output", MAX_PLAIN, "--output", "-", "--decrypt"];
        Some(match gpg(&**with.host(), &arguments, wrapped.as_bytes()) {
            Ok(finished) if finished.output.is_empty() => Err(failed("zero bytes returned")),
            Ok(finished) => Ok(finished.output),
            Err(why) => Err(failed(&why)),
        })
    }

    fn fields(&self) -> Fields {
        vec![("fp".to_owned(), FieldValue::Text(self.fingerprint.clone()))]
    }
}

/// Returns whether a text is the fingerprint of a key, or a long id, with which `gpg` can only mean
/// one key, and which cannot be taken for an option.
fn is_fingerprint(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let digits = digits.strip_suffix('!').unwrap_or(digits);
    matches!(digits.len(), 16 | 40 | 64) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Runs the user's `gpg`.
///
/// # Errors
/// What it says, or why it could not be run.
fn gpg(host: &dyn Host, arguments: &[&str], input: &[u8]) -> Result<Finished, String> {
    // Its agent cannot ask where it does not know of a terminal, and gpg looks at its input only.
    let terminal = match host.variable(TERMINAL) {
        Some(_) => None,
        None => host.terminal(),
    };
    let env: Vec<(&str, &str)> =
        terminal.iter().map(|terminal| (TERMINAL, terminal.as_str())).collect();
    let program = program(host);
    let program = program.as_deref().unwrap_or("gpg");
    let finished = host.run(&Run { program, arguments, env: &env, input }).map_err(|why| {
        format!("{why}; install GnuPG, or set {PROGRAM} to the program to use in place of gpg")
    })?;
    match &finished.failure {
        None => Ok(finished),
        Some(failure) if finished.said.is_empty() => Err(format!("`{program}` failed: {failure}")),
        Some(_) => Err(finished.said),
    }
}

/// Returns what the user has named in place of `gpg`.
fn program(host: &dyn Host) -> Option<String> {
    let named = host.variable(PROGRAM).filter(|name| !name.is_empty())?;
    Some(named.to_string_lossy().into_owned())
}

/// Returns where secret keys are looked for.
fn looked_in(host: &dyn Host) -> String {
    let program = program(host).map(|program| format!(" ({PROGRAM}={program})"));
    let program = program.unwrap_or_default();
    match host.variable(HOME).filter(|home| !home.is_empty()) {
        Some(home) => format!("gpg{program}: {HOME}={}", home.to_string_lossy()),
        None => format!("gpg{program}: its own directory, since {HOME} is not set"),
    }
}

#[cfg(test)]
mod tests;
