//! `encfile updatekeys`.

use super::{
    TEXTS, assert_holds, can_decrypt, ciphertexts, config_of_groups, encrypt, recipients, sandbox,
};
use crate::files::{ALICE, BOB, CAROL, TestKey};
use crate::sandbox::{Sandbox, Stdin};

/// A sandbox with a file that was encrypted for Alice, and a rule for Bob and Alice.
fn outdated() -> Sandbox {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.yaml", TEXTS[0].1, &[ALICE]);
    let (alice, bob) = (ALICE.recipient(), BOB.recipient());
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age:\n      - {bob} # bob\n      - {alice} # alice\n"),
    );
    sandbox
}

fn diff() -> String {
    format!(
        "The following changes will be made to the file's groups:\nGroup 1\n    {}\n+++ {}\n",
        ALICE.recipient(),
        BOB.recipient()
    )
}

#[test]
fn the_changes_are_shown_with_names_and_made() {
    let sandbox = outdated();
    let shown = diff().replace(&ALICE.recipient(), &format!("{} (alice)", ALICE.recipient()));
    let shown = shown.replace(&BOB.recipient(), &format!("{} (bob)", BOB.recipient()));
    sandbox
        .encfile(["updatekeys", "--yes", "a.yaml"])
        .go()
        .success()
        .stdout(shown)
        .stderr("File <sandbox>/work/a.yaml synced with new keys\n");
    assert_eq!(recipients(&sandbox.read("a.yaml")), [BOB.recipient(), ALICE.recipient()]);
    assert!(can_decrypt(&sandbox, BOB, "a.yaml"));
    assert_holds(&sandbox, "a.yaml", TEXTS[0].1);
}

#[test]
fn as_sops_the_changes_are_shown_as_sops_does() {
    for run in [Sandbox::as_sops::<&str>, Sandbox::real_sops::<&str>] {
        let sandbox = outdated();
        run(&sandbox, vec!["updatekeys", "-y", "a.yaml"]).go().success().stdout(diff());
    }
}

#[test]
fn a_further_recipient_changes_nothing_else() {
    for (name, plain) in TEXTS {
        let sandbox = sandbox();
        encrypt(&sandbox, name, plain, &[ALICE]);
        let before = sandbox.read(name);
        sandbox.config_for(&[ALICE, BOB]);
        sandbox.encfile(["updatekeys", "-y", name]).go().success();
        let after = sandbox.read(name);
        for line in before.lines() {
            // In JSON a comma follows the entry that was the last one.
            let line = line.trim_end_matches('}').trim_end();
            assert!(after.contains(line), "{name}: {line:?} is not in\n{after}");
        }
        assert_holds(&sandbox, name, plain);
    }
}

#[test]
fn sops_comes_to_the_same_recipients() {
    let rules: [&[&[TestKey]]; 5] = [
        &[&[BOB, ALICE]],
        &[&[ALICE], &[BOB]],
        &[&[ALICE, CAROL], &[BOB], &[CAROL]],
        &[&[CAROL]],
        &[&[ALICE, BOB, CAROL]],
    ];
    for before in rules {
        for after in rules {
            let sandbox = sandbox();
            config_of_groups(&sandbox, before, "");
            sandbox.write("ours.json", TEXTS[1].1);
            sandbox.real_sops(["encrypt", "-i", "ours.json"]).go().success();
            sandbox.write("theirs.json", sandbox.read("ours.json"));
            config_of_groups(&sandbox, after, "");
            sandbox.as_sops(["updatekeys", "-y", "ours.json"]).go().success();
            sandbox.real_sops(["updatekeys", "-y", "theirs.json"]).go().success();
            let lines = |name: &str| -> Vec<String> {
                let text = sandbox.read(name);
                let kept = |line: &&str| line.contains("recipient\"") || line.contains("shamir");
                text.lines()
                    .filter(kept)
                    .map(|line| line.trim().trim_end_matches(',').to_owned())
                    .collect()
            };
            let mut theirs = lines("theirs.json");
            // SOPS 3.13, and encfile, sort the fields; the peer is older.
            theirs.sort_by_key(|line| line.contains("shamir"));
            let mut ours = lines("ours.json");
            ours.sort_by_key(|line| line.contains("shamir"));
            assert_eq!(ours, theirs);
            sandbox.real_sops(["decrypt", "ours.json"]).go().success();
        }
    }
}

#[test]
fn a_file_that_is_up_to_date_is_left_alone() {
    let sandbox = outdated();
    sandbox.config_for(&[ALICE]);
    let before = sandbox.state_of("a.yaml");
    let said = "File <sandbox>/work/a.yaml already up to date\n";
    sandbox.encfile(["updatekeys", "a.yaml"]).go().success().no_stdout().stderr(said);
    assert_eq!(sandbox.state_of("a.yaml"), before);
    // It takes no identity to know that.
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.encfile(["updatekeys", "a.yaml"]).go().success();
    // The order of the recipients is no change.
    sandbox.config_for(&[BOB, ALICE]);
    encrypt(&sandbox, "b.yaml", "a: canary\n", &[ALICE, BOB]);
    sandbox.encfile(["updatekeys", "b.yaml"]).go().success().no_stdout();
}

#[test]
fn the_answer_decides() {
    let question = "Is this okay? (y/n):";
    let sandbox = outdated();
    let before = sandbox.state_of("a.yaml");
    for run in [Sandbox::as_sops::<&str>, Sandbox::real_sops::<&str>] {
        let asked = run(&sandbox, vec!["updatekeys", "a.yaml"]).input("n\n").go();
        asked.success().stdout(format!("{}{question}", diff())).says(["left unchanged"]);
        let asked = run(&sandbox, vec!["updatekeys", "a.yaml"]).input("maybe\n").go();
        asked.code(1).stdout(format!("{}{question}{question}", diff())).says(["EOF"]);
        run(&sandbox, vec!["updatekeys", "a.yaml"]).stdin(Stdin::Null).go().code(1).says(["EOF"]);
        assert_eq!(sandbox.state_of("a.yaml"), before);
    }
    sandbox.encfile(["updatekeys", "a.yaml"]).go().code(1).says(["--yes"]);
    sandbox.encfile(["updatekeys", "a.yaml"]).input("\ny\n").go().success();
    assert_eq!(recipients(&sandbox.read("a.yaml")).len(), 2);
}

#[test]
fn the_answer_may_be_typed() {
    let sandbox = outdated();
    let typed = Stdin::Terminal(b"y\n".to_vec());
    sandbox.encfile(["updatekeys", "a.yaml"]).stdin(typed).go().success();
    assert_eq!(recipients(&sandbox.read("a.yaml")).len(), 2);
}

#[test]
fn removing_a_recipient_makes_a_new_data_key() {
    let (name, plain) = TEXTS[0];
    let sandbox = sandbox();
    let rekey = |flags: &[&str], as_sops: bool| {
        encrypt(&sandbox, name, plain, &[ALICE, BOB]);
        sandbox.config_for(&[ALICE]);
        let before = ciphertexts(&sandbox.read(name));
        let command = [&["updatekeys", "-y", name], flags].concat();
        let run = if as_sops { sandbox.as_sops(&command) } else { sandbox.encfile(&command) };
        let outcome = run.go().success();
        assert_holds(&sandbox, name, plain);
        assert!(!can_decrypt(&sandbox, BOB, name));
        (before == ciphertexts(&sandbox.read(name)), outcome)
    };
    let (kept, outcome) = rekey(&[], false);
    assert!(!kept);
    outcome.says(["its data key is new, because who could decrypt the file may know the old one"]);
    let (kept, outcome) = rekey(&["--no-rotate"], false);
    assert!(kept);
    outcome.says(["its data key is still the one that who was removed may know"]);
    assert!(rekey(&[], true).0);
    assert!(!rekey(&["--rotate"], true).0);
}

#[test]
fn a_higher_threshold_makes_a_new_data_key() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    let before = ciphertexts(&sandbox.read("a.json"));
    config_of_groups(&sandbox, &[&[ALICE], &[BOB]], "");
    sandbox.encfile(["updatekeys", "-y", "a.json"]).go().success();
    assert!(before.is_disjoint(&ciphertexts(&sandbox.read("a.json"))));
    assert!(!can_decrypt(&sandbox, ALICE, "a.json"));
    assert_holds(&sandbox, "a.json", TEXTS[1].1);
}

#[test]
fn a_data_key_is_made_anew_on_request() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.json", TEXTS[1].1, &[ALICE]);
    sandbox.config_for(&[ALICE]);
    let before = ciphertexts(&sandbox.read("a.json"));
    sandbox.encfile(["updatekeys", "--rotate", "a.json"]).go().success().no_stdout();
    assert!(before.is_disjoint(&ciphertexts(&sandbox.read("a.json"))));
    sandbox.encfile(["updatekeys", "--rotate", "--no-rotate", "a.json"]).go().code(1);
}

#[test]
fn the_threshold_is_that_of_the_rule() {
    let groups: &[&[TestKey]] = &[&[ALICE], &[BOB], &[CAROL]];
    let sandbox = sandbox();
    config_of_groups(&sandbox, groups, "");
    sandbox.write("a.json", TEXTS[1].1);
    sandbox.encfile(["encrypt", "-i", "a.json"]).go().success();
    config_of_groups(&sandbox, groups, "    shamir_threshold: 2\n");
    sandbox.as_sops(["updatekeys", "a.json"]).go().success().says(["already up to date"]);
    let shown = format!(
        "The following changes will be made to the file's groups:\n\
         +++ shamir_threshold: 2\n--- shamir_threshold: 3\n\
         Group 1\n    {}\nGroup 2\n    {}\nGroup 3\n    {}\n",
        ALICE.recipient(),
        BOB.recipient(),
        CAROL.recipient()
    );
    sandbox.encfile(["updatekeys", "-y", "a.json"]).go().success().stdout(shown);
    assert!(sandbox.read("a.json").contains("\"shamir_threshold\": 2"));
    assert_holds(&sandbox, "a.json", TEXTS[1].1);
    for (flag, said) in [("1", "threshold must be at least 2"), ("4", "cannot be less than")] {
        let before = sandbox.state_of("a.json");
        sandbox
            .encfile(["updatekeys", "-y", "--shamir-secret-sharing-threshold", flag, "a.json"])
            .go()
            .code(1)
            .says([said]);
        assert_eq!(sandbox.state_of("a.json"), before);
    }
}

#[test]
fn several_files_are_updated_whatever_becomes_of_one() {
    let sandbox = outdated();
    encrypt(&sandbox, "b.yaml", "a: canary\n", &[ALICE]);
    sandbox.write("plain.yaml", "a: 1\n");
    sandbox
        .as_sops(["updatekeys", "-y", "missing.yaml", "a.yaml", "plain.yaml", ".", "b.yaml"])
        .go()
        .code(1)
        .says([
            "stat <sandbox>/work/missing.yaml: no such file or directory",
            "sops metadata not found",
            "can't operate on a directory",
            "failed updating 3 key(s)",
        ]);
    for name in ["a.yaml", "b.yaml"] {
        assert_eq!(recipients(&sandbox.read(name)).len(), 2, "{name}");
    }
}

#[test]
fn bad_files_and_configs_have_sops_exit_codes() {
    let sandbox = outdated();
    sandbox.write("plain.yaml", "a: 1\n");
    let check = |command: &[&str], code: i32, said: &str| {
        let before = sandbox.state_of("a.yaml");
        for run in [sandbox.as_sops(command), sandbox.real_sops(command)] {
            run.go().code(code).says([said]);
        }
        assert_eq!(sandbox.state_of("a.yaml"), before);
    };
    check(&["updatekeys"], 100, "no file specified");
    check(&["updatekeys", "-y", "missing.yaml"], 1, "missing.yaml: no such file or directory");
    check(&["updatekeys", "-y", "plain.yaml"], 1, "sops metadata not found");
    check(&["updatekeys", "-y", "."], 1, "can't operate on a directory");
    sandbox.write(".sops.yaml", "creation_rules:\n  - path_regex: x\n    age: age1x\n");
    check(&["updatekeys", "-y", "a.yaml"], 1, "no matching creation rules found");
    sandbox.write(".sops.yaml", "creation_rules:\n");
    check(&["updatekeys", "-y", "a.yaml"], 1, "does not contain any creation rule");
    sandbox.write(".sops.yaml", "creation_rules:\n  - age: ''\n");
    check(&["updatekeys", "-y", "a.yaml"], 1, "[empty key group provided]");
    sandbox.config_for(&[BOB]);
    sandbox.env("SOPS_AGE_KEY_FILE", CAROL.path());
    check(&["updatekeys", "-y", "a.yaml"], 128, "Failed to get the data key");
}

#[test]
fn without_a_config_nothing_is_updated() {
    let sandbox = sandbox();
    encrypt(&sandbox, "a.yaml", "a: canary\n", &[ALICE]);
    for run in [Sandbox::as_sops::<&str>, Sandbox::real_sops::<&str>] {
        run(&sandbox, vec!["updatekeys", "-y", "a.yaml"])
            .go()
            .code(1)
            .says(["config file not found"]);
    }
}
