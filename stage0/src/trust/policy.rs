//! What the OpenPGP library leaves to its users: which algorithms, keys and times count.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag, Timestamp};

/// How far a signature's time may be ahead of this host's clock, in seconds.
const CLOCK_SKEW: u64 = 24 * 60 * 60;

/// Hash algorithms that bind a signature to an image. MD5, SHA-1 and RIPEMD-160 no longer do.
pub(super) fn is_strong(hash: HashAlgorithm) -> bool {
    use HashAlgorithm::*;
    matches!(hash, Sha256 | Sha384 | Sha512 | Sha224 | Sha3_256 | Sha3_512)
}

/// Whether the signature has hashed subpackets that must be understood and are not (RFC 9580, 5.2.3.7).
pub(super) fn has_unknown_critical(signature: &Signature) -> bool {
    let unknown =
        |data: &SubpacketData| matches!(data, SubpacketData::Experimental(..) | SubpacketData::Other(..));
    signature.config().is_some_and(|c| c.hashed_subpackets().any(|p| p.is_critical && unknown(&p.data)))
}

/// Why a data signature does not count now, whoever made it.
pub(super) fn data_signature(signature: &Signature, now: u64) -> Result<(), String> {
    let created = signature.created().map(seconds).ok_or("it says nothing about when it was made")?;
    if created > now + CLOCK_SKEW {
        return Err("it was made in the future".to_owned());
    }
    match signature.signature_expiration_time().map(length) {
        Some(validity) if validity > 0 && created + validity < now => Err("it has expired".to_owned()),
        _ => Ok(()),
    }
}

/// Why the primary key does not count now.
pub(super) fn primary_key(key: &SignedPublicKey, now: u64) -> Result<(), String> {
    let primary = &key.primary_key;
    if key.details.revocation_signatures.iter().any(|s| s.verify_key(primary).is_ok()) {
        return Err("the key is revoked".to_owned());
    }
    let newest = newest_self_signature(key).ok_or("the key has no valid identity")?;
    let created = seconds(primary.created_at());
    match newest.key_expiration_time().map(length) {
        Some(validity) if validity > 0 && created + validity < now => Err("the key has expired".to_owned()),
        _ => Ok(()),
    }
}

/// Whether the primary key may sign data.
pub(super) fn primary_may_sign(key: &SignedPublicKey) -> bool {
    // Keys from before there were flags may do everything their algorithm can.
    newest_self_signature(key).is_some_and(|s| s.key_flags().sign() || !has_key_flags(s))
}

/// Why a subkey may not sign data now.
pub(super) fn subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: u64) -> Result<(), String> {
    let primary = &key.primary_key;
    let verified = |s: &&Signature| s.verify_subkey_binding(primary, &subkey.key).is_ok();
    let of_type = |kind| subkey.signatures.iter().filter(move |s| s.typ() == Some(kind)).filter(verified);
    if of_type(SignatureType::SubkeyRevocation).next().is_some() {
        return Err("the subkey is revoked".to_owned());
    }
    let binding = of_type(SignatureType::SubkeyBinding).max_by_key(|s| s.created().map(seconds));
    let binding = binding.ok_or("the subkey does not belong to its key")?;
    if !binding.key_flags().sign() {
        return Err("the subkey is not for signing".to_owned());
    }
    // Without the subkey's consent anybody could claim somebody else's subkey as his own.
    let consents = |s: &Signature| s.verify_primary_key_binding(&subkey.key, primary).is_ok();
    if !binding.embedded_signature().is_some_and(consents) {
        return Err("the subkey does not belong to its key".to_owned());
    }
    let created = seconds(subkey.key.created_at());
    match binding.key_expiration_time().map(length) {
        Some(validity) if validity > 0 && created + validity < now => {
            Err("the subkey has expired".to_owned())
        }
        _ => Ok(()),
    }
}

/// The newest valid signature by which the primary key describes itself: over an identity or over the key.
fn newest_self_signature(key: &SignedPublicKey) -> Option<&Signature> {
    let primary = &key.primary_key;
    let certified = key.details.users.iter().flat_map(|user| {
        let valid = move |s: &&Signature| s.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let newest = user.signatures.iter().filter(valid).max_by_key(|s| s.created().map(seconds));
        // An identity whose newest signature revokes it says nothing any more.
        newest.filter(|s| s.typ() != Some(SignatureType::CertRevocation))
    });
    let direct = key.details.direct_signatures.iter().filter(|s| s.verify_key(primary).is_ok());
    certified.chain(direct).max_by_key(|s| s.created().map(seconds))
}

fn has_key_flags(signature: &Signature) -> bool {
    signature
        .config()
        .is_some_and(|c| c.hashed_subpackets().any(|p| matches!(p.data, SubpacketData::KeyFlags(_))))
}

fn seconds(time: Timestamp) -> u64 {
    time.as_secs().into()
}

fn length(duration: pgp::types::Duration) -> u64 {
    std::time::Duration::from(duration).as_secs()
}
