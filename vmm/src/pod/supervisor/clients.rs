//! What the supervisor does for clients: it stands between them and the guest, and trusts only the former.

use std::os::fd::AsRawFd;

use agent::protocol::{CommandSpec, HostMessage};
use event_manager::SubscriberOps;
use vmm_sys_util::epoll::EventSet;

use super::{Guest, Supervisor, events::Outcome, readiness::Token};
use crate::{
    event_loop::EventLoop,
    pod::{
        clients::{
            Belongs, Command, look,
            wire::{Reply, Request},
        },
        error::PodError,
        session::{Phase, SessionError},
    },
};

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
        let Some(command) = self.listeners.clients.command(number) else { return Ok(false) };
        let running = *command == Command::Running;
        match request {
            Request::Enter(_) if *command != Command::None => return Ok(false),
            Request::Enter(spec) => self.enter(number, spec)?,
            Request::Signal { signal } if running => {
                self.tell_guest(&HostMessage::SignalCommand { command: number, signal })?;
            }
            Request::Resize(size) if running => {
                self.tell_guest(&HostMessage::ResizeCommand { command: number, size })?;
            }
            // The command has just ended, or is still to come.
            Request::Signal { .. } | Request::Resize(_) => {}
        }
        Ok(true)
    }

    fn enter(&mut self, number: u32, spec: Box<CommandSpec>) -> Result<(), PodError> {
        let clients = &mut self.listeners.clients;
        let refuse = |line: String| Reply::Refused { line };
        if !self.apps.iter().any(|app| app.name == spec.app) {
            clients.tell(number, &refuse(format!("Pod has no app \"{}\"", spec.app)));
            return Ok(());
        }
        match self.session.phase() {
            Phase::Silent | Phase::Starting => {
                if let Some(command) = clients.command(number) {
                    *command = Command::Waiting(spec);
                }
            }
            Phase::Finished => clients.tell(number, &refuse("Pod has ended".to_owned())),
            Phase::Running => {
                if self.tell_guest(&HostMessage::Enter { command: number, spec })? {
                    if let Some(command) = self.listeners.clients.command(number) {
                        *command = Command::Running;
                    }
                } else {
                    let line = "Agent of the guest does not listen".to_owned();
                    self.listeners.clients.tell(number, &refuse(line));
                }
            }
        }
        Ok(())
    }

    /// The pod is ready for those who came early.
    pub(super) fn enter_waiting(&mut self) -> Result<(), PodError> {
        for number in self.listeners.clients.waiting() {
            let command = self.listeners.clients.command(number);
            if let Some(Command::Waiting(spec)) =
                command.map(|command| std::mem::replace(command, Command::None))
            {
                self.enter(number, spec)?;
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
    fn tell_guest(&mut self, message: &HostMessage) -> Result<bool, PodError> {
        match &self.control {
            Some(control) if control.has_room() => self.send(message).map(|()| true),
            _ => Ok(false),
        }
    }
}
