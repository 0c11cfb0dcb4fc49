//! The key service, both ways with SOPS: its client with our server, ours with its server.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::files::{ALICE, BOB};
use crate::keys::free_address;
use crate::sandbox::{Run, Running, Sandbox, Stdin};

const PLAIN: &str = "a: canary\n";

/// How long a service may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a key service and waits until it listens at `socket`.
pub(crate) fn served<'s>(run: Run<'s>, socket: &Path) -> Running<'s> {
    let running = run.spawn();
    wait_until(|| UnixStream::connect(socket).is_ok());
    running
}

fn wait_until(is_there: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_there() {
        assert!(started.elapsed() < PATIENCE, "the key service does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Checks that the services of both programs, at a socket and at a port, wrap and unwrap a key for the
/// clients of both, each of which reads what the other has written. `flags` name the key, and
/// `secrets` are the variables that the services have for it, and the clients have not.
pub(crate) fn assert_both_serve_both(
    sandbox: &Sandbox,
    flags: &[&str],
    secrets: &[(&str, &dyn AsRef<OsStr>)],
) {
    type Program = for<'s> fn(&'s Sandbox, &[&str]) -> Run<'s>;
    let programs: [Program; 2] = [
        |sandbox, arguments| sandbox.encfile(arguments),
        |sandbox, arguments| sandbox.real_sops(arguments).secrets_in_messages(),
    ];
    let (socket, port) = (socket(sandbox), free_address());
    let (path, place) = (socket.display().to_string(), port.to_string());
    for (network, address) in [("unix", &path), ("tcp", &place)] {
        let uri = format!("{network}://{address}");
        let by_service = ["--enable-local-keyservice=false", "--keyservice", &uri];
        for server in programs {
            let run = server(sandbox, &["keyservice", "--network", network, "--address", address]);
            let run = secrets.iter().fold(run, |run, (name, value)| run.env(name, value));
            let running = run.spawn();
            wait_until(|| match network {
                "unix" => UnixStream::connect(&socket).is_ok(),
                _ => TcpStream::connect(port).is_ok(),
            });
            for writer in programs {
                sandbox.write("new.yaml", PLAIN);
                let encrypt = [&["encrypt"], &by_service[..], flags, &["-i", "new.yaml"]].concat();
                writer(sandbox, &encrypt).go().success();
                for reader in programs {
                    let decrypt = [&["decrypt"], &by_service[..], &["new.yaml"]].concat();
                    reader(sandbox, &decrypt).go().success().stdout(PLAIN);
                }
            }
            running.signal(Signal::TERM);
            running.wait();
        }
    }
}

#[test]
fn both_serve_both_with_age() {
    let sandbox = Sandbox::new();
    let flags = ["--age", &ALICE.recipient()];
    assert_both_serve_both(&sandbox, &flags, &[("SOPS_AGE_KEY_FILE", &ALICE.path())]);
}

/// A sandbox without identities, with `app.yaml` for alice.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    sandbox
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("keys.sock")
}

/// The arguments of a server at the sandbox's socket.
fn server(sandbox: &Sandbox) -> Vec<String> {
    let socket = socket(sandbox);
    ["keyservice", "--network", "unix", "--address", socket.to_str().unwrap()]
        .map(str::to_owned)
        .into()
}

/// Starts our server with alice's identity.
fn our_server<'s>(sandbox: &'s Sandbox, more: &[&str]) -> Run<'s> {
    let arguments = server(sandbox).into_iter().chain(more.iter().map(|&text| text.to_owned()));
    sandbox.encfile(arguments).env("SOPS_AGE_KEY_FILE", ALICE.path())
}

/// Puts what makes the service at the socket the only one between a command and its arguments.
fn by_service(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let address = format!("unix://{}", socket(sandbox).display());
    let flags = ["--enable-local-keyservice=false", "--keyservice", &address];
    let (command, rest) = arguments.split_first().unwrap();
    [*command].into_iter().chain(flags).chain(rest.iter().copied()).map(str::to_owned).collect()
}

/// Ends a server, which must end well and take its socket away.
fn end(sandbox: &Sandbox, server: Running<'_>, signal: Signal) {
    server.signal(signal);
    let listening = "Listening on unix://<sandbox>/work/keys.sock\n";
    server.wait().code(0).no_stdout().stderr(listening);
    assert!(!socket(sandbox).exists());
}

#[test]
fn encfile_uses_the_service_of_sops() {
    let sandbox = sandbox();
    let run = sandbox.real_sops(server(&sandbox)).env("SOPS_AGE_KEY_FILE", ALICE.path());
    let server = served(run, &socket(&sandbox));
    let encfile = |arguments: &[&str]| sandbox.encfile(by_service(&sandbox, arguments)).go();
    encfile(&["decrypt", "app.yaml"]).success().stdout(PLAIN).no_stderr();
    sandbox.write("new.yaml", PLAIN);
    encfile(&["encrypt", "--age", &ALICE.recipient(), "-i", "new.yaml"]).success();
    encfile(&["set", "new.yaml", "[\"b\"]", "\"canary-2\""]).success();
    encfile(&["rotate", "-i", "--add-age", &BOB.recipient(), "new.yaml"]).success();
    drop(server);
    for key in [ALICE, BOB] {
        let run = sandbox.real_sops(["decrypt", "new.yaml"]);
        let run = run.env("SOPS_AGE_KEY_FILE", key.path()).go();
        run.success().stdout("a: canary\nb: canary-2\n");
    }
}

#[test]
fn sops_uses_the_service_of_encfile() {
    let sandbox = sandbox();
    let server = served(our_server(&sandbox, &[]), &socket(&sandbox));
    let sops = |arguments: &[&str]| sandbox.real_sops(by_service(&sandbox, arguments)).go();
    sops(&["decrypt", "app.yaml"]).success().stdout(PLAIN);
    sandbox.write("new.yaml", PLAIN);
    sops(&["encrypt", "--age", &ALICE.recipient(), "-i", "new.yaml"]).success();
    sops(&["rotate", "-i", "--add-age", &BOB.recipient(), "new.yaml"]).success();
    end(&sandbox, server, Signal::TERM);
    for key in [ALICE, BOB] {
        let run = sandbox.encfile(["decrypt", "new.yaml"]);
        run.env("SOPS_AGE_KEY_FILE", key.path()).go().success().stdout(PLAIN);
    }
}

#[test]
fn a_service_listens_at_a_port_too() {
    let sandbox = sandbox();
    let address = free_address();
    let place = address.to_string();
    let run = sandbox.encfile(["keyservice", "--net", "tcp", "--addr", &place]);
    let server = run.env("SOPS_AGE_KEY_FILE", ALICE.path()).spawn();
    wait_until(|| TcpStream::connect(address).is_ok());
    let uri = format!("tcp://{address}");
    let arguments = ["decrypt", "--keyservice", &uri, "app.yaml"];
    sandbox.encfile(arguments).go().success().stdout(PLAIN).no_stderr();
    sandbox.real_sops(arguments).go().success().stdout(PLAIN);
    let used = sandbox.encfile(["keyservice", "--address", &place]).go();
    used.code(1).no_stdout().stderr(&format!(
        "error[keyservice]: Error running keyservice: listen tcp {address}: bind: address already \
         in use\n"
    ));
    server.signal(Signal::INT);
    server.wait().code(0).no_stdout().stderr(&format!("Listening on tcp://{address}\n"));
}

#[test]
fn the_socket_of_a_service_is_the_users_alone() {
    let sandbox = sandbox();
    let server = served(our_server(&sandbox, &[]), &socket(&sandbox));
    let mode = std::fs::metadata(socket(&sandbox)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    end(&sandbox, server, Signal::HUP);
}

#[test]
fn updatekeys_works_by_a_service() {
    let sandbox = sandbox();
    let server = served(our_server(&sandbox, &[]), &socket(&sandbox));
    let rule = format!("creation_rules:\n- age: {},{}\n", ALICE.recipient(), BOB.recipient());
    sandbox.write(".sops.yaml", rule);
    let arguments = by_service(&sandbox, &["updatekeys", "--yes", "app.yaml"]);
    sandbox.encfile(arguments).go().success();
    end(&sandbox, server, Signal::TERM);
    let run = sandbox.real_sops(["decrypt", "app.yaml"]);
    run.env("SOPS_AGE_KEY_FILE", BOB.path()).go().success().stdout(PLAIN);
}

#[test]
fn services_are_asked_in_their_order_after_this_program() {
    let sandbox = sandbox();
    let server = served(our_server(&sandbox, &[]), &socket(&sandbox));
    let services = format!("unix:///nowhere/a.sock, unix://{}", socket(&sandbox).display());
    sandbox.env("SOPS_KEYSERVICE", &services);
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN).no_stderr();
    // What the command line names stands in place of the variable.
    let arguments = ["decrypt", "--keyservice", "unix:///nowhere/a.sock", "app.yaml"];
    sandbox.encfile(arguments).go().code(128);
    end(&sandbox, server, Signal::TERM);
    let run = sandbox.encfile(["decrypt", "app.yaml"]).env("SOPS_AGE_KEY_FILE", ALICE.path());
    run.go().success().stdout(PLAIN).no_stderr();
}

/// Returns the report of a file whose only key has failed.
fn report(why: &str) -> String {
    format!(
        "error[data-key]: Failed to get the data key required to decrypt the SOPS file.\n  --> \
         app.yaml\n\nGroup 0: FAILED\n  {}: FAILED\n    - | {why}\n\nRecovery failed because no \
         master key was able to decrypt the file.\n",
        ALICE.recipient()
    )
}

#[test]
fn a_dead_service_is_told_in_the_words_of_sops() {
    let sandbox = sandbox();
    let address = free_address();
    let uri = format!("tcp://{address}");
    let flags = ["--enable-local-keyservice=false", "--keyservice", &uri];
    let arguments = |command| std::iter::once(command).chain(flags);
    let dead = format!(
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while \
         dialing: dial tcp {address}: connect: connection refused\""
    );
    let outcome = sandbox.encfile(arguments("decrypt").chain(["app.yaml"])).go();
    outcome.code(128).no_stdout().stderr(&report(&dead));
    // SOPS breaks its lines.
    let outcome = sandbox.real_sops(arguments("decrypt").chain(["app.yaml"])).go().code(128);
    let words = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().filter(|word| *word != "|");
        words.map(str::to_owned).collect()
    };
    let said = words(outcome.messages());
    let expected = words(&dead);
    assert!(said.windows(expected.len()).any(|part| part == expected), "{outcome}");
    sandbox.write("new.yaml", PLAIN);
    let recipient = ALICE.recipient();
    let outcome = sandbox.encfile(arguments("encrypt").chain(["--age", &recipient, "new.yaml"]));
    outcome.go().code(1).no_stdout().stderr(&format!(
        "error[wrap]: Could not generate data key: [failed to encrypt new data key with master key \
         \"{recipient}\": {dead}]\n"
    ));
}

#[test]
fn a_service_that_accepts_and_says_nothing_is_not_waited_for() {
    let sandbox = sandbox();
    // The system takes the connection; nobody reads from it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let uri = format!("tcp://{}", listener.local_addr().unwrap());
    let started = Instant::now();
    let service = ["--enable-local-keyservice=false", "--keyservice", &uri, "app.yaml"];
    let outcome = sandbox.encfile(std::iter::once("decrypt").chain(service)).go();
    let silent = "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error \
                  while dialing: the service took the connection, and said nothing for five \
                  seconds\"";
    outcome.code(128).no_stdout().has_waited_for(&uri).stderr(&report(silent));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_service_without_the_key_says_so() {
    let sandbox = sandbox();
    let run = sandbox.encfile(server(&sandbox)).env("SOPS_AGE_KEY_FILE", BOB.path());
    let server = served(run, &socket(&sandbox));
    let outcome = sandbox.encfile(by_service(&sandbox, &["decrypt", "app.yaml"])).go();
    let why =
        format!("rpc error: code = Unknown desc = no identity for {} was found", ALICE.recipient());
    outcome.code(128).no_stdout().stderr(&report(&why));
    end(&sandbox, server, Signal::TERM);
}

#[test]
fn without_any_service_nothing_is_wrapped_or_unwrapped() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    let outcome = sandbox.encfile(["decrypt", "--enable-local-keyservice=false", "app.yaml"]).go();
    outcome.code(128).no_stdout().stderr(&report("no key services provided"));
    sandbox.write("new.yaml", PLAIN);
    let recipient = ALICE.recipient();
    let arguments = ["encrypt", "--age", &recipient, "new.yaml"];
    let refused = "Could not generate data key: [no key services provided, cannot update master \
                   keys]\n";
    let run = sandbox.as_sops(arguments).env("SOPS_ENABLE_LOCAL_KEYSERVICE", "");
    run.go().code(1).no_stdout().stderr(refused);
    let run = sandbox.real_sops(arguments).env("SOPS_ENABLE_LOCAL_KEYSERVICE", "");
    run.go().code(1).no_stdout().stderr(refused);
}

#[test]
fn what_is_no_boolean_is_refused() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    let run = sandbox.encfile(["decrypt", "app.yaml"]).env("SOPS_ENABLE_LOCAL_KEYSERVICE", "maybe");
    run.go().code(1).no_stdout().stderr(
        "error[keyservice]: could not parse maybe as bool value for flag \
         enable-local-keyservice: strconv.ParseBool: parsing \"maybe\": invalid syntax\n",
    );
}

#[test]
fn a_bad_address_is_an_error_and_as_sops_a_warning() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    let arguments = ["decrypt", "--keyservice", "http://127.0.0.1:5000", "app.yaml"];
    sandbox.encfile(arguments).go().code(1).no_stdout().stderr(
        "error[keyservice]: `http://127.0.0.1:5000` is no address of a key service: unknown network \
         http\nhelp: addresses are `tcp://host:port` and `unix:///path`\n",
    );
    sandbox.as_sops(arguments).go().success().stdout(PLAIN).stderr(
        "warning: Error parsing URI for keyservice, skipping uri=\"http://127.0.0.1:5000\"\n",
    );
}

#[test]
fn what_leaves_the_machine_is_warned_of() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    let arguments = ["decrypt", "--keyservice", "tcp://192.0.2.1:5000", "app.yaml"];
    sandbox.encfile(arguments).go().success().stdout(PLAIN).stderr(
        "warning: data keys go to tcp://192.0.2.1:5000 without encryption: the protocol has none\n",
    );
    sandbox.as_sops(arguments).go().success().stdout(PLAIN).no_stderr();
}

/// Starts a service that asks, with `answers` as its standard input; decrypts; ends it, and returns
/// both outcomes.
fn asked(sandbox: &Sandbox, server: Run<'_>, answers: &str) -> (i32, String, Vec<u8>, String) {
    let running = served(server.stdin(Stdin::Pipe(answers.into())), &socket(sandbox));
    let client = sandbox.encfile(by_service(sandbox, &["decrypt", "app.yaml"])).go();
    running.signal(Signal::TERM);
    let server = running.wait().code(0);
    let messages = server.messages().to_owned();
    (client.exit_code(), client.messages().to_owned(), server.into_stdout(), messages)
}

#[test]
fn a_request_is_answered_if_the_user_says_yes() {
    let sandbox = sandbox();
    let server = our_server(&sandbox, &["--prompt"]);
    let (code, _, stdout, messages) = asked(&sandbox, server, "what\ny\n");
    assert_eq!(code, 0);
    assert!(stdout.is_empty());
    let question = format!(
        "\nReceived decrypt request using age key with recipient {}. Respond to request? (y/n): ",
        ALICE.recipient()
    );
    assert_eq!(
        messages,
        format!("Listening on unix://<sandbox>/work/keys.sock\n{question}{question}")
    );
}

#[test]
fn a_request_is_rejected_if_the_user_says_no_or_nothing() {
    let sandbox = sandbox();
    for (answer, why) in [
        ("n\n", "rpc error: code = PermissionDenied desc = Request rejected by user"),
        ("", "rpc error: code = Unknown desc = EOF"),
    ] {
        let server = our_server(&sandbox, &["--prompt"]);
        let (code, messages, ..) = asked(&sandbox, server, answer);
        assert_eq!(code, 128);
        assert_eq!(messages, report(why));
    }
}

#[test]
fn as_sops_the_question_is_on_standard_output() {
    let sandbox = sandbox();
    let arguments = server(&sandbox).into_iter().chain(["--prompt".to_owned()]);
    let server = sandbox.as_sops(arguments).env("SOPS_AGE_KEY_FILE", ALICE.path());
    let (code, _, stdout, messages) = asked(&sandbox, server, "y\n");
    assert_eq!(code, 0);
    assert!(String::from_utf8(stdout).unwrap().ends_with("Respond to request? (y/n): "));
    assert_eq!(messages, "");
}

#[test]
fn a_command_that_is_run_does_not_learn_of_services() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("a.env", "A=canary\n", &[ALICE]);
    sandbox.env("SOPS_KEYSERVICE", "unix:///nowhere/a.sock").env("ENCFILE_AGENT", "");
    let arguments = ["exec-env", "a.env", "env | grep -c -e KEYSERVICE -e AGENT || true"];
    sandbox.encfile(arguments).go().success().stdout("0\n");
}
