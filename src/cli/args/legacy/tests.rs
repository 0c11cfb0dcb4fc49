//! Tests of SOPS' command line: what clap gets to see.

use clap::CommandFactory as _;

use super::*;
use crate::cli::args::Cli;

fn read(personality: Personality, line: &[&str]) -> Result<Normal, CliError> {
    let arguments = std::iter::once("x").chain(line.iter().copied()).map(OsString::from);
    normalise(&Cli::command(), arguments.collect(), personality)
}

/// Returns the arguments that `sops` with `line` becomes, and the number of warnings.
fn sops(line: &[&str]) -> (Vec<String>, usize) {
    let normal = read(Personality::Sops, line).unwrap_or_else(|e| panic!("{line:?}: {e:?}"));
    let arguments = normal.arguments.into_iter().skip(1);
    (arguments.map(|text| text.into_string().unwrap()).collect(), normal.warnings.len())
}

/// Returns the message for which `sops` with `line` fails, and its exit code.
fn refused(line: &[&str]) -> (String, u8) {
    let error = read(Personality::Sops, line).expect_err("refused");
    (error.render(Personality::Sops), error.exit().code())
}

fn encfile(line: &[&str]) -> Vec<String> {
    let normal = read(Personality::Encfile, line).unwrap_or_else(|e| panic!("{line:?}: {e:?}"));
    let arguments = normal.arguments.into_iter().skip(1);
    arguments.map(|text| text.into_string().unwrap()).collect()
}

#[track_caller]
fn assert_sops(line: &[&str], expected: &[&str], warnings: usize) {
    let (arguments, warned) = sops(line);
    assert_eq!(arguments, expected, "{line:?}");
    assert_eq!(warned, warnings, "{line:?}");
}

#[test]
fn flags_become_commands() {
    assert_sops(&["-d", "f"], &["decrypt", "f"], 0);
    assert_sops(&["--decrypt", "--", "-f"], &["decrypt", "--", "-f"], 0);
    assert_sops(&["-e=1", "-i", "f"], &["encrypt", "--in-place", "f"], 0);
    assert_sops(&["-r=true", "f"], &["rotate", "f"], 0);
    assert_sops(&["f"], &["edit", "f"], 0);
    assert_sops(&["-d=false", "version"], &["edit", "version"], 0);
    assert_sops(&["--set", "[\"a\"] [0] -1", "f"], &["set", "f", "[\"a\"]", "[0] -1"], 0);
    assert_sops(&["--set", "", "f"], &["edit", "f"], 0);
}

#[test]
fn the_last_of_several_modes_counts() {
    assert_sops(&["-d", "-e", "f"], &["decrypt", "f"], 1);
    assert_sops(&["--set", "[\"a\"] 1", "-r", "f"], &["set", "f", "[\"a\"]", "1"], 1);
}

#[test]
fn in_front_of_a_file_flags_end_at_the_file() {
    assert_sops(&["-d", "f", "-i"], &["decrypt", "--", "f", "-i"], 0);
    assert_sops(&["-d", "f", "--bogus", "g"], &["decrypt", "--", "f", "--bogus", "g"], 0);
}

#[test]
fn behind_a_command_flags_may_stand_anywhere() {
    assert_sops(
        &["decrypt", "f", "-extract", "[\"a\"]", "-i"],
        &["decrypt", "--extract=[\"a\"]", "--in-place", "f"],
        0,
    );
    assert_sops(&["decrypt", "f", "--extract", "--"], &["decrypt", "--extract=--", "f"], 0);
    assert_sops(&["decrypt", "f", "--", "-i"], &["decrypt", "--", "f", "-i"], 0);
    assert_sops(&["decrypt", "f", "-5"], &["decrypt", "--", "f", "-5"], 0);
}

#[test]
fn switches_have_values_behind_an_equals_sign_only() {
    for on in ["-i", "--in-place", "-i=t", "--in-place=TRUE", "-in-place=1"] {
        assert_sops(&["decrypt", on, "f"], &["decrypt", "--in-place", "f"], 0);
    }
    for off in ["-i=0", "--in-place=False", "-in-place=f"] {
        assert_sops(&["decrypt", off, "f"], &["decrypt", "f"], 0);
    }
    assert_sops(
        &["decrypt", "--enable-local-keyservice", "false"],
        &["decrypt", "--enable-local-keyservice", "false"],
        0,
    );
    assert_sops(
        &["decrypt", "--enable-local-keyservice=0", "f"],
        &["decrypt", "--enable-local-keyservice=false", "f"],
        0,
    );
}

#[test]
fn the_last_value_counts_and_an_empty_one_is_none() {
    assert_sops(
        &["decrypt", "--output", "a", "--output", "b", "f"],
        &["decrypt", "--output=b", "f"],
        0,
    );
    assert_sops(&["decrypt", "--output", "", "f"], &["decrypt", "f"], 0);
    // It hides `SOPS_AGE_RECIPIENTS`.
    assert_sops(&["encrypt", "-a", "", "f"], &["encrypt", "--age=", "f"], 0);
    assert_sops(
        &["decrypt", "--keyservice", "a", "--keyservice", "b"],
        &["decrypt", "--keyservice=a", "--keyservice=b"],
        0,
    );
}

#[test]
fn flags_in_front_of_a_command_count_where_it_has_them() {
    assert_sops(&["-a", "r", "encrypt", "f"], &["encrypt", "--age=r", "f"], 0);
    assert_sops(&["--ignore-mac", "decrypt", "f"], &["decrypt", "--ignore-mac", "f"], 0);
    assert_sops(&["--age", "r", "decrypt", "f"], &["decrypt", "f"], 1);
    assert_sops(&["-d", "decrypt"], &["decrypt"], 1);
    assert_sops(&["--indent", "2", "encrypt", "--indent", "3"], &["encrypt", "--indent=3"], 0);
    assert_sops(&["--config", "c", "decrypt"], &["decrypt", "--config=c"], 0);
}

#[test]
fn flags_that_the_mode_does_not_have_are_said_to_have_no_effect() {
    assert_sops(&["-d", "--age", "r", "f"], &["decrypt", "f"], 1);
    assert_sops(&["-i", "f"], &["edit", "f"], 1);
}

#[test]
fn usage_errors_are_those_of_sops() {
    let cases: &[(&[&str], &str, u8)] = &[
        (&["-nope", "f"], "flag provided but not defined: -nope", 1),
        (&["decrypt", "--nope"], "flag provided but not defined: -nope", 1),
        (&["-di", "f"], "flag provided but not defined: -di", 1),
        (&["--=x"], "bad flag syntax: --=x", 1),
        (&["decrypt", "-extract"], "flag needs an argument: -extract", 1),
        (&["-d=nope", "f"], "invalid boolean value \"nope\" for -d: parse error", 1),
        (&["-a", "x", "--age", "y", "f"], "Cannot use two forms of the same flag: a age", 1),
        (&["--decrypt", "-d", "f"], "Cannot use two forms of the same flag: d decrypt", 1),
        (&[], "Error: no file specified", 100),
        (&["-d"], "Error: no file specified", 100),
        (&["--set", "a", "f"], "Invalid --set format", 7),
        (&["help", "frob"], "No help topic for 'frob'", 3),
        (
            &["-e", "-i", "--output", "x", "f"],
            "Error: cannot operate on both --output and --in-place",
            8,
        ),
    ];
    for (line, message, code) in cases {
        assert_eq!(refused(line), ((*message).to_owned(), *code), "{line:?}");
    }
}

#[test]
fn help_and_version_need_nothing_else() {
    assert_sops(&["-d", "-h", "--config", "x"], &["--help"], 0);
    for version in ["-v", "--version", "-version"] {
        assert_sops(&[version, "--disable-version-check"], &["--version"], 0);
    }
    assert_sops(&["h", "decrypt"], &["help", "decrypt"], 0);
    assert_sops(&["decrypt", "f", "-h"], &["decrypt", "--help", "f"], 0);
}

#[test]
fn encfile_takes_modes_but_no_file_alone() {
    assert_eq!(encfile(&["-d", "f"]), ["decrypt", "f"]);
    assert_eq!(encfile(&["-e", "-in-place", "f"]), ["encrypt", "--in-place", "f"]);
    assert_eq!(encfile(&["f"]), ["f"]);
    assert_eq!(encfile(&["-d", "decrypt", "f"]), ["-d", "decrypt", "f"]);
}

#[test]
fn encfile_takes_flags_of_go_and_leaves_the_rest_to_clap() {
    assert_eq!(encfile(&["decrypt", "-in-place", "f"]), ["decrypt", "--in-place", "f"]);
    assert_eq!(encfile(&["decrypt", "-i=false", "f"]), ["decrypt", "f"]);
    assert_eq!(encfile(&["decrypt", "--in-place=1", "f"]), ["decrypt", "--in-place", "f"]);
    assert_eq!(encfile(&["decrypt", "-extract=a", "f"]), ["decrypt", "--extract=a", "f"]);
    for line in [
        &["decrypt", "--extract", "-in-place", "f"][..],
        &["decrypt", "--in-plce=1", "f"],
        &["decrypt", "--in-place=nope", "f"],
        &["decrypt", "--", "-in-place"],
        &["encrypt", "-aage1x", "f"],
        &["--config", "decrypt", "edit", "f"],
    ] {
        assert_eq!(encfile(line), line);
    }
}
