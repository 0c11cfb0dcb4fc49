//! `encfile decrypt FILE`. Without a file: see `default_file`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::files::{ALICE, BOB, CAROL};
use crate::sandbox::Sandbox;

const PLAIN: &str = "{\n\t\"password\": \"canary-one\",\n\t\"list\": [\n\t\t\"canary-two\",\n\t\t7\n\t],\n\t\"port\": 5432\n}\n";

/// A sandbox with Alice's identity and `app.json`, encrypted by SOPS for Alice and Bob.
fn encrypted() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.json", PLAIN, &[ALICE, BOB]);
    sandbox
}

#[test]
fn the_exact_bytes_are_printed_and_nothing_else() {
    encrypted().encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN).no_stderr();
}

#[test]
fn the_content_decides_not_the_name() {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    for name in ["app.txt", "app.yaml.bak", ".env.secret", "noname"] {
        sandbox.write(name, &text);
        sandbox.encfile(["decrypt", name]).go().success().stdout(PLAIN);
    }
}

#[test]
fn binary_files_come_out_as_they_were() {
    let sandbox = Sandbox::with_identity(ALICE);
    let bytes: Vec<u8> = (0..=255).collect();
    sandbox.encrypted_by_sops("key.bin", &bytes, &[ALICE]);
    sandbox.encfile(["decrypt", "key.bin"]).go().success().stdout(bytes);
}

#[test]
fn identities_come_from_every_source() {
    let sandbox = encrypted();
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    let key_file = ALICE.path();
    let command = format!("cat '{}'", key_file.display());
    sandbox.encfile(["decrypt", "app.json"]).env("SOPS_AGE_KEY", ALICE.identity()).go().success();
    sandbox.encfile(["decrypt", "app.json"]).env("SOPS_AGE_KEY_CMD", command).go().success();
    let home = sandbox.home();
    for folder in [home.join(".config"), home.join("xdg")] {
        let keys = folder.join("sops/age/keys.txt");
        std::fs::create_dir_all(keys.parent().unwrap()).unwrap();
        std::fs::copy(&key_file, &keys).unwrap();
        let run = sandbox.encfile(["decrypt", "app.json"]);
        let run = if folder.ends_with("xdg") { run.env("XDG_CONFIG_HOME", &folder) } else { run };
        run.go().success();
        std::fs::remove_file(keys).unwrap();
    }
    sandbox.encfile(["decrypt", "app.json"]).go().code(128);
}

#[test]
fn one_bad_source_of_identities_does_not_hide_a_good_one() {
    encrypted()
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_KEY", "this is no identity")
        .go()
        .success()
        .stdout(PLAIN);
}

#[test]
fn without_the_identity_the_recipients_and_what_was_tried_are_listed() {
    let sandbox = encrypted();
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_KEY_FILE", CAROL.path())
        .go()
        .code(128)
        .no_stdout()
        .says([&ALICE.recipient(), &BOB.recipient(), "SOPS_AGE_KEY_FILE"]);
}

#[test]
fn no_message_shows_an_identity() {
    let sandbox = encrypted();
    let identity = CAROL.identity();
    let broken = format!("{identity}X");
    for key in [&identity, &broken] {
        sandbox
            .encfile(["decrypt", "app.json"])
            .env("SOPS_AGE_KEY_FILE", "/nowhere")
            .env("SOPS_AGE_KEY", key)
            .go()
            .code(128)
            .does_not_say([&identity[20..50]]);
    }
}

#[test]
fn a_missing_file_exits_100() {
    encrypted().encfile(["decrypt", "none.json"]).go().code(100).no_stdout().says(["none.json"]);
}

#[test]
fn a_directory_is_no_file() {
    let sandbox = encrypted();
    sandbox.write("folder/x", "");
    sandbox.encfile(["decrypt", "folder"]).go().code(2).no_stdout();
}

#[test]
fn a_plain_file_is_refused() {
    let sandbox = encrypted();
    sandbox.write("plain.json", PLAIN);
    sandbox.encfile(["decrypt", "plain.json"]).go().code(1).no_stdout().says(["plain.json"]);
}

#[test]
fn a_changed_ciphertext_is_named_by_its_path() {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    let at = text.find("data:").unwrap() + "data:".len();
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    sandbox.write("app.json", format!("{}{other}{}", &text[..at], &text[at + 1..]));
    sandbox
        .encfile(["decrypt", "app.json"])
        .go()
        .code(25)
        .no_stdout()
        .says(["app.json", "password"]);
}

/// Removes the port from `app.json`, so that the MAC is wrong.
fn with_wrong_mac() -> Sandbox {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"port\"")).collect();
    sandbox.write("app.json", format!("{}\n", lines.join("\n")));
    sandbox
}

#[test]
fn a_wrong_mac_is_refused_and_no_computed_mac_is_shown() {
    let sandbox = with_wrong_mac();
    let hex = regex::Regex::new("[0-9A-F]{32}").unwrap();
    for run in [sandbox.encfile(["decrypt", "app.json"]), sandbox.as_sops(["decrypt", "app.json"])]
    {
        let outcome = run.go().code(51).no_stdout();
        // An unkeyed hash of the plaintext helps who guesses the plaintext.
        assert!(!hex.is_match(outcome.messages()), "{outcome}");
    }
}

#[test]
fn ignoring_the_mac_is_possible() {
    with_wrong_mac()
        .encfile(["decrypt", "--ignore-mac", "app.json"])
        .go()
        .success()
        .stdout(PLAIN.replace("],\n\t\"port\": 5432", "]"));
}

#[test]
fn extract_prints_one_value() {
    let sandbox = encrypted();
    for (path, value) in
        [("[\"password\"]", "canary-one"), ("[\"list\"][0]", "canary-two"), ("[\"port\"]", "5432")]
    {
        sandbox.encfile(["decrypt", "--extract", path, "app.json"]).go().success().stdout(value);
        sandbox.encfile(["decrypt", "app.json", "--extract", path]).go().success().stdout(value);
    }
    sandbox
        .encfile(["decrypt", "--extract", "[\"none\"]", "app.json"])
        .go()
        .code(1)
        .no_stdout()
        .says(["none"]);
}

#[test]
fn extract_prints_values_of_yaml_as_sops_does() {
    let sandbox = Sandbox::with_identity(ALICE);
    let text = "a: canary\nn: 5432\nb: true\nf: 1.5\nl:\n    - 1\n    - m:\n        k: canary\nm:\n    k: 2\n";
    sandbox.encrypted_by_sops("a.yaml", text, &[ALICE]);
    for path in ["[\"a\"]", "[\"n\"]", "[\"b\"]", "[\"f\"]", "[\"l\"]", "[\"l\"][1]", "[\"m\"]"] {
        let arguments = ["decrypt", "--extract", path, "a.yaml"];
        let expected = sandbox.real_sops(arguments).go().success().into_stdout();
        sandbox.encfile(arguments).go().success().stdout(expected);
    }
}

#[test]
fn output_types_convert() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("a.json", "{\"A\": \"canary\", \"B\": 2}", &[ALICE]);
    for (output_type, text) in
        [("yaml", "A: canary\nB: 2\n"), ("json", "{\n\t\"A\": \"canary\",\n\t\"B\": 2\n}\n")]
    {
        sandbox
            .encfile(["decrypt", "--output-type", output_type, "a.json"])
            .go()
            .success()
            .stdout(text);
    }
    sandbox.encrypted_by_sops("a.env", "A=canary\nB=two words\n", &[ALICE]);
    sandbox
        .encfile(["decrypt", "--output-type", "json", "a.env"])
        .go()
        .success()
        .stdout("{\n\t\"A\": \"canary\",\n\t\"B\": \"two words\"\n}\n");
}

#[test]
fn a_conversion_that_loses_data_is_refused_by_path() {
    encrypted()
        .encfile(["decrypt", "--output-type", "dotenv", "app.json"])
        .go()
        .code(4)
        .no_stdout()
        .says(["list"]);
}

#[test]
fn an_unknown_output_type_is_an_error() {
    encrypted()
        .encfile(["decrypt", "--output-type", "env", "app.json"])
        .go()
        .failure()
        .says(["dotenv"]);
}

#[test]
fn in_place_writes_the_plain_file_for_its_owner_only() {
    let sandbox = encrypted();
    sandbox.set_mode("app.json", 0o644);
    sandbox.encfile(["decrypt", "-i", "app.json"]).go().success().no_stdout();
    assert_eq!(sandbox.read("app.json"), PLAIN);
    assert_eq!(sandbox.mode("app.json"), 0o600);
}

#[test]
fn an_output_file_is_for_its_owner_only() {
    let sandbox = encrypted();
    sandbox.write("existing.json", "");
    sandbox.set_mode("existing.json", 0o644);
    for name in ["new.json", "existing.json"] {
        sandbox.encfile(["decrypt", "--output", name, "app.json"]).go().success().no_stdout();
        assert_eq!(sandbox.read(name), PLAIN);
        assert_eq!(sandbox.mode(name), 0o600, "{name}");
    }
}

#[test]
fn several_files_need_in_place_and_all_are_tried() {
    let sandbox = encrypted();
    sandbox.encrypted_by_sops("b.env", "A=canary\n", &[ALICE]);
    sandbox.encfile(["decrypt", "app.json", "b.env"]).go().failure().says(["-i"]);
    sandbox.encfile(["decrypt", "-i", "none.json", "app.json", "b.env"]).go().code(100).no_stdout();
    assert_eq!(sandbox.read("app.json"), PLAIN);
    assert_eq!(sandbox.read("b.env"), "A=canary\n");
}

#[test]
fn no_config_makes_a_decryption_of_a_file_fail() {
    let sandbox = encrypted();
    for config in [
        "creation_rules: [",
        "creation_rules: word\n",
        "creation_rules:\n  - path_regex: '['\n",
        "creation_rules:\n  - nonsense: 1\n",
    ] {
        sandbox.write(".sops.yaml", config);
        sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    }
    std::fs::remove_file(sandbox.path(".sops.yaml")).unwrap();
    sandbox.write(".sops.yaml/directory", "");
    sandbox.encfile(["decrypt", "app.json"]).go().success();
}

#[test]
fn keys_of_an_unknown_kind_are_no_obstacle() {
    let sandbox = encrypted();
    let text = sandbox.read("app.json");
    let changed = text.replacen(
        "\"age\": [",
        "\"future_kms\": [{\"id\": \"x\", \"enc\": \"eHh4\"}],\n\t\t\"age\": [",
        1,
    );
    assert_ne!(text, changed);
    sandbox.write("app.json", changed);
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("big.bin", "canary\n".repeat(100_000), &[ALICE]);
    let script = format!(
        "'{}' decrypt big.bin | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_encfile")
    );
    sandbox
        .run("/bin/bash".as_ref(), ["-c", &script])
        .go()
        .success()
        .no_stderr()
        .stdout("canary\n0\n");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let sandbox = encrypted();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_encfile"))
        .args(["decrypt", "app.json"])
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("SOPS_AGE_KEY_FILE", ALICE.path())
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .unwrap();
    assert!(output.status.code().is_some_and(|code| code != 0));
    assert!(!output.stderr.is_empty());
}

#[test]
fn the_file_itself_is_never_changed() {
    let sandbox = encrypted();
    let before = sandbox.state_of("app.json");
    std::fs::set_permissions(sandbox.path("app.json"), std::fs::Permissions::from_mode(0o400))
        .unwrap();
    sandbox.encfile(["decrypt", "app.json"]).go().success();
    assert_eq!(sandbox.state_of("app.json"), before);
    assert_eq!(sandbox.files(), ["app.json"]);
}

#[test]
fn the_report_says_whom_the_comments_of_the_config_name_as_owners() {
    let sandbox = encrypted();
    let config = format!(
        "creation_rules:\n  - age:\n      - {} # Alice\n      - {}\n",
        ALICE.recipient(),
        BOB.recipient()
    );
    sandbox.write(".sops.yaml", config);
    let alice = format!("  {} (Alice): FAILED", ALICE.recipient());
    let bob = format!("  {}: FAILED", BOB.recipient());
    sandbox
        .encfile(["decrypt", "app.json"])
        .env("SOPS_AGE_KEY_FILE", CAROL.path())
        .go()
        .code(128)
        .says([
            alice.as_str(),
            bob.as_str(),
            "help: or ask one of these to add your key: Alice\n      \
             they run: encfile rotate --in-place --add-age YOUR_KEY app.json\n",
        ]);
}

#[test]
fn a_conflict_of_git_is_named_with_its_line() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE]);
    for (name, plain) in [
        ("a.yaml", "first: 1\npassword: canary-one\n"),
        ("a.json", "{\n\t\"first\": 1,\n\t\"password\": \"canary-one\"\n}\n"),
        ("a.env", "FIRST=1\nPASSWORD=canary-one\n"),
    ] {
        sandbox.encrypted_by_sops(name, plain, &[ALICE]);
        let conflicting = |text: &str| {
            let (first, rest) = text.split_once('\n').unwrap();
            let (second, rest) = rest.split_once('\n').unwrap();
            format!("{first}\n<<<<<<< HEAD\n{second}\n=======\n{second}\n>>>>>>> b\n{rest}")
        };
        sandbox.write(name, conflicting(&sandbox.read(name)));
        let expected = ["help: git has left a conflict in line 2:"];
        sandbox.encfile(["decrypt", name]).go().failure().says(expected);
        sandbox.as_sops(["edit", name]).go().failure().says(expected);
        sandbox.write(name, conflicting(plain));
        let outcome = sandbox.encfile(["encrypt", "-i", name]).secrets_in_messages().go();
        outcome.failure().says(expected);
        assert_eq!(sandbox.read(name), conflicting(plain));
    }
}

#[test]
fn what_to_do_names_the_file_as_a_shell_reads_it() {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.write("it's plain.json", PLAIN);
    let outcome = sandbox.encfile(["decrypt", "it's plain.json"]).go();
    outcome.code(1).says(["encfile encrypt -i 'it'\\''s plain.json'"]);
}
