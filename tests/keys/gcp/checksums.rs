//! Checksums of what is sent and of what comes back, and the name of the protocol.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{KEY, PLAIN, TOKEN, assert_fails, encrypted, google, with_token};
use crate::keys::{Asked, Reply, StandIn};

const PLACES: [&str; 2] = ["GOOGLE_CREDENTIALS: not set", "GOOGLE_OAUTH_ACCESS_TOKEN: used"];

/// Returns the CRC-32C of bytes, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

/// Answers as Google does: what was sent has the checksum that it was sent with, and the answer has
/// its own, which is that of other bytes where `spoils` says so.
fn with_checksums(spoils: &'static str) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let (sent, got) = if asked.path.ends_with(":encrypt") {
            ("plaintext", "ciphertext")
        } else {
            ("ciphertext", "plaintext")
        };
        let sum = |text: &Value| checksum(&BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap());
        assert_eq!(body[format!("{sent}Crc32c")], sum(&body[sent]).to_string());
        let reply = google(asked);
        let mut answer: Value = serde_json::from_str(reply.body()).unwrap();
        let right = sum(&answer[got]);
        let right = if spoils == got { right ^ 1 } else { right };
        answer[format!("{got}Crc32c")] = right.to_string().into();
        if sent == "plaintext" && spoils != "verified" {
            answer["verifiedPlaintextCrc32c"] = true.into();
        }
        Reply::json(200, answer.to_string())
    }
}

#[test]
fn checksums_go_both_ways() {
    let server = StandIn::start(with_checksums(""));
    let sandbox = encrypted(&server);
    sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_data_key_that_broke_on_the_way_is_an_error() {
    let server = StandIn::start(with_checksums("plaintext"));
    let sandbox = encrypted(&server);
    let why = "failed to decrypt sops data key with GCP KMS key: the answer was damaged on the way: \
               its checksum does not fit; try again";
    assert_fails(&sandbox, why, &PLACES);
}

#[test]
fn nothing_is_written_for_a_wrapped_key_that_broke_on_the_way() {
    for (spoils, what) in [("ciphertext", "answer"), ("verified", "request")] {
        let server = StandIn::start(with_checksums(spoils));
        let sandbox = with_token(&server);
        let why = format!(
            "error[wrap]: Could not generate data key: [failed to encrypt new data key with master \
             key \"{KEY}\": failed to encrypt sops data key with GCP KMS key: the {what} was damaged \
             on the way: its checksum does not fit; try again]"
        );
        let encrypt = ["encrypt", "-i", "--gcp-kms", KEY, "app.json"];
        sandbox.encfile(encrypt).go().failure().no_stdout().says([&*why]);
        assert_eq!(sandbox.read("app.json"), PLAIN);
    }
}

#[test]
fn the_protocol_of_sops_is_checked_though_both_mean_the_same() {
    let server = StandIn::start(google);
    let sandbox = encrypted(&server);
    for protocol in ["grpc", "REST", ""] {
        sandbox.env("SOPS_GCP_KMS_CLIENT_TYPE", protocol);
        sandbox.encfile(["decrypt", "app.json"]).go().success().stdout(PLAIN);
    }
    let asked = server.asked().len();
    sandbox.env("SOPS_GCP_KMS_CLIENT_TYPE", "rest ");
    let why = "failed to decrypt sops data key with GCP KMS key: SOPS_GCP_KMS_CLIENT_TYPE is neither \
               `grpc` nor `rest`";
    // Nobody has looked for credentials.
    assert_fails(&sandbox, why, &[]);
    assert_eq!(server.asked().len(), asked);
    assert_eq!(server.asked()[0].header("authorization"), Some(&*format!("Bearer {TOKEN}")));
}
