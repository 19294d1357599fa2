//! Bytes of the guest that wait for the host's reader, counted over all connections.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many bytes of the guest wait for their readers, on all connections together.
#[derive(Clone, Debug, Default)]
pub(super) struct UnreadBytes(Arc<AtomicUsize>);

impl UnreadBytes {
    /// The number.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// What one connection's reader has not taken yet, in order.
#[derive(Debug)]
pub(super) struct Pending {
    bytes: VecDeque<u8>,
    all: UnreadBytes,
}

impl Pending {
    /// Nothing yet; what comes is counted in `all`.
    pub fn new(all: UnreadBytes) -> Self {
        Pending { bytes: VecDeque::new(), all }
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds to the end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.all.0.fetch_add(bytes.len(), Ordering::Release);
    }

    /// The first of what waits, as much as is in one piece.
    pub fn front(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Forgets the first `count` bytes, which the reader has taken. The memory goes with the last of them: most connections
    /// never wait again.
    pub fn consume(&mut self, count: usize) {
        let count = self.bytes.drain(..count.min(self.bytes.len())).count();
        self.all.0.fetch_sub(count, Ordering::Release);
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.consume(self.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_counted_until_it_is_taken_or_given_up() {
        let all = UnreadBytes::default();
        let (mut one, mut other) = (Pending::new(all.clone()), Pending::new(all.clone()));
        one.push(b"first");
        other.push(b"second");
        assert_eq!((all.count(), one.len()), (11, 5));
        assert_eq!(one.front(), b"first");
        one.consume(3);
        assert_eq!((one.front(), all.count()), (&b"st"[..], 8));
        one.consume(9);
        assert!(one.is_empty());
        drop(other);
        assert_eq!(all.count(), 0);
    }
}
