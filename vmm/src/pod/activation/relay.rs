//! Accepted connections on their way to the guest, by a thread per direction.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::Builder,
    time::{Duration, Instant},
};

use agent::protocol::{AcceptedHeader, read_frame};
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::{
    jail::{Kind, threads},
    pod::streams::{Progress, pump_in, pump_out},
};

/// How many connections are carried at once; further ones wait at the host's socket.
const MOST: usize = 128;
/// The stack of a thread, in bytes.
const STACK: usize = 128 << 10;
/// The largest header, in bytes.
const MAX_HEADER: u64 = 256;
/// How long the last bytes may take to reach their clients once the pod has finished.
const PATIENCE: Duration = Duration::from_secs(2);

/// The connections of a pod's sockets.
#[derive(Debug)]
pub struct Relays {
    /// Those the guest has been told of and has not called for yet.
    waiting: Arc<Mutex<BTreeMap<u32, (OwnedFd, Place)>>>,
    /// Connections of the guest's that have not said what they are for.
    arriving: Arc<AtomicUsize>,
    /// Connections whose clients may still get something.
    answering: Arc<AtomicUsize>,
    carried: Arc<AtomicUsize>,
    room: Arc<EventFd>,
    last: u32,
    give_up_at: Option<Instant>,
}

/// One of the [`MOST`] places; given back when it is dropped.
#[derive(Debug)]
struct Place {
    carried: Arc<AtomicUsize>,
    room: Arc<EventFd>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.carried.fetch_sub(1, Ordering::AcqRel);
        // A full counter wakes as well as another one.
        let _ = self.room.write(1);
    }
}

/// Counts for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Counted(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Relays {
    /// No connection yet.
    pub fn new() -> io::Result<Self> {
        Ok(Relays {
            waiting: Arc::default(),
            arriving: Arc::default(),
            answering: Arc::default(),
            carried: Arc::default(),
            room: Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?),
            last: 0,
            give_up_at: None,
        })
    }

    /// Readable when there is room for connections again.
    pub fn event(&self) -> &EventFd {
        &self.room
    }

    /// Accepts a connection and gives it a number; none if none waits, or there is no room.
    pub fn accept(&mut self, listener: &OwnedFd) -> Option<u32> {
        // Fails only when the counter is zero already.
        let _ = self.room.read();
        if self.carried.load(Ordering::Acquire) >= MOST {
            return None;
        }
        let client = accept_with(listener, SocketFlags::CLOEXEC).ok()?;
        self.carried.fetch_add(1, Ordering::AcqRel);
        let place = Place { carried: self.carried.clone(), room: self.room.clone() };
        self.last = self.last.wrapping_add(1);
        lock(&self.waiting).insert(self.last, (client, place));
        Some(self.last)
    }

    /// Gives a connection up of which the guest could not be told.
    pub fn give_up(&self, connection: u32) {
        lock(&self.waiting).remove(&connection);
    }

    /// Carries a connection over one that the guest opened for it. More than were announced are closed.
    pub fn serve(&self, guest: UnixStream) -> io::Result<()> {
        if self.arriving.load(Ordering::Acquire) >= lock(&self.waiting).len() {
            return Ok(());
        }
        let (arriving, waiting) = (Counted::new(&self.arriving), self.waiting.clone());
        let answering = Counted::new(&self.answering);
        let serve = move || {
            let header = read_frame::<AcceptedHeader>(&mut (&guest).take(MAX_HEADER));
            let wanted = header.ok().flatten().map(|header| header.connection);
            let client = wanted.and_then(|connection| lock(&waiting).remove(&connection));
            drop(arriving);
            if let Some((client, place)) = client {
                carry(Arc::new(Carried { client, guest, _place: place }), answering);
            }
        };
        spawn(serve)
    }

    /// Whether what the apps answered has reached its clients, or has been waited for long enough. To be asked after the
    /// guest has finished, again and again.
    pub fn drained(&mut self, now: Instant) -> bool {
        let give_up_at = *self.give_up_at.get_or_insert(now + PATIENCE);
        self.answering.load(Ordering::Acquire) == 0 || now >= give_up_at
    }
}

/// A connection that is being carried: closed, and its place free, when both threads are done.
#[derive(Debug)]
struct Carried {
    client: OwnedFd,
    guest: UnixStream,
    _place: Place,
}

/// Moves bytes both ways until both have ended.
fn carry(connection: Arc<Carried>, answering: Counted) {
    let questions = Arc::clone(&connection);
    if spawn(move || pump_in(questions.client.as_fd(), &questions.guest)).is_err() {
        return;
    }
    let Carried { client, guest, .. } = &*connection;
    // A client that has gone is noticed by the app: its connection is closed.
    let _ = pump_out(guest, client.as_fd(), &Progress::default(), |_| {});
    let _ = shutdown(client, Shutdown::Write);
    drop(answering);
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = Builder::new().name("socket".into()).stack_size(STACK);
    threads::spawn(Kind::Stream, builder, work).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
