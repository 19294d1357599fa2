//! The image store: archives, manifests and layers as plain files named by their content, and an index of them.

mod aside;
mod dirs;
mod group;
mod import;
mod index;
mod key;
mod lock;
mod lookup;
mod reserve;

pub use aside::{Aside, sync_dir};
pub use dirs::Dirs;
pub use group::rkt_group;
pub use import::{ImportError, Imported, Staged, check_aci};
pub use index::{ImageInfo, Index, LayerInfo, Remote, now};
pub use key::{BadKey, Key};
pub use lock::FileLock;
pub use lookup::LookupError;

use appc::{ImageManifest, ManifestError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("Cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The index failed.
    #[error("Cannot use the image index")]
    Index(#[from] rusqlite::Error),
    /// The index was written by another version of rkt.
    #[error("The image index has version {found}, this rkt knows {known}: upgrade rkt")]
    Schema {
        /// The index's version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// The manifest in the store cannot be read.
    #[error("Bad manifest of image {key} in the store")]
    Manifest {
        /// Which image.
        key: Key,
        /// What is wrong.
        source: Box<ManifestError>,
    },
    /// No image with this key.
    #[error("Image {0} is not in the store")]
    Missing(Key),
}

impl StoreError {
    /// For `map_err` on I/O results.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| StoreError::Io { action, path, source }
    }
}

/// The image store of one data directory. Any number of processes may have it open.
#[derive(Debug)]
pub struct Store {
    dirs: Dirs,
    index: Mutex<Index>,
}

impl Store {
    /// Opens the store below `data_dir` (`/var/lib/rkt`), making what is missing.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_index(data_dir, false)
    }

    /// The same for who looks for what could be removed, or removes it, perhaps since the disk is full.
    pub fn open_to_make_room(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_index(data_dir, true)
    }

    fn open_index(data_dir: &Path, to_make_room: bool) -> Result<Self, StoreError> {
        let dirs = Dirs::new(data_dir);
        dirs.make()?;
        let index = Mutex::new(Index::open(&dirs, to_make_room)?);
        Ok(Store { dirs, index })
    }

    /// Where things are.
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The index. Hold it briefly.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        // Every change is one transaction: a thread that panicked left nothing half done.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps images and trees from being removed while the lock is held. Take it before looking up what a pod will
    /// use and hold it until the pod's directory names it.
    pub fn prepare_lock(&self) -> Result<FileLock, StoreError> {
        let path = self.dirs.prepare_lock();
        FileLock::shared(&path).map_err(StoreError::io("lock", &path))
    }

    /// Waits until nobody relies on images staying, for removing some.
    pub fn removal_lock(&self) -> Result<FileLock, StoreError> {
        let path = self.dirs.prepare_lock();
        FileLock::exclusive(&path).map_err(StoreError::io("lock", &path))
    }

    /// The manifest of an image.
    pub fn manifest(&self, key: &Key) -> Result<ImageManifest, StoreError> {
        ImageManifest::from_slice(&self.manifest_bytes(key)?)
            .map_err(|source| StoreError::Manifest { key: key.clone(), source: Box::new(source) })
    }

    /// The manifest of an image as its author wrote it.
    pub fn manifest_bytes(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        let path = self.dirs.manifest(key);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StoreError::Missing(key.clone())),
            Err(e) => Err(StoreError::io("read", &path)(e)),
        }
    }

    /// Removes an image: its archive, manifest, and the layers nothing else uses. Trees and pods stay. False if it
    /// was not there.
    pub fn remove(&self, key: &Key) -> Result<bool, StoreError> {
        let _lock = self.removal_lock()?;
        self.remove_locked(key)
    }

    /// As [`remove`](Self::remove) for a caller who holds the removal lock.
    pub fn remove_locked(&self, key: &Key) -> Result<bool, StoreError> {
        let known = self.index().remove_image(key)?;
        let layers = self.index().remove_unused_layers()?;
        // The index first: files without an entry are swept later, an entry without files would be an error.
        for path in [self.dirs.blob(key), self.dirs.manifest(key)] {
            remove_file(&path)?;
        }
        for layer in layers {
            remove_file(&self.layer_blob(&layer.diff_id))?;
        }
        self.index().keep_reserve();
        Ok(known)
    }

    /// The compressed content of a layer, by the digest of the uncompressed.
    pub fn layer_blob(&self, diff_id: &str) -> PathBuf {
        self.dirs.layers().join(diff_id.get(..2).unwrap_or(diff_id)).join(diff_id)
    }
}

/// Removes a file; absent is fine.
fn remove_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
