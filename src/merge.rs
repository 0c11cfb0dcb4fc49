//! The three-way merge of files: values by their tree paths, text by lines, recipients as sets.
//!
//! [`three_way`] merges plain documents. Lines come first, so that comments, order and spelling are
//! those of the sides; a result counts only if its tree is the merge of the trees. Where lines do
//! not give one, their changes are made in our text, value by value. [`recipients`] merges who can
//! read. Neither knows a key.

mod agree;
mod lines;
mod markers;
mod recipients;

use std::fmt;

use self::agree::{Change, Changes, Comparison};
use self::lines::{Favour, Touching, merge};
pub use self::markers::{Versions, versions};
pub use self::recipients::{Recipients, RecipientsError, recipients};
use crate::document::Document;
use crate::format::FileFormat;
use crate::secret::SecretBytes;
use crate::tree::path::{Component, TreePath};

/// A merged document.
pub struct Merged {
    /// The text; at conflicts it has our values.
    pub text: SecretBytes,
    /// The same text with their values at the conflicts; `None` if there are no conflicts.
    pub theirs: Option<SecretBytes>,
    /// The tree paths of the conflicts; an empty one for the whole file.
    pub conflicts: Vec<String>,
}

impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Merged({} conflicts)", self.conflicts.len())
    }
}

/// The most changes that are made one by one: each reads the text anew.
const MAX_CHANGES: usize = 200;

/// Merges what `ours` and `theirs` changed since `base`, which is `None` if both added the file. All
/// are of the format of `ours`.
pub fn three_way(base: Option<&Document>, ours: &Document, theirs: &Document) -> Merged {
    let clean =
        |text: &[u8]| Merged { text: SecretBytes::from(text), theirs: None, conflicts: Vec::new() };
    let base_text = base.map(Document::text);
    if ours.text() == theirs.text() || base_text == Some(theirs.text()) {
        return clean(ours.text());
    }
    if base_text == Some(ours.text()) {
        return clean(theirs.text());
    }
    let comparison = Comparison::new(base.map(Document::tree), ours.tree(), theirs.tree());
    let by_lines = |touching, favour| {
        let texts = [base_text.unwrap_or_default(), ours.text(), theirs.text()];
        let merged = merge(texts, touching, favour);
        let document = parse(ours.format(), &merged.text)?;
        let conflicts = comparison.agrees(document.tree(), favour)?;
        Some((merged, conflicts))
    };
    for touching in [Touching::Conflict, Touching::Merge] {
        if let Some((merged, conflicts)) = by_lines(touching, Favour::Ours)
            && merged.conflicts == 0
            && conflicts.is_empty()
        {
            return clean(&merged.text);
        }
    }
    if let Some((ours, conflicts)) = by_lines(Touching::Merge, Favour::Ours)
        && !conflicts.is_empty()
        && let Some((theirs, same)) = by_lines(Touching::Merge, Favour::Theirs)
        && same == conflicts
    {
        return Merged { text: ours.text, theirs: Some(theirs.text), conflicts };
    }
    by_values(&comparison, ours, theirs).unwrap_or_else(|| Merged {
        text: SecretBytes::from(ours.text()),
        theirs: Some(SecretBytes::from(theirs.text())),
        conflicts: vec![String::new()],
    })
}

/// Returns a text with what two encrypted texts have in common, and with conflict markers of git
/// around what they do not. The names stand behind the markers.
pub fn with_markers(ours: &[u8], theirs: &[u8], names: [&str; 2]) -> SecretBytes {
    lines::with_markers(ours, theirs, names)
}

/// Makes their changes in our text, one by one.
fn by_values(comparison: &Comparison<'_>, ours: &Document, theirs: &Document) -> Option<Merged> {
    let Changes { theirs: changes, conflicts } = comparison.changes()?;
    if changes.len() + conflicts.len() > MAX_CHANGES {
        return None;
    }
    let merged = with(ours, theirs, &changes)?;
    let paths = comparison.agrees(merged.tree(), Favour::Ours)?;
    if conflicts.is_empty() {
        let text = SecretBytes::from(merged.text());
        return paths.is_empty().then_some(Merged { text, theirs: None, conflicts: paths });
    }
    let other = with(&merged, theirs, &conflicts)?;
    comparison.agrees(other.tree(), Favour::Theirs)?;
    Some(Merged {
        text: SecretBytes::from(merged.text()),
        theirs: Some(SecretBytes::from(other.text())),
        conflicts: paths,
    })
}

/// Returns `document` with values of `theirs` at the changed paths.
fn with(document: &Document, theirs: &Document, changes: &[Change]) -> Option<Document> {
    let mut result = parse(document.format(), document.text())?;
    for change in changes {
        // Ours has the data of the base in another order: nothing of it is lost.
        if change.path.is_empty() && change.value.is_some() {
            result = parse(theirs.format(), theirs.text())?;
            continue;
        }
        let components = change
            .path
            .iter()
            .map(|key| Some(Component::Key(String::from_utf8(key.clone()).ok()?)))
            .collect::<Option<Vec<_>>>()?;
        let path = TreePath::new(components);
        result = match change.value {
            None => result.unset(&path).ok()?,
            Some(id) => {
                let value = parse(theirs.format(), theirs.text())?.into_tree().into_subtree(id);
                result.set(&path, &value).ok()?
            }
        }
        .document;
    }
    Some(result)
}

fn parse(format: &'static dyn FileFormat, text: &[u8]) -> Option<Document> {
    Document::parse(format, SecretBytes::from(text)).ok()
}

#[cfg(test)]
mod tests;
