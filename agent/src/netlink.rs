//! Requests to the kernel's routing tables (rtnetlink(7)), as far as the interfaces of a pod need them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

/// `struct nlmsghdr`, in bytes.
const HEADER: usize = 16;
/// Attributes and messages start at multiples of this (`NLA_ALIGNTO`).
const ALIGN: usize = 4;

/// The kernel answers a dump in messages of at most this size, in bytes.
const BUFFER: usize = 32 << 10;

/// A request under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of `kind` that wants an acknowledgement; `body` is the fixed structure of the kind.
    pub fn new(kind: u16, flags: libc::c_int, body: &[u8]) -> Self {
        let flags = (flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Self { bytes }.padded()
    }

    /// Appends an attribute.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(attribute(kind, value));
        self.padded()
    }

    fn padded(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// An attribute as part of another one's value.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    bytes
}

/// A connection to the kernel's routing tables.
#[derive(Debug)]
pub struct Netlink {
    socket: File,
}

impl Netlink {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket takes no pointers.
        let socket = Errno::result(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Self { socket: unsafe { OwnedFd::from_raw_fd(socket) }.into() })
    }

    /// Sends a request and waits for the kernel's answer.
    pub fn execute(&mut self, request: &Request) -> io::Result<()> {
        self.dump(request).map(drop)
    }

    /// Sends a request and collects the bodies of the answers up to the last one.
    pub fn dump(&mut self, request: &Request) -> io::Result<Vec<Vec<u8>>> {
        self.socket.write_all(&request.bytes)?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = self.socket.read(&mut buffer)?;
            for (kind, body) in messages(&buffer[..length]) {
                match kind {
                    libc::NLMSG_DONE => return Ok(answers),
                    libc::NLMSG_ERROR => return outcome(body).map(|()| answers),
                    _ => answers.push(body.to_owned()),
                }
            }
        }
    }
}

/// The attributes of a message, kinds and values; a malformed one ends them.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The messages in what one read returned: kinds and bodies.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (libc::c_int, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some((kind.into(), body))
    })
}

/// The result in the body of an acknowledgement (`struct nlmsgerr`).
fn outcome(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_kernels_form() {
        let request = Request::new(16, 0, &[1, 2, 3, 4, 5]).attribute(4, &[9]).attribute(1, b"lo\0\0");
        let expected = [
            [40, 0, 0, 0, 16, 0, 5, 0].as_slice(),
            &[0; 8],
            &[1, 2, 3, 4, 5, 0, 0, 0],
            &[5, 0, 4, 0, 9, 0, 0, 0],
            &[8, 0, 1, 0, b'l', b'o', 0, 0],
        ];
        assert_eq!(request.bytes, expected.concat());
    }

    #[test]
    fn answers_are_read_with_care() {
        let mut answer = vec![20, 0, 0, 0, 2, 0, 0, 0];
        answer.extend([0; 12]);
        let read = |bytes: &[u8]| {
            messages(bytes).map(|(kind, body)| (kind, outcome(body).is_ok())).collect::<Vec<_>>()
        };
        assert_eq!(read(&answer), [(libc::NLMSG_ERROR, true)]);
        assert_eq!(read(&[answer.clone(), answer.clone()].concat()).len(), 2);
        assert!(read(&answer[..19]).is_empty());
        assert_eq!(outcome(&(-libc::EEXIST).to_ne_bytes()).unwrap_err().raw_os_error(), Some(libc::EEXIST));
        assert!(outcome(&[]).is_err());
    }

    #[test]
    fn attributes_end_at_the_first_malformed_one() {
        let bytes = [5, 0, 4, 0, 9, 0, 0, 0, 4, 0, 7, 0, 200, 0, 1, 0];
        assert_eq!(attributes(&bytes).collect::<Vec<_>>(), [(4, &[9][..]), (7, &[][..])]);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
    }
}
