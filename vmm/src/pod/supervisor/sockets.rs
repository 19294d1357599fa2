//! What the supervisor does for those who connect to sockets that were passed to the pod.

use std::os::fd::AsRawFd;

use agent::protocol::HostMessage;
use vmm_sys_util::epoll::EventSet;

use super::{Guest, Supervisor, events::Outcome, readiness::Token};
use crate::{
    event_loop::EventLoop,
    pod::{error::PodError, session::Phase},
};

impl<G: Guest> Supervisor<'_, G> {
    /// Watches the sockets: until the apps run, connections wait there, and reach the next pod if this one fails.
    pub(super) fn watch_sockets(&self, event_loop: &mut EventLoop) {
        // Seen once: without room for more connections they would be ready all the time.
        let edge = EventSet::IN | EventSet::EDGE_TRIGGERED;
        for socket in self.pod.sockets.iter() {
            self.watch(event_loop, socket.listener.as_raw_fd(), edge, Token::HostSockets);
        }
        self.watch(event_loop, self.relays.event().as_raw_fd(), edge, Token::HostSockets);
    }

    /// Accepts what waits at the sockets, and tells the guest.
    pub(super) fn on_host_sockets(&mut self) -> Outcome {
        if self.stop.is_some() || self.session.phase() != Phase::Running {
            return Ok(None);
        }
        let mut accepted = Vec::new();
        for socket in self.pod.sockets.iter() {
            while let Some(connection) = self.relays.accept(&socket.listener) {
                accepted.push(HostMessage::Accepted {
                    connection,
                    app: socket.app.clone(),
                    socket: socket.index,
                });
            }
        }
        for message in accepted {
            if !self.tell_guest(&message)?
                && let HostMessage::Accepted { connection, .. } = message
            {
                self.relays.give_up(connection);
            }
        }
        Ok(None)
    }

    /// The guest has called for connections.
    pub(super) fn on_accepted_connections(&mut self) -> Outcome {
        while let Some(connection) = self.listeners.accepted.accept() {
            self.relays.serve(connection.stream).map_err(PodError::Resource)?;
        }
        Ok(None)
    }
}
