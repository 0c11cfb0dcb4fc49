//! AWS KMS: who asks for what, and what is said where it fails, with a stand-in; how it fits
//! together with SOPS, with moto.

pub(super) mod moto;
mod services;

use std::fs;
use std::time::{Duration, Instant};

use services::{Aws, form_field, signer};

use crate::files::ALICE;
use crate::keys::{Reply, StandIn, free_address};
use crate::sandbox::{Outcome, Sandbox};

/// A key of the stand-in.
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";

/// A role.
const ROLE: &str = "arn:aws:iam::123456789012:role/ops";

/// What every file holds.
const PLAIN: &str = "a: canary\n";

/// A profile of somebody who logs in.
const LOGIN: &str = "\
[profile ops]
sso_session = team
sso_account_id = 1
sso_role_name = ops

[sso-session team]
sso_region = eu-west-1
sso_start_url = https://team.invalid/start
";

/// Returns a sandbox whose AWS is at `url`, without credentials.
fn without_credentials(url: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", url);
    sandbox.write("plain.yaml", PLAIN);
    sandbox
}

/// Returns a sandbox whose AWS is at `url`, with credentials in the environment.
fn sandbox(url: &str) -> Sandbox {
    let sandbox = without_credentials(url);
    sandbox.env("AWS_ACCESS_KEY_ID", "ENVIRONMENT").env("AWS_SECRET_ACCESS_KEY", "canary-key");
    sandbox
}

/// Writes a file of `~/.aws`.
fn write_home(sandbox: &Sandbox, name: &str, text: &str) {
    let folder = sandbox.home().join(".aws");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

/// Writes the profile `ops`, with the access key `key`.
fn write_profile(sandbox: &Sandbox, key: &str) {
    let text = format!("[ops]\naws_access_key_id = {key}\naws_secret_access_key = canary-key\n");
    write_home(sandbox, "credentials", &text);
}

/// Encrypts `plain.yaml` with the flags, and returns the name of the new file.
fn encrypted(sandbox: &Sandbox, flags: &[&str]) -> &'static str {
    let arguments = [&["encrypt"], flags, &["--output", "app.yaml", "plain.yaml"]].concat();
    sandbox.encfile(arguments).go().success();
    "app.yaml"
}

/// Returns a file for [`KEY`] that the stand-in has wrapped, with a field of its entry changed.
fn changed(sandbox: &Sandbox, flags: &[&str], from: &str, to: &str) -> &'static str {
    let name = encrypted(sandbox, flags);
    let text = sandbox.read(name);
    assert!(text.contains(from), "{text}");
    sandbox.write(name, text.replace(from, to));
    name
}

/// Checks that a decryption fails with a message for the only key.
#[track_caller]
fn fails(outcome: Outcome, identity: &str, message: &str) -> Outcome {
    let message = format!("Group 0: FAILED\n  {identity}: FAILED\n    - | {message}\n");
    outcome.code(128).no_stdout().says([&message])
}

/// Checks that encfile decrypts `app.yaml`, and that it and SOPS ask the same last question as the
/// same user.
#[track_caller]
fn decrypts_as_sops_does(sandbox: &Sandbox, aws: &Aws, signer: &str) {
    aws.asked();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    let own = aws.signers().pop();
    sandbox.real_sops(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    assert_eq!(own, Some(("Decrypt".to_owned(), signer.to_owned())));
    assert_eq!(own, aws.signers().pop());
}

#[test]
fn the_region_is_that_of_the_key_and_the_context_is_sent() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    sandbox.env("AWS_REGION", "us-east-1");
    encrypted(&sandbox, &["--kms", KEY, "--encryption-context", "b:2,a:1"]);
    decrypts_as_sops_does(&sandbox, &aws, "ENVIRONMENT");
    sandbox.encfile(["decrypt", "app.yaml"]).go().success();
    let asked = aws.asked().pop().unwrap();
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["EncryptionContext"], serde_json::json!({"a": "1", "b": "2"}));
    assert_eq!(body["KeyId"], KEY);
    assert!(asked.header("authorization").unwrap().contains("/eu-west-1/kms/"));
}

#[test]
fn a_role_is_taken_on_by_the_name_that_sops_gives_its_sessions() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    encrypted(&sandbox, &["--kms", &format!("{KEY}+{ROLE}")]);
    decrypts_as_sops_does(&sandbox, &aws, "AssumeRole");
    let session = |outcome: Outcome| {
        outcome.success();
        let asked = aws.asked();
        assert_eq!(asked.len(), 2);
        assert_eq!(signer(&asked[0]), "ENVIRONMENT");
        assert_eq!(form_field(&asked[0], "RoleArn").as_deref(), Some(ROLE));
        form_field(&asked[0], "RoleSessionName").unwrap()
    };
    let own = session(sandbox.encfile(["decrypt", "app.yaml"]).go());
    assert_eq!(own, session(sandbox.real_sops(["decrypt", "app.yaml"]).go()));
}

#[test]
fn a_profile_of_the_key_beats_the_environment() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    write_profile(&sandbox, "PROFILE");
    encrypted(&sandbox, &["--kms", KEY, "--aws-profile", "ops"]);
    decrypts_as_sops_does(&sandbox, &aws, "PROFILE");
}

#[test]
fn a_profile_of_the_environment_does_not_beat_its_credentials() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    write_profile(&sandbox, "PROFILE");
    sandbox.env("AWS_PROFILE", "ops");
    encrypted(&sandbox, &["--kms", KEY]);
    decrypts_as_sops_does(&sandbox, &aws, "ENVIRONMENT");
    sandbox.no_env("AWS_ACCESS_KEY_ID").no_env("AWS_SECRET_ACCESS_KEY");
    decrypts_as_sops_does(&sandbox, &aws, "PROFILE");
}

#[test]
fn a_profile_that_only_the_file_names_may_be_missing() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    changed(&sandbox, &["--kms", KEY], "aws_profile: \"\"", "aws_profile: ops");
    let note = "the AWS profile `ops` that the file names does not exist here; the default \
                credentials are used\n";
    let outcome = sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    outcome.says([note]);
    let outcome = sandbox.as_sops(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    outcome.does_not_say(["profile"]);
    let last = |signers: Vec<(String, String)>| signers.last().unwrap().1.clone();
    assert_eq!(last(aws.signers()), "ENVIRONMENT");
}

#[test]
fn a_profile_that_is_asked_for_must_exist() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    sandbox
        .encfile(["encrypt", "--kms", KEY, "--aws-profile", "ops", "plain.yaml"])
        .go()
        .code(1)
        .no_stdout()
        .stderr(&format!(
            "error[wrap]: Could not generate data key: [failed to encrypt new data key with \
             master key \"{KEY}||ops\": failed to encrypt sops data key with AWS KMS: could not \
             load AWS config: failed to get shared config profile, ops]\n"
        ));
    assert_eq!(aws.signers(), []);
}

#[test]
fn credentials_come_from_a_process_once_for_all_keys() {
    let aws = Aws::denying(&["key/2"]);
    let sandbox = without_credentials(&aws.url());
    sandbox.program(
        "login",
        "#!/bin/sh\necho x >> \"$HOME/logins\"\necho '{\"Version\": 1, \"AccessKeyId\": \"PROCESS\", \
         \"SecretAccessKey\": \"canary-key\", \"SessionToken\": \"canary-token\"}'\n",
    );
    write_home(&sandbox, "config", "[profile ops]\ncredential_process = login\n");
    let keys = "arn:aws:kms:eu-west-1:1:key/1,arn:aws:kms:eu-west-1:1:key/3";
    encrypted(&sandbox, &["--kms", keys, "--aws-profile", "ops"]);
    assert_eq!(fs::read_to_string(sandbox.home().join("logins")).unwrap(), "x\n");
    decrypts_as_sops_does(&sandbox, &aws, "PROCESS");
}

#[test]
fn a_process_that_fails_is_named_without_its_output() {
    let aws = Aws::new();
    let sandbox = without_credentials(&aws.url());
    write_home(&sandbox, "config", "[profile ops]\ncredential_process = login\n");
    let encrypt = ["encrypt", "--kms", KEY, "--aws-profile", "ops", "plain.yaml"];
    let operation = "operation error KMS: Encrypt, get credentials: ";
    sandbox.program("login", "#!/bin/sh\necho canary\nexit 3\n");
    let outcome = sandbox.encfile(encrypt).go().code(1).no_stdout();
    outcome.says([operation, "external process", "status: 3"]);
    for printed in ["canary", "{\"Version\": 1, \"SecretAccessKey\": \"canary\"}", "{\"canary\": }"]
    {
        sandbox.program("login", &format!("#!/bin/sh\necho '{printed}'\n"));
        sandbox.encfile(encrypt).go().code(1).no_stdout().says([operation]);
    }
}

#[test]
fn credentials_come_from_a_web_identity() {
    let aws = Aws::new();
    let sandbox = without_credentials(&aws.url());
    let token = sandbox.write("token", "canary-token");
    sandbox.env("AWS_WEB_IDENTITY_TOKEN_FILE", token).env("AWS_ROLE_ARN", ROLE);
    encrypted(&sandbox, &["--kms", KEY]);
    aws.asked();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    // SOPS would ask Amazon's own server for them, wherever the others are.
    let role = "AssumeRoleWithWebIdentity";
    let expected = [(role, ""), ("Decrypt", role)];
    assert_eq!(aws.signers(), expected.map(|(action, by)| (action.to_owned(), by.to_owned())));
}

#[test]
fn credentials_come_from_the_container() {
    let aws = Aws::new();
    let sandbox = without_credentials(&aws.url());
    sandbox.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", aws.url()));
    encrypted(&sandbox, &["--kms", KEY]);
    decrypts_as_sops_does(&sandbox, &aws, "CONTAINER");
}

#[test]
fn credentials_come_from_the_instance() {
    let aws = Aws::new();
    let sandbox = without_credentials(&aws.url());
    sandbox.no_env("AWS_EC2_METADATA_DISABLED");
    sandbox.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    decrypts_as_sops_does(&sandbox, &aws, "INSTANCE");
}

#[test]
fn credentials_come_from_a_login() {
    let aws = Aws::new();
    let sandbox = without_credentials(&aws.url());
    write_home(&sandbox, "config", LOGIN);
    // The name of the file is the SHA-1 of `team`.
    let token = "{\"startUrl\": \"https://team.invalid/start\", \"region\": \"eu-west-1\", \
                 \"accessToken\": \"canary-token\", \"expiresAt\": \"2099-01-01T00:00:00Z\"}";
    fs::create_dir_all(sandbox.home().join(".aws/sso/cache")).unwrap();
    write_home(&sandbox, "sso/cache/d25187dc137f35c88bc80ec8c3ffbdb17b5eb873.json", token);
    encrypted(&sandbox, &["--kms", KEY, "--aws-profile", "ops"]);
    aws.asked();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    // As with web identities, SOPS would ask Amazon's own server.
    let signers: Vec<String> = aws.signers().into_iter().map(|(_, signer)| signer).collect();
    assert_eq!(signers, ["", "LOGIN"]);
}

#[test]
fn who_has_been_logged_in_for_too_long_reads_how_to_do_it_again() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    let key = "arn:aws:kms:eu-west-1:1:key/late";
    encrypted(&sandbox, &["--kms", key]);
    sandbox.encfile(["decrypt", "app.yaml"]).go().code(128).says([
        "ExpiredTokenException: The security token included in the request is expired; log in \
         again: `aws sso login`\n",
    ]);
}

#[test]
fn certificates_of_the_environment_count() {
    let aws = Aws::with_tls();
    let sandbox = sandbox(&aws.url());
    let encrypt = ["encrypt", "--kms", KEY, "-i", "plain.yaml"];
    sandbox.encfile(encrypt).go().code(1).no_stdout().says(["invalid peer certificate"]);
    let certificate = sandbox.write("ca.pem", aws.certificate());
    sandbox.env("AWS_CA_BUNDLE", &certificate);
    sandbox.encfile(encrypt).go().success();
    sandbox.encfile(["decrypt", "plain.yaml"]).go().success().stdout(PLAIN);
    sandbox.no_env("AWS_CA_BUNDLE").env("SSL_CERT_FILE", &certificate);
    sandbox.encfile(["decrypt", "plain.yaml"]).go().success().stdout(PLAIN);
}

#[test]
fn the_proxy_of_the_environment_is_asked() {
    let proxy = Aws::new();
    let sandbox = sandbox("http://kms.invalid:8000");
    sandbox.env("HTTP_PROXY", proxy.url());
    encrypted(&sandbox, &["--kms", KEY]);
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    let hosts: Vec<_> =
        proxy.asked().iter().map(|asked| asked.header("host").unwrap().to_owned()).collect();
    assert_eq!(hosts, ["kms.invalid:8000", "kms.invalid:8000"]);
}

#[test]
fn a_server_that_is_silent_does_not_keep_others_from_answering() {
    let aws = Aws::new();
    let silent = StandIn::start(|_| Reply::silence());
    let sandbox = sandbox(&aws.url());
    let keys: Vec<String> = (1..8).map(|id| format!("arn:aws:kms:eu-west-1:1:key/{id}")).collect();
    encrypted(&sandbox, &["--kms", &keys.join(",")]);
    // All keys but the last one are those of a server that does not answer.
    let config = format!("[profile away]\nendpoint_url = {}\n", silent.url());
    let secret = "aws_access_key_id = A\naws_secret_access_key = canary-key\n";
    let text = sandbox.read("app.yaml");
    sandbox.write("app.yaml", text.replacen("aws_profile: \"\"", "aws_profile: away", 6));
    let own = format!("[default]\nendpoint_url = {}\n", aws.url());
    write_home(&sandbox, "config", &format!("{own}{config}{secret}"));
    sandbox.no_env("AWS_ENDPOINT_URL");
    let started = Instant::now();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn the_endpoint_of_a_service_beats_that_of_all_services() {
    let (aws, other) = (Aws::new(), Aws::new());
    let sandbox = sandbox(&other.url());
    sandbox.env("AWS_ENDPOINT_URL_KMS", aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    decrypts_as_sops_does(&sandbox, &aws, "ENVIRONMENT");
    assert_eq!(other.signers(), []);
}

#[test]
fn a_profile_may_have_an_endpoint() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    sandbox.no_env("AWS_ENDPOINT_URL");
    let config = format!(
        "[profile ops]\nendpoint_url = {}\naws_access_key_id = PROFILE\n\
         aws_secret_access_key = canary-key\n",
        aws.url()
    );
    write_home(&sandbox, "config", &config);
    encrypted(&sandbox, &["--kms", KEY, "--aws-profile", "ops"]);
    decrypts_as_sops_does(&sandbox, &aws, "PROFILE");
}

#[test]
fn nobody_is_asked_where_an_age_identity_is_at_hand() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    sandbox.env("SOPS_AGE_KEY_FILE", ALICE.path());
    encrypted(&sandbox, &["--kms", KEY, "--age", &ALICE.recipient()]);
    aws.asked();
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN).no_stderr();
    assert_eq!(aws.signers(), []);
}

#[test]
fn one_key_that_may_be_used_is_enough() {
    let aws = Aws::new();
    let denying = Aws::denying(&["key/1", "key/2"]);
    let sandbox = sandbox(&aws.url());
    let arns: Vec<String> =
        (1..4).map(|id| format!("arn:aws:kms:eu-west-{id}:1:key/{id}")).collect();
    encrypted(&sandbox, &["--kms", &arns.join(",")]);
    sandbox.env("AWS_ENDPOINT_URL", denying.url());
    sandbox.encfile(["decrypt", "app.yaml"]).go().success().stdout(PLAIN);
}

#[test]
fn who_is_denied_reads_what_aws_says() {
    let aws = Aws::new();
    let denying = Aws::denying(&["key/"]);
    let sandbox = sandbox(&aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    sandbox.env("AWS_ENDPOINT_URL", denying.url());
    let denied = "https response error StatusCode: 400, RequestID: 1-2-3, AccessDeniedException: \
                  User: arn:aws:iam::1:user/me is not authorized to perform: kms:Decrypt";
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        KEY,
        &format!(
            "failed to decrypt sops data key with AWS KMS: operation error KMS: Decrypt, {denied}"
        ),
    )
    .says(["What could unwrap them was looked for in:\n  AWS_ACCESS_KEY_ID: set\n\
         help: log in to AWS (`aws sso login`, AWS_PROFILE or AWS_ACCESS_KEY_ID) as somebody who \
         may use one of the KMS keys above (`kms:Decrypt`)\n"]);
    sandbox.encfile(["encrypt", "--kms", KEY, "plain.yaml"]).go().code(1).no_stdout().stderr(
        &format!(
            "error[wrap]: Could not generate data key: [failed to encrypt new data key with \
             master key \"{KEY}\": failed to encrypt sops data key with AWS KMS: operation error \
             KMS: Encrypt, {denied}]\n"
        ),
    );
    assert_eq!(denying.signers().len(), 2, "what is denied is not asked for again");
}

#[test]
fn a_key_that_is_disabled_is_named() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    let key = "arn:aws:kms:eu-west-1:1:key/off";
    encrypted(&sandbox, &["--kms", key]);
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        key,
        &format!(
            "failed to decrypt sops data key with AWS KMS: operation error KMS: Decrypt, https \
             response error StatusCode: 400, RequestID: 1-2-3, DisabledException: {key} is disabled."
        ),
    );
}

#[test]
fn a_replica_of_a_key_is_asked_in_its_own_region() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    let key = "arn:aws:kms:us-east-1:1:key/mrk-1";
    changed(&sandbox, &["--kms", key], "us-east-1", "ap-south-1");
    decrypts_as_sops_does(&sandbox, &aws, "ENVIRONMENT");
    sandbox.encfile(["decrypt", "app.yaml"]).go().success();
    let asked = aws.asked().pop().unwrap();
    assert!(asked.header("authorization").unwrap().contains("/ap-south-1/kms/"));
}

#[test]
fn who_has_no_credentials_reads_where_they_were_looked_for() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    sandbox.no_env("AWS_ACCESS_KEY_ID").no_env("AWS_SECRET_ACCESS_KEY");
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        KEY,
        "failed to decrypt sops data key with AWS KMS: operation error KMS: Decrypt, get \
         credentials: there are no AWS credentials",
    )
    .says(["What could unwrap them was looked for in:\n  AWS_ACCESS_KEY_ID: not set\n"]);
    let role = format!("role: {ROLE}\n          aws_profile: \"\"");
    changed(
        sandbox.env("AWS_ACCESS_KEY_ID", "A").env("AWS_SECRET_ACCESS_KEY", "canary"),
        &["--kms", KEY],
        "aws_profile: \"\"",
        &role,
    );
    sandbox.no_env("AWS_ACCESS_KEY_ID").no_env("AWS_SECRET_ACCESS_KEY");
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        &format!("{KEY}+{ROLE}"),
        &format!(
            "failed to decrypt sops data key with AWS KMS: failed to assume role '{ROLE}': there \
             are no AWS credentials"
        ),
    );
}

#[test]
fn who_is_not_logged_in_reads_how_to() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    write_home(&sandbox, "config", LOGIN);
    changed(&sandbox, &["--kms", KEY], "aws_profile: \"\"", "aws_profile: ops");
    sandbox.encfile(["decrypt", "app.yaml"]).go().code(128).no_stdout().says([
        "operation error KMS: Decrypt, get credentials: failed to load the cached SSO token; log in \
         again: `aws sso login --profile ops`\n",
    ]);
}

#[test]
fn a_server_that_is_not_there_is_an_error_soon() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    sandbox.env("AWS_ENDPOINT_URL", format!("http://{}", free_address()));
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        KEY,
        "failed to decrypt sops data key with AWS KMS: operation error KMS: Decrypt: tcp connect \
         error: Connection refused (os error 111)",
    );
}

#[test]
fn a_server_that_does_not_answer_is_asked_once() {
    let aws = Aws::new();
    let silent = StandIn::start(|_| Reply::silence());
    let sandbox = sandbox(&aws.url());
    encrypted(&sandbox, &["--kms", KEY]);
    sandbox.env("AWS_ENDPOINT_URL", silent.url());
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        KEY,
        "failed to decrypt sops data key with AWS KMS: operation error KMS: Decrypt: HTTP read \
         timeout occurred after 15s",
    )
    .has_waited_for(KEY);
    assert_eq!(silent.asked().len(), 1);
}

#[test]
fn a_server_that_gives_no_role_is_asked_once() {
    let aws = Aws::new();
    let silent = StandIn::start(|_| Reply::silence());
    let sandbox = sandbox(&aws.url());
    let key = format!("{KEY}+{ROLE}");
    encrypted(&sandbox, &["--kms", &key]);
    sandbox.env("AWS_ENDPOINT_URL_STS", silent.url());
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        &key,
        &format!(
            "failed to decrypt sops data key with AWS KMS: failed to assume role '{ROLE}': HTTP read \
             timeout occurred after 15s"
        ),
    )
    .has_waited_for(KEY);
    assert_eq!(silent.asked().len(), 1);
}

#[test]
fn a_wrapped_key_that_is_no_base64_is_named() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    changed(&sandbox, &["--kms", KEY], "enc: ", "enc: \"!\" #");
    aws.asked();
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        KEY,
        "error base64-decoding encrypted data key: Invalid symbol 33, offset 0.",
    );
    assert_eq!(aws.signers(), []);
}

#[test]
fn an_arn_of_a_file_that_names_another_server_is_not_followed() {
    let aws = Aws::new();
    let sandbox = sandbox(&aws.url());
    changed(&sandbox, &["--kms", KEY], "eu-west-1", "evil.example/");
    aws.asked();
    let arn = KEY.replace("eu-west-1", "evil.example/");
    fails(
        sandbox.encfile(["decrypt", "app.yaml"]).go(),
        &arn,
        &format!("no valid ARN found in '{arn}'"),
    );
    assert_eq!(aws.signers(), []);
}

#[test]
fn what_is_no_arn_and_no_context_is_refused() {
    let sandbox = sandbox("http://127.0.0.1:9");
    sandbox
        .encfile(["encrypt", "--kms", "alias/ops", "plain.yaml"])
        .go()
        .code(1)
        .stderr("error[key]: no valid ARN found in 'alias/ops'\n");
    for context in ["a", "a:b:c", "a:b,", "a:b,c"] {
        let flags = ["encrypt", "--kms", KEY, "--encryption-context", context, "plain.yaml"];
        sandbox.encfile(flags).go().code(6).stderr(
            "error[key]: Invalid KMS encryption context format: it must be `KEY:VALUE,...`\n",
        );
        sandbox.real_sops(flags).go().code(6);
    }
    let age = ["encrypt", "--age", &ALICE.recipient(), "--encryption-context", "a", "plain.yaml"];
    sandbox.encfile(age).go().code(6).no_stdout();
}

#[test]
fn certificates_of_the_environment_must_be_some() {
    let sandbox = sandbox("http://127.0.0.1:9");
    let bundle = sandbox.write("ca.pem", "canary\n");
    sandbox.env("AWS_CA_BUNDLE", bundle);
    sandbox.encfile(["encrypt", "--kms", KEY, "plain.yaml"]).go().code(1).no_stdout().says([
        "could not load AWS config: AWS_CA_BUNDLE: `<sandbox>/work/ca.pem`: it holds no certificate",
    ]);
}
