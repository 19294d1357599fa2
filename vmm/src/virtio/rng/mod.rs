//! The entropy device (virtio 1.2 §5.4).

mod device;
mod queue;
#[cfg(test)]
mod tests;

pub use device::Rng;

/// The only queue's size. Linux keeps one request in flight.
const QUEUE_SIZE: u16 = 16;
/// The most bytes one request gets. A driver may ask for any amount and must accept less.
const REQUEST_LIMIT: usize = 64 * 1024;
