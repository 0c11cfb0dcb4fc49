//! Who is asked, and what is said if nobody can.

use super::*;
use crate::keys::unknown::UnknownKey;
use crate::keys::{FieldValue, from_fields};

/// A service with one answer.
#[derive(Debug)]
struct Fixed(Result<&'static str, &'static str>);

impl KeyService for Fixed {
    fn wrap(&self, _: &dyn MasterKey, _: &[u8], _: &dyn Host) -> Result<String, KeyError> {
        let failed = |message: &str| KeyError::Wrap { message: message.to_owned() };
        self.0.map(str::to_owned).map_err(failed)
    }

    fn unwrap(&self, _: &dyn MasterKey, _: &str, _: &dyn Host) -> Result<SecretBytes, KeyError> {
        let failed = |message: &str| KeyError::Unwrap { message: message.to_owned() };
        self.0.map(SecretBytes::from).map_err(failed)
    }
}

fn services(is_local: bool, answers: &[Result<&'static str, &'static str>]) -> Services {
    let service = |answer: &Result<_, _>| Arc::new(Fixed(*answer)) as Arc<dyn KeyService>;
    Services { is_local, others: answers.iter().map(service).collect(), memory: None }
}

/// Returns a key of a kind that is not known here, and what becomes of it.
fn answers(services: &Services) -> (Result<String, String>, Option<Result<String, String>>) {
    let key = UnknownKey::new("moon", vec![("arn".to_owned(), FieldValue::Null)]);
    let with = Credentials::none();
    let text = |part: SecretBytes| String::from_utf8(part.to_vec()).unwrap();
    let wrapped = services.wrap(&key, b"part", &with).map_err(|error| error.to_string());
    let unwrapped = services.unwrap(&key, "wrapped", &with);
    (wrapped, unwrapped.map(|answer| answer.map(text).map_err(|error| error.to_string())))
}

const NOT_BUILT: &str = "moon keys are not built into this version of encfile";

#[test]
fn the_first_service_that_can_is_the_last_that_is_asked() {
    let (wrapped, unwrapped) = answers(&services(true, &[Err("no"), Ok("one"), Ok("two")]));
    assert_eq!(wrapped.as_deref(), Ok("one"));
    assert_eq!(unwrapped, Some(Ok("one".to_owned())));
}

#[test]
fn all_failures_are_told() {
    let (wrapped, unwrapped) = answers(&services(true, &[Err("dead"), Err("denied")]));
    let message = format!("{NOT_BUILT}; dead; denied");
    assert_eq!(wrapped, Err(message.clone()));
    assert_eq!(unwrapped, Some(Err(message)));
}

#[test]
fn without_the_local_service_nothing_is_tried_here() {
    let (wrapped, unwrapped) = answers(&services(false, &[Err("dead")]));
    assert_eq!(wrapped, Err("dead".to_owned()));
    assert_eq!(unwrapped, Some(Err("dead".to_owned())));
}

#[test]
fn nobody_to_ask_is_an_error() {
    let (wrapped, unwrapped) = answers(&services(false, &[]));
    assert_eq!(wrapped, Err("no key services provided".to_owned()));
    assert_eq!(unwrapped, Some(Err("no key services provided".to_owned())));
}

#[test]
fn a_key_that_nothing_fits_is_no_error() {
    let recipient = FieldValue::Text("age1".to_owned());
    let key = from_fields("age", vec![("recipient".to_owned(), recipient)]);
    let with = Credentials::none()
        .with(crate::keys::age::Identities::new(Vec::new(), Arc::new(crate::keys::host::Nowhere)));
    let armored = "-----BEGIN AGE ENCRYPTED FILE-----";
    // Whatever it says of the text, it comes from the key alone.
    let alone = key.unwrap(armored, &with).map(|answer| answer.map(|_| ()));
    let here = services(true, &[]).unwrap(&*key, armored, &with).map(|answer| answer.map(|_| ()));
    assert_eq!(alone, here);
}
