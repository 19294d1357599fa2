//! How a pod ends, as a matter of rules: the first failure takes the others down and is the pod's status.

use std::time::{Duration, Instant};

/// How long apps may take to end when another one has failed.
pub const GRACE: Duration = Duration::from_secs(10);

/// What has to be done to the apps that still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ask them to end.
    Terminate,
    /// Kill them.
    Kill,
}

/// The course of a pod towards its end.
#[derive(Debug, Default)]
pub struct Course {
    failure: Option<i32>,
    kill_at: Option<Instant>,
    killed: bool,
}

impl Course {
    /// An app's main process ended with `status`.
    pub fn app_ended(&mut self, status: i32, now: Instant) -> Option<Order> {
        if status == 0 || self.failure.is_some() {
            return None;
        }
        self.failure = Some(status);
        self.end_within(GRACE, now)
    }

    /// The host asks the pod to stop.
    pub fn stop(&mut self, grace: Duration, now: Instant) -> Option<Order> {
        self.end_within(grace, now)
    }

    fn end_within(&mut self, grace: Duration, now: Instant) -> Option<Order> {
        let first = self.kill_at.is_none();
        let at = now.checked_add(grace).unwrap_or(now + GRACE);
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
        if grace.is_zero() {
            return self.tick(now);
        }
        first.then_some(Order::Terminate)
    }

    /// Whether the pod's end has begun.
    pub fn is_ending(&self) -> bool {
        self.kill_at.is_some()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Option<Order> {
        let due = !self.killed && self.kill_at.is_some_and(|at| at <= now);
        self.killed |= due;
        due.then_some(Order::Kill)
    }

    /// When [`Course::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.kill_at.filter(|_| !self.killed)
    }

    /// The pod's status.
    pub fn status(&self) -> i32 {
        self.failure.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn success_leaves_the_others_alone() {
        let mut course = Course::default();
        assert_eq!(course.app_ended(0, Instant::now()), None);
        assert_eq!((course.status(), course.deadline()), (0, None));
    }

    #[test]
    fn the_first_failure_wins_and_takes_the_others_down() {
        let (mut course, now) = (Course::default(), Instant::now());
        assert_eq!(course.app_ended(42, now), Some(Order::Terminate));
        assert_eq!(course.app_ended(143, now), None);
        assert_eq!(course.deadline(), Some(now + GRACE));
        assert_eq!(course.tick(now + GRACE - SECOND), None);
        assert_eq!(course.tick(now + GRACE), Some(Order::Kill));
        assert_eq!((course.tick(now + 2 * GRACE), course.deadline()), (None, None));
        assert_eq!(course.status(), 42);
    }

    #[test]
    fn a_pod_that_stops_has_the_status_of_what_ended_it() {
        let (mut course, now) = (Course::default(), Instant::now());
        assert_eq!(course.stop(SECOND, now), Some(Order::Terminate));
        assert_eq!(course.app_ended(143, now), None);
        assert_eq!(course.status(), 143);
    }

    #[test]
    fn impatience_shortens_the_grace_and_patience_does_not_prolong_it() {
        let (mut course, now) = (Course::default(), Instant::now());
        course.stop(5 * SECOND, now);
        assert_eq!(course.stop(60 * SECOND, now), None);
        assert_eq!(course.deadline(), Some(now + 5 * SECOND));
        assert_eq!(course.stop(Duration::ZERO, now), Some(Order::Kill));
        assert_eq!(course.stop(Duration::ZERO, now), None);
        let mut course = Course::default();
        assert_eq!(course.stop(Duration::MAX, now), Some(Order::Terminate));
    }
}
