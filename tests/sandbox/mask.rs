//! Hides what changes from run to run, so that texts can be compared exactly.

use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

static VOLATILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]+,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:(?<type>[a-z]+)\]",
        r"|-----BEGIN AGE ENCRYPTED FILE-----[A-Za-z0-9+/=\s\\]*-----END AGE ENCRYPTED FILE-----",
        r"|(?<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)",
    ))
    .unwrap()
});

/// Replaces ciphertexts by `<str>`, `<int>`, ..., wrapped data keys by `<age>`, UTC times by
/// `<time>` and the path of the sandbox by `<sandbox>`.
pub(crate) fn mask(text: &str, sandbox: &Path) -> String {
    let text = VOLATILE.replace_all(text, |captures: &Captures<'_>| {
        if let Some(value_type) = captures.name("type") {
            format!("<{}>", value_type.as_str())
        } else if captures.name("time").is_some() {
            "<time>".to_owned()
        } else {
            "<age>".to_owned()
        }
    });
    text.replace(&sandbox.display().to_string(), "<sandbox>")
}

#[test]
fn volatile_parts_are_masked() {
    assert_eq!(
        mask(
            "a: ENC[AES256_GCM,data:AA==,iv:BB==,tag:CC==,type:int] at 2026-01-02T03:04:05Z in /x/y",
            Path::new("/x")
        ),
        "a: <int> at <time> in <sandbox>/y"
    );
    assert_eq!(
        mask(
            r#""enc": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n""#,
            Path::new("/x")
        ),
        r#""enc": "<age>\n""#
    );
}
