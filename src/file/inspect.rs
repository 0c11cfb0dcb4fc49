//! What can be said of values without a key: which should be encrypted and are not, and which
//! look encrypted and cannot be.

use super::leaves::{Leaves, has_content};
use super::position;
use crate::crypt::value::{Sealed, looks_sealed};
use crate::format::FileFormat;
use crate::selector::Selector;
use crate::span::Position;
use crate::tree::{NodeId, Tree, Value};

/// A value or comment, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafPlace {
    /// Its tree path.
    pub path: String,
    /// Where it stands.
    pub position: Option<Position>,
    /// What stands there: its key as it is written, and asterisks.
    pub masked: String,
}

/// Values or comments, by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafPlaces {
    /// The first ones.
    pub leaves: Vec<LeafPlace>,
    /// How many more there are.
    pub others: usize,
}

impl LeafPlaces {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }
}

/// How many values are named one by one: naming a place takes a walk over the text.
const LEAVES_NAMED: usize = 100;

/// What a rule covers and is not encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InClear {
    /// The values.
    pub values: LeafPlaces,
    /// The comments.
    pub comments: LeafPlaces,
}

/// Returns what `selector`, or `None` for everything, covers in a tree of `format` and that is not
/// `sealed`.
pub(super) fn in_clear(
    tree: &Tree,
    selector: Option<&Selector>,
    format: &dyn FileFormat,
    sealed: impl Fn(NodeId) -> bool,
) -> InClear {
    let mut leaves = match selector.filter(|_| format.container().is_none()) {
        Some(selector) => Leaves::new(selector),
        None => Leaves::selecting_all(),
    };
    let (mut values, mut comments) = (Vec::new(), Vec::new());
    while let Some(id) = leaves.next(tree) {
        if leaves.is_comment(tree, id) {
            if let Some(text) = tree.comment(id)
                && leaves.selects_comment(text)
                && !text.is_empty()
                && !sealed(id)
            {
                comments.push(id);
            }
            continue;
        }
        let selected = leaves.selects_value(tree, id);
        if selected && has_content(tree, id) && !sealed(id) {
            values.push(id);
        }
    }
    InClear { values: places(tree, &values), comments: places(tree, &comments) }
}

/// Returns the values with content that a rule leaves in clear, in tree order.
pub fn left_in_clear(tree: &Tree, selector: &Selector) -> Vec<NodeId> {
    let mut leaves = Leaves::new(selector);
    let mut clear = Vec::new();
    while let Some(id) = leaves.next(tree) {
        if let Some(text) = tree.comment(id) {
            leaves.selects_comment(text);
        } else if !leaves.selects_value(tree, id) && has_content(tree, id) {
            clear.push(id);
        }
    }
    clear
}

/// Returns whether a value or comment begins as a ciphertext does.
pub(super) fn looks_sealed_at(tree: &Tree, id: NodeId) -> bool {
    text(tree, id).is_some_and(looks_sealed)
}

/// Returns the text of a value or comment, if it has one.
fn text(tree: &Tree, id: NodeId) -> Option<&[u8]> {
    match tree.value(id) {
        Some(Value::Text(text)) => Some(text),
        Some(_) => None,
        None => tree.comment(id),
    }
}

/// Returns the values and comments that begin as a ciphertext does and are none.
pub(super) fn malformed(tree: &Tree) -> LeafPlaces {
    let mut found = Vec::new();
    for index in 0..tree.nodes().len() {
        let Some(id) = tree.id_at(index) else { break };
        let Some(text) = text(tree, id).filter(|text| looks_sealed(text)) else { continue };
        if !Sealed::parse(text).is_ok_and(|sealed| sealed.is_well_formed()) {
            found.push(id);
        }
    }
    places(tree, &found)
}

fn places(tree: &Tree, ids: &[NodeId]) -> LeafPlaces {
    let (named, others) = ids.split_at(ids.len().min(LEAVES_NAMED));
    let leaves = named
        .iter()
        .map(|&id| LeafPlace {
            path: tree.path(id),
            position: position(tree, id),
            masked: masked(tree, id),
        })
        .collect();
    LeafPlaces { leaves, others: others.len() }
}

/// The most characters of a key that are shown.
const KEY_SHOWN: usize = 60;

/// Returns how a leaf is shown to people who must not see its value.
fn masked(tree: &Tree, id: NodeId) -> String {
    if tree.comment(id).is_some() {
        return "# ****".to_owned();
    }
    let Some(key) = tree.key(id) else { return "- ****".to_owned() };
    let key = String::from_utf8_lossy(key);
    let end = key.char_indices().nth(KEY_SHOWN).map_or(key.len(), |(at, _)| at);
    let more = if end < key.len() { "..." } else { "" };
    format!("{}{more}: ****", &key[..end])
}
