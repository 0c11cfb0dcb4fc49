//! Tests of the metadata.

use super::*;
use crate::format::{FileFormat, Layout, dotenv::Dotenv, json::Json};
use crate::secret::SecretBytes;

const RECIPIENT: &str = "age1lcd05y8qq7256hxlxfzj0u2vuphtdxdhz0e5hgyv9fppcpjs83zsxq4cja";

fn read(text: &str) -> Result<Metadata, MetadataError> {
    let tree = Json.parse(SecretBytes::from(text)).unwrap();
    Metadata::read(&tree, MetadataLayout::Nested)
}

fn block(fields: &str) -> String {
    format!(
        "{{\"sops\":{{\"age\":[{{\"recipient\":\"{RECIPIENT}\",\"enc\":\"x\"}}],\
         \"lastmodified\":\"2026-01-02T03:04:05Z\",\"mac\":\"ENC[m]\",\"version\":\"3.11.0\"{fields}}}}}"
    )
}

#[test]
fn a_block_is_read() {
    let metadata = read(&block(
        ",\"shamir_threshold\":2,\"mac_only_encrypted\":true,\"encrypted_regex\":\"^a\",\"other\":{\"x\":[1]}",
    ))
    .unwrap();
    assert_eq!(metadata.keys().count(), 1);
    assert_eq!(metadata.shamir_threshold, 2);
    assert!(metadata.mac_only_encrypted);
    assert_eq!(metadata.selector().field(), ("encrypted_regex", "^a"));
    assert_eq!(metadata.mac_path(), "2026-01-02T03:04:05Z");
    assert_eq!(read(&block("")).unwrap().selector(), Selector::default());
}

#[test]
fn entries_of_unknown_kinds_are_keys() {
    let metadata = read(&block(",\"newkms\":[{\"id\":\"k\",\"enc\":\"y\"}]")).unwrap();
    let kinds: Vec<_> = metadata.keys().map(|key| key.key.kind().to_owned()).collect();
    assert_eq!(kinds, ["age", "newkms"]);
}

#[test]
fn unusable_blocks_are_refused() {
    for (text, error) in [
        ("{\"sops\":[]}".to_owned(), MetadataError::NotAMap),
        ("{\"sops\":{}}".to_owned(), MetadataError::LastModified),
        (
            "{\"sops\":{\"lastmodified\":\"2026-01-02T03:04:05Z\"}}".to_owned(),
            MetadataError::NoKeys,
        ),
        (block(",\"mac\":\"x\""), MetadataError::Duplicate { field: "mac".to_owned() }),
        (
            block(",\"kms\":[{\"arn\":\"a\",\"enc\":\"x\"}]"),
            MetadataError::CreatedAt { kind: "kms".to_owned() },
        ),
        (block(&format!(",\"x\":{}{}", "[".repeat(40), "]".repeat(40))), MetadataError::TooDeep),
    ] {
        assert_eq!(read(&text).unwrap_err(), error, "{text}");
    }
    assert!(matches!(
        read(&block(",\"encrypted_regex\":\"a\",\"encrypted_suffix\":\"b\"")),
        Err(MetadataError::Selector(_))
    ));
}

#[test]
fn a_new_block_reads_back_in_every_layout() {
    let mut metadata = read(&block(",\"shamir_threshold\":2,\"mac_only_encrypted\":true")).unwrap();
    metadata.groups.push(read(&block("")).unwrap().groups.remove(0));
    metadata.selector = Some(Selector::default());
    for format in [&Json as &dyn FileFormat, &Dotenv] {
        let layout = format.metadata_layout();
        let tree = metadata.to_tree(layout).unwrap();
        let text = format.emit(&tree, &Layout::default()).unwrap();
        let again = Metadata::read(&format.parse(text).unwrap(), layout).unwrap();
        assert_eq!(again.groups.len(), 2);
        assert_eq!(again.shamir_threshold, 2);
        assert!(again.mac_only_encrypted);
        assert_eq!(again.selector, metadata.selector);
        assert_eq!(again.mac, metadata.mac);
        assert_eq!(again.version, metadata.version);
    }
}

#[test]
fn a_patch_changes_its_fields_alone() {
    let text = "{\"sops\": {\n  \"version\":\"3.11.0\",  \"x\": 1,\"mac\": \"old\",\n\t\"lastmodified\":\"2026-01-02T03:04:05Z\",\
                \"age\":[{\"recipient\":\"r\",\"enc\":\"x\"}]}}";
    let mut metadata = read(text).unwrap();
    metadata.mac = Some("new".to_owned());
    let patched = metadata.update(text.as_bytes(), &Json, &Layout::default()).unwrap();
    assert_eq!(std::str::from_utf8(&patched).unwrap(), text.replace("old", "new"));
}

#[test]
fn flattened_lists_have_no_holes() {
    let read = |text: &str| {
        let tree = Dotenv.parse(SecretBytes::from(text)).unwrap();
        Metadata::read(&tree, MetadataLayout::Flat)
    };
    let rest =
        "sops_lastmodified=2026-01-02T03:04:05Z\nsops_mac=m\nsops_shamir_threshold=2.000000\n";
    let good = format!("sops_age__list_0__map_enc=x\n{rest}");
    assert_eq!(read(&good).unwrap().shamir_threshold, 2);
    for bad in [
        "sops_age__list_1__map_enc=x\n",
        "sops_age__list_0__map_enc=x\nsops_age__list_0=y\n",
        "sops_age__list_0__map_enc=x\nsops_age__map_a=y\n",
    ] {
        assert!(read(&format!("{bad}{rest}")).is_err(), "{bad}");
    }
}

#[test]
fn a_hole_in_a_flattened_list_is_named() {
    let text = "sops_lastmodified=2026-01-02T03:04:05Z\nsops_age__list_1__map_enc=x\n";
    let tree = Dotenv.parse(SecretBytes::from(text)).unwrap();
    assert_eq!(
        Metadata::read(&tree, MetadataLayout::Flat).unwrap_err(),
        MetadataError::Flattened { field: "age".to_owned() }
    );
}

#[test]
fn flattened_keys_are_split_at_every_separator() {
    let read = |key: &str| {
        let text = format!("sops_lastmodified=2026-01-02T03:04:05Z\n{key}=x\n");
        let tree = Dotenv.parse(SecretBytes::from(text.as_str())).unwrap();
        Metadata::read(&tree, MetadataLayout::Flat).map(|metadata| metadata.keys().count())
    };
    assert_eq!(read("sops_age__list_0__map_enc"), Ok(1));
    assert_eq!(read("sops_x___list_0__map_enc"), Ok(1));
    assert_eq!(read("sops_x____list_0__map_enc"), Ok(1));
    assert_eq!(read("sops_x__list__0__map_enc"), Ok(1));
    // Only a list of maps with `enc` is one of keys.
    assert_eq!(read("sops_x_list_0__map_enc"), Err(MetadataError::NoKeys));
    assert_eq!(read("sops_x__list_0__lis_enc"), Err(MetadataError::NoKeys));
}

/// The quadratic way took a minute for this.
#[test]
fn a_flattened_key_of_many_steps_is_refused_at_once() {
    for step in ["__list_0", "__map_a", "__", "___map"] {
        let text =
            format!("sops_lastmodified=2026-01-02T03:04:05Z\nsops_{}=x\n", step.repeat(300_000));
        let tree = Dotenv.parse(SecretBytes::from(text.as_str())).unwrap();
        let error = Metadata::read(&tree, MetadataLayout::Flat).unwrap_err();
        assert!(matches!(error, MetadataError::TooDeep | MetadataError::NoKeys), "{step}");
    }
}

/// Comparing each name with all before it took half a minute for this.
#[test]
fn a_block_of_many_fields_is_read_at_once() {
    let fields: Vec<String> = (0..200_000).map(|n| format!(",\"x{n}\":\"\"")).collect();
    let fields = fields.concat();
    assert_eq!(read(&block(&fields)).unwrap().keys().count(), 1);
}

/// Returns the recipients and wrapped keys with one more key.
fn with_further_key(text: &str) -> Metadata {
    let mut metadata = read(text).unwrap();
    let fields = vec![("recipient".to_owned(), FieldValue::Text("age1new".to_owned()))];
    let mut key = WrappedKey::new(keys::from_fields("age", fields), metadata.last_modified);
    key.wrapped = Some("wrapped".to_owned());
    metadata.groups[0].keys.push(key);
    metadata
}

#[test]
fn a_further_key_leaves_the_other_fields_in_their_order() {
    let text = "{\"sops\": {\"version\":\"3.11.0\", \"x\": {\"b\": [1, true], \"a\": \"1\"}, \"pgp\": null, \"kms\": [],\
                \"age\":[{\"recipient\":\"r\",\"enc\":\"x\"}], \"lastmodified\":\"2026-01-02T03:04:05Z\",\
                \"mac\": \"m\", \"unencrypted_suffix\": \"_u\"}}";
    let layout = Layout { compact: true, ..Layout::default() };
    let updated = with_further_key(text).update(text.as_bytes(), &Json, &layout).unwrap();
    let expected = "{\"sops\":{\"version\":\"3.11.0\",\"x\":{\"b\":[1,true],\"a\":\"1\"},\"pgp\":null,\"kms\":[],\
                    \"age\":[{\"recipient\":\"r\",\"enc\":\"x\"},{\"recipient\":\"age1new\",\"enc\":\"wrapped\"}],\
                    \"lastmodified\":\"2026-01-02T03:04:05Z\",\"mac\":\"m\",\"unencrypted_suffix\":\"_u\"}}";
    assert_eq!(std::str::from_utf8(&updated).unwrap().trim_end(), expected);
}

#[test]
fn one_group_becomes_several_where_the_keys_stood() {
    let text = block(",\"x\":1");
    let mut metadata = with_further_key(&text);
    let key = metadata.groups[0].keys.remove(1);
    metadata.groups.push(KeyGroup { keys: vec![key] });
    metadata.shamir_threshold = 2;
    let layout = Layout { compact: true, ..Layout::default() };
    let updated = metadata.update(text.as_bytes(), &Json, &layout).unwrap();
    let expected = format!(
        "{{\"sops\":{{\"key_groups\":[{{\"age\":[{{\"recipient\":\"{RECIPIENT}\",\"enc\":\"x\"}}],\"hc_vault\":[]}},\
         {{\"age\":[{{\"recipient\":\"age1new\",\"enc\":\"wrapped\"}}],\"hc_vault\":[]}}],\
         \"lastmodified\":\"2026-01-02T03:04:05Z\",\"mac\":\"ENC[m]\",\"shamir_threshold\":2,\
         \"version\":\"3.11.0\",\"x\":1}}}}"
    );
    assert_eq!(std::str::from_utf8(&updated).unwrap().trim_end(), expected);
}

#[test]
fn flattened_keys_are_exchanged_together() {
    let text = "sops_x=1\nsops_age__list_0__map_enc=x\\ny\nsops_lastmodified=2026-01-02T03:04:05Z\n\
                sops_age__list_0__map_recipient=r\nsops_mac=m\nsops_version=3.11.0\n";
    let tree = Dotenv.parse(SecretBytes::from(text)).unwrap();
    let mut metadata = Metadata::read(&tree, MetadataLayout::Flat).unwrap();
    metadata.groups[0].keys[0].wrapped = Some("y\nz".to_owned());
    let update = |metadata: &Metadata| {
        let updated = metadata.update(text.as_bytes(), &Dotenv, &Layout::default()).unwrap();
        String::from_utf8(updated.to_vec()).unwrap()
    };
    assert_eq!(update(&metadata), text.replace("x\\ny", "y\\nz"));
    let key = metadata.groups[0].keys[0].clone();
    metadata.groups[0].keys.push(key);
    assert_eq!(
        update(&metadata),
        "sops_x=1\nsops_age__list_0__map_enc=y\\nz\nsops_age__list_0__map_recipient=r\n\
         sops_age__list_1__map_enc=y\\nz\nsops_age__list_1__map_recipient=r\n\
         sops_lastmodified=2026-01-02T03:04:05Z\nsops_mac=m\nsops_version=3.11.0\n"
    );
}
