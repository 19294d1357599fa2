//! Connections over AF_VSOCK (vsock(7)).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use agent::protocol::HOST_CID;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::Dial;

/// How long the driver may take to find its device, in attempts of [`RETRY`].
const ATTEMPTS: u32 = 1000;
const RETRY: Duration = Duration::from_millis(1);

/// The host, through the guest's virtio-vsock device.
#[derive(Debug)]
pub struct Vsock;

impl Dial for Vsock {
    fn dial(&self, port: u32) -> io::Result<OwnedFd> {
        let socket = socket()?;
        let mut attempt = 0;
        loop {
            match connect(&socket, port) {
                Ok(()) | Err(Errno::EINPROGRESS) => return Ok(socket),
                Err(Errno::ENODEV | Errno::EADDRNOTAVAIL) if attempt < ATTEMPTS => {
                    attempt += 1;
                    sleep(RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// One that is no standard stream: the first is made before there are any.
fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket takes no pointers.
    let socket = Errno::result(unsafe { libc::socket(libc::AF_VSOCK, kind, 0) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    if socket.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(socket);
    }
    let number = fcntl(&socket, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn connect(socket: &OwnedFd, port: u32) -> Result<(), Errno> {
    // SAFETY: all-zero bytes are a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = HOST_CID;
    address.svm_port = port;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and size are those of a live address.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) };
    Errno::result(result).map(drop)
}
