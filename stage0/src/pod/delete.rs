//! Deleting pods.

use super::mounts::unmount_below;
use super::{LockedPod, PodError};

impl LockedPod {
    /// Unmounts what is left below the pod's directory and deletes it.
    ///
    /// If this is interrupted, or the host crashes, the pod is still in its place and can be deleted again.
    pub fn delete(self) -> Result<(), PodError> {
        let path = self.path();
        // Mounts are known by their real path.
        let real = path.canonicalize().map_err(PodError::io("find", &path))?;
        unmount_below(&real).map_err(PodError::io("unmount", &path))?;
        std::fs::remove_dir_all(&path).map_err(PodError::io("delete", &path))
    }
}
