//! What SOPS' cryptography is.
//!
//! A file has one random 32-byte [`data_key::DataKey`]. Each selected value is sealed on its own
//! with AES-256-GCM under that key ([`value`]): a fresh 32-byte IV, and the value's key path as
//! additional data, so that a ciphertext cannot be moved to another key. What is sealed is the
//! *canonical* text of the value ([`canonical`]), the same bytes that enter the [`mac`]: a SHA-512
//! over all values in tree order, itself sealed with the time of the last change as additional
//! data. With several key groups the data key is split by Shamir's scheme ([`shamir`]).
//!
//! What this does not protect is SOPS' design: keys, structure, comments and nulls are not in the
//! MAC, and the position in a list is not in the additional data.

pub mod canonical;
pub mod data_key;
pub mod gcm;
pub mod mac;
pub mod shamir;
pub mod value;

#[cfg(test)]
mod vectors;
