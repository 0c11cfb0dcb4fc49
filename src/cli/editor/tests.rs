//! Tests of editing.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::*;
use crate::cli::os::testing::{child, is_child, names_in, wait_until};

/// A program for `/bin/sh`, as an editor.
fn script(body: &str) -> EditorCommand {
    EditorCommand {
        program: "/bin/sh".into(),
        arguments: ["-c", body, "editor"].map(OsString::from).to_vec(),
    }
}

fn session(editor: EditorCommand, content: &str, parent: &Path) -> EditSession {
    // No runtime directory, and everything below `parent`.
    let hold = Hold::new().unwrap();
    let directory = crate::cli::os::private_dir::choose(&[], parent).unwrap();
    EditSession::in_directory(editor, content.as_bytes(), OsStr::new("f.yaml"), directory, hold)
        .unwrap()
}

fn changed(result: Result<Edited, EditorError>) -> String {
    match result.unwrap() {
        Edited::Changed(text) => String::from_utf8(text.to_vec()).unwrap(),
        Edited::Unchanged => panic!("unchanged"),
    }
}

fn program(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    File::create_new(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_editor_is_chosen_as_sops_does() {
    let directory = tempfile::tempdir().unwrap();
    let path_var = Some(directory.path().as_os_str());
    let chosen = |sops_editor: Option<&str>, editor: Option<&str>| {
        EditorCommand::from_env(sops_editor.map(OsStr::new), editor.map(OsStr::new), path_var)
    };
    assert!(matches!(chosen(None, None), Err(EditorError::NoEditor)));
    let nano = program(directory.path(), "nano");
    for blank in [None, Some(""), Some(" \t")] {
        assert_eq!(chosen(blank, blank).unwrap().program(), nano);
    }
    let ed = program(directory.path(), "ed");
    let command = chosen(Some("ed -s 'two words'"), Some("nano")).unwrap();
    assert_eq!(command.program, ed);
    assert_eq!(command.arguments, ["-s", "two words"]);
    assert_eq!(chosen(Some(" "), Some("ed")).unwrap().program(), ed);
    let relative = chosen(None, Some("./ed -x")).unwrap();
    assert_eq!(relative.program(), Path::new("./ed"));
    assert!(matches!(
        chosen(None, Some("ed 'x")),
        Err(EditorError::BadQuoting { variable: "EDITOR" })
    ));
    for missing in ["missing -x", "''"] {
        assert!(matches!(chosen(Some(missing), None), Err(EditorError::NotFound { .. })));
    }
}

#[test]
fn vim_is_told_to_keep_no_copies_and_others_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let real = program(directory.path(), "vim.basic");
    std::os::unix::fs::symlink(&real, directory.path().join("vi")).unwrap();
    for name in ["nvim", "gvim", "nano", "vimdoc"] {
        program(directory.path(), name);
    }
    for (name, count) in [("vi", 7), ("vim.basic", 7), ("nvim", 7), ("gvim", 8), ("nano", 0)] {
        let command = EditorCommand::with_options(directory.path().join(name), &[]);
        assert_eq!(command.arguments.len(), count, "{name}");
    }
    let command = EditorCommand::with_options(directory.path().join("vimdoc"), &[]);
    assert!(command.arguments.is_empty());
    fs::remove_file(directory.path().join("vi")).unwrap();
    program(directory.path(), "vi");
    let other_vi = EditorCommand::with_options(directory.path().join("vi"), &["-x".to_owned()]);
    assert_eq!(other_vi.arguments, ["-x"]);
}

#[test]
fn a_session_edits_a_private_file_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let log = parent.path().join("log");
    let body = format!(
        "{{ stat -c '%a %n' \"$1\" \"${{1%/*}}\"; umask; }} > '{}'; echo 'b: 2' >> \"$1\"",
        log.display()
    );
    let mut session = session(script(&body), "a: 1\n", parent.path());
    let file = session.file().to_path_buf();
    assert_eq!(changed(session.run()), "a: 1\nb: 2\n");
    let directory = file.parent().unwrap();
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        format!("600 {}\n700 {}\n0077\n", file.display(), directory.display())
    );
    assert!(file.ends_with("f.yaml"));
    drop(session);
    assert_eq!(names_in(parent.path()), ["log"]);
}

#[test]
fn unchanged_means_the_first_text_and_edits_are_kept_between_runs() {
    let parent = tempfile::tempdir().unwrap();
    let mut unchanged = session(script("touch \"$1\""), "a: 1\n", parent.path());
    assert!(matches!(unchanged.run(), Ok(Edited::Unchanged)));
    let mut again = session(script("echo x >> \"$1\""), "a: 1\n", parent.path());
    assert_eq!(changed(again.run()), "a: 1\nx\n");
    assert_eq!(changed(again.run()), "a: 1\nx\nx\n");
    let undo = "if grep -q x \"$1\"; then echo 'a: 1' > \"$1\"; else echo x > \"$1\"; fi";
    let mut undone = session(script(undo), "a: 1\n", parent.path());
    assert_eq!(changed(undone.run()), "x\n");
    assert!(matches!(undone.run(), Ok(Edited::Unchanged)));
}

#[test]
fn an_editor_that_replaces_the_file_is_understood() {
    let parent = tempfile::tempdir().unwrap();
    let body = "echo new > \"$1.new\"; mv \"$1.new\" \"$1\"; echo old > \"$1~\"";
    let mut session = session(script(body), "old\n", parent.path());
    assert_eq!(changed(session.run()), "new\n");
    drop(session);
    assert!(names_in(parent.path()).is_empty());
}

#[test]
fn a_failing_editor_leaves_what_it_saved_to_the_caller() {
    let parent = tempfile::tempdir().unwrap();
    for body in ["echo x >> \"$1\"; exit 3", "echo x >> \"$1\"; kill -9 $$"] {
        let mut session = session(script(body), "a: 1\n", parent.path());
        let error = session.run().unwrap_err();
        assert!(matches!(error, EditorError::Failed { .. }));
        assert_eq!(session.take_unsaved().as_deref(), Some(b"a: 1\nx\n".as_slice()));
        assert!(session.take_unsaved().is_none());
    }
    let mut nothing_saved = session(script("exit 1"), "a: 1\n", parent.path());
    assert!(nothing_saved.run().is_err());
    assert!(nothing_saved.take_unsaved().is_none());
}

#[test]
fn a_file_that_is_gone_or_no_file_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    for body in ["rm \"$1\"", "rm \"$1\"; mkfifo \"$1\"", "rm \"$1\"; ln -s /etc/passwd \"$1\""] {
        let mut session = session(script(body), "a: 1\n", parent.path());
        assert!(matches!(session.run(), Err(EditorError::Deleted)), "{body}");
    }
    let mut no_program = session(
        EditorCommand { program: parent.path().join("missing"), arguments: Vec::new() },
        "a: 1\n",
        parent.path(),
    );
    assert!(matches!(no_program.run(), Err(EditorError::Start { .. })));
}

#[test]
fn errors_and_debug_show_no_content() {
    let parent = tempfile::tempdir().unwrap();
    let mut session =
        session(script("printf %s%s can ary >> \"$1\"; exit 1"), "canary1", parent.path());
    let error = session.run().unwrap_err();
    let all = format!("{session:?} {error:?} {error}");
    assert!(!all.contains("canary"));
}

#[test]
fn names_without_a_file_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["", "..", "/", "a/.."] {
        let result = EditSession::new(script(""), b"", Path::new(name), None, parent.path());
        assert!(matches!(result, Err(EditorError::BadName { .. })), "{name}");
    }
}

#[test]
fn secret_variables_do_not_reach_the_editor() {
    let command = script("").command(Path::new("f"));
    for name in ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY"] {
        assert!(command.get_envs().any(|(key, value)| key == name && value.is_none()), "{name}");
    }
}

/// Starts an edit in another process, sends it `signal` and returns how it ended.
fn interrupt(body: &str, signal: rustix::process::Signal, to_group: bool) -> (String, PathBuf) {
    use std::os::unix::process::CommandExt;
    let parent = tempfile::tempdir().unwrap().keep();
    let mut put = File::create_new(parent.join("script")).unwrap();
    put.write_all(body.as_bytes()).unwrap();
    fs::create_dir(parent.join("private")).unwrap();
    let mut process = child("cli::editor::tests::child_editing", &parent)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_until("the editor runs", || parent.join("running").exists());
    assert_eq!(names_in(&parent.join("private")).len(), 1);
    let pid = rustix::process::Pid::from_child(&process);
    if to_group {
        rustix::process::kill_process_group(pid, signal).unwrap();
    } else {
        rustix::process::kill_process(pid, signal).unwrap();
    }
    assert!(process.wait().unwrap().success());
    assert!(names_in(&parent.join("private")).is_empty());
    (fs::read_to_string(parent.join("result")).unwrap(), parent)
}

#[test]
#[ignore = "the work of another test"]
fn child_editing() {
    if !is_child() {
        return;
    }
    let body = fs::read_to_string("script").unwrap();
    let mut session = session(script(&body), "a: 1\n", Path::new("private"));
    let result = session.run();
    let gone = !session.file().exists();
    let unsaved = session.take_unsaved().map_or(0, |text| text.len());
    let mut log = File::create_new("result").unwrap();
    match result {
        Err(EditorError::Interrupted { signal }) => {
            write!(log, "signal {signal}, gone {gone}, unsaved {unsaved}").unwrap();
        }
        other => write!(log, "{other:?}").unwrap(),
    }
}

#[test]
fn signals_end_the_editor_and_wipe_the_text() {
    use rustix::process::Signal;
    let body = "echo x >> \"$1\"; touch running; sleep 1000";
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        for to_group in [false, true] {
            let (result, parent) = interrupt(body, signal, to_group);
            let number = signal.as_raw();
            assert_eq!(result, format!("signal {number}, gone true, unsaved 7"));
            fs::remove_dir_all(parent).unwrap();
        }
    }
}

#[test]
fn an_editor_that_ignores_signals_is_killed_with_what_it_started() {
    let body = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & \
                echo $! > inner; touch running; while :; do sleep 0.1; done";
    let (result, parent) = interrupt(body, rustix::process::Signal::TERM, false);
    assert_eq!(result, "signal 15, gone true, unsaved 0");
    let inner = fs::read_to_string(parent.join("inner")).unwrap();
    let inner: i32 = inner.trim().parse().unwrap();
    let inner = rustix::process::Pid::from_raw(inner).unwrap();
    wait_until("the inner process ends", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", inner.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
    fs::remove_dir_all(parent).unwrap();
}
