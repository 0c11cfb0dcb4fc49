//! Addresses of keys, challenges of vaults, and proofs.

use base64::prelude::BASE64_STANDARD;
use ring::digest;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::chain::certificate_proof;
use super::vault::Challenge;
use super::*;
use crate::keys::testing::{Machine, NOW};

const KEY: &str = include_str!("../../../testdata/keys/rsa.pem");
const CERTIFICATE: &str = include_str!("../../../testdata/keys/rsa-certificate.pem");

/// Returns a key of a file.
fn key_of_file(vault_url: &str, version: &str) -> AzureKey {
    let fields = [("vault_url", vault_url), ("name", "k"), ("version", version)];
    let fields: Fields =
        fields.map(|(name, text)| (name.to_owned(), FieldValue::Text(text.to_owned()))).into();
    AzureKey::from_fields(&fields, NamedBy::File)
}

#[test]
fn an_address_has_a_vault_a_name_and_a_version() {
    let vault = "https://v.vault.azure.net";
    for (text, expected) in [
        ("https://v.vault.azure.net/keys/k/1a", [vault, "k", "1a"]),
        ("https://v.vault.azure.net/keys/k", [vault, "k", ""]),
        ("https://v.vault.azure.net/keys/k/", [vault, "k", ""]),
        ("https://v.vault.azure.net//keys/k/1a", ["https://v.vault.azure.net/", "k", "1a"]),
        ("https://127.0.0.1:1/keys/k/1a", ["https://127.0.0.1:1", "k", "1a"]),
    ] {
        let fields = split(text).unwrap();
        let fields: Vec<&str> = fields.iter().filter_map(|(_, value)| value.as_text()).collect();
        assert_eq!(fields, expected, "{text}");
    }
}

#[test]
fn a_slash_behind_the_vault_makes_no_other_key() {
    let (with, without) = (
        key_of_file("https://v.vault.azure.net/", "1"),
        key_of_file("https://v.vault.azure.net", "1"),
    );
    assert_eq!(with.identity(), without.identity());
    assert_eq!(text_field(&with.fields(), "vault_url"), Some("https://v.vault.azure.net/"));
}

#[test]
fn the_user_answers_for_vaults_outside_of_azure() {
    for url in [
        "https://v.vault.azure.net",
        "https://V.Vault.Azure.Net:443/",
        "https://v.vault.azure.cn",
        "https://v.vault.usgovcloudapi.net",
        "https://v.managedhsm.azure.net",
        // What is on this machine is the user's.
        "https://127.0.0.1:8443",
        "https://localhost:8443",
        "https://[::1]:8443/",
    ] {
        assert!(!key_of_file(url, "1").needs_user(), "{url}");
    }
    for url in [
        "https://vault.azure.net",
        "https://vvault.azure.net",
        "https://v.vault.azure.net.evil.example",
        "https://evil.example/.vault.azure.net",
        "https://evil.example#.vault.azure.net",
        "https://evil.example\\.vault.azure.net",
        "https://v.vault.azure.net@evil.example",
        "https://v.vault.azure.net:1@evil.example",
        "http://v.vault.azure.net",
        "http://127.0.0.1",
        "https://127.0.0.1.evil.example",
        "https://127.0.0.1:1@evil.example",
        "https://localhost.evil.example:1",
        "",
    ] {
        assert!(key_of_file(url, "1").needs_user(), "{url}");
    }
}

#[test]
fn an_entry_that_is_none_is_refused_before_anybody_is_asked() {
    let with = Credentials::none().with(FileServers::Asked);
    let error =
        |key: AzureKey, wrapped| key.unwrap(wrapped, &with).unwrap().unwrap_err().to_string();
    let vault = "https://v.vault.azure.net";
    assert_eq!(
        error(key_of_file(vault, ""), "AAAA"),
        "the entry does not say which version of the key it is for"
    );
    assert_eq!(error(key_of_file(vault, "1"), "a+b="), "the wrapped key is not base64url");
    let long = "A".repeat(crate::keys::MAX_WRAPPED + 1);
    assert_eq!(error(key_of_file(vault, "1"), &long), "the wrapped key is too long");
    for (url, version) in
        [("http://v.vault.azure.net", "1"), (vault, "1/x"), ("https://v.vault.azure.net/a", "1")]
    {
        assert_eq!(
            error(key_of_file(url, version), "AAAA"),
            format!(
                "failed to decrypt sops data key with Azure Key Vault key '{url}/keys/k/{version}': \
                 the address of the vault is not one"
            )
        );
    }
}

#[test]
fn a_vault_says_which_token_it_takes() {
    let login = "https://login.microsoftonline.com/tenant-1";
    let expected =
        Challenge { resource: "https://vault.azure.net".to_owned(), tenant: "tenant-1".to_owned() };
    for header in [
        format!(r#"Bearer authorization="{login}", resource="https://vault.azure.net""#),
        format!(r#"Bearer authorization="{login}/x", resource="https://vault.azure.net/""#),
        format!(r#"Bearer authorization_uri="{login}",scope="https://vault.azure.net/.default""#),
    ] {
        let challenge = Challenge::parse(&header, "team.vault.azure.net");
        assert_eq!(challenge.as_ref(), Ok(&expected), "{header}");
    }
}

#[test]
fn a_vault_has_a_say_in_its_own_domain_only() {
    let login = "https://login.microsoftonline.com/t";
    let parse = |resource: &str, vault| {
        Challenge::parse(
            &format!(r#"Bearer authorization="{login}", resource="{resource}""#),
            vault,
        )
    };
    for (resource, vault) in [
        ("https://vault.azure.net", "vault.azure.net"),
        ("https://vault.azure.net", "evilvault.azure.net"),
        ("https://vault.azure.net", "vault.azure.net.evil.example"),
        ("https://graph.microsoft.com", "team.vault.azure.net"),
        ("https://me@vault.azure.net", "team.vault.azure.net"),
        ("https://vault.azure.net/x", "team.vault.azure.net"),
        ("http://vault.azure.net", "team.vault.azure.net"),
        ("vault.azure.net", "team.vault.azure.net"),
    ] {
        assert_eq!(
            parse(resource, vault).unwrap_err(),
            format!(
                "the vault asks for a token for another domain than its own, `{resource}`: it got \
                 none"
            )
        );
    }
}

#[test]
fn what_is_no_challenge_is_refused() {
    for header in [
        "",
        "Basic x",
        "Bearer realm=x",
        r#"Bearer resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://l.example/", resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://l.example/--t", resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://l.example/t$", resource="https://vault.azure.net""#,
    ] {
        let error = Challenge::parse(header, "team.vault.azure.net").unwrap_err();
        assert_eq!(error, "the vault does not say which token it takes", "{header}");
    }
}

#[test]
fn a_version_is_one_of_the_key_that_was_asked_for() {
    let version = |kid: &str| {
        let named = Named { kid: kid.to_owned() };
        named.version_of("k").map(str::to_owned)
    };
    assert_eq!(version("https://v/keys/k/1a").as_deref(), Some("1a"));
    for kid in
        ["", "https://v/keys/k", "https://v/keys/k/", "https://v/keys/kk/1", "https://v/keys/k/1/2"]
    {
        assert_eq!(version(kid), None, "{kid}");
    }
}

/// Returns header, claims, what is signed, and the signature.
fn taken_apart(token: &str) -> (Value, Value, &str, Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice(&decode(part)).unwrap();
    (json(header), json(claims), signed, decode(signature))
}

#[test]
fn a_certificate_proves_who_one_is() {
    let body: String = CERTIFICATE.lines().filter(|line| !line.starts_with("---")).collect();
    let certificate = BASE64_STANDARD.decode(&body).unwrap();
    let pem = [CERTIFICATE, KEY].concat();
    let proof = |machine| certificate_proof(&machine, pem.as_bytes(), "me", "https://l/t").unwrap();

    let token = proof(Machine::default());
    let (header, claims, signed, signature) = taken_apart(&token);
    let thumbprint = digest::digest(&digest::SHA256, &certificate);
    assert_eq!(header["alg"], "PS256");
    assert_eq!(header["x5t#S256"], BASE64_URL_SAFE_NO_PAD.encode(thumbprint));
    assert_eq!(header.get("x5c"), None);
    assert_eq!((&claims["nbf"], &claims["exp"]), (&NOW.into(), &(NOW + 600).into()));
    let key = bearer::rsa_key(KEY.as_bytes()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public());
    public.verify(signed.as_bytes(), &signature).unwrap();

    let with_chain = proof(Machine::with(&[("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true")]));
    let (header, other, ..) = taken_apart(&with_chain);
    assert_eq!(header["x5c"], serde_json::json!([body]));
    assert_ne!(claims["jti"], other["jti"]);

    for (value, has_chain) in [("True", true), ("1", true), ("FALSE", false), ("0", false)] {
        let token = proof(Machine::with(&[("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", value)]));
        assert_eq!(taken_apart(&token).0.get("x5c").is_some(), has_chain, "{value}");
    }
    let machine = Machine::with(&[("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "yes")]);
    let error = certificate_proof(&machine, pem.as_bytes(), "me", "https://l/t").unwrap_err();
    assert_eq!(error, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN is neither `true` nor `false`");
}

#[test]
fn a_certificate_file_without_both_parts_is_refused() {
    let error = |pem: &str| {
        certificate_proof(&Machine::default(), pem.as_bytes(), "me", "https://l/t").unwrap_err()
    };
    let advice = "it holds no certificate in PEM; of a .pfx file, this makes one: openssl pkcs12 -in \
                  FILE.pfx -out FILE.pem -nodes";
    assert_eq!(error(KEY), advice);
    let missing = "its private key: it is not an RSA key in PEM without a passphrase";
    assert_eq!(error(CERTIFICATE), missing);
}
