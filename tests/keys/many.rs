//! Two hundred files whose data keys are with a service: they are asked for together.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use regex::Regex;

use crate::files::ALICE;
use crate::keys::{Reply, StandIn};
use crate::sandbox::{Sandbox, Stdin};

/// How many files are many.
const MANY: usize = 200;

/// How many are enough to be asked for in several rounds.
const SOME: usize = 40;

/// How many keys are asked at the same time.
const TOGETHER: usize = 16;

/// What all wrapped keys begin with; then comes a number, and the data key itself.
const PREFIX: &str = "vault:v1:";

/// Holds the first answers until as many questions are there as are expected together, and counts.
struct Gate {
    expected: usize,
    count: Mutex<Count>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Count {
    now: usize,
    most: usize,
    asked: usize,
}

impl Gate {
    /// How long the last of the first questions may take.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// How long one question too many has to show itself. It is longer than a user waits without a
    /// word.
    const GRACE: Duration = Duration::from_millis(300);

    fn new(expected: usize) -> Gate {
        Gate { expected, count: Mutex::default(), changed: Condvar::new() }
    }

    /// Is in a question that is to be answered.
    fn pass(&self) {
        let mut count = self.count.lock().unwrap();
        count.now += 1;
        count.asked += 1;
        count.most = count.most.max(count.now);
        self.changed.notify_all();
        let is_first = count.asked <= self.expected;
        // Who asks for less at the same time has an answer in the end, and a test that says so.
        let too_few = |count: &mut Count| is_first && count.most < self.expected;
        drop(self.changed.wait_timeout_while(count, Gate::PATIENCE, too_few).unwrap());
        if is_first {
            thread::sleep(Gate::GRACE);
        }
        self.count.lock().unwrap().now -= 1;
    }

    /// Lets everything be answered at once.
    fn open(&self) {
        self.count.lock().unwrap().asked = self.expected;
    }

    /// Returns how many questions there were, and how many at the same time, and begins anew.
    fn take(&self) -> (usize, usize) {
        let Count { asked, most, .. } = std::mem::take(&mut *self.count.lock().unwrap());
        (asked, most)
    }
}

/// A stand-in for Vault, and files with a key of it.
struct Service {
    files: usize,
    server: StandIn,
    gate: Arc<Gate>,
    sandbox: Sandbox,
}

impl Service {
    /// Starts the service, and makes files for it, each with a wrapped key of its own.
    fn with_files(files: usize) -> Service {
        Service::with_wrapped_keys(files, files)
    }

    /// Starts the service, and makes files that share so many wrapped keys.
    fn with_wrapped_keys(files: usize, different: usize) -> Service {
        let gate = Arc::new(Gate::new(different.min(TOGETHER)));
        let theirs = Arc::clone(&gate);
        // A wrapped key has the data key itself in it, so that the server need not keep it.
        let server = StandIn::start(move |asked| {
            let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
            if asked.path.ends_with("/encrypt/dev") {
                let wrapped = format!("{PREFIX}0:{}", body["plaintext"].as_str().unwrap());
                return Reply::json(200, format!(r#"{{"data":{{"ciphertext":"{wrapped}"}}}}"#));
            }
            assert!(asked.path.ends_with("/decrypt/dev"), "{asked:?}");
            theirs.pass();
            let opened = body["ciphertext"].as_str().unwrap().rsplit(':').next().unwrap();
            Reply::json(200, format!(r#"{{"data":{{"plaintext":"{opened}"}}}}"#))
        });
        let sandbox = Sandbox::new();
        sandbox.env("VAULT_TOKEN", "token");
        let service = Service { files, server, gate, sandbox };
        service.sandbox.write("first.yaml", PLAIN);
        let encrypt = ["encrypt", "-i", "--hc-vault-transit", &service.key(), "first.yaml"];
        service.sandbox.encfile(encrypt).go().success();
        let text = service.sandbox.read("first.yaml");
        for (number, name) in service.names().iter().enumerate() {
            let wrapped = format!("{PREFIX}{}:", number % different);
            service.sandbox.write(name, text.replace(&format!("{PREFIX}0:"), &wrapped));
        }
        service
    }

    fn key(&self) -> String {
        format!("{}/v1/transit/keys/dev", self.server.url())
    }

    fn names(&self) -> Vec<String> {
        (0..self.files).map(|number| format!("{number:03}.yaml")).collect()
    }

    /// Returns a command line for all files.
    fn for_all(&self, command: &[&str]) -> Vec<String> {
        command.iter().map(|&word| word.to_owned()).chain(self.names()).collect()
    }

    /// Returns a command line for the first file, with a flag for each of the others.
    fn for_each(&self, flag: &str, command: &[&str], rest: &[&str]) -> Vec<String> {
        let names = self.names();
        let others = names[1..].iter().flat_map(|name| [flag, name]);
        let words = command.iter().copied().chain(others).chain([&*names[0]]);
        words.chain(rest.iter().copied()).map(str::to_owned).collect()
    }

    /// Returns whether all files are in clear.
    fn are_in_clear(&self) -> bool {
        self.names().iter().all(|name| self.sandbox.read(name) == PLAIN)
    }

    /// Lets the server be asked, as whoever has named it.
    fn trusted(self) -> Service {
        self.sandbox.env("VAULT_ADDR", self.server.url());
        self
    }
}

const PLAIN: &str = "a: canary\n";

#[test]
fn two_hundred_data_keys_are_asked_for_sixteen_at_a_time_and_once() {
    let service = Service::with_files(MANY).trusted();
    service.sandbox.encfile(service.for_all(&["decrypt", "-i"])).go().success();
    assert_eq!(service.gate.take(), (MANY, TOGETHER));
    assert!(service.are_in_clear());
}

#[test]
fn a_wrapped_key_that_files_share_is_asked_for_once() {
    for (different, together) in [(50, TOGETHER), (3, 3)] {
        let service = Service::with_wrapped_keys(MANY, different).trusted();
        service.sandbox.encfile(service.for_all(&["decrypt", "-i"])).go().success();
        assert_eq!(service.gate.take(), (different, together));
        assert!(service.are_in_clear());
    }
}

#[test]
fn every_command_for_many_files_asks_for_all_data_keys_together_and_once() {
    let service = Service::with_files(SOME);
    // What the rule names is asked, and nobody else has named the server.
    let (age, key) = (ALICE.recipient(), service.key());
    let rule = format!("creation_rules:\n  - age: {age}\n    hc_vault_transit_uri: {key}\n");
    service.sandbox.write(".sops.yaml", rule);
    for (command, code) in [
        (service.for_all(&["check", "--verify"]), 1),
        (service.for_each("-f", &["exec-env"], &["true"]), 0),
        (service.for_all(&["repair"]), 0),
        (service.for_all(&["scan"]), 0),
        (service.for_all(&["rotate", "-i"]), 0),
        (service.for_all(&["updatekeys", "--yes"]), 0),
        (service.for_all(&["decrypt", "-i"]), 0),
    ] {
        service.sandbox.encfile(&command).go().code(code);
        assert_eq!(service.gate.take(), (SOME, TOGETHER), "{}", command[0]);
    }
    assert!(service.are_in_clear());
}

#[test]
fn how_far_that_is_shows_at_the_terminal_and_nowhere_else() {
    let service = Service::with_files(MANY).trusted();
    service.sandbox.env("TERM", "xterm");
    let repair = service.for_all(&["repair"]);
    let mut nothing = String::new();
    for name in service.names() {
        nothing.push_str(&format!("{name}: nothing to repair\n"));
    }
    let run = service.sandbox.encfile(&repair);
    run.go().success().stderr(&nothing).has_waited_for(&service.key());
    service.gate.take();
    let run = service.sandbox.encfile(&repair).stdin(Stdin::Terminal(Vec::new())).go().success();
    assert_eq!(service.gate.take(), (MANY, TOGETHER));
    let run = run.does_not_say(["waiting for"]);
    let (bar, rest) = run.messages().split_at(run.messages().find("000.yaml").unwrap());
    assert_eq!(rest, nothing);
    // How many have answered; how often that is drawn depends on the machine.
    let shown: Vec<usize> = Regex::new(r"data keys \[[=> ]{30}\] ([0-9]+)/200")
        .unwrap()
        .captures_iter(bar)
        .map(|shown| shown[1].parse().unwrap())
        .collect();
    assert_eq!(shown[..2], [0, 1], "{bar:?}");
    assert!(shown.is_sorted(), "{shown:?}");
    assert!(bar.ends_with("\r\u{1b}[2K"), "{bar:?}");
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
    let service = Service::with_files(1).trusted();
    let decrypt = ["decrypt", &service.names()[0]];
    service.sandbox.encfile(decrypt).go().success().has_waited_for(&service.key());
    service.gate.take();
    let run = service.sandbox.as_sops(decrypt).go().success().stdout(PLAIN);
    run.no_stderr().tells_of_no_wait();
    assert_eq!(service.gate.take(), (1, 1));
}

#[test]
fn a_service_is_asked_for_what_a_command_opens_and_nothing_else() {
    let service = Service::with_files(2).trusted();
    let sandbox = &service.sandbox;
    service.gate.open();
    let text = sandbox.read_bytes("000.yaml");
    // Checks how often the service is asked, of any key.
    let asks = |expected: usize, command: &dyn Fn()| {
        let before = service.server.asked().len();
        command();
        assert_eq!(service.server.asked().len() - before, expected);
    };

    // Whoever names a file otherwise, or sends it, opens one file.
    asks(1, &|| {
        let run = sandbox.encfile(["decrypt", "--filename-override", "000.yaml", "-"]);
        run.stdin(Stdin::Pipe(text.clone())).go().success().stdout(PLAIN);
    });
    asks(1, &|| {
        let run = sandbox.encfile(["decrypt", "--filename-override", "no/where.yaml", "000.yaml"]);
        run.go().success().stdout(PLAIN);
    });
    asks(1, &|| {
        let run = sandbox.as_sops(["decrypt", "000.yaml", "001.yaml"]).go().success();
        run.stdout(PLAIN);
    });
    // Two data keys, and two to wrap.
    asks(4, &|| {
        let files = ["rotate", "-i", "--filename-override", "x.yaml", "000.yaml", "001.yaml"];
        sandbox.encfile(files).go().success();
    });
    asks(0, &|| {
        sandbox.encfile(["filestatus", "000.yaml"]).go().success();
        sandbox.encfile(["check", "000.yaml", "001.yaml"]).go();
        sandbox.encfile(["decrypt", "nowhere.yaml", "neither.yaml"]).go().failure();
    });
}
