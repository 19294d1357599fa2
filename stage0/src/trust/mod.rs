//! Who may sign which images: keys, the layered keystore, and detached signatures (rkt-reference 6.5, 6.6).

mod key;
mod keystore;
mod policy;
mod review;
mod signature;

pub use key::PublicKey;
pub use keystore::{Keystore, Scope};
pub use review::{ReviewError, review};
pub use signature::{Check, Checked};

use std::io;
use std::path::PathBuf;

/// Why nothing says that an image is genuine.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of the keystore cannot be read or written.
    #[error("Cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Not a public key.
    #[error("Cannot read public key {location:?}")]
    Key {
        /// Where it comes from.
        location: String,
        /// What is wrong.
        source: Box<pgp::errors::Error>,
    },
    /// A file that should hold a public key holds none.
    #[error("No public key in {0:?}")]
    NoKey(String),
    /// A key's file must be named by its fingerprint.
    #[error("Key file {path:?} holds the key {found}: a trusted key's file is named by its fingerprint")]
    Fingerprint {
        /// The file.
        path: PathBuf,
        /// The key's fingerprint.
        found: String,
    },
    /// Not a detached signature.
    #[error("Cannot read signature")]
    Signature(#[source] Box<pgp::errors::Error>),
    /// The user could not be asked.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// A signature file without a signature we can check.
    #[error("No usable signature: {0}")]
    Unusable(String),
    /// No trusted key made any of the signatures.
    #[error("openpgp: signature made by unknown entity")]
    UnknownEntity,
    /// A trusted key is said to have made the signature, but did not, or may not any more.
    #[error("Signature by key {fingerprint} is not valid: {reason}")]
    Invalid {
        /// The key.
        fingerprint: String,
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
