//! The files of `testdata/`: found by looking, never listed; and keys for what tests encrypt.

use std::fs;
use std::path::{Path, PathBuf};

use encfile::crypt::data_key::DataKey;
use encfile::keys::{self, Credentials, KeyGroup, KeyKind, WrappedKey};
use encfile::metadata::Metadata;
use encfile::tree::Timestamp;

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file below `folder` (relative to the repository), sorted.
///
/// # Panics
/// If there is none: a loop over no files would pass.
pub(crate) fn below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap();
            // What programs have made there is not ours.
            let made = ["target", "artifacts", "coverage"].map(Some);
            if made.contains(&entry.file_name().to_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no files below {folder}");
    found
}

/// Returns `path` relative to the repository, for messages.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

/// A test identity of `testdata/keys`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestKey(&'static str);

/// Reads `testdata/examples` and the corpus.
pub(crate) const ALICE: TestKey = TestKey("alice");
/// Another recipient.
pub(crate) const BOB: TestKey = TestKey("bob");
/// A recipient that comes and goes.
pub(crate) const CAROL: TestKey = TestKey("carol");
/// A post-quantum key.
pub(crate) const GRACE: TestKey = TestKey("grace");

impl TestKey {
    /// Returns the path of the identity file.
    pub(crate) fn path(self) -> PathBuf {
        repository().join(format!("testdata/keys/{}.txt", self.0))
    }

    /// Returns the secret identity, `AGE-SECRET-KEY-1...`.
    pub(crate) fn identity(self) -> String {
        self.line("AGE-SECRET-KEY-1")
    }

    /// Returns the recipient, `age1...`.
    pub(crate) fn recipient(self) -> String {
        let line = self.line("# public key: ");
        line["# public key: ".len()..].to_owned()
    }

    fn line(self, start: &str) -> String {
        let text = fs::read_to_string(self.path()).unwrap();
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{} has no line `{start}`", self.path().display()))
            .to_owned()
    }
}

/// A data key that is wrapped for Alice: one for all files, since `age` is slow.
pub(crate) struct Keys {
    pub(crate) data_key: DataKey,
    pub(crate) metadata: Metadata,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        let data_key = DataKey::generate().unwrap();
        let now = Timestamp::from_unix_timestamp(1_790_000_000).unwrap();
        let age = KeyKind::named("age").unwrap();
        let key = keys::parse(age, &ALICE.recipient(), &[]).unwrap();
        let mut groups = vec![KeyGroup { keys: vec![WrappedKey::new(key, now)] }];
        keys::wrap_all(&mut groups, 0, &data_key, &Credentials::none()).unwrap();
        Keys { data_key, metadata: Metadata::new(groups, now) }
    }
}
