//! What the supervisor does for those who watch files of volumes, and the lines of the thread that tells them.

use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError},
};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::{Guest, Supervisor, events::Outcome};
use crate::pod::error::PodError;

/// How many lines wait for the event loop; more are dropped.
const MOST: usize = 16;

/// Lines for the user, from threads. Clones are the same.
#[derive(Debug, Clone)]
pub struct Notices(Arc<Waiting>);

#[derive(Debug)]
struct Waiting {
    lines: Mutex<Vec<String>>,
    event: EventFd,
}

impl Notices {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        Ok(Notices(Arc::new(Waiting { lines: Mutex::default(), event })))
    }

    /// Readable when there is one.
    pub fn event(&self) -> &EventFd {
        &self.0.event
    }

    fn add(&self, line: String) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < MOST {
            lines.push(line);
            // The counter stays far below its limit.
            let _ = self.0.event.write(1);
        }
    }

    fn take(&self) -> Vec<String> {
        // Fails only when the event is not set.
        let _ = self.0.event.read();
        mem::take(&mut *self.0.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<G: Guest> Supervisor<'_, G> {
    /// The guest has begun to watch files.
    pub(super) fn on_watch_connections(&mut self) -> Outcome {
        while let Some(connection) = self.listeners.watches.accept() {
            let notices = self.notices.clone();
            let served = self.pod.watches.serve(connection.stream, move |line| notices.add(line));
            served.map_err(PodError::Resource)?;
        }
        Ok(None)
    }

    /// Threads have something to say.
    pub(super) fn on_notices(&mut self) -> Outcome {
        self.notices.take().iter().for_each(|line| self.diagnostics.say(line));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_once_and_bounded() {
        let notices = Notices::new().unwrap();
        (0..MOST + 5).for_each(|number| notices.add(number.to_string()));
        assert_eq!(notices.event().read().unwrap(), MOST as u64);
        assert_eq!(notices.take().len(), MOST);
        assert!(notices.take().is_empty());
        assert!(notices.event().read().is_err());
    }
}
