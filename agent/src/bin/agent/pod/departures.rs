//! Apps that have ended, and go when nothing is under way any more in what they have mounted ([`Quiet`]).

use std::io;
use std::time::{Duration, Instant};

use crate::app::{App, Mount, Namespaces};
use crate::machine::{QUIET_INTERVAL, Quiet};

/// What is left of an app. Dropping it lets go of what the app has mounted.
#[derive(Debug)]
pub struct Departure {
    app: String,
    forgotten: bool,
    mounts: Vec<Mount>,
    quiet: io::Result<Quiet>,
    _namespaces: Option<Namespaces>,
}

/// Every app on its way out.
#[derive(Debug, Default)]
pub struct Departures(Vec<Departure>);

impl Departures {
    /// Takes from an app that has ended what may not go yet. It is to be forgotten, or else has been started anew.
    pub fn add(&mut self, app: &mut App, forgotten: bool, now: Instant) {
        self.0.push(Departure {
            app: app.name().to_owned(),
            forgotten,
            mounts: if forgotten { app.mounts() } else { Vec::new() },
            quiet: Quiet::from(now),
            _namespaces: app.take_namespaces(),
        });
    }

    /// Those that may go now.
    pub fn take_due(&mut self, now: Instant) -> Vec<Departure> {
        self.0.extract_if(.., |departure| departure.may_go(now)).collect()
    }

    /// Whether an app of this name is to be forgotten, and is not yet.
    pub fn is_forgetting(&self, app: &str) -> bool {
        self.0.iter().any(|departure| departure.forgotten && departure.app == app)
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
    /// Whose it is.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Whether the host waits for the app to be forgotten, and the mounts of the agent's that go with it.
    pub fn forgotten(&self) -> Option<&[Mount]> {
        self.forgotten.then_some(&self.mounts)
    }

    /// Why it goes without knowing that nothing is under way.
    pub fn doubt(&self) -> Option<&io::Error> {
        self.quiet.as_ref().err()
    }

    fn may_go(&mut self, now: Instant) -> bool {
        let come = self.quiet.as_mut().map(|quiet| quiet.has_come(now));
        match come {
            Ok(Ok(come)) => come,
            Ok(Err(error)) => {
                self.quiet = Err(error);
                true
            }
            Err(_) => true,
        }
    }
}
