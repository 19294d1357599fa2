//! All connections, by the guest's address and by the token under which the event loop knows them.

use std::{
    collections::{HashMap, VecDeque},
    os::unix::net::UnixStream,
};

use super::{
    MAX_CONNECTIONS,
    connection::Connection,
    host::{self, Ports},
    packet::Header,
};

/// How many resets for packets that belong to no connection may wait for the guest to make room.
const MAX_STRAY_RESETS: usize = 256;

/// Tokens stay below a bound, so that the event loop's tags have room for other events.
const MAX_TOKEN: u32 = u32::MAX >> 1;

/// What tells the guest's connections apart: its CID is given, and ours too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub guest_port: u32,
    pub host_port: u32,
}

impl Address {
    /// The connection a packet from the guest belongs to.
    pub fn of(header: &Header) -> Self {
        Address { guest_port: header.src_port, host_port: header.dst_port }
    }
}

/// A connection and what surrounds it.
#[derive(Debug)]
pub(super) struct Entry {
    pub connection: Connection,
    pub address: Address,
    /// The events registered with the loop, if any.
    pub registered: Option<event_manager::EventSet>,
    /// Already in the queue of those that have something for the guest.
    queued: bool,
}

/// All connections, and the order in which they may send to the guest.
#[derive(Debug, Default)]
pub(super) struct Connections {
    entries: HashMap<u32, Entry>,
    /// Connections of which the guest has not been told that they are over.
    tokens: HashMap<Address, u32>,
    next_token: u32,
    /// Who has something for the guest; each sends one packet when its turn comes.
    turns: VecDeque<u32>,
    stray_resets: VecDeque<Header>,
}

impl Connections {
    /// Accepts a connection, if somebody listens and there is room.
    pub fn accept(&mut self, request: &Header, ports: &Ports) -> Option<u32> {
        if self.entries.len() >= MAX_CONNECTIONS {
            return None;
        }
        let address = Address::of(request);
        let mut device_end = None;
        ports.offer(address.host_port, || {
            let (ours, theirs) = UnixStream::pair().ok()?;
            ours.set_nonblocking(true).ok()?;
            device_end = Some(ours);
            Some(host::Connection { guest_port: address.guest_port, stream: theirs })
        })?;
        let connection = Connection::new(device_end?, request, ports.unread());
        let token = self.unused_token();
        self.entries.insert(token, Entry { connection, address, registered: None, queued: false });
        self.tokens.insert(address, token);
        Some(token)
    }

    /// The token of the guest's connection at `address`.
    pub fn find(&self, address: Address) -> Option<u32> {
        self.tokens.get(&address).copied()
    }

    /// The connection with this token.
    pub fn get_mut(&mut self, token: u32) -> Option<&mut Entry> {
        self.entries.get_mut(&token)
    }

    /// Lets the guest use the address of `token` anew, while bytes may still be on their way to the host.
    pub fn release_address(&mut self, token: u32) {
        if let Some(entry) = self.entries.get(&token)
            && self.tokens.get(&entry.address) == Some(&token)
        {
            self.tokens.remove(&entry.address);
        }
    }

    /// Forgets a connection, closing its socket.
    pub fn remove(&mut self, token: u32) {
        self.release_address(token);
        self.entries.remove(&token);
    }

    /// Puts a connection in line for its turn to send to the guest.
    pub fn enqueue(&mut self, token: u32) {
        if let Some(entry) = self.entries.get_mut(&token)
            && !entry.queued
        {
            entry.queued = true;
            self.turns.push_back(token);
        }
    }

    /// The connection whose turn it is.
    pub fn next_turn(&mut self) -> Option<u32> {
        while let Some(token) = self.turns.pop_front() {
            if let Some(entry) = self.entries.get_mut(&token) {
                entry.queued = false;
                return Some(token);
            }
        }
        None
    }

    /// Queues a reset for a packet that belongs to no connection. A guest that does not take its resets gets no more.
    pub fn reset_stray(&mut self, packet: &Header) {
        if self.stray_resets.len() < MAX_STRAY_RESETS {
            self.stray_resets.push_back(packet.reset());
        }
    }

    /// The next reset that belongs to no connection.
    pub fn next_stray_reset(&mut self) -> Option<Header> {
        self.stray_resets.pop_front()
    }

    /// Whether anything waits to be sent to the guest.
    pub fn have_packets(&self) -> bool {
        !self.stray_resets.is_empty() || !self.turns.is_empty()
    }

    fn unused_token(&mut self) -> u32 {
        loop {
            let token = self.next_token;
            self.next_token = (token + 1) & MAX_TOKEN;
            if !self.entries.contains_key(&token) {
                return token;
            }
        }
    }
}
