//! Processes of an app that the kernel killed because memory ran out, as they die
//! (Linux `Documentation/admin-guide/cgroup-v2.rst`, `memory.events`).

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::libc::{POLLPRI, pollfd};

/// The file is a few lines; no more is read of it.
const MAX_FILE: u64 = 4 << 10;

/// The events of one cgroup.
#[derive(Debug)]
pub struct MemoryEvents {
    /// None if the kernel does not account for memory.
    file: Option<File>,
    kills: u64,
}

impl MemoryEvents {
    /// Those of the cgroup at `directory`.
    pub fn of(directory: &Path) -> Self {
        let mut events = Self { file: File::open(directory.join("memory.events")).ok(), kills: 0 };
        // The kernel tells of changes only those who have read.
        events.read();
        events
    }

    /// What to wait for.
    pub fn interest(&self) -> Option<pollfd> {
        self.file.as_ref().map(|file| pollfd { fd: file.as_raw_fd(), events: POLLPRI, revents: 0 })
    }

    /// Reads again if there is something new.
    pub fn advance(&mut self, ready: &[RawFd]) {
        if self.interest().is_some_and(|interest| ready.contains(&interest.fd)) {
            self.read();
        }
    }

    /// How many processes have been killed.
    pub fn read(&mut self) -> u64 {
        match self.file.as_mut().map(kills) {
            // What cannot be read would be ready for ever.
            Some(Err(_)) => self.file = None,
            Some(Ok(kills)) => self.kills = kills,
            None => {}
        }
        self.kills
    }

    /// How many had been when it was read last.
    pub fn kills(&self) -> u64 {
        self.kills
    }
}

fn kills(file: &mut File) -> io::Result<u64> {
    let mut text = String::new();
    file.rewind()?;
    file.take(MAX_FILE).read_to_string(&mut text)?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn kills_are_counted_where_memory_is() {
        let group = tempfile::tempdir().unwrap();
        let mut absent = MemoryEvents::of(group.path());
        assert_eq!((absent.read(), absent.interest().is_none()), (0, true));
        let file = group.path().join("memory.events");
        fs::write(&file, "oom 3\noom_kill 2\noom_group_kill 0\n").unwrap();
        let mut events = MemoryEvents::of(group.path());
        assert_eq!(events.kills(), 2);
        fs::write(&file, "oom 4\noom_kill 12\n").unwrap();
        events.advance(&[]);
        assert_eq!(events.kills(), 2);
        let descriptor = events.interest().unwrap().fd;
        events.advance(&[descriptor]);
        assert_eq!(events.kills(), 12);
    }
}
