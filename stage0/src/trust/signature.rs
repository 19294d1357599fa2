//! Detached signatures, checked while the image streams by.

use super::{PublicKey, TrustError, policy};
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::packet::{Signature, SignatureType, SignatureVersion};
use pgp::types::{KeyDetails, SignatureBytes, VerifyingKey};
use sha2::digest::DynDigest;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

/// Signatures in one file that are looked at.
const MAX_SIGNATURES: usize = 16;

/// Computes what the signatures of a file sign, without knowing yet whose keys will be asked for.
pub struct Check {
    signatures: Vec<(Signature, Box<dyn DynDigest + Send>)>,
}

/// The digests of all the data, ready to be compared with keys.
pub struct Checked {
    signatures: Vec<(Signature, Box<[u8]>)>,
}

impl Check {
    /// Reads signatures, armored or binary. Those made with broken algorithms or in forms nobody uses for images do
    /// not count.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let failed = |e| TrustError::Signature(Box::new(e));
        let (parsed, _) = DetachedSignature::from_reader_many(bytes).map_err(failed)?;
        let mut signatures = Vec::new();
        let mut reason = "the file holds none".to_owned();
        for signature in parsed.take(MAX_SIGNATURES) {
            let signature = signature.map_err(failed)?.signature;
            match usable(&signature) {
                Ok(hasher) => signatures.push((signature, hasher)),
                Err(why) => reason = why,
            }
        }
        if signatures.is_empty() {
            return Err(TrustError::Unusable(reason));
        }
        Ok(Check { signatures })
    }

    /// Passes data on while taking it into account.
    pub fn reader<R: Read>(&mut self, input: R) -> CheckReader<'_, R> {
        CheckReader { input, check: self }
    }

    /// Ends the data.
    pub fn finish(self) -> Result<Checked, TrustError> {
        let mut signatures = Vec::new();
        for (signature, mut hasher) in self.signatures {
            let Some(config) = signature.config() else { continue };
            let failed = |e| TrustError::Signature(Box::new(e));
            let len = config.hash_signature_data(&mut hasher).map_err(failed)?;
            hasher.update(&config.trailer(len).map_err(failed)?);
            signatures.push((signature, hasher.finalize()));
        }
        Ok(Checked { signatures })
    }
}

/// The hasher for a signature we accept, or why we do not.
fn usable(signature: &Signature) -> Result<Box<dyn DynDigest + Send>, String> {
    let config = signature.config().ok_or("its version is not supported")?;
    if config.version() != SignatureVersion::V4 || config.typ() != SignatureType::Binary {
        return Err("it is not a version 4 signature of binary data".to_owned());
    }
    if !policy::is_strong(config.hash_alg) {
        return Err(format!("it uses the broken hash algorithm {}", config.hash_alg));
    }
    if policy::has_unknown_critical(signature) {
        return Err("it has a critical part that is not understood".to_owned());
    }
    config.hash_alg.new_hasher().map_err(|e| e.to_string())
}

/// Reads data while a [`Check`] hashes it.
pub struct CheckReader<'a, R> {
    input: R,
    check: &'a mut Check,
}

impl<R: Read> Read for CheckReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        for (_, hasher) in &mut self.check.signatures {
            hasher.update(&buf[..got]);
        }
        Ok(got)
    }
}

impl Checked {
    /// The key that made one of the signatures and may do so.
    pub fn signer<'k>(&self, keys: &'k [PublicKey]) -> Result<&'k PublicKey, TrustError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut failure = TrustError::UnknownEntity;
        for (signature, digest) in &self.signatures {
            for key in keys {
                match made_by(signature, digest, &key.certificate, now) {
                    Ok(true) => return Ok(key),
                    Ok(false) => {}
                    Err(reason) => failure = TrustError::Invalid { fingerprint: key.fingerprint(), reason },
                }
            }
        }
        Err(failure)
    }
}

/// Whether the certificate made the signature; an error says why one that names it does not count.
fn made_by(signature: &Signature, digest: &[u8], key: &SignedPublicKey, now: u64) -> Result<bool, String> {
    let subkey = key.public_subkeys.iter().find(|subkey| is_issuer(signature, &subkey.key));
    if !is_issuer(signature, &key.primary_key) && subkey.is_none() {
        return Ok(false);
    }
    policy::data_signature(signature, now)?;
    policy::primary_key(key, now)?;
    match subkey {
        Some(subkey) => {
            policy::subkey(key, subkey, now)?;
            verify(signature, digest, &subkey.key)?;
        }
        None if !policy::primary_may_sign(key) => return Err("the key is not for signing".to_owned()),
        None => verify(signature, digest, &key.primary_key)?,
    }
    Ok(true)
}

/// Whether the signature names this key as its maker.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let prints = signature.issuer_fingerprint();
    if prints.is_empty() {
        return signature.issuer_key_id().contains(&&key.legacy_key_id());
    }
    prints.contains(&&key.fingerprint())
}

fn verify(signature: &Signature, digest: &[u8], key: &impl VerifyingKey) -> Result<(), String> {
    let wrong = || "it does not match the image".to_owned();
    let bytes: &SignatureBytes = signature.signature().ok_or_else(wrong)?;
    let hash = signature.hash_alg().ok_or_else(wrong)?;
    key.verify(hash, digest, bytes).map_err(|_| wrong())
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("signatures", &self.signatures.len()).finish()
    }
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("signatures", &self.signatures.len()).finish()
    }
}

impl<R> std::fmt::Debug for CheckReader<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckReader").finish_non_exhaustive()
    }
}
