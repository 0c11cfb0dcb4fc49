//! Tree paths, as people write them: SOPS' `["a"][0]["b"]` and the short `a[0].b`.

use std::fmt;

use crate::tree::{NodeId, NodeKind, Tree};

/// A step of a tree path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// A path from the root of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreePath {
    components: Vec<Component>,
}

impl TreePath {
    /// Reads a path. An empty one, or `[` alone, is the root.
    ///
    /// # Errors
    /// If the text is no path.
    pub fn parse(text: &str) -> Result<TreePath, TreePathError> {
        let components =
            if text.starts_with('[') || text.is_empty() { bracketed(text)? } else { short(text)? };
        Ok(TreePath { components })
    }

    /// Reads a path in SOPS' form alone.
    ///
    /// # Errors
    /// If the text is no such path.
    pub fn parse_bracketed(text: &str) -> Result<TreePath, TreePathError> {
        Ok(TreePath { components: bracketed(text)? })
    }

    /// Returns whether the path is that of the root.
    pub fn is_root(&self) -> bool {
        self.components.is_empty()
    }

    /// Returns the steps.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Returns the path of these steps.
    pub fn new(components: Vec<Component>) -> TreePath {
        TreePath { components }
    }

    /// Finds the node below `root`.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, tree: &Tree, root: NodeId) -> Result<NodeId, TreePathError> {
        let mut node = root;
        for component in &self.components {
            node = match (component, tree.node(node).kind) {
                (Component::Key(key), NodeKind::Map) => tree
                    .entry(node, key.as_bytes())
                    .ok_or_else(|| TreePathError::NotFound { component: format!("['{key}']") })?,
                (Component::Index(index), NodeKind::List) => tree
                    .children(node)
                    .filter(|&member| !tree.node(member).kind.is_comment())
                    .nth(*index)
                    .ok_or(TreePathError::OutOfBounds { index: *index })?,
                (Component::Key(key), _) => {
                    return Err(TreePathError::NotAMap { component: format!("['{key}']") });
                }
                (Component::Index(index), _) => {
                    return Err(TreePathError::NotAList { index: *index });
                }
            };
        }
        Ok(node)
    }
}

impl fmt::Display for TreePath {
    /// Writes SOPS' form, as [`Tree::path`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.components.iter().try_for_each(|component| match component {
            Component::Key(key) => write!(f, "[\"{}\"]", key.escape_debug()),
            Component::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// Reads SOPS' form: pieces in brackets, each a quoted key or an index.
fn bracketed(text: &str) -> Result<Vec<Component>, TreePathError> {
    let malformed = |piece: &str| TreePathError::Malformed { piece: piece.to_owned() };
    let mut components = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.strip_prefix('[') {
        if open.is_empty() && components.is_empty() {
            return Ok(components);
        }
        // A quoted key ends at the quote in front of the bracket, so it may hold brackets.
        let quote = open.chars().next().filter(|first| matches!(first, '"' | '\''));
        let piece = if let Some(quote) = quote {
            let end = open[1..].find(&format!("{quote}]")).ok_or_else(|| malformed(open))?;
            components.push(Component::Key(open[1..=end].to_owned()));
            end + 3
        } else {
            let end = open.find(']').ok_or_else(|| malformed(open))?;
            let index = open[..end].parse().map_err(|_| malformed(&open[..end]))?;
            components.push(Component::Index(index));
            end + 1
        };
        rest = &open[piece..];
    }
    if rest.is_empty() { Ok(components) } else { Err(malformed(rest)) }
}

/// Reads the short form: keys with `.` between them, indices in brackets.
fn short(text: &str) -> Result<Vec<Component>, TreePathError> {
    let malformed = |piece: &str| TreePathError::Malformed { piece: piece.to_owned() };
    let mut components = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        if end == 0 || rest[..end].contains(']') {
            return Err(malformed(rest));
        }
        components.push(Component::Key(rest[..end].to_owned()));
        rest = &rest[end..];
        while rest.starts_with('[') {
            let end = rest.find(']').ok_or_else(|| malformed(rest))?;
            components.extend(bracketed(&rest[..=end])?);
            rest = &rest[end + 1..];
        }
        if rest.is_empty() {
            return Ok(components);
        }
        rest = rest.strip_prefix('.').ok_or_else(|| malformed(rest))?;
    }
}

/// Why a tree path cannot be followed. It holds keys, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreePathError {
    /// The text is no path.
    #[error("`{piece}` is not a part of a tree path; write `[\"key\"][0]` or `key[0]`")]
    Malformed {
        /// The part.
        piece: String,
    },
    /// The path has no step, where an entry is needed.
    #[error("the path leads to the whole document, and not to an entry of it")]
    Root,
    /// There is no such key.
    #[error("component {component} not found")]
    NotFound {
        /// The step.
        component: String,
    },
    /// The list is shorter.
    #[error("component [{index}] accesses out of bounds")]
    OutOfBounds {
        /// The index.
        index: usize,
    },
    /// A key where there is no map.
    #[error("component {component} is a key, but what is there is not a map")]
    NotAMap {
        /// The step.
        component: String,
    },
    /// An index where there is no list.
    #[error("component [{index}] is integer, but tree part is not a slice")]
    NotAList {
        /// The index.
        index: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let key = |key: &str| Component::Key(key.to_owned());
        for (text, components) in [
            ("", vec![]),
            ("[", vec![]),
            ("[\"a\"][0]['b']", vec![key("a"), Component::Index(0), key("b")]),
            ("[\"a[0]\"]", vec![key("a[0]")]),
            ("a", vec![key("a")]),
            ("a[0].b", vec![key("a"), Component::Index(0), key("b")]),
            (
                "a[\"x.y\"][1][2]",
                vec![key("a"), key("x.y"), Component::Index(1), Component::Index(2)],
            ),
        ] {
            assert_eq!(TreePath::parse(text).unwrap().components(), components, "{text}");
        }
        for text in
            ["[]", "[a]", "[-1]", "[\"a\"", "[0", "a[", "a..b", ".a", "a]", "a[0]b", "[0]x", "['é"]
        {
            assert!(TreePath::parse(text).is_err(), "{text}");
        }
    }
}
