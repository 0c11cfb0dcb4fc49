//! A linked worktree, in a repository whose objects have names by SHA-256.

use crate::files::ALICE;
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

const YAML: &str = "a: 1\nb: two\nc: canary-three\n";
const TOML: &str = "[db]\npassword = \"canary-p\" # of the shop\nport = 5\n";

fn git(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    sandbox.run(&peers::system("git"), arguments).secrets_in_messages().go()
}

#[test]
fn a_linked_worktree_shows_merges_and_checks_as_the_first_one() {
    let sandbox = Sandbox::with_identity(ALICE);
    git(&sandbox, &["init", "-q", "-b", "main", "--object-format=sha256"]).success();
    for (name, value) in [("user.name", "a"), ("user.email", "a@example.org")] {
        git(&sandbox, &["config", name, value]).success();
    }
    sandbox.config_with(&[ALICE], "    path_regex: \\.(yaml|toml)$\n");
    sandbox.write("s.yaml", YAML);
    sandbox.write("t.toml", TOML);
    sandbox.encfile(["encrypt", "-i", "s.yaml", "t.toml"]).go().success();
    sandbox.encfile(["git", "install"]).go().success();
    git(&sandbox, &["add", "-A"]).success();
    git(&sandbox, &["commit", "-qm", "one"]).success();

    git(&sandbox, &["worktree", "add", "-q", "linked", "-b", "side"]).success();
    let set = |file: &str, path: &str, value: &str| {
        sandbox.encfile(["set", file, path, value]).go().success();
    };
    set("linked/t.toml", "db.port", "6");
    set("linked/s.yaml", "a", "10");
    let shown = git(&sandbox, &["-C", "linked", "diff", "--unified=0"]).success().into_stdout();
    let shown = String::from_utf8(shown).unwrap();
    let changed: Vec<&str> = shown
        .lines()
        .filter(|line| {
            line.starts_with(['-', '+']) && !line.starts_with("---") && !line.starts_with("+++")
        })
        .collect();
    assert_eq!(changed, ["-a: 1", "+a: 10", "-port = 5", "+port = 6"]);
    git(&sandbox, &["-C", "linked", "commit", "-qam", "side"]).success();

    set("t.toml", "db.password", "\"canary-q\"");
    set("s.yaml", "c", "\"canary-x\"");
    git(&sandbox, &["commit", "-qam", "main"]).success();
    git(&sandbox, &["merge", "-q", "side"]).success();
    let toml = "[db]\npassword = \"canary-q\" # of the shop\nport = 6\n";
    sandbox.encfile(["decrypt", "t.toml"]).go().success().stdout(toml);
    let yaml = "a: 10\nb: two\nc: canary-x\n";
    sandbox.encfile(["decrypt", "s.yaml"]).go().success().stdout(yaml);
    sandbox.real_sops(["decrypt", "s.yaml"]).go().success().stdout(yaml);
    sandbox.encfile(["check", "--verify", "s.yaml", "t.toml"]).go().success();
    let difference = "s.yaml\n  ~ [\"c\"]: \"canary-three\" -> \"canary-x\"\n\
                      t.toml\n  ~ [\"db\"][\"password\"]: \"canary-p\" -> \"canary-q\"\n";
    sandbox.encfile(["diff", "side", "HEAD"]).go().code(1).stdout(difference);

    sandbox.write("linked/u.yaml", "k: canary-clear\n");
    git(&sandbox, &["-C", "linked", "add", "-A"]).success();
    git(&sandbox, &["-C", "linked", "commit", "-qm", "clear"]).no_success();
    sandbox.encfile(["check", "--staged"]).in_folder("linked").go().code(1);
    sandbox.encfile(["scan", "--staged"]).in_folder("linked").go().success();
}
