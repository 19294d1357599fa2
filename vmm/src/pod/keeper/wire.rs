//! What keeper and VMM say to each other: one JSON value per packet, with descriptors beside it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::pod::signals::Ending;

/// The largest packet, in bytes.
pub const MAX_PACKET: usize = 4096;
/// The most descriptors that come with one: the queues of a tap.
const MAX_DESCRIPTORS: usize = 8;

/// What the VMM says. It may be in the guest's hands, so nothing here gives it anything that the pod's end would not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Every app has been started.
    Ready,
    /// The pod has been asked to end.
    Stopping,
    /// The terminal is as it was before: the pod may be suspended.
    Suspend,
    /// The pod has ended.
    Ended(Ending),
    /// A thread has called what it may not; the VMM ends.
    Violation {
        /// The thread's name.
        thread: String,
        /// The system call's number.
        syscall: i32,
    },
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// A network interface of the machine; its tap's queues come with it.
    Port {
        /// The tap's name.
        tap: String,
        /// The interface's hardware address.
        mac: [u8; 6],
        /// The most bytes of a packet.
        mtu: u16,
    },
    /// There are no more; what the guest is told of its networks comes with it, as a file.
    Network,
    /// Somebody sent the keeper this signal.
    Signal(i32),
    /// The pod goes on.
    Resumed,
}

/// Sends one packet; with `DONTWAIT` it fails if the other side does not listen.
pub fn send(
    socket: &OwnedFd,
    what: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let packet = serde_json::to_vec(what)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(&packet)], &mut control, flags | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a packet, with `DONTWAIT` only if there is one; none if the other side is gone.
pub fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    flags: RecvFlags,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut packet = [0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, flags | RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    Ok(Some((serde_json::from_slice(&packet[..received.bytes])?, descriptors)))
}
