//! The commands that run in a pod's apps.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use agent::protocol::{CommandSpec, GuestMessage, WindowSize};
use nix::libc::{self, pollfd};
use nix::unistd::Pid;

use crate::app::{App, Command, CommandError};
use crate::failure;
use crate::host::{Control, ControlError, Dial};

/// How long the output of commands may take once every app has ended.
const PATIENCE: Duration = Duration::from_secs(2);
/// The status of a command that no process was made for: rkt's own failures have it.
const REFUSED: i32 = 254;

/// Every command that has been started and whose end the host has not been told.
#[derive(Debug, Default)]
pub struct Commands {
    running: Vec<Command>,
    give_up_at: Option<Instant>,
}

impl Commands {
    /// Starts a command in one of `apps`, or says why not.
    pub fn start(
        &mut self,
        id: u32,
        spec: &CommandSpec,
        apps: &[App],
        host: &dyn Dial,
        control: &mut Control,
    ) -> Result<(), ControlError> {
        let app = apps.iter().find(|app| app.name() == spec.app);
        let app = app.ok_or_else(|| CommandError::NotRunning(spec.app.clone()));
        match app.and_then(|app| Command::start(id, spec, app, host)) {
            Ok(command) => self.running.push(command),
            Err(error) => {
                let line = Some(format!("Error: {}", failure::line(&error)));
                control.queue(&GuestMessage::CommandEnded { command: id, status: REFUSED, line })?;
            }
        }
        Ok(())
    }

    /// Tells the host which commands have ended.
    pub fn report(&mut self, control: &mut Control) -> Result<(), ControlError> {
        for command in &self.running {
            if let Some(end) = command.delivered() {
                let (status, line) = (end.status, end.line.clone());
                control.queue(&GuestMessage::CommandEnded { command: command.id(), status, line })?;
            }
        }
        self.running.retain(|command| command.delivered().is_none());
        Ok(())
    }

    /// Tells the host how the last commands ended, though not all they wrote has been delivered.
    pub fn report_all(&mut self, control: &mut Control) -> Result<(), ControlError> {
        self.report(control)?;
        for command in self.running.drain(..) {
            let end = command.ended().cloned();
            let (status, line) = end.map_or((128 + libc::SIGKILL, None), |end| (end.status, end.line));
            control.queue(&GuestMessage::CommandEnded { command: command.id(), status, line })?;
        }
        Ok(())
    }

    /// Whether nothing is left of any command, or it has been waited for long enough. To be asked when no app is left.
    pub fn is_done(&mut self, now: Instant) -> bool {
        let give_up_at = *self.give_up_at.get_or_insert(now + PATIENCE);
        self.running.is_empty() || now >= give_up_at
    }

    /// When [`Commands::is_done`] has to be asked again, if that depends on time.
    pub fn deadline(&self) -> Option<Instant> {
        self.give_up_at
    }

    /// An app has ended and its processes are killed; a command on its way there has to be, too.
    pub fn app_ended(&self, app: &str) {
        self.running.iter().filter(|command| command.app() == app).for_each(|it| it.signal(libc::SIGKILL));
    }

    /// The descriptors the commands wait for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        self.running.iter().flat_map(Command::interest)
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(&mut self, ready: &[RawFd]) {
        self.running.iter_mut().for_each(|command| command.advance(ready));
    }

    /// Takes note of a process that has ended.
    pub fn reaped(&mut self, process: Pid, status: i32) {
        self.running.iter_mut().for_each(|command| command.reaped(process, status));
    }

    /// Sends a signal to a command.
    pub fn signal(&self, id: u32, signal: i32) {
        self.running.iter().filter(|command| command.id() == id).for_each(|command| command.signal(signal));
    }

    /// Changes the size of a command's terminal.
    pub fn resize(&self, id: u32, size: WindowSize) {
        for command in self.running.iter().filter(|command| command.id() == id) {
            // A terminal that was hung up has no size.
            let _ = command.resize(size);
        }
    }

    /// Ends the streams of a command that nobody listens to any more.
    pub fn hang_up(&mut self, id: u32) {
        self.running.iter_mut().filter(|command| command.id() == id).for_each(Command::hang_up);
    }
}
