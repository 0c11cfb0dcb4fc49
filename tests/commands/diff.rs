//! `encfile diff`.

use crate::files::{ALICE, BOB, CAROL};
use crate::repository::Repository;
use crate::sandbox::Sandbox;

const PLAIN: &str = "# canary-note\nhost: canary-one\nport: 5432\nlist:\n- canary-a\n- canary-b\n";

fn repository() -> Repository {
    Repository::with(&[("app.yaml", PLAIN)])
}

#[test]
fn without_arguments_the_changed_encrypted_files_of_the_work_tree_are_shown() {
    let repository = repository();
    let sandbox = &repository.sandbox;
    sandbox.encfile(["diff"]).go().success().no_stdout().no_stderr();
    repository.edit(
        "app.yaml",
        "s/5432/6543/;s/canary-note/canary-other/;s/- canary-a/- canary-new\\n- canary-a/",
    );
    // What is not encrypted is for git.
    sandbox.write(".gitattributes", sandbox.read(".gitattributes") + "x text\n");
    let expected = "app.yaml\n  ~ comment: # canary-note -> # canary-other\n  ~ [\"port\"]: 5432 -> \
                    6543\n  + [\"list\"][0]: \"canary-new\"\n";
    sandbox.encfile(["diff"]).go().code(1).stdout(expected).no_stderr();
    sandbox.encfile(["diff", "app.yaml"]).go().code(1).stdout(expected).no_stderr();
    sandbox.encfile(["diff", "HEAD", "--", "app.yaml"]).go().code(1).stdout(expected);
    sandbox.encfile(["diff", "--staged"]).go().success().no_stdout();
    repository.git(&["add", "."]);
    sandbox.encfile(["diff"]).go().success().no_stdout();
    sandbox.encfile(["diff", "--staged"]).go().code(1).stdout(expected);
    repository.commit("two");
    sandbox.encfile(["diff", "HEAD~1", "HEAD"]).go().code(1).stdout(expected);
    sandbox.encfile(["diff", "HEAD~1..HEAD"]).go().code(1).stdout(expected);
    let named = expected.replacen("app.yaml", "HEAD~1:app.yaml -> HEAD:app.yaml", 1);
    sandbox.encfile(["diff", "HEAD~1:app.yaml", "HEAD:app.yaml"]).go().code(1).stdout(named);
    let named = expected.replacen("app.yaml", "HEAD~1:app.yaml -> app.yaml", 1);
    sandbox.encfile(["diff", "HEAD~1:app.yaml"]).go().code(1).stdout(named);
}

#[test]
fn redacted_differences_have_no_value() {
    let repository = repository();
    repository.edit("app.yaml", "s/5432/6543/;s/^host/name/");
    let expected = "app.yaml\n  - [\"host\"]\n  ~ [\"port\"]\n  + [\"name\"]\n";
    repository.sandbox.encfile(["diff", "--redact"]).go().code(1).stdout(expected);
}

#[test]
fn json_has_paths_and_values() {
    let repository = repository();
    repository
        .sandbox
        .encfile(["diff", "--json"])
        .go()
        .success()
        .stdout("{\"version\":1,\"files\":[]}\n");
    repository.edit("app.yaml", "s/5432/6543/;s/canary-b/\"canary-\\\\u001bb\"/");
    let expected = "{\"version\":1,\"files\":[\n{\"change\":\"changed\",\"compared\":\"values\",\"metadata\":[],\"new\":\"app.yaml\",\"old\":\"app.yaml\",\"values\":[\n {\"change\":\"changed\",\"path\":[\"port\"],\"old\":5432,\"new\":6543},\n {\"change\":\"changed\",\"path\":[\"list\",1],\"old\":\"canary-b\",\"new\":\"canary-\\u001bb\"}]}\n]}\n";
    repository.sandbox.encfile(["diff", "--json"]).go().code(1).stdout(expected);
}

#[test]
fn without_a_key_ciphertexts_are_compared() {
    let repository = repository();
    repository.edit("app.yaml", "s/5432/6543/");
    let sandbox = &repository.sandbox;
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox
        .encfile(["diff"])
        .go()
        .code(1)
        .stdout("app.yaml\n  ~ [\"port\"]: (encrypted) -> (encrypted)\n")
        .says(["app.yaml: compared by ciphertexts, since its values cannot be decrypted: "]);
    sandbox.encfile(["diff", "HEAD", "HEAD"]).go().success().no_stdout().no_stderr();
}

#[test]
fn recipients_and_the_rule_are_compared() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    sandbox.write("a.yaml", "a: canary\nb: clear\n");
    sandbox.write("b.yaml", "a: canary\nb: clear\n");
    sandbox.encfile(["encrypt", "-i", "a.yaml"]).go().success();
    sandbox.config_with(&[ALICE, CAROL], "    encrypted_regex: ^a$\n");
    sandbox.encfile(["encrypt", "-i", "b.yaml"]).go().success();
    let expected = format!(
        "a.yaml -> b.yaml\n  - recipient age: {}\n  + recipient age: {}\n  ~ rule: \
         unencrypted_suffix: _unencrypted -> encrypted_regex: ^a$\n",
        BOB.recipient(),
        CAROL.recipient()
    );
    sandbox.encfile(["diff", "a.yaml", "b.yaml"]).go().code(1).stdout(expected).no_stderr();
}

#[test]
fn a_file_that_was_decrypted_by_accident_differs_by_that_alone() {
    let repository = repository();
    repository.sandbox.encfile(["decrypt", "-i", "app.yaml"]).go().success();
    let expected = "app.yaml\n  ~ the file is not encrypted any more\n";
    repository.sandbox.encfile(["diff"]).go().code(1).stdout(expected);
}

#[test]
fn new_and_removed_files_are_shown_value_by_value() {
    let repository = Repository::with(&[("a.env", "A=canary\n"), ("b.json", "{\"b\": 1}\n")]);
    let sandbox = &repository.sandbox;
    repository.git(&["rm", "-q", "b.json"]);
    sandbox.write("c.json", "{\"c\": {\"d\": [true, 1.5]}}\n");
    sandbox.encfile(["encrypt", "-i", "c.json"]).go().success();
    repository.git(&["add", "."]);
    let expected = "b.json (removed)\n  - [\"b\"]: 1\nc.json (new file)\n  + [\"c\"][\"d\"][0]: \
                    true\n  + [\"c\"][\"d\"][1]: 1.5\n";
    sandbox.encfile(["diff", "--staged"]).go().code(1).stdout(expected).no_stderr();
}

#[test]
fn trouble_is_2() {
    let repository = repository();
    let sandbox = &repository.sandbox;
    sandbox
        .encfile(["diff", "nothing"])
        .go()
        .code(2)
        .no_stdout()
        .says(["neither a file nor a revision"]);
    sandbox.encfile(["diff", "HEAD:nothing", "app.yaml"]).go().code(2).no_stdout();
    let text = sandbox.read("app.yaml");
    sandbox.write("app.yaml", format!("<<<<<<< a\n{text}=======\n{text}>>>>>>> b\n"));
    sandbox.encfile(["diff"]).go().code(2).no_stdout().says(["encfile mergetool app.yaml"]);
    let outside = Sandbox::new();
    outside.encfile(["diff"]).go().code(2).no_stdout().says(["this is no git repository"]);
}

#[test]
fn a_wrong_mac_is_said_and_compared_all_the_same() {
    let repository = repository();
    let sandbox = &repository.sandbox;
    let text: String = sandbox
        .read("app.yaml")
        .lines()
        .filter(|line| !line.starts_with("port"))
        .fold(String::new(), |text, line| text + line + "\n");
    sandbox.write("app.yaml", text);
    let expected = "app.yaml\n  - [\"port\"]: 5432\n";
    sandbox
        .encfile(["diff"])
        .go()
        .code(1)
        .stdout(expected)
        .says(["warning: app.yaml: MAC mismatch"]);
}
