//! With a stand-in: Google Cloud Storage.

use super::sandbox;
use crate::keys::{Reply, StandIn, free_address};

/// Takes everything.
fn storage() -> StandIn {
    StandIn::start(|_| Reply::json(200, r#"{"kind":"storage#object","name":"x"}"#))
}

#[test]
fn a_file_goes_there_as_it_is_without_credentials_for_a_stand_in() {
    let server = storage();
    let sandbox = sandbox("gcs_bucket: team\ngcs_prefix: 'a b/'");
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    sandbox.env("STORAGE_EMULATOR_HOST", address);
    sandbox
        .encfile(["publish", "-y", "app.yaml"])
        .go()
        .success()
        .no_stdout()
        .stderr("app.yaml was published to gcs://team/a b/app.yaml\n");
    let asked = server.asked();
    let [upload] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(
        (&*upload.method, &*upload.path),
        ("POST", "/upload/storage/v1/b/team/o?uploadType=media&name=a%20b%2Fapp.yaml")
    );
    assert_eq!(upload.body, sandbox.read("app.yaml"));
    assert_eq!(upload.header("authorization"), None);

    sandbox.real_sops(["publish", "-y", "app.yaml"]).go().success();
    let theirs = &server.asked()[1];
    assert!(theirs.path.starts_with("/upload/storage/v1/b/team/o?"), "{}", theirs.path);
    assert!(theirs.body.contains(&sandbox.read("app.yaml")), "{}", theirs.body);
    assert!(theirs.body.contains(r#""name":"a b/app.yaml""#), "{}", theirs.body);
}

#[test]
fn failures_say_what_is_wrong() {
    let sandbox = sandbox("gcs_bucket: team");
    let publish = ["publish", "-y", "app.yaml"];
    let denied = StandIn::start(|_| {
        Reply::json(403, r#"{"error":{"code":403,"message":"alice may not write"}}"#)
    });
    sandbox.env("STORAGE_EMULATOR_HOST", denied.url());
    let url = format!("{}/upload/storage/v1/b/team/o?uploadType=media&name=app.yaml", denied.url());
    sandbox.encfile(publish).go().code(1).stderr(&format!(
        "error[publish]: failed to publish to gcs://team/app.yaml: {url}: status 403: alice may \
         not write\n  --> app.yaml\n"
    ));
    let nobody = format!("http://{}", free_address());
    sandbox.env("STORAGE_EMULATOR_HOST", &nobody);
    sandbox.encfile(publish).go().code(1).says([&*nobody, "refused"]);
    sandbox.no_env("STORAGE_EMULATOR_HOST").env("GOOGLE_CREDENTIALS", "{}");
    sandbox.encfile(publish).go().code(1).stderr(
        "error[publish]: failed to publish to gcs://team/app.yaml: credentials: failed to \
         obtain credentials from \"GOOGLE_CREDENTIALS\": it is not the JSON of an account\n  \
         --> app.yaml\n",
    );
}
