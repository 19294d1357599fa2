//! A command that the host runs in a running app: its start, and its life as the agent sees it.
//!
//! It lives in the app's cgroup, so that it ends with the app, but no app waits for it.

use std::io;
use std::os::fd::RawFd;

use agent::protocol::{CommandSpec, WindowSize};
use nix::libc::{self, POLLIN, pollfd};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::launch;
use super::life::App;
use super::namespaces::Namespaces;
use super::plan::ProcessPlan;
use super::process::{Report, spawn};
use crate::host::Dial;
use crate::stream::{Owner, StreamError, Streams, Terminal};

/// Why a command cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The app has ended, or has not been started yet.
    #[error("App \"{0}\" is not running")]
    NotRunning(String),
    /// Nothing to execute.
    #[error("There is no command to run")]
    NoExec,
    /// Its streams.
    #[error("Cannot connect the command")]
    Streams(#[from] StreamError),
    /// Its process.
    #[error("Cannot make a process for the command")]
    Process(#[from] io::Error),
}

/// A command that has been started.
#[derive(Debug)]
pub struct Command {
    id: u32,
    app: String,
    main: Pid,
    report: Report,
    streams: Streams,
    ended: Option<End>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its exit status, as shells count.
    pub status: i32,
    /// Why it could not be executed.
    pub line: Option<String>,
}

impl Command {
    /// Starts a command in an app.
    pub fn start(id: u32, spec: &CommandSpec, app: &App, host: &dyn Dial) -> Result<Self, CommandError> {
        let not_running = || CommandError::NotRunning(spec.app.clone());
        if spec.exec.is_empty() {
            return Err(CommandError::NoExec);
        }
        let (main, of_app, cgroup) = app.running().ok_or_else(not_running)?;
        let namespaces = Namespaces::of(main).map_err(|_| not_running())?;
        let process = process(of_app, spec);
        let terminal = |size| Terminal::within(main, size);
        let streams = Streams::open(Owner::Command(id), spec.stdio, terminal, host)?;
        let ends = streams.app_ends().ok_or_else(not_running)?;
        let has_terminal = streams.terminal().is_some();
        let (main, report) =
            spawn(|| match launch::command(&process, cgroup, &namespaces, ends, has_terminal) {
                Ok(never) => match never {},
                Err(error) => error.command_failure(),
            })?;
        Ok(Self { id, app: spec.app.clone(), main, report, streams, ended: None })
    }

    /// The host's name for it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The app it runs in.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The descriptors the command waits for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        let report = self.report.interest().map(|fd| pollfd { fd, events: POLLIN, revents: 0 });
        report.into_iter().chain(self.streams.interest())
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(&mut self, ready: &[RawFd]) {
        self.streams.advance(ready);
        self.report.advance();
    }

    /// Takes note of a process that has ended, perhaps the command's.
    pub fn reaped(&mut self, process: Pid, status: i32) {
        if process != self.main || self.ended.is_some() {
            return;
        }
        self.report.advance();
        self.ended = Some(End { status, line: self.report.line() });
        // What it left in the background loses its streams, not its life.
        self.streams.finish();
    }

    /// How it ended, once all its output has been delivered.
    pub fn delivered(&self) -> Option<&End> {
        self.ended.as_ref().filter(|_| self.streams.is_delivered())
    }

    /// How it ended, though its output may not have been delivered.
    pub fn ended(&self) -> Option<&End> {
        self.ended.as_ref()
    }

    /// Sends a signal to its process group: it leads a session of its own.
    pub fn signal(&self, signal: i32) {
        // Once it has been waited for its number may be another's.
        if let (None, Ok(signal)) = (&self.ended, Signal::try_from(signal)) {
            // Before it leads a group it is alone.
            let _ = killpg(self.main, signal).or_else(|_| kill(self.main, signal));
        }
    }

    /// Ends its streams and says so to its process group.
    pub fn hang_up(&mut self) {
        self.signal(libc::SIGHUP);
        self.streams.close();
    }

    /// Changes the size of its terminal.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.streams.terminal().map_or(Ok(()), |terminal| terminal.resize(size))
    }
}

/// How the command runs: like the app, but for what was asked for otherwise.
fn process(of_app: &ProcessPlan, spec: &CommandSpec) -> ProcessPlan {
    let user = spec.user.as_deref().unwrap_or("0");
    // A user without a group means that user's own.
    let (user, group) = user.split_once(':').unwrap_or((user, user));
    let mut process = ProcessPlan {
        exec: spec.exec.clone(),
        user: user.to_owned(),
        group: group.to_owned(),
        supplementary: Vec::new(),
        ..of_app.clone()
    };
    for (name, value) in &spec.environment {
        process.environment.set(name, value);
    }
    if let Some(directory) = &spec.working_directory {
        process.working_directory = directory.clone();
        process.make_directory = false;
    }
    process
}
