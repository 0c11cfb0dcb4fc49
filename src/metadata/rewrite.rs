//! A block that is written anew although there was one: other keys, in the old order of the
//! fields, and with those that are not known.

use crate::format::{EmitError, MetadataLayout};
use crate::keys::KeyKind;
use crate::metadata::flat::{LIST, MAP};
use crate::metadata::write::fields_of;
use crate::metadata::{BLOCK, FLAT_START, Metadata, OTHER_FIELDS};
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::tree::{Key, NodeId, NodeKind, Site, Step, Tree, TreeBuilder};

/// The nodes of a field: one, or those that a field is flattened to. A comment is one without a
/// name.
struct Field {
    name: Option<String>,
    nodes: Vec<NodeId>,
}

/// Returns the tree of a block that says what `new` says, and what `block` said beyond `old`.
///
/// # Errors
/// As [`Metadata::to_tree`].
pub(super) fn merge(
    block: &Tree,
    old: &Metadata,
    new: &Metadata,
    layout: MetadataLayout,
) -> Result<Tree, EmitError> {
    let tree = new.to_tree(layout)?;
    let mut fields = fields(&tree, layout);
    let understood = |name: &str| {
        KeyKind::named(name).is_some()
            || OTHER_FIELDS.contains(&name)
            || Selector::FIELDS.contains(&name)
            || old.keys().any(|key| key.key.kind() == name)
    };
    let mut merged: Vec<(&Tree, Field)> = Vec::new();
    for field in self::fields(block, layout) {
        let Some(name) = &field.name else {
            merged.push((block, field));
            continue;
        };
        if let Some(at) = fields.iter().position(|new| new.name == field.name) {
            merged.push((&tree, fields.remove(at)));
        } else if !understood(name) || is_empty_list(block, &field) {
            merged.push((block, field));
        }
    }
    for field in fields {
        let behind = |(_, other): &(&Tree, Field)| other.name > field.name;
        let at = merged.iter().position(behind).unwrap_or(merged.len());
        merged.insert(at, (&tree, field));
    }

    let mut builder = TreeBuilder::new(SecretBytes::new())
        .map_err(|error| EmitError::whole(error.to_string()))?;
    builder.open(None, NodeKind::Map, None, Site::default());
    if layout != MetadataLayout::Flat {
        let text = builder.intern(BLOCK);
        let key = Key { text, kind: crate::tree::KeyType::Text, span: None };
        builder.open(Some(key), NodeKind::Map, None, Site::default());
    }
    let orders = Orders::of(block);
    for (tree, field) in merged {
        for id in field.nodes {
            copy(&mut builder, tree, id, &orders);
        }
    }
    Ok(builder.finish())
}

/// Returns the fields of a block in their order.
fn fields(block: &Tree, layout: MetadataLayout) -> Vec<Field> {
    let map = block.documents().next().and_then(|root| fields_of(block, root, layout));
    let mut fields: Vec<Field> = Vec::new();
    for id in map.into_iter().flat_map(|map| block.children(map)) {
        let name = block.key(id).map(|key| field_name(key, layout));
        // The parts of a flattened field may be apart; they come together where the first one is.
        match fields.iter_mut().find(|field| name.is_some() && field.name == name) {
            Some(field) => field.nodes.push(id),
            None => fields.push(Field { name, nodes: vec![id] }),
        }
    }
    fields
}

/// Returns the name of the field that an entry is, or is a part of.
fn field_name(key: &[u8], layout: MetadataLayout) -> String {
    let key = match layout {
        MetadataLayout::Flat => key.strip_prefix(FLAT_START).unwrap_or(key),
        MetadataLayout::Nested | MetadataLayout::Section => key,
    };
    let key = String::from_utf8_lossy(key);
    if layout == MetadataLayout::Nested {
        return key.into_owned();
    }
    let end = [MAP, LIST].iter().filter_map(|step| key.find(step)).min().unwrap_or(key.len());
    key[..end].to_owned()
}

/// Returns whether a field is one of those that older releases wrote for kinds without keys.
fn is_empty_list(block: &Tree, field: &Field) -> bool {
    field.name.as_deref().is_some_and(|name| KeyKind::named(name).is_some())
        && field.nodes.iter().all(|&id| match block.node(id).kind {
            NodeKind::Null => true,
            NodeKind::List => block.children(id).next().is_none(),
            _ => false,
        })
}

/// The order of the fields in a nested block: SOPS sorts them since 3.13, and had `enc` behind
/// what names the key before.
struct Orders<'t> {
    /// In the entry of a key.
    key: Vec<&'t [u8]>,
    /// In a key group.
    group: Vec<&'t [u8]>,
}

impl<'t> Orders<'t> {
    fn of(block: &'t Tree) -> Orders<'t> {
        let mut orders = Orders { key: Vec::new(), group: Vec::new() };
        let mut maps = block.walk(None).filter_map(|step| match step {
            Step::Enter(id) if block.node(id).kind == NodeKind::Map => Some(id),
            _ => None,
        });
        if let Some(id) = maps.find(|&id| is_key(block, id)) {
            orders.key = names(block, id);
        }
        let groups = block.walk(None).find_map(|step| match step {
            Step::Enter(id) if block.key(id) == Some(b"key_groups") => Some(id),
            _ => None,
        });
        if let Some(id) = groups.and_then(|id| block.children(id).next()) {
            orders.group = names(block, id);
        }
        orders
    }

    /// Returns what is in a container, in the order that maps of its kind have.
    fn sorted(&self, tree: &Tree, id: NodeId) -> Vec<NodeId> {
        let mut children: Vec<NodeId> = tree.children(id).collect();
        if tree.node(id).kind == NodeKind::Map {
            let order = if is_key(tree, id) { &self.key } else { &self.group };
            let place = |id: &NodeId| order.iter().position(|name| Some(*name) == tree.key(*id));
            children.sort_by_key(|id| place(id).unwrap_or(order.len()));
        }
        children
    }
}

fn is_key(tree: &Tree, id: NodeId) -> bool {
    tree.entry(id, b"enc").is_some()
}

fn names(tree: &Tree, id: NodeId) -> Vec<&[u8]> {
    tree.children(id).filter_map(|id| tree.key(id)).collect()
}

/// Copies a node with what is in it. The depth is that of a block that was read, which is bounded.
fn copy(builder: &mut TreeBuilder, tree: &Tree, id: NodeId, orders: &Orders<'_>) {
    let node = tree.node(id);
    let key = node.key.map(|key| Key {
        text: builder.intern(tree.text(key.text)),
        kind: key.kind,
        span: None,
    });
    let kind = match node.kind {
        NodeKind::Text(text) => NodeKind::Text(builder.intern(tree.text(text))),
        NodeKind::Comment { text, inline } => {
            NodeKind::Comment { text: builder.intern(tree.text(text)), inline }
        }
        kind => kind,
    };
    if kind.is_container() {
        builder.open(key, kind, None, Site::default());
        for id in orders.sorted(tree, id) {
            copy(builder, tree, id, orders);
        }
        builder.close(None);
    } else {
        builder.leaf(key, kind, None, Site::default());
    }
}
