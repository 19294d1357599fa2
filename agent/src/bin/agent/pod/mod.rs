//! A pod from its description to its end: one loop that waits for the host, the apps and their streams.

mod changes;
mod commands;
mod course;
mod departures;
mod relays;

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use agent::protocol::{GuestMessage, HostMessage, PodSpec};
use nix::errno::Errno;
use nix::libc::{self, POLLIN, pollfd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::app::{App, AppPlan, Event, PlanError, exit_status};
use crate::failure;
use crate::host::{Control, ControlError, Dial};
use crate::look::look;
use crate::machine;
use crate::watch::Watches;
use changes::Stops;
use commands::Commands;
use course::{Course, Order};
use departures::Departures;
use relays::Relays;

/// How often the agent looks whether the last processes of an app have vanished, should it not be told.
const SWEEP_INTERVAL: Duration = Duration::from_millis(20);
/// The status of an app that could not be started (systemd.exec(5): `EXIT_EXEC`).
const NOT_STARTED: i32 = 203;

/// Why a pod cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The host.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An app's description.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Signals of children.
    #[error("Cannot receive signals")]
    Signals(#[source] Errno),
    /// Waiting.
    #[error("Cannot wait for events")]
    Wait(#[source] Errno),
}

/// A running pod.
#[derive(Debug)]
struct Pod<'a> {
    spec: &'a PodSpec,
    control: &'a mut Control,
    signals: SignalFd,
    apps: Vec<App>,
    unstarted: usize,
    announced: bool,
    course: Course,
    stops: Stops,
    departures: Departures,
    commands: Commands,
    relays: Relays,
    host: &'a dyn Dial,
    watches: &'a Watches,
}

/// Runs a pod until all its apps have ended; returns its status when everything they wrote is with the host.
pub fn run(
    spec: &PodSpec,
    control: &mut Control,
    host: &dyn Dial,
    watches: &Watches,
) -> Result<i32, PodError> {
    let plans = spec.apps.iter().map(|app| AppPlan::new(app, spec)).collect::<Result<Vec<_>, _>>()?;
    let signals = child_signals().map_err(PodError::Signals)?;
    let mut pod = Pod {
        spec,
        control,
        signals,
        apps: Vec::new(),
        unstarted: plans.len(),
        announced: false,
        course: Course::default(),
        stops: Stops::default(),
        departures: Departures::default(),
        commands: Commands::default(),
        relays: Relays::default(),
        host,
        watches,
    };
    for plan in plans {
        pod.start(plan)?;
    }
    while !pod.is_done() {
        pod.report()?;
        let ready = pod.wait()?;
        pod.turn(&ready)?;
    }
    pod.report()?;
    pod.commands.report_all(pod.control)?;
    let status = pod.course.status();
    end_of_processes();
    // What they have mounted stays to the end of the machine, which needs not wait for anything under way there.
    pod.apps.iter_mut().for_each(|app| std::mem::forget(app.take_namespaces()));
    Ok(status)
}

/// Ends every process that is left, apart from the agent.
///
/// Nothing is dirty in the guest's page cache then: virtio-fs writes a file back whenever it is closed, before the
/// process that had it open is seen to end. `sync` would add that the host makes its whole file system durable.
fn end_of_processes() {
    // Every process of the PID namespace but the caller (kill(2)). In a guest that is everything.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while let Ok(_) | Err(Errno::EINTR) = waitpid(None, None) {}
}

/// A descriptor that tells of ended children, in place of the signal.
fn child_signals() -> nix::Result<SignalFd> {
    let mask = SigSet::from(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

impl Pod<'_> {
    /// Commands and connections end with their apps; what they carry is waited for, but not for ever.
    fn is_done(&mut self) -> bool {
        let now = Instant::now();
        let may_end = !self.spec.mutable || self.course.is_ending();
        // Both are asked: each counts from when it was asked first.
        let all_gone = self.apps.iter().all(App::is_done) && self.departures.is_empty();
        may_end && all_gone && self.commands.is_done(now) & self.relays.is_done(now)
    }

    fn start(&mut self, plan: AppPlan) -> Result<(), PodError> {
        let name = plan.name.clone();
        if self.spec.debug {
            eprintln!("rkt agent: starting app {name}: {:?}", plan.process.exec);
        }
        machine::touch_submount(&plan.rootfs);
        let in_memory =
            plan.root.volumes.iter().filter_map(|volume| Some((volume.memory?, volume.source.as_path())));
        for (volume, path) in in_memory {
            if let Err(error) = machine::provide_memory(&volume, path) {
                return self.not_started(name, &error);
            }
        }
        match App::start(plan, self.host) {
            Ok(app) => self.apps.push(app),
            Err(error) => self.not_started(name, &error)?,
        }
        Ok(())
    }

    fn not_started(&mut self, app: String, error: &dyn std::error::Error) -> Result<(), PodError> {
        let text = format!("Error: {}", failure::line(error));
        self.control.queue(&GuestMessage::Diagnostic { app: Some(app.clone()), text })?;
        self.control.queue(&GuestMessage::AppExited { app, status: NOT_STARTED })?;
        let order = self.app_ended(NOT_STARTED);
        self.obey(order);
        Ok(())
    }

    /// In a pod whose apps come and go, each ends for itself.
    fn app_ended(&mut self, status: i32) -> Option<Order> {
        if self.spec.mutable { None } else { self.course.app_ended(status, Instant::now()) }
    }

    /// Tells the host what has happened to the apps.
    fn report(&mut self) -> Result<(), PodError> {
        let mut orders = Vec::new();
        let events: Vec<_> =
            self.apps.iter_mut().map(|app| (app.name().to_owned(), app.take_events())).collect();
        for (name, event) in events
            .into_iter()
            .flat_map(|(name, events)| events.into_iter().map(move |event| (name.clone(), event)))
        {
            let message = match event {
                Event::Started(pid) => {
                    // Apps that are added later are not counted.
                    self.unstarted = self.unstarted.saturating_sub(1);
                    GuestMessage::AppStarted { app: name, pid: pid.as_raw() as u32 }
                }
                Event::Fares(condition) => GuestMessage::AppCondition { app: name, condition },
                Event::Told(text) => GuestMessage::Diagnostic { app: Some(name), text },
                Event::Gone(status) => GuestMessage::AppExited { app: name, status },
                Event::Ended(status) => {
                    self.commands.app_ended(&name);
                    self.watches.look_again();
                    orders.extend(self.app_ended(status));
                    continue;
                }
            };
            self.control.queue(&message)?;
            self.announce()?;
        }
        self.announce()?;
        orders.into_iter().for_each(|order| self.obey(Some(order)));
        self.commands.report(self.control)?;
        Ok(self.control.flush()?)
    }

    /// Says once that the pod is ready, when it is.
    fn announce(&mut self) -> Result<(), PodError> {
        if !self.announced && self.unstarted == 0 && self.apps.iter().all(App::is_ready) {
            self.announced = true;
            self.control.queue(&GuestMessage::Ready)?;
        }
        Ok(())
    }

    fn obey(&self, order: Option<Order>) {
        for app in &self.apps {
            match order {
                Some(Order::Terminate) => app.terminate(),
                Some(Order::Kill) => app.kill(),
                None => {}
            }
        }
    }

    /// Waits until something is ready or due; returns the descriptors that are ready.
    fn wait(&self) -> Result<Vec<RawFd>, PodError> {
        let mut interest = vec![
            pollfd { fd: self.signals.as_raw_fd(), events: POLLIN, revents: 0 },
            self.control.interest(),
        ];
        interest.extend(self.apps.iter().flat_map(App::interest));
        interest.extend(self.commands.interest());
        interest.extend(self.relays.interest());
        // SAFETY: the pointer and length are those of a live vector.
        let result =
            unsafe { libc::poll(interest.as_mut_ptr(), interest.len() as libc::nfds_t, self.timeout_ms()) };
        match Errno::result(result) {
            Ok(_) => Ok(interest.iter().filter(|entry| entry.revents != 0).map(|entry| entry.fd).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(error) => Err(PodError::Wait(error)),
        }
    }

    /// Until the next thing that is due, in milliseconds rounded up; -1 if there is none.
    fn timeout_ms(&self) -> libc::c_int {
        let sweeping = self.apps.iter().any(App::is_sweeping).then_some(SWEEP_INTERVAL);
        let due =
            [self.course.deadline(), self.stops.deadline(), self.commands.deadline(), self.relays.deadline()];
        let due = due.into_iter().chain(self.apps.iter().map(App::deadline)).flatten().min();
        let due = due.map(|at| at.saturating_duration_since(Instant::now()));
        match sweeping.into_iter().chain(self.departures.interval()).chain(due).min() {
            Some(duration) => (duration.as_millis() + 1).try_into().unwrap_or(libc::c_int::MAX),
            None => -1,
        }
    }

    fn turn(&mut self, ready: &[RawFd]) -> Result<(), PodError> {
        self.apps.iter_mut().for_each(|app| app.advance(ready));
        self.commands.advance(ready);
        self.relays.advance(ready);
        if ready.contains(&self.signals.as_raw_fd()) {
            while let Ok(Some(_)) = self.signals.read_signal() {}
            self.reap();
        }
        let order = self.course.tick(Instant::now());
        self.obey(order);
        self.stops.tick(&self.apps, Instant::now());
        self.apps.iter_mut().for_each(|app| app.tick(Instant::now()));
        while let Some(message) = self.control.receive()? {
            self.hear(message)?;
        }
        self.see_off()
    }

    /// Collects every process that has ended, orphans included.
    fn reap(&mut self) {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            match (status.pid(), exit_status(status)) {
                (Some(process), Some(status)) => {
                    self.apps.iter_mut().for_each(|app| app.reaped(process, status));
                    self.commands.reaped(process, status);
                }
                (Some(_), None) => {}
                (None, _) => return,
            }
        }
    }

    fn hear(&mut self, message: HostMessage) -> Result<(), PodError> {
        let named = |name: &str| self.apps.iter().find(|app| app.name() == name);
        match message {
            HostMessage::Signal { app, signal } => {
                if let Some(app) = named(&app) {
                    app.signal(signal);
                }
            }
            HostMessage::Clock { clock_ns } => {
                if let Err(error) = machine::follow_clock(clock_ns) {
                    let text = format!("Warning: {}", failure::line(&error));
                    self.control.queue(&GuestMessage::Diagnostic { app: None, text })?;
                }
            }
            HostMessage::Resize { app, size } => {
                if let Some(Err(error)) = named(&app).map(|app| app.resize(size)) {
                    let text = format!("Warning: cannot resize the terminal: {}", failure::reason(&error));
                    self.control.queue(&GuestMessage::Diagnostic { app: Some(app), text })?;
                }
            }
            HostMessage::Stop { grace_ms } => {
                let order = self.course.stop(Duration::from_millis(grace_ms), Instant::now());
                self.obey(order);
            }
            HostMessage::StartApp { app, spec } => self.start_app(&app, &spec)?,
            HostMessage::StopApp { app, grace_ms } => {
                self.stops.stop(&app, Duration::from_millis(grace_ms), &self.apps, Instant::now());
            }
            HostMessage::ForgetApp { app } => self.forget_app(&app)?,
            HostMessage::Look { number, question } => {
                self.control.queue(&GuestMessage::Seen { number, sight: look(question) })?;
            }
            HostMessage::Enter { command, spec } => {
                self.commands.start(command, &spec, &self.apps, self.host, self.control)?;
            }
            HostMessage::Accepted { connection, app, socket } => {
                let app = self.apps.iter().find(|known| known.name() == app);
                if let Err(error) = self.relays.start(connection, app, socket, self.host) {
                    let text = format!("Warning: cannot carry a connection: {}", failure::reason(&error));
                    self.control.queue(&GuestMessage::Diagnostic { app: None, text })?;
                }
            }
            HostMessage::SignalCommand { command, signal } => self.commands.signal(command, signal),
            HostMessage::ResizeCommand { command, size } => self.commands.resize(command, size),
            HostMessage::HangUp { command } => self.commands.hang_up(command),
            // There is one pod in the life of a machine.
            HostMessage::Start(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
