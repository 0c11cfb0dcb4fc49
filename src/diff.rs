//! The differences between two trees: which values and comments were added, removed and changed,
//! each by its tree path.
//!
//! Maps are compared by their keys, whatever their order; the members of lists are aligned as the
//! lines of texts are, so that one that is new in the middle is one difference. It knows no keys and
//! no files: trees with ciphertexts are compared as well as those with values.

pub mod metadata;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::iter;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::tree::hashed::{Hashed, TreeHasher};
use crate::tree::path::Component;
use crate::tree::{NodeId, NodeKind, Step, Tree, Value};

/// What stands at a place of a tree.
#[derive(Clone, Copy, PartialEq)]
pub enum Content<'t> {
    /// A value.
    Value(Value<'t>),
    /// An integer that is too large for a value.
    Unsigned(u64),
    /// Nothing.
    Null,
    /// A map without entries.
    EmptyMap,
    /// A list without members.
    EmptyList,
    /// A comment, without its marker.
    Comment(&'t [u8]),
}

impl fmt::Debug for Content<'_> {
    /// Shows the type, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Value(_) | Content::Unsigned(_) => "Value",
            Content::Null => "Null",
            Content::EmptyMap => "EmptyMap",
            Content::EmptyList => "EmptyList",
            Content::Comment(_) => "Comment",
        })
    }
}

/// A place where two trees differ.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'t> {
    /// What stood there; `None` if it was added.
    pub old: Option<Content<'t>>,
    /// What stands there; `None` if it was removed.
    pub new: Option<Content<'t>>,
    place: Place,
}

impl Difference<'_> {
    /// Returns whether it is about a comment. Its path is that of what the comment is in.
    pub fn is_comment(&self) -> bool {
        matches!(self.old.or(self.new), Some(Content::Comment(_)))
    }
}

/// The places where two trees differ, in the order of the old tree, what is new in a map behind the
/// rest of it.
#[derive(Debug)]
pub struct Differences<'t> {
    found: Vec<Difference<'t>>,
    steps: Vec<(Option<Place>, PathStep<'t>)>,
    several_documents: bool,
}

/// A path, as the number of its last step.
type Place = usize;

#[derive(Clone, Copy, Debug)]
enum PathStep<'t> {
    Document(usize),
    Key(&'t [u8]),
    Index(usize),
}

impl<'t> Differences<'t> {
    /// Compares two trees.
    pub fn between(old: &'t Tree, new: &'t Tree) -> Differences<'t> {
        let hasher = TreeHasher::new();
        let several_documents = [old, new].iter().any(|tree| tree.documents().nth(1).is_some());
        let differences = Differences { found: Vec::new(), steps: Vec::new(), several_documents };
        let mut walk =
            Walk { old: hasher.hash(old), new: hasher.hash(new), differences, waiting: Vec::new() };
        walk.documents();
        while let Some(item) = walk.waiting.pop() {
            walk.item(item);
        }
        walk.strays();
        walk.differences
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the differences.
    pub fn iter(&self) -> impl Iterator<Item = &Difference<'t>> {
        self.found.iter()
    }

    /// Returns where a difference is.
    pub fn path(&self, difference: &Difference<'t>) -> Vec<Component> {
        let mut path: Vec<Component> = self
            .steps_up(difference)
            .filter_map(|step| match step {
                PathStep::Key(key) => {
                    Some(Component::Key(String::from_utf8_lossy(key).into_owned()))
                }
                PathStep::Index(index) => Some(Component::Index(index)),
                PathStep::Document(_) => None,
            })
            .collect();
        path.reverse();
        path
    }

    /// Returns the number of the document that a difference is in, from 0; `None` if neither tree
    /// has several.
    pub fn document(&self, difference: &Difference<'t>) -> Option<usize> {
        let mut numbers = self.steps_up(difference).filter_map(|step| match step {
            PathStep::Document(number) => Some(number),
            _ => None,
        });
        numbers.next().filter(|_| self.several_documents)
    }

    fn steps_up(&self, difference: &Difference<'t>) -> impl Iterator<Item = PathStep<'t>> + '_ {
        let mut place = Some(difference.place);
        iter::from_fn(move || {
            let (above, step) = *self.steps.get(place?)?;
            place = above;
            Some(step)
        })
    }

    fn step(&mut self, above: Option<Place>, step: PathStep<'t>) -> Place {
        self.steps.push((above, step));
        self.steps.len() - 1
    }
}

/// What has to be looked at.
#[derive(Clone, Copy)]
enum Item {
    Both(Place, NodeId, NodeId),
    Removed(Place, NodeId),
    Added(Place, NodeId),
}

struct Walk<'t> {
    old: Hashed<'t>,
    new: Hashed<'t>,
    differences: Differences<'t>,
    waiting: Vec<Item>,
}

impl<'t> Walk<'t> {
    /// Puts items on the stack so that the first is looked at first.
    fn push(&mut self, items: Vec<Item>) {
        self.waiting.extend(items.into_iter().rev());
    }

    fn documents(&mut self) {
        let mut old = self.old.tree().documents();
        let mut new = self.new.tree().documents();
        let mut items = Vec::new();
        for number in 0.. {
            let pair = (old.next(), new.next());
            let place = self.differences.step(None, PathStep::Document(number));
            items.push(match pair {
                (Some(old), Some(new)) => Item::Both(place, old, new),
                (Some(old), None) => Item::Removed(place, old),
                (None, Some(new)) => Item::Added(place, new),
                (None, None) => break,
            });
        }
        self.push(items);
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Removed(place, id) => self.whole(self.old.tree(), place, id, false),
            Item::Added(place, id) => self.whole(self.new.tree(), place, id, true),
            Item::Both(place, old, new) => {
                let kinds = (self.old.tree().node(old).kind, self.new.tree().node(new).kind);
                match kinds {
                    (NodeKind::Map, NodeKind::Map) => self.maps(place, old, new),
                    (NodeKind::List, NodeKind::List) => self.lists(place, old, new),
                    (old_kind, new_kind) if old_kind.is_container() || new_kind.is_container() => {
                        self.push(vec![Item::Removed(place, old), Item::Added(place, new)]);
                    }
                    _ if self.old.hash(old) == self.new.hash(new) => {}
                    _ => {
                        let old = content(self.old.tree(), old);
                        let new = content(self.new.tree(), new);
                        self.differences.found.push(Difference { old, new, place });
                    }
                }
            }
        }
    }

    fn maps(&mut self, place: Place, old: NodeId, new: NodeId) {
        let emptiness = [self.is_empty(true, old), self.is_empty(false, new)];
        self.emptied(place, emptiness, Content::EmptyMap);
        self.comments(place, old, new);
        // A key that stands twice is another one each time.
        let mut entries: HashMap<(&'t [u8], usize), NodeId> = HashMap::new();
        let numbered = |tree: &'t Tree, map: NodeId| {
            let mut seen: HashMap<&'t [u8], usize> = HashMap::new();
            tree.children(map).filter_map(move |id| {
                let key = tree.key(id)?;
                let number = seen.entry(key).or_default();
                *number += 1;
                Some(((key, *number), id))
            })
        };
        let order: Vec<_> = numbered(self.new.tree(), new).collect();
        entries.extend(order.iter().copied());
        let mut items = Vec::new();
        for (key, id) in numbered(self.old.tree(), old) {
            let place = self.differences.step(Some(place), PathStep::Key(key.0));
            items.push(match entries.remove(&key) {
                Some(new) => Item::Both(place, id, new),
                None => Item::Removed(place, id),
            });
        }
        for (key, id) in order {
            if entries.contains_key(&key) {
                let place = self.differences.step(Some(place), PathStep::Key(key.0));
                items.push(Item::Added(place, id));
            }
        }
        self.push(items);
    }

    fn lists(&mut self, place: Place, old: NodeId, new: NodeId) {
        let emptiness = [self.is_empty(true, old), self.is_empty(false, new)];
        self.emptied(place, emptiness, Content::EmptyList);
        self.comments(place, old, new);
        let members: [Vec<NodeId>; 2] =
            [self.old.members(old).collect(), self.new.members(new).collect()];
        let pairs = aligned(
            members[0].iter().map(|&id| self.old.hash(id)),
            members[1].iter().map(|&id| self.new.hash(id)),
        );
        let mut items = Vec::new();
        for (old, new) in pairs {
            let Some(index) = new.or(old) else { continue };
            let place = self.differences.step(Some(place), PathStep::Index(index));
            items.push(match (old, new) {
                (Some(old), Some(new)) => Item::Both(place, members[0][old], members[1][new]),
                (Some(old), None) => Item::Removed(place, members[0][old]),
                _ => Item::Added(place, members[1][index]),
            });
        }
        self.push(items);
    }

    /// Whether a container has comments at most.
    fn is_empty(&self, of_old: bool, id: NodeId) -> bool {
        let side = if of_old { &self.old } else { &self.new };
        side.members(id).next().is_none()
    }

    /// Notes that a container lost its last value or got its first: that it is there, and empty, is
    /// data too.
    fn emptied(&mut self, place: Place, [old, new]: [bool; 2], empty: Content<'t>) {
        if old != new {
            let (old, new) = (old.then_some(empty), new.then_some(empty));
            self.differences.found.push(Difference { old, new, place });
        }
    }

    /// Compares the comments directly in two containers.
    fn comments(&mut self, place: Place, old: NodeId, new: NodeId) {
        let texts = |tree: &'t Tree, id: NodeId| -> Vec<&'t [u8]> {
            tree.children(id).filter_map(|id| tree.comment(id)).collect()
        };
        let texts = [texts(self.old.tree(), old), texts(self.new.tree(), new)];
        self.texts(place, &texts);
    }

    /// Compares the comments that are in no container.
    fn strays(&mut self) {
        let texts = |tree: &'t Tree| -> Vec<&'t [u8]> {
            tree.strays().iter().map(|stray| tree.text(stray.text)).collect()
        };
        let texts = [texts(self.old.tree()), texts(self.new.tree())];
        // The first step is the first document's.
        self.texts(0, &texts);
    }

    fn texts(&mut self, place: Place, [old, new]: &[Vec<&'t [u8]>; 2]) {
        if old == new {
            return;
        }
        for (before, after) in aligned(old.iter().copied(), new.iter().copied()) {
            let old = before.map(|at| Content::Comment(old[at]));
            let new = after.map(|at| Content::Comment(new[at]));
            if old != new {
                self.differences.found.push(Difference { old, new, place });
            }
        }
    }

    /// Notes everything at and below a node as added or removed.
    fn whole(&mut self, tree: &'t Tree, place: Place, root: NodeId, added: bool) {
        // The containers around, each with its place and the number of its next member.
        let mut open: Vec<(Place, usize)> = Vec::new();
        for step in tree.walk(Some(root)) {
            let (Step::Enter(id) | Step::Leaf(id)) = step else {
                open.pop();
                continue;
            };
            let is_comment = tree.node(id).kind.is_comment();
            let place = match open.last_mut() {
                None => place,
                Some((above, _)) if is_comment => *above,
                Some((above, next)) => {
                    let step = match tree.key(id) {
                        Some(key) => PathStep::Key(key),
                        None => PathStep::Index(*next),
                    };
                    *next += 1;
                    let above = *above;
                    self.differences.step(Some(above), step)
                }
            };
            if let Some(content) = content(tree, id) {
                let (old, new) = if added { (None, Some(content)) } else { (Some(content), None) };
                self.differences.found.push(Difference { old, new, place });
            }
            if matches!(step, Step::Enter(_)) {
                open.push((place, 0));
            }
        }
    }
}

/// Returns what stands at a node; `None` for a container with something in it.
fn content(tree: &Tree, id: NodeId) -> Option<Content<'_>> {
    let is_empty = || tree.node(id).end() == id.index() + 1;
    match tree.node(id).kind {
        NodeKind::Map => is_empty().then_some(Content::EmptyMap),
        NodeKind::List => is_empty().then_some(Content::EmptyList),
        NodeKind::Null => Some(Content::Null),
        NodeKind::Unsigned(number) => Some(Content::Unsigned(number)),
        NodeKind::Comment { text, .. } => Some(Content::Comment(tree.text(text))),
        _ => tree.value(id).map(Content::Value),
    }
}

/// Pairs the members of two sequences: equal ones, and between those the others one by one.
fn aligned<T: Eq + Hash + Default>(
    old: impl Iterator<Item = T>,
    new: impl Iterator<Item = T>,
) -> Vec<(Option<usize>, Option<usize>)> {
    let mut input: InternedInput<T> = InternedInput::default();
    input.update_before(old);
    input.update_after(new);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    let mut pairs = Vec::new();
    let (mut before, mut after) = (0, 0);
    let equal = |pairs: &mut Vec<_>, before: &mut usize, after: &mut usize, end: usize| {
        while *before < end {
            pairs.push((Some(*before), Some(*after)));
            *before += 1;
            *after += 1;
        }
    };
    for hunk in diff.hunks() {
        equal(&mut pairs, &mut before, &mut after, hunk.before.start as usize);
        let (old, new) = (hunk.before.len(), hunk.after.len());
        for at in 0..old.max(new) {
            let pair = ((at < old).then_some(before + at), (at < new).then_some(after + at));
            pairs.push(pair);
        }
        (before, after) = (hunk.before.end as usize, hunk.after.end as usize);
    }
    equal(&mut pairs, &mut before, &mut after, input.before.len());
    pairs
}

#[cfg(test)]
mod tests;
