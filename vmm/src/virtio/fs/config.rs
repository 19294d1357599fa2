//! What is shared with the guest, and how long it may trust what it has seen.

use std::{fs::File, io, path::PathBuf, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use virtiofsd::passthrough::{self, InodeFileHandlesMode, xattrmap::XattrMap};

use super::{IoLimits, TAG_LEN, Watches, share::overlay::ATTRIBUTES};

/// A limit of open files that every kernel allows (`fs.nr_open`).
const USUAL_FILES: u64 = 1_000_000;
/// Linux takes more of a guest's memory for each file whose name it remembers or that is open.
const BYTES_OF_A_FILE: u64 = 512;
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
    /// How many files the guest may remember and have open ([`files_of`]). Each is an open file of the host.
    pub files: u64,
    /// Whose requests have to wait.
    pub limits: IoLimits,
    /// What the guest watches there, if it can.
    pub watches: Watches,
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

    /// What the library is told; `descriptors` is /proc/self/fd where there is no /proc.
    pub(super) fn passthrough(&self, descriptors: Option<&File>) -> Result<passthrough::Config, FsError> {
        let root = self.directory.to_str().ok_or_else(|| {
            FsError::Open(self.directory.clone(), io::Error::other("The path is not valid UTF-8"))
        })?;
        let descriptors = descriptors.map(File::try_clone).transpose();
        let lifetime = self.cache.lifetime();
        Ok(passthrough::Config {
            root_dir: root.to_owned(),
            proc_sfd_rawfd: descriptors.map_err(|error| FsError::Server(self.directory.clone(), error))?,
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
            // Who may open file handles may open any file of a file system, shared or not.
            inode_file_handles: InodeFileHandlesMode::Never,
            guest_fd_limit: files_for_one_share(self.files),
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
}

/// More files than a guest with so many bytes of memory can remember and have open in a share, so that it does not come to that limit,
/// and what one that forgets nothing takes of the host has a bound that goes with its own memory.
pub fn files_of(memory: u64) -> u64 {
    memory / BYTES_OF_A_FILE
}

/// Raises this process's limit of open files for two shares of `wanted`, as far as that goes, and says how many one may use.
fn files_for_one_share(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let raised = |limit| Rlimit { current: Some(limit), maximum: Some(limit.max(maximum)) };
    let all = wanted.saturating_mul(2).saturating_add(OWN_FILES);
    let mut usable = current;
    // Only a privileged process may go beyond the hard limit, and none beyond the system's.
    for limit in [all, USUAL_FILES.min(all), maximum.min(all)] {
        if usable < limit && setrlimit(Resource::Nofile, raised(limit)).is_ok() {
            usable = limit;
        }
    }
    wanted.min(usable.saturating_sub(OWN_FILES) / 2)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    impl ShareConfig {
        /// A share that others of this crate's tests serve.
        pub fn of(directory: &Path, cache: CachePolicy) -> Self {
            ShareConfig {
                tag: "rootfs".into(),
                directory: directory.to_owned(),
                cache,
                read_only: false,
                files: 1000,
                limits: IoLimits::default(),
                watches: Watches::default(),
            }
        }
    }

    fn share(tag: &str, directory: &str) -> ShareConfig {
        ShareConfig { tag: tag.to_owned(), ..ShareConfig::of(Path::new(directory), CachePolicy::Pod) }
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
    fn what_memory_has_room_for_is_asked_for() {
        assert_eq!(files_of(512 << 20), 1 << 20);
        let (before, maximum) = {
            let limit = getrlimit(Resource::Nofile);
            (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
        };
        assert_eq!(files_for_one_share(10), 10);
        // Who is not privileged gets a part of it.
        let most = files_for_one_share(before);
        let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(
            now >= before.min(maximum) && (most == before || most == (now - OWN_FILES) / 2),
            "{most} of {now}"
        );
        assert!(files_for_one_share(u64::MAX) < u64::MAX / 2);
    }

    #[test]
    fn only_what_can_be_written_is_written_back() {
        assert!(share("a", "/").writeback());
        assert!(!ShareConfig { read_only: true, ..share("a", "/") }.writeback());
        assert!(!ShareConfig { cache: CachePolicy::Volume, ..share("a", "/") }.writeback());
    }
}
