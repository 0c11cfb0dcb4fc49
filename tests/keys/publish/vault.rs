//! With a real `OpenBao`: both versions of its key-value store.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{config, sandbox};
use crate::files::ALICE;
use crate::keys::bao::{self, ROOT};
use crate::keys::{Reply, Server, StandIn, free_address};
use crate::sandbox::Sandbox;

/// A server with a store for one test.
struct Vault {
    server: Arc<Server>,
    mount: &'static str,
    version: u8,
}

impl Vault {
    /// Returns the server, which the tests that run at the same time share, with a new store.
    fn with_store(mount: &'static str, version: u8) -> Vault {
        let vault = Vault { server: bao::shared(), mount, version };
        let body = json!({"type": "kv", "options": {"version": version.to_string()}});
        let (status, answer) = vault.ask("POST", &format!("sys/mounts/{mount}"), &body.to_string());
        assert_eq!(status, 204, "{answer}");
        // The second version needs a moment after it was made.
        let ready = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            vault.ask("POST", &vault.path("ready"), r#"{"data":{}, "a":"b"}"#).0 < 300
        });
        assert!(ready, "{mount} is not ready");
        vault
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        bao::ask_as_root(&self.server, method, path, body)
    }

    fn path(&self, name: &str) -> String {
        let data = if self.version == 1 { "" } else { "data/" };
        format!("{}/{data}{name}", self.mount)
    }

    /// Returns a secret, and how many versions it has had.
    fn get(&self, name: &str) -> Option<(Value, u64)> {
        let (status, body) = self.ask("GET", &self.path(name), "");
        if status == 404 {
            return None;
        }
        let mut data = serde_json::from_str::<Value>(&body).unwrap()["data"].take();
        if self.version == 1 {
            return Some((data, 0));
        }
        let version = data["metadata"]["version"].as_u64().unwrap();
        Some((data["data"].take(), version))
    }

    fn sandbox(&self, rules: &str) -> Sandbox {
        let (url, mount, version) = (self.server.url(), self.mount, self.version);
        sandbox(&format!(
            "vault_path: team\nvault_address: {url}\nvault_kv_mount_name: {mount}\n\
             vault_kv_version: {version}\n{rules}"
        ))
    }
}

fn values() -> Value {
    json!({
        "b": 1,
        "a": "canary-a",
        "list": [{"c": true, "d": 1.5}, null],
        "t": "2024-01-02T03:04:05Z",
    })
}

#[test]
fn values_are_stored_by_both_versions_of_the_interface() {
    for (version, mount) in [(1, "first"), (2, "second")] {
        let vault = Vault::with_store(mount, version);
        let sandbox = vault.sandbox("");
        let url = vault.server.url();
        let data = if version == 1 { "" } else { "data/" };
        sandbox
            .encfile(["publish", "-y", "app.yaml"])
            .go()
            .success()
            .stdout(
                "These values are decrypted, and stored in Vault:\n    b\n    a\n    list\n    t\n",
            )
            .stderr(&format!("app.yaml was published to {url}/v1/{mount}/{data}team/app.yaml\n"));
        assert_eq!(vault.get("team/app.yaml").unwrap().0, values());
    }
}

#[test]
fn flat_values_are_the_same_as_those_of_sops() {
    for (version, mount) in [(1, "flat1"), (2, "flat2")] {
        let vault = Vault::with_store(mount, version);
        let sandbox = vault.sandbox("omit_extensions: true");
        for (name, text) in [
            ("app.yaml", "a: canary\nn: 1.5\ni: 12\nb: true\nm:\n    x: canary\nl:\n    - 1\n"),
            ("app.env", "A=canary\nB=\n"),
            ("app.ini", "[s]\na = canary\n"),
            ("app.json", "{\n\t\"a\": \"canary <&>\"\n}\n"),
            ("app.bin", "canary"),
        ] {
            sandbox.encrypted_by_sops(name, text, &[ALICE]);
            sandbox.real_sops(["publish", "-y", name]).go().success();
            let theirs = vault.get("team/app").unwrap().0;
            vault.ask("DELETE", &vault.path("team/app"), "");
            assert_eq!(vault.get("team/app"), None);
            sandbox.encfile(["publish", "-y", name]).go().success();
            assert_eq!(vault.get("team/app").unwrap().0, theirs, "{name}");
        }
    }
}

#[test]
fn values_that_are_there_are_not_written_again() {
    let vault = Vault::with_store("again", 2);
    let sandbox = vault.sandbox("");
    let publish = ["publish", "-y", "app.yaml"];
    sandbox.encfile(publish).go().success();
    sandbox.encfile(publish).go().success().stderr(&format!(
        "app.yaml: {}/v1/again/data/team/app.yaml has the same already\n",
        vault.server.url()
    ));
    assert_eq!(vault.get("team/app.yaml").unwrap().1, 1);
    sandbox.as_sops(publish).go().success().no_stdout().no_stderr();
    assert_eq!(vault.get("team/app.yaml").unwrap().1, 1);
    sandbox.encfile(["set", "app.yaml", "b", "2"]).go().success();
    sandbox.encfile(publish).go().success();
    assert_eq!(vault.get("team/app.yaml").unwrap().1, 2);
}

#[test]
fn who_may_write_and_not_read_is_warned_and_writes() {
    let vault = Vault::with_store("blind", 2);
    let sandbox = vault.sandbox("");
    let policy = json!({"policy": r#"path "blind/*" { capabilities = ["create", "update"] }"#});
    vault.ask("POST", "sys/policies/acl/blind", &policy.to_string());
    let (_, answer) = vault.ask("POST", "auth/token/create", r#"{"policies":["blind"]}"#);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    sandbox.env("VAULT_TOKEN", answer["auth"]["client_token"].as_str().unwrap());
    sandbox.encfile(["publish", "-y", "app.yaml"]).go().success().says([
        "warning: Cannot check if destination secret already exists in ",
        "Code: 403. Errors: * 1 error occurred: * permission denied",
    ]);
    assert_eq!(vault.get("team/app.yaml").unwrap().0, values());
}

#[test]
fn the_server_of_the_environment_is_asked_where_the_rule_names_none() {
    let vault = Vault::with_store("secret2", 2);
    let sandbox = vault.sandbox("");
    config(&sandbox, "vault_path: a/b\nvault_kv_mount_name: secret2/");
    sandbox.env("VAULT_ADDR", vault.server.url());
    sandbox.encfile(["publish", "-y", "app.yaml"]).go().success();
    assert_eq!(vault.get("a/b/app.yaml").unwrap().0, values());
}

#[test]
fn failures_say_what_is_wrong() {
    let vault = Vault::with_store("broken", 2);
    let sandbox = vault.sandbox("");
    let url = vault.server.url();
    let publish = ["publish", "-y", "app.yaml"];
    let place = format!("{url}/v1/broken/data/team/app.yaml");
    sandbox.env("VAULT_TOKEN", "canary-wrong");
    sandbox.encfile(publish).go().code(1).says([
        &*format!("error[publish]: failed to publish to {place}: Error making API request. "),
        &*format!("URL: PUT {place}. Code: 403. Errors: * permission denied"),
    ]);
    sandbox.no_env("VAULT_TOKEN");
    sandbox.encfile(publish).go().code(1).says(["no token was sent, for there is none"]);
    assert_eq!(vault.get("team/app.yaml"), None);
    sandbox.env("VAULT_TOKEN", ROOT);
    for (rules, message) in [
        ("vault_path: ../sys\nvault_address: ADDRESS", "is no path of a secret in Vault"),
        ("vault_path: a\nvault_address: vault.example", "is no address of a Vault server"),
        ("vault_path: a\nvault_address: http://vault.example", "was not contacted"),
    ] {
        config(&sandbox, &rules.replace("ADDRESS", &url));
        sandbox.encfile(publish).go().code(1).no_stdout().says([message]);
    }
    config(&sandbox, &format!("vault_path: a\nvault_address: http://{}", free_address()));
    sandbox.encfile(publish).go().code(1).says(["failed to publish to ", "refused"]);
    sandbox.encrypted_by_sops("app.yaml", "a: canary\n---\na: canary\n", &[ALICE]);
    sandbox.encfile(publish).go().code(1).says(["the file's values have no form in Vault"]);
}

#[test]
fn a_server_that_repeats_a_value_is_not_quoted() {
    let server = StandIn::start(|asked| match &*asked.method {
        "GET" => Reply::json(404, r#"{"errors":[]}"#),
        _ => Reply::json(400, r#"{"errors":["what is canary-a?"]}"#),
    });
    let sandbox = sandbox(&format!("vault_path: a\nvault_address: {}", server.url()));
    sandbox
        .encfile(["publish", "-y", "app.yaml"])
        .go()
        .code(1)
        .says(["Code: 400. Errors: they repeat a secret, and are not shown"]);
}
