//! The data path in user space: a thread per queue pair.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
};

use super::{
    Tap,
    device::Counters,
    pairs::QueuePair,
    receive::{Received, Receiver},
    transmit::Transmitter,
};
use crate::{
    jail::{Kind, threads},
    virtio::{ActiveQueue, GuestRam, Interrupt},
};

/// What woke the worker.
const STOP: u64 = 0;
const TRANSMIT: u64 = 1;
const RECEIVE: u64 = 2;
const TAP: u64 = 3;

/// What a worker serves.
#[derive(Debug)]
pub(super) struct Duty {
    /// Number of the queue pair.
    pub index: u16,
    pub tap: Tap,
    pub memory: GuestRam,
    pub interrupt: Arc<Interrupt>,
    pub rx: ActiveQueue,
    pub tx: ActiveQueue,
    /// A packet for the guest may fill several chains.
    pub mergeable: bool,
    /// Bytes of the longest packet for the guest, header included.
    pub longest: usize,
    pub counters: Arc<Counters>,
}

/// A thread, `net-0` and so on, that moves the packets of one queue pair. Dropping it stops and joins the thread.
#[derive(Debug)]
pub(super) struct Worker {
    post: Arc<Post>,
    /// Never read.
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

/// Where a worker waits.
#[derive(Debug)]
struct Post {
    epoll: Epoll,
    stopping: AtomicBool,
}

impl Worker {
    /// Starts a thread. The tap's queue is not watched until the pair is connected.
    pub fn start(duty: Duty) -> io::Result<Self> {
        let post = Arc::new(Post { epoll: Epoll::new()?, stopping: AtomicBool::new(false) });
        let stop = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        let watch = |event: &EventFd, events, data| {
            post.epoll.ctl(ControlOperation::Add, event.as_raw_fd(), EpollEvent::new(events, data))
        };
        watch(&stop, EventSet::IN, STOP)?;
        watch(&duty.tx.kick, EventSet::IN, TRANSMIT)?;
        // Needs no reading when it comes while there is nothing to receive.
        watch(&duty.rx.kick, EventSet::IN | EventSet::EDGE_TRIGGERED, RECEIVE)?;
        let theirs = Arc::clone(&post);
        let thread = {
            let builder = Builder::new().name(format!("net-{}", duty.index));
            threads::spawn(Kind::Packets, builder, move || theirs.serve(duty))?
        };
        Ok(Worker { post, stop, thread: Some(thread) })
    }
}

impl QueuePair for Worker {
    fn connect(&self, queue: &File) -> io::Result<()> {
        self.post.watch_tap(ControlOperation::Add, queue.as_raw_fd())
    }

    fn disconnect(&self, queue: &File) {
        // Fails only if it is not watched.
        let _ = self.post.watch_tap(ControlOperation::Delete, queue.as_raw_fd());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.post.stopping.store(true, Ordering::SeqCst);
        // Cannot fail: it is written once.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // An error is the worker's panic, which has been reported.
            let _ = thread.join();
        }
    }
}

impl Post {
    /// Edge triggered: a tap without room for the guest's packets, or one whose packets the guest has no room for,
    /// wakes nobody until that changes.
    fn watch_tap(&self, operation: ControlOperation, fd: RawFd) -> io::Result<()> {
        let events = EventSet::IN | EventSet::OUT | EventSet::EDGE_TRIGGERED;
        self.epoll.ctl(operation, fd, EpollEvent::new(events, TAP))
    }

    fn serve(&self, duty: Duty) {
        let Duty { index, tap, memory, interrupt, rx, tx, mergeable, longest, counters } = duty;
        let Some(queue) = tap.queue(index) else { return };
        let mut transmitter = Transmitter::new(Arc::clone(&memory), tx);
        let mut receiver = Receiver::new(memory, rx, mergeable, longest);
        let mut events = [EpollEvent::default(); 4];
        // Whether packets wait in the tap, and whether the guest may have room for them.
        let (mut readable, mut room) = (false, true);
        while !self.stopping.load(Ordering::SeqCst) {
            let patience = if readable && room { 0 } else { -1 };
            let count = match self.epoll.wait(patience, &mut events) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The descriptors are ours and open: nothing else can fail.
                Err(error) => panic!("Cannot wait for network packets: {error}"),
            };
            let mut transmit = false;
            for event in &events[..count] {
                match event.data() {
                    TRANSMIT => transmit = true,
                    RECEIVE => room = true,
                    TAP => {
                        readable |= event.event_set().contains(EventSet::IN);
                        transmit |= event.event_set().contains(EventSet::OUT);
                    }
                    _ => {}
                }
            }
            if transmit && !transmitter.run(queue, &interrupt, &counters) {
                // Fails only when the pair has been disconnected. The kernel says that there is room again only to
                // who has asked since there was none.
                let _ = self.watch_tap(ControlOperation::Modify, queue.as_raw_fd());
            }
            if readable && room {
                match receiver.run(queue, &interrupt, &counters) {
                    Received::All => readable = false,
                    Received::NoRoom => room = false,
                    Received::Batch => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
