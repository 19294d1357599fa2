//! A running pod whose apps this process changes.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Deref;

use appc::PodManifest;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::locked::replace_durably;
use super::{LockedPod, Pod, PodError};

/// The file whose lock is that of changes to a pod. The lock of its directory belongs to stage1 while it runs.
const LOCK_FILE: &str = "pod.lck";

/// A pod whose manifest and apps nobody else changes. It may run meanwhile.
#[derive(Debug)]
pub struct ChangingPod {
    files: LockedPod,
    _lock: File,
}

impl Deref for ChangingPod {
    type Target = LockedPod;

    fn deref(&self) -> &LockedPod {
        &self.files
    }
}

impl Pod {
    /// Waits until nobody else changes the pod's apps.
    pub fn lock_changes(self) -> Result<ChangingPod, PodError> {
        let path = self.path().join(LOCK_FILE);
        let lock = File::open(&path).map_err(PodError::io("open", &path))?;
        rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))
            .map_err(PodError::io("lock", &path))?;
        Ok(ChangingPod { files: LockedPod::new(self, None), _lock: lock })
    }

    /// Takes the lock of changes unless another process holds it, or the pod is gone.
    pub(super) fn try_lock_changes(&self) -> Result<Option<File>, PodError> {
        let path = self.path().join(LOCK_FILE);
        let lock = match File::open(&path) {
            // Its maker died before it had one.
            Err(error) if error.kind() == ErrorKind::NotFound && !self.has_moved()? => File::create(&path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened,
        };
        let lock = lock.map_err(PodError::io("open", &path))?;
        match rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(lock)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(PodError::io("lock", &path)(error)),
        }
    }
}

impl ChangingPod {
    /// Validates and writes the pod's manifest. After a crash it is the old or the new one.
    pub fn change_manifest(&self, manifest: &PodManifest) -> Result<(), PodError> {
        let json = manifest.to_vec().map_err(|source| PodError::Manifest { uuid: self.uuid(), source })?;
        let path = self.path().join("pod");
        replace_durably(&path, &json).map_err(PodError::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{Place, Pods};

    #[test]
    fn changes_wait_for_each_other_and_not_for_the_pod() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(dir.path());
        let mut running = pods.create().unwrap();
        running.move_to(Place::Run).unwrap();
        let uuid = running.uuid();
        let first = pods.open(uuid).unwrap().lock_changes().unwrap();
        let manifest = PodManifest::default();
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| pods.open(uuid).unwrap().lock_changes().map(|pod| pod.manifest()));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!second.is_finished(), "two change it at once");
            first.change_manifest(&manifest).unwrap();
            drop(first);
            second.join().unwrap()
        });
        assert_eq!(second.unwrap().unwrap(), manifest);
    }
}
