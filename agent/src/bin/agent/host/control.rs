//! The control connection: messages in and out, never waiting once the pod runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

use agent::protocol::{CONTROL_PORT, FrameError, FrameReader, GuestMessage, HostMessage, write_frame};
use nix::libc::{POLLIN, POLLOUT, pollfd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Dial;

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// Why the host cannot be understood or reached.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No connection.
    #[error("Cannot connect to the host")]
    Connect(#[source] io::Error),
    /// The host closed the connection.
    #[error("The host has gone")]
    Gone,
    /// The connection broke.
    #[error("Control connection failed")]
    Io(#[from] io::Error),
    /// A frame.
    #[error("Control connection failed")]
    Frame(#[from] FrameError),
}

/// The control connection.
#[derive(Debug)]
pub struct Control {
    socket: File,
    reader: FrameReader,
    unsent: Vec<u8>,
}

impl Control {
    /// Connects to the host.
    pub fn connect(host: &dyn Dial) -> Result<Self, ControlError> {
        let socket = host.dial(CONTROL_PORT).map_err(ControlError::Connect)?;
        Ok(Self { socket: socket.into(), reader: FrameReader::default(), unsent: Vec::new() })
    }

    /// Queues a message; [`Control::flush`] sends it.
    pub fn queue(&mut self, message: &GuestMessage) -> Result<(), ControlError> {
        Ok(write_frame(&mut self.unsent, message)?)
    }

    /// Sends what can be sent now.
    pub fn flush(&mut self) -> Result<(), ControlError> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Still connecting; a refused connection reports its own error.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return self.check(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ControlError> {
        use nix::sys::socket::{getsockopt, sockopt::SocketError};
        match getsockopt(&self.socket.as_fd(), SocketError).map_err(io::Error::from)? {
            0 => Ok(()),
            error => Err(ControlError::Connect(io::Error::from_raw_os_error(error))),
        }
    }

    /// Sends everything queued, waiting for the host to take it.
    pub fn drain(&mut self) -> Result<(), ControlError> {
        loop {
            self.flush()?;
            if self.unsent.is_empty() {
                return Ok(());
            }
            self.wait(PollFlags::POLLOUT)?;
        }
    }

    /// The next message that has arrived, if one has.
    pub fn receive(&mut self) -> Result<Option<HostMessage>, ControlError> {
        loop {
            if let Some(message) = self.reader.next_message()? {
                return Ok(Some(message));
            }
            let mut chunk = [0; CHUNK];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(ControlError::Gone),
                Ok(count) => self.reader.push(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the next message.
    pub fn receive_next(&mut self) -> Result<HostMessage, ControlError> {
        loop {
            if let Some(message) = self.receive()? {
                return Ok(message);
            }
            self.wait(PollFlags::POLLIN)?;
        }
    }

    fn wait(&self, events: PollFlags) -> Result<(), ControlError> {
        let mut interest = [PollFd::new(self.socket.as_fd(), events)];
        match poll(&mut interest, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// What the connection waits for.
    pub fn interest(&self) -> pollfd {
        let events = if self.unsent.is_empty() { POLLIN } else { POLLIN | POLLOUT };
        pollfd { fd: self.socket.as_raw_fd(), events, revents: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use agent::protocol::{read_frame, write_frame};

    use super::*;

    fn pair() -> (Control, UnixStream) {
        let (guest, host) = UnixStream::pair().unwrap();
        guest.set_nonblocking(true).unwrap();
        let socket = File::from(std::os::fd::OwnedFd::from(guest));
        (Control { socket, reader: FrameReader::default(), unsent: Vec::new() }, host)
    }

    #[test]
    fn messages_go_both_ways() {
        let (mut control, mut host) = pair();
        control.queue(&GuestMessage::Ready).unwrap();
        assert_eq!(control.interest().events, POLLIN | POLLOUT);
        control.drain().unwrap();
        assert_eq!(control.interest().events, POLLIN);
        assert_eq!(read_frame::<GuestMessage>(&mut host).unwrap(), Some(GuestMessage::Ready));
        assert!(control.receive().unwrap().is_none());
        let stop = HostMessage::Stop { grace_ms: 5 };
        write_frame(&mut host, &stop).unwrap();
        assert_eq!(control.receive_next().unwrap(), stop);
    }

    #[test]
    fn a_busy_host_does_not_block() {
        let (mut control, mut host) = pair();
        let message = GuestMessage::Diagnostic { app: None, text: "x".repeat(1 << 20) };
        control.queue(&message).unwrap();
        control.flush().unwrap();
        assert!(!control.unsent.is_empty());
        let reader = std::thread::spawn(move || read_frame::<GuestMessage>(&mut host).unwrap());
        control.drain().unwrap();
        assert_eq!(reader.join().unwrap(), Some(message));
    }

    #[test]
    fn a_host_that_leaves_is_noticed() {
        let (mut control, host) = pair();
        drop(host);
        assert!(matches!(control.receive(), Err(ControlError::Gone)));
    }
}
