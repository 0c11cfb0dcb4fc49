//! `exec-file`: a command with the path of a decrypted file.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::Signal;

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::{Outcome, Sandbox, list};

const YAML: &str = "# comment\na: canary-1\nb:\n    - 1\n    - x\n";

fn encrypted() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("a.yaml", YAML, &[ALICE]);
    sandbox
}

fn printed(outcome: Outcome) -> String {
    String::from_utf8(outcome.success().into_stdout()).unwrap()
}

mod as_sops {
    //! What the real SOPS does as well: each is run with both. A command reads its FIFO, or has none:
    //! one that ends without having opened it makes SOPS fail when that finds it removed, at times.

    use super::*;

    fn both(sandbox: &Sandbox, arguments: &[&str]) -> [Outcome; 2] {
        [sandbox.as_sops(arguments).go(), sandbox.real_sops(arguments).secrets_in_messages().go()]
    }

    #[test]
    fn the_text_is_that_of_sops() {
        let sandbox = encrypted();
        sandbox.encrypted_by_sops("a.env", "A=\"canary\\nx\" # c\n", &[ALICE]);
        sandbox.encrypted_by_sops("a.bin", "canary\n", &[ALICE]);
        for arguments in [
            &["a.yaml", "cat {}"][..],
            &["--no-fifo", "a.yaml", "cat {} {}"],
            &["--output-type", "json", "a.yaml", "cat {}"],
            &["a.env", "cat {}"],
            &["a.bin", "cat {}"],
            &["--filename", "name.yaml", "a.yaml", "basename {}; cat {}"],
            &["--no-fifo", "--filename", "name.yaml", "a.yaml", "basename {}; cat {}"],
            &["--no-fifo", "a.yaml", "stat -c %a {}"],
            &["a.yaml", "stat -c '%a %F' {}; stat -c %a $(dirname {}); cat {}"],
            &["--no-fifo", "a.yaml", "echo $SOPS_AGE_KEY_FILE"],
        ] {
            let arguments = [&["exec-file"], arguments].concat();
            let [ours, theirs] = both(&sandbox, &arguments).map(Outcome::success);
            ours.no_stderr().stdout(theirs.into_stdout());
        }
    }

    #[test]
    fn the_end_is_told_as_sops_does() {
        let sandbox = encrypted();
        for end in ["exit 7", "kill -9 $$", "no-such"] {
            let read = format!("cat {{}} > /dev/null; {end}");
            for arguments in [&["a.yaml", &read][..], &["--no-fifo", "a.yaml", end]] {
                let [ours, theirs] = both(&sandbox, &[&["exec-file"], arguments].concat());
                assert_eq!(ours.status(), theirs.status(), "{ours}\n{theirs}");
                assert_eq!(ours.messages(), theirs.messages(), "{ours}\n{theirs}");
            }
        }
        for arguments in [&["missing.yaml", "true"][..], &["a.yaml"], &["a.yaml", "true", "more"]] {
            let arguments = [&["exec-file"], arguments].concat();
            let [ours, theirs] = both(&sandbox, &arguments).map(Outcome::failure);
            assert_eq!(ours.status(), theirs.status(), "{ours}\n{theirs}");
        }
    }
}

#[test]
fn the_text_comes_out_of_a_fifo_in_memory_with_its_own_layout() {
    let sandbox = encrypted();
    let text = printed(sandbox.encfile(["exec-file", "a.yaml", "echo {}; cat {}"]).go());
    let (path, text) = text.split_once('\n').unwrap();
    assert!(Path::new(path).starts_with(sandbox.runtime()), "{path}");
    assert_eq!(text, YAML);
}

#[test]
fn a_fifo_can_be_read_again() {
    let sandbox = encrypted();
    let line = "head -c 3 {}; cat {} {}; cat {} {}";
    let text = printed(sandbox.encfile(["exec-file", "a.yaml", line]).go());
    assert_eq!(text, format!("{}{}", &YAML[..3], YAML.repeat(4)));
}

#[test]
fn a_program_gets_the_path_in_its_arguments() {
    let sandbox = encrypted();
    sandbox
        .encfile(["exec-file", "a.yaml", "--", "sh", "-c", "cat \"${1#--in=}\"", "sh", "--in={}"])
        .go()
        .success()
        .stdout(YAML);
}

#[test]
fn a_command_that_reads_nothing_or_a_part_ends_as_usual() {
    let sandbox = Sandbox::with_identity(ALICE);
    let long = format!("{{\"a\": \"{}\"}}", "canary".repeat(50_000));
    sandbox.encrypted_by_sops("a.json", long, &[ALICE]);
    let started = Instant::now();
    sandbox.encfile(["exec-file", "a.json", "exit 4"]).go().code(4).no_stderr();
    sandbox.encfile(["exec-file", "a.json", "head -c 1 {}"]).go().success().stdout("{");
    sandbox.encfile(["exec-file", "a.json", "sleep 1 < {} &"]).go().success();
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn without_a_fifo_the_file_is_in_memory_and_can_be_read_again() {
    let sandbox = encrypted();
    let line = "stat -c '%a %F' {}; echo {}; cat {} {}";
    let arguments = ["exec-file", "--no-fifo", "--filename", "b.yml", "a.yaml", line];
    let text = printed(sandbox.encfile(arguments).go());
    let (mode, text) = text.split_once('\n').unwrap();
    let (path, text) = text.split_once('\n').unwrap();
    assert_eq!(mode, "600 regular file");
    assert!(Path::new(path).starts_with(sandbox.runtime()) && path.ends_with("/b.yml"), "{path}");
    assert_eq!(text, YAML.repeat(2));
}

#[test]
fn a_name_stays_in_its_directory() {
    let sandbox = encrypted();
    for name in ["../b", "/tmp/b", "b/c", "..", "."] {
        sandbox
            .encfile(["exec-file", "--no-fifo", "--filename", name, "a.yaml", "touch ran"])
            .go()
            .failure()
            .code(1)
            .says(["The provided filename is not a local path."]);
    }
    assert_eq!(sandbox.files(), ["a.yaml"]);
}

#[test]
fn in_the_same_process_nothing_is_made_that_could_be_left() {
    let sandbox = encrypted();
    let program = env!("CARGO_BIN_EXE_encfile");
    let line = format!(
        "echo $$; exec {program} exec-file --same-process a.yaml 'echo $$; echo {{}}; cat {{}} {{}}'"
    );
    let text = printed(sandbox.run(Path::new("/bin/sh"), ["-c", &line]).go());
    let lines: Vec<&str> = text.splitn(4, '\n').collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[2].starts_with("/proc/self/fd/"), "{text}");
    assert_eq!(lines[3], YAML.repeat(2));
}

#[test]
fn in_the_background_the_text_lasts_as_long_as_the_command() {
    let sandbox = encrypted();
    let line = "while [ ! -e go ]; do sleep 0.02; done; cat {} > done";
    sandbox.encfile(["exec-file", "--background", "a.yaml", line]).go().success().no_stderr();
    sandbox.write("go", "");
    assert_eq!(sandbox.wait_for_file("done"), YAML);
}

#[test]
fn the_text_can_be_one_that_sets_variables() {
    let sandbox = encrypted();
    sandbox
        .encfile(["exec-file", "--output-type", "docker", "--only", "a", "a.yaml", "cat {}"])
        .go()
        .success()
        .stdout("a=canary-1\n");
}

#[test]
fn another_user_can_read_what_is_for_them() {
    let sandbox = encrypted();
    for mode in [&[][..], &["--no-fifo"], &["--same-process"]] {
        let arguments = [&["exec-file", "--user", "nobody"], mode, &["a.yaml", "cat {}"]].concat();
        let outcome = sandbox.encfile(arguments).go();
        if rustix::process::geteuid().is_root() {
            outcome.success().stdout(YAML);
        } else {
            outcome.failure().code(1).says(["cannot become the user `nobody`"]);
        }
    }
}

/// Runs a command that notes the path it got and waits, sends a signal, and returns what came of
/// it, and the path.
fn interrupted(sandbox: &Sandbox, mode: &str, trap: &str, signal: Signal) -> (Outcome, PathBuf) {
    let line = format!("{trap}; echo {{}} > up; while :; do sleep 0.05; done");
    let running = sandbox.encfile(["exec-file", mode, "a.yaml", &line]).spawn();
    let path = PathBuf::from(sandbox.wait_for_file("up").trim_end());
    assert!(path.exists());
    running.signal(signal);
    (running.wait(), path)
}

#[test]
fn a_signal_is_passed_on_and_nothing_is_left() {
    for (signal, number, name) in [
        (Signal::TERM, 15, "TERM"),
        (Signal::INT, 2, "INT"),
        (Signal::HUP, 1, "HUP"),
        (Signal::QUIT, 3, "QUIT"),
        (Signal::USR1, 10, "USR1"),
    ] {
        for mode in ["--no-fifo", "--output-type=yaml"] {
            let sandbox = encrypted();
            // The sandbox checks that the directories for temporary files are empty.
            let trap = format!("trap 'exit 5' {name}");
            let (outcome, path) = interrupted(&sandbox, mode, &trap, signal);
            outcome.code(5).no_stderr();
            assert!(!path.parent().unwrap().exists());
            let (outcome, path) = interrupted(&encrypted(), mode, "true", signal);
            outcome.code(128 + number).no_stderr();
            assert!(!path.parent().unwrap().exists());
        }
    }
}

#[test]
fn a_kill_leaves_no_text_but_in_memory_until_the_next_run() {
    for (mode, is_file) in [("--no-fifo", true), ("--output-type=yaml", false)] {
        let sandbox = encrypted();
        sandbox.allow_leftovers();
        let line = "echo {} > up; exec sleep 30";
        let running = sandbox.encfile(["exec-file", mode, "a.yaml", line]).spawn();
        let path = PathBuf::from(sandbox.wait_for_file("up").trim_end());
        running.signal_group(Signal::KILL);
        let _ = running.wait().no_success();
        assert!(path.starts_with(sandbox.runtime()), "{}", path.display());
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        assert_eq!((kind.is_file(), kind.is_fifo()), (is_file, !is_file));
        sandbox.encfile(["exec-file", "a.yaml", "true"]).go().success();
        assert_eq!(list(sandbox.runtime()), [""; 0]);
    }
}

#[test]
fn a_kill_leaves_nothing_at_all_in_the_same_process() {
    let sandbox = encrypted();
    let line = "echo {} > up; exec sleep 30";
    let running = sandbox.encfile(["exec-file", "--same-process", "a.yaml", line]).spawn();
    sandbox.wait_for_file("up");
    running.signal(Signal::KILL);
    // The sandbox checks that the directories for temporary files are empty.
    let _ = running.wait().no_success();
}

#[test]
fn no_file_with_the_text_is_made_on_a_disk() {
    for mode in ["--no-fifo", "--same-process", "--output-type=yaml"] {
        let sandbox = encrypted();
        let log = sandbox.path("log");
        let program = env!("CARGO_BIN_EXE_encfile");
        let calls = "trace=open,openat,openat2,creat,mknod,mknodat";
        let arguments =
            ["-f", "-qq", "-o", log.to_str().unwrap(), "-e", calls, program, "exec-file", mode];
        let arguments = arguments.into_iter().chain(["a.yaml", "cat {}"]);
        sandbox.run(&peers::system("strace"), arguments).go().success().stdout(YAML);
        let log = sandbox.read("log");
        let is_written = |line: &&str| {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "S_IFIFO"].iter().any(|word| line.contains(word))
        };
        let runtime = sandbox.runtime().to_str().unwrap();
        let elsewhere: Vec<&str> = log
            .lines()
            .filter(is_written)
            .filter(|line| !line.contains(runtime) && !line.contains("/dev/tty"))
            .collect();
        assert!(elsewhere.is_empty(), "{elsewhere:#?}");
        assert_eq!(mode == "--same-process", !log.contains(runtime), "{log}");
    }
}
