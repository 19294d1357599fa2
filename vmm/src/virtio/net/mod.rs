//! The virtio network device (virtio 1.2 §5.1).

mod tap;

pub use tap::{Tap, TapError, queue_pairs};
