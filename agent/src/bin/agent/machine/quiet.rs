//! Whether the host is at work for the shares.
//!
//! What the host has mounted below a share is a file system of its own in the guest, which does not wait for its requests when its
//! last mount goes (Linux 6.12, `virtio_kill_sb`; only the share itself does). Files are closed before, but a file that was
//! being read ahead is closed when that comes back: to a file system that has gone, which breaks the kernel. A process
//! that is killed while it loads a program does that. So mounts go when nothing is under way.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::minor;

use crate::layout::{FUSECTL, POD, VOLUMES};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(1);
/// Apps that go on may always have something under way. What was at the beginning is not any more after this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until the host has answered every request of the shares, or for as long as that can take.
pub fn wait_until_quiet() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    fs::create_dir_all(FUSECTL)?;
    mount(Some("fusectl"), FUSECTL, Some("fusectl"), flags, None::<&str>)?;
    let quiet = wait(&[counter(POD)?, counter(VOLUMES)?], Instant::now() + PATIENCE);
    umount2(FUSECTL, MntFlags::MNT_DETACH)?;
    quiet
}

/// The file that says how many requests of the share mounted at `at` are under way (Documentation/filesystems/fuse.rst).
fn counter(at: &str) -> io::Result<PathBuf> {
    Ok(Path::new(FUSECTL).join(minor(fs::metadata(at)?.dev()).to_string()).join("waiting"))
}

fn wait(counters: &[PathBuf], end: Instant) -> io::Result<()> {
    for counter in counters {
        while Instant::now() < end && is_busy(counter)? {
            sleep(INTERVAL);
        }
    }
    Ok(())
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
        let counters = ["1", "2", "3"].map(|name| directory.path().join(name));
        fs::write(&counters[0], "0\n").unwrap();
        fs::write(&counters[1], "2\n").unwrap();
        let end = Instant::now() + Duration::from_millis(50);
        wait(&counters, end).unwrap();
        assert!(Instant::now() >= end);
        fs::write(&counters[1], "0\n").unwrap();
        wait(&counters, Instant::now() + Duration::from_secs(1000)).unwrap();
    }
}
