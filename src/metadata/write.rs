//! Writing a block: a new one as a tree, or a few fields into the text of an old one.

use crate::edits::Edits;
use crate::format::{Change, EmitError, FileFormat, MetadataLayout, SyntaxError};
use crate::keys::{FieldValue, KINDS, KeyGroup};
use crate::metadata::{BLOCK, LAYOUT_FIELD, Metadata, MetadataError, flat};
use crate::number;
use crate::secret::SecretBytes;
use crate::selector::Selector;
use crate::tree::{Key, KeyType, NodeId, NodeKind, Site, Tree, TreeBuilder};

impl Metadata {
    /// Returns the tree of a new block.
    ///
    /// # Errors
    /// If the layout cannot hold a field: a flattened one with a backslash and `n`, which would be
    /// read as a line break.
    pub fn to_tree(&self, layout: MetadataLayout) -> Result<Tree, EmitError> {
        let fields = self.to_fields();
        let mut builder = TreeBuilder::new(SecretBytes::new())
            .map_err(|error| EmitError::whole(error.to_string()))?;
        builder.open(None, NodeKind::Map, None, Site::default());
        match layout {
            MetadataLayout::Nested => build(&mut builder, "sops", &FieldValue::Map(fields)),
            MetadataLayout::Flat | MetadataLayout::Section => {
                let mut flattened = Vec::new();
                for (name, value) in &fields {
                    flat::flatten(name, value, &mut flattened);
                }
                flattened.sort();
                let section = layout == MetadataLayout::Section;
                if section {
                    let key = key(&mut builder, "sops");
                    builder.open(Some(key), NodeKind::Map, None, Site::default());
                }
                for (name, value) in flattened {
                    if value.contains("\\n") {
                        return Err(EmitError::whole(format!(
                            "the metadata field `{name}` holds `\\n`, which would be read back as \
                             a line break; write the rule without it"
                        )));
                    }
                    let name = if section { name } else { format!("sops_{name}") };
                    let value = if section { value.replace('\n', "\\n") } else { value };
                    build(&mut builder, &name, &FieldValue::Text(value));
                }
            }
        }
        Ok(builder.finish())
    }

    /// Writes `mac`, `lastmodified` and `version` into the text of a block. `None` if the block
    /// has no place for one of them, so that it must be written anew.
    ///
    /// # Errors
    /// If the block cannot be changed, which would be an error of the format.
    pub fn patch(
        &self,
        block: &[u8],
        format: &dyn FileFormat,
    ) -> Result<Option<SecretBytes>, PatchError> {
        let mut tree = format.parse(SecretBytes::from(block))?;
        let mac = self.mac.clone().unwrap_or_default();
        let mut changes = Vec::new();
        for (name, value) in [
            ("lastmodified", &number::rfc3339_seconds(self.last_modified)),
            ("mac", &mac),
            ("version", &self.version),
        ] {
            let Some(id) = place(&tree, format.metadata_layout(), name) else { return Ok(None) };
            if tree.node(id).kind.is_container() {
                return Ok(None);
            }
            if tree.value(id) == Some(crate::tree::Value::Text(value.as_bytes())) {
                continue;
            }
            let text = tree.intern(value.as_bytes());
            tree.set(id, NodeKind::Text(text));
            changes.push(Change { id, verbatim: None });
        }
        changes.sort_by_key(|change| change.id);
        let edits = format.splice(&tree, &changes)?;
        let patched = edits.apply(tree.source());
        // What is written must read back: the block is small.
        let again =
            Metadata::read(&format.parse(SecretBytes::from(&*patched))?, format.metadata_layout())?;
        let same = again.mac == self.mac && again.mac_path() == self.mac_path();
        Ok(same.then_some(patched))
    }

    /// Returns the fields of a new block, sorted as SOPS 3.13 writes them.
    fn to_fields(&self) -> Vec<(String, FieldValue)> {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        let mut fields = Vec::new();
        match &self.groups[..] {
            [group] => fields.extend(group_fields(group, false)),
            groups => {
                let groups =
                    groups.iter().map(|group| FieldValue::Map(group_fields(group, true))).collect();
                fields.push(("key_groups".to_owned(), FieldValue::List(groups)));
            }
        }
        if self.shamir_threshold > 0 {
            let threshold = self.shamir_threshold.to_string();
            fields.push(("shamir_threshold".to_owned(), text(&threshold)));
        }
        let last_modified = number::rfc3339_seconds(self.last_modified);
        fields.push(("lastmodified".to_owned(), text(&last_modified)));
        fields.push(("mac".to_owned(), text(self.mac.as_deref().unwrap_or_default())));
        if let Some((name, value)) = self.selector.as_ref().map(Selector::field) {
            fields.push((name.to_owned(), text(value)));
        }
        if let Some(layout) = &self.layout {
            fields.push((LAYOUT_FIELD.to_owned(), text(layout)));
        }
        if self.mac_only_encrypted {
            fields.push(("mac_only_encrypted".to_owned(), text("true")));
        }
        fields.push(("version".to_owned(), text(&self.version)));
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields
    }
}

/// Returns the fields of a group. Inside `key_groups` SOPS always writes some kinds.
fn group_fields(group: &KeyGroup, nested: bool) -> Vec<(String, FieldValue)> {
    let mut kinds: Vec<&str> = group.keys.iter().map(|key| key.key.kind()).collect();
    if nested {
        kinds.extend(KINDS.iter().filter(|kind| kind.is_in_every_group).map(|kind| kind.name));
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
        .into_iter()
        .map(|kind| {
            let entries = group
                .keys
                .iter()
                .filter(|key| key.key.kind() == kind)
                .map(|key| {
                    let mut fields = key.key.fields();
                    let wrapped = key.wrapped.clone().unwrap_or_default();
                    fields.push(("enc".to_owned(), FieldValue::Text(wrapped)));
                    if let Some(created_at) = &key.created_at {
                        let created_at = FieldValue::Text(created_at.clone());
                        fields.push(("created_at".to_owned(), created_at));
                    }
                    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                    FieldValue::Map(fields)
                })
                .collect();
            (kind.to_owned(), FieldValue::List(entries))
        })
        .collect()
}

/// Writes the sealed layout into the blocks of an encrypted text, whose tree has them still.
///
/// # Errors
/// If there is no block, or the format cannot add a field to it.
pub fn set_layout(
    tree: &mut Tree,
    format: &dyn FileFormat,
    sealed: &str,
) -> Result<SecretBytes, PatchError> {
    let mut edits = Edits::new();
    let roots: Vec<NodeId> = tree.documents().collect();
    for root in roots {
        let (map, name) = match format.metadata_layout() {
            MetadataLayout::Nested | MetadataLayout::Section => {
                (tree.entry(root, BLOCK), LAYOUT_FIELD.to_owned())
            }
            MetadataLayout::Flat => (Some(root), format!("sops_{LAYOUT_FIELD}")),
        };
        let Some(map) = map else { continue };
        match tree.entry(map, name.as_bytes()) {
            Some(id) => {
                let text = tree.intern(sealed.as_bytes());
                tree.set(id, NodeKind::Text(text));
                edits.append(&format.splice(tree, &[Change { id, verbatim: None }])?);
            }
            None => edits.append(&format.append(tree, map, &name, sealed)?),
        }
    }
    Ok(edits.apply(tree.source()))
}

/// Returns where a field stands in a block.
fn place(block: &Tree, layout: MetadataLayout, name: &str) -> Option<NodeId> {
    let root = block.documents().next()?;
    match layout {
        MetadataLayout::Nested | MetadataLayout::Section => {
            block.entry(block.entry(root, BLOCK)?, name.as_bytes())
        }
        MetadataLayout::Flat => block.entry(root, format!("sops_{name}").as_bytes()),
    }
}

fn key(builder: &mut TreeBuilder, name: &str) -> Key {
    Key { text: builder.intern(name.as_bytes()), kind: KeyType::Text, span: None }
}

/// Adds a field. The depth is that of the fields of a block, which is small.
fn build(builder: &mut TreeBuilder, name: &str, value: &FieldValue) {
    let key = key(builder, name);
    build_under(builder, Some(key), name, value);
}

fn build_under(builder: &mut TreeBuilder, key: Option<Key>, name: &str, value: &FieldValue) {
    let site = Site::default();
    match value {
        FieldValue::Null => {
            builder.leaf(key, NodeKind::Null, None, site);
        }
        FieldValue::Text(text) => {
            // The two fields that are not texts in YAML and JSON.
            let number = (name == "shamir_threshold").then(|| text.parse().ok()).flatten();
            let kind = match (name, number) {
                (_, Some(number)) => NodeKind::Integer(number),
                ("mac_only_encrypted", _) => NodeKind::Boolean(text == "true"),
                _ => NodeKind::Text(builder.intern(text.as_bytes())),
            };
            builder.leaf(key, kind, None, site);
        }
        FieldValue::List(members) => {
            builder.open(key, NodeKind::List, None, site);
            for member in members {
                build_under(builder, None, "", member);
            }
            builder.close(None);
        }
        FieldValue::Map(fields) => {
            builder.open(key, NodeKind::Map, None, site);
            for (name, field) in fields {
                build(builder, name, field);
            }
            builder.close(None);
        }
    }
}

/// Why a block could not be changed in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The block is no text of the format.
    #[error("the `sops` block: {0}")]
    Syntax(#[from] SyntaxError),
    /// A field cannot be written.
    #[error("the `sops` block: {0}")]
    Emit(#[from] EmitError),
    /// The changed block is none.
    #[error("the `sops` block: {0}")]
    Metadata(#[from] MetadataError),
}
