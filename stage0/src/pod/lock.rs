//! Locks on directories. They belong to the open directory, so they travel with an inherited descriptor and fall
//! with the last process that holds it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, FlockOperation, Mode, OFlags, fadvise, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// How long a look at a lock may take, on a busy machine.
const LOOK: Duration = Duration::from_secs(1);

/// An open directory, locked or to be locked.
#[derive(Debug)]
pub struct DirLock {
    dir: OwnedFd,
}

impl DirLock {
    /// Opens a directory without locking it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let dir =
            rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir })
    }

    /// Waits for the exclusive lock.
    pub fn exclusive(&self) -> io::Result<()> {
        retry(|| flock(&self.dir, FlockOperation::LockExclusive))?;
        Ok(())
    }

    /// Takes the exclusive lock unless another process holds one. Returns whether it was taken. Who only looks
    /// ([`is_held`](Self::is_held)) has a shared one for a moment, and is waited for.
    pub fn try_exclusive(&self) -> io::Result<bool> {
        let patience = Instant::now() + LOOK;
        loop {
            if taken(retry(|| flock(&self.dir, FlockOperation::NonBlockingLockExclusive)))? {
                return Ok(true);
            }
            if self.is_held()? || Instant::now() >= patience {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes a shared lock unless another process holds the exclusive one. Returns whether it was taken.
    pub fn try_shared(&self) -> io::Result<bool> {
        taken(retry(|| flock(&self.dir, FlockOperation::NonBlockingLockShared)))
    }

    /// Whether another process holds the exclusive lock.
    pub fn is_held(&self) -> io::Result<bool> {
        let free = self.try_shared()?;
        if free {
            retry(|| flock(&self.dir, FlockOperation::Unlock))?;
        }
        Ok(!free)
    }

    /// Lets the descriptor, and with it the lock, survive `exec`.
    pub fn keep_across_exec(&self) -> io::Result<RawFd> {
        fcntl_setfd(&self.dir, FdFlags::empty())?;
        Ok(self.dir.as_raw_fd())
    }

    /// Puts everything written to the directory's file system on disk.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.dir)?)
    }

    /// Whether `path` still is this directory: it may have been renamed since it was opened.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = rustix::fs::fstat(&self.dir)?;
        match rustix::fs::stat(path) {
            Ok(other) => Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn retry(mut lock: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(&mut lock)
}

fn taken(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Has the kernel begin to write a file to disk. Linux does so when it is told that the file will not be read soon.
pub fn start_writing(file: &File) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Makes a directory's entries durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_others_until_it_falls() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::open(dir.path()).unwrap();
        let second = DirLock::open(dir.path()).unwrap();
        assert!(!second.is_held().unwrap());
        assert!(first.try_exclusive().unwrap());
        assert!(second.is_held().unwrap());
        assert!(!second.try_exclusive().unwrap());
        drop(first);
        assert!(second.try_exclusive().unwrap());
    }

    #[test]
    fn probing_leaves_no_lock_behind() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::open(dir.path()).unwrap();
        assert!(!first.is_held().unwrap());
        assert!(DirLock::open(dir.path()).unwrap().try_exclusive().unwrap());
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_the_lock_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let looks = DirLock::open(dir.path()).unwrap();
        let takes = DirLock::open(dir.path()).unwrap();
        assert!(looks.try_shared().unwrap());
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| takes.try_exclusive().unwrap());
            std::thread::sleep(LOOK / 10);
            drop(looks);
            assert!(taken.join().unwrap());
        });
        let stays = DirLock::open(dir.path()).unwrap();
        drop(takes);
        assert!(stays.try_shared().unwrap());
        assert!(!DirLock::open(dir.path()).unwrap().try_exclusive().unwrap());
    }

    #[test]
    fn a_renamed_directory_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir(&a).unwrap();
        let lock = DirLock::open(&a).unwrap();
        assert!(lock.is_at(&a).unwrap());
        std::fs::rename(&a, &b).unwrap();
        assert!(!lock.is_at(&a).unwrap() && lock.is_at(&b).unwrap());
    }
}
