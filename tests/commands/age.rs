//! age keys of all types, both ways with SOPS: SSH, post-quantum, plugins, passphrases.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::files::{ALICE, BOB, GRACE, repository};
use crate::keys::served;
use crate::peers;
use crate::sandbox::{Run, Sandbox, Stdin};

const PLAIN: &str = "{\n\t\"password\": \"canary-one\"\n}\n";

const DEMO: &str = "age1demo1dpjkcmr03p8jgj";
const DEMO_IDENTITY: &str = "AGE-PLUGIN-DEMO-1DPJKCMR0DQLFWK";

fn key_file(name: &str) -> PathBuf {
    repository().join("testdata/keys").join(name)
}

fn ssh_recipient(name: &str) -> String {
    fs::read_to_string(key_file(&format!("{name}.pub"))).unwrap().trim().to_owned()
}

/// A sandbox with `app.json` in clear.
fn plain() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.json", PLAIN);
    sandbox
}

/// Encrypts with each of encfile and SOPS, and decrypts with both.
fn assert_both_ways(sandbox: &Sandbox, recipient: &str) {
    let encrypt = ["encrypt", "--age", recipient, "app.json"];
    for run in [sandbox.encfile(encrypt), sandbox.real_sops(encrypt)] {
        run.stdout_to("encrypted.json").go().success();
        let decrypt = ["decrypt", "encrypted.json"];
        sandbox.encfile(decrypt).go().success().stdout(PLAIN);
        sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
    }
}

/// Encrypts `app.json` for `recipient`.
fn encrypted(recipient: &str) -> Sandbox {
    let sandbox = plain();
    sandbox.encfile(["encrypt", "-i", "--age", recipient, "app.json"]).go().success();
    sandbox
}

/// Runs `encfile decrypt` of `app.json` to `plain.json` with a terminal of its own.
fn at_terminal(sandbox: &Sandbox) -> Run<'_> {
    let program = env!("CARGO_BIN_EXE_encfile");
    let arguments = ["--ctty", "--wait", program, "decrypt", "--output", "plain.json", "app.json"];
    sandbox.run(&peers::system("setsid"), arguments).stdin(Stdin::Terminal(Vec::new()))
}

#[test]
fn ssh_keys_of_the_user_encrypt_and_decrypt() {
    for name in ["ssh-ed25519", "ssh-rsa"] {
        let sandbox = plain();
        let own = sandbox.home().join(".ssh").join(name.replace("ssh-", "id_"));
        fs::create_dir(own.parent().unwrap()).unwrap();
        fs::copy(key_file(&format!("{name}.txt")), own).unwrap();
        assert_both_ways(&sandbox, &ssh_recipient(name));
    }
}

#[test]
fn a_variable_names_the_file_of_an_ssh_key() {
    let sandbox = plain();
    sandbox.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", key_file("ssh-ed25519.txt"));
    assert_both_ways(&sandbox, &ssh_recipient("ssh-ed25519"));
}

#[test]
fn a_command_prints_an_ssh_key_for_the_recipient_it_is_told() {
    let recipient = ssh_recipient("ssh-rsa");
    let sandbox = encrypted(&recipient);
    let script = format!(
        "#!/bin/sh\ntest \"$SOPS_AGE_RECIPIENT\" = '{recipient}' && cat {}\n",
        key_file("ssh-rsa.txt").display()
    );
    sandbox.program("my-ssh-key", &script);
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "my-ssh-key --now")
        .go()
        .success()
        .stdout(PLAIN);
}

#[test]
fn debians_age_opens_what_was_wrapped_for_an_ssh_key() {
    let sandbox = encrypted(&ssh_recipient("ssh-ed25519"));
    let file: Value = serde_json::from_str(&sandbox.read("app.json")).unwrap();
    sandbox.write("key.age", file["sops"]["age"][0]["enc"].as_str().unwrap());
    let identity = sandbox.write("identity", fs::read(key_file("ssh-ed25519.txt")).unwrap());
    sandbox.set_mode("identity", 0o600);
    sandbox
        .run(&peers::system("age"), ["-d", "-i", identity.to_str().unwrap(), "key.age"])
        .stdout_to("data-key")
        .go()
        .success();
    assert_eq!(sandbox.read_bytes("data-key").len(), 32);
}

#[test]
fn an_ssh_key_with_a_passphrase_asks_for_it_at_the_terminal() {
    let sandbox = encrypted(&ssh_recipient("ssh-locked"));
    sandbox.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", key_file("ssh-locked.txt"));
    let question = "Enter passphrase for \"SOPS_AGE_SSH_PRIVATE_KEY_FILE";
    at_terminal(&sandbox)
        .spawn()
        .answer(question, "a long passphrase\n")
        .wait()
        .success()
        .does_not_say(["a long passphrase"]);
    assert_eq!(sandbox.read("plain.json"), PLAIN);
    let wrong = at_terminal(&sandbox).spawn().answer(question, "another\n").wait();
    wrong.code(128).says(["incorrect passphrase"]).does_not_say(["another"]);
}

#[test]
fn with_an_agent_a_passphrase_is_asked_once() {
    let sandbox = encrypted(&ssh_recipient("ssh-locked"));
    let socket = sandbox.path("agent.sock");
    let run = sandbox.encfile(["agent", "--foreground", "--socket", socket.to_str().unwrap()]);
    let _agent = served(run, &socket);
    sandbox.env("ENCFILE_AGENT", &socket);
    sandbox.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", key_file("ssh-locked.txt"));
    let question = "Enter passphrase for \"SOPS_AGE_SSH_PRIVATE_KEY_FILE";
    at_terminal(&sandbox).spawn().answer(question, "a long passphrase\n").wait().success();
    at_terminal(&sandbox).go().success().does_not_say([question]);
    assert_eq!(sandbox.read("plain.json"), PLAIN);
}

#[test]
fn an_ssh_key_that_no_file_is_for_is_not_asked_about() {
    let sandbox = encrypted(&ssh_recipient("ssh-ed25519"));
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", key_file("ssh-locked.txt"))
        .go()
        .code(128)
        .does_not_say(["passphrase"]);
}

#[test]
fn without_a_terminal_a_passphrase_is_an_error_with_the_reason() {
    let sandbox = encrypted(&ALICE.recipient());
    sandbox
        .run(
            &peers::system("setsid"),
            ["--wait", env!("CARGO_BIN_EXE_encfile"), "decrypt", "app.json"],
        )
        .env("SOPS_AGE_KEY_FILE", key_file("alice-passphrase.txt"))
        .go()
        .code(128)
        .says(["could not read passphrase", "there is no terminal to ask at"]);
}

#[test]
fn identity_files_with_a_passphrase_are_opened_at_the_terminal() {
    let sandbox = encrypted(&ALICE.recipient());
    for name in ["alice-passphrase.txt", "alice-passphrase.age"] {
        at_terminal(&sandbox)
            .env("SOPS_AGE_KEY_FILE", key_file(name))
            .spawn()
            .answer("Enter passphrase for identity 'SOPS_AGE_KEY_FILE", "open sesame\n")
            .wait()
            .success()
            .does_not_say(["open sesame"]);
        assert_eq!(sandbox.read("plain.json"), PLAIN);
    }
}

#[test]
fn a_passphrase_is_not_asked_for_where_another_identity_opens() {
    let sandbox = encrypted(&format!("{},{}", BOB.recipient(), ALICE.recipient()));
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_KEY_FILE", key_file("alice-passphrase.txt"))
        .env("SOPS_AGE_KEY", BOB.identity())
        .go()
        .success()
        .no_stderr();
}

#[test]
fn post_quantum_keys_work_both_ways() {
    let sandbox = plain();
    sandbox.env("SOPS_AGE_KEY_FILE", GRACE.path());
    assert_both_ways(&sandbox, &GRACE.recipient());
}

#[test]
fn plugins_encrypt_and_decrypt() {
    let sandbox = plain();
    sandbox.program("age-plugin-demo", include_str!("../sandbox/age-plugin-demo"));
    sandbox.env("SOPS_AGE_KEY", DEMO_IDENTITY);
    assert_both_ways(&sandbox, DEMO);
    sandbox.encfile(["decrypt", "encrypted.json"]).go().success().stderr("demo: touch me\n");
}

#[test]
fn a_plugin_is_not_started_for_a_file_that_is_not_for_it() {
    let sandbox = encrypted(&ALICE.recipient());
    sandbox.program("age-plugin-demo", include_str!("../sandbox/age-plugin-demo"));
    sandbox.env("SOPS_AGE_KEY", DEMO_IDENTITY);
    sandbox.encfile(["decrypt", "app.json"]).go().code(128);
    assert!(!sandbox.home().join("plugin.log").exists());
}

#[test]
fn a_plugin_that_only_the_file_names_is_not_started_by_rotate() {
    let sandbox = plain();
    sandbox.program("age-plugin-demo", include_str!("../sandbox/age-plugin-demo"));
    let both = format!("{DEMO},{}", ALICE.recipient());
    sandbox.encfile(["encrypt", "-i", "--age", &both, "app.json"]).go().success();
    fs::remove_file(sandbox.home().join("plugin.log")).unwrap();

    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    sandbox
        .encfile(["rotate", "-i", "app.json"])
        .go()
        .failure()
        .says(["the plugin `demo` is named by the file alone"]);
    assert!(!sandbox.home().join("plugin.log").exists());

    sandbox.encfile(["rotate", "-i", "app.json"]).env("ENCFILE_AGE_PLUGINS", "demo").go().success();
    sandbox.as_sops(["rotate", "-i", "app.json"]).go().success();
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
    sandbox.encfile(["rotate", "-i", "app.json"]).go().success();
    let decrypt = sandbox.encfile(["decrypt", "app.json"]).env("SOPS_AGE_KEY_FILE", "/dev/null");
    decrypt.env("SOPS_AGE_KEY", DEMO_IDENTITY).go().success().stdout(PLAIN);
}

#[test]
fn a_missing_plugin_is_named() {
    let sandbox = plain();
    sandbox
        .encfile(["encrypt", "--age", DEMO, "app.json"])
        .go()
        .code(1)
        .says(["there is no program `age-plugin-demo` in `PATH`"]);
}

#[test]
fn a_plugin_that_dies_or_talks_nonsense_is_an_error() {
    let sandbox = plain();
    for script in ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n", "#!/bin/sh\nyes\n"] {
        sandbox.program("age-plugin-demo", script);
        sandbox
            .encfile(["encrypt", "--age", DEMO, "app.json"])
            .go()
            .code(1)
            .says(["the plugin `demo` failed"]);
    }
}

#[test]
fn an_endless_identity_file_ends() {
    let sandbox = encrypted(&ALICE.recipient());
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_KEY_FILE", "/dev/zero")
        .env("SOPS_AGE_KEY", ALICE.identity())
        .go()
        .success()
        .stdout(PLAIN);
}

#[test]
fn a_key_that_fails_does_not_keep_the_others_from_being_tried() {
    let sandbox = encrypted(&format!("{NOBODY},{}", ALICE.recipient()));
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/nowhere")
        .env("SOPS_AGE_KEY", format!("{DEMO_IDENTITY} {}", ALICE.identity()))
        .env("SOPS_AGE_KEY_CMD", "/nowhere/program")
        .go()
        .success()
        .stdout(PLAIN);
}

/// A recipient whose identity nobody has.
const NOBODY: &str = "age1lu6lfe2w83cl26dhp06a0sx6xmzt4z0tqfcys5k3gayx6gnm3cgsyzaga5";
