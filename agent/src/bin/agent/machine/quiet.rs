//! Whether the host is at work for the shares.
//!
//! What the host has mounted below a share is a file system of its own in the guest, which does not wait for its requests when its
//! last mount goes (Linux 6.12, `virtio_kill_sb`; only the share itself does). Files are closed before, but a file that was
//! being read ahead is closed when that comes back: to a file system that has gone, which breaks the kernel. A process
//! that is killed while it loads a program does that. So mounts go when nothing is under way. With our patch
//! (`guest-kernel/patches/fuse-submounts-outlive-requests.patch`) the kernel waits itself, in which time PID 1 would do nothing else.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::stat::minor;

use crate::layout::{FUSECTL, POD, VOLUMES};

/// How often it is to be looked.
pub const INTERVAL: Duration = Duration::from_millis(1);
/// Apps that go on may always have something under way. What was at the beginning is not any more after this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until the host has answered what it was asked before, or for as long as that can take.
#[derive(Debug)]
pub struct Quiet {
    /// Files that say how many requests of a share are under way (Documentation/filesystems/fuse.rst).
    busy: Vec<PathBuf>,
    end: Instant,
}

impl Quiet {
    /// Begins to wait for the answers to all that has been asked by now.
    pub fn from(now: Instant) -> io::Result<Self> {
        provide_counters()?;
        Ok(Self { busy: vec![counter(POD)?, counter(VOLUMES)?], end: now + PATIENCE })
    }

    /// Looks whether everything has been answered. An error means that this cannot be known, and will not be.
    pub fn has_come(&mut self, now: Instant) -> io::Result<bool> {
        while now < self.end
            && let Some(counter) = self.busy.last()
        {
            if is_busy(counter)? {
                return Ok(false);
            }
            self.busy.pop();
        }
        Ok(true)
    }
}

/// Mounts the counters, once.
fn provide_counters() -> io::Result<()> {
    match fs::create_dir(FUSECTL) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("fusectl"), FUSECTL, Some("fusectl"), flags, None::<&str>)
        .inspect_err(|_| drop(fs::remove_dir(FUSECTL)))?;
    Ok(())
}

fn counter(at: &str) -> io::Result<PathBuf> {
    Ok(Path::new(FUSECTL).join(minor(fs::metadata(at)?.dev()).to_string()).join("waiting"))
}

fn is_busy(counter: &Path) -> io::Result<bool> {
    match fs::read_to_string(counter) {
        Ok(count) => Ok(count.trim() != "0"),
        // A pod without volumes has no second share.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_waited_for_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let busy = ["1", "2", "3"].map(|name| directory.path().join(name)).to_vec();
        fs::write(&busy[0], "0\n").unwrap();
        fs::write(&busy[1], "2\n").unwrap();
        let now = Instant::now();
        let mut quiet = Quiet { busy: busy.clone(), end: now + PATIENCE };
        assert!(!quiet.has_come(now).unwrap());
        assert!(quiet.has_come(now + PATIENCE).unwrap());
        fs::write(&busy[1], "0\n").unwrap();
        // What is asked later is not waited for.
        fs::write(&busy[0], "1\n").unwrap();
        assert!(!quiet.has_come(now).unwrap());
        fs::write(&busy[1], "1\n").unwrap();
        fs::write(&busy[0], "0\n").unwrap();
        assert!(quiet.has_come(now).unwrap());
    }
}
