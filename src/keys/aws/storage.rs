//! S3, with the credentials that AWS KMS has.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;

use crate::keys::Credentials;

use super::clients::{Account, Clients, wait};
use super::failure;

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
    let clients = with.own::<Clients>();
    let config = clients.environment()?;
    let Some(region) = config.region() else {
        return Err("there is no AWS region: set AWS_REGION".to_owned());
    };
    let account = Account { region: region.to_string(), profile: None, role: None };
    let request = Client::new(&config)
        .put_object()
        .bucket(bucket)
        .key(name)
        .content_type("application/octet-stream")
        .body(ByteStream::from(content.to_vec()));
    match wait(request.send())? {
        Ok(_) => Ok(()),
        Err(error) => Err(failure::message("S3: PutObject", &error, &account)),
    }
}
