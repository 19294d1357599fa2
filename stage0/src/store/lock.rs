//! Locks between rkt processes: `flock(2)` on files that stay. They fall with the process, however it dies.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o660).open(path)
}

fn lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
    }
}

impl FileLock {
    /// Waits for a lock that others may hold as well.
    pub fn shared(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        lock(&file, FlockOperation::LockShared)?;
        Ok(FileLock { _file: file })
    }

    /// Waits for the lock alone.
    pub fn exclusive(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        lock(&file, FlockOperation::LockExclusive)?;
        Ok(FileLock { _file: file })
    }

    /// The lock alone if nobody holds it now.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        Ok(lock(&file, FlockOperation::NonBlockingLockExclusive)?.then_some(FileLock { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusive_excludes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let a = FileLock::shared(&path).unwrap();
        let b = FileLock::shared(&path).unwrap();
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop((a, b));
        let c = FileLock::try_exclusive(&path).unwrap();
        assert!(c.is_some() && FileLock::try_exclusive(&path).unwrap().is_none());
    }
}
