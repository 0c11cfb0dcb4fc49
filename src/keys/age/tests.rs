//! Wrapping and unwrapping with identities of all types.

use age::x25519;

use super::*;
use crate::keys::Host;
use age::secrecy::ExposeSecret as _;

struct Machine;

impl Host for Machine {
    fn read_file(&self, _: &std::path::Path, _: usize) -> std::io::Result<SecretBytes> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn run_command_line(&self, command: &str, env: &[(&str, &str)]) -> Result<SecretBytes, String> {
        assert_eq!(env[0].0, "SOPS_AGE_RECIPIENT");
        match command.strip_prefix("print ") {
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
    for damaged in ["", "x", &wrapped[..wrapped.len() / 2], &"x".repeat(MAX_WRAPPED + 1)] {
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
        ("age1pq1x", "post-quantum age recipients are not built into this version of encfile"),
        ("ssh-ed25519 AAAA", "SSH recipients are not built into this version of encfile"),
        ("age1evil1x", "age plugins are not built into this version of encfile"),
    ] {
        assert_eq!(AgeKey::parse(recipient).unwrap_err().to_string(), message);
    }
    let malformed = AgeKey::parse("age1qqqq").unwrap_err();
    assert!(matches!(malformed, RecipientError::Malformed { .. }));
}
