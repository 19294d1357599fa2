//! ACIs in files.

use super::{FetchError, Fetcher};
use crate::store::Key;
use std::fs::File;
use std::path::Path;

impl Fetcher<'_> {
    pub(super) fn file(&self, path: &Path) -> Result<Key, FetchError> {
        if self.verifies {
            return Err(FetchError::Unsigned(path.to_path_buf()));
        }
        self.import_file(path)
    }

    pub(super) fn import_file(&self, path: &Path) -> Result<Key, FetchError> {
        tracing::debug!(target: "image", "using image from file {}", path.display());
        let open = |source| FetchError::File { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(open)?;
        let meta = file.metadata().map_err(open)?;
        if meta.is_dir() {
            return Err(open(std::io::ErrorKind::IsADirectory.into()));
        }
        Ok(self.store.import(file, self.limits, false)?.key)
    }
}
