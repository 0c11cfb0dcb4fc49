//! `check` in the hooks of git: what is stopped, and what passes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::files::{ALICE, BOB, CAROL, repository};
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

/// Runs scripts in copies of one repository.
struct Scripts {
    sandbox: Sandbox,
}

impl Scripts {
    fn new() -> Scripts {
        let sandbox = Sandbox::with_identity(ALICE);
        let config = "[user]\nname = Alice\nemail = alice@example.org\n";
        fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
        for (name, key) in [("ALICE", ALICE), ("BOB", BOB), ("CAROL", CAROL)] {
            sandbox.env(name, key.recipient());
        }
        let bin = sandbox.path("../bin");
        symlink(env!("CARGO_BIN_EXE_encfile"), bin.join("encfile")).unwrap();
        symlink(peers::sops(), bin.join("sops")).unwrap();
        let scripts = Scripts { sandbox };
        fs::create_dir_all(scripts.sandbox.path("start/repository")).unwrap();
        let setup = fs::read_to_string(folder().join("setup.sh")).unwrap();
        scripts.run("start/repository", &setup).success();
        scripts
    }

    /// Runs a script in a fresh copy, in the folder with the number.
    fn run_in_copy(&self, number: usize, script: &str) -> Outcome {
        let copy = self.sandbox.path(number.to_string());
        self.run(".", &format!("cp -R start '{}'", copy.display())).success();
        let outcome = self.run(&format!("{number}/repository"), script);
        fs::remove_dir_all(copy).unwrap();
        outcome
    }

    fn run(&self, folder: &str, script: &str) -> Outcome {
        let shell = peers::system("sh");
        self.sandbox.run(&shell, ["-eu", "-c", script]).in_folder(folder).go()
    }
}

fn folder() -> PathBuf {
    repository().join("testdata/check")
}

/// Returns the scripts of a file with the headings `## HEADING` before them.
fn scripts(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let found: Vec<(String, String)> = text
        .split("\n## ")
        .skip(1)
        .map(|script| script.split_once('\n').unwrap())
        .map(|(heading, script)| (heading.to_owned(), script.to_owned()))
        .collect();
    assert!(found.len() >= 40, "{} scripts in {name}", found.len());
    found
}

/// Calls `test` with each script, in as many threads as the machine has.
fn for_each(name: &str, test: impl Fn(&Scripts, usize, &str, &str) -> Option<String> + Sync) {
    let scripts = scripts(name);
    let threads = std::thread::available_parallelism().unwrap().get().min(4);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let (scripts, test) = (&scripts, &test);
                scope.spawn(move || {
                    let place = Scripts::new();
                    let own = scripts.iter().enumerate().skip(worker).step_by(threads);
                    own.filter_map(|(number, (heading, script))| {
                        test(&place, number, heading, script)
                            .map(|failure| format!("{heading}: {failure}"))
                    })
                    .collect::<Vec<String>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_way_to_commit_a_secret_in_clear_is_stopped() {
    for_each("leaks.txt", |place, number, heading, script| {
        let outcome = place.run_in_copy(number, script);
        let code = heading.split(':').next().unwrap();
        let stopped =
            !outcome.has_succeeded() && outcome.messages().contains(&format!("error[{code}]"));
        (!stopped).then(|| outcome.messages().to_owned())
    });
}

#[test]
fn harmless_commits_pass() {
    for_each("harmless.txt", |place, number, _, script| {
        let outcome = place.run_in_copy(number, script);
        (!outcome.has_succeeded()).then(|| outcome.messages().to_owned())
    });
}

#[test]
fn the_hooks_run_those_that_were_there_before() {
    let place = Scripts::new();
    let script = "encfile git install --uninstall 2>/dev/null && git add -A && git commit -qm none\n\
        printf '#!/bin/sh\\necho mine >> hooks.log\\n' > .git/hooks/pre-commit\n\
        chmod +x .git/hooks/pre-commit\n\
        encfile git install 2>/dev/null && encfile git install 2>/dev/null\n\
        echo more >> README.md && git commit -qam one && cat hooks.log\n\
        encfile git install --uninstall 2>/dev/null\n\
        cat .git/hooks/pre-commit && ls .git/hooks | grep -c encfile || true";
    place.run_in_copy(0, script).success().stdout("mine\n#!/bin/sh\necho mine >> hooks.log\n0\n");
}

#[test]
fn the_hook_for_pre_commit_passes_what_is_encrypted_and_stops_plain_text() {
    let place = Scripts::new();
    let bin = place.sandbox.path("../bin");
    symlink(peers::python_program("pre-commit"), bin.join("pre-commit")).unwrap();
    place.sandbox.env("HOOKS", repository().join(".pre-commit-hooks.yaml"));
    // It keeps what it has fetched.
    place.sandbox.env("PRE_COMMIT_HOME", place.sandbox.home().join("pre-commit"));
    let script = "encfile git install --uninstall 2>/dev/null\n\
        git init -q ../hooks && cp \"$HOOKS\" ../hooks\n\
        rev=$(cd ../hooks && git add . && git commit -qm hooks && git rev-parse HEAD)\n\
        printf 'repos:\\n  - repo: %s\\n    rev: %s\\n    hooks:\\n      - id: encfile-check\\n' \
            \"$PWD/../hooks\" \"$rev\" > .pre-commit-config.yaml\n\
        pre-commit install >/dev/null\n\
        encfile rotate -i secrets/app.yaml && git add -A && git commit -qm passes 2>/dev/null\n\
        echo 'password: canary' > secrets/new.yaml\n\
        git add . && git commit -qm stopped";
    place.run_in_copy(0, script).code(1).says(["error[plaintext-file]", "secrets/new.yaml:1:1"]);
}
