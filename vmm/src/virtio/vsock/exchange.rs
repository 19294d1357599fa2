//! Packets between the guest and the connections they belong to.

use event_manager::EventSet;

use super::{
    HOST_CID,
    connections::{Address, Connections},
    host::Ports,
    packet::{Header, RxBuffer, TYPE_STREAM, TxPacket, op},
};

/// Takes the guest's packets to their connections, and the connections' packets to the guest, in turns.
#[derive(Debug)]
pub(super) struct Exchange {
    guest_cid: u64,
    ports: Ports,
    pub connections: Connections,
    /// Connections whose state may have changed since the event loop was told what to watch.
    pub touched: Vec<u32>,
}

impl Exchange {
    /// An exchange for the guest with this context ID, which may connect to `ports`.
    pub fn new(guest_cid: u64, ports: Ports) -> Self {
        Exchange { guest_cid, ports, connections: Connections::default(), touched: Vec::new() }
    }

    /// A packet from the guest.
    pub fn receive(&mut self, packet: &TxPacket) {
        let header = &packet.header;
        if header.src_cid != self.guest_cid {
            return;
        }
        let known = header.dst_cid == HOST_CID && header.kind == TYPE_STREAM;
        let token = if known { self.connections.find(Address::of(header)) } else { None };
        match token {
            Some(token) => self.deliver(token, packet),
            None if known && header.op == op::REQUEST => match self.connections.accept(header, &self.ports) {
                Some(token) => self.touch(token),
                None => self.connections.reset_stray(header),
            },
            None if header.op == op::RST => {}
            None => self.connections.reset_stray(header),
        }
    }

    /// The event loop saw `events` on the socket of `token`.
    pub fn socket_ready(&mut self, token: u32, events: EventSet) {
        if let Some(entry) = self.connections.get_mut(token) {
            entry.connection.socket_ready(events);
            self.touch(token);
        }
    }

    /// Gives a connection up.
    pub fn abort(&mut self, token: u32) {
        if let Some(entry) = self.connections.get_mut(token) {
            entry.connection.abort();
            self.touch(token);
        }
    }

    /// Writes the next packet for the guest into `buffer`; returns its length, or `None` when there is none.
    pub fn send(&mut self, buffer: RxBuffer) -> Option<u32> {
        if let Some(reset) = self.connections.next_stray_reset() {
            return Some(buffer.finish(&reset));
        }
        while let Some(token) = self.connections.next_turn() {
            self.touched.push(token);
            let Some(entry) = self.connections.get_mut(token) else { continue };
            let address = entry.address;
            let Some(header) = entry.connection.next_packet(&buffer.payload) else { continue };
            if entry.connection.has_packet() {
                self.connections.enqueue(token);
            }
            return Some(buffer.finish(&Header {
                src_cid: HOST_CID,
                dst_cid: self.guest_cid,
                src_port: address.host_port,
                dst_port: address.guest_port,
                kind: TYPE_STREAM,
                ..header
            }));
        }
        None
    }

    fn deliver(&mut self, token: u32, packet: &TxPacket) {
        let Some(entry) = self.connections.get_mut(token) else { return };
        if entry.connection.receive(&packet.header, &packet.payload).is_err() {
            entry.connection.abort();
        }
        if entry.connection.is_reset() {
            self.connections.release_address(token);
        }
        self.touch(token);
    }

    /// Notes that the state of a connection changed, and lets it send if it has something to send.
    fn touch(&mut self, token: u32) {
        self.touched.push(token);
        if let Some(entry) = self.connections.get_mut(token)
            && entry.connection.has_packet()
        {
            self.connections.enqueue(token);
        }
    }
}
