//! Trees as variables: what a program gets in its environment, and texts for those who set one up.
//!
//! [`Variables`] are names and values, in the order of the file, of one tree or several;
//! [`Reading`] is how keys become names. [`Syntax`] writes them as a shell, GitHub's runner, docker
//! or systemd reads them. Nothing here knows formats or keys, and no error has a value.
//!
//! The text of a value is the one that SOPS gives it, which is also that of a dotenv file: `1.50` in
//! YAML is the number `1.5`. Only, numbers have no exponent, and in JSON, where `2` may be a float,
//! no `.0`.

mod dotenv;
mod only;
mod syntax;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::number;
use crate::secret::SecretBytes;
use crate::tree::{NodeId, NodeKind, Tree};

pub use only::Only;
pub use syntax::{Syntax, github_masks};

/// The longest name of a variable, in bytes. Longer ones help nobody, and a deep tree would have
/// names of megabytes.
const MAX_NAME: usize = 4096;

/// How a tree becomes variables.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What stands between the keys in the name of a nested value; without it, nested values are
    /// an error.
    pub separator: Option<String>,
    /// What names and values are to be read as.
    pub source: Source,
}

/// What the names and values of a tree are to be read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A file that says what it means. There may be one document only, and a null is an empty text.
    #[default]
    Typed,
    /// JSON: as [`Source::Typed`], where a whole number may be a float.
    Json,
    /// dotenv, with `export`, quotes, escapes and comments that are not part of the value.
    Dotenv,
    /// Any file as SOPS reads it: the first document counts, names are hardly checked, dotenv has
    /// values as they stand, and a null is `<nil>`.
    AsSops,
}

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, without NUL.
    pub value: SecretBytes,
}

/// Variables, each name once, in the order in which the names came.
#[derive(Debug, Default)]
pub struct Variables {
    list: Vec<Variable>,
    places: HashMap<String, usize>,
}

/// What cannot be a variable, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A map or list, and nested values are not asked for.
    #[error("cannot use complex value in environment; offending key {name}")]
    Nested {
        /// The key.
        name: String,
    },
    /// A key with `=`.
    #[error("cannot use keys with '=' in environment: {name}")]
    Equals {
        /// The key.
        name: String,
    },
    /// A key that is no name.
    #[error("`{name}` cannot be the name of a variable: {reason}")]
    Name {
        /// The key.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A value that the receiver cannot get.
    #[error("the value of `{name}` {reason}")]
    Value {
        /// The variable.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// Two different keys of one file that have the same name.
    #[error("two keys of the file give the variable `{name}`")]
    Collision {
        /// The name.
        name: String,
    },
    /// Several documents.
    #[error("the file has several documents, and variables come from one")]
    SeveralDocuments,
    /// What is to be exported is one value.
    #[error("a single value has no name, and cannot be a variable")]
    NoMap,
    /// There was no randomness for a delimiter.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl Variables {
    /// Returns the variables in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.list.iter()
    }

    /// Adds the values of a tree that `only` selects; they replace earlier ones of the same name.
    ///
    /// # Errors
    /// - [`ExportError::Nested`] for a map or list, if there is no separator
    /// - [`ExportError::Collision`] if nested keys give the same name
    /// - for names and values that no environment can hold
    pub fn add(
        &mut self,
        tree: &Tree,
        reading: &Reading,
        only: &mut Only,
    ) -> Result<(), ExportError> {
        let mut documents = tree.documents();
        let Some(root) = documents.next() else {
            return Ok(());
        };
        if reading.source != Source::AsSops && documents.next().is_some() {
            return Err(ExportError::SeveralDocuments);
        }
        if !tree.node(root).kind.is_container() {
            return Err(ExportError::NoMap);
        }
        // Names of this tree, and whether they are of nested values.
        let mut own = HashMap::new();
        let mut names = Names::new(tree, root, reading);
        while let Some(id) = names.advance()? {
            let name = names.current();
            if !only.selects(name) {
                continue;
            }
            if tree.node(id).kind.is_container() {
                return Err(ExportError::Nested { name: name.to_owned() });
            }
            check_name(name, reading)?;
            match own.entry(name.to_owned()) {
                Entry::Occupied(first) if names.nested() || *first.get() => {
                    return Err(ExportError::Collision { name: name.to_owned() });
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(names.nested());
                }
            }
            let value = value(tree, id, reading.source);
            if memchr::memchr(0, &value).is_some() {
                let reason = "has a NUL byte, which no variable can hold";
                return Err(ExportError::Value { name: name.to_owned(), reason });
            }
            self.set(name, value);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: SecretBytes) {
        if let Some(&place) = self.places.get(name) {
            self.list[place].value = value;
        } else {
            self.places.insert(name.to_owned(), self.list.len());
            self.list.push(Variable { name: name.to_owned(), value });
        }
    }
}

/// A walk over the values of a tree with the names that they have as variables.
struct Names<'t> {
    tree: &'t Tree,
    reading: &'t Reading,
    /// The place of the next node.
    next: usize,
    levels: Vec<Level>,
    name: String,
}

/// A map or list that the walk is in.
struct Level {
    /// The place behind its last node.
    end: usize,
    /// How long the name is that it has itself.
    name: usize,
    /// The number of the next member of a list.
    number: Option<usize>,
}

impl<'t> Names<'t> {
    fn new(tree: &'t Tree, root: NodeId, reading: &'t Reading) -> Names<'t> {
        let mut names =
            Names { tree, reading, next: root.index(), levels: Vec::new(), name: String::new() };
        names.enter(root);
        names
    }

    fn enter(&mut self, id: NodeId) {
        let node = self.tree.node(id);
        let number = (node.kind == NodeKind::List).then_some(0);
        self.levels.push(Level { end: node.end(), name: self.name.len(), number });
        self.next = id.index() + 1;
    }

    /// Returns the name of the value that [`Names::advance`] returned.
    fn current(&self) -> &str {
        &self.name
    }

    /// Returns whether that value stands in a map or list of the root.
    fn nested(&self) -> bool {
        self.levels.len() > 1
    }

    /// Returns the next value; a map or list only where nested values are not asked for.
    fn advance(&mut self) -> Result<Option<NodeId>, ExportError> {
        while let Some(level) = self.levels.last_mut() {
            let Some(id) = self.tree.id_at(self.next).filter(|id| id.index() < level.end) else {
                self.levels.pop();
                continue;
            };
            let node = self.tree.node(id);
            self.next = node.end();
            if node.kind.is_comment() {
                continue;
            }
            self.name.truncate(level.name);
            let number = level.number.as_mut().map(|number| std::mem::replace(number, *number + 1));
            if self.nested() {
                self.name.push_str(self.reading.separator.as_deref().unwrap_or_default());
            }
            match number {
                Some(number) => self.name.push_str(&number.to_string()),
                None => self.push_key(self.tree.key(id).unwrap_or_default())?,
            }
            if self.name.len() > MAX_NAME {
                let reason = "it is longer than 4,096 bytes";
                return Err(unnamable(self.name.get(..40).unwrap_or_default(), reason));
            }
            if node.kind.is_container() && self.reading.separator.is_some() {
                self.enter(id);
                continue;
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    fn push_key(&mut self, key: &[u8]) -> Result<(), ExportError> {
        let Ok(key) = std::str::from_utf8(key) else {
            return Err(unnamable(&String::from_utf8_lossy(key), "it is not UTF-8"));
        };
        self.name.push_str(if self.reading.source == Source::Dotenv {
            dotenv::name(key)
        } else {
            key
        });
        Ok(())
    }
}

fn unnamable(name: &str, reason: &'static str) -> ExportError {
    ExportError::Name { name: name.to_owned(), reason }
}

fn check_name(name: &str, reading: &Reading) -> Result<(), ExportError> {
    if name.contains('=') {
        return Err(ExportError::Equals { name: name.to_owned() });
    }
    if name.contains('\0') {
        return Err(unnamable(name, "it has a NUL character"));
    }
    if reading.source == Source::AsSops {
        return Ok(());
    }
    if name.is_empty() {
        return Err(unnamable(name, "it is empty"));
    }
    if name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(unnamable(name, "it has a blank or control character"));
    }
    Ok(())
}

/// Returns the text of a value.
fn value(tree: &Tree, id: NodeId, source: Source) -> SecretBytes {
    let text = match tree.node(id).kind {
        NodeKind::Null if source == Source::AsSops => Cow::Borrowed(&b"<nil>"[..]),
        NodeKind::Unsigned(number) => Cow::Owned(number.to_string().into_bytes()),
        NodeKind::Float(number) if source != Source::AsSops => {
            Cow::Owned(float(number, source).into_bytes())
        }
        _ => tree.value(id).map(number::flat_text).unwrap_or_default(),
    };
    if source == Source::Dotenv { dotenv::value(&text) } else { SecretBytes::from(&*text) }
}

/// Returns the text of a float without exponent.
fn float(number: f64, source: Source) -> String {
    let mut text = number::canonical_float(number);
    if number.is_finite() && number.fract() == 0.0 && source != Source::Json {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests;
