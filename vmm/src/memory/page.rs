//! Memory of this process that a guest may look at.

use std::{
    array, fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// The size of a page of x86, in bytes.
pub const PAGE: usize = 4096;

const WORD: usize = size_of::<u32>();

/// A page that can be mapped into a guest's address space for reading. It is all a guest can see of where it lies.
#[repr(C, align(4096))]
pub struct ReadOnlyPage {
    words: [AtomicU32; PAGE / WORD],
}

impl ReadOnlyPage {
    /// The page as little-endian words.
    pub fn words(&self) -> &[AtomicU32; PAGE / WORD] {
        &self.words
    }

    /// What a guest reads at `offset`; zeroes beyond the page's end.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        let offset = usize::try_from(offset).unwrap_or(PAGE).min(PAGE);
        for (at, byte) in (offset..).zip(data) {
            *byte = match self.words.get(at / WORD) {
                Some(word) => word.load(Ordering::SeqCst).to_le_bytes()[at % WORD],
                None => 0,
            };
        }
    }
}

impl Default for ReadOnlyPage {
    fn default() -> Self {
        ReadOnlyPage { words: array::from_fn(|_| AtomicU32::new(0)) }
    }
}

impl fmt::Debug for ReadOnlyPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyPage").finish_non_exhaustive()
    }
}
