//! The device at work, on the event loop.

use std::{os::fd::AsRawFd, sync::Arc};

use event_manager::{EventOps, Events, MutEventSubscriber};

use super::{
    exchange::Exchange,
    packet::{RxBuffer, TxPacket},
};
use crate::virtio::{ActiveQueue, GuestRam, Interrupt};

/// Sockets are registered with their token plus this, so that the queues, registered with zero, differ.
const FIRST_SOCKET: u32 = 1;

/// An active device: its queues, and what goes over them.
#[derive(Debug)]
pub(super) struct Traffic {
    pub memory: GuestRam,
    pub interrupt: Arc<Interrupt>,
    pub rx: ActiveQueue,
    pub tx: ActiveQueue,
    pub exchange: Exchange,
}

impl MutEventSubscriber for Traffic {
    fn init(&mut self, ops: &mut EventOps) {
        self.rx.watch(ops);
        self.tx.watch(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.data().checked_sub(FIRST_SOCKET) {
            Some(token) => self.exchange.socket_ready(token, events.event_set()),
            None if events.fd() == self.tx.kick.as_raw_fd() => self.receive(),
            // The guest made room, and what waits for that is sent below.
            None => {}
        }
        self.send();
        self.settle(ops);
    }
}

impl Traffic {
    fn receive(&mut self) {
        let memory = &*self.memory;
        self.tx.drain(memory, &self.interrupt, |chain| {
            // Without a whole header, or with less than it promises, there is nobody to answer.
            if let Some(packet) = TxPacket::read(memory, chain) {
                self.exchange.receive(&packet);
            }
            0
        });
    }

    fn send(&mut self) {
        let memory = &*self.memory;
        self.rx.drain_while(memory, &self.interrupt, |chain| {
            if !self.exchange.connections.have_packets() {
                return None;
            }
            match RxBuffer::new(memory, chain) {
                Some(buffer) => self.exchange.send(buffer),
                // Too short to be of use.
                None => Some(0),
            }
        });
    }

    /// Tells the loop what to watch from now on, and forgets connections that are over.
    fn settle(&mut self, ops: &mut EventOps) {
        for token in std::mem::take(&mut self.exchange.touched) {
            if self.watch(token, ops).is_err() {
                // A socket nobody watches would hang for ever.
                self.exchange.abort(token);
                // Come back to tell the guest. The counter cannot be at its limit.
                let _ = self.rx.kick.write(1);
            }
        }
    }

    fn watch(&mut self, token: u32, ops: &mut EventOps) -> event_manager::Result<()> {
        let Some(entry) = self.exchange.connections.get_mut(token) else { return Ok(()) };
        let finished = entry.connection.is_finished();
        let wanted = if finished { None } else { entry.connection.interest() };
        let fd = entry.connection.as_raw_fd();
        let events = |set| Events::with_data_raw(fd, token + FIRST_SOCKET, set);
        match (entry.registered, wanted) {
            (Some(old), Some(new)) if old != new => ops.modify(events(new))?,
            (None, Some(new)) => ops.add(events(new))?,
            (Some(old), None) => ops.remove(events(old))?,
            _ => {}
        }
        entry.registered = wanted;
        if finished {
            self.exchange.connections.remove(token);
        }
        Ok(())
    }
}
