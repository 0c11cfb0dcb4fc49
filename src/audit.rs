//! The audit log: who decrypted and encrypted which file, in the database of the administrator.
//!
//! SOPS' log: `/etc/sops/audit.yaml` names `PostgreSQL` databases, and each event is a row in each of
//! their tables `audit_event`. Where that file is, who the user is and what follows from a failure
//! is not known here. No message has anything of a connection string in it: it may hold a password,
//! also where it is not valid.

mod connection;
mod tls;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;
use tokio_postgres::Client;
use zeroize::Zeroizing;

use crate::keys::Host;
use crate::keys::runtime::block_on;

use self::connection::Connection;

/// How long an event may take, in each database.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long it may take before the user is told what is waited for.
const SILENCE: Duration = Duration::from_millis(250);

/// Something to write down. The database adds the time.
#[derive(Clone, Copy, Debug)]
pub struct Event<'e> {
    /// What is done: `decrypt`, `encrypt` or `rotate`.
    pub action: &'e str,
    /// Who does it.
    pub user: &'e str,
    /// The absolute path of the file.
    pub file: &'e str,
}

/// The databases that are written to.
#[derive(Debug)]
pub struct Log {
    databases: Vec<Database>,
}

struct Database {
    connection: Connection,
    client: Mutex<Option<Client>>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    backends: Option<Backends>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backends {
    postgres: Option<Vec<Postgres>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Postgres {
    connection_string: Zeroizing<String>,
}

impl Log {
    /// Reads `audit.yaml`. Nothing is connected to yet. `host` has the files with certificates that
    /// it may name.
    ///
    /// # Errors
    /// If it is not what it should be.
    pub fn parse(text: &[u8], host: &dyn Host) -> Result<Log, AuditError> {
        let settings: Option<Settings> = serde_yaml::from_slice(text).map_err(|error| {
            AuditError::Syntax { line: error.location().map(|location| location.line()) }
        })?;
        let backends = settings.and_then(|settings| settings.backends);
        let all = backends.and_then(|backends| backends.postgres).unwrap_or_default();
        let database = |(index, postgres): (usize, &Postgres)| {
            let connection = Connection::parse(&postgres.connection_string, host)
                .map_err(|why| AuditError::Connection { number: index + 1, why })?;
            Ok(Database { connection, client: Mutex::default() })
        };
        let databases = all.iter().enumerate().map(database).collect::<Result<_, AuditError>>()?;
        Ok(Log { databases })
    }

    /// Writes an event into all databases; `tell` is called for each that takes a while.
    ///
    /// # Errors
    /// If one of them did not take it.
    pub fn record(&self, event: &Event<'_>, tell: &dyn Fn()) -> Result<(), AuditError> {
        for (index, database) in self.databases.iter().enumerate() {
            let done = block_on(async {
                let mut work = std::pin::pin!(database.record(event));
                // The timers need the runtime around them.
                if let Ok(done) = timeout(SILENCE, &mut work).await {
                    return Ok(done);
                }
                tell();
                timeout(PATIENCE, work).await
            });
            let done = match done {
                Ok(Ok(done)) => done,
                Ok(Err(_)) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                Err(error) => Err(error.to_string()),
            };
            done.map_err(|why| AuditError::Database { number: index + 1, why })?;
        }
        Ok(())
    }
}

impl Database {
    async fn record(&self, event: &Event<'_>) -> Result<(), String> {
        let open = self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        let client = match open.filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connection.open().await?,
        };
        let insert = "INSERT INTO audit_event (action, username, file) VALUES ($1, $2, $3)";
        let row = client
            .execute(insert, &[&event.action, &event.user, &event.file])
            .await
            .map_err(|error| self.connection.said(&error))?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        if row == 1 { Ok(()) } else { Err("the row was not inserted".to_owned()) }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

/// Why an event is not in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The file is not what it should be.
    #[error(
        "it is not `backends: {{postgres: [{{connection_string: ...}}]}}`{}",
        line.map_or(String::new(), |line| format!(" (line {line})"))
    )]
    Syntax {
        /// The line, from 1, where it is known.
        line: Option<usize>,
    },
    /// A connection string is not what it should be.
    #[error("the connection string of database {number}: {why}")]
    Connection {
        /// The database, from 1.
        number: usize,
        /// Why not, without anything of it.
        why: String,
    },
    /// A database did not take an event.
    #[error("database {number}: {why}")]
    Database {
        /// The database, from 1.
        number: usize,
        /// Why not.
        why: String,
    },
}

#[cfg(test)]
mod tests;
