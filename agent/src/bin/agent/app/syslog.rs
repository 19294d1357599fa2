//! `/dev/log`: what an app says through syslog(3) shows up where its errors do.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::libc::{self, POLLIN, POLLOUT, pollfd};

/// The longest line, in bytes: the most a pipe takes in one piece (`PIPE_BUF`). The rest of a message is cut off.
const MAX_LINE: usize = 4096;
/// How many messages are read before something else has its turn.
const MAX_MESSAGES: usize = 64;
/// `Nov 20 13:45:01 ` (RFC 3164 §4.1.2).
const TIMESTAMP: usize = 16;

/// The log socket of an app. A message that its errors' stream has no room for waits, and the app with it in the end.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    output: File,
    waiting: Option<Vec<u8>>,
}

impl Syslog {
    /// Makes the socket of an app in `directory`; its messages go to `stderr`.
    pub fn bind(directory: &Path, app: &str, stderr: &OwnedFd) -> io::Result<Self> {
        let path = directory.join(app);
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        // Opened anew: the app's own descriptor must not become one that does not wait.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let output = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(format!("/proc/self/fd/{}", stderr.as_raw_fd()))?;
        Ok(Self { socket, path, output, waiting: None })
    }

    /// The agent's path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has to be waited for.
    pub fn interest(&self) -> pollfd {
        match self.waiting {
            Some(_) => pollfd { fd: self.output.as_raw_fd(), events: POLLOUT, revents: 0 },
            None => pollfd { fd: self.socket.as_raw_fd(), events: POLLIN, revents: 0 },
        }
    }

    /// Passes on what there is, as far as there is room for it.
    pub fn advance(&mut self) {
        let mut message = [0; MAX_LINE];
        for _ in 0..MAX_MESSAGES {
            let line = match self.waiting.take() {
                Some(line) => line,
                None => match self.socket.recv(&mut message) {
                    Ok(length) => line(&message[..length]),
                    Err(_) => return,
                },
            };
            match self.output.write(&line) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some(line);
                    return;
                }
                // Whoever reads the app's errors has gone: nobody wants to know.
                _ => {}
            }
        }
    }
}

/// A message without its priority and time, which the line's reader knows better, as one line.
fn line(message: &[u8]) -> Vec<u8> {
    let text = priority(message).map_or(message, |end| &message[end..]);
    let text = if has_timestamp(text) { &text[TIMESTAMP..] } else { text };
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b'\n')).map_or(0, |last| last + 1);
    let mut line: Vec<u8> = text[..end.min(MAX_LINE - 1)].to_vec();
    line.iter_mut().filter(|byte| matches!(byte, 0 | b'\n')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    line
}

/// Where `<14>` ends.
fn priority(message: &[u8]) -> Option<usize> {
    let end = message.iter().take(5).position(|byte| *byte == b'>')?;
    let digits = message.get(1..end)?;
    (message[0] == b'<' && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(end + 1)
}

fn has_timestamp(text: &[u8]) -> bool {
    text.get(..TIMESTAMP).is_some_and(|time| {
        time[0].is_ascii_uppercase()
            && time[3] == b' '
            && time[9] == b':'
            && time[12] == b':'
            && time[15] == b' '
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn messages_become_lines() {
        for (message, expected) in [
            ("<14>Nov 20 13:45:01 sshd[7]: hello", "sshd[7]: hello\n"),
            ("<14>Nov  2 13:45:01 sshd: hello\n\0", "sshd: hello\n"),
            ("<191>tag: two\nlines", "tag: two lines\n"),
            ("plain", "plain\n"),
            ("<>x", "<>x\n"),
            ("<1234>x", "<1234>x\n"),
            ("<14>", "\n"),
            ("", "\n"),
        ] {
            assert_eq!(String::from_utf8(line(message.as_bytes())).unwrap(), expected, "{message}");
        }
        assert_eq!(line(&[b'x'; 2 * MAX_LINE]).len(), MAX_LINE);
    }

    #[test]
    fn nothing_is_lost_when_nobody_reads_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let mut syslog = Syslog::bind(directory.path(), "app", &writer.into()).unwrap();
        let app = UnixDatagram::unbound().unwrap();
        app.set_nonblocking(true).unwrap();
        let mut sent = 0;
        // Until the pipe is full, and the socket too.
        while app.send_to(&[b'x'; 1000], syslog.path()).is_ok() {
            sent += 1;
            syslog.advance();
        }
        assert_eq!(syslog.interest().events, POLLOUT);
        let read = std::thread::spawn(move || {
            let mut lines = Vec::new();
            reader.read_to_end(&mut lines).map(|_| lines.len()).unwrap()
        });
        while syslog.interest().events == POLLOUT {
            syslog.advance();
        }
        syslog.advance();
        drop(syslog);
        assert_eq!(read.join().unwrap(), sent * 1001);
    }
}
