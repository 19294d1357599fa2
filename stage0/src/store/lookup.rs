//! Finding images by what users write.

use super::{Key, Store, StoreError};
use appc::{AcIdentifier, Hash, Labels};

/// Why an image was not found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No image has this key.
    #[error("no image IDs found")]
    NotFound,
    /// Fewer than two digits.
    #[error("image ID too short")]
    TooShort,
    /// Several images have such a key.
    #[error("ambiguous image ID")]
    Ambiguous,
    /// No image has this name and these labels.
    #[error("cannot find aci satisfying name: {0:?} in the local store")]
    Name(String),
}

/// Digits a key prefix must have.
const LEAST_DIGITS: usize = 2;

impl Store {
    /// The image whose key starts like `hash` (which may be longer than a key).
    pub fn find_key(&self, hash: &Hash) -> Result<Key, LookupError> {
        if hash.digits().len() < LEAST_DIGITS {
            return Err(LookupError::TooShort);
        }
        let mut found = self.index().images_starting_with(hash.key())?;
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(LookupError::NotFound),
            (Some(key), true) => Ok(key),
            (Some(_), false) => Err(LookupError::Ambiguous),
        }
    }

    /// The image of this name that has all of `labels`: without a version asked for, the one fetched as the
    /// latest, else the newest import. `None` if there is none.
    pub fn find_name(&self, name: &AcIdentifier, labels: &Labels) -> Result<Option<Key>, StoreError> {
        let candidates = self.index().images_named(name.as_str())?;
        for image in candidates {
            let manifest = match self.manifest(&image.key) {
                // Removed by another process a moment ago.
                Err(StoreError::Missing(_)) => continue,
                result => result?,
            };
            if labels.iter().all(|l| manifest.labels.get(l.name.as_str()) == Some(l.value.as_str())) {
                return Ok(Some(image.key));
            }
        }
        Ok(None)
    }
}
