//! When two trees hold the same data.

use crate::tree::{NodeId, Step, Tree, Value};

impl Tree {
    /// Returns whether `other` has the same values under the same keys in the same order. Comments
    /// do not count, and a whole number is the same as an integer and as a float.
    pub fn has_same_values(&self, other: &Tree) -> bool {
        let mut ours = steps(self);
        let mut theirs = steps(other);
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(ours), Some(theirs)) if is_same((self, ours), (other, theirs)) => {}
                _ => return false,
            }
        }
    }

    /// Returns whether the trees have the same values, each under the same key or index, whatever
    /// the order of the entries of a map. Comments do not count.
    pub fn has_same_entries(&self, other: &Tree) -> bool {
        let (ours, theirs) = (entries(self), entries(other));
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|((path, a), (other_path, b))| {
                path == other_path && is_same((self, Step::Leaf(*a)), (other, Step::Leaf(*b)))
            })
    }
}

fn steps(tree: &Tree) -> impl Iterator<Item = Step> + '_ {
    tree.walk(None)
        .filter(|step| !matches!(step, Step::Leaf(id) if tree.node(*id).kind.is_comment()))
}

fn is_same((tree, step): (&Tree, Step), (other, their_step): (&Tree, Step)) -> bool {
    match (step, their_step) {
        (Step::Leave(_), Step::Leave(_)) => true,
        (Step::Enter(a), Step::Enter(b)) | (Step::Leaf(a), Step::Leaf(b)) => {
            tree.key(a) == other.key(b)
                && match (tree.value(a), other.value(b)) {
                    (Some(a), Some(b)) => is_same_value(a, b),
                    (None, None) => tree.node(a).kind == other.node(b).kind,
                    _ => false,
                }
        }
        _ => false,
    }
}

/// Returns all nodes but comments, sorted by where they are: by keys, and in lists by indices.
fn entries(tree: &Tree) -> Vec<(Vec<u8>, NodeId)> {
    let mut found = Vec::new();
    // Each open container: the length of the path to it, and how many members it has had.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut path = Vec::new();
    for step in steps(tree) {
        let (Step::Enter(id) | Step::Leaf(id)) = step else {
            open.pop();
            continue;
        };
        let (length, number) = open.last().copied().unwrap_or_default();
        path.truncate(length);
        match tree.key(id) {
            Some(key) => {
                path.extend_from_slice(&key.len().to_be_bytes());
                path.extend_from_slice(key);
            }
            None => path.extend_from_slice(&number.to_be_bytes()),
        }
        if let Some((_, number)) = open.last_mut() {
            *number += 1;
        }
        found.push((path.clone(), id));
        if matches!(step, Step::Enter(_)) {
            open.push((path.len(), 0));
        }
    }
    found.sort();
    found
}

/// A float that is written without a point reads back as an integer: the data is the same.
fn is_same_value(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        #[expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "exactly equal is meant")]
        (Value::Float(float), Value::Integer(integer))
        | (Value::Integer(integer), Value::Float(float)) => float == integer as f64,
        (Value::Float(a), Value::Float(b)) => {
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use crate::format::by_name;
    use crate::secret::SecretBytes;

    #[test]
    fn the_same_entries_may_be_in_another_order() {
        let parse = |text: &str| by_name("json").unwrap().parse(SecretBytes::from(text)).unwrap();
        let one = parse(r#"{"a": [1, {"b": 2, "c": []}], "d": "x"}"#);
        let other = parse(r#"{"d": "x", "a": [1, {"c": [], "b": 2}]}"#);
        assert!(one.has_same_entries(&other) && !one.has_same_values(&other));
        for text in [
            r#"{"a": [{"b": 2, "c": []}, 1], "d": "x"}"#,
            r#"{"a": [1, {"b": 2, "c": {}}], "d": "x"}"#,
            r#"{"a": [1, {"b": 2, "c": []}], "d": "y"}"#,
            r#"{"a": [1, {"b": 2}], "c": [], "d": "x"}"#,
        ] {
            assert!(!one.has_same_entries(&parse(text)), "{text}");
        }
    }
}
