//! What commands and attached clients have yet to read when their pod has ended.

use std::time::{Duration, Instant};

/// How long a client may read nothing before what is left for it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches the bytes that wait in the socket device grow fewer: with the machine they would be lost.
#[derive(Debug, Default)]
pub(super) struct Unread {
    last_change: Option<(usize, Instant)>,
}

impl Unread {
    /// Whether nothing waits, or nobody takes it. To be asked after the guest has finished, again and again.
    pub fn given_up(&mut self, bytes: usize, now: Instant) -> bool {
        if bytes == 0 {
            return true;
        }
        match self.last_change {
            Some((before, since)) if before == bytes => now.duration_since(since) >= PATIENCE,
            _ => {
                self.last_change = Some((bytes, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_is_waited_for_and_a_stuck_one_is_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unread = Unread::default();
        assert!(unread.given_up(0, at(0)));
        assert!(!unread.given_up(900, at(1)));
        assert!(!unread.given_up(900, at(5)));
        assert!(!unread.given_up(800, at(9)));
        assert!(!unread.given_up(800, at(13)));
        assert!(unread.given_up(800, at(14)));
        assert!(unread.given_up(0, at(15)));
    }
}
