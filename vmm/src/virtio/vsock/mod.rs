//! The virtio socket device (virtio 1.2 §5.10): stream sockets between the guest and this process, in user space.

mod host;

pub use host::{Connection, ListenError, Listener, Ports};
