//! How servers are reached: certificates, names, proxies, headers; the real SOPS is the measure.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{WRAPPED, refusal, sandbox};
use crate::keys::bao::{self, ROOT};
use crate::keys::clouds::Tunnel;
use crate::keys::{Reply, Server, StandIn, free_address};
use crate::peers;
use crate::sandbox::{Outcome, Sandbox};

/// Somebody who makes certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes a certificate and its key as `WHO.pem` and `WHO.key`.
    fn issue(&self, sandbox: &Sandbox, who: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        sandbox.write(format!("{who}.pem"), certificate.pem());
        sandbox.write(format!("{who}.key"), key.serialize_pem());
    }
}

/// A server with an engine, which takes only those who have a certificate at `strict`, and whose
/// certificate has another name at `named`.
struct Guarded {
    _server: Server,
    strict: String,
    named: String,
    sandbox: Sandbox,
}

impl Guarded {
    fn new() -> Guarded {
        let (sandbox, authority) = (sandbox(), Authority::new());
        sandbox.write("ca.pem", &authority.pem);
        sandbox.write("other.pem", Authority::new().pem);
        authority.issue(&sandbox, "strict", "127.0.0.1");
        authority.issue(&sandbox, "named", "vault.internal");
        authority.issue(&sandbox, "client", "client");
        let (strict, named) = (free_address(), free_address());
        let file = |name: &str| sandbox.path(name).display().to_string();
        let config = sandbox.write(
            "bao.hcl",
            format!(
                "listener \"tcp\" {{\n  address = \"{strict}\"\n  tls_cert_file = \"{}\"\n  \
                 tls_key_file = \"{}\"\n  tls_client_ca_file = \"{}\"\n  \
                 tls_require_and_verify_client_cert = true\n}}\nlistener \"tcp\" {{\n  address = \
                 \"{named}\"\n  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n}}\n",
                file("strict.pem"),
                file("strict.key"),
                file("ca.pem"),
                file("named.pem"),
                file("named.key"),
            ),
        );
        let server = server(&config);
        let key = |address| format!("https://{address}/v1/transit/keys/dev");
        Guarded { _server: server, strict: key(strict), named: key(named), sandbox }
    }
}

/// Starts a server with what is in a file besides, and an engine.
fn server(config: &Path) -> Server {
    let arguments = |port| {
        let listen = format!("-dev-listen-address=127.0.0.1:{port}");
        let (token, config) = (format!("-dev-root-token-id={ROOT}"), config.display());
        let config = format!("-config={config}");
        let words = ["server", "-dev", "-dev-no-store-token", &listen, &token, &config];
        words.map(str::to_owned).to_vec()
    };
    let server = Server::start(&peers::python_program("bao"), arguments, &[]);
    for (path, body) in
        [("sys/mounts/transit", r#"{"type":"transit"}"#), ("transit/keys/dev", "{}")]
    {
        let (status, answer) = bao::ask_as_root(&server, "POST", path, body);
        assert!((200..210).contains(&status), "{path}: {answer}");
    }
    server
}

/// Encrypts for a key with these variables alone, by both programs, which must agree on whether that
/// can be done; returns the outcome of ours.
#[track_caller]
fn both(sandbox: &Sandbox, key: &str, variables: &[(&str, &str)], can: bool) -> Outcome {
    for (name, value) in variables {
        sandbox.env(name, value);
    }
    let encrypt = ["encrypt", "--hc-vault-transit", key, "plain.yaml"];
    let theirs = sandbox.real_sops(encrypt).go();
    let ours = sandbox.encfile(encrypt).go();
    for (name, _) in variables {
        sandbox.no_env(name);
    }
    if can {
        theirs.success();
        return ours.success();
    }
    theirs.failure();
    ours.failure()
}

#[test]
fn a_server_that_wants_a_certificate_gets_one() {
    let guarded = Guarded::new();
    let (sandbox, key) = (&guarded.sandbox, &guarded.strict);
    let authority = sandbox.read("ca.pem");
    fs::create_dir_all(sandbox.path("folder/below")).unwrap();
    sandbox.write("folder/other.pem", sandbox.read("other.pem"));
    sandbox.write("folder/below/ca.pem", &authority);
    let by_file = ("VAULT_CACERT", "ca.pem");
    both(sandbox, key, &[by_file], false);
    sandbox.env("VAULT_CLIENT_CERT", "client.pem").env("VAULT_CLIENT_KEY", "client.key");
    both(sandbox, key, &[], false);
    both(sandbox, key, &[by_file], true);
    both(sandbox, key, &[("VAULT_CAPATH", "folder")], true);
    both(sandbox, key, &[("VAULT_CAPATH", "ca.pem")], true);
    both(sandbox, key, &[("VAULT_CACERT_BYTES", &authority)], true);
    // A file wins over bytes, and these over a directory.
    let (other, gone) = (sandbox.read("other.pem"), ("VAULT_CAPATH", "gone"));
    both(sandbox, key, &[by_file, ("VAULT_CACERT_BYTES", &other), gone], true);
    both(sandbox, key, &[("VAULT_CACERT_BYTES", &authority), gone], true);
    let wrong = [("VAULT_CACERT", "other.pem"), ("VAULT_CACERT_BYTES", &authority)];
    both(sandbox, key, &wrong, false).says(["invalid peer certificate: "]);
    both(sandbox, key, &[gone], false);
}

#[test]
fn a_server_may_have_another_name_in_its_certificate() {
    let guarded = Guarded::new();
    let (sandbox, key) = (&guarded.sandbox, &guarded.named);
    sandbox.env("VAULT_CACERT", "ca.pem");
    both(sandbox, key, &[], false);
    both(sandbox, key, &[("VAULT_TLS_SERVER_NAME", "vault.internal")], true);
    both(sandbox, key, &[("VAULT_TLS_SERVER_NAME", "other.internal")], false)
        .says(["invalid peer certificate: "]);
}

#[test]
fn an_agent_may_listen_on_a_socket_in_the_file_system() {
    let sandbox = sandbox();
    let socket = sandbox.path("agent.sock").display().to_string();
    let config = format!("listener \"unix\" {{\n  address = \"{socket}\"\n}}\n");
    let _server = server(&sandbox.write("bao.hcl", config));
    let key = format!("https://{}/v1/transit/keys/dev", free_address());
    both(&sandbox, &key, &[("VAULT_AGENT_ADDR", &format!("unix://{socket}"))], true);
    both(&sandbox, &key, &[("VAULT_AGENT_ADDR", "unix:///gone.sock")], false)
        .says(["PUT http://localhost/v1/transit/encrypt/dev: io: No such file or directory"]);
}

/// Returns a server with a certificate for `vault.example`, a proxy to it, and a sandbox that knows
/// the certificate.
fn behind_a_proxy() -> (StandIn, Tunnel, Sandbox) {
    let server = StandIn::start_tls(&["vault.example"], |_| Reply::json(200, WRAPPED));
    let (tunnel, sandbox) = (Tunnel::to(&server.url()), sandbox());
    sandbox.env("VAULT_CACERT", sandbox.write("ca.pem", server.certificate()));
    sandbox.env("VAULT_MAX_RETRIES", "0");
    (server, tunnel, sandbox)
}

#[test]
fn the_proxy_of_the_environment_is_for_other_machines() {
    let (server, tunnel, sandbox) = behind_a_proxy();
    let key = |host: &str| format!("https://{host}/v1/transit/keys/dev");
    let proxy = [("https_proxy", &*tunnel.url())];
    both(&sandbox, &key("vault.example:8200"), &proxy, true);
    assert_eq!(server.asked().len(), 2);
    let nobody = free_address().to_string();
    both(&sandbox, &key(&nobody), &proxy, false).says(["Connection refused"]);
}

#[test]
fn the_proxy_for_vault_is_for_everything() {
    let (server, tunnel, sandbox) = behind_a_proxy();
    let nobody = free_address();
    let key = format!("https://{nobody}/v1/transit/keys/dev");
    let (url, no_proxy) = (tunnel.url(), format!("http://{}", free_address()));
    both(&sandbox, &key, &[("VAULT_HTTP_PROXY", &url), ("NO_PROXY", "*")], true);
    both(&sandbox, &key, &[("VAULT_PROXY_ADDR", &url), ("VAULT_HTTP_PROXY", &no_proxy)], true);
    assert_eq!(server.asked().len(), 4);
    let reached = [("VAULT_PROXY_ADDR", &*no_proxy), ("VAULT_HTTP_PROXY", &url)];
    both(&sandbox, &key, &reached, false).says(["Connection refused"]);
}

#[test]
fn headers_of_the_users_are_sent() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let key = format!("{}/v1/transit/keys/dev", server.url());
    let headers = r#"{"X-Team": "a b", "CF-Access": "canary"}"#;
    both(&sandbox(), &key, &[("VAULT_HEADERS", headers)], true);
    for asked in server.asked() {
        assert_eq!(asked.header("x-team"), Some("a b"));
        assert_eq!(asked.header("cf-access"), Some("canary"));
    }
    let server = StandIn::start(|asked| {
        let said = asked.header("cf-access").unwrap();
        Reply::json(403, serde_json::json!({ "errors": [said] }).to_string())
    });
    let sandbox = sandbox();
    sandbox.env("VAULT_HEADERS", headers);
    let message = refusal(&sandbox, &format!("{}/v1/transit/keys/dev", server.url()));
    assert!(message.ends_with("they repeat a secret, and are not shown]\n"), "{message}");
}

#[test]
fn what_changes_nothing_is_taken() {
    let server = StandIn::start(|_| Reply::json(200, WRAPPED));
    let key = format!("{}/v1/transit/keys/dev", server.url());
    for (name, value) in [
        ("VAULT_SRV_LOOKUP", "true"),
        ("VAULT_DISABLE_REDIRECTS", "true"),
        ("VAULT_RATE_LIMIT", "1000:1000"),
        ("VAULT_RATE_LIMIT", "0"),
        ("VAULT_CLIENT_TIMEOUT", "0"),
        ("VAULT_CLIENT_TIMEOUT", "1.5m"),
        ("VAULT_MFA", "canary"),
    ] {
        both(&sandbox(), &key, &[(name, value)], true);
    }
}

#[test]
fn a_server_without_a_port_is_not_looked_up() {
    let sandbox = sandbox();
    sandbox.env("VAULT_SRV_LOOKUP", "1").env("VAULT_ADDR", "http://vault.example");
    let message = refusal(&sandbox, "http://vault.example/v1/transit/keys/dev");
    let expected = "'transit/encrypt/dev': VAULT_SRV_LOOKUP is not supported: name \
                    `http://vault.example` with the host and the port of its SRV record]\n";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn answers_that_would_be_wrapped_are_not_asked_for() {
    // SOPS asks, and finds nothing in the answer.
    let vault = super::Vault::with_engine("wrapped");
    both(&sandbox(), &vault.key("dev"), &[("VAULT_WRAP_TTL", "60")], false)
        .says(["VAULT_WRAP_TTL has the server wrap its answers"]);
}
