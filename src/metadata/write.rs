//! Writing a block: a new one as a tree, or a few fields into the text of an old one.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::edits::Edits;
use crate::format::{Change, EmitError, FileFormat, Layout, MetadataLayout, SyntaxError};
use crate::keys::{FieldValue, KINDS, KeyGroup, WrappedKey};
use crate::metadata::{BLOCK, LAYOUT_FIELD, Metadata, MetadataError, flat, rewrite};
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
                    let value = in_layout(&value, layout).into_owned();
                    build(&mut builder, &flat_name(&name, layout), &FieldValue::Text(value));
                }
            }
        }
        Ok(builder.finish())
    }

    /// Writes these metadata into the text of a block: over what changed, if the block has a place
    /// for each field and the same keys, else as a new text with the fields that are not known.
    ///
    /// # Errors
    /// If the block cannot be changed, which would be an error of the format.
    pub fn update(
        &self,
        block: &[u8],
        format: &dyn FileFormat,
        layout: &Layout,
    ) -> Result<SecretBytes, PatchError> {
        let mut tree = format.parse(SecretBytes::from(block))?;
        let old = Metadata::read(&tree, format.metadata_layout())?;
        if let Some(edits) = self.patch(&mut tree, &old, format)? {
            let patched = edits.apply(tree.source());
            // What is written must read back: the block is small.
            let again = format.parse(SecretBytes::from(&*patched))?;
            let again = Metadata::read(&again, format.metadata_layout())?;
            if again.texts() == self.texts() && again.differs_in_texts_only(self) {
                return Ok(patched);
            }
        }
        let tree = format.parse(SecretBytes::from(block))?;
        let merged = rewrite::merge(&tree, &old, self, format.metadata_layout())?;
        Ok(format.emit(&merged, layout)?)
    }

    /// Returns the edits that write the texts that changed since `old` into `tree`: that of a block,
    /// or of a whole encrypted file. `None` if more than such texts changed, or there is no place
    /// for one of them.
    ///
    /// # Errors
    /// If a text cannot be written in the format.
    pub fn patch(
        &self,
        tree: &mut Tree,
        old: &Metadata,
        format: &dyn FileFormat,
    ) -> Result<Option<Edits>, PatchError> {
        let layout = format.metadata_layout();
        if !self.differs_in_texts_only(old) {
            return Ok(None);
        }
        let texts = self.texts();
        let blocks: Vec<NodeId> =
            tree.documents().filter_map(|root| fields_of(tree, root, layout)).collect();
        let mut changes = Vec::new();
        for fields in blocks {
            for (places, value) in &texts {
                let Some(id) = places.iter().find_map(|parts| place(tree, fields, layout, parts))
                else {
                    return Ok(None);
                };
                if tree.node(id).kind.is_container() {
                    return Ok(None);
                }
                let value = in_layout(value, layout);
                if tree.value(id) == Some(crate::tree::Value::Text(value.as_bytes())) {
                    continue;
                }
                let text = tree.intern(value.as_bytes());
                tree.set(id, NodeKind::Text(text));
                changes.push(Change { id, verbatim: None });
            }
        }
        changes.sort_by_key(|change| change.id);
        Ok(Some(format.splice(tree, &changes)?))
    }

    /// Returns whether `old` has the same fields and keys, so that only texts are others.
    fn differs_in_texts_only(&self, old: &Metadata) -> bool {
        let keys = |metadata: &Metadata| -> Vec<Vec<_>> {
            let group = |group: &KeyGroup| {
                let key = |key: &WrappedKey| {
                    (key.key.kind().to_owned(), key.key.fields(), key.created_at.clone())
                };
                group.keys.iter().map(key).collect()
            };
            metadata.groups.iter().map(group).collect()
        };
        keys(self) == keys(old)
            && self.shamir_threshold == old.shamir_threshold
            && self.selector == old.selector
            && self.mac_only_encrypted == old.mac_only_encrypted
            && self.layout.is_some() == old.layout.is_some()
    }

    /// Returns the texts that change when a file is written, each with the places where it may
    /// stand.
    fn texts(&self) -> Vec<(Vec<Vec<Part>>, String)> {
        let mut texts = Vec::new();
        let last_modified = number::rfc3339_seconds(self.last_modified);
        for (name, text) in [
            ("lastmodified", Some(&last_modified)),
            ("mac", Some(self.mac.as_ref().unwrap_or(&String::new()))),
            (LAYOUT_FIELD, self.layout.as_ref()),
            ("version", Some(&self.version)),
        ] {
            if let Some(text) = text {
                texts.push((vec![vec![Part::Field(name.to_owned())]], text.clone()));
            }
        }
        for (number, group) in self.groups.iter().enumerate() {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            for key in &group.keys {
                let kind = key.key.kind();
                let count = counts.entry(kind).or_default();
                let inside = [
                    Part::Field(kind.to_owned()),
                    Part::Item(*count),
                    Part::Field("enc".to_owned()),
                ];
                *count += 1;
                let mut grouped = vec![Part::Field("key_groups".to_owned()), Part::Item(number)];
                grouped.extend_from_slice(&inside);
                let mut places = vec![grouped];
                if self.groups.len() == 1 {
                    places.insert(0, inside.to_vec());
                }
                texts.extend(key.wrapped.clone().map(|wrapped| (places, wrapped)));
            }
        }
        texts
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
        let layout = format.metadata_layout();
        let Some(map) = fields_of(tree, root, layout) else { continue };
        let name = flat_name(LAYOUT_FIELD, layout);
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

/// A step from the fields of a block to a text in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Field(String),
    Item(usize),
}

/// Returns what has the fields of the metadata as its entries, in the document `root`.
pub(super) fn fields_of(tree: &Tree, root: NodeId, layout: MetadataLayout) -> Option<NodeId> {
    match layout {
        MetadataLayout::Nested | MetadataLayout::Section => tree.entry(root, BLOCK),
        MetadataLayout::Flat => Some(root),
    }
}

/// Returns where a text stands below the fields of a block.
fn place(block: &Tree, fields: NodeId, layout: MetadataLayout, parts: &[Part]) -> Option<NodeId> {
    if layout == MetadataLayout::Nested {
        return parts.iter().try_fold(fields, |id, part| match part {
            Part::Field(name) => block.entry(id, name.as_bytes()),
            Part::Item(number) => {
                block.children(id).filter(|&id| !block.node(id).kind.is_comment()).nth(*number)
            }
        });
    }
    let mut name = String::new();
    for part in parts {
        match part {
            Part::Field(field) if name.is_empty() => name.push_str(field),
            Part::Field(field) => name.extend([flat::MAP, field]),
            Part::Item(number) => name.extend([flat::LIST, &number.to_string()]),
        }
    }
    block.entry(fields, flat_name(&name, layout).as_bytes())
}

/// Returns the key of a flattened field.
fn flat_name(name: &str, layout: MetadataLayout) -> String {
    if layout == MetadataLayout::Flat { format!("sops_{name}") } else { name.to_owned() }
}

/// Returns a text as the layout has it: INI escapes line breaks on top of what the format does.
fn in_layout(text: &str, layout: MetadataLayout) -> Cow<'_, str> {
    match layout {
        MetadataLayout::Section => text.replace('\n', "\\n").into(),
        MetadataLayout::Flat | MetadataLayout::Nested => text.into(),
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
