//! `HuaweiCloud` KMS: a stand-in that checks the signature of what it is asked.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Asked, Reply, StandIn, free_address};
use crate::files::ALICE;
use crate::sandbox::Sandbox;

/// The secret key; the sandbox finds it in messages.
const SECRET: &str = "secret-canary";

/// The tokens of a login: what it begins with, and what signs in the end.
const ID_TOKEN: &str = "id-canary";
const SUBJECT_TOKEN: &str = "subject-canary";
const SECURITY_TOKEN: &str = "security-canary";

const KEY: &str = "tr-west-1:12345678-1234-1234-1234-123456789012";

/// Starts a KMS, which is IAM too. It wraps by reversing.
fn kms() -> StandIn {
    StandIn::start(answer)
}

/// Answers a login by an identity provider.
fn login(asked: &Asked) -> Option<Reply> {
    let body: serde_json::Value = serde_json::from_str(&asked.body).ok()?;
    let reply = match &*asked.path {
        "/v3.0/OS-AUTH/id-token/tokens" => {
            let expected = json!({ "auth": { "id_token": { "id": ID_TOKEN } } });
            if (asked.header("x-idp-id"), body) != (Some("us"), expected) {
                let text = format!("who is {ID_TOKEN}?");
                let body = json!({ "error": { "code": 401, "message": text } });
                return Some(Reply::json(401, body.to_string()));
            }
            Reply::json(201, r#"{"token":{"expires_at":"2100-01-01T00:00:00.000000Z"}}"#)
                .header("X-Subject-Token", SUBJECT_TOKEN)
        }
        "/v3.0/OS-CREDENTIAL/securitytokens" => {
            let token = json!({ "id": SUBJECT_TOKEN, "duration_seconds": 21600 });
            let expected = json!({ "identity": { "methods": ["token"], "token": token } });
            assert_eq!(body["auth"], expected);
            let key = json!({
                "access": "temporary",
                "secret": SECRET,
                "securitytoken": SECURITY_TOKEN,
                "expires_at": "2100-01-01T00:00:00.000000Z",
            });
            Reply::json(201, json!({ "credential": key }).to_string())
        }
        _ => return None,
    };
    // SOPS takes no answer without one.
    Some(reply.header("X-Request-Id", "1"))
}

fn answer(asked: &Asked) -> Reply {
    if let Some(reply) = login(asked) {
        return reply;
    }
    if asked.header("authorization") != Some(&authorization(asked)) {
        let body = json!({ "error_code": "APIGW.0301", "error_msg": "wrong signature" });
        return Reply::json(401, body.to_string());
    }
    if asked.path == "/v3/projects?name=tr-west-1" {
        return Reply::json(200, r#"{"projects":[{"id":"found","name":"tr-west-1"}]}"#);
    }
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    if body["key_id"] != KEY.split_once(':').unwrap().1 {
        let body = json!({ "error": { "error_code": "KMS.0205", "error_msg": "no such key" } });
        return Reply::json(404, body.to_string());
    }
    assert_eq!(body["encryption_algorithm"], "SYMMETRIC_DEFAULT");
    let reversed = |name: &str| {
        let mut bytes = BASE64_STANDARD.decode(body[name].as_str()?).ok()?;
        bytes.reverse();
        Some(BASE64_STANDARD.encode(bytes))
    };
    let answer = match asked.path.rsplit('/').next() {
        Some("encrypt-data") => reversed("plain_text").map(|text| json!({"cipher_text": text})),
        _ => reversed("cipher_text").map(|text| json!({ "plain_text": text })),
    };
    let refused = json!({ "error": { "code": 400, "message": "no ciphertext" } });
    answer.map_or_else(
        || Reply::json(400, refused.to_string()),
        |answer| Reply::json(200, answer.to_string()),
    )
}

/// Returns what the header `Authorization` has to be.
fn authorization(asked: &Asked) -> String {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let given = asked.header("authorization").unwrap_or_default();
    let part = |name: &str| {
        let (_, rest) = given.split_once(name).unwrap_or_default();
        rest.split(',').next().unwrap_or_default().to_owned()
    };
    let (access, names) = (part("Access="), part("SignedHeaders="));
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let mut canonical = format!("{}\n{path}/\n{query}\n", asked.method);
    for name in names.split(';') {
        writeln!(canonical, "{name}:{}", asked.header(name).unwrap_or_default()).unwrap();
    }
    write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(&asked.body))).unwrap();
    let date = asked.header("x-sdk-date").unwrap_or_default();
    let text = format!("SDK-HMAC-SHA256\n{date}\n{}", hex(&Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    format!(
        "SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, Signature={}",
        hex(&mac.finalize().into_bytes())
    )
}

/// Returns a sandbox with a plain file, an access key and a project, where `server` is the region
/// of the key. The metadata server is never asked: there is an access key.
fn sandbox(server: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.env("HUAWEICLOUD_SDK_AK", "access");
    sandbox.env("HUAWEICLOUD_SDK_SK", SECRET);
    sandbox.env("HUAWEICLOUD_SDK_PROJECT_ID", "project");
    sandbox.env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", server);
    sandbox.write("plain.yaml", "a: canary\n");
    sandbox
}

fn encrypt(sandbox: &Sandbox, name: &str) {
    sandbox.encfile(["encrypt", "--hckms", KEY, "--output", name, "plain.yaml"]).go().success();
}

/// Returns the reason why a key cannot encrypt.
fn refusal(sandbox: &Sandbox, key: &str) -> String {
    let outcome = sandbox.encfile(["encrypt", "--hckms", key, "plain.yaml"]).go().failure();
    let message = outcome.no_stdout().messages().to_owned();
    let start = format!(
        "error[wrap]: Could not generate data key: [failed to encrypt new data key with master key \
         \"{key}\": failed to encrypt sops data key with HuaweiCloud KMS: "
    );
    let reason = message.strip_prefix(&start).and_then(|reason| reason.strip_suffix("]\n"));
    reason.unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[test]
fn sops_reads_what_encfile_writes_and_the_reverse() {
    let kms = kms();
    let sandbox = sandbox(&kms.url());
    encrypt(&sandbox, "ours.yaml");
    sandbox.real_sops(["decrypt", "ours.yaml"]).go().success().stdout("a: canary\n");
    let theirs = sandbox.real_sops(["encrypt", "--hckms", KEY, "plain.yaml"]).go().success();
    sandbox.write("theirs.yaml", theirs.into_stdout());
    sandbox.encfile(["decrypt", "theirs.yaml"]).go().success().stdout("a: canary\n");
    assert_eq!(kms.asked().len(), 4);
    let entry = |name: &str| {
        let text = sandbox.read_masked(name);
        let lines = text.lines().skip_while(|line| !line.contains("hckms:")).skip(1).take(3);
        let mut fields: Vec<String> = lines
            .map(|line| line.trim_start_matches([' ', '-']).to_owned())
            .map(|line| if line.starts_with("enc: ") { "enc: ".to_owned() } else { line })
            .collect();
        fields.sort();
        fields
    };
    let fields = ["created_at: \"<time>\"", "enc: ", &format!("key_id: {KEY}")];
    assert_eq!(entry("theirs.yaml"), fields);
    assert_eq!(entry("ours.yaml"), fields);
}

#[test]
fn keys_are_added_rotated_and_removed() {
    let kms = kms();
    let sandbox = sandbox(&kms.url());
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    let recipient = ALICE.recipient();
    let arguments = ["encrypt", "--age", &recipient, "--output", "f.yaml", "plain.yaml"];
    sandbox.encfile(arguments).go().success();
    let arguments = ["rotate", "--in-place", "--add-hckms", KEY, "--rm-age", &recipient, "f.yaml"];
    sandbox.encfile(arguments).go().success();
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.encfile(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    let arguments = ["rotate", "--in-place", "--rm-hckms", KEY, "--add-age", &recipient, "f.yaml"];
    sandbox.encfile(arguments).go().success();
    assert_eq!(sandbox.read("f.yaml").matches("hckms").count(), 0);
}

#[test]
fn rules_and_key_groups_name_keys() {
    let kms = kms();
    let sandbox = sandbox(&kms.url());
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - hckms:\n      - {KEY}\n"));
    sandbox.write("f.yaml", "a: canary\n");
    sandbox.encfile(["encrypt", "--in-place", "f.yaml"]).go().success();
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    let recipient = ALICE.recipient();
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - key_groups:\n      - hckms:\n          - key_id: {KEY}\n        \
             age:\n          - {recipient}\n"
        ),
    );
    sandbox.encfile(["updatekeys", "--yes", "f.yaml"]).go().success();
    sandbox.encfile(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    sandbox.no_env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1");
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn a_request_has_the_headers_of_the_sdk() {
    let kms = kms();
    let sandbox = sandbox(&format!("{}/, https://other.example", kms.url()));
    sandbox.env("HUAWEICLOUD_SDK_SECURITY_TOKEN", "token-canary");
    encrypt(&sandbox, "f.yaml");
    let asked = &kms.asked()[0];
    assert_eq!((&*asked.method, &*asked.path), ("POST", "/v1.0/project/kms/encrypt-data"));
    assert_eq!(asked.header("x-project-id"), Some("project"));
    assert_eq!(asked.header("x-security-token"), Some("token-canary"));
    assert_eq!(asked.header("content-type"), Some("application/json;charset=UTF-8"));
    let authorization = asked.header("authorization").unwrap();
    assert!(
        authorization.starts_with(
            "SDK-HMAC-SHA256 Access=access, \
             SignedHeaders=user-agent;x-project-id;x-sdk-date;x-security-token, Signature="
        ),
        "{authorization}"
    );
}

#[test]
fn a_project_that_is_not_given_is_asked_for_once() {
    let kms = kms();
    let sandbox = sandbox(&kms.url());
    sandbox.no_env("HUAWEICLOUD_SDK_PROJECT_ID").env("HUAWEICLOUD_SDK_IAM_ENDPOINT", kms.url());
    encrypt(&sandbox, "f.yaml");
    sandbox.encfile(["rotate", "--in-place", "f.yaml"]).go().success();
    let paths: Vec<String> = kms.asked().into_iter().map(|asked| asked.path).collect();
    let projects = "/v3/projects?name=tr-west-1";
    let (encrypt, decrypt) = ("/v1.0/found/kms/encrypt-data", "/v1.0/found/kms/decrypt-data");
    assert_eq!(paths, [projects, encrypt, projects, decrypt, encrypt]);
}

#[test]
fn profiles_and_regions_stand_in_files() {
    let kms = kms();
    let sandbox = sandbox("");
    sandbox.no_env("HUAWEICLOUD_SDK_AK").no_env("HUAWEICLOUD_SDK_SK");
    let url = kms.url();
    let profile = format!("[basic]\nak = access\nsk = {SECRET}\niam_endpoint = {url}\n");
    let profile = sandbox.write("credentials", profile);
    sandbox.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", profile);
    let regions =
        sandbox.write("regions", format!("KMS:\n  - id: tr-west-1\n    endpoint: {url}\n"));
    sandbox.env("HUAWEICLOUD_SDK_REGIONS_FILE", regions);
    encrypt(&sandbox, "f.yaml");
    assert_eq!(kms.asked().len(), 2);
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn a_server_that_refuses_says_why() {
    let kms = kms();
    let url = kms.url();
    let sandbox = sandbox(&url);
    assert_eq!(
        refusal(&sandbox, "tr-west-1:other"),
        format!("POST {url}/v1.0/project/kms/encrypt-data: status 404: KMS.0205: no such key")
    );
    encrypt(&sandbox, "f.yaml");
    let malformed = sandbox.read("f.yaml");
    let (start, rest) = malformed.split_once(" enc: ").unwrap();
    let (_, end) = rest.split_once('\n').unwrap();
    sandbox.write("malformed.yaml", format!("{start} enc: '!'\n{end}"));
    sandbox
        .encfile(["decrypt", "malformed.yaml"])
        .go()
        .code(128)
        .says(["/v1.0/project/kms/decrypt-data: status 400: 400: no ciphertext\n"]);
    sandbox.env("HUAWEICLOUD_SDK_SK", "wrong-canary");
    sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).stderr(&format!(
        "error[data-key]: Failed to get the data key required to decrypt the SOPS file.\n\
         \x20 --> f.yaml\n\
         \n\
         Group 0: FAILED\n\
         \x20 {KEY}: FAILED\n\
         \x20   - | failed to decrypt sops data key with HuaweiCloud KMS: POST \
         {url}/v1.0/project/kms/decrypt-data: status 401: APIGW.0301: wrong signature\n\
         \n\
         Recovery failed because no master key was able to decrypt the file.\n\
         What could unwrap them was looked for in:\n\
         \x20 HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK: an access key\n\
         help: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK to an access key that may use the \
         key\n"
    ));
}

#[test]
fn a_region_or_project_that_is_not_known_is_said() {
    let server = StandIn::start(|_| Reply::json(200, r#"{"projects":[]}"#));
    let url = server.url();
    let sandbox = sandbox(&url);
    let message = refusal(&sandbox, "nowhere:a");
    assert!(
        message.starts_with(
            "invalid region \"nowhere\": region id 'nowhere' is not in the following supported \
             regions of service 'KMS': [ae-ad-1, "
        ),
        "{message}"
    );
    sandbox.no_env("HUAWEICLOUD_SDK_PROJECT_ID").env("HUAWEICLOUD_SDK_IAM_ENDPOINT", &url);
    assert_eq!(
        refusal(&sandbox, KEY),
        format!(
            "failed to get project id of region 'tr-west-1' automatically: GET \
             {url}/v3/projects?name=tr-west-1: there is no project; set HUAWEICLOUD_SDK_PROJECT_ID"
        )
    );
}

#[test]
fn a_server_that_is_not_there_or_answers_nonsense_is_said() {
    let nobody = format!("http://{}", free_address());
    let sandbox = sandbox(&nobody);
    let url = format!("{nobody}/v1.0/project/kms/encrypt-data");
    assert_eq!(
        refusal(&sandbox, KEY),
        format!("POST {url}: io: Connection refused (os error 111)")
    );
    for (body, reason) in [
        ("<html>", "that is no answer of HuaweiCloud KMS"),
        ("{}", "there is no `cipher_text` in the answer"),
    ] {
        let server = StandIn::start(move |_| Reply::json(200, body));
        sandbox.env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", server.url());
        let message = refusal(&sandbox, KEY);
        assert!(message.ends_with(reason), "{message}");
    }
    let server = StandIn::start(|asked| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        Reply::json(400, json!({ "error_msg": body["plain_text"] }).to_string())
    });
    sandbox.env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", server.url());
    let message = refusal(&sandbox, KEY);
    let expected = "status 400: the reason repeats a secret, and is not shown";
    assert!(message.ends_with(expected), "{message}");
}

/// Returns a KMS with a certificate, and a sandbox that trusts it and has an id token instead of an
/// access key.
fn federated() -> (StandIn, Sandbox) {
    let kms = StandIn::start_tls(&[], answer);
    let sandbox = sandbox(&kms.url());
    sandbox.no_env("HUAWEICLOUD_SDK_AK").no_env("HUAWEICLOUD_SDK_SK");
    sandbox.env("SSL_CERT_FILE", sandbox.write("ca.pem", kms.certificate()));
    sandbox.write("token", format!("{ID_TOKEN}\n"));
    (kms, sandbox)
}

fn log_in(sandbox: &Sandbox, kms: &StandIn) {
    sandbox
        .env("HUAWEICLOUD_SDK_IDP_ID", "us")
        .env("HUAWEICLOUD_SDK_ID_TOKEN_FILE", "token")
        // For SOPS, a host alone.
        .env("HUAWEICLOUD_SDK_IAM_ENDPOINT", kms.url().replace("https://", ""));
}

/// Checks that a file goes both ways, and how often each address was asked for by encfile.
#[track_caller]
fn assert_logged_in(sandbox: &Sandbox, kms: &StandIn) {
    let before = kms.asked().len();
    encrypt(sandbox, "f.yaml");
    let asked = &kms.asked()[before..];
    let paths: Vec<&str> = asked.iter().map(|asked| &*asked.path).collect();
    let (token, key) = ("/v3.0/OS-AUTH/id-token/tokens", "/v3.0/OS-CREDENTIAL/securitytokens");
    assert_eq!(paths, [token, key, "/v1.0/project/kms/encrypt-data"]);
    assert_eq!(asked[2].header("x-security-token"), Some(SECURITY_TOKEN));
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    let theirs = sandbox.real_sops(["encrypt", "--hckms", KEY, "plain.yaml"]).go().success();
    sandbox.write("theirs.yaml", theirs.into_stdout());
    sandbox.encfile(["decrypt", "theirs.yaml"]).go().success().stdout("a: canary\n");
    std::fs::remove_file(sandbox.path("f.yaml")).unwrap();
}

#[test]
fn an_identity_provider_of_the_environment_logs_in() {
    let (kms, sandbox) = federated();
    log_in(&sandbox, &kms);
    assert_logged_in(&sandbox, &kms);
    // It comes before an access key, as in the SDK.
    sandbox.env("HUAWEICLOUD_SDK_AK", "access").env("HUAWEICLOUD_SDK_SK", "wrong-canary");
    assert_logged_in(&sandbox, &kms);
}

#[test]
fn an_identity_provider_of_the_profile_logs_in() {
    let (kms, sandbox) = federated();
    sandbox.no_env("HUAWEICLOUD_SDK_PROJECT_ID");
    let profile = format!(
        "[global]\nak = other\nsk = other\n[basic]\nidp_id = us\nid_token_file = token\n\
         project_id = project\niam_endpoint = {}\nak = access\nsk = wrong\n",
        kms.url()
    );
    let profile = sandbox.write("credentials", profile);
    sandbox.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", profile);
    assert_logged_in(&sandbox, &kms);
}

#[test]
fn one_login_serves_all_keys() {
    let (kms, sandbox) = federated();
    log_in(&sandbox, &kms);
    encrypt(&sandbox, "f.yaml");
    let before = kms.asked().len();
    sandbox.encfile(["rotate", "--in-place", "f.yaml"]).go().success();
    assert_eq!(kms.asked().len() - before, 4);
}

#[test]
fn a_login_that_fails_is_said_and_ends_the_search() {
    let (kms, sandbox) = federated();
    log_in(&sandbox, &kms);
    let credentials = "failed to get HuaweiCloud credentials: HUAWEICLOUD_SDK_IDP_ID: ";
    let url = format!("{}/v3.0/OS-AUTH/id-token/tokens", kms.url());
    for (name, value, reason) in [
        (
            "HUAWEICLOUD_SDK_IDP_ID",
            "other",
            format!("POST {url}: status 401: the reason repeats a secret, and is not shown"),
        ),
        (
            "HUAWEICLOUD_SDK_ID_TOKEN_FILE",
            "gone",
            "the id token `gone` cannot be read: no such file".to_owned(),
        ),
        ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", "/dev/null", "`/dev/null` holds no id token".to_owned()),
        (
            "HUAWEICLOUD_SDK_IAM_ENDPOINT",
            "http://iam.example",
            "`http://iam.example` was not contacted, because everybody on the way could read the \
             id token; use https"
                .to_owned(),
        ),
    ] {
        log_in(&sandbox, &kms);
        sandbox.env(name, value);
        assert_eq!(refusal(&sandbox, KEY), format!("{credentials}{reason}"));
    }
}

#[test]
fn an_answer_to_a_login_without_what_is_asked_for_is_said() {
    for (is_first, what) in [(true, "token"), (false, "access key")] {
        let iam = StandIn::start(move |_| {
            let reply = Reply::json(201, "{}");
            if is_first { reply } else { reply.header("X-Subject-Token", SUBJECT_TOKEN) }
        });
        let sandbox = sandbox(&iam.url());
        sandbox.write("token", ID_TOKEN);
        log_in(&sandbox, &iam);
        sandbox.env("HUAWEICLOUD_SDK_IAM_ENDPOINT", iam.url());
        let message = refusal(&sandbox, KEY);
        assert!(message.ends_with(&format!(": there is no {what} in the answer")), "{message}");
    }
}
