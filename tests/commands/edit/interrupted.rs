//! Edits that are cut off: nothing stays behind in clear.

use rustix::process::Signal;

use super::{JSON, encrypted};

/// Starts an edit, sends a signal while the editor is open, and checks what is left.
fn interrupted(signal: Signal, whole_group: bool) {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("sed -i s/canary-two/canary-new/ \"$1\"; exec sleep 30");
    let running = sandbox.encfile(["edit", "a.json"]).spawn();
    let private = sandbox.wait_for_editor();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(private.exists());
    if whole_group {
        running.signal_group(signal);
    } else {
        running.signal(signal);
    }
    let started = std::time::Instant::now();
    // The sandbox checks that the directories for temporary files are empty.
    let _ = running.wait().no_success();
    assert!(started.elapsed().as_secs() < 10, "the editor was waited for");
    assert!(!private.exists() && !private.parent().unwrap().exists());
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn sigterm_leaves_nothing_in_clear() {
    interrupted(Signal::TERM, false);
}

#[test]
fn sighup_leaves_nothing_in_clear() {
    interrupted(Signal::HUP, false);
}

#[test]
fn sigint_leaves_nothing_in_clear() {
    interrupted(Signal::INT, false);
}

#[test]
fn ctrl_c_which_the_editor_gets_too_leaves_nothing_in_clear() {
    interrupted(Signal::INT, true);
}

#[test]
fn a_kill_leaves_the_text_in_memory_at_most() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("exec sleep 30");
    let running = sandbox.encfile(["edit", "a.json"]).spawn();
    let private = sandbox.wait_for_editor();
    sandbox.allow_leftovers();
    running.signal_group(Signal::KILL);
    let _ = running.wait().no_success();
    if sandbox.runtime().starts_with("/dev/shm") {
        assert!(private.starts_with(sandbox.runtime()));
    }
    assert_eq!(sandbox.state_of("a.json"), before);
    assert_eq!(sandbox.files(), [".sops.yaml", "a.json"]);
}
