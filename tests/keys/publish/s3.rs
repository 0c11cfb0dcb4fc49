//! With moto: buckets of S3.

use std::sync::Arc;

use super::{PLAIN, app, config, sandbox};
use crate::files::{ALICE, BOB};
use crate::keys::aws::moto::moto;
use crate::keys::{Reply, Server, StandIn, ask, free_address};
use crate::sandbox::{Outcome, Sandbox};

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 \
                      Credential=testing/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";

/// A bucket of its own at the server that tests share.
struct Bucket {
    server: Arc<Server>,
    name: &'static str,
}

impl Bucket {
    fn new(name: &'static str) -> Bucket {
        let server = moto();
        let (status, body) = ask(&server.url(), "PUT", &format!("/{name}"), SIGNED, "");
        assert_eq!(status, 200, "{body}");
        Bucket { server, name }
    }

    fn get(&self, key: &str) -> Option<String> {
        let path = format!("/{}/{key}", self.name);
        let (status, body) = ask(&self.server.url(), "GET", &path, SIGNED, "");
        (status == 200).then_some(body)
    }

    fn sandbox(&self, rules: &str) -> Sandbox {
        let sandbox = sandbox(&format!("s3_bucket: {}\n{rules}", self.name));
        sandbox
            .env("AWS_ENDPOINT_URL", self.server.url())
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "canary-key")
            .env("AWS_REGION", "us-east-1");
        sandbox
    }
}

#[test]
fn a_file_goes_there_as_it_is() {
    let bucket = Bucket::new("as-it-is");
    let sandbox = bucket.sandbox("s3_prefix: team/");
    sandbox
        .encfile(["publish", "--yes", "app.yaml"])
        .go()
        .success()
        .no_stdout()
        .stderr("app.yaml was published to s3://as-it-is/team/app.yaml\n");
    let ours = bucket.get("team/app.yaml").unwrap();
    assert_eq!(ours, sandbox.read("app.yaml"));
    sandbox.real_sops(["publish", "--yes", "app.yaml"]).go().success();
    assert_eq!(bucket.get("team/app.yaml").unwrap(), ours);
    sandbox.as_sops(["publish", "-y", "app.yaml"]).go().success().no_stdout().no_stderr();
}

#[test]
fn a_recreation_rule_decides_who_can_decrypt_it_there_and_what_is_encrypted() {
    let bucket = Bucket::new("recreated");
    let sandbox = bucket.sandbox(&format!(
        "recreation_rule:\n  age: {}\n  encrypted_regex: ^a$\n  mac_only_encrypted: true",
        BOB.recipient()
    ));
    let before = sandbox.read("app.yaml");
    sandbox.encfile(["publish", "-y", "app.yaml"]).go().success().stdout(format!(
        "The following changes will be made to the file's key groups:\nGroup 1\n+++ {}\n--- {}\n",
        BOB.recipient(),
        ALICE.recipient()
    ));
    let ours = bucket.get("app.yaml").unwrap();
    assert_eq!(sandbox.read("app.yaml"), before);
    assert!(ours.starts_with("b: 1\na: ENC["), "{ours}");
    assert!(ours.contains("encrypted_regex: ^a$"), "{ours}");
    assert!(ours.contains("mac_only_encrypted: true"), "{ours}");
    sandbox.write("there.yaml", &ours);
    let decrypt = ["decrypt", "there.yaml"];
    sandbox.real_sops(decrypt).go().code(128);
    sandbox.env("SOPS_AGE_KEY_FILE", BOB.path());
    sandbox.real_sops(decrypt).go().success().stdout(PLAIN);
    sandbox.encfile(decrypt).go().success().stdout(PLAIN);
}

#[test]
fn what_sops_has_encrypted_anew_decrypts_to_the_same() {
    let bucket = Bucket::new("both");
    let sandbox = bucket.sandbox(&format!("recreation_rule:\n  age: {}", BOB.recipient()));
    let changes = |outcome: Outcome| {
        let there = bucket.get("app.yaml").unwrap();
        sandbox.write("there.yaml", there);
        let run = sandbox.encfile(["decrypt", "there.yaml"]);
        run.env("SOPS_AGE_KEY_FILE", BOB.path()).go().success().stdout(PLAIN);
        String::from_utf8(outcome.success().into_stdout()).unwrap()
    };
    let theirs = changes(sandbox.real_sops(["publish", "-y", "app.yaml"]).go());
    let ours = changes(sandbox.encfile(["publish", "-y", "app.yaml"]).go());
    assert_eq!(ours, theirs);
}

#[test]
fn the_user_is_asked_as_by_sops() {
    let bucket = Bucket::new("asked");
    let sandbox = bucket.sandbox("");
    let question = format!("uploading {} to s3://asked/app.yaml ? (y/n): ", app(&sandbox));
    let twice = format!("{question}{question}");
    let publish = ["publish", "app.yaml"];
    let no = |outcome: Outcome| {
        let canceled = "Publication of <sandbox>/work/app.yaml canceled";
        outcome.code(1).stdout(&twice).says([canceled]);
        assert_eq!(bucket.get("app.yaml"), None);
    };
    no(sandbox.real_sops(publish).input("yes\nn\n").go());
    no(sandbox.encfile(publish).input("yes\nn\n").go());
    no(sandbox.as_sops(publish).input("yes\nn\n").go());
    sandbox.encfile(publish).go().code(1).stdout(&question).says(["EOF"]);
    assert_eq!(bucket.get("app.yaml"), None);
    sandbox.encfile(publish).input("y\n").go().success().stdout(&question);
    assert!(bucket.get("app.yaml").is_some());
}

#[test]
fn a_directory_is_published_with_its_paths() {
    let bucket = Bucket::new("directory");
    let sandbox = bucket.sandbox("omit_extensions: true");
    for name in ["d/one.yaml", "d/deep/two.prod.yaml"] {
        sandbox.write(name, sandbox.read("app.yaml"));
    }
    sandbox.encfile(["publish", "-y", "d"]).go().code(1).stderr(
        "error[directory]: can't operate on a directory without --recursive flag.\n  --> d\n",
    );
    sandbox.encfile(["publish", "-y", "--recursive", "d"]).go().success();
    assert_eq!(bucket.get("one"), Some(sandbox.read("app.yaml")));
    assert_eq!(bucket.get("deep/two.prod"), Some(sandbox.read("app.yaml")));
    let ours = ask(&bucket.server.url(), "GET", "/directory", SIGNED, "").1;
    sandbox.real_sops(["publish", "-y", "--recursive", "d"]).go().success();
    let keys = |list: &str| list.matches("<Key>").count();
    let theirs = ask(&bucket.server.url(), "GET", "/directory", SIGNED, "").1;
    assert_eq!((keys(&ours), keys(&theirs)), (2, 2));
}

#[test]
fn one_file_that_is_not_encrypted_does_not_keep_the_others_back() {
    let bucket = Bucket::new("others");
    let sandbox = bucket.sandbox("");
    sandbox.write("d/a.yaml", "a: canary\n");
    sandbox.write("d/b.yaml", sandbox.read("app.yaml"));
    let publish = ["publish", "-y", "--recursive", "d"];
    sandbox.real_sops(publish).go().code(1).says(["sops metadata not found"]);
    sandbox.as_sops(publish).go().code(1).says(["sops metadata not found"]);
    assert_eq!(bucket.get("b.yaml"), None);
    sandbox.encfile(publish).go().code(1).says(["sops metadata not found", "d/a.yaml"]);
    assert_eq!(bucket.get("a.yaml"), None);
    assert!(bucket.get("b.yaml").is_some());
}

#[test]
fn a_rule_that_would_encrypt_nothing_is_refused() {
    let bucket = Bucket::new("nothing");
    let sandbox = bucket.sandbox(&format!(
        "recreation_rule: {{age: {}, encrypted_regex: ^none$}}",
        BOB.recipient()
    ));
    sandbox.encfile(["publish", "-y", "app.yaml"]).go().code(1).says(["covers none"]);
    assert_eq!(bucket.get("app.yaml"), None);
}

#[test]
fn a_file_that_was_changed_is_not_encrypted_anew() {
    let bucket = Bucket::new("changed");
    let sandbox = bucket.sandbox(&format!("recreation_rule: {{age: {}}}", BOB.recipient()));
    sandbox.write("app.yaml", sandbox.read("app.yaml").replacen("b: ENC", "c: ENC", 1));
    sandbox.encfile(["publish", "-y", "app.yaml"]).go().code(25).says(["authentication failed"]);
    assert_eq!(bucket.get("app.yaml"), None);
}

#[test]
fn failures_say_what_is_wrong() {
    let bucket = Bucket::new("failures");
    let sandbox = bucket.sandbox("");
    let publish = ["publish", "-y", "app.yaml"];
    let place = "failed to publish to s3://failures/app.yaml: ";
    sandbox.no_env("AWS_REGION");
    sandbox.encfile(publish).go().code(1).stderr(&format!(
        "error[publish]: {place}there is no AWS region: set AWS_REGION\n  --> app.yaml\n"
    ));
    sandbox.env("AWS_REGION", "us-east-1").no_env("AWS_ACCESS_KEY_ID");
    sandbox.encfile(publish).go().code(1).stderr(&format!(
        "error[publish]: {place}operation error S3: PutObject, get credentials: there are no \
         AWS credentials\n  --> app.yaml\n"
    ));
    sandbox.env("AWS_ACCESS_KEY_ID", "testing");
    config(&sandbox, "s3_bucket: no-such-bucket");
    sandbox.encfile(publish).go().code(1).says([
        "failed to publish to s3://no-such-bucket/app.yaml: operation error S3: PutObject, \
         https response error StatusCode: 404, RequestID: ",
        "NoSuchBucket: The specified bucket does not exist",
    ]);
    sandbox.env("AWS_ENDPOINT_URL", format!("http://{}", free_address()));
    sandbox.env("AWS_MAX_ATTEMPTS", "1");
    sandbox.encfile(publish).go().code(1).says(["operation error S3: PutObject", "refused"]);
    let denied = StandIn::start(|_| {
        let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        Reply::json(403, body).header("x-amz-request-id", "R1")
    });
    sandbox.env("AWS_ENDPOINT_URL", denied.url());
    sandbox.encfile(publish).go().code(1).stderr(
        "error[publish]: failed to publish to s3://no-such-bucket/app.yaml: operation error \
         S3: PutObject, https response error StatusCode: 403, RequestID: R1, AccessDenied: \
         Access Denied\n  --> app.yaml\n",
    );
}
