//! A stand-in for AWS: KMS, STS, and the servers that machines of AWS get their credentials from.
//! What it wraps it only marks, so it is for who asks, and for what; `moto_server` is for the rest.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::keys::{Asked, Reply, StandIn};

/// A server that ends with the test.
pub(super) struct Aws {
    server: StandIn,
    seen: Cell<usize>,
}

impl Aws {
    /// Starts a server that refuses nothing but to unwrap with keys whose ids begin with
    /// `off` and `late`.
    pub(super) fn new() -> Aws {
        Aws::denying(&[])
    }

    /// Starts a server that refuses the keys whose ARNs contain one of `denied`.
    pub(super) fn denying(denied: &'static [&'static str]) -> Aws {
        let server = StandIn::start(move |asked| answer(asked, denied));
        Aws { server, seen: Cell::new(0) }
    }

    /// Starts a server that refuses nothing, over TLS with a certificate of its own.
    pub(super) fn with_tls() -> Aws {
        Aws { server: StandIn::start_tls(&[], |asked| answer(asked, &[])), seen: Cell::new(0) }
    }

    /// Returns the certificate.
    pub(super) fn certificate(&self) -> &str {
        self.server.certificate()
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Returns what was asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let all = self.server.asked();
        let seen = self.seen.replace(all.len());
        all[seen..].to_vec()
    }

    /// Returns what was asked since the last call, and the access key that signed it.
    pub(super) fn signers(&self) -> Vec<(String, String)> {
        self.asked().iter().map(|asked| (action(asked), signer(asked).to_owned())).collect()
    }
}

/// Returns what is asked for: `Decrypt`, `AssumeRole`, or the path.
fn action(asked: &Asked) -> String {
    let target = asked.header("x-amz-target").and_then(|target| target.split('.').nth(1));
    let named = target.map(str::to_owned).or_else(|| form_field(asked, "Action"));
    named.unwrap_or_else(|| asked.path.clone())
}

/// Returns the id of the access key that a request is signed with.
pub(super) fn signer(asked: &Asked) -> &str {
    let signature = asked.header("authorization").unwrap_or_default();
    let behind = signature.split_once("Credential=").map_or("", |(_, behind)| behind);
    behind.split('/').next().unwrap_or_default()
}

/// Returns a field of a form.
pub(super) fn form_field(asked: &Asked, name: &str) -> Option<String> {
    let mut fields = asked.body.split('&').filter_map(|field| field.split_once('='));
    let (_, value) = fields.find(|(field, _)| *field == name)?;
    Some(value.replace("%3A", ":").replace("%2F", "/").replace("%40", "@"))
}

fn answer(asked: &Asked, denied: &[&str]) -> Reply {
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let key = body["KeyId"].as_str().unwrap_or_default();
    let reply = |status, body: Value| {
        Reply::json(status, body.to_string()).header("x-amzn-RequestId", "1-2-3")
    };
    match action(asked).as_str() {
        "Encrypt" | "Decrypt" if denied.iter().any(|part| key.contains(part)) => {
            let message = "User: arn:aws:iam::1:user/me is not authorized to perform: kms:Decrypt";
            reply(400, json!({"__type": "AccessDeniedException", "message": message}))
        }
        "Decrypt" if key.contains("key/off") => {
            let message = format!("{key} is disabled.");
            reply(400, json!({"__type": "DisabledException", "message": message}))
        }
        "Decrypt" if key.contains("key/late") => {
            let message = "The security token included in the request is expired";
            reply(400, json!({"__type": "ExpiredTokenException", "message": message}))
        }
        "Encrypt" => reply(200, json!({"CiphertextBlob": body["Plaintext"], "KeyId": key})),
        "Decrypt" => reply(200, json!({"Plaintext": body["CiphertextBlob"], "KeyId": key})),
        action @ ("AssumeRole" | "AssumeRoleWithWebIdentity") => Reply::json(200, role(action)),
        "/latest/api/token" => {
            Reply::json(200, "canary-token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        "/latest/meta-data/iam/security-credentials-extended/"
        | "/latest/meta-data/iam/security-credentials/" => Reply::json(200, "r"),
        path if path.starts_with("/latest/meta-data/iam/") => reply(200, machine("INSTANCE")),
        path if path.starts_with("/federation/credentials") => {
            let credentials = json!({
                "accessKeyId": "LOGIN",
                "secretAccessKey": "canary-secret",
                "sessionToken": "canary-token",
                "expiration": 4_000_000_000_000_u64,
            });
            reply(200, json!({"roleCredentials": credentials}))
        }
        "/container" => reply(200, machine("CONTAINER")),
        _ => Reply::json(404, ""),
    }
}

/// Returns the credentials of a role; the id of the access key is the action that gave them.
fn role(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
         <AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>{action}</AccessKeyId>\
         <SecretAccessKey>canary-role</SecretAccessKey><SessionToken>canary-token</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    )
}

/// Returns the credentials of a machine of AWS.
fn machine(id: &str) -> Value {
    json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": id,
        "SecretAccessKey": "canary-secret",
        "Token": "canary-token",
        "AccountId": "1",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    })
}
