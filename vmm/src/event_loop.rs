//! The one event loop that devices and the agent session share.

use event_manager::{EventManager, MutEventSubscriber, RemoteEndpoint};

/// What the loop owns: anything that waits for descriptors.
pub type Subscriber = Box<dyn MutEventSubscriber + Send>;
/// The loop. It runs on stage1's main thread.
pub type EventLoop = EventManager<Subscriber>;
/// A handle with which other threads, the vCPUs above all, add and remove subscribers.
///
/// `call_blocking` from the loop's own thread would deadlock; subscribers use their `EventOps` instead. When the
/// loop is dropped, blocked callers wake with an error.
pub type EventLoopHandle = RemoteEndpoint<Subscriber>;
