//! `encfile edit`.

mod interrupted;
mod metadata;
mod new_file;

use std::collections::BTreeSet;
use std::fs;

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Sandbox, Stdin, list};

const JSON: &str = "{\n\t\"password\": \"canary-one\",\n\t\"token\": \"canary-two\",\n\t\"list\": [\n\t\t\"canary-three\",\n\t\t\"canary-four\"\n\t],\n\t\"port\": 5432\n}\n";
const YAML: &str = "password: canary-one\n\nnested: {token: 'canary-two', port: 5432}\ntext: |\n  canary-three\n  canary-four\nlist:\n- canary-five\n- canary-six\n";
const TOML: &str = "password = 'canary-one'\n\n[nested] # canary-five\ntoken = \"canary-two\"\nport = 0x1538\n\n[[list]]\ntext = \"\"\"\ncanary-three\ncanary-four\"\"\"\n";
const DOTENV: &str = "# comment\nPASSWORD=canary-one\n\nTOKEN=canary-two\n";

/// A sandbox with Alice's identity and one file, encrypted by encfile for Alice and Bob.
fn encrypted(name: &str, plain: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    sandbox.write(name, plain);
    sandbox.encfile(["encrypt", "-i", name]).go().success();
    sandbox
}

/// Checks that `name` holds `plain`, with a MAC that is right.
#[track_caller]
fn assert_holds(sandbox: &Sandbox, name: &str, plain: &str) {
    sandbox.encfile(["decrypt", name]).go().success().stdout(plain);
    peers::assert_valid(&[sandbox.path(name)]);
}

/// Returns the files with unsaved text.
fn unsaved(sandbox: &Sandbox) -> Vec<String> {
    let folder = sandbox.state().join("encfile/unsaved");
    if folder.is_dir() { list(&folder) } else { Vec::new() }
}

/// Checks that the unsaved text is kept, encrypted, and returns it.
#[track_caller]
fn recovered(sandbox: &Sandbox) -> Vec<u8> {
    let kept = unsaved(sandbox);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let path = sandbox.state().join("encfile/unsaved").join(&kept[0]);
    let sealed = fs::read_to_string(&path).unwrap();
    assert!(!sealed.contains("canary"), "the kept text is in clear");
    assert!(sealed.contains(&BOB.recipient()), "not for the same recipients");
    sandbox.encfile(["decrypt".as_ref(), path.as_os_str()]).go().success().into_stdout()
}

#[test]
fn one_changed_value_changes_its_line_and_the_mac() {
    for (name, plain) in [("a.json", JSON), ("a.yaml", YAML), ("a.toml", TOML), ("a.env", DOTENV)] {
        let sandbox = encrypted(name, plain);
        let before = sandbox.read(name);
        sandbox.edit_with("sed -i s/canary-two/canary-new/ \"$1\"");
        sandbox.encfile(["edit", name]).go().success().no_stdout();
        let after = sandbox.read(name);

        let changed: BTreeSet<String> = changed_lines(&before, &after)
            .iter()
            .map(|line| {
                let key: String = line
                    .trim_start_matches(|letter: char| !letter.is_alphanumeric())
                    .chars()
                    .take_while(|&letter| letter.is_alphanumeric() || letter == '_')
                    .collect();
                key.trim_start_matches("sops_").to_lowercase()
            })
            .collect();
        // In YAML the token stands in a flow map, on the line of `nested`.
        let value = if name == "a.yaml" { "nested" } else { "token" };
        let allowed: BTreeSet<String> =
            [value, "lastmodified", "mac", "encfile_seal", "encfile_layout"]
                .map(str::to_owned)
                .into();
        assert!(changed.is_subset(&allowed), "{name}: {changed:?}");
        assert!(changed.contains(value), "{name}: {changed:?}");
        assert_holds(&sandbox, name, &plain.replace("canary-two", "canary-new"));
    }
}

/// Returns the lines of `after` at which it differs from `before`, which has as many lines.
fn changed_lines<'t>(before: &str, after: &'t str) -> Vec<&'t str> {
    assert_eq!(before.lines().count(), after.lines().count());
    before.lines().zip(after.lines()).filter(|(old, new)| old != new).map(|(_, new)| new).collect()
}

#[test]
fn new_and_removed_values_leave_the_others_as_they_are() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.read("a.json");
    sandbox.edit_with(
        "sed -i -e '/token/d' -e 's/\"port\"/\"added\": \"canary-new\",\\n\\t&/' \"$1\"",
    );
    sandbox.encfile(["edit", "a.json"]).go().success();
    let after = sandbox.read("a.json");
    for key in ["\"password\"", "\"port\""] {
        let line = |text: &str| text.lines().find(|line| line.contains(key)).map(str::to_owned);
        assert_eq!(line(&before), line(&after), "{key}");
    }
    assert_holds(
        &sandbox,
        "a.json",
        &JSON
            .replace("\t\"token\": \"canary-two\",\n", "")
            .replace("\t\"port\"", "\t\"added\": \"canary-new\",\n\t\"port\""),
    );
}

#[test]
fn a_layout_made_in_the_editor_is_kept() {
    let sandbox = encrypted("a.yaml", YAML);
    let edited = format!("\n{YAML}\n\nmore:   [  canary-new  ]\n");
    let text = sandbox.write("edited", &edited);
    sandbox.edit_with(&format!("cat '{}' > \"$1\"", text.display()));
    sandbox.encfile(["edit", "a.yaml"]).go().success();
    assert_holds(&sandbox, "a.yaml", &edited);
}

#[test]
fn the_editor_sees_the_plain_text_without_metadata() {
    for (name, plain) in
        [("a.json", JSON), ("a.yaml", YAML), ("a.env", DOTENV), ("a.txt", "canary")]
    {
        let sandbox = encrypted(name, plain);
        sandbox.edit_with("exit 0");
        sandbox.encfile(["edit", name]).go().success();
        assert_eq!(sandbox.editor_runs()[0].text, plain);
    }
}

#[test]
fn an_unchanged_edit_exits_0_says_so_and_writes_nothing() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("touch \"$1\"");
    let outcome = sandbox.encfile(["edit", "a.json"]).go().success().no_stdout();
    assert!(!outcome.messages().is_empty());
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn the_private_file_is_readable_for_its_owner_only() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "a.json"]).go().success();
    let run = &sandbox.editor_runs()[0];
    assert_eq!(run.modes, (0o600, 0o700));
    assert_eq!(run.file.file_name().unwrap(), "a.json");
    assert!(!run.file.exists());
    assert!(!run.file.parent().unwrap().exists());
}

#[test]
fn the_private_file_is_in_memory_where_there_is_such_a_place() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "a.json"]).go().success();
    let run = &sandbox.editor_runs()[0];
    if sandbox.runtime().starts_with("/dev/shm") {
        assert!(run.file.starts_with(sandbox.runtime()), "{}", run.file.display());
    }
}

#[test]
fn the_editor_is_not_given_the_identity() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "a.json"]).env("SOPS_AGE_KEY", ALICE.identity()).go().success();
    assert!(!sandbox.editor_runs()[0].environment.contains("AGE-SECRET-KEY"));
}

#[test]
fn the_editor_is_the_first_of_those_that_are_set() {
    let sandbox = encrypted("a.json", JSON);
    let first = sandbox.editor_named("first", "sed -i s/5432/1111/ \"$1\"");
    let second = sandbox.editor_named("second", "sed -i s/5432/2222/ \"$1\"");
    sandbox
        .encfile(["edit", "a.json"])
        .env("SOPS_EDITOR", first)
        .env("EDITOR", second)
        .go()
        .success();
    assert_holds(&sandbox, "a.json", &JSON.replace("5432", "1111"));
}

#[test]
fn an_editor_may_have_arguments() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.encfile(["edit", "a.json"]).env("EDITOR", "sed -i 's/54 *32/6543/'").go().success();
    assert_holds(&sandbox, "a.json", &JSON.replace("5432", "6543"));
}

#[test]
fn vim_comes_before_nano_before_vi() {
    for names in [&["vim", "nano", "vi"][..], &["nano", "vi"], &["vi"]] {
        let sandbox = encrypted("a.json", JSON);
        sandbox.hide_other_programs();
        for name in names {
            sandbox.editor_named(name, &format!("sed -i s/canary-two/canary-{name}/ \"$1\""));
        }
        sandbox.encfile(["edit", "a.json"]).go().success();
        let expected = JSON.replace("canary-two", &format!("canary-{}", names[0]));
        assert_holds(&sandbox, "a.json", &expected);
    }
}

#[test]
fn no_editor_at_all_exits_201() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.hide_other_programs();
    sandbox.encfile(["edit", "a.json"]).go().code(201).says(["EDITOR"]);
    sandbox
        .encfile(["edit", "a.json"])
        .env("EDITOR", "/no/such/editor")
        .go()
        .code(201)
        .says(["/no/such/editor"]);
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn a_failing_editor_exits_201_and_changes_nothing() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("exit 3");
    sandbox.encfile(["edit", "a.json"]).go().code(201);
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn what_was_typed_is_kept_when_the_editor_fails() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("sed -i s/canary-two/canary-new/ \"$1\"; exit 3");
    sandbox.encfile(["edit", "a.json"]).go().code(201);
    let kept = String::from_utf8(recovered(&sandbox)).unwrap();
    assert_eq!(kept, JSON.replace("canary-two", "canary-new"));
}

#[test]
fn a_syntax_error_without_a_terminal_fails_once_and_keeps_the_text() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("printf '{\\n  \"password\": canary-new\\n}' > \"$1\"");
    sandbox.encfile(["edit", "a.json"]).go().failure().says(["2", "unsaved", "encfile decrypt"]);
    assert_eq!(sandbox.editor_runs().len(), 1);
    assert_eq!(sandbox.state_of("a.json"), before);
    assert_eq!(recovered(&sandbox), b"{\n  \"password\": canary-new\n}");
}

#[test]
fn a_syntax_error_on_a_terminal_reopens_the_editor_with_the_text() {
    let sandbox = encrypted("a.json", JSON);
    let log = sandbox.path("../log");
    sandbox.edit_with(&format!(
        "if [ \"$(ls {} | wc -l)\" = 1 ]; then printf '{{\"password\": canary' > \"$1\"; \
         else printf '{{\"password\": \"canary-new\"}}' > \"$1\"; fi",
        log.display()
    ));
    sandbox
        .encfile(["edit", "a.json"])
        .stdin(Stdin::Terminal(b"\n".to_vec()))
        .go()
        .success()
        .says(["1"]);
    let runs = sandbox.editor_runs();
    assert_eq!(runs.len(), 2);
    assert!(
        runs[1].text.contains("{\"password\": canary"),
        "the editor was not opened with the text that was typed"
    );
    assert_holds(&sandbox, "a.json", "{\"password\": \"canary-new\"}");
    assert!(unsaved(&sandbox).is_empty());
}

#[test]
fn an_empty_result_is_refused() {
    for (name, plain) in
        [("a.json", JSON), ("a.yaml", YAML), ("a.env", DOTENV), ("a.txt", "canary")]
    {
        let sandbox = encrypted(name, plain);
        let before = sandbox.state_of(name);
        sandbox.edit_with(": > \"$1\"");
        sandbox.encfile(["edit", name]).go().failure();
        assert_eq!(sandbox.state_of(name), before, "{name}");
    }
}

#[test]
fn a_result_without_any_value_is_refused() {
    for (name, plain, result) in [
        ("a.json", JSON, "{}"),
        ("a.yaml", YAML, "# only a comment\\n"),
        ("a.yaml", YAML, "---\\n"),
        ("a.env", DOTENV, "# only a comment\\n"),
    ] {
        let sandbox = encrypted(name, plain);
        let before = sandbox.state_of(name);
        sandbox.edit_with(&format!("printf '{result}' > \"$1\""));
        sandbox.encfile(["edit", name]).go().failure();
        assert_eq!(sandbox.state_of(name), before, "{name}: {result}");
    }
}

#[test]
fn a_deleted_private_file_is_an_error() {
    let sandbox = encrypted("a.json", JSON);
    let before = sandbox.state_of("a.json");
    sandbox.edit_with("rm \"$1\"");
    sandbox.encfile(["edit", "a.json"]).go().failure();
    assert_eq!(sandbox.state_of("a.json"), before);
}

#[test]
fn an_editor_that_replaces_the_file_is_understood() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("sed s/5432/6543/ \"$1\" > \"$1.new\"; mv \"$1.new\" \"$1\"");
    sandbox.encfile(["edit", "a.json"]).go().success();
    assert_holds(&sandbox, "a.json", &JSON.replace("5432", "6543"));
}

#[test]
fn other_files_that_the_editor_leaves_are_removed() {
    let sandbox = encrypted("a.json", JSON);
    sandbox.edit_with("cp \"$1\" \"$1~\"; cp \"$1\" \"$(dirname \"$1\")/.a.json.swp\"; sed -i s/5432/6543/ \"$1\"");
    // The sandbox checks that nothing is left.
    sandbox.encfile(["edit", "a.json"]).go().success();
}

#[test]
fn a_change_by_somebody_else_meanwhile_is_not_overwritten() {
    let sandbox = encrypted("a.json", JSON);
    let other = sandbox.read("a.json").replace("lastmodified", "lastmodified ");
    let target = sandbox.path("a.json");
    let text = sandbox.write("other", &other);
    sandbox.edit_with(&format!(
        "sed -i s/canary-two/canary-new/ \"$1\"; cp '{}' '{}'",
        text.display(),
        target.display()
    ));
    sandbox.encfile(["edit", "a.json"]).go().failure().says(["a.json", "unsaved"]);
    assert_eq!(sandbox.read("a.json"), other);
    let kept = String::from_utf8(recovered(&sandbox)).unwrap();
    assert_eq!(kept, JSON.replace("canary-two", "canary-new"));
}

#[test]
fn an_edit_keeps_what_the_metadata_has_besides() {
    let sandbox = encrypted("a.json", JSON);
    let text = sandbox.read("a.json");
    let changed =
        text.replacen("\"version\"", "\"future_field\": {\"kept\": [1, 2]},\n\t\t\"version\"", 1);
    assert_ne!(text, changed);
    sandbox.write("a.json", changed);
    sandbox.edit_with("sed -i s/canary-two/canary-new/ \"$1\"");
    sandbox.encfile(["edit", "a.json"]).go().success();
    assert!(sandbox.read("a.json").contains("\"future_field\": {\"kept\": [1, 2]}"));
    sandbox.real_sops(["decrypt", "a.json"]).go().success();
}

#[test]
fn a_file_of_sops_is_edited_in_its_layout() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("a.yaml", "a: canary-one\nb:\n    c: canary-two\n", &[ALICE]);
    let before = sandbox.read("a.yaml");
    sandbox.edit_with("sed -i s/canary-two/canary-new/ \"$1\"");
    sandbox.encfile(["edit", "a.yaml"]).go().success();
    let after = sandbox.read("a.yaml");
    let line = |text: &str, start: &str| {
        text.lines().find(|line| line.starts_with(start)).map(str::to_owned)
    };
    assert_eq!(line(&before, "a: "), line(&after, "a: "));
    sandbox
        .real_sops(["decrypt", "a.yaml"])
        .go()
        .success()
        .stdout("a: canary-one\nb:\n    c: canary-new\n");
}

#[test]
fn a_wrong_mac_is_refused_before_the_editor_starts() {
    let sandbox = encrypted("a.json", JSON);
    let text = sandbox.read("a.json");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"token\"")).collect();
    sandbox.write("a.json", lines.join("\n"));
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "a.json"]).go().code(51);
    assert!(sandbox.editor_runs().is_empty());
}

#[test]
fn a_plain_file_is_not_edited() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    sandbox.write("a.json", JSON);
    sandbox.edit_with("exit 0");
    sandbox.encfile(["edit", "a.json"]).go().code(1);
    assert!(sandbox.editor_runs().is_empty());
    assert_eq!(sandbox.read("a.json"), JSON);
}

#[test]
fn a_file_must_be_named() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encfile(["edit"]).go().failure();
}
