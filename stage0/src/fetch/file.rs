//! ACIs in files.

use super::verify::{Expectation, MAX_SIGNATURE};
use super::{FetchError, Fetcher};
use crate::store::Key;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

impl Fetcher<'_> {
    /// An image file; its signature is in `signature`, or beside it in a file of its name and `.asc`.
    pub(super) fn file(&self, path: &Path, signature: Option<&Path>) -> Result<Key, FetchError> {
        if !self.verifies {
            return self.import_file(path);
        }
        let beside = || PathBuf::from(format!("{}.asc", path.display()));
        let signature = read_signature(&signature.map_or_else(beside, Path::to_path_buf))?;
        let file = open(path)?;
        Ok(self.take(file, Some(&signature), &Expectation::default())?.key)
    }

    pub(super) fn import_file(&self, path: &Path) -> Result<Key, FetchError> {
        Ok(self.take(open(path)?, None, &Expectation::default())?.key)
    }
}

fn open(path: &Path) -> Result<File, FetchError> {
    tracing::debug!(target: "image", "using image from file {}", path.display());
    let failed = |source| FetchError::File { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

fn read_signature(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |source| FetchError::SignatureFile { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_SIGNATURE).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}
