//! Taking an ACI into the store, if it is signed by somebody who may.

use super::{FetchError, Fetcher};
use crate::store::{Imported, Staged};
use crate::trust::{Check, Checked, TrustError};
use appc::{AcIdentifier, ImageName};
use std::io::{self, Read};

/// Longest signature file.
pub(super) const MAX_SIGNATURE: u64 = 1 << 20;

/// What is known about an image before it is read.
#[derive(Debug, Default)]
pub(super) struct Expectation<'a> {
    /// The name it must have.
    pub name: Option<&'a ImageName>,
    /// Whether it was asked for without a version.
    pub latest: bool,
}

impl Fetcher<'_> {
    /// Reads an image and publishes it if its signature and name are right. `signature` is `None` if nobody asks
    /// for one.
    pub(super) fn take(
        &self,
        input: impl Read,
        signature: Option<&[u8]>,
        expected: &Expectation<'_>,
    ) -> Result<Imported, FetchError> {
        let staged = match signature {
            None => self.store.stage(input, self.limits)?,
            Some(signature) => {
                let (staged, checked) = self.stage_checked(input, Check::parse(signature)?)?;
                self.verify(&checked, &staged.manifest.name)?;
                staged
            }
        };
        if let Some(name) = expected.name {
            check_name(name, &staged)?;
        }
        Ok(self.store.publish(staged, &[], expected.latest)?)
    }

    fn stage_checked(&self, input: impl Read, mut check: Check) -> Result<(Staged, Checked), FetchError> {
        let mut reader = check.reader(input);
        let staged = self.store.stage(&mut reader, self.limits)?;
        // The signature is over the file, and the decoder may leave its last bytes.
        let rest = io::copy(&mut reader, &mut io::sink());
        rest.map_err(|source| FetchError::Download { name: "image".to_owned(), source })?;
        Ok((staged, check.finish()?))
    }

    fn verify(&self, checked: &Checked, name: &AcIdentifier) -> Result<(), FetchError> {
        let keys = self.settings.keystore.keys_for(name)?;
        let signer = checked.signer(&keys)?;
        tracing::info!(target: "image", "signature verified:");
        for identity in signer.identities() {
            tracing::info!(target: "image", "  {identity}");
        }
        Ok(())
    }
}

/// A server must not give another image than was asked for.
fn check_name(wanted: &ImageName, staged: &Staged) -> Result<(), FetchError> {
    let manifest = &staged.manifest;
    if manifest.name != wanted.name {
        return Err(FetchError::WrongName {
            wanted: wanted.name.to_string(),
            found: manifest.name.to_string(),
        });
    }
    for label in wanted.labels.iter() {
        match manifest.labels.get(label.name.as_str()) {
            None => return Err(FetchError::NoLabel(label.name.to_string())),
            Some(found) if found != label.value => {
                return Err(FetchError::WrongLabel {
                    label: label.name.to_string(),
                    wanted: label.value.clone(),
                    found: found.to_owned(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl From<TrustError> for FetchError {
    fn from(error: TrustError) -> Self {
        FetchError::Trust(Box::new(error))
    }
}
