//! Three people with keys of their own and a clone each, and the files that they share.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::files::{ALICE, BOB, CAROL, TestKey};
use crate::peers;
use crate::sandbox::{CANARY, Outcome, Sandbox, list};

const TEAM: [(&str, TestKey); 3] = [("alice", ALICE), ("bob", BOB), ("carol", CAROL)];

/// The shared files, the tree path of an entry in each, and the plain text that they begin as; `@`
/// stands for the name of the entry.
const FILES: [(&str, &str, &str); 5] = [
    (
        "secrets/app.yaml",
        "[\"@\"]",
        "# shared canary\none: canary-1\ntwo: canary-2\nthree: canary-3\nlist:\n    - canary-l\n",
    ),
    (
        "secrets/app.json",
        "[\"@\"]",
        "{\n    \"one\": \"canary-1\",\n    \"two\": \"canary-2\",\n    \"three\": \"canary-3\"\n}\n",
    ),
    ("secrets/app.env", "[\"@\"]", "# canary\none=canary-1\ntwo=canary-2\nthree=canary-3\n"),
    (
        "secrets/app.ini",
        "[\"db\"][\"@\"]",
        "[db]\none = canary-1\ntwo = canary-2\nthree = canary-3\n",
    ),
    (
        "secrets/app.toml",
        "[\"@\"]",
        "one = \"canary-1\"\ntwo = \"canary-2\"\nthree = \"canary-3\"\n",
    ),
];

/// The repository of a team.
struct Team {
    sandbox: Sandbox,
    /// What each entry is to be, in all files.
    expected: BTreeMap<&'static str, String>,
}

impl Team {
    fn new() -> Team {
        let sandbox = Sandbox::new();
        let config = "[user]\nname = team\nemail = team@example.org\n[core]\neditor = true\n\
                      [advice]\nmergeConflict = false\n";
        fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
        let bin = sandbox.path("../bin");
        symlink(env!("CARGO_BIN_EXE_encfile"), bin.join("encfile")).unwrap();
        let expected = [("one", "canary-1"), ("two", "canary-2"), ("three", "canary-3")];
        let expected = expected.map(|(key, value)| (key, value.to_owned())).into();
        let team = Team { sandbox, expected };
        team.git(".", ["init", "-q", "--bare", "-b", "main", "origin"]).success();
        for (number, (name, _)) in TEAM.into_iter().enumerate() {
            team.git(".", ["clone", "-q", "origin", name]).success();
            if number == 0 {
                team.begin();
            }
            team.encfile(name, ["git", "install"]).success();
        }
        team
    }

    fn begin(&self) {
        let keys = TEAM.map(|(_, key)| key.recipient()).join(",");
        let config = format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\n");
        self.sandbox.write("alice/.sops.yaml", config);
        for (file, _, plain) in FILES {
            self.sandbox.write(format!("alice/{file}"), plain);
            self.encfile("alice", ["encrypt", "-i", file]).success();
        }
        self.encfile("alice", ["git", "install"]).success();
        self.commit("alice", "start");
        self.git("alice", ["push", "-q", "origin", "HEAD:main"]).success();
    }

    fn git<const N: usize>(&self, who: &str, arguments: [&str; N]) -> Outcome {
        self.run(who, &peers::system("git"), &arguments)
    }

    fn encfile<const N: usize>(&self, who: &str, arguments: [&str; N]) -> Outcome {
        self.run(who, Path::new(env!("CARGO_BIN_EXE_encfile")), &arguments)
    }

    fn run(&self, who: &str, program: &Path, arguments: &[&str]) -> Outcome {
        let run = self.sandbox.run(program, arguments).in_folder(who);
        let key = TEAM.into_iter().find(|(name, _)| *name == who);
        match key {
            Some((_, key)) => run.env("SOPS_AGE_KEY_FILE", key.path()).go(),
            None => run.go(),
        }
    }

    /// Sets an entry in all files.
    fn set(&self, who: &str, entry: &str, value: &str) {
        for (file, path, _) in FILES {
            let path = path.replace('@', entry);
            self.encfile(who, ["set", file, &path, &format!("\"{value}\"")]).success();
        }
    }

    /// Sets an entry in all files, and remembers it.
    fn agree(&mut self, who: &str, entry: &'static str, value: &str) {
        self.set(who, entry, value);
        self.expected.insert(entry, value.to_owned());
    }

    fn commit(&self, who: &str, message: &str) {
        self.git(who, ["add", "-A"]).success();
        self.git(who, ["commit", "-qm", message]).success();
    }

    fn push(&self, who: &str) {
        self.git(who, ["push", "-q", "origin", "HEAD:main"]).success();
    }

    fn rebase_and_push(&self, who: &str) {
        self.git(who, ["pull", "-q", "--rebase", "origin", "main"]).success();
        self.push(who);
    }

    fn merge_and_push(&self, who: &str) {
        self.git(who, ["pull", "-q", "--no-rebase", "--no-edit", "origin", "main"]).success();
        self.push(who);
    }

    /// All take what there is; then everything is right in every clone of `readers`.
    fn check(&self, readers: &[(&str, TestKey)]) {
        for &(name, key) in readers {
            self.git(name, ["pull", "-q", "--ff-only", "origin", "main"]).success();
            let files = FILES.map(|(file, ..)| self.sandbox.path(format!("{name}/{file}")));
            self.encfile(name, ["check", "--verify"]).success();
            // The checker knows no TOML.
            peers::assert_valid_with(&key.path(), &files[..4]);
        }
        let (name, _) = readers[0];
        for (file, ..) in FILES {
            let plain = self.encfile(name, ["decrypt", file]).success().into_stdout();
            let plain = String::from_utf8(plain).unwrap();
            let found: BTreeMap<&str, String> = plain.lines().filter_map(entry).collect();
            let expected: BTreeMap<&str, String> =
                self.expected.iter().map(|(key, value)| (*key, value.clone())).collect();
            assert_eq!(found, expected, "{file}\n{plain}");
        }
        let sops = self.run(name, &peers::sops(), &["decrypt", FILES[0].0]).success();
        let ours = self.encfile(name, ["decrypt", FILES[0].0]).success();
        assert_eq!(data_lines(sops), data_lines(ours));
        self.assert_nothing_in_clear();
    }

    /// Looks for the values in all objects, packed or not, reachable or not, and in all files.
    fn assert_nothing_in_clear(&self) {
        let git = ["cat-file", "--batch-all-objects", "--unordered", "--batch"];
        for clone in ["origin", "alice", "bob", "carol"] {
            let objects = self.git(clone, git).success().into_stdout();
            assert!(objects.len() > 10_000, "{} bytes", objects.len());
            assert_none(clone, &objects);
            for file in list(&self.sandbox.path(clone)) {
                let path = self.sandbox.path(clone).join(&file);
                if path.is_file() {
                    assert_none(&file, &fs::read(path).unwrap());
                }
            }
        }
    }
}

fn assert_none(place: &str, bytes: &[u8]) {
    let found = memchr::memmem::find(bytes, CANARY.as_bytes());
    assert_eq!(found, None, "a value stands in clear in {place}");
}

/// Reads `key: value`, `key = "value"` and so on; nothing of comments and lists.
fn entry(line: &str) -> Option<(&str, String)> {
    let clean = |part: &str| part.trim().trim_end_matches(',').trim_matches('"').to_owned();
    let line = line.trim();
    let end = line.find([':', '='])?;
    let (key, value) = (line[..end].trim().trim_matches('"'), clean(&line[end + 1..]));
    (!line.starts_with('#') && !value.is_empty() && value != "{").then_some((key, value))
}

fn data_lines(outcome: Outcome) -> Vec<String> {
    let text = String::from_utf8(outcome.into_stdout()).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_team_shares_files_without_losing_a_value_or_showing_one() {
    let mut team = Team::new();
    team.check(&TEAM);

    // Three at once, on neighbouring lines: pushed, rebased, merged.
    team.agree("alice", "one", "canary-alice");
    team.agree("bob", "two", "canary-bob");
    team.agree("carol", "three", "canary-carol");
    for (name, _) in TEAM {
        team.commit(name, "parallel edits");
    }
    team.push("alice");
    team.rebase_and_push("bob");
    team.merge_and_push("carol");
    team.check(&TEAM);

    // New entries at the same place.
    team.agree("alice", "four", "canary-four");
    team.agree("bob", "five", "canary-five");
    team.commit("alice", "four");
    team.commit("bob", "five");
    team.push("alice");
    team.rebase_and_push("bob");
    team.check(&TEAM);

    // A data key that is rotated while somebody edits.
    for (file, ..) in FILES {
        team.encfile("alice", ["rotate", "-i", file]).success();
    }
    team.commit("alice", "rotated");
    team.agree("bob", "one", "canary-after");
    team.commit("bob", "edit beside the rotation");
    team.agree("carol", "two", "canary-beside");
    team.commit("carol", "edit beside the rotation");
    team.push("alice");
    team.rebase_and_push("bob");
    team.merge_and_push("carol");
    team.check(&TEAM);

    // One of two commits, picked.
    team.git("carol", ["checkout", "-q", "-b", "topic"]).success();
    team.set("carol", "four", "canary-not-picked");
    team.commit("carol", "not this");
    team.agree("carol", "five", "canary-picked");
    team.commit("carol", "this");
    team.git("carol", ["push", "-q", "origin", "topic"]).success();
    team.git("carol", ["checkout", "-q", "main"]).success();
    team.git("alice", ["fetch", "-q", "origin", "topic"]).success();
    team.agree("alice", "one", "canary-before-the-pick");
    team.commit("alice", "before the pick");
    team.git("alice", ["cherry-pick", "FETCH_HEAD"]).success();
    team.push("alice");
    team.check(&TEAM);

    // Both want something else: neither value is on the disk, and the markers are not committed.
    team.agree("alice", "three", "canary-hers");
    team.commit("alice", "hers");
    team.push("alice");
    team.set("bob", "three", "canary-his");
    team.commit("bob", "his");
    let pull = ["pull", "-q", "--no-rebase", "--no-edit", "origin", "main"];
    team.git("bob", pull).code(1);
    let text = team.sandbox.read(format!("bob/{}", FILES[0].0));
    assert!(text.contains("<<<<<<< ") && text.contains(">>>>>>> "), "{text}");
    team.assert_nothing_in_clear();
    team.git("bob", ["commit", "-qam", "unresolved"]).code(1).says(["conflict-markers"]);
    team.git("bob", ["merge", "--abort"]).success();
    team.git("bob", ["reset", "-q", "--hard", "origin/main"]).success();
    team.check(&TEAM);

    // Carol leaves, while Bob edits.
    let keys = [ALICE, BOB].map(TestKey::recipient).join(",");
    let config = format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\n");
    team.sandbox.write("alice/.sops.yaml", config);
    for (file, ..) in FILES {
        team.encfile("alice", ["updatekeys", "--yes", file]).success();
    }
    team.commit("alice", "without Carol");
    team.agree("bob", "one", "canary-secret-from-carol");
    team.commit("bob", "an edit for three");
    team.push("alice");
    team.rebase_and_push("bob");
    team.check(&TEAM[..2]);
    team.git("carol", ["pull", "-q", "--ff-only", "origin", "main"]).success();
    for (file, ..) in FILES {
        team.encfile("carol", ["decrypt", file]).failure();
    }
}
