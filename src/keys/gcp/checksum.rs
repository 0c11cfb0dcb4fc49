//! CRC-32C, as the messages of GCP KMS have it.

use crc::{CRC_32_ISCSI, Crc};
use serde::Deserialize;

/// The polynomial of Castagnoli, which iSCSI has made known.
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A checksum in an answer. Numbers of 64 bits are texts in Google's JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Checksum {
    /// What Google writes.
    Text(String),
    /// What others may write.
    Number(u64),
}

impl Checksum {
    /// Returns whether it is that of `bytes`.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        let number = match self {
            Checksum::Text(text) => text.parse().ok(),
            Checksum::Number(number) => Some(*number),
        };
        number == Some(of(bytes).into())
    }
}

/// Returns the checksum of bytes.
pub(super) fn of(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720, B.4.
    #[test]
    fn checksums_are_those_of_iscsi() {
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(of(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_checksum_is_a_number_or_its_text() {
        let fits = |json: &str| serde_json::from_str::<Checksum>(json).unwrap().fits(b"123456789");
        assert!(fits("\"3808858755\"") && fits("3808858755"));
        for other in ["\"3808858754\"", "1", "\"\"", "\"-1\""] {
            assert!(!fits(other), "{other}");
        }
    }
}
