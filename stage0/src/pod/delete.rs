//! Deleting pods.

use std::io;
use std::path::Path;

use super::mounts::unmount_below;
use super::{LockedPod, PodError};
use crate::archive::beneath::{self, BeneathError};

impl LockedPod {
    /// Unmounts what is left below the pod's directory and deletes it.
    ///
    /// If this is interrupted, or the host crashes, the pod is still in its place and can be deleted again.
    pub fn delete(self) -> Result<(), PodError> {
        let path = self.path();
        // Mounts are known by their real path.
        let real = path.canonicalize().map_err(PodError::io("find", &path))?;
        unmount_below(&real).map_err(PodError::io("unmount", &path))?;
        remove(&path)
    }
}

/// Removes a directory or file and everything below, however an app left it; absent is fine.
pub fn remove(path: &Path) -> Result<(), PodError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(PodError::io("delete", path)(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    beneath::remove_tree(parent, name).map_err(|error| match error {
        BeneathError::Io { source, .. } => PodError::io("delete", path)(source),
        other => PodError::io("delete", path)(io::Error::other(other)),
    })
}
