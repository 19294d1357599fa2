//! The apps' standard streams: one connection each, pumped by a thread per direction.
//!
//! Threads, because whoever reads the pod's output may take any time, and non-blocking mode would be shared with
//! every other process that has the same terminal or pipe. A thread that waits for its reader leaves the guest's bytes
//! where they are, so the pressure reaches the app.

mod pump;
mod registry;
mod taps;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use agent::protocol::{AppSpec, FrameError, StreamHeader, StreamKind, read_frame};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

pub use pump::{Progress, pump_in, pump_out, pump_typed, write_fully};

use registry::Registry;
pub use registry::kinds;
use taps::Taps;

use super::{
    diagnostics::sanitized,
    logs::{AppLog, Logs},
    terminal,
};
use crate::jail::{Kind, threads};

/// The stack of a pump's thread, in bytes.
const STACK: usize = 128 << 10;
/// The largest header of a stream, in bytes.
const MAX_HEADER: u64 = 4 << 10;
/// How long a stream may bring nothing after the pod has finished before it counts as ended.
const SILENCE: Duration = Duration::from_secs(10);

/// The host's side of the standard streams.
#[derive(Debug, Clone, Copy)]
pub struct HostStdio {
    /// Standard input; none if the apps have none of this process's.
    pub stdin: Option<BorrowedFd<'static>>,
    /// Standard output, also of a terminal.
    pub stdout: BorrowedFd<'static>,
    /// Standard error.
    pub stderr: BorrowedFd<'static>,
}

impl HostStdio {
    /// This process's own.
    pub fn own() -> Self {
        HostStdio {
            stdin: Some(rustix::stdio::stdin()),
            stdout: rustix::stdio::stdout(),
            stderr: rustix::stdio::stderr(),
        }
    }
}

/// The streams of a pod.
#[derive(Debug)]
pub struct Streams {
    host: HostStdio,
    registry: Arc<Registry>,
    logs: Logs,
    app_logs: Arc<Mutex<BTreeMap<String, Arc<AppLog>>>>,
    taps: Arc<Taps>,
    /// How many connections the guest has opened, and how many it may.
    connections: usize,
    allowed: usize,
    outputs: Vec<Arc<Progress>>,
    reporter: Reporter,
    reports: Receiver<Report>,
    last_change: Option<(u64, Instant)>,
}

/// What a stream's thread has to say.
#[derive(Debug)]
pub enum Report {
    /// An output stream has ended.
    Ended,
    /// The escape was typed: the user wants the pod dead.
    Escape,
    /// The guest did what no agent does.
    Violation(StreamError),
    /// Something on the host's side failed; the pod goes on.
    Trouble(StreamError),
}

/// Why a stream is refused or ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// More connections than the pod has streams.
    #[error("Guest opened more streams than the pod has")]
    TooMany,
    /// The connection does not say what it is.
    #[error("Guest opened a stream without a valid header")]
    Header(#[source] FrameError),
    /// A stream that the pod does not have, or has already.
    #[error("Guest opened stream {stream:?} of app {app:?}, which it may not")]
    NotExpected {
        /// The app's name.
        app: String,
        /// Which of its streams.
        stream: StreamKind,
    },
    /// No thread could be had.
    #[error("Cannot start a thread for a stream")]
    Thread(#[source] io::Error),
    /// The terminal refused.
    #[error("Cannot set up the terminal")]
    Terminal(#[source] io::Error),
    /// The log cannot be written; said once.
    #[error("Cannot write the log of app {app}, what it writes is only passed on")]
    Log {
        /// The app's name.
        app: String,
        /// Why.
        source: io::Error,
    },
    /// The reader of the pod's output failed otherwise than by going away.
    #[error("Cannot write the output of app {app}")]
    Output {
        /// The app's name.
        app: String,
        /// Why.
        source: io::Error,
    },
}

/// How threads reach the event loop.
#[derive(Debug, Clone)]
struct Reporter {
    reports: Sender<Report>,
    wake: Arc<EventFd>,
}

impl Reporter {
    fn report(&self, report: Report) {
        // Nobody listens once the pod has ended; a full counter wakes as well as another one.
        let _ = self.reports.send(report);
        let _ = self.wake.write(1);
    }
}

impl Streams {
    /// The streams of these apps, none of them open yet. What comes over them is kept in `logs`.
    pub fn new(apps: &[AppSpec], host: HostStdio, logs: Logs) -> io::Result<Self> {
        let (sender, reports) = channel();
        let wake = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        let mut streams = Streams {
            host,
            registry: Arc::default(),
            logs,
            app_logs: Arc::default(),
            taps: Arc::default(),
            connections: 0,
            allowed: 0,
            outputs: Vec::new(),
            reporter: Reporter { reports: sender, wake },
            reports,
            last_change: None,
        };
        for app in apps {
            streams.expect(app);
        }
        Ok(streams)
    }

    /// Has the streams of an app that is about to be started; false if what it wrote in its last life is still on its
    /// way. [`Report::Ended`] tells when to ask again.
    pub fn expect(&mut self, app: &AppSpec) -> bool {
        if !self.registry.expect(app) {
            return false;
        }
        self.taps.expect(app);
        self.allowed += kinds(app.stdio).len();
        let mut logs = self.app_logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.entry(app.name.clone()).or_insert_with(|| Arc::new(self.logs.of_app(&app.name)));
        true
    }

    /// Has an app no more. What it wrote last still arrives.
    pub fn forget(&mut self, app: &str) {
        self.app_logs.lock().unwrap_or_else(PoisonError::into_inner).remove(app);
    }

    /// Who is attached to them.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Readable when there are reports.
    pub fn event(&self) -> &EventFd {
        &self.reporter.wake
    }

    /// Takes a connection the guest opened.
    pub fn accept(&mut self, stream: UnixStream) -> Result<(), StreamError> {
        if self.connections >= self.allowed {
            return Err(StreamError::TooMany);
        }
        self.connections += 1;
        let progress = Arc::new(Progress::default());
        self.outputs.retain(|output| !output.ended());
        self.outputs.push(progress.clone());
        let host = self.host;
        let shared = Shared {
            registry: self.registry.clone(),
            logs: self.app_logs.clone(),
            taps: self.taps.clone(),
            reporter: self.reporter.clone(),
        };
        let serve = move || {
            let mut stream = stream;
            let result = shared.claim(&mut stream).and_then(|header| match header {
                Some(header) => {
                    let result = shared.serve(&stream, &header, host, &progress);
                    shared.registry.release(&header);
                    result
                }
                None => Ok(()),
            });
            progress.end();
            shared.reporter.report(result.err().unwrap_or(Report::Ended));
        };
        spawn("stream", serve)
    }

    /// The reports since the last call.
    pub fn reports(&mut self) -> Vec<Report> {
        // Fails only when the counter is zero already.
        let _ = self.reporter.wake.read();
        self.reports.try_iter().collect()
    }

    /// Whether all output has reached its reader. To be asked after the guest has finished, again and again: a
    /// stream that the guest leaves open without sending anything more is given up after some silence.
    pub fn drained(&mut self, now: Instant) -> bool {
        if self.outputs.iter().all(|output| output.ended()) {
            return true;
        }
        let total = self.outputs.iter().map(|output| output.bytes()).sum();
        let writing = self.outputs.iter().any(|output| output.writing());
        match self.last_change {
            Some((before, since)) if before == total && !writing => now.duration_since(since) >= SILENCE,
            _ => {
                self.last_change = Some((total, now));
                false
            }
        }
    }
}

/// What the threads of streams share.
#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    logs: Arc<Mutex<BTreeMap<String, Arc<AppLog>>>>,
    taps: Arc<Taps>,
    reporter: Reporter,
}

impl Shared {
    /// Learns which stream a connection is; `None` if it ended before it said so.
    fn claim(&self, stream: &mut UnixStream) -> Result<Option<StreamHeader>, Report> {
        let header: StreamHeader = match read_frame(&mut stream.by_ref().take(MAX_HEADER)) {
            Ok(Some(header)) => header,
            // The guest was killed, or the pod ends.
            Ok(None) => return Ok(None),
            Err(error) => return Err(Report::Violation(StreamError::Header(error))),
        };
        if !self.registry.claim(&header) {
            let app = sanitized(&header.app);
            return Err(Report::Violation(StreamError::NotExpected { app, stream: header.stream }));
        }
        Ok(Some(header))
    }

    /// Serves a stream until it ends. Input streams are no output: they count as ended once they are known.
    fn serve(
        &self,
        stream: &UnixStream,
        header: &StreamHeader,
        host: HostStdio,
        progress: &Progress,
    ) -> Result<(), Report> {
        let log = self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(&header.app).cloned();
        let keep = |bytes: &[u8]| {
            let kept = log.as_ref().map_or(Ok(()), |log| log.write(header.stream, bytes));
            if let Err(source) = kept {
                let app = header.app.clone();
                self.reporter.report(Report::Trouble(StreamError::Log { app, source }));
            }
            self.taps.write(header, bytes);
        };
        self.taps.open(header, stream).map_err(|error| Report::Trouble(StreamError::Thread(error)))?;
        let written = match header.stream {
            StreamKind::Stdin => {
                progress.end();
                if let Some(stdin) = host.stdin {
                    pump_in(stdin, stream);
                }
                return Ok(());
            }
            StreamKind::Stdout => pump_out(stream, host.stdout, progress, keep),
            StreamKind::Stderr => pump_out(stream, host.stderr, progress, keep),
            StreamKind::Tty => {
                if let Some(stdin) = host.stdin {
                    start_typing(stream, stdin, &self.reporter).map_err(Report::Trouble)?;
                }
                pump_out(stream, host.stdout, progress, keep)
            }
        };
        self.taps.close(header);
        written.map_err(|source| Report::Trouble(StreamError::Output { app: header.app.clone(), source }))
    }
}

/// Gives the host's terminal to the app.
fn start_typing(
    stream: &UnixStream,
    keyboard: BorrowedFd<'static>,
    reporter: &Reporter,
) -> Result<(), StreamError> {
    terminal::enter_raw_mode().map_err(StreamError::Terminal)?;
    let (stream, reporter) = (stream.try_clone().map_err(StreamError::Thread)?, reporter.clone());
    spawn("typing", move || {
        if pump_typed(keyboard, &stream) {
            reporter.report(Report::Escape);
        }
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StreamError> {
    let builder = thread::Builder::new().name(name.into()).stack_size(STACK);
    let thread = threads::spawn(Kind::Stream, builder, run);
    thread.map(drop).map_err(StreamError::Thread)
}
