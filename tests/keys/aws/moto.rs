//! With moto, which keeps keys, aliases and contexts as AWS does: encfile beside SOPS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::files::ALICE;
use crate::keys::{Server, assert_both_serve_both};
use crate::peers;
use crate::sandbox::Sandbox;

use super::{ROLE, sandbox, write_profile};

/// Returns the server. Tests that run at the same time share it: it takes seconds to start.
pub(in crate::keys) fn moto() -> Arc<Server> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap();
    if let Some(server) = running.upgrade() {
        return server;
    }
    let arguments = |port: u16| vec!["-H".to_owned(), "127.0.0.1".to_owned(), format!("-p{port}")];
    let server = Arc::new(Server::start(&peers::python_program("moto_server"), arguments, &[]));
    *running = Arc::downgrade(&server);
    server
}

/// Calls KMS. The signature may be any; the region is that of its scope.
fn call(server: &Server, region: &str, action: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "POST / HTTP/1.0\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\
         X-Amz-Target: TrentService.{action}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/{region}/kms/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{action}: {answer}");
    serde_json::from_str(body).unwrap_or_default()
}

/// Makes a key and returns its ARN.
fn new_key(server: &Server, region: &str) -> String {
    let answer = call(server, region, "CreateKey", &json!({}));
    answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// Returns the lines of the entries of a YAML file's KMS keys, without what is new each time.
fn entries(text: &str) -> Vec<String> {
    let (_, behind) = text.split_once("    kms:\n").unwrap();
    let lines = behind.lines().take_while(|line| line.starts_with("        "));
    let mut lines: Vec<String> = lines
        .map(|line| line.trim_start().trim_start_matches("- ").to_owned())
        .filter(|line| !line.starts_with("enc:") && !line.starts_with("created_at:"))
        .collect();
    lines.sort();
    lines
}

#[test]
fn sops_and_encfile_read_each_other_in_all_formats() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let key = format!("{}+{ROLE}", new_key(&server, "us-east-1"));
    for (name, text) in [
        ("app.yaml", "a: canary\n"),
        ("app.json", "{\n\t\"a\": \"canary\"\n}\n"),
        ("app.env", "a=canary\n"),
        ("app.ini", "[s]\na = canary\n"),
        ("app.bin", "canary"),
    ] {
        sandbox.write(name, text);
        let flags = ["encrypt", "--kms", &key, "--encryption-context", "team:ops,app:web", "-i"];
        sandbox.encfile([&flags[..], &[name]].concat()).go().success();
        sandbox.real_sops(["decrypt", name]).go().success().stdout(text);
        sandbox.write(name, text);
        sandbox.real_sops([&flags[..], &[name]].concat()).go().success();
        sandbox.encfile(["decrypt", name]).go().success().stdout(text);
        sandbox.encfile(["rotate", "-i", name]).go().success();
        sandbox.real_sops(["decrypt", name]).go().success().stdout(text);
    }
}

#[test]
fn services_of_both_have_the_credentials_for_the_clients_of_both() {
    let server = moto();
    let sandbox = Sandbox::new();
    let key = format!("{}+{ROLE}", new_key(&server, "us-east-1"));
    assert_both_serve_both(
        &sandbox,
        &["--kms", &key, "--encryption-context", "team:ops,app:web"],
        &[
            ("AWS_ENDPOINT_URL", &server.url()),
            ("AWS_EC2_METADATA_DISABLED", &"true"),
            ("AWS_ACCESS_KEY_ID", &"ENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", &"canary-key"),
        ],
    );
}

#[test]
fn an_entry_has_the_fields_that_sops_writes() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    write_profile(&sandbox, "A");
    let key = new_key(&server, "us-east-1");
    for flags in [
        vec!["--kms", &key],
        vec!["--kms", &key, "--aws-profile", "ops"],
        vec!["--kms", &format!("{key}+{ROLE}"), "--encryption-context", "b:2,a:1"],
    ] {
        let run = |program: &str| {
            let arguments = [&["encrypt"], &flags[..], &["plain.yaml"]].concat();
            let run = match program {
                "sops" => sandbox.real_sops(arguments),
                _ => sandbox.encfile(arguments),
            };
            entries(&String::from_utf8(run.go().success().into_stdout()).unwrap())
        };
        assert_eq!(run("encfile"), run("sops"));
    }
}

#[test]
fn keys_are_added_removed_and_rotated() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let (one, two) = (new_key(&server, "us-east-1"), new_key(&server, "eu-west-1"));
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    sandbox.encrypted_by_sops("app.yaml", "a: canary\n", &[ALICE]);
    let context = ["--encryption-context", "a:b"];
    let change = |flags: &[&str]| {
        let arguments = [&["rotate", "-i"], flags, &context, &["app.yaml"]].concat();
        sandbox.encfile(arguments).go().success();
        sandbox.real_sops(["decrypt", "app.yaml"]).go().success().stdout("a: canary\n");
    };
    change(&["--add-kms", &one, "--add-kms", &two]);
    sandbox.no_env("SOPS_AGE_KEY_FILE");
    change(&["--rm-kms", &one, "--rm-age", &ALICE.recipient()]);
    let entries = entries(&sandbox.read("app.yaml"));
    assert_eq!(entries, ["a: b", &format!("arn: {two}"), "aws_profile: \"\"", "context:"]);
    change(&[]);
    sandbox
        .encfile(["rotate", "-i", "--rm-kms", &two, "app.yaml"])
        .go()
        .code(1)
        .says([&format!("{two} is no recipient of the file")]);
}

#[test]
fn a_config_names_keys_with_profile_role_and_context() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    write_profile(&sandbox, "A");
    let (one, two) = (new_key(&server, "us-east-1"), new_key(&server, "eu-west-1"));
    sandbox.write(
        ".sops.yaml",
        format!("creation_rules:\n  - kms: {one}+{ROLE},{two}\n    aws_profile: ops\n"),
    );
    let encrypt = ["encrypt", "--output", "app.yaml", "plain.yaml"];
    sandbox.encfile(encrypt).go().success();
    sandbox.real_sops(["decrypt", "app.yaml"]).go().success();
    let own = entries(&sandbox.read("app.yaml"));
    sandbox.real_sops(encrypt).go().success();
    assert_eq!(own, entries(&sandbox.read("app.yaml")));
    // Nothing has to be done: the identities are those of the config.
    sandbox.real_sops(["updatekeys", "-y", "app.yaml"]).go().says(["already up to date"]);
    sandbox.encfile(["updatekeys", "-y", "app.yaml"]).go().success().says(["already up to date"]);

    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - kms:\n          - arn: \
             {one}\n            role: {ROLE}\n            context:\n              team: ops\n      \
             - kms:\n          - arn: {two}\n            aws_profile: ops\n"
        ),
    );
    sandbox.encfile(["updatekeys", "-y", "app.yaml"]).go().success();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout("a: canary\n");
    sandbox.real_sops(["decrypt", "app.yaml"]).go().success().stdout("a: canary\n");
    sandbox.real_sops(["updatekeys", "-y", "app.yaml"]).go().says(["already up to date"]);
}

#[test]
fn flags_say_more_about_the_keys_of_a_config() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let key = new_key(&server, "us-east-1");
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - kms: {key}\n"));
    sandbox
        .encfile(["encrypt", "--encryption-context", "a:1", "--output", "app.yaml", "plain.yaml"])
        .go()
        .success();
    // Without a command SOPS does it too.
    let sops = sandbox.real_sops(["-e", "--encryption-context", "a:1", "plain.yaml"]).go();
    let sops = String::from_utf8(sops.success().into_stdout()).unwrap();
    assert_eq!(entries(&sandbox.read("app.yaml")), entries(&sops));
    sandbox.real_sops(["decrypt", "app.yaml"]).go().success().stdout("a: canary\n");
}

#[test]
fn an_alias_is_a_key() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let key = new_key(&server, "eu-west-1");
    let alias = json!({"AliasName": "alias/ops", "TargetKeyId": key});
    call(&server, "eu-west-1", "CreateAlias", &alias);
    let (account, _) = key.split_once(":key/").unwrap();
    let alias = format!("{account}:alias/ops");
    sandbox.encfile(["encrypt", "--kms", &alias, "-i", "plain.yaml"]).go().success();
    sandbox.encfile(["decrypt", "plain.yaml"]).go().success().stdout("a: canary\n");
    sandbox.real_sops(["decrypt", "plain.yaml"]).go().success().stdout("a: canary\n");
}

/// Changes a text of an encrypted file, and checks what encfile says when it decrypts it.
#[track_caller]
fn refused(sandbox: &Sandbox, text: &str, identity: &str, message: &str) {
    sandbox.write("app.yaml", text);
    let outcome = sandbox.encfile(["decrypt", "app.yaml"]).go();
    // The number of the request is a new one each time.
    let said = outcome.messages().to_owned();
    let (before, behind) = said.split_once("RequestID: ").unwrap_or((&said, ", "));
    let said = format!("{before}{}", behind.split_once(", ").unwrap_or(("", behind)).1);
    let expected = format!(
        "Group 0: FAILED\n  {identity}: FAILED\n    - | failed to decrypt sops data key with AWS \
         KMS: operation error KMS: Decrypt, https response error StatusCode: 400, {message}\n"
    );
    assert!(said.contains(&expected), "{expected}\n{outcome}");
    outcome.code(128).no_stdout();
    sandbox.real_sops(["decrypt", "app.yaml"]).go().code(128);
}

#[test]
fn another_context_does_not_unwrap() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let key = new_key(&server, "us-east-1");
    let flags = ["encrypt", "--kms", &key, "--encryption-context", "team:ops", "-i", "plain.yaml"];
    sandbox.encfile(flags).go().success();
    let text = sandbox.read("plain.yaml");
    let message = "InvalidCiphertextException: the data key was wrapped by another key or with \
                   another encryption context";
    let wrong = text.replace("team: ops", "team: web");
    refused(&sandbox, &wrong, &format!("{key}|team:web"), message);
    let missing = text.replace("          context:\n            team: ops\n", "");
    refused(&sandbox, &missing, &key, message);
}

#[test]
fn a_key_that_does_not_exist_is_named() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let key = new_key(&server, "us-east-1");
    sandbox.encfile(["encrypt", "--kms", &key, "-i", "plain.yaml"]).go().success();
    let (account, _) = key.split_once(":key/").unwrap();
    let other = format!("{account}:key/00000000-0000-0000-0000-000000000000");
    let text = sandbox.read("plain.yaml").replace(&key, &other);
    refused(&sandbox, &text, &other, &format!("NotFoundException: Key '{other}' does not exist"));
}

#[test]
fn a_key_that_has_not_wrapped_is_refused() {
    let server = moto();
    let sandbox = sandbox(&server.url());
    let (key, other) = (new_key(&server, "us-east-1"), new_key(&server, "us-east-1"));
    sandbox.encfile(["encrypt", "--kms", &key, "-i", "plain.yaml"]).go().success();
    let text = sandbox.read("plain.yaml").replace(&key, &other);
    refused(&sandbox, &text, &other, "AccessDeniedException");
}
