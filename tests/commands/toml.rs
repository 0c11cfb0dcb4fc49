//! TOML, which SOPS does not have, on the command line.

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Run, Sandbox};

const PLAIN: &str = "# canary-zero\nuser = 'canary-one'\nsince = 2026-01-01\n\n[db] # canary-two\nport = 0x1538\nempty = \"\"\n";
const YAML: &str = "a:\n  b: canary-one\nc:\n- 1\n- d: true\ne:\n  f: 1.5\n  g: canary-two\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.config_for(&[ALICE, BOB]);
    sandbox
}

fn rops_decrypt(sandbox: &Sandbox, text: Vec<u8>) -> Run<'_> {
    sandbox.run(&peers::rops(), ["decrypt"]).env("ROPS_AGE", ALICE.identity()).input(text)
}

#[test]
fn the_ending_tells_the_format() {
    let sandbox = sandbox();
    sandbox.write("a.toml", PLAIN);
    sandbox.encfile(["encrypt", "-i", "a.toml"]).go().success();
    let text = sandbox.read("a.toml");
    assert!(text.starts_with("#ENC[AES256_GCM,") && !text.contains("canary"), "{text}");
    assert!(text.contains("\n[db] #ENC[AES256_GCM,"), "{text}");
    assert!(text.contains("\n\n[sops]\n") && text.contains("\n\n[[sops.age]]\n"), "{text}");
    sandbox.encfile(["decrypt", "a.toml"]).go().success().stdout(PLAIN);
}

#[test]
fn an_encrypted_text_is_known_without_its_name() {
    let sandbox = sandbox();
    sandbox.write("a.toml", PLAIN);
    let encrypted = sandbox.encfile(["encrypt", "a.toml"]).go().success().into_stdout();
    sandbox.encfile(["decrypt", "-"]).input(encrypted).go().success().stdout(PLAIN);
}

#[test]
fn the_input_type_makes_any_file_toml() {
    let sandbox = sandbox();
    sandbox.write("config", PLAIN);
    let arguments = ["encrypt", "--input-type", "toml", "config"];
    let encrypted = sandbox.encfile(arguments).go().success().into_stdout();
    sandbox.write("encrypted", encrypted);
    sandbox.encfile(["decrypt", "encrypted"]).go().success().stdout(PLAIN);
}

#[test]
fn sops_takes_the_ending_for_that_of_a_binary_file() {
    let sandbox = sandbox();
    sandbox.write("a.toml", PLAIN);
    sandbox.as_sops(["encrypt", "-i", "a.toml"]).go().success();
    assert!(sandbox.read("a.toml").starts_with("{\n\t\"data\": \"ENC["));
    sandbox.real_sops(["decrypt", "a.toml"]).go().success().stdout(PLAIN);
    sandbox.as_sops(["decrypt", "a.toml"]).go().success().stdout(PLAIN);
}

#[test]
fn what_was_yaml_is_encrypted_as_toml_that_rops_reads() {
    let sandbox = sandbox();
    sandbox.write("a.yaml", YAML);
    let arguments = ["encrypt", "--output-type", "toml", "a.yaml"];
    let encrypted = sandbox.encfile(arguments).go().success().into_stdout();
    let printed = rops_decrypt(&sandbox, encrypted.clone()).go().success().into_stdout();
    sandbox.write("a.toml", encrypted);
    let plain = "a.b = \"canary-one\"\nc = [\n    1,\n    { d = true },\n]\n\n[e]\nf = 1.5\ng = \"canary-two\"\n";
    sandbox.encfile(["decrypt", "a.toml"]).go().success().stdout(plain);
    let ours = sandbox.write("ours.toml", plain);
    let printed = sandbox.write("printed", printed);
    peers::assert_same_data("toml", &[(ours, printed)]);
    let arguments = ["decrypt", "--output-type", "yaml", "--indent", "2", "a.toml"];
    sandbox
        .encfile(arguments)
        .go()
        .success()
        .stdout("a:\n  b: canary-one\nc:\n  - 1\n  - d: true\ne:\n  f: 1.5\n  g: canary-two\n");
}

#[test]
fn other_formats_are_printed_as_toml() {
    let sandbox = sandbox();
    sandbox.encrypted_by_sops("a.yaml", YAML, &[ALICE]);
    sandbox.encfile(["decrypt", "--output-type", "toml", "a.yaml"]).go().success().stdout(
        "a.b = \"canary-one\"\nc = [\n    1,\n    { d = true },\n]\n\n[e]\nf = 1.5\ng = \"canary-two\"\n",
    );
}

#[test]
fn an_edit_of_what_rops_wrote_is_read_by_rops() {
    let sandbox = sandbox();
    let arguments = ["encrypt", &ALICE.recipient()];
    let rops = sandbox.run(&peers::rops(), arguments).input("a = \"\"\n[b]\nc = \"one\"\n");
    sandbox.write("a.toml", rops.go().success().into_stdout());
    let before = sandbox.read("a.toml");
    sandbox.edit_with("sed -i s/one/two/ \"$1\"");
    sandbox.encfile(["edit", "a.toml"]).go().success();
    let after = sandbox.read("a.toml");
    assert_eq!(after.lines().next(), before.lines().next(), "the other value has its ciphertext");
    rops_decrypt(&sandbox, after.into_bytes())
        .go()
        .success()
        .stdout("a = \"\"\n\n[b]\nc = \"two\"\n");
}

#[test]
fn a_value_that_rops_could_not_read_is_warned_of() {
    let sandbox = sandbox();
    sandbox.write("a.toml", "a = inf\n");
    let outcome = sandbox.encfile(["encrypt", "a.toml"]).go().success();
    outcome.says(["a.toml:1:5: rops has another MAC for an infinity, and refuses the file"]);
}

#[test]
fn a_part_is_taken_out() {
    let sandbox = sandbox();
    sandbox.write("a.toml", PLAIN);
    sandbox.encfile(["encrypt", "-i", "a.toml"]).go().success();
    for (path, value) in [("db.port", "5432"), ("since", "2026-01-01"), ("user", "canary-one")] {
        sandbox.encfile(["decrypt", "--extract", path, "a.toml"]).go().success().stdout(value);
    }
}
