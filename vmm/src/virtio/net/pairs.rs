//! The queue pairs of an active device.

use std::{fmt::Debug, fs::File, io};

use super::Tap;

/// What moves the packets of one queue pair. Dropping it ends that: nothing touches the queues any more.
pub(super) trait QueuePair: Debug + Send {
    /// Starts moving packets to and from a queue of the tap.
    fn connect(&self, queue: &File) -> io::Result<()>;

    /// Stops doing so.
    fn disconnect(&self, queue: &File);
}

/// The queue pairs that the driver set up, of which the first few are in use.
///
/// The tap gives packets to all its queues: those of pairs that are not in use are detached from it.
#[derive(Debug)]
pub(super) struct Pairs {
    tap: Tap,
    pairs: Vec<Box<dyn QueuePair>>,
    used: usize,
}

impl Pairs {
    /// Pairs in the order of the tap's queues, at least one, of which the first is used.
    pub fn new(tap: Tap, pairs: Vec<Box<dyn QueuePair>>) -> io::Result<Self> {
        let mut pairs = Pairs { tap, pairs, used: 0 };
        pairs.connect()?;
        Ok(pairs)
    }

    /// Uses the first `count` pairs, and no others. False if there are not so many.
    pub fn set_used(&mut self, count: usize) -> bool {
        if !(1..=self.pairs.len()).contains(&count) {
            return false;
        }
        while self.used > count {
            self.disconnect();
        }
        while self.used < count && self.connect().is_ok() {}
        self.used == count
    }

    fn connect(&mut self) -> io::Result<()> {
        let (Some(pair), Some(queue)) = (self.pairs.get(self.used), self.tap.queue(self.used as u16)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // The first is never detached.
        if self.used > 0 {
            self.tap.attach(queue)?;
        }
        if let Err(error) = pair.connect(queue) {
            pair.disconnect(queue);
            self.tap.detach(queue);
            return Err(error);
        }
        self.used += 1;
        Ok(())
    }

    fn disconnect(&mut self) {
        self.used -= 1;
        if let (Some(pair), Some(queue)) = (self.pairs.get(self.used), self.tap.queue(self.used as u16)) {
            pair.disconnect(queue);
            if self.used > 0 {
                self.tap.detach(queue);
            }
        }
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        while self.used > 0 {
            self.disconnect();
        }
    }
}
