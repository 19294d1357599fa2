//! Waiting, in cycles of the time stamp counter: nobody tells this kernel how long they are.

use core::{arch::x86_64::_rdtsc, hint::spin_loop};

/// Longer than any device takes, on any host: ten seconds or so.
pub const PATIENCE: u64 = 30_000_000_000;

/// Waits until `ready` has something, for so many cycles at most.
pub fn within<T>(cycles: u64, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = now();
    loop {
        if let Some(result) = ready() {
            return Some(result);
        }
        if now().wrapping_sub(start) > cycles {
            return None;
        }
        spin_loop();
    }
}

fn now() -> u64 {
    // SAFETY: every processor that has 64-bit mode has it.
    unsafe { _rdtsc() }
}
