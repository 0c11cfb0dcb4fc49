//! Azure Key Vault, with stand-ins for a vault and for those that hand out tokens.

mod sources;

use std::fs;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::clouds::{PLAIN, assert_not_recovered, decrypt, encrypt, form, plain};
use super::{Asked, Reply, StandIn, free_address};
use crate::files::{ALICE, repository};
use crate::sandbox::Sandbox;

/// The token that the vault takes.
const TOKEN: &str = "canary-token";

const TENANT: &str = "11111111-1111-1111-1111-111111111111";

/// The newest version of each key.
const NEWEST: &str = "v0000002";

/// Answers as a vault does, to those who have the token.
fn vault(asked: &Asked) -> Reply {
    // The vault at 127.0.0.1 is in the domain 0.0.1.
    let host = asked.header("host").unwrap();
    answer(asked, &format!("https://{}", host.split_once('.').unwrap().1))
}

fn answer(asked: &Asked, resource: &str) -> Reply {
    let host = asked.header("host").unwrap();
    let (path, query) = asked.path.split_once('?').unwrap();
    assert!(query.starts_with("api-version=7."), "{query}");
    match asked.header("authorization") {
        None => {
            assert_eq!(asked.body, "", "nothing is sent to a stranger");
            let login = format!("https://login.microsoftonline.com/{TENANT}");
            let challenge = format!("Bearer authorization=\"{login}\", resource=\"{resource}\"");
            return Reply::json(401, "{}").header("WWW-Authenticate", challenge);
        }
        Some("Bearer canary-token") => {}
        Some("Bearer canary-denied") => return forbidden(),
        Some(other) => panic!("{other}"),
    }
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "keys", name, version, ref method @ ..] = parts[..] else { panic!("{path}") };
    if (&*asked.method, version, method) == ("GET", "", &[]) {
        let key = json!({"kid": format!("https://{host}/keys/{name}/{NEWEST}"), "kty": "RSA"});
        return Reply::json(200, json!({"key": key}).to_string());
    }
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["alg"], "RSA-OAEP-256");
    let (key, value) = (*version.as_bytes().last().unwrap(), body["value"].as_str().unwrap());
    let value = match method {
        ["encrypt"] => Some(encrypt(&BASE64_URL_SAFE_NO_PAD, key, value)),
        ["decrypt"] => decrypt(&BASE64_URL_SAFE_NO_PAD, key, value),
        _ => panic!("{path}"),
    };
    match value {
        Some(value) => {
            let kid = format!("https://{host}/keys/{name}/{version}");
            Reply::json(200, json!({"kid": kid, "value": value}).to_string())
        }
        None => refusal(400, "BadParameter", "The parameter is incorrect."),
    }
}

fn forbidden() -> Reply {
    let message = "Caller is not authorized to perform action on resource.\r\nIf role assignments";
    refusal(403, "Forbidden", message)
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": code, "message": message}}).to_string())
}

/// Answers as the services that hand out tokens do, with `token`.
fn tokens(token: &str) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let answer = json!({
        "access_token": token,
        "expires_in": 3600,
        "expires_on": "4102444800",
        "token_type": "Bearer",
    })
    .to_string();
    move |asked| match asked.path.split('?').next().unwrap() {
        "/msi" => {
            assert_eq!(asked.header("x-identity-header"), Some("canary-header"));
            Reply::json(200, &*answer)
        }
        "/place" => Reply::json(200, &*answer),
        "/metadata/identity/oauth2/token" => {
            assert_eq!(asked.header("metadata"), Some("true"));
            Reply::json(200, &*answer)
        }
        path if path == format!("/{TENANT}/oauth2/v2.0/token") => Reply::json(200, &*answer),
        path => panic!("{path}"),
    }
}

/// A vault, those that hand out tokens, and a sandbox with `app.json` that trusts them.
struct Cloud {
    vault: StandIn,
    tokens: StandIn,
    sandbox: Sandbox,
}

impl Cloud {
    /// A cloud in which the sandbox is an app with an identity.
    fn new() -> Cloud {
        let cloud = Cloud::of(StandIn::start_tls(&[], vault), TOKEN);
        cloud
            .sandbox
            .env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
            .env("IDENTITY_ENDPOINT", format!("{}/msi", cloud.tokens.url()))
            .env("IDENTITY_HEADER", "canary-header");
        cloud
    }

    fn of(vault: StandIn, token: &str) -> Cloud {
        let (tokens, sandbox) = (StandIn::start(tokens(token)), plain());
        let certificate = sandbox.write("ca.pem", vault.certificate());
        sandbox.env("SSL_CERT_FILE", certificate);
        Cloud { vault, tokens, sandbox }
    }

    /// A cloud with `app.json` encrypted in place, a rule that names its key, and no credentials.
    fn without_credentials() -> Cloud {
        let cloud = Cloud::new();
        cloud.encrypt();
        for name in ["AZURE_TOKEN_CREDENTIALS", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"] {
            cloud.sandbox.no_env(name);
        }
        let nobody = format!("http://{}", free_address());
        cloud.sandbox.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", nobody);
        cloud
    }

    fn key(&self, path: &str) -> String {
        format!("{}/keys/{path}", self.vault.url())
    }

    /// Writes a rule for the key `k1/v1`, and encrypts `app.json` in place by it.
    fn encrypt(&self) {
        self.rule(&self.key("k1/v1"));
        self.sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    }

    fn rule(&self, keys: &str) {
        let rule = format!("creation_rules:\n  - azure_keyvault: {keys}\n");
        self.sandbox.write(".sops.yaml", rule);
    }

    #[track_caller]
    fn assert_decrypts(&self) {
        self.sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    }

    /// Checks what is said when decrypting fails: why, and what became of each place.
    #[track_caller]
    fn assert_fails(&self, why: &str, places: &[&str]) {
        let advice = "log in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                      AZURE_CLIENT_SECRET of an identity that may use the key";
        assert_not_recovered(&self.sandbox, &self.key("k1/v1"), why, places, advice);
    }

    /// Returns why the vault could not decrypt.
    fn failed(&self, why: &str) -> String {
        let key = self.key("k1/v1");
        format!("failed to decrypt sops data key with Azure Key Vault key '{key}': {why}")
    }

    /// Returns the last form that was sent for a token.
    fn form(&self) -> std::collections::BTreeMap<String, String> {
        form(&self.tokens.asked().last().unwrap().body)
    }

    fn resource(&self) -> String {
        format!("https://{}", self.vault.url().split_once('.').unwrap().1)
    }
}

#[test]
fn files_go_both_ways_with_sops() {
    let cloud = Cloud::new();
    let key = cloud.key("k1/v1");
    cloud.rule(&key);
    let sandbox = &cloud.sandbox;
    let encrypt = ["encrypt", "--azure-kv", &key, "app.json"];
    for run in [sandbox.encfile(encrypt), sandbox.real_sops(encrypt)] {
        run.stdout_to("encrypted.json").go().success();
        let decrypt = ["decrypt", "encrypted.json"];
        sandbox.encfile(decrypt).go().success().stdout(PLAIN);
        sandbox.as_sops(decrypt).go().success().stdout(PLAIN);
        sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
    }
}

#[test]
fn the_newest_version_is_what_the_file_gets() {
    let cloud = Cloud::new();
    let sandbox = &cloud.sandbox;
    for (key, slash) in [("k1", ""), ("k1", "/")] {
        let key = format!("{}{slash}", cloud.key(key));
        let encrypt = ["encrypt", "--azure-kv", &key, "app.json"];
        for run in [sandbox.encfile(encrypt), sandbox.real_sops(encrypt)] {
            let file: Value = serde_json::from_slice(&run.go().success().into_stdout()).unwrap();
            let entry = file["sops"]["azure_kv"][0].as_object().unwrap();
            let names: Vec<&String> = entry.keys().collect();
            assert_eq!(names, ["created_at", "enc", "name", "vault_url", "version"]);
            assert_eq!(entry["vault_url"], cloud.vault.url());
            assert_eq!((&entry["name"], &entry["version"]), (&json!("k1"), &json!(NEWEST)));
        }
    }
}

#[test]
fn a_rule_without_a_version_is_met_by_any_and_asks_nobody() {
    let cloud = Cloud::new();
    cloud.encrypt();
    let url = cloud.vault.url();
    cloud.sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - key_groups:\n      - azure_keyvault:\n          - vaultUrl: \
             {url}/\n            key: k1\n            version: \"\"\n"
        ),
    );
    let (before, asked) = (cloud.sandbox.read("app.json"), cloud.vault.asked().len());
    cloud.sandbox.encfile(["check", "app.json"]).go().success();
    cloud.sandbox.encfile(["updatekeys", "-y", "app.json"]).go().success();
    assert_eq!((cloud.sandbox.read("app.json"), cloud.vault.asked().len()), (before, asked));
    cloud.assert_decrypts();
}

#[test]
fn keys_are_added_removed_and_rotated() {
    let cloud = Cloud::new();
    cloud.encrypt();
    let (first, second) = (cloud.key("k1/v1"), cloud.key("k2/v1"));
    let sandbox = &cloud.sandbox;
    sandbox.encfile(["rotate", "-i", "--add-azure-kv", &second, "app.json"]).go().success();
    assert!(sandbox.read("app.json").contains("\"k2\""));
    cloud.rule(&second);
    sandbox.encfile(["rotate", "-i", "--rm-azure-kv", &first, "app.json"]).go().success();
    assert!(!sandbox.read("app.json").contains("\"k1\""));
    cloud.assert_decrypts();
    cloud.rule(&format!("{first},{second}"));
    sandbox.encfile(["updatekeys", "-y", "app.json"]).go().success();
    assert!(sandbox.read("app.json").contains("\"k1\""));
    cloud.assert_decrypts();
}

#[test]
fn a_group_of_a_config_needs_its_key() {
    let cloud = Cloud::new();
    let (url, alice) = (cloud.vault.url(), ALICE.recipient());
    let sandbox = &cloud.sandbox;
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - azure_keyvault:\n\
             {0}- vaultUrl: {url}\n{0}  key: k1\n{0}  version: v1\n      - age:\n{0}- {alice}\n",
            " ".repeat(10)
        ),
    );
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    sandbox.encfile(["encrypt", "-i", "app.json"]).go().success();
    cloud.assert_decrypts();
    sandbox.real_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    sandbox.encfile(["decrypt", "app.json"]).go().code(128).no_stdout();
}

#[test]
fn one_token_and_one_challenge_serve_all_keys() {
    let cloud = Cloud::new();
    // One file after the other: the keys of one are asked at the same time.
    let (one, other) = (cloud.key("k1/v1"), cloud.key("k2/v2"));
    let config = format!(
        "creation_rules:\n  - path_regex: app\n    azure_keyvault: {one}\n  - azure_keyvault: {other}\n"
    );
    cloud.sandbox.write(".sops.yaml", config);
    cloud.sandbox.write("other.json", cloud.sandbox.read("app.json"));
    cloud.sandbox.encfile(["encrypt", "-i", "app.json", "other.json"]).go().success();
    let asked: Vec<String> = cloud.vault.asked().into_iter().map(|asked| asked.path).collect();
    let version = "?api-version=7.4";
    let (first, second) = ("/keys/k1/v1/encrypt", "/keys/k2/v2/encrypt");
    assert_eq!(asked, [first, first, second].map(|path| format!("{path}{version}")));
    assert_eq!(cloud.tokens.asked().len(), 1);
}

#[test]
fn who_may_not_use_the_key_is_told_so() {
    let cloud = Cloud::of(StandIn::start_tls(&[], vault), "canary-denied");
    cloud
        .sandbox
        .env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", cloud.tokens.url());
    let refusal = "status 403: Forbidden: Caller is not authorized to perform action on resource.";
    let (named, newest) = (cloud.key("k1/v1"), cloud.key("k1"));
    let message = format!(
        "failed to encrypt sops data key with Azure Key Vault key '{named}': {named}/encrypt: \
         {refusal}"
    );
    let encrypt =
        |key: &str| cloud.sandbox.encfile(["encrypt", "--azure-kv", key, "app.json"]).go();
    encrypt(&named).failure().says([&message]);
    let message =
        format!("failed to fetch Azure Key to retrieve key version: {newest}/: {refusal}");
    encrypt(&newest).failure().says([&message]);
}

#[test]
fn what_another_key_wrapped_is_refused_by_the_vault() {
    let cloud = Cloud::new();
    cloud.encrypt();
    let text = cloud.sandbox.read("app.json");
    let file: Value = serde_json::from_str(&text).unwrap();
    let enc = file["sops"]["azure_kv"][0]["enc"].as_str().unwrap();
    cloud.sandbox.write("app.json", text.replace(enc, "AAAA"));
    let why = format!(
        "{}/decrypt: status 400: BadParameter: The parameter is incorrect.",
        cloud.key("k1/v1")
    );
    cloud.assert_fails(&cloud.failed(&why), &["managed identity: a token"]);

    let asked = cloud.vault.asked().len();
    cloud.sandbox.write("app.json", text.replace(enc, "no base64"));
    cloud.assert_fails("the wrapped key is not base64url", &[]);
    assert_eq!(cloud.vault.asked().len(), asked);
}

#[test]
fn a_vault_that_only_the_file_names_is_not_called() {
    let cloud = Cloud::new();
    cloud.encrypt();
    fs::remove_file(cloud.sandbox.path(".sops.yaml")).unwrap();
    // What is on this machine is the user's, and what Azure has is Azure's.
    cloud.sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);

    let text = cloud.sandbox.read("app.json");
    cloud.sandbox.write("app.json", text.replace(&cloud.vault.url(), "https://vault.example"));
    let proxy = StandIn::start(|_| Reply::json(403, "{}"));
    cloud.sandbox.env("HTTPS_PROXY", proxy.url());
    let run = cloud.sandbox.encfile(["decrypt", "app.json"]).go().code(128).no_stdout();
    run.says([
        "the vault at `vault.example` is in none of Azure's domains and named by the file alone, \
         and was not called; name the key in the creation rule",
    ]);
    assert_eq!(proxy.asked().len(), 0);
    // SOPS calls it.
    cloud.sandbox.as_sops(["decrypt", "app.json"]).go().code(128).no_stdout();
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn a_vault_gets_no_token_for_another_domain() {
    let vault = StandIn::start_tls(&[], |asked| answer(asked, "https://vault.azure.net"));
    let cloud = Cloud::of(vault, TOKEN);
    cloud
        .sandbox
        .env("IDENTITY_ENDPOINT", format!("{}/msi", cloud.tokens.url()))
        .env("IDENTITY_HEADER", "canary-header");
    let key = cloud.key("k1/v1");
    let message = format!(
        "failed to encrypt sops data key with Azure Key Vault key '{key}': the vault asks for a \
         token for another domain than its own, `https://vault.azure.net`: it got none"
    );
    let encrypt = ["encrypt", "--azure-kv", &key, "app.json"];
    cloud.sandbox.encfile(encrypt).go().failure().says([&message]);
    assert_eq!((cloud.tokens.asked().len(), cloud.vault.asked().len()), (0, 1));
}

#[test]
fn a_vault_with_another_certificate_gets_nothing() {
    let cloud = Cloud::new();
    cloud.encrypt();
    let asked = cloud.vault.asked().len();
    let other = fs::read(repository().join("testdata/keys/rsa-certificate.pem")).unwrap();
    cloud.sandbox.write("ca.pem", other);
    let url = format!("POST {}/decrypt?api-version=7.4", cloud.key("k1/v1"));
    let why = format!("{url}: io: invalid peer certificate: UnknownIssuer");
    cloud.assert_fails(&cloud.failed(&why), &[]);
    assert_eq!(cloud.vault.asked().len(), asked);
}

#[test]
fn what_is_no_address_of_a_key_is_refused() {
    let sandbox = plain();
    for text in [
        "foo",
        "http://a.vault.azure.net/keys/k/v",
        "https://a.vault.azure.net/keys/k/v/",
        "https://a.vault.azure.net/secrets/k",
        "https://me@a.vault.azure.net/keys/k/v",
        "https://a.vault.azure.net/x/keys/k/v",
        "https://evil.example/?a.vault.azure.net/keys/k/v",
    ] {
        let message = format!("could not parse \"{text}\" into a valid Azure Key Vault MasterKey");
        let encrypt = ["encrypt", "--azure-kv", text, "app.json"];
        sandbox.encfile(encrypt).go().failure().says([&message]);
    }
}
