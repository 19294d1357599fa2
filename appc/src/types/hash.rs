//! Image ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ValueError;

/// The only algorithm of the specification.
const PREFIX: &str = "sha512-";
/// Digits of a complete SHA-512 value.
const FULL_DIGITS: usize = 128;
/// Digits of a store key: rkt keeps half of the digest.
const KEY_DIGITS: usize = 64;

/// An image id or its beginning: `sha512-` and 1 to 128 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(String);

impl Hash {
    /// The digits after `sha512-`.
    pub fn digits(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all 128 digits are there.
    pub fn is_full(&self) -> bool {
        self.digits().len() == FULL_DIGITS
    }

    /// The text cut to the length of a store key (64 digits).
    pub fn key(&self) -> &str {
        &self.0[..self.0.len().min(PREFIX.len() + KEY_DIGITS)]
    }

    /// The text cut to `digits` hexadecimal digits, as tables show it.
    pub fn short(&self, digits: usize) -> &str {
        &self.0[..self.0.len().min(PREFIX.len().saturating_add(digits))]
    }
}

impl TryFrom<String> for Hash {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let valid = text.strip_prefix(PREFIX).is_some_and(|digits| {
            (1..=FULL_DIGITS).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        if valid { Ok(Self(text)) } else { Err(ValueError::Hash(text)) }
    }
}

impl FromStr for Hash {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sha512_with_lower_case_digits_is_a_hash() {
        assert!("sha512-0af".parse::<Hash>().is_ok());
        for bad in ["sha512-", "sha256-00", "sha512-0A", "sha512-0g", "0af", ""] {
            assert_eq!(bad.parse::<Hash>(), Err(ValueError::Hash(bad.to_owned())));
        }
        assert!(format!("sha512-{}", "0".repeat(129)).parse::<Hash>().is_err());
    }

    #[test]
    fn keys_have_half_of_the_digits() {
        let full: Hash = format!("sha512-{}", "ab".repeat(64)).parse().unwrap();
        assert!(full.is_full());
        assert_eq!(full.key(), format!("sha512-{}", "ab".repeat(32)));
        assert_eq!(full.short(12), "sha512-abababababab");
        let short: Hash = "sha512-ab".parse().unwrap();
        assert_eq!((short.key(), short.is_full()), ("sha512-ab", false));
    }
}
