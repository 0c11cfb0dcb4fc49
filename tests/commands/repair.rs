//! `encfile repair`.

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Sandbox, Stdin};

const PLAIN: &str = "one: canary-one\ntwo: canary-two\nlist:\n- canary-three\n- canary-four\n";

fn encrypted() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    sandbox.write("a.yaml", PLAIN);
    sandbox.encfile(["encrypt", "-i", "a.yaml"]).go().success();
    sandbox
}

/// Replaces the line that begins with `start`.
fn replace_line(sandbox: &Sandbox, start: &str, new: impl Fn(&str) -> String) {
    let text = sandbox.read("a.yaml");
    let text: String = text
        .lines()
        .map(|line| if line.starts_with(start) { new(line) } else { format!("{line}\n") })
        .collect();
    sandbox.write("a.yaml", text);
}

/// Returns the line that begins with `start`.
fn line(sandbox: &Sandbox, start: &str) -> String {
    sandbox.read("a.yaml").lines().find(|line| line.starts_with(start)).unwrap().to_owned()
}

#[track_caller]
fn assert_holds(sandbox: &Sandbox, plain: &str) {
    sandbox.encfile(["decrypt", "a.yaml"]).go().success().stdout(plain);
    sandbox.real_sops(["decrypt", "a.yaml"]).go().success();
    peers::assert_valid(&[sandbox.path("a.yaml")]);
}

#[test]
fn a_file_that_is_right_stays_as_it_is() {
    let sandbox = encrypted();
    let before = sandbox.state_of("a.yaml");
    sandbox
        .encfile(["repair", "--yes", "a.yaml"])
        .go()
        .success()
        .no_stdout()
        .stderr("a.yaml: nothing to repair\n");
    assert_eq!(sandbox.state_of("a.yaml"), before);
}

#[test]
fn a_value_that_a_bot_added_in_clear_is_encrypted_and_the_others_keep_their_ciphertext() {
    let sandbox = encrypted();
    replace_line(&sandbox, "two:", |line| format!("{line}\nnew: canary-new\nport: 5432\n"));
    let (one, before) = (line(&sandbox, "one:"), sandbox.read("a.yaml"));
    let found = "a.yaml:3: [\"new\"] stands in clear and should be encrypted\na.yaml:4: [\"port\"] \
                 stands in clear and should be encrypted\na.yaml: MAC mismatch: the values are not \
                 those that the file was encrypted with\na.yaml: 4 values and comments \
                 authenticate\n";
    sandbox
        .encfile(["repair", "a.yaml"])
        .go()
        .code(1)
        .stdout(found)
        .stderr("a.yaml: left as it is; to re-seal it: --yes\n");
    assert_eq!(sandbox.read("a.yaml"), before);
    sandbox
        .encfile(["repair", "--yes", "a.yaml"])
        .go()
        .success()
        .stdout(found)
        .stderr("a.yaml: re-sealed\n");
    assert_eq!(line(&sandbox, "one:"), one);
    assert!(!sandbox.read("a.yaml").contains("canary"));
    let plain = PLAIN.replace("\nlist", "\nnew: canary-new\nport: 5432\nlist");
    assert_holds(&sandbox, &plain);
}

#[test]
fn a_removed_value_is_a_matter_of_the_mac_alone() {
    let sandbox = encrypted();
    replace_line(&sandbox, "two:", |_| String::new());
    let terminal = |keys: &[u8]| {
        sandbox.encfile(["repair", "a.yaml"]).stdin(Stdin::Terminal(keys.to_vec())).go()
    };
    terminal(b"n\n").code(1);
    terminal(b"y\n").success();
    assert_holds(&sandbox, &PLAIN.replace("two: canary-two\n", ""));
}

#[test]
fn values_that_do_not_authenticate_are_removed_only_on_demand() {
    let sandbox = encrypted();
    // Under another name, and from another file.
    replace_line(&sandbox, "two:", |line| format!("{}\n", line.replace("two:", "other:")));
    let other = encrypted();
    let foreign = other
        .read("a.yaml")
        .lines()
        .find(|line| line.trim_start().starts_with("- ENC"))
        .unwrap()
        .to_owned();
    let mut first = true;
    let mut text = String::new();
    for line in sandbox.read("a.yaml").lines() {
        let is_first = line.trim_start().starts_with("- ENC") && std::mem::take(&mut first);
        text.push_str(if is_first { &foreign } else { line });
        text.push('\n');
    }
    sandbox.write("a.yaml", text);
    let before = sandbox.read("a.yaml");
    sandbox
        .encfile(["repair", "--yes", "a.yaml"])
        .go()
        .code(25)
        .says(["2 values do not authenticate; nothing was changed", "--drop-unreadable"]);
    assert_eq!(sandbox.read("a.yaml"), before);
    let outcome =
        sandbox.encfile(["repair", "--yes", "--drop-unreadable", "a.yaml"]).go().success();
    let found = String::from_utf8(outcome.into_stdout()).unwrap();
    assert!(found.contains("a.yaml:2: [\"other\"] does not authenticate: "), "{found}");
    assert!(found.contains("a.yaml:4: [\"list\"][0] does not authenticate: "), "{found}");
    assert_holds(&sandbox, "one: canary-one\nlist:\n- canary-four\n");
}

#[test]
fn every_format_is_repaired() {
    for (name, plain, clear) in [
        ("a.json", "{\n\t\"a\": \"canary\"\n}\n", "{\"b\": \"canary-new\","),
        ("a.env", "A=canary\n", "B=canary-new\n"),
        ("a.ini", "[s]\na = canary\n", "[s]\nb = canary-new\n"),
    ] {
        let sandbox = encrypted();
        sandbox.write(name, plain);
        sandbox.encfile(["encrypt", "-i", name]).go().success();
        let start = if name == "a.env" { "" } else { plain.split('\n').next().unwrap() };
        let text = sandbox.read(name);
        let rest = text.strip_prefix(start).unwrap().trim_start_matches('\n');
        sandbox.write(name, format!("{clear}{rest}"));
        sandbox.encfile(["repair", "--yes", name]).go().success();
        assert!(!sandbox.read(name).contains("canary"), "{name}");
        sandbox.real_sops(["decrypt", name]).go().success();
        peers::assert_valid(&[sandbox.path(name)]);
    }
}

#[test]
fn a_conflict_is_for_mergetool() {
    let sandbox = encrypted();
    let text = sandbox.read("a.yaml");
    sandbox.write("a.yaml", format!("<<<<<<< a\n{text}=======\n{text}>>>>>>> b\n"));
    sandbox
        .encfile(["repair", "--yes", "a.yaml"])
        .go()
        .code(1)
        .no_stdout()
        .says(["git has left a conflict in line 1", "encfile mergetool a.yaml"]);
}
