//! When two trees hold the same data.

use crate::tree::{Step, Tree, Value};

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
