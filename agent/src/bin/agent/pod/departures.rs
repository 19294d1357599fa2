//! Apps that have ended, and go when nothing is under way any more in what they have mounted ([`Quiet`]).

use std::io;
use std::time::{Duration, Instant};

use crate::app::{App, Mount, Namespaces};
use crate::machine::{QUIET_INTERVAL, Quiet};

/// What is left of an app.
#[derive(Debug)]
pub struct Departure {
    /// Whose it is.
    pub app: String,
    /// The mounts of the agent's that go with the app, if the host waits for it to be forgotten; else it has been started anew.
    pub forgotten: Option<Vec<Mount>>,
    /// An error if it goes without knowing that nothing is under way.
    pub quiet: io::Result<Quiet>,
    /// The last hold of what the app has mounted.
    pub namespaces: Option<Namespaces>,
}

/// Every app on its way out.
#[derive(Debug, Default)]
pub struct Departures(Vec<Departure>);

impl Departures {
    /// Takes from an app that has ended what may not go yet. It is to be forgotten, or else has been started anew.
    pub fn add(&mut self, app: &mut App, forgotten: bool, now: Instant) {
        self.0.push(Departure {
            app: app.name().to_owned(),
            forgotten: forgotten.then(|| app.mounts()),
            quiet: Quiet::from(now),
            namespaces: app.take_namespaces(),
        });
    }

    /// Those that may go now.
    pub fn take_due(&mut self, now: Instant) -> Vec<Departure> {
        self.0.extract_if(.., |departure| departure.may_go(now)).collect()
    }

    /// Whether an app of this name is to be forgotten, and is not yet.
    pub fn is_forgetting(&self, app: &str) -> bool {
        self.0.iter().any(|departure| departure.forgotten.is_some() && departure.app == app)
    }

    /// Whether nobody is on the way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often [`Departures::take_due`] is to be asked.
    pub fn interval(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(QUIET_INTERVAL)
    }
}

impl Departure {
    fn may_go(&mut self, now: Instant) -> bool {
        let Ok(quiet) = &mut self.quiet else { return true };
        quiet.has_come(now).unwrap_or_else(|error| {
            self.quiet = Err(error);
            true
        })
    }
}
