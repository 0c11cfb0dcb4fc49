//! The audit log, as the administrator of the machine wants it: where its settings are, who the user
//! is, and that nothing is given out which is not in it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "audit")]
use crate::audit::{Event, Log};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
#[cfg(feature = "audit")]
use crate::cli::os;
use crate::keys::Host;

/// The settings: SOPS' file. Users cannot choose another one.
const FILE: &str = "/etc/sops/audit.yaml";

/// The longest file with settings, in bytes.
#[cfg(feature = "audit")]
const MAX_SIZE: usize = 1 << 20;

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its values are decrypted.
    Decrypt,
    /// It is encrypted.
    Encrypt,
    /// It gets a new data key.
    Rotate,
}

impl Action {
    #[cfg(feature = "audit")]
    fn name(self) -> &'static str {
        match self {
            Action::Decrypt => "decrypt",
            Action::Encrypt => "encrypt",
            Action::Rotate => "rotate",
        }
    }
}

/// The log, if there is one.
pub struct AuditLog {
    #[cfg(feature = "audit")]
    log: Option<(Log, Arc<dyn Host>)>,
}

impl AuditLog {
    /// Looks whether there is a log. Nothing is connected to yet.
    ///
    /// # Errors
    /// If there is one that cannot be used: it would be missing what is done now.
    pub fn find(host: &Arc<dyn Host>) -> Result<AuditLog, CliError> {
        let is_there = Path::new(FILE).symlink_metadata();
        if is_there.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(AuditLog {
                #[cfg(feature = "audit")]
                log: None,
            });
        }
        let failed = |why: String| {
            let message = format!("the audit log that {FILE} asks for cannot be used: {why}");
            advised(CliError::new(Exit::Generic, "audit", message))
        };
        #[cfg(feature = "audit")]
        {
            let text = host
                .read_file(Path::new(FILE), MAX_SIZE)
                .map_err(|error| failed(error.to_string()))?;
            let log = Log::parse(&text, &**host).map_err(|error| failed(error.to_string()))?;
            Ok(AuditLog { log: Some((log, Arc::clone(host))) })
        }
        #[cfg(not(feature = "audit"))]
        {
            let _ = host;
            Err(failed("audit logs are not built into this version of encfile".to_owned()))
        }
    }

    /// Writes down what is about to be given out.
    ///
    /// # Errors
    /// If that cannot be done; nothing must be given out then.
    pub fn record(&self, action: Action, file: &Path) -> Result<(), CliError> {
        #[cfg(feature = "audit")]
        if let Some((log, host)) = &self.log {
            let (user, file) = (os::user::name(), file.to_string_lossy());
            let event = Event { action: action.name(), user: &user, file: &file };
            let tell = || host.note("waiting for the database of the audit log");
            return log.record(&event, &tell).map_err(|error| {
                let message = format!("Failed to insert audit record: {error}");
                advised(CliError::new(Exit::Generic, "audit", message))
            });
        }
        let _ = (action, file);
        Ok(())
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditLog")
    }
}

/// Adds what to do about a log that cannot be written.
fn advised(error: CliError) -> CliError {
    error.help(format!(
        "without it nothing is decrypted or encrypted on this machine; its administrator can \
         correct {FILE}, or the database"
    ))
}
