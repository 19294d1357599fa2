//! When to look what is watched: seldom, and never without a reason.

use std::time::{Duration, Instant};

/// How many times as long as a look takes it is not repeated.
const REST: u32 = 20;

/// The next look, and the one under way.
#[derive(Debug)]
pub struct Looks {
    due: Option<Instant>,
    began: Option<Instant>,
    rested: Instant,
}

impl Looks {
    /// There is nothing to see yet.
    pub fn new(now: Instant) -> Self {
        Self { due: None, began: None, rested: now }
    }

    /// Something may be seen at some instant.
    pub fn want(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |before| before.min(at)));
    }

    /// Nothing can be seen any more.
    pub fn give_up(&mut self) {
        self.due = None;
    }

    /// When the next one may begin.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.began.is_none()).map(|at| at.max(self.rested))
    }

    /// Whether one begins now.
    pub fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|at| at <= now);
        if is_due {
            self.due = None;
            self.began = Some(now);
        }
        is_due
    }

    /// When the one that ends now began.
    pub fn end(&mut self, now: Instant) -> Option<Instant> {
        let began = self.began.take()?;
        self.rested = now + now.saturating_duration_since(began).max(Duration::from_millis(1)) * REST;
        Some(began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_rest_after_each_other_and_have_reasons() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut looks = Looks::new(start);
        assert!(!looks.begin(at(5)) && looks.deadline().is_none());
        looks.want(at(10));
        looks.want(at(7));
        assert!(!looks.begin(at(6)) && looks.begin(at(7)));
        looks.want(at(8));
        assert!(looks.deadline().is_none() && !looks.begin(at(9)), "one at a time");
        assert_eq!(looks.end(at(9)), Some(at(7)));
        assert_eq!(looks.deadline(), Some(at(9 + 2 * 20)));
        assert!(looks.begin(at(60)) && looks.end(at(61)).is_some() && looks.end(at(61)).is_none());
        assert!(looks.deadline().is_none());
    }
}
