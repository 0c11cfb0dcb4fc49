//! `completion`, asked as a shell asks; `man`.

use std::fs;

use crate::files::ALICE;
use crate::sandbox::Sandbox;

/// Sources the script and completes the last of the words after it.
const BASH: &str = r#"
name=$1
eval "$("$name" completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
"_clap_complete_$name" "$name" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Sources the script in a shell at a terminal, types the line and a tab, and prints what is offered.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT=; stty -echo; autoload -U compinit; compinit -D; eval \"\$($1 completion zsh)\""
zpty -w inner '
    compadd() { local -a found; builtin compadd -O found "$@"; print -rl -- "<"${^found}">"; builtin compadd "$@" }
    ended() { print -r -- "==ended" }
    complete-once() { comppostfuncs=(ended); zle complete-word }
    zle -N complete-once; bindkey "^I" complete-once; print -r -- "==""ready"'
zpty -r inner line '*==ready*'
zpty -w -n inner "$2"$'\t'
zpty -r inner text '*==ended*'
zpty -d inner
print -r -- $text
"#;

/// Sources the script and prints what is offered for a line, with descriptions.
const FISH: &str = "$argv[1] completion fish | source; complete --do-complete $argv[2]";

fn sandbox() -> Sandbox {
    // No identity: completion needs none.
    let sandbox = Sandbox::new();
    let text = "database:\n    host: canary-one\n    ports:\n        - 1\n        - 2\nother: x\n";
    sandbox.encrypted_by_sops("app.yaml", text, &[ALICE]);
    for name in ["encfile", "sops"] {
        let link = sandbox.home().join("../bin").join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_encfile"), link).unwrap();
    }
    sandbox
}

fn completed(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let arguments = ["-ec", BASH, "bash"].into_iter().chain(words.iter().copied());
    let outcome = sandbox.run("/bin/bash".as_ref(), arguments).go().success().no_stderr();
    let printed = String::from_utf8(outcome.into_stdout()).unwrap();
    printed.lines().map(str::to_owned).collect()
}

/// What the shell at `path` offers for a line that begins with the program's name, each once, in
/// order.
fn offered(sandbox: &Sandbox, path: &str, script: &str, line: &str) -> Vec<String> {
    let program = line.split(' ').next().unwrap();
    let arguments: &[&str] =
        if path.ends_with("zsh") { &["-f", "-c", script, "zsh"] } else { &["-c", script] };
    let run = sandbox.run(path.as_ref(), [arguments, &[program, line]].concat());
    let printed = String::from_utf8(run.go().success().no_stderr().into_stdout()).unwrap();
    let offers = printed.lines().filter_map(|line| {
        if path.ends_with("zsh") {
            let (_, offer) = line.trim_end().strip_suffix('>')?.rsplit_once('<')?;
            (!offer.is_empty()).then_some(offer)
        } else {
            line.split('\t').next()
        }
    });
    let mut offers: Vec<String> = offers.map(str::to_owned).collect();
    offers.sort();
    offers.dedup();
    offers
}

#[test]
fn zsh_and_fish_complete_the_same() {
    let sandbox = sandbox();
    for (path, script) in [("/usr/bin/zsh", ZSH), ("/usr/bin/fish", FISH)] {
        for (line, offers) in [
            ("encfile decr", &["decrypt"][..]),
            ("encfile decrypt --extr", &["--extract"]),
            ("encfile decrypt ap", &["app.yaml"]),
            ("encfile decrypt app.yaml --extract database.h", &["database.host"]),
            (
                "encfile decrypt app.yaml --extract database.p",
                &["database.ports", "database.ports[0]", "database.ports[1]"],
            ),
            ("sops filest", &["filestatus"]),
        ] {
            assert_eq!(offered(&sandbox, path, script, line), offers, "{path}: {line}");
        }
    }
}

#[test]
fn commands_flags_and_files_are_completed() {
    let sandbox = sandbox();
    assert_eq!(completed(&sandbox, &["encfile", "decr"]), ["decrypt"]);
    assert_eq!(completed(&sandbox, &["encfile", "decrypt", "--extr"]), ["--extract"]);
    assert_eq!(completed(&sandbox, &["encfile", "decrypt", "app"]), ["app.yaml"]);
    assert_eq!(completed(&sandbox, &["sops", "filest"]), ["filestatus"]);
    assert_eq!(completed(&sandbox, &["encfile", "decrypt", "--output-type", "dote"]), ["dotenv"]);
}

#[test]
fn tree_paths_are_read_from_the_file_without_a_key() {
    let sandbox = sandbox();
    for words in [
        &["encfile", "decrypt", "app.yaml", "--extract", "dat"][..],
        &["encfile", "decrypt", "-i", "app.yaml", "--extract", "dat"],
    ] {
        assert_eq!(
            completed(&sandbox, words),
            [
                "database",
                "database.host",
                "database.ports",
                "'database.ports[0]'",
                "'database.ports[1]'"
            ]
        );
    }
}

#[test]
fn as_sops_tree_paths_have_its_form() {
    let sandbox = sandbox();
    let typed = ["sops", "decrypt", "app.yaml", "--extract"];
    let at = |current| completed(&sandbox, &[&typed[..], &[current]].concat());
    // Inside of an open quote the shell sees what is behind it.
    assert_eq!(at("[\"oth"), ["[\"other\"]"]);
    assert_eq!(at("[\"database\"][\"ports\"][1"), ["[\"database\"][\"ports\"][1]"]);
    assert!(at("").contains(&"'[\"database\"][\"host\"]'".to_owned()));
}

#[test]
fn a_plain_file_has_no_paths_to_offer() {
    let sandbox = sandbox();
    sandbox.write("plain.yaml", "a: canary\n");
    let words = ["encfile", "decrypt", "plain.yaml", "--extract", ""];
    assert_eq!(completed(&sandbox, &words), [""]);
}

#[test]
fn there_is_a_script_for_each_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.encfile(["completion", shell]).go().success().no_stderr();
        let script = String::from_utf8(script.into_stdout()).unwrap();
        assert!(script.contains("ENCFILE_COMPLETE") && script.contains("encfile"), "{shell}");
    }
    sandbox.encfile(["completion", "tcsh"]).go().code(1).no_stdout().says(["bash"]);
    sandbox.encfile([""; 0]).env("ENCFILE_COMPLETE", "tcsh").go().code(1).no_stdout();
    sandbox.encfile([""; 0]).env("ENCFILE_COMPLETE", "bash").go().success().no_stdout();
}

#[test]
fn the_scripts_that_sops_prints_get_their_answers() {
    let sandbox = Sandbox::new();
    let asked = |words: &[&str]| {
        let outcome = sandbox.as_sops(words.iter().chain(&["--generate-bash-completion"])).go();
        String::from_utf8(outcome.success().no_stderr().into_stdout()).unwrap()
    };
    assert!(asked(&[]).lines().any(|line| line == "decrypt"));
    assert!(asked(&["decrypt", "--"]).lines().any(|line| line == "--extract"));
    assert!(asked(&["decrypt", "-"]).lines().any(|line| line == "-i"));
}

#[test]
fn manual_pages_are_written_for_all_commands() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("man")).unwrap();
    sandbox.encfile(["man", "man"]).go().success().no_stdout().no_stderr();
    for page in ["encfile.1", "encfile-decrypt.1", "encfile-encrypt.1"] {
        let text = sandbox.read(format!("man/{page}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
        assert!(text.contains("\\fB\\-\\-config\\fR"), "{page}");
    }
    let first = sandbox.encfile(["man"]).go().success().no_stderr();
    assert_eq!(first.into_stdout(), sandbox.read_bytes("man/encfile.1"));
    sandbox.encfile(["man", "none"]).go().code(3).no_stdout();
}
