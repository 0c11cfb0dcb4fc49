//! Wrapping and unwrapping with identities of all types.

use age::x25519;

use super::*;
use crate::keys::{CommandLine, Host};
use age::secrecy::ExposeSecret as _;

struct Machine;

impl Host for Machine {
    fn read_file(&self, _: &std::path::Path, _: usize) -> std::io::Result<SecretBytes> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn run_command_line(&self, line: &CommandLine<'_>) -> Result<SecretBytes, String> {
        assert_eq!(line.env[0].0, "SOPS_AGE_RECIPIENT");
        match line.text.strip_prefix("print ") {
            Some(text) => Ok(SecretBytes::from(text)),
            None => Err("exit status 3".to_owned()),
        }
    }
}

fn text(text: &str) -> Source {
    let place = Place::Text(SecretBytes::from(text));
    Source { name: "SOPS_AGE_KEY".to_owned(), place, content: Content::Words }
}

fn credentials(sources: Vec<Source>) -> Credentials {
    Credentials::none().with(Identities::new(sources, Arc::new(Machine)))
}

#[test]
fn a_key_unwraps_what_its_recipient_wrapped() {
    let (mine, other) = (x25519::Identity::generate(), x25519::Identity::generate());
    let secret = |identity: &x25519::Identity| identity.to_string().expose_secret().to_owned();
    let key = AgeKey::parse(&mine.to_public().to_string()).unwrap();
    let wrapped = key.wrap(&[5; 32], &Credentials::none()).unwrap();
    assert!(wrapped.ends_with("-----END AGE ENCRYPTED FILE-----\n"));

    assert!(key.unwrap(&wrapped, &Credentials::none()).is_none());
    assert!(key.unwrap(&wrapped, &credentials(vec![text(&secret(&other))])).is_none());
    let all = format!("# a comment\nrubbish {} {}", secret(&other), secret(&mine));
    let with = credentials(vec![text(&all)]);
    assert_eq!(&*key.unwrap(&wrapped, &with).unwrap().unwrap(), &[5; 32]);
    let unusable = vec![(2, "unknown identity type")];
    assert_eq!(
        with.own::<Identities>().reports()[0].outcome,
        SourceOutcome::Loaded { identities: 2, unusable }
    );

    let command = format!("print {}", secret(&mine));
    let source = |command: &str| Source {
        name: "SOPS_AGE_KEY_CMD".to_owned(),
        place: Place::Command(command.to_owned()),
        content: Content::Lines,
    };
    let with = credentials(vec![text(&secret(&other)), source(&command)]);
    assert_eq!(&*key.unwrap(&wrapped, &with).unwrap().unwrap(), &[5; 32]);
    let with = credentials(vec![source("false")]);
    assert!(key.unwrap(&wrapped, &with).is_none());
    let failed = SourceOutcome::Failed("exit status 3".to_owned());
    assert_eq!(with.own::<Identities>().reports()[0].outcome, failed);
}

#[test]
fn a_damaged_wrapped_key_is_an_error() {
    let mine = x25519::Identity::generate();
    let with = credentials(vec![text(mine.to_string().expose_secret())]);
    let key = AgeKey::parse(&mine.to_public().to_string()).unwrap();
    let wrapped = key.wrap(&[5; 32], &with).unwrap();
    for damaged in
        ["", "x", &wrapped[..wrapped.len() / 2], &"x".repeat(crate::keys::MAX_WRAPPED + 1)]
    {
        assert!(key.unwrap(damaged, &with).unwrap().is_err());
    }
    let long = key.wrap(&[5; 100], &with).unwrap();
    assert!(key.unwrap(&long, &with).unwrap().is_err());
}

#[test]
fn recipients_are_checked() {
    for (recipient, message) in [
        ("foo", "failed to parse input, unknown recipient type: \"foo\""),
        ("", "failed to parse input, unknown recipient type: \"\""),
        (
            "age1pq1x",
            "failed to parse input as Bech32-encoded age public key: malformed recipient \
             \"age1pq1x\": it is cut off or has a wrong letter",
        ),
        (
            "ssh-ed25519 AAAA",
            "failed to parse input as age-ssh public key: malformed recipient \
             \"ssh-ed25519 AAAA\": invalid SSH recipient",
        ),
        (
            "age1evil1x",
            "failed to parse input as age key from age plugin: malformed recipient \
             \"age1evil1x\": it is cut off or has a wrong letter",
        ),
    ] {
        assert_eq!(AgeKey::parse(recipient).unwrap_err().to_string(), message);
    }
    let malformed = AgeKey::parse("age1qqqq").unwrap_err();
    assert!(matches!(malformed, RecipientError::Malformed { .. }));
}

/// A recipient of the plugin `demo`.
const DEMO: &str = "age1demo1dpjkcmr03p8jgj";

/// The key of an entry of a file.
fn key_of_file(recipient: &str) -> Arc<dyn MasterKey> {
    let fields = vec![("recipient".to_owned(), FieldValue::Text(recipient.to_owned()))];
    crate::keys::from_fields("age", fields)
}

#[test]
fn a_plugin_that_only_a_file_names_is_not_started() {
    let error = key_of_file(DEMO).wrap(&[5; 32], &Credentials::none()).unwrap_err().to_string();
    assert!(error.contains("the plugin `demo` is named by the file alone"), "{error}");
}

#[test]
fn a_plugin_is_started_if_the_user_names_it() {
    // There is no machine to start it on, which is another error.
    let nowhere = "no programs are run here";
    let none = Credentials::none();
    let named = AgeKey::parse(DEMO).unwrap().wrap(&[5; 32], &none).unwrap_err().to_string();
    assert!(named.contains(nowhere), "{named}");

    let identity = credentials(vec![text("AGE-PLUGIN-DEMO-1DPJKCMR0DQLFWK")]);
    for with in [identity, Credentials::none().with(Plugins::All)] {
        let error = key_of_file(DEMO).wrap(&[5; 32], &with).unwrap_err().to_string();
        assert!(error.contains(nowhere), "{error}");
    }
}

#[test]
fn names_of_plugins_hold_no_path() {
    for name in ["a/b", "/a", "a\\b", "a;b", "a$b", "a~"] {
        let text = bech32::encode(&format!("age1{name}"), &[1]);
        let error = AgeKey::parse(&text).unwrap_err().to_string();
        assert!(error.ends_with("that is no name of a plugin"), "{error}");
    }
}

#[test]
fn the_recipient_of_a_post_quantum_identity_is_known() {
    let file = include_str!("../../../testdata/keys/grace.txt");
    let with = credentials(vec![text(file)]);
    let recipient = file.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert_eq!(with.own::<Identities>().recipients(), [recipient]);
    let key = AgeKey::parse(recipient).unwrap();
    let wrapped = key.wrap(&[5; 33], &Credentials::none()).unwrap();
    assert_eq!(&*key.unwrap(&wrapped, &with).unwrap().unwrap(), &[5; 33]);
}
