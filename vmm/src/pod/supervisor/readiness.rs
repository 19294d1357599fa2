//! From the event loop's callbacks to a queue that the supervisor works off in its own time.

use std::{
    collections::VecDeque,
    os::fd::RawFd,
    sync::{Arc, Mutex, PoisonError},
};

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::epoll::EventSet;

/// What has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A signal waits.
    Signals,
    /// The host's clock may have jumped.
    Clock,
    /// The guest opened a control connection.
    ControlListener,
    /// The guest opened a stream.
    StreamListener,
    /// The control connection can be read or written.
    Control,
    /// Threads of streams have something to report.
    Streams,
    /// The machine has ended.
    Machine,
    /// Somebody connected to the pod's socket.
    ClientListener,
    /// A client, by number, said something.
    Client(u32),
    /// The guest opened a stream of a command.
    CommandListener,
    /// Such a stream, by number, may tell whose it is.
    Arrival(u32),
    /// Somebody connected to a socket that was passed to the pod, or there is room for who did.
    HostSockets,
    /// The guest called for such a connection.
    AcceptedListener,
    /// The guest opened the connection about changes in volumes.
    WatchListener,
    /// A thread has a line for the user.
    Notices,
}

/// What is ready, in order.
#[derive(Debug, Clone, Default)]
pub struct ReadyQueue(Arc<Mutex<VecDeque<Token>>>);

impl ReadyQueue {
    /// Takes the first entry.
    pub fn pop(&self) -> Option<Token> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Adds an entry at the end.
    pub fn push(&self, token: Token) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(token);
    }
}

/// Queues its token whenever its descriptor is ready.
#[derive(Debug)]
pub struct Readiness {
    descriptor: RawFd,
    events: EventSet,
    token: Token,
    queue: ReadyQueue,
}

impl Readiness {
    /// Watches a descriptor, which has to stay open for as long as this is on the loop.
    pub fn new(descriptor: RawFd, events: EventSet, token: Token, queue: &ReadyQueue) -> Self {
        Readiness { descriptor, events, token, queue: queue.clone() }
    }
}

impl MutEventSubscriber for Readiness {
    fn process(&mut self, _: Events, _: &mut EventOps) {
        self.queue.push(self.token);
    }

    fn init(&mut self, ops: &mut EventOps) {
        // Fails only for descriptors that cannot be waited for, and there is none such.
        let _ = ops.add(Events::new_raw(self.descriptor, self.events));
    }
}
