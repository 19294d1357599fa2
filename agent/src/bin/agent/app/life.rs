//! The life of an app as the agent sees it.
//!
//! ```text
//!            report empty             main process reaped
//! Launching ─────────────▶ Running ──────────────────────▶ PostStop ──▶ Sweeping ──▶ Delivering ──▶ Done
//!     │                                                    (handler)    (all its      (its output
//!     └──────── main process reaped ───────────────────────────────────▶ processes     is with
//!               (its report says why)                                    killed)       the host)
//! ```

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use agent::protocol::{Condition, WindowSize};
use nix::errno::Errno;
use nix::libc::{self, POLLIN, pollfd};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::cgroup::Cgroup;
use super::error::StartError;
use super::launch;
use super::namespaces::Namespaces;
use super::notify::Notify;
use super::plan::{AppPlan, ProcessPlan};
use super::probe::Probe;
use super::process::{Report, spawn};
use super::sockets::Sockets;
use super::syslog::Syslog;
use super::watch::{Change, Watch};
use crate::host::Dial;
use crate::layout::{CGROUP, LOGS, NOTIFY, SOCKETS};
use crate::root::{self, Volume};
use crate::stream::{AppEnds, Owner, Streams, Terminal};

/// Something that happened to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its program runs.
    Started(Pid),
    /// A line about it for the user.
    Told(String),
    /// How it fares has changed.
    Fares(Condition),
    /// Its main process ended.
    Ended(i32),
    /// Nothing of it is left, and all its output has been delivered.
    Gone(i32),
}

/// A mount of the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// Of what the host has mounted below a share.
    Share(PathBuf),
    /// Of a volume in memory.
    Memory(PathBuf),
}

#[derive(Debug)]
enum State {
    Launching { main: Pid, report: Report },
    Running { main: Pid },
    PostStop { handler: Pid, report: Report, status: i32 },
    Sweeping { status: i32 },
    Delivering { status: i32 },
    Done,
}

/// An app that has been started.
#[derive(Debug)]
pub struct App {
    plan: AppPlan,
    cgroup: Cgroup,
    watch: Watch,
    streams: Streams,
    notify: Option<Notify>,
    syslog: Option<Syslog>,
    /// None once its main process has ended: nobody would take what comes.
    sockets: Option<Sockets>,
    /// Keeps what it has mounted until nothing can be under way there any more ([`crate::machine::Quiet`]).
    namespaces: Option<Namespaces>,
    state: State,
    events: Vec<Event>,
}

impl App {
    /// Starts an app.
    pub fn start(mut plan: AppPlan, host: &dyn Dial) -> Result<Self, StartError> {
        let app = plan.name.clone();
        let (cgroup, skipped) = Cgroup::create(Path::new(CGROUP), &app, &plan.limits)
            .map_err(|source| StartError::Cgroup { app: app.clone(), source })?;
        let streams = Streams::open(Owner::App(&app), plan.stdio, |size| Terminal::open(&app, size), host)
            .map_err(|source| StartError::Streams { app: app.clone(), source })?;
        plan.root.terminal = streams.terminal().map(|terminal| root::Terminal {
            devpts: terminal.devpts().display().to_string(),
            device: terminal.device().display().to_string(),
        });
        let notify = plan.notify.then(|| Notify::bind(Path::new(NOTIFY), &app)).transpose();
        let notify = notify.map_err(|source| StartError::Notify { app: app.clone(), source })?;
        plan.root.notify = notify.as_ref().map(|notify| notify.path().display().to_string());
        let failed = |source| StartError::Process { app: app.clone(), source };
        let ends = streams.app_ends().ok_or_else(|| failed(Errno::EBADF.into()))?;
        let syslog = Syslog::bind(Path::new(LOGS), &app, &ends.stderr);
        let syslog = syslog.map_err(|source| StartError::Syslog { app: app.clone(), source })?;
        plan.root.log = Some(syslog.path().display().to_string());
        let sockets = Sockets::open(Path::new(SOCKETS), &app, &plan.sockets);
        let sockets = sockets.map_err(|source| StartError::Sockets { app: app.clone(), source })?;
        let (main, report) = spawn(|| match launch::main_process(&plan, &cgroup, ends, &sockets) {
            Ok(never) => match never {},
            Err(error) => error.failure(),
        })
        .map_err(failed)?;
        let told =
            |file: &&str| Event::Told(format!("Warning: the guest kernel cannot limit {file} of app {app}"));
        let events = skipped.iter().map(told).collect();
        Ok(Self {
            watch: Watch::new(cgroup.directory(), plan.health.clone()),
            plan,
            cgroup,
            streams,
            notify,
            syslog: Some(syslog),
            sockets: Some(sockets),
            namespaces: None,
            state: State::Launching { main, report },
            events,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Mounts of the agent's that are there for this app alone, once it has ended.
    pub fn mounts(&self) -> Vec<Mount> {
        let of_volume = |volume: &Volume| match volume.memory {
            None => Some(Mount::Share(volume.source.clone())),
            Some(memory) if memory.own => Some(Mount::Memory(volume.source.clone())),
            Some(_) => None,
        };
        let volumes = self.plan.root.volumes.iter().filter_map(of_volume);
        volumes.chain([Mount::Share(self.plan.rootfs.clone())]).collect()
    }

    /// What holds all it has mounted, once it has ended.
    pub fn take_namespaces(&mut self) -> Option<Namespaces> {
        self.namespaces.take()
    }

    /// Whether it is at work, as far as it lets the agent know.
    pub fn is_ready(&self) -> bool {
        self.notify.as_ref().is_none_or(Notify::is_ready)
    }

    /// Whether nothing is left of it.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether it waits for processes to vanish of which the agent may not be told.
    pub fn is_sweeping(&self) -> bool {
        matches!(self.state, State::Sweeping { .. })
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The descriptors the app waits for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        let report = match &self.state {
            State::Launching { report, .. } | State::PostStop { report, .. } => {
                report.interest().map(readable)
            }
            _ => None,
        };
        let notify = self.notify.as_ref().map(|notify| readable(notify.interest()));
        let syslog = self.syslog.as_ref().map(Syslog::interest);
        let watch = self.watch.interest();
        report.into_iter().chain(notify).chain(syslog).chain(watch).chain(self.streams.interest())
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(&mut self, ready: &[RawFd]) {
        self.streams.advance(ready);
        if let Some(notify) = &mut self.notify
            && ready.contains(&notify.interest())
        {
            notify.advance();
        }
        if let Some(syslog) = &mut self.syslog
            && ready.contains(&syslog.interest().fd)
        {
            syslog.advance();
        }
        if let State::PostStop { report, .. } = &mut self.state {
            report.advance();
        }
        if let State::Launching { main, report } = &mut self.state
            && report.advance()
            && report.line().is_none()
        {
            let main = *main;
            self.state = State::Running { main };
            self.namespaces = Namespaces::of(main).ok();
            self.watch.begin(Instant::now());
            self.events.push(Event::Started(main));
        }
        self.watch.advance(ready);
        self.tell_how_it_fares();
        self.sweep();
    }

    /// Time has passed: a check of its health may be due.
    pub fn tick(&mut self, now: Instant) {
        if let State::Running { main } = self.state {
            let start = |exec: &[String], timeout| {
                Probe::start(exec, timeout, main, &self.plan.process, &self.cgroup)
            };
            self.watch.tick(now, start);
            self.tell_how_it_fares();
        }
    }

    /// When [`App::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.watch.deadline()
    }

    fn tell_how_it_fares(&mut self) {
        if matches!(self.state, State::Launching { .. } | State::Running { .. }) {
            let change = self.watch.change(&self.plan.name);
            self.tell(change);
        }
    }

    fn tell(&mut self, change: Option<Change>) {
        if let Some(Change { condition, lines }) = change {
            self.events.extend(lines.into_iter().map(Event::Told));
            self.events.push(Event::Fares(condition));
        }
    }

    /// Takes note of a process that has ended; whether it was one of this app's own.
    pub fn reaped(&mut self, process: Pid, status: i32) {
        match &mut self.state {
            State::Launching { main, report } if *main == process => {
                report.advance();
                let line = report.line();
                let ran = line.is_none();
                // Without a line it has run, and ended before the agent saw that.
                self.events.push(line.map_or(Event::Started(process), Event::Told));
                self.ended(status, ran);
            }
            State::Running { main } if *main == process => self.ended(status, true),
            State::PostStop { handler, report, status: of_app } if *handler == process => {
                report.advance();
                let status_of_app = *of_app;
                if let Some(line) = report.line() {
                    self.events.push(Event::Told(line));
                } else if status != 0 {
                    let line = format!(
                        "Warning: post-stop handler of app {} failed with status {status}",
                        self.plan.name
                    );
                    self.events.push(Event::Told(line));
                }
                self.kill();
                self.state = State::Sweeping { status: status_of_app };
            }
            _ => self.watch.reaped(process, status, Instant::now()),
        }
        self.tell_how_it_fares();
        self.sweep();
    }

    fn ended(&mut self, status: i32, ran: bool) {
        self.kill();
        self.sockets = None;
        let change = self.watch.end(&self.plan.name);
        self.tell(change);
        self.events.push(Event::Ended(status));
        self.state = match self.plan.post_stop.as_ref().zip(self.streams.app_ends()) {
            Some((exec, ends)) if ran => match self.start_post_stop(exec, ends) {
                Ok((handler, report)) => State::PostStop { handler, report, status },
                Err(error) => {
                    let line = format!(
                        "Warning: cannot run the post-stop handler of app {}: {error}",
                        self.plan.name
                    );
                    self.events.push(Event::Told(line));
                    State::Sweeping { status }
                }
            },
            _ => State::Sweeping { status },
        };
    }

    fn start_post_stop(&self, exec: &[String], ends: &AppEnds) -> io::Result<(Pid, Report)> {
        spawn(|| match launch::post_stop(&self.plan, exec, &self.cgroup, ends) {
            Ok(never) => match never {},
            Err(error) => error.failure(),
        })
    }

    /// Moves on when the app's processes are gone, and then its output.
    fn sweep(&mut self) {
        if let State::Sweeping { status } = self.state
            && !self.cgroup.is_populated()
        {
            if let Some(mut syslog) = self.syslog.take() {
                syslog.advance();
            }
            self.streams.finish();
            self.state = State::Delivering { status };
        }
        if let State::Delivering { status } = self.state
            && self.streams.is_delivered()
        {
            self.events.push(Event::Gone(status));
            self.state = State::Done;
        }
    }

    /// Its main process, with how processes of the app run; none unless its program runs.
    pub fn running(&self) -> Option<(Pid, &ProcessPlan, &Cgroup)> {
        match self.state {
            State::Running { main } => Some((main, &self.plan.process, &self.cgroup)),
            _ => None,
        }
    }

    /// Starts a connection to one of the sockets it started with.
    pub fn connect(&self, socket: u32) -> io::Result<OwnedFd> {
        self.sockets.as_ref().ok_or(io::ErrorKind::ConnectionRefused)?.connect(socket)
    }

    /// Asks the app to end.
    pub fn terminate(&self) {
        self.signal(self.plan.stop_signal.unwrap_or(libc::SIGTERM));
        // Interactive shells ignore SIGTERM, but not the loss of their terminal.
        if self.streams.terminal().is_some() {
            self.signal(libc::SIGHUP);
        }
    }

    /// Sends a signal to the main process.
    pub fn signal(&self, signal: i32) {
        let main = match &self.state {
            State::Launching { main, .. } | State::Running { main } => *main,
            _ => return,
        };
        if let Ok(signal) = Signal::try_from(signal) {
            let _ = kill(main, signal);
        }
    }

    /// Kills every process of the app.
    pub fn kill(&self) {
        let _ = self.cgroup.kill();
        // A process that has not entered its cgroup yet.
        self.signal(libc::SIGKILL);
    }

    /// Changes the size of the app's terminal.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.streams.terminal().map_or(Ok(()), |terminal| terminal.resize(size))
    }
}

/// Waits for a descriptor to be readable.
fn readable(fd: RawFd) -> pollfd {
    pollfd { fd, events: POLLIN, revents: 0 }
}

/// The status of a process that ended, as shells count: 128+N for death by signal N.
pub fn exit_status(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
        _ => None,
    }
}
