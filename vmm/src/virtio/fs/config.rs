//! What is shared with the guest, and how long it may trust what it has seen.

use std::{fs::File, io, path::PathBuf, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use virtiofsd::passthrough::{self, InodeFileHandlesMode, xattrmap::XattrMap};

use super::{IoLimits, TAG_LEN, Watches, share::overlay::ATTRIBUTES};

/// A limit of open files that no guest's page cache outgrows.
const WANTED_FILES: u64 = 1_000_000;
/// Open files this process needs for itself.
const OWN_FILES: u64 = 600;

/// A directory shared with the guest.
#[derive(Debug, Clone)]
pub struct ShareConfig {
    /// The name by which the guest mounts it: 1 to 36 bytes (virtio 1.2 §5.11.4).
    pub tag: String,
    /// The directory, as seen when the guest mounts it. File systems mounted below it are part of the share.
    pub directory: PathBuf,
    /// Who else writes there.
    pub cache: CachePolicy,
    /// Refuse every change, whatever the guest asks.
    pub read_only: bool,
    /// Whose requests have to wait.
    pub limits: IoLimits,
    /// What the guest watches there, if it can.
    pub watches: Watches,
}

/// What the file server needs of /proc where there is none.
#[derive(Debug)]
pub struct ProcFiles {
    /// The directory /proc/self/fd.
    pub descriptors: File,
    /// /proc/self/mountinfo.
    pub mounts: File,
}

/// How long the guest may trust names and attributes it has read, and whether it may delay writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// Only this pod writes here: the guest keeps names and attributes for a long time and writes back when it likes.
    Pod,
    /// The host, or another pod, may write here too: short lifetimes, and what is written goes through.
    Volume,
}

/// Why a directory cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The tag does not fit the device's configuration space, or is empty.
    #[error("Tag {0:?} of a shared directory is not 1 to {TAG_LEN} bytes long")]
    Tag(String),
    /// Not a directory.
    #[error("Shared directory {0:?} is not a directory")]
    NotADirectory(PathBuf),
    /// The path is not UTF-8, or cannot be looked at.
    #[error("Cannot open shared directory {0:?}")]
    Open(PathBuf, #[source] io::Error),
    /// The file server did not start.
    #[error("Cannot start the file server of {0:?}")]
    Server(PathBuf, #[source] io::Error),
}

impl ShareConfig {
    /// Checks tag and directory.
    pub(super) fn check(&self) -> Result<(), FsError> {
        if self.tag.is_empty() || self.tag.len() > TAG_LEN {
            return Err(FsError::Tag(self.tag.clone()));
        }
        let metadata = self.directory.metadata().map_err(|e| FsError::Open(self.directory.clone(), e))?;
        if !metadata.is_dir() {
            return Err(FsError::NotADirectory(self.directory.clone()));
        }
        Ok(())
    }

    /// What the library is told.
    pub(super) fn passthrough(&self, proc: Option<&ProcFiles>) -> Result<passthrough::Config, FsError> {
        let root = self.directory.to_str().ok_or_else(|| {
            FsError::Open(self.directory.clone(), io::Error::other("The path is not valid UTF-8"))
        })?;
        let own = |file: fn(&ProcFiles) -> &File| {
            let cloned = proc.map(|proc| file(proc).try_clone()).transpose();
            cloned.map_err(|error| FsError::Server(self.directory.clone(), error))
        };
        let lifetime = self.cache.lifetime();
        Ok(passthrough::Config {
            root_dir: root.to_owned(),
            proc_sfd_rawfd: own(|proc| &proc.descriptors)?,
            proc_mountinfo_rawfd: own(|proc| &proc.mounts)?,
            entry_timeout: lifetime,
            attr_timeout: lifetime,
            cache_policy: self.cache.data(),
            writeback: self.writeback(),
            xattr: true,
            xattrmap: self.attribute_names()?,
            // Every app has a file system of its own below the share. Unannounced, their inode numbers would collide.
            announce_submounts: true,
            // The server clears set-user-ID bits, or the guest would ask for attributes with every write.
            killpriv_v2: true,
            inode_file_handles: self.cache.file_handles(),
            guest_fd_limit: files_for_one_share(),
            ..passthrough::Config::default()
        })
    }

    /// What attributes are called on the host.
    fn attribute_names(&self) -> Result<Option<XattrMap>, FsError> {
        if self.cache != CachePolicy::Pod {
            return Ok(None);
        }
        let invalid = |error| FsError::Server(self.directory.clone(), io::Error::other(format!("{error:?}")));
        XattrMap::try_from(ATTRIBUTES).map(Some).map_err(invalid)
    }

    /// Whether the guest may keep what is written to itself until it likes to write it back.
    pub(super) fn writeback(&self) -> bool {
        self.cache == CachePolicy::Pod && !self.read_only
    }
}

impl CachePolicy {
    fn lifetime(self) -> Duration {
        match self {
            CachePolicy::Pod => Duration::from_secs(86_400),
            CachePolicy::Volume => Duration::from_secs(1),
        }
    }

    fn data(self) -> passthrough::CachePolicy {
        match self {
            CachePolicy::Pod => passthrough::CachePolicy::Always,
            CachePolicy::Volume => passthrough::CachePolicy::Auto,
        }
    }

    /// Overlays, which pods' file systems are, have no file handles; asking for them would cost time at every name.
    fn file_handles(self) -> InodeFileHandlesMode {
        match self {
            CachePolicy::Pod => InodeFileHandlesMode::Never,
            CachePolicy::Volume => InodeFileHandlesMode::Prefer,
        }
    }
}

/// Raises this process's limit of open files as far as it goes, and says how many one of two shares may use. Each file
/// whose name the guest remembers is an open file here.
fn files_for_one_share() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let raised = |limit| Rlimit { current: Some(limit), maximum: Some(limit.max(maximum)) };
    let mut usable = current;
    // Only a privileged process may go beyond the hard limit, and none beyond the system's.
    for wanted in [WANTED_FILES, maximum.min(WANTED_FILES)] {
        if usable < wanted && setrlimit(Resource::Nofile, raised(wanted)).is_ok() {
            usable = wanted;
        }
    }
    usable.saturating_sub(OWN_FILES) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(tag: &str, directory: &str) -> ShareConfig {
        ShareConfig {
            tag: tag.to_owned(),
            directory: directory.into(),
            cache: CachePolicy::Pod,
            read_only: false,
            limits: IoLimits::default(),
            watches: Watches::default(),
        }
    }

    #[test]
    fn tag_and_directory_are_checked() {
        assert!(share("rootfs", "/").check().is_ok());
        assert!(share(&"x".repeat(36), "/").check().is_ok());
        assert!(matches!(share(&"x".repeat(37), "/").check(), Err(FsError::Tag(_))));
        assert!(matches!(share("", "/").check(), Err(FsError::Tag(_))));
        assert!(matches!(share("a", "/dev/null").check(), Err(FsError::NotADirectory(_))));
        let error = share("a", "/foo-not-there").check().unwrap_err();
        assert_eq!(error.to_string(), r#"Cannot open shared directory "/foo-not-there""#);
    }

    #[test]
    fn only_what_can_be_written_is_written_back() {
        assert!(share("a", "/").writeback());
        assert!(!ShareConfig { read_only: true, ..share("a", "/") }.writeback());
        assert!(!ShareConfig { cache: CachePolicy::Volume, ..share("a", "/") }.writeback());
    }
}
