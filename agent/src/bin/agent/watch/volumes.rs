//! The file systems of the volumes, as the agent has them mounted.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, read_dir};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::libc::{self, dev_t};

use super::handle::Handle;
use super::nodes::Found;
use crate::layout::VOLUMES;

/// The roots of the volumes' file systems.
#[derive(Debug, Default)]
pub struct Volumes {
    roots: HashMap<dev_t, Arc<OwnedFd>>,
    others: HashSet<dev_t>,
}

impl Volumes {
    /// A file of a volume, on the agent's own mount: that of an app may be read-only.
    pub fn find(&mut self, device: dev_t, handle: Handle) -> Option<Found> {
        let root = self.root(device)?;
        let file = handle.open(root.as_fd()).ok()?;
        Some(Found { node: handle.node, device, root, file: Arc::new(file) })
    }

    /// Whether a file system is one of a volume's.
    pub fn root(&mut self, device: dev_t) -> Option<Arc<OwnedFd>> {
        if !self.roots.contains_key(&device) && self.others.insert(device) {
            self.look();
        }
        self.roots.get(&device).cloned()
    }

    /// Forgets which file systems are no volume's: apps may have come and gone, and their numbers with them.
    pub fn refresh(&mut self) {
        self.roots.clear();
        self.others.clear();
    }

    fn look(&mut self) {
        let volumes = Path::new(VOLUMES);
        let mut directories = vec![volumes.to_owned()];
        // A volume that is a file is part of the file system they are all in.
        directories.extend(read_dir(volumes).into_iter().flatten().flatten().map(|entry| entry.path()));
        for directory in directories.iter().filter_map(|path| open(path.as_os_str()).ok()) {
            if let Ok(metadata) = directory.metadata() {
                self.roots.entry(metadata.dev()).or_insert_with(|| Arc::new(directory.into()));
            }
        }
    }
}

/// Opened for reading: handles can be opened by nothing less.
fn open(path: &OsStr) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}
