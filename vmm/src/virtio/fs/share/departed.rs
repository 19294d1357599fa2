//! Files of volumes that the host has deleted while the guest remembers them.
//!
//! Each file that the guest remembers is an open file here, and what is open keeps its blocks on the disk. A guest that is
//! never short of memory remembers for ever. So once in a while the files that it does not have open are looked at, and
//! those without a name are let go of: the guest is told that they are stale, should it ask for them again.
//!
//! File handles (open_by_handle_at(2)) would need none of this, but whoever may open those may open every file of a file
//! system, be it shared with the guest or not.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use virtiofsd::filesystem::{Entry, FileSystem};

use super::{Share, own};

/// How long between two looks.
const PERIOD: Duration = Duration::from_secs(5);

/// How many files are looked at in one: a few thousandths of a CPU's time.
const AT_ONCE: usize = 8192;

/// The regular files that the guest remembers, and which of them it has open.
#[derive(Debug)]
pub(super) struct Departed {
    /// How many the guest may know, and so how many are remembered.
    most: usize,
    known: Mutex<Known>,
    open: Mutex<HashMap<u64, u64>>,
}

#[derive(Debug, Default)]
struct Known {
    files: BTreeSet<u64>,
    /// The last one that has been looked at.
    looked_at: u64,
    /// When the next ones are.
    due: Option<Instant>,
}

impl Departed {
    /// Those of a guest that may know so many files.
    pub fn new(files: u64) -> Self {
        let most = usize::try_from(files).unwrap_or(usize::MAX);
        Departed { most, known: Mutex::default(), open: Mutex::default() }
    }

    /// The guest has been told of a file.
    pub fn told(&self, entry: &Entry) {
        let mut known = lock(&self.known);
        if entry.attr.mode & libc::S_IFMT == libc::S_IFREG && known.files.len() < self.most {
            known.files.insert(entry.inode);
            known.due.get_or_insert_with(|| Instant::now() + PERIOD);
        }
    }

    /// The guest opens a file.
    pub fn opens(&self, inode: u64) {
        *lock(&self.open).entry(inode).or_default() += 1;
    }

    /// It has closed it, or could not open it.
    pub fn closed(&self, inode: u64) {
        let mut open = lock(&self.open);
        if let Some(times) = open.get_mut(&inode) {
            *times -= 1;
            if *times == 0 {
                open.remove(&inode);
            }
        }
    }

    /// The guest begins anew.
    pub fn clear(&self) {
        *lock(&self.known) = Known::default();
        lock(&self.open).clear();
    }

    /// How long until files are to be looked at, if there are any.
    pub fn until_due(&self, now: Instant) -> Option<Duration> {
        lock(&self.known).due.map(|due| due.saturating_duration_since(now))
    }

    /// The files to be looked at now, none if it is not time or another thread is at it.
    fn next(&self, now: Instant) -> Vec<u64> {
        let mut known = lock(&self.known);
        if known.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let after = (Bound::Excluded(known.looked_at), Bound::Unbounded);
        let next: Vec<u64> = known.files.range(after).take(AT_ONCE).copied().collect();
        known.looked_at = if next.len() < AT_ONCE { 0 } else { *next.last().unwrap_or(&0) };
        known.due = (!known.files.is_empty()).then_some(now + PERIOD);
        next
    }

    fn forget(&self, inode: u64) {
        lock(&self.known).files.remove(&inode);
    }
}

impl Share {
    /// Lets go of files that have no name any more, if it is time to look for some. To be called beside no INIT or DESTROY.
    pub fn let_go_of_departed(&self, now: Instant) {
        let Some(departed) = &self.departed else { return };
        for inode in departed.next(now) {
            let Ok((attr, _)) = self.files.getattr(own(), inode, None) else {
                // The guest has forgotten it.
                departed.forget(inode);
                continue;
            };
            // Nobody opens it meanwhile.
            let open = lock(&departed.open);
            if attr.nlink == 0 && !open.contains_key(&inode) {
                self.forget(own(), inode, u64::MAX);
                departed.forget(inode);
            }
        }
    }

    /// How long until there is something to look at, if the guest remembers files.
    pub fn until_departed(&self, now: Instant) -> Option<Duration> {
        self.departed.as_ref()?.until_due(now)
    }

    /// The guest has been told of a file.
    pub(super) fn told(&self, entry: &Entry) {
        if let Some(departed) = &self.departed {
            departed.told(entry);
        }
    }

    /// A file has been made, and is open by this handle.
    pub(super) fn made_open(&self, entry: &Entry, handle: Option<u64>) {
        if let (Some(departed), Some(_)) = (&self.departed, handle) {
            departed.told(entry);
            departed.opens(entry.inode);
        }
    }

    /// The guest has closed a file.
    pub(super) fn closed(&self, inode: u64) {
        if let Some(departed) = &self.departed {
            departed.closed(inode);
        }
    }

    /// Opens a file, to which nothing happens until it is closed.
    pub(super) fn opening<T>(
        &self,
        inode: u64,
        open: impl FnOnce() -> io::Result<(Option<u64>, T)>,
    ) -> io::Result<(Option<u64>, T)> {
        let Some(departed) = &self.departed else { return open() };
        departed.opens(inode);
        let opened = self.or_stale(inode, open());
        if !matches!(opened, Ok((Some(_), _))) {
            departed.closed(inode);
        }
        opened
    }

    /// What the guest is told of a file that has been let go of: to look for its name again.
    pub(super) fn or_stale<T>(&self, inode: u64, answer: io::Result<T>) -> io::Result<T> {
        answer.map_err(|error| {
            // That is also said of what cannot be opened.
            let unknown = || self.files.getattr(own(), inode, None).is_err();
            match error.raw_os_error() {
                Some(libc::EBADF) if self.departed.is_some() && unknown() => {
                    io::Error::from_raw_os_error(libc::ESTALE)
                }
                _ => error,
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
