//! Waiting for something that happens on its own time.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
pub const STEP: Duration = Duration::from_millis(20);

/// Waits until `condition` holds.
///
/// # Panics
/// When it still does not after `limit`; `what` names it.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(STEP);
    }
}
