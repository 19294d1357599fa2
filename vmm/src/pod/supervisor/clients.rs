//! What the supervisor does for clients: it stands between them and the guest, and trusts only the former.

use std::os::fd::AsRawFd;

use agent::protocol::{CommandSpec, HostMessage, StreamHeader, StreamKind};
use event_manager::SubscriberOps;
use vmm_sys_util::epoll::EventSet;

use super::{Guest, Supervisor, events::Outcome, readiness::Token};
use crate::{
    event_loop::EventLoop,
    pod::{
        clients::{
            Belongs, Business, look,
            wire::{Reply, Request},
        },
        error::PodError,
        session::{Phase, SessionError},
        streams::kinds,
    },
};

/// How many streams of an app a client can be attached to: as many as there are kinds.
const MAX_STREAMS: usize = 4;

impl<G: Guest> Supervisor<'_, G> {
    pub(super) fn on_client_connections(&mut self, event_loop: &mut EventLoop) -> Outcome {
        while let Some(client) = self.listeners.clients.accept() {
            let number = self.listeners.clients.next();
            let subscriber = self.watch(event_loop, client.as_raw_fd(), EventSet::IN, Token::Client(number));
            self.listeners.clients.enter(number, client, subscriber);
        }
        Ok(None)
    }

    pub(super) fn on_client(&mut self, number: u32, event_loop: &mut EventLoop) -> Outcome {
        let heard = self.listeners.clients.receive(number);
        let mut gone = heard.gone;
        for request in heard.requests {
            gone |= !self.serve(number, request)?;
        }
        if gone {
            self.client_left(number, event_loop)?;
        }
        Ok(None)
    }

    /// Does what a client asks for; false if it does not follow the rules.
    fn serve(&mut self, number: u32, request: Request) -> Result<bool, PodError> {
        let Some(business) = self.listeners.clients.business(number).cloned() else { return Ok(false) };
        match (request, business) {
            (Request::Streams { app }, Business::None) => {
                let reply = match self.apps.iter().find(|known| known.name == app) {
                    Some(app) => Reply::Streams { streams: kinds(app.stdio).to_vec() },
                    None => no_app(&app),
                };
                self.listeners.clients.tell(number, &reply);
            }
            (request @ (Request::Enter(_) | Request::Attach { .. }), Business::None) => {
                self.begin(number, request)?;
            }
            (Request::Change(change), Business::None) => self.begin_change(number, change)?,
            (Request::Look { question }, Business::None) => self.begin_look(number, question)?,
            (
                Request::Enter(_)
                | Request::Attach { .. }
                | Request::Streams { .. }
                | Request::Change(_)
                | Request::Look { .. },
                _,
            ) => return Ok(false),
            (Request::Signal { signal }, Business::Command) => {
                self.tell_guest(&HostMessage::SignalCommand { command: number, signal })?;
            }
            (Request::Resize(size), Business::Command) => {
                self.tell_guest(&HostMessage::ResizeCommand { command: number, size })?;
            }
            (Request::Resize(size), Business::Attached(app)) => {
                self.tell_guest(&HostMessage::Resize { app, size })?;
            }
            // What it is about has just ended, or is still to come.
            (Request::Signal { .. } | Request::Resize(_), _) => {}
        }
        Ok(true)
    }

    /// Begins what a client came for, now or when its app has been started.
    fn begin(&mut self, number: u32, request: Request) -> Result<(), PodError> {
        let app = match &request {
            Request::Enter(spec) => &spec.app,
            Request::Attach { app, .. } => app,
            Request::Change(change) => return self.begin_change(number, change.clone()),
            Request::Look { question } => return self.begin_look(number, *question),
            _ => return Ok(()),
        };
        if !self.apps.iter().any(|known| known.name == *app) {
            self.listeners.clients.tell(number, &no_app(app));
            return Ok(());
        }
        let business = match self.session.phase() {
            Phase::Finished => {
                self.refuse(number, "Pod has ended");
                Business::Done
            }
            Phase::Running if !self.session.knows(app) => {
                self.refuse(number, &format!("App \"{app}\" has not been started"));
                Business::Done
            }
            _ if !self.session.was_started(app) => Business::Waiting(request),
            Phase::Silent | Phase::Starting | Phase::Running => match request {
                Request::Enter(spec) => self.enter(number, spec)?,
                Request::Attach { app, streams } => self.attach(number, app, &streams),
                _ => Business::None,
            },
        };
        if let Some(known) = self.listeners.clients.business(number) {
            *known = business;
        }
        Ok(())
    }

    fn enter(&mut self, number: u32, spec: Box<CommandSpec>) -> Result<Business, PodError> {
        if self.tell_guest(&HostMessage::Enter { command: number, spec })? {
            return Ok(Business::Command);
        }
        self.refuse(number, "Agent of the guest does not listen");
        Ok(Business::Done)
    }

    fn attach(&mut self, number: u32, app: String, wanted: &[StreamKind]) -> Business {
        if !self.session.unfinished().any(|unfinished| unfinished == app) {
            self.refuse(number, &format!("App \"{app}\" has ended"));
            return Business::Done;
        }
        for stream in wanted.iter().take(MAX_STREAMS) {
            let header = StreamHeader { app: app.clone(), stream: *stream };
            match self.streams.taps().attach(&header, number) {
                Ok(Some(socket)) => self.listeners.clients.attach(number, *stream, &socket),
                Ok(None) => {
                    self.refuse(number, &format!("App \"{app}\" has no open {stream:?}"));
                    return Business::Done;
                }
                Err(error) => {
                    self.refuse(number, &format!("Cannot attach to app \"{app}\": {error}"));
                    return Business::Done;
                }
            }
        }
        Business::Attached(app)
    }

    pub(super) fn refuse(&self, number: u32, line: &str) {
        self.listeners.clients.tell(number, &Reply::Refused { line: line.to_owned() });
    }

    /// Begins what clients came for too early: their apps may have been started since.
    pub(super) fn begin_waiting(&mut self) -> Result<(), PodError> {
        for number in self.listeners.clients.waiting() {
            let business = self.listeners.clients.business(number);
            if let Some(Business::Waiting(request)) =
                business.map(|business| std::mem::replace(business, Business::None))
            {
                self.begin(number, request)?;
            }
        }
        Ok(())
    }

    fn client_left(&mut self, number: u32, event_loop: &mut EventLoop) -> Result<(), PodError> {
        let Some((subscriber, client, running)) = self.listeners.clients.leave(number) else {
            return Ok(());
        };
        // The loop must not know the descriptor any more when it is closed. It knows it now.
        let _ = event_loop.remove_subscriber(subscriber);
        drop(client);
        self.streams.taps().detach(number);
        if running {
            self.tell_guest(&HostMessage::HangUp { command: number })?;
        }
        Ok(())
    }

    /// The guest has opened streams of commands.
    pub(super) fn on_command_streams(&mut self, event_loop: &mut EventLoop) -> Outcome {
        while let Some(connection) = self.listeners.commands.accept() {
            // Dropped and so reset: no agent opens more.
            if !self.listeners.clients.expects_arrival() {
                continue;
            }
            let number = self.listeners.clients.next();
            let stream = connection.stream;
            let edge = EventSet::IN | EventSet::EDGE_TRIGGERED;
            let subscriber = self.watch(event_loop, stream.as_raw_fd(), edge, Token::Arrival(number));
            self.listeners.clients.arrive(number, stream, subscriber);
        }
        for number in self.listeners.clients.arrivals() {
            self.on_arrival(number, event_loop)?;
        }
        Ok(None)
    }

    /// Hands a stream on if it has told whose it is.
    pub(super) fn on_arrival(&mut self, number: u32, event_loop: &mut EventLoop) -> Outcome {
        let belongs = self.listeners.clients.arrival(number).map_or(Belongs::Unknown, look);
        if belongs == Belongs::Unknown {
            return Ok(None);
        }
        if let Some((subscriber, stream)) = self.listeners.clients.take_arrival(number) {
            // The client will have the descriptor, too: closing ours would not take it off the loop.
            let _ = event_loop.remove_subscriber(subscriber);
            if let Belongs::To(header) = belongs {
                self.listeners.clients.hand_over(header, &stream);
            }
        }
        Ok(None)
    }

    pub(super) fn command_ended(
        &mut self,
        command: u32,
        status: i32,
        line: Option<String>,
    ) -> Result<(), PodError> {
        match self.listeners.clients.command_ended(command, &Reply::Ended { status, line }) {
            true => Ok(()),
            false => Err(PodError::Session(SessionError::UnknownCommand(command))),
        }
    }

    /// Tells the guest something that the pod does not depend on; false if too much waits for it already.
    pub(super) fn tell_guest(&mut self, message: &HostMessage) -> Result<bool, PodError> {
        match &self.control {
            Some(control) if control.has_room() => self.send(message).map(|()| true),
            _ => Ok(false),
        }
    }
}

pub(super) fn no_app(name: &str) -> Reply {
    Reply::Refused { line: format!("Pod has no app \"{name}\"") }
}
