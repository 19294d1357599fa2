//! What the agent watches of an app, besides whether it runs: what is told of it, and when.

use std::os::fd::RawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use agent::protocol::{Condition, Health, HealthCheck};
use nix::libc::pollfd;
use nix::unistd::Pid;

use super::health::Checks;
use super::memory::MemoryEvents;
use super::probe::Probe;

/// What is watched of one app.
#[derive(Debug)]
pub struct Watch {
    memory: MemoryEvents,
    checks: Option<Checks>,
    told: Condition,
    /// How many deaths the user has been told of in a line.
    lines_for: u64,
}

/// What has to be told of an app.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// All that is known now.
    pub condition: Condition,
    /// Lines for the user.
    pub lines: Vec<String>,
}

impl Watch {
    /// Watches an app that is about to be started.
    pub fn new(cgroup: &Path, check: Option<HealthCheck>) -> Self {
        let checks = check.map(Checks::new);
        let memory = MemoryEvents::of(cgroup);
        let mut watch = Self { memory, checks, told: Condition::default(), lines_for: 0 };
        watch.told.memory_kills = watch.memory.kills();
        watch
    }

    /// The app's program runs from now on.
    pub fn begin(&mut self, now: Instant) {
        if let Some(checks) = &mut self.checks {
            checks.begin(now);
        }
    }

    /// The descriptors it waits for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        self.memory.interest().into_iter().chain(self.checks.iter().flat_map(Checks::interest))
    }

    /// When [`Watch::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.checks.as_ref().and_then(Checks::deadline)
    }

    /// Takes in what is ready.
    pub fn advance(&mut self, ready: &[RawFd]) {
        self.memory.advance(ready);
        if let Some(checks) = &mut self.checks {
            checks.advance(ready);
        }
    }

    /// Time has passed; `probe` starts a check.
    pub fn tick(&mut self, now: Instant, probe: impl FnOnce(&[String], Duration) -> std::io::Result<Probe>) {
        if let Some(checks) = &mut self.checks {
            checks.tick(now, probe);
        }
    }

    /// Takes note of a process that has ended.
    pub fn reaped(&mut self, process: Pid, status: i32, now: Instant) {
        if let Some(checks) = &mut self.checks {
            checks.reaped(process, status, now);
        }
    }

    /// The app has ended: no more checks, and the last word on memory.
    pub fn end(&mut self, app: &str) -> Option<Change> {
        self.memory.read();
        let kills = self.memory.kills();
        let line = (kills > self.lines_for).then(|| ran_out(app, kills));
        self.lines_for = kills;
        let change = self.change(app);
        self.checks = None;
        match (change, line) {
            (Some(mut change), line) => {
                change.lines.extend(line);
                Some(change)
            }
            (None, Some(line)) => Some(Change { condition: self.told.clone(), lines: vec![line] }),
            (None, None) => None,
        }
    }

    /// What is new since the last call. Of deaths the user hears at the first, and whenever they have doubled.
    pub fn change(&mut self, app: &str) -> Option<Change> {
        let before = self.told.clone();
        let now = Condition {
            memory_kills: self.memory.kills(),
            health: self.checks.as_ref().map(|checks| checks.report().clone()).or(before.health.clone()),
        };
        if now == before {
            return None;
        }
        let mut lines = Vec::new();
        if now.memory_kills > self.lines_for.saturating_mul(2) {
            self.lines_for = now.memory_kills;
            lines.push(ran_out(app, now.memory_kills));
        }
        let health = |condition: &Condition| condition.health.as_ref().map(|report| report.health);
        match (health(&before), now.health.as_ref()) {
            (was, Some(is)) if is.health == Health::Unhealthy && was != Some(Health::Unhealthy) => {
                let said = is.output.lines().last().unwrap_or_default();
                lines.push(format!("App {app} is unhealthy: {said}"));
            }
            (Some(Health::Unhealthy), Some(is)) if is.health == Health::Healthy => {
                lines.push(format!("App {app} is healthy again"));
            }
            _ => {}
        }
        self.told = now.clone();
        Some(Change { condition: now, lines })
    }
}

fn ran_out(app: &str, kills: u64) -> String {
    format!("App {app} ran out of memory, processes killed: {kills}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn deaths_are_told_at_once_and_not_each() {
        let group = tempfile::tempdir().unwrap();
        let file = group.path().join("memory.events");
        fs::write(&file, "oom_kill 0\n").unwrap();
        let mut watch = Watch::new(group.path(), None);
        assert_eq!(watch.change("db"), None);
        let mut at = |kills: u64| {
            fs::write(&file, format!("oom_kill {kills}\n")).unwrap();
            watch.memory.read();
            watch.change("db").map(|change| (change.condition.memory_kills, change.lines.len()))
        };
        assert_eq!(at(1), Some((1, 1)));
        assert_eq!(at(2), Some((2, 0)));
        assert_eq!(at(2), None);
        assert_eq!(at(3), Some((3, 1)));
        fs::write(&file, "oom_kill 4\n").unwrap();
        let end = watch.end("db").unwrap();
        assert_eq!(end.condition.memory_kills, 4);
        assert_eq!(end.lines, ["App db ran out of memory, processes killed: 4"]);
        assert_eq!(watch.end("db"), None);
    }
}
