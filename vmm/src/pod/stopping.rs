//! What becomes of a pod that somebody wants ended.

use std::time::{Duration, Instant};

use libc::{SIGTERM, c_int};

use super::signals::{self, Ending, Received, Signals};

/// How long apps may take after SIGTERM before they are killed.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long beyond the grace the guest may take to report that.
const MARGIN: Duration = Duration::from_secs(10);
/// A second signal sooner than this after the first is the same one: timeout(1) and others signal a process and then its group.
pub const ECHO: Duration = Duration::from_millis(500);
/// The status of an app that was killed, and of a pod that was.
pub const KILLED: i32 = 128 + libc::SIGKILL;
/// The status of an app that ended as it was asked to.
const TERMINATED: i32 = 128 + SIGTERM;

/// Who wants the pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal to stage1, by number.
    Signal(c_int),
    /// The `stop` entrypoint.
    Entrypoint,
}

impl Cause {
    /// The first signal among those that wait which wants the pod ended, while there is neither guest nor terminal to care
    /// for the others.
    pub fn waiting(signals: &Signals) -> Option<Cause> {
        while let Some(received) = signals.next() {
            match received {
                Received::Terminate(number) => return Some(Cause::Signal(number)),
                Received::Stop => return Some(Cause::Entrypoint),
                Received::Suspend => signals::suspend(),
                // The guest is told the size when it starts.
                Received::Resized => {}
            }
        }
        None
    }
}

/// A request to end the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    cause: Cause,
    failed_before: Option<i32>,
    made: Instant,
}

impl Stop {
    /// A request made `now`, when the first app to fail so far had failed with `failed_before`.
    pub fn new(cause: Cause, failed_before: Option<i32>, now: Instant) -> Self {
        Stop { cause, failed_before, made: now }
    }

    /// When the guest has had its time.
    pub fn limit(&self) -> Instant {
        self.made + GRACE + MARGIN
    }

    /// Whether a signal `now` asks again, and is not the first one come twice.
    pub fn is_asked_again(&self, now: Instant) -> bool {
        now >= self.made + ECHO
    }

    /// How stage1 ends when the apps have ended with `status` after this request.
    ///
    /// An end by `stop` was wanted: what the apps made of it is no failure. After a signal the apps' statuses are
    /// the pod's, as always; only that an app which died of our SIGTERM lets stage1 die of it too.
    pub fn ending(&self, status: i32) -> Ending {
        match self.cause {
            Cause::Entrypoint => Ending::Status(self.failed_before.unwrap_or(0)),
            Cause::Signal(SIGTERM) if status == TERMINATED => Ending::Terminated,
            Cause::Signal(_) => Ending::Status(status),
        }
    }

    /// How stage1 ends when it is asked to before there are any apps.
    pub fn before_start(cause: Cause) -> Ending {
        match cause {
            Cause::Entrypoint => Ending::Status(0),
            Cause::Signal(SIGTERM) => Ending::Terminated,
            Cause::Signal(number) => Ending::Status(128 + number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_end_is_no_failure() {
        let stop = Stop::new(Cause::Entrypoint, None, Instant::now());
        assert_eq!(stop.ending(143), Ending::Status(0));
        let stop = Stop::new(Cause::Entrypoint, Some(3), Instant::now());
        assert_eq!(stop.ending(3), Ending::Status(3));
    }

    #[test]
    fn a_signal_that_comes_twice_asks_once() {
        let now = Instant::now();
        let stop = Stop::new(Cause::Signal(SIGTERM), None, now);
        assert!(!stop.is_asked_again(now));
        assert!(stop.is_asked_again(now + ECHO));
    }

    #[test]
    fn signals_leave_the_apps_statuses() {
        let stop = Stop::new(Cause::Signal(SIGTERM), None, Instant::now());
        assert_eq!(stop.ending(0), Ending::Status(0));
        assert_eq!(stop.ending(1), Ending::Status(1));
        assert_eq!(stop.ending(137), Ending::Status(137));
        assert_eq!(stop.ending(143), Ending::Terminated);
        let stop = Stop::new(Cause::Signal(libc::SIGINT), None, Instant::now());
        assert_eq!(stop.ending(143), Ending::Status(143));
        assert_eq!(Stop::before_start(Cause::Signal(libc::SIGINT)), Ending::Status(130));
    }
}
