//! Vault's transit engine: a real `OpenBao` server, and stand-ins for what it does not do on demand.
//! It is long because each failure and each setting has a test of a few lines.

mod connection;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bao::{self, ROOT};
use super::{Reply, Server, StandIn, assert_both_serve_both, free_address};
use crate::files::ALICE;
use crate::sandbox::{CANARY, Sandbox};

/// What a stand-in answers to a request for encryption.
const WRAPPED: &str = r#"{"data":{"ciphertext":"vault:v1:AAAA"}}"#;

/// A server with an engine for one test.
struct Vault {
    server: Arc<Server>,
    engine: String,
}

impl Vault {
    /// Returns the server, which the tests that run at the same time share, with a transit engine
    /// at the path `engine` and a key `dev`.
    fn with_engine(engine: &str) -> Vault {
        let vault = Vault { server: bao::shared(), engine: engine.to_owned() };
        vault.post(&format!("sys/mounts/{engine}"), r#"{"type":"transit"}"#);
        vault.post(&format!("{engine}/keys/dev"), "{}");
        vault
    }

    fn key(&self, name: &str) -> String {
        format!("{}/v1/{}/keys/{name}", self.server.url(), self.engine)
    }

    /// Asks the API for something as root, and returns the body of the answer.
    fn post(&self, path: &str, body: &str) -> String {
        let (status, answer) = bao::ask_as_root(&self.server, "POST", path, body);
        assert!((200..210).contains(&status), "{path}: {answer}");
        answer
    }

    /// Returns a token that may do what a policy in HCL says.
    fn token(&self, name: &str, policy: &str) -> String {
        let policy = serde_json::json!({ "policy": policy }).to_string();
        self.post(&format!("sys/policies/acl/{name}"), &policy);
        let request = format!(r#"{{"policies":["{name}"]}}"#);
        let answer = self.post("auth/token/create", &request);
        let (_, rest) = answer.split_once(r#""client_token":""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

#[test]
fn services_of_both_have_the_token_for_the_clients_of_both() {
    let vault = Vault::with_engine("served");
    assert_both_serve_both(
        &Sandbox::new(),
        &["--hc-vault-transit", &vault.key("dev")],
        &[("VAULT_ADDR", &vault.server.url()), ("VAULT_TOKEN", &ROOT)],
    );
}

/// Returns a sandbox with a plain file and the root token.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.env("VAULT_TOKEN", ROOT);
    sandbox.write("plain.yaml", "a: canary\n");
    sandbox
}

/// Encrypts `plain.yaml` for a key, into `name`.
fn encrypt(sandbox: &Sandbox, key: &str, name: &str) {
    let arguments = ["encrypt", "--hc-vault-transit", key, "--output", name, "plain.yaml"];
    sandbox.encfile(arguments).go().success();
}

/// Returns the error of an encryption for a key.
fn refusal(sandbox: &Sandbox, key: &str) -> String {
    let outcome = sandbox.encfile(["encrypt", "--hc-vault-transit", key, "plain.yaml"]).go();
    outcome.failure().no_stdout().messages().to_owned()
}

#[test]
fn sops_reads_what_encfile_writes_and_the_reverse() {
    let vault = Vault::with_engine("team/a/transit");
    vault.post("team/a/transit/keys/rsa", r#"{"type":"rsa-2048"}"#);
    for name in ["dev", "rsa"] {
        let sandbox = sandbox();
        let key = vault.key(name);
        encrypt(&sandbox, &key, "ours.yaml");
        sandbox.real_sops(["decrypt", "ours.yaml"]).go().success().stdout("a: canary\n");
        let theirs = sandbox.real_sops(["encrypt", "--hc-vault-transit", &key, "plain.yaml"]).go();
        sandbox.write("theirs.yaml", theirs.success().into_stdout());
        sandbox
            .encfile(["decrypt", "theirs.yaml"])
            .env("VAULT_ADDR", vault.server.url())
            .go()
            .success()
            .stdout("a: canary\n");
    }
}

#[test]
fn an_entry_has_the_fields_of_sops() {
    let vault = Vault::with_engine("fields");
    let sandbox = sandbox();
    encrypt(&sandbox, &vault.key("dev"), "ours.yaml");
    let arguments = ["encrypt", "--hc-vault-transit", &vault.key("dev"), "plain.yaml"];
    let theirs = sandbox.real_sops(arguments).go().success();
    sandbox.write("theirs.yaml", theirs.into_stdout());
    let entry = |name: &str| {
        let text = sandbox.read_masked(name);
        let lines = text.lines().skip_while(|line| !line.contains("hc_vault:")).skip(1).take(5);
        let mut fields: Vec<String> = lines
            .map(|line| line.trim_start_matches([' ', '-']).to_owned())
            .map(|line| line.split_once("vault:v1:").map_or(line.clone(), |(enc, _)| enc.into()))
            .collect();
        fields.sort();
        fields
    };
    let address = format!("vault_address: {}", vault.server.url());
    let fields =
        ["created_at: \"<time>\"", "enc: ", "engine_path: fields", "key_name: dev", &address];
    assert_eq!(entry("theirs.yaml"), fields);
    assert_eq!(entry("ours.yaml"), fields);
}

#[test]
fn what_an_older_version_of_a_key_has_wrapped_is_unwrapped() {
    let vault = Vault::with_engine("rotated");
    let sandbox = sandbox();
    sandbox.env("VAULT_ADDR", vault.server.url());
    encrypt(&sandbox, &vault.key("dev"), "f.yaml");
    vault.post("rotated/keys/dev/rotate", "{}");
    sandbox.encfile(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.encfile(["rotate", "--in-place", "f.yaml"]).go().success();
    assert_eq!(sandbox.read("f.yaml").matches("enc: vault:v2:").count(), 1);
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn keys_are_added_and_removed() {
    let vault = Vault::with_engine("changed");
    vault.post("changed/keys/other", "{}");
    let sandbox = sandbox();
    sandbox.env("VAULT_ADDR", vault.server.url());
    let (dev, other) = (vault.key("dev"), vault.key("other"));
    encrypt(&sandbox, &dev, "f.yaml");
    let arguments = ["rotate", "--in-place", "--add-hc-vault-transit", &other, "f.yaml"];
    sandbox.encfile(arguments).go().success();
    assert_eq!(sandbox.read("f.yaml").matches("enc: vault:v1:").count(), 2);
    let arguments = ["rotate", "--in-place", "--rm-hc-vault-transit", &dev, "f.yaml"];
    sandbox.encfile(arguments).go().success();
    let text = sandbox.read("f.yaml");
    assert_eq!(text.matches("key_name: other").count(), 1, "{text}");
    assert_eq!(text.matches("key_name: dev").count(), 0, "{text}");
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn the_rule_of_a_file_names_keys_for_all_commands() {
    let vault = Vault::with_engine("ruled");
    vault.post("ruled/keys/second", "{}");
    let sandbox = sandbox();
    let (dev, second) = (vault.key("dev"), vault.key("second"));
    let config = format!("creation_rules:\n  - hc_vault_transit_uri: \"{dev}\"\n");
    sandbox.write(".sops.yaml", config);
    sandbox.write("f.yaml", "a: canary\n");
    sandbox.encfile(["encrypt", "--in-place", "f.yaml"]).go().success();
    sandbox.encfile(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.encfile(["set", "f.yaml", r#"["b"]"#, "1"]).go().success();
    sandbox.encfile(["rotate", "--in-place", "f.yaml"]).go().success();
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - hc_vault_transit_uri: {dev},{second}\n"),
    );
    sandbox.encfile(["updatekeys", "--yes", "f.yaml"]).go().success();
    assert_eq!(sandbox.read("f.yaml").matches("enc: vault:v1:").count(), 2);
    sandbox.encfile(["check", "."]).go().success();
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\nb: 1\n");
}

#[test]
fn key_groups_have_keys_of_vault() {
    let vault = Vault::with_engine("groups");
    let sandbox = sandbox();
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    let recipient = ALICE.recipient();
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - hc_vault:\n          \
             - {}\n      - age:\n          - {recipient}\n",
            vault.key("dev")
        ),
    );
    sandbox.write("f.yaml", "a: canary\n");
    sandbox.encfile(["encrypt", "--in-place", "f.yaml"]).go().success();
    sandbox.encfile(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn a_flag_names_the_server_of_a_file_that_is_there() {
    let vault = Vault::with_engine("flags");
    vault.post("flags/keys/other", "{}");
    let sandbox = sandbox();
    let (dev, other) = (vault.key("dev"), vault.key("other"));
    encrypt(&sandbox, &dev, "f.yaml");
    encrypt(&sandbox, &dev, "f.yaml");
    let arguments = ["--rm-hc-vault-transit", &dev, "--add-hc-vault-transit", &other];
    sandbox.encfile(["rotate", "--in-place", "f.yaml"]).go().code(128);
    sandbox.encfile(["rotate", "--in-place", "f.yaml"].iter().chain(&arguments)).go().success();
    assert_eq!(sandbox.read("f.yaml").matches("key_name: other").count(), 1);
}

#[test]
fn the_token_of_vault_login_is_used() {
    let vault = Vault::with_engine("login");
    let sandbox = sandbox();
    sandbox.no_env("VAULT_TOKEN");
    fs::write(sandbox.home().join(".vault-token"), format!("{ROOT}\n")).unwrap();
    encrypt(&sandbox, &vault.key("dev"), "f.yaml");
    assert_eq!(sandbox.read("f.yaml").matches("enc: vault:v1:").count(), 1);
}

#[test]
fn a_server_that_refuses_says_why() {
    let vault = Vault::with_engine("denied");
    let sandbox = sandbox();
    let url = vault.server.url();
    sandbox.env("VAULT_ADDR", &url);
    encrypt(&sandbox, &vault.key("dev"), "f.yaml");
    let may_encrypt =
        vault.token("may-encrypt", r#"path "denied/encrypt/dev" { capabilities = ["update"] }"#);
    let denied = [("wrong-canary", ""), (&*may_encrypt, "1 error occurred: * ")];
    for (token, words) in denied {
        sandbox.env("VAULT_TOKEN", token);
        sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).stderr(&format!(
            "error[data-key]: Failed to get the data key required to decrypt the SOPS file.\n\
             \x20 --> f.yaml\n\
             \n\
             Group 0: FAILED\n\
             \x20 {url}/v1/denied/keys/dev: FAILED\n\
             \x20   - | failed to decrypt sops data key from Vault transit backend \
             'denied/decrypt/dev': Error making API request. URL: PUT {url}/v1/denied/decrypt/dev. \
             Code: 403. Errors: * {words}permission denied\n\
             \n\
             Recovery failed because no master key was able to decrypt the file.\n\
             What could unwrap them was looked for in:\n\
             \x20 VAULT_TOKEN: a token\n\
             help: log in to Vault (`vault login`), or set VAULT_TOKEN to a token that may use the \
             key\n"
        ));
    }
    encrypt(&sandbox, &vault.key("dev"), "again.yaml");
}

#[test]
fn a_missing_token_engine_or_key_is_said() {
    let vault = Vault::with_engine("missing");
    let sandbox = sandbox();
    let url = vault.server.url();
    assert_eq!(
        refusal(&sandbox, &format!("{url}/v1/nowhere/keys/dev")),
        format!(
            "error[wrap]: Could not generate data key: [failed to encrypt new data key with master \
             key \"{url}/v1/nowhere/keys/dev\": failed to encrypt sops data key to Vault transit \
             backend 'nowhere/encrypt/dev': Error making API request. URL: PUT \
             {url}/v1/nowhere/encrypt/dev. Code: 404. Errors: * no handler for route \
             \"nowhere/encrypt/dev\". route entry not found.]\n"
        )
    );
    sandbox.env("VAULT_ADDR", &url);
    encrypt(&sandbox, &vault.key("dev"), "f.yaml");
    sandbox.write("other.yaml", sandbox.read("f.yaml").replace("key_name: dev", "key_name: gone"));
    sandbox.encfile(["decrypt", "other.yaml"]).go().code(128).says([
        "'missing/decrypt/gone': Error making API request. URL: PUT ",
        "Code: 400. Errors: * encryption key not found\n",
    ]);
    let malformed = sandbox.read("f.yaml").replace("enc: vault:v1:", "enc: vault:");
    sandbox.write("other.yaml", malformed);
    sandbox
        .encfile(["decrypt", "other.yaml"])
        .go()
        .code(128)
        .says(["Code: 400. Errors: * invalid ciphertext: "]);
    sandbox.no_env("VAULT_TOKEN");
    sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).says([
        "Code: 403. Errors: * permission denied; no token was sent, for there is none\n",
        "  VAULT_TOKEN: not set\n",
        "/.vault-token: no such file\n",
    ]);
}

#[test]
fn a_server_that_only_a_file_names_is_not_contacted() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let url = server.url();
    let sandbox = sandbox();
    encrypt(&sandbox, &format!("{url}/v1/transit/keys/dev"), "f.yaml");
    assert_eq!(server.asked().len(), 1);
    let not_contacted = format!(
        "`{url}` is named by the file alone, and was not contacted; name the key in the creation \
         rule, or the server in VAULT_ADDR or SOPS_HC_VAULT_ALLOWLIST\n"
    );
    let commands: [&[&str]; 5] = [
        &["decrypt", "f.yaml"],
        &["edit", "f.yaml"],
        &["set", "f.yaml", r#"["b"]"#, "1"],
        &["rotate", "--in-place", "f.yaml"],
        &["exec-env", "f.yaml", "true"],
    ];
    for command in commands {
        sandbox.encfile(command).go().code(128).says([&not_contacted]);
    }
    let other = "creation_rules:\n  - hc_vault_transit_uri: https://other.example/v1/a/keys/b\n";
    sandbox.write(".sops.yaml", other);
    sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).says([&not_contacted]);
    let other = free_address();
    sandbox.env("VAULT_ADDR", format!("http://{other}"));
    sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).says([&not_contacted]);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_that_the_user_names_too_is_asked() {
    let plaintext = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let server = StandIn::start(move |asked| {
        if asked.path.contains("/encrypt/") {
            return Reply::json(200, WRAPPED);
        }
        Reply::json(200, format!(r#"{{"data":{{"plaintext":"{plaintext}"}}}}"#))
    });
    let url = server.url();
    let sandbox = sandbox();
    encrypt(&sandbox, &format!("{url}/v1/transit/keys/dev"), "f.yaml");
    let is_asked = |sandbox: &Sandbox| {
        let before = server.asked().len();
        // The stand-in unwraps another key than that of the file.
        sandbox.encfile(["decrypt", "f.yaml"]).go().failure();
        server.asked().len() > before
    };
    assert!(!is_asked(&sandbox));
    for (name, value) in [
        ("VAULT_ADDR", format!("{url}/")),
        ("VAULT_AGENT_ADDR", url.clone()),
        ("SOPS_HC_VAULT_ALLOWLIST", "all".to_owned()),
        ("SOPS_HC_VAULT_ALLOWLIST", format!("https://vault.example, {url}")),
    ] {
        sandbox.env(name, &value);
        assert!(is_asked(&sandbox), "{name}={value}");
        sandbox.no_env(name);
    }
    let rule = format!("creation_rules:\n  - hc_vault_transit_uri: {url}/v1/transit/keys/dev\n");
    sandbox.write(".sops.yaml", rule);
    assert!(is_asked(&sandbox));
}

#[test]
fn sops_and_encfile_as_sops_ask_what_a_file_names() {
    let vault = Vault::with_engine("as-sops");
    let sandbox = sandbox();
    encrypt(&sandbox, &vault.key("dev"), "f.yaml");
    sandbox.real_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
    sandbox.as_sops(["decrypt", "f.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn the_allowlist_counts_for_everybody() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let url = server.url();
    let sandbox = sandbox();
    sandbox.env("VAULT_ADDR", &url);
    let key = format!("{url}/v1/transit/keys/dev");
    let error = |reason: &str| {
        format!(
            "Could not generate data key: [failed to encrypt new data key with master key \
             \"{key}\": failed to encrypt sops data key to Vault transit backend \
             'transit/encrypt/dev': {reason}]\n"
        )
    };
    for (list, reason) in [
        ("none", format!("Allowlist does not allow {url}")),
        ("https://vault.example", format!("Allowlist does not allow {url}")),
        (&url[..url.len() - 1], format!("Allowlist does not allow {url}")),
        (&format!("{url},"), "SOPS_HC_VAULT_ALLOWLIST's entry 2 is empty".to_owned()),
    ] {
        sandbox.env("SOPS_HC_VAULT_ALLOWLIST", list);
        assert_eq!(refusal(&sandbox, &key), format!("error[wrap]: {}", error(&reason)));
        let arguments = ["encrypt", "--hc-vault-transit", &key, "plain.yaml"];
        sandbox.as_sops(arguments).go().failure().stderr(&error(&reason));
    }
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_token_does_not_go_over_an_open_line_unless_that_is_accepted() {
    let sandbox = sandbox();
    sandbox.env("VAULT_CLIENT_TIMEOUT", "10ms");
    let url = "http://192.0.2.1:8200";
    let key = format!("{url}/v1/transit/keys/dev");
    let not_contacted = "`http://192.0.2.1:8200` was not contacted, because everybody on the way \
                         could read the token; use https, or accept that by naming the server in \
                         VAULT_ADDR or SOPS_HC_VAULT_ALLOWLIST]\n";
    assert!(refusal(&sandbox, &key).ends_with(not_contacted));
    sandbox.env("SOPS_HC_VAULT_ALLOWLIST", "all");
    assert!(refusal(&sandbox, &key).ends_with(not_contacted));
    for (name, value) in [("VAULT_ADDR", url), ("SOPS_HC_VAULT_ALLOWLIST", url)] {
        sandbox.no_env("SOPS_HC_VAULT_ALLOWLIST").env(name, value);
        let message = refusal(&sandbox, &key);
        assert!(!message.contains("was not contacted"), "{name}: {message}");
        sandbox.no_env(name);
    }
}

#[test]
fn requests_have_the_headers_of_vault() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let sandbox = sandbox();
    sandbox.env("VAULT_NAMESPACE", "team/a");
    encrypt(&sandbox, &format!("{}/v1/a%2f/b c/keys/dev?/", server.url()), "f.yaml");
    let asked = &server.asked()[0];
    assert_eq!((&*asked.method, &*asked.path), ("PUT", "/v1/a%252f/b%20c/encrypt/dev%3F"));
    assert_eq!(asked.header("x-vault-token"), Some(ROOT));
    assert_eq!(asked.header("x-vault-request"), Some("true"));
    assert_eq!(asked.header("x-vault-namespace"), Some("team/a"));
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["plaintext"]);
    assert_eq!(body["plaintext"].as_str().unwrap().len(), 44);
}

#[test]
fn what_goes_to_this_machine_goes_past_a_proxy() {
    let proxy = StandIn::start(|_| Reply::json(502, ""));
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let sandbox = sandbox();
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        sandbox.env(name, proxy.url());
    }
    encrypt(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()), "f.yaml");
    assert_eq!((proxy.asked().len(), server.asked().len()), (0, 1));
}

#[test]
fn a_file_is_called_what_the_command_line_says_for_its_rule() {
    let vault = Vault::with_engine("called");
    let sandbox = sandbox();
    let dev = vault.key("dev");
    encrypt(&sandbox, &dev, "f.yaml");
    let rule = format!("  - path_regex: secret\\.yaml$\n    hc_vault_transit_uri: {dev}\n");
    sandbox.write(".sops.yaml", format!("creation_rules:\n{rule}"));
    sandbox.encfile(["decrypt", "f.yaml"]).go().code(128);
    let arguments = ["decrypt", "--filename-override", "secret.yaml", "f.yaml"];
    sandbox.encfile(arguments).go().success().stdout("a: canary\n");
}

#[test]
fn a_busy_server_is_asked_again_twice() {
    for (status, busy, succeeds) in [(503, 2, true), (412, 1, true), (503, 3, false)] {
        let left = Mutex::new(busy);
        let server = StandIn::start(move |_| {
            let mut left = left.lock().unwrap();
            if *left == 0 {
                return Reply::json(200, WRAPPED);
            }
            *left -= 1;
            Reply::json(status, r#"{"errors":["Vault is sealed"]}"#)
        });
        let sandbox = sandbox();
        let key = format!("{}/v1/transit/keys/dev", server.url());
        if succeeds {
            encrypt(&sandbox, &key, "f.yaml");
        } else {
            let message = refusal(&sandbox, &key);
            assert!(message.ends_with("Code: 503. Errors: * Vault is sealed]\n"), "{message}");
        }
        assert_eq!(server.asked().len(), 3.min(busy + 1));
    }
}

#[test]
fn an_error_is_not_asked_about_again() {
    let server = StandIn::start(|_| Reply::json(400, "{}"));
    let sandbox = sandbox();
    let message = refusal(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()));
    assert!(message.ends_with("Code: 400. Errors: none are given]\n"), "{message}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_redirect_is_not_followed() {
    let other = StandIn::start(|_| Reply::json(200, WRAPPED));
    let location = format!("{}/v1/transit/encrypt/dev", other.url());
    let to = location.clone();
    let server = StandIn::start(move |_| Reply::json(307, "").header("Location", &*to));
    let url = server.url();
    let message = refusal(&sandbox(), &format!("{url}/v1/transit/keys/dev"));
    let expected = format!(
        "PUT {url}/v1/transit/encrypt/dev: the server refers to `{location}`, which is not \
         followed, because the token would go there; name the server that answers]\n"
    );
    assert!(message.ends_with(&expected), "{message}");
    assert_eq!(other.asked().len(), 0);
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_said() {
    let sandbox = sandbox();
    let nobody = free_address();
    let message = refusal(&sandbox, &format!("http://{nobody}/v1/transit/keys/dev"));
    let expected = format!(
        "PUT http://{nobody}/v1/transit/encrypt/dev: io: Connection refused (os error 111)]\n"
    );
    assert!(message.ends_with(&expected), "{message}");

    let server = StandIn::start(|_| Reply::silence());
    sandbox.env("VAULT_CLIENT_TIMEOUT", "1");
    let started = Instant::now();
    let message = refusal(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()));
    assert!(message.ends_with("/v1/transit/encrypt/dev: timeout: global]\n"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_is_no_answer_of_vault_is_refused() {
    let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    for (body, reason) in [
        ("<html>canary</html>", "that is no answer of a Vault server"),
        (r#"{"data":null}"#, "that is no answer of a Vault server"),
        (r#"{"data":{}}"#, "there is no plaintext in the answer"),
        (r#"{"data":{"plaintext":"canary!"}}"#, "the plaintext in the answer is not base64"),
        (r#"{"data":{"plaintext":"AAAA"}}"#, "what was unwrapped is 3 bytes long"),
    ] {
        let server = StandIn::start(move |asked| {
            let is_first = asked.path.contains("/encrypt/");
            Reply::json(200, if is_first { WRAPPED } else { body })
        });
        let sandbox = sandbox();
        sandbox.env("VAULT_ADDR", server.url());
        encrypt(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()), "f.yaml");
        sandbox.encfile(["decrypt", "f.yaml"]).go().code(128).says([reason]).does_not_say([key]);
    }
}

#[test]
fn what_a_server_repeats_is_not_shown() {
    let server = StandIn::start(|asked| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        let text = format!("bad input {}", body["plaintext"].as_str().unwrap());
        Reply::json(400, serde_json::json!({ "errors": [text] }).to_string())
    });
    let sandbox = sandbox();
    let key = format!("{}/v1/transit/keys/dev", server.url());
    let expected = "Code: 400. Errors: they repeat a secret, and are not shown]\n";
    let message = refusal(&sandbox, &key);
    assert!(message.ends_with(expected), "{message}");
    let server = StandIn::start(|asked| {
        let token = asked.header("x-vault-token").unwrap();
        Reply::json(400, serde_json::json!({ "errors": [token] }).to_string())
    });
    let message = refusal(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()));
    assert!(message.ends_with(expected) && !message.contains(CANARY), "{message}");
}

#[test]
fn a_server_is_known_by_its_certificate() {
    let server = StandIn::start_tls(&["localhost"], |_| Reply::json(200, WRAPPED));
    let sandbox = sandbox();
    let key = format!("{}/v1/transit/keys/dev", server.url());
    let message = refusal(&sandbox, &key);
    assert!(message.contains("invalid peer certificate: UnknownIssuer"), "{message}");
    sandbox.env("VAULT_CACERT", sandbox.write("ca.pem", server.certificate()));
    encrypt(&sandbox, &key, "a.yaml");
    sandbox.no_env("VAULT_CACERT").env("VAULT_CACERT_BYTES", server.certificate());
    encrypt(&sandbox, &key, "b.yaml");
    sandbox.no_env("VAULT_CACERT_BYTES").env("VAULT_SKIP_VERIFY", "true");
    encrypt(&sandbox, &key, "c.yaml");
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let key = format!("{}/v1/transit/keys/dev", server.url());
    for (name, value, reason) in [
        ("VAULT_CACERT", "plain.yaml", "`plain.yaml` holds no certificate"),
        ("VAULT_CACERT", "gone.pem", "`gone.pem` cannot be read: no such file"),
        ("VAULT_CACERT_BYTES", "canary", "`VAULT_CACERT_BYTES` holds no certificate"),
        ("VAULT_CAPATH", "gone", "`gone` cannot be read: no such file or directory"),
        ("VAULT_CAPATH", "empty", "`empty` holds no certificate"),
        ("VAULT_CAPATH", "plain.yaml", "`plain.yaml` holds no certificate"),
        ("VAULT_CAPATH", ".", "`./plain.yaml` holds no certificate"),
        (
            "VAULT_CLIENT_CERT",
            "client.pem",
            "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY belong together: set both",
        ),
        ("VAULT_SKIP_VERIFY", "maybe", "VAULT_SKIP_VERIFY is neither `true` nor `false`"),
        ("VAULT_SRV_LOOKUP", "maybe", "VAULT_SRV_LOOKUP is neither `true` nor `false`"),
        (
            "VAULT_DISABLE_REDIRECTS",
            "maybe",
            "VAULT_DISABLE_REDIRECTS is neither `true` nor `false`",
        ),
        ("VAULT_TLS_SERVER_NAME", "a b", "VAULT_TLS_SERVER_NAME is no name of a server"),
        ("VAULT_TLS_SERVER_NAME", "vault:8200", "VAULT_TLS_SERVER_NAME is no name of a server"),
        (
            "VAULT_WRAP_TTL",
            "60",
            "VAULT_WRAP_TTL has the server wrap its answers, and no key would be in them: unset it \
             for this program",
        ),
        (
            "VAULT_RATE_LIMIT",
            "often",
            "VAULT_RATE_LIMIT is no number of requests a second: `10`, or `10:20` for 20 at once",
        ),
        (
            "VAULT_HEADERS",
            "canary",
            r#"VAULT_HEADERS is no JSON object with texts: `{"X-Team":"a"}`"#,
        ),
        (
            "VAULT_HEADERS",
            r#"{"X-Team": 1}"#,
            r#"VAULT_HEADERS is no JSON object with texts: `{"X-Team":"a"}`"#,
        ),
        (
            "VAULT_HEADERS",
            r#"{"x-vault-token": "canary"}"#,
            "VAULT_HEADERS: `x-vault-token` is for Vault's programs alone",
        ),
        ("VAULT_HEADERS", r#"{"a": "b\n"}"#, "VAULT_HEADERS: entry 1 is no header"),
        (
            "VAULT_PROXY_ADDR",
            "ftp://canary@proxy.example",
            "VAULT_PROXY_ADDR is no address of a proxy: `http://proxy.example.com:8080`",
        ),
        (
            "HTTPS_PROXY",
            "ftp://canary@proxy.example",
            "HTTPS_PROXY is no address of a proxy: `http://proxy.example.com:8080`",
        ),
        ("VAULT_CLIENT_TIMEOUT", "soon", "VAULT_CLIENT_TIMEOUT is no time: `30`, `30s` or `1m30s`"),
        ("VAULT_MAX_RETRIES", "few", "VAULT_MAX_RETRIES is no number"),
        ("VAULT_ADDR", "vault", "VAULT_ADDR is no address of a server: it has no scheme"),
    ] {
        let sandbox = sandbox();
        fs::create_dir(sandbox.path("empty")).unwrap();
        sandbox.env(name, value);
        let message = refusal(&sandbox, &key);
        assert!(message.ends_with(&format!("'transit/encrypt/dev': {reason}]\n")), "{message}");
    }
    assert_eq!(server.asked().len(), 0);
}
