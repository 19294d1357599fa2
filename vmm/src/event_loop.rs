//! The one event loop that devices and the agent session share.

use std::fmt::Debug;

use event_manager::{EventManager, MutEventSubscriber, RemoteEndpoint};

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
