//! The one event loop that devices and the agent session share.

use std::fmt::Debug;

use event_manager::{Error, EventManager, MutEventSubscriber, RemoteEndpoint, SubscriberId};

/// Anything that waits for descriptors. Implemented for every suitable type.
pub trait Watch: MutEventSubscriber + Debug + Send {}

impl<T: MutEventSubscriber + Debug + Send> Watch for T {}

/// What the loop owns.
pub type Subscriber = Box<dyn Watch>;
/// The loop. It runs on stage1's main thread.
pub type EventLoop = EventManager<Subscriber>;
/// A handle with which other threads, the vCPUs above all, add and remove subscribers.
///
/// `call_blocking` from the loop's own thread would deadlock; subscribers use their `EventOps` instead. When the
/// loop is dropped, blocked callers wake with an error.
pub type EventLoopHandle = RemoteEndpoint<Subscriber>;

/// A subscriber another thread put on the loop.
///
/// Dropped, it leaves the subscriber to the loop: a machine ends after its loop, or while the loop's own thread is
/// busy dropping it.
#[derive(Debug)]
pub struct Attachment {
    event_loop: EventLoopHandle,
    subscriber: SubscriberId,
}

impl Attachment {
    /// Puts `subscriber` on the loop; its `init` has run when this returns. Not for the loop's own thread.
    pub fn new(event_loop: EventLoopHandle, subscriber: Subscriber) -> Result<Self, Error> {
        let subscriber =
            event_loop.call_blocking(move |ops| Ok::<_, Error>(ops.add_subscriber(subscriber)))?;
        Ok(Attachment { event_loop, subscriber })
    }

    /// Takes the subscriber off the loop. When this returns it has been dropped, or the loop is gone.
    pub fn detach(self) {
        let subscriber = self.subscriber;
        // An error says that the loop is gone, and the subscriber with it.
        let _ = self.event_loop.call_blocking(move |ops| ops.remove_subscriber(subscriber).map(drop));
    }
}
