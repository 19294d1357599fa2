//! The checks of an app's health: when they run, and what they come to (Docker's `HEALTHCHECK`).

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use agent::protocol::{Health, HealthCheck, HealthReport};
use nix::libc::pollfd;
use nix::unistd::Pid;

use super::probe::{Probe, Result};

/// The health of an app: one check at a time.
#[derive(Debug)]
pub struct Checks {
    tally: Tally,
    /// None before the app's program runs.
    next: Option<Instant>,
    probe: Option<Probe>,
}

impl Checks {
    /// Those that `check` describes, before the app runs.
    pub fn new(check: HealthCheck) -> Self {
        Self { tally: Tally::new(check), next: None, probe: None }
    }

    /// The app's program runs from now on.
    pub fn begin(&mut self, now: Instant) {
        self.tally.began = Some(now);
        self.next = after(now, self.tally.interval(now));
    }

    /// What they have come to.
    pub fn report(&self) -> &HealthReport {
        &self.tally.report
    }

    /// What the check under way waits for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        self.probe.iter().flat_map(Probe::interest)
    }

    /// When [`Checks::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.probe.as_ref().map_or(self.next, Probe::deadline)
    }

    /// Takes in what the check under way says.
    pub fn advance(&mut self, ready: &[RawFd]) {
        if let Some(probe) = &mut self.probe {
            probe.advance(ready);
        }
    }

    /// Starts a check that is due with `start`, which gets its command and how long it may take; ends one that takes too long.
    pub fn tick(&mut self, now: Instant, start: impl FnOnce(&[String], Duration) -> io::Result<Probe>) {
        if let Some(probe) = &mut self.probe {
            probe.tick(now);
        } else if self.next.is_some_and(|next| next <= now) {
            self.next = None;
            let check = &self.tally.check;
            match start(&check.exec, Duration::from_millis(check.timeout_ms)) {
                Ok(probe) => self.probe = Some(probe),
                Err(error) => self.ended(now, Result { well: false, output: error.to_string() }),
            }
        }
    }

    /// Takes note of a process that has ended, perhaps that of the check.
    pub fn reaped(&mut self, process: Pid, status: i32, now: Instant) {
        if let Some(probe) = self.probe.take_if(|probe| probe.is(process)) {
            self.ended(now, probe.result(status));
        }
    }

    fn ended(&mut self, now: Instant, result: Result) {
        self.tally.count(now, result);
        self.next = after(now, self.tally.interval(now));
    }
}

/// What checks have come to.
#[derive(Debug)]
struct Tally {
    check: HealthCheck,
    began: Option<Instant>,
    succeeded: bool,
    report: HealthReport,
}

impl Tally {
    fn new(check: HealthCheck) -> Self {
        let report = HealthReport { health: Health::Starting, failures: 0, output: String::new() };
        Self { check, began: None, succeeded: false, report }
    }

    /// Whether failures do not count yet.
    fn is_starting(&self, now: Instant) -> bool {
        let period = Duration::from_millis(self.check.start_period_ms);
        !self.succeeded && self.began.is_some_and(|began| now.saturating_duration_since(began) < period)
    }

    fn interval(&self, now: Instant) -> Duration {
        let starting = self.is_starting(now);
        Duration::from_millis(if starting { self.check.start_interval_ms } else { self.check.interval_ms })
    }

    fn count(&mut self, now: Instant, result: Result) {
        let counts = !self.is_starting(now);
        self.report.output = result.output;
        if result.well {
            self.succeeded = true;
            self.report.failures = 0;
            self.report.health = Health::Healthy;
        } else if counts {
            self.report.failures = self.report.failures.saturating_add(1);
            if self.report.failures >= self.check.retries {
                self.report.health = Health::Unhealthy;
            }
        }
    }
}

/// One that cannot be reached is never.
fn after(now: Instant, duration: Duration) -> Option<Instant> {
    now.checked_add(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn check() -> HealthCheck {
        HealthCheck {
            exec: vec!["true".into()],
            interval_ms: 30_000,
            timeout_ms: 1_000,
            start_period_ms: 10_000,
            start_interval_ms: 2_000,
            retries: 3,
        }
    }

    fn said(well: bool) -> Result {
        Result { well, output: if well { "fine".into() } else { "ill".into() } }
    }

    #[test]
    fn failures_count_after_the_start_and_in_a_row() {
        let (mut tally, began) = (Tally::new(check()), Instant::now());
        tally.began = Some(began);
        assert_eq!(tally.interval(began), 2 * SECOND);
        let mut at = |after: u32, well: bool| {
            tally.count(began + after * SECOND, said(well));
            (tally.report.health, tally.report.failures)
        };
        assert_eq!(at(2, false), (Health::Starting, 0));
        assert_eq!(at(11, false), (Health::Starting, 1));
        assert_eq!(at(12, false), (Health::Starting, 2));
        assert_eq!(at(13, true), (Health::Healthy, 0));
        assert_eq!(at(14, false), (Health::Healthy, 1));
        assert_eq!(at(15, false), (Health::Healthy, 2));
        assert_eq!(at(16, false), (Health::Unhealthy, 3));
        assert_eq!(at(17, true), (Health::Healthy, 0));
        assert_eq!(tally.report.output, "fine");
    }

    #[test]
    fn a_success_ends_the_start() {
        let (mut tally, began) = (Tally::new(check()), Instant::now());
        tally.began = Some(began);
        tally.count(began + SECOND, said(true));
        assert_eq!(tally.interval(began + SECOND), 30 * SECOND);
        tally.count(began + 2 * SECOND, said(false));
        assert_eq!(tally.report.failures, 1);
    }

    #[test]
    fn one_that_cannot_be_started_has_failed() {
        let (mut checks, now) = (Checks::new(HealthCheck { start_period_ms: 0, ..check() }), Instant::now());
        assert_eq!(checks.deadline(), None);
        checks.begin(now);
        assert_eq!(checks.deadline(), Some(now + 30 * SECOND));
        checks.tick(now + 29 * SECOND, |_, _| panic!("too early"));
        checks.tick(now + 30 * SECOND, |exec, timeout| {
            assert_eq!((exec, timeout), (&["true".to_owned()][..], SECOND));
            Err(io::Error::other("no process"))
        });
        assert_eq!((checks.report().failures, checks.report().output.as_str()), (1, "no process"));
        assert_eq!(checks.deadline(), Some(now + 60 * SECOND));
    }
}
