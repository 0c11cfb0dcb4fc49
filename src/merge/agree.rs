//! Whether a merged tree is the three-way merge of trees, path by path.
//!
//! What only one side changed is as on that side; what both changed alike is so; the entries of
//! maps are merged one by one; a list has the members that each side added and not those that each
//! removed, or is merged member by member where no side changed their number. Anything else is a
//! conflict, and there the favoured side's value stands.

use std::collections::HashMap;

use super::lines::Favour;
use crate::tree::hashed::{Hash128, Hashed, TreeHasher};
use crate::tree::{NodeId, NodeKind, Tree};

/// Trees whose nodes can be compared as wholes.
pub(super) struct Comparison<'t> {
    base: Option<Hashed<'t>>,
    ours: Hashed<'t>,
    theirs: Hashed<'t>,
    hasher: TreeHasher,
}

/// A node of each tree, as far as there is one.
#[derive(Clone, Copy)]
struct Nodes {
    base: Option<NodeId>,
    ours: Option<NodeId>,
    theirs: Option<NodeId>,
}

/// The nodes under each key of a map, and the one of the merged tree.
type Entries<'s> = HashMap<&'s [u8], (Nodes, Option<NodeId>)>;

/// What a three-way comparison says of a place.
enum Verdict {
    /// It must be as on our side.
    Ours,
    /// It must be as on their side.
    Theirs,
    /// The entries have to be looked at.
    Maps,
    /// The members have to be looked at.
    Lists,
    /// Both sides changed it, and differently.
    Conflict,
}

/// A change of their side alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The keys from the root.
    pub(super) path: Vec<Vec<u8>>,
    /// Their value; `None` if they removed it.
    pub(super) value: Option<NodeId>,
}

/// What the sides changed, as far as it can be said by keys alone.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What only they changed.
    pub(super) theirs: Vec<Change>,
    /// What both changed, and differently: the paths and their values.
    pub(super) conflicts: Vec<Change>,
}

impl<'t> Comparison<'t> {
    pub(super) fn new(base: Option<&'t Tree>, ours: &'t Tree, theirs: &'t Tree) -> Comparison<'t> {
        let hasher = TreeHasher::new();
        Comparison {
            base: base.map(|tree| hasher.hash(tree)),
            ours: hasher.hash(ours),
            theirs: hasher.hash(theirs),
            hasher,
        }
    }

    /// Returns the paths of the conflicts if `merged` is the merge of the trees; `None` if it is
    /// something else.
    pub(super) fn agrees(&self, merged: &Tree, favour: Favour) -> Option<Vec<String>> {
        let merged = self.hasher.hash(merged);
        let mut conflicts = Vec::new();
        let mut waiting = self.roots(&merged)?;
        while let Some((nodes, found)) = waiting.pop() {
            let is = |side: &Hashed<'_>, node: Option<NodeId>| {
                node.map(|id| side.hash(id)) == found.map(|id| merged.hash(id))
            };
            let fits = match self.verdict(nodes) {
                Verdict::Ours => is(&self.ours, nodes.ours),
                Verdict::Theirs => is(&self.theirs, nodes.theirs),
                Verdict::Maps => {
                    let entries = self.entries(nodes, found.map(|found| (merged.tree(), found)))?;
                    waiting.extend(entries.into_values());
                    true
                }
                Verdict::Lists
                    if found.is_some_and(|found| self.has_members(nodes, &merged, found)) =>
                {
                    true
                }
                Verdict::Lists => match found.and_then(|found| self.members(nodes, &merged, found))
                {
                    Some(members) => {
                        waiting.extend(members);
                        true
                    }
                    None => self.is_favoured(nodes, favour, &is, &mut conflicts),
                },
                Verdict::Conflict => self.is_favoured(nodes, favour, &is, &mut conflicts),
            };
            if !fits {
                return None;
            }
        }
        conflicts.sort();
        Some(conflicts)
    }

    /// Returns what only they changed, and the conflicts, both by keys alone: a list is a value.
    /// `None` for several documents, or a key that stands twice in a map.
    pub(super) fn changes(&self) -> Option<Changes> {
        let mut changes = Changes::default();
        let root = |side: &Hashed<'_>| {
            let mut documents = side.tree().documents();
            let root = documents.next();
            root.filter(|_| documents.next().is_none())
        };
        let base = match &self.base {
            Some(base) => Some(root(base)?),
            None => None,
        };
        let nodes =
            Nodes { base, ours: Some(root(&self.ours)?), theirs: Some(root(&self.theirs)?) };
        let mut waiting = vec![(Vec::new(), nodes)];
        while let Some((path, nodes)) = waiting.pop() {
            match self.verdict(nodes) {
                Verdict::Ours => {}
                Verdict::Theirs => changes.theirs.push(Change { path, value: nodes.theirs }),
                Verdict::Maps => {
                    let mut entries: Vec<_> = self
                        .entries(nodes, None)?
                        .into_iter()
                        .map(|(key, (nodes, _))| {
                            let mut path = path.clone();
                            path.push(key.to_vec());
                            (path, nodes)
                        })
                        .collect();
                    // In the order of their text, from a stack.
                    entries.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.theirs));
                    waiting.extend(entries);
                }
                Verdict::Lists | Verdict::Conflict => {
                    changes.conflicts.push(Change { path, value: nodes.theirs });
                }
            }
        }
        Some(changes)
    }

    fn is_favoured(
        &self,
        nodes: Nodes,
        favour: Favour,
        is: &dyn Fn(&Hashed<'_>, Option<NodeId>) -> bool,
        conflicts: &mut Vec<String>,
    ) -> bool {
        let path = match (nodes.ours, nodes.theirs) {
            (Some(id), _) => self.ours.tree().path(id),
            (None, Some(id)) => self.theirs.tree().path(id),
            (None, None) => String::new(),
        };
        conflicts.push(path);
        match favour {
            Favour::Ours => is(&self.ours, nodes.ours),
            Favour::Theirs => is(&self.theirs, nodes.theirs),
        }
    }

    fn verdict(&self, nodes: Nodes) -> Verdict {
        let base = self.base.as_ref().zip(nodes.base).map(|(side, id)| side.hash(id));
        let ours = nodes.ours.map(|id| self.ours.hash(id));
        let theirs = nodes.theirs.map(|id| self.theirs.hash(id));
        if ours == theirs || theirs == base {
            return Verdict::Ours;
        }
        if ours == base {
            return Verdict::Theirs;
        }
        let kinds = [
            self.base.as_ref().zip(nodes.base).map(|(side, id)| side.tree().node(id).kind),
            nodes.ours.map(|id| self.ours.tree().node(id).kind),
            nodes.theirs.map(|id| self.theirs.tree().node(id).kind),
        ];
        let all = |wanted: NodeKind| {
            kinds[0].is_none_or(|kind| kind == wanted)
                && kinds[1..].iter().all(|kind| *kind == Some(wanted))
        };
        match () {
            () if all(NodeKind::Map) => Verdict::Maps,
            () if all(NodeKind::List) => Verdict::Lists,
            () => Verdict::Conflict,
        }
    }

    fn roots(&self, merged: &Hashed<'_>) -> Option<Vec<(Nodes, Option<NodeId>)>> {
        let roots = |tree: &Tree| tree.documents().collect::<Vec<_>>();
        let (ours, theirs) = (roots(self.ours.tree()), roots(self.theirs.tree()));
        let base = self.base.as_ref().map(|base| roots(base.tree()));
        let merged = roots(merged.tree());
        let alike = ours.len() == theirs.len()
            && ours.len() == merged.len()
            && base.as_ref().is_none_or(|base| base.len() == ours.len());
        alike.then(|| {
            (0..ours.len())
                .map(|at| {
                    let base = base.as_ref().map(|base| base[at]);
                    let nodes = Nodes { base, ours: Some(ours[at]), theirs: Some(theirs[at]) };
                    (nodes, Some(merged[at]))
                })
                .collect()
        })
    }

    /// Returns the entries of maps by their keys; `None` if a key stands twice.
    fn entries<'s>(
        &'s self,
        nodes: Nodes,
        merged: Option<(&'s Tree, NodeId)>,
    ) -> Option<Entries<'s>> {
        let mut entries: Entries<'s> = HashMap::new();
        let mut add = |side: Option<(&'s Tree, NodeId)>,
                       slot: fn(&mut (Nodes, Option<NodeId>)) -> &mut Option<NodeId>|
         -> Option<()> {
            let Some((tree, map)) = side else { return Some(()) };
            for id in tree.children(map) {
                let Some(key) = tree.key(id) else { continue };
                let empty = (Nodes { base: None, ours: None, theirs: None }, None);
                let slot = slot(entries.entry(key).or_insert(empty));
                if slot.replace(id).is_some() {
                    return None;
                }
            }
            Some(())
        };
        let base = self.base.as_ref().map(Hashed::tree).zip(nodes.base);
        add(base, |(nodes, _)| &mut nodes.base)?;
        add(nodes.ours.map(|id| (self.ours.tree(), id)), |(nodes, _)| &mut nodes.ours)?;
        add(nodes.theirs.map(|id| (self.theirs.tree(), id)), |(nodes, _)| &mut nodes.theirs)?;
        add(merged, |(_, merged)| merged)?;
        Some(entries)
    }

    /// Returns whether a list has the members that a three-way merge of their numbers gives.
    fn has_members(&self, nodes: Nodes, merged: &Hashed<'_>, found: NodeId) -> bool {
        let mut counts: HashMap<Hash128, [i64; 4]> = HashMap::new();
        let mut count = |side: Option<(&Hashed<'_>, NodeId)>, at: usize| {
            let Some((side, list)) = side else { return };
            for id in side.members(list) {
                counts.entry(side.hash(id)).or_default()[at] += 1;
            }
        };
        count(self.base.as_ref().zip(nodes.base), 0);
        count(nodes.ours.map(|id| (&self.ours, id)), 1);
        count(nodes.theirs.map(|id| (&self.theirs, id)), 2);
        count(Some((merged, found)), 3);
        // A member that both changed, each in its way, would be there twice: that is a conflict.
        let removed_by_both =
            counts.values().any(|[base, ours, theirs, _]| ours < base && theirs < base);
        let added = |side: usize| counts.values().any(|of| of[side] > of[0]);
        if removed_by_both && added(1) && added(2) {
            return false;
        }
        counts.values().all(|&[base, ours, theirs, merged]| {
            let expected = match () {
                () if ours == theirs || theirs == base => ours,
                () if ours == base => theirs,
                () => (ours + theirs - base).max(0),
            };
            merged == expected
        })
    }

    /// Pairs the members of lists of the same length.
    fn members(
        &self,
        nodes: Nodes,
        merged: &Hashed<'_>,
        found: NodeId,
    ) -> Option<Vec<(Nodes, Option<NodeId>)>> {
        let of = |side: &Hashed<'_>, list: NodeId| side.members(list).collect::<Vec<_>>();
        let base = of(self.base.as_ref()?, nodes.base?);
        let (ours, theirs) = (of(&self.ours, nodes.ours?), of(&self.theirs, nodes.theirs?));
        let merged = of(merged, found);
        let length = base.len();
        [&ours, &theirs, &merged].iter().all(|list| list.len() == length).then(|| {
            (0..length)
                .map(|at| {
                    let nodes = Nodes {
                        base: Some(base[at]),
                        ours: Some(ours[at]),
                        theirs: Some(theirs[at]),
                    };
                    (nodes, Some(merged[at]))
                })
                .collect()
        })
    }
}
