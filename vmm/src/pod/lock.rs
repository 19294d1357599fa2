//! The pod's lock: whoever holds it runs the pod (`rkt-reference` §4.2).

use std::{
    env,
    fs::File,
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, FdFlags},
};

use super::directory::PodDirectory;

/// The variable in which stage0 passes the lock's descriptor.
const VARIABLE: &str = "RKT_LOCK_FD";

/// The lock stage0 took on the pod's directory; it falls when this process ends.
#[derive(Debug)]
pub struct PodLock {
    _descriptor: OwnedFd,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not started by rkt.
    #[error("RKT_LOCK_FD is not set: this program is started by rkt, use `rkt run`")]
    Missing,
    /// The variable holds no descriptor's number.
    #[error("RKT_LOCK_FD holds {0:?}, which is not a descriptor")]
    Invalid(String),
    /// The descriptor is not open.
    #[error("RKT_LOCK_FD names descriptor {number}, which cannot be used")]
    Closed {
        /// Its number.
        number: RawFd,
        /// Why.
        source: io::Error,
    },
}

impl PodLock {
    /// Takes over the lock from stage0. Children do not inherit it: they would keep the pod "running".
    pub fn inherit() -> Result<Self, LockError> {
        let text = env::var(VARIABLE).map_err(|_| LockError::Missing)?;
        let number: RawFd = text.parse().ok().filter(|number| *number > 2).ok_or(LockError::Invalid(text))?;
        // SAFETY: stage0 left this descriptor open for us and nothing else in this process knows its number; if it
        // is not open the next call says so, and closing it fails without consequence.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        if let Err(error) = rustix::io::fcntl_setfd(&descriptor, FdFlags::CLOEXEC) {
            std::mem::forget(descriptor);
            return Err(LockError::Closed { number, source: error.into() });
        }
        Ok(PodLock { _descriptor: descriptor })
    }
}

/// Whether somebody runs the pod (`rkt-reference` §4.2).
pub fn is_locked(directory: &PodDirectory) -> io::Result<bool> {
    let probe = File::open(directory.root())?;
    match flock(&probe, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
