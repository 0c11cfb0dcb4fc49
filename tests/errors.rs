//! Inputs that SOPS refuses, or only just accepts: `testdata/errors`, see the README there.
//!
//! Run as `sops`, the program ends each of them with the exit code that SOPS 3.13.2 ended it with,
//! but where `expectations.txt` says otherwise, with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::files::{below, repository};
use crate::sandbox::Sandbox;

const RECIPIENT: &str = "age1lcd05y8qq7256hxlxfzj0u2vuphtdxdhz0e5hgyv9fppcpjs83zsxq4cja";

/// One input.
struct Case {
    /// `<file>/<number from 0>`.
    id: String,
    /// What it shows.
    about: String,
    /// The ending of its name.
    ending: String,
    text: String,
    /// Whether it is a plain text to encrypt; else it is to be decrypted.
    plain: bool,
    /// SOPS' exit code.
    recorded: i32,
}

impl Case {
    fn all() -> Vec<Case> {
        let files = below("testdata/errors").into_iter();
        files
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .flat_map(|path: PathBuf| {
                let file = path.file_stem().unwrap().to_string_lossy().into_owned();
                let cases: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                let cases = cases.into_iter().enumerate();
                cases
                    .map(move |(number, case)| Case::read(&file, number, &case))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn read(file: &str, number: usize, case: &Value) -> Case {
        let text = |name: &str| case[name].as_str().map(str::to_owned);
        let plain = text("input");
        Case {
            id: format!("{file}/{number}"),
            about: text("name").or_else(|| plain.clone()).unwrap(),
            ending: text("ext").unwrap_or_else(|| "yaml".to_owned()),
            plain: plain.is_some(),
            text: plain.or_else(|| text("file")).unwrap(),
            recorded: i32::try_from(case["rc3132"].as_i64().unwrap()).unwrap(),
        }
    }

    /// Runs the program as `sops` and returns its exit code.
    fn run(&self, sandbox: &Sandbox) -> i32 {
        let name = format!("case.{}", self.ending);
        sandbox.write(&name, &self.text);
        let arguments: &[&str] =
            if self.plain { &["encrypt", "--age", RECIPIENT, &name] } else { &["decrypt", &name] };
        let outcome = sandbox.as_sops(arguments).go();
        let code = outcome.exit_code();
        assert!(code == 0 || outcome.stdout_is_empty(), "{}: an output in part", self.id);
        code
    }
}

/// Returns the lines of `expectations.txt`: the case, our exit code, and the reason.
fn expectations() -> BTreeMap<String, i32> {
    let text = fs::read_to_string(repository().join("testdata/errors/expectations.txt")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (case, rest) = line.split_once(' ').expect("a case and what it does");
            let (code, reason) = rest.split_once(": ").expect("a reason");
            assert!(!reason.is_empty(), "{line}");
            (case.to_owned(), code.parse().expect("an exit code"))
        })
        .collect()
}

#[test]
fn bad_input_ends_as_with_sops_or_as_expected() {
    let sandbox = Sandbox::new();
    sandbox.env("SOPS_AGE_KEY_FILE", repository().join("testdata/vectors/keys.txt"));
    let mut expectations = expectations();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let code = case.run(&sandbox);
        let expected = expectations.remove(&case.id);
        if expected == Some(case.recorded) {
            wrong.push(format!("{}: the expectation is what SOPS does", case.id));
        }
        let expected = expected.unwrap_or(case.recorded);
        if code != expected {
            let about = &case.about;
            wrong.push(format!("{}: exit code {code}, not {expected}: {about:?}", case.id));
        }
    }
    wrong.extend(expectations.into_keys().map(|case| format!("{case}: there is no such case")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
