//! Accounts of other identity providers than Google, side by side with SOPS: both ask the same
//! stand-ins.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    KEY, PLAIN, TOKEN, Tunnel, assert_fails, encrypted, external, form, google, paths, plain,
};
use crate::keys::{Asked, StandIn};
use crate::sandbox::Sandbox;

/// The service at its own name, the services that hand out tokens, and a file that is encrypted.
struct Cloud {
    tokens: StandIn,
    sandbox: Sandbox,
    _kms: StandIn,
    _tunnel: Tunnel,
}

impl Cloud {
    fn new() -> Cloud {
        let kms = StandIn::start_tls(&["cloudkms.googleapis.com"], google);
        let tunnel = Tunnel::to(&kms.url());
        let sandbox = plain();
        let trusted = sandbox.write("ca.pem", kms.certificate());
        sandbox
            .env("SSL_CERT_FILE", trusted)
            .env("HTTPS_PROXY", tunnel.url())
            .env("SOPS_GCP_KMS_CLIENT_TYPE", "rest")
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN);
        sandbox.encfile(["encrypt", "-i", "--gcp-kms", KEY, "app.json"]).go().success();
        sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN");
        Cloud { tokens: StandIn::start(google), sandbox, _kms: kms, _tunnel: tunnel }
    }

    /// Decrypts as this account, here and with SOPS. Returns what was asked for tokens, each time.
    fn decrypts(&self, account: &Value) -> [Vec<Asked>; 2] {
        let path = self.sandbox.write("account.json", account.to_string());
        self.sandbox.env("GOOGLE_APPLICATION_CREDENTIALS", path);
        let decrypt = ["decrypt", "app.json"];
        [self.sandbox.encfile(decrypt), self.sandbox.real_sops(decrypt)].map(|run| {
            let before = self.tokens.asked().len();
            run.go().success().stdout(PLAIN);
            self.tokens.asked().split_off(before)
        })
    }
}

/// Returns the form that was posted to a path.
fn posted(asked: &[Asked], path: &str) -> BTreeMap<String, String> {
    form(&asked.iter().find(|asked| asked.path == path).unwrap().body)
}

/// An account of a machine of AWS.
fn of_aws(url: &str) -> Value {
    let source = json!({
        "environment_id": "aws1",
        "region_url": format!("{url}/imds/zone"),
        "url": format!("{url}/imds/role"),
        "regional_cred_verification_url":
            "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        "imdsv2_session_token_url": format!("{url}/imds/session"),
    });
    let mut account = external(url, &source);
    account["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
    account
}

/// Returns the signed request that a form carries, without what depends on the time.
fn signed(form: &BTreeMap<String, String>) -> (Value, BTreeMap<String, String>) {
    let request = super::form(&format!("request={}", form["subject_token"]));
    let request: Value = serde_json::from_str(&request["request"]).unwrap();
    let headers = request["headers"].as_array().unwrap().iter().map(|header| {
        let text = |name: &str| header[name].as_str().unwrap().to_owned();
        let (name, mut value) = (text("key").to_ascii_lowercase(), text("value"));
        if name == "x-amz-date" {
            assert_eq!((value.len(), &value[8..9], &value[15..]), (16, "T", "Z"));
            value = String::new();
        } else if name == "authorization" {
            let (start, signature) = value.split_once(", Signature=").unwrap();
            assert_eq!(signature.len(), 64);
            let (scheme, rest) = start.split_once("/20").unwrap();
            value = format!("{scheme}/DAY/{}", rest.split_once('/').unwrap().1);
        }
        (name, value)
    });
    (json!([request["url"], request["method"]]), headers.collect())
}

#[test]
fn a_machine_of_aws_signs_for_its_token_as_with_sops() {
    let cloud = Cloud::new();
    let [ours, theirs] = cloud.decrypts(&of_aws(&cloud.tokens.url()));
    let imds = |asked: &[Asked]| {
        let mut paths = paths(asked).into_iter().map(str::to_owned).collect::<Vec<_>>();
        paths.sort();
        paths
    };
    assert_eq!(imds(&ours), imds(&theirs));
    let all = [
        "/imds/role",
        "/imds/role/the-role",
        "/imds/session",
        "/imds/zone",
        "/impersonate",
        "/sts",
    ];
    assert_eq!(imds(&ours), all);
    let (mut ours, mut theirs) = (posted(&ours, "/sts"), posted(&theirs, "/sts"));
    let request = signed(&ours);
    assert_eq!(request, signed(&theirs));
    assert_eq!(request.1["x-amz-security-token"], "canary-role");
    assert_eq!(request.1["host"], "sts.eu-west-1.amazonaws.com");
    assert!(request.1["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKMACHINE/DAY/"));
    ours.remove("subject_token");
    theirs.remove("subject_token");
    assert_eq!(ours, theirs);
}

#[test]
fn variables_of_aws_spare_the_metadata_server() {
    let cloud = Cloud::new();
    cloud
        .sandbox
        .env("AWS_DEFAULT_REGION", "us-east-2")
        .env("AWS_ACCESS_KEY_ID", "AKVARIABLE")
        .env("AWS_SECRET_ACCESS_KEY", "canary-secret");
    let [ours, theirs] = cloud.decrypts(&of_aws(&cloud.tokens.url()));
    assert_eq!(paths(&ours), ["/sts", "/impersonate"]);
    assert_eq!(paths(&theirs), ["/sts", "/impersonate"]);
    let request = signed(&posted(&ours, "/sts"));
    assert_eq!(request, signed(&posted(&theirs, "/sts")));
    assert_eq!(request.1.get("x-amz-security-token"), None);
    assert_eq!(request.1["host"], "sts.us-east-2.amazonaws.com");
}

#[test]
fn a_user_of_another_provider_who_is_logged_in_decrypts_as_with_sops() {
    let cloud = Cloud::new();
    let account = json!({
        "type": "external_account_authorized_user",
        "audience": WORKFORCE,
        "refresh_token": "canary-refresh",
        "token_url": format!("{}/oauthtoken", cloud.tokens.url()),
        "token_info_url": format!("{}/introspect", cloud.tokens.url()),
        "client_id": "id",
        "client_secret": "canary-secret",
    });
    let [ours, theirs] = cloud.decrypts(&account);
    for asked in [&ours, &theirs] {
        assert_eq!(paths(asked), ["/oauthtoken"]);
        assert_eq!(asked[0].header("authorization"), Some("Basic aWQ6Y2FuYXJ5LXNlY3JldA=="));
    }
    let expected = [("grant_type", "refresh_token"), ("refresh_token", "canary-refresh")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form(&ours[0].body), BTreeMap::from(expected));
    assert_eq!(form(&ours[0].body), form(&theirs[0].body));
}

/// A pool of people.
const WORKFORCE: &str = "//iam.googleapis.com/locations/global/workforcePools/p/providers/q";

#[test]
fn a_person_of_a_pool_names_the_project_unless_a_client_does() {
    let cloud = Cloud::new();
    let token = cloud.sandbox.write("token", "canary-foreign");
    let mut account = external(&cloud.tokens.url(), &json!({"file": token}));
    account["audience"] = WORKFORCE.into();
    account["workforce_pool_user_project"] = "mine".into();
    let [ours, theirs] = cloud.decrypts(&account).map(|asked| posted(&asked, "/sts"));
    assert_eq!(ours["options"], r#"{"userProject":"mine"}"#);
    assert_eq!(ours, theirs);

    account["client_id"] = "id".into();
    account["client_secret"] = "canary-secret".into();
    let [ours, theirs] = cloud.decrypts(&account).map(|asked| posted(&asked, "/sts"));
    assert_eq!(ours.get("options"), None);
    assert_eq!(ours, theirs);
}

/// What a program prints that has a token.
const PRINTED: &str = r#"{"version":1,"success":true,
    "token_type":"urn:ietf:params:oauth:token-type:id_token","id_token":"canary-foreign"}"#;

/// The same, for the year 2100.
fn lasting() -> String {
    PRINTED.replace('}', r#","expiration_time":4102444800}"#)
}

/// Writes a program that prints a text, and keeps what it was told by variables and arguments.
fn program(sandbox: &Sandbox, prints: &str) -> String {
    let script = format!(
        "#!/bin/sh\ncat > '{told}'\nenv | grep ^GOOGLE_EXTERNAL_ACCOUNT_ | sort >> '{told}'\n\
         printf '%s\\n' \"$@\" >> '{told}'\ncat <<'END'\n{prints}\nEND\n",
        told = sandbox.path("told").display()
    );
    let path = sandbox.write("program", script);
    sandbox.set_mode("program", 0o700);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_prints_a_token_as_with_sops() {
    let cloud = Cloud::new();
    cloud.sandbox.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    let command = format!("{} --for me", program(&cloud.sandbox, PRINTED));
    let account = external(&cloud.tokens.url(), &json!({"executable": {"command": command}}));
    let [ours, theirs] = cloud.decrypts(&account).map(|asked| posted(&asked, "/sts"));
    assert_eq!(ours["subject_token"], "canary-foreign");
    assert_eq!(ours, theirs);
    let told = format!(
        "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1\nGOOGLE_EXTERNAL_ACCOUNT_AUDIENCE={}\n\
         GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE=0\nGOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE={}\n--for\nme\n",
        account["audience"].as_str().unwrap(),
        account["subject_token_type"].as_str().unwrap()
    );
    // SOPS came last.
    assert_eq!(cloud.sandbox.read("told"), told);
    cloud.sandbox.encfile(["decrypt", "app.json"]).go().success();
    assert_eq!(cloud.sandbox.read("told"), told);
}

#[test]
fn a_program_is_not_run_while_its_file_has_a_token() {
    let cloud = Cloud::new();
    let output = cloud.sandbox.path("kept.json");
    let command = program(&cloud.sandbox, &lasting());
    let source = json!({"executable": {"command": command, "output_file": output}});
    let account = external(&cloud.tokens.url(), &source);
    // What is kept counts also where nothing may be run.
    cloud.sandbox.write("kept.json", lasting().replace("canary-foreign", "canary-kept"));
    let tokens = cloud.decrypts(&account).map(|asked| posted(&asked, "/sts"));
    assert!(tokens.iter().all(|form| form["subject_token"] == "canary-kept"), "{tokens:?}");
    assert!(!cloud.sandbox.path("told").exists());

    cloud.sandbox.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    let failed = r#"{"version":1,"success":false,"code":"1","message":"x"}"#;
    for of_no_use in ["", &lasting().replace("4102444800", "10"), failed] {
        cloud.sandbox.write("kept.json", of_no_use);
        let tokens = cloud.decrypts(&account).map(|asked| posted(&asked, "/sts"));
        assert!(tokens.iter().all(|form| form["subject_token"] == "canary-foreign"), "{tokens:?}");
    }
    assert!(cloud.sandbox.read("told").contains(&format!("OUTPUT_FILE={}\n", output.display())));
}

#[test]
fn what_is_wrong_with_a_program_is_said_and_nothing_that_it_printed() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN");
    let assert_why = |source: Value, why: &str| {
        let account = external(&server.url(), &json!({"executable": source}));
        sandbox.env("GOOGLE_CREDENTIALS", account.to_string());
        let why = format!(
            "cannot create GCP KMS service: credentials: failed to obtain credentials from \
             \"GOOGLE_CREDENTIALS\": {why}"
        );
        assert_fails(&sandbox, &why, &["GOOGLE_CREDENTIALS: used"]);
    };
    let command = program(&sandbox, PRINTED);
    let allow = "executables need to be explicitly allowed (set \
                 GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES to '1') to run";
    assert_why(json!({"command": command}), allow);
    sandbox.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "true");
    assert_why(json!({"command": command}), allow);
    assert!(!sandbox.path("told").exists());

    sandbox.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    program(&sandbox, "canary-token");
    assert_why(json!({"command": command}), "unable to parse \"response\"");
    let refused = r#"{"version":1,"success":false,"code":"401","message":"ask Bob\u001b[2J"}"#;
    program(&sandbox, refused);
    let why = "response contains unsuccessful response: (401) ask Bob[2J";
    assert_why(json!({"command": command}), why);
    sandbox.write("program", "#!/bin/sh\necho canary-token\nexit 3\n");
    let why = "executable command failed: `<sandbox>/work/program` failed: exit status: 3";
    assert_why(json!({"command": command}), why);
    let why = "executable command failed: `/nowhere/program` could not be run: No such file or \
               directory (os error 2)";
    assert_why(json!({"command": "/nowhere/program"}), why);
    let why = "missing `command` field — executable command must be provided";
    assert_why(json!({"command": " "}), why);
    let why =
        "invalid `timeout_millis` field — executable timeout must be between 5 and 120 seconds";
    assert_why(json!({"command": command, "timeout_millis": 4999}), why);
}

#[test]
fn a_program_that_does_not_end_is_given_up() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    sandbox.no_env("GOOGLE_OAUTH_ACCESS_TOKEN");
    sandbox.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    let path = sandbox.write("program", "#!/bin/sh\nexec sleep 600\n");
    sandbox.set_mode("program", 0o700);
    let source = json!({"executable": {"command": path, "timeout_millis": 5000}});
    sandbox.env("GOOGLE_CREDENTIALS", external(&server.url(), &source).to_string());
    let why = "cannot create GCP KMS service: credentials: failed to obtain credentials from \
               \"GOOGLE_CREDENTIALS\": executable command failed: `<sandbox>/work/program` \
               could not be run: it has not ended within 5 s";
    assert_fails(&sandbox, why, &["GOOGLE_CREDENTIALS: used"]);
}
