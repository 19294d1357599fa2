//! How much of a share the guest's page cache takes.
//!
//! Linux trusts no FUSE server: it lets a share hold 1 % of the memory that may be dirty, and reads 128 KiB ahead. Ours
//! is the host, and answers requests of 1 MiB. So shares get what a disk gets.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{major, minor};

use crate::layout::SYSFS;

/// Settings of a backing device, `Documentation/ABI/testing/sysfs-class-bdi` of the kernel.
const SETTINGS: [(&str, &str); 3] = [("read_ahead_kb", "1024"), ("strict_limit", "0"), ("max_ratio", "100")];

/// Forgets every name and file of the shares that nothing uses, so that the host need not keep them.
///
/// Linux keeps names for as long as the host has vouched for them, and with them the host keeps files open that it has deleted.
pub fn forget_names() -> io::Result<()> {
    // 4: no line about it in the kernel's log from now on; 2: names and inodes (Documentation/admin-guide/sysctl/vm.rst). What
    // was used lately may only grow old the first time.
    ["4", "2", "2"].into_iter().try_for_each(|what| fs::write("/proc/sys/vm/drop_caches", what))
}

/// Lets the share mounted at `at` use the page cache as a disk does.
pub fn widen(at: &str) -> io::Result<()> {
    let device = fs::metadata(at)?.dev();
    fs::create_dir(SYSFS)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("sysfs"), SYSFS, Some("sysfs"), flags, None::<&str>)?;
    let backing = format!("{SYSFS}/class/bdi/{}:{}", major(device), minor(device));
    let set = SETTINGS.iter().try_for_each(|(name, value)| fs::write(Path::new(&backing).join(name), value));
    umount2(SYSFS, MntFlags::MNT_DETACH)?;
    fs::remove_dir(SYSFS)?;
    set
}
