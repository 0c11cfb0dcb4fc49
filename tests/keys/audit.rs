//! The audit log: with a real `PostgreSQL`, beside the real SOPS, each with a `/etc` of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::{Reply, Server, StandIn, free_address};
use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Run, Sandbox, program};

/// The passwords of the database; the sandbox finds them in messages.
const ADMINISTRATOR: &str = "canary-administrator";
const PASSWORD: &str = "canary-password";

/// `nobody`, and their group: a database server does not run as root.
const NOBODY: u32 = 65534;

const PLAIN: &str = "a: canary\nb: 1\n";

/// A server with a database for one test.
struct Database {
    server: Arc<Postgres>,
    name: &'static str,
}

struct Postgres {
    server: Server,
    folder: tempfile::TempDir,
}

impl Postgres {
    fn start() -> Postgres {
        let folder = tempfile::Builder::new().prefix("encfile-postgres-").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        fs::write(path("password"), ADMINISTRATOR).unwrap();
        fs::write(path("server.crt"), cert.pem()).unwrap();
        fs::write(path("server.key"), signing_key.serialize_pem()).unwrap();
        fs::set_permissions(path("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            let all = ["", "password", "server.crt", "server.key"].map(path);
            for path in all {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let data = path("data").display().to_string();
        let password = format!("--pwfile={}", path("password").display());
        let mut initdb = as_nobody(&postgres_program("initdb"));
        initdb.extend(
            ["-D", &data, "-U", "postgres", "--auth=scram-sha-256", &password, "--no-sync"]
                .map(str::to_owned),
        );
        let output = Command::new(&initdb[0]).args(&initdb[1..]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        // The database `tls` takes nobody without it.
        let access = folder.path().join("data/pg_hba.conf");
        let lines = fs::read_to_string(&access).unwrap();
        fs::write(&access, format!("hostnossl tls sops 127.0.0.1/32 reject\n{lines}")).unwrap();

        let mut words = as_nobody(&postgres_program("postgres"));
        let program = PathBuf::from(words.remove(0));
        let arguments = |port: u16| {
            let mut arguments = words.clone();
            arguments.extend(["-D", &data].map(str::to_owned));
            for (name, value) in [
                ("port", port.to_string()),
                ("listen_addresses", "127.0.0.1".to_owned()),
                ("unix_socket_directories", folder.path().display().to_string()),
                ("ssl", "on".to_owned()),
                ("ssl_cert_file", path("server.crt").display().to_string()),
                ("ssl_key_file", path("server.key").display().to_string()),
                ("fsync", "off".to_owned()),
            ] {
                arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
            }
            arguments
        };
        let server = Server::start(&program, arguments, &[]);
        Postgres { server, folder }
    }

    fn address(&self) -> String {
        self.server.url().strip_prefix("http://").unwrap().to_owned()
    }

    /// Runs SQL as the administrator, and returns what it prints.
    fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let address = format!("postgres://postgres:{ADMINISTRATOR}@{}/{database}", self.address());
        let output = Command::new(postgres_program("psql"))
            .args(["-v", "ON_ERROR_STOP=1", "-X", "-q", "-A", "-t", "-c", sql, &address])
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Database {
    /// Returns a new database with the table of SOPS' documentation, at the server that the tests
    /// that run at the same time share.
    fn new(name: &'static str) -> Database {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start());
            let role = format!("CREATE ROLE sops LOGIN PASSWORD '{PASSWORD}'");
            // It listens before it answers.
            let tries = (0..300).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(100));
                server.sql("postgres", &role).is_ok()
            });
            assert!(tries, "PostgreSQL does not answer: {:?}", server.sql("postgres", &role));
            server
        });
        *shared = Arc::downgrade(&server);
        drop(shared);
        server.sql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        let table = "CREATE TABLE audit_event (id SERIAL PRIMARY KEY, timestamp TIMESTAMP DEFAULT \
                     NOW(), action TEXT, username TEXT, file TEXT); GRANT INSERT ON audit_event TO \
                     sops; GRANT USAGE ON SEQUENCE audit_event_id_seq TO sops";
        server.sql(name, table).unwrap();
        Database { server, name }
    }

    /// Returns the connection string of the log.
    fn url(&self, query: &str) -> String {
        format!("postgres://sops:{PASSWORD}@{}/{}{query}", self.server.address(), self.name)
    }

    /// Returns the rows, and forgets them.
    fn rows(&self) -> Vec<String> {
        let select = "SELECT action || ' ' || username || ' ' || file FROM audit_event \
                      WHERE timestamp > NOW() - INTERVAL '10 minutes' ORDER BY id";
        let rows = self.server.sql(self.name, select).unwrap();
        self.server.sql(self.name, "DELETE FROM audit_event").unwrap();
        rows.lines().map(str::to_owned).collect()
    }

    fn certificate(&self) -> PathBuf {
        self.server.folder.path().join("server.crt")
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Returns the words that run a program as somebody who is not root.
fn as_nobody(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    if !is_root() {
        return vec![program];
    }
    let user = format!("--reuid={NOBODY}");
    let group = format!("--regid={NOBODY}");
    let setpriv = peers::system("setpriv").display().to_string();
    vec![setpriv, user, group, "--clear-groups".to_owned(), program]
}

/// Returns a program of `PostgreSQL`; Debian keeps those of the server out of `PATH`.
fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let own = versions.map(|version| version.unwrap().path().join("bin").join(name));
    own.filter(|path| path.exists()).max().unwrap_or_else(|| peers::system(name))
}

/// Returns a sandbox whose `/etc` has this `sops/audit.yaml`.
fn sandbox(settings: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    sandbox.write("plain.yaml", PLAIN);
    sandbox.config_for(&[ALICE]);
    let etc = sandbox.home().join("etc");
    fs::create_dir_all(etc.join("sops")).unwrap();
    for name in ["passwd", "group", "nsswitch.conf", "hosts"] {
        let _ = fs::copy(Path::new("/etc").join(name), etc.join(name));
    }
    fs::write(etc.join("sops/audit.yaml"), settings).unwrap();
    sandbox
}

fn settings(connection: &str) -> String {
    format!("backends:\n  postgres:\n    - connection_string: \"{connection}\"\n")
}

/// Runs a program that sees that `/etc`, in a mount namespace of its own.
fn run<'s>(sandbox: &'s Sandbox, program: &Path, arguments: &[&str]) -> Run<'s> {
    let etc = sandbox.home().join("etc").display().to_string();
    let program = program.display().to_string();
    let script = "mount --bind \"$0\" /etc && exec \"$@\"";
    let mut words = vec!["--mount", "--", "sh", "-c", script, &etc, &program];
    if !is_root() {
        words.insert(0, "--map-root-user");
    }
    words.extend(arguments);
    sandbox.run(&peers::system("unshare"), words)
}

fn encfile<'s>(sandbox: &'s Sandbox, arguments: &[&str]) -> Run<'s> {
    run(sandbox, &program(), arguments)
}

#[test]
fn what_is_done_is_in_the_log_as_with_sops() {
    let database = Database::new("events");
    let sandbox = sandbox(&settings(&database.url("?sslmode=disable")));
    let server = StandIn::start(|_| Reply::json(200, r#"{"kind":"storage#object","name":"x"}"#));
    sandbox.env("STORAGE_EMULATOR_HOST", server.url());
    sandbox.write(
        "publish.yaml",
        format!(
            "destination_rules:\n  - path_regex: app\n    gcs_bucket: b\n    recreation_rule: {{age: \
             {}}}\n  - gcs_bucket: b\n",
            BOB.recipient()
        ),
    );
    let original = sandbox.read("app.yaml");
    for (arguments, actions) in [
        (&["encrypt", "plain.yaml"][..], &["encrypt"][..]),
        (&["decrypt", "app.yaml"], &["decrypt"]),
        (&["exec-env", "app.yaml", "true"], &["decrypt"]),
        (&["exec-file", "app.yaml", "cat {}"], &["decrypt"]),
        (&["set", "app.yaml", r#"["b"]"#, "2"], &["decrypt", "encrypt"]),
        (&["unset", "app.yaml", r#"["b"]"#], &["decrypt", "encrypt"]),
        (&["rotate", "-i", "app.yaml"], &["rotate", "decrypt", "encrypt"]),
        (&["filestatus", "app.yaml"], &[]),
        (&["updatekeys", "-y", "app.yaml"], &[]),
        (&["--config", "publish.yaml", "publish", "-y", "app.yaml"], &["decrypt", "encrypt"]),
    ] {
        let file =
            sandbox.path(if arguments.contains(&"plain.yaml") { "plain.yaml" } else { "app.yaml" });
        let expected: Vec<String> =
            actions.iter().map(|action| format!("{action} root {}", file.display())).collect();
        run(&sandbox, &peers::sops(), arguments).secrets_in_messages().go().success();
        assert_eq!(database.rows(), expected, "sops {arguments:?}");
        sandbox.write("app.yaml", &original);
        encfile(&sandbox, arguments).go().success();
        assert_eq!(database.rows(), expected, "encfile {arguments:?}");
        sandbox.write("app.yaml", &original);
    }
}

#[test]
fn edits_are_in_the_log_as_with_sops() {
    let database = Database::new("edits");
    let sandbox = sandbox(&settings(&database.url("?sslmode=disable")));
    let original = sandbox.read("app.yaml");
    for (editor, actions) in
        [("true", &["decrypt"][..]), ("sed -i s/1/2/ \"$1\"", &["decrypt", "encrypt"])]
    {
        sandbox.edit_with(editor);
        for program in [peers::sops(), program()] {
            run(&sandbox, &program, &["edit", "app.yaml"]).go();
            let rows = database.rows();
            let found: Vec<&str> = rows.iter().filter_map(|row| row.split(' ').next()).collect();
            assert_eq!(found, actions, "{} {editor}", program.display());
            sandbox.write("app.yaml", &original);
        }
    }
}

#[test]
fn text_from_standard_input_is_logged_with_the_working_directory() {
    let database = Database::new("input");
    let sandbox = sandbox(&settings(&database.url("?sslmode=disable")));
    let arguments = ["encrypt", "--filename-override", "x.yaml"];
    for program in [peers::sops(), program()] {
        run(&sandbox, &program, &arguments).input(PLAIN).go().success();
        let folder = sandbox.path("").display().to_string();
        let folder = folder.trim_end_matches('/');
        assert_eq!(database.rows(), [format!("encrypt root {folder}")], "{}", program.display());
    }
}

#[test]
fn nothing_is_given_out_that_cannot_be_logged() {
    let database = Database::new("denied");
    let sandbox = sandbox(&settings(&database.url("?sslmode=disable")));
    database.server.sql("denied", "REVOKE INSERT ON audit_event FROM sops").unwrap();
    let refused = "Failed to insert audit record: database 1: ERROR: permission denied for table \
                   audit_event";
    let before = (sandbox.read("app.yaml"), sandbox.read("plain.yaml"));
    for arguments in [
        &["decrypt", "app.yaml"][..],
        &["decrypt", "-i", "app.yaml"],
        &["decrypt", "--output", "out", "app.yaml"],
        &["exec-env", "app.yaml", "touch out"],
        &["exec-file", "app.yaml", "touch out"],
        &["set", "app.yaml", r#"["b"]"#, "2"],
        &["rotate", "-i", "app.yaml"],
        &["encrypt", "-i", "plain.yaml"],
        &["encrypt", "plain.yaml"],
    ] {
        encfile(&sandbox, arguments).go().code(1).no_stdout().says([refused]);
        assert!(!sandbox.path("out").exists(), "{arguments:?}");
        assert_eq!((sandbox.read("app.yaml"), sandbox.read("plain.yaml")), before, "{arguments:?}");
    }
}

#[test]
fn a_database_that_says_nothing_is_named_as_what_is_waited_for() {
    // The system takes the connection; nobody reads from it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = listener.local_addr().unwrap();
    let url = format!("postgres://sops:{PASSWORD}@{place}/sops?sslmode=disable");
    let sandbox = sandbox(&settings(&url));
    let outcome = encfile(&sandbox, &["decrypt", "app.yaml"]).go().code(1).no_stdout();
    outcome
        .has_waited_for("the database of the audit log")
        .says(["Failed to insert audit record: database 1: no answer within 15 s\n"]);
}

#[test]
fn no_message_shows_a_connection_string() {
    let database = Database::new("silent");
    let nobody = free_address();
    let other = database.url("?sslmode=disable").replace(PASSWORD, "canary-wrong");
    for (settings, message) in [
        (
            settings(&other),
            "Failed to insert audit record: database 1: FATAL: password authentication failed for \
             user \"sops\"",
        ),
        (
            settings(&format!("postgres://sops:{PASSWORD}@{nobody}/silent?sslmode=disable")),
            "Failed to insert audit record: database 1: error connecting to server: Connection \
             refused (os error 111)",
        ),
        (
            settings("postgres://sops:canary@localhost/silent?sslmode=canary"),
            "the audit log that /etc/sops/audit.yaml asks for cannot be used: the connection string \
             of database 1: `sslmode` is none of disable, require, verify-ca, verify-full",
        ),
        (
            "backends: [canary\n".to_owned(),
            "the audit log that /etc/sops/audit.yaml asks for cannot be used: it is not `backends: \
             {postgres: [{connection_string: ...}]}` (line 1)",
        ),
    ] {
        let sandbox = sandbox(&settings);
        let outcome = encfile(&sandbox, &["decrypt", "app.yaml"]).go().code(1).no_stdout();
        let said = outcome.messages().lines().next().unwrap().to_owned();
        assert_eq!(said, format!("error[audit]: {message}"));
    }
}

#[test]
fn tls_is_used_and_checked_as_sslmode_says() {
    let database = Database::new("tls");
    let certificate = database.certificate().display().to_string();
    let other = tempfile::NamedTempFile::new().unwrap();
    let CertifiedKey { cert, .. } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(other.path(), cert.pem()).unwrap();
    let other = other.path().display().to_string();
    for (query, works) in [
        (String::new(), true),
        ("?sslmode=require".to_owned(), true),
        (format!("?sslmode=require&sslrootcert={other}"), false),
        (format!("?sslmode=verify-ca&sslrootcert={certificate}"), true),
        (format!("?sslmode=verify-ca&sslrootcert={other}"), false),
        (format!("?sslmode=verify-full&sslrootcert={certificate}"), true),
        (format!("?sslmode=verify-full&sslrootcert={other}"), false),
        ("?sslmode=verify-full".to_owned(), false),
        ("?sslmode=disable".to_owned(), false),
    ] {
        let sandbox = sandbox(&settings(&database.url(&query)));
        let outcome = encfile(&sandbox, &["decrypt", "app.yaml"]).go();
        if works {
            outcome.success().stdout(PLAIN);
        } else {
            let refused = match query.as_str() {
                "?sslmode=disable" => "pg_hba.conf rejects connection",
                // The certificates of the system are in another `/etc`.
                "?sslmode=verify-full" => "the system trusts no authority",
                _ => "invalid peer certificate",
            };
            outcome.code(1).no_stdout().says([refused]);
        }
        assert_eq!(database.rows().len(), usize::from(works), "{query}");
    }
}
