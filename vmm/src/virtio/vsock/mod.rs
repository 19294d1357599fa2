//! The virtio socket device (virtio 1.2 §5.10): stream sockets between the guest and this process, in user space.
//!
//! ```text
//! guest socket ── rx/tx queues ── Exchange ── Connection ── socket pair ── stage1
//! ```

mod connection;
mod connections;
mod device;
mod event_handler;
mod exchange;
mod host;
mod packet;
mod pending;

pub use device::Vsock;
pub use host::{Connection, ListenError, Listener, Ports};

/// The host's context ID (virtio 1.2 §5.10.4).
const HOST_CID: u64 = 2;

/// Queue indices (virtio 1.2 §5.10.2).
const RX_QUEUE: usize = 0;
const TX_QUEUE: usize = 1;
/// receive, transmit and event queue. The last is for the guest to learn that its context ID changed, which it
/// does not.
const QUEUE_SIZES: [u16; 3] = [256, 256, 16];

/// How many bytes from the guest one connection holds back for a host that does not read; announced as `buf_alloc`
/// (virtio 1.2 §5.10.6.3).
const BUFFER: u32 = 256 * 1024;
/// How many connections there may be at once. With `BUFFER`, a bound on what a guest can make this process hold.
const MAX_CONNECTIONS: usize = 512;
/// The largest payload of one packet, either way; the limit Linux has.
const MAX_PAYLOAD: u32 = 64 * 1024;
