//! Keys of images in the store.

use appc::Hash;
use sha2::{Digest, Sha512};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "sha512-";
/// Hexadecimal digits of a key: half of a SHA-512 digest (rkt-reference 4.1).
const DIGITS: usize = 64;

/// The key of an image in the store: `sha512-` and the first 64 digits of the digest of its uncompressed archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Not a complete key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Invalid image key \"{0}\"")]
pub struct BadKey(String);

impl Key {
    /// The key of an archive whose SHA-512 digest is in `hasher`.
    pub fn from_hasher(hasher: Sha512) -> Self {
        let digest = hex::encode(hasher.finalize());
        Key(format!("{PREFIX}{}", &digest[..DIGITS]))
    }

    /// The key of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hasher(Sha512::new_with_prefix(bytes))
    }

    /// The whole text, `sha512-…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first two digits: the directory the image is in.
    pub fn fan_out(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + 2]
    }

    /// Cut to `digits` digits, as tables show it.
    pub fn short(&self, digits: usize) -> &str {
        &self.0[..self.0.len().min(PREFIX.len() + digits)]
    }

    /// As the type manifests use.
    pub fn to_hash(&self) -> Hash {
        // A key is a hash by construction.
        self.0.parse().unwrap_or_else(|_| unreachable!("{} is a hash", self.0))
    }
}

impl FromStr for Key {
    type Err = BadKey;

    /// Takes a complete key, or a longer hash, which is cut.
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bad = || BadKey(text.to_owned());
        let hash: Hash = text.parse().map_err(|_| bad())?;
        if hash.digits().len() < DIGITS {
            return Err(bad());
        }
        Ok(Key(hash.key().to_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_half_digests() {
        let key = Key::of(b"");
        assert_eq!(key.as_str(), "sha512-cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce");
        assert_eq!((key.fan_out(), key.short(12)), ("cf", "sha512-cf83e1357eef"));
        assert_eq!(key.as_str().parse::<Key>().unwrap(), key);
        assert_eq!(key.to_hash().as_str(), key.as_str());
        let long = format!("{key}{}", "0".repeat(64));
        assert_eq!(long.parse::<Key>().unwrap(), key);
        for bad in ["sha512-cf83", "", "sha256-00", &"0".repeat(71)] {
            assert!(bad.parse::<Key>().is_err());
        }
    }
}
