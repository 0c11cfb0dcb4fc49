//! Binary: any bytes, one value. Its encrypted form is a JSON file with the bytes under `data`.

use crate::edits::Edits;
use crate::format::{
    Block, Change, Detached, DuplicateMetadata, EmitError, FileFormat, Layout, MetadataLayout,
    SyntaxError, json,
};
use crate::secret::SecretBytes;
use crate::span::Span;
use crate::tree::operation::Operation;
use crate::tree::{Key, KeyType, NodeId, NodeKind, Site, TextRef, Tree, TreeBuilder, Value};

/// The key of the one value.
const DATA: &[u8] = b"data";

/// The binary format.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

impl FileFormat for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    /// None: binary is what no other format claims.
    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// A JSON object whose members are `data`, a string, and `sops`, in this order.
    fn sniff(&self, text: &[u8]) -> bool {
        let behind = |text: &[u8], token: &[u8]| -> Option<usize> {
            let rest = text.trim_ascii_start();
            rest.starts_with(token).then(|| text.len() - rest.len() + token.len())
        };
        let mut rest = text;
        for token in [&b"{"[..], b"\"data\"", b":", b"\""] {
            let Some(end) = behind(rest, token) else {
                return false;
            };
            rest = &rest[end..];
        }
        let Some(end) = memchr::memchr(b'"', rest) else {
            return false;
        };
        rest = &rest[end + 1..];
        for token in [&b","[..], b"\"sops\""] {
            let Some(end) = behind(rest, token) else {
                return false;
            };
            rest = &rest[end..];
        }
        true
    }

    fn parse(&self, source: SecretBytes) -> Result<Tree, SyntaxError> {
        let mut builder = TreeBuilder::new(source)?;
        let span = Span::new(0, builder.source().len());
        builder.open(None, NodeKind::Map, Some(span), Site::default());
        let key = Key { text: builder.intern(DATA), kind: KeyType::Text, span: None };
        let data = NodeKind::Text(TextRef::Source(span));
        builder.leaf(Some(key), data, Some(span), Site::default());
        Ok(builder.finish())
    }

    /// The plain text is its one value.
    fn splice(&self, tree: &Tree, changes: &[Change]) -> Result<Edits, EmitError> {
        let mut edits = Edits::new();
        for change in changes {
            if let (Some(span), Some(Value::Text(text))) =
                (tree.node(change.id).span, tree.value(change.id))
            {
                edits.replace(span, text);
            }
        }
        Ok(edits)
    }

    fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::Nested
    }

    /// Plain bytes have no metadata.
    fn detach(&self, _tree: &Tree) -> Result<Option<Detached>, DuplicateMetadata> {
        Ok(None)
    }

    fn attach(&self, _tree: &Tree, _block: &Block<'_>) -> Result<Edits, EmitError> {
        Err(EmitError::whole("plain bytes have no place for the metadata"))
    }

    fn append(
        &self,
        _tree: &Tree,
        _map: NodeId,
        _key: &str,
        _value: &str,
    ) -> Result<Edits, EmitError> {
        Err(EmitError::whole("plain bytes have no place for the metadata"))
    }

    fn amend(&self, tree: &Tree, operation: &Operation<'_>) -> Result<Option<Edits>, EmitError> {
        let Operation::Replace { id, value } = *operation else { return Ok(None) };
        let content = value.documents().next().and_then(|root| value.value(root));
        let (Some(span), Some(Value::Text(content))) = (tree.node(id).span, content) else {
            return Ok(None);
        };
        let mut edits = Edits::new();
        edits.replace(span, content);
        Ok(Some(edits))
    }

    fn emit(&self, tree: &Tree, _layout: &Layout) -> Result<SecretBytes, EmitError> {
        let mut documents = tree.documents();
        let data = documents.next().and_then(|root| tree.entry(root, DATA));
        match data.and_then(|data| tree.value(data)) {
            Some(Value::Text(text)) if documents.next().is_none() => Ok(SecretBytes::from(text)),
            _ => Err(EmitError::whole("error emitting binary store: no binary data found in tree")),
        }
    }

    fn template(&self) -> &'static str {
        "Replace this example; the whole file is encrypted when you save.\n"
    }

    fn container(&self) -> Option<&'static dyn FileFormat> {
        Some(&json::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_one_value() {
        for bytes in [&b""[..], b"\0\xff\r\n", b"{}"] {
            let tree = Binary.parse(SecretBytes::from(bytes)).unwrap();
            assert_eq!(&*Binary.emit(&tree, &Layout::default()).unwrap(), bytes);
        }
    }

    #[test]
    fn the_encrypted_form_is_told_from_other_json() {
        assert!(Binary.sniff(b"{\n\t\"data\": \"ENC[x]\",\n\t\"sops\": {}}"));
        assert!(!Binary.sniff(b"{\"data\": {\"a\": \"b\"}, \"sops\": {}}"));
        assert!(!Binary.sniff(b"{\"data\": \"x\", \"b\": 1, \"sops\": {}}"));
        assert!(!Binary.sniff(b"\x00\x01"));
    }
}
