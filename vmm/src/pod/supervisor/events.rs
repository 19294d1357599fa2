//! What the supervisor does when something has become ready.

use std::{
    io,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use agent::protocol::HostMessage;
use vmm_sys_util::epoll::EventSet;

use super::{Guest, LAST_BYTES, LAST_WORDS, Supervisor, readiness::Token};
use crate::{
    event_loop::EventLoop,
    pod::{
        clock::now_ns,
        control::Control,
        directory::DirectoryError,
        error::PodError,
        session::{Phase, Reaction},
        signals::{Ending, Received},
        spec,
        stopping::{Cause, GRACE, Stop},
        streams::Report,
        terminal,
    },
};

/// What an event leads to: most often nothing, sometimes the pod's end.
pub(super) type Outcome = Result<Option<Ending>, PodError>;

impl<G: Guest> Supervisor<'_, G> {
    pub(super) fn handle(&mut self, token: Token, event_loop: &mut EventLoop) -> Outcome {
        match token {
            Token::Signals => self.on_signals(),
            Token::Clock => self.on_clock(),
            Token::ControlListener => self.on_control_connection(event_loop),
            Token::StreamListener => self.on_stream_connections(),
            Token::Control => self.on_control(event_loop),
            Token::Streams => self.on_reports(),
            Token::ClientListener => self.on_client_connections(event_loop),
            Token::Client(number) => self.on_client(number, event_loop),
            Token::CommandListener => self.on_command_streams(event_loop),
            Token::Arrival(number) => self.on_arrival(number, event_loop),
            Token::HostSockets => self.on_host_sockets(),
            Token::AcceptedListener => self.on_accepted_connections(),
            Token::WatchListener => self.on_watch_connections(),
            Token::Notices => self.on_notices(),
            Token::Machine => {
                self.gone_within(LAST_BYTES);
                Ok(None)
            }
        }
    }

    fn on_signals(&mut self) -> Outcome {
        while let Some(received) = self.keeper.next_signal()? {
            let ending = match received {
                Received::Terminate(number) => self.on_stop(Cause::Signal(number))?,
                Received::Stop => self.on_stop(Cause::Entrypoint)?,
                Received::Resized => {
                    self.resize()?;
                    None
                }
                Received::Suspend => {
                    self.suspend()?;
                    None
                }
            };
            if ending.is_some() {
                return Ok(ending);
            }
        }
        Ok(None)
    }

    /// Asks the guest to end the apps; asked again, ends them.
    fn on_stop(&mut self, cause: Cause) -> Outcome {
        if let Some(status) = self.finished {
            // Only a reader of output keeps the pod; it has been waited for long enough.
            return Ok(Some(self.ending(status)));
        }
        if self.session.phase() == Phase::Silent {
            return Ok(Some(Stop::before_start(cause)));
        }
        match (self.stop, cause) {
            // Asking twice through `stop` is not impatience: its callers do not know of each other.
            (Some(_), Cause::Entrypoint) => Ok(None),
            (Some(stop), Cause::Signal(_)) if stop.is_asked_again(Instant::now()) => {
                Ok(Some(self.kill("Pod killed by a second signal")))
            }
            (Some(_), Cause::Signal(_)) => Ok(None),
            (None, _) => {
                self.stop = Some(Stop::new(cause, self.first_failure, Instant::now()));
                self.keeper_told(self.keeper.stopping());
                // Or what the apps have written would have to be written out first, slowly.
                self.pod.io_limits.lift_all();
                self.send(&HostMessage::Stop { grace_ms: GRACE.as_millis() as u64 })?;
                Ok(None)
            }
        }
    }

    fn suspend(&mut self) -> Result<(), PodError> {
        let was_raw = terminal::is_raw();
        terminal::restore();
        self.keeper.suspend()?;
        if was_raw {
            terminal::enter_raw_mode().map_err(PodError::Terminal)?;
        }
        self.resize()
    }

    /// Tells the guest the time. Before it has its pod it would not know what to make of that, and needs none.
    fn on_clock(&mut self) -> Outcome {
        let due = self.clock.is_due().map_err(PodError::Resource)?;
        if due && matches!(self.session.phase(), Phase::Starting | Phase::Running) {
            self.send(&HostMessage::Clock { clock_ns: now_ns() })?;
        }
        Ok(None)
    }

    fn on_control_connection(&mut self, event_loop: &mut EventLoop) -> Outcome {
        while let Some(connection) = self.listeners.control.accept() {
            if self.control.is_some() {
                return Err(PodError::SecondControl);
            }
            let control = Control::new(connection.stream).map_err(PodError::Control)?;
            let events = EventSet::IN | EventSet::OUT | EventSet::EDGE_TRIGGERED;
            self.watch(event_loop, control.as_raw_fd(), events, Token::Control);
            self.control = Some(control);
        }
        Ok(None)
    }

    fn on_stream_connections(&mut self) -> Outcome {
        while let Some(connection) = self.listeners.streams.accept() {
            self.streams.accept(connection.stream).map_err(PodError::Stream)?;
        }
        Ok(None)
    }

    fn on_control(&mut self, event_loop: &mut EventLoop) -> Outcome {
        let Some(control) = &mut self.control else { return Ok(None) };
        control.flush().map_err(PodError::Control)?;
        let heard = control.receive();
        for message in heard.messages {
            let reaction = self.session.receive(message).map_err(PodError::Session)?;
            self.react(reaction, event_loop)?;
        }
        self.begin_waiting()?;
        if let Some(error) = heard.error {
            return Err(PodError::Control(error));
        }
        if heard.closed {
            self.gone_within(LAST_WORDS);
        }
        if heard.more {
            // The edge has been seen; the rest must not wait for another.
            self.ready.push(Token::Control);
        }
        Ok(None)
    }

    fn react(&mut self, reaction: Reaction, event_loop: &mut EventLoop) -> Result<(), PodError> {
        match reaction {
            Reaction::None => Ok(()),
            Reaction::SendPod => self.send_pod(),
            Reaction::Ready => {
                self.note("Pod is ready");
                self.keeper_told(self.keeper.ready());
                self.told(self.pod.directory.mark_ready());
                self.watch_sockets(event_loop);
                Ok(())
            }
            Reaction::Show(line) => {
                self.diagnostics.show(line);
                Ok(())
            }
            Reaction::AppStarted { app } => {
                self.app_started(app);
                Ok(())
            }
            Reaction::AppExited { app, status, never_ran } => {
                self.pod.io_limits.lift(&app);
                if status != 0 && !self.pod.arguments.mutable {
                    self.first_failure.get_or_insert(status);
                    // The others are being asked to end.
                    self.pod.io_limits.lift_all();
                }
                // What it died of is there before its status is.
                let written = self.conditions.ended(&app, &self.pod.directory, Instant::now());
                self.told(written);
                self.told(self.pod.directory.write_status(&app, status));
                self.listeners.clients.app_ended(&app);
                self.app_ended(app, never_ran);
                Ok(())
            }
            Reaction::AppCondition { app, condition } => {
                self.conditions.note(app, condition, Instant::now());
                Ok(())
            }
            Reaction::AppForgotten { app } => {
                self.app_forgotten(app);
                Ok(())
            }
            Reaction::Seen { number, sight } => self.seen(number, sight),
            Reaction::CommandEnded { command, status, line } => {
                // Its streams were opened before, and come to the client before its end does.
                self.on_command_streams(event_loop)?;
                self.command_ended(command, status, line)
            }
            Reaction::Finish(status) => {
                self.note("Pod has finished");
                // Streams that were opened before are known before the end is.
                self.on_stream_connections()?;
                self.finished = Some(status);
                Ok(())
            }
        }
    }

    fn send_pod(&mut self) -> Result<(), PodError> {
        self.note("Guest is up");
        let pod = &self.pod;
        let spec = spec::pod_spec(&pod.arguments, &pod.manifest, &self.apps, &pod.dns, &pod.network)
            .map_err(PodError::Spec)?;
        self.send(&HostMessage::Start(Box::new(spec)))
    }

    fn on_reports(&mut self) -> Outcome {
        for report in self.streams.reports() {
            match report {
                // An app may wait for the output of its last life.
                Report::Ended => self.begin_waiting()?,
                Report::Escape => return Ok(Some(self.kill("Pod killed: Ctrl-] was pressed three times"))),
                Report::Violation(error) => return Err(PodError::Stream(error)),
                Report::Trouble(error) => self.diagnostics.fail(&error, self.pod.arguments.debug),
            }
        }
        Ok(None)
    }

    /// Reports a file that could not be written; the apps need not die of it.
    pub(super) fn told(&self, written: Result<(), DirectoryError>) {
        if let Err(error) = written {
            self.diagnostics.fail(&error, self.pod.arguments.debug);
        }
    }

    fn keeper_told(&self, told: io::Result<()>) {
        if let Err(error) = told {
            self.diagnostics.say(&format!("Cannot tell the pod's keeper: {error}"));
        }
    }

    /// Says with `--debug` how far the pod is, and when.
    fn note(&self, what: &str) {
        if self.pod.arguments.debug {
            let after = self.started.elapsed().as_millis();
            self.diagnostics.say(&format!("{what} after {after} ms"));
        }
    }

    fn gone_within(&mut self, limit: Duration) {
        let at = Instant::now() + limit;
        self.gone_at = Some(self.gone_at.map_or(at, |before| before.min(at)));
    }
}
