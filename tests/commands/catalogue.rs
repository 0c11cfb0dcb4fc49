//! What SOPS answers, and encfile as `sops`: exit codes, output and messages of many command lines.
//!
//! The command lines and the format are described in `testdata/catalogue/README.md`. Both programs
//! run all of them; a difference that has no reason there, or that is none, is a failure.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{ALICE, CAROL, below, repository, short};
use crate::sandbox::{Outcome, Sandbox, Stdin};

/// Who runs.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    Sops,
    Encfile,
}

/// What a program answers.
#[derive(Default)]
struct Answer {
    exit: Option<i32>,
    out: Option<String>,
    err: Vec<String>,
}

/// A command line.
#[derive(Default)]
struct Case {
    place: String,
    line: String,
    expected: Answer,
    ours: Answer,
    peer: Answer,
    why: Option<String>,
    of: Option<String>,
}

impl Case {
    fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for path in below("testdata/catalogue") {
            let in_work = path.parent().is_some_and(|folder| folder != directory());
            if in_work || path.extension().is_none_or(|ending| ending != "txt") {
                continue;
            }
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let place = format!("{}:{}", short(&path), number + 1);
                if let Some(line) = line.strip_prefix('$') {
                    let line = line.trim().to_owned();
                    cases.push(Case { place, line, ..Case::default() });
                } else if !line.is_empty() && !line.starts_with('#') {
                    let case = cases.last_mut().unwrap_or_else(|| panic!("{place}: no case yet"));
                    case.read(line, &place);
                }
            }
        }
        cases
    }

    fn read(&mut self, line: &str, place: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (answer, word, rest) = match word {
            "why" => return self.why = Some(rest.to_owned()),
            "of" => return self.of = Some(rest.to_owned()),
            "ours" | "peer" => {
                let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let answer = if line.starts_with("ours") { &mut self.ours } else { &mut self.peer };
                (answer, word, text)
            }
            _ => (&mut self.expected, word, rest),
        };
        match word {
            "exit" => answer.exit = Some(rest.parse().unwrap()),
            "out" => answer.out = Some(unescaped(rest)),
            "err" => answer.err.push(rest.to_owned()),
            _ => panic!("{place}: what is `{word}`?"),
        }
    }

    /// Returns what `program` should answer.
    fn answer(&self, program: Program) -> Answer {
        let (expected, other) = match program {
            Program::Sops => (&self.expected, &self.peer),
            Program::Encfile => (&self.expected, &self.ours),
        };
        let exit = other.exit.or(expected.exit);
        let as_sops = other.exit.is_none();
        let out = other.out.clone().or_else(|| expected.out.clone().filter(|_| as_sops));
        // An output of SOPS that is not written down is its help; encfile has none for an error.
        let nothing = program == Program::Encfile && exit != Some(0);
        let out = out.or_else(|| nothing.then(String::new));
        let err = if as_sops && other.err.is_empty() { &expected.err } else { &other.err };
        Answer { exit, out, err: err.clone() }
    }

    /// Returns the command that the line calls.
    fn command(&self) -> &str {
        let words = self.line.split(' ').filter(|word| !word.starts_with('-'));
        let mut words = words.filter(|word| !word.contains(['=', '/', '[']));
        self.of.as_deref().or_else(|| words.next()).unwrap_or_default()
    }

    fn run(&self, program: Program) -> Outcome {
        let sandbox = in_work_directory();
        // SOPS leaves some behind when it panics.
        sandbox.allow_leftovers();
        let (line, input) = match self.line.split_once(" < ") {
            Some((line, input)) => (line, Stdin::File(input.into())),
            None => (self.line.as_str(), Stdin::Null),
        };
        let mut words = shell_words::split(line).unwrap();
        let is_variable = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            })
        };
        while words.first().is_some_and(is_variable) {
            let word = words.remove(0);
            let (name, value) = word.split_once('=').unwrap();
            sandbox.env(name, value);
        }
        for word in &mut words {
            *word = word.replace("CAROL", &CAROL.recipient()).replace("ALICE", &ALICE.recipient());
        }
        let run = match program {
            Program::Sops => sandbox.real_sops(&words).secrets_in_messages(),
            Program::Encfile => sandbox.as_sops(&words),
        };
        run.stdin(input).go()
    }

    /// Returns what is wrong with the answer of `program`.
    fn check(&self, program: Program) -> Vec<String> {
        let outcome = self.run(program);
        let answer = self.answer(program);
        let mut wrong = Vec::new();
        if Some(outcome.exit_code()) != answer.exit {
            wrong.push(format!("exit code, expected {:?}", answer.exit));
        }
        // The logger's quotes; and the sandbox's path as messages of the tests have it.
        let said = outcome.messages().replace("\\\"", "\"");
        for part in &answer.err {
            if !said.contains(&part.replace("$WORK", "<sandbox>/work")) {
                wrong.push(format!("not said: {part}"));
            }
        }
        let described = outcome.to_string();
        let printed = String::from_utf8_lossy(&outcome.into_stdout()).into_owned();
        if answer.out.as_ref().is_some_and(|expected| *expected != printed) {
            wrong.push(format!("output, expected {:?}", answer.out));
        }
        if !wrong.is_empty() {
            wrong.push(described);
        }
        wrong
    }
}

fn directory() -> PathBuf {
    repository().join("testdata/catalogue")
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            letter => letter,
        });
    }
    plain
}

/// Returns a sandbox with a copy of the catalogue's files, and alice's identity.
pub(super) fn in_work_directory() -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    copy(&directory().join("work"), &sandbox.path(""));
    fs::create_dir(sandbox.path("folder")).unwrap();
    sandbox
}

/// Copies the files below `from`.
fn copy(from: &Path, to: &Path) {
    for path in below(&short(from)) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

/// Runs all cases, several at a time: the programs wait more than they work.
#[track_caller]
fn assert_none_wrong(check: impl Fn(&Case) -> Vec<String> + Sync) {
    let cases = Case::all();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let check = &check;
        let threads: Vec<_> = cases
            .chunks(cases.len().div_ceil(4))
            .map(|cases| {
                scope.spawn(move || {
                    let wrong = cases.iter().flat_map(|case| {
                        let place = format!("{}: $ {}", case.place, case.line);
                        check(case).into_iter().map(move |problem| format!("{place}: {problem}"))
                    });
                    wrong.collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sops_answers_as_it_is_written_down() {
    assert_none_wrong(|case| case.check(Program::Sops));
}

#[test]
fn encfile_answers_as_sops_but_for_the_differences_that_are_explained() {
    let sandbox = Sandbox::new();
    let help = String::from_utf8(sandbox.as_sops(["help"]).go().into_stdout()).unwrap();
    let is_built_in = |command: &str| {
        let known = ["rotate", "set", "unset", "updatekeys", "groups", "exec-env", "exec-file"];
        let listed = help.lines().any(|line| line.split(' ').nth(2) == Some(command));
        !known.contains(&command) || listed
    };
    assert_none_wrong(|case| {
        if is_built_in(case.command()) {
            return case.check(Program::Encfile);
        }
        let outcome = case.run(Program::Encfile);
        let refused = outcome.exit_code() != 0 && outcome.stdout_is_empty();
        if refused { Vec::new() } else { vec![format!("it is not refused\n{outcome}")] }
    });
}

#[test]
fn each_difference_is_one_and_has_a_reason() {
    for case in Case::all() {
        let Case { place, expected, ours, peer, why, .. } = &case;
        let mut differs = false;
        for other in [ours, peer] {
            let same_exit = other.exit.is_some() && other.exit == expected.exit;
            let same_out = other.out.is_some() && other.out == expected.out;
            assert!(!same_exit && !same_out, "{place}: this is no difference");
            differs |= other.exit.is_some() || other.out.is_some() || !other.err.is_empty();
        }
        assert_eq!(differs, why.is_some(), "{place}: a difference and a reason go together");
        assert!(expected.exit.is_some(), "{place}: no exit code");
    }
}
