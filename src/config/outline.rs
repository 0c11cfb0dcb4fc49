//! Where the keys and list items of a configuration stand in its text.
//!
//! `serde_yaml` forgets places. This reads block style as people write it, by indentation, well
//! enough to name the line of a rule or field; what it does not understand (flow style, aliases)
//! it leaves out, and messages fall back to the place around it. Nothing depends on it but
//! messages and the owners' names in comments.

use std::collections::HashMap;

/// The address of a place in an [`Outline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlaceId(u32);

/// A step from a container to what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step<'t> {
    /// To the value under a key.
    Key(&'t str),
    /// To a list item, from 0.
    Item(usize),
}

/// A key or list item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t> {
    /// The line, from 1.
    pub(super) line: usize,
    /// The column, from 1.
    pub(super) column: usize,
    /// The comment behind it on its line, or on the line above, without `#`.
    pub(super) comment: Option<&'t str>,
    items: usize,
}

/// The keys and list items of the first document of a text.
#[derive(Debug)]
pub(super) struct Outline<'t> {
    places: Vec<Place<'t>>,
    members: HashMap<(Option<PlaceId>, Step<'t>), PlaceId>,
    duplicates: Vec<(&'t str, PlaceId)>,
    /// What is said about values: by a comment, or else by an anchor.
    owners: HashMap<&'t str, &'t str>,
}

/// A key or list item that the current line may be inside of.
struct Open {
    id: PlaceId,
    column: usize,
    is_item: bool,
}

impl<'t> Outline<'t> {
    /// Reads `text`.
    pub(super) fn new(text: &'t str) -> Outline<'t> {
        let mut outline = Outline {
            places: Vec::new(),
            members: HashMap::new(),
            duplicates: Vec::new(),
            owners: HashMap::new(),
        };
        let mut open: Vec<Open> = Vec::new();
        let mut root_items = 0;
        // Deeper lines than this belong to a value that has begun already.
        let mut value_column = None;
        let mut comment_above = None;
        for (index, line) in text.trim_start_matches('\u{FEFF}').lines().enumerate() {
            let content = line.trim_start_matches(' ');
            let mut column = line.len() - content.len();
            if content.is_empty() || value_column.is_some_and(|limit| column > limit) {
                comment_above = None;
                continue;
            }
            if let Some(comment) = content.strip_prefix('#') {
                comment_above = Some(comment.trim());
                continue;
            }
            value_column = None;
            if column == 0 && is_marker(content) {
                if outline.places.is_empty() {
                    continue;
                }
                break;
            }
            let above = comment_above.take();
            let first_of_line = outline.places.len();
            let mut rest = content;
            while let Some(after) = item(rest) {
                while open.last().is_some_and(|last| {
                    last.column > column || (last.is_item && last.column == column)
                }) {
                    open.pop();
                }
                let number = match open.last() {
                    Some(last) => &mut outline.places[last.id.0 as usize].items,
                    None => &mut root_items,
                };
                *number += 1;
                let step = Step::Item(*number - 1);
                let id = outline.add(open.last(), step, index + 1, column + 1);
                open.push(Open { id, column, is_item: true });
                value_column = Some(column);
                column += rest.len() - after.len();
                rest = after;
            }
            if let Some((key, after)) = key(rest) {
                while open.last().is_some_and(|last| last.column >= column) {
                    open.pop();
                }
                let id = outline.add(open.last(), Step::Key(key), index + 1, column + 1);
                open.push(Open { id, column, is_item: false });
                value_column = Some(column);
                rest = after;
            }
            let (value, comment) = split_comment(rest);
            let comment = comment.or(above).filter(|comment| !comment.is_empty());
            for place in &mut outline.places[first_of_line..] {
                place.comment = comment;
            }
            let (value, anchor) = without_properties(value);
            if value.is_empty() {
                value_column = None;
            } else if let Some(owner) = comment.or(anchor) {
                outline.owners.entry(unquoted(value)).or_insert(owner);
            }
        }
        outline
    }

    fn add(
        &mut self,
        parent: Option<&Open>,
        step: Step<'t>,
        line: usize,
        column: usize,
    ) -> PlaceId {
        let id = PlaceId(self.places.len() as u32);
        self.places.push(Place { line, column, comment: None, items: 0 });
        let parent = parent.map(|parent| parent.id);
        if let Some(first) = self.members.insert((parent, step), id)
            && let Step::Key(key) = step
        {
            self.members.insert((parent, step), first);
            self.duplicates.push((key, id));
        }
        id
    }

    /// Returns what is at `step` in `parent`, or in the document.
    pub(super) fn member(&self, parent: Option<PlaceId>, step: Step<'t>) -> Option<PlaceId> {
        self.members.get(&(parent, step)).copied()
    }

    /// Returns the place at `id`.
    pub(super) fn place(&self, id: PlaceId) -> &Place<'t> {
        &self.places[id.0 as usize]
    }

    /// Returns what is said about the value `text` where it stands first with a comment or anchor.
    pub(super) fn owner(&self, text: &str) -> Option<&'t str> {
        self.owners.get(text).copied()
    }

    /// Returns the first second occurrence of `key` in one map.
    pub(super) fn duplicate(&self, key: &str) -> Option<&Place<'t>> {
        let (_, id) = self.duplicates.iter().find(|(found, _)| *found == key)?;
        Some(self.place(*id))
    }
}

/// Returns whether a line is a document marker or a directive.
fn is_marker(content: &str) -> bool {
    let word = content.split([' ', '\t']).next().unwrap_or(content);
    matches!(word, "---" | "...") || content.starts_with('%')
}

/// Returns what stands behind `- `, without blanks.
fn item(content: &str) -> Option<&str> {
    let rest = content.strip_prefix('-')?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim_start_matches(' '))
}

/// Splits `key: value`.
fn key(content: &str) -> Option<(&str, &str)> {
    if let Some(quote) = content.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (key, rest) = content[1..].split_once(quote)?;
        let value = rest.trim_start_matches(' ').strip_prefix(':')?;
        return (value.is_empty() || value.starts_with(' ')).then_some((key, value));
    }
    if content.starts_with(['[', '{', '&', '*', '!', '|', '>', '?', '%', '@', '`', '#']) {
        return None;
    }
    let end = match content.find(": ") {
        Some(end) => end,
        None => content.strip_suffix(':')?.len(),
    };
    let key = content[..end].trim_end();
    (!key.contains(" #")).then(|| (key, &content[end + 1..]))
}

/// Splits a value and the comment behind it.
fn split_comment(text: &str) -> (&str, Option<&str>) {
    let value = text.trim_start();
    if let Some(comment) = value.strip_prefix('#') {
        return ("", Some(comment.trim()));
    }
    let quoted = quoted_length(value);
    match value[quoted..].find(" #") {
        Some(at) => {
            let at = quoted + at;
            (value[..at].trim_end(), Some(value[at + 2..].trim()))
        }
        None => (value.trim_end(), None),
    }
}

/// Returns the length of the quoted text that `value` starts with, or 0.
fn quoted_length(value: &str) -> usize {
    let bytes = value.as_bytes();
    let Some(&quote) = bytes.first().filter(|byte| matches!(byte, b'"' | b'\'')) else {
        return 0;
    };
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 1,
            byte if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Splits off the anchor and tag in front of a value; returns the value and the anchor's name.
fn without_properties(mut value: &str) -> (&str, Option<&str>) {
    let mut anchor = None;
    while value.starts_with(['&', '!']) {
        let (property, rest) = value.split_once(' ').unwrap_or((value, ""));
        anchor = property.strip_prefix('&').or(anchor);
        value = rest.trim();
    }
    (value, anchor)
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outline: &Outline<'_>, path: &[Step<'static>]) -> Option<(usize, usize)> {
        let mut at = None;
        for &step in path {
            at = Some(outline.member(at, step)?);
        }
        at.map(|id| (outline.place(id).line, outline.place(id).column))
    }

    #[test]
    fn keys_and_items_have_lines() {
        use Step::{Item, Key};
        let text = "%YAML 1.1\n---\n# top\na:\n- b: 1\n  c: >-\n    d: 2\n    e\n  f:\n    - - g\n      - h: x\n    -\n      i: 1\n\
            'j k':\n  - m # owner\n  # other\n  - n\n  - 'o # p' # q\n---\na: 1\nr: 2\n";
        let outline = Outline::new(text);
        for (path, expected) in [
            (&[Key("a")][..], Some((4, 1))),
            (&[Key("a"), Item(0)], Some((5, 1))),
            (&[Key("a"), Item(0), Key("b")], Some((5, 3))),
            (&[Key("a"), Item(0), Key("c")], Some((6, 3))),
            (&[Key("a"), Item(0), Key("d")], None),
            (&[Key("a"), Item(0), Key("f"), Item(0), Item(0)], Some((10, 7))),
            (&[Key("a"), Item(0), Key("f"), Item(0), Item(1), Key("h")], Some((11, 9))),
            (&[Key("a"), Item(0), Key("f"), Item(1), Key("i")], Some((13, 7))),
            (&[Key("j k"), Item(1)], Some((17, 3))),
            (&[Key("r")], None),
        ] {
            assert_eq!(line(&outline, path), expected, "{path:?}");
        }
        let list = outline.member(None, Key("j k"));
        let comments = [0, 1, 2].map(|item| {
            let id = outline.member(list, Item(item)).unwrap();
            outline.place(id).comment
        });
        assert_eq!(comments, [Some("owner"), Some("other"), Some("q")]);
    }

    #[test]
    fn the_second_of_two_keys_is_the_duplicate() {
        let outline = Outline::new("a:\n  b: 1\nc:\n  b: 1\n  b: 2\n");
        assert_eq!(outline.duplicate("b").map(|place| place.line), Some(5));
        assert!(outline.duplicate("a").is_none());
    }
}
