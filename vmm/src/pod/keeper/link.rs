//! The VMM's end of what connects it with its keeper.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags},
};

use super::wire::{self, Order, Word};
use crate::{
    pod::{
        network::GuestNetwork,
        signals::{Ending, Received},
    },
    virtio::net::{NetConfig, Tap},
};

/// A connection with the keeper.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    /// Signals that came while something else was waited for.
    early: RefCell<VecDeque<Received>>,
}

/// Why the keeper cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is gone, and this process is about to be.
    #[error("The pod's keeper is gone")]
    Gone,
    /// The socket.
    #[error("Cannot hear the pod's keeper")]
    Hear(#[source] io::Error),
    /// It says something else than what it is waited for.
    #[error("The pod's keeper says {0:?} out of turn")]
    OutOfTurn(Order),
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Link { socket, early: RefCell::default() }
    }

    /// A link whose other end is the caller's.
    #[cfg(test)]
    pub fn pair() -> (Self, OwnedFd) {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        (Link::new(ours), theirs)
    }

    /// Whether the keeper is there.
    pub(super) fn is_kept(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut socket, Some(&now)).is_ok() && !socket[0].revents().contains(PollFlags::HUP)
    }

    /// Waits until the pod has its networks.
    pub fn networks(&self) -> Result<(Vec<NetConfig>, GuestNetwork), LinkError> {
        let mut ports = Vec::new();
        loop {
            match self.hear()? {
                (Order::Port { tap, mac, mtu }, queues) => {
                    let queues = queues.into_iter().map(File::from);
                    ports.push(NetConfig { mac, mtu, tap: Tap::of_queues(tap, queues.collect()) });
                }
                (Order::Network, mut files) => {
                    let file = files.pop().map(File::from).ok_or(LinkError::OutOfTurn(Order::Network))?;
                    let network = serde_json::from_reader(io::BufReader::new(file));
                    return Ok((ports, network.map_err(|error| LinkError::Hear(error.into()))?));
                }
                (order, _) => return Err(LinkError::OutOfTurn(order)),
            }
        }
    }

    /// The next signal that the keeper was sent, if any waits.
    pub fn next_signal(&self) -> Result<Option<Received>, LinkError> {
        if let Some(received) = self.early.borrow_mut().pop_front() {
            return Ok(Some(received));
        }
        match wire::receive(&self.socket, RecvFlags::DONTWAIT) {
            Ok(Some((Order::Signal(number), _))) => Ok(Some(Received::of(number))),
            Ok(Some((order, _))) => Err(LinkError::OutOfTurn(order)),
            Ok(None) => Err(LinkError::Gone),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(LinkError::Hear(error)),
        }
    }

    /// Every app has been started.
    pub fn ready(&self) -> io::Result<()> {
        self.say(&Word::Ready)
    }

    /// The pod has been asked to end.
    pub fn stopping(&self) -> io::Result<()> {
        self.say(&Word::Stopping)
    }

    /// Has the pod stopped, as the terminal's suspend character would have; returns when it is continued.
    pub fn suspend(&self) -> Result<(), LinkError> {
        self.say(&Word::Suspend).map_err(LinkError::Hear)?;
        match self.hear()? {
            (Order::Resumed, _) => Ok(()),
            (order, _) => Err(LinkError::OutOfTurn(order)),
        }
    }

    /// Tells how the pod has ended.
    pub fn ended(&self, ending: Ending) -> io::Result<()> {
        self.say(&Word::Ended(ending))
    }

    pub(super) fn say(&self, word: &Word) -> io::Result<()> {
        wire::send(&self.socket, word, &[], SendFlags::empty())
    }

    fn hear(&self) -> Result<(Order, Vec<OwnedFd>), LinkError> {
        loop {
            match wire::receive(&self.socket, RecvFlags::empty()) {
                Ok(Some((Order::Signal(number), _))) => {
                    self.early.borrow_mut().push_back(Received::of(number));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LinkError::Hear(error)),
                Ok(None) => return Err(LinkError::Gone),
                Ok(Some(order)) => return Ok(order),
            }
        }
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
