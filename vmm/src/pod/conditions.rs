//! How the apps fare, as it is left for `rkt status`: a file per app, written when something changes.
//!
//! A guest can say something new at any rate. The host writes what is newest, at most once in a while.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use agent::protocol::{Condition, Health};
use serde::Serialize;

use super::{
    diagnostics::sanitized,
    directory::{DirectoryError, PodDirectory},
};

/// The least time between two writings of an app's file.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the apps of a pod.
#[derive(Debug, Default)]
pub struct Conditions {
    apps: BTreeMap<String, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    condition: Condition,
    written: Option<Instant>,
    /// When what is new is to be written, if something is.
    due: Option<Instant>,
}

impl Kept {
    fn write(&mut self, app: &str, directory: &PodDirectory, now: Instant) -> Result<(), DirectoryError> {
        self.due = None;
        self.written = Some(now);
        directory.write_condition(app, &json(&self.condition))
    }
}

impl Conditions {
    /// Keeps what is new of an app, which the pod has.
    pub fn note(&mut self, app: String, condition: Condition, now: Instant) {
        let kept = self.apps.entry(app).or_default();
        kept.condition = condition;
        kept.due.get_or_insert(kept.written.map_or(now, |written| written + PAUSE));
    }

    /// Writes what is due.
    pub fn write_due(&mut self, directory: &PodDirectory, now: Instant) -> Result<(), DirectoryError> {
        let due = |kept: &Kept| kept.due.is_some_and(|at| at <= now);
        let due = self.apps.iter_mut().filter(|(_, kept)| due(kept));
        due.map(|(app, kept)| kept.write(app, directory, now)).fold(Ok(()), Result::and)
    }

    /// When [`Conditions::write_due`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.apps.values().filter_map(|kept| kept.due).min()
    }

    /// The app has ended: what is known of it is written, and stays.
    pub fn ended(&mut self, app: &str, directory: &PodDirectory, now: Instant) -> Result<(), DirectoryError> {
        match self.apps.remove(app) {
            Some(mut kept) if kept.due.is_some() => kept.write(app, directory, now),
            _ => Ok(()),
        }
    }
}

/// The file's content, which `rkt status --format=json` shows as it is.
#[derive(Debug, Serialize)]
struct Written<'a> {
    oom_kills: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<WrittenHealth<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenHealth<'a> {
    status: &'a str,
    failing_streak: u32,
    output: String,
}

fn json(condition: &Condition) -> String {
    let health = condition.health.as_ref().map(|report| WrittenHealth {
        status: match report.health {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        },
        failing_streak: report.failures,
        output: report.output.lines().map(sanitized).collect::<Vec<_>>().join("\n"),
    });
    // Numbers and strings always are JSON.
    serde_json::to_string(&Written { oom_kills: condition.memory_kills, health }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use agent::protocol::HealthReport;

    use super::*;

    fn kills(memory_kills: u64) -> Condition {
        Condition { memory_kills, health: None }
    }

    #[test]
    fn the_newest_is_written_at_most_once_in_a_while() {
        let root = tempfile::tempdir().unwrap();
        let (directory, mut conditions) = (PodDirectory::at(root.path()), Conditions::default());
        let read = || fs::read_to_string(root.path().join("stage1/rootfs/rkt/status/db.condition")).unwrap();
        assert_eq!(conditions.deadline(), None);
        let now = Instant::now();
        conditions.note("db".into(), kills(1), now);
        assert_eq!(conditions.deadline(), Some(now));
        conditions.write_due(&directory, now + PAUSE).unwrap();
        assert_eq!((read().as_str(), conditions.deadline()), (r#"{"oom_kills":1}"#, None));
        conditions.note("db".into(), kills(2), now + PAUSE);
        conditions.note("db".into(), kills(3), now + PAUSE);
        assert_eq!(conditions.deadline(), Some(now + 2 * PAUSE));
        conditions.write_due(&directory, now + PAUSE).unwrap();
        assert_eq!(read(), r#"{"oom_kills":1}"#);
        conditions.ended("db", &directory, now + PAUSE).unwrap();
        assert_eq!((read().as_str(), conditions.deadline()), (r#"{"oom_kills":3}"#, None));
    }

    #[test]
    fn what_checks_say_cannot_drive_a_terminal() {
        let output = "one\u{1b}[31m\ntwo".to_owned();
        let health = Some(HealthReport { health: Health::Unhealthy, failures: 3, output });
        let expected = r#"{"oom_kills":0,"health":{"status":"unhealthy","failing_streak":3,"output":"one\\u{1b}[31m\ntwo"}}"#;
        assert_eq!(json(&Condition { memory_kills: 0, health }), expected);
    }
}
