//! The threads that serve an active device's queues.

use std::{
    fmt, io,
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Instant,
};

use rustix::{fs::Mode, thread::UnshareFlags};
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
};

use super::{
    limits::Parked,
    memory::{Bitmap, ServerMemory},
    request::RequestHandler,
};
use crate::{
    jail::{Kind, threads},
    virtio::{ActiveQueue, GuestRam, Interrupt},
};

/// What the workers of one device share.
#[derive(Debug)]
struct Work {
    handler: Arc<RequestHandler>,
    memory: ServerMemory,
    interrupt: Arc<Interrupt>,
    queues: Vec<SharedQueue>,
    epoll: Epoll,
    stopping: AtomicBool,
}

/// A queue that several workers take requests from.
#[derive(Debug)]
struct SharedQueue {
    queue: Mutex<Queue>,
    kick: EventFd,
}

/// Worker threads that serve the queues of one device together, so that a request that takes long holds up no other.
/// Dropping it stops and joins them; each finishes the request it is at.
pub(super) struct Pool {
    work: Arc<Work>,
    /// Never read, so that it wakes all workers for good once written.
    stop: EventFd,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `workers` threads, `fs-0` and so on, that serve `queues`.
    pub fn start(
        handler: Arc<RequestHandler>,
        ram: GuestRam,
        interrupt: Arc<Interrupt>,
        queues: Vec<ActiveQueue>,
        workers: usize,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let stop = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        for (index, queue) in queues.iter().enumerate() {
            // Edge triggered, so that each notification wakes one worker and needs no reading.
            watch(&epoll, &queue.kick, EventSet::IN | EventSet::EDGE_TRIGGERED, index)?;
        }
        watch(&epoll, &stop, EventSet::IN, queues.len())?;
        let queues = queues
            .into_iter()
            .map(|ActiveQueue { queue, kick }| SharedQueue { queue: Mutex::new(queue), kick });
        let work = Arc::new(Work {
            handler,
            memory: ServerMemory::new(ram)?,
            interrupt,
            queues: queues.collect(),
            epoll,
            stopping: AtomicBool::new(false),
        });
        let mut pool = Pool { work: Arc::clone(&work), stop, threads: Vec::with_capacity(workers) };
        for index in 0..workers {
            let work = Arc::clone(&work);
            let thread =
                threads::spawn(Kind::FileServer, Builder::new().name(format!("fs-{index}")), move || {
                    own_file_system_context();
                    work.run();
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.work.stopping.store(true, Ordering::SeqCst);
        // Cannot fail: it is written once.
        let _ = self.stop.write(1);
        for thread in self.threads.drain(..) {
            // An error is the worker's panic, which has been reported.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// Gives this thread a working directory and umask of its own; the file server changes the one and clears the other.
pub(super) fn own_file_system_context() {
    // SAFETY: of what may be unshared, the file system context alone concerns no memory.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) };
    // Fails for lack of memory alone.
    if let Err(error) = unshared {
        panic!("Cannot unshare the file system context of a worker thread: {error}");
    }
    rustix::process::umask(Mode::empty());
}

fn watch(epoll: &Epoll, event: &EventFd, events: EventSet, data: usize) -> io::Result<()> {
    epoll.ctl(ControlOperation::Add, event.as_raw_fd(), EpollEvent::new(events, data as u64))
}

impl Work {
    fn run(&self) {
        let mut events = [EpollEvent::default()];
        let mut parked = Parked::new(self.queues.iter().map(SharedQueue::size).sum());
        while !self.is_stopping() {
            match self.epoll.wait(self.timeout(&parked), &mut events) {
                Ok(0) => self.resume(&mut parked),
                Ok(_) => {
                    if let Some(queue) = self.queues.get(events[0].data() as usize) {
                        self.serve(queue, &mut parked);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The descriptors are ours and open: nothing else can fail.
                Err(error) => panic!("Cannot wait for file system requests: {error}"),
            }
            self.handler.let_go_of_departed();
        }
    }

    /// How long to wait for a request, in milliseconds, or -1.
    fn timeout(&self, parked: &Parked<Request<'_>>) -> i32 {
        let now = Instant::now();
        let parked = if parked.is_empty() { -1 } else { parked.timeout(now) };
        let Some(look) = self.handler.until_departed(now) else { return parked };
        // One more, not to wait again for a part of one.
        let look = i32::try_from(look.as_millis() + 1).unwrap_or(i32::MAX);
        if parked < 0 { look } else { parked.min(look) }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Handles requests until the queue is empty.
    fn serve<'a>(&'a self, shared: &'a SharedQueue, parked: &mut Parked<Request<'a>>) {
        let memory = self.memory.view();
        while !self.is_stopping()
            && let Some(chain) = shared.take(memory)
        {
            let wait = self.handler.wait(memory, &chain);
            let request = Request { queue: shared, chain };
            match wait {
                None => self.finish(request),
                // A driver has no more under way than its queues hold: this one is returned as it is.
                Some(wait) => {
                    if let Err(Request { queue, chain }) = parked.park(wait, request) {
                        self.return_to(queue, chain.head_index(), 0);
                    }
                }
            }
            self.resume(parked);
        }
    }

    /// Handles the requests whose time has come.
    fn resume(&self, parked: &mut Parked<Request<'_>>) {
        while !parked.is_empty()
            && !self.is_stopping()
            && let Some(request) = parked.next_due(Instant::now(), self.handler.limits().lifts())
        {
            self.finish(request);
        }
    }

    fn finish(&self, Request { queue, chain }: Request<'_>) {
        let head = chain.head_index();
        let written = self.handler.handle(self.memory.view(), chain);
        self.return_to(queue, head, written);
    }

    fn return_to(&self, queue: &SharedQueue, head: u16, written: u32) {
        if queue.give_back(self.memory.view(), head, written) {
            self.interrupt.signal_used();
        }
    }
}

type Chain<'m> = DescriptorChain<&'m GuestMemoryMmap<Bitmap>>;

/// A request, and the queue it goes back to.
struct Request<'a> {
    queue: &'a SharedQueue,
    chain: Chain<'a>,
}

impl SharedQueue {
    /// Takes the next request, and wakes another worker if there is more. A ring that makes no sense has no requests
    /// until the driver resets the device.
    fn take<'m>(&self, memory: &'m GuestMemoryMmap<Bitmap>) -> Option<Chain<'m>> {
        let mut queue = self.lock();
        loop {
            let chain = queue.iter(memory).ok()?.next();
            // The request may take long. Let the driver notify of the next one, for another worker.
            let more = queue.enable_notification(memory).unwrap_or(false);
            match chain {
                Some(chain) => {
                    if more {
                        // Fails only when the counter is at its limit: then nobody sleeps.
                        let _ = self.kick.write(1);
                    }
                    return Some(chain);
                }
                None if more => {}
                None => return None,
            }
        }
    }

    /// Returns a request to the driver. True if it wants an interrupt.
    fn give_back(&self, memory: &GuestMemoryMmap<Bitmap>, head: u16, written: u32) -> bool {
        let mut queue = self.lock();
        // Fails for a head outside the queue: there is nobody to return it to.
        queue.add_used(memory, head, written).is_ok() && queue.needs_notification(memory).unwrap_or(true)
    }

    /// How many requests the driver may have under way.
    fn size(&self) -> usize {
        self.lock().size().into()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
