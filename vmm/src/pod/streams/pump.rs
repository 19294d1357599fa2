//! Moving bytes between a stream of the guest and one of the host.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use crate::pod::escape::Escape;

/// How much is moved at once, in bytes: what a pipe holds.
const CHUNK: usize = 64 << 10;

const WAITING: u8 = 0;
const WRITING: u8 = 1;
const ENDED: u8 = 2;

/// What an output pump is doing, for others to see.
#[derive(Debug, Default)]
pub struct Progress {
    state: AtomicU8,
    bytes: AtomicU64,
}

impl Progress {
    /// No more output will come.
    pub fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// Whether all output is out.
    pub fn ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// Whether it waits for its reader.
    pub fn writing(&self) -> bool {
        self.state.load(Ordering::Acquire) == WRITING
    }

    /// How much it has received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        self.state.store(WRITING, Ordering::Release);
    }
}

/// Moves the guest's output until it ends, and shows all of it to `seen` before it waits for the reader.
///
/// When the host's reader has gone away the guest is told by closing the stream, so that the app meets a broken pipe as
/// it would outside; that is no error. Any other failure closes the stream as well.
pub fn pump_out(
    mut from: &UnixStream,
    to: BorrowedFd<'_>,
    progress: &Progress,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The guest is gone: what it sent has been delivered.
            Err(_) => return Ok(()),
        };
        progress.received(length);
        seen(&buffer[..length]);
        if let Err(error) = write_fully(to, &buffer[..length]) {
            // Already closed is as good.
            let _ = from.shutdown(Shutdown::Both);
            return match error {
                Errno::PIPE | Errno::CONNRESET => Ok(()),
                error => Err(error.into()),
            };
        }
        progress.state.store(WAITING, Ordering::Release);
    }
}

/// Moves the host's input to the guest until either ends; the end of input travels as a half close.
pub fn pump_in(from: BorrowedFd<'_>, mut to: &UnixStream) {
    let mut buffer = vec![0; CHUNK];
    while let Some(length @ 1..) = read_some(from, &mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    // Already closed is as good.
    let _ = to.shutdown(Shutdown::Write);
}

/// Moves what is typed to the guest; true if it ended because the escape was typed.
pub fn pump_typed(from: BorrowedFd<'_>, mut to: &UnixStream) -> bool {
    let mut buffer = [0; 1024];
    let mut escape = Escape::default();
    while let Some(length @ 1..) = read_some(from, &mut buffer) {
        if escape.typed(&buffer[..length], Instant::now()) {
            return true;
        }
        if to.write_all(&buffer[..length]).is_err() {
            // The app has closed its terminal; the user may still want out.
            continue;
        }
    }
    false
}

/// Writes all of it, waiting as needed even on a descriptor that somebody made non-blocking.
pub fn write_fully(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(to, PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads what there is, waiting for something; `None` when there will be nothing.
fn read_some(from: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match rustix::io::read(from, &mut *buffer) {
            Ok(length) => return Some(length),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(from, PollFlags::IN),
            // A terminal that was hung up, a directory, a closed descriptor: nothing to read.
            Err(_) => return None,
        }
    }
}

fn wait_for(descriptor: BorrowedFd<'_>, flags: PollFlags) {
    // When this fails the next attempt to read or write says why.
    let _ = poll(&mut [PollFd::from_borrowed_fd(descriptor, flags)], None);
}
