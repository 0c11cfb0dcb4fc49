//! What AWS answers, as messages: in SOPS' words where there is an answer, short where there is none.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

use super::clients::Account;

/// Returns the message of a request that failed.
pub(super) fn message<E>(operation: &str, error: &SdkError<E>, account: &Account) -> String
where
    E: Error + ProvideErrorMetadata + RequestId + 'static,
{
    let operation = format!("operation error {operation}");
    if let (Some(answer), Some(response)) = (error.as_service_error(), error.raw_response()) {
        let code = answer.code().unwrap_or("unknown error");
        let said = answer.message().filter(|said| !said.is_empty()).or_else(|| explanation(code));
        let said = said.map_or(String::new(), |said| format!(": {said}"));
        return format!(
            "{operation}, https response error StatusCode: {}, RequestID: {}, {code}{said}{}",
            response.status().as_u16(),
            answer.request_id().unwrap_or_default(),
            advice(code, account)
        );
    }
    let asking = match &account.role {
        Some(role) => format!("failed to assume role '{role}'"),
        None => format!("{operation}, get credentials"),
    };
    match of_credentials(error) {
        Some(CredentialsError::CredentialsNotLoaded(_)) => match &account.profile {
            Some(name) => format!("{asking}: the AWS profile `{name}` has no credentials"),
            None => format!("{asking}: there are no AWS credentials"),
        },
        Some(credentials) => {
            let why = reason(credentials);
            let help = if is_about_login(&why) { login(account) } else { String::new() };
            format!("{asking}: {why}{help}")
        }
        None => format!("{operation}: {}", reason(error)),
    }
}

/// Returns whether there are no credentials at all.
pub(super) fn is_without_credentials(error: &(dyn Error + 'static)) -> bool {
    matches!(of_credentials(error), Some(CredentialsError::CredentialsNotLoaded(_)))
}

/// Returns why there are no credentials, if that is why a request failed. With a role, they are
/// those for taking it on.
fn of_credentials<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e CredentialsError> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

/// Returns what errors say, from the outermost to the cause, without those that only say that there
/// is a cause.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for error in chain(error) {
        let text = match error.downcast_ref::<ErrorMetadata>() {
            Some(answer) => {
                let code = answer.code().unwrap_or("unknown error");
                match answer.message() {
                    Some(message) => format!("{code}: {message}"),
                    None => code.to_owned(),
                }
            }
            None => error.to_string(),
        };
        let says_nothing = text.is_empty()
            || text == "other"
            || EMPTY.iter().any(|empty| text.starts_with(empty))
            || said.iter().any(|other| other.contains(&text));
        if !says_nothing {
            said.retain(|other| !text.contains(other));
            said.push(text);
        }
    }
    if said.is_empty() { error.to_string() } else { said.join(": ") }
}

/// Beginnings of messages behind which there is always a cause.
const EMPTY: &[&str] = &[
    "an error occurred while loading ",
    "the credentials provider was not properly configured",
    "unexpected credentials error",
    "client error",
    "dispatch failure",
    "io error",
    "service error",
    "timed out",
    "unhandled error",
];

/// Returns what a code means where KMS says nothing.
fn explanation(code: &str) -> Option<&'static str> {
    match code {
        "InvalidCiphertextException" => {
            Some("the data key was wrapped by another key or with another encryption context")
        }
        _ => None,
    }
}

/// Returns what to do, where it is more than what the message says.
fn advice(code: &str, account: &Account) -> String {
    match code {
        "ExpiredTokenException" | "ExpiredToken" => login(account),
        _ => String::new(),
    }
}

/// Returns whether a login is missing or over: what the code for it, or its server, says then.
fn is_about_login(why: &str) -> bool {
    ["SSO", "/sso/cache/", "ExpiredToken", "UnauthorizedException"]
        .iter()
        .any(|sign| why.contains(sign))
}

fn login(account: &Account) -> String {
    match &account.profile {
        Some(name) => format!("; log in again: `aws sso login --profile {name}`"),
        None => "; log in again: `aws sso login`".to_owned(),
    }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
