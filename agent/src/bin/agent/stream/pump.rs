//! Copies bytes one way between two descriptors, without ever waiting.
//!
//! ```text
//!             read 0, error                buffer empty
//!   Copying ─────────────────▶ Flushing ────────────────▶ Ended (sink half-closed)
//!      │                          │
//!      └──────── write error ─────┴───────────────────────▶ Ended (source closed: its writer gets SIGPIPE)
//! ```

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, POLLIN, POLLOUT, pollfd};
use nix::unistd::{read, write};

/// How much is read at a time, in bytes; what a pipe holds.
const BUFFER: usize = 64 << 10;
/// How many buffers are moved before others get their turn.
const ROUNDS: usize = 8;

/// Where a pump's bytes go.
#[derive(Debug)]
pub enum Sink {
    /// A stream socket; the end of the bytes is told by shutting down its sending side.
    Socket(OwnedFd),
    /// A pipe or terminal; the end is told by closing it.
    File(OwnedFd),
}

impl Sink {
    fn descriptor(&self) -> &OwnedFd {
        match self {
            Self::Socket(descriptor) | Self::File(descriptor) => descriptor,
        }
    }

    fn send(&self, bytes: &[u8]) -> nix::Result<usize> {
        match self {
            // SAFETY: the pointer and length are those of a live slice, the descriptor is owned by self.
            Self::Socket(socket) => Errno::result(unsafe {
                libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
            })
            .map(|sent| sent as usize),
            Self::File(file) => write(file, bytes),
        }
    }

    fn end(self) {
        if let Self::Socket(socket) = self {
            // SAFETY: shutdown touches nothing but the descriptor, which is owned.
            unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
        }
    }
}

/// One direction of a stream.
#[derive(Debug)]
pub struct Pump {
    source: Option<OwnedFd>,
    sink: Option<Sink>,
    buffer: Vec<u8>,
    sent: usize,
    last_read: bool,
    keeps_sink_open: bool,
}

impl Pump {
    /// Copies from `source` to `sink`, both non-blocking, after sending `first`.
    pub fn new(source: OwnedFd, sink: Sink, first: Vec<u8>) -> Self {
        let (source, sink) = (Some(source), Some(sink));
        Self { source, sink, buffer: first, sent: 0, last_read: false, keeps_sink_open: false }
    }

    /// Sends `bytes` and leaves the socket open, for what is received over it.
    pub fn greeting(sink: OwnedFd, bytes: Vec<u8>) -> Self {
        let sink = Some(Sink::Socket(sink));
        Self { source: None, sink, buffer: bytes, sent: 0, last_read: false, keeps_sink_open: true }
    }

    /// Takes what the source holds now as all there will be. For sources whose writers are gone, or should be.
    pub fn read_only_the_rest(&mut self) {
        self.last_read = true;
    }

    /// Whether everything has been delivered or nothing more can be.
    pub fn is_ended(&self) -> bool {
        self.sink.is_none()
    }

    fn is_empty(&self) -> bool {
        self.sent == self.buffer.len()
    }

    /// The descriptor the pump waits for; none if it has ended.
    ///
    /// A sink without bytes to send is watched for errors only by a pump that cannot read either; a broken sink is
    /// noticed with the next bytes, as with any pipe.
    pub fn interest(&self) -> Option<pollfd> {
        let sink = self.sink.as_ref()?;
        let (fd, events) = match &self.source {
            // Of what is taken as it is now, nothing has to come first.
            Some(source) if self.is_empty() && !self.last_read => (source.as_raw_fd(), POLLIN),
            _ => (sink.descriptor().as_raw_fd(), POLLOUT),
        };
        Some(pollfd { fd, events, revents: 0 })
    }

    /// Moves what can be moved.
    pub fn advance(&mut self) {
        for _ in 0..ROUNDS {
            if !self.flush() || !self.fill() {
                return;
            }
        }
    }

    /// Sends the buffer; whether it is empty now and the sink still there.
    fn flush(&mut self) -> bool {
        let Some(sink) = &self.sink else { return false };
        while self.sent < self.buffer.len() {
            match sink.send(&self.buffer[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::EINTR) => {}
                // A socket whose connection is still being made says ENOTCONN; a refused one its error.
                Err(Errno::EAGAIN) => return false,
                Err(Errno::ENOTCONN) if is_connecting(sink) => return false,
                Err(_) => {
                    self.source = None;
                    self.sink = None;
                    return false;
                }
            }
        }
        if self.source.is_none() {
            match self.sink.take() {
                Some(sink) if !self.keeps_sink_open => sink.end(),
                _ => {}
            }
            return false;
        }
        true
    }

    /// Reads into the empty buffer; whether to go on.
    fn fill(&mut self) -> bool {
        let Some(source) = &self.source else { return false };
        self.sent = 0;
        self.buffer.resize(BUFFER, 0);
        let count = loop {
            match read(source, &mut self.buffer) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if !self.last_read => {
                    self.buffer.clear();
                    return false;
                }
                // A terminal reports its last close as an error, a connection its reset: both are ends.
                other => break other.unwrap_or(0),
            }
        };
        self.buffer.truncate(count);
        if count == 0 {
            self.source = None;
        }
        true
    }
}

/// Whether a socket has no error and no peer yet.
fn is_connecting(sink: &Sink) -> bool {
    let socket = sink.descriptor().as_fd();
    nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::SocketError)
        .is_ok_and(|error| error == 0)
}

/// Sets a descriptor non-blocking.
pub fn set_nonblocking(descriptor: &impl AsFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests;
