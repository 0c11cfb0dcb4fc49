//! Who can open a file, and whether that is me, without opening it and without asking anybody.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::ui::one_line;
use crate::keys::age::Identities;
use crate::keys::{KeyGroup, MasterKey, WrappedKey, needed_groups};

/// Names of owners by kind and key, as the comments of a config have them.
pub type Owners = HashMap<(String, String), String>;

/// The groups of a file, as they are shown.
#[derive(Clone, Debug, Serialize)]
pub struct Readers {
    /// How many of the groups are needed.
    pub needed_groups: usize,
    /// Each group.
    pub groups: Vec<Vec<Reader>>,
    /// Whether the keys at hand open the file.
    pub readable: Readable,
}

/// Somebody who can open a file, or a part of its data key.
#[derive(Clone, Debug, Serialize)]
pub struct Reader {
    /// The kind of the key.
    pub kind: String,
    /// The key.
    pub key: String,
    /// Who it belongs to, where the config says that.
    pub name: Option<String>,
    /// When the key was added, where the file says that.
    pub created_at: Option<String>,
    /// The source of my identity for it.
    pub mine: Option<String>,
}

/// Whether the keys at hand open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readable {
    /// They do.
    Yes,
    /// They do not.
    No,
    /// Only asking a service, a device or the user would tell.
    Unknown,
}

impl Readable {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Readable::Yes => "yes",
            Readable::No => "no",
            Readable::Unknown => "unknown",
        }
    }
}

/// My identities, by the recipients that they are for.
#[derive(Debug)]
pub struct Mine {
    sources: HashMap<String, String>,
    /// Whether there are identities whose recipients are not known.
    has_unknown: bool,
}

impl Mine {
    /// Reads the identities of the environment.
    pub fn read(context: &Context) -> Mine {
        let identities = context.credentials.own::<Identities>();
        let known = identities.known_recipients();
        Mine {
            sources: known.into_iter().rev().collect(),
            has_unknown: identities.has_unknown_recipients(),
        }
    }

    fn source(&self, key: &dyn MasterKey) -> Option<String> {
        // An SSH key may have a comment behind it.
        let words: Vec<&str> = key.identity().split(' ').take(2).collect();
        (key.kind() == "age").then(|| self.sources.get(&words.join(" ")).cloned()).flatten()
    }

    /// Returns whether a key may be mine although nothing says so.
    fn may_have(&self, key: &dyn MasterKey) -> bool {
        key.kind() != "age" || self.has_unknown
    }
}

impl Readers {
    /// Returns the readers of a file.
    pub fn of(groups: &[KeyGroup], threshold: usize, owners: &Owners, mine: &Mine) -> Readers {
        let needed = needed_groups(groups.len(), threshold);
        let own = |key: &WrappedKey| mine.source(&*key.key).is_some();
        let open = groups.iter().filter(|group| group.keys.iter().any(own)).count();
        let maybe = groups
            .iter()
            .filter(|group| group.keys.iter().any(|key| own(key) || mine.may_have(&*key.key)))
            .count();
        let readable = match () {
            () if open >= needed => Readable::Yes,
            () if maybe >= needed => Readable::Unknown,
            () => Readable::No,
        };
        let reader = |key: &WrappedKey| {
            let (kind, text) = (key.key.kind().to_owned(), key.key.identity().to_owned());
            Reader {
                name: owners.get(&(kind.clone(), text.clone())).cloned(),
                mine: mine.source(&*key.key),
                created_at: key.created_at.clone(),
                kind,
                key: text,
            }
        };
        let groups = groups.iter().map(|group| group.keys.iter().map(reader).collect()).collect();
        Readers { needed_groups: needed, groups, readable }
    }

    /// Returns all of them.
    pub fn all(&self) -> impl Iterator<Item = &Reader> {
        self.groups.iter().flatten()
    }

    /// Returns the source of the identity that is mine, if one is.
    pub fn mine(&self) -> Option<&str> {
        self.all().find_map(|reader| reader.mine.as_deref())
    }

    /// Returns the names, or the beginnings of the keys, with commas.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.all().map(Reader::short).collect();
        names.join(", ")
    }

    /// Returns a line for each reader, and one for each group where there are several.
    pub fn lines(&self) -> String {
        // Writing to a `String` cannot fail.
        let mut lines = String::new();
        for (number, group) in self.groups.iter().enumerate() {
            if self.groups.len() > 1 {
                let _ = writeln!(lines, "  group {} of {}:", number + 1, self.groups.len());
            }
            for reader in group {
                let _ = write!(lines, "  {} {}", one_line(&reader.kind), one_line(&reader.key));
                if let Some(name) = &reader.name {
                    let _ = write!(lines, "  # {}", one_line(name));
                }
                if let Some(source) = &reader.mine {
                    let _ = write!(lines, "  (you: {})", one_line(source));
                }
                lines.push('\n');
            }
        }
        lines
    }
}

/// How many characters of a key stand for it where there is no name.
const SHORT: usize = 12;

impl Reader {
    fn short(&self) -> String {
        match &self.name {
            Some(name) => one_line(name).into_owned(),
            None if self.key.chars().count() <= SHORT + 3 => one_line(&self.key).into_owned(),
            None => {
                let start: String = self.key.chars().take(SHORT).collect();
                format!("{}...", one_line(&start))
            }
        }
    }
}
