//! Public keys of signers.

use super::TrustError;
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::types::KeyDetails;

/// An OpenPGP certificate: a primary key with its subkeys and identities.
#[derive(Debug, Clone)]
pub struct PublicKey {
    pub(super) certificate: SignedPublicKey,
    /// The bytes it was read from, armored or not.
    source: Vec<u8>,
}

impl PublicKey {
    /// Reads the one key in `bytes`, armored or binary. `location` names it in messages.
    pub fn parse(bytes: &[u8], location: &str) -> Result<Self, TrustError> {
        let failed = |e| TrustError::Key { location: location.to_owned(), source: Box::new(e) };
        let (mut keys, _) = SignedPublicKey::from_reader_many(bytes).map_err(failed)?;
        let certificate =
            keys.next().ok_or_else(|| TrustError::NoKey(location.to_owned()))?.map_err(failed)?;
        Ok(PublicKey { certificate, source: bytes.to_vec() })
    }

    /// The fingerprint in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        format!("{:x}", self.certificate.fingerprint())
    }

    /// Fingerprints of the subkeys.
    pub fn subkey_fingerprints(&self) -> Vec<String> {
        self.certificate.public_subkeys.iter().map(|key| format!("{:x}", key.key.fingerprint())).collect()
    }

    /// The identities the key claims, as text safe for a terminal.
    pub fn identities(&self) -> Vec<String> {
        let users = self.certificate.details.users.iter();
        let text = users.map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
        text.map(|t| t.chars().filter(|c| !c.is_control()).collect()).collect()
    }

    /// The key as it was read.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The fingerprint as people compare it: groups of four digits, a wider gap in the middle.
    pub fn grouped(fingerprint: &str) -> String {
        let upper = fingerprint.to_uppercase();
        let groups: Vec<&str> =
            (0..upper.len()).step_by(4).filter_map(|at| upper.get(at..(at + 4).min(upper.len()))).collect();
        let (left, right) = groups.split_at(groups.len().div_ceil(2));
        format!("{}  {}", left.join(" "), right.join(" "))
    }
}
