//! Lines for the user, on stderr.

use std::{
    error::Error,
    fmt::Write as _,
    io,
    os::fd::BorrowedFd,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

use super::{streams::write_fully, terminal};
use crate::jail::{Kind, threads};

/// The longest line of a guest that is shown, in characters.
const MAX_LINE: usize = 1024;
/// How many lines wait while nobody reads stderr; more are dropped.
const MAX_WAITING: usize = 256;
/// The stack of the writing thread, in bytes.
const STACK: usize = 64 << 10;

/// The pod's stderr, written by a thread of its own: the event loop must not wait for whoever reads it.
#[derive(Debug)]
pub struct Diagnostics {
    lines: SyncSender<String>,
    written: Receiver<()>,
}

impl Diagnostics {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING);
        let (writing, written) = channel();
        let write = move || {
            // Dropped when all is written.
            let _writing = writing;
            waiting.iter().for_each(|line| print_line(&line));
        };
        let builder = thread::Builder::new().name("diagnostics".into()).stack_size(STACK);
        threads::spawn(Kind::Diagnostics, builder, write)?;
        Ok(Diagnostics { lines, written })
    }

    /// Shows a line as it is.
    pub fn show(&self, line: impl Into<String>) {
        // Dropped if nobody reads: the pod matters more.
        let _ = self.lines.try_send(line.into());
    }

    /// Shows a line of stage1's own.
    pub fn say(&self, line: &str) {
        self.show(format!("stage1: {line}"));
    }

    /// Shows an error that does not end the pod.
    pub fn fail(&self, error: &(dyn Error + 'static), debug: bool) {
        self.show(rendered(error, debug));
    }

    /// Waits until everything has been written, at most this long.
    pub fn finish(self, limit: Duration) {
        drop(self.lines);
        // Either the thread has ended, or whoever reads stderr does not.
        let _ = self.written.recv_timeout(limit);
    }
}

/// Prints an error at the edge of the program: its causes on one line, or with `debug` one below the other
/// (`rkt-reference` §1.1).
pub fn report(error: &(dyn Error + 'static), debug: bool) {
    print_line(&rendered(error, debug));
}

fn rendered(error: &(dyn Error + 'static), debug: bool) -> String {
    let mut text = format!("stage1: {error}");
    let mut cause = error.source();
    let mut indent = 0;
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = match debug {
            false => write!(text, ": {error}"),
            true => write!(text, "\n{:indent$}└─{error}", ""),
        };
        indent += 2;
        cause = error.source();
    }
    text
}

/// Writes a line to stderr; failures have nowhere to be reported.
pub fn print_line(line: &str) {
    // A terminal in raw mode returns the carriage only when told so.
    let end = if terminal::is_raw() { "\r\n" } else { "\n" };
    let text = format!("{}{end}", line.replace('\n', end));
    let stderr: BorrowedFd<'static> = rustix::stdio::stderr();
    let _ = write_fully(stderr, text.as_bytes());
}

/// A line of the guest made safe for a terminal: control characters escaped, overlong ones cut.
pub fn sanitized(text: &str) -> String {
    let mut line = String::new();
    for (position, char) in text.trim_end().chars().enumerate() {
        if position == MAX_LINE {
            line.push('…');
            break;
        }
        match char.is_control() || is_bidirectional_override(char) {
            true => line.extend(char.escape_unicode()),
            false => line.push(char),
        }
    }
    line
}

/// Characters that make a terminal show text in another order than it has.
fn is_bidirectional_override(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("Outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("Inner")]
    struct Inner(#[source] io::Error);

    #[test]
    fn causes_are_on_one_line_or_below_each_other() {
        let error = Outer(Inner(io::Error::other("root")));
        assert_eq!(rendered(&error, false), "stage1: Outer: Inner: root");
        assert_eq!(rendered(&error, true), "stage1: Outer\n└─Inner\n  └─root");
    }

    #[test]
    fn lines_of_the_guest_cannot_drive_a_terminal() {
        assert_eq!(
            sanitized("red \u{1b}[31m\r\nx\u{202e}y\u{9b}"),
            "red \\u{1b}[31m\\u{d}\\u{a}x\\u{202e}y\\u{9b}"
        );
        assert_eq!(sanitized("Error: \"/ä\": No\n"), "Error: \"/ä\": No");
        assert_eq!(sanitized(&"a".repeat(MAX_LINE + 5)).chars().count(), MAX_LINE + 1);
    }
}
