//! Limits of the whole process: resources, and the descriptors it begins with.

use std::{io, os::fd::RawFd};

use rustix::process::{Resource, Rlimit, setrlimit};

/// What a VMM never uses. The number of open files is the file server's to set; that of processes does not bind root.
const UNUSED: [Resource; 5] =
    [Resource::Core, Resource::Memlock, Resource::Msgqueue, Resource::Rtprio, Resource::Nice];

/// Sets the limits.
pub fn set() -> io::Result<()> {
    for resource in UNUSED {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    Ok(())
}

/// Closes every descriptor above stderr but these. Nothing may own one of those that are closed.
pub fn close_all_but(kept: impl IntoIterator<Item = RawFd>) -> io::Result<()> {
    let mut kept: Vec<RawFd> = kept.into_iter().filter(|kept| *kept > libc::STDERR_FILENO).collect();
    kept.sort_unstable();
    let mut first = libc::STDERR_FILENO + 1;
    for kept in kept.into_iter().chain([RawFd::MAX]) {
        if first < kept {
            // SAFETY: the caller vouches that nothing owns them.
            let result = unsafe { libc::close_range(first as u32, kept as u32 - 1, 0) };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = kept.saturating_add(1);
    }
    Ok(())
}
