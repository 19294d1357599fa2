//! The virtio file system device (virtio 1.2 §5.11): a directory of the host, shared with the guest.
//!
//! ```text
//! guest ── queues ── Pool (worker threads) ── RequestHandler ── virtiofsd's Server ── Share ── PassthroughFs
//! ```
//!
//! FUSE and the access to the host's file system are virtiofsd's. What a guest must not be able to ask of it is kept
//! from it in two places: `RequestHandler` checks the shape of a request, `Share` its arguments.
//!
//! Locks (`flock`, `fcntl`) are the guest kernel's affair: pods that share a volume do not see each other's. The
//! library has none to offer, and a lock that waits would hold a worker for as long as another pod likes.

mod config;
mod device;
mod freshness;
mod limits;
mod memory;
mod nameless;
mod pool;
mod request;
mod share;
mod watch;

pub use config::{CachePolicy, FsError, ShareConfig, files_of};
pub use device::Fs;
pub use limits::{IoLimits, Rates};
pub use watch::Watches;

/// The longest tag (virtio 1.2 §5.11.4).
const TAG_LEN: usize = 36;

/// The high priority queue; it carries what frees resources of the server (virtio 1.2 §5.11.2).
const HIGH_PRIORITY_QUEUE_SIZE: u16 = 128;
/// Linux splits requests that would not fit into a queue: for 1 MiB, the most it asks for, 256 pages and some more.
const REQUEST_QUEUE_SIZE: u16 = 1024;
/// More request queues than this bring nothing: all are served by the same pool.
const MAX_REQUEST_QUEUES: usize = 4;
