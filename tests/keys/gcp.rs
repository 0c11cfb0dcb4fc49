//! GCP KMS, with a stand-in for the service.

mod checksums;
mod federation;

use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::clouds::{PLAIN, Tunnel, assert_not_recovered, claims, decrypt, encrypt, form, plain};
use super::{Asked, Reply, StandIn, free_address};
use crate::files::{ALICE, repository};
use crate::sandbox::Sandbox;

const KEY: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k1";
const OTHER: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k2";

/// The token that the service takes.
const TOKEN: &str = "canary-token";

/// Answers as Google's services do: KMS, and those that hand out tokens.
fn google(asked: &Asked) -> Reply {
    let token = || Reply::json(200, json!({"access_token": TOKEN, "expires_in": 3600}).to_string());
    let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    match path {
        "/token" | "/sts" | "/oauthtoken" => return token(),
        "/imds/session" => {
            assert_eq!(asked.method, "PUT");
            assert_eq!(asked.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
            return Reply::json(200, "canary-session");
        }
        "/imds/zone" => return of_metadata(asked, "eu-west-1b"),
        "/imds/role" => return of_metadata(asked, "the-role"),
        "/imds/role/the-role" => {
            let answer = json!({
                "Code": "Success",
                "AccessKeyId": "AKMACHINE",
                "SecretAccessKey": "canary-secret",
                "Token": "canary-role",
            });
            return of_metadata(asked, &answer.to_string());
        }
        "/impersonate" => {
            assert_eq!(asked.header("authorization"), Some("Bearer canary-token"));
            let answer = json!({"accessToken": TOKEN, "expireTime": "2099-01-01T00:00:00Z"});
            return Reply::json(200, answer.to_string());
        }
        "/foreign" => {
            return match asked.header("authorization") {
                Some("Bearer canary-request") => Reply::json(200, r#"{"value":"canary-foreign"}"#),
                _ => Reply::json(401, "{}"),
            };
        }
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            assert_eq!(asked.header("metadata-flavor"), Some("Google"));
            return token().header("Metadata-Flavor", "Google");
        }
        _ => {}
    }
    if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return refusal(401, "Request had invalid authentication credentials.");
    }
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap();
    let (id, method) = path.strip_prefix("/v1/").unwrap().rsplit_once(':').unwrap();
    assert_eq!((&*asked.method, id.rsplit_once('/').unwrap().0), ("POST", &KEY[..KEY.len() - 3]));
    let key = *id.as_bytes().last().unwrap();
    match method {
        "encrypt" => {
            let sealed = encrypt(&BASE64_STANDARD, key, text("plaintext"));
            Reply::json(200, json!({"name": id, "ciphertext": sealed}).to_string())
        }
        "decrypt" => match decrypt(&BASE64_STANDARD, key, text("ciphertext")) {
            Some(plain) => Reply::json(200, json!({"plaintext": plain}).to_string()),
            None => refusal(400, "Decryption failed: the ciphertext is invalid."),
        },
        method => panic!("{method}"),
    }
}

/// Answers as the metadata server of AWS does to whoever has a session.
fn of_metadata(asked: &Asked, text: &str) -> Reply {
    assert_eq!(asked.header("x-aws-ec2-metadata-token"), Some("canary-session"));
    Reply::json(200, text)
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": status, "message": message}}).to_string())
}

/// A sandbox with `app.json` in clear, which finds the stand-in, and has a token for it.
fn with_token(server: &StandIn) -> Sandbox {
    let sandbox = plain();
    sandbox.env("SOPS_GCP_KMS_ENDPOINT", server.url()).env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN);
    sandbox
}

/// Encrypts `app.json` in place for [`KEY`].
fn encrypted(server: &StandIn) -> Sandbox {
    let sandbox = with_token(server);
    sandbox.encfile(["encrypt", "-i", "--gcp-kms", KEY, "app.json"]).go().success();
    sandbox
}

/// Encrypts and decrypts with an account in place of a token; the services that hand out tokens are
/// those of the stand-in. Returns what was asked.
fn assert_works(account: impl Fn(&str) -> Value) -> Vec<Asked> {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let path = sandbox.write("account.json", account(&server.url()).to_string());
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN").env("GOOGLE_CREDENTIALS", path);
    let before = server.asked().len();
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    server.asked().split_off(before)
}

fn paths(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| &*asked.path).collect()
}

fn private_key() -> String {
    std::fs::read_to_string(repository().join("testdata/keys/rsa.pem")).unwrap()
}

fn service_account(url: &str) -> Value {
    json!({
        "type": "service_account",
        "client_email": "tests@p.iam.gserviceaccount.com",
        "private_key": private_key(),
        "private_key_id": "id1",
        "token_uri": format!("{url}/token"),
    })
}

#[test]
fn files_go_both_ways_with_sops() {
    let server = StandIn::start_tls(&["cloudkms.googleapis.com"], google);
    let tunnel = Tunnel::to(&server.url());
    let sandbox = plain();
    let trusted = sandbox.write("ca.pem", server.certificate());
    sandbox
        .env("SSL_CERT_FILE", trusted)
        .env("HTTPS_PROXY", tunnel.url())
        .env("SOPS_GCP_KMS_CLIENT_TYPE", "rest")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN);
    let encrypt = ["encrypt", "--gcp-kms", KEY, "app.json"];
    for run in [sandbox.encfile(encrypt), sandbox.real_sops(encrypt)] {
        run.stdout_to("encrypted.json").go().success();
        let decrypt = ["decrypt", "encrypted.json"];
        sandbox.encfile(decrypt).go().success().stdout(PLAIN);
        sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
    }
}

#[test]
fn the_entry_is_that_of_sops() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let file: Value = serde_json::from_str(&sandbox.read("app.json")).unwrap();
    let entry = file["sops"]["gcp_kms"][0].as_object().unwrap();
    assert_eq!(entry.keys().collect::<Vec<_>>(), ["created_at", "enc", "resource_id"]);
    assert_eq!(entry["resource_id"], KEY);

    let asked = server.asked();
    assert_eq!(asked[0].path, format!("/v1/{KEY}:encrypt"));
    assert_eq!(asked[0].header("x-goog-user-project"), None);
    let parameters = "name=projects%2Fp%2Flocations%2Fglobal%2FkeyRings%2Fr%2FcryptoKeys%2Fk1";
    assert_eq!(asked[0].header("x-goog-request-params"), Some(parameters));
}

#[test]
fn keys_are_added_removed_and_rotated() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let before = sandbox.read("app.json");
    sandbox.encfile(["rotate", "-i", "--add-gcp-kms", OTHER, "app.json"]).go().success();
    let both = sandbox.read("app.json");
    assert!(both.contains(KEY) && both.contains(OTHER));
    sandbox.encfile(["rotate", "-i", "--rm-gcp-kms", KEY, "app.json"]).go().success();
    let after = sandbox.read("app.json");
    assert!(after.contains(OTHER) && !after.contains(KEY));
    assert_ne!(before, after);
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn a_file_follows_its_rule() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let rule = format!("creation_rules:\n  - gcp_kms: {KEY},{OTHER}\n");
    sandbox.write(".sops.yaml", rule);
    sandbox.encfile(["updatekeys", "-y", "app.json"]).go().success();
    assert!(sandbox.read("app.json").contains(OTHER));
    sandbox.encfile(["check", "app.json"]).go().success();
}

#[test]
fn a_group_of_a_config_needs_its_key() {
    let server = StandIn::start(google);
    let sandbox = with_token(&server);
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - gcp_kms:\n          \
             - resource_id: {KEY}\n      - age:\n          - {}\n",
            ALICE.recipient()
        ),
    );
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    sandbox
        .no_env("GOOGLE_OAUTH_ACCESS_TOKEN")
        .env("GCE_METADATA_HOST", free_address().to_string());
    sandbox.encfile(["decrypt", "app.json"]).go().code(128).no_stdout();
}

#[test]
fn a_service_account_signs_for_its_token() {
    let asked = assert_works(service_account);
    assert_eq!(paths(&asked), ["/token", &format!("/v1/{KEY}:decrypt")]);
    let form = form(&asked[0].body);
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let claims = claims(&form["assertion"]);
    assert_eq!(claims["iss"], "tests@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"].as_str().unwrap().rsplit_once('/').unwrap().1, "token");
    let scope =
        "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/cloudkms";
    assert_eq!(claims["scope"], scope);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
}

#[test]
fn a_user_who_is_logged_in_decrypts() {
    let asked = assert_works(|url| {
        json!({
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "canary-secret",
            "refresh_token": "canary-refresh",
            "quota_project_id": "mine",
            "token_uri": format!("{url}/token"),
        })
    });
    let form = form(&asked[0].body);
    assert_eq!(form["grant_type"], "refresh_token");
    assert_eq!(form["refresh_token"], "canary-refresh");
    assert_eq!(form["client_secret"], "canary-secret");
    assert_eq!(asked[1].header("x-goog-user-project"), Some("mine"));
}

/// An account of somebody else's identity provider.
fn external(url: &str, source: &Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/sts"),
        "service_account_impersonation_url": format!("{url}/impersonate"),
        "credential_source": source,
    })
}

#[test]
fn a_job_of_github_decrypts_with_its_own_token() {
    let asked = assert_works(|url| {
        let source = json!({
            "url": format!("{url}/foreign?audience=x"),
            "headers": {"Authorization": "Bearer canary-request"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        });
        external(url, &source)
    });
    let kms = format!("/v1/{KEY}:decrypt");
    assert_eq!(paths(&asked), ["/foreign?audience=x", "/sts", "/impersonate", &kms]);
    let form = form(&asked[1].body);
    assert_eq!(form["subject_token"], "canary-foreign");
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(form["scope"], "https://www.googleapis.com/auth/cloud-platform");
}

#[test]
fn a_workload_decrypts_with_the_token_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "canary-foreign\n").unwrap();
    let asked = assert_works(|url| external(url, &json!({"file": token})));
    assert_eq!(form(&asked[0].body)["subject_token"], "canary-foreign");
}

#[test]
fn an_account_speaks_for_another() {
    let asked = assert_works(|url| {
        json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url": format!("{url}/impersonate"),
            "source_credentials": service_account(url),
            "delegates": ["d"],
        })
    });
    assert_eq!(paths(&asked), ["/token", "/impersonate", &format!("/v1/{KEY}:decrypt")]);
    let body: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!((&body["lifetime"], &body["delegates"]), (&json!("3600s"), &json!(["d"])));
}

#[test]
fn a_machine_of_the_cloud_has_a_token() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let host = server.url();
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN");
    sandbox.env("GCE_METADATA_HOST", host.strip_prefix("http://").unwrap());
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn what_gcloud_wrote_is_used() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let folder = sandbox.home().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    let account = service_account(&server.url()).to_string();
    std::fs::write(folder.join("application_default_credentials.json"), &account).unwrap();
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN");
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    // The text of an account may stand in the variable, too.
    std::fs::remove_dir_all(&folder).unwrap();
    sandbox.env("GOOGLE_CREDENTIALS", account);
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn one_token_serves_all_keys() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let path = sandbox.write("account.json", service_account(&server.url()).to_string());
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN").env("GOOGLE_APPLICATION_CREDENTIALS", path);
    sandbox.encfile(["rotate", "-i", "--add-gcp-kms", OTHER, "app.json"]).go().success();
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path == "/token").count(), 1);
}

/// Checks what is said when decrypting fails: why, and what became of each place.
#[track_caller]
fn assert_fails(sandbox: &Sandbox, why: &str, places: &[&str]) {
    let advice = "log in with `gcloud auth application-default login`, or set GOOGLE_CREDENTIALS to \
                  the file of a service account that may use the key";
    assert_not_recovered(sandbox, KEY, why, places, advice);
}

#[test]
fn a_token_that_is_not_taken_is_refused_by_the_service() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    sandbox.env("GOOGLE_OAUTH_ACCESS_TOKEN", "canary-wrong");
    let why = format!(
        "failed to decrypt sops data key with GCP KMS key: {}/v1/{KEY}:decrypt: status 401: Request \
         had invalid authentication credentials.",
        server.url()
    );
    let places = ["GOOGLE_CREDENTIALS: not set", "GOOGLE_OAUTH_ACCESS_TOKEN: used"];
    assert_fails(&sandbox, &why, &places);
}

#[test]
fn without_credentials_each_place_is_named() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let nobody = free_address().to_string();
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN").env("GCE_METADATA_HOST", &nobody);
    let places = [
        "GOOGLE_CREDENTIALS: not set",
        "GOOGLE_OAUTH_ACCESS_TOKEN: not set",
        "GOOGLE_APPLICATION_CREDENTIALS: not set",
        "<sandbox>/home/.config/gcloud/application_default_credentials.json: no such file",
        &format!("the metadata server {nobody}: no answer"),
    ];
    assert_fails(&sandbox, "no identity for it was found", &places);

    let message = format!(
        "error[wrap]: Could not generate data key: [failed to encrypt new data key with master key \
         \"{KEY}\": cannot create GCP KMS service: no credentials were found ({})]\n",
        places.join("; ")
    );
    sandbox.write("new.json", PLAIN);
    sandbox
        .encfile(["encrypt", "--gcp-kms", KEY, "new.json"])
        .go()
        .failure()
        .says([&message[..message.len() - 1]]);
}

#[test]
fn broken_credentials_are_not_passed_over() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let folder = sandbox.write("folder/no.json", r#"{"type":"service_account"}"#);
    let cases = [
        ("/nowhere", "it is neither a file nor JSON", true),
        ("{", "it is not the JSON of an account", true),
        (folder.to_str().unwrap(), "the account has no `client_email`", false),
        (
            r#"{"type":"gdch_service_account"}"#,
            "accounts of the type `gdch_service_account` are not supported; those that are: \
             service_account, authorized_user, external_account, \
             external_account_authorized_user, impersonated_service_account",
            false,
        ),
        (
            r#"{"type":"service_account","client_email":"a","private_key":"canary"}"#,
            "`private_key`: it is not an RSA key in PEM without a passphrase",
            false,
        ),
        (
            r#"{"type":"authorized_user","client_id":"a","client_secret":"canary",
                "refresh_token":"canary","token_uri":"http://tokens.example/"}"#,
            "`http://tokens.example/` is not an https address",
            false,
        ),
    ];
    for (credentials, what, is_unreadable) in cases {
        sandbox.env("GOOGLE_CREDENTIALS", credentials);
        let why = format!(
            "cannot create GCP KMS service: credentials: failed to obtain credentials from \
             \"GOOGLE_CREDENTIALS\": {what}"
        );
        let became = if is_unreadable { what } else { "used" };
        assert_fails(&sandbox, &why, &[&format!("GOOGLE_CREDENTIALS: {became}")]);
    }
}

#[test]
fn a_refused_account_says_why() {
    let server = StandIn::start(|asked| match &*asked.path {
        "/token" => Reply::json(
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked.\nx"}"#,
        ),
        _ => google(asked),
    });
    let sandbox = encrypted(&server);
    sandbox.env("GOOGLE_CREDENTIALS", service_account(&server.url()).to_string());
    let why = format!(
        "cannot create GCP KMS service: credentials: failed to obtain credentials from \
         \"GOOGLE_CREDENTIALS\": {}/token: status 400: invalid_grant: Token has been expired or \
         revoked.",
        server.url()
    );
    assert_fails(&sandbox, &why, &["GOOGLE_CREDENTIALS: used"]);
}

#[test]
fn what_another_key_wrapped_is_refused_by_the_service() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let text = sandbox.read("app.json");
    let file: Value = serde_json::from_str(&text).unwrap();
    let enc = file["sops"]["gcp_kms"][0]["enc"].as_str().unwrap();
    let places = ["GOOGLE_CREDENTIALS: not set", "GOOGLE_OAUTH_ACCESS_TOKEN: used"];

    sandbox.write("app.json", text.replace(enc, "AAAA"));
    let why = format!(
        "failed to decrypt sops data key with GCP KMS key: {}/v1/{KEY}:decrypt: status 400: \
         Decryption failed: the ciphertext is invalid.",
        server.url()
    );
    assert_fails(&sandbox, &why, &places);

    let asked = server.asked().len();
    sandbox.write("app.json", text.replace(enc, "no base64"));
    assert_fails(&sandbox, "the wrapped key is not base64", &[]);
    assert_eq!(server.asked().len(), asked);
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    let nobody = free_address();
    sandbox.env("SOPS_GCP_KMS_ENDPOINT", format!("http://{nobody}/"));
    let why = format!(
        "failed to decrypt sops data key with GCP KMS key: POST http://{nobody}/v1/{KEY}:decrypt: \
         io: Connection refused (os error 111)"
    );
    let places = ["GOOGLE_CREDENTIALS: not set", "GOOGLE_OAUTH_ACCESS_TOKEN: used"];
    assert_fails(&sandbox, &why, &places);
}

#[test]
fn a_busy_service_is_asked_again() {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let server = StandIn::start(move |asked| {
        match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => refusal(503, "The service is currently unavailable."),
            _ => google(asked),
        }
    });
    let sandbox = encrypted(&server);
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn what_is_no_resource_id_is_refused() {
    let sandbox = plain();
    for id in ["foo", "projects/p/locations/l/keyRings/r/cryptoKeys/k?x", &format!("{KEY}/v1")] {
        let message =
            format!("cannot create GCP KMS service: no valid resource ID found in \"{id}\"");
        let encrypt = ["encrypt", "--gcp-kms", id, "app.json"];
        sandbox.encfile(encrypt).go().failure().says([&message]);
    }
}
