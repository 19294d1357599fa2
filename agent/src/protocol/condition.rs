//! How an app fares, besides whether it runs.

use serde::{Deserialize, Serialize};

/// How many characters of what a health check said are told.
pub const MAX_CHECK_OUTPUT: usize = 512;

/// A command that tells whether an app is well (Docker's `HEALTHCHECK`). Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The program and its arguments, run as the app's user in the app. Status 0 means that it is well.
    pub exec: Vec<String>,
    /// From the app's start to the first check, and from the end of one to the next.
    pub interval_ms: u64,
    /// How long one may take; one that takes longer is killed, and has failed.
    pub timeout_ms: u64,
    /// How long after the app's start failures do not count, until the first success.
    pub start_period_ms: u64,
    /// The interval in that time.
    pub start_interval_ms: u64,
    /// How many failures in a row make the app unhealthy.
    pub retries: u32,
}

/// What is known of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// How many of its processes were killed because memory ran out.
    pub memory_kills: u64,
    /// What its health check says; none if it has none.
    pub health: Option<HealthReport>,
}

/// What the checks of an app's health came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The sum of it.
    pub health: Health,
    /// How many checks have failed in a row.
    pub failures: u32,
    /// What the last check said, cut to [`MAX_CHECK_OUTPUT`] characters.
    pub output: String,
}

/// Whether an app is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Not known yet.
    Starting,
    /// The last check succeeded, or too few have failed since.
    Healthy,
    /// Too many checks have failed in a row.
    Unhealthy,
}
