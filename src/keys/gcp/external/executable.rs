//! Foreign tokens that a program prints, by the protocol of Google's own libraries:
//! <https://google.aip.dev/auth/4117>.
//!
//! The program is named by the file with the user's credentials, and it is run only if the user
//! allows that by a variable besides.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::keys::bearer::{legible, setting};
use crate::keys::gcp::credentials::{Account, MAX_FILE, required};
use crate::keys::{CommandLine, Host};

/// Whether programs may be run: `1`.
const ALLOW: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// How long the program may take unless the account says, in milliseconds, and what it may say.
const DEFAULT_LIMIT: u64 = 30_000;
const LIMITS: std::ops::RangeInclusive<u64> = 5_000..=120_000;

/// The latest version of answers that is known.
const VERSION: u64 = 1;

/// The program, as the account names it.
#[derive(Deserialize)]
pub(super) struct Executable {
    command: Option<String>,
    timeout_millis: Option<u64>,
    output_file: Option<String>,
}

/// What a program prints, and what it may keep in a file.
#[derive(Deserialize)]
struct Response {
    version: Option<u64>,
    success: Option<bool>,
    token_type: Option<String>,
    id_token: Option<Zeroizing<String>>,
    #[serde(rename = "saml_response")]
    saml: Option<Zeroizing<String>>,
    /// In seconds since 1970.
    expiration_time: Option<i64>,
    code: Option<String>,
    message: Option<String>,
}

/// What a response says.
enum Said {
    Token(Zeroizing<String>),
    /// A token that does not count any more.
    Expired,
    /// Why there is none.
    Failure(String),
}

impl Executable {
    /// Returns the foreign token for `account`: that in the file that the program keeps it in, while
    /// it counts, or else that which it prints.
    ///
    /// # Errors
    /// A message for people. It has nothing of what was printed but the program's own message.
    pub(super) fn token(
        &self,
        account: &Account,
        host: &dyn Host,
    ) -> Result<Zeroizing<String>, String> {
        let command = self.command.as_deref().filter(|command| !command.trim().is_empty());
        let command =
            command.ok_or("missing `command` field — executable command must be provided")?;
        let limit = self.timeout_millis.unwrap_or(DEFAULT_LIMIT);
        if !LIMITS.contains(&limit) {
            let message = "invalid `timeout_millis` field — executable timeout must be between 5 \
                           and 120 seconds";
            return Err(message.to_owned());
        }
        if let Some(token) = self.kept(host)? {
            return Ok(token);
        }
        if setting(host, ALLOW).is_none_or(|allowed| *allowed != "1") {
            return Err(format!(
                "executables need to be explicitly allowed (set {ALLOW} to '1') to run"
            ));
        }

        let audience = required(account.audience.as_ref(), "audience")?;
        let kind = required(account.subject_token_type.as_ref(), "subject_token_type")?;
        let mut env = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience.as_str()),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", kind.as_str()),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0"),
        ];
        if let Some(email) = account.impersonated_email() {
            env.push(("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email));
        }
        if let Some(path) = &self.output_file {
            env.push(("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", path));
        }
        let limit = Some(Duration::from_millis(limit));
        let printed = host
            .run_command_line(&CommandLine { text: command, env: &env, limit })
            .map_err(|why| format!("executable command failed: {why}"))?;
        match self.read(&printed, "response", host)? {
            Said::Token(token) => Ok(token),
            Said::Expired => Err("the token returned by the executable is expired".to_owned()),
            Said::Failure(why) => Err(why),
        }
    }

    /// Returns the token in the file that the program keeps it in, if one counts there.
    fn kept(&self, host: &dyn Host) -> Result<Option<Zeroizing<String>>, String> {
        let Some(path) = self.output_file.as_deref().filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let text = match host.read_file(Path::new(path), MAX_FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("`{path}` cannot be read: {error}")),
        };
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        // What failed when the file was written may do better now.
        match self.read(&text, "output file", host)? {
            Said::Token(token) => Ok(Some(token)),
            Said::Expired | Said::Failure(_) => Ok(None),
        }
    }

    /// Reads a response, which is called `name` in messages.
    fn read(&self, text: &[u8], name: &str, host: &dyn Host) -> Result<Said, String> {
        let missing = |field: &str| format!("\"{name}\" missing \"{field}\" field");
        let response: Response =
            serde_json::from_slice(text).map_err(|_| format!("unable to parse \"{name}\""))?;
        let version = response.version.ok_or_else(|| missing("version"))?;
        let success = response.success.ok_or_else(|| missing("success"))?;
        if version > VERSION {
            return Err(format!("{name} contains unsupported version: {version}"));
        }
        if !success {
            let (Some(code), Some(message)) = (&response.code, &response.message) else {
                return Err(format!(
                    "{name} must include `error` and `message` fields when unsuccessful"
                ));
            };
            return Ok(Said::Failure(format!(
                "{name} contains unsuccessful response: ({}) {}",
                legible(code),
                legible(message)
            )));
        }
        // Whoever keeps a token for later must know how long it counts.
        if response.expiration_time.is_none() && self.output_file.is_some() {
            return Err(missing("expiration_time"));
        }
        let (token, field) = match response.token_type.as_deref() {
            None => return Err(missing("token_type")),
            Some(
                "urn:ietf:params:oauth:token-type:jwt"
                | "urn:ietf:params:oauth:token-type:id_token",
            ) => (response.id_token, "id_token"),
            Some("urn:ietf:params:oauth:token-type:saml2") => (response.saml, "saml_response"),
            Some(_) => return Err(format!("{name} contains unsupported token type")),
        };
        let now = host.now().unix_timestamp();
        if response.expiration_time.is_some_and(|end| end < now) {
            return Ok(Said::Expired);
        }
        let token = token.filter(|token| !token.is_empty()).ok_or_else(|| missing(field))?;
        Ok(Said::Token(token))
    }
}
