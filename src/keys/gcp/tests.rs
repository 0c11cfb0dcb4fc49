//! Resource ids, and where credentials come from.

use super::*;
use crate::keys::testing::Machine;

const KEY: &str = "projects/example.com:p/locations/europe-west3/keyRings/r_1/cryptoKeys/k-1";

/// Returns the credentials of a machine.
fn gcp(machine: Machine) -> Gcp {
    Gcp::of_host(&machine.host())
}

/// Returns where the credentials of a machine are, and what they are.
fn found(machine: Machine) -> (String, String) {
    let gcp = gcp(machine);
    let Found { place, origin, .. } = gcp.found();
    let origin = match origin {
        Origin::Token(_) => "token".to_owned(),
        Origin::Account(account) => format!("{account:?}"),
        Origin::Broken(why) => why.clone(),
        Origin::Metadata(server) => server.clone(),
    };
    (place.clone(), origin)
}

#[test]
fn a_resource_id_is_that_of_a_key() {
    assert!(is_resource_id(KEY));
    for text in [
        "",
        "foo",
        "projects/p/locations/l/keyRings/r/cryptoKeys",
        "projects/p/locations/l/keyRings/r/cryptoKeys/",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "/projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "projects/p/locations/l/keyrings/r/cryptoKeys/k",
        "projects/../locations/l/keyRings/r/cryptoKeys/k",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k:decrypt?x",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k%2f",
    ] {
        assert!(!is_resource_id(text), "{text}");
    }
}

#[test]
fn the_service_is_where_the_user_says() {
    let endpoint = |variables: &[(&'static str, &str)]| gcp(Machine::with(variables)).endpoint();
    let named = |name| endpoint(&[(ENDPOINT, name), ("SOPS_GCP_KMS_UNIVERSE_DOMAIN", "u.example")]);
    for (variables, expected) in [
        (&[][..], "https://cloudkms.googleapis.com"),
        (&[("SOPS_GCP_KMS_UNIVERSE_DOMAIN", "u.example")], "https://cloudkms.u.example"),
        (&[("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "g.example")], "https://cloudkms.g.example"),
    ] {
        assert_eq!(endpoint(variables).unwrap(), expected);
    }
    for (name, expected) in [
        ("kms.example:443", "https://kms.example:443"),
        ("https://kms.example/", "https://kms.example"),
        ("http://kms.example:1", "http://kms.example:1"),
    ] {
        assert_eq!(named(name).unwrap(), expected);
    }
    let error = named("dns:///kms.example").unwrap_err();
    assert_eq!(error, "SOPS_GCP_KMS_ENDPOINT is neither a host nor an https address");
}

#[test]
fn credentials_are_looked_for_in_the_order_of_sops() {
    let account = |kind: &str| format!("{{\"type\":\"{kind}\"}}");
    let gcloud = "/home/me/.config/gcloud/application_default_credentials.json";
    let variables = [
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
        ("HOME", "/home/me"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/adc.json"),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "canary"),
        ("GOOGLE_CREDENTIALS", "/own.json"),
    ];
    let machine = |count: usize| {
        let machine = Machine::with(&variables[..count]);
        let files = [(gcloud, "authorized_user"), ("/adc.json", "b"), ("/own.json", "a")];
        files.iter().fold(machine, |machine, (path, kind)| machine.file(path, account(kind)))
    };
    for (count, place, origin) in [
        (5, "GOOGLE_CREDENTIALS", "Account(a)"),
        (4, "GOOGLE_OAUTH_ACCESS_TOKEN", "token"),
        (3, "GOOGLE_APPLICATION_CREDENTIALS", "Account(b)"),
        (2, gcloud, "Account(authorized_user)"),
        (1, "the metadata server 127.0.0.1:1", "127.0.0.1:1"),
        (0, "the metadata server 169.254.169.254", "169.254.169.254"),
    ] {
        assert_eq!(found(machine(count)), (place.to_owned(), origin.to_owned()));
    }
}

#[test]
fn a_place_that_is_set_and_empty_of_use_is_not_passed_over() {
    let missing = found(Machine::with(&[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")]));
    assert_eq!(missing.1, "there is no such file");
    let text = r#"  {"type":"canary"}"#;
    assert_eq!(found(Machine::with(&[("GOOGLE_CREDENTIALS", text)])).1, "Account(canary)");
    let machine = Machine::with(&[("GOOGLE_CREDENTIALS", "/f")]).file("/f", "canary");
    assert_eq!(found(machine).1, "it is not the JSON of an account");
}

/// Asks for a token with an account that no server needs to be asked for.
fn token_of(account: &str) -> Result<String, String> {
    let gcp = gcp(Machine::with(&[("GOOGLE_CREDENTIALS", account)]));
    match gcp.token() {
        Ok(token) => Ok(token.header().to_owned()),
        Err(Failure::Credentials { why, .. }) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn in_another_universe_the_signed_token_is_the_token() {
    let account = serde_json::json!({
        "type": "service_account",
        "client_email": "me",
        "private_key": include_str!("../../../testdata/keys/rsa.pem"),
        "universe_domain": "u.example",
    });
    let token = token_of(&account.to_string()).unwrap();
    let claims = token.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&"me".into(), &"me".into()));
    let issued = crate::keys::testing::NOW;
    assert_eq!((&claims["iat"], &claims["exp"]), (&issued.into(), &(issued + 3600).into()));
}

#[test]
fn what_is_wrong_with_a_foreign_token_is_said() {
    let why = |source: &str| {
        let account = format!(
            r#"{{"type":"external_account","audience":"a","subject_token_type":"t",
                "token_url":"http://sts.example","credential_source":{source}}}"#
        );
        token_of(&account).unwrap_err()
    };
    for (source, expected) in [
        ("{}", "`credential_source` has no file, url, executable or environment_id"),
        (r#"{"certificate":{}}"#, "tokens for a certificate are not supported"),
        (r#"{"environment_id":"gcp1"}"#, "tokens of the environment `gcp1` are not supported"),
        (
            r#"{"environment_id":"aws1"}"#,
            "AWS_REGION is not set, and `credential_source` has no `region_url`",
        ),
        (
            r#"{"environment_id":"aws1","region_url":"http://x/"}"#,
            "`http://x/` is not an https address",
        ),
        (r#"{"file":"/nowhere"}"#, "`/nowhere` cannot be read: entity not found"),
        (r#"{"url":"http://x.example"}"#, "`http://x.example` is not an https address"),
        (r#"{"url":"http://10.0.0.1/"}"#, "`http://10.0.0.1/` is not an https address"),
    ] {
        assert_eq!(why(source), expected);
    }
}

#[test]
fn what_a_program_says_of_its_token_is_checked() {
    let why = |printed: &str| {
        let account = r#"{"type":"external_account","audience":"a","subject_token_type":"t",
            "token_url":"http://sts.example","credential_source":{"executable":{"command":"x"}}}"#;
        let allowed = ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
        let machine = Machine::with(&[("GOOGLE_CREDENTIALS", account), allowed]);
        match gcp(machine.program("x", printed)).token() {
            Err(Failure::Credentials { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    // With a token, the address for the exchange is the next thing that is wrong.
    let found = "`http://sts.example` is not an https address";
    let fine = r#""version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:"#;
    let at = |seconds: i64| format!(r#"jwt","id_token":"canary","expiration_time":{seconds}"#);
    let now = crate::keys::testing::NOW;
    for (printed, expected) in [
        (format!("{fine}jwt\",\"id_token\":\"canary\""), found),
        (format!("{fine}saml2\",\"saml_response\":\"canary\""), found),
        (format!("{fine}{}", at(now)), found),
        (format!("{fine}{}", at(now - 1)), "the token returned by the executable is expired"),
        (format!("{fine}jwt\",\"id_token\":\"\""), "\"response\" missing \"id_token\" field"),
        (format!("{fine}saml2\""), "\"response\" missing \"saml_response\" field"),
        (format!("{fine}x\""), "response contains unsupported token type"),
        (r#""version":1,"success":true"#.to_owned(), "\"response\" missing \"token_type\" field"),
        (r#""version":1"#.to_owned(), "\"response\" missing \"success\" field"),
        (r#""success":true"#.to_owned(), "\"response\" missing \"version\" field"),
        (r#""version":2,"success":true"#.to_owned(), "response contains unsupported version: 2"),
        (
            r#""version":1,"success":false,"code":"1""#.to_owned(),
            "response must include `error` and `message` fields when unsuccessful",
        ),
    ] {
        assert_eq!(why(&format!("{{{printed}}}")), expected, "{printed}");
    }
}

#[test]
fn only_people_of_a_pool_name_a_project() {
    let account = r#"{"type":"external_account","audience":"//iam.googleapis.com/projects/1/x",
        "workforce_pool_user_project":"p","credential_source":{"file":"/nowhere"}}"#;
    let why = "workforce_pool_user_project should not be set for non-workforce pool credentials";
    assert_eq!(token_of(account).unwrap_err(), why);
}

#[test]
fn a_program_is_told_who_is_spoken_for() {
    let email = |url: &str| {
        let account = serde_json::json!({"type": "external_account", "service_account_impersonation_url": url});
        let account: credentials::Account = serde_json::from_value(account).unwrap();
        account.impersonated_email().map(str::to_owned)
    };
    let server = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";
    assert_eq!(email(&format!("{server}/a@b:generateAccessToken")).as_deref(), Some("a@b"));
    assert_eq!(email(&format!("{server}/a@b")), None);
    assert_eq!(email(&format!("{server}/123:generateAccessToken")), None);
}

#[test]
fn a_foreign_token_is_a_text_or_a_field_of_it() {
    let token = |format: &str, text: &str| {
        let account = format!(
            r#"{{"type":"external_account","audience":"a","subject_token_type":"t",
                "token_url":"http://sts.example",
                "credential_source":{{"file":"/t","format":{format}}}}}"#
        );
        let machine = Machine::with(&[("GOOGLE_CREDENTIALS", &account)]).file("/t", text);
        match gcp(machine).token() {
            Err(Failure::Credentials { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    // With a token, the address for the exchange is the next thing that is wrong.
    let found = "`http://sts.example` is not an https address";
    let json = r#"{"type":"json","subject_token_field_name":"t"}"#;
    for (format, text, expected) in [
        ("{}", " canary\n", found),
        (r#"{"type":"text"}"#, "\n", "`/t`: it holds no token"),
        (json, r#"{"o":{"x":[1]},"t":"canary"}"#, found),
        (json, r#"{"t":1}"#, "`/t`: it holds no token"),
        (json, "canary", "`/t`: it holds no token"),
        (r#"{"type":"json"}"#, "{}", "`/t`: the account has no `subject_token_field_name`"),
        (r#"{"type":"xml"}"#, "{}", "`/t`: tokens in the format `xml` are not supported"),
    ] {
        assert_eq!(token(format, text), expected);
    }
}
