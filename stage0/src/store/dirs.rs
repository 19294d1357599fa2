//! Where things are in the data directory (rkt-reference 4.1).

use super::{Key, StoreError};
use rustix::fs::{self, Gid, Mode};
use std::path::{Path, PathBuf};

/// Paths below the data directory.
#[derive(Debug, Clone)]
pub struct Dirs {
    data: PathBuf,
}

/// Directories made when the store is opened, parents first, with their modes: set-group-id makes what is made in
/// them belong to group rkt, whose members may fetch, list and remove images.
const MADE: &[(&str, u32)] = &[
    ("", 0o2750),
    ("cas", 0o2770),
    ("cas/blob", 0o2770),
    ("cas/blob/sha512", 0o2770),
    ("cas/imageManifest", 0o2770),
    ("cas/imageManifest/sha512", 0o2770),
    ("cas/layer", 0o2770),
    ("cas/layer/sha256", 0o2770),
    ("cas/db", 0o2770),
    ("cas/imagelocks", 0o2770),
    ("cas/treestorelocks", 0o2770),
    ("cas/tmp", 0o2770),
    ("cas/tree", 0o2700),
    ("locks", 0o2770),
    ("tmp", 0o2750),
];

impl Dirs {
    /// The layout below `data`.
    pub fn new(data: &Path) -> Self {
        Dirs { data: data.to_path_buf() }
    }

    /// Makes what is missing.
    pub fn make(&self) -> Result<(), StoreError> {
        if let Some(parent) = self.data.parent() {
            std::fs::create_dir_all(parent).map_err(StoreError::io("make directory", parent))?;
        }
        for (name, mode) in MADE {
            self.make_dir(&self.data.join(name), *mode)?;
        }
        Ok(())
    }

    fn make_dir(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        match std::fs::create_dir(path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
            Err(e) => return Err(StoreError::io("make directory", path)(e)),
        }
        let group = super::group::rkt_group().filter(|_| rustix::process::geteuid().is_root());
        if let Some(gid) = group {
            fs::chown(path, None, Some(Gid::from_raw(gid)))
                .map_err(|e| StoreError::io("change group of", path)(e.into()))?;
        }
        // mkdir(2) leaves set-group-id and the umask's bits to be set apart.
        fs::chmod(path, Mode::from_raw_mode(mode))
            .map_err(|e| StoreError::io("change mode of", path)(e.into()))
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The image's archive.
    pub fn blob(&self, key: &Key) -> PathBuf {
        self.blobs().join(key.fan_out()).join(key.as_str())
    }

    /// All archives.
    pub fn blobs(&self) -> PathBuf {
        self.data.join("cas/blob/sha512")
    }

    /// The image's manifest.
    pub fn manifest(&self, key: &Key) -> PathBuf {
        self.manifests().join(key.fan_out()).join(key.as_str())
    }

    /// All manifests.
    pub fn manifests(&self) -> PathBuf {
        self.data.join("cas/imageManifest/sha512")
    }

    /// All layers of OCI images.
    pub fn layers(&self) -> PathBuf {
        self.data.join("cas/layer/sha256")
    }

    /// Downloads.
    pub fn tmp(&self) -> PathBuf {
        self.data.join("cas/tmp")
    }

    /// The index.
    pub fn index(&self) -> PathBuf {
        self.data.join("cas/db/index.sqlite")
    }

    /// Held while the index is opened.
    pub fn index_lock(&self) -> PathBuf {
        self.data.join("cas/db/lock")
    }

    /// Shared while something relies on images staying, exclusive while some are removed.
    pub fn prepare_lock(&self) -> PathBuf {
        self.data.join("locks/prepareLock")
    }

    /// Held while something named `name` is fetched or written.
    pub fn image_lock(&self, name: &str) -> PathBuf {
        self.data.join("cas/imagelocks").join(name)
    }

    /// Rendered trees.
    pub fn trees(&self) -> PathBuf {
        self.data.join("cas/tree")
    }

    /// Held while the tree is rendered or removed.
    pub fn tree_lock(&self, id: &str) -> PathBuf {
        self.data.join("cas/treestorelocks").join(id)
    }

    /// Pods, whose references keep trees.
    pub fn pods(&self) -> PathBuf {
        self.data.join("pods")
    }

    /// Scratch for exports.
    pub fn scratch(&self) -> PathBuf {
        self.data.join("tmp")
    }

    /// Makes the fan-out directory a file of the store goes to.
    pub fn make_fan_out(&self, file: &Path) -> Result<(), StoreError> {
        match file.parent() {
            Some(dir) => self.make_dir(dir, 0o2770),
            None => Ok(()),
        }
    }
}
