//! journald, told in its own protocol (systemd's "Native Journal Protocol"): one datagram per line.

use std::{
    env,
    os::{fd::BorrowedFd, unix::net::UnixDatagram},
    path::Path,
};

use agent::protocol::StreamKind;
use rustix::fs::fstat;

use super::record::{name, pieces};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The variable by which a service learns that its output goes to the journal already (systemd.exec(5)).
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";
/// Priorities (syslog(3)): `LOG_INFO` and `LOG_ERR`.
const INFORMATION: u8 = 6;
const ERROR: u8 = 3;

/// The host's journal.
#[derive(Debug)]
pub struct Journal {
    /// Connected: the VMM's root has no way to journald.
    socket: UnixDatagram,
    pod: String,
    /// Whether standard output and standard error of this process go there by themselves.
    has_stdout: bool,
    has_stderr: bool,
}

impl Journal {
    /// The host's journal for lines of the pod `uuid`, if journald runs.
    pub fn of_host(uuid: &str) -> Option<Self> {
        Self::at(Path::new(SOCKET), uuid, env::var(STREAM_VARIABLE).ok().as_deref())
    }

    fn at(path: &Path, uuid: &str, stream: Option<&str>) -> Option<Self> {
        path.exists().then_some(())?;
        let socket = UnixDatagram::unbound().ok()?;
        // A journald that does not keep up loses lines; the app does not wait for it.
        socket.set_nonblocking(true).ok()?;
        socket.connect(path).ok()?;
        let goes_there = |descriptor| stream.is_some_and(|stream| is_stream(stream, descriptor));
        Some(Journal {
            socket,
            pod: uuid.to_owned(),
            has_stdout: goes_there(rustix::stdio::stdout()),
            has_stderr: goes_there(rustix::stdio::stderr()),
        })
    }

    /// Sends every line that came over a stream of an app, as far as journald has room.
    pub fn send(&self, app: &str, stream: StreamKind, bytes: &[u8]) {
        let (priority, has) = match stream {
            StreamKind::Stderr => (ERROR, self.has_stderr),
            _ => (INFORMATION, self.has_stdout),
        };
        if has {
            return;
        }
        let stream = name(stream);
        let fields = format!(
            "PRIORITY={priority}\nSYSLOG_IDENTIFIER={app}\nRKT_POD={}\nRKT_APP={app}\nRKT_STREAM={stream}\n",
            self.pod
        );
        for (text, whole) in pieces(bytes) {
            let mut datagram = fields.clone().into_bytes();
            if !whole {
                // As other container runtimes tell that the line goes on.
                datagram.extend_from_slice(b"CONTAINER_PARTIAL_MESSAGE=true\n");
            }
            datagram.extend_from_slice(b"MESSAGE=");
            datagram.extend_from_slice(text);
            datagram.push(b'\n');
            // Whatever is wrong, journald will be asked again with the next line.
            let _ = self.socket.send(&datagram);
        }
    }
}

/// Whether a descriptor is the `DEVICE:INODE` that systemd connected with the journal.
fn is_stream(stream: &str, descriptor: BorrowedFd<'_>) -> bool {
    fstat(descriptor).is_ok_and(|status| stream == format!("{}:{}", status.st_dev, status.st_ino))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn journald() -> (tempfile::TempDir, UnixDatagram) {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        (directory, socket)
    }

    fn received(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    #[test]
    fn lines_arrive_with_their_fields() {
        let (directory, socket) = journald();
        let journal = Journal::at(&directory.path().join("socket"), "the-pod", None).unwrap();
        journal.send("web", StreamKind::Stderr, b"one\ntw");
        let fields = "PRIORITY=3\nSYSLOG_IDENTIFIER=web\nRKT_POD=the-pod\nRKT_APP=web\nRKT_STREAM=stderr\n";
        assert_eq!(received(&socket), Some(format!("{fields}MESSAGE=one\n")));
        assert_eq!(received(&socket), Some(format!("{fields}CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=tw\n")));
        assert!(Journal::at(Path::new("/nowhere"), "the-pod", None).is_none());
    }

    #[test]
    fn a_journald_that_does_not_read_is_not_waited_for() {
        let (directory, _socket) = journald();
        let journal = Journal::at(&directory.path().join("socket"), "the-pod", None).unwrap();
        journal.send("web", StreamKind::Stdout, &b"line\n".repeat(100_000));
    }

    #[test]
    fn output_that_goes_to_the_journal_anyway_is_not_sent_twice() {
        let (directory, socket) = journald();
        let status = fstat(rustix::stdio::stdout()).unwrap();
        let stream = format!("{}:{}", status.st_dev, status.st_ino);
        let journal = Journal::at(&directory.path().join("socket"), "the-pod", Some(&stream)).unwrap();
        journal.send("web", StreamKind::Stdout, b"line\n");
        assert_eq!(received(&socket), None);
        assert!(!is_stream("1:2", std::fs::File::open("/").unwrap().as_fd()));
    }
}
