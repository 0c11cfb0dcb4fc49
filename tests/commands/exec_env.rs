//! `exec-env`: a command with the values of files in its environment.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::Signal;

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

const DOTENV: &str = "# c\nA=canary-1\nexport B=\"canary\\ntwo\" # c\nC='$A'\n";

fn encrypted(name: &str, plain: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops(name, plain, &[ALICE]);
    sandbox
}

/// Returns the variables that `env -0` printed.
fn variables(outcome: Outcome) -> BTreeSet<String> {
    let text = String::from_utf8(outcome.into_stdout()).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn set<const N: usize>(variables: [&str; N]) -> BTreeSet<String> {
    variables.map(str::to_owned).into()
}

mod as_sops {
    //! What the real SOPS does as well: each is run with both.

    use super::*;

    fn both(sandbox: &Sandbox, arguments: &[&str]) -> [Outcome; 2] {
        [sandbox.as_sops(arguments).go(), sandbox.real_sops(arguments).secrets_in_messages().go()]
    }

    #[test]
    fn the_environment_is_that_of_sops() {
        let yaml = "# c\ns: canary\nm: \"a\\nb\"\ni: 0x1F\nf: 1.50\ng: 2.0\nh: 12345678.5\n\
                    b: true\nn: null\nd: 2020-01-02\nt: 2020-01-02T03:04:05.6+02:00\ne: ''\n\
                    sp ace: x\ndotted.key-1: y\nsops_like: z\n---\nsecond: document\n";
        for (name, plain) in [
            ("a.yaml", yaml),
            ("a.json", r#"{"A": 1, "B": 1e3, "A": "last", "": "empty", "F": 0.1, "N": null}"#),
            ("a.env", DOTENV),
            ("a.env", "A= spaces \nB=cr\r\nC=\n\nD=a=b\n"),
            ("a.bin", "some\nbytes\n"),
        ] {
            let sandbox = encrypted(name, plain);
            // What the peer's Python starts it with.
            sandbox.env("LC_CTYPE", "C.UTF-8");
            for pristine in [&["--pristine"][..], &[]] {
                let arguments = [&["exec-env"], pristine, &[name, "env -0"]].concat();
                let [ours, theirs] = both(&sandbox, &arguments).map(Outcome::success);
                assert_eq!(variables(ours), variables(theirs), "{name} {pristine:?}");
            }
        }
    }

    #[test]
    fn the_end_of_the_command_is_told_as_sops_does() {
        let sandbox = encrypted("a.env", DOTENV);
        for command in ["exit 0", "exit 7", "exit 255", "kill -9 $$", "kill -15 $$", "no-such"] {
            for mode in [&[][..], &["--same-process"]] {
                let arguments = [&["exec-env"], mode, &["a.env", command]].concat();
                let [ours, theirs] = both(&sandbox, &arguments);
                assert_eq!(ours.status(), theirs.status(), "{ours}\n{theirs}");
                assert_eq!(ours.messages(), theirs.messages(), "{ours}\n{theirs}");
            }
        }
    }

    #[test]
    fn what_is_refused_has_the_code_of_sops() {
        let sandbox = encrypted("map.yaml", "a:\n  b: canary\n");
        sandbox.encrypted_by_sops("list.json", r#"{"a": ["canary"]}"#, &[ALICE]);
        sandbox.encrypted_by_sops("equals.json", r#"{"a=b": "canary"}"#, &[ALICE]);
        sandbox.encrypted_by_sops("nul.json", r#"{"a": "canary\u0000"}"#, &[ALICE]);
        sandbox.encrypted_by_sops("a.ini", "[a]\nb = canary\n", &[ALICE]);
        sandbox.encrypted_by_sops("a.env", DOTENV, &[ALICE]);
        sandbox.write("plain.json", "{}");
        for arguments in [
            &["map.yaml", "true"][..],
            &["list.json", "true"],
            &["equals.json", "true"],
            &["nul.json", "true"],
            &["a.ini", "true"],
            &["plain.json", "true"],
            &["missing.json", "true"],
            &["a.env"],
            &[],
            &["a.env", "true", "more"],
            &["--same-process", "--background", "a.env", "true"],
            &["--user", "no-such-user", "a.env", "true"],
        ] {
            let arguments = [&["exec-env"], arguments].concat();
            let [ours, theirs] = both(&sandbox, &arguments).map(Outcome::failure);
            assert_eq!(ours.status(), theirs.status(), "{ours}\n{theirs}");
        }
    }

    #[test]
    fn a_single_word_behind_two_dashes_is_for_the_shell() {
        let sandbox = encrypted("a.env", DOTENV);
        for outcome in both(&sandbox, &["exec-env", "a.env", "--", "echo $A; exit 3"]) {
            outcome.code(3).stdout("canary-1\n");
        }
    }

    #[test]
    fn a_signal_is_passed_on_and_the_command_waited_for() {
        let sandbox = encrypted("a.env", DOTENV);
        let command = "trap 'echo $A; exit 5' TERM; echo up > up; while :; do sleep 0.05; done";
        let running = sandbox.as_sops(["exec-env", "a.env", command]).spawn();
        sandbox.wait_for_file("up");
        running.signal(Signal::TERM);
        running.wait().code(5).stdout("canary-1\n").stderr("exit status 5\n");
    }
}

#[test]
fn a_program_runs_without_a_shell_and_with_the_values_of_the_files_alone() {
    let sandbox = encrypted("a.env", DOTENV);
    let outcome = sandbox.encfile(["exec-env", "--pristine", "a.env", "--", "env", "-0"]).go();
    assert_eq!(
        variables(outcome.success().no_stderr()),
        set(["A=canary-1", "B=canary\ntwo", "C=$A"])
    );
    sandbox
        .encfile(["exec-env", "a.env", "--", "printf", "%s|", "$A", "a b", "", "--pristine"])
        .go()
        .success()
        .stdout("$A|a b||--pristine|");
}

#[test]
fn a_command_for_the_shell_takes_the_place_of_the_program() {
    let sandbox = encrypted("a.env", DOTENV);
    let program = env!("CARGO_BIN_EXE_encfile");
    let line = format!("echo $$; exec {program} exec-env a.env 'echo $$; echo $A; exit 9'");
    let outcome = sandbox.run(Path::new("/bin/sh"), ["-c", &line]).go().code(9).no_stderr();
    let printed = String::from_utf8(outcome.into_stdout()).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines, [lines[0], lines[0], "canary-1"]);
}

#[test]
fn keys_are_passed_on_only_when_that_is_asked_for() {
    let sandbox = encrypted("a.env", "A=canary\n");
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.env("SOPS_AGE_KEY", ALICE.identity());
    sandbox.env("VAULT_TOKEN", "token").env("SOPS_AGE_RECIPIENTS", "kept");
    let count = "env | grep -c -e ^SOPS_AGE_KEY= -e ^VAULT_TOKEN=; echo $SOPS_AGE_RECIPIENTS";
    sandbox.encfile(["exec-env", "a.env", count]).go().success().stdout("0\nkept\n");
    sandbox.encfile(["exec-env", "--pass-keys", "a.env", count]).go().stdout("2\nkept\n");
    sandbox.as_sops(["exec-env", "a.env", count]).go().stdout("2\nkept\n");
    // What the file has is what the command is to have.
    sandbox.encrypted_by_sops("b.env", "VAULT_TOKEN=canary\n", &[ALICE]);
    sandbox.encfile(["exec-env", "b.env", "echo $VAULT_TOKEN"]).go().stdout("canary\n");
}

#[test]
fn of_several_files_the_later_wins() {
    let sandbox = encrypted("a.env", "A=canary-1\nB=1\n");
    sandbox.encrypted_by_sops("b.json", r#"{"B": 2, "C": {"D": 3}}"#, &[ALICE]);
    let outcome = sandbox
        .encfile([
            "exec-env",
            "--pristine",
            "--flatten",
            "_",
            "a.env",
            "-f",
            "b.json",
            "--",
            "env",
            "-0",
        ])
        .go();
    assert_eq!(variables(outcome.success()), set(["A=canary-1", "B=2", "C_D=3"]));
    let outcome = sandbox
        .encfile([
            "exec-env",
            "--pristine",
            "--only",
            "B,A",
            "-f",
            "b.json",
            "-f",
            "a.env",
            "--",
            "env",
            "-0",
        ])
        .go();
    assert_eq!(variables(outcome.success()), set(["A=canary-1", "B=1"]));
}

#[test]
fn nested_values_are_refused_with_a_way_out() {
    let sandbox = encrypted("a.yaml", "a:\n  b: canary\n");
    sandbox.encfile(["exec-env", "a.yaml", "true"]).go().code(1).no_stdout().stderr(
        "error[variables]: cannot use complex value in environment; offending key a\n  \
         --> a.yaml\n\
         help: --flatten _ makes variables of nested values, too; --only NAMES leaves others out\n",
    );
}

#[test]
fn a_variable_that_is_asked_for_and_not_there_stops_the_command() {
    let sandbox = encrypted("a.env", DOTENV);
    sandbox
        .encfile(["exec-env", "--only", "A,DB_*", "a.env", "touch ran"])
        .go()
        .code(1)
        .stderr("error[only]: no variable is called `DB_*`, which --only asks for\n");
    assert_eq!(sandbox.files(), ["a.env"]);
}

#[test]
fn a_value_that_no_system_hands_over_is_named() {
    let sandbox = encrypted("a.json", &format!("{{\"A\": \"{}\"}}", "canary".repeat(30_000)));
    sandbox
        .encfile(["exec-env", "a.json", "true"])
        .go()
        .code(1)
        .says(["the value of `A` is longer than the system hands over, 128 KiB"]);
}

#[test]
fn more_variables_than_the_system_hands_over_are_an_error() {
    let line = |number| format!("A{number}={}\n", "c".repeat(120_000));
    let sandbox = encrypted("a.env", &(10..40).map(line).collect::<String>());
    sandbox
        .encfile(["exec-env", "a.env", "true"])
        .go()
        .failure()
        .code(126)
        .says(["help: the variables are more than the system hands over"]);
    sandbox.as_sops(["exec-env", "a.env", "true"]).go().failure().code(1);
    sandbox.encfile(["exec-env", "--only", "A1?", "a.env", "true"]).go().success();
}

#[test]
fn a_program_that_is_not_there_or_is_none_has_the_code_of_a_shell() {
    let sandbox = encrypted("a.env", DOTENV);
    sandbox.write("text", "canary");
    for (program, code) in [("no-such", 127), ("./no-such", 127), ("./text", 126), ("text", 127)] {
        sandbox.encfile(["exec-env", "a.env", "--", program]).go().failure().code(code);
    }
}

#[test]
fn a_file_that_was_changed_runs_nothing() {
    let sandbox = encrypted("a.json", r#"{"A": "canary", "B_unencrypted": 1}"#);
    let changed = sandbox.read("a.json").replace("\"B_unencrypted\": 1", "\"B_unencrypted\": 2");
    sandbox.write("a.json", changed);
    sandbox.encfile(["exec-env", "a.json", "touch ran"]).go().failure().code(51);
    assert_eq!(sandbox.files(), ["a.json"]);
}

#[test]
fn the_command_has_the_limits_and_signals_of_whoever_called() {
    let sandbox = encrypted("a.env", DOTENV);
    let state = "ulimit -c; grep -e SigBlk -e SigIgn -e SigCgt /proc/self/status; ls /proc/self/fd";
    let plain = sandbox.run(Path::new("/bin/sh"), ["-c", state]).go().success();
    let ours = sandbox.encfile(["exec-env", "a.env", state]).go().success();
    ours.stdout(plain.into_stdout());
}

#[test]
fn no_value_is_an_argument_of_any_process() {
    let sandbox = encrypted("a.env", DOTENV);
    let log = sandbox.path("log");
    let program = env!("CARGO_BIN_EXE_encfile");
    sandbox
        .run(
            &peers::system("strace"),
            ["-f", "-qq", "-s", "99999", "-o", log.to_str().unwrap(), "-e", "trace=execve"]
                .iter()
                .chain(&[program, "exec-env", "a.env", "exec env > /dev/null"]),
        )
        .go()
        .success();
    let log = sandbox.read("log");
    assert!(log.contains("exec env > /dev/null"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn in_the_background_nobody_waits() {
    let sandbox = encrypted("a.env", DOTENV);
    let line = "while [ ! -e go ]; do sleep 0.02; done; echo $A > done";
    sandbox
        .encfile(["exec-env", "--background", "a.env", line])
        .go()
        .success()
        .no_stdout()
        .no_stderr();
    sandbox.write("go", "");
    assert_eq!(sandbox.wait_for_file("done"), "canary-1\n");
}

#[test]
fn the_user_is_another_one_or_the_command_does_not_run() {
    let sandbox = encrypted("a.env", DOTENV);
    let line = "id -un; id -Gn; echo $HOME $USER $LOGNAME $A";
    let outcome = sandbox.encfile(["exec-env", "--user", "nobody", "a.env", line]).go();
    if rustix::process::geteuid().is_root() {
        let line = "id -un nobody; id -Gn nobody; getent passwd nobody | cut -d: -f6";
        let system = sandbox.run(Path::new("/bin/sh"), ["-c", line]).go().success().into_stdout();
        let expected = String::from_utf8(system).unwrap();
        let expected = expected.trim_end().to_owned() + " nobody nobody canary-1\n";
        outcome.success().stdout(expected);
    } else {
        outcome.failure().code(1).says(["cannot become the user `nobody`"]);
    }
}
