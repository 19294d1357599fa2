//! Runs a pod whose machine has been started, until it ends.

mod changes;
mod clients;
mod events;
mod look;
mod readiness;
mod sockets;
#[cfg(test)]
mod tests;
mod unread;
mod watches;

use std::{
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use agent::protocol::{
    ACCEPTED_PORT, AppSpec, COMMAND_PORT, CONTROL_PORT, Dns, HostMessage, STREAM_PORT, Stdio, WATCH_PORT,
};
use appc::PodManifest;
use event_manager::{SubscriberId, SubscriberOps};
use vmm_sys_util::epoll::EventSet;

use self::{
    readiness::{Readiness, ReadyQueue, Token},
    unread::Unread,
    watches::Notices,
};
use super::{
    activation::{HostSockets, Relays},
    arguments::RunArguments,
    clients::Clients,
    clock::ClockWatch,
    conditions::Conditions,
    control::Control,
    diagnostics::Diagnostics,
    directory::PodDirectory,
    error::PodError,
    hints::Hints,
    keeper::Link,
    logs::{Journal, Logs},
    network::GuestNetwork,
    session::{Phase, Session},
    signals::Ending,
    spec,
    stopping::{KILLED, Stop},
    streams::{HostStdio, Streams},
    terminal,
    volumes::Volumes,
};
use crate::{
    event_loop::EventLoop,
    machine::{Exit, Machine},
    virtio::{
        fs::{IoLimits, Watches},
        vsock::{Listener, Ports},
    },
};

/// How long a guest may take until its agent says hello: many times what a loaded, emulated host needs.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long after the agent has gone its machine may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long after the machine's end what it said last may take to arrive.
const LAST_BYTES: Duration = Duration::from_millis(100);
/// How often output is looked at that has yet to reach its reader.
const DRAIN_INTERVAL: Duration = Duration::from_millis(200);

/// The machine, as far as its supervisor cares.
pub trait Guest {
    /// Readable when the machine has ended by itself.
    fn exit_event(&self) -> RawFd;
    /// Why it has, in one line; `None` while it runs.
    fn exit(&self) -> Option<String>;
}

impl Guest for Machine {
    fn exit_event(&self) -> RawFd {
        Machine::exit_event(self).as_raw_fd()
    }

    fn exit(&self) -> Option<String> {
        Machine::exit(self).map(Exit::line)
    }
}

/// What a pod is run with.
#[derive(Debug)]
pub struct Pod {
    /// What stage0 said.
    pub arguments: RunArguments,
    /// What to run.
    pub manifest: PodManifest,
    /// Where it leaves what others read.
    pub directory: PodDirectory,
    /// What is said about its apps in annotations, in the manifest's order.
    pub hints: Vec<Hints>,
    /// What its apps share with others.
    pub volumes: Volumes,
    /// How much they may read and write.
    pub io_limits: IoLimits,
    /// What they watch in volumes.
    pub watches: Watches,
    /// On which the service manager listens for them.
    pub sockets: HostSockets,
    /// What apps find of name resolution.
    pub dns: Dns,
    /// The host's, if it keeps what apps write.
    pub journal: Option<Journal>,
    /// How it is connected.
    pub network: GuestNetwork,
    /// Where its output goes, and its input comes from.
    pub stdio: HostStdio,
}

/// Where the connections of the guest and of clients arrive.
#[derive(Debug)]
pub struct Listeners {
    control: Listener,
    streams: Listener,
    commands: Listener,
    accepted: Listener,
    watches: Listener,
    clients: Clients,
    ports: Ports,
}

impl Listeners {
    /// Listens for the guest and for clients. Must come before the machine is started.
    pub fn open(ports: &Ports, directory: &PodDirectory) -> Result<Self, PodError> {
        let listen = |port| ports.listen(port).map_err(PodError::Listen);
        Ok(Listeners {
            control: listen(CONTROL_PORT)?,
            streams: listen(STREAM_PORT)?,
            commands: listen(COMMAND_PORT)?,
            accepted: listen(ACCEPTED_PORT)?,
            watches: listen(WATCH_PORT)?,
            clients: Clients::listen(&directory.socket()).map_err(PodError::Socket)?,
            ports: ports.clone(),
        })
    }
}

/// A running pod.
#[derive(Debug)]
pub struct Supervisor<'a, G> {
    pod: Pod,
    guest: &'a G,
    keeper: &'a Link,
    diagnostics: &'a Diagnostics,
    ready: ReadyQueue,
    clock: ClockWatch,
    listeners: Listeners,
    control: Option<Control>,
    streams: Streams,
    relays: Relays,
    unread: Unread,
    notices: Notices,
    session: Session,
    conditions: Conditions,
    apps: Vec<AppSpec>,
    started: Instant,
    first_failure: Option<i32>,
    stop: Option<Stop>,
    gone_at: Option<Instant>,
    finished: Option<i32>,
}

impl<'a, G: Guest> Supervisor<'a, G> {
    /// A pod whose guest has just been started.
    pub fn new(
        mut pod: Pod,
        listeners: Listeners,
        guest: &'a G,
        keeper: &'a Link,
        diagnostics: &'a Diagnostics,
    ) -> Result<Self, PodError> {
        let interactive = pod.arguments.interactive;
        let others = pod.hints.iter().zip(&pod.volumes.mounts);
        let apps = pod.manifest.apps.iter().zip(others);
        let apps: Vec<_> = apps
            .map(|(app, (hints, mounts))| AppSpec {
                sockets: pod.sockets.of_app(app.name.as_str()),
                ..spec::describe(app, interactive, hints, mounts)
            })
            .collect();
        let names: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
        let stdin = pod.stdio.stdin.filter(|_| interactive);
        let stdio = HostStdio { stdin, ..pod.stdio };
        let (logs, trouble) = Logs::open(&pod.directory.logs(), pod.journal.take());
        if let Some(error) = trouble {
            diagnostics.say(&format!("Cannot make the directory of logs, there are none: {error}"));
        }
        Ok(Supervisor {
            listeners,
            streams: Streams::new(&apps, stdio, logs).map_err(PodError::Resource)?,
            relays: Relays::new().map_err(PodError::Resource)?,
            unread: Unread::default(),
            notices: Notices::new().map_err(PodError::Resource)?,
            ready: ReadyQueue::default(),
            clock: ClockWatch::start().map_err(PodError::Resource)?,
            control: None,
            session: Session::new(names),
            conditions: Conditions::default(),
            apps,
            started: Instant::now(),
            first_failure: None,
            stop: None,
            gone_at: None,
            finished: None,
            pod,
            guest,
            keeper,
            diagnostics,
        })
    }

    /// Runs the pod until it ends.
    pub fn run(mut self, event_loop: &mut EventLoop) -> Result<Ending, PodError> {
        self.watch(event_loop, self.keeper.as_raw_fd(), EventSet::IN, Token::Signals);
        // Some may have come before.
        self.ready.push(Token::Signals);
        self.watch(event_loop, self.listeners.control.as_raw_fd(), EventSet::IN, Token::ControlListener);
        self.watch(event_loop, self.listeners.streams.as_raw_fd(), EventSet::IN, Token::StreamListener);
        self.watch(event_loop, self.listeners.commands.as_raw_fd(), EventSet::IN, Token::CommandListener);
        self.watch(event_loop, self.listeners.clients.as_raw_fd(), EventSet::IN, Token::ClientListener);
        self.watch(event_loop, self.listeners.accepted.as_raw_fd(), EventSet::IN, Token::AcceptedListener);
        self.watch(event_loop, self.listeners.watches.as_raw_fd(), EventSet::IN, Token::WatchListener);
        self.watch(event_loop, self.notices.event().as_raw_fd(), EventSet::IN, Token::Notices);
        self.watch(event_loop, self.streams.event().as_raw_fd(), EventSet::IN, Token::Streams);
        self.watch(event_loop, self.clock.as_raw_fd(), EventSet::IN, Token::Clock);
        // It stays readable: once is enough.
        let once = EventSet::IN | EventSet::EDGE_TRIGGERED;
        self.watch(event_loop, self.guest.exit_event(), once, Token::Machine);
        loop {
            let timeout = self.timeout(Instant::now());
            event_loop.run_with_timeout(timeout).map_err(PodError::EventLoop)?;
            while let Some(token) = self.ready.pop() {
                if let Some(ending) = self.handle(token, event_loop)? {
                    return Ok(ending);
                }
            }
            if let Some(ending) = self.check_time(Instant::now())? {
                return Ok(ending);
            }
        }
    }

    fn watch(
        &self,
        event_loop: &mut EventLoop,
        descriptor: RawFd,
        events: EventSet,
        token: Token,
    ) -> SubscriberId {
        event_loop.add_subscriber(Box::new(Readiness::new(descriptor, events, token, &self.ready)))
    }

    /// How long the loop may wait, in milliseconds; -1 is forever.
    fn timeout(&self, now: Instant) -> i32 {
        let boot = (self.session.phase() == Phase::Silent).then(|| self.started + BOOT_LIMIT);
        let drain = self.finished.map(|_| now + DRAIN_INTERVAL);
        let stop = self.stop.map(|stop| stop.limit());
        match [boot, drain, stop, self.gone_at, self.conditions.deadline()].into_iter().flatten().min() {
            None => -1,
            // Rounded up, or the last millisecond would be spent spinning.
            Some(limit) => {
                i32::try_from(limit.saturating_duration_since(now).as_millis() + 1).unwrap_or(i32::MAX)
            }
        }
    }

    /// What is due because time has passed.
    fn check_time(&mut self, now: Instant) -> Result<Option<Ending>, PodError> {
        let written = self.conditions.write_due(&self.pod.directory, now);
        self.told(written);
        if let Some(status) = self.finished {
            // All are asked: each counts from when it was asked first.
            let unread = self.listeners.ports.unread_bytes();
            let drained =
                self.streams.drained(now) & self.relays.drained(now) & self.unread.given_up(unread, now);
            return Ok(drained.then(|| self.ending(status)));
        }
        if self.gone_at.is_some_and(|limit| now >= limit) {
            return Err(self.guest.exit().map_or(PodError::AgentGone, PodError::Machine));
        }
        if self.session.phase() == Phase::Silent && now >= self.started + BOOT_LIMIT {
            return Err(PodError::BootTimeout(BOOT_LIMIT.as_secs()));
        }
        if self.stop.is_some_and(|stop| now >= stop.limit()) {
            return Ok(Some(self.kill("Pod killed: its guest did not end the apps in time")));
        }
        Ok(None)
    }

    fn ending(&self, status: i32) -> Ending {
        self.stop.map_or(Ending::Status(status), |stop| stop.ending(status))
    }

    /// Ends the pod at once: the machine goes, and with it every app that still runs.
    fn kill(&mut self, why: &str) -> Ending {
        terminal::restore();
        self.diagnostics.say(why);
        for app in self.session.unfinished() {
            let written = self.conditions.ended(app, &self.pod.directory, Instant::now());
            self.told(written);
            self.told(self.pod.directory.write_status(app, KILLED));
        }
        Ending::Status(KILLED)
    }

    fn send(&mut self, message: &HostMessage) -> Result<(), PodError> {
        match &mut self.control {
            Some(control) => control.send(message).map_err(PodError::Control),
            None => Ok(()),
        }
    }

    /// Tells the app of the terminal how large that is now.
    fn resize(&mut self) -> Result<(), PodError> {
        let interactive = self.pod.arguments.interactive;
        let is_terminal = |app: &&AppSpec| interactive && matches!(app.stdio, Stdio::Terminal { .. });
        match self.apps.iter().find(is_terminal) {
            Some(app) if self.session.phase() != Phase::Silent => {
                let message = HostMessage::Resize { app: app.name.clone(), size: terminal::size() };
                self.send(&message)
            }
            _ => Ok(()),
        }
    }
}
