//! All pods of a data directory, and one of them as any process may look at it.

use std::cell::OnceCell;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::lock::{DirLock, sync_dir};
use super::{LockedPod, Place, PodError, State};

/// Readable by root and the group `rkt`.
const DIR_MODE: u32 = 0o750;

/// All pods of a data directory.
#[derive(Debug, Clone)]
pub struct Pods {
    root: PathBuf,
}

/// A pod as it was when it was looked at.
#[derive(Debug)]
pub struct Pod {
    pub(super) pods: Pods,
    uuid: Uuid,
    pub(super) place: Place,
    pub(super) dir: DirLock,
    locked: bool,
    /// The tree below stage1's overlay, once it has been asked for.
    pub(super) overlay: OnceCell<String>,
}

impl Pods {
    /// The pods of the data directory `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.join("pods") }
    }

    /// Makes the directories that pods move through.
    pub fn ensure(&self) -> Result<(), PodError> {
        for place in Place::ALL {
            let path = self.place(place);
            make_dir_all(&path).map_err(PodError::io("make directory", &path))?;
        }
        Ok(())
    }

    pub(super) fn place(&self, place: Place) -> PathBuf {
        self.root.join(place.dir_name())
    }

    /// Where a pod is while it is in `place`.
    pub fn path(&self, place: Place, uuid: Uuid) -> PathBuf {
        self.place(place).join(uuid.to_string())
    }

    /// Makes a pod and moves it, locked, to the place of pods in preparation.
    pub fn create(&self) -> Result<LockedPod, PodError> {
        self.ensure()?;
        loop {
            if let Some(mut pod) = self.embryo(Uuid::new_v4())? {
                pod.mark_created()?;
                pod.move_to(Place::Prepare)?;
                return Ok(pod);
            }
        }
    }

    /// Makes a pod's directory and locks it; none if a collector took it for one whose maker had died in between.
    fn embryo(&self, uuid: Uuid) -> Result<Option<LockedPod>, PodError> {
        let path = self.path(Place::Embryo, uuid);
        DirBuilder::new().mode(DIR_MODE).create(&path).map_err(PodError::io("make directory", &path))?;
        let dir = match DirLock::open(&path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PodError::io("open", &path)(error)),
        };
        // Whoever only looks holds the lock for a moment, too.
        dir.exclusive().map_err(PodError::io("lock", &path))?;
        let is_ours = dir.is_at(&path).map_err(PodError::io("examine", &path))?;
        let pod = Pod {
            pods: self.clone(),
            uuid,
            place: Place::Embryo,
            dir,
            locked: true,
            overlay: OnceCell::new(),
        };
        Ok(is_ours.then(|| LockedPod::new(pod, None)))
    }

    /// The pods in `place`, sorted. Entries that are no UUIDs are not pods.
    pub fn list(&self, place: Place) -> Result<Vec<Uuid>, PodError> {
        let path = self.place(place);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(PodError::io("read directory", &path)(error)),
        };
        let mut uuids = Vec::new();
        for entry in entries {
            let name = entry.map_err(PodError::io("read directory", &path))?.file_name();
            uuids.extend(name.to_str().and_then(|name| Uuid::try_parse(name).ok()));
        }
        uuids.sort();
        Ok(uuids)
    }

    /// The one pod whose UUID begins with `prefix`, in any case.
    pub fn find(&self, prefix: &str) -> Result<Uuid, PodError> {
        let wanted = prefix.trim().to_ascii_lowercase();
        if wanted.is_empty() {
            return Err(PodError::EmptyUuid);
        }
        let mut found = Vec::new();
        for place in Place::SEARCHED {
            found.extend(self.list(place)?.into_iter().filter(|uuid| uuid.to_string().starts_with(&wanted)));
        }
        // A pod that moves while we look may be seen in two places.
        found.sort();
        found.dedup();
        match found.as_slice() {
            [] => Err(PodError::NoMatch(prefix.to_owned())),
            [uuid] => Ok(*uuid),
            several => Err(PodError::Ambiguous(several.len())),
        }
    }

    /// Looks at a pod, wherever it is.
    pub fn open(&self, uuid: Uuid) -> Result<Pod, PodError> {
        for place in Place::ALL {
            if let Some(pod) = self.open_in(place, uuid)? {
                return Ok(pod);
            }
        }
        Err(PodError::Gone(uuid))
    }

    /// Looks at a pod if it is in `place`.
    pub fn open_in(&self, place: Place, uuid: Uuid) -> Result<Option<Pod>, PodError> {
        let path = self.path(place, uuid);
        let dir = match DirLock::open(&path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PodError::io("open", &path)(error)),
        };
        let locked = dir.is_held().map_err(PodError::io("lock", &path))?;
        Ok(Some(Pod { pods: self.clone(), uuid, place, dir, locked, overlay: OnceCell::new() }))
    }
}

impl Pod {
    /// The pod's name.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Where it was.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Its directory.
    pub fn path(&self) -> PathBuf {
        self.pods.path(self.place, self.uuid)
    }

    /// What it was doing.
    pub fn state(&self) -> State {
        State::of(self.place, self.locked)
    }

    /// Looks again, wherever the pod is by now.
    pub fn refresh(&mut self) -> Result<(), PodError> {
        *self = self.pods.open(self.uuid)?;
        Ok(())
    }

    /// Whether the pod is no longer where it was: what has been read by its path since may be of no pod at all.
    pub fn has_moved(&self) -> Result<bool, PodError> {
        let path = self.path();
        Ok(!self.dir.is_at(&path).map_err(PodError::io("examine", &path))?)
    }

    /// Takes the pod over, unless another process holds it or has moved it meanwhile.
    ///
    /// In places where the exclusive lock says that a pod is being prepared or runs, only those who do that may have it: what
    /// they have left, for ever, is taken over by the lock of changes, and is shown as what it is.
    pub fn try_lock(self) -> Result<Option<LockedPod>, PodError> {
        let path = self.path();
        let (locked, work) = match self.place {
            Place::Prepare | Place::Run => {
                let left = self.dir.try_shared().map_err(PodError::io("lock", &path))?;
                let work = if left { self.try_lock_changes()? } else { None };
                (work.is_some(), work)
            }
            _ => (self.dir.try_exclusive().map_err(PodError::io("lock", &path))?, None),
        };
        if !locked || self.has_moved()? {
            return Ok(None);
        }
        let locked = work.is_none();
        Ok(Some(LockedPod::new(Pod { locked, ..self }, work)))
    }

    /// Takes the pod over or says who does not let it go.
    pub fn lock(self) -> Result<LockedPod, PodError> {
        let (uuid, state) = (self.uuid, self.state());
        self.try_lock()?.ok_or(PodError::Busy { uuid, state })
    }
}

/// Makes a directory and its parents with the mode of pod directories.
pub(super) fn make_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Renames durably: both parents are on disk when this returns.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<(), PodError> {
    std::fs::rename(from, to).map_err(PodError::io("rename", from))?;
    for parent in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(parent).map_err(PodError::io("write directory", parent))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
