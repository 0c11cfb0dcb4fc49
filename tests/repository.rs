//! A git repository in a sandbox, run by the real git.

use crate::files::{ALICE, BOB};
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

/// A sandbox whose working directory is a repository with encfile's diffs and merges, and a rule for
/// Alice and Bob.
pub(crate) struct Repository {
    pub(crate) sandbox: Sandbox,
}

impl Repository {
    /// Makes a repository with `files`, plain ones, encrypted and committed.
    pub(crate) fn with(files: &[(&str, &str)]) -> Repository {
        let sandbox = Sandbox::with_identity(ALICE);
        sandbox.config_with(&[ALICE, BOB], "    path_regex: \\.(yaml|json|env|ini)$\n");
        let repository = Repository { sandbox };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["config", "user.name", "a"]);
        repository.git(&["config", "user.email", "a@example.org"]);
        repository.sandbox.encfile(["git", "install"]).go().success();
        for &(name, plain) in files {
            repository.sandbox.write(name, plain);
            repository.sandbox.encfile(["encrypt", "-i", name]).go().success();
        }
        repository.commit("one");
        repository
    }

    /// Runs git, which must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.try_git(arguments).success().into_stdout()).unwrap()
    }

    /// Runs git.
    pub(crate) fn try_git(&self, arguments: &[&str]) -> Outcome {
        self.sandbox.run(&peers::system("git"), arguments).secrets_in_messages().go()
    }

    /// Commits everything.
    #[track_caller]
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", message]);
    }

    /// Changes a file with `sed`, in encfile's editor.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, script: &str) {
        self.sandbox.edit_with(&format!("sed -i '{script}' \"$1\""));
        self.sandbox.encfile(["edit", name]).go().success();
    }

    /// Makes a merge that has one change on a branch and the other on `main`; whether it is clean is
    /// for the caller to see.
    #[track_caller]
    pub(crate) fn merge(&self, name: &str, ours: &str, theirs: &str) -> Outcome {
        self.git(&["checkout", "-qb", "other"]);
        self.edit(name, theirs);
        self.commit("theirs");
        self.git(&["checkout", "-q", "main"]);
        self.edit(name, ours);
        self.commit("ours");
        self.try_git(&["merge", "-q", "other"])
    }

    /// Checks that a file holds `plain` for encfile and for the real SOPS, with a right MAC.
    #[track_caller]
    pub(crate) fn assert_holds(&self, name: &str, plain: &str) {
        self.sandbox.encfile(["decrypt", name]).go().success().stdout(plain);
        self.sandbox.real_sops(["decrypt", name]).go().success();
        peers::assert_valid(&[self.sandbox.path(name)]);
    }
}
