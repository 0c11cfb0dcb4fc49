//! Shamir's secret sharing over GF(2^8), in the layout that SOPS has from `HashiCorp` Vault.
//!
//! The field is AES' (polynomial `0x11B`). Each byte of the secret is the value at 0 of its own
//! random polynomial of degree `threshold - 1`. A share is the values at `x`, then `x` itself.

use zeroize::Zeroizing;

use crate::crypt::data_key::RandomnessError;
use crate::secret::SecretBytes;

/// Splits `secret` into `parts` shares, of which any `threshold` give it back. The shares have
/// `x` = 1, 2, 3 ... in order, as SOPS writes them.
///
/// # Errors
/// If the threshold is below 2 or above the number of parts, or there are more than 255 parts.
pub fn split(
    secret: &[u8],
    parts: usize,
    threshold: usize,
) -> Result<Vec<SecretBytes>, ShamirError> {
    if threshold < 2 {
        return Err(ShamirError::ThresholdTooSmall);
    }
    if parts < threshold {
        return Err(ShamirError::TooFewParts { parts, threshold });
    }
    if parts > 255 {
        return Err(ShamirError::TooManyParts { parts });
    }
    let mut coefficients = Zeroizing::new(vec![0; secret.len() * (threshold - 1)]);
    getrandom::fill(&mut coefficients).map_err(|_| RandomnessError)?;
    let shares = (1..=parts as u8).map(|x| {
        let mut share = SecretBytes::with_capacity(share_length(secret.len()));
        for (&byte, higher) in secret.iter().zip(coefficients.chunks(threshold - 1)) {
            let value = higher.iter().fold(0, |sum, &coefficient| multiply(sum ^ coefficient, x));
            share.push(value ^ byte);
        }
        share.push(x);
        share
    });
    Ok(shares.collect())
}

/// Returns how long the shares of a secret of so many bytes are.
pub fn share_length(secret: usize) -> usize {
    secret + 1
}

/// Gives back the secret from shares; more than the threshold are fine.
///
/// # Errors
/// If there are fewer than 2 shares, their lengths differ, or two have the same `x`.
pub fn combine(shares: &[SecretBytes]) -> Result<SecretBytes, ShamirError> {
    let length = shares.first().map_or(0, |share| share.len());
    if shares.len() < 2 || length < 2 || shares.iter().any(|share| share.len() != length) {
        return Err(ShamirError::UnusableShares);
    }
    let places: Vec<u8> = shares.iter().map(|share| share[length - 1]).collect();
    let mut weights = Vec::with_capacity(shares.len());
    for (i, &own) in places.iter().enumerate() {
        let mut weight = 1;
        for (j, &other) in places.iter().enumerate() {
            if i != j {
                if own == other || other == 0 || own == 0 {
                    return Err(ShamirError::UnusableShares);
                }
                weight = multiply(weight, multiply(other, inverse(other ^ own)));
            }
        }
        weights.push(weight);
    }
    let mut secret = SecretBytes::with_capacity(length - 1);
    for at in 0..length - 1 {
        let byte = shares
            .iter()
            .zip(&weights)
            .fold(0, |sum, (share, &weight)| sum ^ multiply(share[at], weight));
        secret.push(byte);
    }
    Ok(secret)
}

/// Multiplies in the field, in constant time.
fn multiply(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut shifted = a;
    for bit in 0..8 {
        product ^= shifted & 0u8.wrapping_sub((b >> bit) & 1);
        let carry = 0u8.wrapping_sub(shifted >> 7);
        shifted = (shifted << 1) ^ (0x1b & carry);
    }
    product
}

/// Returns the inverse: `a` to the power 254; 0 for 0.
fn inverse(a: u8) -> u8 {
    let mut result = 1;
    let mut power = a;
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

/// Why a secret could not be split or put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShamirError {
    /// A threshold below 2 would not split anything.
    #[error("threshold must be at least 2")]
    ThresholdTooSmall,
    /// The threshold cannot be reached.
    #[error("parts cannot be less than threshold")]
    TooFewParts {
        /// Number of parts asked for.
        parts: usize,
        /// The threshold.
        threshold: usize,
    },
    /// The field has 255 places for shares.
    #[error("parts cannot exceed 255")]
    TooManyParts {
        /// Number of parts asked for.
        parts: usize,
    },
    /// Shares that do not belong together.
    #[error("the shares of the data key do not fit together")]
    UnusableShares,
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_threshold_of_shares_gives_the_secret_back() {
        let secret: Vec<u8> = (0..32).collect();
        let shares = split(&secret, 5, 3).unwrap();
        assert!(shares.iter().all(|share| share.len() == 33));
        let copy = |n: usize| SecretBytes::from(&shares[n][..]);
        for chosen in [vec![0, 1, 2], vec![4, 2, 0], vec![1, 3, 4], vec![0, 1, 2, 3, 4]] {
            let chosen: Vec<SecretBytes> = chosen.into_iter().map(copy).collect();
            assert_eq!(&*combine(&chosen).unwrap(), &secret[..]);
        }
        assert_ne!(&*combine(&[copy(0), copy(1)]).unwrap(), &secret[..]);
    }

    #[test]
    fn impossible_thresholds_are_refused() {
        assert_eq!(split(b"x", 3, 1).unwrap_err(), ShamirError::ThresholdTooSmall);
        assert_eq!(
            split(b"x", 2, 3).unwrap_err(),
            ShamirError::TooFewParts { parts: 2, threshold: 3 }
        );
        let share = || SecretBytes::from(&[1, 2, 3][..]);
        assert_eq!(combine(&[share(), share()]).unwrap_err(), ShamirError::UnusableShares);
    }

    #[test]
    fn every_element_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1);
        }
    }
}
