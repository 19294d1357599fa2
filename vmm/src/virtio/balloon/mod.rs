//! The memory balloon (virtio 1.2 §5.5): returns memory the guest does not use to the host.
//!
//! Free page reporting does so without being asked: the guest names ranges it has free, and gets zeroed memory when it
//! touches them again. Inflating takes memory from the guest until the host deflates.

mod device;
mod memory;
mod queues;
#[cfg(test)]
mod tests;

pub use device::{Balloon, BalloonTarget};

/// VIRTIO_BALLOON_F_DEFLATE_ON_OOM: the guest may take pages back before it kills a process.
const DEFLATE_ON_OOM: u32 = 2;
/// VIRTIO_BALLOON_F_REPORTING: the guest reports free pages.
const REPORTING: u32 = 5;

/// Queues, with the features above (virtio 1.2 §5.5.2).
const INFLATE: usize = 0;
#[cfg(test)]
const DEFLATE: usize = 1;
const REPORT: usize = 2;
/// Their sizes. Linux sends one request at a time on the first two, and up to 32 ranges in one report.
const QUEUE_SIZES: [u16; 3] = [64, 64, 64];

/// Bytes of a page as the balloon counts, whatever pages the guest has (virtio 1.2 §5.5.6).
const PAGE: u64 = 4096;
