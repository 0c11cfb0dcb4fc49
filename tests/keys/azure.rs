//! Azure Key Vault, with stand-ins for a vault and for those that hand out tokens.

use std::fs;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::clouds::{PLAIN, Tunnel, assert_not_recovered, claims, decrypt, encrypt, form, plain};
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
fn an_app_asks_for_the_token_of_the_vault() {
    let cloud = Cloud::new();
    cloud.sandbox.env("AZURE_CLIENT_ID", "my id");
    cloud.encrypt();
    let asked = cloud.tokens.asked();
    let fields = form(asked[0].path.split_once('?').unwrap().1);
    assert_eq!(fields["api-version"], "2019-08-01");
    assert_eq!(fields["resource"], cloud.resource());
    assert_eq!(fields["client_id"], "my id");
}

#[test]
fn a_machine_of_the_cloud_has_a_token() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", cloud.tokens.url());
    cloud.assert_decrypts();
    let asked = cloud.tokens.asked();
    let fields = form(asked.last().unwrap().path.split_once('?').unwrap().1);
    assert_eq!(fields["api-version"], "2018-02-01");
}

#[test]
fn a_client_with_a_secret_decrypts() {
    let cloud = Cloud::without_credentials();
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", cloud.tokens.url())
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_SECRET", "canary/+ &=");
    cloud.assert_decrypts();
    let form = cloud.form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!((&*form["client_id"], &*form["client_secret"]), ("me", "canary/+ &="));
    assert_eq!(form["scope"], format!("{}/.default", cloud.resource()));
}

#[test]
fn a_client_with_a_certificate_decrypts() {
    let cloud = Cloud::without_credentials();
    let keys = repository().join("testdata/keys");
    let pem = ["rsa-certificate.pem", "rsa.pem"].map(|name| fs::read(keys.join(name)).unwrap());
    let pem = cloud.sandbox.write("client.pem", pem.concat());
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", format!("{}/", cloud.tokens.url()))
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_CERTIFICATE_PATH", pem);
    cloud.assert_decrypts();
    let form = cloud.form();
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(form["client_assertion_type"], assertion);
    let claims = claims(&form["client_assertion"]);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
    assert_eq!(claims["aud"], format!("{}/{TENANT}/oauth2/v2.0/token", cloud.tokens.url()));
}

#[test]
fn a_workload_decrypts_with_the_token_of_its_cluster() {
    let cloud = Cloud::without_credentials();
    let token = cloud.sandbox.write("token", "canary-federated\n");
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", cloud.tokens.url())
        .env("AZURE_TENANT_ID", "another")
        .env("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "*")
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_FEDERATED_TOKEN_FILE", token);
    cloud.assert_decrypts();
    assert_eq!(cloud.form()["client_assertion"], "canary-federated");
}

#[test]
fn the_login_of_a_program_decrypts() {
    let cloud = Cloud::without_credentials();
    let script = |json: &str| format!("#!/bin/sh\necho \"$@\" > arguments\necho '{json}'\n");
    let az = script(r#"{"accessToken":"canary-token","expires_on":4102444800}"#);
    cloud.sandbox.program("az", &az);
    cloud.assert_decrypts();
    let (resource, arguments) = (cloud.resource(), cloud.sandbox.read("arguments"));
    let expected = format!("--resource {resource} --tenant {TENANT}\n");
    assert_eq!(arguments, format!("account get-access-token -o json {expected}"));

    // One that is not logged in does not keep the next from being asked.
    cloud.sandbox.program("az", "#!/bin/sh\necho ERROR: run az login >&2\nexit 1\n");
    cloud.sandbox.program("azd", &script(r#"{"token":"canary-token","expiresOn":"x"}"#));
    cloud.assert_decrypts();
    let expected = format!("--no-prompt --scope {resource}/.default --tenant-id {TENANT}\n");
    let arguments = cloud.sandbox.read("arguments");
    assert_eq!(arguments, format!("auth token -o json {expected}"));
}

#[test]
fn the_login_of_powershell_decrypts() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "AzurePowerShellCredential");
    let script = |json: &str| {
        format!("#!/bin/sh\necho \"$ENCFILE_RESOURCE $ENCFILE_TENANT $*\" > said\necho '{json}'\n")
    };
    cloud.sandbox.program("pwsh", &script(r#"{"token":"canary-token","end":4102444800}"#));
    cloud.assert_decrypts();
    let said = cloud.sandbox.read("said");
    let start = format!(
        "{} {TENANT} -NoProfile -NonInteractive -OutputFormat Text -Command ",
        cloud.resource()
    );
    assert!(said.starts_with(&start), "{said}");
    cloud.sandbox.program("pwsh", &script(r#"{"Token":"canary-token","ExpiresOn":4102444800}"#));
    let places = ["Azure PowerShell: `pwsh` did not print a token"];
    cloud.assert_fails("no identity for it was found", &places);
    // SOPS asks for the other spelling, and no variables.
    let decrypt = ["decrypt", "app.json"];
    cloud.sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
}

#[test]
fn a_program_that_hangs_is_ended() {
    let cloud = Cloud::without_credentials();
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential");
    cloud.sandbox.program("az", "#!/bin/sh\nsleep 120\n");
    let place = "Azure CLI: `az` was ended, because it had no token after 10 seconds: run it \
                 yourself to see what it waits for";
    cloud.assert_fails("no identity for it was found", &[place]);
}

/// Checks that both programs decrypt, and ask for a token in the same way; returns that.
#[track_caller]
fn assert_same_question(cloud: &Cloud) -> Asked {
    let before = cloud.tokens.asked().len();
    cloud.assert_decrypts();
    cloud.sandbox.real_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    let asked = cloud.tokens.asked().split_off(before);
    let [ours, theirs] = &asked[..] else { panic!("{asked:?}") };
    let parts = |asked: &Asked| {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        (asked.method.clone(), path.to_owned(), form(query), form(&asked.body))
    };
    assert_eq!(parts(ours), parts(theirs));
    for name in ["metadata", "secret", "x-identity-header"] {
        assert_eq!(ours.header(name), theirs.header(name), "{name}");
    }
    ours.clone()
}

#[test]
fn each_place_of_the_cloud_is_asked_as_sops_asks_it() {
    let cloud = Cloud::without_credentials();
    let endpoint = format!("{}/place", cloud.tokens.url());
    let variables = |variables: &[(&str, &str)]| {
        for name in [
            "AZURE_CLIENT_ID",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_THUMBPRINT",
            "MSI_ENDPOINT",
            "MSI_SECRET",
            "DEFAULT_IDENTITY_CLIENT_ID",
        ] {
            cloud.sandbox.no_env(name);
        }
        for (name, value) in variables {
            cloud.sandbox.env(name, value);
        }
    };
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential");
    let app = [("IDENTITY_ENDPOINT", &*endpoint), ("IDENTITY_HEADER", "canary-header")];
    let cluster = [app[0], app[1], ("IDENTITY_SERVER_THUMBPRINT", "00")];
    let me = ("AZURE_CLIENT_ID", "me");
    variables(&[app[0], app[1], me]);
    let asked = assert_same_question(&cloud);
    assert_eq!(asked.header("x-identity-header"), Some("canary-header"));
    variables(&cluster);
    assert_eq!(assert_same_question(&cloud).header("secret"), Some("canary-header"));
    let shell = ("MSI_ENDPOINT", &*endpoint);
    variables(&[shell]);
    assert_eq!(assert_same_question(&cloud).method, "POST");
    // Without a header it is no app.
    variables(&[app[0], shell]);
    assert_eq!(assert_same_question(&cloud).method, "POST");
    let learning = [shell, ("MSI_SECRET", "canary-secret")];
    let other = ("DEFAULT_IDENTITY_CLIENT_ID", "other");
    for more in [&[me][..], &[other], &[me, other]] {
        variables(&[&learning[..], more].concat());
        assert_eq!(assert_same_question(&cloud).header("secret"), Some("canary-secret"));
    }

    let only = |place: &str| {
        cloud.failed(&format!(
            "managed identity: AZURE_CLIENT_ID names an identity, but {place} has only its own: \
             unset it"
        ))
    };
    let arc = [app[0], ("IMDS_ENDPOINT", &*endpoint), me];
    for (place, names) in [
        ("Service Fabric", &[cluster[0], cluster[1], cluster[2], me][..]),
        ("Cloud Shell", &[shell, me]),
        ("Azure Arc", &arc),
    ] {
        variables(names);
        cloud.assert_fails(&only(place), &[]);
        cloud.sandbox.real_sops(["decrypt", "app.json"]).go().code(128);
    }
}

#[test]
fn an_agent_of_azure_arc_gets_no_other_file() {
    let cloud = Cloud::without_credentials();
    let file = cloud.sandbox.write("stolen.key", "canary");
    let realm = format!("Basic realm={}", file.display());
    let agent = StandIn::start(move |_| Reply::json(401, "{}").header("WWW-Authenticate", &*realm));
    let endpoint = format!("{}/token", agent.url());
    cloud
        .sandbox
        .env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        .env("IDENTITY_ENDPOINT", &endpoint)
        .env("IMDS_ENDPOINT", &endpoint);
    let why = format!(
        "managed identity: {endpoint}: the file that is asked for is no key in \
         `/var/opt/azcmagent/tokens`"
    );
    cloud.assert_fails(&cloud.failed(&why), &[]);
    cloud.sandbox.real_sops(["decrypt", "app.json"]).go().code(128);
    let asked = agent.asked();
    let shown = asked.iter().filter(|asked| asked.header("authorization").is_some()).count();
    assert_eq!((asked.len(), shown), (2, 0));
}

#[test]
fn a_user_with_a_password_decrypts() {
    // SOPS asks Microsoft about the address of the login first: a proxy leads to the stand-in, which
    // is the vault, too.
    let cloud =
        StandIn::start_tls(&["login.microsoftonline.com", "team.vault.azure.net"], |asked| {
            let path = asked.path.split('?').next().unwrap();
            let login = format!("https://login.microsoftonline.com/{TENANT}");
            if path.starts_with("/keys/") {
                return answer(asked, "https://vault.azure.net");
            }
            let reply = if path.ends_with("/.well-known/openid-configuration") {
                json!({
                    "issuer": format!("{login}/v2.0"),
                    "authorization_endpoint": format!("{login}/oauth2/v2.0/authorize"),
                    "token_endpoint": format!("{login}/oauth2/v2.0/token"),
                })
            } else if path == "/common/discovery/instance" {
                let next = format!("{login}/v2.0/.well-known/openid-configuration");
                json!({"tenant_discovery_endpoint": next, "metadata": []})
            } else if path == "/common/UserRealm/canary-user" {
                json!({"account_type": "Managed", "cloud_instance_name": "microsoftonline.com",
                "cloud_audience_urn": "urn:federation:MicrosoftOnline", "domain_name": "x"})
            } else {
                assert_eq!(path, format!("/{TENANT}/oauth2/v2.0/token"));
                let fields = form(&asked.body);
                assert_eq!(fields["grant_type"], "password");
                assert_eq!(
                    (&*fields["username"], &*fields["password"]),
                    ("canary-user", "canary pass")
                );
                assert_eq!(fields["client_id"], "me");
                assert!(fields["scope"].contains("https://vault.azure.net/.default"), "{fields:?}");
                json!({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer",
                "scope": "https://vault.azure.net/.default"})
            };
            Reply::json(200, reply.to_string())
        });
    let (tunnel, sandbox) = (Tunnel::to(&cloud.url()), plain());
    sandbox
        .env("SSL_CERT_FILE", sandbox.write("ca.pem", cloud.certificate()))
        .env("HTTPS_PROXY", tunnel.url())
        .env("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_USERNAME", "canary-user");
    let encrypt =
        ["encrypt", "--azure-kv", "https://team.vault.azure.net/keys/k1/v1", "-i", "app.json"];
    let message = "environment: AZURE_USERNAME is set, and AZURE_PASSWORD is not";
    sandbox.encfile(encrypt).go().failure().says([message]);
    sandbox.env("AZURE_PASSWORD", "canary pass");
    sandbox.encfile(encrypt).go().success();
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    sandbox.real_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
}

#[test]
fn without_credentials_each_place_is_named() {
    let cloud = Cloud::without_credentials();
    let nobody = format!("http://{}", free_address());
    cloud.sandbox.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &nobody);
    cloud.sandbox.program("az", "#!/bin/sh\necho ERROR: run az login >&2\nexit 1\n");
    let places = [
        "environment: AZURE_TENANT_ID and AZURE_CLIENT_ID are not both set",
        "workload identity: AZURE_FEDERATED_TOKEN_FILE is not set",
        &format!("managed identity: {nobody} does not answer"),
        "Azure CLI: `az` failed (exit status: 1): ERROR: run az login",
        "Azure Developer CLI: there is no `azd` in `PATH`",
        "Azure PowerShell: there is no `pwsh` in `PATH`",
    ];
    cloud.assert_fails("no identity for it was found", &places);

    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "prod");
    cloud.assert_fails("no identity for it was found", &places[..3]);
    cloud.sandbox.env("AZURE_TOKEN_CREDENTIALS", "canary");
    let why = "AZURE_TOKEN_CREDENTIALS is none of dev, prod, EnvironmentCredential, \
               WorkloadIdentityCredential, ManagedIdentityCredential, AzureCLICredential, \
               AzureDeveloperCLICredential, AzurePowerShellCredential";
    cloud.assert_fails(&cloud.failed(why), &[]);
}

#[test]
fn a_wrong_secret_is_not_passed_over() {
    let cloud = Cloud::without_credentials();
    let login = StandIn::start(|_| {
        let said = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1";
        let answer = json!({"error": "invalid_client", "error_description": said});
        Reply::json(401, answer.to_string())
    });
    cloud
        .sandbox
        .env("AZURE_AUTHORITY_HOST", login.url())
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", "me")
        .env("AZURE_CLIENT_SECRET", "canary");
    let why = format!(
        "environment: {}/{TENANT}/oauth2/v2.0/token: status 401: invalid_client: AADSTS7000215: \
         Invalid client secret provided.",
        login.url()
    );
    cloud.assert_fails(&cloud.failed(&why), &[]);
    assert_eq!(login.asked().len(), 1);
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
    cloud.assert_fails(&cloud.failed(&why), &[]);

    let asked = cloud.vault.asked().len();
    cloud.sandbox.write("app.json", text.replace(enc, "no base64"));
    cloud.assert_fails("the wrapped key is not base64url", &[]);
    assert_eq!(cloud.vault.asked().len(), asked);
}

#[test]
fn a_vault_that_only_the_file_names_is_not_called() {
    let cloud = Cloud::new();
    cloud.encrypt();
    let asked = cloud.vault.asked().len();
    fs::remove_file(cloud.sandbox.path(".sops.yaml")).unwrap();
    let host = cloud.vault.url().replace("https://", "");
    let why = format!(
        "the vault at `{host}` is in none of Azure's domains and named by the file alone, and was \
         not called; name the key in the creation rule"
    );
    cloud.assert_fails(&cloud.failed(&why), &[]);
    assert_eq!(cloud.vault.asked().len(), asked);
    // SOPS calls it.
    cloud.sandbox.as_sops(["decrypt", "app.json"]).go().success().stdout(PLAIN);
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
