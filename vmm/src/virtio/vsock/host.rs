//! The host's side of the ports: what stage1 listens on, and what it gets for each connection the guest opens.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::pending::UnreadBytes;

/// How many accepted connections wait at one port until stage1 takes them; more are refused with a reset.
const BACKLOG: usize = 128;

/// The ports of the host on which something listens. Clones share them: stage1 keeps one, the device another.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    listening: Arc<Mutex<BTreeMap<u32, Arc<Backlog>>>>,
    unread: UnreadBytes,
}

/// A port of the host with the connections the guest made to it, used as a `UnixListener` would be: its descriptor
/// is readable while connections wait. Dropping it closes the port; connections already accepted live on.
#[derive(Debug)]
pub struct Listener {
    port: u32,
    backlog: Arc<Backlog>,
    ports: Ports,
}

/// A connection the guest opened.
///
/// The stream is blocking until the owner says otherwise. Its end of file is the guest's `shutdown(SHUT_WR)` or
/// `close`, after all data; shutting down its write half travels to the guest likewise.
#[derive(Debug)]
pub struct Connection {
    /// The port of the guest's socket.
    pub guest_port: u32,
    /// The bytes.
    pub stream: UnixStream,
}

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something listens there already.
    #[error("Port {0} is taken")]
    PortTaken(u32),
    /// The event that says that connections wait.
    #[error("Cannot create the listener's event")]
    Event(#[source] io::Error),
}

#[derive(Debug)]
struct Backlog {
    waiting: Mutex<VecDeque<Connection>>,
    /// Non-zero while `waiting` has entries.
    event: EventFd,
}

impl Ports {
    /// Listens on `port`.
    pub fn listen(&self, port: u32) -> Result<Listener, ListenError> {
        let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(ListenError::Event)?;
        let backlog = Arc::new(Backlog { waiting: Mutex::default(), event });
        let mut listening = lock(&self.listening);
        if listening.contains_key(&port) {
            return Err(ListenError::PortTaken(port));
        }
        listening.insert(port, backlog.clone());
        Ok(Listener { port, backlog, ports: self.clone() })
    }

    /// How many bytes the guest has sent that wait in the device for their readers, on all connections together.
    pub fn unread_bytes(&self) -> usize {
        self.unread.count()
    }

    /// Where a connection counts them.
    pub(super) fn unread(&self) -> UnreadBytes {
        self.unread.clone()
    }

    /// Offers a connection to whoever listens on `port`, made by `open` only if there is somebody with room for it.
    /// `None` means that it must be refused. The device calls this; tests may, in the guest's place.
    pub fn offer(&self, port: u32, open: impl FnOnce() -> Option<Connection>) -> Option<()> {
        let listening = lock(&self.listening);
        let backlog = listening.get(&port)?;
        let mut waiting = lock(&backlog.waiting);
        if waiting.len() >= BACKLOG {
            return None;
        }
        waiting.push_back(open()?);
        // The counter stays far below its limit: it never counts more than the backlog holds.
        let _ = backlog.event.write(1);
        Some(())
    }
}

impl Listener {
    /// The next connection, or `None` when none waits.
    pub fn accept(&self) -> Option<Connection> {
        let mut waiting = lock(&self.backlog.waiting);
        let connection = waiting.pop_front();
        if waiting.is_empty() {
            // Fails only when the event is not set, which is what is wanted.
            let _ = self.backlog.event.read();
        }
        connection
    }

    /// The port listened on.
    pub fn port(&self) -> u32 {
        self.port
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.backlog.event.as_raw_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.ports.listening).remove(&self.port);
    }
}

/// Nothing under these locks can leave half-changed state behind, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn connect(ports: &Ports, port: u32, guest_port: u32) -> Option<UnixStream> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ports.offer(port, || Some(Connection { guest_port, stream: theirs })).map(|()| ours)
    }

    fn readable(listener: &Listener) -> bool {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd, no waiting.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    #[test]
    fn a_connection_reaches_its_listener() {
        let ports = Ports::default();
        let listener = ports.listen(1024).unwrap();
        assert!(!readable(&listener));
        let mut guest = connect(&ports, 1024, 77).unwrap();
        connect(&ports, 1024, 78).unwrap();
        assert!(readable(&listener));
        let mut first = listener.accept().unwrap();
        assert_eq!(first.guest_port, 77);
        guest.write_all(b"x").unwrap();
        let mut byte = [0];
        first.stream.read_exact(&mut byte).unwrap();
        assert!(readable(&listener));
        assert_eq!(listener.accept().unwrap().guest_port, 78);
        assert!(!readable(&listener));
        assert!(listener.accept().is_none());
    }

    #[test]
    fn nobody_listening_refuses() {
        let ports = Ports::default();
        assert!(connect(&ports, 1024, 1).is_none());
        let listener = ports.listen(1024).unwrap();
        assert!(matches!(ports.listen(1024), Err(ListenError::PortTaken(1024))));
        drop(listener);
        assert!(connect(&ports, 1024, 1).is_none());
        ports.listen(1024).unwrap();
    }

    #[test]
    fn the_backlog_is_bounded() {
        let ports = Ports::default();
        let listener = ports.listen(1).unwrap();
        let kept: Vec<_> = (0..BACKLOG as u32).map(|i| connect(&ports, 1, i).unwrap()).collect();
        assert!(connect(&ports, 1, 0).is_none());
        listener.accept().unwrap();
        assert!(connect(&ports, 1, 0).is_some());
        drop(kept);
    }
}
