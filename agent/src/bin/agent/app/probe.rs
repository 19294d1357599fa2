//! One run of the command that checks an app's health. Nobody but the agent hears what it says.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use agent::protocol::MAX_CHECK_OUTPUT;
use nix::fcntl::OFlag;
use nix::libc::{POLLIN, pollfd};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, pipe2};

use super::cgroup::Cgroup;
use super::launch;
use super::namespaces::Namespaces;
use super::plan::ProcessPlan;
use super::process::{Report, spawn};
use crate::stream::{AppEnds, set_nonblocking};

/// How much is kept of what it says, in bytes; the rest is read and dropped.
const MAX_KEPT: usize = 4 * MAX_CHECK_OUTPUT;
/// How much is read of it at once, in bytes.
const CHUNK: usize = 4 << 10;

/// A check that has been started.
#[derive(Debug)]
pub struct Probe {
    main: Pid,
    report: Report,
    pipe: Option<File>,
    kept: Vec<u8>,
    kill_at: Option<Instant>,
    timeout: Duration,
    killed: bool,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Result {
    /// Whether the app is well.
    pub well: bool,
    /// What the check said, cut.
    pub output: String,
}

impl Probe {
    /// Runs a command in the app whose main process is `main`, as that runs.
    pub fn start(
        exec: &[String],
        timeout: Duration,
        main: Pid,
        of_app: &ProcessPlan,
        cgroup: &Cgroup,
    ) -> io::Result<Self> {
        let namespaces = Namespaces::of(main)?;
        let process = ProcessPlan { exec: exec.to_vec(), ..of_app.clone() };
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        set_nonblocking(&reader)?;
        let stdin = File::open("/dev/null")?.into();
        let ends = AppEnds { stdin, stdout: writer.try_clone()?, stderr: writer };
        let (main, report) = spawn(|| match launch::command(&process, cgroup, &namespaces, &ends, false) {
            Ok(never) => match never {},
            Err(error) => error.command_failure(),
        })?;
        Ok(Self {
            main,
            report,
            pipe: Some(reader.into()),
            kept: Vec::new(),
            // One that cannot be reached is never.
            kill_at: Instant::now().checked_add(timeout),
            timeout,
            killed: false,
        })
    }

    /// Whether it is this process.
    pub fn is(&self, process: Pid) -> bool {
        self.main == process
    }

    /// The descriptors it waits for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        let pipe = self.pipe.as_ref().map(AsRawFd::as_raw_fd);
        let readable = |fd| pollfd { fd, events: POLLIN, revents: 0 };
        self.report.interest().into_iter().chain(pipe).map(readable)
    }

    /// When [`Probe::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.kill_at.filter(|_| !self.killed)
    }

    /// Kills it, if its time is over: its whole group, for it leads a session of its own.
    pub fn tick(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.killed = true;
            // Before it leads a group it is alone.
            let _ = killpg(self.main, Signal::SIGKILL);
            let _ = kill(self.main, Signal::SIGKILL);
        }
    }

    /// Takes in what it says.
    pub fn advance(&mut self, ready: &[RawFd]) {
        self.report.advance();
        if self.pipe.as_ref().is_some_and(|pipe| ready.contains(&pipe.as_raw_fd())) {
            self.read();
        }
    }

    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = [0; CHUNK];
        match pipe.read(&mut chunk) {
            Ok(count) if count > 0 => {
                let room = MAX_KEPT - self.kept.len();
                self.kept.extend(&chunk[..count.min(room)]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.pipe = None,
        }
    }

    /// How it ended, its process having ended with `status`. What it left in the background is not waited for.
    pub fn result(mut self, status: i32) -> Result {
        self.report.advance();
        self.read();
        let output = match self.report.line() {
            _ if self.killed => format!("Check took longer than {:?} and was killed", self.timeout),
            Some(line) => line,
            None => String::from_utf8_lossy(&self.kept).into_owned(),
        };
        let output = output.trim_end().chars().take(MAX_CHECK_OUTPUT).collect();
        Result { well: status == 0 && !self.killed, output }
    }
}
