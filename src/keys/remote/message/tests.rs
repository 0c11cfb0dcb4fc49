//! The messages, byte by byte.

use super::*;
use crate::keys::unknown::UnknownKey;

/// A key of each kind with all its fields.
fn all() -> Vec<(&'static str, Fields)> {
    let context = vec![field("app", "shop"), field("stage", "prod")];
    let mut kms = fields(&[("arn", "arn:aws:kms:eu-west-1:1:key/a"), ("role", "arn:aws:iam::1:r")]);
    kms.push(("context".to_owned(), FieldValue::Map(context)));
    kms.push(field("aws_profile", "work"));
    vec![
        ("kms", kms),
        ("pgp", fields(&[("fp", "85D77543B3D624B63CEA9E6DBC17301B491B3F21")])),
        ("gcp_kms", fields(&[("resource_id", "projects/p/locations/l/keyRings/r/cryptoKeys/k")])),
        (
            "azure_kv",
            fields(&[("vault_url", "https://v.example"), ("name", "k"), ("version", "1")]),
        ),
        (
            "hc_vault",
            fields(&[
                ("vault_address", "https://v.example"),
                ("engine_path", "sops"),
                ("key_name", "k"),
            ]),
        ),
        ("age", fields(&[("recipient", "age1abc")])),
        ("hckms", fields(&[("key_id", "eu:0")])),
    ]
}

#[test]
fn every_kind_has_a_message_and_comes_back_from_its_bytes() {
    for (kind, fields) in all() {
        let key = Key::of(&UnknownKey::new(kind, fields.clone())).unwrap();
        let read = Key::decode(&key.encode_to_vec()[..]).unwrap();
        assert_eq!(read.key_type.unwrap().to_fields(), (kind, fields));
    }
}

#[test]
fn messages_have_the_bytes_of_the_protocol() {
    let key = |kind, fields| Key::of(&UnknownKey::new(kind, fields));
    let request = EncryptRequest {
        key: key("age", fields(&[("recipient", "age1")])),
        plaintext: b"part".to_vec(),
    };
    assert_eq!(request.encode_to_vec(), b"\x0a\x08\x32\x06\x0a\x04age1\x12\x04part");
    let context = vec![field("a", "b")];
    let mut kms = fields(&[("arn", "x"), ("role", "r"), ("aws_profile", "p")]);
    kms.push(("context".to_owned(), FieldValue::Map(context)));
    let bytes = b"\x0a\x11\x0a\x01x\x12\x01r\x1a\x06\x0a\x01a\x12\x01b\x22\x01p";
    assert_eq!(key("kms", kms).unwrap().encode_to_vec(), bytes);
}

#[test]
fn a_kind_that_sops_does_not_have_has_no_message() {
    assert_eq!(Key::of(&UnknownKey::new("moon", Vec::new())), None);
}

#[test]
fn keys_are_described_as_sops_does() {
    let described: Vec<String> = all()
        .into_iter()
        .map(|(kind, fields)| Key::of(&UnknownKey::new(kind, fields)).unwrap())
        .map(|key| key.key_type.unwrap().describe())
        .collect();
    let expected = [
        "AWS KMS key with ARN arn:aws:kms:eu-west-1:1:key/a",
        "PGP key with fingerprint 85D77543B3D624B63CEA9E6DBC17301B491B3F21",
        "GCP KMS key with resource ID projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "Azure Key Vault key with URL https://v.example/keys/k/1",
        "Hashicorp Vault key with URI https://v.example/v1/sops/keys/k",
        "age key with recipient age1abc",
        "HuaweiCloud KMS key with ID eu:0",
    ];
    assert_eq!(described, expected);
}
