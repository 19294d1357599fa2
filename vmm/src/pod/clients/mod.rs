//! The pod's socket: how other entrypoints reach a running pod.
//!
//! ```text
//! enter ── stage1.sock ──▶ Client ── Request ──▶ Supervisor ── HostMessage ──▶ agent
//!   ▲  ▲                     ▲ ────── Reply ────── Supervisor ◀── CommandEnded ──┘
//!   │  └─ descriptors ───────┘ ◀──── streams ───── arrivals  ◀── vsock ──────────┘
//!   └───────────── bytes, both ways, through the vsock device alone ─────────────┘
//! ```
//!
//! The streams of a command are handed to the client as descriptors: no byte of them passes through this module, a
//! client that does not read holds back its own command only, and one that dies takes its streams with it.

mod arrival;
mod client;
pub mod wire;

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
};

use agent::protocol::{CommandHeader, StreamKind};
use event_manager::SubscriberId;

pub use arrival::{Belongs, look};
pub use client::{Client, Heard};
use wire::{Reply, Request};

/// How many clients there may be at once.
const MAX_CLIENTS: usize = 128;
/// How many streams a command can have.
const STREAMS: usize = 3;

/// Everybody who has asked this pod for something.
#[derive(Debug)]
pub struct Clients {
    listener: UnixListener,
    visits: BTreeMap<u32, Visit>,
    arrivals: BTreeMap<u32, Arrival>,
    last: u32,
}

/// A client, from its connection until nothing is left of what it asked for. The number of the visit is that of its
/// command, too.
#[derive(Debug)]
struct Visit {
    client: Option<(Client, SubscriberId)>,
    business: Business,
    opened: Vec<StreamKind>,
}

/// What a client came for.
#[derive(Debug, Clone, PartialEq)]
pub enum Business {
    /// It has not said yet.
    None,
    /// This, when its app or its pod has been started.
    Waiting(Request),
    /// A command, of which the guest has been told.
    Command,
    /// The streams of an app.
    Attached(String),
    /// An app's start, of which the guest has been told.
    Starting(String),
    /// An app's end, of which the guest has been told.
    Stopping(String),
    /// That the guest lets go of an app.
    Removing(String),
    /// What the pod is doing, which the guest has been asked.
    Looking,
    /// It has ended.
    Done,
}

/// A connection of the guest's that has not said yet whose it is.
#[derive(Debug)]
struct Arrival {
    stream: UnixStream,
    subscriber: SubscriberId,
}

impl Clients {
    /// Listens on a socket at `path` that only root can use.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Whoever connects before this is asked who he is.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Clients { listener, visits: BTreeMap::new(), arrivals: BTreeMap::new(), last: 0 })
    }

    /// The next connection of a client, if one waits. Those that cannot be served are told so and closed.
    pub fn accept(&self) -> Option<Client> {
        loop {
            let (stream, _) = self.listener.accept().ok()?;
            let Ok(client) = Client::new(stream) else { continue };
            let refusal = match self.visits.len() < MAX_CLIENTS {
                true if client.is_roots() => return Some(client),
                true => "Only root may do this",
                false => "Too many clients of this pod",
            };
            client.send(&Reply::Refused { line: refusal.to_owned() }, None);
        }
    }

    /// A number for the next visit or arrival, different from all that are in use.
    pub fn next(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.visits.contains_key(&self.last) && !self.arrivals.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// A client has come.
    pub fn enter(&mut self, number: u32, client: Client, subscriber: SubscriberId) {
        self.visits.insert(
            number,
            Visit { client: Some((client, subscriber)), business: Business::None, opened: Vec::new() },
        );
    }

    /// Reads what a client says; nothing from one that has gone.
    pub fn receive(&mut self, number: u32) -> Heard {
        let client = self.visits.get_mut(&number).and_then(|visit| visit.client.as_mut());
        client.map(|(client, _)| client.receive()).unwrap_or_default()
    }

    /// What a client came for, to be looked at or changed.
    pub fn business(&mut self, number: u32) -> Option<&mut Business> {
        self.visits.get_mut(&number).map(|visit| &mut visit.business)
    }

    /// An app has ended: those attached to it are told.
    pub fn app_ended(&mut self, app: &str) {
        for visit in self.visits.values_mut() {
            if matches!(&visit.business, Business::Attached(to) if to == app) {
                visit.business = Business::Done;
                if let Some((client, _)) = &visit.client {
                    client.send(&Reply::Ended { status: 0, line: None }, None);
                }
            }
        }
    }

    /// Answers everybody who came for this.
    pub fn settle(&mut self, business: &Business, reply: &Reply) {
        for visit in self.visits.values_mut().filter(|visit| visit.business == *business) {
            visit.business = Business::Done;
            if let Some((client, _)) = &visit.client {
                client.send(reply, None);
            }
        }
    }

    /// Hands a stream of the app it is attached to to a client.
    pub fn attach(&self, number: u32, stream: StreamKind, socket: &UnixStream) {
        if let Some((client, _)) = self.visits.get(&number).and_then(|visit| visit.client.as_ref()) {
            client.send(&Reply::Stream { stream }, Some(socket.as_fd()));
        }
    }

    /// The clients whose apps have not been started yet.
    pub fn waiting(&self) -> Vec<u32> {
        let waits = |visit: &Visit| matches!(visit.business, Business::Waiting(_));
        self.visits.iter().filter(|(_, visit)| waits(visit)).map(|(number, _)| *number).collect()
    }

    /// Tells a client something, if it is still there. One that does not listen is noticed when it closes.
    pub fn tell(&self, number: u32, reply: &Reply) {
        if let Some((client, _)) = self.visits.get(&number).and_then(|visit| visit.client.as_ref()) {
            client.send(reply, None);
        }
    }

    /// A client has gone: its subscriber, to be taken off the loop before what is returned with it is dropped, and
    /// whether its command runs on.
    #[must_use]
    pub fn leave(&mut self, number: u32) -> Option<(SubscriberId, Client, bool)> {
        let visit = self.visits.get_mut(&number)?;
        let (client, subscriber) = visit.client.take()?;
        let running = visit.business == Business::Command;
        // What the guest answers needs its number.
        if !running && visit.business != Business::Looking {
            self.visits.remove(&number);
        }
        Some((subscriber, client, running))
    }

    /// A command has ended; false if there was none of this number.
    pub fn command_ended(&mut self, number: u32, reply: &Reply) -> bool {
        self.finish(number, &Business::Command, reply)
    }

    /// What the pod is doing is known; false if nobody of this number had asked.
    pub fn seen(&mut self, number: u32, reply: &Reply) -> bool {
        self.finish(number, &Business::Looking, reply)
    }

    fn finish(&mut self, number: u32, business: &Business, reply: &Reply) -> bool {
        let Some(visit) = self.visits.get_mut(&number) else { return false };
        if visit.business != *business {
            return false;
        }
        visit.business = Business::Done;
        self.tell(number, reply);
        if self.visits.get(&number).is_some_and(|visit| visit.client.is_none()) {
            self.visits.remove(&number);
        }
        true
    }

    /// Whether the guest may open one more stream of a command.
    pub fn expects_arrival(&self) -> bool {
        let running = self.visits.values().filter(|visit| visit.business == Business::Command).count();
        self.arrivals.len() < running * STREAMS
    }

    /// The guest has opened a stream.
    pub fn arrive(&mut self, number: u32, stream: UnixStream, subscriber: SubscriberId) {
        self.arrivals.insert(number, Arrival { stream, subscriber });
    }

    /// The connections that have not said whose they are.
    pub fn arrivals(&self) -> Vec<u32> {
        self.arrivals.keys().copied().collect()
    }

    /// The connection of this number, as long as it has not said whose it is.
    pub fn arrival(&self, number: u32) -> Option<&UnixStream> {
        self.arrivals.get(&number).map(|arrival| &arrival.stream)
    }

    /// Takes a connection that has said whose it is; its subscriber must be taken off the loop before it is handed on.
    #[must_use]
    pub fn take_arrival(&mut self, number: u32) -> Option<(SubscriberId, UnixStream)> {
        self.arrivals.remove(&number).map(|arrival| (arrival.subscriber, arrival.stream))
    }

    /// Hands a stream to the client it is for. Without one it is closed, and so is a second one of the same kind.
    pub fn hand_over(&mut self, header: CommandHeader, stream: &UnixStream) {
        let Some(visit) = self.visits.get_mut(&header.command) else { return };
        if visit.business != Business::Command || visit.opened.contains(&header.stream) {
            return;
        }
        visit.opened.push(header.stream);
        if let Some((client, _)) = &visit.client {
            client.send(&Reply::Stream { stream: header.stream }, Some(stream.as_fd()));
        }
    }
}

impl AsRawFd for Clients {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}
