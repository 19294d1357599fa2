//! The connection to the host about changes, without waiting.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use agent::protocol::{FrameReader, WatchNews, WatchRequest, write_frame};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SocketError;

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;
/// How long the host may take to accept, in milliseconds.
const CONNECTING: u16 = 1000;

/// The connection.
#[derive(Debug)]
pub struct Host {
    socket: File,
    reader: FrameReader,
    unsent: Vec<u8>,
}

impl Host {
    /// Waits until a socket is connected.
    pub fn over(socket: OwnedFd) -> io::Result<Self> {
        let mut interest = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        // The host's device answers, if only to refuse.
        while let Err(Errno::EINTR) = poll(&mut interest, CONNECTING) {}
        match getsockopt(&socket, SocketError)? {
            0 => Ok(Self { socket: socket.into(), reader: FrameReader::default(), unsent: Vec::new() }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Whether something waits to be sent.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends a request, now or when there is room.
    pub fn send(&mut self, request: WatchRequest) -> io::Result<()> {
        write_frame(&mut self.unsent, &request).map_err(io::Error::other)?;
        self.flush()
    }

    /// Sends what can be sent now.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the host has said; an error if it has gone.
    pub fn receive(&mut self) -> io::Result<Vec<WatchNews>> {
        let mut buffer = [0; CHUNK];
        match self.socket.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.reader.push(&buffer[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let mut news = Vec::new();
        while let Some(message) = self.reader.next_message().map_err(io::Error::other)? {
            news.push(message);
        }
        Ok(news)
    }
}

impl AsFd for Host {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
