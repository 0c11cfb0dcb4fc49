//! Editors for tests: shell scripts that record what they were given.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::{Sandbox, wait_for};
use crate::peers;

/// One start of a fake editor.
#[derive(Debug)]
pub(crate) struct EditorRun {
    /// The file that it was given.
    pub(crate) file: PathBuf,
    /// The permission bits of that file, and of its directory.
    pub(crate) modes: (u32, u32),
    /// What the file held when the editor started.
    pub(crate) text: String,
    /// The environment of the editor, one `NAME=value` a line.
    pub(crate) environment: String,
}

impl Sandbox {
    /// Writes an editor and returns its path. `script` is a shell script whose `$1` is the file
    /// to edit, whatever arguments came before it; what the editor was given is recorded first, for
    /// [`Sandbox::editor_runs`].
    pub(crate) fn editor(&self, script: &str) -> PathBuf {
        let number = self.editors.get();
        self.editors.set(number + 1);
        self.editor_named(&format!("editor-{number}"), script)
    }

    /// As [`Sandbox::editor`], with a name of your choice, which is in `PATH`.
    pub(crate) fn editor_named(&self, name: &str, script: &str) -> PathBuf {
        let path = self.root.join("bin").join(name);
        let log = self.root.join("log");
        let log = log.display();
        let text = format!(
            "#!/bin/sh\n\
             set -eu\n\
             for file; do :; done\n\
             set -- \"$file\"\n\
             run={log}/$(ls {log} | wc -l)\n\
             mkdir \"$run\"\n\
             env > \"$run/environment\"\n\
             cat \"$1\" > \"$run/text\"\n\
             stat -c %a \"$1\" > \"$run/mode\"\n\
             stat -c %a \"$(dirname \"$1\")\" > \"$run/folder-mode\"\n\
             printf %s \"$1\" > \"$run/file\"\n\
             {script}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Leaves only the fake editors in `PATH`, and what their scripts need.
    pub(crate) fn hide_other_programs(&self) {
        let folder = self.root.join("bin");
        for program in ["cat", "dirname", "env", "ls", "mkdir", "sed", "stat", "wc"] {
            symlink(peers::system(program), folder.join(program)).unwrap();
        }
        self.env("PATH", folder);
    }

    /// Makes `script` the editor of all later runs (see [`Sandbox::editor`]).
    pub(crate) fn edit_with(&self, script: &str) -> &Sandbox {
        let editor = self.editor(script);
        self.env("EDITOR", editor)
    }

    /// Returns what the fake editors were given, in order.
    pub(crate) fn editor_runs(&self) -> Vec<EditorRun> {
        let log = self.root.join("log");
        let count = fs::read_dir(&log).unwrap().count();
        (0..count)
            .map(|number| {
                let run = log.join(number.to_string());
                let read = |name: &str| {
                    let path = run.join(name);
                    fs::read_to_string(&path)
                        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
                };
                let mode = |name: &str| u32::from_str_radix(read(name).trim(), 8).unwrap();
                EditorRun {
                    file: PathBuf::from(read("file")),
                    modes: (mode("mode"), mode("folder-mode")),
                    text: read("text"),
                    environment: read("environment"),
                }
            })
            .collect()
    }

    /// Waits until a fake editor runs: until it has recorded what it was given.
    pub(crate) fn wait_for_editor(&self) -> PathBuf {
        PathBuf::from(wait_for(&self.root.join("log/0/file")))
    }
}
