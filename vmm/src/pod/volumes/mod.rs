//! The pod's volumes: from the manifest to a directory that is shared with the guest (`rkt-reference` §2.5).
//!
//! ```text
//! manifest ── plan ──▶ Volume… ── source ──▶ directories and files of the host ── share ──▶ one mount for each, below
//!                └───▶ Mount… per app ──────────────────────▶ the agent                     a read-only tmpfs
//! ```
//!
//! All mounts are in stage1's own mount namespace: they vanish with the process, however it ends. What is read-only is
//! so by the host's mounts; nothing depends on what the guest does.

mod fill;
pub mod later;
mod lives;
mod plan;
mod share;
mod source;
mod tree;

use std::{io, path::PathBuf};

use agent::protocol::VolumeMount;
use appc::{AcName, ImageManifest, PodManifest};

pub use lives::{hide_rootfs, show_rootfs};
pub use tree::restrict;

use super::directory::PodDirectory;

/// What the guest is given of the pod's volumes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// The directory to share; none if the pod has no volumes.
    pub share: Option<PathBuf>,
    /// For each app, in the manifest's order, what is mounted where.
    pub mounts: Vec<Vec<VolumeMount>>,
    /// Lines for the user.
    pub warnings: Vec<String>,
}

/// Why the pod cannot have its volumes.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A mount names a volume the pod does not have.
    #[error("Mount \"{path}\" of app {app} names volume \"{volume}\", which the pod does not have")]
    Unknown {
        /// The app.
        app: AcName,
        /// Where it should be mounted.
        path: String,
        /// The volume's name.
        volume: AcName,
    },
    /// The source of a host volume.
    #[error("Cannot use source \"{path}\" of volume \"{volume}\"")]
    Source {
        /// The volume's name.
        volume: String,
        /// The path on the host.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// An empty volume.
    #[error("Cannot make empty volume \"{volume}\"")]
    Empty {
        /// The volume's name.
        volume: String,
        /// Why.
        source: io::Error,
    },
    /// The first content of a volume.
    #[error("Cannot fill volume \"{volume}\" with what the image of app {app} has at \"{path}\"")]
    Fill {
        /// The volume's name.
        volume: String,
        /// The app.
        app: AcName,
        /// The path in the app.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The mounts that are shared with the guest.
    #[error("Cannot mount the volumes for the guest")]
    Share(#[source] io::Error),
}

/// Makes the pod's volumes ready, and in a `mutable` one without any a place for those of apps that are added; `images` are the manifests of its apps' images, in their order. The caller has a mount
/// namespace of its own that nothing propagates out of.
pub fn prepare(
    manifest: &PodManifest,
    images: &[ImageManifest],
    directory: &PodDirectory,
    mutable: bool,
) -> Result<Volumes, VolumeError> {
    let plan = plan::plan(manifest, images)?;
    let share = match plan.volumes.as_slice() {
        [] if mutable => {
            let at = directory.volumes();
            share::mount_growing(&at).map_err(VolumeError::Share)?;
            Some(at)
        }
        [] => None,
        volumes => {
            let mut sources = Vec::with_capacity(volumes.len());
            for volume in volumes {
                let path = source::make(volume, directory)?;
                let mount =
                    tree::clone_tree(&path, volume.access()).map_err(|source| VolumeError::Source {
                        volume: volume.name.clone(),
                        path: path.display().to_string(),
                        source,
                    })?;
                sources.push(mount);
            }
            let at = directory.volumes();
            share::mount(&at, &sources).map_err(VolumeError::Share)?;
            Some(at)
        }
    };
    Ok(Volumes { share, mounts: plan.mounts, warnings: plan.warnings })
}
