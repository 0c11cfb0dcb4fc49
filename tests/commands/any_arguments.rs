//! Random command lines: nothing panics or hangs, and standard output has data alone.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::catalogue::in_work_directory;

/// Commands, and what may be taken for one; without those that serve until a signal comes.
const COMMANDS: &[&str] = &[
    "encrypt",
    "decrypt",
    "edit",
    "set",
    "unset",
    "rotate",
    "updatekeys",
    "groups",
    "add",
    "delete",
    "exec-env",
    "exec-file",
    "publish",
    "filestatus",
    "completion",
    "help",
    "h",
    "man",
    "check",
    "-d",
    "-e",
    "-r",
    "--set",
    "-s",
];

/// Flags with and without values, in Go's forms, too.
const FLAGS: &[&str] = &[
    "-i",
    "--in-place",
    "-in-place=false",
    "--in-place=nope",
    "--extract",
    "-extract=a[0]",
    "--output",
    "--input-type",
    "--output-type=json",
    "--output-type",
    "--filename-override",
    "--ignore-mac",
    "--decryption-order",
    "--config",
    "--indent",
    "--indent=-1",
    "--age",
    "-a",
    "--pgp",
    "--kms",
    "--encrypted-regex",
    "--unencrypted-suffix",
    "--encryption-context",
    "--mac-only-encrypted",
    "--shamir-secret-sharing-threshold",
    "--keyservice",
    "--enable-local-keyservice=false",
    "--verbose",
    "--disable-version-check",
    "--version",
    "-v",
    "-h",
    "--help",
    "--add-age",
    "--rm-age",
    "-y",
    "-f",
    "--value-stdin",
    "--value-file",
    "--idempotent",
    "--",
    "-",
    "---",
    "--=",
    "-=x",
    "-di",
    "--no-fifo",
    "--generate-bash-completion",
];

/// Files, paths, values.
const WORDS: &[&str] = &[
    "secret.yaml",
    "secret.json",
    "secret.env",
    "secret.ini",
    "secret.bin",
    "secret.enc",
    "plain.yaml",
    "plain.json",
    "plain-empty.json",
    "plain-broken.yaml",
    "tampered.yaml",
    "nomac.yaml",
    "bobs.yaml",
    "groups.yaml",
    "folder",
    "none.yaml",
    "configs/broken.yaml",
    "[\"a\"]",
    "[\"list\"][0]",
    "[",
    "[]",
    "[-1]",
    "[\"a\"",
    "a.b[0]",
    "[99999999999999999999]",
    "[\"a\"] 1",
    "\"x\"",
    "{",
    "-5",
    "",
    " ",
    "true",
    "yaml",
    "binary",
    "age",
    "age,age",
    "age1",
    "0",
    "18446744073709551616",
    "é\u{202e}\u{1b}[31m",
    "bash",
];

fn word() -> impl Strategy<Value = OsString> {
    prop_oneof![
        3 => select(COMMANDS).prop_map(OsString::from),
        4 => select(FLAGS).prop_map(OsString::from),
        6 => select(WORDS).prop_map(OsString::from),
        1 => "[-=\\[\\]\"a-c0-9 .]{0,8}".prop_map(OsString::from),
        1 => vec(1u8.., 0..6).prop_map(|bytes| OsStr::from_bytes(&bytes).to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_command_line_panics_hangs_or_prints_besides_data(
        first in select(COMMANDS),
        rest in vec(word(), 0..7),
        as_sops in any::<bool>(),
    ) {
        let words = std::iter::once(OsString::from(first)).chain(rest);
        ends_well(words, as_sops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn no_arguments_of_a_key_service_do_either(
        rest in vec(word(), 0..4),
        as_sops in any::<bool>(),
    ) {
        // It would serve until a signal comes, if there were such a network.
        let words = ["keyservice", "--network", "moon"].map(OsString::from);
        ends_well(words.into_iter().chain(rest), as_sops)?;
    }
}

/// The commands that print what they have found, and fail because they have found something.
const REPORTS: &[&str] = &["check", "scan"];

fn ends_well(words: impl Iterator<Item = OsString>, as_sops: bool) -> Result<(), TestCaseError> {
    let words: Vec<OsString> = words.collect();
    let reports = words.iter().any(|word| REPORTS.iter().any(|report| word == report));
    let sandbox = in_work_directory();
    sandbox.env("EDITOR", "true");
    let run = if as_sops { sandbox.as_sops(words) } else { sandbox.encfile(words) };
    // The sandbox looks for panics, secrets in messages and temporary files.
    let outcome = run.secrets_in_messages().go();
    let code = outcome.exit_code();
    prop_assert!(code != 101, "a panic\n{outcome}");
    prop_assert!(
        code == 0 || reports || outcome.stdout_is_empty(),
        "output and an error\n{outcome}"
    );
    prop_assert!(code == 0 || !outcome.messages().is_empty(), "no message\n{outcome}");
    Ok(())
}
