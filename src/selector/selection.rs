//! The state of one walk over a tree that asks which leaves are selected.

use super::Selector;

/// Answers for each leaf and comment of a tree whether it is encrypted.
///
/// It is told of every node in tree order: [`enter`](Selection::enter) and
/// [`leave`](Selection::leave) for maps and lists (the root of a document is entered too),
/// [`value`](Selection::value) for scalars and nulls, [`comment`](Selection::comment) for comments.
/// What a container's keys decide is inherited by everything inside, so that each key and each
/// comment is matched once.
///
/// A list member that decrypts to a comment is a comment, so that it goes to `comment` with the
/// text that it has in the file. (SOPS up to 3.13 takes it for a value there, which ends the
/// reach of the comments before it, and then cannot read the file that it wrote.)
///
/// ```
/// use encfile::selector::{Selection, Selector};
///
/// // {"a": 1, "b_unencrypted": [2]}
/// let selector = Selector::default();
/// let mut selection = Selection::new(&selector);
/// selection.enter(None);
/// assert!(selection.value(Some(b"a")));
/// selection.enter(Some(b"b_unencrypted"));
/// assert!(!selection.value(None));
/// selection.leave();
/// selection.leave();
/// ```
#[derive(Clone, Debug)]
pub struct Selection<'s> {
    /// `None` selects everything.
    selector: Option<&'s Selector>,
    open: Vec<Level>,
}

/// An open container.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// Whether a key of the path, or a comment before one of the containers around, matches.
    inherited: bool,
    /// Whether a comment since the last value of this container matches.
    commented: bool,
}

impl<'s> Selection<'s> {
    /// Starts a walk with `selector`.
    pub fn new(selector: &'s Selector) -> Selection<'s> {
        Selection { selector: Some(selector), open: Vec::new() }
    }

    /// Starts a walk in which everything is selected, as in binary files.
    pub fn everything() -> Selection<'s> {
        Selection { selector: None, open: Vec::new() }
    }

    /// Enters a map or list that stands under `key`; list members and documents have none.
    pub fn enter(&mut self, key: Option<&[u8]>) {
        let level = Level { inherited: self.reached(key), commented: false };
        self.open.push(level);
    }

    /// Leaves the container entered last.
    pub fn leave(&mut self) {
        self.open.pop();
        self.end_comments();
    }

    /// Returns whether the scalar or null under `key` is selected; list members have none.
    pub fn value(&mut self, key: Option<&[u8]>) -> bool {
        let selected = self.verdict(self.reached(key));
        self.end_comments();
        selected
    }

    /// Returns whether a comment with the text `text`, as it stands in the file, is selected.
    ///
    /// Keys decide by the path of the container that the comment is in. By
    /// [`Selector::EncryptedCommentRegex`] a comment does not select itself, only what follows;
    /// by [`Selector::UnencryptedCommentRegex`] it is left alone as well.
    pub fn comment(&mut self, text: &[u8]) -> bool {
        let before = self.reached(None);
        let matches = match self.selector {
            Some(
                Selector::EncryptedCommentRegex(regex) | Selector::UnencryptedCommentRegex(regex),
            ) => {
                // Once a comment has matched, the rest of its run says nothing new.
                before || regex.is_match(text)
            }
            _ => false,
        };
        if let Some(level) = self.open.last_mut() {
            level.commented |= matches;
        }
        let itself = matches!(self.selector, Some(Selector::UnencryptedCommentRegex(_)));
        self.verdict(before || (itself && matches))
    }

    /// Returns whether what stands under `key` in the innermost container is reached by a match.
    fn reached(&self, key: Option<&[u8]>) -> bool {
        let level = self.open.last().copied().unwrap_or_default();
        if level.inherited || level.commented {
            return true;
        }
        let (Some(selector), Some(key)) = (self.selector, key) else {
            return false;
        };
        selector.matches_key(key)
    }

    fn verdict(&self, reached: bool) -> bool {
        self.selector.is_none_or(|selector| selector.selects_matches() == reached)
    }

    fn end_comments(&mut self) {
        if let Some(level) = self.open.last_mut() {
            level.commented = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Walks a tree as the test data has it: `{"map": [[key, node] or comment]}`,
    /// `{"list": [node or comment]}`, `{"comment": text}` and scalars.
    fn walk(selection: &mut Selection<'_>, key: Option<&str>, node: &Value, out: &mut String) {
        let key = key.map(str::as_bytes);
        let mut put = |selected| out.push(if selected { 'E' } else { '-' });
        if let Some(comment) = node.get("comment") {
            put(selection.comment(comment.as_str().unwrap().as_bytes()));
        } else if let Some(entries) = node.get("map").and_then(Value::as_array) {
            selection.enter(key);
            for entry in entries {
                match entry.as_array() {
                    Some(pair) => walk(selection, pair[0].as_str(), &pair[1], out),
                    None => walk(selection, None, entry, out),
                }
            }
            selection.leave();
        } else if let Some(members) = node.get("list").and_then(Value::as_array) {
            selection.enter(key);
            for member in members {
                walk(selection, None, member, out);
            }
            selection.leave();
        } else if node.get("null").is_some() || node.get("str").is_some_and(|text| text == "") {
            selection.value(key);
            out.push('?');
        } else {
            put(selection.value(key));
        }
    }

    fn walked(selector: Option<&Selector>, documents: &Value) -> String {
        let mut out = String::new();
        let mut selection = match selector {
            Some(selector) => Selection::new(selector),
            None => Selection::everything(),
        };
        for document in documents.as_array().unwrap() {
            walk(&mut selection, None, document, &mut out);
        }
        out
    }

    fn selector(field: &str, value: &str) -> Selector {
        Selector::from_field(field, value).unwrap().unwrap()
    }

    fn selected(field: &str, value: &str, document: &str) -> String {
        let document: Value = serde_json::from_str(document).unwrap();
        walked(Some(&selector(field, value)), &Value::Array(vec![document]))
    }

    /// Each line of the files in `testdata/selector` is a tree, a rule, and what SOPS encrypted:
    /// `E` or `-` for each leaf, `?` for nulls and empty strings, which are never encrypted.
    #[test]
    fn the_leaves_that_sops_encrypts_are_selected() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/selector");
        let mut checked = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
                let case: Value = serde_json::from_str(line).unwrap();
                let selector = match case["rule"].as_array() {
                    Some(rule) => selector(rule[0].as_str().unwrap(), rule[1].as_str().unwrap()),
                    None => Selector::default(),
                };
                let found = walked(Some(&selector), &case["tree"]);
                assert_eq!(found, case["encrypted"], "{}", case["case"]);
                checked += 1;
            }
        }
        assert!(checked >= 13, "the cases are there");
    }

    #[test]
    fn everything_selects_everything() {
        let document = r#"[{"map": [["a_unencrypted", {"int": "1"}], {"comment": "c"}]}]"#;
        assert_eq!(walked(None, &serde_json::from_str(document).unwrap()), "EE");
    }

    #[test]
    fn a_match_covers_everything_below() {
        let document = r#"{"map": [["pub", {"map": [
            ["x", {"int": "1"}], {"comment": "c"}, ["l", {"list": [{"int": "2"}, {"list": [{"int": "3"}]}]}]
        ]}], ["x", {"int": "4"}]]}"#;
        assert_eq!(selected("unencrypted_regex", "^pub", document), "----E");
        assert_eq!(selected("encrypted_suffix", "ub", document), "EEEE-");
    }

    #[test]
    fn list_members_have_no_key_of_their_own() {
        let document =
            r#"{"map": [["l", {"list": [{"int": "1"}, {"map": [["a", {"int": "2"}]]}]}]]}"#;
        assert_eq!(selected("encrypted_regex", "^$", document), "--");
        assert_eq!(selected("encrypted_regex", "^a$", document), "-E");
    }

    #[test]
    fn comments_cover_the_next_value_only() {
        let document = r#"{"map": [
            {"comment": "on"}, {"comment": "on"}, ["a", {"null": null}], ["b", {"int": "1"}],
            {"comment": "on"}, ["m", {"map": [["c", {"int": "2"}], {"comment": "x"}, ["d", {"int": "3"}]]}],
            ["e", {"int": "4"}]
        ]}"#;
        assert_eq!(selected("encrypted_comment_regex", "^on$", document), "-E?--EEE-");
        assert_eq!(selected("unencrypted_comment_regex", "^on$", document), "--?E----E");
    }

    #[test]
    fn comments_at_the_end_of_a_container_do_not_reach_out() {
        let document = r#"{"map": [["m", {"map": [["a", {"int": "1"}], {"comment": "on"}]}], ["b", {"int": "2"}]]}"#;
        assert_eq!(selected("encrypted_comment_regex", "on", document), "---");
    }

    #[test]
    fn a_walk_may_be_unbalanced() {
        let selector = Selector::default();
        let mut selection = Selection::new(&selector);
        selection.leave();
        assert!(selection.comment(b"c"));
        assert!(selection.value(Some(b"a")));
        assert!(!selection.value(Some(b"a_unencrypted")));
    }
}
