//! Output that never holds the guest up for long.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes kept until a line ends.
const LINE_LIMIT: usize = 256;
/// How long a reader may make the guest wait, once.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// How long it may after that, until it reads again.
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes lines to a descriptor. While that takes nothing, what the guest prints is lost.
#[derive(Debug)]
pub struct ConsoleOutput {
    file: File,
    line: Vec<u8>,
    stuck: bool,
}

impl ConsoleOutput {
    /// Output to `descriptor`.
    pub fn new(descriptor: OwnedFd) -> Self {
        ConsoleOutput { file: File::from(descriptor), line: Vec::with_capacity(LINE_LIMIT), stuck: false }
    }

    fn write_line(&mut self) {
        if self.takes_more() {
            // At most `LINE_LIMIT` bytes: a pipe or terminal that is ready takes them without blocking.
            let _ = self.file.write(&self.line);
        }
        self.line.clear();
    }

    fn takes_more(&mut self) -> bool {
        let patience = if self.stuck { &NO_PATIENCE } else { &PATIENCE };
        let mut descriptors = [PollFd::new(&self.file, PollFlags::OUT)];
        let ready = poll(&mut descriptors, Some(patience)).is_ok_and(|count| count > 0);
        self.stuck = !ready;
        ready
    }
}

impl Write for ConsoleOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' || self.line.len() == LINE_LIMIT {
                self.write_line();
            }
        }
        Ok(bytes.len())
    }

    /// Called by the device after every byte; lines are written when they are whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ConsoleOutput {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.write_line();
        }
    }
}
