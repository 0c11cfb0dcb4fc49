//! Texts and entries of Vault keys: what is taken apart, kept and refused.

use super::*;
use crate::keys;

fn parts(text: &str) -> Result<[String; 3], String> {
    let fields = split(text).map_err(|error| error.to_string())?;
    Ok(["vault_address", "engine_path", "key_name"]
        .map(|name| text_field(&fields, name).unwrap().to_owned()))
}

#[test]
fn a_uri_has_an_address_an_engine_and_a_name() {
    for (text, expected) in [
        ("https://h:8200/v1/transit/keys/dev", ["https://h:8200", "transit", "dev"]),
        ("https://h/v1/transit/keys/dev/", ["https://h", "transit", "dev"]),
        ("HTTP://h/v2/team/a/transit/keys/dev", ["http://h", "team/a/transit", "dev"]),
        ("https://h/v1/keys/keys/keys", ["https://h", "keys", "keys"]),
    ] {
        assert_eq!(parts(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_no_uri_of_a_key_is_refused_in_the_words_of_sops() {
    let scheme = |text: &str| {
        format!(
            "missing scheme in Vault URL (should be like this: \
             https://vault.example.com:8200/v1/transit/keys/keyName), got: {text}"
        )
    };
    for text in ["foo", "//h/v1/transit/keys/dev", "://h/v1/transit/keys/dev", ""] {
        assert_eq!(parts(text).unwrap_err(), scheme(text));
    }
    for text in [
        "https://h",
        "https://h/transit/keys/dev",
        "https://h/v/transit/keys/dev",
        "https://h/v1/keys/dev",
        "https://h/v1/transit/dev",
        "https://h/v1/transit/keys/",
        "https://h/v1/transit/keys/a/b",
    ] {
        assert_eq!(
            parts(text).unwrap_err(),
            "vault path does not seem to be formatted correctly: (eg. \
             https://vault.example.com:8200/v1/transit/keys/keyName)",
            "{text}"
        );
    }
    assert_eq!(
        parts("https://h/vault/v1/transit/keys/dev").unwrap_err(),
        "running Vault with a prefixed URL is not supported! (Format has to be like \
         https://vault.example.com:8200/v1/transit/keys/keyName)"
    );
}

#[test]
fn a_key_that_is_asked_for_names_nothing_but_a_key() {
    let kind = &crate::keys::foreign::HC_VAULT;
    for (text, reason) in [
        ("ftp://h/v1/transit/keys/a", "its scheme is neither `https` nor `http`"),
        ("https://u@h/v1/transit/keys/a", "there is more in it than a host and a port"),
        ("https://h/v1/a//keys/b", "`a/` is no path of a Vault transit engine"),
        ("https://h/v1/a/../sys/keys/b", "`a/../sys` is no path of a Vault transit engine"),
        ("https://h/v1/a/keys/..", "`..` is no name of a Vault transit key"),
    ] {
        let error = keys::parse(kind, text, &[]).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{text}: {error}");
    }
}

#[test]
fn an_entry_of_a_file_is_kept_and_only_its_use_is_an_error() {
    let field = |name: &str, text: &str| (name.to_owned(), FieldValue::Text(text.to_owned()));
    let fields = vec![
        field("vault_address", "https://h/"),
        field("engine_path", "../sys"),
        field("key_name", "a"),
    ];
    let key = keys::from_fields("hc_vault", fields.clone());
    assert_eq!(key.fields(), fields);
    assert_eq!(key.identity(), "https://h//v1/../sys/keys/a");
    let error = key.unwrap("vault:v1:AAAA", &Credentials::none()).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "`../sys` is no path of a Vault transit engine");
    assert_eq!(key.wrap(&[0; 32], &Credentials::none()).unwrap_err(), error);
}

#[test]
fn what_would_end_a_path_is_escaped() {
    assert_eq!(escaped("a b/c?d#e%f/ü"), "a%20b/c%3Fd%23e%25f/%C3%BC");
}
