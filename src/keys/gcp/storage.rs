//! Google Cloud Storage, with the credentials that GCP KMS has.

use form_urlencoded::byte_serialize;

use crate::keys::Credentials;
use crate::keys::bearer::{self, setting};
use crate::keys::http::Request;

use super::{Failure, Gcp};

/// A server that stands in for Google's, without credentials: the variable of Google's own clients.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// Makes or replaces an object.
///
/// # Errors
/// A message for people.
pub(crate) fn upload(
    bucket: &str,
    name: &str,
    content: &[u8],
    with: &Credentials,
) -> Result<(), String> {
    let gcp = with.own::<Gcp>();
    let emulator = setting(&*gcp.host, EMULATOR);
    let server = match &emulator {
        Some(named) if named.contains("://") => named.trim_end_matches('/').to_owned(),
        Some(named) => format!("http://{}", named.trim_end_matches('/')),
        None => format!("https://storage.{}", gcp.universe()),
    };
    let escaped = |text: &str| -> String {
        // In a path a blank is no plus sign.
        byte_serialize(text.as_bytes()).map(|part| part.replace('+', "%20")).collect()
    };
    let url = format!(
        "{server}/upload/storage/v1/b/{}/o?uploadType=media&name={}",
        escaped(bucket),
        escaped(name)
    );
    let headers = [("Content-Type", "application/octet-stream")];
    let answer = if emulator.is_some() {
        let request = Request { method: "POST", url: &url, headers: &headers, body: content };
        bearer::send(gcp.client()?, &request)?
    } else {
        gcp.post(&url, &headers, content).map_err(|failure: Failure| failure.reason(&gcp))?
    };
    bearer::succeeded(&url, answer).map(drop)
}
