//! Many files whose data keys are with a service: they are asked for together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::files::ALICE;
use crate::keys::{Reply, StandIn};
use crate::sandbox::{Sandbox, Stdin};

/// How many files there are: more than are asked for together.
const FILES: usize = 40;

/// How many keys are asked at the same time.
const TOGETHER: usize = 16;

/// A stand-in for Vault whose answers take a while, and files with a key of it.
struct Service {
    server: StandIn,
    most: Arc<AtomicUsize>,
    sandbox: Sandbox,
}

impl Service {
    /// Starts the service, and encrypts the files for it.
    fn new() -> Service {
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let theirs = Arc::clone(&most);
        // The answer to `encrypt` is the data key itself, so that it need not be kept.
        let server = StandIn::start(move |asked| {
            let text = |name: &str| {
                let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
                body[name].as_str().unwrap_or_default().to_owned()
            };
            if asked.path.ends_with("/encrypt/dev") {
                let wrapped = format!("vault:v1:{}", text("plaintext"));
                return Reply::json(200, format!(r#"{{"data":{{"ciphertext":"{wrapped}"}}}}"#));
            }
            theirs.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(300));
            now.fetch_sub(1, Ordering::SeqCst);
            let opened = text("ciphertext").replace("vault:v1:", "");
            Reply::json(200, format!(r#"{{"data":{{"plaintext":"{opened}"}}}}"#))
        });
        let sandbox = Sandbox::new();
        sandbox.env("VAULT_TOKEN", "token");
        let service = Service { server, most, sandbox };
        for name in Service::names() {
            service.sandbox.write(&name, PLAIN);
        }
        let encrypt = Service::with_files(&["encrypt", "-i", "--hc-vault-transit", &service.key()]);
        service.sandbox.encfile(encrypt).go().success();
        assert_eq!(service.decrypted(), 0);
        service
    }

    fn key(&self) -> String {
        format!("{}/v1/transit/keys/dev", self.server.url())
    }

    fn names() -> Vec<String> {
        (0..FILES).map(|number| format!("{number:02}.yaml")).collect()
    }

    /// Returns a command line for all files.
    fn with_files(command: &[&str]) -> Vec<String> {
        command.iter().map(|&word| word.to_owned()).chain(Service::names()).collect()
    }

    /// Returns a command line for the first file, with a flag for each of the others.
    fn with_each(flag: &str, command: &[&str], rest: &[&str]) -> Vec<String> {
        let names = Service::names();
        let others = names[1..].iter().flat_map(|name| [flag, name]);
        let words = command.iter().copied().chain(others).chain([&*names[0]]);
        words.chain(rest.iter().copied()).map(str::to_owned).collect()
    }

    /// Returns how many data keys the service has unwrapped by now.
    fn decrypted(&self) -> usize {
        self.server.asked().iter().filter(|asked| asked.path.ends_with("/decrypt/dev")).count()
    }
}

const PLAIN: &str = "a: canary\n";

#[test]
fn data_keys_of_many_files_are_asked_for_together_and_once() {
    let service = Service::new();
    let rule = |keys: &str| {
        format!("creation_rules:\n  - {keys}\n    hc_vault_transit_uri: {}\n", service.key())
    };
    // What the rule names is asked, and nobody else has named the server.
    service.sandbox.write(".sops.yaml", rule(&format!("age: {}", ALICE.recipient())));
    let mut before = 0;
    for (command, code) in [
        (Service::with_files(&["check", "--verify"]), 1),
        (Service::with_each("-f", &["exec-env"], &["true"]), 0),
        (Service::with_files(&["repair"]), 0),
        (Service::with_files(&["scan"]), 0),
        (Service::with_files(&["rotate", "-i"]), 0),
        (Service::with_files(&["updatekeys", "--yes"]), 0),
        (Service::with_files(&["decrypt", "-i"]), 0),
    ] {
        service.most.store(0, Ordering::SeqCst);
        service.sandbox.encfile(&command).go().code(code);
        let asked = service.decrypted() - before;
        let most = service.most.load(Ordering::SeqCst);
        assert_eq!((asked, most), (FILES, TOGETHER), "{}", command[0]);
        before += asked;
    }
    assert!(Service::names().iter().all(|name| service.sandbox.read(name) == PLAIN));
}

#[test]
fn how_far_that_is_shows_at_the_terminal_and_nowhere_else() {
    let service = Service::new();
    service.sandbox.env("VAULT_ADDR", service.server.url()).env("TERM", "xterm");
    let check = Service::with_files(&["repair"]);
    let mut nothing = String::new();
    for name in Service::names() {
        nothing.push_str(&format!("{name}: nothing to repair\n"));
    }
    service.sandbox.encfile(&check).go().success().stderr(&nothing).has_waited_for(&service.key());
    let run = service.sandbox.encfile(&check).stdin(Stdin::Terminal(Vec::new())).go().success();
    run.says(["data keys [", "] 0/40", &nothing]).does_not_say(["waiting for"]);
}

#[test]
fn files_for_age_alone_show_nothing() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.env("TERM", "xterm");
    for name in ["a.yaml", "b.yaml"] {
        sandbox.write(name, PLAIN);
    }
    let files = ["encrypt", "-i", "--age", &ALICE.recipient(), "a.yaml", "b.yaml"];
    sandbox.encfile(files).go().success();
    let run = sandbox.encfile(["decrypt", "-i", "a.yaml", "b.yaml"]);
    run.stdin(Stdin::Terminal(Vec::new())).go().success().stderr("");
}

#[test]
fn as_sops_nothing_is_said_of_a_service_that_takes_its_time() {
    let service = Service::new();
    service.sandbox.env("VAULT_ADDR", service.server.url());
    let name = &Service::names()[0];
    let decrypt = ["decrypt", name];
    service.sandbox.encfile(decrypt).go().success().has_waited_for(&service.key());
    let run = service.sandbox.as_sops(decrypt).go().success().stdout(PLAIN);
    run.no_stderr().tells_of_no_wait();
}

#[test]
fn a_service_is_asked_for_what_a_command_opens_and_nothing_else() {
    let service = Service::new();
    let sandbox = &service.sandbox;
    sandbox.env("VAULT_ADDR", service.server.url());
    let text = sandbox.read_bytes("00.yaml");
    // Checks how often the service is asked, of any key.
    let asks = |expected: usize, command: &dyn Fn()| {
        let before = service.server.asked().len();
        command();
        assert_eq!(service.server.asked().len() - before, expected);
    };

    // Whoever names a file otherwise, or sends it, opens one file.
    asks(1, &|| {
        let run = sandbox.encfile(["decrypt", "--filename-override", "00.yaml", "-"]);
        run.stdin(Stdin::Pipe(text.clone())).go().success().stdout(PLAIN);
    });
    asks(1, &|| {
        let run = sandbox.encfile(["decrypt", "--filename-override", "no/where.yaml", "00.yaml"]);
        run.go().success().stdout(PLAIN);
    });
    asks(1, &|| {
        let run = sandbox.as_sops(["decrypt", "00.yaml", "01.yaml"]).go().success();
        run.stdout(PLAIN);
    });
    // Two data keys, and two to wrap.
    asks(4, &|| {
        let files = ["rotate", "-i", "--filename-override", "x.yaml", "38.yaml", "39.yaml"];
        sandbox.encfile(files).go().success();
    });
    asks(0, &|| {
        sandbox.encfile(["filestatus", "00.yaml"]).go().success();
        sandbox.encfile(["check", "00.yaml", "01.yaml"]).go();
        sandbox.encfile(["decrypt", "nowhere.yaml", "neither.yaml"]).go().failure();
    });
}
