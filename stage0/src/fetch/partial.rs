//! Downloads of ACIs that may be interrupted and resumed.

use super::FetchError;
use crate::http::Response;
use crate::store::{FileLock, Store, StoreError};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use url::Url;

/// A file in the store's `tmp`, and beside it one that says which version of the image it is the beginning of. Used by
/// one process at a time; it stays when the process dies.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    _lock: FileLock,
}

impl Partial {
    /// Waits for the download of `url` and opens what there is of it.
    pub fn lock(store: &Store, url: &Url) -> Result<Self, StoreError> {
        let name = format!("aci-{}", &hex::encode(Sha256::digest(url.as_str()))[..32]);
        let lock = store.dirs().image_lock(&name);
        let _lock = FileLock::exclusive(&lock).map_err(StoreError::io("lock", &lock))?;
        let path = store.dirs().tmp().join(name);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(StoreError::io("open", &path))?;
        Ok(Partial { path, file, _lock })
    }

    /// The name of the file beside a partial one. It has the same lock.
    fn validator_path(&self) -> PathBuf {
        self.path.with_extension("version")
    }

    /// How much is there, and what the server called the version it is of.
    pub fn resumable(&self) -> Result<Option<(u64, String)>, FetchError> {
        let have = self.file.metadata().map_err(self.failed("examine"))?.len();
        let validator = std::fs::read_to_string(self.validator_path()).unwrap_or_default();
        Ok((have > 0 && !validator.is_empty()).then_some((have, validator)))
    }

    /// Makes the file ready for what the server sends, and returns the byte it starts at.
    pub fn start(&mut self, response: &Response) -> Result<u64, FetchError> {
        let have = self.file.metadata().map_err(self.failed("examine"))?.len();
        let range =
            response.header("content-range").and_then(|r| r.strip_prefix("bytes ")?.split('-').next());
        let from = match (response.status, range.and_then(|r| r.parse::<u64>().ok())) {
            (206, Some(from)) if from <= have => from,
            (206, _) => return Err(FetchError::Range(response.url.to_string())),
            _ => 0,
        };
        self.file.set_len(from).map_err(self.failed("truncate"))?;
        self.file.seek(SeekFrom::Start(from)).map_err(self.failed("write"))?;
        // Only strong entity tags and dates promise the same bytes (RFC 9110, 13.1.5).
        let tag = response.header("etag").filter(|tag| tag.starts_with('"'));
        let validator = tag.or(response.header("last-modified")).unwrap_or_default();
        std::fs::write(self.validator_path(), validator).map_err(self.failed("write"))?;
        Ok(from)
    }

    /// The file, at the place where what comes belongs.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The whole file from its beginning.
    pub fn reader(&mut self) -> Result<&mut File, FetchError> {
        self.file.seek(SeekFrom::Start(0)).map_err(self.failed("read"))?;
        Ok(&mut self.file)
    }

    /// Removes it. What cannot be removed is swept up by `image gc`.
    pub fn remove(&self) {
        for path in [self.path.clone(), self.validator_path()] {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(target: "image", "cannot remove {}: {error}", path.display());
            }
        }
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> FetchError + use<> {
        let failed = StoreError::io(action, &self.path);
        move |source| failed(source).into()
    }
}
