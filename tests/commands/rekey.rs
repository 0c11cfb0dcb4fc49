//! Other keys for a file: what `rotate`, `updatekeys` and `groups` have in common.

mod groups;
mod rotate;
mod updatekeys;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

use crate::files::{ALICE, BOB, CAROL, TestKey, below, repository};
use crate::peers;
use crate::sandbox::{Sandbox, mask};

/// A text of each format, and its name.
const TEXTS: [(&str, &str); 5] = [
    (
        "a.yaml",
        "# canary-note\npassword:   canary-one   # canary-two\n\nnested: {port: 0x10, \"x\": 'canary-three'}\nlist:\n- canary-four\n- canary-four\n",
    ),
    ("a.json", "{\n  \"password\": \"canary-one\",\n  \"list\": [1, 2.50, \"canary-two\"]\n}"),
    ("a.env", "# canary-note\nPASSWORD=canary-one\n\nTOKEN = canary two\n"),
    ("a.ini", "; canary-note\nkey = canary-one\n\n[part]\nother=canary-two\n"),
    ("a.bin", "canary \u{1}\nbytes\n"),
];

/// A sandbox with the identities of Alice, Bob and Carol.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let all = [ALICE, BOB, CAROL].map(TestKey::identity).join("\n");
    sandbox.env("SOPS_AGE_KEY_FILE", sandbox.write("keys.txt", all));
    sandbox
}

/// Writes a config whose only rule has a key group for each of `groups`.
fn config_of_groups(sandbox: &Sandbox, groups: &[&[TestKey]], fields: &str) {
    let group = |keys: &&[TestKey]| {
        let keys: Vec<String> = keys.iter().map(|key| key.recipient()).collect();
        format!("    - age: [{}]\n", keys.join(", "))
    };
    let groups: Vec<String> = groups.iter().map(group).collect();
    let rule = format!("creation_rules:\n  - key_groups:\n{}{fields}", groups.concat());
    sandbox.write(".sops.yaml", rule);
}

/// Encrypts `plain` for `keys` under the name `name`.
fn encrypt(sandbox: &Sandbox, name: &str, plain: &str, keys: &[TestKey]) {
    sandbox.write(name, plain);
    let keys: Vec<String> = keys.iter().map(|key| key.recipient()).collect();
    sandbox.encfile(["encrypt", "-i", "--age", &keys.join(","), name]).go().success();
}

/// Checks that `name` holds `plain` to the byte, and that the real SOPS reads the same data.
#[track_caller]
fn assert_holds(sandbox: &Sandbox, name: &str, plain: &str) {
    sandbox.encfile(["decrypt", name]).go().success().stdout(plain);
    sandbox.real_sops(["decrypt", name]).go().success();
    peers::assert_valid_with(&sandbox.path("keys.txt"), &[sandbox.path(name)]);
}

/// Returns whether `key` alone can decrypt `name`.
fn can_decrypt(sandbox: &Sandbox, key: TestKey, name: &str) -> bool {
    sandbox.encfile(["decrypt", name]).env("SOPS_AGE_KEY_FILE", key.path()).go().has_succeeded()
}

/// Returns all age recipients in a text, in its order.
fn recipients(text: &str) -> Vec<String> {
    let recipient = Regex::new("age1[a-z0-9]{58}").unwrap();
    recipient.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// Returns the ciphertexts of values and comments, which stand in front of the MAC or, in INI and
/// dotenv, are not in the metadata.
fn ciphertexts(text: &str) -> BTreeSet<String> {
    let sealed = Regex::new(r"ENC\[[^\]]*\]").unwrap();
    let lines = text.lines().filter(|line| !line.contains("mac") && !line.contains("encfile"));
    lines.flat_map(|line| sealed.find_iter(line)).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn files_become_what_sops_makes_of_them() {
    let wrapped = Regex::new("YWdl[A-Za-z0-9+/=]{40,}").unwrap();
    let mut count = 0;
    for before in below("testdata/rekey") {
        if before.file_stem().is_none_or(|name| name != "before") {
            continue;
        }
        count += 1;
        let folder = before.parent().unwrap();
        let case = folder.file_name().unwrap().to_str().unwrap();
        let (command, _) = case.split_once('-').unwrap();
        let ending = before.extension().unwrap().to_str().unwrap();
        let theirs = fs::read_to_string(folder.join(format!("after.{ending}"))).unwrap();

        let sandbox = Sandbox::new();
        sandbox.env("SOPS_AGE_KEY_FILE", repository().join("testdata/vectors/keys.txt"));
        let name = format!("a.{ending}");
        sandbox.write(&name, fs::read(&before).unwrap());
        let rule = format!("creation_rules:\n  - age: {}\n", recipients(&theirs).join(","));
        sandbox.write(".sops.yaml", rule);
        let flag = if command == "rotate" { "-i" } else { "-y" };
        sandbox.encfile([command, flag, &name]).go().success();

        let ours = sandbox.read(&name);
        assert_eq!(recipients(&ours), recipients(&theirs), "{case}");
        // SOPS adds a rule to the metadata of binary files when it writes them again.
        let masked = |text: &str| -> Vec<String> {
            let lines = mask(text, Path::new("/nowhere"));
            let lines = lines.lines().filter(|line| !line.contains("\"unencrypted_suffix\""));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(masked(&ours), masked(&theirs), "{case}");
        let original = fs::read_to_string(&before).unwrap();
        let kept = ciphertexts(&original).intersection(&ciphertexts(&ours)).count();
        let expected = if command == "rotate" { 0 } else { ciphertexts(&original).len() };
        assert_eq!(kept, expected, "{case}");
        let first = |text: &str| wrapped.find(text).unwrap().as_str().to_owned();
        // SOPS wraps the data key anew for everybody.
        assert_eq!(first(&ours) == first(&original), command == "updatekeys", "{case}");
        let decrypted = sandbox.encfile(["decrypt", &name]).go().success().into_stdout();
        let path = sandbox.write(format!("theirs.{ending}"), &theirs);
        let sops = sandbox.real_sops(["decrypt".as_ref(), path.as_os_str()]);
        sops.go().success().stdout(decrypted);
    }
    assert_eq!(count, 3);
}
