//! Where the layers of a pod's overlays are (reference §3.4), and mounting them.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

use super::mounts::is_mount_point;
use super::overlay::Overlay;
use super::{LockedPod, Pod, PodError};

/// Where stage1 appears in the pod's directory.
pub const STAGE1_ROOTFS: &str = "stage1/rootfs";
/// Where apps appear in stage1.
pub const STAGE2: &str = "opt/stage2";

/// Where an app's root file system appears in the pod's directory.
pub fn app_rootfs(app: &str) -> PathBuf {
    Path::new(STAGE1_ROOTFS).join(STAGE2).join(app).join("rootfs")
}

/// The overlay of stage1 in the pod directory `pod`, above the tree `id`.
pub fn stage1_overlay<'a>(pod: &Path, id: &str, lower: &'a [PathBuf]) -> Overlay<'a> {
    let layers = pod.join("overlay").join(id);
    Overlay { lower, upper: layers.join("upper"), work: layers.join("work"), target: pod.join(STAGE1_ROOTFS) }
}

/// The overlay of an app in the pod directory `pod`, above the tree `id`.
pub fn app_overlay<'a>(pod: &Path, app: &str, id: &str, lower: &'a [PathBuf]) -> Overlay<'a> {
    let layers = pod.join("overlay").join(id);
    Overlay {
        lower,
        upper: layers.join("upper").join(app),
        work: layers.join("work").join(app),
        target: pod.join(app_rootfs(app)),
    }
}

impl Pod {
    /// The root file system of stage1 is there: it was copied, or its overlay is mounted.
    pub fn has_stage1(&self) -> Result<bool, PodError> {
        let rootfs = self.path().join(STAGE1_ROOTFS);
        if self.uses_overlay() {
            return is_mount_point(&rootfs).map_err(PodError::io("examine", &rootfs));
        }
        Ok(rootfs.is_dir())
    }
}

impl LockedPod {
    /// Mounts the overlay of stage1.
    pub fn mount_stage1(&self, tree: &str, lower: &[PathBuf]) -> Result<(), PodError> {
        stage1_overlay(&self.path(), tree, lower).mount()
    }

    /// Lets what is mounted below stage1's root file system from now on appear in the mount namespace of the pod's
    /// process, too, whatever the host does with its own mounts.
    pub fn share_stage1(&self) -> Result<(), PodError> {
        let rootfs = self.path().join(STAGE1_ROOTFS);
        let share = || -> io::Result<()> {
            if !is_mount_point(&rootfs)? {
                mount_bind(&rootfs, &rootfs)?;
            }
            Ok(mount_change(&rootfs, MountPropagationFlags::SHARED)?)
        };
        share().map_err(PodError::io("share mounts below", &rootfs))
    }

    /// Mounts the overlay of an app; stage1's must have been mounted.
    pub fn mount_app(&self, app: &str, tree: &str, lower: &[PathBuf]) -> Result<(), PodError> {
        app_overlay(&self.path(), app, tree, lower).mount()
    }
}
