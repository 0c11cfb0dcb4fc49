//! Passphrases of age's identity files from the real gpg-agent, as SOPS has them, with a program in
//! place of its window.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::files::{ALICE, repository};
use crate::peers;
use crate::sandbox::{Run, Sandbox, Stdin};

const PLAIN: &str = "a: canary\n";

/// A sandbox with a file for Alice, whose identity has a passphrase, and an agent that ends with it.
struct Agent {
    sandbox: Sandbox,
    home: PathBuf,
}

impl Agent {
    /// Starts an agent whose window always gives `answer`.
    fn start(answer: &str) -> Agent {
        let sandbox = locked();
        let home = sandbox.home().join("gnupg");
        fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
        let window = home.join("window");
        fs::write(home.join("gpg-agent.conf"), format!("pinentry-program {}\n", window.display()))
            .unwrap();
        let agent = Agent { sandbox, home };
        agent.says(answer);
        agent.gnupg("gpgconf", &["--launch", "gpg-agent"]);
        let socket = agent.gnupg("gpgconf", &["--list-dirs", "agent-socket"]);
        agent.sandbox.env("GPG_AGENT_INFO", format!("{}:1:1", socket.trim()));
        agent
    }

    /// Changes what the window gives: `D text`, or an error.
    fn says(&self, answer: &str) {
        let (window, log) = (self.home.join("window"), self.log());
        let script = format!(
            "#!/bin/sh\necho OK\nwhile read -r word rest; do\ncase $word in\nSETDESC) echo \"$rest\" >> \
             '{}'; echo OK ;;\nGETPIN) echo '{answer}'; case '{answer}' in D*) echo OK ;; esac ;;\n\
             BYE) echo OK; exit ;;\n*) echo OK ;;\nesac\ndone\n",
            log.display()
        );
        fs::write(&window, script).unwrap();
        fs::set_permissions(&window, fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// Returns what the window has asked so far, a line each.
    fn asked(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn gnupg(&self, program: &str, arguments: &[&str]) -> String {
        let home = self.home.to_str().unwrap();
        let arguments = ["--homedir", home].into_iter().chain(arguments.iter().copied());
        let run = self.sandbox.run(&peers::system(program), arguments).go().success();
        String::from_utf8(run.into_stdout()).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.gnupg("gpgconf", &["--kill", "gpg-agent"]);
    }
}

/// A sandbox with a file for Alice, whose identity has a passphrase.
fn locked() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.yaml", PLAIN);
    sandbox.encfile(["encrypt", "-i", "--age", &ALICE.recipient(), "app.yaml"]).go().success();
    let path = repository().join("testdata/keys/alice-passphrase.txt");
    fs::copy(path, sandbox.path("identity")).unwrap();
    sandbox.env("SOPS_AGE_KEY_FILE", "identity");
    sandbox
}

const DECRYPT: [&str; 2] = ["decrypt", "app.yaml"];

/// As the agent hands it on to the window, which takes the escapes off.
const QUESTION: &str = "Enter passphrase for identity %27SOPS_AGE_KEY_FILE %28identity%29%27%3A\n";

#[test]
fn as_sops_the_agent_asks_once_and_remembers() {
    let agent = Agent::start("D open sesame");
    for _ in 0..2 {
        agent.sandbox.as_sops(DECRYPT).go().success().stdout(PLAIN).no_stderr();
        assert_eq!(agent.asked(), QUESTION);
    }
    // Without a type of terminal, SOPS sends an option that the agent refuses, and gives up.
    agent.sandbox.real_sops(DECRYPT).env("TERM", "xterm").go().success().stdout(PLAIN);
    // SOPS 3.11 remembers it by the name of the variable, 3.13 as here.
    let theirs = QUESTION.replace(" %28identity%29", "");
    assert_eq!(agent.asked(), format!("{QUESTION}{theirs}"));
}

#[test]
fn a_wrong_passphrase_is_not_remembered() {
    let agent = Agent::start("D canary-wrong");
    let wrong = agent.sandbox.as_sops(DECRYPT).go().code(128).no_stdout();
    wrong.says(["incorrect passphrase"]).does_not_say(["canary-wrong"]);
    agent.says("D open sesame");
    agent.sandbox.as_sops(DECRYPT).go().success().stdout(PLAIN);
    assert_eq!(agent.asked(), QUESTION.repeat(2));
}

#[test]
fn whoever_says_no_is_not_asked_at_the_terminal() {
    let agent = Agent::start("ERR 83886179 Operation cancelled <Pinentry>");
    at_terminal(&agent.sandbox).go().code(128).no_stdout().says([
        "could not read passphrase: gpg-agent passphrase request errored: it was cancelled",
    ]);
    assert_eq!(agent.asked(), QUESTION);
}

#[test]
fn encfile_asks_at_the_terminal_alone() {
    let agent = Agent::start("D open sesame");
    let outcome = agent.sandbox.encfile(DECRYPT).go().code(128).no_stdout();
    outcome.says(["could not read passphrase: there is no terminal to ask at"]);
    assert_eq!(agent.asked(), "");
}

#[test]
fn without_an_agent_that_answers_the_terminal_asks() {
    let sandbox = locked();
    let socket = sandbox.path("S.gpg-agent");
    for is_there in [false, true] {
        // One that says something else to everybody.
        let listener = is_there.then(|| UnixListener::bind(&socket).unwrap());
        let strange = listener.map(|listener| {
            std::thread::spawn(move || {
                use std::io::Write as _;
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            })
        });
        sandbox.env("GPG_AGENT_INFO", format!("{}:1:1", socket.display()));
        at_terminal(&sandbox)
            .spawn()
            .answer("Enter passphrase for identity 'SOPS_AGE_KEY_FILE", "open sesame\n")
            .wait()
            .success();
        assert_eq!(sandbox.read("plain.yaml"), PLAIN);
        if let Some(strange) = strange {
            strange.join().unwrap();
        }
    }
}

#[test]
fn a_broken_agent_keeps_no_other_identity_from_being_used() {
    let sandbox = locked();
    sandbox.env("GPG_AGENT_INFO", "/dev/null:1:1").env("SOPS_AGE_KEY", ALICE.identity());
    sandbox.as_sops(DECRYPT).go().success().stdout(PLAIN).no_stderr();
}

/// Decrypts to `plain.yaml` as `sops`, with a terminal of its own.
fn at_terminal(sandbox: &Sandbox) -> Run<'_> {
    // Makes the link.
    sandbox.as_sops(["--version"]).go().success();
    let program = sandbox.home().parent().unwrap().join("sops");
    let arguments = ["--ctty", "--wait", program.to_str().unwrap()];
    let arguments = arguments.into_iter().chain(["decrypt", "--output", "plain.yaml", "app.yaml"]);
    sandbox.run(&peers::system("setsid"), arguments).stdin(Stdin::Terminal(Vec::new()))
}
