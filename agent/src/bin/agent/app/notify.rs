//! Where an app says that it is ready (sd_notify(3)).

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The longest message that is understood, in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 4096;
/// How many messages are read before something else has its turn.
const MAX_MESSAGES: usize = 64;

/// A socket that only its app can see, and whether the app has said that it is ready.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    path: PathBuf,
    ready: bool,
}

impl Notify {
    /// Makes the socket of an app in `directory`. Whoever the app runs as may write to it.
    pub fn bind(directory: &Path, app: &str) -> io::Result<Self> {
        let path = directory.join(app);
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        Ok(Self { socket, path, ready: false })
    }

    /// The agent's path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the app has said that it is ready.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The descriptor to wait for: what the app says later is of no interest, but it would wait for it to be read.
    pub fn interest(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Reads what the app has said.
    pub fn advance(&mut self) {
        let mut message = [0; MAX_MESSAGE];
        for _ in 0..MAX_MESSAGES {
            // Descriptors that come along are closed by the kernel: there is no room for them.
            let Ok(length) = self.socket.recv(&mut message) else { return };
            self.ready |= message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_message_is_enough() {
        let directory = tempfile::tempdir().unwrap();
        let mut notify = Notify::bind(directory.path(), "app").unwrap();
        let app = UnixDatagram::unbound().unwrap();
        for message in ["STATUS=READY=1", "READY=0", "READY=1x", ""] {
            app.send_to(message.as_bytes(), notify.path()).unwrap();
            notify.advance();
            assert!(!notify.is_ready(), "{message}");
        }
        app.send_to(b"STATUS=up\nREADY=1\nMAINPID=1", notify.path()).unwrap();
        notify.advance();
        assert!(notify.is_ready());
        for _ in 0..1000 {
            app.send_to(b"READY=0", notify.path()).unwrap();
            notify.advance();
        }
        assert!(notify.is_ready(), "there is no way back");
    }
}
