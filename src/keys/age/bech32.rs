//! Bech32, as age has it: of any length, in one case.

use bech32::{FromBase32 as _, ToBase32 as _, Variant};
use zeroize::Zeroizing;

/// Returns the part in front of the last `1`, in lower case, of a text that is Bech32.
pub(super) fn prefix(text: &str) -> Result<String, &'static str> {
    parts(text).map(|(prefix, _)| prefix)
}

/// Returns the bytes of a text that begins with `prefix` and the separator.
pub(super) fn decode(text: &str, prefix: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    match parts(text)? {
        (found, bytes) if found == prefix => Ok(bytes),
        _ => Err("it begins with something else"),
    }
}

fn parts(text: &str) -> Result<(String, Zeroizing<Vec<u8>>), &'static str> {
    let (prefix, data, variant) =
        bech32::decode(text).map_err(|_| "it is cut off or has a wrong letter")?;
    if variant != Variant::Bech32 {
        return Err("its checksum is of another kind");
    }
    let bytes = Vec::from_base32(&data).map_err(|_| "its last bits are not as they should be")?;
    Ok((prefix.to_lowercase(), Zeroizing::new(bytes)))
}

/// Returns the text for bytes that are not secret.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
    bech32::encode(prefix, bytes.to_base32(), Variant::Bech32)
        .expect("the prefix is one of age's, which are valid")
}
