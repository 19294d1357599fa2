//! The pod's end of a connection with a client, without waiting for it.

use std::{
    io::{self, IoSlice, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::net::UnixStream,
    },
};

use agent::protocol::{FrameReader, write_frame};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::wire::{MAX_REQUEST, Reply, Request};

/// How much is read before other events get their turn, in bytes.
const READ_AT_ONCE: usize = 64 << 10;

/// A connection with a client.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    incoming: FrameReader,
    /// How much has been received since the last whole message, in bytes.
    partial: usize,
}

/// What a look at a connection brought.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// Requests, in order.
    pub requests: Vec<Request>,
    /// Whether the client has gone, or says what no client does.
    pub gone: bool,
}

impl Client {
    /// Takes a connection over.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Client { stream, incoming: FrameReader::default(), partial: 0 })
    }

    /// Whether the other end is root's: who may use the socket at all.
    pub fn is_roots(&self) -> bool {
        let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the kernel writes one `ucred`, whose size it is told. A client outside of this process's PID namespace has
        // no id in it, which a `Pid` could not hold.
        let result = unsafe {
            libc::getsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        result == 0 && peer.uid == 0
    }

    /// Reads what has come, at most so much that others get their turn.
    pub fn receive(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [0; READ_AT_ONCE];
        match self.stream.read(&mut buffer) {
            Ok(0) => heard.gone = true,
            Ok(length) => self.decode(&buffer[..length], &mut heard),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => heard.gone = true,
        }
        heard
    }

    fn decode(&mut self, bytes: &[u8], heard: &mut Heard) {
        self.incoming.push(bytes);
        self.partial += bytes.len();
        loop {
            match self.incoming.next_message() {
                Ok(Some(request)) => {
                    heard.requests.push(request);
                    self.partial = 0;
                }
                Ok(None) if self.partial <= MAX_REQUEST => return,
                Ok(None) | Err(_) => {
                    heard.gone = true;
                    return;
                }
            }
        }
    }

    /// Sends a reply, with a descriptor if there is one; false if the client does not take it. The few replies there
    /// are fit into any socket's buffer, so one that does not fit is as bad as one that cannot be sent.
    pub fn send(&self, reply: &Reply, descriptor: Option<BorrowedFd<'_>>) -> bool {
        let mut frame = Vec::new();
        if write_frame(&mut frame, reply).is_err() {
            return false;
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if let Some(descriptor) = &descriptor {
            control.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(descriptor)));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.stream, &[IoSlice::new(&frame)], &mut control, flags)
            .is_ok_and(|sent| sent == frame.len())
    }
}

impl AsRawFd for Client {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Client::new(ours).unwrap(), theirs)
    }

    #[test]
    fn requests_arrive_and_then_the_end() {
        let (mut client, mut other) = pair();
        assert_eq!(client.receive(), Heard::default());
        write_frame(&mut other, &Request::Signal { signal: 2 }).unwrap();
        assert_eq!(client.receive().requests, [Request::Signal { signal: 2 }]);
        drop(other);
        assert!(client.receive().gone);
    }

    #[test]
    fn a_request_is_bounded() {
        let (mut client, mut other) = pair();
        let length = (2 * MAX_REQUEST) as u32;
        other.write_all(&length.to_le_bytes()).unwrap();
        let mut received = 0;
        while !client.receive().gone {
            received += READ_AT_ONCE;
            assert!(received <= 2 * MAX_REQUEST, "never refused");
            other.write_all(&[b' '; READ_AT_ONCE]).unwrap();
        }
    }

    #[test]
    fn a_client_that_does_not_read_is_given_up() {
        let (client, _other) = pair();
        let reply = Reply::Refused { line: "x".repeat(1000) };
        assert!((0..10_000).any(|_| !client.send(&reply, None)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let (mut client, mut other) = pair();
            other.write_all(&bytes).unwrap();
            drop(other);
            while !client.receive().gone {}
        }
    }
}
