//! Programs that call `sops`, or read its files, with encfile in its place.
//!
//! Their scripts are in `tests/users/`; `tests/peers.sh` installs what they need.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::files::{ALICE, repository};
use crate::peers;
use crate::sandbox::{Outcome, Run, Sandbox};

const PLAIN: &str = "# The shop's database\nhost: canary-one\nport: 5432\nport_text: \"5432\"\n";

/// A sandbox whose `PATH` has encfile as `sops`, with `app.yaml` encrypted by it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    symlink(env!("CARGO_BIN_EXE_encfile"), sandbox.home().join("../bin/sops")).unwrap();
    sandbox.config_for(&[ALICE]);
    sandbox.write("app.yaml", PLAIN);
    sandbox.as_sops(["encrypt", "-i", "app.yaml"]).go().success();
    sandbox
}

/// Runs a script that stands for a user; its messages hold what it prints.
fn shell<'s>(sandbox: &'s Sandbox, script: &str) -> Run<'s> {
    sandbox.run("/bin/sh".as_ref(), ["-euc", script]).secrets_in_messages()
}

fn printed(outcome: Outcome) -> String {
    String::from_utf8(outcome.success().into_stdout()).unwrap()
}

fn script(name: &str) -> std::path::PathBuf {
    repository().join("tests/users").join(name)
}

#[test]
fn git_shows_differences_of_encrypted_files_in_clear() {
    let sandbox = sandbox();
    let git = peers::system("git");
    let git = |arguments: &[&str]| {
        let all = ["-c", "user.name=a", "-c", "user.email=a@example.org"].iter().chain(arguments);
        printed(sandbox.run(&git, all).secrets_in_messages().go())
    };
    git(&["init", "-q"]);
    git(&["config", "diff.sopsdiffer.textconv", "sops decrypt"]);
    sandbox.write(".gitattributes", "*.yaml diff=sopsdiffer\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    sandbox.edit_with("sed -i s/5432$/6543/ \"$1\"");
    sandbox.as_sops(["app.yaml"]).go().success();
    let difference = git(&["diff", "app.yaml"]);
    let lines = difference.lines().filter(|line| line.starts_with(['+', '-', ' ']));
    let lines: Vec<&str> = lines.skip(2).collect();
    assert_eq!(
        lines,
        [
            " # The shop's database",
            " host: canary-one",
            "-port: 5432",
            "+port: 6543",
            " port_text: \"5432\""
        ]
    );
}

#[test]
fn helm_secrets_calls_work() {
    let sandbox = sandbox();
    sandbox.write("values.yaml", PLAIN);
    let script = script("helm-secrets.sh");
    let outcome = sandbox.run("/bin/sh".as_ref(), [script]).secrets_in_messages().go();
    let edited = "{\"a\":\"b\"}port: 6543\nport_text: \"5432\"\n";
    assert_eq!(printed(outcome), edited);
}

#[test]
fn editors_read_and_write_files() {
    let sandbox = sandbox();
    // A buffer is filled, from the file or through a pipe.
    for command in [
        "sops -d app.yaml",
        "sops --decrypt app.yaml",
        "sops decrypt app.yaml",
        "sops --decrypt --input-type yaml --output-type yaml /dev/stdin < app.yaml",
        "sops --input-type yaml --output-type yaml -d /dev/stdin < app.yaml",
        "cat app.yaml | sops decrypt --input-type yaml --output-type yaml",
        "sops --decrypt --config .sops.yaml --output-type yaml app.yaml",
    ] {
        shell(&sandbox, command).go().success().no_stderr().stdout(PLAIN);
    }
    // A buffer is saved: the editor of sops is a copy of it.
    sandbox.write("buffer.yaml", PLAIN.replace("5432\n", "6543\n"));
    let save = "EDITOR='cp buffer.yaml' sops app.yaml";
    shell(&sandbox, save).go().success().no_stdout().no_stderr();
    shell(&sandbox, "sops -d app.yaml").go().success().stdout(sandbox.read("buffer.yaml"));
    // Nothing to save.
    shell(&sandbox, save).go().code(200);
    // A new file, by a filter.
    let filter = "sops --encrypt --input-type yaml --output-type yaml --filename-override new.yaml \
                  /dev/stdin < buffer.yaml > new.yaml && sops -d new.yaml";
    shell(&sandbox, filter).go().success().stdout(sandbox.read("buffer.yaml"));
}

#[test]
fn versions_are_found_by_scripts() {
    let sandbox = sandbox();
    for command in [
        "sops --version | head -n 1",
        "sops -v --disable-version-check",
        "echo sops $(sops --version --disable-version-check | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+')",
        "echo sops $(sops --version --check-for-updates 2>&1 | awk '{print $2}')",
    ] {
        shell(&sandbox, command).go().success().no_stderr().stdout("sops 3.13.2\n");
    }
}

#[test]
fn sopsy_works() {
    let sandbox = sandbox();
    std::fs::copy(sandbox.path(".sops.yaml"), sandbox.path("config.yaml")).unwrap();
    // It leaves its configs behind.
    sandbox.allow_leftovers();
    sandbox.run(&peers::python(), [script("call_sopsy.py")]).secrets_in_messages().go().success();
}

#[test]
fn ensure_sops_finds_files_in_clear_and_no_others() {
    let sandbox = sandbox();
    for (name, text) in [("a.json", "{\"a\": \"canary-one\"}"), ("a.env", "A=canary-one\n")] {
        sandbox.write(name, text);
        sandbox.as_sops(["encrypt", "-i", name]).go().success();
    }
    let check = |files: &[&str]| {
        let arguments = ["-m", "ensure_sops"].iter().chain(files).copied();
        sandbox.run(&peers::python(), arguments).secrets_in_messages().go()
    };
    check(&["app.yaml", "a.json", "a.env"]).success();
    sandbox.write("plain.yaml", PLAIN);
    check(&["app.yaml", "plain.yaml"]).code(1).says(["plain.yaml"]).does_not_say(["app.yaml"]);
}

#[test]
fn node_packages_read_the_files() {
    let sandbox = sandbox();
    let json = "{\"text\":\"canary-one\",\"port\":5432,\"list\":[\"a\",true],\"map\":{\"k\":1.5}}";
    sandbox.write("a.json", json);
    sandbox.write("a.yaml", "text: canary-one\nport: 5432\nlist: [a, true]\nmap: {k: 1.5}\n");
    for name in ["a.json", "a.yaml"] {
        sandbox.as_sops(["encrypt", "-i", name]).go().success();
    }
    let (identity, script) = (ALICE.path(), script("read_files.js"));
    let arguments = [script.as_path(), &identity, Path::new("a.json"), Path::new("a.yaml")];
    let outcome = sandbox
        .run(&peers::system("node"), arguments)
        .env("NODE_PATH", peers::node_modules())
        .secrets_in_messages()
        .go();
    // JSON twice: sops-age and sops-decoder; YAML once.
    assert_eq!(printed(outcome), format!("{json}\n").repeat(3));
}
