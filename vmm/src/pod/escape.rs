//! The way out of an interactive pod that does not listen: Ctrl-] three times.

use std::time::{Duration, Instant};

/// Ctrl-].
const ESCAPE: u8 = 0x1d;
/// How often it has to be pressed.
const TIMES: u32 = 3;
/// Within this long of the first.
const WITHIN: Duration = Duration::from_secs(1);

/// Looks for the escape in what is typed. Any other key between starts over.
#[derive(Debug, Default)]
pub struct Escape {
    first: Option<Instant>,
    count: u32,
}

impl Escape {
    /// Looks at bytes typed `now`; true when the escape is complete.
    pub fn typed(&mut self, bytes: &[u8], now: Instant) -> bool {
        bytes.iter().any(|byte| self.key(*byte, now))
    }

    fn key(&mut self, byte: u8, now: Instant) -> bool {
        if byte != ESCAPE {
            self.count = 0;
            return false;
        }
        let begun = self.first.filter(|first| self.count > 0 && now.duration_since(*first) <= WITHIN);
        match begun {
            Some(_) => self.count += 1,
            None => {
                self.first = Some(now);
                self.count = 1;
            }
        }
        self.count >= TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_second() {
        let start = Instant::now();
        assert!(Escape::default().typed(b"ab\x1d\x1d\x1dc", start));
        let mut escape = Escape::default();
        assert!(!escape.typed(b"\x1d", start));
        assert!(!escape.typed(b"\x1d", start + WITHIN / 2));
        assert!(escape.typed(b"\x1d", start + WITHIN));
    }

    #[test]
    fn not_when_slow_or_interrupted() {
        let start = Instant::now();
        let mut escape = Escape::default();
        assert!(!escape.typed(b"\x1d\x1d", start));
        assert!(!escape.typed(b"\x1d", start + WITHIN * 2));
        assert!(!Escape::default().typed(b"\x1d\x1dx\x1d\x1d", start));
    }
}
