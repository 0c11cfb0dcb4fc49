//! The agent: what it remembers, for how long, and for whom.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::files::ALICE;
use crate::keys::served;
use crate::peers;
use crate::sandbox::{Running, Sandbox};

const PLAIN: &str = "a: canary\n";

/// A sandbox with `app.yaml` for alice, and her identity in `key.txt`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    let key = sandbox.write("key.txt", ALICE.identity());
    sandbox.env("SOPS_AGE_KEY_FILE", key);
    sandbox
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("agent.sock")
}

/// Starts an agent that remembers keys for `ttl`; later runs find it.
fn agent<'s>(sandbox: &'s Sandbox, ttl: &str) -> Running<'s> {
    let socket = socket(sandbox);
    let path = socket.to_str().unwrap();
    let run = sandbox.encfile(["agent", "--foreground", "--ttl", ttl, "--socket", path]);
    // It has no identity itself: what it knows, others have told it.
    let running = served(run.env("SOPS_AGE_KEY_FILE", "/nowhere"), &socket);
    sandbox.env("ENCFILE_AGENT", &socket);
    running
}

fn decrypts(sandbox: &Sandbox) -> bool {
    sandbox.encfile(["decrypt", "app.yaml"]).go().has_succeeded()
}

fn forget_key(sandbox: &Sandbox) {
    std::fs::remove_file(sandbox.path("key.txt")).unwrap();
}

/// Returns how many keys the agent remembers.
fn count(sandbox: &Sandbox) -> String {
    let status = sandbox.encfile(["agent", "status"]).go().success().into_stdout();
    String::from_utf8(status).unwrap().split(',').next().unwrap().to_owned()
}

#[test]
fn what_was_unwrapped_once_needs_no_key_any_more() {
    let sandbox = sandbox();
    let agent = agent(&sandbox, "1h");
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN).no_stderr();
    assert_eq!(count(&sandbox), "1 key");
    forget_key(&sandbox);
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN).no_stderr();
    sandbox.encfile(["set", "app.yaml", "[\"a\"]", "\"canary-2\""]).go().success();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout("a: canary-2\n");
    agent.signal(Signal::TERM);
    let address = format!("ENCFILE_AGENT={0}; export ENCFILE_AGENT;\n", socket(&sandbox).display());
    agent.wait().code(0).stdout(address).no_stderr();
    assert!(!socket(&sandbox).exists());
}

#[test]
fn keys_are_forgotten_after_their_time() {
    let sandbox = sandbox();
    let _agent = agent(&sandbox, "1s");
    assert!(decrypts(&sandbox));
    forget_key(&sandbox);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(count(&sandbox), "0 keys");
    assert!(!decrypts(&sandbox));
}

#[test]
fn a_locked_agent_has_forgotten_everything() {
    let sandbox = sandbox();
    let _agent = agent(&sandbox, "1h");
    assert!(decrypts(&sandbox));
    sandbox.encfile(["agent", "lock"]).go().success().no_stdout().no_stderr();
    assert_eq!(count(&sandbox), "0 keys");
    forget_key(&sandbox);
    assert!(!decrypts(&sandbox));
}

#[test]
fn an_agent_that_is_stopped_ends_and_takes_its_socket_away() {
    let sandbox = sandbox();
    let agent = agent(&sandbox, "1h");
    sandbox.encfile(["agent", "stop"]).go().success().no_stdout().no_stderr();
    agent.wait().code(0).no_stderr();
    assert!(!socket(&sandbox).exists());
    let place = "<sandbox>/work/agent.sock";
    sandbox.encfile(["agent", "status"]).go().code(1).no_stdout().stderr(&format!(
        "error[agent]: no agent answers at {place}\nrpc error: code = Unavailable desc = connection \
         error: desc = \"transport: Error while dialing: {place}: no such file or directory\"\n\
         help: start one: eval \"$(encfile agent)\"\n"
    ));
}

#[test]
fn an_agent_that_is_gone_is_told_once_and_stops_nothing() {
    let sandbox = sandbox();
    sandbox.env("ENCFILE_AGENT", socket(&sandbox));
    let place = "<sandbox>/work/agent.sock";
    let outcome = sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    outcome.stderr(&format!(
        "warning: the agent of encfile does not answer: rpc error: code = Unavailable desc = \
         connection error: desc = \"transport: Error while dialing: {place}: no such file or \
         directory\"\n"
    ));
}

#[test]
fn the_socket_of_a_killed_agent_is_used_again() {
    let sandbox = sandbox();
    let killed = agent(&sandbox, "1h");
    killed.signal(Signal::KILL);
    killed.wait().no_success();
    assert!(socket(&sandbox).exists());
    let _agent = agent(&sandbox, "1h");
    assert_eq!(count(&sandbox), "0 keys");
}

#[test]
fn an_agent_is_not_taken_the_socket_of_another_that_lives() {
    let sandbox = sandbox();
    let _agent = agent(&sandbox, "1h");
    let path = socket(&sandbox);
    let arguments = ["agent", "--foreground", "--socket", path.to_str().unwrap()];
    sandbox.encfile(arguments).go().code(3).no_stdout().says(["cannot listen at"]);
    assert_eq!(count(&sandbox), "0 keys");
}

#[test]
fn a_socket_of_another_user_is_not_trusted() {
    let sandbox = sandbox();
    let _agent = agent(&sandbox, "1h");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(socket(&sandbox), Some(65534), None).unwrap();
    } else {
        // What is root's is not the user's, whatever it is.
        sandbox.env("ENCFILE_AGENT", "/");
    }
    let outcome = sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    outcome.says(["belongs to another user"]);
    sandbox.encfile(["agent", "status"]).go().code(1).says(["belongs to another user"]);
}

#[test]
fn a_second_user_is_refused_even_if_the_socket_is_open_to_all() {
    let sandbox = sandbox();
    let agent = agent(&sandbox, "1h");
    assert!(decrypts(&sandbox));
    let mode = |path: PathBuf, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    mode(socket(&sandbox), 0o666).unwrap();
    // To the user nothing has changed.
    forget_key(&sandbox);
    assert!(decrypts(&sandbox));
    let uri = format!("unix://{}", socket(&sandbox).display());
    let flags = ["decrypt", "--enable-local-keyservice=false", "--keyservice", &uri, "app.yaml"];
    let mut refused = "";
    // Nobody but root can become somebody else.
    if rustix::process::geteuid().is_root() {
        // Only the agent is to stand between them: the way to the socket is open.
        for folder in sandbox.path("").ancestors().take(2) {
            mode(folder.to_owned(), 0o755).unwrap();
        }
        mode(sandbox.path("app.yaml"), 0o644).unwrap();
        for (program, why) in [
            (sandbox.program_for_all(), " the service ended the connection without an answer"),
            // It says where it was when the connection ended, which is a matter of chance.
            (peers::sops(), ""),
        ] {
            let program = program.to_str().unwrap();
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--", program];
            let run = sandbox.run(&peers::system("setpriv"), [&nobody[..], &flags].concat());
            run.go().code(128).no_stdout().says([&format!("code = Unavailable desc ={why}")]);
        }
        refused = "warning: user 65534 wanted to use the agent: refused\n";
    }
    sandbox.encfile(flags).go().success().stdout(PLAIN);
    agent.signal(Signal::TERM);
    agent.wait().code(0).stderr(refused);
}

#[test]
fn sops_uses_the_agent_as_a_key_service() {
    let sandbox = sandbox();
    let _agent = agent(&sandbox, "1h");
    assert!(decrypts(&sandbox));
    forget_key(&sandbox);
    let uri = format!("unix://{}", socket(&sandbox).display());
    let arguments = ["decrypt", "--keyservice", &uri, "app.yaml"];
    sandbox.real_sops(arguments).go().success().stdout(PLAIN);
    // As sops, it is a key service and nothing else.
    sandbox.as_sops(arguments).go().success().stdout(PLAIN);
    sandbox.as_sops(["decrypt", "app.yaml"]).go().code(128);
}

#[test]
fn an_agent_unwraps_for_others_with_its_own_keys_and_remembers() {
    let sandbox = sandbox();
    let path = socket(&sandbox);
    let uri = format!("unix://{}", path.display());
    let run = sandbox.encfile(["agent", "--foreground", "--socket", path.to_str().unwrap()]);
    let _agent = served(run, &path);
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let arguments = ["decrypt", "--keyservice", &uri, "app.yaml"];
    sandbox.real_sops(arguments).go().success().stdout(PLAIN);
    forget_key(&sandbox);
    sandbox.real_sops(arguments).go().success().stdout(PLAIN);
}

#[test]
fn the_agent_of_a_command_ends_with_it() {
    let sandbox = sandbox();
    let program = env!("CARGO_BIN_EXE_encfile");
    let script =
        format!("{program} decrypt app.yaml && rm key.txt && {program} decrypt app.yaml; exit 7");
    let run = sandbox.encfile(["agent", "--", "sh", "-c", &script]);
    run.go().code(7).stdout(format!("{PLAIN}{PLAIN}")).no_stderr();
}

#[test]
fn a_command_that_does_not_exist_ends_the_agent() {
    let sandbox = sandbox();
    sandbox
        .encfile(["agent", "--", "no-such-program"])
        .go()
        .code(127)
        .no_stdout()
        .stderr("error[command]: there is no program `no-such-program` in `PATH`\n");
}

/// Ends an agent in the background, whatever becomes of the test.
struct Stopped<'s>(&'s Sandbox);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.encfile(["agent", "stop"]).go();
    }
}

#[test]
fn an_agent_in_the_background_is_in_a_directory_of_the_users_own() {
    let sandbox = sandbox();
    sandbox.allow_leftovers();
    let folder = sandbox.runtime().join("encfile");
    let socket = folder.join("agent.sock");
    let address = format!("ENCFILE_AGENT={}; export ENCFILE_AGENT;\n", socket.display());
    sandbox.encfile(["agent"]).go().success().stdout(&address).no_stderr();
    let stopped = Stopped(&sandbox);
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&socket)), (0o700, 0o600));
    let again = sandbox.encfile(["agent"]).go().success().stdout(&address);
    again.says(["the agent runs already: process "]);
    sandbox.env("ENCFILE_AGENT", &socket);
    assert!(decrypts(&sandbox));
    forget_key(&sandbox);
    assert!(decrypts(&sandbox));
    drop(stopped);
    let started = std::time::Instant::now();
    while folder.exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "the agent has not ended");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_directory_that_others_can_look_into_is_no_place_for_the_agent() {
    let sandbox = sandbox();
    sandbox.allow_leftovers();
    let folder = sandbox.runtime().join("encfile");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.encfile(["agent"]).go().code(3).no_stdout().stderr(&format!(
        "error[agent]: there is no place for the agent's socket: `{}` is not a directory of yours \
         alone\n",
        folder.display()
    ));
}
