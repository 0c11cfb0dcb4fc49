//! TOML, which SOPS does not have: the laws of the other formats, with rops for SOPS.

use std::fs;

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::roundtrip::{for_each, for_each_printed, words};
use crate::sandbox::{Run, Sandbox};

/// Files that rops reads back itself. It takes the MAC in the order of its input, and writes tables
/// behind the values around them: where there is a value behind a table, its MAC is wrong.
const WELL_ORDERED: [&str; 15] = [
    "blank-lines.toml",
    "bom.toml",
    "cargo.toml",
    "containerd.toml",
    "crlf.toml",
    "gitleaks.toml",
    "hugo.toml",
    "netlify.toml",
    "no-final-newline.toml",
    "starship.toml",
    "telegraf.toml",
    "traefik.toml",
    "values.toml",
    "vault-agent.toml",
    "wrangler.toml",
];

fn rops<'s, const N: usize>(sandbox: &'s Sandbox, arguments: [&str; N]) -> Run<'s> {
    sandbox.run(&peers::rops(), arguments).env("ROPS_AGE", ALICE.identity())
}

fn encrypted_by_rops(sandbox: &Sandbox, text: Vec<u8>) -> Vec<u8> {
    let recipients = [ALICE.recipient(), BOB.recipient()];
    let arguments = ["encrypt", &recipients[0], &recipients[1]];
    rops(sandbox, arguments).input(text).go().success().into_stdout()
}

#[test]
fn decrypting_gives_the_file_back_to_the_byte() {
    super::decrypting_gives_the_file_back_to_the_byte("toml");
}

#[test]
fn every_value_and_the_mac_are_right() {
    super::every_value_and_the_mac_are_right("toml");
}

#[test]
fn rops_reads_what_encfile_writes() {
    for_each_printed("toml", |sandbox, case| {
        let ours = sandbox.encfile(["encrypt", &case.name]).go().success().into_stdout();
        Some(rops(sandbox, ["decrypt"]).input(ours).go().success().into_stdout())
    });
}

#[test]
fn encfile_reads_what_rops_writes() {
    for_each_printed("toml", |sandbox, case| {
        if !WELL_ORDERED.contains(&&*case.name) {
            return None;
        }
        let theirs = encrypted_by_rops(sandbox, case.plain());
        sandbox.write("theirs.toml", theirs);
        Some(sandbox.encfile(["decrypt", "theirs.toml"]).go().success().into_stdout())
    });
}

/// rops writes the whole file anew, and encfile finds its way in that again.
#[test]
fn rops_and_encfile_take_turns() {
    for_each_printed("toml", |sandbox, case| {
        if !WELL_ORDERED.contains(&&*case.name) {
            return None;
        }
        let theirs = encrypted_by_rops(sandbox, case.plain());
        sandbox.write("turns.toml", theirs);
        let plain = sandbox.encfile(["decrypt", "turns.toml"]).go().success().into_stdout();
        sandbox.write("turns.toml", &plain);
        sandbox.encfile(["encrypt", "-i", "turns.toml"]).go().success();
        let ours = sandbox.read_bytes("turns.toml");
        sandbox.encfile(["decrypt", "turns.toml"]).go().success().stdout(&plain);
        Some(rops(sandbox, ["decrypt"]).input(ours).go().success().into_stdout())
    });
}

/// Words of a key, as it is escaped, and of what is below a key that ends in `_unencrypted`.
const IN_CLEAR: [&str; 3] = ["u0061ped", "AKIAIOSFODNN7EXAMPLE", "comment"];

#[test]
fn no_secret_is_left_in_clear() {
    for_each("toml", |sandbox, case| {
        let plain = String::from_utf8(case.plain()).unwrap();
        let ours = sandbox.encfile(["encrypt", &case.name]).go().success().into_stdout();
        let ours = String::from_utf8(ours).unwrap();
        let ours = ours.replace("encfile_layout", "").replace(",type:comment]", "");
        let theirs = encrypted_by_rops(sandbox, case.plain());
        let theirs = String::from_utf8(theirs).unwrap();
        for word in words(&plain) {
            assert!(
                !ours.contains(word) || theirs.contains(word) || IN_CLEAR.contains(&word),
                "{}: `{word}` is in clear, which rops encrypts",
                case.name
            );
        }
    });
}

#[test]
fn the_files_for_rops_are_there() {
    for name in WELL_ORDERED {
        let path = crate::files::repository().join("testdata/corpus/toml").join(name);
        assert!(fs::exists(path).unwrap(), "{name}");
    }
}
