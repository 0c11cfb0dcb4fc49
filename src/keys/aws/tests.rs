//! Entries, identities and contexts, without a server.

use super::*;
use crate::keys::{self, KeyKind};

const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";

fn text(name: &str, text: &str) -> (String, FieldValue) {
    (name.to_owned(), FieldValue::Text(text.to_owned()))
}

fn context(entries: &[(&str, &str)]) -> (String, FieldValue) {
    let entries = entries.iter().map(|(name, value)| text(name, value)).collect();
    ("context".to_owned(), FieldValue::Map(entries))
}

fn of_file(fields: &[(String, FieldValue)]) -> KmsKey {
    KmsKey::from_fields(&fields.to_vec(), NamedBy::File)
}

#[test]
fn a_key_is_named_as_sops_names_it() {
    let (arn, role) = (text("arn", ARN), text("role", ROLE));
    let (context, profile) = (context(&[("b", "2"), ("a", "1")]), text("aws_profile", "ops"));
    for (fields, identity) in [
        (vec![arn.clone()], ARN.to_owned()),
        (vec![arn.clone(), role.clone()], format!("{ARN}+{ROLE}")),
        (vec![arn.clone(), context.clone()], format!("{ARN}|a:1,b:2")),
        (vec![arn.clone(), profile.clone()], format!("{ARN}||ops")),
        (vec![arn, role, context, profile], format!("{ARN}+{ROLE}|a:1,b:2|ops")),
    ] {
        assert_eq!(of_file(&fields).identity(), identity);
    }
}

#[test]
fn an_entry_has_a_profile_always_and_the_rest_if_there_is_any() {
    let bare = [text("arn", ARN), text("aws_profile", "")];
    assert_eq!(of_file(&[text("arn", ARN)]).fields(), bare);
    let empty = [text("arn", ARN), text("role", ""), context(&[]), text("aws_profile", "")];
    assert_eq!(of_file(&empty).fields(), bare);
    let null = [text("arn", ARN), ("context".to_owned(), FieldValue::Null)];
    assert_eq!(of_file(&null).fields(), bare);
    let all = [
        text("arn", ARN),
        text("role", ROLE),
        context(&[("a", "1"), ("b", "2")]),
        text("aws_profile", "ops"),
    ];
    assert_eq!(of_file(&all).fields(), all);
}

#[test]
fn an_entry_that_is_not_as_it_should_be_stays_and_fails() {
    let nested = ("context".to_owned(), FieldValue::Map(vec![context(&[])]));
    let fields = [text("arn", ARN), nested, text("aws_profile", "")];
    let key = of_file(&fields);
    assert_eq!(key.fields(), fields);
    let error = key.unwrap("AAAA", &Credentials::none()).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the encryption context of the KMS key is no map of texts");
    let key = of_file(&[text("arn", "alias/ops")]);
    let error = key.wrap(b"", &Credentials::none()).unwrap_err();
    assert_eq!(error.to_string(), "no valid ARN found in 'alias/ops'");
}

#[test]
fn a_wrapped_key_that_is_too_long_or_no_base64_is_not_sent() {
    let key = of_file(&[text("arn", ARN)]);
    let failed =
        |wrapped: &str| key.unwrap(wrapped, &Credentials::none()).unwrap().unwrap_err().to_string();
    assert_eq!(failed(&"A".repeat(keys::MAX_WRAPPED + 1)), "the wrapped key is too long");
    assert!(failed("?").starts_with("error base64-decoding encrypted data key: "));
}

#[test]
fn a_text_names_a_key_with_its_role_and_blanks_do_not_count() {
    let kind = KeyKind::named("kms").unwrap();
    let options = [context(&[("a", "1")]), text("aws_profile", "ops")];
    let key = keys::parse(kind, &format!(" {ARN} + {ROLE}\n"), &options).unwrap();
    assert_eq!(key.identity(), format!("{ARN}+{ROLE}|a:1|ops"));
}

#[test]
fn a_context_of_a_flag_is_names_and_values() {
    let read = foreign::AWS_KMS.options[1].read;
    assert_eq!(read("a:1,b: 2").unwrap(), context(&[("a", "1"), ("b", " 2")]).1);
    assert_eq!(read("a:").unwrap(), context(&[("a", "")]).1);
    for text in ["a", "a:1,", "a:1:2", ""] {
        assert_eq!(read(text).unwrap_err(), KeyError::EncryptionContext, "{text}");
    }
}
